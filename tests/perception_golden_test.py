"""LPIPS, BiSeNet and PSPNet-50 at true widths against PyTorch's numbers.

The numbers are in golden/perception.npz, so PyTorch is not needed. Weights go
through the files' names and our converters. Errors are relative to the largest
number of an array.
"""

import pathlib

import jax
import numpy as np
import pytest
import release_weights
from golden import perception_cases as cases

from gan2shape_jax import parsing
from gan2shape_jax.convert.bisenet import convert_bisenet
from gan2shape_jax.convert.lpips import convert_lpips
from gan2shape_jax.convert.pspnet import convert_pspnet
from gan2shape_jax.models import lpips

GOLDEN = pathlib.Path(__file__).parent / "golden" / "perception.npz"


@pytest.fixture(scope="module")
def golden():
  with np.load(GOLDEN) as file:
    return dict(file)


def relative_error(actual, expected):
  assert actual.shape == expected.shape
  return np.abs(actual - expected).max() / np.abs(expected).max()


def test_lpips_and_its_gradient(golden):
  params = convert_lpips(
    release_weights.vgg_tensors(), release_weights.linear_tensors()
  )
  pictures = cases.pictures()

  def total(image, params, target, mask):
    pairs = zip(
      lpips.features(params, image * mask),
      lpips.features(params, target * mask),
      strict=True,
    )
    distances = [lpips.distance((a,), (b,)) for a, b in pairs]
    return sum(distances), distances

  gradient, distances = jax.jit(jax.grad(total, has_aux=True))(
    pictures["lpips"],
    params,
    pictures["lpips_target"],
    pictures["lpips_mask"],
  )
  # Each map on its own: the deeper ones hardly count in the sum.
  np.testing.assert_allclose(distances, golden["lpips"], rtol=1e-5)
  assert relative_error(gradient, golden["lpips_gradient"]) < 1e-3


def parser_params(name):
  if name == "bisenet":
    return convert_bisenet(release_weights.bisenet_tensors())
  return convert_pspnet(
    release_weights.pspnet_tensors(classes=cases.CLASSES[name])
  )


@pytest.mark.parametrize("name", parsing.PARSERS)
def test_logits(name, golden):
  apply = jax.jit(parsing.PARSERS[name].apply)
  logits = apply(parser_params(name), cases.pictures()[name])
  assert relative_error(cases.thin(logits), golden[name]) < 1e-4


def test_the_file_is_what_pytorch_makes(golden):
  pytest.importorskip("torch")
  from golden import make_perception

  outputs = make_perception.outputs()
  assert outputs.keys() == golden.keys()
  for name, output in outputs.items():
    assert relative_error(output, golden[name]) < 1e-6
