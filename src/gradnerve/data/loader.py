"""Batches: arrays are cut into parts of equal size, in an order that is new in each epoch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from operator import index
from typing import Any, Protocol

import numpy as np

from gradnerve.ops.random import generator


class Dataset(Protocol):
    """Whatever has a length and gives an example for each number from 0 to below that length."""

    def __len__(self) -> int:
        """How many examples there are."""
        ...

    def __getitem__(self, i: Any, /) -> Any:
        """Example number i, such as a tuple (image, label)."""
        ...


class TensorDataset:
    """Arrays side by side: example i is the i-th entry of each.

    Takes arrays (or Tensors) of equal length, (N, ...) each; they are kept as they are, in
    `arrays`. It is indexed as an array is: by a number, a slice or an array of numbers. Raises
    ValueError where the lengths differ, or for a single number.

    >>> pairs = TensorDataset(np.zeros((3, 8, 8)), np.array([5, 6, 7]))
    >>> image, label = pairs[1]
    >>> print(len(pairs), image.shape, label)
    3 (8, 8) 6
    """

    def __init__(self, *arrays: Any):
        self.arrays = tuple(np.asarray(array) for array in arrays)
        if not arrays or any(array.ndim == 0 for array in self.arrays):
            raise ValueError("TensorDataset takes one or more arrays of examples, (N, ...) each")
        lengths = [len(array) for array in self.arrays]
        if len(set(lengths)) > 1:
            raise ValueError(
                f"TensorDataset: the arrays have different lengths, "
                f"{', '.join(map(str, lengths))}: each needs one entry per example"
            )

    def __len__(self) -> int:
        return len(self.arrays[0])

    def __getitem__(self, i: Any) -> tuple[Any, ...]:
        return tuple(array[i] for array in self.arrays)


class DataLoader:
    """Goes through a data set in batches: each pass of a `for` loop over it is one epoch.

    Each batch is the examples as arrays: (batch, ...) for each part of the example's tuple, or a
    single array where an example is none. The last batch is smaller where the batch size does not
    divide the length, unless `drop_last` leaves it out. `shuffle` draws a new order for each epoch;
    with a `seed` the loader does so by a generator of its own, and repeats itself; without, the
    orders come from the generator that `gn.manual_seed` seeds.

    Raises ValueError for a batch size below 1, TypeError for one that is not whole.

    >>> pairs = TensorDataset(np.arange(5.0), np.arange(5))
    >>> for x, y in DataLoader(pairs, batch_size=2):
    ...     print(x, y)
    [0. 1.] [0 1]
    [2. 3.] [2 3]
    [4.] [4]
    >>> [x.tolist() for x in DataLoader(range(5), batch_size=3, shuffle=True, seed=0)]
    [[2, 4, 3], [0, 1]]
    """

    def __init__(
        self,
        dataset: Dataset,
        batch_size: int = 1,
        shuffle: bool = False,
        *,
        drop_last: bool = False,
        seed: int | None = None,
    ):
        try:
            self.batch_size = index(batch_size)
        except TypeError:
            raise TypeError(
                f"DataLoader: batch_size must be a whole number, not {batch_size!r}"
            ) from None
        if self.batch_size < 1:
            raise ValueError(f"DataLoader: batch_size must be 1 or more, not {batch_size}")
        self.dataset, self.shuffle, self.drop_last = dataset, shuffle, drop_last
        self._generator = None if seed is None else np.random.default_rng(seed)

    def __len__(self) -> int:
        """The number of batches in an epoch."""
        whole, rest = divmod(len(self.dataset), self.batch_size)
        return whole + (rest > 0 and not self.drop_last)

    def __iter__(self) -> Iterator[Any]:
        order = np.arange(len(self.dataset))
        if self.shuffle:
            order = (self._generator or generator()).permutation(order)
        # Arrays are indexed once for a batch; what a subclass does per example is not skipped.
        at_once = type(self.dataset).__getitem__ is TensorDataset.__getitem__
        for start in range(0, len(self) * self.batch_size, self.batch_size):
            batch = order[start : start + self.batch_size]
            if at_once:
                yield self.dataset[batch]
            else:
                yield _stack([self.dataset[i] for i in batch.tolist()])


def _stack(examples: Sequence[Any]) -> Any:
    """Examples that are tuples become a tuple of arrays; others become one array."""
    if not isinstance(examples[0], (tuple, list)):
        return _array(examples)
    if len({len(example) for example in examples}) > 1:
        raise ValueError("DataLoader: the data set gives tuples of different lengths in one batch")
    return tuple(_array(part) for part in zip(*examples, strict=True))


def _array(values: Sequence[Any]) -> np.ndarray:
    arrays = [np.asarray(value) for value in values]
    shapes = list(dict.fromkeys(array.shape for array in arrays))
    if len(shapes) > 1:
        raise ValueError(
            f"DataLoader: examples of shapes {shapes[0]} and {shapes[1]} do not fit into one "
            "array; let the data set's __getitem__ cut or pad them to one shape"
        )
    return np.stack(arrays)
