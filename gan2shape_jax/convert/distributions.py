"""GAN2Shape's distributions of views and lights (`*_mvn.pth`).

A dictionary with `mean` and `cov`, in the raw units of the view (6) and the
light network (4).
"""

import numpy as np

from gan2shape_jax.convert.checkpoint_files import CheckpointFile
from gan2shape_jax.errors import UserError

_SIZES = {6: "view", 4: "light"}


def convert_distribution(file: CheckpointFile) -> dict[str, np.ndarray]:
  """The Gaussian's `mean` (n,) and `cov` (n, n), float32, n = 6 or 4.

  Raises:
    UserError: the file holds something else, or no covariance.
  """
  arrays = file.arrays(file.content)
  if arrays.keys() != {"mean", "cov"}:
    raise UserError(
      f"{file.path}: holds {sorted(arrays)} instead of 'mean' and 'cov'; name"
      " a file of checkpoints/view_light"
    )
  mean = arrays["mean"].reshape(-1).astype(np.float32)
  cov = arrays["cov"].astype(np.float32)
  if cov.ndim == 3 and len(cov) == 1:
    cov = cov[0]
  if mean.size not in _SIZES or cov.shape != 2 * mean.shape:
    raise UserError(
      f"{file.path}: shapes {arrays['mean'].shape} and {arrays['cov'].shape}"
      " are no distribution of views (6) or lights (4); use the release's file"
    )
  scale = max(np.abs(cov).max(), 1e-12)
  if (
    not np.isfinite([*mean, *cov.ravel()]).all()
    or np.abs(cov - cov.T).max() > 1e-4 * scale
    or np.linalg.eigvalsh(cov).min() < -1e-4 * scale
  ):
    raise UserError(
      f"{file.path}: 'cov' is no covariance (symmetric, no negative variance);"
      " copy the file again"
    )
  return {"mean": mean, "cov": cov}
