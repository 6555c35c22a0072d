"""The optimiser, and which networks it changes."""

from collections.abc import Iterable
from typing import Any

import optax

Params = dict[str, Any]


def adam_with_l2(
  learning_rate: optax.ScalarOrSchedule, *, weight_decay: float
) -> optax.GradientTransformation:
  """PyTorch's `Adam(weight_decay=...)`: the decay goes through the moments.

  Adding `weight_decay * parameter` to the gradient before Adam is not AdamW,
  which decays outside of it. Every parameter decays, GroupNorm's included.
  Betas (0.9, 0.999) and eps 1e-8 are the defaults of both libraries.
  """
  return optax.chain(
    optax.add_decayed_weights(weight_decay), optax.adam(learning_rate)
  )


def split_trainable(
  params: Params, names: Iterable[str]
) -> tuple[Params, Params]:
  """Splits a dict into `(trainable, frozen)`; `|` joins the two again.

  Raises:
    ValueError: if `names` is empty or names something that `params` lacks.
  """
  names = set(names)
  unknown = names - params.keys()
  if unknown or not names:
    raise ValueError(
      f"cannot train {sorted(names)}: the parameters are {sorted(params)}"
    )
  trainable = {name: params[name] for name in params if name in names}
  frozen = {name: params[name] for name in params if name not in names}
  return trainable, frozen
