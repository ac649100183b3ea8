"""Linear algebra: products, solving, decompositions, norms.

Every function works on the last two axes, (..., M, N), and batches over the leading ones; of one
matrix or many, real or complex. Formulas with conjugates are those of the literature and PyTorch,
whose gradient is the conjugate of the cotangent: such a rule takes the conjugate on its way in and
on its way out (of real arrays that is free).

A decomposition is fixed only up to a gauge: the sign (the phase) of each eigenvector or singular
vector. A loss that depends on it has no gradient; what comes out is then of no use.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from operator import index
from typing import Any, NamedTuple

import numpy as np
from numpy.linalg import LinAlgError

from gradnerve import errors
from gradnerve.backends import (
    array_library,
    constant,
    device,
    foreign,
    is_complex,
    is_concrete,
    is_floating,
    kernels,
)
from gradnerve.graph import operator
from gradnerve.ops.diagonal import diagonal, put_diagonal
from gradnerve.ops.elementwise import abs, conj, imag, real, sign, where, zeros_like
from gradnerve.ops.reduce import any as any_of
from gradnerve.ops.reduce import max, min, prod, sum, unreduced
from gradnerve.ops.shape import (
    arrays_of,
    as_tensor_or_array,
    axes_of,
    concat,
    expand_dims,
    matrix_transpose,
    permute_dims,
    plain,
    reshape,
    roll,
)

__all__ = [
    "cholesky", "cross", "det", "dot", "eig", "eigh", "eigvals", "eigvalsh", "expm",
    "inner", "inv", "kron", "lstsq", "matmul", "matrix_norm", "matrix_power", "matrix_rank",
    "multi_dot", "norm", "outer", "pinv", "qr", "slogdet", "solve", "svd", "svdvals",
    "tensordot", "tensorinv", "tensorsolve", "trace", "vdot", "vecdot", "vector_norm",
]  # fmt: skip

# --- What several functions need ------------------------------------------------------------------


def adjoint(x: Any) -> Any:
    """The conjugate transpose, Xᴴ."""
    return conj(matrix_transpose(x))


def scaled(x: Any, factors: Any) -> Any:
    """X diag(factors): each column times its factor."""
    return x * expand_dims(factors, -2)


def part(x: Any, rows: int | None = None, columns: int | None = None) -> Any:
    """The upper left part of a matrix."""
    return x[..., :rows, :columns]


def upper_triangle(x: Any) -> Any:
    """X with zeros below its diagonal."""
    return where(constant(np.tri(x.shape[-2], x.shape[-1], -1, dtype=bool), x), 0.0, x)


def lower_triangle(x: Any, k: int = 0) -> Any:
    """X with zeros above its k-th diagonal."""
    return where(constant(np.tri(x.shape[-2], x.shape[-1], k, dtype=bool), x), x, 0.0)


def off_diagonal(x: Any) -> Any:
    """X with zeros on its diagonal."""
    return where(constant(np.eye(x.shape[-1], dtype=bool), x), 0.0, x)


def divided(x: Any, by: Any) -> Any:
    """x / by, and 0 where that is 0/0: what nobody asks for has no infinite gradient."""
    return x / where((x == 0) & (by == 0), 1.0, by)


def inexact(x: Any) -> Any:
    """Whole numbers as numbers of floating point; others as they are."""
    return x if is_floating(x) else x * 1.0


def check_matrix(x: Any, caller: str = "") -> None:
    """It has two axes or more. (An operator's error gets its name from the engine.)"""
    shape = getattr(x, "shape", ())
    if len(shape) < 2:
        raise LinAlgError(caller + errors.not_a_matrix(shape))


def check_square(x: Any, caller: str = "") -> None:
    """Its last two axes are of one length."""
    check_matrix(x, caller)
    if x.shape[-1] != x.shape[-2]:
        raise LinAlgError(caller + errors.not_square(x.shape))


def explaining(complaint: str, function: Callable[..., Any], x: Any, *others: Any) -> Any:
    """function(x, ...); where it fails, say what `complaint` says, and of which matrix."""
    try:
        return function(x, *others)
    except (LinAlgError, RuntimeError) as error:  # PyTorch's is a RuntimeError
        if not bool(array_library(x).all(array_library(x).isfinite(x))):
            raise LinAlgError(errors.NOT_FINITE) from None
        if type(error) is RuntimeError:
            raise
        for index in np.ndindex(x.shape[:-2]):
            identity = constant(np.eye(x.shape[-1]), x)
            try:
                function(x[index], *(identity for _ in others))
            except (LinAlgError, RuntimeError):
                raise LinAlgError(errors.failed_matrix(complaint, index)) from None
        raise LinAlgError(complaint) from None


# --- Products -------------------------------------------------------------------------------------


def product(x1: Any, x2: Any) -> Any:
    """x1 @ x2, of different dtypes too, which PyTorch does not take."""
    if type(x1) in foreign and x1.dtype != x2.dtype:
        return array_library(x1).matmul(x1, x2)
    return x1 @ x2


@operator
def matmul(x1, x2):
    """Matrix product, (..., M, K) @ (..., K, N) -> (..., M, N).

    The leading axes broadcast. A first factor (K,) is a row, a second factor (K,) a column, and
    their axis is dropped from the result.
    """
    return product(x1, x2)


@matmul.rule("x1", r"\bar X_1 = \bar Y\,X_2^{\mathsf T}")
def _(ct, x1, x2):
    if len(x2.shape) == 1:
        return expand_dims(ct, -1) * x2
    if len(x1.shape) == 1:
        return product(expand_dims(ct, -2), matrix_transpose(x2))[..., 0, :]
    return product(ct, matrix_transpose(x2))


@matmul.rule("x2", r"\bar X_2 = X_1^{\mathsf T}\,\bar Y")
def _(ct, x1, x2):
    if len(x2.shape) == 1:
        if len(x1.shape) == 2:  # without the array of all products
            return ct @ x1
        return expand_dims(ct, -1) * x1
    if len(x1.shape) == 1:
        return expand_dims(x1, -1) * expand_dims(ct, -2)
    return product(matrix_transpose(x1), ct)


@operator
def vecdot(x1, x2, axis=-1):
    """Σ conj(x1) · x2 along an axis, which the two have in common; the other axes broadcast."""
    if x1.shape[axis] != x2.shape[axis]:
        raise ValueError(errors.vecdot_shapes(x1.shape, x2.shape, axis))
    return array_library(x1, x2).vecdot(x1, x2, axis=axis)


@vecdot.rule("x1", r"\bar x_1 = \overline{\bar y\,x_2}")
def _(ct, x2, axis):
    return conj(expand_dims(ct, axis) * x2)


@vecdot.rule("x2", r"\bar x_2 = \bar y\,\overline{x_1}")
def _(ct, x1, axis):
    return expand_dims(ct, axis) * conj(x1)


def tensordot(x1: Any, x2: Any, axes: Any = 2) -> Any:
    """The sum of products over several axes: the last `axes` of x1 with the first `axes` of x2.

    `axes` can also be a pair: the axes of x1, and those of x2 that belong to them, in this order.
    The result has the other axes of x1, then those of x2. Raises ValueError where lengths differ.

    >>> import gradnerve as gn
    >>> gn.tensordot(gn.ones_like(gn.Tensor([[1.0, 2.0]])), gn.Tensor([[3.0, 4.0]]), axes=2)
    Tensor(7., dtype=float64)
    """
    x1, x2 = arrays_of(x1, x2)
    n1, n2 = len(x1.shape), len(x2.shape)
    if isinstance(axes, (int, np.integer)):
        if not 0 <= axes <= np.minimum(n1, n2):
            raise ValueError(errors.tensordot_axes(axes, x1.shape, x2.shape))
        summed1, summed2 = tuple(range(n1 - axes, n1)), tuple(range(axes))
    else:
        if len(axes) != 2:
            raise ValueError(errors.tensordot_axes(axes, x1.shape, x2.shape))
        summed1, summed2 = (
            axes_of(part, x.shape, "tensordot") for part, x in zip(axes, (x1, x2), strict=True)
        )
    lengths = [x1.shape[a] for a in summed1]
    if lengths != [x2.shape[a] for a in summed2]:
        raise ValueError(errors.tensordot_axes(axes, x1.shape, x2.shape))
    kept1 = tuple(a for a in range(n1) if a not in summed1)
    kept2 = tuple(a for a in range(n2) if a not in summed2)
    shape1, shape2 = [x1.shape[a] for a in kept1], [x2.shape[a] for a in kept2]
    inner = math.prod(lengths)
    rows = reshape(permute_dims(x1, kept1 + summed1), (math.prod(shape1), inner))
    columns = reshape(permute_dims(x2, summed2 + kept2), (inner, math.prod(shape2)))
    return reshape(rows @ columns, (*shape1, *shape2))


def dot(x1: Any, x2: Any) -> Any:
    """NumPy's dot: the product of numbers, vectors or matrices; else Σ over the last axis of x1 and
    the last but one of x2.

    >>> import gradnerve as gn
    >>> gn.dot(gn.Tensor([1.0, 2.0]), [3.0, 4.0])
    Tensor(11., dtype=float64)
    """
    x1, x2 = arrays_of(x1, x2)
    if not x1.shape or not x2.shape:
        return x1 * x2
    if len(x2.shape) == 1 or len(x1.shape) == len(x2.shape) == 2:
        return matmul(x1, x2)
    return tensordot(x1, x2, ((-1,), (-2,)))


def inner(x1: Any, x2: Any) -> Any:
    """Σ x1 · x2 over the last axis of each, for every pair of the others: (..., K), (*, K) ->
    (..., *). Of numbers, their product.

    >>> import gradnerve as gn
    >>> gn.inner(gn.Tensor([[1.0, 2.0], [3.0, 4.0]]), [1.0, 1.0])
    Tensor([3., 7.], dtype=float64)
    """
    x1, x2 = arrays_of(x1, x2)
    if not x1.shape or not x2.shape:
        return x1 * x2
    if x1.shape[-1] != x2.shape[-1]:
        raise ValueError(f"inner: {errors.vecdot_shapes(x1.shape, x2.shape, -1)}")
    return tensordot(x1, x2, ((-1,), (-1,)))


def vdot(x1: Any, x2: Any) -> Any:
    """Σ conj(x1) · x2 over all elements, of arrays of any shape but equal size.

    >>> import gradnerve as gn
    >>> gn.vdot(gn.Tensor([1j]), [2.0 + 1j])
    Tensor(1.-2.j, dtype=complex128)
    """
    x1, x2 = arrays_of(x1, x2)
    return vecdot(reshape(x1, (-1,)), reshape(x2, (-1,)))


def outer(x1: Any, x2: Any) -> Any:
    """Every element of a vector times every element of another: (M,), (N,) -> (M, N).

    Raises ValueError for what is not a vector.

    >>> import gradnerve as gn
    >>> gn.linalg.outer(gn.Tensor([1.0, 2.0]), [3.0, 4.0])
    Tensor([[3., 4.],
            [6., 8.]], dtype=float64)
    """
    x1, x2 = arrays_of(x1, x2)
    if len(x1.shape) != 1 or len(x2.shape) != 1:
        raise ValueError(errors.outer_shapes(x1.shape, x2.shape))
    return expand_dims(x1, -1) * x2


def cross(x1: Any, x2: Any, axis: int = -1) -> Any:
    """The cross product of vectors of three elements along `axis`; the other axes broadcast.

    Raises ValueError where a vector has not three elements.

    >>> import gradnerve as gn
    >>> gn.linalg.cross(gn.Tensor([1.0, 0.0, 0.0]), [0.0, 1.0, 0.0])
    Tensor([0., 0., 1.], dtype=float64)
    """
    x1, x2 = arrays_of(x1, x2)
    if not (len(x1.shape) and len(x2.shape) and x1.shape[axis] == x2.shape[axis] == 3):
        raise ValueError(errors.cross_shapes(x1.shape, x2.shape, axis))
    # y_i = a_{i+1} b_{i+2} - a_{i+2} b_{i+1}, and i + 2 is i - 1 on a ring of three.
    a, b = (roll(x1, -1, axis), roll(x1, 1, axis)), (roll(x2, 1, axis), roll(x2, -1, axis))
    return a[0] * b[0] - a[1] * b[1]


def kron(x1: Any, x2: Any) -> Any:
    """The Kronecker product: each element of x1 times the whole of x2, in its place.

    >>> import gradnerve as gn
    >>> gn.kron(gn.Tensor([1.0, 10.0]), [1.0, 2.0])
    Tensor([ 1.,  2., 10., 20.], dtype=float64)
    """
    x1, x2 = arrays_of(x1, x2)
    n = len(x1.shape) if len(x1.shape) > len(x2.shape) else len(x2.shape)
    shape1 = (1,) * (n - len(x1.shape)) + tuple(x1.shape)
    shape2 = (1,) * (n - len(x2.shape)) + tuple(x2.shape)
    pairs = list(zip(shape1, shape2, strict=True))
    x1 = reshape(x1, tuple(length for n, _ in pairs for length in (n, 1)))
    x2 = reshape(x2, tuple(length for _, n in pairs for length in (1, n)))
    return reshape(x1 * x2, tuple(a * b for a, b in pairs))


def multi_dot(arrays: Sequence[Any]) -> Any:
    """The product of two matrices or more, in the order that costs the fewest multiplications.

    The first may be a vector (a row), and so may the last (a column). The order is found by dynamic
    programming: Cormen et al., Introduction to Algorithms, chapter 15.2. Raises ValueError for
    fewer than two.

    >>> import gradnerve as gn
    >>> gn.linalg.multi_dot([[1.0, 2.0], gn.Tensor([[1.0, 0.0], [0.0, 2.0]]), [1.0, 1.0]])
    Tensor(5., dtype=float64)
    """
    factors = arrays_of(*arrays)
    n = len(factors)
    if n < 2:
        raise ValueError(errors.MULTI_DOT)
    sizes = [1 if len(factors[0].shape) == 1 else factors[0].shape[0]]
    sizes += [x.shape[0] for x in factors[1:]]
    sizes += [1 if len(factors[-1].shape) == 1 else factors[-1].shape[-1]]
    cost = {(i, i): (0, i) for i in range(n)}  # of the factors i to j, and where they are split
    for length in range(1, n):
        for i in range(n - length):
            j = i + length
            cost[i, j] = sorted(
                (cost[i, k][0] + cost[k + 1, j][0] + sizes[i] * sizes[k + 1] * sizes[j + 1], k)
                for k in range(i, j)
            )[0]

    def product(i: int, j: int) -> Any:
        k = cost[i, j][1]
        return factors[i] if i == j else product(i, k) @ product(k + 1, j)

    return product(0, n - 1)


def matrix_power(x: Any, n: int) -> Any:
    """A square matrix multiplied n times with itself; for n < 0 its inverse -n times.

    By repeated squaring. Raises TypeError where n is not an integer, numpy.linalg.LinAlgError where
    x is not square, or singular and n negative.

    >>> import gradnerve as gn
    >>> gn.linalg.matrix_power(gn.Tensor([[1.0, 1.0], [0.0, 1.0]]), 3)
    Tensor([[1., 3.],
            [0., 1.]], dtype=float64)
    """
    x = as_tensor_or_array(x)
    check_square(x, "matrix_power: ")
    try:
        n = index(n)
    except TypeError:
        raise TypeError(errors.matrix_exponent(n)) from None
    if n < 0:
        x, n = inv(x), -n
    if n == 0:  # constant, but a part of the graph: with gradient 0
        library = array_library(x)
        one = library.eye(x.shape[-1], dtype=x.dtype, device=device(x))
        return where(constant(np.array(False), x), x, one)
    power = None
    while True:
        if n % 2:
            power = x if power is None else power @ x
        n //= 2
        if n == 0:
            return power
        x = x @ x


# --- Diagonals ------------------------------------------------------------------------------------


def matrix_diagonal(x: Any, offset: int = 0) -> Any:
    """The diagonal of each matrix, (..., M, N) -> (..., K).

    `offset` counts diagonals to the right of the main one. The standard's `linalg.diagonal`;
    `gn.diagonal` is NumPy's, of the first two axes.
    Raises numpy.linalg.LinAlgError for what has not two axes.

    >>> import gradnerve as gn
    >>> gn.linalg.diagonal(gn.Tensor([[1.0, 2.0], [3.0, 4.0]])).tolist()
    [1.0, 4.0]
    """
    check_matrix(x, "diagonal: ")
    return diagonal(x, offset, -2, -1)


def from_diagonal(x: Any, offset: int = 0, shape: tuple[int, ...] | None = None) -> Any:
    """Matrices of `shape`, (..., K) -> (..., M, N): x on a diagonal, 0 elsewhere; if there is no
    `shape`, the smallest square ones."""
    if shape is None:
        n = x.shape[-1] + (offset if offset > 0 else -offset)
        shape = (*x.shape[:-1], n, n)
    return put_diagonal(x, shape, offset, -2, -1)


def trace(x: Any, offset: int = 0, dtype: Any = None) -> Any:
    """The sum of a diagonal of each matrix, (..., M, N) -> (...).

    `offset` counts diagonals to the right of the main one. The sum is taken in `dtype`, if given.
    Raises numpy.linalg.LinAlgError for what has not two axes.

    >>> import gradnerve as gn
    >>> gn.linalg.trace(gn.Tensor([[1.0, 2.0], [3.0, 4.0]]))
    Tensor(5., dtype=float64)
    """
    return sum(matrix_diagonal(x, offset), -1, dtype=dtype)


# --- Solving --------------------------------------------------------------------------------------


@operator
def inv(x):
    """The inverse of square matrices."""
    check_square(x)
    return explaining(errors.SINGULAR, array_library(x).linalg.inv, x)


@inv.rule("x", r"\bar X = -Y^{\mathsf T}\,\bar Y\,Y^{\mathsf T}")
def _(ct, y):
    transposed = matrix_transpose(y)
    return -(transposed @ ct @ transposed)


@operator
def solve(x1, x2):
    """The Y with x1 @ Y = x2: (..., N, N), (..., N, K) -> (..., N, K), or (N,) for one column."""
    check_square(x1)
    if x2.shape[len(x2.shape) - (1 if len(x2.shape) == 1 else 2)] != x1.shape[-1]:
        raise LinAlgError(errors.solve_shapes(x1.shape, x2.shape))
    return explaining(errors.SINGULAR, array_library(x1).linalg.solve, x1, x2)


@solve.rule(
    "x1, x2", r"\bar X_2 = X_1^{-\mathsf T}\,\bar Y,\quad \bar X_1 = -\bar X_2\,Y^{\mathsf T}"
)
def _(ct, y, x1, x2, needs):
    # `solve` as the forward calls it: the columns are stacked where x2 is not one vector.
    transposed = matrix_transpose(x1)
    if len(x2.shape) == 1:
        second = solve(transposed, expand_dims(ct, -1))[..., 0]
        return (-expand_dims(second, -1) * expand_dims(y, -2) if needs[0] else None), second
    second = solve(transposed, ct)
    return (-(second @ matrix_transpose(y)) if needs[0] else None), second


@operator
def pinv(x, rtol=None):
    """The pseudo-inverse (Moore-Penrose): singular values up to `rtol` times the greatest count as
    0 (None: max(M, N) times the dtype's precision). The gradient is that at constant rank."""
    check_matrix(x)
    return explaining(
        errors.NO_SINGULAR_VALUES,
        lambda x: array_library(x).linalg.pinv(x, rtol=rtol),
        inexact(x),  # whole numbers have no precision to count from
    )


# Golub and Pereyra, SIAM Journal on Numerical Analysis 10 (1973), equation 4.12.
@pinv.rule(
    "x",
    r"\bar X = -Y^{\mathsf T} \bar Y Y^{\mathsf T} + \overline{(I - X Y) \bar Y^{\mathsf T} Y "
    r"Y^{\mathsf H} + Y^{\mathsf H} Y \bar Y^{\mathsf T} (I - Y X)}",
)
def _(ct, y, x):
    transposed, turned, yh = matrix_transpose(y), matrix_transpose(ct), adjoint(y)
    left, right = turned @ (y @ yh), (yh @ y) @ turned
    return conj(left - x @ (y @ left) + right - (right @ y) @ x) - transposed @ ct @ transposed


class LstsqResult(NamedTuple):
    """What `lstsq` gives."""

    solution: Any
    residuals: Any
    rank: Any
    singular_values: Any


def lstsq(x1: Any, x2: Any, rtol: Any = None) -> LstsqResult:
    """The least-squares solution Y of x1 @ Y = x2: (..., M, N), (..., M, K) -> (..., N, K).

    x2 can be one vector, (M,) -> (N,). Of several solutions it is that of the least norm. Returns
    (solution, residuals, rank, singular_values): the residuals are Σ|x2 - x1 @ solution|² for each
    column, and empty where M ≤ N or the rank is less than N. Singular values up to `rtol` times the
    greatest count as 0. The gradient is that at constant rank, as with PyTorch.

    >>> import gradnerve as gn
    >>> points = gn.Tensor([[0.0, 1.0], [1.0, 1.0], [2.0, 1.0]])
    >>> gn.linalg.lstsq(points, [1.0, 3.0, 5.0]).solution.data.round(6).tolist()
    [2.0, 1.0]
    """
    x1, x2 = arrays_of(x1, x2)
    check_matrix(x1, "lstsq: ")
    one = len(x2.shape) == 1
    if x2.shape[-1 if one else -2] != x1.shape[-2]:
        raise LinAlgError("lstsq: " + errors.solve_shapes(x1.shape, x2.shape))
    columns = expand_dims(x2, -1) if one else x2
    solution = pinv(x1, rtol) @ columns
    residuals = sum(abs(columns - x1 @ solution) ** 2, -2)
    rank = matrix_rank(x1, rtol)
    rows, unknowns = x1.shape[-2:]
    deficient = plain(rank < unknowns)
    if rows <= unknowns or (is_concrete(deficient) and bool(any_of(deficient))):
        residuals = residuals[..., :0]
    return LstsqResult(solution[..., 0] if one else solution, residuals, rank, svdvals(x1))


def tensorsolve(x1: Any, x2: Any, axes: Any = None) -> Any:
    """The Y with tensordot(x1, Y, Y.ndim) = x2; `axes` of x1 are moved to its end before.

    >>> import gradnerve as gn
    >>> gn.linalg.tensorsolve(gn.Tensor([[2.0, 0.0], [0.0, 4.0]]), [2.0, 2.0])
    Tensor([1. , 0.5], dtype=float64)
    """
    x1, x2 = arrays_of(x1, x2)
    if axes is not None:
        last = axes_of(axes, x1.shape, "tensorsolve")
        x1 = permute_dims(x1, tuple(a for a in range(len(x1.shape)) if a not in last) + last)
    shape = x1.shape[len(x2.shape) :]
    size = math.prod(shape)
    if math.prod(x2.shape) != size or math.prod(x1.shape) != size * size:
        raise LinAlgError("tensorsolve: " + errors.tensor_square(x1.shape, len(x2.shape)))
    return reshape(solve(reshape(x1, (size, size)), reshape(x2, (size,))), shape)


def tensorinv(x: Any, ind: int = 2) -> Any:
    """The inverse of x for `tensordot(x, y, ind)`: its first `ind` axes come last.

    >>> import gradnerve as gn
    >>> gn.linalg.tensorinv(gn.Tensor([[2.0, 0.0], [0.0, 4.0]]), 1)
    Tensor([[0.5 , 0.  ],
            [0.  , 0.25]], dtype=float64)
    """
    x = as_tensor_or_array(x)
    first, last = x.shape[:ind], x.shape[ind:]
    size = math.prod(last)
    if ind < 1 or math.prod(first) != size:
        raise LinAlgError("tensorinv: " + errors.tensor_square(x.shape, ind))
    return reshape(inv(reshape(x, (size, size))), (*last, *first))


# --- Determinants ---------------------------------------------------------------------------------


@operator
def det(x):
    """The determinant, (..., N, N) -> (...). Its gradient exists for singular matrices too, and so
    does the second; from the third on, where singular values differ or the matrix has an inverse.
    """
    check_square(x)
    return array_library(x).linalg.det(x)


@det.rule("x", r"\bar X = \bar y\,\operatorname{cof} X")
def _(ct, x):
    return expand_dims(ct, (-2, -1)) * cofactor(x)


@operator
def cofactor(x):
    """The cofactors of square matrices, det(X) X⁻ᵀ: polynomials, so of singular ones too."""
    check_square(x)
    return kernels(x).cofactor(x)


@cofactor.rule(
    "x",
    r"\bar X = \overline{U} \bar E\,\overline{V^{\mathsf H}},\quad X = U S V^{\mathsf H},\;"
    r"\bar E = \operatorname{diag}(P g) - (P \circ G)^{\mathsf T},\;"
    r"G = \det U \det V^{\mathsf H}\,U^{\mathsf H} \bar Y V,\;g = \operatorname{diag} G,\;"
    r"P_{ij} = [i \ne j] \textstyle\prod_{k \ne i, j} s_k",
)
def _(ct, x):
    if kernels(plain(x)).has_inverse(plain(x), 0.25):  # to any order; it costs half of the digits
        y = matrix_transpose(inv(x))
        size = sum(ct * y, (-2, -1), True)
        return expand_dims(det(x), (-2, -1)) * (size * y - y @ matrix_transpose(ct) @ y)
    # In the basis of its singular vectors X is diagonal, and the cofactors of S + E are easy: to
    # first order -E_ji P_ij off the diagonal, and on it Σ_j E_jj P_ij.
    u, s, vh = svd(x, False)
    phase = expand_dims(det(u) * det(vh), (-2, -1))
    g = phase * (adjoint(u) @ ct @ adjoint(vh))
    same = constant(np.eye(s.shape[-1], dtype=bool), s)
    left_out = same[:, None, :] | same[None, :, :]  # k is i or j
    others = prod(where(left_out, 1.0, expand_dims(s, (-3, -2))), -1)
    others = off_diagonal(others)
    on_diagonal = product(others, expand_dims(matrix_diagonal(g), -1))[..., 0]
    e = from_diagonal(on_diagonal) - matrix_transpose(others * g)
    return conj(u) @ e @ conj(vh)


class SlogdetResult(NamedTuple):
    """What `slogdet` gives."""

    sign: Any
    logabsdet: Any


@operator
def _slogdet(x):
    """The sign of the determinant (complex: its phase), and the logarithm of its size."""
    check_square(x)
    return tuple(array_library(x).linalg.slogdet(x))


@_slogdet.rule(
    "x", r"\bar X = (\overline{\log} + i \operatorname{Im}(\overline{sign}\,sign))\,X^{-\mathsf T}"
)
def _(ct, y, x):
    # d log det = tr(X⁻¹ dX): its real part changes the size, its imaginary part turns the phase.
    weight = ct[1]
    if is_complex(x):
        weight = weight + 1j * imag(ct[0] * y[0])
    return expand_dims(weight, (-2, -1)) * matrix_transpose(inv(x))


def slogdet(x: Any) -> SlogdetResult:
    """The determinant as (sign, logabsdet): det = sign · exp(logabsdet), without overflow.

    (..., N, N) -> (...), (...). Of complex matrices the sign is a number on the unit circle. Raises
    numpy.linalg.LinAlgError where x is not square, and in backward where it is singular: there the
    logarithm is -∞ and has no gradient.

    >>> import gradnerve as gn
    >>> gn.linalg.slogdet(gn.Tensor([[0.0, 1.0], [1.0, 0.0]])).sign
    Tensor(-1., dtype=float64)
    """
    return SlogdetResult(*_slogdet(x))


# --- Decompositions -------------------------------------------------------------------------------


@operator
def cholesky(x, upper=False):
    """The lower L with L Lᴴ = X (`upper`: the upper U with Uᴴ U = X), of Hermitian positive
    definite matrices. Only that triangle of X is read; the gradient is Hermitian."""
    check_square(x)
    return explaining(
        errors.NOT_DEFINITE, lambda x: array_library(x).linalg.cholesky(x, upper=upper), x
    )


# Murray, Differentiation of the Cholesky decomposition (arXiv:1602.07527), equation 10.
@cholesky.rule(
    "x",
    r"\bar X = \tfrac12 L^{-\mathsf T} (P + P^{\mathsf H}) L^{-1*},\quad "
    r"P = \Phi(L^{\mathsf T} \bar L),\;\Phi\text{: the lower triangle, its diagonal halved}",
)
def _(ct, y, upper):
    lower, ct = (adjoint(y), adjoint(ct)) if upper else (y, ct)
    inverse = inv(lower)
    p = matrix_transpose(lower) @ ct
    p = lower_triangle(p, -1) + from_diagonal(real(matrix_diagonal(p))) / 2
    return matrix_transpose(inverse) @ ((p + adjoint(p)) / 2) @ conj(inverse)


class EighResult(NamedTuple):
    """What `eigh` gives."""

    eigenvalues: Any
    eigenvectors: Any


@operator
def _eigh(x):
    """The eigenvalues and eigenvectors of Hermitian matrices, of which the lower triangle is read.
    The gradient is Hermitian."""
    check_square(x)
    return tuple(explaining(errors.NO_EIGENVALUES, array_library(x).linalg.eigh, x))


# Giles, Collected matrix derivative results for forward and reverse mode AD (2008), section 3.1.
@_eigh.rule(
    "x",
    r"\bar X^* = V (\operatorname{diag} \bar w + K / E) V^{\mathsf H},\quad "
    r"K = \text{the skew part of}\;V^{\mathsf H} \bar V^*,\;E_{ij} = w_j - w_i",
)
def _(ct, y):
    w, v = y
    vh = adjoint(v)
    k = vh @ conj(ct[1])
    gaps = expand_dims(w, -2) - expand_dims(w, -1)
    k = divided(off_diagonal(k - adjoint(k)) / 2, gaps)
    return conj(v @ (from_diagonal(ct[0]) + k) @ vh)


def eigh(x: Any) -> EighResult:
    """The eigenvalues, ascending, and eigenvectors (the columns) of Hermitian matrices.

    (..., N, N) -> (..., N), (..., N, N). The lower triangle is read; the gradient is Hermitian.
    That of the eigenvectors divides by the differences of the eigenvalues: where some are equal it
    is infinite or not a number, as with PyTorch; that of the eigenvalues always exists. A loss must
    not depend on the sign (the phase) of an eigenvector. Raises numpy.linalg.LinAlgError where x is
    not square or not finite.

    >>> import gradnerve as gn
    >>> gn.linalg.eigh(gn.Tensor([[2.0, 0.0], [0.0, 1.0]])).eigenvalues
    Tensor([1., 2.], dtype=float64)
    """
    return EighResult(*_eigh(x))


@operator
def eigvalsh(x):
    """The eigenvalues, ascending, of Hermitian matrices, of which the lower triangle is read. The
    gradient is Hermitian; a second one is right where the eigenvalues differ."""
    check_square(x)
    return explaining(errors.NO_EIGENVALUES, array_library(x).linalg.eigvalsh, x)


@eigvalsh.rule("x", r"\bar X = \overline{V} \operatorname{diag}(\bar y)\,V^{\mathsf T}")
def _(ct, x):
    v = eigh(x).eigenvectors
    return scaled(conj(v), ct) @ matrix_transpose(v)


class EigResult(NamedTuple):
    """What `eig` gives."""

    eigenvalues: Any
    eigenvectors: Any


@operator
def _eig(x):
    """The eigenvalues and eigenvectors of square matrices; complex numbers."""
    check_square(x)
    return explaining(errors.NO_EIGENVALUES, kernels(x).eig, x)


# Boeddeker et al., On the computation of complex-valued gradients (arXiv:1701.00392), section 4.
@_eig.rule(
    "x",
    r"\bar X^* = V^{-\mathsf H} (\operatorname{diag} \bar w^* + (K - V^{\mathsf H} V "
    r"\operatorname{Re} \operatorname{diag} K) / E^*) V^{\mathsf H},\quad "
    r"K = V^{\mathsf H} \bar V^*,\;E_{ij} = w_j - w_i",
)
def _(ct, y):
    w, v = y
    vh = adjoint(v)
    k = vh @ conj(ct[1])
    k = k - scaled(vh @ v, real(matrix_diagonal(k)))  # eigenvectors keep their length of 1
    gaps = conj(expand_dims(w, -2) - expand_dims(w, -1))
    inner = from_diagonal(conj(ct[0])) + divided(off_diagonal(k), gaps)
    return conj(solve(vh, inner @ vh))


def eig(x: Any) -> EigResult:
    """The eigenvalues and eigenvectors (the columns, of length 1) of square matrices: complex.

    (..., N, N) -> (..., N), (..., N, N). Where eigenvalues are equal the gradient of the
    eigenvectors is infinite or not a number, as with PyTorch. A loss must not depend on the phase
    of an eigenvector. Raises numpy.linalg.LinAlgError where x is not square or not finite; and in
    backward where it cannot be diagonalised.

    >>> import gradnerve as gn
    >>> gn.linalg.eig(gn.Tensor([[0.0, -1.0], [1.0, 0.0]])).eigenvalues
    Tensor([0.+1.j, 0.-1.j], dtype=complex128)
    """
    return EigResult(*_eig(x))


@operator
def eigvals(x):
    """The eigenvalues of square matrices, in no particular order; complex numbers."""
    check_square(x)
    return explaining(errors.NO_EIGENVALUES, kernels(x).eigvals, x)


@eigvals.rule("x", r"\bar X^* = V^{-\mathsf H} \operatorname{diag}(\bar y^*)\,V^{\mathsf H}")
def _(ct, x):
    vh = adjoint(eig(x).eigenvectors)
    return conj(solve(vh, expand_dims(conj(ct), -1) * vh))


class QRResult(NamedTuple):
    """What `qr` gives."""

    Q: Any
    R: Any


@operator
def _qr(x, mode="reduced"):
    """Orthonormal columns Q and an upper triangle R with Q R = X."""
    check_matrix(x)
    if mode not in ("reduced", "complete"):
        raise ValueError(errors.qr_mode(mode))
    return tuple(array_library(x).linalg.qr(x, mode=mode))


# Walter and Lehmann, Algorithmic differentiation of linear algebra functions (arXiv:1009.6112);
# for M < N: Roberts and Roberts, QR and LQ decomposition matrix backpropagation (arXiv:2009.10071).
@_qr.rule(
    "x",
    r"\bar X^* = (\bar Q^* + Q\,\operatorname{sym}(R \bar R^{\mathsf T} - \bar Q^{\mathsf T} Q)) "
    r"R^{-\mathsf H}",
)
def _(ct, y, x):
    rows, columns = x.shape[-2:]
    (q, r), ct_q, ct_r = y, conj(ct[0]), conj(ct[1])
    if q.shape[-1] > columns:  # complete: what was added to Q is any basis of what is left
        without_gradient("qr", ct_q[..., columns:], "mode='reduced'")
        q, ct_q = part(q, None, columns), part(ct_q, None, columns)
        r, ct_r = part(r, columns), part(ct_r, columns)
    rest = None
    if columns > rows:  # X = Q [U W]: Q and U are those of the first columns, and W = Qᴴ X
        ct_w, w = ct_r[..., rows:], r[..., rows:]
        rest = q @ ct_w
        ct_q = ct_q + q @ (w @ adjoint(ct_w))
        r, ct_r = part(r, None, rows), part(ct_r, None, rows)
    inner = upper_triangle(ct_r @ adjoint(r) - adjoint(q) @ ct_q)
    inner = inner + adjoint(inner) - from_diagonal(real(matrix_diagonal(inner)))
    try:
        share = adjoint(solve(r, adjoint(ct_q + q @ inner)))
    except (LinAlgError, RuntimeError):
        raise LinAlgError(errors.rank_deficient("qr", x.shape)) from None
    return conj(share if rest is None else concat([share, rest], -1))


def qr(x: Any, mode: str = "reduced") -> QRResult:
    """Orthonormal columns Q and an upper triangle R with Q R = x.

    (..., M, N) -> (..., M, K), (..., K, N); K is min(M, N) if the mode is 'reduced', and M if it is
    'complete'. Differentiable where the first min(M, N) columns of x are independent, else backward
    raises numpy.linalg.LinAlgError; the columns that 'complete' adds have no gradient, and a loss
    that depends on them raises ValueError in backward. Raises ValueError for another mode.

    >>> import gradnerve as gn
    >>> q, r = gn.linalg.qr(gn.Tensor([[3.0, 1.0], [4.0, 2.0]]))
    >>> (q @ r).data.round(6).tolist()
    [[3.0, 1.0], [4.0, 2.0]]
    """
    return QRResult(*_qr(x, mode))


def without_gradient(name: str, ct: Any, instead: str) -> None:
    """Raise ValueError if something depends on vectors that are not determined."""
    if is_concrete(data := plain(ct)) and bool(any_of(data != 0)):
        raise ValueError(errors.not_determined(name, instead))


class SVDResult(NamedTuple):
    """What `svd` gives."""

    U: Any
    S: Any
    Vh: Any


@operator
def _svd(x, full_matrices=True):
    """Orthonormal columns U, singular values S ≥ 0, descending, and orthonormal rows Vh with
    U diag(S) Vh = X."""
    check_matrix(x)
    return tuple(
        explaining(
            errors.NO_SINGULAR_VALUES,
            lambda x: array_library(x).linalg.svd(x, full_matrices=full_matrices),
            x,
        )
    )


# Townsend, Differentiating the singular value decomposition (2016); for complex matrices Wan and
# Zhang, Automatic differentiation for complex valued SVD (arXiv:1909.02659).
@_svd.rule(
    "x",
    r"\bar X^* = U \left(\frac{K}{E} S + S \frac{J}{E} + \operatorname{diag} \bar s\right) "
    r"V^{\mathsf H} + (I - U U^{\mathsf H}) \bar U^* S^{-1} V^{\mathsf H} + "
    r"U S^{-1} \bar V^{\mathsf T} (I - V V^{\mathsf H}),\;"
    r"K = \operatorname{skew}(U^{\mathsf H} \bar U^*),\;"
    r"J = \operatorname{skew}(V^{\mathsf H} \bar V^*),\;E_{ij} = s_j^2 - s_i^2",
)
def _(ct, y):
    u, s, vh = y
    ct_u, ct_vh = conj(ct[0]), conj(ct[2])
    n = s.shape[-1]
    if u.shape[-1] > n:
        without_gradient("svd", ct_u[..., n:], "full_matrices=False")
        u, ct_u = part(u, None, n), part(ct_u, None, n)
    if vh.shape[-2] > n:
        without_gradient("svd", ct_vh[..., n:, :], "full_matrices=False")
        vh, ct_vh = part(vh, n), part(ct_vh, n)
    of_u, of_v = adjoint(u) @ ct_u, vh @ adjoint(ct_vh)
    k, j = of_u - adjoint(of_u), of_v - adjoint(of_v)
    rows, columns = expand_dims(s, -1), expand_dims(s, -2)
    gaps = (columns - rows) * (columns + rows)
    inner = divided(off_diagonal(k), gaps) * columns + rows * divided(off_diagonal(j), gaps)
    inner = inner + from_diagonal(ct[1])
    if is_complex(u):  # u and v can turn together; how far apart they are shows in X
        inner = inner + from_diagonal(divided(matrix_diagonal(k), 2 * s))
    share = u @ inner @ vh
    if u.shape[-2] > n:  # X has directions that U does not span
        share = share + divided(ct_u - u @ of_u, columns) @ vh
    if vh.shape[-1] > n:
        share = share + u @ divided(ct_vh - adjoint(of_v) @ vh, rows)
    return conj(share)


def svd(x: Any, full_matrices: bool = True) -> SVDResult:
    """The singular value decomposition, U diag(S) Vh = x.

    (..., M, N) -> (..., M, K), (..., min(M, N)), (..., K', N): U has orthonormal columns, Vh
    orthonormal rows, and the singular values S descend. `full_matrices` adds what makes U and Vh
    square; that has no gradient, and a loss that depends on it raises ValueError in backward. Where
    singular values are equal, or 0, the gradient of U and Vh is infinite or not a number, as with
    PyTorch; that of S always exists. A loss must not depend on the signs (the phases) of the
    vectors. Raises numpy.linalg.LinAlgError where x is not finite.

    >>> import gradnerve as gn
    >>> gn.linalg.svd(gn.Tensor([[0.0, 2.0], [1.0, 0.0]])).S
    Tensor([2., 1.], dtype=float64)
    """
    return SVDResult(*_svd(x, full_matrices))


@operator
def svdvals(x):
    """The singular values, descending: (..., M, N) -> (..., min(M, N)). A second derivative is
    right where they differ."""
    check_matrix(x)
    return explaining(errors.NO_SINGULAR_VALUES, array_library(x).linalg.svdvals, x)


@svdvals.rule("x", r"\bar X^* = U \operatorname{diag}(\bar y)\,V^{\mathsf H}")
def _(ct, x):
    u, _, vh = svd(x, False)
    return conj(scaled(u, ct) @ vh)


# --- Norms and ranks ------------------------------------------------------------------------------


@operator
def _vector_norm(x, axis=None, keepdims=False, ord=2):
    """(Σ|x|^ord)^(1/ord), for a finite `ord`. The gradient at 0 is 0."""
    return array_library(x).linalg.vector_norm(x, axis=axis, keepdims=keepdims, ord=ord)


@_vector_norm.rule(
    "x", r"\bar x_i = \bar y\,\overline{\operatorname{sign} x_i}\,(|x_i| / y)^{ord - 1}"
)
def _(ct, y, x, axis, keepdims, ord):
    if ord == 0:
        return zeros_like(x)
    ct, y = unreduced(ct, x, axis, keepdims), unreduced(y, x, axis, keepdims)
    if ord == 2:
        return ct / where(y == 0, math.inf, y) * conj(x)  # x / ∞ is 0, and so is its derivative
    if ord == 1:
        return ct * conj(sign(x))
    # An element that is 0 has gradient 0, even where the formula says 0 · ∞. So have the others if
    # y is 0 because of it, as it is for a negative ord.
    flat = (x == 0) | (y == 0)
    power = (where(flat, 1.0, abs(x)) / where(flat, 1.0, y)) ** (ord - 1)
    return ct * conj(sign(x)) * where(flat, 0.0, power)


def vector_norm(x: Any, axis: Any = None, keepdims: bool = False, ord: Any = 2) -> Any:
    """The length of vectors, (Σ|x|^ord)^(1/ord), along one axis, several, or all (None).

    `ord` is any number; 0 counts what is not 0, inf and -inf give the greatest and the smallest
    |x|, and elements that tie share the gradient evenly. The gradient at 0 is 0, and so is the
    second derivative, also that of norm² (JAX and PyTorch: NaN); Σ|x|² has the right one.

    >>> import gradnerve as gn
    >>> x = gn.Tensor([[3.0, 4.0], [0.0, 0.0]], requires_grad=True)
    >>> y = gn.linalg.vector_norm(x, axis=-1)
    >>> y.sum().backward()
    >>> print(y.data, x.grad)
    [5. 0.] [[0.6 0.8]
     [0.  0. ]]
    """
    x = inexact(as_tensor_or_array(x))
    if isinstance(ord, str):
        raise ValueError(errors.vector_norm_ord(ord))
    if ord == math.inf:
        return max(abs(x), axis, keepdims)
    if ord == -math.inf:
        return min(abs(x), axis, keepdims)
    return _vector_norm(x, axis, keepdims, ord)


def matrix_norm(x: Any, keepdims: bool = False, ord: Any = "fro") -> Any:
    """The norm of each matrix, (..., M, N) -> (...).

    `ord`: 'fro', √Σ|x|²; 'nuc', the sum of the singular values; 2 and -2, the greatest and the
    smallest of them; 1 and -1, the greatest and smallest sum of a column's |x|; inf and -inf, of a
    row's. Ties share the gradient evenly; where the norm is 0 the gradient of 'fro' is 0. Raises
    ValueError for another `ord`, and numpy.linalg.LinAlgError for what has not two axes.

    >>> import gradnerve as gn
    >>> gn.linalg.matrix_norm(gn.Tensor([[3.0, 0.0], [0.0, -4.0]]))
    Tensor(5., dtype=float64)
    """
    check_matrix(x := as_tensor_or_array(x), "matrix_norm: ")
    x = inexact(x)
    if ord == "fro":
        return vector_norm(x, (-2, -1), keepdims)
    if ord == "nuc":
        y = sum(svdvals(x), -1)
    elif ord in (2, -2):
        y = (max if ord > 0 else min)(svdvals(x), -1)
    elif ord in (1, -1, math.inf, -math.inf):
        y = sum(abs(x), -2 if ord in (1, -1) else -1)
        y = (max if ord > 0 else min)(y, -1)
    else:
        raise ValueError(errors.matrix_norm_ord(ord))
    return expand_dims(y, (-2, -1)) if keepdims else y


def norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:
    """NumPy's norm: of vectors along one `axis`, of matrices along two.

    Without `axis`, that of the one vector or matrix x; without `ord` too, √Σ|x|² of all elements.
    Raises ValueError where x has more than two axes, `ord` is given and `axis` is not.

    >>> import gradnerve as gn
    >>> gn.linalg.norm(gn.Tensor([3.0, 4.0]))
    Tensor(5., dtype=float64)
    """
    x = as_tensor_or_array(x)
    if axis is None:
        if ord is None:
            return vector_norm(x, None, keepdims)
        if len(x.shape) not in (1, 2):
            raise ValueError(errors.norm_axis(x.shape))
        axis = tuple(range(len(x.shape)))
    axes = axes_of(axis, x.shape, "norm")
    if len(axes) == 1:
        return vector_norm(x, axes[0], keepdims, 2 if ord is None else ord)
    if len(axes) != 2:
        raise ValueError(errors.norm_axis(x.shape))
    moved = permute_dims(x, tuple(a for a in range(len(x.shape)) if a not in axes) + axes)
    return unreduced(matrix_norm(moved, ord="fro" if ord is None else ord), x, axes, not keepdims)


@operator
def matrix_rank(x, rtol=None):
    """How many singular values are greater than `rtol` times the greatest of them (None: max(M, N)
    times the dtype's precision)."""
    return array_library(x).linalg.matrix_rank(x, rtol=rtol)


def cond(x: Any, p: Any = None) -> Any:
    """The condition number: how much a solution can change, in proportion, with its right side.

    ‖x‖ ‖x⁻¹‖ in the norm `p` of `matrix_norm`; None: the greatest singular value over the smallest,
    as 2; -2: the reverse. (..., M, N) -> (...).

    >>> import gradnerve as gn
    >>> gn.linalg.cond(gn.Tensor([[4.0, 0.0], [0.0, 1.0]]))
    Tensor(4., dtype=float64)
    """
    x = as_tensor_or_array(x)
    check_matrix(x, "cond: ")
    if p in (None, 2, -2):
        s = svdvals(x)
        return s[..., -1] / s[..., 0] if p == -2 else s[..., 0] / s[..., -1]
    return matrix_norm(x, ord=p) * matrix_norm(inv(x), ord=p)


# --- Functions of matrices ------------------------------------------------------------------------


@operator
def expm(x):
    """The exponential of square matrices, I + X + X²/2 + X³/6 + …"""
    check_square(x)
    return kernels(x).expm(x)


# Mathias, A chain rule for matrix functions, SIAM J. Matrix Anal. Appl. 17 (1996), theorem 2.1.
@expm.rule(
    "x",
    r"\begin{bmatrix} e^{X^{\mathsf T}} & \bar X \\ 0 & e^{X^{\mathsf T}} \end{bmatrix} = "
    r"\exp \begin{bmatrix} X^{\mathsf T} & \bar Y \\ 0 & X^{\mathsf T} \end{bmatrix}",
)
def _(ct, x):
    n = x.shape[-1]
    turned = matrix_transpose(x)
    upper, lower = concat([turned, ct], -1), concat([zeros_like(turned), turned], -1)
    return expm(concat([upper, lower], -2))[..., :n, n:]
