"""The pictures that a configuration names."""

from collections.abc import Callable, Iterable
from typing import NamedTuple

from ml_collections import ConfigDict

from gan2shape_jax.data import (
  SourcePicture,
  list_pictures,
  load_picture,
  load_pictures,
)
from gan2shape_jax.errors import UserError
from gan2shape_jax.models.architecture import Architecture


class Sources(NamedTuple):
  """Pictures, and those that cannot be used.

  Attributes:
    pictures: in the order of the list.
    failed: what is wrong with the others, by name.
    count: how many the list has, those of other processes included.
  """

  pictures: list[SourcePicture]
  failed: dict[str, str]
  count: int


def load_sources(
  config: ConfigDict,
  arch: Architecture | None = None,
  *,
  share: Callable[[int], Iterable[int]] = range,
) -> Sources:
  """Loads the pictures of a configuration.

  Args:
    config: see `config.data`.
    arch: of the GAN whose latents belong to the pictures; None leaves the
      latents out.
    share: of how many pictures there are, the numbers of those to load.

  Raises:
    UserError: the list is at fault, or chooses nothing.
  """
  data = config.data
  paths = list_pictures(data.pictures, root=data.root or None)
  last = data.first + data.count if data.count else None
  if not paths[data.first : last]:
    raise UserError(
      f"{data.pictures}: has {len(paths)} picture(s), none from number"
      f" data.first={data.first} on"
    )
  paths = paths[data.first : last]
  # Masks to be parsed come later, see object_masks.py.
  mask = "full" if data.mask == "parse" else data.mask
  options = _options(config, arch, data.ground_truth, mask)
  pictures, failed = [], {}
  for number in share(len(paths)):
    path = paths[number]
    try:
      pictures.append(load_picture(path, number=number, **options))
    except UserError as error:
      failed[path.stem] = str(error)
  return Sources(pictures, failed, len(paths))


def load_heldout(config: ConfigDict) -> list[SourcePicture]:
  """Loads the pictures with true depth that training only predicts, if any.

  Nobody looks at their masks: errors are measured where there is true depth.

  Raises:
    UserError: all that is wrong with them.
  """
  if not config.data.heldout:
    return []
  paths = list_pictures(config.data.heldout)
  return load_pictures(paths, **_options(config, None, True, "full"))


def sizes_to_crop(
  config: ConfigDict, sources: list[SourcePicture]
) -> dict[int, str]:
  """A file of each width in px; none where nothing is cropped."""
  cropped = sources if config.data.crop else []
  return {source.source_size: str(source.path) for source in cropped}


def common_size(config: ConfigDict, examples: dict[int, str]) -> int | None:
  """The one width of pictures to be cropped, px; None if it does not matter.

  One program crops the GAN's images for all of them.

  Args:
    config: of the run.
    examples: as from `sizes_to_crop`.

  Raises:
    UserError: there are several widths.
  """
  if len(examples) > 1:
    named = ", ".join(f"{path}: {size} px" for size, path in examples.items())
    raise UserError(
      f"{config.data.pictures}: pictures to be cropped must have one width"
      f" ({named}); resize them, or crop them yourself and set data.crop=0"
    )
  return next(iter(examples), None)


def _options(config, arch, ground_truth, mask):
  return dict(
    image_size=config.image_size,
    n_latent=arch.n_latent if arch else 0,
    latent_size=arch.latent_size if arch else 0,
    crop=config.data.crop or None,
    mask=mask,
    latents=config.data.latents or None if arch else None,
    ground_truth=ground_truth,
    depth_min=config.data.depth_near,
    depth_max=config.data.depth_far,
  )
