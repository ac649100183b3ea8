"""What the functions share: checks of their arguments, windows, reductions, what is updated."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import index
from typing import Any

from gradnerve import errors, ops
from gradnerve.backends import array_library, is_whole
from gradnerve.errors import LayerMismatch
from gradnerve.ops.shape import as_tensor_or_array, plain
from gradnerve.ops.window import Taps, Window
from gradnerve.tensor import Tensor

SPACE = {1: "L", 2: "H, W", 3: "D, H, W"}


def batched(ndim: int, name: str, x: Any, function: Callable[[Any], Any], wanted: str = "") -> Any:
    """Call a function of (N, C, *S), also for a single example (C, *S)."""
    check_axes(name, x, ndim, wanted)
    if len(x.shape) == ndim + 2:
        return function(x)
    y = function(ops.expand_dims(x, 0))
    if isinstance(y, tuple):
        return tuple(ops.squeeze(part, 0) for part in y)
    return ops.squeeze(y, 0)


def check_axes(name: str, x: Any, ndim: int, wanted: str = "") -> None:
    """LayerMismatch for what is neither (N, C, *S) nor (C, *S)."""
    if len(x.shape) not in (ndim + 1, ndim + 2):
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


def fitting(name: str, window: Window, x: Any) -> Window:
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


def picks(places: Sequence[int], n: int) -> Taps:
    """The elements at these places."""
    return Taps((tuple(places),), ((1.0,) * len(places),), n)


# --- Losses ---------------------------------------------------------------------------------------


def reduced(name: str, losses: Any, reduction: str) -> Any:
    """The losses as one number: their mean or their sum; or as they are ("none")."""
    if reduction == "mean":
        return ops.mean(losses)
    if reduction == "sum":
        return ops.sum(losses)
    if reduction == "none":
        return losses
    raise ValueError(f"{name}: reduction is 'mean', 'sum' or 'none', not {reduction!r}")


def of_one_shape(name: str, input: Any, target: Any) -> tuple[Any, Any]:
    """Both as arrays or Tensors; ValueError where their shapes differ: losses do not broadcast."""
    input = as_tensor_or_array(input)
    target = as_tensor_or_array(target, input)
    if tuple(input.shape) != tuple(target.shape):
        raise ValueError(errors.loss_shapes(name, tuple(input.shape), tuple(target.shape)))
    return input, target


def check_whole(name: str, index: Any) -> None:
    """TypeError for class numbers or indices that are not whole."""
    if not is_whole(index):
        raise TypeError(f"{name}: class numbers and indices are integers, not {index.dtype}")


# --- State ----------------------------------------------------------------------------------------


def update(name: str, buffer: Any, value: Any) -> None:
    """Give a buffer a new value; no graph sees it. Raises TypeError for an array of JAX's."""
    value = array_library(plain(value)).astype(plain(value), buffer.dtype)
    if isinstance(buffer, Tensor):
        buffer.data = value
    elif hasattr(buffer, "at"):
        raise TypeError(
            f"{name}: an array of JAX's never changes; give what is updated as a Tensor, "
            "gn.Tensor(array)"
        )
    else:
        buffer[...] = value
