"""Settings of the process that programs run in, made before JAX is used."""

import ctypes
import importlib.metadata
import os
import re
import sys

_EMITTERS = "--xla_cpu_use_fusion_emitters"
# Options of `mallopt`, from glibc's malloc.h.
_TRIM_THRESHOLD, _MMAP_MAX, _ARENA_MAX = -1, -4, -8


def prepare() -> None:
  """Makes programs on the CPU fast: see the two functions that it calls."""
  keep_memory()
  choose_emitters()


def keep_memory() -> None:
  """Has the process keep memory that is freed, for what runs next.

  XLA's CPU back end takes memory for the intermediate results of a program
  anew each time that it runs, as one block. Blocks of 32 MB and more glibc has
  from the kernel and gives back, which clears each page every time: a fifth
  of an iteration of steps 2 and 3 (docs/performance.md). On the heap the block
  is found again, if threads do not have heaps of their own: those end at 64 MB.

  Without glibc nothing changes, nor where the environment has settings for its
  allocator.
  """
  chosen = "GLIBC_TUNABLES" in os.environ or any(
    name.startswith("MALLOC_") for name in os.environ
  )
  if chosen or not sys.platform.startswith("linux"):
    return
  libc = ctypes.CDLL(None)
  if hasattr(libc, "mallopt"):
    libc.mallopt(_ARENA_MAX, 1)
    libc.mallopt(_MMAP_MAX, 0)
    libc.mallopt(_TRIM_THRESHOLD, 2**31 - 1)


def choose_emitters() -> None:
  """Has XLA compile for the CPU the way that it did before fusion emitters.

  These take up to twice as long to compile the steps, and nearly twice the
  memory, for programs that are not faster (docs/performance.md). What
  `XLA_FLAGS` says of it counts, and so does a file of flags that it names.
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
