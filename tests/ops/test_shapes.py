"""Functions that move elements: against the standard, NumPy and PyTorch; edges and mistakes."""

import inspect

import array_api_strict as strict
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gradnerve as gn

rng = np.random.default_rng(5)


def normal(*shape):
    return np.asarray(rng.standard_normal(shape))


def leaf(*shape):
    return gn.Tensor(normal(*shape), requires_grad=True)


def flat(result):
    """One array of all results, weighed so that none can be taken for another."""
    results = result if isinstance(result, (tuple, list)) else (result,)
    return gn.concat([(i + 1.0) * gn.reshape(r, (-1,)) for i, r in enumerate(results)])


def agree(got, expected):
    if isinstance(expected, (tuple, list)):
        assert isinstance(got, (tuple, list))
        assert len(got) == len(expected)
        for a, b in zip(got, expected, strict=True):
            agree(a, b)
        return
    expected = np.asarray(expected)
    got = got.data if isinstance(got, gn.Tensor) else got
    assert got.shape == expected.shape
    assert got.dtype == expected.dtype
    np.testing.assert_array_equal(got, expected)


# --- The standard ---------------------------------------------------------------------------------

STANDARD = [
    "broadcast_arrays", "broadcast_to", "concat", "expand_dims", "flip", "moveaxis",
    "permute_dims", "repeat", "reshape", "roll", "squeeze", "stack", "tile", "unstack", "meshgrid",
    "astype", "tril", "triu", "matrix_transpose",
]  # fmt: skip


@pytest.mark.parametrize("name", STANDARD)
def test_names_and_defaults_are_the_standards(name):
    own = inspect.signature(getattr(gn, name)).parameters
    for word, parameter in inspect.signature(getattr(strict, name)).parameters.items():
        assert word in own, f"gn.{name} has no {word!r}"
        if word != "device" and parameter.default is not parameter.empty:
            assert own[word].default == parameter.default


CALLS = {  # of the standard: the name, the shapes, and the other arguments
    "broadcast_arrays": [((2, 1), (3,), ())], "meshgrid": [((2,), (3,), (1,)), ((2,),), ()],
    "broadcast_to": [((2, 1), {"shape": (4, 2, 3)}), ((), {"shape": (2,)})],
    "expand_dims": [((2, 3), {"axis": -1}), ((2, 3), {"axis": 1}), ((), {"axis": 0})],
    "flip": [((2, 3), {}), ((2, 3), {"axis": -1}), ((2, 3), {"axis": (0, 1)})],
    "moveaxis": [((2, 3, 4), (0, -1)), ((2, 3, 4), ((0, 1), (-1, 0))), ((2, 3, 4), (2, 2))],
    "permute_dims": [((2, 3, 4), {"axes": (2, 0, 1)})],
    "repeat": [((2, 3), (2,)), ((2, 3), (2,), {"axis": -1}), ((2, 3), (0,), {"axis": 0}),
               ((0, 3), (2,), {"axis": 0})],
    "reshape": [((2, 3), {"shape": (3, -1)}), ((2, 3), {"shape": (6,), "copy": True})],
    "roll": [((2, 3), {"shift": 1}), ((2, 3), {"shift": (1, -1), "axis": (0, 1)}),
             ((2, 3), {"shift": 4, "axis": -1})],
    "squeeze": [((1, 3, 1), {"axis": (0, 2)}), ((3, 1), {"axis": -1})],
    "tile": [((2, 3), ((2,),)), ((2, 3), ((2, 1, 3),)), ((), ((2, 2),)), ((2, 3), ((0, 2),)),
             ((2, 3), ((),))],
    "unstack": [((2, 3), {}), ((2, 3), {"axis": -1})],
    "tril": [((3, 3), {}), ((2, 3, 3), {"k": -1})], "triu": [((3, 3), {}), ((2, 3), {"k": 1})],
    "matrix_transpose": [((2, 3, 4), {})],
}  # fmt: skip
VARIADIC = ("broadcast_arrays", "meshgrid")
CASES = [(name, call) for name, calls in CALLS.items() for call in calls]


@pytest.mark.parametrize(("name", "call"), CASES)
def test_standard_functions(name, call):
    if name in VARIADIC:
        arrays, args, options = [normal(*shape) for shape in call], (), {}
    else:
        shape, *rest = call
        options = rest.pop() if rest and isinstance(rest[-1], dict) else {}
        arrays, args = [normal(*shape)], rest[0] if rest else ()
    expected = getattr(strict, name)(*map(strict.asarray, arrays), *args, **options)
    if isinstance(expected, (tuple, list)):
        expected = tuple(np.asarray(e) for e in expected)
    f = getattr(gn, name)
    agree(f(*arrays, *args, **options), expected)
    agree(f(*map(gn.Tensor, arrays), *args, **options), expected)
    if arrays:
        by = lambda *xs: flat(f(*xs, *args, **options))
        assert gn.gradcheck(by, tuple(arrays), order=2)


@settings(max_examples=80, deadline=None, derandomize=True)
@given(data=st.data(), shape=st.lists(st.integers(0, 3), max_size=4).map(tuple))
def test_any_shape(data, shape):
    """On arrays of any shape the functions give what array-api-strict gives."""
    x = np.arange(float(np.prod(shape, dtype=int))).reshape(shape)
    axis = st.integers(-len(shape), len(shape) - 1) if shape else st.none()
    order = tuple(data.draw(st.permutations(range(len(shape)))))
    few = st.integers(0, 3)
    calls = {
        "permute_dims": ((), {"axes": order}),
        "moveaxis": ((order, tuple(data.draw(st.permutations(order)))), {}),
        "roll": ((), {"shift": data.draw(st.integers(-5, 5)), "axis": data.draw(axis)}),
        "flip": ((), {"axis": data.draw(axis)}),
        "repeat": ((data.draw(few),), {"axis": data.draw(axis)}),
        "tile": ((tuple(data.draw(st.lists(few, max_size=5))),), {}),
        "expand_dims": ((), {"axis": data.draw(st.integers(-len(shape) - 1, len(shape)))}),
        "broadcast_to": ((), {"shape": (data.draw(few), *shape)}),
    }
    if shape:
        calls["unstack"] = ((), {"axis": data.draw(axis)})
    for name, (args, options) in calls.items():
        expected = getattr(strict, name)(strict.asarray(x), *args, **options)
        if isinstance(expected, tuple):
            expected = tuple(map(np.asarray, expected))
        leaf = gn.Tensor(x, requires_grad=True)
        got = getattr(gn, name)(leaf, *args, **options)
        agree(got, expected)
        parts = got if isinstance(got, tuple) else (got,)
        if parts:  # each element's gradient is the number of its copies
            gn.concat(parts, axis=None).sum().backward()
            copies = np.bincount(np.ravel(expected).astype(int), minlength=x.size)
            np.testing.assert_allclose(leaf.grad.reshape(-1), copies)


@pytest.mark.parametrize("axis", [0, 1, -1, None])
def test_concat_and_stack(axis):
    arrays = [normal(2, 3), normal(2, 3)]
    agree(gn.concat(arrays, axis=axis), np.concatenate(arrays, axis=axis))
    assert gn.gradcheck(lambda *xs: gn.concat(xs, axis=axis), tuple(arrays), order=2)
    if axis is not None:
        agree(gn.stack(arrays, axis=axis), np.stack(arrays, axis=axis))
        assert gn.gradcheck(lambda *xs: gn.stack(xs, axis=axis), tuple(arrays), order=2)


def test_meshgrid_indexing():
    arrays = [normal(2), normal(3), normal(2)]
    for indexing in ("xy", "ij"):
        agree(gn.meshgrid(*arrays, indexing=indexing), np.meshgrid(*arrays, indexing=indexing))
    with pytest.raises(ValueError, match="indexing is 'xy' or 'ij', not 'yx'"):
        gn.meshgrid(*arrays, indexing="yx")
    with pytest.raises(ValueError, match=r"array 1 has shape \(2, 2\)"):
        gn.meshgrid(normal(2), normal(2, 2))


def test_lists_of_arrays_as_the_standard_has_them():
    x, y = gn.Tensor([1.0, 2.0]), gn.Tensor([3.0])
    for name in ("meshgrid", "broadcast_arrays"):
        assert type(getattr(gn, name)(x, y)) is list  # so until 2025.12
        assert type(getattr(np, name)(x, y)) is type(getattr(np, name)(x.data, y.data))


def test_broadcast_shapes():
    assert gn.broadcast_shapes() == ()
    assert gn.broadcast_shapes((2, 1), 3, (1, 1, 1)) == (1, 2, 3)
    assert gn.broadcast_shapes((0,), (1,)) == (0,)
    with pytest.raises(ValueError, match=r"shapes \(2,\), \(3,\) do not fit: \(3,\) with \(2,\)"):
        gn.broadcast_shapes((2,), (3,))


@pytest.mark.parametrize("kind", [np.asarray, gn.Tensor, list, tuple])
def test_repeats_of_each_element_in_any_form(kind):
    x = normal(2, 3)
    agree(gn.repeat(x, kind([2, 0, 3]), axis=1), np.repeat(x, [2, 0, 3], axis=1))
    agree(gn.repeat(x, kind([2]), axis=1), np.repeat(x, [2], axis=1))
    assert gn.gradcheck(lambda x: gn.repeat(x, kind([2, 0, 3]), axis=-1), x, order=2)
    agree(gn.repeat(np.ones(0), kind([])), np.repeat(np.ones(0), np.array([], int)))


def test_mistakes_in_repeat_and_tile():
    with pytest.raises(ValueError, match=r"axis 1 of shape \(2, 3\) needs one number, or 3"):
        gn.repeat(normal(2, 3), [1, 2], axis=1)
    with pytest.raises(ValueError, match="may not be negative"):
        gn.repeat(normal(2), -1)
    with pytest.raises(TypeError, match="whole numbers, got float64"):
        gn.repeat(normal(2), 1.5)
    with pytest.raises(ValueError, match="may not be negative"):
        gn.tile(normal(2), (2, -1))


def test_reshape_without_or_with_a_copy():
    x = normal(2, 3)
    assert np.shares_memory(gn.reshape(x, (6,), copy=False), x)
    assert not np.shares_memory(gn.reshape(x, (6,), copy=True), x)
    with pytest.raises(ValueError, match=r"reshape: .*copy"):
        gn.reshape(x.T, (6,), copy=False)


def test_axes_out_of_range_are_named():
    x = gn.Tensor(normal(2, 3))
    for call in (
        lambda: gn.moveaxis(x, 2, 0), lambda: gn.swapaxes(x, 0, -3), lambda: gn.unstack(x, axis=2),
        lambda: gn.split(x, 2, axis=5), lambda: gn.repeat(x, 2, axis=2), lambda: gn.flip(x, axis=2),
        lambda: gn.squeeze(x, 2), lambda: gn.expand_dims(x, 4), lambda: gn.concat([x, x], axis=2),
        lambda: gn.roll(x, 1, axis=3), lambda: gn.delete(x, 0, axis=2),
        lambda: gn.diagonal(x, axis1=2), lambda: gn.sliding_window_view(x, 2, axis=2),
    ):  # fmt: skip
        with pytest.raises(np.exceptions.AxisError, match=r"there is no axis|out of bounds"):
            call()
    with pytest.raises(np.exceptions.AxisError, match=r"moveaxis: there is no axis 2: .* \(2, 3\)"):
        gn.moveaxis(x, 2, 0)
    with pytest.raises(ValueError, match=r"moveaxis: axis 0 is named twice in \(0, -2\); its sha"):
        gn.moveaxis(x, (0, -2), (0, 1))
    for axis in ((0, 1), None, 0.5, "rows"):
        with pytest.raises(TypeError, match=r"unstack: an axis is a whole number, not "):
            gn.unstack(x, axis=axis)
    for call in (  # these took an axis that is not there for another one
        lambda: gn.linalg.norm(x, axis=2), lambda: gn.tensordot(x, x, axes=((2,), (0,))),
        lambda: gn.average(x, axis=2, weights=[1.0, 1.0]), lambda: gn.diag_embed(x, axis1=3),
        lambda: gn.linalg.tensorsolve(np.eye(2), np.ones(2), axes=(2,)),
    ):  # fmt: skip
        with pytest.raises(
            np.exceptions.AxisError, match=r"\w+: there is no axis [23]: .* its sha"
        ):
            call()
    with pytest.raises(ValueError, match="2 axes are to move, but there are 1 destinations"):
        gn.moveaxis(x, (0, 1), 0)
    with pytest.raises(ValueError, match=r"array 0 has \(2, 3\) and array 1 has \(3, 2\)"):
        gn.stack([x, normal(3, 2)])


# --- astype ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("source", ["float32", "float64", "complex64", "complex128"])
@pytest.mark.parametrize("target", ["float32", "float64", "complex64", "complex128"])
def test_astype_between_floating_dtypes(source, target, torch):
    if source[0] == "c" and target[0] == "f":
        for dtype in (target, np.dtype(target)):
            with pytest.raises(TypeError, match=f"{source} to {target} drops the imaginary"):
                gn.astype(gn.Tensor(np.ones(2, source)), dtype)
        return
    x = gn.Tensor(np.array([0.5, -2.0]).astype(source), requires_grad=True)
    y = gn.astype(x, np.dtype(target))
    ct = (np.array([1.0, 2.0]) + (1j if target[0] == "c" else 0)).astype(target)
    y.backward(ct)
    peer = torch.tensor(x.data, requires_grad=True)
    peer.to(getattr(torch, target)).backward(torch.tensor(ct))
    assert (y.dtype, x.grad.dtype) == (target, source)
    np.testing.assert_array_equal(x.grad, peer.grad.numpy())


@pytest.mark.parametrize("dtype", ["int64", "uint8", "bool"])
def test_astype_to_whole_numbers_is_a_plain_value(dtype):
    x = gn.Tensor([1.5, 0.0], requires_grad=True)
    y = gn.astype(x, dtype)
    assert not y.requires_grad
    assert y.dtype == dtype
    with pytest.raises(
        gn.errors.NoGradientPath,
        match=rf"cut by astype\(\) to {dtype}, which has no derivative at test_shapes.py:\d+ \(`y",
    ):
        (y * 2.0).sum().backward()
    agree(gn.astype(x.data, dtype), x.data.astype(dtype))


def test_astype_with_and_without_a_copy():
    x = gn.Tensor([1.5, 0.0])
    assert not np.shares_memory(gn.astype(x, "float64").data, x.data)
    assert gn.astype(x, "float64", copy=False).data is x.data
    assert gn.astype(x, "float64", device="cpu").tolist() == [1.5, 0.0]
    assert gn.astype(2.7, "int64") == 2
    with pytest.raises(ValueError, match="x is on device 'cpu'; move it to 'moon' first"):
        gn.astype(x, "float64", device="moon")


# --- NumPy's and PyTorch's favourites -------------------------------------------------------------

FAVOURITES = {  # the name: the shapes and further arguments
    "swapaxes": [((2, 3, 4), 0, -1), ((2, 3), 1, 1)],
    "ravel": [((2, 3),), ((),)],
    "atleast_1d": [((),), ((2,),)], "atleast_2d": [((),), ((2,),), ((2, 3),)],
    "atleast_3d": [((),), ((2,),), ((2, 3),), ((1, 2, 3),), ((1, 2, 3, 1),)],
    "split": [((6,), 3), ((6, 2), [1, 4]), ((2, 4), 2, -1), ((3,), [1, 1]), ((3,), [2, 1]),
              ((3,), [-1]), ((3,), [5, 7]), ((3,), [])],
    "array_split": [((7,), 3), ((2, 5), 2, 1), ((2,), 3), ((0,), 2)],
    "hsplit": [((4,), 2), ((2, 4), [1])], "vsplit": [((4, 2), 2)], "dsplit": [((1, 2, 4), 2)],
    "rot90": [((2, 3), k) for k in (-1, 0, 1, 2, 3)]
    + [((2, 3, 4), 1, (2, 0)), ((2, 3), 3, (1, 0))],
    "fliplr": [((2, 3),)], "flipud": [((2, 3),), ((2,),)],
    "diag": [((3,),), ((2,), 1), ((2,), -2), ((2, 3),), ((3, 2), -1), ((0,),)],
    "diagflat": [((2, 2),), ((2,), -1), ((),)],
    "diagonal": [((2, 3),), ((2, 3, 4), 1, 2, 0)],
    "insert": [((4,), 1, 5.0), ((4,), [0, 4, 4], [1.0, 2.0, 3.0]), ((2, 3), 1, 7.0),
               ((2, 3), 1, [1.0, 2.0], 1), ((2, 3), -1, [1.0, 2.0, 3.0], 0),
               ((4,), slice(1, 3), 2.0), ((2, 3), [2, 0], 7.0, 1), ((3,), [], []),
               ((3,), 2, [1.0, 2.0, 3.0]), ((2, 3), [1], [[1.0], [2.0]], 1)],
    "delete": [((4,), 1), ((4,), [0, -1]), ((2, 5), slice(None, None, 2), 1), ((3,), []),
               ((9,), [0, 2, 4, 6, 8]), ((20,), list(range(0, 20, 2))), ((2, 3), 1),
               ((3,), [0, 1, 2]), ((3,), np.array([True, False, True])), ((2, 3), -1, -1)],
    "append": [((2, 3), [[1.0, 2.0, 3.0]], 0), ((2,), 3.0), ((2, 3), [1.0])],
}  # fmt: skip
CASES = [(name, call) for name, calls in FAVOURITES.items() for call in calls]


@pytest.mark.parametrize(("name", "call"), CASES)
def test_favourites(name, call):
    shape, *args = call
    x = normal(*shape)
    f = getattr(gn, name)
    expected = getattr(np, name)(x, *args)
    agree(f(x, *args), expected)
    agree(f(gn.Tensor(x), *args), expected)
    assert gn.gradcheck(lambda x: flat(f(x, *args)), x, order=2)


STACKS = {
    "hstack": [[(2,), (3,)], [(2, 1), (2, 3)], [(), ()]],
    "vstack": [[(3,), (3,)], [(2, 3), (1, 3)], [(3,), (2, 3)]],
    "dstack": [[(3,), (3,)], [(2, 3), (2, 3)], [(2, 3, 1), (2, 3)]],
    "column_stack": [[(3,), (3,)], [(3,), (3, 2)]],
}
CASES = [(name, shapes) for name, several in STACKS.items() for shapes in several]


@pytest.mark.parametrize(("name", "shapes"), CASES)
def test_stacks(name, shapes):
    arrays = [normal(*shape) for shape in shapes]
    f = getattr(gn, name)
    agree(f(arrays), getattr(np, name)(arrays))
    assert gn.gradcheck(lambda *xs: f(xs), tuple(arrays), order=2)


def test_inserted_values_have_a_gradient():
    x, values = normal(2, 3), normal(2)
    for axis, index in ((1, 1), (1, [1]), (None, [0, 3])):
        shaped = values[:, None] if index == [1] else values
        agree(gn.insert(x, index, shaped, axis), np.insert(x, index, shaped, axis))
        by = lambda x, v, index=index, axis=axis: gn.insert(x, index, v, axis)
        assert gn.gradcheck(by, (x, shaped), order=2)


def test_atleast_of_several():
    a, b = gn.atleast_2d(leaf(2), 3.0)
    assert isinstance(a, gn.Tensor)
    assert (a.shape, b.shape) == ((1, 2), (1, 1))


# One helper reads the arguments of all functions. Some had their own, and there a list of Tensors
# was an error, as if it had left the graph.
@pytest.mark.parametrize(
    ("f", "expected"),
    [
        (lambda x: gn.average([x, 2 * x], weights=[1.0, 3.0]), 1.75),
        (lambda x: gn.nansum([x, x]), 2.0),
        (lambda x: gn.cumulative_sum([x, 2 * x]), 4.0),
        (lambda x: gn.median([x, 2 * x]), 1.5),
        (lambda x: gn.take([x, 2 * x], [1]), 2.0),
        (lambda x: gn.index_add([x, x], 0, [1], [x]), 3.0),
        (lambda x: gn.linalg.inner([x, x], [1.0, 2.0]), 3.0),
        (lambda x: gn.float_power([x, x], 2), 8.0),
    ],
)
def test_lists_of_tensors_stay_in_the_graph(f, expected):
    x = gn.Tensor(2.0, requires_grad=True)
    gn.sum(f(x)).backward()
    assert x.grad == expected


def test_lists_of_tensors():
    a, b = gn.Tensor(1.0, requires_grad=True), gn.Tensor(2.0, requires_grad=True)
    y = gn.diag([a, b])
    (y * y).sum().backward()
    assert (a.grad, b.grad) == (2.0, 4.0)


def test_flatten_is_pytorchs(torch):
    for shape, *args in (((2, 3, 4), 1), ((2, 3, 4), 0, 1), ((2, 3, 4),), ((),), ((2, 3), -1)):
        x = normal(*shape)
        agree(gn.flatten(x, *args), torch.flatten(torch.tensor(x), *args).numpy())
    assert gn.gradcheck(lambda x: gn.flatten(x, 1), normal(2, 2, 2), order=2)
    with pytest.raises(ValueError, match="start_dim 1 comes after end_dim 0"):
        gn.flatten(normal(2, 2), 1, 0)


def test_chunk_is_pytorchs(torch):
    for shape, *args in (((7,), 3), ((2, 6), 4, 1), ((3,), 5), ((4,), 1), ((0,), 2)):
        x = normal(*shape)
        expected = [part.numpy() for part in torch.chunk(torch.tensor(x), *args)]
        if shape == (0,):
            expected = expected[:1]  # PyTorch gives two empty ones
        agree(gn.chunk(x, *args), tuple(expected))
    assert gn.gradcheck(lambda x: flat(gn.chunk(x, 3)), normal(7), order=2)


def test_diag_embed_is_pytorchs(torch):
    for args in ((), (1,), (-2,), (0, 0, 1), (1, -1, 0), (0, 2, 0)):
        x = normal(2, 3)
        agree(gn.diag_embed(x, *args), torch.diag_embed(torch.tensor(x), *args).numpy())
        assert gn.gradcheck(lambda x, args=args: gn.diag_embed(x, *args), x, order=2)


def test_block():
    a, b, c = normal(2, 2), normal(2, 1), normal(3)
    f = lambda a, b, c: gn.block([[a, b], [c]])
    agree(f(a, b, c[None]), np.block([[a, b], [c[None]]]))
    agree(gn.block([c, c]), np.block([c, c]))
    agree(gn.block([[c], [c]]), np.block([[c], [c]]))
    agree(gn.block([[[a]], [[a]]]), np.block([[[a]], [[a]]]))
    agree(gn.block([[1.0, c]]), np.block([[1.0, c]]))
    assert gn.gradcheck(f, (a, b, c), order=2)
    with pytest.raises(ValueError, match="an empty list is no block"):
        gn.block([[a], []])


def test_select():
    x = normal(2, 3)
    f = lambda x, y: gn.select([x > 0.5, x > -0.5], [x * x, y], 3.0)
    expected = np.select([x > 0.5, x > -0.5], [x * x, np.full_like(x, 2.0)], 3.0)
    agree(f(x, np.full((2, 3), 2.0)), expected)
    assert gn.gradcheck(f, (x, normal(2, 3)), order=2)
    with pytest.raises(ValueError, match="1 conditions and 2 choices"):
        gn.select([x > 0], [x, x])


def test_unstack_costs_what_its_size_is():
    """As one operator: one gradient array of x, not one for each part."""
    x = gn.Tensor(np.ones((2000, 50)), requires_grad=True)
    total = sum(((i % 3) * part for i, part in enumerate(gn.unstack(x))), start=0.0)
    total.sum().backward()
    np.testing.assert_array_equal(x.grad[:, 0], np.arange(2000) % 3)


def test_parts_that_are_not_used_have_gradient_0():
    x = leaf(5)
    gn.split(x, [2, 4])[1].sum().backward()
    assert x.grad.tolist() == [0, 0, 1, 1, 0]


def test_mistakes_in_favourites():
    x = gn.Tensor(normal(4, 3), requires_grad=True)
    for call, kind, message in (
        (lambda: gn.split(x, 3), ValueError, r"axis 0 of shape \(4, 3\) is 4 long, which is not 3"),
        (lambda: gn.split(x, 0), ValueError, "not 0 equal parts"),
        (lambda: gn.array_split(x, 0), ValueError, "a section at least, got 0"),
        (lambda: gn.chunk(x, 0), ValueError, "got chunks=0"),
        (lambda: gn.dsplit(x, 1), ValueError, r"3 axes or more, got shape \(4, 3\)"),
        (lambda: gn.hsplit(gn.Tensor(1.0), 1), ValueError, "1 axes or more"),
        (lambda: gn.vsplit(x[0], 1), ValueError, "2 axes or more"),
        (lambda: gn.fliplr(x[0]), ValueError, "2 axes or more"),
        (lambda: gn.diag(gn.Tensor(normal(1, 2, 3))), ValueError, r"got shape \(1, 2, 3\): use"),
        (lambda: gn.diag_embed(1.0), ValueError, "got a single number"),
        (lambda: gn.diagonal(x[0]), ValueError, "diagonal: "),
        (lambda: gn.tril(x[0]), ValueError, r"tril: a triangle is part of a matrix.*\(3,\)"),
        (lambda: gn.insert(x, 9, 0.0, axis=0), IndexError, r"insert: shape \(4, 3\), axis 0: ind"),
        (lambda: gn.delete(x, 9, axis=0), IndexError, r"delete: shape \(4, 3\), axis 0: index 9"),
    ):  # fmt: skip
        with pytest.raises(kind, match=message):
            call()


# --- Windows --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shape", "args"),
    [((5,), (3,)), ((4, 5), ((2, 3),)), ((4, 5), (2, 1)), ((4, 5), ((2, 3), (1, 0))),
     ((5, 2), ((2, 3), (0, 0))), ((2, 3, 4), (2, -1)), ((3,), (0,))],
)  # fmt: skip
def test_sliding_windows(shape, args):
    x = normal(*shape)
    agree(gn.sliding_window_view(x, *args), np.lib.stride_tricks.sliding_window_view(x, *args))
    assert gn.gradcheck(lambda x: gn.sliding_window_view(x, *args), x, order=2)


def test_mistakes_in_windows():
    x = normal(3, 4)
    with pytest.raises(ValueError, match=r"of \(4,\) along axes \(0,\) is larger .* \(3, 4\)"):
        gn.sliding_window_view(x, 4, axis=0)
    with pytest.raises(ValueError, match=r"\(2,\) has 1 lengths, for 2 axes of shape \(3, 4\)"):
        gn.sliding_window_view(x, 2)
    with pytest.raises(ValueError, match="or negative"):
        gn.sliding_window_view(x, -1, axis=0)


def test_a_moving_average_has_the_gradient_of_a_convolution(torch):
    x = leaf(8)
    (gn.sliding_window_view(x, 3).mean(axis=-1) ** 2).sum().backward()
    peer = torch.tensor(x.data, requires_grad=True)
    (peer.unfold(0, 3, 1).mean(-1) ** 2).sum().backward()
    np.testing.assert_allclose(x.grad, peer.grad.numpy(), rtol=1e-13)


# --- Pad ------------------------------------------------------------------------------------------

WIDTHS = {(5,): [2, (1, 3), (0, 2), (7, 12), 0], (3, 4): [((2, 1), (0, 3)), 5, ((4, 0), (9, 1))]}
WIDTHS |= {(1,): [2], (2,): [7, (0, 5)], (2, 3, 2): [((1, 2), (2, 0), (0, 3))]}
MODES = [
    ("constant", {}), ("constant", {"constant_values": 2.5}),
    ("constant", {"constant_values": (1, 2)}), ("edge", {}), ("wrap", {}),
    ("reflect", {}), ("reflect", {"reflect_type": "odd"}), ("symmetric", {}),
    ("symmetric", {"reflect_type": "odd"}), ("linear_ramp", {}), ("linear_ramp", {"end_values": 3}),
    ("linear_ramp", {"end_values": (1.5, -2)}), ("maximum", {}), ("minimum", {}), ("mean", {}),
    ("median", {}), ("maximum", {"stat_length": 2}), ("minimum", {"stat_length": (1, 3)}),
    ("mean", {"stat_length": 2}), ("median", {"stat_length": (3, 2)}),
    ("mean", {"stat_length": 99}),
]  # fmt: skip
PADS = [(s, w, m, o) for s, widths in WIDTHS.items() for w in widths for m, o in MODES]


@pytest.mark.parametrize(("shape", "width", "mode", "options"), PADS)
def test_pad_in_every_mode(shape, width, mode, options):
    x = normal(*shape)
    y = gn.pad(x, width, mode, **options)
    np.testing.assert_allclose(y, np.pad(x, width, mode, **options), rtol=1e-12, atol=1e-13)
    assert gn.gradcheck(lambda x: gn.pad(x, width, mode, **options), x, order=2)


@pytest.mark.parametrize("dtype", ["int64", "uint8", "bool", "float32", "float16", "complex64"])
@pytest.mark.parametrize(("mode", "options"), MODES)
def test_pad_keeps_the_dtype(mode, options, dtype):
    if (dtype == "bool" and mode in ("linear_ramp", "mean", "median")) or "odd" in options.values():
        pytest.skip("NumPy does not, or subtracts booleans")
    if dtype == "complex64" and mode in ("maximum", "minimum", "median"):
        pytest.skip("complex numbers have no order")
    x = (rng.random((3, 4)) * 20).astype(dtype)
    expected = np.pad(x, 2, mode, **options)
    y = gn.pad(x, 2, mode, **options)
    assert y.dtype == expected.dtype
    loose = {"rtol": 2e-3, "atol": 2e-3} if dtype == "float16" else {"rtol": 1e-6}
    np.testing.assert_allclose(y, expected, **loose)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    n=st.integers(1, 5), widths=st.tuples(st.integers(0, 13), st.integers(0, 13)),
    mode=st.sampled_from(["edge", "wrap", "reflect", "symmetric"]), odd=st.booleans(),
)  # fmt: skip
def test_margins_of_any_width(n, widths, mode, odd):
    options = {"reflect_type": "odd"} if odd and mode in ("reflect", "symmetric") else {}
    x = np.arange(1.0, n + 1) ** 2
    np.testing.assert_allclose(
        gn.pad(x, widths, mode, **options), np.pad(x, widths, mode, **options)
    )


@pytest.mark.parametrize(
    ("mode", "peer"), [("reflect", "reflect"), ("edge", "replicate"), ("wrap", "circular")]
)
def test_pad_has_pytorchs_gradients(mode, peer, torch):
    x = leaf(1, 1, 4, 5)
    y = gn.pad(x, ((0, 0), (0, 0), (1, 2), (3, 1)), mode)
    ct = normal(*y.shape)
    y.backward(ct)
    theirs = torch.tensor(x.data, requires_grad=True)
    torch.nn.functional.pad(theirs, (3, 1, 1, 2), mode=peer).backward(torch.tensor(ct))
    np.testing.assert_allclose(x.grad, theirs.grad.numpy(), rtol=1e-13)


def test_widths_in_all_of_numpys_forms():
    x = normal(2, 3)
    for width in (1, (1,), (1, 2), ((1, 2),), ((1, 2), (0, 1)), np.array([[1], [2]]), [1, 2]):
        agree(gn.pad(x, width, "edge"), np.pad(x, width, "edge"))
    agree(gn.pad(x, {-1: (1, 2)}, "edge"), np.pad(x, ((0, 0), (1, 2)), "edge"))
    agree(gn.pad(x, {0: 1}), np.pad(x, ((1, 1), (0, 0))))
    agree(gn.pad(x, gn.Tensor([1, 2])), np.pad(x, (1, 2)))


def test_constants_and_ends_may_be_tensors():
    x, c = normal(2, 3), normal(2, 2)
    f = lambda x, c: gn.pad(x, ((1, 2), (0, 1)), constant_values=c)
    for values in (normal(), normal(2), c):
        np.testing.assert_array_equal(
            f(x, gn.Tensor(values)).data, np.pad(x, ((1, 2), (0, 1)), constant_values=values)
        )
        assert gn.gradcheck(f, (x, values), order=2)
    ramp = lambda x, c: gn.pad(x, 2, "linear_ramp", end_values=c)
    np.testing.assert_allclose(
        ramp(x, gn.Tensor(c)).data, np.pad(x, 2, "linear_ramp", end_values=c), rtol=1e-13
    )
    assert gn.gradcheck(ramp, (x, c), order=2)
    end = gn.Tensor(2.0, requires_grad=True)
    gn.pad(x, 1, constant_values=(0.0, end)).sum().backward()
    assert end.grad == 3 + 4


def test_ties_share_and_medians_go_by_place():
    x = gn.Tensor([3.0, 3.0, 1.0], requires_grad=True)
    gn.pad(x, (1, 0), "maximum")[0].backward()
    assert x.grad.tolist() == [0.5, 0.5, 0]
    x = gn.Tensor([3.0, 2.0, 2.0, 1.0], requires_grad=True)
    gn.pad(x, (1, 0), "median")[0].backward()
    assert x.grad.tolist() == [0, 0.5, 0.5, 0]


def test_median_of_nan_is_nan():
    x = np.array([[1.0, np.nan, 3.0], [1.0, 2.0, 6.0]])
    np.testing.assert_array_equal(gn.pad(x, ((0, 0), (1, 0)), "median")[:, 0], [np.nan, 2.0])


def test_pad_with_values_that_are_tensors():
    ends = gn.Tensor([5.0, 7.0], requires_grad=True)
    one = gn.Tensor(3.0, requires_grad=True)
    y = gn.pad(np.zeros((1, 2)), 1, constant_values=[ends, [one, one]])
    np.testing.assert_array_equal(y.data, [[3, 5, 5, 3], [3, 0, 0, 3], [3, 7, 7, 3]])
    (y * np.arange(12.0).reshape(3, 4)).sum().backward()
    assert ends.grad.tolist() == [1.0 + 2.0, 9.0 + 10.0]
    assert one.grad == 0 + 3 + 4 + 7 + 8 + 11


def test_mistakes_in_pad():
    x = gn.Tensor(normal(2, 3), requires_grad=True)
    for call, kind, message in (
        (lambda: gn.pad(x, 1, "mirror"), ValueError, "mode 'mirror' is none of 'constant', 'lin"),
        (lambda: gn.pad(x, 1, lambda *a: None), TypeError, "function as mode writes into its"),
        (lambda: gn.pad(x, 1, "empty"), NotImplementedError, "use mode='constant', or x.detach"),
        (lambda: gn.pad(x, -1), ValueError, "may not be negative, got -1; slice to shorten"),
        (lambda: gn.pad(x, 1.5), TypeError, "whole numbers, got 1.5"),
        (lambda: gn.pad(x, (1, 2, 3)), ValueError, r"each of the 2 axes of shape \(2, 3\)"),
        (lambda: gn.pad(x, 1, "reflect", reflect_type="no"), ValueError, "'even' or 'odd', not"),
        (lambda: gn.pad(x, 1, "edge", stat_length=2), ValueError, "'edge' does not take stat_leng"),
        (lambda: gn.pad(x, 1, "edge", constant_values=1), ValueError, "does not take constant_val"),
        (lambda: gn.pad(x, 1, "mean", stat_length=0), ValueError, "stat_length is 1 or more"),
        (lambda: gn.pad(x[:0], 1, "edge"), ValueError, r"axis 0 of shape \(0, 3\) is empty"),
        (lambda: gn.pad(x, {5: 1}), np.exceptions.AxisError, "pad: there is no axis 5"),
    ):  # fmt: skip
        with pytest.raises(kind, match=message):
            call()
    assert gn.pad(x.detach(), 1, "empty").shape == (4, 5)
    agree(gn.pad(x[:0], ((0, 0), (1, 1)), "edge").data, np.zeros((0, 5)))


def test_block_names_the_depths_that_differ():
    a = gn.Tensor([1.0])
    with pytest.raises(ValueError, match="nested 1 deep in one place and 2 in another"):
        gn.block([a, [a]])


def test_delete_takes_its_places_as_a_tensor():
    x = gn.Tensor([1.0, 2.0, 3.0], requires_grad=True)
    y = gn.delete(x, gn.Tensor([0, 2]))
    y.sum().backward()
    assert y.tolist() == [2.0]
    assert x.grad.tolist() == [0.0, 1.0, 0.0]
