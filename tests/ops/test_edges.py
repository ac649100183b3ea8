"""Kinks, ties and the edges of domains: the values are PyTorch's, or are said here."""

import math
import warnings

import numpy as np
import pytest

import gradnerve as gn
from gradnerve import ops
from gradnerve.ops import Window

inf, nan = math.inf, math.nan


def gradients(f, *arrays):
    leaves = [gn.Tensor(np.array(a, dtype=np.float64), requires_grad=True) for a in arrays]
    y = f(*leaves)
    with np.errstate(all="ignore"):
        y.backward(np.ones(y.shape))
    return y.data, [leaf.grad for leaf in leaves]


def same_as_torch(torch, f, peer, *arrays):
    """The value and the gradients of f are those of PyTorch's f."""
    with np.errstate(all="ignore"):
        y, found = gradients(f, *arrays)
    leaves = [torch.tensor(a, dtype=torch.float64, requires_grad=True) for a in arrays]
    expected = peer(*leaves)
    np.testing.assert_allclose(y, expected.detach().numpy())
    for got, want in zip(
        found, torch.autograd.grad(expected.sum(), leaves, allow_unused=True), strict=True
    ):
        np.testing.assert_allclose(got, 0.0 if want is None else want.numpy(), atol=1e-14)
    return found


AT_AN_EDGE = {
    "abs at 0": (ops.abs, "abs", [-1.0, 0.0, -0.0, 2.0]),
    "relu at 0": (ops.relu, "relu", [-1.0, 0.0, -0.0, 2.0]),
    "sqrt at 0": (ops.sqrt, "sqrt", [0.0, 1.0]),
    "log at 0": (ops.log, "log", [0.0, 1.0]),
    "sign": (ops.sign, "sign", [-2.0, 0.0, 3.0]),
    "floor": (ops.floor, "floor", [-1.5, 0.0, 2.0]),
    "ceil": (ops.ceil, "ceil", [-1.5, 0.0, 2.0]),
    "trunc": (ops.trunc, "trunc", [-1.5, 0.0, 2.5]),
    "round halves to even": (ops.round, "round", [-1.5, 0.5, 1.5, 2.5]),
    "asin at ±1": (ops.asin, "asin", [-1.0, 1.0]),
    "acos at ±1": (ops.acos, "acos", [-1.0, 1.0]),
    "acosh at 1": (ops.acosh, "acosh", [1.0]),
    "atanh at ±1": (ops.atanh, "atanh", [-1.0, 1.0]),
    "sigmoid far out": (ops.sigmoid, "sigmoid", [-1e4, -40.0, 40.0, 1e4, inf, -inf]),
    "tanh far out": (ops.tanh, "tanh", [-1e4, 1e4, inf, -inf]),
    "erf far out": (ops.erf, "erf", [-40.0, 40.0, inf, -inf]),
    "exp of -inf": (ops.exp, "exp", [-inf, 0.0]),
    "reciprocal at 0": (ops.reciprocal, "reciprocal", [0.0, -2.0]),
}


@pytest.mark.parametrize("case", AT_AN_EDGE)
def test_unary_edge(case, torch):
    f, name, values = AT_AN_EDGE[case]
    same_as_torch(torch, f, getattr(torch, name), values)


BINARY_EDGES = {
    "x**0 at 0": (ops.pow, "pow", [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]),
    "0**y": (ops.pow, "pow", [0.0, 0.0, 0.0], [0.0, 0.5, 2.0]),
    "maximum ties": (ops.maximum, "maximum", [1.0, 2.0, 3.0, inf], [1.0, 3.0, 2.0, inf]),
    "atan2 at the origin": (ops.atan2, "atan2", [0.0, 0.0, 0.0, -1.0], [0.0, 1.0, -1.0, 0.0]),
    "logaddexp with infinities": (
        ops.logaddexp,
        "logaddexp",
        [inf, 1.0, -inf, inf, inf],
        [1.0, inf, 1.0, -inf, inf],
    ),
    "minimum ties": (ops.minimum, "minimum", [1.0, 2.0, 3.0, -inf], [1.0, 3.0, 2.0, -inf]),
    "x / 0": (ops.divide, "divide", [1.0, 0.0], [2.0, 3.0]),
    "hypot": (ops.hypot, "hypot", [3.0, 0.0, -1e200], [4.0, 2.0, 1e200]),
    "atan2 on the axes": (ops.atan2, "atan2", [0.0, 1.0, -1.0], [-1.0, 0.0, 0.0]),
    "logaddexp far apart": (ops.logaddexp, "logaddexp", [1e4, -1e4, 0.0], [-1e4, 1e4, -inf]),
    "remainder": (ops.remainder, "remainder", [5.5, -5.5, 5.5], [2.0, 2.0, -2.0]),
}


@pytest.mark.parametrize("case", BINARY_EDGES)
def test_binary_edge(case, torch):
    f, name, first, second = BINARY_EDGES[case]
    same_as_torch(torch, f, getattr(torch, name), first, second)


@pytest.mark.parametrize("exponent", [0, 1, 2, 3, -1, 0.5, 1.0, 2.0])
def test_power_of_a_python_number(exponent, torch):
    same_as_torch(torch, lambda x: x**exponent, lambda x: x**exponent, [0.0, 0.7, 2.0])


@pytest.mark.parametrize("base", [0, 1, 2, 0.5])
def test_python_number_to_a_power(base, torch):
    same_as_torch(torch, lambda x: base**x, lambda x: base**x, [0.0, 1.0, 2.5])


def test_negative_base(torch):
    same_as_torch(torch, lambda x: x**3, lambda x: x**3, [-1.5, -2.0])
    _, (found,) = gradients(lambda x: x ** np.array([2.0, 3.0]), [-1.5, -2.0])
    np.testing.assert_allclose(found, [-3.0, 12.0])


def test_hypot_at_the_origin_is_0_where_pytorch_gives_nan():
    _, found = gradients(ops.hypot, [0.0], [0.0])
    assert [g.tolist() for g in found] == [[0.0], [0.0]]
    assert not gn.hessian(lambda x: ops.hypot(x[0], x[1]))(np.zeros(2)).any()


# --- Clip -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("low, high", [(-1.0, 1.0), (None, 1.0), (-1.0, None), (1.0, -1.0)])
def test_clip_by_numbers(low, high, torch):
    x = [-2.0, -1.0, 0.0, 1.0, 2.0]
    same_as_torch(
        torch, lambda x: ops.clip(x, low, high), lambda x: torch.clamp(x, low, high), x
    )  # fmt: skip


def test_clip_by_tensors_on_and_beyond_the_bounds_and_crossed(torch):
    # The last three: between bounds that are equal, which PyTorch gives to neither from below.
    x = [-2.0, -1.0, 0.0, 1.0, 2.0, 0.0, 5.0, -5.0, 0.0, 1.0, 2.0]
    low = [-1.0, -1.0, -1.0, -1.0, -1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0]
    high = [1.0, 1.0, 1.0, 1.0, 1.0, -1.0, -1.0, -1.0, 1.0, 1.0, 1.0]
    same_as_torch(torch, ops.clip, torch.clamp, x, low, high)
    same_as_torch(torch, lambda x, m: ops.clip(x, m), lambda x, m: torch.clamp(x, m), x, low)
    same_as_torch(
        torch,
        lambda x, m: ops.clip(x, max=m),
        lambda x, m: torch.clamp(x, max=m),
        x,
        high,
    )


# --- Reductions -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["max", "min"])
def test_ties_share_evenly(name, torch):
    x = [[1.0, 3.0, 3.0], [0.0, 0.0, 0.0], [-1.0, 2.0, 1.0]]
    f = getattr(ops, name)
    same_as_torch(torch, lambda x: f(x, 1), lambda x: getattr(torch, f"a{name}")(x, 1), x)
    same_as_torch(torch, lambda x: f(x, (0, 1)), getattr(torch, f"a{name}"), x)
    _, (found,) = gradients(lambda x: f(x), np.ones(4))
    assert found.tolist() == [0.25] * 4


ZEROS = [[2.0, 0.0, 3.0, 4.0], [0.0, 0.0, 5.0, 2.0], [0.0, 0.0, 0.0, 2.0], [2.0, -3.0, 1.5, 0.5]]


def test_prod_with_zeros(torch):
    same_as_torch(torch, lambda x: ops.prod(x, 1), lambda x: torch.prod(x, 1), ZEROS)
    for row in ZEROS:
        same_as_torch(torch, ops.prod, torch.prod, row)


@pytest.mark.parametrize("row", ZEROS)
def test_second_order_of_prod_with_zeros(row):
    row = np.array(row)
    _, found = hessian(ops.prod, row)
    expected = np.zeros((4, 4))
    for i in range(4):
        for j in range(4):
            if i != j:
                expected[i, j] = np.prod(np.delete(row, [i, j]))
    np.testing.assert_allclose(found, expected)


def hessian(f, x):
    rows = []
    for i in range(len(x)):
        leaf = gn.Tensor(x, requires_grad=True)
        one = gn.Tensor(1.0)
        for tensor, ct in gn.graph.flow(f(leaf), one, as_tensors=True):
            if tensor is leaf:
                gradient = ct
        leaf.zero_grad()
        gradient[i].backward()
        rows.append(leaf.grad)
    return gradient.data, np.array(rows)


def test_prod_of_special_values():
    _, (found,) = gradients(ops.prod, [nan])
    assert found.tolist() == [1.0], "the product of no other elements"
    _, (found,) = gradients(ops.prod, [inf, 2.0])
    assert found.tolist() == [2.0, inf]


@pytest.mark.parametrize("f", [ops.sum, ops.prod, ops.cumulative_sum, ops.cumulative_prod])
def test_what_goes_through_whole_numbers_is_a_step(f):
    x = np.array([1.5, 2.5])
    axis = {"axis": 0}
    found = gn.grad(lambda x: (x + 0.5 * f(x, dtype=np.int64, **axis)).sum())(x)
    assert found.tolist() == [1.0, 1.0]
    found = gn.grad(lambda x: (x + 0.5 * f(ops.astype(x, np.int64), **axis)).sum())(x)
    assert found.tolist() == [1.0, 1.0]


def test_std_of_equal_elements_has_gradient_0():
    y, (found,) = gradients(ops.std, [3.0, 3.0, 3.0])
    assert y == 0
    assert found.tolist() == [0.0, 0.0, 0.0]


def test_std_where_some_rows_are_equal(torch):
    x = [[1.0, 2.0, 4.0], [5.0, 5.0, 5.0]]
    _, (found,) = gradients(lambda x: ops.std(x, 1), x)
    np.testing.assert_array_equal(found[1], 0)
    same_as_torch(
        torch, lambda x: ops.std(x, 1), lambda x: torch.std(x, 1, correction=0), x[:1]
    )  # fmt: skip


def test_var_of_one_element_without_freedom_is_nan_and_so_is_its_gradient():
    with pytest.warns(RuntimeWarning):
        y, (found,) = gradients(lambda x: ops.var(x, correction=1), [2.0])
    assert np.isnan(y)
    assert np.isnan(found).all(), "a gradient that is not a number is never masked"


def test_logsumexp_with_infinities(torch):
    with np.errstate(divide="ignore"):  # log 0
        y, (found,) = gradients(ops.logsumexp, [-inf, -inf])
    assert y == -inf
    assert found.tolist() == [0.0, 0.0], "nothing to weigh"
    same_as_torch(torch, ops.logsumexp, lambda x: torch.logsumexp(x, 0), [-inf, 0.0, 2.0])
    same_as_torch(torch, ops.logsumexp, lambda x: torch.logsumexp(x, 0), [1e4, 1e4 - 1])
    y, (found,) = gradients(ops.logsumexp, [inf, 0.0])
    assert y == inf
    assert found[1] == 0, "e^(0 - ∞)"
    assert np.isnan(found[0]), "e^(∞ - ∞), as for PyTorch"
    with np.errstate(divide="ignore"):
        assert not gn.hessian(ops.logsumexp)(np.array([-inf, -inf])).any()


def test_logaddexp_with_an_infinity_is_flat_to_the_second_order():
    for pair in ((inf, 1.0), (-inf, 1.0)):
        found = gn.hessian(lambda x: ops.logaddexp(x[0], x[1]))(np.array(pair))
        np.testing.assert_array_equal(found, np.zeros((2, 2)))


@pytest.mark.parametrize("size", [1e-200, 1e-25, 1e200])
def test_atan2_where_squares_are_no_numbers(size):
    by_first, by_second = gn.grad(ops.atan2, argnums=(0, 1))(size, 2 * size)
    np.testing.assert_allclose(by_first * size, 0.4)
    np.testing.assert_allclose(by_second * size, -0.2)


@pytest.mark.parametrize(
    "f",
    [
        gn.linalg.norm, lambda x: gn.linalg.norm(x[None]), lambda x: gn.hypot(x[0], x[1]),
        lambda x: gn.xlogy(x[0], x[1]), lambda x: gn.xlog1py(x[0], x[1] - 1), gn.std,
        lambda x: np.std(x, where=[True, True]),
    ],
)  # fmt: skip
def test_what_is_flat_at_0_is_so_to_the_second_order(f):
    x = np.zeros(2)
    np.testing.assert_array_equal(gn.grad(f)(x), np.zeros(2))
    np.testing.assert_array_equal(gn.hessian(f)(x), np.zeros((2, 2)))


@pytest.mark.parametrize("ord", [-2, -1, -0.5, 0.5, 3])
@pytest.mark.filterwarnings("ignore:divide by zero:RuntimeWarning")  # NumPy's, in the forward
def test_norms_of_other_orders_with_a_0_among_the_elements(ord, torch):
    same_as_torch(
        torch, lambda x: gn.linalg.vector_norm(x, ord=ord),
        lambda x: torch.linalg.vector_norm(x, ord), [0.0, 2.0, -3.0],
    )  # fmt: skip


def test_the_angle_of_0_has_gradient_0():
    z = np.array([0j, 1j])
    np.testing.assert_array_equal(gn.grad(lambda z: gn.sum(np.angle(z)))(z), [0, -1])
    np.testing.assert_array_equal(
        gn.hessian(lambda x: ops.atan2(x[0], x[1]))(np.zeros(2)), np.zeros((2, 2))
    )


def test_weights_sum_to_1_where_the_logarithm_has_few_digits():
    x = np.full(4, 1e8, np.float32)  # the next number is 8 away
    assert gn.grad(gn.logsumexp)(x).tolist() == [0.25] * 4
    assert gn.grad(lambda x: ops.logaddexp(x, x))(x[0]) == 1.0
    assert gn.grad(lambda x: ops.logaddexp2(x, x))(x[0]) == 1.0


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_logsumexp_and_softmax_of_no_elements(dtype, torch):
    x = np.zeros((3, 0), dtype)
    y = gn.logsumexp(x, axis=1)
    assert (y.tolist(), y.dtype) == ([-inf] * 3, dtype)
    assert y.tolist() == torch.tensor(x).logsumexp(1).tolist()
    assert gn.logsumexp(x[:0].T, axis=0, keepdims=True).shape == (1, 0)
    assert gn.grad(lambda x: gn.sum(gn.logsumexp(x, axis=1)))(x).shape == (3, 0)
    for f in (gn.softmax, gn.log_softmax):
        assert (f(x).shape, f(x).dtype) == ((3, 0), dtype)
        assert gn.grad(lambda x, f=f: gn.sum(f(x)))(x).shape == (3, 0)


def test_nan_goes_through():
    for f in (ops.max, ops.min, ops.sum, ops.prod, ops.logsumexp, ops.std):
        y, _ = gradients(f, [1.0, nan])
        assert np.isnan(y), f"{f.__name__} hides a NaN"


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
def test_softmax_far_out(name, torch):
    def peer(x):
        return getattr(torch, name)(x, -1)

    same_as_torch(torch, getattr(ops, name), peer, [[1e4, 0.0, -1e4], [-1e308, -1e308, 0.0]])
    same_as_torch(torch, getattr(ops, name), peer, [[-inf, 0.0, 1.0]])


def test_cross_entropy_far_out(torch):
    target = np.array([0, 1])
    same_as_torch(
        torch,
        lambda x: ops.softmax_cross_entropy(x, target),
        lambda x: torch.nn.functional.cross_entropy(x, torch.tensor(target), reduction="none"),
        [[1e4, 0.0], [0.0, -1e4]],
    )


# --- Choosing -------------------------------------------------------------------------------------


def test_where_keeps_the_other_branch_out():
    """An invalid branch that is guarded has no gradient, provided it is guarded inside too."""
    x = gn.Tensor([0.0, 4.0], requires_grad=True)
    safe = gn.where(x > 0, x, 1.0)
    gn.where(x > 0, gn.sqrt(safe), 0.0).sum().backward()
    assert x.grad.tolist() == [0.0, 0.25]


def test_where_gives_the_branch_not_taken_exactly_0():
    x = gn.Tensor([-1.0, 4.0], requires_grad=True)
    with np.errstate(invalid="ignore"):
        root = gn.sqrt(x)
        y = gn.where(x > 0, root, 0.0)
        y.sum().backward()
    assert root.grad.tolist() == [0.0, 1.0]


def test_where_with_infinite_fill():
    x = gn.Tensor([1.0, 2.0], requires_grad=True)
    y = gn.where([True, False], x, -inf)
    assert y.data.tolist() == [1.0, -inf]
    y.backward([3.0, 5.0])
    assert x.grad.tolist() == [3.0, 0.0]


@pytest.mark.parametrize("fill", [0, 0.0, -0.0, False, np.float64(0.0), 1.5])
@pytest.mark.parametrize(
    "x",
    [
        np.array([1, 2, 3]), np.array([True, False, True]), np.array([1.0, np.nan, -np.inf]),
        np.float32([1, 2, 3]), np.array([[1.0], [2.0]]), np.array(3.0), np.arange(6.0)[::-2],
    ],
    ids=lambda x: f"{x.dtype}{x.shape}",
)  # fmt: skip
def test_where_with_a_number_is_numpys(x, fill):
    """Also where a kernel of its own computes it: values, dtype, the sign of zero."""
    condition = np.array([[True, False, True], [False, False, True]])
    expected = np.where(condition, x, fill)
    on_tensors = gn.where(gn.Tensor(condition), gn.Tensor(x), fill).data
    for found in (on_tensors, gn.where(condition, x, fill)):
        assert found.dtype == expected.dtype
        np.testing.assert_array_equal(found, expected)
        np.testing.assert_array_equal(np.signbit(found), np.signbit(expected))


def test_max_pool_tie_goes_to_the_first():
    window = Window((2, 2), (2, 2), ((0, 0), (0, 0)), (1, 1))
    x = np.zeros((1, 1, 2, 4))
    x[0, 0, 1, 3] = x[0, 0, 0, 3] = 1.0
    _, (found,) = gradients(lambda x: ops.window_max(x, window), x)
    assert found[0, 0].tolist() == [[1.0, 0.0, 0.0, 1.0], [0.0, 0.0, 0.0, 0.0]]


def test_max_pool_of_minus_infinity_beside_padding():
    """The padding is no part of the input: the gradient goes to a place of the input."""
    window = Window((2,), (2,), ((1, 0),), (1,))
    x = np.full((1, 1, 3), -inf)
    _, (found,) = gradients(lambda x: ops.window_max(x, window), x)
    assert found.sum() == 2, "the cotangents of the two windows were lost in the padding"


def test_max_pool_of_more_than_255_places():
    window = Window((300,), (300,), ((0, 0),), (1,))
    x = np.random.default_rng(0).standard_normal((1, 1, 600))
    _, (found,) = gradients(lambda x: ops.window_max(x, window), x)
    assert found.nonzero()[2].tolist() == [x[0, 0, :300].argmax(), 300 + x[0, 0, 300:].argmax()]


def test_max_pool_of_integers():
    window = Window((2,), (2,), ((1, 1),), (1,))
    assert ops.window_max(np.array([[[-5, -7]]]), window).tolist() == [[[-5, -7]]]


def test_a_window_larger_than_the_input():
    window = Window((3,), (1,), ((0, 0),), (1,))
    with pytest.raises(ValueError, match="larger than the input"):
        ops.window_sum(gn.Tensor(np.ones((1, 1, 2))), window)


# --- Dtypes ---------------------------------------------------------------------------------------


def test_a_cast_to_whole_numbers_passes_no_gradient():
    x = gn.Tensor([1.6, 2.7], requires_grad=True)
    y = x.astype("int64") * 3.0 + x
    y.sum().backward()
    assert x.grad.tolist() == [1.0, 1.0], "a step is flat: only the second term has a gradient"


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.longdouble])
def test_other_floats(dtype):
    x = gn.Tensor(np.array([0.5, 2.0], dtype=dtype), requires_grad=True)
    y = (ops.exp(x) * x + 1.0).mean()
    y.backward()
    assert y.dtype == dtype
    assert x.grad.dtype == dtype
    np.testing.assert_allclose(x.grad.astype(float), np.exp([0.5, 2.0]) * [1.5, 3.0] / 2, rtol=2e-3)


FLOAT32 = {
    "where": lambda x: gn.where(x > 0, x, 0.0),
    "where 0-d": lambda x: gn.where(x.sum() > 0, x.sum(), 0.0),
    "pow": lambda x: x**2,
    "pow half": lambda x: gn.abs(x) ** 0.5,
    "rpow": lambda x: 2**x,
    "clip": lambda x: x.clip(-0.5, 0.5),
    "maximum": lambda x: gn.maximum(x, 0.0),
    "logsumexp": lambda x: gn.logsumexp(x),
    "sigmoid": lambda x: x.sigmoid(),
    "sigmoid 0-d": lambda x: x.sum().sigmoid(),
    "std 0-d": lambda x: x.std(),
    "mean times": lambda x: 3 * x.mean() + 1,
    "hypot": lambda x: gn.hypot(x, 2.0),
    "gelu": lambda x: gn.nn.functional.gelu(x),
    "divide": lambda x: 1 / (x + 3),
    "prod": lambda x: x.prod(),
    "layer norm": lambda x: gn.nn.functional.layer_norm(x, 3),
}


@pytest.mark.parametrize("name", FLOAT32)
def test_float32_meets_python_numbers(name):
    x = gn.Tensor(np.array([0.5, -1.5, 0.25], dtype=np.float32), requires_grad=True)
    y = FLOAT32[name](x)
    y.backward(np.ones(y.shape))
    assert y.dtype == np.float32
    assert x.grad.dtype == np.float32


# --- Indexing -------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", [((0, 0, 1),), ([0, 0, 1],), [0, 0, 1], np.array([0, 0, 1])])
def test_a_place_named_twice_is_added_twice(key):
    """Also where the places stand in a tuple inside a tuple, which NumPy reads as an array."""
    x = gn.Tensor([1.0, 2.0, 3.0], requires_grad=True)
    x[key].sum().backward()
    assert x.grad.tolist() == [2.0, 1.0, 0.0]


def test_index_by_tensors():
    x = gn.Tensor(np.arange(6.0).reshape(2, 3), requires_grad=True)
    y = x[gn.Tensor([1, 1]), gn.Tensor([0, 2])]
    assert y.data.tolist() == [3.0, 5.0]
    y.sum().backward()
    assert x.grad.tolist() == [[0, 0, 0], [1, 0, 1]]
    assert x[x > 2].data.tolist() == [3.0, 4.0, 5.0]
    assert ops.getitem(x, gn.Tensor([1, 0])).data.tolist() == [[3, 4, 5], [0, 1, 2]]


def test_concat_and_stack():
    a, b = gn.Tensor([1.0, 2.0], requires_grad=True), gn.Tensor([3.0, 4.0], requires_grad=True)
    y = gn.stack([a, b, a], axis=-1)
    assert y.data.tolist() == [[1, 3, 1], [2, 4, 2]]
    (y * [1.0, 10.0, 100.0]).sum().backward()
    assert a.grad.tolist() == [101, 101]
    assert b.grad.tolist() == [10, 10]
    assert gn.stack([a, b], axis=0).shape == (2, 2)
    assert gn.concat([[1.0], a]).data.tolist() == [1, 1, 2]
    assert type(gn.concat([np.ones(2), np.ones(1)])) is np.ndarray
    assert type(gn.stack([np.ones(2), np.ones(2)])) is np.ndarray


def test_concat_of_two_dtypes_gives_each_its_own():
    a = gn.Tensor(np.ones(2, np.float32), requires_grad=True)
    b = gn.Tensor(np.ones(2), requires_grad=True)
    y = gn.concat([a, b])
    y.sum().backward()
    assert y.dtype == np.float64
    assert (a.grad.dtype, b.grad.dtype) == (np.float32, np.float64)


# --- Random numbers -------------------------------------------------------------------------------


def test_seed_repeats_to_the_bit():
    gn.manual_seed(7)
    first = [gn.nn.Linear(3, 2).weight.data, ops.random.keep_mask(np.ones(100), 0.5)]
    gn.manual_seed(7)
    second = [gn.nn.Linear(3, 2).weight.data, ops.random.keep_mask(np.ones(100), 0.5)]
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a, b)
    gn.manual_seed(8)
    assert (gn.nn.Linear(3, 2).weight.data != first[0]).all()


def test_the_sign_of_a_complex_0_has_the_gradient_0():
    z = gn.Tensor([0j, 1.0 + 0j, 3.0 + 4.0j], requires_grad=True)
    ops.sign(z).backward(np.array([1.0, 1j, 1.0]))
    np.testing.assert_allclose(z.grad, [0.0, 1j, 0.128 - 0.096j])


def test_var_and_std_of_complex_numbers_as_pytorch(torch):
    z = np.array([1.0 + 2.0j, -3.0j, 0.5 - 1.0j])
    for ours, peer in ((ops.var, torch.var), (ops.std, torch.std)):
        leaf = gn.Tensor(z, requires_grad=True)
        y = ours(leaf)
        y.backward()
        t = torch.tensor(z, requires_grad=True)
        expected = peer(t, correction=0)
        expected.backward()
        np.testing.assert_allclose(y.data, expected.item())
        np.testing.assert_allclose(leaf.grad, t.grad.numpy())


def test_std_of_equal_elements_is_flat_to_the_second_order_and_of_no_freedom_not_a_number():
    x = np.array([2.0, 2.0, 2.0])
    np.testing.assert_array_equal(gn.grad(ops.std)(x), 0.0)
    np.testing.assert_array_equal(gn.hessian(ops.std)(x), 0.0)
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # NumPy's of degrees of freedom
        for f in (ops.var, ops.std):
            assert np.isnan(gn.grad(lambda x, f=f: f(x, correction=3))(np.arange(3.0))).all()


def test_softmax_and_logsumexp_of_no_elements():
    x = gn.Tensor(np.ones((0, 3)), requires_grad=True)
    assert gn.softmax(x, 0).shape == gn.log_softmax(x, 0).shape == gn.softmax(x).shape == (0, 3)
    assert gn.logsumexp(x, 0).tolist() == [-math.inf] * 3
    assert gn.logsumexp(x, 1).shape == (0,)
    assert gn.logsumexp(x, keepdims=True).tolist() == [[-math.inf]]
    (gn.softmax(x, 0).sum() + gn.log_softmax(x, 0).sum() + gn.logsumexp(x, 0).sum()).backward()
    assert x.grad.shape == (0, 3)
