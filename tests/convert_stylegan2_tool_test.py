"""The program tools/convert_stylegan2.py."""

import json

import jax
import numpy as np
import pytest
from foreign_files import legacy_file, os_system, zip_file
from foreign_gans import rosinality_checkpoint
from PIL import Image

from gan2shape_jax.gan.bundle import load_gan
from gan2shape_jax.models import stylegan2
from tools import convert_stylegan2


@pytest.fixture(scope="module")
def checkpoint():
  return rosinality_checkpoint((4, 4), latent=6, layers=2)


@pytest.fixture
def convert(tmp_path):
  def run(data, *more):
    (tmp_path / "gan.pt").write_bytes(data)
    return convert_stylegan2.main(
      [f"--input={tmp_path}/gan.pt", f"--output={tmp_path}/out", *more]
    )

  return run


def test_the_folder_is_what_configurations_name(tmp_path, checkpoint, convert):
  assert convert(legacy_file(checkpoint), "--grid=3") == 0
  gan = load_gan(tmp_path / "out")
  assert gan.arch.channels == (4, 4) and gan.arch.n_latent == 4
  np.testing.assert_array_equal(gan.mean_latent, checkpoint["latent_avg"])
  assert gan.provenance["format"] == "torch legacy"
  assert gan.provenance["layout"] == "rosinality"
  assert gan.provenance["mean_latent"] == "the file's"
  metadata = json.loads((tmp_path / "out/metadata.json").read_text())
  assert metadata["architecture"]["mapping_layers"] == 2
  with Image.open(tmp_path / "out/samples.png") as sheet:
    assert sheet.width > 24


def test_a_missing_mean_is_computed(tmp_path, checkpoint, convert):
  content = {k: v for k, v in checkpoint.items() if k != "latent_avg"}
  assert convert(zip_file(content)) == 0
  gan = load_gan(tmp_path / "out")
  z = jax.random.normal(jax.random.key(1), (20000, 6))
  w = stylegan2.map_latent(gan.generator, z, arch=gan.arch)
  # The mean of n samples is off by about their deviation / sqrt(n).
  deviation = np.sqrt(np.square(w - w.mean(0)).sum(1).mean())
  assert np.linalg.norm(w.mean(0) - gan.mean_latent) < 4 * deviation / 100
  assert deviation > 0.1


def test_nothing_is_written_when_something_does_not_fit(
  tmp_path, checkpoint, convert, capsys
):
  generator = {k: v for k, v in checkpoint["g_ema"].items() if "rgb1" not in k}
  assert convert(zip_file(checkpoint | {"g_ema": generator})) == 2
  errors = capsys.readouterr().err
  assert "gan.pt" in errors and errors.count("missing: to_rgb1") == 4
  assert [path.name for path in tmp_path.iterdir()] == ["gan.pt"]


def test_an_older_result_survives_a_failure_and_not_a_success(
  tmp_path, checkpoint, convert
):
  assert convert(zip_file(checkpoint)) == 0
  before = (tmp_path / "out/weights.safetensors").read_bytes()
  assert convert(b"PK\x03\x04 damaged") == 2
  assert (tmp_path / "out/weights.safetensors").read_bytes() == before
  other = rosinality_checkpoint((4, 4), latent=6, layers=2, seed="other")
  assert convert(zip_file(other)) == 0
  assert (tmp_path / "out/weights.safetensors").read_bytes() != before


def test_hostile_files(tmp_path, checkpoint, convert, capsys):
  content = checkpoint | {"g": os_system(f"touch {tmp_path}/executed")}
  for write in (zip_file, legacy_file):
    assert convert(write(content)) == 2
    assert "'os.system'" in capsys.readouterr().err
  assert not (tmp_path / "executed").exists()
  assert not (tmp_path / "out").exists()


def test_other_folders_are_not_replaced(tmp_path, checkpoint, convert, capsys):
  (tmp_path / "out").mkdir()
  (tmp_path / "out/letter.txt").write_text("dear")
  assert convert(zip_file(checkpoint)) == 2
  assert "not replaced" in capsys.readouterr().err
  assert (tmp_path / "out/letter.txt").read_text() == "dear"
