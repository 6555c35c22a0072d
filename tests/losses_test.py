"""Loss terms against numpy, and their behaviour under masks."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan2shape_jax import losses


def random(seed, *shape):
  return jax.random.uniform(jax.random.key(seed), shape, minval=-1.0)


def test_photometric_is_the_mean_over_masked_pixels_and_channels():
  image, target = random(0, 6, 5, 3), random(1, 6, 5, 3)
  mask = jnp.zeros((6, 5)).at[2:4, 1:4].set(1.0)
  expected = np.abs(np.asarray(image - target))[2:4, 1:4].mean()
  np.testing.assert_allclose(
    losses.photometric(image, target, mask), expected, rtol=1e-6
  )


def test_photometric_weighs_fractional_masks():
  image = jnp.stack([jnp.full((1, 3), 1.0), jnp.full((1, 3), 0.25)])
  loss = losses.photometric(
    image, jnp.zeros((2, 1, 3)), jnp.array([[0.5], [1.0]])
  )
  np.testing.assert_allclose(loss, (0.5 * 1 + 1 * 0.25) / 1.5, rtol=1e-6)


def test_photometric_normalises_over_the_whole_batch():
  image, target = random(0, 2, 4, 4, 3), random(1, 2, 4, 4, 3)
  mask = jnp.ones((2, 4, 4)).at[0, 1:].set(0.0)
  difference = np.abs(np.asarray(image - target))
  expected = (difference[0, :1].sum() + difference[1].sum()) / (20 * 3)
  np.testing.assert_allclose(
    losses.photometric(image, target, mask), expected, rtol=1e-6
  )


def test_an_empty_mask_gives_zero_and_a_zero_gradient():
  image, target, mask = (
    random(0, 4, 4, 3),
    random(1, 4, 4, 3),
    jnp.zeros((4, 4)),
  )
  loss, gradient = jax.value_and_grad(losses.photometric)(image, target, mask)
  assert loss == 0 and (gradient == 0).all()
  feature = losses.feature_distance((image,), (target,), mask)
  assert feature == 0


def feature_oracle(features, target, mask):
  total = 0.0
  for a, b in zip(features, target, strict=True):
    h, w, c = a.shape
    step = mask.shape[0] // h, mask.shape[1] // w
    above = below = 0.0
    for y in range(h):
      for x in range(w):
        block = mask[
          y * step[0] : (y + 1) * step[0], x * step[1] : (x + 1) * step[1]
        ]
        above += np.abs(a[y, x] - b[y, x]).sum() * block.mean()
        below += c * block.mean()
    total += above / below
  return total


def test_feature_distance_equals_its_definition():
  sides = ((4, 6, 5), (2, 3, 7))
  features = tuple(random(i, *side) for i, side in enumerate(sides))
  target = tuple(random(9 + i, *side) for i, side in enumerate(sides))
  mask = (random(5, 8, 12) + 1) / 2
  expected = feature_oracle(
    *(jax.tree.map(np.asarray, tree) for tree in (features, target, mask))
  )
  np.testing.assert_allclose(
    losses.feature_distance(features, target, mask), expected, rtol=1e-5
  )


def test_feature_distance_of_a_batch_with_one_mask_is_the_mean():
  features, target = (random(0, 3, 4, 4, 2),), (random(1, 3, 4, 4, 2),)
  mask = (random(2, 8, 8) + 1) / 2
  batch = losses.feature_distance(
    features, target, jnp.broadcast_to(mask, (3, 8, 8))
  )
  single = [
    losses.feature_distance((features[0][i],), (target[0][i],), mask)
    for i in range(3)
  ]
  np.testing.assert_allclose(batch, np.mean(single), rtol=1e-5)


def test_feature_distance_refuses_different_depths():
  with pytest.raises(ValueError):
    losses.feature_distance((random(0, 4, 4, 2),), (), jnp.ones((8, 8)))


def test_smoothness_of_a_plane_is_zero():
  y, x = jnp.mgrid[:6, :7].astype(float)
  np.testing.assert_allclose(
    losses.smoothness(3 + 0.5 * x - 2 * y), 0, atol=1e-6
  )


@pytest.mark.parametrize(
  "field, expected",
  [
    (lambda x, y: 1.5 * x**2, 3.0),
    (lambda x, y: -0.5 * y**2, 1.0),
    (lambda x, y: 2 * x * y, 4.0),  # xy and yx both count
  ],
)
def test_smoothness_of_quadratics(field, expected):
  y, x = jnp.mgrid[:6, :7].astype(float)
  np.testing.assert_allclose(
    losses.smoothness(field(x, y)), expected, rtol=1e-5
  )


def test_a_trust_region_is_free_inside_and_quadratic_outside():
  start = jnp.full((2, 2), 1.0)
  depth = start + 0.1 * jnp.array([[0.0, 1.0], [-2.0, 4.0]])
  inside = losses.trust_region(depth, start, radius=0.5)
  outside = losses.trust_region(depth, start, radius=0.1)
  np.testing.assert_array_equal(inside, 0)
  np.testing.assert_allclose(outside, (1 + 9) / 4, rtol=1e-5)


def test_latent_offset_is_the_mean_square():
  offset = jnp.array([[1.0, -2.0], [0.0, 3.0]])
  np.testing.assert_allclose(losses.latent_offset(offset), 14 / 4)
