"""Writes a release of random weights, from which a configuration runs.

  python tests/make_release.py --root DIR --config cat
  python tools/convert_release.py --root DIR

The root gets all files that configs/cat.py names, where and as the authors
release them: rosinality's GAN (of horses, which they did not release, NVIDIA's
pickle), the five networks, distributions of views and lights, a parser, VGG16
and LPIPS, latents, a list, pictures and, where the configuration has them,
depths. All networks have their true architectures; what they say means nothing.
"""

import argparse
import dataclasses
import importlib
import sys
from pathlib import Path

import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import release_weights
from foreign_files import legacy_file, numpy_pickle, zip_file
from foreign_gans import rosinality_checkpoint, tensorflow_pickle_content
from golden import cases
from golden.fixed_numbers import draw

from gan2shape_jax.config import PARSERS
from gan2shape_jax.convert.networks import NAMES, Sizes, network_table
from gan2shape_jax.image_files import beside
from gan2shape_jax.models.architecture import config_e, config_f

GAN_SIZES = {
  "catface": 256,
  "celeba": 128,
  "synface": 128,
  "car": 512,
  "church": 256,
  "horse": 256,
}


@dataclasses.dataclass(frozen=True)
class Shapes:
  """Sizes that a configuration does not tell.

  Attributes:
    channels: of the GAN, at side 4, 8, ...
    latent: length of a latent.
    layers: of the mapping network.
    width: channels of the first maps of the parser and of VGG16.
    picture: px, sides of the pictures' files.
  """

  channels: tuple[int, ...]
  latent: int = 512
  layers: int = 8
  width: int = 64
  picture: int = 256


def true_shapes(config) -> Shapes:
  """The authors' sizes for one of their configurations."""
  _, kind, _, letter = Path(config.weights.gan).name.split("-")
  preset = {"e": config_e, "f": config_f}[letter]
  channels = preset(GAN_SIZES[kind]).channels
  # Crops are out of pictures of 256 px, others are as the GAN draws them.
  picture = 256 if config.data.crop else GAN_SIZES[kind]
  return Shapes(channels, picture=picture)


def write_release(root: Path, config, shapes: Shapes, *, count: int) -> None:
  """Writes all that a configuration needs, with `count` pictures."""

  def write(path, data):
    path = root / path
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)

  weights = config.weights
  gan = rosinality_checkpoint(
    shapes.channels, latent=shapes.latent, layers=shapes.layers
  )
  if "horse" in weights.gan:
    pickled = numpy_pickle(tensorflow_pickle_content(gan))
    write(f"{weights.gan}.pkl", pickled)
  else:
    write(f"{weights.gan}.pt", legacy_file(gan))
  if weights.networks:
    networks = network_tensors(config, shapes)
    write(f"{weights.networks}.pth", legacy_file(networks))
  for path, size in ((weights.view, 6), (weights.light, 4)):
    gaussian = {
      "mean": np.full(size, 0.1, np.float32),
      "cov": np.eye(size, dtype=np.float32) * 0.01,
    }
    write(f"{path}.pth", legacy_file(gaussian))
  write(f"{weights.parsing}.pth", zip_file(parser_tensors(config, shapes)))
  vgg = release_weights.vgg_tensors(width=shapes.width)
  write("torchvision/vgg16-397923af.pth", legacy_file(vgg))
  linear = release_weights.linear_tensors(width=shapes.width)
  write("lpips/weights/v0.1/vgg.pth", legacy_file(linear))
  write_pictures(root, config, shapes, count)


def network_tensors(config, shapes: Shapes) -> dict:
  """State dictionaries of the five networks."""
  fields, size = config.networks, config.image_size
  sizes = Sizes(
    image_size=size,
    latent_size=shapes.latent,
    width=fields.width or max(4096 // size, 16),
    max_channels=fields.max_channels,
    code_size=fields.code_size,
    encoder_width=fields.encoder_width,
  )
  return {
    name: cases.state(
      {e.name: e.shape for e in network_table(ours, sizes).values()}, name
    )
    for name, ours in NAMES.items()
  }


def parser_tensors(config, shapes: Shapes) -> dict:
  """A parser that sees the object here and there."""
  name = config.parsing.network
  if name == "bisenet":
    return release_weights.bisenet_tensors(width=shapes.width)
  tensors = release_weights.pspnet_tensors(
    classes=PARSERS[name], width=shapes.width
  )
  # Only the object's class says anything: of these numbers, the eighth row is
  # positive in about half of a picture.
  kernel = tensors["module.cls.4.weight"]
  said = kernel[8]
  tensors["module.cls.4.weight"] = np.zeros_like(kernel)
  tensors["module.cls.4.weight"][list(config.parsing.whole)] = said
  tensors["module.cls.4.bias"][:] = 0
  return {"state_dict": tensors}


def write_pictures(root: Path, config, shapes: Shapes, count: int) -> None:
  """Writes blurred colours, with their latents, depths and the list."""
  data, side = config.data, shapes.picture

  def save(path, numbers):
    levels = np.uint8(np.clip(128 + 60 * numbers, 1, 255))
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(levels).resize((side, side), Image.BICUBIC).save(path)

  latents = root / data.latents
  latents.mkdir(parents=True, exist_ok=True)
  names = [f"{index:06d}" for index in range(count)]
  for name in names:
    path = root / data.root / f"{name}.png"
    save(path, draw(f"picture {name}", (6, 6, 3)))
    if data.ground_truth:
      save(beside(path, "depth"), draw(f"depth {name}", (6, 6)))
    latent = draw(f"latent {name}", (shapes.latent,))
    (latents / f"{name}.pt").write_bytes(legacy_file(latent))
  lines = "".join(f"{name}.png 0 0\n" for name in names)
  (root / data.pictures).write_text(lines)


def main() -> None:
  """Runs the program."""
  parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
  )
  add = parser.add_argument
  add("--root", type=Path, required=True, help="folder to fill")
  add("--config", required=True, help="such as cat, for configs/cat.py")
  add("--count", type=int, default=2, help="how many pictures")
  options = parser.parse_args()
  config = importlib.import_module(f"configs.{options.config}").get_config()
  write_release(options.root, config, true_shapes(config), count=options.count)


if __name__ == "__main__":
  main()
