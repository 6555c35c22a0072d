"""The data-set tool: what it writes, and that it resumes."""

import json

import numpy as np
import pytest
from PIL import Image

from gan2shape_jax.synthetic import identity
from tools import make_heads

FLAGS = ("--count", "3", "--size", "16", "--batch", "2")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
  path = tmp_path_factory.mktemp("heads")
  make_heads.main(["--output", str(path), *FLAGS])
  return path


def test_the_folder_is_complete_and_consistent(folder):
  names = (folder / "list.txt").read_text().split()
  assert names == [f"image/{i:06d}.png" for i in range(3)]
  facts = json.loads((folder / "heads.json").read_text())
  assert facts["identity"] == list(identity.NAMES)
  for i in range(3):
    image = np.asarray(Image.open(folder / f"image/{i:06d}.png"))
    near = np.asarray(Image.open(folder / f"depth/{i:06d}.png"))
    mask = np.asarray(Image.open(folder / f"mask/{i:06d}.png")) > 0
    truth = np.load(folder / f"npz/{i:06d}.npz")
    assert image.shape == (16, 16, 3)
    assert image.dtype == np.uint8
    np.testing.assert_array_equal(mask, truth["depth"] > 0)
    np.testing.assert_array_equal(mask, near > 0)
    decoded = 1.1 - 0.2 * near[mask] / 65535.0
    np.testing.assert_allclose(decoded, truth["depth"][mask], atol=2e-6)
    assert truth["view"].shape == (6,)
    assert truth["light"].shape == (5,)
    assert truth["identity"].shape == (len(identity.NAMES),)
    assert truth["normal"].shape == (16, 16, 3)


def test_an_interrupted_run_resumes_to_the_same_files(folder):
  wanted = {p: p.read_bytes() for p in folder.rglob("*.png")}
  kept = (folder / "image/000002.png").stat().st_mtime_ns
  for name in ("npz/000001.npz", "image/000001.png", "list.txt"):
    (folder / name).unlink()
  make_heads.main(["--output", str(folder), *FLAGS])
  assert {p: p.read_bytes() for p in folder.rglob("*.png")} == wanted
  assert (folder / "image/000002.png").stat().st_mtime_ns == kept
  assert len((folder / "list.txt").read_text().split()) == 3


def test_other_settings_in_the_same_folder_are_refused(folder, capsys):
  command = ["--output", str(folder), *FLAGS, "--split", "val"]
  assert make_heads.main(command) == 2
  assert "heads.json" in capsys.readouterr().err
