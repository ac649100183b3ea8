"""One training step of a convolutional network in the manner of LeNet-5."""

import numpy as np

from benchmarks import steps
from benchmarks.mlp import layers

TITLE = "LeNet-like CNN, batch 64 of 1×28×28"
QUICK: dict = {}
RATE = 1e-2


def problem():
    """Each layer's weight and bias; and (images, classes). float32."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((64, 1, 28, 28), dtype=np.float32)
    target = rng.integers(0, 10, 64)
    shapes = (6, 1, 5, 5), (16, 6, 5, 5), (120, 400), (84, 120), (10, 84)
    parameters = []
    for shape in shapes:
        scale = np.float32(np.sqrt(1 / np.prod(shape[1:])))
        parameters.append(scale * rng.standard_normal(shape, dtype=np.float32))
        parameters.append(np.float32(0.1) * rng.standard_normal(shape[0], dtype=np.float32))
    return parameters, (x, target)


def loss(f, parameters, x, target):
    """Cross-entropy of two convolutions and three linear layers."""
    conv1, conv2, fc1, fc2, fc3 = layers(parameters)
    h = f.max_pool2d(f.relu(f.conv2d(x, *conv1, padding=2)), 2)
    h = f.max_pool2d(f.relu(f.conv2d(h, *conv2)), 2)
    h = h.reshape(64, 400)
    h = f.relu(f.linear(h, *fc1))
    h = f.relu(f.linear(h, *fc2))
    return f.cross_entropy(f.linear(h, *fc3), target)


# Where a library wants it written in another way; and the floor, by hand.


def in_autograd(problem):
    import autograd.numpy as np
    from autograd import value_and_grad
    from autograd.scipy.signal import convolve
    from autograd.scipy.special import logsumexp

    parameters, (x, target) = problem
    x = np.pad(x, ((0, 0), (0, 0), (2, 2), (2, 2)))
    # Its convolution turns the kernel round, and takes it as (in, out, height, width).
    state = [
        (w[..., ::-1, ::-1].swapaxes(0, 1).copy(), b.reshape(1, -1, 1, 1).copy())
        if w.ndim == 4
        else (w.T.copy(), b.copy())
        for w, b in layers(parameters)
    ]
    rows = np.arange(64)

    def relu(x):
        return x * (x > 0)

    def convolution(x, weight, bias):
        axes = {"axes": ([2, 3], [2, 3]), "dot_axes": ([1], [0])}
        return relu(convolve(x, weight, mode="valid", **axes) + bias)

    def pool(x):
        n, channels, height, width = x.shape
        return np.max(x.reshape(n, channels, height // 2, 2, width // 2, 2), axis=(3, 5))

    def cross_entropy(layers):
        conv1, conv2, *linear, (weight, bias) = layers
        h = pool(convolution(x, *conv1))
        h = pool(convolution(h, *conv2)).reshape(64, 400)
        for w, b in linear:
            h = relu(h @ w + b)
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
    from mygrad.nnet.layers import conv_nd, max_pool
    from mygrad.nnet.losses import softmax_crossentropy

    parameters, (x, target) = problem
    parameters = [mg.tensor((p if p.ndim == 4 else p.T).copy()) for p in parameters]
    w1, b1, w2, b2, w3, b3, w4, b4, w5, b5 = parameters

    def step():
        h = conv_nd(x, w1, stride=1, padding=2, constant=False) + b1.reshape(1, 6, 1, 1)
        h = max_pool(relu(h), (2, 2), 2)
        h = conv_nd(h, w2, stride=1) + b2.reshape(1, 16, 1, 1)
        h = max_pool(relu(h), (2, 2), 2)
        h = h.reshape(64, 400)
        h = relu(h @ w3 + b3)
        h = relu(h @ w4 + b4)
        loss = softmax_crossentropy(h @ w5 + b5, target)
        loss.backward()
        steps.in_place([(p.data, p.grad) for p in parameters], RATE)
        return loss.item()

    return step


def by_hand(problem):
    parameters, (x, target) = problem
    (w1, b1), (w2, b2), *linear = state = layers([p.copy() for p in parameters])
    rows = np.arange(64)

    # Images are kept as (channels, height, width, N): a convolution is then one matrix product, and
    # whatever moves has runs of N neighbours.

    def patches(x, kernel=5):
        """(C, H, W, N) -> (C · 25, H' · W' · N): what each window sees, in a column."""
        windows = np.lib.stride_tricks.sliding_window_view(x, (kernel, kernel), axis=(1, 2))
        return windows.transpose(0, 4, 5, 1, 2, 3).reshape(len(x) * kernel**2, -1)

    def convolve(seen, weight, bias, size):
        y = weight.reshape(len(weight), -1) @ seen
        y += bias[:, None]
        return np.maximum(y, 0, out=y).reshape(len(weight), size, size, 64)

    def pool(x):
        """The greatest of each 2×2, and where it is."""
        corners = x[:, ::2, ::2], x[:, ::2, 1::2], x[:, 1::2, ::2], x[:, 1::2, 1::2]
        y = np.maximum(np.maximum(*corners[:2]), np.maximum(*corners[2:]))
        return y, [corner == y for corner in corners]

    def unpool(ct, hits):
        channels, height, width, n = ct.shape
        x = np.empty((channels, 2 * height, 2 * width, n), dtype=ct.dtype)
        for i, hit in enumerate(hits):
            np.multiply(ct, hit, out=x[:, i // 2 :: 2, i % 2 :: 2])
        return x

    def step():
        seen1 = patches(np.pad(x.transpose(1, 2, 3, 0), ((0, 0), (2, 2), (2, 2), (0, 0))))
        y1, hits1 = pool(convolve(seen1, w1, b1, 28))
        seen2 = patches(y1)
        y2, hits2 = pool(convolve(seen2, w2, b2, 10))
        h = y2.reshape(400, 64).T
        inputs = []
        for weight, bias in linear[:-1]:
            inputs.append(h)
            h = h @ weight.T
            h += bias
            np.maximum(h, 0, out=h)
        inputs.append(h)
        logits = h @ linear[-1][0].T
        logits += linear[-1][1]

        logits -= logits.max(axis=1, keepdims=True)
        ct = np.exp(logits)
        sums = ct.sum(axis=1, keepdims=True)
        loss = (np.log(sums[:, 0]) - logits[rows, target]).mean()

        ct /= sums
        ct[rows, target] -= 1
        ct /= 64
        gradients = []
        for (weight, _), h in zip(reversed(linear), reversed(inputs), strict=True):
            gradients.append((ct.T @ h, ct.sum(axis=0)))
            ct = ct @ weight
            ct *= h > 0  # h is max(0, ...) of a layer, or of several maxima

        ct = unpool(ct.T.reshape(16, 5, 5, 64), hits2).reshape(16, -1)
        gradients.append(((ct @ seen2.T).reshape(w2.shape), ct.sum(axis=1)))
        to_seen = (w2.reshape(16, -1).T @ ct).reshape(6, 5, 5, 10, 10, 64)
        ct = np.zeros_like(y1)
        for i in range(5):
            for j in range(5):
                ct[:, i : i + 10, j : j + 10] += to_seen[:, i, j]
        ct *= y1 > 0
        ct = unpool(ct, hits1).reshape(6, -1)
        gradients.append(((ct @ seen1.T).reshape(w1.shape), ct.sum(axis=1)))
        steps.in_place(steps.pairs(reversed(state), gradients), RATE)
        return loss.item()

    return step


VERSIONS = {
    **steps.versions(loss, RATE),
    "autograd": in_autograd,
    "mygrad": in_mygrad,
    "numpy": by_hand,
}
