"""[1, 3, 3, 1] up- and down-sampling of feature maps [b, h, w, c].

The functions of StyleGAN2's `upfirdn2d`, border pixels included, without zero
insertion, grouped or dilated convolutions: filter and convolution are merged
or split into their even and odd phases, which see plain slices only. Gains
are the reference's: 1 going down, 4 (2 per axis) going up. Convolutions and
their results have the type of the map, filters are float32.
"""

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

TAPS = np.array([1.0, 3.0, 3.0, 1.0], np.float32) / 8


def _merge_matrix() -> np.ndarray:
  """The taps [a b p q] of `upsample_conv` from those [k l] of its kernel.

  Along one axis, output 2m + p sees x[m - 1 + a] through the kernel's tap k and
  the blur's (which is symmetric) 2 + k - 2a + p.
  """
  a, p, k = np.ogrid[:3, :2, :3]
  blurred = np.pad(2 * TAPS, 2)[4 + k - 2 * a + p]
  return np.einsum("apk,bql->abpqkl", blurred, blurred).reshape(36, 9)


_MERGE = _merge_matrix()


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
  kernel of the reference's transposed convolution. Its composition with the
  blur spans 6 taps per axis, 3 per output phase, so the whole is one SAME
  convolution to 4 d channels at the *input* side and a depth-to-space, with as
  many multiply-adds as a 3x3 convolution at the output side.
  """
  b, h, w, c = x.shape
  d = kernel.shape[-1]
  # One small product that leaves only whole rows of d to be moved: blurring
  # the kernel in slices takes the CPU up to three times as long as the rest.
  taps = jnp.matmul(
    _MERGE, kernel.reshape(9, c * d), precision=lax.Precision.HIGHEST
  )
  taps = taps.reshape(3, 3, 4, c, d).transpose(0, 1, 3, 2, 4)
  taps = taps.reshape(3, 3, c, 4 * d)
  y = conv(x, taps).reshape(b, h, w, 2, 2, d)
  return y.transpose(0, 1, 3, 2, 4, 5).reshape(b, 2 * h, 2 * w, d)


def downsample_conv(
  x: Float[Array, "b h w c"], kernel: Float[Array, "3 3 c d"]
) -> Float[Array, "b h2 w2 d"]:
  """Halves the (even) side: blur of pad (2, 2), then a stride-2 convolution."""
  y = _blur(jnp.pad(x, ((0, 0), (2, 2), (2, 2), (0, 0))), (1, 2))
  return conv(y.astype(x.dtype), kernel, stride=2, padding="VALID")


def _blur(x, axes):
  """VALID blur in float32, 3 pixels shorter along each of the axes."""
  for axis in axes:
    n = x.shape[axis] - 3
    x = sum(
      tap * lax.slice_in_dim(x, i, i + n, axis=axis)
      for i, tap in enumerate(TAPS)
    )
  return x


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
