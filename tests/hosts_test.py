"""How processes wait for each other; more of them: spread_test.py."""

import jax
import pytest

from gan2shape_jax import hosts


class Coordinator:
  """The first process, as the others see it."""

  def __init__(self):
    self.waits = []

  def wait_at_barrier(self, name, timeout_in_ms, process_ids=None):
    self.waits.append((name, timeout_in_ms, process_ids))


@pytest.fixture
def coordinator(monkeypatch):
  coordinator = Coordinator()
  state = jax._src.distributed.global_state
  monkeypatch.setattr(state, "client", coordinator)
  monkeypatch.setattr(jax, "process_count", lambda: 3)
  return coordinator


def test_processes_wait_for_days_at_places_of_their_own(coordinator):
  """Collectives would give up after minutes; some pictures take hours."""
  hosts.wait("here")
  hosts.in_order("there", lambda: None)
  names, times, processes = zip(*coordinator.waits, strict=True)
  assert names == ("here", "there")
  assert min(times) >= 24 * 3600 * 1000
  assert all(set(p) == {0, 1, 2} for p in processes)


def test_one_process_waits_for_nobody(coordinator, monkeypatch):
  monkeypatch.setattr(jax, "process_count", lambda: 1)
  hosts.wait("here")
  assert hosts.gather("there", {"a": 1}) == [{"a": 1}] and hosts.agree(True)
  assert not coordinator.waits
