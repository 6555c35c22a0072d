"""Cats of the authors' release, each with networks of its own.

  python tools/convert_release.py --root .
  python -m gan2shape_jax.main --config=configs/cat.py --check
  python -m gan2shape_jax.main --config=configs/cat.py

Needs, from data.tar.gz and checkpoints.tar.gz unpacked here and converted:

  data/cat/  (list_200-215.txt, pictures, latents)
  checkpoints/stylegan2/stylegan2-catface-config-e
  checkpoints/gan2shape/cat_pretrain
  checkpoints/view_light/cat_view_mvn, cat_light_mvn
  checkpoints/parsing/pspnet_voc
  checkpoints/lpips/vgg16

In the place of cat_pretrain, `--config.weights.networks` may name what
configs/cat_pretrain.py leaves, results/cat_pretrain/networks.

What comes out: results/cat/results/NAME/ with depth, normals, albedo, rotated
and relit views, meshes and turntable of each of the 16 cats.
"""

from configs import cat_pretrain


def get_config():
  """Returns the configuration of single cats."""
  config = cat_pretrain.get_config()
  config.joint = False
  config.data.pictures = "data/cat/list_200-215.txt"
  config.weights.networks = "checkpoints/gan2shape/cat_pretrain"
  config.schedule.stages = 4
  config.schedule.first_stage = (600, 600, 400)
  config.schedule.later_stages = (200, 500, 300)
  config.schedule.flip_step1 = (False, False, False, False)
  config.schedule.flip_step3 = (True, False, False, False)
  config.schedule.batch_size = 16
  config.schedule.collect_batches = 100
  config.output.export = True
  return config
