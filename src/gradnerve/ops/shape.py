"""Operators that move elements without changing them."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from gradnerve.backends import array_library, kernels
from gradnerve.graph import operator
from gradnerve.ops.elementwise import zeros_like


@operator
def reshape(x, shape):
    """The same elements, in the same order, in another shape (-1 for one length to be found)."""
    return array_library(x).reshape(x, (shape,) if isinstance(shape, int) else tuple(shape))


@reshape.rule("x", r"\bar x = \operatorname{reshape} \bar y")
def _(ct, x):
    return reshape(ct, x.shape)


@operator
def permute_dims(x, axes):
    """The axes in another order: axis i of the result is axis axes[i] of x."""
    return array_library(x).permute_dims(x, axes)


@permute_dims.rule("x", r"\bar x = \bar y\;\text{with its axes put back}")
def _(ct, axes):
    axes = [a % len(axes) for a in axes]
    return permute_dims(ct, tuple(axes.index(i) for i in range(len(axes))))


@operator
def matrix_transpose(x):
    """The last two axes swapped: (..., M, N) -> (..., N, M)."""
    return array_library(x).matrix_transpose(x)


@matrix_transpose.rule("x", r"\bar X = \bar Y^{\mathsf T}")
def _(ct):
    return matrix_transpose(ct)


@operator
def squeeze(x, axis):
    """Without the given axes, which have length 1."""
    return array_library(x).squeeze(x, axis=axis)


@squeeze.rule("x", r"\bar x = \operatorname{reshape} \bar y")
def _(ct, x):
    return reshape(ct, x.shape)


@operator
def expand_dims(x, axis=0):
    """With a new axis of length 1 at position `axis`."""
    return array_library(x).expand_dims(x, axis=axis)


@expand_dims.rule("x", r"\bar x = \operatorname{reshape} \bar y")
def _(ct, x):
    return reshape(ct, x.shape)


@operator
def broadcast_to(x, shape):
    """x repeated along new axes and along those of length 1, up to `shape`."""
    return array_library(x).broadcast_to(x, shape)


@broadcast_to.rule("x", r"\bar x = \textstyle\sum \bar y\;\text{over the stretched axes}")
def _(ct):
    return ct  # the engine sums it back to the shape of x


@operator
def _concat(axis, *arrays):
    """Arrays joined along an axis (None: flattened first)."""
    return array_library(*arrays).concat(arrays, axis=axis)


@_concat.rule("arrays", r"\bar x_k = \text{the part of}\;\bar y\;\text{that came from}\;x_k")
def _(ct, axis, arrays, needs):
    if axis is None:
        ends = list(itertools.accumulate((_size(x) for x in arrays), initial=0))
        parts = [ct[a:b] for a, b in itertools.pairwise(ends)]
        return [reshape(part, x.shape) for part, x in zip(parts, arrays, strict=True)]
    before = (slice(None),) * (axis % len(ct.shape))
    ends = list(itertools.accumulate((x.shape[axis] for x in arrays), initial=0))
    spans = zip(itertools.pairwise(ends), needs, strict=True)
    return [ct[(*before, slice(a, b))] if needed else None for (a, b), needed in spans]


def _size(x: Any) -> int:
    return x.size


def concat(arrays: Sequence[Any], axis: int | None = 0) -> Any:
    """Arrays joined along an axis (None: flattened first): [(a, N), (b, N)] -> (a + b, N).

    >>> import gradnerve as gn
    >>> gn.concat([gn.Tensor([1.0, 2.0]), gn.Tensor([3.0])])
    Tensor([1., 2., 3.], dtype=float64)
    """
    if len(arrays) == 0:
        raise ValueError("concat: there is nothing to join; give it one array or more")
    return _concat(axis, *arrays)


def stack(arrays: Sequence[Any], axis: int = 0) -> Any:
    """Arrays of one shape joined along a new axis: [(N,), (N,)] -> (2, N).

    >>> import gradnerve as gn
    >>> gn.stack([gn.Tensor([1.0, 2.0]), gn.Tensor([3.0, 4.0])]).shape
    (2, 2)
    """
    return concat([expand_dims(x, axis) for x in arrays], axis)


@operator
def flip(x, axis=None):
    """The elements in reverse order along the axes."""
    return array_library(x).flip(x, axis=axis)


@flip.rule("x", r"\bar x = \operatorname{flip} \bar y")
def _(ct, axis):
    return flip(ct, axis)


@operator
def roll(x, shift, axis=None):
    """The elements moved along the axes by `shift` places; what is pushed out comes in in front."""
    return array_library(x).roll(x, shift, axis=axis)


@roll.rule("x", r"\bar x = \operatorname{roll}(\bar y, -shift)")
def _(ct, shift, axis):
    back = tuple(-s for s in shift) if isinstance(shift, (tuple, list)) else -shift
    return roll(ct, back, axis)


@operator
def pad(x, pad_width, mode="constant", constant_values=0):
    """x with a margin: `pad_width` is (before, after) for all axes, or a pair for each axis."""
    if mode != "constant":
        raise ValueError(f"mode {mode!r}: only 'constant' is supported")
    return kernels(x).pad(x, _margins(pad_width, x.ndim), constant_values)


@pad.rule("x", r"\bar x = \bar y\;\text{without the margin}")
def _(ct, x, pad_width):
    spans = zip(_margins(pad_width, len(x.shape)), x.shape, strict=True)
    return ct[tuple(slice(before, before + n) for (before, _), n in spans)]


def _margins(pad_width: Any, ndim: int) -> list[tuple[int, int]]:
    return [(before, after) for before, after in np.broadcast_to(pad_width, (ndim, 2)).tolist()]


@operator
def astype(x, dtype):
    """The same values in another dtype."""
    return array_library(x).astype(x, dtype)


@astype.rule("x", r"\bar x = \bar y\;\text{(0 through whole numbers, which are steps)}")
def _(ct):
    floating = array_library(ct).isdtype(ct.dtype, ("real floating", "complex floating"))
    return ct if floating else zeros_like(ct)  # the engine casts it back to the dtype of x


@operator
def copy(x):
    """A copy of x in memory of its own."""
    return array_library(x).asarray(x, copy=True)


@copy.rule("x", r"\bar x = \bar y")
def _(ct):
    return ct
