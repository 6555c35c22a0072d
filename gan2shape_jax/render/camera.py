"""Pinhole camera and rigid poses.

Frame: camera axes x right, y down, z forward, the eye at the origin. Lengths
are scene units (the object is about 1 away), angles radians. A pixel (u, v) =
(column, row) has its centre at integers, and a grid holds (x, y) in [-1, 1]
with -1 and 1 at the centres of the first and last pixel (`align_corners`).

A pose moves the object, not the camera, and turns it about the rotation centre
C = (0, 0, camera.rotation_center) on the optical axis:
P' = R (P - C) + C + t (GAN2Shape renderer.py:64-70). The 3x3 products are
written as sums, since a matmul may run in bfloat16 (TPU) or tf32 (GPU).
"""

import dataclasses
import math

import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Float

# Points nearer than this, or behind the eye, are not drawn (scene units); the
# default of neural_renderer, which the reference draws its depth with.
NEAR = 0.1


@dataclasses.dataclass(frozen=True)
class Camera:
  """A square camera and the depth range of the scene; static and hashable.

  Attributes:
    image_size: pixels along one side.
    fov: the angle between the first and the last pixel centre, degrees.
    depth_min: the smallest depth of a canonical depth map, scene units.
    depth_max: the largest.
    rotation_center: depth of the point that poses turn about.
    tear: by how much the depths of neighbouring pixels may differ before the
      surface is torn between them, scene units; None never tears it.
  """

  image_size: int
  fov: float = 10.0
  depth_min: float = 0.9
  depth_max: float = 1.1
  rotation_center: float = 1.0
  tear: float | None = None

  @property
  def focal(self) -> float:
    """Focal length in pixels (GAN2Shape renderer.py:27-29)."""
    half_angle = math.radians(self.fov) / 2
    return (self.image_size - 1) / (2 * math.tan(half_angle))

  @property
  def center(self) -> float:
    """The pixel coordinate of the optical axis, the same in u and v."""
    return (self.image_size - 1) / 2

  @property
  def depth_margin(self) -> float:
    """How far a view's depth may leave the range (GAN2Shape renderer.py:98)."""
    return (self.depth_max - self.depth_min) / 2

  @property
  def view_depth_min(self) -> float:
    """The near end of a view's depth, which is clamped there."""
    return self.depth_min - self.depth_margin

  @property
  def view_depth_max(self) -> float:
    """The far end, which also stands for "nothing here"."""
    return self.depth_max + self.depth_margin


@struct.dataclass
class Pose:
  """A rigid motion about the rotation centre: P' = R (P - C) + C + t."""

  rotation: Float[Array, "*b 3 3"]
  translation: Float[Array, "*b 3"]


def _rotate(
  rotation: Float[Array, "3 3"], vectors: Float[Array, "*n 3"]
) -> Float[Array, "*n 3"]:
  x, y, z = vectors[..., 0], vectors[..., 1], vectors[..., 2]
  return jnp.stack([r[0] * x + r[1] * y + r[2] * z for r in rotation], axis=-1)


def rotation_matrix(angles: Float[Array, "3"]) -> Float[Array, "3 3"]:
  """The rotation Rz Ry Rx by (rx, ry, rz) = (pitch, yaw, roll) radians.

  Right-handed: ry > 0 moves the near side to the image's left, rx > 0 moves it
  down (GAN2Shape utils.py:87-117).
  """
  (cx, cy, cz), (sx, sy, sz) = jnp.cos(angles), jnp.sin(angles)
  return jnp.stack(
    [
      jnp.stack([cz * cy, cz * sy * sx - sz * cx, cz * sy * cx + sz * sx]),
      jnp.stack([sz * cy, sz * sy * sx + cz * cx, sz * sy * cx - cz * sx]),
      jnp.stack([-sy, cy * sx, cy * cx]),
    ]
  )


def pose_from_angles(
  angles: Float[Array, "3"], translation: Float[Array, "3"]
) -> Pose:
  """The pose of Euler angles (radians) and a translation (scene units)."""
  return Pose(rotation_matrix(angles), translation)


def identity_pose() -> Pose:
  """The canonical view."""
  return Pose(jnp.eye(3), jnp.zeros(3))


def compose_poses(second: Pose, first: Pose) -> Pose:
  """The pose that applies `first` and then `second`."""
  rotation = _rotate(second.rotation, first.rotation.T).T
  translation = _rotate(second.rotation, first.translation)
  return Pose(rotation, translation + second.translation)


def invert_pose(pose: Pose) -> Pose:
  """The exact inverse.

  The reference negates Euler angles and translation instead, which is not the
  inverse when several angles are non-zero.
  """
  inverse = pose.rotation.T
  return Pose(inverse, -_rotate(inverse, pose.translation))


def pixel_rays(camera: Camera) -> Float[Array, "h w 3"]:
  """K^-1 (u, v, 1): where each pixel's ray meets the plane z = 1."""
  x = (jnp.arange(camera.image_size) - camera.center) / camera.focal
  x, y = jnp.meshgrid(x, x)
  return jnp.stack([x, y, jnp.ones_like(x)], axis=-1)


def transform_points(
  points: Float[Array, "*n 3"], pose: Pose, camera: Camera
) -> Float[Array, "*n 3"]:
  """Moves canonical points into the view: P' = R (P - C) + C + t."""
  center = jnp.array([0.0, 0.0, camera.rotation_center])
  moved = _rotate(pose.rotation, points - center)
  return moved + (center + pose.translation)


def inverse_transform_points(
  points: Float[Array, "*n 3"], pose: Pose, camera: Camera
) -> Float[Array, "*n 3"]:
  """Moves points of the view back: P = R^T (P' - t - C) + C."""
  center = jnp.array([0.0, 0.0, camera.rotation_center])
  moved = points - (center + pose.translation)
  return _rotate(pose.rotation.T, moved) + center


def project_to_grid(
  points: Float[Array, "*n 3"], camera: Camera
) -> Float[Array, "*n 2"]:
  """Projects points to a sampling grid, (x, y) in [-1, 1] inside the picture.

  Points nearer than NEAR, or behind the eye, fall at 2, outside the picture.
  """
  x, y, z = points[..., 0], points[..., 1], points[..., 2]
  visible = z > NEAR
  # The where around z comes before the division, or the unused branch would
  # still send 0 * inf = NaN into the gradient.
  z = jnp.where(visible, z, 1.0)
  xy = jnp.stack([x / z, y / z], axis=-1) * (camera.focal / camera.center)
  return jnp.where(visible[..., None], xy, 2.0)
