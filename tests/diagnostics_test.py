from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from tiny_system import picture, tiny_system, weights

from gan2shape_jax import diagnostics, programs
from gan2shape_jax.render.camera import pose_from_angles


def made_up(found, truth):
  return diagnostics.Followed(truth, found, np.full(len(truth), 0.25))


def test_a_line_has_its_slope_and_correlation_one():
  truth = np.random.default_rng(0).normal(size=(50, 4))
  slopes = np.array([1.0, 0.5, -2.0, 0.1])
  row = diagnostics.summarize(made_up(slopes * truth + 3, truth))
  assert row["projection_error"] == 0.25
  for name, slope in zip(diagnostics.QUANTITIES, slopes, strict=True):
    np.testing.assert_allclose(row[f"{name}_slope"], slope, rtol=1e-6)
    np.testing.assert_allclose(
      row[f"{name}_correlation"], np.sign(slope), rtol=1e-6
    )


def test_noise_lowers_the_correlation_as_numpy_says():
  rng = np.random.default_rng(1)
  truth = rng.normal(size=(200, 4))
  found = 0.3 * truth + 0.2 * rng.normal(size=(200, 4))
  row = diagnostics.summarize(made_up(found, truth))
  expected = np.corrcoef(truth[:, 1], found[:, 1])[0, 1]
  np.testing.assert_allclose(row["pitch_correlation"], expected, rtol=1e-6)
  expected = np.polyfit(truth[:, 1], found[:, 1], 1)[0]
  np.testing.assert_allclose(row["pitch_slope"], expected, rtol=1e-6)


def test_what_never_varies_counts_as_not_followed():
  row = diagnostics.summarize(made_up(np.ones((5, 4)), np.zeros((5, 4))))
  assert row["yaw_slope"] == row["yaw_correlation"] == 0


def test_angles_are_read_off_a_rotation():
  angles = jnp.array([0.2, -0.6, 0.3])
  pose = pose_from_angles(angles, jnp.zeros(3))
  quantities = diagnostics.quantities(pose, jnp.array([0.6, 0.0, 0.8]))
  np.testing.assert_allclose(quantities, [-0.6, 0.2, 0.6, 0.0], atol=1e-6)


def test_samples_of_a_system():
  system, (params, frozen) = tiny_system(), weights()
  canonical = programs.reconstruct(system)(params, picture())
  data = programs.prepare_project(system)(frozen, picture(), canonical)
  follow = partial(diagnostics.follow, system, params, frozen, data)
  found = follow(jax.random.key(0))
  assert found.truth.shape == found.found.shape == (system.batch_size, 4)
  assert (found.error > 0).all()
  again = follow(jax.random.key(1))
  assert jnp.abs(found.truth - again.truth).min() > 0


def test_variety_is_that_of_maps_over_that_of_pixels():
  ramp = np.linspace(0, 1, 12).reshape(3, 4)
  same = np.stack([ramp] * 3)
  assert diagnostics.variety(same) < 1e-12
  assert diagnostics.variety(np.ones((2, 3, 4))) < 1e-12
  shifts = np.array([-0.2, 0.0, 0.2])[:, None, None]
  expected = shifts.std() / ramp.std()
  np.testing.assert_allclose(diagnostics.variety(same + shifts), expected)
