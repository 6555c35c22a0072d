"""The shape of a StyleGAN2: what is needed to build its parameter trees.

Plain data, hashable (it is a static argument of jitted functions) and written
as JSON beside the weights.
"""

import dataclasses
import math


@dataclasses.dataclass(frozen=True)
class Architecture:
  """Sizes of a StyleGAN2 generator and of its discriminator.

  Attributes:
    channels: feature channels at side 4, 8, 16, ...; one entry per resolution,
      so the table also fixes the size of the pictures.
    latent_size: length of z and of w.
    mapping_layers: dense layers of the mapping network (layer 0, the pixel
      norm, is not counted).
    noise: whether every styled convolution adds a noise map.
  """

  channels: tuple[int, ...]
  latent_size: int = 512
  mapping_layers: int = 8
  noise: bool = True

  def __post_init__(self):
    object.__setattr__(self, "channels", tuple(self.channels))

  @property
  def resolutions(self) -> tuple[int, ...]:
    """Sides of the feature maps, 4 first."""
    return tuple(4 << i for i in range(len(self.channels)))

  @property
  def image_size(self) -> int:
    """Side of the generated picture."""
    return self.resolutions[-1]

  @property
  def n_latent(self) -> int:
    """Rows of a W+ latent: one per styled layer, 2 log2(size) - 2."""
    return 2 * len(self.channels)

  def channels_at(self, resolution: int) -> int:
    """Feature channels at a side of `resolution` pixels."""
    return self.channels[self.resolutions.index(resolution)]

  def to_dict(self) -> dict:
    """As JSON-serialisable data; `from_dict` is the inverse."""
    return dataclasses.asdict(self)

  @classmethod
  def from_dict(cls, fields: dict) -> "Architecture":
    """From `to_dict`, possibly by way of JSON."""
    return cls(**fields)


def config_e(image_size: int) -> Architecture:
  """StyleGAN2's config-e widths (the reference's channel multiplier 1)."""
  return _preset(image_size, multiplier=1)


def config_f(image_size: int) -> Architecture:
  """StyleGAN2's config-f widths (the reference's channel multiplier 2)."""
  return _preset(image_size, multiplier=2)


def _preset(image_size: int, *, multiplier: int) -> Architecture:
  """512 channels up to side 32, then `multiplier` * 16384 / side."""
  levels = int(math.log2(image_size)) - 1
  if image_size != 4 << (levels - 1):
    raise ValueError(f"image_size {image_size} is not a power of two >= 4")
  sides = [4 << i for i in range(levels)]
  return Architecture(
    tuple(512 if s <= 32 else multiplier * 16384 // s for s in sides)
  )
