"""XLA's options, the process's memory, the folder where programs are kept."""

import ctypes
import importlib.metadata
import os
import subprocess
import sys

import jax
import pytest

from gan2shape_jax import runtime

FLAG = "--xla_cpu_use_fusion_emitters"


@pytest.mark.parametrize(
  ("flags", "version", "expected"),
  [
    ("", "0.10.2", f"{FLAG}=false"),
    ("--some", "0.7.0", f"--some {FLAG}=false"),
    (f"{FLAG}=true", "0.10.2", f"{FLAG}=true"),
    ("", "0.11.0", f"{FLAG}=false"),
    ("--some", "0.11.1", "--some"),
    ("flags.txt", "0.10.2", "flags.txt"),
    ("", "1.0.0.dev20270101", ""),
  ],
)
def test_emitters(monkeypatch, flags, version, expected):
  monkeypatch.setenv("XLA_FLAGS", flags)
  monkeypatch.setattr(importlib.metadata, "version", lambda name: version)
  runtime.choose_emitters()
  assert os.environ["XLA_FLAGS"] == expected


# Takes, fills and frees a block in a thread, as XLA does, and prints what the
# process has of it then.
USE_BLOCK = """
import ctypes, pathlib, resource, threading
from gan2shape_jax import runtime

libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
size = 100 * 2**20

def resident():
  pages = pathlib.Path("/proc/self/statm").read_text().split()[1]
  return int(pages) * resource.getpagesize()

def use_block():
  before = resident()
  block = libc.malloc(ctypes.c_size_t(size))
  libc.memset(ctypes.c_void_p(block), 1, ctypes.c_size_t(size))
  libc.free(ctypes.c_void_p(block))
  print((resident() - before) / size)

runtime.keep_memory()
thread = threading.Thread(target=use_block)
thread.start()
thread.join()
"""


@pytest.mark.skipif(
  not (sys.platform == "linux" and hasattr(ctypes.CDLL(None), "mallopt")),
  reason="needs glibc",
)
@pytest.mark.parametrize(
  ("variable", "kept"), [("OTHER", 1), ("MALLOC_ARENA_MAX", 0)]
)
def test_memory_is_kept_unless_the_environment_says_how(variable, kept):
  environment = {
    k: v
    for k, v in os.environ.items()
    if k != "GLIBC_TUNABLES" and not k.startswith("MALLOC_")
  }
  done = subprocess.run(
    [sys.executable, "-c", USE_BLOCK],
    env=environment | {variable: "8"},
    capture_output=True,
    text=True,
    check=True,
  )
  assert float(done.stdout) == pytest.approx(kept, abs=0.1)


@pytest.fixture
def no_folder():
  folder = jax.config.jax_compilation_cache_dir
  seconds = jax.config.jax_persistent_cache_min_compile_time_secs
  jax.config.update("jax_compilation_cache_dir", None)
  yield
  jax.config.update("jax_compilation_cache_dir", folder)
  jax.config.update("jax_persistent_cache_min_compile_time_secs", seconds)


def test_programs_are_kept_for_the_user(no_folder, monkeypatch, tmp_path):
  monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
  runtime.keep_programs()
  folder = str(tmp_path / "gan2shape_jax")
  assert jax.config.jax_compilation_cache_dir == folder


def test_a_folder_that_was_chosen_stays(no_folder, tmp_path):
  jax.config.update("jax_compilation_cache_dir", str(tmp_path))
  seconds = jax.config.jax_persistent_cache_min_compile_time_secs
  runtime.keep_programs()
  assert jax.config.jax_compilation_cache_dir == str(tmp_path)
  assert jax.config.jax_persistent_cache_min_compile_time_secs == seconds
