"""Textured triangle meshes of a depth map, as OBJ + MTL and as GLB.

Mesh axes are x right, y up, z toward the viewer (the camera's y and z turned
round), the rotation centre's depth 1 is at z = 0, and one scene unit is 100
mesh units. Plain numpy; depth in scene units, texture a picture file.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import trimesh
from PIL import Image

SCALE = 100.0


class Mesh(NamedTuple):
  """Vertices with their attributes, and triangles over them.

  Attributes:
    vertices: float `[v, 3]`, mesh axes and units.
    normals: float `[v, 3]`, outward unit normals in mesh axes.
    uv: float `[v, 2]` in [0, 1], origin at the picture's lower left corner.
    faces: int `[f, 3]`, counter-clockwise seen from the viewer.
  """

  vertices: np.ndarray
  normals: np.ndarray
  uv: np.ndarray
  faces: np.ndarray


def depth_mesh(
  points: np.ndarray,
  normal: np.ndarray,
  mask: np.ndarray | None = None,
  torn: np.ndarray | None = None,
) -> Mesh:
  """The mesh of a depth map: four triangles around the centre of every cell.

  The vertices are the `h w` pixels, row by row, followed by the
  `(h-1) (w-1)` cell centres (GAN2Shape `utils.py`, `save_obj`). Texture
  coordinates are those of pixel centres, so that a vertex has exactly its
  pixel's colour.

  Args:
    points: `[h, w, 3]`, the pixels' points in camera axes, scene units.
    normal: `[h, w, 3]`, inward normals in camera axes, about unit length.
    mask: boolean `[h, w]`; a cell is kept when its four corners are true.
      Vertices are all kept, see `drop_unused`.
    torn: boolean `[h, w]`; cells to leave out, by their upper left pixels.
  """
  height, width = points.shape[:2]
  vertices = (points - (0, 0, 1)) * (SCALE, -SCALE, -SCALE)
  outward = _unit(normal * (-1, 1, 1))  # turn y and z round, then outward
  u, v = np.meshgrid(
    (np.arange(width) + 0.5) / width, 1 - (np.arange(height) + 0.5) / height
  )
  centers = _unit(_cell_means(outward))
  index = np.arange(height * width).reshape(height, width)
  corners = (  # counter-clockwise seen from the viewer, from the upper left
    index[:-1, :-1],
    index[1:, :-1],
    index[1:, 1:],
    index[:-1, 1:],
  )
  center = height * width + np.arange((height - 1) * (width - 1))
  center = center.reshape(height - 1, width - 1)
  triangles = [
    np.stack([first, second, center], axis=-1)
    for first, second in zip(corners, corners[1:] + corners[:1], strict=True)
  ]
  faces = np.stack(triangles, axis=2)  # [h-1, w-1, 4, 3]
  keep = np.ones(faces.shape[:2], bool)
  if mask is not None:
    keep = mask[:-1, :-1] & mask[1:, :-1] & mask[1:, 1:] & mask[:-1, 1:]
  if torn is not None:
    keep = keep & ~torn[:-1, :-1]
  return Mesh(
    _with_centers(vertices, _cell_means(vertices)),
    _with_centers(outward, centers),
    _with_centers(np.stack([u, v], -1), _cell_means(np.stack([u, v], -1))),
    faces[keep].reshape(-1, 3),
  )


def drop_unused(mesh: Mesh) -> Mesh:
  """The same faces over only the vertices that they use, order kept."""
  used, faces = np.unique(mesh.faces, return_inverse=True)
  return Mesh(
    mesh.vertices[used],
    mesh.normals[used],
    mesh.uv[used],
    faces.reshape(-1, 3),
  )


def write_obj(path: Path, mesh: Mesh, texture: str) -> None:
  """Writes `path` (.obj) and the material of the same name beside it (.mtl).

  Args:
    path: the .obj file.
    mesh: what to write; numbers are rounded to four decimals.
    texture: the picture's file name, relative to the folder of `path`.
  """
  material = path.with_suffix(".mtl")
  material.write_text(
    "newmtl tex\nKa 1.0 1.0 1.0\nKd 1.0 1.0 1.0\nKs 0.0 0.0 0.0\n"
    f"d 1.0\nillum 0\nmap_Kd {texture}\n"
  )
  faces = np.repeat(mesh.faces + 1, 3, axis=1)  # a/a/a: v, vt and vn agree
  lines = [
    f"mtllib {material.name}",
    "# vertices",
    _rows("v %.4f %.4f %.4f", mesh.vertices),
    "# texture coordinates",
    _rows("vt %.4f %.4f", mesh.uv),
    "# normals",
    _rows("vn %.4f %.4f %.4f", mesh.normals),
    "# faces",
    "usemtl tex",
    _rows("f %d/%d/%d %d/%d/%d %d/%d/%d", faces),
  ]
  path.write_text("\n".join(lines) + "\n")


def write_glb(path: Path, mesh: Mesh, texture: np.ndarray) -> None:
  """Writes one self-contained binary glTF file.

  Args:
    path: the .glb file.
    mesh: what to write; vertices that no face uses are left out.
    texture: uint8 `[h, w, 3]`, embedded as PNG.
  """
  mesh = drop_unused(mesh)
  material = trimesh.visual.material.PBRMaterial(
    baseColorTexture=Image.fromarray(texture),
    metallicFactor=0.0,
    roughnessFactor=1.0,
  )
  solid = trimesh.Trimesh(
    mesh.vertices,
    mesh.faces,
    vertex_normals=mesh.normals,
    visual=trimesh.visual.TextureVisuals(uv=mesh.uv, material=material),
    process=False,  # merging vertices would undo the layout
  )
  solid.export(path, file_type="glb", include_normals=True)


def _cell_means(grid: np.ndarray) -> np.ndarray:
  return (grid[:-1, :-1] + grid[1:, :-1] + grid[:-1, 1:] + grid[1:, 1:]) / 4


def _with_centers(grid: np.ndarray, centers: np.ndarray) -> np.ndarray:
  channels = grid.shape[-1]
  return np.concatenate(
    [grid.reshape(-1, channels), centers.reshape(-1, channels)]
  )


def _unit(vectors: np.ndarray) -> np.ndarray:
  # A cell whose corner normals cancel has no direction; it stays near zero.
  length = np.linalg.norm(vectors, axis=-1, keepdims=True)
  return vectors / np.maximum(length, 1e-12)


def _rows(form: str, values: np.ndarray) -> str:
  return "\n".join(form % tuple(row) for row in values.tolist())
