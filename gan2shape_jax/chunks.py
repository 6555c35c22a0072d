"""Many iterations of a training step with one look at the host.

Inside a loop XLA's CPU back end runs convolutions several times slower than
outside, so there the chunk is a Python loop over the compiled step; dispatch is
asynchronous and metrics are fetched once. Elsewhere it is one `lax.scan`. Both
give the same numbers.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import numpy as np

Metrics = dict[str, np.ndarray]


def make_chunk(
  step: Callable[..., tuple[Any, dict[str, jax.Array]]],
  *,
  scan: bool | None = None,
) -> Callable[..., tuple[Any, Metrics]]:
  """Compiles `length` iterations of a step into one call.

  Args:
    step: `(state, *args) -> (state, metrics)`, traceable.
    scan: whether to loop on the device; None decides by platform.

  Returns:
    `(state, *args, length) -> (state, metrics)`, which consumes (donates) the
    state and returns metrics of shape [length] on the host.
  """
  if scan is None:
    scan = jax.default_backend() != "cpu"
  if not scan:
    return partial(_python_chunk, jax.jit(step, donate_argnums=0))

  @partial(jax.jit, static_argnames="length", donate_argnums=0)
  def chunk(state, *args, length):
    return jax.lax.scan(lambda s, _: step(s, *args), state, length=length)

  return partial(_scan_chunk, chunk)


def _python_chunk(step, state, *args, length):
  rows = []
  for _ in range(length):
    state, metrics = step(state, *args)
    rows.append(metrics)
  rows = jax.device_get(rows)
  return state, jax.tree.map(lambda *values: np.stack(values), *rows)


def _scan_chunk(chunk, state, *args, length):
  state, metrics = chunk(state, *args, length=length)
  return state, jax.device_get(metrics)
