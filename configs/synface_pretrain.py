"""Joint training on 200 synthetic faces, from scratch.

  python tools/convert_release.py --root .
  python -m gan2shape_jax.main --config=configs/synface_pretrain.py --check
  python -m gan2shape_jax.main --config=configs/synface_pretrain.py

Needs the files of configs/synface.py, with data/synface/train (list_200.txt) in
the place of data/synface/test, and but for checkpoints/gan2shape. What comes
out: results/synface_pretrain/networks, in the place of the authors'
checkpoints/gan2shape/synface_pretrain (for `--config.weights.networks` of main
and predict). True depth is only compared with; SIDE and MAD of every stage are
in results/synface_pretrain/results/joint/stages.
"""

from configs import synface


def get_config():
  """Returns the configuration of single synthetic faces, but for..."""
  config = synface.get_config()
  config.joint = True
  config.data.pictures = "data/synface/train/list_200.txt"
  config.data.root = "data/synface/train/image"
  config.data.latents = "data/synface/train/latents"
  config.weights.networks = ""
  stages = 8
  config.schedule.stages = stages
  config.schedule.first_stage = (1500, 1500, 1500)
  config.schedule.later_stages = (700, 1000, 1000)
  config.schedule.flip_step1 = (False,) + (True,) * (stages - 1)
  config.schedule.flip_step3 = (True,) * stages
  config.schedule.pictures = 8  # the reference: one on each of 8 GPUs
  config.schedule.batch_size = 12
  # The reference: 1000 for 200 pictures, on each GPU others.
  config.schedule.collect_batches = 5
  return config
