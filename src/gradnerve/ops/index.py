"""Indexing, and its adjoint."""

from __future__ import annotations

from gradnerve.backends import kernels
from gradnerve.graph import operator


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
