"""Loss terms: photometric, features, smoothness, trust region, offset.

Images are in [-1, 1], masks in [0, 1]. Each term is a scalar and unweighted.
Leading axes, where allowed, share one normalisation: a masked mean over a
batch weighs every pixel of the batch alike, as the reference does. A batch
may be split over devices, along the mapped axis `across`: then the mean of
their results is that of the whole batch.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

# Far below one pixel of any mask: an empty mask gives 0 instead of NaN.
_MIN_WEIGHT = 1e-6


def photometric(
  image: Float[Array, "*b h w c"],
  target: Float[Array, "*b h w c"],
  mask: Float[Array, "*b h w"],
  *,
  across: str | None = None,
) -> Float[Array, ""]:
  """Mean absolute difference under a mask (GAN2Shape utils.py:106-115)."""
  return _masked_mean(jnp.abs(image - target), mask, across)


def feature_distance(
  features: tuple[Float[Array, "*b _ _ _"], ...],
  target: tuple[Float[Array, "*b _ _ _"], ...],
  mask: Float[Array, "*b h w"],
  *,
  power: int = 1,
  across: str | None = None,
) -> Float[Array, ""]:
  """Sum over layers of the masked mean absolute difference of features.

  The discriminator-feature loss (GAN2Shape losses.py:29-53). The
  caller stops the gradient of the target.

  Args:
    features: maps [*b, h_i, w_i, c_i] whose sides divide the mask's.
    target: maps of the same shapes.
    mask: at full resolution; every layer sees its block means.
    power: 2 for squared differences.
    across: see above.
  """
  return sum(
    _masked_mean(
      jnp.abs(a - b) ** power, _block_means(mask, *a.shape[-3:-1]), across
    )
    for a, b in zip(features, target, strict=True)
  )


def smoothness(field: Float[Array, "h w"]) -> Float[Array, ""]:
  """Mean absolute second differences, xx + xy + yx + yy (both mixed ones)."""
  along_x = jnp.diff(field, axis=1)
  along_y = jnp.diff(field, axis=0)
  second = [
    jnp.diff(f, axis=axis) for f in (along_x, along_y) for axis in (0, 1)
  ]
  return sum(jnp.abs(f).mean() for f in second)


def trust_region(
  depth: Float[Array, "h w"],
  start: Float[Array, "h w"],
  *,
  radius: float,
) -> Float[Array, ""]:
  """Mean square, in radii, of how far depths lie outside of a trust region.

  Not in the paper. A picture and its samples say nothing of what their shape
  hides. Where they are of a strongly turned object, a thin piece at its rim
  that jumps towards the camera becomes a screen before the rest, on which one
  picture can be painted; nothing draws it back.

  Args:
    depth: scene units.
    start: the middle of the region.
    radius: scene units; nearer to `start` than this, depths are free.
  """
  outside = jnp.abs(depth - start) / radius - 1
  return jnp.mean(jnp.square(jnp.maximum(outside, 0)))


def latent_offset(offset: Float[Array, "*b n"]) -> Float[Array, ""]:
  """Mean square of the mapped latent offset.

  As GAN2Shape model.py:625 has it; equation 3 of the paper writes the norm of
  the encoder's output instead (docs/differences.md, 9).
  """
  return jnp.mean(jnp.square(offset))


def _masked_mean(values, mask, across):
  weight = jnp.broadcast_to(mask[..., None], values.shape)
  total = weight.sum()
  if across is not None:
    total = jax.lax.pmean(total, across)
  return (values * weight).sum() / jnp.maximum(total, _MIN_WEIGHT)


def _block_means(mask, h, w):
  *leading, height, width = mask.shape
  blocks = mask.reshape(*leading, h, height // h, w, width // w)
  return blocks.mean((-3, -1))
