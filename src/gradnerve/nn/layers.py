"""Layers: the functions of `functional.py`, holding their parameters."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from gradnerve import errors, ops
from gradnerve.nn import functional as F
from gradnerve.nn.init import uniform
from gradnerve.nn.module import Module, Parameter


class Linear(Module):
    """x Wᵀ + b: (..., in_features) -> (..., out_features).

    Weight and bias start uniform within ±1/√in_features, as PyTorch's.

    >>> import numpy as np
    >>> Linear(3, 2)(np.ones((5, 3), dtype=np.float32)).shape
    (5, 2)
    """

    def __init__(
        self, in_features: int, out_features: int, bias: bool = True, dtype: Any = "float32"
    ):
        self.in_features, self.out_features = in_features, out_features
        bound = 1 / math.sqrt(in_features) if in_features else 0.0
        self.weight = Parameter(uniform((out_features, in_features), bound, dtype))
        self.bias = Parameter(uniform((out_features,), bound, dtype)) if bias else None

    def forward(self, x: Any) -> Any:
        """x Wᵀ + b."""
        return F.linear(x, self.weight, self.bias)

    def extra_repr(self) -> str:
        """Its sizes."""
        return f"{self.in_features}, {self.out_features}, bias={self.bias is not None}"


class Conv2d(Module):
    """Cross-correlation: (N, in_channels, H, W) -> (N, out_channels, H', W').

    Weight and bias start uniform within ±1/√(in_channels/groups · kernel), as PyTorch's.

    >>> import numpy as np
    >>> Conv2d(1, 8, 3, padding=1)(np.ones((2, 1, 8, 8), dtype=np.float32)).shape
    (2, 8, 8, 8)
    """

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: Any, stride: Any = 1,
        padding: Any = 0, dilation: Any = 1, groups: int = 1, bias: bool = True,
        dtype: Any = "float32",
    ):  # fmt: skip
        if groups < 1 or in_channels % groups or out_channels % groups:
            raise ValueError(
                f"Conv2d: {in_channels} input and {out_channels} output channels do not divide "
                f"into {groups} groups"
            )
        self.in_channels, self.out_channels = in_channels, out_channels
        self.kernel_size = (
            (kernel_size,) * 2 if isinstance(kernel_size, int) else tuple(kernel_size)
        )
        self.stride, self.padding, self.dilation, self.groups = stride, padding, dilation, groups
        shape = (out_channels, in_channels // groups, *self.kernel_size)
        bound = 1 / math.sqrt(math.prod(shape[1:]))
        self.weight = Parameter(uniform(shape, bound, dtype))
        self.bias = Parameter(uniform((out_channels,), bound, dtype)) if bias else None

    def forward(self, x: Any) -> Any:
        """The convolved input."""
        return F.conv2d(
            x, self.weight, self.bias, self.stride, self.padding, self.dilation, self.groups
        )

    def extra_repr(self) -> str:
        """Its sizes, and what differs from the defaults."""
        text = f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}"
        for name, default in (("stride", 1), ("padding", 0), ("dilation", 1), ("groups", 1)):
            if getattr(self, name) != default:
                text += f", {name}={getattr(self, name)}"
        return text + (", bias=False" if self.bias is None else "")


class MaxPool2d(Module):
    """The greatest value in each window: (N, C, H, W) -> (N, C, H', W')."""

    def __init__(
        self, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1,
        ceil_mode: bool = False,
    ):  # fmt: skip
        self.kernel_size, self.stride = kernel_size, kernel_size if stride is None else stride
        self.padding, self.dilation, self.ceil_mode = padding, dilation, ceil_mode

    def forward(self, x: Any) -> Any:
        """The pooled input."""
        return F.max_pool2d(
            x, self.kernel_size, self.stride, self.padding, self.dilation, self.ceil_mode
        )

    def extra_repr(self) -> str:
        """Its sizes."""
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class ReLU(Module):
    """max(x, 0), element by element."""

    def __init__(self, inplace: bool = False):
        pass  # `inplace` is PyTorch's; the result here is always a new tensor

    def forward(self, x: Any) -> Any:
        """max(x, 0)."""
        return F.relu(x)


class Flatten(Module):
    """The axes from start_dim to end_dim as one: (N, C, H, W) -> (N, C·H·W)."""

    def __init__(self, start_dim: int = 1, end_dim: int = -1):
        self.start_dim, self.end_dim = start_dim, end_dim

    def forward(self, x: Any) -> Any:
        """The flattened input."""
        start, end = self.start_dim % len(x.shape), self.end_dim % len(x.shape)
        flat = math.prod(x.shape[start : end + 1])
        return ops.reshape(x, (*x.shape[:start], flat, *x.shape[end + 1 :]))


class Dropout(Module):
    """Zero each element with probability p while training; nothing in evaluation."""

    def __init__(self, p: float = 0.5, inplace: bool = False):
        if not 0 <= p <= 1:
            raise ValueError(f"Dropout: p is a probability, between 0 and 1, not {p}")
        self.p = p

    def forward(self, x: Any) -> Any:
        """The input with some elements dropped."""
        return F.dropout(x, self.p, self.training)

    def extra_repr(self) -> str:
        """The probability."""
        return f"p={self.p}"


class Sequential(Module):
    """Modules one after the other; they are called 0, 1, ..., or by the keys of a dict.

    >>> model = Sequential(Linear(4, 8), ReLU(), Linear(8, 2))
    >>> [name for name, _ in model.named_parameters()]
    ['0.weight', '0.bias', '2.weight', '2.bias']
    """

    def __init__(self, *modules: Module | Mapping[str, Module]):
        if len(modules) == 1 and isinstance(modules[0], Mapping):
            named = dict(modules[0])
        else:
            named = {str(i): module for i, module in enumerate(modules)}  # type: ignore[misc]
        for name, module in named.items():
            if not isinstance(module, Module):
                raise TypeError(errors.not_a_module(name, module))
            setattr(self, name, module)

    def forward(self, x: Any) -> Any:
        """The input through each module in turn."""
        for module in self:
            x = module(x)
        return x

    def __iter__(self) -> Iterator[Module]:
        return self.children()

    def __len__(self) -> int:
        return len(list(self.children()))

    def __getitem__(self, i: int) -> Module:
        return list(self.children())[i]


class CrossEntropyLoss(Module):
    """Cross-entropy of logits (N, C, ...) and class numbers (N, ...): `F.cross_entropy`."""

    def __init__(
        self, weight: Any = None, ignore_index: int = -100, reduction: str = "mean",
        label_smoothing: float = 0.0,
    ):  # fmt: skip
        self.weight, self.ignore_index = weight, ignore_index
        self.reduction, self.label_smoothing = reduction, label_smoothing

    def forward(self, input: Any, target: Any) -> Any:
        """The loss."""
        return F.cross_entropy(
            input, target, self.weight, self.ignore_index, self.reduction, self.label_smoothing
        )


class MSELoss(Module):
    """The mean of (x - target)²: `F.mse_loss`."""

    def __init__(self, reduction: str = "mean"):
        self.reduction = reduction

    def forward(self, input: Any, target: Any) -> Any:
        """The loss."""
        return F.mse_loss(input, target, self.reduction)
