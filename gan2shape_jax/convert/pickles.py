"""Reading pickles without running anything that they ask for.

A pickle names functions and calls them. Here every name is looked up in a
table of harmless stand-ins, which only collect what they are given; a name
that is not in the table is refused. Numpy arrays are rebuilt from their bytes
and never by numpy's own (un)pickling.
"""

import dataclasses
import pickle
import re
import struct
import zlib
from collections.abc import Callable, Mapping
from typing import Any, BinaryIO, Protocol

import numpy as np

from gan2shape_jax.errors import UserError

# What damaged or hostile bytes make an unpickler or a stand-in raise.
DAMAGE = (
  pickle.UnpicklingError,
  ArithmeticError,
  AssertionError,
  AttributeError,
  EOFError,
  LookupError,
  MemoryError,
  RuntimeError,
  TypeError,
  ValueError,
  struct.error,
  zlib.error,
)


class ArrayLeaf(Protocol):
  """An array of a file that has not been read or copied yet."""

  def numpy(self) -> np.ndarray:
    """The array, in memory of its own."""


class Dictionary(dict):
  """Any kind of dictionary; attributes beside its items are dropped."""

  def __setstate__(self, state: Any) -> None:
    """Ignores attributes, such as the versions in a `state_dict`."""


class Attributes(dict):
  """An object of which only the attributes are known, by name."""

  def __setstate__(self, state: Mapping) -> None:
    """Takes the attributes."""
    self.update(state)


@dataclasses.dataclass
class DataType:
  """Stand-in for `numpy.dtype`: plain numbers only."""

  name: str
  order: str = "="

  def __setstate__(self, state: tuple) -> None:
    """Takes the byte order, the only variable part of a number's type."""
    self.order = state[1]

  def numpy(self) -> np.dtype:
    """The real type."""
    if not re.fullmatch("[biufc][0-9]+", self.name):
      raise ValueError(f"arrays of type {self.name!r}")
    return np.dtype(self.order + self.name)


class Array:
  """Stand-in for `numpy.ndarray` under reconstruction."""

  def __setstate__(self, state: tuple) -> None:
    """Takes numpy's (version, shape, dtype, is_fortran, bytes)."""
    _, self._shape, self._type, self._fortran, self._data = state

  def numpy(self) -> np.ndarray:
    """The real array."""
    data = self._data
    if isinstance(data, str):  # Python 2's bytes.
      data = data.encode("latin1")
    flat = np.frombuffer(data, self._type.numpy())
    return flat.reshape(self._shape, order="F" if self._fortran else "C").copy()


def _scalar(dtype, data):
  """Stand-in for numpy's scalar constructor."""
  (value,) = np.frombuffer(data, dtype.numpy())
  return value


def _encode(text, encoding):
  """Stand-in for `_codecs.encode`, by which protocol 2 writes bytes."""
  if encoding != "latin1":
    raise ValueError(f"bytes in {encoding}")
  return text.encode("latin1")


_ADMITTED = {
  "__builtin__.bytes": lambda: b"",  # Protocol 2's way to write no bytes.
  "__builtin__.set": set,
  "_codecs.encode": _encode,
  "argparse.Namespace": Attributes,
  "builtins.set": set,
  "collections.OrderedDict": Dictionary,
  "numpy.dtype": lambda name, *flags: DataType(name),
  "numpy.ndarray": lambda: None,  # An argument of `_reconstruct` only.
} | {
  f"numpy.{core}.multiarray.{name}": stand_in
  for core in ("core", "_core")
  for name, stand_in in (
    ("_reconstruct", lambda *arguments: Array()),
    ("scalar", _scalar),
  )
}


class _Call:
  """A stand-in function, one for each file.

  A pickle may set attributes of what it looked up, so it gets neither a shared
  object nor a Python function.
  """

  __slots__ = ("_function",)

  def __init__(self, function):
    self._function = function

  def __call__(self, *arguments):
    return self._function(*arguments)


class RestrictedUnpickler(pickle.Unpickler):
  """Reads one pickle, calling only stand-ins."""

  def __init__(
    self,
    file: BinaryIO,
    name: str,
    *,
    admitted: Mapping[str, Callable] | None = None,
    persistent: Callable[[tuple], Any] | None = None,
  ):
    # latin1 maps the byte strings of Python 2 to characters one to one.
    super().__init__(file, encoding="latin1")
    self._name = name
    self._admitted = _ADMITTED | dict(admitted or {})
    self._persistent = persistent
    self._found = {}

  def find_class(self, module: str, name: str) -> Any:
    """The stand-in of a global name.

    Raises:
      UserError: the name is not one that files of weights need.
    """
    full = f"{module}.{name}"
    if full not in self._admitted:
      raise UserError(
        f"{self._name}: refused, because it asks to load {full!r}, which is no"
        " tensor, array or plain container; nothing of it was executed. Get a"
        " file of weights only (a state_dict)"
      )
    if full not in self._found:
      stand_in = self._admitted[full]
      # Objects need a type; a fresh one cannot be changed for other files.
      self._found[full] = (
        type(stand_in.__name__, (stand_in,), {})
        if isinstance(stand_in, type)
        else _Call(stand_in)
      )
    return self._found[full]

  def persistent_load(self, pid: Any) -> Any:
    """What an external reference stands for."""
    if self._persistent is None:
      raise pickle.UnpicklingError("unexpected external reference")
    return self._persistent(pid)


def as_array(leaf: Any) -> np.ndarray:
  """The array of a leaf, which may also be a number that numpy wrote.

  Raises:
    TypeError: it is neither.
  """
  if isinstance(leaf, np.generic):
    return np.asarray(leaf)
  if not hasattr(leaf, "numpy"):
    raise TypeError(f"a {type(leaf).__name__} in place of an array")
  return leaf.numpy()


def flatten_arrays(tree: Any) -> dict[str, np.ndarray]:
  """Nested dictionaries of leaves as dotted names; the arrays are read.

  Raises:
    TypeError: something in the tree is neither a dictionary nor an array.
  """
  if not isinstance(tree, Mapping):
    return {"": as_array(tree)}
  return {
    f"{name}.{below}".rstrip("."): array
    for name, child in tree.items()
    for below, array in flatten_arrays(child).items()
  }
