"""Networks on disk: what joint training leaves for predictions and fits."""

import os
from collections.abc import Collection
from typing import Any

import jax
import numpy as np

from gan2shape_jax.errors import UserError
from gan2shape_jax.models.networks import Networks, init_networks
from gan2shape_jax.weights import (
  check_shapes,
  load_metadata,
  load_weights,
  save_weights,
)

Params = dict[str, Any]


def save_networks(
  folder: str | os.PathLike,
  params: Params,
  *,
  units: dict[str, Any],
  provenance: dict[str, Any],
  dtype: str = "float32",
) -> None:
  """Writes the folder that `load_networks` reads.

  Args:
    folder: where to write.
    params: of the networks.
    units: of the system that they were trained in.
    provenance: how they came about, JSON-serialisable.
    dtype: on disk, see `save_weights`.
  """
  metadata = {"units": units, "provenance": provenance}
  save_weights(folder, params, metadata, dtype=dtype)


def load_units(folder: str | os.PathLike) -> dict[str, Any]:
  """What the answers of the networks in the folder mean.

  Raises:
    UserError: files are missing, or say nothing of units.
  """
  metadata = load_metadata(folder)
  if "units" not in metadata:
    raise UserError(
      f"{folder}/metadata.json: says nothing of the units of the networks'"
      " answers; take networks that joint training wrote"
    )
  return metadata["units"]


def load_networks(
  folder: str | os.PathLike,
  networks: Networks,
  units: dict[str, Any],
  *,
  required: Collection[str] = (),
) -> Params:
  """Reads the parameters of the networks that the folder holds.

  Those are all five, or some of them: the rest then starts afresh.

  Args:
    folder: as `save_networks` writes it; converted ones say nothing of units.
    networks: whose parameters are wanted.
    units: of the system that they are for.
    required: names of those that must be there.

  Raises:
    UserError: files or networks are missing, or have other sizes or units.
  """
  params, metadata = load_weights(folder)
  if missing := [name for name in required if name not in params]:
    raise UserError(
      f"{folder}: has no {', '.join(missing)} network; name a folder that"
      " joint training wrote"
    )
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
  _check_units(folder, units, metadata.get("units", {}))
  # Bound to the device that fits' networks are taken to: else every program
  # that reads networks would be compiled twice.
  return jax.device_put(params, jax.local_devices()[0])


def _check_units(folder, expected, actual):
  differ = [
    f"{name}={actual[name]} (here {value})"
    for name, value in expected.items()
    if name in actual and not np.array_equal(actual[name], value)
  ]
  if differ:
    raise UserError(
      f"{folder}: these networks were trained with {', '.join(differ)}; their"
      " answers mean something else here, so configure the same"
    )
