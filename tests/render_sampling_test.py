"""Sampling and resizing against numpy written out pixel by pixel."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan2shape_jax import render

RANDOM = np.random.default_rng(0)
IMAGE = jnp.float32(RANDOM.uniform(-1, 1, (9, 12, 3)))


def bilinear_oracle(image, grid):
  image, grid = np.float64(image), np.float64(grid)
  height, width, channels = image.shape
  samples = np.zeros((*grid.shape[:2], channels))
  for index in np.ndindex(grid.shape[:2]):
    x = (grid[index][0] + 1) / 2 * (width - 1)
    y = (grid[index][1] + 1) / 2 * (height - 1)
    for row in (int(np.floor(y)), int(np.floor(y)) + 1):
      for column in (int(np.floor(x)), int(np.floor(x)) + 1):
        if 0 <= row < height and 0 <= column < width:
          weight = (1 - abs(y - row)) * (1 - abs(x - column))
          samples[index] += weight * image[row, column]
  return samples


def identity_grid(height, width):
  y, x = np.linspace(-1, 1, height), np.linspace(-1, 1, width)
  return jnp.float32(np.stack(np.meshgrid(x, y), -1))


def test_bilinear_matches_the_oracle_inside_across_the_edge_and_outside():
  grid = RANDOM.uniform(-1.4, 1.4, (20, 15, 2))
  samples = render.sample_bilinear(IMAGE, jnp.float32(grid))
  np.testing.assert_allclose(samples, bilinear_oracle(IMAGE, grid), atol=1e-5)
  assert (np.asarray(samples) == 0).all(-1).any()  # some fell outside


def test_the_identity_grid_returns_the_image():
  grid = identity_grid(9, 12)
  np.testing.assert_allclose(
    render.sample_bilinear(IMAGE, grid), IMAGE, atol=1e-5
  )
  np.testing.assert_array_equal(render.sample_nearest(IMAGE, grid), IMAGE)


def test_bilinear_gradients():
  """Linear in the image; central differences for the grid, off the kinks."""
  position = RANDOM.integers(-1, 9, (6, 5, 2)) + RANDOM.uniform(
    0.1, 0.9, (6, 5, 2)
  )
  grid = position / [5.5, 4.0] - 1
  cotangent = RANDOM.normal(size=(6, 5, 3))

  def value(image, grid):
    return jnp.sum(render.sample_bilinear(image, grid) * cotangent)

  d_image, d_grid = jax.grad(value, (0, 1))(IMAGE, jnp.float32(grid))
  step = jnp.float32(RANDOM.normal(size=IMAGE.shape))
  expected = np.sum(bilinear_oracle(step, grid) * cotangent)
  assert np.sum(d_image * step) == pytest.approx(expected, rel=1e-4)
  for axis in (0, 1):
    h = np.eye(2)[axis] * 1e-5
    difference = bilinear_oracle(IMAGE, grid + h)
    difference = (difference - bilinear_oracle(IMAGE, grid - h)) / 2e-5
    np.testing.assert_allclose(
      d_grid[..., axis], np.sum(difference * cotangent, -1), atol=1e-3
    )


def test_nearest_rounds_half_to_even_and_is_zero_outside():
  image = jnp.arange(1.0, 6.0).reshape(1, 5, 1)
  x = jnp.array([-0.6, -0.5, 0.5, 1.5, 2.5, 4.4, 4.6])
  grid = jnp.stack([x / 2 - 1, 0 * x], -1)[None]
  # A picture of one row has y = 0 wherever the grid points.
  samples = render.sample_nearest(image, grid)[0, :, 0]
  np.testing.assert_array_equal(samples, [0, 1, 1, 3, 3, 5, 0])


@pytest.mark.parametrize("size", [(3, 4), (4, 5), (9, 12), (18, 30), (1, 1)])
def test_area_averages_the_pixels_each_output_touches(size):
  expected = np.zeros((*size, 3))
  for i, j in np.ndindex(size):
    rows = slice(i * 9 // size[0], int(np.ceil((i + 1) * 9 / size[0])))
    columns = slice(j * 12 // size[1], int(np.ceil((j + 1) * 12 / size[1])))
    expected[i, j] = IMAGE[rows, columns].mean((0, 1))
  actual = render.resize_area(IMAGE, size)
  np.testing.assert_allclose(actual, expected, atol=1e-6)


@pytest.mark.parametrize("size", [(3, 4), (5, 7), (9, 12), (20, 31)])
def test_bilinear_resize_has_half_integer_pixel_centres(size):
  expected = np.zeros((*size, 3))
  for i, j in np.ndindex(size):
    y = np.clip((i + 0.5) * 9 / size[0] - 0.5, 0, 8)
    x = np.clip((j + 0.5) * 12 / size[1] - 0.5, 0, 11)
    point = np.array([[[x / 5.5 - 1, y / 4 - 1]]])
    expected[i, j] = bilinear_oracle(IMAGE, point)[0, 0]
  actual = render.resize_bilinear(IMAGE, size)
  np.testing.assert_allclose(actual, expected, atol=1e-6)
