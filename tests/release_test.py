"""The release's way at tiny size: convert, train jointly, fit, predict.

Random weights in the release's files; the parser and the networks are narrow.
"""

import json

import numpy as np
import pytest
from make_release import Shapes, write_release

from configs import cat, cat_pretrain
from gan2shape_jax import parsing, predict, train
from gan2shape_jax.models.pspnet import PSPNet
from gan2shape_jax.parsing import Parser
from gan2shape_jax.weights import load_weights
from tools import convert_release

SIZE, CROP = 32, 30
SHAPES = Shapes((8, 8, 8, 8), latent=8, layers=3, width=4, picture=40)
FIELDS = {
  "image_size": SIZE,
  "data.crop": CROP,
  "networks.width": 8,
  "networks.max_channels": 16,
  "networks.code_size": 16,
  "networks.encoder_width": 8,
  "prior.iterations": 1,
  "schedule.stages": 1,
  "schedule.first_stage": (1, 1, 2),
  "schedule.batch_size": 2,
  "schedule.pictures": 1,
  "schedule.collect_batches": 1,
  "run.chunk": 1,
  "output.frame_size": 32,
}


@pytest.fixture
def release(tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  parser = Parser(PSPNet(classes=21, width=SHAPES.width), 41)
  monkeypatch.setattr(parsing, "PARSERS", {"pspnet_voc": parser})
  write_release(tmp_path, make(cat_pretrain), SHAPES, count=2)
  write_release(tmp_path, make(cat), SHAPES, count=1)
  assert convert_release.main(["--root=."]) == 0
  return tmp_path


def make(module):
  config = module.get_config()
  config.update_from_flattened_dict(FIELDS)
  return config


def shapes(folder):
  tree, _ = load_weights(folder)
  return {
    f"{name}/{layer}": {k: np.shape(v) for k, v in leaves.items()}
    for name, network in tree.items()
    for layer, leaves in network.items()
  }


def test_joint_training_then_fits_and_predictions(release):
  joint, _ = train.run(make(cat_pretrain), release / "results/cat_pretrain")
  assert set(joint) == {"000000", "000001"}
  ours = "results/cat_pretrain/networks"
  theirs = "checkpoints/gan2shape/cat_pretrain"
  assert shapes(ours) == shapes(theirs)
  masks = release / "results/cat_pretrain/masks"
  names = {"000000.png", "000001.png"}
  assert {path.name for path in masks.glob("*.png")} == names

  config = make(cat)
  fits, _ = train.run(config, release / "results/cat")
  assert set(fits) == {"000000"}
  folder = release / "results/cat/results/000000"
  assert (folder / "mesh.glb").stat().st_size > 0
  assert np.isfinite(np.load(folder / "depth.npy")).all()
  # No prior: the networks that it starts from know a shape.
  assert not (folder / "stages/0.json").exists()
  row = json.loads((folder / "stages/1.json").read_text())
  assert np.isfinite(list(row.values())).all()

  # The authors' networks started the fit; ours predict.
  config.weights.networks = ours
  predict.run(config, release / "predicted")
  depth = np.load(release / "predicted/results/000000/depth.npy")
  assert depth.shape == (SIZE, SIZE) and depth.std() > 0
