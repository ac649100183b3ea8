"""Convolution, pooling, padding and resampling, by PyTorch's names and signatures.

Shapes are PyTorch's: N examples, C channels, then one, two or three spatial axes. A single example
without N is taken too. `functional.py` hands these on, so that one imports them from there.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from operator import index
from typing import Any

import numpy as np

from gradnerve import ops
from gradnerve.backends import array_library, device
from gradnerve.errors import LayerMismatch
from gradnerve.ops.shape import plain
from gradnerve.ops.window import Taps, Window

SPACE = {1: "L", 2: "H, W", 3: "D, H, W"}

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
        return ops.convolve(x, weight, _fitting(name, window, x), groups, bias)

    return _batched(ndim, name, input, convolve)


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

    return _batched(ndim, name, input, transpose)


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


# --- Pooling --------------------------------------------------------------------------------------


def max_pool1d(
    input: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1,
    ceil_mode: bool = False, return_indices: bool = False,
) -> Any:  # fmt: skip
    """The greatest value in each window: (N, C, L) -> (N, C, L'). See `max_pool2d`."""
    return _max_pool(1, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


def max_pool2d(
    input: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1,
    ceil_mode: bool = False, return_indices: bool = False,
) -> Any:  # fmt: skip
    """The greatest value in each window: (N, C, H, W) -> (N, C, H', W').

    The stride is the kernel's size unless given. At a tie the first place has the gradient.
    `ceil_mode` keeps a last window that is only partly inside. With `return_indices` also their
    places, each counted row by row through its channel. Raises ValueError for a padding of more
    than half the kernel.

    >>> import numpy as np
    >>> max_pool2d(np.arange(16.0).reshape(1, 1, 4, 4), 2)[0, 0]
    array([[ 5.,  7.],
           [13., 15.]])
    """
    return _max_pool(2, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


def max_pool3d(
    input: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1,
    ceil_mode: bool = False, return_indices: bool = False,
) -> Any:  # fmt: skip
    """The greatest value in each window: (N, C, D, H, W) -> (N, C, D', H', W').

    See `max_pool2d`.
    """
    return _max_pool(3, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


def _max_pool(
    ndim: int, input: Any, kernel_size: Any, stride: Any, padding: Any, dilation: Any,
    ceil_mode: bool, return_indices: bool,
) -> Any:  # fmt: skip
    name = f"max_pool{ndim}d"

    def pool(x: Any) -> Any:
        window = _pool_window(name, ndim, x, kernel_size, stride, padding, dilation, ceil_mode)
        y = ops.window_max(x, window)
        if not return_indices:
            return y
        axes = zip(window.stride, window.padding, y.shape[2:], strict=True)
        starts = [[s * o - before for o in range(n)] for s, (before, _), n in axes]
        return y, _places(x, y, window, starts, x.shape[2:])

    return _batched(ndim, name, input, pool)


def _places(
    x: Any, y: Any, window: Window, starts: Sequence[Sequence[int]], sizes: Sequence[int]
) -> Any:
    """Where in the spatial axes, as one, each window's maximum is; a window begins at its start."""
    library = array_library(plain(x))
    place = ops.astype(ops.window_argmax(x, y, window), library.int64)
    flat: Any = 0
    for i, (start, d, n) in enumerate(zip(starts, window.dilation, sizes, strict=True)):
        inner = math.prod(window.kernel[i + 1 :])
        begins = library.reshape(
            library.asarray(start, dtype=library.int64, device=device(x)),
            (-1,) + (1,) * (len(sizes) - i - 1),
        )
        flat = flat * n + (place // inner % window.kernel[i] * d + begins)
    return flat


def avg_pool1d(
    input: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Any:  # fmt: skip
    """The mean of each window: (N, C, L) -> (N, C, L'). See `avg_pool2d`."""
    return _avg_pool(1, input, kernel_size, stride, padding, ceil_mode, count_include_pad, None)


def avg_pool2d(
    input: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, ceil_mode: bool = False,
    count_include_pad: bool = True, divisor_override: int | None = None,
) -> Any:  # fmt: skip
    """The mean of each window: (N, C, H, W) -> (N, C, H', W').

    The stride is the kernel's size unless given. The padding counts as zeros, or, without
    `count_include_pad`, not at all. Raises ValueError for a padding of more than half the kernel.

    >>> import numpy as np
    >>> avg_pool2d(np.arange(16.0).reshape(1, 1, 4, 4), 2)[0, 0]
    array([[ 2.5,  4.5],
           [10.5, 12.5]])
    """
    return _avg_pool(
        2, input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override
    )


def avg_pool3d(
    input: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, ceil_mode: bool = False,
    count_include_pad: bool = True, divisor_override: int | None = None,
) -> Any:  # fmt: skip
    """The mean of each window: (N, C, D, H, W) -> (N, C, D', H', W'). See `avg_pool2d`."""
    return _avg_pool(
        3, input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override
    )


def _avg_pool(
    ndim: int, input: Any, kernel_size: Any, stride: Any, padding: Any, ceil_mode: bool,
    count_include_pad: bool, divisor_override: int | None, name: str = "",
) -> Any:  # fmt: skip
    name = name or f"avg_pool{ndim}d"
    if divisor_override == 0:
        raise ValueError(f"{name}: divisor_override is 0")

    def pool(x: Any) -> Any:
        window = _pool_window(name, ndim, x, kernel_size, stride, padding, 1, ceil_mode)
        total = ops.window_sum(x, window)
        if divisor_override is not None:
            return total / divisor_override
        sides = each(name, "padding", padding, ndim) if count_include_pad else (0,) * ndim
        margins = tuple((a - p, b - p) for (a, b), p in zip(window.padding, sides, strict=True))
        if not any(a or b for a, b in margins):  # each window is whole
            return total / math.prod(window.kernel)
        # Ones where a place counts: how many of them a window sees is what it is divided by. With
        # ceil_mode a window can reach beyond the padding, where nothing counts.
        counting = (1, 1, *(n + 2 * p for n, p in zip(x.shape[2:], sides, strict=True)))
        ones = array_library(plain(x)).ones(counting, dtype=x.dtype, device=device(x))
        return total / ops.window_sum(ones, window._replace(padding=margins))

    return _batched(ndim, name, input, pool)


def lp_pool1d(
    input: Any, norm_type: Any, kernel_size: Any, stride: Any = None, ceil_mode: bool = False
) -> Any:
    """(Σ xᵖ)^(1/p) of each window, p = norm_type: (N, C, L) -> (N, C, L'). See `lp_pool2d`."""
    return _lp_pool(1, input, norm_type, kernel_size, stride, ceil_mode)


def lp_pool2d(
    input: Any, norm_type: Any, kernel_size: Any, stride: Any = None, ceil_mode: bool = False
) -> Any:
    """(Σ xᵖ)^(1/p) of each window, p = norm_type: (N, C, H, W) -> (N, C, H', W').

    The gradient of a window of zeros is 0 (PyTorch's is NaN). In a window that is only partly
    inside, with `ceil_mode`, the sum is scaled up to that of a whole one, as in PyTorch.
    """
    return _lp_pool(2, input, norm_type, kernel_size, stride, ceil_mode)


def lp_pool3d(
    input: Any, norm_type: Any, kernel_size: Any, stride: Any = None, ceil_mode: bool = False
) -> Any:
    """(Σ xᵖ)^(1/p) of each window, p = norm_type: (N, C, D, H, W) -> (N, C, D', H', W').

    See `lp_pool2d`.
    """
    return _lp_pool(3, input, norm_type, kernel_size, stride, ceil_mode)


def _lp_pool(
    ndim: int, input: Any, norm_type: Any, kernel_size: Any, stride: Any, ceil_mode: bool
) -> Any:
    name = f"lp_pool{ndim}d"
    size = math.prod(each(name, "kernel_size", kernel_size, ndim))
    power = float(norm_type)
    mean = _avg_pool(ndim, input**power, kernel_size, stride, 0, ceil_mode, True, None, name)
    total = mean * size
    zero = plain(total) == 0
    return ops.where(zero, 0.0, ops.where(zero, 1.0, total) ** (1 / power))


# --- Adaptive pooling -----------------------------------------------------------------------------


def adaptive_avg_pool1d(input: Any, output_size: Any) -> Any:
    """The means of `output_size` windows: (N, C, L) -> (N, C, L'). See `adaptive_avg_pool2d`."""
    return _adaptive_avg_pool(1, input, output_size)


def adaptive_avg_pool2d(input: Any, output_size: Any) -> Any:
    """The means of as many windows as asked for: (N, C, H, W) -> (N, C, *output_size).

    Window i of m on an axis of length n goes from ⌊i n/m⌋ up to ⌈(i + 1) n/m⌉. A None in
    `output_size` keeps an axis as it is.

    >>> import numpy as np
    >>> adaptive_avg_pool2d(np.arange(12.0).reshape(1, 1, 3, 4), 2)[0, 0]
    array([[2.5, 4.5],
           [6.5, 8.5]])
    """
    return _adaptive_avg_pool(2, input, output_size)


def adaptive_avg_pool3d(input: Any, output_size: Any) -> Any:
    """The means of as many windows as asked for: (N, C, D, H, W) -> (N, C, *output_size).

    See `adaptive_avg_pool2d`.
    """
    return _adaptive_avg_pool(3, input, output_size)


def _adaptive_avg_pool(ndim: int, input: Any, output_size: Any) -> Any:
    name = f"adaptive_avg_pool{ndim}d"

    def pool(x: Any) -> Any:
        counts = _output_size(name, ndim, x, output_size)
        if all(m == 1 for m in counts):
            return ops.mean(x, tuple(range(2, ndim + 2)), True)
        kernel = _even(x.shape[2:], counts)
        if kernel is not None:
            window = Window(kernel, kernel, ((0, 0),) * ndim, (1,) * ndim)
            return ops.window_sum(x, window) / math.prod(kernel)
        for axis, m in enumerate(counts, start=2):
            if m != x.shape[axis]:
                x = ops.resample(x, _average_taps(x.shape[axis], m), axis)
        return x

    return _batched(ndim, name, input, pool)


def adaptive_max_pool1d(input: Any, output_size: Any, return_indices: bool = False) -> Any:
    """The greatest values of `output_size` windows: (N, C, L) -> (N, C, L').

    See `adaptive_avg_pool2d` for the windows, `max_pool2d` for ties and `return_indices`.
    """
    return _adaptive_max_pool(1, input, output_size, return_indices)


def adaptive_max_pool2d(input: Any, output_size: Any, return_indices: bool = False) -> Any:
    """The greatest values of as many windows as asked for: (N, C, H, W) -> (N, C, *output_size).

    See `adaptive_avg_pool2d` for the windows, `max_pool2d` for ties and `return_indices`.
    """
    return _adaptive_max_pool(2, input, output_size, return_indices)


def adaptive_max_pool3d(input: Any, output_size: Any, return_indices: bool = False) -> Any:
    """The greatest values of as many windows as asked for: (N, C, D, H, W) -> (N, C, *output_size).

    See `adaptive_avg_pool2d` for the windows, `max_pool2d` for ties and `return_indices`.
    """
    return _adaptive_max_pool(3, input, output_size, return_indices)


def _adaptive_max_pool(ndim: int, input: Any, output_size: Any, return_indices: bool) -> Any:
    name = f"adaptive_max_pool{ndim}d"

    def pool(x: Any) -> Any:
        counts, sizes = _output_size(name, ndim, x, output_size), x.shape[2:]
        spans = [_adaptive_spans(n, m) for n, m in zip(sizes, counts, strict=True)]
        kernel = _even(sizes, counts)
        if kernel is None:
            # Windows of different lengths, each made as long as the longest: the last element
            # again and again changes neither the maximum nor which is the first.
            kernel = tuple(max(b - a for a, b in axis) for axis in spans)
            for axis, (k, n) in enumerate(zip(kernel, sizes, strict=True)):
                chosen = [min(a + i, b - 1) for a, b in spans[axis] for i in range(k)]
                x = ops.resample(x, _picks(chosen, n), axis + 2)
        window = Window(kernel, kernel, ((0, 0),) * ndim, (1,) * ndim)
        y = ops.window_max(x, window)
        if not return_indices:
            return y
        return y, _places(x, y, window, [[a for a, _ in axis] for axis in spans], sizes)

    return _batched(ndim, name, input, pool)


def _output_size(name: str, ndim: int, x: Any, output_size: Any) -> tuple[int, ...]:
    sizes = output_size if isinstance(output_size, (tuple, list)) else (output_size,) * ndim
    if len(sizes) == ndim:
        sizes = [n if m is None else m for n, m in zip(x.shape[2:], sizes, strict=True)]
    if 0 in x.shape[2:]:
        raise LayerMismatch(name, "has nothing to pool", x.shape)
    return each(name, "output_size", tuple(sizes), ndim)


def _adaptive_spans(n: int, m: int) -> list[tuple[int, int]]:
    """The m windows on an axis of length n, each from its first place up to where it ends."""
    return [(i * n // m, -(-(i + 1) * n // m)) for i in range(m)]


def _even(sizes: Sequence[int], counts: Sequence[int]) -> tuple[int, ...] | None:
    """The windows' one size, if they divide the axes evenly."""
    if any(n % m for n, m in zip(sizes, counts, strict=True)):
        return None
    return tuple(n // m for n, m in zip(sizes, counts, strict=True))


@lru_cache(maxsize=256)
def _average_taps(n: int, m: int) -> Taps:
    spans = _adaptive_spans(n, m)
    return Taps.of([[(i, 1 / (b - a)) for i in range(a, b)] for a, b in spans], n)


def _picks(places: Sequence[int], n: int) -> Taps:
    """The elements at these places."""
    return Taps((tuple(places),), ((1.0,) * len(places),), n)


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
        window = _fitting("unfold", window_of("unfold", 2, kernel, stride, sides, dilation), x)
        count = math.prod(window.counts(x.shape[2:]))
        return ops.reshape(
            ops.window_values(x, window), (x.shape[0], x.shape[1] * math.prod(kernel), count)
        )

    return _batched(2, "unfold", input, windows)


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

    return _batched(1, "fold", input, gather, "(N, C·kh·kw, windows)")


# --- Resampling -----------------------------------------------------------------------------------

MODES = {"nearest": 0, "nearest-exact": 0, "area": 0, "linear": 1, "bilinear": 2, "bicubic": 2,
         "trilinear": 3}  # fmt: skip


def interpolate(
    input: Any, size: Any = None, scale_factor: Any = None, mode: str = "nearest",
    align_corners: bool | None = None, recompute_scale_factor: bool | None = None,
    antialias: bool = False,
) -> Any:  # fmt: skip
    """Resized to `size`, or by `scale_factor`: (N, C, *S) -> (N, C, *size), along each axis alone.

    `mode` is "nearest", "nearest-exact", "area", "linear" (one axis), "bilinear" or "bicubic"
    (two), or "trilinear" (three). The last four take `align_corners`: with it the outermost
    elements' middles stay where they are, without it their outer edges do. Bicubic is Keys'
    kernel ("Cubic Convolution Interpolation", 1981) with a = -0.75. Raises ValueError for a mode
    or a size that does not fit; `antialias` is not there.

    >>> import numpy as np
    >>> interpolate(np.array([[[0.0, 4.0]]]), size=4, mode="linear")
    array([[[0., 1., 3., 4.]]])
    """
    name, ndim = "interpolate", len(input.shape) - 2
    if mode not in MODES:
        raise ValueError(f"{name}: mode is one of {', '.join(MODES)}, not {mode!r}")
    if ndim not in SPACE or MODES[mode] not in (0, ndim):
        spaces = [SPACE[MODES[mode]]] if MODES[mode] else SPACE.values()
        wanted = " or ".join(f"(N, C, {space})" for space in spaces)
        raise LayerMismatch(
            name, f"with mode {mode!r} expects an input {wanted}, got {ndim + 2} axes", input.shape
        )
    if align_corners is not None and not MODES[mode]:
        raise ValueError(f"{name}: align_corners is for the modes that interpolate, not {mode!r}")
    if antialias:
        raise NotImplementedError(f"{name}: there is no antialias here; use mode='area' to shrink")
    if (size is None) == (scale_factor is None):
        raise ValueError(f"{name}: give a size or a scale_factor, and not both")
    if size is not None and recompute_scale_factor:
        raise ValueError(f"{name}: recompute_scale_factor needs a scale_factor, not a size")
    if 0 in input.shape[2:]:
        raise LayerMismatch(name, "has nothing to interpolate between", input.shape)
    sizes, factors = _new_sizes(input.shape[2:], size, scale_factor)
    if mode == "area":
        return _adaptive_avg_pool(ndim, input, sizes)
    x = input
    for axis, (m, factor) in enumerate(zip(sizes, factors, strict=True), start=2):
        n = x.shape[axis]
        if m == n and MODES[mode] and mode != "bicubic":
            continue  # whatever the factor was, as in PyTorch
        step = n / m if factor is None or recompute_scale_factor else 1 / factor
        x = ops.resample(x, _taps(mode, n, m, step, bool(align_corners)), axis)
    return x


def _new_sizes(
    sizes: Sequence[int], size: Any, scale_factor: Any
) -> tuple[tuple[int, ...], Sequence[float | None]]:
    """The sizes of the result, and the factors that were asked for."""
    ndim = len(sizes)
    if size is not None:
        return each("interpolate", "size", size, ndim), [None] * ndim
    given = scale_factor if isinstance(scale_factor, (tuple, list)) else [scale_factor] * ndim
    factors = [float(f) for f in given]
    if len(factors) != ndim or min(factors) <= 0:
        raise ValueError(
            f"interpolate: scale_factor is a positive number, or {ndim} of them; got {scale_factor}"
        )
    new = tuple(math.floor(n * f) for n, f in zip(sizes, factors, strict=True))
    return each("interpolate", "size", new, ndim), factors


@lru_cache(maxsize=256)
def _taps(mode: str, n: int, m: int, step: float, align_corners: bool) -> Taps:
    """From which of n elements, by how much, each of m is made that are `step` elements apart."""
    if mode.startswith("nearest"):
        shift = 0.5 if mode == "nearest-exact" else 0.0
        single = np.float32  # so that it rounds as in PyTorch: of two that are as near, the same
        places = [int(single(o + shift) * single(step)) for o in range(m)]
        return _picks([min(i, n - 1) for i in places], n)
    if align_corners:
        step = (n - 1) / (m - 1) if m > 1 else 0.0
    middles = [o * step if align_corners else (o + 0.5) * step - 0.5 for o in range(m)]
    terms = []
    for middle in middles:
        if mode != "bicubic":
            middle = min(max(middle, 0.0), n - 1.0)
        before = math.floor(middle)
        t = middle - before
        weights = (
            enumerate(_cubic(t), start=before - 1)
            if mode == "bicubic"
            else ((before, 1 - t), (before + 1, t))
        )
        terms.append([(min(max(i, 0), n - 1), weight) for i, weight in weights])
    return Taps.of(terms, n)


def _cubic(t: float) -> list[float]:
    """The weights of the two elements before and the two after, for a place t after the second."""
    a = -0.75

    def near(d: float) -> float:
        return ((a + 2) * d - (a + 3)) * d * d + 1

    def far(d: float) -> float:
        return ((a * d - 5 * a) * d + 8 * a) * d - 4 * a

    return [far(1 + t), near(t), near(1 - t), far(2 - t)]


def pad(input: Any, pad: Any, mode: str = "constant", value: float | None = None) -> Any:
    """A margin around the last axes: `pad` is (before, after) for the last, then the one before.

    `mode` is "constant" (of `value`, or 0), "reflect", "replicate" or "circular". A negative margin
    takes elements away. Raises ValueError for a margin that the axis is too short for.

    >>> import numpy as np
    >>> pad(np.array([[1.0, 2.0, 3.0]]), (2, 1), mode="reflect")
    array([[3., 2., 1., 2., 3., 2.]])
    """
    x, shape = input, tuple(input.shape)
    if len(pad) % 2 or len(pad) > 2 * len(shape):
        raise ValueError(
            f"pad: expects a pair for each of the last axes of {shape}, got {tuple(pad)}"
        )
    if mode not in ("constant", "circular", *_INSIDE):
        raise ValueError(
            f"pad: mode is 'constant', 'reflect', 'replicate' or 'circular', not {mode!r}"
        )
    margins = [(0, 0)] * len(shape)
    for i in range(len(pad) // 2):
        margins[-1 - i] = (index(pad[2 * i]), index(pad[2 * i + 1]))
    for axis, ((before, after), n) in enumerate(zip(margins, shape, strict=True)):
        if before == after == 0:
            continue
        left = n + min(before, 0) + min(after, 0)  # what is taken away cannot come round again
        most = {"reflect": n - 1, "circular": left, "replicate": math.inf if n else 0}
        if max(before, after) > most.get(mode, math.inf) or n + before + after < 0 or left < 0:
            raise ValueError(
                f"pad: a margin of {(before, after)} does not fit axis {axis}, of length {n}, "
                f"of an input of shape {shape} in mode {mode!r}"
            )
        if mode in _INSIDE:
            places = [_INSIDE[mode](i, n) for i in range(-before, n + after)]
            x = ops.resample(x, _picks(places, n), axis)
            continue
        if left < n:
            kept = slice(max(0, -before), n - max(0, -after))
            x = ops.getitem(x, (*(slice(None),) * axis, kept))
        margins[axis] = (before, after) = (max(0, before), max(0, after))
        if mode == "circular" and (before or after):
            places = [i % left for i in range(-before, left + after)]
            x = ops.resample(x, _picks(places, left), axis)
    if mode != "constant" or not any(map(any, margins)):
        return x
    return ops.pad(x, margins, constant_values=0 if value is None else value)


# Which element stands at place i of an axis of length n, when i can lie outside.
_INSIDE: dict[str, Callable[[int, int], int]] = {
    "reflect": lambda i, n: n - 1 - abs(n - 1 - abs(i)),
    "replicate": lambda i, n: min(max(i, 0), n - 1),
}


def pixel_shuffle(input: Any, upscale_factor: int) -> Any:
    """Channels become pixels: (..., C·r², H, W) -> (..., C, H·r, W·r), r = upscale_factor.

    Source: Shi et al., "Real-Time Single Image and Video Super-Resolution Using an Efficient
    Sub-Pixel Convolutional Neural Network", CVPR 2016. Raises ValueError where r² does not divide
    the channels.

    >>> import numpy as np
    >>> pixel_shuffle(np.arange(4.0).reshape(4, 1, 1), 2)
    array([[[0., 1.],
            [2., 3.]]])
    """
    r = _factor("pixel_shuffle", "upscale_factor", input, upscale_factor)
    *outer, channels, height, width = input.shape
    if channels % (r * r):
        raise LayerMismatch(
            "pixel_shuffle", f"expects a multiple of {r * r} channels, got {channels}", input.shape
        )
    k = len(outer)
    x = ops.reshape(input, (*outer, channels // (r * r), r, r, height, width))
    x = ops.permute_dims(x, (*range(k), k, k + 3, k + 1, k + 4, k + 2))
    return ops.reshape(x, (*outer, channels // (r * r), height * r, width * r))


def pixel_unshuffle(input: Any, downscale_factor: int) -> Any:
    """The inverse of `pixel_shuffle`: (..., C, H·r, W·r) -> (..., C·r², H, W).

    Raises ValueError where r = downscale_factor does not divide the height and the width.
    """
    r = _factor("pixel_unshuffle", "downscale_factor", input, downscale_factor)
    *outer, channels, height, width = input.shape
    if height % r or width % r:
        raise LayerMismatch(
            "pixel_unshuffle",
            f"expects a height and a width that are multiples of {r}, got {height} and {width}",
            input.shape,
        )
    k = len(outer)
    x = ops.reshape(input, (*outer, channels, height // r, r, width // r, r))
    x = ops.permute_dims(x, (*range(k), k, k + 2, k + 4, k + 1, k + 3))
    return ops.reshape(x, (*outer, channels * r * r, height // r, width // r))


def _factor(name: str, what: str, x: Any, value: Any) -> int:
    if len(x.shape) < 3:
        raise LayerMismatch(
            name, f"expects an input (..., C, H, W), got {len(x.shape)} axes", x.shape
        )
    return each(name, what, value, 1)[0]


# --- Checks ---------------------------------------------------------------------------------------


def _batched(ndim: int, name: str, x: Any, function: Callable[[Any], Any], wanted: str = "") -> Any:
    """Call a function of (N, C, *S), also for a single example (C, *S)."""
    if len(x.shape) == ndim + 2:
        return function(x)
    if len(x.shape) == ndim + 1:
        y = function(ops.expand_dims(x, 0))
        if isinstance(y, tuple):
            return tuple(ops.squeeze(part, 0) for part in y)
        return ops.squeeze(y, 0)
    wanted = wanted or f"(N, C, {SPACE[ndim]})"
    raise LayerMismatch(name, f"expects an input {wanted}, got {len(x.shape)} axes", x.shape)


def each(name: str, what: str, value: Any, ndim: int) -> tuple[int, ...]:
    """One whole number for each axis, of one for all or of as many."""
    values = tuple(value) if isinstance(value, (tuple, list)) else (value,)
    values = values * ndim if len(values) == 1 else values
    if len(values) != ndim or not all(hasattr(v, "__index__") for v in values):
        several = "" if ndim == 1 else f", or {ndim} of them"
        raise ValueError(f"{name}: {what} is a whole number{several}; got {value!r}")
    values = tuple(map(index, values))
    if min(values) < (0 if what in ("padding", "output_padding") else 1):
        raise ValueError(f"{name}: {what} cannot be {min(values)}")
    return values


def window_of(
    name: str, ndim: int, kernel: tuple[int, ...], stride: Any, padding: Any, dilation: Any
) -> Window:
    """The window of these sizes, each a number or one for each axis; the padding also by name."""
    strides = each(name, "stride", stride, ndim)
    dilations = each(name, "dilation", dilation, ndim)
    if padding == "same":
        if set(strides) != {1}:
            raise ValueError(f"{name}: padding='same' needs a stride of 1, got {stride}")
        totals = [d * (k - 1) for k, d in zip(kernel, dilations, strict=True)]
        margins = tuple((t // 2, t - t // 2) for t in totals)
    elif isinstance(padding, str) and padding != "valid":
        raise ValueError(f"{name}: padding is a number, 'same' or 'valid', not {padding!r}")
    else:
        sides = each(name, "padding", 0 if padding == "valid" else padding, ndim)
        margins = tuple((p, p) for p in sides)
    return Window(kernel, strides, margins, dilations)


def _fitting(name: str, window: Window, x: Any) -> Window:
    """The window, which must not be larger than the input with its padding."""
    sides = zip(x.shape[2:], window.padding, strict=True)
    sizes = tuple(before + n + after for n, (before, after) in sides)
    try:
        window.counts_padded(sizes)
    except ValueError:
        raise LayerMismatch(
            name,
            f"has a window of {window.kernel}, with dilation {window.dilation}, that is larger "
            f"than the input, {sizes} with its padding",
            x.shape,
        ) from None
    return window


def _pool_window(
    name: str, ndim: int, x: Any, kernel_size: Any, stride: Any, padding: Any, dilation: Any,
    ceil_mode: bool,
) -> Window:  # fmt: skip
    kernel = each(name, "kernel_size", kernel_size, ndim)
    # As in PyTorch, an empty stride is none.
    stride = kernel if stride is None or stride == () or stride == [] else stride
    sides = each(name, "padding", padding, ndim)
    window = window_of(name, ndim, kernel, stride, sides, dilation)
    if any(2 * p > k for p, k in zip(sides, kernel, strict=True)):
        raise ValueError(f"{name}: a padding of {padding} is more than half the kernel, {kernel}")
    if not ceil_mode:
        return _fitting(name, window, x)
    margins = []
    for n, k, s, p, d in zip(
        x.shape[2:], kernel, window.stride, sides, window.dilation, strict=True
    ):
        left_over = n + 2 * p - d * (k - 1) - 1
        count = -(-left_over // s) + 1
        if (count - 1) * s >= n + p:  # a last window that would start in the padding does not count
            count -= 1
        margins.append((p, max(p, (count - 1) * s + d * (k - 1) + 1 - n - p)))
    return _fitting(name, window._replace(padding=tuple(margins)), x)
