from collections import deque
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gan2shape_jax.errors import UserError
from gan2shape_jax.masks import background_mask, load_mask


def flood_fill(near):
  """Breadth-first oracle: background pixels reached from the border."""
  h, w = near.shape
  reached = np.zeros_like(near)
  queue = deque(
    (i, j)
    for i in range(h)
    for j in range(w)
    if i in (0, h - 1) or j in (0, w - 1)
  )
  while queue:
    i, j = queue.popleft()
    if 0 <= i < h and 0 <= j < w and near[i, j] and not reached[i, j]:
      reached[i, j] = True
      queue.extend([(i + 1, j), (i - 1, j), (i, j + 1), (i, j - 1)])
  return reached


@pytest.mark.parametrize("seed", range(5))
def test_background_mask_agrees_with_flood_fill(seed):
  rng = np.random.default_rng(seed)
  near = rng.random((21, 17)) < 0.65  # a maze, near the percolation threshold
  near[0] = near[-1] = True
  image = np.where(near[..., None], -1.0, 0.7).repeat(3, axis=-1)
  np.testing.assert_array_equal(background_mask(image), ~flood_fill(near))


def test_hole_of_the_background_colour_stays_with_the_object():
  image = np.full((16, 16, 3), 0.9)
  image[4:12, 4:12] = -0.5
  image[7:9, 7:9] = 0.9
  expected = np.zeros((16, 16), bool)
  expected[4:12, 4:12] = True
  np.testing.assert_array_equal(background_mask(image), expected)


def test_tolerance_bounds_the_largest_channel_difference():
  image = np.zeros((8, 8, 3))
  image[3, 3] = (0, 0.09, 0)
  image[5, 5] = (0, 0.11, 0)
  mask = background_mask(image, tolerance=0.1)
  assert mask[5, 5] and not mask[3, 3]


def test_background_of_many_colours_is_refused(tmp_path):
  noise = np.random.default_rng(0).integers(0, 256, (12, 12, 3), np.uint8)
  path = tmp_path / "a.png"
  with pytest.raises(UserError, match=r"a\.png.*not plain.*mask"):
    load_mask(
      Image.fromarray(noise),
      path,
      source="background",
      crop=None,
      image_size=12,
    )


def test_background_mask_is_cut_before_the_crop():
  # The object fills the border of the crop: only the full picture tells it.
  pixels = np.zeros((16, 16, 3), np.uint8)
  pixels[3:13, 3:13] = 200
  mask = load_mask(
    Image.fromarray(pixels),
    Path("a.png"),
    source="background",
    crop=8,
    image_size=8,
  )
  np.testing.assert_array_equal(mask, 1)


@pytest.mark.parametrize("place", ["mask/a.png", "image/a_mask.png"])
def test_mask_file_is_found_and_resized(tmp_path, place):
  (tmp_path / "image").mkdir()
  (tmp_path / "mask").mkdir()
  grey = np.zeros((8, 8), np.uint8)
  grey[:, 4:] = 255
  Image.fromarray(grey).save(tmp_path / place)
  mask = load_mask(
    Image.new("RGB", (8, 8)),
    tmp_path / "image" / "a.jpg",
    source="file",
    crop=4,
    image_size=4,
  )
  np.testing.assert_array_equal(mask, [[0, 0, 1, 1]] * 4)


@pytest.mark.parametrize(
  "size, level, message",
  [
    (None, 0, r"a\.png: its mask is missing.*a_mask\.png"),
    (9, 255, r"a_mask\.png: is 9x9 px but its picture is 8x8"),
    (8, 0, r"a_mask\.png: the object's mask is empty"),
  ],
)
def test_unusable_mask_files_are_named(tmp_path, size, level, message):
  if size:
    Image.new("L", (size, size), level).save(tmp_path / "a_mask.png")
  with pytest.raises(UserError, match=message):
    load_mask(
      Image.new("RGB", (8, 8)),
      tmp_path / "a.png",
      source="file",
      crop=None,
      image_size=8,
    )


def test_unknown_source_is_refused():
  with pytest.raises(UserError, match="mask='parsing'"):
    load_mask(
      Image.new("RGB", (8, 8)),
      Path("a.png"),
      source="parsing",
      crop=None,
      image_size=8,
    )
