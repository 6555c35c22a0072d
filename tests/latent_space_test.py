import jax
import numpy as np

from gan2shape_jax.latent_space import fit_latent_space, latent_space
from gan2shape_jax.models import stylegan2
from gan2shape_jax.models.architecture import Architecture


def folded_normal(count, size=5, seed=0):
  """Samples of a normal distribution that went through a leaky ReLU."""
  rng = np.random.default_rng(seed)
  factor = rng.normal(size=(size, size)) * np.logspace(0, -2, size)
  x = rng.normal(size=size) + rng.normal(size=(count, size)) @ factor
  return np.where(x < 0, 0.2 * x, x), factor


def test_coordinates_have_the_distribution_of_the_latents():
  w, factor = folded_normal(100_000)
  space = fit_latent_space(w)
  covariance = space.axes.T @ space.axes
  np.testing.assert_allclose(
    covariance, factor.T @ factor, atol=0.02 * np.abs(covariance).max()
  )
  # Its axes are the principal ones.
  gram = space.axes @ space.axes.T
  off_diagonal = gram - np.diag(np.diag(gram))
  assert np.abs(off_diagonal).max() < 1e-6 * np.diag(gram).max()

  coordinates = np.random.default_rng(1).normal(size=(100_000, w.shape[1]))
  drawn = np.asarray(space.latent(coordinates))
  np.testing.assert_allclose(drawn.mean(0), w.mean(0), atol=0.03 * w.std())
  for q in (0.05, 0.5, 0.95):
    np.testing.assert_allclose(
      np.quantile(drawn, q, axis=0), np.quantile(w, q, axis=0), atol=0.05
    )


def test_a_direction_without_variance_stays_without():
  w, _ = folded_normal(1000)
  w = np.concatenate([w, np.full((1000, 1), 0.3)], axis=1)
  space = fit_latent_space(w)
  drawn = space.latent(np.random.default_rng(1).normal(size=(50, w.shape[1])))
  np.testing.assert_allclose(drawn[:, -1], 0.3, atol=1e-4)


def test_space_of_a_generator():
  arch = Architecture((8, 8), latent_size=8, mapping_layers=3)
  params = stylegan2.init_generator(jax.random.key(0), arch)
  space = latent_space(params, arch)
  z = jax.random.normal(jax.random.key(5), (4000, 8))
  w = np.asarray(stylegan2.map_latent(params, z, arch=arch))
  x = np.where(w < 0, w / 0.2, w)
  coordinates = np.linalg.solve(space.axes.T, (x - space.mean).T).T
  np.testing.assert_allclose(space.latent(coordinates), w, atol=1e-4)
  np.testing.assert_allclose(coordinates.mean(0), 0, atol=0.1)
  np.testing.assert_allclose(np.cov(coordinates.T), np.eye(8), atol=0.15)
