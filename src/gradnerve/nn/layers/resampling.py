"""Resizing, padding and rearranging the elements of images."""

from __future__ import annotations

from typing import Any

from gradnerve.nn import functional as F
from gradnerve.nn.functional.checks import check_axes
from gradnerve.nn.layers.plain import Function
from gradnerve.nn.module import Module

__all__ = [
    "ChannelShuffle", "CircularPad1d", "CircularPad2d", "CircularPad3d", "ConstantPad1d",
    "ConstantPad2d", "ConstantPad3d", "PixelShuffle", "PixelUnshuffle", "ReflectionPad1d",
    "ReflectionPad2d", "ReflectionPad3d", "ReplicationPad1d", "ReplicationPad2d",
    "ReplicationPad3d", "Upsample", "UpsamplingBilinear2d", "UpsamplingNearest2d", "ZeroPad1d",
    "ZeroPad2d", "ZeroPad3d",
]  # fmt: skip


class Upsample(Module):
    """Resized to `size`, or by `scale_factor`: (N, C, *S) -> (N, C, *size). See `F.interpolate`."""

    def __init__(
        self, size: Any = None, scale_factor: Any = None, mode: str = "nearest",
        align_corners: bool | None = None, recompute_scale_factor: bool | None = None,
    ):  # fmt: skip
        self.size, self.scale_factor, self.mode = size, scale_factor, mode
        self.align_corners, self.recompute_scale_factor = align_corners, recompute_scale_factor

    def forward(self, input: Any) -> Any:
        """The resized input."""
        return F.interpolate(
            input, self.size, self.scale_factor, self.mode, self.align_corners,
            self.recompute_scale_factor,
        )  # fmt: skip

    def extra_repr(self) -> str:
        """Its size and mode."""
        name = "size" if self.scale_factor is None else "scale_factor"
        return f"{name}={getattr(self, name)}, mode={self.mode!r}"


class UpsamplingNearest2d(Upsample):
    """`Upsample` with mode="nearest"."""

    def __init__(self, size: Any = None, scale_factor: Any = None):
        super().__init__(size, scale_factor, "nearest")


class UpsamplingBilinear2d(Upsample):
    """`Upsample` with mode="bilinear" and align_corners=True."""

    def __init__(self, size: Any = None, scale_factor: Any = None):
        super().__init__(size, scale_factor, "bilinear", True)


class PixelShuffle(Function):
    """Channels become pixels: (..., C·r², H, W) -> (..., C, H·r, W·r). See `F.pixel_shuffle`."""

    def __init__(self, upscale_factor: int):
        self.upscale_factor = upscale_factor

    def forward(self, input: Any) -> Any:
        return F.pixel_shuffle(input, self.upscale_factor)


class PixelUnshuffle(Function):
    """The inverse of `PixelShuffle`: (..., C, H·r, W·r) -> (..., C·r², H, W)."""

    def __init__(self, downscale_factor: int):
        self.downscale_factor = downscale_factor

    def forward(self, input: Any) -> Any:
        return F.pixel_unshuffle(input, self.downscale_factor)


class ChannelShuffle(Function):
    """The channels of all groups mixed: (N, C, ...) -> (N, C, ...). See `F.channel_shuffle`."""

    def __init__(self, groups: int):
        self.groups = groups

    def forward(self, input: Any) -> Any:
        return F.channel_shuffle(input, self.groups)


# --- Margins: one number for all sides, or one for each, those of the last axis first -------------


class _Pad(Function):
    ndim: int
    mode: str
    value: float | None = None

    def __init__(self, padding: Any):
        if isinstance(padding, int):
            padding = (padding,) * (2 * self.ndim)
        if len(padding) != 2 * self.ndim:
            raise ValueError(
                f"{type(self).__name__}: padding is a number, or {2 * self.ndim} of them, not "
                f"{padding!r}"
            )
        self.padding = tuple(padding)

    def forward(self, input: Any) -> Any:
        check_axes(type(self).__name__, input, self.ndim)
        return F.pad(input, self.padding, self.mode, self.value)


class _ConstantPad(_Pad):
    mode = "constant"

    def __init__(self, padding: Any, value: float):
        super().__init__(padding)
        self.value = value


class ConstantPad1d(_ConstantPad):
    """A margin of one value: (N, C, L) or (C, L)."""

    ndim = 1


class ConstantPad2d(_ConstantPad):
    """A margin of one value: (N, C, H, W) or (C, H, W)."""

    ndim = 2


class ConstantPad3d(_ConstantPad):
    """A margin of one value: (N, C, D, H, W) or (C, D, H, W)."""

    ndim = 3


class ZeroPad1d(_Pad):
    """A margin of zeros: (N, C, L) or (C, L)."""

    ndim = 1
    mode = "constant"


class ZeroPad2d(_Pad):
    """A margin of zeros: (N, C, H, W) or (C, H, W)."""

    ndim = 2
    mode = "constant"


class ZeroPad3d(_Pad):
    """A margin of zeros: (N, C, D, H, W) or (C, D, H, W)."""

    ndim = 3
    mode = "constant"


class ReflectionPad1d(_Pad):
    """A margin in which the input is mirrored: (N, C, L) or (C, L)."""

    ndim = 1
    mode = "reflect"


class ReflectionPad2d(_Pad):
    """A margin in which the input is mirrored: (N, C, H, W) or (C, H, W)."""

    ndim = 2
    mode = "reflect"


class ReflectionPad3d(_Pad):
    """A margin in which the input is mirrored: (N, C, D, H, W) or (C, D, H, W)."""

    ndim = 3
    mode = "reflect"


class ReplicationPad1d(_Pad):
    """A margin in which the outermost elements are repeated: (N, C, L) or (C, L)."""

    ndim = 1
    mode = "replicate"


class ReplicationPad2d(_Pad):
    """A margin in which the outermost elements are repeated: (N, C, H, W) or (C, H, W)."""

    ndim = 2
    mode = "replicate"


class ReplicationPad3d(_Pad):
    """A margin in which the outermost elements are repeated: (N, C, D, H, W) or (C, D, H, W)."""

    ndim = 3
    mode = "replicate"


class CircularPad1d(_Pad):
    """A margin in which the input comes round again: (N, C, L) or (C, L)."""

    ndim = 1
    mode = "circular"


class CircularPad2d(_Pad):
    """A margin in which the input comes round again: (N, C, H, W) or (C, H, W)."""

    ndim = 2
    mode = "circular"


class CircularPad3d(_Pad):
    """A margin in which the input comes round again: (N, C, D, H, W) or (C, D, H, W)."""

    ndim = 3
    mode = "circular"
