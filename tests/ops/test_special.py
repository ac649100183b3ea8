"""Special functions and NumPy's beyond the standard: far out, at edges, to higher orders."""

import math

import numpy as np
import pytest
import scipy.special
from test_edges import gradients, same_as_torch

import gradnerve as gn
from gradnerve import ops

inf, nan = math.inf, math.nan

EDGES = {
    "exp2": ("exp2", [nan, 2.0, -inf, 0.0]),
    "sinc": ("sinc", [0.0, 1.0, 2.5, -3.0]),
    "erfc far out": ("special.erfc", [-40.0, 30.0, inf, -inf]),
    "erfinv": ("erfinv", [0.0, 1e-9, 0.999999]),
    "erfcx far out": ("special.erfcx", [-3.0, 0.0, 10.0]),
    "ndtr far out": ("special.ndtr", [-40.0, 40.0, inf, -inf]),
    "log_ndtr far out": ("special.log_ndtr", [-1e4, -40.0, 0.0, 40.0, inf]),
    "ndtri": ("special.ndtri", [1e-9, 0.5]),
    "entr": ("special.entr", [0.0, 1e-9, 1.0]),
    "logit at the ends": ("logit", [0.0, 1e-9, 1.0]),
    "i0": ("special.i0", [0.0, 1e-9, -1.0, 40.0]),
    "i0e at its kink": ("special.i0e", [0.0, 1e-9, -1.0, 40.0]),
    "i1": ("special.i1", [0.0, 1e-9, -1.0, 40.0]),
    "i1e": ("special.i1e", [0.0, 1e-9, -1.0, 40.0]),
    "nan_to_num": ("nan_to_num", [nan, inf, -inf, 2.0]),
    "gammaln": ("special.gammaln", [1e-3, 1.0, 2.0, 170.0, -0.5]),
    "softplus far out": ("nn.functional.softplus", [nan, inf, -inf, -40.0, 800.0]),
    "logsigmoid far out": ("nn.functional.logsigmoid", [nan, inf, -inf, -40.0, 800.0]),
}


@pytest.mark.parametrize("case", EDGES)
def test_edge(case, torch):
    path, values = EDGES[case]
    peer = torch
    for name in path.split("."):
        peer = getattr(peer, name)
    same_as_torch(torch, getattr(gn, name), peer, values)


BINARY_EDGES = {
    "fmax ties and NaN": ("fmax", [nan, 1.0, nan, 2.0, 3.0], [1.0, nan, nan, 2.0, 4.0]),
    "fmin ties and NaN": ("fmin", [nan, 1.0, nan, 2.0, 3.0], [1.0, nan, nan, 2.0, 4.0]),
    "fmod": ("fmod", [5.5, -5.5, 5.5, 1.0], [2.0, 2.0, -2.0, inf]),
    "logaddexp2 far apart": ("logaddexp2", [1e4, -1e4, 0.0], [-1e4, 1e4, -inf]),
    "xlogy": ("xlogy", [0.0, 0.0, 0.0, 2.0], [0.5, 1.0, 3.0, 0.0]),
}


@pytest.mark.parametrize("case", BINARY_EDGES)
def test_binary_edge(case, torch):
    name, first, second = BINARY_EDGES[case]
    same_as_torch(torch, getattr(ops, name), getattr(torch, name), first, second)


def test_nothing_times_a_logarithm_is_flat_where_pytorch_gives_nan():
    y, found = gradients(gn.xlogy, [0.0], [0.0])
    assert (y.tolist(), [g.tolist() for g in found]) == ([0.0], [[0.0], [0.0]])
    y, found = gradients(gn.xlog1py, [0.0], [-1.0])
    assert (y.tolist(), [g.tolist() for g in found]) == ([0.0], [[0.0], [0.0]])


def test_xlog1py_is_xlogy_one_further():
    x1, x2 = [0.0, 0.0, 2.0, 2.0], [0.5, 3.0, 0.0, 0.5]
    expected, gradients_there = gradients(gn.xlogy, x1, x2)
    y, found = gradients(gn.xlog1py, x1, [x - 1 for x in x2])
    np.testing.assert_array_equal(y, expected)
    np.testing.assert_array_equal(found, gradients_there)


@pytest.mark.parametrize("x2", [0.0, -1.0])
def test_nothing_times_a_logarithm_is_flat_to_the_second_order(x2):
    assert not gn.hessian(lambda x: gn.xlogy(x[0], x[1]))(np.array([0.0, x2])).any()
    assert not gn.hessian(lambda x: gn.xlog1py(x[0], x[1]))(np.array([0.0, x2 - 1])).any()


def test_heaviside():
    y, (x1, x2) = gradients(gn.heaviside, [-1.0, 0.0, 2.0], [0.5, 0.5, 0.5])
    assert y.tolist() == [0.0, 0.5, 1.0]
    assert x1.tolist() == [0.0, 0.0, 0.0], "a step is flat"
    assert x2.tolist() == [0.0, 1.0, 0.0]


def test_cbrt():
    y, (found,) = gradients(gn.cbrt, [-8.0, 0.0, 27.0])
    np.testing.assert_allclose(y, [-2, 0, 3])
    np.testing.assert_allclose(found, [1 / 12, inf, 1 / 27])


# --- Orders ---------------------------------------------------------------------------------------


def derivatives(f, x, count):
    """f(x), f'(x), f''(x), ..., of a function of each element alone."""
    leaf = gn.Tensor(x, requires_grad=True)
    y = f(leaf)
    found = [y.data]
    for _ in range(count):
        total = y.sum()
        for tensor, ct in gn.graph.flow(total, gn.Tensor(1.0), as_tensors=True):
            if tensor is leaf:
                y = ct
        found.append(y.data)
    return found


def test_sinc_at_0_to_the_fourth_order():
    """Of a quotient these would be 0/0: sin(πx)/πx = 1 - (πx)²/6 + (πx)⁴/120 - ..."""
    found = derivatives(gn.sinc, np.array([0.0]), 4)
    np.testing.assert_allclose(
        np.ravel(found), [1, 0, -(math.pi**2) / 3, 0, math.pi**4 / 5], rtol=1e-14, atol=1e-14
    )


def test_sinc_near_0_keeps_its_digits():
    _, first, second = derivatives(gn.sinc, np.array([1e-6, -1e-8]), 2)
    np.testing.assert_allclose(first, -(math.pi**2) / 3 * np.array([1e-6, -1e-8]), rtol=1e-11)
    np.testing.assert_allclose(second, -(math.pi**2) / 3, rtol=1e-11)


def test_bessel_functions_at_0_to_the_fourth_order():
    """I₀ = 1 + x²/4 + x⁴/64 + ..., I₁ = x/2 + x³/16 + ..."""
    found = derivatives(gn.i0, np.array([0.0]), 4)
    np.testing.assert_allclose(np.ravel(found), [1, 0, 1 / 2, 0, 24 / 64], atol=1e-15)
    found = derivatives(gn.i1, np.array([0.0]), 4)
    np.testing.assert_allclose(np.ravel(found), [0, 1 / 2, 0, 6 / 16, 0], atol=1e-15)


def test_gamma_function_to_the_third_order():
    x = np.array([0.7, 2.5, -0.4])
    found = derivatives(gn.gammaln, x, 3)
    expected = [scipy.special.polygamma(n, x) for n in (0, 1, 2)]
    np.testing.assert_allclose(found[1:], expected, rtol=1e-14)
    expected = derivatives(lambda x: gn.log(gn.abs(gn.gamma(x))), x, 3)
    np.testing.assert_allclose(found, expected, rtol=1e-10)


def test_the_tail_of_the_normal_distribution_to_the_second_order():
    """There log ndtr(x) is nearly -x²/2: the slope nearly -x, the curvature nearly -1."""
    _, first, second = derivatives(gn.log_ndtr, np.array([-1e3, -50.0]), 2)
    np.testing.assert_allclose(first, [1e3 + 1e-3, 50.01998], rtol=1e-6)
    np.testing.assert_allclose(second, [-1.0, -0.9996], rtol=1e-4)


def test_there_and_back():
    """The gradient of the inverse of a function of that function is 1."""
    x = np.array([-1.3, 0.2, 0.9])
    for f, inverse in [
        (gn.erf, gn.erfinv), (gn.erfc, gn.erfcinv), (gn.ndtr, gn.ndtri), (gn.expit, gn.logit),
        (gn.exp2, gn.log2), (lambda x: x * x * x, gn.cbrt),
    ]:  # fmt: skip
        y, (found,) = gradients(lambda x, f=f, inverse=inverse: inverse(f(x)), x)
        np.testing.assert_allclose(y, x, rtol=1e-13)
        np.testing.assert_allclose(found, 1.0, rtol=1e-13)


# --- Compositions and other names -----------------------------------------------------------------


def test_other_names():
    assert gn.lgamma is gn.gammaln
    assert gn.expit is gn.sigmoid


@pytest.mark.parametrize("name", ["deg2rad", "rad2deg", "softplus", "logsigmoid"])
def test_compositions(name):
    f = getattr(gn, name)
    value = {
        "softplus": lambda x: np.logaddexp(x, 0), "logsigmoid": scipy.special.log_expit,
    }.get(name, getattr(np, name, None))  # fmt: skip
    x = np.array([[-40.0, -1.0], [0.5, 30.0]])
    np.testing.assert_allclose(f(x), value(x), rtol=4e-16)
    assert type(f(x)) is np.ndarray
    assert type(f(gn.Tensor(x))) is gn.Tensor
    assert f(np.float32([1.5])).dtype == np.float32
    np.testing.assert_allclose(f([1, 2]), value(np.array([1, 2])), rtol=4e-16)
    assert gn.gradcheck(f, x, order=2)


def test_softplus_by_pytorch(torch):
    x = [-40.0, -1.0, 0.0, 3.0]
    same_as_torch(torch, gn.softplus, torch.nn.functional.softplus, x)
    same_as_torch(torch, gn.logsigmoid, torch.nn.functional.logsigmoid, x)


@pytest.mark.parametrize(
    "x1, x2",
    [
        (np.array([2, 4]), -1), (2, np.array([-1.0, 3.0])), (np.float32([2.0]), np.float32([0.5])),
        (np.array([1 + 2j]), 2), (3, 2), (np.longdouble([2.0]), 3), ([1.0, 2.0], [3, 4]),
    ],
    ids=str,
)  # fmt: skip
def test_float_power(x1, x2):
    expected = np.float_power(x1, x2)
    found = gn.float_power(x1, x2)
    np.testing.assert_allclose(found, expected, rtol=1e-14)
    assert found.dtype == expected.dtype


def test_float_power_has_gradients():
    x = gn.Tensor(np.float32([2.0, 3.0]), requires_grad=True)
    y = gn.float_power(x, 2)
    y.sum().backward()
    assert (y.dtype, x.grad.dtype) == (np.float64, np.float32)
    assert x.grad.tolist() == [4.0, 6.0]
    assert gn.gradcheck(gn.float_power, ([0.5, 2.0], [1.5, -0.5]), order=2)


# --- Dtypes ---------------------------------------------------------------------------------------

OF_X = [
    "exp2", "cbrt", "nan_to_num", "sinc", "erf", "erfc", "erfcx", "erfinv",
    "erfcinv", "ndtr", "log_ndtr", "ndtri", "gamma", "gammaln", "digamma", "i0",
    "i1", "i0e", "i1e", "entr", "logit", "softplus", "logsigmoid",
]  # fmt: skip


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
@pytest.mark.parametrize("name", OF_X)
def test_the_precision_is_kept(name, dtype):
    x = gn.Tensor(np.array([0.25, 0.5], dtype=dtype), requires_grad=True)
    y = getattr(gn, name)(x)
    y.sum().backward()
    exact = gn.Tensor([0.25, 0.5], requires_grad=True)
    z = getattr(gn, name)(exact)
    z.sum().backward()
    assert (y.dtype, x.grad.dtype) == (dtype, dtype)
    np.testing.assert_allclose(y.data, z.data, rtol=5e-3 if dtype == np.float16 else 1e-5)
    np.testing.assert_allclose(x.grad, exact.grad, rtol=2e-2 if dtype == np.float16 else 1e-5)


@pytest.mark.parametrize("name", OF_X)
def test_whole_numbers(name):
    with np.errstate(all="ignore"):
        y = getattr(gn, name)(np.array([1, 0]))
    if name != "nan_to_num":
        assert y.dtype == np.float64


def test_an_order_has_no_derivative():
    n = gn.Tensor(1.0, requires_grad=True)
    for f in (gn.polygamma, gn.iv, gn.spherical_jn):
        with pytest.raises(NotImplementedError, match=f.__name__):
            f(n, gn.Tensor([2.0], requires_grad=True))


def test_scipy_says_no_to_more_precision():
    with pytest.raises(TypeError, match=r"^erfc is not defined for float128"):
        gn.erfc(np.longdouble([1.0]))


def test_nan_to_num_of_complex_numbers_cuts_each_part_on_its_own():
    z = gn.Tensor([complex(np.nan, 1.0), complex(2.0, np.inf), 1.0 + 1.0j], requires_grad=True)
    gn.nan_to_num(z).backward(np.array([1.0 + 2.0j] * 3))
    assert z.grad.tolist() == [2.0j, 1.0 + 0j, 1.0 + 2.0j]
