"""Random tensors of the perceptual networks, by the names of their files."""

import numpy as np
from golden.fixed_numbers import draw

from gan2shape_jax.convert.bisenet import bisenet_table
from gan2shape_jax.convert.lpips import linear_table, vgg_table
from gan2shape_jax.convert.pspnet import pspnet_table


def random_tensors(table, prefix=""):
  """Tensors that keep the size of maps; of the same numbers everywhere."""
  return {
    prefix + name: _tensor(name, shape) for name, shape, _ in table.values()
  }


def vgg_tensors(**sizes):
  return random_tensors(vgg_table(**sizes))


def linear_tensors(**sizes):
  return random_tensors(linear_table(**sizes))


def bisenet_tensors(**sizes):
  """With the outputs that only training uses."""
  tensors = random_tensors(bisenet_table(**sizes))
  width = tensors["cp.resnet.conv1.weight"].shape[0]
  classes = tensors["conv_out.conv_out.weight"].shape[0]
  for name in ("conv_out16", "conv_out32"):
    shapes = {
      f"{name}.conv.conv.weight": (width, 2 * width, 3, 3),
      f"{name}.conv_out.weight": (classes, width, 1, 1),
    } | {
      f"{name}.conv.bn.{kind}": (width,)
      for kind in ("weight", "bias", "running_mean", "running_var")
    }
    tensors |= {name: _tensor(name, shape) for name, shape in shapes.items()}
  return tensors | _counters(tensors)


def pspnet_tensors(**sizes):
  """With the prefix and the output that only training uses."""
  tensors = random_tensors(pspnet_table(**sizes))
  tensors |= _counters(tensors)
  tensors["aux.4.bias"] = np.zeros(3, np.float32)
  return {"module." + name: tensor for name, tensor in tensors.items()}


def _counters(tensors):
  return {
    name.replace("running_var", "num_batches_tracked"): np.array(7)
    for name in tensors
    if name.endswith("running_var")
  }


def _tensor(name, shape):
  if name.endswith(("running_var", "model.1.weight")):
    return 1 + draw(name, shape, 0.3)  # positive
  if len(shape) == 4:
    # He: keeps the variance of rectified maps.
    return draw(name, shape, np.sqrt(2 / np.prod(shape[1:])))
  return draw(name, shape, 0.2) + name.endswith("weight")
