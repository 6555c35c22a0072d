"""Checkpoints of arrays that belong to one of several processes.

Orbax writes arrays that all processes hold parts of, and refuses those that
only one knows. Their leaves go into one file here, `state.npz`; the folder
around it is still orbax's, which makes it appear at once.
"""

import dataclasses
import pathlib
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp

_FILE = "state.npz"


class LocalHandler(ocp.CheckpointHandler):
  """Writes and reads the leaves of a tree, random keys among them."""

  def save(self, directory: pathlib.Path, args: "LocalArgs") -> None:
    """Writes `args.tree` to the folder."""
    leaves = [
      np.asarray(jax.random.key_data(x) if _is_key(x) else x)
      for x in jax.tree.leaves(args.tree)
    ]
    with (pathlib.Path(directory) / _FILE).open("wb") as file:
      np.savez(file, *leaves)

  def restore(self, directory: pathlib.Path, args: "LocalArgs") -> Any:
    """Reads a tree of the structure and shardings of `args.tree`.

    Raises:
      ValueError: another one was saved.
    """
    like, structure = jax.tree.flatten(args.tree)
    with np.load(pathlib.Path(directory) / _FILE, allow_pickle=False) as file:
      saved = [file[name] for name in file.files]
    leaves = [
      jax.random.wrap_key_data(x) if _is_key(expected) else x
      for x, expected in zip(saved, like, strict=True)
    ]
    return jax.tree.unflatten(
      structure,
      [
        jax.device_put(x, expected.sharding)
        for x, expected in zip(leaves, like, strict=True)
      ],
    )


@ocp.args.register_with_handler(LocalHandler, for_save=True, for_restore=True)
@dataclasses.dataclass
class LocalArgs(ocp.args.CheckpointArgs):
  """Asks for a `LocalHandler`.

  Attributes:
    tree: to be saved, or like the one to be restored.
  """

  tree: Any


def _is_key(x: Any) -> bool:
  return jnp.issubdtype(x.dtype, jax.dtypes.prng_key)
