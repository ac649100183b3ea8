"""Networks' functions, by PyTorch's names and signatures: on Tensors, and on plain arrays.

`import gradnerve.nn.functional as F`, as one would with PyTorch. Shapes are PyTorch's: N examples,
C channels, then space. Convolution, pooling and the like are in `windows.py`.
"""

from __future__ import annotations

import math
from typing import Any

from gradnerve import errors, ops
from gradnerve.backends import array_library, device, is_concrete, is_whole, size
from gradnerve.errors import LayerMismatch
from gradnerve.nn.windows import (
    adaptive_avg_pool1d as adaptive_avg_pool1d,
)
from gradnerve.nn.windows import (
    adaptive_avg_pool2d as adaptive_avg_pool2d,
)
from gradnerve.nn.windows import (
    adaptive_avg_pool3d as adaptive_avg_pool3d,
)
from gradnerve.nn.windows import (
    adaptive_max_pool1d as adaptive_max_pool1d,
)
from gradnerve.nn.windows import (
    adaptive_max_pool2d as adaptive_max_pool2d,
)
from gradnerve.nn.windows import (
    adaptive_max_pool3d as adaptive_max_pool3d,
)
from gradnerve.nn.windows import (
    avg_pool1d as avg_pool1d,
)
from gradnerve.nn.windows import (
    avg_pool2d as avg_pool2d,
)
from gradnerve.nn.windows import (
    avg_pool3d as avg_pool3d,
)
from gradnerve.nn.windows import (
    conv1d as conv1d,
)
from gradnerve.nn.windows import (
    conv2d as conv2d,
)
from gradnerve.nn.windows import (
    conv3d as conv3d,
)
from gradnerve.nn.windows import (
    conv_transpose1d as conv_transpose1d,
)
from gradnerve.nn.windows import (
    conv_transpose2d as conv_transpose2d,
)
from gradnerve.nn.windows import (
    conv_transpose3d as conv_transpose3d,
)
from gradnerve.nn.windows import (
    fold as fold,
)
from gradnerve.nn.windows import (
    interpolate as interpolate,
)
from gradnerve.nn.windows import (
    lp_pool1d as lp_pool1d,
)
from gradnerve.nn.windows import (
    lp_pool2d as lp_pool2d,
)
from gradnerve.nn.windows import (
    lp_pool3d as lp_pool3d,
)
from gradnerve.nn.windows import (
    max_pool1d as max_pool1d,
)
from gradnerve.nn.windows import (
    max_pool2d as max_pool2d,
)
from gradnerve.nn.windows import (
    max_pool3d as max_pool3d,
)
from gradnerve.nn.windows import (
    pad as pad,
)
from gradnerve.nn.windows import (
    pixel_shuffle as pixel_shuffle,
)
from gradnerve.nn.windows import (
    pixel_unshuffle as pixel_unshuffle,
)
from gradnerve.nn.windows import (
    unfold as unfold,
)
from gradnerve.ops.random import keep_mask
from gradnerve.ops.shape import as_tensor_or_array, plain

# --- Layers ---------------------------------------------------------------------------------------


def linear(input: Any, weight: Any, bias: Any = None) -> Any:
    """x Wᵀ + b: (..., in), (out, in), (out,) -> (..., out).

    Raises ValueError where the last axis of the input is not `in`.

    >>> import numpy as np
    >>> linear(np.ones((2, 3)), np.ones((4, 3)), np.zeros(4)).shape
    (2, 4)
    """
    input = as_tensor_or_array(input)
    if not input.shape or input.shape[-1] != weight.shape[-1]:
        raise LayerMismatch(
            "linear",
            f"expects a last axis of {weight.shape[-1]}, got {input.shape[-1]}"
            if input.shape
            else f"expects a last axis of {weight.shape[-1]}, got a single number",
            input.shape,
        )
    return ops.linear(input, weight, bias)


def embedding(input: Any, weight: Any, padding_idx: int | None = None) -> Any:
    """The rows of a table: indices (...), table (V, D) -> (..., D).

    The row `padding_idx` learns nothing. Raises IndexError for an index that is not in the table,
    TypeError for indices that are not whole numbers.

    >>> import numpy as np
    >>> embedding(np.array([2, 0]), np.eye(3))
    array([[0., 0., 1.],
           [1., 0., 0.]])
    """
    index = plain(input)
    _check_whole("embedding", index)
    if size(index) and is_concrete(index) and (index.min() < 0 or index.max() >= weight.shape[0]):
        worst = int(index.min() if index.min() < 0 else index.max())
        raise IndexError(f"embedding: index {worst} is not in a table of {weight.shape[0]} rows")
    rows = ops.getitem(weight, index)
    if padding_idx is None:
        return rows
    learns_nothing = ops.expand_dims(index == padding_idx % weight.shape[0], -1)
    return ops.where(learns_nothing, plain(rows), rows)


def layer_norm(
    input: Any, normalized_shape: Any, weight: Any = None, bias: Any = None, eps: float = 1e-5
) -> Any:
    """Mean 0 and variance 1 over the last axes, then times weight plus bias.

    Source: Ba, Kiros and Hinton, "Layer Normalization", 2016. Raises ValueError where the last axes
    are not `normalized_shape`.
    """
    shape = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
    if tuple(input.shape[-len(shape) :]) != shape:
        raise LayerMismatch("layer_norm", f"expects last axes {shape}", input.shape)
    return ops.layer_norm(input, weight, bias, tuple(range(-len(shape), 0)), eps)


def dropout(input: Any, p: float = 0.5, training: bool = True, inplace: bool = False) -> Any:
    """Zero each element with probability p and scale the rest by 1 / (1 - p), while training.

    Source: Srivastava et al., "Dropout", JMLR 2014. The result is always a new tensor. Raises
    ValueError for a p outside [0, 1].
    """
    if not 0 <= p <= 1:
        raise ValueError(f"dropout: p is a probability, between 0 and 1, not {p}")
    return input * keep_mask(input, p) if training and p > 0 else input


def scaled_dot_product_attention(
    query: Any, key: Any, value: Any, attn_mask: Any = None, dropout_p: float = 0.0,
    is_causal: bool = False, scale: float | None = None,
) -> Any:  # fmt: skip
    """softmax(Q Kᵀ / √E) V: (..., L, E), (..., S, E), (..., S, V) -> (..., L, V).

    `attn_mask` broadcasts against (..., L, S): booleans that say who may be attended to, or numbers
    that are added. `is_causal` lets row i attend to columns up to i. Source: Vaswani et al.,
    "Attention Is All You Need", 2017. Raises ValueError where shapes do not fit.
    """
    if query.shape[-1] != key.shape[-1] or key.shape[-2] != value.shape[-2]:
        raise ValueError(
            f"scaled_dot_product_attention: query {query.shape} and key {key.shape} must agree in "
            f"their last axis, key and value {value.shape} in the one before"
        )
    if is_causal and attn_mask is not None:
        raise ValueError("scaled_dot_product_attention: give attn_mask or is_causal, not both")
    library = array_library(plain(query))
    scores = (
        query
        @ ops.matrix_transpose(key)
        * (1 / math.sqrt(query.shape[-1]) if scale is None else scale)
    )
    if is_causal:
        here = device(query)
        rows = library.arange(query.shape[-2], device=here)
        columns = library.arange(key.shape[-2], device=here)
        attn_mask = rows[:, None] >= columns[None, :]
    if attn_mask is None:
        weights = ops.softmax(scores, -1)
    else:
        if str(attn_mask.dtype).endswith("bool"):
            scores = ops.where(attn_mask, scores, -math.inf)
        else:
            scores = scores + attn_mask
        # A row that may attend to nothing gets 0, not 0/0.
        blocked = library.max(plain(scores), axis=-1, keepdims=True) == -math.inf
        weights = ops.where(blocked, 0.0, ops.softmax(ops.where(blocked, 0.0, scores), -1))
    return dropout(weights, dropout_p, dropout_p > 0) @ value


# --- Activations ----------------------------------------------------------------------------------


def relu(input: Any, inplace: bool = False) -> Any:
    """max(x, 0). The gradient at 0 is 0. The result is always a new tensor."""
    return ops.relu(input)


def sigmoid(input: Any) -> Any:
    """1 / (1 + e⁻ˣ)."""
    return ops.sigmoid(input)


def tanh(input: Any) -> Any:
    """Hyperbolic tangent."""
    return ops.tanh(input)


def gelu(input: Any, approximate: str = "none") -> Any:
    """x Φ(x), Φ the normal distribution's cumulative function; or its "tanh" approximation.

    Source: Hendrycks and Gimpel, "Gaussian Error Linear Units", 2016. Raises ValueError for another
    approximation.
    """
    if approximate == "none":
        return input * ops.ndtr(input)
    if approximate == "tanh":
        return input * ops.gelu_gate(input)
    raise ValueError(f"gelu: approximate is 'none' or 'tanh', not {approximate!r}")


def softmax(input: Any, dim: int, dtype: Any = None) -> Any:
    """eˣ / Σ eˣ along `dim`.

    >>> import numpy as np
    >>> softmax(np.zeros(4), dim=0)
    array([0.25, 0.25, 0.25, 0.25])
    """
    return ops.softmax(input if dtype is None else ops.astype(input, dtype), dim)


def log_softmax(input: Any, dim: int, dtype: Any = None) -> Any:
    """x - log Σ eˣ along `dim`."""
    return ops.log_softmax(input if dtype is None else ops.astype(input, dtype), dim)


# --- Losses ---------------------------------------------------------------------------------------


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
    target = as_tensor_or_array(target, input)
    if tuple(target.shape) == tuple(input.shape) and not is_whole(plain(target)):
        return _soft_cross_entropy(input, target, weight, reduction, label_smoothing)
    if weight is None and label_smoothing == 0 and len(input.shape) <= 2:
        classes, counted = _classes("cross_entropy", input, target, ignore_index)
        losses = ops.softmax_cross_entropy(input, classes)
        return _weighed("cross_entropy", losses, _shares(None, classes, counted, losses), reduction)
    log_probabilities = ops.log_softmax(input, _class_axis(input))
    hard = _nll("cross_entropy", log_probabilities, target, weight, ignore_index, reduction)
    if label_smoothing == 0:
        return hard
    return (1 - label_smoothing) * hard + label_smoothing * _uniform_loss(
        log_probabilities, target, weight, ignore_index, reduction
    )


def _soft_cross_entropy(
    input: Any, target: Any, weight: Any, reduction: str, label_smoothing: float
) -> Any:
    axis = _class_axis(input)
    if label_smoothing:
        target = target * (1 - label_smoothing) + label_smoothing / input.shape[axis]
    terms = _weighted(ops.log_softmax(input, axis) * target, weight)
    return _reduced("cross_entropy", -ops.sum(terms, axis), reduction)


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
    return _reduced("cross_entropy", losses, reduction)


def nll_loss(
    input: Any, target: Any, weight: Any = None, ignore_index: int = -100, reduction: str = "mean"
) -> Any:
    """-x[class] of log-probabilities: (N, C, ...) or (C,), class numbers (N, ...) or ().

    See `cross_entropy`, which takes the logits themselves.
    """
    return _nll("nll_loss", input, target, weight, ignore_index, reduction)


def _nll(name: str, x: Any, target: Any, weight: Any, ignore_index: int, reduction: str) -> Any:
    classes, counted = _classes(name, x, target, ignore_index)
    axis = _class_axis(x)
    library = array_library(classes)
    here, ndim = device(classes), len(classes.shape)
    places = [
        library.reshape(library.arange(n, device=here), (-1,) + (1,) * (ndim - i - 1))
        for i, n in enumerate(classes.shape)
    ]
    losses = -ops.getitem(x, (*places[:axis], classes, *places[axis:]))
    return _weighed(name, losses, _shares(weight, classes, counted, losses), reduction)


def _weighed(name: str, losses: Any, shares: Any, reduction: str) -> Any:
    """Losses, each by its share (None: all alike), reduced."""
    if shares is None:
        return _reduced(name, losses, reduction)
    losses = losses * shares
    if reduction == "mean":
        return ops.sum(losses) / ops.sum(shares)
    return _reduced(name, losses, reduction)


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


def _classes(name: str, x: Any, target: Any, ignore_index: int) -> tuple[Any, Any]:
    """Checked class numbers, and which of them count (None: all of them)."""
    target = plain(as_tensor_or_array(target, x))
    expected = (x.shape[0], *x.shape[2:]) if len(x.shape) > 1 else ()
    if tuple(target.shape) != expected:
        raise ValueError(errors.target_shape(name, tuple(x.shape), tuple(target.shape), expected))
    _check_whole(name, target)
    counted, count = None, x.shape[_class_axis(x)]
    if not is_concrete(target) or (size(target) and ((target < 0) | (target >= count)).any()):
        counted = target != ignore_index
        target = array_library(target).where(counted, target, 0)
        if is_concrete(target) and ((target < 0) | (target >= count)).any():
            wrong = target[(target < 0) | (target >= count)].reshape((-1,))[0]
            raise ValueError(
                f"{name}: a target is class {wrong}, but the input has {count} classes, "
                f"0 to {count - 1}"
            )
    elif 0 <= ignore_index < count:
        counted = target != ignore_index
    return target, counted


def mse_loss(input: Any, target: Any, reduction: str = "mean") -> Any:
    """The mean of (x - target)², of two tensors of one shape.

    Raises ValueError where the shapes differ: (N, 1) and (N,) would broadcast to (N, N).

    >>> import numpy as np
    >>> mse_loss(np.array([1.0, 2.0]), np.array([1.0, 4.0]))
    np.float64(2.0)
    """
    target = as_tensor_or_array(target, input)
    if tuple(input.shape) != tuple(target.shape):
        raise ValueError(errors.loss_shapes("mse_loss", tuple(input.shape), tuple(target.shape)))
    return _reduced("mse_loss", ops.square(input - target), reduction)


def _reduced(name: str, losses: Any, reduction: str) -> Any:
    if reduction == "mean":
        return ops.mean(losses)
    if reduction == "sum":
        return ops.sum(losses)
    if reduction == "none":
        return losses
    raise ValueError(f"{name}: reduction is 'mean', 'sum' or 'none', not {reduction!r}")


def _check_whole(name: str, index: Any) -> None:
    if not is_whole(index):
        raise TypeError(f"{name}: class numbers and indices are integers, not {index.dtype}")
