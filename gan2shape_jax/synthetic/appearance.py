"""The colours of a head: albedo as a function of the place on it.

Head coordinates as in `shape`; colours are sRGB-like values in [0, 1]. A head
is painted in layers, each one colour with a soft mask, over bare skin.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from gan2shape_jax.synthetic.fields import Point, Values, fold, smooth_step
from gan2shape_jax.synthetic.identity import Identity
from gan2shape_jax.synthetic.shape import (
  beard_mask,
  eye_point,
  face_point,
  hair_distance,
  lid_opening,
  mouth_point,
  nostril_point,
  skin_distance,
)

Color = Float[Array, "3"]


class Layer(NamedTuple):
  """One coat of paint.

  Attributes:
    color: in [0, 1].
    mask: opacity in [0, 1] per point.
  """

  color: Color
  mask: Float[Array, " n"]


# Anchors of the palettes, chosen by eye from portraits.
_SKIN = ((0.92, 0.76, 0.66), (0.78, 0.58, 0.44), (0.39, 0.25, 0.18))
_HAIR = ((0.80, 0.64, 0.40), (0.42, 0.27, 0.16), (0.085, 0.07, 0.065))
_IRIS = (
  (0.20, 0.12, 0.07),
  (0.36, 0.25, 0.12),
  (0.33, 0.40, 0.25),
  (0.30, 0.43, 0.58),
  (0.45, 0.50, 0.54),
)
_RED_HAIR = (0.58, 0.27, 0.11)
_GREY_HAIR = (0.66, 0.65, 0.64)


def head_albedo(identity: Identity, point: Point) -> Float[Array, "n 3"]:
  """Albedo in [0, 1] at n points on (or near) the surface of the head."""
  face = face_point(identity, point)
  skin, hair = _skin_tone(identity), _hair_tone(identity)
  front = smooth_step(-0.15, -0.35, point.z)
  on_face = (
    _complexion(identity, skin, face)
    + _lips(identity, skin, face)
    + _eyes(identity, skin, face)
    + _brows(identity, hair, face)
  )
  layers = [layer._replace(mask=front * layer.mask) for layer in on_face]
  layers += _beard(identity, skin, hair, face)
  layers += _hair(identity, skin, hair, point)
  layers += _clothes(identity, point)
  return _paint(skin, layers, point.x.shape[0])


def _paint(ground: Color, layers: list[Layer], n: int) -> Float[Array, "n 3"]:
  """Paints layers in their order.

  The scan keeps each mask from being computed once per colour channel, which
  is what fusing compilers otherwise do.
  """
  stack = jax.tree.map(lambda *a: jnp.stack(a), *layers)

  def coat(below, layer):
    return [
      b + layer.mask * (layer.color[i] - b) for i, b in enumerate(below)
    ], None

  start = [jnp.full(n, ground[i]) for i in range(3)]
  color, _ = jax.lax.scan(coat, start, stack)
  return jnp.stack(color, -1)


def _skin_tone(p: Identity) -> Color:
  red, yellow = p["skin_red"], p["skin_yellow"]
  tint = jnp.stack(
    [
      1 + 0.02 * red,
      1 - 0.035 * red + 0.01 * yellow,
      1 - 0.03 * red - 0.10 * yellow,
    ]
  )
  return _palette(_SKIN, p["melanin"]) * tint


def _hair_tone(p: Identity) -> Color:
  hair = _palette(_HAIR, p["hair_melanin"])
  red = 0.8 * p["hair_red"] * (1 - p["hair_melanin"])
  hair = hair + red * (jnp.array(_RED_HAIR) - hair)
  return hair + 0.9 * p["hair_grey"] * (jnp.array(_GREY_HAIR) - hair)


def _complexion(p: Identity, skin: Color, face: Point) -> list[Layer]:
  """Cheeks, nose, shaded lids, freckles, nostrils and a one-sided mark."""
  x, y, _ = face
  ax = fold(x)
  blush = _blob(ax - 0.36, y - 0.28, 0.16, 0.13)
  blush = blush + 0.6 * _blob(x, y - p["nose_length"], 0.10, 0.09)
  eye = eye_point(p, face)
  shade = _blob(eye.x + 0.02, eye.y + 0.02, 0.16, 0.085)
  spots = jnp.sin(47 * ax + 9 * y + 2 * jnp.sin(31 * y)) * jnp.sin(
    43 * y + 13 * ax + 2 * jnp.sin(29 * ax)
  )
  spots = smooth_step(0.45, 0.85, spots) * (
    _blob(ax - 0.27, y - 0.27, 0.22, 0.13) + _blob(x, y - 0.2, 0.15, 0.2)
  )
  nostril = nostril_point(p, face)
  far = nostril.x**2 + 1.5 * nostril.y**2 + nostril.z**2
  away = jnp.sqrt((x - p["mark_x"]) ** 2 + (y - p["mark_y"]) ** 2 + 1e-8)
  mark = smooth_step(1.3, 0.8, away / (p["mark_size"] + 1e-3))
  return [
    Layer(_tinted(skin, 1.02, 0.82, 0.82), 0.8 * p["blush"] * blush),
    Layer(
      _tinted(skin, 0.70, 0.60, 0.60), shade * (0.12 + 0.6 * p["eye_shade"])
    ),
    Layer(
      _tinted(skin, 0.72, 0.58, 0.50),
      jnp.minimum(0.8 * p["freckles"] * spots, 1.0),
    ),
    Layer(_tinted(skin, 0.34, 0.22, 0.20), jnp.exp(-far / 0.034**2)),
    Layer(
      _tinted(skin, 0.55, 0.40, 0.37),
      mark * smooth_step(0.0, 0.2, p["mark"]),
    ),
  ]


def _lips(p: Identity, skin: Color, face: Point) -> list[Layer]:
  """Two lips with a cupid's bow, the dark gap, and teeth in a wide one."""
  mouth = mouth_point(p, face)
  across = mouth.x / p["mouth_width"]
  within = smooth_step(1.0, 0.85, jnp.abs(across))
  taper = jnp.maximum(1.0 - across * across, 0.0)
  bow = 1 - 0.30 * jnp.exp(-((mouth.x / 0.035) ** 2))
  upper = 1.35 * p["upper_lip"] * taper * bow
  lower = 1.45 * p["lower_lip"] * jnp.sqrt(taper + 1e-6)
  inside = jnp.minimum(mouth.y + upper, lower - mouth.y)
  lips = smooth_step(-0.012, 0.018, inside) * within
  tint = p["lip_tint"]
  half = jnp.maximum(p["mouth_open"], 0.0)
  gap = (0.011 + half) * jnp.sqrt(taper + 1e-6)
  inner = smooth_step(1.25, 0.8, jnp.abs(mouth.y) / gap) * within
  teeth = smooth_step(0.010, 0.018, half)
  dark, white = jnp.array([0.30, 0.14, 0.13]), jnp.array([0.86, 0.82, 0.76])
  return [
    Layer(
      _tinted(skin, 0.88 - 0.04 * tint, 0.70 - 0.26 * tint, 0.74 - 0.24 * tint),
      0.95 * lips,
    ),
    Layer(dark + 0.9 * teeth * (white - dark), 0.8 * inner),
  ]


def _eyes(p: Identity, skin: Color, face: Point) -> list[Layer]:
  """White, iris, pupil, the lid's shade on them, lash lines, lid crease."""
  eye = eye_point(p, face)
  opening = smooth_step(-0.08, 0.22, lid_opening(p, eye))
  side = jnp.where(face.x > 0, 1.0, -1.0)
  look = eye.x - side * p["gaze"]
  out = jnp.sqrt(look * look + (eye.y + 0.012) ** 2 + 1e-8)
  up = -(eye.y + p["eye_tilt"] * eye.x)
  across = eye.x / p["eye_width"]
  lid = p["eye_open"] * (1 - across * across)
  near = smooth_step(1.15, 0.8, jnp.abs(across))
  lash = jnp.exp(-(((up - lid - 0.004) / 0.015) ** 2)) * near
  low = jnp.exp(-(((up + 0.62 * lid + 0.004) / 0.012) ** 2)) * near
  crease = jnp.exp(-(((up - 0.9 * lid - 0.048) / 0.014) ** 2)) * near
  white = 0.8 * jnp.array([0.84, 0.81, 0.78]) + 0.2 * skin
  return [
    Layer(_tinted(skin, 0.74, 0.66, 0.63), 0.6 * crease),
    Layer(white, opening),
    Layer(_palette(_IRIS, p["iris"]), opening * smooth_step(0.064, 0.052, out)),
    Layer(jnp.full(3, 0.03), opening * smooth_step(0.030, 0.020, out)),
    Layer(
      jnp.array([0.16, 0.12, 0.11]),
      0.40 * opening * smooth_step(-0.005, 0.04, up),
    ),
    Layer(_tinted(skin, 0.24, 0.20, 0.20), 0.9 * lash),
    Layer(_tinted(skin, 0.60, 0.50, 0.48), 0.6 * low),
  ]


def _brows(p: Identity, hair: Color, face: Point) -> list[Layer]:
  """Hair along the brow: full inside, thinning and falling outside."""
  eye = eye_point(p, face)
  along = (eye.x + 0.135) / 0.33
  rise = p["brow_arch"] * (1 - ((along - 0.62) / 0.62) ** 2)
  up = -(eye.y + p["brow_height"]) - 0.5 * p["brow_tilt"] * (eye.x - 0.02)
  thick = p["brow_thickness"] * (1 - 0.65 * along * along)
  across = jnp.abs(up + 0.02 - rise) / jnp.maximum(thick, 0.004)
  mask = smooth_step(1.35, 0.35, across)
  mask = mask * smooth_step(-0.06, 0.22, along) * smooth_step(1.05, 0.8, along)
  tone = 0.65 * hair + 0.35 * jnp.array([0.20, 0.14, 0.11])
  return [Layer(tone, p["brow_density"] * mask)]


def _beard(p: Identity, skin: Color, hair: Color, face: Point) -> list[Layer]:
  mask = beard_mask(p, face)
  tone = 0.7 * hair + 0.3 * jnp.array([0.24, 0.16, 0.11])
  return [
    Layer(_tinted(skin, 0.62, 0.62, 0.67), 0.7 * mask * p["stubble"]),
    Layer(tone, 0.95 * mask * smooth_step(0.0, 0.5, p["beard"])),
  ]


def _hair(p: Identity, skin: Color, hair: Color, point: Point) -> list[Layer]:
  """Hair where its volume is outside the skin, with strands and a parting."""
  x, y, z = point
  part = x - p["parting"]
  flow = fold(part) + 0.12 * jnp.sin(7 * y + 5 * z)
  strands = jnp.sin(27 * flow + 19 * z) + jnp.sin(
    16 * z - 41 * flow + 3 * jnp.sin(9 * y)
  )
  strands = p["hair_contrast"] * strands
  # Hair is a little darker toward its ends.
  depth = jnp.maximum(-strands, 0.0) + 0.3 * smooth_step(-0.3, 0.7, y)
  outside = skin_distance(p, point) - hair_distance(p, point)
  # Short of the volume's edge hair thins out over the skin.
  mask = smooth_step(-0.045, 0.015, outside)
  line = _blob(part, 0.0, 0.024, 1.0) * smooth_step(-0.45, -0.75, y)
  line = line * smooth_step(0.25, 0.0, z) * (1 - p["hair_wave"] / 0.03)
  return [
    Layer(hair, mask),
    Layer(0.45 * hair, mask * jnp.clip(depth, 0.0, 1.0)),
    Layer(
      0.75 * hair + jnp.array([0.16, 0.14, 0.11]),
      0.7 * mask * jnp.clip(strands, 0.0, 1.0),
    ),
    Layer(0.5 * hair + 0.45 * skin, 0.6 * mask * line),
  ]


def _clothes(p: Identity, point: Point) -> list[Layer]:
  x, y, z = point
  collar = 1.16 - 0.18 * smooth_step(-0.1, 0.5, z) + 0.05 * (1 - fold(x)) ** 2
  hues = 2 * jnp.pi * p["cloth_hue"] + jnp.array([0.0, 2.1, 4.2])
  cloth = p["cloth_value"] * (1 + 0.35 * jnp.cos(hues)) / 1.35
  return [Layer(cloth, smooth_step(-0.01, 0.02, y - collar))]


def _tinted(color: Color, r: Values, g: Values, b: Values) -> Color:
  return color * jnp.stack([jnp.asarray(c, jnp.float32) for c in (r, g, b)])


def _blob(x: Values, y: Values, width: float, height: float) -> Values:
  return jnp.exp(-((x / width) ** 2) - (y / height) ** 2)


def _palette(anchors: tuple[tuple[float, ...], ...], at: Values) -> Color:
  """Piecewise linear through equally spaced anchors, `at` in [0, 1]."""
  colors = jnp.array(anchors)
  place = jnp.clip(at, 0.0, 1.0) * (len(anchors) - 1)
  nearness = jnp.maximum(1 - jnp.abs(place - jnp.arange(len(anchors))), 0.0)
  return jnp.sum(nearness[:, None] * colors, 0)
