"""Samples of synthetic heads: identity x view x light -> picture and truth.

Deterministic in (seed, split, index). Image in [-1, 1], height x width x 3,
black background -1; depth in scene units; angles in radians; normals inward
((0, 0, +1) for a fronto-parallel plane) at integer pixel centres.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from gan2shape_jax.synthetic import trace
from gan2shape_jax.synthetic.appearance import head_albedo
from gan2shape_jax.synthetic.identity import (
  Asymmetry,
  Identity,
  sample_identity,
)
from gan2shape_jax.synthetic.shape import head_distance

SPLITS = ("train", "val", "test")
YAW_STD, PITCH_STD, ROLL_STD = (0.349, 0.140, 0.070)  # 20, 8, 4 degrees
YAW_MAX, PITCH_MAX, ROLL_MAX = (0.960, 0.350, 0.175)  # 55, 20, 10 degrees
AMBIENT = (0.25, 0.50)
DIFFUSE = (0.35, 0.75)
LIGHT_X = (-0.9, 0.9)  # direction (x, y, 1) before normalisation: x > 0 lights
LIGHT_Y = (-0.2, 0.8)  # the left side, y > 0 from above
MAX_SHADING = 1.05  # with albedos below .95 nothing saturates
_SUBPIXELS = ((-0.25, -0.25), (0.25, -0.25), (-0.25, 0.25), (0.25, 0.25))
TILE = 8  # pixels per side that are traced together
_BLOCK = 2  # pixels per side that share the start of their rays


class Light(NamedTuple):
  """Shading = ambient + diffuse max(0, <inward normal, direction>).

  In the frame of the camera, as in a photograph: a head that turns does so in a
  light that stands still. The method's lights turn with the object instead.
  """

  ambient: Float[Array, ""]
  diffuse: Float[Array, ""]
  direction: Float[Array, "3"]


class Sample(NamedTuple):
  """A picture and all that made it.

  Attributes:
    image: in [-1, 1], supersampled, background -1.
    mask: whether the ray through the pixel's centre hits the head.
    depth: along the optical axis at the pixel's centre (scene units), 0 off
      the mask.
    normal: inward unit normal in the camera's frame, 0 off the mask.
    view: rx, ry, rz (radians), translation (scene units): P' = R(P-C)+C+t.
    light: what shaded it.
    identity: who it is.
  """

  image: Float[Array, "h w 3"]
  mask: Bool[Array, "h w"]
  depth: Float[Array, "h w"]
  normal: Float[Array, "h w 3"]
  view: Float[Array, "6"]
  light: Light
  identity: Identity


def sample_view(key: PRNGKeyArray) -> Float[Array, "6"]:
  """Normal angles about the frontal view, clipped; heads stay centred."""
  std = jnp.array([PITCH_STD, YAW_STD, ROLL_STD])
  limit = jnp.array([PITCH_MAX, YAW_MAX, ROLL_MAX])
  angles = jnp.clip(std * jax.random.normal(key, (3,)), -limit, limit)
  return jnp.concatenate([angles, jnp.zeros(3)])


def sample_light(key: PRNGKeyArray) -> Light:
  """Uniform strength and direction, from the front, the sides or above."""
  unit = jax.random.uniform(key, (4,))
  ambient, diffuse, x, y = (
    low + (high - low) * u
    for u, (low, high) in zip(
      unit, (AMBIENT, DIFFUSE, LIGHT_X, LIGHT_Y), strict=True
    )
  )
  direction = jnp.stack([x, y, jnp.ones(())])
  return Light(
    ambient,
    jnp.minimum(diffuse, MAX_SHADING - ambient),
    direction / jnp.sqrt(x * x + y * y + 1),
  )


def identity_key(seed: int, split: str, index: int) -> PRNGKeyArray:
  """The key of one head; no two splits or indices share one."""
  return jax.random.fold_in(_split_key(seed, split, "identity"), index)


def view_key(seed: int, split: str, index: int) -> PRNGKeyArray:
  """The key of one picture's view and light."""
  return jax.random.fold_in(_split_key(seed, split, "view"), index)


def _split_key(seed: int, split: str, purpose: str) -> PRNGKeyArray:
  place = 2 * SPLITS.index(split) + ("identity", "view").index(purpose)
  return jax.random.fold_in(jax.random.key(seed), place)


def sample_head(
  identity_key: PRNGKeyArray,
  view_key: PRNGKeyArray,
  *,
  size: int,
  asymmetry: Asymmetry = "appearance",
) -> Sample:
  """Draws and renders one head.

  Args:
    identity_key: alone determines who it is.
    view_key: determines view and light.
    size: of the square picture (pixels).
    asymmetry: see `sample_identity`.
  """
  view_key, light_key = jax.random.split(view_key)
  return render_head(
    sample_identity(identity_key, asymmetry=asymmetry),
    sample_view(view_key),
    sample_light(light_key),
    size=size,
  )


@partial(jax.jit, static_argnames="size")
def render_head(
  identity: Identity, view: Float[Array, "6"], light: Light, *, size: int
) -> Sample:
  """Sphere traces one head; truth at pixel centres, colour supersampled."""
  scale = identity["head_scale"]
  distance = partial(head_distance, identity)
  x, y = trace.pixel_plane(size, ((0.0, 0.0), *_SUBPIXELS))
  start = _block_start(distance, view, scale, size)

  def render_tile(tile):
    x, y, start = tile
    rays = trace.object_rays(x.ravel(), y.ravel(), view, scale)
    start = jnp.tile(start, len(x))
    hit = trace.trace(distance, rays, start, view[:3], scale)
    color = _shade(identity, hit, light)
    center = jax.tree.map(lambda a: a[: TILE * TILE], hit)
    color = color.reshape(len(x), -1, 3)[1:].mean(0)
    return color, center.depth, jnp.stack(center.normal, -1), center.mask

  tiles = (_to_tiles(x), _to_tiles(y), _to_tiles(start[None])[:, 0])
  color, depth, normal, mask = (
    _from_tiles(a, size) for a in jax.lax.map(render_tile, tiles)
  )
  return Sample(
    image=2 * color - 1,
    mask=mask,
    depth=jnp.where(mask, depth, 0.0),
    normal=jnp.where(mask[..., None], normal, 0.0),
    view=view,
    light=light,
    identity=identity,
  )


def _to_tiles(planes: Array) -> Array:
  """[k, h*w] -> [tiles, k, pixels]: square tiles of `TILE` pixels a side.

  Tiles stay in the cache, and one without the head in it ends at once.
  """
  k, side = planes.shape[0], int(planes.shape[1] ** 0.5) // TILE
  a = planes.reshape(k, side, TILE, side, TILE)
  return a.transpose(1, 3, 0, 2, 4).reshape(side * side, k, -1)


def _from_tiles(tiles: Array, size: int) -> Array:
  """[tiles, pixels, ...] -> [h, w, ...], the inverse of `_to_tiles`."""
  side, rest = size // TILE, tiles.shape[2:]
  a = tiles.reshape(side, side, TILE, TILE, *rest)
  return a.swapaxes(1, 2).reshape(size, size, *rest)


def _block_start(
  distance: trace.Distance, view: Array, scale: Array, size: int
) -> Float[Array, " n"]:
  """Where the rays of each pixel may start, traced once per block of pixels."""
  side = size // _BLOCK
  corners = jnp.arange(side) * _BLOCK + (_BLOCK - 1) / 2
  plane = (corners - (size - 1) / 2) / trace.focal_length(size)
  x, y = (a.ravel() for a in jnp.meshgrid(plane, plane))
  rays = trace.object_rays(x, y, view, scale)
  # Farthest sub-pixel from the block's centre, with room for perspective.
  reach = 1.2 * 2**0.5 * ((_BLOCK - 1) / 2 + 0.25)
  radius = reach / trace.focal_length(size) / scale
  start = trace.cone_start(distance, rays, radius)
  blocks = start.reshape(side, side)
  return blocks.repeat(_BLOCK, 0).repeat(_BLOCK, 1).ravel()


def _shade(
  identity: Identity, hit: trace.Hit, light: Light
) -> Float[Array, "n 3"]:
  """Lambertian colour in [0, 1], black off the head."""
  cosine = sum(n * d for n, d in zip(hit.normal, light.direction, strict=True))
  shading = light.ambient + light.diffuse * jnp.maximum(cosine, 0.0)
  shading = jnp.where(hit.mask, shading, 0.0)
  return shading[:, None] * head_albedo(identity, hit.point)
