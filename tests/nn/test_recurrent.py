"""Recurrent networks: values, gradients and state dicts are PyTorch's."""

import numpy as np
import pytest

import gradnerve as gn
from gradnerve import nn
from gradnerve.nn.utils import rnn

T, N, D, H = 5, 3, 4, 6


def normal(*shape):
    return np.random.default_rng(sum(shape)).standard_normal(shape)


KINDS = {
    "rnn": ("RNN", {"nonlinearity": "relu", "num_layers": 2}),
    "rnn bidirectional": ("RNN", {"bidirectional": True, "bias": False}),
    "lstm": ("LSTM", {}),
    "lstm in layers": ("LSTM", {"num_layers": 2, "bidirectional": True, "batch_first": True}),
    "lstm projected": ("LSTM", {"num_layers": 2, "proj_size": 2, "bidirectional": True}),
    "lstm without bias": ("LSTM", {"bias": False}),
    "gru": ("GRU", {"num_layers": 2, "bidirectional": True}),
    "gru batch first": ("GRU", {"batch_first": True, "bias": False}),
}


def pair(torch, kind, options, *sizes):
    """A module, and PyTorch's with the same weights."""
    ours = getattr(nn, kind)(*sizes, dtype="float64", **options)
    theirs = getattr(torch.nn, kind)(*sizes, **options)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    ours.load_state_dict({k: v.numpy() for k, v in theirs.state_dict().items()})
    return ours, theirs


def flat(value):
    if isinstance(value, (list, tuple)):
        return [part for item in value for part in flat(item)]
    return [value]


def agree(ours, theirs, y, peer, x, peer_x):
    """Outputs, and the gradients of a weighed sum of them."""
    total = peer_total = 0.0
    for a, b in zip(flat(y), flat(peer), strict=True):
        np.testing.assert_allclose(a.data, b.detach().numpy(), rtol=1e-11, atol=1e-13)
        weights = normal(*a.shape)
        total = total + (a * weights).sum()
        peer_total = peer_total + (b * b.new_tensor(weights)).sum()
    total.backward()
    peer_total.backward()
    np.testing.assert_allclose(x.grad, peer_x.grad.numpy(), rtol=1e-10, atol=1e-12)
    grads = {k: p.grad.numpy() for k, p in theirs.named_parameters()}
    for name, parameter in ours.named_parameters():
        np.testing.assert_allclose(parameter.grad, grads[name], rtol=1e-9, atol=1e-11, err_msg=name)


def states(module, x, torch):
    layers = module.num_layers * (2 if module.bidirectional else 1)
    n = x.shape[0 if module.batch_first else 1] if x.ndim == 3 else None
    sizes = [getattr(module, "proj_size", 0) or H, H][: 2 if type(module).__name__ == "LSTM" else 1]
    arrays = [normal(*((layers, size) if n is None else (layers, n, size))) for size in sizes]
    made = [gn.Tensor(a) for a in arrays], [torch.tensor(a) for a in arrays]
    return tuple(tuple(m) if len(m) > 1 else m[0] for m in made)


@pytest.mark.parametrize("given", ["zeros", "state", "one sequence"])
@pytest.mark.parametrize("name", KINDS)
def test_layers_are_pytorchs(name, given, torch):
    kind, options = KINDS[name]
    ours, theirs = pair(torch, kind, options, D, H)
    data = normal(T, D) if given == "one sequence" else normal(T, N, D)
    x, peer_x = gn.Tensor(data, requires_grad=True), torch.tensor(data, requires_grad=True)
    hx, peer_hx = (None, None) if given == "zeros" else states(ours, data, torch)
    agree(ours, theirs, ours(x, hx), theirs(peer_x, peer_hx), x, peer_x)


@pytest.mark.parametrize("name", ["rnn", "lstm in layers", "lstm projected", "gru"])
@pytest.mark.parametrize("is_sorted", [True, False])
def test_packed_sequences_are_pytorchs(name, is_sorted, torch):
    kind, options = KINDS[name]
    options = {**options, "batch_first": False}
    ours, theirs = pair(torch, kind, options, D, H)
    lengths = [5, 3, 2] if is_sorted else [2, 5, 3]
    data = normal(T, N, D)
    x, peer_x = gn.Tensor(data, requires_grad=True), torch.tensor(data, requires_grad=True)
    hx, peer_hx = states(ours, data, torch)
    packed = rnn.pack_padded_sequence(x, lengths, enforce_sorted=is_sorted)
    peer_packed = torch.nn.utils.rnn.pack_padded_sequence(
        peer_x, torch.tensor(lengths), enforce_sorted=is_sorted
    )
    np.testing.assert_array_equal(packed.data.data, peer_packed.data.detach().numpy())
    np.testing.assert_array_equal(packed.batch_sizes, peer_packed.batch_sizes.numpy())
    y, state = ours(packed, hx)
    peer, peer_state = theirs(peer_packed, peer_hx)
    padded, found = rnn.pad_packed_sequence(y, batch_first=True, padding_value=2.0, total_length=7)
    peer_padded, _ = torch.nn.utils.rnn.pad_packed_sequence(
        peer, batch_first=True, padding_value=2.0, total_length=7
    )
    assert found.tolist() == lengths
    agree(ours, theirs, (padded, state), (peer_padded, peer_state), x, peer_x)


@pytest.mark.parametrize("kind", ["RNNCell", "LSTMCell", "GRUCell"])
@pytest.mark.parametrize("shape", [(N,), ()], ids=["batch", "one"])
def test_cells_are_pytorchs(kind, shape, torch):
    ours, theirs = pair(torch, kind, {}, D, H)
    data = normal(*shape, D)
    x, peer_x = gn.Tensor(data, requires_grad=True), torch.tensor(data, requires_grad=True)
    first, peer_first = ours(x), theirs(peer_x)
    agree(ours, theirs, ours(x, first), theirs(peer_x, peer_first), x, peer_x)


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_under_jit_it_is_a_loop(kind, jax):
    """The same values and gradients, and a program that does not grow with the length."""
    module = getattr(nn, kind)(D, H, bidirectional=True, dtype="float64")

    def step(module, x):
        module.zero_grad()
        y, _ = module(x)
        (y * y).sum().backward()
        return y

    x = normal(T, N, D)
    expected = step(module, gn.Tensor(x)).data
    grads = [p.grad for p in module.parameters()]
    compiled = gn.jit(step)
    np.testing.assert_allclose(compiled(module, x), expected, rtol=1e-11)
    for p, grad in zip(module.parameters(), grads, strict=True):
        np.testing.assert_allclose(p.grad, grad, rtol=1e-9, atol=1e-12)
    lines = [len(str(compiled.lower(module, normal(t, N, D))).splitlines()) for t in (3, 30)]
    assert lines[0] == lines[1]


def test_on_arrays_of_pytorch(torch):
    module = nn.LSTM(D, H, dtype="float64")
    x = normal(T, N, D)
    expected = module(x)[0].data
    y = module.to("torch")(torch.tensor(x))[0]
    y.sum().backward()
    np.testing.assert_allclose(y.data.numpy(), expected, rtol=1e-12)


def test_gradients_of_gradients():
    module = nn.LSTM(2, 2, dtype="float64")

    def f(x):
        y, (_, c) = module(x)
        return (y**2).sum() + (c**3).sum()

    assert gn.gradcheck(f, (normal(3, 2, 2),), order=2)


def test_dropout_is_between_layers():
    module = nn.GRU(D, H, num_layers=2, dropout=1.0, dtype="float64")
    x = normal(T, N, D)
    other = nn.GRU(D, H, num_layers=2, dtype="float64")
    other.load_state_dict(module.state_dict())
    np.testing.assert_array_equal(module.eval()(x)[0].data, other(x)[0].data)
    module.train()
    y, h = module(x)
    np.testing.assert_array_equal(h[0].data, other(x)[1][0].data)
    np.testing.assert_array_equal(y.data, module(2 * x)[0].data)


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda: nn.LSTM(D, H)(np.ones((T, N, 9), np.float32)), "expects a last axis of 4, got 9"),
        (lambda: nn.GRU(D, H)(np.ones((0, N, D), np.float32)), "at least one step"),
        (lambda: nn.GRU(D, H)(np.ones(D, np.float32)), r"expects \(T, N, 4\)"),
        (
            lambda: nn.GRU(D, H)(np.ones((T, N, D), np.float32), np.ones((1, 2, H), np.float32)),
            r"state of shape \(1, 3, 6\), got \(1, 2, 6\)",
        ),
        (lambda: nn.LSTMCell(D, H)(np.ones((N, 9), np.float32)), "expects a last axis of 4, got 9"),
        (lambda: nn.LSTM(D, H)(np.ones((T, N, D), np.float32), [1.0]), r"2 tensors, \(h, c\), got"),
        (lambda: nn.LSTM(0, H), "sizes and layers are 1 or more"),
        (lambda: nn.LSTM(D, H, proj_size=H), "proj_size is from 0 to below"),
        (lambda: nn.GRU(D, H, dropout=2), "dropout is a probability"),
        (lambda: nn.RNN(D, H, nonlinearity="x"), "nonlinearity is"),
        (lambda: rnn.pack_padded_sequence(np.ones((T, N)), [1, 2, 3]), "enforce_sorted=False"),
        (lambda: rnn.pack_padded_sequence(np.ones((T, N)), [9, 2, 3]), "a length from 1 to 5"),
        (
            lambda: rnn.pad_packed_sequence(rnn.pack_sequence([np.ones(3)]), total_length=2),
            "less than the longest, 3",
        ),
    ],
)
def test_bad_input(call, words):
    with pytest.raises(ValueError, match=words):
        call()
