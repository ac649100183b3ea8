"""The LSTM over a whole sequence as one operator: its loop makes few arrays and no records."""

from __future__ import annotations

from typing import Any

from gradnerve.backends import array_library, is_concrete
from gradnerve.graph import operator
from gradnerve.ops.elementwise import tanh
from gradnerve.ops.shape import concat, expand_dims, matrix_transpose, reshape, stack

__all__ = ["lstm"]


@operator
def lstm(gates, weight, h, c):
    """h and c after each step, and the gates i, f, g, o, of which three are sigmoids, g is a tanh.

    gates (T, N, 4H) = what the inputs and biases give them, weight (4H, H), and the state before, h
    and c (N, H) -> (T, N, H), (T, N, H), (T, N, 4H). Source: Hochreiter and Schmidhuber, "Long
    Short-Term Memory", 1997, with the forget gate of Gers et al., 2000.
    """
    library = array_library(gates)
    size = weight.shape[1]
    # σ(z) = tanh(z/2)/2 + 1/2, so that one tanh does for all gates
    half = library.full_like(gates[0, :1], 0.5)
    scale = library.concat([half[:, : 2 * size], 2 * half[:, :size], half[:, :size]], axis=1)
    shift = 1 - scale
    gates, turned = gates * scale, library.matrix_transpose(weight * scale[0, :, None])
    hs, cs, activations = [], [], []
    for t in range(len(gates)):
        a = library.tanh(gates[t] + h @ turned)
        a *= scale
        a += shift
        c = a[:, size : 2 * size] * c
        c += a[:, :size] * a[:, 2 * size : 3 * size]
        h = a[:, 3 * size :] * library.tanh(c)
        hs.append(h)
        cs.append(c)
        activations.append(a)
    return library.stack(hs), library.stack(cs), library.stack(activations)


@lstm.rule(
    "gates, weight, h, c",
    r"\bar z_t = \text{what}\;\bar h_t, \bar c_t\;\text{give the gates},\;"
    r"\bar h_{t-1} \mathrel{+}= \bar z_t W,\;\bar c_{t-1} \mathrel{+}= f_t \odot \bar c_t,\;"
    r"\bar W = \textstyle\sum_t \bar z_t^{\mathsf T} h_{t-1}",
)
def _(ct, y, weight, h, c):
    of_h, of_c, of_a = ct
    hs, cs, a = y
    size = weight.shape[1]
    i, f, g, o = (a[:, :, k * size : (k + 1) * size] for k in range(4))
    before = concat([expand_dims(c, 0), cs[:-1]])
    out = tanh(cs)
    # of each gate's input: by c for the first three, by h for the last
    slopes = concat([g * i * (1 - i), before * f * (1 - f), i * (1 - g * g), out * o * (1 - o)], 2)
    through = o * (1 - out * out)
    more = None
    if not is_zero(of_a):  # which is so where a gradient has a gradient
        more = of_a * concat([i * (1 - i), f * (1 - f), 1 - g * g, o * (1 - o)], 2)
    shares = []
    dh, dc = 0.0, 0.0
    for t in range(len(of_h) - 1, -1, -1):
        dh = of_h[t] + dh
        dc = dh * through[t] + (of_c[t] + dc)
        dz = concat([dc, dc, dc, dh], 1) * slopes[t]
        dz = dz if more is None else dz + more[t]
        shares.append(dz)
        dh = dz @ weight
        dc = dc * f[t]
    dz = stack(shares[::-1])
    flat = reshape(dz, (-1, 4 * size))
    earlier = reshape(concat([expand_dims(h, 0), hs[:-1]]), (-1, size))
    return dz, matrix_transpose(flat) @ earlier, dh, dc


def is_zero(x: Any) -> bool:
    """Whether an array is known to be 0."""
    return not hasattr(x, "_record") and is_concrete(x) and not bool(array_library(x).any(x != 0))
