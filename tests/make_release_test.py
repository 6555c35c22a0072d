"""The release of random weights has the sizes of the authors'.

Numbers of parameters were counted in the original networks.
"""

import importlib

import foreign_gans
import make_release
import numpy as np
import pytest
import release_weights
from golden import cases

GANS = {
  "celeba": (24_525_213, 23_882_369),
  "synface": (24_525_213, 23_882_369),
  "cat": (24_767_458, 24_001_089),
  "church": (30_034_338, 28_864_129),
  "car": (30_276_583, 28_982_849),
}
NETWORKS = {"cat": 53_653_952, "synface": 43_432_896}
PARSERS = {"cat": 46_716_373, "church": 46_782_550, "celeba": 13_300_416}
# Not trained: statistics, fixed noise maps and blurs.
BUFFERS = ("running_mean", "running_var", "num_batches_tracked", ".kernel")


@pytest.fixture(autouse=True)
def quick_numbers(monkeypatch):
  """Zeros instead of random numbers: shapes are all that counts here."""
  for module in (foreign_gans, cases, release_weights):
    monkeypatch.setattr(
      module, "draw", lambda name, shape, scale=1: np.zeros(shape, np.float32)
    )


def parameters(state):
  return sum(
    array.size
    for name, array in state.items()
    if not name.endswith(BUFFERS) and not name.startswith("noises.")
  )


def release_of(name):
  config = importlib.import_module(f"configs.{name}").get_config()
  return config, make_release.true_shapes(config)


@pytest.mark.parametrize("name", GANS)
def test_gans(name):
  _, shapes = release_of(name)
  checkpoint = foreign_gans.rosinality_checkpoint(
    shapes.channels, latent=shapes.latent, layers=shapes.layers
  )
  found = parameters(checkpoint["g_ema"]), parameters(checkpoint["d"])
  assert found == GANS[name]


@pytest.mark.parametrize("name", NETWORKS)
def test_five_networks(name):
  networks = make_release.network_tensors(*release_of(name))
  assert sum(map(parameters, networks.values())) == NETWORKS[name]


@pytest.mark.parametrize("name", PARSERS)
def test_parsers(name):
  tensors = make_release.parser_tensors(*release_of(name))
  tensors = tensors.get("state_dict", tensors)
  used = {k: v for k, v in tensors.items() if not k.startswith("module.aux")}
  assert parameters(used) == PARSERS[name]
