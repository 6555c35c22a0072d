"""Masks that a parsing network finds, looked up a second time."""

import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from configs import tiny
from gan2shape_jax import object_masks, parsing
from gan2shape_jax.data import SourcePicture
from gan2shape_jax.errors import UserError
from gan2shape_jax.object_masks import with_masks


@pytest.fixture
def parsed(monkeypatch):
  """A parser that sees class 1 where red is over 0; counts its pictures."""
  seen = []

  def apply(params, image):
    jax.debug.callback(lambda: seen.append(image.shape))
    return jax.nn.one_hot((image[..., 0] > 0).astype(int), 19)

  parser = types.SimpleNamespace(classes=19, image_size=8, apply=apply)
  monkeypatch.setattr(parsing, "PARSERS", {"bisenet": parser})
  monkeypatch.setattr(object_masks, "load_parser", lambda *_: {})
  return seen


def make_config(**fields):
  config = tiny.get_config()
  config.update_from_flattened_dict(
    {"data.mask": "parse", "parsing.whole": (1,), "image_size": 8, **fields}
  )
  return config


def source(tmp_path, name, red):
  image = np.full((8, 8, 3), -1, np.float32)
  image[:, 4:, 0] = red
  ones = np.ones((8, 8), np.float32)
  return SourcePicture(tmp_path / f"{name}.png", image, ones, 8)


def test_masks_are_found_once(tmp_path, parsed):
  pictures = [source(tmp_path, name, 1.0) for name in "ab"]
  first, _ = with_masks(make_config(), tmp_path, pictures)
  expected = np.tile([0, 0, 0, 0, 1, 1, 1, 1], (8, 1))
  for picture in first:
    np.testing.assert_array_equal(picture.mask, expected)
  jax.effects_barrier()
  assert len(parsed) == 2
  Image.new("L", (8, 8), 255).save(tmp_path / "b.png")  # by hand
  again, _ = with_masks(make_config(), tmp_path, pictures)
  np.testing.assert_array_equal(again[0].mask, expected)
  np.testing.assert_array_equal(again[1].mask, 1)
  assert len(parsed) == 2


def test_a_mask_by_hand_has_the_size_of_the_run(tmp_path, parsed):
  pictures = [source(tmp_path, "a", 1.0)]
  with_masks(make_config(), tmp_path, pictures)
  Image.new("L", (16, 8), 255).save(tmp_path / "a.png")
  with pytest.raises(UserError, match=r"a\.png: is 16x8 px; save it with 8x8"):
    with_masks(make_config(), tmp_path, pictures)


def test_other_settings_need_other_masks(tmp_path, parsed):
  pictures = [source(tmp_path, "a", 1.0)]
  with_masks(make_config(), tmp_path, pictures)
  half = make_config(**{"parsing.whole": (2,), "parsing.half": (1,)})
  ((picture,), _) = with_masks(half, tmp_path, pictures)
  np.testing.assert_allclose(picture.mask[:, 4:], 0.5, atol=0.003)


def test_pictures_without_an_object_are_left_out(tmp_path, parsed):
  reds = {"a": -1.0, "b": 1.0, "c": -1.0}
  pictures = [source(tmp_path, name, red) for name, red in reds.items()]
  found, failed = with_masks(make_config(), tmp_path, pictures)
  assert [picture.path.stem for picture in found] == ["b"]
  assert set(failed) == {"a", "c"} and "a.png white" in failed["a"]


def test_masks_of_other_kinds_stay(tmp_path):
  pictures = [source(tmp_path, "a", jnp.nan)]
  config = make_config(**{"data.mask": "full"})
  assert with_masks(config, tmp_path / "masks", pictures) == (pictures, {})
  assert not (tmp_path / "masks").exists()
