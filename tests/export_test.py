"""Export: every promised file, and numbers that survive the round trip."""

import dataclasses
import re

import jax.numpy as jnp
import numpy as np
import pytest
import trimesh
from PIL import Image

from gan2shape_jax import export
from gan2shape_jax.render.camera import Camera, identity_pose
from gan2shape_jax.render.geometry import normals_from_depth
from gan2shape_jax.render.shading import Light
from gan2shape_jax.types import Reconstruction

SIZE = 16
CAMERA = Camera(SIZE)


def _promised():
  return set(re.findall(r"`(\w+\.\w+)`", export.__doc__.split("\n\n")[1]))


def _reconstruction(mask):
  x, y = np.meshgrid(np.linspace(-1, 1, SIZE), np.linspace(-1, 1, SIZE))
  depth = jnp.asarray(1.02 - 0.09 * np.exp(-3 * (x**2 + y**2)), jnp.float32)
  return Reconstruction(
    depth=depth,
    albedo=jnp.asarray(np.stack([x, y, -x], -1), jnp.float32),
    normal=normals_from_depth(depth, CAMERA),
    light=Light(jnp.float32(0.5), jnp.float32(0.5), jnp.array([0.0, 0.0, 1.0])),
    pose=identity_pose(),
    mask=None if mask is None else jnp.asarray(mask),
  )


def _export(folder, mask=None, camera=CAMERA, **options):
  reconstruction = _reconstruction(mask)
  export.export_picture(
    folder,
    "head",
    np.full((SIZE, SIZE, 3), -0.5),
    reconstruction,
    camera,
    max_yaw=0.8,
    max_pitch=0.3,
    alpha=-0.6,
    size=SIZE,
    **options,
  )
  return reconstruction


def _mask():
  mask = np.zeros((SIZE, SIZE), np.float32)
  mask[3:13, 2:14] = 1
  return mask


@pytest.fixture(scope="module")
def full(tmp_path_factory):
  folder = tmp_path_factory.mktemp("full") / "deep" / "head"
  figures = {"prior": {"SIDE": 0.02, "MAD": 27.0}}
  options = {"project": lambda images: images, "figures": figures}
  return folder, _export(folder, _mask(), **options)


def test_writes_the_table_of_the_docstring(full):
  folder, _ = full
  assert {path.name for path in folder.iterdir()} == _promised()


def test_leaves_out_gan_and_mask_where_there_is_none(tmp_path):
  _export(tmp_path)
  missing = _promised() - {path.name for path in tmp_path.iterdir()}
  assert missing == {"mask.png", "rotated_gan.png", "relit_gan.png"}
  _export(tmp_path)  # writing again is allowed


def test_depth_survives_as_numbers_and_as_a_picture(full):
  folder, reconstruction = full
  np.testing.assert_array_equal(
    np.load(folder / "depth.npy"), reconstruction.depth
  )
  with Image.open(folder / "depth.png") as picture:
    levels = np.asarray(picture).astype(np.float64)
  assert levels.shape == (SIZE, SIZE) and levels.max() > 255
  np.testing.assert_allclose(
    1.1 - 0.2 * levels / 65535, reconstruction.depth, atol=2e-6
  )


def test_meshes_hold_the_object_and_its_texture(full):
  folder, _ = full
  faces = 4 * 9 * 11  # the mask's cells
  glb = next(iter(trimesh.load(folder / "mesh.glb").geometry.values()))
  obj = trimesh.load(folder / "mesh.obj", process=False)
  assert len(glb.faces) == len(obj.faces) == faces
  np.testing.assert_allclose(glb.extents, obj.extents, atol=1e-3)
  with Image.open(folder / "canonical.png") as picture:
    texture = np.asarray(picture)
  assert texture.shape == (128, 128, 3)
  for mesh in (glb, obj):
    material = mesh.visual.material
    image = getattr(material, "baseColorTexture", None) or material.image
    np.testing.assert_array_equal(np.asarray(image.convert("RGB")), texture)


@pytest.mark.parametrize("fault", ["single pixels", "torn everywhere"])
def test_an_object_without_a_face_is_shown_with_all_around_it(tmp_path, fault):
  mask, camera = np.zeros((SIZE, SIZE), np.float32), CAMERA
  if fault == "single pixels":
    mask[4:12:2, 4:12:2] = 1
  else:
    mask[4:12, 2:6] = 1
    camera = dataclasses.replace(CAMERA, tear=1e-6)
  _export(tmp_path, mask, camera)
  glb = next(iter(trimesh.load(tmp_path / "mesh.glb").geometry.values()))
  assert len(glb.faces) == 4 * (SIZE - 1) ** 2


def test_turntable_loops(full):
  folder, _ = full
  with Image.open(folder / "turntable.gif") as gif:
    assert gif.size == (2 * SIZE, SIZE)
    assert gif.n_frames == 40
    assert gif.info["loop"] == 0


def test_pictures_are_at_least_128_pixels_and_grids_hold_all_frames(full):
  folder, _ = full
  with Image.open(folder / "input.png") as picture:
    assert picture.size == (128, 128)
    np.testing.assert_array_equal(np.unique(picture), [64])
  with Image.open(folder / "rotated.png") as grid:
    assert grid.width == 9 * (SIZE + 8) + 8
  with Image.open(folder / "relit.png") as grid:
    assert grid.width == 5 * (SIZE + 8) + 8


def test_depth_colors_span_the_object_near_bright():
  depth = np.array([[0.9, 0.95, 1.0, 5.0]])
  colors = export.depth_colors(depth, np.array([[True, True, True, False]]))
  luminance = colors.astype(float).mean(-1)[0]
  assert luminance[0] > luminance[1] > luminance[2]
  np.testing.assert_array_equal(colors[0, 2], (0, 0, 4))
  np.testing.assert_array_equal(colors[0, 3], 255)
  flat = export.depth_colors(np.ones((2, 2)), np.ones((2, 2), bool))
  assert (flat == flat[0, 0]).all()
