"""Resizing, layers, losses and depth errors against PyTorch's numbers.

The numbers are in golden/formulas.npz, so PyTorch is not needed. Errors are
relative to the largest number of an array: at most 1e-5 for one operation.
"""

import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from golden import perception_cases as cases

from gan2shape_jax import losses, metrics, render
from gan2shape_jax.models import frozen
from gan2shape_jax.render.camera import Camera

MAP = jnp.asarray(cases.layer_input())
GOLDEN = pathlib.Path(__file__).parent / "golden" / "formulas.npz"


@pytest.fixture(scope="module")
def golden():
  with np.load(GOLDEN) as file:
    return dict(file)


def assert_close(actual, expected, *, error=1e-5):
  actual = np.asarray(actual)
  assert actual.shape == expected.shape
  assert np.abs(actual - expected).max() < error * np.abs(expected).max()


@pytest.mark.parametrize("size", cases.RESIZED)
@pytest.mark.parametrize(
  "name, resize",
  [
    ("area", render.resize_area),
    ("bilinear", render.resize_bilinear),
    ("aligned", frozen.resize_aligned),
  ],
)
def test_resizing(name, resize, size, golden):
  expected = golden[f"{name} {size[0]}x{size[1]}"]
  assert_close(resize(MAP, size), expected)


def test_max_pool(golden):
  assert_close(frozen.max_pool(MAP), golden["max_pool"])


@pytest.mark.parametrize("count", [1, 2, 3, 6])
def test_block_means(count, golden):
  means = frozen.block_means(MAP[:12], count)
  assert_close(means, golden[f"blocks {count}"])


@pytest.mark.parametrize("index", range(len(cases.CONVOLUTIONS)))
def test_convolution_with_norm(index, golden):
  kernel, norm = cases.layer_weights(index)
  names = ("scale", "bias", "mean", "variance")
  params = {name: norm[k] for name, k in zip(names, cases.NORM, strict=True)}
  params["kernel"] = kernel.transpose(2, 3, 1, 0)
  layer = frozen.ConvNorm(*cases.CONVOLUTIONS[index])
  output = layer.apply({"params": params}, MAP)
  assert_close(output, golden[f"convolution {index}"])


@pytest.mark.parametrize(
  "name, variables, loss",
  [
    (
      "photometric",
      ("image",),
      lambda x: losses.photometric(x["image"], x["target"], x["mask"]),
    ),
    (
      "feature_distance",
      ("fine", "coarse"),
      lambda x: losses.feature_distance(
        (x["fine"], x["coarse"]),
        (x["fine_target"], x["coarse_target"]),
        x["mask"],
      ),
    ),
    ("smoothness", ("field",), lambda x: losses.smoothness(x["field"])),
  ],
)
def test_losses_and_their_gradients(name, variables, loss, golden):
  inputs = {k: jnp.asarray(v) for k, v in cases.loss_inputs().items()}
  value, gradients = jax.value_and_grad(loss)(inputs)
  assert_close(value, golden[name])
  for variable in variables:
    expected = golden[f"{name} {variable}"]
    gradient = gradients[variable].reshape(expected.shape)
    assert_close(gradient, expected)


def test_depth_errors(golden):
  inputs = {k: jnp.asarray(v) for k, v in cases.depth_inputs().items()}
  errors = metrics.evaluate_depth(
    inputs["depth"],
    inputs["mask"],
    inputs["true_depth"],
    inputs["true_mask"],
    Camera(16),
  )
  assert 0.1 < golden["coverage"] < 0.9
  for name in ("side", "mad_reference", "mae", "mse", "coverage"):
    # Differences of depths near 1 lose two digits.
    assert_close(errors[name], golden[name], error=1e-4)


def test_the_file_is_what_pytorch_makes(golden):
  pytest.importorskip("torch")
  from golden import make_formulas

  outputs = make_formulas.outputs()
  assert outputs.keys() == golden.keys()
  for name, output in outputs.items():
    assert_close(output, golden[name], error=1e-6)
