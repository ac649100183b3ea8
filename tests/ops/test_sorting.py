"""Reductions, sorting, quantiles, sets, gather and scatter: edges, and the compositions."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gradnerve as gn

nan = np.nan


def leaf(x, **options):
    return gn.Tensor(x, requires_grad=True, **options)


def gradient(f, x):
    x = leaf(np.asarray(x, dtype=float))
    y = f(x)
    ct = np.random.default_rng(2).standard_normal(y.shape)
    y.backward(ct)
    return x.grad, ct


def torch_gradient(torch, f, x, ct):
    x = torch.tensor(np.asarray(x, dtype=float), requires_grad=True)
    return torch.autograd.grad(f(x), x, torch.tensor(ct))[0].numpy()


# --- Reductions -----------------------------------------------------------------------------------

EMPTY = "of no elements there is no greatest, smallest or middle one"


@pytest.mark.parametrize("name", ["max", "min", "argmax", "argmin", "ptp", "median", "nanmax"])
def test_of_no_elements_there_is_no_greatest(name):
    f = getattr(gn, name)
    with pytest.raises(ValueError, match=rf"the array is empty \(shape \(0, 3\)\), and {EMPTY}"):
        f(gn.Tensor(np.ones((0, 3))))
    with pytest.raises(ValueError, match=rf"axis 0 is empty \(shape \(0, 3\)\), and {EMPTY}"):
        f(np.ones((0, 3)), axis=0)
    assert f(np.ones((0, 3)), axis=1).shape == (0,), "each of these three is reduced: there are 0"


def test_mean_of_no_elements_is_nan():
    assert np.isnan(gn.mean(np.zeros((0, 3))))
    assert gn.mean(np.zeros((0, 3), np.float32), axis=1).dtype == np.float32
    x = leaf(np.zeros((0, 3)))
    gn.mean(x).backward()
    assert x.grad.shape == (0, 3)


@pytest.mark.parametrize("name", ["max", "min"])
def test_nan_is_passed_on_with_its_gradient(name, torch):
    """As PyTorch's max(): the NaNs share the gradient, and the others get none."""
    f = getattr(gn, name)
    x = np.array([1.0, nan, 2.0, nan])
    got, ct = gradient(f, x)
    assert np.isnan(f(x))
    np.testing.assert_array_equal(got, torch_gradient(torch, getattr(torch, name), x, ct))
    table = np.array([[1.0, nan, 2.0], [3.0, 3.0, 0.0]])
    got, ct = gradient(lambda x: f(x, axis=1), table)
    assert np.isfinite(got).all()
    np.testing.assert_array_equal(got[0], [0.0, ct[0], 0.0])


def test_axis_out_of_range_says_which_there_are():
    for axis, text in ((2, r"axes 0 to 1 \(or -2 to -1\)"), (-3, "axes 0 to 1")):
        with pytest.raises(np.exceptions.AxisError, match=rf"there is no axis {axis}.* {text}"):
            gn.sum(np.ones((2, 3)), axis=axis)
    with pytest.raises(IndexError, match=r"argmax: there is no axis 1: the array has only axis 0"):
        gn.argmax(gn.Tensor([1.0]), axis=1)


AXES = [None, 0, 1, -1, (0, 1), (0, 2)]


@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("axis", AXES)
@pytest.mark.parametrize("name", ["nansum", "nanmean", "nanmax", "nanmin", "nanvar", "nanstd"])
def test_nan_functions(name, axis, keepdims, rng):
    x = rng.standard_normal((2, 3, 4))
    x[0, 1, 2] = x[1, 0, 0] = x[1, 2, 0] = nan
    f = getattr(gn, name)
    y = f(gn.Tensor(x), axis=axis, keepdims=keepdims)
    expected = getattr(np, name)(x, axis=axis, keepdims=keepdims)
    np.testing.assert_allclose(y.data, expected, rtol=1e-13)
    np.testing.assert_array_equal(f(x, axis=axis, keepdims=keepdims), y.data)
    got, _ = gradient(lambda x: f(x, axis=axis, keepdims=keepdims), x)
    np.testing.assert_array_equal(got[np.isnan(x)], 0.0, "no gradient goes to a NaN")
    # Without the NaNs, of which only the places are known, it is an ordinary function.
    places, there = np.isnan(x), ~np.isnan(x)

    def of_numbers(numbers):
        whole = gn.where(places, nan, gn.scatter_add(numbers, there, x.shape))
        return f(whole, axis=axis, keepdims=keepdims)

    assert gn.gradcheck(of_numbers, x[there], order=2)


@pytest.mark.parametrize("name", ["nanmean", "nanmax", "nanmin", "nanvar", "nanstd"])
def test_nan_functions_of_nothing_but_nan(name):
    y = getattr(gn, name)(gn.Tensor([[nan, nan], [1.0, 2.0]]), axis=1)
    assert np.isnan(y.data[0])
    assert not np.isnan(y.data[1])
    got, _ = gradient(lambda x: getattr(gn, name)(x, axis=1), [[nan, nan], [1.0, 2.0]])
    np.testing.assert_array_equal(got[0], 0.0)


def test_nan_functions_details():
    assert gn.nansum(np.array([nan])) == 0
    assert gn.nansum(np.array([nan, 2], np.float32)).dtype == np.float32
    assert gn.nanmean(np.array([nan, 2], np.float32)).dtype == np.float32
    assert gn.nanmax(np.array([1, 2])).dtype == gn.nanmin(np.array([1, 2])).dtype == np.int64
    assert gn.nanmin(np.array([2, 1])) == 1
    assert gn.nanmean([1, 2]) == 1.5
    x = np.array([1.0, nan, 4.0, 5.0])
    assert gn.nanvar(x, correction=1) == np.nanvar(x, ddof=1)
    assert np.isnan(gn.nanvar(x[:1], correction=1))
    z = np.array([1 + 2j, nan, 3 - 1j])
    np.testing.assert_allclose(gn.nanvar(z), np.nanvar(z))
    got, _ = gradient(gn.nanstd, [2.0, 2.0, nan])
    np.testing.assert_array_equal(got, 0.0, "no spread: 0, as for std")


@pytest.mark.parametrize("axis", [None, 0, 1, -1])
@pytest.mark.parametrize("keepdims", [False, True])
def test_average(axis, keepdims, rng):
    x, w = rng.standard_normal((2, 3)), rng.uniform(1, 2, (2, 3))
    for weights in (None, w) if axis is None else (None, w, w.sum(1 - axis % 2)):
        y = gn.average(x, axis, weights, keepdims)
        np.testing.assert_allclose(y, np.average(x, axis, weights, keepdims=keepdims), rtol=1e-13)
        if weights is not None:
            f = lambda x, w: gn.average(x, axis, w, keepdims)
            assert gn.gradcheck(f, (x, weights), order=2)
    with pytest.raises(ValueError, match=r"average: weights of shape \(5,\) do not fit x of shape"):
        gn.average(x, axis, np.ones(5))


def test_ptp(rng):
    x = rng.standard_normal((3, 4))
    np.testing.assert_array_equal(gn.ptp(x, axis=0, keepdims=True), np.ptp(x, 0, keepdims=True))
    assert gn.gradcheck(lambda x: gn.ptp(x, axis=1), x, order=2)


# --- Sorting --------------------------------------------------------------------------------------


def test_nan_is_sorted_last_and_is_the_greatest(torch):
    x = np.array([2.0, nan, 1.0, nan])
    np.testing.assert_array_equal(gn.sort(x), [1.0, 2.0, nan, nan])
    np.testing.assert_array_equal(gn.argsort(x), [2, 0, 1, 3])
    np.testing.assert_array_equal(gn.sort(x, descending=True), [nan, nan, 2.0, 1.0])
    np.testing.assert_array_equal(gn.topk(x[:3], 2).values, [nan, 2.0])
    got, ct = gradient(gn.sort, x)
    peer = torch_gradient(torch, lambda x: torch.sort(x, stable=True).values, x, ct)
    np.testing.assert_array_equal(got, peer)


def test_many_ties_follow_the_order_of_x_too(rng):
    """NumPy's sort, where it need not be stable, turns them around only from 17 elements on."""
    x, ct = rng.integers(0, 2, 1000) * 1.0, np.arange(1000.0)
    leaf = gn.Tensor(x, requires_grad=True)
    gn.sort(leaf).backward(ct)
    np.testing.assert_array_equal(leaf.grad[np.argsort(x, stable=True)], ct)


@pytest.mark.parametrize("descending", [False, True])
def test_ties_follow_the_order_of_x(descending, torch):
    x = np.array([2.0, 1.0, 2.0, 1.0, 2.0])
    got, ct = gradient(lambda x: gn.sort(x, descending=descending), x)
    peer = torch_gradient(
        torch, lambda x: torch.sort(x, stable=True, descending=descending).values, x, ct
    )
    np.testing.assert_array_equal(got, peer)


@pytest.mark.parametrize("largest", [True, False])
@pytest.mark.parametrize("shape, k, axis", [
    ((6,), 2, 0), ((3, 5), 3, 1), ((5, 3), 2, 0), ((2, 4, 3), 1, -2), ((3,), 3, 0), ((3,), 0, 0),
])  # fmt: skip
def test_topk(shape, k, axis, largest, rng, torch):
    x = rng.permutation(int(np.prod(shape))).reshape(shape) * 1.0
    values, indices = gn.topk(leaf(x), k, axis, largest)
    peer = torch.topk(torch.tensor(x), k, axis, largest)
    np.testing.assert_array_equal(values.data, peer.values.numpy())
    np.testing.assert_array_equal(indices.data, peer.indices.numpy())
    assert not indices.requires_grad
    assert gn.gradcheck(lambda x: gn.topk(x, k, axis, largest).values, x, order=2)


def test_topk_of_too_many():
    with pytest.raises(ValueError, match=r"topk: k=4 elements are asked for along axis -1, wh"):
        gn.topk(gn.Tensor([1.0, 2.0, 3.0]), 4)


def test_searchsorted():
    ladder, x = gn.Tensor([1.0, 2.0, 3.0]), leaf([2.0, 9.0])
    found = gn.searchsorted(ladder, x, side="right")
    np.testing.assert_array_equal(found.data, [2, 3])
    assert not found.requires_grad
    by = gn.searchsorted(gn.Tensor([3.0, 1.0, 2.0]), x, sorter=gn.Tensor([1, 2, 0]))
    np.testing.assert_array_equal(by.data, [1, 3])
    np.testing.assert_array_equal(gn.searchsorted([1.0, 2.0], [1.5]), [1])
    with pytest.raises(ValueError, match="searchsorted: side is 'left' or 'right', not 'up'"):
        gn.searchsorted(ladder, x, side="up")


# --- Quantiles ------------------------------------------------------------------------------------

METHODS = ["linear", "lower", "higher", "nearest", "midpoint"]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("n", [1, 2, 5, 8])
def test_quantiles_as_numpy(method, n, rng):
    x = rng.standard_normal((n, 3))
    for q in (0.0, 0.25, 0.3, 0.5, 0.77, 1.0, [0.1, 0.5], np.array([[0.2, 1.0], [0.5, 0.9]])):
        for options in ({"axis": 0}, {}, {"axis": (0, 1)}, {"axis": -2, "keepdims": True},
                        {"keepdims": True}):  # fmt: skip
            y = gn.quantile(x, q, method=method, **options)
            expected = np.quantile(x, q, method=method, **options)
            np.testing.assert_allclose(y, expected, rtol=1e-13, atol=1e-14)
            assert y.shape == expected.shape
    percent = gn.percentile(x, 30, axis=0, method=method)
    np.testing.assert_allclose(percent, np.percentile(x, 30, axis=0, method=method), rtol=1e-13)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("q", [0.0, 0.3, 0.5, 1.0, [0.1, 0.6, 0.6]])
def test_gradient_of_quantiles(method, q, rng, torch):
    x = rng.permutation(15).reshape(5, 3) * 0.7
    f = lambda x: gn.quantile(x, q, axis=0, method=method)
    assert gn.gradcheck(f, x, order=2)
    got, ct = gradient(f, x)
    at = torch.tensor(q, dtype=torch.float64)
    peer = torch_gradient(
        torch, lambda x: torch.quantile(x, at, dim=0, interpolation=method), x, ct
    )
    np.testing.assert_allclose(got, peer, rtol=1e-12, atol=1e-14)


def test_quantiles_by_q(rng):
    x = rng.standard_normal((6, 2))
    q = np.array([0.13, 0.57, 0.9])
    assert gn.gradcheck(lambda x, q: gn.quantile(x, q, axis=0), (x, q), order=2)
    with pytest.raises(NotImplementedError, match="quantile: by method 'lower' the result is a st"):
        gn.quantile(x, leaf(0.5), method="lower")


def test_nan_in_quantiles(torch):
    x = np.array([[1.0, nan, 3.0, 2.0], [4.0, 1.0, 2.0, 3.0]])
    for f in (gn.median, lambda x, axis: gn.quantile(x, 0.3, axis)):
        y = f(x, axis=1)
        assert np.isnan(y[0])
        assert np.isfinite(y[1])
    got, ct = gradient(lambda x: gn.quantile(x, 0.3, 1), x)
    peer = torch_gradient(torch, lambda x: torch.quantile(x, 0.3, dim=1), x, ct)
    np.testing.assert_allclose(got, peer, rtol=1e-12)


@pytest.mark.parametrize("axis", [None, 0, 1, (0, 1)])
@pytest.mark.parametrize("shape", [(3, 4), (2, 5), (1, 1)])
def test_median(axis, shape, rng):
    x = rng.permutation(int(np.prod(shape))).reshape(shape) * 1.1
    for keepdims in (False, True):
        y = gn.median(x, axis, keepdims)
        np.testing.assert_allclose(y, np.median(x, axis, keepdims=keepdims), rtol=1e-14)
    assert gn.gradcheck(lambda x: gn.median(x, axis), x, order=2)


def test_quantiles_of_other_kinds():
    assert gn.median([1, 2, 4, 5]) == 3.0
    assert gn.median(np.array([1, 2], np.float32)).dtype == np.float32
    assert gn.quantile(np.array([1.0, np.inf]), 0.0) == 1.0
    assert gn.quantile(np.array([1, 5]), 0.25) == 2.0
    with pytest.raises(ValueError, match=r"quantile: q has to be in the range \[0, 1\]"):
        gn.quantile([1.0], 1.5)
    with pytest.raises(ValueError, match=r"percentile: q has to be in the range \[0, 100\]"):
        gn.percentile([1.0], -3)
    with pytest.raises(ValueError, match=r"quantile: q has to be in the range"):
        gn.quantile([1.0], nan)
    with pytest.raises(ValueError, match="quantile: method is one of linear, lower, higher, neare"):
        gn.quantile([1.0], 0.5, method="hazen")
    with pytest.raises(ValueError, match=r"^median: the array is empty"):
        gn.median(np.zeros(0))
    with pytest.raises(np.exceptions.AxisError, match="median: there is no axis 1"):
        gn.median(np.zeros(2), axis=1)


# --- Sets -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["unique_values", "unique_counts", "unique_inverse", "unique_all"])
def test_sets(name):
    f = getattr(gn, name)
    x = np.array([[3.0, 1.0], [3.0, 2.0]])
    expected = getattr(np, name)(x)
    for kind in (np.asarray, gn.Tensor):
        got = f(kind(x))
        pairs = zip(got, expected, strict=True) if isinstance(got, tuple) else [(got, expected)]
        for a, b in pairs:
            assert type(a) is (gn.Tensor if kind is gn.Tensor else np.ndarray), "like in, like out"
            np.testing.assert_array_equal(np.asarray(a), b)
        assert getattr(got, "_fields", ()) == getattr(expected, "_fields", ())
    with pytest.raises(NotImplementedError, match=f"{name} has no derivative: .*gn.take"):
        f(leaf(x))
    with gn.no_grad():
        f(leaf(x))


def test_the_cure_for_sets():
    """What the message of unique_values says to write."""
    x = leaf([3.0, 1.0, 3.0])
    y = gn.take(x, gn.unique_all(x.detach()).indices)
    np.testing.assert_array_equal(y.data, [1.0, 3.0])
    y.backward(np.array([10.0, 20.0]))
    np.testing.assert_array_equal(x.grad, [20.0, 10.0, 0.0])


def test_nonzero():
    x = leaf([[0.0, 2.0], [nan, 0.0]])
    rows, columns = gn.nonzero(x)
    assert type(rows) is gn.Tensor
    assert not rows.requires_grad
    np.testing.assert_array_equal(x[rows, columns].data, [2.0, nan])
    assert type(gn.nonzero(np.ones(2))[0]) is np.ndarray
    with pytest.raises(ValueError, match="nonzero: a single number has no axes"):
        gn.nonzero(gn.Tensor(1.0))


# --- Index arrays ---------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [list, np.array, gn.Tensor, tuple])
def test_index_arrays_of_every_kind(kind, rng):
    x = rng.standard_normal((3, 4))
    index = kind([2, 0, -1])
    np.testing.assert_array_equal(gn.take(x, index, axis=1), x[:, [2, 0, -1]])
    for call in (
        lambda x: gn.take(x, index, axis=0), lambda x: gn.take(x, index),
        lambda x: gn.take_along_axis(x[:, :3], gn.gather(gn.Tensor([2, 0, 1]), 0, index)[None], 1),
        lambda x: gn.index_add(x[:, :3], 0, index, x[:, 1:], alpha=2.0),
    ):  # fmt: skip
        assert gn.gradcheck(call, x, order=2)


@pytest.mark.parametrize("shape, index, axis", [
    ((4,), [1, 1, -1], 0), ((3, 4), [0, 2, 2], 0), ((3, 4), [0, 2, 2], -1), ((3, 4), [], 1),
    ((2, 3, 4), [[0, 1], [1, 1]], 1), ((3, 4), 1, 0), ((3, 4), [5, 0], None), ((), [0, 0], None),
])  # fmt: skip
def test_take(shape, index, axis, rng):
    x = rng.standard_normal(shape)
    expected = np.take(x, np.asarray(index, dtype=int), axis)
    np.testing.assert_array_equal(gn.take(x, index, axis), expected)
    np.testing.assert_array_equal(gn.take(gn.Tensor(x), index, axis=axis).data, expected)
    assert gn.gradcheck(lambda x: gn.take(x, index, axis), x, order=2)


@pytest.mark.parametrize("shape, index, axis", [
    ((3, 4), (3, 2), -1), ((3, 4), (5, 4), 0), ((3, 4), (1, 2), 1), ((1, 4), (3, 2), 1),
    ((2, 3, 2), (2, 1, 2), 1), ((3,), (0,), 0),
])  # fmt: skip
def test_along_an_axis(shape, index, axis, rng):
    x = rng.standard_normal(shape)
    index = rng.integers(-shape[axis], shape[axis], index)
    expected = np.take_along_axis(x, index, axis)
    np.testing.assert_array_equal(gn.take_along_axis(x, index, axis), expected)
    assert gn.gradcheck(lambda x: gn.take_along_axis(x, index, axis), x, order=2)
    values = np.asarray(rng.standard_normal(expected.shape))
    mine = np.copy(x)
    np.put_along_axis(mine, index, values, axis)
    np.testing.assert_array_equal(gn.put_along_axis(x, index, values, axis), mine)
    assert gn.gradcheck(lambda x, v: gn.put_along_axis(x, index, v, axis), (x, values), order=2)


def test_put_leaves_x_alone(rng):
    x = leaf([1.0, 2.0])
    y = gn.put_along_axis(x, [0], [5.0])
    np.testing.assert_array_equal(x.data, [1.0, 2.0])
    np.testing.assert_array_equal(y.data, [5.0, 2.0])


@pytest.mark.parametrize("axis, index", [
    (0, [[0, 1, 2], [2, 0, 0]]), (1, [[0, 0], [2, 1]]), (-1, [[3]]), (0, [[1, 1, 1, 1]]),
])  # fmt: skip
def test_gather_and_scatter_as_pytorch(axis, index, rng, torch):
    x, index = rng.standard_normal((3, 4)), np.array(index)
    src = rng.standard_normal(index.shape)
    at = torch.tensor(index)
    got, ct = gradient(lambda x: gn.gather(x, axis, index), x)
    np.testing.assert_array_equal(gn.gather(x, axis, index), torch.tensor(x).gather(axis, at))
    np.testing.assert_allclose(got, torch_gradient(torch, lambda x: x.gather(axis, at), x, ct))
    assert gn.gradcheck(lambda x: gn.gather(x, axis, index), x, order=2)

    expected = torch.tensor(x).scatter_add(axis, at, torch.tensor(src)).numpy()
    np.testing.assert_allclose(gn.scatter(x, axis, index, src, reduce="add"), expected)
    expected = torch.tensor(x).scatter(axis, at, torch.tensor(src)).numpy()
    np.testing.assert_array_equal(gn.scatter(x, axis, index, src), expected)
    for reduce in (None, "add"):
        f = lambda x, src: gn.scatter(x, axis, index, src, reduce)  # noqa: B023
        assert gn.gradcheck(f, (x, src), order=2)
        assert gn.gradcheck(f, (x, np.array(1.5)), order=2)
    larger = np.pad(src, ((0, 1), (0, 2)), constant_values=7.0)
    np.testing.assert_array_equal(gn.scatter(x, axis, index, larger), expected)


def test_scatter_of_a_repeated_place():
    """The last value stays, and it alone has a gradient. (PyTorch gives one to each.)"""
    src = leaf([1.0, 2.0, 3.0])
    y = gn.scatter(np.zeros(2), 0, [1, 1, 0], src)
    np.testing.assert_array_equal(y.data, [3.0, 2.0])
    y.backward(np.array([10.0, 20.0]))
    np.testing.assert_array_equal(src.grad, [0.0, 20.0, 10.0])


def test_index_add(rng, torch):
    x, source = rng.standard_normal((3, 4)), rng.standard_normal((3, 5))
    index = np.array([3, 0, 0, 1, 3])
    expected = torch.tensor(x).index_add(1, torch.tensor(index), torch.tensor(source), alpha=2)
    np.testing.assert_allclose(gn.index_add(x, 1, index, source, alpha=2), expected.numpy())
    f = lambda x, source: gn.index_add(x, -1, index, source)
    assert gn.gradcheck(f, (x, source), order=2)


MESSAGES = [
    (lambda x: x[5], "index 5 is out of range for axis 0, which has length 2: write -2 to 1"),
    (lambda x: x[0, -4], "index -4 is out of range for axis 1, which has length 3"),
    (lambda x: x[..., [0, 7]], "index 7 is out of range for axis 1, which has length 3"),
    (lambda x: x[gn.Tensor([9])], "index 9 is out of range for axis 0"),
    (lambda x: x[0, 0, 0], r"3 indices for an array of shape \(2, 3\), which has 2 axes"),
    (lambda x: x[np.ones(3, bool)], r"a mask of shape \(3,\) does not fit axes of shape \(2,\): a "
     r"mask has the shape of what it chooses from. To choose along axis 1, write x\[:, mask\]"),
    (lambda x: x[np.ones((2, 1), bool)], r"shape \(2, 1\) does not fit axes of shape \(2, 3\).*"
     "gn.broadcast_to"),
    (lambda x: x[np.ones((2, 3, 1), bool)], r"a mask of shape \(2, 3, 1\) does not fit axes"),
    (lambda x: x[:, np.ones(4, bool)], r"a mask of shape \(4,\) does not fit axes of shape \(3,\)"),
    (lambda x: x[np.ones(0, int), [0, 1]], r"shapes \(0,\) and \(2,\) do not broadcast together"),
    (lambda x: x[np.array([0.5])], r"an index of dtype float64: .*write .astype\(int\)"),
    (lambda x: x[0.5], "an index of type float: indices are integers, slices, None or arrays"),
    (lambda x: x["a"], "an index of type str"),
    (lambda x: x[[0, 1], [0, 1, 2]], r"shapes \(2,\) and \(3,\) do not broadcast together"),
    (lambda x: x[:0][0], "index 0 is out of range for axis 0, which is empty"),
    (lambda x: gn.take(x, [3], axis=1), "take: index 3 is out of range for axis 1"),
    (lambda x: gn.take(x, [0.5], axis=1), "take: an index of dtype float64"),
    (lambda x: gn.take(x, [0], axis=2), "take: there is no axis 2"),
    (lambda x: gn.take_along_axis(x, [[3]]), "take_along_axis: index 3 is out of range for axis 1"),
    (lambda x: gn.take_along_axis(x, [0]), r"take_along_axis: indices of shape \(1,\) do not fit x "
     r"of shape \(2, 3\): they have as many axes, and all but axis 1 have to be equal, or 1"),
    (lambda x: gn.gather(x, 1, [[0], [0], [0]]), "gather: .* be no longer than those of x"),
    (lambda x: gn.gather(x, 0, [[2]]), "gather: index 2 is out of range for axis 0"),
    (lambda x: gn.scatter(x, 0, [[0, 1]], [[1.0]]), r"scatter: src of shape \(1, 1\) has no elem"),
    (lambda x: gn.scatter(x, 0, [[-3]], 1.0), "scatter: index -3 is out of range for axis 0"),
    (lambda x: gn.index_add(x, 0, [2], x[:1]), "index_add: index 2 is out of range for axis 0"),
]  # fmt: skip


@pytest.mark.parametrize("f, text", MESSAGES, ids=[text[:40] for _, text in MESSAGES])
def test_an_index_that_does_not_fit(f, text):
    with pytest.raises(IndexError, match=text):
        f(leaf(np.ones((2, 3))))


def test_other_misfits():
    with pytest.raises(
        ValueError, match=r"index_add: source of shape \(2, 3\) does not fit x of s"
    ):
        gn.index_add(np.ones((2, 3)), 0, [0], np.ones((2, 3)))
    with pytest.raises(ValueError, match="scatter: reduce is None or 'add', not 'mean'"):
        gn.scatter(np.ones(2), 0, [0], 1.0, reduce="mean")
    with pytest.raises(IndexError, match="index 4 is out of range for axis 0, which has length 3"):
        gn.scatter_add(np.ones((1, 2)), np.array([4]), (3, 2))


# --- scatter_add, quick for rows ------------------------------------------------------------------


def by_add_at(x, key, shape):
    out = np.zeros(shape, x.dtype)
    np.add.at(out, key, x)
    return out


@pytest.mark.parametrize("kind", ["f2", "f4", "f8", "g", "c8", "c16", ">f4", "i4", "u1"])
@pytest.mark.parametrize("n, width, count", [
    (65, (128,), 1024), (9, (3,), 5000), (5, (), 6000), (4, (2, 3), 7), (4, (40, 50), 30),
    (3, (0,), 5), (6, (4,), 0), (1, (9000,), 2),
])  # fmt: skip
def test_scatter_add_of_rows(kind, n, width, count, rng):
    x = rng.integers(-8, 9, (count, *width)).astype(kind)
    for places in (rng.integers(-n, n, count), rng.integers(0, n, count).astype(np.uint8),
                   rng.integers(0, 1, count)):  # fmt: skip
        got = gn.scatter_add(x, places, (n, *width))
        if kind == "f2" and count > 1000:
            continue  # add.at rounds after each of them
        np.testing.assert_array_equal(got, by_add_at(x, places, (n, *width)))
        assert got.dtype == x.dtype


def test_scatter_add_of_rows_named_by_several_arrays(rng):
    i, j = rng.integers(-4, 4, (6, 50)), rng.integers(0, 3, (50,))
    x = rng.integers(-8, 9, (6, 50, 40)) * 1.0
    for key, shape in (((i, j), (4, 3, 40)), (i, (4, 50, 40))):
        numbers = x if len(shape) == 3 and key is not i else rng.integers(-8, 9, (6, 50, 50, 40))
        numbers = np.asarray(numbers, dtype=float)
        np.testing.assert_array_equal(
            gn.scatter_add(numbers, key, shape), by_add_at(numbers, key, shape)
        )


def test_scatter_add_keeps_a_nan_to_its_row(rng):
    """A product with zeros would spread it."""
    x = rng.standard_normal((400, 64))
    x[7] = nan
    x[8] = np.inf
    places = np.arange(400) % 20
    got = gn.scatter_add(x, places, (20, 64))
    assert np.isnan(got[7]).all()
    assert np.isinf(got[8]).all()
    assert np.isfinite(np.delete(got, [7, 8], axis=0)).all()


@settings(max_examples=60, deadline=None, derandomize=True)
@given(seed=st.integers(0, 10_000), ndim=st.integers(1, 3), several=st.integers(0, 3))
def test_scatter_add_of_any_key(seed, ndim, several):
    """Integers, slices, None, masks and arrays, mixed at random, against NumPy's add.at."""
    rng = np.random.default_rng(seed)
    shape = tuple(rng.integers(1, 4, ndim))
    size = rng.integers(0, 4)
    kinds = [
        lambda n: int(rng.integers(-n, n)),
        lambda n: slice(int(rng.integers(0, n)), n),
        lambda n: rng.integers(-n, n, size),
        lambda n: rng.integers(-n, n, (2, size)).tolist(),
        lambda n: slice(None),
    ]
    key = tuple(kinds[rng.integers(0, 5)](n) for n in shape[: max(several, 1)])
    if rng.integers(0, 3) == 0:
        key = (None, *key)
    x = np.zeros(shape)[key]
    x = np.asarray(rng.integers(-8, 9, x.shape), dtype=float)
    np.testing.assert_array_equal(gn.scatter_add(x, key, shape), by_add_at(x, key, shape))


def test_gradients_of_rows_share_nothing(rng):
    """The gradient is the user's, also where it comes out of the sparse product."""
    table = leaf(rng.standard_normal((65, 128)))
    rows = table[rng.integers(0, 65, 1024)]
    rows.backward(np.ones(rows.shape))
    table.grad += 1
    assert table.grad.flags.c_contiguous
    assert table.grad.flags.writeable


def test_no_warnings_where_nothing_is_wrong():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        gn.nanmean(np.array([nan, 1.0]))
        gn.max(leaf([nan, 1.0])).backward()
        gn.mean(np.zeros(0))
