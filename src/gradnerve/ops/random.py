"""Random numbers: one seeded generator for initial weights, dropout and shuffling."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.random import Generator  # importing it takes a while; most programs never need it

_generator: Generator | None = None


def manual_seed(seed: int) -> None:
    """Start the random numbers over, so that a run can be repeated to the bit.

    >>> import gradnerve as gn
    >>> gn.manual_seed(0)
    >>> first = generator().random()
    >>> gn.manual_seed(0)
    >>> generator().random() == first
    True
    """
    global _generator
    _generator = np.random.default_rng(seed)


def generator() -> Generator:
    """NumPy's generator that `manual_seed` seeds; unseeded, it differs from run to run."""
    global _generator
    if _generator is None:
        _generator = np.random.default_rng()
    return _generator


def keep_mask(x: Any, p: float) -> Any:
    """For dropout: 0 with probability p, else 1 / (1 - p); an array of the shape and dtype of x."""
    if p >= 1:
        return np.zeros(x.shape, dtype=x.dtype)
    kept = generator().random(x.shape, dtype=np.float32) >= p
    return kept.astype(x.dtype) * x.dtype.type(1 / (1 - p))
