"""Attention: each result is a mixture of the values, by how well its query fits their keys."""

from __future__ import annotations

import math
from typing import Any

from gradnerve import ops
from gradnerve.backends import array_library, device
from gradnerve.nn.functional.dropout import dropout
from gradnerve.ops.shape import plain

__all__ = ["scaled_dot_product_attention"]


def scaled_dot_product_attention(
    query: Any, key: Any, value: Any, attn_mask: Any = None, dropout_p: float = 0.0,
    is_causal: bool = False, scale: float | None = None, enable_gqa: bool = False,
) -> Any:  # fmt: skip
    """softmax(Q Kᵀ / √E) V: (..., L, E), (..., S, E), (..., S, V) -> (..., L, V).

    `attn_mask` broadcasts against (..., L, S): booleans that say who may be attended to, or numbers
    that are added. `is_causal` lets row i attend to columns up to i. A row that may attend to
    nothing gives 0, and has the gradient 0, as in PyTorch. With `enable_gqa` each of a few heads of
    keys and values, on the third axis from the end, serves as many heads of queries as there are to
    each. Source: Vaswani et al., "Attention Is All You Need", 2017; Ainslie et al., "GQA: Training
    Generalized Multi-Query Transformer Models from Multi-Head Checkpoints", 2023. Raises ValueError
    where shapes do not fit.
    """
    name = "scaled_dot_product_attention"
    if min(len(x.shape) for x in (query, key, value)) < 2:
        raise ValueError(f"{name}: expects a query (..., L, E), a key and a value of two axes too")
    if query.shape[-1] != key.shape[-1] or key.shape[-2] != value.shape[-2]:
        raise ValueError(
            f"{name}: query {query.shape} and key {key.shape} must agree in their last axis, key "
            f"and value {value.shape} in the one before"
        )
    if is_causal and attn_mask is not None:
        raise ValueError(f"{name}: give attn_mask or is_causal, not both")
    if enable_gqa:
        key, value = (_for_each_query(name, x, query) for x in (key, value))
    scale = 1 / math.sqrt(query.shape[-1] or 1) if scale is None else scale
    scores = query @ ops.matrix_transpose(key) * scale
    if attn_mask is not None:
        weights = _masked_softmax(scores, attn_mask)
    elif is_causal:
        library, here = array_library(plain(query)), device(query)
        rows = library.arange(query.shape[-2], device=here)
        columns = library.arange(key.shape[-2], device=here)
        weights = ops.softmax(ops.where(rows[:, None] >= columns, scores, -math.inf), -1)
    else:
        weights = ops.softmax(scores, -1)
    return dropout(weights, dropout_p, dropout_p > 0) @ value


def _masked_softmax(scores: Any, mask: Any) -> Any:
    """softmax along the last axis; 0, not 0/0, in a row that may attend to nothing."""
    library = array_library(plain(scores))
    if library.isdtype(mask.dtype, "bool"):
        scores = ops.where(mask, scores, -math.inf)
    else:
        scores = scores + mask
    if scores.shape[-1] == 0:
        return ops.softmax(scores, -1)
    blocked = library.max(plain(scores), axis=-1, keepdims=True) == -math.inf
    return ops.where(blocked, 0.0, ops.softmax(ops.where(blocked, 0.0, scores), -1))


def _for_each_query(name: str, x: Any, query: Any) -> Any:
    """Each head of keys, or of values, as often as there are heads of queries to one of them."""
    if min(len(x.shape), len(query.shape)) < 3 or query.shape[-3] % x.shape[-3]:
        raise ValueError(
            f"{name}: the heads of key and value {tuple(x.shape)} do not divide those of the "
            f"query {tuple(query.shape)}, on the third axis from the end"
        )
    return ops.repeat(x, query.shape[-3] // x.shape[-3], axis=-3)
