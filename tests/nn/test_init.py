"""Initial weights: the distributions that they are said to have."""

import math

import numpy as np
import pytest

import gradnerve as gn
from gradnerve.nn import init


def weight(*shape):
    return gn.nn.Parameter(np.zeros(shape, np.float32))


SHAPE = (40, 30, 3, 3)
FAN_IN, FAN_OUT = 270, 360
STDS = {
    "xavier_uniform_": ({}, math.sqrt(2 / (FAN_IN + FAN_OUT))),
    "xavier_normal_": ({"gain": 3.0}, 3 * math.sqrt(2 / (FAN_IN + FAN_OUT))),
    "kaiming_uniform_": ({"nonlinearity": "relu"}, math.sqrt(2 / FAN_IN)),
    "kaiming_normal_": ({"a": 1.0, "mode": "fan_out"}, math.sqrt(1 / FAN_OUT)),
    "normal_": ({"std": 0.5}, 0.5),
    "uniform_": ({"a": -3.0, "b": 3.0}, math.sqrt(3)),
}


@pytest.mark.parametrize("name", STDS)
def test_the_spread(name):
    options, std = STDS[name]
    w = weight(*SHAPE)
    assert getattr(init, name)(w, **options) is w
    assert w.dtype == np.float32 and w.requires_grad
    np.testing.assert_allclose(w.data.std(), std, rtol=0.02)
    np.testing.assert_allclose(w.data.mean(), 0, atol=0.02 * std)
    if "uniform" in name:
        assert abs(w.data).max() <= math.sqrt(3) * std * (1 + 1e-6)


def test_the_spread_is_pytorchs(torch):
    """As far as two samples can say."""
    for name, (options, _) in STDS.items():
        ours, theirs = weight(*SHAPE), torch.zeros(SHAPE)
        getattr(init, name)(ours, **options)
        getattr(torch.nn.init, name)(theirs, **options)
        assert ours.data.std() == pytest.approx(theirs.std().item(), rel=0.03), name


@pytest.mark.parametrize("shape", [(6, 4), (4, 6), (5, 2, 3)])
def test_orthogonal(shape):
    w = init.orthogonal_(gn.nn.Parameter(np.zeros(shape)), gain=2.0).data.reshape(shape[0], -1)
    short = w if w.shape[0] <= w.shape[1] else w.T
    np.testing.assert_allclose(short @ short.T, 4 * np.eye(len(short)), atol=1e-12)


def test_truncated_normal():
    w = init.trunc_normal_(weight(100, 100), mean=1.0, std=2.0, a=-1.0, b=2.0)
    assert w.data.min() >= -1 and w.data.max() <= 2
    assert 0.5 < w.data.mean() < 0.7


def test_patterns(torch):
    for name, shape, options in [
        ("eye_", (3, 4), {}),
        ("ones_", (2,), {}),
        ("dirac_", (4, 3, 3, 3), {}),
        ("dirac_", (6, 2, 5), {"groups": 3}),
        ("constant_", (2, 2), {"val": 0.25}),
    ]:
        ours, theirs = weight(*shape), torch.zeros(shape)
        getattr(init, name)(ours, **options)
        getattr(torch.nn.init, name)(theirs, **options)
        np.testing.assert_array_equal(ours.data, theirs.numpy())
    w = init.sparse_(weight(10, 6), sparsity=0.25)
    assert ((w.data == 0).sum(0) == 3).all()


def test_gains_are_pytorchs(torch):
    for name in ("linear", "conv2d", "sigmoid", "tanh", "relu", "selu", "leaky_relu"):
        assert init.calculate_gain(name) == torch.nn.init.calculate_gain(name)
    assert init.calculate_gain("leaky_relu", 0.3) == torch.nn.init.calculate_gain("leaky_relu", 0.3)


def test_on_another_library(torch):
    w = gn.nn.Linear(3, 2).to("torch").weight
    init.ones_(w)
    assert type(w.data) is torch.Tensor and (w.data == 1).all()


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda: init.xavier_normal_(weight(3)), "two or more axes"),
        (lambda: init.kaiming_normal_(weight(3, 3), mode="out"), "mode is one of"),
        (lambda: init.orthogonal_(weight(3)), "two or more axes"),
        (lambda: init.eye_(weight(3)), "expects a matrix"),
        (lambda: init.dirac_(weight(3, 3)), "expects a weight"),
        (lambda: init.sparse_(weight(3), 0.1), "expects a matrix"),
        (lambda: init.trunc_normal_(weight(3), a=10.0, b=11.0), "next to no number"),
        (lambda: init.calculate_gain("swish"), "'swish' is none of"),
    ],
)
def test_bad_input(call, words):
    with pytest.raises(ValueError, match=words):
        call()
