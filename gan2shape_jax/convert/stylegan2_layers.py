"""Our StyleGAN2 trees leaf by leaf, and how a format of files stores each kind.

A format is a `Scheme`: what it calls our layers, and for each kind of leaf the
name within the layer, the shape and the way to our array. Our own kernels are
raw (equalised at run time), HWIO; those of `up_*` layers are correlation
kernels on the upsampled map (see models/stylegan2.py).
"""

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

import numpy as np

from gan2shape_jax.convert.tables import Entry, Shape
from gan2shape_jax.models.architecture import Architecture


class Leaf(NamedTuple):
  """One of our arrays.

  Attributes:
    layer: path of the layer, such as "synthesis/up_8".
    path: of the array.
    kind: which `Kind` of a scheme it is.
    shape: of the array.
    index: number of the styled layer, in the order of the noise maps.
  """

  layer: str
  path: str
  kind: str
  shape: Shape
  index: int = 0


class Kind(NamedTuple):
  """How a format stores leaves of one kind.

  Attributes:
    name: format string of `layer` (the format's) and `index`.
    shape: the format's shape from ours.
    convert: our array from the format's.
  """

  name: str
  shape: Callable[..., Shape]
  convert: Callable[[np.ndarray], np.ndarray]


class Scheme(NamedTuple):
  """A format of StyleGAN2 files.

  Attributes:
    layer: the format's name of one of our layers.
    kinds: how each kind of leaf is stored.
  """

  layer: Callable[[str], str]
  kinds: Mapping[str, Kind]

  def table(self, leaves: Iterator[Leaf]) -> dict[str, Entry]:
    """Where our arrays come from in a file of this format."""
    table = {}
    for leaf in leaves:
      kind = self.kinds[leaf.kind]
      table[leaf.path] = Entry(
        kind.name.format(layer=self.layer(leaf.layer), index=leaf.index),
        kind.shape(*leaf.shape),
        kind.convert,
      )
    return table


def generator_leaves(arch: Architecture) -> Iterator[Leaf]:
  """All arrays of a generator."""
  size = arch.latent_size
  for i in range(1, arch.mapping_layers + 1):
    layer = f"mapping/dense_{i}"
    yield Leaf(layer, f"{layer}/kernel", "dense_kernel", (size, size))
    yield Leaf(layer, f"{layer}/bias", "dense_bias", (size,))
  yield Leaf(
    "synthesis", "synthesis/constant", "constant", (4, 4, arch.channels[0])
  )
  before, index = arch.channels[0], 0
  for side in arch.resolutions:
    width = arch.channels_at(side)
    if side > 4:
      yield from _styled(arch, "up", side, before, width, index)
      index += 1
    yield from _styled(arch, "conv", side, width, width, index)
    index += 1
    layer = f"synthesis/rgb_{side}"
    yield Leaf(layer, f"{layer}/kernel", "rgb_kernel", (1, 1, width, 3))
    yield Leaf(layer, f"{layer}/bias", "rgb_bias", (3,))
    yield from _modulation(arch, layer, width)
    before = width


def discriminator_leaves(arch: Architecture) -> Iterator[Leaf]:
  """All arrays of a discriminator."""
  width = arch.channels[-1]
  yield Leaf("rgb", "rgb/kernel", "conv_kernel", (1, 1, 3, width))
  yield Leaf("rgb", "rgb/bias", "conv_bias", (width,))
  for side in arch.resolutions[:0:-1]:
    width, after = arch.channels_at(side), arch.channels_at(side // 2)
    for name, kind, shape in (
      ("conv1", "conv", (3, 3, width, width)),
      ("conv2", "down", (3, 3, width, after)),
      ("skip", "down", (1, 1, width, after)),
    ):
      layer = f"block_{side}/{name}"
      yield Leaf(layer, f"{layer}/kernel", f"{kind}_kernel", shape)
      if name != "skip":
        yield Leaf(layer, f"{layer}/bias", f"{kind}_bias", shape[-1:])
  width = arch.channels[0]
  for layer, kind, shape in (
    ("final_conv", "conv", (3, 3, width + 1, width)),
    ("final_dense", "flat", (16 * width, width)),
    ("score", "dense", (width, 1)),
  ):
    yield Leaf(layer, f"{layer}/kernel", f"{kind}_kernel", shape)
    bias = "conv" if kind == "conv" else "dense"
    yield Leaf(layer, f"{layer}/bias", f"{bias}_bias", shape[-1:])


def dense_kernel(array: np.ndarray) -> np.ndarray:
  """PyTorch's (out, in) to ours."""
  return array.T


def conv_kernel(array: np.ndarray) -> np.ndarray:
  """PyTorch's (out, in, h, w) to ours."""
  return array.transpose(2, 3, 1, 0)


def up_kernel(array: np.ndarray) -> np.ndarray:
  """PyTorch's, given to a transposed convolution, to ours, which is not."""
  return conv_kernel(array)[::-1, ::-1]


def flat_kernel(array: np.ndarray) -> np.ndarray:
  """PyTorch's (out, (c, 4, 4)) to our ((4, 4, c), out)."""
  features = array.shape[0]
  split = array.reshape(features, -1, 4, 4)
  return split.transpose(2, 3, 1, 0).reshape(-1, features)


def same(array: np.ndarray) -> np.ndarray:
  """The array itself."""
  return array


def blur_kernel(gain: float) -> np.ndarray:
  """The outer product of [1, 3, 3, 1] that sums up to `gain`."""
  taps = np.array([1, 3, 3, 1], np.float32)
  return gain * np.outer(taps, taps) / 64


def _styled(arch, kind, side, before, width, index):
  layer = f"synthesis/{kind}_{side}"
  yield Leaf(layer, f"{layer}/kernel", f"{kind}_styled", (3, 3, before, width))
  yield Leaf(layer, f"{layer}/bias", "styled_bias", (width,))
  if arch.noise:
    yield Leaf(layer, f"{layer}/noise", "noise", (side, side), index)
    yield Leaf(layer, f"{layer}/noise_strength", "noise_strength", ())
  yield from _modulation(arch, layer, before)


def _modulation(arch, layer, width):
  yield Leaf(
    layer,
    f"{layer}/modulation/kernel",
    "modulation_kernel",
    (arch.latent_size, width),
  )
  yield Leaf(layer, f"{layer}/modulation/bias", "modulation_bias", (width,))
