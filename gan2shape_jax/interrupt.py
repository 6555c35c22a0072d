"""Being asked to stop: machines that are lent are taken back by SIGTERM."""

import signal
from types import FrameType

import jax
from jax.experimental import multihost_utils


class Interrupt:
  """Notes SIGTERM while its context lasts; a second one kills as usual.

  Attributes:
    came: whether it came to this process; False if they stop together.

  Args:
    together: whether the processes of the run stop at the same step, because
      they train the same networks. JAX hears of the signal then.
  """

  def __init__(self, *, together: bool = False):
    self._together = together and jax.process_count() > 1
    self.came = False
    self._before = None

  def __enter__(self) -> "Interrupt":
    if not self._together:
      self._before = signal.signal(signal.SIGTERM, self._note)
    return self

  def __exit__(self, *exc_info) -> None:
    if not self._together:
      signal.signal(signal.SIGTERM, self._before)

  def requested(self, step: int) -> bool:
    """Whether to stop now; `step` grows, alike in all processes."""
    if self._together:
      return multihost_utils.reached_preemption_sync_point(step)
    return self.came

  def _note(self, number: int, frame: FrameType | None) -> None:
    self.came = True
    signal.signal(number, signal.SIG_DFL)
