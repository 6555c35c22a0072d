"""LPIPS of two files: torchvision's VGG16 and the published linear weights."""

import numpy as np

from gan2shape_jax.convert.tables import Arrays, Entry, apply_table, check
from gan2shape_jax.convert.torch_layers import (
  Table,
  channels_out,
  conv,
  without,
)

# Our convolutions and torchvision's numbers of them in `features`.
_CONVOLUTIONS = {
  "conv1_1": 0,
  "conv1_2": 2,
  "conv2_1": 5,
  "conv2_2": 7,
  "conv3_1": 10,
  "conv3_2": 12,
  "conv3_3": 14,
  "conv4_1": 17,
  "conv4_2": 19,
  "conv4_3": 21,
  "conv5_1": 24,
  "conv5_2": 26,
  "conv5_3": 28,
}
_MULTIPLES = (1, 2, 4, 8, 8)  # Channels of the blocks, in widths.


def vgg_table(*, width: int = 64) -> Table:
  """Our paths and the tensors of torchvision's `vgg16`, without classifier."""
  table, before = {}, 3
  for path, number in _CONVOLUTIONS.items():
    after = width * _MULTIPLES[int(path[4]) - 1]
    name = f"features.{number}"
    table |= conv(path, name, (before, after), side=3, bias=True)
    before = after
  return table


def linear_table(*, width: int = 64) -> Table:
  """Our paths and the tensors of PerceptualSimilarity's `v0.1/vgg.pth`."""
  return {
    f"linear{block + 1}": Entry(
      f"lin{block}.model.1.weight", (1, multiple * width, 1, 1), np.ravel
    )
    for block, multiple in enumerate(_MULTIPLES)
  }


def convert_lpips(vgg: Arrays, linear: Arrays) -> dict:
  """Our tree (models/lpips.py).

  Args:
    vgg: tensors of torchvision's `vgg16`; those of its classifier are left.
    linear: tensors of PerceptualSimilarity's `lpips/weights/v0.1/vgg.pth`.

  Raises:
    UserError: a tensor is missing, unexpected, or of another shape, or a
      linear weight is negative.
  """
  vgg = without(vgg, prefixes=("classifier.",))
  width = channels_out(vgg, "features.0.weight", 64)
  tree, problems = apply_table(vgg, vgg_table(width=width))
  linear_tree, linear_problems = apply_table(linear, linear_table(width=width))
  problems = problems + linear_problems
  problems += [
    f"negative: weights of {path}"
    for path, weights in linear_tree.items()
    if weights.min() < 0
  ]
  check(
    "LPIPS",
    "use torchvision's vgg16 (vgg16-397923af.pth) and PerceptualSimilarity's"
    " lpips/weights/v0.1/vgg.pth",
    problems,
  )
  return tree | linear_tree
