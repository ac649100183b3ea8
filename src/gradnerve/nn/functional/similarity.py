"""How near two vectors are to each other."""

from __future__ import annotations

from typing import Any

import numpy as np

from gradnerve import ops
from gradnerve.backends import constant
from gradnerve.ops.shape import arrays_of, as_tensor_or_array, plain

__all__ = ["cosine_similarity", "pairwise_distance", "pdist"]


def cosine_similarity(x1: Any, x2: Any, dim: int = 1, eps: float = 1e-8) -> Any:
    """x₁ · x₂ / (‖x₁‖ ‖x₂‖) along `dim`: (..., D, ...), (..., D, ...) -> (..., ...).

    Both broadcast. A norm below eps counts as eps. Raises ValueError where shapes do not fit.

    >>> import numpy as np
    >>> print(cosine_similarity(np.array([[3.0, 4.0]]), np.array([[4.0, 3.0]])))
    [0.96]
    """
    x1, x2 = ops.broadcast_arrays(*arrays_of(x1, x2))
    if not x1.shape:  # a single number, as a vector of one
        x1, x2 = ops.reshape(x1, (1,)), ops.reshape(x2, (1,))
    a, b = (x / ops.clip(ops.vector_norm(x, dim, True), eps) for x in (x1, x2))
    return ops.sum(a * b, dim)


def pairwise_distance(
    x1: Any, x2: Any, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False
) -> Any:
    """‖x₁ - x₂ + eps‖ₚ along the last axis: (..., D), (..., D) -> (...). Both broadcast.

    >>> import numpy as np
    >>> print(pairwise_distance(np.array([[3.0, 0.0]]), np.array([[0.0, 4.0]])).round(4))
    [5.]
    """
    x1, x2 = arrays_of(x1, x2)
    return ops.vector_norm(x1 - x2 + eps, -1, keepdim, p)


def pdist(input: Any, p: float = 2.0) -> Any:
    """‖xᵢ - xⱼ‖ₚ of all pairs i < j of rows: (N, D) -> (N (N - 1) / 2,).

    Raises ValueError for an input that is no matrix, or a negative p.

    >>> import numpy as np
    >>> pdist(np.array([[0.0], [1.0], [5.0]]))
    array([1., 5., 4.])
    """
    x = as_tensor_or_array(input)
    if len(x.shape) != 2 or p < 0:
        raise ValueError(f"pdist: expects an input (N, D) and p of 0 or more, got {x.shape}, {p}")
    first, second = (constant(i, plain(x)) for i in np.triu_indices(x.shape[0], 1))
    return ops.vector_norm(ops.getitem(x, first) - ops.getitem(x, second), 1, False, p)
