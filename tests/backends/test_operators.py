"""Every operator, on every sample of tests/ops/samples.py: JAX and PyTorch give what NumPy gives.

Values, gradients by all inputs, and for one sample of each operator gradients of gradients. JAX
compiles each function for each shape anew, so it computes an operator's samples in one program:
that shows as well that operators run on JAX's tracers, of which nothing but the shape is known.
"""

import sys
from pathlib import Path

import numpy as np
import pytest

import gradnerve as gn
from gradnerve import backends
from gradnerve.backends import common

sys.path.insert(0, str(Path(__file__).parents[1] / "ops"))
from samples import REGISTERED, ROWS

# `output` and `together` are of the graph, two operators are of functions in custom.py, and
# `convert` is for what test_moving.py tests.
NAMES = [n for n in ROWS if n not in ("output", "together", "by_rule", "recomputed", "convert")]
LESS_EXACT = {"digamma": 1e-8, "polygamma": 1e-8, "gamma": 1e-8, "gammaln": 1e-8, "betaln": 1e-8}


def missing(library, name, sample):
    """Why a library cannot compute a sample, if it cannot."""
    empty = any(isinstance(a, np.ndarray) and a.size == 0 for a in sample.args)
    if library == "torch" and name in ("fftn", "ifftn", "rfftn", "irfftn") and empty:
        return "PyTorch has no Fourier transform of nothing"
    return None


def function(name):
    return ROWS[name].call or REGISTERED[name]


def is_float(value):
    return isinstance(value, np.ndarray) and value.dtype.kind in "fc"


def floats_of(sample):
    return [v for v in (*sample.args, *sample.options.values()) if is_float(v)]


def to(library, value, name=""):
    """An argument with its arrays (an index may be a tuple of them) in a library.

    What says how large the result is stays NumPy's: masks, and counts.
    """
    if isinstance(value, np.ndarray):
        where = name in backends.INDICES and (name != "key" or value.dtype == bool)
        if where:
            return value
        return library(value) if callable(library) else backends.moved(value, library)
    return tuple(to(library, v, name) for v in value) if type(value) is tuple else value


def computed(name, sample, library, floats, cts, order=1):
    """The value; the gradients by all inputs; and, for order 2, those of their weighted sum."""
    leaves = [gn.Tensor(x, requires_grad=True) for x in floats]
    rest = iter(leaves)

    def argument(value, name):
        return next(rest) if is_float(value) else to(library, value, name)

    names = REGISTERED[name].operator.names
    args = [argument(a, names[min(i, len(names) - 1)]) for i, a in enumerate(sample.args)]
    y = function(name)(*args, **{k: argument(v, k) for k, v in sample.options.items()})
    data = y.data if isinstance(y, gn.Tensor) else y
    if not (isinstance(y, gn.Tensor) and y.requires_grad):
        return [data]
    seed = gn.Tensor(cts[0], requires_grad=True)
    found = {}
    ids = {id(leaf): i for i, leaf in enumerate(leaves)}
    for tensor, share in gn.graph.flow(y, seed, as_tensors=True):
        if id(tensor) in ids:
            found[ids[id(tensor)]] = share
    shares = [found[i] for i in sorted(found)]
    results = [data, *(share.data for share in shares)]
    attached = [s for s in shares if s.requires_grad]
    if order == 2 and attached:
        total = sum(gn.sum(gn.real(s * s)) for s in attached)
        if total.requires_grad:
            total.backward()
            # One that does not depend on an input may say so by None or by 0.
            results += [x.data * 0 if x.grad is None else x.grad for x in (*leaves, seed)]
    return results


def cotangent(name, sample):
    y = np.asarray(function(name)(*sample.args, **sample.options))
    rng = np.random.default_rng(1)
    ct = rng.standard_normal(y.shape)
    return np.asarray(ct + 1j * rng.standard_normal(y.shape) if y.dtype.kind == "c" else ct)


def as_numpy(library, results):
    for array in results:
        assert backends.library_name(array) == library
    return [np.asarray(backends.moved(array, "numpy")) for array in results]


def compare(name, sample, got, expected):
    assert len(got) == len(expected)
    rtol = LESS_EXACT.get(name, 1e-9)
    for a, b in zip(got, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol, rtol, err_msg=f"{name}({sample!r})")
        if b.dtype.kind in "fc":
            assert a.dtype == b.dtype, f"{name}({sample!r})"


def orders(name):
    """The samples, each with the order of derivatives to be compared: 2 for one that is not odd."""
    samples = ROWS[name].samples
    first = next((s for s in samples if floats_of(s) and all(x.size for x in floats_of(s))), None)
    return [(s, 2 if s is first and ROWS[name].order == 2 else 1) for s in samples]


@pytest.mark.parametrize("name", NAMES)
def test_pytorch_gives_what_numpy_gives(name, torch):
    for sample, order in orders(name):
        if missing("torch", name, sample):
            continue
        floats, ct = floats_of(sample), cotangent(name, sample)
        expected = computed(name, sample, "numpy", floats, [ct], order)
        moved = [to("torch", x) for x in floats]
        got = computed(name, sample, "torch", moved, [to("torch", ct)], order)
        compare(name, sample, as_numpy("torch", got), expected)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_jax_gives_what_numpy_gives(name, jax):
    cases = [(s, order, floats_of(s), cotangent(name, s)) for s, order in orders(name)]

    def program(arrays):
        return [
            computed(name, s, "jax", floats, [ct], order)
            for (s, order, _, _), (floats, ct) in zip(cases, arrays, strict=True)
        ]

    backends.load("jax")
    results = jax.jit(program)([(floats, ct) for _, _, floats, ct in cases])
    jax.clear_caches()  # a compiled program takes megabytes, and is not run again
    for (sample, order, floats, ct), got in zip(cases, results, strict=True):
        expected = computed(name, sample, "numpy", floats, [ct], order)
        compare(name, sample, as_numpy("jax", got), expected)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_jax_without_jit(name, jax):
    """Operators one by one, on arrays whose numbers are known."""
    sample, _ = orders(name)[0]
    floats, ct = floats_of(sample), cotangent(name, sample)
    expected = computed(name, sample, "numpy", floats, [ct])
    got = computed(name, sample, "jax", [to("jax", x) for x in floats], [to("jax", ct)])
    compare(name, sample, as_numpy("jax", got), expected)


@pytest.mark.parametrize("name", NAMES)
def test_all_that_is_made_is_where_the_input_is(name, torch):
    """On PyTorch's device "meta", which has shapes and no numbers, as on a GPU."""

    def place(value):
        return backends.moved(np.array(value), "torch").to("meta")

    for sample, order in orders(name):
        try:
            floats = [place(x) for x in floats_of(sample)]
            result = computed(name, sample, place, floats, [place(cotangent(name, sample))], order)
        except Exception as error:  # it looks at numbers
            assert "device" not in str(error), repr(error)
        else:
            assert all(array.device.type == "meta" for array in result)


GENERIC = (
    "convolve", "convolve_input", "convolve_weight", "window_max", "window_sum", "window_spread",
)  # fmt: skip


@pytest.mark.parametrize("name", GENERIC)
def test_what_a_library_without_windows_of_its_own_gets(name, torch):
    """As CuPy does: the kernels in the standard's words. PyTorch has some of its own."""
    for sample in ROWS[name].samples:
        args = (
            sample.args[:4] if name == "convolve" else sample.args
        )  # the bias is not the kernel's
        expected = getattr(backends.numpy_kernels, name)(*args)
        got = getattr(common, name)(*(to("torch", a) for a in args))
        np.testing.assert_allclose(backends.moved(got, "numpy"), expected, 1e-9, 1e-10)


SINGLE = {"astype"}  # which says its dtype


@pytest.mark.parametrize("name", [n for n in NAMES if n not in SINGLE])
def test_float32_stays_float32_in_pytorch(name, torch):
    sample, _ = orders(name)[0]
    floats = [
        x.astype(np.complex64 if x.dtype.kind == "c" else np.float32) for x in floats_of(sample)
    ]
    if not floats:
        return
    ct = cotangent(name, sample)
    ct = ct.astype(np.complex64 if ct.dtype.kind == "c" else np.float32)
    before = torch.get_default_dtype()
    for default in (torch.float32, torch.float64):
        torch.set_default_dtype(default)
        try:
            got = computed(
                name, sample, "torch", [to("torch", x) for x in floats], [to("torch", ct)]
            )
        finally:
            torch.set_default_dtype(before)
        for array in got:
            assert array.dtype not in (torch.float64, torch.complex128)
