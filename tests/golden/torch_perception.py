"""LPIPS, BiSeNet and PSPNet-50 in PyTorch, from the tables of their layers.

The modules have the names of the published files, so that `load_state_dict` is
strict; `width` scales all channels. NCHW, in evaluation mode.
"""

import torch
from torch import nn
from torch.nn import functional as F


def load(module, tensors):
  """The module with the weights of a dictionary of arrays, all of them used."""
  module.load_state_dict({k: torch.tensor(v) for k, v in tensors.items()})
  return module.eval().requires_grad_(False)


def conv(i, o, k=1, stride=1, dilation=1, bias=False):
  """A convolution that keeps the sides, but for the stride."""
  return nn.Conv2d(i, o, k, stride, dilation * (k // 2), dilation, bias=bias)


class Unit(nn.Module):
  """Convolution, norm, rectifier."""

  def __init__(self, i, o, k):
    super().__init__()
    self.conv, self.bn = conv(i, o, k), nn.BatchNorm2d(o)

  def forward(self, x):
    return self.bn(self.conv(x)).relu()


class Vgg16(nn.Module):
  """The five maps of torchvision's `vgg16` that LPIPS looks at."""

  def __init__(self, width=64):
    super().__init__()
    layers, before = [], 3
    for block, multiple in enumerate((1, 2, 4, 8, 8)):
      layers += [nn.MaxPool2d(2)] if block else []
      for _ in range(2 if block < 2 else 3):
        layers += [conv(before, multiple * width, 3, bias=True), nn.ReLU()]
        before = multiple * width
    self.features = nn.Sequential(*layers)

  def forward(self, x):
    maps = []
    for index, layer in enumerate(self.features):
      x = layer(x)
      if index in (3, 8, 15, 22, 29):
        maps.append(x)
    return maps


class Lpips(nn.Module):
  """Distances of the five maps, [5, batch]."""

  def __init__(self, vgg, linear):
    super().__init__()
    self.vgg = vgg
    self.linear = [
      torch.tensor(linear[f"lin{k}.model.1.weight"]) for k in range(5)
    ]

  def forward(self, a, b):
    shift = torch.tensor([-0.030, -0.088, -0.188]).view(1, 3, 1, 1)
    scale = torch.tensor([0.458, 0.448, 0.450]).view(1, 3, 1, 1)
    pairs = zip(
      self.vgg((a - shift) / scale), self.vgg((b - shift) / scale), strict=True
    )
    distances = []
    for weight, (x, y) in zip(self.linear, pairs, strict=True):
      x, y = (
        f / (f.pow(2).sum(1, keepdim=True).sqrt() + 1e-10) for f in (x, y)
      )
      distances.append(F.conv2d((x - y) ** 2, weight).mean((1, 2, 3)))
    return torch.stack(distances)


class Basic(nn.Module):
  """ResNet's block of two convolutions."""

  def __init__(self, i, o, stride):
    super().__init__()
    self.conv1, self.bn1 = conv(i, o, 3, stride), nn.BatchNorm2d(o)
    self.conv2, self.bn2 = conv(o, o, 3), nn.BatchNorm2d(o)
    if i != o:
      self.downsample = nn.Sequential(conv(i, o, 1, stride), nn.BatchNorm2d(o))

  def forward(self, x):
    y = self.bn2(self.conv2(self.bn1(self.conv1(x)).relu()))
    return (
      y + (self.downsample(x) if hasattr(self, "downsample") else x)
    ).relu()


class ResNet18(nn.Module):
  """Its maps at 1/8, 1/16 and 1/32."""

  def __init__(self, width):
    super().__init__()
    self.conv1, self.bn1 = conv(3, width, 7, 2), nn.BatchNorm2d(width)
    before = width
    for stage in range(4):
      after = width << stage
      blocks = Basic(before, after, 2 if stage else 1), Basic(after, after, 1)
      setattr(self, f"layer{stage + 1}", nn.Sequential(*blocks))
      before = after

  def forward(self, x):
    x = F.max_pool2d(self.bn1(self.conv1(x)).relu(), 3, 2, 1)
    at_8 = self.layer2(self.layer1(x))
    at_16 = self.layer3(at_8)
    return at_8, at_16, self.layer4(at_16)


class Arm(nn.Module):
  """Attention refinement."""

  def __init__(self, i, o):
    super().__init__()
    self.conv = Unit(i, o, 3)
    self.conv_atten, self.bn_atten = conv(o, o), nn.BatchNorm2d(o)

  def forward(self, x):
    x = self.conv(x)
    mean = x.mean((2, 3), keepdim=True)
    return x * self.bn_atten(self.conv_atten(mean)).sigmoid()


class ContextPath(nn.Module):
  """ResNet-18 and what comes back from its deeper maps."""

  def __init__(self, width):
    super().__init__()
    middle = 2 * width
    self.resnet = ResNet18(width)
    self.arm16, self.arm32 = Arm(4 * width, middle), Arm(8 * width, middle)
    self.conv_head32, self.conv_head16 = (
      Unit(middle, middle, 3),
      Unit(middle, middle, 3),
    )
    self.conv_avg = Unit(8 * width, middle, 1)

  def forward(self, x):
    at_8, at_16, at_32 = self.resnet(x)
    y = self.arm32(at_32) + self.conv_avg(at_32.mean((2, 3), keepdim=True))
    y = self.conv_head32(F.interpolate(y, at_16.shape[2:]))
    y = self.conv_head16(F.interpolate(self.arm16(at_16) + y, at_8.shape[2:]))
    return at_8, y


class Ffm(nn.Module):
  """Feature fusion."""

  def __init__(self, width):
    super().__init__()
    self.convblk = Unit(4 * width, 4 * width, 1)
    self.conv1, self.conv2 = conv(4 * width, width), conv(width, 4 * width)

  def forward(self, x):
    x = self.convblk(x)
    mean = x.mean((2, 3), keepdim=True)
    return x * self.conv2(self.conv1(mean).relu()).sigmoid() + x


class Output(nn.Module):
  """A head."""

  def __init__(self, i, middle, classes):
    super().__init__()
    self.conv, self.conv_out = Unit(i, middle, 3), conv(middle, classes)

  def forward(self, x):
    return self.conv_out(self.conv(x))


class BiSeNet(nn.Module):
  """Logits at the size of the picture: the first of the three outputs."""

  def __init__(self, classes=19, width=64):
    super().__init__()
    self.cp, self.ffm = ContextPath(width), Ffm(width)
    self.conv_out = Output(4 * width, 4 * width, classes)
    self.conv_out16 = Output(2 * width, width, classes)
    self.conv_out32 = Output(2 * width, width, classes)

  def forward(self, x):
    logits = self.conv_out(self.ffm(torch.cat(self.cp(x), 1)))
    return F.interpolate(
      logits, x.shape[2:], mode="bilinear", align_corners=True
    )


class Bottleneck(nn.Module):
  """ResNet's block of three convolutions."""

  def __init__(self, i, middle, stride, dilation):
    super().__init__()
    o = 4 * middle
    self.conv1, self.bn1 = conv(i, middle), nn.BatchNorm2d(middle)
    self.conv2 = conv(middle, middle, 3, stride, dilation)
    self.bn2 = nn.BatchNorm2d(middle)
    self.conv3, self.bn3 = conv(middle, o), nn.BatchNorm2d(o)
    if i != o:
      self.downsample = nn.Sequential(conv(i, o, 1, stride), nn.BatchNorm2d(o))

  def forward(self, x):
    y = self.bn1(self.conv1(x)).relu()
    y = self.bn3(self.conv3(self.bn2(self.conv2(y)).relu()))
    return (
      y + (self.downsample(x) if hasattr(self, "downsample") else x)
    ).relu()


class Pyramid(nn.Module):
  """Pyramid pooling."""

  def __init__(self, i, o):
    super().__init__()
    self.features = nn.ModuleList(
      nn.Sequential(
        nn.AdaptiveAvgPool2d(count), conv(i, o), nn.BatchNorm2d(o), nn.ReLU()
      )
      for count in (1, 2, 3, 6)
    )

  def forward(self, x):
    maps = [
      F.interpolate(f(x), x.shape[2:], mode="bilinear", align_corners=True)
      for f in self.features
    ]
    return torch.cat([x, *maps], 1)


class PSPNet(nn.Module):
  """PSPNet-50: logits at the size of the picture."""

  def __init__(self, classes, width=64):
    super().__init__()
    stem, before = [], 3
    for number, after in enumerate((width, width, 2 * width)):
      stem += [conv(before, after, 3, 1 if number else 2)]
      stem += [nn.BatchNorm2d(after), nn.ReLU()]
      before = after
    self.layer0 = nn.Sequential(*stem, nn.MaxPool2d(3, 2, 1))
    stages = (3, 1, 1), (4, 2, 1), (6, 1, 2), (3, 1, 4)
    for number, (count, stride, dilation) in enumerate(stages):
      blocks = []
      for block in range(count):
        first = stride if block == 0 else 1
        blocks.append(Bottleneck(before, width << number, first, dilation))
        before = 4 * (width << number)
      setattr(self, f"layer{number + 1}", nn.Sequential(*blocks))
    middle = before // 4
    self.ppm = Pyramid(before, middle)
    self.cls = nn.Sequential(
      conv(2 * before, middle, 3),
      nn.BatchNorm2d(middle),
      nn.ReLU(),
      nn.Dropout2d(),
      conv(middle, classes, bias=True),
    )

  def forward(self, x):
    size = x.shape[2:]
    for stage in range(5):
      x = getattr(self, f"layer{stage}")(x)
    x = self.cls(self.ppm(x))
    return F.interpolate(x, size, mode="bilinear", align_corners=True)
