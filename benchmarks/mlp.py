"""One training step of a multilayer perceptron: forward, cross-entropy, backward, SGD."""

import itertools

import numpy as np

from benchmarks import steps

TITLE = "MLP 784-256-128-10, batch 128"
QUICK: dict = {}
RATE = 1e-2


def problem(sizes=(784, 256, 128, 10), batch=128):
    """For each layer weight (out, in), He's scale, and bias; and (inputs, classes). float32."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((batch, sizes[0]), dtype=np.float32)
    target = rng.integers(0, sizes[-1], batch)
    parameters = []
    for n_in, n_out in itertools.pairwise(sizes):
        weight = rng.standard_normal((n_out, n_in), dtype=np.float32)
        parameters += [weight * np.float32(np.sqrt(2 / n_in)), np.zeros(n_out, dtype=np.float32)]
    return parameters, (x, target)


def layers(parameters):
    """Weight and bias of each layer."""
    return list(zip(parameters[::2], parameters[1::2], strict=True))


def loss(f, parameters, x, target):
    """Cross-entropy of a perceptron with ReLU."""
    *hidden, last = layers(parameters)
    for weight, bias in hidden:
        x = f.relu(f.linear(x, weight, bias))
    return f.cross_entropy(f.linear(x, *last), target)


# Where a library wants it written in another way; and the floor, by hand.


def in_autograd(problem):
    import autograd.numpy as np
    from autograd import value_and_grad
    from autograd.scipy.special import logsumexp

    parameters, (x, target) = problem
    state = [(weight.T.copy(), bias.copy()) for weight, bias in layers(parameters)]
    rows = np.arange(len(target))

    def cross_entropy(layers):
        h = x
        for weight, bias in layers[:-1]:
            h = h @ weight + bias
            h = h * (h > 0)  # a quarter of the time of maximum(h, 0)
        weight, bias = layers[-1]
        logits = h @ weight + bias
        return np.mean(logsumexp(logits, axis=1) - logits[rows, target])

    loss_and_gradients = value_and_grad(cross_entropy)

    def step():
        loss, gradients = loss_and_gradients(state)
        steps.in_place(steps.pairs(state, gradients), RATE)
        return loss.item()

    return step


def in_mygrad(problem):
    import mygrad as mg
    from mygrad.nnet.activations import relu
    from mygrad.nnet.losses import softmax_crossentropy

    parameters, (x, target) = problem
    parameters = [mg.tensor(p.T.copy()) for p in parameters]
    *hidden, last = layers(parameters)

    def step():
        h = x
        for weight, bias in hidden:
            h = relu(h @ weight + bias)
        weight, bias = last
        loss = softmax_crossentropy(h @ weight + bias, target)
        loss.backward()
        steps.in_place([(p.data, p.grad) for p in parameters], RATE)
        return loss.item()

    return step


def by_hand(problem):
    parameters, (x, target) = problem
    state = layers([p.copy() for p in parameters])
    rows = np.arange(len(target))

    def step():
        inputs, h = [], x
        for weight, bias in state[:-1]:
            inputs.append(h)
            h = h @ weight.T
            h += bias
            np.maximum(h, 0, out=h)
        inputs.append(h)
        logits = h @ state[-1][0].T
        logits += state[-1][1]

        logits -= logits.max(axis=1, keepdims=True)
        ct = np.exp(logits)
        sums = ct.sum(axis=1, keepdims=True)
        loss = (np.log(sums[:, 0]) - logits[rows, target]).mean()

        ct /= sums
        ct[rows, target] -= 1
        ct /= len(target)
        gradients = []
        for (weight, _), h in zip(reversed(state), reversed(inputs), strict=True):
            gradients.append((ct.T @ h, ct.sum(axis=0)))
            if h is not x:
                ct = ct @ weight
                ct *= h > 0
        steps.in_place(steps.pairs(reversed(state), gradients), RATE)
        return loss.item()

    return step


VERSIONS = {
    **steps.versions(loss, RATE),
    "autograd": in_autograd,
    "mygrad": in_mygrad,
    "numpy": by_hand,
}
TINY = steps.Workload("MLP 2-16-16-2, batch 32", lambda: problem((2, 16, 16, 2), 32), VERSIONS)
DEEP = steps.Workload(
    "Ten-layer MLP, 512 wide, batch 2048",
    lambda size=512, batch=2048: problem((size,) * 10 + (10,), batch),
    VERSIONS,
    QUICK={"size": 64, "batch": 64},
)
