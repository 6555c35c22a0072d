"""BiSeNet's file of zllrunning/face-parsing.PyTorch."""

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

# Outputs that only training uses.
_UNUSED = ("conv_out16.", "conv_out32.")


def bisenet_table(*, width: int = 64, classes: int = 19) -> Table:
  """Our paths and the file's tensors; see models/bisenet.py."""

  def unit(path, name, before, after, side):
    """The reference's convolution with norm (and rectifier)."""
    return conv_norm(
      path, f"{name}.conv", f"{name}.bn", (before, after), side=side
    )

  table = conv_norm(
    "stem", "cp.resnet.conv1", "cp.resnet.bn1", (3, width), side=7
  )
  before = width
  for stage in range(4):
    after = width << stage
    for block in range(2):
      table |= residual_block(
        f"stage{stage}_{block}",
        f"cp.resnet.layer{stage + 1}.{block}",
        (before, after, after),
        (3, 3),
      )
      before = after
  middle, wide = 2 * width, 4 * width
  table |= unit("context", "cp.conv_avg", before, middle, 1)
  for side, channels in ((32, before), (16, before // 2)):
    path, name = f"attention_{side}", f"cp.arm{side}"
    table |= unit(f"{path}/conv", f"{name}.conv", channels, middle, 3)
    table |= conv_norm(
      f"{path}/weight",
      f"{name}.conv_atten",
      f"{name}.bn_atten",
      (middle, middle),
    )
    # Named after the map before enlarging it, ours after the one behind.
    table |= unit(f"up_{side // 2}", f"cp.conv_head{side}", middle, middle, 3)
  return (
    table
    | unit("fusion/conv", "ffm.convblk", middle + middle, wide, 1)
    | conv("fusion/squeeze", "ffm.conv1", (wide, width))
    | conv("fusion/weight", "ffm.conv2", (width, wide))
    | unit("head", "conv_out.conv", wide, wide, 3)
    | conv("classes", "conv_out.conv_out", (wide, classes))
  )


def convert_bisenet(arrays: Arrays) -> dict:
  """Our tree (models/bisenet.py) of the file's tensors.

  Raises:
    UserError: a tensor is missing, unexpected, or of another shape.
  """
  arrays = without(without_prefix(arrays, "module."), prefixes=_UNUSED)
  table = bisenet_table(
    width=channels_out(arrays, "cp.resnet.conv1.weight", 64),
    classes=channels_out(arrays, "conv_out.conv_out.weight", 19),
  )
  tree, problems = apply_table(arrays, table)
  check(
    "BiSeNet",
    "use GAN2Shape's checkpoints/parsing/bisenet.pth or face-parsing.PyTorch's"
    " 79999_iter.pth",
    problems,
  )
  return tree
