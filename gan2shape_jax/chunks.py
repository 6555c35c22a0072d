"""Many iterations of a training step with one look at the host.

Inside a loop XLA's CPU back end runs convolutions several times slower than
outside, so there the chunk is a Python loop over the compiled step; dispatch is
asynchronous and metrics are fetched once. Elsewhere the loop is on the device.
Both give the same numbers.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

Metrics = dict[str, np.ndarray]

# A loop on the device keeps metrics of a multiple of this many iterations, so
# that chunks of different lengths need but one program.
_BLOCK = 64


def make_chunk(
  step: Callable[..., tuple[Any, dict[str, jax.Array]]],
  *,
  on_device: bool | None = None,
  compiler_options: dict[str, str] | None = None,
) -> Callable[..., tuple[Any, Metrics]]:
  """Compiles `length` iterations of a step into one call.

  Args:
    step: `(state, *args) -> (state, metrics)`, traceable.
    on_device: whether the loop is there; None decides by platform.
    compiler_options: of `jax.jit`.

  Returns:
    `(state, *args, length) -> (state, metrics)`, which consumes (donates) the
    state and returns metrics of shape [length] on the host.
  """
  if on_device is None:
    on_device = jax.default_backend() != "cpu"
  if not on_device:
    compiled = jax.jit(
      step, donate_argnums=0, compiler_options=compiler_options
    )
    return partial(_python_chunk, compiled)

  def loop(state, length, *args, size):
    def iterate(i, carry):
      state, rows = carry
      state, metrics = step(state, *args)
      return state, jax.tree.map(lambda x, m: x.at[i].set(m), rows, metrics)

    _, metrics = jax.eval_shape(step, state, *args)
    rows = jax.tree.map(lambda m: jnp.zeros((size, *m.shape), m.dtype), metrics)
    return jax.lax.fori_loop(0, length, iterate, (state, rows))

  loop.__name__ = step.__name__
  compiled = jax.jit(
    loop,
    static_argnames="size",
    donate_argnums=0,
    compiler_options=compiler_options,
  )
  return partial(_device_chunk, compiled)


def _python_chunk(step, state, *args, length):
  rows = []
  for _ in range(length):
    state, metrics = step(state, *args)
    rows.append(metrics)
  rows = jax.device_get(rows)
  return state, jax.tree.map(lambda *values: np.stack(values), *rows)


def _device_chunk(loop, state, *args, length):
  size = -(-length // _BLOCK) * _BLOCK
  count = jax.device_put(np.int32(length))
  state, rows = loop(state, count, *args, size=size)
  return state, jax.tree.map(lambda x: x[:length], jax.device_get(rows))
