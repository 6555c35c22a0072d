"""`jax.jit` with settings that suit our programs."""

from collections.abc import Callable
from typing import Any

import jax

# On the CPU nearly all time is spent in libraries, which no setting changes;
# optimising the rest less compiles faster and runs as fast.
_CPU_OPTIONS = {"xla_backend_optimization_level": 1}


def jit(function: Callable[..., Any], **options: Any) -> Callable[..., Any]:
  """Compiles a function; `options` are those of `jax.jit`."""
  cpu = jax.default_backend() == "cpu"
  return jax.jit(
    function, compiler_options=_CPU_OPTIONS if cpu else None, **options
  )
