"""Writes stylegan2.npz: what PyTorch makes of the GANs in cases.py.

  python tests/golden/make_stylegan2.py

Outputs and gradients of generator, mapping and discriminator at every size; the
weights are not stored, they follow from names (fixed_numbers.py).
"""

import pathlib
import sys

import numpy as np
import torch

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from foreign_gans import rosinality_discriminator, rosinality_generator
from golden import cases
from golden.torch_stylegan2 import Discriminator, Generator


def load(module, arrays, dtype=torch.float32):
  """Puts arrays into a module, all of them."""
  module.load_state_dict({k: torch.tensor(v) for k, v in arrays.items()})
  return module.to(dtype)


def outputs(size: int, dtype=torch.float32) -> dict[str, np.ndarray]:
  """Everything that is compared for the GAN of a size."""
  latent, layers, channels = cases.GANS[size]
  generator = load(
    Generator(channels, latent, layers),
    rosinality_generator(channels, latent, layers, seed=f"g {size}"),
    dtype,
  )
  discriminator = load(
    Discriminator(channels),
    rosinality_discriminator(channels, seed=f"d {size}"),
    dtype,
  )
  inputs = {
    k: torch.tensor(v, dtype=dtype, requires_grad=True)
    for k, v in cases.gan_inputs(size).items()
  }
  found = {}
  for first, last in cases.MAPPING_PASSES:
    name = f"map_{first}_{last}"
    w = generator.map(inputs["z"][None], first, last)[0]
    found |= with_gradient(name, [w], inputs["z"])
  picture = generator(inputs["w"][None])[0].permute(1, 2, 0)
  found |= with_gradient("picture", [picture], inputs["w"])
  image = inputs["image"].permute(2, 0, 1)[None]
  count = min(4, len(channels) - 1)
  features = [
    x[0].permute(1, 2, 0) for x in discriminator.features(image, count)
  ]
  found |= with_gradient("features", features, inputs["image"])
  # A smaller picture than the discriminator was made for.
  small = [
    x[0].permute(1, 2, 0)
    for x in discriminator.features(image[..., ::2, ::2], len(channels) - 2)
  ]
  found |= with_gradient("small", small, inputs["image"])
  # Two pictures, so that their deviation is not zero.
  logits = discriminator(torch.cat([image, image.flip(3)]))
  found |= with_gradient("logits", [logits], inputs["image"])
  return found


def with_gradient(name, values, of) -> dict[str, np.ndarray]:
  """Outputs, and the gradient of their product with fixed numbers."""
  total = sum(
    (x * torch.tensor(cases.pull(f"{name} {i}", tuple(x.shape)))).sum()
    for i, x in enumerate(values)
  )
  (gradient,) = torch.autograd.grad(total, of)
  arrays = {f"{name}_{i}": x.detach().numpy() for i, x in enumerate(values)}
  arrays[f"{name}_gradient"] = gradient.numpy()
  return {key: array.astype(np.float32) for key, array in arrays.items()}


def main():
  """Writes the file."""
  arrays = {
    f"{size}/{name}": cases.thin(array)
    for size in cases.GANS
    # In float64, so that the file's own error is nothing.
    for name, array in outputs(size, torch.float64).items()
  }
  path = pathlib.Path(__file__).with_name("stylegan2.npz")
  np.savez_compressed(path, **arrays)


if __name__ == "__main__":
  main()
