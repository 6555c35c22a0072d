"""The depth warp is far faster than the plain z-buffer, and agrees with it.

benchmarks/renderer.py has the figures. At 32 pixels one core gives a factor
of 70 to 130, at 64 pixels 450 to 1000; the bar leaves room for a busy machine.
"""

import importlib.util
import pathlib

import numpy as np

from gan2shape_jax import render

PATH = pathlib.Path(__file__).parents[1] / "benchmarks" / "renderer.py"


def test_twenty_times_faster_than_the_plain_z_buffer():
  spec = importlib.util.spec_from_file_location("renderer_benchmark", PATH)
  benchmark = importlib.util.module_from_spec(spec)
  spec.loader.exec_module(benchmark)
  camera = render.Camera(32)
  arguments = benchmark.step_scene(32), *benchmark.random_views(16)
  warp, _ = benchmark.programs(render.warp_depth, camera)
  naive, _ = benchmark.programs(benchmark.naive_warp, camera)
  np.testing.assert_allclose(warp(*arguments), naive(*arguments), atol=1e-4)
  fast = benchmark.median_ms(warp, arguments, 15)
  slow = benchmark.median_ms(naive, arguments, 3)
  assert slow > 20 * fast
