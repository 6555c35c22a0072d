import contextlib
import csv
import errno
import fcntl
import io
import json
import os
import pathlib
import pty
import re
import struct
import termios
import time

import numpy as np
import pytest
from tensorboardX.record_writer import RecordWriter

from gan2shape_jax import report
from gan2shape_jax.report import Progress, Report, write_metrics


def read_table(path):
  with path.open() as file:
    return {row.pop("picture"): row for row in csv.DictReader(file)}


def test_metrics_of_pictures_and_their_means(tmp_path):
  rows = {
    "a": {"seconds": 3.0, "mad": 20.0, "side": np.float32(0.5)},
    "b": {"seconds": 5.0},
    "c": {"mad": 24.0, "side": 0.25, "seconds": 1.0, "errors": 2},
  }
  write_metrics(tmp_path, rows)
  content = json.loads((tmp_path / "metrics.json").read_text())
  assert content["pictures"] == rows
  mean = {"side": 0.375, "mad": 22.0, "seconds": 3.0, "errors": 2.0}
  assert content["mean"] == mean
  table = read_table(tmp_path / "metrics.csv")
  assert list(table) == ["a", "b", "c", "mean"]
  assert list(table["a"]) == ["side", "mad", "seconds", "errors"]
  assert table["b"]["side"] == "" and float(table["mean"]["mad"]) == 22
  names = {p.name for p in tmp_path.iterdir()}
  assert names == {"metrics.json", "metrics.csv"}


def test_failed_pictures_are_not_left_out_of_the_mean(tmp_path):
  write_metrics(tmp_path, {"a": {"side": np.nan}, "b": {"side": 1.0}})
  text = (tmp_path / "metrics.json").read_text()
  content = json.loads(text, parse_constant=pytest.fail)
  assert content["pictures"]["a"]["side"] is None
  assert content["mean"]["side"] is None


def test_failed_write_keeps_the_old_table(tmp_path, monkeypatch):
  write_metrics(tmp_path, {"a": {"side": 1.0}})

  def fail(*_):
    raise OSError("disk full")

  monkeypatch.setattr(pathlib.Path, "replace", fail)
  with pytest.raises(OSError, match="disk full"):
    write_metrics(tmp_path, {"b": {"side": 2.0}})
  content = json.loads((tmp_path / "metrics.json").read_text())
  assert list(content["pictures"]) == ["a"]


def test_no_pictures(tmp_path):
  write_metrics(tmp_path, {})
  content = json.loads((tmp_path / "metrics.json").read_text())
  assert content == {"pictures": {}, "mean": {}}


def test_report_writes_events_only_where_active(tmp_path):
  for active in (True, False):
    with Report(tmp_path / str(active), active=active) as out:
      out.scalars(3, {"step1/total": np.float32(0.5)})
      out.images(3, {"input": np.full((4, 4, 3), 7.0)})
  (events,) = (tmp_path / "True/logs").iterdir()
  content = events.read_bytes()
  assert b"step1/total" in content and b"PNG" in content
  assert not any((tmp_path / "False").rglob("*tfevents*"))


def test_report_of_a_full_disk_raises(tmp_path, monkeypatch):
  """More events than a writing thread's queue would have taken."""

  def fail(*_):
    raise OSError(errno.ENOSPC, "No space left on device")

  with pytest.raises(OSError, match="No space"), Report(tmp_path) as out:
    monkeypatch.setattr(RecordWriter, "write", fail)
    monkeypatch.setattr(RecordWriter, "flush", fail)
    for step in range(100):
      out.scalars(step, {"total": 1.0})


def test_progress_in_a_log_file_is_a_line_now_and_then(monkeypatch):
  clock = iter(np.arange(0, 100, 1.0))
  monkeypatch.setattr(report.time, "monotonic", lambda: next(clock))
  stream = io.StringIO()
  with Progress(
    12, label="step 1", seconds_between_lines=4.0, stream=stream
  ) as progress:
    for step in range(3, 13):
      progress.update(step, loss=1 / step)
  lines = stream.getvalue().splitlines()
  assert "\r" not in stream.getvalue()
  assert 2 <= len(lines) <= 4
  assert lines[0].startswith("step 1: 6/12 [")
  assert lines[0].endswith("loss 0.1667")
  assert lines[-1].startswith("step 1: 12/12 [")


def test_time_left_does_not_count_iterations_before_a_resume(monkeypatch):
  clock = iter([0.0, 5.0, 15.0, 15.0, 15.0])
  monkeypatch.setattr(report.time, "monotonic", lambda: next(clock))
  stream = io.StringIO()
  progress = Progress(100, stream=stream)
  progress.skip_to(80)
  progress.update(90)
  assert stream.getvalue() == "90/100 [00:10<00:10,  1.00it/s]\n"


def _open_terminal():
  """Two ends of a terminal of 80 columns."""
  leader, follower = pty.openpty()
  window = struct.pack("HHHH", 24, 80, 0, 0)
  fcntl.ioctl(follower, termios.TIOCSWINSZ, window)
  return leader, follower


def _read_terminal(leader):
  """Returns all that was written to the terminal whose other end is closed."""
  shown = b""
  # One read may return part of it; Linux ends with EIO, others with "".
  with (
    contextlib.suppress(OSError),
    os.fdopen(leader, "rb", buffering=0) as file,
  ):
    while some := file.read(65536):
      shown += some
  return shown.decode()


def test_progress_on_a_terminal_is_a_bar():
  leader, follower = _open_terminal()
  with (
    os.fdopen(follower, "w") as stream,
    Progress(4, label="step 1", stream=stream) as progress,
  ):
    progress.update(2, loss=0.25)
    progress.update(4, loss=0.125, label="step 2")
  shown = _read_terminal(leader)
  assert "\r" in shown and "step 2" in shown
  assert "4/4" in shown and "loss 0.1250" in shown


def test_a_bar_leaves_out_what_was_done_before():
  leader, follower = _open_terminal()
  with os.fdopen(follower, "w") as stream, Progress(9, stream=stream) as bar:
    bar.skip_to(5)
    time.sleep(0.2)
    bar.update(7)
  shown = _read_terminal(leader)
  assert "7/9" in shown
  rates = [float(rate) for rate in re.findall(r"([0-9.]+)it/s", shown)]
  # Two in 0.2 seconds, not seven.
  assert rates and max(rates) < 2 / 0.2 + 1
