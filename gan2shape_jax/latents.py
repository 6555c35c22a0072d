"""Latents of the pictures of a run: given, found before, or searched now."""

import pathlib
from collections.abc import Callable
from typing import Any

import numpy as np
from ml_collections import ConfigDict

from gan2shape_jax import inversion
from gan2shape_jax.atomic import replacing
from gan2shape_jax.data import SourcePicture
from gan2shape_jax.report import Progress
from gan2shape_jax.system import System

Params = dict[str, Any]


def find_latents(
  config: ConfigDict,
  workdir: pathlib.Path,
  system: System,
  frozen: Params,
  statistics: inversion.LatentStatistics,
  sources: list[SourcePicture],
) -> list[np.ndarray]:
  """W+ latents: the pictures' own, those of an earlier search, or new ones."""
  folder = workdir / "latents"
  folder.mkdir(exist_ok=True)
  paths = [folder / f"{source.path.stem}.npy" for source in sources]
  missing = [
    (source, path)
    for source, path in zip(sources, paths, strict=True)
    if source.latent is None and not path.exists()
  ]
  if missing:
    _invert(config.inversion, system, frozen, statistics, missing)
  return [
    np.load(path, allow_pickle=False)
    if source.latent is None
    else source.latent
    for source, path in zip(sources, paths, strict=True)
  ]


def save_latent(path: pathlib.Path, latent: np.ndarray) -> None:
  """Writes a latent in one move: a file that is there is whole."""
  with replacing(path) as part:
    np.save(part, latent)


def make_inverter(
  settings: ConfigDict, system: System
) -> Callable[..., inversion.Inversion]:
  """The inverter of a run; `settings` is `config.inversion`."""
  return inversion.make_inverter(
    synthesize=system.synthesize,
    features=system.features,
    n_latent=system.architecture.n_latent,
    steps=settings.iterations,
    steps_w_plus=settings.iterations_w_plus,
    learning_rate=settings.learning_rate,
    pixel_weight=settings.pixel,
    regular_weight=settings.regular,
  )


def _invert(settings, system, frozen, statistics, missing):
  """Searches latents one picture at a time, and keeps each when it is found."""
  invert = make_inverter(settings, system)
  each = settings.iterations + settings.iterations_w_plus
  with Progress(each * len(missing)) as progress:
    for index, (source, path) in enumerate(missing):
      label = f"{source.path.stem}: inversion"

      def show(step, losses, before=index * each, label=label):
        loss = float(losses["total"][0])
        progress.update(before + step, loss=loss, label=label)

      progress.update(index * each, label=label)
      found = invert(frozen, source.image[None], statistics, progress=show)
      save_latent(path, np.asarray(found.latent[0]))
