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


def run_phase(phase, *, length, scan):
  system, (params, frozen) = tiny_system(), weights()
  fit = fitting.enter_phase(system, (phase,), 0, picture(), KEY, copy(params))
  data = fitting.prepare_phase(system, phase, frozen, fit, picture())
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


def test_prior_phase_approaches_the_ellipsoid():
  _, rows = run_phase(Phase("prior", 0, 30), length=30, scan=False)
  assert rows["total"][-1] < 0.5 * rows["total"][0]


def test_true_depth_has_no_error():
  system = tiny_system()
  depth = system.prior_depth(picture().mask)
  truth = GroundTruth(depth=depth, mask=picture().mask)
  errors = fitting.compare(depth, picture().mask, truth, system.camera)
  assert errors["side"] == 0 and errors["mad"] < 0.05
