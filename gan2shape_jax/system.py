"""Everything of a run that is fixed: networks, GAN, camera, priors, weights.

`build_system` reads the configuration once; below it nobody sees it. Functions
go into a `System`, which is static under jit; arrays go into the `frozen` tree,
which is an argument of every program (a closure would bake the weights into
the compiled code as constants).
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from ml_collections import ConfigDict

from gan2shape_jax import decode, losses, priors, weights
from gan2shape_jax.models import discriminator, networks, stylegan2
from gan2shape_jax.render.camera import Camera, Pose
from gan2shape_jax.render.sampling import resize

Params = dict[str, Any]
Features = tuple[Float[Array, "..."], ...]


class Perceptual(NamedTuple):
  """A perceptual distance, in two halves so that targets are read once."""

  features: Callable[[Params, Float[Array, "h w 3"]], Features]
  distance: Callable[[Features, Features], Float[Array, ""]]


@dataclasses.dataclass(frozen=True, eq=False)
class System:
  """The functions and numbers of a run; see `config.py` for the numbers."""

  camera: Camera
  networks: networks.Networks
  architecture: stylegan2.Architecture
  perceptual: Perceptual

  decode_view: Callable[[Float[Array, " 6"]], Pose]
  prior_depth: Callable[[Float[Array, "h w"]], Float[Array, "h w"]]
  view_prior: priors.ViewPrior
  light_prior: priors.LightPrior
  light_mean: tuple[float, ...]

  border_depth: float
  border_weight: float
  relative_encoding: bool
  offset_layers: int
  use_object_mask: bool
  batch_size: int
  perceptual_weight: float
  smooth_weight: float
  offset_weight: float

  def synthesize(
    self, frozen: Params, latent: Float[Array, "n l"]
  ) -> Float[Array, "h w 3"]:
    """The GAN's image of a W+ latent, at the size of the pictures."""
    image = stylegan2.synthesize(
      frozen["generator"], latent, arch=self.architecture
    )
    image = jnp.clip(image, -1.0, 1.0)
    return resize(image, self.camera.image_size)

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
    return discriminator.discriminator_features(
      frozen["discriminator"], image, arch=self.architecture
    )
