"""Pictures, masks, latents and true depth: from files to numpy arrays.

Layout of a data set (only the pictures are required):

  list.txt            first word of each line: a picture, relative to the list
  image/NAME.png      or .jpg
  mask/NAME.png       white on the object; NAME_mask.png beside the picture
                      does as well
  depth/NAME.png      8 or 16 bit grey, 0 = background, full scale = nearest
  latents/NAME.npy    or .npz, .safetensors

Everything that is read for a picture passes through the same centre crop and
the same antialiased resize. Images are float32 in [-1, 1], masks float32 in
[0, 1], depth in scene units. This module does IO and therefore numpy only.
"""

import dataclasses
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from jaxtyping import Float
from safetensors import SafetensorError
from safetensors.numpy import load_file

from gan2shape_jax.errors import UserError
from gan2shape_jax.image_files import (
  beside,
  check_same_size,
  crop_and_resize,
  one_line,
  open_grey,
  open_rgb,
)
from gan2shape_jax.masks import load_mask
from gan2shape_jax.types import GroundTruth

PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg")
LATENT_SUFFIXES = (".npy", ".npz", ".safetensors")
_MAX_NAMED = 20  # problems that one message spells out


@dataclasses.dataclass(frozen=True)
class SourcePicture:
  """One picture as read from files, before a GAN has seen it.

  Attributes:
    path: the picture's file; `path.stem` names its results.
    number: its place among the pictures that were chosen from the list; keys
      of its fit are drawn by it.
    image: float32 in [-1, 1].
    mask: the object's share of each pixel, in [0, 1].
    source_size: width of the file in px before the crop, to which the GAN's
      renditions are resized before they are cropped alike.
    latent: W+ latent, or None where it has to be found by inversion.
    ground_truth: true depth, or None.
  """

  path: Path
  image: Float[np.ndarray, "h w 3"]
  mask: Float[np.ndarray, "h w"]
  source_size: int
  number: int = 0
  latent: Float[np.ndarray, "layers channels"] | None = None
  ground_truth: GroundTruth | None = None


def list_pictures(
  source: str | Path, *, root: str | Path | None = None
) -> list[Path]:
  """Returns the pictures that `source` names, in order.

  Args:
    source: a picture, a folder of pictures (sorted by name), or a list file:
      the first word of each line is a path relative to `root`.
    root: folder; the list's own if None.

  Raises:
    UserError: nothing there, missing entries (all are named), or two pictures
      of one name, whose results would overwrite each other.
  """
  source = Path(source)
  if source.is_dir():
    paths = sorted(p for p in source.iterdir() if _is_picture(p))
    if not paths:
      raise UserError(f"{source}: holds no PNG or JPEG pictures; name another")
  elif source.suffix.lower() in PICTURE_SUFFIXES:
    paths = [source]
  else:
    paths = _read_list(source, source.parent if root is None else Path(root))
  missing = [str(p) for p in paths if not p.is_file()]
  if missing:
    raise UserError(
      f"{source}: {len(missing)} of {len(paths)} pictures do not exist;"
      f" correct their paths: {_enumerate(missing, ', ')}"
    )
  names = Counter(p.stem for p in paths)
  repeated = [name for name, count in names.items() if count > 1]
  if repeated:
    raise UserError(
      f"{source}: results are kept by file name, rename the pictures that"
      f" share one: {_enumerate(repeated, ', ')}"
    )
  return paths


def load_pictures(paths: Sequence[Path], **options) -> list[SourcePicture]:
  """Loads several pictures with the options of `load_picture`.

  Raises:
    UserError: what is wrong with each of the pictures, in one message.
  """
  pictures, problems = [], []
  for path in paths:
    try:
      pictures.append(load_picture(path, **options))
    except UserError as error:
      problems.append(str(error))
  if problems:
    raise UserError(_enumerate(problems, "; "))
  return pictures


def load_picture(
  path: str | Path,
  *,
  image_size: int,
  n_latent: int,
  latent_size: int,
  number: int = 0,
  crop: int | None = None,
  mask: str = "full",
  latents: str | Path | None = None,
  ground_truth: bool = False,
  depth_min: float = 0.9,
  depth_max: float = 1.1,
) -> SourcePicture:
  """Loads a picture and all that belongs to it.

  Args:
    path: PNG or JPEG file.
    image_size: px, side of the arrays.
    n_latent: rows of a W+ latent of the GAN in use.
    latent_size: channels of such a row.
    number: of the picture, passed on.
    crop: px, side of the centre square that is cut out first; 0 or None: none.
    mask: 'file' (see `masks.find_mask`), 'background' (see
      `masks.background_mask`) or 'full' (the whole picture is the object).
    latents: folder of latents; None leaves the latent to inversion. Pictures
      without a file in the folder have latent None as well.
    ground_truth: whether to read the true depth; it must be there then.
    depth_min: scene units, of the largest value of a depth picture.
    depth_max: scene units, of its background.

  Raises:
    UserError: naming the file at fault and the remedy.
  """
  path = Path(path)
  picture = open_rgb(path)
  sizes = {"crop": crop, "image_size": image_size}
  resized = crop_and_resize(picture, path, **sizes)
  return SourcePicture(
    path=path,
    image=np.asarray(resized, np.float32) / 127.5 - 1,
    mask=load_mask(picture, path, source=mask, **sizes),
    source_size=picture.width,
    number=number,
    latent=None
    if latents is None
    else load_latent(
      Path(latents), path.stem, n_latent=n_latent, latent_size=latent_size
    ),
    ground_truth=load_ground_truth(
      path, picture.size, depth_min=depth_min, depth_max=depth_max, **sizes
    )
    if ground_truth
    else None,
  )


def load_ground_truth(
  path: Path,
  size: tuple[int, int],
  *,
  image_size: int,
  crop: int | None = None,
  depth_min: float = 0.9,
  depth_max: float = 1.1,
) -> GroundTruth:
  """Loads the true depth of a picture from the folder `depth`.

  A value p in [0, 1] of full scale means depth_max - p (depth_max - depth_min);
  0 is background. The mask is 1 wherever the resized value is not background,
  as in the reference, so that its rim still blends with the background until
  the metrics erode it.

  Args:
    path: the picture's file.
    size: width and height of the picture, which the depth has to share.
    image_size: px, side of the result.
    crop: px, as for the picture.
    depth_min: scene units, of full scale.
    depth_max: scene units, of the background.

  Raises:
    UserError: missing or corrupt file, another size, or only background.
  """
  depth_path = beside(path, "depth").with_suffix(".png")
  if not depth_path.is_file():
    raise UserError(
      f"{path}: its true depth {depth_path} is missing; provide it or turn the"
      " ground truth off"
    )
  scaled = open_grey(depth_path)
  check_same_size(scaled, depth_path, size)
  scaled = crop_and_resize(scaled, depth_path, crop=crop, image_size=image_size)
  nearness = np.asarray(scaled, np.float32)
  if not nearness.any():
    raise UserError(f"{depth_path}: is all background; provide another depth")
  return GroundTruth(
    depth=depth_max - nearness * np.float32(depth_max - depth_min),
    mask=(nearness > 0).astype(np.float32),
  )


def load_latent(
  folder: Path, name: str, *, n_latent: int, latent_size: int
) -> Float[np.ndarray, "layers channels"] | None:
  """Loads the latent of a picture, or returns None if the folder has none.

  Archives hold one array, or the latent under the key 'latent'. Pickles are
  never read.

  Raises:
    UserError: no such folder, corrupt file, shape of another GAN, or a file of
      PyTorch that was not converted.
  """
  if not folder.is_dir():
    raise UserError(f"{folder}: no such folder of latents; correct its path")
  paths = [folder / (name + suffix) for suffix in LATENT_SUFFIXES]
  path = next((p for p in paths if p.is_file()), None)
  if path is None:
    foreign = folder / f"{name}.pt"
    if foreign.is_file():
      raise UserError(
        f"{foreign}: is a file of PyTorch; convert it"
        " (tools/convert_release.py), or remove it to have the picture inverted"
      )
    return None
  try:
    if path.suffix == ".safetensors":
      content = load_file(path)
    else:
      content = np.load(path, allow_pickle=False)
      if path.suffix == ".npz":
        content = dict(content)
    if isinstance(content, dict):
      (only,) = content if len(content) == 1 else ("latent",)
      content = content[only]
    latent = as_w_plus(content, n_latent)
    if latent.shape[-1] != latent_size:
      raise ValueError(f"{latent.shape[-1]} channels instead of {latent_size}")
    if not np.isfinite(latent).all():
      raise ValueError("values that are not finite")
  except (
    OSError,
    EOFError,
    KeyError,
    ValueError,
    BadZipFile,
    SafetensorError,
  ) as error:
    raise UserError(
      f"{path}: not a latent of this GAN ({one_line(error)}); remove the file"
      " to have the picture inverted"
    ) from error
  return latent


def as_w_plus(
  latent: Float[np.ndarray, "..."], n_latent: int
) -> Float[np.ndarray, "{n_latent} channels"]:
  """Returns a latent of any customary shape as one row for each layer.

  Args:
    latent: (c,), (1, c), (n, c) or (1, n, c); one row serves all layers.
    n_latent: layers of the generator.

  Raises:
    ValueError: any other shape.
  """
  rows = np.asarray(latent, np.float32)
  if rows.ndim == 3 and rows.shape[0] == 1:
    rows = rows[0]
  if rows.ndim == 1:
    rows = rows[None]
  if rows.ndim != 2 or rows.shape[0] not in (1, n_latent):
    raise ValueError(
      f"shape {np.shape(latent)} is neither one latent nor {n_latent} of them"
    )
  return np.tile(rows, (n_latent // rows.shape[0], 1))


def _is_picture(path: Path) -> bool:
  return (
    path.suffix.lower() in PICTURE_SUFFIXES
    and not path.stem.endswith("_mask")
    and path.is_file()
  )


def _read_list(source: Path, root: Path) -> list[Path]:
  try:
    lines = source.read_text(encoding="utf-8-sig").splitlines()
  except FileNotFoundError as error:
    raise UserError(
      f"{source}: does not exist; name a picture, a folder or a list file"
    ) from error
  except (OSError, UnicodeDecodeError) as error:
    raise UserError(
      f"{source}: is not a list of pictures ({one_line(error)}); name a"
      " picture, a folder or a text file"
    ) from error
  entries = [line.split()[0] for line in lines if line.strip()]
  if not entries:
    raise UserError(f"{source}: names no pictures; add one on each line")
  return [root / entry for entry in entries]


def _enumerate(problems: list[str], separator: str) -> str:
  named = problems[:_MAX_NAMED]
  if len(problems) > _MAX_NAMED:
    named.append(f"and {len(problems) - _MAX_NAMED} more")
  return separator.join(named)
