"""Files that PyTorch writes of networks in PyTorch, converted and compared.

Runs where PyTorch is installed; golden_test.py compares with stored outputs
everywhere.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from golden import cases

from gan2shape_jax.convert.checkpoint_files import read_checkpoint
from gan2shape_jax.convert.networks import NAMES, convert_networks
from gan2shape_jax.convert.stylegan2 import convert_gan
from gan2shape_jax.models import discriminator, stylegan2
from gan2shape_jax.models.networks import build_networks

torch = pytest.importorskip("torch")
from golden import torch_networks, torch_stylegan2  # noqa: E402  # need torch

FORMATS = pytest.mark.parametrize("new_format", [True, False])
CHANNELS, LATENT, LAYERS = (12, 12, 8, 8), 16, 5


def randomise(module):
  """Weights that every layer shows."""
  for name, weight in module.named_parameters():
    rate = 100.0 if name.startswith("style") else 1.0
    small = weight.ndim == 1 or name.endswith("bias")
    torch.nn.init.normal_(weight, std=(0.3 if small else 1.0) * rate)
  for buffer in getattr(module, "noises", torch.nn.Module()).buffers():
    torch.nn.init.normal_(buffer)
  return module


def close(ours, theirs, tolerance=1e-4):
  theirs = theirs.detach().numpy()
  error = np.abs(np.asarray(ours).reshape(theirs.shape) - theirs).max()
  assert error < tolerance * np.abs(theirs).max()


@FORMATS
def test_gan(tmp_path, new_format):
  torch.manual_seed(0)
  generator = randomise(torch_stylegan2.Generator(CHANNELS, LATENT, LAYERS))
  critic = randomise(torch_stylegan2.Discriminator(CHANNELS))
  content = {
    "g": generator.state_dict(),
    "d": torch.nn.DataParallel(critic).state_dict(),
    "g_ema": generator.state_dict(),
    "latent_avg": torch.randn(LATENT),
    "g_optim": torch.optim.Adam(generator.parameters()).state_dict(),
  }
  path = tmp_path / "gan.pt"
  torch.save(content, path, _use_new_zipfile_serialization=new_format)
  gan = convert_gan(read_checkpoint(path))
  assert gan.arch.channels == CHANNELS
  assert gan.arch.mapping_layers == LAYERS
  np.testing.assert_array_equal(gan.mean_latent, content["latent_avg"].numpy())

  z = torch.randn(1, LATENT, requires_grad=True)
  w = torch.randn(1, gan.arch.n_latent, LATENT, requires_grad=True)
  image = torch.randn(1, 3, 32, 32)
  close(
    stylegan2.map_latent(gan.generator, z[0].detach().numpy(), arch=gan.arch),
    generator.map(z)[0],
  )

  def energy(w):
    picture = stylegan2.synthesize(gan.generator, w, arch=gan.arch)
    return jnp.sum(picture**2), picture

  gradient, picture = jax.jit(jax.grad(energy, has_aux=True))(
    w[0].detach().numpy()
  )
  theirs = generator(w)[0].permute(1, 2, 0)
  close(picture, theirs)
  (their_gradient,) = torch.autograd.grad((theirs**2).sum(), w)
  close(gradient, their_gradient[0], 1e-3)

  features = jax.jit(
    functools.partial(
      discriminator.discriminator_features, arch=gan.arch, count=3
    )
  )(gan.discriminator, image[0].permute(1, 2, 0).numpy())
  for ours, theirs in zip(features, critic.features(image, 3), strict=True):
    close(ours, theirs[0].permute(1, 2, 0))


@FORMATS
@pytest.mark.parametrize("size", [32, 64])
def test_five_networks(tmp_path, size, new_format):
  torch.manual_seed(0)
  theirs = torch_networks.networks(
    size, width=8, largest=24, code=12, encoder_width=4, latent=10
  )
  content = {name: module.state_dict() for name, module in theirs.items()}
  content |= {
    "iteration": 12,
    "optimizerD": torch.optim.Adam(theirs["netD"].parameters()).state_dict(),
  }
  path = tmp_path / "pretrain.pth"
  torch.save(content, path, _use_new_zipfile_serialization=new_format)
  converted = convert_networks(read_checkpoint(path))
  ours = build_networks(**converted.sizes._asdict())
  image = cases.network_image(size)
  batch = torch.tensor(image).permute(2, 0, 1)[None]
  for name, module in theirs.items():
    apply = jax.jit(getattr(ours, NAMES[name]).apply)
    output = apply(converted.params[NAMES[name]], image)
    close(output, module(batch)[0].permute(1, 2, 0))
