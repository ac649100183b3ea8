"""Values and gradients beside JAX, wherever it has the function, by NumPy's name or its own."""

import functools
import itertools
from types import SimpleNamespace

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


def convolve(jax, x, weight, window, groups=1, bias=None):
    y = jax.lax.conv_general_dilated(
        x, weight, window.stride, window.padding, rhs_dilation=window.dilation,
        feature_group_count=groups,
    )  # fmt: skip
    return y if bias is None else y + bias.reshape(-1, *(1 for _ in window.kernel))


def window_sum(jax, x, window):
    return jax.lax.reduce_window(
        x, 0.0, jax.lax.add, (1, 1, *window.kernel), (1, 1, *window.stride),
        ((0, 0), (0, 0), *window.padding), window_dilation=(1, 1, *window.dilation),
    )  # fmt: skip


# What JAX calls by another name, or with its arguments in another order.
OTHER_NAMES = {
    "astype": lambda jax, x, dtype, copy=True: jax.lax.convert_element_type(x, dtype),
    "clip": lambda jax, *args, **options: jax.numpy.clip(*args, **options),
    "concat": lambda jax, axis, *arrays: jax.numpy.concat(arrays, axis=axis),
    "convert": lambda jax, x, *place: jax.numpy.asarray(x),
    "convolve": convolve,
    "convolve_input": lambda jax, c, weight, window, groups, shape: jax.vjp(
        lambda x: convolve(jax, x, weight, window, groups), jax.numpy.zeros(shape)
    )[1](c)[0],
    "convolve_weight": lambda jax, c, x, window, groups: jax.vjp(
        lambda weight: convolve(jax, x, weight, window, groups),
        jax.numpy.zeros((c.shape[1], x.shape[1] // groups, *window.kernel)),
    )[1](c)[0],
    "digamma": lambda jax, x: jax.lax.digamma(x),
    "einsum": lambda jax, x1, x2, subscripts: jax.numpy.einsum(subscripts, x1, x2),
    "expand_dims": lambda jax, x, axis=0: jax.numpy.expand_dims(x, axis),
    "expm": lambda jax, x: jax.scipy.linalg.expm(x),
    "extend": lambda jax, x, before, after, axis: jax.numpy.take(
        x, np.array([*before, *range(x.shape[axis]), *after]), axis
    ),
    "flip": lambda jax, x, axis=None: jax.numpy.flip(x, axis),
    "getitem": lambda jax, x, key: x[key],
    "identity": lambda jax, x: jax.numpy.positive(x),
    "layer_norm": lambda jax, x, weight, bias, axes, eps: (
        jax.nn.standardize(x, axes, epsilon=eps) * (1 if weight is None else weight)
        + (0 if bias is None else bias)
    ),
    "linear": lambda jax, x, weight, bias=0: jax.numpy.inner(x, weight) + bias,
    "logcumsumexp": lambda jax, x, axis=-1: jax.lax.cumlogsumexp(x, axis % x.ndim),
    "log_softmax": lambda jax, x, axis=-1: jax.nn.log_softmax(x, axis),
    "logsigmoid": lambda jax, x: jax.nn.log_sigmoid(x),
    "logsumexp": lambda jax, x, **options: jax.nn.logsumexp(x, **options),
    "matrix_transpose": lambda jax, x: jax.numpy.matrix_transpose(x),
    "pad": lambda jax, x, width, mode="constant", options=None: jax.numpy.pad(
        x, width, mode, **(options or {})
    ),
    "pinv": lambda jax, x, rtol=None: jax.numpy.linalg.pinv(x, rtol=rtol),
    "relu": lambda jax, x: jax.nn.relu(x),
    "scatter_add": lambda jax, x, key, shape: jax.numpy.zeros(shape, x.dtype).at[key].add(x),
    "setitem": lambda jax, x, key, value: x.at[key].set(value),
    "softmax": lambda jax, x, axis=-1: jax.nn.softmax(x, axis),
    "sort": lambda jax, x, axis=-1, **options: jax.numpy.sort(x, axis, **options),
    "split": lambda jax, x, ends, axis, i: jax.numpy.split(x, ends, axis)[i],
    "squeeze": lambda jax, x, axis: jax.numpy.squeeze(x, axis),
    "unstack": lambda jax, x, axis, i: jax.numpy.unstack(x, axis=axis)[i],
    "window_sum": window_sum,
}
THROUGH_A_LIBRARY = ("cholesky", "eigh", "eigvals", "eigvalsh", "qr", "slogdet", "svd")


def peer(jax, name):
    """JAX's function of the name that NumPy's or SciPy's reference has, if it has one."""
    if name in OTHER_NAMES:
        return functools.partial(OTHER_NAMES[name], jax)
    if name in THROUGH_A_LIBRARY:
        return functools.partial(ROWS[name].torch, like_torch(jax))
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


def like_torch(jax):
    """jax.numpy with PyTorch's word for making an array."""
    return SimpleNamespace(**vars(jax.numpy), tensor=jax.numpy.asarray)


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
    assert len(compared) > 150, sorted(compared)
