"""Layers of the five networks, equal to PyTorch's to rounding.

Every layer maps ONE example, `[h, w, c]` or `[c]`; callers vmap. With shared
parameters a vmapped convolution is one plain convolution over a larger batch.
Kernels are stored as [kh, kw, in, out] with PyTorch's spatial order (nothing is
flipped), so a converter only permutes axes: a convolution's (O, I, kh, kw) by
(2, 3, 1, 0), a transposed convolution's (I, O, kh, kw) by (2, 3, 0, 1).
Convolutions and their results have the type of the kernel.
"""
# ruff: noqa: D102  # A layer's `__call__` is described by its class.

from collections.abc import Callable

import flax.linen as nn
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

GROUP_SIZE = 4  # Channels per group: `networks.py` keeps it at every width.
GROUP_NORM_EPS = 1e-5  # PyTorch's default; linen's is 1e-6.


def torch_bound(fan_in: int) -> Callable[..., Array]:
  """Bound of PyTorch's default initial weights, U(-bound, bound).

  A layer's own `init` therefore fills its weights with their bounds; `networks`
  draws all weights of a network at once, because every draw of its own would
  cost half a second of compilation.

  The fan is an argument because PyTorch takes it from axis 1 of its weight:
  `in * k * k` for a convolution, `out * k * k` for a transposed one.
  """
  return nn.initializers.constant(fan_in**-0.5)


def upsample_nearest(x: Float[Array, "h w c"]) -> Float[Array, "2*h 2*w c"]:
  """Doubles both sides by repeating pixels."""
  h, w, c = x.shape
  repeated = jnp.broadcast_to(x[:, None, :, None], (h, 2, w, 2, c))
  return repeated.reshape(2 * h, 2 * w, c)


def average_pool(x: Float[Array, "h w c"]) -> Float[Array, "h//2 w//2 c"]:
  """Halves both sides by averaging 2x2 blocks."""
  h, w, c = x.shape
  return x.reshape(h // 2, 2, w // 2, 2, c).mean((1, 3))


def transposed_conv(
  x: Float[Array, "h w i"], kernel: Float[Array, "4 4 i o"]
) -> Float[Array, "2*h 2*w o"]:
  """PyTorch's ConvTranspose2d(k4, s2, p1), without input dilation.

  Along one axis, output 2n-1 sees (x[n-1], x[n]) through taps (2, 0) and
  output 2n sees them through taps (3, 1): one 2x2 convolution that makes both
  phases as channels, then depth to space, then a crop of the two outer rows.
  The dilated form's weight gradient is 10 to 20 times slower on XLA's CPU back
  end, and so is this one unless the padding is an operation of its own.
  """
  h, w, _ = x.shape
  i, o = kernel.shape[2:]
  phases = kernel.reshape(2, 2, 2, 2, i, o)[::-1, :, ::-1]
  phases = phases.transpose(0, 2, 4, 1, 3, 5).reshape(2, 2, i, 4 * o)
  padded = jnp.pad(x, ((1, 1), (1, 1), (0, 0)))
  y = _conv(padded, phases, stride=1, padding=0)
  y = y.reshape(h + 1, w + 1, 2, 2, o).transpose(0, 2, 1, 3, 4)
  return y.reshape(2 * h + 2, 2 * w + 2, o)[1:-1, 1:-1]


def narrow_conv(
  x: Float[Array, "h w i"], kernel: Float[Array, "k k i o"]
) -> Float[Array, "h w o"]:
  """The same-size convolution for few output channels (k odd, o << i).

  One product per pixel makes every tap's contribution, then two sums gather
  them, over the kernel's rows and over its columns. XLA's CPU back end takes
  the weight gradient of a plain convolution with few output channels 40 times
  slower than this (12 against 0.3 ms, 64 px, 5x5, 32 -> 3 channels).
  """
  h, w, i = x.shape
  k, _, _, o = kernel.shape
  taps = kernel.transpose(2, 0, 1, 3).reshape(i, -1)
  y = (x.reshape(-1, i) @ taps).reshape(h, w, k, k, o)
  margin = (k // 2, k // 2)
  y = jnp.pad(y, (margin, (0, 0), (0, 0), (0, 0), (0, 0)))
  y = sum(y[row : row + h, :, row] for row in range(k))
  y = jnp.pad(y, ((0, 0), margin, (0, 0), (0, 0)))
  return sum(y[:, column : column + w, column] for column in range(k))


class Conv(nn.Module):
  """Convolution with zero padding (k-1)//2: even sides shrink by the stride."""

  features: int
  kernel_size: int
  stride: int = 1
  use_bias: bool = False

  @nn.compact
  def __call__(self, x: Float[Array, "h w i"]) -> Float[Array, "..."]:
    k = self.kernel_size
    bound = torch_bound(x.shape[-1] * k * k)
    shape = (k, k, x.shape[-1], self.features)
    kernel = self.param("kernel", bound, shape)
    y = _conv(x, kernel, stride=self.stride, padding=(k - 1) // 2)
    if self.use_bias:
      y += self.param("bias", bound, (self.features,)).astype(y.dtype)
    return y


class TransposedConv(nn.Module):
  """Bias-free ConvTranspose2d(k4, s2, p1): doubles the sides."""

  features: int

  @nn.compact
  def __call__(self, x: Float[Array, "h w i"]) -> Float[Array, "2*h 2*w o"]:
    shape = (4, 4, x.shape[-1], self.features)
    bound = torch_bound(16 * self.features)
    return transposed_conv(x, self.param("kernel", bound, shape))


class NarrowConv(nn.Module):
  """Bias-free `Conv` of stride 1 for few features (see `narrow_conv`)."""

  features: int
  kernel_size: int

  @nn.compact
  def __call__(self, x: Float[Array, "h w i"]) -> Float[Array, "h w o"]:
    k = self.kernel_size
    bound = torch_bound(x.shape[-1] * k * k)
    shape = (k, k, x.shape[-1], self.features)
    return narrow_conv(x, self.param("kernel", bound, shape))


class MapToVector(nn.Module):
  """Bias-free convolution with a kernel as large as its input: a product."""

  features: int

  @nn.compact
  def __call__(self, x: Float[Array, "h w i"]) -> Float[Array, " o"]:
    shape = (*x.shape, self.features)
    kernel = self.param("kernel", torch_bound(x.size), shape)
    return x.reshape(-1) @ kernel.reshape(-1, self.features)


class VectorToMap(nn.Module):
  """Bias-free ConvTranspose2d(k4, s1, p0) of a 1x1 map: a product."""

  features: int

  @nn.compact
  def __call__(self, x: Float[Array, " i"]) -> Float[Array, "4 4 o"]:
    shape = (4, 4, x.size, self.features)
    kernel = self.param("kernel", torch_bound(16 * self.features), shape)
    return jnp.einsum("i,hwio->hwo", x, kernel)


class GroupNorm(nn.Module):
  """GroupNorm with `GROUP_SIZE` channels per group, scale and bias."""

  @nn.compact
  def __call__(self, x: Float[Array, "h w c"]) -> Float[Array, "h w c"]:
    centred = x - _group_means(x)
    variance = _group_means(jnp.square(centred))
    scale = self.param("scale", nn.initializers.ones, x.shape[-1:])
    bias = self.param("bias", nn.initializers.zeros, x.shape[-1:])
    return centred * (lax.rsqrt(variance + GROUP_NORM_EPS) * scale) + bias


def _group_means(x):
  """Means over space and group, repeated per channel: [h, w, c] -> [c].

  Space first: reducing over [h, w, groups, GROUP_SIZE] at once takes 3 times
  as long on the CPU.
  """
  means = x.mean((0, 1)).reshape(-1, GROUP_SIZE).mean(1)
  return jnp.repeat(means, GROUP_SIZE)


def _conv(x, kernel, *, stride, padding):
  return lax.conv_general_dilated(
    x.astype(kernel.dtype)[None],
    kernel,
    window_strides=(stride, stride),
    padding=((padding, padding), (padding, padding)),
    dimension_numbers=("NHWC", "HWIO", "NHWC"),
  )[0]
