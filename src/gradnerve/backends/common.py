"""Kernels in the words of the Array API, for the libraries that have none of their own.

What only moves elements is a gather: NumPy's kernel is asked once, for the places that the elements
come from, and its adjoint adds up at those same places. Shapes and places are known without the
values, so this works under `jax.jit` too. Each library brings `add_at`.
"""

from __future__ import annotations

import builtins
import functools
import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from gradnerve import errors
from gradnerve.backends import (
    array_library,
    constant,
    device,
    is_complex,
    is_concrete,
    is_floating,
    kernels,
    kind_of,
)
from gradnerve.backends import numpy as numpy_kernels

if TYPE_CHECKING:
    from gradnerve.ops.window import Taps, Window

Array = Any


def places(shape: tuple[int, ...]) -> np.ndarray:
    """The elements' places, counted row by row, in an array of `shape`."""
    return np.arange(math.prod(shape)).reshape(shape)


def gathered(x: Array, where: np.ndarray) -> Array:
    """The elements of x at places that are counted row by row."""
    library = array_library(x)
    flat = library.reshape(x, (-1,))
    chosen = library.take(flat, constant(where.reshape(-1), x), axis=0)
    return library.reshape(chosen, where.shape)


def scattered(x: Array, where: np.ndarray, shape: tuple[int, ...]) -> Array:
    """The adjoint of `gathered`: zeros of `shape` with x added at the places."""
    library = array_library(x)
    flat = library.reshape(x, (-1,))
    out = kernels(x).add_at(flat, constant(where.reshape(-1), x), math.prod(shape))
    return library.reshape(out, shape)


def on_host(kernel: Any, *arguments: Any) -> Any:
    """What NumPy's kernel gives, in the library of the arguments: it computes on the CPU."""
    first = next(a for a in arguments if hasattr(a, "shape"))
    to_numpy = kernels(first).to_numpy
    result = kernel(*(to_numpy(a) if hasattr(a, "shape") else a for a in arguments))
    if isinstance(result, tuple):
        return tuple(constant(part, first) for part in result)
    return constant(np.asarray(result), first)


def names_of(module: dict[str, Any], namespace: Any) -> Any:
    """The `__getattr__` of a library's file: what it has not is here, or in its namespace.

    What is nowhere is computed on the host.
    """

    def found(name: str) -> Any:
        value = KERNELS.get(name) or getattr(namespace, name, None)
        if value is None:
            if name.startswith("_") or not hasattr(numpy_kernels, name):
                raise AttributeError(f"{namespace.__name__} has no {name!r}")
            value = functools.partial(module["on_host"], getattr(numpy_kernels, name))
        if not hasattr(builtins, name):  # the file itself may mean Python's `any`
            module[name] = value  # the next time it is there
        return value

    return found


def fitting(function: Any) -> Any:
    """A function that raises ValueError where shapes do not fit, as NumPy does."""

    @functools.wraps(function)
    def call(*args: Any, **options: Any) -> Any:
        try:
            return function(*args, **options)
        except (RuntimeError, TypeError) as error:
            raise ValueError(str(error)) from None

    return call


# --- Elementwise ----------------------------------------------------------------------------------


def floor_divide(x1: Array, x2: Array) -> Array:
    """⌊x1 / x2⌋, of infinities as the standard has it."""
    library = array_library(x1, x2)
    y = x1 // x2
    if not library.isdtype(y.dtype, "real floating"):
        return y
    x1, x2 = (library.asarray(x, dtype=y.dtype, device=device(y)) for x in (x1, x2))
    return library.where(library.isinf(x1) | library.isinf(x2), x1 / x2, y)


def sigmoid(x: Array) -> Array:
    """1 / (1 + e⁻ˣ), without overflow."""
    library = array_library(x)
    return library.exp(library.minimum(x, 0.0)) / (1.0 + library.exp(-library.abs(x)))


def special(functions: Any, name: str, *arguments: Any) -> Array:
    """One of the special functions: from `functions`, or SciPy's, on the host."""
    x = next(a for a in arguments if hasattr(a, "shape"))
    library = array_library(x)
    if not is_floating(x):
        arguments = tuple(
            library.astype(a, library.float64) if hasattr(a, "shape") else a for a in arguments
        )
    if name == "erfcinv":  # the quantile of the normal distribution, in other units
        return functions.ndtri(arguments[0] * 0.5) * -math.sqrt(0.5)
    if hasattr(functions, name) and not any(map(is_complex, arguments)):
        return getattr(functions, name)(*arguments)
    return kernels(x).on_host(functools.partial(numpy_kernels.special, name), *arguments)


def masked(x: Array, keep: Array, zero: Any = 0.0) -> Array:
    """x where `keep` holds, else zero."""
    return array_library(x).where(keep, x, zero)


# --- Moving elements ------------------------------------------------------------------------------


def repeat(x: Array, counts: np.ndarray, axis: int) -> Array:
    """Each element along an axis as many times as `counts` says."""
    library = array_library(x)
    where = np.repeat(np.arange(x.shape[axis]), counts)
    return library.take(x, constant(where, x), axis=axis)


def sum_runs(x: Array, counts: np.ndarray, axis: int) -> Array:
    """The sums of runs of neighbours along an axis, of these lengths."""
    return _added_along(x, np.repeat(np.arange(len(counts)), counts), len(counts), axis)


def extend(x: Array, before: Sequence[int], after: Sequence[int], axis: int) -> Array:
    """x between copies of its elements at some places of an axis."""
    where = np.asarray([*before, *range(x.shape[axis]), *after], dtype=np.int64)
    return array_library(x).take(x, constant(where, x), axis=axis)


def fold_margins(x: Array, before: Sequence[int], after: Sequence[int], axis: int) -> Array:
    """The margins of an axis, added to the elements that they were copies of."""
    n = x.shape[axis] - len(before) - len(after)
    return _added_along(x, np.asarray([*before, *range(n), *after], dtype=np.int64), n, axis)


def _added_along(x: Array, where: np.ndarray, n: int, axis: int) -> Array:
    """Zeros, n along an axis, with the slices of x added at their places."""
    library = array_library(x)
    rows = library.moveaxis(x, axis, -1)
    out = kernels(x).add_at(rows, constant(where, x), n)
    return library.moveaxis(out, -1, axis)


def put_diagonal(x: Array, shape: tuple[int, ...], offset: int, axis1: int, axis2: int) -> Array:
    """Zeros of `shape`, with the last axis of x on the diagonal of the plane of two axes."""
    return scattered(x, np.diagonal(places(shape), offset, axis1, axis2), shape)


def sliding_windows(x: Array, lengths: tuple[int, ...], axes: tuple[int, ...]) -> Array:
    """The windows of x that slide along the axes, each along new last axes."""
    return gathered(x, numpy_kernels.sliding_windows(places(x.shape), lengths, axes))


def overlap_add(x: Array, shape: tuple[int, ...], axes: tuple[int, ...]) -> Array:
    """Windows, along the last axes of x, added up at their places in zeros of `shape`."""
    lengths = x.shape[len(shape) :]
    return scattered(x, numpy_kernels.sliding_windows(places(shape), lengths, axes), shape)


def resample(x: Array, taps: Taps, axis: int) -> Array:
    """Along one axis, each new element a weighted sum of a few old ones."""
    library = array_library(x)
    across = (-1,) + (1,) * (len(x.shape) - axis % len(x.shape) - 1)
    if x.shape[axis] == 0:
        shape = [*x.shape]
        shape[axis] = len(taps.places[0])
        return library.zeros(shape, dtype=x.dtype, device=device(x))
    y: Array = None
    for seen, weights in zip(taps.places, taps.weights, strict=True):
        part = library.take(x, constant(np.asarray(seen, dtype=np.int64), x), axis=axis)
        if any(w != 1 for w in weights):
            factors = library.asarray(weights, dtype=x.dtype, device=device(x))
            part = part * library.reshape(factors, across)
        y = part if y is None else y + part
    return y


# --- Writing --------------------------------------------------------------------------------------


def parts_of(key: Any) -> tuple[Any, ...]:
    """The parts of a key, lists as arrays."""
    parts = key if isinstance(key, tuple) else (key,)
    parts = tuple(np.asarray(part) if isinstance(part, (list, range)) else part for part in parts)
    return tuple(  # an empty list says nothing of a type
        part.astype(np.int64) if isinstance(part, np.ndarray) and not part.size else part
        for part in parts
    )


def axes_of_parts(parts: Sequence[Any], ndim: int) -> Iterator[tuple[int, int]]:
    """Each part of a key that is an index or a slice, by its place, with the axis that it is for.

    IndexError for more of them than there are axes.
    """
    counts = [
        0 if part is None or part is ... else
        part.ndim if getattr(part, "dtype", None) is not None and kind_of(part) == "b" else 1
        for part in parts
    ]  # fmt: skip
    axis = 0
    for i, (part, count) in enumerate(zip(parts, counts, strict=True)):
        if count and axis + count > ndim:
            raise IndexError("more indices than axes")
        if count:
            yield i, axis
        axis += ndim - sum(counts) if part is ... else count


def names_once(key: Any) -> bool:
    """Whether a key can name no place twice: arrays of integers can."""
    arrays = [part for part in parts_of(key) if hasattr(part, "shape")]
    return all(kind_of(array) == "b" or not array.shape for array in arrays)


def value_for(x: Array, key: Any, value: Any) -> Any:
    """A value to be written to x[key], as an array of the dtype of x.

    TypeError for a higher kind of number than that of x; ValueError for a shape that does not fit.
    """
    library = array_library(x)
    given = value if hasattr(value, "dtype") else np.asarray(value)
    higher = "buifc".index(kind_of(given)) > "buifc".index(kind_of(x))
    if higher and not (kind_of(given) in "iu" and kind_of(x) in "iu"):
        raise TypeError(errors.write_dtype("x[key] = value", given.dtype, x.dtype))
    if array_library(given) is library:
        given = library.astype(given, x.dtype, copy=False)
    else:
        given = library.asarray(given, dtype=x.dtype, device=device(x))
    return given


def check_shape(value: Array, shape: tuple[int, ...]) -> None:
    """Raise ValueError where a value does not broadcast to the place that it is written to."""
    pairs = zip(reversed(value.shape), reversed(shape), strict=False)
    extra = value.shape[: max(0, len(value.shape) - len(shape))]
    if any(n not in (1, m) for n, m in pairs) or any(n != 1 for n in extra):
        raise ValueError(errors.write_shape_of_value(tuple(value.shape), tuple(shape)))


def key_places(key: Any, shape: tuple[int, ...], like: Array) -> Array:
    """The places, counted row by row, that a key names in an array of `shape`."""
    library = array_library(like)
    everything = library.arange(math.prod(shape), device=device(like))
    return kernels(like).getitem(library.reshape(everything, shape), key)


def last_written(x: Array, key: Any) -> Array:
    """For each element of x[key], whether no later one is at the same place of x."""
    library = array_library(x)
    where = key_places(key, x.shape, x)
    order = library.reshape(library.arange(math.prod(where.shape), device=device(x)), where.shape)
    flat = library.reshape(where, (-1,))
    last = kernels(x).max_at(library.reshape(order, (-1,)), flat, math.prod(x.shape))
    return library.reshape(library.take(last, flat, axis=0), where.shape) == order


def written(x: Array, key: Any, value: Array) -> Array:
    """x with `value` at x[key]: of values for the same place, the last one on any device."""
    library = array_library(x)
    where = key_places(key, x.shape, x)
    flat, count = library.reshape(where, (-1,)), math.prod(where.shape)
    if count == 0:
        return x
    values = library.reshape(library.broadcast_to(value, where.shape), (-1,))
    order = library.arange(1, count + 1, device=device(x))
    last = kernels(x).max_at(order, flat, math.prod(x.shape))  # 0 where nothing is written
    new = library.take(values, library.clip(last - 1, 0, None), axis=0)
    return library.where(library.reshape(last > 0, x.shape), library.reshape(new, x.shape), x)


# --- Scans and sorting ----------------------------------------------------------------------------


def argtopk(x: Array, k: int, axis: int, largest: bool) -> Array:
    """The indices of the k greatest or smallest, in that order; the first of equal ones first."""
    library = array_library(x)
    if largest:
        order = x.shape[axis] - 1 - library.argsort(library.flip(x, axis=axis), axis=axis)
        order = library.flip(order, axis=axis)
    else:
        order = library.argsort(x, axis=axis)
    return library.take(order, constant(np.arange(k), x), axis=axis)


def last_reached(x: Array, extreme: Array, axis: int, running_max: Any) -> Array:
    """Where the running maximum or minimum is: the last place at a tie, or of NaN."""
    library = array_library(x)
    shape = (-1,) + (1,) * (len(x.shape) - 1 - axis % len(x.shape))
    along = library.reshape(library.arange(x.shape[axis], device=device(x)), shape)
    reached = (x == extreme) | library.isnan(x)
    return running_max(library.where(reached, along, library.zeros_like(along)), axis)


# --- Windows --------------------------------------------------------------------------------------


@functools.lru_cache(maxsize=256)
def _window_places(window: Window, sizes: tuple[int, ...]) -> np.ndarray:
    """(*K, *O): what each place of the kernel sees in each window, counted over padded S."""
    plane = places(sizes)
    out = window.counts_padded(sizes)
    seen = [plane[part] for _, part in numpy_kernels.places(window, out)]
    return np.stack(seen).reshape(*window.kernel, *out)


def padded(x: Array, window: Window, value: Any = 0) -> Array:
    """(N, C, *S) with the window's margins around the axes S."""
    if not any(a or b for a, b in window.padding):
        return x
    return kernels(x).pad(x, ((0, 0), (0, 0), *window.padding), "constant", constant_values=value)


def window_values(x: Array, window: Window, margin: Any = 0) -> Array:
    """(N, C, *S) -> (N, C, *K, *O): what is at each place of the kernel, in each window."""
    library = array_library(x)
    x = padded(x, window, margin)
    where = _window_places(window, tuple(x.shape[2:]))
    planes = library.reshape(x, (*x.shape[:2], math.prod(x.shape[2:])))
    chosen = library.take(planes, constant(where.reshape(-1), x), axis=2)
    return library.reshape(chosen, (*x.shape[:2], *where.shape))


def window_gather(c: Array, window: Window, shape: Any) -> Array:
    """The adjoint of `window_values`: (N, C, *K, *O) -> (N, C, *S) = shape."""
    library = array_library(c)
    sizes = tuple(a + n + b for n, (a, b) in zip(shape[2:], window.padding, strict=True))
    where = _window_places(window, sizes)
    rows = library.reshape(c, (*shape[:2], where.size))
    x = kernels(c).add_at(rows, constant(where.reshape(-1), c), math.prod(sizes))
    return library.reshape(x, (*shape[:2], *sizes))[numpy_kernels.inside(window, shape)]


def _flat_values(x: Array, window: Window, margin: Any = 0) -> Array:
    """(N, C, *S) -> (N, C, K, *O): the window's values along one axis."""
    values = window_values(x, window, margin)
    out = values.shape[2 + len(window.kernel) :]
    return array_library(x).reshape(values, (*x.shape[:2], math.prod(window.kernel), *out))


def window_max(x: Array, window: Window) -> Array:
    """(N, C, *S) -> (N, C, *O): the greatest value in each window."""
    return array_library(x).max(_flat_values(x, window, lowest(x)), axis=2)


def window_argmax(x: Array, y: Array, window: Window) -> Array:
    """Which position in the kernel, counted row by row, holds the first greatest value."""
    library = array_library(x)
    floats = library.isdtype(x.dtype, "real floating")
    values = _flat_values(x, window, math.nan if floats else lowest(x))  # never in the margin
    hit = values == library.expand_dims(y, axis=2)
    first = library.argmax(library.astype(hit, library.int32), axis=2)
    none = ~library.any(hit, axis=2)
    return library.where(none, math.prod(window.kernel) - 1, first)


def window_pick(x: Array, index: Array, window: Window) -> Array:
    """(N, C, *S) -> (N, C, *O): the value at position `index` of each window."""
    library = array_library(x)
    index = library.expand_dims(library.astype(index, library.int64), axis=2)
    return library.take_along_axis(_flat_values(x, window), index, axis=2)[:, :, 0]


def window_put(c: Array, index: Array, window: Window, shape: Any) -> Array:
    """The adjoint of `window_pick`: (N, C, *O) -> (N, C, *S), 0 where nothing was picked."""
    library = array_library(c)
    positions = library.arange(math.prod(window.kernel), device=device(c))
    positions = library.reshape(positions, (-1,) + (1,) * len(window.kernel))
    picked = library.expand_dims(index, axis=2) == positions
    values = library.where(picked, library.expand_dims(c, axis=2), 0.0)
    return window_gather(values, window, shape)


def window_sum(x: Array, window: Window) -> Array:
    """(N, C, *S) -> (N, C, *O): the sum of each window."""
    return array_library(x).sum(_flat_values(x, window), axis=2, dtype=x.dtype)


def window_spread(c: Array, window: Window, shape: Any) -> Array:
    """The adjoint of `window_sum`: each value of c at all places of its window, added up."""
    library = array_library(c)
    full = (*shape[:2], math.prod(window.kernel), *c.shape[2:])
    return window_gather(library.broadcast_to(library.expand_dims(c, axis=2), full), window, shape)


def lowest(x: Array) -> Any:
    """Less than every other value of the dtype of x."""
    library = array_library(x)
    floats = library.isdtype(x.dtype, "real floating")
    return -math.inf if floats else int(library.iinfo(x.dtype).min)


# Convolution, where a library has none: the windows' values, and one product for each group.


def _by_groups(weight: Array, groups: int) -> Array:
    """(F, C/groups, *K) -> (groups, F/groups, C/groups · K)."""
    filters = weight.shape[0] // groups
    return array_library(weight).reshape(weight, (groups, filters, math.prod(weight.shape[1:])))


def convolve(x: Array, weight: Array, window: Window, groups: int) -> Array:
    """(N, C, *S), (F, C/groups, *K) -> (N, F, *O)."""
    library = array_library(x)
    values = window_values(x, window)
    out = values.shape[2 + len(window.kernel) :]
    factors = _by_groups(weight, groups)
    columns = library.reshape(values, (x.shape[0], groups, factors.shape[2], math.prod(out)))
    return library.reshape(factors @ columns, (x.shape[0], weight.shape[0], *out))


def convolve_input(c: Array, weight: Array, window: Window, groups: int, shape: Any) -> Array:
    """The adjoint of `convolve` by x: (N, F, *O), (F, C/groups, *K) -> (N, C, *S) = shape."""
    library = array_library(c)
    factors = _by_groups(weight, groups)
    out = c.shape[2:]
    rows = library.reshape(c, (shape[0], groups, factors.shape[1], math.prod(out)))
    values = library.matrix_transpose(factors) @ rows
    return window_gather(library.reshape(values, (*shape[:2], *window.kernel, *out)), window, shape)


def convolve_weight(c: Array, x: Array, window: Window, groups: int) -> Array:
    """The adjoint of `convolve` by the weight: (N, F, *O), (N, C, *S) -> (F, C/groups, *K)."""
    library = array_library(c)
    batch, filters, channels = c.shape[0], c.shape[1], x.shape[1] // groups
    inner = channels * math.prod(window.kernel)
    count = math.prod(c.shape[2:])
    columns = library.reshape(window_values(x, window), (batch, groups, inner, count))
    rows = library.reshape(c, (batch, groups, filters // groups, count))
    products = library.sum(rows @ library.matrix_transpose(columns), axis=0)
    return library.reshape(products, (filters, channels, *window.kernel))


# --- Linear algebra -------------------------------------------------------------------------------


def cofactor(x: Array) -> Array:
    """det(X) X⁻ᵀ, by the singular value decomposition: of singular matrices too."""
    library = array_library(x)
    u, s, vh = library.linalg.svd(x)
    same = constant(np.eye(x.shape[-1], dtype=bool), x)
    others = library.prod(library.where(same, 1.0, s[..., None, :]), axis=-1)
    phase = library.linalg.det(u) * library.linalg.det(vh)
    y = (u * others[..., None, :]) @ vh
    return phase[..., None, None] * (library.conj(y) if is_complex(y) else y)


def has_inverse(x: Array, digits: float) -> bool:
    """Whether every X⁻¹ exists, and has more than this share of the dtype's digits right."""
    library = array_library(x)
    if not is_concrete(x):
        return False
    det = library.linalg.det(x)
    if not bool(library.all((det != 0) & library.isfinite(det))):
        return False
    norm = library.linalg.matrix_norm
    size = norm(x) * norm(library.linalg.inv(x))
    return bool(library.all(size < float(library.finfo(x.dtype).eps) ** -digits))


KERNELS = {
    f.__name__: f
    for f in (
        argtopk, cofactor, convolve, convolve_input, convolve_weight, extend, floor_divide,
        fold_margins, has_inverse, last_written, masked, on_host, overlap_add, put_diagonal, repeat,
        resample, sigmoid, sliding_windows, sum_runs, window_argmax, window_gather, window_max,
        window_pick, window_put, window_spread, window_sum, window_values,
    )
}  # fmt: skip
"""What a library's file has, if it does not have it itself."""
