"""Dropout: while training, parts of the input are replaced at random.

The random numbers are those of `gn.manual_seed`; in compiled code each call has others too.
"""

from __future__ import annotations

from typing import Any

from gradnerve.errors import LayerMismatch
from gradnerve.ops.random import keep_mask
from gradnerve.ops.shape import as_tensor_or_array

__all__ = [
    "alpha_dropout", "dropout", "dropout1d", "dropout2d", "dropout3d", "feature_alpha_dropout",
]  # fmt: skip


def dropout(input: Any, p: float = 0.5, training: bool = True, inplace: bool = False) -> Any:
    """Zero each element with probability p and scale the rest by 1 / (1 - p), while training.

    Source: Srivastava et al., "Dropout", JMLR 2014. The result is always a new tensor. Raises
    ValueError for a p outside [0, 1].
    """
    check_probability("dropout", p)
    return input * keep_mask(input, p) if training and p > 0 else input


def dropout1d(input: Any, p: float = 0.5, training: bool = True, inplace: bool = False) -> Any:
    """Zero whole channels of (N, C, L) or (C, L). See `dropout2d`."""
    return _channel_dropout("dropout1d", input, p, training, {2: 1, 3: 2})


def dropout2d(input: Any, p: float = 0.5, training: bool = True, inplace: bool = False) -> Any:
    """Zero whole channels of (N, C, H, W) with probability p, and scale the rest, while training.

    As in PyTorch, an input of three axes is (N, C, L), not a single example. Source: Tompson et
    al., "Efficient Object Localization Using Convolutional Networks", 2015. Raises ValueError for a
    p outside [0, 1], or for other numbers of axes.
    """
    return _channel_dropout("dropout2d", input, p, training, {3: 2, 4: 2})


def dropout3d(input: Any, p: float = 0.5, training: bool = True, inplace: bool = False) -> Any:
    """Zero whole channels of (N, C, D, H, W) or (C, D, H, W). See `dropout2d`."""
    return _channel_dropout("dropout3d", input, p, training, {4: 1, 5: 2})


def _channel_dropout(name: str, input: Any, p: float, training: bool, drawn: dict[int, int]) -> Any:
    """`drawn`: for each number of axes that is taken, along how many it is drawn what to drop."""
    check_probability(name, p)
    x = as_tensor_or_array(input)
    ndim = len(x.shape)
    if ndim not in drawn:
        wanted = " or ".join(map(str, drawn))
        raise LayerMismatch(name, f"expects an input of {wanted} axes, got {ndim}", x.shape)
    if not training or p == 0:
        return x
    return x * keep_mask(x, p, (*x.shape[: drawn[ndim]], *(1,) * (ndim - drawn[ndim])))


LIMIT = -1.7580993408473766  # selu(-∞)


def alpha_dropout(input: Any, p: float = 0.5, training: bool = False, inplace: bool = False) -> Any:
    """Set each element to selu's limit with probability p, then restore mean 0 and variance 1.

    Source: Klambauer et al., "Self-Normalizing Neural Networks", 2017. Raises ValueError for a p
    outside [0, 1].
    """
    x = as_tensor_or_array(input)
    return _alpha_dropout("alpha_dropout", x, p, training, tuple(x.shape))


def feature_alpha_dropout(
    input: Any, p: float = 0.5, training: bool = False, inplace: bool = False
) -> Any:
    """`alpha_dropout` of whole channels of (N, C, ...)."""
    x = as_tensor_or_array(input)
    if training and len(x.shape) < 2:
        raise LayerMismatch("feature_alpha_dropout", "expects an input (N, C, ...)", x.shape)
    shape = (*x.shape[:2], *(1,) * (len(x.shape) - 2))
    return _alpha_dropout("feature_alpha_dropout", x, p, training, shape)


def _alpha_dropout(name: str, x: Any, p: float, training: bool, shape: tuple[int, ...]) -> Any:
    check_probability(name, p)
    if not training or p == 0:
        return x
    if p == 1:
        return x * keep_mask(x, 1.0)
    kept = keep_mask(x, p, shape) * (1 - p)
    # x where it is kept, else the limit, has mean p · limit and variance (1 - p)(1 + p · limit²).
    scale = ((1 - p) * (1 + p * LIMIT**2)) ** -0.5
    return x * (kept * scale) + ((1 - kept) * LIMIT - p * LIMIT) * scale


def check_probability(name: str, p: float) -> None:
    """ValueError for a p outside [0, 1]."""
    if not 0 <= p <= 1:
        raise ValueError(f"{name}: p is a probability, between 0 and 1, not {p}")
