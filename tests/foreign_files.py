"""Writers of the foreign checkpoint formats, byte by byte, without PyTorch.

In what is written, a numpy array stands for a tensor (or, in `numpy_pickle`,
for itself), a `Global` for a name to look up, and a `Call` for a call of one.
"""

import dataclasses
import io
import pickle
import struct
import zipfile
from typing import Any, NamedTuple

import numpy as np

MAGIC = 0x1950A86A20F9469CFC6C
PROTOCOL = 1001
SYSTEM = {
  "protocol_version": PROTOCOL,
  "little_endian": True,
  "type_sizes": {"short": 2, "int": 4, "long": 4},
}
STORAGE_TYPES = {
  "float32": "FloatStorage",
  "float64": "DoubleStorage",
  "float16": "HalfStorage",
  "int64": "LongStorage",
  "uint8": "ByteStorage",
  "bool": "BoolStorage",
}


class Global(NamedTuple):
  module: str
  name: str


@dataclasses.dataclass
class Call:
  function: Global
  arguments: tuple = ()
  state: Any = None
  new: bool = False  # An object made by `__new__` instead of a call.


@dataclasses.dataclass
class StorageReference:
  key: str
  array: np.ndarray

  def pid(self, *more):
    kind = Global("torch", STORAGE_TYPES[self.array.dtype.name])
    return ("storage", kind, self.key, "cpu", self.array.size, *more)


def ordered_dict(items=(), state=None):
  return Call(Global("collections", "OrderedDict"), (list(items),), state)


def os_system(command):
  """What a hostile pickle would like to do."""
  return Call(Global("os", "system"), (command,))


class Writer(pickle._Pickler):
  """Python's pickler, which writes `Global` and `Call` as they say."""

  def __init__(self, file, protocol=2):
    super().__init__(file, protocol)
    self.pid_tail = ()

  def persistent_id(self, obj):
    if isinstance(obj, StorageReference):
      return obj.pid(*self.pid_tail)
    return None

  def save(self, obj, save_persistent_id=True):
    if isinstance(obj, Global):
      self.write(f"c{obj.module}\n{obj.name}\n".encode())
    elif isinstance(obj, Call):
      self.save(obj.function)
      self.save(obj.arguments)
      self.write(pickle.NEWOBJ if obj.new else pickle.REDUCE)
      if obj.state is not None:
        self.save(obj.state)
        self.write(pickle.BUILD)
    elif isinstance(obj, np.ndarray | np.generic):
      self.save(self.array(obj))
    else:
      super().save(obj, save_persistent_id)

  def array(self, array):
    raise NotImplementedError


class TorchWriter(Writer):
  """Arrays become tensors that refer to storages."""

  def __init__(self, file):
    super().__init__(file)
    self.storages = {}

  def array(self, array):
    key = str(1000 - len(self.storages))  # Not in the order of their names.
    self.storages[key] = np.ascontiguousarray(array).reshape(-1)
    return tensor(StorageReference(key, self.storages[key]), array)


def tensor(storage, array):
  strides = np.ones(array.shape).strides if array.ndim else ()
  return Call(
    Global("torch._utils", "_rebuild_tensor_v2"),
    (
      storage,
      0,
      array.shape,
      tuple(stride // 8 for stride in strides),
      False,
      ordered_dict(),
    ),
  )


def legacy_file(content) -> bytes:
  """The five pickles and the storages of torch before 1.6."""
  file = io.BytesIO()
  for part in (MAGIC, PROTOCOL, SYSTEM):
    pickle.dump(part, file, 2)
  writer = TorchWriter(file)
  writer.pid_tail = (None,)
  writer.dump(content)
  pickle.dump(sorted(writer.storages), file, 2)
  for key in sorted(writer.storages):
    array = writer.storages[key]
    file.write(struct.pack("<q", array.size) + array.tobytes())
  return file.getvalue()


def zip_file(content) -> bytes:
  """The archive of torch since 1.6."""
  data = io.BytesIO()
  writer = TorchWriter(data)
  writer.dump(content)
  file = io.BytesIO()
  with zipfile.ZipFile(file, "w") as archive:
    archive.writestr("archive/data.pkl", data.getvalue())
    archive.writestr("archive/byteorder", "little")
    archive.writestr("archive/version", "3\n")
    for key, array in writer.storages.items():
      archive.writestr(f"archive/data/{key}", array.tobytes())
  return file.getvalue()


class NvidiaWriter(Writer):
  """Arrays become tensors that hold whole legacy files."""

  def array(self, array):
    file = io.BytesIO()
    for part in (MAGIC, PROTOCOL, SYSTEM):
      pickle.dump(part, file, 2)
    flat = np.ascontiguousarray(array).reshape(-1)
    inner = Writer(file)
    inner.pid_tail = (None,)
    inner.dump(StorageReference("7", flat))
    pickle.dump(["7"], file, 2)
    file.write(struct.pack("<q", flat.size) + flat.tobytes())
    loader = Global("torch.storage", "_load_from_bytes")
    return tensor(Call(loader, (file.getvalue(),)), array)


class NumpyWriter(Writer):
  """Arrays as numpy 1 pickles them."""

  def array(self, array):
    dtype = Call(
      Global("numpy", "dtype"),
      (array.dtype.str[1:], False, True),
      (3, "<", None, None, None, -1, -1, 0),
    )
    if isinstance(array, np.generic):
      scalar = Global("numpy.core.multiarray", "scalar")
      return Call(scalar, (dtype, array.tobytes()))
    return Call(
      Global("numpy.core.multiarray", "_reconstruct"),
      (Global("numpy", "ndarray"), (0,), b"b"),
      (1, array.shape, dtype, False, array.tobytes()),
    )


def _written(writer, content, protocol):
  file = io.BytesIO()
  writer(file, protocol).dump(content)
  return file.getvalue()


def nvidia_pickle(content) -> bytes:
  """A pickle of stylegan2-ada-pytorch."""
  return _written(NvidiaWriter, content, 3)


def numpy_pickle(content) -> bytes:
  """A pickle of NVIDIA's TensorFlow code."""
  return _written(NumpyWriter, content, 3)


def persistent_module(class_name, state):
  """A module with the source code that NVIDIA's loader would execute."""
  meta = {
    "type": "class",
    "version": 6,
    "module_src": "raise SystemExit('this source must not be executed')",
    "class_name": class_name,
    "state": state,
  }
  return Call(
    Global("torch_utils.persistence", "_reconstruct_persistent_obj"), (meta,)
  )


def module_tree(class_name, arrays, settings=None):
  """Persistent modules that hold arrays of dotted names.

  Args:
    class_name: of the outermost module.
    arrays: by names such as "mapping.fc0.weight".
    settings: attributes of modules by their paths ("" is the outermost).
  """
  settings = settings or {}

  def module(path):
    own, inner = {}, {}
    for name in arrays:
      if path and not name.startswith(path + "."):
        continue
      rest = name[len(path) + 1 :] if path else name
      head, _, tail = rest.partition(".")
      full = f"{path}.{head}" if path else head
      if tail:
        inner.setdefault(head, full)
      else:
        own[head] = arrays[name]
    buffers = {
      k: v
      for k, v in own.items()
      if k in ("w_avg", "noise_const", "resample_filter")
    }
    parameters = {
      k: Call(
        Global("torch._utils", "_rebuild_parameter"), (v, True, ordered_dict())
      )
      for k, v in own.items()
      if k not in buffers
    }
    state = {
      "training": False,
      "_parameters": ordered_dict([*parameters.items(), ("absent", None)]),
      "_buffers": ordered_dict(buffers.items()),
      "_non_persistent_buffers_set": Call(Global("builtins", "set"), ([],)),
      "_modules": ordered_dict((k, module(v)) for k, v in inner.items()),
      "_init_kwargs": {},
    }
    name = class_name if not path else "Layer"
    return persistent_module(name, state | settings.get(path, {}))

  return module("")


def tensorflow_network(arrays, static_kwargs=None):
  """A network whose variables in components are named `component/...`."""
  components = {}
  own = []
  for name, array in arrays.items():
    head, _, tail = name.partition("/")
    if head in ("mapping", "synthesis"):
      components.setdefault(head, {})[tail] = array
    else:
      own.append((name, array))
  state = {
    "version": 4,
    "name": "network",
    "static_kwargs": static_kwargs or {},
    "components": {k: tensorflow_network(v) for k, v in components.items()},
    "build_module_src": "raise SystemExit('this must not be executed')",
    "build_func_name": "G_main",
    "variables": own,
  }
  return Call(
    Global("dnnlib.tflib.network", "Network"), (), state=state, new=True
  )
