"""Which pictures are worked on at once, and where in arrays [n, p] they lie."""

import dataclasses
import itertools
from typing import Any, NamedTuple

from gan2shape_jax.data import SourcePicture
from gan2shape_jax.devices import Spread

JOINT = "joint"  # what the networks that all pictures share are called


class Place(NamedTuple):
  """A picture's place in the arrays [n, p] of this process."""

  row: int
  column: int


@dataclasses.dataclass(frozen=True)
class Group:
  """Pictures of this process that are worked on at once.

  Attributes:
    grid: the pictures of each row, [n][p]. Some are repeated: to fill up the
      devices, and to make the rows of joint training equally long.
    fits: of each set of networks, by the name of its picture or as `JOINT`,
      where its pictures are.
    numbers: that tell the rows' networks apart, see `Fitter.begin`.
    shape: n and p of the arrays of all processes together.
    pictures: names of all that the fits learn from, those of other processes
      included.
  """

  grid: list[list[SourcePicture]]
  fits: dict[str, list[Place]]
  numbers: list[int] | int
  shape: list[int]
  pictures: list[str]

  def at(self, place: Place) -> SourcePicture:
    """The picture at a place."""
    return self.grid[place.row][place.column]

  def names(self, fit: str) -> list[str]:
    """Of the pictures of a fit."""
    return [self.at(place).path.stem for place in self.fits[fit]]

  def is_left_in(self, progress: dict[str, Any]) -> bool:
    """Whether a checkpoint holds a state to go on from.

    A group of which nothing but failures is left is tried again from the start.

    Args:
      progress: of the checkpoint, `fits`, `shape` and `failed` of its group.
    """
    same = progress["fits"] == list(self.fits)
    same &= progress["shape"] == self.shape
    return same and progress["failed"].keys() != self.fits.keys()


def separate_group(sources: list[SourcePicture], spread: Spread) -> Group:
  """A row of its own for each of at most `spread.count` pictures."""
  rows = sources + sources[-1:] * (spread.count - len(sources))
  return Group(
    grid=[[source] for source in rows],
    fits={s.path.stem: [Place(row, 0)] for row, s in enumerate(sources)},
    numbers=[source.number for source in rows],
    shape=[spread.count, 1],
    pictures=[source.path.stem for source in sources],
  )


def joint_group(
  sources: list[SourcePicture], spread: Spread, count: int, names: list[str]
) -> Group:
  """All pictures: number i is in row i modulo the number of rows.

  Args:
    sources: pictures of this process.
    spread: of all processes.
    count: pictures of all processes, those that cannot be used included.
    names: of those of all processes that can be used.
  """
  length = -(-count // spread.count)
  grid, places = [], []
  for row, number in enumerate(spread.numbers):
    mine = [s for s in sources if s.number % spread.count == number]
    places += [Place(row, column) for column in range(len(mine))]
    # Where none of its pictures can be used, a row learns from others'.
    grid.append(
      list(itertools.islice(itertools.cycle(mine or sources), length))
    )
  shape = [spread.count, length]
  return Group(grid, {JOINT: places}, numbers=0, shape=shape, pictures=names)


def separate_groups(
  sources: list[SourcePicture],
  left: list[SourcePicture],
  spread: Spread,
  progress: dict[str, Any] | None = None,
) -> list[Group]:
  """Groups of what is left; first, if there is one, the group begun before.

  Args:
    sources: all pictures of this process.
    left: those that are not done.
    spread: of the groups.
    progress: of a checkpoint, see `Group.is_left_in`.
  """
  begun = []
  if progress is not None and progress["shape"] == [spread.count, 1]:
    # Pictures that are done keep their rows; failed ones alone are no reason to
    # go on with a group.
    names, by_name = progress["fits"], {s.path.stem: s for s in sources}
    pending = set(names) - progress["failed"].keys()
    pending &= {source.path.stem for source in left}
    if pending and by_name.keys() >= set(names):
      begun = [by_name[name] for name in names]
  taken = {source.path.stem for source in begun}
  rest = [source for source in left if source.path.stem not in taken]
  batches = [begun] if begun else []
  batches += [
    rest[first : first + spread.count]
    for first in range(0, len(rest), spread.count)
  ]
  return [separate_group(batch, spread) for batch in batches]
