"""The depth warp against a brute-force float64 z-buffer.

Pixels whose coverage or depth changes when their centre is nudged by 0.02
pixels are not stable: either answer is right there, up to the float32 rounding
of the vertices. The bars below are those of all scenes and views together.
"""

import functools
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import render_oracle as oracle
from jax import export, sharding

from gan2shape_jax import render
from gan2shape_jax.render import fragments

SIZE = 24


@functools.partial(jax.jit, static_argnames=("camera", "view"))
def warp(depth, angles, translation, camera, view=None):
  pose = render.pose_from_angles(angles, translation)
  return render.warp_depth(depth, pose, camera, view=view)


def compare(cases, tear=None):
  """Counts and errors over (depth, angles, translation) cases."""
  totals = dict.fromkeys(["pixels", "stable", "wrong", "differ"], 0)
  errors = []
  for depth, angles, translation in cases:
    camera = render.Camera(len(depth), tear=tear)
    actual, covered = map(np.asarray, warp(depth, angles, translation, camera))
    expected, face, stable = oracle.warp_stable(
      depth, angles, translation, tear=np.inf if tear is None else tear
    )
    differ = covered != (face >= 0)
    totals["pixels"] += differ.size
    totals["stable"] += stable.sum()
    totals["wrong"] += (differ & stable).sum()
    totals["differ"] += differ.sum()
    errors.append(np.abs(actual - expected)[covered & (face >= 0) & stable])
  return totals, np.concatenate(errors)


def assert_exact(totals, errors):
  assert totals["stable"] > 0.9 * totals["pixels"]
  assert totals["wrong"] <= 1e-4 * totals["stable"]
  assert totals["differ"] <= 1e-3 * totals["pixels"]
  assert (errors <= 1e-4).mean() >= 0.9999
  assert np.quantile(errors, 0.999) <= 1e-5
  assert errors.max() <= 1e-3


@pytest.mark.parametrize("scene", oracle.SCENES)
def test_equals_the_oracle(scene):
  depth = jnp.asarray(oracle.scene(scene, SIZE))
  assert_exact(*compare((depth, *oracle.view(name)) for name in oracle.VIEWS))


@pytest.mark.parametrize("name", ["all 30", "yaw 60"])
def test_equals_the_oracle_at_64_pixels(name):
  cases = [
    (jnp.asarray(oracle.scene(scene, 64)), *oracle.view(name))
    for scene in ("border", "step")
  ]
  assert_exact(*compare(cases))


@pytest.mark.parametrize("scene", ["border", "step"])
def test_a_torn_surface_equals_the_oracle(scene):
  depth = jnp.asarray(oracle.scene(scene, SIZE))
  assert render.torn_cells(depth, render.Camera(SIZE, tear=0.03)).any()
  views = [(depth, *oracle.view(name)) for name in oracle.VIEWS]
  totals, errors = compare(views, tear=0.03)
  # Of the rest, pixel centres on vertices at the rim of a hole are lost.
  assert totals["stable"] > 0.9 * totals["pixels"]
  assert totals["wrong"] == 0
  assert errors.max() <= 1e-5


def test_a_torn_surface_hides_nothing():
  """Of a thin wall on a plane only a gap is left, as wide as the wall."""
  plane = np.ones((33, 33), np.float32)
  wall = plane.copy()
  wall[:, 16] = 0.92

  def seen(depth, tear=None):
    turned = jnp.radians(jnp.array([0.0, 30.0, 0.0]))
    camera = render.Camera(len(depth), tear=tear)
    return np.asarray(warp(depth, turned, jnp.zeros(3), camera)[0])

  def columns_that_differ(depth):
    return (np.abs(depth - seen(plane)) > 1e-3).any(0).sum()

  assert columns_that_differ(seen(wall)) >= 8
  assert columns_that_differ(seen(wall, tear=0.02)) <= 2
  gone = render.torn_cells(wall, render.Camera(len(wall), tear=0.02))
  assert np.flatnonzero(gone.any(0)).tolist() == [15, 16]
  assert gone[:-1, 15:17].all() and not gone[-1].any()


def random_cases(count):
  """Rough, flat and torn depth maps, to 75 degrees about each axis."""
  random = np.random.default_rng(0)
  y, x = np.mgrid[:33, :33] / 16 - 1
  for k in range(count):
    depth = [
      1 + 0.02 * random.standard_normal(x.shape),
      np.full(x.shape, random.uniform(0.9, 1.1)),
      1 + 0.08 * np.sin(random.uniform(2, 6) * x + k) * np.cos(4 * y),
      np.where(random.uniform(size=x.shape) < 0.1, 0.92, 1.05),
      random.uniform(0.5, 2, x.shape),
    ][k % 5]
    angles = np.radians(random.uniform(-75, 75, 3))
    translation = random.uniform(-0.03, 0.03, 3)
    yield jnp.float32(depth), jnp.float32(angles), jnp.float32(translation)


def test_equals_the_oracle_in_random_scenes():
  totals, errors = compare(random_cases(40))
  assert totals["wrong"] == 0
  assert totals["differ"] <= 1e-3 * totals["pixels"]
  assert errors.max() <= 1e-5


@pytest.mark.parametrize("size", [SIZE, 33, 64])
@pytest.mark.parametrize("scene", oracle.SCENES)
def test_the_identity_view_is_the_depth_map(scene, size):
  depth = oracle.scene(scene, size)
  zero = jnp.zeros(3)
  actual, covered = warp(jnp.asarray(depth), zero, zero, render.Camera(size))
  assert covered.all()
  np.testing.assert_allclose(actual, depth, atol=1e-6)


def test_a_larger_view_of_the_same_mesh():
  depth = jnp.asarray(oracle.scene("border", SIZE))
  angles, translation = oracle.view("all 30")
  expected, face, stable = oracle.warp_stable(
    depth, angles, translation, view_size=40
  )
  actual, covered = warp(
    depth, angles, translation, render.Camera(SIZE), render.Camera(40)
  )
  assert actual.shape == (40, 40)
  np.testing.assert_array_equal(covered[stable], face[stable] >= 0)
  both = stable & (face >= 0)
  np.testing.assert_allclose(actual[both], expected[both], atol=1e-5)


def test_several_chunks_of_fragments_give_the_same_faces(monkeypatch):
  """The budget is about speed; views that are done wait for the others."""
  camera = render.Camera(SIZE)
  depth = jnp.asarray(oracle.scene("step", SIZE))
  points = jnp.stack(
    [
      render.transform_points(
        render.depth_to_points(depth, camera),
        render.pose_from_angles(*map(jnp.asarray, oracle.view(name))),
        camera,
      )
      for name in ("identity", "yaw 60")
    ]
  )
  torn = jnp.zeros((SIZE, SIZE), bool)

  def find(budget):
    monkeypatch.setattr(fragments, "_BUDGET", budget)
    traced_anew = functools.partial(
      fragments.find_faces.__wrapped__, torn=torn, view=camera
    )
    return jax.jit(jax.vmap(traced_anew))(points)

  np.testing.assert_array_equal(find(1), find(8))
  assert (find(8)[0] != find(8)[1]).any()


def test_uncovered_pixels_hold_the_far_end_of_the_range():
  camera = render.Camera(SIZE)
  far_away = jnp.array([1.0, 0.0, 0.0])
  actual, covered = warp(jnp.ones((SIZE, SIZE)), jnp.zeros(3), far_away, camera)
  assert not covered.any()
  np.testing.assert_allclose(actual, camera.view_depth_max)


def test_nothing_behind_the_eye_is_drawn():
  behind = jnp.array([0.0, 0.0, -3.0])
  depth = jnp.ones((SIZE, SIZE))
  _, covered = warp(depth, jnp.zeros(3), behind, render.Camera(SIZE))
  assert not covered.any()


def test_both_sides_are_drawn():
  angles = jnp.array([0.0, np.pi, 0.0])
  depth = jnp.asarray(oracle.scene("ellipsoid", SIZE))
  actual, covered = warp(depth, angles, jnp.zeros(3), render.Camera(SIZE))
  assert covered[2:-2, 2:-2].all()
  # The dome, seen from behind, is further away than its surroundings.
  assert actual[SIZE // 2, SIZE // 2] > actual[SIZE // 2, 2] + 0.05


def test_nan_vertices_make_holes_that_leave_gradients_finite():
  depth = jnp.asarray(oracle.scene("smooth", SIZE)).at[0, 0].set(jnp.nan)
  depth = depth.at[10, 12].set(jnp.nan)
  camera = render.Camera(SIZE)
  zero = jnp.zeros(3)
  _, covered = warp(depth, zero, zero, camera)
  hole = ~np.array(covered)
  assert hole[10, 12] and hole[0, 0]
  hole[9:12, 11:14] = hole[:2, :2] = False
  assert not hole.any()
  gradient = jax.grad(lambda d: warp(d, zero, zero, camera)[0].sum())(depth)
  assert np.isfinite(gradient).all()


def directions(size):
  """Ways to vary (depth, angles, translation)."""
  random = np.random.default_rng(1)
  y, x = np.mgrid[:size, :size] / (size - 1) * 2 - 1
  zero_depth, zero = np.zeros((size, size)), np.zeros(3)
  yield "white depth", (random.standard_normal((size, size)), zero, zero)
  yield "smooth depth", (np.sin(3 * x + 2 * y), zero, zero)
  for k, axis in enumerate("xyz"):
    yield f"r{axis}", (zero_depth, np.eye(3)[k], zero)
    yield f"t{axis}", (zero_depth, zero, np.eye(3)[k])


@pytest.mark.parametrize("scene", ["smooth", "border", "step"])
def test_derivatives_match_central_differences(scene):
  """Where the visible face stays the same; no view aligned with the grid."""
  h = 1e-6
  camera = render.Camera(SIZE)
  depth = oracle.scene(scene, SIZE)
  for degrees in [(4, -11, 3), (-20, 33, 7), (6, -57, -12)]:
    origin = depth, np.float32(np.radians(degrees)), np.float32([0.01, 0, 0.02])
    _, face, stable = oracle.warp_stable(*origin)
    for name, direction in directions(SIZE):
      (up, up_face), (down, down_face) = (
        oracle.warp(
          *(x + sign * h * d for x, d in zip(origin, direction, strict=True))
        )
        for sign in (1, -1)
      )
      same = stable & (face >= 0) & (up_face[0] == face)
      same &= down_face[0] == face
      assert same.sum() > 0.3 * same.size
      _, tangent = jax.jvp(
        lambda *x: warp(*x, camera)[0],
        tuple(map(jnp.float32, origin)),
        tuple(map(jnp.float32, direction)),
      )
      expected = (up[0][same] - down[0][same]) / (2 * h)
      error = np.linalg.norm(np.asarray(tangent)[same] - expected)
      assert error <= 5e-3 * np.linalg.norm(expected), (degrees, name)


def test_forward_and_reverse_mode_agree():
  camera = render.Camera(SIZE)
  random = np.random.default_rng(2)
  depth = jnp.asarray(oracle.scene("border", SIZE))
  origin = depth, *map(jnp.asarray, oracle.view("all 30"))
  tangents = tuple(jnp.float32(random.normal(size=x.shape)) for x in origin)
  function = functools.partial(warp, camera=camera)
  (_, _), (forward, _) = jax.jvp(function, origin, tangents)
  cotangent = jnp.float32(random.normal(size=forward.shape))
  _, pullback = jax.vjp(lambda *x: function(*x)[0], *origin)
  reverse = sum(
    jnp.vdot(a, b) for a, b in zip(pullback(cotangent), tangents, strict=True)
  )
  np.testing.assert_allclose(jnp.vdot(cotangent, forward), reverse, rtol=1e-4)


@pytest.mark.parametrize(
  ("angles", "translation"),
  [
    ((0, 0, 0), (0, 0, 0)),
    ((0, np.pi / 2, 0), (0, 0, 0)),
    ((np.pi, 0, np.pi / 2), (0, 0, 0)),
    ((0, 0, 0), (5, 0, 0)),
    ((1, 1, 1), (0, 0, -0.95)),
  ],
)
def test_gradients_are_finite_in_extreme_views(angles, translation):
  camera = render.Camera(SIZE)
  depth = np.random.default_rng(3).uniform(0.5, 2, (SIZE, SIZE))
  gradients = jax.grad(lambda *x: warp(*x, camera)[0].sum(), (0, 1, 2))(
    jnp.float32(depth), jnp.float32(angles), jnp.float32(translation)
  )
  assert all(jnp.isfinite(g).all() for g in gradients)


def test_vmap_over_views_and_over_images():
  camera = render.Camera(SIZE)
  depths = jnp.stack([oracle.scene(s, SIZE) for s in ("smooth", "step")])
  views = [oracle.view(name) for name in ("all 10", "yaw 60", "pitch 10")]
  poses = jax.vmap(render.pose_from_angles)(
    *(jnp.stack(x) for x in zip(*views, strict=True))
  )

  def total(depths):
    def one_view(depth, pose):
      return render.warp_depth(depth, pose, camera)[0]

    each_view = jax.vmap(one_view, in_axes=(None, 0))
    depth_views = jax.vmap(each_view, in_axes=(0, None))(depths, poses)
    return depth_views.sum(), depth_views

  gradient, batched = jax.jit(jax.grad(total, has_aux=True))(depths)
  assert jnp.isfinite(gradient).all()
  for i, depth in enumerate(depths):
    for j, (angles, translation) in enumerate(views):
      single, _ = warp(depth, angles, translation, camera)
      np.testing.assert_allclose(batched[i, j], single, atol=2e-6)


def test_works_inside_shard_map():
  camera = render.Camera(SIZE)
  mesh = jax.make_mesh((1,), ("image",), axis_types=(sharding.AxisType.Auto,))
  angles, translation = map(jnp.asarray, oracle.view("all 30"))
  spec = sharding.PartitionSpec("image")

  @functools.partial(jax.shard_map, mesh=mesh, in_specs=spec, out_specs=spec)
  def sharded(depths):
    return jax.vmap(lambda d: warp(d, angles, translation, camera)[0])(depths)

  depth = jnp.asarray(oracle.scene("border", SIZE))
  expected, _ = warp(depth, angles, translation, camera)
  actual = jax.jit(sharded)(depth[None])[0]
  np.testing.assert_allclose(actual, expected, atol=2e-6)


@pytest.mark.parametrize("platform", ["cuda", "tpu"])
def test_lowers_for_accelerators(platform):
  camera = render.Camera(16)

  def loss(depth, texture, angles):
    pose = render.pose_from_angles(angles, jnp.zeros(3))
    return render.render_view(depth, texture, pose, camera).image.sum()

  batched = jax.vmap(jax.grad(loss, (0, 1, 2)), in_axes=(None, None, 0))
  arguments = (
    jax.ShapeDtypeStruct((16, 16), jnp.float32),
    jax.ShapeDtypeStruct((16, 16, 3), jnp.float32),
    jax.ShapeDtypeStruct((4, 3), jnp.float32),
  )
  exported = export.export(jax.jit(batched), platforms=[platform])(*arguments)
  # The batch is worked off together, in the one loop over chunks.
  module = exported.mlir_module()
  # What XLA has kernels for, as sums on GPUs, is spelt out beside it.
  spelt_out = re.findall(r"decomposition = @([\w.]+)", module)
  functions = re.split(r"func\.func (?:public |private )?@", module)
  assert any(function.startswith("main(") for function in functions)
  loops = [
    function.count("stablehlo.while")
    for function in functions
    if function.partition("(")[0] not in spelt_out
  ]
  assert sum(loops) == 1
