"""Running sums, products and extremes along an axis, and differences: what comes before counts."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from gradnerve.backends import kernels, kind_of
from gradnerve.graph import operator
from gradnerve.ops.elementwise import exp, not_equal, ones_like, where, zeros_like
from gradnerve.ops.index import take_along_axis
from gradnerve.ops.reduce import of_floats, sum
from gradnerve.ops.shape import (
    along,
    as_tensor_or_array,
    axis_index,
    broadcast_to,
    concat,
    flip,
    reshape,
)

__all__ = [
    "cummax", "cummin", "cumprod", "cumsum", "cumulative_argmax", "cumulative_argmin",
    "cumulative_prod", "cumulative_sum", "diff", "logcumsumexp", "trapezoid",
]  # fmt: skip


def part(x: Any, axis: int, start: int | None, stop: int | None) -> Any:
    """x[start:stop] along an axis that is counted from 0."""
    return x[along(axis, slice(start, stop))]


def recurrence(a: Any, b: Any, axis: int) -> Any:
    """r with rᵢ = bᵢ + aᵢ · rᵢ₊₁ along the axis; a is one shorter than b, as the last r is b.

    By doubling: after k rounds each r has what 2ᵏ places give it, so log₂ n rounds do. Without a
    division, so that it is right where an a is 0. (Hillis & Steele 1986, Data parallel algorithms.)
    """
    n, step = b.shape[axis], 1
    while step < n:
        near, far = part(b, axis, 0, n - step), part(b, axis, step, n)
        b = concat([near + a * far, part(b, axis, n - step, n)], axis)
        if 2 * step < n:
            a = part(a, axis, 0, n - 2 * step) * part(a, axis, step, n - step)
        step *= 2
    return b


@operator
def cumsum(x, axis=None, dtype=None):
    """Running sum: each element plus all before it along the axis (None: of x flattened)."""
    return kernels(x).cumsum(x, axis, dtype)


@cumsum.rule("x", r"\bar x_i = \textstyle\sum_{j \ge i} \bar y_j")
def _(ct, x, axis):
    return reshape(flip(cumsum(flip(of_floats(ct), axis), axis), axis), x.shape)


@operator
def cumprod(x, axis=None, dtype=None):
    """Running product along the axis (None: of x flattened). Its gradient is exact at zeros."""
    return kernels(x).cumprod(x, axis, dtype)


@cumprod.rule("x", r"\bar x_i = \textstyle\sum_{j \ge i} \bar y_j \prod_{k \le j, k \ne i} x_k")
def _(ct, y, x, axis):
    if axis is None or not x.shape:
        factors, axis = reshape(x, y.shape), 0
    else:
        factors, axis = x, axis % len(x.shape)
    # What follows xᵢ sees it as ȳᵢ + xᵢ₊₁ · (what follows xᵢ₊₁), times the product of those before.
    after = recurrence(part(factors, axis, 1, None), of_floats(ct), axis)
    before = concat([ones_like(part(y, axis, 0, 1)), part(y, axis, 0, -1)], axis)
    return reshape(before * after, x.shape)


@operator
def logcumsumexp(x, axis=-1):
    """Running log Σ eˣ along the axis, without overflow."""
    return kernels(x).logcumsumexp(x, axis)


@logcumsumexp.rule("x", r"\bar x_i = \textstyle\sum_{j \ge i} \bar y_j\,e^{x_i - y_j}")
def _(ct, y, x, axis):
    axis = axis % len(x.shape)
    nothing = y == -math.inf  # e^(-∞ - -∞): nothing to weigh, so 0
    base = where(nothing, 0.0, y)
    weights = exp(where(nothing, -math.inf, x - base))
    # Relative to y, what follows fades by e^(yᵢ - yᵢ₊₁) < 1: there is no overflow on the way.
    fading = exp(part(base, axis, 0, -1) - part(base, axis, 1, None))
    fading = where(part(nothing, axis, 0, -1), 0.0, fading)
    return weights * recurrence(fading, ct, axis)


@operator
def cumulative_argmax(x, axis):
    """Where the running maximum is, the last place at a tie (and the last NaN after one)."""
    return kernels(x).cumulative_argmax(x, axis)


@operator
def cumulative_argmin(x, axis):
    """Where the running minimum is, the last place at a tie (and the last NaN after one)."""
    return kernels(x).cumulative_argmin(x, axis)


# --- Compositions ---------------------------------------------------------------------------------


class ValuesAndIndices(NamedTuple):
    """Some elements of an array, and where along the axis they are."""

    values: Any
    indices: Any


def cummax(x: Any, axis: int) -> ValuesAndIndices:
    """The running maximum along the axis, and where it is: the last place at a tie.

    After a NaN it is NaN. The gradient goes to the element that is named, as in PyTorch. Raises
    AxisError for an axis that x does not have.

    >>> import gradnerve as gn
    >>> values, indices = gn.cummax(gn.Tensor([1.0, 3.0, 2.0, 3.0]), 0)
    >>> print(values.data, indices.data)
    [1. 3. 3. 3.] [0 1 1 3]
    """
    return _running_extreme("cummax", cumulative_argmax, x, axis)


def cummin(x: Any, axis: int) -> ValuesAndIndices:
    """The running minimum along the axis, and where it is: the last place at a tie.

    After a NaN it is NaN. The gradient goes to the element that is named, as in PyTorch. Raises
    AxisError for an axis that x does not have.

    >>> import gradnerve as gn
    >>> values, indices = gn.cummin(gn.Tensor([3.0, 1.0, 2.0, 1.0]), 0)
    >>> print(values.data, indices.data)
    [3. 1. 1. 1.] [0 1 1 3]
    """
    return _running_extreme("cummin", cumulative_argmin, x, axis)


def _running_extreme(name: str, places: Any, x: Any, axis: int) -> ValuesAndIndices:
    x = as_tensor_or_array(x)
    indices = places(x, axis_index(axis, x, name))
    return ValuesAndIndices(take_along_axis(x, indices, axis), indices)


def cumulative_sum(
    x: Any, axis: int | None = None, dtype: Any = None, include_initial: bool = False
) -> Any:
    """The sums of the first 1, 2, ... elements along the axis, with `include_initial` from 0 on.

    Small integers are summed as int64. Raises ValueError where x has several axes and none is
    named.

    >>> import gradnerve as gn
    >>> gn.cumulative_sum(gn.Tensor([1.0, 2.0, 3.0]), include_initial=True)
    Tensor([0., 1., 3., 6.], dtype=float64)
    """
    x = as_tensor_or_array(x)
    axis = _one_axis("cumulative_sum", x, axis)
    y = cumsum(x, axis, dtype)
    if not include_initial:
        return y
    return concat([zeros_like(sum(y, axis, True, dtype=y.dtype)), y], axis)


def cumulative_prod(
    x: Any, axis: int | None = None, dtype: Any = None, include_initial: bool = False
) -> Any:
    """The products of the first 1, 2, ... elements along the axis, with `include_initial` from 1.

    The gradient is exact where elements are 0. Raises ValueError where x has several axes and none
    is named.

    >>> import gradnerve as gn
    >>> gn.cumulative_prod(gn.Tensor([1.0, 2.0, 3.0]), include_initial=True)
    Tensor([1., 1., 2., 6.], dtype=float64)
    """
    x = as_tensor_or_array(x)
    axis = _one_axis("cumulative_prod", x, axis)
    y = cumprod(x, axis, dtype)
    if not include_initial:
        return y
    return concat([ones_like(sum(y, axis, True, dtype=y.dtype)), y], axis)


def _one_axis(name: str, x: Any, axis: int | None) -> int:
    if axis is None:
        if len(x.shape) != 1:
            raise ValueError(
                f"{name}: x of shape {x.shape} has {len(x.shape)} axes: say along which, axis=0 "
                "for example"
            )
        return 0
    return axis_index(axis, x, name)


def diff(x: Any, n: int = 1, axis: int = -1, prepend: Any = None, append: Any = None) -> Any:
    """The differences of neighbours along the axis, n times: (..., N) -> (..., N - n).

    `prepend` and `append` are joined to x first (a number: as one more place). Of booleans, whether
    neighbours differ. Raises ValueError for a negative n.

    >>> import gradnerve as gn
    >>> gn.diff(gn.Tensor([1.0, 4.0, 9.0]), prepend=0.0)
    Tensor([1., 3., 5.], dtype=float64)
    """
    if n < 0:
        raise ValueError(f"diff: n is how many times to take differences, 0 or more, not {n}")
    x = as_tensor_or_array(x)
    axis = axis_index(axis, x, "diff")
    ends = []
    for end in (prepend, append):
        if end is not None:
            end = as_tensor_or_array(end, x)
            shape = (*x.shape[:axis], 1, *x.shape[axis + 1 :])
            ends.append(end if end.shape else broadcast_to(end, shape))
        else:
            ends.append(None)
    joined = [array for array in (ends[0], x, ends[1]) if array is not None]
    if len(joined) > 1:
        x = concat(joined, axis)
    for _ in range(n):
        later, earlier = part(x, axis, 1, None), part(x, axis, 0, -1)
        x = not_equal(later, earlier) if kind_of(x) == "b" else later - earlier
    return x


def trapezoid(y: Any, x: Any = None, dx: Any = 1.0, axis: int = -1) -> Any:
    """The integral of y along the axis by the trapezoidal rule: ½ Σ (yᵢ + yᵢ₊₁) (xᵢ₊₁ - xᵢ).

    The places x have the length of the axis, or the shape of y; without them they are dx apart. It
    is differentiated by y, x and dx. Raises AxisError for an axis that y does not have.

    >>> import gradnerve as gn
    >>> gn.trapezoid(gn.Tensor([0.0, 1.0, 4.0]), dx=0.5)
    Tensor(1.5, dtype=float64)
    """
    y = as_tensor_or_array(y)
    axis = axis_index(axis, y, "trapezoid")
    width = dx
    if x is not None:
        x = as_tensor_or_array(x, y)
        width = diff(x, axis=axis if len(x.shape) == len(y.shape) else -1)
        if len(x.shape) == 1:
            width = reshape(width, (width.shape[0],) + (1,) * (len(y.shape) - 1 - axis))
    return sum(width * (part(y, axis, 1, None) + part(y, axis, 0, -1)) / 2, axis)
