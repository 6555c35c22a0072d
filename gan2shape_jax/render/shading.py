"""Lambertian shading with one distant light.

Albedo and texture are in [-1, 1] (the texture may leave it), shading is >= 0.
Normals point inward, and so does the light's direction, away from the light:
direction x > 0 lights the left side of a convex object, y > 0 its top.
"""

import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Float


@struct.dataclass
class Light:
  """One distant light.

  Attributes:
    ambient: light that reaches every point, >= 0.
    diffuse: strength of the distant light, >= 0.
    direction: unit vector along which it shines.
  """

  ambient: Float[Array, "*b"]
  diffuse: Float[Array, "*b"]
  direction: Float[Array, "*b 3"]


def lambertian(
  normal: Float[Array, "h w 3"], direction: Float[Array, "3"]
) -> Float[Array, "h w"]:
  """max(0, <n, s>), in [0, 1] for unit vectors (GAN2Shape model.py:507).

  The product is written out: vmapped over lights, a sum over the short axis is
  compiled wrongly by XLA's CPU back end (jaxlib 0.10.2), which mixes up the
  lights.
  """
  product = sum(normal[..., i] * direction[i] for i in range(3))
  return jnp.maximum(product, 0.0)


def shade(normal: Float[Array, "h w 3"], light: Light) -> Float[Array, "h w"]:
  """Ambient plus diffuse shading (GAN2Shape model.py:508)."""
  return light.ambient + light.diffuse * lambertian(normal, light.direction)


def apply_shading(
  albedo: Float[Array, "h w c"], shading: Float[Array, "h w"]
) -> Float[Array, "h w c"]:
  """Shades an albedo, both taken from [-1, 1] to [0, 1] and back.

  2 (a/2 + 1/2) S - 1, not clamped (GAN2Shape model.py:509).
  """
  return (albedo + 1.0) * shading[..., None] - 1.0
