"""The program tools/convert_release.py on a small release of random weights."""

import shutil

import numpy as np
import pytest
from foreign_files import legacy_file, os_system, zip_file
from foreign_gans import rosinality_checkpoint
from golden import cases

from gan2shape_jax.convert.bisenet import bisenet_table
from gan2shape_jax.convert.checkpoint_files import read_checkpoint
from gan2shape_jax.convert.distributions import convert_distribution
from gan2shape_jax.convert.latents import convert_latents
from gan2shape_jax.convert.lpips import linear_table, vgg_table
from gan2shape_jax.convert.networks import NAMES, Sizes, network_table
from gan2shape_jax.convert.pspnet import pspnet_table
from gan2shape_jax.data import load_latent
from gan2shape_jax.errors import UserError
from gan2shape_jax.gan.bundle import load_gan
from gan2shape_jax.models.networks import build_networks
from gan2shape_jax.pretrained import load_networks
from gan2shape_jax.weights import load_weights
from tools import convert_release

SIZES = Sizes(32, 6, 4, 8, 4, 4)


def random_state(table, prefix=""):
  shapes = {entry.name: entry.shape for entry in table.values()}
  state = cases.state(shapes, "release")
  return {f"{prefix}{name}": np.abs(a) for name, a in state.items()}


def gaussian(size):
  cov = np.diag(np.arange(1, size + 1)).astype(np.float32)
  return {"mean": np.arange(size, dtype=np.float32), "cov": cov}


@pytest.fixture(scope="module")
def release(tmp_path_factory):
  root = tmp_path_factory.mktemp("release")

  def write(name, data):
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)

  checkpoints = root / "checkpoints"
  write(
    "checkpoints/stylegan2/stylegan2-celeba-config-e.pt",
    legacy_file(rosinality_checkpoint((4, 4), latent=6, layers=2)),
  )
  networks = {
    name: cases.state(
      {e.name: e.shape for e in network_table(ours, SIZES).values()}, name
    )
    for name, ours in NAMES.items()
  }
  write(
    "checkpoints/gan2shape/celeba_pretrain.pth",
    legacy_file(networks | {"iteration": 3}),
  )
  for what, size in (("view", 6), ("light", 4)):
    write(
      f"checkpoints/view_light/celeba_{what}_mvn.pth",
      legacy_file(gaussian(size)),
    )
  bisenet = random_state(bisenet_table(width=4, classes=5))
  bisenet["cp.resnet.bn1.num_batches_tracked"] = np.array(3)
  write("checkpoints/parsing/bisenet.pth", legacy_file(bisenet))
  pspnet = random_state(pspnet_table(width=4, classes=7), "module.")
  pspnet["module.aux.4.bias"] = np.zeros(7, np.float32)
  write(
    "checkpoints/parsing/pspnet_voc.pth",
    zip_file({"epoch": 3, "state_dict": pspnet}),
  )
  vgg = random_state(vgg_table(width=4))
  write("cache/vgg16-397923af.pth", legacy_file(vgg))
  write(
    "lpips/weights/v0.1/vgg.pth", zip_file(random_state(linear_table(width=4)))
  )
  for index in range(3):
    latent = np.full(6, index, np.float32)
    write(f"data/celeba/latents/{index:06d}.pt", legacy_file(latent))
  assert checkpoints.exists()
  return root


def convert(root, output):
  return convert_release.main([f"--root={root}", f"--output={output}"])


@pytest.fixture(scope="module")
def converted(release, tmp_path_factory):
  output = tmp_path_factory.mktemp("converted")
  assert convert(release, output) == 0
  return output


def test_gan(converted):
  folder = converted / "checkpoints/stylegan2/stylegan2-celeba-config-e"
  assert load_gan(folder).arch.channels == (4, 4)


def test_networks_load_as_jointly_trained_ones_do(converted):
  folder = converted / "checkpoints/gan2shape/celeba_pretrain"
  params = load_networks(folder, build_networks(**SIZES._asdict()), {})
  assert set(params) == set(NAMES.values())
  _, metadata = load_weights(folder)
  assert metadata["networks"] == SIZES._asdict()
  assert metadata["provenance"]["source"] == "celeba_pretrain.pth"


@pytest.mark.parametrize("what, size", [("view", 6), ("light", 4)])
def test_distributions(converted, what, size):
  folder = converted / f"checkpoints/view_light/celeba_{what}_mvn"
  tree, _ = load_weights(folder)
  assert tree.keys() == {"mean", "cov"}
  for name, value in gaussian(size).items():
    np.testing.assert_array_equal(tree[name], value)


def test_parsers_and_lpips(converted):
  for name, classes in (("bisenet", 5), ("pspnet_voc", 7)):
    tree, metadata = load_weights(converted / "checkpoints/parsing" / name)
    assert tree["classes"]["kernel"].shape[-1] == classes
    assert metadata["classes"] == classes
  tree, metadata = load_weights(converted / convert_release.LPIPS)
  assert tree["conv5_3"]["kernel"].shape == (3, 3, 32, 32)
  assert [p["source"] for p in metadata["provenance"]] == [
    "vgg16-397923af.pth",
    "vgg.pth",
  ]


def test_latents_load_as_the_data_path_does(converted):
  folder = converted / "data/celeba/latents"
  latent = load_latent(folder, "000002", n_latent=4, latent_size=6)
  np.testing.assert_array_equal(latent, np.full((4, 6), 2))


def test_what_is_missing_is_named(release, tmp_path, capsys):
  assert convert(release, tmp_path) == 0
  said = capsys.readouterr().out
  found, missing = said.split("Not found")
  assert "celeba-config-e.pt: GAN of 8 px" in found
  assert "data/celeba/latents: 3 latents of shape (6,)" in found
  for name in ("stylegan2-car-config-f", "pspnet_ade20k", "data/cat/latents"):
    assert name in missing
  assert "celeba" not in missing


def test_the_others_are_converted_when_some_fail(release, tmp_path, capsys):
  root, output = tmp_path / "root", tmp_path / "output"
  shutil.copytree(release, root)
  evil = {"mean": os_system(f"touch {tmp_path}/executed")}
  bad = root / "checkpoints/view_light/celeba_view_mvn.pth"
  bad.write_bytes(legacy_file(evil))
  psp = root / "checkpoints/parsing/pspnet_voc.pth"
  psp.write_bytes(psp.read_bytes()[:-100])
  (root / "data/celeba/latents/000001.pt").write_bytes(b"nothing")
  assert convert(root, output) == 2
  errors = capsys.readouterr().err
  assert "3 of 8 could not be converted" in errors
  for name in (
    "celeba_view_mvn.pth",
    "pspnet_voc.pth",
    "000001.pt",
    "os.system",
  ):
    assert name in errors
  assert not (tmp_path / "executed").exists()
  assert not (output / "checkpoints/view_light/celeba_view_mvn").exists()
  assert (output / "checkpoints/view_light/celeba_light_mvn").exists()
  assert (output / "data/celeba/latents/000002.npy").exists()


def test_a_release_can_be_converted_in_place(release, tmp_path):
  root = tmp_path / "root"
  shutil.copytree(release, root)
  assert convert_release.main([f"--root={root}"]) == 0
  assert (root / "checkpoints/parsing/bisenet.pth").exists()
  assert (root / "checkpoints/parsing/bisenet/metadata.json").exists()


def test_nothing_to_convert(tmp_path, capsys):
  assert convert(tmp_path, tmp_path / "out") == 2
  assert "no file of the release" in capsys.readouterr().err


# --- Shapes of latents and of distributions. ----------------------------------


def read(tmp_path, content, name="000007.pt"):
  path = tmp_path / name
  path.write_bytes(zip_file(content))
  return read_checkpoint(path)


@pytest.mark.parametrize(
  "shape, expected",
  [((6,), (6,)), ((1, 6), (6,)), ((4, 6), (4, 6)), ((1, 4, 6), (4, 6))],
)
@pytest.mark.parametrize("wrapped", [False, True])
def test_shapes_of_latents(tmp_path, shape, expected, wrapped):
  array = np.random.default_rng(0).normal(size=shape)
  content = {"latent": array, "noise": [1]} if wrapped else array
  latents = convert_latents(read(tmp_path, content))
  assert list(latents) == ["000007"]
  assert latents["000007"].shape == expected
  assert latents["000007"].dtype == np.float32
  np.testing.assert_allclose(latents["000007"].ravel(), array.ravel(), 1e-6)


def test_files_of_the_projector(tmp_path):
  """A dictionary of picture names; noise and picture are left out."""
  array = np.ones((4, 6), np.float32)
  entry = {"img": np.zeros((3, 8, 8)), "latent": array, "noise": [array]}
  latents = convert_latents(read(tmp_path, {"a/x.png": entry, "y.jpg": entry}))
  assert list(latents) == ["x", "y"]
  np.testing.assert_array_equal(latents["x"], array)


def test_latents_of_one_name_do_not_replace_each_other(tmp_path):
  entry = {"latent": np.ones(6, np.float32)}
  content = {"a/x.png": entry, "b/x.png": entry}
  with pytest.raises(UserError, match="two pictures called x"):
    convert_latents(read(tmp_path, content))
  folder = tmp_path / "latents"
  folder.mkdir()
  (folder / "1.pt").write_bytes(zip_file({"x.png": entry}))
  (folder / "x.pt").write_bytes(zip_file(entry))
  with pytest.raises(UserError, match=r"x\.pt: has a latent of x, .*1\.pt"):
    convert_release.write_latents(folder, tmp_path / "converted")


def test_names_of_latents_may_have_dots(tmp_path):
  for name in ("cat.0", "cat.1"):
    (tmp_path / f"{name}.pt").write_bytes(zip_file(np.ones(6, np.float32)))
  target = tmp_path / "converted"
  convert_release.write_latents(tmp_path, target)
  assert sorted(p.stem for p in target.iterdir()) == ["cat.0", "cat.1"]


@pytest.mark.parametrize(
  "content, message",
  [
    (np.zeros((2, 3, 4)), "shape"),
    (np.full(6, np.nan), "not finite"),
    ({"w": {"other": 1}}, "no latent"),
    ([1, 2], "no latent"),
  ],
)
def test_what_is_no_latent(tmp_path, content, message):
  with pytest.raises(UserError, match=rf"000007\.pt.*{message}"):
    convert_latents(read(tmp_path, content))


def test_distributions_of_other_shapes_and_types(tmp_path):
  expected = gaussian(6)
  content = {
    "mean": expected["mean"][None].astype(np.float64),
    "cov": expected["cov"][None],
  }
  found = convert_distribution(read(tmp_path, content))
  for name, value in expected.items():
    np.testing.assert_array_equal(found[name], value)
    assert found[name].dtype == np.float32


@pytest.mark.parametrize(
  "change, message",
  [
    ({"cov": -np.eye(6)}, "no covariance"),
    ({"cov": np.triu(np.ones((6, 6)))}, "no covariance"),
    ({"cov": np.full((6, 6), np.nan)}, "no covariance"),
    ({"mean": np.zeros(5)}, "no distribution"),
    ({"std": np.zeros(6)}, "instead of"),
  ],
)
def test_what_is_no_distribution(tmp_path, change, message):
  with pytest.raises(UserError, match=message):
    convert_distribution(read(tmp_path, gaussian(6) | change))
