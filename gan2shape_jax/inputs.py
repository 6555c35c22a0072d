"""Everything that a run reads from files, checked before any long work."""

import dataclasses
import functools
import pathlib
from collections.abc import Callable, Iterable
from typing import Any

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict, FrozenConfigDict

from gan2shape_jax.config import validate
from gan2shape_jax.data import SourcePicture
from gan2shape_jax.distributions import load_distribution
from gan2shape_jax.errors import UserError
from gan2shape_jax.gan.bundle import Gan, load_gan
from gan2shape_jax.models.frozen import cast_kernels
from gan2shape_jax.models.lpips import init_lpips
from gan2shape_jax.object_masks import with_masks
from gan2shape_jax.pretrained import load_networks
from gan2shape_jax.sources import (
  Sources,
  common_size,
  load_heldout,
  load_sources,
  sizes_to_crop,
)
from gan2shape_jax.system import System, make_system
from gan2shape_jax.weights import check_shapes, load_weights
from gan2shape_jax.workdir import check_workdir

Params = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Inputs:
  """What a run starts from.

  Attributes that need a word:
    frozen: the weights that nobody trains, see `system.py`.
    pretrained: the networks to start from, by name; the others start afresh.
    sources: the pictures of this process, with their masks.
    failed: what is wrong with pictures that were left out, by name.
    count: pictures of all processes, those left out included.
    heldout: pictures with true depth that joint training only predicts.
  """

  gan: Gan
  system: System
  frozen: Params
  pretrained: Params
  sources: list[SourcePicture]
  failed: dict[str, str]
  count: int
  heldout: list[SourcePicture]


def load_inputs(
  config: ConfigDict,
  workdir: pathlib.Path,
  *,
  leave_out: bool = False,
  share: Callable[[int], Iterable[int]] = range,
) -> Inputs:
  """Loads and checks everything; goes on after a problem to find the others.

  Args:
    config: of the run.
    workdir: its folder, where masks that are found are kept; nothing else is
      written.
    leave_out: whether to do without pictures that cannot be used, if there are
      others; otherwise they are problems like all others.
    share: of how many pictures there are, the numbers of those of this process.

  Raises:
    UserError: every problem, on a line of its own if there are several.
  """
  weights, problems = config.weights, []

  def attempt(function: Callable[..., Any], *args: Any) -> Any:
    try:
      return function(*args)
    except UserError as error:
      problems.append(str(error))
      return None

  attempt(validate, config)
  attempt(check_workdir, workdir, config)
  sound = not problems
  gan = attempt(load_gan, weights.gan) if weights.gan else None
  arch, frozen = (gan.arch, gan.weights()) if gan else (None, {})
  if weights.lpips:
    frozen["lpips"] = attempt(load_lpips, weights.lpips)
  for folder, size in ((weights.view, 6), (weights.light, 4)):
    if folder:
      attempt(load_distribution, folder, size)
  sources, heldout, size = Sources([], {}, 0), [], None
  if config.image_size > 0 and config.data.pictures:
    load = functools.partial(load_sources, share=share)
    sources = attempt(load, config, arch) or sources
    examples = sizes_to_crop(config, sources.pictures)
    size = attempt(common_size, config, examples)
    heldout = attempt(load_heldout, config)
  pictures, failed, count = sources
  if sound:
    masked = attempt(with_masks, config, workdir / "masks", pictures)
    pictures, empty = masked or ([], {})
    failed |= empty
  if not leave_out or (not pictures and jax.process_count() == 1):
    problems += failed.values()
  system, pretrained = None, {}
  if sound and gan:
    make = functools.partial(make_system, source_size=size)
    system = attempt(make, FrozenConfigDict(config), arch)
  if weights.networks and system:
    pretrained = attempt(
      load_networks, weights.networks, system.networks, system.units
    )
  elif weights.networks:
    attempt(load_weights, weights.networks)
  if problems:
    raise UserError(_joined(list(dict.fromkeys(problems))))
  return Inputs(
    gan=gan,
    system=system,
    # Programs that take them compute accordingly.
    frozen=cast_kernels(frozen, config.precision.frozen),
    pretrained=pretrained,
    sources=pictures,
    failed=failed,
    count=count,
    heldout=heldout,
  )


def load_lpips(folder: str) -> Params:
  """Reads the perceptual distance's weights.

  Raises:
    UserError: files are missing, or hold something else.
  """
  params, _ = load_weights(folder)
  width = params.get("conv1_1", {}).get("bias", jnp.zeros(64)).size
  expected = jax.eval_shape(
    lambda key: init_lpips(key, width=width), jax.random.key(0)
  )
  remedy = "these are not LPIPS's; convert them again"
  check_shapes(folder, expected, params, remedy)
  return jax.tree.map(jnp.asarray, params)


def _joined(problems):
  if len(problems) == 1:
    return problems[0]
  lines = "".join(f"\n  - {problem}" for problem in problems)
  return f"{len(problems)} problems:{lines}"
