"""Settings for all tests, made before JAX is imported.

Tests compile the same programs again and again: each run of the loop builds its
own. A compilation cache, new for each run of the tests and shared by its
workers (which inherit the environment), saves most of that; optimised code does
not pay at these sizes.

Files of tests go to the workers one by one, those that take longest first.
"""

import gc
import os
import tempfile

import pytest

from gan2shape_jax import runtime

_LONG = (
  "resume_test.py",
  "spread_test.py",
  "train_test.py",
  "steps_test.py",
  "faults_test.py",
)

os.environ.setdefault(
  "JAX_COMPILATION_CACHE_DIR", tempfile.mkdtemp(prefix="gan2shape_jax_tests_")
)
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=0")
runtime.choose_emitters()


def pytest_collection_modifyitems(items):
  """Sorts the tests as said above; a long one last would run alone."""

  places = {name: place for place, name in enumerate(_LONG)}
  items.sort(key=lambda item: places.get(item.path.name, len(_LONG)))


@pytest.fixture(autouse=True, scope="module")
def _release_programs():
  """Lets go of each module's programs.

  A program on the CPU holds some dozens of memory mappings, and all tests
  together need more of them than Linux grants one process (`vm.max_map_count`,
  65,530): LLVM then dies of a segmentation fault.
  """
  yield
  import jax  # Not before the settings above.

  jax.clear_caches()
  gc.collect()
