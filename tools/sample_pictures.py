"""Draws pictures with a GAN, for joint training on them.

  python tools/sample_pictures.py --gan assets/demo/gan --output data/samples \\
    --count 64 --psi 0.8

Folder written:
  image/000000.png     8-bit RGB
  latents/000000.npy   the latent, one row for each layer of the generator
  list.txt             one image path per line, relative to the folder

Exit codes: 0 done; 2 a mistake in the input, with one line that says what to
mend.
"""

import argparse
import functools
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
from gan2shape_jax.gan.bundle import Gan, load_gan
from gan2shape_jax.latents import save_latent
from gan2shape_jax.models import stylegan2
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
  add("--count", type=int, default=200, help="how many pictures")
  add("--psi", type=float, default=0.7, help="truncation")
  add("--seed", type=int, default=0)
  return parser


def run(options: argparse.Namespace) -> None:
  """Reads the GAN and draws."""
  sample_pictures(
    load_gan(options.gan),
    options.output,
    count=options.count,
    psi=options.psi,
    seed=options.seed,
  )


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
