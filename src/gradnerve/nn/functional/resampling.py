"""Resizing, padding and rearranging the elements of images."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from operator import index
from typing import Any

import numpy as np

from gradnerve import ops
from gradnerve.errors import LayerMismatch
from gradnerve.nn.functional.checks import SPACE, each, picks
from gradnerve.nn.functional.pooling import adaptive_avg_pool
from gradnerve.ops.window import Taps

__all__ = [
    "channel_shuffle", "interpolate", "pad", "pixel_shuffle", "pixel_unshuffle", "upsample",
    "upsample_bilinear", "upsample_nearest",
]  # fmt: skip


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
        return adaptive_avg_pool(ndim, input, sizes)
    x = input
    for axis, (m, factor) in enumerate(zip(sizes, factors, strict=True), start=2):
        n = x.shape[axis]
        if m == n and MODES[mode] and mode != "bicubic":
            continue  # whatever the factor was, as in PyTorch
        step = n / m if factor is None or recompute_scale_factor else 1 / factor
        x = ops.resample(x, _taps(mode, n, m, step, bool(align_corners)), axis)
    return x


def upsample(
    input: Any, size: Any = None, scale_factor: Any = None, mode: str = "nearest",
    align_corners: bool | None = None,
) -> Any:  # fmt: skip
    """`interpolate`, by its older name."""
    return interpolate(input, size, scale_factor, mode, align_corners)


def upsample_nearest(input: Any, size: Any = None, scale_factor: Any = None) -> Any:
    """`interpolate` with mode="nearest"."""
    return interpolate(input, size, scale_factor, "nearest")


def upsample_bilinear(input: Any, size: Any = None, scale_factor: Any = None) -> Any:
    """`interpolate` with mode="bilinear" and align_corners=True."""
    return interpolate(input, size, scale_factor, "bilinear", True)


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
        return picks([min(i, n - 1) for i in places], n)
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
            enumerate(cubic(t), start=before - 1)
            if mode == "bicubic"
            else ((before, 1 - t), (before + 1, t))
        )
        terms.append([(min(max(i, 0), n - 1), weight) for i, weight in weights])
    return Taps.of(terms, n)


def cubic(t: Any) -> list[Any]:
    """The weights of the two elements before and the two after, for a place t after the second."""
    a = -0.75

    def near(d: Any) -> Any:
        return ((a + 2) * d - (a + 3)) * d * d + 1

    def far(d: Any) -> Any:
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
            x = ops.resample(x, picks(places, n), axis)
            continue
        if left < n:
            kept = slice(max(0, -before), n - max(0, -after))
            x = ops.getitem(x, (*(slice(None),) * axis, kept))
        margins[axis] = (before, after) = (max(0, before), max(0, after))
        if mode == "circular" and (before or after):
            places = [i % left for i in range(-before, left + after)]
            x = ops.resample(x, picks(places, left), axis)
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


def channel_shuffle(input: Any, groups: int) -> Any:
    """The channels of each group dealt out over all groups: (N, C, ...) -> (N, C, ...).

    Source: Zhang et al., "ShuffleNet", CVPR 2018. Raises ValueError where the groups do not divide
    the channels.

    >>> import numpy as np
    >>> channel_shuffle(np.arange(4.0).reshape(1, 4, 1), 2)[0, :, 0]
    array([0., 2., 1., 3.])
    """
    if len(input.shape) < 3 or groups < 1 or input.shape[1] % groups:
        raise LayerMismatch(
            "channel_shuffle", f"expects (N, C, ...) with channels for {groups} groups", input.shape
        )
    n, channels, *sizes = input.shape
    grouped = ops.reshape(input, (n, groups, channels // groups, -1))
    return ops.reshape(ops.swapaxes(grouped, 1, 2), (n, channels, *sizes))


def _factor(name: str, what: str, x: Any, value: Any) -> int:
    if len(x.shape) < 3:
        raise LayerMismatch(
            name, f"expects an input (..., C, H, W), got {len(x.shape)} axes", x.shape
        )
    return each(name, what, value, 1)[0]
