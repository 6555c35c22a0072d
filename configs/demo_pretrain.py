"""Joint training of the demo's networks on pictures that its GAN drew.

  python tools/sample_pictures.py --gan assets/demo/gan \\
    --output data/demo_samples --count 192 --psi 0.9 --seed 1
  python tools/make_heads.py --output data/heads64/val --split val --count 12
  python -m gan2shape_jax.main --config=configs/demo_pretrain.py

No true shape is learnt from: the held-out heads only show how far it is. What
comes out, results/demo_pretrain/networks, takes the place of
assets/demo/networks, with the limits of depth below: those in configs/demo.py
are the shipped networks'. docs/demo_networks.md tells how these came about, and
what this configuration gives.
"""

from configs import demo


def get_config():
  """Returns the configuration of the demo's joint training."""
  config = demo.get_config()
  config.joint = True
  config.data.pictures = "data/demo_samples/list.txt"
  config.data.latents = "data/demo_samples/latents"
  config.data.count = 0
  config.data.mask = "background"
  config.data.ground_truth = False
  config.data.heldout = "data/heads64/val/list.txt"
  config.weights.networks = ""

  # For the ellipsoid that training begins with.
  config.camera.depth_min = 0.93
  config.camera.depth_max = 1.03
  config.loss.smooth = 0.03
  config.loss.trust = 0.0  # The ellipsoid is to be left.
  config.optimizer.weight_decay = 0.0  # Else the depth network dies.
  # The mirrored shape has to explain the pictures only when the views are known
  # a little: earlier it drives the shape flat.
  stages = 8
  config.schedule.stages = stages
  config.schedule.first_stage = (200, 400, 600)
  config.schedule.later_stages = (100, 250, 600)
  config.schedule.flip_step1 = (False,) + (True,) * (stages - 1)
  config.schedule.flip_step3 = (False,) + (True,) * (stages - 1)
  config.schedule.collect_batches = 2
  config.output.export = False
  return config
