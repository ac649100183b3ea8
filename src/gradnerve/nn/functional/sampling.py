"""Images seen through a grid: what a spatial transformer is made of."""

from __future__ import annotations

import itertools
import math
from typing import Any

from gradnerve import ops
from gradnerve.backends import array_library, device
from gradnerve.errors import LayerMismatch
from gradnerve.nn.functional.resampling import cubic
from gradnerve.ops.shape import arrays_of, as_tensor_or_array, plain

__all__ = ["affine_grid", "grid_sample"]


def grid_sample(
    input: Any, grid: Any, mode: str = "bilinear", padding_mode: str = "zeros",
    align_corners: bool | None = None,
) -> Any:  # fmt: skip
    """What is at the places of a grid: (N, C, H, W), (N, H', W', 2) -> (N, C, H', W').

    A place is (x, y), from -1 to 1 over the image: over its outermost elements' middles with
    `align_corners`, else over their outer edges. Between elements it is interpolated ("bilinear",
    "bicubic") or the nearest one. Outside there are "zeros", the "border", or the "reflection".
    Also (N, C, D, H, W), with places (x, y, z), without "bicubic". Source: Jaderberg et al.,
    "Spatial Transformer Networks", 2015. Raises ValueError where shapes or modes do not fit.

    >>> import numpy as np
    >>> grid_sample(np.array([[[[0.0, 4.0]]]]), np.zeros((1, 1, 1, 2)))[0, 0]
    array([[2.]])
    """
    name = "grid_sample"
    x, grid = arrays_of(input, grid)
    ndim, sizes = len(x.shape) - 2, tuple(x.shape[2:])
    if mode not in ("bilinear", "nearest", "bicubic"):
        raise ValueError(f"{name}: mode is 'bilinear', 'nearest' or 'bicubic', not {mode!r}")
    if padding_mode not in ("zeros", "border", "reflection"):
        raise ValueError(
            f"{name}: padding_mode is 'zeros', 'border' or 'reflection', not {padding_mode!r}"
        )
    if ndim not in (2, 3) or (mode == "bicubic" and ndim == 3) or 0 in x.shape[1:]:
        raise LayerMismatch(name, f"with mode {mode!r} expects an input (N, C, H, W)", x.shape)
    if len(grid.shape) != ndim + 2 or grid.shape[0] != x.shape[0] or grid.shape[-1] != ndim:
        raise LayerMismatch(
            name,
            f"expects a grid ({x.shape[0]}, {'...' if ndim == 3 else 'H, W'}, {ndim}), got "
            f"{tuple(grid.shape)}",
            x.shape,
        )
    corners, library = bool(align_corners), array_library(plain(x))
    taps = []  # of each axis: where to look, and how much that counts
    for axis, n in enumerate(sizes):
        place = (grid[..., ndim - 1 - axis] + 1) / 2
        place = place * (n - 1) if corners else place * n - 0.5
        if mode != "bicubic":
            place = _inside(place, n, padding_mode, corners)
        if mode == "nearest":
            taps.append([(library.round(plain(place)), None)])
            continue
        before = library.floor(plain(place))
        t = place - before
        if mode == "bilinear":
            taps.append([(before, 1 - t), (before + 1, t)])
        else:
            looks = [_inside(before + i, n, padding_mode, corners) for i in (-1, 0, 1, 2)]
            taps.append(list(zip(looks, cubic(t), strict=True)))
    flat = ops.reshape(x, (*x.shape[:2], math.prod(sizes)))
    total: Any = 0
    for chosen in itertools.product(*taps):
        value = _values(flat, sizes, [place for place, _ in chosen])
        for _, weight in chosen:
            value = value if weight is None else value * ops.expand_dims(weight, 1)
        total = total + value
    return total


def _inside(place: Any, n: int, padding_mode: str, corners: bool) -> Any:
    """A place on an axis of length n, brought back into it, unless outside there are zeros."""
    if padding_mode == "zeros":
        return place
    if padding_mode == "reflection":
        low, span = (0.0, n - 1.0) if corners else (-0.5, float(n))
        if span == 0:
            return place * 0.0
        distance = ops.abs(place - low)
        turns = array_library(plain(place)).floor(plain(distance) / span)
        rest = distance - turns * span
        place = low + ops.where(turns % 2 == 0, rest, span - rest)
    at = plain(place)
    return ops.where(at <= 0, 0.0, ops.where(at >= n - 1, n - 1.0, place))


def _values(flat: Any, sizes: tuple[int, ...], places: list[Any]) -> Any:
    """The elements at whole-numbered places, and 0 outside: (N, C, elements) -> (N, C, ...)."""
    library = array_library(plain(flat))
    index: Any = 0
    inside: Any = True
    for place, n in zip(places, sizes, strict=True):
        here = (place >= 0) & (place <= n - 1)
        inside = inside & here
        index = index * n + library.astype(library.where(here, place, 0.0), library.int64)
    shape = index.shape
    index = library.reshape(index, (shape[0], 1, math.prod(shape[1:])))
    seen = ops.reshape(ops.take_along_axis(flat, index, 2), (shape[0], flat.shape[1], *shape[1:]))
    return ops.where(library.expand_dims(inside, axis=1), seen, 0.0)


def affine_grid(theta: Any, size: Any, align_corners: bool | None = None) -> Any:
    """The grid of an affine map, for `grid_sample`: (N, 2, 3), (N, C, H, W) -> (N, H, W, 2).

    Also (N, 3, 4), (N, C, D, H, W) -> (N, D, H, W, 3). Raises ValueError where these do not fit.

    >>> import numpy as np
    >>> affine_grid(np.array([[[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]]), (1, 1, 1, 2))[0, 0]
    array([[-0.5,  0. ],
           [ 0.5,  0. ]])
    """
    theta = as_tensor_or_array(theta)
    ndim, sizes = len(size) - 2, tuple(size[2:])
    if ndim not in (2, 3) or tuple(theta.shape) != (size[0], ndim, ndim + 1) or min(size) < 1:
        raise ValueError(
            f"affine_grid: expects maps (N, 2, 3) and a size (N, C, H, W), or (N, 3, 4) and "
            f"(N, C, D, H, W); got {tuple(theta.shape)} and {tuple(size)}"
        )
    library, here = array_library(plain(theta)), device(theta)
    lines = []
    for n in sizes:
        middles = library.arange(n, dtype=theta.dtype, device=here)
        middles = (2 * middles - (n - 1)) / (max(1, n - 1) if align_corners else n)
        lines.append(middles)
    axes = list(library.meshgrid(*lines, indexing="ij"))[::-1]  # x, y, z
    points = library.stack([*axes, library.ones_like(axes[0])], axis=-1)
    points = library.reshape(points, (1, math.prod(sizes), ndim + 1))
    return ops.reshape(ops.matmul(points, ops.matrix_transpose(theta)), (size[0], *sizes, ndim))
