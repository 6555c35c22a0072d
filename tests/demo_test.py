"""What ships with the repository: the demo's GAN, networks and heads."""

import json

import numpy as np

from configs import demo
from gan2shape_jax import predict
from gan2shape_jax.inputs import load_inputs
from gan2shape_jax.plan import make_plan


def test_everything_of_the_demo_is_there(tmp_path):
  config = demo.get_config()
  inputs = load_inputs(config, tmp_path)
  assert len(inputs.sources) == 1 and not inputs.failed
  # Stage 1 alone: the networks need no prior.
  assert make_plan(config, inputs).iterations == 100 + 200 + 300


def test_its_networks_know_the_shapes_of_heads(tmp_path):
  config = demo.get_config()
  config.data.count = 2
  rows, failed = predict.run(config, tmp_path)
  assert not failed and set(rows) == {"000000", "000001"}
  content = json.loads((tmp_path / "metrics.json").read_text())
  assert content["pictures"] == rows
  mean = {
    name: np.mean([r[name] for r in rows.values()]) for name in rows["000000"]
  }
  # A third and a fifth better over more heads, see README.md.
  assert mean["predicted_side"] < 0.85 * mean["prior_side"]
  assert mean["predicted_mad"] < 0.9 * mean["prior_mad"]
  found = {path.name for path in (tmp_path / "results/000001").iterdir()}
  assert {"overview.png", "mesh.glb", "depth.npy"} <= found
  assert not any("_gan" in name for name in found)
