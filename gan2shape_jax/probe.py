"""The program that shows what a GAN follows: `python -m gan2shape_jax.probe`.

The method samples views and lights at random, and only those that the GAN can
draw teach anything. This renders the pictures of a configuration under one
change at a time (yaw, pitch, roll, shifts, light from the side and from above),
projects the renderings onto the GAN's images and shows the error against the
change: `view.std`, `light.x` and `light.y` should end where it rises steeply.

With `weights.networks` shapes and projections are those of the networks;
without, the shape is the ellipsoid and the projections are inversions (slow,
but it asks the GAN alone). Writes to `--workdir`
(results/<configuration>_probe): probe.json, curves.png, samples.png with the
renderings of the first picture above their projections, and masks/ if masks had
to be found.
"""

import dataclasses
import math
import pathlib
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from absl import flags
from ml_collections import ConfigDict

from gan2shape_jax import cli
from gan2shape_jax.atomic import writing
from gan2shape_jax.errors import UserError

FLAGS = flags.FLAGS
flags.DEFINE_integer(
  "pictures", 4, "How many pictures to probe with, at most.", lower_bound=1
)
flags.DEFINE_integer(
  "values", 9, "How many values of each quantity.", lower_bound=1
)


class Quantity(NamedTuple):
  """Something that changes: its place in a raw view, or the light's x, y."""

  place: int | str
  unit: str
  largest: float  # in the unit


QUANTITIES = {
  "pitch": Quantity(0, "degrees", 30.0),
  "yaw": Quantity(1, "degrees", 60.0),
  "roll": Quantity(2, "degrees", 30.0),
  "shift_x": Quantity(3, "scene units", 0.03),
  "shift_y": Quantity(4, "scene units", 0.03),
  "light_x": Quantity("x", "x / z", 1.2),
  "light_y": Quantity("y", "y / z", 1.2),
}


def main(config: ConfigDict, workdir: pathlib.Path) -> None:
  """Probes, prints and draws."""
  from gan2shape_jax.workdir import write_json

  errors, samples = probe(
    config, workdir, pictures=FLAGS.pictures, values=FLAGS.values
  )
  with writing(workdir, "--workdir"):
    workdir.mkdir(parents=True, exist_ok=True)
    write_json(workdir / "probe.json", errors)
    _draw_curves(workdir / "curves.png", errors)
    _draw_samples(workdir / "samples.png", samples)
  for name, curve in errors.items():
    line = "  ".join(
      f"{value:g}: {error:.3f}"
      for value, error in zip(curve["value"], curve["error"], strict=True)
    )
    print(f"{name} ({QUANTITIES[name].unit}) {line}")


def probe(
  config: ConfigDict, workdir: pathlib.Path, *, pictures: int, values: int
) -> tuple[dict[str, dict[str, list[float]]], dict[str, np.ndarray]]:
  """Measures the error of projections against each quantity.

  Args:
    config: names the pictures and the weights.
    workdir: where masks that are found are kept; nothing else is written.
    pictures: how many to probe with, at most.
    values: how many of each quantity.

  Returns:
    By quantity: its values, and the mean error over pictures at each; and the
    first picture's renderings above their projections, in [-1, 1].
  """
  import jax
  import jax.numpy as jnp

  from gan2shape_jax import decode, latents, programs, steps
  from gan2shape_jax.inputs import load_inputs
  from gan2shape_jax.latent_space import latent_space
  from gan2shape_jax.losses import photometric
  from gan2shape_jax.report import Progress
  from gan2shape_jax.results import to_picture

  config = config.copy_and_resolve_references()
  count = min(config.data.count or pictures, pictures)
  config.data.update({"count": count, "heldout": ""})
  inputs = load_inputs(config, workdir)
  system, frozen, sources = inputs.system, inputs.frozen, inputs.sources
  networks = inputs.pretrained
  if networks and networks.keys() != set(system.networks._fields):
    raise UserError(
      f"{config.weights.networks}: has but {', '.join(networks)}; name all five"
      " networks, or none"
    )
  space = latent_space(inputs.gan.generator, inputs.gan.arch)
  invert = latents.make_inverter(config, system)
  # Views in degrees and scene units: what the configuration does not allow,
  # such as shifts, is probed as well.
  decode_view = partial(
    decode.decode_view,
    max_rotation=math.radians(1.0),
    max_translation_xy=1.0,
    max_translation_z=1.0,
  )
  probing = dataclasses.replace(system, decode_view=decode_view)
  render = jax.jit(
    lambda data, change: jax.vmap(
      lambda one: steps.render_pseudo(probing, data, one)
    )(change)
  )
  draw = jax.jit(jax.vmap(system.synthesize, (None, 0)))
  error = jax.jit(jax.vmap(photometric))
  errors = {name: [] for name in QUANTITIES}
  sheets = {}
  with Progress(len(sources) * len(QUANTITIES)) as progress:
    for source in sources:
      latent = source.latent
      if latent is None:
        latent = np.asarray(invert(frozen, source.image[None], space)[0])
      drawn = programs.synthesize(system)(frozen, latent)
      picture = to_picture(source, latent=latent, gan_image=drawn)
      if networks:
        canonical = programs.reconstruct(system)(networks, picture)
      else:
        canonical = _prior_shape(system, picture)
      data = programs.prepare_project(system)(frozen, picture, canonical)
      for name, quantity in QUANTITIES.items():
        progress.update(progress.step + 1, label=f"{source.path.stem}: {name}")
        pseudo = render(data, _changes(quantity, values))
        if networks:
          projected = programs.project(
            system, networks, frozen, data, pseudo.image
          )
        else:
          projected = draw(frozen, invert(frozen, pseudo.image, space))
        errors[name].append(error(projected, pseudo.image, pseudo.mask))
        if source is sources[0]:
          rows = jnp.concatenate([pseudo.image, projected], axis=1)
          sheets[name] = np.asarray(jnp.concatenate(rows, axis=1))
  return {
    name: {
      "value": np.round(_values(QUANTITIES[name], values), 6).tolist(),
      "error": np.mean(curves, axis=0).tolist(),
    }
    for name, curves in errors.items()
  }, sheets


def _prior_shape(system, picture) -> Any:
  """The picture on the prior, evenly lit: what there is before training."""
  import jax.numpy as jnp

  from gan2shape_jax import programs
  from gan2shape_jax.render.camera import identity_pose
  from gan2shape_jax.render.geometry import normals_from_depth
  from gan2shape_jax.render.shading import Light
  from gan2shape_jax.types import Reconstruction

  depth = programs.prior_depth(system)(picture.mask)
  return Reconstruction(
    depth=depth,
    albedo=picture.image,
    normal=normals_from_depth(depth, system.camera),
    light=Light(jnp.float32(0.6), jnp.float32(0.4), jnp.array([0.0, 0.0, 1.0])),
    pose=identity_pose(),
    mask=picture.mask,
  )


def _values(quantity: Quantity, count: int) -> np.ndarray:
  return np.linspace(-quantity.largest, quantity.largest, count)


def _changes(quantity: Quantity, count: int) -> Any:
  """`steps.Change` [count]: one quantity varies, the rest is frontal.

  Its views are in degrees and scene units.
  """
  import jax.numpy as jnp

  from gan2shape_jax.priors import LightChange
  from gan2shape_jax.steps import Change

  values = _values(quantity, count)
  view = np.zeros((count, 6), np.float32)
  light = np.tile(np.array([0, 0, 1], np.float32), (count, 1))
  if quantity.place in ("x", "y"):
    light[:, "xy".index(quantity.place)] = values
  else:
    view[:, quantity.place] = values
  light /= np.linalg.norm(light, axis=1, keepdims=True)
  none = jnp.zeros(count)
  return Change(jnp.asarray(view), LightChange(none, none, jnp.asarray(light)))


def _draw_curves(path: pathlib.Path, errors: dict[str, Any]) -> None:
  import matplotlib.figure

  figure = matplotlib.figure.Figure(figsize=(14, 2.6), layout="constrained")
  panels = figure.subplots(1, len(errors), sharey=True)
  for panel, (name, curve) in zip(panels, errors.items(), strict=True):
    panel.plot(curve["value"], curve["error"], marker=".")
    panel.set_title(name)
    panel.set_xlabel(QUANTITIES[name].unit)
  panels[0].set_ylabel("projection error (L1)")
  panels[0].set_ylim(bottom=0)
  figure.savefig(path, dpi=100)


def _draw_samples(path: pathlib.Path, samples: dict[str, np.ndarray]) -> None:
  from gan2shape_jax.results import save_image

  save_image(path, np.concatenate(list(samples.values())))


if __name__ == "__main__":
  cli.run(main, suffix="_probe")
