"""The probing program at tiny size."""

import numpy as np
import pytest
from PIL import Image
from random_gan import save_random_gan
from tiny_system import weights

from configs import tiny
from gan2shape_jax import probe
from gan2shape_jax.pretrained import save_networks


@pytest.fixture(scope="module")
def config(tmp_path_factory):
  folder = tmp_path_factory.mktemp("inputs")
  save_random_gan(folder / "gan")
  save_networks(folder / "networks", weights()[0], units={}, provenance={})
  y, x = np.mgrid[:32, :32] - 15.5
  ball = np.maximum(0, 1 - (x**2 + y**2) / 12**2)[..., None]
  picture = (255 * ball * np.array([1.0, 0.8, 0.6])).astype(np.uint8)
  Image.fromarray(picture).save(folder / "ball.png")
  config = tiny.get_config()
  (folder / "more.png").write_text("No picture, and not looked at.")
  (folder / "list.txt").write_text("ball.png\nmore.png\n")
  config.data.pictures = str(folder / "list.txt")
  config.data.mask = "background"
  config.data.ground_truth = False
  config.weights.gan = str(folder / "gan")
  config.weights.networks = str(folder / "networks")
  return config


@pytest.mark.parametrize("by", ["encoder", "inversion"])
def test_each_quantity_has_its_curve(config, by, tmp_path):
  config = config.copy_and_resolve_references()
  if by == "inversion":
    config.weights.networks = ""
  errors, samples = probe.probe(config, tmp_path, pictures=1, values=3)
  assert set(errors) == set(samples) == set(probe.QUANTITIES)
  for name, quantity in probe.QUANTITIES.items():
    values = errors[name]["value"]
    np.testing.assert_allclose(
      values, [-quantity.largest, 0, quantity.largest], rtol=1e-6
    )
    assert all(error > 0 for error in errors[name]["error"])
    assert samples[name].shape == (64, 3 * 32, 3)
  # Without a change all views are the same one, whatever would have changed.
  views = {round(errors[name]["error"][1], 4) for name in ("yaw", "shift_x")}
  assert len(views) == 1


@pytest.mark.parametrize("name", ["yaw", "shift_x"])
def test_a_change_shows_in_the_rendering(config, name, tmp_path):
  config = config.copy_and_resolve_references()
  config.view.max_translation = 0.0  # What a run may not do is probed, too.
  _, samples = probe.probe(config, tmp_path, pictures=1, values=3)
  left, front, right = np.split(samples[name][:32], 3, axis=1)
  assert np.abs(left - front).mean() > 0.01
  assert np.abs(right - front).mean() > 0.01


def test_views_are_as_large_as_the_curves_say(config, tmp_path):
  config = config.copy_and_resolve_references()
  config.weights.networks = ""
  renderings = []
  for largest in (60.0, 30.0):
    config.view.max_rotation = largest
    _, samples = probe.probe(config, tmp_path, pictures=1, values=3)
    renderings.append(samples["yaw"][:32])
  np.testing.assert_allclose(*renderings, atol=1e-5)
