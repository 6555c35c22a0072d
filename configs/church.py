"""Churches of the authors' release: no joint training, no symmetry.

  python tools/convert_release.py --root .
  python -m gan2shape_jax.main --config=configs/church.py --check
  python -m gan2shape_jax.main --config=configs/church.py

Needs, from data.tar.gz and checkpoints.tar.gz unpacked here and converted:

  data/church/  (list.txt, pictures, latents)
  checkpoints/stylegan2/stylegan2-church-config-f
  checkpoints/view_light/view_mvn, light_mvn
  checkpoints/parsing/pspnet_ade20k
  checkpoints/lpips/vgg16

What comes out: results/church/results/NAME/ with depth, normals, albedo,
rotated and relit views, meshes and turntable of each church, without its
background.
"""

from configs import car


def get_config():
  """Returns the configuration of single churches: that of cars, but for..."""
  config = car.get_config()
  config.data.pictures = "data/church/list.txt"
  config.data.root = "data/church"
  config.data.latents = "data/church/latents"
  config.weights.gan = "checkpoints/stylegan2/stylegan2-church-config-f"
  config.weights.parsing = "checkpoints/parsing/pspnet_ade20k"
  config.parsing.network = "pspnet_ade20k"
  config.parsing.whole = (1,)  # building; ADE20K has no churches
  config.parsing.normalize = False
  config.prior.far = 1.0
  return config
