"""What the formats of StyleGAN2 files have in common once they are read."""

import re
from typing import NamedTuple

import numpy as np

from gan2shape_jax.convert.stylegan2_layers import Scheme
from gan2shape_jax.convert.tables import Arrays
from gan2shape_jax.errors import UserError
from gan2shape_jax.models.architecture import Architecture


class GanFile(NamedTuple):
  """A GAN as a file names it.

  Attributes:
    arch: sizes, inferred from the generator's shapes.
    generator: the averaged generator's arrays.
    discriminator: its arrays.
    names: what the file calls the two.
    schemes: how it stores each of the two.
    constants: of each, arrays that carry nothing, and their values.
    mean_latent: mean w, if the file has it.
    notes: what is worth knowing about the file, a sentence each.
  """

  arch: Architecture
  generator: Arrays
  discriminator: Arrays
  names: tuple[str, str]
  schemes: tuple[Scheme, Scheme]
  constants: tuple[Arrays, Arrays]
  mean_latent: np.ndarray | None
  notes: list[str]


def matches(pattern: str, arrays: Arrays) -> list[int]:
  """The numbers in names that match a pattern with one group, ascending."""
  found = (re.fullmatch(pattern, name) for name in arrays)
  return sorted({int(match[1]) for match in found if match})


def width(where: str, arrays: Arrays, *names: str) -> int:
  """Length of the first vector that is there, so that one may be missing.

  Raises:
    UserError: none is there.
  """
  for name in names:
    if name in arrays and arrays[name].ndim == 1:
      return arrays[name].size
  raise UserError(
    f"{where}: no generator of StyleGAN2 (it lacks {' and '.join(names)});"
    " other kinds of GANs cannot be converted"
  )
