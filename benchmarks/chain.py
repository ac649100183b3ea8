"""150 small elementwise operators in a row, forward and backward: what an engine adds to each."""

import numpy as np

TITLE = "Chain of 150 operators, 64 elements"
REPEATS = 15


def problem():
    """Three arrays of 64 elements, float32."""
    rng = np.random.default_rng(0)
    return tuple(rng.uniform(0.5, 1.0, 64).astype(np.float32) for _ in range(3))


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


# Each version takes the problem and returns one step: a function that computes the loss and its
# gradient by x, a and b, and returns the loss and the gradient by x.


def in_gradnerve(arrays):
    import gradnerve as gn

    x, a, b = (gn.Tensor(array, requires_grad=True) for array in arrays)

    def step():
        x.grad = a.grad = b.grad = None
        loss = chain(gn, x, a, b).sum()
        loss.backward()
        return loss.item(), x.grad

    return step


def in_torch(arrays):
    import torch

    x, a, b = (torch.tensor(array, requires_grad=True) for array in arrays)

    def step():
        x.grad = a.grad = b.grad = None
        loss = chain(torch, x, a, b).sum()
        loss.backward()
        return loss.item(), x.grad

    return step


def in_autograd(arrays):
    import autograd.numpy as np
    from autograd import value_and_grad

    loss_and_gradients = value_and_grad(lambda x, a, b: np.sum(chain(np, x, a, b)), (0, 1, 2))

    def step():
        loss, gradients = loss_and_gradients(*arrays)
        return loss.item(), gradients[0]

    return step


def in_mygrad(arrays):
    import mygrad as mg

    x, a, b = (mg.tensor(array) for array in arrays)

    def step():
        loss = chain(mg, x, a, b).sum()  # the next use of x, a and b forgets their gradients
        loss.backward()
        return loss.item(), x.grad

    return step


def by_hand(arrays):
    x, a, b = arrays

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
        return loss.item(), to_x

    return step


VERSIONS = {
    "gradnerve": in_gradnerve,
    "torch": in_torch,
    "autograd": in_autograd,
    "mygrad": in_mygrad,
    "numpy": by_hand,
}
