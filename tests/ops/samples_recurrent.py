"""Sample inputs for the operators of recurrent networks, and of hooks."""

import numpy as np
from samples import Row, S, normal

import gradnerve as gn
from gradnerve.nn.hooks import watched


def joined(gates, weight, h, c):
    """The three outputs as one array, each number with another weight."""
    h, c, a = gn.ops.lstm(gates, weight, h, c)
    return gn.concat([h, 2 * c, 3 * a], axis=2)


def by_the_book(gates, weight, h, c):
    def sigmoid(z):
        return 1 / (1 + np.exp(-z))

    rows = []
    for z in gates:
        i, f, g, o = np.split(z + h @ weight.T, 4, axis=1)
        i, f, g, o = sigmoid(i), sigmoid(f), np.tanh(g), sigmoid(o)
        c = f * c + i * g
        h = o * np.tanh(c)
        rows.append(np.concatenate([h, 2 * c, 3 * i, 3 * f, 3 * g, 3 * o], axis=1))
    return np.stack(rows)


ROWS = {
    "lstm": Row(
        [
            S(normal(t, n, 4 * h), normal(4 * h, h), normal(n, h), normal(n, h), peer=False)
            for t, n, h in [(1, 1, 1), (3, 2, 2)]
        ],
        by_the_book,
        call=joined,
    ),
    "watched": Row(
        [S(normal(2, 3), peer=False)],
        np.sin,
        call=lambda x: watched(lambda cts: cts, gn.sin(x), x)[0],
    ),
}
