"""The five networks: counts, shapes, plain convolutions, PyTorch parity."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan2shape_jax.models import networks as networks_lib
from gan2shape_jax.models.networks import build_networks, init_networks

SMALL = {
  "latent_size": 16,
  "width": 4,
  "max_channels": 16,
  "code_size": 8,
  "encoder_width": 4,
}


def count(tree):
  return sum(leaf.size for leaf in jax.tree.leaves(tree))


def abstract_params(networks):
  return jax.eval_shape(
    lambda key: init_networks(networks, key), jax.random.key(0)
  )


@pytest.mark.parametrize(
  "image_size, expected",
  [
    (64, (12_979_648, 12_982_848, 6_952_960, 6_951_936, 3_565_504)),
    (128, (12_947_680, 12_949_280, 6_984_192, 6_983_168, 13_789_632)),
  ],
)
def test_parameter_counts_are_the_references(image_size, expected):
  params = abstract_params(build_networks(image_size))
  names = ("depth", "albedo", "view", "light", "encoder")
  assert {n: count(params[n]) for n in names} == dict(
    zip(names, expected, strict=True)
  )


def test_view_and_light_of_unsup3d():
  params = abstract_params(build_networks(64, width=32))
  assert count(params["view"]) == 1_739_776
  assert count(params["light"]) == 1_739_264


def test_outputs_of_one_image():
  networks = build_networks(32, **SMALL)
  params = init_networks(networks, jax.random.key(0))
  image = jax.random.uniform(jax.random.key(1), (32, 32, 3), minval=-1)
  shapes = {"depth": (32, 32), "albedo": (32, 32, 3), "view": (6,)}
  shapes |= {"light": (4,), "encoder": (16,)}
  for name, shape in shapes.items():
    output = jax.jit(getattr(networks, name).apply)(params[name], image)
    assert output.shape == shape and output.dtype == jnp.float32
    assert output.std() > 0
    if name in ("albedo", "view", "light"):
      assert jnp.abs(output).max() < 1


def test_channels_stop_at_the_maximum():
  params = abstract_params(build_networks(64, **SMALL))
  sizes = [leaf.shape for leaf in jax.tree.leaves(params["depth"])]
  assert max(max(shape) for shape in sizes) == 16


def test_initial_weights_are_pytorchs():
  networks = build_networks(32, width=32, code_size=32, encoder_width=16)
  params = init_networks(networks, jax.random.key(0))
  # in * k * k for convolutions, out * k * k for transposed ones.
  fans = {
    ("depth", "down_4", "kernel"): 64 * 16,
    ("albedo", "full_1", "kernel"): 32 * 25,
    ("depth", "up_16", "kernel"): 32 * 16,
    ("depth", "up_4", "kernel"): 128 * 16,
    ("light", "code", "kernel"): 128 * 16,
    ("encoder", "block_4", "conv2", "kernel"): 64 * 9,
    ("encoder", "block_4", "shortcut", "bias"): 32,
  }
  for path, fan_in in fans.items():
    leaf = params
    for name in path:
      leaf = leaf[name]
    bound = fan_in**-0.5
    assert 0.9 * bound < jnp.abs(leaf).max() <= bound
    np.testing.assert_allclose(leaf.std(), bound / 3**0.5, rtol=0.15)
    assert jnp.abs(leaf.mean()) < 0.2 * bound
  norm = params["depth"]["down_16_norm"]
  assert (norm["scale"] == 1).all() and (norm["bias"] == 0).all()


def test_keys_and_networks_differ():
  networks = build_networks(32, **SMALL)
  a, b = (init_networks(networks, jax.random.key(i)) for i in range(2))
  view = a["view"]["code"]["kernel"]
  assert not jnp.allclose(view, b["view"]["code"]["kernel"])
  assert not jnp.allclose(view, a["light"]["code"]["kernel"])


def test_init_can_be_vmapped_over_keys():
  network = build_networks(32, **SMALL).view
  keys = jax.random.split(jax.random.key(0), 2)
  both = jax.vmap(network.init)(keys)["out"]["kernel"]
  for one, key in zip(both, keys, strict=True):
    np.testing.assert_allclose(
      one, network.init(key)["out"]["kernel"], rtol=1e-6
    )


@pytest.mark.parametrize("name", networks_lib.Networks._fields)
def test_vmap_over_images_only_grows_the_batch(name):
  network = getattr(build_networks(32, **SMALL), name)
  params = network.init(jax.random.key(0))
  images = jax.random.uniform(jax.random.key(1), (3, 32, 32, 3), minval=-1)
  batched = jax.vmap(network.apply, in_axes=(None, 0))

  def loss(params, images):
    return jnp.sum(batched(params, images) ** 2)

  text = str(jax.make_jaxpr(jax.grad(loss))(params, images))
  assert "feature_group_count=1" in text
  assert "feature_group_count=" not in text.replace(
    "feature_group_count=1\n", ""
  )
  assert "batch_group_count=" not in text.replace("batch_group_count=1\n", "")
  np.testing.assert_allclose(
    jax.jit(batched)(params, images)[1],
    jax.jit(network.apply)(params, images[1]),
    atol=1e-5,
  )


@pytest.mark.parametrize("name", ["depth", "albedo"])
def test_no_dilated_input(name):
  network = getattr(build_networks(32, **SMALL), name)
  params = network.init(jax.random.key(0))
  jaxpr = str(jax.make_jaxpr(network.apply)(params, jnp.zeros((32, 32, 3))))
  assert "lhs_dilation=(1, 1)" in jaxpr
  assert "lhs_dilation=(2, 2)" not in jaxpr


@pytest.mark.parametrize("options", [{"width": 6}, {"max_channels": 10}])
def test_widths_must_fit_the_groups(options):
  with pytest.raises(ValueError, match="multiples of 4"):
    build_networks(32, **options)


@pytest.mark.parametrize("image_size", [16, 48])
def test_image_size_must_be_a_power_of_two(image_size):
  with pytest.raises(ValueError, match="power of 2"):
    build_networks(image_size)


# --- PyTorch: the tables of GAN2Shape networks.py, as Sequentials at 32 px. ---


def torch_autoencoder(nn, out_channels):
  """Layers in order, with the name of ours that holds the same weights."""

  def conv(i, o, *args):
    return nn.Conv2d(i, o, *args, bias=False)

  def up(i, o, *args):
    return nn.ConvTranspose2d(i, o, *args, bias=False)

  return [
    ("down_16", conv(3, 8, 4, 2, 1)),
    ("down_16_norm", nn.GroupNorm(2, 8)),
    (None, nn.LeakyReLU(0.2)),
    ("down_8", conv(8, 16, 4, 2, 1)),
    ("down_8_norm", nn.GroupNorm(4, 16)),
    (None, nn.LeakyReLU(0.2)),
    ("down_4", conv(16, 32, 4, 2, 1)),
    (None, nn.LeakyReLU(0.2)),
    ("code", conv(32, 12, 4, 1, 0)),
    (None, nn.ReLU()),
    ("up_4", up(12, 32, 4, 1, 0)),
    (None, nn.ReLU()),
    ("conv_4", conv(32, 32, 3, 1, 1)),
    (None, nn.ReLU()),
    ("up_8", up(32, 16, 4, 2, 1)),
    ("up_8_norm", nn.GroupNorm(4, 16)),
    (None, nn.ReLU()),
    ("conv_8", conv(16, 16, 3, 1, 1)),
    ("conv_8_norm", nn.GroupNorm(4, 16)),
    (None, nn.ReLU()),
    ("up_16", up(16, 8, 4, 2, 1)),
    ("up_16_norm", nn.GroupNorm(2, 8)),
    (None, nn.ReLU()),
    ("conv_16", conv(8, 8, 3, 1, 1)),
    ("conv_16_norm", nn.GroupNorm(2, 8)),
    (None, nn.ReLU()),
    (None, nn.Upsample(scale_factor=2, mode="nearest")),
    ("full_0", conv(8, 8, 3, 1, 1)),
    ("full_0_norm", nn.GroupNorm(2, 8)),
    (None, nn.ReLU()),
    ("full_1", conv(8, 8, 5, 1, 2)),
    ("full_1_norm", nn.GroupNorm(2, 8)),
    (None, nn.ReLU()),
    ("out", conv(8, out_channels, 5, 1, 2)),
  ] + ([(None, nn.Tanh())] if out_channels == 3 else [])


def torch_vector_encoder(nn):
  def conv(i, o, *args):
    return nn.Conv2d(i, o, *args, bias=False)

  return [
    ("down_16", conv(3, 8, 4, 2, 1)),
    (None, nn.ReLU()),
    ("down_8", conv(8, 16, 4, 2, 1)),
    (None, nn.ReLU()),
    ("down_4", conv(16, 32, 4, 2, 1)),
    (None, nn.ReLU()),
    ("code", conv(32, 32, 4, 1, 0)),
    (None, nn.ReLU()),
    ("out", conv(32, 6, 1, 1, 0)),
    (None, nn.Tanh()),
  ]


def torch_latent_encoder(nn):
  class Block(nn.Module):
    def __init__(self, i, o):
      super().__init__()
      self.conv1 = nn.Conv2d(i, o, 3, 2, 1, bias=False)
      self.conv2 = nn.Conv2d(o, o, 3, 1, 1, bias=False)
      self.shortcut = nn.Conv2d(i, o, 1)

    def forward(self, x):
      x = x.relu()
      y = self.conv2(self.conv1(x).relu())
      return y + self.shortcut(nn.functional.avg_pool2d(x, 2))

  return [
    ("down_16", nn.Conv2d(3, 4, 4, 2, 1, bias=False)),
    ("block_8", Block(4, 8)),
    ("block_4", Block(8, 16)),
    (None, nn.ReLU()),
    ("code", nn.Conv2d(16, 32, 4, 1, 0, bias=False)),
    (None, nn.ReLU()),
    ("out", nn.Conv2d(32, 24, 1, 1, 0, bias=False)),
  ]


def params_from_torch(torch, layer, like):
  """Weights of a PyTorch layer in the shape of ours."""
  if isinstance(like.get("conv1"), dict):
    return {
      name: params_from_torch(torch, getattr(layer, name), like[name])
      for name in like
    }
  weight = jnp.asarray(layer.weight.detach().numpy())
  if isinstance(layer, torch.nn.GroupNorm):
    return {"scale": weight, "bias": jnp.asarray(layer.bias.detach().numpy())}
  transposed = isinstance(layer, torch.nn.ConvTranspose2d)
  kernel = weight.transpose((2, 3, 0, 1) if transposed else (2, 3, 1, 0))
  params = {"kernel": kernel.reshape(like["kernel"].shape)}
  if layer.bias is not None:
    params["bias"] = jnp.asarray(layer.bias.detach().numpy())
  return params


@pytest.mark.parametrize("name", ["depth", "albedo", "view", "encoder"])
def test_parity_with_pytorch(name):
  torch = pytest.importorskip("torch")
  torch.manual_seed(0)
  table = {
    "depth": lambda: torch_autoencoder(torch.nn, 1),
    "albedo": lambda: torch_autoencoder(torch.nn, 3),
    "view": lambda: torch_vector_encoder(torch.nn),
    "encoder": lambda: torch_latent_encoder(torch.nn),
  }[name]()
  networks = build_networks(
    32, latent_size=24, width=8, code_size=12, encoder_width=4
  )
  network = getattr(networks, name)
  like = jax.eval_shape(network.init, jax.random.key(0))
  params = {
    ours: params_from_torch(torch, layer, like[ours])
    for ours, layer in table
    if ours
  }
  assert jax.tree.map(jnp.shape, params) == jax.tree.map(jnp.shape, like)

  images = np.random.default_rng(0).uniform(-1, 1, (1, 3, 32, 32))
  images = torch.tensor(images, dtype=torch.float32, requires_grad=True)
  theirs = torch.nn.Sequential(*(layer for _, layer in table))(images)

  def squared(image):
    output = network.apply(params, image)
    return jnp.sum(output**2), output

  gradient, ours = jax.jit(jax.grad(squared, has_aux=True))(
    jnp.asarray(images.detach().numpy()[0].transpose(1, 2, 0))
  )
  theirs_map = theirs.detach().numpy()[0].transpose(1, 2, 0)
  np.testing.assert_allclose(ours, theirs_map.reshape(ours.shape), atol=2e-5)

  (theirs**2).sum().backward()
  theirs_gradient = images.grad.numpy()[0].transpose(1, 2, 0)
  np.testing.assert_allclose(
    gradient,
    theirs_gradient,
    atol=1e-4 * np.abs(theirs_gradient).max(),
  )
