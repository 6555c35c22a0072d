"""Horses: a category of the authors' code, without data in their release.

  python tools/convert_stylegan2.py --input stylegan2-horse-config-f.pkl \\
    --output checkpoints/stylegan2/stylegan2-horse-config-f
  python tools/sample_pictures.py --output data/horse --count 20 --psi 0.7 \\
    --gan checkpoints/stylegan2/stylegan2-horse-config-f
  python -m gan2shape_jax.main --config=configs/horse.py --check
  python -m gan2shape_jax.main --config=configs/horse.py

Needs, beside NVIDIA's horses, from checkpoints.tar.gz unpacked here and
converted by tools/convert_release.py:

  checkpoints/view_light/view_mvn, light_mvn
  checkpoints/parsing/pspnet_voc
  checkpoints/lpips/vgg16

What comes out: results/horse/results/NAME/ with depth, normals, albedo, rotated
and relit views, meshes and turntable of each horse, without its background.
"""

from configs import car


def get_config():
  """Returns the configuration of single horses: that of cars, but for..."""
  config = car.get_config()
  config.data.pictures = "data/horse/list.txt"
  config.data.root = "data/horse"
  config.data.latents = "data/horse/latents"
  config.weights.gan = "checkpoints/stylegan2/stylegan2-horse-config-f"
  config.parsing.whole = (13,)  # horse
  config.parsing.normalize = False
  config.prior.grow_bottom = 0.0
  return config
