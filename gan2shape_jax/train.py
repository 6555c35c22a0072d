"""The loop: pictures in, shapes out; stopped at any time, it can be resumed.

It reads from top to bottom: check and load everything, find the latents, fit
group after group, write what was found. A group is what is worked on at once:
as many pictures with networks of their own as the devices hold or, in joint
training, all pictures with shared networks. The folder of a run:

  config.json            what was asked for; another request is refused
  masks/                 of pictures whose masks had to be found
  latents/NAME.npy       latents of pictures that came without one
  checkpoints/           the state of the fits that are under way
  networks/              joint training: the weights after the latest stage
  results/NAME/          what was found for a picture, see export.py
  results/NAME/stages/   how the shape grew, a picture and numbers per stage
  results/NAME/metrics.json  written last: the picture is done
  metrics.json, .csv     all pictures, their means, and what went wrong
  diagnostics.png        how well views and lights were followed, per stage
  logs/                  TensorBoard

In joint training the stages lie in results/joint. Of several processes each
works on pictures of its own and writes their results; the first one logs, and
writes what concerns all.
"""

import itertools
import pathlib
from functools import partial
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict

from gan2shape_jax import fitting, hosts, programs, results
from gan2shape_jax.atomic import writing
from gan2shape_jax.checkpoint import Checkpoints
from gan2shape_jax.data import SourcePicture
from gan2shape_jax.devices import Kind
from gan2shape_jax.errors import UserError
from gan2shape_jax.groups import Group, joint_group, separate_groups
from gan2shape_jax.inputs import Inputs, load_inputs
from gan2shape_jax.interrupt import Interrupt
from gan2shape_jax.latents import find_latents
from gan2shape_jax.loop import Failures, GroupLoop, Run, take_pictures
from gan2shape_jax.outcome import Outcome, join
from gan2shape_jax.plan import Plan, make_plan, share_of_process
from gan2shape_jax.plots import plot_stages
from gan2shape_jax.report import Progress, Report, write_metrics
from gan2shape_jax.sources import common_size, sizes_to_crop
from gan2shape_jax.types import Picture
from gan2shape_jax.workdir import (
  claim_workdir,
  read_json,
  result_folder,
  working_in,
  write_json,
)


def run(config: ConfigDict, workdir: pathlib.Path) -> Outcome:
  """Fits all pictures of the configuration, or what is left of them.

  Raises:
    UserError: a mistake in the input, before any long work starts.
    Interrupted: the run was asked to stop, and saved what it had.
  """
  share = partial(share_of_process, config)
  inputs = load_inputs(config, workdir, leave_out=True, share=share)
  plan = make_plan(config, inputs)
  if config.joint:
    # All processes run one program.
    mine = list(sizes_to_crop(config, inputs.sources).items())
    sizes = itertools.chain(*hosts.gather("sizes", mine))
    common_size(config, dict(sizes))
  hosts.in_order("claim", partial(claim_workdir, workdir, config))
  if hosts.is_first():
    print(f"{plan.summary}; results in {workdir}", flush=True)
  with (
    writing(workdir, "--workdir"),
    working_in(workdir, jax.process_index()),
    Interrupt(together=config.joint) as interrupt,
  ):
    mine = do_pictures(config, workdir, inputs, plan, interrupt)
  outcome = join(Outcome(*part) for part in hosts.gather("outcomes", mine))
  if hosts.is_first():
    stages = results.read_stages(workdir)
    with writing(workdir, "--workdir"):
      write_metrics(workdir, outcome.rows, stages, outcome.failed)
      plot_stages(workdir / "diagnostics.png", stages)
  return outcome


def do_pictures(
  config: ConfigDict,
  workdir: pathlib.Path,
  inputs: Inputs,
  plan: Plan,
  interrupt: Interrupt,
) -> Outcome:
  """Does what is left of the pictures of this process."""
  for source in inputs.sources:
    done = _row(workdir, source.path.stem)
    if not done.exists():
      results.save_image(done.with_name("input.png"), source.image)
  latents = find_latents(config, workdir, inputs, interrupt)
  sources = [s for s in inputs.sources if s.path.stem in latents]
  failed = inputs.failed | {
    source.path.stem: f"{source.path}: the search for its latent diverged"
    for source in inputs.sources
    if source.path.stem not in latents
  }
  first = hosts.is_first()
  with (
    Checkpoints(workdir / "checkpoints", together=config.joint) as checkpoints,
    Report(workdir, active=first) as report,
  ):
    groups = _groups(workdir, plan, sources, checkpoints.latest_progress())
    with Progress(plan.iterations * len(groups), active=first) as progress:
      context = Run(
        config=config,
        workdir=workdir,
        inputs=inputs,
        plan=plan,
        fitter=fitting.Fitter(inputs.system, plan.spread),
        frozen=plan.spread.place(inputs.frozen, Kind.FIXED),
        interrupt=interrupt,
        checkpoints=checkpoints,
        report=report,
        progress=progress,
      )
      for index, group in enumerate(groups):
        before = index * plan.iterations
        failed |= do_group(context, group, latents, before)
        progress.update(before + plan.iterations)
  names = [source.path.stem for source in sources]
  rows = {n: read_json(_row(workdir, n)) for n in names if n not in failed}
  return Outcome(rows, failed)


def _row(workdir: pathlib.Path, name: str) -> pathlib.Path:
  """The figures of a picture; where they are, the picture is done."""
  return result_folder(workdir, name) / "metrics.json"


def _groups(
  workdir: pathlib.Path,
  plan: Plan,
  sources: list[SourcePicture],
  progress: dict[str, Any] | None,
) -> list[Group]:
  """What is left to be done; first what the latest checkpoint holds."""
  left = [s for s in sources if not _row(workdir, s.path.stem).exists()]
  if plan.spread.shared:
    # All processes train, or none does.
    mine = len(left), [source.path.stem for source in sources]
    unfinished, usable = zip(*hosts.gather("pictures", mine), strict=True)
    if not any(unfinished):
      return []
    if not all(usable):
      raise UserError(
        f"{workdir}: a process has no picture that can be used; mend the"
        " pictures, or lower --processes"
      )
    names = sorted(itertools.chain(*usable))
    return [joint_group(sources, plan.spread, plan.pictures, names)]
  return separate_groups(sources, left, plan.spread, progress)


def do_group(
  context: Run, group: Group, latents: dict[str, np.ndarray], before: int
) -> Failures:
  """Does what is left of a group: its fits, the results of each picture.

  Args:
    context: of the run.
    group: the pictures.
    latents: of the pictures, by name.
    before: iterations of the groups before this one.

  Returns:
    What went wrong, by name of the picture.
  """
  spread = context.plan.spread
  pictures = _load_group(context, group, latents)
  loop = GroupLoop(context, group, pictures, before)
  params = loop.run()
  failed = {}
  seconds = loop.seconds / sum(map(len, group.fits.values()))
  for row, fit in enumerate(group.fits):
    names = group.names(fit)
    if fit in loop.failed:
      failed |= dict.fromkeys(names, loop.failed[fit])
      continue
    networks = spread.take(params, Kind.OWN, row)
    single = take_pictures(spread, group, fit, pictures)
    for place, picture in zip(group.fits[fit], single, strict=True):
      _write_results(context, group.at(place), picture, networks, seconds)
  return failed


def _load_group(context, group, latents) -> Picture:
  """The pictures of a group on the devices, [n, p]."""
  synthesize = programs.synthesize(context.inputs.system)

  def load(source):
    latent = latents[source.path.stem]
    image = synthesize(context.inputs.frozen, latent)
    picture = results.to_picture(source, latent=latent, gan_image=image)
    return jax.tree.map(np.asarray, picture)

  sources = {s.path.stem: s for row in group.grid for s in row}
  loaded = {name: load(source) for name, source in sources.items()}
  rows = [[loaded[source.path.stem] for source in row] for row in group.grid]
  stack = lambda trees: jax.tree.map(lambda *x: np.stack(x), *trees)  # noqa: E731
  return context.plan.spread.place(stack(map(stack, rows)), Kind.ROWS)


def _write_results(context, source, picture, params, seconds) -> None:
  """Writes what was found for a picture, unless it is there."""
  name, inputs = source.path.stem, context.inputs
  done = _row(context.workdir, name)
  if done.exists():
    return
  row = results.figures(
    inputs.system,
    params,
    picture,
    source.ground_truth,
    pretrained=inputs.pretrained,
  )
  row["seconds"] = seconds
  if context.config.output.export:
    results.export(
      context.config,
      result_folder(context.workdir, name),
      name,
      inputs.system,
      picture,
      params,
      row,
      inputs.frozen,
    )
  write_json(done, row)
