"""Latents of pictures (`.pt`) in all the shapes that they come in.

GAN2Shape's generate.py saves an array, others a dictionary with `latent`;
rosinality's projector saves a dictionary from picture names to such
dictionaries. Noise maps beside a latent are left out: the method uses those of
the generator.
"""

import pathlib
from collections.abc import Mapping

import numpy as np

from gan2shape_jax.convert.checkpoint_files import CheckpointFile
from gan2shape_jax.errors import UserError


def convert_latents(file: CheckpointFile) -> dict[str, np.ndarray]:
  """Latents by the names of their pictures (without endings).

  Each is (c,), one for all layers, or (n, c), one for each layer; float32.

  Raises:
    UserError: the file holds no latent, or two of one name.
  """
  content = file.content
  if not isinstance(content, Mapping) or "latent" in content:
    return {file.path.stem: _latent(file, content)}
  latents = {}
  for path, entry in content.items():
    name = pathlib.PurePath(str(path)).stem
    if name in latents:
      raise UserError(
        f"{file.path}: holds latents of two pictures called {name}; a picture"
        " is known by its name, so give them different ones"
      )
    latents[name] = _latent(file, entry)
  return latents


def _latent(file, entry):
  if isinstance(entry, Mapping):
    entry = entry.get("latent")
  if not hasattr(entry, "numpy"):
    raise UserError(
      f"{file.path}: holds no latent; give an array, or a dictionary with"
      " 'latent'"
    )
  array = file.arrays(entry)[""].astype(np.float32)
  latent = array
  while latent.ndim > 1 and len(latent) == 1:
    latent = latent[0]
  if latent.ndim not in (1, 2) or latent.size == 0:
    raise UserError(
      f"{file.path}: a latent of shape {array.shape} is neither one vector nor"
      " one for each layer; give that of a single picture"
    )
  if not np.isfinite(latent).all():
    raise UserError(f"{file.path}: its latent is not finite; make it again")
  return latent
