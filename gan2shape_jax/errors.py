"""The one exception that a program turns into a message and exit code 2."""


class UserError(Exception):
  """Something the user can mend: one line that names the file and the remedy.

  Everything else that is raised is a defect of ours and keeps its traceback.
  """
