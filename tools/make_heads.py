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
from pathlib import Path

# Run as a script, python puts tools/ first on the path, not the repository.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from gan2shape_jax.atomic import writing
from gan2shape_jax.errors import UserError
from gan2shape_jax.synthetic import heads
from gan2shape_jax.synthetic.dataset import write_heads


def main(argv: list[str] | None = None) -> None:
  """Reads the flags, then writes what is missing."""
  args = _parser().parse_args(argv)
  try:
    with writing(args.output, "--output"):
      write_heads(
        Path(args.output),
        split=args.split,
        count=args.count,
        size=args.size,
        seed=args.seed,
        views=args.views,
        asymmetry=args.asymmetry,
        batch=args.batch,
      )
  except UserError as error:
    print(error, file=sys.stderr)
    sys.exit(2)


def _parser() -> argparse.ArgumentParser:
  parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
  )
  parser.add_argument("--output", required=True, help="folder to fill")
  parser.add_argument("--split", choices=heads.SPLITS, default="train")
  parser.add_argument("--count", type=int, required=True)
  parser.add_argument("--size", type=int, default=64, help="pixels")
  parser.add_argument("--seed", type=int, default=0)
  parser.add_argument(
    "--views", type=int, default=1, help="successive pictures per identity"
  )
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
  parser.add_argument("--batch", type=int, default=32, help="heads at a time")
  return parser


if __name__ == "__main__":
  main()
