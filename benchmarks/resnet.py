"""A small residual network in the manner of ResNet (He et al., 2015), with batch normalisation."""

import numpy as np

from benchmarks import steps

TITLE = "ResNet-like, 3 blocks, batch 32 of 3×32×32"
QUICK = {"batch": 4, "widths": (4, 8)}  # what --quick makes of the problem
BATCH, WIDTHS, CLASSES = 32, (16, 32, 64), 10


def problem(batch=BATCH, widths=WIDTHS):
    """Parameters, in the order in which `loss` takes them; and (images, classes)."""
    rng = np.random.default_rng(0)
    parameters = []

    def convolution(outputs, inputs, size):
        """A weight with He's scale, and the scale and shift of the normalisation after it."""
        weight = rng.standard_normal((outputs, inputs, size, size), dtype=np.float32)
        parameters.append(weight * np.float32(np.sqrt(2 / (inputs * size * size))))
        parameters.extend([np.ones(outputs, np.float32), np.zeros(outputs, np.float32)])

    convolution(widths[0], 3, 3)
    inputs = widths[0]
    for outputs in widths:
        convolution(outputs, inputs, 3)
        convolution(outputs, outputs, 3)
        if outputs != inputs:
            convolution(outputs, inputs, 1)
        inputs = outputs
    last = rng.standard_normal((CLASSES, inputs), dtype=np.float32) / np.float32(np.sqrt(inputs))
    parameters.extend([last, np.zeros(CLASSES, np.float32)])
    x = rng.standard_normal((batch, 3, 32, 32), dtype=np.float32)
    return parameters, (x, rng.integers(0, CLASSES, batch))


def loss(f, parameters, x, target):
    """Cross-entropy. A block halves the image where it widens it; so does its shortcut."""
    rest = iter(parameters)

    def convolution(x, padding=1, stride=1):
        x = f.conv2d(x, next(rest), None, padding=padding, stride=stride)
        return f.batch_norm(x, next(rest), next(rest))

    x = f.relu(convolution(x))
    widths = [p.shape[0] for p in parameters[3:-2:3] if p.shape[2] == 3][1::2]
    for width in widths:
        same = width == x.shape[1]
        stride = 1 if same else 2
        h = convolution(f.relu(convolution(x, stride=stride)))
        x = f.relu(h + (x if same else convolution(x, padding=0, stride=stride)))
    return f.cross_entropy(f.linear(x.mean((2, 3)), next(rest), next(rest)), target)


VERSIONS = steps.versions(loss, rate=0.05)
