"""One head that the bundled GAN never saw, on a laptop's CPU.

  python -m gan2shape_jax.main --config=configs/demo.py

Needs nothing but the repository: the GAN and the picture lie in assets/demo.
"""

from gan2shape_jax import config as defaults

DEMO = "assets/demo"


def get_config():
  """Returns the configuration of the demo."""
  config = defaults.default_config()
  config.image_size = 64
  config.data.pictures = f"{DEMO}/heads/list.txt"
  config.data.count = 1
  config.data.ground_truth = True
  config.weights.gan = f"{DEMO}/gan"
  return config
