"""The benchmarks run, and the PyTorch side computes what ours does."""

import functools
import json
import pathlib
import runpy
import sys

import jax
import numpy as np
import pytest
from random_gan import ARCH
from tiny_system import weights

from gan2shape_jax import inference, steps
from gan2shape_jax.gan.bundle import Gan, save_gan

FOLDER = pathlib.Path(__file__).parents[1] / "benchmarks"
CONFIG = """
from configs import tiny

def get_config():
  config = tiny.get_config()
  config.weights.gan = {gan!r}
  config.schedule.flip_step1 = (True, False)
  config.loss.object_mask = True
  return config
"""


@pytest.fixture(scope="module")
def config(tmp_path_factory):
  folder = tmp_path_factory.mktemp("benchmarks")
  _, frozen = weights()
  gan = Gan(
    arch=ARCH,
    **frozen,
    mean_latent=np.zeros(ARCH.latent_size, np.float32),
    provenance={},
  )
  save_gan(folder / "gan", gan)
  path = folder / "config.py"
  path.write_text(CONFIG.format(gan=str(folder / "gan")))
  return str(path)


@pytest.fixture(autouse=True)
def programs(monkeypatch):
  """Benchmarks import each other as scripts, and change settings of JAX."""
  monkeypatch.syspath_prepend(str(FOLDER))
  cache = jax.config.jax_enable_compilation_cache
  yield
  jax.config.update("jax_enable_compilation_cache", cache)


@pytest.fixture
def run(monkeypatch, tmp_path):
  def run(program, *options):
    figures = tmp_path / "figures.json"
    command = [program, *map(str, options), "--json", str(figures)]
    monkeypatch.setattr(sys, "argv", command)
    runpy.run_path(str(FOLDER / program), run_name="__main__")
    return json.loads(figures.read_text())

  return run


def test_steps(run, config, capsys):
  names = ("inversion", "prior", "collect", "refine")
  options = ("--steps", *names, "--iterations", 1, "--repeats", 1)
  rows = run("steps.py", "--config", config, *options)["steps"]
  assert tuple(row["step"] for row in rows) == names
  assert len(capsys.readouterr().out.splitlines()) == 2 + len(rows)
  for row in rows:
    for name in ("ms", "gflop", "compile_seconds", "program_mb", "peak_mb"):
      assert row[name] > 0


def test_renderer(run):
  (row,) = run("renderer.py", "--sizes", 16, "--views", 2)
  assert row["pixels_off_by_1e-4"] == 0
  assert row["speedup"] > 0


def test_a_missing_configuration_is_a_line_and_exit_code_2(run, capsys):
  with pytest.raises(SystemExit) as raised:
    run("steps.py", "--config", "configs/nothing.py")
  assert raised.value.code == 2
  (line,) = capsys.readouterr().err.splitlines()
  assert "configs/nothing.py" in line


def test_the_baseline_needs_torch(run, config, capsys, monkeypatch):
  monkeypatch.setitem(sys.modules, "torch", None)
  with pytest.raises(SystemExit) as raised:
    run("baseline_torch.py", "--config", config)
  assert raised.value.code == 2
  assert "pip install torch" in capsys.readouterr().err


def test_baseline(run, config):
  pytest.importorskip("torch")
  options = ("--steps", "step1", "--iterations", 1, "--repeats", 1)
  figures = run("baseline_torch.py", "--config", config, *options)
  row = figures["step1"]
  assert figures["ratio_step1"] > 0 and row["torch_ms"] > 0
  assert row["ratio_cpu"] > 0


@pytest.fixture(scope="module")
def sides(config):
  """Our side and PyTorch's."""
  torch = pytest.importorskip("torch")
  torch.set_num_threads(1)  # More of them wait for each other.
  with pytest.MonkeyPatch.context() as patch:
    patch.syspath_prepend(str(FOLDER))
    import torch_steps
    import workload

    work = workload.load_workload(workload.load_config(config))
    # One sample per pixel, at its centre, as ours; the original's four differ.
    yield work, torch_steps.Original(work, samples=1), torch_steps


@functools.partial(jax.jit, static_argnums=0)
def our_losses(system, params, frozen, picture, key):
  """Terms of all steps, the draws of step 2 and the samples of step 3."""
  flip = True
  canonical = inference.reconstruct(system, params, picture)
  albedo = steps.prepare_albedo(system, frozen, picture, canonical, flip)
  project = steps.prepare_project(system, frozen, picture, canonical)
  samples = steps.collect(system, params, frozen, project, key)
  shape = steps.ShapeData(picture.image, canonical.depth, samples)
  data = {"albedo": albedo, "project": project, "shape": shape}
  terms = {
    name: getattr(steps, f"{name}_loss")(
      system, params, frozen, data[name], key, flip
    ).terms
    for name in data
  }
  keys = jax.random.split(key, system.batch_size)
  change = jax.vmap(lambda key: steps.sample_change(system, key))(keys)
  return terms, change, samples


def test_both_sides_compute_the_same(sides):
  work, original, torch_steps = sides
  terms, change, samples = our_losses(
    work.system, work.params, work.frozen, work.picture, jax.random.key(5)
  )
  image = original.generator(original.latent).clamp(-1, 1)
  expected = torch_steps.nchw(work.picture.gan_image)
  np.testing.assert_allclose(image.detach(), expected, atol=1e-4)

  direction = change.light.direction
  light = np.concatenate(
    [direction[:, :2] / direction[:, 2:], change.light.diffuse[:, None]], 1
  )
  batch = torch_steps.Samples(
    torch_steps.tensor(np.moveaxis(samples.image, -1, 1)),
    torch_steps.tensor(samples.mask)[:, None],
  )
  theirs = {}
  original.enter("albedo")
  theirs["albedo"] = original.step1(flip=True)
  original.enter("project")
  theirs["project"] = original.step2(
    torch_steps.Change(
      torch_steps.tensor(change.view), torch_steps.tensor(light)
    )
  )
  original.enter("shape")
  theirs["shape"] = original.step3(batch, flip=True)
  # Smoothness is a constant of step 1; the ties of the samples are ours.
  assert theirs["albedo"].pop("smooth") > 0
  for name in ("sample_view", "sample_light", "trust"):
    terms["shape"].pop(name)
  for step, losses in terms.items():
    assert losses.keys() == theirs[step].keys()
    for name, value in losses.items():
      np.testing.assert_allclose(
        theirs[step][name].item(), value, rtol=1e-3, err_msg=f"{step} {name}"
      )


def test_the_baseline_learns(sides):
  """Its losses fall: gradients reach the networks that a step trains."""
  _, original, _ = sides
  for step in ("albedo", "shape"):
    original.enter(step)
    losses = [original.iterate(step, True) for _ in range(4)]
    assert losses[-1] < losses[0]
