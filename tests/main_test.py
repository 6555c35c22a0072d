"""Mistakes on the command line: one line, exit code 2, at once."""

import subprocess
import sys

import pytest


def run(*options):
  command = [sys.executable, "-m", "gan2shape_jax.main", *options]
  return subprocess.run(command, capture_output=True, text=True, timeout=120)


@pytest.mark.parametrize(
  ("options", "message"),
  [
    (["--config.schedule.stage=3"], 'Did you mean "stages"'),
    (["--config=configs/nothing.py"], "configs/nothing.py"),
    (["--config.data.pictures=nowhere.png"], "nowhere.png"),
    (["--config.weights.gan=nowhere"], "nowhere: no weights there"),
    (["--config.image_size=big"], "image_size"),
    (["--config.run.chunk=0"], "run.chunk=0 must be at least 1"),
    (["--config.networks.width=30"], "width 30 and max_channels 128"),
    (["--process=1"], "go with --distributed"),
    (["--no_such_flag"], "no_such_flag"),
  ],
)
def test_mistakes_are_answered_in_one_line(tmp_path, options, message):
  result = run(f"--workdir={tmp_path}/run", *options)
  assert result.returncode == 2, result.stderr
  last = result.stderr.strip().splitlines()[-1]
  assert last.startswith("gan2shape_jax: ") and message in last
  assert "Traceback" not in result.stderr
  assert not (tmp_path / "run").exists()


def test_check_tells_the_plan_and_starts_nothing(tmp_path):
  workdir, networks = f"{tmp_path}/run", "--config.weights.networks="
  result = run("--check", f"--workdir={workdir}", networks)
  assert result.returncode == 0, result.stderr
  for part in ("1 picture(s)", "prior", "albedo", "project", "GiB"):
    assert part in result.stdout
  assert not (tmp_path / "run").exists()


def test_check_tells_all_problems(tmp_path):
  result = run(
    "--check",
    f"--workdir={tmp_path}/run",
    "--config.weights.gan=nowhere",
    "--config.weights.lpips=neither",
    "--config.weights.networks=",
    "--config.data.pictures=lost.png",
  )
  assert result.returncode == 2, result.stderr
  assert "gan2shape_jax: 3 problems:" in result.stderr
  for part in ("nowhere: no weights", "neither: no weights", "lost.png"):
    assert f"\n  - {part}" in result.stderr
