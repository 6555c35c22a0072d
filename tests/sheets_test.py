"""Sheets: where every tile lands, and that loops close."""

import numpy as np
import pytest

from gan2shape_jax import sheets


def _plain(*colors):
  return np.stack([np.full((4, 4, 3), color, np.uint8) for color in colors])


def test_to_uint8_covers_the_range_and_clips():
  values = np.array([-3.0, -1.0, 0.0, 1.0, 2.0])
  np.testing.assert_array_equal(sheets.to_uint8(values), [0, 0, 128, 255, 255])
  assert sheets.to_uint8([float("nan")]) == 0


@pytest.mark.parametrize("labels", [(), ("a", "b")])
@pytest.mark.parametrize("title", ["", "title"])
def test_grid_places_every_picture_in_reading_order(title, labels):
  colors = [(200, 0, 0), (0, 200, 0), (0, 0, 200), (90, 90, 0), (0, 90, 90)]
  block = sheets.Block(title, _plain(*colors), 2, 10, labels)
  page = np.asarray(sheets.picture_grid(block))
  corners = []
  for color in colors:
    where = np.argwhere((page == color).all(-1))
    np.testing.assert_array_equal(
      where.max(0) - where.min(0), (9, 9), err_msg=str(color)
    )
    assert len(where) == 100
    corners.append(where.min(0))
  rows, columns = np.transpose(corners)
  np.testing.assert_array_equal(columns == columns[0], [1, 0, 1, 0, 1])
  assert rows[0] == rows[1] < rows[2] == rows[3] < rows[4]
  assert page.shape == (block.height + 16, block.width + 16, 3)
  assert (page[-8:] == 255).all()
  assert (page[-9, 8] == colors[-1]).all()  # the block's height is exact


def test_labels_and_title_are_drawn_above_the_tiles():
  block = sheets.Block("Title", _plain((255, 255, 255)), 1, 80, ("label",))
  page = np.asarray(sheets.picture_grid(block)).min(-1)
  inked = np.flatnonzero((page < 250).any(1))
  assert inked.min() >= sheets.GAP
  assert inked.max() < sheets.GAP + block.height - 80
  assert (page < 100).any()


def test_contact_sheet_holds_all_blocks_without_overlap():
  colors = [(250, 0, 0), (0, 250, 0), (0, 0, 250)]
  blocks = [sheets.Block("b", _plain(color), 1, 60) for color in colors]
  figures = {
    "flat": {"SIDE": 0.0167, "MAD": 40.8},
    "fit": {"SIDE": 1, "MAD": 2},
  }
  bare = np.asarray(sheets.contact_sheet("t", [blocks[:2], blocks[2:]]))
  page = np.asarray(
    sheets.contact_sheet("t", [blocks[:2], blocks[2:]], figures=figures)
  )
  for color in colors:
    assert (page == color).all(-1).sum() == 3600
  assert page.shape == bare.shape
  difference = np.argwhere((page != bare).any(-1))
  first_tile = np.argwhere((page == colors[0]).all(-1)).min(0)
  assert len(difference) > 0 and difference[:, 0].max() < first_tile[0]


def test_swing_plays_backwards_without_repeating_the_ends():
  frames = _plain((10, 10, 10), (90, 90, 90), (160, 160, 160), (250, 250, 250))
  shown = sheets.animation(frames, swing=True)
  levels = [np.asarray(f.convert("RGB"))[0, 0, 0] for f in shown]
  np.testing.assert_allclose(levels, [10, 90, 160, 250, 160, 90], atol=4)
  assert len(sheets.animation(frames)) == 4
  assert all(f.getpalette() == shown[0].getpalette() for f in shown)


def test_resize_antialiases():
  stripes = np.zeros((64, 64, 3), np.uint8)
  stripes[:, ::2] = 255
  np.testing.assert_allclose(
    sheets.resize(stripes, 16)[4:-4, 4:-4], 128, atol=3
  )
