"""Sample inputs for what windows see, and for resampling along an axis."""

import numpy as np
from samples import (
    Row,
    S,
    Window,
    complex_normal,
    normal,
    pools,
    seen,
    torch_margins,
)

from gradnerve.ops import Taps


def by_loops_window_values(x, window):
    y = np.zeros((*x.shape[:2], *window.kernel, *window.counts(x.shape[2:])), dtype=x.dtype)
    for out, place, at in seen(x.shape[2:], window):
        y[(..., *place, *out)] = x[(..., *at)]
    return y


def by_loops_window_gather(c, window, shape):
    x = np.zeros(shape, dtype=c.dtype)
    for out, place, at in seen(shape[2:], window):
        x[(..., *at)] += c[(..., *place, *out)]
    return x


def torch_window_values(t, x, window):
    """By unfold, which wants two spatial axes."""
    counts = window.counts(x.shape[2:])
    x, flat = torch_margins(t, x, window), window
    if len(window.kernel) == 1:
        flat = Window((1, *window.kernel), (1, *window.stride), (), (1, *window.dilation))
        x = x.unsqueeze(2)
    y = t.nn.functional.unfold(x, flat.kernel, flat.dilation, 0, flat.stride)
    return y.reshape(*x.shape[:2], *window.kernel, *counts)


def torch_window_gather(t, c, window, shape):
    x = t.zeros(shape, requires_grad=True)
    return t.autograd.grad(torch_window_values(t, x, window), x, c, create_graph=True)[0]


def matrix(taps):
    weights = np.zeros((len(taps.places[0]), taps.size))
    for places, factors in zip(taps.places, taps.weights, strict=True):
        for o, (i, weight) in enumerate(zip(places, factors, strict=True)):
            weights[o, i] += weight
    return weights


def by_matrix_resample(x, taps, axis):
    return np.moveaxis(np.tensordot(matrix(taps), x, (1, axis)), 0, axis)


def torch_resample(t, x, taps, axis):
    y = t.tensordot(t.tensor(matrix(taps), dtype=x.dtype), x, ([1], [axis]))
    return y.movedim(0, axis)


def values():
    for x, _, window, shape in pools(normal):
        if shape[0] > 0:  # PyTorch's unfold takes no empty batch
            yield x, normal(*shape[:2], *window.kernel, *window.counts(shape[2:])), window, shape


SMOOTH = Taps.of([[(0, 0.5), (1, 0.5)], [(1, 1.0)], [(2, 0.25), (1, 0.5), (0, 0.25)], []], 3)
PICKS = Taps(((2, 0, 0, 1),), ((1.0, 1.0, 1.0, 1.0),), 3)
TWO = Taps(((0, 1), (1, 0)), ((0.5, 2.0), (1.0, 1.0)), 2)
CUBE = Window((2, 1, 2), (1, 2, 2), ((0, 1), (0, 0), (1, 1)), (1, 1, 2))
EMPTY = Window((2, 2), (1, 1), ((0, 0), (0, 0)), (1, 1))

ROWS = {
    "window_values": Row(
        [S(x, window) for x, _, window, _ in values()]
        + [S(normal(1, 2, 2, 3, 3), CUBE, peer=False), S(normal(0, 2, 3, 3), EMPTY, peer=False)],
        by_loops_window_values, torch_window_values,
    ),
    "window_gather": Row(
        [S(c, window, shape) for _, c, window, shape in values()]
        + [S(normal(1, 2, 2, 1, 2, 2, 2, 2), CUBE, (1, 2, 2, 3, 3), peer=False)],
        by_loops_window_gather, torch_window_gather,
    ),
    "resample": Row(
        [S(normal(*shape), taps, axis) for taps in (SMOOTH, PICKS)
         for shape, axis in [((3,), 0), ((2, 3), -1), ((3, 2), 0), ((2, 3, 2), 1), ((2, 3, 2), -2),
                             ((0, 3), 1)]]
        + [S(normal(2, 2, 2), TWO, axis) for axis in range(3)]
        + [S(normal(2, 1), Taps(((0, 0, 0),), ((1.0, 0.5, -1.0),), 1), 1),
           S(complex_normal(2, 3), SMOOTH, 1)],
        by_matrix_resample, torch_resample,
    ),
}  # fmt: skip
