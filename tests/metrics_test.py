"""Depth errors against numpy; what they must ignore and what they must see."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan2shape_jax import metrics
from gan2shape_jax.render.camera import Camera
from gan2shape_jax.render.geometry import normals_from_depth

SIZE = 20
CAMERA = Camera(SIZE)


def surface(seed):
  y, x = jnp.mgrid[:SIZE, :SIZE] / SIZE
  a, b, c = jax.random.uniform(jax.random.key(seed), (3,), minval=0.5)
  return 1 + 0.05 * jnp.sin(6 * a * x + c) * jnp.cos(5 * b * y)


def disc(radius):
  y, x = jnp.mgrid[:SIZE, :SIZE] - (SIZE - 1) / 2
  return (x**2 + y**2 < radius**2).astype(jnp.float32)


def erode_oracle(mask):
  padded = np.pad(np.asarray(mask), 1)
  return np.array(
    [
      [padded[y : y + 3, x : x + 3].mean() > 0.99 for x in range(SIZE)]
      for y in range(SIZE)
    ]
  )


def test_erosion_equals_its_definition():
  mask = (jax.random.uniform(jax.random.key(0), (SIZE, SIZE)) < 0.95) * 1.0
  eroded = metrics.erode(mask)
  assert 0 < eroded.sum() < mask.sum()
  np.testing.assert_array_equal(eroded, erode_oracle(mask))
  np.testing.assert_array_equal(eroded, metrics.erode(mask > 0))


def test_erosion_drops_the_outer_ring():
  expected = np.pad(np.ones((SIZE - 2, SIZE - 2), bool), 1)
  np.testing.assert_array_equal(metrics.erode(jnp.ones((SIZE, SIZE))), expected)


def test_evaluation_equals_its_definition():
  depth, truth = surface(0), surface(1)
  view_mask = disc(9).at[:, 9].set(0)
  true_mask = disc(8).at[7].set(0)
  # Nothing outside of the mask counts, not even nonsense.
  scores = metrics.evaluate_depth(
    jnp.where(true_mask > 0, depth, 0.0), view_mask, truth, true_mask, CAMERA
  )
  m = erode_oracle(view_mask) & erode_oracle(true_mask)
  d, t = (np.asarray(x, np.float64)[m] for x in (depth, truth))
  difference = np.log(d) - np.log(t)
  side = np.sqrt(np.mean(difference**2) - np.mean(difference) ** 2)
  np.testing.assert_allclose(scores["side"], side, rtol=1e-4)
  np.testing.assert_allclose(scores["mae"], np.abs(d - t).mean(), rtol=1e-4)
  np.testing.assert_allclose(scores["mse"], ((d - t) ** 2).mean(), rtol=1e-4)
  coverage = m.sum() / erode_oracle(true_mask).sum()
  assert coverage < 1
  np.testing.assert_allclose(scores["coverage"], coverage, rtol=1e-6)

  n, s = (
    np.asarray(normals_from_depth(x, CAMERA), np.float64)[m]
    for x in (depth, truth)
  )
  cosine = (n * s).sum(-1)
  published = np.degrees(np.arccos(np.clip(cosine, -1, 1))).mean()
  np.testing.assert_allclose(scores["mad_reference"], published, rtol=1e-4)
  cosine /= np.linalg.norm(n, axis=-1) * np.linalg.norm(s, axis=-1)
  mad = np.degrees(np.arccos(cosine)).mean()
  np.testing.assert_allclose(scores["mad"], mad, rtol=1e-4)


def test_a_perfect_prediction_scores_zero():
  depth, mask = surface(0), disc(8)
  scores = metrics.evaluate_depth(depth, mask, depth, mask, CAMERA)
  assert scores["coverage"] == 1
  for name in ("side", "mae", "mse", "mad"):
    np.testing.assert_allclose(scores[name], 0, atol=1e-5)


def test_the_side_error_ignores_scale_only():
  depth, truth, mask = surface(0), surface(1), disc(8) > 0
  error = metrics.scale_invariant_error(depth, truth, mask)
  scaled = metrics.scale_invariant_error(1.3 * depth, truth, mask)
  shifted = metrics.scale_invariant_error(depth - 0.5, truth, mask)
  np.testing.assert_allclose(error, scaled, rtol=1e-4)
  assert abs(shifted - error) > 0.1 * error


@pytest.mark.parametrize("degrees", [0.0, 0.01, 30.0, 90.0, 180.0])
def test_angles_of_known_normals(degrees):
  angle = np.radians(degrees)
  normal = jnp.broadcast_to(jnp.array([0.0, 0.0, 0.5]), (3, 3, 3))
  turned = jnp.array([np.sin(angle), 0.0, np.cos(angle)])
  mad = metrics.mean_angle(
    normal, jnp.broadcast_to(turned, (3, 3, 3)), jnp.ones((3, 3), bool)
  )
  np.testing.assert_allclose(mad, degrees, rtol=1e-5, atol=1e-6)


def test_an_empty_mask_gives_finite_scores_and_says_so():
  depth, empty = surface(0), jnp.zeros((SIZE, SIZE))
  scores = metrics.evaluate_depth(depth, empty, surface(1), empty, CAMERA)
  assert scores["coverage"] == 0
  assert all(jnp.isfinite(score) for score in scores.values())


def test_relief_and_tilt_are_told_from_other_errors():
  """A flattened, leaning shape is the true one but for these two."""
  y, x = jnp.mgrid[:SIZE, :SIZE] / SIZE
  mask = disc(8) > 0
  true, other = jnp.log(surface(0)), jnp.log(surface(1))
  depth = jnp.exp((true - 0.03 * x + 0.02 * y + 0.1) / 0.6)
  relief, left = metrics.align_relief(depth, jnp.exp(true), mask)
  np.testing.assert_allclose(relief, 0.6, rtol=1e-3)
  assert left < 1e-5 < metrics.scale_invariant_error(depth, surface(0), mask)

  _, left = metrics.align_relief(jnp.exp(other), jnp.exp(true), mask)
  m = np.asarray(mask)
  columns = [np.asarray(c)[m] for c in (other, x, y, jnp.ones_like(x))]
  _, squares, *_ = np.linalg.lstsq(
    np.stack(columns, 1).astype(float), np.asarray(true)[m], rcond=None
  )
  np.testing.assert_allclose(left, np.sqrt(squares[0] / m.sum()), rtol=1e-3)


@pytest.mark.parametrize("mask", [disc(8) > 0, jnp.zeros((SIZE, SIZE), bool)])
def test_a_flat_shape_has_no_relief(mask):
  flat = jnp.full((SIZE, SIZE), 1.1)
  relief, left = metrics.align_relief(flat, surface(0), mask)
  assert relief == 0 and jnp.isfinite(left)
