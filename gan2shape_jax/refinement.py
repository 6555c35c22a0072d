"""Better projections than the encoder's: its answers are where a search begins.

Not in the paper, which trusts the encoder. One network has to answer for all
samples; what the GAN draws of its answers follows a change of view or light
only in part, and step 3 learns from it that the shape is flatter. Here every
sample that is collected for step 3 gets some iterations of Adam on its latent.

Differences are squared, where step 2 takes their absolute values: most of a
difference is the same in all samples of a picture, for the GAN's picture and
the rendered one never quite agree. Where that is large, the slope of its
absolute value does not change with the light.
"""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, PRNGKeyArray

from gan2shape_jax import losses, steps
from gan2shape_jax.devices import all_samples, my_samples
from gan2shape_jax.system import Features, System

Params = dict[str, Any]


class Search(NamedTuple):
  """A batch of pseudo-samples, and the search for their projections.

  Attributes:
    pseudo: the pseudo-samples.
    features: theirs.
    offset: of the projections so far, from the picture's latent.
    moments: of the optimiser, per sample.
  """

  pseudo: steps.Samples
  features: Features
  offset: Float[Array, "n l"]
  moments: optax.OptState


def begin(
  system: System,
  params: Params,
  frozen: Params,
  data: steps.ProjectData,
  key: PRNGKeyArray,
) -> Search:
  """Fresh pseudo-samples, and what the encoder makes of them."""
  pseudo = steps.sample_batch(system, key, data)
  features = jax.vmap(lambda image: system.features(frozen, image))
  offset = steps.encode(system, params, frozen, data, pseudo.image)
  moments = jax.vmap(system.optimizers["refine"].init)(offset)
  return all_samples(Search(pseudo, features(pseudo.image), offset, moments))


def refine(
  system: System, search: Search, frozen: Params, data: steps.ProjectData
) -> Search:
  """One iteration, of each sample for itself."""
  pseudo, features, offset, moments = my_samples(search)
  loss = partial(refine_loss, system, frozen, data, pseudo, features)
  change, moments = jax.vmap(system.optimizers["refine"].update)(
    jax.grad(loss)(offset), moments
  )
  offset = optax.apply_updates(offset, change)
  offset, moments = all_samples((offset, moments))
  return search._replace(offset=offset, moments=moments)


def refine_loss(
  system: System,
  frozen: Params,
  data: steps.ProjectData,
  pseudo: steps.Samples,
  features: Features,
  offset: Float[Array, "n l"],
) -> Float[Array, ""]:
  """Squared distances of what the GAN draws from pseudo-samples, their sum."""
  image = steps.draw(system, frozen, data, offset)
  read = jax.vmap(lambda image: system.features(frozen, image))
  distance = jax.vmap(partial(losses.feature_distance, power=2))
  regular = system.refine_offset_weight * jax.vmap(losses.latent_offset)(offset)
  return jnp.sum(
    distance((image,), (pseudo.image,), pseudo.mask)
    + distance(read(image), features, pseudo.mask)
    + regular
  )


def end(
  system: System, search: Search, frozen: Params, data: steps.ProjectData
) -> steps.Samples:
  """The projected samples."""
  image = steps.draw(system, frozen, data, my_samples(search.offset))
  return search.pseudo._replace(image=all_samples(image))
