"""The quality figure: against scipy in 1D, and its order on pictures."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import ndimage, stats

from gan2shape_jax.gan import sliced_wasserstein as swd


def pictures(seed, n=64, side=32):
  """Smooth random pictures in [-1, 1]."""
  noise = np.random.default_rng(seed).normal(size=(n, side, side, 3))
  smooth = ndimage.gaussian_filter(noise, (0, 0.7, 0.7, 0))
  return np.clip(2 * smooth, -1, 1).astype(np.float32)


def distance(a, b):
  return swd.sliced_wasserstein(jax.random.key(0), a, b)


def test_one_dimension_is_scipys_distance():
  rng = np.random.default_rng(0)
  a, b = rng.normal(size=(200, 1)), rng.normal(0.5, 2, size=(200, 1))
  # Directions in 1D are +1 and -1, which agree.
  actual = swd._distance(jax.random.key(0), jnp.array(a), jnp.array(b), 5)
  expected = stats.wasserstein_distance(a[:, 0], b[:, 0])
  np.testing.assert_allclose(actual, expected, rtol=1e-5)


def test_pyramid_adds_up_to_the_picture():
  x = jnp.asarray(pictures(0, n=2))
  fine, coarse = swd._laplacian(x, 16)
  assert fine.shape[1:3] == (32, 32)
  assert coarse.shape[1:3] == (16, 16)
  np.testing.assert_allclose(fine + swd._enlarge(coarse), x, atol=1e-6)


def test_enlarging_keeps_a_constant():
  x = jnp.ones((1, 8, 8, 1))
  np.testing.assert_allclose(swd._enlarge(x), 1, atol=1e-6)


def test_same_distribution_is_nearer_than_a_changed_one():
  real, again = pictures(0), pictures(1)
  floor = distance(real, again)
  blurred = ndimage.gaussian_filter(again, (0, 1.5, 1.5, 0))
  one = np.broadcast_to(again[:1], again.shape)
  assert len(floor) == 2
  assert distance(real, blurred)[0] > 1.5 * floor[0]
  # Copies of one picture, that is, a collapsed generator.
  assert distance(real, one)[1] > 2 * floor[1]


def test_it_repeats_and_is_in_thousandths():
  real, again = pictures(0), pictures(1)
  a, b = distance(real, again), distance(real, again)
  assert a == b
  assert swd.mean_distance(a) == pytest.approx(500 * (a[0] + a[1]))


def test_sets_of_different_size_are_refused():
  with pytest.raises(ValueError, match="differ in shape"):
    distance(pictures(0, n=4), pictures(0, n=5))
