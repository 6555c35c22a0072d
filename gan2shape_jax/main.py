"""The program: `python -m gan2shape_jax.main --config=configs/demo.py`.

Fits the shapes of pictures and writes them to `--workdir`; the same command
resumes a run that was stopped. Single fields of the configuration are
overridden as in `--config.schedule.stages=2`. On Ctrl-C or SIGTERM it saves
what it has and exits. A picture that cannot be used, or whose loss diverges, is
reported at the end (exit code 1); the others are done.

With `--check` it reads and checks all files, and tells every mistake or what
would be done, but starts nothing. (Masks that have to be found are found, and
kept in the folder.) A run does the same checks first.

With `--distributed` several processes share the pictures, on TPU pods, under
Slurm, or wherever `--coordinator`, `--processes` and `--process` say; see
docs/tpu.md.
"""

import pathlib

from absl import flags
from ml_collections import ConfigDict

from gan2shape_jax import cli
from gan2shape_jax.errors import UserError

FLAGS = flags.FLAGS
flags.DEFINE_bool("check", False, "Check everything, and start nothing.")
flags.DEFINE_bool("distributed", False, "One of several processes of a run.")
flags.DEFINE_string(
  "coordinator", None, "HOST:PORT of the first process, if it is not found."
)
flags.DEFINE_integer("processes", None, "How many there are, likewise.")
flags.DEFINE_integer("process", None, "Number of this one, from 0, likewise.")


def main(config: ConfigDict, workdir: pathlib.Path) -> None:
  """Hands the configuration over to the loop, or checks it."""
  from gan2shape_jax import hosts

  address = FLAGS.coordinator, FLAGS.processes, FLAGS.process
  if FLAGS.distributed:
    hosts.connect(*address)
  elif any(part is not None for part in address):
    raise UserError(
      "--coordinator, --processes and --process go with --distributed"
    )
  if FLAGS.check:
    from gan2shape_jax.inputs import load_inputs
    from gan2shape_jax.plan import make_plan

    inputs = load_inputs(config, workdir)
    print(make_plan(config, inputs).describe(config, inputs))
    return
  from gan2shape_jax import train

  cli.conclude(train.run(config, workdir))


if __name__ == "__main__":
  cli.run(main)
