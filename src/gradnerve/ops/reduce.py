"""Operators that reduce an array along `axis`: all axes (None), one, or a tuple of them."""

from __future__ import annotations

import math
from typing import Any

from gradnerve.backends import array_library
from gradnerve.graph import operator
from gradnerve.ops.elementwise import conj, exp, ones_like, where
from gradnerve.ops.shape import astype, broadcast_to, concat, permute_dims, reshape


def axes_of(axis: Any, ndim: int) -> tuple[int, ...]:
    """The axes that `axis` means, counted from 0."""
    if axis is None:
        return tuple(range(ndim))
    return tuple(a % ndim for a in (axis if isinstance(axis, (tuple, list)) else (axis,)))


def unreduced(value: Any, x: Any, axis: Any, keepdims: bool) -> Any:
    """A reduction's result with its axes back, of length 1, so that it broadcasts against x."""
    if keepdims or not x.shape:
        return value
    reduced = axes_of(axis, len(x.shape))
    return reshape(value, tuple(1 if i in reduced else n for i, n in enumerate(x.shape)))


def count(x: Any, axis: Any) -> int:
    """How many elements each result was reduced from."""
    return math.prod(x.shape[a] for a in axes_of(axis, len(x.shape)))


@operator
def sum(x, axis=None, keepdims=False):
    """The sum of the elements."""
    return array_library(x).sum(x, axis=axis, keepdims=keepdims)


@sum.rule("x", r"\bar x_i = \bar y")
def _(ct, x, axis, keepdims):
    return broadcast_to(unreduced(ct, x, axis, keepdims), x.shape)


@operator
def mean(x, axis=None, keepdims=False):
    """The mean of the elements."""
    return array_library(x).mean(x, axis=axis, keepdims=keepdims)


@mean.rule("x", r"\bar x_i = \bar y / n")
def _(ct, x, axis, keepdims):
    return broadcast_to(unreduced(ct, x, axis, keepdims) / count(x, axis), x.shape)


@operator
def max(x, axis=None, keepdims=False):
    """The greatest element. Elements that tie share the gradient evenly."""
    return array_library(x).max(x, axis=axis, keepdims=keepdims)


@operator
def min(x, axis=None, keepdims=False):
    """The smallest element. Elements that tie share the gradient evenly."""
    return array_library(x).min(x, axis=axis, keepdims=keepdims)


def shared_by_ties(ct, y, x, axis, keepdims):
    """ct for the elements of x that are equal to the result, divided by their number."""
    chosen = astype(x == unreduced(y, x, axis, keepdims), ct.dtype)
    return unreduced(ct, x, axis, keepdims) * (chosen / sum(chosen, axis, True))


max.rule("x", r"\bar x_i = \bar y\;[x_i = y] / \textstyle\sum_j [x_j = y]")(shared_by_ties)
min.rule("x", r"\bar x_i = \bar y\;[x_i = y] / \textstyle\sum_j [x_j = y]")(shared_by_ties)


@operator
def prod(x, axis=None, keepdims=False):
    """The product of the elements. Its gradient is exact where elements are 0."""
    return array_library(x).prod(x, axis=axis, keepdims=keepdims)


@prod.rule("x", r"\bar x_i = \bar y \textstyle\prod_{j \ne i} x_j")
def _(ct, x, axis, keepdims):
    # y / x is the product of the other elements, except where x is 0; so multiply them instead.
    reduced = axes_of(axis, len(x.shape))
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
    """log Σ eˣ, without overflow."""
    library = array_library(x)
    greatest = library.max(x, axis=axis, keepdims=True)
    shift = library.where(library.isfinite(greatest), greatest, 0.0)
    y = library.log(library.sum(library.exp(x - shift), axis=axis, keepdims=True)) + shift
    return y if keepdims else library.squeeze(y, axis=axes_of(axis, len(x.shape)))


@logsumexp.rule("x", r"\bar x_i = \bar y\,e^{x_i - y}")
def _(ct, y, x, axis, keepdims):
    y = unreduced(y, x, axis, keepdims)
    # Where all are -∞ the weights would be e^(∞ - ∞): nothing to weigh, so 0.
    weights = exp(where(y == -math.inf, -math.inf, x - where(y == -math.inf, 0.0, y)))
    return unreduced(ct, x, axis, keepdims) * weights


# --- Plain values ---------------------------------------------------------------------------------


@operator
def argmax(x, axis=None, keepdims=False):
    """The position of the greatest element, the first of them at a tie."""
    return array_library(x).argmax(x, axis=axis, keepdims=keepdims)


@operator
def argmin(x, axis=None, keepdims=False):
    """The position of the smallest element, the first of them at a tie."""
    return array_library(x).argmin(x, axis=axis, keepdims=keepdims)


@operator
def any(x, axis=None, keepdims=False):
    """Whether any element is true."""
    return array_library(x).any(x, axis=axis, keepdims=keepdims)


@operator
def all(x, axis=None, keepdims=False):
    """Whether all elements are true."""
    return array_library(x).all(x, axis=axis, keepdims=keepdims)
