"""Meshes: layout, orientation, and that other programs read them back."""

import numpy as np
import pytest
import trimesh
from PIL import Image

from gan2shape_jax import meshes

SIZE = 9


def _bump():
  """Points and analytic inward normals of a smooth bump toward the camera."""
  x, y = np.meshgrid(
    np.linspace(-0.08, 0.08, SIZE), np.linspace(-0.08, 0.08, SIZE)
  )
  z = 1.02 - 0.05 * np.exp(-(x**2 + y**2) / 0.003)
  slope = (1.02 - z) * 2 / 0.003  # dz/dx = slope x
  normal = np.stack([-slope * x, -slope * y, np.ones_like(x)], -1)
  normal /= np.linalg.norm(normal, axis=-1, keepdims=True)
  return np.stack([x, y, z], -1), normal


def _mask():
  mask = np.zeros((SIZE, SIZE), bool)
  mask[2:7, 1:7] = True
  return mask


def _face_normals(mesh):
  a, b, c = (mesh.vertices[mesh.faces[:, i]] for i in range(3))
  return np.cross(b - a, c - a)


def test_layout():
  mesh = meshes.depth_mesh(*_bump())
  count = SIZE**2 + (SIZE - 1) ** 2
  assert mesh.vertices.shape == mesh.normals.shape == (count, 3)
  assert mesh.uv.shape == (count, 2)
  assert mesh.faces.shape == (4 * (SIZE - 1) ** 2, 3)
  points, _ = _bump()
  x, y, z = points[3, 5]
  np.testing.assert_allclose(
    mesh.vertices[3 * SIZE + 5], [100 * x, -100 * y, 100 * (1 - z)]
  )
  first_center = mesh.vertices[[0, 1, SIZE, SIZE + 1]].mean(0)
  np.testing.assert_allclose(mesh.vertices[SIZE**2], first_center)
  # A vertex samples the middle of its own pixel; v counts from below.
  np.testing.assert_allclose(
    mesh.uv[3 * SIZE + 5], [5.5 / SIZE, 1 - 3.5 / SIZE]
  )


def test_faces_turn_toward_the_viewer_and_cover_the_grid_once():
  mesh = meshes.depth_mesh(*_bump())
  normals = _face_normals(mesh)
  assert (normals[:, 2] > 0).all()
  # Twice the area of the projection on the picture plane: no gap, no overlap.
  np.testing.assert_allclose(normals[:, 2].sum(), 2 * 16.0**2)


def test_normals_are_outward_unit_and_agree_with_the_faces():
  mesh = meshes.depth_mesh(*_bump())
  np.testing.assert_allclose(np.linalg.norm(mesh.normals, axis=1), 1)
  faces = _face_normals(mesh)
  faces /= np.linalg.norm(faces, axis=1, keepdims=True)
  for corner in range(3):
    assert ((faces * mesh.normals[mesh.faces[:, corner]]).sum(1) > 0.7).all()


def test_torn_cells_have_no_faces():
  torn = np.zeros((SIZE, SIZE), bool)
  torn[2, 3] = torn[-1, -1] = True  # the last is of no cell
  whole, mesh = (meshes.depth_mesh(*_bump(), torn=t) for t in (None, torn))
  assert len(whole.faces) - len(mesh.faces) == 4
  center = SIZE**2 + 2 * (SIZE - 1) + 3
  assert center in whole.faces and center not in mesh.faces
  np.testing.assert_array_equal(mesh.vertices, whole.vertices)


def test_mask_keeps_the_cells_inside_only():
  mesh = meshes.depth_mesh(*_bump(), _mask())
  assert len(mesh.faces) == 4 * 4 * 5
  used = np.unique(mesh.faces)
  pixels = used[used < SIZE**2]
  np.testing.assert_array_equal(pixels, np.flatnonzero(_mask()))
  small = meshes.drop_unused(mesh)
  assert len(small.vertices) == len(used)
  np.testing.assert_array_equal(
    small.vertices[small.faces], mesh.vertices[mesh.faces]
  )
  np.testing.assert_array_equal(small.uv[small.faces], mesh.uv[mesh.faces])


def test_opposed_normals_stay_finite():
  points, normal = _bump()
  normal[0, 0] = normal[0, 1] = (1, 0, 0)
  normal[1, 0] = normal[1, 1] = (-1, 0, 0)
  assert np.isfinite(meshes.depth_mesh(points, normal).normals).all()


@pytest.fixture
def texture():
  rng = np.random.default_rng(0)
  return rng.integers(0, 255, (SIZE, SIZE, 3), dtype=np.uint8)


def test_obj_reads_back_with_its_texture(tmp_path, texture):
  mesh = meshes.depth_mesh(*_bump(), _mask())
  Image.fromarray(texture).save(tmp_path / "canonical.png")
  meshes.write_obj(tmp_path / "mesh.obj", mesh, "canonical.png")
  back = trimesh.load(tmp_path / "mesh.obj", process=False)
  assert len(back.faces) == len(mesh.faces)
  np.testing.assert_allclose(
    back.vertices[back.faces], mesh.vertices[mesh.faces], atol=6e-5
  )
  np.testing.assert_allclose(
    back.visual.uv[back.faces], mesh.uv[mesh.faces], atol=6e-5
  )
  np.testing.assert_array_equal(
    np.asarray(back.visual.material.image.convert("RGB")), texture
  )


def test_obj_text(tmp_path):
  mesh = meshes.depth_mesh(*_bump())
  meshes.write_obj(tmp_path / "mesh.obj", mesh, "canonical.png")
  lines = (tmp_path / "mesh.obj").read_text().splitlines()
  heads = [line.split()[0] for line in lines]
  count = len(mesh.vertices)
  assert heads.count("v") == heads.count("vt") == heads.count("vn") == count
  face = next(line for line in lines if line.startswith("f "))
  assert face == f"f 1/1/1 {SIZE + 1}/{SIZE + 1}/{SIZE + 1} " + "/".join(
    3 * [str(SIZE**2 + 1)]
  )
  assert "mtllib mesh.mtl" in lines and "usemtl tex" in lines
  assert "map_Kd canonical.png" in (tmp_path / "mesh.mtl").read_text()


def test_glb_reads_back_with_colours_where_they_belong(tmp_path, texture):
  mesh = meshes.depth_mesh(*_bump(), _mask())
  meshes.write_glb(tmp_path / "mesh.glb", mesh, texture)
  back = next(iter(trimesh.load(tmp_path / "mesh.glb").geometry.values()))
  np.testing.assert_allclose(
    back.vertices[back.faces], mesh.vertices[mesh.faces], atol=1e-5
  )
  np.testing.assert_allclose(
    back.vertex_normals[back.faces], mesh.normals[mesh.faces], atol=1e-5
  )
  colors = back.visual.to_color().vertex_colors[:, :3]
  pixels = np.count_nonzero(_mask())
  np.testing.assert_array_equal(colors[:pixels], texture[_mask()])
