"""Priors: an ellipsoid's depth, and distributions of views and lights.

Masks are in [0, 1], depth in scene units, boxes in pixels (column x, row y,
centres at integers, both ends inside), views and lights in the raw units of
`decode.py`. What differs between categories of objects is a number here.
"""

from typing import NamedTuple

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from gan2shape_jax.render.shading import Light

_YAW = 1  # Index of the yaw angle in a raw view.


class Box(NamedTuple):
  """First and last row and column, fractions of a pixel allowed."""

  top: Float[Array, ""]
  bottom: Float[Array, ""]
  left: Float[Array, ""]
  right: Float[Array, ""]


def mask_box(mask: Float[Array, "h w"], *, threshold: float = 0.7) -> Box:
  """Bounding box of the pixels from `threshold` on.

  GAN2Shape model.py:310-311. A mask with fewer than two rows or
  columns has no box; it gets one in the middle, with half the image's sides.
  """
  inside = mask >= threshold
  top, bottom = _extent(inside.any(axis=1))
  left, right = _extent(inside.any(axis=0))
  found = (bottom > top) & (right > left)
  height, width = mask.shape
  middle = Box(
    top=(height - 1) * 0.25,
    bottom=(height - 1) * 0.75,
    left=(width - 1) * 0.25,
    right=(width - 1) * 0.75,
  )
  box = Box(top, bottom, left, right)
  return jax.tree.map(lambda a, b: jnp.where(found, a, b), box, middle)


def adjust_box(
  box: Box,
  image_size: int,
  *,
  grow_top: float = 0.0,
  grow_bottom: float = 0.0,
  shrink_sides: float = 0.0,
  bottom_to_border: bool = False,
) -> Box:
  """Edits the box of a mask to that of the whole object.

  The reference's edits (GAN2Shape model.py:312-320): synthetic faces grow_top
  1/6, cars and churches grow_bottom 1/6, faces shrink_sides 1/12 and
  bottom_to_border, cats none.

  Args:
    box: box of the mask.
    image_size: side of the image in pixels.
    grow_top: upward, as a fraction of the box's height.
    grow_bottom: downward, likewise. The box may leave the image.
    shrink_sides: inward on each side, as a fraction of the box's width.
    bottom_to_border: move the bottom to the image's last row.
  """
  height, width = box.bottom - box.top, box.right - box.left
  bottom = image_size - 1.0 if bottom_to_border else box.bottom
  return Box(
    top=box.top - grow_top * height,
    bottom=bottom + grow_bottom * height,
    left=box.left + shrink_sides * width,
    right=box.right - shrink_sides * width,
  )


def ellipsoid_depth(
  box: Box,
  image_size: int,
  *,
  near: float,
  far: float,
  radius: float = 0.4,
) -> Float[Array, "h w"]:
  """A sphere's cap fitted into a box, on a plane.

  Depth is `near` at the box's centre and exactly `far` on the inscribed
  ellipse and outside of it. The rows are squeezed about the box's centre,
  where the reference squeezes about the image's (GAN2Shape model.py:322-337;
  docs/differences.md, 13).

  Args:
    box: where the object is, pixels.
    image_size: side of the depth map in pixels.
    near: depth of the nearest point, scene units.
    far: depth of the rim and the plane, scene units.
    radius: of the sphere, scene units; at least far - near.
  """
  x = jnp.arange(image_size) - (box.left + box.right) / 2
  y = jnp.arange(image_size) - (box.top + box.bottom) / 2
  # Distance from the centre: 1 on the inscribed ellipse.
  x = x / ((box.right - box.left) / 2)
  y = y / ((box.bottom - box.top) / 2)
  distance_squared = x[None, :] ** 2 + y[:, None] ** 2
  rim_squared = radius**2 - (radius - (far - near)) ** 2
  # Never under the root's zero: rim <= radius.
  cap = radius**2 - rim_squared * jnp.minimum(distance_squared, 1.0)
  return near + radius - jnp.sqrt(cap)


@flax.struct.dataclass
class ViewPrior:
  """Gaussian over raw views.

  Attributes:
    mean: in the raw units of `decode.decode_view`.
    factor: times its transpose it is the covariance.
  """

  mean: Float[Array | np.ndarray, " 6"]
  factor: Float[Array | np.ndarray, "6 6"]


def view_prior(
  mean: Float[np.ndarray, " 6"], cov: Float[np.ndarray, "6 6"]
) -> ViewPrior:
  """The Gaussian of a mean and a covariance, which may be singular."""
  # Neither Cholesky nor eigenvalues: both give NaN where rounding makes the
  # variance of a view that never happens negative.
  axes, variances, _ = np.linalg.svd(np.asarray(cov, np.float32))
  factor = axes * np.sqrt(variances)
  return ViewPrior(np.asarray(mean, np.float32), factor)


def sample_view(
  key: PRNGKeyArray, prior: ViewPrior, *, view_scale: float = 1.0
) -> Float[Array, " 6"]:
  """A random raw view.

  Args:
    key: random key.
    prior: the distribution.
    view_scale: factor on the yaw's deviation from its mean. The reference
      multiplies the mean as well (GAN2Shape model.py:357).
  """
  normal = jax.random.normal(key, (6,))
  deviation = jnp.matmul(
    prior.factor, normal, precision=jax.lax.Precision.HIGHEST
  )
  return prior.mean + deviation.at[_YAW].multiply(view_scale)


class LightPrior(NamedTuple):
  """Uniform ranges from which pseudo-samples are relit (`rand_light`).

  Attributes:
    x: (min, max) of the direction's x; see `decode.decode_light`.
    y: (min, max) of the direction's y.
    diffuse: (min, max) of r, which is added to the diffuse strength.
    alpha: the ambient strength changes by alpha * r.
  """

  x: tuple[float, float]
  y: tuple[float, float]
  diffuse: tuple[float, float]
  alpha: float


class LightChange(NamedTuple):
  """A change of strengths, and a new direction (a unit vector)."""

  ambient: Float[Array, ""]
  diffuse: Float[Array, ""]
  direction: Float[Array, " 3"]


def sample_light(key: PRNGKeyArray, prior: LightPrior) -> LightChange:
  """A random change of light (GAN2Shape model.py:752-757)."""
  low, high = jnp.array([prior.x, prior.y, prior.diffuse]).T
  x, y, r = jax.random.uniform(key, (3,), minval=low, maxval=high)
  direction = jnp.stack([x, y, jnp.ones_like(x)])
  return LightChange(
    ambient=prior.alpha * r,
    diffuse=r,
    direction=direction / jnp.linalg.norm(direction),
  )


def relight(light: Light, change: LightChange) -> Light:
  """The changed light (GAN2Shape model.py:758-761).

  Shading with it is A + alpha r + (Bd + r) max(0, <n, s>).
  """
  return Light(
    ambient=light.ambient + change.ambient,
    diffuse=light.diffuse + change.diffuse,
    direction=change.direction,
  )


def _extent(occupied):
  """First and last index of a boolean line that is set."""
  first = jnp.argmax(occupied)
  last = occupied.size - 1 - jnp.argmax(occupied[::-1])
  # Of an empty line this is (0, n - 1).
  return jnp.where(occupied.any(), jnp.array([first, last], float), 0.0)
