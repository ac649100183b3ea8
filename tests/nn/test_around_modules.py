"""Hooks, parametrisations, and summaries: as PyTorch's."""

import copy

import numpy as np
import pytest

import gradnerve as gn
from gradnerve import nn, optim
from gradnerve.nn.utils import parametrizations, parametrize


def normal(*shape):
    return np.random.default_rng(sum(shape)).standard_normal(shape)


def linear(library, *sizes):
    """A layer with the same weights in both libraries."""
    layer = library.nn.Linear(*sizes, **({"dtype": "float64"} if library is gn else {}))
    for p in (layer.weight, layer.bias):
        p.data = normal(*p.shape) if library is gn else library.tensor(normal(*p.shape))
    return layer


# --- Hooks ----------------------------------------------------------------------------------------


def test_forward_hooks_change_what_goes_in_and_out():
    layer, calls = linear(gn, 3, 2), []
    x = normal(4, 3)
    expected = 3 * layer(2 * x).data
    handle = layer.register_forward_pre_hook(lambda module, args: 2 * args[0])
    other = layer.register_forward_hook(lambda module, args, y: 3 * y)
    layer.register_forward_hook(lambda module, args, y: calls.append(args[0]), prepend=True)
    np.testing.assert_allclose(layer(x).data, expected)
    np.testing.assert_array_equal(calls, [2 * x])
    handle.remove()
    handle.remove()
    other.remove()
    np.testing.assert_allclose(layer(x).data, x @ layer.weight.data.T + layer.bias.data)
    assert len(calls) == 2


def test_hooks_with_keywords():
    class Scale(nn.Module):
        def forward(self, x, by=1.0):
            return x * by

    seen = []
    layer = Scale()
    layer.register_forward_pre_hook(lambda m, a, k: (a, {"by": 2 * k["by"]}), with_kwargs=True)
    layer.register_forward_hook(lambda m, a, k, y: seen.append(k["by"]), with_kwargs=True)
    assert layer(np.ones(1), by=3.0) == 6.0
    assert seen == [6.0]


@pytest.mark.filterwarnings("ignore:Full backward hook is firing")
@pytest.mark.parametrize("needs_grad", [True, False])
def test_backward_hooks_are_pytorchs(needs_grad, torch):
    found = []
    for library in (gn, torch):
        make = gn.Tensor if library is gn else torch.tensor
        net = library.nn.Sequential(linear(library, 3, 4), library.nn.Tanh(), linear(library, 4, 2))
        told = []

        def hook(module, grad_input, grad_output, told=told):
            gradients = (*grad_input, *grad_output)
            told.append([None if g is None else np.asarray(g) for g in gradients])

        for module in net.modules():
            module.register_full_backward_hook(hook)
        x = make(normal(5, 3), requires_grad=needs_grad)
        (net(x) * make(normal(5, 2))).sum().backward()
        found.append((told, np.asarray(net[0].weight.grad)))
    (ours, grad), (theirs, other) = found
    np.testing.assert_allclose(grad, other)
    assert len(ours) == len(theirs) == 4
    for a, b in zip(ours, theirs, strict=True):
        for g, h in zip(a, b, strict=True):
            assert (g is None) is (h is None)
            if g is not None:
                np.testing.assert_allclose(g, h, rtol=1e-12)


def test_a_backward_hook_may_change_the_gradient():
    layer = nn.Tanh()
    layer.register_full_backward_hook(lambda module, of_x, of_y: tuple(10 * g for g in of_x))
    x = gn.Tensor(np.zeros(2), requires_grad=True)
    layer(x).sum().backward()
    assert x.grad.tolist() == [10.0, 10.0]


def test_a_backward_hook_under_jit(jax):
    layer = nn.Tanh()
    layer.register_full_backward_hook(lambda module, of_x, of_y: (2 * of_x[0],))

    @gn.jit
    def step(layer, x):
        layer(x).sum().backward()

    x = gn.Tensor(np.zeros(2), requires_grad=True)
    step(layer, x)
    assert np.asarray(x.grad).tolist() == [2.0, 2.0]


def test_the_tree_can_be_walked():
    net = nn.Sequential(nn.Linear(2, 2), nn.Sequential(nn.BatchNorm1d(2)))
    seen = []
    assert net.apply(seen.append) is net
    assert seen[-1] is net and seen.index(net[1][0]) < seen.index(net[1])
    assert [name for name, _ in net.named_children()] == ["0", "1"]
    names = [name for name, _ in net.named_buffers()]
    assert names == ["1.0.running_mean", "1.0.running_var", "1.0.num_batches_tracked"]
    assert len(list(net.buffers())) == 3


def test_registering_is_assigning():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("mean", np.zeros(2))
            self.register_buffer("nothing", None)
            self.register_parameter("scale", nn.Parameter(np.ones(2)))
            self.add_module("layer", nn.Linear(2, 2))

    net = Net()
    assert list(net.state_dict()) == ["mean", "scale", "layer.weight", "layer.bias"]
    assert [name for name, _ in net.named_buffers()] == ["mean"]
    assert net.nothing is None and isinstance(net.mean, gn.Tensor)


# --- Parametrisations -----------------------------------------------------------------------------


@pytest.mark.parametrize("dim", [0, 1, None])
def test_weight_norm_is_pytorchs(dim, torch):
    ours, theirs = linear(gn, 3, 2), linear(torch, 3, 2)
    parametrizations.weight_norm(ours, dim=dim)
    torch.nn.utils.parametrizations.weight_norm(theirs, dim=dim)
    optimizers = optim.SGD(ours.parameters(), 0.1), torch.optim.SGD(theirs.parameters(), 0.1)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    for _ in range(3):
        for module, x, o in zip(
            (ours, theirs), (normal(4, 3), torch.tensor(normal(4, 3))), optimizers, strict=True
        ):
            o.zero_grad()
            (module(x) ** 2).sum().backward()
            o.step()
    for key, value in theirs.state_dict().items():
        np.testing.assert_allclose(ours.state_dict()[key], value.numpy(), rtol=1e-11, err_msg=key)


@pytest.mark.parametrize("kind", ["Linear", "ConvTranspose1d"])
def test_spectral_norm_is_pytorchs(kind, torch):
    sizes, x = ((4, 3), normal(5, 4)) if kind == "Linear" else ((4, 3, 2), normal(2, 4, 5))
    ours = parametrizations.spectral_norm(getattr(nn, kind)(*sizes, dtype="float64"))
    theirs = torch.nn.utils.parametrizations.spectral_norm(getattr(torch.nn, kind)(*sizes))
    assert list(ours.state_dict()) == list(theirs.state_dict())
    ours.load_state_dict({k: v.numpy() for k, v in theirs.state_dict().items()})
    for _ in range(2):
        y, peer = ours(x), theirs(torch.tensor(x))
        np.testing.assert_allclose(y.data, peer.detach().numpy(), rtol=1e-10)
    (y * y).sum().backward()
    (peer * peer).sum().backward()
    grad = theirs.parametrizations.weight.original.grad.numpy()
    np.testing.assert_allclose(ours.parametrizations["weight"].original.grad, grad, rtol=1e-9)
    for key, value in theirs.state_dict().items():
        np.testing.assert_allclose(ours.state_dict()[key], value.numpy(), rtol=1e-10, err_msg=key)
    before = ours.state_dict()
    np.testing.assert_allclose(ours.eval()(x).data, theirs.eval()(torch.tensor(x)).detach().numpy())
    np.testing.assert_array_equal(
        ours.state_dict()["parametrizations.weight.0._u"], before["parametrizations.weight.0._u"]
    )
    for _ in range(100):
        ours.train()(x)
    matrix = ours.weight.data if kind == "Linear" else np.moveaxis(ours.weight.data, 1, 0)
    assert np.linalg.norm(matrix.reshape(3, -1), 2) == pytest.approx(1, abs=0.01)


def test_a_parametrization_of_ones_own():
    class Symmetric(nn.Module):
        def forward(self, w):
            return gn.triu(w) + gn.triu(w, k=1).T

    class Twice(nn.Module):
        def forward(self, w):
            return 2 * w

    layer = linear(gn, 3, 3)
    before, kept = layer.weight.data.copy(), layer.weight
    parametrize.register_parametrization(layer, "weight", Symmetric())
    parametrize.register_parametrization(layer, "weight", Twice())
    assert layer.parametrizations["weight"].original is kept
    expected = 2 * (np.triu(before) + np.triu(before, 1).T)
    np.testing.assert_array_equal(layer.weight.data, expected)
    other = copy.deepcopy(layer)
    other.parametrizations["weight"].original.data = np.zeros((3, 3))
    np.testing.assert_array_equal(layer.weight.data, expected)
    assert isinstance(layer, nn.Linear) and parametrize.is_parametrized(layer, "weight")
    layer(np.ones((1, 3))).sum().backward()
    assert kept.grad is not None
    parametrize.remove_parametrizations(layer, "weight")
    assert type(layer) is nn.Linear and not parametrize.is_parametrized(layer)
    np.testing.assert_array_equal(layer.weight.data, expected)
    assert sorted(layer.state_dict()) == ["bias", "weight"]
    with pytest.raises(ValueError, match="is not parametrised"):
        parametrize.remove_parametrizations(layer, "weight")
    with pytest.raises(ValueError, match="has no parameter 'w'"):
        parametrize.register_parametrization(layer, "w", Twice())
    with pytest.raises(ValueError, match=r"Flatten makes \(9,\) of a weight of shape \(3, 3\)"):
        parametrize.register_parametrization(layer, "weight", nn.Flatten(0))
    with pytest.raises(ValueError, match="has several originals"):
        parametrize.remove_parametrizations(parametrizations.weight_norm(layer), "weight", False)
    with pytest.raises(ValueError, match="1 or more, not 0"):
        parametrizations.spectral_norm(linear(gn, 2, 2), n_power_iterations=0)


def test_parametrized_training_under_jit(jax):
    layer = parametrizations.weight_norm(parametrizations.spectral_norm(linear(gn, 3, 2), "bias"))
    optimizer = optim.SGD(layer.parameters(), lr=0.1)

    def step(layer, optimizer, x):
        optimizer.zero_grad()
        (layer(x) ** 2).sum().backward()
        optimizer.step()

    other = copy.deepcopy(layer)
    their_optimizer = optim.SGD(other.parameters(), lr=0.1)
    compiled = gn.jit(step)
    for _ in range(3):
        step(layer, optimizer, normal(4, 3))
        compiled(other, their_optimizer, normal(4, 3))
    for key, value in layer.state_dict().items():
        np.testing.assert_allclose(other.state_dict()[key], value, rtol=1e-10)


# --- Summaries ------------------------------------------------------------------------------------


def test_a_summary():
    shared = nn.Linear(8, 8)
    net = nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(64, 8), shared, shared
    )
    net[0].requires_grad_(False)
    found = nn.summary(net, np.ones((2, 1, 4, 4), np.float32))
    assert [(x.path, x.kind, x.output) for x in found.layers[:2]] == [
        ("0", "Conv2d", "(2, 4, 4, 4)"), ("1", "ReLU", "(2, 4, 4, 4)")
    ]  # fmt: skip
    assert [x.parameters for x in found.layers] == [40, 0, 0, 520, 72, 0]
    assert [x.multiply_adds for x in found.layers] == [32 * 36, 0, 0, 1024, 128, 128]
    assert found.parameters == sum(p.size for p in net.parameters()) == 632
    assert found.trainable == 592
    assert found.multiply_adds == 32 * 36 + 1024 + 256
    assert "0 (Conv2d)" in str(found) and "of these parameters 40 are frozen" in str(found)
    assert net.training and net[0].training
    shapes = [layer.output for layer in nn.summary(net, np.ones((2, 1, 4, 4), np.float32)).layers]
    assert len(shapes) == 6, "its hooks are gone"


def test_summaries_of_other_layers():
    x = np.ones((5, 2, 6), np.float32)
    count = nn.summary(nn.LSTM(6, 4, bidirectional=True), x)
    assert count.layers[0].output == "(5, 2, 8), (2, 2, 4), (2, 2, 4)"
    assert count.multiply_adds == 10 * 2 * 16 * (6 + 4)
    layer = nn.TransformerEncoderLayer(6, 2, 10, batch_first=True)
    found = nn.summary(layer, x)
    attention = next(row for row in found.layers if row.kind == "MultiheadAttention")
    assert attention.parameters == 4 * 36 + 4 * 6
    assert attention.multiply_adds == 10 * 4 * 36 + 2 * 5 * 2 * 2 * 6
    assert found.parameters == sum(p.size for p in layer.parameters())
    assert sum(row.parameters for row in found.layers) == found.parameters
    found = nn.summary(nn.ConvTranspose1d(2, 3, 4), x)
    assert found.multiply_adds == 5 * 6 * 24
    assert nn.summary(nn.GRUCell(6, 4), x[0]).multiply_adds == 2 * 12 * 10

    class Net(nn.Module):
        def __init__(self):
            self.scale, self.layer = nn.Parameter(np.ones(2, np.float32)), nn.Linear(6, 2)

        def forward(self, x):
            return self.layer(x) * self.scale

    found = nn.summary(Net(), x)
    assert [(row.path, row.parameters) for row in found.layers] == [("layer", 14), ("", 2)]
