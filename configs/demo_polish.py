"""Joint training of the demo's networks, continued.

Goes on from where configs/demo_pretrain.py ends, on four times the pictures, in
smaller steps and longer stages:

  python tools/sample_pictures.py --gan assets/demo/gan \\
    --output data/demo_samples_more --count 768 --psi 0.9 --seed 2
  python -m gan2shape_jax.main --config=configs/demo_polish.py

docs/demo_networks.md tells what it gives.
"""

from configs import demo_pretrain


def get_config():
  """Returns the configuration of the rest of the demo's joint training."""
  config = demo_pretrain.get_config()
  config.data.pictures = "data/demo_samples_more/list.txt"
  config.data.latents = "data/demo_samples_more/latents"
  config.weights.networks = "results/demo_pretrain/networks"

  config.optimizer.learning_rate = 1e-4
  config.loss.smooth = 0.05
  # Within a stage the shape cannot move far enough to go to pieces.
  config.loss.trust = 2.0
  config.loss.trust_radius = 0.01
  stages = 6
  config.schedule.stages = stages
  config.schedule.first_stage = (100, 400, 800)
  config.schedule.later_stages = (100, 400, 800)
  config.schedule.flip_step1 = (True,) * stages
  config.schedule.flip_step3 = (True,) * stages
  return config
