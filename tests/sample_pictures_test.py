"""The sampling tool: pictures, and latents that give them back."""

import jax
import numpy as np
import pytest
from PIL import Image
from random_gan import ARCH, save_random_gan

from gan2shape_jax import sheets
from gan2shape_jax.gan.bundle import load_gan
from gan2shape_jax.models import stylegan2
from tools import sample_pictures


@pytest.fixture(scope="module")
def gan(tmp_path_factory):
  folder = tmp_path_factory.mktemp("gan") / "gan"
  save_random_gan(folder)
  return folder


def sample(gan, output, *options):
  return sample_pictures.main(
    ["--gan", str(gan), "--output", str(output), "--count", "2", *options]
  )


def test_latents_give_the_pictures_back(gan, tmp_path):
  assert sample(gan, tmp_path) == 0
  names = (tmp_path / "list.txt").read_text().split()
  assert names == ["image/000000.png", "image/000001.png"]
  weights = load_gan(gan).weights()["generator"]
  draw = jax.jit(lambda w: stylegan2.synthesize(weights, w, arch=ARCH))
  latents = []
  for name in names:
    path = tmp_path / name
    latent = np.load(tmp_path / "latents" / f"{path.stem}.npy")
    latents.append(latent)
    assert latent.shape == (ARCH.n_latent, ARCH.latent_size)
    picture = np.asarray(Image.open(path))
    np.testing.assert_array_equal(picture, sheets.to_uint8(draw(latent)))
  # The mapping of a random GAN is nearly constant, so exactly.
  assert (latents[0] != latents[1]).any()


def test_no_truncation_range_is_left_at_psi_zero(gan, tmp_path):
  assert sample(gan, tmp_path, "--psi", "0") == 0
  mean = load_gan(gan).mean_latent
  for path in (tmp_path / "latents").iterdir():
    np.testing.assert_allclose(np.load(path)[0], mean, atol=1e-6)


def test_a_missing_gan_is_answered_in_one_line(tmp_path, capsys):
  assert sample(tmp_path / "nowhere", tmp_path / "output") == 2
  assert "nowhere: no weights there" in capsys.readouterr().err


def test_other_pictures_are_not_written_over(gan, tmp_path, capsys):
  kept = tmp_path / "image" / "000000.png"
  kept.parent.mkdir()
  kept.write_bytes(b"mine")
  assert sample(gan, tmp_path) == 2
  assert "holds other pictures" in capsys.readouterr().err
  assert kept.read_bytes() == b"mine"
  output = tmp_path / "own"
  assert sample(gan, output) == sample(gan, output) == 0
  assert sample(gan, output, "--seed", "3") == 2


@pytest.mark.parametrize(
  "option", [("--psi", "nan"), ("--count", "0"), ("--seed", "-1")]
)
def test_numbers_that_cannot_be(gan, tmp_path, option):
  try:
    code = sample(gan, tmp_path / "output", *option)
  except SystemExit as left:  # by argparse
    code = left.code
  assert code == 2
  assert not (tmp_path / "output").exists()
