"""The whole program at tiny size: run, stop, resume, read what came out."""

import json

import numpy as np
import pytest
from PIL import Image
from random_gan import save_random_gan

from configs import tiny
from gan2shape_jax import train
from gan2shape_jax.errors import UserError
from gan2shape_jax.models.architecture import Architecture
from gan2shape_jax.report import METRICS

SIZE = 32


def write_pictures(folder, count):
  """Shaded balls on black, with masks and true depth."""
  y, x = np.mgrid[:SIZE, :SIZE] - (SIZE - 1) / 2
  height = np.sqrt(np.maximum(0, 1 - (x**2 + y**2) / 12**2))
  for kind in ("image", "mask", "depth"):
    (folder / kind).mkdir(parents=True)
  for i in range(count):
    colors = np.array([200, 150 + 20 * i, 120])
    picture = (height[..., None] * colors).astype(np.uint8)
    Image.fromarray(picture).save(folder / f"image/{i}.png")
    mask = (255 * (height > 0)).astype(np.uint8)
    Image.fromarray(mask).save(folder / f"mask/{i}.png")
    nearness = (65535 * (0.5 + 0.4 * height) * (height > 0)).astype(np.uint16)
    Image.fromarray(nearness).save(folder / f"depth/{i}.png")
  names = [f"image/{i}.png\n" for i in range(count)]
  (folder / "list.txt").write_text("".join(names))


@pytest.fixture(scope="module")
def config(tmp_path_factory):
  folder = tmp_path_factory.mktemp("inputs")
  write_pictures(folder, count=2)
  arch = Architecture((8, 8, 8, 8), latent_size=8, mapping_layers=3)
  save_random_gan(folder / "gan", arch)
  config = tiny.get_config()
  config.data.pictures = str(folder / "list.txt")
  config.weights.gan = str(folder / "gan")
  config.run.checkpoint_seconds = 0.0
  return config


@pytest.fixture(scope="module")
def finished(config, tmp_path_factory):
  """The folder and the rows of a run that nothing interrupted."""
  workdir = tmp_path_factory.mktemp("finished")
  return workdir, train.run(config, workdir)


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
    assert set(row) == set(METRICS)
    assert all(np.isfinite(value) for value in row.values())
  mean = np.mean([row["mad"] for row in rows.values()])
  np.testing.assert_allclose(content["mean"]["mad"], mean)
  assert (workdir / "metrics.csv").read_text().count("\n") == 4


def test_each_picture_has_its_results(finished):
  workdir, rows = finished
  for name in rows:
    folder = workdir / "results" / name
    for file in ("overview.png", "depth.npy", "mesh.glb", "relit_gan.png"):
      assert (folder / file).stat().st_size > 0
    assert np.load(folder / "depth.npy").shape == (SIZE, SIZE)
    stages = {path.name for path in (folder / "stages").iterdir()}
    assert stages == {"inversion.png", "0.png", "1.png", "2.png"}


def test_finished_pictures_are_not_fitted_again(config, finished, monkeypatch):
  workdir, rows = finished
  monkeypatch.setattr(train, "fit_picture", None)
  assert train.run(config, workdir) == rows


class Killed(Exception):
  pass


@pytest.mark.parametrize("chunks", [2, 9])
def test_resumed_run_gives_the_same_numbers(
  config, finished, tmp_path, monkeypatch, chunks
):
  count = 0
  save = train.Checkpoints.save

  def save_then_die(self, *args):
    nonlocal count
    save(self, *args)
    count += 1
    if count == chunks:
      raise Killed

  with monkeypatch.context() as patch:
    patch.setattr(train.Checkpoints, "save", save_then_die)
    with pytest.raises(Killed):
      train.run(config, tmp_path)
  rows = train.run(config, tmp_path)
  assert without_times(rows) == without_times(finished[1])


def test_another_configuration_is_refused(config, finished):
  config = config.copy_and_resolve_references()
  config.schedule.batch_size = 4
  with pytest.raises(UserError, match=r"schedule\.batch_size was 2, now 4"):
    train.run(config, finished[0])


def test_loss_that_is_not_finite_stops_the_run(config, tmp_path):
  config = config.copy_and_resolve_references()
  config.loss.smooth = float("nan")
  with pytest.raises(FloatingPointError, match="stage 1, shape"):
    train.run(config, tmp_path)
