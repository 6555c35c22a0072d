"""Files that are there whole or not at all, however a program ends."""

import contextlib
import os
import pathlib
from collections.abc import Iterator


@contextlib.contextmanager
def replacing(path: str | os.PathLike) -> Iterator[pathlib.Path]:
  """Yields a path to write to, which takes the place of `path` at the end.

  It has the ending of `path`, by which some libraries choose the format. After
  an exception `path` is as it was before.
  """
  path = pathlib.Path(path)
  part = path.with_name(f"{path.stem}.part{path.suffix}")
  yield part
  part.replace(path)
