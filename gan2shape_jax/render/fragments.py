"""The nearest face of a grid mesh at each pixel centre.

Every pixel of a depth map is a vertex, every cell of four pixels two faces,
(i,j) (i,j+1) (i+1,j) and (i+1,j+1) (i+1,j) (i,j+1), right angle first. A face's
number is kind * h * w + i * w + j, with (i, j) the upper left pixel of its cell
and kind 0 for the first triangle, 1 for the second. Vertices are in the view's
camera frame (scene units), screen coordinates u (right) and v (down) in pixels.

A face yields as many fragments as its bounding box has pixels (fewer for a long
sliver). Slots, one per fragment, are numbered through by a prefix sum, so a
slot knows its face and pixel, and the work is balanced whatever the faces'
sizes. Each fragment inside its face writes (quantised depth, face) as one
integer, and the minimum stays. Slots are worked off in chunks: shapes are
static, and no scene is too large for a buffer.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float, Int

from gan2shape_jax.render.camera import NEAR, Camera

# How far outside a face (barycentric) a pixel centre still counts as inside.
# Less than 1e-5 leaves holes in the identity view, where every pixel centre is
# a vertex; 1e-3 too often takes the neighbouring face, and so its gradient.
_TOLERANCE = 2e-5
# How far (of its depth) such a hit is moved back, behind a face that it meets
# there: two steps of the quantised depth at 256 pixels, more at fewer.
_SETBACK = 4e-5
# Boxes are half open, so that a pixel centre on a shared vertex is tried once.
# Those of the cells at the mesh's rim reach this far (pixels) beyond.
_RIM = 1e-3
# Faces below this (twice the area, square pixels) are edge on, or nearly so,
# and the rounding of their corners decides what they cover.
_MIN_AREA = 1e-6
# Slots per chunk, in pixels of the view; ordinary depth needs 2 to 4 per pixel.
_BUDGET = 3
# The key of a pixel that no fragment has reached, and a column off any screen.
_EMPTY = np.int32(np.iinfo(np.int32).max)
_FAR_COLUMN = 2.0**20


@functools.partial(jax.jit, static_argnames="view")
def find_faces(
  points: Float[Array, "h w 3"], torn: Bool[Array, "h w"], view: Camera
) -> Int[Array, "H W"]:
  """Finds the nearest face at each pixel centre, -1 where there is none.

  Args:
    points: the vertices. Faces with a NaN corner, or one nearer than NEAR, are
      left out; a pixel centre just on a vertex at the rim of such a hole may
      be lost with them.
    torn: cells to leave out, by their upper left pixels.
    view: the camera to draw with.

  Returns:
    int32 face numbers, without a gradient.
  """
  size, shape = view.image_size, points.shape[:2]
  vertices = _project(lax.stop_gradient(points), view)
  boxes = _face_boxes(vertices, torn, size)
  face_bits = (boxes.count.size - 1).bit_length()
  depth_key = _depth_quantiser(vertices.inverse_z, 31 - face_bits)
  end = jnp.cumsum(boxes.count)
  start = end - boxes.count
  faces = jnp.arange(end.size)
  slots = jnp.arange(_BUDGET * size**2)

  def unfinished(state):
    return state[0] < end[-1]

  def draw_chunk(state):
    first, nearest = state
    # A slot's face is the last one to start at or before it.
    begin = jnp.maximum(start - first, 0)
    begin = jnp.where(boxes.count > 0, begin, slots.size)
    face = jnp.zeros_like(slots).at[begin].max(faces, mode="drop")
    face = lax.cummax(face)
    slot = first + slots
    row, column, inverse_z, margin = _fragment(
      vertices, boxes, shape, face, slot - start[face]
    )
    hit = (margin >= -_TOLERANCE) & (slot < end[-1]) & (column < size)
    # Of two faces that share an edge, the one that holds the pixel goes first.
    inverse_z *= jnp.where(margin < 0, 1 - _SETBACK, 1)
    key = (depth_key(inverse_z) << face_bits) | face
    pixel = jnp.where(hit, row * size + column, nearest.size)
    return first + slots.size, nearest.at[pixel].min(key, mode="drop")

  # Made like `end`, so that under shard_map it varies over the same mesh axes.
  nearest = lax.full_like(end, _EMPTY, shape=(size**2,))
  _, nearest = lax.while_loop(unfinished, draw_chunk, (jnp.int32(0), nearest))
  face = nearest & ((1 << face_bits) - 1)
  return jnp.where(nearest == _EMPTY, -1, face).reshape(size, size)


def face_corners(
  face: Int[Array, "*n"], shape: tuple[int, int]
) -> tuple[Int[Array, "*n"], ...]:
  """Vertex numbers i * w + j of a face's corners, and its kind.

  The right angle comes first, then the corner along u and the one along v.
  """
  height, width = shape
  kind = (face >= height * width).astype(jnp.int32)
  corner = face - kind * (height * width - width - 1)
  step = 1 - 2 * kind
  return corner, corner + step, corner + step * width, kind


class _Vertices(NamedTuple):
  """Vertices on the screen `[h * w]`, NaN where they cannot be drawn."""

  u: Array
  v: Array
  inverse_z: Array


def _project(points, view):
  x, y, z = (points[..., k].reshape(-1) for k in range(3))
  inverse_z = jnp.where(z > NEAR, 1 / z, jnp.nan)
  scale = view.focal * inverse_z
  return _Vertices(x * scale + view.center, y * scale + view.center, inverse_z)


def _depth_quantiser(inverse_z, bits):
  """A map from 1/z to integers that grow with z, over the view's own range."""
  visible = ~jnp.isnan(inverse_z)
  near = jnp.max(inverse_z, where=visible, initial=0.0)
  far = jnp.min(inverse_z, where=visible, initial=np.inf)
  last = 2**bits - 2
  # A plane seen head on has no range, and needs none.
  per_unit = last / jnp.maximum(near - far, 1e-6)

  def quantise(inverse_z):
    return jnp.clip((near - inverse_z) * per_unit, 0, last).astype(jnp.int32)

  return quantise


class _Boxes(NamedTuple):
  """Where each face `[2 * h * w]` has its fragments, int32.

  A face has `count` fragments, in rows of `columns` from row `top` on, none of
  which starts left of `left`.
  """

  count: Array
  columns: Array
  top: Array
  left: Array


def _face_boxes(vertices, torn, size):
  """Half-open boxes of all faces, clipped to the screen."""
  shape = torn.shape
  is_cell = np.zeros(shape, bool)
  is_cell[:-1, :-1] = True
  is_cell = (is_cell & ~torn).reshape(-1)
  rim = np.zeros(shape, np.float32)
  rim[[0, -2]] = rim[:, [0, -2]] = _RIM
  rim = rim.reshape(-1)

  def cell_corners(x):
    # Shifted flat slices: the CPU takes six times as long over 2-D ones.
    width = shape[1]
    x = jnp.pad(x, (0, width + 1))
    return [x[k : k + rim.size] for k in (0, 1, width, width + 1)]

  def span(corners):
    low = functools.reduce(jnp.minimum, corners)
    high = functools.reduce(jnp.maximum, corners)
    first = jnp.ceil(jnp.clip(low - rim, 0, size))
    stop = jnp.ceil(jnp.clip(high + rim, 0, size))
    return first, stop - first, high - low

  def boxes(u, v):
    left, columns, _ = span(u)
    top, rows, extent = span(v)
    area = jnp.abs(_cross(u, v))
    # No row of a triangle is longer than this area over its extent: a long
    # sliver takes a few slots per row, not its whole box.
    columns = jnp.minimum(columns, jnp.floor(area / extent) + 2)
    # Comparisons with NaN are false, so undrawable faces get no fragment.
    drawn = is_cell & (area > _MIN_AREA)
    return jnp.where(drawn, rows * columns, 0), columns, top, left

  (ua, ub, uc, ud), (va, vb, vc, vd) = map(cell_corners, vertices[:2])
  upper = boxes((ua, ub, uc), (va, vb, vc))
  lower = boxes((ud, uc, ub), (vd, vc, vb))
  both = (jnp.concatenate(pair) for pair in zip(upper, lower, strict=True))
  return _Boxes(*(x.astype(jnp.int32) for x in both))


def _cross(u, v):
  """Twice the signed area of triangles."""
  return (u[1] - u[0]) * (v[2] - v[0]) - (u[2] - u[0]) * (v[1] - v[0])


def _fragment(vertices, boxes, shape, face, index):
  """The index-th fragment of a face: row, column, 1/z and how far inside.

  The last is its smallest barycentric coordinate.
  """
  corners = face_corners(face, shape)[:3]
  u, v, inverse_z = ([x[corner] for corner in corners] for x in vertices)
  columns = boxes.columns[face]
  # Exact below 2^22 fragments a face; SIMD has no integer division.
  line = ((index + 0.5) / columns).astype(jnp.int32)
  row = boxes.top[face] + line

  # Along the row, barycentric coordinates are offset + slope * (column - u0).
  area = _cross(u, v)
  slopes = [(v[k - 2] - v[k - 1]) / area for k in range(3)]
  dv = (row - v[0]) / area
  offset1, offset2 = (u[0] - u[2]) * dv, (u[1] - u[0]) * dv
  offsets = [1 - offset1 - offset2, offset1, offset2]
  # The row starts where the last of its rising coordinates becomes positive.
  start = boxes.left[face].astype(area.dtype)
  for slope, offset in zip(slopes, offsets, strict=True):
    edge = jnp.where(slope > 0, (-_TOLERANCE - offset) / slope, -jnp.inf)
    start = jnp.maximum(start, u[0] + edge)
  start = jnp.minimum(jnp.ceil(start), _FAR_COLUMN).astype(jnp.int32)
  column = start + index - line * columns

  weights = [
    offset + slope * (column - u[0])
    for slope, offset in zip(slopes, offsets, strict=True)
  ]
  margin = functools.reduce(jnp.minimum, weights)
  inverse_z = sum(w * q for w, q in zip(weights, inverse_z, strict=True))
  return row, column, inverse_z, margin
