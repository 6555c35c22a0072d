"""Compiled programs of one picture, for what is not part of the loop."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from gan2shape_jax import convolutions, inference, steps
from gan2shape_jax.metrics import evaluate_depth
from gan2shape_jax.render.camera import Camera
from gan2shape_jax.render.compose import Rendering, render_view
from gan2shape_jax.render.geometry import normals_from_depth
from gan2shape_jax.render.shading import apply_shading, shade
from gan2shape_jax.system import System
from gan2shape_jax.types import GroundTruth, Picture, Reconstruction

Params = dict[str, Any]


def evaluate(
  system: System, params: Params, picture: Picture, truth: GroundTruth
) -> dict[str, Float[Array, ""]]:
  """Errors of the shape in the input view; see `metrics.evaluate_depth`."""
  view = render_input(system, params, picture)
  return compare(view.depth, view.mask, truth, system.camera)


@functools.partial(jax.jit, static_argnames="camera")
def compare(
  depth: Float[Array, "h w"],
  mask: Float[Array, "h w"],
  truth: GroundTruth,
  camera: Camera,
) -> dict[str, Float[Array, ""]]:
  """Errors of a depth map in the input view, see `metrics.evaluate_depth`."""
  return evaluate_depth(depth, mask, truth.depth, truth.mask, camera)


def preview(
  system: System, params: Params, picture: Picture
) -> Float[Array, "h 4*w 3"]:
  """Picture, reconstruction, normals and clay side by side, in [-1, 1]."""
  view = render_input(system, params, picture)
  return _side_by_side(picture.image, view, system.camera)


@functools.partial(jax.jit, static_argnames="camera")
def _side_by_side(
  image: Float[Array, "h w 3"], view: Rendering, camera: Camera
) -> Float[Array, "h 4*w 3"]:
  normal = normals_from_depth(view.depth, camera)
  clay = jnp.broadcast_to(1.4 * normal[..., 2:] - 1, normal.shape)
  return jnp.concatenate([image, view.image, normal, clay], axis=1)


def render_input(system: System, params: Params, picture: Picture) -> Rendering:
  """The reconstruction in the view of its picture."""
  return _render(reconstruct(system)(params, picture), system.camera)


@functools.partial(jax.jit, static_argnames="camera")
def _render(found: Reconstruction, camera: Camera) -> Rendering:
  texture = apply_shading(found.albedo, shade(found.normal, found.light))
  return render_view(found.depth, texture, found.pose, camera)


@functools.cache
def prior_depth(system: System) -> Callable[..., Float[Array, "h w"]]:
  """Compiled `System.prior_depth`: `(mask)`."""
  return jax.jit(system.prior_depth)


@functools.cache
def synthesize(system: System) -> Callable[..., Array]:
  """Compiled `System.synthesize`: `(frozen, latent)`."""
  return jax.jit(system.synthesize)


@functools.cache
def reconstruct(system: System) -> Callable[..., Reconstruction]:
  """Compiled `inference.reconstruct`: `(params, picture)`."""
  return jax.jit(functools.partial(inference.reconstruct, system))


@functools.cache
def prepare_project(system: System) -> Callable[..., steps.ProjectData]:
  """Compiled `steps.prepare_project`: `(frozen, picture, canonical)`."""
  return jax.jit(functools.partial(steps.prepare_project, system))


@functools.cache
def sample_batch(system: System) -> Callable[..., steps.Samples]:
  """Compiled `steps.sample_batch`: `(key, data)`."""
  return jax.jit(functools.partial(steps.sample_batch, system))


def project(
  system: System,
  params: Params,
  frozen: Params,
  data: steps.ProjectData,
  images: Float[Array | np.ndarray, "n h w 3"],
) -> Float[np.ndarray, "n h w 3"]:
  """`steps.project` of any number of pictures, on the host.

  In batches of the size that step 2 has: one program serves all, and needs no
  more memory than training did.
  """
  run, size = _project(system), system.batch_size
  images = np.asarray(images)
  found = []
  for first in range(0, len(images), size):
    part = images[first : first + size]
    filled = np.zeros((size, *part.shape[1:]), part.dtype)
    filled[: len(part)] = part
    found.append(run(params, frozen, data, filled))
  return np.concatenate(jax.device_get(found))[: len(images)]


@functools.cache
def _project(system: System) -> Callable[..., Array]:
  return jax.jit(
    functools.partial(steps.project, system),
    compiler_options=convolutions.for_batches(),
  )
