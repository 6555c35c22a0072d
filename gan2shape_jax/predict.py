"""The program that predicts: `python -m gan2shape_jax.predict --config=...`.

One forward pass of jointly trained networks (`weights.networks`) for each
picture of the configuration (`data.pictures`): no fit and no latents. The GAN
(`weights.gan`) draws nothing, only its sizes are read. Writes results/NAME/ as
`main` does, but for the pictures by the GAN, and metrics.json (`predicted_side`
and so on, where there is true depth) to results/<configuration>_predictions
unless `--workdir` names another folder.
"""

import pathlib

from ml_collections import ConfigDict, FrozenConfigDict

from gan2shape_jax import cli
from gan2shape_jax.atomic import writing
from gan2shape_jax.errors import UserError
from gan2shape_jax.outcome import Outcome


def main(config: ConfigDict, workdir: pathlib.Path) -> None:
  """Predicts, and tells what went wrong."""
  cli.conclude(run(config, workdir))


def run(config: ConfigDict, workdir: pathlib.Path) -> Outcome:
  """Predicts the shapes of all pictures of the configuration.

  Raises:
    UserError: a mistake in the input, or no picture can be used.
  """
  from gan2shape_jax import results, sources
  from gan2shape_jax.config import validate
  from gan2shape_jax.gan.bundle import load_gan
  from gan2shape_jax.object_masks import with_masks
  from gan2shape_jax.pretrained import load_networks
  from gan2shape_jax.report import Progress, write_metrics
  from gan2shape_jax.system import make_system
  from gan2shape_jax.workdir import check_unclaimed, result_folder

  validate(config)
  check_unclaimed(workdir)
  if not config.weights.networks:
    raise UserError(
      "config: weights.networks is empty; name a folder of trained networks"
    )
  # The GAN's architecture belongs to the system, although nothing is drawn.
  system = make_system(
    FrozenConfigDict(config), load_gan(config.weights.gan).arch
  )
  params = load_networks(
    config.weights.networks,
    system.networks,
    system.units,
    required=system.networks._fields,
  )
  pictures, failed, _ = sources.load_sources(config)
  pictures, empty = with_masks(config, workdir / "masks", pictures)
  failed |= empty
  if not pictures:
    raise UserError("; ".join(failed.values()))
  rows = {}
  with writing(workdir, "--workdir"), Progress(len(pictures)) as progress:
    for index, source in enumerate(pictures):
      name = source.path.stem
      progress.update(index, label=name)
      picture = results.to_picture(source)
      rows[name] = results.figures(
        system, {}, picture, source.ground_truth, pretrained=params
      )
      results.export(
        config,
        result_folder(workdir, name),
        name,
        system,
        picture,
        params,
        rows[name],
      )
    progress.update(len(pictures))
    write_metrics(workdir, rows, failed=failed)
  return Outcome(rows, failed)


if __name__ == "__main__":
  cli.run(main, suffix="_predictions")
