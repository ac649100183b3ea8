"""Sequences of several lengths in one batch: padded, or packed without the padding."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from gradnerve import ops
from gradnerve.backends import array_library, constant, moved
from gradnerve.ops.shape import as_tensor_or_array, plain


class PackedSequence(NamedTuple):
    """Sequences step by step, the longest first: at each step only those that have it."""

    data: Any  # (sum of all lengths, ...)
    batch_sizes: np.ndarray  # how many sequences have step t
    sorted_indices: np.ndarray | None = None  # which sequence stands at each place
    unsorted_indices: np.ndarray | None = None


def pack_padded_sequence(
    input: Any, lengths: Any, batch_first: bool = False, enforce_sorted: bool = True
) -> PackedSequence:
    """Sequences (T, N, ...), padded at their ends, without the padding.

    Unless `enforce_sorted` is False the longest has to come first. Raises ValueError for lengths
    that are not sorted, not from 1 to T, or not one for each sequence.

    >>> x = np.array([[1.0, 4.0], [2.0, 0.0], [3.0, 0.0]])
    >>> pack_padded_sequence(x, [3, 1]).data
    array([1., 4., 2., 3.])
    """
    x = as_tensor_or_array(input)
    if batch_first:
        x = ops.permute_dims(x, (1, 0, *range(2, len(x.shape))))
    sizes = np.asarray(moved(as_tensor_or_array(plain(lengths)), "numpy")).astype(int)
    if sizes.shape != x.shape[1:2] or (sizes < 1).any() or (sizes > x.shape[0]).any():
        raise ValueError(
            f"pack_padded_sequence: expects a length from 1 to {x.shape[0]} for each of "
            f"{x.shape[1]} sequences, got {sizes.tolist()}"
        )
    order = np.argsort(-sizes, kind="stable")
    if enforce_sorted and (np.diff(sizes) > 0).any():
        raise ValueError(
            "pack_padded_sequence: the longest sequence comes first; or pass enforce_sorted=False"
        )
    counts = (sizes > np.arange(sizes.max())[:, None]).sum(1)
    steps = np.repeat(np.arange(len(counts)), counts)
    places = np.concatenate([order[:count] for count in counts])
    picks = constant(steps, plain(x)), constant(places, plain(x))
    packed = ops.getitem(x, picks)
    if enforce_sorted:
        return PackedSequence(packed, counts)
    return PackedSequence(packed, counts, order, np.argsort(order))


def pad_packed_sequence(
    sequence: PackedSequence, batch_first: bool = False, padding_value: float = 0.0,
    total_length: int | None = None,
) -> tuple[Any, np.ndarray]:  # fmt: skip
    """The padded sequences, (T, N, ...), and their lengths: the inverse of packing."""
    x, counts, order, _ = sequence
    length, n = len(counts), int(counts[0])
    if total_length is not None and total_length < length:
        raise ValueError(
            f"pad_packed_sequence: total_length {total_length} is less than the longest, {length}"
        )
    order = np.arange(n) if order is None else order
    starts = np.cumsum(counts) - counts
    rows = np.zeros((total_length or length, n), dtype=int)
    inside = np.zeros(rows.shape, dtype=bool)
    for t, count in enumerate(counts):
        rows[t, order[:count]] = np.arange(starts[t], starts[t] + count)
        inside[t, order[:count]] = True
    y = ops.getitem(as_tensor_or_array(x), (constant(rows, plain(x)),))
    mask = constant(inside.reshape(*inside.shape, *[1] * (len(y.shape) - 2)), plain(x))
    y = ops.where(mask, y, padding_value)
    if batch_first:
        y = ops.permute_dims(y, (1, 0, *range(2, len(y.shape))))
    return y, inside.sum(0)


def pad_sequence(
    sequences: Sequence[Any], batch_first: bool = False, padding_value: float = 0.0
) -> Any:
    """Sequences (T_i, ...) in one array, (T, N, ...): the shorter ones get padding at their ends.

    >>> pad_sequence([np.ones(2), np.ones(1)], batch_first=True)
    array([[1., 1.],
           [1., 0.]])
    """
    arrays = [as_tensor_or_array(x) for x in sequences]
    longest = max(x.shape[0] for x in arrays)
    padded = []
    for x in arrays:
        data = plain(x)
        missing = (longest - x.shape[0], *x.shape[1:])
        padding = array_library(data).full_like(data[:1], padding_value)
        padded.append(ops.concat([x, ops.broadcast_to(padding, missing)]))
    return ops.stack(padded, axis=0 if batch_first else 1)


def pack_sequence(sequences: Sequence[Any], enforce_sorted: bool = True) -> PackedSequence:
    """Sequences (T_i, ...) without padding."""
    lengths = [len(x) for x in sequences]
    return pack_padded_sequence(pad_sequence(sequences), lengths, enforce_sorted=enforce_sorted)
