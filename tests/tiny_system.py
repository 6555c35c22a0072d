"""A system with random weights and one random picture, for tests of steps."""

import functools

import jax
import jax.numpy as jnp
from ml_collections import FrozenConfigDict
from random_gan import ARCH

from configs import tiny
from gan2shape_jax.devices import make_spread
from gan2shape_jax.models import discriminator, stylegan2
from gan2shape_jax.models.networks import init_networks
from gan2shape_jax.system import make_system
from gan2shape_jax.types import Picture


def tiny_system(**fields):
  """The system of configs/tiny.py, with some "group.field" changed."""
  config = tiny.get_config()
  config.update_from_flattened_dict(fields)
  return make_system(FrozenConfigDict(config), ARCH)


def first_device():
  """A spread of one row on one device."""
  return make_spread(jax.devices()[:1], 1)


@functools.cache
def weights():
  """`(params, frozen)`, random."""

  @jax.jit
  def init(key):
    keys = jax.random.split(key, 3)
    frozen = {
      "generator": stylegan2.init_generator(keys[0], ARCH),
      "discriminator": discriminator.init_discriminator(keys[1], ARCH),
    }
    return init_networks(tiny_system().networks, keys[2]), frozen

  return init(jax.random.key(0))


@functools.cache
def picture():
  """A smooth random picture that the GAN drew itself."""
  # It is kept: no tracer of whoever asks first may be in it.
  with jax.ensure_compile_time_eval():
    return _draw()


def _draw():
  system, (_, frozen) = tiny_system(), weights()
  z = jax.random.normal(jax.random.key(1), (ARCH.latent_size,))
  w = system.map_latent(frozen, z)
  latent = jnp.broadcast_to(w, (ARCH.n_latent, ARCH.latent_size))
  image = jax.jit(system.synthesize)(frozen, latent)
  y, x = jnp.mgrid[:32, :32] - 15.5
  mask = (x**2 + y**2 < 12**2).astype(jnp.float32)
  return Picture(image=image, mask=mask, latent=latent, gan_image=image)
