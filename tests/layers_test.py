"""Layers against numpy, jax.lax and, where it is installed, PyTorch."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from gan2shape_jax.models import layers


def random(seed, *shape):
  return jax.random.normal(jax.random.key(seed), shape)


def transposed_conv_scatter(x, kernel):
  """The definition: pixel n adds its taps at outputs 2n - 1 + tap."""
  h, w, _ = x.shape
  canvas = np.zeros((2 * h + 2, 2 * w + 2, kernel.shape[-1]))
  for row in range(h):
    for column in range(w):
      taps = np.einsum("i,yxio->yxo", x[row, column], kernel)
      canvas[2 * row : 2 * row + 4, 2 * column : 2 * column + 4] += taps
  return canvas[1:-1, 1:-1]


def test_transposed_conv_equals_its_definition():
  x, kernel = random(0, 3, 5, 4), random(1, 4, 4, 4, 6)
  expected = transposed_conv_scatter(
    np.asarray(x, np.float64), np.asarray(kernel, np.float64)
  )
  np.testing.assert_allclose(
    layers.transposed_conv(x, kernel), expected, atol=1e-4
  )


def test_transposed_conv_gradients_equal_the_dilated_form():
  def dilated(x, kernel):
    return lax.conv_general_dilated(
      x[None],
      kernel[::-1, ::-1],
      window_strides=(1, 1),
      padding=((2, 2), (2, 2)),
      lhs_dilation=(2, 2),
      dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )[0]

  x, kernel = random(0, 4, 6, 3), random(1, 4, 4, 3, 5)
  weight = random(2, 8, 12, 5)

  def gradients(f):
    loss = jax.jit(jax.grad(lambda x, k: jnp.sum(f(x, k) * weight), (0, 1)))
    return loss(x, kernel)

  expected = gradients(dilated)
  for a, b in zip(gradients(layers.transposed_conv), expected, strict=True):
    np.testing.assert_allclose(a, b, atol=1e-4)


@pytest.mark.parametrize("kernel_size", [1, 3, 5])
def test_narrow_conv_and_its_gradients_equal_convs(kernel_size):
  wide = layers.Conv(2, kernel_size)
  narrow = layers.NarrowConv(2, kernel_size)
  x, weight = random(0, 7, 6, 4), random(1, 7, 6, 2)
  params = {"params": {"kernel": random(2, kernel_size, kernel_size, 4, 2)}}

  def gradients(module):
    def loss(params, x):
      output = module.apply(params, x)
      return jnp.sum(output * weight), output

    return jax.jit(jax.grad(loss, (0, 1), has_aux=True))(params, x)

  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4),
    gradients(wide),
    gradients(narrow),
  )


@pytest.mark.parametrize(
  "module, shape, fan_in",
  [
    (layers.Conv(32, 4), (8, 8, 16), 16 * 16),
    (layers.NarrowConv(3, 5), (8, 8, 16), 16 * 25),
    (layers.TransposedConv(32), (8, 8, 16), 16 * 32),
    (layers.MapToVector(32), (4, 4, 16), 16 * 16),
    (layers.VectorToMap(32), (16,), 16 * 32),
  ],
)
def test_a_layer_states_pytorchs_bound(module, shape, fan_in):
  params = jax.jit(module.init)(jax.random.key(0), jnp.zeros(shape))
  np.testing.assert_allclose(params["params"]["kernel"], fan_in**-0.5)


def test_group_norm_standardises_groups_of_four():
  x = 3 * random(0, 5, 6, 8) + 7
  module = layers.GroupNorm()
  y = module.apply(module.init(jax.random.key(0), x), x)
  groups = np.asarray(y).reshape(30, 2, 4)
  np.testing.assert_allclose(groups.mean((0, 2)), 0, atol=1e-5)
  np.testing.assert_allclose(groups.std((0, 2)), 1, atol=1e-4)


def test_group_norm_of_a_constant_has_a_finite_gradient():
  module, x = layers.GroupNorm(), jnp.ones((4, 4, 4))
  params = module.init(jax.random.key(0), x)
  gradient = jax.grad(lambda x: module.apply(params, x)[0, 0, 0])(x)
  assert jnp.isfinite(gradient).all()


def test_upsample_and_pool():
  x = jnp.arange(6.0).reshape(2, 3, 1)
  up = layers.upsample_nearest(x)
  np.testing.assert_array_equal(up[..., 0], np.kron(x[..., 0], np.ones((2, 2))))
  np.testing.assert_array_equal(layers.average_pool(up), x)


def torch_case(name):
  """A PyTorch layer, ours, the input, and the kernel's axes PyTorch -> ours."""
  torch = pytest.importorskip("torch")
  torch.manual_seed(0)
  conv, transposed = (2, 3, 1, 0), (2, 3, 0, 1)
  nn = torch.nn
  return {
    "conv4": lambda: (
      nn.Conv2d(3, 8, 4, 2, 1, bias=False),
      layers.Conv(8, 4, stride=2),
      random(0, 8, 8, 3),
      conv,
    ),
    "conv3 stride 2": lambda: (
      nn.Conv2d(3, 8, 3, 2, 1),
      layers.Conv(8, 3, stride=2, use_bias=True),
      random(0, 8, 8, 3),
      conv,
    ),
    "conv5": lambda: (
      nn.Conv2d(3, 8, 5, 1, 2, bias=False),
      layers.Conv(8, 5),
      random(0, 8, 8, 3),
      conv,
    ),
    "transposed": lambda: (
      nn.ConvTranspose2d(3, 8, 4, 2, 1, bias=False),
      layers.TransposedConv(8),
      random(0, 8, 8, 3),
      transposed,
    ),
    "to vector": lambda: (
      nn.Conv2d(3, 8, 4, bias=False),
      layers.MapToVector(8),
      random(0, 4, 4, 3),
      conv,
    ),
    "to map": lambda: (
      nn.ConvTranspose2d(3, 8, 4, bias=False),
      layers.VectorToMap(8),
      random(0, 3),
      transposed,
    ),
    "norm": lambda: (
      nn.GroupNorm(2, 8),
      layers.GroupNorm(),
      random(0, 8, 8, 8),
      None,
    ),
  }[name]()


@pytest.mark.parametrize(
  "name",
  [
    "conv4",
    "conv3 stride 2",
    "conv5",
    "transposed",
    "to vector",
    "to map",
    "norm",
  ],
)
def test_parity_with_pytorch(name):
  theirs, ours, x, axes = torch_case(name)
  import torch

  weight = jnp.asarray(theirs.weight.detach().numpy())
  params = (
    {"scale": weight} if axes is None else {"kernel": weight.transpose(axes)}
  )
  if theirs.bias is not None:
    params["bias"] = jnp.asarray(theirs.bias.detach().numpy())
  images = np.array(x).reshape(1, *(x.shape if x.ndim == 3 else (1, 1, -1)))
  expected = theirs(torch.from_numpy(images.transpose(0, 3, 1, 2)))
  expected = expected.detach().numpy()[0].transpose(1, 2, 0)
  output = ours.apply({"params": params}, x)
  np.testing.assert_allclose(output, expected.reshape(output.shape), atol=1e-5)
