"""Readers of foreign files: round trips, damage, and hostile files."""

import os
import pickle

import numpy as np
import pytest
from foreign_files import (
  Call,
  Global,
  StorageReference,
  legacy_file,
  module_tree,
  numpy_pickle,
  nvidia_pickle,
  ordered_dict,
  os_system,
  persistent_module,
  tensorflow_network,
  zip_file,
)

from gan2shape_jax.convert.checkpoint_files import read_checkpoint
from gan2shape_jax.convert.nvidia_files import Module, Network
from gan2shape_jax.errors import UserError

RNG = np.random.default_rng(0)
ARRAYS = {
  "weight": RNG.normal(size=(2, 3, 4)).astype(np.float32),
  "double": RNG.normal(size=(5,)),
  "half": RNG.normal(size=(3, 2)).astype(np.float16),
  "count": np.array(7),
  "empty": np.zeros((0, 3), np.float32),
  "flags": np.array([True, False]),
}
TORCH = {"zip": zip_file, "legacy": legacy_file}


def read(tmp_path, data):
  path = tmp_path / "file.pt"
  path.write_bytes(data)
  return read_checkpoint(path)


def assert_same(actual, expected):
  assert actual.keys() == expected.keys()
  for name, value in expected.items():
    assert actual[name].dtype == value.dtype, name
    np.testing.assert_array_equal(actual[name], value)


@pytest.mark.parametrize("kind", TORCH)
def test_torch_files(tmp_path, kind):
  namespace = Call(
    Global("argparse", "Namespace"), (), state={"lr": 0.1}, new=True
  )
  state = ordered_dict(ARRAYS.items(), state={"_metadata": {"": 1}})
  content = {"g_ema": state, "args": namespace, "step": 3, "set": (1, "a")}
  file = read(tmp_path, TORCH[kind](content))
  assert file.kind == f"torch {kind}"
  assert_same(file.arrays(file.content["g_ema"]), ARRAYS)
  assert file.content["args"] == {"lr": 0.1}
  assert file.content["step"] == 3 and file.content["set"] == (1, "a")


def test_nested_containers_have_dotted_names(tmp_path):
  content = {"a": {"b": ARRAYS["weight"], "c.d": ARRAYS["double"]}}
  file = read(tmp_path, zip_file(content))
  arrays = file.arrays(file.content)
  assert set(arrays) == {"a.b", "a.c.d"}
  np.testing.assert_array_equal(
    file.arrays(file.content["a"]["b"])[""], ARRAYS["weight"]
  )


@pytest.mark.parametrize("kind", TORCH)
def test_strided_tensors_and_shared_storages(tmp_path, kind):
  """A transposed view and a part of one storage, as torch writes them."""
  storage = StorageReference("1000", np.arange(12, dtype=np.float32))

  def view(offset, shape, strides):
    function = Global("torch._utils", "_rebuild_tensor_v2")
    return Call(function, (storage, offset, shape, strides, False, None))

  content = {
    "transposed": view(0, (4, 3), (1, 4)),
    "part": view(5, (2, 2), (4, 1)),
    "all": storage.array,  # Makes the writer store it, under the key 1000.
  }
  file = read(tmp_path, TORCH[kind](content))
  whole = np.arange(12, dtype=np.float32)
  arrays = file.arrays(file.content)
  np.testing.assert_array_equal(arrays["transposed"], whole.reshape(3, 4).T)
  np.testing.assert_array_equal(arrays["part"], [[5, 6], [9, 10]])


@pytest.mark.parametrize(
  "offset, shape, strides",
  [(8, (5,), (1,)), (0, (2, 7), (7, 1)), (-1, (2,), (1,)), (0, (2,), (1, 1))],
)
def test_tensors_beyond_their_storage_are_damage(
  tmp_path, offset, shape, strides
):
  array = np.arange(12, dtype=np.float32)
  tensor = Call(
    Global("torch._utils", "_rebuild_tensor_v2"),
    (StorageReference("1000", array), offset, shape, strides, False, None),
  )
  file = read(tmp_path, zip_file({"bad": tensor, "good": array}))
  np.testing.assert_array_equal(file.arrays(file.content["good"])[""], array)
  with pytest.raises(UserError, match="damaged"):
    file.arrays(file.content["bad"])


def test_nvidia_modules(tmp_path):
  arrays = {
    "mapping.fc0.weight": ARRAYS["weight"],
    "mapping.w_avg": ARRAYS["double"],
    "scale": np.float32(2) * np.ones(()),
  }
  module = module_tree("Generator", arrays, {"mapping": {"c_dim": 0}})
  file = read(tmp_path, nvidia_pickle({"G_ema": module, "kwargs": {}}))
  assert file.kind == "pickle"
  generator = file.content["G_ema"]
  assert isinstance(generator, Module) and generator.name == "Generator"
  assert_same(file.arrays(generator), arrays)
  assert dict(generator.modules())["mapping."].state["c_dim"] == 0


def test_tensorflow_networks(tmp_path):
  variables = {
    "lod": np.float32(0.5),
    "mapping/Dense0/weight": ARRAYS["weight"],
    "synthesis/noise0": ARRAYS["double"],
  }
  network = tensorflow_network(variables, {"resolution": 8})
  file = read(tmp_path, numpy_pickle((network, network, network)))
  assert isinstance(file.content[2], Network)
  assert file.content[2]["static_kwargs"] == {"resolution": 8}
  assert_same(
    file.arrays(file.content[2]),
    {name: np.asarray(value) for name, value in variables.items()},
  )


@pytest.mark.parametrize("protocol", [2, 4])
def test_arrays_as_the_installed_numpy_pickles_them(tmp_path, protocol):
  arrays = ARRAYS | {"fortran": np.asfortranarray(ARRAYS["half"])}
  arrays |= {"big": ARRAYS["double"].astype(">f8")}
  file = read(tmp_path, pickle.dumps({"a": arrays}, protocol))
  found = file.arrays(file.content["a"])
  for name, value in arrays.items():
    np.testing.assert_array_equal(found[name], value)


# --- Hostile files: a marker file is what their commands would make. ----------


def hostile_files(command):
  """Every kind of file, with a call of os.system somewhere inside."""
  evil, array = os_system(command), ARRAYS["weight"]
  module = persistent_module("Generator", {"_parameters": {"w": evil}})
  numpy_dtype = Call(
    Global("numpy.core.multiarray", "_reconstruct"), (), state=evil
  )
  return {
    "zip": zip_file({"g_ema": {"w": array, "x": evil}}),
    "legacy": legacy_file({"g_ema": {"w": array, "x": evil}}),
    "nvidia": nvidia_pickle({"G_ema": module}),
    "nested": nvidia_pickle(
      {
        "G": Call(
          Global("torch.storage", "_load_from_bytes"),
          (legacy_file({"x": evil}),),
        )
      }
    ),
    "tensorflow": numpy_pickle(
      (tensorflow_network({"w": array, "x": array}), numpy_dtype, evil)
    ),
  }


@pytest.mark.parametrize(
  "kind", ["zip", "legacy", "nvidia", "nested", "tensorflow"]
)
def test_nothing_in_a_hostile_file_is_executed(tmp_path, kind):
  marker = tmp_path / "executed"
  data = hostile_files(f"touch {marker}")[kind]
  with pytest.raises(UserError, match=r"refused.*'os\.system'"):
    read(tmp_path, data)
  assert not marker.exists()


def test_the_hostile_command_would_have_worked(tmp_path):
  """The files above are refused, not merely broken."""
  marker = tmp_path / "executed"
  command = f"touch {marker}"
  with pytest.raises((AttributeError, ImportError, pickle.UnpicklingError)):
    # Ordinary unpickling runs the command before it meets unknown modules.
    pickle.loads(numpy_pickle([os_system(command), Global("no_such", "name")]))
  assert marker.exists()
  os.remove(marker)


@pytest.mark.parametrize(
  "module, name",
  [
    ("builtins", "eval"),
    ("builtins", "getattr"),
    ("torch", "load"),
    ("torch.nn.modules.linear", "Linear"),
    ("numpy", "load"),
    ("collections", "OrderedDict.__init__"),
    ("functools", "partial"),
  ],
)
def test_other_names_are_refused_by_name(tmp_path, module, name):
  call = Call(Global(module, name), ("1",))
  with pytest.raises(UserError, match=f"{module}.{name}"):
    read(tmp_path, zip_file({"x": call}))


def test_a_file_cannot_change_the_stand_ins(tmp_path):
  """Setting an attribute of a looked-up class does not outlast the file."""
  dictionary = b"\x80\x02ccollections\nOrderedDict\n"
  function = b"c_codecs\nencode\n"
  name = b"X\x0c\x00\x00\x00__setstate__"
  # BUILD with the state (None, {"__setstate__": function}), then an object.
  with pytest.raises(UserError, match="damaged"):
    read(tmp_path, dictionary + b"N}" + name + function + b"s\x86b.")
  state = ordered_dict([("a", 1)], state={"x": 1})
  assert read(tmp_path, zip_file({"g": state})).content == {"g": {"a": 1}}


# --- Damage. ------------------------------------------------------------------


@pytest.mark.parametrize("kind", [*TORCH, "nvidia", "tensorflow"])
def test_truncated_files_are_reported(tmp_path, kind):
  data = {
    "zip": lambda: zip_file({"w": ARRAYS["weight"]}),
    "legacy": lambda: legacy_file({"w": ARRAYS["weight"]}),
    "nvidia": lambda: nvidia_pickle(
      {"G_ema": module_tree("G", {"w": ARRAYS["weight"]})}
    ),
    "tensorflow": lambda: numpy_pickle(
      (tensorflow_network({"w": ARRAYS["weight"]}),) * 3
    ),
  }[kind]()
  for keep in (len(data) - 1, len(data) // 2, 30):
    with pytest.raises(UserError, match=r"file\.pt: damaged"):
      file = read(tmp_path, data[:keep])
      file.arrays(file.content)


def test_a_flipped_byte_of_an_archive_is_reported(tmp_path):
  data = bytearray(zip_file({"w": ARRAYS["weight"]}))
  place = data.index(ARRAYS["weight"].tobytes())
  data[place] ^= 1
  file = read(tmp_path, bytes(data))
  with pytest.raises(UserError, match="damaged"):
    file.arrays(file.content)


@pytest.mark.parametrize("data", [b"", b"<html>not found</html>", b"\x89PNG"])
def test_other_files_are_refused(tmp_path, data):
  with pytest.raises(UserError, match=r"file\.pt: neither"):
    read(tmp_path, data)


def test_a_missing_file(tmp_path):
  with pytest.raises(UserError, match=r"no\.pt: cannot be read"):
    read_checkpoint(tmp_path / "no.pt")


# --- Files that PyTorch itself writes, where it is installed. -----------------


@pytest.mark.parametrize("new_format", [True, False])
def test_files_that_torch_writes(tmp_path, new_format):
  torch = pytest.importorskip("torch")
  import argparse
  import collections

  layer = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4))
  base = torch.arange(24.0).reshape(4, 6)
  extra = {
    "view": base[1:, ::2],
    "transposed": base.T,
    "bfloat16": torch.tensor([1.5, -2.25], dtype=torch.bfloat16),
    "half": torch.tensor([0.1], dtype=torch.float16),
    "long": torch.tensor(5),
    "bool": torch.tensor([True, False]),
    "parameter": torch.nn.Parameter(torch.ones(2)),
    "empty": torch.zeros(0, 2),
  }
  optimizer = torch.optim.Adam(layer.parameters())
  layer(torch.ones(2, 3)).sum().backward()
  optimizer.step()
  content = {
    "d": layer.state_dict(),
    "extra": collections.OrderedDict(extra),
    "d_optim": optimizer.state_dict(),
    "args": argparse.Namespace(lr=0.1),
    "dtype": torch.float32,
    "device": torch.device("cpu"),
    "size": base.shape,
  }
  path = tmp_path / "file.pt"
  torch.save(content, path, _use_new_zipfile_serialization=new_format)
  file = read_checkpoint(path)
  assert file.kind == ("torch zip" if new_format else "torch legacy")
  for name, group in (("d", content["d"]), ("extra", extra)):
    arrays = file.arrays(file.content[name])
    assert arrays.keys() == group.keys()
    for key, value in group.items():
      value = value.detach().float().numpy()
      np.testing.assert_array_equal(arrays[key], value, err_msg=key)
  assert arrays["half"].dtype == np.float16
  assert file.content["size"] == (4, 6)


@pytest.mark.parametrize("new_format", [True, False])
def test_whole_modules_are_refused(tmp_path, new_format):
  torch = pytest.importorskip("torch")
  path = tmp_path / "file.pt"
  torch.save(
    torch.nn.Linear(2, 2), path, _use_new_zipfile_serialization=new_format
  )
  with pytest.raises(UserError, match=r"Linear.*state_dict"):
    read_checkpoint(path)
