"""The frozen networks in bfloat16: where it is, and what error it makes.

A bfloat16 has 8 significant bits, so rounding to it is wrong by at most
U = 2^-8 of a number. A layer rounds its map and its kernel: as independent
errors, uniform up to U, they are sqrt(2 / 3) U of the result at most, and
sqrt(2 L / 3) U after L layers that neither amplify nor dampen errors. Trained
layers do amplify them, as they take differences of neighbours: twice is the
bound here. The bundled discriminator has one of its own, three, measured and
not derived: it amplifies them 2.2 to 2.6 times. Half as long trained, it kept
within two.
"""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from random_gan import ARCH
from tiny_system import picture, tiny_system, weights

from gan2shape_jax import inference, losses, steps
from gan2shape_jax.gan.bundle import load_gan
from gan2shape_jax.models import lpips, stylegan2
from gan2shape_jax.models.discriminator import discriminator_features
from gan2shape_jax.models.frozen import cast_kernels

U = 2.0**-8
KEY = jax.random.key(0)


def bound(layers, amplified=2):
  return amplified * U * (2 * layers / 3) ** 0.5


def frozen(dtype):
  """Random weights of the GAN and of LPIPS."""
  perceptual = lpips.init_lpips(KEY, width=4)
  return cast_kernels(weights()[1] | {"lpips": perceptual}, dtype)


# --- Where it is. ------------------------------------------------------------


def test_kernels_of_convolutions_are_cast():
  kept, cast = [], []
  for path, leaf in jax.tree.leaves_with_path(frozen("bfloat16")):
    (cast if leaf.dtype == jnp.bfloat16 else kept).append(
      jax.tree_util.keystr(path, simple=True, separator="/")
    )
    assert leaf.dtype in (jnp.bfloat16, jnp.float32)
  assert len(cast) == 11 + 9 + 1 + 13  # generator, blocks, head, VGG
  assert all(path.endswith("/kernel") for path in cast)
  # The mapping network, styles, heads, and what reads the colours.
  kinds = "mapping|modulation|discriminator/(rgb|final_dense|score)"
  kept = [path for path in kept if path.endswith("/kernel")]
  assert kept and all(re.search(kinds, path) for path in kept)


def convolutions(function, *args):
  """The types of a program's convolutions, and the program."""
  text = jax.jit(function).lower(*args).as_text()
  pattern = r"stablehlo\.convolution\(.*-> tensor<[0-9x]*x(\w+)>"
  found = re.findall(pattern, text)
  assert len(found) == text.count("stablehlo.convolution(")
  return found, text


def synthesize(frozen, latent):
  return stylegan2.synthesize(frozen["generator"], latent, arch=ARCH)


def features(frozen, image):
  return tiny_system().features(frozen, image)


def perceptual(frozen, image):
  return lpips.features(frozen["lpips"], image)


@pytest.mark.parametrize(
  ("network", "argument"),
  [(synthesize, "latent"), (features, "image"), (perceptual, "image")],
)
def test_a_network_convolves_in_the_type_that_is_asked_for(network, argument):
  argument = getattr(picture(), argument)

  def energy(argument, frozen):
    outputs = jax.tree.leaves(network(frozen, argument))
    assert all(x.dtype == jnp.float32 for x in outputs)
    return sum(jnp.vdot(x, x) for x in outputs)

  slope = jax.grad(energy)
  single, text = convolutions(slope, argument, frozen("float32"))
  assert "bf16" not in text and set(single) == {"f32"}
  half, _ = convolutions(slope, argument, frozen("bfloat16"))
  assert half == ["bf16"] * len(single)


def project_data(system, params, frozen):
  canonical = inference.reconstruct(system, params, picture())
  return steps.prepare_project(system, frozen, picture(), canonical)


def test_what_is_trained_stays_float32():
  """Step 2: all networks but the encoder are bfloat16."""
  system, (params, _) = tiny_system(), weights()

  def projection(encoder, data, frozen):
    networks = params | {"encoder": encoder}
    return steps.project_loss(system, networks, frozen, data, KEY, False).total

  def encoding(encoder, data):
    code = lambda image: system.networks.encoder.apply(encoder, image)  # noqa: E731
    images = jnp.zeros((system.batch_size, *data.gan_image.shape))
    return jnp.sum(jnp.square(jax.vmap(code)(images) - code(data.gan_image)))

  encoder = params["encoder"]
  data = jax.eval_shape(lambda: project_data(system, params, frozen("float32")))
  alone, _ = convolutions(jax.grad(encoding), encoder, data)
  slope = jax.grad(projection)
  single, _ = convolutions(slope, encoder, data, frozen("float32"))
  half, _ = convolutions(slope, encoder, data, frozen("bfloat16"))
  assert half.count("f32") == len(alone)
  assert half.count("bf16") == len(single) - len(alone) > 20
  slopes = jax.eval_shape(slope, encoder, data, frozen("bfloat16"))
  assert all(x.dtype == jnp.float32 for x in jax.tree.leaves(slopes))


# --- What error it makes. ----------------------------------------------------


def relative_error(found, expected):
  error = jnp.mean(jnp.square(found - expected))
  return jnp.sqrt(error / jnp.mean(jnp.square(expected)))


def cosine(a, b):
  """Also shows that no component is NaN or infinite."""
  a, b = (jax.flatten_util.ravel_pytree(tree)[0] for tree in (a, b))
  return jnp.vdot(a, b) / (jnp.linalg.norm(a) * jnp.linalg.norm(b))


class Bundled:
  """The demo's GAN: what it draws, and what it sees."""

  def __init__(self):
    gan = load_gan("assets/demo/gan")
    self.arch, self.weights = gan.arch, gan.weights()
    self.half = cast_kernels(self.weights, "bfloat16")
    z = jax.random.normal(KEY, (4, gan.arch.latent_size))
    w = stylegan2.map_latent(gan.generator, z, arch=gan.arch)
    self.latents = stylegan2.truncate(w, gan.mean_latent, 0.7)
    self.images = jax.jit(self.draw)(self.weights, self.latents)

  def draw(self, weights, latents):
    params = weights["generator"]
    draw = lambda w: stylegan2.synthesize(params, w, arch=self.arch)  # noqa: E731
    return jax.vmap(draw)(latents)

  def read(self, weights, images):
    params = weights["discriminator"]
    read = lambda x: discriminator_features(params, x, arch=self.arch)  # noqa: E731
    return jax.vmap(read)(images)

  def loss(self, latents, weights):
    """Of an inversion whose targets are other pictures."""
    images, targets = self.draw(weights, latents), self.images[::-1]
    everywhere = jnp.ones(images.shape[:-1])
    return losses.feature_distance(
      self.read(weights, images), self.read(weights, targets), everywhere
    ) + losses.photometric(images, targets, everywhere)


@pytest.fixture(scope="module")
def bundled():
  return Bundled()


def test_error_of_a_trained_generator(bundled):
  images = jax.jit(bundled.draw)(bundled.half, bundled.latents)
  assert 0 < relative_error(images, bundled.images) < bound(10)
  # On average less than half of a step of 8 bits.
  assert jnp.abs(images - bundled.images).mean() < 1 / 255


def test_error_of_a_trained_discriminator(bundled):
  read = jax.jit(bundled.read)
  expected = read(bundled.weights, bundled.images)
  found = read(bundled.half, bundled.images)
  for block, (a, b) in enumerate(zip(found, expected, strict=True), start=1):
    assert 0 < relative_error(a, b) < bound(2 * block, amplified=3)


def test_error_of_lpips():
  image, other = picture().image, picture().image[::-1]
  read = jax.jit(perceptual)
  pairs = [
    [read(weights, x) for x in (image, other)]
    for weights in (frozen("bfloat16"), frozen("float32"))
  ]
  layers = (2, 4, 7, 10, 13)
  for count, a, b in zip(layers, pairs[0][0], pairs[1][0], strict=True):
    assert 0 < relative_error(a, b) < bound(count)
  found, expected = (lpips.distance(*pair) for pair in pairs)
  np.testing.assert_allclose(found, expected, rtol=bound(13))


def test_gradients_of_a_trained_gan(bundled):
  slope = jax.jit(jax.value_and_grad(bundled.loss))
  total, gradient = slope(bundled.latents, bundled.weights)
  found, rounded = slope(bundled.latents, bundled.half)
  np.testing.assert_allclose(found, total, rtol=bound(8))
  assert rounded.dtype == jnp.float32
  for a, b in zip(rounded, gradient, strict=True):
    assert cosine(a, b) > 0.97
