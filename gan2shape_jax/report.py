"""What a run tells the user: TensorBoard, tables of metrics, progress.

The loop hands over plain numbers and numpy images in [-1, 1]; nothing here is
called from inside a step. Tables are replaced in one move, so a run that is
stopped leaves the old or the new one, never half of one.
"""

import csv
import io
import json
import math
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import SupportsFloat

import numpy as np
from tensorboardX import summary
from tensorboardX.event_file_writer import EventsWriter
from tensorboardX.proto.event_pb2 import Event
from tqdm import tqdm

from gan2shape_jax.atomic import replacing
from gan2shape_jax.methods import METRICS

Row = Mapping[str, SupportsFloat]

_FLUSH_SECONDS = 10


class Report:
  """Writes scalars and images to TensorBoard files in `workdir`/logs.

  A context manager; what has been written is on disk when it is left. With
  `active` false (on every host but the first) it writes nothing.

  Raises:
    OSError: by all methods; such as a full disk. (The customary SummaryWriter
      writes in a thread, and waits for it for good when that has failed.)
  """

  def __init__(self, workdir: str | Path, *, active: bool = True):
    self._writer = None
    if active:
      folder = Path(workdir) / "logs"
      folder.mkdir(parents=True, exist_ok=True)
      self._writer = EventsWriter(str(folder / "events"))
    self._flushed = time.monotonic()

  def __enter__(self) -> "Report":
    return self

  def __exit__(self, kind, error, traceback) -> None:
    if self._writer is None:
      return
    try:
      self._writer.close()
    except OSError:
      if error is None:  # Otherwise that is what stopped the run.
        raise

  def scalars(self, step: int, values: Mapping[str, SupportsFloat]) -> None:
    """Writes numbers; a name may hold a group as in 'step1/photometric'."""
    for name, value in values.items():
      self._write(step, summary.scalar(name, float(value)))

  def images(self, step: int, images: Mapping[str, np.ndarray]) -> None:
    """Writes images [h, w, 3] in [-1, 1]; values outside are clipped."""
    for name, image in images.items():
      unit = np.clip(np.asarray(image, np.float32) / 2 + 0.5, 0, 1)
      self._write(step, summary.image(name, unit, dataformats="HWC"))

  def _write(self, step, content) -> None:
    if self._writer is None:
      return
    event = Event(step=step, wall_time=time.time(), summary=content)
    self._writer.write_event(event)
    if time.monotonic() - self._flushed > _FLUSH_SECONDS:
      self._writer.flush()
      self._flushed = time.monotonic()


def write_metrics(
  workdir: str | Path,
  rows: Mapping[str, Row],
  stages: Mapping[str, Mapping[str, Row]] | None = None,
  failed: Mapping[str, str] | None = None,
) -> None:
  """Writes metrics.json and metrics.csv.

  The JSON object has `pictures`, the rows by picture name, `mean`, the means
  over the pictures that have the metric, `stages` and `failed`; the table has
  the first two, with the means in the last line. A number that is not finite is
  null (an empty cell), and so is a mean over one: a failed picture is not left
  out silently.

  Args:
    workdir: existing folder.
    rows: metrics of each picture by its name; see `methods.METRICS` for the
      customary ones, which come first in this order.
    stages: numbers of the stages of each fit, for the JSON object only.
    failed: what went wrong, by picture; likewise.
  """
  present = {metric for row in rows.values() for metric in row}
  metrics = [m for m in METRICS if m in present]
  metrics += sorted(present - set(METRICS))
  pictures = {
    name: {m: _finite(row[m]) for m in metrics if m in row}
    for name, row in rows.items()
  }
  mean = {
    m: _finite(np.mean([row[m] for row in rows.values() if m in row]))
    for m in metrics
  }
  content = {"pictures": pictures, "mean": mean}
  if stages:
    content["stages"] = {
      fit: {
        stage: {name: _finite(value) for name, value in row.items()}
        for stage, row in rows.items()
      }
      for fit, rows in stages.items()
    }
  if failed:
    content["failed"] = dict(failed)
  with replacing(Path(workdir) / "metrics.json") as part:
    part.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
  table = io.StringIO()
  writer = csv.DictWriter(table, ["picture", *metrics], lineterminator="\n")
  writer.writeheader()
  for name, row in [*pictures.items(), ("mean", mean)]:
    writer.writerow({"picture": name, **row})
  with replacing(Path(workdir) / "metrics.csv") as part:
    part.write_text(table.getvalue(), encoding="utf-8")


class Progress:
  """Shows how far a loop is, its loss and the time left.

  On a terminal it is a bar; elsewhere (a log file, a batch job) a line now
  and then, and a last one at the end. A context manager.

  Attributes:
    step: iterations done, as of the last update.
  """

  def __init__(
    self,
    total: int,
    *,
    label: str = "",
    seconds_between_lines: float = 5.0,
    active: bool = True,
    stream: io.TextIOBase | None = None,
  ):
    """Begins with none of `total` iterations; the stream is stdout if None.

    With `active` false (on every host but the first), or with nothing to do,
    it shows nothing.
    """
    self._stream = stream or sys.stdout
    self._active = active = active and total > 0
    self._interval = seconds_between_lines
    self._skipped, self._total = 0, total
    self.step = 0
    self._shown = None
    self._label, self._loss = label, None
    self._began = self._last_line = time.monotonic()
    self._bar = None
    if active and self._stream.isatty():
      self._bar = tqdm(
        desc=label,
        total=total,
        file=self._stream,
        dynamic_ncols=True,
      )

  def __enter__(self) -> "Progress":
    return self

  def __exit__(self, *exception) -> None:
    if self._bar is not None:
      self._bar.close()
    elif self._active and self._shown != self.step:
      self._print_line()

  def update(
    self,
    step: int,
    *,
    loss: SupportsFloat | None = None,
    label: str | None = None,
  ) -> None:
    """Reports that `step` iterations are done, with the latest loss.

    Args:
      step: iterations done, counted from 0.
      loss: kept until the next one.
      label: what is being done from now on, such as 'stage 1, step 2'.
    """
    self.step = step
    self._loss = self._loss if loss is None else loss
    self._label = self._label if label is None else label
    if self._bar is not None:
      self._bar.set_description_str(self._label, refresh=False)
      if self._loss is not None:
        self._bar.set_postfix_str(f"loss {self._loss:.4f}", refresh=False)
      self._bar.update(step - self._bar.n)
    elif self._active and time.monotonic() - self._last_line >= self._interval:
      self._print_line()

  def skip_to(self, step: int) -> None:
    """Leaves out iterations that an earlier run has done: rates know better."""
    self.step = self._skipped = step
    self._began = time.monotonic()
    if self._bar is not None:
      self._bar.reset()
      self._bar.initial = self._bar.n = self._bar.last_print_n = step

  def _print_line(self) -> None:
    self._last_line, self._shown = time.monotonic(), self.step
    line = tqdm.format_meter(
      self.step,
      self._total,
      self._last_line - self._began,
      initial=self._skipped,
      bar_format="{n_fmt}/{total_fmt} [{elapsed}<{remaining}, {rate_fmt}]",
    )
    loss = "" if self._loss is None else f" loss {self._loss:.4f}"
    label = f"{self._label}: " if self._label else ""
    print(f"{label}{line}{loss}", file=self._stream, flush=True)


def _finite(value: SupportsFloat) -> float | None:
  value = float(value)
  return value if math.isfinite(value) else None
