"""Finds the latent with which a GAN draws a given picture.

Starting from the middle of the latents, Adam moves one latent for all layers
(W) and then, if asked, one for each layer (W+) until the GAN's picture agrees
with the target in its pixels and in the discriminator's features. Latents are
searched in coordinates in which those of the GAN are normally distributed (see
`latent_space.py`): one learning rate and one regulariser suit every GAN, and
what is found lies where the GAN can turn and relight it.

Pictures are [h, w, 3] in [-1, 1], latents rows of the W space. After
rosinality/stylegan2-pytorch projector.py; with the discriminator in the place
of VGG, and without optimising noise maps.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import Mesh
from jax.sharding import PartitionSpec as P
from jaxtyping import Array, Float

from gan2shape_jax import losses
from gan2shape_jax.chunks import make_chunk
from gan2shape_jax.devices import FITS
from gan2shape_jax.latent_space import LatentSpace

Params = Any
Features = tuple[Float[Array, "_ _ _"], ...]
Synthesize = Callable[[Params, Float[Array, "n l"]], Float[Array, "h w 3"]]
ReadFeatures = Callable[[Params, Float[Array, "h w 3"]], Features]


def learning_rate_ramp(
  peak: float, steps: int, *, up: float = 0.05, down: float = 0.25
) -> optax.Schedule:
  """Linear rise over the first part of the steps, cosine fall over the last.

  As the projector of StyleGAN2 (rosinality projector.py, get_lr), whose
  fractions are the defaults.
  """

  def schedule(step):
    done = step / steps
    fall = 0.5 - 0.5 * jnp.cos(jnp.pi * jnp.minimum(1.0, (1 - done) / down))
    # Half a step ahead, so that not even the first step is lost.
    rise = jnp.minimum(1.0, (done + 0.5 / steps) / up)
    return peak * rise * fall

  return schedule


def inversion_loss(
  coordinates: Float[Array, "rows l"],
  frozen: Params,
  target: Float[Array, "h w 3"],
  target_features: Features,
  space: LatentSpace,
  *,
  synthesize: Synthesize,
  features: ReadFeatures,
  pixel_weight: float,
  regular_weight: float,
  apart_weight: float,
) -> tuple[Float[Array, ""], dict[str, Float[Array, ""]]]:
  """Distance of a latent's picture from the target; see `make_inverter`.

  Args:
    coordinates: of the latent, a row for each layer.
    frozen: weights of generator and discriminator.
    target: picture to be reproduced.
    target_features: its features, computed once.
    space: of the latents.
    synthesize: `(frozen, latent) -> image`.
    features: `(frozen, image) -> maps`.
    pixel_weight: weight of the mean absolute difference of the pixels.
    regular_weight: weight of the mean squared coordinate of the layers' mean.
    apart_weight: weight of the layers' mean squared distance from their mean.

  Returns:
    The total, and the weighted terms with their 'total'.
  """
  image = synthesize(frozen, space.latent(coordinates))
  everywhere = jnp.ones(image.shape[:2])
  middle = coordinates.mean(0)
  terms = {
    "pixel": pixel_weight * losses.photometric(image, target, everywhere),
    "feature": losses.feature_distance(
      features(frozen, image), target_features, everywhere
    ),
    "regular": regular_weight * jnp.mean(jnp.square(middle)),
    "apart": apart_weight * jnp.mean(jnp.square(coordinates - middle)),
  }
  total = sum(terms.values())
  return total, {**terms, "total": total}


def make_inverter(
  *,
  synthesize: Synthesize,
  features: ReadFeatures,
  n_latent: int,
  steps: int = 400,
  steps_w_plus: int = 0,
  learning_rate: float = 0.05,
  pixel_weight: float = 2.0,
  regular_weight: float = 0.02,
  apart_weight: float = 0.2,
  chunk: int = 50,
  mesh: Mesh | None = None,
) -> Callable[..., Float[Array, "p n l"]]:
  """Makes a function that inverts batches of pictures; compiled once.

  Args:
    synthesize: `(frozen, latent) -> image` of one W+ latent; it may crop and
      resize as the pictures were.
    features: `(frozen, image) -> maps` to compare images by.
    n_latent: rows of a W+ latent.
    steps: iterations with one latent for all layers; 0 leaves them out.
    steps_w_plus: iterations that follow with one latent for each layer.
    learning_rate: peak of Adam's, in standard deviations of the latents.
    pixel_weight: weight of the mean absolute difference of the pixels; the
      features' weigh 1.
    regular_weight: weight of the mean squared coordinate of the layers' mean.
    apart_weight: weight of the layers' mean squared distance from their mean.
    chunk: iterations between two looks at the losses.
    mesh: of devices, over whose axis `fits` the batches are spread; None for
      one device.

  Returns:
    `invert(frozen, images, space, *, progress=None)`, which returns W+ latents:
    `frozen` holds the weights, an argument because a closure would compile them
    in; `images` [p, h, w, 3] are independent of each other; `progress(step,
    losses)` hears of the iterations done and of the latest one's weighted
    losses [p]: 'pixel', 'feature', 'regular', 'apart' and their sum 'total'.
  """
  loss = partial(
    inversion_loss,
    synthesize=synthesize,
    features=features,
    pixel_weight=pixel_weight,
    regular_weight=regular_weight,
    apart_weight=apart_weight,
  )
  adam = optax.scale_by_adam()

  def invert_step(state, frozen, target, target_features, space, phase):
    coordinates, moments = state
    slope, terms = jax.grad(loss, has_aux=True)(
      coordinates, frozen, target, target_features, space
    )
    # One program for both phases: rows that move alike are one latent.
    alike = jnp.broadcast_to(slope.sum(0), slope.shape)
    slope = jnp.where(phase.tied, alike, slope)
    update, moments = adam.update(slope, moments)
    rate = learning_rate_ramp(learning_rate, phase.steps)(moments.count - 1)
    return (coordinates - rate * update, moments), terms

  # Compiled, so that a start lies on the devices as what an iteration returns:
  # else the step would be compiled for either.
  start = jax.jit(
    _over_pictures(
      lambda coordinates: (coordinates, adam.init(coordinates)), (0,), mesh
    )
  )
  # The state, the target and its features differ from picture to picture.
  axes = (0, None, 0, 0, None, None)
  run = make_chunk(_over_pictures(invert_step, axes, mesh))
  read = jax.jit(_over_pictures(features, (None, 0), mesh))
  finish = jax.jit(_over_pictures(LatentSpace.latent, (None, 0), mesh))

  def invert(
    frozen: Params,
    images: Float[Array, "p h w 3"],
    space: LatentSpace,
    *,
    progress: Callable[[int, dict[str, np.ndarray]], None] | None = None,
  ) -> Float[Array, "p n l"]:
    images = jnp.asarray(images)
    fixed = (frozen, images, read(frozen, images), space)
    coordinates = jnp.zeros((len(images), n_latent, space.mean.shape[-1]))
    done = 0
    for phase in (_Phase(True, steps), _Phase(False, steps_w_plus)):
      state = start(coordinates)
      for first in range(0, phase.steps, chunk):
        length = min(chunk, phase.steps - first)
        state, metrics = run(state, *fixed, phase, length=length)
        done += length
        if progress is not None:
          progress(done, {name: rows[-1] for name, rows in metrics.items()})
      coordinates, _ = state
    return finish(space, coordinates)

  return invert


class _Phase(NamedTuple):
  """A part of the search.

  Attributes:
    tied: whether all layers have one latent.
    steps: iterations.
  """

  tied: bool
  steps: int


def _over_pictures(function, axes, mesh):
  """Maps over the pictures of a batch, and their parts over the devices."""
  mapped = jax.vmap(function, axes)
  if mesh is None:
    return mapped
  specs = tuple(P() if axis is None else P(FITS) for axis in axes)
  return jax.shard_map(
    mapped, mesh=mesh, in_specs=specs, out_specs=P(FITS), check_vma=False
  )
