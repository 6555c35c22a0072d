import importlib
import pathlib

import pytest

from gan2shape_jax.config import default_config, validate
from gan2shape_jax.errors import UserError

CONFIGS = sorted(pathlib.Path("configs").glob("*.py"))


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_configurations_hold_the_default_fields_and_are_locked(path):
  config = importlib.import_module(f"configs.{path.stem}").get_config()
  assert config.is_locked

  def names(node, prefix=""):
    for name, value in node.items():
      yield prefix + name
      if hasattr(value, "items"):
        yield from names(value, f"{prefix}{name}.")

  assert set(names(config)) == set(names(default_config()))


def test_all_problems_are_told_at_once():
  config = default_config()
  config.image_size = 100
  config.schedule.stages = 9
  config.schedule.flip_step1 = (True, False)
  config.schedule.flip_step3 = (False, False)
  config.data.mask = "guess"
  with pytest.raises(UserError) as error:
    validate(config)
  for part in (
    "image_size=100",
    "flip_step3 has 2 values for 9 stages",
    "flip_step1 needs flip_step3",
    "data.mask='guess'",
    "data.pictures is empty",
    "weights.gan is empty",
  ):
    assert part in str(error.value)


def test_demo_is_valid():
  validate(importlib.import_module("configs.demo").get_config())
