"""Views: grids, mask and image, and their gradients."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import render_oracle as oracle

from gan2shape_jax import render

SIZE = 24
CAMERA = render.Camera(SIZE)
TEXTURE = jnp.float32(
  np.random.default_rng(0).uniform(-1.3, 1.3, (SIZE, SIZE, 3))
)


def pose_of(name):
  return render.pose_from_angles(*map(jnp.asarray, oracle.view(name)))


def depth_of(scene):
  return jnp.asarray(oracle.scene(scene, SIZE))


@functools.partial(jax.jit, static_argnames="camera")
def render_view(depth, texture, pose, camera=CAMERA):
  return render.render_view(depth, texture, pose, camera)


def identity_grid():
  ends = np.linspace(-1, 1, SIZE)
  return np.stack(np.meshgrid(ends, ends), -1)


@pytest.mark.parametrize("scene", oracle.SCENES)
def test_the_identity_view_returns_depth_and_clamped_texture(scene):
  view = render_view(depth_of(scene), TEXTURE, render.identity_pose())
  np.testing.assert_allclose(view.depth, depth_of(scene), atol=1e-6)
  np.testing.assert_array_equal(view.mask, 1)
  np.testing.assert_allclose(view.grid, identity_grid(), atol=1e-6)
  np.testing.assert_allclose(view.image, TEXTURE.clip(-1, 1), atol=2e-5)


def test_the_grid_is_the_canonical_place_of_what_is_seen():
  """Depth looked up there, moved into the view, has the view's depth."""
  depth, pose = depth_of("smooth"), pose_of("all 30")
  view = render_view(depth, TEXTURE, pose)
  grid = np.asarray(view.grid)
  inside = np.asarray(view.mask > 0) & (np.abs(grid) < 0.95).all(-1)
  assert inside.mean() > 0.3
  points = render.transform_points(
    render.depth_to_points(depth, CAMERA), pose, CAMERA
  )
  seen = render.sample_bilinear(points, view.grid)
  np.testing.assert_allclose(
    seen[..., 2][inside], view.depth[inside], atol=1e-3
  )
  pixel = render.project_to_grid(seen, CAMERA)
  np.testing.assert_allclose(pixel[inside], identity_grid()[inside], atol=2e-2)


def test_forward_grid_is_where_the_inverse_grid_comes_from():
  """The round trip ends at its start wherever nothing is in the way."""
  depth, pose = depth_of("smooth"), pose_of("all 10")
  forward = render.forward_grid(depth, pose, CAMERA)
  grid, _, mask = render.view_grid(depth, pose, CAMERA)
  back = np.asarray(render.sample_bilinear(grid, forward))
  inner = (np.abs(forward) < 0.9).all(-1)
  inner &= np.asarray(
    render.sample_bilinear(mask[..., None], forward)[..., 0] > 0.999
  )
  assert inner.mean() > 0.5
  np.testing.assert_allclose(back[inner], identity_grid()[inner], atol=2e-2)


def test_forward_grid_of_the_identity_is_the_identity():
  grid = render.forward_grid(depth_of("step"), render.identity_pose(), CAMERA)
  np.testing.assert_allclose(grid, identity_grid(), atol=1e-6)


def test_depth_is_clamped_and_the_mask_follows_the_margin_rule():
  depth = depth_of("step")
  angles, back = jnp.array([0.1, 0.6, 0.0]), jnp.array([0.0, 0.0, 0.14])
  pose = render.pose_from_angles(angles, back)
  raw, face = oracle.warp(depth, angles, back)
  raw, covered = raw[0], face[0] >= 0
  view = render_view(depth, TEXTURE, pose)
  visible = covered & (raw < 1.2)
  assert visible.any() and (~covered).any() and (covered & ~visible).any()
  np.testing.assert_array_equal(view.mask, visible)
  assert view.mask.dtype == jnp.float32
  np.testing.assert_allclose(view.depth, np.where(visible, raw, 1.2), atol=1e-6)


def test_nearer_than_the_range_is_clamped_too():
  pose = render.pose_from_angles(jnp.zeros(3), jnp.array([0.0, 0.0, -0.25]))
  view = render_view(jnp.full((SIZE, SIZE), 0.95), TEXTURE, pose)
  np.testing.assert_allclose(view.depth, 0.8)
  np.testing.assert_array_equal(view.mask, 1)


def test_view_grid_is_the_renderings():
  depth, pose = depth_of("border"), pose_of("all 30")
  view = render_view(depth, TEXTURE, pose)
  grid, depth_view, mask = jax.jit(lambda d, p: render.view_grid(d, p, CAMERA))(
    depth, pose
  )
  np.testing.assert_allclose(grid, view.grid, atol=1e-6)
  np.testing.assert_allclose(depth_view, view.depth, atol=1e-6)
  np.testing.assert_array_equal(mask, view.mask)


def test_gradients_reach_depth_texture_and_pose_and_not_the_mask():
  def view(depth, texture, angles, translation):
    pose = render.pose_from_angles(angles, translation)
    return render_view(depth, texture, pose)

  angles, translation = map(jnp.asarray, oracle.view("yaw 60"))
  out, pullback = jax.vjp(
    view, depth_of("border"), TEXTURE, angles, translation
  )
  zero = jax.tree.map(jnp.zeros_like, out)
  for gradient in pullback(zero.replace(image=TEXTURE)):
    assert jnp.isfinite(gradient).all()
    assert jnp.abs(gradient).max() > 0
  for gradient in pullback(zero.replace(mask=jnp.ones((SIZE, SIZE)))):
    np.testing.assert_array_equal(gradient, 0)


@pytest.mark.parametrize("what", ["depth", "angles"])
def test_image_derivatives_match_central_differences(what):
  """Of a smooth texture, whose kinks at the canonical pixels are small."""
  y, x = np.mgrid[:SIZE, :SIZE] / (SIZE - 1) * 2 - 1
  texture = jnp.float32(np.stack([x, 0.5 * y, 0.3 * x + 0.4 * y], -1))
  depth = depth_of("smooth")
  angles, translation = map(jnp.asarray, oracle.view("all 10"))
  direction = {
    "depth": (jnp.float32(np.sin(3 * x + 2 * y)), jnp.zeros(3)),
    "angles": (jnp.zeros_like(depth), jnp.array([0.3, -1.0, 0.5])),
  }[what]

  def image(h):
    pose = render.pose_from_angles(angles + h * direction[1], translation)
    view = render_view(depth + h * direction[0], texture, pose)
    return jnp.where(view.mask[..., None] > 0, view.image, 0.0)

  _, tangent = jax.jvp(image, (0.0,), (1.0,))
  h = 1e-3
  difference = np.asarray((image(h) - image(-h)) / (2 * h))
  # A silhouette that passes a pixel makes a jump, which is not a derivative.
  inner = np.s_[3:-3, 3:-3]
  error = np.linalg.norm(tangent[inner] - difference[inner])
  assert error < 0.02 * np.linalg.norm(difference[inner])


def test_a_batch_of_views_equals_single_views():
  depth = depth_of("ellipsoid")
  names = ["identity", "all 10", "yaw 60"]
  poses = jax.tree.map(lambda *x: jnp.stack(x), *map(pose_of, names))
  batch = jax.jit(
    jax.vmap(lambda pose: render.render_view(depth, TEXTURE, pose, CAMERA))
  )(poses)
  for k, name in enumerate(names):
    single = render_view(depth, TEXTURE, pose_of(name))
    np.testing.assert_allclose(batch.image[k], single.image, atol=1e-4)
    np.testing.assert_array_equal(batch.mask[k], single.mask)
