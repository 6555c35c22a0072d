"""Random numbers that never change: the raw stream of PCG64.

Numpy promises stability for the bits of a generator, not for the distributions
made of them.
"""

import zlib

import numpy as np


def draw(name: str, shape: tuple[int, ...], scale: float = 1.0) -> np.ndarray:
  """Uniform numbers of zero mean and deviation `scale`, of a seed `name`."""
  count = int(np.prod(shape, dtype=int))
  raw = np.random.PCG64(zlib.crc32(name.encode())).random_raw(count)
  unit = (raw >> 11).astype(np.float64) * 2.0**-53
  numbers = (2 * unit - 1) * np.sqrt(3) * scale
  return numbers.astype(np.float32).reshape(shape)
