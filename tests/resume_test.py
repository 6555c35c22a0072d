"""A run that is killed again and again gives what it gives undisturbed.

Every process is the real program; see tests/killed_run.py.
"""

import json

import numpy as np
import pytest
from program_runs import run
from tiny_inputs import write_inputs

# Two pictures, eleven iterations each: 2 of the prior; albedo, project and
# shape, twice each, and once more in the second stage.
FIELDS = {
  "schedule.first_stage": "(2,2,2)",
  "schedule.later_stages": "(1,1,1)",
}
# Where to kill it: picture, kind of moment (see killed_run.py), iterations of
# the picture before it, or from how many to how many; then, drawn from 1 up to
# this, which of such moments, and from 0 up to this, how many seconds later.
KILLS = [
  (None, "inversion", 0, 2, 0),
  (None, "latent", 0, 2, 0),
  ("0", "prior", (0, 2), 1, 0),
  ("0", "stage", 2, 3, 0),
  ("0", "save", 2, 8, 0),
  ("0", "albedo", (2, 4), 1, 0),
  ("0", "commit", 3, 3, 0),
  ("0", "project", (4, 6), 1, 0),
  ("0", "collection", 6, 1, 0),
  ("0", "shape", (6, 8), 1, 0),
  ("0", "stage", 8, 3, 0),
  ("0", "save", 8, 8, 0.2),
  ("0", "export", 11, 20, 0),
  ("0", "export", 11, 8, 0.02),
  ("0", "figures", 11, 2, 0),
  ("1", "save", 3, 8, 0.2),
  ("1", "shape", (8, 10), 1, 0.1),
  ("1", "export", 11, 20, 0),
  ("1", "figures", 11, 2, 0),
  (None, "summary", 0, 3, 0),
]


def choose(rng, picture, kind, after, nth, delay):
  """What is said to killed_run.py."""
  how = {"signal": "SIGKILL", "kind": kind, "delay": rng.uniform(0, delay)}
  how["nth"] = int(rng.integers(1, nth, endpoint=True))
  low, high = after if isinstance(after, tuple) else (after, after)
  how["after"] = int(rng.integers(low, high, endpoint=True))
  return how | ({"picture": picture} if picture else {})


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
  return write_inputs(tmp_path_factory.mktemp("inputs"), 2)


def files(workdir):
  """The content of all files of latents and results, by name."""
  found = {}
  for path in [*workdir.glob("latents/*"), *workdir.glob("results/**/*")]:
    if path.name == "metrics.json":
      found[path.relative_to(workdir)] = without_times(path)
    elif path.is_file():
      found[path.relative_to(workdir)] = path.read_bytes()
  return found


def without_times(path):
  def strip(tree):
    if not isinstance(tree, dict):
      return tree
    return {k: strip(v) for k, v in tree.items() if k != "seconds"}

  return strip(json.loads(path.read_text()))


def test_killed_at_twenty_moments_and_stopped_at_three(inputs, tmp_path):
  undisturbed, workdir = tmp_path / "undisturbed", tmp_path / "killed"
  process = run(inputs, undisturbed, **FIELDS)
  assert process.returncode == 0, process.stderr
  expected = files(undisturbed)
  assert len(expected) > 60

  rng = np.random.default_rng(5)
  searching = {"signal": "SIGTERM", "kind": "inversion"}
  collecting = {"signal": "SIGTERM", "kind": "collection", "picture": "1"}
  projecting = {"signal": "SIGTERM", "kind": "project", "picture": "1"}
  process = run(inputs, workdir, searching, **FIELDS)
  assert process.returncode == 0, process.stderr
  assert "1: inversion not begun; the same command goes on" in process.stdout
  assert (workdir / "latents/0.npy").exists()
  cut_saves, done = 0, {}
  for place in KILLS:
    how = choose(rng, *place)
    process = run(inputs, workdir, how, **FIELDS)
    assert process.returncode == -9, f"{how}\n{process.stderr}"
    assert "Traceback" not in process.stderr
    cut_saves += any((workdir / "checkpoints").glob("*-tmp"))
    for path in workdir.glob("results/*/metrics.json"):
      done.setdefault(path, path.stat().st_mtime_ns)
    if place[:2] == ("1", "save"):
      process = run(inputs, workdir, projecting, **FIELDS)
      assert process.returncode == 0, process.stderr
      assert "project: stopped after iteration" in process.stdout
      process = run(inputs, workdir, collecting, **FIELDS)
      assert process.returncode == 0, process.stderr
      assert "shape: stopped after iteration 0" in process.stdout
  assert cut_saves >= 2

  process = run(inputs, workdir, **FIELDS)
  assert process.returncode == 0, process.stderr
  found = files(workdir)
  assert found.keys() == expected.keys()
  differing = [name for name in expected if found[name] != expected[name]]
  assert not differing
  summaries = [
    without_times(f / "metrics.json") for f in (workdir, undisturbed)
  ]
  assert summaries[0] == summaries[1]
  for path, time in done.items():  # Nothing that was done was done again.
    assert path.stat().st_mtime_ns == time


def test_other_devices_may_go_on(inputs, tmp_path):
  fields = {
    "schedule.stages": 1,
    "schedule.first_stage": "(1,1,1)",
    "output.export": False,
  }
  how = {"kind": "shape", "signal": "SIGKILL"}
  assert run(inputs, tmp_path, how, **fields).returncode == -9
  fields |= {"devices.fits": 2, "run.chunk": 50}
  process = run(inputs, tmp_path, **fields)
  assert process.returncode == 0, process.stderr
  assert "2 pictures at once" in process.stdout
  rows = json.loads((tmp_path / "metrics.json").read_text())["pictures"]
  assert set(rows) == {"0", "1"}
