"""A StyleGAN2 file of any known format to the trees of models/stylegan2.py."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from gan2shape_jax.convert import nvidia, rosinality, tensorflow
from gan2shape_jax.convert.checkpoint_files import CheckpointFile
from gan2shape_jax.convert.gan_file import GanFile
from gan2shape_jax.convert.stylegan2_layers import (
  discriminator_leaves,
  generator_leaves,
)
from gan2shape_jax.convert.tables import apply_table, check
from gan2shape_jax.errors import UserError
from gan2shape_jax.models.architecture import Architecture

_NOISE_SEED = 0


class ConvertedGan(NamedTuple):
  """Trees and what is known of where they come from.

  Attributes:
    arch: sizes of both networks.
    generator: the averaged generator's parameters.
    discriminator: its parameters.
    mean_latent: mean w, if the file has it.
    provenance: source, format, checksum, notes.
  """

  arch: Architecture
  generator: dict
  discriminator: dict
  mean_latent: np.ndarray | None
  provenance: dict


def convert_gan(file: CheckpointFile) -> ConvertedGan:
  """Converts both networks; each tensor of theirs is used exactly once.

  Raises:
    UserError: the file holds no StyleGAN2 that we know how to read, or tensors
      are missing, unexpected or of wrong shapes; all of them are named.
  """
  label, gan = _read(file)
  gan, notes = _with_noise(gan)
  networks, problems = [], []
  for name, arrays, scheme, leaves, constants in zip(
    gan.names,
    (gan.generator, gan.discriminator),
    gan.schemes,
    (generator_leaves(gan.arch), discriminator_leaves(gan.arch)),
    gan.constants,
    strict=True,
  ):
    converted = apply_table(arrays, scheme.table(leaves), constants=constants)
    networks.append(converted.tree)
    problems += [f"{name}: {problem}" for problem in converted.problems]
  mean = gan.mean_latent
  if mean is not None and mean.shape != (gan.arch.latent_size,):
    problems.append(f"wrong shape: the mean latent is {mean.shape}")
  check(
    f"{file.path}: not the StyleGAN2 of {gan.arch.image_size} px that it seems"
    " to be",
    "check that it is whole and of an unchanged architecture",
    problems,
  )
  return ConvertedGan(
    gan.arch,
    *networks,
    None if mean is None else mean.astype(np.float32),
    file.provenance() | {"layout": label, "notes": [*gan.notes, *notes]},
  )


def _read(file):
  if nvidia.holds_gan(file.content):
    return "NVIDIA PyTorch", nvidia.read_gan(file)
  if tensorflow.holds_gan(file.content):
    return "NVIDIA TensorFlow", tensorflow.read_gan(file)
  if isinstance(file.content, Mapping):
    return "rosinality", rosinality.read_gan(file)
  raise UserError(
    f"{file.path}: holds no GAN in a known layout; name a file of rosinality's"
    " or NVIDIA's StyleGAN2"
  )


def _with_noise(gan: GanFile) -> tuple[GanFile, list[str]]:
  """A fixed set of noise maps where the file has none.

  See docs/differences.md, 11.
  """
  leaves = [x for x in generator_leaves(gan.arch) if x.kind == "noise"]
  table = gan.schemes[0].table(leaves)
  if not table or any(entry.name in gan.generator for entry in table.values()):
    return gan, []
  rng = np.random.default_rng(_NOISE_SEED)
  maps = {
    entry.name: rng.standard_normal(entry.shape, np.float32)
    for entry in table.values()
  }
  note = (
    f"The file has no noise maps; a set drawn from seed {_NOISE_SEED} is stored"
    " in their place, so fine texture differs from the original's."
  )
  return gan._replace(generator={**gan.generator, **maps}), [note]
