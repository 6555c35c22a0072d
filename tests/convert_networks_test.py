"""GAN2Shape's five networks: sizes, strictness, and PyTorch's own files."""

import jax
import numpy as np
import pytest
from foreign_files import legacy_file, zip_file
from golden import cases

from gan2shape_jax.convert.checkpoint_files import read_checkpoint
from gan2shape_jax.convert.networks import (
  NAMES,
  Sizes,
  convert_networks,
  network_table,
)
from gan2shape_jax.errors import UserError
from gan2shape_jax.models.networks import build_networks, init_networks

SMALL = Sizes(32, 10, 8, 16, 12, 4)
RELEASED = {
  64: Sizes(64, 512, 64, 512, 256, 32),
  128: Sizes(128, 512, 32, 512, 256, 32),
}


def names_and_shapes(sizes):
  return {
    name: {e.name: e.shape for e in network_table(ours, sizes).values()}
    for name, ours in NAMES.items()
  }


@pytest.fixture(scope="module")
def content():
  return {
    name: cases.state(shapes, name)
    for name, shapes in names_and_shapes(SMALL).items()
  }


def convert(tmp_path, data):
  path = tmp_path / "pretrain.pth"
  path.write_bytes(data)
  return convert_networks(read_checkpoint(path))


def shapes_of(tree):
  return {
    jax.tree_util.keystr(path, simple=True, separator="/"): leaf.shape
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree)
  }


@pytest.mark.parametrize("write", [zip_file, legacy_file])
def test_the_tree_is_that_of_our_networks(tmp_path, content, write):
  training = {"iteration": 7, "optimizerD": {"state": {}, "lr": 1e-4}}
  converted = convert(tmp_path, write(content | training))
  assert converted.sizes == SMALL
  expected = jax.eval_shape(
    lambda key: init_networks(build_networks(**SMALL._asdict()), key),
    jax.random.key(0),
  )
  assert shapes_of(converted.params) == shapes_of(expected)


@pytest.mark.parametrize("size", RELEASED)
def test_indices_of_the_released_networks(size):
  """Spot checks against GAN2Shape networks.py."""
  shapes = names_and_shapes(RELEASED[size])
  albedo, encoder = shapes["netA"], shapes["netEnc"]
  if size == 64:
    assert albedo["network.23.weight"] == (256, 128, 4, 4)
    assert albedo["network.24.weight"] == (128,)
    assert albedo["network.42.weight"] == (3, 64, 5, 5)
    assert shapes["netV"]["network.10.weight"] == (6, 512, 1, 1)
    assert encoder["network.7.weight"] == (512, 512, 1, 1)
  else:
    assert albedo["network.9.weight"] == (256, 128, 4, 4)
    assert albedo["network.38.weight"] == (64, 32, 4, 4)
    assert albedo["network.51.weight"] == (3, 32, 5, 5)
    assert shapes["netL"]["network.12.weight"] == (4, 512, 1, 1)
    assert encoder["network.4.conv_sc.bias"] == (512,)
    assert encoder["network.6.weight"] == (1024, 512, 4, 4)
  counts = {
    name: sum(int(np.prod(shape)) for shape in of.values())
    for name, of in shapes.items()
  }
  assert sum(counts.values()) == {64: 43_432_896, 128: 53_653_952}[size]


def test_names_of_wrapped_networks(tmp_path, content):
  wrapped = {
    name: {f"module.{k}": v for k, v in state.items()}
    for name, state in content.items()
  }
  plain = convert(tmp_path, zip_file(content)).params
  for a, b in zip(
    jax.tree.leaves(convert(tmp_path, zip_file(wrapped)).params),
    jax.tree.leaves(plain),
    strict=True,
  ):
    np.testing.assert_array_equal(a, b)


def test_everything_that_does_not_fit_is_listed(tmp_path, content):
  depth, view = dict(content["netD"]), dict(content["netV"])
  del depth["network.3.weight"]
  depth["network.99.weight"] = np.zeros(2, np.float32)
  view["network.0.weight"] = np.zeros((4, 3, 4, 4), np.float32)
  with pytest.raises(UserError) as raised:
    convert(tmp_path, zip_file(content | {"netD": depth, "netV": view}))
  first, *lines = str(raised.value).split("\n")
  assert "pretrain.pth" in first
  assert [line.strip() for line in lines] == [
    "netD: missing: network.3.weight (16, 8, 4, 4)",
    "netD: unexpected: network.99.weight (2,)",
    "netV: wrong shape: network.0.weight is (4, 3, 4, 4), not (8, 3, 4, 4)",
  ]


def test_networks_whose_normalisation_differs_are_refused(tmp_path):
  """At 256 px the reference has groups of two channels, ours are of four."""
  sizes = SMALL._replace(image_size=256)
  content = {
    name: cases.state(shapes, name)
    for name, shapes in names_and_shapes(sizes).items()
  }
  with pytest.raises(UserError, match="networks of 256 px normalise"):
    convert(tmp_path, zip_file(content))


def test_other_files_are_refused(tmp_path, content):
  left = {k: v for k, v in content.items() if k != "netEnc"}
  with pytest.raises(UserError, match="has no netEnc"):
    convert(tmp_path, zip_file(left))
  state = {k: v for k, v in content["netA"].items() if ".0." not in k}
  with pytest.raises(UserError, match=r"no convolution network\.0\.weight"):
    convert(tmp_path, zip_file(content | {"netA": state}))
