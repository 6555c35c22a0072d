"""Everything a StyleGAN2 training run must carry across an interruption."""

import dataclasses

import flax.struct
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, Key, PyTree

from gan2shape_jax.models.architecture import Architecture
from gan2shape_jax.models.discriminator import init_discriminator
from gan2shape_jax.models.stylegan2 import init_generator


@dataclasses.dataclass(frozen=True)
class Hyper:
  """Settings of the adversarial game; the defaults are the reference's.

  Attributes:
    batch: pictures per step, over all devices; a multiple of 8.
    learning_rate: Adam's, for both networks.
    r1_weight: gamma of the gradient penalty; 0.1 to 1 suits small networks.
    r1_every: steps between gradient penalties.
    path_weight: weight of the path length regulariser; 0 turns it off.
    path_every: steps between path length penalties.
    path_decay: step of the running mean of path lengths.
    mixing: probability that a generated picture mixes two latents.
    ema_half_life: pictures after which the average generator has forgotten
      half.
    mirror: whether real pictures are flipped left-right at random.
  """

  batch: int = 16
  learning_rate: float = 2e-3
  r1_weight: float = 10.0
  r1_every: int = 16
  path_weight: float = 2.0
  path_every: int = 4
  path_decay: float = 0.01
  mixing: float = 0.9
  ema_half_life: float = 5000.0
  mirror: bool = True


@flax.struct.dataclass
class GanState:
  """Parameters, averages and moments; replicated over devices."""

  step: Int[Array, ""]
  key: Key[Array, ""]
  generator: PyTree
  discriminator: PyTree
  average: PyTree
  generator_moments: PyTree
  discriminator_moments: PyTree
  path_mean: Float[Array, ""]


def optimizer(
  hyper: Hyper, every: int, *, regularised: bool
) -> optax.GradientTransformation:
  """Adam (0, 0.99) corrected for a regulariser that takes steps of its own.

  With one extra step in `every`, the learning rate and the exponents of the
  betas shrink by every / (every + 1) (StyleGAN2, appendix B).
  """
  c = every / (every + 1) if regularised else 1.0
  return optax.adam(c * hyper.learning_rate, b1=0.0, b2=0.99**c, eps=1e-8)


def optimizers(
  hyper: Hyper,
) -> tuple[optax.GradientTransformation, optax.GradientTransformation]:
  """The generator's and the discriminator's optimisers."""
  return (
    optimizer(hyper, hyper.path_every, regularised=hyper.path_weight > 0),
    optimizer(hyper, hyper.r1_every, regularised=hyper.r1_weight > 0),
  )


def init_state(
  key: Key[Array, ""], arch: Architecture, hyper: Hyper
) -> GanState:
  """A fresh run; the average starts as the generator itself."""
  key, generator_key, discriminator_key = jax.random.split(key, 3)
  generator = init_generator(generator_key, arch)
  discriminator = init_discriminator(discriminator_key, arch)
  generator_adam, discriminator_adam = optimizers(hyper)
  return GanState(
    step=jnp.zeros((), jnp.int32),
    key=key,
    generator=generator,
    discriminator=discriminator,
    average=jax.tree.map(jnp.copy, generator),
    generator_moments=generator_adam.init(generator),
    discriminator_moments=discriminator_adam.init(discriminator),
    path_mean=jnp.zeros(()),
  )
