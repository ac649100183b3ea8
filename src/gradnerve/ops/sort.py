"""Sorting, what is read off a sorted array (quantiles), searching, and sets."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from gradnerve import errors
from gradnerve.backends import array_library, as_array, constant, is_concrete, kernels
from gradnerve.graph import operator, recording
from gradnerve.ops.elementwise import isnan, where
from gradnerve.ops.index import getitem, places_along, scatter_add, take_along_axis
from gradnerve.ops.reduce import check_not_empty
from gradnerve.ops.scan import ValuesAndIndices
from gradnerve.ops.shape import (
    as_tensor_or_array,
    astype,
    axes_of,
    axis_index,
    permute_dims,
    plain,
    reshape,
)
from gradnerve.tensor import Tensor

__all__ = [
    "argsort", "argtopk", "isin", "median", "nanmedian", "nanpercentile", "nanquantile", "nonzero",
    "percentile", "quantile", "searchsorted", "sort", "topk", "unique_all", "unique_counts",
    "unique_inverse", "unique_values",
]  # fmt: skip


@operator
def sort(x, axis=-1, descending=False, stable=True):
    """The elements in order along the axis. NaN counts as the greatest, as for NumPy and PyTorch.

    At a tie the gradients follow the order of x.
    """
    library = array_library(x)
    # Equal numbers cannot be told apart: only argsort has to be stable, which takes much longer.
    y = library.sort(x, axis=axis, stable=False)
    return library.flip(y, axis=axis) if descending else y


@sort.rule("x", r"\bar x_{\operatorname{argsort}(x)_i} = \bar y_i")
def _(ct, x, axis, descending):
    order = argsort(x, axis, descending)
    return scatter_add(ct, places_along("sort", x, axis, order, True), x.shape)


@operator
def argsort(x, axis=-1, descending=False, stable=True):
    """The indices that sort x along the axis. At a tie the first comes first, if stable."""
    library = array_library(x)
    if not descending:
        return library.argsort(x, axis=axis, stable=stable)
    # Turned around before and after, so that at a tie the first comes first here too.
    order = library.argsort(library.flip(x, axis=axis), axis=axis, stable=stable)
    return library.flip(x.shape[axis] - 1 - order, axis=axis)


@operator
def argtopk(x, k, axis=-1, largest=True):
    """The indices of the k greatest (or smallest) elements along the axis, in that order."""
    n = x.shape[axis_index(axis, x)]
    if not 0 <= k <= n:
        raise ValueError(errors.too_many_of(k, axis, x.shape))
    return kernels(x).argtopk(x, k, axis, largest)


@operator
def searchsorted(x1, x2, side="left", sorter=None):
    """Where in the sorted x1 each element of x2 belongs: before equal ones, or (right) after."""
    if side not in ("left", "right"):
        raise ValueError(f"side is 'left' or 'right', not {side!r}")
    if len(shape := getattr(x1, "shape", (0,))) != 1:
        raise ValueError(errors.not_one_axis_sorted(shape))
    return array_library(x1, x2).searchsorted(x1, x2, side=side, sorter=sorter)


@operator
def isin(x1, x2, invert=False):
    """Whether each element of x1 is one of x2's (or, inverted, none of them)."""
    return kernels(x1, x2).isin(x1, as_array(x2, x1), invert)


# --- Compositions ---------------------------------------------------------------------------------


def topk(x: Any, k: int, axis: int = -1, largest: bool = True) -> ValuesAndIndices:
    """The k greatest (or smallest) elements along the axis, in that order, and where they are.

    (..., N) -> (..., k), twice. NaN counts as the greatest. Which of several equal elements come
    in is open, as in PyTorch. Raises ValueError for more elements than there are.

    >>> import gradnerve as gn
    >>> values, indices = gn.topk(gn.Tensor([1.0, 5.0, 3.0]), 2)
    >>> print(values.data, indices.data)
    [5. 3.] [1 2]
    """
    x = as_tensor_or_array(x)
    if not hasattr(k, "__index__"):
        raise TypeError(errors.not_whole("topk", "k", k))
    if not 0 <= k <= x.shape[axis_index(axis, x, "topk")]:
        raise ValueError(f"topk: {errors.too_many_of(k, axis, x.shape)}")
    indices = argtopk(x, k, axis, largest)
    return ValuesAndIndices(take_along_axis(x, indices, axis), indices)


METHODS = ("linear", "lower", "higher", "nearest", "midpoint")


def quantile(
    x: Any, q: Any, axis: Any = None, method: str = "linear", keepdims: bool = False
) -> Any:
    """The value below which a share q of the elements lies, along the axes (None: all).

    q is a number in [0, 1], or an array of them, whose axes come first in the result. Between two
    elements `method` says what is taken: linear, lower, higher, nearest or midpoint. Where there is
    a NaN the result is NaN. With method linear it is differentiated by q as well.

    Raises ValueError for a q outside of [0, 1], for an unknown method, and for no elements.

    >>> import gradnerve as gn
    >>> gn.quantile(gn.Tensor([1.0, 2.0, 4.0, 8.0]), [0.0, 0.5])
    Tensor([1., 3.], dtype=float64)
    """
    return _quantile("quantile", x, q, 1, axis, method, keepdims)


def percentile(
    x: Any, q: Any, axis: Any = None, method: str = "linear", keepdims: bool = False
) -> Any:
    """`quantile` with q in percent, from 0 to 100.

    >>> import gradnerve as gn
    >>> gn.percentile(gn.Tensor([1.0, 2.0, 4.0]), 75)
    Tensor(3., dtype=float64)
    """
    return _quantile("percentile", x, q, 100, axis, method, keepdims)


def median(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """The middle element along the axes (None: all); of an even number, the mean of the middle two.

    This is NumPy's median; PyTorch's takes the lower one. The gradient goes to the middle element,
    or in halves to the two. Where there is a NaN the result is NaN. Raises ValueError for no
    elements.

    >>> import gradnerve as gn
    >>> gn.median(gn.Tensor([5.0, 1.0, 2.0, 9.0]))
    Tensor(3.5, dtype=float64)
    """
    return _quantile("median", x, 0.5, 1, axis, "midpoint", keepdims)


def nanquantile(
    x: Any, q: Any, axis: Any = None, method: str = "linear", keepdims: bool = False
) -> Any:
    """`quantile` of the elements that are numbers; NaN where there are none of them.

    >>> import gradnerve as gn
    >>> gn.nanquantile(gn.Tensor([1.0, float("nan"), 2.0, 4.0]), 0.25)
    Tensor(1.5, dtype=float64)
    """
    return _quantile("nanquantile", x, q, 1, axis, method, keepdims, True)


def nanpercentile(
    x: Any, q: Any, axis: Any = None, method: str = "linear", keepdims: bool = False
) -> Any:
    """`percentile` of the elements that are numbers; NaN where there are none of them.

    >>> import gradnerve as gn
    >>> gn.nanpercentile(gn.Tensor([1.0, float("nan"), 2.0, 4.0]), 50)
    Tensor(2., dtype=float64)
    """
    return _quantile("nanpercentile", x, q, 100, axis, method, keepdims, True)


def nanmedian(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """`median` of the elements that are numbers; NaN where there are none of them.

    >>> import gradnerve as gn
    >>> gn.nanmedian(gn.Tensor([1.0, float("nan"), 2.0, 4.0]))
    Tensor(2., dtype=float64)
    """
    return _quantile("nanmedian", x, 0.5, 1, axis, "midpoint", keepdims, True)


def _quantile(
    name: str, x: Any, q: Any, whole: int, axis: Any, method: str, keepdims: bool,
    skips_nan: bool = False,
) -> Any:  # fmt: skip
    x = as_tensor_or_array(x)
    q = as_tensor_or_array(q, x)
    q = q if whole == 1 else q / whole
    shares = plain(q)
    library = array_library(shares)
    if method not in METHODS:
        raise ValueError(f"{name}: method is one of {', '.join(METHODS)}, not {method!r}")
    if is_concrete(shares) and not bool(library.all((shares >= 0) & (shares <= 1))):
        high = 100 if name.endswith("percentile") else 1
        raise ValueError(f"{name}: q has to be in the range [0, {high}]")
    if isinstance(q, Tensor) and q.requires_grad and method != "linear":
        raise NotImplementedError(
            f"{name}: by method {method!r} the result is a step function of q, without a "
            "derivative: use method='linear', or q.detach()"
        )
    ndim = len(x.shape)
    reduced = axes_of(axis, x.shape, name)
    check_not_empty(x, axis, name)

    # Its axes flattened, and in front: (n, *kept).
    kept = tuple(i for i in range(ndim) if i not in reduced)
    n = math.prod(x.shape[i] for i in reduced)
    ordered = sort(reshape(permute_dims(x, reduced + kept), (n, *(x.shape[i] for i in kept))), 0)
    several, steps, lane = shares.shape, n - 1, ()
    if skips_nan:  # each lane has as many steps as it has numbers, which are its first elements
        values = plain(ordered)
        there = library.astype(~library.isnan(values), values.dtype)
        steps = library.clip(library.sum(there, axis=0) - 1, 0, None)
        grid = np.indices(tuple(steps.shape), sparse=True)
        lane = tuple(constant(place, steps) for place in grid)
        q, shares = (reshape(share, several + (1,) * len(kept)) for share in (q, shares))
    place = q * steps
    at = shares * steps
    low, high, near = (
        library.astype(f(at), library.int64) for f in (library.floor, library.ceil, library.round)
    )
    if method in ("lower", "higher", "nearest"):
        chosen = {"lower": low, "higher": high, "nearest": near}
        result = getitem(ordered, (chosen[method], *lane))
    else:
        part = place - low if method == "linear" else astype(high > low, at.dtype) * 0.5
        if not skips_nan:
            part = reshape(part, several + (1,) * len(kept))
        dtype = (ordered[:1] * 1.0).dtype
        part = astype(part, dtype) if part.dtype != dtype else part
        first, second = getitem(ordered, (low, *lane)), getitem(ordered, (high, *lane))
        result = where(plain(part) == 0, first, first + part * (second - first))
    if not skips_nan:
        last = getitem(ordered, -1)  # NaN, if there is one
        result = where(isnan(last), last, result)
    if keepdims:
        shape = tuple(1 if i in reduced else n for i, n in enumerate(x.shape))
        result = reshape(result, several + shape)
    return result


def nonzero(x: Any) -> tuple[Any, ...]:
    """The indices of the elements that are not 0: for each axis an array of them, in order.

    Raises ValueError for a single number, which has no axes.

    >>> import gradnerve as gn
    >>> gn.nonzero(gn.Tensor([0.0, 3.0, 4.0]))
    (Tensor([1, 2], dtype=int64),)
    """
    array = plain(x)
    if not array.shape:
        raise ValueError("nonzero: a single number has no axes, so no indices: write x != 0")
    found = array_library(array).nonzero(array)
    return tuple(map(Tensor, found)) if isinstance(x, Tensor) else found


def unique_values(x: Any) -> Any:
    """The different elements of x, in order. Every NaN is different.

    Raises NotImplementedError on a tensor that requires grad, as do the three below.

    >>> import gradnerve as gn
    >>> gn.unique_values(gn.Tensor([3, 1, 3]))
    Tensor([1, 3], dtype=int64)
    """
    return _unique("unique_values", x)


def unique_counts(x: Any) -> Any:
    """The different elements of x, in order, and how often each is there: (values, counts).

    >>> import gradnerve as gn
    >>> gn.unique_counts(gn.Tensor([3, 1, 3])).counts
    Tensor([1, 2], dtype=int64)
    """
    return _unique("unique_counts", x)


def unique_inverse(x: Any) -> Any:
    """The different elements of x, and which each element is: (values, inverse_indices).

    `values[inverse_indices]` is x.

    >>> import gradnerve as gn
    >>> gn.unique_inverse(gn.Tensor([3, 1, 3])).inverse_indices
    Tensor([1, 0, 1], dtype=int64)
    """
    return _unique("unique_inverse", x)


def unique_all(x: Any) -> Any:
    """The different elements of x: (values, indices, inverse_indices, counts).

    `indices` says where in x, flattened, each value is first.

    >>> import gradnerve as gn
    >>> gn.unique_all(gn.Tensor([3, 1, 3])).indices
    Tensor([1, 0], dtype=int64)
    """
    return _unique("unique_all", x)


def _unique(name: str, x: Any) -> Any:
    if isinstance(x, Tensor) and x.requires_grad and recording.get():
        raise NotImplementedError(
            f"{name} has no derivative: how many elements there are is not a smooth function of x. "
            "For values with a gradient, take them from x: "
            "gn.take(x, gn.unique_all(x.detach()).indices); without, use x.detach()."
        )
    array = plain(x)
    result = getattr(array_library(array), name)(array)
    if not isinstance(x, Tensor):
        return result
    return type(result)(*map(Tensor, result)) if isinstance(result, tuple) else Tensor(result)
