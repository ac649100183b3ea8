"""Elementwise operators beyond the standard: NumPy's other ones, and special functions.

The special functions' values are SciPy's, which is loaded when the first of them is called. Where a
derivative is again a special function (a Bessel function of another order, say) it is an operator
here too, so that derivatives of any order are exact, also where a formula with a quotient is 0/0.

Formulas: Abramowitz and Stegun, Handbook of Mathematical Functions (chapters 6, 7, 9 and 10).
"""

from __future__ import annotations

import math
from typing import Any

from gradnerve.backends import array_library, is_complex, kernels
from gradnerve.graph import operator
from gradnerve.ops.elementwise import (
    exp,
    imag,
    isfinite,
    log,
    log1p,
    multiply,
    negative,
    pow,
    real,
    sigmoid,
    sign,
    subtract,
    trunc,
    where,
    zeros_like,
)
from gradnerve.ops.shape import as_tensor_or_array, astype

__all__ = [
    "betaln", "cbrt", "deg2rad", "digamma", "entr", "erfc", "erfcinv", "erfcx", "erfinv",
    "exp2", "expit", "float_power", "fmax", "fmin", "fmod", "gamma", "gammaln", "heaviside",
    "i0", "i0e", "i1", "i1e", "iv", "ive", "lgamma", "log_ndtr", "logaddexp2", "logit",
    "logsigmoid", "nan_to_num", "ndtr", "ndtri", "polygamma", "rad2deg", "sinc", "softplus",
    "spherical_jn", "xlog1py", "xlogy",
]  # fmt: skip

LN2 = math.log(2)
ROOT_PI = math.sqrt(math.pi)
ROOT_2PI = math.sqrt(2 * math.pi)


# --- NumPy's other functions ----------------------------------------------------------------------


@operator
def exp2(x):
    """2 to the power of each element."""
    return kernels(x).exp2(x)


@exp2.rule("x", r"\bar x = \bar y\,y \ln 2")
def _(ct, y):
    return ct * y * LN2


@operator
def logaddexp2(x1, x2):
    """log₂(2ˣ¹ + 2ˣ²), without overflow."""
    return kernels(x1, x2).logaddexp2(x1, x2)


@logaddexp2.rule("x1", r"\bar x_1 = \bar y\,\sigma((x_1 - x_2) \ln 2)")
def _(ct, x1, x2):
    return ct * sigmoid((x1 - x2) * LN2)


@logaddexp2.rule("x2", r"\bar x_2 = \bar y\,\sigma((x_2 - x_1) \ln 2)")
def _(ct, x1, x2):
    return ct * sigmoid((x2 - x1) * LN2)


@operator
def cbrt(x):
    """Cube root, of negative numbers too. The gradient at 0 is infinite."""
    return kernels(x).cbrt(x)


@cbrt.rule("x", r"\bar x = \bar y / 3y^2")
def _(ct, y):
    return ct / (3 * y * y)


def deg2rad(x: Any) -> Any:
    """Degrees as radians, x · π/180.

    >>> import numpy as np
    >>> print(deg2rad(np.array([0.0, 180.0])))
    [0.         3.14159265]
    """
    return multiply(x, math.pi / 180)


def rad2deg(x: Any) -> Any:
    """Radians as degrees, x · 180/π.

    >>> import numpy as np
    >>> print(rad2deg(np.array([0.0, np.pi])))
    [  0. 180.]
    """
    return multiply(x, 180 / math.pi)


def float_power(x1: Any, x2: Any) -> Any:
    """`pow` in double precision, whatever x1 and x2 are: also of integers with negative exponents.

    >>> import numpy as np
    >>> print(float_power(np.array([2, 4]), -1))
    [0.5  0.25]
    """
    return pow(_double(x1), _double(x2))


def _double(x: Any) -> Any:
    x = as_tensor_or_array(x)
    if str(x.dtype) in ("longdouble", "float128", "clongdouble", "complex256"):
        return x
    return astype(x, "complex128" if is_complex(x) else "float64")


@operator
def fmax(x1, x2):
    """The greater of x1 and x2, or the one that is a number. At a tie the gradient is x1's."""
    return kernels(x1, x2).fmax(x1, x2)


@fmax.rule("x1", r"\bar x_1 = \bar y\;\text{where}\;x_1 \ge x_2")
def _(ct, x1, x2):
    return where((x1 >= x2) | (x2 != x2), ct, 0.0)


@fmax.rule("x2", r"\bar x_2 = \bar y\;\text{where}\;x_2 > x_1")
def _(ct, x1, x2):
    return where((x1 >= x2) | (x2 != x2), 0.0, ct)


@operator
def fmin(x1, x2):
    """The smaller of x1 and x2, or the one that is a number. At a tie the gradient is x1's."""
    return kernels(x1, x2).fmin(x1, x2)


@fmin.rule("x1", r"\bar x_1 = \bar y\;\text{where}\;x_1 \le x_2")
def _(ct, x1, x2):
    return where((x1 <= x2) | (x2 != x2), ct, 0.0)


@fmin.rule("x2", r"\bar x_2 = \bar y\;\text{where}\;x_2 < x_1")
def _(ct, x1, x2):
    return where((x1 <= x2) | (x2 != x2), 0.0, ct)


@operator
def fmod(x1, x2):
    """What is left of x1 after whole multiples of x2, with the sign of x1 (as in C)."""
    return kernels(x1, x2).fmod(x1, x2)


@fmod.rule("x1", r"\bar x_1 = \bar y")
def _(ct):
    return ct


@fmod.rule("x2", r"\bar x_2 = -\bar y\,\operatorname{trunc}(x_1 / x_2)")
def _(ct, x1, x2):
    return -ct * trunc(x1 / x2)


@operator
def heaviside(x1, x2):
    """0 for negative x1, 1 for positive ones, and x2 where x1 is 0."""
    return kernels(x1, x2).heaviside(x1, x2)


@heaviside.rule("x1", r"\bar x_1 = 0")
def _(ct):
    return zeros_like(ct)


@heaviside.rule("x2", r"\bar x_2 = \bar y\;\text{where}\;x_1 = 0")
def _(ct, x1):
    return where(x1 == 0, ct, 0.0)


@operator
def nan_to_num(x, nan=0.0, posinf=None, neginf=None):
    """x with numbers in place of NaN and infinities: if not given, 0 and the largest there are."""
    return kernels(x).nan_to_num(x, nan=nan, posinf=posinf, neginf=neginf)


@nan_to_num.rule("x", r"\bar x = \bar y\;\text{where}\;x\;\text{is finite}")
def _(ct, x):
    if not is_complex(x):
        return where(isfinite(x), ct, 0.0)
    # Each part on its own.
    return where(isfinite(real(x)), real(ct), 0.0) + 1j * where(isfinite(imag(x)), imag(ct), 0.0)


@operator
def sinc(x):
    """sin(πx) / πx, and 1 at 0."""
    return kernels(x).sinc(x)


@sinc.rule("x", r"\bar x = -\bar y\,\pi\,j_1(\pi x)")
def _(ct, x):
    return ct * (-math.pi * spherical_jn(1, math.pi * x))


# --- The error function and the normal distribution -----------------------------------------------


@operator
def erfc(x):
    """1 - erf(x), exact where that is small."""
    return kernels(x).special("erfc", x)


@erfc.rule("x", r"\bar x = -\bar y\,\tfrac{2}{\sqrt\pi}\,e^{-x^2}")
def _(ct, x):
    return ct * (-2 / ROOT_PI) * exp(-x * x)


@operator
def erfcx(x):
    """e^(x²) erfc(x), which neither overflows nor vanishes for large x."""
    return kernels(x).special("erfcx", x)


@erfcx.rule("x", r"\bar x = \bar y\,(2 x y - \tfrac{2}{\sqrt\pi})")
def _(ct, y, x):
    return ct * (2 * x * y - 2 / ROOT_PI)


@operator
def erfinv(x):
    """The inverse of erf, for x in [-1, 1]. The gradient at ±1 is infinite."""
    return kernels(x).special("erfinv", x)


@erfinv.rule("x", r"\bar x = \bar y\,\tfrac{\sqrt\pi}{2}\,e^{y^2}")
def _(ct, y):
    return ct * (ROOT_PI / 2) * exp(y * y)


@operator
def erfcinv(x):
    """The inverse of erfc, for x in [0, 2]. The gradient at 0 and 2 is infinite."""
    return kernels(x).special("erfcinv", x)


@erfcinv.rule("x", r"\bar x = -\bar y\,\tfrac{\sqrt\pi}{2}\,e^{y^2}")
def _(ct, y):
    return ct * (-ROOT_PI / 2) * exp(y * y)


@operator
def ndtr(x):
    """How much of the standard normal distribution is below x."""
    return kernels(x).special("ndtr", x)


@ndtr.rule("x", r"\bar x = \bar y\,e^{-x^2 / 2} / \sqrt{2\pi}")
def _(ct, x):
    return ct * exp(x * x * -0.5) / ROOT_2PI


@operator
def log_ndtr(x):
    """The logarithm of ndtr(x), exact far out too."""
    return kernels(x).special("log_ndtr", x)


# The density over ndtr: both vanish far out, their quotient does not.
@log_ndtr.rule("x", r"\bar x = \bar y\,\sqrt{2 / \pi} / \operatorname{erfcx}(-x / \sqrt 2)")
def _(ct, x):
    return ct * math.sqrt(2 / math.pi) / erfcx(x * -math.sqrt(0.5))


@operator
def ndtri(x):
    """The inverse of ndtr, for x in [0, 1]. The gradient at 0 and 1 is infinite."""
    return kernels(x).special("ndtri", x)


@ndtri.rule("x", r"\bar x = \bar y\,\sqrt{2\pi}\,e^{y^2 / 2}")
def _(ct, y):
    return ct * ROOT_2PI * exp(y * y * 0.5)


# --- The gamma function ---------------------------------------------------------------------------


@operator
def gamma(x):
    """The gamma function, ∫ t^(x-1) e^(-t) dt from 0 to infinity: (x - 1)! of whole numbers."""
    return kernels(x).special("gamma", x)


@gamma.rule("x", r"\bar x = \bar y\,y\,\psi(x)")
def _(ct, y, x):
    return ct * y * digamma(x)


@operator
def gammaln(x):
    """log |gamma(x)|, without overflow."""
    return kernels(x).special("gammaln", x)


@gammaln.rule("x", r"\bar x = \bar y\,\psi(x)")
def _(ct, x):
    return ct * digamma(x)


@operator
def digamma(x):
    """ψ, the derivative of log gamma(x)."""
    return kernels(x).special("digamma", x)


@digamma.rule("x", r"\bar x = \bar y\,\psi'(x)")
def _(ct, x):
    return ct * polygamma(1, x)


@operator
def polygamma(n, x):
    """The n-th derivative of ψ, for a whole number n."""
    return kernels(x).special("polygamma", n, x)


@polygamma.rule("x", r"\bar x = \bar y\,\psi^{(n + 1)}(x)")
def _(ct, n, x):
    return ct * polygamma(n + 1, x)


@operator
def betaln(x1, x2):
    """log |gamma(x1) gamma(x2) / gamma(x1 + x2)|, without overflow."""
    return kernels(x1, x2).special("betaln", x1, x2)


@betaln.rule("x1", r"\bar x_1 = \bar y\,(\psi(x_1) - \psi(x_1 + x_2))")
def _(ct, x1, x2):
    return ct * (digamma(x1) - digamma(x1 + x2))


@betaln.rule("x2", r"\bar x_2 = \bar y\,(\psi(x_2) - \psi(x_1 + x_2))")
def _(ct, x1, x2):
    return ct * (digamma(x2) - digamma(x1 + x2))


# --- Bessel functions -----------------------------------------------------------------------------


@operator
def iv(v, x):
    """The modified Bessel function of the first kind, of order v."""
    return kernels(x).special("iv", v, x)


@iv.rule("x", r"\bar x = \bar y\,(I_{v-1}(x) + I_{v+1}(x)) / 2")
def _(ct, v, x):
    return ct * ((iv(v - 1, x) + iv(v + 1, x)) * 0.5)


@operator
def ive(v, x):
    """iv(v, x) e^(-|x|), without overflow. Its kink at 0 has the gradient between the two sides."""
    return kernels(x).special("ive", v, x)


@ive.rule("x", r"\bar x = \bar y\,((y_{v-1} + y_{v+1}) / 2 - y \operatorname{sign} x)")
def _(ct, y, v, x):
    return ct * ((ive(v - 1, x) + ive(v + 1, x)) * 0.5 - sign(x) * y)


@operator
def i0(x):
    """The modified Bessel function of order 0."""
    return kernels(x).special("i0", x)


@i0.rule("x", r"\bar x = \bar y\,I_1(x)")
def _(ct, x):
    return ct * i1(x)


@operator
def i1(x):
    """The modified Bessel function of order 1."""
    return kernels(x).special("i1", x)


@i1.rule("x", r"\bar x = \bar y\,(I_0(x) + I_2(x)) / 2")
def _(ct, x):
    return ct * ((i0(x) + iv(2, x)) * 0.5)


@operator
def i0e(x):
    """i0(x) e^(-|x|), without overflow. The gradient at its kink, 0, is 0."""
    return kernels(x).special("i0e", x)


@i0e.rule("x", r"\bar x = \bar y\,(I_1(x)\,e^{-|x|} - y \operatorname{sign} x)")
def _(ct, y, x):
    return ct * (i1e(x) - sign(x) * y)


@operator
def i1e(x):
    """i1(x) e^(-|x|), without overflow."""
    return kernels(x).special("i1e", x)


@i1e.rule("x", r"\bar x = \bar y\,((I_0(x) + I_2(x))\,e^{-|x|} / 2 - y \operatorname{sign} x)")
def _(ct, y, x):
    return ct * ((i0e(x) + ive(2, x)) * 0.5 - sign(x) * y)


@operator
def spherical_jn(n, x):
    """The spherical Bessel function of order n = 0, 1, 2, ...: of order 0, sin(x) / x."""
    return kernels(x).special("spherical_jn", n, x)


@spherical_jn.rule("x", r"\bar x = \bar y\,(n j_{n-1}(x) - (n + 1) j_{n+1}(x)) / (2 n + 1)")
def _(ct, n, x):
    slope = spherical_jn(n + 1, x) * (-(n + 1) / (2 * n + 1))
    return ct * (slope if n == 0 else slope + spherical_jn(n - 1, x) * (n / (2 * n + 1)))


# --- Logarithms -----------------------------------------------------------------------------------


@operator
def xlogy(x1, x2):
    """x1 log x2, and 0 where x1 is 0 (with the gradient 0 by x2 there)."""
    return kernels(x1, x2).special("xlogy", x1, x2)


@xlogy.rule("x1", r"\bar x_1 = \bar y \log x_2")
def _(ct, x1, x2):
    flat = (x1 == 0) & (x2 <= 0)
    return where(flat, 0.0, ct * log(where(flat, 1.0, x2)))


@xlogy.rule("x2", r"\bar x_2 = \bar y\,x_1 / x_2")
def _(ct, x1, x2):
    return ct * x1 / where((x1 == 0) & (x2 <= 0), math.inf, x2)


@operator
def xlog1py(x1, x2):
    """x1 log(1 + x2), and 0 where x1 is 0 (with the gradient 0 by x2 there)."""
    return kernels(x1, x2).special("xlog1py", x1, x2)


@xlog1py.rule("x1", r"\bar x_1 = \bar y \log(1 + x_2)")
def _(ct, x1, x2):
    flat = (x1 == 0) & (x2 <= -1)
    return where(flat, 0.0, ct * log1p(where(flat, 0.0, x2)))


@xlog1py.rule("x2", r"\bar x_2 = \bar y\,x_1 / (1 + x_2)")
def _(ct, x1, x2):
    return ct * x1 / where((x1 == 0) & (x2 <= -1), math.inf, 1 + x2)


@operator
def entr(x):
    """-x log x, the share of x in an entropy: 0 at 0, -∞ below. The gradient at 0 is infinite."""
    return kernels(x).special("entr", x)


@entr.rule("x", r"\bar x = -\bar y\,(1 + \log x)")
def _(ct, x):
    return -ct * (1 + log(x))


@operator
def logit(x):
    """log(x / (1 - x)), the inverse of sigmoid."""
    return kernels(x).special("logit", x)


@logit.rule("x", r"\bar x = \bar y / (x (1 - x))")
def _(ct, x):
    return ct / (x * (1 - x))


@operator
def logsigmoid(x):
    """log(sigmoid(x)), exact where sigmoid(x) is nearly 0 or 1."""
    library = array_library(x)  # its logaddexp(-x, 0) takes ten times as long
    return library.minimum(x, 0.0) - library.log1p(library.exp(-library.abs(x)))


@logsigmoid.rule("x", r"\bar x = \bar y / (1 + e^x)")
def _(ct, x):
    return ct * sigmoid(-x)


# --- Under other names, and of the above ----------------------------------------------------------

expit = sigmoid  # SciPy's name
lgamma = gammaln  # PyTorch's and C's


def softplus(x: Any) -> Any:
    """log(1 + eˣ), without overflow: a smooth relu.

    >>> import numpy as np
    >>> print(softplus(np.array([-1000.0, 0.0, 1000.0])).tolist())
    [0.0, 0.6931471805599453, 1000.0]
    """
    return subtract(0.0, logsigmoid(negative(x)))
