"""Fourier transforms, of any length along any axes, differentiable to any order.

The transform along an axis is y = F P x: P cuts x or fills it up with zeros to the length n, and F
is the matrix of e^(-2πi jk/n), which is symmetric. So x̄ = Pᵀ F ȳ: the same transform again, and
then zeros where x was cut, and a cut where it was filled up. (That is the transpose, as rules want
it; the adjoint in the literature has conjugates, and so the inverse transform.)

The transforms of real numbers, rfft and back, see only half of the spectrum: the other half is its
mirror image. What is seen once and what twice is the factor ½ or 2 in their rules.

Four operators do the work, each on given lengths and axes. The functions below, under the names of
the Array API standard's `fft` extension and of NumPy's, find those lengths; `gradnerve.fft` is made
of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from gradnerve.backends import array_library, is_complex
from gradnerve.graph import operator
from gradnerve.ops.elementwise import conj
from gradnerve.ops.pad import pad
from gradnerve.ops.shape import along, as_tensor_or_array, axes_of, axis_index, concat, roll
from gradnerve.tensor import Tensor

__all__ = [
    "fft", "fft2", "fftfreq", "fftn", "fftshift", "hfft", "ifft", "ifft2", "ifftn", "ifftshift",
    "ihfft", "irfft", "irfft2", "irfftn", "rfft", "rfft2", "rfftfreq", "rfftn",
]  # fmt: skip

# The scale that a norm puts on a transform is the one that another norm puts on the inverse.
OPPOSITE = {"backward": "forward", "ortho": "ortho", "forward": "backward"}


# --- The operators --------------------------------------------------------------------------------


@operator
def _fftn(x, s, axes, norm):
    """The discrete Fourier transform along `axes`, each cut or filled up to the length in `s`."""
    return array_library(x).fft.fftn(x, s=s, axes=axes, norm=norm)


@_fftn.rule("x", r"\bar x = P^{\mathsf T} F\,\bar y")
def _(ct, x, s, axes, norm):
    return _resized(_fftn(ct, s, axes, norm), axes, [x.shape[a] for a in axes])


@operator
def _ifftn(x, s, axes, norm):
    """The inverse of the discrete Fourier transform along `axes`, each of the length in `s`."""
    return array_library(x).fft.ifftn(x, s=s, axes=axes, norm=norm)


@_ifftn.rule("x", r"\bar x = P^{\mathsf T} F^{-1} \bar y")
def _(ct, x, s, axes, norm):
    return _resized(_ifftn(ct, s, axes, norm), axes, [x.shape[a] for a in axes])


@operator
def _rfftn(x, s, axes, norm):
    """The Fourier transform of real numbers: of the last of `axes`, the half [0, n/2]."""
    return array_library(x).fft.rfftn(x, s=s, axes=axes, norm=norm)


# Re(F ȳ) is a sum of waves too, which is what irfft computes; but irfft takes what is between the
# edges of the half spectrum for two waves.
@_rfftn.rule("x", r"\bar x = P^{\mathsf T} \operatorname{Re}(F\,\bar y)")
def _(ct, x, s, axes, norm):
    half = _scaled_inside(conj(ct), s[-1], axes[-1], 0.5)
    return _resized(_irfftn(half, s, axes, OPPOSITE[norm]), axes, [x.shape[a] for a in axes])


@operator
def _irfftn(x, s, axes, norm):
    """The inverse of rfftn: the real numbers with the half spectrum x."""
    return array_library(x).fft.irfftn(x, s=s, axes=axes, norm=norm)


@_irfftn.rule("x", r"\bar x = P^{\mathsf T} W\,\overline{F\,\bar y},\;W = 2\;\text{(edges: 1)}")
def _(ct, x, s, axes, norm):
    half = conj(_rfftn(ct, s, axes, OPPOSITE[norm]))
    twice = _scaled_inside(half, s[-1], axes[-1], 2.0)
    return _resized(twice, axes, [x.shape[a] for a in axes])


def _scaled_inside(half: Any, n: int, axis: int, factor: float) -> Any:
    """Half a spectrum of length n, with a factor on all that has a mirror image: not the edges."""
    end = (n + 1) // 2
    spans = slice(0, 1), slice(1, end), slice(end, None)
    first, inside, last = (half[along(axis, span)] for span in spans)
    return concat([first, inside * factor, last], axis)


def _resized(x: Any, axes: Sequence[int], lengths: Sequence[int]) -> Any:
    """x with its axes cut, or filled up with zeros, to the given lengths."""
    if all(x.shape[a] == n for a, n in zip(axes, lengths, strict=True)):
        return x
    keep = [slice(None)] * len(x.shape)
    margins = [(0, 0)] * len(x.shape)
    for a, n in zip(axes, lengths, strict=True):
        keep[a] = slice(0, n)
        margins[a] = (0, max(0, n - x.shape[a]))
    x = x[tuple(keep)]
    return pad(x, margins) if any(after for _, after in margins) else x


# --- One axis -------------------------------------------------------------------------------------


def fft(x: Any, n: int | None = None, axis: int = -1, norm: str | None = "backward") -> Any:
    """The discrete Fourier transform along an axis, cut or filled up with zeros to the length n.

    (..., N, ...) real or complex -> (..., n, ...) complex: Σⱼ xⱼ e^(-2πi jk/n), with frequencies
    from 0 upwards, then the negative ones. `norm` says where the factor 1/n goes: to the inverse
    ("backward"), to this transform ("forward"), or √(1/n) to each ("ortho").

    Raises ValueError for a length below 1, an axis that x does not have, or another norm.

    >>> import gradnerve as gn
    >>> gn.fft.fft([1.0, 0.0, -1.0, 0.0]).real
    array([0., 2., 0., 2.])
    """
    x, axes, s = _checked("fft", x, n, axis)
    return _fftn(x, s, axes, _norm("fft", norm))


def ifft(x: Any, n: int | None = None, axis: int = -1, norm: str | None = "backward") -> Any:
    """The inverse of `fft`: (..., N, ...) -> (..., n, ...) complex, 1/n Σₖ xₖ e^(2πi jk/n)."""
    x, axes, s = _checked("ifft", x, n, axis)
    return _ifftn(x, s, axes, _norm("ifft", norm))


def rfft(x: Any, n: int | None = None, axis: int = -1, norm: str | None = "backward") -> Any:
    """`fft` of real numbers: the frequencies from 0 up, (..., N, ...) -> (..., n // 2 + 1, ...).

    The others mirror them. Raises TypeError for complex numbers, and what `fft` raises.

    >>> import gradnerve as gn
    >>> gn.fft.rfft([1.0, 0.0, -1.0, 0.0]).real
    array([0., 2., 0.])
    """
    x, axes, s = _checked("rfft", x, n, axis)
    return _rfftn(_real("rfft", x), s, axes, _norm("rfft", norm))


def irfft(x: Any, n: int | None = None, axis: int = -1, norm: str | None = "backward") -> Any:
    """The inverse of `rfft`: (..., N, ...) -> (..., n, ...) real.

    If not given, n is 2 (N - 1): say so if it was odd. The imaginary part of the first frequency,
    and for an even n of the last, has no effect.
    """
    x, axes, s = _checked("irfft", x, n, axis, half=True)
    return _irfftn(x, s, axes, _norm("irfft", norm))


def hfft(x: Any, n: int | None = None, axis: int = -1, norm: str | None = "backward") -> Any:
    """`fft` of numbers that mirror themselves, of which x has half: -> (..., n, ...) real."""
    x, axes, s = _checked("hfft", x, n, axis, half=True)
    return _irfftn(conj(x), s, axes, OPPOSITE[_norm("hfft", norm)])


def ihfft(x: Any, n: int | None = None, axis: int = -1, norm: str | None = "backward") -> Any:
    """The inverse of `hfft`: real numbers -> (..., n // 2 + 1, ...) complex."""
    x, axes, s = _checked("ihfft", x, n, axis)
    return conj(_rfftn(_real("ihfft", x), s, axes, OPPOSITE[_norm("ihfft", norm)]))


# --- Several axes ---------------------------------------------------------------------------------


def fftn(x: Any, s: Any = None, axes: Any = None, norm: str | None = "backward") -> Any:
    """`fft` along several axes: all of them, or `axes`; each of the length in `s`.

    With lengths and no axes, the last ones are meant. Raises what `fft` raises; ValueError too for
    an axis that is named twice, or where `s` and `axes` have different lengths.
    """
    x, axes, s = _checked("fftn", x, s, axes)
    return _fftn(x, s, axes, _norm("fftn", norm))


def ifftn(x: Any, s: Any = None, axes: Any = None, norm: str | None = "backward") -> Any:
    """The inverse of `fftn`, with the same arguments."""
    x, axes, s = _checked("ifftn", x, s, axes)
    return _ifftn(x, s, axes, _norm("ifftn", norm))


def rfftn(x: Any, s: Any = None, axes: Any = None, norm: str | None = "backward") -> Any:
    """`rfft` along the last of the axes, and `fft` along the others."""
    x, axes, s = _checked("rfftn", x, s, axes)
    return _rfftn(_real("rfftn", x), s, axes, _norm("rfftn", norm))


def irfftn(x: Any, s: Any = None, axes: Any = None, norm: str | None = "backward") -> Any:
    """The inverse of `rfftn`; the last length is 2 (N - 1) if not given."""
    x, axes, s = _checked("irfftn", x, s, axes, half=True)
    return _irfftn(x, s, axes, _norm("irfftn", norm))


def fft2(x: Any, s: Any = None, axes: Any = (-2, -1), norm: str | None = "backward") -> Any:
    """`fftn` along two axes, the last ones if not said otherwise."""
    return fftn(x, s, axes, norm)


def ifft2(x: Any, s: Any = None, axes: Any = (-2, -1), norm: str | None = "backward") -> Any:
    """`ifftn` along two axes, the last ones if not said otherwise."""
    return ifftn(x, s, axes, norm)


def rfft2(x: Any, s: Any = None, axes: Any = (-2, -1), norm: str | None = "backward") -> Any:
    """`rfftn` along two axes, the last ones if not said otherwise."""
    return rfftn(x, s, axes, norm)


def irfft2(x: Any, s: Any = None, axes: Any = (-2, -1), norm: str | None = "backward") -> Any:
    """`irfftn` along two axes, the last ones if not said otherwise."""
    return irfftn(x, s, axes, norm)


def _checked(
    name: str, x: Any, s: Any, axes: Any, half: bool = False
) -> tuple[Any, tuple[int, ...], tuple[int, ...]]:
    """x as an array or a Tensor, the axes counted from 0, and the length of the transform in each.

    `half`: x is half a spectrum along the last axis, so the length is not its own.
    """
    x = as_tensor_or_array(x)
    ndim = len(x.shape)
    one = hasattr(axes, "__index__")
    if one:
        axes, s = (axes,), None if s is None else (s,)
    if axes is None:
        axes = range(ndim) if s is None else range(-len(s), 0)
    axes = axes_of(tuple(axes), x.shape, name)
    if not axes:
        raise ValueError(f"{name}: there is no axis to transform along: x has shape {x.shape}")
    lengths = [x.shape[a] for a in axes]
    if half:
        lengths[-1] = 2 * (lengths[-1] - 1)
    if s is not None:
        if len(s) != len(axes):
            raise ValueError(f"{name}: {len(s)} lengths in s={tuple(s)} for {len(axes)} axes")
        # None stands for the length that it would have without s; among several, -1 does too.
        unset = (None,) if one else (None, -1)
        lengths = [own if n in unset else int(n) for n, own in zip(s, lengths, strict=True)]
    if short := [n for n in lengths if n < 1]:
        raise ValueError(
            f"{name}: a transform of {short[0]} points; give {'n' if one else 's'}, 1 or more "
            f"(x has shape {tuple(x.shape)})"
        )
    return x, axes, tuple(lengths)


def _norm(name: str, norm: str | None) -> str:
    norm = norm or "backward"
    if norm not in OPPOSITE:
        raise ValueError(f"{name}: norm {norm!r} is not 'backward', 'ortho' or 'forward'")
    return norm


def _real(name: str, x: Any) -> Any:
    if is_complex(x):
        raise TypeError(
            f"{name}: x is complex ({x.dtype}), and {name} is for real numbers; use "
            f"{'fftn' if name.endswith('n') else 'ifft' if name == 'ihfft' else 'fft'}, or x.real"
        )
    return x


# --- Frequencies ----------------------------------------------------------------------------------


def fftfreq(n: int, d: Any = 1.0, dtype: Any = None, device: Any = None) -> Tensor:
    """The frequencies that `fft` gives, in its order, of n samples at a distance d: (n,).

    They are in cycles per unit of d. Raises ValueError for n below 1.

    >>> fftfreq(4, d=0.5)
    Tensor([ 0. ,  0.5, -1. , -0.5], dtype=float64)
    """
    _check_frequencies("fftfreq", n, device)
    counts = [*range((n + 1) // 2), *range(-(n // 2), 0)]
    return Tensor(np.asarray(counts, dtype=dtype or np.float64)) / (n * d)


def rfftfreq(n: int, d: Any = 1.0, dtype: Any = None, device: Any = None) -> Tensor:
    """The frequencies that `rfft` gives, of n samples at a distance d: (n // 2 + 1,).

    >>> rfftfreq(4, d=0.5)
    Tensor([0. , 0.5, 1. ], dtype=float64)
    """
    _check_frequencies("rfftfreq", n, device)
    return Tensor(np.asarray(range(n // 2 + 1), dtype=dtype or np.float64)) / (n * d)


def _check_frequencies(name: str, n: int, device: Any) -> None:
    if n < 1:
        raise ValueError(f"{name}: n={n}, but a transform has 1 point or more")
    if device not in (None, "cpu"):
        raise ValueError(f"{name}: device {device!r}: NumPy's arrays are on 'cpu'")


def fftshift(x: Any, axes: Any = None) -> Any:
    """Frequencies in the order of `fft` put into ascending order, along all axes or `axes`.

    >>> print(fftshift(np.array([0, 1, 2, -2, -1])))
    [-2 -1  0  1  2]
    """
    return _shifted("fftshift", x, axes, lambda n: n // 2)


def ifftshift(x: Any, axes: Any = None) -> Any:
    """The inverse of `fftshift`: ascending frequencies put into the order of `fft`."""
    return _shifted("ifftshift", x, axes, lambda n: -(n // 2))


def _shifted(name: str, x: Any, axes: Any, shift: Any) -> Any:
    x = as_tensor_or_array(x)
    if axes is None:
        axes = range(len(x.shape))
    axes = axes if isinstance(axes, Iterable) else (axes,)
    axes = tuple(axis_index(a, x, name) for a in axes)  # one may come twice, as for NumPy
    if not axes:
        return roll(x, 0)
    return roll(x, tuple(shift(x.shape[a]) for a in axes), axes)
