"""The measuring program: its arithmetic, and one run at tiny size."""

import json

import numpy as np
import pytest
from absl import flags
from absl.testing import flagsaver
from PIL import Image
from random_gan import save_random_gan
from tiny_system import weights

from configs import tiny
from gan2shape_jax import evaluate, predict
from gan2shape_jax.errors import UserError
from gan2shape_jax.outcome import Outcome
from gan2shape_jax.pretrained import save_networks


@pytest.mark.parametrize(
  ("text", "expected"),
  [("test:0-7", ("test", 0, 7)), ("val:3", ("val", 3, 3))],
)
def test_heads_are_named_by_split_and_range(text, expected):
  assert evaluate.parse_heads(text) == expected


@pytest.mark.parametrize("text", ["test", "test:7-3", "dev:0-1", "test:0-"])
def test_other_names_of_heads_are_refused(text):
  with pytest.raises(UserError, match="SPLIT:FIRST-LAST"):
    evaluate.parse_heads(text)


@pytest.fixture
def config(tmp_path):
  """Predictions of two heads with networks and a GAN of random weights."""
  params, _ = weights()
  save_random_gan(tmp_path / "gan")
  save_networks(tmp_path / "networks", params, units={}, provenance={})
  config = tiny.get_config()
  config.weights.gan = str(tmp_path / "gan")
  config.weights.networks = str(tmp_path / "networks")
  config.data.pictures = "replaced"
  if not flags.FLAGS.is_parsed():
    flags.FLAGS(["evaluate"])
  with flagsaver.flagsaver(heads="test:1-2", fit=False):
    yield config


@pytest.mark.parametrize("lost", [["000002"], ["000001", "000002"]])
def test_heads_that_failed_are_told_last(
  config, lost, tmp_path, monkeypatch, capsys
):
  run = predict.run

  def lose(config, folder):
    rows, failed = run(config, folder)
    return Outcome(rows, failed | {name: rows.pop(name) for name in lost})

  monkeypatch.setattr(predict, "run", lose)
  with pytest.raises(SystemExit) as end:
    evaluate.main(config, tmp_path)
  assert end.value.code == 1
  assert f"{len(lost)} of 2 pictures failed" in capsys.readouterr().err
  written = tmp_path / "evaluation_test_appearance_1-2.json"
  assert written.exists() == (len(lost) < 2)
  if written.exists():
    assert list(json.loads(written.read_text())["heads"]) == ["000001"]


def test_predictions_of_heads_that_it_makes(config, tmp_path, capsys):
  evaluate.main(config, tmp_path)
  name = "evaluation_test_appearance_1-2"
  content = json.loads((tmp_path / f"{name}.json").read_text())
  assert list(content["heads"]) == ["000001", "000002"]
  assert all("mad" not in row for row in content["heads"].values())
  mads = [row["predicted_mad"] for row in content["heads"].values()]
  assert content["mean"]["prediction"]["mad"] == pytest.approx(np.mean(mads))
  assert "prediction" in capsys.readouterr().out
  # Two heads side by side, with truth, prior and prediction of each.
  picture = Image.open(tmp_path / f"{name}.png")
  assert picture.width > 8 * 128
