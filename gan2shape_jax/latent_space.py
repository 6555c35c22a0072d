"""Coordinates of the W space in which latents are normally distributed.

The mapping network ends in a leaky ReLU, which folds the distribution of its
outputs into a corner. Unfolded, latents are close to normal, with very unequal
spreads along their principal axes: a search in W itself leaves them by dozens
of standard deviations in the narrow directions. A GAN then still reproduces a
picture, but cannot turn or relight what it shows.

After "Improved StyleGAN Embedding: Where are the Good Latents?" (Zhu et al.
2020, the P-N space).
"""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from gan2shape_jax.models.architecture import Architecture
from gan2shape_jax.models.equalized import LEAKY_SLOPE
from gan2shape_jax.models.stylegan2 import sample_latents

_SAMPLES = 10_000


class LatentSpace(NamedTuple):
  """The distribution of a GAN's latents, before the last leaky ReLU.

  Attributes:
    mean: of unfolded latents.
    axes: their principal axes, one per row, each as long as the standard
      deviation along it.
  """

  mean: Float[Array, " l"]
  axes: Float[Array, "l l"]

  def latent(self, coordinates: Float[Array, "*n l"]) -> Float[Array, "*n l"]:
    """The latents w at the given coordinates, in standard deviations."""
    # As in the mapping network, see `models.equalized`.
    moved = jnp.matmul(coordinates, self.axes, precision=lax.Precision.HIGHEST)
    x = self.mean + moved
    return jnp.where(x < 0, LEAKY_SLOPE * x, x)


def fit_latent_space(latents: Float[np.ndarray, "n l"]) -> LatentSpace:
  """The space that samples of w are distributed in."""
  latents = np.asarray(latents, np.float64)
  x = np.where(latents < 0, latents / LEAKY_SLOPE, latents)
  variances, directions = np.linalg.eigh(np.cov(x, rowvar=False))
  # Rounding leaves axes without any variance a little below zero.
  axes = directions.T * np.sqrt(np.maximum(variances, 0))[:, None]
  mean = x.mean(0).astype(np.float32)
  return LatentSpace(mean, axes.astype(np.float32))


def latent_space(generator: Any, arch: Architecture) -> LatentSpace:
  """The space of a generator's latents, from 10,000 samples, always the same.

  Args:
    generator: its parameters.
    arch: its architecture.
  """
  sample = jax.jit(partial(sample_latents, arch=arch, count=_SAMPLES))
  return fit_latent_space(sample(jax.random.key(0), generator))
