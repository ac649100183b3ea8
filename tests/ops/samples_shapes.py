"""Samples of the newer operators in `ops/shape.py`, and of `diagonal.py`, `pad.py`, `einsum.py`.

Where an operator has several outputs the last argument says which one is looked at.
"""

import numpy as np
from samples import REGISTERED, Row, S, complex_normal, normal


def numpy_put_diagonal(x, shape, offset=0, axis1=0, axis2=1):
    out = np.zeros(shape, dtype=x.dtype)
    for i in range(x.shape[-1]):
        key = [slice(None)] * len(shape)
        key[axis1], key[axis2] = i + max(-offset, 0), i + max(offset, 0)
        out[tuple(key)] = x[..., i]
    return out


def numpy_overlap_add(x, shape, axis):
    out = np.zeros(shape, dtype=x.dtype)
    for at in np.ndindex(*x.shape):
        place = list(at[: len(shape)])
        for a, p in zip(axis, at[len(shape) :], strict=True):
            place[a] += p
        out[tuple(place)] += x[at]
    return out


def numpy_extend(x, before, after, axis):
    n = x.shape[axis]
    return np.take(x, np.array([*before, *range(n), *after], dtype=int), axis)


def numpy_fold_margins(x, before, after, axis):
    n = x.shape[axis] - len(before) - len(after)
    out = np.zeros((*x.shape[:axis], n, *x.shape[axis + 1 :]), dtype=x.dtype)
    for i, place in enumerate([*before, *range(n), *after]):
        out[(slice(None),) * axis + (place,)] += x[(slice(None),) * axis + (i,)]
    return out


def numpy_sum_runs(x, counts, axis):
    parts = np.split(x, np.cumsum(counts)[:-1], axis) if len(counts) else []
    return np.stack([p.sum(axis) for p in parts], axis) if parts else np.zeros(0)


def torch_windows(t, x, window_shape, axis):
    for a, n in zip(axis, window_shape, strict=True):
        x = x.unfold(a, n, 1)
    return x


def torch_pad(t, x, pad_width, mode="constant", options=None):
    pairs = [int(w) for pair in np.broadcast_to(pad_width, (x.ndim, 2))[::-1] for w in pair]
    return t.nn.functional.pad(x, pairs, value=(options or {}).get("constant_values", 0))


def numpy_pad(x, pad_width, mode="constant", options=None):
    return np.pad(x, pad_width, mode, **(options or {}))


def numpy_split(x, ends, axis, i):
    return np.split(x, ends, axis)[i]


TRIANGLES = [((3, 3), {}), ((2, 3), {"k": 1}), ((3, 2), {"k": -1}), ((2, 2, 3), {}), ((1, 1), {}),
             ((0, 3), {}), ((3, 3), {"k": 5}), ((3, 3), {"k": -5})]  # fmt: skip

MARGINS = [  # a shape, its shape with margins, the places before and after, and the axis
    ((3,), (7,), (2, 1), (1, 1), 0), ((2, 3), (2, 4), (), (0,), 1),
    ((2, 3), (5, 3), (1, 1, 0), (), 0),
    ((1, 2), (3, 2), (0,), (0,), 0), ((2, 0), (4, 0), (1,), (0,), 0), ((2, 2), (2, 2), (), (), 1),
]  # fmt: skip

RUNS = [  # a shape, the lengths of runs, and the axis
    ((3,), [2, 0, 3], 0), ((2, 3), [0, 1, 2], 1), ((2, 3), [2, 2], 0), ((2,), [0, 0], 0),
    ((2, 2, 2), [3, 0], 1), ((0,), np.zeros(0, int), 0), ((2, 0), [1, 2], 0), ((1,), [4], 0),
    ((3, 1), [40, 0, 2], 0),
]  # fmt: skip

DIAGONALS = [  # a shape, and the arguments
    ((3, 3), ()), ((2, 3), (1,)), ((3, 2), (-1,)), ((2, 3), (-5,)), ((2, 3, 4), (0, 1, 2)),
    ((2, 3, 4), (1, -1, 0)), ((2, 3, 2), (0, 2, 0)), ((1, 1), ()), ((0, 3), ()), ((3, 4, 0), (1,)),
]  # fmt: skip

SLIDES = [  # a shape, the window, and its axes
    ((5,), (2,), (0,)), ((5,), (5,), (0,)), ((4, 3), (2, 2), (0, 1)), ((4, 3), (3,), (-1,)),
    ((4, 3), (2, 3), (1, 0)), ((5, 2), (2, 2), (0, 0)), ((3, 0), (2,), (0,)), ((1, 2), (1,), (0,)),
]  # fmt: skip

PRODUCTS = [
    ("ij,jk->ik", (2, 3), (3, 2)), ("ij,kj->ki", (2, 3), (4, 3)), ("i,j->ji", (2,), (3,)),
    ("i,i->", (3,), (3,)), ("ij,ij->i", (2, 3), (2, 3)), ("bij,bjk->bik", (2, 2, 3), (2, 3, 2)),
    ("aib,bja->ijab", (2, 3, 2), (2, 2, 2)), ("abc,cbd->da", (2, 2, 3), (3, 2, 2)),
    (",ij->ij", (), (2, 3)), ("ij,->ji", (2, 3), ()), (",->", (), ()), ("ij,j->i", (2, 3), (3,)),
    ("i,ij->j", (2,), (2, 3)), ("ij,jk->ik", (0, 3), (3, 2)), ("ij,jk->ik", (2, 0), (0, 2)),
    ("qdb,kdb->qkb", (2, 3, 2), (2, 3, 2)), ("ijk,jk->i", (2, 1, 3), (1, 3)),
]  # fmt: skip


ROWS = {
    "pad": Row(
        [S(normal(3), 1), S(normal(2, 3), 2), S(normal(2, 3), (1, 2)),
         S(normal(2, 3), ((1, 0), (0, 2))), S(normal(2, 3), ((1, 2),)),
         S(normal(2, 2), 1, "constant", {"constant_values": 7.5}),
         S(normal(2, 3), [(0, 1), (1, 0)]), S(normal(0, 2), 1), S(normal(2), (0, 0)),
         S(normal(2, 3), ((1,), (2,))), S(normal(2, 3), (3,)), S(normal(3), np.int64(1)),
         S(normal(2, 3), np.array([[1, 0], [0, 2]])), S(normal(2, 3), np.array([1, 2])),
         S(complex_normal(2), 1),
         S(normal(2, 2), 1, "constant", {"constant_values": ((1, 2), (3, 4))}, peer=False)],
        numpy_pad,
        torch_pad,
    ),
    "extend": Row(
        [S(normal(*shape), *args) for shape, _, *args in MARGINS]
        + [S(complex_normal(2), (1,), (), 0)],
        numpy_extend,
        lambda t, x, before, after, axis: t.index_select(
            x, axis, t.tensor([*before, *range(x.shape[axis]), *after])
        ),
    ),
    "fold_margins": Row(
        [S(normal(*shape), *args) for _, shape, *args in MARGINS]
        + [S(complex_normal(3), (1,), (), 0)],
        numpy_fold_margins,
    ),
    "repeat": Row(
        [S(normal(*shape), np.array(counts), axis) for shape, counts, axis in RUNS]
        + [S(complex_normal(2), np.array([1, 2]), 0)],
        np.repeat,
        lambda t, x, counts, axis: t.repeat_interleave(x, counts, axis),
    ),
    "sum_runs": Row(
        [S(np.repeat(normal(*shape), counts, axis), np.array(counts), axis)
         for shape, counts, axis in RUNS]
        + [S(complex_normal(3), np.array([1, 2]), 0)],
        numpy_sum_runs,
    ),
    "tril": Row(
        [S(normal(*shape), **options) for shape, options in TRIANGLES] + [S(complex_normal(2, 2))],
        np.tril,
        lambda t, x, k=0: t.tril(x, k),
    ),
    "triu": Row(
        [S(normal(*shape), **options) for shape, options in TRIANGLES] + [S(complex_normal(2, 2))],
        np.triu,
        lambda t, x, k=0: t.triu(x, k),
    ),
    "split": Row(
        [S(normal(5), (2, 4), 0, 0), S(normal(5), (2, 4), 0, 2), S(normal(2, 3), (1,), 1, 1),
         S(normal(2, 3), (), 1, 0), S(normal(4), (0, 0, 4), 0, 1), S(normal(0, 2), (1,), 1, 0),
         S(complex_normal(3), (1,), 0, 1)],
        numpy_split,
        lambda t, x, ends, axis, i: t.tensor_split(x, ends, axis)[i],
        call=lambda x, ends, axis, i: REGISTERED["split"](x, ends, axis)[i],
    ),
    "unstack": Row(
        [S(normal(3), 0, 1), S(normal(2, 3), 1, 2), S(normal(2, 3), 0, 0), S(normal(1, 2), 0, 0),
         S(normal(2, 0), 0, 1), S(complex_normal(2), 0, 1)],
        lambda x, axis, i: np.moveaxis(x, axis, 0)[i],
        lambda t, x, axis, i: t.unbind(x, axis)[i],
        call=lambda x, axis, i: REGISTERED["unstack"](x, axis)[i],
    ),
    "diagonal": Row(
        [S(normal(*shape), *args) for shape, args in DIAGONALS] + [S(complex_normal(2, 2))],
        np.diagonal,
        lambda t, x, *args: t.diagonal(x, *args),
    ),
    "put_diagonal": Row(
        [S(np.array(np.diagonal(normal(*shape), *args)), shape, *args)
         for shape, args in DIAGONALS],
        numpy_put_diagonal,
        lambda t, x, shape, *args: t.diagonal_scatter(t.zeros(shape, dtype=x.dtype), x, *args),
    ),
    "sliding_window_view": Row(
        [S(normal(*shape), window, axes) for shape, window, axes in SLIDES]
        + [S(complex_normal(3), (2,), (0,))],
        np.lib.stride_tricks.sliding_window_view,
        torch_windows,
    ),
    "overlap_add": Row(
        [S(np.array(np.lib.stride_tricks.sliding_window_view(normal(*shape), w, a)), shape, a)
         for shape, w, a in SLIDES],
        numpy_overlap_add,
    ),
    "einsum": Row(
        [S(normal(*first), normal(*second), subscripts) for subscripts, first, second in PRODUCTS]
        + [S(complex_normal(2, 2), complex_normal(2), "ij,j->i"),
           S(complex_normal(2, 2), normal(2, 2), "ij,kj->ik"),
           S(normal(3), complex_normal(3), "i,i->")],
        lambda x1, x2, subscripts: np.einsum(subscripts, x1, x2),
        # PyTorch does not promote here, as NumPy does.
        lambda t, x1, x2, subscripts: t.einsum(
            subscripts, *(x.to(t.promote_types(x1.dtype, x2.dtype)) for x in (x1, x2))
        ),
    ),
}  # fmt: skip
