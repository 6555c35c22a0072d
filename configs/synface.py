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

from configs import synface_pretrain


def get_config():
  """Returns the configuration of single synthetic faces."""
  config = synface_pretrain.get_config()
  config.joint = False
  config.data.pictures = "data/synface/test/list.txt"
  config.data.root = "data/synface/test/image"
  config.data.latents = "data/synface/test/latents"
  config.weights.networks = "checkpoints/gan2shape/synface_pretrain"
  config.schedule.stages = 1
  config.schedule.first_stage = (500, 500, 200)
  config.schedule.flip_step1 = (False,)
  config.schedule.flip_step3 = (True,)
  config.schedule.batch_size = 16
  config.schedule.collect_batches = 100
  return config
