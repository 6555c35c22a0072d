"""Layers with an equalised learning rate, as in StyleGAN2.

Weights are stored with unit variance and scaled by 1 / sqrt(fan in) at run
time, so that Adam moves every layer at the same relative speed.
"""

import math

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

SQRT2 = math.sqrt(2.0)
LEAKY_SLOPE = 0.2


def leaky_relu(x: Float[Array, "..."]) -> Float[Array, "..."]:
  """sqrt(2) LReLU_0.2: keeps the variance of a normal input near one."""
  return jax.nn.leaky_relu(x, LEAKY_SLOPE) * SQRT2


class Dense(nn.Module):
  """Linear layer; stored weights are N(0, 1) / `lr_scale`.

  Attributes:
    features: length of the output.
    lr_scale: the layer's learning rate relative to the network's.
    bias_init: initial value of the effective bias.
  """

  features: int
  lr_scale: float = 1.0
  bias_init: float = 0.0

  @nn.compact
  def __call__(self, x: Float[Array, "*n c"]) -> Float[Array, "*n d"]:
    """Applies the layer along the last axis."""
    c = x.shape[-1]
    kernel = self.param(
      "kernel",
      nn.initializers.normal(1 / self.lr_scale),
      (c, self.features),
    )
    bias = self.param(
      "bias",
      nn.initializers.constant(self.bias_init / self.lr_scale),
      (self.features,),
    )
    kernel = kernel * (self.lr_scale / math.sqrt(c))
    # Latents are compared with each other: no reduced precision, which is the
    # default of TPUs and GPUs. These are small products.
    y = jnp.matmul(x, kernel, precision=lax.Precision.HIGHEST)
    return y + bias * self.lr_scale


def conv_kernel(
  module: nn.Module, side: int, channels: int, features: int
) -> tuple[Float[Array, "k k c d"], np.float32]:
  """A module's raw N(0, 1) `kernel`, and the factor to apply to it.

  The type of the kernel is the one to convolve in; its product with the factor
  is float32.
  """
  kernel = module.param(
    "kernel", nn.initializers.normal(1.0), (side, side, channels, features)
  )
  return kernel, np.float32(1 / math.sqrt(channels * side * side))


def channel_bias(module: nn.Module, features: int) -> Float[Array, " d"]:
  """A module's `bias`, zero at first."""
  return module.param("bias", nn.initializers.zeros, (features,))


def rms_normalise(x: Float[Array, "*n c"]) -> Float[Array, "*n c"]:
  """StyleGAN2's pixel norm: unit root mean square along the last axis."""
  return x * jax.lax.rsqrt(jnp.mean(x * x, -1, keepdims=True) + 1e-8)
