"""Reading folders of pictures, the shuffled stream, sheets."""

import numpy as np
import pytest
from PIL import Image

from gan2shape_jax.errors import UserError
from gan2shape_jax.gan import pictures
from gan2shape_jax.sheets import to_uint8


def write(path, value, side=8):
  Image.fromarray(np.full((side, side, 3), value, np.uint8)).save(path)


def test_loads_in_the_order_of_names_and_resizes(tmp_path):
  write(tmp_path / "b.png", 20)
  write(tmp_path / "a.png", 10, side=16)
  Image.new("L", (8, 8), 30).save(tmp_path / "c.png")
  (tmp_path / "notes.txt").write_text("no picture")
  loaded = pictures.load_pictures(tmp_path, image_size=8)
  assert loaded.shape == (3, 8, 8, 3)
  assert loaded.dtype == np.uint8
  np.testing.assert_array_equal(loaded[:, 4, 4, 1], [10, 20, 30])


def test_missing_empty_and_damaged(tmp_path):
  with pytest.raises(UserError, match="no such folder"):
    pictures.load_pictures(tmp_path / "x", image_size=8)
  with pytest.raises(UserError, match="holds no pictures"):
    pictures.load_pictures(tmp_path, image_size=8)
  (tmp_path / "a.png").write_bytes(b"not a picture")
  with pytest.raises(UserError, match=r"a\.png: cannot be read as a pict"):
    pictures.load_pictures(tmp_path, image_size=8)


def test_each_epoch_sees_every_picture_once():
  steps = [
    pictures.batch_indices(0, step, batch=4, count=10) for step in range(10)
  ]
  stream = np.concatenate(steps).reshape(4, 10)
  for epoch in stream:
    assert sorted(epoch) == list(range(10))
  assert not np.array_equal(stream[0], stream[1])


def test_a_batch_may_span_epochs_smaller_than_itself():
  indices = pictures.batch_indices(0, 1, batch=8, count=3)
  assert np.bincount(indices, minlength=3).min() >= 2


def test_the_stream_depends_on_the_seed_only():
  a, b, c = (
    pictures.batch_indices(seed, 7, batch=16, count=100) for seed in (0, 0, 1)
  )
  np.testing.assert_array_equal(a, b)
  assert not np.array_equal(a, c)


def test_bytes_survive_the_way_through_floats():
  values = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1)
  values = np.repeat(values, 3, -1)
  floats = pictures.to_float(values)
  assert (floats.min(), floats.max()) == (-1, 1)
  np.testing.assert_array_equal(to_uint8(floats), values)
  assert to_uint8(np.full((1, 1, 3), 7.0)).max() == 255


def test_sheet_is_row_by_row(tmp_path):
  samples = np.arange(8, dtype=np.uint8)[:, None, None, None]
  samples = np.broadcast_to(samples, (8, 2, 3, 3))
  pictures.save_sheet(tmp_path / "new" / "s.png", samples, columns=4)
  sheet = np.asarray(Image.open(tmp_path / "new" / "s.png"))
  assert sheet.shape == (4, 12, 3)
  np.testing.assert_array_equal(
    sheet[::2, ::3, 0], [[0, 1, 2, 3], [4, 5, 6, 7]]
  )
