"""Pictures of the mesh: what is covered, sizes, background, masks."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import render_oracle as oracle

from gan2shape_jax import render

SIZE = 24
CAMERA = render.Camera(SIZE)


@functools.partial(
  jax.jit, static_argnames=("background", "image_size", "supersample")
)
def picture(depth, texture, pose, mask=None, **options):
  return render.render_mesh(depth, texture, pose, CAMERA, mask=mask, **options)


def pose_of(name):
  return render.pose_from_angles(*map(jnp.asarray, oracle.view(name)))


def ramp():
  """A texture that says where in the canonical picture it is."""
  ends = jnp.linspace(-0.9, 0.9, SIZE)
  return jnp.stack([*jnp.meshgrid(ends, ends), jnp.zeros((SIZE, SIZE))], -1)


def test_the_identity_view_is_the_texture():
  depth = jnp.asarray(oracle.scene("ellipsoid", SIZE))
  actual = picture(depth, ramp(), render.identity_pose())
  np.testing.assert_allclose(actual, ramp(), atol=1e-5)


@pytest.mark.parametrize("name", ["yaw 60", "pitch 60", "all 30"])
def test_no_holes_at_large_rotations(name):
  """White exactly where the oracle meets no face; depth is not clamped."""
  depth = oracle.scene("step", SIZE)
  _, face, stable = oracle.warp_stable(depth, *oracle.view(name))
  actual = picture(jnp.asarray(depth), ramp(), pose_of(name))
  white = np.asarray((actual == 1).all(-1))
  np.testing.assert_array_equal(white[stable], face[stable] < 0)
  assert white.any() and not white.all()


def test_the_background_is_of_ones_choice():
  away = render.pose_from_angles(jnp.zeros(3), jnp.array([1.0, 0.0, 0.0]))
  depth = jnp.ones((SIZE, SIZE))
  np.testing.assert_array_equal(picture(depth, ramp(), away), 1)
  grey = picture(depth, ramp(), away, background=0.0)
  np.testing.assert_array_equal(grey, 0)


def test_a_larger_picture_shows_the_same():
  depth = jnp.asarray(oracle.scene("smooth", SIZE))
  large = picture(depth, ramp(), pose_of("all 10"), image_size=2 * SIZE - 1)
  small = picture(depth, ramp(), pose_of("all 10"))
  assert large.shape == (2 * SIZE - 1, 2 * SIZE - 1, 3)
  # Every other pixel centre of the large picture is one of the small.
  np.testing.assert_allclose(large[::2, ::2], small, atol=1e-4)


def test_supersampling_averages_around_the_pixel_centre():
  """The mesh begins 0.1 pixels before the centre of column 3 and row 2."""
  depth, pixel = jnp.ones((SIZE, SIZE)), 1 / CAMERA.focal
  shift = jnp.array([2.9 * pixel, 1.9 * pixel, 0.0])
  pose = render.pose_from_angles(jnp.zeros(3), shift)
  plain = picture(depth, ramp(), pose)
  smooth = picture(depth, ramp(), pose, supersample=2)
  assert smooth.shape == plain.shape
  # The mean of a linear ramp over a block is its value in the middle.
  inner = np.s_[3:-1, 4:-1]
  np.testing.assert_allclose(smooth[inner], plain[inner], atol=1e-4)
  # Two of four samples are background along the edge.
  edge = np.s_[5:-1, 3]
  np.testing.assert_allclose(
    smooth[edge][:, 1], (plain[edge][:, 1] + 1) / 2, atol=1e-3
  )


def test_a_mask_leaves_out_the_faces_of_background_vertices():
  depth = oracle.scene("step", SIZE)
  mask = jnp.asarray(depth < 1)
  texture = jnp.where(mask[..., None], ramp(), -1.0)
  masked = picture(jnp.asarray(depth), texture, pose_of("yaw 60"), mask)
  whole = picture(jnp.asarray(depth), texture, pose_of("yaw 60"))
  kept = np.asarray((masked != 1).any(-1))
  shown = np.asarray((whole != 1).any(-1))
  assert kept.any() and (shown & ~kept).sum() > 20
  # What is left is the front, whose texture is above -1 in the last channel.
  assert masked[kept][:, 2].min() > -0.6


def test_textures_of_any_resolution():
  depth = jnp.asarray(oracle.scene("ellipsoid", SIZE))
  ends = jnp.linspace(-0.9, 0.9, 2 * SIZE - 1)
  fine = jnp.stack(
    [*jnp.meshgrid(ends, ends), 0 * ends + 0 * ends[:, None]], -1
  )
  np.testing.assert_allclose(
    picture(depth, fine, pose_of("all 10")),
    picture(depth, ramp(), pose_of("all 10")),
    atol=1e-5,
  )
