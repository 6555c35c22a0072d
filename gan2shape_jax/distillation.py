"""Teaches one set of networks what several sets answer on average.

Networks of several joint trainings err in different ways, so the mean of their
answers errs less; the student gives that mean in one forward pass
("Distilling the Knowledge in a Neural Network", Hinton et al., 2015). Objects
are mirror-symmetric, so the answers to a picture's mirror image, mirrored back,
count as well.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, PRNGKeyArray

from gan2shape_jax import inference
from gan2shape_jax.chunks import make_chunk
from gan2shape_jax.errors import UserError
from gan2shape_jax.optim import split_trainable
from gan2shape_jax.render.shading import Light
from gan2shape_jax.system import System

Params = dict[str, Any]

TAUGHT = ("depth", "albedo", "view", "light")

# Pitch, yaw and roll, then x, y and z.
_MIRRORED_VIEW = (1.0, -1.0, -1.0, -1.0, 1.0, 1.0)
_MIRRORED_DIRECTION = (-1.0, 1.0, 1.0)


class Member(NamedTuple):
  """Networks, and the system in which they were trained."""

  system: System
  params: Params


class Answers(NamedTuple):
  """What networks say about one picture, or several say on average.

  Attributes:
    depth: canonical, in scene units, its border not clamped.
    albedo: in (-1, 1).
    view: raw, the mean view included.
    light: of which a mean direction is shorter than 1.
  """

  depth: Float[Array, "*n h w"]
  albedo: Float[Array, "*n h w 3"]
  view: Float[Array, "*n 6"]
  light: Light


def answer(
  system: System, params: Params, image: Float[Array, "h w 3"]
) -> Answers:
  """The networks' answers to a picture in [-1, 1]."""
  return Answers(
    depth=inference.unclamped_depth(system, params, image),
    albedo=system.networks.albedo.apply(params["albedo"], image),
    view=inference.predict_view(system, params, image),
    light=inference.predict_light(system, params, image),
  )


def mirror(answers: Answers) -> Answers:
  """What has to be said of the mirror image of a picture."""
  light = answers.light
  return Answers(
    depth=answers.depth[:, ::-1],
    albedo=answers.albedo[:, ::-1],
    view=answers.view * jnp.array(_MIRRORED_VIEW),
    light=light.replace(
      direction=light.direction * jnp.array(_MIRRORED_DIRECTION)
    ),
  )


def symmetric_answer(
  system: System, params: Params, image: Float[Array, "h w 3"]
) -> Answers:
  """Mean of the answers to a picture and to its mirror image."""
  given = answer(system, params, image)
  mirrored = mirror(answer(system, params, image[:, ::-1]))
  return jax.tree.map(lambda a, b: (a + b) / 2, given, mirrored)


def mean_answers(
  members: Sequence[Member],
  images: Float[np.ndarray, "n h w 3"],
  *,
  batch_size: int,
  progress: Callable[[int], None],
) -> Answers:
  """What the members say on average, each of a picture and its mirror image.

  Args:
    members: of the ensemble; named twice, one counts twice.
    images: in [-1, 1].
    batch_size: pictures at a time.
    progress: told how many batches are done.
  """
  rows = []
  for first in range(0, len(images), batch_size):
    batch = images[first : first + batch_size]
    said = [_say(system, params, batch) for system, params in members]
    rows.append(jax.tree.map(lambda *x: np.mean(x, axis=0), *said))
    progress(len(rows))
  return jax.tree.map(lambda *x: np.concatenate(x), *rows)


@functools.partial(jax.jit, static_argnames="system")
def _say(system, params, images):
  return jax.vmap(functools.partial(symmetric_answer, system, params))(images)


def distance(system: System, a: Answers, b: Answers) -> Float[Array, ""]:
  """Sum of mean squared differences, those of depth as parts of its range."""
  camera = system.camera

  def scaled(answers):
    span = camera.depth_max - camera.depth_min
    return answers._replace(depth=answers.depth / span)

  differences = jax.tree.map(jnp.subtract, scaled(a), scaled(b))
  return sum(jnp.mean(x**2) for x in jax.tree.leaves(differences))


class _State(NamedTuple):
  params: Params
  moments: optax.OptState
  step: Array


def teach(
  student: Member,
  images: Float[np.ndarray, "n h w 3"],
  targets: Answers,
  key: PRNGKeyArray,
  *,
  iterations: int,
  batch_size: int,
  learning_rate: float,
  progress: Callable[[int, float], None],
  chunk: int,
) -> Params:
  """Trains networks until they give the answers.

  Args:
    student: where the training begins.
    images: [n], in [-1, 1].
    targets: [n], the answers to be given.
    key: of the batches.
    iterations: of Adam.
    batch_size: of pictures drawn anew in each iteration.
    learning_rate: at the beginning; it falls to nought along a cosine.
    progress: told how many iterations are done, and the latest loss.
    chunk: iterations between two reports.

  Returns:
    The student's parameters, the encoder's as they were.

  Raises:
    UserError: the training diverged.
  """
  system = student.system
  params, rest = split_trainable(student.params, TAUGHT)
  adam = optax.adam(optax.cosine_decay_schedule(learning_rate, iterations))

  def loss(params, images, targets):
    answers = jax.vmap(functools.partial(answer, system, params))(images)
    return jnp.mean(
      jax.vmap(functools.partial(distance, system))(answers, targets)
    )

  def step(state, images, targets):
    chosen = jax.random.randint(
      jax.random.fold_in(key, state.step), (batch_size,), 0, len(images)
    )
    take = lambda x: x[chosen]  # noqa: E731
    value, gradient = jax.value_and_grad(loss)(
      state.params, take(images), jax.tree.map(take, targets)
    )
    updates, moments = adam.update(gradient, state.moments)
    params = optax.apply_updates(state.params, updates)
    return _State(params, moments, state.step + 1), {"loss": value}

  run = make_chunk(step)
  # The state is donated; what the caller handed over is not.
  state = jax.tree.map(
    jnp.array, _State(params, adam.init(params), np.int32(0))
  )
  images, targets = jax.device_put((images, targets))
  for first in range(0, iterations, chunk):
    length = min(chunk, iterations - first)
    state, metrics = run(state, images, targets, length=length)
    latest = metrics["loss"][-1]
    if not np.isfinite(latest):
      raise UserError(
        f"the loss is not finite within {first + length} iterations; lower"
        " optimizer.learning_rate"
      )
    progress(first + length, latest)
  return state.params | rest
