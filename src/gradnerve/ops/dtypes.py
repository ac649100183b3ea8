"""Data types, which are NumPy's; constants; and what this namespace says of itself."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = [
    "bool", "can_cast", "complex64", "complex128", "e", "finfo", "float32", "float64", "iinfo",
    "inf", "int8", "int16", "int32", "int64", "isdtype", "nan", "newaxis", "pi", "result_type",
    "uint8", "uint16", "uint32", "uint64",
]  # fmt: skip

__array_api_version__ = "2024.12"

# --- Constants ------------------------------------------------------------------------------------

e = math.e
inf = math.inf
nan = math.nan
newaxis = None
pi = math.pi

# --- Data types -----------------------------------------------------------------------------------

bool = np.dtype("bool")
int8 = np.dtype("int8")
int16 = np.dtype("int16")
int32 = np.dtype("int32")
int64 = np.dtype("int64")
uint8 = np.dtype("uint8")
uint16 = np.dtype("uint16")
uint32 = np.dtype("uint32")
uint64 = np.dtype("uint64")
float32 = np.dtype("float32")
float64 = np.dtype("float64")
complex64 = np.dtype("complex64")
complex128 = np.dtype("complex128")


@dataclass(frozen=True)
class FloatingInfo:
    """The limits of a floating dtype; of a complex one, those of its parts."""

    bits: int
    eps: float  # from 1 to the next larger number
    max: float
    min: float
    smallest_normal: float
    dtype: Any


@dataclass(frozen=True)
class IntegerInfo:
    """The limits of an integer dtype."""

    bits: int
    max: int
    min: int
    dtype: Any


def finfo(type: Any) -> FloatingInfo:
    """The limits of a floating dtype, given itself or by a Tensor. TypeError for other dtypes.

    >>> finfo(float32).eps
    1.1920928955078125e-07
    """
    dtype = _dtype_of(type)
    if dtype.kind not in "fc":
        raise TypeError(f"finfo: {dtype} is not a floating-point dtype; for integers use iinfo")
    found = np.finfo(dtype)
    return FloatingInfo(
        bits=int(found.bits), eps=float(found.eps), max=float(found.max), min=float(found.min),
        smallest_normal=float(found.smallest_normal), dtype=np.dtype(found.dtype),
    )  # fmt: skip


def iinfo(type: Any) -> IntegerInfo:
    """The limits of an integer dtype, given itself or by a Tensor. TypeError for other dtypes.

    >>> iinfo(int8).max
    127
    """
    dtype = _dtype_of(type)
    if dtype.kind not in "iu":
        raise TypeError(f"iinfo: {dtype} is not an integer dtype; for floating point use finfo")
    found = np.iinfo(dtype)
    return IntegerInfo(int(found.bits), int(found.max), int(found.min), dtype)


def isdtype(dtype: Any, kind: Any) -> Any:
    """Whether a dtype is of a kind: a dtype, "bool", "integral", "real floating", "numeric", ...

    `kind` may be a tuple: is it one of these? The other kinds are "signed integer", "unsigned
    integer" and "complex floating". ValueError for a kind that there is not.

    >>> isdtype(float32, ("real floating", "complex floating"))
    True
    """
    if type(dtype).__module__ == "torch":
        dtype = _dtype_of(dtype)
    return np.isdtype(dtype, kind)


def can_cast(from_: Any, to: Any) -> Any:
    """Whether values of one dtype, given itself or by a Tensor, can be kept in another.

    >>> can_cast(int8, int16), can_cast(float64, float32)
    (True, False)
    """
    return np.can_cast(_dtype_of(from_), _dtype_of(to))


def result_type(*arrays_and_dtypes: Any) -> Any:
    """The dtype that an operator makes of Tensors, arrays, dtypes and Python numbers.

    A Python number leaves a dtype as it is, unless it is of a higher kind.

    >>> import gradnerve as gn
    >>> result_type(gn.Tensor([1.0], dtype=float32), float32, 2.0)
    dtype('float32')
    """
    return np.result_type(
        *(arg if isinstance(arg, (int, float, complex)) and not isinstance(arg, np.generic)
          else _dtype_of(arg) for arg in arrays_and_dtypes)
    )  # fmt: skip


def _dtype_of(value: Any) -> np.dtype:
    """NumPy's dtype of a dtype, its name, a Tensor or an array, of any library."""
    dtype = getattr(value, "dtype", value) if not isinstance(value, type) else value
    if type(dtype).__module__ == "torch":
        return np.dtype(str(dtype).removeprefix("torch."))
    return np.dtype(dtype)


def __array_namespace_info__() -> Any:
    """What this namespace can do: NumPy's own answers, whose arrays and dtypes these are.

    >>> __array_namespace_info__().default_device()
    'cpu'
    """
    return np.__array_namespace_info__()
