"""Joint training on 200 faces of the authors' release, from scratch.

  python tools/convert_release.py --root .
  python -m gan2shape_jax.main --config=configs/celeba_pretrain.py --check
  python -m gan2shape_jax.main --config=configs/celeba_pretrain.py

Needs the files of configs/celeba.py, with list_0-199.txt and but for
checkpoints/gan2shape. What comes out: results/celeba_pretrain/networks, in the
place of the authors' checkpoints/gan2shape/celeba_pretrain (for
`--config.weights.networks` of main and predict), and how the shapes grew in
results/celeba_pretrain/results/joint/stages.
"""

from configs import cat_pretrain, celeba


def get_config():
  """Returns the configuration of single faces, but for..."""
  config = celeba.get_config()
  config.joint = True
  config.data.pictures = "data/celeba/list_0-199.txt"
  config.weights.networks = ""
  config.schedule = cat_pretrain.get_config().schedule
  config.output.export = False
  return config
