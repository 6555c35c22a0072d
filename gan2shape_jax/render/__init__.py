"""Differentiable rendering of one depth map; knows nothing of training.

Every function is written for one example; the caller vmaps. Letters in array
annotations, capitals where the output's size may differ from the input's:

  h, w  rows and columns of a picture, w = h for a camera
  c     channels
  n     any number of points
  b     leading axes that the caller has added

Frame: camera axes x right, y down, z forward. A pixel is (u, v) = (column,
row), with its centre at integers. Depth is in scene units (about 0.9 to 1.1),
angles in radians, pictures in [-1, 1], grids (x, y) in [-1, 1] with the ends at
pixel centres. Normals and light point inward, along the view: a plane that
faces the camera has normal (0, 0, 1).
"""

from gan2shape_jax.render.camera import (
  Camera,
  Pose,
  compose_poses,
  identity_pose,
  inverse_transform_points,
  invert_pose,
  pixel_rays,
  pose_from_angles,
  project_to_grid,
  rotation_matrix,
  transform_points,
)
from gan2shape_jax.render.compose import (
  Rendering,
  forward_grid,
  inverse_grid,
  render_view,
  view_grid,
)
from gan2shape_jax.render.geometry import depth_to_points, normals_from_depth
from gan2shape_jax.render.mesh import render_mesh
from gan2shape_jax.render.rasterize import torn_cells, warp_depth
from gan2shape_jax.render.sampling import (
  resize_area,
  resize_bilinear,
  sample_bilinear,
  sample_nearest,
)
from gan2shape_jax.render.shading import (
  Light,
  apply_shading,
  lambertian,
  shade,
)

__all__ = [
  "Camera",
  "Light",
  "Pose",
  "Rendering",
  "apply_shading",
  "compose_poses",
  "depth_to_points",
  "forward_grid",
  "identity_pose",
  "inverse_grid",
  "inverse_transform_points",
  "invert_pose",
  "lambertian",
  "normals_from_depth",
  "pixel_rays",
  "pose_from_angles",
  "project_to_grid",
  "render_mesh",
  "render_view",
  "resize_area",
  "resize_bilinear",
  "rotation_matrix",
  "sample_bilinear",
  "sample_nearest",
  "shade",
  "torn_cells",
  "transform_points",
  "view_grid",
  "warp_depth",
]
