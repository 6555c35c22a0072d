"""The real program in processes of its own, on tiny pictures."""

import json
import os
import pathlib
import subprocess
import sys

_SCRIPT = pathlib.Path(__file__).with_name("killed_run.py")
_ROOT = _SCRIPT.parents[1]


def run(inputs, workdir, how=None, **fields):
  """Runs the program with configs/tiny.py, a checkpoint at every iteration.

  Args:
    inputs: folder as `tiny_inputs.write_inputs` makes it.
    workdir: for the results.
    how: see killed_run.py; None lets the program be.
    **fields: of the configuration, "group.field".
  """
  fields = {
    "run.chunk": 1,
    "run.checkpoint_seconds": 0,
    "schedule.flip_step3": "(False,False)",
    "data.pictures": inputs / "list.txt",
    "weights.gan": inputs / "gan",
  } | fields
  flags = ["--config=configs/tiny.py", f"--workdir={workdir}"]
  flags += [f"--config.{name}={value}" for name, value in fields.items()]
  return subprocess.run(
    [sys.executable, _SCRIPT, json.dumps(how or {}), "--", *flags],
    env=os.environ | {"PYTHONPATH": str(_ROOT)},
    cwd=_ROOT,
    capture_output=True,
    text=True,
    timeout=600,
  )
