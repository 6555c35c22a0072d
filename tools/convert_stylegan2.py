"""Converts a trained StyleGAN2 to the folder that configurations name.

  python tools/convert_stylegan2.py --input FILE --output DIR --grid 16

FILE is rosinality's (.pt, which GAN2Shape's release uses too), or NVIDIA's of
PyTorch or TensorFlow (.pkl). Its format, the size of the pictures and the
channels are found out; PyTorch and TensorFlow are not needed, and nothing in
the file is executed. Folder written:

  weights.safetensors   generator, discriminator, mean latent and its spread
  metadata.json         architecture; the file's name, format and SHA-256
  samples.png           with --grid N: N random pictures

The folder appears whole or not at all. Exit codes: 0 done; 2 a mistake in the
input, with what to mend: tensors that are missing, unexpected or of another
shape are all listed.
"""

import argparse
import functools
import sys
from collections.abc import Sequence
from pathlib import Path

import jax
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from gan2shape_jax import sheets
from gan2shape_jax.atomic import replacing, writing
from gan2shape_jax.convert.checkpoint_files import read_checkpoint
from gan2shape_jax.convert.stylegan2 import convert_gan
from gan2shape_jax.errors import UserError
from gan2shape_jax.gan.bundle import Gan, mean_latent, save_gan
from gan2shape_jax.models import stylegan2
from gan2shape_jax.weights import load_weights
from tools import command_line

_TRUNCATION = 0.7  # as in GAN2Shape's generate.py
_SHEET_TILE = 256  # px, at most


def main(arguments: Sequence[str] | None = None) -> int:
  """Runs the program and returns its exit code."""
  return command_line.run(run, make_parser(), arguments)


def make_parser() -> argparse.ArgumentParser:
  """The options."""
  parser = command_line.make_parser(__doc__)
  add = parser.add_argument
  add("--input", type=Path, required=True, help="the file to convert")
  add("--output", type=Path, required=True, help="folder to write")
  at_least = command_line.at_least
  add("--grid", type=at_least(0), default=0, help="random pictures to draw")
  return parser


def run(options: argparse.Namespace) -> None:
  """Converts, and draws if asked to."""
  gan = convert_file(options.input, options.output)
  if options.grid:
    draw_samples(gan, options.output / "samples.png", options.grid)


def convert_file(path: Path, output: Path) -> Gan:
  """Converts a file, completes its mean latent and writes the folder.

  Raises:
    UserError: the file cannot be converted or the folder not be written.
  """
  check_replaceable(output)
  converted = convert_gan(read_checkpoint(path))
  arch, provenance = converted.arch, converted.provenance
  mean, origin = converted.mean_latent, "the file's"
  if mean is None:
    mean = mean_latent(jax.random.key(0), converted.generator, arch, 10000)
    origin = "computed from 10,000 samples"
  gan = Gan(
    arch=arch,
    generator=converted.generator,
    discriminator=converted.discriminator,
    mean_latent=mean,
    provenance=provenance | {"mean_latent": origin},
  )
  with writing(output, "--output"):
    save_gan(output, gan)
  print(
    f"{path}: {provenance['layout']} StyleGAN2 ({provenance['format']}),"
    f" {arch.image_size} px, channels {list(arch.channels)},"
    f" {arch.mapping_layers} mapping layers; mean latent {origin} -> {output}"
  )
  for note in provenance["notes"]:
    print(f"  {note}")
  return gan


def check_replaceable(folder: Path) -> None:
  """Makes sure that writing weights destroys nothing else.

  Raises:
    UserError: there is something else than an older folder of weights.
  """
  if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
    try:
      load_weights(folder)
    except UserError as error:
      raise UserError(
        f"{folder}: exists and holds no weights, so it is not replaced; choose"
        " another --output"
      ) from error


def draw_samples(gan: Gan, path: Path, count: int) -> None:
  """Writes a sheet of random pictures, the same ones at every call.

  Raises:
    UserError: the sheet cannot be written.
  """
  weights, arch = gan.weights()["generator"], gan.arch
  draw = jax.jit(functools.partial(stylegan2.generate, arch=arch))
  pictures = []
  for key in jax.random.split(jax.random.key(0), count):
    z = jax.random.normal(key, (arch.latent_size,))
    picture, _ = draw(weights, z, mean=gan.mean_latent, psi=_TRUNCATION)
    pictures.append(sheets.to_uint8(picture))
  sheet = sheets.picture_grid(
    sheets.Block(
      f"{count} samples, truncation {_TRUNCATION}",
      np.stack(pictures),
      columns=min(count, 8),
      tile=min(arch.image_size, _SHEET_TILE),
    )
  )
  with writing(path, "--output"), replacing(path) as part:
    sheet.save(part)


if __name__ == "__main__":
  sys.exit(main())
