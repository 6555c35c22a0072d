"""What a run is going to do, and on which devices."""

import dataclasses
import math

import jax
from ml_collections import ConfigDict

from gan2shape_jax.devices import Spread, make_spread
from gan2shape_jax.errors import UserError
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
    spread: of the pictures that are worked on at once.
    pictures: how many there are, those of other processes included.
  """

  phases: tuple[Phase, ...]
  spread: Spread
  pictures: int

  @property
  def iterations(self) -> int:
    """Iterations of one task."""
    return sum(phase.iterations for phase in self.phases)

  @property
  def summary(self) -> str:
    """The run in a few words."""
    spread, used = self.spread, self.spread.mesh.devices
    text = f"{self.pictures} picture(s), {self.iterations} iterations"
    text += " in all" if spread.shared else " each"
    if spread.count > 1:
      text += f", {spread.count} pictures at once"
    return f"{text}, on {used.size} {used.flat[0].device_kind} device(s)"

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
    memory = estimate_memory(config, inputs, self.spread)
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
        f"  memory       about {memory / 2**30:.1f} GiB on a device",
      ]
    )


def make_plan(config: ConfigDict, inputs: Inputs) -> Plan:
  """Makes the schedule."""
  schedule = config.schedule
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
  spread = plan_devices(config, inputs.count)
  return Plan(phases, spread, inputs.count)


def plan_devices(config: ConfigDict, count: int) -> Spread:
  """The spread of `count` pictures, those of other processes included.

  Raises:
    UserError: the devices cannot be divided as the configuration asks for.
  """
  samples, processes = config.devices.samples, jax.process_count()
  if jax.local_device_count() % samples:
    raise UserError(
      f"config: devices.samples={samples} does not divide the"
      f" {jax.local_device_count()} device(s) at hand"
    )
  if not config.joint:
    mine = -(-count // processes)
    each = config.devices.fits
    return make_spread(jax.local_devices(), mine, samples=samples, each=each)
  rows = config.schedule.pictures
  groups = jax.device_count() // samples
  if rows > count or (processes > 1 and rows % groups):
    raise UserError(
      f"config: schedule.pictures={rows} must be at most the {count} pictures"
      + (f" and a multiple of {groups} devices" if processes > 1 else "")
    )
  return make_spread(jax.devices(), rows, samples=samples, shared=True)


def share_of_process(config: ConfigDict, count: int) -> list[int]:
  """Numbers of the pictures that this process works on."""
  if not config.joint:
    return list(range(jax.process_index(), count, jax.process_count()))
  rows = plan_devices(config, count).numbers
  return [n for n in range(count) if n % config.schedule.pictures in rows]


def estimate_memory(config: ConfigDict, inputs: Inputs, spread: Spread) -> int:
  """Bytes that the largest program needs on a device, roughly.

  Weights and samples are counted exactly; maps inside networks by the rule
  that a gradient keeps a few arrays for each.

  Args:
    config: of the run.
    inputs: of the run.
    spread: of the pictures over the devices.
  """
  size, batch = config.image_size, config.schedule.batch_size
  networks = jax.eval_shape(
    lambda key: init_networks(inputs.system.networks, key), jax.random.key(0)
  )
  # Parameters, their gradients, the two moments of Adam, and the best ones.
  trained = (5 if inputs.system.keep_best else 4) * _bytes(networks)
  # In joint training a device has rows of many pictures; see `joint_group`.
  pictures = -(-inputs.count // spread.count) if spread.shared else 1
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
  rows = spread.each * (pool + max(project, shape))
  sets = 1 if spread.shared else spread.each
  return _bytes(inputs.frozen) + sets * trained + rows


def _bytes(tree):
  leaves = jax.tree.leaves(tree)
  return sum(leaf.dtype.itemsize * math.prod(leaf.shape) for leaf in leaves)
