"""LPIPS, version 0.1 "net-lin" on VGG16: a perceptual distance of pictures.

Pictures are [h, w, 3] in [-1, 1], their sides multiples of 16. The distance is
in two halves, so that a target is read once: `distance(features(params, a),
features(params, b))`. Only what depends on the weights is in the first half.
Regions are masked in the pictures (grey, 0), not here. VGG computes in the type
of its kernels, which `frozen.cast_kernels` changes; the rest is float32.
"""
# ruff: noqa: D102  # A module's `__call__` is described by its class.

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from gan2shape_jax.models.frozen import Params, init_frozen
from gan2shape_jax.models.layers import Conv

# ImageNet's mean and standard deviation for pictures in [-1, 1], as published.
SHIFT = (-0.030, -0.088, -0.188)
SCALE = (0.458, 0.448, 0.450)
# (convolutions, channels in widths) of VGG16's blocks. The map at the end of
# each, relu1_2 to relu5_3, counts.
BLOCKS = ((2, 1), (2, 2), (3, 4), (3, 8), (3, 8))

Features = tuple[Float[Array, "_ _ _"], ...]


class Lpips(nn.Module):
  """VGG16 and the weights of its channels; `width` scales the channels."""

  width: int = 64

  @nn.compact
  def __call__(self, image: Float[Array, "h w 3"]) -> Features:
    x = (image - jnp.array(SHIFT)) / jnp.array(SCALE)
    maps = []
    for block, (convolutions, multiple) in enumerate(BLOCKS, start=1):
      if block > 1:
        x = _halve(x)
      for i in range(1, convolutions + 1):
        name = f"conv{block}_{i}"
        conv = Conv(multiple * self.width, 3, use_bias=True, name=name)
        x = nn.relu(conv(x))
      weight = self.param(f"linear{block}", nn.initializers.ones, x.shape[-1:])
      maps.append(_unit(x.astype(jnp.float32)) * jnp.sqrt(weight))
    return tuple(maps)


def init_lpips(key: PRNGKeyArray, *, width: int = 64) -> Params:
  """Random parameters."""
  return init_frozen(key, Lpips(width), 16)


def features(params: Params, image: Float[Array, "h w 3"]) -> Features:
  """Five maps of unit vectors, their channels weighted.

  The published weight of a squared difference is put on both features as its
  root; it is not negative.
  """
  width = params["conv1_1"]["bias"].size
  return Lpips(width).apply({"params": params}, image)


def distance(a: Features, b: Features) -> Float[Array, ""]:
  """Sum over maps of the mean squared distance of their vectors."""
  return sum(
    jnp.square(x - y).sum(-1).mean() for x, y in zip(a, b, strict=True)
  )


def _unit(x):
  """Vectors of length 1, or 0 where they are 0.

  The published x / (|x| + 1e-10) has no gradient at 0 (docs/differences.md,
  10); there it is that of x here, which the ReLU before stops.
  """
  squares = jnp.square(x).sum(-1, keepdims=True)
  length = jnp.sqrt(jnp.where(squares > 0, squares, 1.0))
  return x / (length + 1e-10)


def _halve(x):
  """PyTorch's MaxPool2d(2).

  Where pixels are equal, as in a masked region, the first takes the gradient,
  as PyTorch's does; `max` would share it.
  """
  return _larger(
    _larger(x[::2, ::2], x[::2, 1::2]), _larger(x[1::2, ::2], x[1::2, 1::2])
  )


def _larger(a, b):
  return jnp.where(a >= b, a, b)
