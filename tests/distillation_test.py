"""An ensemble's mean answers, and a student that learns them."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny_system import tiny_system, weights

from gan2shape_jax import distillation
from gan2shape_jax.models.networks import init_networks
from gan2shape_jax.render import compose, geometry, shading


@functools.cache
def members():
  """Two sets of random networks, whose depths have limits of their own."""
  far = tiny_system(**{"camera.depth_min": 1.0, "camera.depth_max": 1.2})
  other = jax.jit(functools.partial(init_networks, far.networks))
  return (
    distillation.Member(tiny_system(), weights()[0]),
    distillation.Member(far, other(jax.random.key(5))),
  )


@functools.cache
def images():
  return np.random.default_rng(0).uniform(-1, 1, (3, 32, 32, 3)).astype("f4")


@functools.cache
def answers_of(number):
  """What a member says of each of the pictures."""
  system, params = members()[number]
  answer = functools.partial(distillation.answer, system, params)
  return jax.jit(jax.vmap(answer))(images())


def render(system, answers):
  """The picture that the answers describe."""
  light = answers.light
  normal = geometry.normals_from_depth(answers.depth, system.camera)
  texture = shading.apply_shading(answers.albedo, shading.shade(normal, light))
  pose = system.decode_view(answers.view)
  return compose.render_view(answers.depth, texture, pose, system.camera).image


def one(answers):
  return jax.tree.map(lambda x: x[0], answers)


def check_equal(a, b, atol=1e-5):
  jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=atol), a, b)


def test_mirrored_answers_describe_the_mirror_image():
  system = tiny_system(
    **{"view.max_translation": 0.1, "view.max_translation_z": 0.1}
  )
  y, x = jnp.mgrid[:32, :32] / 31 - 0.5
  some = one(answers_of(0))
  answers = some._replace(
    depth=1.0 + 0.03 * jnp.sin(4 * x + 2) + 0.02 * jnp.cos(5 * y),
    view=jnp.array([0.05, 0.2, -0.1, 0.3, 0.2, -0.4]),
    light=some.light.replace(direction=jnp.array([0.6, -0.3, 0.74])),
  )
  draw = jax.jit(functools.partial(render, system))
  picture = draw(answers)
  mirrored = draw(distillation.mirror(answers))
  # At the rim one of the two looks beyond the map, where it is extended.
  np.testing.assert_allclose(
    mirrored[:, ::-1][4:-4, 4:-4], picture[4:-4, 4:-4], atol=0.02
  )
  assert np.abs(mirrored - picture).mean() > 0.1
  check_equal(distillation.mirror(distillation.mirror(answers)), answers, 0)


def test_symmetric_answers_are_symmetric():
  system, params = members()[0]
  answer = jax.jit(
    functools.partial(distillation.symmetric_answer, system, params)
  )
  image = images()[0]
  check_equal(answer(image[:, ::-1]), distillation.mirror(answer(image)))


def test_mean_over_members_and_mirror_images():
  batches = []
  mean = distillation.mean_answers(
    (members()[0], members()[1], members()[1]),
    images(),
    batch_size=2,
    progress=batches.append,
  )
  assert batches == [1, 2]
  symmetric = [
    jax.jit(
      jax.vmap(functools.partial(distillation.symmetric_answer, *member))
    )(images())
    for member in members()
  ]
  expected = jax.tree.map(lambda a, b: (a + 2 * b) / 3, *symmetric)
  check_equal(mean, expected)
  assert mean.depth.shape == (3, 32, 32)


def test_a_student_learns_the_answers_and_keeps_its_encoder():
  system, params = members()[0]
  targets = answers_of(1)._replace(depth=answers_of(0).depth[:, ::-1])
  losses = []

  def taught(iterations):
    return distillation.teach(
      distillation.Member(system, params),
      images(),
      targets,
      jax.random.key(0),
      iterations=iterations,
      batch_size=2,
      learning_rate=3e-3,
      chunk=20,
      progress=lambda done, loss: losses.append((done, loss)),
    )

  result = taught(50)
  assert [done for done, _ in losses] == [20, 40, 50]

  @jax.jit
  def error(params):
    answer = functools.partial(distillation.answer, system, params)
    distance = functools.partial(distillation.distance, system)
    return jax.vmap(distance)(jax.vmap(answer)(images()), targets).mean()

  # What the caller handed over is still there to be compared with.
  assert error(result) < 0.3 * error(params)
  check_equal(result["encoder"], params["encoder"], 0)


@pytest.mark.parametrize("name", distillation.Answers._fields)
def test_the_distance_sees_every_answer(name):
  system, a = tiny_system(), one(answers_of(0))
  b = a._replace(**{name: jax.tree.map(lambda x: x + 0.01, getattr(a, name))})
  distance = jax.jit(functools.partial(distillation.distance, system))
  assert float(distance(a, a)) == 0
  depth_range = system.camera.depth_max - system.camera.depth_min
  expected = {"depth": (0.01 / depth_range) ** 2, "light": 3e-4}
  np.testing.assert_allclose(
    distance(a, b), expected.get(name, 1e-4), rtol=1e-2
  )
