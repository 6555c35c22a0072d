"""What the renderer is judged by: a brute-force z-buffer in float64 numpy.

Independent of gan2shape_jax.render: its own rotation, its own projection, a
plain loop over triangles. Also the scenes and views that the tests look at.
"""

import math

import numpy as np

# A pixel is stable if moving its centre this far (pixels) along either diagonal
# keeps its coverage, and changes its depth by less than the jump.
_NUDGE = 0.02
_JUMP = 2e-3


def rotation_matrix(angles):
  """Rz Ry Rx of (rx, ry, rz), radians."""
  angles = np.asarray(angles, np.float64)
  (cx, cy, cz), (sx, sy, sz) = np.cos(angles), np.sin(angles)
  x = np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
  y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
  z = np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
  return z @ y @ x


def intrinsics(size, fov=10.0):
  """Focal length and centre in pixels."""
  half = (size - 1) / 2
  return half / math.tan(math.radians(fov) / 2), half


def view_points(depth, angles, translation, pivot=1.0):
  """Vertices of the depth map after P' = R (P - C) + C + t, `[h, w, 3]`."""
  size = len(depth)
  focal, center = intrinsics(size)
  v, u = np.mgrid[:size, :size]
  points = np.stack([(u - center) / focal, (v - center) / focal, 0 * u + 1], -1)
  points = points * np.asarray(depth, np.float64)[..., None]
  middle = np.array([0, 0, pivot])
  moved = (points - middle) @ rotation_matrix(angles).T + middle
  return moved + np.asarray(translation, np.float64)


def triangles(size):
  """Faces `[n, 3]` of vertex numbers, and their numbers in the renderer."""
  i, j = (x.ravel() for x in np.mgrid[: size - 1, : size - 1])
  first = i * size + j
  upper = np.stack([first, first + size, first + 1], -1)
  lower = np.stack([first + 1, first + size, first + size + 1], -1)
  numbers = np.concatenate([first, first + size * size])
  return np.concatenate([upper, lower]), numbers


def warp(
  depth,
  angles,
  translation,
  *,
  offsets=((0.0, 0.0),),
  view_size=None,
  tear=math.inf,
):
  """Depth (inf where uncovered) and face (-1) at pixel centres plus offsets.

  Both `[len(offsets), H, W]`; offsets are (du, dv) in pixels. Cells of four
  pixels whose depths differ by more than `tear` are left out.
  """
  size = view_size or len(depth)
  focal, center = intrinsics(size)
  points = view_points(depth, angles, translation).reshape(-1, 3)
  z = points[:, 2]
  screen = points[:, :2] / z[:, None] * focal + center
  du, dv = np.asarray(offsets, np.float64).T[..., None, None]
  best = np.full((len(du), size, size), np.inf)
  best_face = np.full(best.shape, -1)
  reach = np.abs(np.asarray(offsets)).max()
  faces, numbers = triangles(len(depth))
  corners = screen[faces]
  low = np.ceil(corners.min(1) - reach - 1e-9).clip(0, size).astype(int)
  high = np.floor(corners.max(1) + reach + 1e-9).clip(-1, size - 1).astype(int)
  edge1, edge2 = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
  area = edge1[:, 0] * edge2[:, 1] - edge1[:, 1] * edge2[:, 0]
  seen = (high >= low).all(1) & (np.abs(area) > 1e-12)
  seen &= (z[faces] > 0.1).all(1)
  seen &= np.tile(_steps(depth) <= tear, 2)
  for n in np.flatnonzero(seen):
    (u0, v0), (u1, v1), (u2, v2) = low[n], high[n] + 1, corners[n, 0]
    u = np.arange(u0, u1)[None, None, :] + du - u2
    v = np.arange(v0, v1)[None, :, None] + dv - v2
    b1 = (u * edge2[n, 1] - v * edge2[n, 0]) / area[n]
    b2 = (v * edge1[n, 0] - u * edge1[n, 1]) / area[n]
    b0 = 1 - b1 - b2
    inside = (b0 >= -1e-9) & (b1 >= -1e-9) & (b2 >= -1e-9)
    z0, z1, z2 = z[faces[n]]
    face_z = 1 / np.where(inside, b0 / z0 + b1 / z1 + b2 / z2, 1)
    window = np.s_[:, v0:v1, u0:u1]
    closer = inside & (face_z < best[window])
    best[window] = np.where(closer, face_z, best[window])
    best_face[window] = np.where(closer, numbers[n], best_face[window])
  return best, best_face


def _steps(depth):
  """The largest difference of depth within each cell, row by row."""
  cells = np.lib.stride_tricks.sliding_window_view(np.asarray(depth), (2, 2))
  return np.ptp(cells, axis=(2, 3)).ravel()


def warp_stable(depth, angles, translation, **kwargs):
  """Depth, face, and which pixels a nudge of the centre does not change."""
  offsets = [(0, 0)] + [
    (a * _NUDGE, b * _NUDGE) for a in (-1, 1) for b in (-1, 1)
  ]
  z, face = warp(depth, angles, translation, offsets=offsets, **kwargs)
  covered = face >= 0
  filled = np.where(covered, z, 0)
  stable = (covered == covered[:1]).all(0)
  stable &= (np.abs(filled - filled[:1]) < _JUMP).all(0)
  return z[0], face[0], stable


def scene(name, size):
  """A canonical depth map `[size, size]`, float32."""
  y, x = np.mgrid[:size, :size] / (size - 1) * 2 - 1
  radius = np.hypot(x / 0.6, y / 0.8)
  ellipsoid = 1.02 - 0.11 * np.sqrt(np.maximum(1 - radius**2, 0))
  if name == "smooth":
    depth = 1 + 0.05 * np.sin(3 * x + 1) * np.cos(2 * y) - 0.03 * np.cos(4 * y)
  elif name == "ellipsoid":
    depth = ellipsoid
  elif name == "border":
    depth = ellipsoid - 0.01 * np.cos(5 * x + 3 * y)
    depth[:, [0, 1, -2, -1]] = 1.04
  elif name == "step":
    depth = np.where((np.abs(x) < 0.5) & (np.abs(y) < 0.6), 0.9, 1.04)
  else:
    raise ValueError(name)
  return depth.astype(np.float32)


SCENES = ("smooth", "ellipsoid", "border", "step")

# Degrees (pitch, yaw, roll) and translation, scene units.
VIEWS = {
  "identity": ((0, 0, 0), (0, 0, 0)),
  "yaw 10": ((0, 10, 0), (0, 0, 0)),
  "yaw -30": ((0, -30, 0), (0, 0, 0)),
  "yaw 60": ((0, 60, 0), (0, 0, 0)),
  "pitch 10": ((10, 0, 0), (0, 0, 0)),
  "pitch -30": ((-30, 0, 0), (0, 0, 0)),
  "pitch 60": ((60, 0, 0), (0, 0, 0)),
  "all 10": ((10, -10, 10), (0.01, 0, 0)),
  "all 30": ((-30, 30, 30), (0, 0, 0.05)),
  "shift": ((0, 0, 0), (0.013, -0.021, 0.04)),
}


def view(name):
  """Angles in radians and translation of one of VIEWS, float32 values."""
  angles, translation = VIEWS[name]
  return np.float32(np.radians(angles)), np.float32(translation)
