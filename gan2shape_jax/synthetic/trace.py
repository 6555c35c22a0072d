"""Sphere tracing: exact depth, normals and mask of a signed-distance field.

Scene frame: x right, y down, z forward, the object about the centre of
rotation (0, 0, 1). Rays have z = 1, so the ray parameter is the depth along
the optical axis. Pixel (u, v) = (column, row) has an integer centre.
Object coordinates are the scene's, turned back, and divided by `scale`.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from gan2shape_jax.synthetic.fields import Point, Values

FIELD_OF_VIEW = 10.0  # degrees, between the centres of the border pixels
CENTER_DEPTH = 1.0  # the centre of rotation is (0, 0, 1)
_RELAXATION = 0.9  # smooth unions and ellipsoids overstate distances a little
_RETURN = 0.7  # of the distance, for a ray that stepped inside
_TOLERANCE = 1e-4  # object units; chords finish from here
_LEAST_STEP = 1e-2  # object units
_PROBE = 1e-3  # object units, arm of the differences that give normals
_BOUND = 1.5  # object units: nothing that can be seen is farther from centre

Distance = Callable[[Point], Values]


class Hit(NamedTuple):
  """Where rays end, one entry per ray.

  Attributes:
    depth: along the optical axis, scene units; `inf` for a miss.
    point: object coordinates of the end.
    normal: inward unit normals in the scene frame, three arrays.
    mask: whether the ray hits.
  """

  depth: Float[Array, " n"]
  point: Point
  normal: Point
  mask: Bool[Array, " n"]


class Rays(NamedTuple):
  """Rays in object coordinates: `base` + (depth - 1) `direction`.

  The base lies in the plane z = 1 of the scene, where numbers are small, so
  that float32 resolves the surface to about 1e-7.
  """

  base: Point
  direction: Point


def focal_length(size: int) -> float:
  """f = (W-1) / (2 tan 5 deg) in pixels."""
  return (size - 1) / (2 * np.tan(np.radians(FIELD_OF_VIEW) / 2))


def rotation(angles: Float[Array, "3"]) -> tuple[tuple[Array, ...], ...]:
  """Rows of Rz(rz) Ry(ry) Rx(rx) for angles (rx, ry, rz) in radians."""
  (cx, cy, cz), (sx, sy, sz) = jnp.cos(angles), jnp.sin(angles)
  return (
    (cz * cy, cz * sy * sx - sz * cx, cz * sy * cx + sz * sx),
    (sz * cy, sz * sy * sx + cz * cx, sz * sy * cx - cz * sx),
    (-sy, cy * sx, cy * cx),
  )


def object_rays(
  x: Float[Array, " n"],
  y: Float[Array, " n"],
  view: Float[Array, "6"],
  scale: Float[Array, ""],
) -> Rays:
  """Rays through scene points (x, y, 1) in object coordinates.

  Args:
    x: right of the optical axis at depth 1 (scene units).
    y: below the optical axis at depth 1.
    view: angles rx, ry, rz (radians) and translation (scene units) of
      P' = R (P - C) + C + t.
    scale: scene units per object unit.
  """
  rows = rotation(view[:3])

  def to_object(a: Values, b: Values, c: Values) -> Point:
    return Point(
      *(
        (rows[0][i] * a + rows[1][i] * b + rows[2][i] * c) / scale
        for i in range(3)
      )
    )

  return Rays(
    to_object(x - view[3], y - view[4], -view[5]), to_object(x, y, 1.0)
  )


def pixel_plane(
  size: int, offsets: tuple[tuple[float, float], ...]
) -> tuple[Float[np.ndarray, "k n"], Float[np.ndarray, "k n"]]:
  """x, y at depth 1 of the pixels moved by k offsets (du, dv), row-major."""
  u, v = np.meshgrid(np.arange(size), np.arange(size))
  center, focal = (size - 1) / 2, focal_length(size)
  x = [(u.ravel() + du - center) / focal for du, _ in offsets]
  y = [(v.ravel() + dv - center) / focal for _, dv in offsets]
  return np.array(x, np.float32), np.array(y, np.float32)


def trace(
  distance: Distance,
  rays: Rays,
  start: Float[Array, " n"],
  angles: Float[Array, "3"],
  scale: Float[Array, ""],
  *,
  max_steps: int = 80,
) -> Hit:
  """Follows rays to the surface and refines the hits by chords.

  Args:
    distance: signed distance (or a close bound), object units.
    rays: rays in object coordinates.
    start: depth to begin at, in front of the surface (scene units).
    angles: of the view, to turn normals into the scene frame (radians).
    scale: scene units per object unit.
    max_steps: after these a ray that is not near the surface has missed.
  """
  tau, value = _march(distance, rays, start - CENTER_DEPTH, 0.0, max_steps)
  mask = jnp.abs(value) < 2 * _TOLERANCE
  tau = jnp.where(mask, _refine(distance, rays, tau, value), tau)
  point = _at(rays, tau)
  outward = _gradient(distance, point)
  length = jnp.sqrt(_dot(outward, outward) + 1e-20)
  normal = Point(
    *(
      -sum(row * g for row, g in zip(rows, outward, strict=True)) / length
      for rows in rotation(angles)
    )
  )
  return Hit(jnp.where(mask, CENTER_DEPTH + tau, jnp.inf), point, normal, mask)


def cone_start(
  distance: Distance,
  rays: Rays,
  radius: float,
  *,
  max_steps: int = 24,
) -> Float[Array, " n"]:
  """Depth before which a whole cone of rays is in free space (scene units).

  Args:
    distance: signed distance, object units.
    rays: the cones' axes.
    radius: of the cone at the object, object units: rays that stay within it
      may all start at the depth returned.
    max_steps: cones may stop early, which only makes the start conservative.
  """
  tau = jnp.full_like(rays.base.x, -_BOUND) / _norm(rays.direction)
  tau, _ = _march(distance, rays, tau, radius, max_steps)
  return CENTER_DEPTH + tau


def _march(
  distance: Distance,
  rays: Rays,
  tau: Float[Array, " n"],
  radius: float,
  max_steps: int,
) -> tuple[Float[Array, " n"], Float[Array, " n"]]:
  """Steps by the distance less `radius` until all rays rest or are out.

  In front of the surface a step has a least length, or rays that graze a
  silhouette would creep past it. One that lands inside returns by steps that
  are short enough not to cross the surface again, so this cannot oscillate.
  """
  unit = 1.0 / _norm(rays.direction)
  end = _BOUND * unit
  rest = _TOLERANCE + 0.2 * radius

  def active(tau, free):
    return (jnp.abs(free) > rest) & (tau < end)

  def cond(state):
    step, tau, free = state
    return (step < max_steps) & jnp.any(active(tau, free))

  def body(state):
    step, tau, free = state
    onward = _RELAXATION * jnp.maximum(free, _LEAST_STEP)
    move = jnp.where(free > 0, onward, _RETURN * free) * unit
    tau = tau + jnp.where(active(tau, free), move, 0.0)
    return step + 1, tau, distance(_at(rays, tau)) - radius

  state = (0, tau, distance(_at(rays, tau)) - radius)
  _, tau, free = jax.lax.while_loop(cond, body, state)
  return tau, free + radius


def _refine(
  distance: Distance,
  rays: Rays,
  tau: Float[Array, " n"],
  value: Float[Array, " n"],
) -> Float[Array, " n"]:
  """Chord method along the rays, from near the surface onto it."""
  unit = 1.0 / _norm(rays.direction)
  back = 4 * _TOLERANCE * unit
  slope = (value - distance(_at(rays, tau - back))) / back
  # A grazing ray has hardly any slope; it may move by `back` at most.
  slope = jnp.minimum(slope, -0.02 / unit)

  def body(_, state):
    tau, value = state
    tau = tau + jnp.clip(-value / slope, -back, back)
    return tau, distance(_at(rays, tau))

  tau, _ = jax.lax.fori_loop(0, 3, body, (tau, value))
  return tau


def _gradient(distance: Distance, point: Point) -> Point:
  """Gradient by central differences.

  Reverse-mode derivatives of the field cost forty evaluations on the CPU
  back end (its fusions compute shared terms again and again); this is six.
  """

  def at_probe(offset):
    moved = (c + o for c, o in zip(point, offset, strict=True))
    return distance(Point(*moved))

  arms = _PROBE * np.eye(3, dtype=np.float32)
  values = jax.lax.map(at_probe, np.concatenate([arms, -arms]))
  return Point(*((values[:3] - values[3:]) / (2 * _PROBE)))


def _at(rays: Rays, tau: Values) -> Point:
  return Point(
    *(b + tau * d for b, d in zip(rays.base, rays.direction, strict=True))
  )


def _dot(a: Point, b: Point) -> Values:
  return sum(i * j for i, j in zip(a, b, strict=True))


def _norm(a: Point) -> Values:
  return jnp.sqrt(_dot(a, a))
