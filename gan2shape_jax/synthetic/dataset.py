"""Data sets of synthetic heads on disk: pictures and their exact geometry.

image/000000.png  8-bit RGB, black background
depth/000000.png  16-bit, (1.1 - depth) / 0.2 of full scale, 0 off the head
mask/000000.png   8-bit, 255 on the head
npz/000000.npz    depth, normal, view, light, identity (names in heads.json)
list.txt          one image path per line, relative to the folder
heads.json        what made the folder
"""

import json
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from PIL import Image
from tqdm import tqdm

from gan2shape_jax.atomic import replacing
from gan2shape_jax.errors import UserError
from gan2shape_jax.synthetic import heads, identity

DEPTH_MIN, DEPTH_MAX = 0.9, 1.1  # the range of the 16-bit depth pictures
FOLDERS = ("image", "depth", "mask", "npz")


def write_heads(
  output: Path,
  *,
  split: str,
  count: int,
  size: int,
  seed: int = 0,
  views: int = 1,
  asymmetry: identity.Asymmetry = "appearance",
  batch: int = 32,
) -> None:
  """Writes heads 0 .. count-1 of a split, skipping those already there.

  Args:
    output: folder to fill.
    split: "train", "val" or "test"; they share no identity.
    count: number of pictures.
    size: of the square pictures (pixels).
    seed: of the whole data set.
    views: successive pictures of one identity.
    asymmetry: see `identity.sample_identity`.
    batch: heads per dispatch; the files do not depend on it.

  Raises:
    UserError: the folder holds heads made with other settings.
  """
  if size % heads.TILE:
    raise UserError(f"heads of {size} px: use a multiple of {heads.TILE}")
  settings = {
    "split": split,
    "size": size,
    "seed": seed,
    "views": views,
    "asymmetry": asymmetry,
  }
  _check_settings(output, settings)
  for folder in FOLDERS:
    (output / folder).mkdir(parents=True, exist_ok=True)
  _write_json(output / "heads.json", settings | _provenance(count))
  missing = [
    i for i in range(count) if not (output / f"npz/{i:06d}.npz").exists()
  ]
  with tqdm(total=count, initial=count - len(missing), unit="head") as bar:
    for first in range(0, len(missing), batch):
      todo = missing[first : first + batch]
      # The last batch is filled up so that nothing compiles twice.
      indices = jnp.array(todo + todo[-1:] * (batch - len(todo)))
      samples = _sample_batch(
        seed, split, indices, views=views, size=size, asymmetry=asymmetry
      )
      samples = jax.device_get(samples)
      for place, index in enumerate(todo):
        one = jax.tree.map(lambda a, place=place: a[place], samples)
        _write_sample(output, index, one)
      bar.update(len(todo))
  lines = "".join(f"image/{i:06d}.png\n" for i in range(count))
  _write_text(output / "list.txt", lines)


@partial(
  jax.jit, static_argnames=("seed", "split", "views", "size", "asymmetry")
)
def _sample_batch(seed, split, indices, *, views, size, asymmetry):
  """Heads of an array of indices, one after the other."""

  def one(index):
    who = heads.identity_key(seed, split, index // views)
    how = heads.view_key(seed, split, index)
    return heads.sample_head(who, how, size=size, asymmetry=asymmetry)

  return jax.lax.map(one, indices)


def _write_sample(output: Path, index: int, sample: heads.Sample) -> None:
  """Writes one head's files; the npz comes last and marks it as finished."""
  name = f"{index:06d}"
  rgb = np.rint((sample.image + 1) * 127.5).clip(0, 255).astype(np.uint8)
  Image.fromarray(rgb).save(output / "image" / f"{name}.png")
  near = (DEPTH_MAX - sample.depth) / (DEPTH_MAX - DEPTH_MIN)
  # Value 0 means background, so the head keeps to 1 .. 65535.
  near = np.rint(near * 65535).clip(1, 65535) * sample.mask
  Image.fromarray(near.astype(np.uint16)).save(output / "depth" / f"{name}.png")
  mask = sample.mask.astype(np.uint8) * 255
  Image.fromarray(mask).save(output / "mask" / f"{name}.png")
  light = sample.light
  with replacing(output / "npz" / f"{name}.npz") as part:
    np.savez_compressed(
      part,
      depth=sample.depth,
      normal=sample.normal.astype(np.float16),
      view=sample.view,
      light=np.array([light.ambient, light.diffuse, *light.direction]),
      identity=np.array([sample.identity[n] for n in identity.NAMES]),
    )


def _check_settings(output: Path, settings: dict) -> None:
  path = output / "heads.json"
  if not path.exists():
    return
  before = json.loads(path.read_text())
  if any(before.get(name) != value for name, value in settings.items()):
    raise UserError(
      f"{path}: made with other settings; choose another --output or delete it"
    )


def _provenance(count: int) -> dict:
  return {
    "count": count,
    "made_by": "tools/make_heads.py",
    "jax": jax.__version__,
    "image": "8-bit RGB, 2 * value / 255 - 1 in [-1, 1], background black",
    "depth_png": "16-bit, (1.1 - depth) / 0.2 * 65535, background 0",
    "normal": "camera frame (x right, y down, z forward), inward",
    "view": ["rx", "ry", "rz", "tx", "ty", "tz"],
    "view_units": "radians, scene units; P' = Rz Ry Rx (P - C) + C + t",
    "light": ["ambient", "diffuse", "x", "y", "z"],
    "light_direction": "camera frame; does not turn with the head",
    "identity": list(identity.NAMES),
    "field_of_view": 10.0,
    "rotation_center": [0.0, 0.0, 1.0],
  }


def _write_json(path: Path, content: dict) -> None:
  _write_text(path, json.dumps(content, indent=2))


def _write_text(path: Path, text: str) -> None:
  with replacing(path) as part:
    part.write_text(text)
