import shutil

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from full_disk import full_disk

from gan2shape_jax.checkpoint import Checkpoints
from gan2shape_jax.errors import UserError


def make_state(seed):
  key = jax.random.key(seed)
  params = {"depth": {"kernel": jax.random.normal(key, (3, 2))}}
  optimizer = optax.adam(1e-3).init(params)
  return {"params": params, "optimizer": optimizer, "key": key}


def assert_equal(a, b):
  def check(x, y):
    if jnp.issubdtype(x.dtype, jax.dtypes.prng_key):
      x, y = jax.random.key_data(x), jax.random.key_data(y)
    np.testing.assert_array_equal(x, y)

  assert jax.tree.structure(a) == jax.tree.structure(b)
  jax.tree.map(check, a, b)


def test_newest_state_and_progress_come_back(tmp_path):
  with Checkpoints(tmp_path) as checkpoints:
    assert checkpoints.latest_progress() is None
    for step in (1, 2):
      checkpoints.save(make_state(step), {"phase": step})
  with Checkpoints(tmp_path) as checkpoints:
    assert checkpoints.latest_progress() == {"phase": 2}
    like = jax.eval_shape(lambda: make_state(0))
    assert_equal(checkpoints.restore(like), make_state(2))


def test_saved_arrays_may_be_donated(tmp_path):
  state = make_state(1)
  expected = jax.tree.map(jnp.copy, state)
  with Checkpoints(tmp_path) as checkpoints:
    checkpoints.save(state, {})
    jax.block_until_ready(
      jax.jit(
        lambda s: jax.tree.map(lambda x: x * 0, s["params"]),
        donate_argnums=0,
      )(state)
    )
  with Checkpoints(tmp_path) as checkpoints:
    assert_equal(checkpoints.restore(expected), expected)


def damage(folder, what):
  """Damages the one checkpoint there is."""
  (step,) = (path for path in folder.iterdir() if path.name.isdigit())
  if what == "emptied":
    shutil.rmtree(step)
    step.mkdir()
  elif what == "no state":
    shutil.rmtree(step / "state")
  else:
    # All of them: what processes wrote is merged, and then read no more; which
    # file is the largest changes from run to run.
    files = list(step.rglob(what))
    assert files
    for file in files:
      file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


@pytest.mark.parametrize(
  "what", ["emptied", "no state", "progress/metadata", "_METADATA", "d/*"]
)
def test_a_damaged_checkpoint_is_answered(tmp_path, what):
  """All failures that orbax has for it, of many types."""
  with Checkpoints(tmp_path) as checkpoints:
    checkpoints.save(make_state(1), {"phase": 1})
  damage(tmp_path, what)
  message = (
    rf"{tmp_path}: the checkpoint cannot be read \(.*; remove the folder"
  )
  with Checkpoints(tmp_path) as checkpoints:
    with pytest.raises(UserError, match=message) as answer:
      assert checkpoints.latest_progress() == {"phase": 1}
      checkpoints.restore(make_state(0))
    assert "\n" not in str(answer.value) and len(str(answer.value)) < 500
  shutil.rmtree(tmp_path)
  with Checkpoints(tmp_path) as checkpoints:
    assert checkpoints.latest_progress() is None


def test_leftovers_of_interrupted_saves_do_no_harm(tmp_path):
  with Checkpoints(tmp_path) as checkpoints:
    checkpoints.save(make_state(1), {"phase": 1})
  for name in ("2.orbax-checkpoint-tmp", "3.orbax-checkpoint-tmp"):
    shutil.copytree(tmp_path / "1/state", tmp_path / name / "state")
  for phase in (1, 2):
    with Checkpoints(tmp_path) as checkpoints:
      assert checkpoints.latest_progress() == {"phase": phase}
      assert_equal(checkpoints.restore(make_state(0)), make_state(phase))
      checkpoints.save(make_state(phase + 1), {"phase": phase + 1})
  assert [path.name for path in tmp_path.iterdir()] == ["3"]


def make_large(seed):
  return {"noise": jax.random.normal(jax.random.key(seed), (200, 200))}


@pytest.mark.parametrize("call", ["save", "wait", "exit"])
def test_a_checkpoint_that_cannot_be_written_is_answered(tmp_path, call):
  """At whatever call comes next; what was there before is whole."""
  with Checkpoints(tmp_path) as checkpoints:
    checkpoints.save(make_large(1), {"phase": 1})
  with (
    pytest.raises(UserError, match=rf"{tmp_path}: .* written .*; make room"),
    full_disk(20_000),
    Checkpoints(tmp_path) as checkpoints,
  ):
    checkpoints.save(make_large(2), {"phase": 2})
    if call == "save":
      checkpoints.save(make_large(3), {"phase": 3})
    elif call == "wait":
      checkpoints.wait()
    else:
      assert call == "exit"
  with Checkpoints(tmp_path) as checkpoints:
    assert checkpoints.latest_progress() == {"phase": 1}
    assert_equal(checkpoints.restore(make_large(0)), make_large(1))


def test_a_full_disk_is_noticed_before_writing(tmp_path, monkeypatch):
  usage = shutil.disk_usage(tmp_path)._replace(free=100_000)
  monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
  with Checkpoints(tmp_path) as checkpoints:
    checkpoints.save(make_state(1), {"phase": 1})
    with pytest.raises(UserError, match=r"no room for its 160000 bytes"):
      checkpoints.save(make_large(2), {"phase": 2})
    assert checkpoints.latest_progress() == {"phase": 1}


def test_a_failed_save_does_not_hide_another_exception(tmp_path):
  with (
    pytest.raises(ZeroDivisionError),
    full_disk(20_000),
    Checkpoints(tmp_path) as checkpoints,
  ):
    checkpoints.save(make_large(1), {})
    raise ZeroDivisionError
