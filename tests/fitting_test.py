import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny_system import first_device, picture, tiny_system, weights

from gan2shape_jax import fitting, programs
from gan2shape_jax.devices import Kind
from gan2shape_jax.schedule import Phase
from gan2shape_jax.types import GroundTruth

KEY = jax.random.key(5)


def several(count):
  """Pictures [count], all different."""
  one = picture()
  shift = lambda x, i: jnp.roll(x, i, axis=1)  # noqa: E731
  parts = [
    one.replace(image=shift(one.image, i), mask=shift(one.mask, i))
    for i in range(count)
  ]
  return jax.tree.map(lambda *x: jnp.stack(x), *parts)


def begin(phase, pictures, **changes):
  """A fitter with one row of pictures, its state and data."""
  params, frozen = weights()
  fitter = fitting.Fitter(tiny_system(**changes), first_device())
  pictures = jax.tree.map(lambda x: x[None], pictures)
  start, key = fitter.begin(params, 0, [0])
  fit = fitter.enter(phase, 0, pictures, key, start)
  return fitter, fit, fitter.prepare(phase, frozen, fit, pictures)


def run_phase(phase, *, length, on_device, pictures=None):
  fitter, fit, data = begin(phase, pictures or several(1))
  chunk = fitter.chunk(phase, on_device=on_device)
  fit, losses = chunk(fit, weights()[1], data, length=length)
  return fit, {name: rows[:, 0] for name, rows in losses.items()}


def test_loops_on_host_and_device_give_the_same_numbers():
  phase = Phase("albedo", 1, 3)
  looped, rows = run_phase(phase, length=3, on_device=False)
  device, device_rows = run_phase(phase, length=3, on_device=True)
  for name in rows:
    np.testing.assert_allclose(rows[name], device_rows[name], rtol=1e-4)
  assert looped.iteration == device.iteration == 3


def first_row(tree):
  return first_device().take(tree, Kind.OWN, 0)


@pytest.mark.parametrize("on_device", [False, True])
def test_nothing_is_copied_from_or_to_the_host_between_iterations(on_device):
  phase = Phase("albedo", 1, 4)
  fitter, fit, data = begin(phase, several(1))
  chunk, frozen = fitter.chunk(phase, on_device=on_device), weights()[1]
  fit, _ = chunk(fit, frozen, data, length=2)  # compiles
  with jax.transfer_guard("disallow"):
    fit, losses = chunk(fit, frozen, data, length=2)
  assert losses["total"].shape == (2, 1)


def test_only_the_phases_networks_change():
  params, _ = weights()
  fit, _ = run_phase(Phase("albedo", 1, 2), length=2, on_device=False)
  changed = {
    name
    for name in params
    if any(
      jnp.any(a != b)
      for a, b in zip(
        jax.tree.leaves(params[name]),
        jax.tree.leaves(first_row(fit.params[name])),
        strict=True,
      )
    )
  }
  assert changed == {"albedo"}


def test_ends_with_the_networks_of_the_best_chunk():
  phase = Phase("shape", 1, 3)
  fitter, fit, data = begin(phase, several(1), **{"schedule.keep_best": 2})
  chunk, copies = fitter.chunk(phase), []
  losses = [2.0, 2.0, 3.0, 0.0, np.nan, 0.0, 2.5, 1.5]  # The second window.
  for done, loss in enumerate(losses, start=1):
    fit, _ = chunk(fit, weights()[1], data, length=1)
    fit = fitter.note_best(fit, np.float32([[loss]]), done)
    copies.append(jax.device_get(first_row(fit.params)))
    if done == 1:  # No window is over yet.
      found = first_row(fitter.take_best(fit).params)
      jax.tree.map(np.testing.assert_array_equal, copies[0], found)
  found = first_row(fitter.take_best(fit).params)
  jax.tree.map(np.testing.assert_array_equal, copies[3], found)
  assert np.any(
    copies[3]["depth"]["out"]["kernel"] != copies[7]["depth"]["out"]["kernel"]
  )


def test_ends_with_the_last_networks_like_the_reference():
  changes = {"schedule.keep_best": 0}
  fitter, fit, _ = begin(Phase("shape", 1, 1), several(1), **changes)
  assert fitter.take_best(fitter.note_best(fit, np.ones((1, 1)), 1)) is fit


def test_pictures_take_turns_in_shuffled_epochs():
  orders = []
  for epoch in range(3):
    turns = [fitting.turn(KEY, jnp.int32(3 * epoch + i), 3) for i in range(3)]
    assert {int(visit) for _, visit in turns} == {epoch}
    orders.append([int(picture) for picture, _ in turns])
    assert sorted(orders[-1]) == [0, 1, 2]
  assert orders[0] != orders[1] or orders[1] != orders[2]


def test_prior_is_fitted_to_every_picture():
  """The reference fits it to the first one only (docs/differences.md, 20)."""
  _, rows = run_phase(
    Phase("prior", 0, 60), length=60, on_device=False, pictures=several(3)
  )
  losses = np.reshape(rows["total"], (20, 3))
  assert losses[-1].max() < 0.5 * losses[0].min()


def test_joint_samples_keep_the_light_of_their_picture():
  """The reference relights all with the last one's strengths."""
  system, (params, _) = tiny_system(), weights()
  pictures = several(3)
  _, _, data = begin(Phase("project", 1, 1), pictures)
  light = jax.tree.map(lambda x: x[0], data.canonical.light)
  for i in range(3):
    one = jax.tree.map(lambda x, i=i: x[i], pictures)
    alone = programs.reconstruct(system)(params, one)
    np.testing.assert_allclose(light.ambient[i], alone.light.ambient, atol=1e-6)
    np.testing.assert_allclose(light.diffuse[i], alone.light.diffuse, atol=1e-6)
  assert np.ptp(light.ambient) > 1e-4


def test_prior_phase_approaches_the_ellipsoid():
  _, rows = run_phase(Phase("prior", 0, 30), length=30, on_device=False)
  assert rows["total"][-1] < 0.5 * rows["total"][0]


def test_true_depth_has_no_error():
  system = tiny_system()
  depth = system.prior_depth(picture().mask)
  truth = GroundTruth(depth=depth, mask=picture().mask)
  errors = programs.compare(depth, picture().mask, truth, system.camera)
  assert errors["side"] == 0 and errors["mad"] < 0.05
