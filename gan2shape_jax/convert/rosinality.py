"""StyleGAN2 files of rosinality/stylegan2-pytorch (`.pt`).

A dictionary with `g_ema` and `d` (state dictionaries), and `latent_avg` in
files that come from NVIDIA's; training adds `g`, the optimisers and its
arguments, which nobody needs. This is also the format of GAN2Shape's release.
"""

import re

import numpy as np

from gan2shape_jax.convert.checkpoint_files import CheckpointFile
from gan2shape_jax.convert.gan_file import GanFile, matches, width
from gan2shape_jax.convert.stylegan2_layers import (
  Kind,
  Scheme,
  blur_kernel,
  conv_kernel,
  dense_kernel,
  flat_kernel,
  same,
  up_kernel,
)
from gan2shape_jax.convert.tables import without_prefix
from gan2shape_jax.errors import UserError
from gan2shape_jax.models.architecture import Architecture

_GENERATOR_KINDS = {
  "dense_kernel": Kind("{layer}.weight", lambda i, o: (o, i), dense_kernel),
  "dense_bias": Kind("{layer}.bias", lambda o: (o,), same),
  "constant": Kind(
    "input.input",
    lambda h, w, c: (1, c, h, w),
    lambda a: conv_kernel(a)[..., 0],
  ),
  "conv_styled": Kind(
    "{layer}.conv.weight",
    lambda h, w, i, o: (1, o, i, h, w),
    lambda a: conv_kernel(a[0]),
  ),
  "up_styled": Kind(
    "{layer}.conv.weight",
    lambda h, w, i, o: (1, o, i, h, w),
    lambda a: up_kernel(a[0]),
  ),
  "styled_bias": Kind("{layer}.activate.bias", lambda o: (o,), same),
  "modulation_kernel": Kind(
    "{layer}.conv.modulation.weight", lambda i, o: (o, i), dense_kernel
  ),
  "modulation_bias": Kind("{layer}.conv.modulation.bias", lambda o: (o,), same),
  "noise": Kind(
    "noises.noise_{index}", lambda h, w: (1, 1, h, w), lambda a: a[0, 0]
  ),
  "noise_strength": Kind("{layer}.noise.weight", lambda: (1,), lambda a: a[0]),
  "rgb_kernel": Kind(
    "{layer}.conv.weight",
    lambda h, w, i, o: (1, o, i, h, w),
    lambda a: conv_kernel(a[0]),
  ),
  "rgb_bias": Kind("{layer}.bias", lambda o: (1, o, 1, 1), np.ravel),
}
_DISCRIMINATOR_KINDS = {
  "conv_kernel": Kind(
    "{layer}.0.weight", lambda h, w, i, o: (o, i, h, w), conv_kernel
  ),
  "conv_bias": Kind("{layer}.1.bias", lambda o: (o,), same),
  # A blur comes first.
  "down_kernel": Kind(
    "{layer}.1.weight", lambda h, w, i, o: (o, i, h, w), conv_kernel
  ),
  "down_bias": Kind("{layer}.2.bias", lambda o: (o,), same),
  "flat_kernel": Kind("{layer}.weight", lambda i, o: (o, i), flat_kernel),
  "dense_kernel": Kind("{layer}.weight", lambda i, o: (o, i), dense_kernel),
  "dense_bias": Kind("{layer}.bias", lambda o: (o,), same),
}


def read_gan(file: CheckpointFile) -> GanFile:
  """Takes the parts of a file.

  Raises:
    UserError: the generator or the discriminator is missing.
  """
  for name, whose in (("g_ema", "generator"), ("d", "discriminator")):
    if name not in file.content:
      raise UserError(
        f"{file.path}: has no {whose} ({name!r}; there is"
        f" {', '.join(map(repr, file.content))}); convert it from NVIDIA's file"
        " instead, or use one of rosinality's train.py or convert_weight.py"
        " --disc"
      )
  generator, discriminator = (
    without_prefix(file.arrays(file.content[name]), "module.")
    for name in ("g_ema", "d")
  )
  arch = _infer_architecture(str(file.path), generator)
  mean = file.content.get("latent_avg")
  return GanFile(
    arch=arch,
    generator=generator,
    discriminator=discriminator,
    names=("g_ema", "d"),
    schemes=(
      Scheme(_generator_layer, _GENERATOR_KINDS),
      Scheme(_discriminator_layers(arch).__getitem__, _DISCRIMINATOR_KINDS),
    ),
    constants=(
      _blurs(generator, r"convs\.\d+\.conv\.blur\.kernel", 4)
      | _blurs(generator, r"to_rgbs\.\d+\.upsample\.kernel", 4),
      _blurs(discriminator, r"convs\.\d+\.(conv2|skip)\.0\.kernel", 1),
    ),
    mean_latent=None if mean is None else file.arrays(mean).get(""),
    notes=[],
  )


def _infer_architecture(where, arrays):
  def channels(*names):
    return width(where, arrays, *(f"{name}.activate.bias" for name in names))

  blocks = matches(r"to_rgbs\.(\d+)\..+", arrays)
  layers = matches(r"style\.(\d+)\..+", arrays)
  count = max(blocks, default=-1) + 1
  return Architecture(
    channels=(
      width(
        where, arrays, "conv1.activate.bias", "to_rgb1.conv.modulation.bias"
      ),
      *(channels(f"convs.{2 * b + 1}", f"convs.{2 * b}") for b in range(count)),
    ),
    latent_size=width(where, arrays, "style.1.bias", "style.2.bias"),
    mapping_layers=max(layers, default=0),
  )


def _generator_layer(layer):
  network, _, name = layer.partition("/")
  if name in ("", "conv_4", "rgb_4"):
    return {"": "input", "conv_4": "conv1", "rgb_4": "to_rgb1"}[name]
  kind, number = name.split("_")
  if network == "mapping":
    return f"style.{number}"
  block = int(number).bit_length() - 4  # 0 for side 8
  return {
    "up": f"convs.{2 * block}",
    "conv": f"convs.{2 * block + 1}",
    "rgb": f"to_rgbs.{block}",
  }[kind]


def _discriminator_layers(arch):
  names = {
    "rgb": "convs.0",
    "final_conv": "final_conv",
    "final_dense": "final_linear.0",
    "score": "final_linear.1",
  }
  for number, side in enumerate(arch.resolutions[:0:-1], start=1):
    for layer in ("conv1", "conv2", "skip"):
      names[f"block_{side}/{layer}"] = f"convs.{number}.{layer}"
  return names


def _blurs(arrays, pattern, gain):
  return {
    name: blur_kernel(gain) for name in arrays if re.fullmatch(pattern, name)
  }
