"""Losses of numbers, of probabilities and of similarities.

Each loss is taken element by element, or row by row, and then reduced: "mean", "sum" or "none".
Input and target have one shape: (N, 1) and (N,) would broadcast to (N, N), and the result would be
wrong without a word.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from gradnerve import errors, ops
from gradnerve.backends import array_library, is_concrete, size
from gradnerve.nn.functional.activations import logsigmoid
from gradnerve.nn.functional.checks import of_one_shape, reduced
from gradnerve.nn.functional.similarity import pairwise_distance
from gradnerve.ops.shape import arrays_of, as_tensor_or_array, plain

__all__ = [
    "binary_cross_entropy", "binary_cross_entropy_with_logits", "cosine_embedding_loss",
    "gaussian_nll_loss", "hinge_embedding_loss", "huber_loss", "kl_div", "l1_loss",
    "margin_ranking_loss", "mse_loss", "multilabel_soft_margin_loss", "poisson_nll_loss",
    "smooth_l1_loss", "soft_margin_loss", "triplet_margin_loss",
    "triplet_margin_with_distance_loss",
]  # fmt: skip

# --- Distances ------------------------------------------------------------------------------------


def mse_loss(input: Any, target: Any, reduction: str = "mean", weight: Any = None) -> Any:
    """(x - target)², of two tensors of one shape.

    With a weight for each element the mean is divided by the sum of the weights. Raises ValueError
    where the shapes differ: (N, 1) and (N,) would broadcast to (N, N).

    >>> import numpy as np
    >>> mse_loss(np.array([1.0, 2.0]), np.array([1.0, 4.0]))
    np.float64(2.0)
    """
    input, target = of_one_shape("mse_loss", input, target)
    return _weighted("mse_loss", ops.square(input - target), weight, reduction)


def l1_loss(input: Any, target: Any, reduction: str = "mean", weight: Any = None) -> Any:
    """|x - target|, of two tensors of one shape. For `weight` and errors see `mse_loss`."""
    input, target = of_one_shape("l1_loss", input, target)
    return _weighted("l1_loss", ops.abs(input - target), weight, reduction)


def smooth_l1_loss(input: Any, target: Any, reduction: str = "mean", beta: float = 1.0) -> Any:
    """d² / (2 beta) where d = |x - target| is below beta, else d - beta/2. Both of one shape.

    Source: Girshick, "Fast R-CNN", 2015. Raises ValueError where the shapes differ, or for a
    negative beta; a beta of 0 gives `l1_loss`.

    >>> import numpy as np
    >>> print(smooth_l1_loss(np.array([0.5, 3.0]), np.array([0.0, 0.0]), reduction="none"))
    [0.125 2.5  ]
    """
    if beta < 0:
        raise ValueError(f"smooth_l1_loss: beta is 0 or more, not {beta}")
    if beta == 0:
        return l1_loss(input, target, reduction)
    input, target = of_one_shape("smooth_l1_loss", input, target)
    return reduced("smooth_l1_loss", _huber(input - target, beta) / beta, reduction)


def huber_loss(
    input: Any, target: Any, reduction: str = "mean", delta: float = 1.0, weight: Any = None
) -> Any:
    """d² / 2 where d = |x - target| is at most delta, else delta (d - delta/2). Both of one shape.

    Source: Huber, "Robust Estimation of a Location Parameter", 1964. For `weight` see `mse_loss`.
    Raises ValueError where the shapes differ, or for a delta that is not positive.
    """
    if delta <= 0:
        raise ValueError(f"huber_loss: delta is above 0, not {delta}")
    input, target = of_one_shape("huber_loss", input, target)
    return _weighted("huber_loss", _huber(input - target, delta), weight, reduction)


def _huber(difference: Any, delta: float) -> Any:
    distance = ops.abs(difference)
    near = plain(distance) < delta
    return ops.where(near, 0.5 * ops.square(difference), delta * (distance - 0.5 * delta))


def _weighted(name: str, losses: Any, weight: Any, reduction: str) -> Any:
    if weight is None:
        return reduced(name, losses, reduction)
    losses, weight = of_one_shape(name, losses, weight)
    total = reduced(name, losses * weight, "sum" if reduction == "mean" else reduction)
    return total / ops.sum(weight) if reduction == "mean" else total


# --- Likelihoods ----------------------------------------------------------------------------------


def binary_cross_entropy(
    input: Any, target: Any, weight: Any = None, reduction: str = "mean"
) -> Any:
    """-(t log p + (1 - t) log(1 - p)), p and t probabilities, of one shape.

    A logarithm below -100 counts as -100, so that the loss stays finite. `weight` broadcasts. With
    p from a sigmoid take `binary_cross_entropy_with_logits`, which is exact for all logits. Raises
    ValueError where the shapes differ, or a p is not from 0 to 1.

    >>> import numpy as np
    >>> binary_cross_entropy(np.array([0.5]), np.array([1.0])).round(4)
    np.float64(0.6931)
    """
    name = "binary_cross_entropy"
    p, t = of_one_shape(name, input, target)
    values = plain(p)
    if size(values) and is_concrete(values) and not ((values >= 0) & (values <= 1)).all():
        raise ValueError(
            f"{name}: the input are probabilities, from 0 to 1, but there are others from "
            f"{values.min()} to {values.max()}; for logits write binary_cross_entropy_with_logits"
        )
    losses = ops.binary_cross_entropy(p, t)
    return reduced(name, losses if weight is None else losses * weight, reduction)


def binary_cross_entropy_with_logits(
    input: Any, target: Any, weight: Any = None, reduction: str = "mean", pos_weight: Any = None
) -> Any:
    """`binary_cross_entropy` of p = sigmoid(x), without overflow or loss of digits: one shape.

    `weight` multiplies all losses, `pos_weight` those of the positive targets; both broadcast.
    Raises ValueError where the shapes differ.

    >>> import numpy as np
    >>> binary_cross_entropy_with_logits(np.array([0.0, 1000.0]), np.array([1.0, 0.0])).round(4)
    np.float64(500.3466)
    """
    name = "binary_cross_entropy_with_logits"
    x, t = of_one_shape(name, input, target)
    # -t log σ(x) - (1 - t) log σ(-x), and log σ(-x) = log σ(x) - x
    if pos_weight is None:
        losses = (1 - t) * x - logsigmoid(x)
    else:
        losses = (1 - t) * x - (1 + (pos_weight - 1) * t) * logsigmoid(x)
    return reduced(name, losses if weight is None else losses * weight, reduction)


def kl_div(input: Any, target: Any, reduction: str = "mean", log_target: bool = False) -> Any:
    """t (log t - x), x logarithms of probabilities: how far t is from them. 0 where t is 0.

    With `log_target` the target is log t as well. Both broadcast. "batchmean" divides the sum by N,
    as the definition has it; "mean" by the number of elements. Source: Kullback and Leibler, "On
    Information and Sufficiency", 1951.

    >>> import numpy as np
    >>> kl_div(np.log([0.5, 0.5]), np.array([0.0, 1.0]), reduction="sum").round(4)
    np.float64(0.6931)
    """
    x, t = arrays_of(input, target)
    losses = ops.exp(t) * (t - x) if log_target else ops.xlogy(t, t) - t * x
    if reduction == "batchmean":
        return ops.sum(losses) / x.shape[0] if len(x.shape) else ops.sum(losses)
    return reduced("kl_div", losses, reduction)


def gaussian_nll_loss(
    input: Any, target: Any, var: Any, full: bool = False, eps: float = 1e-6,
    reduction: str = "mean",
) -> Any:  # fmt: skip
    """(log v + (x - target)² / v) / 2: x the mean, v the variance of a normal distribution.

    `var` has the input's shape, with one axis of 1, or without the last one, at most; or is one
    number. Below eps it counts as eps, with the gradient as if it did not. `full` adds log(2π) / 2.
    Source: Nix and Weigend, "Estimating the Mean and Variance of the Target Probability
    Distribution", 1994. Raises ValueError for a negative variance, and where shapes do not fit.
    """
    name = "gaussian_nll_loss"
    x, t = arrays_of(input, target)
    if errors.broadcast_shape(tuple(x.shape), tuple(t.shape)) is None:
        raise ValueError(errors.loss_shapes(name, tuple(x.shape), tuple(t.shape)))
    v = as_tensor_or_array(var, x)
    if tuple(v.shape) == tuple(x.shape[:-1]) and v.shape != x.shape and len(v.shape):
        v = ops.expand_dims(v, -1)
    elif v.shape and not _differs_once(tuple(v.shape), tuple(x.shape)):
        raise ValueError(
            f"{name}: var of shape {tuple(v.shape)} is neither one for each element of an input "
            f"{tuple(x.shape)} nor one along an axis"
        )
    values = plain(v)
    if size(values) and is_concrete(values) and (values < 0).any():
        raise ValueError(f"{name}: a variance is 0 or more, and there is {values.min()}")
    # max(v, eps), but the gradient goes on: v comes up again.
    v = v + array_library(values).where(values < eps, eps - values, 0.0)
    losses = 0.5 * (ops.log(v) + ops.square(x - t) / v)
    return reduced(name, losses + 0.5 * math.log(2 * math.pi) if full else losses, reduction)


def _differs_once(shape: tuple[int, ...], other: tuple[int, ...]) -> bool:
    """Whether a shape is the other, but for at most one axis of 1."""
    if len(shape) != len(other):
        return False
    differing = [n for n, m in zip(shape, other, strict=True) if n != m]
    return differing in ([], [1])


def poisson_nll_loss(
    input: Any, target: Any, log_input: bool = True, full: bool = False, eps: float = 1e-8,
    reduction: str = "mean",
) -> Any:  # fmt: skip
    """eˣ - target · x, eˣ the rate of a Poisson distribution; x itself without `log_input`.

    Then the loss is x - target · log(x + eps). `full` adds Stirling's approximation of the
    logarithm of target!, where the target is above 1. Raises ValueError where the shapes differ.
    """
    name = "poisson_nll_loss"
    x, t = of_one_shape(name, input, target)
    losses = ops.exp(x) - t * x if log_input else x - t * ops.log(x + eps)
    if full:
        above = plain(t) > 1
        safe = ops.where(above, t, 1.0)
        stirling = safe * ops.log(safe) - safe + 0.5 * ops.log(2 * math.pi * safe)
        losses = losses + ops.where(above, stirling, 0.0)
    return reduced(name, losses, reduction)


# --- Margins: a target is 1 or -1 -----------------------------------------------------------------


def soft_margin_loss(input: Any, target: Any, reduction: str = "mean") -> Any:
    """log(1 + e^(-target · x)), targets 1 and -1, of one shape.

    Raises ValueError where the shapes differ.
    """
    x, t = of_one_shape("soft_margin_loss", input, target)
    return reduced("soft_margin_loss", ops.softplus(-(t * x)), reduction)


def hinge_embedding_loss(
    input: Any, target: Any, margin: float = 1.0, reduction: str = "mean"
) -> Any:
    """x where the target is 1, max(0, margin - x) where it is -1: x a distance, of one shape.

    Source: Hadsell, Chopra and LeCun, "Dimensionality Reduction by Learning an Invariant Mapping",
    2006. Raises ValueError where the shapes differ.
    """
    x, t = of_one_shape("hinge_embedding_loss", input, target)
    t = plain(t)
    far = ops.where(t == 1, 0.0, relu_at_0(margin - x))
    near = ops.where(t == -1, 0.0, x)
    return reduced("hinge_embedding_loss", far + near, reduction)


def margin_ranking_loss(
    input1: Any, input2: Any, target: Any, margin: float = 0.0, reduction: str = "mean"
) -> Any:
    """max(0, margin - target (x₁ - x₂)): which of two should be the greater. All of one shape.

    Raises ValueError where the shapes differ.
    """
    x1, x2 = of_one_shape("margin_ranking_loss", input1, input2)
    x1, t = of_one_shape("margin_ranking_loss", x1, target)
    return reduced("margin_ranking_loss", relu_at_0(margin - t * (x1 - x2)), reduction)


def cosine_embedding_loss(
    input1: Any, input2: Any, target: Any, margin: float = 0.0, reduction: str = "mean"
) -> Any:
    """1 - cos where the target is 1, max(0, cos - margin) where it is -1: (N, D), (N, D), (N,).

    Also (D,), (D,), (). Raises ValueError where shapes do not fit.
    """
    name = "cosine_embedding_loss"
    x1, x2, t = arrays_of(input1, input2, target)
    if len(t.shape) > 1 or len(x1.shape) != len(t.shape) + 1 or len(x2.shape) != len(x1.shape):
        raise ValueError(
            f"{name}: expects (N, D), (N, D) and (N,), or (D,), (D,) and (); got "
            f"{tuple(x1.shape)}, {tuple(x2.shape)} and {tuple(t.shape)}"
        )
    tiny = 1e-12  # as PyTorch, under the root: the gradient at a vector of zeros is 0, not NaN
    product = ops.sum(x1 * x2, -1)
    squares = (ops.sum(ops.square(x1), -1) + tiny) * (ops.sum(ops.square(x2), -1) + tiny)
    cosine = product / ops.sqrt(squares)
    t = plain(t)
    losses = ops.where(t == 1, 1 - cosine, 0.0)
    losses = losses + ops.where(t == -1, relu_at_0(cosine - margin), 0.0)
    return reduced(name, losses, reduction)


def multilabel_soft_margin_loss(
    input: Any, target: Any, weight: Any = None, reduction: str = "mean"
) -> Any:
    """The mean over classes of `binary_cross_entropy_with_logits`: (..., C) -> (...), reduced.

    `weight` is one number for each class. Raises ValueError where the shapes differ.
    """
    name = "multilabel_soft_margin_loss"
    losses = binary_cross_entropy_with_logits(input, target, weight, "none")
    return reduced(name, ops.mean(losses, -1), reduction)


def triplet_margin_loss(
    anchor: Any, positive: Any, negative: Any, margin: float = 1.0, p: float = 2.0,
    eps: float = 1e-6, swap: bool = False, reduction: str = "mean",
) -> Any:  # fmt: skip
    """max(0, d(anchor, positive) - d(anchor, negative) + margin): (..., D) each -> (...), reduced.

    d is `pairwise_distance`. With `swap`, d(positive, negative) counts if it is the shorter one.
    Source: Balntas et al., "Learning Shallow Convolutional Feature Descriptors with Triplet
    Losses", 2016. Raises ValueError for different numbers of axes, or a margin that is not
    positive.
    """

    def distance(a: Any, b: Any) -> Any:
        return pairwise_distance(a, b, p, eps)

    return _triplet(
        "triplet_margin_loss", anchor, positive, negative, distance, margin, swap, reduction
    )


def triplet_margin_with_distance_loss(
    anchor: Any, positive: Any, negative: Any, *,
    distance_function: Callable[[Any, Any], Any] | None = None, margin: float = 1.0,
    swap: bool = False, reduction: str = "mean",
) -> Any:  # fmt: skip
    """`triplet_margin_loss` with a distance of one's own; without one, `pairwise_distance`."""
    distance = pairwise_distance if distance_function is None else distance_function
    name = "triplet_margin_with_distance_loss"
    return _triplet(name, anchor, positive, negative, distance, margin, swap, reduction)


def _triplet(
    name: str, anchor: Any, positive: Any, negative: Any, distance: Callable[[Any, Any], Any],
    margin: float, swap: bool, reduction: str,
) -> Any:  # fmt: skip
    a, p, n = arrays_of(anchor, positive, negative)
    if not len(a.shape) == len(p.shape) == len(n.shape):
        shapes = ", ".join(str(tuple(x.shape)) for x in (a, p, n))
        raise ValueError(f"{name}: all three have as many axes, got {shapes}")
    if margin <= 0:
        raise ValueError(f"{name}: margin is above 0, not {margin}")
    near, far = distance(a, p), distance(a, n)
    if swap:
        far = ops.minimum(far, distance(p, n))
    return reduced(name, relu_at_0(near - far + margin), reduction)


def relu_at_0(x: Any) -> Any:
    """max(0, x) with the whole gradient at 0, as PyTorch's margins have it."""
    return ops.clip(x, 0.0)
