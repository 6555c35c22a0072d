"""Pictures of the textured mesh, for people to look at.

Unlike a view for training (compose.py), depth is not clamped, what the mesh
does not cover is plain background, and the picture may have any size. Depth is
in scene units, texture and picture in [-1, 1].
"""

import dataclasses
import math

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from gan2shape_jax.render.camera import Camera, Pose
from gan2shape_jax.render.compose import inverse_grid
from gan2shape_jax.render.rasterize import warp_depth
from gan2shape_jax.render.sampling import sample_bilinear


def render_mesh(
  depth: Float[Array, "h w"],
  texture: Float[Array, "th tw c"],
  pose: Pose,
  camera: Camera,
  *,
  background: float = 1.0,
  mask: Bool[Array, "h w"] | None = None,
  image_size: int | None = None,
  supersample: int = 1,
) -> Float[Array, "H W c"]:
  """Draws the mesh of a depth map, both of its sides.

  Faces between object and background are drawn, stretched, as the reference
  does (GAN2Shape renderer.py:137-196), unless a mask says which vertices count.

  Args:
    depth: canonical depth.
    texture: colours spread over the depth map, of any resolution.
    pose: the motion into the view.
    camera: the camera of the depth map; the picture has its field of view.
    background: the value of uncovered pixels.
    mask: vertices to draw; a face needs all three of its own.
    image_size: side of the picture, that of the depth map unless given.
    supersample: squared, the samples averaged for each pixel.

  Returns:
    The picture, in [-1, 1] if the background is.
  """
  if mask is not None:
    depth = jnp.where(mask, depth, jnp.nan)
  size = image_size or camera.image_size
  view = _supersampling_camera(camera, size, supersample)
  depth_view, covered = warp_depth(depth, pose, camera, view=view)
  grid = inverse_grid(depth_view, pose, camera, view=view)
  samples = jnp.clip(sample_bilinear(texture, grid), -1.0, 1.0)
  samples = jnp.where(covered[..., None], samples, background)
  blocks = samples.reshape(size, supersample, size, supersample, -1)
  return jnp.mean(blocks, axis=(1, 3))


def _supersampling_camera(camera, size, factor):
  """A camera whose factor x factor blocks of pixels are centred on pixels.

  Those of a picture of `size` pixels are at 0..size-1 and the outer samples
  beyond them, so the field of view grows by (size - 1 / factor) / (size - 1).
  """
  growth = (size - 1 / factor) / (size - 1)
  half_angle = math.atan(math.tan(math.radians(camera.fov) / 2) * growth)
  fov = math.degrees(2 * half_angle)
  return dataclasses.replace(camera, image_size=size * factor, fov=fov)
