"""Recurrent networks: a cell hands its state on from one element of a sequence to the next."""

from __future__ import annotations

import math
from typing import Any

from gradnerve import ops
from gradnerve.backends import array_library, device
from gradnerve.control import scan
from gradnerve.errors import LayerMismatch
from gradnerve.nn import functional as F
from gradnerve.nn.init import uniform
from gradnerve.nn.module import Module, Parameter
from gradnerve.nn.utils.rnn import PackedSequence, mask_of, packed_as, padded_sorted, reordered
from gradnerve.ops.shape import as_tensor_or_array, plain

__all__ = ["GRU", "LSTM", "RNN", "GRUCell", "LSTMCell", "RNNCell"]

NONLINEARITIES = {"tanh": ops.tanh, "relu": ops.relu}

State = tuple[Any, ...]  # (h,), and of an LSTM (h, c)


def _check_nonlinearity(name: str, nonlinearity: str) -> None:
    if nonlinearity not in NONLINEARITIES:
        raise ValueError(f"{name}: nonlinearity is 'tanh' or 'relu', not {nonlinearity!r}")


# --- Sequences ------------------------------------------------------------------------------------


class _Recurrent(Module):
    """What recurrent networks share: layers, directions, lengths, and the names of the weights.

    Weights and biases start uniform within ±1/√hidden_size. The input's part of all steps is one
    product; the state's part goes step by step, in `gn.scan`.
    """

    gates: int
    states = 1
    weight_ih_l0: Parameter

    def __init__(
        self, input_size: int, hidden_size: int, num_layers: int = 1, bias: bool = True,
        batch_first: bool = False, dropout: float = 0.0, bidirectional: bool = False,
        proj_size: int = 0, dtype: Any = "float32",
    ):  # fmt: skip
        name = type(self).__name__
        if hidden_size < 1 or num_layers < 1 or input_size < 0:
            raise ValueError(
                f"{name}: hidden_size and num_layers are 1 or more, not {hidden_size}, {num_layers}"
            )
        if not 0 <= dropout <= 1:
            raise ValueError(f"{name}: dropout is a probability, between 0 and 1, not {dropout}")
        if not 0 <= proj_size < hidden_size:
            raise ValueError(f"{name}: proj_size is less than hidden_size, not {proj_size}")
        self.input_size, self.hidden_size, self.num_layers = input_size, hidden_size, num_layers
        self.bias, self.batch_first, self.dropout = bias, batch_first, dropout
        self.bidirectional, self.proj_size = bidirectional, proj_size
        bound, shown = 1 / math.sqrt(hidden_size), proj_size or hidden_size
        for layer in range(num_layers):
            inputs = input_size if layer == 0 else shown * self.directions
            shapes: dict[str, tuple[int, ...]] = {
                "weight_ih": (self.gates * hidden_size, inputs),
                "weight_hh": (self.gates * hidden_size, shown),
            }
            if bias:
                shapes |= dict.fromkeys(("bias_ih", "bias_hh"), (self.gates * hidden_size,))
            if proj_size:
                shapes["weight_hr"] = (proj_size, hidden_size)
            for direction in range(self.directions):
                for word, shape in shapes.items():
                    parameter = Parameter(uniform(shape, bound, dtype))
                    setattr(self, self._name(word, layer, direction), parameter)

    @property
    def directions(self) -> int:
        """1, or 2 where the sequence is read backwards too."""
        return 2 if self.bidirectional else 1

    def _name(self, word: str, layer: int, direction: int) -> str:
        return f"{word}_l{layer}" + ("_reverse" if direction else "")

    def _weights(self, layer: int, direction: int) -> dict[str, Any]:
        words = ("weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_hr")
        return {w: getattr(self, self._name(w, layer, direction), None) for w in words}

    # What the kinds of networks say for themselves.

    def prepared(self, x: Any, weights: dict[str, Any]) -> Any:
        """The input's part of all steps: (T, N, I) -> (T, N, gates · H)."""
        bias = weights["bias_ih"]
        return F.linear(
            x, weights["weight_ih"], bias if bias is None else bias + weights["bias_hh"]
        )

    def step(self, of_input: Any, state: State, weights: dict[str, Any]) -> State:
        """The next state; its first part is shown."""
        raise NotImplementedError

    def forward(self, input: Any, hx: Any = None) -> Any:
        """(T, N, I) -> (T, N, directions · H), and the last states, (layers · directions, N, H).

        With `batch_first` (N, T, I); one sequence (T, I) has no N anywhere; a PackedSequence gives
        one. `hx` is the first state, (h, c) for an LSTM; zeros where it is not given.
        """
        packed = input if isinstance(input, PackedSequence) else None
        lengths = None
        if packed is not None:
            input, lengths = padded_sorted(packed)
        x = as_tensor_or_array(input)
        single = len(x.shape) == 2 and packed is None
        if len(x.shape) not in (2, 3) or x.shape[-1] != self.input_size:
            raise LayerMismatch(
                type(self).__name__,
                f"expects (T, N, {self.input_size}) or (T, {self.input_size})"
                if not self.batch_first
                else f"expects (N, T, {self.input_size}) or (T, {self.input_size})",
                x.shape,
            )
        if single:
            x = ops.expand_dims(x, 1)
        elif self.batch_first and packed is None:
            x = ops.swapaxes(x, 0, 1)
        first = self._first_states(hx, x, single)
        if packed is not None:
            first = reordered(first, packed.sorted_indices)
        mask = None
        if lengths is not None and (lengths < len(x)).any():
            mask = mask_of(lengths, len(x), plain(x))

        last: list[State] = []
        for layer in range(self.num_layers):
            if layer and self.training:
                x = F.dropout(x, self.dropout)
            shown = []
            for direction in range(self.directions):
                state = tuple(part[len(last)] for part in first)
                y, state = self._run(x, state, self._weights(layer, direction), direction, mask)
                shown.append(y)
                last.append(state)
            x = shown[0] if len(shown) == 1 else ops.concat(shown, axis=-1)
        states = [ops.stack(parts) for parts in zip(*last, strict=True)]
        if packed is not None:
            x, states = packed_as(packed, x), reordered(states, packed.unsorted_indices)
        elif single:
            x, states = x[:, 0], [state[:, 0] for state in states]
        elif self.batch_first:
            x = ops.swapaxes(x, 0, 1)
        return x, states[0] if self.states == 1 else tuple(states)

    def _run(
        self, x: Any, state: State, weights: dict[str, Any], reverse: int, mask: Any
    ) -> tuple[Any, State]:
        """One layer in one direction: all that it shows, and its last state."""

        def step(state: State, each: Any) -> tuple[State, Any]:
            if mask is None:
                state = self.step(each, state, weights)
            else:  # a sequence that is over, or backwards has not begun, keeps its state
                each, here = each
                new = self.step(each, state, weights)
                state = tuple(ops.where(here, b, a) for a, b in zip(state, new, strict=True))
            return state, state[0]

        of_input = self.prepared(x, weights)
        each = of_input if mask is None else (of_input, mask)
        state, shown = scan(step, state, each, reverse=bool(reverse))
        return shown, state

    def _first_states(self, hx: Any, x: Any, single: bool) -> list[Any]:
        """The parts of the state for all layers and directions, (layers · directions, N, H)."""
        name, count = type(self).__name__, self.num_layers * self.directions
        widths = [self.proj_size or self.hidden_size, self.hidden_size][: self.states]
        shapes = [(count, x.shape[1], width) for width in widths]
        if hx is None:
            array = plain(x)
            library, weight = array_library(array), plain(self.weight_ih_l0)
            dtype = library.result_type(array.dtype, weight.dtype)
            return [library.zeros(shape, dtype=dtype, device=device(array)) for shape in shapes]
        given = (hx,) if self.states == 1 else hx
        if not isinstance(given, (tuple, list)) or len(given) != self.states:
            raise TypeError(f"{name}: hx is (h, c), the two parts of the first state")
        parts = [as_tensor_or_array(part) for part in given]
        parts = [ops.expand_dims(part, 1) for part in parts] if single else parts
        for part, shape in zip(parts, shapes, strict=True):
            if tuple(part.shape) != shape:
                wanted = shape if not single else (shape[0], shape[2])
                raise LayerMismatch(name, f"expects a first state of {wanted}", part.shape)
        return parts

    def extra_repr(self) -> str:
        """Its sizes, and what is not as by default."""
        usual = {"num_layers": 1, "bias": True, "batch_first": False, "dropout": 0.0,
                 "bidirectional": False, "proj_size": 0}  # fmt: skip
        own = [f"{k}={getattr(self, k)}" for k, v in usual.items() if getattr(self, k) != v]
        return ", ".join([str(self.input_size), str(self.hidden_size), *own])


class RNN(_Recurrent):
    """h' = tanh(W x + b + U h + b'): (T, N, I) -> (T, N, H), (layers, N, H).

    `nonlinearity` is "tanh" or "relu". Source: Elman, "Finding Structure in Time", 1990. Raises
    ValueError for an input or a first state of another shape.

    >>> import numpy as np
    >>> y, h = RNN(3, 4, num_layers=2)(np.ones((5, 2, 3), dtype=np.float32))
    >>> y.shape, h.shape
    ((5, 2, 4), (2, 2, 4))
    """

    gates = 1

    def __init__(
        self, input_size: int, hidden_size: int, num_layers: int = 1, nonlinearity: str = "tanh",
        bias: bool = True, batch_first: bool = False, dropout: float = 0.0,
        bidirectional: bool = False, dtype: Any = "float32",
    ):  # fmt: skip
        _check_nonlinearity("RNN", nonlinearity)
        self.nonlinearity = nonlinearity
        super().__init__(
            input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional,
            dtype=dtype,
        )  # fmt: skip

    def step(self, of_input: Any, state: State, weights: dict[str, Any]) -> State:
        """h' = tanh(W x + U h + b)."""
        return (
            NONLINEARITIES[self.nonlinearity](ops.linear(state[0], weights["weight_hh"], of_input)),
        )


class LSTM(_Recurrent):
    """A memory c behind gates: (T, N, I) -> (T, N, H), ((layers, N, H), (layers, N, H)).

    i, f, g, o are parts of W x + b + U h + b', g through tanh and the others through the sigmoid;
    c' = f c + i g; h' = o tanh(c'). With `proj_size` P what is shown is R h', (T, N, P). Source:
    Hochreiter and Schmidhuber, "Long Short-Term Memory", 1997, with the forget gate of Gers et al.,
    2000; Sak et al., 2014, for the projection. Raises ValueError for an input or a first state of
    another shape.

    >>> import numpy as np
    >>> y, (h, c) = LSTM(3, 4, bidirectional=True)(np.ones((5, 2, 3), dtype=np.float32))
    >>> y.shape, h.shape, c.shape
    ((5, 2, 8), (2, 2, 4), (2, 2, 4))
    """

    gates, states = 4, 2

    def step(self, of_input: Any, state: State, weights: dict[str, Any]) -> State:
        """h' and c'."""
        h, c = ops.lstm_cell(ops.linear(state[0], weights["weight_hh"], of_input), state[1])
        return (h if weights["weight_hr"] is None else ops.linear(h, weights["weight_hr"])), c


class GRU(_Recurrent):
    """A state that is partly kept: (T, N, I) -> (T, N, H), (layers, N, H).

    r = σ(W x + U h), z the same with other weights; n = tanh(W x + b + r (U h + b'));
    h' = (1 - z) n + z h. Source: Cho et al., "Learning Phrase Representations using RNN
    Encoder-Decoder", 2014, in PyTorch's form. Raises ValueError for an input or a first state of
    another shape.

    >>> import numpy as np
    >>> y, h = GRU(3, 4)(np.ones((5, 2, 3), dtype=np.float32))
    >>> y.shape, h.shape
    ((5, 2, 4), (1, 2, 4))
    """

    gates = 3

    def __init__(
        self, input_size: int, hidden_size: int, num_layers: int = 1, bias: bool = True,
        batch_first: bool = False, dropout: float = 0.0, bidirectional: bool = False,
        dtype: Any = "float32",
    ):  # fmt: skip
        super().__init__(
            input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional,
            dtype=dtype,
        )  # fmt: skip

    def prepared(self, x: Any, weights: dict[str, Any]) -> Any:
        """W x + b, without the state's bias, which r scales."""
        return F.linear(x, weights["weight_ih"], weights["bias_ih"])

    def step(self, of_input: Any, state: State, weights: dict[str, Any]) -> State:
        """h' = (1 - z) n + z h."""
        of_state = ops.linear(state[0], weights["weight_hh"], weights["bias_hh"])
        return (ops.gru_cell(of_input, of_state, state[0]),)


# --- One step -------------------------------------------------------------------------------------


class _Cell(Module):
    """One step of a network: an input and a state, (N, I) and (N, H), or (I,) and (H,)."""

    gates: int

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool = True, dtype: Any = "float32"
    ):
        self.input_size, self.hidden_size = input_size, hidden_size
        bound, rows = 1 / math.sqrt(hidden_size), self.gates * hidden_size
        self.weight_ih = Parameter(uniform((rows, input_size), bound, dtype))
        self.weight_hh = Parameter(uniform((rows, hidden_size), bound, dtype))
        self.bias_ih = Parameter(uniform((rows,), bound, dtype)) if bias else None
        self.bias_hh = Parameter(uniform((rows,), bound, dtype)) if bias else None

    def _products(self, input: Any, h: Any) -> tuple[Any, Any]:
        """The input's part and the state's."""
        return (
            F.linear(input, self.weight_ih, self.bias_ih),
            F.linear(h, self.weight_hh, self.bias_hh),
        )

    def _state(self, input: Any, state: Any) -> Any:
        """A part of the state, zeros where it is not given."""
        if tuple(input.shape[-1:]) != (self.input_size,) or len(input.shape) > 2:
            raise LayerMismatch(
                type(self).__name__,
                f"expects (N, {self.input_size}) or ({self.input_size},)",
                input.shape,
            )
        shape = (*input.shape[:-1], self.hidden_size)
        if state is None:
            array = plain(input)
            library = array_library(array)
            dtype = library.result_type(array.dtype, plain(self.weight_ih).dtype)
            return library.zeros(shape, dtype=dtype, device=device(array))
        state = as_tensor_or_array(state)
        if tuple(state.shape) != shape:
            raise LayerMismatch(type(self).__name__, f"expects a state of {shape}", state.shape)
        return state

    def extra_repr(self) -> str:
        """Its sizes."""
        return f"{self.input_size}, {self.hidden_size}, bias={self.bias_ih is not None}"


class RNNCell(_Cell):
    """One step of an `RNN`: (N, I), (N, H) -> (N, H)."""

    gates = 1

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool = True, nonlinearity: str = "tanh",
        dtype: Any = "float32",
    ):  # fmt: skip
        _check_nonlinearity("RNNCell", nonlinearity)
        super().__init__(input_size, hidden_size, bias, dtype)
        self.nonlinearity = nonlinearity

    def forward(self, input: Any, hx: Any = None) -> Any:
        """h' = tanh(W x + b + U h + b')."""
        input = as_tensor_or_array(input)
        of_input, of_state = self._products(input, self._state(input, hx))
        return NONLINEARITIES[self.nonlinearity](of_input + of_state)


class LSTMCell(_Cell):
    """One step of an `LSTM`: (N, I), ((N, H), (N, H)) -> ((N, H), (N, H))."""

    gates = 4

    def forward(self, input: Any, hx: Any = None) -> tuple[Any, Any]:
        """h' and c'."""
        input = as_tensor_or_array(input)
        h, c = (None, None) if hx is None else hx
        of_input, of_state = self._products(input, self._state(input, h))
        return ops.lstm_cell(of_input + of_state, self._state(input, c))


class GRUCell(_Cell):
    """One step of a `GRU`: (N, I), (N, H) -> (N, H)."""

    gates = 3

    def forward(self, input: Any, hx: Any = None) -> Any:
        """h' = (1 - z) n + z h."""
        input = as_tensor_or_array(input)
        h = self._state(input, hx)
        return ops.gru_cell(*self._products(input, h), h)
