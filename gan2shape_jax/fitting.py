"""Fitting the networks to one picture: the state, the phases, their loops.

The state goes through the phases of the schedule one chunk of iterations at a
time. A state between two chunks holds all that the rest depends on, so a fit
that goes on from it gives the numbers of an uninterrupted one: random keys are
folded from phase and iteration, and the pool of projected samples is made
again from the reconstruction that it was made from (`canonical`).
"""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import struct
from jaxtyping import Array, Float, Int, PRNGKeyArray

from gan2shape_jax import optim, predict, steps
from gan2shape_jax.chunks import make_chunk
from gan2shape_jax.metrics import evaluate_depth
from gan2shape_jax.render.camera import Camera
from gan2shape_jax.render.compose import Rendering, render_view
from gan2shape_jax.render.geometry import normals_from_depth
from gan2shape_jax.render.shading import apply_shading, shade
from gan2shape_jax.schedule import Phase
from gan2shape_jax.system import System
from gan2shape_jax.types import GroundTruth, Picture, Reconstruction

Params = dict[str, Any]

_LOSSES = {
  "prior": steps.prior_loss,
  "albedo": steps.albedo_loss,
  "project": steps.project_loss,
  "shape": steps.shape_loss,
}


@struct.dataclass
class Fit:
  """All that a fit needs to go on.

  Attributes:
    params: of the five networks, by name.
    optimizer: moments of the networks that the current phase trains.
    iteration: of the current phase.
    key: of the current phase.
    canonical: the reconstruction that the stage's samples are renderings of;
      what step 1 left behind, from the beginning of step 2 on.
  """

  params: Params
  optimizer: optax.OptState
  iteration: Int[Array, ""]
  key: PRNGKeyArray
  canonical: Reconstruction


def enter_phase(
  system: System,
  phases: tuple[Phase, ...],
  index: int,
  picture: Picture,
  key: PRNGKeyArray,
  params: Params,
  canonical: Reconstruction | None = None,
) -> Fit:
  """The state with which a phase begins, with a fresh optimiser.

  Args:
    system: the fixed parts of the run.
    phases: the schedule.
    index: which phase of it begins.
    picture: what is being fitted.
    key: the picture's own key.
    params: of the five networks.
    canonical: of the state that the phase before it ended with, if any.
  """
  phase = phases[index]
  if canonical is None or phase.step == "project":
    canonical = reconstruct(system)(params, picture)
  trainable, _ = optim.split_trainable(params, phase.trainable)
  return Fit(
    params=params,
    optimizer=system.optimizers[phase.step].init(trainable),
    iteration=jnp.int32(0),
    key=jax.random.fold_in(key, index),
    canonical=canonical,
  )


def prepare_phase(
  system: System, phase: Phase, frozen: Params, fit: Fit, picture: Picture
) -> Any:
  """Computes what stays the same during a phase; the `data` of its loss."""
  if phase.step == "prior":
    return steps.prepare_prior(system, picture)
  if phase.step == "albedo":
    return _prepare_albedo(system, phase.flip)(fit.params, frozen, picture)
  # A copy, because the loop donates (consumes) the arrays of its state.
  canonical = jax.tree.map(jnp.copy, fit.canonical)
  data = prepare_project(system)(frozen, picture, canonical)
  if phase.step == "project":
    return data
  collect = _collect(system)
  pool_key, _ = jax.random.split(fit.key)
  batches = [
    collect(fit.params, frozen, data, jax.random.fold_in(pool_key, i))
    for i in range(system.collect_batches)
  ]
  pool = jax.tree.map(lambda *parts: jnp.concatenate(parts), *batches)
  return steps.ShapeData(picture.image, pool)


@functools.cache
def phase_chunk(
  system: System, step: str, flip: bool, scan: bool | None = None
) -> Callable[..., tuple[Fit, dict[str, Any]]]:
  """The compiled loop of a kind of phase: `(fit, frozen, data, length=n)`.

  One program per step and flip, whatever the stage and the picture.
  """
  loss_function = _LOSSES[step]
  optimizer = system.optimizers[step]
  names = Phase(step, 0, 0).trainable

  def iterate(fit: Fit, frozen: Params, data: Any):
    if step == "shape":
      _, batch_key = jax.random.split(fit.key)
      data = steps.draw_batch(data, batch_key, fit.iteration, system.batch_size)
    key = jax.random.fold_in(fit.key, fit.iteration)
    trainable, fixed = optim.split_trainable(fit.params, names)

    def loss(trainable):
      params = trainable | fixed
      total, terms = loss_function(system, params, frozen, data, key, flip)
      return total, {"total": total, **terms}

    gradient, terms = jax.grad(loss, has_aux=True)(trainable)
    updates, moments = optimizer.update(gradient, fit.optimizer, trainable)
    fit = fit.replace(
      params=optax.apply_updates(trainable, updates) | fixed,
      optimizer=moments,
      iteration=fit.iteration + 1,
    )
    return fit, terms

  return make_chunk(iterate, scan=scan)


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


# Programs, each compiled once for all pictures.


@functools.cache
def render_input(system: System) -> Callable[[Params, Picture], Rendering]:
  """The reconstruction in the view of its picture: `(params, picture)`."""

  @jax.jit
  def render(params, picture):
    found = predict.reconstruct(system, params, picture)
    texture = apply_shading(found.albedo, shade(found.normal, found.light))
    return render_view(found.depth, texture, found.pose, system.camera)

  return render


@functools.cache
def synthesize(system: System) -> Callable[..., Array]:
  """Compiled `System.synthesize`: `(frozen, latent)`."""
  return jax.jit(system.synthesize)


@functools.cache
def reconstruct(system: System) -> Callable[..., Reconstruction]:
  """Compiled `predict.reconstruct`: `(params, picture)`."""
  return jax.jit(functools.partial(predict.reconstruct, system))


@functools.cache
def prepare_project(system: System) -> Callable[..., steps.ProjectData]:
  """Compiled `steps.prepare_project`: `(frozen, picture, canonical)`."""
  return jax.jit(functools.partial(steps.prepare_project, system))


@functools.cache
def project(system: System) -> Callable[..., Array]:
  """Compiled projections: `(params, frozen, data, images) -> images`."""

  @jax.jit
  def images_of(params, frozen, data, images):
    return steps.project(system, params, frozen, data, images)[0]

  return images_of


@functools.cache
def _prepare_albedo(system, flip):
  return jax.jit(functools.partial(steps.prepare_albedo, system, flip=flip))


@functools.cache
def _collect(system):
  return jax.jit(functools.partial(steps.collect, system))
