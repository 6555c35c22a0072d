"""Exact, differentiable warp of a depth map into another view.

The view's depth is that of the nearest face of the grid mesh (fragments.py) at
integer pixel centres; 1/z is linear on a face in screen space. Depth is in
scene units.

Two phases. FIND picks the face; its answer is an integer, so it has no
gradient. SHADE meets the pixel's ray with the plane of that face, in a few
differentiable operations. The visible face is thus constant under the gradient,
as it is in the reference.
"""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from gan2shape_jax.render.camera import (
  Camera,
  Pose,
  pixel_rays,
  transform_points,
)
from gan2shape_jax.render.fragments import face_corners, find_faces
from gan2shape_jax.render.geometry import depth_to_points


def warp_depth(
  depth: Float[Array, "h w"],
  pose: Pose,
  camera: Camera,
  *,
  view: Camera | None = None,
) -> tuple[Float[Array, "H W"], Bool[Array, "H W"]]:
  """Draws the surface of a depth map, moved by a pose, as depth.

  Stands for GAN2Shape renderer.py:92-99, without its half-pixel shift and its
  averaging over silhouettes. Both sides of the surface are drawn, but nothing
  where the camera has it torn: it neither shows nor hides what is behind.

  Args:
    depth: canonical depth, > 0. Faces with a NaN corner are left out.
    pose: the motion into the view.
    camera: the camera that `depth` belongs to.
    view: the camera to draw with, `camera` unless given.

  Returns:
    The view's depth, not clamped, and which pixels are covered. The others
    hold `camera.view_depth_max`.
  """
  view = view or camera
  points = depth_to_points(depth, camera)
  torn = torn_cells(depth, camera)
  faces = find_faces(transform_points(points, pose, camera), torn, view)
  return face_depth(depth, faces, pose, camera, view), faces >= 0


def torn_cells(
  depth: Float[Array, "h w"], camera: Camera
) -> Bool[Array, "h w"]:
  """Where the depth map jumps, and what lies between was not seen.

  Args:
    depth: canonical depth.
    camera: says to what the corners of a cell may differ (`tear`).

  Returns:
    Cells, by their upper left pixels.
  """
  if camera.tear is None:
    return jnp.zeros(depth.shape, bool)
  rows = jnp.stack([depth[:-1], depth[1:]])
  corners = jnp.concatenate([rows[..., :-1], rows[..., 1:]])
  return jnp.pad(jnp.ptp(corners, axis=0) > camera.tear, (0, 1))


def face_depth(
  depth: Float[Array, "h w"],
  faces: Int[Array, "H W"],
  pose: Pose,
  camera: Camera,
  view: Camera,
) -> Float[Array, "H W"]:
  """Intersects each pixel's ray with the plane of its face.

  On a face, 1/d is affine in the canonical image, so its three values give the
  plane n . P = 1. Before the pose, the point z' (x', y', 1) of the view was
  A + s D, with D = R^T (x', y', 1), A = R^T (c (x', y', 0) - t) + C, z' = c + s
  and c the depth of the rotation centre C. Written relative to C and to a
  vertex P0, s = n . (P0 - A) / n . D is right to 1e-6 in float32.

  Args:
    depth: canonical depth.
    faces: face numbers from `find_faces`, or -1.
    pose: the motion into the view.
    camera: the camera that `depth` belongs to.
    view: the camera that `faces` were found with.

  Returns:
    Depth in the view, `camera.view_depth_max` where there is no face.
  """
  covered = faces >= 0
  corner, along_u, along_v, kind = face_corners(
    jnp.where(covered, faces, 0), depth.shape
  )
  # Uncovered pixels get a plane that is safe to divide by; whatever the depth
  # map holds, NaN included, stays out of their gradient.
  depth = jnp.ravel(depth)
  d0, du, dv = (
    jnp.where(covered, depth[k], 1.0) for k in (corner, along_u, along_v)
  )
  width = camera.image_size
  x0 = (corner % width - camera.center) / camera.focal
  y0 = (corner // width - camera.center) / camera.focal
  to_slope = (1 - 2 * kind) * camera.focal
  nx = (1 / du - 1 / d0) * to_slope
  ny = (1 / dv - 1 / d0) * to_slope
  nz = 1 / d0 - nx * x0 - ny * y0

  pivot = camera.rotation_center
  rays = pixel_rays(view)
  x, y = rays[..., 0], rays[..., 1]
  tx, ty, tz = pose.translation
  ax, ay, az = pivot * x - tx, pivot * y - ty, -tz
  (bx, by, bz), (dx, dy, dz) = zip(
    *(
      (r[0] * ax + r[1] * ay + r[2] * az, r[0] * x + r[1] * y + r[2])
      for r in pose.rotation.T
    ),
    strict=True,
  )
  numerator = nx * (d0 * x0 - bx) + ny * (d0 * y0 - by) + nz * (d0 - pivot - bz)
  denominator = nx * dx + ny * dy + nz * dz
  # A face seen edge on has no depth of its own, and must not divide by zero.
  drawn = covered & (denominator != 0)
  shift = numerator / jnp.where(drawn, denominator, 1.0)
  return jnp.where(drawn, pivot + shift, camera.view_depth_max)
