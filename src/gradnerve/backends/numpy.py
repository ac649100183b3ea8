"""What the Array API standard lacks, for NumPy's arrays.

Windows (convolution, pooling) loop over the few positions inside a kernel, each a strided view of
the whole batch, never over pixels. They work in the memory order (C, *S, N), in which convolution
is one matrix product and every strided view has runs of N neighbours: the (N, C, *S) arrays that go
out are views of it, and NumPy's elementwise functions keep that order, so a network is seldom
transposed in memory.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from gradnerve import errors

if TYPE_CHECKING:
    from gradnerve.ops.window import Window

Array = Any

# The C library (glibc) asks the system for memory anew for each large array, and every page of it
# costs a fault, unless an array as large has been freed before: then it keeps what is freed. So
# free one, of the greatest size for which it does so. A small network's step takes a third less.
np.empty(2**25 - 2**16, dtype=np.uint8)


def erf(x: Array) -> Array:
    """The error function, from SciPy."""
    from scipy.special import erf as scipy_erf

    return scipy_erf(x)


def pad(x: Array, margins: Any, value: Any) -> Array:
    """x inside a margin of `value`: a pair (before, after) for each axis."""
    return np.pad(x, margins, constant_values=value)


def scatter_add(x: Array, key: Any, shape: tuple[int, ...]) -> Array:
    """Zeros of `shape` with x added at `key`, repeated places several times."""
    out = np.zeros(shape, dtype=x.dtype)
    parts = key if isinstance(key, tuple) else (key,)
    if any(isinstance(part, (np.ndarray, Sequence)) for part in parts):
        np.add.at(out, key, x)
    else:
        out[key] = x  # a basic key names each place once
    return out


def write(x: Array, key: Any, value: Any) -> Array:
    """x with `value` at x[key]: x itself, or a copy of it where x is read-only."""
    given = value if hasattr(value, "dtype") else np.asarray(value)
    if "biufc".index(given.dtype.kind) > "biufc".index(x.dtype.kind) and not (
        given.dtype.kind in "iu" and x.dtype.kind in "iu"
    ):
        raise TypeError(errors.write_dtype("x[key] = value", given.dtype, x.dtype))
    if not x.flags.writeable:
        x = np.copy(x, order="K")
    try:
        x[key] = value
    except ValueError:
        raise ValueError(errors.write_shape_of_value(given.shape, x[key].shape)) from None
    return x


def last_written(x: Array, key: Any) -> Array:
    """For each element of x[key], whether no later one is at the same place of x."""
    places = np.arange(x.size).reshape(x.shape)[key]
    order = np.arange(places.size).reshape(places.shape)
    last = np.zeros(x.size, dtype=order.dtype)
    last[places] = order
    return np.asarray(last[places] == order)


def masked(x: Array, keep: Array, zero: Any = 0.0) -> Array:
    """x where `keep` holds, else zero.

    NumPy's `where` takes ten times as long, as the processor cannot foresee what holds. So: each
    element's bits, and all bits where it holds (-1) or none.
    """
    if x.dtype.kind != "f" or x.dtype.itemsize > 8 or keep.dtype != bool:
        return np.where(keep, x, zero)  # of which the dtype may be another
    bits = x.view(f"i{x.dtype.itemsize}")
    return (bits & np.negative(keep.view(np.int8))).view(x.dtype)


# --- Windows --------------------------------------------------------------------------------------


def places(window: Window, out: tuple[int, ...]) -> Iterator[tuple[Any, tuple[slice, ...]]]:
    """Each position inside the kernel, with the slices of the input that it sees in all windows."""
    axes = zip(window.kernel, window.dilation, window.stride, out, strict=True)
    seen = [[slice(p * d, p * d + s * (n - 1) + 1, s) for p in range(k)] for k, d, s, n in axes]
    positions = itertools.product(*(range(k) for k in window.kernel))
    return zip(positions, itertools.product(*seen), strict=True)


def batch_last(x: Array) -> Array:
    """The view (C, *S, N) of (N, C, *S)."""
    return x.transpose(*range(1, x.ndim), 0)


def batch_first(x: Array) -> Array:
    """The view (N, C, *S) of (C, *S, N)."""
    return x.transpose(-1, *range(x.ndim - 1))


def padded(x: Array, window: Window, value: float = 0) -> Array:
    """(N, C, *S) with the window's margins around the axes S, in the memory order (C, *S, N)."""
    if not any(a or b for a, b in window.padding):
        return x
    out = padded_zeros(window, x.shape, x.dtype)
    if value != 0:
        out[...] = value
    out[inside(window, x.shape)] = x
    return out


def inside(window: Window, shape: tuple[int, ...]) -> Any:
    """Where in the padded array the original one of `shape` lies."""
    spans = zip(window.padding, shape[2:], strict=True)
    return (..., *(slice(a, a + n) for (a, _), n in spans))


def padded_zeros(window: Window, shape: tuple[int, ...], dtype: Any) -> Array:
    """Zeros for an array of `shape` and the window's margins, in the memory order (C, *S, N)."""
    sides = [a + n + b for n, (a, b) in zip(shape[2:], window.padding, strict=True)]
    return batch_first(np.zeros((shape[1], *sides, shape[0]), dtype=dtype))


def columns(x: Array, window: Window, groups: int) -> Array:
    """(N, C, *S) -> (groups, C/groups · kernel, windows · N): each window's values in a column."""
    batch, channels = x.shape[:2]
    out = window.counts(x.shape[2:])
    x = np.ascontiguousarray(batch_last(padded(x, window)))
    columns = np.empty((channels, *window.kernel, *out, batch), dtype=x.dtype)
    for position, seen in places(window, out):
        columns[(slice(None), *position)] = x[(slice(None), *seen)]
    return columns.reshape(groups, channels // groups * _size(window.kernel), -1)


def _size(shape: tuple[int, ...]) -> int:
    return int(np.prod(shape))


def convolve(x: Array, weight: Array, window: Window, groups: int) -> Array:
    """(N, C, *S), (F, C/groups, *K) -> (N, F, *O), by one matrix product."""
    out = window.counts(x.shape[2:])
    factors = weight.reshape(groups, weight.shape[0] // groups, -1)
    y = factors @ columns(x, window, groups)
    return batch_first(y.reshape(weight.shape[0], *out, x.shape[0]))


def convolve_input(c: Array, weight: Array, window: Window, groups: int, shape: Any) -> Array:
    """The adjoint of `convolve` by x: (N, F, *O), (F, C/groups, *K) -> (N, C, *S) = shape."""
    factors = weight.reshape(groups, weight.shape[0] // groups, -1)
    values = batch_last(c).reshape(groups, weight.shape[0] // groups, -1)
    seen_by = (factors.swapaxes(1, 2) @ values).reshape(
        shape[1], *window.kernel, *c.shape[2:], shape[0]
    )
    x = padded_zeros(window, shape, seen_by.dtype)
    for position, seen in places(window, c.shape[2:]):
        batch_last(x)[(slice(None), *seen)] += seen_by[(slice(None), *position)]
    return x[inside(window, shape)]


def convolve_weight(c: Array, x: Array, window: Window, groups: int) -> Array:
    """The adjoint of `convolve` by the weight: (N, F, *O), (N, C, *S) -> (F, C/groups, *K)."""
    filters = c.shape[1]
    values = batch_last(c).reshape(groups, filters // groups, -1)
    # The product's transpose, which has more rows than columns: OpenBLAS takes half as long.
    transposed = columns(x, window, groups) @ values.swapaxes(1, 2)
    weight = np.ascontiguousarray(transposed.swapaxes(1, 2))
    return weight.reshape(filters, x.shape[1] // groups, *window.kernel)


def window_max(x: Array, window: Window) -> Array:
    """(N, C, *S) -> (N, C, *O): the greatest value in each window."""
    return _combined(padded(x, window, lowest(x.dtype)), window, np.maximum)


def window_argmax(x: Array, y: Array, window: Window) -> Array:
    """Which position in the kernel, counted row by row, holds the first greatest value."""
    x = padded(x, window, np.nan if x.dtype.kind == "f" else lowest(x.dtype))  # never in the margin
    # The index is the number of places before the first hit.
    index: Array = np.zeros_like(y, dtype=np.uint8 if _size(window.kernel) < 256 else np.int32)
    missed = np.ones_like(y, dtype=bool)
    for _, seen in itertools.islice(places(window, y.shape[2:]), _size(window.kernel) - 1):
        missed &= x[(..., *seen)] != y
        index += missed
    return index


def window_pick(x: Array, index: Array, window: Window) -> Array:
    """(N, C, *S) -> (N, C, *O): the value at position `index` of each window."""
    x = padded(x, window)
    y = np.zeros_like(index, dtype=x.dtype)
    for i, (_, seen) in enumerate(places(window, index.shape[2:])):
        np.copyto(y, x[(..., *seen)], where=index == i)
    return y


def window_put(c: Array, index: Array, window: Window, shape: Any) -> Array:
    """The adjoint of `window_pick`: (N, C, *O) -> (N, C, *S), 0 where nothing was picked."""
    x = padded_zeros(window, shape, c.dtype)
    apart = all(s >= d * (k - 1) + 1 for k, s, _, d in zip(*window, strict=True))
    for i, (_, seen) in enumerate(places(window, c.shape[2:])):
        if apart:
            x[(..., *seen)] = masked(c, index == i)
        else:
            x[(..., *seen)] += masked(c, index == i)
    return x[inside(window, shape)]


def window_sum(x: Array, window: Window) -> Array:
    """(N, C, *S) -> (N, C, *O): the sum of each window."""
    return _combined(padded(x, window), window, np.add)


def _combined(x: Array, window: Window, combine: np.ufunc) -> Array:
    """All values that each window sees of a padded array, combined by a ufunc."""
    y = None
    for _, seen in places(window, window.counts_padded(x.shape[2:])):
        part = x[(..., *seen)]
        y = np.copy(part, order="K") if y is None else combine(y, part, out=y)
    return y


def window_spread(c: Array, window: Window, shape: Any) -> Array:
    """The adjoint of `window_sum`: each value of c at all places of its window, added up."""
    x = padded_zeros(window, shape, c.dtype)
    for _, seen in places(window, c.shape[2:]):
        x[(..., *seen)] += c
    return x[inside(window, shape)]


def lowest(dtype: Any) -> Any:
    """Less than every other value of the dtype."""
    return -np.inf if dtype.kind == "f" else np.iinfo(dtype).min
