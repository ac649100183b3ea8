"""Recurrent networks beside PyTorch's: values, states, gradients, packed sequences, jit."""

import numpy as np
import pytest

import gradnerve as gn
from gradnerve import nn
from gradnerve.nn.utils import rnn

torch = pytest.importorskip("torch", reason="PyTorch is what these are compared with")

RNG = np.random.default_rng(7)
OPTIONS = [
    {}, {"bias": False}, {"num_layers": 2}, {"bidirectional": True}, {"batch_first": True},
    {"num_layers": 2, "bidirectional": True, "batch_first": True},
]  # fmt: skip
KINDS = [(kind, options) for kind in ("RNN", "LSTM", "GRU") for options in OPTIONS] + [
    ("RNN", {"nonlinearity": "relu", "num_layers": 2}),
    ("LSTM", {"proj_size": 2, "num_layers": 2, "bidirectional": True}),
]


def pair(kind, *sizes, **options):
    """Ours and PyTorch's, with the same weights, in float64."""
    theirs = getattr(torch.nn, kind)(*sizes, dtype=torch.float64, **options)
    ours = getattr(nn, kind)(*sizes, dtype="float64", **options)
    ours.load_state_dict({k: v.numpy() for k, v in theirs.state_dict().items()})
    assert list(ours.state_dict()) == list(theirs.state_dict())
    return ours, theirs


def compare(ours, theirs, inputs, run):
    """Run both on the inputs, and compare the results and all gradients."""
    mine = [gn.Tensor(x, requires_grad=True) for x in inputs]
    peers = [torch.tensor(x, requires_grad=True) for x in inputs]
    results, expected = run(ours, *mine), run(theirs, *peers)
    assert len(results) == len(expected)
    total = peer_total = 0
    for i, (result, value) in enumerate(zip(results, expected, strict=True)):
        np.testing.assert_allclose(result.data, value.detach().numpy(), rtol=1e-10, atol=1e-12)
        total = total + (result * result * (i + 1)).sum()
        peer_total = peer_total + (value * value * (i + 1)).sum()
    total.backward()
    peer_total.backward()
    for a, b in zip(mine, peers, strict=True):
        np.testing.assert_allclose(a.grad, b.grad.numpy(), rtol=1e-9, atol=1e-12)
    peer_parameters = dict(theirs.named_parameters())
    for name, p in ours.named_parameters():
        np.testing.assert_allclose(
            p.grad, peer_parameters[name].grad.numpy(), rtol=1e-9, atol=1e-12, err_msg=name
        )


def flat(output):
    y, state = output
    return [y, *state] if isinstance(state, tuple) else [y, state]


@pytest.mark.parametrize(("kind", "options"), KINDS)
@pytest.mark.parametrize("given", [False, True], ids=["zeros", "given"])
def test_a_network_is_pytorchs(kind, options, given):
    ours, theirs = pair(kind, 3, 4, **options)
    x = RNG.normal(size=(2, 5, 3) if options.get("batch_first") else (5, 2, 3))
    count = options.get("num_layers", 1) * (1 + options.get("bidirectional", False))
    widths = [options.get("proj_size", 4), 4] if kind == "LSTM" else [4]
    states = [RNG.normal(size=(count, 2, width)) for width in widths] if given else []

    def run(net, x, *states):
        return flat(net(x, *([states if kind == "LSTM" else states[0]] if states else [])))

    compare(ours, theirs, [x, *states], run)


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_one_sequence_has_no_batch(kind):
    ours, theirs = pair(kind, 3, 4, 2)
    compare(ours, theirs, [RNG.normal(size=(5, 3))], lambda net, x: flat(net(x)))


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
@pytest.mark.parametrize(("lengths", "ordered"), [([4, 2, 1], True), ([1, 4, 2], False)])
def test_packed_sequences(kind, lengths, ordered):
    ours, theirs = pair(kind, 3, 4, 2, bidirectional=True)

    def run(net, x):
        m = torch.nn.utils.rnn if isinstance(x, torch.Tensor) else rnn
        packed = m.pack_padded_sequence(x, lengths, enforce_sorted=ordered)
        y, state = net(packed)
        y, n = m.pad_packed_sequence(y)
        assert list(n) == lengths
        return flat((y, state))

    compare(ours, theirs, [RNG.normal(size=(4, 3, 3))], run)


@pytest.mark.parametrize("kind", ["RNNCell", "LSTMCell", "GRUCell"])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("batch", [(), (2,)])
def test_a_cell_is_pytorchs(kind, bias, batch):
    ours, theirs = pair(kind, 3, 4, bias=bias)
    states = [RNG.normal(size=(*batch, 4)) for _ in range(1 + (kind == "LSTMCell"))]

    def run(net, x, *states):
        state = states if kind == "LSTMCell" else states[0]
        out = net(x, net(x, state))
        return list(out) if isinstance(out, tuple) else [out]

    compare(ours, theirs, [RNG.normal(size=(*batch, 3)), *states], run)
    fresh = ours(np.ones((*batch, 3)))
    assert (fresh[0] if kind == "LSTMCell" else fresh).shape == (*batch, 4)


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_second_derivatives(kind):
    net = getattr(nn, kind)(2, 2, dtype="float64")

    def f(x, w):
        net.weight_hh_l0 = w
        return flat(net(x))[0].sum()

    w = net.weight_hh_l0.data
    assert gn.gradcheck(f, (RNG.normal(size=(2, 1, 2)), w), order=2)


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
@pytest.mark.parametrize("library", ["torch", "jit"])
def test_on_other_libraries(kind, library):
    if library == "jit":
        pytest.importorskip("jax", reason="gn.jit is JAX's compiler")

    def train(on_numpy):
        gn.manual_seed(3)
        net = getattr(nn, kind)(3, 4, 2, dropout=0.0, dtype="float64")
        optimizer = gn.optim.SGD(net.parameters(), lr=0.1)
        x = np.linspace(-1, 1, 24).reshape(4, 2, 3)

        def step(net, optimizer, x):
            loss = (net(x)[0] ** 2).mean()
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            return loss

        if not on_numpy and library == "torch":
            net.to("torch")
            x = gn.Tensor(x).to("torch")
        if not on_numpy and library == "jit":
            step = gn.jit(step)
        return [float(step(net, optimizer, x).item()) for _ in range(3)]

    np.testing.assert_allclose(train(False), train(True), rtol=1e-10)


def test_compiled_code_does_not_grow_with_the_length():
    pytest.importorskip("jax", reason="gn.jit is JAX's compiler")
    net = nn.LSTM(3, 4)

    def lines(steps):
        compiled = gn.jit(lambda net, x: net(x)[0].sum())
        return len(compiled.lower(net, np.ones((steps, 2, 3), np.float32)).as_text().splitlines())

    assert lines(4) == lines(40)


def test_dropout_is_between_the_layers_and_only_while_training():
    gn.manual_seed(0)
    net = nn.LSTM(3, 4, 2, dropout=0.5)
    x = np.ones((5, 2, 3), np.float32)
    assert not np.array_equal(net(x)[0].data, net(x)[0].data)
    net.eval()
    assert np.array_equal(net(x)[0].data, net(x)[0].data)
    assert np.array_equal(nn.LSTM(3, 4, dropout=0.9).eval()(x)[0].shape, (5, 2, 4))


def test_padding_and_back():
    rows = [gn.Tensor(RNG.normal(size=(n, 2)), requires_grad=True) for n in (2, 4, 1)]
    padded = rnn.pad_sequence(rows, padding_value=9.0)
    expected = torch.nn.utils.rnn.pad_sequence(
        [torch.tensor(row.data) for row in rows], padding_value=9.0
    )
    np.testing.assert_array_equal(padded.data, expected.numpy())
    for row, back in zip(rows, rnn.unpad_sequence(padded, [2, 4, 1]), strict=True):
        np.testing.assert_array_equal(back.data, row.data)
    packed = rnn.pack_sequence(rows, enforce_sorted=False)
    theirs = torch.nn.utils.rnn.pack_sequence(
        [torch.tensor(row.data) for row in rows], enforce_sorted=False
    )
    np.testing.assert_array_equal(packed.data.data, theirs.data.numpy())
    np.testing.assert_array_equal(packed.batch_sizes, theirs.batch_sizes.numpy())
    again, lengths = rnn.pad_packed_sequence(packed, batch_first=True, total_length=5)
    assert again.shape == (3, 5, 2)
    assert lengths.tolist() == [2, 4, 1]
    (again * again).sum().backward()
    np.testing.assert_allclose(rows[1].grad, 2 * rows[1].data)


@pytest.mark.parametrize(
    ("call", "error", "says"),
    [
        (lambda: nn.LSTM(3, 4)(np.ones((5, 2, 7))), ValueError, r"expects \(T, N, 3\)"),
        (lambda: nn.GRU(3, 4)(np.ones(3)), ValueError, r"expects \(T, N, 3\)"),
        (lambda: nn.GRU(3, 4)(np.ones((5, 2, 3)), np.ones((1, 3, 4))), ValueError, "first state"),
        (lambda: nn.LSTM(3, 4)(np.ones((5, 2, 3)), np.ones((1, 2, 4))), TypeError, "h, c"),
        (lambda: nn.RNN(3, 4, nonlinearity="sin"), ValueError, "'tanh' or 'relu'"),
        (lambda: nn.LSTM(3, 0), ValueError, "1 or more"),
        (lambda: nn.LSTM(3, 4, proj_size=4), ValueError, "proj_size"),
        (lambda: nn.GRU(3, 4, dropout=2.0), ValueError, "probability"),
        (lambda: nn.GRUCell(3, 4)(np.ones((2, 4))), ValueError, r"expects \(N, 3\)"),
        (lambda: nn.GRUCell(3, 4)(np.ones((2, 3)), np.ones((3, 4))), ValueError, "a state of"),
        (lambda: rnn.pack_padded_sequence(np.ones((4, 2)), [1, 3]), ValueError, "enforce_sorted"),
        (lambda: rnn.pack_padded_sequence(np.ones((4, 2)), [5, 3]), ValueError, "from 1 to 4"),
        (lambda: rnn.pad_sequence([]), ValueError, "no sequences"),
    ],
)
def test_bad_input(call, error, says):
    with pytest.raises(error, match=says):
        call()
