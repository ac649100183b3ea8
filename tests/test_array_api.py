"""GradNerve against the Array API standard, 2024.12, by the reference array-api-strict.

Is every function there, with the standard's parameters? Do values and dtypes agree on sample
inputs of every dtype that the standard allows?
"""

import inspect
import operator

import array_api_strict as strict
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

import gradnerve as gn


def words(text):
    return text.split()


# What another part of the project brings: `name`, or `name(parameter)`.
PENDING: set[str] = set()

CHAPTERS = {
    "": """
        arange asarray empty empty_like eye from_dlpack full full_like linspace meshgrid ones
        ones_like tril triu zeros zeros_like
        astype can_cast finfo iinfo isdtype result_type
        abs acos acosh add asin asinh atan atan2 atanh bitwise_and bitwise_left_shift bitwise_invert
        bitwise_or bitwise_right_shift bitwise_xor ceil clip conj copysign cos cosh divide equal exp
        expm1 floor floor_divide greater greater_equal hypot imag isfinite isinf isnan less
        less_equal log log1p log2 log10 logaddexp logical_and logical_not logical_or logical_xor
        maximum minimum multiply negative nextafter not_equal positive pow real reciprocal remainder
        round sign signbit sin sinh square sqrt subtract tan tanh trunc
        take take_along_axis
        matmul matrix_transpose tensordot vecdot
        broadcast_arrays broadcast_to concat expand_dims flip moveaxis permute_dims repeat reshape
        roll squeeze stack tile unstack
        argmax argmin count_nonzero nonzero searchsorted where
        unique_all unique_counts unique_inverse unique_values
        argsort sort
        cumulative_prod cumulative_sum max mean min prod std sum var
        all any diff
    """,
    "linalg": """
        cholesky cross det diagonal eigh eigvalsh inv matmul matrix_norm matrix_power matrix_rank
        matrix_transpose outer pinv qr slogdet solve svd svdvals tensordot trace vecdot vector_norm
    """,
    "fft": """
        fft ifft fftn ifftn rfft irfft rfftn irfftn hfft ihfft fftfreq rfftfreq fftshift ifftshift
    """,
}
FUNCTIONS = [
    f"{chapter}.{name}" if chapter else name
    for chapter, names in CHAPTERS.items()
    for name in names.split()
]

INTEGERS = ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"]
FLOATS = ["float32", "float64", "complex64", "complex128"]
DTYPES = ["bool", *INTEGERS, *FLOATS]


@pytest.fixture(autouse=True)
def _standard():
    strict.set_array_api_strict_flags(api_version="2024.12")
    with np.errstate(all="ignore"):
        yield
    strict.reset_array_api_strict_flags()


def find(library, name):
    for part in name.split("."):
        library = getattr(library, part)
    return library


# --- Is everything there? -------------------------------------------------------------------------


@pytest.mark.parametrize("name", FUNCTIONS)
def test_function_has_the_standards_parameters(name):
    if name in PENDING:
        pytest.skip(f"{name} is still to come")
    try:
        function = find(gn, name)
    except AttributeError:
        pytest.fail(f"gn.{name} is in the standard, and missing")
    ours = list(inspect.signature(function).parameters.values())
    standard = list(inspect.signature(find(strict, name)).parameters.values())
    if any(p.kind is p.VAR_POSITIONAL for p in standard):
        assert any(p.kind is p.VAR_POSITIONAL for p in ours)
        return
    names = {p.name: p for p in ours}
    positions = {p.name: i for i, p in enumerate(ours)}
    for i, parameter in enumerate(standard):
        if f"{name}({parameter.name})" in PENDING:
            continue
        if parameter.kind is not parameter.POSITIONAL_ONLY:
            assert parameter.name in names, f"gn.{name} lacks the parameter {parameter.name!r}"
            optional = parameter.default is not parameter.empty
            assert (names[parameter.name].default is not parameter.empty) >= optional
        if parameter.kind is not parameter.KEYWORD_ONLY:
            assert len(ours) > i, f"gn.{name} takes too few arguments by position"
            assert ours[i].kind is not ours[i].KEYWORD_ONLY
        if parameter.kind is parameter.POSITIONAL_OR_KEYWORD:
            assert positions[parameter.name] == i, f"gn.{name}: {parameter.name!r} is misplaced"


def test_what_is_pending_is_not_there_yet():
    """So that the set is emptied when the functions come."""
    for entry in PENDING:
        name, _, parameter = entry.rstrip(")").partition("(")
        try:
            function = find(gn, name)
        except AttributeError:
            continue
        assert parameter, f"{name} is there: take it out of PENDING"
        assert parameter not in inspect.signature(function).parameters, f"{entry} is there"


@pytest.mark.parametrize("name", ["e", "inf", "nan", "pi", "newaxis"])
def test_constants(name):
    np.testing.assert_equal(getattr(gn, name), getattr(strict, name))


@pytest.mark.parametrize("name", DTYPES)
def test_dtypes_are_numpys(name):
    dtype = getattr(gn, name)
    assert dtype == getattr(np, name)
    assert getattr(np, name) == dtype
    assert gn.Tensor(np.ones(2, name)).dtype == dtype
    assert gn.zeros(2, dtype=dtype).dtype == dtype
    assert len({dtype, np.dtype(name)}) == 1


def test_version():
    assert gn.__array_api_version__ == "2024.12"


METHODS = words(
    """
    __abs__ __add__ __and__ __array_namespace__ __bool__ __complex__ __dlpack__
    __dlpack_device__ __eq__ __float__ __floordiv__ __ge__ __getitem__ __gt__ __index__ __int__
    __invert__ __le__ __lshift__ __lt__ __matmul__ __mod__ __mul__ __ne__ __neg__ __or__ __pos__
    __pow__ __rshift__ __setitem__ __sub__ __truediv__ __xor__ to_device __iadd__ __isub__
    __imul__ __itruediv__ __ifloordiv__ __ipow__ __imod__ __imatmul__ __iand__ __ior__ __ixor__
    __ilshift__ __irshift__ __radd__ __rsub__ __rmul__ __rtruediv__ __rfloordiv__ __rpow__
    __rmod__ __rmatmul__ __rand__ __ror__ __rxor__ __rlshift__ __rrshift__
    """
)


@pytest.mark.parametrize("name", METHODS)
def test_methods(name):
    assert callable(getattr(gn.Tensor, name))
    if name in ("__array_namespace__", "__dlpack__", "__dlpack_device__", "to_device"):
        ours = inspect.signature(getattr(gn.Tensor, name)).parameters
        array = type(strict.ones(1))
        for parameter in inspect.signature(getattr(array, name)).parameters:
            assert parameter in ours, f"Tensor.{name} lacks {parameter!r}"


def test_attributes():
    x = gn.ones((2, 3), dtype=gn.float32)
    assert (x.dtype, x.device, x.ndim, x.shape, x.size) == (gn.float32, "cpu", 2, (2, 3), 6)
    assert x.T.shape == x.mT.shape == (3, 2)
    assert x.to_device("cpu") is x
    for bad in ("gpu", 1):
        with pytest.raises(ValueError, match="on the device 'cpu', the only one"):
            x.to_device(bad)


def test_namespace_of_a_tensor():
    x = gn.ones(1)
    assert x.__array_namespace__() is gn
    for version in ("2021.12", "2022.12", "2023.12", "2024.12"):
        assert x.__array_namespace__(api_version=version) is gn
    with pytest.raises(ValueError, match=r"array API version '2020.1': there are 2021\.12"):
        x.__array_namespace__("2020.1")


def test_namespace_info():
    info = gn.__array_namespace_info__()
    expected = strict.__array_namespace_info__()
    assert info.default_device() == "cpu"
    assert info.devices() == ["cpu"]
    assert info.capabilities().keys() == expected.capabilities().keys()
    assert info.default_dtypes() == {
        "real floating": gn.float64, "complex floating": gn.complex128, "integral": gn.int64,
        "indexing": gn.int64,
    }  # fmt: skip
    kinds = ["bool", "signed integer", "unsigned integer", "integral", "real floating",
             "complex floating", "numeric", ("bool", "integral"), None]  # fmt: skip
    for kind in kinds:
        found = info.dtypes(kind=kind)
        assert found.keys() == expected.dtypes(kind=kind).keys()
        assert all(getattr(gn, name) == dtype for name, dtype in found.items())


# --- Data type functions --------------------------------------------------------------------------


@pytest.mark.parametrize("name", FLOATS)
def test_finfo(name):
    expected = strict.finfo(getattr(strict, name))
    for given_as in (getattr(gn, name), name, gn.zeros(1, dtype=name), np.zeros(1, dtype=name)):
        found = gn.finfo(given_as)
        for field in ("bits", "eps", "max", "min", "smallest_normal"):
            value = getattr(found, field)
            assert type(value) is (int if field == "bits" else float)
            assert value == getattr(expected, field)
        assert found.dtype == {64: np.float64, 32: np.float32}[found.bits]
    with pytest.raises(TypeError, match="not an integer dtype; for floating point use finfo"):
        gn.iinfo(getattr(gn, name))


@pytest.mark.parametrize("name", INTEGERS)
def test_iinfo(name):
    expected = strict.iinfo(getattr(strict, name))
    for given_as in (getattr(gn, name), gn.zeros(1, dtype=name)):
        found = gn.iinfo(given_as)
        assert (found.bits, found.max, found.min) == (expected.bits, expected.max, expected.min)
        assert found.dtype == getattr(gn, name)
    with pytest.raises(TypeError, match="not a floating-point dtype; for integers use iinfo"):
        gn.finfo(getattr(gn, name))


def test_isdtype():
    kinds = ["bool", "signed integer", "unsigned integer", "integral", "real floating",
             "complex floating", "numeric"]  # fmt: skip
    for name in DTYPES:
        ours, theirs = getattr(gn, name), getattr(strict, name)
        for kind in kinds:
            assert gn.isdtype(ours, kind) == strict.isdtype(theirs, kind)
        assert gn.isdtype(ours, (kinds[0], "numeric"))
        assert gn.isdtype(ours, ours)
        assert gn.isdtype(ours, (gn.float32, gn.bool)) == (name in ("float32", "bool"))
    with pytest.raises(ValueError, match="kind"):
        gn.isdtype(gn.float32, "floaty")


@pytest.mark.parametrize("second", DTYPES)
@pytest.mark.parametrize("first", DTYPES)
def test_promotion(first, second):
    a, b = getattr(gn, first), getattr(gn, second)
    try:
        expected = strict.result_type(getattr(strict, first), getattr(strict, second))
    except TypeError:
        return  # the standard leaves mixed kinds open: NumPy's answer
    expected = expected._np_dtype
    assert gn.result_type(a, b) == expected
    x, y = gn.ones(2, dtype=a), gn.ones(2, dtype=b)
    assert gn.result_type(x, b) == gn.result_type(a, y.data, x) == expected
    assert gn.where(gn.asarray([True, False]), x, y).dtype == expected
    if first != "bool":
        assert (x * y).dtype == expected
    assert gn.can_cast(a, b) == gn.can_cast(x, b) == (expected == b)


def test_result_type_with_python_numbers():
    assert gn.result_type(gn.float32, 1.0, 2) == gn.float32
    assert gn.result_type(1, gn.int8) == gn.int8
    assert gn.result_type(gn.Tensor([1.0], dtype="float32"), 1j) == gn.complex64
    assert gn.result_type(True, gn.bool) == gn.bool
    assert gn.result_type(np.float64(1.0), gn.float32) == gn.float64, "a NumPy number is an array"


# --- Values and dtypes, on samples ----------------------------------------------------------------


def sample(name, shape=(2, 3), seed=0):
    """Numbers of a dtype, those that most functions take: inside (0, 1), or small."""
    rng = np.random.default_rng(seed)
    if name == "bool":
        return rng.integers(0, 2, shape).astype(bool)
    if name in INTEGERS:
        return rng.integers(1, 5, shape).astype(name)
    x = rng.uniform(0.1, 0.9, shape)
    return (x + 1j * rng.uniform(0.1, 0.9, shape) if name[0] == "c" else x).astype(name)


def agree(ours, theirs):
    """The same values, dtypes and shapes, in the same tuples and lists."""
    if isinstance(theirs, (tuple, list)):
        assert isinstance(ours, (tuple, list))
        assert getattr(ours, "_fields", None) == getattr(theirs, "_fields", None)
        assert len(ours) == len(theirs)
        for a, b in zip(ours, theirs, strict=True):
            agree(a, b)
        return
    expected = theirs._array if hasattr(theirs, "_array") else np.asarray(theirs)
    assert type(ours) is gn.Tensor
    assert ours.dtype == expected.dtype
    assert ours.shape == expected.shape
    tolerance = 1e-5 if expected.dtype in (np.float32, np.complex64) else 1e-12
    np.testing.assert_allclose(ours.data, expected, tolerance, tolerance)


def compare(name, *arrays, **options):
    """Call both libraries. Where the reference raises TypeError, a dtype is not of the standard."""
    try:
        theirs = find(strict, name)(*map(strict.asarray, arrays), **options)
    except TypeError:
        return
    agree(find(gn, name)(*(gn.Tensor(x) for x in arrays), **options), theirs)


UNARY = words(
    """
    abs acos acosh asin asinh atan atanh bitwise_invert ceil conj cos cosh exp expm1 floor imag
    isfinite isinf isnan log log1p log2 log10 logical_not negative positive real reciprocal
    round sign signbit sin sinh square sqrt tan tanh trunc all any argmax argmin argsort
    count_nonzero cumulative_prod cumulative_sum diff flip max mean min nonzero prod sort std
    sum unique_all unique_counts unique_inverse unique_values unstack var matrix_transpose
    ones_like zeros_like tril triu linalg.vector_norm linalg.matrix_norm linalg.pinv
    linalg.svdvals linalg.trace linalg.diagonal linalg.matrix_transpose
    """
)
BINARY = words(
    """
    add atan2 bitwise_and bitwise_left_shift bitwise_or bitwise_right_shift bitwise_xor copysign
    divide equal floor_divide greater greater_equal hypot less less_equal logaddexp logical_and
    logical_or logical_xor maximum minimum multiply nextafter not_equal pow remainder subtract
    broadcast_arrays vecdot
    """
)
NEEDS_AXIS = {"cumulative_prod", "cumulative_sum"}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", UNARY)
def test_unary_functions(name, dtype):
    if name in PENDING:
        pytest.skip(f"{name} is still to come")
    x = sample(dtype)
    if name == "acosh":
        x = x + np.ones(1, dtype)
    if name == "unique_values":  # the standard leaves their order open: array-api-strict's is none
        values = gn.unique_values(gn.Tensor(x))
        assert values.dtype == x.dtype
        np.testing.assert_array_equal(np.sort(values.data), np.unique(x))
        return
    compare(name, x, **({"axis": 1} if name in NEEDS_AXIS else {}))


@pytest.mark.parametrize("name", BINARY)
def test_binary_functions(name):
    if name in PENDING:
        pytest.skip(f"{name} is still to come")
    for first in DTYPES:
        for second in DTYPES:
            compare(name, sample(first), sample(second, (3,), 1))


CALLS = {
    "astype": lambda xp, x: xp.astype(x, xp.complex128),
    "broadcast_to": lambda xp, x: xp.broadcast_to(x, (2, 2, 3)),
    "clip": lambda xp, x: xp.clip(x, min=1, max=2),
    "concat": lambda xp, x: xp.concat([x, x[:1, :]], axis=0),
    "concat flat": lambda xp, x: xp.concat([x, x[:1, :]], axis=None),
    "expand_dims": lambda xp, x: xp.expand_dims(x, axis=1),
    "flip": lambda xp, x: xp.flip(x, axis=(0, 1)),
    "full_like": lambda xp, x: xp.full_like(x, 1),
    "full_like dtype": lambda xp, x: xp.full_like(x, 2, dtype=xp.float32),
    "ones_like dtype": lambda xp, x: xp.ones_like(x, dtype=xp.int16),
    "zeros_like dtype": lambda xp, x: xp.zeros_like(x, dtype=xp.complex64),
    "matmul": lambda xp, x: xp.matmul(x, xp.permute_dims(x, (1, 0))),
    "max": lambda xp, x: xp.max(x, axis=1, keepdims=True),
    "mean": lambda xp, x: xp.mean(x, axis=(0, 1)),
    "moveaxis": lambda xp, x: xp.moveaxis(x, 0, 1),
    "repeat": lambda xp, x: xp.repeat(x, 2, axis=1),
    "reshape": lambda xp, x: xp.reshape(x, (3, -1)),
    "roll": lambda xp, x: xp.roll(x, (1, -1), axis=(0, 1)),
    "searchsorted": lambda xp, x: xp.searchsorted(xp.sort(x[0, :]), x[1, :]),
    "squeeze": lambda xp, x: xp.squeeze(x[:1, :], axis=0),
    "stack": lambda xp, x: xp.stack([x, x], axis=1),
    "std": lambda xp, x: xp.std(x, axis=0, correction=1.0),
    "sum": lambda xp, x: xp.sum(x, axis=-1, keepdims=True),
    "take": lambda xp, x: xp.take(x, xp.asarray([0, 2, 2]), axis=1),
    "take_along_axis": lambda xp, x: xp.take_along_axis(x, xp.asarray([[0, 2], [1, 0]]), axis=1),
    "tensordot": lambda xp, x: xp.tensordot(x, x, axes=2),
    "tile": lambda xp, x: xp.tile(x, (2, 1)),
    "meshgrid": lambda xp, x: xp.meshgrid(x[0, :], x[1, :]),
    "var": lambda xp, x: xp.var(x, axis=1, correction=0.5, keepdims=True),
    "where": lambda xp, x: xp.where(xp.asarray([True, False, True]), x, xp.zeros_like(x)),
    "getitem": lambda xp, x: x[1, ::2],
    "getitem mask": lambda xp, x: x[xp.asarray([[True, False, True], [False, False, True]])],
    "asarray": lambda xp, x: xp.asarray(x, copy=True),
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", CALLS)
def test_calls(name, dtype):
    if name in PENDING:
        pytest.skip(f"{name} is still to come")
    x = sample(dtype)
    try:
        theirs = CALLS[name](strict, strict.asarray(x))
    except TypeError:
        return
    agree(CALLS[name](gn, gn.Tensor(x)), theirs)


CREATED = [
    lambda xp: xp.arange(5), lambda xp: xp.arange(1, 7, 2), lambda xp: xp.arange(0.0, 1.0, 0.3),
    lambda xp: xp.arange(3, dtype=xp.float32), lambda xp: xp.arange(5, 2, -1),
    lambda xp: xp.arange(-1), lambda xp: xp.linspace(0, 1, 5), lambda xp: xp.linspace(1, 0, num=0),
    lambda xp: xp.linspace(0, 1, 4, endpoint=False, dtype=xp.float32),
    lambda xp: xp.linspace(0, 1j, 3), lambda xp: xp.eye(3), lambda xp: xp.eye(2, 3, k=1),
    lambda xp: xp.eye(3, k=-1, dtype=xp.int8), lambda xp: xp.full((2, 3), 7),
    lambda xp: xp.full(3, 1.5), lambda xp: xp.full((), True), lambda xp: xp.full((2,), 1j),
    lambda xp: xp.full((2,), 1, dtype=xp.uint8), lambda xp: xp.zeros(3), lambda xp: xp.zeros(()),
    lambda xp: xp.zeros((2, 0), dtype=xp.bool), lambda xp: xp.ones((2, 3), dtype=xp.complex64),
    lambda xp: xp.ones(2), lambda xp: xp.asarray(1), lambda xp: xp.asarray([1.0, 2.0]),
    lambda xp: xp.asarray([[True], [False]]), lambda xp: xp.asarray([1, 2], dtype=xp.uint16),
    lambda xp: xp.asarray(2j), lambda xp: xp.asarray([]), lambda xp: xp.asarray(2, dtype=xp.int8),
]  # fmt: skip


@pytest.mark.parametrize("create", CREATED)
def test_creation(create):
    agree(create(gn), create(strict))


@pytest.mark.parametrize("dtype", DTYPES)
def test_empty_has_shape_and_dtype(dtype):
    for x in (gn.empty((2, 3), dtype=dtype), gn.empty_like(gn.zeros((2, 3), dtype=dtype))):
        assert (x.shape, x.dtype) == ((2, 3), dtype)
    assert gn.empty(4).dtype == gn.float64
    assert gn.empty_like(gn.zeros(3), dtype=dtype).dtype == dtype


# --- Operators, on numbers that Hypothesis thinks of ----------------------------------------------

OPERATORS = [
    operator.add, operator.sub, operator.mul, operator.truediv, operator.eq, operator.ne,
    operator.lt, operator.le, operator.gt, operator.ge, operator.and_, operator.or_, operator.xor,
]  # fmt: skip
IN_PLACE = [
    operator.iadd, operator.isub, operator.imul, operator.itruediv, operator.iand, operator.ior,
    operator.ixor,
]  # fmt: skip
NUMBERS = {"i": st.integers(1, 3), "u": st.integers(1, 3), "f": st.integers(1, 3).map(float)}
NUMBERS |= {"c": st.integers(1, 3).map(complex), "b": st.booleans()}


@st.composite
def pairs(draw):
    """Two arrays that broadcast, of one dtype or of two, and a number of the first one's kind."""
    shapes = draw(npst.mutually_broadcastable_shapes(num_shapes=2, max_dims=3, max_side=3))
    dtypes = draw(st.lists(st.sampled_from(DTYPES), min_size=2, max_size=2))
    if draw(st.booleans()):
        dtypes[1] = dtypes[0]
    arrays = []
    for dtype, shape in zip(dtypes, shapes.input_shapes, strict=True):
        numbers = NUMBERS[np.dtype(dtype).kind]
        arrays.append(draw(npst.arrays(dtype, shape, elements=numbers)))
    return (*arrays, draw(NUMBERS[arrays[0].dtype.kind]))


@settings(max_examples=150, deadline=None, derandomize=True)
@given(pairs(), st.sampled_from(OPERATORS))
def test_operators(case, op):
    first, second, number = case
    a, b = strict.asarray(first), strict.asarray(second)
    x, y = gn.Tensor(first), gn.Tensor(second)
    for ours, theirs in (((x, y), (a, b)), ((x, number), (a, number)), ((number, x), (number, a))):
        try:
            expected = op(*theirs)
        except TypeError:
            continue  # not of the standard
        agree(op(*ours), expected)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(pairs(), st.sampled_from(IN_PLACE))
def test_in_place_operators(case, op):
    first, second, number = case
    for other in (second, number):
        a, x = strict.asarray(first, copy=True), gn.Tensor(first.copy())
        same = x
        arrays = isinstance(other, np.ndarray)
        try:
            a = op(a, strict.asarray(other) if arrays else other)
        except (TypeError, ValueError):
            continue  # not of the standard: another dtype, or a larger shape
        x = op(x, gn.Tensor(other) if arrays else other)
        assert x is same
        agree(x, a)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.data(), st.sampled_from(DTYPES))
def test_writing(data, dtype):
    shape = data.draw(npst.array_shapes(min_dims=0, max_dims=3, max_side=4))
    key = data.draw(npst.basic_indices(shape, allow_newaxis=False))
    key = key if isinstance(key, tuple) else (key,)
    key = key if ... in key else (*key, ...)  # the standard asks for all axes
    first = sample(dtype, shape)
    value = sample(dtype, np.asarray(first[key]).shape, 1)
    theirs, ours = strict.asarray(first, copy=True), gn.Tensor(first.copy())
    recorded = gn.Tensor(first.copy(), requires_grad=True) * 1 if dtype in FLOATS else None
    theirs[key] = strict.asarray(value)
    ours[key] = gn.Tensor(value)
    agree(ours, theirs)
    if recorded is not None:
        recorded[key] = gn.Tensor(value)
        agree(recorded, theirs)
