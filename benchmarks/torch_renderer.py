"""The original's renderer in PyTorch, for `baseline_torch.py`.

Formulas of the original (Unsup3d's renderer), but for its depth rasteriser: in
the place of neural_renderer's CUDA kernels, which do not run on a CPU, stands a
z-buffer in plain PyTorch. Every face tries the pixels of its own bounding box
(two to four for each pixel of the picture), all faces of all views at once, and
a scattered maximum keeps the nearest. Like neural_renderer it draws 2 x 2
samples for each pixel, half a pixel off, and averages their depths. One sample
at the pixel's centre, as on our side, is for comparing numbers.

Batches come first: depth (b, h, w), points (b, h, w, 3), grids (b, h, w, 2),
with align_corners.
"""

import functools
import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

_TOLERANCE = 2e-5  # barycentric, for pixel centres on an edge
_RIM = 1e-3  # px, for pixel centres on a vertex
_BACKGROUND = 100.0  # neural_renderer's depth where there is no face


class Pose(NamedTuple):
  """P' = R (P - C) + C + t; (b, 3, 3) and (b, 3)."""

  rotation: Tensor
  translation: Tensor


def pose_from_angles(angles: Tensor, translation: Tensor) -> Pose:
  """Rotations Rz Ry Rx by (b, 3) radians, multiplied as matrices."""
  zero, one = torch.zeros_like(angles[:, 0]), torch.ones_like(angles[:, 0])
  cos, sin = angles.cos().unbind(1), angles.sin().unbind(1)

  def matrix(*entries):
    return torch.stack(entries, 1).reshape(-1, 3, 3)

  rx = matrix(one, zero, zero, zero, cos[0], -sin[0], zero, sin[0], cos[0])
  ry = matrix(cos[1], zero, sin[1], zero, one, zero, -sin[1], zero, cos[1])
  rz = matrix(cos[2], -sin[2], zero, sin[2], cos[2], zero, zero, zero, one)
  return Pose(rz @ ry @ rx, translation)


class Renderer:
  """A square camera, see `gan2shape_jax.render.camera.Camera`.

  `samples` is how many there are for each pixel, along each axis.
  """

  def __init__(self, camera, samples=2):
    self.size, self.samples = camera.image_size, samples
    self.near, self.far = camera.view_depth_min, camera.view_depth_max
    half = math.radians(camera.fov) / 2
    self.center = (self.size - 1) / 2
    focal = self.center / math.tan(half)
    self.intrinsics = torch.tensor(
      [[focal, 0, self.center], [0, focal, self.center], [0, 0, 1]]
    )
    self.inverse = torch.inverse(self.intrinsics)
    self.pivot = torch.tensor([0.0, 0.0, camera.rotation_center])

  def points(self, depth: Tensor) -> Tensor:
    """Points of the pixels of a depth map."""
    line = torch.arange(self.size, dtype=torch.float32)
    v, u = torch.meshgrid(line, line, indexing="ij")
    pixels = torch.stack([u, v, torch.ones_like(u)], -1)
    return (pixels @ self.inverse.T) * depth[..., None]

  def move(self, points: Tensor, pose: Pose) -> Tensor:
    """Canonical points to the view."""
    flat = points.reshape(len(points), -1, 3) - self.pivot
    flat = flat @ pose.rotation.transpose(1, 2)
    flat = flat + self.pivot + pose.translation[:, None]
    return flat.reshape(len(flat), *points.shape[1:])

  def move_back(self, points: Tensor, pose: Pose) -> Tensor:
    """Points of the view to the canonical frame."""
    flat = points.reshape(len(points), -1, 3)
    flat = flat - pose.translation[:, None] - self.pivot
    flat = flat @ pose.rotation + self.pivot
    return flat.reshape(len(flat), *points.shape[1:])

  def to_grid(self, points: Tensor) -> Tensor:
    """Where points are in the picture, -1 and 1 at the outer centres."""
    pixels = (points / points[..., 2:]) @ self.intrinsics.T
    return pixels[..., :2] / self.center - 1

  def forward_grid(self, depth: Tensor, pose: Pose) -> Tensor:
    """Where each canonical pixel lands in the view."""
    return self.to_grid(self.move(self.points(depth), pose))

  def inverse_grid(self, depth: Tensor, pose: Pose) -> Tensor:
    """Where each pixel of the view comes from."""
    return self.to_grid(self.move_back(self.points(depth), pose))

  def warp(self, depth: Tensor, pose: Pose) -> Tensor:
    """The depth of the view, clamped."""
    points = self.move(self.points(depth), pose)
    depth = draw_depth(points, self.intrinsics, self.samples)
    return depth.clamp(self.near, self.far)

  def normals(self, depth: Tensor) -> Tensor:
    """Inward normals (b, h, w, 3)."""
    grid = self.points(depth)
    along_u = grid[:, 1:-1, 2:] - grid[:, 1:-1, :-2]
    along_v = grid[:, 2:, 1:-1] - grid[:, :-2, 1:-1]
    inner = torch.linalg.cross(along_u, along_v)
    front = torch.tensor([0.0, 0.0, 1.0])
    normal = front.repeat(*depth.shape, 1)
    normal[:, 1:-1, 1:-1] = inner
    return normal / (normal.square().sum(-1, keepdim=True).sqrt() + 1e-7)


@functools.cache
def _faces(size: int) -> Tensor:
  """Vertices of all faces (f, 3), two to a cell."""
  index = torch.arange(size * size).reshape(size, size)
  a, b = index[:-1, :-1].flatten(), index[:-1, 1:].flatten()
  c, d = index[1:, :-1].flatten(), index[1:, 1:].flatten()
  return torch.cat([torch.stack([a, b, c], 1), torch.stack([d, c, b], 1)])


def draw_depth(points: Tensor, intrinsics: Tensor, samples: int) -> Tensor:
  """Depth of the nearest face at each pixel, _BACKGROUND where there is none.

  Differentiable in the points of the face that is seen.
  """
  b, size = len(points), samples * points.shape[1]
  flat = points.reshape(b, -1, 3)
  inverse_z = 1 / flat[..., 2]
  u, v = (
    (intrinsics[i, i] * flat[..., i] * inverse_z + intrinsics[i, 2]) * samples
    - (samples - 1) / 2
    for i in range(2)
  )
  vertices = _faces(points.shape[1])
  with torch.no_grad():
    face = _nearest_faces(*(x[:, vertices] for x in (u, v, inverse_z)), size)
  covered = face >= 0
  corners = vertices[face.clamp(min=0)]  # (b, pixels, 3)
  view = torch.arange(b)[:, None, None]
  u, v, inverse_z = u[view, corners], v[view, corners], inverse_z[view, corners]
  line = torch.arange(size, dtype=torch.float32)
  weights = _barycentric(u, v, line.repeat(size), line.repeat_interleave(size))
  inverse = (torch.stack(weights, -1) * inverse_z).sum(-1)
  # Twice, so that pixels without a face have no gradient.
  depth = 1 / torch.where(covered, inverse, 1.0)
  depth = torch.where(covered, depth, _BACKGROUND).reshape(b, size, size)
  return F.avg_pool2d(depth[:, None], samples)[:, 0]


def _nearest_faces(u: Tensor, v: Tensor, inverse_z: Tensor, size: int):
  """Face numbers (b, pixels), -1 where there is none; from (b, faces, 3)."""
  b, faces = u.shape[:2]
  u, v, inverse_z = (x.reshape(-1, 3) for x in (u, v, inverse_z))

  def span(x):
    first = (x.amin(1) - _RIM).ceil().clamp(0, size)
    last = (x.amax(1) + _RIM).floor().clamp(-1, size - 1)
    return first, (last - first + 1).clamp(min=0)

  (left, columns), (top, rows) = span(u), span(v)
  count = (rows * columns).long()
  owner = torch.repeat_interleave(torch.arange(len(count)), count)
  index = torch.arange(len(owner)) - (count.cumsum(0) - count)[owner]
  line = ((index + 0.5) / columns[owner]).floor()
  row = top[owner] + line
  column = left[owner] + index - line * columns[owner]
  weights = torch.stack(_barycentric(u[owner], v[owner], column, row), 1)
  inside = weights.amin(1) >= -_TOLERANCE
  # Bits of a positive float are in its order.
  near = (weights * inverse_z[owner]).sum(1)[inside].view(torch.int32).long()
  owner = owner[inside]
  view = torch.div(owner, faces, rounding_mode="floor")
  pixel = (row * size + column)[inside].long() + view * size**2
  key = (near << 32) | (owner - view * faces)
  best = torch.full((b * size**2,), -1)
  best.scatter_reduce_(0, pixel, key, "amax")
  return torch.where(best >= 0, best & 0xFFFFFFFF, -1).reshape(b, -1)


def _barycentric(u: Tensor, v: Tensor, column: Tensor, row: Tensor):
  """Weights of the corners (..., 3) of a face at a pixel."""
  (u0, u1, u2), (v0, v1, v2) = u.unbind(-1), v.unbind(-1)
  area = (u1 - u0) * (v2 - v0) - (u2 - u0) * (v1 - v0)
  du, dv = column - u0, row - v0
  w1 = (du * (v2 - v0) - dv * (u2 - u0)) / area
  w2 = (dv * (u1 - u0) - du * (v1 - v0)) / area
  return 1 - w1 - w2, w1, w2


def sample(image: Tensor, grid: Tensor, mode: str = "bilinear") -> Tensor:
  """Pictures (b, c, h, w) at grids, zero outside."""
  return F.grid_sample(image, grid, mode, align_corners=True)
