"""Samples of the elementwise operators that `samples.py` has not, and of the special functions."""

import numpy as np
import scipy.special
from samples import (
    UNARY,
    Row,
    S,
    away_from_0,
    between,
    binary,
    complex_normal,
    even,
    normal,
    odd,
    plain,
    special,
    unary,
    whole,
)


def scipys(name, numbers, torch=True):
    """A special function, with SciPy's value and PyTorch's gradient."""
    row = unary(name, numbers, getattr(scipy.special, name))
    row.torch = (lambda t, x: getattr(t.special, name)(x)) if torch else None
    return row


def positive(*shape):
    return between(0.3, 3.0, *shape)


def share(*shape):
    return between(0.1, 0.9, *shape)


def digits(*shape):
    """Away from whole multiples of 2.6 and 1.5."""
    return np.asarray(np.resize([3.3, -2.1, 7.1, 0.4, 5.3, -4.9], shape))


shifts = [(whole, np.array([1, 0, 4])), (whole, 3), (6, np.abs(whole)), (np.array(5), np.array(2))]

ROWS = {
    # The standard's
    "bitwise_left_shift": plain(shifts, np.left_shift),
    "bitwise_right_shift": plain([*shifts, (-whole, 1)], np.right_shift),
    "signbit": plain([(special,), (np.array(-0.0),), (normal(0),), (normal(2, 3),)], np.signbit),
    "copysign": binary("copysign", away_from_0, torch="copysign"),
    "nextafter": Row(
        [S(normal(*a), normal(*b)) for a, b in [((2, 3), (3,)), ((), ()), ((0, 3), (3,))]]
        + [S(normal(2), 3.0, peer=False), S(2.0, normal(2), peer=False)],
        np.nextafter,
        lambda t, x1, x2: t.nextafter(*t.broadcast_tensors(x1, x2)),
    ),
    # NumPy's other ones
    "exp2": unary("exp2", normal),
    "logaddexp2": binary("logaddexp2", normal),
    "cbrt": Row([S(away_from_0(*shape)) for shape in UNARY], np.cbrt),
    "fmax": binary("fmax", even, odd),
    "fmin": binary("fmin", even, odd),
    "fmod": Row(
        [
            S(digits(2, 3), np.array([1.5, 2.6, -3.0])), S(np.array(7.3), np.array(2.0)),
            S(digits(2, 2), 2.0), S(7.3, np.array([2.0, -3.0])), S(normal(0, 3), np.ones(3)),
            S(np.array([[7.3], [-1.2]]), np.array([2.1, -3.7])),
        ],
        np.fmod,
        lambda t, x1, x2: t.fmod(*(t.as_tensor(x, dtype=t.float64) for x in (x1, x2))),
    ),
    "heaviside": Row(
        [
            S(away_from_0(2, 3), normal(3)), S(away_from_0(), normal()), S(normal(0, 3), normal(3)),
            S(np.array([1, 0, -1], dtype=np.int8), normal(2, 1)), S(away_from_0(2), 0.5),
            S(0.0, normal(2)), S(0, normal()),
        ],
        np.heaviside,
    ),
    "nan_to_num": Row(
        [S(normal(2, 3)), S(normal(), 1.5), S(normal(0, 2)), S(normal(2), posinf=3.0, neginf=2.0),
         S(complex_normal(2, 3), peer=False), S(complex_normal(), nan=2.0, peer=False)],
        np.nan_to_num,
        lambda t, x, nan=0.0, posinf=None, neginf=None: t.nan_to_num(x, nan, posinf, neginf),
    ),
    "sinc": unary("sinc", away_from_0, torch="sinc", complex=complex_normal),
    # The error function and the normal distribution
    "erfc": scipys("erfc", normal),
    "erfcx": scipys("erfcx", normal),
    "erfinv": scipys("erfinv", lambda *s: between(-0.9, 0.9, *s)),
    "erfcinv": scipys("erfcinv", lambda *s: between(0.1, 1.9, *s), torch=False),
    "ndtr": scipys("ndtr", normal),
    "log_ndtr": scipys("log_ndtr", lambda *s: between(-6.0, 3.0, *s)),
    "ndtri": scipys("ndtri", share),
    # The gamma function
    "gamma": Row([S(positive(*shape)) for shape in UNARY] + [S(between(-0.8, -0.2, 3))],
                 scipy.special.gamma, lambda t, x: t.sign(x) * t.exp(t.lgamma(x))),
    "gammaln": scipys("gammaln", lambda *s: np.asarray(positive(*s) - 0.15)),
    # PyTorch has but nine digits of ψ and ψ'.
    "digamma": scipys("digamma", positive, torch=False),
    "polygamma": Row(
        [S(n, positive(*shape), peer=n > 1) for n in (0, 1, 2, 3) for shape in UNARY]
        + [S(1, between(-0.8, -0.2, 2, 2), peer=False)],
        scipy.special.polygamma, lambda t, n, x: t.polygamma(n, x),
    ),
    "betaln": binary("betaln", positive, reference=scipy.special.betaln),
    # Bessel functions
    "i0": scipys("i0", normal),
    "i1": scipys("i1", normal),
    "i0e": scipys("i0e", away_from_0),
    "i1e": scipys("i1e", away_from_0),
    "iv": Row(
        [S(v, normal(*shape), peer=v < 2) for v in (0, 1, 3) for shape in UNARY]
        + [S(1.5, positive(2, 3), peer=False)],
        scipy.special.iv, lambda t, v, x: getattr(t.special, f"i{v}")(x),
    ),
    "ive": Row(
        [S(v, away_from_0(*shape), peer=v < 2) for v in (0, 1, 3) for shape in UNARY],
        scipy.special.ive, lambda t, v, x: getattr(t.special, f"i{v}e")(x),
    ),
    "spherical_jn": Row(
        [S(n, normal(*shape)) for n in (0, 1, 2) for shape in UNARY], scipy.special.spherical_jn,
    ),
    # Logarithms
    "xlogy": binary("xlogy", normal, positive, reference=scipy.special.xlogy),
    "xlog1py": binary("xlog1py", normal, positive, reference=scipy.special.xlog1py),
    "entr": scipys("entr", positive),
    "logit": scipys("logit", share),
    "logsigmoid": Row(
        [S(normal(*shape)) for shape in UNARY], scipy.special.log_expit,
        lambda t, x: t.nn.functional.logsigmoid(x),
    ),
}  # fmt: skip

ROWS["betaln"].torch = lambda t, x1, x2: (
    sum(t.lgamma(t.as_tensor(x)) for x in (x1, x2)) - t.lgamma(t.as_tensor(x1) + t.as_tensor(x2))
)
ROWS["xlog1py"].torch = lambda t, x1, x2: t.special.xlog1py(
    *(x if t.is_tensor(x) else t.as_tensor(np.asarray(x) * 1.0) for x in (x1, x2))
)
