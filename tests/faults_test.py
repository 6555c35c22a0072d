"""What the program says when it cannot write, and what it leaves behind.

A limit of the size of files takes the place of a full disk; a real one, small,
is mounted where the tests may do that.
"""

import contextlib
import json
import os
import shutil
import subprocess

import pytest
from program_runs import run
from tiny_inputs import write_inputs

SMALL = {
  "data.count": 1,
  "prior.iterations": 1,
  "schedule.stages": 1,
  "schedule.first_stage": "(1,1,1)",
  "output.export": False,
}


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
  return write_inputs(tmp_path_factory.mktemp("inputs"), 1)


@pytest.fixture(scope="module")
def metrics(inputs, tmp_path_factory):
  """Of a run with enough room (which fills the compilation cache besides)."""
  workdir = tmp_path_factory.mktemp("roomy")
  process = run(inputs, workdir, **SMALL)
  assert process.returncode == 0, process.stderr
  return read_metrics(workdir)


def read_metrics(workdir):
  content = json.loads((workdir / "metrics.json").read_text())
  return content["pictures"]["0"] | {"seconds": 0}


def assert_answered(process, *parts):
  """Exit code 2 and one line, whatever libraries' threads print besides."""
  assert process.returncode == 2, process.stderr
  lines = process.stderr.splitlines()
  (said,) = [line for line in lines if line.startswith("gan2shape_jax: ")]
  for part in parts:
    assert part in said


def assert_whole(workdir):
  """All files that readers rely on can be read."""
  for path in workdir.rglob("*.json"):
    if "checkpoints" not in path.parts and ".part" not in path.name:
      json.loads(path.read_text())


def test_no_room_for_a_checkpoint(inputs, metrics, tmp_path):
  """The same command goes on when there is room again."""
  process = run(inputs, tmp_path, {"room": 60_000}, **SMALL)
  assert_answered(process, f"{tmp_path}/checkpoints: ", "make room")
  assert_whole(tmp_path)
  process = run(inputs, tmp_path, **SMALL)
  assert process.returncode == 0, process.stderr
  assert read_metrics(tmp_path) == metrics


@contextlib.contextmanager
def small_disk(folder, size):
  """Mounts a small file system; skips the test where that is not allowed."""
  folder.mkdir()
  mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "none", folder]
  if os.geteuid() or not shutil.which("mount"):
    pytest.skip("needs root")
  if subprocess.run(mount, capture_output=True).returncode:
    pytest.skip("needs to mount")
  try:
    yield folder
  finally:
    subprocess.run(["umount", folder], check=True)


def test_a_full_disk(inputs, metrics, tmp_path):
  with small_disk(tmp_path / "disk", "200k") as disk:
    process = run(inputs, disk / "run", **SMALL)
    assert_answered(process, str(disk), "make room, or choose another")
    assert "Traceback" not in process.stderr
    assert_whole(disk / "run")
