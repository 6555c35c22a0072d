"""The generator against a naive per-sample numpy one, and its properties."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from resample_test import correlate, transposed_conv, upfirdn

from gan2shape_jax.models import architecture, stylegan2
from gan2shape_jax.models.architecture import Architecture

ARCH = Architecture((6, 5, 4), latent_size=7, mapping_layers=3)


@pytest.fixture(scope="module")
def params():
  """Parameters with every leaf, zero at first or not, at random."""
  leaves, tree = jax.tree.flatten(
    jax.eval_shape(
      lambda k: stylegan2.init_generator(k, ARCH), jax.random.key(0)
    )
  )
  rng = np.random.default_rng(1)
  leaves = [rng.normal(size=x.shape).astype(np.float32) for x in leaves]
  return jax.tree.unflatten(tree, leaves)


# Compiled once per shape, which is much faster than op by op.
synthesize = jax.jit(stylegan2.synthesize, static_argnames="arch")
init_generator = jax.jit(stylegan2.init_generator, static_argnums=1)
map_latent = jax.jit(
  stylegan2.map_latent, static_argnames=("arch", "first", "last")
)


def latents(*shape):
  return np.random.default_rng(2).normal(size=shape).astype(np.float32)


def numpy_leaky_relu(x):
  return np.sqrt(2) * np.where(x > 0, x, 0.2 * x)


def numpy_style(p, w):
  return w @ p["kernel"] / np.sqrt(len(w)) + p["bias"]


def numpy_styled(p, x, w, *, up):
  """One kernel per sample; the stored kernel of an up layer is flipped."""
  c = x.shape[-1]
  kernel = p["kernel"] * numpy_style(p["modulation"], w)[:, None]
  kernel = kernel / np.sqrt(9 * c)
  kernel = kernel / np.sqrt((kernel**2).sum((0, 1, 2)) + 1e-8)
  if up:
    y = transposed_conv(x[None], kernel[::-1, ::-1])
    y = upfirdn(y, pad=(1, 1), gain=4)[0]
  else:
    y = correlate(np.pad(x, ((1, 1), (1, 1), (0, 0)))[None], kernel)[0]
  y = y + p["noise_strength"] * p["noise"][..., None]
  return numpy_leaky_relu(y + p["bias"])


def numpy_rgb(p, x, w):
  style = numpy_style(p["modulation"], w)
  kernel = p["kernel"][0, 0] * style[:, None] / np.sqrt(x.shape[-1])
  return x @ kernel + p["bias"]


def numpy_synthesize(p, w):
  x = numpy_styled(p["conv_4"], p["constant"], w[0], up=False)
  rgb = numpy_rgb(p["rgb_4"], x, w[1])
  for b, side in enumerate((8, 16)):
    x = numpy_styled(p[f"up_{side}"], x, w[2 * b + 1], up=True)
    x = numpy_styled(p[f"conv_{side}"], x, w[2 * b + 2], up=False)
    rgb = upfirdn(rgb[None], up=2, pad=(2, 1), gain=4)[0]
    rgb = rgb + numpy_rgb(p[f"rgb_{side}"], x, w[2 * b + 3])
  return rgb


def test_synthesis_matches_numpy_everywhere(params):
  w = latents(ARCH.n_latent, ARCH.latent_size)
  actual = synthesize(params, w, arch=ARCH)
  expected = numpy_synthesize(params["synthesis"], w)
  assert actual.shape == (16, 16, 3)
  np.testing.assert_allclose(actual, expected, atol=1e-4)


def test_one_latent_is_every_row(params):
  w = latents(ARCH.latent_size)
  rows = np.broadcast_to(w, (ARCH.n_latent, ARCH.latent_size))
  np.testing.assert_array_equal(
    synthesize(params, w, arch=ARCH),
    synthesize(params, rows, arch=ARCH),
  )


def test_vmap_is_a_loop_without_grouped_convolutions(params):
  w = latents(3, ARCH.latent_size)

  def batch(w):
    return jax.vmap(lambda w: synthesize(params, w, arch=ARCH))(w)

  each = [synthesize(params, row, arch=ARCH) for row in w]
  np.testing.assert_allclose(batch(w), np.stack(each), atol=1e-5)
  text = str(jax.make_jaxpr(batch)(w))
  assert text.count("feature_group_count") == text.count(
    "feature_group_count=1\n"
  )
  # Three layers are one convolution, two that double the side are four each.
  assert text.count("feature_group_count") == 3 + 2 * 4


def test_noise_can_be_replaced(params):
  w = latents(ARCH.latent_size)
  assert stylegan2.noise_sides(ARCH) == (4, 8, 8, 16, 16)
  stored = tuple(
    params["synthesis"][f"{kind}_{side}"]["noise"]
    for kind, side in (
      ("conv", 4),
      ("up", 8),
      ("conv", 8),
      ("up", 16),
      ("conv", 16),
    )
  )
  plain = synthesize(params, w, arch=ARCH)
  same = synthesize(params, w, arch=ARCH, noise=stored)
  np.testing.assert_array_equal(plain, same)
  other = (*stored[:-1], stored[-1] + 1)
  other = synthesize(params, w, arch=ARCH, noise=other)
  assert np.abs(other - plain).max(-1).min() > 1e-3


def test_without_noise_there_are_no_noise_leaves():
  arch = Architecture((4, 4), latent_size=4, mapping_layers=1, noise=False)
  assert stylegan2.noise_sides(arch) == ()
  shapes = jax.eval_shape(
    lambda k: stylegan2.init_generator(k, arch), jax.random.key(0)
  )
  assert "noise" not in str(jax.tree_util.tree_structure(shapes))
  picture = jax.eval_shape(
    lambda p, w: stylegan2.synthesize(p, w, arch=arch),
    shapes,
    jax.ShapeDtypeStruct((4,), np.float32),
  )
  assert picture.shape == (8, 8, 3)


def test_mapping_matches_numpy(params):
  z = latents(5, ARCH.latent_size)
  x = z / np.sqrt((z**2).mean(-1, keepdims=True) + 1e-8)
  for i in range(1, 4):
    p = params["mapping"][f"dense_{i}"]
    x = x @ p["kernel"] * 0.01 / np.sqrt(7) + 0.01 * p["bias"]
    x = numpy_leaky_relu(x)
  actual = map_latent(params, z, arch=ARCH)
  np.testing.assert_allclose(actual, x, rtol=1e-4)


@pytest.mark.parametrize("middle", [0, 1, 3, 4])
def test_partial_passes_compose(params, middle):
  z = latents(ARCH.latent_size)
  first = map_latent(params, z, arch=ARCH, last=middle)
  both = map_latent(params, first, arch=ARCH, first=middle)
  np.testing.assert_array_equal(both, map_latent(params, z, arch=ARCH))
  # Layer 0 alone is the pixel norm; no layer at all is the identity.
  if middle == 0:
    np.testing.assert_array_equal(first, z)
  if middle == 1:
    np.testing.assert_allclose(np.mean(first**2), 1, rtol=1e-5)


def test_truncation_is_a_line_through_the_mean():
  w, mean = latents(2, 4)
  np.testing.assert_allclose(stylegan2.truncate(w, mean, 1.0), w, atol=1e-6)
  np.testing.assert_array_equal(stylegan2.truncate(w, mean, 0.0), mean)


def test_a_random_picture_is_that_of_its_truncated_latent(params):
  z, mean = latents(ARCH.latent_size), np.ones(ARCH.latent_size, np.float32)
  picture, w = stylegan2.generate(params, z, arch=ARCH, mean=mean, psi=0.25)
  expected = 0.75 + 0.25 * map_latent(params, z, arch=ARCH)
  np.testing.assert_allclose(w, expected, rtol=1e-5, atol=1e-5)
  np.testing.assert_allclose(
    picture, synthesize(params, w, arch=ARCH), rtol=1e-3, atol=1e-3
  )
  _, whole = stylegan2.generate(params, z, arch=ARCH)
  np.testing.assert_allclose(whole, map_latent(params, z, arch=ARCH), rtol=1e-5)


def test_fresh_networks_keep_the_variance_near_one():
  """The equalised scales are right: neither vanishing nor exploding."""
  arch = Architecture((64, 64), latent_size=64, mapping_layers=8)
  params = init_generator(jax.random.key(0), arch)
  z = latents(16, 64)
  w = map_latent(params, z, arch=arch)
  assert 0.3 < np.std(w) < 2
  images = jax.vmap(lambda w: synthesize(params, w, arch=arch))(w)
  assert 0.3 < np.std(images) < 5


def test_gradient_of_a_zero_latent_is_finite(params):
  def energy(z):
    w = map_latent(params, z, arch=ARCH)
    return jnp.sum(jnp.square(synthesize(params, w, arch=ARCH)))

  grad = jax.jit(jax.grad(energy))(jnp.zeros(ARCH.latent_size))
  assert np.isfinite(grad).all()


# Sizes of the original checkpoints.
@pytest.mark.parametrize(
  ("arch", "rows", "maps", "total", "mapping"),
  [
    (architecture.config_e(128), 12, 11, 24_525_213, 2_101_248),
    (architecture.config_e(256), 14, 13, 24_767_458, 2_101_248),
    (architecture.config_f(256), 14, 13, 30_034_338, 2_101_248),
    (architecture.config_f(512), 16, 15, 30_276_583, 2_101_248),
  ],
)
def test_presets_have_the_references_sizes(arch, rows, maps, total, mapping):
  shapes = jax.eval_shape(
    lambda k: stylegan2.init_generator(k, arch), jax.random.key(0)
  )
  sides = stylegan2.noise_sides(arch)
  buffers = sum(s * s for s in sides)
  assert (arch.n_latent, len(sides)) == (rows, maps)
  assert sides == tuple(2 ** ((i + 5) // 2) for i in range(maps))
  assert count(shapes["mapping"]) == mapping
  assert count(shapes) - buffers == total


def count(tree):
  return sum(x.size for x in jax.tree.leaves(tree))


def test_architecture_survives_json_and_is_hashable():
  text = json.dumps(ARCH.to_dict())
  assert Architecture.from_dict(json.loads(text)) == ARCH
  assert hash(Architecture.from_dict(json.loads(text))) == hash(ARCH)


def test_presets_refuse_sizes_that_are_no_powers_of_two():
  with pytest.raises(ValueError, match="power of two"):
    architecture.config_e(96)
