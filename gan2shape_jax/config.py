"""All defaults in one place: every field with its unit and its origin.

A file in `configs/` calls `default_config()`, changes what differs and returns
the result; the command line overrides single fields. The values here are those
that all of the reference's configurations share (GAN2Shape configs/*.yml), or
its code defaults. The configuration is locked: a mistyped key is an error.
"""

import math
from collections.abc import Iterator
from operator import attrgetter

from ml_collections import ConfigDict

from gan2shape_jax.errors import UserError

MASKS = ("file", "background", "full", "parse")
# Networks that `parsing.py` knows, and how many classes they tell apart.
PARSERS = {"bisenet": 19, "pspnet_voc": 21, "pspnet_ade20k": 150}
PRECISIONS = ("float32", "bfloat16")

# The least that fields may be.
_LEAST = {
  "data.first": 0,
  "data.count": 0,
  "data.crop": 0,
  "camera.tear": 0,
  "loss.perceptual": 0,
  "loss.smooth": 0,
  "loss.offset": 0,
  "loss.view": 0,
  "loss.light": 0,
  "loss.trust": 0,
  "optimizer.weight_decay": 0,
  "networks.width": 0,
  "networks.max_channels": 1,
  "networks.code_size": 1,
  "networks.encoder_width": 1,
  "networks.offset_layers": 0,
  "prior.iterations": 0,
  "inversion.iterations": 0,
  "inversion.iterations_w_plus": 0,
  "refine.iterations": 0,
  "schedule.stages": 1,
  "schedule.batch_size": 1,
  "schedule.pictures": 1,
  "schedule.collect_batches": 1,
  "schedule.keep_best": 0,
  "devices.samples": 1,
  "devices.fits": 1,
  "run.chunk": 1,
  "output.frame_size": 1,
}
# They are more than 0.
_POSITIVE = (
  "camera.fov",
  "prior.learning_rate",
  "inversion.learning_rate",
  "refine.learning_rate",
  "loss.trust_radius",
  "optimizer.learning_rate",
)
# The first is less than the second.
_ORDERED = (
  ("camera.depth_min", "camera.depth_max"),
  ("prior.near", "prior.far"),
  ("data.depth_near", "data.depth_far"),
)
# How many numbers they have.
_LENGTHS = {
  "view.mean": 6,
  "view.std": 6,
  "light.mean": 4,
  "light.x": 2,
  "light.y": 2,
  "light.diffuse": 2,
  "schedule.first_stage": 3,
  "schedule.later_stages": 3,
}


def default_config() -> ConfigDict:
  """Returns the locked default configuration."""
  config = ConfigDict()
  config.seed = 0
  config.image_size = 128  # px, side of everything that is rendered
  # Joint training: shared networks for all pictures, one picture at a time
  # in shuffled epochs. Otherwise every picture gets networks of its own.
  config.joint = False

  # Where the pictures are: a picture, a folder of pictures or a list file
  # (first word of each line, relative to `root`).
  config.data = ConfigDict()
  config.data.pictures = ""
  config.data.root = ""  # "" = the folder of the list
  config.data.first = 0  # index of the first picture of the list to fit
  config.data.count = 0  # how many to fit; 0 = all from `first` on
  # px, centre crop before resizing; 0 = none. The GAN's images are resized to
  # the pictures' size and then cropped alike.
  config.data.crop = 0
  config.data.mask = "file"  # file | background | full | parse
  config.data.latents = ""  # folder of NAME.npy latents; "" = invert
  config.data.ground_truth = False  # depth pictures beside the pictures
  config.data.depth_near = 0.9  # scene units, full scale of depth pictures
  config.data.depth_far = 1.1  # and 0, their background
  # More pictures, with depth, whose shapes joint training predicts after
  # every stage without learning from them; "" = none.
  config.data.heldout = ""

  # Folders of weights, as tools/ write them.
  config.weights = ConfigDict()
  config.weights.gan = ""  # generator and discriminator
  # Jointly trained networks to start from; "" = random ones. A depth network
  # that is not among them is fitted to the prior first.
  config.weights.networks = ""
  # Perceptual distance; "" = the discriminator's features.
  config.weights.lpips = ""
  # Distributions (mean and covariance) in the place of view.mean and view.std,
  # and of light.mean (lights are drawn from the ranges below all the same).
  config.weights.view = ""
  config.weights.light = ""
  config.weights.parsing = ""  # network of data.mask = "parse"

  # Which classes of that network are the object (GAN2Shape model.py:382-413).
  config.parsing = ConfigDict()
  config.parsing.network = "bisenet"  # bisenet | pspnet_voc | pspnet_ade20k
  config.parsing.whole = ()  # classes that are the object
  config.parsing.half = ()  # classes that count half
  config.parsing.normalize = False  # by ImageNet's statistics first

  # In what the frozen networks (GAN, perceptual distance) convolve: bfloat16
  # halves their memory. All that is trained, rendered or compared is float32.
  config.precision = ConfigDict()
  config.precision.frozen = "float32"  # float32 | bfloat16

  # Image formation (section 3.1 of the paper; camera of Unsup3d).
  config.camera = ConfigDict()
  config.camera.fov = 10.0  # degrees
  config.camera.depth_min = 0.9  # scene units
  config.camera.depth_max = 1.1
  config.camera.rotation_center = 1.0  # depth of the centre of rotation
  config.camera.border_depth = 1.04  # depth of the outer columns
  config.camera.border_weight = 1.0  # the reference has 1.02
  # The surface is torn where neighbouring depths differ by more (scene units);
  # 0 never tears it, as in the paper.
  config.camera.tear = 0.0

  # What one unit of the view network's output means, and the distribution
  # of the views of pseudo-samples: N(mean, std) in the same raw units.
  config.view = ConfigDict()
  config.view.max_rotation = 60.0  # degrees: pitch, yaw, roll
  config.view.max_translation = 0.1  # scene units: x, y
  config.view.max_translation_z = 0.0
  config.view.mean = (0.0,) * 6
  config.view.std = (0.1, 0.3, 0.05, 0.0, 0.0, 0.0)
  config.view.scale = 1.0  # extra factor on the yaw deviation

  # Raw light (ambient, diffuse, x, y) around which the light network learns,
  # and the uniform ranges from which pseudo-samples are relit.
  config.light = ConfigDict()
  config.light.mean = (0.0, 0.0, 0.0, 0.0)
  config.light.x = (-1.0, 1.0)
  config.light.y = (-0.2, 0.8)
  config.light.diffuse = (-0.1, 0.6)  # r, added to the diffuse strength
  config.light.alpha = -0.6  # ambient changes by alpha * r

  # The five networks; width 0 is the reference's for the image size.
  config.networks = ConfigDict()
  config.networks.width = 0
  config.networks.max_channels = 512
  config.networks.code_size = 256
  config.networks.encoder_width = 32
  config.networks.relative_encoding = False  # E(x) - E(GAN image)
  # The latent offset enters the mapping network at layer (layers - this);
  # the list of layers starts with the normalisation, so 2 runs three.
  config.networks.offset_layers = 2

  # The ellipsoid that the depth network is first fitted to.
  config.prior = ConfigDict()
  config.prior.near = 0.91
  config.prior.far = 1.02
  config.prior.iterations = 1000
  config.prior.learning_rate = 1e-4
  config.prior.grow_top = 0.0  # edits of the mask's box, as fractions of
  config.prior.grow_bottom = 0.0  # its height (top, bottom) and
  config.prior.shrink_sides = 0.0  # of its width (each side)
  config.prior.bottom_to_border = False

  # Pictures without a latent get one.
  config.inversion = ConfigDict()
  config.inversion.iterations = 400  # one latent for all layers (W)
  config.inversion.iterations_w_plus = 0  # then one latent per layer (W+)
  config.inversion.learning_rate = 0.05
  config.inversion.pixel = 2.0  # weight of the pixel loss
  # Weights of squared distances, in standard deviations of the GAN's latents:
  config.inversion.regular = 0.02  # of the layers' mean from the middle
  config.inversion.apart = 0.2  # of the layers from their mean

  # Search for better projections than the encoder's, for every sample that is
  # collected for step 3; not in the paper.
  config.refine = ConfigDict()
  config.refine.iterations = 0  # 0 = none
  config.refine.learning_rate = 0.15  # of latents in W
  config.refine.offset = 0.1  # weight of their mean squared offset

  config.loss = ConfigDict()
  config.loss.perceptual = 0.5
  config.loss.smooth = 0.01
  config.loss.offset = 0.01  # latent offset regulariser of step 2
  # Squared distance of the view and of the light read off a projected sample
  # from those that it was rendered in, step 3; not in the paper. A deeper shape
  # that turns less, or one that leans and is lit from lower down, looks much
  # the same (the bas-relief ambiguity): these keep to the scale of the prior.
  config.loss.view = 0.0
  config.loss.light = 0.0
  # Keeps step 3 near the shape that its samples are renderings of: depths may
  # move by the radius (scene units) at no cost; not in the paper.
  config.loss.trust = 0.0
  config.loss.trust_radius = 0.005
  config.loss.object_mask = False  # weigh pseudo-samples by the object mask

  config.optimizer = ConfigDict()
  config.optimizer.learning_rate = 1e-4
  config.optimizer.weight_decay = 5e-4  # L2 added to the gradient

  # Stages of (step 1, step 2, step 3) iterations.
  config.schedule = ConfigDict()
  config.schedule.stages = 4
  config.schedule.first_stage = (600, 600, 400)
  config.schedule.later_stages = (200, 500, 300)
  config.schedule.flip_step1 = (False, False, False, False)
  config.schedule.flip_step3 = (True, False, False, False)
  config.schedule.batch_size = 16  # pseudo-samples per iteration
  # Pictures per iteration of joint training, whose gradients are averaged; to
  # use all devices, a multiple of their number.
  config.schedule.pictures = 1
  config.schedule.collect_batches = 100  # of samples per picture, for step 3
  # A fit ends step 3 with the networks after those so many iterations whose
  # mean loss was the lowest; 0: with the last ones, as in the paper. A shape
  # that falls to pieces does not mend again.
  config.schedule.keep_best = 0

  # Devices work on different pictures, or share the samples of one. Neither
  # changes results beyond rounding.
  config.devices = ConfigDict()
  config.devices.samples = 1  # devices that share the samples of a picture
  config.devices.fits = 1  # independent fits at once on each (group of them)

  config.run = ConfigDict()
  config.run.chunk = 50  # iterations between two looks at the metrics
  config.run.checkpoint_seconds = 120.0  # at the next end of a chunk
  config.run.log_images = True  # pictures in TensorBoard at stage ends

  # The pictures and meshes that are written at the end.
  config.output = ConfigDict()
  config.output.export = True  # False: metrics, stages and networks only
  config.output.max_yaw = 70.0  # degrees
  config.output.max_pitch = 20.0
  config.output.frame_size = 256  # px, of rendered meshes
  config.output.mask = False  # leave the background out of the meshes
  return config.lock()


def validate(config: ConfigDict) -> None:
  """Checks values that belong together.

  Raises:
    UserError: with every problem that was found, on one line.
  """
  problems = _number_problems(config)
  size = config.image_size
  if size < 32 or size & (size - 1):
    problems.append(f"image_size={size} must be a power of two, at least 32")
  schedule = config.schedule
  for name in ("flip_step1", "flip_step3"):
    if len(schedule[name]) < schedule.stages:
      problems.append(
        f"schedule.{name} has {len(schedule[name])} values for"
        f" {schedule.stages} stages"
      )
  pairs = zip(schedule.flip_step1, schedule.flip_step3, strict=False)
  if any(flip1 and not flip3 for flip1, flip3 in pairs):
    problems.append("schedule.flip_step1 needs flip_step3 in the same stage")
  if schedule.batch_size % max(config.devices.samples, 1):
    problems.append(
      f"schedule.batch_size={schedule.batch_size} must be a multiple of"
      f" devices.samples={config.devices.samples}"
    )
  problems += _data_problems(config)
  if not config.weights.gan:
    problems.append("weights.gan is empty; name a folder of converted weights")
  precision = config.precision.frozen
  if precision not in PRECISIONS:
    problems.append(
      f"precision.frozen={precision!r} must be one of {', '.join(PRECISIONS)}"
    )
  if problems:
    raise UserError("config: " + "; ".join(problems))


def _number_problems(config: ConfigDict) -> list[str]:
  """What is wrong with numbers, their order, and how many there are of them."""
  problems = [
    f"{name}={value} must be at least {least}"
    for name, least in _LEAST.items()
    if (value := attrgetter(name)(config)) < least
  ]
  problems += [
    f"{name}={value} must be more than 0"
    for name in _POSITIVE
    if (value := attrgetter(name)(config)) <= 0
  ]
  problems += [
    f"{low} must be less than {high}"
    for low, high in _ORDERED
    if attrgetter(low)(config) >= attrgetter(high)(config)
  ]
  problems += [
    f"{name} has {len(value)} values instead of {length}"
    # The command line appends to tuples that it sets.
    + " (those of an option that is given twice are joined)"
    * (len(value) > length)
    for name, length in _LENGTHS.items()
    if len(value := attrgetter(name)(config)) != length
  ]
  problems += [
    f"{name}={value} must be finite"
    for name, value in _numbers(config)
    if not math.isfinite(value)
  ]
  for name in ("first_stage", "later_stages"):
    lengths = config.schedule[name]
    if not all(isinstance(n, int) and n >= 0 for n in lengths):
      problems.append(
        f"schedule.{name}={lengths} must be whole numbers of iterations"
      )
  for name in ("x", "y", "diffuse"):
    if list(config.light[name]) != sorted(config.light[name]):
      problems.append(f"light.{name}={config.light[name]} must ascend")
  if config.camera.fov >= 180:
    problems.append(f"camera.fov={config.camera.fov} must be less than 180")
  if not 0 <= config.seed < 2**32:
    problems.append(f"seed={config.seed} must be from 0 to {2**32 - 1}")
  return problems


def _numbers(tree: ConfigDict, prefix: str = "") -> Iterator[tuple[str, float]]:
  """All numbers with the names of their fields."""
  for name, value in tree.items():
    if isinstance(value, ConfigDict):
      yield from _numbers(value, f"{prefix}{name}.")
    else:
      values = value if isinstance(value, tuple) else (value,)
      yield from ((prefix + name, n) for n in values if isinstance(n, float))


def _data_problems(config: ConfigDict) -> list[str]:
  """What is wrong with the pictures, and with the masks to be found."""
  problems = []
  data, parsing = config.data, config.parsing
  if not data.pictures:
    problems.append("data.pictures is empty; name a picture, folder or list")
  if data.mask not in MASKS:
    problems.append(
      f"data.mask={data.mask!r} must be one of {', '.join(MASKS)}"
    )
  if data.mask == "parse":
    if not config.weights.parsing:
      problems.append("data.mask='parse' needs weights.parsing")
    if not parsing.whole:
      problems.append("parsing.whole is empty; name the object's classes")
    if parsing.network not in PARSERS:
      problems.append(
        f"parsing.network={parsing.network!r} must be one of"
        f" {', '.join(PARSERS)}"
      )
    else:
      count = PARSERS[parsing.network]
      beyond = [c for c in parsing.whole + parsing.half if not 0 <= c < count]
      if beyond:
        problems.append(
          f"parsing: {parsing.network} has no classes {beyond}, only 0 to"
          f" {count - 1}"
        )
  return problems
