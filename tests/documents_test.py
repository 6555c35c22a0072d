"""What the documents tell a user to type exists."""

import pathlib
import re

import pytest

from gan2shape_jax.config import default_config

ROOT = pathlib.Path(__file__).parents[1]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
# Where fields are named as on the command line.
SOURCES = [
  *DOCUMENTS,
  *sorted((ROOT / "configs").glob("*.py")),
  *sorted((ROOT / "gan2shape_jax").glob("*.py")),
]


def read_all(paths):
  return "\n".join(path.read_text() for path in paths)


def test_fields_of_the_configuration():
  named = re.findall(r"--config\.([a-z_.]*[a-z_])=", read_all(SOURCES))
  assert len(named) > 10
  fields = default_config()
  for name in set(named) - {"schedule.stage", "group.field"}:
    field = fields
    for part in name.split("."):
      field = field[part]


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_files_and_programs(path):
  text = path.read_text()
  named = re.findall(r"(?:configs|tools|benchmarks|tests)/\w+\.py", text)
  named += re.findall(r"\]\((?!http|#)([^)#]+)\)", text)
  for name in named:
    assert (ROOT / name).exists() or (path.parent / name).exists(), name
  modules = set(re.findall(r"python -m gan2shape_jax\.(\w+)", text)) - {"NAME"}
  assert all((ROOT / f"gan2shape_jax/{name}.py").exists() for name in modules)


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_sections_that_are_linked(path):
  text = path.read_text()
  titles = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
  anchors = {
    re.sub(r"[^\w -]", "", t.lower()).replace(" ", "-") for t in titles
  }
  assert set(re.findall(r"\]\(#([\w-]+)\)", text)) <= anchors
