"""The loop: pictures in, shapes out; stopped at any time, it can be resumed.

It reads from top to bottom: check and load everything, find the latents, fit
picture after picture, write what was found. The folder of a run:

  config.json            what was asked for; another request is refused
  latents/NAME.npy       latents of pictures that came without one
  checkpoints/           the state of the fit that is under way
  results/NAME/          what was found for a picture, see export.py
  results/NAME/stages/   how the shape grew, a picture for each stage
  results/NAME/metrics.json  written last: the picture is done
  metrics.json, .csv     all pictures and their means
  logs/                  TensorBoard
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
from ml_collections import ConfigDict, FrozenConfigDict
from PIL import Image

from gan2shape_jax import export, fitting, sheets
from gan2shape_jax.checkpoint import Checkpoints
from gan2shape_jax.config import validate
from gan2shape_jax.data import SourcePicture, list_pictures, load_pictures
from gan2shape_jax.errors import UserError
from gan2shape_jax.gan.bundle import load_gan
from gan2shape_jax.inversion import LatentStatistics
from gan2shape_jax.latents import find_latents
from gan2shape_jax.models.networks import init_networks
from gan2shape_jax.report import Progress, Report, write_metrics
from gan2shape_jax.schedule import Phase, make_phases
from gan2shape_jax.system import System, make_system
from gan2shape_jax.types import GroundTruth, Picture
from gan2shape_jax.workdir import claim_workdir, read_json, write_json

Params = dict[str, Any]
Row = dict[str, float]


@dataclasses.dataclass(frozen=True)
class Run:
  """What stays the same while picture after picture is fitted."""

  config: ConfigDict
  workdir: pathlib.Path
  system: System
  frozen: Params
  phases: tuple[Phase, ...]
  checkpoints: Checkpoints
  report: Report
  progress: Progress

  @property
  def iterations(self) -> int:
    """Iterations of one picture."""
    return sum(phase.iterations for phase in self.phases)

  def folder(self, name: str) -> pathlib.Path:
    """Where the results of a picture go."""
    return self.workdir / "results" / name


def run(config: ConfigDict, workdir: pathlib.Path) -> dict[str, Row]:
  """Fits all pictures of the configuration, or what is left of them.

  Returns:
    The rows of metrics.json by picture name.

  Raises:
    UserError: a mistake in the input, before any long work starts.
    FloatingPointError: a loss is not finite.
  """
  validate(config)
  gan = load_gan(config.weights.gan)
  system = make_system(FrozenConfigDict(config), gan.arch)
  frozen = gan.weights()
  sources = load_sources(config, system)
  claim_workdir(workdir, config)
  phases = make_phases(
    stages=config.schedule.stages,
    first_stage=config.schedule.first_stage,
    later_stages=config.schedule.later_stages,
    flip_step1=config.schedule.flip_step1,
    flip_step3=config.schedule.flip_step3,
    prior_iterations=config.prior.iterations,
  )
  iterations = sum(phase.iterations for phase in phases)
  print(
    f"{len(sources)} picture(s), {iterations} iterations each, on"
    f" {jax.device_count()} {jax.devices()[0].device_kind} device(s);"
    f" results in {workdir}",
    flush=True,
  )
  for source in sources:
    folder = workdir / "results" / source.path.stem
    (folder / "stages").mkdir(parents=True, exist_ok=True)
    _save_image(folder / "input.png", source.image)
  spread = LatentStatistics(gan.mean_latent, gan.latent_std)
  latents = find_latents(config, workdir, system, frozen, spread, sources)
  rows = {}
  with (
    Checkpoints(workdir / "checkpoints") as checkpoints,
    Report(workdir) as report,
    Progress(iterations * len(sources)) as progress,
  ):
    context = Run(
      config, workdir, system, frozen, phases, checkpoints, report, progress
    )
    work = zip(sources, latents, strict=True)
    for index, (source, latent) in enumerate(work):
      name = source.path.stem
      done = context.folder(name) / "metrics.json"
      if not done.exists():
        write_json(done, fit_picture(context, index, source, latent))
      rows[name] = read_json(done)
      progress.update((index + 1) * iterations)
  write_metrics(workdir, rows)
  return rows


# --- Before the loop. --------------------------------------------------------


def load_sources(config: ConfigDict, system: System) -> list[SourcePicture]:
  """Loads the pictures of the configuration, with all problems in one error."""
  data = config.data
  paths = list_pictures(data.pictures)
  last = data.first + data.count if data.count else None
  if not paths[data.first : last]:
    raise UserError(
      f"{data.pictures}: has {len(paths)} picture(s), none from number"
      f" data.first={data.first} on"
    )
  return load_pictures(
    paths[data.first : last],
    image_size=config.image_size,
    n_latent=system.architecture.n_latent,
    latent_size=system.architecture.latent_size,
    crop=data.crop or None,
    mask=data.mask,
    latents=data.latents or None,
    ground_truth=data.ground_truth,
    depth_min=config.camera.depth_min,
    depth_max=config.camera.depth_max,
  )


# --- One picture. ------------------------------------------------------------


def fit_picture(
  context: Run, index: int, source: SourcePicture, latent: np.ndarray
) -> Row:
  """Fits one picture from where it was left, and writes its results."""
  system, frozen, phases = context.system, context.frozen, context.phases
  name = source.path.stem
  folder = context.folder(name)
  picture = Picture(
    image=jnp.asarray(source.image),
    mask=jnp.asarray(source.mask),
    latent=jnp.asarray(latent),
    gan_image=fitting.synthesize(system)(frozen, latent),
  )
  both = jnp.concatenate([picture.image, picture.gan_image], axis=1)
  _save_image(folder / "stages" / "inversion.png", both)
  key = jax.random.fold_in(jax.random.key(context.config.seed), index)
  fit, first, seconds = _resume_or_start(context, name, picture, key)
  clock = time.monotonic() - seconds
  for number in range(first, len(phases)):
    phase = phases[number]
    if number != first:
      fit = fitting.enter_phase(
        system, phases, number, picture, key, fit.params, fit.canonical
      )
    place = Place(index, name, number)
    fit = _run_phase(context, place, fit, picture, clock)
    if phase.step in ("prior", "shape"):
      _report_stage(context, place, fit, picture, source.ground_truth)
  row = figures(system, fit.params, picture, source.ground_truth)
  row["seconds"] = time.monotonic() - clock
  _export(context, folder, name, picture, fit.params, row)
  return row


@dataclasses.dataclass(frozen=True)
class Place:
  """Where in a run something happens: which picture, which phase of it."""

  index: int
  name: str
  phase: int


def _run_phase(
  context: Run, place: Place, fit: fitting.Fit, picture: Picture, clock: float
) -> fitting.Fit:
  """Runs the rest of a phase, chunk by chunk."""
  system, phase = context.system, context.phases[place.phase]
  label = f"{place.name}: stage {phase.stage}, {phase.step}"
  chunk = fitting.phase_chunk(system, phase.step, phase.flip)
  done = int(fit.iteration)
  before = sum(p.iterations for p in context.phases[: place.phase])
  before += place.index * context.iterations
  context.progress.update(before + done, label=label)
  data = fitting.prepare_phase(system, phase, context.frozen, fit, picture)
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
      {f"{place.name}/{phase.step}/{k}": v for k, v in means.items()},
    )
    if time.monotonic() - saved > context.config.run.checkpoint_seconds:
      progress = dataclasses.asdict(place)
      progress |= {"seconds": time.monotonic() - clock}
      context.checkpoints.save(before + done, fit, progress)
      saved = time.monotonic()
  return fit


def _resume_or_start(
  context: Run, name: str, picture: Picture, key: jax.Array
) -> tuple[fitting.Fit, int, float]:
  """The state to go on from, its phase, and the seconds spent so far."""
  enter = partial(
    fitting.enter_phase,
    context.system,
    context.phases,
    picture=picture,
    key=key,
    params=init_networks(context.system.networks, key),
  )
  progress = context.checkpoints.latest_progress()
  if progress is None or progress["name"] != name:
    return enter(0), 0, 0.0
  number = progress["phase"]
  like = jax.eval_shape(lambda: enter(number))
  return context.checkpoints.restore(like), number, progress["seconds"]


# --- What was found. ---------------------------------------------------------


def figures(
  system: System,
  params: Params,
  picture: Picture,
  truth: GroundTruth | None,
) -> Row:
  """Errors of the fit, of the flat shape and of the prior; {} without truth."""
  if truth is None:
    return {}
  everywhere = jnp.ones_like(picture.mask)
  flat = jnp.full_like(picture.mask, system.camera.rotation_center)
  prior = system.prior_depth(picture.mask)
  found = {
    "": fitting.evaluate(system, params, picture, truth),
    "flat_": fitting.compare(flat, everywhere, truth, system.camera),
    "prior_": fitting.compare(prior, everywhere, truth, system.camera),
  }
  return {
    prefix + name: float(errors[name])
    for prefix, errors in found.items()
    for name in ("side", "mad")
  }


def _report_stage(
  context: Run,
  place: Place,
  fit: fitting.Fit,
  picture: Picture,
  truth: GroundTruth | None,
) -> None:
  """Shows how far the shape is after a stage."""
  stage = context.phases[place.phase].stage
  image = fitting.preview(context.system, fit.params, picture)
  _save_image(context.folder(place.name) / "stages" / f"{stage}.png", image)
  context.report.images(stage, {f"{place.name}/stage": np.asarray(image)})
  if truth is not None:
    errors = fitting.evaluate(context.system, fit.params, picture, truth)
    context.report.scalars(
      stage, {f"{place.name}/{k}": float(v) for k, v in errors.items()}
    )


def _export(
  context: Run,
  folder: pathlib.Path,
  name: str,
  picture: Picture,
  params: Params,
  row: Row,
) -> None:
  system, frozen, config = context.system, context.frozen, context.config
  reconstruction = fitting.reconstruct(system)(params, picture)
  project = partial(
    fitting.project(system),
    params,
    frozen,
    fitting.prepare_project(system)(frozen, picture, reconstruction),
  )
  if not config.output.mask:
    reconstruction = reconstruction.replace(mask=None)
  export.export_picture(
    folder,
    name,
    picture.image,
    reconstruction,
    system.camera,
    max_yaw=math.radians(config.output.max_yaw),
    max_pitch=math.radians(config.output.max_pitch),
    alpha=config.light.alpha,
    size=config.output.frame_size,
    project=project,
    figures={
      label: {"SIDE": row[prefix + "side"], "MAD": row[prefix + "mad"]}
      for label, prefix in (("flat", "flat_"), ("prior", "prior_"), ("fit", ""))
    }
    if "side" in row
    else None,
  )


def _save_image(path: pathlib.Path, image: Any) -> None:
  Image.fromarray(sheets.to_uint8(image)).save(path)
