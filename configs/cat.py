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

from gan2shape_jax import config as defaults


def get_config():
  """Returns the configuration of single cats, of the default schedule."""
  config = defaults.default_config()
  config.image_size = 128
  config.data.pictures = "data/cat/list_200-215.txt"
  config.data.root = "data/cat"
  config.data.latents = "data/cat/latents"
  config.data.crop = 170
  config.data.mask = "parse"
  config.weights.gan = "checkpoints/stylegan2/stylegan2-catface-config-e"
  config.weights.networks = "checkpoints/gan2shape/cat_pretrain"
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
  return config
