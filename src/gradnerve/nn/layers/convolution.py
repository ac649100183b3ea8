"""Convolution, its adjoint, and the columns of what a moving window sees."""

from __future__ import annotations

import math
from typing import Any

from gradnerve.nn import functional as F
from gradnerve.nn.functional.checks import each, window_of
from gradnerve.nn.init import uniform
from gradnerve.nn.layers.plain import Function
from gradnerve.nn.module import Module, Parameter

__all__ = [
    "Conv1d", "Conv2d", "Conv3d", "ConvTranspose1d", "ConvTranspose2d", "ConvTranspose3d", "Fold",
    "Unfold",
]  # fmt: skip


class _Conv(Module):
    """What all convolutions share. The weight of a transposed one begins with the input channels.

    Weight and bias start uniform within ±1/√(second axis of the weight · kernel), as PyTorch's.
    """

    ndim: int
    transposed = False

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: Any, stride: Any = 1,
        padding: Any = 0, dilation: Any = 1, groups: int = 1, bias: bool = True,
        padding_mode: str = "zeros", dtype: Any = "float32",
    ):  # fmt: skip
        name = type(self).__name__
        if groups < 1 or in_channels % groups or out_channels % groups:
            raise ValueError(
                f"{name}: {in_channels} input and {out_channels} output channels do not divide "
                f"into {groups} groups"
            )
        modes = ("zeros",) if self.transposed else ("zeros", "reflect", "replicate", "circular")
        if padding_mode not in modes:
            raise ValueError(f"{name}: padding_mode is one of {modes}, not {padding_mode!r}")
        self.in_channels, self.out_channels = in_channels, out_channels
        self.kernel_size = each(name, "kernel_size", kernel_size, self.ndim)
        self.stride, self.padding, self.dilation, self.groups = stride, padding, dilation, groups
        self.padding_mode = padding_mode
        first, second = (
            (in_channels, out_channels) if self.transposed else (out_channels, in_channels)
        )
        shape = (first, second // groups, *self.kernel_size)
        bound = 1 / math.sqrt(math.prod(shape[1:]))
        self.weight = Parameter(uniform(shape, bound, dtype))
        self.bias = Parameter(uniform((out_channels,), bound, dtype)) if bias else None

    def forward(self, input: Any) -> Any:
        """The convolved input."""
        padding = self.padding
        if self.padding_mode != "zeros":
            input = F.pad(input, self._margins(), mode=self.padding_mode)
            padding = 0
        return getattr(F, f"conv{self.ndim}d")(
            input, self.weight, self.bias, self.stride, padding, self.dilation, self.groups
        )

    def _margins(self) -> tuple[int, ...]:
        """The padding before and after each axis, the last axis first."""
        name = type(self).__name__
        window = window_of(
            name, self.ndim, self.kernel_size, self.stride, self.padding, self.dilation
        )
        return tuple(n for pair in reversed(window.padding) for n in pair)

    def extra_repr(self) -> str:
        """Its sizes, and what differs from the defaults."""
        text = f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}"
        for name, default in (
            ("stride", 1), ("padding", 0), ("output_padding", 0), ("dilation", 1), ("groups", 1),
            ("padding_mode", "zeros"),
        ):  # fmt: skip
            if getattr(self, name, default) != default:
                text += f", {name}={getattr(self, name)}"
        return text + (", bias=False" if self.bias is None else "")


class Conv1d(_Conv):
    """Cross-correlation: (N, in_channels, L) -> (N, out_channels, L'). See `F.conv1d`."""

    ndim = 1


class Conv2d(_Conv):
    """Cross-correlation: (N, in_channels, H, W) -> (N, out_channels, H', W'). See `F.conv2d`.

    >>> import numpy as np
    >>> Conv2d(1, 8, 3, padding=1)(np.ones((2, 1, 8, 8), dtype=np.float32)).shape
    (2, 8, 8, 8)
    """

    ndim = 2


class Conv3d(_Conv):
    """Cross-correlation: (N, in_channels, D, H, W) -> (N, out_channels, D', H', W')."""

    ndim = 3


class _ConvTranspose(_Conv):
    transposed = True

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: Any, stride: Any = 1,
        padding: Any = 0, output_padding: Any = 0, groups: int = 1, bias: bool = True,
        dilation: Any = 1, padding_mode: str = "zeros", dtype: Any = "float32",
    ):  # fmt: skip
        super().__init__(
            in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias,
            padding_mode, dtype,
        )  # fmt: skip
        self.output_padding = output_padding

    def forward(self, input: Any) -> Any:
        """The input through the adjoint of a convolution."""
        return getattr(F, f"conv_transpose{self.ndim}d")(
            input, self.weight, self.bias, self.stride, self.padding, self.output_padding,
            self.groups, self.dilation,
        )  # fmt: skip


class ConvTranspose1d(_ConvTranspose):
    """The adjoint of a convolution: (N, in_channels, L) -> (N, out_channels, L')."""

    ndim = 1


class ConvTranspose2d(_ConvTranspose):
    """The adjoint of a convolution: (N, in_channels, H, W) -> (N, out_channels, H', W').

    >>> import numpy as np
    >>> ConvTranspose2d(8, 4, 2, stride=2)(np.ones((1, 8, 3, 3), dtype=np.float32)).shape
    (1, 4, 6, 6)
    """

    ndim = 2


class ConvTranspose3d(_ConvTranspose):
    """The adjoint of a convolution: (N, in_channels, D, H, W) -> (N, out_channels, D', H', W')."""

    ndim = 3


class Unfold(Function):
    """What each window sees, as a column: (N, C, H, W) -> (N, C·kh·kw, windows). See `F.unfold`."""

    def __init__(self, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1):
        self.kernel_size, self.dilation = kernel_size, dilation
        self.padding, self.stride = padding, stride

    def forward(self, input: Any) -> Any:
        return F.unfold(input, self.kernel_size, self.dilation, self.padding, self.stride)


class Fold(Function):
    """The adjoint of `Unfold`: (N, C·kh·kw, windows) -> (N, C, *output_size). See `F.fold`."""

    def __init__(
        self, output_size: Any, kernel_size: Any, dilation: Any = 1, padding: Any = 0,
        stride: Any = 1,
    ):  # fmt: skip
        self.output_size, self.kernel_size = output_size, kernel_size
        self.dilation, self.padding, self.stride = dilation, padding, stride

    def forward(self, input: Any) -> Any:
        return F.fold(
            input, self.output_size, self.kernel_size, self.dilation, self.padding, self.stride
        )
