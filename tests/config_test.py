import importlib
import pathlib
import re

import pytest

from gan2shape_jax import parsing
from gan2shape_jax.config import PARSERS, default_config, validate
from gan2shape_jax.errors import UserError
from tools import convert_release

CONFIGS = sorted(pathlib.Path("configs").glob("*.py"))


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_configurations_hold_the_default_fields_and_are_locked(path):
  config = importlib.import_module(f"configs.{path.stem}").get_config()
  assert config.is_locked
  assert set(names(config)) == set(names(default_config()))


def names(node, prefix=""):
  for name, value in node.items():
    yield prefix + name
    if hasattr(value, "items"):
      yield from names(value, f"{prefix}{name}.")


def test_every_field_is_read():
  """As `group.field` somewhere: many groups have an `iterations`."""
  paths = set(pathlib.Path("gan2shape_jax").rglob("*.py"))
  paths -= {pathlib.Path("gan2shape_jax/config.py")}
  read = set(
    re.findall(r"(?=\b(\w+\.\w+))", "".join(p.read_text() for p in paths))
  )
  fields = set(names(default_config(), "config."))
  assert not {f for f in fields if ".".join(f.split(".")[-2:]) not in read}


def test_all_problems_are_told_at_once():
  config = default_config()
  config.image_size = 100
  config.schedule.stages = 9
  config.schedule.flip_step1 = (True, False)
  config.schedule.flip_step3 = (False, False)
  config.data.mask = "guess"
  config.precision.frozen = "float16"
  config.loss.trust_radius = 0.0
  config.camera.tear = -0.01
  config.schedule.batch_size = 0
  config.devices.samples = 0
  config.view.std = (0.1, 0.3, 0.05)
  config.seed = -1
  config.schedule.first_stage = (1, 1, 2.5)
  config.schedule.later_stages = (1, 1, -5)
  config.camera.fov = 180.0
  config.prior.near = 2.0
  config.data.depth_near = 1.2
  config.loss.smooth = float("nan")
  config.loss.perceptual = -1.0
  config.optimizer.learning_rate = 0.0
  config.light.y = (0.8, -0.2)
  config.light.mean = (0.0,) * 8
  with pytest.raises(UserError) as error:
    validate(config)
  for part in (
    "image_size=100",
    "flip_step3 has 2 values for 9 stages",
    "flip_step1 needs flip_step3",
    "data.mask='guess'",
    "precision.frozen='float16'",
    "loss.trust_radius=0.0 must be more than 0",
    "camera.tear=-0.01 must be at least 0",
    "schedule.batch_size=0 must be at least 1",
    "devices.samples=0 must be at least 1",
    "view.std has 3 values instead of 6",
    "seed=-1 must be from 0 to 4294967295",
    "schedule.first_stage=(1, 1, 2.5) must be whole numbers",
    "schedule.later_stages=(1, 1, -5) must be whole numbers",
    "camera.fov=180.0 must be less than 180",
    "prior.near must be less than prior.far",
    "data.depth_near must be less than data.depth_far",
    "loss.smooth=nan must be finite",
    "loss.perceptual=-1.0 must be at least 0",
    "optimizer.learning_rate=0.0 must be more than 0",
    "light.y=(0.8, -0.2) must ascend",
    "light.mean has 8 values instead of 4 (those of an option that is given",
    "data.pictures is empty",
    "weights.gan is empty",
  ):
    assert part in str(error.value)


@pytest.mark.parametrize("name", ["demo", "demo_pretrain", "demo_polish"])
def test_demo_is_valid(name):
  validate(importlib.import_module(f"configs.{name}").get_config())


def test_parsers_are_those_of_the_package():
  found = {name: parser.classes for name, parser in parsing.PARSERS.items()}
  assert found == PARSERS


# --- The release: its configs/*.yml. -----------------------------------------

CHECKPOINTS = "checkpoints"
PRETRAIN = ((1500, 1500, 1500), (700, 1000, 1000))
F, T = False, True
A = ((-1.0, 1.0), (-0.2, 0.8), (-0.1, 0.6), -0.6)
B = ((-0.9, 0.9), (-0.3, 0.8), (-0.1, 0.7), -0.4)
FACE = {i: 1 for i in range(1, 14)} | {i: 0.5 for i in (14, 15, 17, 18)}
COLUMNS = [
  "joint",
  "object_mask",
  "export",
  "stages",
  "flip1",
  "flip3",
  "lengths",
  "image_size",
  "crop",
  "truth",
  "pictures",
  "root",
  "latents",
  "relative",
  "view_scale",
  "collect",
  "batch",
  "networks",
  "mvn",
  "light",
  "gan",
  "offset_layers",
  "prior",
  "rule",
  "max_yaw",
]
_FACES = (128, 0, F)
_CATS = (128, 170, F)
_HEADS = (64, 170, T)
_CAR_STAGES = (4, "FFFF", "FFFF", ((700, 700, 600), (200, 500, 400)))
_ONE = (4, "FFFF", "TFFF", ((600, 600, 400), (200, 500, 300)))
_CAT = (2, {}, ("pspnet_voc", {8: 1}, T), 70)
_FACE = (
  2,
  {"bottom_to_border": True, "shrink_sides": 1 / 12},
  ("bisenet", FACE, F),
  70,
)
_HEAD = (
  8,
  {"grow_top": 1 / 6},
  ("bisenet", {i: 1 for i in range(1, 15)}, F),
  70,
)
# fmt: off
RELEASE = {
  "cat": (F, F, T, *_ONE, *_CATS, "cat/list_200-215.txt", "cat",
    "cat/latents", T, 1.2, 100, 16, "cat", "cat_", A, "catface-config-e",
    *_CAT),
  "cat_pretrain": (T, F, F, 4, "FTTT", "TTTT", PRETRAIN, *_CATS,
    "cat/list_0-199.txt", "cat", "cat/latents", T, 1.2, 800 / 200, 8, "",
    "cat_", A, "catface-config-e", *_CAT),
  "celeba": (F, F, T, *_ONE, *_FACES, "celeba/list_200-399.txt", "celeba",
    "celeba/latents", T, 1.2, 100, 16, "celeba", "celeba_", A,
    "celeba-config-e", *_FACE),
  "celeba_pretrain": (T, F, F, 4, "FTTT", "TTTT", PRETRAIN, *_FACES,
    "celeba/list_0-199.txt", "celeba", "celeba/latents", T, 1.2, 800 / 200, 8,
    "", "celeba_", A, "celeba-config-e", *_FACE),
  "synface": (F, F, F, 1, "F", "T", ((500, 500, 200), None), *_HEADS,
    "synface/test/list.txt", "synface/test/image", "synface/test/latents", T,
    1.2, 100, 16, "synface", "synface_", B, "synface-config-e", *_HEAD),
  "synface_pretrain": (T, F, F, 8, "FTTTTTTT", "TTTTTTTT", PRETRAIN, *_HEADS,
    "synface/train/list_200.txt", "synface/train/image",
    "synface/train/latents", T, 1.2, 1000 / 200, 12, "", "synface_", B,
    "synface-config-e", *_HEAD),
  "car": (F, T, T, *_CAR_STAGES, *_FACES, "car/list.txt", "car", "car/latents",
    F, 1.0, 100, 8, "", "", A, "car-config-f", 2, {"grow_bottom": 1 / 6},
    ("pspnet_voc", {7: 1}, T), 45),
  "church": (F, T, T, *_CAR_STAGES, *_FACES, "church/list.txt", "church",
    "church/latents", F, 1.0, 100, 8, "", "", A, "church-config-f", 2,
    {"grow_bottom": 1 / 6, "far": 1.0}, ("pspnet_ade20k", {1: 1}, F), 45),
  "horse": (F, T, T, *_CAR_STAGES, *_FACES, "horse/list.txt", "horse",
    "horse/latents", F, 1.0, 100, 8, "", "", A, "horse-config-f", 2, {},
    ("pspnet_voc", {13: 1}, F), 45),
}
# fmt: on


@pytest.mark.parametrize("name", RELEASE)
def test_values_of_the_release(name):
  config = importlib.import_module(f"configs.{name}").get_config()
  validate(config)
  row = dict(zip(COLUMNS, RELEASE[name], strict=True))
  data, schedule, weights = config.data, config.schedule, config.weights
  flips = (schedule.flip_step1, schedule.flip_step3)
  parser, classes, normalize = row["rule"]
  prior = dict.fromkeys(("grow_top", "grow_bottom", "shrink_sides"), 0.0)
  prior |= {"bottom_to_border": False, "near": 0.91, "far": 1.02}
  prior |= {"iterations": 1000, "learning_rate": 1e-4} | row["prior"]
  later = row["lengths"][1] or schedule.later_stages
  network = row["networks"] and f"gan2shape/{row['networks']}_pretrain"
  net = config.parsing
  for value, expected in (
    (config.joint, row["joint"]),
    (config.loss.object_mask, row["object_mask"]),
    (config.output.mask, row["object_mask"]),
    (config.output.export, row["export"]),
    (schedule.stages, row["stages"]),
    (
      ["".join("FT"[f] for f in x) for x in flips],
      [row["flip1"], row["flip3"]],
    ),
    ((schedule.first_stage, schedule.later_stages), (row["lengths"][0], later)),
    (config.image_size, row["image_size"]),
    ((data.crop, data.ground_truth), (row["crop"], row["truth"])),
    ((data.first, data.count, data.mask), (0, 0, "parse")),
    (data.pictures, f"data/{row['pictures']}"),
    (data.root, f"data/{row['root']}"),
    (data.latents, f"data/{row['latents']}"),
    (config.networks.relative_encoding, row["relative"]),
    (config.networks.offset_layers, row["offset_layers"]),
    (config.view.scale, row["view_scale"]),
    (schedule.collect_batches, row["collect"]),
    (schedule.batch_size, row["batch"]),
    (schedule.pictures, 8 if row["joint"] else 1),
    (weights.networks, network and f"{CHECKPOINTS}/{network}"),
    (weights.view, f"{CHECKPOINTS}/view_light/{row['mvn']}view_mvn"),
    (weights.light, f"{CHECKPOINTS}/view_light/{row['mvn']}light_mvn"),
    (weights.gan, f"{CHECKPOINTS}/stylegan2/stylegan2-{row['gan']}"),
    (weights.lpips, f"{CHECKPOINTS}/lpips/vgg16"),
    (weights.parsing, f"{CHECKPOINTS}/parsing/{parser}"),
    ((net.network, net.normalize), (parser, normalize)),
    (dict.fromkeys(net.whole, 1) | dict.fromkeys(net.half, 0.5), classes),
    (
      (*(config.light[n] for n in ("x", "y", "diffuse")), config.light.alpha),
      row["light"],
    ),
    (config.prior.to_dict(), prior),
    (config.output.max_yaw, row["max_yaw"]),
    # The same in all.
    (
      (config.optimizer.learning_rate, config.optimizer.weight_decay),
      (1e-4, 5e-4),
    ),
    ((config.loss.perceptual, config.loss.smooth), (0.5, 0.01)),
    (config.loss.offset, 0.01),
    ((config.camera.depth_min, config.camera.depth_max), (0.9, 1.1)),
    ((config.camera.fov, config.camera.rotation_center), (10, 1)),
    ((config.view.max_rotation, config.view.max_translation), (60, 0.1)),
    (config.view.max_translation_z, 0),
    (config.camera.border_depth, 1.04),
  ):
    assert value == expected


@pytest.mark.parametrize("name", RELEASE)
def test_weights_are_where_their_conversion_puts_them(name):
  config = importlib.import_module(f"configs.{name}").get_config()
  folders = {folder for folder in config.weights.values() if folder}
  folders.add(config.data.latents)
  own = {
    "data/horse/latents",
    f"{CHECKPOINTS}/stylegan2/stylegan2-horse-config-f",
  }
  assert folders - set(convert_release.EXPECTED) == (
    own if name == "horse" else set()
  )
