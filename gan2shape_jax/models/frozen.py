"""Networks that only ever run with given weights: their parts, their precision.

Every layer maps ONE example, `[h, w, c]`; callers vmap. Nothing here trains:
batch norms use their stored statistics. Kernels are stored as in `layers.py`.
"""
# ruff: noqa: D102  # A layer's `__call__` is described by its class.

import functools
import math
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, DTypeLike, Float, PRNGKeyArray

Params = dict[str, Any]

BATCH_NORM_EPS = 1e-5  # PyTorch's default, as linen's.


class ConvNorm(nn.Module):
  """Bias-free convolution and batch norm.

  Zero padding keeps the sides for odd kernels, whatever the dilation; the
  stride divides them, rounding up.
  """

  features: int
  kernel_size: int
  stride: int = 1
  dilation: int = 1

  @nn.compact
  def __call__(self, x: Float[Array, "h w i"]) -> Float[Array, "H W o"]:
    k, channels = self.kernel_size, (self.features,)
    zeros, ones = nn.initializers.zeros, nn.initializers.ones
    kernel = self.param("kernel", zeros, (k, k, x.shape[-1], *channels))
    scale = self.param("scale", ones, channels)
    bias = self.param("bias", zeros, channels)
    mean = self.param("mean", zeros, channels)
    variance = self.param("variance", ones, channels)
    margin = self.dilation * (k // 2)
    y = lax.conv_general_dilated(
      x[None],
      kernel,
      window_strides=(self.stride, self.stride),
      padding=((margin, margin), (margin, margin)),
      rhs_dilation=(self.dilation, self.dilation),
      dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )[0]
    gain = scale * lax.rsqrt(variance + BATCH_NORM_EPS)
    return y * gain + (bias - mean * gain)


def max_pool(x: Float[Array, "h w c"]) -> Float[Array, "H W c"]:
  """PyTorch's MaxPool2d(3, stride=2, padding=1): halves, rounding up."""
  return lax.reduce_window(
    x,
    -jnp.inf,
    lax.max,
    window_dimensions=(3, 3, 1),
    window_strides=(2, 2, 1),
    padding=((1, 1), (1, 1), (0, 0)),
  )


def global_mean(x: Float[Array, "h w c"]) -> Float[Array, "1 1 c"]:
  """The mean over the map, as a map of one pixel."""
  return x.mean((0, 1), keepdims=True)


def block_means(x: Float[Array, "h w c"], count: int) -> Float[Array, "n n c"]:
  """Means of `count` x `count` blocks: adaptive pooling where they are alike.

  Raises:
    ValueError: the sides are no multiples of `count`.
  """
  h, w, c = x.shape
  if h % count or w % count:
    raise ValueError(f"a map of {h} x {w} does not split by {count}")
  blocks = x.reshape(count, h // count, count, w // count, c)
  return blocks.mean((1, 3))


def resize_aligned(
  x: Float[Array, "h w c"], size: tuple[int, int]
) -> Float[Array, "H W c"]:
  """Bilinear resizing that keeps the centres of the corner pixels.

  torch's interpolate with mode="bilinear", align_corners=True, the way in
  which both parsing networks enlarge their maps.
  """
  rows, columns = (
    _aligned_weights(n, m) for n, m in zip(x.shape[:2], size, strict=True)
  )
  return jnp.einsum(
    "Hh,Ww,hwc->HWc", rows, columns, x, precision=lax.Precision.HIGHEST
  )


def _aligned_weights(n, m):
  """Matrix `[m, n]` from n pixels to m."""
  position = np.arange(m)[:, None] * (n - 1) / max(m - 1, 1)
  return np.float32(np.maximum(1 - np.abs(position - np.arange(n)), 0))


def cast_kernels(params: Params, dtype: DTypeLike) -> Params:
  """Kernels of convolutions in a type of floats; all else stays float32.

  The generator, the discriminator and LPIPS convolve in the type of their
  kernels, so this is all that makes them compute in bfloat16. Cast once, not
  in a program. Pictures, latents and features remain float32, and so does the
  layer through which the discriminator reads colours (it says why).

  Args:
    params: of one network or of several, as `init_*` makes them.
    dtype: such as "bfloat16".
  """

  def cast(x):
    # Only kernels of convolutions have four axes, (kh, kw, in, out).
    reads_colours = x.shape[:3] == (1, 1, 3)
    return x.astype(dtype) if x.ndim == 4 and not reads_colours else x

  return jax.tree.map(cast, params)


@functools.partial(jax.jit, static_argnums=(1, 2))
def init_frozen(key: PRNGKeyArray, module: nn.Module, side: int) -> Params:
  """Random weights in the place of converted ones, for tests.

  Kernels keep the variance of rectified maps (He); the rest is what the
  layers start with. All kernels share one draw, as in `networks.py`.

  Args:
    key: random key.
    module: maps [side, side, 3].
    side: of any picture that the module takes, in pixels.
  """
  params = module.init(key, jnp.zeros((side, side, 3)))["params"]
  leaves, structure = jax.tree.flatten(params)
  ends = np.cumsum([leaf.size for leaf in leaves])
  draws = jax.random.uniform(key, (ends[-1],), minval=-1.0, maxval=1.0)
  return jax.tree.unflatten(
    structure,
    [
      # Only kernels have four axes; [kh, kw, in, out].
      draw.reshape(leaf.shape) * math.sqrt(6 / math.prod(leaf.shape[:3]))
      if leaf.ndim == 4
      else leaf
      for leaf, draw in zip(leaves, jnp.split(draws, ends[:-1]), strict=True)
    ],
  )
