"""What the golden files are made of: weights and inputs, from names only."""

import numpy as np
from golden.fixed_numbers import draw

# Image size, latent size, mapping layers, channels at side 4, 8, ... There is
# every kind of layer in each.
GANS = {
  16: (16, 3, (12, 10, 8)),
  32: (16, 8, (16, 12, 8, 8)),
  64: (24, 4, (16, 16, 12, 8, 8)),
}
MAPPING_PASSES = ((0, None), (0, 2), (2, None))
NETWORKS = {
  64: {
    "width": 8,
    "largest": 32,
    "code": 12,
    "encoder_width": 4,
    "latent": 20,
  },
  128: {
    "width": 4,
    "largest": 32,
    "code": 12,
    "encoder_width": 4,
    "latent": 20,
  },
}


def state(shapes: dict[str, tuple[int, ...]], seed: str) -> dict:
  """Random weights of ordinary sizes for a state dictionary's shapes.

  Kernels keep the variance of their input; blur kernels are left out.
  """
  arrays = {}
  for name, shape in shapes.items():
    fan_in = int(np.prod(shape[1:])) if len(shape) > 1 else 1
    scale = 0.3 if len(shape) < 2 else fan_in**-0.5
    arrays[name] = draw(f"{seed} {name}", shape, scale)
    if len(shape) == 1 and name.endswith("weight"):
      arrays[name] += 1  # The scale of a normalisation.
  return arrays


def gan_inputs(size: int):
  """Latent z, latent w+ and a picture [-1, 1] for a GAN of that size."""
  latent, _, channels = GANS[size]
  return {
    "z": draw(f"z {size}", (latent,)),
    "w": draw(f"w {size}", (2 * len(channels), latent)),
    "image": draw(f"image {size}", (size, size, 3), 0.5),
  }


def network_image(size: int):
  """A picture [size, size, 3] about [-1, 1]."""
  return draw(f"picture {size}", (size, size, 3), 0.5)


def pull(name: str, shape: tuple[int, ...]) -> np.ndarray:
  """The cotangent that is pulled back through a network."""
  return draw(f"pull {name}", shape)


def thin(array: np.ndarray) -> np.ndarray:
  """Every fifth row and column of large maps, so that files stay small."""
  large = array.ndim == 3 and array.shape[0] > 32
  return array[::5, ::5] if large else array
