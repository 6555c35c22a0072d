"""What the benchmarks time: one iteration of each step, and all that it needs.

The picture is one that the GAN draws, so that neither data nor an inversion is
needed. Weights are those of a configuration, or random ones of its sizes.
"""

import argparse
import dataclasses
import importlib.util
import sys
import time
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

# Run as a script, python puts benchmarks/ first on the path.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import jax
import jax.numpy as jnp
import optax
from ml_collections import ConfigDict, FrozenConfigDict

from gan2shape_jax import (
  convolutions,
  inference,
  inversion,
  optim,
  refinement,
  steps,
)
from gan2shape_jax.errors import UserError
from gan2shape_jax.gan.bundle import load_gan
from gan2shape_jax.inputs import load_lpips
from gan2shape_jax.latent_space import latent_space
from gan2shape_jax.models import discriminator, lpips, stylegan2
from gan2shape_jax.models.architecture import Architecture, config_e
from gan2shape_jax.models.networks import init_networks
from gan2shape_jax.pretrained import load_networks
from gan2shape_jax.schedule import TRAINABLE
from gan2shape_jax.system import System, make_system
from gan2shape_jax.types import Picture

Params = dict[str, Any]

STEPS = (
  "inversion",
  "prior",
  "albedo",
  "project",
  "collect",
  "refine",
  "shape",
)


@dataclasses.dataclass(frozen=True)
class Workload:
  """A picture and what it is fitted with; see `system.py`."""

  config: ConfigDict
  system: System
  frozen: Params
  params: Params
  picture: Picture

  def flip(self, step: str) -> bool:
    """Whether the first stage mirrors the shape in a step."""
    schedule = self.config.schedule
    flips = {"albedo": schedule.flip_step1, "shape": schedule.flip_step3}
    return flips.get(step, (False,))[0]


class Step(NamedTuple):
  """One iteration, as the loop of a run compiles it.

  Attributes:
    iterate: `(state, frozen, data) -> (state, metrics)`.
    state: what changes, a fresh copy: the caller donates it.
    data: what stays the same.
    compiler_options: of its program.
  """

  iterate: Callable[..., tuple[Any, Any]]
  state: Any
  data: Any
  compiler_options: dict[str, str] | None = None

  def jit(self) -> Any:
    """The program, not yet compiled; it consumes the state."""
    return jax.jit(
      self.iterate, donate_argnums=0, compiler_options=self.compiler_options
    )


def make_parser(
  description: str | None,
  *,
  steps: Iterable[str],
  iterations: int,
  repeats: int,
) -> argparse.ArgumentParser:
  """The options of programs that time steps; the others are the defaults."""
  parser = argparse.ArgumentParser(
    description=description,
    formatter_class=argparse.RawDescriptionHelpFormatter,
  )
  parser.add_argument("--config", default="configs/demo.py", metavar="FILE")
  parser.add_argument(
    "--random",
    type=int,
    metavar="SIZE",
    help="random weights, and a config-e GAN of this many pixels",
  )
  parser.add_argument("--steps", nargs="+", choices=steps, default=steps)
  for name, default in (("iterations", iterations), ("repeats", repeats)):
    parser.add_argument(f"--{name}", type=int, default=default, metavar="N")
  parser.add_argument("--json", metavar="FILE", help="write the figures here")
  return parser


def load_config(path: str) -> ConfigDict:
  """The configuration of a file in `configs/`.

  Raises:
    UserError: there is no such file.
  """
  if not Path(path).is_file():
    raise UserError(f"{path}: no such file; name one such as configs/demo.py")
  spec = importlib.util.spec_from_file_location("benchmarked_config", path)
  module = importlib.util.module_from_spec(spec)
  spec.loader.exec_module(module)
  return module.get_config()


def load_workload(config: ConfigDict, *, random: int | None = None) -> Workload:
  """Loads the weights and draws the picture.

  Args:
    config: of a run; of its data only the crop matters.
    random: instead of the weights of the configuration, take random ones, and
      a GAN of this many pixels and of StyleGAN2's config-e.

  Raises:
    UserError: weights are missing or do not fit.
  """
  config = config.copy_and_resolve_references()
  if random:
    with config.unlocked():
      config.weights.view = config.weights.light = ""
      config.weights.networks = ""
    arch, frozen = _random_weights(config, config_e(random))
  else:
    gan = load_gan(config.weights.gan)
    arch, frozen = gan.arch, gan.weights()
    if config.weights.lpips:
      frozen["lpips"] = load_lpips(config.weights.lpips)
  system = make_system(FrozenConfigDict(config), arch)
  params = init_networks(system.networks, jax.random.key(0))
  if config.weights.networks:
    params |= load_networks(
      config.weights.networks, system.networks, system.units
    )
  picture = jax.jit(_draw_picture, static_argnums=0)(system, frozen)
  return Workload(config, system, frozen, params, picture)


def make_step(workload: Workload, name: str) -> Step:
  """One of `STEPS`, ready to be compiled."""
  step = _make_step(workload, name)
  if name in ("project", "collect", "refine"):
    step = step._replace(compiler_options=convolutions.for_batches())
  return step


def _make_step(workload, name):
  system = workload.system
  if name == "inversion":
    return _inversion(workload)
  data = _data(workload, name)
  key = jax.random.key(2)
  if name == "collect":
    state = jnp.int32(0), jax.tree.map(jnp.copy, workload.params)

    def collect(state, frozen, data):
      number, params = state
      key_now = jax.random.fold_in(key, number)
      samples = steps.collect(system, params, frozen, data, key_now)
      return (number + 1, params), samples.image

    return Step(collect, state, data)

  if name == "refine":

    def refine(search, frozen, data):
      return refinement.refine(system, search, frozen, data), {}

    begin = jax.jit(partial(refinement.begin, system))
    search = begin(workload.params, workload.frozen, data, key)
    return Step(refine, search, data)

  flip, loss_function = workload.flip(name), steps.LOSSES[name]
  optimizer = system.optimizers[name]

  def iterate(state, frozen, data):
    number, params, moments = state
    key_now = jax.random.fold_in(key, number)
    if name == "shape":
      data = steps.draw_batch(
        data, key, picture=0, visit=number, size=system.batch_size
      )
    trainable, fixed = optim.split_trainable(params, TRAINABLE[name])

    def loss(trainable):
      joined = trainable | fixed
      total, terms = loss_function(system, joined, frozen, data, key_now, flip)
      return total, {"total": total, **terms}

    gradient, terms = jax.grad(loss, has_aux=True)(trainable)
    updates, moments = optimizer.update(gradient, moments, trainable)
    params = optax.apply_updates(trainable, updates) | fixed
    return (number + 1, params, moments), terms

  params = jax.tree.map(jnp.copy, workload.params)
  trainable, _ = optim.split_trainable(params, TRAINABLE[name])
  state = jnp.int32(0), params, optimizer.init(trainable)
  return Step(iterate, state, data)


def seconds_per_iteration(
  program: Callable[[Any], Any], state: Any, iterations: int
) -> tuple[float, Any]:
  """Mean wall time of `state = program(state)` and the last state."""
  begin = time.perf_counter()
  for _ in range(iterations):
    state = program(state)
  jax.block_until_ready(state)
  return (time.perf_counter() - begin) / iterations, state


def _random_weights(config, arch: Architecture):
  """Random frozen networks of an architecture."""

  @jax.jit
  def init(key):
    frozen = {
      "generator": stylegan2.init_generator(key, arch),
      "discriminator": discriminator.init_discriminator(key, arch),
    }
    if config.weights.lpips:
      frozen["lpips"] = lpips.init_lpips(key)
    return frozen

  return arch, init(jax.random.key(0))


def _draw_picture(system, frozen):
  arch, size = system.architecture, system.camera.image_size
  z = jax.random.normal(jax.random.key(1), (arch.latent_size,))
  latent = system.map_latent(frozen, z)
  latent = jnp.broadcast_to(latent, (arch.n_latent, arch.latent_size))
  image = system.synthesize(frozen, latent)
  x = jnp.linspace(-1, 1, size)
  mask = (x**2 + x[:, None] ** 2 < 0.7).astype(jnp.float32)
  return Picture(image=image, mask=mask, latent=latent, gan_image=image)


def _data(workload, name):
  """What a phase computes once."""
  system, frozen = workload.system, workload.frozen
  params, picture = workload.params, workload.picture

  def prepare(params, frozen, picture):
    if name == "prior":
      return steps.prepare_prior(system, picture)
    canonical = inference.reconstruct(system, params, picture)
    if name == "albedo":
      flip = workload.flip(name)
      return steps.prepare_albedo(system, frozen, picture, canonical, flip)
    data = steps.prepare_project(system, frozen, picture, canonical)
    if name != "shape":
      return data
    # The pool of a real run, of copies of one batch.
    batch = steps.collect(system, params, frozen, data, jax.random.key(3))
    pool = jax.tree.map(
      lambda x: jnp.tile(x, (system.collect_batches,) + (1,) * (x.ndim - 1)),
      batch,
    )
    shape = steps.ShapeData(picture.image, canonical.depth, pool)
    return jax.tree.map(lambda x: x[None], shape)

  return jax.jit(prepare)(params, frozen, picture)


def _inversion(workload):
  """An iteration of the search for a latent (W, then W+ costs the same)."""
  system, frozen, picture = workload.system, workload.frozen, workload.picture
  settings, arch = workload.config.inversion, system.architecture
  optimizer = optax.adam(settings.learning_rate)
  loss = partial(
    inversion.inversion_loss,
    synthesize=system.synthesize,
    features=system.features,
    pixel_weight=settings.pixel,
    regular_weight=settings.regular,
    apart_weight=settings.apart,
  )

  def iterate(state, frozen, data):
    coordinates, moments = state
    slope, terms = jax.grad(loss, has_aux=True)(coordinates, frozen, *data)
    updates, moments = optimizer.update(slope, moments)
    return (optax.apply_updates(coordinates, updates), moments), terms

  coordinates = jnp.zeros((arch.n_latent, arch.latent_size))
  features = jax.jit(system.features)(frozen, picture.image)
  data = picture.image, features, latent_space(frozen["generator"], arch)
  return Step(iterate, (coordinates, optimizer.init(coordinates)), data)
