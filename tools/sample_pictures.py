"""Draws pictures with a GAN, for joint training on them.

  python tools/sample_pictures.py --gan assets/demo/gan --output data/samples \\
    --count 64 --psi 0.8

Folder written:
  image/000000.png     8-bit RGB
  latents/000000.npy   the latent, one row for each layer of the generator
  list.txt             one image path per line, relative to the folder
  samples.json         what they were drawn with

Exit codes: 0 done; 2 a mistake in the input, with one line that says what to
mend.
"""

import argparse
import functools
import math
import sys
from collections.abc import Sequence
from pathlib import Path

import jax
import numpy as np
from PIL import Image
from tqdm import tqdm

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from gan2shape_jax import sheets
from gan2shape_jax.atomic import writing
from gan2shape_jax.errors import UserError
from gan2shape_jax.gan.bundle import Gan, load_gan
from gan2shape_jax.latents import save_latent
from gan2shape_jax.models import stylegan2
from gan2shape_jax.workdir import read_json, write_json
from tools import command_line


def main(arguments: Sequence[str] | None = None) -> int:
  """Runs the program and returns its exit code."""
  return command_line.run(run, make_parser(), arguments)


def make_parser() -> argparse.ArgumentParser:
  """The options."""
  parser = command_line.make_parser(__doc__)
  add = parser.add_argument
  add("--gan", type=Path, required=True, help="folder of converted weights")
  add("--output", type=Path, required=True, help="folder to fill")
  at_least = command_line.at_least
  add("--count", type=at_least(1), default=200, help="how many pictures")
  add("--psi", type=float, default=0.7, help="truncation")
  add("--seed", type=at_least(0), default=0)
  return parser


def run(options: argparse.Namespace) -> None:
  """Reads the GAN and draws.

  Raises:
    UserError: the GAN or the folder cannot be used.
  """
  if not math.isfinite(options.psi):
    raise UserError(f"--psi={options.psi}: must be finite, as in 0.7")
  gan = load_gan(options.gan)
  claim_output(options)
  sample_pictures(
    gan,
    options.output,
    count=options.count,
    psi=options.psi,
    seed=options.seed,
  )


def claim_output(options: argparse.Namespace) -> None:
  """Notes what the pictures are made with, or checks that it is the same.

  Raises:
    UserError: the folder holds other pictures, or cannot be written.
  """
  output, note = options.output, options.output / "samples.json"
  settings = {
    "gan": str(options.gan.resolve()),
    "count": options.count,
    "psi": options.psi,
    "seed": options.seed,
  }
  with writing(output, "--output"):
    images = output / "image"
    begun = read_json(note) if note.exists() else None
    if begun != settings and images.is_dir() and any(images.iterdir()):
      raise UserError(
        f"{output}: holds other pictures; choose another --output or remove it"
      )
    output.mkdir(parents=True, exist_ok=True)
    write_json(note, settings)


def sample_pictures(
  gan: Gan, output: Path, *, count: int, psi: float, seed: int
) -> None:
  """Writes the folder described above.

  Raises:
    UserError: the folder cannot be written.
  """
  arch, weights = gan.arch, gan.weights()["generator"]
  draw = jax.jit(functools.partial(stylegan2.generate, arch=arch))
  with writing(output, "--output"):
    for folder in ("image", "latents"):
      (output / folder).mkdir(parents=True, exist_ok=True)
    for index in tqdm(range(count), unit="picture"):
      key = jax.random.fold_in(jax.random.key(seed), index)
      z = jax.random.normal(key, (arch.latent_size,))
      image, w = draw(weights, z, mean=gan.mean_latent, psi=psi)
      latent = np.broadcast_to(w, (arch.n_latent, arch.latent_size))
      name = f"{index:06d}"
      picture = Image.fromarray(sheets.to_uint8(np.asarray(image)))
      picture.save(output / f"image/{name}.png")
      save_latent(output / f"latents/{name}.npy", latent)
    names = [f"image/{index:06d}.png\n" for index in range(count)]
    (output / "list.txt").write_text("".join(names))


if __name__ == "__main__":
  sys.exit(main())
