"""Optimisers: step for step as PyTorch's."""

import numpy as np
import pytest

import gradnerve as gn
from gradnerve import nn, optim


def leaf(value, **options):
    return gn.Tensor(np.array(value, dtype=np.float64), requires_grad=True, **options)


SETTINGS = [
    ("SGD", {"lr": 0.1}),
    ("SGD", {"lr": 0.05, "momentum": 0.9}),
    ("SGD", {"lr": 0.05, "weight_decay": 0.1}),
    ("SGD", {"lr": 0.02, "momentum": 0.5, "weight_decay": 0.3}),
    ("SGD", {}),
    ("Adam", {}),
    ("Adam", {"lr": 0.1}),
    ("Adam", {"lr": 0.01, "betas": (0.5, 0.9), "eps": 1e-3}),
    ("Adam", {"lr": 0.05, "weight_decay": 0.1}),
    ("Adam", {"lr": 0.05, "betas": (0.0, 0.0)}),
]


@pytest.mark.parametrize("name, settings", SETTINGS, ids=str)
def test_a_hundred_steps_are_pytorchs(name, settings, torch):
    rng = np.random.default_rng(0)
    x, target = rng.standard_normal((8, 3)), rng.standard_normal((8, 2))
    start = [rng.standard_normal(shape) for shape in [(4, 3), (4,), (2, 4), ()]]
    ours = [leaf(a) for a in start]
    theirs = [torch.tensor(a, requires_grad=True) for a in start]
    our_optimizer = getattr(optim, name)(ours, **settings)
    their_optimizer = getattr(torch.optim, name)(theirs, **settings)

    def loss(library, x, target, w1, b1, w2, b2):
        h = library.tanh(x @ w1.T + b1)
        return ((h @ w2.T + b2 - target) ** 2).mean()

    for step in range(100):
        our_optimizer.zero_grad()
        loss(gn, gn.Tensor(x), gn.Tensor(target), *ours).backward()
        our_optimizer.step()
        their_optimizer.zero_grad()
        loss(torch, torch.tensor(x), torch.tensor(target), *theirs).backward()
        their_optimizer.step()
        for a, b in zip(ours, theirs, strict=True):
            np.testing.assert_allclose(
                a.data, b.detach().numpy(), rtol=1e-12, atol=1e-12, err_msg=f"step {step}"
            )


@pytest.mark.parametrize("name", ["SGD", "Adam"])
def test_defaults_are_pytorchs(name, torch):
    ours = getattr(optim, name)([leaf([1.0])])
    theirs = getattr(torch.optim, name)([torch.ones(1, requires_grad=True)]).defaults
    for key, value in vars(ours).items():
        if key in theirs:
            assert value == theirs[key], key


@pytest.mark.parametrize("name, settings", SETTINGS, ids=str)
def test_parameters_without_a_gradient_are_skipped(name, settings, torch):
    a, b = leaf([1.0, 2.0]), leaf([3.0])
    optimizer = getattr(optim, name)([a, b], **settings)
    peer = torch.tensor([3.0], requires_grad=True)
    peer_optimizer = getattr(torch.optim, name)([peer], **settings)
    for step in range(6):
        optimizer.zero_grad()
        peer_optimizer.zero_grad()
        loss = (a * a).sum()
        if step % 2:  # b's first step is its own first, not the optimiser's second
            loss = loss + (b * b).sum()
            (peer * peer).sum().backward()
        loss.backward()
        optimizer.step()
        peer_optimizer.step()
        np.testing.assert_allclose(b.data, peer.detach().numpy(), rtol=1e-12)


@pytest.mark.parametrize("name", ["SGD", "Adam"])
def test_dtype_and_identity_are_kept(name):
    w = gn.Tensor(np.ones(3, np.float32), requires_grad=True)
    data = w.data
    optimizer = getattr(optim, name)([w], lr=np.float64(0.1), weight_decay=0.1)
    for _ in range(3):
        w.zero_grad()
        (w * w).sum().backward()
        grad = w.grad.copy()
        optimizer.step()
        np.testing.assert_array_equal(w.grad, grad, "a step leaves the gradient alone")
    assert w.data is data
    assert w.dtype == np.float32


def test_momentum_does_not_share_memory_with_the_gradient():
    w = leaf([1.0])
    optimizer = optim.SGD([w], lr=0.1, momentum=0.9)
    w.grad = [1.0]
    optimizer.step()
    w.grad[...] = 100.0
    w.grad = [0.0]
    optimizer.step()
    np.testing.assert_allclose(w.data, 1.0 - 0.1 - 0.09)


def test_data_may_be_replaced_between_steps():
    w = leaf([1.0])
    optimizer = optim.SGD([w], lr=0.5)
    w.data = np.array([3.0])
    w.grad = [2.0]
    optimizer.step()
    assert w.data.tolist() == [2.0]


def test_a_closed_over_generator_and_a_model():
    model = nn.Linear(2, 1)
    assert len(optim.SGD(model.parameters(), lr=0.1).params) == 2
    assert len(optim.SGD((p for p in [leaf(1.0)]), lr=0.1).params) == 1
    assert len(optim.SGD({leaf(1.0), leaf(2.0)}, lr=0.1).params) == 2


@pytest.mark.parametrize("name", ["SGD", "Adam"])
def test_training_lowers_the_loss(name):
    gn.manual_seed(0)
    rng = np.random.default_rng(0)
    x = rng.standard_normal((64, 2)).astype(np.float32)
    target = (x[:, 0] * x[:, 1] > 0).astype(int)
    model = nn.Sequential(nn.Linear(2, 32), nn.ReLU(), nn.Linear(32, 2))
    optimizer = getattr(optim, name)(model.parameters(), lr={"SGD": 0.5, "Adam": 0.02}[name])
    losses = []
    for _ in range(200):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(gn.Tensor(x)), target)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.15 < 0.5 < losses[0]


def test_a_freed_result_is_no_parameter():
    h = leaf([1.0]) * 2
    h.backward()
    with pytest.raises(ValueError, match="not a leaf"):
        optim.SGD([h], lr=0.1)


def test_frozen_parameters_may_stand_by():
    w, frozen = leaf([1.0]), gn.Tensor([1.0])
    optimizer = optim.SGD([w, frozen], lr=0.5)
    (w * frozen).backward()
    optimizer.step()
    assert (w.item(), frozen.item()) == (0.5, 1.0)


def test_an_optimizer_of_your_own():
    class Signs(optim.Optimizer):
        def update(self, i, data, grad):
            data -= self.lr * np.sign(grad)

    w = leaf([1.0, -1.0])
    optimizer = Signs([w], lr=0.25)
    w.grad = [3.0, -5.0]
    optimizer.step()
    assert w.data.tolist() == [0.75, -0.75]
    with pytest.raises(NotImplementedError):
        base = optim.Optimizer([w], lr=0.1)
        base.step()
