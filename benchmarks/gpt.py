"""A small GPT, written from operators: two blocks of attention and a perceptron."""

import numpy as np

from benchmarks import steps

TITLE = "GPT, 2 layers, 128 wide, 16 texts of 64"
QUICK = {"length": 8, "batch": 2, "layers": 1}  # what --quick makes of the problem
LAYERS, WIDTH, HEADS, TOKENS, LENGTH, BATCH = 2, 128, 4, 65, 64, 16


def problem(length=LENGTH, batch=BATCH, layers=LAYERS):
    """Parameters, in the order in which `loss` takes them; and (tokens, the next tokens, mask)."""
    rng = np.random.default_rng(0)

    def normal(*shape):
        return np.float32(0.05) * rng.standard_normal(shape, dtype=np.float32)

    def layer(n_in, n_out):
        return [normal(n_out, n_in), np.zeros(n_out, np.float32)]

    def norm():
        return [np.ones(WIDTH, np.float32), np.zeros(WIDTH, np.float32)]

    parameters = [normal(TOKENS, WIDTH), normal(length, WIDTH)]
    for _ in range(layers):
        parameters += [*norm(), *layer(WIDTH, 3 * WIDTH), *layer(WIDTH, WIDTH)]
        parameters += [*norm(), *layer(WIDTH, 4 * WIDTH), *layer(4 * WIDTH, WIDTH)]
    parameters += [*norm(), *layer(WIDTH, TOKENS)]
    tokens = rng.integers(0, TOKENS, (batch, length + 1))
    mask = np.triu(np.full((length, length), -np.inf, np.float32), 1)
    return parameters, (tokens[:, :-1], tokens[:, 1:].reshape(-1), mask)


def loss(f, parameters, tokens, target, mask):
    """Cross-entropy of each next token."""
    rest = iter(parameters)

    def linear(x):
        return f.linear(x, next(rest), next(rest))

    def norm(x):
        return f.layer_norm(x, (WIDTH,), next(rest), next(rest))

    n, length = tokens.shape
    x = f.embedding(tokens, next(rest)) + next(rest)
    for _ in range((len(parameters) - 6) // 12):
        parts = linear(norm(x)).reshape(n, length, 3 * HEADS, WIDTH // HEADS)
        query, key, value = f.chunk(f.permute(parts, (0, 2, 1, 3)), 3, 1)
        scores = query @ f.permute(key, (0, 1, 3, 2)) * (WIDTH // HEADS) ** -0.5 + mask
        mixed = f.permute(f.softmax(scores, -1) @ value, (0, 2, 1, 3))
        x = x + linear(mixed.reshape(n, length, WIDTH))
        x = x + linear(f.gelu(linear(norm(x))))
    return f.cross_entropy(linear(norm(x)).reshape(n * length, TOKENS), target)


VERSIONS = steps.versions(loss, rate=0.1)
