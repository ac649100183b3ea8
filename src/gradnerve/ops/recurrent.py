"""Cells of recurrent networks; and the LSTM over a whole sequence, whose loop makes no records."""

from __future__ import annotations

from typing import Any

from gradnerve.backends import array_library, is_concrete, kernels
from gradnerve.graph import operator
from gradnerve.ops.elementwise import sigmoid, tanh
from gradnerve.ops.shape import concat, expand_dims, matrix_transpose, reshape, stack

# --- One step -------------------------------------------------------------------------------------


@operator
def lstm_cell(gates, c):
    """What a step of an LSTM makes of its gates, before their functions, and its memory.

    (..., 4H), (..., H) -> (..., H), (..., H): h' = o tanh(c'), c' = f c + i g, where i, f, g, o are
    the quarters of the gates, through tanh for g and sigmoid for the others.
    """
    n, sigma, tanh = c.shape[-1], kernels(c).sigmoid, array_library(c).tanh
    enter_forget = sigma(gates[..., : 2 * n])
    new = tanh(gates[..., 2 * n : 3 * n])
    c = enter_forget[..., n:] * c + enter_forget[..., :n] * new
    return sigma(gates[..., 3 * n :]) * tanh(c), c


@lstm_cell.rule(
    "gates, c",
    r"\bar c = f \odot e,\; e = \bar c' + \bar h' \odot o \odot (1 - \tanh^2 c');\quad"
    r"\bar{gates} = (e \odot g,\; e \odot c,\; e \odot i,\; \bar h' \odot \tanh c')"
    r"\;\text{times the slopes of their functions}",
)
def _(ct, y, gates, c):
    n = c.shape[-1]
    enter_forget = sigmoid(gates[..., : 2 * n])
    enter, forget = enter_forget[..., :n], enter_forget[..., n:]
    new, leave = tanh(gates[..., 2 * n : 3 * n]), sigmoid(gates[..., 3 * n :])
    shown = tanh(y[1])
    through = ct[0] * leave
    to_c = ct[1] + (through - through * shown * shown)
    of_new = to_c * enter
    to_gates = [
        of_new * new * (1 - enter),
        to_c * c * forget * (1 - forget),
        of_new - of_new * new * new,
        through * shown * (1 - leave),
    ]
    return concat(to_gates, axis=-1), to_c * forget


@operator
def gru_cell(of_input, of_state, h):
    """The next state of a GRU: (..., 3H), (..., 3H), (..., H) -> (..., H).

    h' = (1 - z) n + z h; r and z are the sigmoids of the first thirds of the sum, and n the tanh of
    the last third of `of_input` plus r times that of `of_state`.
    """
    n = h.shape[-1]
    both = kernels(h).sigmoid(of_input[..., : 2 * n] + of_state[..., : 2 * n])
    new = of_input[..., 2 * n :] + both[..., :n] * of_state[..., 2 * n :]
    new = array_library(h).tanh(new)
    return new + both[..., n:] * (h - new)


@gru_cell.rule(
    "of_input, of_state, h",
    r"\bar h = z \odot \bar y;\quad \bar n = (1 - z) \odot (1 - n^2) \odot \bar y,\;"
    r"\bar z = z \odot (1 - z) \odot (h - n) \odot \bar y,\;"
    r"\bar r = r \odot (1 - r) \odot s_n \odot \bar n,\;"
    r"\text{and}\; r \odot \bar n\; \text{for the state's}\; s_n",
)
def _(ct, of_input, of_state, h):
    n = h.shape[-1]
    both = sigmoid(of_input[..., : 2 * n] + of_state[..., : 2 * n])
    reset, keep = both[..., :n], both[..., n:]
    state = of_state[..., 2 * n :]
    new = tanh(of_input[..., 2 * n :] + reset * state)
    to_h = ct * keep
    to_new = ct - to_h
    to_new = to_new - to_new * new * new
    to_reset = to_new * state * reset * (1 - reset)
    to_keep = to_h * (h - new) * (1 - keep)
    to_input = concat([to_reset, to_keep, to_new], axis=-1)
    return to_input, concat([to_reset, to_keep, to_new * reset], axis=-1), to_h


# --- A sequence -----------------------------------------------------------------------------------


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
    turned = library.matrix_transpose(weight * scale[0, :, None])
    # a copy in the order of its axes: with it the products take a quarter less time
    turned = library.reshape(library.reshape(turned, (-1,)), turned.shape)
    gates = gates * scale
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
