"""What a run is going to do, from its configuration and its pictures."""

import dataclasses
import math

import jax
from ml_collections import ConfigDict

from gan2shape_jax.inputs import Inputs
from gan2shape_jax.models.networks import Networks, init_networks
from gan2shape_jax.schedule import Phase, make_phases

_FLOAT = 4  # bytes
# Arrays that a program holds for each map of a network: before and after the
# activation, their gradients, and what the convolution needs.
_COPIES = 6
_VGG_MAPS = 270  # floats for each pixel of a picture, in all layers of VGG16


@dataclasses.dataclass(frozen=True)
class Plan:
  """The schedule of a run.

  Attributes:
    phases: of one task.
    tasks: how many fits there are: one for each picture, or one for all.
    summary: of the above, a few words.
  """

  phases: tuple[Phase, ...]
  tasks: int
  summary: str

  @property
  def iterations(self) -> int:
    """Iterations of one task."""
    return sum(phase.iterations for phase in self.phases)

  def describe(self, config: ConfigDict, inputs: Inputs) -> str:
    """All that will be done, as a text of several lines."""
    sources, schedule = inputs.sources, config.schedule
    arch = inputs.gan.arch
    searched = sum(source.latent is None for source in sources)
    samples = schedule.collect_batches * schedule.batch_size
    by_step = {}
    for phase in self.phases:
      by_step[phase.step] = by_step.get(phase.step, 0) + phase.iterations
    fresh = [n for n in Networks._fields if n not in inputs.pretrained]
    share = sum(source.mask.mean() for source in sources) / len(sources)
    return "\n".join(
      [
        self.summary,
        f"  pictures     {config.image_size} px, objects cover {share:.0%} of"
        f" them ({config.data.mask} masks)",
        f"  latents      {len(sources) - searched} given, {searched} to be"
        " searched (or found before)",
        f"  GAN          {arch.image_size} px, {arch.n_latent} layers",
        f"  networks     {', '.join(inputs.pretrained) or 'none'} given,"
        f" {', '.join(fresh) or 'none'} new",
        "  iterations   "
        + ", ".join(f"{step} {count}" for step, count in by_step.items()),
        f"  samples      {schedule.batch_size} at a time, {samples} for each"
        " picture and stage",
        f"  memory       about {estimate_memory(config, inputs) / 2**30:.1f}"
        " GiB",
      ]
    )


def make_plan(config: ConfigDict, inputs: Inputs) -> Plan:
  """Makes the schedule."""
  schedule, count = config.schedule, len(inputs.sources)
  phases = make_phases(
    stages=schedule.stages,
    first_stage=schedule.first_stage,
    later_stages=schedule.later_stages,
    flip_step1=schedule.flip_step1,
    flip_step3=schedule.flip_step3,
    prior_iterations=0
    if "depth" in inputs.pretrained
    else config.prior.iterations,
  )
  iterations = sum(phase.iterations for phase in phases)
  return Plan(
    phases=phases,
    tasks=1 if config.joint else count,
    summary=f"{count} picture(s), {iterations} iterations"
    f" {'in all' if config.joint else 'each'}",
  )


def estimate_memory(config: ConfigDict, inputs: Inputs) -> int:
  """Bytes that the largest program needs, roughly.

  Weights and samples are counted exactly; maps inside networks by the rule
  that a gradient keeps a few arrays for each.
  """
  size, batch = config.image_size, config.schedule.batch_size
  weights = _bytes(inputs.frozen)
  networks = jax.eval_shape(
    lambda key: init_networks(inputs.system.networks, key), jax.random.key(0)
  )
  # Parameters, their gradients, and the two moments of Adam.
  weights += 4 * _bytes(networks)
  pictures = len(inputs.sources) if config.joint else 1
  pool = config.schedule.collect_batches * batch * size**2 * 4 * _FLOAT
  # Stacking the samples of all pictures needs them twice.
  pool *= 2 * pictures
  channels, sides = inputs.gan.arch.channels, inputs.gan.arch.resolutions
  drawing = sum(2 * c * r**2 for c, r in zip(channels, sides, strict=True))
  top = channels[-4:]
  reading = sum(2 * c * (size >> i) ** 2 for i, c in enumerate(reversed(top)))
  project = batch * _FLOAT * _COPIES * (drawing + 2 * reading)
  seen = _VGG_MAPS * size**2 if config.weights.lpips else reading
  flips = 2 if any(config.schedule.flip_step3) else 1
  shape = (batch + 1) * (flips + 1) * _FLOAT * _COPIES * seen
  return weights + pool + max(project, shape)


def _bytes(tree):
  return sum(_FLOAT * math.prod(leaf.shape) for leaf in jax.tree.leaves(tree))
