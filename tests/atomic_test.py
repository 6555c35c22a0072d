import errno
import os

import pytest

from gan2shape_jax.atomic import replacing, writing
from gan2shape_jax.errors import UserError


def test_file_is_replaced_at_the_end(tmp_path):
  path = tmp_path / "a.txt"
  path.write_text("old")
  with replacing(path) as part:
    part.write_text("new")
    assert path.read_text() == "old" and part.suffix == ".txt"
  assert path.read_text() == "new"
  assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


def test_file_is_kept_when_writing_fails(tmp_path):
  path = tmp_path / "a.txt"
  path.write_text("old")
  with pytest.raises(OSError), replacing(path) as part:
    part.write_text("ha")
    raise OSError
  assert path.read_text() == "old"
  assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


def test_a_file_in_the_way_is_answered(tmp_path):
  (tmp_path / "file").write_text("")
  message = (
    r"file/out: cannot be written \(Not a dir.*\); choose another --out$"
  )
  with (
    pytest.raises(UserError, match=message),
    writing(tmp_path / "file/out", "--out"),
  ):
    (tmp_path / "file/out").mkdir()


@pytest.mark.parametrize(
  "error, message",
  [
    (
      OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)),
      r"x: cannot be written \(No space left.*\); make room, or choose another",
    ),
    # What numpy says to a full disk.
    (OSError("9 requested and 3 written"), r"\(9 requested and 3 written\)"),
  ],
)
def test_a_full_disk_is_answered(error, message):
  with pytest.raises(UserError, match=message), writing("x", "--out"):
    raise error


def test_other_errors_keep_their_traceback():
  with pytest.raises(ValueError), writing("x", "--out"):
    raise ValueError
