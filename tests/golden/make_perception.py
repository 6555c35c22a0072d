"""Writes perception.npz: what PyTorch makes of LPIPS, BiSeNet and PSPNet-50.

  python tests/golden/make_perception.py

All at their true widths and in float64; the weights are not stored, they follow
from names (release_weights.py).
"""

import pathlib
import sys

import numpy as np
import torch

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import release_weights
from golden import perception_cases as cases
from golden import torch_perception as networks


def nchw(picture: np.ndarray) -> torch.Tensor:
  """A batch of one, in float64."""
  return torch.tensor(picture.transpose(2, 0, 1)[None], dtype=torch.float64)


def logits(module: torch.nn.Module, tensors: dict, picture: np.ndarray):
  """Some of the logits [h, w, k] of a picture."""
  module = networks.load(module, tensors).double()
  return cases.thin(module(nchw(picture))[0].permute(1, 2, 0).numpy())


def lpips(pictures: dict) -> dict:
  """Distances of the five maps, and the gradient of their sum."""
  vgg = networks.load(networks.Vgg16(), release_weights.vgg_tensors()).double()
  linear = release_weights.linear_tensors()
  module = networks.Lpips(vgg, {k: np.float64(v) for k, v in linear.items()})
  image = nchw(pictures["lpips"]).requires_grad_()
  target, mask = (nchw(pictures[f"lpips_{key}"]) for key in ("target", "mask"))
  distances = module(image * mask, target * mask)[:, 0]
  (gradient,) = torch.autograd.grad(distances.sum(), image)
  return {
    "lpips": distances.detach().numpy(),
    "lpips_gradient": gradient[0].permute(1, 2, 0).numpy(),
  }


def outputs() -> dict:
  """Everything that is compared."""
  pictures = cases.pictures()
  arrays = lpips(pictures)
  arrays["bisenet"] = logits(
    networks.BiSeNet(), release_weights.bisenet_tensors(), pictures["bisenet"]
  )
  for name, classes in cases.CLASSES.items():
    tensors = {
      key.removeprefix("module."): tensor
      for key, tensor in release_weights.pspnet_tensors(classes=classes).items()
      if "aux." not in key
    }
    module = networks.PSPNet(classes)
    arrays[name] = logits(module, tensors, pictures[name])
  return {name: np.float32(array) for name, array in arrays.items()}


def main():
  """Writes the file."""
  path = pathlib.Path(__file__).with_name("perception.npz")
  np.savez_compressed(path, **outputs())


if __name__ == "__main__":
  main()
