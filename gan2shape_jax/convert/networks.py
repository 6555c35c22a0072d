"""GAN2Shape's five networks: its `pretrain` files and checkpoints.

A dictionary with the state dictionaries netD (depth), netA (albedo), netV
(view), netL (light) and netEnc (latent encoder). Each network is a
`Sequential` called `network`, so that its weights are `network.{i}.weight`;
the sizes follow from the last index and the shapes (GAN2Shape networks.py).
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from gan2shape_jax.convert.checkpoint_files import CheckpointFile
from gan2shape_jax.convert.gan_file import matches
from gan2shape_jax.convert.tables import (
  Entry,
  apply_table,
  check,
  without_prefix,
)
from gan2shape_jax.errors import UserError

NAMES = {
  "netD": "depth",
  "netA": "albedo",
  "netV": "view",
  "netL": "light",
  "netEnc": "encoder",
}
_OUTPUTS = {"depth": 1, "albedo": 3, "view": 6, "light": 4}


class Sizes(NamedTuple):
  """Arguments of models.networks.build_networks."""

  image_size: int
  latent_size: int
  width: int
  max_channels: int
  code_size: int
  encoder_width: int


class ConvertedNetworks(NamedTuple):
  """Parameters of the five networks by name, and their sizes."""

  params: dict
  sizes: Sizes
  provenance: dict


def convert_networks(file: CheckpointFile) -> ConvertedNetworks:
  """Converts all five networks; each tensor of theirs is used exactly once.

  The optimiser's state and the iteration beside them are left out.

  Raises:
    UserError: a network is missing, or tensors are missing, unexpected or of
      wrong shapes; all of them are named. Or they are of more than 128 px.
  """
  content = file.content if isinstance(file.content, dict) else {}
  missing = [name for name in NAMES if name not in content]
  if missing:
    raise UserError(
      f"{file.path}: has no {', '.join(missing)}, so these are not GAN2Shape's"
      " five networks; name a checkpoint of its joint training"
    )
  arrays = {
    name: without_prefix(file.arrays(content[name]), "module.")
    for name in NAMES
  }
  sizes = _infer_sizes(str(file.path), arrays)
  if sizes.image_size > 128:
    # Their weights would fit all the same, and mean something else.
    raise UserError(
      f"{file.path}: networks of {sizes.image_size} px normalise groups of two"
      " channels in GAN2Shape, and of four here as theirs of 64 and 128 px; use"
      " networks of these sizes"
    )
  params, problems = {}, []
  for name, ours in NAMES.items():
    converted = apply_table(arrays[name], network_table(ours, sizes))
    params[ours] = converted.tree
    problems += [f"{name}: {problem}" for problem in converted.problems]
  check(
    f"{file.path}: not the five networks of {sizes.image_size} px that it seems"
    " to hold",
    "check that it is whole and of GAN2Shape",
    problems,
  )
  return ConvertedNetworks(params, sizes, file.provenance())


def network_table(name: str, sizes: Sizes) -> dict[str, Entry]:
  """Where the arrays of one network of ours come from."""
  if name == "encoder":
    layers = _latent_encoder(sizes)
  elif name in ("view", "light"):
    layers = _vector_encoder(sizes, _OUTPUTS[name])
  else:
    layers = _autoencoder(sizes, _OUTPUTS[name])
  return dict(layers)


def _infer_sizes(where, arrays) -> Sizes:
  def shape(network, index):
    array = arrays[network].get(f"network.{index}.weight")
    if array is None or array.ndim != 4:
      raise UserError(
        f"{where}: {network} has no convolution network.{index}.weight, so its"
        " sizes are unknown; check that it is whole and of GAN2Shape"
      )
    return array.shape

  # The last index: 42 at 64 px, and 9 more for each doubling.
  last = matches(r"network\.(\d+)\.weight", arrays["netA"])[-1:] or [0]
  levels = max(round((last[0] - 42) / 9), -1)
  return Sizes(
    image_size=32 << (levels + 1),
    latent_size=shape("netEnc", 7 + levels)[0],
    width=shape("netA", 0)[0],
    max_channels=max(
      shape("netA", 11 + 3 * levels)[1], shape("netEnc", 5 + levels)[1]
    ),
    code_size=shape("netA", 11 + 3 * levels)[0],
    encoder_width=shape("netEnc", 0)[0],
  )


def _autoencoder(sizes, outputs) -> Iterator[tuple[str, Entry]]:
  channels = _channels(sizes, sizes.width)
  side, index, before = sizes.image_size, 0, 3
  for width in channels:
    side //= 2
    yield _conv(f"down_{side}", index, 4, before, width)
    if side > 4:
      yield from _norm(f"down_{side}_norm", index + 1, width)
    index += 3 if side > 4 else 2  # An activation comes last.
    before = width
  yield _conv("code", index, 4, before, sizes.code_size)
  yield _transposed("up_4", index + 2, sizes.code_size, before)
  yield _conv("conv_4", index + 4, 3, before, before)
  index += 6
  for width in channels[-2::-1]:
    side *= 2
    yield _transposed(f"up_{side}", index, before, width)
    yield from _norm(f"up_{side}_norm", index + 1, width)
    yield _conv(f"conv_{side}", index + 3, 3, width, width)
    yield from _norm(f"conv_{side}_norm", index + 4, width)
    index += 6
    before = width
  index += 1  # The nearest-neighbour enlargement.
  for number, kernel in enumerate((3, 5)):
    yield _conv(f"full_{number}", index, kernel, before, before)
    yield from _norm(f"full_{number}_norm", index + 1, before)
    index += 3
  yield _conv("out", index, 5, before, outputs)


def _vector_encoder(sizes, outputs) -> Iterator[tuple[str, Entry]]:
  side, before = sizes.image_size, 3
  channels = _channels(sizes, sizes.width)
  for number, width in enumerate(channels):
    side //= 2
    yield _conv(f"down_{side}", 2 * number, 4, before, width)
    before = width
  yield _conv("code", 2 * len(channels), 4, before, before)
  yield _linear("out", 2 * len(channels) + 2, before, outputs)


def _latent_encoder(sizes) -> Iterator[tuple[str, Entry]]:
  before, *rest = _channels(sizes, sizes.encoder_width)
  side = sizes.image_size // 2
  yield _conv(f"down_{side}", 0, 4, 3, before)
  for index, width in enumerate(rest, start=1):
    side //= 2
    block, source = f"block_{side}", f"network.{index}"
    for ours, theirs, kernel, inputs in (
      ("conv1", "conv1", 3, before),
      ("conv2", "conv2", 3, width),
      ("shortcut", "conv_sc", 1, before),
    ):
      entry = Entry(
        f"{source}.{theirs}.weight", (width, inputs, kernel, kernel), _hwio
      )
      yield f"{block}/{ours}/kernel", entry
    yield f"{block}/shortcut/bias", Entry(f"{source}.conv_sc.bias", (width,))
    before = width
  index = len(rest) + 2  # After an activation.
  yield _conv("code", index, 4, before, 2 * before)
  yield _linear("out", index + 2, 2 * before, sizes.latent_size)


def _channels(sizes, width):
  """As in models/networks.py: doubled at each halving down to side 4."""
  levels = sizes.image_size.bit_length() - 3
  return [min(width << level, sizes.max_channels) for level in range(levels)]


def _hwio(array: np.ndarray) -> np.ndarray:
  return array.transpose(2, 3, 1, 0)


def _conv(layer, index, kernel, inputs, outputs):
  shape = (outputs, inputs, kernel, kernel)
  return f"{layer}/kernel", Entry(f"network.{index}.weight", shape, _hwio)


def _transposed(layer, index, inputs, outputs):
  """PyTorch stores a transposed convolution as (in, out, h, w)."""
  name, shape = f"network.{index}.weight", (inputs, outputs, 4, 4)
  return f"{layer}/kernel", Entry(
    name, shape, lambda a: a.transpose(2, 3, 0, 1)
  )


def _linear(layer, index, inputs, outputs):
  name, shape = f"network.{index}.weight", (outputs, inputs, 1, 1)
  return f"{layer}/kernel", Entry(name, shape, lambda a: a[:, :, 0, 0].T)


def _norm(layer, index, channels):
  for ours, theirs in (("scale", "weight"), ("bias", "bias")):
    name = f"network.{index}.{theirs}"
    yield f"{layer}/{ours}", Entry(name, (channels,))
