"""Picture files: decoding, centre crop, antialiased resize, neighbours.

Whatever belongs to a picture (mask, depth) lies in a sibling of its folder,
has its size, and passes through the same crop and resize. All failures are
`UserError`s that name the file.
"""

from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from gan2shape_jax.errors import UserError


def beside(path: Path, folder: str) -> Path:
  """Returns `path` with its last folder named 'image' replaced by `folder`.

  Only a whole path component counts and only the one nearest to the file
  (docs/differences.md, 17). Without such a component the folder is looked for
  beside the file.
  """
  parts = list(path.parts)
  for i in reversed(range(len(parts) - 1)):
    if parts[i] == "image":
      parts[i] = folder
      return Path(*parts)
  return path.parent / folder / path.name


def open_rgb(path: Path) -> Image.Image:
  """Opens a picture as 8-bit RGB; transparent parts become black."""
  picture = _open(path)
  if picture.mode.startswith("I"):
    grey = np.asarray(_to_unit(picture)) * 255 + 0.5
    picture = Image.fromarray(grey.astype(np.uint8))
  if not picture.has_transparency_data:
    return picture.convert("RGB")
  picture = picture.convert("RGBA")
  black = Image.new("RGBA", picture.size, "black")
  return Image.alpha_composite(black, picture).convert("RGB")


def open_grey(path: Path) -> Image.Image:
  """Opens an 8- or 16-bit picture as float grey in [0, 1].

  Transparent parts are 0. Of a picture that is of one grey where it can be
  seen, an object that was cut out, the opacity is taken.
  """
  picture = _open(path)
  if not picture.has_transparency_data:
    return _to_unit(picture)
  grey, alpha = picture.convert("LA").split()
  grey, opacity = np.asarray(grey), np.asarray(alpha, np.float32) / 255
  visible = grey[opacity > 0]
  if visible.size and visible.min() < visible.max():
    opacity = opacity * grey / 255
  return Image.fromarray(opacity.astype(np.float32))


def crop_and_resize(
  picture: Image.Image, path: Path, *, crop: int | None, image_size: int
) -> Image.Image:
  """Cuts the centre out and resizes it, bilinear and antialiased."""
  width, height = picture.size
  if crop:
    if crop > min(width, height):
      raise UserError(
        f"{path}: {width}x{height} px is smaller than the crop of {crop} px;"
        f" set the crop to {min(width, height)} or less"
      )
    # Halves round to even, as in torchvision's CenterCrop.
    left, top = round((width - crop) / 2), round((height - crop) / 2)
    picture = picture.crop((left, top, left + crop, top + crop))
  elif width != height:
    raise UserError(
      f"{path}: {width}x{height} px is not square; crop it to a square, or set"
      f" the crop to {min(width, height)} or less"
    )
  return picture.resize((image_size, image_size), Image.Resampling.BILINEAR)


def check_same_size(
  picture: Image.Image, path: Path, size: tuple[int, int]
) -> None:
  """Raises a UserError unless a companion has its picture's (w, h)."""
  if picture.size != size:
    raise UserError(
      f"{path}: is {picture.width}x{picture.height} px but its picture is"
      f" {size[0]}x{size[1]} px; save it in the picture's size"
    )


def _open(path: Path) -> Image.Image:
  """Opens and decodes a picture, upright; of any mode."""
  try:
    with Image.open(path) as picture:
      picture.load()
      return ImageOps.exif_transpose(picture)
  except FileNotFoundError as error:
    raise UserError(f"{path}: does not exist; correct the path") from error
  except (
    OSError,
    SyntaxError,  # raised for broken PNG chunks
    ValueError,
    Image.DecompressionBombError,
  ) as error:
    raise UserError(
      f"{path}: cannot be read as a picture ({one_line(error)}); save it anew"
      " as PNG or JPEG"
    ) from error


def _to_unit(picture: Image.Image) -> Image.Image:
  # PIL calls 16-bit grey 'I;16' or, in older versions, 'I'.
  if picture.mode.startswith("I"):
    return Image.fromarray(np.asarray(picture, np.float32) / 65535)
  return Image.fromarray(np.asarray(picture.convert("L"), np.float32) / 255)


def one_line(error: BaseException) -> str:
  """Returns the message of an error without line breaks, never empty."""
  return " ".join(str(error).split()) or type(error).__name__
