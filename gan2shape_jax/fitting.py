"""Fitting the networks to pictures: the state, the phases, their loops.

Pictures come in rows (see `devices.py`) of p pictures each: arrays of them have
leading axes [n, p]. Of independent fits every row has networks of its own and
p = 1. In joint training the rows share theirs; every iteration trains on one
picture of each row, in shuffled epochs, and averages the rows' gradients.

The state goes through the phases of the schedule one chunk of iterations at a
time. A state between two chunks holds all that the rest depends on, so a fit
that goes on from it gives the numbers of an uninterrupted one: random keys are
folded from phase and iteration, and the pool of projected samples is made
again from the reconstruction that it was made from (`canonical`).
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import struct
from jax.sharding import NamedSharding, PartitionSpec
from jaxtyping import Array, Float, Int, PRNGKeyArray

from gan2shape_jax import convolutions, inference, optim, refinement, steps
from gan2shape_jax.chunks import make_chunk
from gan2shape_jax.devices import Kind, Spread, over_rows
from gan2shape_jax.models.networks import init_networks
from gan2shape_jax.schedule import TRAINABLE, Phase
from gan2shape_jax.system import System
from gan2shape_jax.types import Picture, Reconstruction

Params = dict[str, Any]


@struct.dataclass
class Best:
  """The trained networks after the window whose mean loss was the lowest.

  Attributes:
    params: of these networks.
    loss: that mean.
    total: the sum of the losses of the window that is not yet over.
  """

  params: Params
  loss: Float[Array, "*n"]
  total: Float[Array, "*n"]


@struct.dataclass
class Fit:
  """All that fits need to go on.

  All but `canonical` have an axis [n] in front if each row has its own.

  Attributes:
    params: of the five networks, by name.
    optimizer: moments of the networks that the current phase trains.
    iteration: of the current phase.
    key: of the current phase.
    canonical: the reconstructions [n, p] that step 1 gives an albedo and that,
      from step 2 on, the stage's samples are renderings of.
    best: what the phase ends with, where the configuration wants it so.
  """

  params: Params
  optimizer: optax.OptState
  iteration: Int[Array, "*n"]
  key: PRNGKeyArray
  canonical: Reconstruction
  best: Best | None = None


@dataclasses.dataclass(frozen=True)
class Fitter:
  """Takes fits through their phases; compiles each program once.

  Attributes:
    system: the fixed parts of the run.
    spread: the rows, and the devices that they lie on.
  """

  system: System
  spread: Spread

  def begin(
    self, pretrained: Params, seed: int, numbers: Any
  ) -> tuple[Params, PRNGKeyArray]:
    """Networks and keys of fits at their very beginning.

    Args:
      pretrained: networks to begin with, by name; the others are random.
      seed: of the run.
      numbers: tells fits apart: an integer for each row of this process, or
        one for all rows that share networks.
    """
    kinds = (Kind.FIXED, Kind.FIXED, Kind.OWN)
    arguments = (pretrained, np.uint32(seed), np.asarray(numbers, np.uint32))
    return _program(self, _begin, kinds)(
      *map(self.spread.place, arguments, kinds)
    )

  def enter(
    self,
    phase: Phase,
    index: int,
    pictures: Picture,
    key: PRNGKeyArray,
    params: Params,
    canonical: Reconstruction | None = None,
  ) -> Fit:
    """The state with which a phase begins, with a fresh optimiser.

    Args:
      phase: that begins,
      index: and its place in the schedule.
      pictures: what is being fitted, [n, p].
      key: of the whole fits.
      params: of the five networks.
      canonical: of the state that the phase before it ended with, if any.
    """
    if canonical is None or phase.step != "shape":
      canonical = self.reconstruct(params, pictures)
    start = _program(
      self, _enter, (Kind.OWN, Kind.OWN, Kind.FIXED), step=phase.step
    )
    optimizer, key, iteration, best = start(params, key, jnp.uint32(index))
    return Fit(params, optimizer, iteration, key, canonical, best)

  def reconstruct(self, params: Params, pictures: Picture) -> Reconstruction:
    """What the networks say of every picture, [n, p]."""
    found = _program(self, inference.reconstruct, (Kind.OWN, Kind.ROWS))
    return _each(functools.partial(found, params), pictures)

  def abstract(
    self, phase: Phase, pictures: Picture, key: PRNGKeyArray, params: Params
  ) -> Fit:
    """Shapes and shardings of a state of a phase, for restoring one."""
    enter = functools.partial(self.enter, phase, 0, pictures)
    shapes = jax.eval_shape(enter, key, params)

    def with_sharding(spec, tree):
      sharding = NamedSharding(self.spread.mesh, spec)
      return jax.tree.map(
        lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=sharding),
        tree,
      )

    is_spec = lambda x: isinstance(x, PartitionSpec)  # noqa: E731
    return jax.tree.map(with_sharding, self.specs, shapes, is_leaf=is_spec)

  @property
  def specs(self) -> Fit:
    """How the parts of a state lie on the mesh."""
    own, rows = map(self.spread.spec, (Kind.OWN, Kind.ROWS))
    return Fit(own, own, own, own, canonical=rows, best=own)

  def prepare(
    self,
    phase: Phase,
    frozen: Params,
    fit: Fit,
    pictures: Picture,
    *,
    stop: Callable[[], bool] = lambda: False,
  ) -> Any:
    """Computes what stays the same during a phase; the losses' data, [n, p].

    It does not share memory with the state, which the loop donates (consumes).

    Args:
      phase: that begins or goes on.
      frozen: weights that nobody trains.
      fit: the state.
      pictures: what is being fitted, [n, p].
      stop: asked between two batches of samples; if it says so, there is
        nothing, None.
    """
    if phase.step == "prior":
      return _each(_program(self, steps.prepare_prior, (Kind.ROWS,)), pictures)
    if phase.step == "albedo":
      prepare, options = steps.prepare_albedo, {"flip": phase.flip}
    else:
      prepare, options = steps.prepare_project, {}
    kinds = (Kind.FIXED, Kind.ROWS, Kind.ROWS)
    prepare = _program(self, prepare, kinds, **options)
    data = _each(functools.partial(prepare, frozen), pictures, fit.canonical)
    if phase.step != "shape":
      return data
    pool = self._pool(frozen, fit, data, stop)
    if pool is None:
      return None
    return steps.ShapeData(pictures.image, data.canonical.depth, pool)

  def _pool(self, frozen, fit, data, stop) -> steps.Samples | None:
    """Projected samples of every picture, [n, p, samples]."""
    pool = []
    for number in range(_columns(data)):
      picture, batches = _column(data, number), []
      for i in range(self.system.collect_batches):
        if stop():
          return None
        place = jnp.array([number, i])
        batches.append(self._batch(frozen, fit, picture, place))
      join = lambda *x: jnp.concatenate(x, axis=1)  # noqa: E731
      pool.append(jax.tree.map(join, *batches))
    return _stack(pool)

  def _batch(self, frozen, fit, data, place) -> steps.Samples:
    """A batch of projected samples of one picture of each row."""
    kinds = (Kind.OWN, Kind.FIXED, Kind.ROWS, Kind.KEY, Kind.FIXED)
    arguments = fit.params, frozen, data, fit.key, place
    iterations = self.system.refine_iterations
    if not iterations:
      return _program(self, _collect, kinds, batches=True)(*arguments)
    begin = _program(self, _begin_search, kinds, batches=True)
    search = begin(*arguments)
    search, _ = _refine(self)(search, frozen, data, length=iterations)
    kinds = (Kind.ROWS, Kind.FIXED, Kind.ROWS)
    return _program(self, refinement.end, kinds)(search, frozen, data)

  def chunk(
    self, phase: Phase, *, on_device: bool | None = None
  ) -> Callable[..., tuple[Fit, dict[str, Any]]]:
    """The compiled loop of a kind of phase: `(fit, frozen, data, length=n)`.

    One program per step and flip, whatever the stage and the pictures. Its
    metrics are [length, n], or [length] where networks are shared.
    """
    return _chunk(self, phase.step, phase.flip, on_device)

  def window_left(self, done: int) -> int | None:
    """Iterations up to the end of a window, where a chunk has to end, too."""
    window = self.system.keep_best
    return window - done % window if window else None

  def note_best(self, fit: Fit, losses: np.ndarray, done: int) -> Fit:
    """Remembers the networks if a window's mean loss is the lowest so far.

    Args:
      fit: as a chunk left it.
      losses: the totals of the chunk, [length, n] of this process.
      done: iterations of the phase so far. Up to the end of the first window
        the last networks are the best; one that is cut short does not count.
    """
    if fit.best is None:
      return fit
    note = _program(self, _note_best, (Kind.OWN,) * 3 + (Kind.FIXED,))
    total = self.spread.place(losses.sum(0), Kind.OWN)
    is_over = np.bool_(done % self.system.keep_best == 0)
    return fit.replace(best=note(fit.params, fit.best, total, is_over))

  def take_best(self, fit: Fit) -> Fit:
    """The state at the end of a phase, with the best networks if noted."""
    if fit.best is None:
      return fit
    return fit.replace(params=fit.params | fit.best.params)


@functools.cache
def _chunk(fitter: Fitter, step: str, flip: bool, on_device: bool | None):
  system, spread = fitter.system, fitter.spread
  loss_function = steps.LOSSES[step]
  optimizer = system.optimizers[step]
  names = TRAINABLE[step]

  def row_loss(params, frozen, iteration, key, data):
    """The loss of a row's turn; data [p]."""
    _, order_key = jax.random.split(key)
    count = len(jax.tree.leaves(data)[0])
    picture, visit = turn(order_key, iteration, count)
    if step == "shape":
      data = steps.draw_batch(
        data, order_key, picture=picture, visit=visit, size=system.batch_size
      )
    else:
      data = jax.tree.map(lambda x: x[picture], data)
    key = jax.random.fold_in(key, iteration)
    total, terms = loss_function(system, params, frozen, data, key, flip)
    return {"total": total, **terms}

  def iterate(fit: Fit, frozen: Params, keys: PRNGKeyArray, data: Any):
    """One iteration of one set of networks; keys [n], data [n, p]."""
    trainable, fixed = optim.split_trainable(fit.params, names)

    def loss(trainable):
      params = trainable | fixed
      rows = over_rows(row_loss, (None, None, None, 0, 0), len(keys))
      terms = rows(params, frozen, fit.iteration, keys, data)
      terms = jax.tree.map(jnp.mean, terms)
      return terms["total"], terms

    gradient, terms = spread.mean(jax.grad(loss, has_aux=True)(trainable))
    updates, moments = optimizer.update(gradient, fit.optimizer, trainable)
    fit = fit.replace(
      params=optax.apply_updates(trainable, updates) | fixed,
      optimizer=moments,
      iteration=fit.iteration + 1,
    )
    return fit, terms

  if spread.shared:
    fixed, rows = map(spread.spec, (Kind.FIXED, Kind.ROWS))
    state = fitter.specs
    spread_step = spread.shard(
      lambda fit, frozen, data: iterate(
        fit, frozen, spread.keys(fit.key), data
      ),
      in_specs=(state, fixed, rows),
      out_specs=(state, fixed),
    )
  else:
    add_row = functools.partial(jax.tree.map, lambda x: x[None])
    spread_step = spread.rows(
      lambda fit, frozen, data: iterate(fit, frozen, *add_row((fit.key, data))),
      Kind.OWN,
      Kind.FIXED,
      Kind.ROWS,
    )
  spread_step.__name__ = f"{step}_step"
  # The other steps learn from a single picture, if from others beside it.
  options = convolutions.for_batches() if step == "project" else None
  return make_chunk(spread_step, on_device=on_device, compiler_options=options)


@functools.cache
def _program(
  fitter: Fitter,
  function: Callable[..., Any],
  kinds: tuple[Kind, ...],
  *,
  batches: bool = False,
  **options: Any,
) -> Callable[..., Any]:
  """Compiled `function(system, ...)` of one row, spread over the devices.

  What convolves batches cannot be traced as a part of another program.
  """

  def of_row(*args):
    return function(fitter.system, *args, **options)

  of_row.__name__ = function.__name__
  return jax.jit(
    fitter.spread.rows(of_row, *kinds),
    compiler_options=convolutions.for_batches() if batches else None,
  )


def _begin(system, pretrained, seed, number):
  key = jax.random.fold_in(jax.random.key(seed), number)
  return init_networks(system.networks, key) | pretrained, key


def _enter(system, params, key, index, *, step):
  trainable, _ = optim.split_trainable(params, TRAINABLE[step])
  moments = system.optimizers[step].init(trainable)
  best = None
  if system.keep_best and step == "shape":
    # Copies: the loop consumes the networks.
    copies = jax.tree.map(jnp.copy, trainable)
    best = Best(copies, jnp.float32(jnp.inf), jnp.float32(0))
  return moments, jax.random.fold_in(key, index), jnp.int32(0), best


def _note_best(system, params, best, total, is_over):
  total = best.total + total
  loss = jnp.where(is_over, total / system.keep_best, jnp.inf)
  total = jnp.where(is_over, 0.0, total)
  found = Best({name: params[name] for name in best.params}, loss, total)
  better = (loss < best.loss) | jnp.isinf(best.loss)
  keep = functools.partial(jnp.where, better)
  return jax.tree.map(keep, found, best.replace(total=total))


def _collect(system, params, frozen, data, key, place):
  """One batch of samples; `place`: number of the picture and of the batch."""
  return steps.collect(system, params, frozen, data, _batch_key(key, place))


def _begin_search(system, params, frozen, data, key, place):
  """One batch of samples whose refinement begins; `place` as above."""
  return refinement.begin(system, params, frozen, data, _batch_key(key, place))


def _batch_key(key, place):
  key, _ = jax.random.split(key)
  return jax.random.fold_in(jax.random.fold_in(key, place[0]), place[1])


@functools.cache
def _refine(fitter: Fitter) -> Callable[..., tuple[refinement.Search, Any]]:
  """The compiled loop of the refinement: `(search, frozen, data, length=n)`."""
  refine = functools.partial(refinement.refine, fitter.system)

  def step(search, frozen, data):
    return refine(search, frozen, data), {}

  kinds = (Kind.ROWS, Kind.FIXED, Kind.ROWS)
  rows = fitter.spread.rows(step, *kinds)
  rows.__name__ = "refine_step"
  return make_chunk(rows, compiler_options=convolutions.for_batches())


def turn(
  key: PRNGKeyArray, iteration: Int[Array, ""], count: int
) -> tuple[Int[Array, ""], Int[Array, ""]]:
  """Whose turn it is among `count` pictures, and how often it was before.

  Every picture has its turn once in an epoch, in an order of its own.
  """
  visit = iteration // count
  order = jax.random.permutation(jax.random.fold_in(key, visit), count)
  return order[iteration % count], visit


def _each(function: Callable[..., Any], *trees: Any) -> Any:
  """Applies a function to the p pictures of all rows [n, p] in turn.

  Memory stays that of one picture for each row.
  """
  count = _columns(trees)
  return _stack([function(*_column(trees, i)) for i in range(count)])


def _columns(tree):
  return jax.tree.leaves(tree)[0].shape[1]


@jax.jit
def _column(tree, index):
  return jax.tree.map(lambda x: x[:, index], tree)


@jax.jit
def _stack(columns):
  return jax.tree.map(lambda *x: jnp.stack(x, axis=1), *columns)
