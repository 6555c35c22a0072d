"""PSPNet-50: objects of VOC or ADE20K, on a dilated ResNet-50 (hszhao/semseg).

Maps ONE picture, [h, w, 3], to logits. The sides are 48 n - 7 pixels (473 in
use, n = 10), so that the map at an eighth of them splits into the blocks of
the pyramid. 21 classes of VOC (0 background, 7 car, 8 cat, 13 horse) or 150 of
ADE20K (1 building). Inference only: without the output that helps training.
"""
# ruff: noqa: D102  # A module's `__call__` is described by its class.

from typing import NamedTuple

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from gan2shape_jax.models.frozen import (
  ConvNorm,
  Params,
  block_means,
  init_frozen,
  max_pool,
  resize_aligned,
)
from gan2shape_jax.models.layers import Conv

PYRAMID = (1, 2, 3, 6)  # Blocks along a side.


class Stage(NamedTuple):
  """A stage of the ResNet; the stride is that of its first block."""

  blocks: int
  stride: int
  dilation: int


STAGES = (Stage(3, 1, 1), Stage(4, 2, 1), Stage(6, 1, 2), Stage(3, 1, 4))


class Bottleneck(nn.Module):
  """ResNet's block of three convolutions; the middle one has the stride."""

  features: int
  stride: int
  dilation: int

  @nn.compact
  def __call__(self, x: Float[Array, "h w i"]) -> Float[Array, "H W o"]:
    out, stride = 4 * self.features, self.stride
    y = nn.relu(ConvNorm(self.features, 1, name="conv1")(x))
    y = ConvNorm(self.features, 3, stride, self.dilation, name="conv2")(y)
    y = ConvNorm(out, 1, name="conv3")(nn.relu(y))
    if x.shape != y.shape:
      x = ConvNorm(out, 1, stride, name="shortcut")(x)
    return nn.relu(x + y)


class PSPNet(nn.Module):
  """Attributes: `width`, the channels of the stem, scales all other layers."""

  classes: int
  width: int = 64

  @nn.compact
  def __call__(self, image: Float[Array, "h w 3"]) -> Float[Array, "h w k"]:
    width = self.width
    x = nn.relu(ConvNorm(width, 3, stride=2, name="stem_0")(image))
    x = nn.relu(ConvNorm(width, 3, name="stem_1")(x))
    x = nn.relu(ConvNorm(2 * width, 3, name="stem_2")(x))
    x = max_pool(x)
    for number, (blocks, stride, dilation) in enumerate(STAGES):
      for block in range(blocks):
        x = Bottleneck(
          width << number,
          stride if block == 0 else 1,
          dilation,
          name=f"stage{number}_{block}",
        )(x)
    pyramid = [x]
    for count in PYRAMID:
      y = ConvNorm(8 * width, 1, name=f"pool_{count}")(block_means(x, count))
      pyramid.append(resize_aligned(nn.relu(y), x.shape[:2]))
    x = jnp.concatenate(pyramid, -1)
    x = nn.relu(ConvNorm(8 * width, 3, name="head")(x))
    logits = Conv(self.classes, 1, use_bias=True, name="classes")(x)
    return resize_aligned(logits, image.shape[:2])


def init_pspnet(key: PRNGKeyArray, *, classes: int, width: int = 64) -> Params:
  """Random parameters."""
  return init_frozen(key, PSPNet(classes, width), 41)
