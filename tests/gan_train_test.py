"""The real loop, tiny: run, stop, resume, ship, load; and its errors."""

import importlib.util
import json
from pathlib import Path

import jax
import numpy as np
import pytest
from PIL import Image

from gan2shape_jax.errors import UserError
from gan2shape_jax.gan import train as gan_train
from gan2shape_jax.gan.bundle import Gan, load_gan, save_gan
from gan2shape_jax.gan.state import Hyper
from gan2shape_jax.gan.train import Run, train
from gan2shape_jax.models.architecture import Architecture
from gan2shape_jax.models.discriminator import init_discriminator
from gan2shape_jax.models.stylegan2 import init_generator, map_latent
from gan2shape_jax.weights import load_weights, save_weights

ARCH = Architecture((4, 4), latent_size=4, mapping_layers=1, noise=False)
HYPER = Hyper(batch=8, r1_every=2, path_every=2)
REAL = np.random.default_rng(0).integers(0, 255, (80, 8, 8, 3), np.uint8)
HELDOUT = REAL[::-1][:64]


def run(folder, images, start=""):
  options = Run(
    "test", folder, images, start=str(start), log_every=2, dtype="float32"
  )
  return train(REAL, HELDOUT, ARCH, HYPER, options)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
  """A run of 6 steps at once, and one in two parts of 3 steps."""
  root = tmp_path_factory.mktemp("gan")
  straight = run(root / "straight", 48)
  run(root / "resumed", 24)
  resumed = run(root / "resumed", 48)
  return root, straight, resumed


def test_resumed_run_ends_with_the_same_numbers(folders):
  root, straight, resumed = folders
  assert int(resumed.step) == 6
  gan = load_gan(root / "resumed" / "gan")
  assert gan.provenance["images"] == 48
  for a, b in zip(
    jax.tree.leaves(straight.replace(key=None)),
    jax.tree.leaves(resumed.replace(key=None)),
    strict=True,
  ):
    np.testing.assert_array_equal(a, b)


def test_a_run_may_start_from_another_gan(folders):
  root, straight, _ = folders
  state = run(root / "started", 0, start=root / "straight" / "gan")
  for name, origin in (
    ("generator", straight.average),
    ("average", straight.average),
    ("discriminator", straight.discriminator),
  ):
    jax.tree.map(np.testing.assert_array_equal, getattr(state, name), origin)


def test_training_moves_every_parameter(folders):
  _, state, _ = folders
  key = jax.random.split(jax.random.key(0), 3)[1]
  fresh = jax.jit(lambda key: init_generator(key, ARCH))(key)
  for a, b in zip(
    jax.tree.leaves(fresh), jax.tree.leaves(state.generator), strict=True
  ):
    assert not np.array_equal(a, b)


def test_shipped_folder_holds_the_average_and_its_mean_latent(folders):
  root, state, _ = folders
  gan = load_gan(root / "straight" / "gan")
  assert gan.arch == ARCH
  np.testing.assert_array_equal(
    gan.generator["synthesis"]["constant"],
    state.average["synthesis"]["constant"],
  )
  np.testing.assert_array_equal(
    gan.discriminator["score"]["kernel"],
    state.discriminator["score"]["kernel"],
  )
  z = jax.random.normal(jax.random.key(5), (4000, 4))
  w = map_latent(gan.generator, z, arch=ARCH)
  assert gan.mean_latent.shape == (4,)
  # Ten and four thousand samples agree to some per cent of the deviation.
  deviation = np.sqrt(np.square(w - w.mean(0)).sum(1).mean())
  assert np.linalg.norm(gan.mean_latent - w.mean(0)) < 0.05 * deviation
  assert gan.provenance["images"] == 48
  distances = gan.provenance["sliced_wasserstein_1e-3"]
  assert distances.keys() == {"floor", "generated"}
  assert distances["generated"] > 0


def test_log_and_sheet(folders):
  root, _, _ = folders
  rows = [
    json.loads(line)
    for line in (root / "straight" / "log.jsonl").read_text().splitlines()
  ]
  assert [r["images"] for r in rows if "d_loss" in r] == [16, 32, 48]
  assert {"g_loss", "r1", "path"} <= rows[0].keys()
  assert "distance" in rows[-1]
  sheet = Image.open(root / "straight" / "samples" / "000000048.png")
  assert sheet.size == (64, 64)


def test_another_architecture_does_not_resume(folders):
  root, _, _ = folders
  options = Run("test", root / "straight", 64)
  other = Architecture((4, 4), latent_size=5, mapping_layers=1, noise=False)
  with pytest.raises(UserError, match="another architecture"):
    train(REAL, HELDOUT, other, HYPER, options)


def test_batch_must_suit_the_groups(tmp_path):
  with pytest.raises(UserError, match="multiple of 8"):
    train(REAL, HELDOUT, ARCH, Hyper(batch=12), Run("test", tmp_path, 8))


def test_divergence_stops_the_run(tmp_path, monkeypatch):
  def diverge(step_functions, hyper, state, batch, step):
    return state.replace(step=state.step + 1), {"d_loss": np.float32(np.nan)}

  monkeypatch.setattr(gan_train, "_iterate", diverge)
  options = Run("test", tmp_path, 8, log_every=1)
  with pytest.raises(FloatingPointError, match="diverged at 8 pictures"):
    train(REAL, HELDOUT[:0], ARCH, HYPER, options)


def test_folder_that_does_not_fit_its_architecture(tmp_path):
  key = jax.random.key(0)
  zeros = [
    jax.tree.map(
      lambda x: np.zeros(x.shape, x.dtype),
      jax.eval_shape(lambda k, init=init: init(k, ARCH), key),
    )
    for init in (init_generator, init_discriminator)
  ]
  gan = Gan(ARCH, *zeros, np.zeros(4), {})
  save_gan(tmp_path / "gan", gan)
  tree, metadata = load_weights(tmp_path / "gan")
  metadata["architecture"]["channels"] = [4, 5]
  save_weights(tmp_path / "gan", tree, metadata)
  with pytest.raises(UserError, match=r"generator.*do not fit its"):
    load_gan(tmp_path / "gan")
  del tree["discriminator"]
  save_weights(tmp_path / "gan", tree, metadata)
  with pytest.raises(UserError, match="not a GAN folder"):
    load_gan(tmp_path / "gan")


def load_program():
  path = Path(__file__).parents[1] / "tools" / "train_stylegan2.py"
  spec = importlib.util.spec_from_file_location("train_stylegan2", path)
  module = importlib.util.module_from_spec(spec)
  spec.loader.exec_module(module)
  return module


def test_program_reports_user_errors_with_exit_code_2(tmp_path, capsys):
  program = load_program()
  arguments = ["--data", str(tmp_path / "none"), "--output", str(tmp_path)]
  assert program.main(arguments) == 2
  assert "no such folder" in capsys.readouterr().err
  assert program.main([*arguments, "--image_size", "100"]) == 2
  assert "--image_size: " in capsys.readouterr().err


def test_program_defaults_are_those_of_rosinality():
  program = load_program()
  options = program.make_parser().parse_args(["--data", "d", "--output", "o"])
  expected = dict(batch=16, learning_rate=0.002, r1_weight=10, r1_every=16)
  expected |= dict(path_weight=2, path_every=4, path_decay=0.01, mixing=0.9)
  expected |= dict(images=12_800_000, mirror=True)
  assert {name: getattr(options, name) for name in expected} == expected
  arch = program.architecture(options)
  assert arch.channels == (512, 512, 512, 512, 256, 128)
  options = program.make_parser().parse_args(
    ["--data", "d", "--output", "o", "--channels", "8,4", "--no-noise"]
  )
  arch = program.architecture(options)
  assert arch == Architecture((8, 4), 512, 8, noise=False)
