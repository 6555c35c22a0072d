"""The release's way at tiny size: convert, train jointly, fit, predict.

Random weights in the release's files; the parser and the networks are narrow.
"""

import json

import numpy as np
import pytest
import release_weights
from foreign_files import legacy_file, zip_file
from foreign_gans import rosinality_checkpoint
from golden import cases
from PIL import Image

from configs import cat, cat_pretrain
from gan2shape_jax import parsing, predict, train
from gan2shape_jax.convert.networks import NAMES, Sizes, network_table
from gan2shape_jax.models.pspnet import PSPNet
from gan2shape_jax.parsing import Parser
from gan2shape_jax.weights import load_weights
from tools import convert_release

SIZE, SOURCE, CROP, LATENT = 32, 40, 30, 8
FIELDS = {
  "image_size": SIZE,
  "data.crop": CROP,
  # Of a random parser, some class or other.
  "parsing.whole": tuple(range(12)),
  "networks.width": 8,
  "networks.max_channels": 16,
  "networks.code_size": 16,
  "networks.encoder_width": 8,
  "prior.iterations": 1,
  "schedule.stages": 1,
  "schedule.first_stage": (1, 1, 2),
  "schedule.batch_size": 2,
  "schedule.collect_batches": 1,
  "run.chunk": 1,
  "output.frame_size": 32,
}


def write_release(root):
  """What configs/cat.py and cat_pretrain.py need, in the authors' formats."""

  def write(name, data):
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)

  gan = rosinality_checkpoint((8, 8, 8, 8), latent=LATENT, layers=3)
  write("checkpoints/stylegan2/stylegan2-catface-config-e.pt", legacy_file(gan))
  sizes = Sizes(SIZE, LATENT, 8, 16, 16, 8)
  networks = {
    name: cases.state(
      {e.name: e.shape for e in network_table(ours, sizes).values()}, name
    )
    for name, ours in NAMES.items()
  }
  write("checkpoints/gan2shape/cat_pretrain.pth", legacy_file(networks))
  for what, size in (("view", 6), ("light", 4)):
    gaussian = {
      "mean": np.full(size, 0.1, np.float32),
      "cov": np.eye(size, dtype=np.float32) * 0.01,
    }
    path = f"checkpoints/view_light/cat_{what}_mvn.pth"
    write(path, legacy_file(gaussian))
  pspnet = release_weights.pspnet_tensors(classes=21, width=4)
  path = "checkpoints/parsing/pspnet_voc.pth"
  write(path, zip_file({"state_dict": pspnet}))
  vgg = release_weights.vgg_tensors(width=4)
  write("torchvision/vgg16-397923af.pth", legacy_file(vgg))
  linear = release_weights.linear_tensors(width=4)
  write("lpips/weights/v0.1/vgg.pth", legacy_file(linear))
  rng = np.random.default_rng(0)
  names = [f"{i:06d}" for i in range(3)]
  for name in names:
    latent = rng.normal(size=LATENT).astype(np.float32)
    write(f"data/cat/latents/{name}.pt", legacy_file(latent))
    pixels = rng.integers(0, 256, (5, 5, 3), np.uint8)
    picture = Image.fromarray(pixels).resize((SOURCE, SOURCE))
    picture.save(root / f"data/cat/{name}.png")
  lists = {"list_0-199.txt": names[:2], "list_200-215.txt": names[2:]}
  for path, entries in lists.items():
    text = "".join(f"{name}.png 0 0\n" for name in entries)
    (root / "data/cat" / path).write_text(text)


@pytest.fixture
def release(tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  parser = Parser(PSPNet(classes=21, width=4), 41)
  monkeypatch.setattr(parsing, "PARSERS", {"pspnet_voc": parser})
  write_release(tmp_path)
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
  joint = train.run(make(cat_pretrain), release / "results/cat_pretrain")
  assert set(joint) == {"000000", "000001"}
  ours = "results/cat_pretrain/networks"
  theirs = "checkpoints/gan2shape/cat_pretrain"
  assert shapes(ours) == shapes(theirs)
  masks = release / "results/cat_pretrain/masks"
  assert {path.name for path in masks.glob("*.png")} == {
    "000000.png",
    "000001.png",
  }

  config = make(cat)
  fits = train.run(config, release / "results/cat")
  assert set(fits) == {"000002"}
  folder = release / "results/cat/results/000002"
  assert (folder / "mesh.glb").stat().st_size > 0
  assert np.isfinite(np.load(folder / "depth.npy")).all()
  # No prior: the networks that it starts from know a shape.
  assert not (folder / "stages/0.json").exists()
  row = json.loads((folder / "stages/1.json").read_text())
  assert np.isfinite(list(row.values())).all()

  # The authors' networks started the fit; ours predict.
  config.weights.networks = ours
  predict.run(config, release / "predicted")
  depth = np.load(release / "predicted/results/000002/depth.npy")
  assert depth.shape == (SIZE, SIZE) and depth.std() > 0
