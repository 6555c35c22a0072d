"""StyleGAN2 generator: latent z -> mapping -> w -> synthesis -> picture.

Numerically the function of rosinality/stylegan2-pytorch. A latent is (l,)
in z or w space, or (n_latent, l) in w+ space; pictures are [h, w, 3], nominally
in [-1, 1] but not clamped. Everything works on single examples; `vmap` over
latents only extends the batch of the shared convolutions.

Parameters are `{"mapping": ..., "synthesis": ...}`. Kernels are raw (unit
variance, HWIO, equalised at run time); those of the `up_*` layers are
correlation kernels on the upsampled map, that is, the reference's spatially
flipped. Noise maps are ordinary leaves, so the picture is a fixed function of
the latent.

Feature maps have the type of the kernels, which `frozen.cast_kernels` changes;
latents, styles, demodulation and the sum of the colours are float32.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Key, PyTree

from gan2shape_jax.models import equalized, resample
from gan2shape_jax.models.architecture import Architecture

MAPPING_LR = 0.01


class Mapping(nn.Module):
  """Layer 0 is the pixel norm, layers 1 to `mapping_layers` are dense."""

  arch: Architecture

  @nn.compact
  def __call__(self, z, first=0, last=None):
    """Layers first <= i < last."""
    arch = self.arch
    last = arch.mapping_layers + 1 if last is None else last
    for i in range(first, last):
      if i == 0:
        z = equalized.rms_normalise(z)
      else:
        dense = equalized.Dense(
          arch.latent_size, lr_scale=MAPPING_LR, name=f"dense_{i}"
        )
        z = equalized.leaky_relu(dense(z))
    return z


class StyledConv(nn.Module):
  """Modulated, demodulated 3x3 convolution, noise, bias, leaky ReLU."""

  features: int
  up: bool
  noise: bool

  @nn.compact
  def __call__(self, x, w, noise=None):
    """[h, w, c] and a latent (l,) to [h, w, features], or twice the side."""
    c = x.shape[-1]
    style = equalized.Dense(c, bias_init=1.0, name="modulation")(w)
    raw, scale = equalized.conv_kernel(self, 3, c, self.features)
    # Scaling the input channels and then the output ones is the per-sample
    # kernel of the reference, without a grouped convolution.
    x = (x * style).astype(raw.dtype)[None]
    kernel = raw * scale
    y = (resample.upsample_conv if self.up else resample.conv)(x, kernel)[0]
    energy = jnp.matmul(
      jnp.square(style),
      jnp.sum(jnp.square(kernel), (0, 1)),
      precision=lax.Precision.HIGHEST,
    )
    y = y * lax.rsqrt(energy + 1e-8)
    if self.noise:
      fixed = self.param("noise", nn.initializers.normal(1.0), y.shape[:2])
      strength = self.param("noise_strength", nn.initializers.zeros, ())
      y = y + strength * (fixed if noise is None else noise)[..., None]
    y = equalized.leaky_relu(y + equalized.channel_bias(self, self.features))
    return y.astype(raw.dtype)


class ToRGB(nn.Module):
  """Modulated 1x1 convolution to colours; no demodulation, no activation."""

  @nn.compact
  def __call__(self, x, w):
    """[h, w, c] and a latent (l,) to [h, w, 3]."""
    c = x.shape[-1]
    style = equalized.Dense(c, bias_init=1.0, name="modulation")(w)
    raw, scale = equalized.conv_kernel(self, 1, c, 3)
    x = (x * style).astype(raw.dtype)
    kernel = (raw[0, 0] * scale).astype(raw.dtype)
    y = jnp.matmul(x, kernel, preferred_element_type=jnp.float32)
    return y + equalized.channel_bias(self, 3)


class Synthesis(nn.Module):
  """Layers `conv_4`, `rgb_4`, then `up_s`, `conv_s`, `rgb_s` at each side s."""

  arch: Architecture

  @nn.compact
  def __call__(self, w, noise=None):
    """A latent (l,) or (n_latent, l) to a picture."""
    arch = self.arch
    w = jnp.broadcast_to(w, (arch.n_latent, arch.latent_size))
    noise = iter([None] * len(noise_sides(arch)) if noise is None else noise)

    def styled(x, w, kind, side):
      layer = StyledConv(
        arch.channels_at(side),
        up=kind == "up",
        noise=arch.noise,
        name=f"{kind}_{side}",
      )
      return layer(x, w, next(noise, None))

    x = self.param(
      "constant", nn.initializers.normal(1.0), (4, 4, arch.channels[0])
    )
    x = styled(x, w[0], "conv", 4)
    rgb = ToRGB(name="rgb_4")(x, w[1])
    for b, side in enumerate(arch.resolutions[1:]):
      # The colour layer of one block and the up layer of the next share a row.
      x = styled(x, w[2 * b + 1], "up", side)
      x = styled(x, w[2 * b + 2], "conv", side)
      rgb = resample.upsample(rgb[None])[0]
      rgb = rgb + ToRGB(name=f"rgb_{side}")(x, w[2 * b + 3])
    return rgb


def noise_sides(arch: Architecture) -> tuple[int, ...]:
  """Sides of the noise maps in layer order; empty without noise inputs."""
  sides = (4, *(s for s in arch.resolutions[1:] for _ in range(2)))
  return sides if arch.noise else ()


def init_generator(key: Key[Array, ""], arch: Architecture) -> PyTree:
  """Fresh parameters; the noise maps are drawn too."""
  mapping_key, synthesis_key = jax.random.split(key)
  latent = jnp.zeros(arch.latent_size)
  return {
    "mapping": Mapping(arch).init(mapping_key, latent)["params"],
    "synthesis": Synthesis(arch).init(synthesis_key, latent)["params"],
  }


def map_latent(
  params: PyTree,
  z: Float[Array, "*n l"],
  *,
  arch: Architecture,
  first: int = 0,
  last: int | None = None,
) -> Float[Array, "*n l"]:
  """Layers first <= i < last of the mapping network (all of them by default).

  Layer 0 is the pixel norm, which makes a partial pass `last=k` run k - 1
  dense layers (GAN2Shape's F1_d counts so).
  """
  return Mapping(arch).apply({"params": params["mapping"]}, z, first, last)


def sample_latents(
  key: Key[Array, ""], params: PyTree, *, arch: Architecture, count: int
) -> Float[Array, "n l"]:
  """Draws `count` latents w."""
  z = jax.random.normal(key, (count, arch.latent_size))
  return map_latent(params, z, arch=arch)


def synthesize(
  params: PyTree,
  w: Float[Array, "*n l"],
  *,
  arch: Architecture,
  noise: tuple[Float[Array, "s s"], ...] | None = None,
) -> Float[Array, "h w 3"]:
  """The picture of one latent, (l,) or (n_latent, l).

  Args:
    params: the generator's parameters.
    w: one row for all layers, or one row per layer.
    arch: the generator's architecture.
    noise: maps of sides `noise_sides(arch)` in place of the stored ones.

  Returns:
    The picture, nominally in [-1, 1], not clamped.
  """
  return Synthesis(arch).apply({"params": params["synthesis"]}, w, noise)


def generate(
  params: PyTree,
  z: Float[Array, " l"],
  *,
  arch: Architecture,
  mean: Float[Array, " l"] | float = 0.0,
  psi: float = 1.0,
) -> tuple[Float[Array, "h w 3"], Float[Array, " l"]]:
  """The picture of a latent in z space, and its latent in w space.

  Args:
    params: the generator's parameters.
    z: standard normal for a random picture.
    arch: the generator's architecture.
    mean: latent toward which `truncate` pulls.
    psi: how much of the distance from the mean is kept.
  """
  w = truncate(map_latent(params, z, arch=arch), mean, psi)
  return synthesize(params, w, arch=arch), w


def truncate(
  w: Float[Array, "*n l"], mean: Float[Array, " l"] | float, psi: float
) -> Float[Array, "*n l"]:
  """Pulls latents toward the mean latent: psi 1 keeps them, 0 is the mean."""
  return mean + psi * (w - mean)
