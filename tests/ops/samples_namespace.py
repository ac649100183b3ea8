"""Sample inputs for writing at an index, and for moving to another array library."""

import numpy as np
from samples import KEYS, Row, S, complex_normal, has_peer, normal, plain


def numpy_setitem(x, key, value):
    y = np.array(x)
    y[key] = value
    return y


def torch_setitem(t, x, key, value):
    y = x.clone()
    y[key] = value
    return y


def repeats(shape, key):
    """Whether the key names a place twice."""
    places = np.arange(np.prod(shape, dtype=int)).reshape(shape)[key]
    return len(np.unique(places)) < places.size


def by_loop_last_written(x, key):
    places = np.asarray(np.arange(x.size).reshape(x.shape)[key])
    flat = places.ravel().tolist()
    last = [place not in flat[i + 1 :] for i, place in enumerate(flat)]
    return np.array(last, dtype=bool).reshape(places.shape)


def samples():
    for shape, key in KEYS:
        part = np.asarray(normal(*shape)[key])
        # PyTorch gives every one of the repeated places the gradient of the last.
        yield S(normal(*shape), key, part, peer=has_peer(key) and not repeats(shape, key))
        if not repeats(shape, key):
            yield S(normal(*shape), key, normal(), peer=has_peer(key))


ROWS = {
    "setitem": Row(
        [
            *samples(), S(normal(2, 3), 0, [1.0, 2.0, 3.0], peer=False), S(normal(3), 0, 2),
            S(normal(2, 3), 1, normal(1)), S(complex_normal(3), 0, complex_normal()),
            S(complex_normal(3), [0, 0], complex_normal(2), peer=False),
        ],
        numpy_setitem,
        torch_setitem,
    ),
    "last_written": plain(
        [
            S(normal(4), np.array([0, 0, 3])), S(normal(4), [1, 1, -3]), S(normal(2, 3), [0, 0]),
            S(normal(2, 3), (slice(None), [1, 1])), S(normal(4), slice(1, 3)), S(normal(4), 1),
        ],
        by_loop_last_written,
    ),
    "convert": Row(
        [S(normal(2, 3), "numpy"), S(complex_normal(2), "numpy"), S(normal(), "numpy", None)],
        lambda x, library, place=None: x,
    ),
}  # fmt: skip
