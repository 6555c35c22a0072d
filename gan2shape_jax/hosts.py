"""Several processes, on one machine or many, that work on one run.

They are alike except that the first one logs. Until `connect` is called a
process is alone.
"""

import json
import re
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp
from jax.experimental import multihost_utils

from gan2shape_jax.errors import UserError

_PATIENCE = 7 * 24 * 3600  # seconds that one waits for the others


def connect(
  coordinator: str | None = None,
  processes: int | None = None,
  process: int | None = None,
) -> None:
  """Joins the processes of a run; before anything else uses a device.

  On TPU pods and under Slurm all is found out. Elsewhere:

  Args:
    coordinator: "host:port" of the first process.
    processes: how many there are.
    process: the number of this one, from 0.

  Raises:
    UserError: no such address, or the others cannot be found.
  """
  if coordinator and not re.fullmatch(r".+:\d+", coordinator):
    raise UserError(f"--coordinator={coordinator}: write HOST:PORT")
  try:
    jax.distributed.initialize(coordinator, processes, process)
  except (RuntimeError, ValueError) as error:
    raise UserError(
      f"--distributed: {str(error).splitlines()[0]} (without a TPU pod or Slurm"
      " give --coordinator=HOST:PORT, --processes and --process)"
    ) from error


def is_first() -> bool:
  """Whether this process is the one that logs."""
  return jax.process_index() == 0


def wait(name: str) -> None:
  """Waits until all processes are here; `name` tells the places apart."""
  if jax.process_count() > 1:
    # Where processes are named, the coordinator counts them. Else the devices
    # would meet in a collective, and give up long before.
    everyone = set(range(jax.process_count()))
    ocp.multihost.sync_global_processes(
      name, timeout=_PATIENCE, processes=everyone
    )


def in_order(name: str, function: Callable[[], None]) -> None:
  """Calls a function in the first process, and when it is done in the others.

  For writing what all need, to a folder that they share or to each one's own.
  `name` tells such calls apart.
  """
  if is_first():
    function()
  wait(name)
  if not is_first():
    function()


def agree(value: bool) -> bool:
  """What the first process says."""
  if jax.process_count() == 1:
    return value
  return bool(multihost_utils.broadcast_one_to_all(np.array(value)))


def gather(name: str, value: Any) -> list[Any]:
  """The values, as JSON has them, of all processes; waits for the last one.

  `name` tells such calls apart.
  """
  if jax.process_count() == 1:
    return [value]
  wait(f"gather {name}")
  text = np.frombuffer(json.dumps(value).encode(), np.uint8)
  sizes = np.ravel(multihost_utils.process_allgather(np.array(text.size)))
  padded = np.zeros(sizes.max(), np.uint8)
  padded[: text.size] = text
  texts = multihost_utils.process_allgather(padded)
  return [
    json.loads(bytes(text[:size]))
    for text, size in zip(texts, sizes, strict=True)
  ]
