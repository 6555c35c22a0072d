"""A GAN with random weights, for tests that need its shapes only."""

import jax
import numpy as np

from gan2shape_jax.gan.bundle import Gan, save_gan
from gan2shape_jax.models import discriminator, stylegan2
from gan2shape_jax.models.architecture import Architecture

# Of the tiny GAN of most tests.
ARCH = Architecture((8, 8, 8, 8), latent_size=8, mapping_layers=3)


def save_random_gan(folder, arch=ARCH):
  """Writes the folder of a GAN whose pictures show nothing."""
  rng = np.random.default_rng(0)

  def draw(init):
    shapes = jax.eval_shape(lambda key: init(key, arch), jax.random.key(0))
    return jax.tree.map(
      lambda x: rng.normal(size=x.shape).astype(np.float32), shapes
    )

  gan = Gan(
    arch=arch,
    generator=draw(stylegan2.init_generator),
    discriminator=draw(discriminator.init_discriminator),
    mean_latent=np.zeros(arch.latent_size, np.float32),
    provenance={},
  )
  save_gan(folder, gan)
