"""The steps of the method as pure losses (section 3.2 of the paper).

Step 1 gives a rough shape its albedo, step 2 learns to project renderings of
it under new views and lights onto the GAN's image manifold, step 3 learns
shape, albedo, view and light from the projected samples.

Every loss has the form `(system, params, frozen, data, key, flip) -> (total,
terms)`: `params` are the five networks' parameters, `frozen` the weights that
nobody trains, `data` what `prepare_*` computed once at the start of the phase,
`terms` the weighted summands of the total by name. A leading axis `f` counts
the shape (0) and, where `flip` is set, its mirror image (1), which has to
explain the picture under the same view and light. Where devices share a batch
of samples, each finds the loss of its part; the mean of them is the loss.
"""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray

from gan2shape_jax import inference, losses, priors
from gan2shape_jax.devices import all_samples, my_samples, sample_axis
from gan2shape_jax.render import compose, geometry, sampling, shading
from gan2shape_jax.system import System
from gan2shape_jax.types import Picture, Reconstruction

Params = dict[str, Any]
Terms = dict[str, Float[Array, ""]]


class Loss(NamedTuple):
  """A total and the weighted terms that add up to it."""

  total: Float[Array, ""]
  terms: Terms


def with_mirror(
  x: Float[Array, "h w *c"], flip: bool
) -> Float[Array, "f h w *c"]:
  """Stacks a map and, if `flip`, its left-right mirror image."""
  return jnp.stack([x, x[:, ::-1]] if flip else [x])


# --- The prior: the depth network imitates an ellipsoid. ---------------------


class PriorData(NamedTuple):
  """The picture, and the depth that the network shall give it."""

  image: Float[Array, "h w 3"]
  depth: Float[Array, "h w"]


def prepare_prior(system: System, picture: Picture) -> PriorData:
  """Places the ellipsoid on the picture's mask."""
  return PriorData(picture.image, system.prior_depth(picture.mask))


def prior_loss(
  system: System,
  params: Params,
  frozen: Params,
  data: PriorData,
  key: PRNGKeyArray,
  flip: bool,
) -> Loss:
  """Mean squared error to the prior (GAN2Shape init_netD_ellipsoid)."""
  del frozen, key, flip
  depth = inference.unclamped_depth(system, params, data.image)
  loss = jnp.mean((depth - data.depth) ** 2)
  return Loss(loss, {"prior": loss})


# --- Step 1: albedo. ---------------------------------------------------------


class AlbedoData(NamedTuple):
  """All that does not depend on the albedo, the one thing step 1 learns."""

  image: Float[Array, "h w 3"]
  shading: Float[Array, "f h w"]
  grid: Float[Array, "f h w 2"]
  mask: Float[Array, "h w"]
  features: tuple[Float[Array, "..."], ...]  # of the masked picture


def prepare_albedo(
  system: System,
  frozen: Params,
  picture: Picture,
  canonical: Reconstruction,
  flip: bool,
) -> AlbedoData:
  """Renders what stays the same throughout step 1; no albedo is looked at."""
  image, camera = picture.image, system.camera
  depth = with_mirror(canonical.depth, flip)
  normal = jax.vmap(lambda d: geometry.normals_from_depth(d, camera))(depth)
  grid, _, mask = jax.vmap(
    lambda d: compose.view_grid(d, canonical.pose, camera)
  )(depth)
  mask = jnp.prod(mask, axis=0)
  return AlbedoData(
    image=image,
    shading=jax.vmap(lambda n: shading.shade(n, canonical.light))(normal),
    grid=grid,
    mask=mask,
    features=system.perceptual.features(frozen, image * mask[..., None]),
  )


def albedo_loss(
  system: System,
  params: Params,
  frozen: Params,
  data: AlbedoData,
  key: PRNGKeyArray,
  flip: bool,
) -> Loss:
  """Reconstruction of the picture; smoothness is constant here, so left out."""
  del key
  albedo = system.networks.albedo.apply(params["albedo"], data.image)
  texture = jax.vmap(shading.apply_shading)(
    with_mirror(albedo, flip), data.shading
  )
  rendered = jax.vmap(sampling.sample_bilinear)(texture, data.grid)
  rendered = jnp.clip(rendered, -1.0, 1.0)

  def compare(rendered):
    pixel = losses.photometric(rendered, data.image, data.mask)
    features = system.perceptual.features(
      frozen, rendered * data.mask[..., None]
    )
    return pixel, system.perceptual.distance(features, data.features)

  pixel, perceptual = jax.vmap(compare)(rendered)
  return _total(
    {
      "pixel": pixel.sum(),
      "perceptual": system.perceptual_weight * perceptual.sum(),
    }
  )


# --- Step 2: projection onto the GAN's image manifold. -----------------------


class ProjectData(NamedTuple):
  """The shape that pseudo-samples show, and the latent they start from."""

  canonical: Reconstruction
  sample_mask: Float[Array, "h w"]
  latent: Float[Array, "n l"]
  gan_image: Float[Array, "h w 3"]
  code: Float[Array, " l"]  # mapping of the zero latent, half way
  code_latent: Float[Array, " l"]  # and to its end


def prepare_project(
  system: System, frozen: Params, picture: Picture, canonical: Reconstruction
) -> ProjectData:
  """Collects what stays the same throughout steps 2 and the collection."""
  mask = canonical.mask
  code = system.map_head(frozen)
  return ProjectData(
    canonical=canonical,
    sample_mask=mask if system.use_object_mask else jnp.ones_like(mask),
    latent=picture.latent,
    gan_image=picture.gan_image,
    code=code,
    code_latent=system.map_tail(frozen, code),
  )


class Samples(NamedTuple):
  """Pictures of the object under other views and lights.

  Attributes:
    image: in [-1, 1].
    mask: weights of the pixels.
    view: the raw views that they were rendered in.
    light: the unit vectors of the light that they were rendered in.
  """

  image: Float[Array, "*n h w 3"]
  mask: Float[Array, "*n h w"]
  view: Float[Array, "*n 6"]
  light: Float[Array, "*n 3"]


class Change(NamedTuple):
  """The view and light of a pseudo-sample, in raw units (see `decode.py`)."""

  view: Float[Array, " 6"]
  light: priors.LightChange


def sample_change(system: System, key: PRNGKeyArray) -> Change:
  """Draws the view and light of a pseudo-sample."""
  light_key, view_key = jax.random.split(key)
  return Change(
    view=system.sample_view(view_key), light=system.sample_light(light_key)
  )


def render_pseudo(system: System, data: ProjectData, change: Change) -> Samples:
  """Renders the shape under another view and light (a pseudo-sample)."""
  canonical = data.canonical
  light = priors.relight(canonical.light, change.light)
  pose = system.decode_view(change.view)
  texture = shading.apply_shading(
    canonical.albedo, shading.shade(canonical.normal, light)
  )
  rendering = compose.render_view(canonical.depth, texture, pose, system.camera)
  mask = sampling.sample_nearest(data.sample_mask[..., None], rendering.grid)
  return Samples(rendering.image, mask[..., 0], change.view, light.direction)


def encode(
  system: System,
  params: Params,
  frozen: Params,
  data: ProjectData,
  images: Float[Array, "n h w 3"],
) -> Float[Array, "n l"]:
  """By how much the latents of pictures differ from the picture's own.

  The encoder's answer enters the mapping network part of the way, which keeps
  the offset inside the latent distribution (section 3.3 of the paper).
  """
  encoder = system.networks.encoder.apply
  code = jax.vmap(lambda image: encoder(params["encoder"], image))(images)
  if system.relative_encoding:
    code = code - encoder(params["encoder"], data.gan_image)
  tail = jax.vmap(lambda code: system.map_tail(frozen, code))
  return tail(code + data.code) - data.code_latent


def draw(
  system: System,
  frozen: Params,
  data: ProjectData,
  offset: Float[Array, "n l"],
) -> Float[Array, "n h w 3"]:
  """What the GAN draws at offsets from the picture's own latent."""
  latents = data.latent + offset[:, None]
  return jax.vmap(lambda latent: system.synthesize(frozen, latent))(latents)


def project(
  system: System,
  params: Params,
  frozen: Params,
  data: ProjectData,
  images: Float[Array, "n h w 3"],
) -> Float[Array, "n h w 3"]:
  """Projects pictures onto the GAN's manifold near the picture's own latent."""
  offset = encode(system, params, frozen, data, images)
  return draw(system, frozen, data, offset)


def project_loss(
  system: System,
  params: Params,
  frozen: Params,
  data: ProjectData,
  key: PRNGKeyArray,
  flip: bool,
) -> Loss:
  """Distance of fresh pseudo-samples from their projections (equation 3)."""
  del flip
  pseudo = sample_batch(system, key, data)
  offset = encode(system, params, frozen, data, pseudo.image)
  projected = draw(system, frozen, data, offset)
  features = jax.vmap(lambda image: system.features(frozen, image))
  feature = losses.feature_distance(
    features(projected),
    features(pseudo.image),
    pseudo.mask,
    across=sample_axis(),
  )
  return _total(
    {
      "pixel": losses.photometric(
        projected, pseudo.image, pseudo.mask, across=sample_axis()
      ),
      "feature": feature,
      "offset": system.offset_weight * losses.latent_offset(offset),
    }
  )


def collect(
  system: System,
  params: Params,
  frozen: Params,
  data: ProjectData,
  key: PRNGKeyArray,
) -> Samples:
  """One batch of fresh projected samples for step 3."""
  pseudo = sample_batch(system, key, data)
  image = project(system, params, frozen, data, pseudo.image)
  return all_samples(pseudo._replace(image=image))


def sample_batch(
  system: System, key: PRNGKeyArray, data: ProjectData
) -> Samples:
  """A batch of fresh pseudo-samples; this device's part of it."""
  keys = jax.random.split(key, system.batch_size)
  change = jax.vmap(lambda key: sample_change(system, key))(my_samples(keys))
  return jax.vmap(lambda change: render_pseudo(system, data, change))(change)


# --- Step 3: shape. ----------------------------------------------------------


class ShapeData(NamedTuple):
  """The picture and its projected samples: the pool, or a batch of it.

  `depth` is the canonical one that the samples are renderings of.
  """

  image: Float[Array, "h w 3"]
  depth: Float[Array, "h w"]
  samples: Samples


def draw_batch(
  data: ShapeData,
  key: PRNGKeyArray,
  *,
  picture: Int[Array, ""],
  visit: Int[Array, ""],
  size: int,
) -> ShapeData:
  """Takes one picture and a batch of its samples out of the pool.

  Args:
    data: of all pictures, with a leading axis `p` on every leaf.
    key: of the order of the samples, the same at every visit.
    picture: index of the picture.
    visit: how often it has had its turn before. The batches of successive
      visits go through its samples in shuffled epochs.
    size: of the batch.
  """
  count = data.samples.mask.shape[1]
  batches = count // size
  epoch_key = jax.random.fold_in(
    jax.random.fold_in(key, picture), visit // batches
  )
  order = jax.random.permutation(epoch_key, count)
  index = jax.lax.dynamic_slice_in_dim(order, visit % batches * size, size)
  samples = jax.tree.map(lambda x: x[picture, index], data.samples)
  return ShapeData(data.image[picture], data.depth[picture], samples)


def shape_loss(
  system: System,
  params: Params,
  frozen: Params,
  data: ShapeData,
  key: PRNGKeyArray,
  flip: bool,
) -> Loss:
  """One shape and albedo explain the picture and a batch of samples (eq. 4)."""
  del key
  batch = my_samples(data.samples)
  depth = with_mirror(inference.predict_depth(system, params, data.image), flip)
  albedo = system.networks.albedo.apply(params["albedo"], data.image)
  albedo = with_mirror(albedo, flip)
  normal = jax.vmap(lambda d: geometry.normals_from_depth(d, system.camera))(
    depth
  )

  def explain(image):
    """Renders all shapes in the view and light of one picture."""
    view = inference.predict_view(system, params, image)
    pose = system.decode_view(view)
    light = inference.predict_light(system, params, image)
    texture = shading.apply_shading(albedo, shading.shade(normal, light))
    render = jax.vmap(
      lambda d, t: compose.render_view(d, t, pose, system.camera)
    )
    rendering = render(depth, texture)
    return rendering.image, jnp.prod(rendering.mask, axis=0), light, view

  # The picture itself goes first in one batch with its samples.
  images = jnp.concatenate([data.image[None], batch.image])
  rendered, mask, light, view = jax.vmap(explain)(images)
  mask = mask.at[1:].multiply(batch.mask)

  features = lambda image: system.perceptual.features(frozen, image)  # noqa: E731
  distance = jax.vmap(system.perceptual.distance, in_axes=(0, None))

  def perceptual_distance(rendered, image, mask):
    mask = mask[..., None]
    return distance(jax.vmap(features)(rendered * mask), features(image * mask))

  perceptual = jax.vmap(perceptual_distance)(rendered, images, mask).sum(1)

  def pixel(rendered, image, mask, across=None):
    compare = partial(losses.photometric, across=across)
    return jax.vmap(compare, (1, None, None))(rendered, image, mask).sum()

  direction = light.direction[0]
  smooth = jax.vmap(losses.smoothness)(depth) + jax.vmap(
    lambda n: losses.smoothness(shading.lambertian(n, direction))
  )(normal)
  return _total(
    {
      "pixel": pixel(rendered[:1], images[:1], mask[:1]),
      "perceptual": system.perceptual_weight * perceptual[0],
      "smooth": system.smooth_weight * smooth.mean(),
      "sample_pixel": pixel(rendered[1:], images[1:], mask[1:], sample_axis()),
      "sample_perceptual": system.perceptual_weight * perceptual[1:].mean(),
      "sample_view": system.view_weight
      * jnp.mean((view[1:, :3] - batch.view[:, :3]) ** 2),
      "sample_light": system.light_weight
      * jnp.mean((light.direction[1:] - batch.light) ** 2),
      "trust": system.trust_weight
      * losses.trust_region(depth[0], data.depth, radius=system.trust_radius),
    }
  )


def _total(terms: Terms) -> Loss:
  return Loss(sum(terms.values()), terms)


# By the steps of the schedule.
LOSSES = {
  "prior": prior_loss,
  "albedo": albedo_loss,
  "project": project_loss,
  "shape": shape_loss,
}
