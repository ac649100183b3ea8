"""Margins around an array, in all of NumPy's ways."""

from __future__ import annotations

import operator as python
from typing import Any

import numpy as np

from gradnerve.backends import constant, is_floating, kernels
from gradnerve.graph import operator
from gradnerve.ops.elementwise import isnan, where
from gradnerve.ops.index import getitem, take_along_axis
from gradnerve.ops.reduce import max, mean, min
from gradnerve.ops.shape import (
    along,
    as_tensor_or_array,
    astype,
    axis_index,
    broadcast_to,
    concat,
    holds_tensor,
    plain,
)
from gradnerve.ops.sort import argsort
from gradnerve.tensor import Tensor

__all__ = ["pad"]

Margins = tuple[tuple[int, int], ...]

# What each mode takes besides the widths.
OPTIONS = {
    "constant": "constant_values", "linear_ramp": "end_values", "maximum": "stat_length",
    "minimum": "stat_length", "mean": "stat_length", "median": "stat_length",
    "reflect": "reflect_type", "symmetric": "reflect_type", "edge": "", "wrap": "", "empty": "",
}  # fmt: skip
DEFAULTS = {"constant_values": 0, "end_values": 0, "stat_length": None, "reflect_type": "even"}


@operator
def _pad(x, pad_width, mode="constant", options=None):
    """x inside margins of constants: `pad_width` is a pair for each axis, or one for all."""
    return kernels(x).pad(x, margins_of(pad_width, x), mode, **(options or {}))


@_pad.rule("x", r"\bar x = \bar y\;\text{without the margin}")
def _(ct, x, pad_width):
    spans = zip(margins_of(pad_width, x), x.shape, strict=True)
    return ct[tuple(slice(before, before + n) for (before, _), n in spans)]


@operator
def extend(x, before, after, axis):
    """x between copies of its elements: those at the places `before`, and `after`, of an axis."""
    return kernels(x).extend(x, before, after, axis)


@operator
def fold_margins(x, before, after, axis):
    """The adjoint of `extend`: the margins of an axis, each added to what it was a copy of."""
    return kernels(x).fold_margins(x, before, after, axis)


@extend.rule("x", r"\bar x_i = \textstyle\sum \bar y\;\text{of}\;i\;\text{and of its copies}")
def _(ct, before, after, axis):
    return fold_margins(ct, before, after, axis)


@fold_margins.rule("x", r"\bar x = \bar y\;\text{between copies of its elements}")
def _(ct, before, after, axis):
    return extend(ct, before, after, axis)


def pad(
    x: Any, pad_width: Any, mode: str = "constant", constant_values: Any = 0, *,
    end_values: Any = 0, stat_length: Any = None, reflect_type: str = "even",
) -> Any:  # fmt: skip
    """x inside margins, in the modes of `numpy.pad`, all of them differentiable.

    `pad_width` is one width, a pair (before, after) for all axes, a pair for each axis, or a dict
    of them by axis. The margin holds, by `mode`: "constant" the `constant_values`; "edge" the
    nearest element; "reflect" and "symmetric" the mirrored array, without and with the edge itself
    (`reflect_type="odd"`: turned over about the edge); "wrap" the array from its other end;
    "linear_ramp" numbers from the edge to the `end_values`; "maximum", "minimum", "mean", "median"
    that of the axis, or of the `stat_length` elements at that side; "empty" anything. Values for
    the sides are given as the widths are. At ties in a maximum or minimum the elements share the
    gradient evenly; in a median it goes to the middle elements, by place.

    Raises ValueError for an unknown mode, negative widths, or an empty axis with nothing to repeat.

    >>> import gradnerve as gn
    >>> gn.pad(gn.Tensor([1.0, 2.0, 3.0]), (2, 1), mode="reflect").tolist()
    [3.0, 2.0, 1.0, 2.0, 3.0, 2.0]
    """
    x = as_tensor_or_array(x)
    given = {
        "constant_values": constant_values, "end_values": end_values,
        "stat_length": stat_length, "reflect_type": reflect_type,
    }  # fmt: skip
    options = _checked(mode, given)
    margins = margins_of(pad_width, x)
    if mode == "constant" and not holds_tensor(constant_values):
        return _pad(x, margins, mode, options)
    if mode == "empty" and isinstance(x, Tensor) and x.requires_grad:
        raise NotImplementedError(
            "pad: mode 'empty' leaves whatever was in memory in the margin, of which there is no "
            "gradient: use mode='constant', or x.detach()"
        )
    # Whole numbers are rounded where NumPy rounds them.
    if mode == "empty" or not (is_floating(x) or holds_tensor((constant_values, end_values))):
        return _pad(x, margins, mode, options)
    for axis, (before, after) in enumerate(margins):
        if not (before or after):
            continue
        if mode in ("edge", "wrap", "reflect", "symmetric") and reflect_type == "even":
            n = _length(x, axis, mode)
            x = extend(
                x,
                tuple(_places(np.arange(-before, 0), n, mode)),
                tuple(_places(np.arange(n, n + after), n, mode)),
                axis,
            )
        else:
            sides = (_margin(x, axis, mode, side, margins, given) for side in (0, 1))
            first, last = (astype(side, x.dtype, copy=False) for side in sides)
            x = concat([first, x, last], axis)
    return x


def _checked(mode: Any, given: dict[str, Any]) -> dict[str, Any]:
    """The options of a mode; an error for an unknown one, and for options that it does not take."""
    if callable(mode):
        raise TypeError(
            "pad: a function as mode writes into its array, so there is no gradient of it: make "
            "the margins by hand and join them with gn.concat"
        )
    if mode not in OPTIONS:
        raise ValueError(f"pad: mode {mode!r} is none of {', '.join(map(repr, OPTIONS))}")
    for name, value in given.items():
        simple = value is None or isinstance(value, (int, str))
        if name != OPTIONS[mode] and not (simple and value == DEFAULTS[name]):
            raise ValueError(f"pad: mode {mode!r} does not take {name}")
    if given["reflect_type"] not in ("even", "odd"):
        raise ValueError(f"pad: reflect_type is 'even' or 'odd', not {given['reflect_type']!r}")
    return {OPTIONS[mode]: given[OPTIONS[mode]]} if OPTIONS[mode] else {}


def margins_of(pad_width: Any, x: Any) -> Margins:
    """A pair of widths for each axis."""
    ndim = len(x.shape)
    if isinstance(pad_width, dict):
        pairs: Any = [(0, 0)] * ndim
        for axis, widths in pad_width.items():
            pairs[axis_index(axis, x, "pad")] = tuple(np.broadcast_to(widths, (2,)).tolist())
    else:
        try:
            pairs = np.broadcast_to(np.asarray(pad_width), (ndim, 2)).tolist()
        except ValueError:
            raise ValueError(
                f"pad: pad_width {pad_width!r} is no width, pair, or pair for each of the {ndim} "
                f"axes of shape {x.shape}"
            ) from None
    try:
        margins = tuple((python.index(before), python.index(after)) for before, after in pairs)
    except TypeError:
        raise TypeError(f"pad: widths are whole numbers, got {pad_width!r}") from None
    if any(width < 0 for pair in margins for width in pair):
        raise ValueError(f"pad: widths may not be negative, got {pad_width!r}; slice to shorten x")
    return margins


def _for_side(value: Any, axis: int, side: int, ndim: int) -> Any:
    """Of a value, a pair, or a pair for each axis: the one for this side."""
    if isinstance(value, Tensor):
        return broadcast_to(value, (ndim, 2))[axis, side]
    if isinstance(value, (list, tuple)):
        part = value[axis if len(value) > 1 else 0] if _nested(value) else value
        if isinstance(part, Tensor):
            return broadcast_to(part, (2,))[side]
        return part[side if len(part) > 1 else 0]
    return np.broadcast_to(np.asarray(value), (ndim, 2))[axis, side]


def _nested(value: Any) -> bool:
    return any(isinstance(v, (list, tuple)) or getattr(v, "shape", ()) for v in value)


def _margin(
    x: Any, axis: int, mode: str, side: int, margins: Margins, given: dict[str, Any]
) -> Any:  # fmt: skip
    """The margin at one side (0: before, 1: after) of an axis."""
    ndim, width = len(x.shape), margins[axis][side]
    shape = (*x.shape[:axis], width, *x.shape[axis + 1 :])
    if mode == "constant":
        return broadcast_to(_for_side(given["constant_values"], axis, side, ndim), shape)
    n = _length(x, axis, mode)
    edge = x[along(axis, slice(0, 1) if side == 0 else slice(n - 1, n))]
    if mode == "linear_ramp":
        end = _for_side(given["end_values"], axis, side, ndim)
        steps = np.arange(width) if side == 0 else np.arange(width)[::-1]
        ramp = np.asarray(steps / (width or 1)).reshape((-1,) + (1,) * (ndim - axis - 1))
        ramp = constant(ramp, x)
        return broadcast_to(end + (edge - end) * ramp, shape)
    if mode in ("maximum", "minimum", "mean", "median"):
        length = given["stat_length"]
        if length is not None:
            length = int(_for_side(length, axis, side, ndim))
            if length < 1:
                raise ValueError(f"pad: stat_length is 1 or more, got {given['stat_length']!r}")
        count = n if length is None or length > n else length
        seen = x[along(axis, slice(0, count) if side == 0 else slice(n - count, n))]
        statistic = {"maximum": max, "minimum": min, "mean": mean, "median": _median}[mode]
        return broadcast_to(statistic(seen, axis, True), shape)

    # Reflections that are turned over about the edge: each goes on from the last value, so it is
    # higher by (last - first) than the one before, and every second one is turned over.
    places = np.arange(-width, 0) if side == 0 else np.arange(n, n + width)
    mirrored = getitem(x, along(axis, _places(places, n, mode)))
    column = (-1,) + (1,) * (ndim - axis - 1)
    turn = places // (n - 1 if mode == "reflect" else n) if n > 1 else 0 * places
    turned = turn % 2 == 1
    first, last = x[along(axis, slice(0, 1))], x[along(axis, slice(n - 1, n))]
    higher = constant(np.where(turned, turn - 1, turn).reshape(column), x) * (last - first)
    return higher + where(constant(turned.reshape(column), x), 2 * last - mirrored, mirrored)


def _length(x: Any, axis: int, mode: str) -> int:
    """The length of an axis that a margin is computed from."""
    if x.shape[axis] == 0:
        raise ValueError(
            f"pad: axis {axis} of shape {x.shape} is empty, so mode {mode!r} has nothing to "
            "repeat; use mode='constant'"
        )
    return x.shape[axis]


def _places(places: np.ndarray, n: int, mode: str) -> np.ndarray:
    """Which element of an axis stands at these places, if the axis went on and on."""
    if mode == "edge" or (mode == "reflect" and n == 1):  # nothing to reflect: NumPy takes the edge
        return np.clip(places, 0, n - 1)
    if mode == "wrap":
        return places % n
    turn, place = np.divmod(places, n - 1 if mode == "reflect" else n)
    return np.where(turn % 2 == 1, n - 1 - place, place)


def _median(x: Any, axis: int, keepdims: bool) -> Any:
    """The middle element along an axis, or the mean of the middle two; NaN where there is one."""
    n = x.shape[axis]
    order = argsort(plain(x), axis)
    last = order[along(axis, slice(n - 1, n))]
    nan = isnan(take_along_axis(plain(x), last, axis))  # they are sorted to the end
    elements = [
        take_along_axis(x, where(nan, last, order[along(axis, slice(i, i + 1))]), axis)
        for i in sorted({(n - 1) // 2, n // 2})
    ]
    return elements[0] if len(elements) == 1 else (elements[0] + elements[1]) / 2
