"""The depth warp agrees with the plain z-buffer, for a small part of its work.

Work is counted by XLA, not timed; benchmarks/renderer.py has the times.
"""

import importlib.util
import pathlib

import numpy as np
import pytest

from gan2shape_jax import render

PATH = pathlib.Path(__file__).parents[1] / "benchmarks" / "renderer.py"


@pytest.fixture(scope="module")
def benchmark():
  spec = importlib.util.spec_from_file_location("renderer_benchmark", PATH)
  module = importlib.util.module_from_spec(spec)
  spec.loader.exec_module(module)
  return module


def compile_warp(benchmark, warp, size):
  """A batch of views of one warp, and its arguments."""
  arguments = benchmark.step_scene(size), *benchmark.random_views(16)
  program, _ = benchmark.programs(warp, render.Camera(size))
  return program.lower(*arguments).compile(), arguments


def test_agrees_with_the_plain_z_buffer(benchmark):
  warp, arguments = compile_warp(benchmark, render.warp_depth, 32)
  naive, _ = compile_warp(benchmark, benchmark.naive_warp, 32)
  np.testing.assert_allclose(warp(*arguments), naive(*arguments), atol=1e-4)


def test_a_hundredth_of_the_work_of_the_plain_z_buffer(benchmark):
  # The demo's size: the work of the one grows with the square of the other's.
  warp, _ = compile_warp(benchmark, render.warp_depth, 64)
  naive, _ = compile_warp(benchmark, benchmark.naive_warp, 64)
  assert naive.cost_analysis()["flops"] > 100 * warp.cost_analysis()["flops"]


def test_work_and_memory_grow_as_the_picture_does(benchmark):
  small, _ = compile_warp(benchmark, render.warp_depth, 32)
  large, _ = compile_warp(benchmark, render.warp_depth, 64)

  def costs(program):
    memory = program.memory_analysis().temp_size_in_bytes
    return np.array([program.cost_analysis()["flops"], memory])

  np.testing.assert_allclose(costs(large) / costs(small), 4, rtol=0.1)
