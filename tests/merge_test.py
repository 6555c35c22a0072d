"""The program that merges networks, from folder to folder."""

import shutil

import jax
import numpy as np
import pytest
from tiny_inputs import write_inputs
from tiny_system import tiny_system

from configs import tiny
from gan2shape_jax import merge
from gan2shape_jax.errors import UserError
from gan2shape_jax.models.networks import init_networks
from gan2shape_jax.pretrained import load_networks, load_units, save_networks
from gan2shape_jax.weights import save_weights

LIMITS = ((0.9, 1.1), (0.94, 1.06))


def make_config(inputs, limits, **fields):
  config = tiny.get_config()
  config.data.pictures = str(inputs / "list.txt")
  config.data.ground_truth = False
  config.weights.gan = str(inputs / "gan")
  config.camera.depth_min, config.camera.depth_max = limits
  config.update_from_flattened_dict(fields)
  return config


def networks_within(limits):
  names = ("camera.depth_min", "camera.depth_max")
  system = tiny_system(**dict(zip(names, limits, strict=True)))
  return system.networks, system.units


def save_random(folder, limits, seed, names=None):
  networks, units = networks_within(limits)
  params = jax.jit(lambda key: init_networks(networks, key))(
    jax.random.key(seed)
  )
  params = {name: params[name] for name in names or params}
  save_networks(folder, params, units=units, provenance={})
  return str(folder)


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
  return write_inputs(tmp_path_factory.mktemp("inputs"), 3)


@pytest.fixture(scope="module")
def folders(inputs, tmp_path_factory):
  root = tmp_path_factory.mktemp("members")
  return [
    save_random(root / str(seed), limits, seed)
    for seed, limits in enumerate(LIMITS)
  ]


def test_merged_networks_load_within_the_mean_limits(
  inputs, folders, tmp_path, capsys
):
  # Pictures are all that is looked at.
  shutil.copytree(inputs / "image", tmp_path / "image")
  config = make_config(inputs, (0.8, 1.3), **{"data.mask": "file"})
  config.data.pictures = str(tmp_path / "image")
  merge.run(config, tmp_path, folders, iterations=3)
  said = capsys.readouterr().out
  assert "camera.depth_min=0.92, camera.depth_max=1.08" in said
  networks, units = networks_within((0.92, 1.08))
  merged = load_networks(tmp_path / "networks", networks, units)
  networks, units = networks_within(LIMITS[0])
  first = load_networks(folders[0], networks, units)
  kernel = lambda params, name: params[name]["out"]["kernel"]  # noqa: E731
  np.testing.assert_array_equal(
    kernel(merged, "encoder"), kernel(first, "encoder")
  )
  for name in ("depth", "albedo", "view", "light"):
    assert np.any(kernel(merged, name) != kernel(first, name))


def refused(inputs, tmp_path, folders, **fields):
  with pytest.raises(UserError) as error:
    config = make_config(inputs, LIMITS[0], **fields)
    merge.run(config, tmp_path / "out", folders, iterations=1)
  assert not (tmp_path / "out").exists()
  return str(error.value)


def test_mistakes_are_named_before_work_begins(inputs, folders, tmp_path):
  assert "--networks" in refused(inputs, tmp_path, [])
  text = refused(inputs, tmp_path, folders, **{"view.max_rotation": 30.0})
  assert folders[0] in text and "view.max_rotation" in text
  some = save_random(tmp_path / "some", LIMITS[0], 0, ["depth", "encoder"])
  text = refused(inputs, tmp_path, [folders[0], some])
  assert some in text and "albedo" in text
  save_weights(tmp_path / "foreign", {"depth": np.zeros(1)}, {})
  with pytest.raises(UserError, match=r"foreign.*units"):
    load_units(tmp_path / "foreign")
  assert "nowhere" in refused(inputs, tmp_path, [str(tmp_path / "nowhere")])
  missing = inputs / "missing.txt"
  missing.write_text("image/0.png\nimage/none.png\n")
  text = refused(inputs, tmp_path, folders, **{"data.pictures": str(missing)})
  assert "none.png" in text
