"""Object masks from networks that parse pictures (GAN2Shape model.py).

Pictures are [h, w, 3] in [-1, 1]. A mask is the object's share of each pixel,
float32 in [0, 1].
"""

import dataclasses
import os
from types import MappingProxyType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from gan2shape_jax.models.bisenet import BiSeNet
from gan2shape_jax.models.frozen import init_frozen
from gan2shape_jax.models.pspnet import PSPNet
from gan2shape_jax.render.sampling import resize_area, resize_bilinear
from gan2shape_jax.weights import check_shapes, load_weights

Params = dict[str, Any]

# ImageNet's, of pictures in [0, 1].
MEAN = (0.485, 0.456, 0.406)
DEVIATION = (0.229, 0.224, 0.225)


@dataclasses.dataclass(frozen=True)
class Parser:
  """A network without its parameters, and the size of the pictures it takes."""

  module: BiSeNet | PSPNet
  image_size: int

  @property
  def classes(self) -> int:
    """How many classes it tells apart."""
    return self.module.classes

  def init(self, key: PRNGKeyArray) -> Params:
    """Random parameters of the network's shapes."""
    return init_frozen(key, self.module, self.image_size)

  def apply(
    self, params: Params, image: Float[Array, "h w 3"]
  ) -> Float[Array, "h w k"]:
    """Logits of each pixel's classes; h = w = image_size."""
    return self.module.apply({"params": params}, image)


PARSERS = MappingProxyType(
  {
    "bisenet": Parser(BiSeNet(classes=19), 512),
    "pspnet_voc": Parser(PSPNet(classes=21), 473),
    "pspnet_ade20k": Parser(PSPNet(classes=150), 473),
  }
)


@dataclasses.dataclass(frozen=True)
class MaskRule:
  """Which classes are the object.

  Attributes:
    parser: name in `PARSERS`.
    whole: classes that are the object.
    half: classes that count half.
    normalize: whether the parser sees pictures standardised by ImageNet's
      statistics. It was trained so; but where the reference leaves it out
      (docs/differences.md, 14), so do we: its thresholds were tuned on that.
  """

  parser: str
  whole: tuple[int, ...]
  half: tuple[int, ...] = ()
  normalize: bool = False

  def weights(self) -> Float[np.ndarray, " k"]:
    """The share of each class in the object."""
    weights = np.zeros(PARSERS[self.parser].classes, np.float32)
    weights[list(self.whole)] = 1.0
    weights[list(self.half)] = 0.5
    return weights


def load_parser(folder: str | os.PathLike, name: str) -> Params:
  """Reads the converted parameters of one of `PARSERS`.

  Raises:
    UserError: files are missing, or they are another network's.
  """
  params, _ = load_weights(folder)
  expected = jax.eval_shape(PARSERS[name].init, jax.random.key(0))
  remedy = f"they are not those of {name}; correct parsing.network or convert"
  check_shapes(folder, expected, params, f"{remedy} them again")
  return jax.tree.map(jnp.asarray, params)


def object_mask(
  params: Params, image: Float[Array, "h w 3"], rule: MaskRule
) -> Float[Array, "h w"]:
  """The object's share of each pixel, read by a parser.

  The picture is enlarged to the parser's size, each pixel there gets the
  weight of its likeliest class, and their means over our pixels are the mask.

  Args:
    params: of the rule's parser.
    image: in [-1, 1].
    rule: static under jit.
  """
  parser = PARSERS[rule.parser]
  x = resize_bilinear(image, (parser.image_size, parser.image_size))
  if rule.normalize:
    x = (x / 2 + 0.5 - jnp.array(MEAN)) / jnp.array(DEVIATION)
  classes = jnp.argmax(parser.apply(params, x), -1)
  weights = jnp.asarray(rule.weights())[classes]
  return resize_area(weights[..., None], image.shape[:2])[..., 0]
