"""Eigen's convolutions for batches, where XLA lets one choose."""

import jax
import numpy as np
import pytest
from tiny_system import first_device, tiny_system

from gan2shape_jax import convolutions, fitting
from gan2shape_jax.schedule import Phase


@pytest.fixture(autouse=True)
def nothing_remembered(monkeypatch):
  functions = convolutions.for_batches, fitting._chunk
  monkeypatch.setenv("XLA_FLAGS", "")
  for function in functions:
    function.cache_clear()
  yield
  for function in functions:
    function.cache_clear()


def convolve(x, kernel):
  return jax.lax.conv_general_dilated(
    x, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
  )


def test_other_kernels_and_the_same_numbers():
  options = convolutions.for_batches()
  if not options:
    pytest.skip("this XLA has no such option")
  image_key, kernel_key = jax.random.split(jax.random.key(0))
  x = jax.random.normal(image_key, (8, 32, 32, 32))
  kernel = jax.random.normal(kernel_key, (3, 3, 32, 32))
  plain, chosen = (
    jax.jit(convolve, compiler_options=o or None).lower(x, kernel).compile()
    for o in ({}, options)
  )
  assert "ynn" in plain.as_text() and "ynn" not in chosen.as_text()
  np.testing.assert_allclose(chosen(x, kernel), plain(x, kernel), atol=1e-4)


def test_what_the_user_says_counts(monkeypatch):
  flag = "--xla_cpu_experimental_ynn_fusion_type=+individual_convolution"
  monkeypatch.setenv("XLA_FLAGS", flag)
  assert convolutions.for_batches() == {}


def test_an_option_that_xla_does_not_know(monkeypatch):
  monkeypatch.setattr(convolutions, "_OPTION", "xla_no_such_option")
  assert convolutions.for_batches() == {}


def test_other_devices_have_no_such_option(monkeypatch):
  monkeypatch.setattr(jax, "default_backend", lambda: "tpu")
  assert convolutions.for_batches() == {}


@pytest.mark.parametrize(
  ("step", "chosen"),
  [("prior", False), ("albedo", False), ("project", True), ("shape", False)],
)
def test_the_step_of_batches_has_them(monkeypatch, step, chosen):
  options = {"some": "option"}
  monkeypatch.setattr(convolutions, "for_batches", lambda: options)
  monkeypatch.setattr(fitting, "make_chunk", lambda step, **how: how)
  how = fitting.Fitter(tiny_system(), first_device()).chunk(Phase(step, 0, 1))
  assert how["compiler_options"] == (options if chosen else None)
