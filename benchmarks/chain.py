"""150 small elementwise operators in a row, forward and backward: what an engine adds to each."""

import numpy as np

from benchmarks import steps

TITLE = "Chain of 150 operators, 64 elements"
QUICK: dict = {}
REPEATS, RATE = 15, 1e-4


def problem():
    """Three arrays of 64 elements, float32; there is no other data."""
    rng = np.random.default_rng(0)
    return [rng.uniform(0.5, 1.0, 64).astype(np.float32) for _ in range(3)], ()


def chain(library, x, a, b):
    """10 operators, 15 times. The same code for every library; `library` has its functions."""
    y = x
    for _ in range(REPEATS):
        y = y * a
        y = y + x
        y = library.tanh(y)
        y = y * y
        y = y - b
        y = library.exp(y)
        y = y * b
        y = library.sin(y)
        y = y + a
        y = y * x
    return y


def loss(library, parameters):
    """The sum of the chain's result."""
    return chain(library, *parameters).sum()


# Where a library wants it written in another way; and the floor, by hand.


def in_autograd(problem):
    import autograd.numpy as np
    from autograd import value_and_grad

    loss_and_gradients = value_and_grad(lambda x, a, b: np.sum(chain(np, x, a, b)), (0, 1, 2))

    state = problem[0]

    def step():
        nonlocal state
        loss, gradients = loss_and_gradients(*state)
        state = [p - np.float32(RATE) * g for p, g in zip(state, gradients, strict=True)]
        return loss.item()

    return step


def in_mygrad(problem):
    import mygrad as mg

    parameters = [mg.tensor(array) for array in problem[0]]

    def step():
        value = loss(mg, parameters)  # the next use of the parameters forgets their gradients
        value.backward()
        steps.in_place([(p.data, p.grad) for p in parameters], RATE)
        return value.item()

    return step


def by_hand(problem):
    x, a, b = (array.copy() for array in problem[0])

    def step():
        saved = []
        y = x
        for _ in range(REPEATS):
            start = y
            tanh = np.tanh(start * a + x)
            exp = np.exp(tanh * tanh - b)
            inner = exp * b
            sum = np.sin(inner) + a
            y = sum * x
            saved.append((start, tanh, exp, inner, sum))
        loss = y.sum()

        to_y = np.ones_like(x)
        to_x, to_a, to_b = np.zeros_like(x), np.zeros_like(x), np.zeros_like(x)
        for start, tanh, exp, inner, sum in reversed(saved):
            to_x += to_y * sum
            to_sum = to_y * x
            to_a += to_sum
            to_inner = to_sum * np.cos(inner)
            to_b += to_inner * exp
            to_power = to_inner * b * exp
            to_b -= to_power
            to_tanh = to_power * tanh
            to_tanh += to_tanh
            to_start = to_tanh * (1 - tanh * tanh)
            to_x += to_start
            to_a += to_start * start
            to_y = to_start * a
        to_x += to_y
        steps.in_place([(x, to_x), (a, to_a), (b, to_b)], RATE)
        return loss.item()

    return step


VERSIONS = {
    **steps.versions(loss, RATE),
    "autograd": in_autograd,
    "mygrad": in_mygrad,
    "numpy": by_hand,
}
