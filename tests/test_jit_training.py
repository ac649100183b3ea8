"""Training under `gn.jit` is training: the same weights after 20 steps as without it."""

import numpy as np
import pytest

import gradnerve as gn
import gradnerve.nn.functional as F
from gradnerve import nn

pytest.importorskip("jax")

STEPS = 20
TOLERANCE = {"float32": {"rtol": 1e-4, "atol": 1e-5}, "float64": {"rtol": 1e-10, "atol": 1e-10}}


def normal(*shape):
    return np.random.default_rng(len(shape)).standard_normal(shape)


def classes(count, *shape):
    return np.random.default_rng(1).integers(0, count, shape)


class LSTM(nn.Module):
    """Classes of sequences (T, N, 3), written from operators."""

    def __init__(self):
        self.of_input, self.of_state = nn.Linear(3, 4 * 5), nn.Linear(5, 4 * 5)
        self.of_class = nn.Linear(5, 4)

    def forward(self, x):
        h = c = x[0, :, :1] * 0
        for t in range(len(x)):
            gates = self.of_input(x[t])
            if t:
                gates = gates + self.of_state(h)
            forget, enter, leave, new = gn.chunk(gates, 4, 1)
            c = gn.sigmoid(forget) * c + gn.sigmoid(enter) * gn.tanh(new)
            h = gn.sigmoid(leave) * gn.tanh(c)
        return self.of_class(h)


class GPT(nn.Module):
    """The next of 7 tokens after each of (N, T), written from operators; one block, two heads."""

    WIDTH, HEADS, TOKENS = 8, 2, 7

    def __init__(self):
        width = self.WIDTH
        self.table = nn.Parameter(0.1 * normal(self.TOKENS, width))
        self.places = nn.Parameter(0.1 * normal(6, width))
        self.scale, self.shift = nn.Parameter(np.ones(width)), nn.Parameter(np.zeros(width))
        # A bias of the keys has no gradient: softmax ignores what is added to all scores.
        self.attend = nn.Linear(width, 3 * width, bias=False)
        self.mix = nn.Linear(width, width)
        self.widen, self.narrow = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.head = nn.Linear(width, self.TOKENS)

    def norm(self, x):
        return F.layer_norm(x, self.WIDTH, self.scale, self.shift)

    def forward(self, tokens):
        n, length = tokens.shape
        x = F.embedding(tokens, self.table) + self.places
        parts = self.attend(self.norm(x)).reshape(n, length, 3 * self.HEADS, -1)
        query, key, value = gn.chunk(gn.permute_dims(parts, (0, 2, 1, 3)), 3, 1)
        mixed = F.scaled_dot_product_attention(query, key, value, is_causal=True)
        x = x + self.mix(gn.permute_dims(mixed, (0, 2, 1, 3)).reshape(n, length, self.WIDTH))
        x = x + self.narrow(F.gelu(self.widen(self.norm(x)), approximate="tanh"))
        return self.head(self.norm(x)).reshape(n * length, self.TOKENS)


def mlp():
    return nn.Sequential(
        nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 4)
    )


def cnn():
    return nn.Sequential(
        nn.Conv2d(1, 3, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(3, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(16, 4),
    )  # fmt: skip


MODELS = {
    "mlp": (mlp, normal(12, 6), classes(4, 12)),
    "cnn": (cnn, normal(5, 1, 12, 12), classes(4, 5)),
    "lstm": (LSTM, normal(6, 4, 3), classes(4, 4)),
    "gpt": (GPT, classes(7, 3, 6), classes(7, 18)),
}


def train(name, dtype, optimizer_of, wrap):
    """The losses of all steps, and the weights at the end."""
    gn.manual_seed(0)
    make, x, target = MODELS[name]
    model = make()
    for parameter in model.parameters():
        parameter.data = parameter.data.astype(dtype)
    x = x.astype(dtype) if x.dtype.kind == "f" else x
    optimizer = optimizer_of(model.parameters())

    @wrap
    def step(model, optimizer, x, target):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), target)
        loss.backward()
        optimizer.step()
        return loss

    losses = [float(step(model, optimizer, x, target)) for _ in range(STEPS)]
    return losses, {k: np.asarray(v) for k, v in model.state_dict().items()}


def momentum(parameters):
    return gn.optim.SGD(parameters, lr=0.05, momentum=0.9)


def adam(parameters):
    return gn.optim.Adam(parameters, lr=1e-3)


@pytest.mark.parametrize(("dtype", "optimizer"), [("float32", momentum), ("float64", adam)])
@pytest.mark.parametrize("name", MODELS)
def test_20_steps_with_and_without_jit_agree(name, dtype, optimizer):
    losses, weights = train(name, dtype, optimizer, lambda step: step)
    compiled_losses, compiled = train(name, dtype, optimizer, gn.jit)
    np.testing.assert_allclose(compiled_losses, losses, **TOLERANCE[dtype])
    assert losses[-1] < losses[0]
    assert compiled.keys() == weights.keys()
    for key, weight in weights.items():
        assert compiled[key].dtype == weight.dtype == dtype
        np.testing.assert_allclose(compiled[key], weight, err_msg=key, **TOLERANCE[dtype])
