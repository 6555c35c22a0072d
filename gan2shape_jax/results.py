"""What a run writes about its pictures: figures, stages, files.

Stage files of a task (`<workdir>/results/<task>/stages/`):

  inversion.png   pictures, and the GAN's renditions of their latents
  K.png           after stage K, a row per picture: picture, reconstruction,
                  normals, clay
  K.json          after stage K: see `report_stage`
"""

import math
import pathlib
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from ml_collections import ConfigDict
from PIL import Image

from gan2shape_jax import diagnostics, programs, sheets
from gan2shape_jax.data import SourcePicture
from gan2shape_jax.export import export_picture
from gan2shape_jax.methods import ERRORS, FIGURES, METHODS
from gan2shape_jax.system import System
from gan2shape_jax.types import GroundTruth, Picture, Reconstruction
from gan2shape_jax.workdir import read_json, write_json

Params = dict[str, Any]
Row = dict[str, float]

_SHOWN = 8  # pictures in the sheet of a stage
_FOLLOWED = 16  # pictures, and
_BATCHES = 4  # batches of samples of each, that diagnostics are made from


class Stage(NamedTuple):
  """What a stage came to.

  Attributes:
    figures: see `report_stage`.
    preview: in [-1, 1], a row per picture: see the top of this file.
  """

  figures: Row
  preview: Float[np.ndarray, "h w 3"]


def figures(
  system: System,
  params: Params,
  picture: Picture,
  truth: GroundTruth | None,
  *,
  pretrained: Params,
) -> Row:
  """SIDE and MAD of all methods, under the prefixes of `methods.METHODS`.

  {} without truth.

  Args:
    system: the fixed parts of the run.
    params: of the fit; {} if there was none.
    picture: whose shape it is.
    truth: its true shape.
    pretrained: networks that were trained before; they predict if all are.
  """
  if truth is None:
    return {}
  everywhere = jnp.ones_like(picture.mask)
  flat = jnp.full_like(picture.mask, system.camera.rotation_center)
  prior = programs.prior_depth(system)(picture.mask)
  found = {
    "flat": programs.compare(flat, everywhere, truth, system.camera),
    "prior": programs.compare(prior, everywhere, truth, system.camera),
  }
  for method, networks in {"prediction": pretrained, "fit": params}.items():
    if networks.keys() == set(system.networks._fields):
      found[method] = programs.evaluate(system, networks, picture, truth)
  return {
    METHODS[method] + name: float(errors[name])
    for method, errors in found.items()
    for name in FIGURES
  }


def report_stage(
  path: pathlib.Path,
  system: System,
  frozen: Params,
  params: Params,
  pictures: list[Picture],
  canonical: list[Reconstruction],
  truths: list[GroundTruth | None],
  heldout: list[SourcePicture],
) -> Stage:
  """Writes the picture and the numbers of a stage.

  Args:
    path: of both files, without their endings.
    system: the fixed parts of the run.
    frozen: the weights that nobody trains.
    params: of the networks at the end of the stage.
    pictures: that were fitted.
    canonical: what the samples of the stage are renderings of.
    truths: their true shapes, where known.
    heldout: pictures with true depth that were not fitted.

  Returns:
    The same. The numbers: see `diagnostics.summarize`; `depth_variety`, if
    there are several pictures, of their canonical depths
    (`diagnostics.variety`); `side` and `mad`, means over the pictures with true
    depth; `heldout_side` and `heldout_mad`, of predictions.
  """
  preview = np.concatenate(
    [programs.preview(system, params, p) for p in pictures[:_SHOWN]]
  )
  save_image(path.with_suffix(".png"), preview)

  row = _follow(system, frozen, params, pictures, canonical)
  known = [
    (picture, truth)
    for picture, truth in zip(pictures, truths, strict=True)
    if truth is not None
  ]
  unseen = [
    (to_picture(source), source.ground_truth)
    for source in heldout
    if source.ground_truth is not None
  ]
  for prefix, pairs in (("", known), ("heldout_", unseen)):
    errors = [
      programs.evaluate(system, params, picture, truth)
      for picture, truth in pairs
    ]
    for name in ERRORS if errors else ():
      row[prefix + name] = float(np.mean([error[name] for error in errors]))
  write_json(path.with_suffix(".json"), row)
  return Stage(row, preview)


def _follow(system, frozen, params, pictures, canonical) -> Row:
  """Diagnostics of some of the pictures, evenly taken from all of them."""
  count = len(pictures)
  chosen = np.unique(np.linspace(0, count - 1, _FOLLOWED).astype(int))
  parts = []
  for i in chosen:
    data = programs.prepare_project(system)(frozen, pictures[i], canonical[i])
    for batch in range(_BATCHES):
      key = jax.random.fold_in(jax.random.key(i), batch)
      parts.append(diagnostics.follow(system, params, frozen, data, key))
  joined = jax.tree.map(lambda *x: np.concatenate(x), *parts)
  row = diagnostics.summarize(joined)
  if len(chosen) > 1:
    depths = np.stack([canonical[i].depth for i in chosen])
    row["depth_variety"] = diagnostics.variety(depths)
  return row


def read_stages(workdir: pathlib.Path) -> dict[str, dict[str, Row]]:
  """The numbers of all stages: by task, then by stage."""
  found = {}
  for path in sorted(workdir.glob("results/*/stages/*.json")):
    found.setdefault(path.parent.parent.name, {})[path.stem] = read_json(path)
  return found


def to_picture(
  source: SourcePicture,
  *,
  latent: Float[Array | np.ndarray, "layers channels"] | None = None,
  gan_image: Float[Array, "h w 3"] | None = None,
) -> Picture:
  """A picture for programs; predictions need no latent and no GAN's image."""
  image = jnp.asarray(source.image)
  return Picture(
    image=image,
    mask=jnp.asarray(source.mask),
    latent=jnp.zeros((0, 0)) if latent is None else jnp.asarray(latent),
    gan_image=image if gan_image is None else gan_image,
  )


def show_inversion(folder: pathlib.Path, pictures: list[Picture]) -> None:
  """Writes the pictures beside the GAN's renditions of their latents."""
  rows = [
    np.concatenate([picture.image, picture.gan_image], axis=1)
    for picture in pictures[:_SHOWN]
  ]
  save_image(folder / "inversion.png", np.concatenate(rows))


def export(
  config: ConfigDict,
  folder: pathlib.Path,
  name: str,
  system: System,
  picture: Picture,
  params: Params,
  row: Row,
  frozen: Params | None = None,
) -> None:
  """Writes the files of `export.py`; by the GAN too if `frozen` is given."""
  reconstruction = programs.reconstruct(system)(params, picture)
  project = None
  if frozen is not None:
    project = partial(
      programs.project,
      system,
      params,
      frozen,
      programs.prepare_project(system)(frozen, picture, reconstruction),
    )
  if not config.output.mask:
    reconstruction = reconstruction.replace(mask=None)
  export_picture(
    folder,
    name,
    picture.image,
    reconstruction,
    system.camera,
    max_yaw=math.radians(config.output.max_yaw),
    max_pitch=math.radians(config.output.max_pitch),
    alpha=config.light.alpha,
    size=config.output.frame_size,
    project=project,
    figures={
      method: {error.upper(): row[prefix + error] for error in ERRORS}
      for method, prefix in METHODS.items()
      if prefix + "side" in row
    }
    or None,
  )


def save_image(path: pathlib.Path, image: Any) -> None:
  """Writes an image in [-1, 1]; makes its folder when missing."""
  path.parent.mkdir(parents=True, exist_ok=True)
  Image.fromarray(sheets.to_uint8(image)).save(path)
