"""Operators that reduce an array along `axis`: all axes (None), one, or a tuple of them."""

from __future__ import annotations

import math
from typing import Any

from gradnerve.backends import array_library, is_complex, is_floating
from gradnerve.graph import operator
from gradnerve.ops.elementwise import (
    conj,
    exp,
    imag,
    isnan,
    ones_like,
    real,
    sqrt,
    where,
    zeros_like,
)
from gradnerve.ops.shape import (
    arrays_of,
    as_tensor_or_array,
    astype,
    axes_of,
    broadcast_to,
    concat,
    permute_dims,
    reshape,
)

__all__ = [
    "all", "any", "argmax", "argmin", "average", "count_nonzero", "logsumexp", "max", "mean",
    "min", "nanmax", "nanmean", "nanmin", "nanstd", "nansum", "nanvar", "prod", "ptp", "std",
    "sum", "var",
]  # fmt: skip


def unreduced(value: Any, x: Any, axis: Any, keepdims: bool) -> Any:
    """A reduction's result with its axes back, of length 1, so that it broadcasts against x."""
    if keepdims or not value.shape:
        return value
    reduced = axes_of(axis, x.shape)
    return reshape(value, tuple(1 if i in reduced else n for i, n in enumerate(x.shape)))


def count(x: Any, axis: Any) -> int:
    """How many elements each result was reduced from."""
    return math.prod(x.shape[a] for a in axes_of(axis, x.shape))


def of_floats(ct: Any) -> Any:
    """The cotangent; 0 where the result was made of whole numbers, which are steps."""
    return ct if is_floating(ct) else zeros_like(ct)


def check_not_empty(x: Any, axis: Any, name: str = "") -> None:
    """Of no elements there is no greatest one, nor a smallest or middle one."""
    if count(x, axis) == 0:
        what = "the array" if axis is None else f"axis {axis}"
        raise ValueError(
            f"{name + ': ' if name else ''}{what} is empty (shape {x.shape}), and of no elements "
            "there is no greatest, smallest or middle one; check the size first, or join a "
            "fallback value to x with gn.concat"
        )


@operator
def sum(x, axis=None, keepdims=False, dtype=None):
    """The sum of the elements. Small integers are summed as int64, unsigned ones as uint64."""
    if dtype is None:
        return array_library(x).sum(x, axis=axis, keepdims=keepdims)
    return array_library(x).sum(x, axis=axis, dtype=dtype, keepdims=keepdims)


@sum.rule("x", r"\bar x_i = \bar y")
def _(ct, x, axis, keepdims):
    if ct.dtype is not x.dtype:
        ct = of_floats(ct)
    return broadcast_to(unreduced(ct, x, axis, keepdims), x.shape)


@operator
def mean(x, axis=None, keepdims=False):
    """The mean of the elements; of none of them, NaN."""
    if 0 in x.shape:
        return array_library(x).sum(x, axis=axis, keepdims=keepdims) * math.nan
    return array_library(x).mean(x, axis=axis, keepdims=keepdims)


@mean.rule("x", r"\bar x_i = \bar y / n")
def _(ct, x, axis, keepdims):
    return broadcast_to(unreduced(ct, x, axis, keepdims) / (count(x, axis) or 1), x.shape)


@operator
def max(x, axis=None, keepdims=False):
    """The greatest element, or NaN where there is one. Those that tie share the gradient evenly."""
    if 0 in x.shape:
        check_not_empty(x, axis)
    return array_library(x).max(x, axis=axis, keepdims=keepdims)


@operator
def min(x, axis=None, keepdims=False):
    """The smallest element, or NaN where there is one. Those that tie share the gradient evenly."""
    if 0 in x.shape:
        check_not_empty(x, axis)
    return array_library(x).min(x, axis=axis, keepdims=keepdims)


def shared_by_ties(ct, y, x, axis, keepdims):
    """ct for the elements of x that are equal to the result, divided by their number."""
    # An element that is NaN is why the result is: it is chosen, though not equal to it.
    chosen = astype((x == unreduced(y, x, axis, keepdims)) | (x != x), ct.dtype)
    return unreduced(ct, x, axis, keepdims) * (chosen / sum(chosen, axis, True))


max.rule("x", r"\bar x_i = \bar y\;[x_i = y] / \textstyle\sum_j [x_j = y]")(shared_by_ties)
min.rule("x", r"\bar x_i = \bar y\;[x_i = y] / \textstyle\sum_j [x_j = y]")(shared_by_ties)


@operator
def prod(x, axis=None, keepdims=False, dtype=None):
    """The product of the elements. Its gradient is exact where elements are 0."""
    return array_library(x).prod(x, axis=axis, dtype=dtype, keepdims=keepdims)


@prod.rule("x", r"\bar x_i = \bar y \textstyle\prod_{j \ne i} x_j")
def _(ct, x, axis, keepdims):
    ct = of_floats(ct)
    # y / x is the product of the other elements, except where x is 0; so multiply them instead.
    reduced = axes_of(axis, x.shape)
    kept = tuple(i for i in range(len(x.shape)) if i not in reduced)
    order = kept + reduced
    moved = permute_dims(x, order)
    others = product_of_others(reshape(moved, (*moved.shape[: len(kept)], count(x, axis))))
    back = tuple(order.index(i) for i in range(len(order)))
    others = permute_dims(reshape(others, moved.shape), back)
    return unreduced(ct, x, axis, keepdims) * others


def product_of_others(x):
    """For each element the product of all others along the last axis: halve, multiply, recurse."""
    n = x.shape[-1]
    if n == 1:
        return ones_like(x)
    if n == 0:
        return x
    half = n // 2
    left, right, odd = x[..., :half], x[..., half : 2 * half], x[..., 2 * half :]
    others = product_of_others(concat([left * right, odd], axis=-1))
    pairs = others[..., :half]
    return concat([pairs * right, pairs * left, others[..., half:]], axis=-1)


@operator
def var(x, axis=None, correction=0, keepdims=False):
    """The sum of squared distances from the mean, divided by n - correction."""
    return array_library(x).var(x, axis=axis, correction=correction, keepdims=keepdims)


@var.rule("x", r"\bar x_i = \bar y\;2 (x_i - \operatorname{mean} x) / (n - correction)")
def _(ct, x, axis, correction, keepdims):
    factor = 2 / (count(x, axis) - correction) if count(x, axis) != correction else math.nan
    return unreduced(ct, x, axis, keepdims) * factor * conj(x - mean(x, axis, True))


@operator
def std(x, axis=None, correction=0, keepdims=False):
    """The square root of the variance. The gradient is 0 where all elements are equal."""
    return array_library(x).std(x, axis=axis, correction=correction, keepdims=keepdims)


@std.rule("x", r"\bar x_i = \bar y\;(x_i - \operatorname{mean} x) / (y\,(n - correction))")
def _(ct, y, x, axis, correction, keepdims):
    factor = 1 / (count(x, axis) - correction) if count(x, axis) != correction else math.nan
    scaled = where(y == 0, 0.0, ct / where(y == 0, 1.0, y))
    return unreduced(scaled, x, axis, keepdims) * factor * conj(x - mean(x, axis, True))


@operator
def logsumexp(x, axis=None, keepdims=False):
    """log Σ eˣ, without overflow; of no elements, -∞."""
    library = array_library(x)
    if count(x, axis) == 0:
        return library.sum(x, axis=axis, keepdims=keepdims) - math.inf
    greatest = library.max(x, axis=axis, keepdims=True)
    shift = library.where(library.isfinite(greatest), greatest, 0.0)
    y = library.log(library.sum(library.exp(x - shift), axis=axis, keepdims=True)) + shift
    return y if keepdims else library.squeeze(y, axis=axes_of(axis, x.shape))


@logsumexp.rule("x", r"\bar x_i = \bar y\,e^{x_i - y}")
def _(ct, y, x, axis, keepdims):
    y = unreduced(y, x, axis, keepdims)
    # Where all are -∞ the weights would be e^(∞ - ∞): nothing to weigh, so e^(-∞).
    weights = exp(x - where(y == -math.inf, 0.0, y))
    # They sum to 1, but for the digits that y lacks where it is large.
    total = sum(weights, axis, True)
    total = where((total == 0) | isnan(total), 1.0, total)
    return unreduced(ct, x, axis, keepdims) * (weights / total)


# --- Compositions ---------------------------------------------------------------------------------


def average(x: Any, axis: Any = None, weights: Any = None, keepdims: bool = False) -> Any:
    """The mean along the axes (None: all), each element weighed by `weights`.

    `weights` has the shape of x, or that of the axes alone. It is differentiated as well. Raises
    ValueError where the shapes do not fit. Where the weights sum to 0 there is no average: the
    result is NaN or infinite.

    >>> import gradnerve as gn
    >>> gn.average(gn.Tensor([1.0, 2.0, 6.0]), weights=[1.0, 1.0, 2.0])
    Tensor(3.75, dtype=float64)
    """
    if weights is None:
        return mean(x, axis, keepdims)
    x, weights = arrays_of(x, weights)
    weights = along_axes(weights, x, axis)
    return sum(x * weights, axis, keepdims) / sum(weights, axis, keepdims)


def along_axes(weights: Any, x: Any, axis: Any) -> Any:
    """Weights of the elements of x, or of its places along the axes, so that they broadcast."""
    weights = as_tensor_or_array(weights, x)
    if weights.shape == x.shape:
        return weights
    axes = axes_of(axis, x.shape, "average")
    if axis is None or weights.shape != tuple(x.shape[a] for a in axes):
        raise ValueError(
            f"average: weights of shape {weights.shape} do not fit x of shape {x.shape} along "
            f"axis {axis}: give them the shape of x, or the length of one axis"
        )
    weights = permute_dims(weights, tuple(sorted(range(len(axes)), key=axes.__getitem__)))
    return reshape(weights, tuple(n if i in axes else 1 for i, n in enumerate(x.shape)))


def ptp(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """From peak to peak: the greatest element minus the smallest.

    Raises ValueError for no elements.

    >>> import gradnerve as gn
    >>> gn.ptp(gn.Tensor([1.0, 5.0, -2.0]))
    Tensor(7., dtype=float64)
    """
    return max(x, axis, keepdims) - min(x, axis, keepdims)


def nansum(x: Any, axis: Any = None, keepdims: bool = False, dtype: Any = None) -> Any:
    """The sum of the elements that are numbers: NaN counts as 0, and gets no gradient.

    >>> import gradnerve as gn
    >>> gn.nansum(gn.Tensor([1.0, float("nan"), 2.0]))
    Tensor(3., dtype=float64)
    """
    return sum(_without_nan(x, 0)[0], axis, keepdims, dtype)


def nanmean(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """The mean of the elements that are numbers; NaN where there are none of them.

    >>> import gradnerve as gn
    >>> gn.nanmean(gn.Tensor([1.0, float("nan"), 2.0]))
    Tensor(1.5, dtype=float64)
    """
    numbers, missing = _without_nan(x, 0)
    n = _counted(missing, numbers, axis, keepdims)
    return sum(numbers, axis, keepdims) / where(n == 0, math.nan, n)


def nanmax(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """The greatest of the elements that are numbers; NaN where there are none of them.

    Raises ValueError for no elements.

    >>> import gradnerve as gn
    >>> gn.nanmax(gn.Tensor([1.0, float("nan"), 2.0]))
    Tensor(2., dtype=float64)
    """
    numbers, missing = _without_nan(x, -math.inf)
    if not is_floating(numbers):
        return max(numbers, axis, keepdims)
    return where(all(missing, axis, keepdims), math.nan, max(numbers, axis, keepdims))


def nanmin(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """The smallest of the elements that are numbers; NaN where there are none of them.

    Raises ValueError for no elements.

    >>> import gradnerve as gn
    >>> gn.nanmin(gn.Tensor([1.0, float("nan"), 2.0]))
    Tensor(1., dtype=float64)
    """
    numbers, missing = _without_nan(x, math.inf)
    if not is_floating(numbers):
        return min(numbers, axis, keepdims)
    return where(all(missing, axis, keepdims), math.nan, min(numbers, axis, keepdims))


def nanvar(x: Any, axis: Any = None, correction: float = 0, keepdims: bool = False) -> Any:
    """The variance of the elements that are numbers; NaN where n - correction is not above 0.

    >>> import gradnerve as gn
    >>> gn.nanvar(gn.Tensor([1.0, float("nan"), 3.0]))
    Tensor(1., dtype=float64)
    """
    numbers, missing = _without_nan(x, 0)
    n = _counted(missing, numbers, axis, True)
    centre = sum(numbers, axis, True) / where(n == 0, 1, n)
    apart = where(missing, 0.0, numbers - centre)
    freedom = _counted(missing, numbers, axis, keepdims) - correction
    squares = real(apart) * real(apart)
    if is_complex(apart):
        squares = squares + imag(apart) * imag(apart)
    return sum(squares, axis, keepdims) / where(freedom > 0, freedom, math.nan)


def nanstd(x: Any, axis: Any = None, correction: float = 0, keepdims: bool = False) -> Any:
    """The square root of `nanvar`. The gradient is 0 where all the numbers are equal.

    >>> import gradnerve as gn
    >>> gn.nanstd(gn.Tensor([1.0, float("nan"), 3.0]))
    Tensor(1., dtype=float64)
    """
    variance = nanvar(x, axis, correction, keepdims)
    return where(variance == 0, 0.0, sqrt(where(variance == 0, 1.0, variance)))


def _without_nan(x: Any, other: float) -> tuple[Any, Any]:
    """x with `other` for NaN, and where that was."""
    x = as_tensor_or_array(x)
    missing = isnan(x)
    return (where(missing, other, x) if is_floating(x) else x), missing


def _counted(missing: Any, numbers: Any, axis: Any, keepdims: bool) -> Any:
    """How many are not missing, as a number that can divide."""
    dtype = real(numbers).dtype if is_floating(numbers) else "float64"
    return sum(astype(~missing, dtype), axis, keepdims)


# --- Plain values ---------------------------------------------------------------------------------


@operator
def argmax(x, axis=None, keepdims=False):
    """The position of the greatest element (or of a NaN), the first of them at a tie."""
    if 0 in x.shape:
        check_not_empty(x, axis)
    return array_library(x).argmax(x, axis=axis, keepdims=keepdims)


@operator
def argmin(x, axis=None, keepdims=False):
    """The position of the smallest element (or of a NaN), the first of them at a tie."""
    if 0 in x.shape:
        check_not_empty(x, axis)
    return array_library(x).argmin(x, axis=axis, keepdims=keepdims)


@operator
def any(x, axis=None, keepdims=False):
    """Whether any element is true."""
    return array_library(x).any(x, axis=axis, keepdims=keepdims)


@operator
def all(x, axis=None, keepdims=False):
    """Whether all elements are true."""
    return array_library(x).all(x, axis=axis, keepdims=keepdims)


@operator
def count_nonzero(x, axis=None, keepdims=False):
    """How many elements are not 0."""
    library = array_library(x)
    return library.asarray(library.count_nonzero(x, axis=axis, keepdims=keepdims))
