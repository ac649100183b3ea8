"""gn.jit: what a compiled function changes and returns is what the function would have."""

import dataclasses
import doctest
import functools
import math
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from types import MethodType

import numpy as np
import pytest

import gradnerve as gn
import gradnerve.nn.functional as F
from gradnerve import nn, optim

pytestmark = pytest.mark.usefixtures("jax")


def array(value):
    return np.asarray(getattr(value, "data", value))


def network(seed=0, dtype=np.float64):
    gn.manual_seed(seed)
    model = nn.Sequential(nn.Linear(3, 5), nn.ReLU(), nn.Linear(5, 2))
    for parameter in model.parameters():
        parameter.data = parameter.data.astype(dtype)
    return model


def step(model, optimizer, x, y):
    loss = F.cross_entropy(model(x), y)
    loss.backward()
    optimizer.step()
    optimizer.zero_grad()
    return loss


RNG = np.random.default_rng(0)
X, Y = RNG.standard_normal((20, 4, 3)), RNG.integers(0, 2, (20, 4))


def test_the_examples_of_its_docstrings():
    assert doctest.testmod(sys.modules["gradnerve.jit"]).failed == 0


# --- Training -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "make",
    [
        lambda p: optim.SGD(p, lr=0.1),
        lambda p: optim.SGD(p, lr=0.1, momentum=0.9, weight_decay=0.01),
        lambda p: optim.Adam(p, lr=0.01, weight_decay=0.01),
    ],
    ids=["SGD", "momentum", "Adam"],
)
def test_twenty_steps_are_those_without_it(make):
    plain, compiled = network(), network()
    first, second = make(plain.parameters()), make(compiled.parameters())
    fast = gn.jit(step)
    for x, y in zip(X, Y, strict=True):
        a = step(plain, first, gn.Tensor(x), y)
        b = fast(compiled, second, gn.Tensor(x), y)
        assert abs(a.item() - b.item()) < 1e-10
    for p, q in zip(plain.parameters(), compiled.parameters(), strict=True):
        np.testing.assert_allclose(array(q), array(p), atol=1e-10)
        assert q.grad is None and q.requires_grad
    # Momentum's first step has no velocity yet, so it is another program.
    assert len(fast.programs) <= 2


def test_gradients_add_up_as_they_do_without_it():
    @gn.jit
    def accumulate(w, x):
        (w * x).sum().backward()

    w = gn.Tensor([1.0, 2.0], requires_grad=True)
    for _ in range(3):
        accumulate(w, np.array([1.0, 10.0]))
    assert array(w.grad).tolist() == [3.0, 30.0]


def test_shared_parameters_stay_shared():
    shared = nn.Linear(3, 3)
    model = nn.Sequential(shared, nn.Tanh() if hasattr(nn, "Tanh") else nn.ReLU(), shared)
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    gn.jit(step)(model, optimizer, gn.Tensor(X[0].astype(np.float32)), Y[0])
    assert model[0].weight is model[2].weight
    assert len(optimizer.params) == 2


def test_a_learning_rate_that_changes_compiles_once_more_and_then_no_more():
    model = network()
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    fast = gn.jit(step)
    expected, other = network(), None
    other = optim.SGD(expected.parameters(), lr=0.1)
    for i, lr in enumerate([0.1, 0.2, 0.05, 0.3]):
        optimizer.lr = other.lr = lr
        fast(model, optimizer, gn.Tensor(X[i]), Y[i])
        step(expected, other, gn.Tensor(X[i]), Y[i])
    np.testing.assert_allclose(array(model[0].weight), array(expected[0].weight), atol=1e-12)
    assert len(fast.programs) == 2


def test_training_and_evaluation_are_two_programs():
    class Net(nn.Module):
        def forward(self, x):
            return F.dropout(x, 0.5, self.training)

    model, fast = Net(), gn.jit(lambda model, x: model(x))
    x = np.ones(1000)
    assert array(fast(model.eval(), x)).tolist() == x.tolist()
    assert 300 < (array(fast(model.train(), x)) == 0).sum() < 700


def test_dropout_differs_from_call_to_call_and_follows_the_seed():
    fast = gn.jit(lambda x: F.dropout(x, 0.5))
    x = np.ones(100)
    gn.manual_seed(3)
    first, second = array(fast(x)), array(fast(x))
    gn.manual_seed(3)
    again = array(fast(x))
    assert first.tolist() == again.tolist() != second.tolist()


def test_dropout_in_a_checkpoint_is_the_same_in_backward():
    @gn.jit
    def f(x):
        y = gn.checkpoint(lambda x: F.dropout(x, 0.5))(x)
        y.sum().backward()
        return y

    x = gn.Tensor(np.ones(100), requires_grad=True)
    assert array(f(x)).tolist() == array(x.grad).tolist()


# --- What it is given, changes and returns --------------------------------------------------------


class Counter:
    def __init__(self):
        self.calls = 0
        self.total = np.zeros(2)
        self.history = []
        self.last = None
        self.parts = {"mode": "sum"}


def test_objects_are_changed_as_without_it():
    def count(counter, x):
        counter.calls += 1
        counter.total = counter.total + array_of(x)
        counter.last = x * counter.calls
        counter.parts["mean"] = x.mean()
        counter.parts["mode"] = "mean"

    def array_of(x):
        return x.data

    plain, compiled, fast = Counter(), Counter(), gn.jit(count)
    for n in range(1, 4):
        x = gn.Tensor([1.0 * n, 2.0])
        count(plain, x)
        fast(compiled, x)
        assert int(compiled.calls) == plain.calls == n
        assert array(compiled.total).tolist() == plain.total.tolist()
        assert array(compiled.last).tolist() == array(plain.last).tolist()
        assert compiled.parts["mode"] == "mean"
        assert float(compiled.parts["mean"]) == float(plain.parts["mean"])


def test_a_list_in_an_object_grows():
    counter, fast = Counter(), gn.jit(lambda c, x: c.history.append(x * 2))
    fast(counter, gn.Tensor(1.0))
    fast(counter, gn.Tensor(2.0))
    assert [float(x) for x in counter.history] == [2.0, 4.0]


def test_nothing_is_left_changed_by_a_function_that_fails():
    w = gn.Tensor([1.0], requires_grad=True)
    before = w.data

    @gn.jit
    def fails(w):
        w.sum().backward()
        raise KeyError("on the way")

    with pytest.raises(KeyError, match="on the way"):
        fails(w)
    assert w.data is before and w.grad is None and w.requires_grad


def test_trees_in_and_out():
    @gn.jit
    def f(batch, scale, *, shift):
        return {"a": batch["x"] * scale + shift, "b": [batch["y"], None, "text"]}

    out = f({"x": np.ones(2), "y": gn.Tensor([3.0])}, 2.0, shift=1)
    assert array(out["a"]).tolist() == [3.0, 3.0]
    assert array(out["b"][0]).tolist() == [3.0] and out["b"][1:] == [None, "text"]


def test_like_in_like_out():
    fast = gn.jit(lambda x: x * 2)
    assert isinstance(fast(gn.Tensor([1.0])), gn.Tensor)
    assert not isinstance(fast(np.ones(1)), gn.Tensor)
    x = gn.Tensor([1.0])
    assert gn.jit(lambda x: x)(x) is x


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64, np.complex128, np.bool_])
def test_dtypes_are_kept(dtype):
    x = np.ones(2, dtype)
    assert gn.jit(lambda x: gn.concat([x, x]))(x).dtype == dtype
    if dtype == np.float32:
        assert gn.jit(lambda x, c: x * 2.5 + c)(x, 1.5).dtype == dtype


def test_a_compiled_function_is_compiled_once_for_each_shape_and_static_value():
    traced = []

    @gn.jit
    def f(x, mode):
        traced.append(1)
        return x.sum() if mode == "sum" else x.max()

    for _ in range(3):
        assert float(f(np.array([1.0, 2.0]), "sum")) == 3.0
        assert float(f(np.array([1.0, 2.0]), "max")) == 2.0
        assert float(f(np.array([1.0, 2.0, 4.0]), "sum")) == 7.0
    assert len(traced) == 3


def test_a_weight_of_another_shape_is_another_program():
    w, fast = gn.Tensor(np.ones(2)), gn.jit(lambda holder, x: (holder.w * x).sum())
    holder = Counter()
    holder.w = w
    assert float(fast(holder, 2.0)) == 4.0
    w.data = np.ones(5)
    assert float(fast(holder, 2.0)) == 10.0


def test_a_method_can_be_compiled():
    class Model(nn.Module):
        def __init__(self):
            self.scale = nn.Parameter(np.array([2.0]))

        @gn.jit
        def forward(self, x):
            return x * self.scale

    assert array(Model()(gn.Tensor([3.0]))).tolist() == [6.0]


class Slots:
    __slots__ = ("w",)


@dataclasses.dataclass
class Data:
    w: gn.Tensor


@pytest.mark.parametrize("kind", ["slots", "dataclass", "method", "partial"])
def test_what_holds_a_tensor_is_looked_into(kind):
    holder = Slots() if kind == "slots" else Data(None)
    holder.w = gn.Tensor([1.0])
    argument = {"method": MethodType(times, holder), "partial": functools.partial(times, holder)}
    is_function = kind in argument
    fast = gn.jit(lambda held, x: held(x) if is_function else held.w * x)
    argument = argument.get(kind, holder)
    assert float(fast(argument, 2.0)[0]) == 2.0
    holder.w.data = np.array([3.0])
    assert float(fast(argument, 2.0)[0]) == 6.0
    holder.w = gn.Tensor([5.0])
    assert float(fast(argument, 2.0)[0]) == 10.0


def times(holder, x):
    return holder.w * x


def test_calls_from_several_threads():
    fast = gn.jit(lambda x: (x * 2).sum())
    with ThreadPoolExecutor(8) as pool:
        sums = list(pool.map(lambda n: float(fast(gn.Tensor([float(n), 1.0]))), range(200)))
    assert sums == [2.0 * n + 2 for n in range(200)]


def test_what_is_replaced_by_another_shape():
    holder, fast = Counter(), gn.jit(lambda holder: setattr(holder, "total", holder.total[:1] + 1))
    for n in (1.0, 2.0):
        fast(holder)
        assert array(holder.total).tolist() == [n]


def test_one_array_in_two_tensors():
    data = np.ones(2)
    a, b = gn.Tensor(data), gn.Tensor(data)

    @gn.jit
    def both(pair, x):
        pair.a.data = pair.a.data + x
        pair.b.data = pair.a.data

    pair = Counter()
    pair.a, pair.b = a, b
    for n in (2.0, 3.0):
        both(pair, 1.0)
        assert array(a).tolist() == array(b).tolist() == [n, n]


def test_inside_transforms_and_debug_mode_the_function_is_simply_called():
    square = gn.jit(lambda x: (x * x).sum())
    assert gn.grad(square)(np.array([3.0])).tolist() == [6.0]
    assert gn.hessian(square)(np.array([3.0])).tolist() == [[2.0]]
    with gn.debug_mode(), np.errstate(all="ignore"), pytest.raises(gn.errors.NonFinite):
        gn.jit(gn.log)(gn.Tensor([0.0]))
    assert float(gn.jit(lambda x: square(x) * 2)(np.array([3.0]))) == 18.0


@pytest.mark.parametrize(
    "f",
    [
        gn.grad(lambda x: (gn.sin(x) * x).sum()),
        gn.jacobian(lambda x: gn.sin(x) * x),
        gn.hessian(lambda x: (gn.sin(x) * x).prod()),
        lambda x: gn.hvp(lambda x: gn.exp(x).prod(), (x,), (x,)),
        lambda x: gn.jvp(gn.sin, (x,), (x,)),
        lambda x: gn.linalg.solve(gn.outer(x, x) + np.eye(3), x),
        lambda x: np.sort(gn.Tensor(x) * 1.0),
    ],
    ids=["grad", "jacobian", "hessian", "hvp", "jvp", "solve", "NumPy's names"],
)
def test_transforms_compile(f):
    x = np.array([0.3, -0.7, 1.1])
    plain, compiled = f(x), gn.jit(f)(x)
    for a, b in zip(np.atleast_1d(plain), np.atleast_1d(compiled), strict=True):
        np.testing.assert_allclose(array(b), array(a), atol=1e-12)


def test_lower_shows_the_program_and_cost_counts_it():
    square = gn.jit(lambda a: a @ a)
    a = np.ones((10, 10))
    assert "stablehlo.dot_general" in str(square.lower(a))
    assert square.cost(a)["flops"] == 2000.0
    assert square.cost(a)["bytes"] >= 2 * a.nbytes


# --- What cannot be compiled ----------------------------------------------------------------------

OUTSIDE = np.zeros(2)
HELD = gn.Tensor(np.zeros(2))
LAYER = nn.Linear(2, 2)
LEAKED = []


def writes_to_an_array(x):
    OUTSIDE[0] = x.sum()


def writes_to_a_tensor(x):
    HELD[0] = x.sum()


@pytest.mark.parametrize(
    ("f", "message"),
    [
        (lambda x: x if x.sum() > 0 else -x, "decides by a value.*gn.where.*gn.cond.*gn.scan"),
        (lambda x: float(x.sum()), "makes a Python number of a value.*return it"),
        (lambda x: x.sum().item(), "makes a Python number of a value"),
        (lambda x: np.asarray(x), "makes a NumPy array of a value"),
        (lambda x: np.sin(x.data), r"makes a NumPy array of a value.*gn.sin\(x\)"),
        (lambda x: x[x > 0], r"shape depends on values.*gn.where\(mask, x, 0\)"),
        (lambda x: range(x.sum().astype(int)), "needs a whole number.*x.shape"),
        (writes_to_an_array, "writes a value into an array that the function was not given"),
        (writes_to_a_tensor, "writes a value into an array that the function was not given"),
    ],
)
def test_what_needs_values_says_so_at_the_users_line(f, message):
    with pytest.raises(RuntimeError, match=rf"test_jit.py:\d+ .*{message}"):
        gn.jit(f)(gn.Tensor([1.0, 2.0]))


def test_a_number_among_the_arguments_is_not_known():
    with pytest.raises(RuntimeError, match=r"needs a whole number.*loop with gn.scan"):
        gn.jit(lambda n, x: [x for _ in range(n)])(3, np.ones(2))


def test_a_tensor_that_is_left_outside():
    with pytest.raises(RuntimeError, match=r"has left a tensor .* outside.*Return it instead"):
        gn.jit(lambda x: LEAKED.append(x * 2))(gn.Tensor([1.0]))
    LEAKED.clear()
    assert float(gn.jit(lambda x: x * 2)(3.0)) == 6.0


def test_parameters_from_outside():
    model, w = network(), gn.Tensor([1.0], requires_grad=True)

    def of_a_cell(x):
        return model(x)

    def of_a_global(x):
        return LAYER(x)

    for f, name in ((of_a_cell, "model"), (of_a_global, "LAYER")):
        with pytest.raises(RuntimeError, match=f"uses '{name}' .*Give it as an argument"):
            gn.jit(f)(gn.Tensor(np.ones((1, 3))))
    hidden = [w]
    with pytest.raises(RuntimeError, match="reaches a tensor that the function was not given"):
        gn.jit(lambda x: (x * hidden[0]).sum().backward())(np.ones(1))
    assert w.grad is None


def test_backward_of_what_a_compiled_function_returned():
    w = gn.Tensor([1.0], requires_grad=True)
    y = gn.jit(lambda w: (w * 2).sum())(w)
    with pytest.raises(gn.errors.NoGradientPath, match=r"cut by gn.jit"):
        y.backward()


def test_arguments_that_do_not_compile():
    with pytest.raises(TypeError, match="argument 0 of a compiled function is a set"):
        gn.jit(lambda s, x: x)({1, 2}, np.ones(2))
    attached = gn.Tensor([1.0], requires_grad=True) * 2
    with pytest.raises(RuntimeError, match=r"argument 0 .* is the result of `multiply`"):
        gn.jit(lambda x: x)(attached)
    with pytest.raises(TypeError, match="jit"):
        gn.jit(3)


def test_an_error_of_the_functions_own_comes_through():
    with pytest.raises(ZeroDivisionError):
        gn.jit(lambda x: 1 / 0)(np.ones(2))
    with pytest.raises(Exception, match="reshape"):
        gn.jit(lambda x: gn.reshape(x, (5,)))(np.ones(2))


def test_shapes_that_change_with_every_call_warn():
    fast = gn.jit(lambda scale, x: x.sum() * scale)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for n in range(1, 5):
            fast(2.0, np.ones(n))
    with pytest.warns(UserWarning, match="compiled for the 5th time, as the shape of argument 1"):
        fast(2.0, np.ones(5))


# --- Loops and branches ---------------------------------------------------------------------------

W = RNG.standard_normal((4, 4)) / 2
U = RNG.standard_normal((3, 4))
SEQUENCE = RNG.standard_normal((6, 2, 3))
START = np.zeros((2, 4))


def recurrent(w, u, xs, h, **options):
    def cell(h, x):
        h = gn.tanh(h @ w + x @ u)
        return h, h * h

    last, ys = gn.scan(cell, h, xs, **options)
    return last.sum() + (ys * ys).sum()


def by_hand(w, u, xs, h):
    total = 0.0
    for x in xs:
        h = gn.tanh(h @ w + x @ u)
        total = total + (h**4).sum()
    return h.sum() + total


ARGS = (W, U, SEQUENCE, START)


@pytest.mark.parametrize("argnums", [0, 1, 2, 3])
def test_scan_has_the_gradients_of_the_loop(argnums):
    expected = gn.grad(by_hand, argnums)(*ARGS)
    np.testing.assert_allclose(gn.grad(recurrent, argnums)(*ARGS), expected, atol=1e-12)
    compiled = gn.jit(gn.grad(recurrent, argnums))(*ARGS)
    np.testing.assert_allclose(array(compiled), expected, atol=1e-12)


def test_scan_at_second_order_and_forward():
    v = RNG.standard_normal(W.shape)

    def products(f, w):
        return (
            gn.hvp(lambda w: f(w, *ARGS[1:]), (w,), (v,)),
            gn.jvp(lambda w: f(w, *ARGS[1:]), (w,), (v,))[1],
        )

    expected = products(by_hand, W)
    compiled = gn.jit(lambda w: products(recurrent, w))(W)
    for a, b in zip(expected, compiled, strict=True):
        np.testing.assert_allclose(array(b), array(a), atol=1e-10)


def test_scan_backwards_over_trees_and_without_xs():
    def cell(carry, x):
        return {"sum": carry["sum"] + x[0], "n": carry["n"] + 1}, (x[0] * x[1], None)

    xs = (np.arange(3.0), np.arange(3.0) + 1)
    init = {"sum": 0.0, "n": 0}
    for run in (gn.scan, gn.jit(lambda init, xs: gn.scan(cell, init, xs, reverse=True))):
        args = (cell, init, xs, None, True) if run is gn.scan else (init, xs)
        last, (products, none) = run(*args)
        assert float(last["sum"]) == 3.0 and int(last["n"]) == 3 and none is None
        assert array(products).tolist() == [0.0, 2.0, 6.0]
    doubled = gn.jit(lambda x: gn.scan(lambda c, _: (c * 2, c), x, length=3))(1.0)
    assert float(doubled[0]) == 8.0 and array(doubled[1]).tolist() == [1.0, 2.0, 4.0]
    none, ys = gn.scan(lambda c, x: (c, x), 0.0, np.zeros((0, 2)))
    assert ys.shape == (0, 2)


def test_the_compiled_loop_does_not_grow_with_its_length():
    def size(n):
        xs = np.zeros((n, 2, 3))
        return len(str(gn.jit(gn.grad(recurrent)).lower(W, U, xs, START)))

    assert size(1000) < size(10) + 500


def test_dropout_in_a_loop_differs_by_round_and_is_the_same_in_backward():
    @gn.jit
    def f(x):
        _, ys = gn.scan(lambda c, x: (c, F.dropout(x, 0.5)), 0.0, x)
        ys.sum().backward()
        return ys

    x = gn.Tensor(np.ones((3, 100)), requires_grad=True)
    ys = array(f(x))
    assert ys.tolist() == array(x.grad).tolist()
    assert ys[0].tolist() != ys[1].tolist()


def branches(x):
    return gn.cond(x.sum() > 0, lambda x: (x * x * W).sum(), lambda x: gn.sin(x).sum(), x)


@pytest.mark.parametrize("x", [np.abs(W), -np.abs(W)])
def test_cond_takes_one_branch(x):
    for f in (branches, gn.grad(branches), lambda x: gn.hvp(branches, (x,), (W,))):
        np.testing.assert_allclose(array(gn.jit(f)(x)), array(f(x)), atol=1e-12)


def test_cond_of_a_value_that_is_known():
    assert gn.cond(True, lambda: 1, lambda: 1 / 0) == 1
    assert gn.cond(np.bool_(False), lambda x: x / 0, lambda x: x, 2.0) == 2.0


def test_while_loop():
    def newton(a):
        return gn.while_loop(
            lambda x: abs(x * x - a) > 1e-12, lambda x: (x + a / x) / 2, gn.asarray(1.0) * a
        )

    assert math.isclose(float(newton(2.0)), math.sqrt(2))
    assert math.isclose(float(gn.jit(newton)(2.0)), math.sqrt(2))
    assert math.isclose(float(gn.grad(newton)(2.0)), 0.5 / math.sqrt(2))
    with pytest.raises(RuntimeError, match=r"while_loop in compiled code has no gradient.*gn.scan"):
        gn.jit(gn.grad(newton))(2.0)


@pytest.mark.parametrize("run", [lambda f, *a: f(*a), lambda f, *a: gn.jit(f)(*a)], ids=["", "jit"])
def test_wrong_loops_and_branches(run):
    x = np.ones(3)
    for f, message in (
        (lambda x: gn.scan(lambda c, x: c, 0.0, x), "returns a pair"),
        (lambda x: gn.scan(lambda c, x: ((c, c), x), 0.0, x), "like what it got"),
        (lambda x: gn.scan(lambda c, x: (gn.stack([c, c]), x), 0.0, x), "like what it got"),
        (lambda x: gn.scan(lambda c, x: (c, x), 0.0, (x, x[:2])), "first axes .* agree"),
        (lambda x: gn.scan(lambda c, x: (c, x), 0.0), "how often"),
        (lambda x: gn.cond(x > 0, lambda: 1.0, lambda: 2.0), "one value.*gn.where"),
        (lambda x: gn.while_loop(lambda c: c.sum() < 9, lambda c: c.sum(), x), "like what it got"),
    ):
        with pytest.raises(ValueError, match=message):
            run(f, x)


def test_branches_that_return_different_things():
    with pytest.raises(ValueError, match="the branches return different"):
        gn.jit(lambda x: gn.cond(x > 0, lambda x: x, lambda x: (x, x), x))(1.0)
    with pytest.raises(ValueError, match="the branches return different arrays"):
        gn.jit(lambda x: gn.cond(x > 0, lambda x: x, lambda x: gn.stack([x, x]), x))(1.0)
