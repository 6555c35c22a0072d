"""Building blocks of signed-distance fields: solids and smooth set operations.

Any one unit of length; distances are negative inside. Points come as three
arrays instead of one with a trailing axis of 3: the latter leaves SIMD lanes
empty and costs several times more.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

Values = Float[Array, "..."]
# Half-width of the rounding of |x|, so paired parts leave no crease at x = 0.
_FOLD = 0.03


class Point(NamedTuple):
  """Coordinates of points, three arrays of one shape."""

  x: Values
  y: Values
  z: Values


def fold(x: Values) -> Values:
  """|x| rounded at 0, so that mirrored parts join smoothly."""
  return jnp.sqrt(x * x + _FOLD * _FOLD)


def smooth_min(a: Values, b: Values, k: float) -> Values:
  """Union that rounds the seam over a width `k` (polynomial smooth minimum)."""
  h = jnp.maximum(k - jnp.abs(a - b), 0.0)
  return jnp.minimum(a, b) - h * h * (0.25 / k)


def smooth_max(a: Values, b: Values, k: float) -> Values:
  """Intersection that rounds the seam over a width `k`."""
  return -smooth_min(-a, -b, k)


def smooth_step(start: Values, end: Values, value: Values) -> Values:
  """0 before `start`, 1 after `end`, cubic between; `end` may be the lower."""
  t = jnp.clip((value - start) / (end - start), 0.0, 1.0)
  return t * t * (3 - 2 * t)


def _length(x: Values, y: Values, z: Values) -> Values:
  # The epsilon keeps the gradient finite at a primitive's centre.
  return jnp.sqrt(x * x + y * y + z * z + 1e-12)


def sphere(p: Point, radius: Values) -> Values:
  """Points within `radius` of the origin."""
  return _length(*p) - radius


def ellipsoid(p: Point, radii: tuple[Values, Values, Values]) -> Values:
  """Quilez' bound |p/r| (|p/r| - 1) / |p/r^2|: exact slope at the surface."""
  q = [c / r for c, r in zip(p, radii, strict=True)]
  near = _length(*q)
  slope = _length(*(c / r for c, r in zip(q, radii, strict=True)))
  return near * (near - 1.0) / slope


def ellipse_cylinder(
  x: Values, z: Values, width: Values, depth: Values
) -> Values:
  """An endless column along y over an ellipse in x and z."""
  return ellipsoid(Point(x, jnp.zeros_like(x), z), (width, 1.0, depth))


def capsule(
  p: Point,
  start: tuple[float, float, float],
  end: tuple[float, float, float],
  radius: Values,
) -> Values:
  """Points within `radius` of a segment."""
  axis = [e - s for s, e in zip(start, end, strict=True)]
  off = [c - s for c, s in zip(p, start, strict=True)]
  along = sum(o * a for o, a in zip(off, axis, strict=True))
  t = jnp.clip(along / sum(a * a for a in axis), 0.0, 1.0)
  return _length(*(o - t * a for o, a in zip(off, axis, strict=True))) - radius


def tapered_capsule(
  p: Point,
  start: tuple[Values, Values],
  end: tuple[Values, Values],
  radius_start: Values,
  radius_end: Values,
) -> Values:
  """A capsule in the plane x = 0, (y, z) ends, radius linear between them."""
  ay, az = end[0] - start[0], end[1] - start[1]
  oy, oz = p.y - start[0], p.z - start[1]
  t = jnp.clip((oy * ay + oz * az) / (ay * ay + az * az), 0.0, 1.0)
  radius = radius_start + t * (radius_end - radius_start)
  return _length(p.x, oy - t * ay, oz - t * az) - radius
