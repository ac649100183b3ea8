"""One training step of a multilayer perceptron: forward, cross-entropy, backward."""

import itertools

import numpy as np

TITLE = "MLP 784-256-128-10, batch 128"


def problem(sizes=(784, 256, 128, 10), batch=128):
    """Inputs, classes and, for each layer, weight (out, in) and bias; float32, He's scale."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((batch, sizes[0]), dtype=np.float32)
    target = rng.integers(0, sizes[-1], batch)
    layers = []
    for n_in, n_out in itertools.pairwise(sizes):
        weight = rng.standard_normal((n_out, n_in), dtype=np.float32)
        layers.append((weight * np.float32(np.sqrt(2 / n_in)), np.zeros(n_out, dtype=np.float32)))
    return x, target, layers


# Each version takes the problem and returns one step: a function that computes the loss and its
# gradient by every weight and bias, and returns the loss and the gradient by the first weight.


def in_gradnerve(problem):
    import gradnerve as gn
    import gradnerve.nn.functional as F

    x, target = gn.Tensor(problem[0]), problem[1]
    layers = [[gn.Tensor(p, requires_grad=True) for p in layer] for layer in problem[2]]

    def step():
        for weight, bias in layers:
            weight.grad = bias.grad = None
        h = x
        for weight, bias in layers[:-1]:
            h = F.relu(F.linear(h, weight, bias))
        loss = F.cross_entropy(F.linear(h, *layers[-1]), target)
        loss.backward()
        return loss.item(), layers[0][0].grad

    return step


def in_torch(problem):
    import torch
    import torch.nn.functional as F

    x, target = torch.tensor(problem[0]), torch.tensor(problem[1])
    layers = [[torch.tensor(p, requires_grad=True) for p in layer] for layer in problem[2]]

    def step():
        for weight, bias in layers:
            weight.grad = bias.grad = None
        h = x
        for weight, bias in layers[:-1]:
            h = F.relu(F.linear(h, weight, bias))
        loss = F.cross_entropy(F.linear(h, *layers[-1]), target)
        loss.backward()
        return loss.item(), layers[0][0].grad

    return step


def in_autograd(problem):
    import autograd.numpy as np
    from autograd import value_and_grad
    from autograd.scipy.special import logsumexp

    x, target, layers = problem
    layers = [(weight.T.copy(), bias) for weight, bias in layers]
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
        loss, gradients = loss_and_gradients(layers)
        return loss.item(), gradients[0][0].T

    return step


def in_mygrad(problem):
    import mygrad as mg
    from mygrad.nnet.activations import relu
    from mygrad.nnet.losses import softmax_crossentropy

    x, target, layers = problem
    layers = [(mg.tensor(weight.T.copy()), mg.tensor(bias)) for weight, bias in layers]

    def step():
        h = x
        for weight, bias in layers[:-1]:
            h = relu(h @ weight + bias)
        weight, bias = layers[-1]
        loss = softmax_crossentropy(h @ weight + bias, target)
        loss.backward()
        return loss.item(), layers[0][0].grad.T

    return step


def by_hand(problem):
    x, target, layers = problem
    rows = np.arange(len(target))

    def step():
        inputs, h = [], x
        for weight, bias in layers[:-1]:
            inputs.append(h)
            h = h @ weight.T
            h += bias
            np.maximum(h, 0, out=h)
        inputs.append(h)
        logits = h @ layers[-1][0].T
        logits += layers[-1][1]

        logits -= logits.max(axis=1, keepdims=True)
        ct = np.exp(logits)
        sums = ct.sum(axis=1, keepdims=True)
        loss = (np.log(sums[:, 0]) - logits[rows, target]).mean()

        ct /= sums
        ct[rows, target] -= 1
        ct /= len(target)
        gradients = []
        for (weight, _), h in zip(reversed(layers), reversed(inputs), strict=True):
            gradients.append((ct.T @ h, ct.sum(axis=0)))
            if h is not x:
                ct = ct @ weight
                ct *= h > 0
        return loss.item(), gradients[-1][0]

    return step


VERSIONS = {
    "gradnerve": in_gradnerve,
    "torch": in_torch,
    "autograd": in_autograd,
    "mygrad": in_mygrad,
    "numpy": by_hand,
}
