"""Sample inputs for every operator, with its value by NumPy (or by hand) and by PyTorch.

`test_registry.py` runs all its checks on each of them, and fails for an operator without a row.
The rows of a file `samples_*.py` beside this one, its `ROWS`, are added to those here.
"""

import importlib
import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import scipy.special

import gradnerve as gn
from gradnerve.operators import operators
from gradnerve.ops import Window

# Taken when the tests are collected: later, tests and doctests define operators of their own.
REGISTERED = {n: op for n, op in vars(operators).items() if op.__module__.startswith("gradnerve.")}

rng = np.random.default_rng(20240611)


@dataclass
class Sample:
    """One call: op(*args, **options)."""

    args: tuple
    options: dict
    peer: bool = True  # whether PyTorch has the same call

    def __repr__(self):
        words = [_short(a) for a in self.args]
        return ", ".join(words + [f"{k}={_short(v)}" for k, v in self.options.items()])


@dataclass
class Row:
    """What is known of one operator."""

    samples: list[Sample]
    value: Callable  # the same arguments, to the value by NumPy
    torch: Callable | None = None  # PyTorch and the same arguments, to PyTorch's value
    order: int = 2  # up to which derivative is checked
    call: Callable | None = None  # instead of the operator itself


def S(*args, peer=True, **options):
    return Sample(args, options, peer)


def _short(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"{value.dtype}{list(value.shape)}"
    return str(value)


# --- Numbers --------------------------------------------------------------------------------------


def between(low, high, *shape):
    return np.asarray(rng.uniform(low, high, shape))


def normal(*shape):
    return np.asarray(rng.standard_normal(shape))


def apart(*shape):
    """All different, at least 1 from one another, away from whole numbers and from halves."""
    n = math.prod(shape)
    return np.asarray((rng.permutation(n) - n // 2 + 0.23).reshape(shape))


def even(*shape):
    return np.asarray(apart(*shape) * 2)


def odd(*shape):
    """None of these is equal to one of `even`'s."""
    return np.asarray(apart(*shape) * 2 + 1.1)


def complex_normal(*shape):
    return np.asarray(rng.standard_normal(shape) + 1j * rng.standard_normal(shape))


def away_from_0(*shape):
    return np.asarray(rng.uniform(0.4, 2.0, shape) * rng.choice([-1.0, 1.0], shape))


UNARY = [(2, 3), (), (1,), (0, 3), (2, 1, 2)]
BINARY = [
    ((2, 3), (2, 3)), ((2, 3), (3,)), ((2, 1), (3,)), ((), (2, 2)), ((2, 2), ()), ((), ()),
    ((1,), (2,)), ((1, 1), (2,)), ((0, 3), (3,)), ((0, 3), (1, 1)), ((2, 1, 2), (3, 1)),
]  # fmt: skip


def unary(name, numbers, reference=None, torch=None, complex=None):
    """`complex`: where the operator takes complex numbers too, and which."""

    def peer(t, x):
        return (getattr(t, torch or name))(x)

    value = reference or getattr(np, name)
    samples = [S(numbers(*shape)) for shape in UNARY]
    if complex is not None:
        samples += [S(complex(2, 3)), S(complex()), S(complex(0, 2))]
    return Row(samples, value, peer)


def binary(name, first, second=None, reference=None, numbers=(2.0, 3), torch=None, complex=False):
    second = second or first
    samples = []
    if complex:
        samples += [S(complex_normal(2, 3), complex_normal(3)), S(normal(2), complex_normal(2, 2))]
        samples += [S(complex_normal(2), normal(2)), S(complex_normal(2), 1.5 - 0.5j)]
    samples += [S(first(*a), second(*b)) for a, b in BINARY]
    samples += [S(first(2, 2), n) for n in numbers] + [S(numbers[0], second(2, 2))]
    samples += [S(first(2), [1.25, 2.5]), S([1.25, 2.5], second(2, 2))]
    samples += [S(first(2), np.float64(1.5))]

    def peer(t, x1, x2):
        x1, x2 = (x if t.is_tensor(x) else t.as_tensor(np.asarray(x) * 1.0) for x in (x1, x2))
        return getattr(t, torch or name)(x1, x2)

    return Row(samples, reference or getattr(np, name), peer)


def plain(samples, value):
    """An operator without a derivative."""
    return Row([s if isinstance(s, Sample) else S(*s) for s in samples], value)


# --- Reductions -----------------------------------------------------------------------------------


def dims(x, axis):
    return tuple(range(x.ndim)) if axis is None else axis


def reduction(name, numbers=normal, reference=None, torch=None, several=True, empty=True):
    calls = [
        ((2, 3), {}), ((2, 3), {"axis": 0}), ((2, 3), {"axis": -1, "keepdims": True}),
        ((2, 3), {"keepdims": True}), ((), {}), ((1,), {}), ((1, 3), {"axis": 0}),
        ((2, 3, 2), {"axis": 1}), ((2, 3, 2), {"axis": -2, "keepdims": True}),
        ((0, 3), {"axis": 1}),
    ]  # fmt: skip
    if several:
        calls += [
            ((2, 3, 2), {"axis": (0, 2)}), ((2, 3, 2), {"axis": (-1, 0), "keepdims": True}),
            ((2, 3, 2), {"axis": (2, 1)}), ((2, 3), {"axis": (0, 1)}), ((2, 3), {"axis": (1,)}),
        ]  # fmt: skip
    samples = [S(numbers(*shape), **options) for shape, options in calls]
    if several:
        samples.append(S(numbers(2, 3), axis=(), peer=False))  # for PyTorch () means all axes
    if empty:
        samples += [S(numbers(0, 3), axis=0), S(numbers(0, 3))]
    return Row(samples, reference or getattr(np, name), torch)


def torch_reduction(name):
    def peer(t, x, axis=None, keepdims=False, **options):
        return getattr(t, name)(x, dim=dims(x, axis), keepdim=keepdims, **options)

    return peer


def torch_prod(t, x, axis=None, keepdims=False):
    axes = [a % x.ndim for a in ([axis] if isinstance(axis, int) else dims(x, axis))]
    for a in sorted(axes, reverse=True):
        x = t.prod(x, dim=a, keepdim=keepdims)
    return x


def spread(name):
    row = reduction(
        name, apart, torch=lambda t, x, correction=0, **options: torch_reduction(name)(
            t, x, correction=correction, **options
        ), empty=False,
    )  # fmt: skip
    row.samples += [
        S(apart(2, 3), axis=1, correction=1), S(apart(4), correction=0.5),
        S(apart(2, 3), correction=2, keepdims=True),
    ]  # fmt: skip
    for s in row.samples:
        s.peer = s.peer and s.args[0].size > 0  # PyTorch warns of empty arrays
    # With axis=() each element is the mean of itself: no spread, and std has no derivative there.
    row.samples = [s for s in row.samples if s.options.get("axis") != ()]
    if name == "std":
        row.samples = [s for s in row.samples if s.args[0].size != 1 and s.args[0].shape[0] != 1]
    return row


def numpy_logsumexp(x, axis=None, keepdims=False):
    return scipy.special.logsumexp(x, axis=axis, keepdims=keepdims)


# --- Windows: by loops over every output and every place in the kernel ----------------------------


def seen(shape, window):
    """For each output place and kernel place: the input place, where it is inside."""
    counts = window.counts(shape)
    for out in np.ndindex(*counts):
        for place in np.ndindex(*window.kernel):
            steps = zip(out, place, window.stride, window.dilation, window.padding, strict=True)
            at = tuple(o * s + k * d - before for o, k, s, d, (before, _) in steps)
            if all(0 <= a < n for a, n in zip(at, shape, strict=True)):
                yield out, place, at


def channel_pairs(filters, per_group, groups):
    for f in range(filters):
        for c in range(per_group):
            yield f, c, f // (filters // groups) * per_group + c


def by_loops_convolve(x, weight, window, groups=1, bias=None):
    y = np.zeros((len(x), len(weight), *window.counts(x.shape[2:])), dtype=x.dtype)
    if bias is not None:
        y += np.reshape(bias, (-1,) + (1,) * len(window.kernel))
    for out, place, at in seen(x.shape[2:], window):
        for f, c, channel in channel_pairs(*weight.shape[:2], groups):
            y[(slice(None), f, *out)] += weight[(f, c, *place)] * x[(slice(None), channel, *at)]
    return y


def by_loops_convolve_input(c, weight, window, groups, shape):
    x = np.zeros(shape, dtype=c.dtype)
    for out, place, at in seen(shape[2:], window):
        for f, k, channel in channel_pairs(*weight.shape[:2], groups):
            x[(slice(None), channel, *at)] += weight[(f, k, *place)] * c[(slice(None), f, *out)]
    return x


def by_loops_convolve_weight(c, x, window, groups):
    weight = np.zeros((c.shape[1], x.shape[1] // groups, *window.kernel), dtype=c.dtype)
    for out, place, at in seen(x.shape[2:], window):
        for f, k, channel in channel_pairs(*weight.shape[:2], groups):
            weight[(f, k, *place)] += c[(slice(None), f, *out)] @ x[(slice(None), channel, *at)]
    return weight


def by_loops_window_sum(x, window):
    y = np.zeros((*x.shape[:2], *window.counts(x.shape[2:])), dtype=x.dtype)
    for out, _, at in seen(x.shape[2:], window):
        y[(..., *out)] += x[(..., *at)]
    return y


def by_loops_window_spread(c, window, shape):
    x = np.zeros(shape, dtype=c.dtype)
    for out, _, at in seen(shape[2:], window):
        x[(..., *at)] += c[(..., *out)]
    return x


def by_loops_window_max(x, window):
    y = np.full((*x.shape[:2], *window.counts(x.shape[2:])), -np.inf, dtype=x.dtype)
    for out, _, at in seen(x.shape[2:], window):
        y[(..., *out)] = np.maximum(y[(..., *out)], x[(..., *at)])
    return y


def by_loops_window_argmax(x, maximum, window):
    index = np.full(maximum.shape, -1)
    for out, place, at in seen(x.shape[2:], window):
        i = int(np.ravel_multi_index(place, window.kernel))
        hit = (x[(..., *at)] == maximum[(..., *out)]) & (index[(..., *out)] == -1)
        index[(..., *out)] = np.where(hit, i, index[(..., *out)])
    return index


def by_loops_window_pick(x, index, window):
    y = np.zeros(index.shape, dtype=x.dtype)
    for out, place, at in seen(x.shape[2:], window):
        i = int(np.ravel_multi_index(place, window.kernel))
        y[(..., *out)] += np.where(index[(..., *out)] == i, x[(..., *at)], 0)
    return y


def by_loops_window_put(c, index, window, shape):
    x = np.zeros(shape, dtype=c.dtype)
    for out, place, at in seen(shape[2:], window):
        i = int(np.ravel_multi_index(place, window.kernel))
        x[(..., *at)] += np.where(index[(..., *out)] == i, c[(..., *out)], 0)
    return x


def torch_margins(t, x, window, value=0.0):
    pairs = list(itertools.chain(*reversed(window.padding)))
    return t.nn.functional.pad(x, pairs, value=value)


def torch_convolve(t, x, weight, window, groups=1, bias=None):
    conv = t.nn.functional.conv1d if len(window.kernel) == 1 else t.nn.functional.conv2d
    return conv(
        torch_margins(t, x, window), weight, bias, stride=window.stride, dilation=window.dilation,
        groups=groups,
    )  # fmt: skip


def torch_convolve_input(t, c, weight, window, groups, shape):
    x = t.zeros(shape, requires_grad=True)
    y = torch_convolve(t, x, weight, window, groups)
    return t.autograd.grad(y, x, c, create_graph=True)[0]


def torch_convolve_weight(t, c, x, window, groups):
    weight = t.zeros((c.shape[1], x.shape[1] // groups, *window.kernel), requires_grad=True)
    y = torch_convolve(t, x, weight, window, groups)
    return t.autograd.grad(y, weight, c, create_graph=True)[0]


def torch_window_max(t, x, window):
    pool = t.nn.functional.max_pool1d if len(window.kernel) == 1 else t.nn.functional.max_pool2d
    x = torch_margins(t, x, window, -math.inf)
    return pool(x, window.kernel, window.stride, 0, window.dilation)


def torch_window_sum(t, x, window):
    ones = t.ones((x.shape[1], 1, *window.kernel))
    return torch_convolve(t, x, ones, window, x.shape[1])


WINDOWS = [  # the batch, channels and sizes of an input, and a window on it
    ((2, 2, 5), Window((3,), (1,), ((0, 0),), (1,))),
    ((1, 2, 6), Window((2,), (3,), ((1, 0),), (2,))),
    ((2, 2, 4, 3), Window((2, 2), (1, 1), ((0, 0), (0, 0)), (1, 1))),
    ((1, 2, 5, 4), Window((3, 2), (2, 1), ((1, 1), (0, 1)), (1, 2))),
    ((1, 4, 3, 3), Window((3, 3), (2, 2), ((1, 1), (1, 1)), (1, 1))),
    ((1, 2, 5, 5), Window((2, 1), (3, 2), ((0, 0), (0, 0)), (1, 1))),  # some places are not seen
    ((2, 2, 3, 3), Window((1, 1), (1, 1), ((0, 0), (0, 0)), (1, 1))),
    ((0, 2, 3, 3), Window((2, 2), (1, 1), ((0, 0), (0, 0)), (1, 1))),
]


def convolutions():
    for shape, window in WINDOWS:
        for groups in (1, 2):
            weight = normal(4, shape[1] // groups, *window.kernel)
            out = normal(shape[0], 4, *window.counts(shape[2:]))
            yield normal(*shape), weight, out, window, groups, shape


def pools(numbers=apart):
    for shape, window in WINDOWS:
        yield numbers(*shape), normal(*shape[:2], *window.counts(shape[2:])), window, shape


def picks():
    for x, out, window, shape in pools():
        maximum = by_loops_window_max(x, window)
        yield x, out, by_loops_window_argmax(x, maximum, window), window, shape


# --- Networks -------------------------------------------------------------------------------------


def numpy_linear(x, weight, bias=None):
    return x @ weight.T + (0 if bias is None else bias)


def numpy_layer_norm(x, weight, bias, axes, eps):
    y = (x - x.mean(axes, keepdims=True)) / np.sqrt(x.var(axes, keepdims=True) + x.dtype.type(eps))
    return y * (1 if weight is None else weight) + (0 if bias is None else bias)


def torch_layer_norm(t, x, weight, bias, axes, eps):
    shape = x.shape[-len(axes) :]
    return t.nn.functional.layer_norm(x, shape, weight, bias, eps)


def numpy_cross_entropy(logits, target):
    y = scipy.special.log_softmax(logits, axis=-1)
    return -np.take_along_axis(y, target[..., None], -1)[..., 0]


def torch_cross_entropy(t, logits, target):
    flat = t.nn.functional.cross_entropy(
        logits.reshape(-1, logits.shape[-1]), target.reshape(-1), reduction="none"
    )
    return flat.reshape(target.shape)


def of_both(h, c):
    """One number array of an operator's two results."""
    return h * (c + 2)


def numpy_lstm_cell(gates, c):
    i, f, g, o = np.split(gates, 4, -1)
    c = scipy.special.expit(f) * c + scipy.special.expit(i) * np.tanh(g)
    return scipy.special.expit(o) * np.tanh(c), c


def torch_lstm_cell(t, gates, c):
    i, f, g, o = t.chunk(gates, 4, -1)
    c = t.sigmoid(f) * c + t.sigmoid(i) * t.tanh(g)
    return t.sigmoid(o) * t.tanh(c), c


def numpy_gru_cell(of_input, of_state, h):
    (r, z, n), (r2, z2, n2) = np.split(of_input, 3, -1), np.split(of_state, 3, -1)
    z = scipy.special.expit(z + z2)
    return (1 - z) * np.tanh(n + scipy.special.expit(r + r2) * n2) + z * h


def torch_gru_cell(t, of_input, of_state, h):
    (r, z, n), (r2, z2, n2) = t.chunk(of_input, 3, -1), t.chunk(of_state, 3, -1)
    z = t.sigmoid(z + z2)
    return (1 - z) * t.tanh(n + t.sigmoid(r + r2) * n2) + z * h


def along_axis(name, value):
    calls = [((2, 3), {}), ((2, 3), {"axis": 0}), ((3,), {}), ((2, 3, 2), {"axis": -2}),
             ((0, 3), {}), ((2, 1), {})]  # fmt: skip

    def peer(t, x, axis=-1):
        return getattr(t, name)(x, dim=axis)

    return Row([S(normal(*shape), **options) for shape, options in calls], value, peer)


# --- Shape ----------------------------------------------------------------------------------------


def numpy_squeeze(x, axis):
    return np.squeeze(x, axis=axis)


def numpy_concat(axis, *arrays):
    return np.concatenate(arrays, axis=axis)


def torch_concat(t, axis, *arrays):
    if axis is None:
        return t.cat([x.reshape(-1) for x in arrays])
    return t.cat(arrays, dim=axis)


def torch_expand_dims(t, x, axis=0):
    for a in [axis] if isinstance(axis, int) else sorted(axis):
        x = x.unsqueeze(a)
    return x


def numpy_scatter_add(x, key, shape):
    out = np.zeros(shape, dtype=x.dtype)
    places = np.arange(math.prod(shape)).reshape(shape)[key]
    for place, number in zip(places.flat, np.broadcast_to(x, places.shape).flat, strict=True):
        out.reshape(-1)[place] += number
    return out


def torch_scatter_add(t, x, key, shape):
    places = t.arange(math.prod(shape)).reshape(shape)[key]
    return t.zeros(math.prod(shape)).index_add(0, places.reshape(-1), x.reshape(-1)).reshape(shape)


mask = np.array([[True, False, True], [False, False, True]])

KEYS = [  # a shape, and what can be asked of an array of it
    ((4,), 1), ((4,), -1), ((4,), slice(1, 3)), ((4,), slice(None, None, -2)), ((4,), ...),
    ((4,), None), ((4,), [0, 0, 3]), ((4,), np.array([1, 1, -1])), ((4,), np.array(2)),
    ((4,), ([0, 0, 1],)), ((4,), ((0, 0, 1),)), ((4,), np.int64(2)), ((4,), True),
    ((4,), np.array([True, False, True, True])), ((4,), [True, False, True, True]),
    ((4,), []), ((4,), range(1, 3)), ((), ()), ((), ...), ((), None),
    ((2, 3), 0), ((2, 3), (0, 1)), ((2, 3), (slice(None), 1)), ((2, 3), (..., -1)),
    ((2, 3), (None, ..., None)), ((2, 3), (slice(None), None, [0, 0])), ((2, 3), mask),
    ((2, 3), (mask[:, 0], 1)), ((2, 3), (np.array([0, 1, 0]), np.array([2, 2, 2]))),
    ((2, 3), ((0, 0), slice(None))), ((2, 3), (np.array([[0], [1]]), np.array([0, 0]))),
    ((2, 3, 2), ([0, 0], slice(None), [1, 1])), ((2, 3, 2), (..., np.array([0, 0, 1]))),
    ((2, 3, 2), (slice(None), slice(None, None, 2), slice(1, 0))), ((0, 3), (slice(None), 1)),
]  # fmt: skip

# PyTorch takes no negative steps, and reads a sequence of sequences in its own way.
NO_PEER = {repr(slice(None, None, -2)), "([0, 0, 1],)", "((0, 0, 1),)", "True", "[]", "range(1, 3)"}


def has_peer(key):
    return repr(key) not in NO_PEER


@gn.operator
def sine_and_square(x):
    """An operator with two outputs."""
    return np.sin(x), x * x


@sine_and_square.rule("x", r"\bar x = \bar y_1 \cos x + 2 x\,\bar y_2")
def _(ct, x):
    return ct[0] * gn.cos(x) + ct[1] * (2 * x)


whole = np.array([[5, -3, 2], [7, 0, 1]])
truth = np.array([[True, False, True], [False, False, True]])
special = np.array([[0.0, -0.0, np.nan], [np.inf, -np.inf, 1.5]])
comparands = [
    (apart(2, 3), apart(2, 3)), (np.ones((2, 3)), np.array([1.0, 2.0, 0.0])), (whole, 2),
    (1.0, normal(3)), (np.array(1.0), np.array(1.0)), (normal(0, 3), normal(3)), (whole, whole[:1]),
    (special, special),
]  # fmt: skip
logical = [
    (truth, truth[::-1]),
    (truth, truth[0]),
    (np.array(True), np.array(False)),
    (truth, True),
]
bits = [*logical, (whole, 3), (whole, whole[::-1]), (6, whole)]


@gn.custom_vjp
def exp_by_rule(x):
    return gn.exp(x)


def exp_and_itself(x):
    y = gn.exp(x)
    return y, y


exp_by_rule.defvjp(exp_and_itself, lambda y, ct: (ct * y,))


ROWS = {
    # Arithmetic
    "add": binary("add", normal, complex=True),
    "subtract": binary("subtract", normal, complex=True),
    "multiply": binary("multiply", normal, complex=True),
    "divide": binary("divide", normal, away_from_0, complex=True),
    "pow": binary("pow", lambda *s: between(0.3, 2.0, *s), normal, complex=True),
    "identity": unary("identity", normal, lambda x: x, complex=complex_normal, torch="clone"),
    "negative": unary("negative", normal, complex=complex_normal),
    "positive": unary("positive", normal, complex=complex_normal),
    "reciprocal": unary("reciprocal", away_from_0, complex=complex_normal),
    "square": unary("square", normal, complex=complex_normal),
    "sqrt": unary("sqrt", lambda *s: between(0.3, 3.0, *s), complex=complex_normal),
    "abs": unary("abs", away_from_0, complex=complex_normal),
    "real": unary("real", normal, np.real, complex=complex_normal),
    "imag": Row(
        [S(x(*shape), peer=x is complex_normal) for x in (normal, complex_normal)
         for shape in UNARY],
        np.imag, lambda t, x: t.imag(x),
    ),
    "conj": unary("conj", normal, complex=complex_normal),
    "floor_divide": Row(
        [
            S(np.array([[3.3, -2.6], [5.2, -4.9]]), np.array([1.5, -3.1]), peer=False),
            S(np.array(7.3), np.array(2.0), peer=False), S(apart(2, 2), 2.0, peer=False),
            S(7.3, np.array([2.0, -3.0]), peer=False), S(normal(0, 3), np.ones(3), peer=False),
        ],
        np.floor_divide,
    ),
    "remainder": Row(
        [
            S(np.array([[3.3, -2.6, 7.1], [0.4, 5.2, -4.9]]), np.array([1.5, 2.2, -3.1])),
            S(np.array(7.3), np.array(2.0)), S(apart(2, 2), 2.0), S(7.3, np.array([2.0, -3.0])),
            S(normal(0, 3), np.ones(3)), S(np.array([[7.3], [-1.2]]), np.array([2.1, -3.7])),
        ],
        np.remainder,
        lambda t, x1, x2: t.remainder(*(t.as_tensor(x, dtype=t.float64) for x in (x1, x2))),
    ),
    # Exponentials and logarithms
    "exp": unary("exp", normal, complex=complex_normal),
    "expm1": unary("expm1", normal, complex=complex_normal),
    "log": unary("log", lambda *s: between(0.3, 3.0, *s), complex=complex_normal),
    "log1p": unary("log1p", lambda *s: between(-0.6, 3.0, *s), complex=complex_normal),
    "log2": unary("log2", lambda *s: between(0.3, 3.0, *s), complex=complex_normal),
    "log10": unary("log10", lambda *s: between(0.3, 3.0, *s), complex=complex_normal),
    "logaddexp": binary("logaddexp", normal),
    "sigmoid": unary("sigmoid", normal, scipy.special.expit),
    "erf": unary("erf", normal, scipy.special.erf),
    # Trigonometry and hyperbolic functions
    "sin": unary("sin", normal, complex=complex_normal),
    "cos": unary("cos", normal, complex=complex_normal),
    "tan": unary("tan", lambda *s: between(-1.2, 1.2, *s), complex=complex_normal),
    "asin": unary("asin", lambda *s: between(-0.8, 0.8, *s), np.arcsin, complex=complex_normal),
    "acos": unary("acos", lambda *s: between(-0.8, 0.8, *s), np.arccos, complex=complex_normal),
    "atan": unary("atan", normal, np.arctan, complex=complex_normal),
    "atan2": binary("atan2", away_from_0, reference=np.arctan2),
    "hypot": binary("hypot", away_from_0),
    "sinh": unary("sinh", normal, complex=complex_normal),
    "cosh": unary("cosh", normal, complex=complex_normal),
    "tanh": unary("tanh", normal, complex=complex_normal),
    "asinh": unary("asinh", normal, np.arcsinh, complex=complex_normal),
    "acosh": unary("acosh", lambda *s: between(1.3, 3.0, *s), np.arccosh, complex=complex_normal),
    "atanh": unary("atanh", lambda *s: between(-0.8, 0.8, *s), np.arctanh, complex=complex_normal),
    # Choosing
    "where": Row(
        [
            S(truth, normal(2, 3), normal(2, 3)), S(truth, normal(3), normal(2, 1)),
            S(truth[0], normal(2, 1), normal()), S(np.array(True), normal(), normal()),
            S(truth, normal(2, 3), 0.0, peer=False),
            S(np.ones((0, 3), bool), normal(3), normal(0, 3)),
            S(True, normal(2), normal(2), peer=False),
        ],
        np.where,
        lambda t, condition, x1, x2: t.where(condition, x1, x2),
    ),
    "maximum": binary("maximum", even, odd),
    "minimum": binary("minimum", even, odd),
    "clip": Row(
        [
            S(apart(2, 3), -1.0, 1.0), S(apart(2, 3), min=0.0), S(apart(2, 3), max=1.0),
            S(apart(2, 3)  , np.array([-2.0, 0.0, -1.0]), np.array([[1.0], [2.0]])),
            S(apart(2, 3), np.array(-1.0), 2.0, peer=False), S(apart(3), max=np.array(0.5)),
            S(apart(3), min=np.array([-1.0, 0.0, 0.5])), S(np.array(0.3), 0.0, 1.0),
            S(normal(0, 3), -1.0, 1.0), S(apart(3), 1.0, -1.0),
            S(apart(2, 2), np.array([1.0, -3.0]), np.array([-1.0, 3.0])),
            S(apart(3), np.array([[-1.0], [0.6]]), 1.1, peer=False),
        ],
        lambda x, min=None, max=None: np.clip(x, min, max),
        lambda t, x, min=None, max=None: t.clamp(x, min, max),
    ),
    "relu": unary("relu", away_from_0, lambda x: np.maximum(x, 0)),
    # Steps
    "sign": Row(
        [S(away_from_0(*shape)) for shape in UNARY] + [S(complex_normal(2, 3))],
        np.sign, lambda t, x: t.sgn(x) if x.is_complex() else t.sign(x),
    ),
    "floor": unary("floor", apart),
    "ceil": unary("ceil", apart),
    "trunc": unary("trunc", apart),
    "round": unary("round", apart),
    # Plain values
    "equal": plain(comparands, np.equal),
    "not_equal": plain(comparands, np.not_equal),
    "less": plain(comparands, np.less),
    "less_equal": plain(comparands, np.less_equal),
    "greater": plain(comparands, np.greater),
    "greater_equal": plain(comparands, np.greater_equal),
    "isnan": plain([(special,), (np.array(np.nan),), (whole,), (normal(0),)], np.isnan),
    "isinf": plain([(special,), (np.array(np.inf),), (whole,), (normal(0),)], np.isinf),
    "isfinite": plain([(special,), (np.array(1.0),), (whole,), (normal(0),)], np.isfinite),
    "logical_and": plain(logical, np.logical_and),
    "logical_or": plain(logical, np.logical_or),
    "logical_xor": plain(logical, np.logical_xor),
    "logical_not": plain([(truth,), (np.array(True),), (np.ones(0, bool),)], np.logical_not),
    "bitwise_and": plain(bits, np.bitwise_and),
    "bitwise_or": plain(bits, np.bitwise_or),
    "bitwise_xor": plain(bits, np.bitwise_xor),
    "bitwise_invert": plain([(truth,), (whole,), (np.array(5),)], np.bitwise_invert),
    "zeros_like": plain([(special,), (whole,), (normal(),), (normal(0, 2),)], np.zeros_like),
    "ones_like": plain([(special,), (whole,), (normal(),), (normal(0, 2),)], np.ones_like),
    "argmax": plain(
        [S(apart(2, 3)), S(apart(2, 3), axis=0), S(apart(2, 3), axis=-1, keepdims=True),
         S(np.array([1.0, 3.0, 3.0])), S(np.array(2.0)), S(whole, axis=1)],
        np.argmax,
    ),
    "argmin": plain(
        [S(apart(2, 3)), S(apart(2, 3), axis=0), S(apart(2, 3), axis=-1, keepdims=True),
         S(np.array([1.0, 1.0, 3.0])), S(np.array(2.0)), S(whole, axis=1)],
        np.argmin,
    ),
    "any": plain([S(truth), S(truth, axis=0), S(truth, axis=(0, 1), keepdims=True), S(truth[:0]),
                  S(np.array(True)), S(special, axis=-1)], np.any),
    "all": plain([S(truth), S(truth, axis=0), S(truth, axis=(0, 1), keepdims=True), S(truth[:0]),
                  S(np.array(True)), S(special, axis=-1)], np.all),
    # Reductions
    "sum": reduction("sum", torch=torch_reduction("sum")),
    "mean": reduction("mean", torch=torch_reduction("mean"), empty=False),
    "max": reduction("max", apart, torch=torch_reduction("amax"), empty=False),
    "min": reduction("min", apart, torch=torch_reduction("amin"), empty=False),
    "prod": reduction("prod", away_from_0, torch=torch_prod),
    "var": spread("var"),
    "std": spread("std"),
    "logsumexp": reduction(
        "logsumexp", reference=numpy_logsumexp, torch=torch_reduction("logsumexp"), empty=False
    ),
    # Shape
    "reshape": Row(
        [S(normal(2, 3), (3, 2)), S(normal(2, 3), (-1,)), S(normal(2, 3), -1), S(normal(), (1, 1)),
         S(normal(1), ()), S(normal(0, 3), (3, 0)), S(normal(2, 3), (1, -1, 2)),
         S(normal(2, 3), [6])],
        np.reshape,
        lambda t, x, shape: x.reshape(shape),
    ),
    "permute_dims": Row(
        [S(normal(2, 3), (1, 0)), S(normal(2, 3, 4), (2, 0, 1)), S(normal(2, 3, 1), (-1, 0, -2)),
         S(normal(), ()), S(normal(0, 3), (1, 0))],
        np.transpose,
        lambda t, x, axes: t.permute(x, axes),
    ),
    "matrix_transpose": Row(
        [S(normal(2, 3)), S(normal(2, 3, 1)), S(normal(0, 3)), S(normal(2, 1, 2, 3))],
        lambda x: np.swapaxes(x, -1, -2),
        lambda t, x: x.mT,
    ),
    "squeeze": Row(
        [S(normal(1, 3), 0), S(normal(2, 1), -1), S(normal(1, 2, 1), (0, 2)), S(normal(1, 1), (1,)),
         S(normal(2, 3), ()), S(normal(0, 1), 1)],
        numpy_squeeze,
        lambda t, x, axis: t.squeeze(x, axis),
    ),
    "expand_dims": Row(
        [S(normal(2, 3)), S(normal(2, 3), 1), S(normal(2), axis=-1), S(normal(), 0),
         S(normal(0, 2), 2), S(normal(2, 3), (0, 2))],
        lambda x, axis=0: np.expand_dims(x, axis),
        torch_expand_dims,
    ),
    "broadcast_to": Row(
        [S(normal(3), (2, 3)), S(normal(2, 1), (2, 3)), S(normal(), (2, 2)),
         S(normal(2, 3), (2, 3)),
         S(normal(1, 3), (0, 3)), S(normal(2, 1, 1), (3, 2, 1, 2))],
        np.broadcast_to,
        lambda t, x, shape: t.broadcast_to(x, shape),
    ),
    "concat": Row(
        [S(0, normal(2, 3), normal(1, 3)), S(-1, normal(2, 1), normal(2, 2)), S(0, normal(3)),
         S(None, normal(2, 2), normal(3)), S(1, normal(2, 0), normal(2, 2), normal(2, 1)),
         S(0, normal(0, 2), normal(0, 2)), S(None, normal(), normal(2)),
         S(0, normal(2), [1.0, 2.0], peer=False)],
        numpy_concat,
        torch_concat,
    ),
    "flip": Row(
        [S(normal(2, 3)), S(normal(2, 3), 0), S(normal(2, 3), axis=-1), S(normal(2, 3, 2), (0, 2)),
         S(normal()), S(normal(0, 2), 1)],
        lambda x, axis=None: np.flip(x, axis),
        lambda t, x, axis=None: t.flip(x, (axis,) if isinstance(axis, int) else dims(x, axis)),
    ),
    "roll": Row(
        [S(normal(5), 2), S(normal(2, 3), 1), S(normal(2, 3), -1, 0), S(normal(2, 3), 2, axis=-1),
         S(normal(2, 3), (1, -2), (0, 1)), S(normal(2, 3), [1, 2], (0, 1), peer=False),
         S(normal(2, 3), np.array([1, 2]), (0, 1), peer=False), S(normal(), 1, peer=False),
         S(normal(0, 2), 1), S(normal(2, 3), 1, (0, 1), peer=False), S(normal(5), np.int64(3))],
        np.roll,
        lambda t, x, shift, axis=None: t.roll(x, shift, axis),
    ),
    "astype": Row(
        [S(normal(2, 3), "float64"), S(normal(2), np.float64), S(normal(), "float64"),
         S(normal(0, 3), "float64")],
        lambda x, dtype: x.astype(dtype),
    ),
    "copy": Row([S(normal(*shape)) for shape in UNARY], np.copy, lambda t, x: x.clone()),
    # Index
    "getitem": Row(
        [S(normal(*shape), key, peer=has_peer(key)) for shape, key in KEYS],
        lambda x, key: x[key],
        lambda t, x, key: x[key],
    ),
    "scatter_add": Row(
        [S(np.asarray(normal(*shape)[key]), key, shape, peer=has_peer(key)) for shape, key in KEYS],
        numpy_scatter_add,
        torch_scatter_add,
    ),
    # Linear algebra
    "matmul": Row(
        [S(complex_normal(2, 3), complex_normal(3, 2)), S(normal(3), complex_normal(2, 3, 2)),
         S(complex_normal(3), complex_normal(3))] +
        [S(normal(*a), normal(*b)) for a, b in [
            ((2, 3), (3, 4)), ((3,), (3,)), ((2, 3), (3,)), ((3,), (3, 2)), ((2, 2, 3), (3, 2)),
            ((2, 3), (2, 3, 2)), ((2, 1, 2, 3), (3, 3, 1)), ((2, 2, 3), (3,)), ((3,), (2, 3, 2)),
            ((1, 2, 3), (4, 3, 2)), ((0, 3), (3, 2)), ((2, 0), (0, 3)), ((1, 1), (1, 1)),
            ((0,), (0,)), ((1,), (1, 3)),
        ]],
        np.matmul,
        lambda t, x1, x2: t.matmul(*(x.to(t.promote_types(x1.dtype, x2.dtype)) for x in (x1, x2))),
    ),
    # Networks
    "linear": Row(
        [S(normal(2, 3), normal(4, 3), normal(4)), S(normal(2, 3), normal(4, 3)),
         S(normal(3), normal(2, 3), normal(2)), S(normal(2, 2, 3), normal(4, 3), normal(4)),
         S(normal(0, 3), normal(2, 3), normal(2)), S(normal(2, 1), normal(1, 1), normal(1)),
         S(normal(2, 3), normal(0, 3), normal(0)), S(normal(2, 0), normal(3, 0), normal(3))],
        numpy_linear,
        lambda t, x, weight, bias=None: t.nn.functional.linear(x, weight, bias),
    ),
    "gelu_gate": Row(
        [S(normal(*shape)) for shape in UNARY],
        lambda x: 0.5 * (1 + np.tanh(np.sqrt(x.dtype.type(2 / np.pi)) * (x + 0.044715 * x**3))),
        lambda t, x: 0.5 * (1 + t.tanh((2 / np.pi) ** 0.5 * (x + 0.044715 * x**3))),
    ),
    "softmax": along_axis("softmax", lambda x, axis=-1: scipy.special.softmax(x, axis)),
    "log_softmax": along_axis("log_softmax", lambda x, axis=-1: scipy.special.log_softmax(x, axis)),
    "softmax_cross_entropy": Row(
        [S(normal(3, 4), np.array([0, 3, 1])), S(normal(4), np.array(2)),
         S(normal(2, 3, 2), np.array([[0, 1, 1], [0, 0, 1]])), S(normal(0, 3), np.zeros(0, int)),
         S(normal(2, 1), np.array([0, 0])),
         S(normal(2, 3), np.array([0, 2], dtype=np.uint8), peer=False)],
        numpy_cross_entropy,
        torch_cross_entropy,
    ),
    "lstm_cell": Row(
        [S(normal(3, 8), normal(3, 2)), S(normal(4), normal(1)), S(normal(0, 4), normal(0, 1))],
        lambda *args: of_both(*numpy_lstm_cell(*args)),
        lambda t, *args: of_both(*torch_lstm_cell(t, *args)),
        call=lambda *args: of_both(*gn.ops.lstm_cell(*args)),
    ),
    "gru_cell": Row(
        [S(normal(3, 6), normal(3, 6), normal(3, 2)), S(normal(3), normal(3), normal(1))],
        numpy_gru_cell,
        torch_gru_cell,
    ),
    "softmax_error": Row(
        [S(normal(3, 4), np.array([0, 3, 1])), S(normal(4), np.array(2)),
         S(normal(2, 3, 2), np.array([[0, 1, 1], [0, 0, 1]])), S(normal(0, 3), np.zeros(0, int)),
         S(normal(2, 1), np.array([0, 0]))],
        lambda x, target: scipy.special.softmax(x, -1) - np.eye(x.shape[-1])[target],
        lambda t, x, target: t.softmax(x, -1) - t.eye(x.shape[-1], dtype=x.dtype)[target],
    ),
    "layer_norm": Row(
        [S(normal(2, 4), normal(4), normal(4), (-1,), 1e-5),
         S(normal(2, 4), None, None, (-1,), 1e-5),
         S(normal(2, 2, 3), normal(2, 3), normal(2, 3), (-2, -1), 1e-3),
         S(normal(3), normal(3), None, (-1,), 0.1),
         S(normal(0, 3), normal(3), normal(3), (-1,), 1e-5),
         S(normal(2, 3), None, normal(3), (-1,), 1e-5, peer=False)],
        numpy_layer_norm,
        torch_layer_norm,
    ),
    "rescale": Row(
        [S(normal(2, 3, 4), normal(1, 3, 1), normal(1, 3, 1), normal(1, 3, 1)),
         S(normal(2, 3), normal(1, 3), normal(1, 1)), S(normal(2, 3), normal(2, 1), normal(2, 3)),
         S(normal(2, 3, 2), normal(2, 3, 1), normal(2, 1, 1), normal(1, 3, 1)),
         S(normal(0, 3), normal(1, 3), normal(1, 3), None)],
        lambda x, c, s, t=None: (x - c) * s + (0 if t is None else t),
        lambda torch, x, c, s, t=None: (x - c) * s + (0 if t is None else t),
    ),
    "binary_cross_entropy": Row(
        [S(between(0.1, 0.9, *shape), between(0, 1, *shape)) for shape in ((3, 2), (), (0, 2))],
        lambda p, t: -(t * np.log(p) + (1 - t) * np.log(1 - p)),
        lambda torch, p, t: torch.nn.functional.binary_cross_entropy(p, t, reduction="none"),
    ),
    # Windows
    "convolve": Row(
        [S(x, w, window, groups) for x, w, _, window, groups, _ in convolutions()]
        + [S(x, w, window, groups, normal(4)) for x, w, _, window, groups, _ in convolutions()],
        by_loops_convolve, torch_convolve,
    ),
    "convolve_input": Row(
        [S(c, w, window, groups, shape) for _, w, c, window, groups, shape in convolutions()],
        by_loops_convolve_input, torch_convolve_input,
    ),
    "convolve_weight": Row(
        [S(c, x, window, groups) for x, _, c, window, groups, _ in convolutions()],
        by_loops_convolve_weight, torch_convolve_weight,
    ),
    "window_max": Row(
        [S(x, window) for x, _, window, _ in pools()], by_loops_window_max, torch_window_max
    ),
    "window_argmax": plain(
        [(x, by_loops_window_max(x, window), window) for x, _, window, _ in pools()],
        by_loops_window_argmax,
    ),
    "window_pick": Row(
        [S(x, index, window) for x, _, index, window, _ in picks()], by_loops_window_pick
    ),
    "window_put": Row(
        [S(c, index, window, shape) for _, c, index, window, shape in picks()], by_loops_window_put
    ),
    "window_sum": Row(
        [S(x, window) for x, _, window, _ in pools(normal)], by_loops_window_sum, torch_window_sum
    ),
    "window_spread": Row(
        [S(c, window, shape) for _, c, window, shape in pools(normal)], by_loops_window_spread
    ),
    # Graph: the operators of several outputs, and functions with a backward of their own
    "together": Row(
        [S(normal(2), normal(2)), S(normal(), normal())],
        lambda x1, x2: x1 * x2, lambda t, x1, x2: x1 * x2,
        call=lambda x1, x2: math.prod(gn.ops.together(x1, x2)),
    ),
    "by_rule": Row(
        [S(normal(*shape)) for shape in UNARY], np.exp, lambda t, x: t.exp(x),
        call=lambda x: exp_by_rule(x),
    ),
    "recomputed": Row(
        [S(normal(*shape)) for shape in UNARY], lambda x: np.exp(np.sin(x)),
        lambda t, x: t.exp(t.sin(x)), call=lambda x: gn.checkpoint(lambda x: gn.exp(gn.sin(x)))(x),
    ),
    "output": Row(
        [S(normal(*shape), i) for shape in UNARY for i in (0, 1)],
        lambda x, i: (np.sin(x), x * x)[i],
        lambda t, x, i: (t.sin(x), x * x)[i],
        call=lambda x, i: sine_and_square(x)[i],
    ),
}  # fmt: skip

for _file in sorted(Path(__file__).parent.glob("samples_*.py")):
    ROWS |= importlib.import_module(_file.stem).ROWS
