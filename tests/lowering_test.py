"""The programs of a run lower for TPUs and GPUs, which are not at hand.

What they would refuse, or do slowly, is looked for in what `jax.export` gives.
A program is one row of the table: its name, and a function that returns, for
the shapes `s`, the function to be compiled and what it takes.
"""

import functools
from functools import partial
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import optax
import program_faults
import pytest
import tiny_system
from jax import ShapeDtypeStruct
from jax.sharding import Mesh
from random_gan import ARCH

from gan2shape_jax import (
  convolutions,
  diagnostics,
  distillation,
  fitting,
  inference,
  inversion,
  parsing,
  programs,
  refinement,
  steps,
  views,
)
from gan2shape_jax.gan.state import Hyper, init_state
from gan2shape_jax.gan.steps import make_steps
from gan2shape_jax.latent_space import LatentSpace
from gan2shape_jax.models.frozen import cast_kernels
from gan2shape_jax.models.lpips import init_lpips
from gan2shape_jax.models.stylegan2 import generate
from gan2shape_jax.schedule import Phase
from gan2shape_jax.types import GroundTruth, Picture

HYPER = Hyper(batch=8)


@pytest.fixture(autouse=True, scope="module")
def options_of_other_devices():
  """Those of the CPU at hand forbid to make a program a part of another."""
  with pytest.MonkeyPatch.context() as patch:
    patch.setattr(convolutions, "for_batches", dict)
    fitting._chunk.cache_clear()
    yield
  fitting._chunk.cache_clear()


@functools.cache
def shapes():
  """Of all that a run computes, in the order in which it does."""
  s = SimpleNamespace()
  s.system = tiny_system.tiny_system()
  s.lpips_system = tiny_system.tiny_system(**{"weights.lpips": "lpips"})
  size = s.system.camera.image_size
  s.key = jax.eval_shape(lambda: jax.random.key(0))
  s.params, s.frozen = jax.eval_shape(tiny_system.weights.__wrapped__)
  s.half = jax.eval_shape(partial(cast_kernels, dtype="bfloat16"), s.frozen)
  perceptual = jax.eval_shape(partial(init_lpips, width=4), s.key)
  s.with_lpips = s.frozen | {"lpips": perceptual}
  s.image, s.mask = array(size, size, 3), array(size, size)
  s.z, s.latent = (
    array(ARCH.latent_size),
    array(ARCH.n_latent, ARCH.latent_size),
  )
  s.picture = Picture(s.image, s.mask, s.latent, s.image)
  s.truth = GroundTruth(s.mask, s.mask)
  s.space = LatentSpace(s.z, array(ARCH.latent_size, ARCH.latent_size))
  s.canonical = result(s, "reconstruct")
  s.project = result(s, "prepare project")
  s.gan_state = jax.eval_shape(lambda key: init_state(key, ARCH, HYPER), s.key)
  s.pictures = ShapeDtypeStruct((HYPER.batch, size, size, 3), jnp.uint8)
  return s


def array(*shape):
  return ShapeDtypeStruct(shape, jnp.float32)


def batch(tree, *axes):
  """The same with axes in front."""
  return jax.tree.map(
    lambda x: ShapeDtypeStruct((*axes, *x.shape), x.dtype), tree
  )


def result(s, name):
  return jax.eval_shape(*PROGRAMS[name](s))


# --- Programs that are not simply functions of the package. ------------------


def training(s, phase, *, system=None, frozen=None):
  """Two iterations of a phase, in a loop on the device."""
  system, frozen = system or s.system, frozen or s.frozen
  fitter = fitting.Fitter(system, tiny_system.first_device())
  pictures = batch(s.picture, 1, 1)
  fit = jax.eval_shape(
    partial(fitter.enter, phase, 0),
    pictures,
    batch(s.key, 1),
    batch(s.params, 1),
  )
  data = jax.eval_shape(partial(fitter.prepare, phase), frozen, fit, pictures)
  chunk = fitter.chunk(phase, on_device=True).args[0]
  count = ShapeDtypeStruct((), jnp.int32)
  return partial(chunk, size=2), fit, count, frozen, data


def inverting(s):
  """An iteration of the search for two latents."""
  system = s.system
  loss = partial(
    inversion.inversion_loss,
    synthesize=system.synthesize,
    features=system.features,
    pixel_weight=1.0,
    regular_weight=1.0,
    apart_weight=1.0,
  )
  optimizer = optax.adam(inversion.learning_rate_ramp(0.1, 10))

  def one(coordinates, target, frozen, space):
    moments = optimizer.init(coordinates)
    features = system.features(frozen, target)
    slope, terms = jax.grad(loss, has_aux=True)(
      coordinates, frozen, target, features, space
    )
    updates, moments = optimizer.update(slope, moments)
    return optax.apply_updates(coordinates, updates), moments, terms

  coordinates = array(2, ARCH.n_latent, ARCH.latent_size)
  run = jax.vmap(one, (0, 0, None, None))
  return run, coordinates, batch(s.image, 2), s.frozen, s.space


def search(s):
  begin = partial(refinement.begin, s.system)
  return jax.eval_shape(begin, s.params, s.frozen, s.project, s.key)


def samples(s):
  """Pseudo-samples and their projections."""
  sample = partial(steps.sample_batch, s.system)
  pseudo = jax.eval_shape(sample, s.key, s.project)
  return pseudo, pseudo.image


def merging(s):
  """The gradient with which networks learn what several answer."""

  def distance(params, image, answers):
    given = distillation.answer(s.system, params, image)
    return distillation.distance(s.system, given, answers)

  answer = partial(distillation.answer, s.system)
  answers = jax.eval_shape(answer, s.params, s.image)
  return jax.grad(distance), s.params, s.image, answers


def drawing(s):
  draw = partial(
    views.make_gallery,
    camera=s.system.camera,
    max_yaw=1.0,
    max_pitch=0.3,
    alpha=-0.6,
    size=64,
    swing_count=3,
  )
  return draw, s.canonical.replace(mask=None)


def masking(s, name):
  rule = parsing.MaskRule(name, whole=(1,), half=(2,), normalize=True)
  params = jax.eval_shape(parsing.PARSERS[name].init, s.key)
  return partial(parsing.object_mask, rule=rule), params, s.image


def gan_training(s, name):
  mesh = Mesh(np.array(jax.devices()[:1]), ("batch",))
  step = getattr(make_steps(ARCH, HYPER, mesh), name)
  return (step, s.gan_state, s.pictures)[
    : 3 if name in ("discriminator", "r1") else 2
  ]


PROGRAMS = {
  "generate": lambda s: (
    partial(generate, arch=ARCH),
    s.frozen["generator"],
    s.z,
  ),
  "synthesize": lambda s: (s.system.synthesize, s.frozen, s.latent),
  "features": lambda s: (s.system.features, s.frozen, s.image),
  "invert": inverting,
  "reconstruct": lambda s: (
    partial(inference.reconstruct, s.system),
    s.params,
    s.picture,
  ),
  "preview": lambda s: (
    partial(programs.preview, s.system),
    s.params,
    s.picture,
  ),
  "evaluate": lambda s: (
    partial(programs.evaluate, s.system),
    s.params,
    s.picture,
    s.truth,
  ),
  "prepare prior": lambda s: (
    partial(steps.prepare_prior, s.system),
    s.picture,
  ),
  "prior": lambda s: training(s, Phase("prior", 0, 2)),
  "prepare albedo": lambda s: (
    partial(steps.prepare_albedo, s.system, flip=True),
    s.frozen,
    s.picture,
    s.canonical,
  ),
  "albedo": lambda s: training(s, Phase("albedo", 1, 2)),
  "albedo, flipped": lambda s: training(s, Phase("albedo", 1, 2, flip=True)),
  "albedo, lpips": lambda s: training(
    s, Phase("albedo", 1, 2), system=s.lpips_system, frozen=s.with_lpips
  ),
  "prepare project": lambda s: (
    partial(steps.prepare_project, s.system),
    s.frozen,
    s.picture,
    s.canonical,
  ),
  "project": lambda s: training(s, Phase("project", 1, 2)),
  "project, bfloat16": lambda s: training(
    s, Phase("project", 1, 2), frozen=s.half
  ),
  "collect": lambda s: (
    partial(steps.collect, s.system),
    s.params,
    s.frozen,
    s.project,
    s.key,
  ),
  "begin refinement": lambda s: (
    partial(refinement.begin, s.system),
    s.params,
    s.frozen,
    s.project,
    s.key,
  ),
  "refine": lambda s: (
    partial(refinement.refine, s.system),
    search(s),
    s.frozen,
    s.project,
  ),
  "end refinement": lambda s: (
    partial(refinement.end, s.system),
    search(s),
    s.frozen,
    s.project,
  ),
  "shape": lambda s: training(s, Phase("shape", 1, 2)),
  "shape, flipped": lambda s: training(s, Phase("shape", 1, 2, flip=True)),
  "shape, bfloat16": lambda s: training(s, Phase("shape", 1, 2), frozen=s.half),
  "diagnostics": lambda s: (
    diagnostics.read_projections(s.system),
    s.params,
    *samples(s),
  ),
  "answers to be merged": lambda s: (
    partial(distillation.symmetric_answer, s.system),
    s.params,
    s.image,
  ),
  "merge": merging,
  "gallery": drawing,
  "bisenet": lambda s: masking(s, "bisenet"),
  "pspnet": lambda s: masking(s, "pspnet_voc"),
  "gan discriminator": lambda s: gan_training(s, "discriminator"),
  "gan r1": lambda s: gan_training(s, "r1"),
  "gan generator": lambda s: gan_training(s, "generator"),
  "gan path": lambda s: gan_training(s, "path"),
}


# --- What must not be in them: see program_faults.py. ------------------------


@functools.cache
def jitted(name):
  """A program that is traced once for both platforms, and what it takes."""
  function, *args = PROGRAMS[name](shapes())
  return jax.jit(function), args


@pytest.mark.parametrize("name", PROGRAMS)
@pytest.mark.parametrize("platform", ["tpu", "cuda"])
def test_lowers(platform, name):
  function, args = jitted(name)
  text = program_faults.lower(function, platform, *args)
  assert not program_faults.find(text)
  assert ("bf16" in text) == name.endswith("bfloat16")


def convolve(*, groups=1, dilation=1):
  def run(x):
    return jax.lax.conv_general_dilated(
      x,
      jnp.ones((3, 3, 4 // groups, 4)),
      window_strides=(1, 1),
      padding=((1, 1), (1, 1)),
      lhs_dilation=(dilation, dilation),
      dimension_numbers=("NHWC", "HWIO", "NHWC"),
      feature_group_count=groups,
    )

  return run


@pytest.mark.parametrize(
  ("name", "function"),
  [
    ("call", lambda x: jnp.linalg.svd(x[0, 0])),
    ("dynamic", jnp.sin),
    ("wide", jnp.fft.fft),
    ("grouped", convolve(groups=2)),
    ("dilated", convolve(dilation=2)),
  ],
)
def test_faults_are_found(name, function):
  x = array(1, 8, 8, 4)
  assert not faults_of(convolve(), x)
  if name == "dynamic":
    x = array(*jax.export.symbolic_shape("n, 2"))
  assert name in faults_of(function, x)


def faults_of(function, x):
  return program_faults.find(program_faults.lower(jax.jit(function), "cuda", x))
