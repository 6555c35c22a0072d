"""StyleGAN2's residual discriminator, and its features as a perceptual space.

Pictures are [h, w, 3] in [-1, 1]. Numerically the function of
rosinality/stylegan2-pytorch; kernels are raw (unit variance, HWIO, equalised
at run time), and `final_dense` takes the last map in (h, w, c) order. Maps have
the type of the kernels, which `frozen.cast_kernels` changes; the layer that
reads the colours is float32. A relative error of 0.004 there becomes one of
0.016 in the first block, which tells edges from large, nearly even maps; kept
from it, bfloat16 makes 0.007 (the demo's discriminator, half trained).
"""

import math

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Key, PyTree

from gan2shape_jax.models import equalized, resample
from gan2shape_jax.models.architecture import Architecture


class Conv(nn.Module):
  """Equalised convolution; `activate` adds a bias and a leaky ReLU.

  `precision` is that of the product which a kernel of side 1 is.
  """

  features: int
  side: int
  down: bool = False
  activate: bool = True
  precision: lax.Precision | None = None

  @nn.compact
  def __call__(self, x):
    """[b, h, w, c] to [b, h, w, features], or half the side."""
    raw, scale = equalized.conv_kernel(
      self, self.side, x.shape[-1], self.features
    )
    kernel = (raw * scale).astype(raw.dtype)
    x = x.astype(raw.dtype)
    if self.side == 1:
      x = resample.downsample(x) if self.down else x
      x = jnp.matmul(x, kernel[0, 0], precision=self.precision)
    else:
      x = (resample.downsample_conv if self.down else resample.conv)(x, kernel)
    if self.activate:
      bias = equalized.channel_bias(self, self.features)
      x = equalized.leaky_relu(x + bias)
    return x.astype(raw.dtype)


class Block(nn.Module):
  """Residual block that halves the side."""

  features: int

  @nn.compact
  def __call__(self, x):
    """[b, h, w, c] to [b, h/2, w/2, features]."""
    y = Conv(x.shape[-1], 3, name="conv1")(x)
    y = Conv(self.features, 3, down=True, name="conv2")(y)
    skip = Conv(self.features, 1, down=True, activate=False, name="skip")(x)
    return (y + skip) / math.sqrt(2)


class Discriminator(nn.Module):
  """`rgb`, blocks `block_s` from side s to s / 2, head.

  With `count` it stops after that many blocks and returns their outputs.
  """

  arch: Architecture

  @nn.compact
  def __call__(self, images, count=None):
    """Logits [b], or the outputs of the first `count` blocks."""
    arch = self.arch
    sides = arch.resolutions[:0:-1]
    highest = lax.Precision.HIGHEST
    x = Conv(arch.channels[-1], 1, precision=highest, name="rgb")(images)
    features = []
    for side in sides[:count]:
      out = arch.channels_at(side // 2)
      x = Block(out, name=f"block_{side}")(x)
      features.append(x)
    if count is not None:
      return tuple(features)
    x = jnp.concatenate([x, minibatch_deviation(x)], -1)
    x = Conv(arch.channels[0], 3, name="final_conv")(x)
    x = equalized.Dense(arch.channels[0], name="final_dense")(
      x.reshape(x.shape[0], -1)
    )
    return equalized.Dense(1, name="score")(equalized.leaky_relu(x))[:, 0]


def minibatch_deviation(
  x: Float[Array, "b h w c"], *, group: int = 4
) -> Float[Array, "b h w 1"]:
  """Mean standard deviation within groups of min(b, group) examples.

  Group m holds the examples m, m + b/group, ... as in the reference; b must
  be a multiple of the group.
  """
  b, h, w, c = x.shape
  group = min(b, group)
  x = x.reshape(group, b // group, h, w, c)
  deviation = jnp.mean(jnp.sqrt(jnp.var(x, 0) + 1e-8), (1, 2, 3))
  deviation = jnp.tile(deviation, group)[:, None, None, None]
  return jnp.broadcast_to(deviation, (b, h, w, 1))


def init_discriminator(key: Key[Array, ""], arch: Architecture) -> PyTree:
  """Fresh parameters."""
  images = jnp.zeros((1, arch.image_size, arch.image_size, 3))
  return Discriminator(arch).init(key, images)["params"]


def discriminate(
  params: PyTree, images: Float[Array, "b h w 3"], *, arch: Architecture
) -> Float[Array, " b"]:
  """Real-or-fake logits (real is positive); b a multiple of min(b, 4).

  The one function here that takes a batch: examples meet in the minibatch
  deviation.
  """
  return Discriminator(arch).apply({"params": params}, images)


def discriminator_features(
  params: PyTree,
  image: Float[Array, "h w 3"],
  *,
  arch: Architecture,
  count: int = 4,
) -> tuple[Float[Array, "hi wi ci"], ...]:
  """Outputs of the first `count` residual blocks (GAN2Shape's ftr_num).

  They are float32. The picture may be smaller than the discriminator's own
  size (a power of two that `count` halvings divide): the widths stay, the
  sides shrink.
  """
  features = Discriminator(arch).apply({"params": params}, image[None], count)
  return jax.tree.map(lambda x: x[0].astype(jnp.float32), features)
