"""Values and gradients beside JAX, wherever it has NumPy's (or SciPy's) function."""

import itertools

import numpy as np
import pytest
from samples import REGISTERED, ROWS
from test_registry import evaluated, function, is_float, with_floats

# Where JAX takes another value at a kink or in a convention, or has another signature.
DIFFERENT = {
    "floor_divide": "JAX raises on its gradient",
    "remainder": "JAX has no gradient by the divisor where the quotient steps",
    "sign": "JAX's gradient of it is 0",
    "acosh": "JAX's derivative has another sign left of the imaginary axis",
}


def peer(jax, name):
    """JAX's function of the name that NumPy's or SciPy's reference has, if it has one."""
    reference = ROWS[name].value
    word, module = getattr(reference, "__name__", ""), getattr(reference, "__module__", "") or ""
    if word == "<lambda>" or not (
        isinstance(reference, np.ufunc) or module.startswith(("numpy", "scipy"))
    ):
        return None
    jnp = jax.numpy
    places = [jnp, jnp.linalg, jnp.fft, jax.scipy.special]
    if module.startswith(("numpy.linalg", "numpy.fft")):
        places = places[1:]
    if isinstance(reference, np.ufunc) and not hasattr(np, word):
        places = [jax.scipy.special]
    return next((getattr(place, word) for place in places if hasattr(place, word)), None)


def _is_complex(arg):
    return isinstance(arg, np.ndarray) and arg.dtype.kind == "c"


def few(samples):
    """The first three, and the first complex one: JAX compiles each shape anew."""
    complex_ones = (s for s in samples if any(map(_is_complex, s.args)))
    return [
        *samples[:3],
        *itertools.islice((s for s in complex_ones if all(s is not t for t in samples[:3])), 1),
    ]


CASES = [
    pytest.param(name, sample, id=f"{name}({sample!r})")
    for name, row in ROWS.items()
    if REGISTERED[name].operator.differentiable and name not in DIFFERENT
    for sample in few(row.samples)
]


@pytest.mark.parametrize(("name", "sample"), CASES)
def test_value_and_gradient_by_jax(name, sample, jax):
    f = peer(jax, name)
    if f is None or not any(map(is_float, (*sample.args, *sample.options.values()))):
        return
    floats = [v for v in (*sample.args, *sample.options.values()) if is_float(v)]

    def call(*values):
        rest = iter(values)
        args, options = with_floats(sample, lambda _: next(rest))
        args = [np.asarray(a) if isinstance(a, list) else a for a in args]
        return f(*args, **options)

    try:
        expected, pullback = jax.vjp(call, *map(jax.numpy.asarray, floats))
    except (TypeError, NotImplementedError, ValueError, IndexError):  # it takes other arguments
        return
    value, ct, gradients = evaluated(function(name), sample, np.copy)
    np.testing.assert_allclose(value, expected, rtol=1e-10, atol=1e-11)
    # JAX's convention for complex numbers is the conjugate of PyTorch's, at both ends.
    shares = pullback(jax.numpy.asarray(np.conj(ct)).astype(expected.dtype))
    for got, share in zip(gradients, shares, strict=True):
        np.testing.assert_allclose(got, np.conj(share), rtol=1e-8, atol=1e-9)


def test_most_operators_have_a_peer(jax):
    compared = [name for name in ROWS if peer(jax, name) is not None and name not in DIFFERENT]
    assert len(compared) > 70, sorted(compared)
