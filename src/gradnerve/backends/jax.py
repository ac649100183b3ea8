"""JAX's arrays: what they lack, and what they call by another name.

Names that are not here are those of `common.py`, or of `jax.numpy`. JAX makes float32 of float64
unless told otherwise; it is told otherwise as this file is loaded, for the whole process.
"""

from __future__ import annotations

import functools
import math
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import jax
import jax.extend
import jax.scipy.linalg
import jax.scipy.special
import numpy as np
from jax import lax
from jax import numpy as namespace
from numpy.lib.array_utils import normalize_axis_tuple

from gradnerve import errors
from gradnerve.backends import common
from gradnerve.backends import numpy as numpy_kernels

if TYPE_CHECKING:
    from gradnerve.ops.window import Window

Array = Any

jax.config.update("jax_enable_x64", True)

__getattr__ = common.names_of(globals(), namespace)

DTYPES = {
    "bool", "uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64", "bfloat16",
    "float16", "float32", "float64", "complex64", "complex128",
}  # fmt: skip

# --- Values and devices ---------------------------------------------------------------------------


def placed(array: Any, device: Any) -> Array:
    """An array of NumPy or JAX on a device (None: where it is, or JAX's usual one).

    NumPy's is copied: JAX's arrays never change, so they share no memory with one that may.
    """
    if isinstance(array, np.ndarray):
        native = array.astype(array.dtype.newbyteorder("="), copy=False)
        if native.dtype.name not in DTYPES:
            raise TypeError(errors.no_such_dtype("JAX", native.dtype))
        array = namespace.array(native)
    return array if device is None else jax.device_put(array, device)


def from_dlpack(array: Any) -> Array:
    """A copy, on the same device, of another library's array."""
    return namespace.array(namespace.from_dlpack(array), copy=True)


def to_numpy(array: Array) -> np.ndarray:
    """The array in NumPy, read-only: on the CPU without a copy."""
    return np.asarray(array)


def is_concrete(array: Array) -> bool:
    """Whether the numbers are known, and not only shape and dtype, as inside of jax.jit."""
    return not isinstance(array, jax.core.Tracer)


def device_of(array: Array) -> None:
    """None: what is made without a device goes where the arrays are that it meets."""
    return


def device_named(name: str) -> Any:
    """The device "cpu", "gpu", "gpu:1". ValueError where it does not exist."""
    platform, _, index = name.partition(":")
    try:
        return jax.devices(platform)[int(index or 0)]
    except (IndexError, RuntimeError, ValueError):
        known = [f"'{d.platform}:{d.id}'" for d in jax.devices()]
        raise ValueError(errors.no_such_device(name, "JAX", known)) from None


def on_host(kernel: Any, *arguments: Any) -> Any:
    """What NumPy's kernel gives; inside of jax.jit the compiled program calls it."""
    if all(is_concrete(a) for a in arguments):
        return common.on_host(kernel, *arguments)
    shapes = [np.ones(a.shape, a.dtype) if hasattr(a, "shape") else a for a in arguments]
    model = np.asarray(kernel(*shapes))
    result = jax.ShapeDtypeStruct(model.shape, model.dtype)
    places = [i for i, a in enumerate(arguments) if hasattr(a, "shape")]

    def call(*arrays: Any) -> np.ndarray:
        values = list(arguments)
        for i, array in zip(places, arrays, strict=True):
            values[i] = np.asarray(array)
        return np.asarray(kernel(*values))

    return jax.pure_callback(call, result, *(arguments[i] for i in places))


# --- Elementwise ----------------------------------------------------------------------------------

cbrt, exp2, fmax, fmin, fmod = (
    namespace.cbrt, namespace.exp2, namespace.fmax, namespace.fmin, namespace.fmod,
)  # fmt: skip
complex_expm1, special = namespace.expm1, functools.partial(common.special, jax.scipy.special)


# --- Indices --------------------------------------------------------------------------------------


def _key(x: Array, key: Any) -> tuple[Any, ...]:
    """A key for x. JAX moves what is out of range to the edge; where it can be seen, we raise."""
    parts = common.parts_of(key)
    for i, axis in common.axes_of_parts(parts, x.ndim):
        if not isinstance(parts[i], slice) and is_concrete(parts[i]):
            array, n = np.asarray(parts[i]), x.shape[axis]
            if array.dtype.kind in "iu" and array.size and not -n <= array.min() <= array.max() < n:
                raise IndexError(errors.out_of_range(int(array.flat[0]), axis, n))
    return parts


def getitem(x: Array, key: Any) -> Array:
    """x[key]."""
    return x[_key(x, key)]


def add_at(x: Array, places: Array, n: int) -> Array:
    """Zeros, n along the last axis, with the elements of x added at their places."""
    return namespace.zeros((*x.shape[:-1], n), dtype=x.dtype).at[..., places].add(x)


def max_at(x: Array, places: Array, n: int) -> Array:
    """Zeros (n,) with the greatest element of x, (N,), that has its place there."""
    return namespace.zeros(n, dtype=x.dtype).at[places].max(x)


def scatter_add(x: Array, key: Any, shape: tuple[int, ...]) -> Array:
    """Zeros of `shape` with x added at `key`, repeated places several times."""
    out = namespace.zeros(shape, dtype=x.dtype)
    return out.at[_key(out, key)].add(x)


def write(x: Array, key: Any, value: Any) -> Array:
    """A copy of x with `value` at x[key]."""
    value = common.value_for(x, key, value)
    parts = _key(x, key)
    if is_concrete(x):  # inside of jax.jit a mask has no size yet
        common.check_shape(value, x[parts].shape)
    return x.at[parts].set(value) if common.names_once(parts) else common.written(x, parts, value)


def permute_dims(x: Array, axes: Any) -> Array:
    """The axes in another order."""
    return namespace.permute_dims(x, normalize_axis_tuple(axes, x.ndim))


concat, reshape = map(common.fitting, (namespace.concat, namespace.reshape))


def pad(x: Array, margins: Any, mode: str, **options: Any) -> Array:
    """x inside margins: a pair (before, after) for each axis."""
    return namespace.pad(x, margins, mode, **options)


def diagonal(x: Array, offset: int, axis1: int, axis2: int) -> Array:
    """The diagonal of the plane of two axes, along a new last axis."""
    return namespace.diagonal(x, offset, axis1, axis2)


def einsum(x1: Array, x2: Array, subscripts: str) -> Array:
    """The sum of products "ij,jk->ik"."""
    return namespace.einsum(subscripts, x1, x2)


def isin(x1: Array, x2: Array, invert: bool) -> Array:
    """Whether elements of x1 are among those of x2."""
    return namespace.isin(x1, x2, invert=invert)


# --- Scans ----------------------------------------------------------------------------------------


def cumsum(x: Array, axis: int | None, dtype: Any) -> Array:
    """Running sums."""
    return namespace.cumsum(x, axis=axis, dtype=dtype)


def cumprod(x: Array, axis: int | None, dtype: Any) -> Array:
    """Running products."""
    return namespace.cumprod(x, axis=axis, dtype=dtype)


def logcumsumexp(x: Array, axis: int) -> Array:
    """Running log Σ eˣ."""
    return lax.cumlogsumexp(x, axis % x.ndim)


def cumulative_argmax(x: Array, axis: int) -> Array:
    """Where the running maximum is, the last place at a tie or of NaN."""
    return common.last_reached(x, lax.cummax(x, axis % x.ndim), axis % x.ndim, lax.cummax)


def cumulative_argmin(x: Array, axis: int) -> Array:
    """Where the running minimum is, the last place at a tie or of NaN."""
    return common.last_reached(x, lax.cummin(x, axis % x.ndim), axis % x.ndim, lax.cummax)


# --- Windows --------------------------------------------------------------------------------------

# Each adjoint is JAX's own transpose of a function that is linear, unless XLA compiles that badly.


def _one_dtype(*arrays: Array) -> tuple[Array, ...]:
    dtype = namespace.result_type(*arrays)
    return tuple(x.astype(dtype) for x in arrays)


def convolve(x: Array, weight: Array, window: Window, groups: int) -> Array:
    """(N, C, *S), (F, C/groups, *K) -> (N, F, *O)."""
    x, weight = _one_dtype(x, weight)
    return lax.conv_general_dilated(
        x, weight, window.stride, window.padding, rhs_dilation=window.dilation,
        feature_group_count=groups,
    )  # fmt: skip


def convolve_input(c: Array, weight: Array, window: Window, groups: int, shape: Any) -> Array:
    """The adjoint of `convolve` by x: (N, F, *O), (F, C/groups, *K) -> (N, C, *S) = shape."""
    c, weight = _one_dtype(c, weight)
    # Where few channels come out, XLA's convolution on the CPU takes up to six times as long.
    few = groups == 1 and shape[1] < 8 and set(window.stride) == {1}
    if few and jax.default_backend() == "cpu" and not (is_concrete(c) and is_concrete(weight)):
        return _convolve_input_by_columns(c, weight, window, shape)
    x = jax.ShapeDtypeStruct(shape, c.dtype)
    return jax.linear_transpose(lambda x: convolve(x, weight, window, groups), x)(c)[0]


def _convolve_input_by_columns(c: Array, weight: Array, window: Window, shape: Any) -> Array:
    """All that goes to one place of the kernel is added at once, in the memory order (C, *S, N)."""
    filters, inputs, *kernel = weight.shape
    batch, _, *out = c.shape
    columns = namespace.einsum("fck,fon->ckon", *(
        namespace.reshape(weight, (filters, inputs, math.prod(kernel))),
        namespace.reshape(namespace.moveaxis(c, 0, -1), (filters, math.prod(out), batch)),
    ))  # fmt: skip
    columns = namespace.reshape(columns, (inputs, math.prod(kernel), *out, batch))
    sizes = [a + n + b for n, (a, b) in zip(shape[2:], window.padding, strict=True)]
    total = namespace.zeros((inputs, *sizes, batch), dtype=c.dtype)
    for i, (_, part) in enumerate(numpy_kernels.places(window, tuple(out))):
        starts = (0, *(p.start for p in part), 0)
        total = lax.dynamic_update_slice(total, total[(slice(None), *part)] + columns[:, i], starts)
    total = total[(slice(None), *numpy_kernels.inside(window, shape)[1:])]
    return namespace.moveaxis(total, -1, 0)


def convolve_weight(c: Array, x: Array, window: Window, groups: int) -> Array:
    """The adjoint of `convolve` by the weight: (N, F, *O), (N, C, *S) -> (F, C/groups, *K)."""
    c, x = _one_dtype(c, x)
    shape = (c.shape[1], x.shape[1] // groups, *window.kernel)
    weight = jax.ShapeDtypeStruct(shape, c.dtype)
    return jax.linear_transpose(lambda weight: convolve(x, weight, window, groups), weight)(c)[0]


def _reduced(x: Array, window: Window, start: Any, combine: Any) -> Array:
    lengths, stride = (1, 1, *window.kernel), (1, 1, *window.stride)
    padding = ((0, 0), (0, 0), *window.padding)
    first = np.asarray(start, dtype=x.dtype)
    return lax.reduce_window(
        x, first, combine, lengths, stride, padding, window_dilation=(1, 1, *window.dilation)
    )


def window_max(x: Array, window: Window) -> Array:
    """(N, C, *S) -> (N, C, *O): the greatest value in each window."""
    return _reduced(x, window, common.lowest(x), lax.max)


def window_sum(x: Array, window: Window) -> Array:
    """(N, C, *S) -> (N, C, *O): the sum of each window."""
    return _reduced(x, window, 0, lax.add)


def window_spread(c: Array, window: Window, shape: Any) -> Array:
    """The adjoint of `window_sum`: each value of c at all places of its window, added up."""
    x = jax.ShapeDtypeStruct(shape, c.dtype)
    return jax.linear_transpose(lambda x: window_sum(x, window), x)(c)[0]


# --- Linear algebra -------------------------------------------------------------------------------

expm, eigvals = jax.scipy.linalg.expm, namespace.linalg.eigvals


def eig(x: Array) -> tuple[Array, ...]:
    """Eigenvalues and eigenvectors; complex numbers. JAX has them on the CPU only."""
    return tuple(namespace.linalg.eig(x))


# Of a Hermitian matrix one triangle is read, as in NumPy; JAX would take the mean of both.
linalg = SimpleNamespace(**vars(namespace.linalg))
linalg.cholesky = functools.partial(namespace.linalg.cholesky, symmetrize_input=False)
linalg.eigh = functools.partial(namespace.linalg.eigh, symmetrize_input=False)
linalg.eigvalsh = lambda x: linalg.eigh(x)[0]


def _matrix_rank(x: Array, rtol: Any = None) -> Array:
    if 0 in x.shape[-2:]:
        return namespace.zeros(x.shape[:-2], dtype=namespace.int64)
    return namespace.linalg.matrix_rank(x, rtol=rtol)


linalg.matrix_rank = _matrix_rank


# --- Compilation (`gradnerve.jit`) ----------------------------------------------------------------


class OtherShapes(Exception):
    """A program was called with other shapes than it was traced with."""


def is_array(value: Any) -> bool:
    """Whether a value is JAX's, a tracer included."""
    return isinstance(value, jax.Array)


def copied(array: Any) -> Array:
    """A copy."""
    return namespace.array(array, copy=True)


def uniform(seed: Array, count: int, shape: tuple[int, ...]) -> Array:
    """Random numbers from 0 to below 1, float32: the count-th of a seed (two uint32)."""
    key = jax.random.wrap_key_data(seed, impl="threefry2x32")
    return jax.random.uniform(jax.random.fold_in(key, count), shape, namespace.float32)


def seed_from(seed: Array, number: Any) -> Array:
    """Another seed, for each number one."""
    key = jax.random.wrap_key_data(seed, impl="threefry2x32")
    return jax.random.key_data(jax.random.fold_in(key, number))


def scan(f: Any, carry: list[Any], xs: list[Any], length: int, reverse: bool) -> Any:
    """A loop; f gets the carry, and the x and the number of its round."""
    rounds = namespace.arange(length)
    return lax.scan(f, carry, (xs, rounds), length=length, reverse=reverse)


def cond(pred: Any, if_true: Any, if_false: Any, arrays: list[Any]) -> list[Any]:
    """One of two functions of a list of arrays."""
    return lax.cond(namespace.asarray(pred, dtype=bool), if_true, if_false, arrays)


def while_loop(condition: Any, f: Any, arrays: list[Any]) -> list[Any]:
    """f again and again, while the condition holds."""
    return lax.while_loop(condition, f, arrays)


def traced(f: Any, *arguments: Any) -> Any:
    """What f computes, as JAX's expression. f is called with tracers in place of the arrays."""
    return jax.make_jaxpr(f)(*arguments)


def compiled(expression: Any, order: list[int], donated: int, like: dict[int, int]) -> Any:
    """The program of an expression: (arrays it may overwrite, other arrays, seed) -> results.

    `order` says which argument of the expression each array is, `like` which results are to lie on
    a mesh as which argument does.
    """
    evaluate = jax.extend.core.jaxpr_as_fun(expression)
    expected = [(a.shape, a.dtype) for a in expression.in_avals]

    def program(overwritten: list[Any], others: list[Any], seed: Any) -> list[Any]:
        flat = [None] * len(order) + [seed]
        for place, array in zip(order, (*overwritten, *others), strict=True):
            flat[place] = array
        if [(namespace.shape(a), namespace.result_type(a)) for a in flat] != expected:
            raise OtherShapes
        return evaluate(*flat)

    options: dict[str, Any] = {"donate_argnums": 0 if donated else ()}
    if jax.device_count() == 1:
        return jax.jit(program, **options)
    return _Placed(program, options, len(expression.out_avals), order, like)


class _Placed:
    """A program for each way in which its arrays lie on a mesh.

    (`shard_alike` would do with one, but takes all arrays of one shape to be alike.)
    """

    def __init__(
        self, program: Any, options: dict[str, Any], results: int, order: list[int],
        like: dict[int, int],
    ):  # fmt: skip
        self.program, self.options, self.results = program, options, results
        self.like = {result: order.index(place) for result, place in like.items()}
        self.programs: dict[Any, Any] = {}

    def __call__(self, *arguments: Any) -> Any:
        return self._fitting(*arguments)(*arguments)

    def lower(self, *arguments: Any) -> Any:
        return self._fitting(*arguments).lower(*arguments)

    def _fitting(self, overwritten: list[Any], others: list[Any], seed: Any) -> Any:
        flat = (*overwritten, *others)
        places: list[Any] = [None] * self.results  # None: as XLA likes
        for result, argument in self.like.items():
            place = getattr(flat[argument], "sharding", None)
            if isinstance(place, jax.sharding.NamedSharding):
                places[result] = place
        key = tuple(places)
        if key not in self.programs:
            self.programs[key] = jax.jit(self.program, out_shardings=places, **self.options)
        return self.programs[key]
