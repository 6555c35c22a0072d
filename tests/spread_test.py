"""The program on several devices and processes gives one device's numbers.

Devices are fake: XLA divides the CPU. Every run is the real program in a
process of its own; on one device it is the reference for the others.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import time

import numpy as np
import pytest
from random_gan import ARCH
from tiny_inputs import write_inputs

FIELDS = {
  "prior.iterations": 1,
  "schedule.stages": 1,
  "schedule.first_stage": "(1,1,2)",
  "output.export": False,
  "run.checkpoint_seconds": 0,
}
JOINT = {"joint": True, "schedule.pictures": 4}


def start(inputs, workdir, fields, *, devices, pictures, process=()):
  fields = (
    FIELDS
    | fields
    | {
      "data.pictures": inputs / "list.txt",
      "data.count": pictures,
      "data.latents": inputs / "latents",
      "weights.gan": inputs / "gan",
    }
  )
  command = [sys.executable, "-m", "gan2shape_jax.main", *process]
  command += ["--config=configs/tiny.py", f"--workdir={workdir}"]
  command += [f"--config.{name}={value}" for name, value in fields.items()]
  flags = f"--xla_force_host_platform_device_count={devices}"
  return subprocess.Popen(
    command,
    env=os.environ | {"XLA_FLAGS": f"{os.environ['XLA_FLAGS']} {flags}"},
    stdout=subprocess.PIPE,
    stderr=subprocess.STDOUT,
    text=True,
  )


def finish(process):
  output, _ = process.communicate(timeout=900)
  assert process.returncode == 0, output
  return output


def assert_alike(workdir, reference):
  """Up to float32's rounding, which a few steps of Adam enlarge."""
  found, expected = map(figures, (workdir, reference))
  assert found.keys() == expected.keys()
  for name, value in expected.items():
    np.testing.assert_allclose(
      found[name], value, rtol=2e-3, atol=1e-5, err_msg=name
    )


def figures(workdir):
  """Errors of shapes and projections, by picture and stage."""
  content = json.loads((workdir / "metrics.json").read_text())
  return {
    name: value
    for name, value in flatten(content).items()
    if name.endswith(("side", "mad", "projection_error"))
  }


def flatten(tree, prefix=""):
  if not isinstance(tree, dict):
    return {prefix: tree}
  flat = {}
  for name, value in tree.items():
    flat |= flatten(value, f"{prefix}/{name}")
  return flat


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
  folder = write_inputs(tmp_path_factory.mktemp("inputs"), pictures=5)
  (folder / "latents").mkdir()
  rng = np.random.default_rng(0)
  for i in range(5):
    latent = rng.normal(size=ARCH.latent_size).astype(np.float32)
    np.save(folder / f"latents/{i}.npy", latent)
  return folder


@pytest.fixture(scope="module")
def separate(inputs, tmp_path_factory):
  """Three fits, one after the other on one device."""
  workdir = tmp_path_factory.mktemp("separate")
  finish(start(inputs, workdir, {}, devices=1, pictures=3))
  return workdir


@pytest.fixture(scope="module")
def joint(inputs, tmp_path_factory):
  """Joint training on five pictures, four of them in an iteration."""
  workdir = tmp_path_factory.mktemp("joint")
  finish(start(inputs, workdir, JOINT, devices=1, pictures=5))
  return workdir


@pytest.mark.parametrize(
  ("fields", "used"),
  [
    ({}, "2 pictures at once, on 2 cpu"),  # the last group is half full
    ({"devices.samples": 2, "devices.fits": 2}, "2 pictures at once, on 2 cpu"),
  ],
  ids=["a picture on each device", "samples on each device"],
)
def test_separate_fits(inputs, separate, tmp_path, fields, used):
  output = finish(start(inputs, tmp_path, fields, devices=2, pictures=3))
  assert used in output
  assert_alike(tmp_path, separate)


def test_joint_training(inputs, joint, tmp_path):
  output = finish(start(inputs, tmp_path, JOINT, devices=8, pictures=5))
  assert "4 pictures at once, on 4 cpu device(s)" in output
  assert_alike(tmp_path, joint)


def start_two(inputs, workdir, kind):
  """Two processes of two devices each, which do not divide the pictures."""
  fields, count = ({}, 3) if kind == "separate" else (JOINT, 5)
  with socket.socket() as listener:
    listener.bind(("localhost", 0))
    port = listener.getsockname()[1]
  return [
    start(
      inputs,
      workdir,
      fields,
      devices=2,
      pictures=count,
      process=[
        "--distributed",
        f"--coordinator=localhost:{port}",
        "--processes=2",
        f"--process={i}",
      ],
    )
    for i in range(2)
  ]


def assert_two_alike(workdir, reference, kind):
  """Of joint training the first process reports on its own pictures."""
  if kind == "separate":
    assert_alike(workdir, reference)
    return
  found, expected = map(figures, (workdir, reference))
  for name, value in expected.items():
    if name.startswith("/pictures"):
      np.testing.assert_allclose(found[name], value, rtol=2e-3, err_msg=name)


def await_checkpoint(processes, workdir):
  """Waits until each process has saved a state, or all have the same."""
  folders = [workdir / f"checkpoints/{of}" for of in ("process_0", "process_1")]
  deadline = time.monotonic() + 900
  running = lambda: all(p.poll() is None for p in processes)  # noqa: E731
  while running() and time.monotonic() < deadline:
    own = all(any(folder.glob("[0-9]")) for folder in folders)
    if own or any((workdir / "checkpoints").glob("[0-9]")):
      return
    time.sleep(0.05)
  for process in processes:
    process.kill()
  pytest.fail(
    "no checkpoint: " + "".join(p.communicate()[0] for p in processes)
  )


@pytest.mark.parametrize("kind", ["separate", "joint"])
def test_two_processes(inputs, kind, tmp_path, request):
  processes = start_two(inputs, tmp_path, kind)
  first, second = [finish(process) for process in processes]
  assert "picture(s)" in first and "picture(s)" not in second
  assert_two_alike(tmp_path, request.getfixturevalue(kind), kind)


@pytest.mark.parametrize(
  ("kind", "sent"), [("separate", signal.SIGKILL), ("joint", signal.SIGTERM)]
)
def test_two_processes_that_are_stopped_go_on(
  inputs, kind, sent, tmp_path, request
):
  """One is killed, and the scheduler ends the other; or they are pre-empted."""
  processes = start_two(inputs, tmp_path, kind)
  await_checkpoint(processes, tmp_path)
  for process in reversed(processes):
    process.send_signal(sent)
  if sent == signal.SIGTERM:
    for process in processes:
      assert "the same command goes on from there" in finish(process)
  else:
    for process in processes:
      process.communicate(timeout=900)
      assert process.returncode == -sent
  assert not (tmp_path / "metrics.json").exists()
  for process in start_two(inputs, tmp_path, kind):
    finish(process)
  assert_two_alike(tmp_path, request.getfixturevalue(kind), kind)
