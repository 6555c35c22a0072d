"""Resampling against zero insertion, padding and brute-force filtering."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads
from scipy import signal

from gan2shape_jax.models import resample

BLUR = np.outer([1, 3, 3, 1], [1, 3, 3, 1]) / 64


def upfirdn(x, *, up=1, down=1, pad=(0, 0), gain=1.0):
  """The reference's upfirdn2d on [b, h, w, c], with the blur."""
  b, h, w, c = x.shape
  zeros = np.zeros((b, h * up, w * up, c))
  zeros[:, ::up, ::up] = x
  zeros = np.pad(zeros, ((0, 0), pad, pad, (0, 0)))
  kernel = gain * BLUR[None, :, :, None]
  return signal.convolve(zeros, kernel, "valid")[:, ::down, ::down]


def correlate(x, kernel, *, stride=1):
  """VALID correlation of [b, h, w, c] with [k, k, c, d]."""
  k = kernel.shape[0]
  h, w = x.shape[1] - k + 1, x.shape[2] - k + 1
  y = sum(
    x[:, i : i + h, j : j + w] @ kernel[i, j]
    for i in range(k)
    for j in range(k)
  )
  return y[:, ::stride, ::stride]


def transposed_conv(x, kernel):
  """Stride 2, no padding: every input pixel stamps the kernel."""
  b, h, w, _ = x.shape
  y = np.zeros((b, 2 * h + 1, 2 * w + 1, kernel.shape[-1]))
  for i in range(3):
    for j in range(3):
      y[:, i : i + 2 * h : 2, j : j + 2 * w : 2] += x @ kernel[i, j]
  return y


def random(*shape):
  return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def assert_close(actual, expected):
  assert actual.shape == expected.shape
  # float32 sums of some thirty products of order one.
  np.testing.assert_allclose(actual, expected, atol=2e-5)


def test_upsample_is_the_references_with_pad_2_1():
  x = random(2, 5, 4, 3)
  assert_close(resample.upsample(x), upfirdn(x, up=2, pad=(2, 1), gain=4))


def test_downsample_is_the_references_with_pad_1_1():
  x = random(2, 8, 6, 3)
  assert_close(resample.downsample(x), upfirdn(x, down=2, pad=(1, 1)))


@pytest.mark.parametrize("side", [1, 4, 5])
def test_upsample_conv_is_transposed_conv_then_blur(side):
  x, kernel = random(2, side, 4, 3), random(3, 3, 3, 5)
  expected = upfirdn(transposed_conv(x, kernel), pad=(1, 1), gain=4)
  # As stored: flipped in space.
  assert_close(resample.upsample_conv(x, kernel[::-1, ::-1]), expected)


def test_downsample_conv_is_blur_then_strided_conv():
  x, kernel = random(2, 8, 6, 3), random(3, 3, 3, 5)
  expected = correlate(upfirdn(x, pad=(2, 2)), kernel, stride=2)
  assert_close(resample.downsample_conv(x, kernel), expected)


def test_constant_maps_keep_their_value_inside():
  x = np.ones((1, 8, 8, 1), np.float32)
  for y in (resample.upsample(x), resample.downsample(x)):
    np.testing.assert_allclose(y[:, 1:-1, 1:-1], 1, atol=1e-6)


def test_gradients_of_upsample_conv():
  """To the second order: the blur names its own."""
  x, kernel = random(1, 4, 5, 2), random(3, 3, 2, 3)
  check_grads(
    resample.upsample_conv, (x, kernel), order=2, modes=["rev"], rtol=1e-2
  )


@pytest.mark.parametrize(
  ("function", "count"),
  [
    (resample.conv, 1),
    (resample.upsample_conv, 4),  # one for each phase
    (resample.downsample_conv, 1),
  ],
)
def test_no_grouped_or_input_dilated_convolutions(function, count):
  """Also under vmap with a shared kernel, as the generator is used."""

  def one(x):
    return function(x[None], jnp.ones((3, 3, 2, 4)))[0]

  jaxpr = jax.make_jaxpr(jax.vmap(one))(jnp.ones((3, 8, 8, 2)))
  convs = [
    e.params
    for e in jaxpr.jaxpr.eqns
    if e.primitive.name == "conv_general_dilated"
  ]
  assert len(convs) == count
  for params in convs:
    assert params["feature_group_count"] == 1
    assert params["batch_group_count"] == 1
    assert set(params["lhs_dilation"]) == {1}


def test_upsample_conv_is_torchs_transposed_conv_then_blur():
  torch = pytest.importorskip("torch")
  x, kernel = random(2, 6, 6, 3), random(3, 3, 3, 5)
  y = torch.nn.functional.conv_transpose2d(
    torch.from_numpy(x.transpose(0, 3, 1, 2)),
    torch.from_numpy(kernel.transpose(2, 3, 0, 1).copy()),
    stride=2,
  )
  expected = upfirdn(y.numpy().transpose(0, 2, 3, 1), pad=(1, 1), gain=4)
  assert_close(resample.upsample_conv(x, kernel[::-1, ::-1]), expected)
