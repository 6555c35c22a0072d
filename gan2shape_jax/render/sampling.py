"""Sampling pictures at grids, and resizing them.

Pictures are `image[h, w, c]`, any value range. A grid holds (x, y), with -1 and
1 at the centres of the first and last pixel (`align_corners=True`); what lies
outside the picture is 0, tap by tap. Resizing puts pixel centres at
half-integers (`align_corners=False`), like torch.nn.functional.interpolate.
"""

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

# Grids often hit pixel centres (the identity view hits all). XLA may compute a
# coordinate twice, once for the index and once for the weight, rounded
# differently; without a snap the two floors would then differ by a pixel.
_SNAP = 1e-3


def sample_bilinear(
  image: Float[Array, "h w c"], grid: Float[Array, "H W 2"]
) -> Float[Array, "H W c"]:
  """Bilinear samples; differentiable in the image and in the grid.

  torch's grid_sample with bilinear mode, zero padding and align_corners=True,
  the convention of GAN2Shape model.py:513 under torch 1.1 and 1.2.
  """
  x, y = _pixel_coordinates(image, grid)
  left, top = jnp.floor(x + _SNAP), jnp.floor(y + _SNAP)
  right_weight, bottom_weight = x - left, y - top
  taps = [
    (top, left, (1 - bottom_weight) * (1 - right_weight)),
    (top, left + 1, (1 - bottom_weight) * right_weight),
    (top + 1, left, bottom_weight * (1 - right_weight)),
    (top + 1, left + 1, bottom_weight * right_weight),
  ]
  return sum(
    _pixel_or_zero(image, row, column) * weight[..., None]
    for row, column, weight in taps
  )


def sample_nearest(
  image: Float[Array, "h w c"], grid: Float[Array, "H W 2"]
) -> Float[Array, "H W c"]:
  """Nearest pixels; ties go to the even one, as in torch's grid_sample."""
  x, y = _pixel_coordinates(image, grid)
  return _pixel_or_zero(image, jnp.round(y), jnp.round(x))


def _pixel_coordinates(image, grid):
  height, width, _ = image.shape
  x = (grid[..., 0] + 1) * ((width - 1) / 2)
  y = (grid[..., 1] + 1) * ((height - 1) / 2)
  return x, y


def _pixel_or_zero(image, row, column):
  """image[row, column] for whole float coordinates, 0 outside."""
  height, width, channels = image.shape
  inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
  index = jnp.where(inside, row * width + column, 0).astype(jnp.int32)
  pixels = jnp.reshape(image, (-1, channels))[index]
  return jnp.where(inside[..., None], pixels, 0.0)


def resize_area(
  image: Float[Array, "h w c"], size: tuple[int, int]
) -> Float[Array, "H W c"]:
  """Averages over the pixels each output pixel touches.

  torch's interpolate with mode="area", that is adaptive_avg_pool2d: output i
  averages inputs floor(i n / m) to ceil((i + 1) n / m) - 1, all alike.
  """
  return _resize(image, size, _area_weights)


def resize_bilinear(
  image: Float[Array, "h w c"], size: tuple[int, int]
) -> Float[Array, "H W c"]:
  """Bilinear resizing without antialiasing.

  torch's interpolate with mode="bilinear", align_corners=False, whose samples
  are clamped to the outermost pixel centres.
  """
  return _resize(image, size, _bilinear_weights)


def _resize(image, size, weights):
  rows, columns = (
    weights(n, m) for n, m in zip(image.shape[:2], size, strict=True)
  )
  return jnp.einsum(
    "Hh,Ww,hwc->HWc", rows, columns, image, precision=lax.Precision.HIGHEST
  )


def _area_weights(n, m):
  """Matrix `[m, n]` from n pixels to m."""
  i, j = np.arange(m)[:, None], np.arange(n)
  first, stop = i * n // m, -(-(i + 1) * n // m)
  touched = (first <= j) & (j < stop)
  return np.float32(touched / (stop - first))


def _bilinear_weights(n, m):
  """Matrix `[m, n]` from n pixels to m."""
  position = np.clip((np.arange(m)[:, None] + 0.5) * n / m - 0.5, 0, n - 1)
  return np.float32(np.maximum(1 - np.abs(position - np.arange(n)), 0))
