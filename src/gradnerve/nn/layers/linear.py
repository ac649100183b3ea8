"""Linear layers, tables of vectors, and layers that leave the numbers as they are."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from gradnerve import ops
from gradnerve.errors import LayerMismatch
from gradnerve.nn import functional as F
from gradnerve.nn.init import uniform
from gradnerve.nn.layers.plain import Function
from gradnerve.nn.module import Module, Parameter
from gradnerve.ops.random import generator
from gradnerve.ops.shape import axis_index

__all__ = [
    "Bilinear", "Embedding", "EmbeddingBag", "Flatten", "Identity", "Lambda", "Linear", "Unflatten",
]  # fmt: skip


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

    def forward(self, input: Any) -> Any:
        """x Wᵀ + b."""
        return F.linear(input, self.weight, self.bias)

    def extra_repr(self) -> str:
        """Its sizes."""
        return f"{self.in_features}, {self.out_features}, bias={self.bias is not None}"


class Bilinear(Module):
    """x₁ᵀ A x₂ + b: (..., in1_features), (..., in2_features) -> (..., out_features).

    Weight and bias start uniform within ±1/√in1_features, as PyTorch's.
    """

    def __init__(
        self, in1_features: int, in2_features: int, out_features: int, bias: bool = True,
        dtype: Any = "float32",
    ):  # fmt: skip
        if min(in1_features, in2_features, out_features) < 1:
            raise ValueError(
                f"Bilinear: sizes are 1 or more, not {in1_features}, {in2_features}, {out_features}"
            )
        self.in1_features, self.in2_features = in1_features, in2_features
        self.out_features = out_features
        bound = 1 / math.sqrt(in1_features)
        self.weight = Parameter(uniform((out_features, in1_features, in2_features), bound, dtype))
        self.bias = Parameter(uniform((out_features,), bound, dtype)) if bias else None

    def forward(self, x1: Any, x2: Any) -> Any:
        return F.bilinear(x1, x2, self.weight, self.bias)

    def extra_repr(self) -> str:
        """Its sizes."""
        sizes = f"{self.in1_features}, {self.in2_features}, {self.out_features}"
        return f"{sizes}, bias={self.bias is not None}"


class Embedding(Module):
    """A table of vectors: class numbers (...) -> (..., embedding_dim). See `F.embedding`.

    The vectors start normally distributed, with variance 1; that of `padding_idx` is 0, and stays
    0.

    >>> import numpy as np
    >>> Embedding(10, 3)(np.array([[1, 2], [9, 0]])).shape
    (2, 2, 3)
    """

    def __init__(
        self, num_embeddings: int, embedding_dim: int, padding_idx: int | None = None,
        max_norm: float | None = None, norm_type: float = 2.0, scale_grad_by_freq: bool = False,
        sparse: bool = False, _weight: Any = None, dtype: Any = "float32",
    ):  # fmt: skip
        name = type(self).__name__
        if padding_idx is not None:
            if not -num_embeddings <= padding_idx < num_embeddings:
                raise ValueError(
                    f"{name}: padding_idx {padding_idx} is not in a table of {num_embeddings} rows"
                )
            padding_idx %= num_embeddings
        self.num_embeddings, self.embedding_dim = num_embeddings, embedding_dim
        self.padding_idx, self.max_norm, self.norm_type = padding_idx, max_norm, norm_type
        self.scale_grad_by_freq, self.sparse = scale_grad_by_freq, sparse
        if _weight is None:
            _weight = generator().standard_normal((num_embeddings, embedding_dim)).astype(dtype)
            if padding_idx is not None:
                _weight[padding_idx] = 0
        elif tuple(_weight.shape) != (num_embeddings, embedding_dim):
            raise ValueError(
                f"{name}: a table of shape {tuple(_weight.shape)} is not "
                f"({num_embeddings}, {embedding_dim})"
            )
        self.weight = Parameter(_weight)

    @classmethod
    def from_pretrained(cls, embeddings: Any, freeze: bool = True, **options: Any) -> Any:
        """A layer of a given table (V, D), which is not learned, unless `freeze` is False."""
        if len(embeddings.shape) != 2:
            raise ValueError(f"{cls.__name__}: a table has two axes, got {embeddings.shape}")
        rows, width = embeddings.shape
        layer = cls(rows, width, _weight=embeddings, **options)
        layer.weight.requires_grad = not freeze
        return layer

    def forward(self, input: Any) -> Any:
        return F.embedding(
            input, self.weight, self.padding_idx, self.max_norm, self.norm_type,
            self.scale_grad_by_freq, self.sparse,
        )  # fmt: skip

    def extra_repr(self) -> str:
        """Its sizes, and its padding."""
        padding = "" if self.padding_idx is None else f", padding_idx={self.padding_idx}"
        return f"{self.num_embeddings}, {self.embedding_dim}{padding}"


class EmbeddingBag(Embedding):
    """Sums, means or maxima of a table's vectors: (B, L) -> (B, D). See `F.embedding_bag`."""

    def __init__(
        self, num_embeddings: int, embedding_dim: int, max_norm: float | None = None,
        norm_type: float = 2.0, scale_grad_by_freq: bool = False, mode: str = "mean",
        sparse: bool = False, _weight: Any = None, include_last_offset: bool = False,
        padding_idx: int | None = None, dtype: Any = "float32",
    ):  # fmt: skip
        super().__init__(
            num_embeddings, embedding_dim, padding_idx, max_norm, norm_type, scale_grad_by_freq,
            sparse, _weight, dtype,
        )  # fmt: skip
        self.mode, self.include_last_offset = mode, include_last_offset

    def forward(self, input: Any, offsets: Any = None, per_sample_weights: Any = None) -> Any:
        return F.embedding_bag(
            input, self.weight, offsets, self.max_norm, self.norm_type, self.scale_grad_by_freq,
            self.mode, self.sparse, per_sample_weights, self.include_last_offset, self.padding_idx,
        )  # fmt: skip

    def extra_repr(self) -> str:
        """Its sizes, padding and mode."""
        return f"{super().extra_repr()}, mode={self.mode!r}"


# --- The same numbers -----------------------------------------------------------------------------


class Identity(Module):
    """The input, as it is. Takes any arguments, and has no use for them."""

    def __init__(self, *args: Any, **kwargs: Any):
        pass

    def forward(self, input: Any) -> Any:
        return input


class Lambda(Module):
    """A function of one's own as a layer.

    >>> import numpy as np
    >>> Lambda(lambda x: x * 2)(np.ones(2))
    array([2., 2.])
    """

    def __init__(self, function: Callable[..., Any]):
        if not callable(function):
            raise TypeError(f"Lambda: expects a function, got {type(function).__name__}")
        self.function = function

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self.function(*args, **kwargs)

    def extra_repr(self) -> str:
        """The function's name."""
        return getattr(self.function, "__name__", repr(self.function))


class Flatten(Module):
    """The axes from start_dim to end_dim as one: (N, C, H, W) -> (N, C·H·W)."""

    def __init__(self, start_dim: int = 1, end_dim: int = -1):
        self.start_dim, self.end_dim = start_dim, end_dim

    def forward(self, input: Any) -> Any:
        """The flattened input."""
        start, end = (axis_index(a, input, "Flatten") for a in (self.start_dim, self.end_dim))
        flat = math.prod(input.shape[start : end + 1])
        return ops.reshape(input, (*input.shape[:start], flat, *input.shape[end + 1 :]))


class Unflatten(Function):
    """One axis as several: (N, C·H·W) -> (N, C, H, W). One of `unflattened_size` may be -1.

    >>> import numpy as np
    >>> Unflatten(1, (2, -1))(np.ones((5, 6))).shape
    (5, 2, 3)
    """

    def __init__(self, dim: int, unflattened_size: Any):
        self.dim, self.unflattened_size = dim, tuple(unflattened_size)

    def forward(self, input: Any) -> Any:
        axis = axis_index(self.dim, input, "Unflatten")
        return ops.reshape(
            input, (*input.shape[:axis], *self._sizes(input, axis), *input.shape[axis + 1 :])
        )

    def _sizes(self, x: Any, axis: int) -> tuple[int, ...]:
        sizes, n = self.unflattened_size, x.shape[axis]
        known = math.prod(size for size in sizes if size != -1)
        unknown = sizes.count(-1)
        if unknown > 1 or (n % known if unknown and known else n != known):
            raise LayerMismatch("Unflatten", f"cannot make {sizes} of an axis of {n}", x.shape)
        return tuple(n // known if size == -1 else size for size in sizes)
