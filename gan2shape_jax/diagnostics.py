"""How well the parts of the method follow a change of view and light.

Pseudo-samples are drawn whose view and light are known. How far their
projections are from them says how well step 2 works; the view and light that
the networks read off the projections, set against the true ones, say how well
step 3 does. The method is healthy when the correlations are near 1; a slope
below 1 means that turned heads are taken for less turned ones, which makes
shapes too flat or too deep.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from gan2shape_jax import inference, losses, programs, steps
from gan2shape_jax.render.camera import Pose
from gan2shape_jax.system import System

Params = dict[str, Any]

QUANTITIES = ("yaw", "pitch", "light_x", "light_y")


class Followed(NamedTuple):
  """Pseudo-samples, and what the GAN and the networks made of them.

  Attributes:
    truth: QUANTITIES of each sample: angles in radians, and the components of
      the unit vector along which the light shines.
    found: the same, read off the projections.
    error: mean absolute difference of projection and pseudo-sample.
  """

  truth: Float[Array, "n 4"]
  found: Float[Array, "n 4"]
  error: Float[Array, " n"]


def follow(
  system: System,
  params: Params,
  frozen: Params,
  data: steps.ProjectData,
  key: PRNGKeyArray,
) -> Followed:
  """Renders, projects and reads one batch of samples.

  Args:
    system: the fixed parts of the run.
    params: of the five networks.
    frozen: the weights that nobody trains.
    data: of one picture.
    key: of the samples' views and lights.
  """
  pseudo = programs.sample_batch(system)(key, data)
  projected = programs.project(system, params, frozen, data, pseudo.image)
  return read_projections(system)(params, pseudo, projected)


@functools.cache
def read_projections(system: System) -> Callable[..., Followed]:
  """Compiled: `(params, pseudo, projected) -> Followed`.

  `pseudo` are the `steps.Samples` [n] whose projections are `projected`.
  """

  def read(params, image):
    light = inference.predict_light(system, params, image)
    pose = inference.predict_pose(system, params, image)
    return quantities(pose, light.direction)

  def true(pseudo):
    return quantities(system.decode_view(pseudo.view), pseudo.light)

  def compare_one(params, pseudo, projected):
    return Followed(
      truth=true(pseudo),
      found=read(params, projected),
      error=losses.photometric(projected, pseudo.image, pseudo.mask),
    )

  return jax.jit(jax.vmap(compare_one, in_axes=(None, 0, 0)))


def summarize(followed: Followed) -> dict[str, float]:
  """Numbers for a table: the error, correlations and slopes.

  The slope is that of the least-squares line of the found over the true value.
  Where nothing varies both are 0.
  """
  row = {"projection_error": float(np.mean(followed.error))}
  truth = np.asarray(followed.truth, np.float64)
  found = np.asarray(followed.found, np.float64)
  truth, found = truth - truth.mean(0), found - found.mean(0)
  covariance = np.mean(truth * found, 0)
  spread, answer = np.mean(truth**2, 0), np.mean(found**2, 0)
  both = np.sqrt(spread * answer)
  for i, name in enumerate(QUANTITIES):
    row[f"{name}_correlation"] = _ratio(covariance[i], both[i])
    row[f"{name}_slope"] = _ratio(covariance[i], spread[i])
  return row


def variety(maps: Float[np.ndarray, "n h w"]) -> float:
  """How much maps differ, as a part of what their mean varies over pixels.

  A network that ignores its input has 0. (Learning the prior too fast makes the
  depth network one: without biases, its bottleneck grows into a constant.)
  """
  maps = np.asarray(maps, np.float64)
  return _ratio(maps.std(axis=0).mean(), maps.mean(axis=0).std())


def quantities(pose: Pose, direction: Float[Array, "3"]) -> Float[Array, "4"]:
  """QUANTITIES of a pose and the unit vector along which light shines."""
  # Angles of Rz Ry Rx: the last row is (-sin ry, cos ry sin rx, cos ry cos rx).
  row = pose.rotation[2]
  yaw = jnp.arcsin(jnp.clip(-row[0], -1.0, 1.0))
  pitch = jnp.arctan2(row[1], row[2])
  return jnp.stack([yaw, pitch, direction[0], direction[1]])


def _ratio(numerator: float, denominator: float) -> float:
  return float(numerator / denominator) if denominator > 1e-12 else 0.0
