"""Activations: functions of each element, and softmax and its kin, of a whole axis.

Where the formula changes from one branch to the other, value and gradient are PyTorch's.
"""

from __future__ import annotations

import math
from typing import Any

from gradnerve import ops
from gradnerve.backends import array_library, is_whole
from gradnerve.errors import LayerMismatch
from gradnerve.ops.random import drawn_like
from gradnerve.ops.shape import as_tensor_or_array, axis_index, plain

__all__ = [
    "celu", "elu", "gelu", "glu", "gumbel_softmax", "hardshrink", "hardsigmoid", "hardswish",
    "hardtanh", "leaky_relu", "log_softmax", "logsigmoid", "mish", "prelu", "relu", "relu6",
    "rrelu", "selu", "sigmoid", "silu", "softmax", "softmin", "softplus", "softshrink", "softsign",
    "tanh", "tanhshrink", "threshold",
]  # fmt: skip

# --- Rectifiers -----------------------------------------------------------------------------------


def relu(input: Any, inplace: bool = False) -> Any:
    """max(x, 0). The gradient at 0 is 0."""
    return ops.relu(input)


def relu6(input: Any, inplace: bool = False) -> Any:
    """min(max(x, 0), 6). The gradient at 0 and at 6 is 0.

    Source: Krizhevsky, "Convolutional Deep Belief Networks on CIFAR-10", 2010.
    """
    return hardtanh(input, 0.0, 6.0)


def leaky_relu(input: Any, negative_slope: float = 0.01, inplace: bool = False) -> Any:
    """x where it is positive, else x · negative_slope (the gradient at 0, too).

    Source: Maas, Hannun and Ng, "Rectifier Nonlinearities Improve Neural Network Acoustic Models",
    2013.

    >>> import numpy as np
    >>> print(leaky_relu(np.array([-2.0, 3.0])))
    [-0.02  3.  ]
    """
    x = as_tensor_or_array(input)
    return ops.where(x > 0, x, x * negative_slope)


def prelu(input: Any, weight: Any) -> Any:
    """x where it is positive, else x · weight: (N, C, ...), (C,) or (1,) -> (N, C, ...).

    The slope of each channel, or the one of all, is learned. Source: He et al., "Delving Deep into
    Rectifiers", 2015. Raises ValueError where the weight is neither a number nor has C of them.
    """
    x = as_tensor_or_array(input)
    count = math.prod(weight.shape)
    if len(weight.shape) > 1 or (count != 1 and (len(x.shape) < 2 or count != x.shape[1])):
        channels = f"{x.shape[1]} channels" if len(x.shape) > 1 else "1 channel"
        raise LayerMismatch(
            "prelu", f"has a weight of shape {tuple(weight.shape)} for {channels}", x.shape
        )
    slope = ops.reshape(weight, () if count == 1 else (-1,) + (1,) * (len(x.shape) - 2))
    return ops.where(x > 0, x, x * slope)


def rrelu(
    input: Any, lower: float = 1 / 8, upper: float = 1 / 3, training: bool = False,
    inplace: bool = False,
) -> Any:  # fmt: skip
    """x where it is positive, else x · a: a random slope while training, else the mean one.

    Each element has a slope of its own, even between `lower` and `upper`. Source: Xu et al.,
    "Empirical Evaluation of Rectified Activations in Convolutional Network", 2015. Raises
    ValueError where lower > upper.
    """
    if not -math.inf < lower <= upper < math.inf:
        raise ValueError(f"rrelu: lower is at most upper, and both finite; got {lower}, {upper}")
    if not training:
        return leaky_relu(input, (lower + upper) / 2)
    x = as_tensor_or_array(input)
    drawn = array_library(plain(x)).astype(drawn_like(plain(x)), x.dtype)
    return ops.where(x > 0, x, x * (lower + (upper - lower) * drawn))


def elu(input: Any, alpha: float = 1.0, inplace: bool = False) -> Any:
    """x where it is positive, else alpha (eˣ - 1).

    Source: Clevert, Unterthiner and Hochreiter, "Fast and Accurate Deep Network Learning by
    Exponential Linear Units", 2016.

    >>> import numpy as np
    >>> print(elu(np.array([-1.0, 2.0])).round(4))
    [-0.6321  2.    ]
    """
    x = as_tensor_or_array(input)
    positive = x > 0
    return ops.where(positive, x, alpha * ops.expm1(ops.where(positive, 0.0, x)))


def selu(input: Any, inplace: bool = False) -> Any:
    """1.0507 · elu(x, 1.6733): from layer to layer it keeps mean 0 and variance 1.

    Source: Klambauer et al., "Self-Normalizing Neural Networks", 2017, with their constants.
    """
    return 1.0507009873554804934193349852946 * elu(input, 1.6732632423543772848170429916717)


def celu(input: Any, alpha: float = 1.0, inplace: bool = False) -> Any:
    """x where it is positive, else alpha (e^(x / alpha) - 1): its slope at 0 is 1 for any alpha.

    Source: Barron, "Continuously Differentiable Exponential Linear Units", 2017. Raises ValueError
    for an alpha of 0.
    """
    if alpha == 0:
        raise ValueError("celu: alpha is 0, and x is divided by it")
    x = as_tensor_or_array(input)
    positive = x > 0
    return ops.where(positive, x, alpha * ops.expm1(ops.where(positive, 0.0, x) / alpha))


def threshold(input: Any, threshold: float, value: float, inplace: bool = False) -> Any:
    """x where it is above the threshold, else `value`."""
    x = as_tensor_or_array(input)
    return ops.where(x <= threshold, value, x)


# --- Smooth ---------------------------------------------------------------------------------------


def sigmoid(input: Any) -> Any:
    """1 / (1 + e⁻ˣ)."""
    return ops.sigmoid(input)


def logsigmoid(input: Any) -> Any:
    """log(sigmoid(x)), exact where sigmoid(x) is nearly 0 or 1."""
    return ops.logsigmoid(input)


def tanh(input: Any) -> Any:
    """Hyperbolic tangent."""
    return ops.tanh(input)


def tanhshrink(input: Any) -> Any:
    """x - tanh(x)."""
    x = as_tensor_or_array(input)
    return x - ops.tanh(x)


def softplus(input: Any, beta: float = 1.0, threshold: float = 20.0) -> Any:
    """log(1 + e^(beta x)) / beta, a smooth relu; x itself where beta x is above the threshold.

    >>> import numpy as np
    >>> print(softplus(np.array([-1000.0, 0.0, 1000.0])).round(4).tolist())
    [0.0, 0.6931, 1000.0]
    """
    x = as_tensor_or_array(input)
    scaled = x * beta
    return ops.where(plain(scaled) > threshold, x, ops.softplus(scaled) / beta)


def softsign(input: Any) -> Any:
    """x / (1 + |x|)."""
    x = as_tensor_or_array(input)
    return x / (1 + ops.abs(x))


def silu(input: Any, inplace: bool = False) -> Any:
    """x · sigmoid(x), also known as swish.

    Source: Elfwing, Uchibe and Doya, "Sigmoid-Weighted Linear Units", 2018.
    """
    return ops.multiply(input, ops.sigmoid(input))


def mish(input: Any, inplace: bool = False) -> Any:
    """x · tanh(log(1 + eˣ)).

    Source: Misra, "Mish: A Self Regularized Non-Monotonic Activation Function", 2020.
    """
    return ops.multiply(input, ops.tanh(ops.softplus(input)))


def gelu(input: Any, approximate: str = "none") -> Any:
    """x Φ(x), Φ the normal distribution's cumulative function; or its "tanh" approximation.

    Source: Hendrycks and Gimpel, "Gaussian Error Linear Units", 2016. Raises ValueError for another
    approximation.
    """
    if approximate == "none":
        return ops.multiply(input, ops.ndtr(input))
    if approximate == "tanh":
        return ops.multiply(input, ops.gelu_gate(input))
    raise ValueError(f"gelu: approximate is 'none' or 'tanh', not {approximate!r}")


# --- Of straight pieces ---------------------------------------------------------------------------


def hardtanh(input: Any, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> Any:
    """x, moved into [min_val, max_val]. The gradient on a bound is 0.

    Raises ValueError where min_val > max_val, or for a negative bound of whole numbers that have no
    sign.
    """
    if min_val > max_val:
        raise ValueError(f"hardtanh: min_val, {min_val}, is above max_val, {max_val}")
    x = as_tensor_or_array(input)
    if min(min_val, max_val) < 0 and array_library(plain(x)).isdtype(x.dtype, "unsigned integer"):
        raise ValueError(f"hardtanh: {x.dtype} has no negative numbers, but a bound is negative")
    if is_whole(plain(x)):
        min_val, max_val = int(min_val), int(max_val)
    return ops.where(x <= min_val, min_val, ops.where(x >= max_val, max_val, x))


def hardsigmoid(input: Any, inplace: bool = False) -> Any:
    """relu6(x + 3) / 6: sigmoid of straight pieces.

    Source: Howard et al., "Searching for MobileNetV3", 2019.
    """
    return relu6(ops.add(input, 3.0)) / 6


def hardswish(input: Any, inplace: bool = False) -> Any:
    """x · hardsigmoid(x).

    Source: Howard et al., "Searching for MobileNetV3", 2019.
    """
    x = as_tensor_or_array(input)
    low, high = x <= -3, x >= 3
    inside = ops.where(low | high, 0.0, x)
    return ops.where(low, 0.0, ops.where(high, x, inside * (inside + 3) / 6))


def hardshrink(input: Any, lambd: float = 0.5) -> Any:
    """x where |x| is above lambd, else 0."""
    x = as_tensor_or_array(input)
    return ops.where((x >= -lambd) & (x <= lambd), 0.0, x)


def softshrink(input: Any, lambd: float = 0.5) -> Any:
    """x moved by lambd towards 0, and 0 where it was not farther than that.

    Raises ValueError for a negative lambd.
    """
    if lambd < 0:
        raise ValueError(f"softshrink: lambd is 0 or more, not {lambd}")
    x = as_tensor_or_array(input)
    moved = ops.where(x > 0, x - lambd, x + lambd)
    return ops.where((x >= -lambd) & (x <= lambd), 0.0, moved)


# --- Of a whole axis ------------------------------------------------------------------------------


def glu(input: Any, dim: int = -1) -> Any:
    """a · sigmoid(b), a and b the halves of x along `dim`: (..., 2 n, ...) -> (..., n, ...).

    Source: Dauphin et al., "Language Modeling with Gated Convolutional Networks", 2017. Raises
    ValueError for an axis of odd length.

    >>> import numpy as np
    >>> print(glu(np.array([1.0, 2.0, 0.0, 100.0])))
    [0.5 2. ]
    """
    x = as_tensor_or_array(input)
    axis = axis_index(dim, x, "glu")
    if x.shape[axis] % 2:
        raise LayerMismatch(
            "glu", f"expects an even length of axis {dim}, got {x.shape[axis]}", x.shape
        )
    value, gate = ops.split(x, 2, axis)
    return value * ops.sigmoid(gate)


def softmax(input: Any, dim: int, dtype: Any = None) -> Any:
    """eˣ / Σ eˣ along `dim`.

    >>> import numpy as np
    >>> softmax(np.zeros(4), dim=0)
    array([0.25, 0.25, 0.25, 0.25])
    """
    return ops.softmax(input if dtype is None else ops.astype(input, dtype), dim)


def softmin(input: Any, dim: int, dtype: Any = None) -> Any:
    """e⁻ˣ / Σ e⁻ˣ along `dim`: the softmax of -x."""
    return softmax(ops.negative(input), dim, dtype)


def log_softmax(input: Any, dim: int, dtype: Any = None) -> Any:
    """x - log Σ eˣ along `dim`."""
    return ops.log_softmax(input if dtype is None else ops.astype(input, dtype), dim)


def gumbel_softmax(
    logits: Any, tau: float = 1, hard: bool = False, eps: float = 1e-10, dim: int = -1
) -> Any:
    """softmax((x + g) / tau), g Gumbel's noise: a random choice along `dim` that has a gradient.

    With `hard` exactly one element is 1, and the gradient is still that of the soft choice. `eps`
    is PyTorch's, and does nothing.
    Source: Jang, Gu and Poole, "Categorical Reparameterization with Gumbel-Softmax", 2017.
    """
    x = as_tensor_or_array(logits)
    library = array_library(plain(x))
    drawn = library.astype(drawn_like(plain(x)), x.dtype)
    noise = -library.log(-library.log1p(-drawn) + 1e-30)  # what is drawn can be 0
    soft = softmax((x + noise) / tau, dim)
    if not hard:
        return soft
    axis = axis_index(dim, x, "gumbel_softmax")
    values = plain(soft)
    chosen = library.expand_dims(library.argmax(values, axis=axis), axis=axis)
    places = library.reshape(
        library.arange(x.shape[axis]), (-1,) + (1,) * (len(x.shape) - axis - 1)
    )
    return library.astype(places == chosen, x.dtype) + (soft - values)
