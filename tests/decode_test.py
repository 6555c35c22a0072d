"""Decoding of raw outputs: ranges, invariances, directions."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan2shape_jax import decode
from gan2shape_jax.render.camera import rotation_matrix

LIMITS = {
  "max_rotation": jnp.pi / 3,
  "max_translation_xy": 0.1,
  "max_translation_z": 0.05,
}


def test_depth_equals_its_formula():
  raw = np.random.default_rng(0).normal(size=(6, 8)).astype(np.float32)
  t = np.tanh(raw - raw.mean())
  depth = decode.decode_depth(jnp.asarray(raw), depth_min=0.9, depth_max=1.1)
  np.testing.assert_allclose(depth, 1 + 0.1 * t, atol=1e-6)


def test_depth_ignores_the_mean_and_stays_in_range():
  raw = 100 * jax.random.normal(jax.random.key(0), (8, 8))
  depth, shifted = (
    decode.decode_depth(r, depth_min=0.8, depth_max=1.2) for r in (raw, raw + 5)
  )
  np.testing.assert_allclose(depth, shifted, atol=1e-5)
  np.testing.assert_allclose([depth.min(), depth.max()], [0.8, 1.2], atol=1e-5)


def test_border_touches_two_columns_on_each_side_and_no_row():
  depth = jnp.full((5, 8), 0.95)
  clamped = np.asarray(decode.clamp_border(depth, border_depth=1.04))
  np.testing.assert_allclose(clamped[:, [0, 1, 6, 7]], 1.04)
  np.testing.assert_allclose(clamped[:, 2:6], 0.95)


def test_border_of_the_reference_leaks_depth():
  clamped = decode.clamp_border(
    jnp.full((4, 8), 0.95), border_depth=1.04, weight=1.02
  )
  np.testing.assert_allclose(clamped[:, 0], 1.0608 - 0.02 * 0.95, atol=1e-6)


def test_border_stops_the_gradient_at_weight_one():
  gradient = jax.grad(
    lambda d: decode.clamp_border(d, border_depth=1.04).sum()
  )(jnp.ones((3, 6)))
  np.testing.assert_array_equal(gradient[0], [0, 0, 1, 1, 0, 0])


def test_view_units():
  pose = decode.decode_view(
    jnp.array([0.5, -1.0, 0.25, 1.0, -2.0, 3.0]), **LIMITS
  )
  angles = jnp.radians(jnp.array([30.0, -60.0, 15.0]))
  np.testing.assert_allclose(pose.rotation, rotation_matrix(angles), atol=1e-6)
  np.testing.assert_allclose(pose.translation, [0.1, -0.2, 0.15], atol=1e-6)


def test_light_strengths_and_direction():
  light = decode.decode_light(jnp.array([-1.0, 0.5, 2.0, -2.0]))
  np.testing.assert_allclose(light.ambient, 0.0)
  np.testing.assert_allclose(light.diffuse, 0.75)
  np.testing.assert_allclose(light.direction, [2 / 3, -2 / 3, 1 / 3], atol=1e-6)


@pytest.mark.parametrize(
  "function, size",
  [(decode.decode_light, 4), (lambda v: decode.decode_view(v, **LIMITS), 6)],
)
def test_gradient_is_finite_at_zero(function, size):
  leaves = jax.jacobian(lambda v: jax.tree.leaves(function(v)))(jnp.zeros(size))
  assert all(jnp.isfinite(leaf).all() for leaf in leaves)
