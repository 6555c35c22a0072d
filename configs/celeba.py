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

from gan2shape_jax import config as defaults


def get_config():
  """Returns the configuration of single faces, of the default schedule."""
  config = defaults.default_config()
  config.image_size = 128
  config.data.pictures = "data/celeba/list_200-399.txt"
  config.data.root = "data/celeba"
  config.data.latents = "data/celeba/latents"
  config.data.mask = "parse"
  config.weights.gan = "checkpoints/stylegan2/stylegan2-celeba-config-e"
  config.weights.networks = "checkpoints/gan2shape/celeba_pretrain"
  config.weights.lpips = "checkpoints/lpips/vgg16"
  config.weights.view = "checkpoints/view_light/celeba_view_mvn"
  config.weights.light = "checkpoints/view_light/celeba_light_mvn"
  config.weights.parsing = "checkpoints/parsing/bisenet"
  config.parsing.network = "bisenet"
  config.parsing.whole = tuple(range(1, 14))  # skin to lips
  config.parsing.half = (14, 15, 17, 18)  # neck, necklace, hair, hat
  config.view.scale = 1.2
  config.networks.relative_encoding = True
  config.networks.offset_layers = 2
  config.prior.bottom_to_border = True
  config.prior.shrink_sides = 1 / 12
  return config
