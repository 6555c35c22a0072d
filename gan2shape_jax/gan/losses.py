"""Adversarial losses and regularisers of StyleGAN2.

Logits are positive for "real". The functions to differentiate are passed in;
nothing here knows a network.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


def discriminator_loss(
  real: Float[Array, " b"], fake: Float[Array, " b"]
) -> Float[Array, ""]:
  """Logistic loss: mean softplus(-D(x)) + mean softplus(D(G(z)))."""
  return jnp.mean(jax.nn.softplus(-real)) + jnp.mean(jax.nn.softplus(fake))


def generator_loss(fake: Float[Array, " b"]) -> Float[Array, ""]:
  """Non-saturating loss: mean softplus(-D(G(z)))."""
  return jnp.mean(jax.nn.softplus(-fake))


def gradient_penalty(
  discriminate: Callable, images: Float[Array, "b h w 3"]
) -> Float[Array, ""]:
  """R1: mean over the batch of |grad_x D(x)|^2, for real pictures.

  The derivative of |g|^2 with respect to D's parameters is that of 2 v.g with
  v = g held constant, and v.g is a forward-mode derivative of D along v. So no
  convolution of a backward pass is differentiated again, which costs the CPU
  back end five times as much.
  """
  v = jax.grad(lambda x: jnp.sum(discriminate(x)))(images)
  v = jax.lax.stop_gradient(v)
  _, slope = jax.jvp(discriminate, (images,), (v,))
  constant = jax.lax.stop_gradient(jnp.sum(slope))
  return (2 * jnp.sum(slope) - constant) / images.shape[0]


def path_lengths(
  synthesize: Callable,
  w: Float[Array, "b n l"],
  noise: Float[Array, "b h w 3"],
) -> Float[Array, " b"]:
  """|J^T y| per example, rms over the n rows of w (StyleGAN2, section 3.2).

  Args:
    synthesize: latents [b, n, l] -> pictures [b, h, w, 3].
    w: latents, one row per layer.
    noise: standard normal pictures; scaled to y = noise / sqrt(h w) here.
  """
  y = noise / jnp.sqrt(noise.shape[1] * noise.shape[2])
  slope = jax.grad(lambda w: jnp.sum(synthesize(w) * y))(w)
  # An epsilon keeps the gradient finite for a latent nothing depends on.
  return jnp.sqrt(jnp.mean(jnp.sum(slope * slope, -1), -1) + 1e-12)
