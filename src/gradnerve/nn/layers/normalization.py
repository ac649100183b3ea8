"""Normalisation layers: the functions of `functional/normalization.py`, with their state."""

from __future__ import annotations

from typing import Any

import numpy as np

from gradnerve import ops
from gradnerve.backends import array_library
from gradnerve.errors import LayerMismatch
from gradnerve.nn import functional as F
from gradnerve.nn.functional.checks import check_axes, update
from gradnerve.nn.layers.plain import Function
from gradnerve.nn.module import Module, Parameter
from gradnerve.tensor import Tensor

__all__ = [
    "BatchNorm1d", "BatchNorm2d", "BatchNorm3d", "GroupNorm", "InstanceNorm1d", "InstanceNorm2d",
    "InstanceNorm3d", "LayerNorm", "LocalResponseNorm", "RMSNorm",
]  # fmt: skip


class _Norm(Module):
    """What batch and instance norm share: a weight and a bias, and running statistics."""

    def __init__(
        self, num_features: int, eps: float, momentum: float | None, affine: bool,
        track_running_stats: bool, dtype: Any, bias: bool,
    ):  # fmt: skip
        self.num_features, self.eps, self.momentum = num_features, eps, momentum
        self.affine, self.track_running_stats = affine, track_running_stats
        self.weight = Parameter(np.ones(num_features, dtype)) if affine else None
        self.bias = Parameter(np.zeros(num_features, dtype)) if affine and bias else None
        tracked = track_running_stats
        self.running_mean = Tensor(np.zeros(num_features, dtype)) if tracked else None
        self.running_var = Tensor(np.ones(num_features, dtype)) if tracked else None
        self.num_batches_tracked = Tensor(np.zeros((), np.int64)) if tracked else None

    def extra_repr(self) -> str:
        """How many channels, and its options."""
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, "
            f"affine={self.affine}, track_running_stats={self.track_running_stats}"
        )


class _BatchNorm(_Norm):
    """The running statistics move by `momentum`; with None they are the mean of all batches.

    Under `gn.jit` they are updated as well.
    """

    ndims: tuple[int, ...]  # how many axes an input may have
    wanted: str

    def __init__(
        self, num_features: int, eps: float = 1e-5, momentum: float | None = 0.1,
        affine: bool = True, track_running_stats: bool = True, dtype: Any = "float32", *,
        bias: bool = True,
    ):  # fmt: skip
        super().__init__(num_features, eps, momentum, affine, track_running_stats, dtype, bias)

    def forward(self, input: Any) -> Any:
        if len(input.shape) not in self.ndims:
            raise LayerMismatch(
                type(self).__name__,
                f"expects an input {self.wanted}, got {len(input.shape)} axes",
                input.shape,
            )
        check_features(type(self).__name__, input, 1, self.num_features)
        count = self.num_batches_tracked if self.training else None
        momentum: Any = self.momentum or 0.0
        if count is not None and self.momentum is None:
            momentum = 1 / array_library(count.data).astype(count.data + 1, "float64")
        # In training the running statistics are only updated, in evaluation they are used.
        y = F.batch_norm(
            input, self.running_mean, self.running_var, self.weight, self.bias,
            self.training or self.running_mean is None, momentum, self.eps,
        )  # fmt: skip
        if count is not None:
            update("batch_norm", count, count.data + 1)
        return y


class BatchNorm1d(_BatchNorm):
    """Each channel over all examples: (N, C) or (N, C, L). See `F.batch_norm`.

    >>> import numpy as np
    >>> layer = BatchNorm1d(1)
    >>> layer(np.array([[1.0], [3.0]], np.float32)).data.round(3).tolist()
    [[-1.0], [1.0]]
    >>> layer.running_mean
    Tensor([0.2], dtype=float32)
    """

    ndims, wanted = (2, 3), "(N, C) or (N, C, L)"


class BatchNorm2d(_BatchNorm):
    """Each channel over all examples and places: (N, C, H, W). See `F.batch_norm`."""

    ndims, wanted = (4,), "(N, C, H, W)"


class BatchNorm3d(_BatchNorm):
    """Each channel over all examples and places: (N, C, D, H, W). See `F.batch_norm`."""

    ndims, wanted = (5,), "(N, C, D, H, W)"


class _InstanceNorm(_Norm):
    ndim: int

    def __init__(
        self, num_features: int, eps: float = 1e-5, momentum: float = 0.1, affine: bool = False,
        track_running_stats: bool = False, dtype: Any = "float32", *, bias: bool = True,
    ):  # fmt: skip
        super().__init__(num_features, eps, momentum, affine, track_running_stats, dtype, bias)

    def forward(self, input: Any) -> Any:
        check_axes(type(self).__name__, input, self.ndim)
        single = len(input.shape) == self.ndim + 1
        check_features(type(self).__name__, input, 0 if single else 1, self.num_features)
        y = F.instance_norm(
            ops.expand_dims(input, 0) if single else input, self.running_mean, self.running_var,
            self.weight, self.bias, self.training or self.running_mean is None,
            self.momentum or 0.0, self.eps,
        )  # fmt: skip
        return ops.squeeze(y, 0) if single else y


class InstanceNorm1d(_InstanceNorm):
    """Each channel of each example: (N, C, L) or (C, L). See `F.instance_norm`."""

    ndim = 1


class InstanceNorm2d(_InstanceNorm):
    """Each channel of each example: (N, C, H, W) or (C, H, W). See `F.instance_norm`."""

    ndim = 2


class InstanceNorm3d(_InstanceNorm):
    """Each channel of each example: (N, C, D, H, W) or (C, D, H, W). See `F.instance_norm`."""

    ndim = 3


def check_features(name: str, x: Any, axis: int, count: int) -> None:
    """LayerMismatch where there are not so many channels."""
    if x.shape[axis] != count:
        raise LayerMismatch(name, f"expects {count} channels, got {x.shape[axis]}", x.shape)


# --- Without running statistics -------------------------------------------------------------------


class GroupNorm(Module):
    """Each group of channels of each example: (N, C, ...). See `F.group_norm`."""

    def __init__(
        self, num_groups: int, num_channels: int, eps: float = 1e-5, affine: bool = True,
        dtype: Any = "float32", *, bias: bool = True,
    ):  # fmt: skip
        if num_groups < 1 or num_channels % num_groups:
            raise ValueError(
                f"GroupNorm: {num_channels} channels do not divide into {num_groups} groups"
            )
        self.num_groups, self.num_channels = num_groups, num_channels
        self.eps, self.affine = eps, affine
        self.weight = Parameter(np.ones(num_channels, dtype)) if affine else None
        self.bias = Parameter(np.zeros(num_channels, dtype)) if affine and bias else None

    def forward(self, input: Any) -> Any:
        return F.group_norm(input, self.num_groups, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        """Its groups and channels."""
        return f"{self.num_groups}, {self.num_channels}, eps={self.eps}, affine={self.affine}"


class LayerNorm(Module):
    """Each example over its last axes, `normalized_shape`. See `F.layer_norm`.

    >>> import numpy as np
    >>> LayerNorm(4)(np.ones((2, 3, 4), np.float32)).shape
    (2, 3, 4)
    """

    def __init__(
        self, normalized_shape: Any, eps: float = 1e-5, elementwise_affine: bool = True,
        bias: bool = True, dtype: Any = "float32",
    ):  # fmt: skip
        shape = (normalized_shape,) if isinstance(normalized_shape, int) else normalized_shape
        self.normalized_shape, self.eps = tuple(shape), eps
        self.elementwise_affine = elementwise_affine
        self.weight = Parameter(np.ones(shape, dtype)) if elementwise_affine else None
        self.bias = Parameter(np.zeros(shape, dtype)) if elementwise_affine and bias else None

    def forward(self, input: Any) -> Any:
        return F.layer_norm(input, self.normalized_shape, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        """Its shape."""
        return (
            f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}"
        )


class RMSNorm(Module):
    """Each example over its last axes, without a mean. See `F.rms_norm`."""

    def __init__(
        self, normalized_shape: Any, eps: float | None = None, elementwise_affine: bool = True,
        dtype: Any = "float32",
    ):  # fmt: skip
        shape = (normalized_shape,) if isinstance(normalized_shape, int) else normalized_shape
        self.normalized_shape, self.eps = tuple(shape), eps
        self.elementwise_affine = elementwise_affine
        self.weight = Parameter(np.ones(shape, dtype)) if elementwise_affine else None

    def forward(self, input: Any) -> Any:
        return F.rms_norm(input, self.normalized_shape, self.weight, self.eps)

    def extra_repr(self) -> str:
        """Its shape."""
        return (
            f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}"
        )


class LocalResponseNorm(Function):
    """Each channel by those about it: (N, C, L, ...). See `F.local_response_norm`."""

    def __init__(self, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0):
        self.size, self.alpha, self.beta, self.k = size, alpha, beta, k

    def forward(self, input: Any) -> Any:
        return F.local_response_norm(input, self.size, self.alpha, self.beta, self.k)
