"""Attention and transformers: values, gradients and state dicts are PyTorch's."""

import numpy as np
import pytest

import gradnerve as gn
from gradnerve import nn

L, S, N, E = 4, 5, 3, 8


def normal(*shape):
    return np.random.default_rng(sum(shape)).standard_normal(shape)


def pair(torch, kind, *sizes, **options):
    """A module, and PyTorch's with the same weights, none of them 0."""
    theirs = getattr(torch.nn, kind)(*sizes, **options)
    for i, p in enumerate(theirs.parameters()):
        p.data = torch.tensor(np.random.default_rng(i).standard_normal(p.shape) / 2)
    ours = getattr(nn, kind)(*sizes, dtype="float64", **options)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    ours.load_state_dict({k: v.numpy() for k, v in theirs.state_dict().items()})
    return ours, theirs


def agree(ours, theirs, inputs, torch, call):
    """The outputs of `call`, and the gradients of a weighed sum of them."""
    xs = [gn.Tensor(a, requires_grad=True) for a in inputs]
    peers = [torch.tensor(a, requires_grad=True) for a in inputs]
    results = call(ours, *xs, lambda a: a), call(theirs, *peers, torch.tensor)
    totals = [0.0, 0.0]
    for y, peer in zip(*(r if isinstance(r, tuple) else (r,) for r in results), strict=True):
        if peer is None:
            assert y is None
            continue
        np.testing.assert_allclose(y.data, peer.detach().numpy(), rtol=1e-10, atol=1e-12)
        weights = normal(*y.shape)
        totals = [totals[0] + (y * weights).sum(), totals[1] + (peer * torch.tensor(weights)).sum()]
    for total in totals:
        total.backward()
    for x, peer in zip(xs, peers, strict=True):
        np.testing.assert_allclose(x.grad, peer.grad.numpy(), rtol=1e-9, atol=1e-11)
    grads = {k: p.grad.numpy() for k, p in theirs.named_parameters()}
    for name, p in ours.named_parameters():
        np.testing.assert_allclose(p.grad, grads[name], rtol=1e-8, atol=1e-10, err_msg=name)


ATTENTION = {
    "plain": ({}, {}),
    "without bias, heads apart": ({"bias": False}, {"average_attn_weights": False}),
    "without weights": ({"batch_first": True}, {"need_weights": False}),
    "other sizes": ({"kdim": 3, "vdim": 7}, {}),
    "more keys": ({"add_bias_kv": True, "add_zero_attn": True}, {"attn_mask": np.tri(L, S) == 0}),
    "masks": (
        {"batch_first": True},
        {"attn_mask": np.tri(L, S) == 0, "key_padding_mask": np.arange(S) >= np.full((N, 1), 4)},
    ),
    "masks of numbers": (
        {},
        {"attn_mask": normal(2 * N, L, S), "key_padding_mask": normal(N, S), "need_weights": False},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", ATTENTION)
def test_attention_is_pytorchs(name, torch):
    options, arguments = ATTENTION[name]
    ours, theirs = pair(torch, "MultiheadAttention", E, 2, **options)
    sizes = [(L, N, E), (S, N, options.get("kdim", E)), (S, N, options.get("vdim", E))]
    if options.get("batch_first"):
        sizes = [(n, length, size) for length, n, size in sizes]

    def call(module, q, k, v, array):
        given = {k: array(a) if isinstance(a, np.ndarray) else a for k, a in arguments.items()}
        return module(q, k, v, **given)

    agree(ours, theirs, [normal(*size) for size in sizes], torch, call)


def test_self_attention_of_one_sequence(torch):
    ours, theirs = pair(torch, "MultiheadAttention", E, 4)
    padding = np.array([False, True, False, False])

    def call(module, x, array):
        return module(x, x, x, key_padding_mask=array(padding))

    agree(ours, theirs, [normal(L, E)], torch, call)


def test_a_row_that_may_attend_to_nothing():
    ours = nn.MultiheadAttention(E, 2, dtype="float64", batch_first=True)
    x = gn.Tensor(normal(N, L, E), requires_grad=True)
    for need_weights in (True, False):
        y, _ = ours(x, x, x, np.ones((N, L), bool), need_weights)
        y.sum().backward()
        np.testing.assert_array_equal(y.data, np.zeros((N, L, E)))
        assert np.isfinite(x.grad).all()


def test_causal_attention_needs_no_mask():
    ours = nn.MultiheadAttention(E, 2, dtype="float64", batch_first=True)
    x = normal(N, L, E)
    mask = nn.Transformer.generate_square_subsequent_mask(L)
    expected, _ = ours(x, x, x, attn_mask=mask)
    for need_weights in (True, False):
        y, _ = ours(x, x, x, need_weights=need_weights, is_causal=True)
        np.testing.assert_allclose(y.data, expected.data, rtol=1e-12)


LAYERS = [
    {"dropout": 0.0},
    {"dropout": 0.0, "norm_first": True, "activation": "gelu", "batch_first": True},
    {"dropout": 0.0, "bias": False, "layer_norm_eps": 0.1},
]


@pytest.mark.parametrize("options", LAYERS, ids=str)
@pytest.mark.parametrize("kind", ["TransformerEncoderLayer", "TransformerDecoderLayer"])
def test_layers_are_pytorchs(kind, options, torch):
    ours, theirs = pair(torch, kind, E, 2, 16, **options)
    first = options.get("batch_first")
    x, memory = (normal(*((N, n) if first else (n, N)), E) for n in (L, S))
    mask = nn.Transformer.generate_square_subsequent_mask(L, "float64")
    if "Encoder" in kind:
        agree(ours, theirs, [x], torch, lambda m, x, array: m(x, array(mask)))
    else:
        agree(ours, theirs, [x, memory], torch, lambda m, x, y, array: m(x, y, array(mask)))


@pytest.mark.filterwarnings("ignore:enable_nested_tensor")
def test_a_whole_transformer_is_pytorchs(torch):
    ours, theirs = pair(torch, "Transformer", E, 2, 2, 2, 16, dropout=0.0)
    padding = np.zeros((N, S), bool)
    padding[1, 3:] = True

    def call(module, src, tgt, array):
        masks = {"src_key_padding_mask": array(padding), "memory_key_padding_mask": array(padding)}
        return module(src, tgt, tgt_mask=array(np.tri(L) == 0), **masks)

    agree(ours, theirs, [normal(S, N, E), normal(L, N, E)], torch, call)


def test_under_jit_and_on_pytorch(torch, jax):
    layer = nn.TransformerEncoderLayer(E, 2, 16, dropout=0.0, batch_first=True, dtype="float64")
    x = normal(N, L, E)
    expected = layer(x, is_causal=True).data
    y = gn.jit(lambda layer, x: layer(x, is_causal=True))(layer, x)
    np.testing.assert_allclose(y.data, expected, rtol=1e-10)
    y = layer.to("torch")(torch.tensor(x), is_causal=True)
    np.testing.assert_allclose(y.data.numpy(), expected, rtol=1e-10)


def test_rotary_products_depend_on_the_distance():
    turn = nn.RotaryPositions(6)
    q, k = normal(1, 6), normal(6, 1).T
    near = [(turn(q, i) @ turn(k, i + 2).T).item() for i in (0, 5, 90)]
    np.testing.assert_allclose(near, near[0])
    assert (turn(q, 0) @ turn(k, 3).T).item() != pytest.approx(near[0])
    # one pair of features as a complex number, times exp(i t θ)
    z = turn(np.tile(q, (4, 1)))[:, 2::6] + 1j * turn(np.tile(q, (4, 1)))[:, 3::6]
    expected = (q[0, 2] + 1j * q[0, 3]) * np.exp(1j * np.arange(4) / 10000 ** (1 / 3))
    np.testing.assert_allclose(z[:, 0], expected)
    assert gn.gradcheck(turn, (normal(2, 3, 6),))


def test_sinusoidal_positions():
    x = gn.Tensor(np.zeros((3, 1, 5)), requires_grad=True)
    y = nn.SinusoidalPositions(5)(x)
    y.sum().backward()
    t, i = np.arange(3)[:, None], np.arange(5)[None]
    angles = t / 10000 ** (2 * (i // 2) / 5)
    expected = np.where(i % 2 == 0, np.sin(angles), np.cos(angles))
    np.testing.assert_allclose(y.data[:, 0], expected, atol=1e-12)
    assert (x.grad == 1).all()


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda: nn.MultiheadAttention(8, 3), "does not divide into 3 heads"),
        (
            lambda: nn.MultiheadAttention(8, 2)(*[np.ones((L, N, 7))] * 3),
            r"last axes of \(8",
        ),
        (
            lambda: nn.MultiheadAttention(8, 2)(
                np.ones((L, N, 8)), np.ones((S, N, 8)), np.ones((L, N, 8))
            ),
            "key and value must have one length",
        ),
        (
            lambda: nn.MultiheadAttention(8, 2)(
                *[np.ones((L, N, 8))] * 3, attn_mask=np.ones((2, 2), bool)
            ),
            r"attn_mask of shape \(2, 2\) does not fit; expects \(4, 4\) or \(6, 4, 4\)",
        ),
        (
            lambda: nn.MultiheadAttention(8, 2)(
                *[np.ones((L, N, 8))] * 3, key_padding_mask=np.ones((L, N), bool)
            ),
            r"key_padding_mask of shape \(4, 3\) does not fit; expects \(3, 4\)",
        ),
        (lambda: nn.TransformerEncoderLayer(8, 2, activation="x"), "activation is"),
        (lambda: nn.RotaryPositions(3), "dim is even, not 3"),
        (lambda: nn.RotaryPositions(4)(np.ones((2, 2))), "expects a last axis of 4, got 2"),
    ],
)
def test_bad_input(call, words):
    with pytest.raises(ValueError, match=words):
        call()
