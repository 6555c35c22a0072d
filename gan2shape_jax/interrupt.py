"""Being asked to stop: by Ctrl-C, or by SIGTERM where machines are lent."""

import os
import signal
from types import FrameType

import jax
from jax.experimental import multihost_utils

_SIGNALS = signal.SIGTERM, signal.SIGINT
_NOTED = b"\nstopping, and saving what there is; once more kills at once\n"


class Interrupt:
  """Notes signals while its context lasts; a second one kills as usual.

  Attributes:
    came: whether it came to this process; False if they stop together.

  Args:
    together: whether the processes of the run stop at the same step, because
      they train the same networks. JAX hears of SIGTERM then, and of nothing
      else.
  """

  def __init__(self, *, together: bool = False):
    self._together = together and jax.process_count() > 1
    self.came = False
    self._before = {}

  def __enter__(self) -> "Interrupt":
    if not self._together:
      self._before = {s: signal.signal(s, self._note) for s in _SIGNALS}
    return self

  def __exit__(self, *exc_info) -> None:
    for number, handler in self._before.items():
      signal.signal(number, handler)

  def requested(self, step: int) -> bool:
    """Whether to stop now; `step` grows, alike in all processes."""
    if self._together:
      return multihost_utils.reached_preemption_sync_point(step)
    return self.came

  def _note(self, number: int, frame: FrameType | None) -> None:
    self.came = True
    os.write(2, _NOTED)  # What `print` does is not allowed here.
    for each in _SIGNALS:
      signal.signal(each, signal.SIG_DFL)
