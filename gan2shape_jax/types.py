"""Array bundles that several modules share, as pytrees.

Images are NHWC-like float32 in [-1, 1], masks float32 in [0, 1], depth in scene
units (about 0.9 near to 1.1 far). One bundle describes one picture; several
pictures are the same bundle with a leading axis on every leaf.
"""

import flax.struct
from jaxtyping import Array, Float


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
