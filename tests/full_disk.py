"""A limit of the size of files in the place of a full disk."""

import contextlib
import resource
import signal


@contextlib.contextmanager
def full_disk(size):
  """Writing more than `size` bytes to a file fails, with an OSError."""
  handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
  soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
  resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
  try:
    yield
  finally:
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    signal.signal(signal.SIGXFSZ, handler)
