"""Initial weights."""

from __future__ import annotations

from typing import Any

import numpy as np

from gradnerve.ops.random import generator


def uniform(shape: tuple[int, ...], bound: float, dtype: Any = "float32") -> np.ndarray:
    """Random numbers between -bound and bound.

    With bound = 1/√fan_in this is PyTorch's default for linear and convolutional layers: Kaiming's
    uniform initialisation with a = √5. Source: He et al., "Delving Deep into Rectifiers", 2015.
    """
    return generator().uniform(-bound, bound, shape).astype(dtype)
