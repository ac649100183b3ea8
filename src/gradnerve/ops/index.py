"""Indexing and its adjoint; writing. Gather and scatter, take and put are made of these."""

from __future__ import annotations

from typing import Any

import numpy as np

from gradnerve import errors
from gradnerve.backends import (
    array_library,
    as_array,
    constant,
    device,
    foreign,
    is_concrete,
    kernels,
    kind_of,
    size,
)
from gradnerve.graph import operator
from gradnerve.ops.elementwise import where
from gradnerve.ops.shape import along, as_tensor_or_array, axis_index, plain

__all__ = [
    "gather", "index_add", "put_along_axis", "scatter", "scatter_add", "take",
    "take_along_axis",
]  # fmt: skip


@operator
def getitem(x, key):
    """x[key]: integers, slices, `...`, None, boolean masks and arrays of integers."""
    try:
        return kernels(x).getitem(x, key) if type(x) in foreign else x[key]
    except IndexError:
        raise IndexError(_complaint(key, tuple(x.shape))) from None


@getitem.rule("x", r"\bar x_{key} \mathrel{+}= \bar y")
def _(ct, x, key):
    return scatter_add(ct, key, x.shape)


@operator
def scatter_add(x, key, shape):
    """Zeros of `shape`, with x added at `key`; where a place is named twice, both are added."""
    return kernels(x).scatter_add(x, key, shape)


@scatter_add.rule("x", r"\bar x = \bar y_{key}")
def _(ct, key):
    return getitem(ct, key)


@operator
def setitem(x, key, value):
    """x with `value` at x[key]: a new array. Where a place is named twice, the last value stays."""
    try:
        return kernels(x).write(array_library(x).asarray(x, copy=True), key, value)
    except IndexError:
        raise IndexError(_complaint(key, tuple(x.shape))) from None


@setitem.rule("x", r"\bar x = \bar y,\;\text{and}\;\bar x_{key} = 0")
def _(ct, key):
    return setitem(ct, key, 0.0)


@setitem.rule("value", r"\overline{value} = \bar y_{key}\;\text{where no later value was written}")
def _(ct, key):
    share = getitem(ct, key)
    return where(last_written(ct, key), share, 0.0) if may_repeat(key) else share


def may_repeat(key: Any) -> bool:
    """Whether a key can name a place twice: lists and arrays of integers can."""
    parts = key if isinstance(key, tuple) else (key,)
    return any(not isinstance(part, (int, slice, type(None), type(...))) for part in parts)


@operator
def last_written(x, key):
    """For each element of x[key], whether no later one is at the same place of x."""
    return kernels(x).last_written(x, key)


def _complaint(key: Any, shape: tuple[int, ...]) -> str:
    """What is wrong with a key that does not fit an array of `shape`."""
    parts = list(key) if isinstance(key, tuple) else [key]
    plain = (type(None), slice, type(...))
    arrays: list[Any] = [p if isinstance(p, plain) else _numbers(p) for p in parts]
    kinds = ["" if isinstance(a, plain) else a.dtype.kind for a in arrays]
    for part, array, kind in zip(parts, arrays, kinds, strict=True):
        if kind and kind not in "biu" and array.size:
            return errors.bad_index(part)
    if sum(part is ... for part in parts) > 1:
        return "an index has `...` once at most: it stands for all axes that are not named"
    # How many axes each part names.
    pairs = list(zip(arrays, kinds, strict=True))
    counts = [a.ndim if k == "b" else 0 if a is None or a is ... else 1 for a, k in pairs]
    named = sum(counts)
    if named > len(shape):
        if kinds == ["b"]:
            return errors.bad_mask(arrays[0].shape, shape, 0)
        return errors.too_many_indices(named, shape)
    axis = 0
    for (array, kind), count in zip(pairs, counts, strict=True):
        if array is ...:
            axis += len(shape) - named
        elif kind == "b" and array.shape != shape[axis : axis + count]:
            return errors.bad_mask(array.shape, shape, axis)
        elif kind and kind in "iu" and array.size:
            n = shape[axis]
            for extreme in (int(array.min()), int(array.max())):
                if not -n <= extreme < n:
                    return errors.out_of_range(extreme, axis, n)
        axis += count
    shapes = [str(a.shape) for a, kind in pairs if kind and a.shape]
    return f"index arrays of shapes {' and '.join(shapes)} do not broadcast together"


def _numbers(part: Any) -> np.ndarray:
    part = as_array(part)
    return kernels(part).to_numpy(part)


# --- Compositions ---------------------------------------------------------------------------------


def index_of(indices: Any, x: Any) -> Any:
    """Indices as a plain array in the library of x: they have no gradient."""
    array = plain(indices)
    if size(array) == 0 and kind_of(array) == "f":
        array = np.zeros(array.shape, dtype=np.intp)
    return constant(array, x) if isinstance(array, np.ndarray) else array


def check_range(name: str, index: Any, axis: int, n: int) -> None:
    """Raises IndexError for what is no integer, or out of range (if the numbers are known)."""
    if kind_of(index) not in ("i", "u"):
        raise IndexError(f"{name}: {errors.bad_index(index)}")
    if size(index) and is_concrete(index):
        low, high = int(index.min()), int(index.max())
        if low < -n or high >= n:
            raise IndexError(f"{name}: {errors.out_of_range(low if low < -n else high, axis, n)}")


def places_along(name: str, x: Any, axis: int, index: Any, whole: bool) -> Any:
    """The key of the places that `index` names along an axis, with the same index elsewhere.

    `whole`: the other axes broadcast, as NumPy's; otherwise the first ones are taken, as PyTorch's.
    """
    index = index_of(index, x)
    shape, axis = x.shape, axis_index(axis, x, name)
    others = [(n, m) for i, (n, m) in enumerate(zip(shape, index.shape, strict=False)) if i != axis]
    fits = [m in (n, 1) or n == 1 if whole else m <= n for n, m in others]
    if index.ndim != len(shape) or not all(fits):
        wanted = "be equal, or 1" if whole else "be no longer than those of x"
        raise IndexError(
            f"{name}: indices of shape {index.shape} do not fit x of shape {shape}: they have as "
            f"many axes, and all but axis {axis} have to {wanted}"
        )
    check_range(name, index, axis, shape[axis])
    library = array_library(index)
    lengths = shape if whole else index.shape
    key: list[Any] = []
    for i, length in enumerate(lengths):
        ones = (1,) * i, (1,) * (len(shape) - 1 - i)
        places = library.arange(length, device=device(index))
        key.append(library.reshape(places, (*ones[0], length, *ones[1])))
    key[axis] = index
    return tuple(key)


def take(x: Any, indices: Any, axis: int | None = None) -> Any:
    """The elements (rows, columns, ...) at `indices` along an axis; None: of x flattened.

    (N, C), (K,) -> (K, C) for axis=0. The indices may be of any shape, and repeat. Raises
    IndexError for one out of range.

    >>> import gradnerve as gn
    >>> gn.take(gn.Tensor([10.0, 20.0, 30.0]), [2, 0, 2])
    Tensor([30., 10., 30.], dtype=float64)
    """
    x = as_tensor_or_array(x)
    if axis is None:
        x, axis = (x if len(x.shape) == 1 else x.reshape((-1,))), 0
    axis = axis_index(axis, x, "take")
    index = index_of(indices, x)
    check_range("take", index, axis, x.shape[axis])
    return getitem(x, along(axis, index))


def take_along_axis(x: Any, indices: Any, axis: int = -1) -> Any:
    """At each place, the element that `indices` names along the axis: what `argsort` is for.

    x and indices have the same shape but for that axis (axes of length 1 broadcast). Raises
    IndexError where they do not fit, or an index is out of range.

    >>> import gradnerve as gn
    >>> gn.take_along_axis(gn.Tensor([[3.0, 1.0], [2.0, 4.0]]), [[1], [0]], axis=1)
    Tensor([[1.],
            [2.]], dtype=float64)
    """
    x = as_tensor_or_array(x)
    return getitem(x, places_along("take_along_axis", x, axis, indices, True))


def put_along_axis(x: Any, indices: Any, values: Any, axis: int = -1) -> Any:
    """x with `values` at the places that `indices` names along the axis: a new array.

    Where a place is named twice the last value stays, and only that gets a gradient. Raises
    IndexError where the shapes do not fit, or an index is out of range.

    >>> import gradnerve as gn
    >>> gn.put_along_axis(gn.Tensor([3.0, 1.0, 2.0]), [0], 9.0)
    Tensor([9., 1., 2.], dtype=float64)
    """
    x = as_tensor_or_array(x)
    values = as_array(values, x) if isinstance(values, (list, tuple)) else values
    return setitem(x, places_along("put_along_axis", x, axis, indices, True), values)


def gather(x: Any, axis: int, index: Any) -> Any:
    """y[i][j][k] = x[i][index[i][j][k]][k] for axis=1, and so on, as `torch.gather`.

    y has the shape of `index`, which is nowhere longer than x but along the axis. Raises IndexError
    where it does not fit, or is out of range.

    >>> import gradnerve as gn
    >>> gn.gather(gn.Tensor([[1.0, 2.0], [3.0, 4.0]]), 1, [[0, 0], [1, 0]])
    Tensor([[1., 1.],
            [4., 3.]], dtype=float64)
    """
    x = as_tensor_or_array(x)
    return getitem(x, places_along("gather", x, axis, index, False))


def scatter(x: Any, axis: int, index: Any, src: Any, reduce: str | None = None) -> Any:
    """x with y[i][index[i][j][k]][k] = src[i][j][k] for axis=1, and so on, as `torch.scatter`.

    `src` is a number, or at least as large as `index`. With `reduce="add"` it is added to what is
    there, however often a place is named; otherwise the last value stays, and only that gets a
    gradient. Raises IndexError where `index` does not fit, or is out of range.

    >>> import gradnerve as gn
    >>> gn.scatter(gn.zeros_like(gn.Tensor([0.0, 0.0, 0.0])), 0, [2, 0], gn.Tensor([5.0, 6.0]))
    Tensor([6., 0., 5.], dtype=float64)
    """
    if reduce not in (None, "add"):
        raise ValueError(f"scatter: reduce is None or 'add', not {reduce!r}")
    x = as_tensor_or_array(x)
    index = index_of(index, x)
    key = places_along("scatter", x, axis, index, False)
    src = as_array(src, x) if isinstance(src, (list, tuple)) else src
    if getattr(src, "shape", ()):
        longer = [n > m for n, m in zip(index.shape, src.shape, strict=False)]
        if len(src.shape) != index.ndim or any(longer):
            raise IndexError(
                f"scatter: src of shape {src.shape} has no element for each index of {index.shape}"
            )
        if src.shape != index.shape:
            src = getitem(src, tuple(slice(n) for n in index.shape))
    if reduce is None:
        return setitem(x, key, src)
    shape = index.shape
    if getattr(src, "shape", ()) != shape:
        src = src * array_library(x).ones(shape, dtype=x.dtype, device=device(x))
    return x + scatter_add(src, key, x.shape)


def index_add(x: Any, axis: int, index: Any, source: Any, alpha: float = 1) -> Any:
    """x with row i of `source`, times alpha, added to row index[i], as `torch.index_add`.

    Rows along `axis`; `index` has one axis, and may repeat. Raises IndexError for an index out of
    range, ValueError where the shapes do not fit.

    >>> import gradnerve as gn
    >>> gn.index_add(gn.Tensor([1.0, 2.0]), 0, [1, 1], gn.Tensor([10.0, 20.0]))
    Tensor([ 1., 32.], dtype=float64)
    """
    x = as_tensor_or_array(x)
    source = as_tensor_or_array(source, x)
    axis = axis_index(axis, x, "index_add")
    index = index_of(index, x)
    expected = (*x.shape[:axis], *index.shape, *x.shape[axis + 1 :])
    if index.ndim != 1 or source.shape != expected:
        raise ValueError(
            f"index_add: source of shape {source.shape} does not fit x of shape {x.shape} and "
            f"{index.shape} indices along axis {axis}: it has to be {expected}"
        )
    check_range("index_add", index, axis, x.shape[axis])
    key = along(axis, index)
    return x + scatter_add(source if alpha == 1 else source * alpha, key, x.shape)
