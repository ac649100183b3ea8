"""Every operator in the registry, on every sample of `samples.py`."""

import inspect
import sys
import warnings
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from samples import REGISTERED, ROWS

import gradnerve as gn
from gradnerve import graph, ops

CASES = [
    pytest.param(name, sample, id=f"{name}({sample!r})")
    for name, row in ROWS.items()
    for sample in row.samples
]
DIFFERENTIABLE = [case for case in CASES if REGISTERED[case.values[0]].operator.differentiable]
# of graph, custom, control, and of hooks
INTERNAL = ("output", "by_rule", "recomputed", "scanned", "chosen", "watched")
COMPILED = ("scanned", "chosen")  # of loops in compiled code: see tests/test_jit.py
FLOAT32_AND_64_ONLY = ("expm", "cofactor", "sinc")
SHORTEST = (("x",), ("x1", "x2"))
EVERY = pytest.mark.parametrize(("name", "sample"), CASES)
EVERY_DIFFERENTIABLE = pytest.mark.parametrize(("name", "sample"), DIFFERENTIABLE)


def function(name):
    return ROWS[name].call or REGISTERED[name]


def is_float(value):
    return isinstance(value, np.ndarray) and value.dtype.kind in "fc"


def numbers_like(y, rng):
    """Random numbers for the elements of y, complex if it is."""
    numbers = rng.standard_normal(y.shape)
    if y.dtype.kind == "c":
        numbers = numbers + 1j * rng.standard_normal(y.shape)
    return np.asarray(numbers).astype(y.dtype)


def single(x):
    return x.astype(np.complex64 if x.dtype.kind == "c" else np.float32)


def with_floats(sample, convert):
    """The arguments and options of a sample, its arrays of floating point converted."""
    args = [convert(a) if is_float(a) else a for a in sample.args]
    return args, {k: convert(v) if is_float(v) else v for k, v in sample.options.items()}


def split(sample):
    """The arrays of floating point, and a function that puts others in their place."""
    floats = [v for v in (*sample.args, *sample.options.values()) if is_float(v)]

    def call(f, values):
        rest = iter(values)
        args, options = with_floats(sample, lambda _: next(rest))
        return f(*args, **options)

    return floats, call


def evaluated(f, sample, convert):
    """The value, a cotangent for it, and the gradients by all inputs."""
    floats, call = split(sample)
    leaves = [gn.Tensor(convert(x), requires_grad=True) for x in floats]
    y = call(f, leaves)
    ct = numbers_like(y, np.random.default_rng(1))
    y.backward(ct)
    return y.data, ct, [leaf.grad for leaf in leaves]


# --- Is everything there? -------------------------------------------------------------------------


SAMPLED = [name for name in REGISTERED if name not in COMPILED]


@pytest.mark.parametrize("name", SAMPLED)
def test_has_samples(name):
    assert name in ROWS, f"operator {name!r} has no row in tests/ops/samples.py: write one"


@pytest.mark.parametrize("name", ROWS)
def test_row_is_for_an_operator(name):
    assert name in REGISTERED, f"tests/ops/samples.py has a row for {name!r}, which is no operator"


@pytest.mark.parametrize("name", SAMPLED)
def test_every_differentiable_input_has_a_sample(name):
    op = REGISTERED[name].operator
    if ROWS[name].call is not None:
        return
    for input_name in op.formulas:
        position = op.names.index(input_name)
        given_as_array = any(
            is_float(sample.options.get(input_name))
            or any(
                is_float(arg)
                for arg in sample.args[position : None if op.variadic else position + 1]
            )
            for sample in ROWS[name].samples
        )
        assert given_as_array, f"no sample of {name!r} has an array for its input {input_name!r}"


@pytest.mark.parametrize("name", REGISTERED)
def test_has_docstring_and_formulas(name):
    op = REGISTERED[name].operator
    assert REGISTERED[name].__doc__, f"{name} has no docstring"
    for input_name, formula in op.formulas.items():
        assert r"\bar" in formula or r"\overline" in formula, f"{name}: {input_name}: {formula!r}"


@pytest.mark.parametrize("name", REGISTERED)
def test_is_public_in_ops(name):
    if name not in INTERNAL:
        assert callable(getattr(ops, name)), f"gradnerve.ops lacks {name}"


def test_chapters_offer_no_name_twice():
    chapters = [m for n, m in sys.modules.items() if n.startswith("gradnerve.ops.")]
    names = [name for chapter in chapters for name in getattr(chapter, "__all__", ())]
    assert not [name for name, times in Counter(names).items() if times > 1]
    assert set(names) - set(gn.fft.__all__) <= set(dir(gn))


# --- Values ---------------------------------------------------------------------------------------


@EVERY
def test_value(name, sample):
    expected = np.asarray(ROWS[name].value(*sample.args, **sample.options))
    args, options = with_floats(sample, gn.Tensor)
    if not any(isinstance(a, gn.Tensor) for a in (*args, *options.values())):
        args[0] = gn.Tensor(args[0])
    y = function(name)(*args, **options)
    assert type(y) is gn.Tensor
    assert type(y.data) is np.ndarray, "the data of a Tensor is an array, never a NumPy scalar"
    assert y.shape == expected.shape
    np.testing.assert_allclose(y.data, expected, rtol=1e-13, atol=1e-14)
    if name not in ("window_argmax", "softmax_cross_entropy"):
        assert y.dtype == expected.dtype


@EVERY
def test_plain_arrays_give_the_same_plain_array(name, sample):
    if name in INTERNAL or name == "together":
        return
    y = function(name)(*sample.args, **sample.options)
    assert isinstance(y, (np.ndarray, np.generic)), "plain arrays in, a plain array out"
    args, options = with_floats(sample, gn.Tensor)
    if not any(isinstance(a, gn.Tensor) for a in (*args, *options.values())):
        args[0] = gn.Tensor(args[0])
    np.testing.assert_array_equal(y, function(name)(*args, **options).data)


@EVERY
def test_inputs_are_left_alone(name, sample):
    before = [np.copy(a) for a in sample.args if isinstance(a, np.ndarray)]
    args, options = with_floats(sample, lambda x: gn.Tensor(x, requires_grad=True))
    y = function(name)(*args, **options)
    if isinstance(y, gn.Tensor) and y.requires_grad:
        y.backward(np.ones(y.shape))
    after = [a for a in sample.args if isinstance(a, np.ndarray)]
    for a, b in zip(before, after, strict=True):
        np.testing.assert_array_equal(a, b, err_msg=f"{name} wrote into its input")


@pytest.mark.parametrize(
    ("name", "sample"), [c for c in CASES if not REGISTERED[c.values[0]].operator.differentiable]
)
def test_plain_value_is_cut_from_the_graph(name, sample):
    args, options = with_floats(sample, lambda x: gn.Tensor(x, requires_grad=True))
    y = REGISTERED[name](*args, **options)
    if any(isinstance(a, gn.Tensor) for a in args):
        assert not y.requires_grad
        with pytest.raises(gn.errors.NoGradientPath, match=f"{name}\\(\\), which has no deriv"):
            y.backward(np.ones(y.shape))


# --- Gradients ------------------------------------------------------------------------------------


@EVERY_DIFFERENTIABLE
def test_gradient_by_finite_differences(name, sample):
    floats, call = split(sample)
    assert gn.gradcheck(lambda *xs: call(function(name), xs), tuple(floats), order=ROWS[name].order)


@EVERY_DIFFERENTIABLE
def test_one_input_alone(name, sample):
    """Where one input requires grad and the others do not, its gradient is the same."""
    floats, call = split(sample)
    _, ct, gradients = evaluated(function(name), sample, np.copy)
    for i, expected in enumerate(gradients):
        leaves = [gn.Tensor(x, requires_grad=i == j) for j, x in enumerate(floats)]
        call(function(name), leaves).backward(ct)
        np.testing.assert_array_equal(leaves[i].grad, expected)
        assert all(leaf.grad is None for j, leaf in enumerate(leaves) if j != i)
        mixed = [leaves[i] if i == j else x for j, x in enumerate(floats)]
        leaves[i].zero_grad()
        call(function(name), mixed).backward(ct)
        np.testing.assert_array_equal(leaves[i].grad, expected, "with arrays beside the Tensor")


SHORT = [c for c in DIFFERENTIABLE if REGISTERED[c.values[0]].operator.names in SHORTEST]


@pytest.mark.parametrize(("name", "sample"), SHORT)
def test_the_shortcut_gives_what_the_whole_call_gives(name, sample):
    """Debug mode takes the whole call."""
    value, _, gradients = evaluated(function(name), sample, np.copy)
    with gn.debug_mode(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns of outer sums, which some samples are
        try:
            whole, _, expected = evaluated(function(name), sample, np.copy)
        except gn.errors.NonFinite:
            pytest.skip("this sample has an infinity, which debug mode refuses")
    np.testing.assert_array_equal(value, whole)
    for got, gradient in zip(gradients, expected, strict=True):
        np.testing.assert_array_equal(got, gradient)


@EVERY_DIFFERENTIABLE
def test_value_and_gradient_by_pytorch(name, sample, torch):
    peer = ROWS[name].torch
    if peer is None or not sample.peer:
        pytest.skip("PyTorch has no such call; NumPy and finite differences have checked it")
    value, ct, gradients = evaluated(function(name), sample, np.copy)
    leaves = []

    def to_torch(x):
        if not isinstance(x, np.ndarray):
            return tuple(map(to_torch, x)) if isinstance(x, tuple) and type(x) is tuple else x
        t = torch.tensor(x, requires_grad=x.dtype.kind in "fc")
        if x.dtype.kind in "fc":
            leaves.append(t)
        return t

    args = [to_torch(a) for a in sample.args]
    options = {k: to_torch(v) for k, v in sample.options.items()}
    y = peer(torch, *args, **options)
    np.testing.assert_allclose(value, y.detach().resolve_conj().numpy(), rtol=1e-12, atol=1e-13)
    found = torch.autograd.grad(y, leaves, torch.tensor(ct), allow_unused=True)
    for got, leaf, expected in zip(gradients, leaves, found, strict=True):
        expected = torch.zeros_like(leaf) if expected is None else expected
        np.testing.assert_allclose(got, expected.resolve_conj().numpy(), rtol=1e-11, atol=1e-12)


@EVERY_DIFFERENTIABLE
def test_float32_stays(name, sample):
    if name == "astype":
        return
    y, _, gradients = evaluated(function(name), sample, single)
    expected, _, exact = evaluated(function(name), sample, np.copy)
    assert y.dtype in (np.float32, np.complex64) or any(
        isinstance(a, (list, np.float64)) for a in sample.args
    )
    np.testing.assert_allclose(y, expected, rtol=2e-4, atol=2e-5)
    for gradient, g in zip(gradients, exact, strict=True):
        assert gradient.dtype == single(g).dtype, "a gradient has the dtype of its data"
        assert type(gradient) is np.ndarray
        np.testing.assert_allclose(gradient, g, rtol=5e-4, atol=2e-4)


def half(x):
    return x.astype(np.complex64 if x.dtype.kind == "c" else np.float16)


def extended(x):
    return x.astype(np.clongdouble if x.dtype.kind == "c" else np.longdouble)


# LAPACK, FFTs and SciPy's special functions have no such numbers.
@EVERY_DIFFERENTIABLE
@pytest.mark.parametrize("convert", [half, extended])
def test_other_precisions_stay_where_numpy_has_them(name, sample, convert):
    if name in FLOAT32_AND_64_ONLY:
        return
    args, options = with_floats(sample, convert)
    try:
        ROWS[name].value(*args, **options)
    except TypeError:
        return
    with np.errstate(all="ignore"):
        _, _, gradients = evaluated(function(name), sample, convert)
    _, _, exact = evaluated(function(name), sample, np.copy)
    for gradient, g in zip(gradients, exact, strict=True):
        assert gradient.dtype == convert(g).dtype, "a gradient has the dtype of its data"
        if convert is extended:
            np.testing.assert_allclose(gradient, g, rtol=1e-9, atol=1e-10)


def every_other(x):
    """The same values as a view that skips every second place of a larger array."""
    larger = np.full(tuple(2 * n for n in x.shape), np.nan, dtype=x.dtype)
    view = larger[(slice(None, None, 2),) * x.ndim] if x.ndim else larger
    view[...] = x
    return view


def backwards(x):
    """The same values as a view with negative strides."""
    turned = (slice(None, None, -1),) * x.ndim
    return np.ascontiguousarray(x[turned])[turned] if x.ndim else x


def fortran(x):
    return np.array(x, order="F")


def big_endian(x):
    return np.asarray(x.astype(x.dtype.newbyteorder(">")))


def read_only(x):
    x = np.copy(x)
    x.setflags(write=False)
    return x


@EVERY_DIFFERENTIABLE
def test_layout_in_memory_does_not_matter(name, sample):
    expected, _, gradients = evaluated(function(name), sample, np.copy)
    for layout in (every_other, backwards, fortran, read_only, big_endian):
        y, _, found = evaluated(function(name), sample, layout)
        np.testing.assert_allclose(y, expected, 1e-13, 1e-14, err_msg=layout.__name__)
        for a, b in zip(found, gradients, strict=True):
            np.testing.assert_allclose(a, b, 1e-12, 1e-13, err_msg=layout.__name__)
            assert a.flags.writeable, "a gradient is the user's to change"


# --- Properties -----------------------------------------------------------------------------------


def vjp(f, call, floats, ct):
    leaves = [gn.Tensor(x, requires_grad=True) for x in floats]
    found = dict.fromkeys(range(len(floats)), 0.0)
    ids = {id(leaf): i for i, leaf in enumerate(leaves)}
    for tensor, share in graph.flow(call(f, leaves), ct, as_tensors=isinstance(ct, gn.Tensor)):
        if id(tensor) in ids:
            found[ids[id(tensor)]] = share
    return list(found.values())


REAL_AND_NOT_EMPTY = [
    case
    for case in DIFFERENTIABLE
    if all(a.size and a.dtype.kind == "f" for a in split(case.values[1])[0])
    and not np.iscomplexobj(
        ROWS[case.values[0]].value(*case.values[1].args, **case.values[1].options)
    )
]


@settings(max_examples=60, deadline=None, derandomize=True)
@given(case=st.sampled_from(REAL_AND_NOT_EMPTY), seed=st.integers(0, 1000), a=st.floats(-3, 3))
def test_a_rule_is_linear_in_the_cotangent(case, seed, a):
    name, sample = case.values
    floats, call = split(sample)
    rng = np.random.default_rng(seed)
    shape = call(function(name), [gn.Tensor(x) for x in floats]).shape
    u, v = np.asarray(rng.standard_normal(shape)), np.asarray(rng.standard_normal(shape))
    of_u, of_v, of_both = (
        vjp(function(name), call, floats, ct) for ct in (u, v, np.asarray(u + a * v))
    )
    for x, y, both in zip(of_u, of_v, of_both, strict=True):
        np.testing.assert_allclose(both, x + a * y, rtol=1e-9, atol=1e-9)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(case=st.sampled_from(REAL_AND_NOT_EMPTY), seed=st.integers(0, 1000))
def test_forward_derivative_is_the_adjoint_of_the_rule(case, seed):
    """J v, by differentiating the VJP by its cotangent, is (f(x + εv) - f(x - εv)) / 2ε."""
    name, sample = case.values
    floats, call = split(sample)
    rng = np.random.default_rng(seed)
    directions = [np.asarray(rng.standard_normal(x.shape)) for x in floats]
    y = call(function(name), [gn.Tensor(x) for x in floats])
    ct = gn.Tensor(rng.standard_normal(y.shape), requires_grad=True)
    shares = vjp(function(name), call, floats, ct)
    total = sum((s * d).sum() for s, d in zip(shares, directions, strict=True))
    if not (isinstance(total, gn.Tensor) and total.requires_grad):
        jv = np.zeros(y.shape)  # the gradient is 0 whatever the cotangent
    else:
        total.backward()
        jv = np.zeros(y.shape) if ct.grad is None else ct.grad
    ends = [
        call(
            function(name),
            [gn.Tensor(x + s * 1e-6 * d) for x, d in zip(floats, directions, strict=True)],
        )
        for s in (1, -1)
    ]
    expected = (ends[0].data - ends[1].data) / 2e-6
    np.testing.assert_allclose(jv, expected, rtol=1e-5, atol=1e-7)


# --- Calling --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [n for n, c in REGISTERED.items() if not c.operator.variadic])
def test_wrong_arguments_are_named(name):
    call = REGISTERED[name]
    names = list(inspect.signature(call).parameters)
    too_many = rf"^_?{name}\(.*\) takes (at most )?{len(names)} (positional )?argument"
    with pytest.raises(TypeError, match=too_many):
        call(*range(len(names) + 1))
    with pytest.raises(TypeError, match=rf"^_?{name}\(.*(no|keyword) argument 'nonsense'"):
        call(1.0, nonsense=1)
    with pytest.raises(TypeError, match=rf"^_?{name}\(.*(needs|missing .*:) {names[0]!r}"):
        call()
