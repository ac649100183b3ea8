"""The Tensor: an array that remembers how it was computed.

This is the first of three files to read. `graph.py` is the second: how an operator is recorded, and
how cotangents flow back. `ops/elementwise.py` is the third: the operators, each with its gradient.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import numpy as np

from gradnerve import errors, graph, writing
from gradnerve.backends import (
    array_library,
    as_array,
    is_concrete,
    is_floating,
    kernels,
    kind_of,
    library_name,
    moved,
    size,
    target,
)
from gradnerve.graph import Array, Cut, Freed
from gradnerve.methods import ArrayMethods
from gradnerve.operators import operators as ops  # filled by ops/, which stands on this file

STANDARDS = ("2021.12", "2022.12", "2023.12", "2024.12")
"""The versions of the Array API standard of which this is an array."""


class Tensor(ArrayMethods):
    """An array of numbers that can tell how a result depends on it.

    >>> x = Tensor([2.0], requires_grad=True)
    >>> y = Tensor([3.0], requires_grad=True)
    >>> z = x * y
    >>> z.backward()
    >>> print(x.grad, y.grad)
    [3.] [2.]

    `data` is the value: an array (of NumPy, JAX, PyTorch or CuPy) is taken as it is, without a
    copy; numbers and lists become NumPy arrays. `grad`, after `backward()`, says how much the
    result changes per unit of change in each element of `data`: an array of the same shape and
    dtype. `name` is for messages and drawings.

    Raises TypeError for data that is no array of numbers, and for integers or booleans that are to
    require grad.
    """

    # A leaf is made by the user; its _record is None. The result of an operator is recorded: its
    # _record is (operator, arguments, values), and its _number is lower than its parents'. A tensor
    # that was written to while it was recorded has _written: what it was before (`writing.py`).
    __slots__ = (
        "__weakref__", "_data", "_grad", "_number", "_record", "_requires_grad", "_written", "name",
    )  # fmt: skip

    _data: Any
    _grad: Any
    _number: int
    _record: Any
    _requires_grad: bool
    _written: list[Any]
    name: str | None

    def __init__(
        self, data: Any, requires_grad: bool = False, *, dtype: Any = None, name: str | None = None
    ):
        self._data = _checked_array(data, dtype)
        self._grad = None
        self._record = None
        self._requires_grad = False
        self.name = name
        if requires_grad:
            self.requires_grad = True

    # --- What a Tensor holds ----------------------------------------------------------------------

    @property
    def data(self) -> Array:
        """The value, an array. What is written here is not recorded."""
        return self._data

    @data.setter
    def data(self, value: Any) -> None:
        value = _checked_array(value, None)
        if self._requires_grad and not is_floating(value):
            raise TypeError(errors.cannot_require_grad(value.dtype, value))
        self._data = value

    @property
    def grad(self) -> Array | None:
        """The gradient that `backward()` accumulated: an array like `data`, or None before."""
        return self._grad

    @grad.setter
    def grad(self, value: Any) -> None:
        if value is not None:
            value = _checked_array(as_array(value, self._data), None)
            value = array_library(self._data).asarray(value, dtype=self._data.dtype, copy=True)
            if value.shape != self.shape:
                raise ValueError(errors.grad_shape(value.shape, self.shape))
        self._grad = value

    @property
    def requires_grad(self) -> bool:
        """Whether `backward()` from a result computes this tensor's gradient."""
        return self._requires_grad

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        if bool(value) == self._requires_grad:
            return
        if type(self._record) is tuple or type(self._record) is Freed:
            raise RuntimeError(errors.STOP_REQUIRING)
        if value and not is_floating(self._data):
            raise TypeError(errors.cannot_require_grad(self._data.dtype, self._data))
        self._requires_grad = bool(value)
        self._record = None
        self._number = next(graph.numbers)

    def requires_grad_(self, requires_grad: bool = True) -> Tensor:
        """Set `requires_grad`, and return this tensor."""
        self.requires_grad = requires_grad
        return self

    # --- The graph --------------------------------------------------------------------------------

    @property
    def _prev(self) -> set[Tensor]:
        """The tensors that this one was computed from. After backward, those somebody holds."""
        record = self._record
        if type(record) is tuple:
            then = (writing.as_it_was(parent, self._number) for parent in graph.parents(record))
            return {parent for parent in then if parent is not None}
        if type(record) is Freed:
            return {parent for parent in (link() for link in record.parents) if parent is not None}
        return set()

    def _backward(self) -> None:
        """Pass this tensor's `.grad` on to its parents' `.grad`: one step of backward, by hand.

        >>> x = Tensor(3.0, requires_grad=True)
        >>> y = x * x
        >>> y.grad = 1.0
        >>> y._backward()
        >>> print(x.grad)
        6.0
        """
        record = self._record
        if record is None or type(record) is Cut:
            return
        if type(record) is Freed:
            raise errors.GraphFreed(errors.freed(record))
        if self._grad is None:
            raise RuntimeError(errors.no_gradient_yet(record[0].name))
        needing = {parent for parent in self._prev if parent._requires_grad}
        for parent, ct in graph.flow(self, graph.gradient_of(self._grad), stops=needing):
            if parent in needing:
                graph.add_to_grad(parent, graph.gradient_of(ct))

    def backward(self, gradient: Any = None, retain_graph: bool = False) -> None:
        """Compute the gradient of this tensor, adding to `.grad` of all it was computed from.

        Starts from 1 for a single number; else from `gradient`, an array of this tensor's shape
        (the result is then the gradient of `(self * gradient).sum()`). Fills `.grad` of every leaf
        that requires grad, and of every tensor on the way that you still hold. Frees the graph on
        its way, unless `retain_graph`.

        Raises RuntimeError where nothing leads to a tensor that requires grad, where the graph has
        been freed, or where a shape is not that of a single number.

        >>> x = Tensor([1.0, 2.0], requires_grad=True)
        >>> (x * x).sum().backward()
        >>> print(x.grad)
        [2. 4.]
        """
        graph.backward(self, gradient, retain_graph)

    def zero_grad(self) -> None:
        """Forget the gradient: `.grad` is None until the next `backward()`."""
        self._grad = None

    def detach(self) -> Tensor:
        """A tensor on the same data that is no part of the graph."""
        tensor = Tensor(self._data)
        if type(self._record) is Cut:
            tensor._record = self._record
        elif self._requires_grad:
            tensor._record = Cut("detach()", errors.user_line())
        return tensor

    def clone(self) -> Tensor:
        """A copy that is part of the graph: gradients flow through it."""
        return ops.copy(self)

    # --- Reading the value ------------------------------------------------------------------------

    def numpy(self) -> np.ndarray:
        """The value as a NumPy array: NumPy's own not as a copy, JAX's read-only.

        Raises RuntimeError on a part of the graph.
        """
        if self._requires_grad:
            raise RuntimeError(errors.attached("numpy()"))
        return np.asarray(moved(self._data, "numpy"))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        if self._requires_grad:
            raise RuntimeError(errors.attached("Making a NumPy array of it"))
        return np.asarray(moved(self._data, "numpy"), dtype=dtype, copy=copy)

    @property
    def _mask(self) -> Any:
        # NumPy's masked arrays take `_data` and `_mask` of whatever has them, and compute with it.
        if self._requires_grad:
            raise RuntimeError(errors.attached("Making a masked array of it"))
        raise AttributeError("a Tensor has no mask")

    def __array_namespace__(self, api_version: str | None = None) -> Any:
        """GradNerve, as the Array API standard asks it of an array."""
        if api_version is not None and api_version not in STANDARDS:
            raise ValueError(errors.no_such_standard(api_version, STANDARDS))
        return sys.modules["gradnerve"]

    def __dlpack__(
        self, *, stream: Any = None, max_version: Any = None, dl_device: Any = None,
        copy: bool | None = None,
    ) -> Any:  # fmt: skip
        if self._requires_grad:
            raise BufferError(errors.attached("DLPack"))
        return self._data.__dlpack__(
            stream=stream, max_version=max_version, dl_device=dl_device, copy=copy
        )

    def __dlpack_device__(self) -> tuple[Any, int]:
        return self._data.__dlpack_device__()

    # NumPy's own functions and `array + tensor`: protocols.py stands above this file, and puts
    # __array_ufunc__ and __array_function__ here.

    def item(self, *index: int) -> Any:
        """The value of a tensor with one element, or of one at an index, as a Python number.

        No gradient flows through a number: a function that is being traced warns of it.
        """
        if not index and self.size != 1:
            raise ValueError(errors.ONE_ELEMENT.format("item()", self.shape))
        self._note_reading()
        return moved(self._data, "numpy").item(*index) if index else self._data.item()

    def tolist(self) -> Any:
        """The value as nested Python lists of numbers."""
        self._note_reading()
        return self._data.tolist()

    def _note_reading(self) -> None:
        readings = graph.readings.get()
        if readings is not None and self._requires_grad:
            readings.setdefault(errors.user_place(), self)

    def __float__(self) -> float:
        # `array[i] = tensor` asks for a number, without a word of the array it will be lost in.
        if self._requires_grad and errors.caller_writes_to_an_array():
            raise RuntimeError(errors.attached("Writing it into a NumPy array"))
        return float(self.item())

    def __int__(self) -> int:
        return int(self.detach().item())

    def __complex__(self) -> complex:
        return complex(self.item())

    def __index__(self) -> int:
        return self._data.__index__()

    def __bool__(self) -> bool:
        if self.size != 1:
            raise ValueError(errors.ambiguous_truth(self.shape))
        return bool(self._data)

    @property
    def shape(self) -> tuple[int, ...]:
        """The length of each axis."""
        return tuple(self._data.shape)

    @property
    def dtype(self) -> Any:
        """The type of the elements."""
        return self._data.dtype

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return self._data.ndim

    @property
    def size(self) -> int:
        """The number of elements."""
        return size(self._data)

    @property
    def device(self) -> Any:
        """Where the elements are: "cpu" for NumPy's arrays."""
        return self._data.device

    def to_device(self, device: Any, stream: Any = None) -> Tensor:
        """This tensor, on a device of its library; see `device`."""
        if stream is None and device == self.device:
            return self
        if stream is not None or not (isinstance(device, str) or hasattr(device, "__module__")):
            raise ValueError(errors.no_such_device(device))
        name = library_name(self._data)
        return self.to(f"{name}:{device}" if isinstance(device, str) else device)

    def to(self, library: Any) -> Tensor:
        """This tensor in another array library, or on another device: "jax", "torch:cuda".

        It is an operator, as PyTorch's: gradients flow back to where they came from. A leaf that
        stays a leaf is `gn.to(x, library)`. Where it is there already, the tensor itself.

        Raises ValueError for a library or device that there is not, ImportError for one that is not
        installed, TypeError for a dtype that it has not.

        >>> Tensor([1.0]).to("numpy")
        Tensor([1.], dtype=float64)
        """
        name, place = target(library)
        if name == library_name(self._data) and (place is None or place == self.device):
            return self
        return ops.convert(self, name, place)

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("len() of a tensor with no axes (a single number)")
        return self.shape[0]

    def __iter__(self) -> Iterator[Tensor]:
        if not self.shape:
            raise TypeError("iteration over a tensor with no axes (a single number)")
        return (self[i] for i in range(self.shape[0]))

    def __contains__(self, value: Any) -> bool:
        value = as_array(getattr(value, "_data", value), self._data)
        return bool((self._data == value).any())

    def __repr__(self) -> str:
        value = array_text(self._data)
        parts = [value, f"dtype={self.dtype}"]
        if self.size == 0:
            parts.insert(1, f"shape={self.shape}")
        if self._requires_grad:
            parts.append("requires_grad=True")
        if type(self._record) is tuple:
            parts.append(f"operator={graph.made_by(self._record).name}")
        elif type(self._record) is Freed:
            parts.append(f"operator={self._record.operator.name} (freed)")
        if self.name:
            parts.append(f"name={self.name!r}")
        return f"Tensor({', '.join(parts)})"

    def __format__(self, spec: str) -> str:
        return format(self.detach().item(), spec) if spec else repr(self)

    # --- Copies and files -------------------------------------------------------------------------

    def __reduce__(self) -> Any:
        # For copy.deepcopy and pickle. A leaf is its values; a result would be its whole graph.
        if self._requires_grad and self._record is not None:
            raise RuntimeError(errors.COPY_OF_RESULT)
        state = (self._data, self._grad, self._requires_grad, self.name)
        return rebuilt, (type(self), *state)

    # From here on the methods hand their arguments on to an operator in ops/. (For those that do
    # nothing else, ops/__init__.py puts the operator itself in their place: it is quicker.)

    # --- Arithmetic -----------------------------------------

    def __add__(self, other: Any) -> Tensor:
        return ops.add(self, other)

    def __radd__(self, other: Any) -> Tensor:
        return ops.add(other, self)

    def __sub__(self, other: Any) -> Tensor:
        return ops.subtract(self, other)

    def __rsub__(self, other: Any) -> Tensor:
        return ops.subtract(other, self)

    def __mul__(self, other: Any) -> Tensor:
        return ops.multiply(self, other)

    def __rmul__(self, other: Any) -> Tensor:
        return ops.multiply(other, self)

    def __truediv__(self, other: Any) -> Tensor:
        return ops.divide(self, other)

    def __rtruediv__(self, other: Any) -> Tensor:
        return ops.divide(other, self)

    def __floordiv__(self, other: Any) -> Tensor:
        return ops.floor_divide(self, other)

    def __rfloordiv__(self, other: Any) -> Tensor:
        return ops.floor_divide(other, self)

    def __mod__(self, other: Any) -> Tensor:
        return ops.remainder(self, other)

    def __rmod__(self, other: Any) -> Tensor:
        return ops.remainder(other, self)

    def __divmod__(self, other: Any) -> tuple[Tensor, Tensor]:
        return ops.floor_divide(self, other), ops.remainder(self, other)

    def __rdivmod__(self, other: Any) -> tuple[Tensor, Tensor]:
        return ops.floor_divide(other, self), ops.remainder(other, self)

    def __pow__(self, other: Any) -> Tensor:
        return ops.pow(self, other)

    def __rpow__(self, other: Any) -> Tensor:
        return ops.pow(other, self)

    def __matmul__(self, other: Any) -> Tensor:
        return ops.matmul(self, other)

    def __rmatmul__(self, other: Any) -> Tensor:
        return ops.matmul(other, self)

    def __neg__(self) -> Tensor:
        return ops.negative(self)

    def __pos__(self) -> Tensor:
        return ops.positive(self)

    def __abs__(self) -> Tensor:
        return ops.abs(self)

    def __invert__(self) -> Tensor:
        return ops.bitwise_invert(self)

    def __and__(self, other: Any) -> Tensor:
        return ops.bitwise_and(self, other)

    def __rand__(self, other: Any) -> Tensor:
        return ops.bitwise_and(other, self)

    def __or__(self, other: Any) -> Tensor:
        return ops.bitwise_or(self, other)

    def __lshift__(self, other: Any) -> Tensor:
        return ops.bitwise_left_shift(self, other)

    def __rlshift__(self, other: Any) -> Tensor:
        return ops.bitwise_left_shift(other, self)

    def __rshift__(self, other: Any) -> Tensor:
        return ops.bitwise_right_shift(self, other)

    def __rrshift__(self, other: Any) -> Tensor:
        return ops.bitwise_right_shift(other, self)

    def __ror__(self, other: Any) -> Tensor:
        return ops.bitwise_or(other, self)

    def __xor__(self, other: Any) -> Tensor:
        return ops.bitwise_xor(self, other)

    def __rxor__(self, other: Any) -> Tensor:
        return ops.bitwise_xor(other, self)

    # --- Writing ----------------------------------------------------------------------------------

    # In the graph a write is an operator like any other, and this object stands for its result from
    # then on: gradients flow to what it was before, and to the value. What was computed from it
    # earlier, views like x[0] included, keeps its value and its gradient. Outside of the graph, and
    # under no_grad(), a write goes into the array itself, as in NumPy.

    def __setitem__(self, key: Any, value: Any) -> None:
        key = _plain_key(key)
        if self._is_recorded("x[key] = value", value):
            self._become(ops.setitem, key, value)
        else:
            self._put(key, value)

    def _update(self, symbol: str, op: Any, other: Any) -> Tensor:
        """`x += other` and its like."""
        if self._is_recorded(symbol, other):
            self._become(lambda x, other: x._checked(symbol, op(x, other)), other)
        else:
            self._put(..., self._checked(symbol, op(self, other)))
        return self

    def _become(self, op: Any, *args: Any) -> None:
        before = writing.become(self, op, *args)
        if graph.watch is not None:
            graph.watch.moved(before)
            graph.watch.moved(self)

    def _is_recorded(self, symbol: str, value: Any) -> bool:
        """Whether a write of this value is part of the graph. RuntimeError where it must not be."""
        is_result = self._requires_grad and type(self._record) is tuple
        if not graph.recording.get():
            if is_result:
                raise RuntimeError(errors.WRITE_TO_RESULT.format(symbol))
            return False
        if self._requires_grad and self._record is None:
            raise RuntimeError(errors.write_to_leaf(symbol))
        return self._requires_grad or (isinstance(value, Tensor) and value._requires_grad)

    def _checked(self, symbol: str, result: Tensor) -> Tensor:
        """The result of an in-place operator, in this tensor's shape and dtype; or an error."""
        if result.shape != self.shape:
            raise ValueError(errors.write_shape(symbol, result.shape, self.shape))
        library = array_library(self._data)
        if not library.isdtype(self.dtype, _kinds_from(library, result.dtype)):
            raise TypeError(errors.write_dtype(symbol, result.dtype, self.dtype))
        return result if result.dtype == self.dtype else ops.astype(result, self.dtype)

    def _put(self, key: Any, value: Any) -> None:
        """Write into the array itself."""
        value = value._data if isinstance(value, Tensor) else value
        try:
            data = kernels(self._data).write(self._data, key, value)
            if data is self._data:  # else it could not be written to: a copy was
                writing.changed([data], next(graph.numbers))
            self._data = data
        except Exception as error:
            if isinstance(error, IndexError):
                ops.getitem(self._data, key)  # fails too, and says what is wrong with the key
            names = ("x", "key", "value")
            raise errors.explained(error, "setitem", names, (self, key, value)) from None

    def __iadd__(self, other: Any) -> Tensor:
        return self._update("+=", ops.add, other)

    def __isub__(self, other: Any) -> Tensor:
        return self._update("-=", ops.subtract, other)

    def __imul__(self, other: Any) -> Tensor:
        return self._update("*=", ops.multiply, other)

    def __itruediv__(self, other: Any) -> Tensor:
        return self._update("/=", ops.divide, other)

    def __ifloordiv__(self, other: Any) -> Tensor:
        return self._update("//=", ops.floor_divide, other)

    def __imod__(self, other: Any) -> Tensor:
        return self._update("%=", ops.remainder, other)

    def __ipow__(self, other: Any) -> Tensor:
        return self._update("**=", ops.pow, other)

    def __imatmul__(self, other: Any) -> Tensor:
        return self._update("@=", ops.matmul, other)

    def __iand__(self, other: Any) -> Tensor:
        return self._update("&=", ops.bitwise_and, other)

    def __ior__(self, other: Any) -> Tensor:
        return self._update("|=", ops.bitwise_or, other)

    def __ixor__(self, other: Any) -> Tensor:
        return self._update("^=", ops.bitwise_xor, other)

    def __ilshift__(self, other: Any) -> Tensor:
        return self._update("<<=", ops.bitwise_left_shift, other)

    def __irshift__(self, other: Any) -> Tensor:
        return self._update(">>=", ops.bitwise_right_shift, other)

    # --- Comparison is by element; hash is by identity --------------------------------------------

    def __eq__(self, other: object) -> Tensor:  # type: ignore[override]
        return ops.equal(self, other)

    def __ne__(self, other: object) -> Tensor:  # type: ignore[override]
        return ops.not_equal(self, other)

    def __lt__(self, other: Any) -> Tensor:
        return ops.less(self, other)

    def __le__(self, other: Any) -> Tensor:
        return ops.less_equal(self, other)

    def __gt__(self, other: Any) -> Tensor:
        return ops.greater(self, other)

    def __ge__(self, other: Any) -> Tensor:
        return ops.greater_equal(self, other)

    __hash__ = object.__hash__

    # --- Reading at an index ---------------------------------------------------------------------

    def __getitem__(self, key: Any) -> Tensor:
        return ops.getitem(self, _plain_key(key))


def _checked_array(data: Any, dtype: Any) -> Array:
    """The array of `data`; TypeError or ValueError where there is none."""
    if isinstance(data, Tensor):
        if data._requires_grad:
            raise RuntimeError(errors.attached("Making a Tensor or an array of it"))
        data = data._data
    try:
        array = as_array(data)
    except ValueError as error:
        raise ValueError(f"{errors.not_an_array(data)} ({error})") from None
    if not kind_of(array):
        raise TypeError(errors.not_an_array(data))
    if getattr(array, "requires_grad", False):
        raise RuntimeError(errors.foreign_graph(type(array).__name__))
    if dtype is not None:
        array = array_library(array).astype(array, dtype, copy=False)
    return array


def array_text(data: Array) -> str:
    """The numbers of an array, or, where they are not known yet, what it is."""
    if not is_concrete(data):
        return f"{data}"
    return np.array2string(moved(data, "numpy"), separator=", ", prefix="Tensor(")


def _plain_key(key: Any) -> Any:
    """An index with arrays in place of Tensors."""
    if isinstance(key, tuple):
        return tuple(_plain_key(part) for part in key)
    return key._data if isinstance(key, Tensor) else key


def _kinds_from(library: Any, dtype: Any) -> tuple[str, ...]:
    """The kinds of dtype that can hold values of this one: its own and the larger ones."""
    kinds = ("bool", "unsigned integer", "signed integer", "real floating", "complex floating")
    return kinds[next(i for i, kind in enumerate(kinds) if library.isdtype(dtype, kind)) :]


def rebuilt(
    kind: type[Tensor], data: Any, grad: Any, requires_grad: bool, name: str | None
) -> Tensor:
    tensor = kind.__new__(kind)
    Tensor.__init__(tensor, data, requires_grad, name=name)
    tensor.grad = grad
    return tensor


graph.Tensor = writing.Tensor = Tensor  # type: ignore[misc]
