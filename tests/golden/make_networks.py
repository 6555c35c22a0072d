"""Writes networks.npz: what PyTorch makes of the five networks in cases.py.

  python tests/golden/make_networks.py

Outputs, and gradients with respect to the picture, at 64 and 128 px; the
weights are not stored, they follow from names (fixed_numbers.py).
"""

import pathlib
import sys

import numpy as np
import torch

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from golden import cases
from golden.torch_networks import networks


def weights(size: int) -> dict[str, dict[str, np.ndarray]]:
  """State dictionaries of the five by their names in files."""
  return {
    name: cases.state(
      {k: tuple(v.shape) for k, v in network.state_dict().items()},
      f"{name} {size}",
    )
    for name, network in networks(size, **cases.NETWORKS[size]).items()
  }


def outputs(size: int, dtype=torch.float32) -> dict[str, np.ndarray]:
  """Everything that is compared for the networks of a size."""
  found, states = {}, weights(size)
  picture = cases.network_image(size)
  for name, network in networks(size, **cases.NETWORKS[size]).items():
    state = {k: torch.tensor(v) for k, v in states[name].items()}
    network.load_state_dict(state)
    network.to(dtype)
    image = torch.tensor(picture, dtype=dtype, requires_grad=True)
    y = network(image.permute(2, 0, 1)[None])[0].permute(1, 2, 0)
    pull = torch.tensor(cases.pull(name, tuple(y.shape)))
    (gradient,) = torch.autograd.grad((y * pull).sum(), image)
    found[name] = y.detach().numpy().astype(np.float32)
    found[f"{name}_gradient"] = gradient.numpy().astype(np.float32)
  return found


def main():
  """Writes the file."""
  arrays = {
    f"{size}/{name}": cases.thin(array)
    for size in cases.NETWORKS
    # In float64, so that the file's own error is nothing.
    for name, array in outputs(size, torch.float64).items()
  }
  path = pathlib.Path(__file__).with_name("networks.npz")
  np.savez_compressed(path, **arrays)


if __name__ == "__main__":
  main()
