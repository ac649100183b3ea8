"""The Fourier transforms under their public names: values, gradients, arguments, errors."""

import types

import numpy as np
import pytest
import scipy.fft

import gradnerve as gn

rng = np.random.default_rng(7)

COMPLEX_IN = ("fft", "ifft", "irfft", "hfft")
REAL_IN = ("rfft", "ihfft")
NORMS = ("backward", "ortho", "forward")


def numbers(name, *shape):
    x = rng.standard_normal(shape)
    real = name.startswith("rfft") or name == "ihfft"
    return x if real else x + 1j * rng.standard_normal(shape)


def value_and_gradient(f, x, ct=None):
    leaf = gn.Tensor(x, requires_grad=True)
    y = f(leaf)
    if ct is None:
        ct = rng.standard_normal(y.shape)
        ct = ct + 1j * rng.standard_normal(y.shape) if y.dtype.kind == "c" else ct
    y.backward(ct)
    return y.data, ct, leaf.grad


def same_as_torch(torch, f, peer, x):
    y, ct, gradient = value_and_gradient(f, x)
    leaf = torch.tensor(x, requires_grad=True)
    out = peer(leaf)
    np.testing.assert_allclose(y, out.detach().resolve_conj().numpy(), rtol=1e-12, atol=1e-13)
    (expected,) = torch.autograd.grad(out, leaf, torch.tensor(ct))
    expected = expected.resolve_conj().numpy()
    np.testing.assert_allclose(gradient, expected, rtol=1e-12, atol=1e-13)


def test_the_namespace():
    assert isinstance(gn.fft, types.ModuleType), "gn.fft is the namespace, not a function"
    assert gn.fft.__name__ == "gradnerve.fft", "ops/ has a file of this name too: not that one"
    public = {n for n in vars(gn.fft) if not n.startswith("_")}
    assert public == set(gn.fft.__all__)
    missing = {n for n in np.fft.__all__ if n not in public and n != "TestResult"}
    assert not missing, "NumPy has more"


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("n", [None, 1, 2, 3, 4, 5, 6, 7, 8, 9])
@pytest.mark.parametrize("name", [*COMPLEX_IN, *REAL_IN])
def test_one_axis(name, n, norm, torch):
    """Even and odd lengths, cut and filled up: value and gradient are PyTorch's."""
    ours, theirs, numpys = (getattr(m.fft, name) for m in (gn, torch, np))
    for length in (2, 4, 5):
        x = numbers(name, length)
        same_as_torch(torch, lambda x: ours(x, n, norm=norm), lambda x: theirs(x, n, norm=norm), x)
        np.testing.assert_allclose(ours(x, n, norm=norm), numpys(x, n, norm=norm), atol=1e-13)


@pytest.mark.parametrize("n", [None, 2, 5])
@pytest.mark.parametrize("axis", [0, 1, -1, -3])
@pytest.mark.parametrize("name", [*COMPLEX_IN, *REAL_IN])
def test_any_axis(name, axis, n, torch):
    ours, theirs = (getattr(m.fft, name) for m in (gn, torch))
    x = numbers(name, 3, 4, 2)
    same_as_torch(torch, lambda x: ours(x, n=n, axis=axis), lambda x: theirs(x, n=n, dim=axis), x)


SEVERAL = [
    {}, {"axes": (0,)}, {"axes": (-1, 0)}, {"axes": (0, 1, 2)}, {"s": (2, 5)}, {"s": (4, 3, 2)},
    {"s": (5, 2), "axes": (0, 1)}, {"s": (2, 6), "axes": (-1, -2), "norm": "ortho"},
    {"s": (3, 3, 3), "norm": "forward"}, {"norm": "ortho"},
]  # fmt: skip


@pytest.mark.parametrize("options", SEVERAL, ids=str)
@pytest.mark.parametrize("name", ["fftn", "ifftn", "rfftn", "irfftn"])
def test_several_axes(name, options, torch):
    ours, theirs = (getattr(m.fft, name) for m in (gn, torch))
    for_torch = {"dim" if k == "axes" else k: v for k, v in options.items()}
    x = numbers(name, 3, 4, 2)
    same_as_torch(torch, lambda x: ours(x, **options), lambda x: theirs(x, **for_torch), x)


@pytest.mark.parametrize("name", ["fft2", "ifft2", "rfft2", "irfft2"])
def test_two_axes(name, torch):
    ours, theirs = (getattr(m.fft, name) for m in (gn, torch))
    x = numbers(name, 3, 4, 2)
    same_as_torch(torch, ours, theirs, x)
    same_as_torch(
        torch,
        lambda x: ours(x, (2, 4), (0, 1), "ortho"),
        lambda x: theirs(x, (2, 4), (0, 1), "ortho"),
        x,
    )


@pytest.mark.parametrize("name", [*COMPLEX_IN, *REAL_IN, "fftn", "ifftn", "rfftn", "irfftn"])
def test_second_order(name):
    """Of |transform|⁴, which is not linear, so that second derivatives are not 0."""
    f = getattr(gn.fft, name)
    cases = [{}, {"n": 3}, {"n": 6}, {"n": 5}]
    if name.endswith("n"):
        cases = [{}, {"s": (3,)}, {"s": (2, 6)}, {"axes": (1, 0)}]
    for options in cases:

        def power(x, options=options):
            y = f(x, **options)
            return gn.square(gn.real(y * gn.conj(y)))

        assert gn.gradcheck(power, numbers(name, 2, 4), order=2)


def test_third_order(torch):
    def f(x, cos, transform):
        return cos(transform(x))

    x = rng.standard_normal(5)
    leaf = gn.Tensor(x, requires_grad=True)
    theirs = torch.tensor(x, requires_grad=True)
    y = gn.sum(gn.real(gn.sin(gn.fft.fft(leaf, 7))))
    z = torch.sin(torch.fft.fft(theirs, 7)).real.sum()
    for _ in range(3):
        for tensor, ct in gn.graph.flow(y, gn.Tensor(1.0), as_tensors=True):
            if tensor is leaf:
                gradient = ct
        (expected,) = torch.autograd.grad(z, theirs, create_graph=True)
        np.testing.assert_allclose(gradient.data, expected.detach().numpy(), rtol=1e-10)
        y, z = gn.sum(gn.sin(gradient)), torch.sin(expected).sum()


@pytest.mark.parametrize("n", [1, 2, 5, 6])
def test_there_and_back(n):
    x = rng.standard_normal((3, n))
    np.testing.assert_allclose(gn.fft.irfft(gn.fft.rfft(x), n), x, atol=1e-14)
    np.testing.assert_allclose(gn.fft.ifft(gn.fft.fft(x)).real, x, atol=1e-14)
    np.testing.assert_allclose(gn.fft.hfft(gn.fft.ihfft(x), n), x, atol=1e-14)
    _, ct, gradient = value_and_gradient(lambda x: gn.fft.irfft(gn.fft.rfft(x), n), x)
    np.testing.assert_allclose(gradient, ct, atol=1e-14, err_msg="the identity's gradient")


@pytest.mark.parametrize("dtype", ["float32", "complex64", "float64", "complex128", "longdouble"])
@pytest.mark.parametrize("name", gn.fft.__all__)
def test_the_precision_is_kept(name, dtype):
    if "freq" in name or (name in ("rfft", "rfftn", "rfft2", "ihfft") and dtype[0] == "c"):
        return
    x = (rng.standard_normal((3, 4)) + 0j).astype(dtype) if dtype[0] == "c" else None
    x = rng.standard_normal((3, 4)).astype(dtype) if x is None else x
    y, _, gradient = value_and_gradient(getattr(gn.fft, name), x)
    assert y.dtype == getattr(np.fft, name)(x).dtype
    assert gradient.dtype == dtype
    if dtype in ("float32", "complex64"):
        assert y.dtype in (np.float32, np.complex64)


def test_whole_numbers_and_lists():
    np.testing.assert_allclose(gn.fft.fft([1, 2, 3]), np.fft.fft([1, 2, 3]))
    np.testing.assert_allclose(gn.fft.rfft(np.array([1, 2, 3])), np.fft.rfft([1, 2, 3]))
    assert type(gn.fft.fft(gn.Tensor([1, 2, 3]))) is gn.Tensor
    assert type(gn.fft.fft(np.ones(3))) is np.ndarray


def test_lengths_that_keep_their_own():
    x = rng.standard_normal((3, 4))
    np.testing.assert_allclose(gn.fft.fftn(x, (-1, 2), (0, 1)), np.fft.fftn(x, (-1, 2), (0, 1)))
    np.testing.assert_allclose(gn.fft.fft(x, axis=np.int64(0)), np.fft.fft(x, axis=0))


# --- Errors ---------------------------------------------------------------------------------------

x34 = np.ones((3, 4))

WRONG = [
    (lambda: gn.fft.fft(x34, 0), ValueError, r"^fft: a transform of 0 points; give n, 1 or more"),
    (lambda: gn.fft.fft(x34, -1), ValueError, r"^fft: a transform of -1 points"),
    (lambda: gn.fft.fft(x34[:0], axis=0), ValueError, r"^fft: .*0 points.*shape \(0, 4\)"),
    (lambda: gn.fft.irfft(np.ones(1)), ValueError, r"^irfft: a transform of 0 points"),
    (lambda: gn.fft.fft(x34, axis=2), IndexError, r"^fft: there is no axis 2: .*\(3, 4\)"),
    (lambda: gn.fft.fft(1.0), IndexError, r"^fft: there is no axis -1: .*a single number"),
    (
        lambda: gn.fft.fftn(x34, axes=(0, -2)),
        ValueError,
        r"^fftn: axis 0 is named twice in \(0, -2\)",
    ),
    (lambda: gn.fft.fftn(x34, (2,), (0, 1)), ValueError, r"^fftn: 1 lengths in s=\(2,\) for 2 ax"),
    (lambda: gn.fft.fftn(x34, (1, 2, 3)), IndexError, r"^fftn: there is no axis -3"),
    (lambda: gn.fft.fftn(x34, axes=()), ValueError, r"^fftn: there is no axis"),
    (lambda: gn.fft.fft(x34, norm="max"), ValueError, r"^fft: norm 'max' is not 'backward', 'or"),
    (lambda: gn.fft.rfft(x34 + 0j), TypeError, r"^rfft: x is complex \(complex128\).*use fft, or"),
    (lambda: gn.fft.rfft2(x34 + 0j), TypeError, r"^rfftn: x is complex.*use fftn, or x.real"),
    (lambda: gn.fft.ihfft(x34 + 0j), TypeError, r"^ihfft: x is complex.*use ifft, or"),
    (lambda: gn.fft.fftfreq(0), ValueError, r"^fftfreq: n=0, but a transform has 1 point or more"),
    (lambda: gn.fft.rfftfreq(4, device="cuda"), ValueError, r"^rfftfreq: device 'cuda'"),
    (lambda: gn.fft.fftshift(x34, 3), IndexError, r"^fftshift: there is no axis 3"),
]


@pytest.mark.parametrize(("call", "kind", "words"), WRONG, ids=[w for *_, w in WRONG])
def test_errors(call, kind, words):
    with pytest.raises(kind, match=words):
        call()


# --- Frequencies ----------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 8, 9])
def test_frequencies(n):
    for name in ("fftfreq", "rfftfreq"):
        ours, numpys = getattr(gn.fft, name), getattr(np.fft, name)
        assert type(ours(n)) is gn.Tensor
        np.testing.assert_allclose(ours(n).data, numpys(n), rtol=1e-15)
        np.testing.assert_allclose(ours(n, d=0.3).data, numpys(n, 0.3), rtol=1e-15)
        assert ours(n, dtype=np.float32).dtype == np.float32
        assert ours(n, device="cpu").dtype == np.float64


def test_frequencies_depend_on_the_distance():
    assert gn.gradcheck(lambda d: gn.fft.fftfreq(5, d=d), np.array(0.3), order=2)


@pytest.mark.parametrize("axes", [None, 0, -1, (0,), (0, 1), (), (1, 1), np.int64(1)])
@pytest.mark.parametrize("shape", [(3, 4), (2, 5), (0, 3), (1, 1)])
def test_shifts(shape, axes):
    x = rng.standard_normal(shape)
    for name in ("fftshift", "ifftshift"):
        ours, numpys = getattr(gn.fft, name), getattr(np.fft, name)
        expected = x if isinstance(axes, tuple) and not axes else numpys(x, axes)
        np.testing.assert_array_equal(ours(x, axes), expected)
        assert gn.gradcheck(lambda x, f=ours: gn.square(f(x, axes)), x, order=2)
    np.testing.assert_array_equal(gn.fft.ifftshift(gn.fft.fftshift(x, axes), axes), x)


def test_shift_of_a_number_and_of_a_list():
    assert gn.fft.fftshift(gn.Tensor(2.0)).data == 2
    assert gn.fft.fftshift([0, 1, -1]).tolist() == [-1, 0, 1]
    assert scipy.fft.fftshift([0, 1, -1]).tolist() == [-1, 0, 1]
