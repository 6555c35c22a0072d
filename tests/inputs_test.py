"""Checks before a run: every problem at once, and nothing written."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image
from random_gan import save_random_gan

from configs import tiny
from gan2shape_jax.errors import UserError
from gan2shape_jax.inputs import load_inputs
from gan2shape_jax.plan import estimate_memory, make_plan
from gan2shape_jax.weights import save_weights


@pytest.fixture(scope="module")
def config(tmp_path_factory):
  folder = tmp_path_factory.mktemp("inputs")
  save_random_gan(folder / "gan")
  (folder / "image").mkdir()
  (folder / "latents").mkdir()
  for name in "ab":
    Image.new("RGB", (40, 40), "red").save(folder / f"image/{name}.png")
  np.save(folder / "latents/a.npy", np.zeros(8, np.float32))
  (folder / "list.txt").write_text("a.png\nb.png\n")
  config = tiny.get_config()
  config.data.pictures = str(folder / "list.txt")
  config.data.root = str(folder / "image")
  config.data.latents = str(folder / "latents")
  config.data.ground_truth = False
  config.data.mask = "full"
  config.weights.gan = str(folder / "gan")
  return config


def changed(config, **fields):
  config = config.copy_and_resolve_references()
  config.update_from_flattened_dict(fields)
  return config


def test_what_is_there_is_loaded_and_planned(config, tmp_path):
  config = changed(config, **{"data.crop": 30})
  inputs = load_inputs(config, tmp_path / "run")
  assert [source.path.stem for source in inputs.sources] == ["a", "b"]
  assert inputs.system.source_size == 40
  plan = make_plan(config, inputs)
  # The prior's 2, then 2 stages.
  assert plan.iterations == 2 + (2 + 2 + 3) + (1 + 1 + 2)
  text = plan.describe(config, inputs)
  for part in (
    "2 picture(s), 13 iterations each, on 1 cpu device(s)",
    "1 given, 1 to be searched",
    "none given, depth, albedo",
    "prior 2, albedo 3, project 3, shape 5",
    "GiB",
  ):
    assert part in text
  assert not (tmp_path / "run").exists()


def test_memory_grows_with_what_is_kept(config, tmp_path):
  def estimate(**fields):
    more = changed(config, **fields)
    inputs = load_inputs(more, tmp_path)
    return estimate_memory(more, inputs, make_plan(more, inputs).spread)

  least = estimate()
  for field in ("schedule.batch_size", "schedule.collect_batches"):
    assert estimate(**{field: 20}) > least
  assert estimate(**{"devices.fits": 2}) > least
  assert estimate(joint=True) > estimate(joint=True, **{"data.count": 1})
  assert estimate(**{"precision.frozen": "bfloat16"}) < least


def test_the_configuration_decides_on_the_precision(config, tmp_path):
  def load(dtype):
    return load_inputs(changed(config, **{"precision.frozen": dtype}), tmp_path)

  assert config.precision.frozen == "float32"
  assert _dtypes(load("float32").frozen) == {np.dtype("float32")}
  half = load("bfloat16").frozen
  assert _dtypes(half) == {np.dtype("float32"), np.dtype(jnp.bfloat16)}


def _dtypes(tree):
  return {leaf.dtype for leaf in jax.tree.leaves(tree)}


def test_all_problems_are_told_at_once(config, tmp_path):
  lost = str(tmp_path / "lost")
  save_weights(tmp_path / "four", {"mean": np.zeros(4)}, {})
  (tmp_path / "run").mkdir()
  (tmp_path / "run/config.json").write_text(json.dumps({"seed": 3}))
  (tmp_path / "pt").mkdir()
  for name in "ab":
    (tmp_path / f"pt/{name}.pt").write_bytes(b"")
  bad = changed(
    config,
    **{
      "data.crop": 41,
      "data.heldout": lost,
      "weights.networks": f"{lost}1",
      "weights.lpips": str(tmp_path / "four"),
      "weights.view": str(tmp_path / "four"),
      "weights.light": f"{lost}2",
      "schedule.stages": 3,
    },
  )
  with pytest.raises(UserError) as error:
    load_inputs(bad, tmp_path / "run")
  message = str(error.value)
  for part in (
    "flip_step1 has 2 values for 3 stages",
    "seed was 3, now 0",
    "a.png: 40x40 px is smaller than the crop of 41 px",
    "b.png: 40x40",
    f"{lost}: does not exist",
    f"{lost}1: no weights there",
    "four: weights differ",
    "four: holds no distribution of 6",
    f"{lost}2: no weights there",
  ):
    assert part in message, part
  assert message.startswith("9 problems:\n  - config: ")
  assert [path.name for path in (tmp_path / "run").iterdir()] == ["config.json"]
  foreign = changed(config, **{"data.latents": str(tmp_path / "pt")})
  with pytest.raises(UserError, match=r"a\.pt: is a file of PyTorch"):
    load_inputs(foreign, tmp_path / "new")


def test_pictures_that_are_cropped_have_one_width(config, tmp_path):
  Image.new("RGB", (40, 40)).save(tmp_path / "a.png")
  Image.new("RGB", (44, 44)).save(tmp_path / "b.png")
  fields = {"data.pictures": str(tmp_path), "data.crop": 30}
  with pytest.raises(UserError, match=r"one width .*40 px.*44 px"):
    load_inputs(changed(config, **fields), tmp_path / "run")
  alike = changed(config, **fields | {"data.crop": 0})
  assert len(load_inputs(alike, tmp_path / "run").sources) == 2


def test_pictures_that_cannot_be_used_are_left_out_if_wanted(config, tmp_path):
  for name in "ab":
    Image.new("RGB", (40, 40), "red").save(tmp_path / f"{name}.png")
  (tmp_path / "b.png").write_bytes(b"broken")
  config = changed(config, **{"data.pictures": str(tmp_path)})
  with pytest.raises(UserError, match=r"b\.png"):
    load_inputs(config, tmp_path / "run")
  inputs = load_inputs(config, tmp_path / "run", leave_out=True)
  assert [source.path.stem for source in inputs.sources] == ["a"]
  assert inputs.failed.keys() == {"b"} and inputs.count == 2
  (tmp_path / "a.png").write_bytes(b"broken")
  with pytest.raises(UserError, match=r"2 problems"):
    load_inputs(config, tmp_path / "run", leave_out=True)


def test_frozen_networks_compute_as_wanted(config, tmp_path):
  half = changed(config, **{"precision.frozen": "bfloat16"})
  for changed_config, dtype in ((config, "float32"), (half, "bfloat16")):
    frozen = load_inputs(changed_config, tmp_path).frozen
    kernel = frozen["generator"]["synthesis"]["conv_4"]["kernel"]
    assert kernel.dtype == dtype


def test_processes_share_the_pictures(config, tmp_path):
  inputs = load_inputs(config, tmp_path, share=lambda count: [count - 1])
  (source,) = inputs.sources
  assert source.path.stem == "b" and source.number == 1 and inputs.count == 2
