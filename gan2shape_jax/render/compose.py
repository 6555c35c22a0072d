"""Views of a canonical depth map and texture.

Depth is in scene units, textures and images in [-1, 1] (a texture may leave
it), grids hold (x, y) in [-1, 1]. The canonical frame is that of the depth map,
the view that of the picture.
"""

import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Float

from gan2shape_jax.render.camera import (
  Camera,
  Pose,
  inverse_transform_points,
  project_to_grid,
  transform_points,
)
from gan2shape_jax.render.geometry import depth_to_points
from gan2shape_jax.render.rasterize import warp_depth
from gan2shape_jax.render.sampling import sample_bilinear


@struct.dataclass
class Rendering:
  """A view.

  Attributes:
    image: the textured view, in [-1, 1].
    depth: its depth, between the camera's view_depth_min and _max.
    mask: 1 where there is a surface nearer than view_depth_max, else 0; no
      gradient.
    grid: where each of its pixels lies in the canonical frame.
  """

  image: Float[Array, "*b h w c"]
  depth: Float[Array, "*b h w"]
  mask: Float[Array, "*b h w"]
  grid: Float[Array, "*b h w 2"]


def inverse_grid(
  depth_view: Float[Array, "h w"],
  pose: Pose,
  camera: Camera,
  *,
  view: Camera | None = None,
) -> Float[Array, "h w 2"]:
  """Where each pixel of the view lies in the canonical frame.

  The identity for the identity pose, whatever the depth (GAN2Shape
  renderer.py:72-81). `view` is the camera of the view, `camera` unless given.
  """
  points = depth_to_points(depth_view, view or camera)
  return project_to_grid(inverse_transform_points(points, pose, camera), camera)


def forward_grid(
  depth: Float[Array, "h w"], pose: Pose, camera: Camera
) -> Float[Array, "h w 2"]:
  """Where each canonical pixel lands in the view (GAN2Shape renderer.py:83-90).

  Sampling a picture of the view there brings it to the canonical frame.
  """
  points = transform_points(depth_to_points(depth, camera), pose, camera)
  return project_to_grid(points, camera)


def view_grid(
  depth: Float[Array, "h w"], pose: Pose, camera: Camera
) -> tuple[Float[Array, "h w 2"], Float[Array, "h w"], Float[Array, "h w"]]:
  """The grid, depth and mask of a view; see `Rendering`.

  All of them are constants where only the texture is trained.
  """
  raw_depth, covered = warp_depth(depth, pose, camera)
  far = camera.view_depth_max
  depth_view = jnp.clip(raw_depth, camera.view_depth_min, far)
  # The margin rule, GAN2Shape model.py:514.
  mask = (covered & (depth_view < far)).astype(depth_view.dtype)
  return inverse_grid(depth_view, pose, camera), depth_view, mask


def render_view(
  depth: Float[Array, "h w"],
  texture: Float[Array, "h w c"],
  pose: Pose,
  camera: Camera,
) -> Rendering:
  """Draws a view; differentiable in depth, texture and pose.

  The image is pulled from the canonical texture through the view's depth
  (GAN2Shape model.py:512-515), and grey (0) where the grid leaves the texture.
  """
  grid, depth_view, mask = view_grid(depth, pose, camera)
  image = jnp.clip(sample_bilinear(texture, grid), -1.0, 1.0)
  return Rendering(image, depth_view, mask, grid)
