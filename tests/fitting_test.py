import jax
import jax.numpy as jnp
import numpy as np
from tiny_system import picture, tiny_system, weights

from gan2shape_jax import fitting
from gan2shape_jax.schedule import Phase
from gan2shape_jax.types import GroundTruth

KEY = jax.random.key(5)


def copy(tree):
  return jax.tree.map(jnp.copy, tree)


def several(count):
  """Pictures [count], all different."""
  one = picture()
  shift = lambda x, i: jnp.roll(x, i, axis=1)  # noqa: E731
  parts = [
    one.replace(image=shift(one.image, i), mask=shift(one.mask, i))
    for i in range(count)
  ]
  return jax.tree.map(lambda *x: jnp.stack(x), *parts)


def run_phase(phase, *, length, scan, pictures=None):
  pictures = several(1) if pictures is None else pictures
  system, (params, frozen) = tiny_system(), weights()
  fit = fitting.enter_phase(system, (phase,), 0, pictures, KEY, copy(params))
  data = fitting.prepare_phase(system, phase, frozen, fit, pictures)
  chunk = fitting.phase_chunk(system, phase.step, phase.flip, scan)
  return chunk(fit, frozen, data, length=length)


def test_python_loop_and_scan_give_the_same_numbers():
  phase = Phase("albedo", 1, 3)
  looped, rows = run_phase(phase, length=3, scan=False)
  scanned, scanned_rows = run_phase(phase, length=3, scan=True)
  for name in rows:
    np.testing.assert_allclose(rows[name], scanned_rows[name], rtol=1e-4)
  assert looped.iteration == scanned.iteration == 3


def test_only_the_phases_networks_change():
  params, _ = weights()
  fit, _ = run_phase(Phase("albedo", 1, 2), length=2, scan=False)
  changed = {
    name
    for name in params
    if any(
      jnp.any(a != b)
      for a, b in zip(
        jax.tree.leaves(params[name]),
        jax.tree.leaves(fit.params[name]),
        strict=True,
      )
    )
  }
  assert changed == {"albedo"}


def test_pictures_take_turns_in_shuffled_epochs():
  orders = []
  for epoch in range(3):
    turns = [fitting.turn(KEY, jnp.int32(3 * epoch + i), 3) for i in range(3)]
    assert {int(visit) for _, visit in turns} == {epoch}
    orders.append([int(picture) for picture, _ in turns])
    assert sorted(orders[-1]) == [0, 1, 2]
  assert orders[0] != orders[1] or orders[1] != orders[2]


def test_prior_is_fitted_to_every_picture():
  """The reference fits it to the first picture only (method quirk Q15)."""
  _, rows = run_phase(
    Phase("prior", 0, 60), length=60, scan=False, pictures=several(3)
  )
  losses = np.reshape(rows["total"], (20, 3))
  assert losses[-1].max() < 0.5 * losses[0].min()


def test_joint_samples_keep_the_light_of_their_picture():
  """The reference relights all with the last one's strengths (quirk Q14)."""
  system, (params, frozen) = tiny_system(), weights()
  phase, pictures = Phase("project", 1, 1), several(3)
  fit = fitting.enter_phase(system, (phase,), 0, pictures, KEY, copy(params))
  data = fitting.prepare_phase(system, phase, frozen, fit, pictures)
  for i in range(3):
    one = jax.tree.map(lambda x, i=i: x[i], pictures)
    alone = fitting.reconstruct(system)(params, one)
    np.testing.assert_allclose(
      data.canonical.light.ambient[i], alone.light.ambient, atol=1e-6
    )
    np.testing.assert_allclose(
      data.canonical.light.diffuse[i], alone.light.diffuse, atol=1e-6
    )
  assert np.ptp(data.canonical.light.ambient) > 1e-4


def test_prior_phase_approaches_the_ellipsoid():
  _, rows = run_phase(Phase("prior", 0, 30), length=30, scan=False)
  assert rows["total"][-1] < 0.5 * rows["total"][0]


def test_true_depth_has_no_error():
  system = tiny_system()
  depth = system.prior_depth(picture().mask)
  truth = GroundTruth(depth=depth, mask=picture().mask)
  errors = fitting.compare(depth, picture().mask, truth, system.camera)
  assert errors["side"] == 0 and errors["mad"] < 0.05
