"""Entries of tables for the layers of PyTorch's picture networks."""

import itertools

from gan2shape_jax.convert.tables import Arrays, Entry

Table = dict[str, Entry]


def conv(
  path: str,
  name: str,
  channels: tuple[int, int],
  *,
  side: int = 1,
  bias: bool = False,
) -> Table:
  """A convolution.

  Args:
    path: of our layer.
    name: of PyTorch's.
    channels: into it and out of it.
    side: of the kernel.
    bias: whether it has one.
  """
  before, after = channels
  table = {
    f"{path}/kernel": Entry(
      f"{name}.weight",
      (after, before, side, side),
      lambda kernel: kernel.transpose(2, 3, 1, 0),
    )
  }
  if bias:
    table[f"{path}/bias"] = Entry(f"{name}.bias", (after,))
  return table


def conv_norm(
  path: str,
  name: str,
  norm: str,
  channels: tuple[int, int],
  *,
  side: int = 1,
) -> Table:
  """A convolution and its batch norm, of the name `norm`."""
  shape = channels[1:]
  return conv(path, name, channels, side=side) | {
    f"{path}/scale": Entry(f"{norm}.weight", shape),
    f"{path}/bias": Entry(f"{norm}.bias", shape),
    f"{path}/mean": Entry(f"{norm}.running_mean", shape),
    f"{path}/variance": Entry(f"{norm}.running_var", shape),
  }


def residual_block(
  path: str, name: str, channels: tuple[int, ...], sides: tuple[int, ...]
) -> Table:
  """Convolutions with norms, and a shortcut where the channels change.

  Args:
    path: of our block.
    name: of PyTorch's, named as in torchvision's ResNet.
    channels: into each convolution, and out of the last one.
    sides: of the kernels.
  """
  table = {}
  pairs = itertools.pairwise(channels)
  for number, (pair, side) in enumerate(zip(pairs, sides, strict=True), 1):
    table |= conv_norm(
      f"{path}/conv{number}",
      f"{name}.conv{number}",
      f"{name}.bn{number}",
      pair,
      side=side,
    )
  before, after = channels[0], channels[-1]
  if before != after:
    table |= conv_norm(
      f"{path}/shortcut",
      f"{name}.downsample.0",
      f"{name}.downsample.1",
      (before, after),
    )
  return table


def channels_out(arrays: Arrays, name: str, default: int) -> int:
  """Channels out of a convolution, or the published number if it is missing.

  A table of the published shapes then says what is wrong.
  """
  kernel = arrays.get(name)
  return default if kernel is None or kernel.ndim != 4 else kernel.shape[0]


def without(arrays: Arrays, *, prefixes: tuple[str, ...]) -> Arrays:
  """Leaves out parts that only training uses, and counters of batches."""
  return {
    name: array
    for name, array in arrays.items()
    if not name.startswith(prefixes)
    and not name.endswith("num_batches_tracked")
  }
