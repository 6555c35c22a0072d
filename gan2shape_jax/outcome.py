"""What became of the pictures of a run."""

from collections.abc import Iterable
from typing import NamedTuple


class Outcome(NamedTuple):
  """Pictures that are done, and those that are not.

  Attributes:
    rows: figures by name of the picture; see `methods.py`.
    failed: what went wrong with the others, by name.
  """

  rows: dict[str, dict[str, float]]
  failed: dict[str, str]


def join(outcomes: Iterable[Outcome]) -> Outcome:
  """The outcome of parts of a run."""
  whole = Outcome({}, {})
  for rows, failed in outcomes:
    whole.rows.update(rows)
    whole.failed.update(failed)
  return whole
