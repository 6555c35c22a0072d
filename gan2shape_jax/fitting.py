"""Fitting the networks to pictures: the state, the phases, their loops.

Pictures come with a leading axis `p`: a fit to one picture has p = 1, joint
training has as many as there are, and every iteration trains on one of them,
in shuffled epochs.

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

from gan2shape_jax import inference, optim, steps
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
    canonical: the reconstructions [p] that the stage's samples are renderings
      of; what step 1 left behind, from the beginning of step 2 on.
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
  pictures: Picture,
  key: PRNGKeyArray,
  params: Params,
  canonical: Reconstruction | None = None,
) -> Fit:
  """The state with which a phase begins, with a fresh optimiser.

  Args:
    system: the fixed parts of the run.
    phases: the schedule.
    index: which phase of it begins.
    pictures: what is being fitted, [p].
    key: of the whole fit.
    params: of the five networks.
    canonical: of the state that the phase before it ended with, if any.
  """
  phase = phases[index]
  if canonical is None or phase.step == "project":
    found = reconstruct(system)
    canonical = _each(lambda picture: found(params, picture), pictures)
  trainable, _ = optim.split_trainable(params, phase.trainable)
  return Fit(
    params=params,
    optimizer=system.optimizers[phase.step].init(trainable),
    iteration=jnp.int32(0),
    key=jax.random.fold_in(key, index),
    canonical=canonical,
  )


def prepare_phase(
  system: System, phase: Phase, frozen: Params, fit: Fit, pictures: Picture
) -> Any:
  """Computes what stays the same during a phase; the `data` of its loss, [p].

  It does not share memory with the state, which the loop donates (consumes).
  """
  if phase.step == "prior":
    return _each(functools.partial(steps.prepare_prior, system), pictures)
  if phase.step == "albedo":
    prepare = _prepare_albedo(system, phase.flip)
    return _each(lambda x: prepare(fit.params, frozen, x), pictures)
  data = _each(
    lambda x, canonical: prepare_project(system)(frozen, x, canonical),
    pictures,
    fit.canonical,
  )
  if phase.step == "project":
    return data
  pool_key, _ = jax.random.split(fit.key)
  keys = jax.random.split(pool_key, len(pictures.image))
  collect = functools.partial(_collect(system), fit.params, frozen)

  def pool(data, key):
    batches = [
      collect(data, jax.random.fold_in(key, i))
      for i in range(system.collect_batches)
    ]
    return jax.tree.map(lambda *parts: jnp.concatenate(parts), *batches)

  return steps.ShapeData(pictures.image, _each(pool, data, keys))


@functools.cache
def phase_chunk(
  system: System, step: str, flip: bool, scan: bool | None = None
) -> Callable[..., tuple[Fit, dict[str, Any]]]:
  """The compiled loop of a kind of phase: `(fit, frozen, data, length=n)`.

  One program per step and flip, whatever the stage and the pictures.
  """
  loss_function = _LOSSES[step]
  optimizer = system.optimizers[step]
  names = Phase(step, 0, 0).trainable

  def iterate(fit: Fit, frozen: Params, data: Any):
    _, order_key = jax.random.split(fit.key)
    count = len(jax.tree.leaves(data)[0])
    picture, visit = turn(order_key, fit.iteration, count)
    if step == "shape":
      data = steps.draw_batch(
        data, order_key, picture=picture, visit=visit, size=system.batch_size
      )
    else:
      data = jax.tree.map(lambda x: x[picture], data)
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


def turn(
  key: PRNGKeyArray, iteration: Int[Array, ""], count: int
) -> tuple[Int[Array, ""], Int[Array, ""]]:
  """Whose turn it is among `count` pictures, and how often it was before.

  Every picture has its turn once in an epoch, in an order of its own.
  """
  visit = iteration // count
  order = jax.random.permutation(jax.random.fold_in(key, visit), count)
  return order[iteration % count], visit


def _each(function: Callable[..., Any], *trees: Any) -> Any:
  """Applies a function to one picture after the other and stacks the results.

  Memory stays that of one picture, and programs are compiled for one.
  """
  count = len(jax.tree.leaves(trees[0])[0])
  rows = [
    function(*jax.tree.map(lambda x, i=i: x[i], trees)) for i in range(count)
  ]
  return jax.tree.map(lambda *parts: jnp.stack(parts), *rows)


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
