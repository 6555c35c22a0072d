"""Which library convolves on the CPU, chosen for single programs.

XLA leaves convolutions to YNNPACK. Eigen's keep more of the cores busy, and
programs that convolve batches take an eighth less time with them; but they are
slow at the gradient of a kernel from a single picture (docs/performance.md).
"""

import functools
import os

import jax
import jax.numpy as jnp

_OPTION = "xla_cpu_experimental_ynn_fusion_type"
# All that YNNPACK does by itself but convolutions.
_OTHERS = "LIBRARY_FUSION_TYPE_INDIVIDUAL_DOT,LIBRARY_FUSION_TYPE_REDUCE"


@functools.cache
def for_batches() -> dict[str, str]:
  """Options of `jax.jit` for a program that convolves batches.

  JAX takes them for whole programs only, not for what others are made of.
  None on other devices, none where `XLA_FLAGS` says who is to convolve, and
  none if XLA does not know the option, which is experimental.
  """
  if jax.default_backend() != "cpu" or _OPTION in os.environ.get(
    "XLA_FLAGS", ""
  ):
    return {}
  options = {_OPTION: _OTHERS}
  try:
    jax.jit(lambda: jnp.zeros(()), compiler_options=options).lower().compile()
  except jax.errors.JaxRuntimeError:
    return {}
  return options
