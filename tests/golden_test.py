"""Parity with PyTorch by way of files, without PyTorch (see golden/make_*).

Weights follow from names, go through the files and tables of `convert/`, and
our outputs and gradients are compared with what PyTorch made in float64. Errors
are relative to the largest number of an array: at most 1e-4 forward and 1e-3
backward for a whole network in float32.
"""

import functools
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from foreign_files import legacy_file, zip_file
from foreign_gans import rosinality_discriminator, rosinality_generator
from golden import cases

from gan2shape_jax.convert.checkpoint_files import read_checkpoint
from gan2shape_jax.convert.networks import (
  NAMES,
  Sizes,
  convert_networks,
  network_table,
)
from gan2shape_jax.convert.stylegan2 import convert_gan
from gan2shape_jax.models import discriminator, stylegan2
from gan2shape_jax.models.networks import build_networks

GOLDEN = pathlib.Path(__file__).parent / "golden"
FORWARD, GRADIENT = 1e-4, 1e-3


@functools.cache
def golden(name):
  with np.load(GOLDEN / f"{name}.npz") as file:
    return dict(file)


def relative_error(actual, expected):
  actual = cases.thin(np.asarray(actual))
  assert actual.shape == expected.shape
  return np.abs(actual - expected).max() / np.abs(expected).max()


def output_and_gradient(function, name, x):
  """Outputs of a function of one array, and the gradient of the golden pull."""

  def total(x):
    outputs = function(x)
    pulls = [cases.pull(f"{name} {i}", y.shape) for i, y in enumerate(outputs)]
    products = (jnp.sum(y * p) for y, p in zip(outputs, pulls, strict=True))
    return sum(products), outputs

  gradient, outputs = jax.jit(jax.grad(total, has_aux=True))(x)
  return outputs, gradient


def check(expected, name, outputs, gradient):
  for i, output in enumerate(outputs):
    assert relative_error(output, expected[f"{name}_{i}"]) < FORWARD
  assert relative_error(gradient, expected[f"{name}_gradient"]) < GRADIENT


@pytest.fixture(scope="module", params=cases.GANS)
def gan(request, tmp_path_factory):
  """The size, the converted file and what PyTorch makes of the weights."""
  size = request.param
  latent, layers, channels = cases.GANS[size]
  content = {
    "g_ema": rosinality_generator(channels, latent, layers, seed=f"g {size}"),
    "d": rosinality_discriminator(channels, seed=f"d {size}"),
  }
  path = tmp_path_factory.mktemp("gan") / "gan.pt"
  path.write_bytes(legacy_file(content))
  expected = {
    name.partition("/")[2]: array
    for name, array in golden("stylegan2").items()
    if name.startswith(f"{size}/")
  }
  return cases.gan_inputs(size), convert_gan(read_checkpoint(path)), expected


@pytest.mark.parametrize("first, last", cases.MAPPING_PASSES)
def test_mapping_and_partial_passes(gan, first, last):
  inputs, converted, expected = gan
  name = f"map_{first}_{last}"

  def function(z):
    w = stylegan2.map_latent(
      converted.generator, z, arch=converted.arch, first=first, last=last
    )
    return [w]

  check(expected, name, *output_and_gradient(function, name, inputs["z"]))


def test_generator_with_noise(gan):
  inputs, converted, expected = gan

  def function(w):
    return [stylegan2.synthesize(converted.generator, w, arch=converted.arch)]

  found = output_and_gradient(function, "picture", inputs["w"])
  check(expected, "picture", *found)
  # The noise maps are a part of it: the strengths are not small.
  strength = converted.generator["synthesis"]["conv_8"]["noise_strength"]
  assert abs(strength) > 0.01


def test_discriminator_features(gan):
  inputs, converted, expected = gan
  count = min(4, len(converted.arch.channels) - 1)

  def function(image):
    return discriminator.discriminator_features(
      converted.discriminator, image, arch=converted.arch, count=count
    )

  found = output_and_gradient(function, "features", inputs["image"])
  check(expected, "features", *found)


def test_discriminator_features_of_a_smaller_picture(gan):
  inputs, converted, expected = gan
  count = len(converted.arch.channels) - 2

  def function(image):
    return discriminator.discriminator_features(
      converted.discriminator,
      image[::2, ::2],
      arch=converted.arch,
      count=count,
    )

  found = output_and_gradient(function, "small", inputs["image"])
  check(expected, "small", *found)


def test_discriminator_head(gan):
  inputs, converted, expected = gan

  def function(image):
    pair = jnp.stack([image, image[:, ::-1]])
    logits = discriminator.discriminate(
      converted.discriminator, pair, arch=converted.arch
    )
    return [logits]

  found = output_and_gradient(function, "logits", inputs["image"])
  check(expected, "logits", *found)


@pytest.fixture(scope="module", params=cases.NETWORKS)
def five(request, tmp_path_factory):
  """The size and the five converted networks."""
  size = request.param
  case = cases.NETWORKS[size]
  sizes = Sizes(
    image_size=size,
    latent_size=case["latent"],
    width=case["width"],
    max_channels=case["largest"],
    code_size=case["code"],
    encoder_width=case["encoder_width"],
  )
  content = {
    name: cases.state(
      {
        entry.name: entry.shape for entry in network_table(ours, sizes).values()
      },
      f"{name} {size}",
    )
    for name, ours in NAMES.items()
  }
  path = tmp_path_factory.mktemp("networks") / "pretrain.pth"
  path.write_bytes(zip_file(content))
  converted = convert_networks(read_checkpoint(path))
  assert converted.sizes == sizes
  return size, converted


@pytest.mark.parametrize("name", NAMES)
def test_five_networks(five, name):
  size, converted = five
  network = getattr(build_networks(**converted.sizes._asdict()), NAMES[name])
  expected = {
    key: golden("networks")[f"{size}/{name}{key}"] for key in ("", "_gradient")
  }
  # PyTorch's outputs are maps with channels last, also the vectors'.
  shape = (size, size, {"netD": 1, "netA": 3}.get(name))
  if shape[-1] is None:
    shape = (1, 1, expected[""].shape[-1])

  def pulled(image):
    output = network.apply(converted.params[NAMES[name]], image)
    pull = cases.pull(name, shape)
    return jnp.sum(output * pull.reshape(output.shape)), output

  gradient, output = jax.jit(jax.grad(pulled, has_aux=True))(
    cases.network_image(size)
  )
  assert relative_error(output.reshape(shape), expected[""]) < FORWARD
  assert relative_error(gradient, expected["_gradient"]) < GRADIENT
