"""How XLA compiles the programs, and where it keeps them between runs."""

import importlib.metadata
import os
import re

_EMITTERS = "--xla_cpu_use_fusion_emitters"


def choose_emitters() -> None:
  """Has XLA compile for the CPU the way that it did before fusion emitters.

  These take up to twice as long to compile the steps, and nearly twice the
  memory, for programs that are not faster (docs/performance.md). JAX must not
  have been used before. What `XLA_FLAGS` says of it counts, and so does a file
  of flags that it names.
  """
  # XLA ends a process that names a flag which it does not know. From jaxlib
  # 0.11.1 on there is no other way.
  known = _jaxlib_version() < (0, 11, 1)
  flags = os.environ.get("XLA_FLAGS", "").strip()
  is_file = flags and not flags.startswith("-")
  if known and not is_file and _EMITTERS not in flags:
    os.environ["XLA_FLAGS"] = f"{flags} {_EMITTERS}=false".strip()


def keep_programs() -> None:
  """Keeps compiled programs for later runs, unless the user chose a folder."""
  import jax  # Late: mistakes in flags are answered at once.

  if jax.config.jax_compilation_cache_dir:
    return
  cache = os.environ.get("XDG_CACHE_HOME", os.path.expanduser("~/.cache"))
  jax.config.update(
    "jax_compilation_cache_dir", os.path.join(cache, "gan2shape_jax")
  )
  jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.5)


def _jaxlib_version():
  numbers = re.findall(r"\d+", importlib.metadata.version("jaxlib"))
  return tuple(map(int, numbers[:3]))
