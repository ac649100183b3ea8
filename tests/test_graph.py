"""The graph: recording, backward, what is kept and what is let go."""

import asyncio
import gc
import sys
import threading
import tracemalloc
import weakref

import numpy as np
import pytest

import gradnerve as gn
from gradnerve import graph
from gradnerve.backends import libraries
from gradnerve.operators import operators


def leaf(value=2.0, **options):
    return gn.Tensor(np.array(value, dtype=np.float64), requires_grad=True, **options)


def defining(*names):
    """Take operators that a test defines out of the registry again."""
    for name in names:
        vars(operators).pop(name, None)


@gn.operator
def sincos(x):
    """An operator with two outputs."""
    return np.sin(x), np.cos(x)


@sincos.rule("x", r"\bar x = \bar y_1 \cos x - \bar y_2 \sin x")
def _(ct, y):
    return ct[0] * y[1] - ct[1] * y[0]


@gn.operator
def sort_with_places(x):
    """An operator with a second output of integers."""
    places = np.argsort(x)
    return x[places], places


@sort_with_places.rule("x", r"\bar x_{places} = \bar y_1")
def _(ct, y):
    return gn.ops.scatter_add(ct[0], y[1], y[1].shape)


@gn.operator
def total_of(*arrays):
    """The sum of any number of arrays."""
    total = arrays[0]
    for array in arrays[1:]:
        total = total + array
    return total


@total_of.rule("arrays", r"\bar x_k = \bar y")
def _(ct, arrays):
    return [ct for _ in arrays]


# --- Recording ------------------------------------------------------------------------------------


def test_a_result_knows_what_it_was_computed_from():
    x, y = leaf(2.0), leaf(3.0)
    z = x * y
    assert z.requires_grad
    assert z._prev == {x, y}
    assert x._prev == set()
    assert (x * 2)._prev == {x}
    assert (x * x)._prev == {x}
    assert (gn.Tensor(1.0) + 2)._prev == set()


def test_constants_beside_a_tensor_are_parents_too():
    x, constant = leaf(2.0), gn.Tensor(3.0)
    assert (x * constant)._prev == {x, constant}


def test_nothing_is_recorded_without_requires_grad():
    y = gn.Tensor(2.0) * gn.Tensor(3.0)
    assert not y.requires_grad
    assert y._record is None


def test_backward_adds_to_grad():
    x = leaf(3.0)
    (x * x).backward()
    (x * 5).backward()
    assert x.grad == 6.0 + 5.0


def test_a_diamond():
    x = leaf(2.0)
    a = x * 3
    b, c = a * a, a + 1
    d = b * c
    d.backward()
    assert x.grad == 3 * (2 * 6 * 7 + 36)
    assert a.grad == 2 * 6 * 7 + 36
    assert (b.grad, c.grad, d.grad) == (7, 36, 1)


def test_backward_from_one_element_of_any_shape():
    x = leaf([[2.0]])
    (x * x).backward()
    assert x.grad.tolist() == [[4.0]]


def test_backward_on_a_leaf():
    x = leaf(2.0)
    x.backward()
    x.backward(5.0)
    assert x.grad == 6.0


@pytest.mark.parametrize("kind", [list, np.array, gn.Tensor, lambda g: np.array(g, np.float32)])
def test_backward_from_a_given_gradient(kind):
    x = leaf([1.0, 2.0])
    (x * x).backward(kind([10.0, 100.0]))
    assert x.grad.tolist() == [20.0, 400.0]
    assert x.grad.dtype == np.float64


def test_gradient_of_another_shape():
    x = leaf([1.0, 2.0])
    for wrong in ([1.0], 1.0, [[1.0, 2.0]], [1.0, 2.0, 3.0]):
        with pytest.raises(ValueError, match=r"but the tensor has shape \(2,\)"):
            (x * x).backward(wrong)
    assert x.grad is None


def test_many_elements_need_a_gradient():
    x = leaf([1.0, 2.0])
    with pytest.raises(RuntimeError, match=r"this tensor has shape \(2,\)"):
        (x * x).backward()
    with pytest.raises(RuntimeError, match=r"shape \(0,\)"):
        (x[:0] * 2).backward()
    assert x.grad is None


def test_empty_arrays_have_empty_gradients():
    x = leaf(np.zeros((0, 3)))
    (x * x).sum().backward()
    assert x.grad.shape == (0, 3)


def test_mixed_dtypes_each_keep_their_own():
    x = gn.Tensor(np.ones(3, np.float32), requires_grad=True)
    w = gn.Tensor(np.ones(3, np.float64), requires_grad=True)
    h = x * 2
    y = (h * w).sum()
    y.backward()
    assert (x.grad.dtype, h.grad.dtype, w.grad.dtype) == (np.float32, np.float32, np.float64)
    assert y.dtype == np.float64


# --- A second backward ----------------------------------------------------------------------------


def test_a_second_backward_is_an_error():
    x = leaf(2.0)
    y = x * x
    y.backward()
    with pytest.raises(gn.errors.GraphFreed, match="values were freed by the backward"):
        y.backward()
    assert x.grad == 4.0, "the failed backward added nothing"


def test_a_tensor_of_a_freed_graph_is_never_a_silent_leaf():
    x, w = leaf(2.0), leaf(3.0)
    h = x * x
    (h * w).backward()
    later = h * 5.0
    with pytest.raises(gn.errors.GraphFreed, match="detach"):
        later.backward()
    assert x.grad == 12.0
    assert h.detach().requires_grad is False
    (h.detach() * w).backward()
    assert w.grad == 4.0 + 4.0


def test_a_freed_tensor_cannot_become_a_leaf():
    x = leaf(2.0)
    h = x * x
    h.backward()
    with pytest.raises(RuntimeError, match="leaves only"):
        h.requires_grad = False


def test_retain_graph_doubles_every_gradient():
    x, w = leaf([1.0, 2.0]), leaf([3.0, 4.0])
    h = x * w
    g = h.tanh()
    s, c = sincos(g)
    loss = (s * c + g).sum()
    tensors = [x, w, h, g, s, c, loss]
    loss.backward(retain_graph=True)
    first = [t.grad.copy() for t in tensors]
    loss.backward(retain_graph=True)
    for tensor, grad in zip(tensors, first, strict=True):
        np.testing.assert_array_equal(tensor.grad, 2 * grad)
    loss.backward()
    for tensor, grad in zip(tensors, first, strict=True):
        np.testing.assert_allclose(tensor.grad, 3 * grad, rtol=1e-15)
    with pytest.raises(gn.errors.GraphFreed):
        loss.backward()


def test_two_losses_that_share_a_part():
    x = leaf(2.0)
    h = x * x
    first, second = h * 3, h * 5
    first.backward(retain_graph=True)
    second.backward()
    assert x.grad == 4 * 8


# --- What is held, and what is let go -------------------------------------------------------------


def test_intermediates_have_a_gradient_if_they_are_held():
    x = leaf(2.0)
    h = x * x
    y = h * 3
    y.backward()
    assert h.grad == 3.0
    assert y.grad == 1.0


def test_held_in_any_container():
    x = leaf(2.0)
    kept = {"h": [x * x]}
    (kept["h"][0] * 3).backward()
    assert kept["h"][0].grad == 3.0


def test_intermediates_that_nobody_holds_are_not_filled():
    x = leaf(2.0)
    h = x * 2
    root = ((h * 3) * 4) * 5
    visible = []
    for tensor, _ in graph.flow(root, np.ones(()), free=True):
        visible.append(tensor)
    assert len(visible) == 3
    assert all(a is b for a, b in zip(visible, [root, h, x], strict=True))


def test_the_graph_is_let_go_as_backward_goes():
    x = leaf(np.ones(10))
    alive = []
    y = x
    for _ in range(5):
        y = y * 2.0
        alive.append(weakref.ref(y))
    loss = y.sum()
    del y
    assert all(link() is not None for link in alive)
    seen = []

    @gn.operator
    def watching(x):
        return x

    @watching.rule("x", r"\bar x = \bar y")
    def _(ct):
        seen.append([link() is not None for link in alive])
        return ct

    defining("watching")
    z = x
    alive = []
    for _ in range(3):
        z = watching(z)
        alive.append(weakref.ref(z))
    loss = z.sum()
    del z
    loss.backward()
    # The rule of the last made is called first, while its own result is still there.
    assert seen == [[True, True, True], [True, True, False], [True, False, False]]
    assert [link() for link in alive] == [None] * 3


def test_memory_falls_as_backward_goes():
    """With 40 arrays in a chain, backward needs a few more than what forward kept."""
    n, size = 40, 100_000
    one = 8 * size
    x = leaf(np.ones(size))
    tracemalloc.start()
    try:
        y = x
        for _ in range(n):
            y = gn.tanh(y)  # its rule needs the output, and nothing else
        loss = y.sum()
        del y
        kept = tracemalloc.get_traced_memory()[0]
        assert n * one <= kept < (n + 2) * one, "forward keeps one array for each operator"
        tracemalloc.reset_peak()
        loss.backward()
        left, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < kept + 6 * one, "backward lets go of each array as it takes new ones"
    assert left < 2 * one, "at the end only x.grad is left"


def test_memory_of_a_chain_that_nothing_needs():
    """Addition needs neither operand, and the result of a discarded step goes at once."""
    size = 100_000
    x = gn.Tensor(np.ones(size))
    tracemalloc.start()
    try:
        y = x
        for _ in range(40):
            y = y + 1.0  # not recorded: nothing requires grad
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 4 * 8 * size


def test_no_cycles():
    gc.collect()
    gc.disable()
    try:
        x, w = leaf(np.ones((2, 3))), leaf(np.ones((3, 2)))
        h = gn.tanh(x @ w)
        s, c = sincos(h)
        loss = (gn.concat([s, c])[0] * gn.softmax(s, -1)).sum()
        links = [weakref.ref(t) for t in (x, w, h, s, c, loss)]
        loss.backward()
        del x, w, h, s, c, loss
        assert [link() for link in links] == [None] * 6, "reference counting alone frees it all"
        x = leaf(np.ones((2, 3)))
        unused = sincos(gn.tanh(x))[0] * 2
        links = [weakref.ref(x), weakref.ref(unused)]
        del x, unused
        assert [link() for link in links] == [None] * 2, "also without a backward"
        assert gc.collect() == 0, "and there is nothing for the collector"
    finally:
        gc.enable()


def test_no_cycles_after_errors():
    gc.collect()
    gc.disable()
    try:
        x = leaf(np.ones((2, 3)))
        y = x * 2
        links = [weakref.ref(x), weakref.ref(y)]
        with pytest.raises(ValueError, match="matmul"):
            y @ y
        with pytest.raises(RuntimeError, match="single number"):
            y.backward()
        with pytest.raises(ValueError, match="gradient="):
            y.backward([1.0])
        del x, y
        gc.collect()  # the traceback itself is a cycle
        assert [link() for link in links] == [None, None]
    finally:
        gc.enable()


def test_parents_after_backward_are_those_that_are_held():
    x = leaf(2.0)
    h = x * 3
    y = h * x
    y.backward()
    assert y._prev == {h, x}
    assert h._prev == {x}
    del h
    assert y._prev == {x}


# --- Whose memory is whose ------------------------------------------------------------------------


ALIASING = {
    "add": lambda x, y: x + y,
    "x twice": lambda x, y: x + x,
    "subtract": lambda x, y: x - y,
    "positive": lambda x, y: +x,
    "copy": lambda x, y: x.clone() + y.clone(),
    "reshape": lambda x, y: x.reshape(-1).reshape(x.shape) + y,
    "transpose": lambda x, y: (x.T + y.T).T,
    "flip": lambda x, y: gn.flip(x) + gn.flip(y, 0),
    "broadcast": lambda x, y: gn.broadcast_to(x, (2, *x.shape)).sum(axis=0) + y,
    "sum": lambda x, y: gn.broadcast_to(x.sum() + y.sum(), x.shape),
    "concat": lambda x, y: gn.concat([x, y])[: len(x)] + gn.concat([y, x])[len(x) :],
    "getitem": lambda x, y: x[:] + y[...],
    "astype": lambda x, y: x.astype("float64") + y,
    "where": lambda x, y: gn.where(True, x, y),
    "expand": lambda x, y: gn.expand_dims(x, 0)[0] + gn.expand_dims(y, -1).squeeze(-1),
    "chain": lambda x, y: ((x + y) + x) + (y + x),
}


@pytest.mark.parametrize("name", ALIASING)
@pytest.mark.parametrize("retain_graph", [False, True])
def test_gradients_share_memory_with_nothing(name, retain_graph):
    x, y = leaf([[1.0, 2.0], [3.0, 4.0]]), leaf([[5.0, 6.0], [7.0, 8.0]])
    h = x * 1.0
    z = ALIASING[name](h, y)
    gradient = np.full(z.shape, 2.0)
    z.backward(gradient, retain_graph=retain_graph)
    tensors = [t for t in (x, y, h, z) if t.grad is not None]
    arrays = [t.grad for t in tensors] + [t.data for t in tensors] + [gradient]
    for i, t in enumerate(tensors):
        assert t.grad.flags.writeable
        assert t.grad.flags.owndata or t.grad.base.nbytes == t.grad.nbytes
        for j, other in enumerate(arrays):
            assert i == j or not np.shares_memory(t.grad, other), f"grad {i} and array {j}"
    before = [t.grad.copy() for t in tensors]
    tensors[0].grad += 100
    for t, grad in zip(tensors[1:], before[1:], strict=True):
        np.testing.assert_array_equal(t.grad, grad)
    np.testing.assert_array_equal(gradient, 2.0)


def test_backward_leaves_an_earlier_grad_array_alone():
    x = leaf([1.0])
    (x * 2).backward()
    kept = x.grad
    (x * 2).backward()
    assert (kept.tolist(), x.grad.tolist()) == ([2.0], [4.0])


def test_the_grad_that_the_user_sets_is_copied():
    x = leaf([1.0, 2.0])
    mine = np.array([10.0, 10.0])
    x.grad = mine
    (x * x).sum().backward()
    assert mine.tolist() == [10.0, 10.0]
    assert x.grad.tolist() == [12.0, 14.0]


# --- Depth ----------------------------------------------------------------------------------------

DEEP = 100_000


def test_depth():
    x = leaf(1.0)
    y = x
    for _ in range(DEEP):
        y = y + 1.0
    assert y.data == DEEP + 1
    y.backward()
    assert x.grad == 1.0


def test_a_deep_graph_is_deleted_without_backward():
    x = leaf(1.0)
    y = x
    for _ in range(DEEP):
        y = y * 1.0
    link = weakref.ref(y)
    del y
    assert link() is None


def test_a_deep_graph_of_held_tensors():
    x = leaf(1.0)
    held = [x]
    for _ in range(DEEP // 10):
        held.append(held[-1] * 1.0)
    held[-1].backward()
    assert all(t.grad == 1.0 for t in held)
    assert held[-1]._prev == {held[-2]}


def test_a_deep_graph_of_several_outputs():
    x = leaf(0.1)
    y = x
    for _ in range(DEEP // 20):
        y, _ = sincos(y)
    y.backward()
    assert 0 < x.grad < 1


def test_second_order_at_depth():
    x = leaf(0.5)
    y = x
    for _ in range(3000):
        y = y * 1.0
    assert sys.getrecursionlimit() < 3000
    (ct,) = [ct for t, ct in graph.flow(y * y, gn.Tensor(1.0), as_tensors=True) if t is x]
    ct.backward()
    assert x.grad == 2.0


# --- Threads and tasks ----------------------------------------------------------------------------


def test_two_graphs_in_two_threads():
    results, barrier = {}, threading.Barrier(2)

    def work(name, factor):
        x = leaf(2.0)
        barrier.wait()
        for _ in range(200):
            y = x
            for _ in range(20):
                y = y * factor
            y.backward()
        results[name] = x.grad

    threads = [threading.Thread(target=work, args=(i, 1.0 + i)) for i in range(2)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert results[0] == 200
    assert results[1] == 200 * 2.0**20


def test_no_grad_in_one_thread_is_no_matter_of_another():
    inside, done, seen = threading.Event(), threading.Event(), {}

    def other():
        with gn.no_grad():
            seen["other"] = (leaf() * 2).requires_grad
            inside.set()
            done.wait(10)

    thread = threading.Thread(target=other)
    thread.start()
    assert inside.wait(10)
    seen["this"] = (leaf() * 2).requires_grad
    done.set()
    thread.join()
    assert seen == {"other": False, "this": True}


def test_no_grad_in_one_task_is_no_matter_of_another():
    async def quiet(entered, leave):
        with gn.no_grad():
            entered.set()
            await leave.wait()
            return (leaf() * 2).requires_grad

    async def loud(entered, leave):
        await entered.wait()
        recorded = (leaf() * 2).requires_grad
        leave.set()
        return recorded

    async def both():
        entered, leave = asyncio.Event(), asyncio.Event()
        return await asyncio.gather(quiet(entered, leave), loud(entered, leave))

    assert asyncio.run(both()) == [False, True]


# --- no_grad and detach ---------------------------------------------------------------------------


def test_no_grad_as_a_block():
    x = leaf()
    with gn.no_grad():
        assert not (x * 2).requires_grad
        with gn.no_grad():
            pass
        assert not (x * 2).requires_grad, "an inner block does not switch recording on"
        assert gn.Tensor(1.0, requires_grad=True).requires_grad
    assert (x * 2).requires_grad


def test_no_grad_ends_with_an_exception():
    x = leaf()
    with pytest.raises(ZeroDivisionError), gn.no_grad():
        raise ZeroDivisionError
    assert (x * 2).requires_grad


def test_no_grad_as_a_decorator():
    x = leaf()

    @gn.no_grad()
    def evaluate(n):
        return (x * 2).requires_grad or (n > 0 and evaluate(n - 1))

    assert evaluate(3) is False
    assert evaluate(1) is False, "and again"
    assert (x * 2).requires_grad
    assert evaluate.__name__ == "evaluate"


def test_detach_shares_the_data_and_cuts():
    x = leaf(2.0)
    y = (x * 3).detach()
    assert not y.requires_grad
    z = y * x
    z.backward()
    assert x.grad == 6.0
    a = gn.Tensor([1.0])
    assert a.detach().data is a.data
    assert type(gn.nn.Parameter(np.ones(1)).detach()) is gn.Tensor


def test_a_frozen_leaf_gets_no_gradient():
    x, w = leaf(2.0), leaf(3.0)
    y = x * w
    w.requires_grad = False
    y.backward()
    assert w.grad is None
    assert x.grad == 3.0


def test_freezing_and_unfreezing_between_forward_and_backward():
    x = leaf(2.0)
    h = x * x
    x.requires_grad = False
    x.requires_grad = True
    y = h * x
    y.backward()
    assert x.grad == 12.0


# --- A walk that stops ----------------------------------------------------------------------------


def test_a_walk_stops_where_it_is_told():
    x = leaf(3.0)
    u = x * x
    v = u * 2.0
    y = u * v + u
    found = {id(t): float(ct) for t, ct in graph.flow(y, np.ones(()), stops=[u, v])}
    assert found[id(u)] == v.data + 1.0, "u's own share, without what it has by way of v"
    assert found[id(v)] == u.data
    assert id(x) not in found, "the walk went on past its stops"


def test_a_walk_from_a_stop_ends_there():
    x = leaf(3.0)
    ((stop, ct),) = graph.flow(x, np.array(2.0), stops=[x])
    assert stop is x and ct == 2.0


def test_a_stop_that_is_not_reached_is_not_yielded():
    x, other = leaf(3.0), leaf(1.0)
    walk = graph.flow(x * x, np.ones(()), stops=[other])
    assert [t is x for t, _ in walk] == [False, True], "the result, x, and no more"


def test_the_cotangent_of_a_stop_is_nobody_elses_array():
    x = leaf([1.0, 2.0])
    ct = np.ones(2)
    (found,) = [found for t, found in graph.flow(x + 0.0, ct, stops=[x]) if t is x]
    assert not np.shares_memory(found, ct)


# --- Step by step ---------------------------------------------------------------------------------


def order_of(root):
    """All that led to root, the latest made first."""
    seen, stack = {}, [root]
    while stack:
        tensor = stack.pop()
        if tensor.requires_grad and id(tensor) not in seen:
            seen[id(tensor)] = tensor
            stack.extend(tensor._prev)
    return sorted(seen.values(), key=lambda t: t._number)


GRAPHS = {
    "x times x": lambda x, y: (x * x).sum(),
    "diamond": lambda x, y: ((x * y).tanh() * (x * y) + x).sum(),
    "reused": lambda x, y: (lambda h: (h * h + h.sum() * y) @ h)(x + y),
    "several outputs": lambda x, y: (lambda s, c: (s * c + s * y).sum())(*sincos(x)),
    "one of several": lambda x, y: (sincos(x * y)[1] * x).sum(),
    "broadcast": lambda x, y: (x[:, None] * y).mean(),
    "joint rule": lambda x, y: gn.nn.functional.layer_norm(x, (3,), y, x).prod(),
    "variadic": lambda x, y: (total_of(x, y, x) * gn.concat([x, y])[:3]).sum(),
}


@pytest.mark.parametrize("name", GRAPHS)
def test_backward_by_hand_is_backward(name):
    x, y = leaf([1.0, 2.0, 0.5]), leaf([0.3, -1.0, 2.0])
    root = GRAPHS[name](x, y)
    tensors = order_of(root)
    root.grad = np.ones_like(root.data)
    for tensor in tensors:
        tensor._backward()
    by_hand = [tensor.grad for tensor in tensors]
    for tensor in tensors:
        tensor.zero_grad()
    root.backward()
    for tensor, grad in zip(tensors, by_hand, strict=True):
        np.testing.assert_allclose(tensor.grad, grad, rtol=1e-12)
    assert x.grad is not None


def test_backward_by_hand_on_a_leaf_does_nothing():
    x = leaf(2.0)
    x.grad = 1.0
    x._backward()
    gn.Tensor(1.0)._backward()
    (x * 2).detach()._backward()
    assert x.grad == 1.0


def test_backward_by_hand_before_a_gradient_came():
    y = leaf(2.0) * 3
    with pytest.raises(RuntimeError, match="None: it is the result of `multiply`"):
        y._backward()


def test_backward_by_hand_after_backward():
    y = leaf(2.0) * 3
    y.backward()
    with pytest.raises(gn.errors.GraphFreed):
        y._backward()


# --- Several outputs ------------------------------------------------------------------------------


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_several_outputs(order):
    x = leaf([0.3, 2.0])
    outputs = sincos(x)
    assert all(type(y) is gn.Tensor and y.requires_grad for y in outputs)
    weights = [2.0, 5.0]
    loss = sum((outputs[i] * weights[i]).sum() for i in order)
    loss.backward()
    np.testing.assert_allclose(x.grad, 2 * np.cos(x.data) - 5 * np.sin(x.data))
    assert outputs[0].grad.tolist() == [2.0, 2.0]
    assert outputs[0]._prev == {x}
    with pytest.raises(gn.errors.GraphFreed):
        outputs[1].sum().backward()


def test_one_of_several_outputs_alone():
    for i, expected in ((0, np.cos(0.3)), (1, -np.sin(0.3))):
        x = leaf(0.3)
        sincos(x)[i].backward()
        np.testing.assert_allclose(x.grad, expected)


def test_an_output_used_twice():
    x = leaf(0.3)
    s, _ = sincos(x)
    (s * s + s).backward()
    np.testing.assert_allclose(x.grad, (2 * np.sin(0.3) + 1) * np.cos(0.3))


def test_several_outputs_of_plain_arrays_and_without_grad():
    assert [type(y) for y in sincos(np.ones(2))] == [np.ndarray] * 2
    assert not any(y.requires_grad for y in sincos(gn.Tensor(np.ones(2))))
    with gn.no_grad():
        y, _ = sincos(leaf(1.0))
    assert not y.requires_grad
    with pytest.raises(gn.errors.NoGradientPath, match=r"cut by no_grad\(\)"):
        y.backward()


def test_an_integer_output_is_a_plain_value():
    x = leaf([3.0, 1.0, 2.0])
    values, places = sort_with_places(x)
    assert places.data.tolist() == [1, 2, 0]
    assert not places.requires_grad
    (values * [1.0, 10.0, 100.0]).sum().backward()
    assert x.grad.tolist() == [100.0, 1.0, 10.0]
    assert gn.gradcheck(lambda x: sort_with_places(x)[0], x, order=2)


def test_several_outputs_at_second_order():
    assert gn.gradcheck(sincos, np.array([0.3, 2.0]), order=2)
    assert gn.gradcheck(lambda x: sincos(x)[0] * x, np.array([0.3, 2.0]), order=2)


def test_retaining_the_graph_of_several_outputs():
    x = leaf(0.3)
    s, c = sincos(x)
    s.backward(retain_graph=True)
    c.backward(retain_graph=True)
    np.testing.assert_allclose(x.grad, np.cos(0.3) - np.sin(0.3))


# --- Operators of the user's own ------------------------------------------------------------------


def test_a_variadic_operator():
    a, b = leaf([1.0]), leaf([2.0])
    y = total_of(a, b, a, 5.0)
    assert y.data.tolist() == [9.0]
    y.backward()
    assert (a.grad.tolist(), b.grad.tolist()) == ([2.0], [1.0])


def test_a_variadic_operator_refuses_options():
    with pytest.raises(TypeError, match="axis"):
        total_of(leaf(1.0), axis=0)


def test_the_same_tensor_in_every_place():
    x = leaf([1.0, 2.0])
    (x * x + gn.where([True, False], x, x) + gn.maximum(x, x)).sum().backward()
    assert x.grad.tolist() == [4.0, 6.0]


def test_a_joint_rule_is_told_what_is_needed():
    asked = []

    @gn.operator
    def weighted(x, weight, offset=0.0):
        return x * weight + offset

    @weighted.rule("x, weight, offset", r"\bar x = \bar y w,\; \bar w = \bar y x")
    def _(ct, x, weight, needs):
        asked.append(needs)
        return ct * weight, ct * x if needs[1] else None, ct

    defining("weighted")
    x, w = leaf(2.0), leaf(3.0)
    weighted(x, w).backward()
    assert (x.grad, w.grad) == (3.0, 2.0)
    weighted(x, 3.0, w).backward()
    assert (x.grad, w.grad) == (6.0, 3.0)
    assert asked == [(True, True, False), (True, False, True)]


def test_a_single_rule_beside_a_joint_rule():
    @gn.operator
    def scaled_and_moved(x, scale, offset):
        return x * scale + offset

    @scaled_and_moved.rule("x", r"\bar x = \bar y s")
    def _(ct, scale):
        return ct * scale

    @scaled_and_moved.rule("scale, offset", r"\bar s = \bar y x")
    def _(ct, x):
        return ct * x, ct

    defining("scaled_and_moved")
    x, s, o = leaf(2.0), leaf(3.0), leaf(5.0)
    scaled_and_moved(x, s, o).backward()
    assert (x.grad, s.grad, o.grad) == (3.0, 2.0, 1.0)


def test_an_input_without_a_rule_is_an_error_not_a_lost_gradient():
    @gn.operator
    def halfway(x, w):
        return x * w

    @halfway.rule("x", r"\bar x = \bar y w")
    def _(ct, w):
        return ct * w

    defining("halfway")
    x, w = leaf(2.0), leaf(3.0)
    halfway(x, w.detach()).backward()
    assert x.grad == 3.0
    with pytest.raises(NotImplementedError, match="halfway has no derivative by its argument 'w'"):
        halfway(x, w).backward()
    with pytest.raises(NotImplementedError, match=r"pass w\.detach\(\)"):
        halfway(2.0, w).backward()


def rule_that_returns(value):
    @gn.operator
    def broken(x):
        return x * 2.0

    @broken.rule("x", r"\bar x")
    def _(ct):
        return value(ct)

    defining("broken")
    return broken(leaf([1.0, 2.0])).sum()


def test_a_rule_that_returns_nothing():
    with pytest.raises(TypeError, match="rule of 'broken' returned None"):
        rule_that_returns(lambda ct: None).backward()


@pytest.mark.parametrize("shape", [(3,), (2, 3), (), (1,)])
def test_a_rule_of_another_shape(shape):
    with pytest.raises(ValueError, match=r"gave a cotangent of shape .* input of shape \(2,\)"):
        rule_that_returns(lambda ct: np.ones(shape)).backward()


def test_a_rule_of_the_broadcast_shape_is_summed():
    @gn.operator
    def repeated(x):
        return np.broadcast_to(x, (3, *x.shape))

    @repeated.rule("x", r"\bar x = \bar y")
    def _(ct):
        return ct

    defining("repeated")
    x = leaf([1.0, 2.0])
    repeated(x).sum().backward()
    assert x.grad.tolist() == [3.0, 3.0]


def test_a_rule_that_returns_a_tuple_by_mistake():
    with pytest.raises((TypeError, ValueError), match="broken"):
        rule_that_returns(lambda ct: (ct,)).backward()


def joint_rule_that_returns(value):
    @gn.operator
    def broken(a, b):
        return a * b

    @broken.rule("a, b", r"\bar a, \bar b")
    def _(ct):
        return value(ct)

    defining("broken")
    return broken(leaf(1.0), leaf(2.0))


@pytest.mark.parametrize("value", [lambda ct: None, lambda ct: (ct,), lambda ct: (ct, ct, ct)])
def test_a_joint_rule_that_returns_too_few(value):
    with pytest.raises((TypeError, ValueError), match="broken"):
        joint_rule_that_returns(value).backward()


def test_a_rule_that_returns_a_number():
    @gn.operator
    def doubled(x):
        return x * 2.0

    @doubled.rule("x", r"\bar x = 2 \bar y")
    def _(ct):
        return 2.0

    defining("doubled")
    x = leaf(1.0)
    doubled(x).backward()
    assert x.grad == 2.0


def test_unknown_names_are_refused_when_the_rule_is_defined():
    @gn.operator
    def named(first, second):
        return first * second

    defining("named")
    with pytest.raises(TypeError, match=r"a rule for 'third', but named\(first, second\)"):
        named.rule("third", "")
    with pytest.raises(TypeError, match="a rule of 'named' names 'secnd'"):

        @named.rule("first", "")
        def _(ct, secnd):
            return ct

    with pytest.raises(TypeError, match="first, second"):

        @named.rule("first", "")
        def _(ct, outside):
            return ct


@pytest.mark.parametrize("reserved", ["ct", "y", "needs"])
def test_reserved_parameter_names(reserved):
    namespace = {}
    exec(f"def taken({reserved}): return {reserved}", namespace)
    with pytest.raises(TypeError, match=f"has a parameter {reserved!r}"):
        gn.operator(namespace["taken"])


def test_an_operator_may_be_defined_anew_in_its_own_module():
    try:
        for factor in (2.0, 3.0):

            @gn.operator
            def redefined(x):
                return x * factor  # noqa: B023

        assert redefined(np.ones(())) == 3.0
        assert operators.redefined is redefined
    finally:
        defining("redefined")


def test_another_modules_operator_is_not_replaced():
    def tanh(x):
        return x

    known = operators.tanh
    with pytest.raises(TypeError, match=r"'tanh' exists already, in gradnerve\.ops\.elementwise"):
        gn.operator(tanh)
    assert operators.tanh is known


def test_an_operator_keeps_its_functions_name_and_docstring():
    assert sincos.__name__ == "sincos"
    assert sincos.__doc__ == "An operator with two outputs."
    assert sincos.operator.formulas == {"x": r"\bar x = \bar y_1 \cos x - \bar y_2 \sin x"}


def test_an_operator_on_lists_numbers_and_arrays():
    x = leaf([1.0, 2.0])
    y = x * [3.0, 4.0] + 1 + np.array([1.0, 1.0]) + np.float32(1)
    y.sum().backward()
    assert x.grad.tolist() == [3.0, 4.0]


def test_lists_at_second_order():
    x = leaf([1.0, 2.0])
    y = (x ** [2.0, 3.0]).sum()
    (ct,) = [ct for t, ct in graph.flow(y, gn.Tensor(1.0), as_tensors=True) if t is x]
    ct.sum().backward()
    assert x.grad.tolist() == [2.0, 12.0]


# --- What nobody needs is not computed ------------------------------------------------------------


class Counting(np.ndarray):
    """An array that counts the matrix products it takes part in."""

    products = 0

    def __array_ufunc__(self, ufunc, method, *inputs, **options):
        Counting.products += ufunc is np.matmul
        inputs = [np.asarray(x) if isinstance(x, Counting) else x for x in inputs]
        if "out" in options:
            options["out"] = tuple(np.asarray(x) for x in options["out"])
        return np.asarray(getattr(ufunc, method)(*inputs, **options)).view(Counting)


@pytest.fixture
def products(monkeypatch):
    """How many matrix products a function computes with such arrays."""
    monkeypatch.setitem(libraries, Counting, libraries[np.ndarray])

    def count(function, *args):
        before = Counting.products
        result = function(*args)
        return Counting.products - before, result

    return count


def test_the_first_layers_input_gets_no_gradient(products):
    """Three layers: three products forward; backward two for each but the first, which needs one:
    nobody wants the gradient of the data."""
    nn = gn.nn
    model = nn.Sequential(nn.Linear(5, 6), nn.ReLU(), nn.Linear(6, 7), nn.ReLU(), nn.Linear(7, 2))
    for parameter in model.parameters():
        parameter.data = parameter.data.view(Counting)
    data = gn.Tensor(np.ones((4, 5), np.float32).view(Counting))
    target = gn.Tensor([0, 1, 1, 0])
    forward, loss = products(lambda: nn.functional.cross_entropy(model(data), target))
    assert forward == 3
    backward, _ = products(loss.backward)
    assert backward == 5
    assert all(p.grad.any() for p in model.parameters())
    data.requires_grad = True
    forward, loss = products(lambda: nn.functional.cross_entropy(model(data), target))
    backward, _ = products(loss.backward)
    assert (forward, backward) == (3, 6), "this test can count"


def test_what_is_frozen_is_not_walked(products):
    x = gn.Tensor(np.ones((2, 3)).view(Counting))
    frozen, w = gn.Tensor(np.ones((3, 3)).view(Counting)), leaf(np.ones((3, 1)))
    forward, loss = products(lambda: ((x @ frozen).tanh() @ w).sum())
    backward, _ = products(loss.backward)
    assert (forward, backward) == (2, 1)


def test_a_complex_result_needs_a_gradient():
    z = gn.Tensor(1.0 + 2.0j, requires_grad=True)
    with pytest.raises(RuntimeError, match="complex"):
        (z * z).backward()


def test_a_function_that_frees_what_it_returns():
    def f(x):
        h = gn.exp(x)
        (h * h).backward()
        return h * x

    for derivative in (gn.grad(f), lambda x: gn.checkpoint(f)(gn.Tensor(x, requires_grad=True))):
        with pytest.raises(gn.errors.GraphFreed):
            derivative(1.0)


def test_a_gradient_has_the_order_of_bytes_of_its_leaf():
    data = np.array([1.0, 2.0], dtype=">f8" if np.little_endian else "<f8")
    x = gn.Tensor(data, requires_grad=True)
    for n in (1, 2):
        (x * x).sum().backward()
        assert x.grad.dtype == data.dtype
        assert x.grad.tolist() == [2.0 * n, 4.0 * n]
    for found in (gn.grad(lambda x: gn.sum(x * x))(data), gn.jacobian(lambda x: x * x)(data)):
        assert found.dtype == data.dtype


def test_threads_that_share_a_leaf_lose_no_gradient(in_threads):
    x = gn.Tensor(np.ones(1000), requires_grad=True)

    def work():
        for _ in range(200):
            (x * 1.0).sum().backward()

    in_threads(work, 8, interval=1e-6)
    assert x.grad.tolist() == [1600.0] * 1000


def test_a_list_of_tensors_is_stacked_and_keeps_its_gradient():
    a, b = leaf([1.0, 2.0]), leaf([3.0, 4.0])
    for f in (gn.exp, gn.negative, lambda x: gn.multiply(x, 2.0), lambda x: gn.sum(x, axis=0)):
        a.grad = b.grad = None
        y = f([a, [0.0, 1.0], b])
        np.testing.assert_array_equal(y.data, f(np.array([a.data, [0.0, 1.0], b.data])))
        y.sum().backward()
        stacked = leaf([a.data, [0.0, 1.0], b.data])
        f(stacked).sum().backward()
        np.testing.assert_array_equal([a.grad, b.grad], stacked.grad[[0, 2]])
    assert gn.add([[a, b]], b).shape == (1, 2, 2)
    with pytest.raises(ValueError, match=r"array 0 has \(2,\) and array 1 has \(3,\)"):
        gn.exp([a, leaf([1.0, 2.0, 3.0])])


def test_a_result_of_several_is_shown_with_its_operator():
    s = gn.linalg.svd(leaf(np.eye(2))).S
    assert "operator=svd" in repr(s)
    assert "operator=split" in repr(gn.split(leaf([1.0, 2.0]), 2)[1])
