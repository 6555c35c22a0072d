"""XLA's options, and the folder where programs are kept."""

import importlib.metadata
import os

import jax
import pytest

from gan2shape_jax import compilation

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
  compilation.choose_emitters()
  assert os.environ["XLA_FLAGS"] == expected


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
  compilation.keep_programs()
  folder = str(tmp_path / "gan2shape_jax")
  assert jax.config.jax_compilation_cache_dir == folder


def test_a_folder_that_was_chosen_stays(no_folder, tmp_path):
  jax.config.update("jax_compilation_cache_dir", str(tmp_path))
  seconds = jax.config.jax_persistent_cache_min_compile_time_secs
  compilation.keep_programs()
  assert jax.config.jax_compilation_cache_dir == str(tmp_path)
  assert jax.config.jax_persistent_cache_min_compile_time_secs == seconds
