"""The program that measures: `python -m gan2shape_jax.evaluate`.

  python -m gan2shape_jax.evaluate --config=configs/demo.py --heads=test:0-7

Makes synthetic heads that no GAN was trained on (their true shape is known),
predicts and fits them as the configuration says, and prints SIDE and MAD of
the flat shape, the prior, the prediction and the fit, and by how much they
beat the prior; then the true shape's depth as a part of the found one's, the
SIDE that is left when depth and tilt are mended (`metrics.align_relief`), and
how much of the head was found and compared.
Writes to `--workdir` (results/<configuration>_evaluation):

  heads/                the heads, with a folder for each split
  fits/, predictions/   as `main` and `predict` write them
  evaluation_NAME.json  the figures
  evaluation_NAME.png   input, true normals, and those of prior, prediction, fit

NAME says which heads these are, as in test_appearance_0-7.
"""

import pathlib
import re
from typing import Any

from absl import flags
from ml_collections import ConfigDict

from gan2shape_jax import cli, scores
from gan2shape_jax.atomic import writing
from gan2shape_jax.errors import UserError
from gan2shape_jax.methods import METHODS

FLAGS = flags.FLAGS
flags.DEFINE_string("heads", "test:0-7", "Split, first and last head.")
flags.DEFINE_bool("asymmetric", False, "Heads with one-sided shapes.")
flags.DEFINE_bool("fit", True, "Fit the heads; --nofit: predictions only.")


def main(config: ConfigDict, workdir: pathlib.Path) -> None:
  """Makes the heads, measures, prints and draws."""
  from gan2shape_jax import predict, train
  from gan2shape_jax.config import validate
  from gan2shape_jax.synthetic.dataset import write_heads
  from gan2shape_jax.workdir import write_json

  split, first, last = parse_heads(FLAGS.heads)
  asymmetry = "full" if FLAGS.asymmetric else "appearance"
  heads = workdir / "heads" / split / asymmetry
  config = config.copy_and_resolve_references()
  config.data.update(
    {
      "pictures": str(heads / "list.txt"),
      "first": first,
      "count": last + 1 - first,
      "ground_truth": True,
      "mask": "file",
      "latents": "",
      "root": "",
      "crop": 0,
    }
  )
  validate(config)
  with writing(workdir, "--workdir"):
    write_heads(
      heads,
      split=split,
      count=last + 1,
      size=config.image_size,
      asymmetry=asymmetry,
    )
  config.output.export = True  # what is drawn is read from there
  run = train.run if FLAGS.fit else predict.run
  name = f"{split}_{asymmetry}_{first}-{last}"
  folder = workdir / ("fits" if FLAGS.fit else "predictions") / name
  outcome = run(config, folder)
  rows = outcome.rows
  if rows:
    table = scores.summarize(rows)
    print(scores.format_pictures(table, rows))
    picture = draw(config, folder, rows)
    with writing(workdir, "--workdir"):
      write_json(
        workdir / f"evaluation_{name}.json", {"mean": table, "heads": rows}
      )
      picture.save(workdir / f"evaluation_{name}.png")
  cli.conclude(outcome)


def parse_heads(text: str) -> tuple[str, int, int]:
  """Reads "test:0-7" or "test:3".

  Raises:
    UserError: it is neither.
  """
  match = re.fullmatch(r"(train|val|test):(\d+)(?:-(\d+))?", text)
  if not match or int(match[3] or match[2]) < int(match[2]):
    raise UserError(f"--heads={text}: write SPLIT:FIRST-LAST, as in test:0-7")
  return match[1], int(match[2]), int(match[3] or match[2])


def draw(config: ConfigDict, folder: pathlib.Path, rows: dict[str, Any]) -> Any:
  """Input, true normals, and those of prior, prediction and fit, per head.

  Args:
    config: of the run.
    folder: of its results.
    rows: figures of the heads to draw.
  """
  import jax
  import numpy as np

  from gan2shape_jax import programs, results, sheets
  from gan2shape_jax.inputs import load_inputs
  from gan2shape_jax.render.geometry import normals_from_depth
  from gan2shape_jax.workdir import result_folder

  inputs = load_inputs(config, folder)
  system = inputs.system
  normals = jax.jit(lambda depth: normals_from_depth(depth, system.camera))
  tiles, labels = [], []
  for source in inputs.sources:
    name = source.path.stem
    if name not in rows:
      continue
    picture, row = results.to_picture(source), rows[name]
    inside = source.ground_truth.mask[..., None] > 0
    shapes = {
      "truth": source.ground_truth.depth,
      "prior": programs.prior_depth(system)(picture.mask),
    }
    if "predicted_mad" in row:
      view = programs.render_input(system, inputs.pretrained, picture)
      shapes["prediction"] = view.depth
    if FLAGS.fit:
      depth = np.load(result_folder(folder, name) / "depth_input.npy")
      far = system.camera.view_depth_max
      shapes["fit"] = np.nan_to_num(depth, nan=far)
    mads = {
      method: f" {row[prefix + 'mad']:.1f}°"
      for method, prefix in METHODS.items()
      if prefix + "mad" in row
    }
    tiles.append(sheets.to_uint8(source.image))
    labels.append(name)
    for label, depth in shapes.items():
      normal = np.where(inside, np.asarray(normals(depth)), 1.0)
      tiles.append(sheets.to_uint8(normal))
      labels.append(label + mads.get(label, ""))
  columns = 2 * len(tiles) // len(rows)  # two heads side by side
  return sheets.picture_grid(
    sheets.Block("", np.stack(tiles), columns, 128, labels)
  )


if __name__ == "__main__":
  cli.run(main, suffix="_evaluation")
