"""Weights on disk: a folder of `weights.safetensors` and `metadata.json`.

The tree is a nested dict of arrays; its paths become flat keys such as
`mapping/dense_1/kernel`. Floating leaves may be stored as float16 and are
always float32 in memory; other leaves keep their type.
"""

import contextlib
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import jax
import numpy as np
import safetensors
import safetensors.numpy
from flax import traverse_util
from jaxtyping import PyTree

from gan2shape_jax.errors import UserError

_WEIGHTS = "weights.safetensors"
_METADATA = "metadata.json"


def save_weights(
  folder: str | os.PathLike,
  tree: PyTree,
  metadata: dict,
  *,
  dtype: str = "float32",
) -> None:
  """Writes a nested dict of arrays and its metadata, replacing the folder.

  The folder appears at once with both files or not at all.

  Args:
    folder: where to write; a folder of that name is replaced.
    tree: nested dict of arrays; keys are strings without "/".
    metadata: JSON-serialisable.
    dtype: "float32" or "float16", the type of floating leaves on disk.

  Raises:
    OSError: the folder cannot be written.
  """
  if dtype not in ("float32", "float16"):
    raise ValueError(f"dtype is float32 or float16, not {dtype}")
  folder = Path(os.path.abspath(folder))  # "." has no name
  arrays = {
    name: _with_dtype(np.asarray(leaf), dtype)
    for name, leaf in traverse_util.flatten_dict(tree, sep="/").items()
  }
  # Hidden, for NAME.old is what people call a copy that they keep.
  new = folder.with_name(f".{folder.name}.writing")
  old = folder.with_name(f".{folder.name}.replaced")
  for leftover in (new, old):
    shutil.rmtree(leftover, ignore_errors=True)
  new.mkdir(parents=True)
  try:
    safetensors.numpy.save_file(arrays, new / _WEIGHTS)
  except safetensors.SafetensorError as error:  # such as a full disk
    raise OSError(str(error)) from error
  (new / _METADATA).write_text(json.dumps(metadata, indent=2) + "\n")
  # The library lets nobody but the owner read it, whatever the umask says.
  shutil.copymode(new / _METADATA, new / _WEIGHTS)
  if folder.exists():
    folder.rename(old)
  new.rename(folder)
  shutil.rmtree(old, ignore_errors=True)


def load_weights(folder: str | os.PathLike) -> tuple[PyTree, dict]:
  """The tree (floating leaves as float32 numpy arrays) and the metadata.

  Raises:
    UserError: if a file is missing or unreadable.
  """
  folder = Path(folder)
  with _reading(folder):
    arrays = safetensors.numpy.load_file(folder / _WEIGHTS)
  arrays = {k: _with_dtype(v, "float32") for k, v in arrays.items()}
  return traverse_util.unflatten_dict(arrays, sep="/"), load_metadata(folder)


def load_metadata(folder: str | os.PathLike) -> dict:
  """The metadata alone; raises what `load_weights` raises."""
  folder = Path(folder)
  with _reading(folder):
    return json.loads((folder / _METADATA).read_text())


@contextlib.contextmanager
def _reading(folder: Path) -> Iterator[None]:
  try:
    yield
  except FileNotFoundError as error:
    raise UserError(
      f"{folder}: no weights there ({_WEIGHTS} and {_METADATA} are needed)"
    ) from error
  except (safetensors.SafetensorError, ValueError, OSError) as error:
    raise UserError(
      f"{folder}: unreadable weights, write or copy them again ({error})"
    ) from error


def check_shapes(
  folder: str | os.PathLike, expected: PyTree, actual: PyTree, remedy: str
) -> None:
  """Compares names and shapes of two trees of arrays.

  Raises:
    UserError: where they differ, with the remedy.
  """
  shapes = [
    {
      jax.tree_util.keystr(path, simple=True, separator="/"): leaf.shape
      for path, leaf in jax.tree_util.tree_leaves_with_path(tree)
    }
    for tree in (expected, actual)
  ]
  differ = sorted(
    name
    for name in shapes[0].keys() | shapes[1].keys()
    if shapes[0].get(name) != shapes[1].get(name)
  )
  if differ:
    raise UserError(
      f"{folder}: weights differ from what is expected at {differ[0]}"
      f" ({len(differ)} places): {remedy}"
    )


def _with_dtype(array, dtype):
  floating = np.issubdtype(array.dtype, np.floating)
  # safetensors writes the buffer as it lies, so it must be contiguous.
  # (`ascontiguousarray` would turn scalars into vectors.)
  return np.array(array, dtype if floating else array.dtype, order="C")
