"""Activations: functions of each element, and softmax and its kin, of a whole axis.

An `inplace` is taken, as PyTorch's, but the result is always a new tensor.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from gradnerve.nn import functional as F
from gradnerve.nn.functional.checks import check_axes
from gradnerve.nn.layers.plain import Function
from gradnerve.nn.module import Parameter

__all__ = [
    "CELU",
    "ELU",
    "GELU",
    "GLU",
    "SELU",
    "Hardshrink",
    "Hardsigmoid",
    "Hardswish",
    "Hardtanh",
    "LeakyReLU",
    "LogSigmoid",
    "LogSoftmax",
    "Mish",
    "PReLU",
    "RReLU",
    "ReLU",
    "ReLU6",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "Softmax2d",
    "Softmin",
    "Softplus",
    "Softshrink",
    "Softsign",
    "Tanh",
    "Tanhshrink",
    "Threshold",
]  # fmt: skip

# --- Rectifiers -----------------------------------------------------------------------------------


class ReLU(Function):
    """max(x, 0), element by element. See `F.relu`."""

    def __init__(self, inplace: bool = False):
        pass

    def forward(self, input: Any) -> Any:
        return F.relu(input)


class ReLU6(Function):
    """min(max(x, 0), 6). See `F.relu6`."""

    def __init__(self, inplace: bool = False):
        pass

    def forward(self, input: Any) -> Any:
        return F.relu6(input)


class LeakyReLU(Function):
    """x where it is positive, else x · negative_slope. See `F.leaky_relu`."""

    def __init__(self, negative_slope: float = 0.01, inplace: bool = False):
        self.negative_slope = negative_slope

    def forward(self, input: Any) -> Any:
        return F.leaky_relu(input, self.negative_slope)


class PReLU(Function):
    """x where it is positive, else x · weight: slopes that are learned. See `F.prelu`.

    One for all, or with `num_parameters` one for each channel of (N, C, ...).
    """

    def __init__(self, num_parameters: int = 1, init: float = 0.25, dtype: Any = "float32"):
        self.num_parameters = num_parameters
        self.weight = Parameter(np.full(num_parameters, init, dtype))

    def forward(self, input: Any) -> Any:
        return F.prelu(input, self.weight)

    def extra_repr(self) -> str:
        """How many slopes it has."""
        return f"num_parameters={self.num_parameters}"


class RReLU(Function):
    """x where it is positive, else x · a: random slopes while training. See `F.rrelu`."""

    def __init__(self, lower: float = 1 / 8, upper: float = 1 / 3, inplace: bool = False):
        self.lower, self.upper = lower, upper

    def forward(self, input: Any) -> Any:
        return F.rrelu(input, self.lower, self.upper, self.training)


class ELU(Function):
    """x where it is positive, else alpha (eˣ - 1). See `F.elu`."""

    def __init__(self, alpha: float = 1.0, inplace: bool = False):
        self.alpha = alpha

    def forward(self, input: Any) -> Any:
        return F.elu(input, self.alpha)


class SELU(Function):
    """A scaled `ELU` that keeps mean 0 and variance 1. See `F.selu`."""

    def __init__(self, inplace: bool = False):
        pass

    def forward(self, input: Any) -> Any:
        return F.selu(input)


class CELU(Function):
    """x where it is positive, else alpha (e^(x / alpha) - 1). See `F.celu`."""

    def __init__(self, alpha: float = 1.0, inplace: bool = False):
        self.alpha = alpha

    def forward(self, input: Any) -> Any:
        return F.celu(input, self.alpha)


class Threshold(Function):
    """x where it is above the threshold, else `value`. See `F.threshold`."""

    def __init__(self, threshold: float, value: float, inplace: bool = False):
        self.threshold, self.value = threshold, value

    def forward(self, input: Any) -> Any:
        return F.threshold(input, self.threshold, self.value)


# --- Smooth ---------------------------------------------------------------------------------------


class Sigmoid(Function):
    """1 / (1 + e⁻ˣ)."""

    def forward(self, input: Any) -> Any:
        return F.sigmoid(input)


class LogSigmoid(Function):
    """log(sigmoid(x)), exact where sigmoid(x) is nearly 0 or 1."""

    def forward(self, input: Any) -> Any:
        return F.logsigmoid(input)


class Tanh(Function):
    """Hyperbolic tangent."""

    def forward(self, input: Any) -> Any:
        return F.tanh(input)


class Tanhshrink(Function):
    """x - tanh(x)."""

    def forward(self, input: Any) -> Any:
        return F.tanhshrink(input)


class Softplus(Function):
    """log(1 + e^(beta x)) / beta, a smooth relu. See `F.softplus`."""

    def __init__(self, beta: float = 1.0, threshold: float = 20.0):
        self.beta, self.threshold = beta, threshold

    def forward(self, input: Any) -> Any:
        return F.softplus(input, self.beta, self.threshold)


class Softsign(Function):
    """x / (1 + |x|)."""

    def forward(self, input: Any) -> Any:
        return F.softsign(input)


class SiLU(Function):
    """x · sigmoid(x), also known as swish. See `F.silu`."""

    def __init__(self, inplace: bool = False):
        pass

    def forward(self, input: Any) -> Any:
        return F.silu(input)


class Mish(Function):
    """x · tanh(log(1 + eˣ)). See `F.mish`."""

    def __init__(self, inplace: bool = False):
        pass

    def forward(self, input: Any) -> Any:
        return F.mish(input)


class GELU(Function):
    """x Φ(x), Φ the normal distribution's cumulative function. See `F.gelu`."""

    def __init__(self, approximate: str = "none"):
        self.approximate = approximate

    def forward(self, input: Any) -> Any:
        return F.gelu(input, self.approximate)


# --- Of straight pieces ---------------------------------------------------------------------------


class Hardtanh(Function):
    """x, moved into [min_val, max_val]. See `F.hardtanh`."""

    def __init__(self, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False):
        if min_val >= max_val:
            raise ValueError(f"Hardtanh: min_val, {min_val}, is not below max_val, {max_val}")
        self.min_val, self.max_val = min_val, max_val

    def forward(self, input: Any) -> Any:
        return F.hardtanh(input, self.min_val, self.max_val)


class Hardsigmoid(Function):
    """relu6(x + 3) / 6. See `F.hardsigmoid`."""

    def __init__(self, inplace: bool = False):
        pass

    def forward(self, input: Any) -> Any:
        return F.hardsigmoid(input)


class Hardswish(Function):
    """x · hardsigmoid(x). See `F.hardswish`."""

    def __init__(self, inplace: bool = False):
        pass

    def forward(self, input: Any) -> Any:
        return F.hardswish(input)


class Hardshrink(Function):
    """x where |x| is above lambd, else 0. See `F.hardshrink`."""

    def __init__(self, lambd: float = 0.5):
        self.lambd = lambd

    def forward(self, input: Any) -> Any:
        return F.hardshrink(input, self.lambd)


class Softshrink(Function):
    """x moved by lambd towards 0. See `F.softshrink`."""

    def __init__(self, lambd: float = 0.5):
        self.lambd = lambd

    def forward(self, input: Any) -> Any:
        return F.softshrink(input, self.lambd)


# --- Of a whole axis ------------------------------------------------------------------------------


class GLU(Function):
    """a · sigmoid(b), a and b the halves of x along `dim`. See `F.glu`."""

    def __init__(self, dim: int = -1):
        self.dim = dim

    def forward(self, input: Any) -> Any:
        return F.glu(input, self.dim)


class Softmax(Function):
    """eˣ / Σ eˣ along `dim`. See `F.softmax`."""

    def __init__(self, dim: int):
        self.dim = dim

    def forward(self, input: Any) -> Any:
        return F.softmax(input, self.dim)


class Softmin(Function):
    """e⁻ˣ / Σ e⁻ˣ along `dim`. See `F.softmin`."""

    def __init__(self, dim: int):
        self.dim = dim

    def forward(self, input: Any) -> Any:
        return F.softmin(input, self.dim)


class LogSoftmax(Function):
    """x - log Σ eˣ along `dim`. See `F.log_softmax`."""

    def __init__(self, dim: int):
        self.dim = dim

    def forward(self, input: Any) -> Any:
        return F.log_softmax(input, self.dim)


class Softmax2d(Function):
    """The softmax over the channels at each place of (N, C, H, W) or (C, H, W)."""

    def forward(self, input: Any) -> Any:
        check_axes("Softmax2d", input, 2)
        return F.softmax(input, -3)
