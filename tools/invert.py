"""Finds the latents with which a GAN draws given pictures.

  python tools/invert.py --gan assets/demo/gan --images DIR --output DIR

--images is a picture, a folder or a list file. The output folder receives

  latents/NAME.npy   the latent, one row for each layer of the generator
  NAME.png           what the GAN makes of it
  sheet.png          pictures and what the GAN makes of them, side by side
  errors.csv         per picture: mean absolute difference on the scale
                     [-1, 1], and PSNR in dB, of the 8-bit pictures
  settings.json      how latents were sought

The same command takes up where it was stopped. Exit codes: 0 done; 2 a mistake
in the input, with one line that says what to mend.
"""

import argparse
import csv
import functools
import math
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import jax
import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from gan2shape_jax import inversion, sheets
from gan2shape_jax.atomic import writing
from gan2shape_jax.data import SourcePicture, list_pictures, load_pictures
from gan2shape_jax.errors import UserError
from gan2shape_jax.gan.bundle import Gan, load_gan
from gan2shape_jax.latent_space import latent_space
from gan2shape_jax.latents import save_latent
from gan2shape_jax.models import discriminator, stylegan2
from gan2shape_jax.report import Progress
from gan2shape_jax.workdir import read_json, write_json
from tools import command_line

_MAX_IN_SHEET = 48  # pictures
_SHEET_COLUMNS = 8  # two for each picture


def main(arguments: Sequence[str] | None = None) -> int:
  """Runs the program and returns its exit code."""
  return command_line.run(run, make_parser(), arguments)


def make_parser() -> argparse.ArgumentParser:
  """The options."""
  parser = command_line.make_parser(__doc__)
  add = parser.add_argument
  add("--gan", type=Path, required=True, help="folder of converted weights")
  add("--images", type=Path, required=True, help="picture, folder or list")
  add("--output", type=Path, required=True, help="folder for the results")
  add("--w_plus", action="store_true", help="then one latent for each layer")
  add("--steps", type=int, default=400, help="iterations, W+ as many again")
  add(
    "--regular",
    type=float,
    default=0.02,
    help="weight that keeps latents near the middle of the GAN's own",
  )
  add(
    "--apart",
    type=float,
    default=0.2,
    help="weight that keeps the layers of W+ together; less of both gives"
    " closer pictures, from latents that the GAN can edit less well",
  )
  add("--batch", type=int, default=8, help="pictures at a time, at most")
  add(
    "--crop",
    type=int,
    default=0,
    help="px, centre square for the GAN to draw; 0: all. Not for runs with"
    " data.crop, which search latents of whole pictures themselves",
  )
  return parser


def run(options: argparse.Namespace) -> None:
  """Inverts the pictures that have no latent yet, then sums up all of them.

  Raises:
    UserError: the GAN, the pictures or the output folder are not usable.
  """
  if options.steps < 1 or options.batch < 1:
    raise UserError("--steps and --batch must be at least 1")
  gan = load_gan(options.gan)
  arch = gan.arch
  pictures = load_pictures(
    list_pictures(options.images),
    image_size=arch.image_size,
    n_latent=arch.n_latent,
    latent_size=arch.latent_size,
    crop=options.crop,
  )
  for picture in pictures:
    if picture.path.resolve() == result_paths(options, picture)[0].resolve():
      raise UserError(
        f"{options.output}: the results would overwrite the pictures; choose"
        " another --output"
      )
  claim_output(options)
  left = [
    picture
    for picture in pictures
    if not all(path.is_file() for path in result_paths(options, picture))
  ]
  print(f"{len(pictures)} picture(s), {len(left)} to be inverted", flush=True)
  with writing(options.output, "--output"):
    (options.output / "latents").mkdir(parents=True, exist_ok=True)
    if left:
      invert_all(gan, left, options)
    sum_up(pictures, options)


def claim_output(options: argparse.Namespace) -> None:
  """Notes how latents are sought, or checks that it is the same.

  Raises:
    UserError: the folder has latents that were found otherwise, or cannot be
      written.
  """
  note = options.output / "settings.json"
  settings = {
    name: getattr(options, name)
    for name in ("steps", "w_plus", "regular", "apart", "crop")
  } | {"gan": str(options.gan.resolve())}
  with writing(options.output, "--output"):
    if note.exists() and read_json(note) != settings:
      raise UserError(
        f"{note}: made with another GAN or other options; choose another"
        " --output or remove it"
      )
    options.output.mkdir(parents=True, exist_ok=True)
    write_json(note, settings)


def invert_all(
  gan: Gan,
  pictures: Sequence[SourcePicture],
  options: argparse.Namespace,
) -> None:
  """Inverts pictures batch by batch and writes what was found for each.

  Raises:
    UserError: for some nothing was found; the others are written.
  """
  arch = gan.arch
  frozen = gan.weights()
  synthesize = functools.partial(stylegan2.synthesize, arch=arch)
  features = functools.partial(discriminator.discriminator_features, arch=arch)
  blocks = min(4, len(arch.channels) - 1)
  invert = inversion.make_inverter(
    synthesize=lambda frozen, w: synthesize(frozen["generator"], w),
    features=lambda frozen, image: features(
      frozen["discriminator"], image, count=blocks
    ),
    n_latent=arch.n_latent,
    steps=options.steps,
    steps_w_plus=options.steps if options.w_plus else 0,
    regular_weight=options.regular,
    apart_weight=options.apart,
  )
  draw = jax.jit(jax.vmap(synthesize, (None, 0)))
  space = latent_space(gan.generator, arch)
  batches = list(even_batches(pictures, options.batch))
  steps = options.steps * (2 if options.w_plus else 1)
  diverged = {}
  with Progress(steps * len(batches)) as progress:
    for number, batch in enumerate(batches):

      def show(done, losses, number=number, batch=batch):
        progress.update(
          number * steps + done,
          loss=losses["total"].mean(),
          label=batch[0].path.stem,
        )

      images = np.stack([picture.image for picture in batch])
      latents = invert(frozen, images, space, progress=show)
      drawn = draw(gan.generator, latents)
      for picture, image, latent in zip(batch, drawn, latents, strict=True):
        if np.isfinite(latent).all():
          write_result(picture, image, latent, options)
        else:
          diverged[picture.path] = f"{picture.path}: the search diverged"
  if diverged:
    raise UserError("; ".join(diverged.values()))


def even_batches(
  pictures: Sequence[SourcePicture], largest: int
) -> Iterator[Sequence[SourcePicture]]:
  """Yields the fewest batches, all of one size so as to compile only once.

  The last one is filled up with repetitions of its last picture, fewer than
  there are batches.
  """
  count = math.ceil(len(pictures) / largest)
  size = math.ceil(len(pictures) / count)
  for first in range(0, len(pictures), size):
    batch = list(pictures[first : first + size])
    yield batch + batch[-1:] * (size - len(batch))


def result_paths(
  options: argparse.Namespace, picture: SourcePicture
) -> tuple[Path, Path]:
  """Where the GAN's picture and the latent go; done when both are there."""
  name = picture.path.stem
  return options.output / f"{name}.png", options.output / f"latents/{name}.npy"


def write_result(
  picture: SourcePicture,
  image: jax.Array,
  latent: jax.Array,
  options: argparse.Namespace,
) -> None:
  """Writes the GAN's picture, then the latent in one move."""
  image_path, latent_path = result_paths(options, picture)
  Image.fromarray(sheets.to_uint8(np.asarray(image))).save(image_path)
  save_latent(latent_path, np.asarray(latent))


def sum_up(
  pictures: Sequence[SourcePicture], options: argparse.Namespace
) -> None:
  """Writes errors.csv and sheet.png from the files of all pictures."""
  rows, tiles = [], []
  for picture in pictures:
    name = picture.path.stem
    with Image.open(result_paths(options, picture)[0]) as image:
      drawn = np.asarray(image.convert("RGB"))
    given = sheets.to_uint8(picture.image)
    difference = drawn / 127.5 - given / 127.5
    l1 = np.abs(difference).mean()
    psnr = 10 * np.log10(4 / max(np.square(difference).mean(), 1e-12))
    rows.append({"picture": name, "l1": f"{l1:.5f}", "psnr": f"{psnr:.3f}"})
    tiles += [given, drawn]
  with (options.output / "errors.csv").open("w", newline="") as file:
    table = csv.DictWriter(file, ["picture", "l1", "psnr"])
    table.writeheader()
    table.writerows(rows)
  shown = rows[:_MAX_IN_SHEET]
  labels = [s for row in shown for s in (row["picture"], f"L1 {row['l1']}")]
  sheets.picture_grid(
    sheets.Block(
      "Pictures and what the GAN makes of their latents",
      np.stack(tiles[: 2 * _MAX_IN_SHEET]),
      columns=_SHEET_COLUMNS,
      tile=128,
      labels=labels,
    )
  ).save(options.output / "sheet.png")
  print(
    f"mean L1 {np.mean([float(r['l1']) for r in rows]):.4f}, PSNR"
    f" {np.mean([float(r['psnr']) for r in rows]):.2f} dB; see"
    f" {options.output / 'sheet.png'}"
  )


if __name__ == "__main__":
  sys.exit(main())
