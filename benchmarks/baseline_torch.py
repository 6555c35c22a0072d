"""Times the three steps of a fit against the original's way, in PyTorch.

  python benchmarks/baseline_torch.py [--config configs/demo.py] [--json FILE]

Both sides have the same networks and weights, picture, batch, losses and
optimiser, in float32 on the CPU, and the same number of threads (all cores).
They take turns in one process, so that whatever else the machine does slows
both; a ratio is that of the medians, PyTorch's seconds per iteration by ours.
The ratio of processor time is for machines that do other work as well.

What the PyTorch side computes is told at the top of `torch_steps.py`, and
`torch_renderer.py` says what stands there for the original's CUDA rasteriser.
tests/benchmarks_test.py holds both sides to the same numbers.
"""

import json
import os
import statistics
import sys
import time

import jax
from workload import load_config, load_workload, make_parser, make_step

from gan2shape_jax import runtime
from gan2shape_jax.errors import UserError

STEPS = {"step1": "albedo", "step2": "project", "step3": "shape"}


def limit_threads(count):
  """Gives this process `count` cores; called before JAX looks for them."""
  if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:count])


def load_original(workload, threads):
  """The PyTorch side.

  Raises:
    UserError: PyTorch is not installed, or there is no such baseline.
  """
  if workload.config.weights.lpips:
    raise UserError(
      "the baseline has the discriminator's features only; set weights.lpips=''"
    )
  # Idle threads that spin make PyTorch up to ten times slower when the machine
  # does other work as well.
  os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
  try:
    import torch
  except ImportError as error:
    raise UserError(
      "PyTorch is not installed; pip install torch==2.13.0"
    ) from error
  from torch_steps import Original

  torch.manual_seed(0)
  torch.set_num_threads(threads)
  return Original(workload)


def ours(workload, step):
  """A function that runs n iterations of our side of a step."""
  made = make_step(workload, step)
  compiled, state = made.jit(), [made.state]

  def run(iterations):
    for _ in range(iterations):
      state[0], _ = compiled(state[0], workload.frozen, made.data)
    jax.block_until_ready(state[0])

  return run


def theirs(original, step, flip):
  """The same for PyTorch."""
  original.enter(step)

  def run(iterations):
    for _ in range(iterations):
      original.iterate(step, flip)

  return run


def benchmark(workload, original, step, *, iterations, repeats):
  """Times both sides of a step in turns; returns a row of figures."""
  flip = workload.flip(step)
  sides = {
    "ours": ours(workload, step),
    "torch": theirs(original, step, flip),
  }
  clocks = {"ms": time.perf_counter, "cpu_ms": time.process_time}
  times = {(side, clock): [] for side in sides for clock in clocks}
  for run in sides.values():
    run(2)  # Compiles; caches fill.
  for _ in range(repeats):
    for side, run in sides.items():
      begin = {name: clock() for name, clock in clocks.items()}
      run(iterations)
      for name, clock in clocks.items():
        times[side, name].append(clock() - begin[name])
  row = {"step": step, "flip": flip}
  for (side, name), seconds in times.items():
    row[f"{side}_{name}"] = 1e3 * statistics.median(seconds) / iterations
  row["ratio"] = row["torch_ms"] / row["ours_ms"]
  row["ratio_cpu"] = row["torch_cpu_ms"] / row["ours_cpu_ms"]
  return row


def main():
  """Prints a table, and writes it as JSON where asked."""
  parser = make_parser(__doc__, steps=STEPS, iterations=5, repeats=7)
  parser.add_argument(
    "--threads", type=int, default=os.cpu_count(), metavar="N"
  )
  options = parser.parse_args()
  runtime.prepare()
  limit_threads(options.threads)
  jax.config.update("jax_platforms", "cpu")
  try:
    workload = load_workload(load_config(options.config), random=options.random)
    original = load_original(workload, options.threads)
  except UserError as error:
    print(f"baseline_torch.py: {error}", file=sys.stderr)
    sys.exit(2)
  system = workload.system
  figures = {
    "config": options.config,
    "random": options.random,
    "image_size": system.camera.image_size,
    "gan_size": system.architecture.image_size,
    "batch_size": system.batch_size,
    "threads": options.threads,
  }
  print(", ".join(f"{name} {value}" for name, value in figures.items()))
  print(
    "step            flip   torch ms  ours ms   ratio"
    "   torch cpu  ours cpu   ratio"
  )
  for number in options.steps:
    step = STEPS[number]
    row = benchmark(
      workload,
      original,
      step,
      iterations=options.iterations,
      repeats=options.repeats,
    )
    print(
      f"{number} {step:<9}{row['flip']!s:<5}{row['torch_ms']:10.1f}"
      f"{row['ours_ms']:9.1f}{row['ratio']:8.2f}{row['torch_cpu_ms']:12.1f}"
      f"{row['ours_cpu_ms']:10.1f}{row['ratio_cpu']:8.2f}",
      flush=True,
    )
    figures[f"ratio_{number}"] = row["ratio"]
    figures[number] = row
  if options.json:
    with open(options.json, "w") as file:
      json.dump(figures, file, indent=2)


if __name__ == "__main__":
  main()
