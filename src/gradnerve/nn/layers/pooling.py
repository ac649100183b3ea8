"""Pooling: of what a moving window sees, one number."""

from __future__ import annotations

from typing import Any

from gradnerve.nn import functional as F
from gradnerve.nn.layers.plain import Function, buffer
from gradnerve.nn.module import Module

__all__ = [
    "AdaptiveAvgPool1d", "AdaptiveAvgPool2d", "AdaptiveAvgPool3d", "AdaptiveMaxPool1d",
    "AdaptiveMaxPool2d", "AdaptiveMaxPool3d", "AvgPool1d", "AvgPool2d", "AvgPool3d",
    "FractionalMaxPool2d", "FractionalMaxPool3d", "LPPool1d", "LPPool2d", "LPPool3d", "MaxPool1d",
    "MaxPool2d", "MaxPool3d", "MaxUnpool1d", "MaxUnpool2d", "MaxUnpool3d",
]  # fmt: skip


class _Pool(Module):
    """Windows of one size."""

    ndim: int
    kernel_size: Any
    stride: Any
    padding: Any

    def extra_repr(self) -> str:
        """Its sizes."""
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class _MaxPool(_Pool):
    def __init__(
        self, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1,
        return_indices: bool = False, ceil_mode: bool = False,
    ):  # fmt: skip
        self.kernel_size, self.stride = kernel_size, kernel_size if stride is None else stride
        self.padding, self.dilation = padding, dilation
        self.return_indices, self.ceil_mode = return_indices, ceil_mode

    def forward(self, input: Any) -> Any:
        """The pooled input."""
        return getattr(F, f"max_pool{self.ndim}d")(
            input, self.kernel_size, self.stride, self.padding, self.dilation, self.ceil_mode,
            self.return_indices,
        )  # fmt: skip


class MaxPool1d(_MaxPool):
    """The greatest value in each window: (N, C, L) -> (N, C, L')."""

    ndim = 1


class MaxPool2d(_MaxPool):
    """The greatest value in each window: (N, C, H, W) -> (N, C, H', W')."""

    ndim = 2


class MaxPool3d(_MaxPool):
    """The greatest value in each window: (N, C, D, H, W) -> (N, C, D', H', W')."""

    ndim = 3


class _AvgPool(_Pool):
    def __init__(
        self, kernel_size: Any, stride: Any = None, padding: Any = 0, ceil_mode: bool = False,
        count_include_pad: bool = True, divisor_override: int | None = None,
    ):  # fmt: skip
        self.kernel_size, self.stride = kernel_size, kernel_size if stride is None else stride
        self.padding, self.ceil_mode = padding, ceil_mode
        self.count_include_pad, self.divisor_override = count_include_pad, divisor_override

    def forward(self, input: Any) -> Any:
        """The pooled input."""
        return getattr(F, f"avg_pool{self.ndim}d")(
            input, self.kernel_size, self.stride, self.padding, self.ceil_mode,
            self.count_include_pad, self.divisor_override,
        )  # fmt: skip


class AvgPool1d(_AvgPool):
    """The mean of each window: (N, C, L) -> (N, C, L')."""

    ndim = 1

    def __init__(
        self, kernel_size: Any, stride: Any = None, padding: Any = 0, ceil_mode: bool = False,
        count_include_pad: bool = True,
    ):  # fmt: skip
        super().__init__(kernel_size, stride, padding, ceil_mode, count_include_pad)

    def forward(self, input: Any) -> Any:
        """The pooled input."""
        return F.avg_pool1d(
            input,
            self.kernel_size,
            self.stride,
            self.padding,
            self.ceil_mode,
            self.count_include_pad,
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

    def forward(self, input: Any) -> Any:
        """The pooled input."""
        return getattr(F, self.function)(input, self.output_size)

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

    def forward(self, input: Any) -> Any:
        """The pooled input."""
        return getattr(F, self.function)(input, self.output_size, self.return_indices)


class AdaptiveMaxPool1d(_AdaptiveMaxPool):
    """The greatest values of `output_size` windows: (N, C, L) -> (N, C, L')."""

    function = "adaptive_max_pool1d"


class AdaptiveMaxPool2d(_AdaptiveMaxPool):
    """The greatest values of as many windows as asked for: (N, C, H, W) -> (N, C, *output_size)."""

    function = "adaptive_max_pool2d"


class AdaptiveMaxPool3d(_AdaptiveMaxPool):
    """The greatest values of the windows asked for: (N, C, D, H, W) -> (N, C, *output_size)."""

    function = "adaptive_max_pool3d"


class _LPPool(Function):
    ndim: int

    def __init__(
        self, norm_type: float, kernel_size: Any, stride: Any = None, ceil_mode: bool = False
    ):
        self.norm_type, self.kernel_size = norm_type, kernel_size
        self.stride, self.ceil_mode = stride, ceil_mode

    def forward(self, input: Any) -> Any:
        return getattr(F, f"lp_pool{self.ndim}d")(
            input, self.norm_type, self.kernel_size, self.stride, self.ceil_mode
        )


class LPPool1d(_LPPool):
    """(Σ xᵖ)^(1/p) of each window, p = norm_type: (N, C, L) -> (N, C, L')."""

    ndim = 1


class LPPool2d(_LPPool):
    """(Σ xᵖ)^(1/p) of each window, p = norm_type: (N, C, H, W) -> (N, C, H', W')."""

    ndim = 2


class LPPool3d(_LPPool):
    """(Σ xᵖ)^(1/p) of each window, p = norm_type: (N, C, D, H, W) -> (N, C, D', H', W')."""

    ndim = 3


class _FractionalMaxPool(Function):
    ndim: int

    def __init__(
        self, kernel_size: Any, output_size: Any = None, output_ratio: Any = None,
        return_indices: bool = False, _random_samples: Any = None,
    ):  # fmt: skip
        if (output_size is None) == (output_ratio is None):
            name = type(self).__name__
            raise ValueError(f"{name}: give an output_size or an output_ratio, and not both")
        self.kernel_size, self.output_size, self.output_ratio = (
            kernel_size, output_size, output_ratio,
        )  # fmt: skip
        self.return_indices, self._random_samples = return_indices, buffer(_random_samples)

    def forward(self, input: Any) -> Any:
        return getattr(F, f"fractional_max_pool{self.ndim}d")(
            input, self.kernel_size, self.output_size, self.output_ratio, self.return_indices,
            self._random_samples,
        )  # fmt: skip


class FractionalMaxPool2d(_FractionalMaxPool):
    """The greatest values of randomly placed windows. See `F.fractional_max_pool2d`."""

    ndim = 2


class FractionalMaxPool3d(_FractionalMaxPool):
    """The greatest values of randomly placed windows. See `F.fractional_max_pool3d`."""

    ndim = 3


class _MaxUnpool(Function):
    ndim: int

    def __init__(self, kernel_size: Any, stride: Any = None, padding: Any = 0):
        self.kernel_size, self.stride, self.padding = kernel_size, stride, padding

    def forward(self, input: Any, indices: Any, output_size: Any = None) -> Any:
        return getattr(F, f"max_unpool{self.ndim}d")(
            input, indices, self.kernel_size, self.stride, self.padding, output_size
        )


class MaxUnpool1d(_MaxUnpool):
    """What a `MaxPool1d` found, back where it was: (N, C, L') -> (N, C, L)."""

    ndim = 1


class MaxUnpool2d(_MaxUnpool):
    """What a `MaxPool2d` found, back where it was: (N, C, H', W') -> (N, C, H, W)."""

    ndim = 2


class MaxUnpool3d(_MaxUnpool):
    """What a `MaxPool3d` found, back where it was: (N, C, D', H', W') -> (N, C, D, H, W)."""

    ndim = 3
