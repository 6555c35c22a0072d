import contextlib
import os

import pytest
from full_disk import full_disk

from configs import tiny
from gan2shape_jax.errors import UserError
from gan2shape_jax.workdir import (
  check_unclaimed,
  check_workdir,
  claim_workdir,
  read_json,
  working_in,
)


def changed(**fields):
  config = tiny.get_config()
  config.update_from_flattened_dict(fields)
  return config


def test_a_run_begun_with_other_values_is_refused(tmp_path):
  claim_workdir(tmp_path, tiny.get_config())
  before = (tmp_path / "config.json").read_text()
  other = changed(**{"prior.near": 0.5, "schedule.first_stage": (1, 1, 1)})
  message = (
    rf"{tmp_path}: .*\(prior.near was 0.91, now 0.5; schedule.first_stage was"
    r" \[2, 2, 3\], now \[1, 1, 1\]\); choose another --workdir or remove it$"
  )
  for refuse in (check_workdir, claim_workdir):
    with pytest.raises(UserError, match=message):
      refuse(tmp_path, other)
  assert (tmp_path / "config.json").read_text() == before


@pytest.mark.parametrize(
  "fields",
  [{"devices.fits": 4}, {"devices.samples": 2}, {"run.chunk": 7}],
)
def test_devices_and_looks_may_change(tmp_path, fields):
  claim_workdir(tmp_path, tiny.get_config())
  claim_workdir(tmp_path, changed(**fields))


def test_a_file_in_the_way_is_answered(tmp_path):
  (tmp_path / "file").write_text("precious")
  with pytest.raises(UserError, match="file/run: cannot be written"):
    claim_workdir(tmp_path / "file/run", tiny.get_config())
  assert (tmp_path / "file").read_text() == "precious"


@contextlib.contextmanager
def somebody_else():
  """Root may write everywhere."""
  if os.geteuid():
    yield
    return
  os.seteuid(65534)
  try:
    yield
  finally:
    os.seteuid(0)


@pytest.mark.parametrize("mode", [0o500, 0o000])
def test_a_folder_without_permission_is_answered(tmp_path, mode):
  """To write there, or even to look."""
  folder = tmp_path / "folder"
  folder.mkdir()
  folder.chmod(mode)
  try:
    with (
      pytest.raises(UserError, match=r"\(Permission denied\); choose another"),
      somebody_else(),
    ):
      claim_workdir(folder / "run", tiny.get_config())
  finally:
    folder.chmod(0o700)
  assert not any(folder.iterdir())


def test_a_full_disk_leaves_nothing_that_looks_whole(tmp_path):
  with pytest.raises(UserError, match="cannot be written"), full_disk(1000):
    claim_workdir(tmp_path, tiny.get_config())
  assert not (tmp_path / "config.json").exists()
  claim_workdir(tmp_path, tiny.get_config())
  assert read_json(tmp_path / "config.json")["image_size"] == 32


def test_one_run_at_a_time(tmp_path):
  with working_in(tmp_path, 0), working_in(tmp_path, 1):
    another = working_in(tmp_path, 0)
    with pytest.raises(UserError, match="another run is at work there"):
      another.__enter__()
  with working_in(tmp_path, 0):
    pass


def test_predictions_do_not_replace_what_a_run_found(tmp_path):
  check_unclaimed(tmp_path)
  claim_workdir(tmp_path, tiny.get_config())
  with pytest.raises(UserError, match="choose another --workdir"):
    check_unclaimed(tmp_path)


def test_damaged_files_are_named(tmp_path):
  path = tmp_path / "metrics.json"
  path.write_text("")
  with pytest.raises(UserError, match=r"metrics\.json: is damaged"):
    read_json(path)
