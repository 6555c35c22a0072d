import pytest

from gan2shape_jax.atomic import replacing


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
