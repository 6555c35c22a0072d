"""Weights survive the disk, and damage is reported in one line."""

import os

import numpy as np
import pytest
import safetensors.numpy

from gan2shape_jax.errors import UserError
from gan2shape_jax.weights import load_weights, save_weights

TREE = {
  "mapping": {"dense_1": {"kernel": np.linspace(-1, 1, 6).reshape(2, 3)}},
  "scalar": np.float32(0.5),
  "count": np.array([3, 70000], np.int32),
}


@pytest.mark.parametrize(
  ("dtype", "tolerance"), [("float32", 1e-7), ("float16", 5e-4)]
)
def test_round_trip(tmp_path, dtype, tolerance):
  save_weights(tmp_path / "gan", TREE, {"arch": [1, 2]}, dtype=dtype)
  tree, metadata = load_weights(tmp_path / "gan")
  assert metadata == {"arch": [1, 2]}
  kernel = tree["mapping"]["dense_1"]["kernel"]
  assert kernel.dtype == np.float32
  np.testing.assert_allclose(
    kernel, TREE["mapping"]["dense_1"]["kernel"], atol=tolerance
  )
  assert tree["scalar"].shape == ()
  assert tree["scalar"] == 0.5
  np.testing.assert_array_equal(tree["count"], TREE["count"])
  assert tree["count"].dtype == np.int32


def test_non_contiguous_arrays_keep_their_values(tmp_path):
  flipped = np.arange(12, dtype=np.float32).reshape(3, 4).T[::-1]
  save_weights(tmp_path / "w", {"x": flipped}, {})
  np.testing.assert_array_equal(load_weights(tmp_path / "w")[0]["x"], flipped)


def test_half_precision_halves_the_file(tmp_path):
  tree = {"x": np.zeros(10000)}
  sizes = []
  for dtype in ("float32", "float16"):
    save_weights(tmp_path / dtype, tree, {}, dtype=dtype)
    file = tmp_path / dtype / "weights.safetensors"
    sizes.append(file.stat().st_size)
  assert sizes[1] < 0.52 * sizes[0]


def test_saving_replaces_the_folder_and_leaves_nothing_else(tmp_path):
  save_weights(tmp_path / "w", {"old": np.zeros(2)}, {"v": 1})
  save_weights(tmp_path / "w", {"new": np.ones(2)}, {"v": 2})
  tree, metadata = load_weights(tmp_path / "w")
  assert list(tree) == ["new"]
  assert metadata == {"v": 2}
  assert [p.name for p in tmp_path.iterdir()] == ["w"]


def test_others_may_read_weights_as_the_umask_says(tmp_path):
  before = os.umask(0o027)
  try:
    save_weights(tmp_path / "w", TREE, {})
  finally:
    os.umask(before)
  modes = [path.stat().st_mode & 0o777 for path in (tmp_path / "w").iterdir()]
  assert modes == [0o640, 0o640]


def test_missing_folder(tmp_path):
  with pytest.raises(UserError, match="nowhere: no weights there"):
    load_weights(tmp_path / "nowhere")


@pytest.mark.parametrize("file", ["weights.safetensors", "metadata.json"])
def test_missing_or_truncated_file(tmp_path, file):
  save_weights(tmp_path / "w", TREE, {"a": 1})
  path = tmp_path / "w" / file
  path.write_bytes(path.read_bytes()[:-4])
  with pytest.raises(UserError, match="unreadable weights"):
    load_weights(tmp_path / "w")
  path.unlink()
  with pytest.raises(UserError, match="no weights there"):
    load_weights(tmp_path / "w")


def test_a_full_disk_is_an_error_of_the_system(tmp_path, monkeypatch):
  save_weights(tmp_path / "w", TREE, {})

  def fail(*_):
    raise safetensors.SafetensorError("No space left on device (os error 28)")

  monkeypatch.setattr(safetensors.numpy, "save_file", fail)
  with pytest.raises(OSError, match="No space left"):
    save_weights(tmp_path / "w", {}, {})
  tree, _ = load_weights(tmp_path / "w")
  assert tree.keys() == TREE.keys()


def test_copies_that_people_keep_are_left_alone(tmp_path):
  kept = tmp_path / "gan.old"
  kept.mkdir()
  (kept / "mine").touch()
  for version in range(2):
    save_weights(tmp_path / "gan", TREE, {"v": version})
  assert sorted(p.name for p in tmp_path.iterdir()) == ["gan", "gan.old"]
  assert (kept / "mine").exists()
