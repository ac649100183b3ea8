"""The Tensor: what it holds, its operators and methods, and how it looks."""

import copy
import gc
import operator
import pickle
import weakref

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gradnerve as gn
from gradnerve import Tensor, graph, writing
from gradnerve.nn import Parameter


def leaf(value=2.0, **options):
    return Tensor(np.array(value, dtype=np.float64), requires_grad=True, **options)


# --- Making one -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "data, dtype, shape",
    [
        (1, np.int64, ()),
        (1.5, np.float64, ()),
        (True, np.bool_, ()),
        ([1, 2], np.int64, (2,)),
        ([[1.0, 2.0]], np.float64, (1, 2)),
        ((1.0, 2.0), np.float64, (2,)),
        ([], np.float64, (0,)),
        (np.float32(1.5), np.float32, ()),
        (np.zeros((2, 0), np.float16), np.float16, (2, 0)),
        (np.ones(2, np.uint8), np.uint8, (2,)),
        (range(3), np.int64, (3,)),
        (1 + 2j, np.complex128, ()),
        ([Tensor(1.0), Tensor(2.0)], np.float64, (2,)),
    ],
)
def test_data_is_always_an_array(data, dtype, shape):
    t = Tensor(data)
    assert type(t.data) is np.ndarray
    assert (t.dtype, t.shape, t.ndim, t.size) == (dtype, shape, len(shape), np.prod(shape))
    assert (t.grad, t.requires_grad, t.name) == (None, False, None)


def test_an_array_is_not_copied():
    x = np.ones(3)
    assert Tensor(x).data is x
    assert Tensor(Tensor(x)).data is x


def test_dtype_is_chosen():
    assert Tensor([1, 2], dtype="float32").dtype == np.float32
    x = np.ones(3)
    assert Tensor(x, dtype=np.float64).data is x
    assert Tensor(3, True, dtype="float64").requires_grad


@pytest.mark.parametrize("data", ["a", None, ["a", "b"], object(), {"a": 1}, {1, 2}, b"x"])
def test_what_is_no_array_of_numbers(data):
    with pytest.raises(TypeError, match=r"cannot make a Tensor of \w+: it takes numbers"):
        Tensor(data)


def test_a_ragged_list():
    with pytest.raises(ValueError, match="lists of numbers with equal lengths"):
        Tensor([[1.0, 2.0], [3.0]])


@pytest.mark.parametrize(
    "data, words",
    [
        (3, r"a tensor of int64 cannot require grad.*Write 3\.0, not 3; or pass dtype='float64'"),
        ([1, 2], r"a tensor of int64 cannot require grad.*Write 3\.0, not 3"),
        (7, r"Write 7\.0, not 7"),
        (True, "a tensor of bool cannot require grad"),
    ],
)
def test_only_floats_require_grad(data, words):
    with pytest.raises(TypeError, match=words):
        Tensor(data, requires_grad=True)
    t = Tensor(data)
    with pytest.raises(TypeError, match=words):
        t.requires_grad = True
    with pytest.raises(TypeError, match=words):
        t.requires_grad_()
    assert not t.requires_grad


def test_a_tensor_of_a_part_of_the_graph_is_an_error():
    for make in (Tensor, np.asarray, np.array, lambda t: t.numpy(), lambda t: Tensor([t[0], 1.0])):
        with pytest.raises(RuntimeError, match=r"out of the graph.*t\.detach\(\)"):
            make(leaf([1.0, 2.0]) * 2)


def test_as_a_numpy_array():
    t = Tensor([1.0, 2.0])
    assert np.asarray(t) is t.data
    assert np.array(t, dtype=np.float32).dtype == np.float32
    assert t.numpy() is t.data
    assert type(np.exp(t)) is Tensor  # see test_protocols.py


# --- data, grad, requires_grad --------------------------------------------------------------------


def test_data_can_be_replaced():
    w = leaf([1.0, 2.0])
    w.data = [3.0, 4.0]
    assert type(w.data) is np.ndarray
    w.data -= 1.0
    assert w.data.tolist() == [2.0, 3.0]
    assert w.requires_grad
    w.data = np.float32(2.0)
    assert type(w.data) is np.ndarray
    with pytest.raises(TypeError, match="cannot require grad"):
        w.data = [1, 2]
    with pytest.raises(TypeError, match="cannot make a Tensor of str"):
        w.data = "a"
    with pytest.raises(RuntimeError, match="out of the graph"):
        w.data = w * 2
    assert w.data == 2.0, "a refused value changes nothing"


def test_grad_can_be_set():
    w = Tensor(np.ones(2, np.float32), requires_grad=True)
    w.grad = [1.0, 2.0]
    assert type(w.grad) is np.ndarray
    assert w.grad.dtype == np.float32
    w.grad = Tensor([3, 4])
    assert w.grad.tolist() == [3.0, 4.0]
    w.grad += 1
    assert w.grad.tolist() == [4.0, 5.0]
    with pytest.raises(ValueError, match=r"shape \(3,\).*shape \(2,\)"):
        w.grad = np.zeros(3)
    with pytest.raises(TypeError):
        w.grad = "a"
    assert w.grad.tolist() == [4.0, 5.0]
    w.grad = None
    assert w.grad is None
    w.grad = np.ones(2)
    w.zero_grad()
    assert w.grad is None


def test_grad_of_the_wrong_shape_does_not_speak_of_backward():
    with pytest.raises(ValueError, match=r"^(?!backward)"):
        leaf([1.0, 2.0]).grad = np.zeros(3)


def test_requires_grad_is_set_on_leaves_only():
    x = leaf(1.0)
    y = x * 2
    for value in (False, True):
        if value != y.requires_grad:
            with pytest.raises(RuntimeError, match=r"leaves only.*t\.detach\(\)"):
                y.requires_grad = value
    y.requires_grad = True  # as it is already
    cut = y.detach()
    assert cut.requires_grad_() is cut
    (cut * 3).backward()
    assert (cut.grad, x.grad) == (3.0, None)
    assert x.requires_grad_(False) is x
    assert not x.requires_grad


def test_clone_is_a_part_of_the_graph():
    x = leaf([1.0, 2.0])
    y = x.clone()
    assert not np.shares_memory(x.data, y.data)
    (y * 2).sum().backward()
    assert x.grad.tolist() == [2.0, 2.0]


def test_name():
    assert Tensor(1.0, name="w").name == "w"
    t = Tensor(1.0)
    t.name = "bias"
    assert t.name == "bias"
    assert (t * 2).name is None


# --- Arithmetic -----------------------------------------------------------------------------------

BINARY = [
    operator.add, operator.sub, operator.mul, operator.truediv, operator.floordiv, operator.mod,
    operator.pow, operator.eq, operator.ne, operator.lt, operator.le, operator.gt, operator.ge,
]  # fmt: skip
A, B = np.array([[1.5, 2.0], [3.0, 0.5]]), np.array([2.0, 0.5])
OTHERS = [B, 2.0, 2, np.float64(2.0), np.float32(2.0), np.int64(2), np.array(2.0), [2.0, 0.5]]


@pytest.mark.parametrize("other", OTHERS, ids=lambda o: type(o).__name__ + str(np.shape(o)))
@pytest.mark.parametrize("op", BINARY, ids=lambda op: op.__name__)
def test_binary_operators_from_both_sides(op, other):
    plain = np.asarray(other) if isinstance(other, list) else other
    right, left = op(Tensor(A), other), op(other, Tensor(A))
    for result, expected in ((right, op(A, plain)), (left, op(plain, A))):
        assert type(result) is Tensor
        assert result.dtype == expected.dtype
        np.testing.assert_array_equal(result.data, expected)
    x = leaf(A)
    for result in (op(x, other), op(other, x)):
        assert type(result) is Tensor
        assert result.requires_grad == (op not in BINARY[7:]), "an array on the left drops nothing"


@pytest.mark.parametrize("op", BINARY[:7], ids=lambda op: op.__name__)
def test_gradients_from_both_sides(op):
    assert gn.gradcheck(lambda x: op(x, np.float64(1.7)), A + 0.1)
    assert gn.gradcheck(lambda x: op(np.array([1.7, 2.3]), x), A + 0.1)


def test_matmul_from_both_sides():
    np.testing.assert_array_equal((Tensor(A) @ B).data, A @ B)
    for left in (A, A.tolist(), B):
        result = left @ leaf(A)
        assert result.requires_grad
        np.testing.assert_array_equal(result.data, left @ A)


@pytest.mark.parametrize("op", [operator.neg, operator.pos, operator.abs], ids=str)
def test_unary_operators(op):
    x = Tensor([-1.0, 2.0])
    np.testing.assert_array_equal(op(x).data, op(x.data))


@pytest.mark.parametrize("op", [operator.and_, operator.or_, operator.xor], ids=str)
def test_bitwise_operators(op):
    a, b = np.array([True, False, True]), np.array([True, True, False])
    for result in (op(Tensor(a), b), op(a, Tensor(b)), op(Tensor(a), Tensor(b))):
        np.testing.assert_array_equal(result.data, op(a, b))
    assert (~Tensor(a)).data.tolist() == [False, True, False]
    assert op(Tensor(6), 3).data == op(6, 3)
    with pytest.raises(TypeError, match="bitwise"):
        op(Tensor(1.0), 2)


def test_python_numbers_do_not_promote_and_numpy_numbers_do():
    x = Tensor(np.ones(2, np.float32))
    assert (x * 2.0 + 1).dtype == np.float32
    assert (2.0 / x).dtype == np.float32
    assert (x * np.float64(2.0)).dtype == np.float64, "as NumPy"
    assert (np.float64(2.0) * x).dtype == np.float64
    assert (x * np.float32(2.0)).dtype == np.float32
    assert (Tensor([1, 2]) / 2).dtype == np.float64
    assert (Tensor([1, 2]) * 2).dtype == np.int64


def test_what_cannot_be_added():
    for other in ("a", None, object(), {}):
        with pytest.raises(TypeError, match="add"):
            leaf([1.0, 2.0]) + other


# --- Writing in place -----------------------------------------------------------------------------

WHOLE = [
    operator.lshift, operator.rshift, operator.and_, operator.or_, operator.xor,
    operator.floordiv, operator.mod, divmod,
]  # fmt: skip
WHOLE_IN_PLACE = [
    operator.ilshift, operator.irshift, operator.ifloordiv, operator.imod, operator.imatmul,
]  # fmt: skip


@pytest.mark.parametrize("op", WHOLE, ids=lambda op: op.__name__)
def test_operators_of_whole_numbers_on_either_side(op):
    x = np.array([[9, 5], [6, 3]])
    for left, right in ((x, 2), (64, x)):
        expected = op(left, right)
        y = op(*(gn.Tensor(v) if v is x else v for v in (left, right)))
        for got, wanted in zip(*(v if op is divmod else [v] for v in (y, expected)), strict=True):
            assert type(got) is gn.Tensor
            np.testing.assert_array_equal(got.data, wanted)


@pytest.mark.parametrize("op", WHOLE_IN_PLACE, ids=lambda op: op.__name__)
def test_in_place_operators_of_whole_numbers(op):
    x, other = np.array([[9, 5], [6, 3]]), np.array([[2, 1], [1, 3]])
    t = gn.Tensor(x.copy())
    assert op(t, other) is t
    np.testing.assert_array_equal(t.data, op(x, other))


IN_PLACE = [operator.iadd, operator.isub, operator.imul, operator.itruediv]


@pytest.mark.parametrize("op", IN_PLACE, ids=lambda op: op.__name__)
def test_in_place_under_no_grad(op):
    w = leaf([1.0, 2.0])
    data, same = w.data, w
    with gn.no_grad():
        w = op(w, 2.0)
    assert w is same
    assert w.data is data, "written into its own array"
    assert w.requires_grad
    assert data.tolist() == op(np.array([1.0, 2.0]), 2.0).tolist()


@pytest.mark.parametrize("op", IN_PLACE, ids=lambda op: op.__name__)
def test_in_place_on_a_leaf_is_an_error(op):
    w = leaf([1.0, 2.0])
    with pytest.raises(RuntimeError, match=r"=.* would overwrite a leaf.*with gn\.no_grad\(\)"):
        op(w, 2.0)
    assert w.data.tolist() == [1.0, 2.0]


def test_in_place_on_a_result_is_a_part_of_the_graph():
    x = leaf([1.0, 2.0])
    h = first = x * 2
    h += 1
    h *= x
    assert h is first, "as Python says: whoever holds the object sees the new value"
    assert first.data.tolist() == [3.0, 10.0]
    h.sum().backward()
    assert x.grad.tolist() == [5.0, 9.0]
    assert h.grad.tolist() == [1.0, 1.0], "of the value that it has now"


@pytest.mark.parametrize("op", [*IN_PLACE, operator.ipow], ids=lambda op: op.__name__)
def test_in_place_on_a_result_has_the_gradient_of_the_operator(op):
    def f(x):
        h = x * 1.5
        g = h * h  # its rule needs h before the write
        h = op(h, x + 0.5)
        return h * g

    assert gn.gradcheck(f, A, order=2)


def test_in_place_by_itself():
    def f(x):
        h = x * 2
        h *= h
        return h

    assert f(leaf([3.0])).data.tolist() == [36.0]
    assert gn.gradcheck(f, A, order=2)


def test_in_place_on_a_plain_tensor():
    t = Tensor(np.ones(2, np.float32))
    t += np.ones(2)
    assert t.dtype == np.float32, "an array keeps its dtype"
    t += leaf([1.0, 1.0])
    assert t.requires_grad, "a sum with a part of the graph belongs to it"


def test_in_place_does_not_drop_fractions():
    t = Tensor([1, 2])
    with pytest.raises(TypeError):  # as NumPy: UFuncTypeError
        t += 0.5


def test_in_place_of_a_larger_shape():
    t = Tensor(np.ones(2))
    with pytest.raises(ValueError, match=r"\+= cannot write a result of shape \(3, 2\) into"):
        t += np.ones((3, 2))


def test_other_in_place_operators_do_not_rebind_a_parameter_in_silence():
    """`w **= 2` under no_grad: either into w's own array, or an error; not a new plain tensor."""
    w = same = leaf([2.0, 3.0])
    with gn.no_grad():
        try:
            w **= 2
        except (TypeError, RuntimeError):
            return
    assert w is same


# --- Writing at an index --------------------------------------------------------------------------


def test_write_to_a_plain_tensor_is_numpys():
    x = np.zeros((2, 3))
    t = Tensor(x)
    t[0] = [1, 2, 3]
    t[1, 1:] = Tensor(7.0)
    t[t == 7.0] = 8
    assert t.data is x
    assert x.tolist() == [[1, 2, 3], [0, 8, 8]]
    t[Tensor(0), Tensor([0, 1])] += 10
    assert x.tolist() == [[11, 12, 3], [0, 8, 8]]


def test_write_to_a_leaf():
    w = leaf([1.0, 2.0])
    with pytest.raises(
        RuntimeError, match=r"x\[key\] = value would overwrite.*with gn\.no_grad\(\)"
    ):
        w[0] = 5.0
    data = w.data
    with gn.no_grad():
        w[0] = 5.0
    assert w.data is data
    assert data.tolist() == [5.0, 2.0]
    assert w.requires_grad


def test_write_to_a_result_under_no_grad_is_an_error():
    y = leaf([1.0, 2.0]).exp()
    with gn.no_grad():
        with pytest.raises(
            RuntimeError, match=r"\+= under no_grad\(\) would overwrite a tensor that"
        ):
            y += 1.0
        with pytest.raises(RuntimeError, match=r"t\.detach\(\)\.clone\(\)"):
            y[0] = 1.0
    y.sum().backward()
    with gn.no_grad():
        y[0] = 1.0  # nothing needs its value any more
    assert y.data[0] == 1.0


@pytest.mark.parametrize(
    "key",
    [0, -1, slice(1, None), slice(None, None, -1), (0, 1), (slice(None), 0), ..., None,
     (None, 1, ...), [0, 1, 1], np.array([1, 0]), np.array([[0], [1]]),
     np.array([True, False, True]), (np.array([0, 2, 0]), np.array([1, 1, 1])),
     ([0, 2], slice(None)), np.int64(1), True, (), Tensor([2, 0, 2]), (slice(None), Tensor(1))],
    ids=str,
)  # fmt: skip
def test_gradients_of_a_write(key):
    x = np.arange(12.0).reshape(3, 4)
    value = np.asarray(Tensor(x)[key].data * 0.3 - 1.0)

    def f(x, value):
        y = x * 1.0
        y[key] = value
        return y * y

    assert gn.gradcheck(f, (x, value), order=2)
    assert gn.gradcheck(f, (x, np.array(2.5)), order=2), "a single number, broadcast"


def test_the_last_of_repeated_places_gets_the_gradient():
    x, value = leaf([1.0, 2.0]), leaf([3.0, 4.0, 5.0])
    y = x * 1
    y[[0, 0, 1]] = value
    assert y.data.tolist() == [4.0, 5.0]
    y.sum().backward()
    assert value.grad.tolist() == [0.0, 1.0, 1.0]
    assert x.grad.tolist() == [0.0, 0.0]


def test_write_between_uses():
    """Each use sees, and is differentiated at, the value that was there at its time."""
    x = leaf([1.0, 2.0, 3.0])
    y = x * 2
    z = y * y
    part = y[0]
    y[0] = 5.0
    u = y * y
    y[1] = 7.0
    assert z.data.tolist() == [4.0, 16.0, 36.0]
    assert part.item() == 2.0, "a view taken before a recorded write keeps its value"
    (z + 10 * u + 100 * y + part).sum().backward()
    # z: 2y·2 = 8x; part: 2, three times; 10 u: 80x where not 5; 100 y: 200 where neither 5 nor 7
    assert x.grad.tolist() == [8 + 6, 16 + 160, 24 + 240 + 200]
    assert y.grad.tolist() == [100.0, 100.0, 100.0], "the gradient of what y is now"


def test_two_backwards_across_a_write():
    x = leaf([1.0, 2.0])
    y = x * 2
    z = y * 3
    y[0] = 5.0
    (z + y).sum().backward(retain_graph=True)
    assert x.grad.tolist() == [6.0, 8.0]
    (z + y).sum().backward(retain_graph=True)
    assert x.grad.tolist() == [12.0, 16.0]
    z.sum().backward(retain_graph=True)
    assert x.grad.tolist() == [18.0, 22.0], "z alone: y's write is no part of it"
    y.sum().backward()
    assert x.grad.tolist() == [18.0, 24.0]
    with pytest.raises(gn.errors.GraphFreed):
        z.sum().backward()


def test_use_before_a_write_and_a_graph_that_was_freed():
    x = leaf([1.0, 2.0])
    y = x.exp()
    z = y * 3
    y[0] = 5.0
    y.sum().backward()
    with pytest.raises(gn.errors.GraphFreed, match="before it was written to"):
        z.sum().backward()


def test_a_plain_tensor_that_is_written_to_joins_the_graph():
    x = leaf([1.0, 2.0])
    out = Tensor(np.zeros(2))
    before = out * x  # here `out` was a constant
    out[1] = x[0] * x[1]
    assert out.requires_grad
    (out * 10 + before).sum().backward()
    assert x.grad.tolist() == [20.0, 10.0]
    assert Tensor(np.zeros(2)).requires_grad is False

    data = np.zeros(2)
    out = Tensor(data)
    out += x
    assert out.requires_grad
    assert data.tolist() == [0.0, 0.0], "a recorded write leaves the array alone"


def test_a_recurrence_in_place():
    def f(x):
        y = Tensor(np.zeros(5))
        y[0] = x[0]
        for i in range(1, 5):
            y[i] = y[i - 1].exp() * x[1]
            y[i] += y[i - 1]
        return y

    assert gn.gradcheck(f, np.array([0.3, 0.2]), order=2)


def run(program, x, write, update):
    """A list of tensors, computed from x by the steps of a program: see `programs`."""
    tensors = [x * 1.5, x.exp(), 0.0 * x + np.array([0.5, -1.0, 2.0])]
    for kind, i, j, key in program:
        i, j = i % len(tensors), j % len(tensors)
        if kind == "new":
            tensors.append(gn.sin(tensors[i]) * tensors[j])
        elif kind == "part":
            tensors.append(tensors[i][::-1] * tensors[j][0])
        elif kind == "write":
            tensors[i] = write(tensors[i], key, tensors[j][key] * 2.0)
        else:
            tensors[i] = update(tensors[i], tensors[j])
    return tensors


def write_in_place(t, key, value):
    t[key] = value
    return t


def update_in_place(t, other):
    t *= other
    return t


programs = st.lists(
    st.tuples(
        st.sampled_from(["new", "part", "write", "update"]), st.integers(0, 9), st.integers(0, 9),
        st.sampled_from([0, 2, slice(1, None), [0, 0], [2, 0], np.array([True, False, True])]),
    ),
    max_size=9,
)  # fmt: skip


@settings(max_examples=200, deadline=None, derandomize=True)
@given(programs, st.integers(0, 9))
def test_writes_are_what_new_tensors_are(program, last):
    """First and second derivatives of any program with writes are those of the same without."""
    found = []
    for write, update in ((write_in_place, update_in_place), (gn.ops.setitem, gn.multiply)):
        x = leaf([0.3, -0.7, 1.1])
        tensors = run(program, x, write, update)
        weights = [Tensor(np.arange(3.0) + k) for k in range(len(tensors))]
        root = (tensors[last % len(tensors)] * x).sum()
        root.backward(retain_graph=True)
        first = x.grad.copy()
        total = sum((t * w).sum() for t, w in zip(tensors, weights, strict=True))
        flowed = graph.flow(total, Tensor(np.ones(())), as_tensors=True, stops=[x])
        (gradient,) = [ct for tensor, ct in flowed if tensor is x]
        x.zero_grad()
        (gradient * gradient).sum().backward(retain_graph=True)
        second = x.grad.copy()
        x.zero_grad()
        total.backward()
        found.append([first, second, gradient.data, x.grad, *(t.data for t in tensors)])
    for a, b in zip(*found, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-12)


def in_place_recurrence(x):
    y = Tensor(np.zeros(3))
    y[0] = (y * x).sum()  # of what y was, a constant
    for i in range(1, 3):
        y[i] = y[i - 1] * 2
        y[i] += y[i]
    y *= y.sum()
    return y


def test_writes_make_no_cycles():
    x = leaf([1.0, 2.0, 3.0])
    gc.collect()
    before = set(writing.written)  # of other tests
    gc.disable()
    try:
        for backward in (False, True):
            y = in_place_recurrence(x)
            if backward:
                y.sum().backward()
            link = weakref.ref(y)
            del y
            assert link() is None, "freed by reference counting alone"
            assert writing.written <= before, "backward has nothing to look for any more"
    finally:
        gc.enable()
    assert gn.gradcheck(in_place_recurrence, np.array([1.0, 2.0, 3.0]), order=2)


def test_many_writes():
    """A chain of writes, as long as any other, in time proportional to its length."""
    x = leaf(2.0)
    y = Tensor(np.ones(2))
    for _ in range(20_000):
        y[0] = y[1] * x
    y.sum().backward()
    assert x.grad == 1.0


def test_backward_by_hand_across_a_write():
    x = leaf([1.0, 2.0])
    y = x * 2
    z = y * 3
    y[0] = 5.0
    (before,) = z._prev
    assert before is not y
    assert before in y._prev
    y.grad, z.grad = np.ones(2), np.ones(2)
    y._backward()
    z._backward()
    assert before.grad.tolist() == [3.0, 4.0]
    before._backward()
    assert x.grad.tolist() == [6.0, 8.0]


def test_a_write_after_backward_leads_into_a_freed_graph():
    y = leaf([1.0, 2.0]) * 2
    y.sum().backward()
    y[0] = 1.0
    with pytest.raises(gn.errors.GraphFreed):
        y.sum().backward()


def test_the_gradient_of_an_earlier_value_is_not_kept():
    y = leaf([1.0, 2.0]) * 2
    y.sum().backward(retain_graph=True)
    assert y.grad is not None
    y *= 2
    assert y.grad is None


def test_debug_mode_knows_writes():
    with gn.debug_mode():
        x = leaf([1.0, 2.0])
        y = x.exp()
        z = y * y
        y[0] = 5.0
        (z * y).sum().backward()
        np.testing.assert_allclose(x.grad, [10 * np.e**2, 3 * np.e**6])
        y = x.exp()
        y *= 2
        kept = y * y
        y.data[0] = 7.0
        with pytest.raises(gn.errors.ChangedInPlace, match=r"y\.data\[0\] = 7\.0"):
            kept.sum().backward()


def test_debug_mode_finds_a_plain_tensor_that_was_written_to_after_use():
    with gn.debug_mode():
        x = leaf([1.0, 2.0])
        h = Tensor(np.ones(2))
        y = x * h
        h[0] = 5.0
        with pytest.raises(gn.errors.ChangedInPlace, match=r"h\[0\] = 5\.0"):
            y.sum().backward()


def test_bad_writes_change_nothing():
    for x in (Tensor(np.arange(6).reshape(2, 3)), leaf(np.arange(6.0).reshape(2, 3)) * 1):
        before, record = x.data.copy(), x._record
        with pytest.raises(ValueError, match=r"shape \(2,\) does not fit into x\[key\].*\(3,\)"):
            x[0] = np.array([1, 2])
        with pytest.raises(ValueError, match=r"shape \(3,\) does not fit into x\[key\].*\(2,\)"):
            x[x.data > 3] = np.array([1, 2, 3])
        with pytest.raises(IndexError, match=r"x\[key\]( = value)?: index 5 is out of range f"):
            x[5] = 1
        with pytest.raises(TypeError, match=r"cannot write a result of complex128 into a tensor"):
            x[0] = 1j
        with pytest.raises(ValueError, match=r"\+= cannot write a result of shape \(4, 2, 3\)"):
            x += np.ones((4, 2, 3), int)
        with pytest.raises(TypeError, match=r"\*= cannot write a result of complex128"):
            x *= 1j
        assert x._record is record
        np.testing.assert_array_equal(x.data, before)
    with pytest.raises(TypeError, match=r"x\[key\] = value cannot write a result of float64"):
        Tensor([1, 2])[0] = 1.5
    with pytest.raises(
        TypeError, match=r"\+= cannot write a result of int64 into a tensor of uint8"
    ):
        x = Tensor(np.ones(2, np.uint8))
        x += np.array([1, 2])
    with pytest.raises(OverflowError):
        Tensor(np.ones(2, np.uint8))[0] = 300


def test_a_wider_float_is_written_in_the_tensors_dtype():
    x = Tensor(np.ones(2, np.float32), requires_grad=True)
    y = x * 2
    y += np.array([0.5, 0.25])
    y[0] = leaf(3.0)
    assert y.dtype == np.float32
    y.sum().backward()
    assert x.grad.dtype == np.float32
    assert x.grad.tolist() == [0.0, 2.0]


def test_a_read_only_array_is_copied_first():
    data = np.broadcast_to(1.0, (3,))
    t = Tensor(data)
    t[0] = 5.0
    t += 1
    assert t.data.tolist() == [6.0, 2.0, 2.0]
    assert data.tolist() == [1.0, 1.0, 1.0]


@pytest.mark.parametrize("op", [operator.iand, operator.ior, operator.ixor], ids=str)
def test_bitwise_in_place(op):
    t = same = Tensor([5, 3])
    t = op(t, 6)
    assert t is same
    assert t.data.tolist() == op(np.array([5, 3]), 6).tolist()


# --- Comparison, truth, identity ------------------------------------------------------------------


def test_comparison_is_by_element_and_hash_by_identity():
    a, b = Tensor([1.0, 2.0]), Tensor([1.0, 3.0])
    assert (a == b).data.tolist() == [True, False]
    assert (a != b).data.tolist() == [False, True]
    assert len({a, b, a}) == 2
    table = {a: "a", b: "b"}
    assert table[b] == "b"
    assert a in [a, b]
    assert hash(a) != hash(Tensor([1.0, 2.0]))


def test_truth():
    assert Tensor(1.0)
    assert not Tensor([[0.0]])
    for t in (Tensor([1.0, 2.0]), Tensor([])):
        with pytest.raises(ValueError, match=r"not simply true or false: write \.any\(\)"):
            bool(t)
    assert bool(leaf(1.0) > 0) is True


def test_as_python_numbers():
    for t in (Tensor(2.5), Tensor([[2.5]]), leaf(2.5), leaf(2.5) * 1):
        assert (float(t), int(t), t.item()) == (2.5, 2, 2.5)
        assert type(t.item()) is float
    assert type(Tensor(3).item()) is int
    assert type(Tensor(True).item()) is bool
    for convert in (float, int, Tensor.item):
        with pytest.raises(ValueError, match=r"exactly one element, but this one has shape \(2,\)"):
            convert(Tensor([1.0, 2.0]))


def test_as_an_index():
    assert [10, 20, 30][Tensor(1)] == 20
    assert list(range(Tensor(2))) == [0, 1]
    with pytest.raises(TypeError):
        [10, 20][Tensor(1.0)]


def test_format():
    assert f"{Tensor(1.2345):.2f}" == "1.23"
    assert f"{leaf([1.2345]):.1f}" == "1.2"
    assert f"{Tensor(1.5)}" == "Tensor(1.5, dtype=float64)"
    with pytest.raises(ValueError, match="exactly one element"):
        f"{Tensor([1.0, 2.0]):.2f}"


def test_len_iteration_and_contains():
    t = leaf([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    assert len(t) == 3
    rows = list(t)
    assert [row.shape for row in rows] == [(2,)] * 3
    a, b, _ = t
    (a * b).sum().backward()
    assert t.grad.tolist() == [[3, 4], [1, 2], [0, 0]]
    assert 3.0 in t
    assert 7.0 not in t
    assert Tensor(3.0) in t
    for f in (len, iter, list):
        with pytest.raises(TypeError, match="no axes"):
            f(Tensor(1.0))
    assert list(Tensor(np.zeros((0, 2)))) == []
    assert [x.item() for x in reversed(Tensor([1.0, 2.0]))] == [2.0, 1.0]


# --- Indexing -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "key",
    [0, -1, slice(1, None), slice(None, None, -1), (0, 1), (slice(None), 0), ..., None,
     (..., None), (None, 1, ...), [0, 1, 1], np.array([1, 0]), np.array([[0], [1]]),
     np.array([True, False, True]), (np.array([0, 2]), np.array([1, 1])), ([0, 2], slice(None)),
     np.int64(1), True, ()],
    ids=str,
)  # fmt: skip
def test_indexing(key):
    x = np.arange(12.0).reshape(3, 4)
    y = leaf(x)[key]
    assert type(y.data) is np.ndarray
    np.testing.assert_array_equal(y.data, x[key])
    assert gn.gradcheck(lambda x: x[key], x, order=2)


def test_indexing_by_tensors():
    x = np.arange(12.0).reshape(3, 4)
    rows, columns = np.array([0, 2, 2]), np.array([1, 1, 1])
    y = leaf(x)
    for key, plain in (
        (Tensor(rows), rows),
        ((Tensor(rows), Tensor(columns)), (rows, columns)),
        ((slice(None), Tensor(columns)), (slice(None), columns)),
        (y > 5, x > 5),
        (Tensor(1), 1),
    ):
        np.testing.assert_array_equal(y[key].data, x[plain])
    y[Tensor(rows), 1].sum().backward()
    assert y.grad[:, 1].tolist() == [1.0, 0.0, 2.0]


def test_index_errors():
    x = leaf(np.ones((2, 3)))
    with pytest.raises(IndexError, match=r"x\[key\]: index 5 is out of range for axis 0"):
        x[5]
    with pytest.raises(IndexError, match="3 indices for an array of shape"):
        x[0, 0, 0]
    with pytest.raises(IndexError):
        x["a"]
    with pytest.raises(RuntimeError, match="would overwrite a leaf"):
        x[0] = 1.0


# --- Methods --------------------------------------------------------------------------------------

METHODS = {
    "exp": (), "log": (), "sqrt": (), "abs": (), "tanh": (), "clip": (0.5, 1.5), "sum": (),
    "mean": (), "max": (), "min": (), "prod": (), "var": (), "std": (), "argmax": (), "argmin": (),
    "any": (), "all": (), "flatten": (), "squeeze": (), "transpose": (), "astype": ("float32",),
    "reshape": (3, 2), "tolist": (),
}  # fmt: skip


@pytest.mark.parametrize("name", METHODS)
def test_methods_are_numpys(name):
    x = np.array([[1.5, 0.7, 2.0], [0.3, 1.1, 0.9]])
    expected = getattr(np, name)(x) if not hasattr(x, name) else getattr(x, name)(*METHODS[name])
    result = getattr(Tensor(x), name)(*METHODS[name])
    if name == "tolist":
        assert result == expected
        return
    assert result.dtype == expected.dtype
    np.testing.assert_allclose(result.data, expected, rtol=1e-15)


@pytest.mark.parametrize("name", ["sum", "mean", "max", "min", "prod", "var", "std", "any", "all"])
def test_reductions_take_axis_and_keepdims(name):
    x = np.array([[1.5, 0.7, 2.0], [0.3, 1.1, 0.9]])
    for axis in (0, 1, -1, (0, 1), None):
        for keepdims in (False, True):
            expected = getattr(x, name)(axis=axis, keepdims=keepdims)
            result = getattr(Tensor(x), name)(axis=axis, keepdims=keepdims)
            assert result.shape == expected.shape
            np.testing.assert_allclose(result.data, expected)
    np.testing.assert_allclose(Tensor(x).var(0, 1).data, x.var(0, ddof=1))
    np.testing.assert_allclose(Tensor(x).std(correction=1).data, x.std(ddof=1))


def test_argmax_along_an_axis():
    x = Tensor([[1.0, 3.0], [5.0, 2.0]])
    assert x.argmax(1).data.tolist() == [1, 0]
    assert x.argmin(axis=0, keepdims=True).data.tolist() == [[0, 1]]


def test_relu_and_sigmoid():
    assert Tensor([-1.0, 2.0]).relu().data.tolist() == [0.0, 2.0]
    assert Tensor(0.0).sigmoid().data == 0.5


def test_shapes():
    x = leaf(np.arange(6.0).reshape(1, 2, 3))
    assert x.reshape(3, 2).shape == x.reshape((3, 2)).shape == x.reshape([3, -1]).shape == (3, 2)
    assert x.reshape(-1).shape == x.flatten().shape == (6,)
    assert x.reshape(6).shape == (6,)
    assert x.T.shape == x.transpose().shape == x.transpose(None).shape == (3, 2, 1)
    assert x.mT.shape == (1, 3, 2)
    assert x.transpose(1, 0, 2).shape == x.transpose((1, 0, 2)).shape == (2, 1, 3)
    assert x.transpose([-1, 0, 1]).shape == (3, 1, 2)
    assert x.squeeze().shape == x.squeeze(0).shape == x.squeeze((0,)).shape == (2, 3)
    assert Tensor(1.0).T.shape == Tensor(1.0).squeeze().shape == ()
    assert Tensor([[1.0]]).reshape(()).shape == Tensor([1.0]).reshape().shape == ()
    with pytest.raises(ValueError, match="reshape"):
        x.reshape(4)
    with pytest.raises(ValueError, match="squeeze"):
        x.squeeze(1)


X = np.array([[1.5, -0.7, 2.0], [0.3, 1.1, 0.9]])

NUMPYS = [  # calls that have to give what NumPy's arrays give
    lambda x: x.reshape(3, 2, order="F"), lambda x: x.reshape((-1, 2), order="F"),
    lambda x: x.reshape((6,), order="C"), lambda x: x.ravel(), lambda x: x.ravel(order="F"),
    lambda x: x.flatten("F"), lambda x: x.flatten(), lambda x: x.swapaxes(0, -1),
    lambda x: x.transpose(1, 0), lambda x: (x * 1.1).round(), lambda x: (x * 1.234567).round(2),
    lambda x: (x * 123.4).round(decimals=-1), lambda x: x.conj(), lambda x: x.conjugate(),
    lambda x: x.real, lambda x: x.imag, lambda x: x.copy(), lambda x: x.copy(order="C"),
    lambda x: x.ptp() if hasattr(x, "ptp") else np.ptp(x), lambda x: x.dot(x.T),
    lambda x: x.dot(x[0]), lambda x: x.dot(2.0), lambda x: x[0].dot(x[1]),
    lambda x: x.astype("float32"), lambda x: x.astype("float64", copy=False), lambda x: x.any(),
    lambda x: x.all(axis=0), lambda x: x.argmax(), lambda x: x.argmin(axis=1), lambda x: x.T,
    lambda x: x.clip(0.0, 1.0), lambda x: x.squeeze(),
]  # fmt: skip

# These need a function that another file brings.
NUMPYS_BY_FUNCTION = {
    "cumulative_sum": [lambda x: x.cumsum(), lambda x: x.cumsum(axis=1), lambda x: x.cumsum(0)],
    "cumulative_prod": [lambda x: x.cumprod(), lambda x: x.cumprod(axis=1)],
    "argsort": [lambda x: x.argsort(), lambda x: x.argsort(axis=0), lambda x: x.argsort(None)],
    "take": [lambda x: x.take(np.array([0, 5])), lambda x: x.take(np.array([0, 2]), axis=1)],
    "repeat": [lambda x: x.repeat(2), lambda x: x.repeat(2, axis=0)],
    "nonzero": [lambda x: x.nonzero()[1], lambda x: x[x.nonzero()]],
    "tensordot": [lambda x: x.dot(np.ones((2, 3, 2)))],
    "diagonal": [
        lambda x: x.diagonal(), lambda x: x.diagonal(offset=1), lambda x: x.trace(),
        lambda x: x.trace(-1), lambda x: (x[None] * np.ones((2, 1, 1))).trace(0, 1, 2),
        lambda x: (x[None] * np.ones((2, 1, 1))).diagonal(axis1=2, axis2=0),
    ],
}  # fmt: skip
NUMPYS += [
    call for name, calls in NUMPYS_BY_FUNCTION.items() for call in calls if hasattr(gn, name)
]


@pytest.mark.parametrize("call", NUMPYS)
def test_calls_of_numpys_methods(call):
    expected = np.asarray(call(X))
    result = call(Tensor(X))
    assert type(result) is Tensor
    assert result.dtype == expected.dtype
    np.testing.assert_allclose(result.data, expected, rtol=1e-14)
    if expected.dtype == np.float64:
        assert gn.gradcheck(call, X, order=2)


def test_memory():
    t = Tensor(X)
    assert (t.nbytes, t.itemsize, t.strides) == (X.nbytes, X.itemsize, X.strides)


def test_item_at_an_index():
    t = Tensor(X)
    assert t.item(4) == X.item(4)
    assert t.item(1, 2) == X.item(1, 2)


def test_astype_without_a_copy():
    t = Tensor(X)
    assert np.shares_memory(t.astype(np.float64, copy=False).data, t.data)
    assert not np.shares_memory(t.astype(np.float64).data, t.data)


def test_fill():
    t = Tensor(np.zeros((2, 3)))
    t.fill(2)
    assert (t.data == 2).all()
    x = leaf(3.0)
    t.fill(x)
    t.sum().backward()
    assert x.grad == 6.0


@pytest.mark.skipif(not hasattr(gn, "sort"), reason="gn.sort is not there yet")
def test_sort_is_in_place_as_numpys():
    x = np.array([[3.0, 1.0, 2.0], [4.0, 6.0, 5.0]])
    t = Tensor(x)
    assert t.sort() is None
    assert x.tolist() == [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]

    def f(x):
        y = x * 2
        y.sort(axis=0)
        return y * y

    assert gn.gradcheck(f, np.array([[3.0, 1.0], [2.0, 4.0]]), order=2)
    with pytest.raises(RuntimeError, match=r"sort\(\) would overwrite a leaf"):
        leaf([1.0]).sort()


def test_as_a_complex_number():
    assert complex(Tensor(1.5)) == 1.5
    assert complex(Tensor([1 + 2j])) == 1 + 2j
    with pytest.raises(TypeError):
        float(Tensor(1 + 2j))


def test_a_method_that_does_not_exist():
    with pytest.raises(AttributeError):
        leaf(1.0).nonsense()
    with pytest.raises(AttributeError):
        leaf(1.0).nonsense = 1


# --- How it looks ---------------------------------------------------------------------------------


def test_repr():
    assert repr(Tensor(1.5)) == "Tensor(1.5, dtype=float64)"
    assert repr(Tensor([1, 2])) == "Tensor([1, 2], dtype=int64)"
    x = Tensor(np.array([1.5], np.float32), requires_grad=True, name="w")
    assert repr(x) == "Tensor([1.5], dtype=float32, requires_grad=True, name='w')"
    y = x * 2
    assert repr(y) == "Tensor([3.], dtype=float32, requires_grad=True, operator=multiply)"
    y.backward()
    assert repr(y) == "Tensor([3.], dtype=float32, requires_grad=True, operator=multiply (freed))"
    assert repr(x > 1) == "Tensor([ True], dtype=bool)"
    assert str(x) == repr(x)


def test_repr_of_several_rows_is_aligned():
    assert repr(Tensor([[1.0, 2.0], [3.0, 4.5]])).splitlines() == [
        "Tensor([[1. , 2. ],",
        "        [3. , 4.5]], dtype=float64)",
    ]


def test_repr_of_a_large_tensor_is_short():
    assert len(repr(Tensor(np.zeros((1000, 1000))))) < 1000


# --- Copies ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("again", [copy.deepcopy, lambda t: pickle.loads(pickle.dumps(t))])
@pytest.mark.parametrize("kind", [Tensor, Parameter])
def test_leaves_can_be_copied(again, kind):
    x = kind(np.array([1.0, 2.0], np.float32), requires_grad=True, name="w")
    x.grad = [3.0, 4.0]
    y = again(x)
    assert type(y) is kind
    assert (y.requires_grad, y.name, y.dtype) == (True, "w", np.float32)
    np.testing.assert_array_equal(y.data, x.data)
    np.testing.assert_array_equal(y.grad, x.grad)
    assert not np.shares_memory(x.data, y.data)
    assert not np.shares_memory(x.grad, y.grad)
    (y * y).sum().backward()
    assert y.grad.tolist() == [5.0, 8.0]
    assert x.grad.tolist() == [3.0, 4.0]


def test_a_shallow_copy_does_not_share_its_gradient():
    x = leaf([1.0])
    x.grad = [3.0]
    y = copy.copy(x)
    assert y.data is x.data
    assert y.grad is None or not np.shares_memory(x.grad, y.grad)


def test_results_cannot_be_copied():
    y = leaf(2.0) * 3
    for again in (copy.deepcopy, pickle.dumps):
        with pytest.raises(RuntimeError, match=r"only leaves can be.*t\.detach\(\).*t\.clone\(\)"):
            again(y)
    copy.deepcopy(y.detach())


def test_a_freed_result_does_not_become_a_leaf_by_copying():
    y = leaf(2.0) * 3
    y.backward()
    for again in (copy.deepcopy, pickle.dumps):
        with pytest.raises(RuntimeError, match="only leaves can be"):
            again(y)


def test_deepcopy_of_a_model_is_independent():
    model = gn.nn.Sequential(gn.nn.Linear(2, 2), gn.nn.ReLU())
    twin = copy.deepcopy(model)
    with gn.no_grad():
        for p in twin.parameters():
            p += 1.0
    assert not np.allclose(model[0].weight.data, twin[0].weight.data)
    twin(gn.Tensor(np.ones((1, 2), np.float32))).sum().backward()
    assert model[0].weight.grad is None
    assert twin[0].weight.grad is not None
