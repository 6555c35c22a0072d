"""The loop over the iterations of a group of fits, and what it leaves behind.

Fits of a group go through the schedule side by side. One whose loss is not
finite is given up; the others go on.
"""

import dataclasses
import pathlib
import time
from typing import Any, NoReturn

import jax
import numpy as np
from ml_collections import ConfigDict

from gan2shape_jax import fitting, hosts, results
from gan2shape_jax.checkpoint import Checkpoints
from gan2shape_jax.devices import Kind, Spread, pick
from gan2shape_jax.errors import Interrupted
from gan2shape_jax.groups import JOINT, Group
from gan2shape_jax.inputs import Inputs
from gan2shape_jax.interrupt import Interrupt
from gan2shape_jax.plan import Plan
from gan2shape_jax.pretrained import save_networks
from gan2shape_jax.report import Progress, Report
from gan2shape_jax.types import Picture
from gan2shape_jax.workdir import result_folder

Params = dict[str, Any]
Failures = dict[str, str]  # what went wrong, by name


@dataclasses.dataclass(frozen=True)
class Run:
  """What stays the same while group after group is done.

  Attributes that need a word:
    frozen: the weights that nobody trains, on all devices; those of `inputs`
      lie on the first one.
    progress: of all groups, in iterations.
  """

  config: ConfigDict
  workdir: pathlib.Path
  inputs: Inputs
  plan: Plan
  fitter: fitting.Fitter
  frozen: Params
  interrupt: Interrupt
  checkpoints: Checkpoints
  report: Report
  progress: Progress


class GroupLoop:
  """Takes the fits of a group through the schedule.

  Attributes:
    failed: what went wrong, by fit.
    seconds: that it took, all runs together.
  """

  def __init__(
    self, context: Run, group: Group, pictures: Picture, before: int
  ):
    """Notes what is to be done; `run` does it.

    Args:
      context: of the run.
      group: the pictures and the fits,
      pictures: the same on the devices, [n, p].
      before: iterations of the groups before this one.
    """
    self.failed: Failures = {}
    self._context, self._group, self._pictures = context, group, pictures
    self._before = before
    self._label = ", ".join([*group.fits][:2])
    if len(group.fits) > 2:
      self._label += f" and {len(group.fits) - 2} more"
    self._clock = self._saved = time.monotonic()

  @property
  def seconds(self) -> float:
    """Time spent so far, that of earlier runs included."""
    return time.monotonic() - self._clock

  @property
  def _shows(self) -> bool:
    """Whether this process shows stages: of shared networks one is enough."""
    return hosts.is_first() or not self._context.plan.spread.shared

  def run(self) -> Params:
    """Fits the networks, from where they were left; returns them."""
    context, group = self._context, self._group
    fitter, phases = context.fitter, context.plan.phases
    for name in group.fits if self._shows else ():
      pictures = take_pictures(fitter.spread, group, name, self._pictures)
      folder = result_folder(context.workdir, name)
      results.show_inversion(folder / "stages", pictures)
    params, key = fitter.begin(
      context.inputs.pretrained, context.config.seed, group.numbers
    )
    fit, first = self._resume(params, key)
    for number, phase in enumerate(phases[first:], start=first):
      if fit is None:
        fit = fitter.enter(phase, number, self._pictures, key, params)
      elif number != first:
        fit = fitter.enter(
          phase, number, self._pictures, key, fit.params, fit.canonical
        )
      fit = fitter.take_best(self._run_phase(number, fit))
      if len(self.failed) == len(group.fits):
        break
      if phase.step in ("prior", "shape"):
        self._end_stage(number, fit)
    return fit.params

  def _resume(
    self, params: Params, key: jax.Array
  ) -> tuple[fitting.Fit | None, int]:
    """The state to go on from, if any, and its phase."""
    context = self._context
    progress = context.checkpoints.latest_progress()
    if progress is None or not self._group.is_left_in(progress):
      return None, 0
    number = progress["phase"]
    self.failed = progress["failed"]
    self._clock -= progress["seconds"]
    like = context.fitter.abstract(
      context.plan.phases[number], self._pictures, key, params
    )
    fit = context.checkpoints.restore(like)
    if progress["pictures"] != self._group.pictures:
      # One that could not be used then can be now, or the other way round: what
      # is canonical lies in the places of others.
      canonical = context.fitter.reconstruct(fit.params, self._pictures)
      fit = fit.replace(canonical=canonical)
    before = self._before + self._start(number)
    context.progress.skip_to(before + _iteration(fit))
    return fit, number

  def _run_phase(self, number: int, fit: fitting.Fit) -> fitting.Fit:
    """Runs the rest of a phase, chunk by chunk."""
    context = self._context
    fitter, phases = context.fitter, context.plan.phases
    phase = phases[number]
    label = f"{self._label}: stage {phase.stage}, {phase.step}"
    start = self._start(number)
    done = _iteration(fit)
    context.progress.update(self._before + start + done, label=label)
    if done == phase.iterations:  # The checkpoint is from its end.
      return fit
    chunk = fitter.chunk(phase)
    data = fitter.prepare(
      phase,
      context.frozen,
      fit,
      self._pictures,
      stop=lambda: context.interrupt.came,
    )
    if data is None:
      self._stop(number, fit, label, done)
    while done < phase.iterations and len(self.failed) < len(self._group.fits):
      length = min(context.config.run.chunk, phase.iterations - done)
      length = min(length, fitter.window_left(done) or length)
      fit, losses = chunk(fit, context.frozen, data, length=length)
      done += length
      fit = fitter.note_best(fit, losses["total"], done)
      self._note_losses(phase, start, done, losses)
      if context.interrupt.requested(self._before + start + done):
        self._stop(number, fit, label, done)
      if self._is_late():
        self._save(number, fit)
    return fit

  def _stop(
    self, number: int, fit: fitting.Fit, label: str, done: int
  ) -> NoReturn:
    """Saves what there is and ends the run."""
    self._save(number, fit)
    self._context.checkpoints.wait()
    raise Interrupted(f"{label}: stopped after iteration {done}")

  def _is_late(self) -> bool:
    """Whether it is time for a checkpoint."""
    since = time.monotonic() - self._saved
    late = since > self._context.config.run.checkpoint_seconds
    # Processes with fits of their own do not meet here.
    return hosts.agree(late) if self._context.plan.spread.shared else late

  def _start(self, number: int) -> int:
    """The iterations of the schedule before a phase."""
    return sum(p.iterations for p in self._context.plan.phases[:number])

  def _note_losses(self, phase, start: int, done: int, losses) -> None:
    """Shows the losses of a chunk; gives up fits where they are not finite."""
    losses = {
      term: rows.reshape(len(rows), -1) for term, rows in losses.items()
    }
    shown = []
    for row, name in enumerate(self._group.fits):
      if name in self.failed:
        continue
      terms = {term: rows[:, row].mean() for term, rows in losses.items()}
      if not np.isfinite(terms["total"]):
        self.failed[name] = (
          f"{name}: stage {phase.stage}, {phase.step}: the loss is not finite"
          f" within {len(losses['total'])} iterations before number {done}"
        )
        continue
      shown.append(terms["total"])
      self._context.report.scalars(
        start + done,
        {f"{name}/{phase.step}/{term}": value for term, value in terms.items()},
      )
    loss = np.mean(shown) if shown else None
    self._context.progress.update(self._before + start + done, loss=loss)

  def _save(self, number: int, fit: fitting.Fit) -> None:
    progress = {
      "fits": list(self._group.fits),
      "pictures": self._group.pictures,
      "shape": self._group.shape,
      "phase": number,
      "failed": self.failed,
      "seconds": self.seconds,
    }
    self._context.checkpoints.save(fit, progress)
    self._saved = time.monotonic()

  def _end_stage(self, number: int, fit: fitting.Fit) -> None:
    """Shows how far the shapes are, and keeps the networks that are shared."""
    context, group = self._context, self._group
    phase, spread = context.plan.phases[number], context.plan.spread
    if not self._shows:
      return
    for row, name in enumerate(group.fits):
      if name in self.failed:
        continue
      params = spread.take(fit.params, Kind.OWN, row)
      stage = results.report_stage(
        result_folder(context.workdir, name) / "stages" / str(phase.stage),
        context.inputs.system,
        context.inputs.frozen,
        params,
        take_pictures(spread, group, name, self._pictures),
        take_pictures(spread, group, name, fit.canonical),
        [group.at(place).ground_truth for place in group.fits[name]],
        context.inputs.heldout,
      )
      context.report.scalars(
        phase.stage,
        {f"{name}/stage/{k}": v for k, v in stage.figures.items()},
      )
      if context.config.run.log_images:
        context.report.images(phase.stage, {f"{name}/stage": stage.preview})
      if name == JOINT:
        provenance = {"config": context.config.to_dict(), "stage": phase.stage}
        save_networks(
          context.workdir / "networks",
          params,
          units=context.inputs.system.units,
          provenance=provenance,
        )


def _iteration(fit: fitting.Fit) -> int:
  """How many of its phase are done; fits of a group are equally far."""
  return int(np.ravel(fit.iteration.addressable_data(0))[0])


def take_pictures(
  spread: Spread, group: Group, fit: str, tree: Any
) -> list[Any]:
  """What belongs to each picture of a fit, on the first device.

  Args:
    spread: the rows.
    group: that the fit belongs to.
    fit: its name.
    tree: arrays [n, p].
  """
  rows, taken = {}, []
  for row, column in group.fits[fit]:
    if row not in rows:
      rows[row] = spread.take(tree, Kind.ROWS, row)
    taken.append(pick(rows[row], column))
  return taken
