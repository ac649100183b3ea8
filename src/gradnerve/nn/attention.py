"""Transformers: attention in several heads, the layers around it, and positions."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from gradnerve import ops
from gradnerve.backends import array_library, constant, device
from gradnerve.nn import functional as F
from gradnerve.nn import init
from gradnerve.nn.functional.attention import _masked_softmax
from gradnerve.nn.layers import Dropout, LayerNorm, Linear, ModuleList
from gradnerve.nn.module import Module, Parameter
from gradnerve.ops.shape import as_tensor_or_array, plain

__all__ = [
    "MultiheadAttention", "RotaryPositions", "SinusoidalPositions", "Transformer",
    "TransformerDecoder", "TransformerDecoderLayer", "TransformerEncoder",
    "TransformerEncoderLayer",
]  # fmt: skip


class MultiheadAttention(Module):
    """Attention of several heads at once, each on its own part of the features.

    head_i = softmax(Q_i K_iᵀ/√E) V_i with Q_i = q W_i and so on; the heads go, side by side,
    through `out_proj`. (L, N, E), (S, N, kdim), (S, N, vdim) -> (L, N, E), or with N first
    (`batch_first`).
    Source: Vaswani et al., "Attention Is All You Need", 2017, section 3.2.2.

    >>> x = np.ones((2, 5, 8), np.float32)
    >>> y, weights = MultiheadAttention(8, num_heads=2, batch_first=True)(x, x, x)
    >>> y.shape, weights.shape
    ((2, 5, 8), (2, 5, 5))
    """

    def __init__(
        self, embed_dim: int, num_heads: int, dropout: float = 0.0, bias: bool = True,
        add_bias_kv: bool = False, add_zero_attn: bool = False, kdim: int | None = None,
        vdim: int | None = None, batch_first: bool = False, dtype: Any = "float32",
    ):  # fmt: skip
        if num_heads < 1 or embed_dim < 1 or embed_dim % num_heads:
            raise ValueError(
                f"MultiheadAttention: embed_dim {embed_dim} does not divide into {num_heads} heads"
            )
        self.embed_dim, self.num_heads, self.dropout = embed_dim, num_heads, dropout
        self.kdim = embed_dim if kdim is None else kdim
        self.vdim = embed_dim if vdim is None else vdim
        self.add_zero_attn, self.batch_first = add_zero_attn, batch_first
        sizes = (embed_dim, self.kdim, self.vdim)
        if set(sizes) == {embed_dim}:
            self.in_proj_weight = _xavier((3 * embed_dim, embed_dim), dtype)
        else:
            self.q_proj_weight, self.k_proj_weight, self.v_proj_weight = (
                _xavier((embed_dim, size), dtype) for size in sizes
            )
        self.in_proj_bias = Parameter(np.zeros(3 * embed_dim, dtype)) if bias else None
        self.bias_k = self.bias_v = None
        if add_bias_kv:
            row = np.zeros((1, 1, embed_dim), dtype)
            self.bias_k, self.bias_v = (init.xavier_normal_(Parameter(row)) for _ in range(2))
        self.out_proj = Linear(embed_dim, embed_dim, bias, dtype=dtype)
        if bias:
            init.zeros_(self.out_proj.bias)  # type: ignore[type-var]

    def forward(
        self, query: Any, key: Any, value: Any, key_padding_mask: Any = None,
        need_weights: bool = True, attn_mask: Any = None, average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> tuple[Any, Any]:  # fmt: skip
        """The attended values, and the weights (N, L, S), of each head (N, heads, L, S), or None.

        `key_padding_mask` (N, S) and `attn_mask` (L, S) or (N·heads, L, S) are booleans, True for
        what is not attended to, or numbers that are added to the scores. `is_causal` lets row i
        attend to columns up to i. A row that may attend to nothing has the weights 0.
        """
        shared = query is key and key is value
        q, k, v = (as_tensor_or_array(x) for x in (query, key, value))
        single = len(q.shape) == 2
        if single:
            q, k, v = (ops.expand_dims(x, 0) for x in (q, k, v))
            if key_padding_mask is not None:
                key_padding_mask = as_tensor_or_array(key_padding_mask)[None]
        elif not self.batch_first:
            q, k, v = (ops.permute_dims(x, (1, 0, 2)) for x in (q, k, v))
        self._check_inputs(q, k, v)
        n, rows, _ = q.shape
        q, k, v = self._projected(q, k, v, shared)
        masked = [mask for mask in (attn_mask, key_padding_mask) if mask is not None]
        mask = self._mask(attn_mask, key_padding_mask, is_causal, q, k.shape[1])
        extra = (self.bias_k is not None) + self.add_zero_attn
        if self.bias_k is not None:
            size = (n, 1, self.embed_dim)
            k = ops.concat([k, ops.broadcast_to(self.bias_k, size)], axis=1)
            v = ops.concat([v, ops.broadcast_to(self.bias_v, size)], axis=1)
        if self.add_zero_attn:
            zero = array_library(plain(k)).zeros_like(plain(k)[:, :1])
            k, v = ops.concat([k, zero], axis=1), ops.concat([v, zero], axis=1)
        if mask is not None and extra:
            mask = F.pad(mask, (0, extra))
        q, k, v = (self._in_heads(x) for x in (q, k, v))
        drop = self.dropout if self.training else 0.0
        weights = None
        if need_weights:
            scores = q @ ops.matrix_transpose(k) / math.sqrt(q.shape[-1])
            weights = ops.softmax(scores) if mask is None else _masked_softmax(scores, mask)
            weights = F.dropout(weights, drop, drop > 0)
            y = weights @ v
            weights = ops.mean(weights, axis=1) if average_attn_weights else weights
        else:
            causal = is_causal and not masked and not extra
            y = F.scaled_dot_product_attention(q, k, v, None if causal else mask, drop, causal)
        y = ops.reshape(ops.permute_dims(y, (0, 2, 1, 3)), (n, rows, self.embed_dim))
        y = self.out_proj(y)
        if single:
            return y[0], None if weights is None else weights[0]
        return y if self.batch_first else ops.permute_dims(y, (1, 0, 2)), weights

    def _check_inputs(self, q: Any, k: Any, v: Any) -> None:
        found = tuple(x.shape[-1] for x in (q, k, v))
        wanted = self.embed_dim, self.kdim, self.vdim
        if found != wanted:
            raise ValueError(
                f"MultiheadAttention expects last axes of {wanted} for query, key and value, got "
                f"{found}"
            )
        if k.shape[:2] != v.shape[:2] or q.shape[0] != k.shape[0]:
            raise ValueError(
                "MultiheadAttention: key and value must have one length, and all three one batch "
                f"size, got (batch, length) {tuple(q.shape[:2])}, {tuple(k.shape[:2])}, "
                f"{tuple(v.shape[:2])}"
            )

    def _projected(self, q: Any, k: Any, v: Any, shared: bool) -> Any:
        weight = getattr(self, "in_proj_weight", None)
        if weight is not None and shared:  # one product for all three
            return ops.split(F.linear(q, weight, self.in_proj_bias), 3, -1)
        if weight is not None:
            weights = ops.split(weight, 3, 0)
        else:
            weights = self.q_proj_weight, self.k_proj_weight, self.v_proj_weight
        bias = self.in_proj_bias
        biases = (None,) * 3 if bias is None else ops.split(bias, 3, 0)
        return [F.linear(x, w, b) for x, w, b in zip((q, k, v), weights, biases, strict=True)]

    def _in_heads(self, x: Any) -> Any:
        """(N, L, E) -> (N, heads, L, E/heads)."""
        n, length, size = x.shape
        parts = ops.reshape(x, (n, length, self.num_heads, size // self.num_heads))
        return ops.permute_dims(parts, (0, 2, 1, 3))

    def _mask(self, attention: Any, padding: Any, is_causal: bool, q: Any, columns: int) -> Any:
        """One mask of numbers for all, (..., L, S), that is added to the scores; None for none."""
        data, rows = plain(q), q.shape[1]
        total = None
        if is_causal and attention is None:
            attention = constant(np.tri(rows, columns) == 0, data)
        for mask, wanted in ((attention, None), (padding, (q.shape[0], columns))):
            if mask is None:
                continue
            array = as_tensor_or_array(mask)
            shape = tuple(array.shape)
            allowed = {(rows, columns), (q.shape[0] * self.num_heads, rows, columns)}
            if shape not in ({wanted} if wanted else allowed):
                name = "key_padding_mask" if wanted else "attn_mask"
                raise ValueError(
                    f"MultiheadAttention: {name} of shape {shape} does not fit; expects "
                    + " or ".join(map(str, [wanted] if wanted else sorted(allowed, key=len)))
                )
            array = _added(plain(array), data)
            if wanted:
                array = array[:, None, None, :]
            elif len(shape) == 3:
                array = array.reshape((q.shape[0], self.num_heads, rows, columns))
            total = array if total is None else total + array
        return total

    def extra_repr(self) -> str:
        """Its sizes."""
        return f"{self.embed_dim}, num_heads={self.num_heads}"


def _added(mask: Any, like: Any) -> Any:
    """Booleans as numbers to add: -∞ where True."""
    library = array_library(like)
    if not library.isdtype(mask.dtype, "bool"):
        return library.astype(mask, like.dtype)
    zeros = library.zeros(mask.shape, dtype=like.dtype, device=device(like))
    return library.where(mask, library.full_like(zeros, -math.inf), zeros)


def _xavier(shape: tuple[int, ...], dtype: Any) -> Parameter:
    return init.xavier_uniform_(Parameter(np.zeros(shape, dtype)))


# --- Layers ---------------------------------------------------------------------------------------

ACTIVATIONS: dict[str, Callable[..., Any]] = {"relu": F.relu, "gelu": F.gelu}


class _Layer(Module):
    """What the layers of encoder and decoder share: blocks, each with a norm and a way around it.

    x ← norm(x + block(x)), or with `norm_first` x ← x + block(norm(x)), which trains without a
    warm-up. Source: Xiong et al., "On Layer Normalization in the Transformer Architecture", 2020.
    """

    blocks: int

    def __init__(
        self, d_model: int, nhead: int, dim_feedforward: int = 2048, dropout: float = 0.1,
        activation: str | Callable[..., Any] = F.relu, layer_norm_eps: float = 1e-5,
        batch_first: bool = False, norm_first: bool = False, bias: bool = True,
        dtype: Any = "float32",
    ):  # fmt: skip
        if isinstance(activation, str) and activation not in ACTIVATIONS:
            raise ValueError(
                f'{type(self).__name__}: activation is "relu", "gelu" or a function, not '
                f"{activation!r}"
            )
        self.activation = ACTIVATIONS[activation] if isinstance(activation, str) else activation
        self.norm_first = norm_first
        options = {"dropout": dropout, "bias": bias, "batch_first": batch_first, "dtype": dtype}
        self.self_attn = MultiheadAttention(d_model, nhead, **options)
        if self.blocks == 3:
            self.multihead_attn = MultiheadAttention(d_model, nhead, **options)
        self.linear1 = Linear(d_model, dim_feedforward, bias, dtype=dtype)
        self.dropout = Dropout(dropout)
        self.linear2 = Linear(dim_feedforward, d_model, bias, dtype=dtype)
        for i in range(1, self.blocks + 1):
            norm = LayerNorm(d_model, layer_norm_eps, bias=bias, dtype=dtype)
            setattr(self, f"norm{i}", norm)
        for i in range(1, self.blocks + 1):
            setattr(self, f"dropout{i}", Dropout(dropout))

    def _around(self, i: int, x: Any, block: Callable[[Any], Any]) -> Any:
        norm, dropout = getattr(self, f"norm{i}"), getattr(self, f"dropout{i}")
        if self.norm_first:
            return x + dropout(block(norm(x)))
        return norm(x + dropout(block(x)))

    def _self_attention(self, mask: Any, padding: Any, causal: bool) -> Callable[[Any], Any]:
        return lambda x: self.self_attn(x, x, x, padding, False, mask, is_causal=causal)[0]

    def _feed_forward(self, x: Any) -> Any:
        return self.linear2(self.dropout(self.activation(self.linear1(x))))


class TransformerEncoderLayer(_Layer):
    """Self-attention, then two linear layers: (L, N, E) -> (L, N, E)."""

    blocks = 2

    def forward(
        self, src: Any, src_mask: Any = None, src_key_padding_mask: Any = None,
        is_causal: bool = False,
    ) -> Any:  # fmt: skip
        """The encoded source."""
        attention = self._self_attention(src_mask, src_key_padding_mask, is_causal)
        return self._around(2, self._around(1, src, attention), self._feed_forward)


class TransformerDecoderLayer(_Layer):
    """Self-attention, attention to the encoder's result, and two linear layers."""

    blocks = 3

    def forward(
        self, tgt: Any, memory: Any, tgt_mask: Any = None, memory_mask: Any = None,
        tgt_key_padding_mask: Any = None, memory_key_padding_mask: Any = None,
        tgt_is_causal: bool = False, memory_is_causal: bool = False,
    ) -> Any:  # fmt: skip
        """The decoded target, given the encoder's result."""

        def attend(x: Any) -> Any:
            return self.multihead_attn(
                x, memory, memory, memory_key_padding_mask, False, memory_mask,
                is_causal=memory_is_causal,
            )[0]  # fmt: skip

        x = self._around(
            1, tgt, self._self_attention(tgt_mask, tgt_key_padding_mask, tgt_is_causal)
        )
        return self._around(3, self._around(2, x, attend), self._feed_forward)


class TransformerEncoder(Module):
    """A layer, as often as asked for: each a copy with the weights that it has at the start."""

    def __init__(self, encoder_layer: Module, num_layers: int, norm: Module | None = None):
        self.layers = ModuleList([copy.deepcopy(encoder_layer) for _ in range(num_layers)])
        self.num_layers, self.norm = num_layers, norm

    def forward(
        self, src: Any, mask: Any = None, src_key_padding_mask: Any = None, is_causal: bool = False
    ) -> Any:
        """The source through all layers."""
        for layer in self.layers:
            src = layer(src, mask, src_key_padding_mask, is_causal)
        return src if self.norm is None else self.norm(src)


class TransformerDecoder(Module):
    """A decoder's layer, as often as asked for. See `TransformerEncoder`."""

    def __init__(self, decoder_layer: Module, num_layers: int, norm: Module | None = None):
        self.layers = ModuleList([copy.deepcopy(decoder_layer) for _ in range(num_layers)])
        self.num_layers, self.norm = num_layers, norm

    def forward(
        self, tgt: Any, memory: Any, tgt_mask: Any = None, memory_mask: Any = None,
        tgt_key_padding_mask: Any = None, memory_key_padding_mask: Any = None,
        tgt_is_causal: bool = False, memory_is_causal: bool = False,
    ) -> Any:  # fmt: skip
        """The target through all layers."""
        for layer in self.layers:
            tgt = layer(
                tgt, memory, tgt_mask, memory_mask, tgt_key_padding_mask, memory_key_padding_mask,
                tgt_is_causal, memory_is_causal,
            )  # fmt: skip
        return tgt if self.norm is None else self.norm(tgt)


class Transformer(Module):
    """An encoder and a decoder: sources (S, N, E) and targets (T, N, E) -> (T, N, E).

    Source: Vaswani et al., "Attention Is All You Need", 2017.
    """

    def __init__(
        self, d_model: int = 512, nhead: int = 8, num_encoder_layers: int = 6,
        num_decoder_layers: int = 6, dim_feedforward: int = 2048, dropout: float = 0.1,
        activation: str | Callable[..., Any] = F.relu, layer_norm_eps: float = 1e-5,
        batch_first: bool = False, norm_first: bool = False, bias: bool = True,
        dtype: Any = "float32",
    ):  # fmt: skip
        options = (
            d_model, nhead, dim_feedforward, dropout, activation, layer_norm_eps, batch_first,
            norm_first, bias, dtype,
        )  # fmt: skip
        norms = [LayerNorm(d_model, layer_norm_eps, bias=bias, dtype=dtype) for _ in range(2)]
        self.encoder = TransformerEncoder(
            TransformerEncoderLayer(*options), num_encoder_layers, norms[0]
        )
        self.decoder = TransformerDecoder(
            TransformerDecoderLayer(*options), num_decoder_layers, norms[1]
        )
        for parameter in self.parameters():
            if parameter.ndim > 1:
                init.xavier_uniform_(parameter)

    def forward(
        self, src: Any, tgt: Any, src_mask: Any = None, tgt_mask: Any = None,
        memory_mask: Any = None, src_key_padding_mask: Any = None,
        tgt_key_padding_mask: Any = None, memory_key_padding_mask: Any = None,
        src_is_causal: bool = False, tgt_is_causal: bool = False, memory_is_causal: bool = False,
    ) -> Any:  # fmt: skip
        """The target, decoded with the encoded source in view."""
        memory = self.encoder(src, src_mask, src_key_padding_mask, src_is_causal)
        return self.decoder(
            tgt, memory, tgt_mask, memory_mask, tgt_key_padding_mask, memory_key_padding_mask,
            tgt_is_causal, memory_is_causal,
        )  # fmt: skip

    @staticmethod
    def generate_square_subsequent_mask(sz: int, dtype: Any = "float32") -> np.ndarray:
        """The mask of numbers that lets row i attend to columns up to i: 0 there, -∞ elsewhere."""
        return np.where(np.tri(sz) == 1, 0.0, -np.inf).astype(dtype)


# --- Positions ------------------------------------------------------------------------------------


class SinusoidalPositions(Module):
    """Adds to each position its waves: sin(t/10000^(2i/E)) and the cosine, in turns.

    (N, T, E), or (T, N, E) unless `batch_first`. Source: Vaswani et al., 2017, section 3.5.

    >>> SinusoidalPositions(2, batch_first=True)(np.zeros((1, 2, 2))).round(3)
    array([[[0.   , 1.   ],
            [0.841, 0.54 ]]])
    """

    def __init__(self, d_model: int, dropout: float = 0.0, batch_first: bool = False):
        self.d_model, self.batch_first = d_model, batch_first
        self.drop = Dropout(dropout)

    def forward(self, x: Any) -> Any:
        """The input, with its positions."""
        x = as_tensor_or_array(x)
        length = x.shape[1 if self.batch_first else 0]
        angles = _angles(np.arange(length), self.d_model, 10000.0)
        waves = np.stack([np.sin(angles), np.cos(angles)], axis=-1).reshape(length, -1)
        waves = waves[:, : self.d_model]
        waves = waves[None] if self.batch_first else waves[:, None]
        return self.drop(x + constant(waves.astype(_dtype(x)), plain(x)))


class RotaryPositions(Module):
    """Turns each pair of features by an angle that grows with the position: (..., T, E).

    For queries and keys: their product then depends on how far they are apart, not on where they
    are. Pairs are neighbours, as in the paper. Source: Su et al., "RoFormer", 2021, equation 34.

    >>> turn = RotaryPositions(2)
    >>> turn(np.array([[1.0, 0.0], [1.0, 0.0]])).round(3)
    array([[1.   , 0.   ],
           [0.54 , 0.841]])
    """

    def __init__(self, dim: int, base: float = 10000.0):
        if dim % 2:
            raise ValueError(f"RotaryPositions turns pairs: dim is even, not {dim}")
        self.dim, self.base = dim, base

    def forward(self, x: Any, offset: int = 0) -> Any:
        """The features of positions offset, offset + 1, ..., turned."""
        x = as_tensor_or_array(x)
        if x.shape[-1] != self.dim:
            raise ValueError(
                f"RotaryPositions expects a last axis of {self.dim}, got {x.shape[-1]}"
            )
        angles = _angles(np.arange(offset, offset + x.shape[-2]), self.dim, self.base)
        cosine, sine = (constant(f(angles).astype(_dtype(x)), plain(x)) for f in (np.cos, np.sin))
        pairs = ops.reshape(x, (*x.shape[:-1], self.dim // 2, 2))
        a, b = pairs[..., 0], pairs[..., 1]
        turned = ops.stack([a * cosine - b * sine, a * sine + b * cosine], axis=-1)
        return ops.reshape(turned, x.shape)


def _angles(positions: np.ndarray, size: int, base: float) -> np.ndarray:
    return positions[:, None] / base ** (np.arange(0, size, 2) / size)


def _dtype(x: Any) -> str:
    """The name of a floating dtype of any array library."""
    return str(plain(x).dtype).rpartition(".")[2]
