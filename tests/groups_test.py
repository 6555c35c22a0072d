"""Which pictures are worked on at once, and which groups a checkpoint fits."""

from pathlib import Path

import jax
import numpy as np
import pytest

from gan2shape_jax.data import SourcePicture
from gan2shape_jax.devices import make_spread
from gan2shape_jax.groups import joint_group, separate_group, separate_groups

TWO = make_spread(jax.devices()[:1], 2, each=2)
ONE = make_spread(jax.devices()[:1], 1)


def make_sources(names):
  flat = np.zeros((2, 2), np.float32)
  return [
    SourcePicture(
      Path(f"{name}.png"), np.stack([flat] * 3, axis=-1), flat, 2, number
    )
    for number, name in enumerate(names)
  ]


def progress_of(group, failed=()):
  """What the loop saves of a group."""
  failed = dict.fromkeys(failed, "diverged")
  return {"fits": list(group.fits), "shape": group.shape, "failed": failed}


def names_of(groups):
  return ["".join(group.fits) for group in groups]


def test_a_last_partial_group_is_filled_up():
  *_, last = separate_groups(abc := make_sources("abc"), abc, TWO)
  assert [[s.path.stem for s in row] for row in last.grid] == [["c"], ["c"]]
  assert list(last.fits) == ["c"] and last.names("c") == ["c"]
  assert last.shape == [2, 1] and last.numbers == [2, 2]


def test_joint_rows_hold_every_picture_once_and_are_equally_long():
  spread = make_spread(jax.devices()[:1], 2, shared=True)
  group = joint_group(make_sources("abcde"), spread, 5, list("abcde"))
  grid = [[s.path.stem for s in row] for row in group.grid]
  assert grid == [["a", "c", "e"], ["b", "d", "b"]] and group.shape == [2, 3]
  assert sorted(group.names("joint")) == list("abcde")


@pytest.mark.parametrize(
  ("left", "expected"),
  [
    ("abcde", ["bc", "ad", "e"]),  # the group begun before comes first
    ("cde", ["bc", "de"]),  # though one of its pictures is done
    ("ade", ["ad", "e"]),  # unless all of them are
  ],
)
def test_the_group_in_the_checkpoint_comes_first(left, expected):
  sources = make_sources("abcde")
  begun = separate_group(sources[1:3], TWO)
  groups = separate_groups(
    sources,
    [s for s in sources if s.path.stem in left],
    TWO,
    progress_of(begun),
  )
  assert names_of(groups) == expected
  resumed = [group.is_left_in(progress_of(begun)) for group in groups]
  assert resumed == [name == "bc" for name in expected]


def test_a_checkpoint_of_other_rows_is_not_used():
  sources = make_sources("abc")
  alone = progress_of(separate_group(sources[2:], ONE))
  groups = separate_groups(sources, sources[2:], TWO, alone)
  assert names_of(groups) == ["c"] and groups[0].fits.keys() == {"c"}
  assert not groups[0].is_left_in(alone)
  both = progress_of(separate_group(sources[:2], TWO))
  groups = separate_groups(sources, sources, ONE, both)
  assert names_of(groups) == ["a", "b", "c"]
  assert not any(group.is_left_in(both) for group in groups)


def test_a_checkpoint_with_a_picture_that_is_gone_is_not_used():
  before = make_sources("abc")
  progress = progress_of(separate_group(before[1:], TWO))
  after = make_sources("ab")
  groups = separate_groups(after, after, TWO, progress)
  assert names_of(groups) == ["ab"] and not groups[0].is_left_in(progress)


def test_the_checkpoint_survives_another_order_of_the_list():
  progress = progress_of(separate_group(make_sources("ab"), TWO))
  after = make_sources("cba")
  groups = separate_groups(after, after, TWO, progress)
  assert names_of(groups) == ["ab", "c"] and groups[0].is_left_in(progress)


def test_joint_checkpoints_of_other_numbers_of_pictures_are_not_used():
  spread = make_spread(jax.devices()[:1], 2, shared=True)
  sources = make_sources("abcde")
  four = joint_group(sources[:4], spread, 4, list("abcd"))
  assert four.is_left_in(progress_of(four))
  five = joint_group(sources, spread, 5, list("abcde"))
  assert not five.is_left_in(progress_of(four))


def test_failed_pictures_are_tried_again():
  """Not from the checkpoint that holds their ruins."""
  sources = make_sources("abc")
  group = separate_group(sources[:2], TWO)
  progress = progress_of(group, failed="a")
  assert group.is_left_in(progress)  # b can go on
  assert names_of(separate_groups(sources, sources, TWO, progress)) == [
    "ab",
    "c",
  ]
  left = [sources[0], sources[2]]
  groups = separate_groups(sources, left, TWO, progress)
  assert names_of(groups) == ["ac"] and not groups[0].is_left_in(progress)
  alone = separate_group(sources[:1], ONE)
  assert not alone.is_left_in(progress_of(alone, failed="a"))
