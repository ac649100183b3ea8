"""PyTorch's arrays: what they lack, and what they call by another name.

Names that are not here are those of `common.py`, or of `array_api_compat.torch`. PyTorch's own
autograd has no part in anything.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional
from array_api_compat import torch as namespace

from gradnerve import errors
from gradnerve.backends import common
from gradnerve.backends import numpy as numpy_kernels

if TYPE_CHECKING:
    from gradnerve.ops.window import Window

Array = Any

on_host = common.on_host
__getattr__ = common.names_of(globals(), namespace)

# --- Values and devices ---------------------------------------------------------------------------


def dtype_of(dtype: Any) -> Any:
    """PyTorch's dtype for one of NumPy's, or its name. TypeError where there is none."""
    if dtype is None or isinstance(dtype, torch.dtype):
        return dtype
    name = np.dtype(dtype).name
    if not hasattr(torch, name):
        raise TypeError(errors.no_such_dtype("PyTorch", name))
    return getattr(torch, name)


def asarray(obj: Any, *, dtype: Any = None, device: Any = None, copy: Any = None) -> Array:
    """PyTorch's array; of a NumPy array it shares the memory, where PyTorch can address it."""
    if isinstance(obj, (np.ndarray, np.generic)):
        dtype_of(obj.dtype)
        obj = np.asarray(obj, dtype=obj.dtype.newbyteorder("="))
        if not obj.flags.writeable or any(step < 0 for step in obj.strides):
            obj = obj.copy()
    return namespace.asarray(obj, dtype=dtype_of(dtype), device=device, copy=copy)


def placed(array: Any, device: Any) -> Array:
    """An array of NumPy or PyTorch on a device (None: where it is)."""
    return asarray(array, device=device)


def from_dlpack(array: Any) -> Array:
    """A copy, on the same device, of another library's array, which may not bear to be written."""
    return torch.from_dlpack(array).clone()


def to_numpy(array: Array) -> np.ndarray:
    """The array in NumPy; on the CPU without a copy."""
    return array.detach().cpu().resolve_conj().resolve_neg().numpy()


def device_of(array: Array) -> Any:
    """The array's device."""
    return array.device


def device_named(name: str) -> Any:
    """The device "cpu", "cuda", "cuda:1". ValueError where it does not exist."""
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (AssertionError, RuntimeError):
        known = ["'cpu'", *(f"'cuda:{i}'" for i in range(torch.cuda.device_count()))]
        raise ValueError(errors.no_such_device(name, "PyTorch", known)) from None
    return device


def _with_dtype(function: Any) -> Any:
    """A function of the namespace that takes NumPy's dtypes too."""

    @functools.wraps(function)
    def call(*args: Any, dtype: Any = None, **options: Any) -> Array:
        return function(*args, dtype=dtype_of(dtype), **options)

    return call


arange, empty, eye, full, linspace, ones, zeros = map(
    _with_dtype,
    (
        namespace.arange, namespace.empty, namespace.eye, namespace.full, namespace.linspace,
        namespace.ones, namespace.zeros,
    ),
)  # fmt: skip
empty_like, full_like, ones_like, zeros_like = map(
    _with_dtype, (torch.empty_like, torch.full_like, torch.ones_like, torch.zeros_like)
)
prod, sum = _with_dtype(namespace.prod), _with_dtype(namespace.sum)


def astype(x: Array, dtype: Any, *, copy: bool = True) -> Array:
    """The same values in another dtype."""
    return x.to(dtype=dtype_of(dtype), copy=copy)


def unique_all(x: Array) -> Any:
    """The different elements, and where and how often they are: by NumPy, PyTorch has it not."""
    found = np.unique_all(to_numpy(x))
    return type(found)(*(asarray(part, device=x.device) for part in found))


def isdtype(dtype: Any, kind: Any) -> bool:
    """Whether a dtype is of a kind."""
    return namespace.isdtype(dtype_of(dtype), kind)


# --- Elementwise ----------------------------------------------------------------------------------

exp2, sinc = torch.exp2, torch.sinc
complex_expm1, special = torch.expm1, functools.partial(common.special, torch.special)


def _promoted(function: Any) -> Any:
    """A function of two arrays that wants them of one dtype."""

    def call(x1: Any, x2: Any) -> Array:
        dtype = torch.result_type(x1, x2)
        device = x1.device if isinstance(x1, torch.Tensor) else x2.device
        both = (torch.as_tensor(x, dtype=dtype, device=device) for x in (x1, x2))
        return function(*both)

    return call


fmax, fmin, fmod, heaviside, logaddexp2 = map(
    _promoted, (torch.fmax, torch.fmin, torch.fmod, torch.heaviside, torch.logaddexp2)
)


def where(condition: Any, x1: Any, x2: Any) -> Array:
    """x1 where the condition holds, elsewhere x2."""
    arrays = [x for x in (condition, x1, x2) if isinstance(x, torch.Tensor)]
    if not isinstance(condition, torch.Tensor):
        condition = torch.tensor(condition, device=arrays[0].device)
    elif len(arrays) == 1:  # of two numbers PyTorch would make float32, and lose digits
        x1 = torch.as_tensor(x1, device=condition.device, dtype=_of_numbers(x1, x2))
    return namespace.where(condition, x1, x2)


def _of_numbers(*numbers: Any) -> Any:
    return dtype_of(np.result_type(*(np.asarray(x).dtype for x in numbers)))


# --- Reductions -----------------------------------------------------------------------------------


def var(x: Array, *, axis: Any = None, correction: float = 0, keepdims: bool = False) -> Array:
    """The variance; of no elements, NaN without a warning."""
    if x.numel() == 0:
        return namespace.sum(torch.abs(x), axis=axis, keepdims=keepdims) * torch.nan
    return namespace.var(x, axis=axis, correction=correction, keepdims=keepdims)


def std(x: Array, *, axis: Any = None, correction: float = 0, keepdims: bool = False) -> Array:
    """The square root of the variance."""
    return torch.sqrt(var(x, axis=axis, correction=correction, keepdims=keepdims))


def roll(x: Array, shift: Any, *, axis: Any = None) -> Array:
    """The elements moved along the axes by `shift` places; one shift can be for all of them."""
    if axis is None:
        return torch.roll(x.reshape(-1), int(np.sum(shift))).reshape(x.shape)
    shifts, axes = np.broadcast_arrays(np.atleast_1d(shift), np.atleast_1d(axis))
    return torch.roll(x, shifts.tolist(), axes.tolist())


def cbrt(x: Array) -> Array:
    """The cube root."""
    return torch.sign(x) * torch.abs(x) ** (1 / 3)


def nan_to_num(x: Array, nan: Any, posinf: Any, neginf: Any) -> Array:
    """x with numbers in place of NaN and infinities."""
    return torch.nan_to_num(x, nan, posinf, neginf)


# --- Indices --------------------------------------------------------------------------------------


def _key(x: Array, key: Any) -> tuple[Array, tuple[Any, ...]]:
    """x and a key that PyTorch takes: its slices go forwards, so x is turned around for others."""
    parts = [
        torch.as_tensor(part, device=x.device) if isinstance(part, np.ndarray) else part
        for part in common.parts_of(key)
    ]
    for i, part in enumerate(parts):
        if getattr(part, "dtype", None) == torch.uint8:  # which PyTorch would take for a mask
            parts[i] = part.to(torch.int64)
    turned = []
    for i, axis in common.axes_of_parts(parts, x.ndim):
        part = parts[i]
        if isinstance(part, slice) and part.step is not None and part.step < 0:
            n = x.shape[axis]
            steps = range(n)[part]
            start = n - 1 - steps.start if len(steps) else 0
            parts[i] = slice(start, start - steps.step * len(steps), -steps.step)
            turned.append(axis)
    return (x.flip(turned) if turned else x), tuple(parts)


def getitem(x: Array, key: Any) -> Array:
    """x[key]."""
    x, parts = _key(x, key)
    return x[parts]


def add_at(x: Array, places: Array, n: int) -> Array:
    """Zeros, n along the last axis, with the elements of x added at their places."""
    return x.new_zeros((*x.shape[:-1], n)).index_add_(-1, places, x)


def max_at(x: Array, places: Array, n: int) -> Array:
    """Zeros (n,) with the greatest element of x, (N,), that has its place there."""
    return x.new_zeros(n).scatter_reduce_(0, places, x, "amax")


def scatter_add(x: Array, key: Any, shape: tuple[int, ...]) -> Array:
    """Zeros of `shape` with x added at `key`, repeated places several times."""
    places = common.key_places(key, shape, x)
    values = x.broadcast_to(places.shape).reshape(-1)
    return add_at(values, places.reshape(-1), common.math.prod(shape)).reshape(shape)


def write(x: Array, key: Any, value: Any) -> Array:
    """x, with `value` written to x[key]."""
    value = common.value_for(x, key, value)
    common.check_shape(value, getitem(x, key).shape)
    if common.names_once(key):
        turned, parts = _key(x, key)
        if turned is x:
            x[parts] = value
            return x
    return x.copy_(common.written(x, key, value))


def pad(x: Array, margins: Any, mode: str, **options: Any) -> Array:
    """x inside margins: a pair (before, after) for each axis."""
    if mode not in ("constant", "empty"):
        return common.on_host(functools.partial(_numpy_pad, margins, mode, options), x)
    values = np.asarray(options.get("constant_values", 0))
    if values.ndim == 0 and not np.iscomplexobj(values):
        widths = [width for pair in reversed(margins) for width in pair]
        return torch.nn.functional.pad(x, widths, value=values.item())
    for axis, (widths, pair) in enumerate(
        zip(margins, np.broadcast_to(values, (x.ndim, 2)).tolist(), strict=True)
    ):
        sides = []
        for width, value in zip(widths, pair, strict=True):
            shape = (*x.shape[:axis], width, *x.shape[axis + 1 :])
            sides.append(x.new_full(shape, value))
        x = torch.cat([sides[0], x, sides[1]], axis)
    return x


def _numpy_pad(margins: Any, mode: str, options: Any, x: np.ndarray) -> np.ndarray:
    return numpy_kernels.pad(x, margins, mode, **options)


def diagonal(x: Array, offset: int, axis1: int, axis2: int) -> Array:
    """The diagonal of the plane of two axes, along a new last axis: a view."""
    return torch.diagonal(x, offset, axis1, axis2)


def einsum(x1: Array, x2: Array, subscripts: str) -> Array:
    """The sum of products "ij,jk->ik"."""
    dtype = torch.result_type(x1, x2)
    return torch.einsum(subscripts, x1.to(dtype), x2.to(dtype))


def isin(x1: Array, x2: Array, invert: bool) -> Array:
    """Whether elements of x1 are among those of x2."""
    return torch.isin(x1, x2, invert=invert)


broadcast_to, concat, permute_dims, reshape = map(
    common.fitting,
    (namespace.broadcast_to, namespace.concat, namespace.permute_dims, namespace.reshape),
)

# --- Scans ----------------------------------------------------------------------------------------


def cumsum(x: Array, axis: int | None, dtype: Any) -> Array:
    """Running sums."""
    return torch.cumsum(x.reshape(-1) if axis is None else x, axis or 0, dtype=dtype_of(dtype))


def cumprod(x: Array, axis: int | None, dtype: Any) -> Array:
    """Running products."""
    return torch.cumprod(x.reshape(-1) if axis is None else x, axis or 0, dtype=dtype_of(dtype))


def logcumsumexp(x: Array, axis: int) -> Array:
    """Running log Σ eˣ."""
    return torch.logcumsumexp(x, axis)


def cumulative_argmax(x: Array, axis: int) -> Array:
    """Where the running maximum is, the last place at a tie or of NaN."""
    return torch.cummax(x, axis).indices


def cumulative_argmin(x: Array, axis: int) -> Array:
    """Where the running minimum is, the last place at a tie or of NaN."""
    return torch.cummin(x, axis).indices


# --- Windows --------------------------------------------------------------------------------------

CONVOLUTIONS = {
    1: torch.nn.functional.conv1d, 2: torch.nn.functional.conv2d, 3: torch.nn.functional.conv3d,
}  # fmt: skip


def _by_torch(*arrays: Array) -> bool:
    """Whether PyTorch convolves these: real numbers, along up to three axes."""
    return all(x.dtype.is_floating_point and 3 <= x.ndim <= 5 for x in arrays)


def _one_dtype(*arrays: Array) -> tuple[Array, ...]:
    dtype = torch.result_type(*arrays)
    return tuple(x.to(dtype) for x in arrays)


def convolve(x: Array, weight: Array, window: Window, groups: int) -> Array:
    """(N, C, *S), (F, C/groups, *K) -> (N, F, *O)."""
    x, weight = _one_dtype(x, weight)
    if not _by_torch(x, weight):
        return common.convolve(x, weight, window, groups)
    function: Any = CONVOLUTIONS[len(window.kernel)]
    padded = common.padded(x, window)
    return function(padded, weight, None, window.stride, 0, window.dilation, groups)


def convolve_input(c: Array, weight: Array, window: Window, groups: int, shape: Any) -> Array:
    """The adjoint of `convolve` by x: (N, F, *O), (F, C/groups, *K) -> (N, C, *S) = shape."""
    c, weight = _one_dtype(c, weight)
    if not _by_torch(c, weight):
        return common.convolve_input(c, weight, window, groups, shape)
    sides = [a + n + b for n, (a, b) in zip(shape[2:], window.padding, strict=True)]
    x = c.new_empty(1).expand(*shape[:2], *sides)  # only its shape matters
    grown = _adjoints(c, x, weight, window, groups, [True, False, False])[0]
    return grown[numpy_kernels.inside(window, shape)]


def convolve_weight(c: Array, x: Array, window: Window, groups: int) -> Array:
    """The adjoint of `convolve` by the weight: (N, F, *O), (N, C, *S) -> (F, C/groups, *K)."""
    c, x = _one_dtype(c, x)
    if not _by_torch(c, x):
        return common.convolve_weight(c, x, window, groups)
    weight = c.new_empty(1).expand(c.shape[1], x.shape[1] // groups, *window.kernel)
    padded = common.padded(x, window)
    return _adjoints(c, padded, weight, window, groups, [False, True, False])[1]


def _adjoints(c: Array, x: Array, weight: Array, window: Window, groups: int, wanted: Any) -> Any:
    none = [0] * len(window.kernel)
    return torch.ops.aten.convolution_backward(
        c, x, weight, None, window.stride, none, window.dilation, False, none, groups, wanted
    )


def window_max(x: Array, window: Window) -> Array:
    """(N, C, *S) -> (N, C, *O): the greatest value in each window."""
    if not _by_torch(x):
        return common.window_max(x, window)
    pools = torch.nn.functional
    pool: Any = (pools.max_pool1d, pools.max_pool2d, pools.max_pool3d)[len(window.kernel) - 1]
    x = common.padded(x, window, common.lowest(x))
    return pool(x, window.kernel, window.stride, 0, window.dilation)


# --- Linear algebra -------------------------------------------------------------------------------

expm = torch.linalg.matrix_exp
eigvals = torch.linalg.eigvals


def eig(x: Array) -> tuple[Array, Array]:
    """Eigenvalues and eigenvectors; complex numbers."""
    return tuple(torch.linalg.eig(x))
