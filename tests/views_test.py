"""Views: the right poses and lights, and frames that show them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan2shape_jax import views
from gan2shape_jax.render.camera import Camera, pose_from_angles
from gan2shape_jax.render.geometry import normals_from_depth
from gan2shape_jax.render.shading import Light
from gan2shape_jax.types import Reconstruction

SIZE = 16
CAMERA = Camera(SIZE)
YAW, PITCH, ALPHA = np.radians(40.0), np.radians(20.0), -0.6
FRONT = jnp.array([0.0, 0.0, 1.0])


def _reconstruction(depth, *, mask=None, angles=(0.2, 0.3, 0.1)):
  """Smooth colours on a depth map, seen from a view with all three angles."""
  x, y = np.meshgrid(np.linspace(-1, 1, SIZE), np.linspace(-1, 1, SIZE))
  albedo = np.stack([0.5 * x, 0.5 * y, 0.3 * x * y], -1).astype(np.float32)
  depth = jnp.asarray(depth, jnp.float32)
  return Reconstruction(
    depth=depth,
    albedo=jnp.asarray(albedo),
    normal=normals_from_depth(depth, CAMERA),
    light=Light(jnp.float32(0.5), jnp.float32(0.4), FRONT),
    pose=pose_from_angles(jnp.array(angles), jnp.array([0.01, 0.0, 0.0])),
    mask=None if mask is None else jnp.asarray(mask),
  )


def _gallery(reconstruction, **options):
  return views.make_gallery(
    reconstruction,
    CAMERA,
    max_yaw=YAW,
    max_pitch=PITCH,
    alpha=ALPHA,
    size=SIZE,
    swing_count=5,
    **options,
  )


def _bump():
  x, y = np.meshgrid(np.linspace(-1, 1, SIZE), np.linspace(-1, 1, SIZE))
  return 1.02 - 0.04 * np.exp(-3 * (x**2 + y**2))


@pytest.fixture(scope="module")
def plane():
  return _gallery(_reconstruction(np.ones((SIZE, SIZE))), project=lambda x: -x)


@pytest.fixture(scope="module")
def bump():
  return _gallery(_reconstruction(_bump()), project=lambda x: x)


def test_rotation_angles():
  angles = views.rotation_angles(YAW, PITCH)
  np.testing.assert_allclose(angles[:9, 1], YAW * np.arange(-4, 5) / 4)
  np.testing.assert_allclose(angles[9:, 0], PITCH * np.arange(-2, 3) / 2)
  assert np.count_nonzero(angles) == 8 + 4  # everything else is zero


def test_swing_is_smooth_through_its_turning_points():
  half = views.swing_angles(YAW, 21)[:, 1]
  loop = np.concatenate([half, half[-2:0:-1]])
  np.testing.assert_allclose([loop.min(), loop.max()], [-YAW, YAW], rtol=1e-6)
  # A sampled sinusoid is an eigenvector of the cyclic second difference.
  second = np.roll(loop, 1) - 2 * loop + np.roll(loop, -1)
  rate = 2 - 2 * np.cos(2 * np.pi / 40)
  np.testing.assert_allclose(second, -rate * loop, atol=1e-6)


def test_relights_against_the_definition():
  light = Light(jnp.float32(0.45), jnp.float32(0.35), FRONT)
  lights = views.relights(light, ALPHA)
  normal = np.array([-0.3, 0.4, 0.8])
  shading = lights.ambient + lights.diffuse * np.maximum(
    lights.direction @ normal, 0
  )
  expected = []
  for r in (0.3, 0.6):
    for y in (0, 0.6):
      for x in (-1.5, -0.7, 0, 0.7, 1.5):
        direction = np.array([x, y, 1]) / np.sqrt(x * x + y * y + 1)
        cosine = max(0, normal @ direction)
        expected.append(0.45 - 0.6 * r + (0.35 + r) * cosine)
  np.testing.assert_allclose(shading, expected, rtol=1e-5)


def test_identity_frames_show_the_canonical_picture(bump):
  for frame in (bump.rotated.image[4], bump.rotated.image[11]):
    np.testing.assert_allclose(
      frame[1:-1, 1:-1], bump.canonical[1:-1, 1:-1], atol=0.02
    )
  np.testing.assert_allclose(bump.rotated_gan[4], bump.canonical, atol=1e-5)


def test_mesh_and_grid_agree_in_the_input_view(bump):
  """Two renderers, one of which also composed the pose with a rotation."""
  mesh = np.asarray(bump.rotated_input.image[4])
  grid = np.asarray(bump.reconstruction)
  inside = (mesh < 0.99).all(-1) & (grid < 0.99).all(-1)
  assert inside.mean() > 0.6
  assert np.median(np.abs(mesh - grid)[inside]) < 0.01
  assert np.median(np.abs(bump.rotated.image[4] - grid)[inside]) > 0.03


def test_turned_plane_has_turned_normals_and_darker_clay(plane):
  angles = views.rotation_angles(YAW, PITCH)
  center = SIZE // 2
  for frame, (pitch, yaw, _) in enumerate(angles):
    # Rx and Ry of the axis that faces away from the viewer.
    normal = [np.sin(yaw), -np.sin(pitch), np.cos(yaw) * np.cos(pitch)]
    np.testing.assert_allclose(
      plane.rotated.normal[frame, center, center], normal, atol=1e-3
    )
    np.testing.assert_allclose(
      plane.rotated.shape[frame, center, center],
      2 * 0.7 * np.cos(yaw) * np.cos(pitch) - 1,
      atol=1e-3,
    )


def test_more_yaw_leaves_more_white(plane):
  white = (plane.rotated.image >= 1).all(-1).mean((1, 2))
  np.testing.assert_allclose(white[:4], white[8:4:-1], atol=0.1)
  assert (np.diff(white[4:9]) >= 0).all() and white[8] > white[4] + 0.1


def test_relit_plane_follows_the_lights(plane):
  """Seen frontally, black to white albedo would go by the shading alone."""
  rec = _reconstruction(np.ones((SIZE, SIZE)))
  lights = views.relights(rec.light, ALPHA)
  cosine = np.maximum(lights.direction[:, 2], 0)
  shading = lights.ambient + lights.diffuse * cosine
  relit = jax.vmap(views.texture_of, (None, 0))(rec, lights)
  expected = (rec.albedo + 1) * shading[:, None, None, None] - 1
  np.testing.assert_allclose(relit, expected, atol=1e-3)
  levels = plane.relit.mean((1, 2, 3))
  assert np.corrcoef(levels, shading)[0, 1] > 0.999


def test_twenty_lights_at_full_size_as_one_program():
  """Compiled as a batch at real sizes: XLA has been seen to mix up lights."""
  size = 64
  camera = Camera(size)
  y, x = np.mgrid[-1 : 1 : size * 1j, -1 : 1 : size * 1j]
  depth = jnp.asarray(1 - 0.06 * np.exp(-3 * (x**2 + y**2)), jnp.float32)
  rec = Reconstruction(
    depth=depth,
    albedo=jnp.zeros((size, size, 3)),
    normal=normals_from_depth(depth, camera),
    light=Light(jnp.float32(0.5), jnp.float32(0.4), FRONT),
    pose=pose_from_angles(jnp.zeros(3), jnp.zeros(3)),
  )
  lights = views.relights(rec.light, ALPHA)
  relit = jax.jit(jax.vmap(views.texture_of, (None, 0)))(rec, lights)
  cosine = np.einsum("hwc,nc->nhw", rec.normal, lights.direction)
  ambient = np.asarray(lights.ambient)[:, None, None]
  diffuse = np.asarray(lights.diffuse)[:, None, None]
  shading = ambient + diffuse * np.maximum(cosine, 0)
  np.testing.assert_allclose(relit[..., 0], shading - 1, atol=1e-5)


def test_gan_sees_rotations_then_relights_in_order(plane):
  seen = []
  plain = _gallery(
    _reconstruction(np.ones((SIZE, SIZE))),
    project=lambda x: seen.append(x) or x,
  )
  (seen,) = seen
  assert seen.shape == (34, SIZE, SIZE, 3)
  assert np.abs(seen).max() <= 1
  np.testing.assert_array_equal(plain.rotated_gan, seen[:14])
  np.testing.assert_array_equal(plain.relit_gan, seen[14:])
  np.testing.assert_array_equal(plane.rotated_gan, -seen[:14])
  np.testing.assert_array_equal(plane.relit_gan, -seen[14:])


def test_mask_makes_the_background_white():
  mask = np.zeros((SIZE, SIZE), np.float32)
  mask[4:12, 5:11] = 0.4
  frames = _gallery(_reconstruction(_bump(), mask=mask))
  assert frames.rotated_gan is None and frames.relit_gan is None
  drawn = (np.asarray(frames.rotated.image[4]) < 1).any(-1)
  assert drawn[5:11, 6:10].all()
  assert not drawn[:3].any() and not drawn[13:].any()
  assert not drawn[:, :4].any() and not drawn[:, 12:].any()
  for stack in (frames.rotated.normal, frames.rotated.shape):
    np.testing.assert_array_equal(stack[4][~drawn], 1)


def test_a_mask_without_a_face_shows_everything():
  mask = np.full((SIZE, SIZE), 0.2, np.float32)
  mask[3, 2:9] = mask[8:12, 12] = 1  # No four pixels around a cell.
  shown = _reconstruction(_bump(), mask=mask)
  assert views.object_pixels(shown).all()
  assert views.object_pixels(shown.replace(mask=None)).all()
  mask[2, 4:6] = 1
  assert views.object_pixels(shown.replace(mask=mask)).sum() == 7 + 4 + 2
