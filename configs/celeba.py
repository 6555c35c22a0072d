"""Faces of CelebA of the authors' release, each with networks of its own.

  python tools/convert_release.py --root .
  python -m gan2shape_jax.main --config=configs/celeba.py --check
  python -m gan2shape_jax.main --config=configs/celeba.py

Needs, from data.tar.gz and checkpoints.tar.gz unpacked here and converted:

  data/celeba/  (list_200-399.txt, pictures, latents)
  checkpoints/stylegan2/stylegan2-celeba-config-e
  checkpoints/gan2shape/celeba_pretrain
  checkpoints/view_light/celeba_view_mvn, celeba_light_mvn
  checkpoints/parsing/bisenet
  checkpoints/lpips/vgg16

In the place of celeba_pretrain, `--config.weights.networks` may name what
configs/celeba_pretrain.py leaves, results/celeba_pretrain/networks.

What comes out: results/celeba/results/NAME/ with depth, normals, albedo,
rotated and relit views, meshes and turntable of each of the 200 faces.
"""

from configs import celeba_pretrain


def get_config():
  """Returns the configuration of single faces."""
  config = celeba_pretrain.get_config()
  config.joint = False
  config.data.pictures = "data/celeba/list_200-399.txt"
  config.weights.networks = "checkpoints/gan2shape/celeba_pretrain"
  config.schedule.stages = 4
  config.schedule.first_stage = (600, 600, 400)
  config.schedule.later_stages = (200, 500, 300)
  config.schedule.flip_step1 = (False, False, False, False)
  config.schedule.flip_step3 = (True, False, False, False)
  config.schedule.batch_size = 16
  config.schedule.collect_batches = 100
  config.output.export = True
  return config
