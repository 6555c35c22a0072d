"""Points and normals of a canonical depth map.

Depth is in scene units, seen along +z; points and normals are in the camera
frame (x right, y down, z forward). Normals point inward, away from the eye: a
plane that faces the camera has (0, 0, 1), and on a bump toward the camera the
normal's x is negative right of the top, its y negative below it.
"""

import jax.numpy as jnp
from jaxtyping import Array, Float

from gan2shape_jax.render.camera import Camera, pixel_rays

# Added to a normal's length before dividing by it (GAN2Shape renderer.py:12).
# The unnormalised normals are short, so this leaves a length of 0.997 at 64
# pixels and 0.987 at 128; the released weights were trained with it.
_LENGTH_EPS = 1e-7


def depth_to_points(
  depth: Float[Array, "h w"], camera: Camera
) -> Float[Array, "h w 3"]:
  """The surface point d K^-1 (u, v, 1) of every pixel."""
  return depth[..., None] * pixel_rays(camera)


def normals_from_depth(
  depth: Float[Array, "h w"], camera: Camera
) -> Float[Array, "h w 3"]:
  """Inward normals by central differences; (0, 0, 1) on the border ring.

  n = t_u x t_v with t_u = P(u+1, v) - P(u-1, v) and t_v alike, divided by
  |n| + 1e-7 (GAN2Shape renderer.py:115-127).
  """
  points = depth_to_points(depth, camera)
  along_u = points[1:-1, 2:] - points[1:-1, :-2]
  along_v = points[2:, 1:-1] - points[:-2, 1:-1]
  normal = jnp.cross(along_u, along_v)
  # The tiny term keeps the square root's gradient finite where depth is 0.
  length = jnp.sqrt(jnp.sum(normal**2, axis=-1, keepdims=True) + 1e-20)
  facing = jnp.zeros_like(points).at[..., 2].set(1.0)
  return facing.at[1:-1, 1:-1].set(normal / (length + _LENGTH_EPS))
