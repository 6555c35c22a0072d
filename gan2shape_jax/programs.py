"""Compiled programs of one picture, for what is not part of the loop."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from gan2shape_jax import inference, steps
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
  view = render_input(system)(params, picture)
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
  view = render_input(system)(params, picture)
  normal = normals_from_depth(view.depth, system.camera)
  clay = jnp.broadcast_to(1.4 * normal[..., 2:] - 1, normal.shape)
  return jnp.concatenate([picture.image, view.image, normal, clay], axis=1)


@functools.cache
def render_input(system: System) -> Callable[[Params, Picture], Rendering]:
  """The reconstruction in the view of its picture: `(params, picture)`."""

  @jax.jit
  def render(params, picture):
    found = inference.reconstruct(system, params, picture)
    texture = apply_shading(found.albedo, shade(found.normal, found.light))
    return render_view(found.depth, texture, found.pose, system.camera)

  return render


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
def project(system: System) -> Callable[..., Array]:
  """Compiled `steps.project`: `(params, frozen, data, images) -> images`."""
  return jax.jit(functools.partial(steps.project, system))
