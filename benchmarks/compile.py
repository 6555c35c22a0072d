"""Counts and times the programs that a whole run compiles.

  python benchmarks/compile.py [--config configs/demo.py] [--json FILE]

Runs everything that a fit does, inversion and export included, with a few
iterations of each kind and the persistent cache off, in a temporary folder.
JAX reports the seconds for each program. After them come their sum and what the
whole run took, most of which is compiling.

  trace     Python to jaxpr, and jaxpr to StableHLO
  compile   XLA
"""

import argparse
import collections
import json
import sys
import tempfile
import time
from pathlib import Path

import jax
from workload import load_config

from gan2shape_jax import runtime, train
from gan2shape_jax.errors import UserError

EVENTS = {
  "/jax/core/compile/jaxpr_trace_duration": "trace",
  "/jax/core/compile/jaxpr_to_mlir_module_duration": "trace",
  "/jax/core/compile/backend_compile_duration": "compile",
}


def shorten(config):
  """Two iterations of each phase: what is compiled stays the same."""
  with config.unlocked():
    config.run.chunk = 1
    config.inversion.iterations = min(config.inversion.iterations, 2)
    config.inversion.iterations_w_plus = min(
      config.inversion.iterations_w_plus, 2
    )
    config.prior.iterations = min(config.prior.iterations, 2)
    schedule = config.schedule
    schedule.first_stage = schedule.later_stages = (2, 2, 2)
  return config


class Listener:
  """Seconds of each program by name and part."""

  def __init__(self):
    self.seconds = collections.defaultdict(collections.Counter)
    self.programs = 0
    jax.monitoring.register_event_duration_secs_listener(self)

  def __call__(self, event, seconds, **details):
    """Hears of an event of JAX."""
    part = EVENTS.get(event)
    if part:
      self.seconds[details.get("fun_name", "?")][part] += seconds
      self.programs += part == "compile"


def main():
  """Prints the programs that take longest, and the sums."""
  parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
  )
  parser.add_argument("--config", default="configs/demo.py", metavar="FILE")
  parser.add_argument("--show", type=int, default=15, metavar="N")
  parser.add_argument("--json", metavar="FILE", help="write the figures here")
  options = parser.parse_args()
  runtime.prepare()
  jax.config.update("jax_enable_compilation_cache", False)
  listener = Listener()
  begin, processor = time.perf_counter(), time.process_time()
  try:
    config = shorten(load_config(options.config))
    with tempfile.TemporaryDirectory() as folder:
      train.run(config, Path(folder) / "run")
  except UserError as error:
    print(f"compile.py: {error}", file=sys.stderr)
    sys.exit(2)
  totals = sum(listener.seconds.values(), collections.Counter())
  figures = {
    "config": options.config,
    "programs": listener.programs,
    "trace_seconds": totals["trace"],
    "compile_seconds": totals["compile"],
    "wall_seconds": totals.total(),
    "run_wall_seconds": time.perf_counter() - begin,
    "run_processor_seconds": time.process_time() - processor,
    "by_name": {
      name: dict(parts)
      for name, parts in sorted(
        listener.seconds.items(), key=lambda item: -item[1].total()
      )
    },
  }
  print("  trace  compile  program (seconds)")
  for name, parts in list(figures["by_name"].items())[: options.show]:
    trace, compiling = parts.get("trace", 0.0), parts.get("compile", 0.0)
    print(f"{trace:7.2f}{compiling:9.2f}  {name}")
  print(
    f"{figures['programs']} programs, {figures['wall_seconds']:.1f} s:"
    f" {totals['trace']:.1f} s to trace, {totals['compile']:.1f} s to compile;"
    f" the run took {figures['run_wall_seconds']:.1f} s,"
    f" {figures['run_processor_seconds']:.1f} s of the processor"
  )
  if options.json:
    Path(options.json).write_text(json.dumps(figures, indent=2))


if __name__ == "__main__":
  main()
