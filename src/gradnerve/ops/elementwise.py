"""Operators that work element by element, each with its gradient beside it.

In a rule `ct` is the cotangent of the output, `y` is the output, and every other name is the
forward's own. The code of a rule is ordinary array code: it runs on arrays, and on Tensors when
the gradient is itself differentiated. Where an input was broadcast, the engine sums its cotangent
back to the input's shape, so no rule has to.

At a kink or a tie, and at the edge of a domain, the value is PyTorch's; the docstring says which.
"""

from __future__ import annotations

import math

from gradnerve.backends import array_library, foreign, is_complex, kernels
from gradnerve.graph import operator

__all__ = [
    "abs", "acos", "acosh", "add", "asin", "asinh", "atan", "atan2", "atanh", "bitwise_and",
    "bitwise_invert", "bitwise_left_shift", "bitwise_or", "bitwise_right_shift", "bitwise_xor",
    "ceil", "clip", "conj", "copysign", "cos", "cosh", "divide", "equal", "erf", "exp", "expm1",
    "floor", "floor_divide", "greater", "greater_equal", "hypot", "imag", "isfinite", "isinf",
    "isnan", "less", "less_equal", "log", "log1p", "log2", "log10", "logaddexp", "logical_and",
    "logical_not", "logical_or", "logical_xor", "maximum", "minimum", "multiply", "negative",
    "nextafter", "not_equal", "positive", "pow", "real", "reciprocal", "relu", "remainder",
    "round", "sigmoid", "sign", "signbit", "sin", "sinh", "sqrt", "square", "subtract", "tan",
    "tanh", "trunc", "where",
]  # fmt: skip

# --- Arithmetic -----------------------------------------------------------------------------------


@operator
def add(x1, x2):
    """Sum, x1 + x2."""
    return x1 + x2


@add.rule("x1", r"\bar x_1 = \bar y")
def _(ct):
    return ct


@add.rule("x2", r"\bar x_2 = \bar y")
def _(ct):
    return ct


@operator
def subtract(x1, x2):
    """Difference, x1 - x2."""
    return x1 - x2


@subtract.rule("x1", r"\bar x_1 = \bar y")
def _(ct):
    return ct


@subtract.rule("x2", r"\bar x_2 = -\bar y")
def _(ct):
    return -ct


@operator
def multiply(x1, x2):
    """Product, x1 · x2."""
    return x1 * x2


@multiply.rule("x1", r"\bar x_1 = \bar y\,x_2")
def _(ct, x2):
    return ct * x2


@multiply.rule("x2", r"\bar x_2 = \bar y\,x_1")
def _(ct, x1):
    return ct * x1


@operator
def divide(x1, x2):
    """Quotient, x1 / x2."""
    return x1 / x2


@divide.rule("x1", r"\bar x_1 = \bar y / x_2")
def _(ct, x2):
    return ct / x2


@divide.rule("x2", r"\bar x_2 = -\bar y\,y / x_2")
def _(ct, y, x2):
    return -ct * y / x2


@operator
def pow(x1, x2):
    """Power, x1 to the x2. The gradient of x1⁰ is 0, at x1 = 0 too, and so is that of 0ˣ² by x2."""
    y = x1**x2
    if type(x2) is int or getattr(x2, "shape", False) or type(x2) in foreign:
        return y
    if x2 != 0.5 or is_complex(y):
        return y
    # NumPy takes √ for a power of ½: but √-0 is -0, and √-∞ is not a number.
    library = array_library(y)
    return library.where(x1 == -math.inf, math.inf, library.abs(y))


@pow.rule("x1", r"\bar x_1 = \bar y\,x_2\,x_1^{x_2 - 1}")
def _(ct, x1, x2):
    if isinstance(x2, (int, float, complex)):
        return ct * (x2 * x1 ** (x2 - 1)) if x2 != 0 else zeros_like(ct)
    # At x2 = 0 the formula is 0 · x1⁻¹: not a number at x1 = 0.
    power = where(x2 == 0, 1.0, x2 - 1)
    return ct * where(x2 == 0, 0.0, x2 * x1**power)


@pow.rule("x2", r"\bar x_2 = \bar y\,y \log x_1")
def _(ct, y, x1, x2):
    flat = (x1 == 0) & (real(x2) >= 0)
    base = where(flat, 1.0, x1)
    return ct * where(flat, 0.0, y * log(base + 0j if is_complex(y) else base))


@operator
def negative(x):
    """Minus each element."""
    return -x


@negative.rule("x", r"\bar x = -\bar y")
def _(ct):
    return -ct


@operator
def positive(x):
    """Each element as it is."""
    return +x


@positive.rule("x", r"\bar x = \bar y")
def _(ct):
    return ct


@operator
def identity(x):
    """The array itself: where it is called, a new Tensor begins on the same data."""
    return x


@identity.rule("x", r"\bar x = \bar y")
def _(ct):
    return ct


@operator
def reciprocal(x):
    """One over each element."""
    return 1.0 / x


@reciprocal.rule("x", r"\bar x = -\bar y\,y^2")
def _(ct, y):
    return -ct * y * y


@operator
def square(x):
    """Each element times itself."""
    return x * x


@square.rule("x", r"\bar x = 2 x\,\bar y")
def _(ct, x):
    return ct * (2 * x)


@operator
def sqrt(x):
    """Square root. Its gradient at 0 is infinite."""
    return array_library(x).sqrt(x)


@sqrt.rule("x", r"\bar x = \bar y / 2y")
def _(ct, y):
    return ct / (2 * y)


@operator
def abs(x):
    """Absolute value; of a complex number, its distance from 0. The gradient at 0 is 0."""
    return array_library(x).abs(x)


@abs.rule("x", r"\bar x = \bar y\,\overline{\operatorname{sign} x}")
def _(ct, x):
    return ct * conj(sign(x))


@operator
def floor_divide(x1, x2):
    """Quotient rounded down, ⌊x1 / x2⌋."""
    return kernels(x1, x2).floor_divide(x1, x2)


@operator
def remainder(x1, x2):
    """What is left of x1 after whole multiples of x2, with the sign of x2."""
    return x1 % x2


@remainder.rule("x1", r"\bar x_1 = \bar y")
def _(ct):
    return ct


@remainder.rule("x2", r"\bar x_2 = -\bar y\,\lfloor x_1 / x_2 \rfloor")
def _(ct, y, x1, x2):
    # 1 % -∞ is -∞: one multiple too many.
    return -ct * where(isinf(x2) & isinf(y), -1.0, floor_divide(x1, x2))


# --- Complex numbers ------------------------------------------------------------------------------


@operator
def real(x):
    """The real part."""
    return array_library(x).real(x) if is_complex(x) else x


@real.rule("x", r"\bar x = \bar y")
def _(ct):
    return ct


@operator
def imag(x):
    """The imaginary part: of real numbers, 0."""
    return array_library(x).imag(x) if is_complex(x) else array_library(x).zeros_like(x)


@imag.rule("x", r"\bar x = -i\,\bar y")
def _(ct):
    return ct * -1j


@operator
def conj(x):
    """The complex conjugate: the imaginary part with the other sign."""
    return array_library(x).conj(x) if is_complex(x) else x


@conj.rule("x", r"\bar x = \overline{\bar y}")
def _(ct):
    return conj(ct)


# --- Exponentials and logarithms ------------------------------------------------------------------


@operator
def exp(x):
    """e to the power of each element."""
    return array_library(x).exp(x)


@exp.rule("x", r"\bar x = \bar y\,y")
def _(ct, y):
    return ct * y


@operator
def expm1(x):
    """eˣ - 1, exact near 0."""
    return kernels(x).complex_expm1(x) if is_complex(x) else array_library(x).expm1(x)


@expm1.rule("x", r"\bar x = \bar y\,(y + 1)")
def _(ct, y):
    return ct * (y + 1)


@operator
def log(x):
    """Natural logarithm."""
    return array_library(x).log(x)


@log.rule("x", r"\bar x = \bar y / x")
def _(ct, x):
    return ct / x


@operator
def log1p(x):
    """log(1 + x), exact near 0."""
    return array_library(x).log1p(x)


@log1p.rule("x", r"\bar x = \bar y / (1 + x)")
def _(ct, x):
    return ct / (1 + x)


@operator
def log2(x):
    """Logarithm to base 2."""
    return array_library(x).log2(x)


@log2.rule("x", r"\bar x = \bar y / (x \ln 2)")
def _(ct, x):
    return ct / (x * math.log(2))


@operator
def log10(x):
    """Logarithm to base 10."""
    return array_library(x).log10(x)


@log10.rule("x", r"\bar x = \bar y / (x \ln 10)")
def _(ct, x):
    return ct / (x * math.log(10))


@operator
def logaddexp(x1, x2):
    """log(eˣ¹ + eˣ²), without overflow."""
    return array_library(x1, x2).logaddexp(x1, x2)


# As e^(x1 - y), but exact where y is large, and so has few digits, and without ∞ - ∞.
@logaddexp.rule("x1", r"\bar x_1 = \bar y\,\sigma(x_1 - x_2)")
def _(ct, x1, x2):
    return ct * sigmoid(x1 - x2)


@logaddexp.rule("x2", r"\bar x_2 = \bar y\,\sigma(x_2 - x_1)")
def _(ct, x1, x2):
    return ct * sigmoid(x2 - x1)


@operator
def sigmoid(x):
    """The logistic function, 1 / (1 + e⁻ˣ), without overflow."""
    if is_complex(x):
        return 1.0 / (1.0 + array_library(x).exp(-x))
    return kernels(x).sigmoid(x)


@sigmoid.rule("x", r"\bar x = \bar y\,y\,(1 - y)")
def _(ct, y):
    return ct * y * (1 - y)


@operator
def erf(x):
    """The error function, 2/√π ∫₀ˣ e^(-t²) dt."""
    return kernels(x).special("erf", x)


@erf.rule("x", r"\bar x = \bar y\,\tfrac{2}{\sqrt\pi}\,e^{-x^2}")
def _(ct, x):
    return ct * (2 / math.sqrt(math.pi)) * exp(-x * x)


# --- Trigonometry ---------------------------------------------------------------------------------


@operator
def sin(x):
    """Sine of an angle in radians."""
    return array_library(x).sin(x)


@sin.rule("x", r"\bar x = \bar y \cos x")
def _(ct, x):
    return ct * cos(x)


@operator
def cos(x):
    """Cosine of an angle in radians."""
    return array_library(x).cos(x)


@cos.rule("x", r"\bar x = -\bar y \sin x")
def _(ct, x):
    return -ct * sin(x)


@operator
def tan(x):
    """Tangent of an angle in radians."""
    return array_library(x).tan(x)


@tan.rule("x", r"\bar x = \bar y\,(1 + y^2)")
def _(ct, y):
    return ct * (1 + y * y)


@operator
def asin(x):
    """Inverse sine. The gradient at ±1 is infinite."""
    return array_library(x).asin(x)


@asin.rule("x", r"\bar x = \bar y / \sqrt{1 - x^2}")
def _(ct, x):
    return ct / sqrt(1 - x * x)


@operator
def acos(x):
    """Inverse cosine. The gradient at ±1 is infinite."""
    return array_library(x).acos(x)


@acos.rule("x", r"\bar x = -\bar y / \sqrt{1 - x^2}")
def _(ct, x):
    return -ct / sqrt(1 - x * x)


@operator
def atan(x):
    """Inverse tangent."""
    return array_library(x).atan(x)


@atan.rule("x", r"\bar x = \bar y / (1 + x^2)")
def _(ct, x):
    return ct / (1 + x * x)


@operator
def atan2(x1, x2):
    """The angle of the point (x2, x1), in radians from -π to π. The gradient at (0, 0) is 0."""
    return array_library(x1, x2).atan2(x1, x2)


@atan2.rule("x1", r"\bar x_1 = \bar y\,x_2 / (x_1^2 + x_2^2)")
def _(ct, x1, x2):
    return ct * turn(x2, x1, x2)


@atan2.rule("x2", r"\bar x_2 = -\bar y\,x_1 / (x_1^2 + x_2^2)")
def _(ct, x1, x2):
    return -ct * turn(x1, x1, x2)


def turn(x, x1, x2):
    """x / (x1² + x2²), where the squares may be too small or too large for numbers; 0 at (0, 0)."""
    distance = hypot(x1, x2)
    nowhere = distance == 0
    distance = where(nowhere, 1.0, distance)
    return where(nowhere, 0.0, x) / distance / distance


@operator
def hypot(x1, x2):
    """√(x1² + x2²), without overflow. The gradient at (0, 0) is 0."""
    return array_library(x1, x2).hypot(x1, x2)


@hypot.rule("x1", r"\bar x_1 = \bar y\,x_1 / y")
def _(ct, y, x1):
    return ct * x1 / where(y == 0, math.inf, y)  # x / ∞ is 0, and so is its derivative


@hypot.rule("x2", r"\bar x_2 = \bar y\,x_2 / y")
def _(ct, y, x2):
    return ct * x2 / where(y == 0, math.inf, y)


# --- Hyperbolic functions -------------------------------------------------------------------------


@operator
def sinh(x):
    """Hyperbolic sine."""
    return array_library(x).sinh(x)


@sinh.rule("x", r"\bar x = \bar y \cosh x")
def _(ct, x):
    return ct * cosh(x)


@operator
def cosh(x):
    """Hyperbolic cosine."""
    return array_library(x).cosh(x)


@cosh.rule("x", r"\bar x = \bar y \sinh x")
def _(ct, x):
    return ct * sinh(x)


@operator
def tanh(x):
    """Hyperbolic tangent."""
    return array_library(x).tanh(x)


@tanh.rule("x", r"\bar x = \bar y\,(1 - y^2)")
def _(ct, y):
    return ct - ct * y * y  # as ct * (1 - y * y), and quicker: NumPy is slow with single numbers


@operator
def asinh(x):
    """Inverse hyperbolic sine."""
    return array_library(x).asinh(x)


@asinh.rule("x", r"\bar x = \bar y / \sqrt{x^2 + 1}")
def _(ct, x):
    return ct / sqrt(x * x + 1)


@operator
def acosh(x):
    """Inverse hyperbolic cosine. The gradient at 1 is infinite."""
    return array_library(x).acosh(x)


@acosh.rule("x", r"\bar x = \bar y / \sqrt{x^2 - 1}")
def _(ct, x):
    return ct / (sqrt(x - 1) * sqrt(x + 1))  # of complex numbers √(x² - 1) can be minus that


@operator
def atanh(x):
    """Inverse hyperbolic tangent. The gradient at ±1 is infinite."""
    return array_library(x).atanh(x)


@atanh.rule("x", r"\bar x = \bar y / (1 - x^2)")
def _(ct, x):
    return ct / (1 - x * x)


# --- Choosing -------------------------------------------------------------------------------------


@operator
def where(condition, x1, x2):
    """x1 where the condition holds, elsewhere x2."""
    library = array_library(condition, x1, x2)
    is_zero = type(x2) in (int, float) and x2 == 0 and math.copysign(1, x2) > 0
    if is_zero and type(x1) is type(condition):
        return kernels(x1).masked(x1, condition, x2)
    return library.where(condition, x1, x2)


@where.rule("x1", r"\bar x_1 = \bar y\;\text{where the condition holds, else}\;0")
def _(ct, condition):
    return where(condition, ct, 0.0)


@where.rule("x2", r"\bar x_2 = 0\;\text{where the condition holds, else}\;\bar y")
def _(ct, condition):
    return where(condition, 0.0, ct)


@operator
def maximum(x1, x2):
    """The greater of x1 and x2. A tie gives each half of the gradient, a NaN all to each."""
    return array_library(x1, x2).maximum(x1, x2)


@maximum.rule("x1", r"\bar x_1 = \bar y\;\text{where}\;x_1 > x_2")
def _(ct, x1, x2):
    return where(x1 == x2, ct / 2, where(logical_not(x1 < x2), ct, 0.0))


@maximum.rule("x2", r"\bar x_2 = \bar y\;\text{where}\;x_2 > x_1")
def _(ct, x1, x2):
    return where(x1 == x2, ct / 2, where(logical_not(x2 < x1), ct, 0.0))


@operator
def minimum(x1, x2):
    """The smaller of x1 and x2. A tie gives each half of the gradient, a NaN all to each."""
    return array_library(x1, x2).minimum(x1, x2)


@minimum.rule("x1", r"\bar x_1 = \bar y\;\text{where}\;x_1 < x_2")
def _(ct, x1, x2):
    return where(x1 == x2, ct / 2, where(logical_not(x1 > x2), ct, 0.0))


@minimum.rule("x2", r"\bar x_2 = \bar y\;\text{where}\;x_2 < x_1")
def _(ct, x1, x2):
    return where(x1 == x2, ct / 2, where(logical_not(x2 > x1), ct, 0.0))


@operator
def clip(x, min=None, max=None):
    """x, moved into [min, max]. On a bound the gradient is x's; where min > max it is max's.

    A NaN goes through, and has the gradient 0.
    """
    library = array_library(x, min, max)
    if min is None and max is None:
        return library.asarray(x, copy=True)
    return library.clip(x, min, max)


@clip.rule("x", r"\bar x = \bar y\;\text{where}\;min \le x \le max")
def _(ct, x, min, max):
    if min is not None:
        ct = where(x >= min, ct, 0.0)
    return ct if max is None else where(x <= max, ct, 0.0)


@clip.rule("min", r"\overline{min} = \bar y\;\text{where}\;x < min")
def _(ct, x, min, max):
    ct = where(x < min, ct, 0.0)
    return ct if max is None else where(min < max, ct, 0.0)


@clip.rule("max", r"\overline{max} = \bar y\;\text{where}\;x > max")
def _(ct, x, min, max):
    above = x > max if min is None else (x > max) | (max < min)
    return where(above, ct, 0.0)


@operator
def relu(x):
    """x where it is positive, else 0. The gradient at 0 is 0; a NaN goes through, both ways."""
    library = array_library(x)
    return library.maximum(x, library.zeros_like(x))  # quicker in NumPy than against a single 0


@relu.rule("x", r"\bar x = \bar y\;\text{where}\;x > 0")
def _(ct, y):
    return where(y != 0, ct, 0.0)


@operator
def copysign(x1, x2):
    """x1 with the sign of x2. The gradient at x1 = 0 is 0."""
    return array_library(x1, x2).copysign(x1, x2)


@copysign.rule("x1", r"\bar x_1 = \bar y \operatorname{sign}(x_1) \operatorname{sign}(y)")
def _(ct, y, x1):
    return ct * (sign(x1) * sign(y))


@operator
def nextafter(x1, x2):
    """The next number that there is after x1, in the direction of x2."""
    return array_library(x1, x2).nextafter(x1, x2)


@nextafter.rule("x1", r"\bar x_1 = \bar y")
def _(ct):
    return ct


# --- Steps: flat wherever they have a derivative, so the gradient is 0 ----------------------------


@operator
def sign(x):
    """-1, 0 or 1; of a complex number, x / |x|, and 0 at 0."""
    return array_library(x).sign(x)


@sign.rule("x", r"\bar x = \tfrac{i}{|x|} \operatorname{Im}(\bar y\,y)\,\overline y")
def _(ct, y, x):
    if not is_complex(x):
        return zeros_like(ct)
    # A complex number on the unit circle can only turn: by Im(dx / y) / |x|.
    size = where(x == 0, 1.0, abs(x))
    return 1j * imag(ct * y) * conj(y) / size


@operator
def floor(x):
    """The next whole number below."""
    return array_library(x).floor(x)


@operator
def ceil(x):
    """The next whole number above."""
    return array_library(x).ceil(x)


@operator
def trunc(x):
    """The next whole number towards 0."""
    return array_library(x).trunc(x)


@operator
def round(x):
    """The nearest whole number; halves go to the even one."""
    return array_library(x).round(x)


def flat(ct):
    return zeros_like(ct)


for step in (floor, ceil, trunc, round):
    step.rule("x", r"\bar x = 0")(flat)
floor_divide.rule("x1", r"\bar x_1 = 0")(flat)
floor_divide.rule("x2", r"\bar x_2 = 0")(flat)
copysign.rule("x2", r"\bar x_2 = 0")(flat)
nextafter.rule("x2", r"\bar x_2 = 0")(flat)


# --- Plain values: comparisons and tests have no derivative ---------------------------------------


@operator
def equal(x1, x2):
    """Whether x1 = x2."""
    return x1 == x2


@operator
def not_equal(x1, x2):
    """Whether x1 ≠ x2."""
    return x1 != x2


@operator
def less(x1, x2):
    """Whether x1 < x2."""
    return x1 < x2


@operator
def less_equal(x1, x2):
    """Whether x1 ≤ x2."""
    return x1 <= x2


@operator
def greater(x1, x2):
    """Whether x1 > x2."""
    return x1 > x2


@operator
def greater_equal(x1, x2):
    """Whether x1 ≥ x2."""
    return x1 >= x2


@operator
def isnan(x):
    """Whether an element is not a number."""
    return array_library(x).isnan(x)


@operator
def isinf(x):
    """Whether an element is infinite."""
    return array_library(x).isinf(x)


@operator
def isfinite(x):
    """Whether an element is neither infinite nor not a number."""
    return array_library(x).isfinite(x)


@operator
def signbit(x):
    """Whether an element is negative, or -0."""
    return array_library(x).signbit(x)


@operator
def logical_and(x1, x2):
    """Whether both are true."""
    return array_library(x1, x2).logical_and(x1, x2)


@operator
def logical_or(x1, x2):
    """Whether at least one is true."""
    return array_library(x1, x2).logical_or(x1, x2)


@operator
def logical_xor(x1, x2):
    """Whether exactly one is true."""
    return array_library(x1, x2).logical_xor(x1, x2)


@operator
def logical_not(x):
    """Whether an element is false."""
    return array_library(x).logical_not(x)


@operator
def bitwise_and(x1, x2):
    """x1 & x2, of integers or booleans."""
    return x1 & x2


@operator
def bitwise_or(x1, x2):
    """x1 | x2, of integers or booleans."""
    return x1 | x2


@operator
def bitwise_xor(x1, x2):
    """x1 ^ x2, of integers or booleans."""
    return x1 ^ x2


@operator
def bitwise_invert(x):
    """~x, of integers or booleans."""
    return ~x


@operator
def bitwise_left_shift(x1, x2):
    """x1 << x2, of integers: x1 · 2ˣ²."""
    return x1 << x2


@operator
def bitwise_right_shift(x1, x2):
    """x1 >> x2, of integers: ⌊x1 / 2ˣ²⌋."""
    return x1 >> x2


@operator
def zeros_like(x):
    """Zeros in the shape and dtype of x."""
    return array_library(x).zeros_like(x)


@operator
def ones_like(x):
    """Ones in the shape and dtype of x."""
    return array_library(x).ones_like(x)
