"""Samples of the Fourier transforms' operators, which get lengths and axes worked out.

`test_fft.py` checks the functions that work them out.
"""

import numpy as np
from samples import Row, S, complex_normal, normal

CASES = [  # the shape of x, and the arguments s, axes, norm
    ((4,), (4,), (0,), "backward"), ((5,), (5,), (0,), "ortho"), ((1,), (1,), (0,), "forward"),
    ((4,), (3,), (0,), "forward"), ((3,), (6,), (0,), "ortho"), ((4,), (2,), (0,), "backward"),
    ((3,), (1,), (0,), "backward"), ((2, 3), (2,), (0,), "backward"),
    ((2, 3), (2, 3), (0, 1), "backward"), ((3, 2), (3, 2), (1, 0), "ortho"),
    ((2, 3), (3, 2), (0, 1), "forward"), ((2, 3, 2), (4, 1), (2, 0), "backward"),
    ((0, 3), (3,), (1,), "backward"), ((0, 3), (4,), (1,), "ortho"), ((2, 1), (1,), (1,), "ortho"),
]  # fmt: skip


def peer(name):
    def call(t, x, s, axes, norm):
        return getattr(t.fft, name)(x, s, axes, norm)

    return call


def row(name, *numbers):
    samples = [S(make(*shape), s, axes, norm) for make in numbers for shape, s, axes, norm in CASES]
    for sample in samples:
        sample.peer = sample.args[0].size > 0
    return Row(samples, getattr(np.fft, name), peer(name))


ROWS = {
    "fftn": row("fftn", complex_normal, normal),
    "ifftn": row("ifftn", complex_normal, normal),
    "rfftn": row("rfftn", normal),
    "irfftn": row("irfftn", complex_normal, normal),
}
