"""Running sums, products and extremes; differences and integrals: edges, and the compositions."""

import numpy as np
import pytest

import gradnerve as gn


def leaf(x, **options):
    return gn.Tensor(x, requires_grad=True, **options)


def gradient(f, *arrays):
    """The gradients of a weighed sum of f by each array, and the weights."""
    leaves = [leaf(np.asarray(a, dtype=float)) for a in arrays]
    y = f(*leaves)
    ct = np.random.default_rng(2).standard_normal(y.shape)
    y.backward(ct)
    return [x.grad for x in leaves], ct


# --- Sums and products ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["cumulative_sum", "cumulative_prod"])
@pytest.mark.parametrize("initial", [False, True])
@pytest.mark.parametrize("shape, axis", [((4,), None), ((2, 3), 0), ((2, 3), -1), ((0,), None),
                                         ((0, 2), 0), ((0, 2), 1), ((1, 1), 1)])  # fmt: skip
def test_cumulative(name, initial, shape, axis, rng):
    x = rng.standard_normal(shape)
    f = getattr(gn, name)
    y = f(gn.Tensor(x), axis=axis, include_initial=initial)
    expected = getattr(np, name)(x, axis=axis, include_initial=initial)
    np.testing.assert_allclose(y.data, expected, rtol=1e-13)
    assert y.dtype == expected.dtype
    plain = f(x, axis=axis, include_initial=initial)
    assert type(plain) is np.ndarray, "an array gives an array"
    np.testing.assert_array_equal(plain, y.data)
    assert gn.gradcheck(lambda x: f(x, axis=axis, include_initial=initial), x, order=2)


@pytest.mark.parametrize("name", ["cumulative_sum", "cumulative_prod", "sum", "prod", "cumsum"])
@pytest.mark.parametrize("kind", ["int8", "int32", "uint8", "uint32", "bool", "float32", "float16"])
def test_default_accumulator(name, kind):
    """Small integers add up to int64, unsigned ones to uint64; floating point stays."""
    if (name, kind) in [("cumulative_sum", "bool"), ("cumulative_prod", "bool")]:
        pytest.skip("the standard has numbers only")
    y = getattr(gn, name)(gn.Tensor(np.ones(3, kind)))
    wide = {"int8": "int64", "int32": "int64", "uint8": "uint64", "uint32": "uint64"}
    assert y.dtype == wide.get(kind, "int64" if kind == "bool" else kind)


@pytest.mark.parametrize("name", ["cumulative_sum", "cumulative_prod", "sum", "prod"])
def test_dtype(name):
    f = getattr(gn, name)
    x = leaf(np.array([1.5, 2.5], np.float32))
    y = f(x, dtype=np.float64)
    assert y.dtype == np.float64
    y.backward(np.ones(y.shape))
    assert x.grad.dtype == np.float32
    np.testing.assert_allclose(x.grad, gradient_by_float64(f))
    # Whole numbers are steps: the gradient through them is 0, as for astype.
    x = leaf([1.5, 2.5])
    y = f(x, dtype=np.int64)
    assert y.dtype == np.int64
    y.backward(np.ones(y.shape, np.int64))
    np.testing.assert_array_equal(x.grad, [0.0, 0.0])


def gradient_by_float64(f):
    x = leaf([1.5, 2.5])
    y = f(x)
    y.backward(np.ones(y.shape))
    return x.grad


def test_several_axes_need_a_name():
    with pytest.raises(ValueError, match=r"cumulative_sum: x of shape \(2, 3\) has 2 axes: say"):
        gn.cumulative_sum(np.ones((2, 3)))
    with pytest.raises(ValueError, match=r"cumulative_prod: x of shape \(\) has 0 axes"):
        gn.cumulative_prod(gn.Tensor(1.0))
    with pytest.raises(
        np.exceptions.AxisError, match="cumulative_sum: there is no axis 2: the arr"
    ):
        gn.cumulative_sum(np.ones((2, 3)), axis=2)


@pytest.mark.parametrize("zeros", [[0], [3], [9], [2, 5], [0, 1], [8, 9], list(range(10))])
def test_cumprod_is_exact_at_zeros(zeros, rng, torch):
    """The quotient y / x would be 0 / 0 there. The second derivative is exact as well."""
    x = rng.uniform(0.5, 2, 10)
    x[zeros] = 0.0
    [got], ct = gradient(lambda x: gn.cumprod(x, 0), x)
    # By hand: the product of all others up to j, for each j ≥ i.
    expected = [
        sum(ct[j] * np.prod(np.delete(x[: j + 1], i)) for j in range(i, 10)) for i in range(10)
    ]
    np.testing.assert_allclose(got, expected, rtol=1e-12)
    peer = torch.tensor(x, requires_grad=True)
    [found] = torch.autograd.grad(torch.cumprod(peer, 0), peer, torch.tensor(ct))
    np.testing.assert_allclose(got, found, rtol=1e-12)
    assert gn.gradcheck(lambda x: gn.cumprod(x, 0), x, order=2)


def test_cumprod_with_an_infinity():
    """No ∞ · 0 arises on the way from places behind the end."""
    x = leaf([2.0, 3.0, np.inf, 1.0, 1.0])
    gn.cumprod(x, 0).backward(np.ones(5))
    np.testing.assert_array_equal(x.grad, [np.inf, np.inf, 18.0, np.inf, np.inf])


# --- logcumsumexp ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "x",
    [[1000.0, 1001.0, -1000.0, 1000.5], [-np.inf, 0.5, 1.0], [-np.inf, -np.inf],
     [0.0, -np.inf, 1.0], [-1e4, 0.0, 1e4], [1e4, 0.0, -1e4]],
)  # fmt: skip
def test_logcumsumexp_does_not_overflow(x, torch):
    [got], ct = gradient(lambda x: gn.logcumsumexp(x, 0), x)
    peer = torch.tensor(x, dtype=torch.float64, requires_grad=True)
    y = torch.logcumsumexp(peer, 0)
    np.testing.assert_allclose(gn.logcumsumexp(np.array(x), 0), y.detach().numpy(), rtol=1e-14)
    # Where everything is -∞ PyTorch has NaN; there is nothing to weigh, so 0, as for logsumexp.
    [found] = torch.autograd.grad(y, peer, torch.tensor(ct))
    np.testing.assert_allclose(got, np.nan_to_num(found.numpy()), rtol=1e-9, atol=1e-12)


def test_logcumsumexp_is_linear_in_a_cotangent_of_either_sign(rng):
    assert gn.gradcheck(lambda x: gn.logcumsumexp(x, 0), rng.standard_normal(9) * 3, order=2)


# --- Running extremes -----------------------------------------------------------------------------

RUNS = [
    [1.0, 1.0, 3.0, 3.0, 2.0, np.nan, 4.0, np.nan, 1.0], [3.0, 3.0, 1.0, 1.0, 0.0, 5.0],
    [np.inf, 1.0, -np.inf], [2.0], [np.nan, 1.0],
]  # fmt: skip


@pytest.mark.parametrize("name", ["cummax", "cummin"])
@pytest.mark.parametrize("x", RUNS)
def test_running_extremes_ties_and_nan_as_pytorch(name, x, torch):
    got = getattr(gn, name)(leaf(x), 0)
    peer = torch.tensor(x, dtype=torch.float64, requires_grad=True)
    expected = getattr(torch, name)(peer, 0)
    np.testing.assert_array_equal(got.values.data, expected.values.detach())
    np.testing.assert_array_equal(got.indices.data, expected.indices)
    assert not got.indices.requires_grad
    [mine], ct = gradient(lambda x: getattr(gn, name)(x, 0)[0], x)
    [found] = torch.autograd.grad(expected.values, peer, torch.tensor(ct))
    np.testing.assert_allclose(mine, found)


@pytest.mark.parametrize("name", ["cummax", "cummin"])
@pytest.mark.parametrize("shape, axis", [((4,), 0), ((2, 3), 0), ((2, 3), -1), ((2, 3, 2), 1),
                                         ((0, 3), 1), ((0, 3), 0)])  # fmt: skip
def test_running_extremes(name, shape, axis, rng):
    x = rng.permutation(int(np.prod(shape))).reshape(shape) * 1.0
    values, indices = getattr(gn, name)(x, axis)
    assert type(values) is type(indices) is np.ndarray
    ufunc = np.maximum if name == "cummax" else np.minimum
    np.testing.assert_array_equal(values, ufunc.accumulate(x, axis=axis))
    np.testing.assert_array_equal(np.take_along_axis(x, indices, axis), values)
    assert gn.gradcheck(lambda x: getattr(gn, name)(x, axis)[0], x, order=2)
    with pytest.raises(np.exceptions.AxisError, match=f"{name}: there is no axis 7"):
        getattr(gn, name)(x, 7)


# --- Differences and integrals --------------------------------------------------------------------


@pytest.mark.parametrize(
    "shape, options",
    [((4,), {}), ((4,), {"n": 2}), ((4,), {"n": 0}), ((2, 3), {"axis": 0}), ((2, 3), {"n": 5}),
     ((2, 3), {"prepend": 1.5}), ((2, 3), {"append": np.zeros((2, 2)), "n": 2}),
     ((2, 3), {"axis": 0, "prepend": np.ones((1, 3)), "append": 2.0}), ((0,), {}), ((1,), {})],
)  # fmt: skip
def test_diff(shape, options, rng):
    x = rng.standard_normal(shape)
    np.testing.assert_allclose(gn.diff(x, **options), np.diff(x, **options), rtol=1e-13)
    np.testing.assert_allclose(gn.diff(gn.Tensor(x), **options).data, np.diff(x, **options))
    assert gn.gradcheck(lambda x: gn.diff(x, **options), x, order=2)


def test_diff_of_what_is_joined(rng):
    x, ends = rng.standard_normal((2, 3)), rng.standard_normal((2, 1))
    assert gn.gradcheck(lambda x, e: gn.diff(x, prepend=e, append=e), (x, ends), order=2)
    assert gn.gradcheck(lambda x, e: gn.diff(x, axis=0, append=e), (x, np.array(1.5)), order=2)


def test_diff_of_other_kinds():
    np.testing.assert_array_equal(gn.diff(np.array([True, True, False])), [False, True])
    np.testing.assert_array_equal(gn.diff(np.array([1, 4, 9])), [3, 5])
    np.testing.assert_array_equal(gn.diff([1, 4, 9]), [3, 5])
    with pytest.raises(ValueError, match=r"diff: n is how many times to take differences.*not -1"):
        gn.diff(np.ones(3), n=-1)
    with pytest.raises(np.exceptions.AxisError, match="diff: there is no axis 1"):
        gn.diff(np.ones(3), axis=1)


def test_trapezoid(rng):
    y, x, places = rng.standard_normal((3, 4)), rng.standard_normal((3, 4)), rng.standard_normal(3)
    for options in ({}, {"dx": 0.5}, {"axis": 0}, {"x": x}, {"x": x[0]}, {"x": places, "axis": 0}):
        np.testing.assert_allclose(gn.trapezoid(y, **options), np.trapezoid(y, **options))
        assert gn.gradcheck(lambda y, o=options: gn.trapezoid(y, **o), y, order=2)
    assert gn.gradcheck(gn.trapezoid, (y, x), order=2)
    assert gn.gradcheck(lambda y, x: gn.trapezoid(y, x, axis=0), (y, places), order=2)
    assert gn.gradcheck(lambda y, dx: gn.trapezoid(y, dx=dx), (y, np.array(0.3)), order=2)


@pytest.mark.parametrize("dtype", ["int8", "uint16", "int32", "float32"])
@pytest.mark.parametrize("name", ["cumulative_sum", "cumulative_prod"])
def test_the_initial_value_has_the_dtype_that_was_asked_for(name, dtype):
    """Small integers are summed as int64 only where no dtype is named."""
    f = getattr(gn, name)
    x = gn.asarray([1, 2, 3], dtype="int8")
    y = f(x, dtype=dtype, include_initial=True)
    assert y.dtype == f(x, dtype=dtype).dtype == dtype
    assert y.tolist() == ([0, 1, 3, 6] if name == "cumulative_sum" else [1, 1, 2, 6])
    assert f(x, include_initial=True).dtype == "int64"
