"""The whole program at tiny size: run, stop, resume, read what came out."""

import collections
import json
import logging
import re

import jax
import numpy as np
import pytest
from tensorboardX.proto.event_pb2 import Event
from tiny_inputs import SIZE, write_inputs, write_pictures

from configs import tiny
from gan2shape_jax import hosts, loop, train
from gan2shape_jax.checkpoint import Checkpoints
from gan2shape_jax.errors import UserError
from gan2shape_jax.methods import METRICS


@pytest.fixture(scope="module")
def config(tmp_path_factory):
  folder = write_inputs(tmp_path_factory.mktemp("inputs"), pictures=2)
  config = tiny.get_config()
  config.data.pictures = str(folder / "list.txt")
  config.weights.gan = str(folder / "gan")
  config.run.checkpoint_seconds = 0.0
  return config


class Compilations(logging.Handler):
  """Counts, by name, what is compiled."""

  def __init__(self):
    super().__init__()
    self.count = collections.Counter()

  def emit(self, record):
    found = re.match(r"Compiling jit\((\w+)\)", record.getMessage())
    if found:
      self.count[found[1]] += 1


@pytest.fixture(scope="module")
def compilations():
  """Of the run `finished`."""
  return Compilations()


@pytest.fixture(scope="module")
def finished(config, tmp_path_factory, compilations):
  """The folder and the rows of a run that nothing interrupted."""
  workdir = tmp_path_factory.mktemp("finished")
  logger = logging.getLogger("jax")
  logger.addHandler(compilations)
  with jax.log_compiles():
    rows, failed = train.run(config, workdir)
  logger.removeHandler(compilations)
  assert not failed
  return workdir, rows


def without_times(rows):
  return {
    name: {k: v for k, v in row.items() if k != "seconds"}
    for name, row in rows.items()
  }


def test_metrics_of_all_pictures_and_their_means(finished):
  workdir, rows = finished
  content = json.loads((workdir / "metrics.json").read_text())
  assert content["pictures"] == rows and set(rows) == {"0", "1"}
  for row in rows.values():
    predicted = {name for name in METRICS if name.startswith("predicted")}
    assert set(row) == set(METRICS) - predicted
    assert all(np.isfinite(value) for value in row.values())
  mean = np.mean([row["mad"] for row in rows.values()])
  np.testing.assert_allclose(content["mean"]["mad"], mean)
  assert (workdir / "metrics.csv").read_text().count("\n") == 4


def test_steps_are_compiled_once_for_all_pictures(finished, compilations):
  steps = {k: n for k, n in compilations.count.items() if k.endswith("_step")}
  # Inversion in W and W+; two stages, step 3 with and without flips.
  once = ("invert_step", "prior_step", "albedo_step", "project_step")
  once += ("refine_step",)
  assert steps == dict.fromkeys(once, 1) | {"shape_step": 2}
  assert compilations.count["_begin_search"] == 1


def test_each_picture_has_its_results(finished):
  workdir, rows = finished
  for name in rows:
    folder = workdir / "results" / name
    for file in ("overview.png", "depth.npy", "mesh.glb", "relit_gan.png"):
      assert (folder / file).stat().st_size > 0
    assert np.load(folder / "depth.npy").shape == (SIZE, SIZE)
    stages = {path.name for path in (folder / "stages").iterdir()}
    numbers = {f"{stage}.{kind}" for stage in "012" for kind in ("png", "json")}
    assert stages == {"inversion.png", *numbers}


def test_tensorboard_shows_how_the_shapes_grow(finished):
  workdir, rows = finished
  images = [
    (value.tag, event.step)
    for path in (workdir / "logs").iterdir()
    for event in read_events(path)
    for value in event.summary.value
    if value.HasField("image")
  ]
  tags = {f"{name}/stage" for name in rows}
  assert len(images) == 3 * len(tags)
  assert set(images) == {(tag, stage) for tag in tags for stage in range(3)}


def read_events(path):
  """Records are framed by a length of 8 bytes and checksums of 4."""
  content = path.read_bytes()
  while content:
    size = int.from_bytes(content[:8], "little")
    yield Event.FromString(content[12 : 12 + size])
    content = content[16 + size :]


def test_finished_pictures_are_not_fitted_again(config, finished, monkeypatch):
  workdir, rows = finished
  monkeypatch.setattr(train, "do_group", None)
  assert train.run(config, workdir).rows == rows


class Killed(Exception):
  pass


@pytest.mark.parametrize("chunks", [2, 9])
def test_resumed_run_gives_the_same_numbers(
  config, finished, tmp_path, monkeypatch, chunks
):
  count = 0
  save = Checkpoints.save

  def save_then_die(self, *args):
    nonlocal count
    save(self, *args)
    count += 1
    if count == chunks:
      raise Killed

  with monkeypatch.context() as patch:
    patch.setattr(Checkpoints, "save", save_then_die)
    with pytest.raises(Killed):
      train.run(config, tmp_path)
  rows, _ = train.run(config, tmp_path)
  assert without_times(rows) == without_times(finished[1])


def test_another_configuration_is_refused(config, finished):
  config = config.copy_and_resolve_references()
  config.schedule.batch_size = 4
  with pytest.raises(UserError, match=r"schedule\.batch_size was 2, now 4"):
    train.run(config, finished[0])


def test_pictures_that_fail_do_not_stop_the_others(config, tmp_path):
  """One picture's file is broken, another's loss is not finite."""
  config = config.copy_and_resolve_references()
  write_pictures(tmp_path / "inputs", count=3)
  (tmp_path / "inputs/image/0.png").write_bytes(b"broken")
  config.data.pictures = str(tmp_path / "inputs/list.txt")
  config.data.latents = str(tmp_path / "latents")
  (tmp_path / "latents").mkdir()
  # Sums over it overflow: the picture that the GAN makes of it is not finite.
  np.save(tmp_path / "latents/2.npy", np.full(8, 3e38, np.float32))
  workdir = tmp_path / "run"
  rows, failed = train.run(config, workdir)
  assert set(rows) == {"1"} and set(failed) == {"0", "2"}
  assert "image/0.png" in failed["0"]
  assert "2: stage 1, project: the loss is not finite" in failed["2"]
  content = json.loads((workdir / "metrics.json").read_text())
  assert content["failed"] == failed and set(content["pictures"]) == {"1"}
  assert (workdir / "results/1/mesh.glb").exists()
  assert not (workdir / "results/2/mesh.glb").exists()
  # The next run tries again, from the start: the checkpoint holds ruins.
  np.save(tmp_path / "latents/2.npy", np.zeros(8, np.float32))
  again, failed = train.run(config, workdir)
  assert again["1"] == rows["1"]
  assert set(again) == {"1", "2"} and set(failed) == {"0"}


def test_a_picture_that_was_mended_joins_the_training(
  config, tmp_path, monkeypatch
):
  config = config.copy_and_resolve_references()
  write_pictures(tmp_path / "inputs", count=3)
  broken = tmp_path / "inputs/image/0.png"
  whole = broken.read_bytes()
  broken.write_bytes(b"broken")
  config.data.pictures = str(tmp_path / "inputs/list.txt")
  config.joint = True
  config.output.export = False
  save, resume, resumed = Checkpoints.save, loop.GroupLoop._resume, []

  def save_then_die(self, state, progress):
    save(self, state, progress)
    if progress["phase"] == 3:  # step 3 of the first stage
      raise Killed

  with monkeypatch.context() as patch:
    patch.setattr(Checkpoints, "save", save_then_die)
    with pytest.raises(Killed):
      train.run(config, tmp_path / "run")
  broken.write_bytes(whole)

  def note(self, *args):
    fit, phase = resume(self, *args)
    # Every picture has its own reconstruction, not what lay in its place.
    fitter = self._context.fitter
    expected = fitter.reconstruct(fit.params, self._pictures)
    np.testing.assert_array_equal(fit.canonical.albedo, expected.albedo)
    resumed.append(phase)
    return fit, phase

  with monkeypatch.context() as patch:
    patch.setattr(Checkpoints, "save", save_then_die)
    patch.setattr(loop.GroupLoop, "_resume", note)
    with pytest.raises(Killed):
      train.run(config, tmp_path / "run")
  assert resumed == [3]
  rows, failed = train.run(config, tmp_path / "run")
  assert set(rows) == {"0", "1", "2"} and not failed


def test_joint_pictures_to_be_cropped_have_one_width_in_all_processes(
  config, tmp_path, monkeypatch
):
  config = config.copy_and_resolve_references()
  config.joint, config.data.crop = True, 8
  others = [[99, "other.png"]]
  monkeypatch.setattr(hosts, "gather", lambda name, mine: [mine, others])
  with pytest.raises(UserError, match=r"one width .*other.png: 99 px"):
    train.run(config, tmp_path / "run")
  assert not (tmp_path / "run/config.json").exists()


def test_joint_networks_predict_and_start_other_fits(config, tmp_path):
  config = config.copy_and_resolve_references()
  config.joint = True
  config.data.heldout = config.data.pictures
  config.output.export = False
  rows, _ = train.run(config, tmp_path / "joint")
  assert set(rows) == {"0", "1"}
  stages = json.loads((tmp_path / "joint/metrics.json").read_text())["stages"]
  assert set(stages) == {"joint"} and set(stages["joint"]) == {"0", "1", "2"}
  last = stages["joint"]["2"]
  assert last["heldout_mad"] == pytest.approx(last["mad"], rel=1e-5)
  assert 0 < last["projection_error"] < 2
  assert (tmp_path / "joint/diagnostics.png").stat().st_size > 0

  config.joint = False
  config.data.heldout = ""
  config.weights.networks = str(tmp_path / "joint/networks")
  fits, _ = train.run(config, tmp_path / "fits")
  for name, row in fits.items():
    assert row["predicted_mad"] == pytest.approx(rows[name]["mad"], rel=1e-5)
    assert row["mad"] != row["predicted_mad"]
  stages = {p.name for p in (tmp_path / "fits/results/0/stages").iterdir()}
  assert "0.json" not in stages  # pre-trained networks need no prior
