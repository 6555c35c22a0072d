"""Tables from a file's names to ours, applied strictly.

Every tensor of a file is used exactly once or is a constant that the table
knows; anything missing, unexpected or of another shape is a problem, and all
problems are reported together.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from gan2shape_jax.errors import UserError

Shape = tuple[int, ...]
Arrays = Mapping[str, np.ndarray]


class Entry(NamedTuple):
  """Where one of our arrays comes from.

  Attributes:
    name: in the file.
    shape: in the file.
    convert: makes our array of the file's.
  """

  name: str
  shape: Shape
  convert: Callable[[np.ndarray], np.ndarray] = lambda array: array


class Converted(NamedTuple):
  """A tree and what is wrong with it.

  Attributes:
    tree: nested dictionaries of float32 arrays, without the missing ones.
    problems: one line for each tensor that does not fit.
  """

  tree: dict
  problems: list[str]


def apply_table(
  arrays: Arrays,
  table: Mapping[str, Entry],
  *,
  constants: Arrays | None = None,
  tolerance: float = 1e-6,
) -> Converted:
  """Renames and converts a file's arrays.

  Args:
    arrays: of the file, by name.
    table: our paths, such as "mapping/dense_1/kernel", and their sources; no
      source serves twice.
    constants: arrays that may be in the file but carry nothing, such as blur
      kernels, and the values that they must have.
    tolerance: how far such a value may be off.
  """
  constants = constants or {}
  problems, tree = [], {}
  for path, (name, shape, convert) in table.items():
    array = arrays.get(name)
    if array is None:
      problems.append(f"missing: {name} {shape}")
    elif array.shape != shape:
      problems.append(f"wrong shape: {name} is {array.shape}, not {shape}")
    elif not np.isfinite(array).all():
      problems.append(f"not finite: {name}")
    else:
      ours = np.array(convert(array), np.float32, order="C")
      _insert(tree, path.split("/"), ours)
  known = {entry.name for entry in table.values()}
  for name in sorted(arrays.keys() - known):
    array, expected = arrays[name], constants.get(name)
    if expected is None:
      problems.append(f"unexpected: {name} {array.shape}")
    elif not (
      array.shape == expected.shape
      and np.allclose(array, expected, rtol=0, atol=tolerance)
    ):
      problems.append(f"another constant than ours: {name}")
  return Converted(tree, problems)


def check(subject: str, remedy: str, problems: list[str]) -> None:
  """Reports problems, if any, one to a line below the sentence.

  Raises:
    UserError: there are problems.
  """
  if problems:
    raise UserError(
      f"{subject}: {len(problems)} tensor(s) do not fit; {remedy}\n"
      + "\n".join(f"  {problem}" for problem in problems)
    )


def without_prefix(arrays: Arrays, prefix: str) -> Arrays:
  """Names without a prefix that all of them have, such as `module.`.

  That one is what wrapping a network in (Distributed)DataParallel adds.
  """
  if not all(name.startswith(prefix) for name in arrays):
    return arrays
  return {name.removeprefix(prefix): a for name, a in arrays.items()}


def _insert(tree, names, leaf):
  for name in names[:-1]:
    tree = tree.setdefault(name, {})
  tree[names[-1]] = leaf
