"""Refined projections, on random weights."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from steps_test import project_data
from tiny_system import tiny_system, weights

from gan2shape_jax import refinement, steps

KEY = jax.random.key(3)


@functools.cache
def searching(**changes):
  """A system, and a search that begins: `(system, data, search)`."""
  system, (params, frozen) = tiny_system(**changes), weights()
  data = project_data(system)
  begin = jax.jit(functools.partial(refinement.begin, system))
  return system, data, begin(params, frozen, data, KEY)


def loss_of(system, data, search):
  """The losses of the samples, one by one."""

  @jax.jit
  def each(offset):
    parts = jax.tree.map(
      lambda x: x[:, None], (search.pseudo, search.features, offset)
    )
    loss = functools.partial(refinement.refine_loss, system, weights()[1], data)
    return jax.lax.map(lambda part: loss(*part), parts)

  return each(search.offset)


def refined(system, data, search, *, iterations=5):
  frozen = weights()[1]
  refine = jax.jit(functools.partial(refinement.refine, system))
  for _ in range(iterations):
    search = refine(search, frozen, data)
  return search


def test_it_begins_with_what_the_encoder_says():
  system, data, search = searching()
  params, frozen = weights()
  collect = jax.jit(functools.partial(steps.collect, system))
  end = jax.jit(functools.partial(refinement.end, system))
  expected = collect(params, frozen, data, KEY)
  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, atol=1e-5),
    end(search, frozen, data),
    expected,
  )


def test_every_sample_gets_nearer():
  system, data, search = searching(
    **{"refine.iterations": 20, "refine.learning_rate": 0.02}
  )
  after = refined(system, data, search, iterations=20)
  before = loss_of(system, data, search)
  assert (loss_of(system, data, after) < 0.98 * before).all()
  jax.tree.map(np.testing.assert_array_equal, after.pseudo, search.pseudo)


def test_samples_do_not_know_of_each_other():
  system, data, search = searching()
  together = refined(system, data, search)
  twice = jax.tree.map(lambda x: x[jnp.array([1, 1])], search)
  np.testing.assert_allclose(
    refined(system, data, twice).offset[0], together.offset[1], atol=1e-5
  )


def test_loss_is_squared_distance_under_the_mask():
  """By NumPy, of the pixels and of features at every resolution."""
  system, data, search = searching(**{"refine.offset": 0.5})
  frozen = weights()[1]
  image = steps.draw(system, frozen, data, search.offset)
  found = jax.vmap(lambda x: system.features(frozen, x))(image)
  expected = 0.5 * np.mean(np.square(search.offset), 1)
  pairs = zip(
    (image, *found), (search.pseudo.image, *search.features), strict=True
  )
  for a, b in pairs:
    side = a.shape[1]
    mask = np.asarray(search.pseudo.mask)
    mask = mask.reshape(len(mask), side, 32 // side, side, 32 // side)
    weight = np.broadcast_to(mask.mean((2, 4))[..., None], a.shape)
    error = np.square(np.asarray(a) - np.asarray(b))
    expected += (weight * error).sum((1, 2, 3)) / weight.sum((1, 2, 3))
  np.testing.assert_allclose(loss_of(system, data, search), expected, rtol=1e-4)
