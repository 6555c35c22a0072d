import functools

import jax
import jax.numpy as jnp
import numpy as np

from gan2shape_jax.inversion import learning_rate_ramp, make_inverter
from gan2shape_jax.latent_space import LatentSpace, latent_space
from gan2shape_jax.models import discriminator, stylegan2
from gan2shape_jax.models.architecture import Architecture

LAYERS, CHANNELS, SIZE = 3, 4, 8
SPACE = LatentSpace(
  mean=jnp.array([0.5, -0.2, 0.0, 0.1]),
  axes=jnp.array(
    [[1.0, 0, 0, 0], [0, 0.8, 0.6, 0], [0, -0.6, 0.8, 0], [0, 0, 0, 1.5]]
  ),
)


def toy_weights(seed=0):
  """Every channel of every layer has a pattern of its own."""
  shape = (LAYERS, CHANNELS, SIZE, SIZE, 3)
  return {"patterns": 0.2 * jax.random.normal(jax.random.key(seed), shape)}


def toy_synthesize(frozen, latent):
  return jnp.einsum("nl,nlhwc->hwc", latent, frozen["patterns"])


toy_draw = jax.vmap(toy_synthesize, (None, 0))


def toy_features(frozen, image):
  del frozen
  return (image[::2, ::2], image[::4, ::4] ** 2)


def toy_inverter(**options):
  options = {
    "steps": 200,
    "learning_rate": 0.1,
    "regular_weight": 0.0,
    "apart_weight": 0.0,
  } | options
  return make_inverter(
    synthesize=options.pop("synthesize", toy_synthesize),
    features=options.pop("features", toy_features),
    n_latent=LAYERS,
    **options,
  )


def test_latent_of_a_drawn_picture_is_found():
  offsets = np.random.default_rng(0).normal(size=(2, 1, CHANNELS))
  latents = jnp.repeat(SPACE.latent(offsets), LAYERS, axis=1)
  images = toy_draw(toy_weights(), latents)
  found = toy_inverter(steps=400)(toy_weights(), images, SPACE)
  assert found.shape == (2, LAYERS, CHANNELS)
  np.testing.assert_allclose(found, latents, atol=0.02)
  np.testing.assert_allclose(
    *(jnp.clip(x, -1, 1) for x in (toy_draw(toy_weights(), found), images)),
    rtol=0,
    atol=0.02,
  )


def test_one_latent_for_each_layer_draws_more():
  offsets = np.random.default_rng(1).normal(size=(1, LAYERS, CHANNELS))
  latents = SPACE.latent(offsets)
  images = toy_draw(toy_weights(), latents)

  def invert(**options):
    totals = []
    found = toy_inverter(**options)(
      toy_weights(),
      images,
      SPACE,
      progress=lambda _, losses: totals.append(losses["total"][0]),
    )
    return found, totals[-1]

  one, distance = invert(steps=400)
  assert np.ptp(one, axis=1).max() == 0
  each, shorter_distance = invert(steps=100, steps_w_plus=400)
  np.testing.assert_allclose(each, latents, atol=0.02)
  assert shorter_distance < 0.05 * distance


def test_regulariser_holds_latents_at_the_mean():
  images = jnp.ones((1, SIZE, SIZE, 3))
  free, held = (
    toy_inverter(regular_weight=weight)(toy_weights(), images, SPACE)
    for weight in (0.0, 1e3)
  )
  middle = SPACE.latent(np.zeros(CHANNELS))
  assert np.abs(held - middle).max() < 0.01
  assert np.abs(free - middle).max() > 0.1


def test_layers_are_held_together():
  offsets = np.random.default_rng(1).normal(size=(1, LAYERS, CHANNELS))
  images = toy_draw(toy_weights(), SPACE.latent(offsets))
  free, held = (
    toy_inverter(steps=100, steps_w_plus=200, apart_weight=weight)(
      toy_weights(), images, SPACE
    )
    for weight in (0.0, 1e3)
  )
  assert np.ptp(held, axis=1).max() < 0.01
  assert np.ptp(free, axis=1).max() > 0.1


def test_pictures_do_not_influence_each_other():
  images = jax.random.uniform(
    jax.random.key(2), (2, SIZE, SIZE, 3), minval=-1, maxval=1
  )
  invert = toy_inverter(steps=30)
  both = invert(toy_weights(), images, SPACE)
  for i in range(2):
    one = invert(toy_weights(), images[i : i + 1], SPACE)
    np.testing.assert_allclose(both[i], one[0], atol=1e-4)


def test_progress_hears_of_chunks_and_losses():
  heard = []
  invert = toy_inverter(steps=12, steps_w_plus=10, chunk=8)
  images = jnp.zeros((2, SIZE, SIZE, 3))
  invert(toy_weights(), images, SPACE, progress=lambda *x: heard.append(x))
  assert [done for done, _ in heard] == [8, 12, 20, 22]
  for _, losses in heard:
    parts = [losses[k] for k in ("pixel", "feature", "regular", "apart")]
    np.testing.assert_allclose(losses["total"], sum(parts), rtol=1e-5)
    assert losses["total"].shape == (2,)
  assert (heard[-1][1]["total"] < heard[0][1]["total"]).all()


def test_the_search_begins_in_the_middle_of_the_latents():
  images = jnp.full((1, SIZE, SIZE, 3), 0.3)
  heard = []
  invert = toy_inverter(steps=5, chunk=1, pixel_weight=3.0)
  invert(toy_weights(), images, SPACE, progress=lambda *x: heard.append(x))
  middle = SPACE.latent(jnp.zeros((LAYERS, CHANNELS)))
  image = toy_synthesize(toy_weights(), middle)
  expected = 3 * np.abs(image - images[0]).mean()
  np.testing.assert_allclose(heard[0][1]["pixel"], [expected], rtol=1e-5)


def test_features_of_the_targets_are_read_once():
  calls = []

  def counted(frozen, image):
    jax.debug.callback(lambda: calls.append(0))
    return toy_features(frozen, image)

  invert = toy_inverter(features=counted, steps=6)
  found = invert(toy_weights(), jnp.zeros((1, SIZE, SIZE, 3)), SPACE)
  jax.block_until_ready(found)
  jax.effects_barrier()
  # Once for the target, once per iteration.
  assert len(calls) == 1 + 6


def test_weights_are_arguments_of_the_compiled_step():
  traces = []

  def traced(frozen, latent):
    traces.append(0)
    return toy_synthesize(frozen, latent)

  invert = toy_inverter(synthesize=traced, steps=200)
  latent = SPACE.latent(np.full((1, 1, CHANNELS), 0.5)).repeat(LAYERS, 1)
  counts = []
  for seed in (0, 1):
    weights = toy_weights(seed)
    images = toy_draw(weights, latent)
    found = invert(weights, images, SPACE)
    counts.append(len(traces))
    np.testing.assert_allclose(found, latent, atol=0.05)
  assert counts[0] == counts[1]


def test_learning_rate_rises_and_falls():
  rate = learning_rate_ramp(0.1, 100)
  rates = np.array([rate(step) for step in range(101)])
  assert rates[0] > 0
  np.testing.assert_allclose(rates[10:75], 0.1, rtol=1e-5)
  np.testing.assert_allclose(rates[100], 0, atol=1e-8)
  assert (np.diff(rates[:6]) > 0).all() and (np.diff(rates[76:]) < 0).all()


def test_inversion_with_a_stylegan2():
  arch = Architecture((8, 8), latent_size=8, mapping_layers=2)

  @jax.jit
  def init(key):
    keys = jax.random.split(key)
    return {
      "generator": stylegan2.init_generator(keys[0], arch),
      "discriminator": discriminator.init_discriminator(keys[1], arch),
    }

  frozen = init(jax.random.key(0))
  synthesize = functools.partial(stylegan2.synthesize, arch=arch)
  features = functools.partial(
    discriminator.discriminator_features, arch=arch, count=1
  )
  invert = make_inverter(
    synthesize=lambda frozen, w: synthesize(frozen["generator"], w),
    features=lambda frozen, image: features(frozen["discriminator"], image),
    n_latent=arch.n_latent,
    steps=150,
  )
  space = latent_space(frozen["generator"], arch)
  z = jax.random.normal(jax.random.key(1), (2, 8))
  w = stylegan2.map_latent(frozen["generator"], z, arch=arch)
  draw = jax.jit(jax.vmap(synthesize, (None, 0)))
  images = draw(frozen["generator"], w)
  found = invert(frozen, images, space)
  mean = draw(frozen["generator"], w.mean(0, keepdims=True))
  error = jnp.abs(draw(frozen["generator"], found) - images).mean()
  assert error < 0.2 * jnp.abs(mean - images).mean()
