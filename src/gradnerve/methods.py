"""The methods of a Tensor that stand for functions: `x.sum(axis=0)` is `gn.sum(x, axis=0)`.

They have the names and arguments of NumPy's arrays, so that code written for those runs on Tensors.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gradnerve.tensor import Tensor

library: Any = None
"""The functions: `gradnerve.ops`, which stands above this file and puts itself here."""


class ArrayMethods:
    """What Tensor inherits."""

    __slots__ = ()

    _data: Any
    _update: Any
    size: Any

    # --- Elementwise functions --------------------------------------------------------------------

    def exp(self) -> Tensor:
        """e to the power of each element."""
        return library.exp(self)

    def log(self) -> Tensor:
        """Natural logarithm of each element."""
        return library.log(self)

    def sqrt(self) -> Tensor:
        """Square root of each element."""
        return library.sqrt(self)

    def abs(self) -> Tensor:
        """Absolute value of each element."""
        return library.abs(self)

    def tanh(self) -> Tensor:
        """Hyperbolic tangent of each element."""
        return library.tanh(self)

    def sigmoid(self) -> Tensor:
        """1 / (1 + e⁻ˣ) of each element."""
        return library.sigmoid(self)

    def relu(self) -> Tensor:
        """Each element, or 0 where it is negative."""
        return library.relu(self)

    def clip(self, min: Any = None, max: Any = None) -> Tensor:
        """Each element, moved into [min, max]."""
        return library.clip(self, min, max)

    def round(self, decimals: int = 0) -> Tensor:
        """Each element, rounded to so many decimals."""
        if decimals == 0:
            return library.round(self)
        x, scale = library.asarray(self), 10.0 ** abs(decimals)
        if decimals > 0:
            return library.round(x * scale) / scale
        return library.astype(library.round(x / scale) * scale, x.dtype)

    def conj(self) -> Tensor:
        """The complex conjugate of each element."""
        return library.conj(self)

    conjugate = conj

    @property
    def real(self) -> Tensor:
        """The real part of each element."""
        return library.real(self)

    @property
    def imag(self) -> Tensor:
        """The imaginary part of each element."""
        return library.imag(self)

    def astype(self, dtype: Any, copy: bool = True) -> Tensor:
        """The same values in another dtype; in the same one a copy, unless `copy=False`."""
        return library.astype(self, dtype, copy)

    def copy(self, order: str = "C") -> Tensor:
        """A copy, which is part of the graph."""
        return library.copy(self)

    # --- Reductions: over all elements, or over `axis` (a number or several) ----------------------

    def sum(self, axis: Any = None, keepdims: bool = False) -> Tensor:
        """The sum of the elements."""
        return library.sum(self, axis, keepdims)

    def mean(self, axis: Any = None, keepdims: bool = False) -> Tensor:
        """The mean of the elements."""
        return library.mean(self, axis, keepdims)

    def max(self, axis: Any = None, keepdims: bool = False) -> Tensor:
        """The greatest element."""
        return library.max(self, axis, keepdims)

    def min(self, axis: Any = None, keepdims: bool = False) -> Tensor:
        """The smallest element."""
        return library.min(self, axis, keepdims)

    def prod(self, axis: Any = None, keepdims: bool = False) -> Tensor:
        """The product of the elements."""
        return library.prod(self, axis, keepdims)

    def var(self, axis: Any = None, correction: float = 0, keepdims: bool = False) -> Tensor:
        """The mean squared distance from the mean (divided by n - correction)."""
        return library.var(self, axis, correction, keepdims)

    def std(self, axis: Any = None, correction: float = 0, keepdims: bool = False) -> Tensor:
        """The square root of `var`."""
        return library.std(self, axis, correction, keepdims)

    def argmax(self, axis: int | None = None, keepdims: bool = False) -> Tensor:
        """The position of the greatest element."""
        return library.argmax(self, axis, keepdims)

    def argmin(self, axis: int | None = None, keepdims: bool = False) -> Tensor:
        """The position of the smallest element."""
        return library.argmin(self, axis, keepdims)

    def any(self, axis: Any = None, keepdims: bool = False) -> Tensor:
        """Whether any element is true."""
        return library.any(self, axis, keepdims)

    def all(self, axis: Any = None, keepdims: bool = False) -> Tensor:
        """Whether all elements are true."""
        return library.all(self, axis, keepdims)

    def ptp(self, axis: Any = None, keepdims: bool = False) -> Tensor:
        """The distance from the smallest to the greatest element."""
        return library.ptp(self, axis, keepdims)

    def cumsum(self, axis: int | None = None) -> Tensor:
        """The sums of all elements up to each one, along an axis (None: flattened first)."""
        return library.cumulative_sum(*self._along(axis))

    def cumprod(self, axis: int | None = None) -> Tensor:
        """The products of all elements up to each one, along an axis (None: flattened first)."""
        return library.cumulative_prod(*self._along(axis))

    # --- Products -------------------------------------------------------------------------------

    def dot(self, b: Any) -> Tensor:
        """The product with a number, a vector or a matrix.

        With more axes: the sums over the last axis of this and the second-last of b.
        """
        b = library.asarray(b)
        if self._data.ndim == 0 or b.ndim == 0:
            return library.multiply(self, b)
        if b.ndim <= 2:
            return library.matmul(self, b)
        return library.tensordot(self, b, axes=((-1,), (-2,)))

    def diagonal(self, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Tensor:
        """The diagonal of two axes, the `offset`-th above the main one, as a last axis."""
        return library.diagonal(self, offset, axis1, axis2)

    def trace(self, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Tensor:
        """The sum of the diagonal."""
        return library.sum(self.diagonal(offset, axis1, axis2), -1)

    # --- Order and choice -----------------------------------------------------------------------

    def sort(self, axis: int = -1) -> None:
        """Sort this tensor itself, as NumPy's arrays do. A sorted copy is `gn.sort(x)`."""
        self._update("sort()", lambda x, axis: library.sort(x, axis=axis), axis)

    def argsort(self, axis: int | None = -1, stable: bool = True) -> Tensor:
        """The positions of the elements in their order."""
        x, axis = self._along(axis)
        return library.argsort(x, axis=axis, stable=stable)

    def nonzero(self) -> tuple[Tensor, ...]:
        """The positions of the elements that are not 0: for each axis a tensor."""
        return library.nonzero(self)

    def take(self, indices: Any, axis: int | None = None) -> Tensor:
        """The elements at some positions along an axis (None: flattened first)."""
        return library.take(self, indices, axis)

    def repeat(self, repeats: Any, axis: int | None = None) -> Tensor:
        """Each element so many times, along an axis (None: flattened first)."""
        return library.repeat(self, repeats, axis)

    def fill(self, value: Any) -> None:
        """Write one value everywhere."""
        self[...] = value  # type: ignore[index]

    def _along(self, axis: int | None) -> tuple[Any, int]:
        """This tensor and the axis; or, without an axis, the flattened tensor and its only one."""
        return (self.ravel(), 0) if axis is None else (self, axis)

    # --- Shape and place --------------------------------------------------------------------------

    def reshape(self, *shape: Any, order: str = "C") -> Tensor:
        """The same elements in another shape: `reshape(2, 3)` or `reshape((2, 3))`.

        They are read and written row by row; with order="F" column by column.
        """
        to: Any = shape[0] if len(shape) == 1 else shape
        if order == "F":
            reverse = (to,) if isinstance(to, int) else tuple(to)[::-1]
            return library.reshape(self.transpose(), reverse).transpose()
        return library.reshape(self, to)

    def flatten(self, order: str = "C") -> Tensor:
        """The same elements along one axis."""
        return self.reshape(-1, order=order)

    def ravel(self, order: str = "C") -> Tensor:
        """The same elements along one axis."""
        return self.reshape(-1, order=order)

    def swapaxes(self, axis1: int, axis2: int) -> Tensor:
        """Two axes in each other's place."""
        return library.swapaxes(self, axis1, axis2)

    def transpose(self, *axes: Any) -> Tensor:
        """The axes in another order, as NumPy: reversed, or in the order given."""
        if len(axes) == 1 and not isinstance(axes[0], int):
            axes = axes[0] or ()
        return library.permute_dims(self, tuple(axes) or tuple(range(self._data.ndim))[::-1])

    def squeeze(self, axis: Any = None) -> Tensor:
        """Without the axes of length 1: all of them, or those given."""
        if axis is None:
            axis = tuple(i for i, n in enumerate(self._data.shape) if n == 1)
        return library.squeeze(self, axis)

    @property
    def T(self) -> Tensor:
        """The axes in reverse order."""
        return self.transpose()

    @property
    def mT(self) -> Tensor:
        """The last two axes swapped: the transpose of each matrix."""
        return library.matrix_transpose(self)

    # --- In memory ------------------------------------------------------------------------------

    @property
    def itemsize(self) -> int:
        """The number of bytes of an element."""
        return self._data.dtype.itemsize

    @property
    def nbytes(self) -> int:
        """The number of bytes of all elements."""
        return self.size * self.itemsize

    @property
    def strides(self) -> tuple[int, ...]:
        """The number of bytes from one element to the next, along each axis."""
        if not hasattr(self._data, "strides"):
            raise AttributeError(f"arrays of type {type(self._data).__name__} have no strides")
        return self._data.strides
