"""Camera and poses against their definitions and a plain rotation product."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import render_oracle as oracle

from gan2shape_jax import render

CAMERA = render.Camera(17)
POSE = render.pose_from_angles(
  jnp.array([0.2, 0.5, 0.1]), jnp.array([0.03, -0.02, 0.05])
)
POINTS = jnp.float32(np.random.default_rng(0).uniform(-0.1, 0.1, (7, 5, 3)))
POINTS = POINTS.at[..., 2].add(1.0)


def assert_pose_close(actual, expected):
  np.testing.assert_allclose(actual.rotation, expected.rotation, atol=1e-6)
  np.testing.assert_allclose(
    actual.translation, expected.translation, atol=1e-6
  )


def test_intrinsics_are_those_of_the_method():
  assert render.Camera(64).focal == pytest.approx(360.04665, abs=1e-4)
  assert render.Camera(128).focal == pytest.approx(725.80832, abs=1e-4)
  assert render.Camera(128).center == 63.5
  assert render.Camera(64).depth_margin == pytest.approx(0.1)
  assert render.Camera(64).view_depth_min == pytest.approx(0.8)
  assert render.Camera(64).view_depth_max == pytest.approx(1.2)


def test_camera_is_a_static_argument():
  assert hash(render.Camera(64)) == hash(render.Camera(64))


def test_rotation_matrix_is_the_product_of_elementary_rotations():
  angles = np.array([0.3, -0.7, 1.1])
  np.testing.assert_allclose(
    render.rotation_matrix(jnp.float32(angles)),
    oracle.rotation_matrix(angles),
    atol=1e-6,
  )


def test_signs_of_yaw_and_pitch():
  near = jnp.array([0.0, 0.0, 0.9])
  zero = jnp.zeros(3)
  yaw = render.pose_from_angles(jnp.array([0.0, 0.3, 0.0]), zero)
  pitch = render.pose_from_angles(jnp.array([0.3, 0.0, 0.0]), zero)
  assert render.transform_points(near, yaw, CAMERA)[0] < -0.01  # to the left
  assert render.transform_points(near, pitch, CAMERA)[1] > 0.01  # down


def test_transform_turns_about_the_rotation_centre():
  moved = render.transform_points(
    jnp.array([0.0, 0.0, CAMERA.rotation_center]), POSE, CAMERA
  )
  np.testing.assert_allclose(
    moved, jnp.array([0.0, 0.0, 1.0]) + POSE.translation, atol=1e-6
  )


def test_transform_and_inverse_are_a_round_trip():
  there = render.transform_points(POINTS, POSE, CAMERA)
  assert np.abs(there - POINTS).max() > 0.02
  back = render.inverse_transform_points(there, POSE, CAMERA)
  np.testing.assert_allclose(back, POINTS, atol=1e-6)


def test_inverted_pose_undoes_the_pose_exactly():
  inverse = render.invert_pose(POSE)
  np.testing.assert_allclose(
    render.transform_points(POINTS, inverse, CAMERA),
    render.inverse_transform_points(POINTS, POSE, CAMERA),
    atol=1e-6,
  )
  assert_pose_close(render.compose_poses(inverse, POSE), render.identity_pose())


def test_negated_angles_are_not_the_inverse():
  """What the reference does instead, 6.4 degrees off for these angles."""
  naive = render.rotation_matrix(-jnp.array([0.2, 0.5, 0.1]))
  cosine = (jnp.trace(naive @ POSE.rotation) - 1) / 2
  assert math.degrees(math.acos(cosine)) == pytest.approx(6.4, abs=0.1)


def test_composed_poses_act_one_after_the_other():
  second = render.pose_from_angles(
    jnp.array([-0.4, 0.1, 0.8]), jnp.array([0.0, 0.04, -0.01])
  )
  one_by_one = render.transform_points(
    render.transform_points(POINTS, POSE, CAMERA), second, CAMERA
  )
  at_once = render.transform_points(
    POINTS, render.compose_poses(second, POSE), CAMERA
  )
  np.testing.assert_allclose(at_once, one_by_one, atol=1e-6)


def test_rays_project_back_to_their_pixels():
  ends = jnp.linspace(-1, 1, CAMERA.image_size)
  grid = render.project_to_grid(1.3 * render.pixel_rays(CAMERA), CAMERA)
  np.testing.assert_allclose(grid[..., 0], jnp.tile(ends, (17, 1)), atol=1e-6)
  np.testing.assert_allclose(grid[..., 1], jnp.tile(ends, (17, 1)).T, atol=1e-6)


@pytest.mark.parametrize("z", [0.0, -1.0])
def test_points_at_or_behind_the_eye_project_outside_with_finite_gradient(z):
  point = jnp.array([0.0, 0.1, z])
  assert jnp.abs(render.project_to_grid(point, CAMERA)).min() > 1
  gradient = jax.jacobian(lambda p: render.project_to_grid(p, CAMERA))(point)
  assert jnp.isfinite(gradient).all()
