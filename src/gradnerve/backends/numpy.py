"""NumPy's arrays: what they lack, and what NumPy itself takes longer for than it need.

Names that are not here are NumPy's. On a small array most of NumPy's functions that are written in
Python take longer to ask what they were given than to compute: those that networks call in each
step are written out here for what the engine gives them, an array.

Windows (convolution, pooling) loop over the few positions inside a kernel, each a strided view of
the whole batch, never over pixels. They work in the memory order (C, *S, N), in which convolution
is one matrix product and every strided view has runs of N neighbours: the (N, C, *S) arrays that go
out are views of it, and NumPy's elementwise functions keep that order, so a network is seldom
transposed in memory.
"""

from __future__ import annotations

import builtins
import ctypes
import itertools
import math
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from gradnerve import errors

if TYPE_CHECKING:
    from gradnerve.ops.window import Taps, Window

Array = Any

# The C library (glibc) asks the system for memory anew for each large array, and gives back what is
# freed at the end; every page of it costs a fault. Both have a threshold: here they are raised, to
# the greatest size that counts as small, and to 1 GB that is kept. A network's step takes a third
# less. Other C libraries have no such function.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
if sys.platform == "linux" and hasattr(ctypes.CDLL(None), "mallopt"):
    ctypes.CDLL(None).mallopt(M_MMAP_THRESHOLD, 2**25)
    ctypes.CDLL(None).mallopt(M_TRIM_THRESHOLD, 2**30)


def device_of(array: Array) -> str:
    """Where all of NumPy's arrays are."""
    return "cpu"


def placed(array: Array, device: Any) -> Array:
    """The array: all of NumPy's are where they are."""
    return array


def to_numpy(array: Array) -> Array:
    """The array."""
    return array


def device_named(name: str) -> None:
    """There is only one device. ValueError for another."""
    if name != "cpu":
        raise ValueError(errors.no_such_device(name))


# --- NumPy's own functions ------------------------------------------------------------------------


def __getattr__(name: str) -> Any:
    """What this file has not is NumPy's."""
    value = getattr(np, name)
    if not hasattr(builtins, name):  # this file itself may mean Python's `any`
        globals()[name] = value  # the next time it is there
    return value


add_reduce: Any = np.add.reduce
maximum_reduce: Any = np.maximum.reduce
minimum_reduce: Any = np.minimum.reduce


def sum(x: Array, *, axis: Any = None, dtype: Any = None, keepdims: bool = False) -> Array:
    """The sum of the elements."""
    return add_reduce(x, axis, dtype, None, keepdims)


def max(x: Array, *, axis: Any = None, keepdims: bool = False) -> Array:
    """The greatest element."""
    return maximum_reduce(x, axis, None, None, keepdims)


def min(x: Array, *, axis: Any = None, keepdims: bool = False) -> Array:
    """The smallest element."""
    return minimum_reduce(x, axis, None, None, keepdims)


def mean(x: Array, *, axis: Any = None, keepdims: bool = False) -> Array:
    """The mean of the elements."""
    if x.dtype.char not in "fd":  # whole numbers, and float16, which could overflow
        return np.mean(x, axis=axis, keepdims=keepdims)
    total = add_reduce(x, axis, None, None, keepdims)
    return total / (x.size // total.size) if total.size else total


def reshape(x: Array, shape: tuple[int, ...], *, copy: bool | None = None) -> Array:
    """The same elements in another shape."""
    if copy is None and type(x) is np.ndarray:
        return x.reshape(shape)
    return np.reshape(x, shape, copy=copy)


def expand_dims(x: Array, *, axis: Any) -> Array:
    """With a new axis of length 1."""
    if axis == -1 and type(x) is np.ndarray:  # most often
        return x[..., None]
    return np.expand_dims(x, axis)


def astype(x: Array, dtype: Any, *, copy: bool = True) -> Array:
    """The same values in another dtype."""
    return x.astype(dtype, copy=copy)


def broadcast_to(x: Array, shape: tuple[int, ...]) -> Array:
    """x repeated along new axes: a view, which cannot be written to."""
    if getattr(x, "shape", None) != () or isinstance(shape, int):
        return np.broadcast_to(x, shape)
    y: Array = np.ndarray(shape, x.dtype, x, 0, (0,) * len(shape))  # the gradient of a sum
    y.flags.writeable = False
    return y


def matrix_transpose(x: Array) -> Array:
    """The last two axes swapped."""
    return x.mT if type(x) is np.ndarray else np.matrix_transpose(x)


def sigmoid(x: Array) -> Array:
    """1 / (1 + e⁻ˣ). Where e⁻ˣ is too great a number this is 0: less than the smallest there is."""
    x = np.asarray(x)
    if x.dtype == np.float16:  # in which e⁻ˣ is soon too great
        return sigmoid(x.astype(np.float32)).astype(np.float16)
    with np.errstate(over="ignore"):
        y: Array = np.exp(np.negative(x, dtype=None if x.dtype.kind == "f" else np.float64))
    y += 1
    return np.reciprocal(y)


def special(name: str, *arguments: Any) -> Array:
    """One of SciPy's special functions. It keeps the precision, which SciPy does not always do."""
    from scipy import special

    y = getattr(special, name)(*arguments)
    dtypes = [a.dtype for a in arguments if hasattr(a, "dtype") and a.dtype.kind in "fc"]
    return y.astype(np.result_type(*dtypes), copy=False) if dtypes else y


def floor_divide(x1: Array, x2: Array) -> Array:
    """⌊x1 / x2⌋, of infinities as the standard has it: NumPy has ∞ // 1 = NaN, 1 // -∞ = -1."""
    y = x1 // x2
    if np.result_type(y).kind == "f":
        unbounded = np.isinf(x1) | np.isinf(x2)
        if unbounded.any():
            return np.where(unbounded, x1 / x2, y)
    return y


def complex_expm1(x: Array) -> Array:
    """eˣ - 1 of complex numbers, of infinities as the standard has it: NumPy has ∞ + NaN i."""
    y = np.asarray(np.expm1(x))
    finite = np.isfinite(x)
    if not finite.all():
        y = np.asarray(np.where(finite, y, np.exp(x) - 1))
    y.real += 0.0  # -0 becomes 0
    return y


def pad(x: Array, margins: Any, mode: str, **options: Any) -> Array:
    """x inside margins: a pair (before, after) for each axis."""
    return np.pad(x, margins, mode, **options)  # type: ignore[call-overload]


def repeat(x: Array, counts: Array, axis: int) -> Array:
    """Each element along an axis as many times as `counts` says."""
    return np.repeat(x, counts, axis)


def sum_runs(x: Array, counts: Array, axis: int) -> Array:
    """The sums of runs of neighbours along an axis, of these lengths."""
    out = np.zeros((*x.shape[:axis], len(counts), *x.shape[axis + 1 :]), dtype=x.dtype)
    if not x.size:
        return out
    before: Any = (slice(None),) * axis
    starts = np.cumsum(counts) - counts
    if counts.max() > 32:
        some = np.flatnonzero(counts)  # an empty run would get the sum of the next
        out[(*before, some)] = np.add.reduceat(x, starts[some], axis)
        return out
    for i in range(counts.max()):  # add up all first elements, all second ones, ...: much quicker
        some = np.flatnonzero(counts > i)
        out[(*before, some)] += x[(*before, starts[some] + i)]
    return out


def extend(x: Array, before: Sequence[int], after: Sequence[int], axis: int) -> Array:
    """x between copies of its elements at some places of an axis."""
    return np.concatenate([x.take(before, axis), x, x.take(after, axis)], axis)


def fold_margins(x: Array, before: Sequence[int], after: Sequence[int], axis: int) -> Array:
    """The margins of an axis, added to the elements that they were copies of."""
    x = np.moveaxis(x, axis, 0)
    end = len(x) - len(after)
    out = x[len(before) : end].copy("K")
    for places, margin in ((before, x[: len(before)]), (after, x[end:])):
        for place, values in zip(places, margin, strict=True):
            out[place] += values
    return np.moveaxis(out, 0, axis)


def diagonal(x: Array, offset: int, axis1: int, axis2: int) -> Array:
    """The diagonal of the plane of two axes, along a new last axis: a view."""
    return np.diagonal(x, offset, axis1, axis2)


def put_diagonal(x: Array, shape: tuple[int, ...], offset: int, axis1: int, axis2: int) -> Array:
    """Zeros of `shape`, with the last axis of x on the diagonal of the plane of two axes."""
    out = np.zeros(shape, dtype=x.dtype)
    plane = np.moveaxis(out, (axis1, axis2), (-2, -1))
    i = np.arange(x.shape[-1])
    before, above = (-offset, 0) if offset < 0 else (0, offset)
    plane[..., i + before, i + above] = x
    return out


def sliding_windows(x: Array, lengths: tuple[int, ...], axes: tuple[int, ...]) -> Array:
    """The windows of x that slide along the axes, each along new last axes: a view."""
    return np.lib.stride_tricks.sliding_window_view(x, lengths, axes)


def overlap_add(x: Array, shape: tuple[int, ...], axes: tuple[int, ...]) -> Array:
    """Windows, along the last axes of x, added up at their places in zeros of `shape`."""
    out = np.zeros(shape, dtype=x.dtype)
    outer, lengths = x.shape[: len(shape)], x.shape[len(shape) :]
    for position in np.ndindex(*lengths):
        start = [0] * len(shape)
        for axis, place in zip(axes, position, strict=True):
            start[axis] += place
        seen = tuple(slice(a, a + n) for a, n in zip(start, outer, strict=True))
        out[seen] += x[(..., *position)]
    return out


def einsum(x1: Array, x2: Array, subscripts: str) -> Array:
    """The sum of products "ij,jk->ik", each label in two of the three, as a matrix product.

    NumPy's einsum, which loops over the elements, takes many times as long where both have axes of
    their own.
    """
    inputs, out = subscripts.split("->")
    first, second = inputs.split(",")
    both = [c for c in first if c in second and c in out]
    summed = [c for c in first if c in second and c not in out]
    own1 = [c for c in first if c not in second]
    own2 = [c for c in second if c not in first]
    if not summed:  # a product by element
        return _aligned(x1, first, out) * _aligned(x2, second, out)
    if not own1 and not own2:
        return np.asarray(np.einsum(subscripts, x1, x2))
    sizes = dict(zip(first + second, x1.shape + x2.shape, strict=True))
    a = _matrices(
        x1.transpose([first.index(c) for c in both + own1 + summed]), len(both), len(own1)
    )
    b = _matrices(
        x2.transpose([second.index(c) for c in both + summed + own2]), len(both), len(summed)
    )
    y = (a @ b).reshape([sizes[c] for c in both + own1 + own2])
    return y.transpose([(both + own1 + own2).index(c) for c in out])


def _aligned(x: Array, labels: str, out: str) -> Array:
    """x with its axes in the order of `out`, and axes of length 1 for those it has not."""
    x = x.transpose([labels.index(c) for c in out if c in labels])
    return x[tuple(slice(None) if c in labels else None for c in out)]


def _matrices(x: Array, batch: int, rows: int) -> Array:
    """x with its axes after the first `batch` made two: those of the rows, and the others."""
    lengths = x.shape[: batch + rows], x.shape[batch + rows :]
    x = x.reshape(*x.shape[:batch], _size(lengths[0][batch:]), _size(lengths[1]))
    # The library for matrix products (BLAS) takes rows, or columns, that lie one after another.
    (m, n), (down, right), step = x.shape[-2:], x.strides[-2:], x.itemsize
    by_rows, by_columns = right == step and down >= n * step, down == step and right >= m * step
    return x if by_rows or by_columns else np.ascontiguousarray(x)


BASIC = (int, np.integer, slice, type(None), type(...))
"""What a key can hold besides arrays (and lists, which mean arrays)."""


def scatter_add(x: Array, key: Any, shape: tuple[int, ...]) -> Array:
    """Zeros of `shape` with x added at `key`, repeated places several times."""
    parts = key if isinstance(key, tuple) else (key,)
    arrays = [np.asarray(part) for part in parts if not isinstance(part, BASIC)]
    if 0 < len(arrays) == len(parts) and all(a.ndim and a.dtype.kind in "iu" for a in arrays):
        rows = flat_index(arrays, shape[: len(arrays)])
        width = shape[len(arrays) :]
        values = x if x.ndim == rows.ndim + len(width) else np.broadcast_to(x, rows.shape + width)
        return _add_rows(rows.reshape(-1), values.reshape(rows.size, _size(width)), shape)
    out = np.zeros(shape, dtype=x.dtype)
    if all(a.dtype == bool or a.ndim == 0 for a in arrays):
        out[key] = x  # such a key names each place once
    else:
        places = np.arange(out.size).reshape(shape)[key]
        values = np.broadcast_to(x, places.shape)
        np.add.at(out.reshape(-1), places.reshape(-1), values.reshape(-1))
    return out


def flat_index(arrays: Sequence[Array], shape: tuple[int, ...]) -> Array:
    """Where in an array of `shape`, counted row by row, the places (i, j, ...) are."""
    flat: Any = 0
    for axis, (array, n) in enumerate(zip(arrays, shape, strict=True)):
        array = array.astype(np.intp, copy=False)
        low, high = (array.min(), array.max()) if array.size else (0, -1)
        if low < -n or high >= n:
            wrong = low if low < -n else high
            raise IndexError(errors.out_of_range(int(wrong), axis, n))
        if low < 0:
            array = np.where(array < 0, array + n, array)
        flat = array if axis == 0 else flat * n + array
    return flat


def _add_rows(rows: Array, values: Array, shape: tuple[int, ...]) -> Array:
    """Zeros of `shape` with values[i] added to row rows[i].

    NumPy's add.at takes ten times as long for rows as for single numbers: so we name every number's
    place. Of many numbers a product with a sparse matrix that has one 1 in each column is quicker.
    """
    count, width = values.shape
    dtype = values.dtype
    if width > 1 and values.size > 8192 and dtype.char in "fdFD" and dtype.isnative:
        from scipy.sparse import csc_array

        entries = (np.ones(count, dtype=dtype), rows, np.arange(count + 1))
        out = csc_array(entries, shape=(_size(shape) // width, count)) @ values
        return out if out.shape == shape else out.reshape(shape)
    if width != 1:
        rows = (rows[:, None] * width + np.arange(width)).reshape(-1)
    out = np.zeros(shape, dtype=dtype)
    np.add.at(out.reshape(-1), rows, values.reshape(-1))
    return out


def write(x: Array, key: Any, value: Any) -> Array:
    """x with `value` at x[key]: x itself, or a copy of it where x is read-only."""
    given = value if hasattr(value, "dtype") else np.asarray(value)
    if given.dtype.kind not in "biufc":
        raise TypeError(errors.not_a_number_to_write(value))
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


BITS = {"e": np.dtype(np.int16), "f": np.dtype(np.int32), "d": np.dtype(np.int64)}


def masked(x: Array, keep: Array, zero: Any = 0.0) -> Array:
    """x where `keep` holds, else zero.

    NumPy's `where` takes ten times as long, as the processor cannot foresee what holds. So: each
    element's bits, and all bits where it holds (-1) or none.
    """
    bits = BITS.get(x.dtype.char)
    if bits is None or keep.dtype.char != "?":
        return np.where(keep, x, zero)  # of which the dtype may be another
    return (x.view(bits) & np.negative(keep.view(np.int8))).view(x.dtype)


def where(condition: Any, x1: Any, x2: Any) -> Array:
    """x1 where the condition holds, else x2: of large arrays by their bits, as in `masked`."""
    arrays = [x for x in (x1, x2) if type(x) is np.ndarray]
    x = arrays[0] if arrays else None
    if (
        x is None
        or x.size < 4096
        or type(condition) is not np.ndarray
        or condition.dtype.char != "?"
        or (bits := BITS.get(x.dtype.char)) is None
        or any(y.dtype is not x.dtype or y.shape != condition.shape for y in arrays)
        or not all(type(y) in (np.ndarray, float, int) for y in (x1, x2))
    ):
        return np.where(condition, x1, x2)
    keep = np.negative(condition.view(np.int8))
    a, b = (np.asarray(y, x.dtype).view(bits) for y in (x1, x2))
    y = a ^ b
    y &= keep
    y ^= b
    return y.view(x.dtype)


# --- Scans and sorting ----------------------------------------------------------------------------


def cumsum(x: Array, axis: int | None, dtype: Any) -> Array:
    """Running sums."""
    return np.cumsum(x, axis=axis, dtype=dtype)


def cumprod(x: Array, axis: int | None, dtype: Any) -> Array:
    """Running products."""
    return np.cumprod(x, axis=axis, dtype=dtype)


def logcumsumexp(x: Array, axis: int) -> Array:
    """Running log Σ eˣ."""
    return np.logaddexp.accumulate(x, axis=axis)


def cumulative_argmax(x: Array, axis: int) -> Array:
    """Where the running maximum is, the last place at a tie or of NaN."""
    return _last_reached(x, np.maximum.accumulate(x, axis=axis), axis)


def cumulative_argmin(x: Array, axis: int) -> Array:
    """Where the running minimum is, the last place at a tie or of NaN."""
    return _last_reached(x, np.minimum.accumulate(x, axis=axis), axis)


def _last_reached(x: Array, extreme: Array, axis: int) -> Array:
    places = np.arange(x.shape[axis]).reshape((-1,) + (1,) * (x.ndim - 1 - axis % x.ndim))
    reached = (x == extreme) | np.isnan(x)
    return np.maximum.accumulate(np.where(reached, places, 0), axis=axis)


def argtopk(x: Array, k: int, axis: int, largest: bool) -> Array:
    """The indices of the k greatest or smallest, in that order; which of equal ones, is open."""
    x = np.moveaxis(x, axis, -1)
    n = x.shape[-1]
    if 0 < k < n:
        chosen = slice(n - k, n) if largest else slice(k)
        found = np.argpartition(x, n - k if largest else k - 1, axis=-1)[..., chosen]
        found = np.sort(found, axis=-1)
    else:
        found = np.broadcast_to(np.arange(k), (*x.shape[:-1], k))
    values = np.take_along_axis(x, found, -1)[..., :: -1 if largest else 1]
    order = np.argsort(values, axis=-1, stable=True)
    if largest:
        order = k - 1 - order[..., ::-1]
    return np.moveaxis(np.take_along_axis(found, order, -1), -1, axis)


def isin(x1: Array, x2: Array, invert: bool) -> Array:
    """Whether elements of x1 are among those of x2."""
    return np.isin(x1, x2, invert=invert)


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


BLOCK = 2**22
"""How many bytes of columns are made at a time: about what a processor core keeps at hand."""


def blocks(window: Window, out: tuple[int, ...], size: int) -> Iterator[tuple[slice, slice]]:
    """Ranges of the windows along the first axis, with those of the padded input that they see.

    `size` is how many bytes a block has for each window along that axis.
    """
    stride, reach = window.stride[0], window.dilation[0] * (window.kernel[0] - 1) + 1
    count = -(-size * out[0] // BLOCK)
    step = -(-out[0] // (count or 1))  # blocks of equal size
    for start in range(0, out[0], step):
        stop = builtins.min(start + step, out[0])
        yield slice(start, stop), slice(start * stride, (stop - 1) * stride + reach)


def padded_last(x: Array, window: Window) -> Array:
    """(N, C, *S) -> (C, *S, N) with the window's margins, contiguous."""
    return np.ascontiguousarray(batch_last(padded(x, window)))


def columns(x: Array, window: Window, out: tuple[int, ...]) -> Array:
    """(C, *S, N), with its padding -> (C, *K, *O, N): each window's values, copied."""
    values = np.empty((x.shape[0], *window.kernel, *out, x.shape[-1]), dtype=x.dtype)
    for position, seen in places(window, out):
        values[(slice(None), *position)] = x[(slice(None), *seen)]
    return values


def _size(shape: tuple[int, ...]) -> int:
    return math.prod(shape)


# A convolution is a matrix product: filters by columns, which are an input of the product that is
# many times as large as x. They are made, used and forgotten block by block.


def convolve(x: Array, weight: Array, window: Window, groups: int) -> Array:
    """(N, C, *S), (F, C/groups, *K) -> (N, F, *O), by matrix products."""
    out, batch = window.counts(x.shape[2:]), x.shape[0]
    per_group = weight.shape[0] // groups
    factors = weight.reshape(groups, per_group, -1)
    x = padded_last(x, window)
    y = np.empty((groups, per_group, *out, batch), dtype=np.result_type(x, weight))
    row = x.shape[0] * _size(window.kernel) * _size(out[1:]) * batch * x.itemsize
    for rows, seen in blocks(window, out, row):
        values = columns(x[:, seen], window, (rows.stop - rows.start, *out[1:]))
        target = y[:, :, rows].reshape(groups, per_group, -1)  # a view
        np.matmul(factors, values.reshape(groups, factors.shape[2], -1), out=target)
    return batch_first(y.reshape(weight.shape[0], *out, batch))


def convolve_input(c: Array, weight: Array, window: Window, groups: int, shape: Any) -> Array:
    """The adjoint of `convolve` by x: (N, F, *O), (F, C/groups, *K) -> (N, C, *S) = shape."""
    out, batch = c.shape[2:], c.shape[0]
    per_group = weight.shape[0] // groups
    factors = weight.reshape(groups, per_group, -1).swapaxes(1, 2)
    c = np.ascontiguousarray(batch_last(c)).reshape(groups, per_group, *out, batch)
    x = padded_zeros(window, shape, np.result_type(c, weight))
    row = shape[1] * _size(window.kernel) * _size(out[1:]) * batch * x.itemsize
    for rows, seen in blocks(window, out, row):
        some = (rows.stop - rows.start, *out[1:])
        values = factors @ c[:, :, rows].reshape(groups, per_group, -1)
        values = values.reshape(shape[1], *window.kernel, *some, batch)
        _gather(values, window, some, batch_last(x)[:, seen])
    return x[inside(window, shape)]


def convolve_weight(c: Array, x: Array, window: Window, groups: int) -> Array:
    """The adjoint of `convolve` by the weight: (N, F, *O), (N, C, *S) -> (F, C/groups, *K)."""
    out, batch = c.shape[2:], c.shape[0]
    filters, channels = c.shape[1], x.shape[1]
    per_filter = channels // groups * _size(window.kernel)
    c = np.ascontiguousarray(batch_last(c)).reshape(groups, filters // groups, *out, batch)
    x = padded_last(x, window)
    # The product's transpose, which has more rows than columns: OpenBLAS takes half as long.
    transposed = np.zeros((groups, per_filter, filters // groups), dtype=np.result_type(c, x))
    row = channels * _size(window.kernel) * _size(out[1:]) * batch * x.itemsize
    for rows, seen in blocks(window, out, row):
        values = columns(x[:, seen], window, (rows.stop - rows.start, *out[1:]))
        some = c[:, :, rows].reshape(groups, filters // groups, -1)
        transposed += values.reshape(groups, per_filter, -1) @ some.swapaxes(1, 2)
    weight = np.ascontiguousarray(transposed.swapaxes(1, 2))
    return weight.reshape(filters, channels // groups, *window.kernel)


def window_values(x: Array, window: Window) -> Array:
    """(N, C, *S) -> (N, C, *K, *O): what is at each place of the kernel, in each window."""
    return batch_first(columns(padded_last(x, window), window, window.counts(x.shape[2:])))


def window_gather(c: Array, window: Window, shape: Any) -> Array:
    """The adjoint of `window_values`: (N, C, *K, *O) -> (N, C, *S) = shape."""
    x = padded_zeros(window, shape, c.dtype)
    _gather(batch_last(c), window, c.shape[2 + len(window.kernel) :], batch_last(x))
    return x[inside(window, shape)]


def _gather(values: Array, window: Window, out: tuple[int, ...], x: Array) -> None:
    """Add (C, *K, *O, N) to x (C, *S, N): each value to the place that it was seen at."""
    for position, seen in places(window, out):
        x[(slice(None), *seen)] += values[(slice(None), *position)]


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


def resample(x: Array, taps: Taps, axis: int) -> Array:
    """Along one axis, each new element a weighted sum of a few old ones."""
    if x.shape[axis] == 0:
        return np.zeros([*x.shape[:axis], len(taps.places[0]), *x.shape[axis:][1:]], dtype=x.dtype)
    # NumPy's `take` would first copy an array that is in another order in memory.
    order = sorted(range(x.ndim), key=lambda a: -abs(x.strides[a]))
    x, axis = x.transpose(order), order.index(axis % x.ndim)
    across = (-1,) + (1,) * (x.ndim - axis - 1)
    y: Array = None
    for seen, weights in zip(taps.places, taps.weights, strict=True):
        part = np.take(x, np.asarray(seen, dtype=np.intp), axis=axis)
        if any(w != 1 for w in weights):
            part *= np.asarray(weights, dtype=x.dtype).reshape(across)
        y = part if y is None else np.add(y, part, out=y)
    return y.transpose([order.index(a) for a in range(x.ndim)])


def lowest(dtype: Any) -> Any:
    """Less than every other value of the dtype."""
    return -np.inf if dtype.kind == "f" else np.iinfo(dtype).min


# --- Linear algebra -------------------------------------------------------------------------------


def has_inverse(x: Array, digits: float) -> bool:
    """Whether every X⁻¹ exists, and has more than this share of the dtype's digits right."""
    det = np.linalg.det(x)
    if not (det.all() and np.isfinite(det).all()):
        return False
    size = np.linalg.norm(x, axis=(-2, -1)) * np.linalg.norm(np.linalg.inv(x), axis=(-2, -1))
    return bool((size < np.finfo(x.dtype).eps ** -digits).all())


def cofactor(x: Array) -> Array:
    """det(X) X⁻ᵀ; by the singular value decomposition where X is nearly singular."""
    if has_inverse(x, 0.5):
        return np.linalg.det(x)[..., None, None] * np.linalg.inv(x).swapaxes(-2, -1)
    u, s, vh = np.linalg.svd(x)
    others = np.where(np.eye(x.shape[-1], dtype=bool), 1, s[..., None, :]).prod(-1)
    phase = np.linalg.det(u) * np.linalg.det(vh)
    return phase[..., None, None] * ((u * others[..., None, :]) @ vh).conj()


def eig(x: Array) -> tuple[Array, Array]:
    """Eigenvalues and eigenvectors; complex numbers, even where they happen to be real."""
    w, v = np.linalg.eig(x)
    dtype = np.result_type(w.dtype, np.complex64)
    return w.astype(dtype, copy=False), v.astype(dtype, copy=False)


def eigvals(x: Array) -> Array:
    """Eigenvalues; complex numbers, even where they happen to be real."""
    w = np.linalg.eigvals(x)
    return w.astype(np.result_type(w.dtype, np.complex64), copy=False)


def expm(x: Array) -> Array:
    """The matrix exponential, from SciPy."""
    from scipy.linalg import expm as scipy_expm

    return scipy_expm(x.astype(x.dtype.newbyteorder("="), copy=False))
