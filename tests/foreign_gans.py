"""Random StyleGAN2 weights under the names of each format.

The lists of names and shapes follow rosinality model.py and NVIDIA's networks;
they are written independently of the package's tables.
"""

import itertools
import re

import numpy as np
from foreign_files import module_tree, tensorflow_network
from golden.fixed_numbers import draw

BLUR = np.outer([1, 3, 3, 1], [1, 3, 3, 1]).astype(np.float32) / 64


def rosinality_generator(channels, latent=12, layers=3, seed="g"):
  """State dictionary of a generator; `channels` at side 4, 8, ..."""

  def new(name, shape, scale=1.0):
    state[name] = draw(f"{seed} {name}", shape, scale)

  def styled(name, before, after, modulated=True):
    new(f"{name}.conv.weight", (1, after, before, 3, 3))
    modulation(name, before)
    new(f"{name}.noise.weight", (1,), 0.3)
    new(f"{name}.activate.bias", (after,), 0.2)

  def modulation(name, before):
    new(f"{name}.conv.modulation.weight", (before, latent))
    new(f"{name}.conv.modulation.bias", (before,))

  def rgb(name, before):
    new(f"{name}.conv.weight", (1, 3, before, 1, 1))
    modulation(name, before)
    new(f"{name}.bias", (1, 3, 1, 1), 0.2)

  state = {}
  for i in range(1, layers + 1):
    new(f"style.{i}.weight", (latent, latent), 100.0)
    new(f"style.{i}.bias", (latent,), 20.0)
  new("input.input", (1, channels[0], 4, 4))
  styled("conv1", channels[0], channels[0])
  rgb("to_rgb1", channels[0])
  for b, (before, after) in enumerate(itertools.pairwise(channels)):
    styled(f"convs.{2 * b}", before, after)
    state[f"convs.{2 * b}.conv.blur.kernel"] = 4 * BLUR
    styled(f"convs.{2 * b + 1}", after, after)
    rgb(f"to_rgbs.{b}", after)
    state[f"to_rgbs.{b}.upsample.kernel"] = 4 * BLUR
  for i in range(2 * len(channels) - 1):
    side = 2 ** ((i + 5) // 2)
    new(f"noises.noise_{i}", (1, 1, side, side))
  return state


def rosinality_discriminator(channels, seed="d"):
  def new(name, shape, scale=1.0):
    state[name] = draw(f"{seed} {name}", shape, scale)

  state = {}
  new("convs.0.0.weight", (channels[-1], 3, 1, 1))
  new("convs.0.1.bias", (channels[-1],), 0.2)
  pairs = itertools.pairwise(reversed(channels))
  for i, (before, after) in enumerate(pairs, start=1):
    new(f"convs.{i}.conv1.0.weight", (before, before, 3, 3))
    new(f"convs.{i}.conv1.1.bias", (before,), 0.2)
    state[f"convs.{i}.conv2.0.kernel"] = BLUR
    new(f"convs.{i}.conv2.1.weight", (after, before, 3, 3))
    new(f"convs.{i}.conv2.2.bias", (after,), 0.2)
    state[f"convs.{i}.skip.0.kernel"] = BLUR
    new(f"convs.{i}.skip.1.weight", (after, before, 1, 1))
  c = channels[0]
  new("final_conv.0.weight", (c, c + 1, 3, 3))
  new("final_conv.1.bias", (c,), 0.2)
  new("final_linear.0.weight", (c, 16 * c))
  new("final_linear.0.bias", (c,), 0.2)
  new("final_linear.1.weight", (1, c))
  new("final_linear.1.bias", (1,), 0.2)
  return state


def rosinality_checkpoint(channels, **options):
  generator = rosinality_generator(channels, **options)
  latent = len(generator["style.1.bias"])
  return {
    "g_ema": generator,
    "d": rosinality_discriminator(channels),
    "latent_avg": draw("latent_avg", (latent,)),
  }


# --- The same weights under NVIDIA's names. -----------------------------------


def _module_name(name):
  """Side and layer in NVIDIA's order of rosinality's `conv1`, `convs.3`..."""
  if name in ("conv1", "to_rgb1"):
    return 4, name
  kind, number = name.split(".")
  block = int(number) // 2 if kind == "convs" else int(number)
  side = 8 << block
  if kind == "to_rgbs":
    return side, "to_rgb1"
  return side, "conv0" if int(number) % 2 == 0 else "conv1"


def ada_generator(state):
  """Arrays of stylegan2-ada-pytorch's generator, from rosinality's."""
  ada = {}
  for name, value in state.items():
    if match := re.fullmatch(r"style\.(\d+)\.(weight|bias)", name):
      ada[f"mapping.fc{int(match[1]) - 1}.{match[2]}"] = value
    elif name == "input.input":
      ada["synthesis.b4.const"] = value[0]
    elif match := re.fullmatch(r"noises\.noise_(\d+)", name):
      i = int(match[1])
      layer = "conv0" if i % 2 else "conv1"
      side = value.shape[-1]
      ada[f"synthesis.b{side}.{layer}.noise_const"] = value[0, 0]
    elif not name.endswith("kernel"):
      head = re.match(r"conv1|to_rgb1|convs\.\d+|to_rgbs\.\d+", name)[0]
      side, layer = _module_name(head)
      rgb = layer == "to_rgb1"
      to = f"synthesis.b{side}.{'torgb' if rgb else layer}"
      what = name[len(head) + 1 :]
      if what == "conv.weight":
        ada[f"{to}.weight"] = value[0]
      elif what.startswith("conv.modulation."):
        ada[f"{to}.affine.{what.rpartition('.')[2]}"] = value
      elif what == "noise.weight":
        ada[f"{to}.noise_strength"] = value[0]
        ada[f"{to}.resample_filter"] = BLUR
      else:
        ada[f"{to}.bias"] = value.reshape(-1)
  for side in {int(k.split(".")[1][1:]) for k in ada if ".b" in k[:12]}:
    ada[f"synthesis.b{side}.resample_filter"] = BLUR
  return {k: np.asarray(v) for k, v in ada.items()}


def ada_discriminator(state):
  levels = len({k for k in state if k.endswith("skip.1.weight")})
  size = 4 << levels
  ada = {
    f"b{size}.fromrgb.weight": state["convs.0.0.weight"],
    f"b{size}.fromrgb.bias": state["convs.0.1.bias"],
    "b4.conv.weight": state["final_conv.0.weight"],
    "b4.conv.bias": state["final_conv.1.bias"],
    "b4.fc.weight": state["final_linear.0.weight"],
    "b4.fc.bias": state["final_linear.0.bias"],
    "b4.out.weight": state["final_linear.1.weight"],
    "b4.out.bias": state["final_linear.1.bias"],
  }
  for i in range(1, levels + 1):
    to = f"b{size >> (i - 1)}"
    ada |= {
      f"{to}.conv0.weight": state[f"convs.{i}.conv1.0.weight"],
      f"{to}.conv0.bias": state[f"convs.{i}.conv1.1.bias"],
      f"{to}.conv1.weight": state[f"convs.{i}.conv2.1.weight"],
      f"{to}.conv1.bias": state[f"convs.{i}.conv2.2.bias"],
      f"{to}.skip.weight": state[f"convs.{i}.skip.1.weight"],
    }
    for layer in ("", ".conv0", ".conv1", ".skip"):
      ada[f"{to}{layer}.resample_filter"] = BLUR
  for name in (f"b{size}.fromrgb", "b4.conv"):
    ada[f"{name}.resample_filter"] = BLUR
  return ada


def ada_pickle_content(checkpoint, *, settings=None):
  """What a pickle of stylegan2-ada-pytorch holds."""
  generator = ada_generator(checkpoint["g_ema"])
  generator["mapping.w_avg"] = checkpoint["latent_avg"]
  fixed = {
    name.rpartition(".")[0]: {"activation": "lrelu", "bias_gain": 0.01}
    for name in generator
    if name.startswith("mapping.fc")
  }
  fixed[""] = {"c_dim": 0, "z_dim": 12, "conv_clamp": None}
  return {
    "G": None,
    "G_ema": module_tree("Generator", generator, fixed | (settings or {})),
    "D": module_tree("Discriminator", ada_discriminator(checkpoint["d"])),
    "augment_pipe": None,
    "training_set_kwargs": {"path": "pictures.zip"},
  }


def tensorflow_arrays(checkpoint):
  """(generator's, discriminator's) variables, from rosinality's arrays.

  Rosinality's are TensorFlow's transposed, those of up layers flipped too, and
  the modulation's bias is one more (its convert_weight.py).
  """
  generator = {
    "lod": np.float32(0),
    "dlatent_avg": checkpoint["latent_avg"],
  }
  for name, value in ada_generator(checkpoint["g_ema"]).items():
    part, *middle, last = name.split(".")
    if part == "mapping":
      value = value.T
      generator[f"mapping/Dense{middle[0][2:]}/{last}"] = value
      continue
    side = int(middle[0][1:])
    to = f"synthesis/{side}x{side}"
    index = 2 * (side.bit_length() - 1) - 4
    layer = middle[1] if len(middle) > 1 else ""
    if last == "const":
      generator[f"{to}/Const/const"] = value[None]
      continue
    if last == "noise_const":
      index -= layer == "conv0"
      generator[f"synthesis/noise{index}"] = value[None, None]
      continue
    if last == "resample_filter":
      continue
    to += {
      "conv0": "/Conv0_up",
      "conv1": "/Conv" if side == 4 else "/Conv1",
      "torgb": "/ToRGB",
    }[layer]
    if "affine" in middle:
      value = value.T if last == "weight" else value - 1
      last = f"mod_{last}"
    elif last == "weight":
      value = np.transpose(value, (2, 3, 1, 0))
      value = value[::-1, ::-1] if layer == "conv0" else value
    generator[f"{to}/{last}"] = value[()]
  discriminator = {}
  for name, value in ada_discriminator(checkpoint["d"]).items():
    block, *layer, last = name.split(".")
    side = block[1:]
    if last == "resample_filter":
      continue
    to = {
      "fromrgb": f"{side}x{side}/FromRGB",
      "conv0": f"{side}x{side}/Conv0",
      "conv1": f"{side}x{side}/Conv1_down",
      "skip": f"{side}x{side}/Skip",
      "conv": "4x4/Conv",
      "fc": "4x4/Dense0",
      "out": "Output",
    }[layer[0]]
    value = value.transpose(2, 3, 1, 0) if value.ndim == 4 else value.T
    discriminator[f"{to}/{last}"] = value
  return (
    {k: _contiguous(v) for k, v in generator.items()},
    {k: _contiguous(v) for k, v in discriminator.items()},
  )


def tensorflow_pickle_content(checkpoint, **static_kwargs):
  """What a pickle of NVIDIA's TensorFlow code holds: (G, D, Gs)."""
  generator, discriminator = tensorflow_arrays(checkpoint)
  return (
    tensorflow_network({"lod": np.float32(0)}),
    tensorflow_network(discriminator, static_kwargs),
    tensorflow_network(generator, static_kwargs),
  )


def _contiguous(value):
  return value if isinstance(value, np.generic) else np.ascontiguousarray(value)
