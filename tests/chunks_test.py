import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan2shape_jax.chunks import make_chunk


def step(state, slope):
  key = jax.random.fold_in(jax.random.key(0), state["iteration"])
  value = state["value"] * slope + jax.random.normal(key)
  state = {"value": value, "iteration": state["iteration"] + 1}
  return state, {"value": value}


def start():
  return {"value": jnp.float32(1.0), "iteration": jnp.int32(0)}


@pytest.mark.parametrize("on_device", [False, True])
def test_metrics_are_those_of_each_iteration(on_device):
  state, metrics = make_chunk(step, on_device=on_device)(start(), 0.5, length=4)
  expected, rows = start(), []
  for _ in range(4):
    expected, row = step(expected, 0.5)
    rows.append(row["value"])
  np.testing.assert_allclose(metrics["value"], np.stack(rows), rtol=1e-6)
  np.testing.assert_allclose(state["value"], expected["value"], rtol=1e-6)
  assert isinstance(metrics["value"], np.ndarray)


@pytest.mark.parametrize("on_device", [False, True])
def test_chunk_length_does_not_change_the_numbers(on_device):
  chunk = make_chunk(step, on_device=on_device)
  whole, _ = chunk(start(), 0.5, length=6)
  parts = start()
  for length in (1, 2, 3):
    parts, _ = chunk(parts, 0.5, length=length)
  assert parts["value"] == whole["value"]


@pytest.mark.parametrize("on_device", [False, True])
def test_a_step_without_metrics(on_device):
  def double(state):
    return 2 * state, {}

  chunk = make_chunk(double, on_device=on_device)
  state, metrics = chunk(jnp.float32(1.0), length=5)
  assert state == 32.0 and metrics == {}


def test_one_program_serves_all_lengths():
  traced = []

  def noted(state, slope):
    traced.append(slope)
    return step(state, slope)

  chunk = make_chunk(noted, on_device=True)
  state = start()
  chunk(state, 0.5, length=3)
  once = len(traced)
  state, metrics = chunk(start(), 0.5, length=64)
  assert metrics["value"].shape == (64,)
  chunk(state, 0.5, length=1)
  assert len(traced) == once
