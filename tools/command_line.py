"""What the programs of this folder share: options, and answers to mistakes.

Exit codes: 0 done; 2 a mistake in the input, with what to mend.
"""

import argparse
import sys
from collections.abc import Callable, Sequence

from gan2shape_jax import runtime
from gan2shape_jax.errors import UserError


def make_parser(description: str | None) -> argparse.ArgumentParser:
  """A parser without options, whose help shows the description as it is."""
  return argparse.ArgumentParser(
    description=description,
    formatter_class=argparse.RawDescriptionHelpFormatter,
  )


def at_least(least: int) -> Callable[[str], int]:
  """The type of an option that is a whole number, not less than `least`."""

  def parse(text: str) -> int:
    number = int(text)
    if not least <= number < 2**32:
      raise argparse.ArgumentTypeError(f"{text} is not from {least} to 2**32-1")
    return number

  parse.__name__ = "int"  # argparse names it if the text is no number.
  return parse


def run(
  program: Callable[[argparse.Namespace], None],
  parser: argparse.ArgumentParser,
  arguments: Sequence[str] | None,
) -> int:
  """Runs a program and returns its exit code.

  Args:
    program: does everything; gets the options.
    parser: of the options.
    arguments: command line; that of the process if None.
  """
  options = parser.parse_args(arguments)
  # All that `prepare` does but the emitters: with XLA's own a GAN trains a
  # little faster.
  runtime.keep_memory()
  runtime.keep_programs()
  try:
    program(options)
  except UserError as error:
    print(f"{parser.prog}: {error}", file=sys.stderr)
    return 2
  return 0
