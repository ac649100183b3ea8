"""Layers: the functions of `functional.py`, holding their parameters."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from gradnerve import errors, ops
from gradnerve.nn import functional as F
from gradnerve.nn.functional.checks import each, window_of
from gradnerve.nn.init import uniform
from gradnerve.nn.module import Module, Parameter
from gradnerve.ops.shape import axis_index


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
        if in_features < 0 or out_features < 0:
            raise ValueError(f"Linear: sizes are 0 or more, not {in_features}, {out_features}")
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

    def forward(self, x: Any) -> Any:
        """The convolved input."""
        padding = self.padding
        if self.padding_mode != "zeros":
            x = F.pad(x, self._margins(), mode=self.padding_mode)
            padding = 0
        return getattr(F, f"conv{self.ndim}d")(
            x, self.weight, self.bias, self.stride, padding, self.dilation, self.groups
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

    def forward(self, x: Any) -> Any:
        """The input through the adjoint of a convolution."""
        return getattr(F, f"conv_transpose{self.ndim}d")(
            x, self.weight, self.bias, self.stride, self.padding, self.output_padding, self.groups,
            self.dilation,
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


class _MaxPool(Module):
    ndim: int

    def __init__(
        self, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1,
        return_indices: bool = False, ceil_mode: bool = False,
    ):  # fmt: skip
        self.kernel_size, self.stride = kernel_size, kernel_size if stride is None else stride
        self.padding, self.dilation = padding, dilation
        self.return_indices, self.ceil_mode = return_indices, ceil_mode

    def forward(self, x: Any) -> Any:
        """The pooled input."""
        return getattr(F, f"max_pool{self.ndim}d")(
            x, self.kernel_size, self.stride, self.padding, self.dilation, self.ceil_mode,
            self.return_indices,
        )  # fmt: skip

    def extra_repr(self) -> str:
        """Its sizes."""
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class MaxPool1d(_MaxPool):
    """The greatest value in each window: (N, C, L) -> (N, C, L')."""

    ndim = 1


class MaxPool2d(_MaxPool):
    """The greatest value in each window: (N, C, H, W) -> (N, C, H', W')."""

    ndim = 2


class MaxPool3d(_MaxPool):
    """The greatest value in each window: (N, C, D, H, W) -> (N, C, D', H', W')."""

    ndim = 3


class _AvgPool(Module):
    ndim: int

    def __init__(
        self, kernel_size: Any, stride: Any = None, padding: Any = 0, ceil_mode: bool = False,
        count_include_pad: bool = True, divisor_override: int | None = None,
    ):  # fmt: skip
        self.kernel_size, self.stride = kernel_size, kernel_size if stride is None else stride
        self.padding, self.ceil_mode = padding, ceil_mode
        self.count_include_pad, self.divisor_override = count_include_pad, divisor_override

    def forward(self, x: Any) -> Any:
        """The pooled input."""
        return getattr(F, f"avg_pool{self.ndim}d")(
            x, self.kernel_size, self.stride, self.padding, self.ceil_mode, self.count_include_pad,
            self.divisor_override,
        )  # fmt: skip

    def extra_repr(self) -> str:
        """Its sizes."""
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class AvgPool1d(_AvgPool):
    """The mean of each window: (N, C, L) -> (N, C, L')."""

    ndim = 1

    def __init__(
        self, kernel_size: Any, stride: Any = None, padding: Any = 0, ceil_mode: bool = False,
        count_include_pad: bool = True,
    ):  # fmt: skip
        super().__init__(kernel_size, stride, padding, ceil_mode, count_include_pad)

    def forward(self, x: Any) -> Any:
        """The pooled input."""
        return F.avg_pool1d(
            x, self.kernel_size, self.stride, self.padding, self.ceil_mode, self.count_include_pad
        )


class AvgPool2d(_AvgPool):
    """The mean of each window: (N, C, H, W) -> (N, C, H', W')."""

    ndim = 2


class AvgPool3d(_AvgPool):
    """The mean of each window: (N, C, D, H, W) -> (N, C, D', H', W')."""

    ndim = 3


class _AdaptivePool(Module):
    """Pooling by as many windows as asked for."""

    function: str

    def __init__(self, output_size: Any):
        self.output_size = output_size

    def forward(self, x: Any) -> Any:
        """The pooled input."""
        return getattr(F, self.function)(x, self.output_size)

    def extra_repr(self) -> str:
        """Its size."""
        return f"output_size={self.output_size}"


class AdaptiveAvgPool1d(_AdaptivePool):
    """The means of `output_size` windows: (N, C, L) -> (N, C, L')."""

    function = "adaptive_avg_pool1d"


class AdaptiveAvgPool2d(_AdaptivePool):
    """The means of as many windows as asked for: (N, C, H, W) -> (N, C, *output_size)."""

    function = "adaptive_avg_pool2d"


class AdaptiveAvgPool3d(_AdaptivePool):
    """The means of as many windows as asked for: (N, C, D, H, W) -> (N, C, *output_size)."""

    function = "adaptive_avg_pool3d"


class _AdaptiveMaxPool(_AdaptivePool):
    def __init__(self, output_size: Any, return_indices: bool = False):
        self.output_size, self.return_indices = output_size, return_indices

    def forward(self, x: Any) -> Any:
        """The pooled input."""
        return getattr(F, self.function)(x, self.output_size, self.return_indices)


class AdaptiveMaxPool1d(_AdaptiveMaxPool):
    """The greatest values of `output_size` windows: (N, C, L) -> (N, C, L')."""

    function = "adaptive_max_pool1d"


class AdaptiveMaxPool2d(_AdaptiveMaxPool):
    """The greatest values of as many windows as asked for: (N, C, H, W) -> (N, C, *output_size)."""

    function = "adaptive_max_pool2d"


class AdaptiveMaxPool3d(_AdaptiveMaxPool):
    """The greatest values of the windows asked for: (N, C, D, H, W) -> (N, C, *output_size)."""

    function = "adaptive_max_pool3d"


class Upsample(Module):
    """Resized to `size`, or by `scale_factor`: (N, C, *S) -> (N, C, *size). See `F.interpolate`."""

    def __init__(
        self, size: Any = None, scale_factor: Any = None, mode: str = "nearest",
        align_corners: bool | None = None, recompute_scale_factor: bool | None = None,
    ):  # fmt: skip
        self.size, self.scale_factor, self.mode = size, scale_factor, mode
        self.align_corners, self.recompute_scale_factor = align_corners, recompute_scale_factor

    def forward(self, x: Any) -> Any:
        """The resized input."""
        return F.interpolate(
            x, self.size, self.scale_factor, self.mode, self.align_corners,
            self.recompute_scale_factor,
        )  # fmt: skip

    def extra_repr(self) -> str:
        """Its size and mode."""
        name = "size" if self.scale_factor is None else "scale_factor"
        return f"{name}={getattr(self, name)}, mode={self.mode!r}"


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
        start, end = (axis_index(a, x, "Flatten") for a in (self.start_dim, self.end_dim))
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
