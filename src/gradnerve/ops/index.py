"""Indexing and its adjoint; writing."""

from __future__ import annotations

from typing import Any

from gradnerve.backends import array_library, kernels
from gradnerve.graph import operator
from gradnerve.ops.elementwise import where


@operator
def getitem(x, key):
    """x[key]: integers, slices, `...`, None, boolean masks and arrays of integers."""
    return x[key]


@getitem.rule("x", r"\bar x_{key} \mathrel{+}= \bar y")
def _(ct, x, key):
    return scatter_add(ct, key, x.shape)


@operator
def scatter_add(x, key, shape):
    """Zeros of `shape`, with x added at `key`; where a place is named twice, both are added."""
    return kernels(x).scatter_add(x, key, shape)


@scatter_add.rule("x", r"\bar x = \bar y_{key}")
def _(ct, key):
    return ct[key]


@operator
def setitem(x, key, value):
    """x with `value` at x[key]: a new array. Where a place is named twice, the last value stays."""
    return kernels(x).write(array_library(x).asarray(x, copy=True), key, value)


@setitem.rule("x", r"\bar x = \bar y,\;\text{and}\;\bar x_{key} = 0")
def _(ct, key):
    return setitem(ct, key, 0.0)


@setitem.rule("value", r"\overline{value} = \bar y_{key}\;\text{where no later value was written}")
def _(ct, key):
    return where(last_written(ct, key), ct[key], 0.0) if may_repeat(key) else ct[key]


def may_repeat(key: Any) -> bool:
    """Whether a key can name a place twice: lists and arrays of integers can."""
    parts = key if isinstance(key, tuple) else (key,)
    return any(not isinstance(part, (int, slice, type(None), type(...))) for part in parts)


@operator
def last_written(x, key):
    """For each element of x[key], whether no later one is at the same place of x."""
    return kernels(x).last_written(x, key)
