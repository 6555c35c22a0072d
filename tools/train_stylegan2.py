"""Trains a StyleGAN2 on a folder of pictures.

On the CPU, on a GPU, or data parallel on all devices that JAX sees:

  python tools/train_stylegan2.py --data data/heads/train/image \\
    --heldout data/heads/val/image --output runs/gan

The output folder holds sample sheets, a log, checkpoints and `gan/`, the folder
that other programs load. The same command resumes an interrupted run.

The defaults are those of rosinality's program, with config-e widths for
`--image_size`, to which pictures are resized. A small network learns 64-pixel
heads on a CPU core with

  --channels 128,128,96,48,24 --latent_size 128 --mapping_layers 4 --no-noise \\
    --r1_weight 0.3 --path_weight 1 --path_every 8
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

# Run as a script, python puts tools/ first on the path, not the repository.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from gan2shape_jax.atomic import writing
from gan2shape_jax.errors import UserError
from gan2shape_jax.gan.pictures import load_pictures
from gan2shape_jax.gan.state import Hyper
from gan2shape_jax.gan.train import Run, train
from gan2shape_jax.models.architecture import (
  Architecture,
  config_e,
  config_f,
)
from tools import command_line


def main(arguments: Sequence[str] | None = None) -> int:
  """Runs the program and returns its exit code."""
  return command_line.run(run, make_parser(), arguments)


def run(options: argparse.Namespace) -> None:
  """Reads the pictures, then trains."""
  arch = architecture(options)
  size = arch.image_size
  real = load_pictures(options.data, image_size=size)
  heldout = real[:0]
  if options.heldout:
    heldout = load_pictures(options.heldout, image_size=size)
  print(f"{len(real)} pictures, {len(heldout)} held out", flush=True)
  hyper = Hyper(**{k: getattr(options, k) for k in _fields(Hyper)})
  settings = Run(**{k: getattr(options, k) for k in _fields(Run)})
  with writing(options.output, "--output"):
    train(real, heldout, arch, hyper, settings)


def architecture(options: argparse.Namespace) -> Architecture:
  """The preset at the given size, or the table of channels.

  Raises:
    UserError: there is no preset of that size.
  """
  if options.channels is None:
    try:
      return {"e": config_e, "f": config_f}[options.config](options.image_size)
    except ValueError as error:
      raise UserError(f"--image_size: {error}") from error
  return Architecture(
    channels=options.channels,
    latent_size=options.latent_size,
    mapping_layers=options.mapping_layers,
    noise=options.noise,
  )


def make_parser() -> argparse.ArgumentParser:
  """The options, with the defaults of `Hyper` and `Run`."""
  parser = command_line.make_parser(__doc__)
  add = parser.add_argument
  add("--data", required=True, help="folder of training pictures")
  add("--heldout", help="folder of pictures for the quality figure")
  add("--output", type=Path, required=True, help="folder to write or resume")
  add("--images", type=int, default=12_800_000, help="pictures to see")
  add("--start", default=Run.start, help="GAN folder to begin with")
  add("--seed", type=int, default=Run.seed)
  shape = parser.add_argument_group("networks")
  add = shape.add_argument
  add("--config", choices="ef", default="e", help="widths, without --channels")
  add("--image_size", type=int, default=128, help="without --channels")
  add(
    "--channels",
    type=lambda text: tuple(int(c) for c in text.split(",")),
    help="channels at 4, 8, 16, ... pixels, such as 128,128,96,48,24",
  )
  add("--latent_size", type=int, default=512, help="with --channels")
  add("--mapping_layers", type=int, default=8, help="with --channels")
  add(
    "--noise",
    action=argparse.BooleanOptionalAction,
    default=True,
    help="noise inputs, with --channels",
  )
  _add_fields(parser.add_argument_group("game"), Hyper, ())
  _add_fields(
    parser.add_argument_group("run"),
    Run,
    ("data", "output", "images", "start", "seed"),
  )
  return parser


def _fields(settings) -> list[str]:
  return list(settings.__dataclass_fields__)


def _add_fields(group, settings, skip) -> None:
  """One option per field that has a default, of the default's type."""
  for name, field in settings.__dataclass_fields__.items():
    if name in skip:
      continue
    kind = {"action": argparse.BooleanOptionalAction}
    if field.type is not bool:
      kind = {"type": field.type}
    group.add_argument(f"--{name}", default=field.default, **kind)


if __name__ == "__main__":
  sys.exit(main())
