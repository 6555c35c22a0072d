"""The program: `python -m gan2shape_jax.main --config=configs/demo.py`.

Fits the shapes of pictures and writes them to `--workdir`; the same command
resumes a run that was stopped. Single fields of the configuration are
overridden as in `--config.schedule.stages=2`.
"""

import pathlib

from ml_collections import ConfigDict

from gan2shape_jax import cli


def main(config: ConfigDict, workdir: pathlib.Path) -> None:
  """Hands the configuration over to the loop."""
  from gan2shape_jax import train

  train.run(config, workdir)


if __name__ == "__main__":
  cli.run(main)
