"""Sliced Wasserstein distance between two sets of pictures; needs no weights.

Progressive GAN's figure (Karras et al. 2018, section 5): patches of a Laplacian
pyramid, normalised per colour, compared along random directions. Unlike the
paper's it reports the plain mean distance, not times 1000.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

_BINOMIAL = np.array([1, 4, 6, 4, 1], np.float32) / 16


def sliced_wasserstein(
  key: Key[Array, ""],
  a: Float[Array, "n h w 3"],
  b: Float[Array, "n h w 3"],
  *,
  patch: int = 7,
  patches_per_image: int = 32,
  directions: int = 256,
  coarsest: int = 16,
) -> list[float]:
  """Distance at each pyramid level, the finest (full size) first.

  Args:
    key: draws the patches (different ones in a and in b) and directions.
    a: pictures.
    b: as many pictures of the same size.
    patch: side of a patch in pixels.
    patches_per_image: patches taken from each picture at each level.
    directions: random projections.
    coarsest: side of the last level.

  Returns:
    One figure per level; 0 is identical distributions, and two disjoint sets
    of real pictures give the floor that a finite sample can reach.
  """
  if a.shape != b.shape:
    raise ValueError(f"sets differ in shape: {a.shape} and {b.shape}")
  distances = []
  for level, (la, lb) in enumerate(
    zip(_laplacian(a, coarsest), _laplacian(b, coarsest), strict=True)
  ):
    ka, kb, kd = jax.random.split(jax.random.fold_in(key, level), 3)
    da = _descriptors(ka, la, patch, patches_per_image)
    db = _descriptors(kb, lb, patch, patches_per_image)
    distances.append(float(_distance(kd, da, db, directions)))
  return distances


def mean_distance(distances: Sequence[float]) -> float:
  """One figure from the levels' figures: their mean, in units of 1e-3."""
  return 1e3 * float(np.mean(distances))


def _laplacian(x, coarsest):
  levels = []
  while x.shape[1] > coarsest:
    small = _blur(x)[:, ::2, ::2]
    levels.append(x - _enlarge(small))
    x = small
  return [*levels, x]


def _blur(x):
  """5-tap binomial in both axes, mirrored at the border."""
  for axis in (1, 2):
    n = x.shape[axis]
    pads = [(2, 2) if i == axis else (0, 0) for i in range(4)]
    padded = jnp.pad(x, pads, mode="reflect")
    x = sum(
      t * jax.lax.slice_in_dim(padded, i, i + n, axis=axis)
      for i, t in enumerate(_BINOMIAL)
    )
  return x


def _enlarge(x):
  n, h, w, c = x.shape
  zeros = jnp.zeros((n, 2 * h, 2 * w, c), x.dtype)
  return _blur(4 * zeros.at[:, ::2, ::2].set(x))


def _descriptors(key, x, patch, count):
  """Random patches [n * count, patch * patch * 3], normalised per colour."""
  n, h, w, _ = x.shape
  ky, kx = jax.random.split(key)
  y = jax.random.randint(ky, (n, count, 1, 1), 0, h - patch + 1)
  x0 = jax.random.randint(kx, (n, count, 1, 1), 0, w - patch + 1)
  rows = y + jnp.arange(patch)[:, None]
  columns = x0 + jnp.arange(patch)
  patches = x[jnp.arange(n)[:, None, None, None], rows, columns]
  patches = patches.reshape(n * count, patch * patch, 3)
  mean = jnp.mean(patches, (0, 1))
  deviation = jnp.std(patches, (0, 1))
  return ((patches - mean) / (deviation + 1e-8)).reshape(n * count, -1)


@jax.jit(static_argnums=3)
def _distance(key, a, b, directions):
  """Mean over directions of the 1D Wasserstein-1 distance."""
  axes = jax.random.normal(key, (a.shape[1], directions))
  axes = axes / jnp.linalg.norm(axes, axis=0)
  a = jnp.sort(a @ axes, 0)
  b = jnp.sort(b @ axes, 0)
  return jnp.mean(jnp.abs(a - b))
