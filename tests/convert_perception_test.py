"""Converters of LPIPS, BiSeNet and PSPNet: whole trees, and what is wrong."""

import jax
import numpy as np
import pytest
import release_weights

from gan2shape_jax.convert.bisenet import convert_bisenet
from gan2shape_jax.convert.lpips import convert_lpips
from gan2shape_jax.convert.pspnet import convert_pspnet
from gan2shape_jax.errors import UserError
from gan2shape_jax.models.bisenet import init_bisenet
from gan2shape_jax.models.lpips import init_lpips
from gan2shape_jax.models.pspnet import init_pspnet

SIZES = {"width": 4}


def lpips(tensors):
  """Of one dictionary of both files' tensors."""
  linear = {k: v for k, v in tensors.items() if k.startswith("lin")}
  vgg = {k: v for k, v in tensors.items() if k not in linear}
  return convert_lpips(vgg, linear)


def lpips_tensors(**sizes):
  return release_weights.vgg_tensors(**sizes) | release_weights.linear_tensors(
    **sizes
  )


CASES = {
  "lpips": (lpips, lpips_tensors, init_lpips, {}),
  "bisenet": (
    convert_bisenet,
    release_weights.bisenet_tensors,
    init_bisenet,
    {"classes": 5},
  ),
  "pspnet": (
    convert_pspnet,
    release_weights.pspnet_tensors,
    init_pspnet,
    {"classes": 7},
  ),
}


@pytest.mark.parametrize("name", CASES)
def test_the_tree_is_the_models(name):
  convert, tensors, init, sizes = CASES[name]
  sizes = SIZES | sizes
  tree = convert(tensors(**sizes))
  expected = jax.eval_shape(lambda key: init(key, **sizes), jax.random.key(0))
  assert jax.tree.map(np.shape, tree) == jax.tree.map(np.shape, expected)
  assert all(leaf.dtype == np.float32 for leaf in jax.tree.leaves(tree))


@pytest.mark.parametrize("name", CASES)
def test_every_tensor_has_a_place_of_its_own(name):
  """Tensors of one constant each: as many constants in the tree, no other."""
  convert, tensors, _, sizes = CASES[name]
  dropped = ("num_batches_tracked", "aux.", "conv_out16.", "conv_out32.")
  numbered = {
    key: np.full(tensor.shape, number, np.float32)
    for number, (key, tensor) in enumerate(tensors(**SIZES | sizes).items())
  }
  leaves = jax.tree.leaves(convert(numbered))
  assert all((leaf == leaf.flat[0]).all() for leaf in leaves)
  used = {
    number
    for number, key in enumerate(numbered)
    if not any(part in key for part in dropped)
  }
  assert sorted(leaf.flat[0] for leaf in leaves) == sorted(used)


@pytest.mark.parametrize("name", CASES)
def test_all_that_is_wrong_is_said_at_once(name):
  convert, tensors, _, sizes = CASES[name]
  tensors = tensors(**SIZES | sizes)
  _, missing, misshaped, _, *_, infinite = (
    key
    for key in tensors
    if "num_batches" not in key
    and "aux" not in key
    and "out32" not in key
    and "out16" not in key
  )
  del tensors[missing]
  tensors[misshaped] = tensors[misshaped][..., None]
  tensors[infinite] = np.full_like(tensors[infinite], np.inf)
  prefix = "module." if name == "pspnet" else ""
  tensors[f"{prefix}fc.weight"] = np.zeros(3, np.float32)
  with pytest.raises(UserError) as error:
    convert(tensors)
  lines = str(error.value).splitlines()
  assert len(lines) == 5
  for kind, key in (
    ("missing", missing),
    ("wrong shape", misshaped),
    ("not finite", infinite),
    ("unexpected", "fc.weight"),
  ):
    key = key.removeprefix("module.")
    assert any(line.startswith(f"  {kind}: {key}") for line in lines)


def test_another_network_is_refused():
  with pytest.raises(UserError, match=r"PSPNet: .* semseg"):
    convert_pspnet(release_weights.bisenet_tensors(**SIZES))


def test_the_classifier_of_vgg_is_left():
  vgg = release_weights.vgg_tensors(**SIZES)
  linear = release_weights.linear_tensors(**SIZES)
  vgg["classifier.0.weight"] = np.zeros((2, 3), np.float32)
  assert "conv5_3" in convert_lpips(vgg, linear)


def test_negative_weights_of_squares_are_refused():
  linear = release_weights.linear_tensors(**SIZES)
  linear["lin2.model.1.weight"][0, 1] = -0.1
  with pytest.raises(UserError, match="negative: weights of linear3"):
    convert_lpips(release_weights.vgg_tensors(**SIZES), linear)


def test_a_prefix_of_data_parallel_may_be_missing():
  tensors = release_weights.pspnet_tensors(classes=3, **SIZES)
  bare = {key.removeprefix("module."): v for key, v in tensors.items()}
  jax.tree.map(
    np.testing.assert_array_equal,
    convert_pspnet(bare),
    convert_pspnet(tensors),
  )
