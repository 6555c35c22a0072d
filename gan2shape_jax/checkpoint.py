"""Saving and restoring a run with orbax: atomic, asynchronous, resumable.

A checkpoint is the fitting state (a pytree) and its progress (a small JSON
object that says which pictures and phase the state belongs to, so that the
restoring side knows the state's shapes before it reads them).
"""

import pathlib
from typing import Any

import jax
import orbax.checkpoint as ocp


class Checkpoints:
  """The checkpoints of one run; only the newest is kept.

  A context manager: leaving it waits for what is still being written.

  Args:
    folder: for the checkpoints.
    together: whether all processes of the run write one state, to a folder that
      they share. Otherwise each process writes its own.
  """

  def __init__(self, folder: pathlib.Path | str, *, together: bool = False):
    folder = pathlib.Path(folder).absolute()
    processes = ocp.options.MultiprocessingOptions()
    if jax.process_count() > 1 and not together:
      index = jax.process_index()
      folder = folder / str(index)
      processes = ocp.options.MultiprocessingOptions(
        primary_host=index,
        active_processes={index},
        barrier_sync_key_prefix=f"process_{index}",
      )
    folder.mkdir(parents=True, exist_ok=True)
    options = ocp.CheckpointManagerOptions(
      max_to_keep=1,
      create=False,
      cleanup_tmp_directories=True,
      enable_async_checkpointing=True,
      multiprocessing_options=processes,
    )
    self._manager = ocp.CheckpointManager(folder, options=options)
    self._step = self._manager.latest_step() or 0

  def __enter__(self) -> "Checkpoints":
    return self

  def __exit__(self, *exc_info) -> None:
    self._manager.close()

  def save(self, state: Any, progress: dict[str, Any]) -> None:
    """Starts writing.

    The arrays are copied before this returns, so they may be donated.
    """
    self._step += 1
    self._manager.save(
      self._step,
      args=ocp.args.Composite(
        state=ocp.args.StandardSave(state),
        progress=ocp.args.JsonSave(progress),
      ),
    )

  def latest_progress(self) -> dict[str, Any] | None:
    """What the newest checkpoint belongs to; None without a checkpoint."""
    step = self._manager.latest_step()
    if step is None:
      return None
    restored = self._manager.restore(
      step, args=ocp.args.Composite(progress=ocp.args.JsonRestore())
    )
    return restored["progress"]

  def restore(self, like: Any) -> Any:
    """The newest state, with the structure, shapes and shardings of `like`."""
    restored = self._manager.restore(
      self._manager.latest_step(),
      args=ocp.args.Composite(state=ocp.args.StandardRestore(like)),
    )
    return restored["state"]
