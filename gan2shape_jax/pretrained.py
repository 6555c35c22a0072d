"""Networks on disk: what joint training leaves for predictions and fits."""

import os
from typing import Any

import jax
import jax.numpy as jnp

from gan2shape_jax.models.networks import Networks, init_networks
from gan2shape_jax.weights import check_shapes, load_weights, save_weights

Params = dict[str, Any]


def save_networks(
  folder: str | os.PathLike,
  params: Params,
  provenance: dict[str, Any],
  *,
  dtype: str = "float32",
) -> None:
  """Writes the folder that `load_networks` reads."""
  save_weights(folder, params, {"provenance": provenance}, dtype=dtype)


def load_networks(folder: str | os.PathLike, networks: Networks) -> Params:
  """Reads the parameters of the networks that the folder holds.

  Those are all five, or some of them: the rest then starts afresh.

  Raises:
    UserError: files are missing, or the networks have other sizes.
  """
  params, _ = load_weights(folder)
  expected = jax.eval_shape(
    lambda key: init_networks(networks, key), jax.random.key(0)
  )
  expected = {name: expected[name] for name in expected if name in params}
  check_shapes(
    folder,
    expected,
    params,
    "the configuration's image_size, GAN or networks.* are not those that they"
    " were trained with",
  )
  return jax.tree.map(jnp.asarray, params)
