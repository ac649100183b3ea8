"""CuPy's arrays. CuPy has NumPy's functions under NumPy's names: little is left to say.

Names that are not here are those of `common.py`, or of `array_api_compat.cupy`.
"""

from __future__ import annotations

import functools
from typing import Any

import cupy
import cupyx
import cupyx.scipy.special
import numpy as np
from array_api_compat import cupy as namespace

from gradnerve import errors
from gradnerve.backends import common

Array = Any

on_host = common.on_host
__getattr__ = common.names_of(globals(), namespace)

cbrt, exp2, fmax, fmin, fmod = cupy.cbrt, cupy.exp2, cupy.fmax, cupy.fmin, cupy.fmod
heaviside, logaddexp2, nan_to_num = cupy.heaviside, cupy.logaddexp2, cupy.nan_to_num
complex_expm1, sinc, diagonal, pad = cupy.expm1, cupy.sinc, cupy.diagonal, cupy.pad
special = functools.partial(common.special, cupyx.scipy.special)


def placed(array: Any, device: Any) -> Array:
    """An array of NumPy or CuPy on a device (None: where it is, or the current one)."""
    if device is None:
        return cupy.asarray(array)
    with device:
        return cupy.asarray(array)


def from_dlpack(array: Any) -> Array:
    """A copy, on the same device, of another library's array."""
    return cupy.from_dlpack(array).copy()


def to_numpy(array: Array) -> np.ndarray:
    """A copy in NumPy."""
    return cupy.asnumpy(array)


def device_of(array: Array) -> Any:
    """The array's device."""
    return array.device


def device_named(name: str) -> Any:
    """The device "cuda", "cuda:1". ValueError where it does not exist."""
    platform, _, index = name.partition(":")
    known = [f"'cuda:{i}'" for i in range(cupy.cuda.runtime.getDeviceCount())]
    if platform != "cuda" or f"'cuda:{index or 0}'" not in known:
        raise ValueError(errors.no_such_device(name, "CuPy", known))
    return cupy.cuda.Device(int(index or 0))


def getitem(x: Array, key: Any) -> Array:
    """x[key]."""
    return x[common.parts_of(key)]


def add_at(x: Array, places: Array, n: int) -> Array:
    """Zeros, n along the last axis, with the elements of x added at their places."""
    out = cupy.zeros((*x.shape[:-1], n), dtype=x.dtype)
    cupyx.scatter_add(out, (..., places), x)
    return out


def max_at(x: Array, places: Array, n: int) -> Array:
    """Zeros (n,) with the greatest element of x, (N,), that has its place there."""
    out = cupy.zeros(n, dtype=x.dtype)
    cupyx.scatter_max(out, places, x)
    return out


def scatter_add(x: Array, key: Any, shape: tuple[int, ...]) -> Array:
    """Zeros of `shape` with x added at `key`, repeated places several times."""
    out = cupy.zeros(shape, dtype=x.dtype)
    cupyx.scatter_add(out, common.parts_of(key), x)
    return out


def write(x: Array, key: Any, value: Any) -> Array:
    """x, with `value` written to x[key]."""
    value = common.value_for(x, key, value)
    if not common.names_once(key):
        value, key = common.written(x, key, value), ...
    x[key] = value
    return x


def einsum(x1: Array, x2: Array, subscripts: str) -> Array:
    """The sum of products "ij,jk->ik"."""
    return cupy.einsum(subscripts, x1, x2)


def isin(x1: Array, x2: Array, invert: bool) -> Array:
    """Whether elements of x1 are among those of x2."""
    return cupy.isin(x1, x2, invert=invert)


def cumsum(x: Array, axis: int | None, dtype: Any) -> Array:
    """Running sums."""
    return cupy.cumsum(x, axis=axis, dtype=dtype)


def cumprod(x: Array, axis: int | None, dtype: Any) -> Array:
    """Running products."""
    return cupy.cumprod(x, axis=axis, dtype=dtype)
