"""StyleGAN2 in PyTorch, from the equations of its paper.

Written for parity tests: names of parameters are those of rosinality's files,
the layers are plain PyTorch on NCHW tensors, and nothing is clever.
"""

import itertools
import math

import torch
from torch import nn
from torch.nn import functional as F

TAPS = torch.tensor([1.0, 3.0, 3.0, 1.0])
BLUR = torch.outer(TAPS, TAPS) / 64


def activate(x):
  return math.sqrt(2) * F.leaky_relu(x, 0.2)


def blur(x, kernel, pad):
  """Depthwise correlation (the kernel is symmetric) of a padded map."""
  before, after = pad
  x = F.pad(x, (before, after, before, after))
  weight = kernel.expand(x.shape[1], 1, 4, 4)
  return F.conv2d(x, weight, groups=x.shape[1])


class Dense(nn.Module):
  def __init__(self, inputs, outputs, *, rate=1.0, act=False):
    super().__init__()
    self.weight = nn.Parameter(torch.empty(outputs, inputs))
    self.bias = nn.Parameter(torch.empty(outputs))
    self.rate, self.act = rate, act

  def forward(self, x):
    weight = self.weight * (self.rate / math.sqrt(x.shape[1]))
    y = F.linear(x, weight, self.bias * self.rate)
    return activate(y) if self.act else y


class PixelNorm(nn.Module):
  def forward(self, x):
    return x / (x.square().mean(1, keepdim=True) + 1e-8).sqrt()


class Kernel(nn.Module):
  """Holds a blur kernel under the name that files have."""

  def __init__(self, gain):
    super().__init__()
    self.register_buffer("kernel", gain * BLUR)


class ModulatedConv(nn.Module):
  def __init__(self, inputs, outputs, side, latent, *, up=False, demod=True):
    super().__init__()
    self.weight = nn.Parameter(torch.empty(1, outputs, inputs, side, side))
    self.modulation = Dense(latent, inputs)
    if up:
      self.blur = Kernel(4)
    self.up, self.demod = up, demod

  def forward(self, x, w):
    return torch.cat(
      [self.one(a[None], b[None]) for a, b in zip(x, w, strict=True)]
    )

  def one(self, x, w):
    """One picture with a kernel of its own."""
    weight = self.weight[0]
    scale = 1 / math.sqrt(weight[0].numel())
    weight = scale * weight * self.modulation(w)[0][:, None, None]
    if self.demod:
      energy = weight.square().sum((1, 2, 3), keepdim=True)
      weight = weight / (energy + 1e-8).sqrt()
    if self.up:
      y = F.conv_transpose2d(x, weight.transpose(0, 1), stride=2)
      return blur(y, self.blur.kernel, (1, 1))
    return F.conv2d(x, weight, padding=weight.shape[-1] // 2)


class Strength(nn.Module):
  def __init__(self):
    super().__init__()
    self.weight = nn.Parameter(torch.empty(1))


class Bias(nn.Module):
  def __init__(self, outputs):
    super().__init__()
    self.bias = nn.Parameter(torch.empty(outputs))


class StyledConv(nn.Module):
  def __init__(self, inputs, outputs, latent, *, up=False):
    super().__init__()
    self.conv = ModulatedConv(inputs, outputs, 3, latent, up=up)
    self.noise = Strength()
    self.activate = Bias(outputs)

  def forward(self, x, w, noise):
    y = self.conv(x, w) + self.noise.weight * noise
    return activate(y + self.activate.bias[:, None, None])


class ToRGB(nn.Module):
  def __init__(self, inputs, latent, *, first=False):
    super().__init__()
    self.conv = ModulatedConv(inputs, 3, 1, latent, demod=False)
    self.bias = nn.Parameter(torch.empty(1, 3, 1, 1))
    if not first:
      self.upsample = Kernel(4)

  def forward(self, x, w, rgb=None):
    y = self.conv(x, w) + self.bias
    if rgb is None:
      return y
    # Zeros between the pixels, then a blur of pad (2, 1).
    b, c, h, width = rgb.shape
    wide = rgb.new_zeros(b, c, h, 2, width, 2)
    wide[:, :, :, 0, :, 0] = rgb
    wide = wide.reshape(b, c, 2 * h, 2 * width)
    return y + blur(wide, self.upsample.kernel, (2, 1))


class Constant(nn.Module):
  def __init__(self, channels):
    super().__init__()
    self.input = nn.Parameter(torch.empty(1, channels, 4, 4))


class Generator(nn.Module):
  """`channels` at side 4, 8, ...; the noise maps are the stored ones."""

  def __init__(self, channels, latent, layers):
    super().__init__()
    dense = [Dense(latent, latent, rate=0.01, act=True) for _ in range(layers)]
    self.style = nn.Sequential(PixelNorm(), *dense)
    self.input = Constant(channels[0])
    self.conv1 = StyledConv(channels[0], channels[0], latent)
    self.to_rgb1 = ToRGB(channels[0], latent, first=True)
    self.convs, self.to_rgbs = nn.ModuleList(), nn.ModuleList()
    self.noises = nn.Module()
    for before, after in itertools.pairwise(channels):
      self.convs.append(StyledConv(before, after, latent, up=True))
      self.convs.append(StyledConv(after, after, latent))
      self.to_rgbs.append(ToRGB(after, latent))
    for i in range(2 * len(channels) - 1):
      side = 2 ** ((i + 5) // 2)
      self.noises.register_buffer(f"noise_{i}", torch.empty(1, 1, side, side))

  def map(self, z, first=0, last=None):
    """Layers first <= i < last; layer 0 is the normalisation."""
    return self.style[first:last](z)

  def forward(self, w):
    """Pictures of latents (n, layers, latent)."""
    noise = list(self.noises.buffers())
    x = self.input.input.expand(len(w), -1, -1, -1)
    x = self.conv1(x, w[:, 0], noise[0])
    rgb = self.to_rgb1(x, w[:, 1])
    for b, to_rgb in enumerate(self.to_rgbs):
      for i in (2 * b, 2 * b + 1):
        x = self.convs[i](x, w[:, i + 1], noise[i + 1])
      rgb = to_rgb(x, w[:, 2 * b + 3], rgb)
    return rgb


class Conv(nn.Module):
  def __init__(self, inputs, outputs, side, *, stride=1):
    super().__init__()
    self.weight = nn.Parameter(torch.empty(outputs, inputs, side, side))
    self.stride = stride

  def forward(self, x):
    weight = self.weight / math.sqrt(self.weight[0].numel())
    pad = self.weight.shape[-1] // 2 if self.stride == 1 else 0
    return F.conv2d(x, weight, stride=self.stride, padding=pad)


class Blur(Kernel):
  def __init__(self, pad):
    super().__init__(1)
    self.pad = pad

  def forward(self, x):
    return blur(x, self.kernel, self.pad)


class Activation(Bias):
  def forward(self, x):
    return activate(x + self.bias[:, None, None])


class Block(nn.Module):
  def __init__(self, inputs, outputs):
    super().__init__()
    self.conv1 = nn.Sequential(Conv(inputs, inputs, 3), Activation(inputs))
    self.conv2 = nn.Sequential(
      Blur((2, 2)), Conv(inputs, outputs, 3, stride=2), Activation(outputs)
    )
    self.skip = nn.Sequential(Blur((1, 1)), Conv(inputs, outputs, 1, stride=2))

  def forward(self, x):
    return (self.conv2(self.conv1(x)) + self.skip(x)) / math.sqrt(2)


class Discriminator(nn.Module):
  def __init__(self, channels):
    super().__init__()
    first, base = channels[-1], channels[0]
    blocks = [
      Block(before, after)
      for before, after in itertools.pairwise(reversed(channels))
    ]
    self.convs = nn.Sequential(
      nn.Sequential(Conv(3, first, 1), Activation(first)), *blocks
    )
    self.final_conv = nn.Sequential(Conv(base + 1, base, 3), Activation(base))
    self.final_linear = nn.Sequential(
      Dense(16 * base, base, act=True), Dense(base, 1)
    )

  def features(self, images, count):
    x, found = self.convs[0](images), []
    for block in self.convs[1 : count + 1]:
      x = block(x)
      found.append(x)
    return found

  def forward(self, images):
    """Logits of at most four pictures: one group of deviations."""
    x = self.features(images, len(self.convs) - 1)[-1]
    deviation = (x.var(0, unbiased=False) + 1e-8).sqrt().mean()
    x = torch.cat([x, deviation.expand(len(x), 1, 4, 4)], 1)
    return self.final_linear(self.final_conv(x).flatten(1))[:, 0]
