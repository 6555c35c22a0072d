"""Raw network outputs to the quantities of image formation.

Raw outputs of view and light are about [-1, 1] (a tanh, plus the prior's mean
where the caller adds it); raw depth is unbounded. Depth and translations come
out in scene units, angles in radians. Frames as in `render/`: camera axes x
right, y down, z forward.
"""

import jax.numpy as jnp
from jaxtyping import Array, Float

from gan2shape_jax.render.camera import Pose, pose_from_angles
from gan2shape_jax.render.shading import Light


def decode_depth(
  raw: Float[Array, "h w"], *, depth_min: float, depth_max: float
) -> Float[Array, "h w"]:
  """Depth in (depth_min, depth_max) from a raw map; its mean is taken out.

  d = (1 + t)/2 d_max + (1 - t)/2 d_min with t = tanh(r - mean r)
  (GAN2Shape model.py:466-469), so a constant raw map is mid-depth everywhere.
  """
  t = jnp.tanh(raw - raw.mean())
  return (1 + t) / 2 * depth_max + (1 - t) / 2 * depth_min


def clamp_border(
  depth: Float[Array, "h w"],
  *,
  border_depth: float,
  weight: float = 1.0,
  columns: int = 2,
) -> Float[Array, "h w"]:
  """Blends the outer left and right columns into `border_depth`.

  Args:
    depth: canonical depth in scene units.
    border_depth: the depth of the border in scene units, 1.04 by default in
      the reference.
    weight: share of `border_depth`. The reference's 1.02 lets -0.02 of the
      depth through (GAN2Shape model.py:472-474).
    columns: how many columns of each side; rows are never clamped.
  """
  column = jnp.arange(depth.shape[1])
  border = (column < columns) | (column >= depth.shape[1] - columns)
  blended = (1 - weight) * depth + weight * border_depth
  return jnp.where(border, blended, depth)


def decode_view(
  view: Float[Array, " 6"],
  *,
  max_rotation: float,
  max_translation_xy: float,
  max_translation_z: float,
) -> Pose:
  """Pose of a raw view: pitch, yaw and roll, then translation in x, y, z.

  GAN2Shape model.py:484-487.

  Args:
    view: raw view.
    max_rotation: radians per unit of the three angles.
    max_translation_xy: scene units per unit of x and y.
    max_translation_z: scene units per unit of z.
  """
  limits = jnp.array(
    [max_translation_xy, max_translation_xy, max_translation_z]
  )
  return pose_from_angles(max_rotation * view[:3], limits * view[3:])


def decode_light(light: Float[Array, " 4"]) -> Light:
  """Light of a raw vector: ambient, diffuse, and the direction's x and y.

  The strengths go from [-1, 1] to [0, 1], the direction is (x, y, 1) divided
  by its length (GAN2Shape model.py:501-505).
  """
  # The length is at least 1, so no guard.
  direction = jnp.concatenate([light[2:], jnp.ones(1)])
  return Light(
    ambient=light[0] / 2 + 0.5,
    diffuse=light[1] / 2 + 0.5,
    direction=direction / jnp.linalg.norm(direction),
  )
