"""Saving and restoring a run with orbax: atomic, asynchronous, resumable.

A checkpoint is the fitting state (a pytree) and its progress (a small JSON
object that says which picture and phase the state belongs to, so that the
restoring side knows the state's shapes before it reads them).
"""

import pathlib
from typing import Any

import orbax.checkpoint as ocp


class Checkpoints:
  """The checkpoints of one run; only the newest is kept.

  A context manager: leaving it waits for what is still being written.
  """

  def __init__(self, folder: pathlib.Path | str):
    options = ocp.CheckpointManagerOptions(
      max_to_keep=1, create=True, enable_async_checkpointing=True
    )
    self._manager = ocp.CheckpointManager(
      pathlib.Path(folder).absolute(), options=options
    )

  def __enter__(self) -> "Checkpoints":
    return self

  def __exit__(self, *exc_info) -> None:
    self._manager.close()

  def save(self, step: int, state: Any, progress: dict[str, Any]) -> None:
    """Starts writing; `step` grows from save to save.

    The arrays are copied before this returns, so they may be donated.
    """
    self._manager.save(
      step,
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
    """The newest state, with the structure, shapes and placement of `like`."""
    restored = self._manager.restore(
      self._manager.latest_step(),
      args=ocp.args.Composite(state=ocp.args.StandardRestore(like)),
    )
    return restored["state"]
