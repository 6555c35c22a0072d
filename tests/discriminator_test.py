"""The discriminator against a naive numpy one, its features, its sizes."""

import jax
import numpy as np
import pytest
from resample_test import correlate, upfirdn
from stylegan2_test import count, numpy_leaky_relu

from gan2shape_jax.models import architecture, discriminator
from gan2shape_jax.models.architecture import Architecture

ARCH = Architecture((6, 5, 4))


@pytest.fixture(scope="module")
def params():
  shapes = jax.eval_shape(
    lambda k: discriminator.init_discriminator(k, ARCH), jax.random.key(0)
  )
  rng = np.random.default_rng(1)
  return jax.tree.map(
    lambda x: rng.normal(size=x.shape).astype(np.float32), shapes
  )


discriminate = jax.jit(discriminator.discriminate, static_argnames="arch")
discriminator_features = jax.jit(
  discriminator.discriminator_features, static_argnames=("arch", "count")
)


def images(b, side=16):
  rng = np.random.default_rng(2)
  return rng.uniform(-1, 1, (b, side, side, 3)).astype(np.float32)


def scaled(p):
  return p["kernel"] / np.sqrt(np.prod(p["kernel"].shape[:-1]))


def numpy_conv3(p, x):
  x = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
  return numpy_leaky_relu(correlate(x, scaled(p)) + p["bias"])


def numpy_blocks(params, x):
  x = numpy_leaky_relu(x @ scaled(params["rgb"])[0, 0] + params["rgb"]["bias"])
  for side in (16, 8):
    p = params[f"block_{side}"]
    y = upfirdn(numpy_conv3(p["conv1"], x), pad=(2, 2))
    y = correlate(y, scaled(p["conv2"]), stride=2)
    y = numpy_leaky_relu(y + p["conv2"]["bias"])
    skip = upfirdn(x, pad=(1, 1), down=2) @ scaled(p["skip"])[0, 0]
    x = (y + skip) / np.sqrt(2)
    yield x


def numpy_discriminate(params, x):
  *_, x = numpy_blocks(params, x)
  b = len(x)
  group = min(b, 4)
  extra = np.empty((*x.shape[:3], 1))
  for m in range(b // group):
    members = [m + k * (b // group) for k in range(group)]
    extra[members] = np.sqrt(x[members].var(0) + 1e-8).mean()
  x = numpy_conv3(params["final_conv"], np.concatenate([x, extra], -1))
  for name in ("final_dense", "score"):
    p = params[name]
    x = x.reshape(b, -1)
    x = x @ p["kernel"] / np.sqrt(x.shape[-1]) + p["bias"]
    if name == "final_dense":
      x = numpy_leaky_relu(x)
  return x[:, 0]


@pytest.mark.parametrize("b", [2, 8])
def test_logits_match_numpy(params, b):
  actual = discriminate(params, images(b), arch=ARCH)
  expected = numpy_discriminate(params, images(b))
  assert actual.shape == (b,)
  np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("side", [16, 8])
def test_features_match_numpy_at_full_and_smaller_size(params, side):
  x = images(1, side)
  actual = discriminator_features(params, x[0], arch=ARCH, count=2)
  expected = [y[0] for y in numpy_blocks(params, x)]
  assert [y.shape for y in actual] == [
    (side // 2, side // 2, 5),
    (side // 4, side // 4, 6),
  ]
  for a, e in zip(actual, expected, strict=True):
    np.testing.assert_allclose(a, e, rtol=1e-4, atol=1e-4)


def test_count_limits_the_features(params):
  x = images(1)[0]
  one = discriminator_features(params, x, arch=ARCH, count=1)
  two = discriminator_features(params, x, arch=ARCH, count=2)
  assert len(one) == 1
  np.testing.assert_array_equal(one[0], two[0])


# Parameters of the original networks.
@pytest.mark.parametrize(
  ("arch", "total", "features"),
  [
    (architecture.config_e(128), 23_882_369, [256, 512, 512, 512]),
    (architecture.config_e(256), 24_001_089, [128, 256, 512, 512]),
    (architecture.config_f(256), 28_864_129, [256, 512, 512, 512]),
    (architecture.config_f(512), 28_982_849, [128, 256, 512, 512]),
  ],
)
def test_presets_have_the_references_sizes(arch, total, features):
  shapes = jax.eval_shape(
    lambda k: discriminator.init_discriminator(k, arch), jax.random.key(0)
  )
  assert count(shapes) == total
  maps = jax.eval_shape(
    lambda p, x: discriminator.discriminator_features(p, x, arch=arch),
    shapes,
    jax.ShapeDtypeStruct((64, 64, 3), np.float32),
  )
  sides = [(m.shape[0], m.shape[2]) for m in maps]
  assert sides == list(zip([32, 16, 8, 4], features, strict=True))
