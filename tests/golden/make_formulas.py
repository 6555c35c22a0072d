"""Writes formulas.npz: PyTorch's resizing, layers, losses and depth errors.

  python tests/golden/make_formulas.py

In float64, by PyTorch's own operations where it has them.
"""

import math
import pathlib
import sys

import numpy as np
import torch
from torch.nn import functional as F

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from golden import perception_cases as cases


def tensor(array: np.ndarray) -> torch.Tensor:
  """[h, w, c] or [h, w] as a batch of one, channels first."""
  array = array[..., None] if array.ndim == 2 else array
  return torch.tensor(array.transpose(2, 0, 1)[None], dtype=torch.float64)


def array(x: torch.Tensor) -> np.ndarray:
  """Back to [h, w, c]."""
  return x[0].permute(1, 2, 0).numpy()


def layers() -> dict:
  """Resizing, pooling and convolutions of one map."""
  x, found = tensor(cases.layer_input()), {}
  for size in cases.RESIZED:
    name = f"{size[0]}x{size[1]}"
    found[f"area {name}"] = F.interpolate(x, size, mode="area")
    found[f"bilinear {name}"] = F.interpolate(
      x, size, mode="bilinear", align_corners=False
    )
    found[f"aligned {name}"] = F.interpolate(
      x, size, mode="bilinear", align_corners=True
    )
  found["max_pool"] = F.max_pool2d(x, 3, 2, 1)
  for count in (1, 2, 3, 6):
    found[f"blocks {count}"] = F.adaptive_avg_pool2d(x[:, :, :12], count)
  for index, (_, side, stride, dilation) in enumerate(cases.CONVOLUTIONS):
    kernel, norm = cases.layer_weights(index)
    y = F.conv2d(
      x,
      torch.tensor(kernel).double(),
      stride=stride,
      padding=dilation * (side // 2),
      dilation=dilation,
    )
    norm = {k: torch.tensor(v).double() for k, v in norm.items()}
    found[f"convolution {index}"] = F.batch_norm(y, **norm)
  return {name: array(y) for name, y in found.items()}


def masked_mean(x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
  """Of [1, c, h, w] under [1, 1, h, w]."""
  mask = mask.expand_as(x)
  return (x * mask).sum() / mask.sum()


def losses() -> dict:
  """Loss terms (GAN2Shape model.py, losses.py) and their gradients."""
  inputs = {k: tensor(v) for k, v in cases.loss_inputs().items()}
  for name in ("image", "coarse", "fine", "field"):
    inputs[name].requires_grad_()
  mask = inputs["mask"]
  photometric = masked_mean((inputs["image"] - inputs["target"]).abs(), mask)
  distance = 0
  for name in ("fine", "coarse"):
    difference = (inputs[name] - inputs[f"{name}_target"]).abs()
    pooled = F.avg_pool2d(mask, 16 // difference.shape[-1])
    distance = distance + masked_mean(difference, pooled)
  field = inputs["field"]
  dx, dy = field.diff(dim=3), field.diff(dim=2)
  smooth = sum(
    f.diff(dim=axis).abs().mean() for f in (dx, dy) for axis in (2, 3)
  )
  found = {}
  for name, value, variables in (
    ("photometric", photometric, ("image",)),
    ("feature_distance", distance, ("fine", "coarse")),
    ("smoothness", smooth, ("field",)),
  ):
    found[name] = value.detach().numpy()
    gradients = torch.autograd.grad(value, [inputs[v] for v in variables])
    for variable, gradient in zip(variables, gradients, strict=True):
      found[f"{name} {variable}"] = array(gradient)
  return found


def normals(depth: torch.Tensor) -> torch.Tensor:
  """Of a depth map [h, w], field of view 10 degrees (Unsup3d renderer)."""
  size = depth.shape[-1]
  focal = (size - 1) / (2 * math.tan(math.radians(5)))
  v, u = torch.meshgrid(*2 * [torch.arange(size).double()], indexing="ij")
  centre = (size - 1) / 2
  rays = torch.stack(
    [(u - centre) / focal, (v - centre) / focal, torch.ones_like(u)], -1
  )
  points = depth[..., None] * rays
  along_u = points[1:-1, 2:] - points[1:-1, :-2]
  along_v = points[2:, 1:-1] - points[:-2, 1:-1]
  normal = torch.zeros_like(points)
  normal[..., 2] = 1
  normal[1:-1, 1:-1] = torch.linalg.cross(along_u, along_v)
  return normal / (normal.norm(dim=-1, keepdim=True) + 1e-7)


def depth_errors() -> dict:
  """Errors of a depth map (GAN2Shape model.py, utils.py)."""
  inputs = {k: torch.tensor(v) for k, v in cases.depth_inputs().items()}
  eroded = [
    F.avg_pool2d(inputs[name][None, None], 3, 1, 1)[0, 0] > 0.99
    for name in ("mask", "true_mask")
  ]
  inside = eroded[0] & eroded[1]
  depth, true = (inputs[k].double() for k in ("depth", "true_depth"))
  ratio = (depth.log() - true.log())[inside]
  cosine = (normals(depth) * normals(true)).sum(-1).clamp(-1, 1)[inside]
  difference = (depth - true)[inside]
  found = {
    "side": ((ratio - ratio.mean()) ** 2).mean().sqrt(),
    "mad_reference": cosine.arccos().rad2deg().mean(),
    "mae": difference.abs().mean(),
    "mse": (difference**2).mean(),
    "coverage": inside.sum() / eroded[1].sum(),
  }
  return {name: value.numpy() for name, value in found.items()}


def outputs() -> dict:
  """Everything that is compared."""
  arrays = layers() | losses() | depth_errors()
  return {name: np.float32(array) for name, array in arrays.items()}


def main():
  """Writes the file."""
  path = pathlib.Path(__file__).with_name("formulas.npz")
  np.savez_compressed(path, **outputs())


if __name__ == "__main__":
  main()
