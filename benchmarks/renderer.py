"""Times the depth warp against the plain z-buffer it replaces.

  python benchmarks/renderer.py [--sizes 32 64] [--views 16] [--json FILE]

Both run in this process, on the same views (up to 30, 60 and 10 degrees about
x, y and z) of the same stepped depth map, and each figure is a median. The
z-buffer tries every face at every pixel, in jax.numpy, and shades its winner
like the warp; at 64 pixels a batch of 16 views takes it seconds. Also checked:
that the two agree.
"""

import argparse
import json
import statistics
import sys
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

# Run as a script, python puts benchmarks/ first on the path.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from gan2shape_jax import render, runtime
from gan2shape_jax.render import fragments, rasterize


def naive_faces(points, camera):
  """Face numbers of one view, by all faces at all pixels."""
  size = camera.image_size
  grid = (render.project_to_grid(points, camera) + 1) * camera.center
  vertices = jnp.arange(2 * size**2)
  row, column = np.divmod(np.arange(2 * size**2) % size**2, size)
  real = (row < size - 1) & (column < size - 1)
  corners = fragments.face_corners(vertices, (size, size))[:3]
  u, v, z = (
    [jnp.ravel(x)[jnp.where(real, corner, 0)] for corner in corners]
    for x in (grid[..., 0], grid[..., 1], points[..., 2])
  )
  area = (u[1] - u[0]) * (v[2] - v[0]) - (u[2] - u[0]) * (v[1] - v[0])
  area = jnp.where(real, area, jnp.nan)

  def nearest(pixel):
    du, dv = pixel % size - u[0], pixel // size - v[0]
    b1 = (du * (v[2] - v[0]) - dv * (u[2] - u[0])) / area
    b2 = (dv * (u[1] - u[0]) - du * (v[1] - v[0])) / area
    b0 = 1 - b1 - b2
    inside = jnp.minimum(jnp.minimum(b0, b1), b2) >= -2e-5
    near = jnp.where(inside, b0 / z[0] + b1 / z[1] + b2 / z[2], 0.0)
    face = jnp.argmax(near)
    return jnp.where(near[face] > 0, face, -1)

  return jax.vmap(nearest)(jnp.arange(size**2)).reshape(size, size)


def naive_warp(depth, pose, camera):
  """The depth warp with `naive_faces`."""
  points = render.depth_to_points(depth, camera)
  points = render.transform_points(points, pose, camera)
  faces = naive_faces(jax.lax.stop_gradient(points), camera)
  return rasterize.face_depth(depth, faces, pose, camera, camera), faces >= 0


def step_scene(size):
  """A box (depth 0.9) before a wall (1.04)."""
  y, x = np.mgrid[:size, :size] / (size - 1) * 2 - 1
  box = (np.abs(x) < 0.5) & (np.abs(y) < 0.6)
  return jnp.float32(np.where(box, 0.9, 1.04))


def random_views(count):
  """Angles and translations of `count` views."""
  random = np.random.default_rng(0)
  angles = np.radians(random.uniform(-1, 1, (count, 3)) * [30, 60, 10])
  translation = random.uniform(-0.02, 0.02, (count, 3))
  return jnp.float32(angles), jnp.float32(translation)


def programs(warp, camera):
  """The forward and the forward-and-backward program of a batch."""

  def view_depth(depth, angles, translation):
    pose = render.pose_from_angles(angles, translation)
    return warp(depth, pose, camera)[0]

  batch = jax.vmap(view_depth, in_axes=(None, 0, 0))

  def total(*arguments):
    return jnp.sum(batch(*arguments) ** 2)

  return jax.jit(batch), jax.jit(jax.value_and_grad(total, (0, 1, 2)))


def median_ms(program, arguments, repeats):
  """Median wall time of a compiled program, milliseconds."""
  jax.block_until_ready(program(*arguments))
  times = []
  for _ in range(repeats):
    begin = time.perf_counter()
    jax.block_until_ready(program(*arguments))
    times.append(time.perf_counter() - begin)
  return 1e3 * statistics.median(times)


def benchmark(size, views):
  """Times one image size; returns a row of figures."""
  camera = render.Camera(size)
  arguments = step_scene(size), *random_views(views)
  forward, both = programs(render.warp_depth, camera)
  naive_forward, naive_both = programs(naive_warp, camera)
  error = jnp.abs(forward(*arguments) - naive_forward(*arguments))
  row = {
    "size": size,
    "views": views,
    "forward_ms": median_ms(forward, arguments, 25),
    "forward_backward_ms": median_ms(both, arguments, 25),
    "naive_forward_ms": median_ms(naive_forward, arguments, 3),
    "naive_forward_backward_ms": median_ms(naive_both, arguments, 3),
    "pixels_off_by_1e-4": int(jnp.sum(error > 1e-4)),
  }
  row["speedup"] = row["naive_forward_ms"] / row["forward_ms"]
  row["backward_ratio"] = row["forward_backward_ms"] / row["forward_ms"]
  return row


def main():
  """Prints a table, and writes it as JSON where asked."""
  parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
  )
  parser.add_argument("--sizes", type=int, nargs="+", default=[32, 64])
  parser.add_argument("--views", type=int, default=16)
  parser.add_argument("--json", metavar="FILE", help="write the figures here")
  options = parser.parse_args()
  runtime.prepare()
  print(f"{jax.devices()[0].device_kind}, {options.views} views, ms per batch")
  print(
    "size   warp: fwd  fwd+bwd   naive: fwd  fwd+bwd   speedup  bwd/fwd  off"
  )
  rows = []
  for size in options.sizes:
    row = benchmark(size, options.views)
    rows.append(row)
    print(
      f"{size:4d}   {row['forward_ms']:9.2f}  {row['forward_backward_ms']:7.2f}"
      f"   {row['naive_forward_ms']:10.0f}"
      f"  {row['naive_forward_backward_ms']:7.0f}"
      f"   {row['speedup']:6.0f}x  {row['backward_ratio']:7.2f}"
      f"  {row['pixels_off_by_1e-4']:3d}",
      flush=True,
    )
  if options.json:
    with open(options.json, "w") as file:
      json.dump(rows, file, indent=2)


if __name__ == "__main__":
  main()
