"""The three steps as the original computes them, in PyTorch.

For `baseline_torch.py`, written from the formulas. What the original does again
in every iteration is done again in every iteration here: step 1 renders depth,
view, light, normals, the warp, masks and smoothness, which it does not train;
step 2 encodes the GAN's image and reads the discriminator's features of the
pseudo-samples; step 3 contains all of step 1. Gradients of networks that a step
does not train are computed as well, because nothing there is told not to. The
GAN's modulated convolutions are grouped ones with a kernel for each picture,
its up- and down-sampling goes over zeros (or strides) and a 4x4 blur.

Left out, though the original computes it: errors against true depth, and what
it logs. Where the configuration has no LPIPS, the discriminator's features are
the perceptual distance, as on our side.
"""

import functools
import math
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from golden import torch_networks, torch_stylegan2
from torch_renderer import Pose, Renderer, pose_from_angles, sample

from gan2shape_jax.convert import networks, rosinality, stylegan2_layers
from gan2shape_jax.convert.checkpoint_files import CheckpointFile
from gan2shape_jax.distributions import load_distribution

TRAINED = {"albedo": ["netA"], "project": ["netEnc"]}
TRAINED["shape"] = ["netD", "netA", "netV", "netL"]


class Light(NamedTuple):
  """Strengths (b,) and unit directions (b, 3)."""

  ambient: Tensor
  diffuse: Tensor
  direction: Tensor


class Change(NamedTuple):
  """Raw views (b, 6) of pseudo-samples, and their x, y and r (b, 3)."""

  view: Tensor
  light: Tensor


class Samples(NamedTuple):
  """Pictures (b, 3, h, w) in [-1, 1] and masks (b, 1, h, w)."""

  image: Tensor
  mask: Tensor


def grouped(conv: torch_stylegan2.ModulatedConv, x: Tensor, w: Tensor):
  """A modulated convolution of a batch, as one grouped convolution."""
  b, _, height, width = x.shape
  weight = conv.weight / math.sqrt(conv.weight[0, 0].numel())
  weight = weight * conv.modulation(w)[:, None, :, None, None]
  if conv.demod:
    energy = weight.square().sum((2, 3, 4), keepdim=True)
    weight = weight * torch.rsqrt(energy + 1e-8)
  x = x.reshape(1, -1, height, width)
  if conv.up:
    weight = weight.transpose(1, 2).flatten(0, 1)
    y = F.conv_transpose2d(x, weight, stride=2, groups=b)
    y = y.reshape(b, -1, *y.shape[2:])
    return torch_stylegan2.blur(y, conv.blur.kernel, (1, 1))
  pad = weight.shape[-1] // 2
  y = F.conv2d(x, weight.flatten(0, 1), padding=pad, groups=b)
  return y.reshape(b, -1, height, width)


class Original:
  """The networks and one picture; the steps are methods that give a loss.

  `samples` of depth per pixel and axis: the original's 2, or 1 to compare.
  """

  def __init__(self, workload, samples=2):
    system, picture = workload.system, workload.picture
    self.workload, self.config = workload, workload.config
    self.renderer = Renderer(system.camera, samples)
    self.nets, self.generator, self.discriminator = load_networks(workload)
    self.image, self.gan_image = map(nchw, (picture.image, picture.gan_image))
    self.input_mask = tensor(picture.mask)[None, None]
    self.latent = tensor(picture.latent)[None]
    self.view_root = view_root(self.config)
    self.view_mean = torch.tensor(system.view_mean)
    self.light_mean = torch.tensor(system.light_mean)
    self.size, self.batch = system.camera.image_size, system.batch_size
    layers = system.architecture.mapping_layers
    self.offset_layer = layers - system.offset_layers
    with torch.no_grad():
      zero = torch.zeros(1, system.architecture.latent_size)
      self.code = self.generator.map(zero, 0, self.offset_layer)
      self.code_latent = self.generator.map(zero)
    self.canon_mask, self.pool, self.optimizers = None, None, []

  # --- The loop. ---

  def enter(self, step: str):
    """Begins a phase: fresh optimisers, and what the phase before it left."""
    settings = self.config.optimizer
    self.optimizers = [
      torch.optim.Adam(
        self.nets[name].parameters(),
        lr=settings.learning_rate,
        weight_decay=settings.weight_decay,
      )
      for name in TRAINED[step]
    ]
    # LPIPS, for which the discriminator stands there, is frozen.
    self.discriminator.requires_grad_(step == "project")
    with torch.no_grad():
      self.step1(flip=False)
      if step == "shape":
        count = self.config.schedule.collect_batches
        self.project(self.draw_change())
        self.pool = Samples(*(x.repeat(count, 1, 1, 1) for x in self.projected))
        self.position = 0

  def iterate(self, step: str, flip: bool) -> float:
    """One iteration of a step; its loss."""
    if step == "albedo":
      loss = sum(self.step1(flip).values())
    elif step == "project":
      loss = sum(self.step2(self.draw_change()).values())
    else:
      loss = sum(self.step3(self.next_samples(), flip).values())
    for optimizer in self.optimizers:
      optimizer.zero_grad()
    loss.backward()
    for optimizer in self.optimizers:
      optimizer.step()
    return loss.item()

  def next_samples(self) -> Samples:
    """The next batch of the pool, which is shuffled when it ends."""
    self.position += self.batch
    if self.position + self.batch >= len(self.pool.image):
      order = torch.randperm(len(self.pool.image))
      self.pool = Samples(*(x[order] for x in self.pool))
      self.position = 0
    now = slice(self.position, self.position + self.batch)
    return Samples(*(x[now] for x in self.pool))

  # --- What the networks say. ---

  def vector(self, name: str, image: Tensor) -> Tensor:
    """What an encoder says about pictures, (b, n)."""
    return self.nets[name](image).flatten(1)

  def depth_of(self, image: Tensor) -> Tensor:
    """Canonical depth (b, h, w)."""
    camera = self.config.camera
    raw = self.nets["netD"](image)[:, 0]
    t = (raw - raw.mean((1, 2), keepdim=True)).tanh()
    depth = (1 + t) / 2 * camera.depth_max + (1 - t) / 2 * camera.depth_min
    border = torch.zeros(1, self.size, self.size - 4)
    border = F.pad(border, (2, 2), value=camera.border_weight)
    return depth * (1 - border) + border * camera.border_depth

  def pose_of(self, view: Tensor) -> Pose:
    """The pose of raw views."""
    limits = self.config.view
    angles = view[:, :3] * math.pi / 180 * limits.max_rotation
    xy = view[:, 3:5] * limits.max_translation
    z = view[:, 5:] * limits.max_translation_z
    return pose_from_angles(angles, torch.cat([xy, z], 1))

  def light_of(self, image: Tensor) -> Light:
    """The light in pictures."""
    light = self.vector("netL", image) + self.light_mean
    direction = torch.cat([light[:, 2:], torch.ones(len(light), 1)], 1)
    return Light(light[:, 0] / 2 + 0.5, light[:, 1] / 2 + 0.5, unit(direction))

  # --- The steps. ---

  def step1(self, flip: bool) -> dict[str, Tensor]:
    """The picture's reconstruction, everything rendered anew."""
    depth, albedo = self.depth_of(self.image), self.nets["netA"](self.image)
    pose = self.pose_of(self.vector("netV", self.image) + self.view_mean)
    light = self.light_of(self.image)
    if flip:
      depth = torch.cat([depth, depth.flip(2)])
      albedo = torch.cat([albedo, albedo.flip(3)])
      pose = Pose(*(x.repeat(2, *[1] * (x.ndim - 1)) for x in pose))
      light = Light(*(x.repeat(2, *[1] * (x.ndim - 1)) for x in light))
    normal = self.renderer.normals(depth)
    shading = diffuse(normal, light)
    terms = self.compare(
      depth, textured(albedo, shading, light), pose, self.image, flip
    )
    if self.config.loss.object_mask:
      grid = self.renderer.forward_grid(depth[:1], Pose(*(x[:1] for x in pose)))
      self.canon_mask = sample(self.input_mask, grid)
    smooth = smoothness(depth) + smoothness(shading)
    terms["smooth"] = self.config.loss.smooth * smooth
    self.depth, self.albedo, self.normal = depth, albedo, normal
    self.light = light
    return terms

  def compare(self, depth, texture, pose, image, flip, weight=1.0):
    """Renders, and compares with pictures (b) under the margin rule's mask."""
    b = len(image)
    view_depth = self.renderer.warp(depth, pose)
    grid = self.renderer.inverse_grid(view_depth, pose)
    mask = (view_depth < self.renderer.far).float()
    if flip:
      mask = (mask[:b] * mask[b:]).repeat(2, 1, 1)
    mask = mask[:, None].detach() * weight
    rendered = sample(texture, grid).clamp(-1, 1)
    pixel = perceptual = 0.0
    for half in range(1 + flip):
      part = slice(half * b, (half + 1) * b)
      pixel = pixel + photometric(rendered[part], image, mask[part])
      perceptual = perceptual + self.perceptual(
        rendered[part] * mask[part], image * mask[part]
      )
    weight = self.config.loss.perceptual
    return {"pixel": pixel, "perceptual": weight * perceptual}

  def perceptual(self, image: Tensor, target: Tensor) -> Tensor:
    """Mean distance of the discriminator's features."""
    features = self.discriminator.features
    pairs = zip(features(image, 4), features(target, 4), strict=True)
    return sum((a - b).abs().mean() for a, b in pairs)

  def draw_change(self) -> Change:
    """Views and lights of a batch of pseudo-samples."""
    light, view = self.config.light, torch.randn(self.batch, 6)
    view = view @ self.view_root.T
    view[:, 1] *= self.config.view.scale
    low, high = torch.tensor([light.x, light.y, light.diffuse]).T
    draws = low + (high - low) * torch.rand(self.batch, 3)
    return Change(self.view_mean + view, draws)

  def pseudo_samples(self, change: Change) -> Samples:
    """The shape that step 1 left under other views and lights."""
    xy, r = change.light[:, :2], change.light[:, 2]
    light = Light(
      self.light.ambient[:1] + self.config.light.alpha * r,
      self.light.diffuse[:1] + r,
      unit(torch.cat([xy, torch.ones(len(xy), 1)], 1)),
    )
    texture = textured(self.albedo[:1], diffuse(self.normal[:1], light), light)
    pose = self.pose_of(change.view)
    depth = self.renderer.warp(self.depth[:1].expand(len(xy), -1, -1), pose)
    grid = self.renderer.inverse_grid(depth, pose)
    mask = torch.ones(len(xy), 1, self.size, self.size)
    if self.config.loss.object_mask:
      mask = self.canon_mask.expand_as(mask)
    image = sample(texture, grid).clamp(-1, 1)
    return Samples(image, sample(mask, grid, "nearest"))

  def project(self, change: Change) -> tuple[Samples, Tensor]:
    """Pseudo-samples and their latents' offsets; leaves the projections."""
    with torch.no_grad():
      pseudo = self.pseudo_samples(change)
    code = self.vector("netEnc", pseudo.image)
    if self.config.networks.relative_encoding:
      code = code - self.vector("netEnc", self.gan_image)
    hidden = code + self.code
    offset = self.generator.map(hidden, self.offset_layer) - self.code_latent
    image = self.generator(self.latent + offset[:, None]).clamp(-1, 1)
    if self.config.data.crop:
      source = self.workload.system.source_size
      first = round((source - self.config.data.crop) / 2)
      last = first + self.config.data.crop
      image = resized(image, source)[..., first:last, first:last]
    self.projected = Samples(resized(image, self.size), pseudo.mask)
    return pseudo, offset

  def step2(self, change: Change) -> dict[str, Tensor]:
    """Distance of fresh pseudo-samples from their projections."""
    pseudo, offset = self.project(change)
    image, mask = self.projected
    with torch.no_grad():
      targets = self.discriminator.features(pseudo.image, 4)
    feature = 0.0
    features = self.discriminator.features(image, 4)
    for found, target in zip(features, targets, strict=True):
      share = F.avg_pool2d(mask, self.size // target.shape[-1])
      feature = feature + photometric(found, target, share)
    return {
      "pixel": photometric(image, pseudo.image, mask),
      "feature": feature,
      "offset": self.config.loss.offset * offset.square().mean(),
    }

  def step3(self, samples: Samples, flip: bool) -> dict[str, Tensor]:
    """Step 1, and the same shape explains a batch of projections."""
    terms, b = self.step1(flip), self.batch
    pose = self.pose_of(self.vector("netV", samples.image) + self.view_mean)
    light, weight = self.light_of(samples.image), samples.mask
    if flip:
      pose = Pose(*(x.repeat(2, *[1] * (x.ndim - 1)) for x in pose))
      light = Light(*(x.repeat(2, *[1] * (x.ndim - 1)) for x in light))
      weight = weight.repeat(2, 1, 1, 1)
    depth, albedo, normal = (
      x.repeat_interleave(b, 0) for x in (self.depth, self.albedo, self.normal)
    )
    texture = textured(albedo, diffuse(normal, light), light)
    found = self.compare(depth, texture, pose, samples.image, flip, weight)
    return terms | {f"sample_{name}": term for name, term in found.items()}


def view_root(config) -> Tensor:
  """R (6, 6) with R R^T the covariance of the views of pseudo-samples."""
  if not config.weights.view:
    return torch.diag(torch.tensor(config.view.std))
  covariance = load_distribution(config.weights.view, 6).cov
  values, vectors = torch.linalg.eigh(tensor(covariance))
  return vectors * values.clamp(min=0).sqrt()


# --- Formulas. ---


def unit(vectors: Tensor) -> Tensor:
  """Vectors of length 1."""
  return vectors / vectors.square().sum(1, keepdim=True).sqrt()


def diffuse(normal: Tensor, light: Light) -> Tensor:
  """Shading by the light's direction, (b, h, w)."""
  return (normal * light.direction[:, None, None]).sum(-1).clamp(min=0)


def textured(albedo: Tensor, shading: Tensor, light: Light) -> Tensor:
  """Albedo (b, 3, h, w) under a light."""
  ambient, strength = (x[:, None, None] for x in light[:2])
  shade = (ambient + strength * shading)[:, None]
  return (albedo / 2 + 0.5) * shade * 2 - 1


def photometric(image: Tensor, target: Tensor, mask: Tensor) -> Tensor:
  """Mean absolute difference under a mask (b, 1, h, w)."""
  weight = mask.expand_as(image)
  return ((image - target).abs() * weight).sum() / weight.sum()


def smoothness(field: Tensor) -> Tensor:
  """Mean absolute second differences of maps (b, h, w)."""
  first = [field.diff(dim=axis) for axis in (1, 2)]
  return sum(x.diff(dim=axis).abs().mean() for x in first for axis in (1, 2))


def resized(image: Tensor, size: int) -> Tensor:
  """Averages to shrink, interpolates to enlarge."""
  if image.shape[-1] == size:
    return image
  mode = "area" if size < image.shape[-1] else "bilinear"
  return F.interpolate(image, (size, size), mode=mode)


# --- Our weights in its networks. ---


def tensor(array) -> Tensor:
  """One of our arrays."""
  return torch.from_numpy(np.array(array))


def nchw(image) -> Tensor:
  """One of our pictures as a batch."""
  return tensor(image).permute(2, 0, 1)[None]


def load_networks(workload):
  """The five networks, generator and discriminator with our weights."""
  system, config, frozen = workload.system, workload.config, workload.frozen
  arch, settings = system.architecture, config.networks
  size, params = system.camera.image_size, workload.params
  width = settings.width or max(4096 // size, 16)
  nets = torch_networks.networks(
    size,
    width=width,
    largest=settings.max_channels,
    code=settings.code_size,
    encoder_width=settings.encoder_width,
    latent=arch.latent_size,
  )
  sizes = networks.Sizes(
    size,
    arch.latent_size,
    width,
    settings.max_channels,
    settings.code_size,
    settings.encoder_width,
  )
  for theirs, ours in networks.NAMES.items():
    table = networks.network_table(ours, sizes)
    nets[theirs].load_state_dict(foreign(table, params[ours]))
  gan = (
    torch_stylegan2.Generator(
      arch.channels, arch.latent_size, arch.mapping_layers
    ),
    torch_stylegan2.Discriminator(arch.channels),
  )
  layouts = (stylegan2_layers.generator_leaves(arch),)
  layouts += (stylegan2_layers.discriminator_leaves(arch),)
  content = {"g_ema": gan[0].state_dict(), "d": gan[1].state_dict()}
  file = CheckpointFile(Path("PyTorch"), "in memory", content)
  schemes = rosinality.read_gan(file).schemes
  trees = frozen["generator"], frozen["discriminator"]
  for network, scheme, leaves, tree in zip(
    gan, schemes, layouts, trees, strict=True
  ):
    state = foreign(scheme.table(leaves), tree)
    missing, _ = network.load_state_dict(state, strict=False)
    for name in missing:
      # The original adds noise anyhow; a GAN without it adds zeros.
      if not name.endswith("kernel"):
        network.state_dict()[name].zero_()
  for module in gan[0].modules():
    if isinstance(module, torch_stylegan2.ModulatedConv):
      module.forward = functools.partial(grouped, module)
  return nets, *gan


def foreign(table, tree) -> dict[str, Tensor]:
  """A tree of ours under a file's names, each table entry undone.

  Entries only move numbers, so that they tell where each comes from.
  """
  state = {}
  for path, entry in table.items():
    leaf = tree
    for name in path.split("/"):
      leaf = leaf[name]
    source = np.arange(math.prod(entry.shape)).reshape(entry.shape)
    array = np.empty(entry.shape, np.float32)
    array.flat[entry.convert(source)] = np.asarray(leaf)
    state[entry.name] = torch.from_numpy(array)
  return state
