"""Who may import whom, read off the source; see the table in README.md."""

import ast
import pathlib

import pytest

ROOT = pathlib.Path(__file__).parents[1]
PACKAGE = ROOT / "gan2shape_jax"
MODULES = sorted(PACKAGE.rglob("*.py"))

# Module or folder -> what it may import of the package (prefixes, relative to
# the package). Everything may import `atomic`, `errors` and its own folder.
# What is not listed may import anything but `main`.
ALLOWED = {
  "atomic": (),
  "chunks": (),
  "checkpoint": ("local_state",),
  "config": (),
  "convolutions": (),
  "convert": ("models.architecture",),
  "data": ("types", "image_files", "masks"),
  "cli": ("hosts", "outcome", "runtime", "scores"),
  "decode": ("render",),
  "devices": (),
  "distributions": ("weights",),
  "diagnostics": (
    "inference",
    "losses",
    "programs",
    "render",
    "steps",
    "system",
  ),
  "distillation": ("chunks", "inference", "optim", "render", "system"),
  "errors": (),
  "groups": ("data", "devices"),
  "hosts": (),
  "image_files": (),
  "interrupt": (),
  "inversion": ("chunks", "devices", "latent_space", "losses"),
  "latent_space": ("models",),
  "local_state": (),
  "losses": ("render",),
  "masks": ("image_files",),
  "meshes": ("render", "types"),
  "methods": (),
  "metrics": ("render",),
  "models": (),
  "optim": (),
  "outcome": (),
  "parsing": ("models", "render", "weights"),
  "priors": ("render",),
  "refinement": ("devices", "losses", "steps", "system"),
  "render": (),
  "report": ("methods",),
  "plots": ("diagnostics",),
  "pretrained": ("models", "weights"),
  "runtime": (),
  "schedule": (),
  "scores": ("methods",),
  "sheets": (),
  "inference": ("decode", "render", "system", "types"),
  "steps": (
    "devices",
    "inference",
    "losses",
    "priors",
    "render",
    "system",
    "types",
  ),
  "sources": ("data", "models"),
  "synthetic": (),
  "types": ("render",),
  "views": ("render", "types"),
  "weights": (),
  "workdir": (),
}
# Outside packages that only some folders may import.
CONFINED = {
  "flax.linen": ("models",),
  "optax": (
    "optim",
    "system",
    "fitting",
    "inversion",
    "refinement",
    "distillation",
    "gan",
  ),
  "torch": (),
}


def imports_of(path):
  """Names of all modules that a file imports, wherever in the file."""
  names = []
  for node in ast.walk(ast.parse(path.read_text())):
    if isinstance(node, ast.Import):
      names += [alias.name for alias in node.names]
    elif isinstance(node, ast.ImportFrom):
      assert node.level == 0, f"{path}: relative import"
      names += [f"{node.module}.{alias.name}" for alias in node.names]
  return names


def owner_of(path):
  return path.relative_to(PACKAGE).with_suffix("").parts[0]


def starts_with(name, prefix):
  return name == prefix or name.startswith(prefix + ".")


@pytest.mark.parametrize(
  "path", MODULES, ids=lambda p: str(p.relative_to(ROOT))
)
def test_import_directions(path):
  owner = owner_of(path)
  for name in imports_of(path):
    for package, owners in CONFINED.items():
      assert not starts_with(name, package) or owner in owners, name
    assert not starts_with(name, "tools") and not starts_with(name, "tests")
    if not starts_with(name, "gan2shape_jax"):
      continue
    inner = name.removeprefix("gan2shape_jax").lstrip(".")
    assert not starts_with(inner, "main"), name
    if owner in ALLOWED:
      allowed = ("atomic", "errors", owner, *ALLOWED[owner])
      assert any(starts_with(inner, prefix) for prefix in allowed), name


def test_the_table_names_only_what_exists():
  owners = {owner_of(path) for path in MODULES}
  assert set(ALLOWED) <= owners
