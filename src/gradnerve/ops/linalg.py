"""Linear algebra."""

from __future__ import annotations

from gradnerve.graph import operator
from gradnerve.ops.shape import expand_dims, matrix_transpose


@operator
def matmul(x1, x2):
    """Matrix product, (..., M, K) @ (..., K, N) -> (..., M, N).

    The leading axes broadcast. A first factor (K,) is a row, a second factor (K,) a column, and
    their axis is dropped from the result.
    """
    return x1 @ x2


@matmul.rule("x1", r"\bar X_1 = \bar Y\,X_2^{\mathsf T}")
def _(ct, x1, x2):
    if len(x2.shape) == 1:
        return expand_dims(ct, -1) * x2
    if len(x1.shape) == 1:
        return (expand_dims(ct, -2) @ matrix_transpose(x2))[..., 0, :]
    return ct @ matrix_transpose(x2)


@matmul.rule("x2", r"\bar X_2 = X_1^{\mathsf T}\,\bar Y")
def _(ct, x1, x2):
    if len(x2.shape) == 1:
        return expand_dims(ct, -1) * x1
    if len(x1.shape) == 1:
        return expand_dims(x1, -1) * expand_dims(ct, -2)
    return matrix_transpose(x1) @ ct
