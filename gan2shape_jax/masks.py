"""Object masks: from a file beside the picture or from a plain background.

A mask is the object's share of each pixel, float32 in [0, 1].
"""

from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float
from PIL import Image

from gan2shape_jax.errors import UserError
from gan2shape_jax.image_files import (
  beside,
  check_same_size,
  crop_and_resize,
  open_grey,
)

MASK_SOURCES = ("file", "background", "full")


def load_mask(
  picture: Image.Image,
  path: Path,
  *,
  source: str,
  crop: int | None,
  image_size: int,
) -> Float[np.ndarray, "h w"]:
  """Returns the object mask of an opened picture from one of three sources."""
  if source not in MASK_SOURCES:
    raise UserError(f"mask={source!r}: must be one of {MASK_SOURCES}")
  if source == "full":
    return np.ones((image_size, image_size), np.float32)
  if source == "file":
    path = find_mask(path)
    mask = open_grey(path)
    check_same_size(mask, path, picture.size)
  else:
    try:
      cut = background_mask(np.asarray(picture, np.float32) / 127.5 - 1)
    except ValueError as error:
      raise UserError(
        f"{path}: its background is not plain ({error}); provide a mask file"
        " or set the mask to 'full'"
      ) from error
    mask = Image.fromarray(cut.astype(np.float32))
  mask = crop_and_resize(mask, path, crop=crop, image_size=image_size)
  mask = np.asarray(mask, np.float32)
  if mask.max() < 0.5:
    raise UserError(
      f"{path}: the object's mask is empty; provide another mask or set the"
      " mask to 'full'"
    )
  return mask


def find_mask(path: Path) -> Path:
  """Returns the mask file of a picture.

  Raises:
    UserError: neither mask/NAME.png nor NAME_mask.png exists.
  """
  candidates = (
    beside(path, "mask").with_suffix(".png"),
    path.with_name(f"{path.stem}_mask.png"),
  )
  for candidate in candidates:
    if candidate.is_file():
      return candidate
  raise UserError(
    f"{path}: its mask is missing; provide {candidates[0]} or {candidates[1]},"
    " or set the mask to 'background' or 'full'"
  )


def background_mask(
  image: Float[np.ndarray, "h w 3"], *, tolerance: float = 0.1
) -> Bool[np.ndarray, "h w"]:
  """Returns what stands out from a plain background.

  Background are the pixels connected to the border (in rows and columns)
  through pixels of about the border's median colour; a spot of that colour
  inside the object stays with the object.

  Args:
    image: in [-1, 1].
    tolerance: largest difference in any channel, in the units of `image`.

  Raises:
    ValueError: less than half of the border is of one colour.
  """
  border = np.ones(image.shape[:2], bool)
  border[1:-1, 1:-1] = False
  color = np.median(image[border], axis=0)
  near = np.abs(image - color).max(axis=-1) <= tolerance
  if near[border].mean() < 0.5:
    raise ValueError("the border has no single colour")
  reached = near & border
  while True:
    spread = _fill_runs(reached, near)
    spread = _fill_runs(spread.T, near.T).T
    if np.array_equal(spread, reached):
      return ~reached
    reached = spread


def _fill_runs(
  reached: Bool[np.ndarray, "h w"], allowed: Bool[np.ndarray, "h w"]
) -> Bool[np.ndarray, "h w"]:
  """Spreads `reached` along each row through runs of allowed pixels."""
  starts = ~allowed
  starts[:, 0] = True
  run = np.cumsum(starts.ravel()).reshape(starts.shape)
  hit = np.zeros(run.max() + 1, bool)
  hit[run[reached]] = True
  return hit[run] & allowed
