"""Writes a data set of synthetic heads: pictures and their exact geometry.

  python tools/make_heads.py --output data/heads64/train --count 8000

Folder written (interrupted runs resume; finished files are kept):
  image/000000.png  8-bit RGB, black background
  depth/000000.png  16-bit, (1.1 - depth) / 0.2 of full scale, 0 off the head
  mask/000000.png   8-bit, 255 on the head
  npz/000000.npz    depth, normal, view, light, identity (names in heads.json)
  list.txt          one image path per line, relative to the folder
  heads.json        what made the folder
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

# Run as a script, python puts tools/ first on the path, not the repository.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from gan2shape_jax.atomic import writing
from gan2shape_jax.synthetic import heads
from gan2shape_jax.synthetic.dataset import write_heads
from tools import command_line


def main(arguments: Sequence[str] | None = None) -> int:
  """Runs the program and returns its exit code."""
  return command_line.run(run, make_parser(), arguments)


def make_parser() -> argparse.ArgumentParser:
  """The options."""
  parser = command_line.make_parser(__doc__)
  add, at_least = parser.add_argument, command_line.at_least
  add("--output", type=Path, required=True, help="folder to fill")
  add("--split", choices=heads.SPLITS, default="train")
  add("--count", type=at_least(1), required=True)
  add("--size", type=at_least(8), default=64, help="pixels")
  add("--seed", type=at_least(0), default=0)
  add(
    "--views",
    type=at_least(1),
    default=1,
    help="successive pictures per identity",
  )
  add("--batch", type=at_least(1), default=32, help="heads at a time")
  look = parser.add_mutually_exclusive_group()
  look.add_argument(
    "--asymmetric",
    dest="asymmetry",
    action="store_const",
    const="full",
    default="appearance",
    help="one-sided shapes too (otherwise only parting, gaze and marks are)",
  )
  look.add_argument(
    "--symmetric",
    dest="asymmetry",
    action="store_const",
    const="none",
    help="exactly mirror-symmetric heads",
  )
  return parser


def run(options: argparse.Namespace) -> None:
  """Writes what is missing."""
  with writing(options.output, "--output"):
    write_heads(**vars(options))


if __name__ == "__main__":
  sys.exit(main())
