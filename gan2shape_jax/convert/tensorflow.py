"""StyleGAN2 pickles of NVIDIA's TensorFlow code (`.pkl`).

Those of stylegan2 (configurations E and F) and stylegan2-ada: the tuple of
generator, discriminator and averaged generator. Kernels are HWIO already, also
those of up layers; a modulation's bias is stored less one.
"""

from collections.abc import Mapping

import numpy as np

from gan2shape_jax.convert.checkpoint_files import CheckpointFile
from gan2shape_jax.convert.gan_file import GanFile, matches, width
from gan2shape_jax.convert.nvidia_files import Network
from gan2shape_jax.convert.stylegan2_layers import Kind, Scheme, same
from gan2shape_jax.errors import UserError
from gan2shape_jax.models.architecture import Architecture

_VERSION = 4  # of the networks' format; older ones are StyleGAN1's.
_KERNEL = Kind("{layer}/weight", lambda *shape: shape, same)
_BIAS = Kind("{layer}/bias", lambda o: (o,), same)
_KINDS = {
  "dense_kernel": _KERNEL,
  "dense_bias": _BIAS,
  "constant": Kind(
    "{layer}/4x4/Const/const",
    lambda h, w, c: (1, c, h, w),
    lambda a: a[0].transpose(1, 2, 0),
  ),
  "conv_styled": _KERNEL,
  "up_styled": _KERNEL,
  "styled_bias": _BIAS,
  "modulation_kernel": _KERNEL._replace(name="{layer}/mod_weight"),
  "modulation_bias": Kind("{layer}/mod_bias", lambda o: (o,), lambda a: a + 1),
  "noise": Kind(
    "synthesis/noise{index}", lambda h, w: (1, 1, h, w), lambda a: a[0, 0]
  ),
  "noise_strength": Kind("{layer}/noise_strength", lambda: (), same),
  "rgb_kernel": _KERNEL,
  "rgb_bias": _BIAS,
  "conv_kernel": _KERNEL,
  "conv_bias": _BIAS,
  "down_kernel": _KERNEL,
  "down_bias": _BIAS,
  # Its input is flattened in the order (c, 4, 4).
  "flat_kernel": _KERNEL._replace(
    convert=lambda a: (
      a.reshape(-1, 4, 4, a.shape[1]).transpose(1, 2, 0, 3).reshape(a.shape)
    )
  ),
}
# Settings under which the layers compute what ours do; None is the default.
_SETTINGS: Mapping[str, tuple] = {
  "label_size": (None, 0),
  "nonlinearity": (None, "lrelu"),
  "mapping_nonlinearity": (None, "lrelu"),
  "mapping_lrmul": (None, 0.01),
  "resample_kernel": (None, [1, 3, 3, 1], (1, 3, 3, 1)),
}


def holds_gan(content: object) -> bool:
  """Whether a file's content is of this format."""
  return (
    isinstance(content, tuple | list)
    and len(content) == 3
    and all(isinstance(network, Network) for network in content)
  )


def read_gan(file: CheckpointFile) -> GanFile:
  """Takes the parts of a file.

  Raises:
    UserError: the networks are not StyleGAN2's, need class labels, or have
      settings that change what their layers compute.
  """
  _, discriminator, generator = file.content  # G, D, Gs
  for network in (generator, discriminator):
    _check_settings(str(file.path), network)
  arrays = file.arrays(generator)
  mean = arrays.pop("dlatent_avg", None)
  arch = _infer_architecture(str(file.path), arrays)
  side = arch.image_size
  return GanFile(
    arch=arch,
    generator=arrays,
    discriminator=file.arrays(discriminator),
    names=("Gs", "D"),
    schemes=(
      Scheme(_generator_layer, _KINDS),
      Scheme(lambda layer: _discriminator_layer(layer, side), _KINDS),
    ),
    # The level of detail of progressive growing, which nobody uses.
    constants=({"lod": np.zeros(())}, {"lod": np.zeros(())}),
    mean_latent=mean,
    notes=[],
  )


def _check_settings(where, network):
  if network.get("version", 0) < _VERSION:
    raise UserError(
      f"{where}: version {network.get('version')} of the networks' format is"
      " older than StyleGAN2; only StyleGAN2 can be converted"
    )
  settings = network.get("static_kwargs", {})
  if settings.get("label_size"):
    raise UserError(
      f"{where}: its networks depend on class labels; only unconditional GANs"
      " can be converted"
    )
  differ = [
    f"{name} {settings[name]!r}"
    for name, known in _SETTINGS.items()
    if settings.get(name) not in known
  ]
  if differ:
    raise UserError(
      f"{where}: its networks have settings that ours do not have and cannot be"
      f" converted: {', '.join(differ)}"
    )


def _infer_architecture(where, arrays):
  sides = matches(r"synthesis/(\d+)x\1/.+", arrays)
  layers = matches(r"mapping/Dense(\d+)/.+", arrays)
  levels = max(sides, default=4).bit_length() - 2
  names = ["synthesis/4x4/Conv"] + [
    f"synthesis/{side}x{side}/Conv1"
    for side in (4 << level for level in range(1, levels))
  ]
  return Architecture(
    channels=tuple(
      width(
        where,
        arrays,
        f"{name}/bias",
        name.rpartition("/")[0] + "/ToRGB/mod_bias",
      )
      for name in names
    ),
    latent_size=width(
      where, arrays, "mapping/Dense0/bias", "mapping/Dense1/bias"
    ),
    mapping_layers=max(layers, default=-1) + 1,
    noise=any(name.endswith("/noise_strength") for name in arrays),
  )


def _generator_layer(layer):
  network, _, name = layer.partition("/")
  if not name:
    return network
  kind, number = name.split("_")
  if network == "mapping":
    return f"mapping/Dense{int(number) - 1}"
  within = {
    "up": "Conv0_up",
    "conv": "Conv" if number == "4" else "Conv1",
    "rgb": "ToRGB",
  }[kind]
  return f"synthesis/{number}x{number}/{within}"


def _discriminator_layer(layer, image_size):
  block, _, name = layer.partition("/")
  if not name:
    return {
      "rgb": f"{image_size}x{image_size}/FromRGB",
      "final_conv": "4x4/Conv",
      "final_dense": "4x4/Dense0",
      "score": "Output",
    }[layer]
  side = block.removeprefix("block_")
  within = {"conv1": "Conv0", "conv2": "Conv1_down", "skip": "Skip"}[name]
  return f"{side}x{side}/{within}"
