"""A training step in each library, of a loss that is written once: forward, backward, SGD.

A loss is `loss(f, parameters, *data)`, where `f` has the library's functions by PyTorch's names.
A version takes (parameters, data), NumPy's arrays, and returns a step: a function that computes the
loss, moves the parameters, and returns the loss. Each is written as the library's users write it.
"""

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any


@dataclass
class Workload:
    """What `python -m benchmarks` needs of a workload, as chain.py and mlp.py have it."""

    TITLE: str
    problem: Any  # () -> the inputs
    VERSIONS: dict[str, Any]  # by library: inputs -> a step, which returns what is compared
    QUICK: dict[str, Any] = field(default_factory=dict)  # of the problem, when time is short


def versions(loss, rate):
    """The step of a loss by library: {name: (parameters, data) -> step}."""
    makers = {
        "gradnerve": in_gradnerve, "jit": in_jit, "on_torch": on_torch,
        "torch": in_torch, "compiled": in_compiled_torch, "jax": in_jax, "tinygrad": in_tinygrad,
    }  # fmt: skip

    def version(make):
        return lambda problem: make(loss, rate, *problem)

    return {name: version(make) for name, make in makers.items()}


def in_gradnerve(loss, rate, parameters, data, library="numpy"):
    """GradNerve, operator after operator, on the arrays of a library."""
    import gradnerve as gn

    f = words_of_gradnerve()
    parameters = [gn.Tensor(p.copy(), requires_grad=True) for p in parameters]
    for p in parameters:
        p.data = gn.Tensor(p.data).to(library).data
    data = [gn.Tensor(array).to(library) for array in data]
    optimizer = gn.optim.SGD(parameters, rate)

    def step():
        value = loss(f, parameters, *data)
        value.backward()
        optimizer.step()
        optimizer.zero_grad()
        return value.item()

    return step


def on_torch(loss, rate, parameters, data):
    """GradNerve on PyTorch's arrays."""
    return in_gradnerve(loss, rate, parameters, data, "torch")


def in_jit(loss, rate, parameters, data):
    """GradNerve, the whole step compiled by `gn.jit`."""
    import gradnerve as gn

    f = words_of_gradnerve()
    optimizer = gn.optim.SGD([gn.Tensor(p.copy(), requires_grad=True) for p in parameters], rate)
    data = [gn.Tensor(array).to("jax") for array in data]

    @gn.jit
    def train(optimizer, *data):
        value = loss(f, optimizer.params, *data)
        value.backward()
        optimizer.step()
        optimizer.zero_grad()
        return value

    def step():
        return train(optimizer, *data).item()

    step.lower = lambda: train.lower(optimizer, *data)
    return step


def in_torch(loss, rate, parameters, data, compiled=lambda loss: loss):
    """PyTorch, eager."""
    import torch

    f = words_of_torch()
    loss = compiled(loss)
    parameters = [torch.tensor(p, requires_grad=True) for p in parameters]
    data = [torch.tensor(array) for array in data]
    optimizer = torch.optim.SGD(parameters, rate)

    def step():
        value = loss(f, parameters, *data)
        value.backward()
        optimizer.step()
        optimizer.zero_grad()
        return value.item()

    return step


def in_compiled_torch(loss, rate, parameters, data):
    """PyTorch with `torch.compile` around the loss: forward and backward are compiled."""
    import torch

    torch._dynamo.reset()  # what another workload compiled counts towards a limit
    return in_torch(loss, rate, parameters, data, torch.compile)


def in_jax(loss, rate, parameters, data):
    """`jax.jit` of the step that one writes in jax.numpy; old parameters are overwritten."""
    import jax

    import gradnerve.backends.jax  # noqa: F401  64 bits where they are asked for, as in GradNerve

    f = words_of_jax()
    state = [jax.numpy.asarray(p) for p in parameters]
    data = [jax.numpy.asarray(array) for array in data]
    value_and_grad = jax.value_and_grad(lambda parameters, *data: loss(f, parameters, *data))

    def train(parameters, *data):
        value, gradients = value_and_grad(parameters, *data)
        return value, [p - rate * g for p, g in zip(parameters, gradients, strict=True)]

    train = jax.jit(train, donate_argnums=0)

    def step():
        nonlocal state
        value, state = train(state, *data)
        return value.item()

    step.lower = lambda: train.lower(state, *data)
    return step


def in_tinygrad(loss, rate, parameters, data):
    """tinygrad, the whole step captured by its TinyJit."""
    import tinygrad

    f = words_of_tinygrad()
    parameters = [tinygrad.Tensor(p.copy()) for p in parameters]
    data = [tinygrad.Tensor(array).realize() for array in data]
    optimizer = tinygrad.nn.optim.SGD(parameters, rate)

    @tinygrad.TinyJit
    @tinygrad.Context(TRAINING=1)
    def train():
        value = loss(f, parameters, *data)
        optimizer.zero_grad()
        value.backward()
        return value.realize(*optimizer.schedule_step())

    return lambda: train().item()


# --- For those that have no optimiser -------------------------------------------------------------


def pairs(parameters, gradients):
    """The arrays of two lists of layers, one beside the other."""
    for layer, found in zip(parameters, gradients, strict=True):
        yield from zip(layer, found, strict=True)


def in_place(pairs, rate):
    """SGD: each array less `rate` times its gradient."""
    for array, gradient in pairs:
        array -= rate * gradient


# --- Their functions, by PyTorch's names ----------------------------------------------------------


def words_of_gradnerve():
    """What losses are written in, in GradNerve."""
    import gradnerve as gn
    import gradnerve.nn.functional as F

    words = _words(gn, F, gn.permute_dims)
    words.scan = gn.scan
    return words


def words_of_torch():
    """The same in PyTorch."""
    import torch
    import torch.nn.functional as F

    return _words(torch, F, torch.permute)


def _words(library, F, permute):
    """The words of a library that has PyTorch's names."""

    def batch_norm(x, weight, bias):
        return F.batch_norm(x, None, None, weight, bias, training=True)

    return SimpleNamespace(
        exp=library.exp, sin=library.sin, tanh=library.tanh, sigmoid=library.sigmoid, relu=F.relu,
        gelu=lambda x: F.gelu(x, approximate="tanh"), softmax=library.softmax,
        linear=F.linear, conv2d=F.conv2d, max_pool2d=F.max_pool2d, layer_norm=F.layer_norm,
        batch_norm=batch_norm, cross_entropy=F.cross_entropy, embedding=F.embedding,
        permute=permute, chunk=library.chunk,
    )  # fmt: skip


def words_of_jax():
    """The same by hand in jax.numpy."""
    import jax
    from jax import lax
    from jax import numpy as jnp

    def linear(x, weight, bias):
        return x @ weight.T + bias

    def conv2d(x, weight, bias=None, stride=1, padding=0):
        margins = ((padding, padding), (padding, padding))
        y = lax.conv_general_dilated(x, weight, (stride, stride), margins)
        return y if bias is None else y + bias[:, None, None]

    def max_pool2d(x, size):
        window = (1, 1, size, size)
        return lax.reduce_window(x, -jnp.inf, lax.max, window, window, "VALID")

    def layer_norm(x, shape, weight, bias):
        centred = x - x.mean(-1, keepdims=True)
        variance = (centred * centred).mean(-1, keepdims=True)
        return centred * lax.rsqrt(variance + 1e-5) * weight + bias

    def batch_norm(x, weight, bias):
        centred = x - x.mean((0, 2, 3), keepdims=True)
        variance = (centred * centred).mean((0, 2, 3), keepdims=True)
        return centred * lax.rsqrt(variance + 1e-5) * weight[:, None, None] + bias[:, None, None]

    def cross_entropy(logits, target):
        picked = jnp.take_along_axis(logits, target[:, None], axis=1)[:, 0]
        return (jax.nn.logsumexp(logits, axis=1) - picked).mean()

    return SimpleNamespace(
        exp=jnp.exp, sin=jnp.sin, tanh=jnp.tanh, sigmoid=jax.nn.sigmoid,
        relu=lambda x: jnp.maximum(x, 0),
        gelu=lambda x: jax.nn.gelu(x, approximate=True), softmax=jax.nn.softmax,
        linear=linear, conv2d=conv2d, max_pool2d=max_pool2d, layer_norm=layer_norm,
        batch_norm=batch_norm, cross_entropy=cross_entropy,
        embedding=lambda rows, table: table[rows], permute=jnp.permute_dims,
        chunk=lambda x, n, axis: jnp.split(x, n, axis), scan=lax.scan,
    )  # fmt: skip


def words_of_tinygrad():
    """The same in tinygrad."""
    from tinygrad import Tensor

    def batch_norm(x, weight, bias):
        variance, mean = x.var_mean((0, 2, 3), correction=0)
        return x.batchnorm(weight, bias, mean, (variance + 1e-5).rsqrt())

    return SimpleNamespace(
        exp=Tensor.exp, sin=Tensor.sin, tanh=Tensor.tanh, sigmoid=Tensor.sigmoid, relu=Tensor.relu,
        gelu=Tensor.gelu, softmax=Tensor.softmax,
        linear=lambda x, weight, bias: x.linear(weight.T, bias),
        conv2d=lambda x, weight, bias=None, **options: x.conv2d(weight, bias, **options),
        max_pool2d=lambda x, size: x.max_pool2d((size, size)),
        layer_norm=lambda x, shape, weight, bias: x.layernorm() * weight + bias,
        batch_norm=batch_norm, cross_entropy=Tensor.sparse_categorical_crossentropy,
        embedding=lambda rows, table: table[rows], permute=Tensor.permute, chunk=Tensor.chunk,
    )  # fmt: skip
