"""LPIPS: what a distance must satisfy, gradients at zero, PyTorch."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import release_weights

from gan2shape_jax.convert.lpips import convert_lpips
from gan2shape_jax.models import lpips

WIDTH = 4


@pytest.fixture(scope="module")
def params():
  return lpips.init_lpips(jax.random.key(0), width=WIDTH)


def picture(seed, side=32):
  return jax.random.uniform(jax.random.key(seed), (side, side, 3), minval=-1)


@jax.jit
def distance(params, a, b):
  return lpips.distance(lpips.features(params, a), lpips.features(params, b))


gradient = jax.jit(jax.grad(distance, argnums=1))


def test_features_are_five_maps_of_weighted_unit_vectors(params):
  weighted = params | {"linear2": jnp.linspace(0.1, 1, 2 * WIDTH)}
  maps = lpips.features(params, picture(0))
  shapes = [(32, 1), (16, 2), (8, 4), (4, 8), (2, 8)]
  assert [m.shape for m in maps] == [(s, s, n * WIDTH) for s, n in shapes]
  for m in maps:
    lengths = jnp.linalg.norm(m, axis=-1)
    np.testing.assert_allclose(lengths[lengths > 0], 1, rtol=1e-5)
  np.testing.assert_allclose(
    lpips.features(weighted, picture(0))[1],
    maps[1] * weighted["linear2"] ** 0.5,
    atol=1e-6,
  )


def test_it_is_a_distance(params):
  a, b = picture(0), picture(1)
  assert distance(params, a, a) == 0
  assert distance(params, a, b) > 0.01
  near = distance(params, a, a + 0.05 * (b - a))
  assert 0 < near < 0.5 * distance(params, a, b)
  np.testing.assert_allclose(
    distance(params, a, b), distance(params, b, a), rtol=1e-6
  )
  # All equal pictures: nothing pulls, and nothing is NaN.
  np.testing.assert_array_equal(gradient(params, a, a), 0)


def test_the_gradient_is_that_of_finite_differences(params):
  """Along itself and by a short step: the distance is full of kinks."""
  a, b = picture(0), picture(1)
  slope = gradient(params, a, b)
  length = jnp.linalg.norm(slope)
  step = 0.002 * slope / length
  ahead, behind = distance(params, a + step, b), distance(params, a - step, b)
  np.testing.assert_allclose((ahead - behind) / 0.004, length, rtol=0.02)


@pytest.mark.parametrize("dead", [range(1, 6), (5,)])
def test_features_of_zero_have_a_finite_gradient(params, dead):
  """The published normalisation has none."""
  params = dict(params)
  for block in dead:
    last = f"conv{block}_{2 if block < 3 else 3}"
    bias = jnp.full_like(params[last]["bias"], -1e4)
    params[last] = params[last] | {"bias": bias}
  a, b = picture(0), picture(1)
  assert (lpips.features(params, a)[4] == 0).all()
  slope = gradient(params, a, b)
  assert jnp.isfinite(slope).all()
  # Blocks before the dead one still pull.
  assert (slope != 0).any() == (1 not in dead)


def test_vmap_equals_single_pictures(params):
  a, b = (jnp.stack([picture(s), picture(s + 1)]) for s in (0, 5))
  both = jax.vmap(distance, (None, 0, 0))(params, a, b)
  for i in range(2):
    np.testing.assert_allclose(both[i], distance(params, a[i], b[i]), rtol=1e-5)


def test_parity_with_pytorch():
  torch = pytest.importorskip("torch")
  from golden import torch_perception

  vgg = release_weights.vgg_tensors(width=WIDTH)
  linear = release_weights.linear_tensors(width=WIDTH)
  module = torch_perception.Vgg16(WIDTH)
  module = torch_perception.Lpips(torch_perception.load(module, vgg), linear)
  a, b = picture(0, 48), picture(1, 48)
  x, y = (torch.tensor(np.array(p).transpose(2, 0, 1))[None] for p in (a, b))
  expected = module(x.requires_grad_(), y).sum()
  expected.backward()

  params = convert_lpips(vgg, linear)
  actual = distance(params, a, b)
  np.testing.assert_allclose(actual, expected.item(), rtol=1e-5)
  slope = x.grad.numpy()[0].transpose(1, 2, 0)
  np.testing.assert_allclose(
    gradient(params, a, b), slope, atol=1e-3 * np.abs(slope).max()
  )
