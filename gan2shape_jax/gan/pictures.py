"""A folder of pictures in memory, an endless shuffled stream, contact sheets.

Pictures are uint8 [n, h, w, 3] on the host and float32 in [-1, 1] for the
networks.
"""

import os
from pathlib import Path

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, UInt8
from PIL import Image

from gan2shape_jax.errors import UserError
from gan2shape_jax.image_files import open_rgb

_SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".bmp"}


def load_pictures(
  folder: str | os.PathLike, *, image_size: int
) -> UInt8[np.ndarray, "n h w 3"]:
  """Every picture of a folder in the order of names, resized to a square.

  Args:
    folder: read without its subfolders.
    image_size: side in pixels; others are resized (Lanczos).

  Raises:
    UserError: for a missing or empty folder, or an unreadable picture.
  """
  folder = Path(folder)
  if not folder.is_dir():
    raise UserError(f"{folder}: no such folder of pictures")
  files = sorted(p for p in folder.iterdir() if p.suffix.lower() in _SUFFIXES)
  if not files:
    raise UserError(f"{folder}: holds no pictures ({', '.join(_SUFFIXES)})")
  pictures = np.empty((len(files), image_size, image_size, 3), np.uint8)
  for i, file in enumerate(files):
    picture = open_rgb(file)
    if picture.size != (image_size, image_size):
      picture = picture.resize((image_size, image_size), Image.LANCZOS)
    pictures[i] = picture
  return pictures


def batch_indices(
  seed: int, step: int, *, batch: int, count: int
) -> Int[np.ndarray, " b"]:
  """Which of `count` pictures step `step` sees: shuffled epochs, end to end.

  A pure function of its arguments, so that a resumed run sees what the
  interrupted one would have.
  """
  position = np.arange(step * batch, (step + 1) * batch)
  indices = np.empty(batch, np.int64)
  for epoch in np.unique(position // count):
    here = position // count == epoch
    order = np.random.default_rng((seed, epoch)).permutation(count)
    indices[here] = order[position[here] % count]
  return indices


def to_float(pictures: UInt8[Array, "*n h w 3"]) -> Float[Array, "*n h w 3"]:
  """[0, 255] to [-1, 1]."""
  return jnp.asarray(pictures, jnp.float32) / 127.5 - 1


def save_sheet(
  path: str | os.PathLike, pictures: UInt8[np.ndarray, "n h w 3"], *, columns=8
) -> None:
  """Writes the pictures as one PNG, row by row; n a multiple of `columns`."""
  n, h, w, _ = pictures.shape
  rows = pictures.reshape(n // columns, columns, h, w, 3)
  sheet = rows.transpose(0, 2, 1, 3, 4).reshape(-1, columns * w, 3)
  path = Path(path)
  path.parent.mkdir(parents=True, exist_ok=True)
  Image.fromarray(sheet).save(path)
