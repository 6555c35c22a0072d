"""Who a head is: named parameters, their ranges and how they are drawn.

An identity is a dict of scalars. Lengths are in head units (about half a head
height), colours and amounts in [0, 1] unless the range says otherwise. Ranges
follow adult anthropometry (head breadth .67, pupils .27 apart from the middle,
nose half-width .15 of the half-height), stretched a little for variety.
"""

from functools import partial
from typing import Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

Identity = dict[str, Float[Array, ""]]
Asymmetry = Literal["none", "appearance", "full"]

SHAPE = {
  "head_scale": (0.0735, 0.0790),  # scene units per head unit
  "cranium_width": (0.63, 0.71),
  "cranium_height": (0.68, 0.77),
  "cranium_depth": (0.76, 0.87),
  "face_length": (0.93, 1.06),  # stretches everything below the eyes
  "jaw_width": (0.48, 0.59),
  "jaw_depth": (0.52, 0.59),
  "jaw_angle": (0.33, 0.46),  # half-distance of the jaw's corners
  "cheekbone": (0.21, 0.27),
  "cheekbone_out": (0.32, 0.40),
  "cheek_fullness": (0.10, 0.21),
  "chin_width": (0.15, 0.26),
  "chin_size": (0.13, 0.18),
  "chin_forward": (-0.06, 0.06),
  "brow_ridge": (0.040, 0.085),
  "eye_spacing": (0.235, 0.285),
  "eye_height": (-0.03, 0.03),
  "eye_depth": (-0.03, 0.03),
  "eye_width": (0.115, 0.150),
  "eye_open": (0.040, 0.068),
  "eye_tilt": (-0.08, 0.15),  # slope, positive: outer corner higher
  "lid_weight": (0.010, 0.026),
  "nose_length": (0.30, 0.41),
  "nose_width": (0.075, 0.130),
  "nose_bridge": (0.035, 0.065),
  "nose_bridge_depth": (-0.04, 0.03),
  "nose_projection": (0.10, 0.23),
  "nose_hump": (-0.03, 0.04),
  "nose_tip": (0.060, 0.090),
  "nose_tilt": (-0.03, 0.05),
  "mouth_height": (0.555, 0.635),
  "mouth_width": (0.165, 0.245),
  "mouth_curve": (-0.5, 1.4),  # 1 / head unit, positive: smile
  "mouth_open": (-0.03, 0.03),  # half-height of the gap; below 0: closed
  "upper_lip": (0.028, 0.058),
  "lower_lip": (0.036, 0.070),
  "muzzle": (-0.02, 0.05),
  "ear_size": (0.17, 0.24),
  "ear_out": (0.00, 0.06),
  "neck_width": (0.36, 0.50),
  "shoulder_height": (1.28, 1.52),
  "hair_top": (0.03, 0.17),
  "hair_side": (0.01, 0.15),
  "hair_length": (-0.05, 1.25),  # where the hair at the sides ends
  "hairline": (-0.66, -0.30),  # y of the hairline over the nose
  "hair_frame": (0.46, 0.66),  # half-width of the face's opening
  "hair_peak": (-0.10, 0.16),  # square (-) to pointed (+) hairline
  "hair_wave": (0.0, 0.022),
  "baldness": (0.0, 1.0),
  "beard_length": (0.0, 0.07),
}
APPEARANCE = {
  "melanin": (0.0, 1.0),
  "skin_red": (-1.0, 1.0),
  "skin_yellow": (-0.4, 1.0),
  "blush": (0.0, 1.0),
  "freckles": (0.0, 1.0),
  "eye_shade": (0.0, 1.0),
  "lip_tint": (0.0, 1.0),
  "iris": (0.0, 1.0),  # brown, hazel, green, blue, grey
  "brow_height": (0.150, 0.205),  # above the pupil
  "brow_thickness": (0.020, 0.046),
  "brow_arch": (0.0, 0.05),
  "brow_tilt": (-0.22, 0.06),
  "brow_density": (0.45, 0.95),
  "hair_melanin": (0.0, 1.0),
  "hair_red": (0.0, 1.0),
  "hair_grey": (0.0, 1.0),
  "hair_contrast": (0.05, 0.25),
  "beard": (0.0, 1.0),
  "stubble": (0.0, 1.0),
  "moustache": (0.0, 1.0),
  "cloth_hue": (0.0, 1.0),
  "cloth_value": (0.08, 0.75),
}
# One-sided looks on a mirror-symmetric shape: what "appearance" switches on.
ASYMMETRIC_APPEARANCE = {
  "parting": (-0.32, 0.32),
  "gaze": (-0.022, 0.022),
  "mark_x": (-0.42, 0.42),
  "mark_y": (0.08, 0.62),
  "mark_size": (0.02, 0.06),
  "mark": (0.0, 1.0),
}
# One-sided shape: what "full" adds.
ASYMMETRIC_SHAPE = {
  "nose_turn": (-0.05, 0.05),
  "jaw_shift": (-0.06, 0.06),
  "mouth_skew": (-0.09, 0.09),
  "eye_skew": (-0.05, 0.05),
  "cheek_skew": (-0.05, 0.05),
  "hair_sweep": (-0.16, 0.16),
}
RANGES = SHAPE | APPEARANCE | ASYMMETRIC_APPEARANCE | ASYMMETRIC_SHAPE
NAMES = tuple(RANGES)


@partial(jax.jit, static_argnames="asymmetry")
def sample_identity(
  key: PRNGKeyArray, *, asymmetry: Asymmetry = "appearance"
) -> Identity:
  """Draws a head: uniform in `RANGES`, then a few human correlations.

  Args:
    key: random key; it alone determines the identity.
    asymmetry: "none" (exactly mirror-symmetric), "appearance" (symmetric
      shape; parting, gaze and a mark differ between the sides) or "full"
      (nose, jaw, mouth, eyes, cheeks and hair are one-sided too).
  """
  sex_key, key = jax.random.split(key)
  unit = jax.random.uniform(key, (len(NAMES),))
  u = dict(zip(NAMES, unit, strict=True))
  # Masculine faces have heavier jaws and brows, shorter hair, maybe a beard.
  male = jax.random.uniform(sex_key)
  for name in ("jaw_angle", "brow_ridge", "brow_thickness", "neck_width"):
    u[name] = 0.6 * u[name] + 0.4 * male
  u["hair_length"] = jnp.where(
    male > 0.5, 0.35 * u["hair_length"] ** 2, u["hair_length"]
  )
  u["hair_frame"] = jnp.where(
    u["hair_length"] < 0.3, 0.6 + 0.4 * u["hair_frame"], u["hair_frame"]
  )
  u["hair_side"] = u["hair_side"] * (0.45 + 0.55 * u["hair_length"])
  u["melanin"] = u["melanin"] ** 1.4
  # Rare things: the amount is 0 below the threshold and grows above it.
  u["baldness"] = _rare(u["baldness"], 0.70) * (male > 0.5)
  u["beard"] = _rare(u["beard"], 0.45) * (male > 0.5)
  u["stubble"] = _rare(u["stubble"], 0.30) * (male > 0.5)
  u["freckles"] = _rare(u["freckles"], 0.65)
  u["mark"] = _rare(u["mark"], 0.82)
  u["hair_grey"] = _rare(u["hair_grey"], 0.75)
  # Dark skin goes with dark hair and eyes; red hair with fair skin.
  u["hair_melanin"] = jnp.maximum(u["hair_melanin"], 1.6 * u["melanin"] - 0.4)
  u["hair_melanin"] = jnp.minimum(u["hair_melanin"], 1.0)
  u["hair_red"] = _rare(u["hair_red"], 0.6) * (1 - u["melanin"])
  u["iris"] = u["iris"] * jnp.clip(1.5 - 2.2 * u["melanin"], 0.0, 1.0)
  identity = {
    name: low + (high - low) * u[name] for name, (low, high) in RANGES.items()
  }
  off = {} if asymmetry == "full" else dict(ASYMMETRIC_SHAPE)
  if asymmetry == "none":
    off |= ASYMMETRIC_APPEARANCE
  return identity | {name: jnp.zeros(()) for name in off}


def _rare(unit: Float[Array, ""], threshold: float) -> Float[Array, ""]:
  """0 below the threshold, then linearly up to 1."""
  return jnp.maximum(unit - threshold, 0.0) / (1.0 - threshold)
