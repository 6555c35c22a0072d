"""The loop: pictures in, shapes out; stopped at any time, it can be resumed.

It reads from top to bottom: check and load everything, find the latents, fit
task after task, write what was found. A task is one picture with networks of
its own or, in joint training, all pictures with shared networks. The folder of
a run:

  config.json            what was asked for; another request is refused
  masks/                 of pictures whose masks had to be found
  latents/NAME.npy       latents of pictures that came without one
  checkpoints/           the state of the fit that is under way
  networks/              joint training: the weights after the latest stage
  results/NAME/          what was found for a picture, see export.py
  results/NAME/stages/   how the shape grew, a picture and numbers per stage
  results/NAME/metrics.json  written last: the picture is done
  metrics.json, .csv     all pictures and their means
  diagnostics.png        how well views and lights were followed, per stage
  logs/                  TensorBoard

In joint training the stages lie in results/joint.
"""

import dataclasses
import math
import pathlib
import time
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from gan2shape_jax import fitting, results
from gan2shape_jax.checkpoint import Checkpoints
from gan2shape_jax.data import SourcePicture
from gan2shape_jax.inputs import load_inputs
from gan2shape_jax.inversion import LatentStatistics
from gan2shape_jax.latents import find_latents
from gan2shape_jax.models.networks import init_networks
from gan2shape_jax.plan import make_plan
from gan2shape_jax.plots import plot_stages
from gan2shape_jax.pretrained import save_networks
from gan2shape_jax.report import Progress, Report, write_metrics
from gan2shape_jax.schedule import Phase
from gan2shape_jax.system import System
from gan2shape_jax.types import Picture
from gan2shape_jax.workdir import claim_workdir, read_json, write_json

Params = dict[str, Any]
Row = dict[str, float]


@dataclasses.dataclass(frozen=True)
class Run:
  """What stays the same while task after task is done.

  Attributes that need a word:
    pretrained: the networks to start from, by name; the others start afresh.
    heldout: pictures with true depth that joint training only predicts.
  """

  config: ConfigDict
  workdir: pathlib.Path
  system: System
  frozen: Params
  pretrained: Params
  heldout: list[SourcePicture]
  phases: tuple[Phase, ...]
  checkpoints: Checkpoints
  report: Report
  progress: Progress

  @property
  def iterations(self) -> int:
    """Iterations of one task."""
    return sum(phase.iterations for phase in self.phases)

  def folder(self, name: str) -> pathlib.Path:
    """Where the results of a picture or task go."""
    return self.workdir / "results" / name


@dataclasses.dataclass(frozen=True)
class Task:
  """Pictures that share networks: one, or all of them in joint training."""

  index: int
  name: str
  sources: list[SourcePicture]
  latents: list[np.ndarray]


def run(config: ConfigDict, workdir: pathlib.Path) -> dict[str, Row]:
  """Fits all pictures of the configuration, or what is left of them.

  Returns:
    The rows of metrics.json by picture name.

  Raises:
    UserError: a mistake in the input, before any long work starts.
    FloatingPointError: a loss is not finite.
  """
  inputs = load_inputs(config, workdir)
  plan = make_plan(config, inputs)
  claim_workdir(workdir, config)
  gan, system, frozen = inputs.gan, inputs.system, inputs.frozen
  sources, iterations = inputs.sources, plan.iterations
  print(
    f"{plan.summary}, on {jax.device_count()} {jax.devices()[0].device_kind}"
    f" device(s); results in {workdir}",
    flush=True,
  )
  for source in sources:
    results.save_image(
      workdir / "results" / source.path.stem / "input.png", source.image
    )
  spread = LatentStatistics(gan.mean_latent, gan.latent_std)
  latents = find_latents(config, workdir, system, frozen, spread, sources)
  with (
    Checkpoints(workdir / "checkpoints") as checkpoints,
    Report(workdir) as report,
    Progress(iterations * plan.tasks) as progress,
  ):
    context = Run(
      config=config,
      workdir=workdir,
      system=system,
      frozen=frozen,
      pretrained=inputs.pretrained,
      heldout=inputs.heldout,
      phases=plan.phases,
      checkpoints=checkpoints,
      report=report,
      progress=progress,
    )
    rows = {}
    for task in _tasks(config, sources, latents):
      rows |= do_task(context, task)
      progress.update((task.index + 1) * iterations)
  stages = results.read_stages(workdir)
  write_metrics(workdir, rows, stages)
  plot_stages(workdir / "diagnostics.png", stages)
  return rows


def _tasks(config, sources, latents) -> list[Task]:
  if config.joint:
    return [Task(0, "joint", sources, latents)]
  return [
    Task(index, source.path.stem, [source], [latent])
    for index, (source, latent) in enumerate(zip(sources, latents, strict=True))
  ]


# --- One task. ---------------------------------------------------------------


def do_task(context: Run, task: Task) -> dict[str, Row]:
  """Does what is left of a task: the fit, the results of each picture.

  Returns:
    The figures of its pictures by name.
  """
  names = [source.path.stem for source in task.sources]
  done = [context.folder(name) / "metrics.json" for name in names]
  if not all(path.exists() for path in done):
    pictures = _load_task(context, task)
    params, seconds = fit_pictures(context, task, pictures)
    for i, source in enumerate(task.sources):
      if not done[i].exists():
        picture = jax.tree.map(lambda x, i=i: x[i], pictures)
        row = results.figures(
          context.system,
          params,
          picture,
          source.ground_truth,
          pretrained=context.pretrained,
        )
        row["seconds"] = seconds / len(names)
        if context.config.output.export:
          results.export(
            context.config,
            context.folder(names[i]),
            names[i],
            context.system,
            picture,
            params,
            row,
            context.frozen,
          )
        write_json(done[i], row)
  return {n: read_json(path) for n, path in zip(names, done, strict=True)}


def _load_task(context: Run, task: Task) -> Picture:
  """The pictures of a task on the device, [p]."""
  synthesize = fitting.synthesize(context.system)
  pictures = [
    Picture(
      image=jnp.asarray(source.image),
      mask=jnp.asarray(source.mask),
      latent=jnp.asarray(latent),
      gan_image=synthesize(context.frozen, latent),
    )
    for source, latent in zip(task.sources, task.latents, strict=True)
  ]
  return jax.tree.map(lambda *parts: jnp.stack(parts), *pictures)


def fit_pictures(
  context: Run, task: Task, pictures: Picture
) -> tuple[Params, float]:
  """Fits the networks to pictures [p], from where the fit was left.

  Returns:
    The parameters and the seconds it took, all runs together.
  """
  system, phases = context.system, context.phases
  key = jax.random.fold_in(jax.random.key(context.config.seed), task.index)
  results.show_inversion(context.folder(task.name) / "stages", pictures)
  fit, first, seconds = _resume_or_start(context, task, pictures, key)
  clock = time.monotonic() - seconds
  for number in range(first, len(phases)):
    if number != first:
      fit = fitting.enter_phase(
        system, phases, number, pictures, key, fit.params, fit.canonical
      )
    fit = _run_phase(context, Place(task, number), fit, pictures, clock)
    if phases[number].step in ("prior", "shape"):
      _end_stage(context, Place(task, number), fit, pictures)
  return fit.params, time.monotonic() - clock


@dataclasses.dataclass(frozen=True)
class Place:
  """Where in a run something happens: which task, which phase of it."""

  task: Task
  phase: int


def _run_phase(
  context: Run,
  place: Place,
  fit: fitting.Fit,
  pictures: Picture,
  clock: float,
) -> fitting.Fit:
  """Runs the rest of a phase, chunk by chunk."""
  system, phase = context.system, context.phases[place.phase]
  name = place.task.name
  label = f"{name}: stage {phase.stage}, {phase.step}"
  chunk = fitting.phase_chunk(system, phase.step, phase.flip)
  done = int(fit.iteration)
  before = sum(p.iterations for p in context.phases[: place.phase])
  before += place.task.index * context.iterations
  context.progress.update(before + done, label=label)
  data = fitting.prepare_phase(system, phase, context.frozen, fit, pictures)
  saved = time.monotonic()
  while done < phase.iterations:
    length = min(context.config.run.chunk, phase.iterations - done)
    fit, losses = chunk(fit, context.frozen, data, length=length)
    done += length
    means = {name: float(np.mean(rows)) for name, rows in losses.items()}
    if not math.isfinite(means["total"]):
      raise FloatingPointError(
        f"{label}: the loss is not finite within {length} iterations before"
        f" number {done}; the last checkpoint is from before"
      )
    context.progress.update(before + done, loss=means["total"])
    context.report.scalars(
      before + done,
      {f"{name}/{phase.step}/{k}": v for k, v in means.items()},
    )
    if time.monotonic() - saved > context.config.run.checkpoint_seconds:
      progress = {"name": name, "phase": place.phase}
      progress |= {"seconds": time.monotonic() - clock}
      context.checkpoints.save(before + done, fit, progress)
      saved = time.monotonic()
  return fit


def _end_stage(
  context: Run, place: Place, fit: fitting.Fit, pictures: Picture
) -> None:
  """Shows how far the shapes are, and keeps the networks that are shared."""
  phase, task = context.phases[place.phase], place.task
  row = results.report_stage(
    context.folder(task.name) / "stages" / str(phase.stage),
    context.system,
    context.frozen,
    fit,
    pictures,
    [source.ground_truth for source in task.sources],
    context.heldout,
  )
  context.report.scalars(
    phase.stage, {f"{task.name}/stage/{k}": v for k, v in row.items()}
  )
  if context.config.joint:
    provenance = {"config": context.config.to_dict(), "stage": phase.stage}
    save_networks(context.workdir / "networks", fit.params, provenance)


def _resume_or_start(
  context: Run, task: Task, pictures: Picture, key: jax.Array
) -> tuple[fitting.Fit, int, float]:
  """The state to go on from, its phase, and the seconds spent so far."""
  params = init_networks(context.system.networks, key) | context.pretrained
  enter = partial(
    fitting.enter_phase,
    context.system,
    context.phases,
    pictures=pictures,
    key=key,
    # A copy, because the loop donates (consumes) the arrays of its state.
    params=jax.tree.map(jnp.copy, params),
  )
  progress = context.checkpoints.latest_progress()
  if progress is None or progress["name"] != task.name:
    return enter(0), 0, 0.0
  number = progress["phase"]
  like = jax.eval_shape(lambda: enter(number))
  return context.checkpoints.restore(like), number, progress["seconds"]
