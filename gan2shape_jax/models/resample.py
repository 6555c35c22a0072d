"""[1, 3, 3, 1] up- and down-sampling of feature maps [b, h, w, c].

The functions of StyleGAN2's `upfirdn2d`, border pixels included, without zero
insertion, grouped or dilated convolutions: what changes the side is split into
its even and odd phases, which see plain slices only. Gains are the reference's:
1 going down, 4 (2 per axis) going up. Convolutions and their results have the
type of the map, filters are float32.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

TAPS = np.array([1.0, 3.0, 3.0, 1.0], np.float32) / 8


def conv(
  x: Float[Array, "b h w c"],
  kernel: Float[Array, "kh kw c d"],
  *,
  stride: int = 1,
  padding: str = "SAME",
) -> Float[Array, "b h2 w2 d"]:
  """Plain correlation, NHWC with an HWIO kernel, in the type of `x`."""
  return lax.conv_general_dilated(
    x,
    kernel.astype(x.dtype),
    (stride, stride),
    padding,
    dimension_numbers=("NHWC", "HWIO", "NHWC"),
  )


def upsample(x: Float[Array, "b h w c"]) -> Float[Array, "b h2 w2 c"]:
  """Doubles the side: upfirdn of up 2, pad (2, 1), gain 4."""
  return _upsample_axis(_upsample_axis(x, 1), 2)


def downsample(x: Float[Array, "b h w c"]) -> Float[Array, "b h2 w2 c"]:
  """Halves the (even) side: upfirdn of pad (1, 1), down 2, gain 1."""
  y = _downsample_axis(_downsample_axis(x.astype(jnp.float32), 1), 2)
  return y.astype(x.dtype)


def upsample_conv(
  x: Float[Array, "b h w c"], kernel: Float[Array, "3 3 c d"]
) -> Float[Array, "b h2 w2 d"]:
  """Doubles the side: stride-2 transposed convolution, then blur of pad (1, 1).

  `kernel` is a correlation kernel on the upsampled map: the spatially flipped
  kernel of the reference's transposed convolution. Merged with the blur it
  would have four times the taps. Reverse mode only, see `_self_adjoint_blur`.
  """
  gain = 4
  y = _transposed_conv(x, gain * kernel)
  return _self_adjoint_blur(y.astype(jnp.float32), 1).astype(x.dtype)


def downsample_conv(
  x: Float[Array, "b h w c"], kernel: Float[Array, "3 3 c d"]
) -> Float[Array, "b h2 w2 d"]:
  """Halves the (even) side: blur of pad (2, 2), then a stride-2 convolution."""
  y = _blur(x.astype(jnp.float32), 2)
  return conv(y.astype(x.dtype), kernel, stride=2, padding="VALID")


def _transposed_conv(x, kernel):
  """[b, h, w, c] to [b, 2 h + 1, 2 w + 1, d], stride 2.

  Even rows see the first and last row of the (flipped) kernel, odd ones its
  middle; columns likewise.
  """
  b, h, w, _ = x.shape
  x = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
  even, odd = slice(None, None, 2), slice(1, 2)
  valid = partial(conv, padding="VALID")
  phases = [
    [valid(x, kernel[even, even]), valid(x[:, :, 1:], kernel[even, odd])],
    [valid(x[:, 1:], kernel[odd, even]), valid(x[:, 1:, 1:], kernel[odd, odd])],
  ]
  y = jnp.stack([jnp.stack(row, 3) for row in phases], 2)
  return y.reshape(b, 2 * h + 2, 2 * w + 2, -1)[:, :-1, :-1]


def _blur(x, pad):
  """Blurs a map that is padded by `pad` pixels on all sides."""
  x = jnp.pad(x, ((0, 0), (pad, pad), (pad, pad), (0, 0)))
  for axis in (1, 2):
    n = x.shape[axis] - 3
    x = sum(
      tap * lax.slice_in_dim(x, i, i + n, axis=axis)
      for i, tap in enumerate(TAPS)
    )
  return x


@partial(jax.custom_vjp, nondiff_argnums=(1,))
def _self_adjoint_blur(x, pad):
  """`_blur`, whose gradient is a blur as well, for the filter is symmetric.

  JAX would make it a sum of padded maps, which takes a CPU three times as long.
  The discriminator cannot have it: its penalty needs forward mode.
  """
  return _blur(x, pad)


_self_adjoint_blur.defvjp(
  lambda x, pad: (_self_adjoint_blur(x, pad), None),
  lambda pad, _, slope: (_self_adjoint_blur(slope, 3 - pad),),
)


def _shifted(x, axis):
  """(x[m - 1], x[m + 1]) along an axis, zero outside."""
  n = x.shape[axis]
  pads = [(0, 0)] * x.ndim
  pads[axis] = (1, 1)
  x = jnp.pad(x, pads)
  return (
    lax.slice_in_dim(x, 0, n, axis=axis),
    lax.slice_in_dim(x, 2, n + 2, axis=axis),
  )


def _upsample_axis(x, axis):
  before, after = _shifted(x, axis)
  both = jnp.stack([before + 3 * x, 3 * x + after], axis + 1) / 4
  shape = list(x.shape)
  shape[axis] *= 2
  return both.reshape(shape)


def _downsample_axis(x, axis):
  shape = list(x.shape)
  shape[axis : axis + 1] = [shape[axis] // 2, 2]
  even, odd = jnp.moveaxis(x.reshape(shape), axis + 1, 0)
  before, after = _shifted(odd, axis)[0], _shifted(even, axis)[1]
  return (before + 3 * (even + odd) + after) / 8
