"""BiSeNet: the parts of a face, on ResNet-18 (zllrunning/face-parsing.PyTorch).

Maps ONE picture, [h, w, 3], whose sides are multiples of 32, to logits. The
19 classes: 0 background, 1 skin, 2-3 brows, 4-5 eyes, 6 glasses, 7-8 ears,
9 earring, 10 nose, 11 mouth, 12-13 lips, 14 neck, 15 necklace, 16 cloth,
17 hair, 18 hat. Inference only: without the two outputs that help training.
"""
# ruff: noqa: D102  # A module's `__call__` is described by its class.

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from gan2shape_jax.models.frozen import (
  ConvNorm,
  Params,
  global_mean,
  init_frozen,
  max_pool,
  resize_aligned,
)
from gan2shape_jax.models.layers import Conv, upsample_nearest


class BasicBlock(nn.Module):
  """ResNet's block of two convolutions."""

  features: int
  stride: int = 1

  @nn.compact
  def __call__(self, x: Float[Array, "h w i"]) -> Float[Array, "H W o"]:
    y = ConvNorm(self.features, 3, stride=self.stride, name="conv1")(x)
    y = ConvNorm(self.features, 3, name="conv2")(nn.relu(y))
    if x.shape != y.shape:
      x = ConvNorm(self.features, 1, stride=self.stride, name="shortcut")(x)
    return nn.relu(x + y)


class Attention(nn.Module):
  """A convolution whose channels are weighted by the map's mean."""

  features: int

  @nn.compact
  def __call__(self, x: Float[Array, "h w i"]) -> Float[Array, "h w o"]:
    x = nn.relu(ConvNorm(self.features, 3, name="conv")(x))
    weight = ConvNorm(self.features, 1, name="weight")(global_mean(x))
    return x * nn.sigmoid(weight)


class Fusion(nn.Module):
  """A 1x1 convolution plus itself, its channels weighted by its mean."""

  features: int

  @nn.compact
  def __call__(self, x: Float[Array, "h w i"]) -> Float[Array, "h w o"]:
    x = nn.relu(ConvNorm(self.features, 1, name="conv")(x))
    squeezed = Conv(self.features // 4, 1, name="squeeze")(global_mean(x))
    weight = Conv(self.features, 1, name="weight")(nn.relu(squeezed))
    return x * nn.sigmoid(weight) + x


class BiSeNet(nn.Module):
  """Attributes: `width`, the channels of the stem, scales all other layers."""

  classes: int = 19
  width: int = 64

  @nn.compact
  def __call__(self, image: Float[Array, "h w 3"]) -> Float[Array, "h w k"]:
    width = self.width
    x = nn.relu(ConvNorm(width, 7, stride=2, name="stem")(image))
    x = max_pool(x)
    stages = []
    for stage in range(4):
      stride = 2 if stage else 1
      x = BasicBlock(width << stage, stride, name=f"stage{stage}_0")(x)
      x = BasicBlock(width << stage, name=f"stage{stage}_1")(x)
      stages.append(x)
    _, at_8, at_16, at_32 = stages
    y = nn.relu(ConvNorm(2 * width, 1, name="context")(global_mean(at_32)))
    y = Attention(2 * width, name="attention_32")(at_32) + y
    y = ConvNorm(2 * width, 3, name="up_16")(upsample_nearest(y))
    y = Attention(2 * width, name="attention_16")(at_16) + nn.relu(y)
    y = ConvNorm(2 * width, 3, name="up_8")(upsample_nearest(y))
    y = jnp.concatenate([at_8, nn.relu(y)], -1)
    y = Fusion(4 * width, name="fusion")(y)
    y = nn.relu(ConvNorm(4 * width, 3, name="head")(y))
    logits = Conv(self.classes, 1, name="classes")(y)
    return resize_aligned(logits, image.shape[:2])


def init_bisenet(
  key: PRNGKeyArray, *, classes: int = 19, width: int = 64
) -> Params:
  """Random parameters."""
  return init_frozen(key, BiSeNet(classes, width), 64)
