"""Latents of the pictures of a run: given, found before, or searched now."""

import pathlib
from collections.abc import Callable

import jax
import numpy as np
from jax.sharding import Mesh
from jaxtyping import Array, Float
from ml_collections import ConfigDict

from gan2shape_jax import inversion
from gan2shape_jax.atomic import replacing
from gan2shape_jax.data import load_latent
from gan2shape_jax.devices import make_spread
from gan2shape_jax.errors import Interrupted
from gan2shape_jax.hosts import is_first
from gan2shape_jax.inputs import Inputs
from gan2shape_jax.interrupt import Interrupt
from gan2shape_jax.latent_space import latent_space
from gan2shape_jax.report import Progress
from gan2shape_jax.system import System


def find_latents(
  config: ConfigDict,
  workdir: pathlib.Path,
  inputs: Inputs,
  interrupt: Interrupt,
) -> dict[str, np.ndarray]:
  """W+ latents: the pictures' own, those of an earlier search, or new ones.

  Args:
    config: of the run.
    workdir: its folder, where latents are kept as soon as they are found.
    inputs: its pictures, GAN, system and weights.
    interrupt: heard during the search.

  Returns:
    By name. Pictures for which no finite latent was found are left out.

  Raises:
    Interrupted: latents that were found are kept; what was being searched
      begins anew.
  """
  folder = workdir / "latents"
  folder.mkdir(exist_ok=True)
  sources = inputs.sources
  paths = {s.path.stem: folder / f"{s.path.stem}.npy" for s in sources}
  given = {s.path.stem: s.latent for s in sources if s.latent is not None}
  missing = [
    source
    for source in sources
    if source.path.stem not in given and not paths[source.path.stem].exists()
  ]
  if missing:
    each = config.devices.fits
    spread = make_spread(jax.local_devices(), len(missing), each=each)
    invert = make_inverter(config, inputs.system, spread.mesh)
    space = latent_space(inputs.gan.generator, inputs.gan.arch)
    batches = _batches(missing, spread.count, config, interrupt)
    for batch, show in batches:
      # The last batch is filled up, so that programs fit.
      images = [source.image for source in batch]
      images += images[-1:] * (spread.count - len(images))
      found = invert(inputs.frozen, np.stack(images), space, progress=show)
      for source, latent in zip(batch, np.asarray(found), strict=False):
        if np.isfinite(latent).all():
          save_latent(paths[source.path.stem], latent)
  arch = inputs.gan.arch
  searched = {
    name: load_latent(
      folder, name, n_latent=arch.n_latent, latent_size=arch.latent_size
    )
    for name, path in paths.items()
    if name not in given and path.exists()
  }
  return given | searched


def save_latent(path: pathlib.Path, latent: np.ndarray) -> None:
  """Writes a latent in one move: a file that is there is whole."""
  with replacing(path) as part:
    np.save(part, latent)


def make_inverter(
  config: ConfigDict, system: System, mesh: Mesh | None = None
) -> Callable[..., Float[Array, "p n l"]]:
  """The inverter of a run."""
  return inversion.make_inverter(
    synthesize=system.synthesize,
    features=system.features,
    n_latent=system.architecture.n_latent,
    steps=config.inversion.iterations,
    steps_w_plus=config.inversion.iterations_w_plus,
    learning_rate=config.inversion.learning_rate,
    pixel_weight=config.inversion.pixel,
    regular_weight=config.inversion.regular,
    apart_weight=config.inversion.apart,
    mesh=mesh,
  )


def _batches(missing, count, config, interrupt):
  """Yields batches of pictures, and what shows the progress of their search."""
  steps = config.inversion.iterations + config.inversion.iterations_w_plus
  with Progress(steps * len(missing), active=is_first()) as progress:
    for first in range(0, len(missing), count):
      batch = missing[first : first + count]
      label = f"{batch[0].path.stem}: inversion"
      if interrupt.came:
        raise Interrupted(f"{label} not begun")
      progress.update(steps * first, label=label)

      def show(step, losses, first=first, label=label):
        if interrupt.came and step < steps:
          raise Interrupted(f"{label}: stopped after iteration {step}")
        done = min(first + step / steps * count, len(missing))
        progress.update(int(steps * done), loss=np.mean(losses["total"]))

      yield batch, show
