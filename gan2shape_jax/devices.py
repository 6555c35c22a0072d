"""How a run is spread over devices.

A mesh has two axes. Along `fits`, devices work on different pictures: on
independent fits, which never communicate, or, in joint training, on pictures
whose gradients are averaged. Along `samples`, devices share the pseudo-samples
of one picture: a loss is the mean of what each of them finds for its part.

Pictures that are worked on at once are the rows of a spread: arrays of them
have a leading axis, split over `fits`. Functions are written for one row.
"""

import dataclasses
import enum
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding
from jax.sharding import PartitionSpec as P
from jaxtyping import PRNGKeyArray

FITS, SAMPLES = "fits", "samples"


class Kind(enum.Enum):
  """What the leading axis of a tree of arrays stands for.

  Attributes:
    FIXED: there is none; every device has a copy.
    ROWS: the rows of the spread.
    OWN: the rows, where each has networks of its own; none if they are shared.
    KEY: as OWN, of random keys; every row gets a key of its own nevertheless.
  """

  FIXED = enum.auto()
  ROWS = enum.auto()
  OWN = enum.auto()
  KEY = enum.auto()


@dataclasses.dataclass(frozen=True)
class Spread:
  """A way to use devices.

  Attributes:
    mesh: of axes `fits` and `samples`.
    each: rows for each device along `fits`.
    shared: whether all rows share their networks (joint training).
  """

  mesh: Mesh
  each: int = 1
  shared: bool = False

  @property
  def count(self) -> int:
    """Rows of all devices together."""
    return self.each * self.mesh.shape[FITS]

  @property
  def numbers(self) -> range:
    """The rows that lie on the devices of this process."""
    rows = self.mesh.devices[:, 0]
    mine = [d.process_index == jax.process_index() for d in rows]
    first = mine.index(True)
    return range(self.each * first, self.each * (first + sum(mine)))

  def spec(self, kind: Kind) -> P:
    """How a tree lies on the mesh."""
    whole = kind is Kind.FIXED or (self.shared and kind is not Kind.ROWS)
    return P() if whole else P(FITS)

  def place(self, tree: Any, kind: Kind) -> Any:
    """Puts arrays on the devices: all of them, or the rows of this process."""
    sharding = NamedSharding(self.mesh, self.spec(kind))
    if not self.mesh.is_multi_process:
      return jax.device_put(tree, sharding)
    put = jax.make_array_from_process_local_data
    return jax.tree.map(lambda x: put(sharding, np.asarray(x)), tree)

  def take(self, tree: Any, kind: Kind, row: int) -> Any:
    """One row of this process on its first device; `row` counts from 0."""
    device = jax.local_devices()[0]
    if self.spec(kind) != P(FITS):
      whole = jax.tree.map(lambda x: x.addressable_data(0), tree)
      return jax.device_put(whole, device)
    number = self.numbers[row]
    place = number % self.each  # on its device

    def part(x):
      for shard in x.addressable_shards:
        if (shard.index[0].start or 0) == number - place:
          return shard.data
      raise IndexError(f"row {row} is not on the devices of this process")

    return jax.device_put(pick(jax.tree.map(part, tree), place), device)

  # Below: what programs are made of.

  def rows(
    self, function: Callable[..., Any], *kinds: Kind
  ) -> Callable[..., Any]:
    """Spreads a function of one row, with arguments of these kinds.

    What it returns has the rows in front if any of its arguments has.
    """
    axes = [None if self.spec(kind) == P() else 0 for kind in kinds]
    if Kind.KEY in kinds:
      axes[kinds.index(Kind.KEY)] = 0

    def local(*args):
      args = [
        self.keys(arg) if kind is Kind.KEY else arg
        for kind, arg in zip(kinds, args, strict=True)
      ]
      return over_rows(function, axes, self.each)(*args)

    # What compilers and profilers show.
    local.__name__ = getattr(function, "__name__", local.__name__)
    out = Kind.FIXED if all(a is None for a in axes) else Kind.ROWS
    return self.shard(
      local, tuple(self.spec(kind) for kind in kinds), self.spec(out)
    )

  def shard(
    self, function: Callable[..., Any], in_specs: Any, out_specs: Any
  ) -> Callable[..., Any]:
    """`jax.shard_map` on the mesh."""
    return jax.shard_map(
      function,
      mesh=self.mesh,
      in_specs=in_specs,
      out_specs=out_specs,
      check_vma=False,
    )

  def keys(self, key: PRNGKeyArray) -> PRNGKeyArray:
    """Keys of the rows of a device, from their own or the shared one."""
    if not self.shared:
      return key
    row = self.each * jax.lax.axis_index(FITS) + jnp.arange(self.each)
    return jax.vmap(jax.random.fold_in, (None, 0))(key, row)

  def mean(self, tree: Any) -> Any:
    """Means over the devices that work on the same networks."""
    axes = (FITS,) * self.shared + (SAMPLES,) * (self.mesh.shape[SAMPLES] > 1)
    return jax.lax.pmean(tree, axes) if axes else tree


@jax.jit
def pick(tree: Any, index: int) -> Any:
  """One row of a tree of arrays; one program, where `x[index]` is one each."""
  return jax.tree.map(lambda x: x[index], tree)


def over_rows(
  function: Callable[..., Any], axes: Sequence[int | None], count: int
) -> Callable[..., Any]:
  """`jax.vmap`, except that one row is passed on as it is.

  With weights of its own for every row, a convolution becomes a grouped one,
  which is slower by far; one row needs none.
  """
  if count > 1 and any(axis is not None for axis in axes):
    return jax.vmap(function, axes)

  def one(*args):
    row = [
      arg if axis is None else jax.tree.map(lambda x: x[0], arg)
      for arg, axis in zip(args, axes, strict=True)
    ]
    result = function(*row)
    if all(axis is None for axis in axes):
      return result
    return jax.tree.map(lambda x: x[None], result)

  return one


def sample_axis() -> str | None:
  """Name of the axis of devices that share a batch of samples, if any do.

  Known while a program of a spread is traced; None elsewhere.
  """
  mesh = jax.sharding.get_abstract_mesh()
  return SAMPLES if mesh.shape.get(SAMPLES, 1) > 1 else None


def my_samples(tree: Any) -> Any:
  """This device's part of a batch of samples, the leading axis."""
  axis = sample_axis()
  if axis is None:
    return tree

  def part(x):
    size = len(x) // jax.lax.axis_size(axis)
    first = size * jax.lax.axis_index(axis)
    return jax.lax.dynamic_slice_in_dim(x, first, size)

  return jax.tree.map(part, tree)


def all_samples(tree: Any) -> Any:
  """The whole batch, from the parts of the devices that share it."""
  axis = sample_axis()
  if axis is None:
    return tree
  return jax.lax.all_gather(tree, axis, tiled=True)


def make_spread(
  devices: Sequence[jax.Device],
  rows: int,
  *,
  samples: int = 1,
  each: int = 1,
  shared: bool = False,
) -> Spread:
  """Spreads as many rows as there are, or as fit, over devices.

  Args:
    devices: at hand; in joint training those of all processes.
    rows: how many there are; in joint training exactly as many are spread.
    samples: devices that share the samples of one picture.
    each: rows that a device may have, of independent fits.
    shared: whether they share their networks.

  Raises:
    ValueError: the devices cannot be divided by `samples`.
  """
  if len(devices) % samples:
    raise ValueError(f"{len(devices)} devices are no multiple of {samples}")
  # Side by side, so that a process has successive rows: JAX numbers the chips
  # of a TPU slice line by line, across its hosts.
  devices = sorted(devices, key=lambda device: device.process_index)
  count = min(len(devices) // samples, rows)
  if shared:
    while rows % count:
      count -= 1
    each = rows // count
  else:
    each = min(each, -(-rows // count))
  grid = np.array(devices[: count * samples]).reshape(count, samples)
  mesh = Mesh(grid, (FITS, SAMPLES), axis_types=(AxisType.Auto,) * 2)
  return Spread(mesh, each, shared)
