"""Adversarial losses against numpy and against plain double gradients."""

import jax
import jax.numpy as jnp
import numpy as np

from gan2shape_jax.gan import losses
from gan2shape_jax.models.architecture import Architecture
from gan2shape_jax.models.discriminator import (
  discriminate,
  init_discriminator,
)


def normal(seed, *shape):
  return jax.random.normal(jax.random.key(seed), shape)


def test_logistic_losses():
  real, fake = np.array([2.0, -1.0]), np.array([0.5, -3.0])
  expected = np.log1p(np.exp(-real)).mean() + np.log1p(np.exp(fake)).mean()
  np.testing.assert_allclose(
    losses.discriminator_loss(real, fake), expected, rtol=1e-6
  )
  np.testing.assert_allclose(
    losses.generator_loss(fake), np.log1p(np.exp(-fake)).mean(), rtol=1e-6
  )


def test_gradient_penalty_is_that_of_a_double_gradient():
  arch = Architecture((4, 4))
  params = jax.jit(lambda k: init_discriminator(k, arch))(jax.random.key(0))
  images = normal(1, 4, 8, 8, 3)

  def direct(params):
    slope = jax.grad(lambda x: jnp.sum(discriminate(params, x, arch=arch)))
    return jnp.sum(jnp.square(slope(images))) / len(images)

  def ours(params):
    return losses.gradient_penalty(
      lambda x: discriminate(params, x, arch=arch), images
    )

  value, grads = jax.jit(jax.value_and_grad(direct))(params)
  our_value, our_grads = jax.jit(jax.value_and_grad(ours))(params)
  np.testing.assert_allclose(our_value, value, rtol=1e-5)
  scale = max(float(jnp.max(jnp.abs(g))) for g in jax.tree.leaves(grads))
  for g, ours in zip(
    jax.tree.leaves(grads), jax.tree.leaves(our_grads), strict=True
  ):
    np.testing.assert_allclose(ours, g, atol=1e-4 * scale)


def test_path_lengths_of_a_linear_generator():
  """|J^T y|, rms over rows, with y = noise / sqrt(pixels)."""
  jacobian = normal(2, 3, 4, 2 * 2 * 3)
  w, noise = normal(3, 5, 3, 4), normal(4, 5, 2, 2, 3)

  def synthesize(w):
    return jnp.einsum("bnl,nlp->bp", w, jacobian).reshape(-1, 2, 2, 3)

  slope = jnp.einsum("nlp,bp->bnl", jacobian, noise.reshape(5, -1)) / 2
  expected = jnp.sqrt(jnp.mean(jnp.sum(slope**2, -1), -1))
  actual = losses.path_lengths(synthesize, w, noise)
  np.testing.assert_allclose(actual, expected, rtol=1e-5)


def test_path_length_of_a_constant_generator_has_a_finite_gradient():
  def length(scale):
    return jnp.sum(
      losses.path_lengths(
        lambda w: scale * w[:, :1, :3].reshape(-1, 1, 1, 3),
        jnp.ones((2, 2, 4)),
        jnp.zeros((2, 1, 1, 3)),
      )
    )

  assert np.isfinite(jax.grad(length)(0.0))
