"""Pictures of a reconstruction: turned, relit, as normals and as bare shape.

Pure computation; `export.py` writes the files. One reconstruction at a time:
pictures `[h, w, 3]` in [-1, 1], frames `[n, s, s, 3]` in [-1, 1] on white,
depth in scene units, angles in radians, normals inward in camera axes.
"""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from jaxtyping import Array, Bool, Float

from gan2shape_jax.render.camera import (
  Camera,
  Pose,
  compose_poses,
  pose_from_angles,
)
from gan2shape_jax.render.compose import render_view
from gan2shape_jax.render.mesh import render_mesh
from gan2shape_jax.render.shading import Light, apply_shading, shade
from gan2shape_jax.types import Reconstruction

# GAN2Shape model.py, save_results: a canonical mask from here on is object.
MASK_THRESHOLD = 0.3
# GAN2Shape model.py, save_results: grey level of a surface facing the viewer.
CLAY = 0.7
RELIGHT_DIFFUSE = (0.3, 0.6)
RELIGHT_Y = (0.0, 0.6)
RELIGHT_X = (-1.5, -0.7, 0.0, 0.7, 1.5)


@struct.dataclass
class Frames:
  """The same views three times.

  Attributes:
    image: the textured mesh.
    normal: inward normals in the frame of the view, n as a colour.
    shape: grey surface lit from the viewer.
  """

  image: Float[Array, "n s s 3"]
  normal: Float[Array, "n s s 3"]
  shape: Float[Array, "n s s 3"]

  def __getitem__(self, index: slice) -> "Frames":
    """A part of the frames."""
    return jax.tree.map(lambda frames: frames[index], self)


@struct.dataclass
class Gallery:
  """Every picture of one reconstruction.

  Attributes:
    canonical: albedo under the picture's light.
    shading: light that reaches each pixel, 0 black and 1 white.
    reconstruction: the input view, white where nothing is seen.
    albedo_input: albedo in the input view, white where nothing is seen.
    depth_input: depth in the input view, NaN where nothing is seen.
    rotated: `rotation_poses` about the canonical pose.
    rotated_input: the same about the input view.
    relit: the textured mesh under `relights`, in the input view.
    swing: `swing_poses`, half a period of the turntable.
    rotated_gan: `rotated` through the GAN, None without one.
    relit_gan: `relit` through the GAN, None without one.
  """

  canonical: Float[Array, "h w 3"]
  shading: Float[Array, "h w"]
  reconstruction: Float[Array, "h w 3"]
  albedo_input: Float[Array, "h w 3"]
  depth_input: Float[Array, "h w"]
  rotated: Frames
  rotated_input: Frames
  relit: Float[Array, "20 s s 3"]
  swing: Frames
  rotated_gan: Float[Array, "14 h w 3"] | None = None
  relit_gan: Float[Array, "20 h w 3"] | None = None


def rotation_angles(max_yaw: float, max_pitch: float) -> np.ndarray:
  """`[14, 3]` (pitch, yaw, roll): nine yaws, then five pitches.

  Each sweeps from minus to plus its maximum (GAN2Shape renderer.py,
  render_view).
  """
  angles = np.zeros((14, 3), np.float32)
  angles[:9, 1] = np.linspace(-max_yaw, max_yaw, 9)
  angles[9:, 0] = np.linspace(-max_pitch, max_pitch, 5)
  return angles


def swing_angles(max_yaw: float, count: int) -> np.ndarray:
  """`[count, 3]` (pitch, yaw, roll): half a cosine period of yaw.

  Played forward, then backward, they are one smooth swing from side to side.
  """
  angles = np.zeros((count, 3), np.float32)
  angles[:, 1] = -max_yaw * np.cos(np.linspace(0, np.pi, count))
  return angles


def relights(light: Light, alpha: float | Float[Array, ""]) -> Light:
  """Twenty lights around that of the picture (the reference's grid).

  Diffuse light grows by r in {0.3, 0.6} (outermost), the direction is
  (x, y, 1) with y in {0, 0.6} and x from -1.5 to 1.5 (innermost).

  Args:
    light: of the picture.
    alpha: change of ambient light per added diffuse light, negative: -0.6,
      for synthetic faces -0.4.
  """
  r, y, x = (
    jnp.asarray(axis.ravel(), jnp.float32)
    for axis in np.meshgrid(
      RELIGHT_DIFFUSE, RELIGHT_Y, RELIGHT_X, indexing="ij"
    )
  )
  direction = jnp.stack([x, y, jnp.ones_like(x)], axis=-1)
  length = jnp.linalg.norm(direction, axis=-1, keepdims=True)
  return Light(
    ambient=light.ambient + alpha * r,
    diffuse=light.diffuse + r,
    direction=direction / length,
  )


def texture_of(
  reconstruction: Reconstruction, light: Light
) -> Float[Array, "h w 3"]:
  """Albedo under a light, not clamped."""
  return apply_shading(
    reconstruction.albedo, shade(reconstruction.normal, light)
  )


def object_pixels(reconstruction: Reconstruction) -> Bool[np.ndarray, "h w"]:
  """The canonical pixels to show: all of them where there is no mask.

  A mask without a face to draw counts as none: a parser found nothing, or
  pixels here and there.
  """
  everything = np.ones(reconstruction.depth.shape, bool)
  if reconstruction.mask is None:
    return everything
  pixels = np.asarray(reconstruction.mask) >= MASK_THRESHOLD
  pairs = pixels[1:] & pixels[:-1]
  return pixels if np.any(pairs[:, 1:] & pairs[:, :-1]) else everything


def render_frames(
  depth: Float[Array, "h w"],
  normal: Float[Array, "h w 3"],
  textures: Float[Array, "n h w 3"],
  poses: Pose,
  mask: Bool[Array, "h w"],
  *,
  camera: Camera,
  size: int,
) -> Frames:
  """Draws the mesh once per pose, each time with a texture of its own.

  Antialiased by four samples per pixel. The frames are drawn one by one, which
  keeps the memory at one enlarged frame's.

  Args:
    depth: canonical depth.
    normal: inward unit normals.
    textures: one per frame.
    poses: one per frame, stacked.
    mask: pixels to draw.
    camera: the camera of `depth`.
    size: side of the frames.
  """

  def draw(frame):
    texture, pose = frame
    turned = _turn(pose, normal)
    clay = 2 * CLAY * jnp.maximum(turned[..., 2:], 0) - 1
    return render_mesh(
      depth,
      jnp.concatenate([texture, turned, clay], axis=-1),
      pose,
      camera,
      mask=mask,
      image_size=size,
      supersample=2,
    )

  drawn = jax.lax.map(draw, (textures, poses))
  image, turned, clay = jnp.split(drawn, (3, 6), axis=-1)
  return Frames(image, turned, jnp.repeat(clay, 3, axis=-1))


def _turn(pose: Pose, vectors: Float[Array, "h w 3"]) -> Float[Array, "h w 3"]:
  # Written out: a matmul may run in bfloat16.
  x, y, z = (vectors[..., k] for k in range(3))
  rows = [row[0] * x + row[1] * y + row[2] * z for row in pose.rotation]
  return jnp.stack(rows, axis=-1)


def make_gallery(
  reconstruction: Reconstruction,
  camera: Camera,
  *,
  max_yaw: float,
  max_pitch: float,
  alpha: float,
  size: int = 256,
  swing_count: int = 21,
  project: Callable[[Array], Array] | None = None,
) -> Gallery:
  """Draws every picture.

  Args:
    reconstruction: of one picture.
    camera: the camera of its depth.
    max_yaw: of the rotations, radians (the reference: 70 degrees, buildings and
      cars 45).
    max_pitch: of the rotations, radians (the reference: 20 degrees).
    alpha: see `relights`.
    size: side of the mesh frames, pixels.
    swing_count: frames of half a turntable period.
    project: pseudo images `[34, h, w, 3]` to the GAN's versions of them. None
      leaves those out.
  """
  gallery, pseudo = _draw(
    reconstruction.replace(mask=None),
    object_pixels(reconstruction),
    rotation_angles(max_yaw, max_pitch),
    swing_angles(max_yaw, swing_count),
    alpha,
    camera=camera,
    size=size,
  )
  if project is None:
    return gallery
  seen = project(pseudo)
  return gallery.replace(rotated_gan=seen[:14], relit_gan=seen[14:])


@partial(jax.jit, static_argnames=("camera", "size"))
def _draw(rec, pixels, turn_angles, swing_angles, alpha, *, camera, size):
  """The gallery without the GAN's part, and the pictures for the GAN.

  All in one program: a dozen little ones take longer to compile.
  """
  canonical = texture_of(rec, rec.light)
  relit = jax.vmap(texture_of, (None, 0))(rec, relights(rec.light, alpha))
  turns, swing = _poses(turn_angles), _poses(swing_angles)
  # The true composition: the reference negates the view's Euler angles.
  turns_input = jax.vmap(compose_poses, (0, None))(turns, rec.pose)
  textures, poses = _joined(
    (_repeat(canonical, 14), turns),
    (_repeat(canonical, 14), turns_input),
    (relit, _repeat(rec.pose, 20)),
    (_repeat(canonical, len(swing_angles)), swing),
  )
  frames = render_frames(
    rec.depth, rec.normal, textures, poses, pixels, camera=camera, size=size
  )
  textures, poses = _joined(
    (_repeat(canonical, 14), turns),
    (relit, _repeat(rec.pose, 20)),
    (jnp.stack([canonical, rec.albedo]), _repeat(rec.pose, 2)),
  )
  view = partial(render_view, camera=camera)
  grid = jax.vmap(view, (None, 0, 0))(rec.depth, textures, poses)
  seen = jnp.where(grid.mask[34:, ..., None] > 0, grid.image[34:], 1.0)
  gallery = Gallery(
    canonical=jnp.clip(canonical, -1, 1),
    shading=shade(rec.normal, rec.light),
    reconstruction=seen[0],
    albedo_input=seen[1],
    depth_input=jnp.where(grid.mask[34] > 0, grid.depth[34], jnp.nan),
    rotated=frames[:14],
    rotated_input=frames[14:28],
    relit=frames[28:48].image,
    swing=frames[48:],
  )
  return gallery, grid.image[:34]


def _poses(angles: Float[Array, "n 3"]) -> Pose:
  return jax.vmap(pose_from_angles)(angles, jnp.zeros_like(angles))


def _repeat(tree, count: int):
  return jax.tree.map(lambda x: jnp.broadcast_to(x, (count, *x.shape)), tree)


def _joined(*shots):
  return jax.tree.map(lambda *parts: jnp.concatenate(parts), *shots)
