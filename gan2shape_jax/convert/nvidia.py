"""StyleGAN2 pickles of NVIDIA's PyTorch code (`.pkl`).

Those of stylegan2-ada-pytorch, and of StyleGAN2 networks that the stylegan3
repository trained. Networks that depend on a class label are refused.
"""

from collections.abc import Mapping

import numpy as np

from gan2shape_jax.convert.checkpoint_files import CheckpointFile
from gan2shape_jax.convert.gan_file import GanFile, matches, width
from gan2shape_jax.convert.nvidia_files import Module
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
from gan2shape_jax.errors import UserError
from gan2shape_jax.models.architecture import Architecture

_CONV = Kind("{layer}.weight", lambda h, w, i, o: (o, i, h, w), conv_kernel)
_BIAS = Kind("{layer}.bias", lambda o: (o,), same)
_KINDS = {
  "dense_kernel": Kind("{layer}.weight", lambda i, o: (o, i), dense_kernel),
  "dense_bias": _BIAS,
  "constant": Kind(
    "{layer}.b4.const",
    lambda h, w, c: (c, h, w),
    lambda a: a.transpose(1, 2, 0),
  ),
  "conv_styled": _CONV,
  "up_styled": _CONV._replace(convert=up_kernel),
  "styled_bias": _BIAS,
  "modulation_kernel": Kind(
    "{layer}.affine.weight", lambda i, o: (o, i), dense_kernel
  ),
  "modulation_bias": Kind("{layer}.affine.bias", lambda o: (o,), same),
  "noise": Kind("{layer}.noise_const", lambda h, w: (h, w), same),
  "noise_strength": Kind("{layer}.noise_strength", lambda: (), same),
  "rgb_kernel": _CONV,
  "rgb_bias": _BIAS,
  "conv_kernel": _CONV,
  "conv_bias": _BIAS,
  "down_kernel": _CONV,
  "down_bias": _BIAS,
  "flat_kernel": Kind("{layer}.weight", lambda i, o: (o, i), flat_kernel),
}
# The layers that a setting other than these would compute something else in.
_ACTIVATIONS = ("linear", "lrelu")
_MAPPING_RATE = 0.01


def holds_gan(content: object) -> bool:
  """Whether a file's content is of this format."""
  return isinstance(content, Mapping) and isinstance(
    content.get("G_ema"), Module
  )


def read_gan(file: CheckpointFile) -> GanFile:
  """Takes the parts of a file.

  Raises:
    UserError: the networks are not StyleGAN2's, need class labels, or have
      settings that change what their layers compute.
  """
  modules = [file.content.get(name) for name in ("G_ema", "D")]
  if not all(isinstance(module, Module) for module in modules):
    raise UserError(
      f"{file.path}: has no discriminator ('D'), which the method needs; use"
      " a pickle that the training program wrote"
    )
  for module in modules:
    _check_settings(str(file.path), module)
  generator, discriminator = map(file.arrays, modules)
  mean = generator.pop("mapping.w_avg", None)
  arch = _infer_architecture(str(file.path), generator)
  side = arch.image_size
  notes = []
  if any(_settings(modules, "conv_clamp")):
    notes.append(
      "Its layers clamp their outputs for the sake of float16; ours do not,"
      " which matters only where such an output exceeds the limit (256)."
    )
  return GanFile(
    arch=arch,
    generator=generator,
    discriminator=discriminator,
    names=("G_ema", "D"),
    schemes=(
      Scheme(_generator_layer, _KINDS),
      Scheme(lambda layer: _discriminator_layer(layer, side), _KINDS),
    ),
    constants=(_blurs(generator), _blurs(discriminator)),
    mean_latent=mean,
    notes=notes,
  )


def _check_settings(where, module):
  if module.state.get("c_dim"):
    raise UserError(
      f"{where}: its {module.name.lower()} depends on class labels; only"
      " unconditional GANs can be converted"
    )
  settings = [
    *(
      f"activation {name!r}"
      for name in _settings([module], "activation")
      if name not in _ACTIVATIONS
    ),
    *(
      f"learning rate {inner.state.get('bias_gain')} of the mapping network"
      for path, inner in module.modules()
      if path.startswith("mapping.fc")
      and not np.isclose(inner.state.get("bias_gain", 0), _MAPPING_RATE)
    ),
  ]
  if settings:
    raise UserError(
      f"{where}: its {module.name.lower()} has settings that ours does not"
      f" have and cannot be converted: {', '.join(sorted(set(settings)))}"
    )


def _settings(modules, name):
  """Values of an attribute in all modules that have it."""
  return [
    inner.state[name]
    for module in modules
    for _, inner in module.modules()
    if name in inner.state
  ]


def _infer_architecture(where, arrays):
  sides = matches(r"synthesis\.b(\d+)\..+", arrays)
  layers = matches(r"mapping\.fc(\d+)\..+", arrays)
  levels = max(sides, default=4).bit_length() - 2
  names = [f"synthesis.b{4 << level}" for level in range(levels)]
  return Architecture(
    channels=tuple(
      width(where, arrays, f"{name}.conv1.bias", f"{name}.torgb.affine.bias")
      for name in names
    ),
    latent_size=width(where, arrays, "mapping.fc0.bias", "mapping.fc1.bias"),
    mapping_layers=max(layers, default=-1) + 1,
    noise=any(name.endswith(".noise_strength") for name in arrays),
  )


def _generator_layer(layer):
  network, _, name = layer.partition("/")
  if not name:
    return network
  kind, number = name.split("_")
  if network == "mapping":
    return f"mapping.fc{int(number) - 1}"
  within = {"up": "conv0", "conv": "conv1", "rgb": "torgb"}[kind]
  return f"synthesis.b{number}.{within}"


def _discriminator_layer(layer, image_size):
  block, _, name = layer.partition("/")
  if not name:
    return {
      "rgb": f"b{image_size}.fromrgb",
      "final_conv": "b4.conv",
      "final_dense": "b4.fc",
      "score": "b4.out",
    }[layer]
  within = {"conv1": "conv0", "conv2": "conv1", "skip": "skip"}[name]
  return f"{block.replace('block_', 'b')}.{within}"


def _blurs(arrays):
  return {
    name: blur_kernel(1)
    for name in arrays
    if name.split(".")[-1] == "resample_filter"
  }
