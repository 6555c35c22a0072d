from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny_system import picture, tiny_system, weights

from gan2shape_jax import programs, steps
from gan2shape_jax.schedule import TRAINABLE

KEY = jax.random.key(3)


def canonical(system):
  params, _ = weights()
  return programs.reconstruct(system)(params, picture())


def project_data(system):
  _, frozen = weights()
  data = programs.prepare_project(system)(frozen, picture(), canonical(system))
  return data


def test_offset_enters_the_mapping_part_of_the_way():
  system, (_, frozen) = tiny_system(), weights()
  code = system.map_head(frozen)
  zero = jnp.zeros(system.architecture.latent_size)
  np.testing.assert_allclose(
    system.map_tail(frozen, code), system.map_latent(frozen, zero), atol=1e-6
  )


def test_projecting_the_gan_image_returns_it():
  """With relative encoding nothing is to be changed: E(x) - E(x) = 0."""
  system, (params, frozen) = tiny_system(), weights()
  data, images = project_data(system), picture().gan_image[None]
  encode = jax.jit(partial(steps.encode, system))
  project = jax.jit(partial(steps.project, system))
  offset = encode(params, frozen, data, images)
  np.testing.assert_allclose(offset, 0, atol=1e-5)
  projected = project(params, frozen, data, images)
  np.testing.assert_allclose(projected, images, atol=1e-4)


def sampler(system, data):
  """`key -> Samples`, one pseudo-sample."""

  @jax.jit
  def sample(key):
    change = steps.sample_change(system, key)
    return steps.render_pseudo(system, data, change)

  return sample


def test_without_variation_a_pseudo_sample_is_the_mean_view():
  system = tiny_system(
    **{
      "view.std": (0.0,) * 6,
      "view.mean": (0.1, 0.3, 0.0, 0.0, 0.0, 0.0),
      "light.x": (0.2, 0.2),
      "light.y": (0.4, 0.4),
      "light.diffuse": (0.0, 0.0),
    }
  )
  data = project_data(system)
  sample = sampler(system, data)
  first, second = sample(KEY), sample(jax.random.key(4))
  np.testing.assert_allclose(first.image, second.image, atol=1e-6)
  light = data.canonical.light
  direction = np.array([0.2, 0.4, 1.0])
  direction /= np.linalg.norm(direction)
  shading = light.ambient + light.diffuse * np.maximum(
    np.asarray(data.canonical.normal) @ direction, 0
  )
  texture = (np.asarray(data.canonical.albedo) + 1) * shading[..., None] - 1
  pose = system.decode_view(jnp.array(system.view_mean))
  expected = steps.compose.render_view(
    data.canonical.depth, jnp.asarray(texture), pose, system.camera
  )
  np.testing.assert_allclose(first.image, expected.image, atol=1e-5)


def test_pseudo_samples_vary_with_the_key():
  system = tiny_system()
  data = project_data(system)
  sample = sampler(system, data)
  difference = sample(KEY).image - sample(jax.random.key(4)).image
  assert jnp.abs(difference).max() > 1e-3


def loss_and_data(step, system, flip=False):
  params, frozen = weights()
  if step == "prior":
    return steps.prior_loss, steps.prepare_prior(system, picture())
  if step == "albedo":
    found = programs.reconstruct(system)(params, picture())
    data = steps.prepare_albedo(system, frozen, picture(), found, flip)
    return steps.albedo_loss, data
  if step == "project":
    return steps.project_loss, project_data(system)
  start = project_data(system)
  samples = steps.collect(system, params, frozen, start, KEY)
  depth = start.canonical.depth
  return steps.shape_loss, steps.ShapeData(picture().image, depth, samples)


@pytest.mark.parametrize("step", ["prior", "albedo", "project", "shape"])
def test_terms_add_up_and_reach_what_the_step_trains(step):
  system, (params, frozen) = tiny_system(), weights()

  @jax.jit
  def gradient(params):
    function, data = loss_and_data(step, system)

    def loss(params):
      found = function(system, params, frozen, data, KEY, False)
      return found.total, found.terms

    return jax.value_and_grad(loss, has_aux=True)(params)

  (total, terms), slopes = gradient(params)
  np.testing.assert_allclose(total, sum(terms.values()), rtol=1e-6)
  reached = {
    name
    for name, slope in slopes.items()
    if any(jnp.any(leaf != 0) for leaf in jax.tree.leaves(slope))
  }
  assert reached == set(TRAINABLE[step])
  assert all(jnp.isfinite(leaf).all() for leaf in jax.tree.leaves(slopes))


def test_views_and_lights_are_compared_with_those_of_the_rendering():
  """The terms are 0 in the paper's setting, and leave shifts alone."""
  (params, frozen), weight = weights(), 3.0
  paper = tiny_system()
  tied = tiny_system(**{"loss.view": weight, "loss.light": weight})
  _, data = loss_and_data("shape", paper)

  def terms(system_is_tied, view, light):
    system = tied if system_is_tied else paper
    samples = data.samples._replace(view=view, light=light)
    found = steps.shape_loss(
      system, params, frozen, data._replace(samples=samples), KEY, False
    )
    return found.terms["sample_view"], found.terms["sample_light"]

  terms = jax.jit(terms, static_argnums=0)

  def read(image):
    light = steps.inference.predict_light(paper, params, image)
    view = steps.inference.predict_view(paper, params, image)
    return view, light.direction

  view, light = jax.vmap(read)(data.samples.image)
  turned = view.at[:, 1].add(0.3).at[:, 3:].add(1.0)
  moved = light.at[:, 1].add(0.6)
  np.testing.assert_array_equal(terms(False, turned, moved), 0)
  np.testing.assert_allclose(terms(True, view, light), 0, atol=1e-5)
  found = terms(True, turned, moved)
  expected = weight / 3 * np.square([0.3, 0.6])
  np.testing.assert_allclose(found, expected, rtol=1e-3)


def test_shapes_keep_to_the_one_that_the_samples_show():
  """The term is 0 in the paper's setting, and where nothing moved."""
  params, frozen = weights()
  _, data = loss_and_data("shape", tiny_system())
  moved = data._replace(depth=data.depth + 0.03)

  def term(weight, data):
    system = tiny_system(**{"loss.trust": weight, "loss.trust_radius": 0.01})
    loss = jax.jit(lambda *args: steps.shape_loss(system, *args, KEY, True))
    return loss(params, frozen, data).terms["trust"]

  assert term(0.0, moved) == term(5.0, data) == 0
  np.testing.assert_allclose(term(5.0, moved), 5 * 4, rtol=1e-4)


def test_mirror_image_of_a_symmetric_shape_counts_the_same():
  """Where depth and albedo are symmetric, flipping doubles the data terms."""
  system, (params, frozen) = tiny_system(), weights()
  symmetric = steps.AlbedoData(
    image=picture().image,
    shading=jnp.ones((1, 32, 32)),
    grid=jnp.stack(jnp.meshgrid(*[jnp.linspace(-1, 1, 32)] * 2), -1)[None],
    mask=jnp.ones((32, 32)),
    features=system.perceptual.features(frozen, picture().image),
  )
  doubled = symmetric._replace(
    shading=jnp.ones((2, 32, 32)), grid=jnp.tile(symmetric.grid, (2, 1, 1, 1))
  )
  flat = jax.tree.map(jnp.zeros_like, params["albedo"])  # grey everywhere
  params = params | {"albedo": flat}

  @jax.jit
  def both():
    return [
      steps.albedo_loss(system, params, frozen, data, KEY, flip).total
      for data, flip in ((symmetric, False), (doubled, True))
    ]

  once, twice = both()
  np.testing.assert_allclose(twice, 2 * once, rtol=1e-6)


def test_batches_of_an_epoch_hold_each_sample_of_a_picture_once():
  pool = steps.Samples(
    image=jnp.arange(24.0).reshape(2, 12, 1),
    mask=jnp.ones((2, 12)),
    view=jnp.zeros((2, 12, 6)),
    light=jnp.zeros((2, 12, 3)),
  )
  data = steps.ShapeData(jnp.arange(2), jnp.arange(2) + 5, pool)

  @jax.jit
  def draw(visit):
    batch = steps.draw_batch(
      data, KEY, picture=jnp.int32(1), visit=visit, size=3
    )
    return batch.image + batch.depth, batch.samples.image.ravel()

  epochs = []
  for epoch in (0, 1):
    images, parts = zip(*[draw(epoch * 4 + i) for i in range(4)], strict=True)
    assert set(map(int, images)) == {1 + 6}
    epochs.append(np.concatenate(parts))
    np.testing.assert_array_equal(np.sort(epochs[-1]), np.arange(12, 24))
  assert (epochs[0] != epochs[1]).any()
