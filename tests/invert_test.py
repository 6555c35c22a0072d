import csv

import numpy as np
import pytest
from PIL import Image
from random_gan import save_random_gan

from gan2shape_jax import inversion
from gan2shape_jax.models.architecture import Architecture
from gan2shape_jax.weights import save_weights
from tools import invert

ARCH = Architecture((4, 4), latent_size=4, mapping_layers=1)


@pytest.fixture(scope="module")
def gan(tmp_path_factory):
  folder = tmp_path_factory.mktemp("gan")
  save_random_gan(folder, ARCH)
  return folder


@pytest.fixture
def images(tmp_path):
  folder = tmp_path / "pictures"
  folder.mkdir()
  rng = np.random.default_rng(0)
  for name in "abc":
    pixels = rng.integers(0, 256, (8, 8, 3), np.uint8)
    Image.fromarray(pixels).save(folder / f"{name}.png")
  return folder


def arguments(gan, images, output, *more):
  return [f"--gan={gan}", f"--images={images}", f"--output={output}", *more]


def test_folder_of_pictures_and_resume(gan, images, tmp_path, monkeypatch):
  output = tmp_path / "out"
  command = arguments(gan, images, output, "--steps=3", "--batch=2")
  assert invert.main(command) == 0
  for name in "abc":
    latent = np.load(output / f"latents/{name}.npy")
    assert latent.shape == (ARCH.n_latent, ARCH.latent_size)
    assert Image.open(output / f"{name}.png").size == (8, 8)
  assert Image.open(output / "sheet.png").width > 2 * 128
  with (output / "errors.csv").open() as file:
    rows = {row["picture"]: row for row in csv.DictReader(file)}
  given, drawn = (
    np.asarray(Image.open(folder / "b.png"), float) / 127.5
    for folder in (images, output)
  )
  l1 = np.abs(given - drawn).mean()
  psnr = 20 * np.log10(2 / np.sqrt(np.square(given - drawn).mean()))
  assert list(rows) == ["a", "b", "c"]
  assert float(rows["b"]["l1"]) == pytest.approx(l1, abs=1e-4)
  assert float(rows["b"]["psnr"]) == pytest.approx(psnr, abs=1e-2)

  (output / "latents/b.npy").unlink()
  inverted = []
  make = inversion.make_inverter

  def make_counted(**options):
    run = make(**options)

    def counted(frozen, images, *args, **kwargs):
      inverted.append(len(images))
      return run(frozen, images, *args, **kwargs)

    return counted

  monkeypatch.setattr(inversion, "make_inverter", make_counted)
  assert invert.main(command) == 0
  assert invert.main(command) == 0
  assert inverted == [1]
  assert (output / "latents/b.npy").is_file()


def test_one_latent_for_each_layer(gan, images, tmp_path):
  command = arguments(gan, images / "a.png", tmp_path / "out", "--steps=2")
  assert invert.main([*command, "--w_plus"]) == 0
  latent = np.load(tmp_path / "out/latents/a.npy")
  assert np.ptp(latent, axis=0).max() > 0


@pytest.mark.parametrize(
  "count, largest, sizes",
  [(3, 8, [3]), (9, 8, [5, 5]), (16, 8, [8, 8]), (5, 1, [1] * 5)],
)
def test_batches_are_even_and_complete(count, largest, sizes):
  batches = list(invert.even_batches(range(count), largest))
  assert [len(batch) for batch in batches] == sizes
  assert {x for batch in batches for x in batch} == set(range(count))


def test_mistakes_are_one_line_and_exit_code_2(gan, images, tmp_path, capsys):
  (images / "d.png").write_text("no picture")
  (tmp_path / "file").write_text("")
  output = tmp_path / "out"
  half = tmp_path / "half"
  save_weights(half, {"generator": {"x": np.zeros(1, np.float32)}}, {})
  picture = images / "a.png"
  for message, command in {
    "d.png: cannot be read": arguments(gan, images, output),
    "half: not a GAN folder": arguments(half, picture, output),
    "none": arguments(tmp_path / "none", picture, output),
    "cannot be written": arguments(gan, picture, tmp_path / "file/out"),
    "would overwrite": arguments(gan, picture, images),
    "--steps": arguments(gan, picture, output, "--steps=0"),
  }.items():
    assert invert.main(command) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1


def test_latents_that_were_found_otherwise_are_not_taken(
  gan, images, tmp_path, capsys
):
  command = arguments(gan, images / "a.png", tmp_path / "out", "--steps=2")
  assert invert.main(command) == 0
  assert invert.main([*command, "--w_plus"]) == 2
  assert "other options" in capsys.readouterr().err
  assert invert.main(command) == 0
