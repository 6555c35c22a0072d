"""Synthetic faces with true depth (BFM), each with networks of its own.

  python tools/convert_release.py --root .
  python -m gan2shape_jax.main --config=configs/synface.py --check
  python -m gan2shape_jax.main --config=configs/synface.py

Needs, from data.tar.gz and checkpoints.tar.gz unpacked here and converted:

  data/synface/test/  (list.txt, image, depth, latents)
  checkpoints/stylegan2/stylegan2-synface-config-e
  checkpoints/gan2shape/synface_pretrain
  checkpoints/view_light/synface_view_mvn, synface_light_mvn
  checkpoints/parsing/bisenet
  checkpoints/lpips/vgg16

In the place of synface_pretrain, `--config.weights.networks` may name what
configs/synface_pretrain.py leaves, results/synface_pretrain/networks.

What comes out: SIDE and MAD of all faces and their means (Table 1 of the paper)
in results/synface/metrics.json. `--config.output.export=True` adds the pictures
and meshes of each face.
"""

from gan2shape_jax import config as defaults


def get_config():
  """Returns the configuration of single synthetic faces."""
  config = defaults.default_config()
  config.image_size = 64
  config.data.pictures = "data/synface/test/list.txt"
  config.data.root = "data/synface/test/image"
  config.data.latents = "data/synface/test/latents"
  config.data.ground_truth = True
  config.data.crop = 170
  config.data.mask = "parse"
  config.weights.gan = "checkpoints/stylegan2/stylegan2-synface-config-e"
  config.weights.networks = "checkpoints/gan2shape/synface_pretrain"
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

  config.schedule.stages = 1
  config.schedule.first_stage = (500, 500, 200)
  config.schedule.flip_step1 = (False,)
  config.schedule.flip_step3 = (True,)
  config.output.export = False
  return config
