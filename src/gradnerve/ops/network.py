"""Fused operators of networks: in parts, they would make many more arrays."""

from __future__ import annotations

import math

from gradnerve.backends import array_library, device
from gradnerve.graph import operator
from gradnerve.ops.elementwise import clip, exp, log, sqrt
from gradnerve.ops.index import getitem
from gradnerve.ops.reduce import mean, sum
from gradnerve.ops.shape import expand_dims, matrix_transpose, reshape

__all__ = [
    "layer_norm", "linear", "log_softmax", "softmax", "softmax_cross_entropy",
]  # fmt: skip

ROOT_2_BY_PI, GELU_CUBIC = math.sqrt(2 / math.pi), 0.044715


@operator
def linear(x, weight, bias=None):
    """x Wᵀ + b: (..., in), (out, in), (out,) -> (..., out)."""
    y = x @ array_library(weight).matrix_transpose(weight)
    if bias is not None:
        y += bias
    return y


@linear.rule("x", r"\bar X = \bar Y\,W")
def _(ct, weight):
    return ct @ weight


@linear.rule("weight", r"\bar W = \bar Y^{\mathsf T} X")
def _(ct, x):
    if len(x.shape) != 2:
        rows = math.prod(x.shape[:-1])
        ct, x = reshape(ct, (rows, ct.shape[-1])), reshape(x, (rows, x.shape[-1]))
    return matrix_transpose(ct) @ x


@linear.rule("bias", r"\bar b = \textstyle\sum_n \bar Y_n")
def _(ct):
    return ct  # the engine sums it over the batch, as for any broadcast


@operator
def gelu_gate(x):
    """(1 + tanh(√(2/π) (x + a x³))) / 2, a = 0.044715: near to the normal distribution's Φ(x)."""
    y = x * x
    y *= ROOT_2_BY_PI * GELU_CUBIC
    y += ROOT_2_BY_PI
    y *= x
    y = array_library(x).tanh(y)
    y += 1
    y *= 0.5
    return y


@gelu_gate.rule("x", r"\bar x = \bar y\,y (1 - y)\,2 \sqrt{2 / \pi}\,(1 + 3 a x^2)")
def _(ct, y, x):
    slope = x * x * (6 * ROOT_2_BY_PI * GELU_CUBIC) + 2 * ROOT_2_BY_PI
    return (y - y * y) * slope * ct


@operator
def softmax(x, axis=-1):
    """eˣ / Σ eˣ along the axis, without overflow."""
    library = array_library(x)
    if 0 in x.shape:
        return library.exp(x)
    y = library.exp(x - library.max(x, axis=axis, keepdims=True))
    y /= library.sum(y, axis=axis, keepdims=True)
    return y


@softmax.rule("x", r"\bar x = y \odot (\bar y - \textstyle\sum \bar y \odot y)")
def through_softmax(ct, y, axis):
    return y * (ct - sum(ct * y, axis, True))


@operator
def log_softmax(x, axis=-1):
    """x - log Σ eˣ along the axis, without overflow."""
    library = array_library(x)
    if 0 in x.shape:
        return library.exp(x)
    y = x - library.max(x, axis=axis, keepdims=True)
    return y - library.log(library.sum(library.exp(y), axis=axis, keepdims=True))


@log_softmax.rule("x", r"\bar x = \bar y - e^y \textstyle\sum \bar y")
def _(ct, y, axis):
    return ct - exp(y) * sum(ct, axis, True)


@operator
def softmax_cross_entropy(logits, target):
    """-log softmax(logits)[target]: (..., C) and class numbers (...) -> (...)."""
    library = array_library(logits)
    x = logits - library.max(logits, axis=-1, keepdims=True)
    rows = library.reshape(x, (-1, x.shape[-1]))
    first = library.arange(rows.shape[0], device=device(rows))
    picked = getitem(rows, (first, library.reshape(target, (-1,))))
    return library.log(library.sum(library.exp(x), axis=-1)) - library.reshape(picked, target.shape)


@softmax_cross_entropy.rule("logits", r"\bar x = \bar y\,(\operatorname{softmax} x - 1_{target})")
def _(ct, logits, target):
    return expand_dims(ct, -1) * softmax_error(logits, target)


@operator
def softmax_error(logits, target):
    """softmax(logits) - 1 at the target: (..., C) and class numbers (...) -> (..., C)."""
    library = array_library(logits)
    classes = library.arange(logits.shape[-1], device=device(target))
    hit = library.astype(target[..., None] == classes, logits.dtype)
    return softmax(logits) - hit


@softmax_error.rule(
    "logits",
    r"\bar x = s \odot (\bar y - \textstyle\sum \bar y \odot s),\;s = \operatorname{softmax} x",
)
def _(ct, logits):
    return through_softmax(ct, softmax(logits), -1)


@operator
def binary_cross_entropy(p, target):
    """-(t log p + (1 - t) log(1 - p)) of each element; a logarithm below -100 counts as -100.

    The gradient is that of the formula, with p (1 - p) at least 1e-12: at p = 0 it is large, not 0.
    """
    library = array_library(p, target)
    tiny = math.exp(-100)
    log_p = library.log(library.maximum(p, tiny))
    return (target - 1) * library.log(library.maximum(1 - p, tiny)) - target * log_p


@binary_cross_entropy.rule("p", r"\bar p = \bar y\,(p - t) / p (1 - p)")
def _(ct, p, target):
    return ct * (p - target) / clip(p * (1 - p), 1e-12)


@binary_cross_entropy.rule("target", r"\bar t = \bar y\,(\log (1 - p) - \log p)")
def _(ct, p):
    tiny = math.exp(-100)
    return ct * (log(clip(1 - p, tiny)) - log(clip(p, tiny)))


@operator
def layer_norm(x, weight, bias, axes, eps):
    """x with mean 0 and variance 1 over `axes` (the last ones), then times weight plus bias."""
    library = array_library(x)
    centred = x - library.mean(x, axis=axes, keepdims=True)
    variance = library.mean(centred * centred, axis=axes, keepdims=True)
    y = centred
    y /= library.sqrt(variance + eps)
    if weight is not None:
        y = y * weight
    return y if bias is None else y + bias


@layer_norm.rule(
    "x, weight, bias",
    r"\bar x = \tfrac{1}{\sigma}(g - \overline{g} - \hat x\,\overline{g \hat x}),\;"
    r"g = \bar y \odot w;\quad \bar w = \bar y \odot \hat x;\quad \bar b = \bar y",
)
def _(ct, x, weight, axes, eps, needs):
    centred = x - mean(x, axes, True)
    sigma = sqrt(mean(centred * centred, axes, True) + eps)
    normed = centred / sigma
    to_x = None
    if needs[0]:
        g = ct if weight is None else ct * weight
        to_x = (g - mean(g, axes, True) - normed * mean(g * normed, axes, True)) / sigma
    return to_x, ct * normed if needs[1] else None, ct


@operator
def rescale(x, centre, scale, shift=None):
    """(x - centre) · scale + shift: the last step of a normalisation. All have as many axes as x.

    The statistics come from other operators, so the gradient that goes through them does too.
    """
    y = x - centre
    y *= scale
    if shift is not None:
        y += shift
    return y


@rescale.rule(
    "x, centre, scale, shift",
    r"\bar x = \bar y\,s;\quad \bar c = -\bar y\,s;\quad \bar s = \bar y\,(x - c);\quad "
    r"\bar t = \bar y",
)
def _(ct, x, centre, scale, shift, needs):
    # The three are small: sum first, then multiply. The engine sums what is left to be summed.
    small = [array.shape for array in (centre, scale, shift) if array is not None]
    axes = tuple(i for i, n in enumerate(ct.shape) if n != 1 and all(s[i] == 1 for s in small))
    total = sum(ct, axes, True) if needs[1] or needs[3] else None
    return (
        ct * scale if needs[0] else None,
        None if total is None else -total * scale,
        sum(ct * (x - centre), axes, True) if needs[2] else None,
        total,
    )
