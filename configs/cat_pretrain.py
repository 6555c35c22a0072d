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

from gan2shape_jax import config as defaults


def get_config():
  """Returns the configuration of the joint training on cats."""
  config = defaults.default_config()
  config.joint = True
  config.image_size = 128
  config.data.pictures = "data/cat/list_0-199.txt"
  config.data.root = "data/cat"
  config.data.latents = "data/cat/latents"
  config.data.crop = 170
  config.data.mask = "parse"
  config.weights.gan = "checkpoints/stylegan2/stylegan2-catface-config-e"
  config.weights.lpips = "checkpoints/lpips/vgg16"
  config.weights.view = "checkpoints/view_light/cat_view_mvn"
  config.weights.light = "checkpoints/view_light/cat_light_mvn"
  config.weights.parsing = "checkpoints/parsing/pspnet_voc"
  config.parsing.network = "pspnet_voc"
  config.parsing.whole = (8,)  # cat
  config.parsing.normalize = True
  config.view.scale = 1.2
  config.networks.relative_encoding = True
  config.networks.offset_layers = 2

  config.schedule.stages = 4
  config.schedule.first_stage = (1500, 1500, 1500)
  config.schedule.later_stages = (700, 1000, 1000)
  config.schedule.flip_step1 = (False, True, True, True)
  config.schedule.flip_step3 = (True, True, True, True)
  config.schedule.batch_size = 8
  config.schedule.collect_batches = 4  # the reference: 800 for 200 pictures
  config.output.export = False
  return config
