"""Linear maps: of vectors, of pairs of vectors, and of class numbers, as rows of a table."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from gradnerve import ops
from gradnerve.backends import array_library, constant, device, is_concrete, size
from gradnerve.errors import LayerMismatch
from gradnerve.nn.functional.checks import check_whole, update
from gradnerve.ops.shape import as_tensor_or_array, plain
from gradnerve.tensor import Tensor

__all__ = ["bilinear", "embedding", "embedding_bag", "linear", "one_hot"]


def linear(input: Any, weight: Any, bias: Any = None) -> Any:
    """x Wᵀ + b: (..., in), (out, in), (out,) -> (..., out).

    A weight (in,) gives one number, without an axis for it. Raises ValueError where the last axis
    of the input is not `in`.

    >>> import numpy as np
    >>> linear(np.ones((2, 3)), np.ones((4, 3)), np.zeros(4)).shape
    (2, 4)
    """
    input = as_tensor_or_array(input)
    if not input.shape or input.shape[-1] != weight.shape[-1]:
        raise LayerMismatch(
            "linear",
            f"expects a last axis of {weight.shape[-1]}, got {input.shape[-1]}"
            if input.shape
            else f"expects a last axis of {weight.shape[-1]}, got a single number",
            input.shape,
        )
    if len(weight.shape) == 1:
        y = ops.matmul(input, weight)
        return y if bias is None else y + bias
    return ops.linear(input, weight, bias)


def bilinear(input1: Any, input2: Any, weight: Any, bias: Any = None) -> Any:
    """x₁ᵀ A x₂ + b: (..., in1), (..., in2), (out, in1, in2), (out,) -> (..., out).

    Raises ValueError where shapes do not fit.

    >>> import numpy as np
    >>> bilinear(np.ones((5, 2)), np.ones((5, 3)), np.ones((4, 2, 3))).shape
    (5, 4)
    """
    x1 = as_tensor_or_array(input1)
    x2 = as_tensor_or_array(input2, x1)
    if tuple(x1.shape[:-1]) != tuple(x2.shape[:-1]):
        raise LayerMismatch(
            "bilinear",
            f"expects its second input with the same first axes, got {x2.shape}",
            x1.shape,
        )
    for which, x, n in (("first", x1, weight.shape[1]), ("second", x2, weight.shape[2])):
        if x.shape[-1] != n:
            raise LayerMismatch(
                "bilinear",
                f"expects a last axis of {n} of its {which} input, got {x.shape[-1]}",
                x1.shape,
            )
    y = ops.einsum("...i,oij,...j->...o", x1, weight, x2)
    return y if bias is None else y + bias


# --- Class numbers --------------------------------------------------------------------------------


def embedding(
    input: Any, weight: Any, padding_idx: int | None = None, max_norm: float | None = None,
    norm_type: float = 2.0, scale_grad_by_freq: bool = False, sparse: bool = False,
) -> Any:  # fmt: skip
    """The rows of a table: indices (...), table (V, D) -> (..., D).

    The row `padding_idx` learns nothing. With `max_norm` longer rows that are looked up are scaled
    down to it first, in the table itself. `scale_grad_by_freq` divides a row's gradient by how
    often it was looked up. Gradients are whole tables, whatever `sparse` says. Raises IndexError
    for an index that is not in the table, TypeError for indices that are not whole numbers.

    >>> import numpy as np
    >>> embedding(np.array([2, 0]), np.eye(3))
    array([[0., 0., 1.],
           [1., 0., 0.]])
    """
    index = plain(input)
    check_index("embedding", index, weight)
    padding_idx = _padding_row("embedding", padding_idx, weight)
    if max_norm is not None:
        _shorten("embedding", weight, index, max_norm, norm_type)
    rows = ops.getitem(weight, index)
    if scale_grad_by_freq:
        counts = ops.scatter_add(
            array_library(plain(rows)).ones(index.shape, dtype=rows.dtype, device=device(rows)),
            index,
            weight.shape[:1],
        )
        rows = plain(rows) + (rows - plain(rows)) / counts[index][..., None]
    if padding_idx is None:
        return rows
    learns_nothing = ops.expand_dims(index == padding_idx, -1)
    return ops.where(learns_nothing, plain(rows), rows)


def embedding_bag(
    input: Any, weight: Any, offsets: Any = None, max_norm: float | None = None,
    norm_type: float = 2.0, scale_grad_by_freq: bool = False, mode: str = "mean",
    sparse: bool = False, per_sample_weights: Any = None, include_last_offset: bool = False,
    padding_idx: int | None = None,
) -> Any:  # fmt: skip
    """Sums, means or maxima of a table's rows: bags of indices (B, L), table (V, D) -> (B, D).

    Bags of different lengths are given as (N,) indices in a row, and `offsets` (B,): where each bag
    begins (with `include_last_offset` also where the last one ends). An empty bag is 0, and
    `padding_idx` does not count. With `mode="sum"` each index can have a weight. The other options
    are those of `embedding`. Raises ValueError where these do not fit, and what `embedding` raises.

    >>> import numpy as np
    >>> embedding_bag(np.array([2, 0, 2]), np.eye(3), offsets=np.array([0, 2]), mode="sum")
    array([[1., 0., 1.],
           [0., 0., 1.]])
    """
    name, index = "embedding_bag", plain(input)
    if mode not in ("sum", "mean", "max"):
        raise ValueError(f"{name}: mode is 'sum', 'mean' or 'max', not {mode!r}")
    if len(index.shape) not in (1, 2) or (offsets is None) != (len(index.shape) == 2):
        raise ValueError(
            f"{name}: give indices (B, L), or (N,) and offsets; got indices {tuple(index.shape)} "
            f"and {'no ' if offsets is None else ''}offsets"
        )
    if per_sample_weights is not None and mode != "sum":
        raise ValueError(f"{name}: per_sample_weights are for mode='sum', not {mode!r}")
    if per_sample_weights is not None and tuple(per_sample_weights.shape) != tuple(index.shape):
        raise ValueError(
            f"{name}: per_sample_weights of shape {tuple(per_sample_weights.shape)} for indices of "
            f"shape {tuple(index.shape)}"
        )
    padding_idx = _padding_row(name, padding_idx, weight)
    counts, places = None, None
    if offsets is not None:
        places, counts = _bags(name, index, plain(offsets), include_last_offset)
        index = ops.take(index, places) if size(index) else constant(0 * places, weight)
        if per_sample_weights is not None:
            per_sample_weights = ops.take(per_sample_weights, places)
    rows = embedding(index, weight, None, max_norm, norm_type, scale_grad_by_freq)  # (B, L, D)
    if per_sample_weights is not None:
        rows = rows * ops.expand_dims(per_sample_weights, -1)
    if counts is None and padding_idx is None and index.shape[1]:
        inside = None
    else:
        inside = index == index if counts is None else constant(counts, index)
        if padding_idx is not None:
            inside = inside & (index != padding_idx)
        inside = ops.expand_dims(inside, -1)
    if mode == "max":
        return _greatest(rows, inside)
    if inside is None:
        return ops.sum(rows, 1) if mode == "sum" else ops.mean(rows, 1)
    total = ops.sum(ops.where(inside, rows, 0.0), 1)
    if mode == "sum":
        return total
    return total / ops.maximum(ops.sum(ops.astype(inside, rows.dtype), 1), 1.0)


def one_hot(tensor: Any, num_classes: int = -1) -> Any:
    """1 at the class's place, else 0: class numbers (...) -> (..., num_classes), whole numbers.

    Without `num_classes` there are as many as the greatest class number asks for. Raises ValueError
    for a class out of range, TypeError for class numbers that are not whole.

    >>> import numpy as np
    >>> one_hot(np.array([0, 2]))
    array([[1, 0, 0],
           [0, 0, 1]])
    """
    index = plain(tensor)
    check_whole("one_hot", index)
    library = array_library(index)
    known = size(index) and is_concrete(index)
    if num_classes == -1:
        if not known:
            raise ValueError("one_hot: num_classes cannot be told of no class numbers: give it")
        num_classes = max(1, int(index.max()) + 1)
    if num_classes < 1:
        raise ValueError(f"one_hot: num_classes is 1 or more, not {num_classes}")
    if known and (int(index.min()) < 0 or int(index.max()) >= num_classes):
        wrong = int(index.min() if index.min() < 0 else index.max())
        raise ValueError(f"one_hot: class {wrong} is not among 0 to {num_classes - 1}")
    classes = library.arange(num_classes, device=device(index))
    hot = library.astype(library.expand_dims(index, axis=-1) == classes, library.int64)
    return Tensor(hot) if isinstance(tensor, Tensor) else hot


def check_index(name: str, index: Any, weight: Any) -> None:
    """TypeError for indices that are not whole; IndexError for one that is no row of the table."""
    check_whole(name, index)
    if len(weight.shape) != 2:
        raise ValueError(f"{name}: the table is (V, D), got shape {tuple(weight.shape)}")
    if size(index) and is_concrete(index) and (index.min() < 0 or index.max() >= weight.shape[0]):
        worst = int(index.min() if index.min() < 0 else index.max())
        raise IndexError(f"{name}: index {worst} is not in a table of {weight.shape[0]} rows")


def _padding_row(name: str, padding_idx: int | None, weight: Any) -> int | None:
    count = weight.shape[0]
    if padding_idx is None:
        return None
    if not -count <= padding_idx < count:
        raise ValueError(f"{name}: padding_idx {padding_idx} is not in a table of {count} rows")
    return padding_idx % count


def _shorten(name: str, weight: Any, index: Any, max_norm: float, norm_type: float) -> None:
    """Scale the rows that are looked up down to a norm of max_norm, in the table itself."""
    table = plain(weight)
    library = array_library(table)
    lengths = ops.linalg.vector_norm(table, axis=1, keepdims=True, ord=norm_type)
    seen = ops.scatter_add(library.ones(index.shape, device=device(index)), index, table.shape[:1])
    longer = (lengths > max_norm) & (seen[:, None] > 0)
    update(name, weight, library.where(longer, table * (max_norm / (lengths + 1e-7)), table))


def _bags(name: str, index: Any, offsets: Any, include_last: bool) -> tuple[Any, Any]:
    """For bags of different lengths: each one's places, (B, L) for the longest, and which count."""
    check_whole(name, offsets)
    if not is_concrete(offsets):
        raise RuntimeError(
            f"{name}: offsets are not known while gn.jit compiles; give bags (B, L), filled up "
            "with a padding_idx"
        )
    starts = np.asarray(offsets).reshape((-1,))
    n = index.shape[0]
    if len(starts) and starts[0] != 0:
        raise ValueError(f"{name}: the first bag begins at 0, not at {starts[0]}")
    ends = np.append(starts[1:], n)
    if include_last:
        starts, ends = starts[:-1], ends[:-1]
    if (ends < starts).any() or (ends > n).any():
        raise ValueError(f"{name}: offsets rise, up to the {n} indices that there are")
    longest = max([1, *(ends - starts)])
    places = starts[:, None] + np.arange(longest)
    return np.minimum(places, max(0, n - 1)), places < ends[:, None]


def _greatest(rows: Any, inside: Any) -> Any:
    """(B, L, D) -> (B, D): the first greatest of those inside; 0 where there is none."""
    values = plain(rows)
    library = array_library(values)
    if inside is not None:
        values = library.where(inside, values, -math.inf)
    place = library.expand_dims(library.argmax(values, axis=1), axis=1)
    best = ops.squeeze(ops.take_along_axis(rows, place, 1), 1)
    return best if inside is None else ops.where(library.any(inside, axis=1), best, 0.0)
