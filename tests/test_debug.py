"""Debug mode: it finds where a mistake began, and is silent where there is none."""

import re
import sys
import warnings

import numpy as np
import pytest

import gradnerve as gn
from gradnerve import graph, nn


def leaf(value, name=None):
    return gn.Tensor(np.array(value, dtype=np.float64), requires_grad=True, name=name)


@gn.operator
def both_roots(x):
    """Two outputs, of which the second is not finite at 0."""
    return np.sqrt(x), 1 / np.sqrt(x)


@both_roots.rule("x", r"\bar x = \bar y_1 / 2 y_1 - \bar y_2 y_2^3 / 2")
def _(ct, y):
    return ct[0] / (2 * y[0]) - ct[1] * y[1] ** 3 / 2


@pytest.fixture(autouse=True)
def _quiet():
    with np.errstate(all="ignore"):
        yield


# --- NaN and infinity -----------------------------------------------------------------------------


def test_born_forward():
    x = leaf([1.0, 0.0, 2.0], name="probabilities")
    with gn.debug_mode(), pytest.raises(gn.errors.NonFinite) as caught:
        gn.log(x) * 2
    assert re.fullmatch(
        r"log made -inf at element \(1,\), test_debug\.py:\d+ \(`gn\.log\(x\) \* 2`\), of finite "
        r"operands:\n  x: float64 of shape \(3,\), named 'probabilities', from 0 to 2",
        str(caught.value),
    ), caught.value


@pytest.mark.parametrize(
    "f, words",
    [
        (lambda x: x / 0.0, r"divide made NaN at element \(1,\)(.|\n)*x2: 0\.0"),
        (lambda x: gn.exp(x * 1000), r"exp made inf at element \(0,\)"),
        (lambda x: gn.sqrt(x - 2), r"sqrt made NaN at element \(0,\)"),
        (lambda x: (x * 1e300) @ (x * 1e300), r"matmul made inf at element \(\)"),
        (lambda x: gn.concat([x, x * 1e300 * 1e300]), "multiply made inf"),
        (lambda x: both_roots(x)[1], r"both_roots made inf"),
    ],
)
def test_born_forward_in_others(f, words):
    with gn.debug_mode(), pytest.raises(gn.errors.NonFinite, match=words):
        f(leaf([1.0, 0.0]))


def test_born_forward_without_a_graph():
    with gn.debug_mode(), gn.no_grad(), pytest.raises(gn.errors.NonFinite, match="log made -inf"):
        gn.log(leaf([0.0]))


def test_came_in_with_the_data():
    x = gn.Tensor([1.0, np.nan], name="batch")
    with gn.debug_mode(), pytest.raises(gn.errors.NonFinite) as caught:
        x * leaf([1.0, 1.0])
    assert re.fullmatch(
        r"multiply was given a NaN, test_debug\.py:\d+ \(`.*`\): x1 \(float64 of shape \(2,\), "
        r"named 'batch'\) has it at element \(1,\)\. No operator made it: it came in with the data "
        r"or with a parameter\.",
        str(caught.value),
    ), caught.value


def test_an_infinity_put_in_on_purpose_may_pass():
    x = leaf([1.0, 2.0])
    with gn.debug_mode():
        masked = gn.where([True, False], x, -np.inf)
        y = gn.softmax(masked)
        (y * [1.0, 3.0]).sum().backward()
    assert y.data.tolist() == [1.0, 0.0]


def test_an_infinity_may_not_become_a_nan():
    with gn.debug_mode(), pytest.raises(gn.errors.NonFinite, match="subtract made NaN"):
        infinite = gn.where([True], np.inf, leaf([1.0]))
        infinite - infinite


def test_born_backward():
    x = leaf([4.0, 0.0], name="distances")
    with gn.debug_mode():
        loss = gn.sqrt(x).sum()
        with pytest.raises(gn.errors.NonFinite) as caught:
            loss.backward()
    assert re.fullmatch(
        r"backward through `sqrt` at test_debug\.py:\d+ \(`loss = gn\.sqrt\(x\)\.sum\(\)`\) made "
        r"inf at element \(1,\) of the gradient of its input \(float64 of shape \(2,\), named "
        r"'distances', from 0 to 4\)\. Where the derivative is infinite \(sqrt at 0, log at 0, "
        r"x / 0\), keep away from that point: gn\.sqrt\(x \+ 1e-12\)\.",
        str(caught.value),
    ), caught.value


def test_a_nan_that_is_given_to_backward():
    x = leaf([1.0, 2.0])
    with gn.debug_mode(), pytest.raises(gn.errors.NonFinite):
        (x * 2).backward([np.nan, 1.0])


def test_the_layer_is_named():
    model = nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 1))
    assert gn.debug.first_non_finite(model, np.ones((1, 2), np.float32)) is None
    model[2].bias.data[...] = np.nan
    assert gn.debug.first_non_finite(model, np.ones((1, 2), np.float32)) == "'2' (Linear)"
    model[0].weight.data[...] = np.inf
    assert gn.debug.first_non_finite(model, gn.Tensor(np.ones((1, 2)))) == "'0' (Linear)"
    assert graph.watch is None


# --- Several outputs ------------------------------------------------------------------------------


def test_several_outputs_pass():
    x = leaf([1.0, 4.0])
    with gn.debug_mode():
        root, inverse = both_roots(x)
        (root + inverse).sum().backward()
        both_roots(x)[1].sum().backward()
    np.testing.assert_allclose(x.grad, [1 / 2 - 1, 1 / 4 - 1 / 8])


def test_several_outputs_of_different_shapes_pass():
    @gn.operator
    def split_in_two(x):
        return x[:1], x[1:]

    @split_in_two.rule("x", r"\bar x")
    def _(ct):
        return gn.concat(list(ct))

    vars(gn.operators.operators).pop("split_in_two")
    x = leaf([1.0, 2.0, 3.0])
    with gn.debug_mode():
        a, b = split_in_two(x)
        (a.sum() + (b * b).sum()).backward()
        split_in_two(x)[1].sum().backward()
    assert x.grad.tolist() == [1.0, 5.0, 7.0]


# --- Changed in place -----------------------------------------------------------------------------


def changed(f):
    with gn.debug_mode(), pytest.raises(gn.errors.ChangedInPlace) as caught:
        f()
    return str(caught.value)


def test_a_saved_array_that_is_changed():
    x = leaf([1.0, 2.0], name="x")

    def step():
        loss = (x * x).sum()
        x.data[0] = 5.0
        loss.backward()

    assert re.fullmatch(
        r"backward needs x1 \('x'\) of `multiply`, which was saved at test_debug\.py:\d+ "
        r"\(`loss = \(x \* x\)\.sum\(\)`\), but it was changed in place at test_debug\.py:\d+ "
        r"\(`x\.data\[0\] = 5\.0`\): the gradient would be wrong\. Change it after backward\(\), "
        r"or write a new array \(x = x \+ 1\)\.",
        changed(step),
    )


def test_changed_by_plus_equals():
    w, x = leaf([1.0, 2.0]), gn.Tensor([3.0, 4.0])

    def step():
        loss = (w * x).sum()
        x.data += 1.0
        loss.backward()

    assert "(`x.data += 1.0`)" in changed(step)

    def step():
        loss = (w * x).sum()
        with gn.no_grad():
            x.__iadd__(1.0)
        loss.backward()

    assert "(`x.__iadd__(1.0)`)" in changed(step)


def test_changed_in_a_function_that_is_called():
    x = leaf([1.0, 2.0])

    def spoil(array):
        array *= 2.0

    def step():
        loss = (x * x).sum()
        spoil(x.data)
        loss.backward()

    assert "(`array *= 2.0`)" in changed(step)


def test_a_saved_result_that_is_changed():
    """The rule of exp needs its result."""
    x = leaf([1.0, 2.0])

    def step():
        y = gn.exp(x)
        y.data[0] = 0.0
        y.sum().backward()

    assert "of `exp`" in changed(step)


def test_a_mask_that_is_changed():
    x, mask = leaf([1.0, 2.0]), np.array([True, False])

    def step():
        loss = gn.where(mask, x, 0.0).sum()
        mask[:] = True
        loss.backward()

    assert "of `where`" in changed(step)


def test_a_change_that_backward_does_not_need_is_no_mistake():
    """The sum's rules need neither operand."""
    w, x = leaf([1.0, 2.0]), gn.Tensor([3.0, 4.0])
    with gn.debug_mode():
        loss = (w + x).sum()
        x.data += 1.0
        loss.backward()
    assert w.grad.tolist() == [1.0, 1.0]


def test_a_change_after_backward_is_no_mistake():
    w = leaf([1.0, 2.0])
    with gn.debug_mode():
        for _ in range(3):
            loss = (w * w).sum()
            loss.backward()
            w.data -= 0.1 * w.grad
            w.zero_grad()
    np.testing.assert_allclose(w.data, 0.8**3 * np.array([1.0, 2.0]))


def test_non_contiguous_and_empty_and_0d_arrays_are_watched():
    x = leaf(np.arange(12.0).reshape(3, 4))
    with gn.debug_mode():
        y = (x.T[::2] * x.T[::2]).sum() * x[:0].sum() + x.sum() * x.sum()
        y.backward()
    assert x.grad.shape == (3, 4)


# --- Broadcasting ---------------------------------------------------------------------------------


def test_a_column_against_a_row_warns():
    x = leaf(np.ones((3, 1)))
    with gn.debug_mode(), pytest.warns(UserWarning) as caught:
        x - np.ones(3)
    (warning,) = caught
    assert re.fullmatch(
        r"subtract broadcasts \(3, 1\) and \(3,\) to \(3, 3\), test_debug\.py:\d+ "
        r"\(`x - np\.ones\(3\)`\): every element of one with every element of the other\. If they "
        r"belong together element by element, reshape one: y\[:, None\]\.",
        str(warning.message),
    ), warning.message
    assert warning.filename == __file__
    with gn.debug_mode(), pytest.warns(UserWarning, match="add broadcasts"):
        np.ones(3) + x


@pytest.mark.parametrize("a, b", [((3, 1), (2,)), ((1, 1), (1,)), ((3, 3), (3,)), ((3, 1), (3, 1))])
def test_other_broadcasting_does_not_warn(a, b):
    with gn.debug_mode(), warnings.catch_warnings():
        warnings.simplefilter("error")
        gn.Tensor(np.ones(a)) * np.ones(b)


# --- The mode itself ------------------------------------------------------------------------------


def test_off_means_off():
    assert graph.watch is None
    with gn.debug_mode():
        assert graph.watch is not None
        with gn.debug_mode():
            pass
        assert graph.watch is not None, "an inner block does not switch the outer one off"
    assert graph.watch is None
    assert gn.log(leaf([0.0])).data == -np.inf


def test_off_after_an_exception():
    before = sys.gettrace()
    with pytest.raises(ZeroDivisionError), gn.debug_mode():
        raise ZeroDivisionError
    assert graph.watch is None
    assert sys.gettrace() is before


def test_as_a_decorator():
    @gn.debug_mode()
    def step(x):
        return gn.log(x)

    with pytest.raises(gn.errors.NonFinite):
        step(leaf([0.0]))
    assert graph.watch is None


def test_a_network_trains_in_debug_mode_as_without():
    def train():
        gn.manual_seed(0)
        model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8, 3))
        optimizer = gn.optim.Adam(model.parameters(), lr=0.01)
        x = np.random.default_rng(0).standard_normal((5, 1, 4, 4)).astype(np.float32)
        for _ in range(3):
            loss = nn.functional.cross_entropy(model(gn.Tensor(x)), np.array([0, 1, 2, 0, 1]))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        return model.state_dict()

    plain = train()
    with gn.debug_mode():
        checked = train()
    for name, array in plain.items():
        np.testing.assert_array_equal(array, checked[name])


def test_a_dtype_among_the_arguments_is_no_operand():
    x = gn.Tensor([1e300], requires_grad=True)
    with gn.debug_mode(), pytest.raises(gn.errors.NonFinite, match="astype made inf") as error:
        gn.astype(x, np.dtype("float32"))
    assert "dtype:" not in str(error.value)
