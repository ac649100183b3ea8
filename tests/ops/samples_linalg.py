"""Sample inputs for linear algebra.

What is fixed only up to the sign of a vector (eigenvectors, Q, U, V) is looked at through functions
that do not depend on it; what is read as a Hermitian matrix is made one first.
"""

import math
from types import SimpleNamespace

import numpy as np
import scipy.linalg
from samples import Row, S, complex_normal, normal

import gradnerve as gn
from gradnerve import backends

SQUARE = [(2, 2), (3, 3), (1, 1), (2, 2, 2), (2, 1, 2, 2), (0, 0), (0, 2, 2)]
OBLONG = [(3, 2), (2, 3), (2, 2), (1, 2), (2, 1), (2, 3, 2), (2, 2, 3), (0, 2), (0, 2, 3)]


def eye(x):
    return np.eye(*x.shape[-2:]).astype(x.dtype)


def good(*shape, numbers=normal):
    """Well-conditioned matrices, with singular values that are far apart."""
    u, s, vh = np.linalg.svd(numbers(*shape), full_matrices=False)
    return (u * (1.0 + np.arange(s.shape[-1]))) @ vh


def good_complex(*shape):
    return good(*shape, numbers=complex_normal)


def squares(*shapes):
    return [S(numbers(*s)) for s in (shapes or SQUARE) for numbers in (good, good_complex)]


def oblongs(*shapes, **options):
    return [
        S(numbers(*s), **options) for s in (shapes or OBLONG) for numbers in (good, good_complex)
    ]


class Library:
    """The same words for NumPy's arrays, GradNerve's Tensors and PyTorch's."""

    def __init__(self, linalg, module, array):
        self.linalg, self.module, self.array = linalg, module, array

    def constant(self, values, x):
        """Numbers in the precision of x."""
        if self.module is gn:
            return backends.constant(np.asarray(values, dtype=gn.finfo(x.dtype).dtype), x)
        if self.module is np:
            values = np.asarray(values, dtype=np.finfo(x.dtype).dtype)
        return self.array(values)

    def adjoint(self, x):
        x = self.module.swapaxes(x, -1, -2) if self.module is not gn else gn.matrix_transpose(x)
        return self.module.conj(x)

    def __getattr__(self, name):
        return getattr(self.linalg, name, None) or getattr(self.module, name)


def complex_eig(x):
    """NumPy's are real numbers where they happen to be."""
    return tuple(np.asarray(part, dtype=complex) for part in np.linalg.eig(x))


def complex_eigvals(x):
    return np.asarray(np.linalg.eigvals(x), dtype=complex)


words = vars(np.linalg) | {"eig": complex_eig, "eigvals": complex_eigvals}
NUMPY = Library(SimpleNamespace(**words), np, np.asarray)
OURS = Library(gn.linalg, gn, np.asarray)


def through(f):
    """A row's `value`, `torch` and `call`, all by one function of a Library."""

    def peer(t, *args, **options):
        return f(Library(t.linalg, t, t.tensor), *args, **options)

    return {
        "value": lambda *args, **options: f(NUMPY, *args, **options),
        "torch": peer,
        "call": lambda *args, **options: f(OURS, *args, **options),
    }


def hermitian(lib, x):
    return (x + lib.adjoint(x)) / 2


def definite(lib, x):
    return x @ lib.adjoint(x) + lib.constant(np.eye(x.shape[-1]), x)


def spread_out(lib, x):
    """A Hermitian matrix whose eigenvalues are far apart, if x is small beside 1, 2, 3."""
    return hermitian(lib, x) + lib.constant(np.diag(3.0 * np.arange(x.shape[-1])), x)


def of_eigh(lib, x):
    """Projectors on the eigenvectors, weighed differently, and the eigenvalues."""
    w, v = lib.linalg.eigh(spread_out(lib, x))
    weights = lib.constant(np.arange(1.0, x.shape[-1] + 1), x)
    return (v * (lib.exp(w / 5) + weights)[..., None, :]) @ lib.adjoint(v)


def of_eig(lib, x):
    w, v = lib.linalg.eig(x + lib.constant(np.diag(4.0 * np.arange(x.shape[-1])), x))
    order = lib.constant(np.arange(1.0, x.shape[-1] + 1), x)
    spectral = (v * w[..., None, :] ** 3) @ lib.linalg.inv(v)
    # Not only the spectral projectors, which leave out how long the eigenvectors are.
    lengths = (lib.abs(v) ** 4).sum(-1)
    return spectral + lengths[..., None] * order


def of_qr(lib, x, mode="reduced"):
    q, r = lib.linalg.qr(x, mode=mode)
    k = x.shape[-1] if x.shape[-1] < x.shape[-2] else x.shape[-2]
    q, r = q[..., :k], r[..., :k, :]
    if math.prod(r.shape) == 0:
        return q.sum(-2) + r.sum(-1)
    weights = lib.constant(np.arange(1.0, k + 1), x)
    ours = (q * weights) @ lib.adjoint(q)  # each column with its own weight: signs cancel
    return ours[..., :1, :1] + lib.abs(r) ** 2 + ours[..., -1:, :1] * lib.abs(r[..., :1, -1:])


def of_svd(lib, x, full_matrices=True):
    u, s, vh = lib.linalg.svd(x, full_matrices=full_matrices)
    k = s.shape[-1]
    u, vh = u[..., :k], vh[..., :k, :]
    weights = lib.constant(np.arange(1.0, k + 1), x) + s**2
    left, right = lib.adjoint(u), lib.adjoint(vh)
    both = (u * weights[..., None, :]) @ vh
    row = ((u * weights[..., None, :]) @ left).sum(-1)[..., None]
    column = ((right * weights[..., None, :]) @ vh).sum(-2)[..., None, :]
    return both + row + column


def of_slogdet(lib, x):
    sign, size = lib.linalg.slogdet(x)
    return sign * (size + 2)


def numpy_cofactor(x):
    """By its definition: the determinants of what is left without a row and a column."""
    out = np.empty_like(x)
    n = x.shape[-1]
    for i in range(n):
        for j in range(n):
            minor = np.delete(np.delete(x, i, -2), j, -1)
            out[..., i, j] = (-1) ** (i + j) * np.linalg.det(minor)
    return out


def torch_vector_norm(t, x, axis=None, keepdims=False, ord=2):
    return t.linalg.vector_norm(x, dim=axis, keepdim=keepdims, ord=ord)


def torch_vecdot(t, x1, x2, axis=-1):
    dtype = t.promote_types(x1.dtype, x2.dtype)
    return t.linalg.vecdot(x1.to(dtype), x2.to(dtype), dim=axis)


def torch_solve(t, x1, x2):
    dtype = t.promote_types(x1.dtype, x2.dtype)
    x1, x2 = x1.to(dtype), x2.to(dtype)
    return t.linalg.solve(x1, x2)


def norms():
    for numbers in (normal, complex_normal):
        for ord in (2, 1, 3, 2.5, 0.5, -1, math.inf, -math.inf, 0):
            yield S(numbers(2, 3), ord=ord)
            yield S(numbers(2, 3), axis=-1, keepdims=True, ord=ord)
        yield S(numbers(2, 3, 2), axis=(0, 2))
        yield S(numbers(2, 3), keepdims=True)
        yield S(numbers(3), axis=0)
        yield S(numbers(), peer=False)
        yield S(numbers(0, 3), axis=1)
        yield S(numbers(0))


ROWS = {
    # Products
    "vecdot": Row(
        [S(complex_normal(2, 3), complex_normal(3)), S(normal(3), complex_normal(2, 3)),
         S(complex_normal(2, 3), normal(2, 3)), S(normal(3), normal(3)),
         S(normal(2, 3), normal(2, 3)), S(normal(2, 1, 3), normal(4, 3)),
         S(normal(3, 2), normal(3, 2), axis=-2), S(normal(3, 2), normal(4, 3, 1), axis=-2),
         S(normal(2, 3), normal(2, 3), axis=0), S(normal(0, 3), normal(3)),
         S(normal(2, 0), normal(2, 0)), S(normal(1), normal(1))],
        np.vecdot, torch_vecdot,
    ),
    # Diagonals
    # Solving
    "inv": Row(squares(), np.linalg.inv, lambda t, x: t.linalg.inv(x)),
    "solve": Row(
        [S(good(*a), normal(*b)) for a, b in [
            ((2, 2), (2,)), ((2, 2), (2, 3)), ((3, 3), (3, 1)), ((2, 2, 2), (2, 2, 1)),
            ((2, 2, 2), (2, 3)), ((2, 2), (2, 2, 3)), ((2, 1, 2, 2), (3, 2, 1)), ((1, 1), (1,)),
            ((0, 0), (0, 2)), ((0, 2, 2), (2, 1)), ((2, 2), (2, 0)),
        ]]
        + [S(good(2, 2, 2), normal(2), peer=False)]
        + [S(good_complex(2, 2), complex_normal(2)), S(good_complex(2, 2, 2), normal(2, 1)),
           S(good(2, 2), complex_normal(2, 2))],
        np.linalg.solve, torch_solve,
    ),
    "pinv": Row(
        [*oblongs(), S(good(3, 2), rtol=1e-3)],
        lambda x, rtol=None: np.linalg.pinv(x, rtol=rtol),
        lambda t, x, rtol=None: t.linalg.pinv(x, rtol=rtol),
    ),
    # Determinants
    "det": Row(squares(), np.linalg.det, lambda t, x: t.linalg.det(x)),
    "cofactor": Row(
        squares(), numpy_cofactor,
        lambda t, x: t.linalg.det(x)[..., None, None] * t.linalg.inv(x).mT,
    ),
    "slogdet": Row(squares(), **through(of_slogdet)),
    # Decompositions
    "cholesky": Row(
        squares() + [S(numbers(2, 2), upper=True) for numbers in (normal, complex_normal)],
        **through(lambda lib, x, upper=False: lib.linalg.cholesky(definite(lib, x), upper=upper)),
    ),
    "eigh": Row(squares(), **through(of_eigh)),
    "eigvalsh": Row(
        squares(), **through(lambda lib, x: lib.linalg.eigvalsh(spread_out(lib, x)))
    ),
    "eig": Row(squares(), **through(of_eig)),
    "eigvals": Row(
        squares(), **through(lambda lib, x: (lib.linalg.eigvals(x)[..., None] ** lib.constant(
            np.arange(1, x.shape[-1] + 1), x)).sum(-2)),
    ),
    "qr": Row(oblongs() + oblongs((2, 3), (2, 2), mode="complete")
        + oblongs((3, 2), mode="complete", peer=False), **through(of_qr)),
    "svd": Row(
        oblongs((2, 2), (3, 3), (2, 3), (3, 2)) + oblongs(full_matrices=False), **through(of_svd)
    ),
    "svdvals": Row(oblongs(), np.linalg.svdvals, lambda t, x: t.linalg.svdvals(x)),
    # Norms and ranks
    "vector_norm": Row(list(norms()), np.linalg.vector_norm, torch_vector_norm,
        call=lambda *args, **options: gn.linalg.vector_norm(*args, **options)),
    "matrix_rank": Row(
        [*oblongs(), S(np.ones((2, 2))), S(np.diag([1.0, 1e-3]), rtol=1e-2)],
        lambda x, rtol=None: np.linalg.matrix_rank(x, rtol=rtol),
    ),
    # Functions of matrices
    "expm": Row(squares(), scipy.linalg.expm, lambda t, x: t.linalg.matrix_exp(x)),
}  # fmt: skip
