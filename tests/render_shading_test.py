"""Normals and shading: signs on a bump, unit length, the shading formula."""

import jax
import jax.numpy as jnp
import numpy as np

from gan2shape_jax import render

SIZE = 33
CAMERA = render.Camera(SIZE)


def bump():
  """A dome toward the camera, its top in the middle."""
  y, x = np.mgrid[:SIZE, :SIZE] / (SIZE - 1) * 2 - 1
  return jnp.array(1.0 - 0.05 * np.exp(-3 * (x**2 + y**2)), jnp.float32)


def light_from(x, y):
  direction = jnp.array([x, y, 1.0])
  direction = direction / jnp.linalg.norm(direction)
  return render.Light(jnp.float32(0.3), jnp.float32(0.7), direction)


def test_a_plane_that_faces_the_camera_has_inward_normals():
  normal = render.normals_from_depth(jnp.full((SIZE, SIZE), 1.02), CAMERA)
  np.testing.assert_allclose(normal[..., :2], 0, atol=1e-4)
  np.testing.assert_allclose(normal[..., 2], 1, atol=2e-3)


def test_normals_of_a_tilted_plane():
  """n . P = 1 with n = (0.5, -0.3, 1): 1/d = n . ray."""
  plane = np.array([0.5, -0.3, 1.0])
  depth = 1 / (np.asarray(render.pixel_rays(CAMERA)) @ plane)
  normal = render.normals_from_depth(jnp.float32(depth), CAMERA)[1:-1, 1:-1]
  expected = np.broadcast_to(plane / np.linalg.norm(plane), normal.shape)
  np.testing.assert_allclose(normal, expected, atol=2e-3)


def test_normals_of_a_bump():
  normal = render.normals_from_depth(bump(), CAMERA)
  middle = SIZE // 2
  assert normal[middle, middle + 6, 0] < -0.1  # right of the top
  assert normal[middle, middle - 6, 0] > 0.1
  assert normal[middle + 6, middle, 1] < -0.1  # below it
  assert normal[middle - 6, middle, 1] > 0.1
  length = np.linalg.norm(normal, axis=-1)
  np.testing.assert_allclose(length, 1, atol=2e-3)
  assert (length < 1 + 1e-6).all()


def test_the_border_ring_faces_the_camera():
  normal = np.asarray(render.normals_from_depth(bump(), CAMERA))
  for ring in (normal[0], normal[-1], normal[:, 0], normal[:, -1]):
    np.testing.assert_array_equal(ring, np.tile([0.0, 0.0, 1.0], (SIZE, 1)))


def test_normals_have_a_finite_gradient_where_depth_vanishes():
  gradient = jax.grad(lambda d: render.normals_from_depth(d, CAMERA).sum())(
    bump().at[3:9, 3:9].set(0.0)
  )
  assert jnp.isfinite(gradient).all()


def test_light_comes_from_the_left_and_from_above():
  normal = render.normals_from_depth(bump(), CAMERA)
  from_left = render.shade(normal, light_from(1.0, 0.0))
  from_above = render.shade(normal, light_from(0.0, 1.0))
  middle = SIZE // 2
  assert from_left[middle, middle - 6] > from_left[middle, middle + 6] + 0.1
  assert from_above[middle - 6, middle] > from_above[middle + 6, middle] + 0.1


def test_shading_is_ambient_plus_clamped_cosine():
  normal = jnp.array([[[0.0, 0.0, 1.0], [0.6, 0.0, 0.8], [0.0, 0.0, -1.0]]])
  direction = jnp.array([0.6, 0.0, 0.8])
  np.testing.assert_allclose(
    render.lambertian(normal, direction), [[0.8, 1.0, 0.0]], atol=1e-6
  )
  light = render.Light(jnp.float32(0.25), jnp.float32(0.5), direction)
  np.testing.assert_allclose(
    render.shade(normal, light), [[0.65, 0.75, 0.25]], atol=1e-6
  )


def test_apply_shading_works_on_the_unit_range():
  albedo = jnp.array([[[-1.0, 0.0, 1.0]]])
  texture = render.apply_shading(albedo, jnp.array([[0.6]]))
  np.testing.assert_allclose(texture, [[[-1.0, -0.4, 0.2]]], atol=1e-6)
  over = render.apply_shading(albedo, jnp.array([[1.5]]))
  np.testing.assert_allclose(over[0, 0, 2], 2.0)  # not clamped
