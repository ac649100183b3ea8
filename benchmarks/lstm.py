"""An LSTM over 32 steps, written from operators: many small ones, and weights used again."""

import numpy as np

from benchmarks import steps

TITLE = "LSTM, 32 steps of 64, 128 wide, batch 32"
QUICK = {"steps": 3}  # what --quick makes of the problem
STEPS, BATCH, INPUTS, WIDTH, CLASSES = 32, 32, 64, 128, 10


def problem(steps=STEPS):
    """Parameters: input's and state's weight and bias, the classifier's; and (x, classes)."""
    rng = np.random.default_rng(0)

    def normal(*shape):
        return rng.standard_normal(shape, dtype=np.float32) / np.float32(np.sqrt(shape[-1]))

    parameters = [
        normal(4 * WIDTH, INPUTS), np.zeros(4 * WIDTH, np.float32),
        normal(4 * WIDTH, WIDTH), np.zeros(4 * WIDTH, np.float32),
        normal(CLASSES, WIDTH), np.zeros(CLASSES, np.float32),
    ]  # fmt: skip
    x = rng.standard_normal((steps, BATCH, INPUTS), dtype=np.float32)
    return parameters, (x, rng.integers(0, CLASSES, BATCH))


def loss(f, parameters, x, target):
    """Cross-entropy of the classes that the last state says."""
    *cell, of_class, class_bias = parameters
    state = (None, x[0, :, :1] * 0)
    for t in range(len(x)):
        state = advance(f, cell, state, x[t])
    return f.cross_entropy(f.linear(state[0], of_class, class_bias), target)


def advance(f, cell, state, x):
    """The next (h, c) of the cell; h is None where it is 0."""
    of_input, input_bias, of_state, state_bias = cell
    h, c = state
    gates = f.linear(x, of_input, input_bias)
    if h is not None:
        gates = gates + f.linear(h, of_state, state_bias)
    forget, enter, leave, new = f.chunk(gates, 4, 1)
    c = f.sigmoid(forget) * c + f.sigmoid(enter) * f.tanh(new)
    return f.sigmoid(leave) * f.tanh(c), c


VERSIONS = steps.versions(loss, rate=0.1)


def scanned_loss(f, parameters, x, target):
    """The same with a loop that is compiled as one."""
    *cell, of_class, class_bias = parameters
    first = advance(f, cell, (None, x[0, :, :1] * 0), x[0])
    (h, _), _ = f.scan(lambda state, x: (advance(f, cell, state, x), ()), first, x[1:])
    return f.cross_entropy(f.linear(h, of_class, class_bias), target)


SCANNED = steps.Workload(TITLE, problem, steps.versions(scanned_loss, rate=0.1), QUICK)
