"""Linear algebra."""

from __future__ import annotations

import math
from typing import Any

SINGULAR = (
    "{} is singular: it has no inverse, as its rows depend on one another. For the least-squares "
    "answer use gn.linalg.lstsq or gn.linalg.pinv; or add a small multiple of the identity."
)

NOT_DEFINITE = (
    "{} is not positive definite: it has an eigenvalue of 0 or below. A covariance that should be "
    "is helped by a small multiple of the identity: x + 1e-6 * gn.eye(n)."
)

NO_EIGENVALUES = "the eigenvalues of {} were not found: the algorithm did not converge."

NO_SINGULAR_VALUES = "the singular values of {} were not found: the algorithm did not converge."

NOT_FINITE = "an element is NaN or infinite, and so nothing can be computed. Find it with gn.isnan."

MULTI_DOT = "multi_dot: it takes a list of two matrices or more"


def failed_matrix(complaint: str, index: tuple[int, ...]) -> str:
    """Which matrix of a batch it is that a LAPACK function refuses, and why."""
    where = ", ".join(map(str, index))
    return complaint.format(f"the matrix x[{where}]" if index else "the matrix")


def matrix_exponent(n: Any) -> str:
    return (
        f"matrix_power: n has to be an integer, not {n!r}. Of a symmetric matrix any power is "
        "(V * L**n) @ V.mT, with L, V = gn.linalg.eigh(x)."
    )


def not_a_matrix(shape: tuple[int, ...]) -> str:
    return (
        f"it takes matrices, (..., M, N), and shape {tuple(shape)} has fewer than two axes. For a "
        "column write x[:, None], for a row x[None, :]."
    )


def not_square(shape: tuple[int, ...]) -> str:
    return (
        f"it takes square matrices, (..., N, N), but the last two axes of {tuple(shape)} differ. "
        "Where there are more equations than unknowns, or fewer, use gn.linalg.lstsq or pinv."
    )


def solve_shapes(a: tuple[int, ...], b: tuple[int, ...]) -> str:
    message = f"a matrix of shape {tuple(a)} has {a[-2]} rows, which does not fit {tuple(b)}:"
    message += f" the right side is a vector ({a[-2]},) or a matrix (..., {a[-2]}, K)."
    if len(b) > 1 and b[-1] == a[-2]:
        return message + " For a batch of vectors write b[..., None], and [..., 0] of the result."
    return message


def tensor_square(shape: tuple[int, ...], first: int) -> str:
    return (
        f"the first {first} axes of {tuple(shape)} need as many elements together as the others: "
        f"here they have {math.prod(shape[:first])} and {math.prod(shape[first:])}"
    )


def tensordot_axes(axes: Any, a: tuple[int, ...], b: tuple[int, ...]) -> str:
    return (
        f"tensordot: with axes={axes!r} the axes to be summed do not pair up in number and length "
        f"in shapes {tuple(a)} and {tuple(b)}. A number n means the last n of the first with the "
        "first n of the second; or give a pair of tuples, the axes of each."
    )


def vecdot_shapes(a: tuple[int, ...], b: tuple[int, ...], axis: int) -> str:
    return (
        f"along axis {axis} shapes {tuple(a)} and {tuple(b)} have {a[axis]} and {b[axis]} elements,"
        " which do not pair up"
    )


def outer_shapes(a: tuple[int, ...], b: tuple[int, ...]) -> str:
    return (
        f"outer: it takes two vectors, got shapes {tuple(a)} and {tuple(b)}. For batches write "
        "x1[..., :, None] * x2[..., None, :]."
    )


def cross_shapes(a: tuple[int, ...], b: tuple[int, ...], axis: int) -> str:
    return (
        f"cross: it takes vectors of three elements along axis {axis}, got shapes {tuple(a)} and "
        f"{tuple(b)}. In the plane it is x1[..., 0] * x2[..., 1] - x1[..., 1] * x2[..., 0]."
    )


def matrix_norm_ord(ord: Any) -> str:
    return f"matrix_norm: ord is 'fro', 'nuc', 1, -1, 2, -2, inf or -inf, not {ord!r}"


def vector_norm_ord(ord: str) -> str:
    return f"the ord of a vector's norm is a number, such as 1, 2 or inf; {ord!r} is of matrices"


def norm_axis(shape: tuple[int, ...]) -> str:
    return (
        f"norm: say along which axis (vectors) or two different axes (matrices) of an array of "
        f"shape {tuple(shape)} it is taken: axis=-1, or axis=(-2, -1)"
    )


def qr_mode(mode: Any) -> str:
    return f"mode is 'reduced' or 'complete', not {mode!r}"


def rank_deficient(operator: str, shape: tuple[int, ...]) -> str:
    return (
        f"{operator} has no derivative at this matrix of shape {tuple(shape)}: its first "
        f"{sorted(shape[-2:])[0]} columns depend on one another. A small random disturbance of the "
        "matrix makes them independent."
    )


def not_determined(operator: str, instead: str) -> str:
    return (
        f"the result depends on vectors that {operator} only adds to complete a basis. Any basis "
        f"of the rest would do, so they have no gradient: use {instead}."
    )
