"""The five trained networks: depth, albedo, view, light and latent encoder.

Each maps ONE image, [size, size, 3] in [-1, 1], to raw outputs; `decode.py`
turns them into scene quantities. Defaults are the reference's shapes
(GAN2Shape networks.py); a narrower network keeps the layers and GroupNorm's
channels per group. Layers are named by the side of the map they produce, so
that a table can rename converted weights.
"""
# ruff: noqa: D102  # A network's `__call__` is described by its class.

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from gan2shape_jax.models.layers import (
  GROUP_SIZE,
  Conv,
  GroupNorm,
  MapToVector,
  NarrowConv,
  TransposedConv,
  VectorToMap,
  average_pool,
  torch_bound,
  upsample_nearest,
)

Params = dict[str, Any]


class Autoencoder(nn.Module):
  """Image to a map of its size, without skip connections ("EDDeconv").

  Attributes:
    width: channels of the first layer, doubled at each halving of the sides.
    max_channels: where the doubling stops.
    code_size: channels of the 1x1 bottleneck.
    out_channels: channels of the map given to `finish`.
    finish: the output activation.
  """

  width: int
  max_channels: int
  code_size: int
  out_channels: int
  finish: Callable[[Array], Array]

  @nn.compact
  def __call__(self, image: Float[Array, "h w 3"]) -> Float[Array, "h w ..."]:
    channels = _channels(image.shape[0], self.width, self.max_channels)
    x = image
    for features in channels:
      side = x.shape[0] // 2
      x = Conv(features, 4, stride=2, name=f"down_{side}")(x)
      if side > 4:
        x = GroupNorm(name=f"down_{side}_norm")(x)
      x = nn.leaky_relu(x, 0.2)
    x = nn.relu(MapToVector(self.code_size, name="code")(x))
    x = nn.relu(VectorToMap(channels[-1], name="up_4")(x))
    x = nn.relu(Conv(channels[-1], 3, name="conv_4")(x))
    for features in channels[-2::-1]:
      side = 2 * x.shape[0]
      x = TransposedConv(features, name=f"up_{side}")(x)
      x = nn.relu(GroupNorm(name=f"up_{side}_norm")(x))
      x = Conv(features, 3, name=f"conv_{side}")(x)
      x = nn.relu(GroupNorm(name=f"conv_{side}_norm")(x))
    x = upsample_nearest(x)
    x = Conv(channels[0], 3, name="full_0")(x)
    x = nn.relu(GroupNorm(name="full_0_norm")(x))
    x = Conv(channels[0], 5, name="full_1")(x)
    x = nn.relu(GroupNorm(name="full_1_norm")(x))
    return self.finish(NarrowConv(self.out_channels, 5, name="out")(x))


class VectorEncoder(nn.Module):
  """Image to a short vector in (-1, 1) ("Encoder")."""

  width: int
  max_channels: int
  out_size: int

  @nn.compact
  def __call__(self, image: Float[Array, "h w 3"]) -> Float[Array, " n"]:
    x = image
    for features in _channels(image.shape[0], self.width, self.max_channels):
      x = Conv(features, 4, stride=2, name=f"down_{x.shape[0] // 2}")(x)
      x = nn.relu(x)
    x = nn.relu(MapToVector(x.shape[-1], name="code")(x))
    return jnp.tanh(_linear(x, self.out_size, name="out"))


class ResidualBlock(nn.Module):
  """Halves the sides; main path and shortcut both start from ReLU(x).

  The reference's shortcut sees the rectified input because its first ReLU
  works in place (docs/differences.md, 7); released weights rely on it.
  """

  features: int

  @nn.compact
  def __call__(self, x: Float[Array, "h w i"]) -> Float[Array, "h//2 w//2 o"]:
    x = nn.relu(x)
    y = nn.relu(Conv(self.features, 3, stride=2, name="conv1")(x))
    y = Conv(self.features, 3, name="conv2")(y)
    shortcut = Conv(self.features, 1, use_bias=True, name="shortcut")
    return y + shortcut(average_pool(x))


class LatentEncoder(nn.Module):
  """Image to an unbounded latent vector ("ResEncoder")."""

  width: int
  max_channels: int
  out_size: int

  @nn.compact
  def __call__(self, image: Float[Array, "h w 3"]) -> Float[Array, " n"]:
    first, *rest = _channels(image.shape[0], self.width, self.max_channels)
    x = Conv(first, 4, stride=2, name=f"down_{image.shape[0] // 2}")(image)
    for features in rest:
      x = ResidualBlock(features, name=f"block_{x.shape[0] // 2}")(x)
    x = MapToVector(2 * x.shape[-1], name="code")(nn.relu(x))
    return _linear(nn.relu(x), self.out_size, name="out")


@dataclasses.dataclass(frozen=True)
class Network:
  """A network without its parameters: `init` makes them, `apply` uses them."""

  module: nn.Module
  image_size: int

  def init(self, key: PRNGKeyArray) -> Params:
    """Fresh parameters, a nested dict of float32 arrays."""
    return _init((self,), key)[0]

  def apply(
    self, params: Params, image: Float[Array, "h w 3"]
  ) -> Float[Array, "..."]:
    """The output for one image in [-1, 1]."""
    return self.module.apply({"params": params}, image)


class Networks(NamedTuple):
  """The five networks; h = w = image_size, images in [-1, 1].

  Attributes:
    depth: image -> raw depth [h, w], unbounded.
    albedo: image -> albedo [h, w, 3] in (-1, 1).
    view: image -> raw view [6] in (-1, 1): three angles, translation.
    light: image -> raw light [4] in (-1, 1): ambient, diffuse, direction.
    encoder: image -> latent code [latent_size], unbounded.
  """

  depth: Network
  albedo: Network
  view: Network
  light: Network
  encoder: Network


def build_networks(
  image_size: int,
  *,
  latent_size: int = 512,
  width: int | None = None,
  max_channels: int = 512,
  code_size: int = 256,
  encoder_width: int = 32,
) -> Networks:
  """The five networks for square images of a power of two from 32 px.

  Args:
    image_size: side of the images in pixels.
    latent_size: size of the latent encoder's output.
    width: first channels of depth, albedo, view and light; None is the
      reference's max(4096 / image_size, 16).
    max_channels: where channels stop doubling, in all five.
    code_size: bottleneck of depth and albedo.
    encoder_width: first channels of the latent encoder.

  Raises:
    ValueError: for a size that is no power of two from 32, or widths that do
      not split into GroupNorm's groups.
  """
  if image_size < 32 or image_size & (image_size - 1):
    raise ValueError(f"image_size must be a power of 2 >= 32, not {image_size}")
  if width is None:
    width = max(4096 // image_size, 16)
  if width % GROUP_SIZE or max_channels % GROUP_SIZE:
    raise ValueError(
      f"width {width} and max_channels {max_channels} must be multiples of "
      f"{GROUP_SIZE}"
    )

  autoencoder = {
    "width": width,
    "max_channels": max_channels,
    "code_size": code_size,
  }
  modules = Networks(
    depth=Autoencoder(**autoencoder, out_channels=1, finish=_drop_channel),
    albedo=Autoencoder(**autoencoder, out_channels=3, finish=jnp.tanh),
    view=VectorEncoder(width, max_channels, out_size=6),
    light=VectorEncoder(width, max_channels, out_size=4),
    encoder=LatentEncoder(encoder_width, max_channels, out_size=latent_size),
  )
  return Networks(*(Network(module, image_size) for module in modules))


def init_networks(networks: Networks, key: PRNGKeyArray) -> Params:
  """Parameters of all five, `{"depth": ..., "albedo": ..., ...}`."""
  return dict(zip(networks._fields, _init(tuple(networks), key), strict=True))


@functools.partial(jax.jit, static_argnums=0)
def _init(networks, key):
  """PyTorch's initial weights of several networks, from a single draw."""
  bounds = [
    network.module.init(
      key, jnp.zeros((network.image_size, network.image_size, 3))
    )["params"]
    for network in networks
  ]
  leaves, structure = jax.tree.flatten_with_path(bounds)
  ends = np.cumsum([leaf.size for _, leaf in leaves])
  draws = jax.random.uniform(key, (ends[-1],), minval=-1.0, maxval=1.0)
  params = [
    # GroupNorm's scale starts at 1, its bias at the bound 0.
    leaf if path[-1].key == "scale" else leaf * draw.reshape(leaf.shape)
    for (path, leaf), draw in zip(
      leaves, jnp.split(draws, ends[:-1]), strict=True
    )
  ]
  return jax.tree.unflatten(structure, params)


def _channels(image_size, width, max_channels):
  """Channels of the maps with sides image_size / 2, ..., 8, 4."""
  levels = image_size.bit_length() - 3
  return [min(width << level, max_channels) for level in range(levels)]


def _drop_channel(x):
  return x[..., 0]


def _linear(x, features, *, name):
  """A bias-free 1x1 convolution of a 1x1 map."""
  kernel_init = torch_bound(x.size)
  return nn.Dense(features, use_bias=False, kernel_init=kernel_init, name=name)(
    x
  )
