"""Convolution, its adjoint, and the columns of what a moving window sees.

A single example without N is taken too.
"""

from __future__ import annotations

import math
from typing import Any

from gradnerve import ops
from gradnerve.errors import LayerMismatch
from gradnerve.nn.functional.checks import batched, each, fitting, window_of
from gradnerve.ops.window import Window

__all__ = [
    "conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d",
    "fold", "unfold",
]  # fmt: skip


# --- Convolution ----------------------------------------------------------------------------------


def conv1d(
    input: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0,
    dilation: Any = 1, groups: int = 1,
) -> Any:  # fmt: skip
    """Cross-correlation: (N, C, L), (F, C/groups, k), (F,) -> (N, F, L'). See `conv2d`."""
    return _conv(1, input, weight, bias, stride, padding, dilation, groups)


def conv2d(
    input: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0,
    dilation: Any = 1, groups: int = 1,
) -> Any:  # fmt: skip
    """Cross-correlation: (N, C, H, W), (F, C/groups, kh, kw), (F,) -> (N, F, H', W').

    `stride`, `padding` and `dilation` are a number or one for each axis; `padding` can be "same" or
    "valid". Raises ValueError where shapes do not fit.

    >>> import numpy as np
    >>> conv2d(np.ones((1, 1, 3, 3)), np.ones((1, 1, 2, 2)))[0, 0]
    array([[4., 4.],
           [4., 4.]])
    """
    return _conv(2, input, weight, bias, stride, padding, dilation, groups)


def conv3d(
    input: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0,
    dilation: Any = 1, groups: int = 1,
) -> Any:  # fmt: skip
    """Cross-correlation: (N, C, D, H, W), (F, C/groups, kd, kh, kw), (F,) -> (N, F, D', H', W').

    See `conv2d`.
    """
    return _conv(3, input, weight, bias, stride, padding, dilation, groups)


def _conv(
    ndim: int, input: Any, weight: Any, bias: Any, stride: Any, padding: Any, dilation: Any,
    groups: int,
) -> Any:  # fmt: skip
    name = f"conv{ndim}d"

    def convolve(x: Any) -> Any:
        _check_weight(name, ndim, x, weight)
        if x.shape[1] != weight.shape[1] * groups:
            raise LayerMismatch(
                name, f"expects {weight.shape[1] * groups} channels, got {x.shape[1]}", x.shape
            )
        _check_groups(name, "filters", weight.shape[0], groups)
        _check_bias(name, x, bias, weight.shape[0])
        window = window_of(name, ndim, tuple(weight.shape[2:]), stride, padding, dilation)
        return ops.convolve(x, weight, fitting(name, window, x), groups, bias)

    return batched(ndim, name, input, convolve)


def conv_transpose1d(
    input: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0,
    output_padding: Any = 0, groups: int = 1, dilation: Any = 1,
) -> Any:  # fmt: skip
    """The adjoint of `conv1d`: (N, C, L), (C, F/groups, k), (F,) -> (N, F, L').

    See `conv_transpose2d`.
    """
    return _conv_transpose(
        1, input, weight, bias, stride, padding, output_padding, groups, dilation
    )


def conv_transpose2d(
    input: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0,
    output_padding: Any = 0, groups: int = 1, dilation: Any = 1,
) -> Any:  # fmt: skip
    """The adjoint of `conv2d`: (N, C, H, W), (C, F/groups, kh, kw), (F,) -> (N, F, H', W').

    H' is (H - 1) · stride - 2 · padding + dilation · (kh - 1) + output_padding + 1. Raises
    ValueError where shapes do not fit, or for an `output_padding` that is smaller neither than
    the stride nor than the dilation.

    >>> import numpy as np
    >>> conv_transpose2d(np.ones((1, 1, 2, 2)), np.ones((1, 1, 2, 2)))[0, 0]
    array([[1., 2., 1.],
           [2., 4., 2.],
           [1., 2., 1.]])
    """
    return _conv_transpose(
        2, input, weight, bias, stride, padding, output_padding, groups, dilation
    )


def conv_transpose3d(
    input: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0,
    output_padding: Any = 0, groups: int = 1, dilation: Any = 1,
) -> Any:  # fmt: skip
    """The adjoint of `conv3d`: (N, C, D, H, W), (C, F/groups, kd, kh, kw), (F,) -> (N, F, D', ...).

    See `conv_transpose2d`.
    """
    return _conv_transpose(
        3, input, weight, bias, stride, padding, output_padding, groups, dilation
    )


def _conv_transpose(
    ndim: int, input: Any, weight: Any, bias: Any, stride: Any, padding: Any, output_padding: Any,
    groups: int, dilation: Any,
) -> Any:  # fmt: skip
    name = f"conv_transpose{ndim}d"

    def transpose(x: Any) -> Any:
        _check_weight(name, ndim, x, weight)
        if x.shape[1] != weight.shape[0]:
            raise LayerMismatch(
                name, f"expects {weight.shape[0]} channels, got {x.shape[1]}", x.shape
            )
        _check_groups(name, "channels", x.shape[1], groups)
        filters = weight.shape[1] * groups
        _check_bias(name, x, bias, filters)
        strides, dilations, extras, sides = (
            each(name, what, value, ndim)
            for what, value in (
                ("stride", stride), ("dilation", dilation), ("output_padding", output_padding),
                ("padding", padding),
            )
        )  # fmt: skip
        kernel = tuple(weight.shape[2:])
        sizes, margins, beyond = [], [], []
        axes = zip(x.shape[2:], kernel, strides, sides, dilations, extras, strict=True)
        for n, k, s, p, d, extra in axes:
            if extra >= max(s, d):
                raise ValueError(
                    f"{name}: an output_padding of {extra} must be smaller than the stride, {s}, "
                    f"or the dilation, {d}"
                )
            # It uncovers what the padding took away at the end; beyond that it is zeros.
            zeros = max(0, extra - p)
            size = (n - 1) * s - 2 * p + d * (k - 1) + 1 + extra - zeros
            if size + zeros < 1:
                raise LayerMismatch(
                    name, f"has a padding of {p} that leaves nothing of the output", x.shape
                )
            sizes.append(size)
            margins.append((p, p - extra + zeros))
            beyond.append((0, zeros))
        window = Window(kernel, strides, tuple(margins), dilations)
        y = ops.convolve_input(x, weight, window, groups, (x.shape[0], filters, *sizes))
        if any(zeros for _, zeros in beyond):
            y = ops.pad(y, ((0, 0), (0, 0), *beyond))
        return y if bias is None else y + ops.reshape(bias, (-1,) + (1,) * ndim)

    return batched(ndim, name, input, transpose)


def _check_weight(name: str, ndim: int, x: Any, weight: Any) -> None:
    if len(weight.shape) != ndim + 2:
        raise LayerMismatch(
            name, f"expects a weight of {ndim + 2} axes, got {weight.shape}", x.shape
        )


def _check_groups(name: str, what: str, count: int, groups: int) -> None:
    if groups < 1 or count % groups:
        raise ValueError(f"{name}: {count} {what} do not divide into {groups} groups")


def _check_bias(name: str, x: Any, bias: Any, filters: int) -> None:
    if bias is not None and tuple(bias.shape) != (filters,):
        raise LayerMismatch(
            name, f"expects a bias of shape {(filters,)}, got {tuple(bias.shape)}", x.shape
        )


# --- Unfolding ------------------------------------------------------------------------------------


def unfold(
    input: Any, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1
) -> Any:
    """What each window sees, as a column: (N, C, H, W) -> (N, C·kh·kw, number of windows).

    Raises ValueError where the shapes do not fit.

    >>> import numpy as np
    >>> unfold(np.arange(6.0).reshape(1, 1, 2, 3), 2)[0]
    array([[0., 1.],
           [1., 2.],
           [3., 4.],
           [4., 5.]])
    """

    def windows(x: Any) -> Any:
        kernel = each("unfold", "kernel_size", kernel_size, 2)
        sides = each("unfold", "padding", padding, 2)
        window = fitting("unfold", window_of("unfold", 2, kernel, stride, sides, dilation), x)
        count = math.prod(window.counts(x.shape[2:]))
        return ops.reshape(
            ops.window_values(x, window), (x.shape[0], x.shape[1] * math.prod(kernel), count)
        )

    return batched(2, "unfold", input, windows)


def fold(
    input: Any, output_size: Any, kernel_size: Any, dilation: Any = 1, padding: Any = 0,
    stride: Any = 1,
) -> Any:  # fmt: skip
    """The adjoint of `unfold`: (N, C·kh·kw, windows) -> (N, C, *output_size), overlaps added.

    Raises ValueError where the shapes do not fit.

    >>> import numpy as np
    >>> fold(np.ones((1, 4, 2)), (2, 3), 2)[0, 0]
    array([[1., 2., 1.],
           [1., 2., 1.]])
    """

    def gather(x: Any) -> Any:
        sizes = each("fold", "output_size", output_size, 2)
        kernel = each("fold", "kernel_size", kernel_size, 2)
        sides = each("fold", "padding", padding, 2)
        window = window_of("fold", 2, kernel, stride, sides, dilation)
        size = math.prod(kernel)
        if x.shape[1] % size:
            raise LayerMismatch(
                "fold",
                f"expects columns of a multiple of {size}, for a kernel {kernel}, got {x.shape[1]}",
                x.shape,
            )
        counts = window.counts(sizes)
        if x.shape[2] != math.prod(counts):
            raise LayerMismatch(
                "fold",
                f"expects {math.prod(counts)} columns, the {counts[0]}×{counts[1]} windows of an "
                f"output of {sizes}, got {x.shape[2]}",
                x.shape,
            )
        channels = x.shape[1] // size
        columns = ops.reshape(x, (x.shape[0], channels, *kernel, *counts))
        return ops.window_gather(columns, window, (x.shape[0], channels, *sizes))

    return batched(1, "fold", input, gather, "(N, C·kh·kw, windows)")
