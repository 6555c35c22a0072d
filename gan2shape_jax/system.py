"""The functions and numbers of a run: networks, GAN, camera, priors, weights.

`make_system` reads the configuration once; below it nobody sees it. A `System`
is static under jit and holds no weights: those that nobody trains go through
every program as the argument `frozen`, a dict of `generator`, `discriminator`
and, where there is one, `lpips` (a closure would compile them in as constants).
"""

import dataclasses
import functools
import math
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, PRNGKeyArray
from ml_collections import FrozenConfigDict

from gan2shape_jax import decode, losses, optim, priors
from gan2shape_jax.distributions import load_distribution
from gan2shape_jax.errors import UserError
from gan2shape_jax.models import discriminator, lpips, networks, stylegan2
from gan2shape_jax.models.architecture import Architecture
from gan2shape_jax.render.camera import Camera, Pose
from gan2shape_jax.render.sampling import resize_area, resize_bilinear

Params = dict[str, Any]
Features = tuple[Float[Array, "..."], ...]


class Perceptual(NamedTuple):
  """A perceptual distance, in two halves so that targets are read once."""

  features: Callable[[Params, Float[Array, "h w 3"]], Features]
  distance: Callable[[Features, Features], Float[Array, ""]]


@dataclasses.dataclass(frozen=True, eq=False)
class System:
  """The functions and numbers of a run; see `config.py` for the numbers.

  Attributes that need a word:
    units: what the networks' raw answers mean, by field of the configuration.
    optimizers: by step of the schedule, and of the refinement.
    decode_view: raw view -> pose.
    prior_depth: object mask -> depth of the ellipsoid.
    view_mean, light_mean: what the networks' answers are added to.
    sample_view, sample_light: draw from the distributions of pseudo-samples.
    offset_layers: how far before the end of the mapping network offsets enter.
    source_size: px, sides of the pictures before the crop.
    crop: px, the square that is cut out of their middle; 0 for none.
  """

  camera: Camera
  networks: networks.Networks
  architecture: Architecture
  perceptual: Perceptual

  units: dict[str, Any]
  optimizers: dict[str, optax.GradientTransformation]

  decode_view: Callable[[Float[Array, " 6"]], Pose]
  prior_depth: Callable[[Float[Array, "h w"]], Float[Array, "h w"]]
  view_mean: tuple[float, ...]
  sample_view: Callable[[PRNGKeyArray], Float[Array, " 6"]]
  light_mean: tuple[float, ...]
  sample_light: Callable[[PRNGKeyArray], priors.LightChange]

  border_depth: float
  border_weight: float
  relative_encoding: bool
  offset_layers: int
  use_object_mask: bool
  batch_size: int
  collect_batches: int
  refine_iterations: int
  keep_best: int
  perceptual_weight: float
  smooth_weight: float
  offset_weight: float
  refine_offset_weight: float
  view_weight: float
  light_weight: float
  trust_weight: float
  trust_radius: float
  source_size: int
  crop: int

  def synthesize(
    self, frozen: Params, latent: Float[Array, "n l"]
  ) -> Float[Array, "h w 3"]:
    """The GAN's image of a W+ latent, cropped and resized like the pictures."""
    image = stylegan2.synthesize(
      frozen["generator"], latent, arch=self.architecture
    )
    image = jnp.clip(image, -1.0, 1.0)
    if self.crop:
      image = _resize(image, self.source_size)
      first = round((self.source_size - self.crop) / 2)  # as image_files does
      last = first + self.crop
      image = image[first:last, first:last]
    return _resize(image, self.camera.image_size)

  def map_latent(
    self, frozen: Params, z: Float[Array, "*n l"]
  ) -> Float[Array, "*n l"]:
    """The whole mapping network, Z to W."""
    return stylegan2.map_latent(frozen["generator"], z, arch=self.architecture)

  def map_head(self, frozen: Params) -> Float[Array, " l"]:
    """The mapping of the zero latent, up to where offsets enter."""
    zero = jnp.zeros(self.architecture.latent_size)
    return stylegan2.map_latent(
      frozen["generator"],
      zero,
      arch=self.architecture,
      last=self._offset_layer,
    )

  def map_tail(
    self, frozen: Params, code: Float[Array, " l"]
  ) -> Float[Array, " l"]:
    """The rest of the mapping, from where offsets enter to W."""
    return stylegan2.map_latent(
      frozen["generator"],
      code,
      arch=self.architecture,
      first=self._offset_layer,
    )

  @property
  def _offset_layer(self) -> int:
    return self.architecture.mapping_layers - self.offset_layers

  def features(self, frozen: Params, image: Float[Array, "h w 3"]) -> Features:
    """The discriminator's view of an image: its first residual blocks."""
    return _discriminator_features(self.architecture, frozen, image)


def make_system(
  config: FrozenConfigDict,
  architecture: Architecture,
  *,
  source_size: int | None = None,
) -> System:
  """Makes the functions of a run; equal arguments give the same object.

  So programs that were compiled for a system serve the next run with the same
  configuration in the same process.

  Args:
    config: of the run, frozen.
    architecture: of the GAN.
    source_size: px, sides of the pictures before the crop; those of the GAN's
      images if None.

  Raises:
    UserError: networks.offset_layers is more than the GAN has, other sizes of
      the networks do not fit together, or one of the distributions of the
      configuration cannot be read.
  """
  source_size = source_size or architecture.image_size
  # The system outlives a trace in which it is first made, so must its arrays.
  with jax.ensure_compile_time_eval():
    return _make_system(config, architecture, source_size)


@functools.cache
def _make_system(config, architecture, source_size):
  if config.networks.offset_layers > architecture.mapping_layers:
    raise UserError(
      f"{config.weights.gan}: its mapping network has"
      f" {architecture.mapping_layers} layers; lower"
      f" networks.offset_layers={config.networks.offset_layers}"
    )
  camera = Camera(
    image_size=config.image_size,
    fov=config.camera.fov,
    depth_min=config.camera.depth_min,
    depth_max=config.camera.depth_max,
    rotation_center=config.camera.rotation_center,
    tear=config.camera.tear or None,
  )
  view, light, loss = config.view, config.light, config.loss
  view_mean, view_cov = view.mean, np.diag(np.square(view.std))
  if config.weights.view:
    view_mean, view_cov = load_distribution(config.weights.view, 6)
  light_mean = light.mean
  if config.weights.light:
    light_mean = load_distribution(config.weights.light, 4).mean
  view_mean = tuple(map(float, view_mean))
  light_mean = tuple(map(float, light_mean))
  light_prior = priors.LightPrior(
    light.x, light.y, light.diffuse, alpha=light.alpha
  )
  adam = partial(optim.adam_with_l2, weight_decay=config.optimizer.weight_decay)
  usual = adam(config.optimizer.learning_rate)
  perceptual = Perceptual(
    partial(_discriminator_features, architecture), _feature_distance
  )
  if config.weights.lpips:
    perceptual = Perceptual(_lpips_features, lpips.distance)
  return System(
    camera=camera,
    networks=_build_networks(config, architecture),
    architecture=architecture,
    perceptual=perceptual,
    units={
      "camera.depth_min": config.camera.depth_min,
      "camera.depth_max": config.camera.depth_max,
      "view.max_rotation": view.max_rotation,
      "view.max_translation": view.max_translation,
      "view.max_translation_z": view.max_translation_z,
      "view.mean": view_mean,
      "light.mean": light_mean,
    },
    optimizers={
      "prior": adam(config.prior.learning_rate),
      "albedo": usual,
      "project": usual,
      "shape": usual,
      "refine": optax.adam(
        optax.cosine_decay_schedule(
          config.refine.learning_rate, max(config.refine.iterations, 1)
        )
      ),
    },
    decode_view=partial(
      decode.decode_view,
      max_rotation=math.radians(view.max_rotation),
      max_translation_xy=view.max_translation,
      max_translation_z=view.max_translation_z,
    ),
    prior_depth=partial(_prior_depth, config.prior),
    view_mean=view_mean,
    sample_view=partial(
      priors.sample_view,
      prior=priors.view_prior(view_mean, view_cov),
      view_scale=view.scale,
    ),
    light_mean=light_mean,
    sample_light=partial(priors.sample_light, prior=light_prior),
    border_depth=config.camera.border_depth,
    border_weight=config.camera.border_weight,
    relative_encoding=config.networks.relative_encoding,
    offset_layers=config.networks.offset_layers,
    use_object_mask=loss.object_mask,
    batch_size=config.schedule.batch_size,
    collect_batches=config.schedule.collect_batches,
    refine_iterations=config.refine.iterations,
    keep_best=0 if config.joint else config.schedule.keep_best,
    perceptual_weight=loss.perceptual,
    smooth_weight=loss.smooth,
    offset_weight=loss.offset,
    refine_offset_weight=config.refine.offset,
    view_weight=loss.view,
    light_weight=loss.light,
    trust_weight=loss.trust,
    trust_radius=loss.trust_radius,
    source_size=source_size,
    crop=config.data.crop,
  )


def _build_networks(config, architecture):
  try:
    return networks.build_networks(
      config.image_size,
      latent_size=architecture.latent_size,
      width=config.networks.width or None,
      max_channels=config.networks.max_channels,
      code_size=config.networks.code_size,
      encoder_width=config.networks.encoder_width,
    )
  except ValueError as error:
    raise UserError(f"config: networks: {error}") from error


def _resize(image, size):
  """As the reference: averages to shrink, interpolates to enlarge."""
  if size == image.shape[0]:
    return image
  shrinks = size < image.shape[0]
  return (resize_area if shrinks else resize_bilinear)(image, (size, size))


def _discriminator_features(architecture, frozen, image):
  return discriminator.discriminator_features(
    frozen["discriminator"], image, arch=architecture
  )


def _lpips_features(frozen, image):
  return lpips.features(frozen["lpips"], image)


def _feature_distance(features, target):
  everywhere = jnp.ones(features[0].shape[:2])
  return losses.feature_distance(features, target, everywhere)


def _prior_depth(prior, mask):
  size = mask.shape[0]
  box = priors.adjust_box(
    priors.mask_box(mask),
    size,
    grow_top=prior.grow_top,
    grow_bottom=prior.grow_bottom,
    shrink_sides=prior.shrink_sides,
    bottom_to_border=prior.bottom_to_border,
  )
  return priors.ellipsoid_depth(box, size, near=prior.near, far=prior.far)
