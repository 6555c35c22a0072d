"""Parsing networks and the masks that are made of their classes."""

import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import release_weights

from gan2shape_jax import parsing
from gan2shape_jax.convert.bisenet import convert_bisenet
from gan2shape_jax.convert.pspnet import convert_pspnet
from gan2shape_jax.models.bisenet import BiSeNet, init_bisenet
from gan2shape_jax.models.frozen import block_means
from gan2shape_jax.models.pspnet import PSPNet, init_pspnet
from gan2shape_jax.parsing import MaskRule, Parser, object_mask


def picture(seed, h, w):
  return jax.random.uniform(jax.random.key(seed), (h, w, 3), minval=-1)


# --- Networks -----------------------------------------------------------------


@pytest.mark.parametrize(
  "module, params, size",
  [
    (
      BiSeNet(5, 8),
      lambda key: init_bisenet(key, classes=5, width=8),
      (32, 64),
    ),
    (PSPNet(7, 8), lambda key: init_pspnet(key, classes=7, width=8), (41, 89)),
  ],
  ids=["bisenet", "pspnet"],
)
def test_random_networks_tell_pixels_apart(module, params, size):
  params, image = params(jax.random.key(0)), picture(1, *size)
  logits = jax.jit(module.apply)({"params": params}, image)
  assert logits.shape == (*size, module.classes)
  assert jnp.isfinite(logits).all()
  assert len(np.unique(jnp.argmax(logits, -1))) > 1
  other = jax.jit(module.apply)({"params": params}, -image)
  assert not jnp.allclose(logits, other)


def test_the_pyramid_needs_a_map_that_splits():
  with pytest.raises(ValueError, match="8 x 8 does not split by 3"):
    block_means(jnp.zeros((8, 8, 2)), 3)


@pytest.mark.parametrize("name", parsing.PARSERS)
def test_parameters_of_the_published_networks(name):
  """Counted in the originals, with what only training uses left out."""
  parser = parsing.PARSERS[name]
  shapes = jax.eval_shape(parser.init, jax.random.key(0))
  trained = [
    leaf.size
    for path, leaf in jax.tree.leaves_with_path(shapes)
    if path[-1].key not in ("mean", "variance")
  ]
  # BiSeNet's two other heads: 128 -> 64 (3x3), norm, 64 -> 19.
  unused = 2 * (128 * 64 * 9 + 2 * 64 + 64 * 19)
  expected = {
    "bisenet": 13_300_416 - unused,
    "pspnet_voc": 46_716_373,
    "pspnet_ade20k": 46_782_550,
  }
  assert sum(trained) == expected[name]


def torch_logits(module, tensors, image):
  from golden import torch_perception

  module = torch_perception.load(module, tensors)
  images = np.array(image).transpose(2, 0, 1)[None]
  import torch

  return module(torch.tensor(images))[0].permute(1, 2, 0).numpy()


def test_bisenet_equals_pytorchs():
  pytest.importorskip("torch")
  from golden.torch_perception import BiSeNet as Theirs

  sizes = {"classes": 6, "width": 8}
  tensors = release_weights.bisenet_tensors(**sizes)
  image = picture(0, 96, 64)
  logits = jax.jit(BiSeNet(**sizes).apply)(
    {"params": convert_bisenet(tensors)}, image
  )
  expected = torch_logits(Theirs(**sizes), tensors, image)
  np.testing.assert_allclose(
    logits, expected, atol=1e-5 * np.abs(expected).max()
  )


def test_pspnet_equals_pytorchs():
  pytest.importorskip("torch")
  from golden.torch_perception import PSPNet as Theirs

  sizes = {"classes": 6, "width": 8}
  tensors = release_weights.pspnet_tensors(**sizes)
  image = picture(0, 89, 41)
  logits = jax.jit(PSPNet(**sizes).apply)(
    {"params": convert_pspnet(tensors)}, image
  )
  theirs = {
    name.removeprefix("module."): tensor
    for name, tensor in tensors.items()
    if "aux." not in name
  }
  expected = torch_logits(Theirs(**sizes), theirs, image)
  np.testing.assert_allclose(
    logits, expected, atol=1e-5 * np.abs(expected).max()
  )


# --- Masks --------------------------------------------------------------------


@pytest.fixture
def threshold_parser(monkeypatch):
  """Class 2 where red is over 0, class 1 where green is, else 0."""

  def apply(params, image):
    assert image.shape == (8, 8, 3)
    red, green = image[..., 0] > 0, image[..., 1] > 0
    classes = jnp.where(red, 2, jnp.where(green, 1, 0))
    return jax.nn.one_hot(classes, 4)

  parser = types.SimpleNamespace(classes=4, image_size=8, apply=apply)
  monkeypatch.setattr(parsing, "PARSERS", {"threshold": parser})


def test_a_mask_is_the_share_of_the_enlarged_pixels(threshold_parser):
  red = jnp.array([-1.0, -0.2, 1.0, 1.0])
  image = jnp.full((4, 4, 3), -1.0).at[..., 0].set(red)
  mask = object_mask({}, image, MaskRule("threshold", whole=(2,)))
  # Enlarged, the row is -1, -0.8, -0.4, 0.1, 0.7, 1, 1, 1.
  np.testing.assert_array_equal(mask, np.tile([0, 0.5, 1, 1], (4, 1)))


def test_classes_may_count_half_or_not(threshold_parser):
  image = jnp.full((8, 8, 3), -1.0)
  image = image.at[:4, :, 0].set(1.0).at[4:6, :, 1].set(1.0)
  mask = object_mask({}, image, MaskRule("threshold", (2, 3), half=(1,)))
  expected = np.repeat([1, 1, 1, 1, 0.5, 0.5, 0, 0], 8).reshape(8, 8)
  np.testing.assert_array_equal(mask, expected)


def test_normalised_pictures_are_imagenets(threshold_parser):
  # Red is standardised to 0 at 0.485 of [0, 1], which is -0.03.
  image = jnp.full((4, 4, 3), -1.0).at[:, :2, 0].set(-0.02)
  image = image.at[:, 2:, 0].set(-0.04)
  rule = MaskRule("threshold", whole=(2,), normalize=True)
  raw = MaskRule("threshold", whole=(2,))
  expected = np.tile([1, 1, 0, 0], (4, 1))
  np.testing.assert_array_equal(object_mask({}, image, rule), expected)
  assert (object_mask({}, image, raw) == 0).all()


def test_masks_of_several_pictures(monkeypatch):
  parser = Parser(BiSeNet(classes=19, width=4), 64)
  monkeypatch.setattr(parsing, "PARSERS", {"bisenet": parser})
  params = parser.init(jax.random.key(0))
  rule = MaskRule("bisenet", whole=tuple(range(1, 14)), half=(14, 17))
  images = jnp.stack([picture(seed, 16, 16) for seed in range(3)])
  masks = jax.jit(jax.vmap(lambda p, x: object_mask(p, x, rule), (None, 0)))(
    params, images
  )
  assert masks.shape == (3, 16, 16) and masks.dtype == jnp.float32
  assert masks.min() >= 0 and masks.max() <= 1 and masks.std() > 0
  single = jax.jit(object_mask, static_argnums=2)(params, images[1], rule)
  # A pixel of the network may tip over where two classes tie to rounding.
  assert jnp.abs(masks[1] - single).mean() < 1e-3
