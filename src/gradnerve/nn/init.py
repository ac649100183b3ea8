"""Initial weights: functions that fill a tensor, by PyTorch's names. The random numbers are those
of `gn.manual_seed`.

>>> import gradnerve as gn
>>> layer = gn.nn.Linear(3, 2)
>>> zeros_(layer.bias)
Tensor([0., 0.], dtype=float32, requires_grad=True)
"""

from __future__ import annotations

import math
from typing import Any, TypeVar

import numpy as np

from gradnerve.backends import array_library, constant
from gradnerve.ops.random import generator
from gradnerve.tensor import Tensor

__all__ = [
    "calculate_gain", "constant_", "dirac_", "eye_", "kaiming_normal_", "kaiming_uniform_",
    "normal_", "ones_", "orthogonal_", "sparse_", "trunc_normal_", "uniform_", "xavier_normal_",
    "xavier_uniform_", "zeros_",
]  # fmt: skip

T = TypeVar("T", bound=Tensor)


def uniform(shape: tuple[int, ...], bound: float, dtype: Any = "float32") -> np.ndarray:
    """Random numbers between -bound and bound.

    With bound = 1/√fan_in this is PyTorch's default for linear and convolutional layers: Kaiming's
    uniform initialisation with a = √5. Source: He et al., "Delving Deep into Rectifiers", 2015.
    """
    return generator().uniform(-bound, bound, shape).astype(dtype)


def _filled(tensor: T, values: Any) -> T:
    data = tensor._data
    new = constant(np.broadcast_to(values, tensor.shape).copy(), data)
    tensor.data = array_library(data).astype(new, tensor.dtype)
    return tensor


# --- The same everywhere, and patterns ------------------------------------------------------------


def constant_(tensor: T, val: float) -> T:
    """Fill a tensor with a number."""
    return _filled(tensor, np.asarray(val))


def zeros_(tensor: T) -> T:
    """Fill a tensor with 0."""
    return constant_(tensor, 0.0)


def ones_(tensor: T) -> T:
    """Fill a tensor with 1."""
    return constant_(tensor, 1.0)


def eye_(tensor: T) -> T:
    """Make a matrix the identity, as far as it goes. Raises ValueError for other tensors."""
    if len(tensor.shape) != 2:
        raise ValueError(f"eye_: expects a matrix, got {tuple(tensor.shape)}")
    return _filled(tensor, np.eye(*tensor.shape))


def dirac_(tensor: T, groups: int = 1) -> T:
    """Make a convolution's weight (F, C, *kernel) hand on its input, as far as it has channels."""
    shape = tuple(tensor.shape)
    if not 3 <= len(shape) <= 5 or shape[0] % groups:
        raise ValueError(
            f"dirac_: expects a weight (F, C, *kernel) with F divisible by {groups}, got {shape}"
        )
    values = np.zeros(shape)
    out = shape[0] // groups
    center = tuple(n // 2 for n in shape[2:])
    for group in range(groups):
        for channel in range(min(out, shape[1])):
            values[(group * out + channel, channel, *center)] = 1
    return _filled(tensor, values)


# --- Random numbers -------------------------------------------------------------------------------


def uniform_(tensor: T, a: float = 0.0, b: float = 1.0) -> T:
    """Fill a tensor with random numbers between a and b."""
    return _filled(tensor, generator().uniform(a, b, tensor.shape))


def normal_(tensor: T, mean: float = 0.0, std: float = 1.0) -> T:
    """Fill a tensor with normally distributed numbers."""
    return _filled(tensor, generator().normal(mean, std, tensor.shape))


def trunc_normal_(
    tensor: T, mean: float = 0.0, std: float = 1.0, a: float = -2.0, b: float = 2.0
) -> T:
    """Normally distributed numbers, of which those outside [a, b] are drawn again.

    Raises ValueError where a normal number is hardly ever in [a, b].
    """
    if not a < b or a > mean + 5 * std or b < mean - 5 * std:
        raise ValueError(
            f"trunc_normal_: next to no number of mean {mean} and std {std} is in [{a}, {b}]"
        )
    values = generator().normal(mean, std, tensor.shape)
    while (outside := (values < a) | (values > b)).any():
        values[outside] = generator().normal(mean, std, outside.sum())
    return _filled(tensor, values)


def xavier_uniform_(tensor: T, gain: float = 1.0) -> T:
    """Uniform, with variance 2 gain² / (fan_in + fan_out).

    Source: Glorot and Bengio, "Understanding the difficulty of training deep feedforward neural
    networks", 2010, equation 16.
    """
    bound = gain * math.sqrt(6 / sum(_fans("xavier_uniform_", tensor)))
    return uniform_(tensor, -bound, bound)


def xavier_normal_(tensor: T, gain: float = 1.0) -> T:
    """Normal, with variance 2 gain² / (fan_in + fan_out). See `xavier_uniform_`."""
    return normal_(tensor, 0.0, gain * math.sqrt(2 / sum(_fans("xavier_normal_", tensor))))


def kaiming_uniform_(
    tensor: T, a: float = 0.0, mode: str = "fan_in", nonlinearity: str = "leaky_relu"
) -> T:
    """Uniform, with variance gain² / fan, so that the numbers keep their size through ReLUs.

    Source: He et al., "Delving Deep into Rectifiers", 2015, equation 10.
    """
    bound = math.sqrt(3) * _kaiming("kaiming_uniform_", tensor, a, mode, nonlinearity)
    return uniform_(tensor, -bound, bound)


def kaiming_normal_(
    tensor: T, a: float = 0.0, mode: str = "fan_in", nonlinearity: str = "leaky_relu"
) -> T:
    """Normal, with variance gain² / fan. See `kaiming_uniform_`."""
    return normal_(tensor, 0.0, _kaiming("kaiming_normal_", tensor, a, mode, nonlinearity))


def orthogonal_(tensor: T, gain: float = 1.0) -> T:
    """A random matrix with orthogonal rows, or columns if they are fewer; further axes are columns.

    Source: Saxe et al., "Exact solutions to the nonlinear dynamics of learning in deep linear
    neural networks", 2014. Raises ValueError for fewer than two axes.
    """
    shape = tuple(tensor.shape)
    if len(shape) < 2:
        raise ValueError(f"orthogonal_: expects two or more axes, got {shape}")
    rows, columns = shape[0], math.prod(shape[1:])
    q, r = np.linalg.qr(generator().standard_normal((max(rows, columns), min(rows, columns))))
    q = q * np.sign(np.diagonal(r))  # so that no matrix is likelier than another
    return _filled(tensor, gain * (q if rows >= columns else q.T).reshape(shape))


def sparse_(tensor: T, sparsity: float, std: float = 0.01) -> T:
    """A normal matrix, with a share `sparsity` of each column's elements 0. Martens, 2010."""
    if len(tensor.shape) != 2:
        raise ValueError(f"sparse_: expects a matrix, got {tuple(tensor.shape)}")
    values = generator().normal(0.0, std, tensor.shape)
    count = math.ceil(sparsity * tensor.shape[0])
    for column in values.T:
        column[generator().permutation(len(column))[:count]] = 0
    return _filled(tensor, values)


# --- How large ------------------------------------------------------------------------------------

GAINS = {"tanh": 5 / 3, "relu": math.sqrt(2), "selu": 3 / 4}
GAIN_1 = (
    "linear", "sigmoid", "conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d",
    "conv_transpose3d",
)  # fmt: skip


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """How much larger weights should be before a function that makes numbers smaller.

    >>> calculate_gain("leaky_relu", 0.0) == calculate_gain("relu")
    True
    """
    if nonlinearity in GAIN_1:
        return 1.0
    if nonlinearity == "leaky_relu":
        slope = 0.01 if param is None else param
        return math.sqrt(2 / (1 + slope**2))
    if nonlinearity not in GAINS:
        known = ", ".join(sorted({*GAIN_1, *GAINS, "leaky_relu"}))
        raise ValueError(f"calculate_gain: {nonlinearity!r} is none of {known}")
    return GAINS[nonlinearity]


def _fans(name: str, tensor: Tensor) -> tuple[int, int]:
    """How many numbers each output is made of, and how many outputs each number goes to."""
    shape = tuple(tensor.shape)
    if len(shape) < 2:
        raise ValueError(f"{name}: expects a weight of two or more axes, got {shape}")
    field = math.prod(shape[2:])
    return shape[1] * field, shape[0] * field


def _kaiming(name: str, tensor: Tensor, a: float, mode: str, nonlinearity: str) -> float:
    modes = ("fan_in", "fan_out")
    if mode not in modes:
        raise ValueError(f"{name}: mode is one of {modes}, not {mode!r}")
    fan = _fans(name, tensor)[modes.index(mode)]
    return calculate_gain(nonlinearity, a) / math.sqrt(fan)
