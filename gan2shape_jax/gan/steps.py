"""The four updates of StyleGAN2 training as jitted, donated functions.

One iteration is `discriminator`, `r1` (every so often), `generator`, `path`
(every so often), in the reference's order. The batch is sharded over the
mesh axis "batch" and everything else is replicated, so the numbers do not
depend on the number of devices beyond rounding.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from gan2shape_jax import convolutions
from gan2shape_jax.gan import losses
from gan2shape_jax.gan.pictures import to_float
from gan2shape_jax.gan.state import Hyper, optimizers
from gan2shape_jax.models.architecture import Architecture
from gan2shape_jax.models.discriminator import discriminate
from gan2shape_jax.models.stylegan2 import map_latent, noise_sides, synthesize


class Steps(NamedTuple):
  """(state, pictures) or (state) -> (state, metrics); state is donated."""

  discriminator: Callable
  r1: Callable
  generator: Callable
  path: Callable


def make_steps(arch: Architecture, hyper: Hyper, mesh: Mesh) -> Steps:
  """Compiles lazily for uint8 batches [hyper.batch, h, w, 3]."""
  generator_adam, discriminator_adam = optimizers(hyper)

  def split(x):
    return jax.lax.with_sharding_constraint(
      x, NamedSharding(mesh, PartitionSpec("batch"))
    )

  def step_key(state, salt):
    return jax.random.fold_in(jax.random.fold_in(state.key, state.step), salt)

  def fakes(key, params, batch):
    latent_key, noise_key = jax.random.split(key)
    w = sample_latents(latent_key, params, batch)
    return render(params, noise_key, w)

  def sample_latents(key, params, batch):
    z_key, mix_key = jax.random.split(key)
    z = split(jax.random.normal(z_key, (batch, 2, arch.latent_size)))
    w = map_latent(params, z, arch=arch)
    return split(mix_latents(mix_key, w, arch.n_latent, hyper.mixing))

  def render(params, key, w):
    noise = tuple(
      split(jax.random.normal(k, (len(w), side, side)))
      for k, side in _keys(key, noise_sides(arch))
    )
    picture = jax.vmap(lambda w, n: synthesize(params, w, arch=arch, noise=n))
    return picture(w, noise or None)

  def reals(key, pictures):
    x = to_float(split(pictures))
    if hyper.mirror:
      flip = jax.random.bernoulli(key, 0.5, (len(x), 1, 1, 1))
      x = jnp.where(flip, x[:, :, ::-1], x)
    return x

  def update_discriminator(state, grads):
    updates, moments = discriminator_adam.update(
      grads, state.discriminator_moments
    )
    return state.replace(
      discriminator=optax.apply_updates(state.discriminator, updates),
      discriminator_moments=moments,
    )

  def update_generator(state, grads):
    updates, moments = generator_adam.update(grads, state.generator_moments)
    return state.replace(
      generator=optax.apply_updates(state.generator, updates),
      generator_moments=moments,
    )

  def discriminator(state, pictures):
    flip_key, fake_key = jax.random.split(step_key(state, 0))
    real = reals(flip_key, pictures)
    fake = fakes(fake_key, state.generator, hyper.batch)

    def loss(params):
      real_logits = discriminate(params, real, arch=arch)
      fake_logits = discriminate(params, fake, arch=arch)
      aux = {"real": jnp.mean(real_logits), "fake": jnp.mean(fake_logits)}
      return losses.discriminator_loss(real_logits, fake_logits), aux

    grad = jax.value_and_grad(loss, has_aux=True)
    (value, aux), grads = grad(state.discriminator)
    return update_discriminator(state, grads), {"d_loss": value, **aux}

  def r1(state, pictures):
    # Salt 0 again: the penalty sees the pictures that the loss saw.
    flip_key, _ = jax.random.split(step_key(state, 0))
    real = reals(flip_key, pictures)

    def loss(params):
      penalty = losses.gradient_penalty(
        lambda x: discriminate(params, x, arch=arch), real
      )
      return 0.5 * hyper.r1_weight * hyper.r1_every * penalty, penalty

    grads, penalty = jax.grad(loss, has_aux=True)(state.discriminator)
    return update_discriminator(state, grads), {"r1": penalty}

  def generator(state):
    def loss(params):
      fake = fakes(step_key(state, 1), params, hyper.batch)
      return losses.generator_loss(
        discriminate(state.discriminator, fake, arch=arch)
      )

    value, grads = jax.value_and_grad(loss)(state.generator)
    state = update_generator(state, grads)
    seen = (state.step + 1) * hyper.batch
    # A fresh average must not remember the random start for long.
    half_life = jnp.minimum(hyper.ema_half_life, 0.1 * seen)
    decay = 0.5 ** (hyper.batch / half_life)
    average = optax.incremental_update(
      state.generator, state.average, 1 - decay
    )
    state = state.replace(average=average, step=state.step + 1)
    return state, {"g_loss": value}

  def path(state):
    keys = jax.random.split(step_key(state, 2), 3)
    latent_key, noise_key, direction_key = keys
    batch = max(1, hyper.batch // 2)

    def loss(params):
      w = sample_latents(latent_key, params, batch)
      size = (batch, arch.image_size, arch.image_size, 3)
      lengths = losses.path_lengths(
        lambda w: render(params, noise_key, w),
        w,
        split(jax.random.normal(direction_key, size)),
      )
      now = jax.lax.stop_gradient(jnp.mean(lengths))
      # From the first one on, lest a trained GAN (`Run.start`) is drawn to 0.
      before = jnp.where(state.path_mean == 0, now, state.path_mean)
      mean = before + hyper.path_decay * (now - before)
      penalty = jnp.mean(jnp.square(lengths - mean))
      return hyper.path_weight * hyper.path_every * penalty, (mean, penalty)

    grads, (mean, penalty) = jax.grad(loss, has_aux=True)(state.generator)
    state = update_generator(state, grads).replace(path_mean=mean)
    return state, {"path": penalty, "path_mean": mean}

  options = convolutions.for_batches()
  jitted = (
    jax.jit(f, donate_argnums=0, compiler_options=options)
    for f in (discriminator, r1, generator, path)
  )
  return Steps(*jitted)


def mix_latents(key, w, n_latent, probability):
  """Rows [b, n, l] from two latents each, [b, 2, l].

  With `probability` the second takes over from a row uniform in 1..n-1;
  otherwise all rows are the first.
  """
  coin_key, row_key = jax.random.split(key)
  b = w.shape[0]
  mixed = jax.random.bernoulli(coin_key, probability, (b, 1))
  row = jax.random.randint(row_key, (b, 1), 1, n_latent)
  second = mixed & (jnp.arange(n_latent) >= row)
  return jnp.where(second[..., None], w[:, 1:], w[:, :1])


def _keys(key, items):
  """Pairs of a key of its own and each item."""
  return [(jax.random.fold_in(key, i), item) for i, item in enumerate(items)]
