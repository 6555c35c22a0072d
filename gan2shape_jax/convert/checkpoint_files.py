"""Any of the known kinds of file, told apart by their first bytes."""

import contextlib
import hashlib
import os
import pathlib
import zipfile
from typing import Any, NamedTuple

import numpy as np

from gan2shape_jax.convert.nvidia_files import Module, Network, read_nvidia
from gan2shape_jax.convert.pickles import DAMAGE, flatten_arrays
from gan2shape_jax.convert.torch_files import (
  LEGACY_START,
  ZIP_START,
  Source,
  read_torch,
)
from gan2shape_jax.errors import UserError

_PICKLE_START = b"\x80"  # Of protocols 2 and later.


class CheckpointFile(NamedTuple):
  """What a file holds.

  Attributes:
    path: of the file.
    kind: "torch zip", "torch legacy" or "pickle".
    content: containers whose leaves have a method `numpy()`.
  """

  path: pathlib.Path
  kind: str
  content: Any

  def arrays(self, node: Any) -> dict[str, np.ndarray]:
    """The arrays under a node of the content, by flat names.

    Raises:
      UserError: a part of the file is damaged.
    """
    with _damage_reported(self.path):
      if isinstance(node, Module):
        return node.tensors()
      if isinstance(node, Network):
        return node.variables()
      return flatten_arrays(node)

  def provenance(self) -> dict[str, str]:
    """Name, format and checksum, for the metadata of converted weights."""
    with self.path.open("rb") as file:
      digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {"source": self.path.name, "format": self.kind, "sha256": digest}


def read_checkpoint(path: str | os.PathLike) -> CheckpointFile:
  """Reads a file and executes nothing of it.

  Raises:
    UserError: the file is missing, damaged, of no known kind, or asks for
      anything else than tensors, arrays and plain containers.
  """
  path = pathlib.Path(path)
  source = Source(str(path), path)
  with _damage_reported(path):
    with path.open("rb") as file:
      start = file.read(len(LEGACY_START))
    if start.startswith(ZIP_START):
      return CheckpointFile(path, "torch zip", read_torch(source, start))
    if start == LEGACY_START:
      return CheckpointFile(path, "torch legacy", read_torch(source, start))
    if start.startswith(_PICKLE_START):
      return CheckpointFile(path, "pickle", read_nvidia(source))
  raise UserError(
    f"{path}: neither a file of torch.save nor a pickle of networks; name a"
    " .pt, .pth or .pkl file"
  )


@contextlib.contextmanager
def _damage_reported(path):
  try:
    yield
  except OSError as error:
    raise UserError(
      f"{path}: cannot be read ({error.strerror}); correct the path"
    ) from error
  except (zipfile.BadZipFile, *DAMAGE) as error:
    reason = " ".join(str(error).split()) or type(error).__name__
    raise UserError(
      f"{path}: damaged or of an unknown layout ({reason}); copy or download"
      " it again"
    ) from error
