"""Networks that come from a folder."""

import numpy as np
import pytest
from tiny_system import tiny_system, weights

from gan2shape_jax.errors import UserError
from gan2shape_jax.pretrained import load_networks, save_networks


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
  folder = tmp_path_factory.mktemp("networks")
  params, _ = weights()
  save_networks(
    folder,
    {name: params[name] for name in ("depth", "view")},
    units=tiny_system().units,
    provenance={},
  )
  return folder


def load(folder, **fields):
  system = tiny_system(**fields)
  return load_networks(folder, system.networks, system.units)


def test_some_of_the_networks_come_back(folder):
  params, _ = weights()
  loaded = load(folder)
  assert set(loaded) == {"depth", "view"}
  np.testing.assert_array_equal(
    loaded["view"]["out"]["kernel"], params["view"]["out"]["kernel"]
  )


@pytest.mark.parametrize(
  ("field", "value"),
  [
    ("camera.depth_max", 1.2),
    ("view.max_rotation", 30.0),
    ("view.mean", (0.1,) + (0.0,) * 5),
    ("light.mean", (0.0, 0.0, 0.0, 0.3)),
  ],
)
def test_answers_in_other_units_are_refused(folder, field, value):
  old = tiny_system().units[field]
  with pytest.raises(UserError) as error:
    load(folder, **{field: value})
  text = str(error.value)
  assert str(folder) in text and f"(here {value})" in text
  assert f"{field}={old if isinstance(old, float) else list(old)}" in text


def test_other_sizes_are_refused(folder):
  with pytest.raises(UserError, match="networks"):
    load(folder, **{"networks.width": 16})
