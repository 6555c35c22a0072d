"""Cars of the authors' release: no joint training, no symmetry.

  python tools/convert_release.py --root .
  python -m gan2shape_jax.main --config=configs/car.py --check
  python -m gan2shape_jax.main --config=configs/car.py

Needs, from data.tar.gz and checkpoints.tar.gz unpacked here and converted:

  data/car/  (list.txt, pictures, latents)
  checkpoints/stylegan2/stylegan2-car-config-f
  checkpoints/view_light/view_mvn, light_mvn
  checkpoints/parsing/pspnet_voc
  checkpoints/lpips/vgg16

What comes out: results/car/results/NAME/ with depth, normals, albedo, rotated
and relit views, meshes and turntable of each car, without its background.
"""

from gan2shape_jax import config as defaults


def get_config():
  """Returns the configuration of single cars."""
  config = defaults.default_config()
  config.image_size = 128
  config.data.pictures = "data/car/list.txt"
  config.data.root = "data/car"
  config.data.latents = "data/car/latents"
  config.data.mask = "parse"
  config.weights.gan = "checkpoints/stylegan2/stylegan2-car-config-f"
  config.weights.lpips = "checkpoints/lpips/vgg16"
  config.weights.view = "checkpoints/view_light/view_mvn"
  config.weights.light = "checkpoints/view_light/light_mvn"
  config.weights.parsing = "checkpoints/parsing/pspnet_voc"
  config.parsing.network = "pspnet_voc"
  config.parsing.whole = (7,)  # car
  config.parsing.normalize = True
  config.networks.offset_layers = 2
  config.prior.grow_bottom = 1 / 6
  config.loss.object_mask = True

  config.schedule.stages = 4
  config.schedule.first_stage = (700, 700, 600)
  config.schedule.later_stages = (200, 500, 400)
  config.schedule.flip_step1 = (False, False, False, False)
  config.schedule.flip_step3 = (False, False, False, False)
  config.schedule.batch_size = 8
  config.schedule.collect_batches = 100
  config.output.max_yaw = 45.0
  config.output.mask = True
  return config
