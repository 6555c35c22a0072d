"""SIGTERM is noted, and heard wherever a run can stop."""

import os
import signal
import subprocess
import sys
import types

import numpy as np
import pytest
from tiny_inputs import write_pictures

from configs import tiny
from gan2shape_jax import latents, sources
from gan2shape_jax.errors import Interrupted
from gan2shape_jax.interrupt import Interrupt


def ask_to_stop(number=signal.SIGTERM):
  os.kill(os.getpid(), number)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_is_noted_while_the_context_lasts(number):
  before = signal.getsignal(number)
  with Interrupt() as interrupt:
    assert not interrupt.requested(1)
    ask_to_stop(number)
    assert interrupt.came and interrupt.requested(2)
  assert signal.getsignal(number) == before


def test_a_second_signal_kills():
  code = (
    "import os, signal\n"
    "from gan2shape_jax.interrupt import Interrupt\n"
    "with Interrupt():\n"
    "  for word in ('noted', 'not reached'):\n"
    "    os.kill(os.getpid(), signal.SIGTERM)\n"
    "    print(word, flush=True)\n"
  )
  process = subprocess.run(
    [sys.executable, "-c", code], capture_output=True, text=True, timeout=120
  )
  assert process.returncode == -signal.SIGTERM
  assert process.stdout == "noted\n"


@pytest.fixture
def inputs(tmp_path):
  """Two pictures without latents."""
  write_pictures(tmp_path, count=2)
  config = tiny.get_config()
  config.data.pictures = str(tmp_path / "list.txt")
  pictures = sources.load_sources(config, None).pictures
  gan = types.SimpleNamespace(generator=None, arch=None)
  return config, types.SimpleNamespace(
    sources=pictures, gan=gan, system=None, frozen={}
  )


@pytest.mark.parametrize(
  ("when", "message", "found"),
  [
    ((0, 1), "0: inversion: stopped after iteration 1", []),
    ((0, 2), "1: inversion not begun", ["0.npy"]),  # It was all but found.
    ((1, 1), "1: inversion: stopped after iteration 1", ["0.npy"]),
  ],
)
def test_the_search_for_latents_stops(
  tmp_path, monkeypatch, inputs, when, message, found
):
  config, inputs = inputs
  searches = iter(range(2))

  def invert(frozen, images, space, *, progress):
    search = next(searches)
    for step in (1, 2):
      if (search, step) == when:
        ask_to_stop()
      progress(step, {"total": np.ones(1)})
    return np.zeros((1, 8, 8))

  monkeypatch.setattr(latents, "make_inverter", lambda *_: invert)
  monkeypatch.setattr(latents, "latent_space", lambda *_: None)
  workdir = tmp_path / "run"
  workdir.mkdir()
  with pytest.raises(Interrupted, match=message), Interrupt() as interrupt:
    latents.find_latents(config, workdir, inputs, interrupt)
  assert [path.name for path in (workdir / "latents").iterdir()] == found
