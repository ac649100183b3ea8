"""Transforms: gradients, Jacobians, Hessians, and all the ways to the same derivative."""

import collections
import functools
import math
import tracemalloc
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import pytest

import gradnerve as gn
from gradnerve import nn

A = np.random.default_rng(3).standard_normal((3, 3))


def f(x):
    """A function of three numbers with a dense Hessian."""
    return (gn.sin(A @ x) * x).sum() + gn.exp(x).prod()


X = np.array([0.3, -0.7, 1.1])
V = np.array([1.0, 2.0, -0.5])


def central(f, x, eps=1e-6):
    x = np.asarray(x, dtype=float)
    out = []
    for i in np.ndindex(x.shape):
        d = np.zeros_like(x)
        d[i] = eps
        out.append((np.asarray(f(x + d)) - np.asarray(f(x - d))) / (2 * eps))
    return np.moveaxis(np.array(out), 0, -1).reshape(*np.shape(f(x)), *x.shape)


# --- Like in, like out ----------------------------------------------------------------------------


def test_arrays_in_arrays_out():
    value, gradient = gn.value_and_grad(f)(X)
    assert type(value) is np.ndarray and type(gradient) is np.ndarray
    np.testing.assert_allclose(gradient, central(f, X), rtol=1e-6)


def test_a_number_in():
    assert gn.grad(lambda x: x**3)(2.0) == 12.0
    assert type(gn.grad(lambda x: x**3)(2.0)) is np.ndarray


def test_tensors_in_tensors_out():
    value, gradient = gn.value_and_grad(f)(gn.Tensor(X))
    assert isinstance(value, gn.Tensor) and isinstance(gradient, gn.Tensor)
    assert not value.requires_grad and not gradient.requires_grad


def test_a_gradient_of_an_attached_tensor_is_part_of_its_graph():
    x = gn.Tensor(X, requires_grad=True)
    value, gradient = gn.value_and_grad(f)(x)
    assert value.requires_grad and gradient.requires_grad
    (gradient * V).sum().backward()
    np.testing.assert_allclose(x.grad, gn.hessian(f)(X) @ V, rtol=1e-10)


def test_nothing_of_the_users_is_touched():
    x = gn.Tensor(X, requires_grad=True)
    gn.grad(f)(x)
    gn.grad(f)(X)
    assert x.grad is None
    assert not X.flags.writeable or X[0] == 0.3


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16])
def test_dtype_stays(dtype):
    gradient = gn.grad(lambda x: (x * x).sum())(np.ones(2, dtype))
    assert gradient.dtype == dtype


def test_a_gradient_shares_memory_with_nothing():
    ct = np.ones(3)
    x = X.copy()
    _, pullback = gn.vjp(lambda x: x, x)
    (first,), (second,) = pullback(ct), pullback(ct)
    assert not np.shares_memory(first, ct) and not np.shares_memory(first, second)


# --- What a function may be -----------------------------------------------------------------------


def test_a_constant_has_gradient_0():
    assert np.array_equal(gn.grad(lambda x: 3.0)(X), np.zeros(3))
    assert np.array_equal(gn.grad(lambda x: gn.Tensor(3.0))(X), np.zeros(3))
    assert np.array_equal(gn.grad(lambda x: gn.stop_gradient(x).sum())(X), np.zeros(3))


def test_a_function_that_returns_its_input():
    assert gn.grad(lambda x: x)(2.0) == 1.0
    y, pullback = gn.vjp(lambda x: x, X)
    assert np.array_equal(y, X) and np.array_equal(pullback(V)[0], V)
    assert np.array_equal(gn.jacobian(lambda x: x)(X), np.eye(3))


def test_a_function_that_returns_its_input_twice():
    _y, pullback = gn.vjp(lambda x: (x, {"same": x}), X)
    assert np.array_equal(pullback((V, {"same": V}))[0], 2 * V)


def test_control_flow_and_recursion():
    def power(x, n):
        return x if n == 1 else x * power(x, n - 1)

    def until_large(x):
        while x < 100.0:
            x = x * x
        return x

    assert gn.grad(lambda x: power(x, 5))(2.0) == 5 * 16
    assert gn.grad(until_large)(2.0) == 8 * 2.0**7


def test_an_empty_array_and_empty_trees():
    assert gn.grad(lambda x: x.sum())(np.zeros((0, 3))).shape == (0, 3)
    assert gn.grad(lambda t: gn.sum(t["x"] ** 2))({"x": X, "none": [], "d": {}})["none"] == []


def test_other_arguments_and_options_are_handed_on():
    def g(a, x, b, *, scale=1.0):
        return (a * x * b).sum() * scale

    np.testing.assert_allclose(gn.grad(g, argnums=1)(2.0, X, 3, scale=5.0), np.full(3, 30.0))
    got = gn.grad(g, argnums=(2, 0))(2.0, X, 3.0)
    assert isinstance(got, tuple)
    np.testing.assert_allclose(got, (2.0 * X.sum(), 3.0 * X.sum()))
    np.testing.assert_allclose(gn.grad(g, argnums=-1)(2.0, X, 3.0), 2.0 * X.sum())


def test_trees():
    params = {"w": X, "layers": [np.ones(2), (2.0,)]}

    def loss(p):
        return (p["w"] ** 2).sum() + p["layers"][0].sum() * p["layers"][1][0]

    gradient = gn.grad(loss)(params)
    np.testing.assert_allclose(gradient["w"], 2 * X)
    np.testing.assert_allclose(gradient["layers"][0], [2.0, 2.0])
    assert gradient["layers"][1] == (2.0,)


def test_aux():
    def g(x):
        return (x * x).sum(), {"twice": 2 * x, "word": "hello"}

    gradient, aux = gn.grad(g, has_aux=True)(X)
    np.testing.assert_allclose(gradient, 2 * X)
    assert type(aux["twice"]) is np.ndarray and aux["word"] == "hello"
    (value, aux), gradient = gn.value_and_grad(g, has_aux=True)(X)
    np.testing.assert_allclose(value, (X * X).sum())
    value, pullback, aux = gn.vjp(g, X, has_aux=True)
    np.testing.assert_allclose(pullback(1.0)[0], 2 * X)


def test_of_a_module():
    gn.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 1))
    x = np.ones((2, 3), np.float32)

    def loss(model):
        return (model(x) ** 2).sum()

    _value, gradient = gn.value_and_grad(loss)(model)
    assert all(p.grad is None for p in model.parameters()), "a transform leaves .grad alone"
    loss(model).backward()
    assert list(gradient) == [name for name, _ in model.named_parameters()]
    for name, p in model.named_parameters():
        assert type(gradient[name]) is np.ndarray
        np.testing.assert_allclose(gradient[name], p.grad, rtol=1e-5)


class Shelf(nn.Module):
    """Holds layers in a list, a tuple and a dict, and one of them in two places."""

    def __init__(self):
        super().__init__()
        self.first = self.again = nn.Linear(2, 2)
        self.listed, self.pair = [nn.Linear(2, 2)], (nn.ReLU(), "a word")
        self.named = {"last": nn.Linear(2, 1)}

    def forward(self, x):
        x = self.again(self.pair[0](self.listed[0](self.first(x))))
        return self.named["last"](x)


def test_of_a_module_with_a_shared_layer_and_layers_in_lists_and_dicts():
    model, x = Shelf(), np.ones((2, 2), np.float32)
    seen = []

    def loss(model):
        seen.append(model)
        return model(x).sum()

    gradient = gn.grad(loss)(model)
    assert seen[0] is not model
    assert seen[0].first is seen[0].again, "what was one layer is one layer"
    loss(model).backward()
    for name, p in model.named_parameters():
        np.testing.assert_allclose(gradient[name], p.grad, rtol=1e-5)


def test_a_cotangent_may_be_a_tensor_of_another_dtype():
    y, pullback = gn.vjp(lambda x: x * x, gn.Tensor(X, requires_grad=True))
    (gradient,) = pullback(gn.Tensor(V.astype(np.float32)))
    assert y.dtype == gradient.dtype == np.float64
    np.testing.assert_allclose(gradient.data, 2 * X * V, rtol=1e-6)


def test_an_array_that_f_returns_beside_tensors_is_a_tensor_like_the_primals():
    value = gn.value_and_grad(lambda x: ((x * x).sum(), np.ones(2)), has_aux=True)
    (_, aux), _ = value(gn.Tensor(X))
    assert type(aux) is gn.Tensor
    (_, aux), _ = value(X)
    assert type(aux) is np.ndarray


def test_a_jacobian_of_no_outputs_has_no_rows():
    assert gn.jacobian(lambda x: x[:0])(X).shape == (0, 3)


def test_a_system_that_does_not_tell_its_memory_has_no_limit(monkeypatch):
    def unknown(name):
        raise ValueError("unrecognized configuration name")

    monkeypatch.setattr(gn.transforms.os, "sysconf", unknown, raising=False)
    np.testing.assert_array_equal(gn.jacobian(lambda x: x)(X), np.eye(3))


def test_a_gradient_penalty_reaches_the_parameters_of_a_closed_over_module():
    gn.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.Sequential(), nn.Linear(4, 1))
    x = np.ones((2, 3), np.float32)
    penalty = (gn.grad(lambda x: (model(x) ** 2).sum())(x) ** 2).sum()
    penalty.backward()
    weight = model[0].weight
    eps = 1e-3
    ends = []
    for sign in (1, -1):
        with gn.no_grad():
            kept = weight.data.copy()
            weight.data[0, 0] += sign * eps
            ends.append(float((gn.grad(lambda x: (model(x) ** 2).sum())(x) ** 2).sum()))
            weight.data[...] = kept
    np.testing.assert_allclose(weight.grad[0, 0], (ends[0] - ends[1]) / (2 * eps), rtol=2e-2)


# --- Nesting --------------------------------------------------------------------------------------


def test_perturbation_confusion():
    """d/dx (x · d/dy (x + y)) = 1: the inner derivative is by y alone."""
    assert gn.grad(lambda x: x * gn.grad(lambda y: x + y)(1.0))(1.0) == 1.0
    assert gn.grad(lambda x: x * gn.grad(lambda y: x * y)(2.0))(3.0) == 6.0


def test_perturbation_confusion_where_both_are_the_same_tensor():
    def outer(x):
        inner = gn.grad(lambda y: x * y * y)(x)  # 2 x y at y = x
        return x * inner

    np.testing.assert_allclose(gn.grad(outer)(3.0), 6 * 9.0)


def test_closing_over_the_same_variable_twice():
    def outer(x):
        return gn.grad(lambda y: y * x * x)(1.0) + gn.grad(lambda y: y * y * x)(2.0)

    np.testing.assert_allclose(gn.grad(outer)(3.0), 2 * 3.0 + 4.0)


def test_what_closes_over_a_traced_tensor_is_a_tensor():
    x = gn.Tensor(3.0, requires_grad=True)
    y = x * gn.grad(lambda y: x * y)(2.0)
    y.backward()
    assert x.grad == 6.0
    with gn.no_grad():
        assert type(gn.grad(lambda y: x * y)(2.0)) is np.ndarray


@pytest.mark.parametrize("depth", range(1, 6))
def test_nested_to_any_depth(depth):
    g = lambda x: x**6
    expected = 2.0**6
    for n in range(depth):
        g = gn.grad(g)
        expected = expected * (6 - n) / 2.0
    np.testing.assert_allclose(g(2.0), expected, rtol=1e-12)


def test_no_grad_inside_and_outside():
    with gn.no_grad():
        assert gn.grad(lambda x: x * x)(3.0) == 6.0
        assert gn.graph.recording.get() is False

    def g(x):
        with gn.no_grad():
            constant = x * 2.0
        return x * constant

    assert gn.grad(g)(3.0) == 6.0


def test_recording_is_as_before_after_an_error():
    with gn.no_grad():
        with pytest.raises(ZeroDivisionError):
            gn.grad(lambda x: 1 // 0)(1.0)
        assert gn.graph.recording.get() is False


# --- All the ways to the same derivative ----------------------------------------------------------


def test_hessian_by_every_way():
    expected = gn.hessian(f)(X)
    ways = {
        "Jacobian of the gradient": gn.jacobian(gn.grad(f))(X),
        "hvp": np.stack([gn.hvp(f, (X,), (e,)) for e in np.eye(3)]),
        "JVP of the gradient": np.stack([gn.jvp(gn.grad(f), (X,), (e,))[1] for e in np.eye(3)]),
        "gradient of the JVP": np.stack(
            [gn.grad(lambda x, e=e: gn.jvp(f, (x,), (e,))[1])(X) for e in np.eye(3)]
        ),
        "gradient of gradient · e": np.stack(
            [gn.grad(lambda x, e=e: (gn.grad(f)(x) * e).sum())(X) for e in np.eye(3)]
        ),
        "JVP of the JVP": np.array(
            [[gn.jvp(lambda x, e=e: gn.jvp(f, (x,), (e,))[1], (X,), (d,))[1] for d in np.eye(3)]
             for e in np.eye(3)]
        ),
    }  # fmt: skip
    np.testing.assert_allclose(expected, central(gn.grad(f), X), rtol=1e-6, atol=1e-7)
    for way, got in ways.items():
        np.testing.assert_allclose(got, expected, rtol=1e-11, atol=1e-12, err_msg=way)


def test_jvp():
    value, tangent = gn.jvp(f, (X,), (V,))
    assert type(value) is np.ndarray and type(tangent) is np.ndarray
    np.testing.assert_allclose(tangent, central(f, X) @ V, rtol=1e-6)
    g = lambda x, y: {"a": x * y, "b": gn.sin(x).sum()}
    _out, tangent = gn.jvp(g, (X, V), (V, X))
    np.testing.assert_allclose(tangent["a"], V * V + X * X)
    np.testing.assert_allclose(tangent["b"], (np.cos(X) * V).sum())
    _, zero = gn.jvp(lambda x: gn.stop_gradient(x) * 2.0, (X,), (V,))
    assert np.array_equal(zero, np.zeros(3))


def test_jacobian_shapes():
    g = lambda x: gn.stack([x * 2.0, x**2])
    got = gn.jacobian(g)(np.ones((2, 3)))
    assert got.shape == (2, 2, 3, 2, 3)
    np.testing.assert_allclose(got, central(g_plain, np.ones((2, 3))), rtol=1e-6, atol=1e-8)
    both = gn.jacobian(lambda a, b: a * b.sum(), argnums=(0, 1))(X, V)
    np.testing.assert_allclose(both[0], np.eye(3) * V.sum())
    np.testing.assert_allclose(both[1], np.outer(X, np.ones(3)))
    tree = gn.jacobian(lambda x: {"y": x * x, "z": x.sum()})(X)
    np.testing.assert_allclose(tree["y"], np.diag(2 * X))
    np.testing.assert_allclose(tree["z"], np.ones(3))


def test_an_infinite_slope_of_one_output_is_none_of_the_others():
    def f(x):
        return {"root": gn.sqrt(x), "twice": 2 * x}

    with np.errstate(divide="ignore"):
        found = gn.jacobian(f)(np.array([0.0]))
    assert found["root"] == np.inf
    assert found["twice"] == 2.0
    with np.errstate(all="ignore"):  # (-2) ** y has no derivative by y
        found = gn.hessian(lambda x, y: x**y, argnums=(0, 1))(-2.0, 2.0)
    assert found[0][0] == 2.0


def test_a_jacobian_is_in_memory_once():
    a = np.random.default_rng(0).standard_normal((300, 300))
    tracemalloc.start()
    gn.jacobian(lambda x: gn.tanh(a @ x))(np.ones(300))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1.5 * a.nbytes


def g_plain(x):
    return np.stack([x * 2.0, x**2])


def test_jacobian_computes_f_once():
    calls = []

    def g(x):
        calls.append(1)
        return x * x

    gn.jacobian(g)(X)
    assert len(calls) == 1
    calls.clear()
    gn.hessian(lambda x: g(x).sum())(X)
    assert len(calls) == 1


def test_a_pullback_may_be_called_again():
    _, pullback = gn.vjp(lambda x: x * x, X)
    np.testing.assert_array_equal(pullback(V)[0], pullback(V)[0])


def test_what_is_not_wanted_is_not_computed():
    """Where f closes over parameters, their products are no part of the gradient by x."""
    weight = gn.Tensor(np.ones((3, 3)), requires_grad=True)
    before = gn.ops.matmul.operator.rules
    count = []
    rules = tuple(
        (i, (lambda *a, rule=rule, i=i: (count.append(i), rule(*a))[1]), first, second)
        for i, rule, first, second in before
    )
    try:
        gn.ops.matmul.operator.rules = rules
        gn.grad(lambda x: (x @ weight).sum())(np.ones((2, 3)))
    finally:
        gn.ops.matmul.operator.rules = before
    assert count == [0], "the product for the weight's gradient was computed"


# --- Complex --------------------------------------------------------------------------------------


def test_complex_gradients_are_pytorchs(torch):
    z = np.array([1 + 2j, -0.5 + 0.3j])
    got = gn.grad(lambda z: gn.abs(z * z + z).sum())(z)
    t = torch.tensor(z, requires_grad=True)
    (t * t + t).abs().sum().backward()
    np.testing.assert_allclose(got, t.grad.numpy())
    _y, pullback = gn.vjp(lambda z: gn.exp(z), z)
    ct = np.array([0.3 - 1j, 2j])
    expected = torch.autograd.grad(torch.exp(t), [t], torch.tensor(ct))[0]
    np.testing.assert_allclose(pullback(ct)[0], expected.numpy())
    _out, tangent = gn.jvp(lambda z: z**2, (z,), (ct,))
    np.testing.assert_allclose(tangent, 2 * z * ct)
    np.testing.assert_allclose(gn.jacobian(lambda z: z**2)(z), np.diag(2 * z))


def test_complex_second_order(torch):
    z = np.array([1 + 2j, -0.5 + 0.3j])
    g = lambda z: (gn.abs(z) ** 4).sum()
    inner = lambda z: (gn.real(gn.grad(g)(z)) ** 2).sum()
    t = torch.tensor(z, requires_grad=True)
    (first,) = torch.autograd.grad((t.abs() ** 4).sum(), [t], create_graph=True)
    (expected,) = torch.autograd.grad((first.real**2).sum(), [t])
    np.testing.assert_allclose(gn.grad(inner)(z), expected.numpy())


# --- Depth, and other libraries -------------------------------------------------------------------


@pytest.mark.slow
def test_depth():
    def deep(x):
        for _ in range(100_000):
            x = x * 1.0
        return x

    assert gn.grad(deep)(2.0) == 1.0


def test_under_scipy():
    from scipy.optimize import minimize

    def rosenbrock(x):
        return (100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum()

    found = minimize(gn.value_and_grad(rosenbrock), np.zeros(5), jac=True)
    np.testing.assert_allclose(found.x, np.ones(5), rtol=1e-4)


def test_against_jax(jax):
    jnp = jax.numpy

    def g(x):
        return (jnp.sin(A @ x) * x).sum() + jnp.exp(x).prod()

    np.testing.assert_allclose(gn.grad(f)(X), jax.grad(g)(X), rtol=1e-12)
    np.testing.assert_allclose(gn.hessian(f)(X), jax.hessian(g)(X), rtol=1e-11)
    np.testing.assert_allclose(gn.jvp(f, (X,), (V,))[1], jax.jvp(g, (X,), (V,))[1], rtol=1e-12)


# --- Bad input ------------------------------------------------------------------------------------

BAD = [
    (lambda: gn.grad(lambda x: x)(3), TypeError, "differentiate by an argument of int64.*3.0, not"),
    (lambda: gn.grad(lambda x: x)("a"), TypeError, "cannot differentiate by a str"),
    (lambda: gn.grad(f)(np.arange(3)), TypeError, "an argument of int64"),
    (lambda: gn.grad(lambda x: x)(X), TypeError, r"returned float64 of shape \(3,\).*gn.jacobian"),
    (lambda: gn.grad(lambda x: (x, x))(1.0), TypeError, "returned a tuple.*has_aux"),
    (lambda: gn.grad(lambda x: None)(1.0), TypeError, "returned a NoneType"),
    (lambda: gn.grad(lambda x: x > 0)(1.0), TypeError, "returned bool"),
    (lambda: gn.grad(lambda z: z * z)(1j), TypeError, r"returned complex128.*gn.abs\(z\)"),
    (lambda: gn.grad(f, argnums=2)(X), TypeError, "argnums has 2, .* called with 1 argument"),
    (lambda: gn.grad(f, argnums="x")(X), TypeError, "counted from 0: a number"),
    (lambda: gn.grad(f, has_aux=True)(X), TypeError, "returns a pair"),
    (lambda: gn.vjp(lambda x: x, X)[1](np.ones(2)), ValueError, r"\(2,\) for an output .*\(3,\)"),
    (lambda: gn.vjp(lambda x: x, X)[1]((V, V)), ValueError, r"built as \(\*, \*\)"),
    (lambda: gn.jvp(lambda x: x, (X,), (np.ones(2),)), ValueError, r"\(2,\) for a primal"),
    (lambda: gn.jvp(lambda x: x, (X,), (V, V)), ValueError, "give them the same tuples"),
    (lambda: gn.jvp(lambda x: x, X, V), TypeError, "are tuples"),
    (lambda: gn.vjp(lambda x: x, X)[1](V + 1j), TypeError, "a complex cotangent for a real outp"),
    (
        lambda: gn.vjp(lambda x: x, X)[1](gn.Tensor(np.ones(2))), ValueError,
        r"\(2,\) for an output .*\(3,\)",
    ),
    (lambda: gn.vjp(lambda x: "a", X), TypeError, "str"),
    (
        lambda: gn.jacobian(lambda x: x)(np.zeros(10**6)),
        MemoryError,
        r"float64 of shape \(1000000, 1000000\): 7,450.6 GiB",
    ),
]  # fmt: skip


@pytest.mark.parametrize("call, kind, words", BAD, ids=[words for _, _, words in BAD])
def test_bad_input(call, kind, words):
    with pytest.raises(kind, match=f"(?s){words}"):
        call()


# --- Functions that write -------------------------------------------------------------------------


def test_a_function_may_write_to_what_it_computes():
    def f(x):
        y = gn.zeros(4)
        y[0] = x[0]
        for i in range(1, 4):
            y[i] = y[i - 1] * x[1] + y[0]
        y += x.sum()
        return (y * y).sum()

    def without_writes(x):
        a = x[0]
        b = a * x[1] + a
        c = b * x[1] + a
        d = c * x[1] + a
        return ((gn.stack([a, b, c, d]) + x.sum()) ** 2).sum()

    x, v = np.array([0.5, 1.2]), np.array([1.0, -2.0])
    for transform in (gn.grad, gn.jacobian, gn.hessian):
        np.testing.assert_allclose(transform(f)(x), transform(without_writes)(x), rtol=1e-12)
    for a, b in zip(
        (*gn.jvp(f, (x,), (v,)), gn.hvp(f, (x,), (v,))),
        (*gn.jvp(without_writes, (x,), (v,)), gn.hvp(without_writes, (x,), (v,))),
        strict=True,
    ):
        np.testing.assert_allclose(a, b, rtol=1e-12)


def test_a_function_that_writes_to_its_argument():
    def f(x):
        x[0] = 5.0
        return (x * x).sum()

    with pytest.raises(RuntimeError, match="would overwrite a leaf"):
        gn.grad(f)(np.array([1.0, 2.0]))
    x = gn.Tensor(np.array([1.0, 2.0]), requires_grad=True)
    # An inner transform gets a tensor of the outer one: of what that was, it is the gradient.
    outer = gn.grad(lambda x: gn.grad(f)(x * 1.0).sum())(np.array([1.0, 2.0]))
    np.testing.assert_array_equal(outer, [0.0, 2.0])
    inner = gn.grad(f)(x * 1.0)
    np.testing.assert_array_equal(inner.data, [0.0, 4.0])


def test_a_function_that_reads_what_was_written_outside():
    y = gn.Tensor(np.array([1.0, 2.0]), requires_grad=True) * 3
    y[0] = 7.0
    g = gn.grad(lambda x: (x * y).sum())(np.array([1.0, 1.0]))
    np.testing.assert_array_equal(g.data, [7.0, 6.0])


def test_checkpoint_of_a_function_that_writes():
    def f(x):
        y = x * 2
        y[0] = y[1] * y[1]
        return y

    x = np.array([1.0, 3.0])
    assert gn.gradcheck(lambda x: gn.checkpoint(f)(x), x, order=2)


def test_of_a_module_whose_functions_hold_it():
    # They have to see the copy, or the gradient is 0 in silence.
    class Net(gn.nn.Module):
        def __init__(self):
            self.w = gn.nn.Parameter(np.array([1.0, 2.0]))
            self.pair = collections.namedtuple("Pair", "v scale")(
                gn.nn.Parameter(np.array([3.0, 4.0])), 2.0
            )
            self.method = self.times_w
            self.partial = functools.partial(self.times_w, power=2)
            self.closure = lambda x: self.w * x

        def times_w(self, x, power=1):
            return self.w**power * x

        def forward(self, x):
            y = self.pair.v * self.pair.scale * x
            return (y + self.method(x) + self.partial(x) + self.closure(x)).sum()

    net = Net()
    gradient = gn.grad(lambda net: net(np.array([1.0, 10.0])))(net)
    np.testing.assert_array_equal(gradient["w"], [4.0, 60.0])
    np.testing.assert_array_equal(gradient["pair.0"], [2.0, 20.0])


def test_of_a_module_with_a_closure_that_is_still_empty_and_an_object_written_in_c():
    class Queue(collections.deque):
        """No object of its class can be made without its constructor."""

    class Net(gn.nn.Module):
        def __init__(self):
            self.w = gn.nn.Parameter(np.array([1.0, 2.0]))
            self.queue = Queue([1.0])
            self.queue.owner = self
            self.closure = lambda: (self, later)

        def forward(self, x):
            assert len(self.queue) == 1
            return (self.w * x).sum()

    gradient = gn.grad(lambda net: net(np.array([1.0, 10.0])))(Net())
    np.testing.assert_array_equal(gradient["w"], [1.0, 10.0])
    later = None


@pytest.mark.parametrize("argnums", [(0, 0), (1, -1)])
def test_an_argument_twice_in_argnums(argnums):
    with pytest.raises(ValueError, match="argnums has an argument twice"):
        gn.grad(lambda a, b: a * b, argnums)(2.0, 3.0)


def test_argnums_of_numpy():
    f = lambda a, b: a * b
    assert gn.grad(f, argnums=np.int64(1))(2.0, 3.0) == 2.0
    assert [g.item() for g in gn.grad(f, argnums=(np.int64(1), 0))(2.0, 3.0)] == [2.0, 3.0]
    assert gn.jacobian(f, argnums=np.int32(0))(2.0, 3.0) == 3.0
    with pytest.raises(TypeError, match=r"a number or a tuple of numbers, not 0\.5"):
        gn.grad(f, argnums=0.5)


# --- What a Module is made of ---------------------------------------------------------------------


class WithSlots(gn.nn.Module):
    __slots__ = ("__hidden", "inner", "unset", "w")

    def __init__(self):
        self.w = gn.nn.Parameter(np.array([2.0, 3.0]))
        self.inner = [gn.nn.Linear(2, 1, dtype="float64")]
        self.__hidden = gn.nn.Parameter(np.array(5.0))

    def forward(self, x):
        return self.inner[0](x * self.w).sum() * self.__hidden


class Helper:
    """No Module, but it holds one, or a part of one."""

    def __init__(self, layer):
        self.layer, self.calls = layer, [0]

    def __call__(self, x):
        self.calls[0] += 1
        return self.layer(x)


class HelperWithSlots:
    __slots__ = ("layer", "owner")

    def __init__(self, layer):
        self.layer, self.owner = layer, self

    def __call__(self, x):
        return self.owner.layer(x)


@dataclass(frozen=True)
class FrozenHelper:
    layer: object

    def __call__(self, x):
        return self.layer(x)


class Holder(gn.nn.Module):
    """A Module whose forward goes through something else that holds its layer."""

    def __init__(self, helper):
        self.layer = gn.nn.Linear(2, 1, dtype="float64")
        self.helper = helper(self.layer)

    def forward(self, x):
        return self.helper(x).sum()


def through_a_list(layer):
    layers = [layer]
    return lambda x: layers[0](x)


def through_a_default(layer):
    return lambda x, layer=layer: layer(x)


def through_each_other(layer):
    first, second = Helper(None), Helper(layer)
    first.layer, second.friend = second, first
    return first


def through_a_set(layer):
    layers = {layer}
    return lambda x: next(iter(layers))(x)


@pytest.mark.parametrize(
    "helper",
    [
        Helper, HelperWithSlots, FrozenHelper, through_a_list, through_a_default, through_a_set,
        through_each_other, lambda layer: layer.forward, lambda layer: Helper(layer).__call__,
        lambda layer: functools.partial(gn.nn.functional.linear, weight=layer.weight),
        lambda layer: {"f": Helper(layer)}["f"], lambda layer: SimpleNamespace(f=layer).f,
    ],
)  # fmt: skip
def test_whatever_holds_a_module_is_copied_with_it(helper):
    model, x = Holder(helper), np.array([3.0, 4.0])
    gradient = gn.grad(lambda model: model(x))(model)
    np.testing.assert_array_equal(gradient["layer.weight"], [x])
    model(x).backward()
    np.testing.assert_array_equal(model.layer.weight.grad, [x])


def test_a_module_with_slots():
    model, x = WithSlots(), np.array([3.0, 4.0])
    names = [name for name, _ in model.named_parameters()]
    assert sorted(names) == ["_WithSlots__hidden", "inner.0.bias", "inner.0.weight", "w"]
    gradients = gn.grad(lambda model: model(x))(model)
    model(x).backward()
    assert list(gradients) == names
    for name, parameter in model.named_parameters():
        np.testing.assert_array_equal(gradients[name], parameter.grad)
    other = WithSlots()
    other.load_state_dict(model.state_dict())
    assert other(x).item() == model(x).item()


def test_what_leads_to_no_module_is_shared_and_not_copied():
    class Model(gn.nn.Module):
        def __init__(self):
            self.w = gn.nn.Parameter(np.array(2.0))
            self.history, self.logger = [], SimpleNamespace(count=0)
            calls = 0

            def count():
                nonlocal calls
                calls += 1
                return calls

            self.count = count

        def forward(self):
            self.history.append(1)
            self.logger.count += 1
            self.count()
            return self.w * 1.0

    model = Model()
    gn.grad(lambda model: model())(model)
    assert model.history == [1] and model.logger.count == 1 and model.count() == 2


def test_a_closed_over_module_is_a_constant():
    model = gn.nn.Linear(2, 1, dtype="float64")
    x = np.array([3.0, 4.0])
    twice = gn.grad(lambda m: (m(x) + 10 * model(x)).sum())(model)
    np.testing.assert_array_equal(twice["weight"].data, [x])


def test_a_result_kept_on_a_module_is_no_parameter():
    class Model(gn.nn.Module):
        def __init__(self):
            self.w = gn.Tensor([2.0], requires_grad=True)
            self.mean = gn.Tensor([0.0])

        def forward(self, x):
            self.h = self.w * x
            self.seen = [self.h.detach()]
            return self.h.sum()

    model = Model()
    for _ in range(2):
        model(3.0).backward()  # the second time `h` is there from the first
        assert [name for name, _ in model.named_parameters()] == ["w"]
        assert sorted(model.state_dict()) == ["mean", "seen.0", "w"]
        assert list(gn.grad(lambda model: model(3.0))(model)) == ["w"]
        gn.optim.SGD(model.parameters(), lr=0.1).step()
    model.requires_grad_(False)
    assert not model.w.requires_grad


def test_transforms_of_transforms_of_a_module():
    class Model(gn.nn.Module):
        def __init__(self):
            self.w = gn.Tensor([2.0, 3.0], requires_grad=True)
            self.frozen = gn.nn.Parameter(np.array([5.0]), requires_grad=False)

        def forward(self, x):
            return (self.w**3 * x).sum() * self.frozen.sum() ** 2

    def slope(model):
        inner = gn.grad(lambda model: model(1.0))(model)
        assert list(inner) == [name for name, _ in model.named_parameters()] == ["w", "frozen"]
        return inner["w"].sum()

    model = Model()
    second = gn.grad(slope)(model)
    np.testing.assert_allclose(second["w"], [6 * 2 * 25, 6 * 3 * 25])
    np.testing.assert_allclose(second["frozen"], [(3 * 4 + 3 * 9) * 2 * 5])
    third = gn.grad(lambda model: gn.grad(slope)(model)["w"].sum())(model)
    np.testing.assert_allclose(third["w"], [150, 150])
    hessian = gn.hessian(lambda model: model(1.0))(model)
    np.testing.assert_allclose(hessian["w"]["w"], np.diag([300, 450]))
    assert type(second["w"]) is np.ndarray and type(hessian["w"]["frozen"]) is np.ndarray


# --- A number made of a traced tensor -------------------------------------------------------------


@pytest.mark.parametrize(
    "f",
    [
        lambda x: float(x) ** 2,
        lambda x: math.sin(x),
        lambda x: x.item(),
        lambda x: np.float64(x) * 2,
        lambda x: complex(x).real,
        lambda x: sum(x.reshape(1).tolist()),
        lambda x: gn.grad(lambda y: y * float(x))(1.0),
    ],
    ids=[
        "float",
        "math.sin",
        "item",
        "np.float64",
        "complex",
        "tolist",
        "inside an inner transform",
    ],
)
def test_a_gradient_that_would_be_0_since_a_number_was_made(f):
    with pytest.raises(
        RuntimeError,
        match=r"test_transforms.py:\d+ .* makes a Python number of a traced tensor: nothing that "
        r"the function returns .* Compute with the tensor: .* gn.sin\(x\), not math.sin\(x\)",
    ):
        gn.grad(f)(3.0)


def test_a_gradient_that_loses_a_part_by_a_number_warns_at_the_line():
    def f(x):
        factor = float(x)
        return x * factor

    with pytest.warns(
        UserWarning, match=r"factor = float\(x\).*is a constant to the gradient"
    ) as w:
        assert gn.grad(f)(3.0) == 3.0
    assert w[0].filename == __file__


def look_at_it(x):
    error = gn.abs(x - 2)
    print(float(error))
    assert f"{float(x)}" and f"{x:.3f}"
    if float(x) < 0 or x.item() > 100:
        return -x
    while float(x) < 10:
        x = x * x
    return x


@pytest.mark.filterwarnings("error")
def test_a_number_that_is_only_looked_at_is_no_loss():
    assert gn.grad(look_at_it)(3.0) == 108.0  # x⁴
    assert gn.grad(look_at_it)(-3.0) == -1.0
    assert gn.grad(lambda x: 1.0 if float(x) > 0 else 0.0)(2.0) == 0.0
    assert gn.grad(lambda x: x * float(gn.stop_gradient(x)))(3.0) == 3.0
    # An array's own numbers, and those of a tensor that has nothing to do with x.
    w = gn.Tensor(2.0, requires_grad=True)
    assert gn.grad(lambda x: x * float(w))(3.0) == 2.0
