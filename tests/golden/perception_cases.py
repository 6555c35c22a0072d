"""Inputs of the golden files of perceptual networks, formulas and layers."""

import numpy as np
from golden.fixed_numbers import draw

CLASSES = {"pspnet_voc": 21, "pspnet_ade20k": 150}
RESIZED = ((3, 4), (4, 5), (9, 12), (16, 25), (1, 1))
# features, kernel size, stride, dilation of every convolution with a norm.
CONVOLUTIONS = (
  (6, 7, 2, 1),
  (6, 3, 2, 1),
  (6, 3, 1, 1),
  (6, 3, 1, 2),
  (6, 3, 1, 4),
  (6, 1, 2, 1),
  (6, 1, 1, 1),
)
NORM = ("weight", "bias", "running_mean", "running_var")


def pictures() -> dict[str, np.ndarray]:
  """Pictures about [-1, 1]; the second of LPIPS is near the first.

  LPIPS compares both under its mask, and its gradient is that of the picture
  before it. Where all is grey, neighbours are alike: to which of them a pooled
  maximum passes the gradient is a matter of rounding.
  """
  first = draw("lpips", (64, 64, 3), 0.5)
  mask = np.ones((64, 64, 1), np.float32)
  mask[40:] = 0
  return {
    "lpips": first,
    "lpips_target": first + draw("lpips target", first.shape, 0.2),
    "lpips_mask": mask,
    "bisenet": draw("bisenet", (64, 96, 3), 0.5),
    "pspnet_voc": draw("voc", (89, 89, 3), 0.5),
    "pspnet_ade20k": draw("ade", (41, 89, 3), 0.5),
  }


def thin(logits: np.ndarray) -> np.ndarray:
  """Some rows and columns of [h, w, k], so that files stay small."""
  return logits[::7, ::7]


def layer_input() -> np.ndarray:
  """A map [h, w, c] with odd and even sides."""
  return draw("map", (13, 12, 5))


def layer_weights(index: int) -> tuple[np.ndarray, dict[str, np.ndarray]]:
  """PyTorch's kernel of one of `CONVOLUTIONS`, and its norm."""
  features, side, _, _ = CONVOLUTIONS[index]
  norm = {
    name: draw(f"{name} {index}", (features,), 0.3)
    + (name in ("weight", "running_var"))
    for name in NORM
  }
  return draw(f"kernel {index}", (features, 5, side, side), 0.3), norm


def loss_inputs() -> dict[str, np.ndarray]:
  """A picture, its target and mask, features of both, and a field."""
  return {
    "image": draw("image", (16, 16, 3), 0.5),
    "target": draw("target", (16, 16, 3), 0.5),
    "mask": 0.5 + draw("mask", (16, 16), 0.28),
    "coarse": draw("coarse", (4, 4, 6)),
    "coarse_target": draw("coarse target", (4, 4, 6)),
    "fine": draw("fine", (8, 8, 3)),
    "fine_target": draw("fine target", (8, 8, 3)),
    "field": draw("field", (12, 11)),
  }


def depth_inputs() -> dict[str, np.ndarray]:
  """Two depth maps about 1 and their masks."""
  return {
    "depth": 1 + draw("depth", (16, 16), 0.01),
    "true_depth": 1 + draw("true depth", (16, 16), 0.01),
    "mask": (draw("hole", (16, 16)) < 1.5).astype(np.float32),
    "true_mask": (draw("true hole", (16, 16)) < 1.5).astype(np.float32),
  }
