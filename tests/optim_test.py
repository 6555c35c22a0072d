"""The optimiser against PyTorch's formula, and the split of the parameters."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from gan2shape_jax import optim

DECAY = 0.3
RATE = 0.05


def gradients(steps):
  return np.random.default_rng(0).normal(size=(steps, 5)).astype(np.float32)


def run_ours(start, grads):
  optimizer = optim.adam_with_l2(RATE, weight_decay=DECAY)
  params = {"w": jnp.asarray(start)}
  state = optimizer.init(params)
  for g in grads:
    updates, state = optimizer.update({"w": jnp.asarray(g)}, state, params)
    params = optax.apply_updates(params, updates)
  return params["w"]


def test_the_decay_goes_through_the_moments():
  start, grads = np.linspace(-2, 2, 5, dtype=np.float32), gradients(7)
  x, m, v = start.astype(np.float64), 0.0, 0.0
  for t, g in enumerate(grads, 1):
    g = g + DECAY * x
    m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
    x = x - RATE * (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)
  np.testing.assert_allclose(run_ours(start, grads), x, rtol=1e-4, atol=1e-5)


def test_parity_with_pytorch():
  torch = pytest.importorskip("torch")
  start, grads = np.linspace(-2, 2, 5, dtype=np.float32), gradients(7)
  x = torch.tensor(start, requires_grad=True)
  optimizer = torch.optim.Adam([x], lr=RATE, weight_decay=DECAY)
  for g in grads:
    x.grad = torch.tensor(g)
    optimizer.step()
  np.testing.assert_allclose(
    run_ours(start, grads), x.detach().numpy(), rtol=1e-4, atol=1e-5
  )


PARAMS = {"depth": {"w": 1}, "albedo": {"w": 2}, "encoder": {"w": 3}}


def test_the_split_covers_every_network_once():
  trainable, frozen = optim.split_trainable(PARAMS, ("encoder", "depth"))
  assert set(trainable) == {"encoder", "depth"} and set(frozen) == {"albedo"}
  assert trainable | frozen == PARAMS
  everything, nothing = optim.split_trainable(PARAMS, PARAMS)
  assert everything == PARAMS and nothing == {}


@pytest.mark.parametrize("names", [("depht",), ("depth", "view"), ()])
def test_the_split_refuses_what_it_does_not_know(names):
  with pytest.raises(ValueError, match="cannot train"):
    optim.split_trainable(PARAMS, names)


def test_only_the_trainable_part_gets_a_gradient():
  params = jax.tree.map(float, PARAMS)
  trainable, frozen = optim.split_trainable(params, ("albedo",))

  def loss(trainable):
    params = trainable | frozen
    return params["depth"]["w"] * params["albedo"]["w"] ** 2

  assert jax.grad(loss)(trainable) == {"albedo": {"w": 4.0}}
