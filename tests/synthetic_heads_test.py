"""Heads: deterministic, disjoint between splits, exact, mirrored."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from heads_oracle import erode, rotation_matrix, scene_rays

from gan2shape_jax.synthetic import fields, heads, identity, shape

SIZE = 32
PIVOT = np.array([0.0, 0.0, 1.0])
LIGHT = heads.Light(
  jnp.float32(0.35), jnp.float32(0.6), jnp.array([0.5, 0.4, 0.77])
)


def draw(split, index, **options):
  return heads.sample_head(
    heads.identity_key(0, split, index),
    heads.view_key(0, split, index),
    size=SIZE,
    **options,
  )


def test_a_sample_is_the_same_twice_and_another_is_not():
  first, again = draw("train", 3), draw("train", 3)
  jax.tree.map(np.testing.assert_array_equal, first, again)
  other = draw("train", 4)
  assert np.abs(np.asarray(first.image - other.image)).max() > 0.1


def test_splits_and_seeds_share_no_identity_and_no_view():
  keys = [
    np.asarray(jax.random.key_data(key(seed, split, index))).tobytes()
    for key in (heads.identity_key, heads.view_key)
    for seed in (0, 1)
    for split in heads.SPLITS
    for index in range(20)
  ]
  assert len(set(keys)) == len(keys)


def test_image_range_background_and_mask():
  sample = draw("train", 3)
  image, mask = np.asarray(sample.image), np.asarray(sample.mask)
  assert image.shape == (SIZE, SIZE, 3)
  assert image.min() == -1.0
  assert image.max() < 1.0
  assert 0.3 < mask.mean() < 0.75
  # A pixel is black exactly off the head, but for the silhouette's own.
  lit = (image > -1).all(-1)
  assert np.all(lit[erode(mask)])
  assert not np.any(lit[erode(~mask)])
  depth = np.asarray(sample.depth)
  assert np.all((depth > 0) == mask)
  assert 0.9 < depth[mask].min() < depth[mask].max() < 1.1
  length = np.linalg.norm(np.asarray(sample.normal), axis=-1)
  np.testing.assert_allclose(length, mask, atol=1e-5)


def test_hits_lie_on_the_surface():
  sample = draw("train", 5)
  mask = np.asarray(sample.mask)
  scene = scene_rays(SIZE) * np.asarray(sample.depth, float)[..., None]
  # A row times R is R^T applied to it.
  point = (scene - PIVOT)[mask] @ rotation_matrix(sample.view[:3])
  point = point / float(sample.identity["head_scale"])
  value = shape.head_distance(
    sample.identity, fields.Point(*point.T.astype(np.float32))
  )
  value = np.abs(np.asarray(value))
  assert np.median(value) < 1e-5
  assert value.max() < 3e-4


def test_normals_agree_with_differences_of_the_depth():
  sample = draw("train", 5)
  depth, mask = np.asarray(sample.depth, float), np.asarray(sample.mask)
  points = scene_rays(SIZE) * depth[..., None]
  across = points[1:-1, 2:] - points[1:-1, :-2]
  down = points[2:, 1:-1] - points[:-2, 1:-1]
  normal = np.cross(across, down)
  normal /= np.linalg.norm(normal, axis=-1, keepdims=True) + 1e-12
  true = np.asarray(sample.normal)[1:-1, 1:-1]
  angle = np.degrees(np.arccos(np.clip((normal * true).sum(-1), -1, 1)))
  inner = erode(erode(mask))[1:-1, 1:-1]
  assert inner.sum() > 150
  # Differences over two pixels blur the nose and the lips; most is smooth.
  assert np.median(angle[inner]) < 4
  assert np.quantile(angle[inner], 0.8) < 12


def test_symmetric_heads_mirror_exactly():
  who = identity.sample_identity(jax.random.key(8), asymmetry="none")
  view = jnp.array([0.1, 0.4, -0.06, 0.0, 0.0, 0.0])
  flip = jnp.array([1.0, -1.0, -1.0, 1.0, 1.0, 1.0])
  mirrored = LIGHT._replace(direction=LIGHT.direction * jnp.array([-1, 1, 1]))
  a = heads.render_head(who, view, LIGHT, size=SIZE)
  b = heads.render_head(who, view * flip, mirrored, size=SIZE)
  np.testing.assert_array_equal(a.mask, b.mask[:, ::-1])
  np.testing.assert_allclose(a.depth, b.depth[:, ::-1], atol=1e-6)
  np.testing.assert_allclose(a.image, b.image[:, ::-1], atol=1e-4)


@pytest.mark.parametrize(
  ("asymmetry", "shape_differs", "picture_differs"),
  [
    ("none", False, False),
    ("appearance", False, True),
    ("full", True, True),
  ],
)
def test_each_degree_of_asymmetry_shows_where_it_should(
  asymmetry, shape_differs, picture_differs
):
  who = identity.sample_identity(jax.random.key(8), asymmetry=asymmetry)
  light = LIGHT._replace(direction=jnp.array([0.0, 0.0, 1.0]))
  a = heads.render_head(who, jnp.zeros(6), light, size=SIZE)
  depth, image = np.asarray(a.depth), np.asarray(a.image)
  assert (np.abs(depth - depth[:, ::-1]).max() > 1e-4) == shape_differs
  assert (np.abs(image - image[:, ::-1]).max() > 0.02) == picture_differs


def test_light_from_the_left_lights_that_side():
  who = identity.sample_identity(jax.random.key(8), asymmetry="none")
  light = LIGHT._replace(direction=jnp.array([0.6, 0.0, 0.8]))
  sample = heads.render_head(who, jnp.zeros(6), light, size=SIZE)
  image, normal = np.asarray(sample.image), np.asarray(sample.normal)
  assert image[:, : SIZE // 2].mean() > image[:, SIZE // 2 :].mean() + 0.02
  # Inward normals of a convex object: x points right on its left side.
  assert normal[:, : SIZE // 2, 0].mean() > 0.05
  assert normal[..., 2].max() > 0.99
  assert normal[..., 2].min() >= -1e-3


def test_a_view_moves_the_tip_of_the_nose_as_the_rotation_says():
  who = identity.sample_identity(jax.random.key(8), asymmetry="none")

  def depth_in(angles):
    view = jnp.array([*angles, 0.0, 0.0, 0.0])
    return np.asarray(heads.render_head(who, view, LIGHT, size=SIZE).depth)

  frontal = depth_in((0.0, 0.0, 0.0))
  nearest = np.argmin(np.where(frontal > 0, frontal, np.inf))
  row, column = np.unravel_index(nearest, frontal.shape)
  tip = scene_rays(SIZE)[row, column] * frontal[row, column]
  focal = (SIZE - 1) / (2 * np.tan(np.radians(5)))
  for angles in ((0.0, 0.4, 0.0), (0.25, 0.0, 0.0), (0.1, -0.3, 0.15)):
    x, y, z = rotation_matrix(angles) @ (tip - PIVOT) + PIVOT
    u = round(focal * x / z + (SIZE - 1) / 2)
    v = round(focal * y / z + (SIZE - 1) / 2)
    # ry > 0 moves the near side to the left, rx > 0 moves it down.
    assert (u < column - 2) == (angles[1] > 0)
    assert (v > row + 2) == (angles[0] > 0.2)
    # Within the slope of the nose over half a pixel.
    assert abs(depth_in(angles)[v, u] - z) < 0.006


def test_identities_stay_in_range_and_views_are_clipped():
  keys = jax.random.split(jax.random.key(1), 200)
  drawn = jax.vmap(lambda k: identity.sample_identity(k, asymmetry="full"))(
    keys
  )
  for name, (low, high) in identity.RANGES.items():
    value = np.asarray(drawn[name])
    assert value.min() >= low - 1e-6, name
    assert value.max() <= high + 1e-6, name
    assert value.std() > 0, name
  assert len(identity.NAMES) > 40
  views = np.asarray(jax.vmap(heads.sample_view)(keys))
  assert np.abs(views[:, 1]).max() <= heads.YAW_MAX
  assert 0.25 < views[:, 1].std() < 0.45
  assert np.all(views[:, 3:] == 0)
