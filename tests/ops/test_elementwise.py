"""The elementwise chapter of the Array API standard: names, special cases, dtypes, NaN."""

import itertools
import math

import array_api_strict
import numpy as np
import pytest
from test_edges import gradients, same_as_torch

import gradnerve as gn

inf, nan = math.inf, math.nan

ONE = [
    "abs", "acos", "acosh", "asin", "asinh", "atan", "atanh", "ceil", "conj", "cos", "cosh",
    "exp", "expm1", "floor", "imag", "isfinite", "isinf", "isnan", "log", "log1p", "log2",
    "log10", "negative", "positive", "real", "reciprocal", "round", "sign", "signbit", "sin",
    "sinh", "sqrt", "square", "tan", "tanh", "trunc",
]  # fmt: skip
TWO = [
    "add", "atan2", "copysign", "divide", "equal", "floor_divide", "greater", "greater_equal",
    "hypot", "less", "less_equal", "logaddexp", "maximum", "minimum", "multiply", "nextafter",
    "not_equal", "pow", "remainder", "subtract",
]  # fmt: skip
WHOLE = [
    "bitwise_and", "bitwise_left_shift", "bitwise_or", "bitwise_right_shift", "bitwise_xor",
]  # fmt: skip
TRUTH = [
    "bitwise_invert", "clip", "logical_and", "logical_not", "logical_or", "logical_xor",
]  # fmt: skip

NUMBERS = np.array([0.0, -0.0, 1.0, -1.0, 2.0, -3.0, 0.5, 1e300, 5e-324, inf, -inf, nan])
PAIRS = np.array(list(itertools.product(NUMBERS, NUMBERS))).T


@pytest.fixture
def strict():
    """The consortium's reference implementation of the standard."""
    return array_api_strict


def same(found, expected):
    """Values, the sign of zeros, dtype and shape."""
    expected = np.asarray(expected)
    assert (found.dtype, found.shape) == (expected.dtype, expected.shape)
    np.testing.assert_array_equal(found, expected)
    if found.dtype.kind == "f":
        known = ~np.isnan(expected)
        np.testing.assert_array_equal(np.signbit(found[known]), np.signbit(expected[known]))


@pytest.mark.parametrize("name", [*ONE, *TWO, *WHOLE, *TRUTH])
def test_is_there_with_the_standards_parameters(name):
    one = name in ONE or name in ("bitwise_invert", "logical_not")
    names = ("x", "min", "max") if name == "clip" else ("x",) if one else ("x1", "x2")
    assert getattr(gn, name).operator.names == names


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("name", [n for n in ONE if n not in ("conj", "imag", "real")])
def test_special_cases_of_one_number(name, strict):
    for dtype in (np.float64, np.float32):
        x = NUMBERS.astype(dtype)
        same(getattr(gn, name)(x), getattr(strict, name)(strict.asarray(x)))


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("name", [n for n in TWO if n != "floor_divide"])
def test_special_cases_of_two_numbers(name, strict):
    for x1, x2 in (PAIRS, PAIRS.astype(np.float32)):
        expected = getattr(strict, name)(strict.asarray(x1), strict.asarray(x2))
        same(getattr(gn, name)(x1, x2), expected)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_floor_divide_of_infinities_is_the_standards_and_not_numpys():
    x1, x2 = PAIRS
    found = gn.floor_divide(x1, x2)
    bounded = np.isfinite(x1) & np.isfinite(x2)
    same(found[bounded], np.floor_divide(x1[bounded], x2[bounded]))
    same(found[~bounded], np.divide(x1[~bounded], x2[~bounded]))
    assert gn.floor_divide(gn.Tensor(inf), 2).data == inf
    assert gn.floor_divide(7, 2) == 3
    assert gn.floor_divide(np.array([7]), 2).dtype == np.int64


@pytest.mark.parametrize("name", ["abs", "exp", "log", "sign", "sqrt", "tanh", "sin", "conj"])
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_special_cases_of_complex_numbers_are_numpys(name):
    x = PAIRS[0] + 1j * PAIRS[1]
    expected = getattr(np, name)(x)
    np.testing.assert_array_equal(getattr(gn, name)(x), expected)


@pytest.mark.parametrize("dtype", [f"{u}int{bits}" for u in ("", "u") for bits in (8, 16, 32, 64)])
def test_whole_numbers_stay_whole(dtype, strict):
    x, y = np.array([0, 1, 5, 100], dtype=dtype), np.array([1, 2, 3, 2], dtype=dtype)
    of_strict = [strict.asarray(a) for a in (x, y)]
    for name in ("abs", "ceil", "floor", "negative", "positive", "round", "sign", "trunc"):
        same(getattr(gn, name)(x), getattr(strict, name)(of_strict[0]))
    for name in (*WHOLE, "floor_divide", "maximum", "minimum", "multiply", "pow", "remainder"):
        same(getattr(gn, name)(x % 7, y), getattr(strict, name)(of_strict[0] % 7, of_strict[1]))


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.longdouble])
@pytest.mark.parametrize("name", [*ONE, *TWO])
def test_a_gradient_in_every_precision(name, dtype):
    """With Python numbers beside it too."""
    x = np.array([1.25, 1.5] if name == "acosh" else [0.25, 0.5], dtype=dtype)
    leaf = gn.Tensor(x, requires_grad=True)
    f = getattr(gn, name)
    for y in [f(leaf)] if name in ONE else [f(leaf, leaf), f(leaf, 2), f(2.5, leaf)]:
        assert y.dtype in (dtype, bool)
        if f.operator.differentiable:
            y.sum().backward()
            assert leaf.grad.dtype == dtype


def test_whole_numbers_to_a_negative_power():
    with pytest.raises(ValueError, match=r"^pow: .*negative integer powers"):
        gn.pow(gn.Tensor([2, 3]), -1)
    assert gn.pow(gn.Tensor([2.0, 4.0]), -1).data.tolist() == [0.5, 0.25]


@pytest.mark.parametrize("name", ["hypot", "logaddexp", "atan2", "copysign", "nextafter"])
def test_not_for_complex_numbers(name):
    with pytest.raises(TypeError, match=f"^{name} is not defined for complex"):
        getattr(gn, name)(gn.Tensor([1j]), 1.0)


# --- NaN is not masked ----------------------------------------------------------------------------


def test_relu_lets_nan_through_both_ways(torch):
    for x in ([nan, 1.0, -1.0, 0.0], [nan]):
        same_as_torch(torch, gn.relu, torch.relu, x)
    with np.errstate(invalid="ignore"):
        _, (found,) = gradients(lambda x: gn.relu(gn.sqrt(x)), [-1.0, 4.0])
    np.testing.assert_array_equal(found, [nan, 0.25])


@pytest.mark.parametrize("name", ["maximum", "minimum"])
def test_maximum_and_minimum_let_nan_through(name, torch):
    x1, x2 = [nan, 1.0, nan, 2.0, 3.0, inf], [1.0, nan, nan, 2.0, 4.0, inf]
    same_as_torch(torch, getattr(gn, name), getattr(torch, name), x1, x2)
    _, (found,) = gradients(lambda x: getattr(gn, name)(x, 0.0), [nan])
    assert found.tolist() == [1.0], "with a Python number too"


def test_clip_of_nan(torch):
    x = [nan, 0.0, 2.0, 1.0, 0.0, 0.0, nan]
    low, high = [-1.0, -1.0, -1.0, -1.0, nan, -1.0, nan], [1.0, 1.0, 1.0, 1.0, 1.0, nan, 1.0]
    same_as_torch(torch, gn.clip, torch.clamp, x, low, high)
    same_as_torch(
        torch, lambda x: gn.clip(x, -1.0, 1.0), lambda x: torch.clamp(x, -1.0, 1.0), x
    )  # fmt: skip
    same_as_torch(torch, lambda x: gn.clip(x, -1.0), lambda x: torch.clamp(x, -1.0), x)


def test_sign_of_nan_is_nan():
    y, (found,) = gradients(gn.sign, [nan, -0.0])
    np.testing.assert_array_equal(y, [nan, 0.0])
    assert found.tolist() == [0.0, 0.0]


# --- Clip -----------------------------------------------------------------------------------------


def test_clip_without_bounds_is_a_copy():
    x = np.array([1.0, 2.0])
    y = gn.clip(x)
    assert y.tolist() == [1.0, 2.0]
    assert not np.shares_memory(x, y)
    assert gn.gradcheck(gn.clip, x)


def test_clip_takes_bounds_by_keyword_and_beyond_the_dtype():
    x = np.array([1, 50, 200], dtype=np.uint8)
    same(gn.clip(x, min=-5, max=100), np.array([1, 50, 100], dtype=np.uint8))
    same(gn.clip(x, max=np.array([0, 60, 255], np.uint8)), np.array([0, 50, 200], np.uint8))
    same(gn.clip(gn.Tensor(np.float32([1, 3])), 2, 2.5).data, np.float32([2, 2.5]))
    same(gn.clip(np.array([1, 5]), 2.5), np.array([2.5, 5.0]))


def test_clip_by_bounds_alone_that_need_a_gradient():
    low = gn.Tensor([0.0, 2.0], requires_grad=True)
    gn.clip(np.array([1.0, 1.0]), low, 5.0).sum().backward()
    assert low.grad.tolist() == [0.0, 1.0]


# --- New in this chapter --------------------------------------------------------------------------


def test_copysign_at_zero(torch):
    x1, x2 = [0.0, -0.0, 1.0, -2.0, 3.0], [1.0, -1.0, -0.0, 0.0, -inf]
    same_as_torch(torch, gn.copysign, torch.copysign, x1, x2)


def test_nextafter():
    assert gn.nextafter(np.float32(1), 2.0) == np.nextafter(np.float32(1), np.float32(2))
    _, found = gradients(gn.nextafter, [1.0, -inf], [2.0, 0.0])
    assert [g.tolist() for g in found] == [[1.0, 1.0], [0.0, 0.0]]


def test_remainder_of_infinities(torch):
    """5 % -∞ is -∞ and 5 % ∞ is 5: all of x2 is in it, or nothing."""
    same_as_torch(torch, gn.remainder, torch.remainder, [5.0, -5.0, 5.0], [-inf, inf, inf])


def test_shifts():
    x = gn.Tensor([1, 2, -4])
    assert gn.bitwise_left_shift(x, 2).data.tolist() == [4, 8, -16]
    assert gn.bitwise_right_shift(x, gn.Tensor([0, 1, 1])).data.tolist() == [1, 1, -2]
    with pytest.raises(TypeError, match=r"^bitwise_left_shift is not defined for float64"):
        gn.bitwise_left_shift(gn.Tensor([1.0]), 1)


def test_numbers_alone():
    assert (gn.real(2.0), gn.imag(2.0), gn.conj(1 - 2j), gn.imag(1 - 2j)) == (2, 0, 1 + 2j, -2)
    assert gn.sigmoid(0.0) == 0.5


def test_sigmoid_of_complex_numbers(torch):
    z = np.array([1 + 2j, -3 - 0.5j])
    leaf, peer = gn.Tensor(z, requires_grad=True), torch.tensor(z, requires_grad=True)
    y, expected = gn.sigmoid(leaf), torch.sigmoid(peer)
    np.testing.assert_allclose(y.data, expected.detach().numpy(), rtol=1e-13)
    y.backward(z)
    (gradient,) = torch.autograd.grad(expected, peer, torch.tensor(z))
    np.testing.assert_allclose(leaf.grad, gradient.resolve_conj().numpy(), rtol=1e-13)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_power_of_one_half_is_no_square_root(dtype):
    """At -0 and -infinity they differ, and NumPy's `x ** 0.5` is the root."""
    x = np.array([-0.0, -np.inf, np.inf, 0.0, 4.0, -4.0, np.nan], dtype)
    expected = np.array([0.0, np.inf, np.inf, 0.0, 2.0, np.nan, np.nan], dtype)
    half = np.asarray(0.5, dtype)
    with np.errstate(invalid="ignore"):
        written = gn.Tensor(x.copy())
        written **= 0.5
        found = [gn.Tensor(x) ** 0.5, gn.Tensor(x, requires_grad=True) ** 0.5, written]
        found += [gn.pow(gn.Tensor(x), gn.Tensor(half)), gn.Tensor(x[:1]) ** gn.Tensor(half)]
        found += [gn.Tensor(x[0]) ** 0.5]
    for y in found:
        assert y.dtype == dtype
        expected_here = expected[: y.size].reshape(y.shape)
        np.testing.assert_array_equal(y.data, expected_here)
        np.testing.assert_array_equal(np.signbit(y.data), np.signbit(expected_here))


@pytest.mark.parametrize("dtype", ["complex64", "complex128"])
def test_expm1_of_complex_infinities(dtype):
    """The Array API standard's table, of which NumPy's expm1 has another idea."""
    inf, nan = np.inf, np.nan
    x = [complex(inf, 0), complex(-inf, inf), complex(-inf, nan), complex(inf, inf), -0.0 + 0j]
    real, imaginary = [inf, -1, -1, inf, 0.0], [0, 0, 0, nan, 0.0]
    with np.errstate(invalid="ignore"):
        for y in (
            gn.expm1(gn.asarray(x, dtype=dtype)),
            gn.stack([gn.expm1(gn.asarray(v, dtype=dtype)) for v in x]),
        ):
            assert y.dtype == dtype
            np.testing.assert_array_equal(y.data.real, real)
            np.testing.assert_array_equal(np.abs(y.data.imag), imaginary)
            assert not np.signbit(y.data.real[-1])


def test_divmod():
    x = gn.Tensor([5.5, -5.5], requires_grad=True)
    for pair, expected in (
        (divmod(x, 2.0), divmod(x.data, 2.0)),
        (divmod(2.0, x), divmod(2.0, x.data)),
        (divmod(x, gn.Tensor(2.0)), divmod(x.data, 2.0)),
    ):
        for ours, theirs in zip(pair, expected, strict=True):
            np.testing.assert_array_equal(ours.data, theirs)
    divmod(2.0, x)[1].sum().backward()
    assert x.grad.tolist() == [0.0, 1.0]


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "int64"])
def test_where_of_large_arrays_is_numpys_to_the_bit(dtype):
    """It chooses among the elements' bits: a NaN, an infinity and -0.0 are what they were."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((100, 60)).astype(dtype)
    y = np.asfortranarray(x[::-1] * 3)
    if dtype != "int64":
        x[:3] = [[np.nan], [-np.inf], [-0.0]]
    condition = rng.random(x.shape) < 0.5
    for c, a, b in (
        (condition, x, y), (condition, y, x), (condition, x, 2), (condition, -1.5, x),
        (condition, x, y[:1]), (condition[:1], x, y), (condition.T, x.T, y.T),
    ):  # fmt: skip
        found, expected = gn.where(c, a, b), np.where(c, a, b)
        assert found.dtype == expected.dtype
        np.testing.assert_array_equal(found, expected)
        np.testing.assert_array_equal(np.signbit(found), np.signbit(expected))
