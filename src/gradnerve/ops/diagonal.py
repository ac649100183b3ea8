"""Diagonals and sliding windows: views on an array, each with its adjoint."""

from __future__ import annotations

from typing import Any

from gradnerve import errors
from gradnerve.backends import kernels
from gradnerve.graph import operator
from gradnerve.ops.shape import as_tensor_or_array, axes_of, axis_index, reshape

__all__ = [
    "diag", "diag_embed", "diagflat", "diagonal", "sliding_window_view",
]  # fmt: skip

# --- Diagonals ------------------------------------------------------------------------------------


@operator
def diagonal(x, offset=0, axis1=0, axis2=1):
    """The elements x[i, i + offset] of the plane of two axes, along a new last axis."""
    if len(x.shape) < 2 or axis_index(axis1, x) == axis_index(axis2, x):
        raise ValueError(errors.no_plane(x.shape, axis1, axis2))
    return kernels(x).diagonal(x, offset, axis1, axis2)


@operator
def put_diagonal(x, shape, offset=0, axis1=0, axis2=1):
    """The adjoint of `diagonal`: zeros of `shape`, with the last axis of x on their diagonal."""
    return kernels(x).put_diagonal(x, shape, offset, axis1, axis2)


@diagonal.rule("x", r"\bar x_{i, i + k} = \bar y_i")
def _(ct, x, offset, axis1, axis2):
    return put_diagonal(ct, x.shape, offset, axis1, axis2)


@put_diagonal.rule("x", r"\bar x_i = \bar y_{i, i + k}")
def _(ct, offset, axis1, axis2):
    return diagonal(ct, offset, axis1, axis2)


def diag(x: Any, k: int = 0) -> Any:
    """A matrix with the vector x on its diagonal k; of a matrix, its diagonal k.

    Raises ValueError for other than one or two axes: see `diagonal`, and `diag_embed`.

    >>> import gradnerve as gn
    >>> gn.diag(gn.Tensor([1.0, 2.0])).tolist()
    [[1.0, 0.0], [0.0, 2.0]]
    """
    x = as_tensor_or_array(x)
    if len(x.shape) == 2:
        return diagonal(x, k)
    if len(x.shape) != 1:
        raise ValueError(
            f"diag takes a vector or a matrix, got shape {x.shape}: use diagonal(x, axis1=, "
            "axis2=) for stacks of matrices, diag_embed(x) for stacks of vectors"
        )
    return diag_embed(x, k)


def diagflat(x: Any, k: int = 0) -> Any:
    """A matrix with the elements of x, flattened, on its diagonal k."""
    return diag_embed(reshape(as_tensor_or_array(x), (-1,)), k)


def diag_embed(x: Any, offset: int = 0, axis1: int = -2, axis2: int = -1) -> Any:
    """Square matrices with the last axis of x on their diagonal, in two new axes, as PyTorch.

    >>> import gradnerve as gn
    >>> gn.diag_embed(gn.Tensor([[1.0], [2.0]]), offset=1).tolist()
    [[[0.0, 1.0], [0.0, 0.0]], [[0.0, 2.0], [0.0, 0.0]]]
    """
    x = as_tensor_or_array(x)
    if not x.shape:
        raise ValueError("diag_embed needs a vector, or a stack of them; got a single number")
    n = x.shape[-1] + abs(offset)
    shape = list(x.shape[:-1])
    axes = axes_of((axis1, axis2), (*shape, n, n), "diag_embed")
    for axis in sorted(axes):
        shape.insert(axis, n)
    return put_diagonal(x, tuple(shape), offset, *axes)


# --- Sliding windows ------------------------------------------------------------------------------


@operator
def _sliding_window_view(x, window_shape, axis):
    """The windows of x that slide along the axes, each along new last axes."""
    return kernels(x).sliding_windows(x, window_shape, axis)


@operator
def overlap_add(x, shape, axis):
    """The adjoint of `sliding_window_view`: windows, each added up at its place."""
    return kernels(x).overlap_add(x, shape, axis)


@_sliding_window_view.rule("x", r"\bar x_i = \textstyle\sum \bar y\;\text{of the windows with}\;i")
def _(ct, x, axis):
    return overlap_add(ct, x.shape, axis)


@overlap_add.rule("x", r"\bar x = \text{the windows of}\;\bar y")
def _(ct, x, axis):
    return _sliding_window_view(ct, x.shape[len(x.shape) - len(axis) :], axis)


def sliding_window_view(x: Any, window_shape: Any, axis: Any = None) -> Any:
    """All windows of x, each along new last axes: (N,), 3 -> (N - 2, 3). A view, without a copy.

    `window_shape` is a whole number or several, one for each of the axes (None: all axes).

    Raises ValueError for a window that is larger than its axis.

    >>> import gradnerve as gn
    >>> gn.sliding_window_view(gn.Tensor([1.0, 2.0, 3.0, 4.0]), 3).tolist()
    [[1.0, 2.0, 3.0], [2.0, 3.0, 4.0]]
    """
    x = as_tensor_or_array(x)
    lengths = (window_shape,) if isinstance(window_shape, int) else tuple(window_shape)
    if axis is None:
        axes = tuple(range(len(x.shape)))
    else:
        axis = (axis,) if isinstance(axis, int) else tuple(axis)
        axes = tuple(axis_index(a, x, "sliding_window_view") for a in axis)  # one may come twice
    if len(lengths) != len(axes):
        raise ValueError(
            f"sliding_window_view: a window of {lengths} has {len(lengths)} lengths, for "
            f"{len(axes)} axes of shape {x.shape}"
        )
    left = list(x.shape)
    for a, length in zip(axes, lengths, strict=True):
        left[a] -= length - 1
        if length < 0 or left[a] < 1:
            raise ValueError(
                f"sliding_window_view: a window of {lengths} along axes {axes} is larger than the "
                f"array, of shape {x.shape}, or negative"
            )
    return _sliding_window_view(x, lengths, axes)
