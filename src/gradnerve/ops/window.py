"""Convolution and pooling: operators that look at an array (N, C, *S) through a moving window.

*S are the spatial axes, one or more. Each operator here is linear in what it moves, or picks; its
adjoint is an operator too, so that gradients of any order need nothing else. `resample` stands
for itself: it moves along one axis of any array, and interpolates, repeats or averages.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from gradnerve.backends import array_library, kernels
from gradnerve.graph import operator
from gradnerve.ops.reduce import sum


class Window(NamedTuple):
    """A kernel's size, and how it moves; one entry for each spatial axis."""

    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[tuple[int, int], ...]  # before and after
    dilation: tuple[int, ...]

    def counts(self, sizes: tuple[int, ...]) -> tuple[int, ...]:
        """How many windows there are along each axis of an input of these sizes."""
        sides = zip(sizes, self.padding, strict=True)
        return self.counts_padded(tuple(a + n + b for n, (a, b) in sides))

    def counts_padded(self, sizes: tuple[int, ...]) -> tuple[int, ...]:
        """The same for an input that has its padding already."""
        axes = zip(sizes, self.kernel, self.stride, self.dilation, strict=True)
        found = tuple((n - d * (k - 1) - 1) // s + 1 for n, k, s, d in axes)
        if any(c < 1 for c in found):
            raise ValueError(
                f"a window of {self.kernel} (dilation {self.dilation}) is larger than the input, "
                f"{sizes} with its padding"
            )
        return found


# --- Convolution: bilinear, so each of the three is the adjoint of another ------------------------


@operator
def convolve(x, weight, window, groups=1, bias=None):
    """(N, C, *S), (F, C/groups, *K), (F,) -> (N, F, *O): filters on windows, plus bias."""
    y = kernels(x, weight).convolve(x, weight, window, groups)
    if bias is not None:
        y += array_library(bias).reshape(bias, (-1,) + (1,) * len(window.kernel))
    return y


@operator
def convolve_input(c, weight, window, groups, shape):
    """The adjoint of `convolve` by x: (N, F, *O), (F, C/groups, *K) -> (N, C, *S)."""
    return kernels(c, weight).convolve_input(c, weight, window, groups, shape)


@operator
def convolve_weight(c, x, window, groups):
    """The adjoint of `convolve` by the weight: (N, F, *O), (N, C, *S) -> (F, C/groups, *K)."""
    return kernels(c, x).convolve_weight(c, x, window, groups)


@convolve.rule("x", r"\bar x = \bar y \star^{\mathsf T} w")
def _(ct, x, weight, window, groups):
    return convolve_input(ct, weight, window, groups, x.shape)


@convolve.rule("weight", r"\bar w = \bar y \star x")
def _(ct, x, window, groups):
    return convolve_weight(ct, x, window, groups)


@convolve.rule("bias", r"\bar b = \textstyle\sum_{n,o} \bar y")
def _(ct):
    return sum(ct, (0, *range(2, len(ct.shape))))


@convolve_input.rule("c", r"\bar c = \bar y \star w")
def _(ct, weight, window, groups):
    return convolve(ct, weight, window, groups)


@convolve_input.rule("weight", r"\bar w = c \star \bar y")
def _(ct, c, window, groups):
    return convolve_weight(c, ct, window, groups)


@convolve_weight.rule("c", r"\bar c = x \star \bar y")
def _(ct, x, window, groups):
    return convolve(x, ct, window, groups)


@convolve_weight.rule("x", r"\bar x = c \star^{\mathsf T} \bar y")
def _(ct, c, x, window, groups):
    return convolve_input(c, ct, window, groups, x.shape)


# --- Pooling --------------------------------------------------------------------------------------


@operator
def window_max(x, window):
    """(N, C, *S) -> (N, C, *O): the greatest in each window; the first, at a tie, gets the ct."""
    return kernels(x).window_max(x, window)


@window_max.rule("x", r"\bar x_{\operatorname{argmax}} \mathrel{+}= \bar y")
def _(ct, y, x, window):
    return window_put(ct, window_argmax(x, y, window), window, x.shape)


@operator
def window_argmax(x, maximum, window):
    """(N, C, *S) -> (N, C, *O): the first position inside each window to have its maximum."""
    return kernels(x).window_argmax(x, maximum, window)


@operator
def window_pick(x, index, window):
    """(N, C, *S) -> (N, C, *O): the value at position `index` in each window."""
    return kernels(x).window_pick(x, index, window)


@operator
def window_put(c, index, window, shape):
    """The adjoint of `window_pick`: (N, C, *O) -> (N, C, *S), 0 where nothing was picked."""
    return kernels(c).window_put(c, index, window, shape)


@window_pick.rule("x", r"\bar x_{index} \mathrel{+}= \bar y")
def _(ct, x, index, window):
    return window_put(ct, index, window, x.shape)


@window_put.rule("c", r"\bar c = \bar y_{index}")
def _(ct, index, window):
    return window_pick(ct, index, window)


@operator
def window_sum(x, window):
    """(N, C, *S) -> (N, C, *O): the sum of each window."""
    return kernels(x).window_sum(x, window)


@operator
def window_spread(c, window, shape):
    """The adjoint of `window_sum`: (N, C, *O) -> (N, C, *S), each value to all of its window."""
    return kernels(c).window_spread(c, window, shape)


@window_sum.rule("x", r"\bar x_i = \textstyle\sum \bar y\;\text{of the windows that see}\;i")
def _(ct, x, window):
    return window_spread(ct, window, x.shape)


@window_spread.rule("c", r"\bar c = \textstyle\sum \bar y\;\text{over the window}")
def _(ct, window):
    return window_sum(ct, window)


@operator
def window_values(x, window):
    """(N, C, *S) -> (N, C, *K, *O): what is at each place of the kernel, in each window."""
    return kernels(x).window_values(x, window)


@operator
def window_gather(c, window, shape):
    """The adjoint of `window_values`: (N, C, *K, *O) -> (N, C, *S), where windows overlap added."""
    return kernels(c).window_gather(c, window, shape)


@window_values.rule("x", r"\bar x_i = \textstyle\sum \bar y\;\text{wherever}\;x_i\;\text{is seen}")
def _(ct, x, window):
    return window_gather(ct, window, x.shape)


@window_gather.rule("c", r"\bar c = \text{what each window sees of}\;\bar y")
def _(ct, window):
    return window_values(ct, window)


# --- Resampling -----------------------------------------------------------------------------------


class Taps(NamedTuple):
    """Which elements of an axis each new element is a sum of: Σ weights[k][o] · x[places[k][o]]."""

    places: tuple[tuple[int, ...], ...]
    weights: tuple[tuple[float, ...], ...]
    size: int  # of the axis that they are taken from

    @classmethod
    def of(cls, terms: list[list[tuple[int, float]]], size: int) -> Taps:
        """From a list of (place, weight) for each new element, to lists of equal length."""
        most = max(1, *map(len, terms))
        full = [t + [(t[-1][0] if t else 0, 0.0)] * (most - len(t)) for t in terms]
        rows = [tuple(zip(*(t[k] for t in full), strict=True)) for k in range(most)]
        return cls(tuple(i for i, _ in rows), tuple(w for _, w in rows), size)


@lru_cache(maxsize=256)
def adjoint(taps: Taps, count: int) -> Taps:
    """The transposed sum, for an axis that had `count` new elements."""
    terms: list[list[tuple[int, float]]] = [[] for _ in range(taps.size)]
    for places, weights in zip(taps.places, taps.weights, strict=True):
        for o, (i, weight) in enumerate(zip(places, weights, strict=True)):
            if weight != 0:
                terms[i].append((o, weight))
    return Taps.of(terms, count)


@operator
def resample(x, taps, axis):
    """Along one axis, each new element a weighted sum of a few old ones."""
    return kernels(x).resample(x, taps, axis)


@resample.rule("x", r"\bar x = W^{\mathsf T}\,\bar y")
def _(ct, taps, axis):
    return resample(ct, adjoint(taps, ct.shape[axis]), axis)
