"""What the networks say about a picture.

Pictures are [h, w, 3] in [-1, 1]; depth comes out in scene units and in the
canonical frame, the pose takes it to the picture's view.
"""

from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float

from gan2shape_jax import decode
from gan2shape_jax.render import compose, geometry, sampling
from gan2shape_jax.render.camera import Pose
from gan2shape_jax.render.shading import Light
from gan2shape_jax.system import System
from gan2shape_jax.types import Picture, Reconstruction

Params = dict[str, Any]


def predict_depth(
  system: System, params: Params, image: Float[Array, "h w 3"]
) -> Float[Array, "h w"]:
  """Canonical depth of a picture, in scene units, border clamped."""
  depth = unclamped_depth(system, params, image)
  return decode.clamp_border(
    depth, border_depth=system.border_depth, weight=system.border_weight
  )


def unclamped_depth(
  system: System, params: Params, image: Float[Array, "h w 3"]
) -> Float[Array, "h w"]:
  """Canonical depth before the border clamp, as the prior is fitted to."""
  camera = system.camera
  return decode.decode_depth(
    system.networks.depth.apply(params["depth"], image),
    depth_min=camera.depth_min,
    depth_max=camera.depth_max,
  )


def predict_view(
  system: System, params: Params, image: Float[Array, "h w 3"]
) -> Float[Array, "6"]:
  """Raw view of a picture, see `decode.decode_view`."""
  view = system.networks.view.apply(params["view"], image)
  return view + jnp.array(system.view_mean)


def predict_pose(
  system: System, params: Params, image: Float[Array, "h w 3"]
) -> Pose:
  """Pose of the object in a picture, relative to the canonical one."""
  return system.decode_view(predict_view(system, params, image))


def predict_light(
  system: System, params: Params, image: Float[Array, "h w 3"]
) -> Light:
  """Light in a picture."""
  light = system.networks.light.apply(params["light"], image)
  return decode.decode_light(light + jnp.array(system.light_mean))


def reconstruct(
  system: System, params: Params, picture: Picture
) -> Reconstruction:
  """Everything that the networks say about a picture."""
  image = picture.image
  depth = predict_depth(system, params, image)
  pose = predict_pose(system, params, image)
  # The mask of the input view, pulled to the canonical frame.
  grid = compose.forward_grid(depth, pose, system.camera)
  mask = sampling.sample_bilinear(picture.mask[..., None], grid)[..., 0]
  return Reconstruction(
    depth=depth,
    albedo=system.networks.albedo.apply(params["albedo"], image),
    normal=geometry.normals_from_depth(depth, system.camera),
    light=predict_light(system, params, image),
    pose=pose,
    mask=mask,
  )
