"""Functions that make Tensors: of a shape, of numbers, of other libraries' arrays.

They make NumPy arrays, unless `device` names another library, or a device of one: "torch:cuda".
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from operator import index
from typing import Any

import numpy as np
from numpy.exceptions import ComplexWarning

from gradnerve import errors
from gradnerve.backends import NAMES, array_library, library_name, moved, target
from gradnerve.backends import device as place_of
from gradnerve.graph import operator
from gradnerve.ops import elementwise
from gradnerve.ops.shape import astype, broadcast_to, holds_tensor, imaginary_loss, stack
from gradnerve.ops.shape import copy as copied
from gradnerve.tensor import Tensor

__all__ = [
    "arange", "asarray", "empty", "empty_like", "eye", "from_dlpack", "full", "full_like",
    "linspace", "ones", "ones_like", "zeros", "zeros_like",
]  # fmt: skip

# --- From values ----------------------------------------------------------------------------------


def asarray(obj: Any, dtype: Any = None, device: Any = None, copy: bool | None = None) -> Tensor:
    """A Tensor of a number, of (nested) lists, of an array, or of a Tensor.

    A Tensor is returned as it is, or as a part of the graph: of another dtype, or copied with
    `copy=True`. Lists may contain Tensors, which are stacked. An array is shared, unless it has to
    be copied; with `copy=False` that is a ValueError.

    >>> import gradnerve as gn
    >>> x = gn.Tensor(2.0, requires_grad=True)
    >>> gn.asarray([x, x * x, 1.0])
    Tensor([2., 4., 1.], dtype=float64, requires_grad=True, operator=concat)
    """
    if isinstance(obj, (list, tuple)) and holds_tensor(obj):
        if copy is False:
            raise ValueError("asarray: a list of Tensors can only be copied; leave out copy=False")
        obj = stack([asarray(part) for part in obj])
        copy = None
    if isinstance(obj, Tensor):
        if device is not None and device != "cpu":
            obj = obj.to(device)
        if dtype is not None and obj.dtype != dtype:
            if copy is False:
                raise ValueError(
                    f"asarray: {obj.dtype} becomes {np.dtype(dtype)} only by a copy; leave out "
                    "copy=False"
                )
            if loss := imaginary_loss(obj, dtype):  # NumPy's asarray warns; only astype() raises
                warnings.warn(f"asarray: {loss}; write gn.real", ComplexWarning, stacklevel=2)
                obj = elementwise.real(obj)
            return astype(obj, dtype)
        return copied(obj) if copy else obj
    array = Tensor(obj).data  # or an error, for what is no array of numbers
    if dtype is not None or copy is not None:
        array = array_library(obj).asarray(obj, dtype=dtype, copy=copy)
    return Tensor(_placed(array, device))


def from_dlpack(x: Any, device: Any = None, copy: bool | None = None) -> Tensor:
    """A Tensor on the data of any library's array that speaks DLPack; `copy=True` copies it.

    >>> import gradnerve as gn
    >>> gn.from_dlpack(np.array([1.0, 2.0]))
    Tensor([1., 2.], dtype=float64)
    """
    return Tensor(_placed(np.from_dlpack(x, copy=copy), device))


def arange(
    start: Any, stop: Any = None, step: Any = 1, dtype: Any = None, device: Any = None
) -> Tensor:
    """The numbers from `start` (or 0, if it is the only one) up to `stop`, which is left out.

    >>> import gradnerve as gn
    >>> gn.arange(1, 7, 2)
    Tensor([1, 3, 5], dtype=int64)
    """
    start, stop, step = (_constant(value, "arange") for value in (start, stop, step))
    if stop is None:
        start, stop = 0 * start, start
    if not isinstance(step, str) and step == 0:
        raise ZeroDivisionError(errors.no_step(start, stop))
    return Tensor(_placed(np.arange(start, stop, step, dtype=dtype), device))


def linspace(
    start: Any, stop: Any, num: int, dtype: Any = None, device: Any = None, endpoint: bool = True
) -> Tensor:
    """`num` numbers with equal distances from `start` to `stop` (without it: `endpoint=False`).

    >>> import gradnerve as gn
    >>> gn.linspace(0, 1, 5)
    Tensor([0.  , 0.25, 0.5 , 0.75, 1.  ], dtype=float64)
    """
    start, stop = (_constant(value, "linspace") for value in (start, stop))
    try:
        if index(num) < 0:
            raise ValueError(errors.how_many("linspace", num))
    except TypeError:
        raise TypeError(errors.how_many("linspace", num)) from None
    return Tensor(_placed(np.linspace(start, stop, num, dtype=dtype, endpoint=endpoint), device))


def _constant(value: Any, function: str) -> Any:
    """A number that the function does not differentiate by."""
    if not isinstance(value, Tensor):
        return value
    if value.requires_grad:
        raise RuntimeError(errors.attached(f"{function}()"))
    return value.item()


# --- Of a shape -----------------------------------------------------------------------------------


def empty(shape: Any, dtype: Any = None, device: Any = None) -> Tensor:
    """A Tensor of a shape, with whatever numbers the memory holds."""
    lengths = _lengths("empty", shape, dtype)
    return Tensor(_placed(np.empty(lengths, dtype=dtype), device))


def zeros(shape: Any, dtype: Any = None, device: Any = None) -> Tensor:
    """Zeros: `zeros(3)`, `zeros((2, 3))`; float64 unless another dtype is given."""
    lengths = _lengths("zeros", shape, dtype)
    return Tensor(_placed(np.zeros(lengths, dtype=dtype), device))


def ones(shape: Any, dtype: Any = None, device: Any = None) -> Tensor:
    """Ones: `ones(3)`, `ones((2, 3))`; float64 unless another dtype is given."""
    lengths = _lengths("ones", shape, dtype)
    return Tensor(_placed(np.ones(lengths, dtype=dtype), device))


def full(shape: Any, fill_value: Any, dtype: Any = None, device: Any = None) -> Tensor:
    """A Tensor of a shape with one number everywhere, and the number's dtype.

    The number may be a Tensor, and is then differentiated.

    >>> import gradnerve as gn
    >>> gn.full((2, 2), 3)
    Tensor([[3, 3],
            [3, 3]], dtype=int64)
    """
    lengths = _lengths("full", shape)
    if isinstance(fill_value, Tensor):
        return copied(broadcast_to(asarray(fill_value, dtype=dtype, device=device), lengths))
    return Tensor(_placed(np.full(lengths, fill_value, dtype=dtype), device))


def _lengths(name: str, shape: Any, dtype: Any = None) -> tuple[int, ...]:
    """A shape as a tuple; TypeError for what is none, ValueError for a negative length."""
    if isinstance(shape, int) and isinstance(dtype, int):  # zeros(2, 3)
        raise TypeError(errors.shape_in_parts(name, (shape, dtype)))
    try:
        lengths = tuple(map(index, shape)) if isinstance(shape, Iterable) else (index(shape),)
    except TypeError:
        raise TypeError(errors.not_a_shape(name, shape)) from None
    if any(n < 0 for n in lengths):
        raise ValueError(errors.negative_shape(name, shape))
    return lengths


def eye(
    n_rows: int, n_cols: int | None = None, k: int = 0, dtype: Any = None, device: Any = None
) -> Tensor:
    """Ones on a diagonal (the k-th above the main one), else zeros: (n_rows, n_cols or n_rows).

    >>> import gradnerve as gn
    >>> gn.eye(2, 3, k=1)
    Tensor([[0., 1., 0.],
            [0., 0., 1.]], dtype=float64)
    """
    n_cols = n_rows if n_cols is None else n_cols
    rows, columns = _lengths("eye", (n_rows, n_cols))
    return Tensor(_placed(np.eye(rows, columns, k=k, dtype=dtype), device))


# --- Like another: of an array an array, of a Tensor a Tensor -------------------------------------


def empty_like(x: Any, dtype: Any = None, device: Any = None) -> Any:
    """What the memory holds, in the shape and dtype of x (or in another dtype)."""
    return _like("empty_like", x, dtype, device)


def zeros_like(x: Any, dtype: Any = None, device: Any = None) -> Any:
    """Zeros in the shape and dtype of x (or in another dtype)."""
    if dtype is None and device is None:
        return elementwise.zeros_like(x)  # the operator, which rules call directly
    return _like("zeros_like", x, dtype, device)


def ones_like(x: Any, dtype: Any = None, device: Any = None) -> Any:
    """Ones in the shape and dtype of x (or in another dtype)."""
    if dtype is None and device is None:
        return elementwise.ones_like(x)
    return _like("ones_like", x, dtype, device)


def full_like(x: Any, fill_value: Any, dtype: Any = None, device: Any = None) -> Any:
    """One number everywhere, in the shape and dtype of x (or in another dtype)."""
    if isinstance(fill_value, Tensor):
        return full(x.shape, fill_value, x.dtype if dtype is None else dtype, device)
    return _like("full_like", x, dtype, device, fill_value)


def _like(name: str, x: Any, dtype: Any, device: Any, *fill_value: Any) -> Any:
    data = x.data if isinstance(x, Tensor) else x
    array = _placed(getattr(array_library(data), name)(data, *fill_value, dtype=dtype), device)
    return Tensor(array) if isinstance(x, Tensor) else array


def _placed(array: Any, device: Any) -> Any:
    """An array on a device, which may be that of another library: "torch:cuda"."""
    if device is None or device == "cpu":
        return array
    if isinstance(device, str) and device.partition(":")[0] not in NAMES:
        raise ValueError(errors.no_such_device(device))
    return moved(array, *target(device))


# --- From one library to another ------------------------------------------------------------------


@operator
def convert(x, library, place=None):
    """x in another array library ("jax", "torch", ...), or on another device of one."""
    return moved(x, library, place)


@convert.rule("x", r"\bar x = \bar y")
def _(ct, x):
    return convert(ct, library_name(x), place_of(x))
