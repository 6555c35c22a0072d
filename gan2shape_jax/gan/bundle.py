"""A trained GAN on disk: both networks and the mean of w."""

import dataclasses
import os

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key, PyTree

from gan2shape_jax.errors import UserError
from gan2shape_jax.models.architecture import Architecture
from gan2shape_jax.models.discriminator import init_discriminator
from gan2shape_jax.models.stylegan2 import init_generator, sample_latents
from gan2shape_jax.weights import check_shapes, load_weights, save_weights


@dataclasses.dataclass(frozen=True)
class Gan:
  """A generator, its discriminator and the mean of their latents.

  Attributes:
    arch: sizes of both networks.
    generator: parameters.
    discriminator: parameters.
    mean_latent: mean w, (l,).
    provenance: where it comes from, as written by the program that made it.
  """

  arch: Architecture
  generator: PyTree
  discriminator: PyTree
  mean_latent: Float[Array, " l"]
  provenance: dict

  def weights(self) -> dict[str, PyTree]:
    """Both networks' parameters on the device, by name."""
    trees = {"generator": self.generator, "discriminator": self.discriminator}
    return jax.tree.map(jnp.asarray, trees)


def mean_latent(
  key: Key[Array, ""], generator: PyTree, arch: Architecture, count: int = 10000
) -> Float[Array, " l"]:
  """Mean w of `count` mapped samples."""
  return jnp.mean(sample_latents(key, generator, arch=arch, count=count), 0)


def save_gan(
  folder: str | os.PathLike, gan: Gan, *, dtype: str = "float32"
) -> None:
  """Writes the folder that `load_gan` reads."""
  tree = {
    "generator": gan.generator,
    "discriminator": gan.discriminator,
    "mean_latent": gan.mean_latent,
  }
  metadata = {
    "architecture": gan.arch.to_dict(),
    "provenance": gan.provenance,
  }
  save_weights(folder, tree, metadata, dtype=dtype)


def load_gan(folder: str | os.PathLike) -> Gan:
  """Reads a folder and checks every shape against its architecture.

  Raises:
    UserError: if files are missing, or do not fit the architecture.
  """
  tree, metadata = load_weights(folder)
  try:
    gan = Gan(
      arch=Architecture.from_dict(metadata["architecture"]),
      generator=tree["generator"],
      discriminator=tree["discriminator"],
      mean_latent=tree["mean_latent"],
      provenance=metadata.get("provenance", {}),
    )
  except (KeyError, TypeError) as error:
    raise UserError(f"{folder}: not a GAN folder ({error})") from error
  for name, init in (
    ("generator", init_generator),
    ("discriminator", init_discriminator),
  ):
    expected = jax.eval_shape(
      lambda k, i=init: i(k, gan.arch), jax.random.key(0)
    )
    check_shapes(
      folder,
      {name: expected},
      {name: getattr(gan, name)},
      "they do not fit its architecture; convert or train it again",
    )
  return gan
