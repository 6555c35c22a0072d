"""The program: `python -m gan2shape_jax.main --config=configs/demo.py`.

Fits the shapes of pictures and writes them to `--workdir`; the same command
resumes a run that was stopped. Single fields of the configuration are
overridden as in `--config.schedule.stages=2`.

With `--check` it reads and checks all files, and tells every mistake or what
would be done, but starts nothing. (Masks that have to be found are found, and
kept in the folder.) A run does the same checks first.
"""

import pathlib

from absl import flags
from ml_collections import ConfigDict

from gan2shape_jax import cli

FLAGS = flags.FLAGS
flags.DEFINE_bool("check", False, "Check everything, and start nothing.")


def main(config: ConfigDict, workdir: pathlib.Path) -> None:
  """Hands the configuration over to the loop, or checks it."""
  if FLAGS.check:
    from gan2shape_jax.inputs import load_inputs
    from gan2shape_jax.plan import make_plan

    inputs = load_inputs(config, workdir)
    print(make_plan(config, inputs).describe(config, inputs))
    return
  from gan2shape_jax import train

  train.run(config, workdir)


if __name__ == "__main__":
  cli.run(main)
