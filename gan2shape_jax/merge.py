"""The program that merges networks: `python -m gan2shape_jax.merge`.

  python -m gan2shape_jax.merge --config=configs/demo_pretrain.py \\
    --networks=results/first/networks,results/second/networks

Teaches one set of networks what several answer on average, on the pictures of
the configuration (`data.pictures`; neither masks nor latents are looked at),
see `distillation.py`. The first of them is where the training begins, and gives
the encoder. Writes networks/ to `--workdir` (results/<configuration>_merged).

Members may have limits of depth of their own. The student's are their means,
and are printed: `main` and `predict` want them configured.
"""

import pathlib
from collections.abc import Sequence

from absl import flags
from ml_collections import ConfigDict, FrozenConfigDict

from gan2shape_jax import cli
from gan2shape_jax.atomic import writing
from gan2shape_jax.errors import UserError

FLAGS = flags.FLAGS
flags.DEFINE_list("networks", [], "Folders; named twice, one counts twice.")
flags.DEFINE_integer("iterations", 4000, "Of the training.", lower_bound=1)

_LIMITS = ("camera.depth_min", "camera.depth_max")


def main(config: ConfigDict, workdir: pathlib.Path) -> None:
  """Merges the networks of the command line."""
  run(config, workdir, FLAGS.networks, iterations=FLAGS.iterations)


def run(
  config: ConfigDict,
  workdir: pathlib.Path,
  folders: Sequence[str],
  *,
  iterations: int,
) -> None:
  """Teaches one set of networks what several answer on average.

  Args:
    config: whose pictures, sizes of networks, learning rate, batch size and
      seed count.
    workdir: where to write.
    folders: of the networks.
    iterations: of the training.

  Raises:
    UserError: a mistake in the input, before any long work starts.
  """
  import jax
  import numpy as np

  from gan2shape_jax import distillation
  from gan2shape_jax.config import validate
  from gan2shape_jax.gan.bundle import load_gan
  from gan2shape_jax.pretrained import load_networks, load_units, save_networks
  from gan2shape_jax.report import Progress
  from gan2shape_jax.sources import load_sources
  from gan2shape_jax.system import make_system
  from gan2shape_jax.workdir import check_unclaimed

  validate(config)
  check_unclaimed(workdir)
  if not folders:
    raise UserError("--networks: name the folders of networks to merge, A,B")
  # The GAN's sizes belong to the system, although nothing is drawn.
  arch = load_gan(config.weights.gan).arch

  def system_within(limits):
    own = config.copy_and_resolve_references()
    own.update_from_flattened_dict(limits)
    return make_system(FrozenConfigDict(own), arch)

  def load_member(folder):
    units = load_units(folder)
    system = system_within({name: units[name] for name in _LIMITS})
    params = load_networks(
      folder, system.networks, system.units, required=distillation.TAUGHT
    )
    return distillation.Member(system, params)

  members = [load_member(folder) for folder in folders]
  limits = {
    # Rounded, for they will have to be typed.
    name: round(
      float(np.mean([member.system.units[name] for member in members])), 4
    )
    for name in _LIMITS
  }
  student = distillation.Member(system_within(limits), members[0].params)
  images_only = config.copy_and_resolve_references()
  images_only.data.update({"mask": "full", "ground_truth": False})
  pictures, failed, _ = load_sources(images_only)
  if failed:
    raise UserError("; ".join(failed.values()))
  images = np.stack([source.image for source in pictures])
  batch_size = config.schedule.batch_size
  batches = -(-len(images) // batch_size)
  with (
    writing(workdir, "--workdir"),
    Progress(batches + iterations) as progress,
  ):
    workdir.mkdir(parents=True, exist_ok=True)  # Now, if it cannot be.
    targets = distillation.mean_answers(
      members,
      images,
      batch_size=batch_size,
      progress=lambda done: progress.update(done, label="answers"),
    )
    params = distillation.teach(
      student,
      images,
      targets,
      jax.random.key(config.seed),
      iterations=iterations,
      batch_size=batch_size,
      learning_rate=config.optimizer.learning_rate,
      chunk=config.run.chunk,
      progress=lambda done, loss: progress.update(
        batches + done, loss=loss, label="training"
      ),
    )
    save_networks(
      workdir / "networks",
      params,
      units=student.system.units,
      provenance={
        "made_by": "python -m gan2shape_jax.merge",
        "networks": list(folders),
        "pictures": len(images),
        "iterations": iterations,
      },
    )
  named = ", ".join(f"{name}={value}" for name, value in limits.items())
  print(f"networks in {workdir / 'networks'}; they are for {named}", flush=True)


if __name__ == "__main__":
  cli.run(main, suffix="_merged")
