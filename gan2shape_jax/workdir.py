"""The folder of a run: which request it belongs to, and its JSON files."""

import contextlib
import fcntl
import json
import pathlib
from collections.abc import Iterator
from typing import Any

from ml_collections import ConfigDict

from gan2shape_jax.atomic import replacing, writing
from gan2shape_jax.errors import UserError

_CONFIG = "config.json"


def claim_workdir(workdir: pathlib.Path, config: ConfigDict) -> None:
  """Notes the request, or checks that it is the one that was begun here.

  Raises:
    UserError: the folder cannot be written, or holds a run with other values.
  """
  check_workdir(workdir, config)
  path = workdir / _CONFIG
  if path.exists():
    return
  with writing(workdir, "--workdir"):
    workdir.mkdir(parents=True, exist_ok=True)
    write_json(path, _fields(config))


def check_workdir(workdir: pathlib.Path, config: ConfigDict) -> None:
  """Checks that no other request was begun here; writes nothing.

  Raises:
    UserError: the folder cannot be entered, or holds a run with other values.
  """
  path = workdir / _CONFIG
  with writing(workdir, "--workdir"):
    if not path.exists():
      return
    begun = read_json(path)
  wanted = _fields(config)
  differences = [
    f"{name} was {begun.get(name)}, now {wanted.get(name)}"
    for name in sorted(begun.keys() | wanted.keys())
    # How often to look and save, and where, does not change the results.
    if begun.get(name) != wanted.get(name)
    and not name.startswith(("run.", "devices."))
  ]
  if differences:
    raise UserError(
      f"{workdir}: holds a run with another configuration"
      f" ({'; '.join(differences)}); choose another --workdir or remove it"
    )


@contextlib.contextmanager
def working_in(workdir: pathlib.Path, process: int) -> Iterator[None]:
  """Keeps other runs out of a folder while the context lasts.

  Where the file system has no locks, nothing is kept out.

  Args:
    workdir: a folder that exists.
    process: number of this process; those of one run share the folder.

  Raises:
    UserError: another run works there.
  """
  with (workdir / f".lock_{process}").open("w") as file:
    try:
      fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
      raise UserError(
        f"{workdir}: another run is at work there; wait for it, or choose"
        " another --workdir"
      ) from error
    except OSError:
      pass
    yield


def check_unclaimed(workdir: pathlib.Path) -> None:
  """Checks that no run was begun here, whose results would be overwritten.

  Raises:
    UserError: one was, or the folder cannot be entered.
  """
  with writing(workdir, "--workdir"):
    claimed = (workdir / _CONFIG).exists()
  if claimed:
    raise UserError(
      f"{workdir}: holds what `gan2shape_jax.main` found; choose another"
      " --workdir"
    )


def result_folder(workdir: pathlib.Path, name: str) -> pathlib.Path:
  """Where the results of a picture, or of joint training, go."""
  return workdir / "results" / name


def read_json(path: pathlib.Path) -> Any:
  """Reads a JSON file.

  Raises:
    UserError: it is damaged.
  """
  try:
    return json.loads(path.read_text())
  except ValueError as error:
    raise UserError(
      f"{path}: is damaged ({error}); remove it, and it is made anew"
    ) from error


def write_json(path: pathlib.Path, value: Any) -> None:
  """Writes a JSON file in one move, so that it is never there in part."""
  with replacing(path) as part:
    part.write_text(json.dumps(value, indent=2) + "\n")


def _fields(config: ConfigDict) -> dict[str, Any]:
  """All fields as JSON has them."""
  return _flatten(json.loads(config.to_json()))


def _flatten(tree: dict[str, Any], prefix: str = "") -> dict[str, Any]:
  """Nested fields as "group.field": value."""
  flat = {}
  for name, value in tree.items():
    if isinstance(value, dict):
      flat |= _flatten(value, f"{prefix}{name}.")
    else:
      flat[prefix + name] = value
  return flat
