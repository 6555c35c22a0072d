"""Writing files: whole or not at all, and what to say when it fails."""

import contextlib
import errno
import os
import pathlib
from collections.abc import Iterator

from gan2shape_jax.errors import UserError


@contextlib.contextmanager
def replacing(path: str | os.PathLike) -> Iterator[pathlib.Path]:
  """Yields a path to write to, which takes the place of `path` at the end.

  It has the ending of `path`, by which some libraries choose the format. After
  an exception `path` is as it was before, and what was written is removed.
  """
  path = pathlib.Path(path)
  part = path.with_name(f"{path.stem}.part{path.suffix}")
  try:
    yield part
    with part.open("rb+") as file:  # Else a power cut may leave it empty.
      os.fsync(file.fileno())
    part.replace(path)
  except BaseException:
    with contextlib.suppress(OSError):
      part.unlink()
    raise


@contextlib.contextmanager
def writing(path: str | os.PathLike, option: str) -> Iterator[None]:
  """Answers failures to write: no permission, a file in the way, a full disk.

  Args:
    path: what is written; whatever else is read or written in the block had
      better not fail with an OSError.
    option: that chooses the path, such as "--output".

  Raises:
    UserError: for an OSError.
  """
  try:
    yield
  except OSError as error:
    remedy = f"choose another {option}"
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
      remedy = f"make room, or {remedy}"
    raise UserError(
      f"{path}: cannot be written ({error.strerror or error}); {remedy}"
    ) from error
