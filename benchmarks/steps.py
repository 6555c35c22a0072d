"""Times one iteration of every step of a fit.

  python benchmarks/steps.py [--config configs/demo.py] [--json FILE]
  python benchmarks/steps.py --config configs/cat.py --random 256

The second needs no weights: all networks of the configuration's sizes with
random weights, and a random config-e GAN of 256 px.

Each step is compiled by itself, with the persistent cache off, and called in a
Python loop, which is what a run does on the CPU; on GPU and TPU a run loops on
the device, so what is printed there is an upper limit. Times are medians of
several loops.

  gflop     of an iteration, as XLA counts them, after it has optimised on a CPU
            and before elsewhere (a product and a sum are two; the loop of the
            rasteriser counts once)
  share     of the device's peak at the precision that matrix products have by
            default: bfloat16 on TPU, TF32 on NVIDIA from Ampere on, else
            float32; only for devices that this program knows
  compile   tracing and lowering, and XLA's part, seconds
  program   arguments, results and temporary memory of the program, MB
  peak      of the device's memory so far or, where it does not tell, of this
            process's; MB
"""

import json
import resource
import statistics
import sys
import time

import jax
from workload import (
  STEPS,
  load_config,
  load_workload,
  make_parser,
  make_step,
)
from workload import seconds_per_iteration as seconds_of

from gan2shape_jax import runtime
from gan2shape_jax.errors import UserError

# Peak flop/s of one device, dense, by what its kind begins with; from the
# vendors' data sheets. The first that fits counts. NVIDIA's in TF32 (V100:
# float32), TPUs' in bfloat16: what JAX computes float32 products in there.
PEAKS = (
  ("NVIDIA H200", "tf32", 494.7e12),
  ("NVIDIA H100", "tf32", 494.7e12),
  ("NVIDIA A100", "tf32", 155.9e12),
  ("NVIDIA L40S", "tf32", 183.2e12),
  ("NVIDIA L4", "tf32", 60.5e12),
  ("NVIDIA A10", "tf32", 62.5e12),
  ("Tesla V100", "float32", 15.7e12),
  ("TPU v2", "bfloat16", 22.5e12),
  ("TPU v3", "bfloat16", 61.5e12),
  ("TPU v4", "bfloat16", 275e12),
  ("TPU v5 lite", "bfloat16", 197e12),
  ("TPU v5", "bfloat16", 459e12),
  ("TPU v6 lite", "bfloat16", 918e12),
)


def device_peak(device) -> tuple[str, float] | None:
  """Name of the precision and flop/s; None for a device not in the table."""
  for kind, precision, peak in PEAKS:
    if device.device_kind.startswith(kind):
      return precision, peak
  return None


def peak_megabytes(device) -> float:
  """The most memory in use so far; on the CPU, of the whole process."""
  stats = device.memory_stats() or {}
  if "peak_bytes_in_use" in stats:
    return stats["peak_bytes_in_use"] / 1e6
  kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
  return kilobytes * (1 if sys.platform == "darwin" else 1024) / 1e6


def benchmark(workload, name, *, iterations, repeats):
  """Compiles and times one step; returns a row of figures."""
  step = make_step(workload, name)
  begin = time.perf_counter()
  program = step.jit()
  lowered = program.lower(step.state, workload.frozen, step.data)
  lowered_at = time.perf_counter()
  compiled = lowered.compile()
  compiled_at = time.perf_counter()

  def iterate(state):
    return compiled(state, workload.frozen, step.data)[0]

  _, state = seconds_of(iterate, step.state, 2)  # Not warm yet.
  times = []
  for _ in range(repeats):
    seconds, state = seconds_of(iterate, state, iterations)
    times.append(seconds)
  seconds = statistics.median(times)
  device = jax.devices()[0]
  # Before it optimises XLA counts n^2 additions for a running sum of n numbers,
  # afterwards nothing for what it leaves to the libraries of a GPU.
  counted = compiled if device.platform == "cpu" else lowered
  flop = (counted.cost_analysis() or {}).get("flops", 0.0)
  row = {
    "step": name,
    "flip": workload.flip(name),
    "ms": 1e3 * seconds,
    "fastest_ms": 1e3 * min(times),
    "iterations_per_second": 1 / seconds,
    "gflop": flop / 1e9,
    "gflop_per_second": flop / seconds / 1e9,
    "lower_seconds": lowered_at - begin,
    "compile_seconds": compiled_at - lowered_at,
    "program_mb": program_megabytes(compiled),
    "peak_mb": peak_megabytes(device),
  }
  if peak := device_peak(device):
    row["share_of_peak"] = flop / seconds / peak[1]
  return row


def program_megabytes(compiled) -> float:
  """Arguments, results that are not in their place, temporary memory."""
  memory = compiled.memory_analysis()
  return (
    memory.argument_size_in_bytes
    + memory.output_size_in_bytes
    - memory.alias_size_in_bytes
    + memory.temp_size_in_bytes
  ) / 1e6


def describe(workload, options):
  """What is timed, and on what."""
  device, system = jax.devices()[0], workload.system
  peak = device_peak(device)
  return {
    "config": options.config,
    "weights": f"random, config-e {options.random}"
    if options.random
    else workload.config.weights.gan,
    "image_size": system.camera.image_size,
    "gan_size": system.architecture.image_size,
    "batch_size": system.batch_size,
    "device": device.device_kind,
    "jax": jax.__version__,
    "peak_precision": peak[0] if peak else None,
  }


def print_row(row):
  """One line of the table."""
  share = row.get("share_of_peak")
  print(
    f"{row['step']:<10}{row['ms']:9.2f}{row['iterations_per_second']:8.1f}"
    f"{row['gflop']:9.2f}{row['gflop_per_second']:9.1f}"
    + ("       -" if share is None else f"{share:8.1%}")
    + f"{row['lower_seconds']:7.1f} +{row['compile_seconds']:5.1f}"
    f"{row['program_mb']:9.0f}{row['peak_mb']:7.0f}",
    flush=True,
  )


def main():
  """Prints a table, and writes it as JSON where asked."""
  parser = make_parser(__doc__, steps=STEPS, iterations=10, repeats=5)
  options = parser.parse_args()
  runtime.prepare()
  jax.config.update("jax_enable_compilation_cache", False)
  try:
    workload = load_workload(load_config(options.config), random=options.random)
  except UserError as error:
    print(f"steps.py: {error}", file=sys.stderr)
    sys.exit(2)
  about = describe(workload, options)
  print(", ".join(f"{name} {value}" for name, value in about.items()))
  print(
    "step             ms    it/s    gflop  gflop/s   share"
    "   compile (s)  program   peak"
  )
  rows = []
  for name in options.steps:
    rows.append(
      benchmark(
        workload,
        name,
        iterations=options.iterations,
        repeats=options.repeats,
      )
    )
    print_row(rows[-1])
  if options.json:
    with open(options.json, "w") as file:
      json.dump({**about, "steps": rows}, file, indent=2)


if __name__ == "__main__":
  main()
