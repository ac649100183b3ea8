"""Pooling: of what a moving window sees, one number. A single example without N is taken too."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from gradnerve import ops
from gradnerve.backends import array_library, device, is_concrete, size
from gradnerve.errors import LayerMismatch
from gradnerve.nn.functional.checks import (
    batched,
    check_axes,
    check_whole,
    each,
    fitting,
    picks,
    window_of,
)  # fmt: skip
from gradnerve.ops.random import drawn_like
from gradnerve.ops.shape import plain
from gradnerve.ops.window import Taps, Window

__all__ = [
    "adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_avg_pool3d", "adaptive_max_pool1d",
    "adaptive_max_pool2d", "adaptive_max_pool3d", "avg_pool1d", "avg_pool2d", "avg_pool3d",
    "fractional_max_pool2d", "fractional_max_pool3d", "lp_pool1d", "lp_pool2d", "lp_pool3d",
    "max_pool1d", "max_pool2d", "max_pool3d", "max_unpool1d", "max_unpool2d", "max_unpool3d",
]  # fmt: skip


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

    return batched(ndim, name, input, pool)


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


def max_unpool1d(
    input: Any, indices: Any, kernel_size: Any, stride: Any = None, padding: Any = 0,
    output_size: Any = None,
) -> Any:  # fmt: skip
    """What `max_pool1d` found, back where it was: (N, C, L') -> (N, C, L). See `max_unpool2d`."""
    return _max_unpool(1, input, indices, kernel_size, stride, padding, output_size)


def max_unpool2d(
    input: Any, indices: Any, kernel_size: Any, stride: Any = None, padding: Any = 0,
    output_size: Any = None,
) -> Any:  # fmt: skip
    """What `max_pool2d` found, back where it was, between zeros: (N, C, H', W') -> (N, C, H, W).

    `indices` are those that it returned. Where windows overlapped a place is named twice, and the
    last value stays. Of the sizes that the pool may have started from, it takes (H' - 1) · stride -
    2 · padding + kernel, or `output_size`. Raises ValueError where that cannot be, or an index is
    out of range.

    >>> import numpy as np
    >>> y, indices = max_pool2d(np.arange(4.0).reshape(1, 1, 2, 2), 2, return_indices=True)
    >>> max_unpool2d(y, indices, 2)[0, 0]
    array([[0., 0.],
           [0., 3.]])
    """
    return _max_unpool(2, input, indices, kernel_size, stride, padding, output_size)


def max_unpool3d(
    input: Any, indices: Any, kernel_size: Any, stride: Any = None, padding: Any = 0,
    output_size: Any = None,
) -> Any:  # fmt: skip
    """What `max_pool3d` found, back where it was: (N, C, D', H', W') -> (N, C, D, H, W).

    See `max_unpool2d`.
    """
    return _max_unpool(3, input, indices, kernel_size, stride, padding, output_size)


def _max_unpool(
    ndim: int, input: Any, indices: Any, kernel_size: Any, stride: Any, padding: Any,
    output_size: Any,
) -> Any:  # fmt: skip
    name, where = f"max_unpool{ndim}d", plain(indices)
    check_axes(name, input, ndim)
    check_whole(name, where)
    if tuple(where.shape) != tuple(input.shape) or 0 in input.shape[1:]:
        raise LayerMismatch(
            name, f"expects an index for each element, got {tuple(where.shape)}", input.shape
        )
    kernel = each(name, "kernel_size", kernel_size, ndim)
    steps = kernel if stride is None or stride in ((), []) else each(name, "stride", stride, ndim)
    sides = each(name, "padding", padding, ndim)
    usual = [
        (n - 1) * s - 2 * p + k
        for n, s, p, k in zip(input.shape[-ndim:], steps, sides, kernel, strict=True)
    ]
    sizes = usual if output_size is None else list(output_size)[-ndim:]
    if len(sizes) != ndim or any(
        abs(n - m) >= s or n < 1 for n, m, s in zip(sizes, usual, steps, strict=True)
    ):
        raise ValueError(
            f"{name}: an input of shape {tuple(input.shape)} comes from {tuple(usual)}, or less "
            f"than a stride from it, not {tuple(sizes)}"
        )
    outer, places = tuple(input.shape[:-ndim]), math.prod(sizes)
    if size(where) and is_concrete(where) and (where.min() < 0 or where.max() >= places):
        raise ValueError(f"{name}: indices are from 0 to {places - 1}; others were given")
    library = array_library(where)
    zeros = library.zeros((*outer, places), dtype=input.dtype, device=device(input))
    flat = ops.reshape(input, (*outer, -1))
    y = ops.put_along_axis(zeros, library.reshape(where, (*outer, -1)), flat, -1)
    return ops.reshape(y, (*outer, *sizes))


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

    return batched(ndim, name, input, pool)


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
    count = math.prod(each(name, "kernel_size", kernel_size, ndim))
    power = float(norm_type)
    mean = _avg_pool(ndim, input**power, kernel_size, stride, 0, ceil_mode, True, None, name)
    total = mean * count
    zero = plain(total) == 0
    return ops.where(zero, 0.0, ops.where(zero, 1.0, total) ** (1 / power))


# --- Fractional pooling ---------------------------------------------------------------------------


def fractional_max_pool2d(
    input: Any, kernel_size: Any, output_size: Any = None, output_ratio: Any = None,
    return_indices: bool = False, _random_samples: Any = None,
) -> Any:  # fmt: skip
    """The greatest values of windows that overlap at random: (N, C, H, W) -> (N, C, *output_size).

    `output_ratio` gives the output's size as a share of the input's. Each channel has windows of
    its own, set by `_random_samples` (N, C, 2) from 0 to below 1, if given. Source: Graham,
    "Fractional Max-Pooling", 2014. Raises ValueError where sizes do not fit.
    """
    return _fractional_max_pool(
        2, input, kernel_size, output_size, output_ratio, return_indices, _random_samples
    )


def fractional_max_pool3d(
    input: Any, kernel_size: Any, output_size: Any = None, output_ratio: Any = None,
    return_indices: bool = False, _random_samples: Any = None,
) -> Any:  # fmt: skip
    """The greatest values of windows that overlap at random: (N, C, D, H, W) -> (N, C, ...).

    See `fractional_max_pool2d`.
    """
    return _fractional_max_pool(
        3, input, kernel_size, output_size, output_ratio, return_indices, _random_samples
    )


def _fractional_max_pool(
    ndim: int, input: Any, kernel_size: Any, output_size: Any, output_ratio: Any,
    return_indices: bool, samples: Any,
) -> Any:  # fmt: skip
    name = f"fractional_max_pool{ndim}d"
    if (output_size is None) == (output_ratio is None):
        raise ValueError(f"{name}: give an output_size or an output_ratio, and not both")

    def pool(x: Any) -> Any:
        if 0 in x.shape[1:]:
            raise LayerMismatch(name, "has nothing to pool", x.shape)
        sizes, wanted = x.shape[2:], output_size
        if output_size is None:
            several = isinstance(output_ratio, (tuple, list))
            ratios = output_ratio if several else (output_ratio,) * ndim
            wanted = tuple(int(n * r) for n, r in zip(sizes, ratios, strict=True))
        counts = each(name, "output_size", wanted, ndim)
        kernel = each(name, "kernel_size", kernel_size, ndim)
        for n, k, m in zip(sizes, kernel, counts, strict=True):
            if m + k - 1 > n:
                raise LayerMismatch(
                    name, f"has {m} windows of {k}, too many for a length of {n}", x.shape
                )
        library = array_library(plain(x))
        drawn = drawn_like(plain(x), (*x.shape[:2], ndim)) if samples is None else plain(samples)
        enough = len(drawn.shape) == 3 and drawn.shape[0] >= x.shape[0]
        if not enough or tuple(drawn.shape[1:]) != (x.shape[1], ndim):
            raise LayerMismatch(
                name, f"expects _random_samples (N, C, {ndim}), got {tuple(drawn.shape)}", x.shape
            )
        drawn = drawn[: x.shape[0]]
        # Of each axis the places that windows see, (N, C, windows, kernel), as PyTorch places
        # them: steps of (length - kernel) / (windows - 1), rounded down from a random start on.
        places = []
        for axis, (n, k, m) in enumerate(zip(sizes, kernel, counts, strict=True)):
            # (PyTorch takes the samples of two axes in the other order.)
            start = drawn[:, :, 1 - axis if ndim == 2 else axis][:, :, None]
            number = library.arange(m, device=device(x))
            step = (n - k) / (m - 1) if m > 1 else 0.0
            first = library.astype((number + start) * step, library.int64)
            first = first - library.astype(start * step, library.int64)
            begins = library.where(number == m - 1, n - k, first)[..., None]
            places.append(begins + library.arange(k, device=device(x)))
        return _greatest_of(x, places, return_indices)

    return batched(ndim, name, input, pool)


def _greatest_of(x: Any, places: list[Any], return_indices: bool) -> Any:
    """The first greatest in each window; `places` (N, C, windows, kernel) of each axis."""
    library, sizes, ndim = array_library(plain(x)), x.shape[2:], len(places)
    flat: Any = 0
    for axis, (place, n) in enumerate(zip(places, sizes, strict=True)):
        shape = [*place.shape[:2], *(1,) * (2 * ndim)]
        shape[2 + axis], shape[2 + ndim + axis] = place.shape[2:]
        flat = flat * n + library.reshape(place, tuple(shape))
    outer, counts = tuple(x.shape[:2]), tuple(p.shape[2] for p in places)
    flat = library.reshape(flat, (*outer, math.prod(counts), math.prod(p.shape[3] for p in places)))
    seen = ops.take_along_axis(ops.reshape(x, (*outer, 1, math.prod(sizes))), flat, -1)
    best = library.argmax(plain(seen), axis=-1)[..., None]
    y = ops.reshape(ops.take_along_axis(seen, best, -1), (*outer, *counts))
    if not return_indices:
        return y
    return y, library.reshape(ops.take_along_axis(flat, best, -1), (*outer, *counts))


# --- Adaptive pooling -----------------------------------------------------------------------------


def adaptive_avg_pool1d(input: Any, output_size: Any) -> Any:
    """The means of `output_size` windows: (N, C, L) -> (N, C, L'). See `adaptive_avg_pool2d`."""
    return adaptive_avg_pool(1, input, output_size)


def adaptive_avg_pool2d(input: Any, output_size: Any) -> Any:
    """The means of as many windows as asked for: (N, C, H, W) -> (N, C, *output_size).

    Window i of m on an axis of length n goes from ⌊i n/m⌋ up to ⌈(i + 1) n/m⌉. A None in
    `output_size` keeps an axis as it is.

    >>> import numpy as np
    >>> adaptive_avg_pool2d(np.arange(12.0).reshape(1, 1, 3, 4), 2)[0, 0]
    array([[2.5, 4.5],
           [6.5, 8.5]])
    """
    return adaptive_avg_pool(2, input, output_size)


def adaptive_avg_pool3d(input: Any, output_size: Any) -> Any:
    """The means of as many windows as asked for: (N, C, D, H, W) -> (N, C, *output_size).

    See `adaptive_avg_pool2d`.
    """
    return adaptive_avg_pool(3, input, output_size)


def adaptive_avg_pool(ndim: int, input: Any, output_size: Any) -> Any:
    """The same for any number of axes."""
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

    return batched(ndim, name, input, pool)


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
                x = ops.resample(x, picks(chosen, n), axis + 2)
        window = Window(kernel, kernel, ((0, 0),) * ndim, (1,) * ndim)
        y = ops.window_max(x, window)
        if not return_indices:
            return y
        return y, _places(x, y, window, [[a for a, _ in axis] for axis in spans], sizes)

    return batched(ndim, name, input, pool)


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


def _pool_window(
    name: str, ndim: int, x: Any, kernel_size: Any, stride: Any, padding: Any, dilation: Any,
    ceil_mode: bool,
) -> Window:  # fmt: skip
    if 0 in x.shape[1:]:
        raise LayerMismatch(name, "has nothing to pool", x.shape)
    kernel = each(name, "kernel_size", kernel_size, ndim)
    # As in PyTorch, an empty stride is none.
    stride = kernel if stride is None or stride == () or stride == [] else stride
    sides = each(name, "padding", padding, ndim)
    window = window_of(name, ndim, kernel, stride, sides, dilation)
    if any(2 * p > k for p, k in zip(sides, kernel, strict=True)):
        raise ValueError(f"{name}: a padding of {padding} is more than half the kernel, {kernel}")
    if not ceil_mode:
        return fitting(name, window, x)
    margins = []
    for n, k, s, p, d in zip(
        x.shape[2:], kernel, window.stride, sides, window.dilation, strict=True
    ):
        left_over = n + 2 * p - d * (k - 1) - 1
        count = -(-left_over // s) + 1
        if (count - 1) * s >= n + p:  # a last window that would start in the padding does not count
            count -= 1
        margins.append((p, max(p, (count - 1) * s + d * (k - 1) + 1 - n - p)))
    return fitting(name, window._replace(padding=tuple(margins)), x)
