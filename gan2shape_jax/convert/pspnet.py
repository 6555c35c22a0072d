"""PSPNet-50's files of hszhao/semseg (`state_dict` of a checkpoint)."""

from gan2shape_jax.convert.tables import (
  Arrays,
  apply_table,
  check,
  without_prefix,
)
from gan2shape_jax.convert.torch_layers import (
  Table,
  channels_out,
  conv,
  conv_norm,
  residual_block,
  without,
)

_BLOCKS = (3, 4, 6, 3)
_PYRAMID = (1, 2, 3, 6)
_UNUSED = ("aux.",)  # An output that only training uses.


def pspnet_table(*, classes: int, width: int = 64) -> Table:
  """Our paths and the file's tensors; see models/pspnet.py."""
  table, before = {}, 3
  for number, after in enumerate((width, width, 2 * width)):
    # Each is a convolution, a norm and a rectifier of one sequence.
    table |= conv_norm(
      f"stem_{number}",
      f"layer0.{3 * number}",
      f"layer0.{3 * number + 1}",
      (before, after),
      side=3,
    )
    before = after
  for stage, blocks in enumerate(_BLOCKS):
    middle = width << stage
    for block in range(blocks):
      after = 4 * middle
      table |= residual_block(
        f"stage{stage}_{block}",
        f"layer{stage + 1}.{block}",
        (before, middle, middle, after),
        (1, 3, 1),
      )
      before = after
  after = before // len(_PYRAMID)
  for number, count in enumerate(_PYRAMID):
    name = f"ppm.features.{number}"
    table |= conv_norm(
      f"pool_{count}", f"{name}.1", f"{name}.2", (before, after)
    )
  return (
    table
    | conv_norm("head", "cls.0", "cls.1", (2 * before, after), side=3)
    | conv("classes", "cls.4", (after, classes), bias=True)
  )


def convert_pspnet(arrays: Arrays) -> dict:
  """Our tree (models/pspnet.py) of the file's tensors.

  The number of classes is that of the file.

  Raises:
    UserError: a tensor is missing, unexpected, or of another shape.
  """
  arrays = without(without_prefix(arrays, "module."), prefixes=_UNUSED)
  table = pspnet_table(
    width=channels_out(arrays, "layer0.0.weight", 64),
    classes=channels_out(arrays, "cls.4.weight", 21),
  )
  tree, problems = apply_table(arrays, table)
  check(
    "PSPNet",
    "use GAN2Shape's checkpoints/parsing/pspnet_voc.pth or pspnet_ade20k.pth,"
    " or semseg's PSPNet-50",
    problems,
  )
  return tree
