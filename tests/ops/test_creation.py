"""Functions that make Tensors, beyond the standard: the graph, arrays, and errors."""

import numpy as np
import pytest

import gradnerve as gn
from gradnerve import Tensor


def leaf(value):
    return Tensor(np.array(value, dtype=np.float64), requires_grad=True)


def test_asarray_shares_what_it_can():
    x = np.ones(3)
    assert gn.asarray(x).data is x
    assert gn.asarray(x, copy=False).data is x
    assert gn.asarray(x, dtype=gn.float64).data is x
    assert not np.shares_memory(gn.asarray(x, copy=True).data, x)
    t = Tensor(x)
    assert gn.asarray(t) is t
    assert gn.asarray(t, copy=False) is t
    assert gn.asarray(t, device="cpu") is t
    assert not np.shares_memory(gn.asarray(t, copy=True).data, x)
    assert gn.asarray(t, dtype="float32").dtype == np.float32
    for bad in (lambda: gn.asarray(t, dtype=gn.float32, copy=False),
                lambda: gn.asarray(x, dtype=gn.float32, copy=False),
                lambda: gn.asarray([1.0], copy=False),
                lambda: gn.asarray([t, t], copy=False)):  # fmt: skip
        with pytest.raises(ValueError, match="copy"):
            bad()


def test_asarray_drops_imaginary_parts_with_numpys_warning():
    z = np.array([1.5 + 2j, 3j], dtype=np.complex64)
    for obj, shape in ((Tensor(z), (2,)), ([Tensor(z), Tensor(z)], (2, 2)), (z, (2,))):
        for dtype in (np.float32, np.dtype("uint8"), "float64"):
            with pytest.warns(np.exceptions.ComplexWarning, match="imaginary part"):
                x = gn.asarray(obj, dtype=dtype)
            assert x.dtype == dtype and x.shape == shape
            np.testing.assert_array_equal(x.data, np.broadcast_to(z.real, shape).astype(dtype))
    assert gn.asarray(Tensor(z), dtype=bool).tolist() == [True, True]  # whether it is not 0

    t = Tensor(z, requires_grad=True)
    with pytest.warns(np.exceptions.ComplexWarning, match="complex64 to float32 drops the imagin"):
        gn.asarray(t, dtype="float32").sum().backward()
    assert t.grad.tolist() == [1.0, 1.0]


def test_asarray_stays_in_the_graph():
    x = leaf([1.0, 2.0])
    assert gn.asarray(x) is x
    assert gn.gradcheck(lambda x: gn.asarray(x, copy=True) * x, x.data, order=2)
    y = gn.asarray(x, dtype=gn.float32)
    y.sum().backward()
    assert x.grad.tolist() == [1.0, 1.0]

    def f(x):
        return gn.asarray([[x[0], x[0] * x[1]], [2.0, x[1] ** 2]])

    assert f(x).shape == (2, 2)
    assert f(x).requires_grad
    assert gn.gradcheck(f, np.array([0.3, 0.7]), order=2)
    assert gn.asarray([Tensor(1), Tensor(2)]).dtype == np.int64
    assert gn.asarray((x, [3.0, 4.0]), dtype="float32").dtype == np.float32


@pytest.mark.parametrize("bad", ["a", None, ["a"], object(), {"a": 1}])
def test_asarray_of_what_is_no_array_of_numbers(bad):
    with pytest.raises(TypeError, match=r"cannot make a Tensor of \w+: it takes numbers"):
        gn.asarray(bad)
    with pytest.raises((TypeError, ValueError)):
        gn.asarray(bad, dtype=gn.float32)


def test_asarray_of_ragged_lists():
    with pytest.raises(ValueError, match="lists of numbers with equal lengths"):
        gn.asarray([[1.0, 2.0], [3.0]])
    with pytest.raises(ValueError, match="concat"):
        gn.asarray([leaf([1.0, 2.0]), leaf([3.0])])


def test_integers_that_do_not_fit():
    with pytest.raises(OverflowError):
        gn.asarray(300, dtype=gn.uint8)


def test_full_of_a_tensor_is_differentiated():
    assert gn.gradcheck(lambda x: gn.full((2, 3), x) * x, np.array(1.5), order=2)
    assert gn.gradcheck(lambda x: gn.full(2, x[0]), np.array([1.5, 2.0]))
    assert gn.gradcheck(lambda x: gn.full_like(Tensor(np.ones(3)), x), np.array(1.5))
    x = leaf(2.0)
    y = gn.full((2,), x)
    y[0] = 5.0  # it has memory of its own
    assert y.data.tolist() == [5.0, 2.0]
    assert gn.full_like(Tensor([1, 2]), Tensor(3.5)).dtype == np.int64


def test_numbers_may_be_tensors():
    assert gn.arange(Tensor(3)).data.tolist() == [0, 1, 2]
    assert gn.linspace(Tensor(0.0), Tensor(1.0), 3).data.tolist() == [0.0, 0.5, 1.0]
    for make in (lambda x: gn.arange(x), lambda x: gn.linspace(0.0, x, 3)):
        with pytest.raises(RuntimeError, match=r"(arange|linspace)\(\) would take this tensor out"):
            make(leaf(2.0))


@pytest.mark.parametrize("name", ["zeros_like", "ones_like", "empty_like", "full_like"])
def test_like_in_like_out(name):
    make, fill = getattr(gn, name), [3] if name == "full_like" else []
    for x in (np.ones((2, 3), np.float32), leaf([1.0, 2.0]), Tensor([1, 2])):
        for options in ({}, {"dtype": gn.int16}, {"device": "cpu"}):
            y = make(x, *fill, **options)
            assert type(y) is type(x)
            assert y.shape == x.shape
            assert y.dtype == options.get("dtype", x.dtype)
            if isinstance(y, Tensor):
                assert not y.requires_grad
    value = {"zeros_like": 0, "ones_like": 1, "full_like": 3}.get(name)
    if value is not None:
        assert (make(np.ones(2), *fill, dtype=gn.int8) == value).all()


@pytest.mark.parametrize(
    "make",
    [lambda d: gn.zeros(2, device=d), lambda d: gn.ones(2, device=d), lambda d: gn.eye(2, device=d),
     lambda d: gn.empty(2, device=d), lambda d: gn.full(2, 1.0, device=d),
     lambda d: gn.arange(2, device=d), lambda d: gn.linspace(0, 1, 2, device=d),
     lambda d: gn.asarray(1.0, device=d), lambda d: gn.from_dlpack(np.ones(2), device=d),
     lambda d: gn.zeros_like(np.ones(2), device=d),
     lambda d: gn.full_like(gn.ones(2), 2, device=d)],
)  # fmt: skip
def test_devices(make):
    make("cpu")
    make(None)
    with pytest.raises(ValueError, match="device 'cuda': NumPy's arrays are on the device 'cpu'"):
        make("cuda")


def test_bad_shapes_and_dtypes():
    with pytest.raises(ValueError, match="negative"):
        gn.zeros(-1)
    with pytest.raises(TypeError, match="cannot make a Tensor"):
        gn.zeros(2, dtype=object)
    with pytest.raises(TypeError):
        gn.ones(2, dtype="nonsense")


# --- DLPack ---------------------------------------------------------------------------------------


def test_dlpack_there_and_back(torch):
    t = gn.arange(6, dtype=gn.float32).reshape(2, 3)
    peer = torch.from_dlpack(t)
    peer[0, 0] = 7.0
    assert t.data[0, 0] == 7.0, "the memory is shared"
    back = gn.from_dlpack(peer * 2)
    assert type(back) is Tensor
    np.testing.assert_array_equal(back.data, t.data * 2)
    again = gn.from_dlpack(t, copy=True)
    again[0, 0] = 1.0
    assert t.data[0, 0] == 7.0
    assert np.from_dlpack(t).shape == (2, 3)
    assert t.__dlpack_device__() == (1, 0)


def test_dlpack_of_a_part_of_the_graph():
    with pytest.raises(BufferError, match=r"DLPack would take this tensor out.*t\.detach\(\)"):
        np.from_dlpack(leaf([1.0]) * 2)


# --- In rules -------------------------------------------------------------------------------------


def test_zeros_like_in_a_rule_is_a_plain_array_or_a_tensor():
    seen = []

    @gn.operator
    def stepped(x):
        return np.floor(x)

    @stepped.rule("x", r"\bar x = 0")
    def _(ct):
        seen.append(type(gn.zeros_like(ct)))
        return gn.zeros_like(ct) + gn.ones_like(ct, dtype=ct.dtype)

    stepped(leaf([1.5])).sum().backward()
    list(gn.graph.flow(stepped(leaf(1.5)), Tensor(np.ones(())), as_tensors=True))
    assert seen == [np.ndarray, Tensor]
