"""What must not be in a program for a TPU or a GPU, read off its text."""

import re

import jax

FAULTS = {
  # Callbacks of the host, and linear algebra that runs apart from the rest.
  "call": r"custom_call",
  # A size that is known only when the program runs.
  "dynamic": r"tensor<[^>]*\?",
  # Not on a TPU, or slowly. ui64 is how JAX counts random numbers.
  "wide": r"tensor<[^>]*(f64|complex<|[<x]i64)",
  "grouped": r"(feature|batch)_group_count = (?!1 )",
  # Input dilation (slow on the CPU), but for the gradient of a strided
  # convolution, whose kernel has its channels (o, i) the other way round.
  "dilated": r"convolution[^\n]*x\[0, 1, i, o\][^\n]*lhs_dilate",
}


def find(text):
  """Names of the faults of a program."""
  # Of the compiler, not values of the program.
  constants = r"(padding|replica_groups) = dense<[^>]*> : tensor<[^>]*>"
  text = re.sub(constants, "", text)
  return {name for name, found in FAULTS.items() if re.search(found, text)}


def lower(function, platform, *args):
  """The text of a jitted function for the platform "tpu" or "cuda"."""
  return jax.export.export(function, platforms=[platform])(*args).mlir_module()
