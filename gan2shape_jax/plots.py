"""The figure of a run: how well each stage followed views and lights."""

import pathlib
from collections.abc import Mapping

import matplotlib.figure
import numpy as np

from gan2shape_jax.atomic import replacing
from gan2shape_jax.diagnostics import QUANTITIES

Stages = Mapping[str, Mapping[str, Mapping[str, float]]]


def plot_stages(path: pathlib.Path, stages: Stages) -> None:
  """Draws the diagnostics of all stages, means over tasks.

  Args:
    path: of the PNG.
    stages: by task, then by stage: see `results.report_stage`. Without any
      nothing is written.
  """
  table = _means(stages)
  if not table:
    return
  figure = matplotlib.figure.Figure(figsize=(12, 3), layout="constrained")
  panels = figure.subplots(1, 4)
  _draw(panels[0], table, {"projection": "projection_error"})
  panels[0].set_title("projection error (L1)")
  for panel, kind in zip(panels[1:3], ("correlation", "slope"), strict=True):
    _draw(panel, table, {name: f"{name}_{kind}" for name in QUANTITIES})
    panel.set_title(f"found over true: {kind}")
    panel.axhline(1, color="0.7", linewidth=0.8)
  mad = {"fitted": "mad", "held out": "heldout_mad"}
  _draw(panels[3], table, mad)
  panels[3].set_title("normals (MAD, degrees)")
  for panel in panels:
    panel.set_xlabel("stage")
    if panel.get_legend_handles_labels()[1]:
      panel.legend(fontsize=8)
  with replacing(path) as part:
    figure.savefig(part, format="png", dpi=100)


def _means(stages: Stages) -> dict[int, dict[str, float]]:
  """Mean rows by stage; the prior, which knows no light or view, left out."""
  rows = {}
  for of_task in stages.values():
    for stage, row in of_task.items():
      rows.setdefault(int(stage), []).append(row)
  return {
    stage: {
      name: float(np.mean([row[name] for row in rows[stage] if name in row]))
      for name in {name for row in rows[stage] for name in row}
    }
    for stage in sorted(rows)
    if stage > 0
  }


def _draw(panel, table, lines) -> None:
  for label, name in lines.items():
    points = [(s, row[name]) for s, row in table.items() if name in row]
    if points:
      panel.plot(*zip(*points, strict=True), marker="o", label=label)
