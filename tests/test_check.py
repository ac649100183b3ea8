"""gradcheck: it finds each wrong rule, and says where and whose; and passes what is right."""

import itertools

import numpy as np
import pytest

import gradnerve as gn
from gradnerve.operators import operators

counter = itertools.count()


def operator_with(forward, *rules):
    """A new operator, of a unique name, with rules (input, function)."""
    forward.__name__ = f"suspect_{next(counter)}"
    op = gn.operator(forward)
    for inputs, rule in rules:
        op.rule(inputs, r"\bar x")(rule)
    vars(operators).pop(forward.__name__)
    return op


X = np.array([[0.5, -1.2, 2.0], [1.5, 0.3, -0.7]])


def scaled(factor):
    return operator_with(lambda x: x * x, ("x", lambda ct, x: ct * (factor * x)))


WRONG = {
    "factor 2": scaled(4),
    "a term is missing": operator_with(lambda x: x * x + 3 * x, ("x", lambda ct, x: ct * (2 * x))),
    "sign": scaled(-2),
    "zero": operator_with(lambda x: x * x, ("x", lambda ct, x: ct * 0)),
    "not a number": operator_with(lambda x: x * x, ("x", lambda ct, x: ct * np.nan)),
    "infinite": operator_with(lambda x: x * x, ("x", lambda ct, x: ct * np.inf)),
    "a little off": scaled(2.001),
    "the cotangent is forgotten": operator_with(lambda x: x * x, ("x", lambda ct, x: 2 * x)),
    "flipped": operator_with(lambda x: x * x, ("x", lambda ct, x: (ct * (2 * x))[::-1])),
    "transposed in itself": operator_with(
        lambda x: x @ x.T, ("x", lambda ct, x: 2 * (ct @ x) + (ct - ct.T) @ x)
    ),
    "one element": operator_with(
        lambda x: x * x, ("x", lambda ct, x: ct * (2 * x) * np.where(x == 2.0, 1.1, 1.0))
    ),
    "not summed over what is broadcast": operator_with(
        lambda x: np.broadcast_to(x, (4, *x.shape)).copy(), ("x", lambda ct: ct[0])
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_rules_are_found(name):
    op = WRONG[name]
    with np.errstate(all="ignore"), pytest.raises(gn.errors.GradcheckError) as caught:
        gn.gradcheck(op, X)
    assert f"most likely to blame is `{op.operator.name}`, by its input 'x'" in str(caught.value)
    assert isinstance(caught.value, AssertionError)


@pytest.mark.parametrize("name", WRONG)
def test_wrong_rules_are_found_in_big_inputs(name):
    big = np.random.default_rng(0).uniform(0.5, 2.0, (20, 20))
    big[3, 7] = 2.0
    with np.errstate(all="ignore"), pytest.raises(gn.errors.GradcheckError) as caught:
        gn.gradcheck(WRONG[name], big)
    text = str(caught.value)
    assert "the gradient by input 0 of shape (20, 20) is wrong along a random direction" in text


# `transposed in itself` is right for a symmetric cotangent, which it gets here.
@pytest.mark.parametrize("name", [name for name in WRONG if name != "transposed in itself"])
def test_wrong_rules_are_found_and_blamed_among_others(name):
    op = WRONG[name]
    with np.errstate(all="ignore"), pytest.raises(gn.errors.GradcheckError) as caught:
        gn.gradcheck(lambda x, w: gn.tanh(op(x * w) * 0.1).sum() + (x * x).mean(), (X, X * 0 + 1))
    assert f"`{op.operator.name}`" in str(caught.value)


def test_wrong_at_one_element_only_where_it_is_reached():
    assert gn.gradcheck(WRONG["one element"], X + 0.1)


def test_the_whole_message():
    x = gn.Tensor([1.0, 2.0, 3.0], name="speed")
    with pytest.raises(gn.errors.GradcheckError) as caught:
        gn.gradcheck(lambda w, x: (WRONG["factor 2"](x) * [0.0, 0.0, 1.0]).sum(), (X, x))
    text = str(caught.value)
    assert text.startswith(
        "the gradient by input 1 ('speed') of shape (3,) is wrong at element (2,)"
    )
    got, expected = (
        float(text.split(words)[1].split()[0].rstrip(",."))
        for words in ("the rules give ", "finite differences ")
    )
    assert got == pytest.approx(2 * expected, rel=1e-6)
    assert text.endswith(f"blame is `{WRONG['factor 2'].operator.name}`, by its input 'x'.")


def test_a_wrong_rule_of_one_of_two_inputs():
    op = operator_with(lambda a, b: a * b, ("a", lambda ct, b: ct * b), ("b", lambda ct, b: ct * b))
    with pytest.raises(gn.errors.GradcheckError, match=r"input 1 of .*by its input 'b'"):
        gn.gradcheck(op, (X, X + 3))
    with pytest.raises(gn.errors.GradcheckError, match=r"input 0 of .*by its input 'b'"):
        gn.gradcheck(lambda x: op(x, x + 3), X)
    assert gn.gradcheck(lambda x: op(x, X + 3), X), "the wrong rule is not used here"


def test_a_transposed_matrix_rule():
    op = operator_with(
        lambda a, b: a @ b,
        ("a", lambda ct, b: ct @ b),  # b.mT is meant
        ("b", lambda ct, a: a.T @ ct),
    )
    with pytest.raises(gn.errors.GradcheckError, match="by its input 'a'"):
        gn.gradcheck(op, (X, np.arange(9.0).reshape(3, 3)))


def test_a_wrong_joint_rule():
    op = operator_with(lambda a, b: a * b, ("a, b", lambda ct, a, b: (ct * b, ct * a * 3)))
    with pytest.raises(gn.errors.GradcheckError, match="by its input 'b'"):
        gn.gradcheck(op, (X, X + 3))


def test_a_wrong_variadic_rule():
    op = operator_with(
        lambda *parts: sum(parts), ("parts", lambda ct, parts: [ct] * (len(parts) - 1) + [2 * ct])
    )
    with pytest.raises(gn.errors.GradcheckError, match=r"input 2 of .*by its input 'parts'"):
        gn.gradcheck(op, (X, X, X))


@pytest.mark.parametrize("wrong", [0, 1])
def test_a_wrong_rule_of_several_outputs(wrong):
    factors = [1.0, 1.0]
    factors[wrong] = 1.5

    def rule(ct, x):
        return factors[0] * ct[0] * gn.cos(x) + factors[1] * ct[1] * (2 * x)

    op = operator_with(lambda x: (np.sin(x), x * x), ("x", rule))
    with pytest.raises(gn.errors.GradcheckError, match=f"`{op.operator.name}`, by its input 'x'"):
        gn.gradcheck(op, X)
    with pytest.raises(gn.errors.GradcheckError, match=f"`{op.operator.name}`, by its input 'x'"):
        gn.gradcheck(lambda x: op(x)[wrong], X)
    assert gn.gradcheck(lambda x: op(x)[1 - wrong], X)


def test_a_rule_that_is_wrong_for_python_numbers_only():
    op = operator_with(
        lambda x, n: x**n,
        ("x", lambda ct, x, n: ct * n * x ** (n - 1) * (1 if hasattr(n, "shape") else 2)),
    )
    assert gn.gradcheck(lambda x: op(x, np.array(2.0)), X)
    with pytest.raises(gn.errors.GradcheckError):
        gn.gradcheck(lambda x: op(x, 2.0), X)


# --- Second order ---------------------------------------------------------------------------------


def hides_its_input(ct, x):
    """Right at first order; but for second order x has become a constant."""
    return ct * 2 * getattr(x, "data", x) if isinstance(x, gn.Tensor) else ct * 2 * x


def hides_the_cotangent(ct, x):
    return gn.Tensor(ct.data) * 2 * x if isinstance(ct, gn.Tensor) else ct * 2 * x


@pytest.mark.parametrize("rule", [hides_its_input, hides_the_cotangent])
def test_wrong_at_second_order_only(rule):
    op = operator_with(lambda x: x * x, ("x", rule))
    assert gn.gradcheck(op, X)
    with pytest.raises(gn.errors.GradcheckError):
        gn.gradcheck(lambda x: op(op(x)), gn.Tensor(X, name="x"), order=2)


def test_an_error_that_equal_weights_would_hide_at_second_order():
    def rule(ct, x):
        # A term of value 0, whose derivative turns the cotangent by a right angle: Σ w (∂²f) w
        # does not see it.
        if not isinstance(ct, gn.Tensor):
            return ct * 2 * x
        turned = gn.stack([-ct[1], ct[0]]) * x.sum()
        return ct * 2 * x + turned - turned.detach()

    op = operator_with(lambda x: x * x, ("x", rule))
    with pytest.raises(gn.errors.GradcheckError):
        gn.gradcheck(op, np.array([0.5, -1.2]), order=2)


def test_names_are_kept_at_second_order():
    op = operator_with(lambda x: x * x, ("x", hides_its_input))
    with pytest.raises(gn.errors.GradcheckError, match=r"input 0 \('speed'\)"):
        gn.gradcheck(op, gn.Tensor(X, name="speed"), order=2)


def test_third_order():
    assert gn.gradcheck(lambda x: gn.exp(x) * gn.sin(x), np.array([0.3, -0.8]), order=3)


def test_a_constant_gradient_has_second_order_0():
    assert gn.gradcheck(lambda x: x * 3.0, X, order=2)
    assert gn.gradcheck(lambda x, y: x + 2 * y, (X, X), order=2)
    assert gn.gradcheck(gn.floor, X + 0.1, order=2)


# --- What may come in -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "inputs",
    [0.5, [0.5, -1.0], [[0.5], [1.0]], np.array(0.5), np.zeros((0, 3)), (X,), [X], gn.Tensor(X)],
    ids=repr,
)
def test_one_input(inputs):
    assert gn.gradcheck(gn.tanh, inputs) is True


@pytest.mark.parametrize(
    "inputs",
    [(2.0, 3.0), (X, 3.0), [X, X + 3], (X, [1.0, 2.0, 3.0]), (gn.Tensor(X), gn.Tensor(2.0))],
    ids=["numbers", "array and number", "list", "array and list", "Tensors"],
)
def test_two_inputs(inputs):
    assert gn.gradcheck(gn.multiply, inputs) is True
    with pytest.raises(gn.errors.GradcheckError):
        gn.gradcheck(lambda a, b: WRONG["factor 2"](b) * a, inputs)


def test_what_is_not_floating_is_passed_on():
    index = np.array([2, 0])
    seen = []

    def f(x, i, flag):
        seen.append((i.data.dtype, flag.data.dtype))
        return gn.where(flag, x[i], 0.0)

    assert gn.gradcheck(f, (np.array([1.0, 2.0, 3.0]), index, True))
    assert set(seen) == {(index.dtype, np.dtype(bool))}
    with pytest.raises(TypeError, match="no input is floating point"):
        gn.gradcheck(lambda i: i * 2, index)


def test_float32_is_checked_in_float64():
    x = gn.Tensor(X.astype(np.float32), requires_grad=True)
    assert gn.gradcheck(lambda x: gn.sin(x) ** 2, x)
    assert x.grad is None, "the tensor that came in is left alone"


def test_inputs_are_left_alone():
    x = X.copy()
    gn.gradcheck(lambda x: gn.sin(x), x, order=2)
    np.testing.assert_array_equal(x, X)


def test_several_outputs():
    assert gn.gradcheck(lambda x, y: (x * y, gn.sin(x), y.sum()), (X, X + 1), order=2)
    assert gn.gradcheck(lambda x: gn.split(x, 3, axis=1), X, order=2)
    assert gn.gradcheck(lambda x: (gn.sin(x), x > 0, gn.argsort(x)), X)
    with pytest.raises(gn.errors.GradcheckError):
        gn.gradcheck(lambda x: (gn.sin(x), WRONG["factor 2"](x)), X)


def test_a_function_that_ignores_an_input():
    assert gn.gradcheck(lambda x, y: x * 2, (X, X), order=2)


def test_a_constant_function():
    assert gn.gradcheck(lambda x: gn.Tensor(3.0), X, order=2)
    assert gn.gradcheck(lambda x: x.detach() * 0, X)
    assert gn.gradcheck(lambda x: x > 100, X)


def test_a_gradient_that_was_cut():
    with pytest.raises(gn.errors.GradcheckError, match="the rules give 0, finite differences"):
        gn.gradcheck(lambda x: x.detach() * x.detach(), X)
    with pytest.raises(gn.errors.GradcheckError, match="agrees with its finite difference"):
        gn.gradcheck(lambda x: x * x.detach(), X)


@pytest.mark.parametrize("x", [0.5, 0.5 + 1e-7])
def test_a_kink(x):
    with pytest.raises(gn.errors.GradcheckError, match=r"`relu`.*to the left.*has a kink"):
        gn.gradcheck(lambda x: gn.relu(x - 0.5) * 1.0, np.array([x]))
    with pytest.raises(gn.errors.GradcheckError) as caught:
        gn.gradcheck(WRONG["factor 2"], X)
    assert "kink" not in str(caught.value)


def test_a_large_element_does_not_swallow_the_difference_of_a_small_one():
    assert gn.gradcheck(lambda x: x**3, np.array([1e6, 1.0]))
    assert gn.gradcheck(lambda x: gn.exp(100 * x), np.array([1.0, 2.0]), order=2)


def test_under_no_grad():
    with gn.no_grad():
        assert gn.gradcheck(gn.sin, X, order=2)
        assert not (gn.Tensor(1.0, requires_grad=True) * 2).requires_grad


def test_a_function_that_changes_by_itself():
    draw = np.random.default_rng(0)

    def noisy(x):
        return x * draw.random()

    with pytest.raises(RuntimeError, match=r"gradcheck: noisy gives something else .* Draw its"):
        gn.gradcheck(noisy, X)


@pytest.mark.parametrize(
    ("call", "kind", "words"),
    [
        (lambda: gn.gradcheck(gn.sin(X), X), TypeError, "gn.gradcheck takes a function"),
        (lambda: gn.gradcheck(gn.sin, X, order=0), ValueError, "order is 1 or more.*order=0"),
        (lambda: gn.gradcheck(gn.sin, X, order=1.5), ValueError, "order is 1 or more"),
        (lambda: gn.gradcheck(gn.sin, X, eps=0.0), ValueError, r"eps above 0; got .*eps=0\.0"),
        (lambda: gn.gradcheck(gn.sin, {"w": X}), TypeError, r"input 0 is dict; .*lambda w: f\("),
        (lambda: gn.gradcheck(gn.sin, (X, None)), TypeError, "input 1 is NoneType"),
    ],
)
def test_bad_arguments(call, kind, words):
    with pytest.raises(kind, match=words):
        call()


def test_a_function_that_leaves_the_graph():
    for f, name in ((lambda x: x.data, "ndarray"), (lambda x: 3.0, "float")):
        with pytest.raises(
            TypeError, match=f"returned {name}, not a Tensor; did it leave the graph"
        ):
            gn.gradcheck(f, X)


def test_small_and_large_numbers():
    assert gn.gradcheck(gn.log, np.array([1e-2, 1e8]))
    assert gn.gradcheck(lambda x: x**3, np.array([1e4, -1e4]))


def test_tolerances():
    almost = scaled(2 * (1 + 1e-4))
    with pytest.raises(gn.errors.GradcheckError):
        gn.gradcheck(almost, X)
    assert gn.gradcheck(almost, X, rtol=1e-3)
