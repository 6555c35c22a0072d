"""The five networks in PyTorch, laid out as in GAN2Shape networks.py."""

import itertools

from torch import nn
from torch.nn import functional as F


def conv(inputs, outputs, *arguments):
  return nn.Conv2d(inputs, outputs, *arguments, bias=False)


def up(inputs, outputs, *arguments):
  return nn.ConvTranspose2d(inputs, outputs, *arguments, bias=False)


class Network(nn.Module):
  """A `Sequential` under the name `network`, as in GAN2Shape's files."""

  def __init__(self, layers):
    super().__init__()
    self.network = nn.Sequential(*layers)

  def forward(self, images):
    return self.network(images)


def norm(channels):
  return nn.GroupNorm(channels // 4, channels)


def autoencoder(size, outputs, *, width, largest, code):
  widths = [min(width << i, largest) for i in range(size.bit_length() - 3)]
  layers, before = [], 3
  for after in widths[:-1]:
    layers += [conv(before, after, 4, 2, 1), norm(after), nn.LeakyReLU(0.2)]
    before = after
  last = widths[-1]
  layers += [conv(before, last, 4, 2, 1), nn.LeakyReLU(0.2)]
  layers += [conv(last, code, 4, 1, 0), nn.ReLU()]
  layers += [up(code, last, 4, 1, 0), nn.ReLU()]
  layers += [conv(last, last, 3, 1, 1), nn.ReLU()]
  for before, after in itertools.pairwise(reversed(widths)):
    layers += [up(before, after, 4, 2, 1), norm(after), nn.ReLU()]
    layers += [conv(after, after, 3, 1, 1), norm(after), nn.ReLU()]
  layers += [nn.Upsample(scale_factor=2, mode="nearest")]
  layers += [conv(width, width, 3, 1, 1), norm(width), nn.ReLU()]
  layers += [conv(width, width, 5, 1, 2), norm(width), nn.ReLU()]
  layers += [conv(width, outputs, 5, 1, 2)]
  return Network(layers + [nn.Tanh()] * (outputs == 3))


def vector_encoder(size, outputs, *, width, largest):
  layers, before = [], 3
  for i in range(size.bit_length() - 3):
    after = min(width << i, largest)
    layers += [conv(before, after, 4, 2, 1), nn.ReLU()]
    before = after
  layers += [conv(before, before, 4, 1, 0), nn.ReLU()]
  return Network([*layers, conv(before, outputs, 1, 1, 0), nn.Tanh()])


class ResidualBlock(nn.Module):
  def __init__(self, inputs, outputs):
    super().__init__()
    self.conv1 = conv(inputs, outputs, 3, 2, 1)
    self.conv2 = conv(outputs, outputs, 3, 1, 1)
    self.conv_sc = nn.Conv2d(inputs, outputs, 1)

  def forward(self, x):
    x = x.relu()  # The shortcut sees it too (docs/differences.md, 7).
    main = self.conv2(self.conv1(x).relu())
    return main + self.conv_sc(F.avg_pool2d(x, 2))


def latent_encoder(size, latent, *, width, largest):
  widths = [min(width << i, largest) for i in range(size.bit_length() - 3)]
  layers = [conv(3, widths[0], 4, 2, 1)]
  for before, after in itertools.pairwise(widths):
    layers.append(ResidualBlock(before, after))
  last = widths[-1]
  layers += [nn.ReLU(), conv(last, 2 * last, 4, 1, 0), nn.ReLU()]
  return Network([*layers, conv(2 * last, latent, 1, 1, 0)])


def networks(size, *, width, largest, code, encoder_width, latent):
  """The five by the names of GAN2Shape's files."""
  shared = {"width": width, "largest": largest}
  return {
    "netD": autoencoder(size, 1, code=code, **shared),
    "netA": autoencoder(size, 3, code=code, **shared),
    "netV": vector_encoder(size, 6, **shared),
    "netL": vector_encoder(size, 4, **shared),
    "netEnc": latent_encoder(
      size, latent, width=encoder_width, largest=largest
    ),
  }
