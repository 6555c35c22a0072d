"""Boxes, the ellipsoid, and the distributions of views and lights."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan2shape_jax import priors
from gan2shape_jax.render.camera import Camera
from gan2shape_jax.render.geometry import normals_from_depth
from gan2shape_jax.render.shading import Light, shade

PRIOR = priors.LightPrior(
  x=(-1.0, 1.0), y=(-0.2, 0.8), diffuse=(-0.1, 0.6), alpha=-0.6
)


def rectangle(size, top, bottom, left, right, value=1.0):
  mask = jnp.zeros((size, size))
  return mask.at[top : bottom + 1, left : right + 1].set(value)


def box_of(*sides):
  return priors.Box(*(jnp.float32(side) for side in sides))


def test_box_of_a_rectangle_above_the_threshold():
  mask = rectangle(16, 3, 9, 4, 12) + rectangle(16, 14, 15, 0, 15, 0.6)
  np.testing.assert_array_equal(priors.mask_box(mask), [3, 9, 4, 12])


@pytest.mark.parametrize(
  "mask",
  [
    jnp.zeros((17, 17)),
    rectangle(17, 5, 5, 2, 9),
    rectangle(17, 2, 9, 5, 5),
  ],
  ids=["empty", "one row", "one column"],
)
def test_a_mask_without_a_box_gets_one_in_the_middle(mask):
  np.testing.assert_array_equal(priors.mask_box(mask), [4, 12, 4, 12])


@pytest.mark.parametrize(
  "edits, expected",
  [
    ({}, (10, 22, 6, 30)),
    ({"grow_top": 1 / 6}, (8, 22, 6, 30)),
    ({"grow_bottom": 1 / 6}, (10, 24, 6, 30)),
    ({"bottom_to_border": True, "shrink_sides": 1 / 12}, (10, 31, 8, 28)),
  ],
  ids=["cat", "synthetic face", "car", "face"],
)
def test_edits_of_the_box(edits, expected):
  box = priors.adjust_box(box_of(10, 22, 6, 30), 32, **edits)
  np.testing.assert_allclose(box, expected, rtol=1e-6)


def ellipsoid_oracle(box, size, near, far, radius):
  """GAN2Shape model.py, pixel by pixel, with the rows squeezed about cy."""
  cy, cx = (box[0] + box[1]) / 2, (box[2] + box[3]) / 2
  rho = (box[3] - box[2]) / 2
  k = (box[1] - box[0]) / (box[3] - box[2])
  rim = np.sqrt(radius**2 - (radius - (far - near)) ** 2)
  depth = np.full((size, size), far)
  for y in range(size):
    for x in range(size):
      delta = np.hypot((y - cy) / k, x - cx)
      if delta <= rho:
        cap = np.sqrt(abs(radius**2 - (rim * delta / rho) ** 2))
        depth[y, x] = near + radius - cap
  return depth


@pytest.mark.parametrize("sides", [(8, 20, 6, 28), (-3, 30.5, 5, 11)])
def test_ellipsoid_equals_its_definition(sides):
  depth = priors.ellipsoid_depth(box_of(*sides), 32, near=0.91, far=1.02)
  expected = ellipsoid_oracle(sides, 32, 0.91, 1.02, 0.4)
  np.testing.assert_allclose(depth, expected, atol=2e-6)


def test_ellipsoid_is_near_in_the_middle_and_far_from_the_rim_on():
  # The box whose centre the reference moves (docs/differences.md, 13).
  depth = priors.ellipsoid_depth(
    box_of(30, 126, 30, 100), 128, near=0.91, far=1.02
  )
  np.testing.assert_allclose(depth[78, 65], 0.91, atol=1e-6)
  assert depth.argmin() == 78 * 128 + 65
  rim = depth[jnp.array([30, 126, 78, 78]), jnp.array([65, 65, 30, 100])]
  np.testing.assert_allclose(rim, 1.02, atol=1e-6)
  np.testing.assert_allclose(depth[0], 1.02, atol=1e-6)
  assert depth[31, 65] < 1.02 and depth[125, 65] < 1.02


def test_the_box_can_be_traced():
  @jax.jit
  def prior(mask):
    return priors.ellipsoid_depth(priors.mask_box(mask), 16, near=0.9, far=1.0)

  both = jax.vmap(prior)(
    jnp.stack([rectangle(16, 2, 9, 3, 12), jnp.zeros((16, 16))])
  )
  np.testing.assert_allclose(both[0], prior(rectangle(16, 2, 9, 3, 12)))
  assert jnp.isfinite(both).all()


def test_sampled_views_have_the_priors_moments():
  factor = np.random.default_rng(0).normal(size=(6, 4)) * 0.1
  cov = factor @ factor.T  # singular
  prior = priors.view_prior(np.linspace(-0.5, 0.5, 6), cov)
  keys = jax.random.split(jax.random.key(0), 4000)
  for scale in (1.0, 1.5):
    views = jax.vmap(
      lambda key: priors.sample_view(key, prior, view_scale=scale)  # noqa: B023
    )(keys)
    scales = np.array([1, scale, 1, 1, 1, 1])
    np.testing.assert_allclose(views.mean(0), prior.mean, atol=0.01)
    np.testing.assert_allclose(
      np.cov(views.T), cov * scales * scales[:, None], atol=0.01
    )


def test_what_never_varies_is_not_sampled():
  prior = priors.view_prior(np.arange(6.0), np.zeros((6, 6)))
  view = priors.sample_view(jax.random.key(0), prior, view_scale=2.0)
  np.testing.assert_array_equal(view, prior.mean)


def test_sampled_lights_fill_their_ranges():
  keys = jax.random.split(jax.random.key(0), 2000)
  change = jax.vmap(lambda key: priors.sample_light(key, PRIOR))(keys)
  np.testing.assert_allclose(
    jnp.linalg.norm(change.direction, axis=-1), 1, atol=1e-6
  )
  x, y = (change.direction[:, :2] / change.direction[:, 2:]).T
  for values, (low, high) in (
    (x, PRIOR.x),
    (y, PRIOR.y),
    (change.diffuse, PRIOR.diffuse),
  ):
    width = high - low
    assert low - 1e-6 <= values.min() < low + 0.01 * width
    assert high - 0.01 * width < values.max() <= high + 1e-6
  np.testing.assert_allclose(change.ambient, -0.6 * change.diffuse, rtol=1e-6)


def test_relit_shading_equals_the_formula():
  light = Light(
    ambient=jnp.float32(0.4),
    diffuse=jnp.float32(0.5),
    direction=jnp.array([0.0, 0.0, 1.0]),
  )
  depth = 1 + 0.05 * jax.random.normal(jax.random.key(0), (8, 8))
  normal = normals_from_depth(depth, Camera(8))
  change = priors.sample_light(jax.random.key(1), PRIOR)
  r, s = float(change.diffuse), np.asarray(change.direction)
  expected = 0.4 - 0.6 * r + (0.5 + r) * np.maximum(np.asarray(normal) @ s, 0)
  np.testing.assert_allclose(
    shade(normal, priors.relight(light, change)), expected, atol=1e-5
  )
