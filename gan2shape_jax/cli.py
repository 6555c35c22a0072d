"""What the programs share: configuration flags, error messages, exit codes.

Exit codes of all programs: 0 done, or stopped when asked to; 1 some of several
pictures failed; 2 a mistake in the input or a full disk, with one line that
says what to mend; 130 stopped before there was anything to save. Anything else
is a defect and shows its traceback.
"""

import os
import pathlib
import sys
from collections.abc import Callable

from absl import app, flags, logging
from ml_collections import ConfigDict, config_flags

from gan2shape_jax import runtime, scores
from gan2shape_jax.errors import Interrupted, UserError
from gan2shape_jax.outcome import Outcome

FLAGS = flags.FLAGS

# In flags, or in the file of a configuration.
_MISTAKES = (
  flags.Error,
  AttributeError,
  ImportError,
  KeyError,
  OSError,
  SyntaxError,
  TypeError,
)


def run(
  program: Callable[[ConfigDict, pathlib.Path], None], *, suffix: str = ""
) -> None:
  """Runs a program with the configuration and the folder for its results.

  `--config=FILE` names the configuration, `--config.group.field=value` changes
  single fields, `--workdir` the folder; results/NAME, with the suffix, if
  empty. Other flags are the program's own. Programs import JAX late, so that
  mistakes in flags are answered at once.
  """

  def main(argv: list[str]) -> None:
    if len(argv) > 1:
      raise UserError(f"unexpected argument {argv[1]!r}; options start with --")
    # Orbax logs the tracebacks of failures that it raises as well.
    logging.set_verbosity(logging.FATAL)
    runtime.prepare()
    runtime.keep_programs()
    workdir = FLAGS.workdir or os.path.join("results", config_name() + suffix)
    program(FLAGS.config, pathlib.Path(workdir))

  try:
    app.run(main, flags_parser=parse_flags)
  except Interrupted as interrupted:
    print(f"{interrupted}; the same command goes on from there", flush=True)
  except UserError as error:
    complain(str(error))
    sys.exit(2)
  except KeyboardInterrupt:
    complain("stopped")
    sys.exit(130)


def conclude(outcome: Outcome) -> None:
  """Ends a program: prints what it measured; exits with 1 if pictures failed.

  Figures are there where true shapes are; of failures it says the reasons.
  """
  from gan2shape_jax import hosts

  rows, failed = outcome
  table = scores.summarize(rows)
  if table and hosts.is_first():
    print(scores.format_means(table, len(rows)), flush=True)
  if not failed:
    return
  reasons = "".join(f"\n  - {reason}" for reason in failed.values())
  complain(
    f"{len(failed)} of {len(rows) + len(failed)} pictures failed:{reasons}"
  )
  sys.exit(1)


def complain(message: str) -> None:
  """Says what went wrong."""
  print(f"gan2shape_jax: {message}", file=sys.stderr, flush=True)


def parse_flags(argv: list[str]) -> list[str]:
  """Defines and parses the flags, which loads the configuration.

  Raises:
    UserError: for a missing or faulty file, an unknown key or a value of a
      wrong type.
  """
  try:
    # Reads the command line by itself, and may fail on it.
    config_flags.DEFINE_config_file(
      "config", "configs/demo.py", "What to fit and how.", lock_config=True
    )
    flags.DEFINE_string(
      "workdir", "", "For the results; under results/, by the config, if empty."
    )
    remaining = FLAGS(argv)
    # A file that cannot be loaded is reported at the first use only.
    _ = FLAGS.config.is_locked
    return remaining
  except _MISTAKES as error:
    message = " ".join(str(error).replace("\\'", "'").split()).strip("'\"")
    raise UserError(
      f"command line: {message} (the fields of a configuration and their"
      " meaning are in gan2shape_jax/config.py)"
    ) from error


def config_name() -> str:
  """The name of the configuration file without folder and ending."""
  path = config_flags.get_config_filename(FLAGS["config"])
  return pathlib.Path(path.split(":")[0]).stem
