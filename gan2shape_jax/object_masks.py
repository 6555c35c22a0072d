"""Object masks that a parsing network finds, kept in the folder of the run.

  NAME.png        the object's share of each pixel, at the size of the run
  made_from.json  the settings that they belong to; under others, they are made
                  anew

A mask that is there is used as it is, so that one may mend it by hand.
"""

import dataclasses
import functools
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict
from PIL import Image

from gan2shape_jax import hosts
from gan2shape_jax.atomic import replacing, writing
from gan2shape_jax.data import SourcePicture
from gan2shape_jax.errors import UserError
from gan2shape_jax.image_files import open_grey
from gan2shape_jax.parsing import MaskRule, load_parser, object_mask
from gan2shape_jax.report import Progress
from gan2shape_jax.workdir import read_json, write_json

_NOTHING = 0.5  # A mask without a value from here on shows no object.


def with_masks(
  config: ConfigDict, folder: pathlib.Path, sources: list[SourcePicture]
) -> tuple[list[SourcePicture], dict[str, str]]:
  """The pictures with the masks that the configuration asks for.

  Those of `data.mask = "parse"` are looked up in the folder or found now;
  others came with the pictures.

  Returns:
    The pictures that show an object; what is wrong with the others, by name.

  Raises:
    UserError: the network cannot be read, a mask that was mended has another
      size, or the folder cannot be written.
  """
  if config.data.mask != "parse":
    return sources, {}
  params = load_parser(config.weights.parsing, config.parsing.network)
  prepare = functools.partial(_prepare, folder, config)
  hosts.in_order(f"prepare {folder.name}", prepare)
  paths = [folder / f"{source.path.stem}.png" for source in sources]
  missing = [
    (source, path)
    for source, path in zip(sources, paths, strict=True)
    if not path.exists()
  ]
  if missing:
    _parse(config, params, missing)
  found, failed = [], {}
  for source, path in zip(sources, paths, strict=True):
    mask = open_grey(path)
    if mask.size != (config.image_size,) * 2:
      raise UserError(
        f"{path}: is {mask.width}x{mask.height} px; save it with"
        f" {config.image_size}x{config.image_size} px, or delete it"
      )
    mask = np.asarray(mask, np.float32)
    if mask.max() < _NOTHING:
      failed[source.path.stem] = (
        f"{source.path}: {config.weights.parsing} sees no object there; leave"
        f" the picture out, or paint {path} white on the object"
      )
    else:
      found.append(dataclasses.replace(source, mask=mask))
  return found, failed


def _prepare(folder, config):
  """Makes the folder; removes masks that other settings led to."""
  settings = {
    "pictures": config.data.pictures,
    "root": config.data.root,
    "crop": config.data.crop,
    "image_size": config.image_size,
    "weights": config.weights.parsing,
    "network": config.parsing.network,
    "whole": list(config.parsing.whole),
    "half": list(config.parsing.half),
    "normalize": config.parsing.normalize,
  }
  note = folder / "made_from.json"
  if note.exists() and read_json(note) == settings:
    return
  with writing(folder, "--workdir"):
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.glob("*.png"):
      path.unlink()
    write_json(note, settings)


def _parse(config, params, missing):
  rule = MaskRule(
    config.parsing.network,
    whole=config.parsing.whole,
    half=config.parsing.half,
    normalize=config.parsing.normalize,
  )
  find = jax.jit(functools.partial(object_mask, rule=rule))
  with Progress(len(missing), active=hosts.is_first()) as progress:
    for index, (source, path) in enumerate(missing):
      progress.update(index, label=f"{source.path.stem}: mask")
      mask = find(params, jnp.asarray(source.image))
      with writing(path, "--workdir"), replacing(path) as part:
        picture = Image.fromarray(np.uint8(np.rint(255 * np.asarray(mask))))
        picture.save(part, format="PNG")
    progress.update(len(missing))
