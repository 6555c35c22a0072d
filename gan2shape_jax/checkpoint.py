"""Saving and restoring a run with orbax: atomic, asynchronous, resumable.

A checkpoint is the fitting state (a pytree) and its progress (a small JSON
object that says which pictures and phase the state belongs to, so that the
restoring side knows the state's shapes before it reads them).

A checkpoint appears at once or not at all: whoever is killed while one is being
written finds the one before it.
"""

import contextlib
import pathlib
import shutil
import textwrap
from collections.abc import Iterator
from typing import Any

import jax
import orbax.checkpoint as ocp

from gan2shape_jax.errors import UserError
from gan2shape_jax.local_state import LocalArgs, LocalHandler


class Checkpoints:
  """The checkpoints of one run; only the newest is kept.

  A context manager: leaving it waits for what is still being written.

  Args:
    folder: for the checkpoints.
    together: whether all processes of the run write one state, to a folder that
      they share. Otherwise each process writes its own.

  Raises:
    UserError: by all methods; a checkpoint cannot be read, or one could not be
      written, which is noticed at the next call that writes or waits.
  """

  def __init__(self, folder: pathlib.Path | str, *, together: bool = False):
    folder = pathlib.Path(folder).absolute()
    processes, handlers = ocp.options.MultiprocessingOptions(), None
    self._args = ocp.args.StandardSave, ocp.args.StandardRestore
    if jax.process_count() > 1 and not together:
      index = jax.process_index()
      folder = folder / f"process_{index}"  # Numbers are checkpoints.
      processes = ocp.options.MultiprocessingOptions(
        primary_host=index,
        active_processes={index},
        barrier_sync_key_prefix=f"process_{index}",
      )
      progress = ocp.JsonCheckpointHandler(multiprocessing_options=processes)
      handlers = {"state": LocalHandler(), "progress": progress}
      self._args = LocalArgs, LocalArgs
    folder.mkdir(parents=True, exist_ok=True)
    self._folder = folder
    options = ocp.CheckpointManagerOptions(
      max_to_keep=1,
      create=False,
      cleanup_tmp_directories=True,
      enable_async_checkpointing=True,
      multiprocessing_options=processes,
    )
    self._manager = ocp.CheckpointManager(
      folder, options=options, item_handlers=handlers
    )
    self._step = self._manager.latest_step() or 0

  def __enter__(self) -> "Checkpoints":
    return self

  def __exit__(self, kind, error, traceback) -> None:
    try:
      with self._writing():
        self._manager.close()
    except UserError:
      if error is None:  # Otherwise that is what stopped the run.
        raise

  def save(self, state: Any, progress: dict[str, Any]) -> None:
    """Starts writing.

    The arrays are copied before this returns, so they may be donated.
    """
    self._step += 1
    with self._writing():
      # Orbax would find out too, but with hundreds of tracebacks on the screen.
      size = sum(leaf.nbytes for leaf in jax.tree.leaves(state))
      if shutil.disk_usage(self._folder).free < size:
        raise OSError(f"no room for its {size} bytes")
      self._manager.save(
        self._step,
        args=ocp.args.Composite(
          state=self._args[0](state),
          progress=ocp.args.JsonSave(progress),
        ),
      )

  def wait(self) -> None:
    """Waits until all is written."""
    with self._writing():
      self._manager.wait_until_finished()

  def latest_progress(self) -> dict[str, Any] | None:
    """What the newest checkpoint belongs to; None without a checkpoint."""
    return self._restore(progress=ocp.args.JsonRestore())

  def restore(self, like: Any) -> Any:
    """The newest state, with the structure, shapes and shardings of `like`."""
    return self._restore(state=self._args[1](like))

  def _restore(self, **item: ocp.args.CheckpointArgs) -> Any:
    """One item of the newest checkpoint; None if there is none."""
    step = self._manager.latest_step()
    if step is None:
      return None
    # Damaged files surface as exceptions of any type.
    with self._answering(
      "cannot be read", "remove the folder, and what was under way begins anew"
    ):
      (name,) = item
      return self._manager.restore(step, args=ocp.args.Composite(**item))[name]

  def _writing(self) -> contextlib.AbstractContextManager[None]:
    # So do full disks, from the threads that write.
    return self._answering(
      "cannot be written", "make room, or choose another --workdir"
    )

  @contextlib.contextmanager
  def _answering(self, problem: str, remedy: str) -> Iterator[None]:
    try:
      yield
    except Exception as error:
      reason = textwrap.shorten(str(error), 200, placeholder=" ...")
      raise UserError(
        f"{self._folder}: the checkpoint {problem} ({reason}); {remedy}"
      ) from error
