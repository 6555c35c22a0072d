"""What programs turn into a message: a mistake (exit code 2), a stop (0)."""


class UserError(Exception):
  """Something the user can mend: one line that names the file and the remedy.

  Everything else that is raised is a defect of ours and keeps its traceback.
  """


class Interrupted(Exception):
  """A run stopped because it was asked to; it has saved what it had."""
