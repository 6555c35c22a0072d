"""The camera of the heads once more, in plain numpy and double precision."""

import numpy as np


def scene_rays(size):
  """[h, w, 3] ray directions with z = 1: K^-1 of the 10-degree camera."""
  focal = (size - 1) / (2 * np.tan(np.radians(5)))
  u, v = np.meshgrid(np.arange(size), np.arange(size))
  x, y = (u - (size - 1) / 2) / focal, (v - (size - 1) / 2) / focal
  return np.stack([x, y, np.ones_like(x)], -1)


def rotation_matrix(angles):
  """Rz Ry Rx as a product of elementary matrices."""
  angles = np.asarray(angles, np.float64)
  (cx, cy, cz), (sx, sy, sz) = np.cos(angles), np.sin(angles)
  rx = np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
  ry = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
  rz = np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
  return rz @ ry @ rx


def erode(mask):
  """Keeps the pixels whose eight neighbours are set (or off the picture)."""
  padded = np.pad(mask, 1, constant_values=True)
  h, w = mask.shape
  return np.logical_and.reduce(
    [padded[i : i + h, j : j + w] for i in range(3) for j in range(3)]
  )
