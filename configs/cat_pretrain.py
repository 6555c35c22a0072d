"""Joint training on 200 cats of the authors' release, from scratch.

  python tools/convert_release.py --root .
  python -m gan2shape_jax.main --config=configs/cat_pretrain.py --check
  python -m gan2shape_jax.main --config=configs/cat_pretrain.py

Needs the files of configs/cat.py, with list_0-199.txt and but for
checkpoints/gan2shape. What comes out: results/cat_pretrain/networks, in the
place of the authors' checkpoints/gan2shape/cat_pretrain (for
`--config.weights.networks` of main and predict), and how the shapes grew in
results/cat_pretrain/results/joint/stages.
"""

from configs import cat


def get_config():
  """Returns the configuration of single cats, but for..."""
  config = cat.get_config()
  config.joint = True
  config.data.pictures = "data/cat/list_0-199.txt"
  config.weights.networks = ""
  config.schedule.first_stage = (1500, 1500, 1500)
  config.schedule.later_stages = (700, 1000, 1000)
  config.schedule.flip_step1 = (False, True, True, True)
  config.schedule.flip_step3 = (True, True, True, True)
  config.schedule.pictures = 8  # the reference: one on each of 8 GPUs
  config.schedule.batch_size = 8
  # The reference: 800 for 200 pictures, on each GPU others.
  config.schedule.collect_batches = 4
  config.output.export = False
  return config
