"""Random numbers: one seeded generator for initial weights, dropout and shuffling."""

from __future__ import annotations

from typing import Any

import numpy as np

_generator = np.random.default_rng()


def manual_seed(seed: int) -> None:
    """Start the random numbers over, so that a run can be repeated to the bit.

    >>> import gradnerve as gn
    >>> gn.manual_seed(0); a = gn.ops.random.generator().random()
    >>> gn.manual_seed(0); b = gn.ops.random.generator().random()
    >>> a == b
    True
    """
    global _generator
    _generator = np.random.default_rng(seed)


def generator() -> np.random.Generator:
    """NumPy's generator that `manual_seed` seeds."""
    return _generator


def keep_mask(x: Any, p: float) -> Any:
    """For dropout: 0 with probability p, else 1 / (1 - p); an array like the data of x."""
    if p >= 1:
        return np.zeros(x.shape, dtype=x.dtype)
    kept = _generator.random(x.shape, dtype=np.float32) >= p
    return kept.astype(x.dtype) * x.dtype.type(1 / (1 - p))
