"""The program, stopped at a chosen moment: `killed_run.py HOW -- FLAGS`.

HOW is a JSON object: the "signal" that comes when the program does something of
a "kind" for the "nth" time, while it works on a "picture", "after" so many of
its iterations, and a "delay" of seconds later; {} to let it be. No file gets
longer than "room" bytes, as if the disk was full.

Kinds are the steps ("inversion", "prior", "albedo", "project", "shape"),
whenever progress is shown; "collection" of samples; and the files that are
about to be written: "latent", "save" and "commit" of a checkpoint, "stage",
"export", "figures" of a picture, "summary".
"""

import json
import os
import pathlib
import resource
import runpy
import signal
import sys
import threading

from gan2shape_jax import fitting, loop, report


class Moments:
  """Counts what happens, and stops the process at the chosen moment.

  Attributes:
    picture: that is being worked on; None before the first one.
    iteration: of the picture.
  """

  def __init__(self, workdir, how):
    self._workdir, self._how = pathlib.Path(workdir), how
    self._left = how.get("nth", 1)
    self.picture, self.iteration = None, 0

  def happens(self, kind):
    how = self._how
    if kind != how.get("kind") or self.iteration < how.get("after", 0):
      return
    if how.get("picture", self.picture) != self.picture:
      return
    self._left -= 1
    if self._left == 0:
      stop = lambda: os.kill(os.getpid(), signal.Signals[how["signal"]])  # noqa: E731
      if delay := how.get("delay"):
        threading.Timer(delay, stop).start()
      else:
        stop()

  def audit(self, event, args):
    """What Python is about to do to a file, in whatever thread."""
    if event == "open":
      path, _, flags = args
      writes = flags & (os.O_WRONLY | os.O_RDWR)
    elif event == "os.rename":
      path, writes = args[1], True
    else:
      return
    if not writes or not isinstance(path, str | os.PathLike):
      return
    path = pathlib.Path(path)
    if path.is_relative_to(self._workdir):
      self.happens(kind_of(path.relative_to(self._workdir).parts, event))


def kind_of(parts, event):
  """The kind of a file by its path in the folder of the run."""
  match parts:
    case ["latents", _]:
      return "latent"
    case ["checkpoints", *_]:
      return "commit" if event == "os.rename" else "save"
    case ["results", _, "stages", _]:
      return "stage"
    case ["results", _, "metrics.json" | "metrics.part.json"]:
      return "figures"
    case ["results", _, _]:
      return "export"
    case [name] if name.startswith(("metrics", "diagnostics")):
      return "summary"
  return "other"


def observe(moments):
  """Lets the program tell of its moments."""
  init, pool = loop.GroupLoop.__init__, fitting.Fitter._pool
  update = report.Progress.update
  before = 0

  def told_init(self, context, group, pictures, first):
    nonlocal before
    before = first
    moments.picture, moments.iteration = next(iter(group.fits)), 0
    init(self, context, group, pictures, first)

  def told_update(self, step, **options):
    update(self, step, **options)
    moments.iteration = step - before
    moments.happens(self._label.split()[-1])

  def told_pool(self, *args):
    moments.happens("collection")
    return pool(self, *args)

  loop.GroupLoop.__init__ = told_init
  fitting.Fitter._pool = told_pool
  report.Progress.update = told_update
  sys.addaudithook(moments.audit)


def main():
  how, flags = json.loads(sys.argv[1]), sys.argv[3:]
  (workdir,) = [f.partition("=")[2] for f in flags if "--workdir=" in f]
  observe(Moments(workdir, how))
  if room := how.get("room"):
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, room))
  sys.argv[1:] = flags
  runpy.run_module("gan2shape_jax.main", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
  main()
