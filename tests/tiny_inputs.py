"""Tiny pictures, and a GAN with random weights, as files for real runs."""

import numpy as np
from PIL import Image
from random_gan import save_random_gan

SIZE = 32


def write_inputs(folder, pictures):
  """Writes pictures and a random GAN; returns the folder."""
  write_pictures(folder, count=pictures)
  save_random_gan(folder / "gan")
  return folder


def write_pictures(folder, count):
  """Shaded balls on black, with masks and true depth."""
  y, x = np.mgrid[:SIZE, :SIZE] - (SIZE - 1) / 2
  height = np.sqrt(np.maximum(0, 1 - (x**2 + y**2) / 12**2))
  for kind in ("image", "mask", "depth"):
    (folder / kind).mkdir(parents=True)
  for i in range(count):
    colors = np.array([200, 150 + 20 * i, 120])
    picture = (height[..., None] * colors).astype(np.uint8)
    Image.fromarray(picture).save(folder / f"image/{i}.png")
    mask = (255 * (height > 0)).astype(np.uint8)
    Image.fromarray(mask).save(folder / f"mask/{i}.png")
    nearness = (65535 * (0.5 + 0.4 * height) * (height > 0)).astype(np.uint16)
    Image.fromarray(nearness).save(folder / f"depth/{i}.png")
  names = [f"image/{i}.png\n" for i in range(count)]
  (folder / "list.txt").write_text("".join(names))
