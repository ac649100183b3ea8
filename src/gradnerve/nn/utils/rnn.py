"""Sequences of different lengths in one batch, by PyTorch's names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from gradnerve import ops
from gradnerve.backends import constant, moved
from gradnerve.ops.shape import as_tensor_or_array, plain

__all__ = [
    "PackedSequence", "pack_padded_sequence", "pack_sequence", "pad_packed_sequence",
    "pad_sequence", "unpad_sequence",
]  # fmt: skip


class PackedSequence(NamedTuple):
    """Sequences without padding: first elements, longest sequence first; then second elements.

    `batch_sizes[t]` says how many sequences have an element t. `sorted_indices` is the order from
    the longest to the shortest, `unsorted_indices` the way back (None: they were in that order).
    """

    data: Any
    batch_sizes: Any
    sorted_indices: Any = None
    unsorted_indices: Any = None

    @property
    def lengths(self) -> np.ndarray:
        """The lengths, from the longest to the shortest."""
        sizes = self.batch_sizes
        return (sizes[:, None] > np.arange(sizes[0])).sum(axis=0)


def pack_padded_sequence(
    input: Any, lengths: Any, batch_first: bool = False, enforce_sorted: bool = True
) -> PackedSequence:
    """A padded batch (T, N, ...), without its padding. `batch_first`: (N, T, ...).

    Raises ValueError for lengths that are not one from 1 to T for each sequence, or that do not
    fall, unless `enforce_sorted` is False.

    >>> import numpy as np
    >>> packed = pack_padded_sequence(np.array([[1, 3], [2, 0]]), [2, 1])
    >>> packed.data, packed.batch_sizes
    (array([1, 3, 2]), array([2, 1]))
    """
    input = as_tensor_or_array(input)
    if batch_first:
        input = ops.swapaxes(input, 0, 1)
    lengths = np.asarray(moved(plain(as_tensor_or_array(lengths)), "numpy"))
    steps, batch = input.shape[:2]
    if lengths.shape != (batch,) or (lengths < 1).any() or (lengths > steps).any():
        raise ValueError(
            f"pack_padded_sequence: lengths are {batch} numbers from 1 to {steps}, one for each "
            f"sequence of the batch, not {lengths.tolist()}"
        )
    if enforce_sorted and (np.diff(lengths) > 0).any():
        raise ValueError(
            f"pack_padded_sequence: the lengths {lengths.tolist()} do not fall; sort the batch by "
            "length, or give enforce_sorted=False"
        )
    order = None if enforce_sorted else np.argsort(-lengths, stable=True)
    if order is not None:
        lengths = lengths[order]
    there = lengths > np.arange(lengths.max())[:, None]
    when, which = np.nonzero(there)
    if order is not None:
        which = order[which]
    data = ops.getitem(input, (constant(when, plain(input)), constant(which, plain(input))))
    return PackedSequence(
        data, there.sum(axis=1), order, None if order is None else np.argsort(order)
    )


def pad_packed_sequence(
    sequence: PackedSequence, batch_first: bool = False, padding_value: float = 0.0,
    total_length: int | None = None,
) -> tuple[Any, Any]:  # fmt: skip
    """A packed batch with padding again, (T, N, ...), and the lengths.

    Raises ValueError for a `total_length` that is too short.

    >>> import numpy as np
    >>> pad_packed_sequence(PackedSequence(np.array([1.0, 3.0, 2.0]), np.array([2, 1])))
    (array([[1., 3.],
           [2., 0.]]), array([2, 1]))
    """
    padded, lengths = padded_sorted(sequence, padding_value, total_length)
    if sequence.unsorted_indices is not None:
        padded = ops.take(padded, sequence.unsorted_indices, 1)
        lengths = lengths[sequence.unsorted_indices]
    return (ops.swapaxes(padded, 0, 1) if batch_first else padded), lengths


def padded_sorted(
    sequence: PackedSequence, padding_value: float = 0.0, total_length: int | None = None
) -> tuple[Any, np.ndarray]:
    """A packed batch with padding, and the lengths, from the longest to the shortest."""
    lengths, sizes = sequence.lengths, sequence.batch_sizes
    steps = len(sizes) if total_length is None else total_length
    if steps < len(sizes):
        raise ValueError(
            f"pad_packed_sequence: total_length {steps} is less than the longest, {len(sizes)}"
        )
    when = np.arange(steps)[:, None]
    there = when < lengths
    starts = np.cumsum([0, *sizes, *[0] * (steps - len(sizes))])[:steps]
    place = np.where(there, starts[:, None] + np.arange(len(lengths)), 0)
    data = as_tensor_or_array(sequence.data)
    array = plain(data)
    padded = ops.getitem(data, constant(place, array))
    if there.all():
        return padded, lengths
    there = there.reshape(there.shape + (1,) * (len(array.shape) - 1))
    return ops.where(constant(there, array), padded, padding_value), lengths


def pad_sequence(
    sequences: Sequence[Any], batch_first: bool = False, padding_value: float = 0.0
) -> Any:
    """Sequences (T_i, ...) in one batch, (T, N, ...) with T the longest.

    `batch_first`: (N, T, ...).

    Raises ValueError for no sequences.

    >>> import numpy as np
    >>> pad_sequence([np.array([1.0, 2.0]), np.array([3.0])], batch_first=True)
    array([[1., 2.],
           [3., 0.]])
    """
    sequences = [as_tensor_or_array(sequence) for sequence in sequences]
    if not sequences:
        raise ValueError("pad_sequence: there are no sequences; give it one or more")
    steps = max(len(sequence) for sequence in sequences)
    rows = []
    for sequence in sequences:
        margins = [(0, steps - len(sequence)), *[(0, 0)] * (len(sequence.shape) - 1)]
        rows.append(ops.pad(sequence, margins, "constant", constant_values=padding_value))
    return ops.stack(rows, axis=0 if batch_first else 1)


def unpad_sequence(padded_sequences: Any, lengths: Any, batch_first: bool = False) -> list[Any]:
    """The sequences of a padded batch, each in its length: what `pad_sequence` was given."""
    padded = as_tensor_or_array(padded_sequences)
    if not batch_first:
        padded = ops.swapaxes(padded, 0, 1)
    return [row[: int(n)] for row, n in zip(ops.unstack(padded), lengths, strict=True)]


def pack_sequence(sequences: Sequence[Any], enforce_sorted: bool = True) -> PackedSequence:
    """Sequences of different lengths, packed; see `pack_padded_sequence`."""
    lengths = [len(sequence) for sequence in sequences]
    return pack_padded_sequence(pad_sequence(sequences), lengths, enforce_sorted=enforce_sorted)


def packed_as(sequence: PackedSequence, padded: Any) -> PackedSequence:
    """A padded batch, longest first, in the form of a packed one."""
    packed = pack_padded_sequence(padded, sequence.lengths)
    return sequence._replace(data=packed.data)


def mask_of(lengths: np.ndarray, steps: int, like: Any) -> Any:
    """(N,) -> (T, N, 1): which elements are no padding."""
    return constant((np.arange(steps)[:, None] < lengths)[..., None], like)


def reordered(states: Sequence[Any], order: Any) -> list[Any]:
    """States (L, N, H) with their sequences in another order; None: as they are."""
    if order is None:
        return list(states)
    return [ops.take(state, order, 1) for state in states]
