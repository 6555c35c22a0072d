"""How rows are laid out over devices, and what compiled programs exchange."""

import dataclasses
import json
import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny_system import first_device

from gan2shape_jax.devices import Kind, make_spread, over_rows


@dataclasses.dataclass
class Device:
  number: int
  process_index: int = 0


EIGHT = [Device(i) for i in range(8)]


@pytest.mark.parametrize(
  ("rows", "options", "shape", "each"),
  [
    (20, {}, (8, 1), 1),
    (20, {"each": 2}, (8, 1), 2),
    (20, {"each": 4}, (8, 1), 3),  # three are enough
    (3, {}, (3, 1), 1),  # fewer pictures than devices
    (3, {"each": 16}, (3, 1), 1),
    (3, {"samples": 4}, (2, 4), 1),
    (6, {"shared": True}, (6, 1), 1),
    (12, {"shared": True}, (6, 1), 2),  # eight do not divide twelve
    (7, {"shared": True, "samples": 2}, (1, 2), 7),
  ],
)
def test_as_many_devices_as_serve(monkeypatch, rows, options, shape, each):
  monkeypatch.setattr("gan2shape_jax.devices.Mesh", FakeMesh)
  spread = make_spread(EIGHT, rows, **options)
  assert spread.mesh.devices.shape == shape and spread.each == each
  # The samples of a picture stay on neighbours.
  numbers = [device.number for device in spread.mesh.devices.ravel()]
  assert numbers == list(range(np.prod(shape)))


def test_a_process_has_successive_rows(monkeypatch):
  """Though its chips are not: a TPU slice is numbered across its hosts."""
  monkeypatch.setattr("gan2shape_jax.devices.Mesh", FakeMesh)
  monkeypatch.setattr(jax, "process_index", lambda: 1)
  devices = [Device(i, (i // 2) % 2) for i in range(8)]
  spread = make_spread(devices, 16, shared=True)
  assert [d.number for d in spread.mesh.devices[:, 0]] == [
    *(0, 1, 4, 5),
    *(2, 3, 6, 7),
  ]
  assert spread.numbers == range(8, 16)


class FakeMesh:
  def __init__(self, devices, axes, axis_types):
    self.devices = devices
    self.shape = dict(zip(axes, devices.shape, strict=True))


def test_devices_that_do_not_divide_are_refused():
  with pytest.raises(ValueError, match="no multiple of 3"):
    make_spread(EIGHT, 2, samples=3)


def test_rows_come_back_as_they_were_placed():
  spread = make_spread(jax.devices()[:1], 3, each=3)
  tree = {"x": np.arange(6.0).reshape(3, 2)}
  placed = spread.place(tree, Kind.ROWS)
  for row in range(3):
    taken = spread.take(placed, Kind.ROWS, row)
    np.testing.assert_array_equal(taken["x"], tree["x"][row])


def test_rows_have_keys_of_their_own():
  """Shared or not: row 1 draws other numbers than row 0."""
  for shared in (False, True):
    spread = make_spread(jax.devices()[:1], 2, each=2, shared=shared)
    draw = jax.jit(spread.rows(jax.random.uniform, Kind.KEY))
    key = jax.random.key(0)
    drawn = draw(key if shared else jax.random.split(key, 2))
    assert drawn.shape == (2,) and drawn[0] != drawn[1]


def test_one_row_is_no_batch():
  """Its convolutions would become grouped ones."""
  seen = []
  function = lambda x, y: seen.append(x.shape) or x + y  # noqa: E731
  result = over_rows(function, (0, None), 1)(jnp.ones((1, 4)), jnp.ones(4))
  np.testing.assert_array_equal(result, np.full((1, 4), 2.0))
  assert seen == [(4,)]
  assert first_device().count == 1


@pytest.fixture(scope="module")
def inspected():
  """What compiled steps are like on four devices, by way of using them."""
  flags = os.environ["XLA_FLAGS"] + " --xla_force_host_platform_device_count=4"
  script = os.path.join(os.path.dirname(__file__), "collectives.py")
  result = subprocess.run(
    [sys.executable, script],
    env=os.environ | {"XLA_FLAGS": flags},
    capture_output=True,
    text=True,
    check=True,
  )
  return json.loads(result.stdout.splitlines()[-1])


def test_separate_fits_exchange_nothing(inspected):
  assert inspected["separate"]["exchanged"] == {}


@pytest.mark.parametrize("way", ["samples", "joint"])
def test_sums_are_all_that_is_exchanged(inspected, way):
  assert inspected[way]["exchanged"].keys() == {"all-reduce"}


@pytest.mark.parametrize("way", ["separate", "samples", "joint"])
def test_programs_of_several_devices_lower_for_a_tpu(inspected, way):
  assert inspected[way]["faults"] == []
