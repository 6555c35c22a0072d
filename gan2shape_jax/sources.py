"""The pictures that a configuration names."""

from ml_collections import ConfigDict

from gan2shape_jax.data import SourcePicture, list_pictures, load_pictures
from gan2shape_jax.errors import UserError
from gan2shape_jax.models.architecture import Architecture


def load_sources(
  config: ConfigDict, arch: Architecture | None = None
) -> list[SourcePicture]:
  """Loads the pictures of a configuration, with all problems in one error.

  Args:
    config: see `config.data`.
    arch: of the GAN whose latents belong to the pictures; None leaves the
      latents out.
  """
  data = config.data
  paths = list_pictures(data.pictures)
  last = data.first + data.count if data.count else None
  if not paths[data.first : last]:
    raise UserError(
      f"{data.pictures}: has {len(paths)} picture(s), none from number"
      f" data.first={data.first} on"
    )
  return _load(config, paths[data.first : last], arch, data.ground_truth)


def load_heldout(config: ConfigDict) -> list[SourcePicture]:
  """Loads the pictures with true depth that training only predicts, if any."""
  if not config.data.heldout:
    return []
  return _load(config, list_pictures(config.data.heldout), None, True)


def _load(config, paths, arch, ground_truth):
  return load_pictures(
    paths,
    image_size=config.image_size,
    n_latent=arch.n_latent if arch else 0,
    latent_size=arch.latent_size if arch else 0,
    crop=config.data.crop or None,
    mask=config.data.mask,
    latents=config.data.latents or None if arch else None,
    ground_truth=ground_truth,
    depth_min=config.camera.depth_min,
    depth_max=config.camera.depth_max,
  )
