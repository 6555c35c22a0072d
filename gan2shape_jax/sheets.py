"""Labelled picture grids, contact sheets and animations, drawn with PIL.

Knows pictures, not shapes: pictures come in as uint8 arrays `[n, h, w, 3]`,
sheets leave as PIL images on white. Lengths are in pixels of the sheet.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from PIL import Image, ImageDraw, ImageFont

GAP = 8
MARGIN = 40
LINE = 26
LABEL = 20
INK = (28, 30, 34)
FAINT = (120, 124, 132)
RULE = (222, 224, 228)


@dataclass(frozen=True)
class Block:
  """A titled grid of equal tiles.

  Attributes:
    title: heading above the tiles; "" leaves no room for one.
    pictures: uint8 `[n, h, w, 3]`, filled in reading order.
    columns: tiles per row; the last row may be ragged.
    tile: side of a tile; pictures are resized to it.
    labels: small print above the tiles of the first rows, one per picture; a
      row without labels takes no room for them.
  """

  title: str
  pictures: np.ndarray
  columns: int
  tile: int
  labels: Sequence[str] = ()

  @property
  def width(self) -> int:
    """Width of the block, its right gap not included."""
    columns = min(self.columns, len(self.pictures))
    return columns * (self.tile + GAP) - GAP

  @property
  def height(self) -> int:
    """Height of the block, its lower gap not included."""
    rows = -(-len(self.pictures) // self.columns)
    labelled = -(-len(self.labels) // self.columns)
    title = LINE + GAP if self.title else 0
    return title + rows * (self.tile + GAP) - GAP + labelled * LABEL


def to_uint8(picture: ArrayLike) -> np.ndarray:
  """`[...]` in [-1, 1], clipped, to `[...]` in 0..255; what is NaN to 0."""
  picture = np.nan_to_num(np.asarray(picture), nan=-1.0)
  scaled = (np.clip(picture, -1, 1) + 1) * 127.5
  return np.round(scaled).astype(np.uint8)


def resize(picture: np.ndarray, side: int) -> np.ndarray:
  """uint8 `[h, w, 3]` to `[side, side, 3]`, antialiased when it shrinks."""
  if picture.shape[:2] == (side, side):
    return picture
  image = Image.fromarray(picture)
  return np.asarray(image.resize((side, side), Image.Resampling.BICUBIC))


def picture_grid(block: Block) -> Image.Image:
  """One block alone, with a gap's width of white around it."""
  sheet = _blank(block.width + 2 * GAP, block.height + 2 * GAP)
  _draw_block(sheet, block, GAP, GAP)
  return sheet


def contact_sheet(
  title: str,
  rows: Sequence[Sequence[Block]],
  *,
  figures: Mapping[str, Mapping[str, float]] | None = None,
) -> Image.Image:
  """All blocks on one page under a title, with a table of figures beside it.

  Args:
    title: headline of the page, such as the picture's name.
    rows: blocks that stand side by side, row after row.
    figures: column head -> row head -> number, such as
      `{"fit": {"SIDE": 0.0125}}`; every column has the same row heads.
  """
  widths = [sum(b.width + 3 * GAP for b in row) - 3 * GAP for row in rows]
  heights = [max(b.height for b in row) for row in rows]
  head = 4 * LINE
  sheet = _blank(
    max(widths) + 2 * MARGIN,
    MARGIN + head + sum(h + 3 * GAP for h in heights) - 3 * GAP + MARGIN,
  )
  draw = ImageDraw.Draw(sheet)
  right = sheet.width - MARGIN
  draw.text((MARGIN, MARGIN), title, INK, _font(38), anchor="lt")
  if figures:
    _draw_figures(draw, figures, right, MARGIN - GAP)
  rule = MARGIN + head - 3 * GAP
  draw.line((MARGIN, rule, right, rule), RULE, width=2)
  y = MARGIN + head
  for row, height in zip(rows, heights, strict=True):
    x = MARGIN
    for block in row:
      _draw_block(sheet, block, x, y)
      x += block.width + 3 * GAP
    y += height + 3 * GAP
  return sheet


def animation(frames: np.ndarray, *, swing: bool = False) -> list[Image.Image]:
  """Frames `[n, h, w, 3]` in one common palette, fit for a looping GIF.

  A palette per frame would make flat areas flicker. With `swing` the frames
  are followed by themselves backwards, end frames shown once: `2 n - 2` in
  all, a loop without a jump.
  """
  everything = Image.fromarray(frames.reshape(-1, *frames.shape[2:]))
  palette = everything.quantize(256, Image.Quantize.MEDIANCUT)
  shown = [
    Image.fromarray(frame).quantize(palette=palette, dither=Image.Dither.NONE)
    for frame in frames
  ]
  return shown + shown[-2:0:-1] if swing else shown


def _blank(width: int, height: int) -> Image.Image:
  return Image.new("RGB", (width, height), "white")


def _font(size: int) -> ImageFont.FreeTypeFont:
  return ImageFont.load_default(size)


def _draw_block(sheet: Image.Image, block: Block, left: int, top: int) -> None:
  draw = ImageDraw.Draw(sheet)
  y = top
  if block.title:
    draw.text((left, y), block.title, INK, _font(20), anchor="lt")
    y += LINE + GAP
  for start in range(0, len(block.pictures), block.columns):
    labels = block.labels[start : start + block.columns]
    for column, label in enumerate(labels):
      center = left + column * (block.tile + GAP) + block.tile // 2
      draw.text((center, y), label, FAINT, _font(14), anchor="mt")
    y += LABEL if labels else 0
    for column, picture in enumerate(
      block.pictures[start : start + block.columns]
    ):
      tile = Image.fromarray(resize(picture, block.tile))
      sheet.paste(tile, (left + column * (block.tile + GAP), y))
    y += block.tile + GAP


def _draw_figures(
  draw: ImageDraw.ImageDraw,
  figures: Mapping[str, Mapping[str, float]],
  right: int,
  top: int,
) -> None:
  column, line = 90, 24
  names = list(next(iter(figures.values())))
  left = right - column * len(figures)
  for row, name in enumerate(names, start=1):
    draw.text((left, top + row * line), name, FAINT, _font(18), anchor="rt")
  for index, (head, values) in enumerate(figures.items(), start=1):
    x = left + index * column
    draw.text((x, top), head, FAINT, _font(18), anchor="rt")
    for row, name in enumerate(names, start=1):
      number = f"{values[name]:#.3g}"
      draw.text((x, top + row * line), number, INK, _font(18), anchor="rt")
