"""StyleGAN2 files of every format to the same trees, strictly."""

import re

import jax
import numpy as np
import pytest
from foreign_files import (
  legacy_file,
  numpy_pickle,
  nvidia_pickle,
  zip_file,
)
from foreign_gans import (
  ada_pickle_content,
  rosinality_checkpoint,
  tensorflow_pickle_content,
)

from gan2shape_jax.convert.checkpoint_files import (
  CheckpointFile,
  read_checkpoint,
)
from gan2shape_jax.convert.stylegan2 import convert_gan
from gan2shape_jax.errors import UserError
from gan2shape_jax.models import discriminator, stylegan2
from gan2shape_jax.models.architecture import Architecture

CHANNELS = (7, 6, 5, 4)
ARCH = Architecture(CHANNELS, latent_size=12, mapping_layers=3)


@pytest.fixture(scope="module")
def checkpoint():
  return rosinality_checkpoint(CHANNELS)


def convert(tmp_path, data):
  path = tmp_path / "gan.pt"
  path.write_bytes(data)
  return convert_gan(read_checkpoint(path))


def flat(tree):
  return {
    jax.tree_util.keystr(path, simple=True, separator="/"): leaf
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree)
  }


FORMATS = {
  "zip": zip_file,
  "legacy": legacy_file,
  "nvidia": lambda checkpoint: nvidia_pickle(ada_pickle_content(checkpoint)),
  "tensorflow": lambda checkpoint: numpy_pickle(
    tensorflow_pickle_content(checkpoint)
  ),
}


@pytest.mark.parametrize("kind", FORMATS)
def test_every_format_gives_the_same_gan(tmp_path, checkpoint, kind):
  gan = convert(tmp_path, FORMATS[kind](checkpoint))
  assert gan.arch == ARCH
  for name, init in (
    ("generator", stylegan2.init_generator),
    ("discriminator", discriminator.init_discriminator),
  ):
    expected = jax.eval_shape(lambda k, i=init: i(k, ARCH), jax.random.key(0))
    shapes = {k: v.shape for k, v in flat(expected).items()}
    leaves = flat(getattr(gan, name))
    assert {k: v.shape for k, v in leaves.items()} == shapes
    assert all(leaf.dtype == np.float32 for leaf in leaves.values())
    if kind == "zip":
      continue  # With it the others are compared; spot checks of it are below.
    same = flat(getattr(convert(tmp_path, zip_file(checkpoint)), name))
    for leaf in leaves:
      # TensorFlow's bias is stored less one, which costs a rounding.
      np.testing.assert_allclose(
        leaves[leaf], same[leaf], rtol=0, atol=3e-7, err_msg=leaf
      )
  np.testing.assert_array_equal(gan.mean_latent, checkpoint["latent_avg"])
  assert gan.provenance["source"] == "gan.pt"
  assert len(gan.provenance["sha256"]) == 64
  assert gan.provenance["notes"] == []


def test_single_leaves_are_where_they_belong(tmp_path, checkpoint):
  """Spot checks of axes, from the layers' equations."""
  gan = convert(tmp_path, zip_file(checkpoint))
  g, d = checkpoint["g_ema"], checkpoint["d"]
  synthesis = gan.generator["synthesis"]
  mapping = gan.generator["mapping"]
  assert mapping["dense_2"]["kernel"][3, 5] == g["style.2.weight"][5, 3]
  assert synthesis["constant"][1, 2, 3] == g["input.input"][0, 3, 1, 2]
  kernel = g["convs.3.conv.weight"]  # The second one at side 16.
  assert synthesis["conv_16"]["kernel"][0, 1, 2, 3] == kernel[0, 3, 2, 0, 1]
  kernel = g["convs.2.conv.weight"]  # Mirrored: a transposed convolution's.
  assert synthesis["up_16"]["kernel"][0, 1, 2, 3] == kernel[0, 3, 2, 2, 1]
  noise = g["noises.noise_3"]
  np.testing.assert_array_equal(synthesis["up_16"]["noise"], noise[0, 0])
  assert synthesis["rgb_8"]["bias"][2] == g["to_rgbs.0.bias"][0, 2, 0, 0]
  dense = gan.discriminator["final_dense"]["kernel"].reshape(4, 4, 7, 7)
  flattened = d["final_linear.0.weight"].reshape(7, 7, 4, 4)
  assert dense[1, 2, 3, 4] == flattened[4, 3, 1, 2]
  skip = gan.discriminator["block_16"]["skip"]["kernel"]
  assert skip[0, 0, 1, 2] == d["convs.2.skip.1.weight"][2, 1, 0, 0]


def test_files_of_training(tmp_path, checkpoint):
  """Wrapped in DataParallel, with the optimisers' state, without a mean."""
  content = {
    "g": {"whatever": np.zeros(2, np.float32)},
    "g_optim": {"state": {0: {"step": 3}}},
    "g_ema": {f"module.{k}": v for k, v in checkpoint["g_ema"].items()},
    "d": {f"module.{k}": v for k, v in checkpoint["d"].items()},
    "ada_aug_p": 0.0,
  }
  gan = convert(tmp_path, zip_file(content))
  assert gan.mean_latent is None
  expected = convert(tmp_path, zip_file(checkpoint))
  for ours, theirs in zip(
    jax.tree.leaves(gan.discriminator),
    jax.tree.leaves(expected.discriminator),
    strict=True,
  ):
    np.testing.assert_array_equal(ours, theirs)


def test_noise_is_drawn_where_the_file_has_none(tmp_path, checkpoint):
  generator = {
    name: array
    for name, array in checkpoint["g_ema"].items()
    if not name.startswith("noises.")
  }
  data = zip_file(checkpoint | {"g_ema": generator})
  first, second = (convert(tmp_path, data) for _ in range(2))
  noise = first.generator["synthesis"]["conv_32"]["noise"]
  assert noise.shape == (32, 32) and 0.9 < noise.std() < 1.1
  np.testing.assert_array_equal(
    noise, second.generator["synthesis"]["conv_32"]["noise"]
  )
  assert "seed 0" in first.provenance["notes"][0]


def test_everything_that_does_not_fit_is_listed(tmp_path, checkpoint):
  generator, critic = dict(checkpoint["g_ema"]), dict(checkpoint["d"])
  del generator["convs.1.conv.weight"], generator["noises.noise_2"]
  generator["to_rgbs.1.bias"] = np.zeros((1, 4, 1, 1), np.float32)
  generator["extra.weight"] = np.zeros(3, np.float32)
  generator["convs.2.conv.blur.kernel"] = np.ones((4, 4), np.float32)
  del critic["convs.2.skip.1.weight"]
  critic["final_conv.1.bias"] = np.full(7, np.nan, np.float32)
  content = checkpoint | {"g_ema": generator, "d": critic}
  with pytest.raises(UserError) as raised:
    convert(tmp_path, legacy_file(content))
  lines = str(raised.value).split("\n")
  assert "gan.pt" in lines[0] and "7 tensor(s)" in lines[0]
  assert sorted(line.strip() for line in lines[1:]) == [
    "d: missing: convs.2.skip.1.weight (6, 5, 1, 1)",
    "d: not finite: final_conv.1.bias",
    "g_ema: another constant than ours: convs.2.conv.blur.kernel",
    "g_ema: missing: convs.1.conv.weight (1, 6, 6, 3, 3)",
    "g_ema: missing: noises.noise_2 (1, 1, 8, 8)",
    "g_ema: unexpected: extra.weight (3,)",
    "g_ema: wrong shape: to_rgbs.1.bias is (1, 4, 1, 1), not (1, 3, 1, 1)",
  ]


@pytest.mark.parametrize("kind", ["zip", "nvidia", "tensorflow"])
def test_each_tensor_is_needed_and_no_other(tmp_path, checkpoint, kind):
  """Takes out one tensor after the other, and renames it."""
  path = tmp_path / "gan.pt"
  path.write_bytes(FORMATS[kind](checkpoint))
  read, rename = {}, {}

  class Changed(CheckpointFile):
    def arrays(self, node):
      if id(node) not in read:
        read[id(node)] = super().arrays(node)
      new = ((rename.get(k, k), v) for k, v in read[id(node)].items())
      return {k: v for k, v in new if k is not None}

  file = Changed(*read_checkpoint(path))
  convert_gan(file)
  names = [name for arrays in read.values() for name in arrays if name]
  assert len(names) == len(set(names)) >= 90
  for name in names:
    if re.search(r"kernel|resample_filter|lod|_avg", name):
      rename[name] = None
      convert_gan(file)  # Carries nothing, or can be computed.
    else:
      for changed in (None, f"{name}_"):
        rename[name] = changed
        with pytest.raises(UserError) as raised:
          convert_gan(file)
        assert f"missing: {name} " in str(raised.value)
        assert not changed or f"unexpected: {changed} " in str(raised.value)
    del rename[name]


def test_conditional_networks_are_refused(tmp_path, checkpoint):
  content = ada_pickle_content(checkpoint, settings={"": {"c_dim": 10}})
  with pytest.raises(UserError, match="class labels"):
    convert(tmp_path, nvidia_pickle(content))
  content = tensorflow_pickle_content(checkpoint, label_size=10)
  with pytest.raises(UserError, match="class labels"):
    convert(tmp_path, numpy_pickle(content))


def test_settings_that_change_the_function_are_refused(tmp_path, checkpoint):
  content = ada_pickle_content(
    checkpoint, settings={"synthesis.b8.conv0": {"activation": "relu"}}
  )
  with pytest.raises(UserError, match="activation 'relu'"):
    convert(tmp_path, nvidia_pickle(content))
  content = tensorflow_pickle_content(checkpoint, mapping_lrmul=0.1)
  with pytest.raises(UserError, match=r"mapping_lrmul 0\.1"):
    convert(tmp_path, numpy_pickle(content))


def test_clamped_layers_are_mentioned(tmp_path, checkpoint):
  content = ada_pickle_content(checkpoint, settings={"": {"conv_clamp": 256}})
  gan = convert(tmp_path, nvidia_pickle(content))
  assert "clamp" in gan.provenance["notes"][0]


@pytest.mark.parametrize(
  "content, message",
  [
    ({"d": {}}, "no generator"),
    ({"g_ema": {"a": np.zeros(3)}}, "no discriminator"),
    ({"g_ema": {"a": np.zeros(3)}, "d": {}}, "no generator of StyleGAN2"),
    ([1, 2], "known layout"),
  ],
)
def test_files_without_a_gan(tmp_path, content, message):
  with pytest.raises(UserError, match=message):
    convert(tmp_path, zip_file(content))
