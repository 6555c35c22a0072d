"""The updates: optimiser figures, mixing, and independence of the devices."""

import os
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType

from gan2shape_jax.gan.state import Hyper, init_state, optimizers
from gan2shape_jax.gan.steps import make_steps, mix_latents
from gan2shape_jax.models.architecture import Architecture


def first_update(adam, gradient):
  """Adam's first two steps for a scalar, from its second moment."""
  state = adam.init(jnp.zeros(()))
  first, state = adam.update(jnp.asarray(gradient), state)
  second, _ = adam.update(jnp.asarray(0.0), state)
  return first, second


def test_adam_has_the_references_corrected_settings():
  """Learning rates and second betas of rosinality train.py, of lazy terms."""
  for adam, rate, beta in zip(
    optimizers(Hyper()),
    (0.0016, 0.00188235),
    (0.991992, 0.990585),
    strict=True,
  ):
    first, second = first_update(adam, 3.0)
    np.testing.assert_allclose(first, -rate, rtol=1e-5)
    # Without a first moment, no gradient means no step.
    assert second == 0
    moments = adam.update(jnp.asarray(1.0), adam.init(jnp.zeros(())))[1]
    np.testing.assert_allclose(1 - moments[0].nu, beta, rtol=1e-6)


def test_a_regulariser_that_is_off_needs_no_correction():
  adam, _ = optimizers(Hyper(path_weight=0.0))
  np.testing.assert_allclose(first_update(adam, 1.0)[0], -0.002, rtol=1e-5)


@pytest.mark.parametrize("probability", [0.0, 1.0])
def test_mixing_switches_once_from_the_first_to_the_second(probability):
  w = jnp.broadcast_to(jnp.array([1.0, 2.0])[:, None], (200, 2, 3))
  rows = mix_latents(jax.random.key(0), w, 6, probability)
  assert rows.shape == (200, 6, 3)
  rows = rows[:, :, 0]
  np.testing.assert_array_equal(rows[:, 0], 1)
  if probability == 0:
    np.testing.assert_array_equal(rows, 1)
  else:
    np.testing.assert_array_equal(rows[:, -1], 2)
    assert (np.diff(rows) >= 0).all()
    crossovers = (rows == 1).sum(1)
    assert set(np.asarray(crossovers)) == {1, 2, 3, 4, 5}


@pytest.mark.parametrize("update", ["discriminator", "generator", "path"])
def test_latents_noise_and_directions_have_keys_of_their_own(
  monkeypatch, update
):
  """JAX's `split(key)[i]` may be `fold_in(key, i)`."""
  arch = Architecture((4, 4), latent_size=4, mapping_layers=1)
  hyper = Hyper(batch=2)
  mesh = jax.make_mesh((1,), ("batch",), axis_types=(AxisType.Auto,))
  state = init_state(jax.random.key(0), arch, hyper)
  pictures = jnp.zeros((2, 8, 8, 3), jnp.uint8)
  keys, normal = [], jax.random.normal

  def recorded(key, *args, **kwargs):
    keys.append(jax.random.key_data(key).tolist())
    return normal(key, *args, **kwargs)

  monkeypatch.setattr(jax.random, "normal", recorded)
  with jax.disable_jit():
    arguments = (pictures,) if update == "discriminator" else ()
    getattr(make_steps(arch, hyper, mesh), update)(state, *arguments)
  distinct = {tuple(key) for key in keys}
  assert len(distinct) == len(keys) == 4 + (update == "path")


def test_the_mean_of_path_lengths_begins_with_the_first():
  arch, hyper = Architecture((4,), latent_size=4, mapping_layers=1), Hyper()
  mesh = jax.make_mesh((1,), ("batch",), axis_types=(AxisType.Auto,))
  update = make_steps(arch, hyper, mesh).path
  fresh = init_state(jax.random.key(0), arch, hyper)

  def path_mean(before):
    state = fresh.replace(path_mean=jnp.asarray(before))
    _, metrics = update(jax.tree.map(jnp.copy, state))
    return metrics["path_mean"]

  first = path_mean(0.0)
  assert first > 0
  np.testing.assert_allclose(path_mean(first), first, rtol=1e-5)
  np.testing.assert_allclose(path_mean(2.0), 2 + 0.01 * (first - 2), rtol=1e-5)


_ONE_ITERATION = """
import jax, numpy as np
from jax.sharding import AxisType, NamedSharding, PartitionSpec
from gan2shape_jax.gan.state import Hyper, init_state
from gan2shape_jax.gan.steps import make_steps
from gan2shape_jax.models.architecture import Architecture

arch = Architecture((4,), latent_size=4, mapping_layers=1)
hyper = Hyper(batch=8)
pictures = np.random.default_rng(0).integers(0, 255, (8, 4, 4, 3), np.uint8)
fresh = jax.jit(lambda k: init_state(k, arch, hyper))(jax.random.key(0))
for n in (1, 4):
  mesh = jax.make_mesh(
    (n,), ("batch",), axis_types=(AxisType.Auto,), devices=jax.devices()[:n]
  )
  state = jax.device_put(fresh, NamedSharding(mesh, PartitionSpec()))
  batch = jax.device_put(pictures, NamedSharding(mesh, PartitionSpec("batch")))
  steps = make_steps(arch, hyper, mesh)
  metrics = {}
  for step in (steps.discriminator, steps.r1, steps.generator, steps.path):
    arguments = (batch,) if step in steps[:2] else ()
    state, extra = step(jax.tree.map(lambda x: x.copy(), state), *arguments)
    metrics |= extra
  sums = [float(abs(x).sum()) for x in jax.tree.leaves(
    (state.generator, state.discriminator, state.average))]
  devices = len(state.step.sharding.device_set)
  print(devices, *[float(metrics[k]) for k in sorted(metrics)], *sums)
"""


def test_devices_do_not_change_the_numbers():
  """One iteration of all four updates on 1 and on 4 devices."""
  flags = os.environ.get("XLA_FLAGS", "")
  environment = {
    **os.environ,
    "JAX_PLATFORMS": "cpu",
    "XLA_FLAGS": flags + " --xla_force_host_platform_device_count=4",
    "PYTHONPATH": str(Path(__file__).parents[1]),
  }
  output = subprocess.run(
    [sys.executable, "-c", _ONE_ITERATION],
    env=environment,
    capture_output=True,
    text=True,
    check=True,
  ).stdout
  one, four = (np.array(row.split(), float) for row in output.splitlines())
  assert (one[0], four[0]) == (1, 4)
  assert np.isfinite(one).all()
  # The first Adam step is sign(gradient): rounding may turn a zero one.
  np.testing.assert_allclose(four[1:], one[1:], rtol=2e-3, atol=1e-5)
