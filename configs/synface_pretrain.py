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

from gan2shape_jax import config as defaults


def get_config():
  """Returns the configuration of the joint training on synthetic faces."""
  config = defaults.default_config()
  config.joint = True
  config.image_size = 64
  config.data.pictures = "data/synface/train/list_200.txt"
  config.data.root = "data/synface/train/image"
  config.data.latents = "data/synface/train/latents"
  config.data.ground_truth = True
  config.data.crop = 170
  config.data.mask = "parse"
  config.weights.gan = "checkpoints/stylegan2/stylegan2-synface-config-e"
  config.weights.lpips = "checkpoints/lpips/vgg16"
  config.weights.view = "checkpoints/view_light/synface_view_mvn"
  config.weights.light = "checkpoints/view_light/synface_light_mvn"
  config.weights.parsing = "checkpoints/parsing/bisenet"
  config.parsing.network = "bisenet"
  config.parsing.whole = tuple(range(1, 15))  # skin to neck
  config.view.scale = 1.2
  config.light.x = (-0.9, 0.9)
  config.light.y = (-0.3, 0.8)
  config.light.diffuse = (-0.1, 0.7)
  config.light.alpha = -0.4
  config.networks.relative_encoding = True
  config.networks.offset_layers = 8
  config.prior.grow_top = 1 / 6

  stages = 8
  config.schedule.stages = stages
  config.schedule.first_stage = (1500, 1500, 1500)
  config.schedule.later_stages = (700, 1000, 1000)
  config.schedule.flip_step1 = (False,) + (True,) * (stages - 1)
  config.schedule.flip_step3 = (True,) * stages
  config.schedule.batch_size = 12
  config.schedule.collect_batches = 5  # the reference: 1000 for 200 pictures
  config.output.export = False
  return config
