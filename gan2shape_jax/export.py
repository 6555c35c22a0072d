"""Writes everything that is known of one picture into a folder of its own.

| file | what it shows |
|---|---|
| `overview.png` | one page with all of it |
| `input.png`, `reconstruction.png` | the picture, and the model's version |
| `canonical.png` | frontal view under the picture's light; mesh texture |
| `albedo.png`, `shading.png` | its two factors: colour, and light |
| `albedo_input.png` | albedo in the view of the picture |
| `mask.png` | canonical object mask, where there is one |
| `depth.npy` | canonical depth, float32, scene units |
| `depth_input.npy` | depth in the view of the picture; NaN: nothing there |
| `depth.png` | the same, 16 bit: depth = max - (max - min) value / 65535 |
| `depth_color.png`, `normal.png` | the same to look at; n / 2 + 0.5 |
| `rotated.png`, `rotated_gan.png` | nine yaws, five pitches; by the GAN |
| `rotated_input.png` | the same rotations, about the view of the picture |
| `normal_rotated.png`, `shape_rotated.png` | the same as normals, as clay |
| `relit.png`, `relit_gan.png` | twenty other lights; by the GAN |
| `mesh.obj`, `mesh.mtl` | textured mesh, uses `canonical.png` |
| `mesh.glb` | the same in one file |
| `turntable.gif` | textured and clay, swinging from side to side |

The two `_gan` files are written when there is a GAN to project with. Min and
max are the camera's depth range (by default 0.9 and 1.1); 0 in `depth.png` is
farthest. Pictures under 128 pixels are enlarged to 128. With an object mask the
background of the meshes is left out.
"""

import functools
from collections.abc import Callable, Mapping
from pathlib import Path

import jax
import numpy as np
from jaxtyping import Array, Float
from PIL import Image

from gan2shape_jax import meshes, sheets, views
from gan2shape_jax.render.camera import Camera
from gan2shape_jax.render.geometry import depth_to_points
from gan2shape_jax.render.rasterize import torn_cells
from gan2shape_jax.types import Reconstruction

_SMALLEST = 128
_FRAME_MILLISECONDS = 60
_COLUMN = 124  # overview: fourteen of these make a row
_HEAT = (  # black, purple, red, yellow, white, in even steps of lightness
  (0, 0, 4),
  (28, 16, 68),
  (79, 18, 123),
  (129, 37, 129),
  (181, 54, 122),
  (229, 80, 100),
  (251, 135, 97),
  (254, 194, 135),
  (252, 253, 191),
)
_FACTORS = {
  "input": "input",
  "reconstruction": "reconstruction",
  "canonical": "canonical view",
  "albedo": "albedo",
  "shading": "shading",
  "normal": "normals",
  "depth_color": "depth",
}
_TURNED = {
  "rotated": "Turned",
  "rotated_gan": "Turned, by the GAN",
  "shape_rotated": "Shape",
  "normal_rotated": "Normals",
}
_RELIT = {"relit": "Relit", "relit_gan": "Relit, by the GAN"}
_RELIGHTS = [
  f"x {x:g}  y {y:g}  r {r:g}"
  for r in views.RELIGHT_DIFFUSE
  for y in views.RELIGHT_Y
  for x in views.RELIGHT_X
]


def export_picture(
  folder: Path,
  name: str,
  picture: Float[Array | np.ndarray, "h w 3"],
  reconstruction: Reconstruction,
  camera: Camera,
  *,
  max_yaw: float,
  max_pitch: float,
  alpha: float,
  size: int = 256,
  project: Callable[[Array], Array] | None = None,
  figures: Mapping[str, Mapping[str, float]] | None = None,
) -> None:
  """Writes the files of the table above.

  Args:
    folder: of this picture; made when missing, same names overwritten.
    name: headline of the overview.
    picture: the input in [-1, 1].
    reconstruction: of the picture.
    camera: the camera of its depth.
    max_yaw: of the rotations and the turntable, radians.
    max_pitch: of the rotations, radians.
    alpha: see `views.relights`.
    size: side of a rendered frame, pixels.
    project: see `views.make_gallery`.
    figures: see `sheets.contact_sheet`, such as SIDE and MAD of the prior and
      of the fit.
  """
  folder.mkdir(parents=True, exist_ok=True)
  gallery = views.make_gallery(
    reconstruction,
    camera,
    max_yaw=max_yaw,
    max_pitch=max_pitch,
    alpha=alpha,
    size=size,
    project=project,
  )
  stills = _stills(picture, reconstruction, gallery)
  for file, still in stills.items():
    Image.fromarray(still).save(folder / f"{file}.png")
  strips = _strips(gallery)
  turns = _angle_labels(max_yaw, max_pitch)
  for file, strip in strips.items():
    columns, labels = (5, _RELIGHTS) if "relit" in file else (9, turns)
    block = sheets.Block("", strip, columns, size, labels)
    sheets.picture_grid(block).save(folder / f"{file}.png")
  _write_depth(folder, reconstruction, camera)
  np.save(folder / "depth_input.npy", np.asarray(gallery.depth_input))
  _write_meshes(folder, reconstruction, camera, stills["canonical"])
  _write_turntable(folder, gallery)
  _overview(name, stills, strips, gallery, turns, figures).save(
    folder / "overview.png"
  )


def _stills(picture, reconstruction, gallery) -> dict[str, np.ndarray]:
  shading = np.repeat(np.asarray(gallery.shading)[..., None], 3, axis=-1)
  pixels = views.object_pixels(reconstruction)
  stills = {
    "input": sheets.to_uint8(picture),
    "reconstruction": sheets.to_uint8(gallery.reconstruction),
    "canonical": sheets.to_uint8(gallery.canonical),
    "albedo": sheets.to_uint8(reconstruction.albedo),
    "shading": sheets.to_uint8(2 * shading - 1),
    "normal": sheets.to_uint8(reconstruction.normal),
    "depth_color": depth_colors(np.asarray(reconstruction.depth), pixels),
    "albedo_input": sheets.to_uint8(gallery.albedo_input),
  }
  if reconstruction.mask is not None:
    mask = 2 * np.asarray(reconstruction.mask)[..., None] - 1
    stills["mask"] = sheets.to_uint8(np.repeat(mask, 3, axis=-1))
  side = max(_SMALLEST, len(picture))
  return {file: sheets.resize(still, side) for file, still in stills.items()}


def _strips(gallery: views.Gallery) -> dict[str, np.ndarray]:
  strips = {
    "rotated": gallery.rotated.image,
    "rotated_gan": gallery.rotated_gan,
    "normal_rotated": gallery.rotated.normal,
    "shape_rotated": gallery.rotated.shape,
    "rotated_input": gallery.rotated_input.image,
    "relit": gallery.relit,
    "relit_gan": gallery.relit_gan,
  }
  return {
    name: sheets.to_uint8(strip)
    for name, strip in strips.items()
    if strip is not None
  }


def depth_colors(depth: np.ndarray, pixels: np.ndarray) -> np.ndarray:
  """Depth as a heat map, near bright: `[h, w]` to uint8 `[h, w, 3]`.

  The map spans the depths at `pixels` (boolean `[h, w]`), the rest is white.
  """
  near, far = depth[pixels].min(), depth[pixels].max()
  heat = (far - depth) / max(far - near, 1e-6)
  stops = np.linspace(0, 1, len(_HEAT))
  colors = [np.interp(heat, stops, channel) for channel in np.transpose(_HEAT)]
  picture = np.round(np.stack(colors, axis=-1)).astype(np.uint8)
  return np.where(pixels[..., None], picture, np.uint8(255))


def _write_depth(folder, reconstruction, camera) -> None:
  depth = np.asarray(reconstruction.depth, np.float32)
  np.save(folder / "depth.npy", depth)
  span = camera.depth_max - camera.depth_min
  nearness = np.clip((camera.depth_max - depth) / span, 0, 1)
  levels = np.round(nearness * 65535).astype(np.uint16)
  Image.fromarray(levels).save(folder / "depth.png")


def _write_meshes(folder, reconstruction, camera, texture) -> None:
  points, torn = map(np.asarray, _surface(reconstruction.depth, camera))
  normal = np.asarray(reconstruction.normal)
  pixels = views.object_pixels(reconstruction)
  mesh = meshes.depth_mesh(points, normal, pixels, torn)
  if not len(mesh.faces):
    # Torn everywhere, but GLB must have a face.
    mesh = meshes.depth_mesh(points, normal)
  meshes.write_obj(folder / "mesh.obj", mesh, "canonical.png")
  meshes.write_glb(folder / "mesh.glb", mesh, texture)


@functools.partial(jax.jit, static_argnames="camera")
def _surface(depth, camera):
  return depth_to_points(depth, camera), torn_cells(depth, camera)


def _write_turntable(folder, gallery) -> None:
  pair = np.concatenate([gallery.swing.image, gallery.swing.shape], axis=2)
  first, *others = sheets.animation(sheets.to_uint8(pair), swing=True)
  first.save(
    folder / "turntable.gif",
    save_all=True,
    append_images=others,
    duration=_FRAME_MILLISECONDS,
    loop=0,
  )


def _angle_labels(max_yaw: float, max_pitch: float) -> list[str]:
  angles = np.degrees(views.rotation_angles(max_yaw, max_pitch))
  yaws = [f"yaw {yaw:.3g}°" for yaw in angles[:9, 1]]
  return yaws + [f"pitch {pitch:.3g}°" for pitch in angles[9:, 0]]


def _overview(name, stills, strips, gallery, turns, figures) -> Image.Image:
  shown = [stills[file] for file in _FACTORS]
  wide = 2 * _COLUMN + sheets.GAP
  factors = np.stack([sheets.resize(picture, wide) for picture in shown])
  rows = [[sheets.Block("", factors, 7, wide, list(_FACTORS.values()))]]
  for file, title in _TURNED.items():
    if file in strips:
      labels = turns if file == "rotated" else ()
      rows.append([sheets.Block(title, strips[file], 14, _COLUMN, labels)])
  across = [f"light x {x:g}" for x in views.RELIGHT_X]
  last = [
    sheets.Block(title, strips[file], 5, _COLUMN, across)
    for file, title in _RELIT.items()
    if file in strips
  ]
  # What is left of the row: shape from four sides, texture if there is room.
  sides = {"Four sides": gallery.swing.shape, "Textured": gallery.swing.image}
  sides = dict(list(sides.items())[: 3 - len(last)])
  between = 3 * sheets.GAP
  room = (
    rows[0][0].width + between - sum(block.width + between for block in last)
  )
  tile = (room // len(sides) - between - sheets.GAP) // 2
  for title, frames in sides.items():
    four = np.linspace(0.2, 0.8, 4) * (len(frames) - 1)
    pictures = sheets.to_uint8(np.asarray(frames)[np.round(four).astype(int)])
    last.append(sheets.Block(title, pictures, 2, tile))
  return sheets.contact_sheet(name, [*rows, last], figures=figures)
