"""Normalisation: mean 0 and variance 1 over some of the axes, or length 1.

Each is (x - mean) · weight / √(variance + eps) + bias; they differ in what the statistics are
taken over: an example's features (layer), the examples (batch), a group of channels (group), one
channel of one example (instance).
"""

from __future__ import annotations

import math
from typing import Any

from gradnerve import ops
from gradnerve.backends import array_library
from gradnerve.errors import LayerMismatch
from gradnerve.nn.functional.checks import update
from gradnerve.ops.shape import as_tensor_or_array, plain
from gradnerve.ops.window import Window

__all__ = [
    "batch_norm", "group_norm", "instance_norm", "layer_norm", "local_response_norm", "normalize",
    "rms_norm",
]  # fmt: skip


def layer_norm(
    input: Any, normalized_shape: Any, weight: Any = None, bias: Any = None, eps: float = 1e-5
) -> Any:
    """Mean 0 and variance 1 over the last axes, then times weight plus bias.

    Source: Ba, Kiros and Hinton, "Layer Normalization", 2016. Raises ValueError where the last axes
    are not `normalized_shape`.

    >>> import numpy as np
    >>> print(layer_norm(np.array([[1.0, 3.0]]), 2).round(3))
    [[-1.  1.]]
    """
    axes = _last_axes("layer_norm", input, normalized_shape, weight=weight, bias=bias)
    return ops.layer_norm(input, weight, bias, axes, eps)


def rms_norm(
    input: Any, normalized_shape: Any, weight: Any = None, eps: float | None = None
) -> Any:
    """x / √(mean x² + eps) over the last axes, then times weight; eps is the dtype's, unless given.

    Source: Zhang and Sennrich, "Root Mean Square Layer Normalization", 2019. Raises ValueError
    where the last axes are not `normalized_shape`.

    >>> import numpy as np
    >>> print(rms_norm(np.array([[1.0, 7.0]]), 2))
    [[0.2 1.4]]
    """
    axes = _last_axes("rms_norm", input, normalized_shape, weight=weight)
    x = as_tensor_or_array(input)
    eps = float(array_library(plain(x)).finfo(x.dtype).eps) if eps is None else eps
    y = x / ops.sqrt(ops.mean(ops.square(x), axes, True) + eps)
    return y if weight is None else y * weight


def _last_axes(name: str, x: Any, normalized_shape: Any, **parameters: Any) -> tuple[int, ...]:
    shape = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
    if not shape or tuple(x.shape[-len(shape) :]) != shape:
        raise LayerMismatch(name, f"expects last axes {shape}", x.shape)
    for what, value in parameters.items():
        if value is not None and tuple(value.shape) != shape:
            raise LayerMismatch(
                name, f"expects a {what} of shape {shape}, got {tuple(value.shape)}", x.shape
            )
    return tuple(range(-len(shape), 0))


def batch_norm(
    input: Any, running_mean: Any, running_var: Any, weight: Any = None, bias: Any = None,
    training: bool = False, momentum: float = 0.1, eps: float = 1e-5,
) -> Any:  # fmt: skip
    """Mean 0 and variance 1 of each channel over all examples: (N, C, ...) -> (N, C, ...).

    While training the statistics are the batch's, and the running ones move towards them:
    running ← (1 - momentum) running + momentum batch, with the variance divided by n - 1, in place.
    Otherwise the running ones are used. Source: Ioffe and Szegedy, "Batch Normalization", 2015.

    Raises ValueError where shapes do not fit, or there is one value only to take a variance of.
    """
    x, name = as_tensor_or_array(input), "batch_norm"
    if eps <= 0:
        raise ValueError(f"{name}: eps is above 0, not {eps}")
    if 0 in x.shape:  # of nothing there are no statistics
        return x
    channels = _channels(name, x, weight, bias, running_mean, running_var)
    if not training and (running_mean is None or running_var is None):
        raise ValueError(f"{name}: without training it needs running_mean and running_var")
    axes = (0, *range(2, len(x.shape)))
    count = math.prod(x.shape[a] for a in axes)
    if not training:
        column = (1, -1, *(1,) * (len(x.shape) - 2))
        mean, variance = (ops.reshape(r, column) for r in (running_mean, running_var))
    else:
        _check_several(name, x, count)
        mean, variance = ops.mean(x, axes, True), ops.var(x, axes, 0, True)
        batch = [ops.reshape(plain(s), (channels,)) for s in (mean, variance)]
        _move(name, (running_mean, running_var), batch, count, momentum)
    return _rescaled(x, mean, variance, weight, bias, eps)


def instance_norm(
    input: Any, running_mean: Any = None, running_var: Any = None, weight: Any = None,
    bias: Any = None, use_input_stats: bool = True, momentum: float = 0.1, eps: float = 1e-5,
) -> Any:  # fmt: skip
    """Mean 0 and variance 1 of each channel of each example: (N, C, ...) -> (N, C, ...).

    The running statistics move towards the mean over the examples, as those of `batch_norm`; they
    are used without `use_input_stats`. Source: Ulyanov, Vedaldi and Lempitsky, "Instance
    Normalization", 2016. Raises ValueError where shapes do not fit, or an example has one value
    only in each channel.
    """
    x, name = as_tensor_or_array(input), "instance_norm"
    if not use_input_stats:
        return batch_norm(x, running_mean, running_var, weight, bias, False, momentum, eps)
    if 0 in x.shape:
        return x
    channels = _channels(name, x, weight, bias, running_mean, running_var)
    axes = tuple(range(2, len(x.shape)))
    count = math.prod(x.shape[2:])
    _check_several(name, x, count)
    mean, variance = ops.mean(x, axes, True), ops.var(x, axes, 0, True)
    each = (ops.reshape(plain(s), (x.shape[0], channels)) for s in (mean, variance))
    batch = [ops.mean(s, 0) for s in each]
    _move(name, (running_mean, running_var), batch, count, momentum)
    return _rescaled(x, mean, variance, weight, bias, eps)


def group_norm(
    input: Any, num_groups: int, weight: Any = None, bias: Any = None, eps: float = 1e-5
) -> Any:
    """Mean 0 and variance 1 of each group of channels of each example: (N, C, ...) -> (N, C, ...).

    Source: Wu and He, "Group Normalization", 2018. Raises ValueError where the groups do not divide
    the channels, or there is one value only.
    """
    x, name = as_tensor_or_array(input), "group_norm"
    channels = _channels(name, x, weight, bias)
    if num_groups < 1 or channels % num_groups:
        raise LayerMismatch(
            name, f"has {channels} channels, which do not divide into {num_groups} groups", x.shape
        )
    n, rest = x.shape[0], math.prod(x.shape[2:])
    _check_several(name, x, n * channels // num_groups * rest)
    # (N, G, C/G, S): a group's statistics are over the last two axes.
    grouped = ops.reshape(x, (n, num_groups, channels // num_groups, rest))
    mean, variance = ops.mean(grouped, (2, 3), True), ops.var(grouped, (2, 3), 0, True)
    weight, bias = (
        None if p is None else ops.reshape(p, (1, num_groups, -1, 1)) for p in (weight, bias)
    )
    return ops.reshape(_rescaled(grouped, mean, variance, weight, bias, eps), x.shape)


def _rescaled(x: Any, mean: Any, variance: Any, weight: Any, bias: Any, eps: float) -> Any:
    """(x - mean) · weight / √(variance + eps) + bias; weight and bias are for axis 1, if (C,)."""
    scale = 1 / ops.sqrt(variance + eps)
    column = (1, -1, *(1,) * (len(x.shape) - 2))
    weight, bias = (
        ops.reshape(p, column) if p is not None and len(p.shape) == 1 else p for p in (weight, bias)
    )
    return ops.rescale(x, mean, scale if weight is None else scale * weight, bias)


def _move(name: str, running: Any, batch: Any, count: int, momentum: Any) -> None:
    """running ← (1 - momentum) running + momentum batch: mean and variance of `count` values."""
    for old, new, factor in zip(running, batch, (1.0, count / max(1, count - 1)), strict=True):
        if old is not None:
            update(name, old, plain(old) * (1 - momentum) + new * factor * momentum)


def _channels(name: str, x: Any, *parameters: Any) -> int:
    """How many channels there are; ValueError where a parameter has not one number for each."""
    if len(x.shape) < 2:
        raise LayerMismatch(name, "expects an input (N, C, ...)", x.shape)
    channels = x.shape[1]
    for parameter in parameters:
        if parameter is not None and tuple(parameter.shape) != (channels,):
            raise LayerMismatch(
                name, f"has parameters for {math.prod(parameter.shape)} channels, got {channels}",
                x.shape,
            )  # fmt: skip
    return channels


def _check_several(name: str, x: Any, count: int) -> None:
    if count == 1:
        raise LayerMismatch(
            name,
            "normalises over one value only: its variance is 0, and what comes out would not "
            "depend on the input. Train with more examples at a time, or call eval()",
            x.shape,
        )


def local_response_norm(
    input: Any, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0
) -> Any:
    """x / (k + alpha/size Σ x²)^beta, over `size` channels about each: (N, C, L, ...).

    Source: Krizhevsky, Sutskever and Hinton, "ImageNet Classification with Deep Convolutional
    Neural Networks", 2012. Raises ValueError for fewer than three axes, or a size below 1.
    """
    x = as_tensor_or_array(input)
    if len(x.shape) < 3:
        raise LayerMismatch("local_response_norm", "expects an input (N, C, L, ...)", x.shape)
    if size < 1:
        raise ValueError(f"local_response_norm: size is 1 or more, not {size}")
    if 0 in x.shape:
        return x
    rows = ops.reshape(ops.square(x), (x.shape[0], 1, x.shape[1], -1))
    window = Window((size, 1), (1, 1), ((size // 2, (size - 1) // 2), (0, 0)), (1, 1))
    about = ops.reshape(ops.window_sum(rows, window), x.shape)
    return x / (k + alpha / size * about) ** beta


def normalize(input: Any, p: float = 2.0, dim: Any = 1, eps: float = 1e-12) -> Any:
    """x / ‖x‖ₚ along `dim`, one axis or several. A norm below eps counts as eps.

    >>> import numpy as np
    >>> print(normalize(np.array([[3.0, 4.0]])))
    [[0.6 0.8]]
    """
    x = as_tensor_or_array(input)
    vectors = x if x.shape else ops.reshape(x, (1,))  # a single number, as a vector of one
    y = vectors / ops.clip(ops.vector_norm(vectors, dim, True, p), eps)
    return ops.reshape(y, x.shape)
