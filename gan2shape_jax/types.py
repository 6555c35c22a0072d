"""Array bundles that several modules share, as pytrees.

Images are NHWC-like float32 in [-1, 1], masks float32 in [0, 1], depth in scene
units (about 0.9 near to 1.1 far). One bundle describes one picture; several
pictures are the same bundle with a leading axis on every leaf.
"""

import flax.struct
from jaxtyping import Array, Float

from gan2shape_jax.render.camera import Pose
from gan2shape_jax.render.shading import Light


@flax.struct.dataclass
class Picture:
  """What the training steps see of one picture; constant while it is fitted.

  Attributes:
    image: the picture, cropped and resized, in [-1, 1].
    mask: the object's share of each pixel, in [0, 1].
    latent: W+ latent, one row for each layer of the generator.
    gan_image: the GAN's rendition of the latent, cropped and resized like the
      picture, in [-1, 1].
  """

  image: Float[Array, "*batch h w 3"]
  mask: Float[Array, "*batch h w"]
  latent: Float[Array, "*batch layers channels"]
  gan_image: Float[Array, "*batch h w 3"]


@flax.struct.dataclass
class GroundTruth:
  """The true shape of one picture, in the view of the picture.

  Attributes:
    depth: scene units; the far limit where there is no object.
    mask: 1 on the object, 0 elsewhere; not eroded.
  """

  depth: Float[Array, "*batch h w"]
  mask: Float[Array, "*batch h w"]


@flax.struct.dataclass
class Reconstruction:
  """What is known of one picture: its factors, in the canonical frame.

  Attributes:
    depth: canonical depth, scene units.
    albedo: in [-1, 1].
    normal: inward unit normals of `depth`.
    light: the picture's light.
    pose: the view in which the picture was taken.
    mask: canonical object mask in [0, 1]; None shows the background too.
  """

  depth: Float[Array, "h w"]
  albedo: Float[Array, "h w 3"]
  normal: Float[Array, "h w 3"]
  light: Light
  pose: Pose
  mask: Float[Array, "h w"] | None = None
