"""What the configuration's weights and crop make of a system."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ml_collections import FrozenConfigDict
from random_gan import ARCH
from tiny_system import picture, tiny_system, weights

from configs import tiny
from gan2shape_jax.errors import UserError
from gan2shape_jax.models.lpips import init_lpips
from gan2shape_jax.system import make_system
from gan2shape_jax.weights import save_weights


def test_gan_images_are_cropped_like_the_pictures():
  config = tiny.get_config()
  config.data.crop = 32
  cropped = make_system(FrozenConfigDict(config), ARCH, source_size=64)
  frozen, latent = weights()[1], picture().latent
  whole = jax.jit(tiny_system().synthesize)(frozen, latent)
  # Twice the size, of which the crop is the middle half.
  expected = jax.image.resize(whole, (64, 64, 3), "bilinear")[16:48, 16:48]
  image = jax.jit(cropped.synthesize)(frozen, latent)
  np.testing.assert_allclose(image, expected, atol=1e-5)
  assert np.abs(image - whole).mean() > 0.01


def test_views_have_the_distribution_of_the_folder(tmp_path):
  factor = np.random.default_rng(0).normal(size=(6, 6)).astype(np.float32)
  mean = np.arange(6, dtype=np.float32)
  save_weights(tmp_path / "v", {"mean": mean, "cov": factor @ factor.T}, {})
  system = tiny_system(**{"weights.view": str(tmp_path / "v")})
  assert system.view_mean == tuple(mean)
  keys = jax.random.split(jax.random.key(0), 4000)
  views = np.asarray(jax.vmap(system.sample_view)(keys))
  spread = np.sqrt(np.diag(factor @ factor.T))
  assert (np.abs(views.mean(0) - mean) < 0.1 * spread).all()
  np.testing.assert_allclose(
    np.cov(views.T) / np.outer(spread, spread),
    factor @ factor.T / np.outer(spread, spread),
    atol=0.1,
  )


def test_only_the_mean_of_lights_counts(tmp_path):
  mean = np.array([0.1, -0.2, 0.3, 0.4], np.float32)
  gaussian = {"mean": mean, "cov": np.eye(4, dtype=np.float32)}
  save_weights(tmp_path / "l", gaussian, {})
  system = tiny_system(**{"weights.light": str(tmp_path / "l")})
  np.testing.assert_allclose(system.light_mean, mean)
  key = jax.random.key(0)
  jax.tree.map(
    np.testing.assert_array_equal,
    system.sample_light(key),
    tiny_system().sample_light(key),
  )
  with pytest.raises(UserError, match="l: holds no distribution of 6"):
    tiny_system(**{"weights.view": str(tmp_path / "l")})


def test_lpips_takes_the_discriminators_place():
  system = tiny_system(**{"weights.lpips": "somewhere"})
  lpips = init_lpips(jax.random.key(0), width=4)
  frozen = weights()[1] | {"lpips": lpips}
  image = picture().image
  read = jax.jit(system.perceptual.features)
  same, other = read(frozen, image), read(frozen, -image)
  assert [x.shape[-1] for x in same] == [4, 8, 16, 32, 32]
  assert system.perceptual.distance(same, same) == 0
  assert system.perceptual.distance(same, other) > 0
  silent = jax.tree.map(jnp.zeros_like, lpips)
  assert all((x == 0).all() for x in read(frozen | {"lpips": silent}, image))
