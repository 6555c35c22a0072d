"""NVIDIA's network pickles, of PyTorch modules or of TensorFlow networks.

Both kinds carry the source code of their networks and expect it to be run.
Here only names, settings and arrays are taken.

  PyTorch: a dictionary of persistent modules G, D, G_ema; see stylegan2-ada-
    pytorch torch_utils/persistence.py. Tensors are whole `torch.save` files
    (usually legacy ones) as byte strings.
  TensorFlow: the tuple (G, D, Gs) of networks with a list of variables and
    dictionaries of sub-networks; see stylegan2 dnnlib/tflib/network.py.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from gan2shape_jax.convert.pickles import (
  Attributes,
  Dictionary,
  RestrictedUnpickler,
  as_array,
)
from gan2shape_jax.convert.torch_files import (
  TORCH_ADMITTED,
  Source,
  read_torch,
)


@dataclasses.dataclass(frozen=True)
class Module:
  """A PyTorch module without its code.

  Attributes:
    name: of its class.
    state: its attributes.
  """

  name: str
  state: Mapping[str, Any]

  def tensors(self) -> dict[str, np.ndarray]:
    """Parameters and buffers by dotted names, those of sub-modules too."""
    return {
      name: as_array(leaf)
      for path, module in self.modules()
      for own in ("_parameters", "_buffers")
      for name, leaf in (
        (f"{path}{name}", leaf)
        for name, leaf in module.state.get(own, {}).items()
      )
      if leaf is not None
    }

  def modules(self, path: str = "") -> list[tuple[str, "Module"]]:
    """This module and all below it; their paths end in a dot."""
    found = [(path, self)]
    for name, module in self.state.get("_modules", {}).items():
      if isinstance(module, Module):
        found += module.modules(f"{path}{name}.")
    return found


class Network(Attributes):
  """A TensorFlow network without its code: the attributes it was saved with."""

  def variables(self) -> dict[str, np.ndarray]:
    """Variables by name, those of sub-networks as `mapping/...`."""
    found = {name: as_array(value) for name, value in self["variables"]}
    for component, network in self.get("components", {}).items():
      found |= {
        f"{component}/{name}": value
        for name, value in network.variables().items()
      }
    return found


def read_nvidia(source: Source) -> Any:
  """What was pickled, with `Module` or `Network` in place of networks."""

  def storages(data):
    if not isinstance(data, bytes):
      raise TypeError("a storage without bytes")
    return read_torch(Source(source.name, data), data)

  def module(meta):
    return Module(meta["class_name"], meta["state"])

  admitted = TORCH_ADMITTED | {
    "dnnlib.EasyDict": Dictionary,
    "dnnlib.tflib.network.Network": Network,
    "dnnlib.util.EasyDict": Dictionary,
    "torch.storage._load_from_bytes": storages,
    "torch_utils.persistence._reconstruct_persistent_obj": module,
  }
  with source.open() as file:
    return RestrictedUnpickler(file, source.name, admitted=admitted).load()
