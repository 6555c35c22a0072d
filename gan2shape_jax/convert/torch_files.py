"""Files of `torch.save`: the zip format, and the five pickles before it.

Both hold a pickle whose tensors refer to storages by key, and the storages as
raw little-endian numbers. Tensors are read when `numpy()` asks for them, so an
optimiser's state that nobody wants costs nothing.
"""

import contextlib
import dataclasses
import io
import math
import pathlib
import struct
import zipfile
from collections.abc import Callable
from typing import Any, BinaryIO

import numpy as np

from gan2shape_jax.convert.pickles import RestrictedUnpickler

ZIP_START = b"PK\x03\x04"
# A pickle (protocol 2) of the legacy format's magic number.
LEGACY_START = bytes.fromhex("80028a0a6cfc9c46f9206aa850192e")

# Storage classes and the types of what is in them; bfloat16 is the upper half
# of a float32.
_STORAGES = {
  "BFloat16Storage": "bfloat16",
  "BoolStorage": "bool",
  "ByteStorage": "uint8",
  "CharStorage": "int8",
  "DoubleStorage": "float64",
  "FloatStorage": "float32",
  "HalfStorage": "float16",
  "IntStorage": "int32",
  "LongStorage": "int64",
  "ShortStorage": "int16",
}
_NAMES = (*_STORAGES.values(), "contiguous_format", "channels_last")


class Source:
  """The bytes of a file, or bytes within a file; opened as often as needed."""

  def __init__(self, name: str, content: pathlib.Path | bytes):
    self.name = name
    self._content = content

  def open(self) -> BinaryIO:
    """A stream of the bytes from their start."""
    if isinstance(self._content, bytes):
      return io.BytesIO(self._content)
    return self._content.open("rb")


@dataclasses.dataclass(frozen=True)
class Storage:
  """A run of numbers somewhere in a file.

  Attributes:
    kind: name of the numbers' type.
    count: how many of them.
    read: reads `size` bytes, the numbers.
  """

  kind: str
  count: int
  read: Callable[[], bytes]

  @property
  def number_type(self) -> np.dtype:
    """The type that the numbers have in the file."""
    if self.kind not in _STORAGES.values() or self.count < 0:
      raise ValueError(f"a storage of {self.count} numbers {self.kind!r}")
    kind = "uint16" if self.kind == "bfloat16" else self.kind
    return np.dtype(kind).newbyteorder("<")

  @property
  def size(self) -> int:
    """Bytes of the numbers."""
    return self.count * self.number_type.itemsize

  def numpy(self) -> np.ndarray:
    """All the numbers."""
    data = self.read()
    if len(data) != self.size:
      raise ValueError(f"a storage has {len(data)} bytes, not {self.size}")
    flat = np.frombuffer(data, self.number_type)
    if self.kind == "bfloat16":
      return (flat.astype(np.uint32) << 16).view(np.float32)
    return flat


@dataclasses.dataclass(frozen=True)
class Tensor:
  """A strided view into a storage; offset and strides count numbers."""

  storage: Storage
  offset: int
  shape: tuple[int, ...]
  strides: tuple[int, ...]

  def numpy(self) -> np.ndarray:
    """The tensor's numbers, contiguous, in memory of their own."""
    if (
      len(self.strides) != len(self.shape)
      or min((self.offset, *self.shape, *self.strides), default=0) < 0
    ):
      raise ValueError(f"a tensor of shape {self.shape} has no valid layout")
    flat = self.storage.numpy()
    if math.prod(self.shape) == 0:
      return np.zeros(self.shape, flat.dtype)
    extents = zip(self.shape, self.strides, strict=True)
    last = self.offset + sum((n - 1) * stride for n, stride in extents)
    if last >= flat.size:
      raise ValueError(f"a tensor of shape {self.shape} exceeds its storage")
    strided = np.lib.stride_tricks.as_strided(
      flat[self.offset :],
      self.shape,
      [stride * flat.itemsize for stride in self.strides],
    )
    return strided.copy()


def _rebuild_tensor(storage, offset, shape, strides, *unused):
  if not isinstance(storage, Storage):
    raise TypeError("a tensor without a storage")
  return Tensor(storage, offset, tuple(shape), tuple(strides))


def _rebuild_parameter(tensor, *unused):
  return tensor


TORCH_ADMITTED = {
  "torch.Size": tuple,
  "torch.device": lambda *arguments: "device",
  "torch._utils._rebuild_parameter": _rebuild_parameter,
  "torch._utils._rebuild_parameter_with_state": _rebuild_parameter,
  "torch._utils._rebuild_tensor": _rebuild_tensor,
  "torch._utils._rebuild_tensor_v2": _rebuild_tensor,
}
TORCH_ADMITTED |= {f"torch.{name}": lambda: None for name in _NAMES}


class _StorageUnpickler(RestrictedUnpickler):
  """Knows torch's names; storage classes are their types' names."""

  def find_class(self, module, name):
    if module == "torch" and name in _STORAGES:
      return _STORAGES[name]
    return super().find_class(module, name)


def read_zip(source: Source) -> Any:
  """What was saved, with `Tensor` leaves."""
  with source.open() as file, zipfile.ZipFile(file) as archive:
    names = archive.namelist()
    (prefix,) = {name.split("/", 1)[0] for name in names}
    byte_order = f"{prefix}/byteorder"
    if byte_order in names and archive.read(byte_order) != b"little":
      raise ValueError("its numbers are big-endian")
    data = archive.read(f"{prefix}/data.pkl")

  def read_entry(key):
    with source.open() as file, zipfile.ZipFile(file) as archive:
      return archive.read(f"{prefix}/data/{key}")

  def storage(pid):
    tag, kind, key, _, count = pid
    if tag != "storage":
      raise ValueError(f"a reference of kind {tag!r}")
    return Storage(kind, count, lambda: read_entry(key))

  return _StorageUnpickler(
    io.BytesIO(data),
    source.name,
    admitted=TORCH_ADMITTED,
    persistent=storage,
  ).load()


def read_legacy(source: Source) -> Any:
  """What was saved, with `Tensor` leaves."""
  storages, places = {}, {}

  def read_numbers(key):
    with source.open() as file:
      file.seek(places[key])
      return file.read(storages[key].size)

  def storage(pid):
    tag, kind, key, _, count, view = pid
    if tag != "storage" or view is not None:
      raise ValueError(f"a reference of kind {tag!r}, or a view of a storage")
    return storages.setdefault(
      key, Storage(kind, count, lambda: read_numbers(key))
    )

  def load(file):
    return _StorageUnpickler(
      file, source.name, admitted=TORCH_ADMITTED, persistent=storage
    ).load()

  with contextlib.closing(source.open()) as file:
    _, protocol, system = load(file), load(file), load(file)
    if protocol != 1001 or not system["little_endian"]:
      raise ValueError("its numbers are big-endian, or its version is unknown")
    content = load(file)
    for key in load(file):
      (count,) = struct.unpack("<q", file.read(8))
      if count != storages[key].count:
        raise ValueError(f"storage {key} has {count} numbers")
      places[key] = file.tell()
      file.seek(storages[key].size, io.SEEK_CUR)
    end = file.tell()
    if end > file.seek(0, io.SEEK_END):
      raise EOFError("it ends early")
  if storages.keys() != places.keys():
    raise EOFError("it lacks storages")
  return content


def read_torch(source: Source, start: bytes) -> Any:
  """Either format, chosen by the first bytes."""
  return (read_zip if start.startswith(ZIP_START) else read_legacy)(source)
