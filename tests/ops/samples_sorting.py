"""Sample inputs for reductions, scans, sorting, searching and writing."""

import numpy as np
from samples import Row, S, apart, away_from_0, complex_normal, normal, plain

nan = np.nan
tied = np.array([[1.0, 3.0, 3.0, 2.0], [2.0, nan, 4.0, nan]])


def scan_samples(numbers, flat=True):
    """An axis in every position, and (`flat`) none."""
    calls = [
        ((4,), 0), ((1,), 0), ((2, 3), 0), ((2, 3), 1), ((2, 3), -1), ((2, 3, 2), -2), ((0,), 0),
        ((0, 3), 0), ((0, 3), 1), ((5, 1), 1), ((7,), -1), ((8,), 0),
    ]  # fmt: skip
    samples = [S(numbers(*shape), axis=axis) for shape, axis in calls]
    if flat:
        samples += [S(numbers(2, 3), peer=False), S(numbers(4), peer=False)]
        samples += [S(numbers(), peer=False)]
    return samples


def with_zeros(*places):
    x = away_from_0(6)
    x[list(places)] = 0.0
    return x


def numpy_logcumsumexp(x, axis=-1):
    return np.log(np.cumsum(np.exp(x), axis=axis))


def by_loops_cumulative_argmax(x, axis, sign=1):
    out = np.zeros(x.shape, dtype=int)
    rows = np.moveaxis(sign * (x if x.dtype.kind == "f" else x.astype(int)), axis, -1)
    for place in np.ndindex(rows.shape[:-1]):
        best = 0
        for i, number in enumerate(rows[place]):
            if number >= rows[place][best] or np.isnan(number):
                best = i
            np.moveaxis(out, axis, -1)[(*place, i)] = best
    return out


def by_loops_argtopk(x, k, axis=-1, largest=True):
    # NaN is the greatest; the first comes first at a tie.
    key = np.where(np.isnan(x), np.inf, x)
    return np.take(np.argsort(-key if largest else key, axis=axis, kind="stable"), range(k), axis)


def numpy_argsort(x, axis=-1, descending=False, stable=True):
    return by_loops_argtopk(x, x.shape[axis], axis, descending)


def numpy_sort(x, axis=-1, descending=False, stable=True):
    y = np.sort(x, axis=axis)
    return np.flip(y, axis=axis) if descending else y


def torch_sort(t, x, axis=-1, descending=False, stable=True):
    return t.sort(x, dim=axis, descending=descending, stable=stable).values


def numpy_setitem(x, key, value):
    x = np.copy(x)
    x[key] = value
    return x


def by_loops_last_written(x, key):
    last = {}
    places = np.arange(x.size).reshape(x.shape)[key]
    for i, place in enumerate(places.flat):
        last[int(place)] = i
    won = [last[int(place)] == i for i, place in enumerate(places.flat)]
    return np.array(won, dtype=bool).reshape(places.shape)


def torch_setitem(t, x, key, value):
    x = x.clone()
    x[key] = value
    return x


extremes = [
    S(tied, 1), S(tied, 0), S(-tied, -1), S(np.array([2.0, 1.0, 1.0, 5.0, 5.0]), 0),
    S(np.array([2, 1, 0, 1], np.uint8), 0), S(np.array([0, 5, -128, 3], np.int8), 0),
    S(apart(2, 3, 2), 1), S(np.array([1.0]), 0), S(normal(0, 3), 1), S(normal(0, 3), 0),
]  # fmt: skip
orders = [
    S(tied), S(tied, axis=0), S(tied, descending=True), S(tied, axis=0, descending=True),
    S(apart(2, 3, 2), 1, True, False), S(apart(2, 3, 2), axis=-3, stable=False),
    S(np.array([3, 1, 2, 1])), S(np.array([5.0])), S(normal(0, 3)),
]  # fmt: skip
ladder = np.array([1.0, 2.0, 2.0, 4.0])
flags = np.array([True, False, True])
repeated = np.array([0, 2, 0])

ROWS = {
    "count_nonzero": plain(
        [S(np.array([[0.0, 2.0, nan], [0.0, -0.0, 1.0]])), S(np.array([[0, 2], [3, 0]]), axis=1),
         S(np.array([[0, 2], [3, 0]]), axis=(0, 1), keepdims=True), S(np.array([True, False])),
         S(np.array(3.0)), S(normal(0, 3), axis=0), S(normal(0, 3))],
        np.count_nonzero,
    ),
    # Scans
    "cumsum": Row(
        [*scan_samples(normal), S(complex_normal(3), axis=0)],
        np.cumsum, lambda t, x, axis: t.cumsum(x, axis),
    ),
    "cumprod": Row(
        [*scan_samples(away_from_0), S(with_zeros(2), axis=0), S(with_zeros(0), axis=0),
         S(with_zeros(5), axis=0), S(with_zeros(1, 3), axis=0), S(with_zeros(0, 1, 2), axis=0),
         S(complex_normal(3), axis=0)],
        np.cumprod, lambda t, x, axis: t.cumprod(x, axis),
    ),
    "logcumsumexp": Row(
        [*scan_samples(normal, flat=False), S(normal(2, 3), peer=False)],
        numpy_logcumsumexp, lambda t, x, axis: t.logcumsumexp(x, axis),
    ),
    "cumulative_argmax": plain(extremes, by_loops_cumulative_argmax),
    "cumulative_argmin": plain(extremes, lambda x, axis: by_loops_cumulative_argmax(x, axis, -1)),
    # Sorting and searching
    "sort": Row(
        [S(apart(4)), S(apart(2, 3)), S(apart(2, 3), 0), S(apart(2, 3), descending=True),
         S(apart(2, 3, 2), -2, True), S(apart(2, 3), axis=0, descending=True, stable=False),
         S(apart(1)), S(normal(0, 3)), S(normal(0, 3), 0), S(normal(2, 1))],
        numpy_sort, torch_sort,
    ),
    "argsort": plain(orders, numpy_argsort),
    "argtopk": plain(
        [S(tied, 2), S(tied, 1, axis=0), S(tied, 2, largest=False), S(apart(2, 5, 2), 3, 1),
         S(tied, 4), S(tied, 4, -1, False), S(tied, 0), S(np.array([2.0, 1.0, 2.0, 2.0, 1.0]), 3),
         S(np.array([2, 1, 2, 2, 1]), 5, largest=False), S(normal(0, 3), 2)],
        by_loops_argtopk,
    ),
    "searchsorted": plain(
        [S(ladder, np.array([0.0, 2.0, 9.0])), S(ladder, np.array([[2.0], [3.0]]), side="right"),
         S(ladder, np.array(2.0)), S(ladder[::-1], np.array([2.0, 3.0]), sorter=np.arange(4)[::-1]),
         S(ladder, normal(0)), S(ladder[:0], np.array([1.0]))],
        np.searchsorted,
    ),
    "isin": plain(
        [S(tied, np.array([3.0, nan, 2.0])), S(np.array([[1, 2], [3, 4]]), np.array([4, 1])),
         S(np.array(2), np.array([[1, 2]]), invert=True), S(normal(0, 2), normal(2)),
         S(np.array([1, 2]), [2, 5])],
        np.isin,
    ),
    # Writing
    "setitem": Row(
        [S(normal(2, 3), 0, normal(3)), S(normal(2, 3), (slice(None), 1), normal(2)),
         S(normal(2, 3), (..., slice(0, 2)), normal(2)), S(normal(2, 3), 1, 2.5),
         S(normal(4), [0, 2], normal(2)), S(normal(3), flags, normal(2)),
         S(normal(), (), normal()),
         S(normal(3), repeated, normal(3), peer=False),
         S(normal(3), repeated, normal(), peer=False),
         S(normal(3, 2), (repeated, slice(None)), normal(3, 2), peer=False),
         S(normal(3, 2), (repeated, np.array([1, 1, 1])), normal(3), peer=False),
         S(normal(0, 3), slice(0, 0), normal(0, 3)), S(normal(3), [], normal(0), peer=False)],
        numpy_setitem, torch_setitem,
    ),
    "last_written": plain(
        [S(normal(3), repeated), S(normal(3, 2), (repeated, slice(None))), S(normal(3), flags),
         S(normal(3), 0), S(normal(2, 3), (np.array([0, 0, 1]), np.array([2, 2, 2])))],
        by_loops_last_written,
    ),
}  # fmt: skip
