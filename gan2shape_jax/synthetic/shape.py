"""The shape of a head: a signed-distance field of smooth unions.

Head coordinates (see the package): x right, y down, z away from the camera,
unit half a head height. Distances are in head units, negative inside. They
are bounds rather than exact distances, so tracers must step a bit shorter.
"""

import jax.numpy as jnp

from gan2shape_jax.synthetic.fields import (
  Point,
  Values,
  capsule,
  ellipse_cylinder,
  ellipsoid,
  fold,
  smooth_max,
  smooth_min,
  smooth_step,
  sphere,
  tapered_capsule,
)
from gan2shape_jax.synthetic.identity import Identity


def head_distance(identity: Identity, point: Point) -> Values:
  """Signed distance to the whole head, skin and hair (head units)."""
  return smooth_min(
    skin_distance(identity, point), hair_distance(identity, point), 0.04
  )


def skin_distance(identity: Identity, point: Point) -> Values:
  """Signed distance to face, ears, neck and shoulders (head units)."""
  p = identity
  x, y, z = point
  face = face_point(p, point)
  d = _skull(p, face)
  d = _eyes(p, d, face)
  d = _mouth(p, d, face)
  d = _nose(p, d, face)
  d = d - p["beard_length"] * p["beard"] * beard_mask(p, face)
  ear = _ear(p, Point(fold(x), y, z))
  d = smooth_min(d, ear, 0.04)
  neck = ellipse_cylinder(x, z - 0.16 - 0.12 * y, p["neck_width"], 0.40)
  neck = smooth_max(neck, 0.35 - y, 0.1)
  d = smooth_min(d, neck, 0.10)
  shoulders = ellipsoid(
    Point(x, y - p["shoulder_height"] - 0.30, z - 0.32), (1.05, 0.38, 0.40)
  )
  return smooth_min(d, shoulders, 0.30)


def face_point(identity: Identity, point: Point) -> Point:
  """Coordinates in which the face is regular.

  Below the eyes y is divided by `face_length`; `jaw_shift` moves the lower
  face sideways. Albedo uses the same, so that colours follow the shape.
  """
  x, y, z = point
  below = jnp.maximum(y, 0.0)
  stretched = jnp.where(y > 0, y / identity["face_length"], y)
  shift = identity["jaw_shift"] * below * below / (0.3 + below * below)
  return Point(x - shift, stretched, z)


def mouth_point(identity: Identity, face: Point) -> Point:
  """Coordinates along the curved lips; y = 0 is the line between them."""
  x, y, z = face
  line = identity["mouth_height"] - identity["mouth_curve"] * x * x
  line = line + identity["mouth_skew"] * x
  return Point(x, y - line, z - x * x + identity["muzzle"])


def eye_point(identity: Identity, face: Point) -> Point:
  """Coordinates centred on the eyeball of the nearer side, x outward."""
  x, y, z = face
  height = identity["eye_height"] + identity["eye_skew"] * x
  return Point(
    fold(x) - identity["eye_spacing"],
    y - height,
    z + 0.515 - identity["eye_depth"],
  )


def lid_opening(identity: Identity, eye: Point) -> Values:
  """Signed field of the opening between the lids: positive inside.

  In units of the opening's half-height: 1 at the middle, 0 on the lid's edge.
  """
  across = eye.x / identity["eye_width"]
  arch = 1.0 - across * across
  up = -(eye.y + identity["eye_tilt"] * eye.x)
  upper = identity["eye_open"] * arch
  lower = 0.62 * identity["eye_open"] * arch
  return jnp.minimum(upper - up, lower + up) / identity["eye_open"]


def beard_mask(identity: Identity, face: Point) -> Values:
  """Where a beard grows, 0 to 1: jaw, chin, and the upper lip if wanted."""
  x, y, z = face
  ax = fold(x)
  mouth = mouth_point(identity, face)
  # The upper edge falls from the ear to the mouth's corner.
  edge = 0.27 + 0.30 * jnp.exp(-((ax / 0.30) ** 2))
  jaw = smooth_step(edge, edge + 0.20, y) * smooth_step(0.25, -0.05, z)
  jaw = jaw * smooth_step(1.15, 0.98, y)
  width = identity["mouth_width"] + 0.03
  gap = 1 - jnp.exp(
    -((ax / width) ** 4) - (jnp.maximum(jnp.abs(mouth.y) / 0.085, 0.0) ** 4)
  )
  upper = jnp.exp(-((ax / 0.19) ** 4) - ((mouth.y + 0.085) / 0.045) ** 2)
  upper = upper * smooth_step(-0.45, -0.6, z)
  return jnp.maximum(jaw * gap, upper * identity["moustache"])


def hair_distance(identity: Identity, point: Point) -> Values:
  """Signed distance to the hair (head units): a volume minus an opening."""
  p = identity
  x, y, z = point
  bald = p["baldness"]
  top = p["hair_top"] * (1 - bald) - 0.06 * bald
  side = p["hair_side"] * (1 - 0.8 * bald) - 0.02 * bald
  width = p["cranium_width"] + side
  cap = ellipsoid(
    Point(x, y + 0.26, z - 0.08),
    (width, p["cranium_height"] + top, p["cranium_depth"] + 0.4 * top + 0.02),
  )
  curtain = ellipse_cylinder(x, z - 0.24, width + 0.03, 0.60 + 0.5 * side)
  curtain = smooth_max(curtain, -0.25 - y, 0.3)
  volume = smooth_min(cap, curtain, 0.15)
  wave = jnp.sin(13 * y + 2 * jnp.sin(7 * fold(x)) + 2 * jnp.sin(6 * z))
  volume = volume + p["hair_wave"] * wave
  # The face's opening, an ellipse above the eyes and open below.
  sweep = x - p["hair_sweep"] * smooth_step(0.2, -0.5, y)
  line = p["hairline"] - 0.45 * bald
  line = line + p["hair_peak"] * (jnp.exp(-((sweep / 0.2) ** 2)) - 0.5)
  rise = jnp.minimum(y - 0.35, 0.0) / (line - 0.35)
  frame = p["hair_frame"]
  opening = (jnp.sqrt((sweep / frame) ** 2 + rise * rise + 1e-6) - 1) * frame
  opening = smooth_max(0.8 * opening, z + 0.02, 0.08)
  # Short hair rises from the nape to the temple, long hair ends level.
  slope = 0.65 * smooth_step(0.75, 0.25, p["hair_length"])
  below = (p["hair_length"] + slope * z - y) / jnp.sqrt(1 + slope * slope)
  volume = smooth_max(volume, -opening, 0.14)
  return smooth_max(volume, -below, 0.12)


def _skull(p: Identity, face: Point) -> Values:
  """Cranium, jaw, cheeks, chin and brow ridge."""
  x, y, z = face
  ax = fold(x)
  d = ellipsoid(
    Point(x, y + 0.26, z - 0.06),
    (p["cranium_width"], p["cranium_height"], p["cranium_depth"]),
  )
  jaw = ellipsoid(
    Point(x, y - 0.30, z + 0.18), (p["jaw_width"], 0.68, p["jaw_depth"])
  )
  d = smooth_min(d, jaw, 0.22)
  skew = 1 + p["cheek_skew"] * jnp.tanh(4 * x)
  bone = sphere(
    Point(ax - p["cheekbone_out"] * skew, y - 0.20, z + 0.42), p["cheekbone"]
  )
  d = smooth_min(d, bone, 0.16)
  cheek = sphere(
    Point(ax - 0.30 * skew, y - 0.48, z + 0.42), p["cheek_fullness"]
  )
  d = smooth_min(d, cheek, 0.20)
  corner = sphere(Point(ax - p["jaw_angle"], y - 0.58, z + 0.14), 0.14)
  d = smooth_min(d, corner, 0.20)
  size = p["chin_size"]
  chin = ellipsoid(
    Point(x, y - 0.985 + size, z + 0.57 + p["chin_forward"]),
    (p["chin_width"], size, 0.16),
  )
  d = smooth_min(d, chin, 0.16)
  ridge = capsule(
    Point(ax, y - p["eye_skew"] * x, z),
    (0.14, -0.15, -0.65),
    (0.40, -0.14, -0.50),
    p["brow_ridge"],
  )
  return smooth_min(d, ridge, 0.14)


def _eyes(p: Identity, d: Values, face: Point) -> Values:
  """Carves the sockets and puts in eyeballs under their lids."""
  eye = eye_point(p, face)
  socket = ellipsoid(
    Point(eye.x + 0.01, eye.y + 0.01, eye.z + 0.19), (0.19, 0.115, 0.13)
  )
  d = smooth_max(d, -socket, 0.10)
  # Lids stand out from the ball by `lid_weight` around the opening.
  lid = p["lid_weight"] * smooth_step(0.55, -0.45, lid_opening(p, eye))
  ball = sphere(eye, 0.130 + lid)
  return smooth_min(d, ball, 0.035)


def _nose(p: Identity, d: Values, face: Point) -> Values:
  """Bridge, tip, wings and nostrils."""
  x, y, z = face
  length = p["nose_length"]
  down = jnp.clip(y / length, 0.0, 1.2)
  x = x - p["nose_turn"] * down
  ax = fold(x)
  root = -0.70 - p["nose_bridge_depth"]
  tip = -0.755 - p["nose_projection"] + p["nose_tip"]
  tip_y = length - p["nose_tilt"]
  hump = p["nose_hump"] * jnp.exp(-(((y - 0.45 * length) / 0.1) ** 2))
  bridge = tapered_capsule(
    Point(x, y, z + hump),
    (-0.04, root + p["nose_bridge"]),
    (tip_y, tip),
    p["nose_bridge"],
    0.85 * p["nose_tip"],
  )
  nose = smooth_min(
    bridge, sphere(Point(x, y - tip_y, z - tip), p["nose_tip"]), 0.04
  )
  wing = ellipsoid(
    Point(ax - p["nose_width"], y - length - 0.03, z - 0.3 * tip + 0.51),
    (0.058, 0.058, 0.085),
  )
  nose = smooth_min(nose, wing, 0.06)
  d = smooth_min(d, nose, 0.085)
  nostril = sphere(nostril_point(p, face), 0.028)
  return smooth_max(d, -nostril, 0.03)


def nostril_point(identity: Identity, face: Point) -> Point:
  """Coordinates centred on the nostril of the nearer side."""
  length = identity["nose_length"]
  tip = -0.755 - identity["nose_projection"] + identity["nose_tip"]
  x = face.x - identity["nose_turn"]
  return Point(
    fold(x) - 0.55 * identity["nose_width"],
    face.y - length - 0.075,
    face.z - 0.55 * tip + 0.33,
  )


def _mouth(p: Identity, d: Values, face: Point) -> Values:
  """Muzzle, two lips and the gap between them."""
  x, y, z = face
  muzzle = ellipsoid(
    Point(x, y - 0.57, z + 0.54 + p["muzzle"]), (0.26, 0.24, 0.18)
  )
  d = smooth_min(d, muzzle, 0.24)
  mouth = mouth_point(p, face)
  width, upper, lower = p["mouth_width"], p["upper_lip"], p["lower_lip"]
  front = mouth.z + 0.705
  over = ellipsoid(
    Point(mouth.x, mouth.y + 0.6 * upper, front), (width, upper, 0.072)
  )
  under = ellipsoid(
    Point(mouth.x, mouth.y - 0.7 * lower, front),
    (0.88 * width, lower, 0.070),
  )
  d = smooth_min(d, smooth_min(over, under, 0.01), 0.035)
  gap = ellipsoid(
    Point(mouth.x, mouth.y, front + 0.06),
    (0.92 * width, 0.010 + jnp.maximum(p["mouth_open"], 0.0), 0.055),
  )
  return smooth_max(d, -gap, 0.02)


def _ear(p: Identity, point: Point) -> Values:
  """A leaning shell behind the jaw's corner, hollowed from outside."""
  x, y, z = point
  size = p["ear_size"]
  out = x - p["cranium_width"] - p["ear_out"]
  lean = z - 0.10 + 0.25 * (y - 0.12)
  shell = ellipsoid(
    Point(out - 0.4 * lean, y - 0.12, lean), (0.055, size, 0.62 * size)
  )
  hollow = ellipsoid(
    Point(out - 0.4 * lean - 0.055, y - 0.10, lean),
    (0.05, 0.62 * size, 0.36 * size),
  )
  return smooth_max(shell, -hollow, 0.03)
