"""Recurrent networks: RNN, LSTM and GRU, and their cells.

A layer multiplies all inputs of a sequence by its weights at once; what is left to the loop is what
a step hands to the next. The loop is `gn.scan`, and for a plain LSTM one operator.
"""

from __future__ import annotations

import math
from typing import Any

from gradnerve import graph, ops
from gradnerve.backends import array_library, device, is_concrete
from gradnerve.control import scan
from gradnerve.nn import functional as F
from gradnerve.nn.init import uniform
from gradnerve.nn.module import Module, Parameter
from gradnerve.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence
from gradnerve.ops.shape import as_tensor_or_array, plain

__all__ = ["GRU", "LSTM", "RNN", "GRUCell", "LSTMCell", "RNNCell"]

State = tuple[Any, ...]


# What a step makes of the state, given what the inputs give to its gates: the formulas.


def rnn_step(state: State, gates: Any, hidden: Any, activation: Any) -> State:
    """h = tanh(W_ih x + b_ih + W_hh h + b_hh), or with ReLU."""
    return (activation(gates + hidden),)


def lstm_step(state: State, gates: Any, hidden: Any, activation: Any = None) -> State:
    """c' = f c + i g; h' = o tanh(c'): the gates i, f, o are sigmoids, g is a tanh."""
    return ops.lstm_cell(gates + hidden, state[1])


def gru_step(state: State, gates: Any, hidden: Any, activation: Any = None) -> State:
    """h' = (1-z) n + z h, with n = tanh(x_n + r h_n); the gates r and z are sigmoids."""
    return (ops.gru_cell(gates, hidden, state[0]),)


ACTIVATIONS = {"tanh": ops.tanh, "relu": F.relu}


class _Kind(Module):
    """What layers and cells of one kind share."""

    gates: int  # how many times the hidden size the weights have rows
    step: Any
    states = 1  # h, and c where there is one
    nonlinearity = "tanh"

    def _weights(
        self, inputs: int, hidden: int, out: int, bias: bool, suffix: str, dtype: Any
    ) -> None:
        bound = 1 / math.sqrt(hidden)
        shapes: dict[str, tuple[int, ...]] = {
            "weight_ih": (self.gates * hidden, inputs),
            "weight_hh": (self.gates * hidden, out),
        }
        if bias:
            shapes |= dict.fromkeys(("bias_ih", "bias_hh"), (self.gates * hidden,))
        if out != hidden:
            shapes["weight_hr"] = (out, hidden)
        for name, shape in shapes.items():
            setattr(self, name + suffix, Parameter(uniform(shape, bound, dtype)))

    def _weight(self, name: str) -> Any:
        return getattr(self, name, None)

    def _stepped(self, state: State, gates: Any, suffix: str) -> State:
        """The next state, from what the inputs give to the gates."""
        hidden = F.linear(
            state[0], self._weight("weight_hh" + suffix), self._weight("bias_hh" + suffix)
        )
        state = type(self).step(state, gates, hidden, ACTIVATIONS[self.nonlinearity])
        if (projection := self._weight("weight_hr" + suffix)) is not None:
            state = (F.linear(state[0], projection), *state[1:])
        return state

    def _check_input(self, x: Any, size: int) -> None:
        if x.shape[-1] != size:
            raise ValueError(
                f"{type(self).__name__} expects a last axis of {size}, got {x.shape[-1]}"
            )

    def _begin(self, x: Any, shape: tuple[int, ...], hx: Any) -> list[Any]:
        """The state at the start: as given, else 0."""
        if hx is None:
            data = plain(x)
            zero = array_library(data).zeros(shape, dtype=data.dtype, device=device(data))
            return [zero] * self.states
        given = list(hx) if self.states > 1 else [hx]
        if len(given) != self.states:
            raise ValueError(
                f"{type(self).__name__} takes a state of {self.states} tensors, (h, c), got "
                f"{len(given)}"
            )
        return [as_tensor_or_array(state, x) for state in given]


# --- Layers ---------------------------------------------------------------------------------------


class _Recurrent(_Kind):
    def __init__(
        self, input_size: int, hidden_size: int, num_layers: int = 1, bias: bool = True,
        batch_first: bool = False, dropout: float = 0.0, bidirectional: bool = False,
        proj_size: int = 0, dtype: Any = "float32",
    ):  # fmt: skip
        name = type(self).__name__
        if min(input_size, hidden_size, num_layers) < 1:
            raise ValueError(
                f"{name}: sizes and layers are 1 or more, not {input_size}, {hidden_size}, "
                f"{num_layers}"
            )
        if not 0 <= dropout <= 1:
            raise ValueError(f"{name}: dropout is a probability, between 0 and 1, not {dropout}")
        if not 0 <= proj_size < hidden_size:
            raise ValueError(f"{name}: proj_size is from 0 to below hidden_size, not {proj_size}")
        self.input_size, self.hidden_size, self.num_layers = input_size, hidden_size, num_layers
        self.bias, self.batch_first, self.dropout = bias, batch_first, dropout
        self.bidirectional, self.proj_size = bidirectional, proj_size
        self.directions = 2 if bidirectional else 1
        out = proj_size or hidden_size
        for layer in range(num_layers):
            inputs = out * self.directions if layer else input_size
            for end in ("", "_reverse")[: self.directions]:
                self._weights(inputs, hidden_size, out, bias, f"_l{layer}{end}", dtype)

    def forward(self, input: Any, hx: Any = None) -> Any:
        """The outputs of the last layer at all steps, and the last state of all layers.

        (T, N, input_size), or (N, T, ...) with `batch_first`, or (T, ...) of one sequence ->
        (T, N, D·H), and (D·layers, N, H): D is 2 for both directions. Sequences of several lengths
        come as a `PackedSequence`, and so do then the outputs.
        """
        if isinstance(input, PackedSequence):
            return self._packed(input, hx)
        x = as_tensor_or_array(input)
        if len(x.shape) not in (2, 3):
            raise ValueError(
                f"{type(self).__name__} expects (T, N, {self.input_size}), or (T, "
                f"{self.input_size}) of one sequence, got {tuple(x.shape)}"
            )
        single = len(x.shape) == 2
        if single:
            x = ops.expand_dims(x, 1)
            hx = _each(hx, lambda state: ops.expand_dims(as_tensor_or_array(state, x), 1))
        elif self.batch_first:
            x = ops.permute_dims(x, (1, 0, 2))
        y, state = self._all(x, hx, None)
        if single:
            y, state = ops.squeeze(y, 1), [ops.squeeze(part, 1) for part in state]
        elif self.batch_first:
            y = ops.permute_dims(y, (1, 0, 2))
        return y, tuple(state) if self.states > 1 else state[0]

    def _packed(self, packed: PackedSequence, hx: Any) -> Any:
        """Sequences of several lengths: beyond its end a sequence's state stays as it is."""
        x, lengths = pad_packed_sequence(packed)
        data = plain(x)
        library = array_library(data)
        steps = library.arange(data.shape[0], device=device(data))
        inside = steps[:, None, None] < library.asarray(lengths, device=device(data))[None, :, None]
        y, state = self._all(x, hx, inside)
        y = pack_padded_sequence(y, lengths, enforce_sorted=False)
        y = PackedSequence(
            y.data, packed.batch_sizes, packed.sorted_indices, packed.unsorted_indices
        )
        return y, tuple(state) if self.states > 1 else state[0]

    def _all(self, x: Any, hx: Any, inside: Any) -> tuple[Any, list[Any]]:
        """All layers, on inputs (T, N, I)."""
        self._check_input(x, self.input_size)
        if not x.shape[0]:
            raise ValueError(f"{type(self).__name__} expects at least one step, got a length of 0")
        n, count = x.shape[1], self.num_layers * self.directions
        out = self.proj_size or self.hidden_size
        shapes = [(count, n, out), (count, n, self.hidden_size)][: self.states]
        starts = [self._begin(x, shape, None)[0] for shape in shapes]
        if hx is not None:
            starts = self._begin(x, shapes[0], hx)
            for state, shape in zip(starts, shapes, strict=True):
                if tuple(state.shape) != shape:
                    raise ValueError(
                        f"{type(self).__name__} expects a state of shape {shape}, got "
                        f"{tuple(state.shape)}"
                    )
        starts = [ops.unstack(state) for state in starts]
        last: list[State] = []
        for layer in range(self.num_layers):
            if layer:
                x = F.dropout(x, self.dropout, self.training)
            outputs = []
            for end in ("", "_reverse")[: self.directions]:
                start = tuple(state[len(last)] for state in starts)
                y, state = self._one(x, start, f"_l{layer}{end}", bool(end), inside)
                outputs.append(y)
                last.append(state)
            x = ops.concat(outputs, axis=-1) if len(outputs) > 1 else outputs[0]
        return x, [ops.stack(list(parts)) for parts in zip(*last, strict=True)]

    def _one(
        self, x: Any, start: State, suffix: str, reverse: bool, inside: Any
    ) -> tuple[Any, State]:
        """One layer in one direction."""
        gates = F.linear(x, self._weight("weight_ih" + suffix), self._weight("bias_ih" + suffix))
        if self._is_plain_lstm(x, inside):
            return self._lstm(gates, start, suffix, reverse)

        def step(state: State, at: Any) -> Any:
            gates, is_inside = at
            new = self._stepped(state, gates, suffix)
            if inside is None:
                return new, new[0]
            kept = tuple(ops.where(is_inside, a, b) for a, b in zip(new, state, strict=True))
            return kept, ops.where(is_inside, new[0], 0.0)

        state, y = scan(step, start, (gates, inside), reverse=reverse)
        return y, state

    def _is_plain_lstm(self, x: Any, inside: Any) -> bool:
        compiles = graph.given.get() is not None or not is_concrete(plain(x))
        return self.states == 2 and inside is None and not (self.proj_size or compiles)

    def _lstm(self, gates: Any, start: State, suffix: str, reverse: bool) -> tuple[Any, State]:
        if (bias := self._weight("bias_hh" + suffix)) is not None:
            gates = gates + bias
        if reverse:
            gates = ops.flip(gates, axis=0)
        h, c, _ = ops.lstm(gates, self._weight("weight_hh" + suffix), *start)
        return ops.flip(h, axis=0) if reverse else h, (h[-1], c[-1])

    def extra_repr(self) -> str:
        """Its sizes, and what differs from the defaults."""
        text = f"{self.input_size}, {self.hidden_size}"
        for name, default in (
            ("num_layers", 1), ("bias", True), ("batch_first", False), ("dropout", 0.0),
            ("bidirectional", False), ("proj_size", 0),
        ):  # fmt: skip
            if getattr(self, name) != default:
                text += f", {name}={getattr(self, name)}"
        return text


def _each(hx: Any, f: Any) -> Any:
    if hx is None:
        return None
    return tuple(map(f, hx)) if isinstance(hx, (tuple, list)) else f(hx)


class RNN(_Recurrent):
    """h' = tanh(W_ih x + b_ih + W_hh h + b_hh), or with ReLU. Elman, "Finding Structure in Time",
    1990.

    >>> import numpy as np
    >>> y, h = RNN(3, 5, num_layers=2)(np.ones((7, 4, 3), dtype=np.float32))
    >>> y.shape, h.shape
    ((7, 4, 5), (2, 4, 5))
    """

    gates, step = 1, staticmethod(rnn_step)

    def __init__(
        self, input_size: int, hidden_size: int, num_layers: int = 1, nonlinearity: str = "tanh",
        bias: bool = True, batch_first: bool = False, dropout: float = 0.0,
        bidirectional: bool = False, dtype: Any = "float32",
    ):  # fmt: skip
        self.nonlinearity = _checked(nonlinearity)
        super().__init__(
            input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional,
            dtype=dtype,
        )  # fmt: skip


class LSTM(_Recurrent):
    """c' = f c + i g; h' = o tanh(c'), with gates that x and h open. See `ops.lstm`.

    The state is a pair, (h, c). With `proj_size` h is a projection: h' = W_hr (o tanh(c')).

    >>> import numpy as np
    >>> y, (h, c) = LSTM(3, 5, bidirectional=True)(np.ones((7, 4, 3), dtype=np.float32))
    >>> y.shape, h.shape, c.shape
    ((7, 4, 10), (2, 4, 5), (2, 4, 5))
    """

    gates, step, states = 4, staticmethod(lstm_step), 2


class GRU(_Recurrent):
    """h' = (1-z) n + z h, with n = tanh(W x + b + r (W h + b)). Cho et al., 2014, as in cuDNN.

    >>> import numpy as np
    >>> y, h = GRU(3, 5, batch_first=True)(np.ones((4, 7, 3), dtype=np.float32))
    >>> y.shape, h.shape
    ((4, 7, 5), (1, 4, 5))
    """

    gates, step = 3, staticmethod(gru_step)

    def __init__(
        self, input_size: int, hidden_size: int, num_layers: int = 1, bias: bool = True,
        batch_first: bool = False, dropout: float = 0.0, bidirectional: bool = False,
        dtype: Any = "float32",
    ):  # fmt: skip
        super().__init__(
            input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional,
            dtype=dtype,
        )  # fmt: skip


# --- Cells: one step ------------------------------------------------------------------------------


class _Cell(_Kind):
    def __init__(
        self, input_size: int, hidden_size: int, bias: bool = True, dtype: Any = "float32"
    ):
        self.input_size, self.hidden_size, self.bias = input_size, hidden_size, bias
        self._weights(input_size, hidden_size, hidden_size, bias, "", dtype)

    def forward(self, input: Any, hx: Any = None) -> Any:
        """The next state: (N, input_size) and (N, H) -> (N, H); or all without N."""
        x = as_tensor_or_array(input)
        self._check_input(x, self.input_size)
        start = self._begin(x, (*x.shape[:-1], self.hidden_size), hx)
        gates = F.linear(x, self.weight_ih, self._weight("bias_ih"))  # type: ignore[attr-defined]
        state = self._stepped(tuple(start), gates, "")
        return state if self.states > 1 else state[0]

    def extra_repr(self) -> str:
        """Its sizes."""
        return f"{self.input_size}, {self.hidden_size}" + ("" if self.bias else ", bias=False")


class RNNCell(_Cell):
    """One step of an `RNN`."""

    gates, step = 1, staticmethod(rnn_step)

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool = True, nonlinearity: str = "tanh",
        dtype: Any = "float32",
    ):  # fmt: skip
        self.nonlinearity = _checked(nonlinearity)
        super().__init__(input_size, hidden_size, bias, dtype)


class LSTMCell(_Cell):
    """One step of an `LSTM`; its state is a pair, (h, c)."""

    gates, step, states = 4, staticmethod(lstm_step), 2


class GRUCell(_Cell):
    """One step of a `GRU`."""

    gates, step = 3, staticmethod(gru_step)


def _checked(nonlinearity: str) -> str:
    if nonlinearity not in ACTIVATIONS:
        raise ValueError(f'RNN: nonlinearity is "tanh" or "relu", not {nonlinearity!r}')
    return nonlinearity
