"""Distributions of raw views and lights on disk (tools/convert_release.py).

A folder of weights with `mean` (n,) and `cov` (n, n), in the raw units of
`decode.py`: n = 6 for views, 4 for lights.
"""

import os
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from gan2shape_jax.errors import UserError
from gan2shape_jax.weights import load_weights


class Gaussian(NamedTuple):
  """Mean and covariance."""

  mean: Float[np.ndarray, " n"]
  cov: Float[np.ndarray, "n n"]


def load_distribution(folder: str | os.PathLike, size: int) -> Gaussian:
  """Reads a distribution of `size` numbers.

  Raises:
    UserError: files are missing, or hold something else.
  """
  tree, _ = load_weights(folder)
  shapes = {name: np.shape(leaf) for name, leaf in tree.items()}
  if shapes != {"mean": (size,), "cov": (size, size)}:
    raise UserError(
      f"{folder}: holds no distribution of {size} numbers (of 6 for"
      " weights.view, 4 for weights.light); name another folder"
    )
  return Gaussian(**tree)
