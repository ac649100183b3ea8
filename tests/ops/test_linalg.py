"""Linear algebra: compositions, edges, messages; gradients against PyTorch's, one by one."""

import itertools
import math

import numpy as np
import pytest

import gradnerve as gn
from gradnerve import linalg

inf = math.inf
LinAlgError = np.linalg.LinAlgError


def numbers(*shape, kind=float, seed=0):
    rng = np.random.default_rng(seed + sum(shape))
    x = rng.standard_normal(shape)
    return x + 1j * rng.standard_normal(shape) if kind is complex else x


def gradients(f, *arrays):
    """The value of f, and the gradients of a weighed sum of it."""
    leaves = [gn.Tensor(np.array(a), requires_grad=True) for a in arrays]
    y = f(*leaves)
    y.backward(weights(y.shape, y.dtype.kind))
    return y.data, [leaf.grad for leaf in leaves]


def weights(shape, kind):
    rng = np.random.default_rng(5)
    w = rng.standard_normal(shape)
    return np.asarray(w + 1j * rng.standard_normal(shape) if kind == "c" else w)


def same_as_torch(torch, f, peer, *arrays, rtol=1e-9):
    y, found = gradients(f, *arrays)
    leaves = [torch.tensor(a, requires_grad=True) for a in arrays]
    expected = peer(*leaves)
    np.testing.assert_allclose(y, expected.detach().resolve_conj().numpy(), rtol=rtol, atol=1e-10)
    w = torch.tensor(weights(tuple(expected.shape), "c" if expected.is_complex() else "f"))
    for got, want in zip(found, torch.autograd.grad(expected, leaves, w), strict=True):
        np.testing.assert_allclose(got, want.resolve_conj().numpy(), rtol=rtol, atol=1e-10)


KINDS = pytest.mark.parametrize("kind", [float, complex])


# --- Products -------------------------------------------------------------------------------------

PRODUCTS = {
    "tensordot of two axes": (
        lambda a, b: gn.tensordot(a, b), lambda a, b: np.tensordot(a, b), (2, 3, 4), (3, 4, 2)
    ),
    "tensordot of one": (
        lambda a, b: gn.tensordot(a, b, 1), lambda a, b: np.tensordot(a, b, 1), (2, 3), (3, 2)
    ),
    "tensordot of none": (
        lambda a, b: gn.tensordot(a, b, axes=0), lambda a, b: np.tensordot(a, b, 0), (2,), (3, 2)
    ),
    "tensordot of given axes": (
        lambda a, b: gn.tensordot(a, b, axes=((0, -1), (1, 0))),
        lambda a, b: np.tensordot(a, b, axes=((0, -1), (1, 0))),
        (2, 3, 4), (4, 2, 3),
    ),
    "tensordot of an axis each": (
        lambda a, b: gn.tensordot(a, b, axes=(0, -1)),
        lambda a, b: np.tensordot(a, b, axes=(0, -1)),
        (2, 3), (4, 2),
    ),
    "tensordot, empty": (gn.tensordot, np.tensordot, (2, 0, 3), (0, 3, 2)),
    "dot of vectors": (gn.dot, np.dot, (3,), (3,)),
    "dot of matrices": (gn.dot, np.dot, (2, 3), (3, 2)),
    "dot of a matrix and a vector": (gn.dot, np.dot, (2, 3), (3,)),
    "dot of a vector and a stack": (gn.dot, np.dot, (3,), (2, 3, 2)),
    "dot of stacks": (gn.dot, np.dot, (2, 2, 3), (2, 3, 2)),
    "dot of a number": (gn.dot, np.dot, (), (2, 3)),
    "inner of vectors": (gn.inner, np.inner, (3,), (3,)),
    "inner of stacks": (gn.inner, np.inner, (2, 2, 3), (2, 3)),
    "inner of a number": (gn.inner, np.inner, (2,), ()),
    "vdot": (gn.vdot, np.vdot, (2, 3), (3, 2)),
    "outer": (gn.outer, np.outer, (2,), (3,)),
    "outer, empty": (gn.outer, np.outer, (0,), (3,)),
    "cross": (gn.cross, np.cross, (3,), (3,)),
    "cross, broadcast": (gn.cross, np.cross, (2, 1, 3), (4, 3)),
    "cross along an axis": (
        lambda a, b: linalg.cross(a, b, axis=0), lambda a, b: np.cross(a, b, axis=0), (3, 2), (3, 2)
    ),
    "kron of matrices": (gn.kron, np.kron, (2, 3), (2, 2)),
    "kron of a vector and a matrix": (gn.kron, np.kron, (3,), (2, 2)),
    "kron of a stack and a vector": (gn.kron, np.kron, (2, 1, 2), (3,)),
    "kron of a number": (gn.kron, np.kron, (), (2,)),
}  # fmt: skip


@KINDS
@pytest.mark.parametrize("case", PRODUCTS)
def test_product(case, kind):
    f, expected, *shapes = PRODUCTS[case]
    a, b = (numbers(*shape, kind=kind, seed=i) for i, shape in enumerate(shapes))
    for found in (f(a, b), f(gn.Tensor(a), b).data, f(a, gn.Tensor(b)).data):
        np.testing.assert_allclose(found, expected(a, b), atol=1e-14)
    assert type(f(a, b)) is not gn.Tensor, "arrays in, an array out"
    if not {0}.intersection(a.shape + b.shape):
        assert gn.gradcheck(f, (a, b), order=2)


def test_products_of_lists_and_numbers():
    assert gn.dot([1.0, 2.0], [3.0, 4.0]) == 11
    assert gn.dot(2.0, gn.Tensor([1.0, 2.0])).tolist() == [2, 4]
    assert gn.vdot([1j], [2.0]) == -2j
    assert gn.tensordot([[1, 2]], [[3, 4]]) == 11
    assert gn.kron([1, 2], [1, 1]).tolist() == [1, 1, 2, 2]
    assert linalg.cross([1, 0, 0], [0, 1, 0]).tolist() == [0, 0, 1]


@pytest.mark.parametrize(
    "shapes",
    [[(2, 3), (3, 4)], [(2, 3), (3, 4), (4, 2)], [(3,), (3, 4), (4, 2), (2, 3)],
     [(2, 3), (3, 1), (1, 4), (4,)], [(3,), (3, 2), (2,)], [(3,), (3,)]],
)  # fmt: skip
def test_multi_dot(shapes):
    arrays = [numbers(*shape, seed=i) for i, shape in enumerate(shapes)]
    expected = np.linalg.multi_dot(arrays)
    np.testing.assert_allclose(linalg.multi_dot(arrays), expected)
    assert gn.gradcheck(lambda *xs: linalg.multi_dot(xs), tuple(arrays), order=2)


def test_multi_dot_takes_the_cheapest_order():
    made = []

    class Matrix(gn.Tensor):
        def __matmul__(self, other):
            made.append((*self.shape, other.shape[-1]))
            return Matrix(self.data @ other.data)

    sizes = [30, 35, 15, 5, 10, 20, 25]
    linalg.multi_dot([Matrix(np.ones(pair)) for pair in itertools.pairwise(sizes)])
    assert sum(map(math.prod, made)) == 15_125, "the example of Cormen et al."


@KINDS
@pytest.mark.parametrize("n", [0, 1, 2, 3, 5, 8, -1, -2, -3])
def test_matrix_power(n, kind):
    x = numbers(2, 2, 2, kind=kind) + 2 * np.eye(2)
    y = linalg.matrix_power(gn.Tensor(x), n)
    np.testing.assert_allclose(y.data, np.linalg.matrix_power(x, n), rtol=1e-12, atol=1e-13)
    assert y.dtype == x.dtype
    assert gn.gradcheck(lambda x: linalg.matrix_power(x, n), x, order=2)


def test_matrix_to_the_power_0_is_constant():
    x = gn.Tensor(np.array([[inf, 1.0], [2.0, 3.0]], dtype=np.float32), requires_grad=True)
    y = linalg.matrix_power(x, 0)
    y.sum().backward()
    assert y.tolist() == [[1, 0], [0, 1]]
    assert y.dtype == np.float32
    assert x.grad.tolist() == [[0, 0], [0, 0]]


def test_matrix_power_of_integers_stays_exact():
    y = linalg.matrix_power(np.array([[1, 1], [1, 0]]), 60)
    assert y[0, 1] == 1548008755920


@pytest.mark.parametrize("offset", [0, 1, -1, 3])
def test_trace(offset):
    x = numbers(2, 2, 3)
    expected = np.linalg.trace(x, offset=offset)
    np.testing.assert_allclose(linalg.trace(x, offset=offset), expected)
    assert gn.gradcheck(lambda x: linalg.trace(x, offset=offset), x, order=2)


def test_trace_in_another_dtype():
    x = gn.Tensor(np.eye(2, dtype=np.float32), requires_grad=True)
    y = linalg.trace(x, dtype=np.float64)
    y.backward()
    assert y.dtype == np.float64
    assert x.grad.dtype == np.float32


# --- Results with names ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "f, fields",
    [
        (linalg.eigh, ("eigenvalues", "eigenvectors")),
        (linalg.eig, ("eigenvalues", "eigenvectors")),
        (linalg.slogdet, ("sign", "logabsdet")), (linalg.qr, ("Q", "R")),
        (linalg.svd, ("U", "S", "Vh")),
        (lambda x: linalg.lstsq(x, [1.0, 2.0]),
         ("solution", "residuals", "rank", "singular_values")),
    ],
)  # fmt: skip
def test_several_results_have_names(f, fields):
    x = np.array([[2.0, 1.0], [1.0, 3.0]])
    for given, kind in ((gn.Tensor(x, requires_grad=True), gn.Tensor), (x, np.ndarray)):
        result = f(given)
        assert result._fields == fields
        for field, part in zip(fields, result, strict=True):
            assert getattr(result, field) is part
            assert isinstance(part, (kind, np.generic, np.ndarray) if kind is np.ndarray else kind)


def test_the_standards_namespace():
    names = [
        "cholesky", "cross", "det", "diagonal", "eigh", "eigvalsh", "inv", "matmul", "matrix_norm",
        "matrix_power", "matrix_rank", "matrix_transpose", "outer", "pinv", "qr", "slogdet",
        "solve", "svd", "svdvals", "tensordot", "trace", "vecdot", "vector_norm",
    ]  # fmt: skip
    assert gn.linalg.__name__ == "gradnerve.linalg"
    for name in names:
        assert callable(getattr(gn.linalg, name))
        assert name in gn.linalg.__all__
    for name in ("matmul", "tensordot", "vecdot", "matrix_transpose"):
        assert getattr(gn, name) is getattr(gn.linalg, name)
    assert all(hasattr(gn.linalg, name) for name in gn.linalg.__all__)


# --- Norms ----------------------------------------------------------------------------------------


@KINDS
@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("ord", ["fro", "nuc", 1, -1, 2, -2, inf, -inf])
def test_matrix_norm(ord, keepdims, kind, torch):
    x = numbers(2, 3, 2, kind=kind)

    def f(x):
        return linalg.matrix_norm(x, ord=ord, keepdims=keepdims)

    np.testing.assert_allclose(f(x), np.linalg.matrix_norm(x, ord=ord, keepdims=keepdims))
    assert gn.gradcheck(f, x, order=2)
    same_as_torch(
        torch, f, lambda x: torch.linalg.matrix_norm(x, ord, keepdim=keepdims), x
    )  # fmt: skip


@pytest.mark.parametrize("ord", [None, 2, 1, inf, -inf, 0, 3.5, "fro", "nuc", -1, -2])
@pytest.mark.parametrize("axis", [None, 0, -1, (0, 1), (2, 0), (-1, -2)])
@pytest.mark.parametrize("keepdims", [False, True])
def test_norm_is_numpys(ord, axis, keepdims):
    x = numbers(2, 3, 2)
    vectors = isinstance(axis, int)
    if (axis is None and ord is not None) or (vectors and isinstance(ord, str)):
        with pytest.raises(ValueError):
            np.linalg.norm(x, ord, axis, keepdims)
        with pytest.raises(ValueError):
            linalg.norm(x, ord, axis, keepdims)
        return
    if not vectors and axis is not None and ord in (0, 3.5):
        with pytest.raises(ValueError, match="matrix_norm: ord is 'fro', 'nuc', 1, -1, 2"):
            linalg.norm(x, ord, axis, keepdims)
        return
    found = linalg.norm(x, ord=ord, axis=axis, keepdims=keepdims)
    expected = np.linalg.norm(x, ord=ord, axis=axis, keepdims=keepdims)
    assert np.shape(found) == np.shape(expected)
    np.testing.assert_allclose(found, expected)
    assert gn.gradcheck(lambda x: linalg.norm(x, ord, axis, keepdims), x)


def test_norm_of_one_vector_or_matrix():
    for x in (numbers(3), numbers(2, 3)):
        for ord in (None, 1, 2, -inf):
            np.testing.assert_allclose(linalg.norm(x, ord), np.linalg.norm(x, ord))
    with pytest.raises(ValueError, match=r"norm: say along which axis .* of shape \(2, 2, 2\)"):
        linalg.norm(np.ones((2, 2, 2)), 1)


@pytest.mark.parametrize("ord", [2, 1, 3, 1.5, 0.5, 0, inf])
def test_gradient_of_a_norm_at_0_is_0(ord):
    x = gn.Tensor(np.zeros(3), requires_grad=True)
    linalg.vector_norm(x, ord=ord).backward()
    assert x.grad.tolist() == [0, 0, 0]
    assert not gn.hessian(lambda x: linalg.vector_norm(x, ord=ord))(np.zeros(3)).any()


def test_gradient_of_matrix_norm_at_0_is_0():
    x = gn.Tensor(np.zeros((2, 2)), requires_grad=True)
    linalg.matrix_norm(x).backward()
    assert x.grad.tolist() == [[0, 0], [0, 0]]


@pytest.mark.parametrize("ord", [2, 1, 3, 1.5, 0.5, inf, -inf, -1])
def test_norm_with_a_0_and_a_tie_is_pytorchs(ord, torch):
    x = np.array([3.0, 0.0, -3.0]) if ord not in (-1, -inf) else np.array([3.0, 5.0, -3.0])
    same_as_torch(
        torch,
        lambda x: linalg.vector_norm(x, ord=ord),
        lambda x: torch.linalg.vector_norm(x, ord),
        x,
    )


def test_matrix_norm_2_of_equal_singular_values_shares(torch):
    same_as_torch(
        torch,
        lambda x: linalg.matrix_norm(x, ord=2),
        lambda x: torch.linalg.matrix_norm(x, 2),
        np.eye(3),
    )


def test_infinite_norm_of_views():
    """|x| of a strided view can differ in its last bit from that of a copy; y is compared to it."""
    for n in range(20):
        x = numbers(9, 14, kind=complex, seed=n)[::2, ::3]
        for ord in (inf, -inf):
            leaf = gn.Tensor(x, requires_grad=True)
            linalg.vector_norm(leaf, axis=1, ord=ord).sum().backward()
            np.testing.assert_allclose(np.abs(leaf.grad).sum(1), 1)


@KINDS
@pytest.mark.parametrize("p", [None, 2, -2, 1, -1, inf, -inf, "fro", "nuc"])
def test_cond(p, kind):
    x = numbers(2, 2, 2, kind=kind)
    np.testing.assert_allclose(linalg.cond(x, p), np.linalg.cond(x, p))
    assert gn.gradcheck(lambda x: linalg.cond(x, p), x, order=2)


def test_matrix_rank_with_a_tolerance_each():
    x = np.stack([np.diag([1.0, 0.1]), np.diag([1.0, 0.1])])
    assert linalg.matrix_rank(gn.Tensor(x), rtol=np.array([0.2, 0.05])).tolist() == [1, 2]
    p = linalg.pinv(gn.Tensor(x), rtol=np.array([0.2, 0.05]))
    np.testing.assert_allclose(p.data, [np.diag([1.0, 0.0]), np.diag([1.0, 10.0])], atol=1e-12)


# --- Solving --------------------------------------------------------------------------------------


@KINDS
@pytest.mark.parametrize("shape, right", [((3, 2), (3,)), ((4, 2), (4, 2)), ((2, 3), (2, 2)),
                                          ((2, 3, 2), (2, 3, 1)), ((2, 2), (2,))])  # fmt: skip
def test_lstsq(shape, right, kind, torch):
    a, b = numbers(*shape, kind=kind), numbers(*right, kind=kind, seed=9)
    result = linalg.lstsq(gn.Tensor(a), gn.Tensor(b))
    if len(shape) == 2:
        solution, residuals, rank, s = np.linalg.lstsq(a, b)
        np.testing.assert_allclose(result.solution.data, solution, atol=1e-13)
        np.testing.assert_allclose(result.residuals.data, residuals)
        np.testing.assert_allclose(result.singular_values.data, s)
        assert result.rank == rank
    assert gn.gradcheck(lambda a, b: linalg.lstsq(a, b).solution, (a, b), order=2)
    if shape[-2] > shape[-1]:
        assert gn.gradcheck(lambda a, b: linalg.lstsq(a, b).residuals, (a, b))
    if len(right) > 1:
        same_as_torch(
            torch,
            lambda a, b: linalg.lstsq(a, b).solution,
            lambda a, b: torch.linalg.lstsq(a, b, driver="gelsd").solution,
            a, b,
        )  # fmt: skip


def test_lstsq_of_a_matrix_without_full_rank():
    a, b = np.array([[1.0, 1.0], [2.0, 2.0], [3.0, 3.0]]), np.array([1.0, 2.0, 4.0])
    result, expected = linalg.lstsq(a, b), np.linalg.lstsq(a, b)
    np.testing.assert_allclose(result.solution, expected[0])
    assert result.residuals.shape == expected[1].shape == (0,)
    assert result.rank == 1


def test_tensorsolve_and_tensorinv():
    a, b = numbers(2, 3, 6), numbers(2, 3)
    np.testing.assert_allclose(linalg.tensorsolve(a, b), np.linalg.tensorsolve(a, b))
    assert gn.gradcheck(linalg.tensorsolve, (a, b))
    c = numbers(2, 6, 3)
    expected = np.linalg.tensorsolve(c, b, axes=(1,))
    np.testing.assert_allclose(linalg.tensorsolve(c, b, axes=(1,)), expected)
    np.testing.assert_allclose(linalg.tensorinv(a), np.linalg.tensorinv(a))
    assert gn.gradcheck(linalg.tensorinv, a)


def test_solve_uses_less_where_less_is_needed():
    """Only the right side requires grad: the matrix gets none."""
    b = gn.Tensor(numbers(2), requires_grad=True)
    a = numbers(2, 2)
    linalg.solve(a, b).sum().backward()
    np.testing.assert_allclose(b.grad, np.linalg.solve(a.T, np.ones(2)))


@KINDS
def test_pinv_without_full_rank(kind, torch):
    """At constant rank: PyTorch's gradient, and that of a factorisation into full rank."""
    a, b = numbers(4, 2, kind=kind), numbers(2, 3, kind=kind)
    assert gn.gradcheck(lambda a, b: linalg.pinv(a @ b, rtol=1e-6), (a, b))
    same_as_torch(
        torch,
        lambda a, b: linalg.pinv(a @ b, rtol=1e-6),
        lambda a, b: torch.linalg.pinv(a @ b, rtol=1e-6),
        a, b, rtol=1e-6,
    )  # fmt: skip


# --- Determinants of singular matrices ------------------------------------------------------------

SINGULAR = {
    "rank 1 of 2": [[1.0, 2.0], [2.0, 4.0]],
    "rank 2 of 3": [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0], [5.0, 7.0, 9.0]],
    "a row of zeros": [[1.0, 2.0], [0.0, 0.0]],
    "rank 1 of 3": [[1.0, 2.0, 3.0], [2.0, 4.0, 6.0], [3.0, 6.0, 9.0]],
    "zero": np.zeros((2, 2)),
    "identity": np.eye(3),
    "one number, zero": [[0.0]],
}


@pytest.mark.parametrize("case", SINGULAR)
@pytest.mark.parametrize("phase", [1.0, 0.6 + 0.8j])
def test_det_and_its_derivatives_of(case, phase):
    """The determinant is a polynomial: all its derivatives exist everywhere."""
    x = np.array(SINGULAR[case]) * phase
    assert gn.gradcheck(linalg.det, x, order=2)
    together = np.stack([x, np.eye(len(x)) * phase])
    assert gn.gradcheck(linalg.det, together, order=2)


@pytest.mark.parametrize(
    "x", [np.eye(3), np.diag([1.0, 2.0, 0.0]), np.array([[0.0, 2.0, 0.0], [0, 0, 2], [2, 0, 0]])]
)
def test_the_third_derivative_of_det_where_singular_values_are_equal(x):
    levi_civita = np.zeros((3, 3, 3))
    for i, j, k in ((0, 1, 2), (1, 2, 0), (2, 0, 1)):
        levi_civita[i, j, k], levi_civita[k, j, i] = 1, -1
    expected = np.einsum("ace,bdf->abcdef", levi_civita, levi_civita)
    found = gn.jacobian(gn.hessian(gn.linalg.det))(x)
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_cofactors_of_a_badly_conditioned_matrix():
    x = np.diag([1.0, 1e-14])
    x[0, 1] = 0.5
    leaf = gn.Tensor(x, requires_grad=True)
    linalg.det(leaf).backward()
    np.testing.assert_allclose(leaf.grad, [[1e-14, 0.0], [-0.5, 1.0]], atol=1e-15)


def test_det_of_integers():
    assert linalg.det(gn.Tensor([[1, 2], [3, 4]])).item() == pytest.approx(-2)


# --- Gradients as PyTorch has them ----------------------------------------------------------------


@KINDS
def test_cholesky_is_pytorchs(kind, torch):
    """PyTorch's, made Hermitian: of complex matrices PyTorch leaves a part that is not."""
    b = numbers(3, 3, kind=kind)
    x = b @ b.conj().T + np.eye(3)
    for upper in (False, True):
        leaf = gn.Tensor(x, requires_grad=True)
        y = linalg.cholesky(leaf, upper=upper)
        w = weights(y.shape, y.dtype.kind)
        y.backward(w)
        peer = torch.tensor(x, requires_grad=True)
        torch.linalg.cholesky(peer, upper=upper).backward(torch.tensor(w))
        expected = peer.grad.numpy()
        expected = (expected + expected.conj().T) / 2
        np.testing.assert_allclose(leaf.grad, expected, atol=1e-12)
        np.testing.assert_allclose(leaf.grad, leaf.grad.conj().T, atol=1e-14)


@KINDS
def test_eigh_and_eigvalsh_are_pytorchs(kind, torch):
    b = numbers(3, 3, kind=kind)
    x = b + b.conj().T
    same_as_torch(torch, linalg.eigvalsh, torch.linalg.eigvalsh, x)
    same_as_torch(
        torch,
        lambda x: abs(linalg.eigh(x).eigenvectors) ** 4,
        lambda x: abs(torch.linalg.eigh(x).eigenvectors) ** 4,
        x,
    )


@KINDS
def test_eig_is_pytorchs(kind, torch):
    """Also how a real matrix with complex eigenvalues gets a real gradient."""
    x = np.array([[0.0, -1.0, 0.3], [1.2, 0.1, 0.0], [0.4, 0.2, 2.0]]).astype(kind)
    y, _ = gradients(lambda x: linalg.eig(x).eigenvalues, x)
    assert y.dtype == np.complex128
    for f, peer in [
        (linalg.eigvals, torch.linalg.eigvals),
        (lambda x: linalg.eig(x).eigenvalues, lambda x: torch.linalg.eig(x).eigenvalues),
        (lambda x: abs(linalg.eig(x).eigenvectors) ** 3,
         lambda x: abs(torch.linalg.eig(x).eigenvectors) ** 3),
    ]:  # fmt: skip
        same_as_torch(torch, f, peer, x)


@KINDS
@pytest.mark.parametrize("shape", [(3, 3), (4, 2), (2, 4), (2, 3, 2)])
def test_svd_and_qr_are_pytorchs(shape, kind, torch):
    x = numbers(*shape, kind=kind)
    for i in range(3):
        same_as_torch(
            torch,
            lambda x, i=i: abs(linalg.svd(x, full_matrices=False)[i]) ** 3,
            lambda x, i=i: abs(torch.linalg.svd(x, full_matrices=False)[i]) ** 3,
            x,
        )
    for i in range(2):
        # LAPACK's signs: where PyTorch's are the same there is no need to look away from them
        same_as_torch(
            torch, lambda x, i=i: linalg.qr(x)[i], lambda x, i=i: torch.linalg.qr(x)[i], x
        )


def test_agrees_with_jax(jax):
    jnp = jax.numpy
    x = numbers(3, 3) + 3 * np.eye(3)
    for f, peer in [
        (linalg.inv, jnp.linalg.inv), (linalg.det, jnp.linalg.det),
        (linalg.pinv, jnp.linalg.pinv), (linalg.expm, jax.scipy.linalg.expm),
        (lambda x: linalg.slogdet(x)[1], lambda x: jnp.linalg.slogdet(x)[1]),
        (lambda x: linalg.svd(x)[1], lambda x: jnp.linalg.svd(x)[1]),
        (lambda x: linalg.qr(x)[1] ** 2, lambda x: jnp.linalg.qr(x)[1] ** 2),
        (lambda x: linalg.cholesky(x @ x.mT), lambda x: jnp.linalg.cholesky(x @ x.mT)),
        (lambda x: linalg.eigh(x + x.mT)[1] ** 2, lambda x: jnp.linalg.eigh(x + x.mT)[1] ** 2),
        (lambda x: linalg.norm(x), jnp.linalg.norm),
    ]:  # fmt: skip
        y, (found,) = gradients(f, x)
        w = weights(y.shape, y.dtype.kind)
        with jax.enable_x64(True):
            expected = jax.grad(lambda x, peer=peer, w=w: (peer(x) * w).sum())(jnp.asarray(x))
        np.testing.assert_allclose(found, expected, rtol=1e-8, atol=1e-9)


# --- Where a gradient does not exist --------------------------------------------------------------


def test_equal_eigenvalues():
    """Those of the eigenvalues exist; those of the eigenvectors do not."""
    x = gn.Tensor(np.eye(3), requires_grad=True)
    linalg.eigh(x).eigenvalues.sum().backward()
    np.testing.assert_allclose(x.grad, np.eye(3))
    x.zero_grad()
    with np.errstate(all="ignore"):
        (linalg.eigh(x).eigenvectors * numbers(3, 3)).sum().backward()
    assert not np.isfinite(x.grad).all(), "an infinite gradient is not hidden"


def test_equal_singular_values():
    x = gn.Tensor(np.eye(3), requires_grad=True)
    linalg.svd(x).S.sum().backward()
    np.testing.assert_allclose(x.grad, np.eye(3))
    x.zero_grad()
    with np.errstate(all="ignore"):
        (linalg.svd(x).U * numbers(3, 3)).sum().backward()
    assert not np.isfinite(x.grad).all()


def test_singular_values_of_a_matrix_without_full_rank(torch):
    x = np.outer([1.0, 2.0, 2.0], [3.0, 4.0])
    leaf = gn.Tensor(x, requires_grad=True)
    linalg.svd(leaf, full_matrices=False).S[0].backward()
    np.testing.assert_allclose(leaf.grad, np.outer([1.0, 2.0, 2.0], [3.0, 4.0]) / 15)


@pytest.mark.parametrize("shape", [(4, 2), (2, 4)])
def test_what_full_matrices_adds_has_no_gradient(shape):
    x = gn.Tensor(numbers(*shape), requires_grad=True)
    result = linalg.svd(x)
    part = result.U if shape[0] > shape[1] else result.Vh
    result.S.sum().backward(retain_graph=True)
    assert np.isfinite(x.grad).all(), "what does not depend on it has one"
    with pytest.raises(ValueError, match=r"svd only adds to complete a basis.*full_matrices=False"):
        part[-1, -1].backward()


def test_what_complete_adds_has_no_gradient():
    x = gn.Tensor(numbers(4, 2), requires_grad=True)
    with pytest.raises(ValueError, match=r"qr only adds to complete a basis.*mode='reduced'"):
        linalg.qr(x, mode="complete").Q[-1, -1].backward()


def test_qr_of_dependent_columns():
    x = gn.Tensor(np.ones((3, 2)) * [1.0, 0.0], requires_grad=True)
    with pytest.raises(LinAlgError, match=r"qr has no derivative at this matrix of shape \(3, 2\)"):
        linalg.qr(x).R.sum().backward()


def test_slogdet_of_a_singular_matrix():
    x = gn.Tensor(np.ones((2, 2)), requires_grad=True)
    sign, size = linalg.slogdet(x)
    assert (sign.item(), size.item()) == (0, -inf)
    with pytest.raises(LinAlgError, match="the matrix is singular"):
        size.backward()


# --- Errors ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["inv", "solve"])
def test_a_singular_matrix_is_named(name):
    batch = gn.Tensor(np.stack([np.eye(2), np.ones((2, 2))])[None], name="gram")
    args = (batch, np.ones((2, 1))) if name == "solve" else (batch,)
    with pytest.raises(LinAlgError) as caught:
        getattr(linalg, name)(*args)
    message = str(caught.value)
    assert message.startswith(
        f"{name}: the matrix x[0, 1] is singular: it has no inverse, as its rows depend on one "
        "another. For the least-squares answer use gn.linalg.lstsq or gn.linalg.pinv; or add a "
        "small multiple of the identity."
    )
    assert "float64 of shape (1, 2, 2, 2), named 'gram'" in message


def test_one_singular_matrix():
    for x in (np.zeros((2, 2)), gn.Tensor(np.zeros((2, 2)))):
        with pytest.raises(LinAlgError, match=r"^inv: the matrix is singular"):
            linalg.inv(x)
    with pytest.raises(LinAlgError, match=r"^solve: the matrix is singular"):
        linalg.solve(np.zeros((3, 3)), np.ones((3, 2)))


def test_an_indefinite_matrix():
    with pytest.raises(LinAlgError, match=r"^cholesky: the matrix is not positive definite: it"):
        linalg.cholesky(gn.Tensor([[1.0, 2.0], [2.0, 1.0]]))


@pytest.mark.parametrize(
    "name",
    ["inv", "det", "slogdet", "cholesky", "eigh", "eigvalsh", "eig", "eigvals", "expm", "cofactor",
     "matrix_power"],
)  # fmt: skip
def test_square_matrices_are_asked_for(name):
    f = getattr(linalg, name, None) or getattr(gn.ops, name)
    f = (lambda x: linalg.matrix_power(x, 2)) if name == "matrix_power" else f
    prefix = rf"^{name}: it takes square matrices, .* last two axes of \(2, 3\) differ"
    with pytest.raises(LinAlgError, match=prefix):
        f(gn.Tensor(np.ones((2, 3))))
    with pytest.raises(
        LinAlgError, match=rf"^{name}: it takes matrices, .* shape \(3,\) has fewer"
    ):
        f(np.ones(3))


@pytest.mark.parametrize(
    "name", ["svd", "svdvals", "qr", "pinv", "matrix_norm", "diagonal", "cond", "lstsq"]
)
def test_matrices_are_asked_for(name):
    f = getattr(linalg, name)
    args = (np.ones(3), np.ones(3)) if name == "lstsq" else (np.ones(3),)
    with pytest.raises(LinAlgError, match=rf"^{name}: it takes matrices, .* \(3,\) has fewer"):
        f(*args)


@pytest.mark.parametrize("name", ["eig", "eigvals", "svd", "svdvals", "pinv"])
def test_not_a_number(name):
    x = np.array([[1.0, math.nan], [math.nan, 1.0]])
    with pytest.raises(LinAlgError, match=rf"^{name}: an element is NaN or infinite"):
        getattr(linalg, name)(gn.Tensor(x))


def test_shapes_that_do_not_fit():
    a = np.ones((2, 3, 3))
    with pytest.raises(LinAlgError, match=r"^solve: .* \(2, 3, 3\) has 3 rows, .* fit \(2,\)"):
        linalg.solve(a, np.ones(2))
    with pytest.raises(LinAlgError, match=r"For a batch of vectors write b\[..., None\]"):
        linalg.solve(a, gn.Tensor(np.ones((2, 3))))
    with pytest.raises(LinAlgError, match=r"^lstsq: .* \(3, 2\) has 3 rows"):
        linalg.lstsq(np.ones((3, 2)), np.ones(2))
    with pytest.raises(ValueError, match=r"^outer: it takes two vectors, got .*\(2, 2\)"):
        linalg.outer(np.ones((2, 2)), np.ones(2))
    for shape in [(2,), ()]:
        with pytest.raises(ValueError, match=r"^cross: it takes vectors of three elements"):
            linalg.cross(np.ones(shape), np.ones(shape))
    with pytest.raises(ValueError, match=r"^tensordot: with axes=2 .* \(2, 3\) and \(2, 4\)"):
        gn.tensordot(np.ones((2, 3)), np.ones((2, 4)))
    with pytest.raises(ValueError, match=r"^tensordot: with axes=3"):
        gn.tensordot(np.ones((2, 3)), np.ones((2, 3)), 3)
    with pytest.raises(ValueError, match=r"^vecdot: along axis -1 .*\(2, 3\).*\(2,\) have 3 and 2"):
        gn.vecdot(gn.Tensor(np.ones((2, 3))), np.ones(2))
    with pytest.raises(LinAlgError, match=r"^tensorsolve: the first 1 axes of \(2, 3\)"):
        linalg.tensorsolve(np.ones((2, 3)), np.ones(2))
    with pytest.raises(LinAlgError, match=r"^tensorinv: the first 1 axes of \(2, 3\)"):
        linalg.tensorinv(np.ones((2, 3)), 1)
    with pytest.raises(ValueError, match=r"^multi_dot: .* two matrices or more"):
        linalg.multi_dot([np.ones((2, 2))])


def test_options_that_do_not_exist():
    with pytest.raises(ValueError, match=r"^qr: mode is 'reduced' or 'complete', not 'raw'"):
        linalg.qr(np.eye(2), mode="raw")
    with pytest.raises(ValueError, match=r"^matrix_norm: ord is .* not 3"):
        linalg.matrix_norm(np.eye(2), ord=3)


# --- Functions of matrices ------------------------------------------------------------------------


def test_expm_of_a_large_cotangent():
    """The rule takes the exponential of a matrix that has the cotangent in it."""
    x = numbers(3, 3)
    found = []
    for size in (1.0, 1e6):
        leaf = gn.Tensor(x, requires_grad=True)
        linalg.expm(leaf).backward(np.full((3, 3), size))
        found.append(leaf.grad / size)
    np.testing.assert_allclose(found[1], found[0], rtol=1e-10)


def test_expm_is_a_rotation():
    angle = gn.Tensor(0.5, requires_grad=True)
    turn = linalg.expm(angle * np.array([[0.0, -1.0], [1.0, 0.0]]))
    np.testing.assert_allclose(turn.data[0], [np.cos(0.5), -np.sin(0.5)])
    turn[1, 0].backward()
    np.testing.assert_allclose(angle.grad, np.cos(0.5))


# --- Third order, and other dtypes ----------------------------------------------------------------

THIRD = {
    "inv": (linalg.inv, (2, 2)),
    "solve": (lambda x: linalg.solve(x, [1.0, 2.0]), (2, 2)),
    "det": (linalg.det, (2, 2)),
    "slogdet": (lambda x: sum(linalg.slogdet(x)), (2, 2)),
    "cholesky": (lambda x: linalg.cholesky(x @ gn.conj(x.mT) + np.eye(2)), (2, 2)),
    "eigh": (lambda x: gn.abs(linalg.eigh(x + gn.conj(x.mT))[1]) ** 2, (2, 2)),
    "eig": (lambda x: gn.abs(linalg.eig(x)[1]) ** 2, (2, 2)),
    "qr": (lambda x: gn.abs(linalg.qr(x)[1]) ** 2, (3, 2)),
    "svd": (lambda x: gn.abs(linalg.svd(x, False)[0]) ** 2, (3, 2)),
    "svd, wide": (lambda x: gn.abs(linalg.svd(x, False)[2]) ** 2, (2, 3)),
    "pinv": (linalg.pinv, (3, 2)),
    "expm": (linalg.expm, (2, 2)),
}


@KINDS
@pytest.mark.parametrize("name", THIRD)
def test_third_order(name, kind):
    f, shape = THIRD[name]
    x = numbers(*shape, kind=kind, seed=3)
    assert gn.gradcheck(f, x, order=3, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("dtype", [np.float32, np.complex64])
@pytest.mark.parametrize(
    "f",
    [
        lambda x: linalg.cross(x, 2 * x), lambda x: gn.tensordot(x, x), lambda x: gn.kron(x, x),
        lambda x: linalg.matrix_power(x, -3), linalg.cond, linalg.trace, linalg.eigvals,
        lambda x: linalg.matrix_norm(x, ord="nuc"), lambda x: linalg.matrix_norm(x, ord=1),
        lambda x: linalg.vector_norm(x, ord=0.5), lambda x: linalg.vector_norm(x, ord=inf),
        lambda x: linalg.lstsq(x[:, :2], x[:, 2]).residuals, lambda x: linalg.eig(x)[1],
    ],
)  # fmt: skip
def test_single_precision_stays(f, dtype):
    x = gn.Tensor((numbers(3, 3, seed=2) + 2 * np.eye(3)).astype(dtype), requires_grad=True)
    y = f(x)
    y.backward(np.ones(y.shape))
    assert y.dtype in (np.float32, np.complex64)
    assert x.grad.dtype == dtype


@pytest.mark.parametrize(
    "name",
    ["inv", "det", "cholesky", "eigvalsh", "svdvals", "pinv", "vector_norm", "matrix_norm", "norm",
     "cond"],
)  # fmt: skip
def test_whole_numbers_become_floating_point(name):
    x = [[2, 1], [1, 3]]
    expected = getattr(np.linalg, name)(np.array(x, dtype=float))
    for given in (x, np.array(x), gn.Tensor(x)):
        y = getattr(linalg, name)(given)
        y = np.asarray(getattr(y, "data", y)) if isinstance(y, gn.Tensor) else y
        np.testing.assert_allclose(y, expected, atol=1e-14)
        assert y.dtype == np.float64
    assert linalg.vector_norm(np.array(x), ord=inf).dtype == np.float64
    assert linalg.matrix_norm(np.array(x), ord=1).dtype == np.float64


def test_a_number_is_no_matrix():
    for f in (linalg.inv, linalg.eigh, linalg.svdvals, linalg.matrix_norm):
        with pytest.raises(
            LinAlgError, match=r"it takes matrices, .* shape \(\) has fewer than two"
        ):
            f(2.0)


# --- Together -------------------------------------------------------------------------------------


def test_gaussian_process_likelihood_two_ways():
    """By Cholesky and by solve with slogdet: the same value and gradient."""
    x = np.linspace(0.0, 1.0, 6)
    y = np.sin(6 * x)
    squared = (x[:, None] - x) ** 2

    def by_cholesky(log_length):
        k = gn.exp(squared * (-0.5) / gn.exp(2 * log_length)) + 0.1 * np.eye(6)
        lower = linalg.cholesky(k)
        half = linalg.solve(lower, y)
        return 0.5 * gn.sum(half * half) + gn.sum(gn.log(linalg.diagonal(lower)))

    def by_solve(log_length):
        k = gn.exp(squared * (-0.5) / gn.exp(2 * log_length)) + 0.1 * np.eye(6)
        return 0.5 * gn.vecdot(y, linalg.solve(k, y)) + 0.5 * linalg.slogdet(k).logabsdet

    for f in (by_cholesky, by_solve):
        assert gn.gradcheck(f, np.array(-1.0), order=2)
    a, b = gradients(by_cholesky, np.array(-1.0)), gradients(by_solve, np.array(-1.0))
    np.testing.assert_allclose(a[0], b[0])
    np.testing.assert_allclose(a[1], b[1])


def test_trace_keeps_a_small_dtype_that_was_asked_for():
    x = gn.ones((2, 2), dtype="int8")
    assert gn.linalg.trace(x, dtype=gn.int8).dtype == "int8"
    assert gn.linalg.trace(x, dtype=gn.float32).dtype == "float32"
    assert gn.linalg.trace(x).dtype == "int64"
