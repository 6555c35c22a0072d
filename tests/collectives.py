"""Prints what compiled steps 2 exchange between four devices, as JSON.

And what is wrong with them on a TPU, see program_faults.py.

XLA_FLAGS=--xla_force_host_platform_device_count=4 python tests/collectives.py
"""

import collections
import json
import pathlib
import re
import sys

import jax
import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))

import program_faults
from tiny_system import picture, tiny_system, weights

from gan2shape_jax import fitting
from gan2shape_jax.devices import Kind, make_spread
from gan2shape_jax.schedule import Phase

COLLECTIVES = (
  "all-reduce|all-gather|all-to-all|collective-permute|reduce-scatter"
)
WAYS = {
  "separate": {},
  "samples": {"samples": 2},
  "joint": {"shared": True},
}


def inspect(options):
  """Counts the collectives of one iteration, and lists its faults."""
  spread = make_spread(jax.devices(), 4, **options)
  fitter = fitting.Fitter(tiny_system(), spread)
  phase = Phase("project", 1, 1)
  rows = jax.tree.map(
    lambda x: np.repeat(np.asarray(x)[None, None], spread.count, 0), picture()
  )
  pictures = spread.place(rows, Kind.ROWS)
  frozen = spread.place(weights()[1], Kind.FIXED)
  numbers = 0 if spread.shared else range(spread.count)
  params, key = fitter.begin({}, 0, numbers)
  fit = fitter.enter(phase, 0, pictures, key, params)
  data = fitter.prepare(phase, frozen, fit, pictures)
  step = fitter.chunk(phase, on_device=False).args[0]
  text = step.lower(fit, frozen, data).compile().as_text()
  exchanged = re.findall(rf" ({COLLECTIVES})(?:-start)?\(", text)
  lowered = program_faults.lower(step, "tpu", fit, frozen, data)
  return {
    "exchanged": collections.Counter(exchanged),
    "faults": sorted(program_faults.find(lowered)),
  }


if __name__ == "__main__":
  print(json.dumps({way: inspect(options) for way, options in WAYS.items()}))
