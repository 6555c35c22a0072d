"""The training loop: steps, log lines, sample sheets, checkpoints, the result.

An output folder holds `checkpoints/` (to resume), `samples/` (sheets of the
average generator for fixed latents), `log.jsonl` (one row per log line) and
`gan/`, the folder to ship, rewritten at every checkpoint.
"""

import dataclasses
import json
import time
from pathlib import Path

import jax
import numpy as np
from jax.sharding import AxisType, NamedSharding, PartitionSpec
from jaxtyping import Array, Float, UInt8

from gan2shape_jax.checkpoint import Checkpoints
from gan2shape_jax.errors import UserError
from gan2shape_jax.gan import bundle, pictures, steps
from gan2shape_jax.gan.sliced_wasserstein import (
  mean_distance,
  sliced_wasserstein,
)
from gan2shape_jax.gan.state import GanState, Hyper, init_state
from gan2shape_jax.models.architecture import Architecture
from gan2shape_jax.models.stylegan2 import generate
from gan2shape_jax.sheets import to_uint8

SHEET = 64
# Pictures generated at a time outside training.
CHUNK = 64


@dataclasses.dataclass(frozen=True)
class Run:
  """What a run does and when; intervals in minutes of wall clock.

  Attributes:
    data: where the pictures come from, for the record.
    output: folder to write; a checkpoint there is resumed.
    images: pictures to have seen at the end.
    start: folder of a GAN of the same architecture whose weights a fresh run
      begins with; "" draws random ones.
    seed: of the weights, latents and the order of pictures.
    log_every: iterations per log line.
    checkpoint_minutes: between checkpoints, each with a `gan/` folder.
    sheet_minutes: between sample sheets.
    distance_minutes: between sliced Wasserstein distances.
    dtype: of the shipped weights, "float32" or "float16".
  """

  data: str
  output: Path
  images: int
  start: str = ""
  seed: int = 0
  log_every: int = 50
  checkpoint_minutes: float = 5.0
  sheet_minutes: float = 5.0
  distance_minutes: float = 20.0
  dtype: str = "float16"


def train(
  real: UInt8[np.ndarray, "n h w 3"],
  heldout: UInt8[np.ndarray, "m h w 3"],
  arch: Architecture,
  hyper: Hyper,
  run: Run,
) -> GanState:
  """Trains until `run.images` pictures are seen; resumes by itself.

  Args:
    real: training pictures.
    heldout: pictures that only measure; no more of them than of `real`.
    arch: sizes of both networks.
    hyper: settings of the game.
    run: where, how long and how often.

  Raises:
    UserError: for settings that cannot work, or a checkpoint that does not
      fit them.
  """
  devices = jax.device_count()
  if hyper.batch % 8 or hyper.batch // 2 % devices:
    raise UserError(
      f"batch {hyper.batch} must be a multiple of 8 and of {2 * devices}"
      f" (twice the {devices} devices)"
    )
  mesh = jax.make_mesh((devices,), ("batch",), axis_types=(AxisType.Auto,))
  replicated = NamedSharding(mesh, PartitionSpec())
  sharded = NamedSharding(mesh, PartitionSpec("batch"))
  run.output.mkdir(parents=True, exist_ok=True)
  init = jax.jit(
    lambda key: init_state(key, arch, hyper), out_shardings=replicated
  )
  step_functions = steps.make_steps(arch, hyper, mesh)
  with Checkpoints(run.output / "checkpoints") as checkpoints:
    seen = _images_seen(checkpoints, arch)
    state = init(jax.random.key(run.seed))
    if seen:
      state = checkpoints.restore(state)
    elif run.start:
      state = jax.device_put(_start_from(run.start, state, arch), replicated)
    observer = _Observer(arch, hyper, run, heldout, real)
    first = int(state.step)
    observer.start(first, seen)
    left = max(0, run.images - seen)
    for step in range(first, first + -(-left // hyper.batch)):
      indices = pictures.batch_indices(
        run.seed, step, batch=hyper.batch, count=len(real)
      )
      batch = jax.device_put(real[indices], sharded)
      state, metrics = _iterate(step_functions, hyper, state, batch, step)
      observer.observe(step + 1, state, metrics, checkpoints)
    observer.finish(state, checkpoints)
  return state


def _iterate(step_functions, hyper, state, batch, step):
  """One iteration of the game."""
  state, metrics = step_functions.discriminator(state, batch)
  if hyper.r1_weight > 0 and step % hyper.r1_every == 0:
    state, extra = step_functions.r1(state, batch)
    metrics |= extra
  state, extra = step_functions.generator(state)
  metrics |= extra
  if hyper.path_weight > 0 and step % hyper.path_every == 0:
    state, extra = step_functions.path(state)
    metrics |= extra
  return state, metrics


def _start_from(folder, state, arch):
  """The state with another GAN's weights, the averages for the generator."""
  gan = bundle.load_gan(folder)
  if gan.arch != arch:
    raise UserError(
      f"{folder}: has another architecture than the run; give its channels and"
      " sizes, or start afresh"
    )
  return state.replace(
    generator=gan.generator,
    average=jax.tree.map(np.copy, gan.generator),
    discriminator=gan.discriminator,
  )


def _images_seen(checkpoints, arch):
  """By the run so far (its batch may have changed), 0 for a fresh one."""
  progress = checkpoints.latest_progress()
  if progress is None:
    return 0
  if Architecture.from_dict(progress["architecture"]) != arch:
    raise UserError(
      "the checkpoint in the output folder has another architecture;"
      " give its channels and sizes, or another --output"
    )
  return progress["images"]


class _Observer:
  """Everything that happens beside training, on its schedule."""

  def __init__(self, arch, hyper, run, heldout, real):
    self._arch, self._hyper, self._run = arch, hyper, run
    self._rows = []
    self._distances = {}
    key = jax.random.key(run.seed + 1)
    self._sheet_key, self._distance_key = jax.random.split(key)
    count = min(len(heldout), len(real), 2000) // CHUNK * CHUNK
    self._heldout = pictures.to_float(heldout[:count])
    if count:
      self._distances["floor"] = self._distance(pictures.to_float(real[:count]))
      print(f"distance of real from real {self._distances['floor']:.2f}")
    self._generate = jax.jit(
      lambda params, z: jax.vmap(lambda z: generate(params, z, arch=arch)[0])(z)
    )

  def start(self, step: int, seen: int) -> None:
    """Begins the clock, at a step and a number of pictures seen by then."""
    self._first, self._seen, self._since = step, seen, time.monotonic()
    self._due = {
      self._write_sheet: self._run.sheet_minutes,
      self._checkpoint: self._run.checkpoint_minutes,
      self._measure: self._run.distance_minutes,
    }
    self._due = {
      f: [minutes * 60, self._since + minutes * 60]
      for f, minutes in self._due.items()
    }
    print(f"starting at {seen} pictures", flush=True)

  def observe(
    self, step: int, state: GanState, metrics: dict, checkpoints: Checkpoints
  ) -> None:
    """Keeps the metrics of a step; logs, draws and saves when it is time."""
    self._rows.append(metrics)
    if step % self._run.log_every:
      return
    self._log(step)
    for action, due in self._due.items():
      if time.monotonic() >= due[1]:
        action(state, checkpoints)
        due[1] = time.monotonic() + due[0]

  def finish(self, state: GanState, checkpoints: Checkpoints) -> None:
    """The last figures, sheet and folder."""
    if self._rows:
      self._log(int(state.step))
    for action in (self._measure, self._write_sheet, self._checkpoint):
      action(state, checkpoints)

  def _log(self, step):
    names = sorted({name for row in self._rows for name in row})
    rows = jax.device_get(self._rows)
    self._rows = []
    means = {
      n: float(np.mean([row[n] for row in rows if n in row])) for n in names
    }
    seen = self._images(step)
    rate = (seen - self._seen) / (time.monotonic() - self._since)
    left = (self._run.images - seen) / rate / 60
    text = " ".join(f"{n} {v:.3f}" for n, v in means.items())
    print(
      f"{seen}/{self._run.images} {rate:.1f}/s {left:.0f} min left {text}",
      flush=True,
    )
    self._append({"images": seen, "rate": rate, **means})
    if not np.all(np.isfinite(list(means.values()))):
      raise FloatingPointError(f"training diverged at {seen} pictures")

  def _append(self, row):
    with (self._run.output / "log.jsonl").open("a") as log:
      log.write(json.dumps(row) + "\n")

  def _images(self, step):
    return self._seen + (int(step) - self._first) * self._hyper.batch

  def _samples(self, params, key, count):
    z = jax.random.normal(key, (count // CHUNK, CHUNK, self._arch.latent_size))
    chunks = [np.asarray(self._generate(params, row)) for row in z]
    return np.concatenate(chunks)

  def _write_sheet(self, state, checkpoints):
    samples = self._samples(state.average, self._sheet_key, SHEET)
    seen = self._images(state.step)
    folder = self._run.output / "samples"
    sheet = to_uint8(samples)
    pictures.save_sheet(folder / f"{seen:09d}.png", sheet)
    pictures.save_sheet(self._run.output / "latest.png", sheet)

  def _measure(self, state, checkpoints):
    if not len(self._heldout):
      return
    samples = self._samples(
      state.average, self._distance_key, len(self._heldout)
    )
    samples = pictures.to_float(to_uint8(samples))
    distance = self._distance(samples)
    self._distances["generated"] = distance
    seen = self._images(state.step)
    floor = self._distances["floor"]
    print(f"{seen}: distance {distance:.2f} (real from real {floor:.2f})")
    self._append({"images": seen, "distance": distance, "floor": floor})

  def _distance(self, samples: Float[Array, "n h w 3"]) -> float:
    """From the held-out pictures, in 1e-3."""
    return mean_distance(
      sliced_wasserstein(self._distance_key, samples, self._heldout)
    )

  def _checkpoint(self, state, checkpoints):
    step = int(state.step)
    progress = {
      "architecture": self._arch.to_dict(),
      "images": self._images(step),
    }
    checkpoints.save(state, progress)
    mean = bundle.mean_latent(self._sheet_key, state.average, self._arch)
    provenance = {
      "data": self._run.data,
      "images": progress["images"],
      "start": self._run.start,
      "seed": self._run.seed,
      "hyper": dataclasses.asdict(self._hyper),
      "sliced_wasserstein_1e-3": self._distances,
    }
    gan = bundle.Gan(
      arch=self._arch,
      generator=state.average,
      discriminator=state.discriminator,
      mean_latent=mean,
      provenance=provenance,
    )
    bundle.save_gan(self._run.output / "gan", gan, dtype=self._run.dtype)
