"""Writes to an array that backward still needs are errors; the ordinary training loop is none."""

import numpy as np
import pytest

import gradnerve as gn
from gradnerve import errors, optim, writing


def leaf(*values, name=None):
    return gn.Tensor(list(values), requires_grad=True, name=name)


def test_a_plain_tensor_that_is_written_to_after_use():
    a, b = leaf(1.0, 2.0), gn.Tensor([3.0, 4.0], name="scale")
    y = (a * b).sum()
    b *= 10
    with pytest.raises(
        errors.ChangedInPlace,
        match=r"backward needs x2 \('scale'\) of `multiply`, but test_writing.py:\d+ \(`b \*= 10`\)"
        r" has changed it in place since: .* make a new array: b = b \* 2, not b \*= 2",
    ):
        y.backward()


def test_what_backward_does_not_need_may_be_written_to():
    a, b = leaf(1.0, 2.0), gn.Tensor([3.0, 4.0])
    y = (a * b).sum()
    with gn.no_grad():
        a *= 10  # the gradient is b
    y.backward()
    assert a.grad.tolist() == [3.0, 4.0]


def test_a_rule_that_only_asks_for_shapes_does_not_mind():
    a, b = leaf(1.0, 2.0), gn.Tensor([3.0, 4.0])
    y = gn.concat([a, b])
    b += 1
    y.sum().backward()
    assert a.grad.tolist() == [1.0, 1.0]


def write_to_a_view(a, b):
    y = a * b[::2]
    b[0] = 9.0
    return y


def write_through_a_view(a, b):
    y = a * b[:2]
    part = b[:3]
    part += 1
    return y


def write_to_the_result(a, b):
    y = gn.tanh(a)
    seen = y.detach()
    seen += 1
    return y


def write_behind_the_leafs_back(a, b):
    y = a * a
    values = a.detach()
    values[0] = 5.0
    return y


def write_to_one_of_many(a, b):
    y = gn.einsum("i,i,i->i", a, b[:2], b[1:3])
    b += 1
    return y


def write_to_an_index(a, b):
    index = gn.Tensor([0, 0])
    y = a[index]
    index += 1
    return y


@pytest.mark.parametrize(
    "f",
    [
        write_to_a_view, write_through_a_view, write_to_the_result,
        write_behind_the_leafs_back, write_to_one_of_many, write_to_an_index,
    ],
    ids=lambda f: f.__name__,
)  # fmt: skip
@pytest.mark.parametrize("walk", ["backward", "grad", "hessian"])
def test_writes_that_make_a_gradient_wrong(f, walk):
    a, b = leaf(1.0, 2.0), gn.Tensor([3.0, 4.0, 5.0])
    with pytest.raises(errors.ChangedInPlace, match="has changed it in place since"):
        if walk == "backward":
            f(a, b).sum().backward()
        else:
            getattr(gn, walk)(lambda a: f(a, b).sum())(a)


def test_a_write_before_use_is_no_mistake():
    a, b = leaf(1.0, 2.0), gn.Tensor([3.0, 4.0])
    b *= 10
    (a * b).sum().backward()
    assert a.grad.tolist() == [30.0, 40.0]


def test_a_leaf_that_is_written_to_under_no_grad():
    a = leaf(1.0, 2.0)
    y = a * a
    with gn.no_grad():
        a[0] = 5.0
    with pytest.raises(errors.ChangedInPlace, match=r"x1 of `multiply`.*`a\[0\] = 5.0`"):
        y.sum().backward()


def test_a_copy_may_be_written_to():
    a, b = leaf(1.0, 2.0), gn.Tensor([3.0, 4.0])
    y = (a * b).sum()
    c = b.clone()
    c *= 10
    y.backward()
    assert a.grad.tolist() == [3.0, 4.0]


def test_a_step_between_forward_and_backward():
    w = leaf(1.0, 2.0, name="weight")
    optimizer = optim.SGD([w], lr=0.1)
    first, second = (w * w).sum(), (w * w * w).sum()
    first.backward()
    optimizer.step()
    with pytest.raises(errors.ChangedInPlace, match=r"\('weight'\).*`optimizer.step\(\)`"):
        second.backward()


def test_a_training_loop_by_hand_and_by_an_optimizer():
    by_hand, moved = leaf(1.0, 2.0), leaf(1.0, 2.0)
    optimizer = optim.SGD([moved], lr=0.1)
    for _ in range(3):
        for w in by_hand, moved:
            w.zero_grad()
            (w * w).sum().backward()
        optimizer.step()
        with gn.no_grad():
            by_hand -= 0.1 * by_hand.grad
    assert by_hand.data.tolist() == moved.data.tolist()


def test_twice_through_a_graph_that_was_not_written_to():
    a, b = leaf(1.0, 2.0), gn.Tensor([3.0, 4.0])
    other = gn.zeros(2)
    y = (a * b).sum()
    y.backward(retain_graph=True)
    other += 1
    y.backward()
    assert a.grad.tolist() == [6.0, 8.0]


def test_what_was_written_is_forgotten_with_its_array():
    before = len(writing.changes)
    b = gn.Tensor([3.0, 4.0])
    b += 1
    b[0] = 1.0
    assert len(writing.changes) == before + 1
    del b
    assert len(writing.changes) == before


def test_debug_mode_does_not_mind_a_write_to_what_no_rule_looks_at():
    a, b = leaf(1.0, 2.0), gn.Tensor([3.0, 4.0])
    with gn.debug_mode():
        y = gn.concat([a, a * b])
        with gn.no_grad():
            a += 1
        y.sum().backward()
    assert a.grad.tolist() == [4.0, 5.0]


def test_an_array_that_was_made_from_the_users_shares_its_memory():
    b = np.array([3.0, 4.0])
    a, first, second = leaf(1.0, 2.0), gn.Tensor(b), gn.Tensor(b)
    y = (a * first).sum()
    second += 1  # which is `first` too, and b
    with pytest.raises(errors.ChangedInPlace, match="x2 of `multiply`"):
        y.backward()


def test_a_rule_that_only_compares_needs_what_was_overwritten():
    """Whether x1 is 0 is all that the rule asks: an outline may not answer no."""
    x1, x2 = gn.Tensor([1.0, 2.0]), gn.Tensor([3.0, 4.0], requires_grad=True)
    y = gn.heaviside(x1, x2)
    x1[0] = 0.0
    with pytest.raises(errors.ChangedInPlace, match="x1 of `heaviside`"):
        y.sum().backward()
