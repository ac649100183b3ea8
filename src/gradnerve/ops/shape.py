"""Operators that move elements without changing them.

Few are needed: of the functions that people know from NumPy and PyTorch, which come after them,
each is a line or two.
"""

from __future__ import annotations

import itertools
import math
import operator as python
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.exceptions import AxisError

from gradnerve import errors
from gradnerve.backends import (
    array_library,
    as_array,
    is_complex,
    is_floating,
    kernels,
    kind_of,
    libraries,
    size,
)
from gradnerve.graph import Cut, operator
from gradnerve.operators import operators
from gradnerve.ops.elementwise import where, zeros_like
from gradnerve.tensor import Tensor

__all__ = [
    "append", "array_split", "astype", "atleast_1d", "atleast_2d", "atleast_3d", "block",
    "broadcast_arrays", "broadcast_shapes", "broadcast_to", "chunk", "column_stack", "concat",
    "copy", "delete", "dsplit", "dstack", "expand_dims", "flatten", "flip", "fliplr", "flipud",
    "hsplit", "hstack", "insert", "matrix_transpose", "meshgrid", "moveaxis", "permute_dims",
    "ravel", "repeat", "reshape", "roll", "rot90", "select", "split", "squeeze", "stack",
    "swapaxes", "tile", "tril", "triu", "unstack", "vsplit", "vstack",
]  # fmt: skip


@operator
def reshape(x, shape, copy=None):
    """The same elements, in the same order, in another shape (-1 for one length to be found).

    `copy`: always (True), never (False: an error where it would take one), or if need be (None).
    """
    shape = (shape,) if isinstance(shape, int) else tuple(shape)
    try:
        if copy is None:
            return array_library(x).reshape(x, shape)
        return array_library(x).reshape(x, shape, copy=copy)
    except ValueError:
        if copy is not False or (-1 not in shape and math.prod(shape) != math.prod(x.shape)):
            raise ValueError(errors.reshape_size(tuple(x.shape), shape)) from None
        raise  # the shape fits, but not without a copy


@reshape.rule("x", r"\bar x = \operatorname{reshape} \bar y")
def _(ct, x):
    return reshape(ct, x.shape)


@operator
def permute_dims(x, axes):
    """The axes in another order: axis i of the result is axis axes[i] of x."""
    try:
        return array_library(x).permute_dims(x, axes)
    except ValueError as error:
        if isinstance(error, AxisError):
            raise
        raise ValueError(errors.no_order_of_axes(axes, x.shape)) from None


@permute_dims.rule("x", r"\bar x = \bar y\;\text{with its axes put back}")
def _(ct, axes):
    axes = [a % len(axes) for a in axes]
    return permute_dims(ct, tuple(axes.index(i) for i in range(len(axes))))


@operator
def matrix_transpose(x):
    """The last two axes swapped: (..., M, N) -> (..., N, M)."""
    return array_library(x).matrix_transpose(x)


@matrix_transpose.rule("x", r"\bar X = \bar Y^{\mathsf T}")
def _(ct):
    return matrix_transpose(ct)


@operator
def squeeze(x, axis):
    """Without the given axes, which have length 1."""
    try:
        return array_library(x).squeeze(x, axis=axis)
    except ValueError:
        longer = [a for a in axes_of(axis, x.shape) if x.shape[a] != 1]
        raise ValueError(errors.squeezed(longer[0], x.shape)) from None


@squeeze.rule("x", r"\bar x = \operatorname{reshape} \bar y")
def _(ct, x):
    return reshape(ct, x.shape)


@operator
def expand_dims(x, axis=0):
    """With a new axis of length 1 at position `axis`."""
    return array_library(x).expand_dims(x, axis=axis)


@expand_dims.rule("x", r"\bar x = \operatorname{reshape} \bar y")
def _(ct, x):
    return reshape(ct, x.shape)


@operator
def broadcast_to(x, shape):
    """x repeated along new axes and along those of length 1, up to `shape`."""
    try:
        return array_library(x).broadcast_to(x, shape)
    except ValueError:
        shape = (shape,) if isinstance(shape, int) else tuple(shape)
        raise ValueError(errors.broadcast_target(tuple(x.shape), shape)) from None


@broadcast_to.rule("x", r"\bar x = \textstyle\sum \bar y\;\text{over the stretched axes}")
def _(ct):
    return ct  # the engine sums it back to the shape of x


@operator
def _concat(axis, *arrays):
    """Arrays joined along an axis (None: flattened first)."""
    try:
        return array_library(*arrays).concat(arrays, axis=axis)
    except AxisError:
        raise
    except ValueError:
        raise ValueError(errors.concat_shapes([tuple(x.shape) for x in arrays], axis)) from None


@_concat.rule("arrays", r"\bar x_k = \text{the part of}\;\bar y\;\text{that came from}\;x_k")
def _(ct, axis, arrays, needs):
    if axis is None:
        ends = list(itertools.accumulate((_size(x) for x in arrays), initial=0))
        parts = [ct[a:b] for a, b in itertools.pairwise(ends)]
        return [reshape(part, x.shape) for part, x in zip(parts, arrays, strict=True)]
    place = axis % len(ct.shape)
    ends = list(itertools.accumulate((x.shape[axis] for x in arrays), initial=0))
    spans = zip(itertools.pairwise(ends), needs, strict=True)
    return [ct[along(place, slice(a, b))] if needed else None for (a, b), needed in spans]


def _size(x: Any) -> int:
    return size(x)


def concat(arrays: Sequence[Any], axis: int | None = 0) -> Any:
    """Arrays joined along an axis (None: flattened first): [(a, N), (b, N)] -> (a + b, N).

    >>> import gradnerve as gn
    >>> gn.concat([gn.Tensor([1.0, 2.0]), gn.Tensor([3.0])])
    Tensor([1., 2., 3.], dtype=float64)
    """
    check_arrays("concat", arrays, axis)
    return _concat(axis, *arrays)


def check_arrays(name: str, arrays: Any, axis: Any) -> None:
    """A function that joins takes a list of arrays, with one in it at least."""
    if not hasattr(arrays, "__len__") or getattr(axis, "shape", None):
        raise TypeError(errors.not_a_list_of_arrays(name, arrays))
    if len(arrays) == 0:
        raise ValueError(f"{name}: there is nothing to join; give it one array or more")


@operator
def flip(x, axis=None):
    """The elements in reverse order along the axes."""
    return array_library(x).flip(x, axis=axis)


@flip.rule("x", r"\bar x = \operatorname{flip} \bar y")
def _(ct, axis):
    return flip(ct, axis)


@operator
def roll(x, shift, axis=None):
    """The elements moved along the axes by `shift` places; what is pushed out comes in in front."""
    return array_library(x).roll(x, shift, axis=axis)


@roll.rule("x", r"\bar x = \operatorname{roll}(\bar y, -shift)")
def _(ct, shift, axis):
    back = tuple(-s for s in shift) if isinstance(shift, (tuple, list)) else -shift
    return roll(ct, back, axis)


@operator
def _astype(x, dtype, copy=True):
    """The same values in another dtype (`copy=False`: the same array, where it has it already)."""
    if loss := imaginary_loss(x, dtype):
        raise TypeError(f"{loss}: write gn.real")
    return array_library(x).astype(x, dtype, copy=copy)


def imaginary_loss(x: Any, dtype: Any) -> str:
    """What is lost if complex x is made real, in words. (A boolean is whether x is 0 or not.)"""
    if is_complex(x):
        target = array_library(x).empty(0, dtype=dtype)
        if kind_of(target) not in ("b", "c"):
            return f"{x.dtype} to {target.dtype} drops the imaginary part"
    return ""


@_astype.rule("x", r"\bar x = \bar y\;\text{(0 through whole numbers, which are steps)}")
def _(ct):
    return ct if is_floating(ct) else zeros_like(ct)  # the engine casts it back to x's dtype


def astype(x: Any, dtype: Any, copy: bool = True, device: Any = None) -> Any:
    """The same values in another dtype, differentiable between real and complex floating point.

    Whole numbers and booleans are steps: a Tensor of them is a plain value, cut from the graph.
    `copy=False` takes the same array where it has the dtype already. `device` is where x is.

    Raises TypeError from complex to real numbers, ValueError for another device.

    >>> import gradnerve as gn
    >>> gn.astype(gn.Tensor([1.7, -1.7]), "int64")
    Tensor([ 1, -1], dtype=int64)
    """
    x = as_tensor_or_array(x)
    if device is not None and device != (here := getattr(x, "device", "cpu")):
        raise ValueError(f"astype: x is on device {here!r}; move it to {device!r} first")
    y = _astype(x, dtype, copy)
    if isinstance(y, Tensor) and y.requires_grad and not is_floating(y):
        y = Tensor(y._data)
        y._record = Cut(f"astype() to {y.dtype}, which has no derivative", errors.user_line())
    return y


@operator
def copy(x):
    """A copy of x in memory of its own."""
    return array_library(x).asarray(x, copy=True)


@copy.rule("x", r"\bar x = \bar y")
def _(ct):
    return ct


@operator
def tril(x, k=0):
    """The lower triangle of each matrix: 0 above diagonal k."""
    return array_library(x).tril(_matrices(x), k=k)


@tril.rule("x", r"\bar X = \operatorname{tril}_k \bar Y")
def _(ct, k):
    return tril(ct, k)


@operator
def triu(x, k=0):
    """The upper triangle of each matrix: 0 below diagonal k."""
    return array_library(x).triu(_matrices(x), k=k)


@triu.rule("x", r"\bar X = \operatorname{triu}_k \bar Y")
def _(ct, k):
    return triu(ct, k)


def _matrices(x: Any) -> Any:
    if len(x.shape) < 2:
        raise ValueError(f"a triangle is part of a matrix, with two axes or more; got {x.shape}")
    return x


@operator
def _repeat(x, counts, axis=0):
    """Each element along an axis as many times as `counts` says."""
    return kernels(x).repeat(x, counts, axis)


@operator
def sum_runs(x, counts, axis=0):
    """The adjoint of `repeat`: the sums of runs of neighbours along an axis, of these lengths."""
    return kernels(x).sum_runs(x, counts, axis)


@_repeat.rule("x", r"\bar x_i = \textstyle\sum \bar y\;\text{of the copies of}\;i")
def _(ct, counts, axis):
    return sum_runs(ct, counts, axis)


@sum_runs.rule("x", r"\bar x = \bar y\;\text{repeated}")
def _(ct, counts, axis):
    return _repeat(ct, counts, axis)


# --- Parts: operators with several outputs --------------------------------------------------------


@operator
def _split(x, ends, axis=0):
    """The parts of an axis between `ends`, which are places in rising order."""
    parts = itertools.pairwise((0, *ends, x.shape[axis]))
    return tuple(x[along(axis, slice(a, b))] for a, b in parts)


@_split.rule("x", r"\bar x = (\bar y_1, \bar y_2, \dots)\;\text{joined}")
def _(ct, axis):
    return concat(ct, axis)


@operator
def _unstack(x, axis=0):
    """The arrays that `stack` would make x of, each without the axis."""
    return tuple(x[along(axis, i)] for i in range(x.shape[axis]))


@_unstack.rule("x", r"\bar x = (\bar y_1, \bar y_2, \dots)\;\text{stacked}")
def _(ct, axis):
    return stack(ct, axis)


def split(x: Any, indices_or_sections: Any, axis: int = 0) -> Any:
    """An axis cut into equal sections, or at the places of a list, as NumPy: (6,) -> 3 of (2,).

    Raises ValueError where the sections would not be equal; `array_split` and `chunk` take those.

    >>> import gradnerve as gn
    >>> [part.tolist() for part in gn.split(gn.Tensor([1.0, 2.0, 3.0, 4.0]), [1, 3])]
    [[1.0], [2.0, 3.0], [4.0]]
    """
    x = as_tensor_or_array(x)
    if (sections := _whole(indices_or_sections)) is not None:
        n = x.shape[axis_index(axis, x, "split")]
        if sections < 1 or n % sections:
            raise ValueError(
                f"split: axis {axis} of shape {x.shape} is {n} long, which is not {sections} equal "
                "parts; array_split takes parts that differ by one"
            )
    return array_split(x, indices_or_sections, axis)


def array_split(x: Any, indices_or_sections: Any, axis: int = 0) -> Any:
    """As `split`, with sections that may differ by one: (7,) -> (3,), (2,), (2,)."""
    x = as_tensor_or_array(x)
    axis = axis_index(axis, x, "array_split")
    n = x.shape[axis]
    if (sections := _whole(indices_or_sections)) is not None:
        if sections < 1:
            raise ValueError(f"array_split: there must be a section at least, got {sections}")
        each, more = divmod(n, sections)
        return parts_of(x, [i * each + min(i, more) for i in range(1, sections)], axis)
    places = [python.index(i) for i in indices_or_sections]
    ends = [slice(i).indices(n)[1] for i in places]
    if all(a <= b for a, b in itertools.pairwise(ends)):
        return parts_of(x, ends, axis)
    # In another order the parts overlap, as NumPy's do.
    return [x[along(axis, slice(a, b))] for a, b in itertools.pairwise((0, *places, n))]


def parts_of(x: Any, ends: Sequence[int], axis: int) -> list[Any]:
    return list(_split(x, tuple(ends), axis))


def _whole(value: Any) -> int | None:
    """The whole number that a value is; None for a sequence."""
    try:
        return python.index(value)
    except TypeError:
        return None


def hsplit(x: Any, indices_or_sections: Any) -> Any:
    """`split` along the second axis (of one axis: the first)."""
    x = as_tensor_or_array(x)
    return split(_with_axes("hsplit", x, 1), indices_or_sections, min(1, len(x.shape) - 1))


def vsplit(x: Any, indices_or_sections: Any) -> Any:
    """`split` along the first axis, of two or more."""
    return split(_with_axes("vsplit", as_tensor_or_array(x), 2), indices_or_sections, 0)


def dsplit(x: Any, indices_or_sections: Any) -> Any:
    """`split` along the third axis."""
    return split(_with_axes("dsplit", as_tensor_or_array(x), 3), indices_or_sections, 2)


def _with_axes(name: str, x: Any, least: int) -> Any:
    if len(x.shape) < least:
        raise ValueError(f"{name} needs an array with {least} axes or more, got shape {x.shape}")
    return x


def chunk(x: Any, chunks: int, axis: int = 0) -> Any:
    """An axis cut into `chunks` parts of one length, the last shorter, as PyTorch; maybe fewer."""
    x = as_tensor_or_array(x)
    axis = axis_index(axis, x, "chunk")
    if _whole(chunks) is None:
        raise TypeError(errors.not_whole("chunk", "chunks", chunks))
    if chunks < 1:
        raise ValueError(f"chunk: there must be a chunk at least, got chunks={chunks}")
    length = max(1, -(-x.shape[axis] // chunks))
    return tuple(parts_of(x, range(length, x.shape[axis], length), axis))


def unstack(x: Any, axis: int = 0) -> tuple[Any, ...]:
    """The arrays along an axis, each without it: (2, N) -> (N,), (N,).

    >>> import gradnerve as gn
    >>> a, b = gn.unstack(gn.Tensor([[1.0, 2.0], [3.0, 4.0]]))
    >>> b
    Tensor([3., 4.], dtype=float64)
    """
    x = as_tensor_or_array(x)
    return _unstack(x, axis_index(axis, x, "unstack"))


# --- Helpers --------------------------------------------------------------------------------------


def as_tensor_or_array(x: Any, like: Any = None) -> Any:
    """Tensors and arrays as they are; numbers and lists as an array, lists of Tensors stacked.

    That array is of the library of `like`.
    """
    if isinstance(x, Tensor) or type(x) in libraries:
        return x
    if holds_tensor(x):
        like = first_tensor(x)
        return stack([as_tensor_or_array(part, like) for part in x])
    try:
        array = as_array(x, like)
    except ValueError:  # lists of different lengths
        raise ValueError(errors.not_an_array(x)) from None
    if array is not x and not kind_of(array):
        raise TypeError(errors.not_an_array(x))
    return array


def plain(x: Any) -> Any:
    """The array of a Tensor, a list or an array."""
    return x._data if isinstance(x, Tensor) else as_array(x)


def holds_tensor(x: Any) -> bool:
    """Whether x is a Tensor, or a list (of lists ...) with one in it."""
    return isinstance(x, Tensor) or (isinstance(x, (list, tuple)) and any(map(holds_tensor, x)))


def axis_index(axis: Any, x: Any, name: str = "") -> int:
    """The axis counted from 0; AxisError where x has no such axis, TypeError for no number."""
    if axis is None or isinstance(axis, (tuple, list)):
        raise TypeError(f"{name}: {errors.wrong_axes((axis,), len(x.shape))}")
    return axes_of(axis, x.shape, name)[0]


def first_tensor(x: Any) -> Any:
    """The first Tensor in a list (of lists ...); None if there is none."""
    if isinstance(x, (list, tuple)):
        return next((t for part in x if (t := first_tensor(part)) is not None), None)
    return x if isinstance(x, Tensor) else None


def arrays_of(*values: Any) -> list[Any]:
    """Each value as a Tensor or an array, lists and numbers in the library of the first array."""
    first = next((v for v in values if hasattr(v, "shape")), None)
    like = first_tensor(values) if first is None else first
    return [as_tensor_or_array(v, like) for v in values]


def along(axis: int, part: Any) -> tuple[Any, ...]:
    """The key that takes `part` of one axis."""
    return (*(slice(None),) * axis, part)


def axes_of(axis: Any, shape: Sequence[int], name: str = "") -> tuple[int, ...]:
    """The axes that `axis` means (a number, several, or None: all), counted from 0.

    AxisError where there is no such axis, ValueError where one is named twice, TypeError for what
    is no whole number.
    """
    ndim = len(shape)
    if axis is None:
        return tuple(range(ndim))
    if isinstance(axis, int) and -ndim <= axis < ndim:  # most often
        return (axis % ndim,)
    several = axis if isinstance(axis, (tuple, list)) else (axis,)
    if (wrong := errors.wrong_axes(several, ndim)) is not None:
        raise type(wrong)(f"{name}: {wrong}; its shape is {tuple(shape)}" if name else str(wrong))
    return tuple(python.index(a) % ndim for a in several)


# --- Joining --------------------------------------------------------------------------------------


def stack(arrays: Sequence[Any], axis: int = 0) -> Any:
    """Arrays of one shape joined along a new axis: [(N,), (N,)] -> (2, N).

    Raises ValueError where the shapes differ.

    >>> import gradnerve as gn
    >>> gn.stack([gn.Tensor([1.0, 2.0]), gn.Tensor([3.0, 4.0])]).shape
    (2, 2)
    """
    check_arrays("stack", arrays, axis)
    arrays = arrays_of(*arrays)
    if len({x.shape for x in arrays}) > 1:
        i, x = next((i, x) for i, x in enumerate(arrays) if x.shape != arrays[0].shape)
        raise ValueError(
            f"stack: all arrays must have one shape, but array 0 has {arrays[0].shape} and array "
            f"{i} has {x.shape}; concat joins along an axis that is there, and may differ"
        )
    return concat([expand_dims(x, axis) for x in arrays], axis)


def atleast_1d(*arrays: Any) -> Any:
    """Each array with an axis at least: () -> (1,). Several: a tuple of them."""
    return _each(arrays, lambda x: x if x.shape else reshape(x, (1,)))


def atleast_2d(*arrays: Any) -> Any:
    """Each array with two axes at least: (N,) -> (1, N). Several: a tuple of them."""
    return _each(arrays, lambda x: reshape(x, (1, 1, *x.shape)[-2:]) if len(x.shape) < 2 else x)


def atleast_3d(*arrays: Any) -> Any:
    """Each array with three axes at least: (N,) -> (1, N, 1), (M, N) -> (M, N, 1)."""
    return _each(arrays, lambda x: expand_dims(atleast_2d(x), 2) if len(x.shape) < 3 else x)


def _each(arrays: Sequence[Any], f: Callable[[Any], Any]) -> Any:
    results = tuple(map(f, arrays_of(*arrays)))
    return results[0] if len(results) == 1 else results


def hstack(arrays: Sequence[Any]) -> Any:
    """Arrays joined along the second axis (of one axis: the first)."""
    arrays = [atleast_1d(x) for x in arrays]
    return concat(arrays, 0 if arrays and len(arrays[0].shape) == 1 else 1)


def vstack(arrays: Sequence[Any]) -> Any:
    """Arrays joined along the first axis, after (N,) has become a row (1, N)."""
    return concat([atleast_2d(x) for x in arrays], 0)


def dstack(arrays: Sequence[Any]) -> Any:
    """Arrays joined along the third axis, after `atleast_3d`."""
    return concat([atleast_3d(x) for x in arrays], 2)


def column_stack(arrays: Sequence[Any]) -> Any:
    """Vectors (N,) as the columns of a matrix; matrices joined along the second axis."""

    def column(x: Any) -> Any:
        x = as_tensor_or_array(x)
        return x if len(x.shape) > 1 else reshape(x, (-1, 1))

    return concat([column(x) for x in arrays], 1)


def block(arrays: Any) -> Any:
    """An array put together of blocks: nested lists, the innermost joined along the last axis.

    Raises ValueError where the lists are not nested equally deep, or one is empty.

    >>> import gradnerve as gn
    >>> a = gn.Tensor([[1.0]])
    >>> gn.block([[a, [[2.0, 3.0]]], [[[4.0]], gn.Tensor([[5.0, 6.0]])]]).tolist()
    Traceback (most recent call last):
    ...
    ValueError: block: the lists are nested 2 deep in one place and 4 in another
    >>> gn.block([[a, 2.0 * a], [3.0 * a, 4.0 * a]]).tolist()
    [[1.0, 2.0], [3.0, 4.0]]
    """
    depths = set(_depths(arrays))
    if len(depths) > 1:
        low, high = sorted(depths)[:2]
        raise ValueError(
            f"block: the lists are nested {low} deep in one place and {high} in another"
        )
    depth = depths.pop()
    ndim = max([depth, *(len(x.shape) for x in _leaves(arrays))])

    def joined(part: Any, level: int) -> Any:
        if level == 0:
            x = as_tensor_or_array(part)
            return reshape(x, (1,) * (ndim - len(x.shape)) + tuple(x.shape))
        return concat([joined(p, level - 1) for p in part], -level)

    return joined(arrays, depth)


def _depths(part: Any) -> Iterator[int]:
    if not isinstance(part, list):
        yield 0
    elif not part:
        raise ValueError("block: an empty list is no block")
    else:
        yield from (1 + depth for p in part for depth in _depths(p))


def _leaves(part: Any) -> Iterator[Any]:
    if isinstance(part, list):
        for p in part:
            yield from _leaves(p)
    else:
        yield as_tensor_or_array(part)


# --- Broadcasting and repeating -------------------------------------------------------------------


def broadcast_shapes(*shapes: Any) -> tuple[int, ...]:
    """The shape that arrays of these shapes have together.

    Raises ValueError where they do not fit.

    >>> broadcast_shapes((2, 1), (3,), ())
    (2, 3)
    """
    together: tuple[int, ...] = ()
    for shape in shapes:
        shape = (shape,) if isinstance(shape, int) else tuple(shape)
        fits = errors.broadcast_shape(together, shape)
        if fits is None:
            raise ValueError(
                f"shapes {', '.join(map(str, shapes))} do not fit: {shape} with {together}, the "
                "shape of those before it. Axes are compared from the last; they are equal, or 1."
            )
        together = fits
    return together


def broadcast_arrays(*arrays: Any) -> list[Any]:
    """The arrays, each broadcast to the shape that they have together."""
    arrays = tuple(arrays_of(*arrays))
    shape = broadcast_shapes(*(x.shape for x in arrays))
    return [broadcast_to(x, shape) for x in arrays]


def meshgrid(*arrays: Any, indexing: str = "xy") -> list[Any]:
    """The coordinates of a grid, of vectors of those along each axis: (M,), (N,) -> 2 of (N, M).

    With `indexing="ij"` (M, N), in the order of the vectors; the default swaps the first two.

    Raises ValueError for an array that is no vector, or another `indexing`.

    >>> import gradnerve as gn
    >>> x, y = gn.meshgrid(gn.Tensor([1.0, 2.0]), gn.Tensor([3.0, 4.0]))
    >>> x.tolist(), y.tolist()
    ([[1.0, 2.0], [1.0, 2.0]], [[3.0, 3.0], [4.0, 4.0]])
    """
    if indexing not in ("xy", "ij"):
        raise ValueError(f"meshgrid: indexing is 'xy' or 'ij', not {indexing!r}")
    vectors = arrays_of(*arrays)
    for i, x in enumerate(vectors):
        if len(x.shape) > 1:
            raise ValueError(f"meshgrid takes vectors, but array {i} has shape {x.shape}")
    places = list(range(len(vectors)))
    if indexing == "xy" and len(places) > 1:
        places[:2] = [1, 0]
    aligned = [
        reshape(x, tuple(-1 if p == place else 1 for p in range(len(places))))
        for x, place in zip(vectors, places, strict=True)
    ]
    return broadcast_arrays(*aligned)


def repeat(x: Any, repeats: Any, axis: int | None = None) -> Any:
    """Each element `repeats` times (a number, or one for each), along an axis (None: flattened).

    Raises ValueError for negative repeats, or another number of them than there are elements.

    >>> import gradnerve as gn
    >>> gn.repeat(gn.Tensor([1.0, 2.0]), [2, 1]).tolist()
    [1.0, 1.0, 2.0]
    """
    x = as_tensor_or_array(x)
    if axis is None:
        x, axis = reshape(x, (-1,)), 0
    axis = axis_index(axis, x, "repeat")
    n = x.shape[axis]
    counts = np.asarray(plain(repeats))
    if not counts.size:
        counts = counts.astype(np.int64)  # an empty list says nothing of a type
    if counts.dtype.kind not in "iu":
        raise TypeError(f"repeat: repeats are whole numbers, got {counts.dtype}")
    if counts.size == 1 and counts.ndim < 2:
        times = int(counts.reshape(()))
        if times < 0:
            raise ValueError(f"repeat: repeats may not be negative, got {times}")
        before, after = x.shape[:axis], x.shape[axis + 1 :]
        spread = broadcast_to(expand_dims(x, axis + 1), (*before, n, times, *after))
        return reshape(spread, (*before, n * times, *after))
    if counts.shape != (n,) or (counts < 0).any():
        raise ValueError(
            f"repeat: axis {axis} of shape {x.shape} needs one number, or {n} that are not "
            f"negative; got repeats of shape {counts.shape}"
        )
    return _repeat(x, counts, axis)


def tile(x: Any, repetitions: Any) -> Any:
    """The array side by side with itself, so many times along each axis, counted from the last.

    >>> import gradnerve as gn
    >>> gn.tile(gn.Tensor([1.0, 2.0]), (2, 2)).tolist()
    [[1.0, 2.0, 1.0, 2.0], [1.0, 2.0, 1.0, 2.0]]
    """
    x = as_tensor_or_array(x)
    times = np.atleast_1d(np.asarray(repetitions, dtype=object)).tolist()
    if wrong := [t for t in times if _whole(t) is None]:
        raise TypeError(errors.not_whole("tile", "a number of repetitions", wrong[0]))
    if any(t < 0 for t in times):
        raise ValueError(f"tile: repetitions may not be negative, got {tuple(times)}")
    ndim = max(len(times), len(x.shape))
    times = [1] * (ndim - len(times)) + times
    shape = (1,) * (ndim - len(x.shape)) + tuple(x.shape)
    once = reshape(x, tuple(itertools.chain(*((1, n) for n in shape))))
    spread = broadcast_to(once, tuple(itertools.chain(*zip(times, shape, strict=True))))
    return reshape(spread, tuple(t * n for t, n in zip(times, shape, strict=True)))


# --- Order ----------------------------------------------------------------------------------------


def moveaxis(x: Any, source: Any, destination: Any) -> Any:
    """Some axes (a number, or several) moved to other places; the others keep their order.

    >>> import gradnerve as gn
    >>> gn.moveaxis(gn.Tensor([[[1.0, 2.0]]]), -1, 0).shape
    (2, 1, 1)
    """
    x = as_tensor_or_array(x)
    sources, places = (axes_of(axes, x.shape, "moveaxis") for axes in (source, destination))
    if len(sources) != len(places):
        raise ValueError(
            f"moveaxis: {len(sources)} axes are to move, but there are {len(places)} destinations"
        )
    order = [a for a in range(len(x.shape)) if a not in sources]
    for place, axis in sorted(zip(places, sources, strict=True)):
        order.insert(place, axis)
    return permute_dims(x, tuple(order))


def swapaxes(x: Any, axis1: int, axis2: int) -> Any:
    """Two axes in each other's place."""
    x = as_tensor_or_array(x)
    a, b = axis_index(axis1, x, "swapaxes"), axis_index(axis2, x, "swapaxes")
    order = list(range(len(x.shape)))
    order[a], order[b] = b, a
    return permute_dims(x, tuple(order))


def ravel(x: Any) -> Any:
    """The elements along one axis."""
    return reshape(as_tensor_or_array(x), (-1,))


def flatten(x: Any, start_dim: int = 0, end_dim: int = -1) -> Any:
    """The axes from `start_dim` up to and with `end_dim` made one, as PyTorch; () gives (1,)."""
    x = as_tensor_or_array(x)
    if not x.shape:
        return reshape(x, (1,))
    start, end = axis_index(start_dim, x, "flatten"), axis_index(end_dim, x, "flatten")
    if start > end:
        raise ValueError(f"flatten: start_dim {start_dim} comes after end_dim {end_dim}")
    merged = math.prod(x.shape[start : end + 1])
    return reshape(x, (*x.shape[:start], merged, *x.shape[end + 1 :]))


def fliplr(x: Any) -> Any:
    """The columns in reverse order (axis 1)."""
    return flip(_with_axes("fliplr", as_tensor_or_array(x), 2), 1)


def flipud(x: Any) -> Any:
    """The rows in reverse order (axis 0)."""
    return flip(_with_axes("flipud", as_tensor_or_array(x), 1), 0)


def rot90(x: Any, k: int = 1, axes: Sequence[int] = (0, 1)) -> Any:
    """The plane of two axes turned k times by 90°, from the first axis towards the second."""
    x = as_tensor_or_array(x)
    if len(axes) != 2:
        raise ValueError(f"rot90: axes are the two of a plane, not {axes}")
    a, b = axes_of(axes, x.shape, "rot90")
    if k % 4 == 0:
        return x
    if k % 4 == 2:
        return flip(x, (a, b))
    return swapaxes(flip(x, b), a, b) if k % 4 == 1 else flip(swapaxes(x, a, b), b)


# --- Inserting, deleting, choosing ----------------------------------------------------------------


def append(x: Any, values: Any, axis: int | None = None) -> Any:
    """x with values joined to its end (None: both flattened first)."""
    x = as_tensor_or_array(x)
    return concat([x, as_tensor_or_array(values, x)], axis)


def insert(x: Any, index: Any, values: Any, axis: int | None = None) -> Any:
    """x with values before the places `index`: a whole number, a slice, or several, as NumPy.

    >>> import gradnerve as gn
    >>> gn.insert(gn.Tensor([1.0, 2.0, 3.0]), [0, 2], [8.0, 9.0]).tolist()
    [8.0, 1.0, 2.0, 9.0, 3.0]
    """
    x = as_tensor_or_array(x)
    values = as_tensor_or_array(values, x)
    if axis is None:
        x, axis = reshape(x, (-1,)), 0
    axis = axis_index(axis, x, "insert")
    n = x.shape[axis]
    if not isinstance(index, slice):
        index = np.asarray(plain(index))
        if index.dtype.kind == "f" and not index.size:
            index = index.astype(int)
    values = reshape(values, (1,) * (len(x.shape) - len(values.shape)) + tuple(values.shape))
    if not isinstance(index, slice) and index.ndim == 0:
        index = int(index)
        values = moveaxis(values, 0, axis)
        count = values.shape[axis]
    else:
        count = len(range(*index.indices(n))) if isinstance(index, slice) else _marked(index)
    values = broadcast_to(values, (*x.shape[:axis], count, *x.shape[axis + 1 :]))
    try:  # where each element of the result is in x and the values, joined
        order = np.insert(np.arange(n), index, n + np.arange(count))
    except IndexError as error:
        raise IndexError(f"insert: shape {x.shape}, axis {axis}: {error}") from None
    dtype_kept = astype(values, x.dtype, copy=False)
    return operators.getitem(concat([x, dtype_kept], axis), along(axis, order))


def _marked(index: np.ndarray) -> int:
    return int(index.sum()) if index.dtype == bool else index.size


def delete(x: Any, index: Any, axis: int | None = None) -> Any:
    """x without the places `index`: a whole number, a slice, several, or a mask."""
    x = as_tensor_or_array(x)
    if axis is None:
        x, axis = reshape(x, (-1,)), 0
    axis = axis_index(axis, x, "delete")
    if isinstance(index, Tensor):
        index = index.numpy()
    try:
        kept = np.delete(np.arange(x.shape[axis]), index)
    except (IndexError, ValueError) as error:
        raise type(error)(f"delete: shape {x.shape}, axis {axis}: {error}") from None
    # Runs of neighbours are slices, whose gradient is quicker than that of single places.
    runs = np.split(kept, np.flatnonzero(np.diff(kept) != 1) + 1)
    if len(runs) > 4:
        return operators.getitem(x, along(axis, kept))
    slices = [slice(int(run[0]), int(run[-1]) + 1) for run in runs if run.size] or [slice(0)]
    return concat([x[along(axis, run)] for run in slices], axis)


def select(conditions: Sequence[Any], choices: Sequence[Any], default: Any = 0) -> Any:
    """Each element of the first choice of which the condition holds; of none, the default.

    >>> import gradnerve as gn
    >>> x = gn.Tensor([-2.0, 0.5, 3.0])
    >>> gn.select([x < 0, x > 1], [-x, x * x], 1.0).tolist()
    [2.0, 1.0, 9.0]
    """
    if len(conditions) != len(choices) or not conditions:
        raise ValueError(
            f"select: each condition needs its choice, but there are {len(conditions)} conditions "
            f"and {len(choices)} choices"
        )
    result = default
    for condition, choice in reversed(list(zip(conditions, choices, strict=True))):
        result = where(condition, choice, result)
    return result
