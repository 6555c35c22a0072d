"""Errors of a depth map against the truth, both in the view of the picture.

Depth in scene units, positive inside the masks. Masks hold 1 (or True) where a
pixel counts. Errors are of what was found of the object alone: nothing at all
gives errors of 0, and a surface that is torn at its hardest places does better
than a whole one. So `evaluate_depth` reports the share that was found.
"""

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float, Shaped

from gan2shape_jax.render.camera import Camera
from gan2shape_jax.render.geometry import normals_from_depth


def evaluate_depth(
  depth_view: Float[Array, "h w"],
  mask_view: Shaped[Array, "h w"],
  true_depth: Float[Array, "h w"],
  true_mask: Shaped[Array, "h w"],
  camera: Camera,
) -> dict[str, Float[Array, ""]]:
  """Compares a predicted depth map with the true one.

  GAN2Shape model.py:546-559. Both masks are eroded by a pixel. Unlike the
  reference's in flip mode, the prediction's mask is that of the plain rendering
  alone (docs/differences.md, 26).

  Args:
    depth_view: predicted depth, rendered in the picture's view.
    mask_view: where that rendering is valid.
    true_depth: true depth.
    true_mask: where the object is.
    camera: the camera of both.

  Returns:
    `side`: scale-invariant depth error (papers print it times 100).
    `mad`: mean angle between the normals, degrees.
    `mad_reference`: the same as the reference computes it and papers print it,
      from normals that are slightly short (`render.geometry`): a perfect depth
      map still scores about 6 degrees at 64 px and 11 at 128 px.
    `mae`, `mse`: mean absolute and squared error, scene units.
    `relief`, `side_aligned`: see `align_relief`.
    `coverage`: the share of the object that was found and compared, in [0, 1].
  """
  true_mask = erode(true_mask)
  mask = erode(mask_view) & true_mask
  normal = normals_from_depth(depth_view, camera)
  true_normal = normals_from_depth(true_depth, camera)
  arccosine = jnp.arccos(jnp.clip(_dot(normal, true_normal), -1.0, 1.0))
  relief, aligned = align_relief(depth_view, true_depth, mask)
  return {
    "side": scale_invariant_error(depth_view, true_depth, mask),
    "mad": mean_angle(normal, true_normal, mask),
    "mad_reference": _masked_mean(jnp.degrees(arccosine), mask),
    "mae": _masked_mean(jnp.abs(depth_view - true_depth), mask),
    "mse": _masked_mean(jnp.square(depth_view - true_depth), mask),
    "relief": relief,
    "side_aligned": aligned,
    "coverage": mask.sum() / jnp.maximum(true_mask.sum(), 1),
  }


def erode(mask: Shaped[Array, "h w"]) -> Bool[Array, "h w"]:
  """Pixels whose 3x3 neighbourhood is all inside; never the outer ring."""
  total = lax.reduce_window(
    mask.astype(float), 0.0, lax.add, (3, 3), (1, 1), "SAME"
  )
  return total / 9 > 0.99


def scale_invariant_error(
  depth: Float[Array, "h w"],
  true_depth: Float[Array, "h w"],
  mask: Bool[Array, "h w"],
) -> Float[Array, ""]:
  """SIDE: standard deviation of the log depth ratio under the mask.

  GAN2Shape utils.py:65-75 and model.py:555.
  """
  # What is masked out may be 0, and log 0 times 0 is NaN.
  difference = jnp.log(jnp.where(mask, depth, 1.0)) - jnp.log(
    jnp.where(mask, true_depth, 1.0)
  )
  mean = _masked_mean(difference, mask)
  return jnp.sqrt(_masked_mean(jnp.square(difference - mean), mask))


def align_relief(
  depth: Float[Array, "h w"],
  true_depth: Float[Array, "h w"],
  mask: Bool[Array, "h w"],
) -> tuple[Float[Array, ""], Float[Array, ""]]:
  """How much too deep a shape is, and what is wrong with it besides.

  Under one distant light a shape that is flattened and leans looks like the
  true one (the bas-relief ambiguity; Belhumeur, Kriegman and Yuille 1999), so
  these two errors come easily. Here the logarithm of the depth is multiplied
  and a plane is added, by least squares under the mask.

  Returns:
    The factor (below 1: the shape was too deep; 0 for a flat one), and the SIDE
    that is left.
  """

  def log(depth):
    return jnp.log(jnp.where(mask, depth, 1.0))

  def centre(values):
    return jnp.where(mask, values - _masked_mean(values, mask), 0.0)

  def slope(values, along):
    # What is left of a constant is rounding, and has no direction.
    power = _masked_mean(along**2, mask)
    product = _masked_mean(values * along, mask)
    return jnp.where(power > 1e-12, product / power, 0.0)

  def level(values):
    values = centre(values)
    values = values - slope(values, x) * x
    return values - slope(values, y) * y

  y, x = jnp.mgrid[: depth.shape[0], : depth.shape[1]].astype(float)
  x, y = centre(x), centre(y)
  y = y - slope(y, x) * x
  shape, target = level(log(depth)), level(log(true_depth))
  relief = slope(target, shape)
  left = target - relief * shape
  return relief, jnp.sqrt(_masked_mean(jnp.square(left), mask))


def mean_angle(
  normal: Float[Array, "h w 3"],
  true_normal: Float[Array, "h w 3"],
  mask: Bool[Array, "h w"],
) -> Float[Array, ""]:
  """MAD: mean angle between normals of any length under the mask, degrees.

  By the arctangent of |n x m| and <n, m>, which is also exact near 0, where
  the arccosine is not.
  """
  sine = jnp.linalg.norm(jnp.cross(normal, true_normal), axis=-1)
  angle = jnp.arctan2(sine, _dot(normal, true_normal))
  return _masked_mean(jnp.degrees(angle), mask)


def _dot(a, b):
  return jnp.sum(a * b, axis=-1)


def _masked_mean(values, mask):
  return jnp.where(mask, values, 0.0).sum() / jnp.maximum(mask.sum(), 1)
