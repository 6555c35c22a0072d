import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan2shape_jax.local_state import LocalArgs, LocalHandler


def make_state(seed):
  key = jax.random.key(seed)
  params = {"kernel": jax.random.normal(key, (2, 3)), "bias": jnp.zeros(3)}
  return {"params": params, "iteration": jnp.int32(seed), "key": key}


def test_what_is_saved_comes_back(tmp_path):
  state, like = make_state(7), make_state(0)
  LocalHandler().save(tmp_path, LocalArgs(state))
  restored = LocalHandler().restore(tmp_path, LocalArgs(like))
  assert jax.tree.structure(restored) == jax.tree.structure(state)
  np.testing.assert_array_equal(
    restored["params"]["kernel"], state["params"]["kernel"]
  )
  assert restored["iteration"].dtype == jnp.int32
  draw = lambda key: jax.random.normal(key, (3,))  # noqa: E731
  np.testing.assert_array_equal(draw(restored["key"]), draw(state["key"]))


def test_another_tree_is_refused(tmp_path):
  LocalHandler().save(tmp_path, LocalArgs(make_state(0)))
  with pytest.raises(ValueError, match="zip"):
    LocalHandler().restore(tmp_path, LocalArgs({"iteration": jnp.int32(0)}))
