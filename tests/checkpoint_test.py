import jax
import jax.numpy as jnp
import numpy as np
import optax

from gan2shape_jax.checkpoint import Checkpoints


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
