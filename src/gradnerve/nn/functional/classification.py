"""Losses of classes: an input (N, C, ...) has a number for each class, a target names the class.

Class numbers are whole; which ones there are is checked, where their values are known.
"""

from __future__ import annotations

import math
from typing import Any

from gradnerve import errors, ops
from gradnerve.backends import array_library, device, is_concrete, is_whole, size
from gradnerve.nn.functional.checks import check_whole, reduced
from gradnerve.nn.functional.linear import linear
from gradnerve.ops.shape import as_tensor_or_array, plain

__all__ = [
    "cross_entropy", "linear_cross_entropy", "multi_margin_loss", "multilabel_margin_loss",
    "nll_loss",
]  # fmt: skip


def cross_entropy(
    input: Any, target: Any, weight: Any = None, ignore_index: int = -100,
    reduction: str = "mean", label_smoothing: float = 0.0,
) -> Any:  # fmt: skip
    """-log softmax(logits)[class]: logits (N, C, ...) or (C,), class numbers (N, ...) or ().

    The target can also be class probabilities, in the shape of the logits. `weight` is one number
    for each class; with "mean" the sum is divided by the weights of the targets. Targets equal to
    `ignore_index` do not count.

    Raises ValueError for shapes that do not fit and for class numbers out of range, TypeError for
    class numbers that are not whole.

    >>> import numpy as np
    >>> cross_entropy(np.zeros((2, 4)), np.array([1, 3])).round(4)
    np.float64(1.3863)
    """
    if not 0 <= label_smoothing <= 1:
        raise ValueError(f"cross_entropy: label_smoothing is from 0 to 1, not {label_smoothing}")
    target = as_tensor_or_array(target, input)
    if tuple(target.shape) == tuple(input.shape) and not is_whole(plain(target)):
        return _soft_cross_entropy(input, target, weight, ignore_index, reduction, label_smoothing)
    if weight is None and label_smoothing == 0 and len(input.shape) <= 2:
        classes, counted = _classes("cross_entropy", input, target, ignore_index)
        losses = ops.softmax_cross_entropy(input, classes)
        return _weighed("cross_entropy", losses, None, classes, counted, reduction)
    log_probabilities = ops.log_softmax(input, _class_axis(input))
    hard = _nll("cross_entropy", log_probabilities, target, weight, ignore_index, reduction)
    if label_smoothing == 0:
        return hard
    return (1 - label_smoothing) * hard + label_smoothing * _uniform_loss(
        log_probabilities, target, weight, ignore_index, reduction
    )


def _soft_cross_entropy(
    input: Any, target: Any, weight: Any, ignore_index: int, reduction: str, label_smoothing: float
) -> Any:
    axis = _class_axis(input)
    if ignore_index >= 0:
        raise ValueError("cross_entropy: ignore_index is for class numbers, not for probabilities")
    _check_weight("cross_entropy", weight, input.shape[axis])
    if label_smoothing:
        target = target * (1 - label_smoothing) + label_smoothing / input.shape[axis]
    terms = _weighted(ops.log_softmax(input, axis) * target, weight)
    return reduced("cross_entropy", -ops.sum(terms, axis), reduction)


def _uniform_loss(
    log_probabilities: Any, target: Any, weight: Any, ignore_index: int, reduction: str
) -> Any:
    """The loss against all classes alike, which label smoothing mixes in."""
    axis = _class_axis(log_probabilities)
    classes, counted = _classes("cross_entropy", log_probabilities, target, ignore_index)
    losses = -ops.sum(_weighted(log_probabilities, weight), axis) / log_probabilities.shape[axis]
    shares = _shares(weight, classes, counted, losses)
    if counted is not None:
        losses = ops.where(counted, losses, 0.0)
    if reduction == "mean":
        return ops.sum(losses) / (math.prod(losses.shape) if shares is None else ops.sum(shares))
    return reduced("cross_entropy", losses, reduction)


def nll_loss(
    input: Any, target: Any, weight: Any = None, ignore_index: int = -100, reduction: str = "mean"
) -> Any:
    """-x[class] of log-probabilities: (N, C, ...) or (C,), class numbers (N, ...) or ().

    See `cross_entropy`, which takes the logits themselves.
    """
    return _nll("nll_loss", input, target, weight, ignore_index, reduction)


def _nll(name: str, x: Any, target: Any, weight: Any, ignore_index: int, reduction: str) -> Any:
    classes, counted = _classes(name, x, target, ignore_index)
    _check_weight(name, weight, x.shape[_class_axis(x)])
    return _weighed(name, -_picked(x, classes), weight, classes, counted, reduction)


def _picked(x: Any, classes: Any) -> Any:
    """x[class], (N, C, ...) -> (N, ...)."""
    axis, library = _class_axis(x), array_library(classes)
    here, ndim = device(classes), len(classes.shape)
    places = [
        library.reshape(library.arange(n, device=here), (-1,) + (1,) * (ndim - i - 1))
        for i, n in enumerate(classes.shape)
    ]
    return ops.getitem(x, (*places[:axis], classes, *places[axis:]))


def _weighed(
    name: str, losses: Any, weight: Any, classes: Any, counted: Any, reduction: str
) -> Any:
    """The losses of those that count, each times its class's weight, reduced."""
    if counted is not None:
        losses = ops.where(counted, losses, 0.0)  # it may be infinite
    shares = _shares(weight, classes, counted, losses)
    if shares is None:
        return reduced(name, losses, reduction)
    losses = losses if weight is None else losses * shares
    if reduction == "mean":
        return ops.sum(losses) / ops.sum(shares)
    return reduced(name, losses, reduction)


def _shares(weight: Any, classes: Any, counted: Any, losses: Any) -> Any:
    """What each target's loss counts; None where each counts 1."""
    if weight is None:
        return None if counted is None else ops.astype(counted, losses.dtype)
    shares = ops.getitem(weight, classes)
    return shares if counted is None else ops.where(counted, shares, 0.0)


def _class_axis(x: Any) -> int:
    """Which axis of (N, C, ...) or (C,) has the classes."""
    return 1 if len(x.shape) > 1 else 0


def _weighted(x: Any, weight: Any) -> Any:
    """x times one number for each class, if there are weights."""
    if weight is None:
        return x
    return x * ops.reshape(weight, (-1,) + (1,) * (len(x.shape) - _class_axis(x) - 1))


def _classes(name: str, x: Any, target: Any, ignore_index: int | None) -> tuple[Any, Any]:
    """Checked class numbers, and which of them count (None: all of them)."""
    target = plain(as_tensor_or_array(target, x))
    if not x.shape:
        raise ValueError(f"{name}: expects an input (N, C, ...) or (C,), got a single number")
    expected = (x.shape[0], *x.shape[2:]) if len(x.shape) > 1 else ()
    if tuple(target.shape) != expected:
        raise ValueError(errors.target_shape(name, tuple(x.shape), tuple(target.shape), expected))
    check_whole(name, target)
    counted, count, known = None, x.shape[_class_axis(x)], is_concrete(target)
    outside = (target < 0) | (target >= count)
    some = known and outside.any()
    if ignore_index is not None and (some or not known or 0 <= ignore_index < count):
        counted = target != ignore_index
        target = array_library(target).where(counted, target, 0)
        outside = outside & counted
        some = some and outside.any()
    if some:
        raise ValueError(
            f"{name}: a target is class {target[outside].reshape((-1,))[0]}, but the input has "
            f"{count} classes, 0 to {count - 1}"
        )
    return target, counted


def _check_weight(name: str, weight: Any, count: int) -> None:
    if weight is not None and tuple(weight.shape) != (count,):
        raise ValueError(
            f"{name}: expects a weight of shape ({count},), one number for each class, got "
            f"{tuple(weight.shape)}"
        )


# --- Margins --------------------------------------------------------------------------------------


def multi_margin_loss(
    input: Any, target: Any, p: int = 1, margin: float = 1.0, weight: Any = None,
    reduction: str = "mean",
) -> Any:  # fmt: skip
    """Σⱼ max(0, margin - x[class] + x[j])ᵖ / C over the other classes j: (N, C), (N,) or (C,), ().

    p is 1 or 2; `weight` is one number for each class, and multiplies before the power. Raises
    ValueError for shapes that do not fit, class numbers out of range and another p, TypeError for
    class numbers that are not whole.
    """
    name = "multi_margin_loss"
    if p not in (1, 2):
        raise ValueError(f"{name}: p is 1 or 2, not {p}")
    x = as_tensor_or_array(input)
    single = len(x.shape) < 2
    x = ops.reshape(x, (1, -1)) if single else x
    if len(x.shape) != 2 or not x.shape[1]:
        raise ValueError(f"{name}: expects an input (N, C) or (C,), got {tuple(input.shape)}")
    classes = plain(as_tensor_or_array(target, x))
    library = array_library(classes)
    if single and tuple(classes.shape) in ((), (1,)):
        classes = library.reshape(classes, (1,))
    classes, _ = _classes(name, x, classes, None)
    _check_weight(name, weight, x.shape[1])
    own = _picked(x, classes)
    terms = ops.clip(margin - ops.expand_dims(own, 1) + x, 0.0)
    if p == 2:
        terms = ops.square(terms)
    if weight is not None:
        terms = terms * ops.expand_dims(ops.getitem(weight, classes), 1)
    numbers = library.arange(x.shape[1], device=device(classes))
    terms = ops.where(numbers == library.expand_dims(classes, axis=1), 0.0, terms)
    losses = ops.sum(terms, 1) / x.shape[1]
    return reduced(name, losses[0] if single else losses, reduction)


def multilabel_margin_loss(input: Any, target: Any, reduction: str = "mean") -> Any:
    """Σᵢⱼ max(0, 1 - x[j] + x[i]) / C over the target's classes j and all others i: (N, C), (N, C).

    A row of the target lists classes, and ends at the first -1. Also (C,), (C,). Raises ValueError
    where the shapes differ or a class is out of range, TypeError for class numbers that are not
    whole.
    """
    name = "multilabel_margin_loss"
    x = as_tensor_or_array(input)
    classes = plain(as_tensor_or_array(target, x))
    if tuple(classes.shape) != tuple(x.shape) or len(x.shape) > 2 or x.shape[-1:] == (0,):
        raise ValueError(
            f"{name}: expects an input (N, C) or (C,) and a target of its shape, got "
            f"{tuple(x.shape)} and {tuple(classes.shape)}"
        )
    check_whole(name, classes)
    library = array_library(classes)
    single, count = len(x.shape) < 2, (x.shape or (1,))[-1]
    if single:
        x, classes = ops.reshape(x, (1, count)), library.reshape(classes, (1, count))
    if is_concrete(classes) and size(classes) and (classes.min() < -1 or classes.max() >= count):
        wrong = int(classes.min() if classes.min() < -1 else classes.max())
        raise ValueError(f"{name}: a target is class {wrong}; there are 0 to {count - 1}, and -1")
    listed = ops.cumsum(library.astype(classes < 0, library.int64), 1) == 0
    classes = library.where(listed, classes, 0)
    # For each of them x at its class, and which classes are among them.
    own = ops.take_along_axis(x, classes, 1)
    numbers = library.arange(count, device=device(classes))
    named = listed[:, :, None] & (classes[:, :, None] == numbers)
    is_target = library.any(named, axis=1)
    terms = ops.clip(1 - ops.expand_dims(own, 2) + ops.expand_dims(x, 1), 0.0)  # (N, j, i)
    counted = listed[:, :, None] & ~is_target[:, None, :]
    losses = ops.sum(ops.where(counted, terms, 0.0), (1, 2)) / count
    return reduced(name, losses[0] if single else losses, reduction)


# --- Of a linear layer ----------------------------------------------------------------------------


def linear_cross_entropy(
    input: Any, linear_weight: Any, target: Any, *, linear_bias: Any = None, weight: Any = None,
    reduction: str = "mean", ignore_index: int | None = None, label_smoothing: float = 0.0,
) -> Any:  # fmt: skip
    """`cross_entropy` of `linear(input, linear_weight, linear_bias)`: (N, in), (C, in), (N,).

    A linear_weight (C, ..., in) gives logits (N, C, ...), with targets (N, ...).
    """
    name = "linear_cross_entropy"
    target = as_tensor_or_array(target, input)
    count, *axes, features = linear_weight.shape
    if axes and len(input.shape) != 2:
        raise ValueError(f"{name}: a weight (C, ..., in) needs an input (N, in), got {input.shape}")
    if ignore_index is not None and not is_whole(plain(target)):
        raise ValueError(f"{name}: ignore_index is for class numbers, not for probabilities")
    bias = None if linear_bias is None else ops.reshape(linear_bias, (-1,))
    logits = linear(input, ops.reshape(linear_weight, (-1, features)), bias)
    return cross_entropy(
        ops.reshape(logits, (*input.shape[:-1], count, *axes)), target, weight,
        -100 if ignore_index is None else ignore_index, reduction, label_smoothing,
    )  # fmt: skip
