"""The sphere tracer against closed forms and a brute-force search."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from heads_oracle import rotation_matrix, scene_rays

from gan2shape_jax.synthetic import fields, heads, shape, trace

SIZE = 32
CENTER = np.array([0.1, -0.2, -0.3])  # of the ball, object units
RADIUS = 0.6
SCALE = 0.08
VIEW = np.array([0.2, -0.5, 0.1, 0.004, -0.006, 0.01], np.float32)


def ball(point):
  x, y, z = (c - o for c, o in zip(point, CENTER, strict=True))
  return jnp.sqrt(x * x + y * y + z * z + 1e-12) - RADIUS


def trace_ball():
  x, y = trace.pixel_plane(SIZE, ((0.0, 0.0),))
  rays = trace.object_rays(x[0], y[0], jnp.array(VIEW), SCALE)
  start = jnp.full(SIZE * SIZE, 0.85)
  return trace.trace(ball, rays, start, jnp.array(VIEW[:3]), SCALE)


def test_ball_has_the_analytic_depth_normal_and_mask():
  hit = jax.jit(trace_ball)()
  d = scene_rays(SIZE).reshape(-1, 3)
  pivot = np.array([0, 0, 1.0])
  center = rotation_matrix(VIEW[:3]) @ (SCALE * CENTER) + pivot + VIEW[3:]
  a = (d * d).sum(-1)
  b = d @ center
  root = b * b - a * (center @ center - (SCALE * RADIUS) ** 2)
  mask = root > 0
  np.testing.assert_array_equal(np.asarray(hit.mask), mask)
  depth = (b[mask] - np.sqrt(root[mask])) / a[mask]
  assert np.abs(np.asarray(hit.depth)[mask] - depth).max() < 2e-5
  assert np.median(np.abs(np.asarray(hit.depth)[mask] - depth)) < 2e-7
  inward = (center - depth[:, None] * d[mask]) / (SCALE * RADIUS)
  normal = np.stack(hit.normal, -1)[mask]
  assert np.abs(normal - inward).max() < 2e-3
  assert np.all(np.isinf(np.asarray(hit.depth)[~mask]))


def test_cone_start_is_in_front_of_every_ray_of_the_cone():
  full_x, full_y = trace.pixel_plane(SIZE, ((0.0, 0.0),))
  view = jnp.array(VIEW)
  rays = trace.object_rays(full_x[0], full_y[0], view, SCALE)
  hit = trace.trace(ball, rays, jnp.full(SIZE * SIZE, 0.85), view[:3], SCALE)
  start = heads._block_start(ball, view, SCALE, SIZE)
  assert np.all(np.asarray(start <= hit.depth + 1e-6))
  # And not trivially so: over the ball the start is near the surface.
  near = np.asarray(hit.depth - start)[np.asarray(hit.mask)]
  assert np.median(near) < 2 * SCALE * RADIUS / 5


def test_head_depth_is_the_first_crossing_along_the_ray():
  """No thin part of the head is stepped over, and nothing is left short."""
  size = SIZE
  key = jax.random.key(2)
  head = heads.sample_head(key, key, size=size)
  rays = scene_rays(size)[::3, ::3].reshape(-1, 3)
  depth = np.asarray(head.depth)[::3, ::3].ravel()
  mask = np.asarray(head.mask)[::3, ::3].ravel()
  t = np.linspace(0.88, 1.12, 961)
  scene = rays[:, None] * t[:, None] - np.array([0, 0, 1.0])
  scale = float(head.identity["head_scale"])
  # Rows times R are R^T applied to each point.
  place = scene @ rotation_matrix(np.asarray(head.view[:3])) / scale
  distance = jax.jit(partial(shape.head_distance, head.identity))
  value = np.asarray(
    distance(fields.Point(*np.moveaxis(place.astype(np.float32), -1, 0)))
  )
  crossed = value < -1e-4
  assert np.all(mask[crossed.any(-1)])
  first = t[np.argmax(crossed, -1)]
  both = mask & crossed.any(-1)
  assert both.sum() > 30
  gap = first[both] - depth[both]
  assert gap.min() > -2e-5
  # The ray enters between two samples of t; a grazing one later.
  assert np.quantile(gap, 0.95) < 2 * (t[1] - t[0])
