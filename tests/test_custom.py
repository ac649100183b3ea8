"""Functions whose backward is their own: custom_vjp and checkpoint."""

import gc
import tracemalloc

import numpy as np
import pytest

import gradnerve as gn
from gradnerve import nn


@gn.custom_vjp
def log1pexp(x):
    return gn.log1p(gn.exp(x))


def _forward(x):
    return log1pexp(x), x


log1pexp.defvjp(_forward, lambda x, ct: (ct * gn.sigmoid(x),))


# --- custom_vjp -----------------------------------------------------------------------------------


def test_a_rule_of_the_users():
    assert gn.grad(lambda x: log1pexp(x))(100.0) == 1.0
    assert gn.gradcheck(log1pexp, np.array([-1.0, 0.0, 2.0]), order=2)
    x = gn.Tensor([0.0, 1.0], requires_grad=True)
    log1pexp(x).sum().backward()
    np.testing.assert_allclose(x.grad, 1 / (1 + np.exp([-0.0, -1.0])))


def test_arrays_give_arrays():
    assert type(log1pexp(np.array([1.0]))) is np.ndarray


def test_the_rule_is_believed():
    @gn.custom_vjp
    def f(x, scale):
        return x * scale

    f.defvjp(lambda x, scale: (x * scale, scale), lambda scale, ct: (ct * 10.0, None))
    got = gn.grad(lambda x, s: f(x, s), argnums=(0, 1))(2.0, 3.0)
    assert got == (10.0, 0.0)


def test_trees_and_several_outputs():
    @gn.custom_vjp
    def f(tree, power):
        return {"a": tree["x"] ** power, "b": tree["y"] * 2.0}

    def fwd(tree, power):
        return f(tree, power), (tree["x"], power)

    def bwd(residuals, ct):
        x, power = residuals
        return {"x": ct["a"] * power * x ** (power - 1), "y": ct["b"] * 2.0}, None

    f.defvjp(fwd, bwd)

    def loss(tree):
        out = f(tree, 3.0)
        return (out["a"] * out["b"]).sum()

    tree = {"x": np.array([1.0, 2.0]), "y": np.array([0.5, -1.0])}
    got = gn.grad(loss)(tree)
    np.testing.assert_allclose(got["x"], 3 * tree["x"] ** 2 * 2 * tree["y"])
    np.testing.assert_allclose(got["y"], 2 * tree["x"] ** 3)


def test_a_retained_graph_may_be_walked_again_after_a_second_order_walk():
    x = gn.Tensor(0.5, requires_grad=True)
    y = log1pexp(x) * 1.0
    first = gn.grad(lambda x: gn.grad(log1pexp)(x))(0.5)
    y.backward(retain_graph=True)
    y.backward()
    np.testing.assert_allclose(x.grad, 2 / (1 + np.exp(-0.5)))
    s = 1 / (1 + np.exp(-0.5))
    np.testing.assert_allclose(first, s * (1 - s))


def test_complex_cotangents_are_as_the_user_sees_them(torch):
    @gn.custom_vjp
    def square(z):
        return z * z

    square.defvjp(lambda z: (z * z, z), lambda z, ct: (ct * gn.conj(2 * z),))
    z = np.array(1 + 2j)
    assert gn.grad(lambda z: gn.abs(square(z)))(z) == gn.grad(lambda z: gn.abs(z * z))(z)


def test_nothing_is_left_in_cycles():
    gc.collect()
    gc.disable()
    try:
        x = gn.Tensor(np.ones(10), requires_grad=True)
        log1pexp(x).sum().backward()
        gn.checkpoint(lambda x: gn.exp(x))(x).sum().backward()
        assert gc.collect() == 0
    finally:
        gc.enable()


def bad(fwd, bwd):
    f = gn.custom_vjp(lambda x: x * 1.0)
    f.defvjp(fwd, bwd)
    return lambda: gn.grad(f)(1.0)


BAD = [
    (lambda: gn.grad(gn.custom_vjp(lambda x: x))(1.0), "has no rule yet.*defvjp"),
    (bad(lambda x: x, lambda r, ct: (ct,)), "fwd is to return a pair.*a ndarray"),
    (bad(lambda x: (x, x), lambda r, ct: ct), "bwd is to return a tuple of 1.*a ndarray"),
    (bad(lambda x: (x, x), lambda r, ct: (ct, ct)), "and returned a tuple of 2"),
    (bad(lambda x: (x, x), lambda r, ct: ([ct, ct],)), "bwd is to return a tuple of 1"),
    (bad(lambda x: (x * gn.Tensor(1.0, True), x), lambda r, ct: (ct,)), "closes over a tensor"),
]


@pytest.mark.parametrize("call, words", BAD, ids=[words for _, words in BAD])
def test_bad_rules(call, words):
    with pytest.raises(TypeError, match=words):
        call()


# --- checkpoint -----------------------------------------------------------------------------------


def block(x, weight):
    for _ in range(3):
        x = gn.tanh(x @ weight)
    return x


def test_checkpoint_gives_the_same_gradients():
    rng = np.random.default_rng(0)
    arrays = rng.standard_normal((2, 4)), rng.standard_normal((4, 4))
    expected = [gn.Tensor(a, requires_grad=True) for a in arrays]
    block(*expected).sum().backward()
    leaves = [gn.Tensor(a, requires_grad=True) for a in arrays]
    y = gn.checkpoint(block)(*leaves)
    y.sum().backward()
    for got, leaf in zip(leaves, expected, strict=True):
        np.testing.assert_array_equal(got.grad, leaf.grad)
    assert gn.gradcheck(lambda x, w: gn.checkpoint(block)(x, w), arrays, order=2)


def test_checkpoint_reaches_what_it_closes_over():
    gn.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 5), nn.ReLU(), nn.Linear(5, 2))
    x = np.ones((4, 3), np.float32)
    gn.checkpoint(model)(x).sum().backward()
    found = [p.grad for p in model.parameters()]
    model.zero_grad()
    model(x).sum().backward()
    for got, p in zip(found, model.parameters(), strict=True):
        np.testing.assert_array_equal(got, p.grad)


def test_checkpoint_draws_the_same_random_numbers():
    gn.manual_seed(1)
    x = gn.Tensor(np.ones(100), requires_grad=True)
    y = gn.checkpoint(lambda x: nn.functional.dropout(x, 0.5))(x)
    after = gn.ops.random.generator().random()
    y.sum().backward()
    np.testing.assert_array_equal(x.grad, y.data)
    gn.manual_seed(1)
    nn.functional.dropout(np.ones(100), 0.5)
    assert gn.ops.random.generator().random() == after


def test_checkpoint_of_a_function_that_seeds():
    def f(x):
        gn.manual_seed(3)
        return gn.nn.functional.dropout(x, 0.5)

    gn.manual_seed(3)
    mask = gn.nn.functional.dropout(gn.ones(20), 0.5).data
    after = gn.nn.functional.dropout(gn.ones(20), 0.5).data
    gn.manual_seed(0)
    x = gn.Tensor(np.ones(20), requires_grad=True)
    gn.checkpoint(f)(x).sum().backward()
    np.testing.assert_array_equal(x.grad, mask)
    np.testing.assert_array_equal(gn.nn.functional.dropout(gn.ones(20), 0.5).data, after)


def test_checkpoint_of_plain_arrays_trees_and_constants():
    assert type(gn.checkpoint(np.sin)(np.ones(2))) is np.ndarray
    x = gn.Tensor(2.0, requires_grad=True)
    f = gn.checkpoint(lambda tree, n: {"y": tree["x"] * n, "n": n, "c": gn.Tensor(1.0)})
    out = f({"x": x}, 3)
    assert out["n"] == 3 and not out["c"].requires_grad
    out["y"].backward()
    assert x.grad == 3.0


def test_checkpoint_under_transforms():
    f = gn.checkpoint(lambda x: gn.sin(x) * x)
    np.testing.assert_allclose(gn.grad(gn.grad(f))(0.7), 2 * np.cos(0.7) - 0.7 * np.sin(0.7))


def test_checkpoint_saves_memory():
    weight = gn.Tensor(np.eye(50), requires_grad=True)

    def layers(x):
        for _ in range(20):
            x = gn.tanh(x @ weight)
        return x

    def held(part):
        x = np.ones((2000, 50))
        tracemalloc.start()
        y = x
        for _ in range(3):
            y = part(y)
        now = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
        return now

    assert held(gn.checkpoint(layers)) < held(layers) / 8


def test_checkpoint_under_no_grad_is_the_function():
    x = gn.Tensor(2.0, requires_grad=True)
    with gn.no_grad():
        y = gn.checkpoint(lambda x: gn.exp(x))(x)
    assert not y.requires_grad
    assert y.item() == np.exp(2.0)


def test_checkpoint_says_where_it_computes_something_else():
    # The gradient would be that of another function, in silence.
    a = gn.Tensor([1.0, 2.0], requires_grad=True)
    y = a * 1.0
    z = gn.checkpoint(lambda x: x * y * y)(a)
    y[0] = 100.0
    with pytest.raises(RuntimeError, match="<lambda> gives something else than it did before"):
        z.sum().backward()

    w = gn.Tensor([3.0, 4.0], requires_grad=True)
    z = gn.checkpoint(lambda x: x * w)(a)
    w.data = np.array([5.0, 6.0])
    with pytest.raises(RuntimeError, match="gives something else"):
        z.sum().backward()

    sizes = iter([2, 1])
    z = gn.checkpoint(lambda x: x[: next(sizes)])(a)
    with pytest.raises(RuntimeError, match="gives something else"):
        z.sum().backward()

    total = gn.zeros(2)

    def adds_up(x):
        total.__iadd__(x)
        return total * x

    with pytest.raises(RuntimeError, match="adds_up itself writes to one from outside"):
        gn.checkpoint(adds_up)(a).sum().backward()


def test_checkpoint_of_a_function_that_writes_to_its_argument():
    def f(x):
        x[0] = x[1] * x[1]
        return x * x

    a = gn.Tensor([1.0, 3.0], requires_grad=True)
    b = a * 2.0
    gn.checkpoint(f)(b).sum().backward()
    np.testing.assert_allclose(a.grad, [0.0, 8 * 6.0**3 + 8 * 3.0])
    np.testing.assert_array_equal(b.data, [2.0, 6.0])  # its own


def test_checkpoint_draws_the_same_random_numbers_in_threads(in_threads):
    drop = gn.nn.Dropout(0.5)
    wrong = []

    def work():
        for _ in range(100):
            x = gn.Tensor(np.ones(50), requires_grad=True)
            y = gn.checkpoint(lambda x: drop(drop(x) * 1.0))(x)
            value = y.data.copy()
            y.sum().backward()
            if not np.array_equal(x.grad, value):
                wrong.append(value)

    in_threads(work, 3, interval=1e-5)
    assert not wrong
