"""Plain NumPy functions on Tensors: `np.exp(t)`, `np.linalg.solve(a, b)`, `array * tensor`.

NumPy hands a call of one of its functions to the arguments that ask for it, through the protocols
`__array_ufunc__` (functions by element, and the operators of arrays) and `__array_function__` (most
others). A Tensor looks the function up by its name, in three lists:

- DIFFERENTIABLE: what GradNerve differentiates. The value is the name of our function, where the
  arguments mean the same in the same order, or an adapter that translates them;
- PLAIN: what has no derivative, because its result does not change with small changes of the input
  (`np.argmax`, `np.shape`, comparisons). It is computed on the data;
- RAISES: what would drop the gradient. It says so on a tensor that requires grad, and is computed
  on the data of tensors that do not, as is everything that is on no list.

So a gradient is never lost in silence, and code without gradients runs as it did.
"""

from __future__ import annotations

import functools
import inspect
import itertools
import math
from collections.abc import Callable, Iterable, Iterator
from importlib import import_module
from typing import Any

import numpy as np

from gradnerve import errors, ops
from gradnerve.backends import is_complex, is_floating
from gradnerve.graph import Cut, recording
from gradnerve.ops import linalg
from gradnerve.ops.reduce import along_axes
from gradnerve.ops.shape import as_tensor_or_array, axis_index, plain
from gradnerve.tensor import Tensor

# --- The three lists ------------------------------------------------------------------------------

# NumPy's name: ours, in `gradnerve.ops` or its modules `linalg` and `fft`. The adapters below join.
_OURS = {
    # By element
    "absolute": "abs", "add": "add", "arccos": "acos", "arccosh": "acosh", "arcsin": "asin",
    "arcsinh": "asinh", "arctan": "atan", "arctan2": "atan2", "arctanh": "atanh", "ceil": "ceil",
    "conjugate": "conj", "cos": "cos", "cosh": "cosh", "divide": "divide", "exp": "exp",
    "expm1": "expm1", "float_power": "float_power", "floor": "floor", "fix": "trunc",
    "floor_divide": "floor_divide", "fmax": "fmax", "fmin": "fmin", "fmod": "fmod",
    "hypot": "hypot", "imag": "imag", "log": "log", "log10": "log10", "log1p": "log1p",
    "log2": "log2", "logaddexp": "logaddexp", "logaddexp2": "logaddexp2", "i0": "i0",
    "matmul": "matmul", "maximum": "maximum", "minimum": "minimum", "multiply": "multiply",
    "negative": "negative", "positive": "positive", "power": "pow", "real": "real",
    "remainder": "remainder", "sign": "sign", "sin": "sin", "sinh": "sinh", "sqrt": "sqrt",
    "square": "square", "subtract": "subtract", "tan": "tan", "tanh": "tanh", "trunc": "trunc",
    "cbrt": "cbrt", "copysign": "copysign", "exp2": "exp2", "sinc": "sinc",
    "deg2rad": "deg2rad", "radians": "deg2rad", "rad2deg": "rad2deg", "degrees": "rad2deg",
    "heaviside": "heaviside", "vecdot": "vecdot",
    # SciPy's functions by element (scipy.special) come by the same protocol
    "erf": "erf", "erfc": "erfc", "erfinv": "erfinv", "expit": "sigmoid", "gammaln": "gammaln",
    "psi": "digamma", "logit": "logit", "xlogy": "xlogy", "xlog1py": "xlog1py", "entr": "entr",
    "erfcx": "erfcx", "erfcinv": "erfcinv", "ndtr": "ndtr", "ndtri": "ndtri",
    "log_ndtr": "log_ndtr", "gamma": "gamma", "betaln": "betaln", "i0e": "i0e", "i1": "i1",
    "i1e": "i1e", "iv": "iv", "ive": "ive",
    # Shape and place
    "append": "append", "array_split": "array_split", "atleast_1d": "atleast_1d",
    "atleast_2d": "atleast_2d", "atleast_3d": "atleast_3d", "block": "block",
    "broadcast_to": "broadcast_to",
    "column_stack": "column_stack", "delete": "delete", "diag": "diag", "diagflat": "diagflat",
    "diagonal": "diagonal", "dsplit": "dsplit", "dstack": "dstack", "expand_dims": "expand_dims",
    "flip": "flip", "fliplr": "fliplr", "flipud": "flipud", "hsplit": "hsplit", "hstack": "hstack",
    "insert": "insert", "matrix_transpose": "matrix_transpose", "moveaxis": "moveaxis",
    "pad": "pad", "repeat": "repeat", "roll": "roll", "rot90": "rot90", "select": "select",
    "split": "split", "stack": "stack", "swapaxes": "swapaxes",
    "take_along_axis": "take_along_axis", "tile": "tile", "tril": "tril", "triu": "triu",
    "unstack": "unstack", "vsplit": "vsplit", "vstack": "vstack",
    # Scans
    "cumsum": "cumsum", "cumprod": "cumprod", "diff": "diff", "trapezoid": "trapezoid",
    # Linear algebra
    "inner": "linalg.inner", "vdot": "linalg.vdot", "linalg.norm": "linalg.norm",
    "linalg.lstsq": "linalg.lstsq", "linalg.cond": "linalg.cond",
    "linalg.tensorinv": "linalg.tensorinv", "linalg.tensorsolve": "linalg.tensorsolve",
    "einsum": "einsum", "kron": "kron", "tensordot": "tensordot",
    "linalg.cholesky": "linalg.cholesky", "linalg.cross": "linalg.cross",
    "linalg.det": "linalg.det", "linalg.diagonal": "linalg.matrix_diagonal",
    "linalg.eig": "linalg.eig",
    "linalg.eigvals": "linalg.eigvals", "linalg.inv": "linalg.inv", "linalg.matmul": "matmul",
    "linalg.matrix_power": "linalg.matrix_power", "linalg.matrix_norm": "linalg.matrix_norm",
    "linalg.matrix_transpose": "matrix_transpose", "linalg.multi_dot": "linalg.multi_dot",
    "linalg.outer": "linalg.outer", "linalg.pinv": "linalg.pinv",
    "linalg.slogdet": "linalg.slogdet", "linalg.solve": "linalg.solve",
    "linalg.svdvals": "linalg.svdvals", "linalg.tensordot": "tensordot",
    "linalg.trace": "linalg.trace", "linalg.vecdot": "vecdot",
    "linalg.vector_norm": "linalg.vector_norm",
} | {
    f"fft.{name}": f"fft.{name}"
    for name in (
        "fft", "ifft", "rfft", "irfft", "hfft", "ihfft", "fft2", "ifft2", "rfft2", "irfft2", "fftn",
        "ifftn", "rfftn", "irfftn", "fftshift", "ifftshift",
    )
}  # fmt: skip
DIFFERENTIABLE: dict[str, str | Callable[..., Any]] = dict(_OURS)

# The result is a plain value. (Comparisons too: GradNerve's own, so that `array < tensor` is the
# same as `tensor > array`.)
PLAIN: dict[str, str | None] = {
    name: name
    for name in (
        "equal", "not_equal", "less", "less_equal", "greater", "greater_equal", "isfinite", "isinf",
        "isnan", "logical_and", "logical_not", "logical_or", "logical_xor", "bitwise_and",
        "bitwise_or", "bitwise_xor",
    )
} | dict.fromkeys(
    (
        "invert", "isnat", "signbit", "gcd", "lcm", "left_shift", "right_shift", "bitwise_count",
        "all", "any", "allclose", "array_equal", "array_equiv", "isclose", "isin", "isneginf",
        "isposinf", "isreal", "isrealobj", "iscomplex", "iscomplexobj", "argmax", "argmin",
        "argpartition", "argsort", "argwhere", "lexsort", "nanargmax", "nanargmin", "nonzero",
        "flatnonzero", "count_nonzero", "searchsorted", "digitize", "shape", "ndim", "size",
        "result_type", "can_cast", "common_type", "min_scalar_type", "shares_memory",
        "may_share_memory", "zeros_like", "ones_like", "empty_like", "array2string", "array_repr",
        "array_str", "einsum_path", "diag_indices_from", "tril_indices_from", "triu_indices_from",
        "ravel_multi_index", "unravel_index", "packbits", "unpackbits", "ix_", "is_busday",
        "busday_count", "busday_offset", "datetime_as_string", "linalg.matrix_rank",
    )
)  # fmt: skip

# What to write instead, where there is something.
_WRITES = "It would write numbers into an array, which is not part of the graph."
_STEPS = "Its result jumps as the values change, so it has no useful derivative."
_SAVES = "A file holds numbers, without the graph."
RAISES: dict[str, str] = {
    "copyto": f"{_WRITES} Write np.where(mask, source, destination).",
    "fill_diagonal": f"{_WRITES} Write np.where(np.eye(n, dtype=bool), value, a).",
    "put": f"{_WRITES} Write np.where.",
    "place": f"{_WRITES} Write np.where(mask, values, a).",
    "putmask": f"{_WRITES} Write np.where(mask, values, a).",
    "put_along_axis": f"{_WRITES} Write np.where.",
    "save": _SAVES, "savetxt": _SAVES, "savez": _SAVES, "savez_compressed": _SAVES,
    "histogram": _STEPS, "histogram2d": _STEPS, "histogramdd": _STEPS,
    "histogram_bin_edges": _STEPS, "unique": _STEPS, "unique_all": _STEPS,
    "unique_counts": _STEPS, "unique_inverse": _STEPS, "unique_values": _STEPS,
    "union1d": _STEPS, "intersect1d": _STEPS, "setdiff1d": _STEPS, "setxor1d": _STEPS,
    "nextafter": _STEPS, "spacing": _STEPS, "frexp": _STEPS,
    "sort_complex": "Complex numbers have no order that a derivative could respect.",
    "polydiv": "Write the steps of the division, by np.polymul and np.polysub.",
    "trim_zeros": "Write a slice.", "real_if_close": "Write np.real.",
}  # fmt: skip


# --- The two protocols ----------------------------------------------------------------------------

# By NumPy's function: what computes it on Tensors, and the names of the arguments that it takes.
_known: dict[Any, tuple[Callable[..., Any], tuple[str, ...]]] = {}
_ufuncs: dict[Any, Callable[..., Any]] = {}  # the same for calls of functions by element


def array_ufunc(self: Any, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
    """`Tensor.__array_ufunc__`: NumPy's functions by element, their methods, arrays' operators."""
    call: Any = _ufuncs.get(ufunc)
    if call is not None and method == "__call__" and not options:
        try:
            return call(*inputs)  # the ordinary case, in the shortest way
        except Declined as declined:
            return _on_data(ufunc, ufunc.__name__, False, declined.option)(*inputs)
    if not _ours((*inputs, *options.get("out", ()))):
        return NotImplemented
    name = ufunc.__name__
    if method == "__call__":
        call, accepted = _known.get(ufunc) or _look_up(ufunc, name)
        if accepted:
            _ufuncs[ufunc] = call
        if name in DIFFERENTIABLE and _goes_into_a_tensor(inputs, options):
            return _write(call, inputs, **options)
    else:
        call, accepted = _method(ufunc, name, method)
    return _called(ufunc, name, method, call, accepted, inputs, options)


def array_function(self: Any, function: Any, types: Any, args: Any, options: Any) -> Any:
    """`Tensor.__array_function__`: all other functions of NumPy's that take arrays."""
    for kind in types:
        if not issubclass(kind, (Tensor, np.ndarray)):
            return NotImplemented
    if not _is_recorded((args, options)) and _is_numpys((args, options)):
        return _on_data(function, _name(function), _name(function) in PLAIN)(*args, **options)
    call, accepted = _known.get(function) or _look_up(function, _name(function))
    if not options:
        try:
            return call(*args)
        except Declined as declined:
            return _on_data(function, _name(function), False, declined.option)(*args)
    return _called(function, _name(function), "__call__", call, accepted, args, options)


Tensor.__array_ufunc__ = array_ufunc  # type: ignore[attr-defined]
Tensor.__array_function__ = array_function  # type: ignore[attr-defined]


def _name(function: Any) -> str:
    """`linalg.svd` for np.linalg.svd."""
    module = getattr(function, "__module__", None) or "numpy"
    return f"{module}.{function.__name__}".removeprefix("numpy.")


def _ours(inputs: Iterable[Any]) -> bool:
    """Whether no argument is of a class with a protocol of its own."""
    for x in inputs:
        kind = type(x)
        protocol = getattr(kind, "__array_ufunc__", None)
        if protocol not in (None, np.ndarray.__array_ufunc__, array_ufunc):
            return issubclass(kind, np.ndarray)
    return True


def _look_up(function: Any, name: str) -> tuple[Callable[..., Any], tuple[str, ...]]:
    """What computes a function of NumPy's, and the arguments that it takes; remembered."""
    ours = DIFFERENTIABLE.get(name) or PLAIN.get(name)
    if ours is None:
        _known[function] = _on_data(function, name, name in PLAIN), ()
    else:
        call = find(ours) if isinstance(ours, str) else ours
        _known[function] = call, _parameters(call)
    return _known[function]


def _method(ufunc: Any, name: str, method: str) -> tuple[Callable[..., Any], tuple[str, ...]]:
    """What computes `np.add.reduce` and its like."""
    ours = METHODS.get(f"{name}.{method}")
    if ours is not None:
        reduce: Any = DIFFERENTIABLE[ours]
        reduce = find(reduce) if isinstance(reduce, str) else reduce
        return functools.partial(_along_first, reduce), _parameters(reduce)
    if method == "outer" and (name in DIFFERENTIABLE or PLAIN.get(name)):
        return functools.partial(_outer, _look_up(ufunc, name)[0]), ()
    if method in FOLDS and name in DIFFERENTIABLE:
        fold = FOLDS[method]
        return functools.partial(fold, _look_up(ufunc, name)[0]), _parameters(fold)
    return _on_data(getattr(ufunc, method), f"{name}.{method}", name in PLAIN), ()


# Their axis is the first where none is given; that of np.sum is all of them.
METHODS = {
    "add.reduce": "sum", "multiply.reduce": "prod", "maximum.reduce": "amax",
    "minimum.reduce": "amin", "add.accumulate": "cumsum", "multiply.accumulate": "cumprod",
}  # fmt: skip


def _along_first(reduce: Any, array: Any, axis: Any = 0, *args: Any, **options: Any) -> Any:
    return reduce(array, axis, *args, **options)


def _outer(f: Any, a: Any, b: Any) -> Any:
    a, b = as_tensor_or_array(a), as_tensor_or_array(b)
    return f(ops.reshape(a, (*a.shape, *(1 for _ in b.shape))), b)


def _folded(f: Any, array: Any, axis: Any = 0, keepdims: bool = False) -> Any:
    y = functools.reduce(f, _slices(array, axis))
    return ops.expand_dims(y, axis) if keepdims else y


def _accumulated(f: Any, array: Any, axis: Any = 0) -> Any:
    return ops.stack(list(itertools.accumulate(_slices(array, axis), f)), axis)


def _folded_at(f: Any, array: Any, indices: Any, axis: Any = 0) -> Any:
    starts, slices = np.asarray(_data(indices)), _slices(array, axis)
    if starts.ndim != 1 or not ((starts >= 0) & (starts < len(slices))).all():
        raise IndexError(f"reduceat: indices are one list of places from 0 to {len(slices) - 1}")
    pairs = zip(starts, [*starts[1:], len(slices)], strict=True)
    return ops.stack([functools.reduce(f, slices[i:j] or [slices[i]]) for i, j in pairs], axis)


def _slices(array: Any, axis: Any) -> list[Any]:
    if not isinstance(axis, int):
        raise Declined("axis")
    if not array.shape[axis_index(axis, array, "a ufunc's method")]:
        raise Declined("axis")
    return list(ops.unstack(array, axis=axis))


# What the methods of a function of two numbers do with it; its own rule does the rest.
FOLDS: dict[str, Callable[..., Any]] = {
    "reduce": _folded,
    "accumulate": _accumulated,
    "reduceat": _folded_at,
}


def _goes_into_a_tensor(inputs: Any, options: dict[str, Any]) -> bool:
    """Whether a result of the graph is to be written into a Tensor, and nothing else is wished."""
    out = options.get("out", ())
    if len(out) != 1 or not isinstance(out[0], Tensor) or not _is_recorded((inputs, out)):
        return False
    return all(o in ("out", "where") or _is_usual(o, v) for o, v in options.items())


def _write(call: Any, inputs: Any, out: Any, where: Any = True, **usual: Any) -> Tensor:
    """Write into the Tensor `out`, where the condition holds: recorded, as any write is."""
    (out,) = out
    if where is True:
        out[...] = call(*inputs)
        return out
    # Computed there alone: an infinity elsewhere (as of x / 0) has no part in the gradient.
    places = np.broadcast_to(_data(where), out.shape)
    inputs = [x if np.ndim(_data(x)) == 0 else as_tensor_or_array(x) for x in inputs]
    out[places] = call(
        *(ops.broadcast_to(x, out.shape)[places] if np.ndim(_data(x)) else x for x in inputs)
    )
    return out


def find(name: str) -> Callable[..., Any]:
    """Our function of this name: "exp", "linalg.svd"."""
    *module, name = name.split(".")
    return getattr(import_module(".".join(["gradnerve.ops", *module])), name)


def _called(
    function: Any, name: str, method: str, call: Any, accepted: Any, args: Any, options: Any
) -> Any:
    """Call what computes a function, leaving out the options that have NumPy's usual values."""
    rest = {option: v for option, v in options.items() if not _is_usual(option, v)}
    if not set(rest).issubset(accepted) and method == "__call__":
        ours = dict(zip(_parameters(function), accepted, strict=False))
        rest = {o if o in accepted else ours.get(o, o): v for o, v in rest.items()}  # m= of np.flip
    unknown = [o for o in rest if o not in accepted and name in DIFFERENTIABLE]
    if "out" not in rest and ("**" in accepted or set(rest).issubset(accepted)):
        try:
            return call(*args, **rest)
        except Declined as declined:
            unknown = [declined.option]
    original = function if method == "__call__" else getattr(function, method)
    shown = name if method == "__call__" else f"{name}.{method}"
    return _on_data(original, shown, name in PLAIN, *unknown[:1])(*args, **options)


def _parameters(function: Any) -> tuple[str, ...]:
    """The names of a function's parameters, in order; `**` where it takes any."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except ValueError:  # some of those written in C do not say
        return ()
    return tuple("**" if p.kind is p.VAR_KEYWORD else p.name for p in parameters)


def _is_usual(option: str, value: Any) -> bool:
    """Whether an option says what NumPy would do without it."""
    if option == "out":
        return value is None or (type(value) is tuple and all(v is None for v in value))
    if value is np._NoValue or (value is None and option in ("dtype", "like", "signature")):
        return True
    usual = {"where": True, "subok": True, "casting": "same_kind"}
    return option in usual and type(value) is type(usual[option]) and value == usual[option]


# --- On the data, where no gradient is lost -------------------------------------------------------


def _on_data(
    function: Callable[..., Any], name: str, plain: bool, option: str = ""
) -> Callable[..., Any]:
    """The function as NumPy has it, on the data of Tensors. Its arrays are Tensors again."""

    def call(*args: Any, **options: Any) -> Any:
        tensors = list(_tensors((args, options)))
        attached = [t for t in tensors if t._requires_grad]
        if attached and recording.get() and (not plain or _written(options)):
            raise TypeError(_refusal(name, option, options))
        result = function(*_data(args), **_data(options))
        out = options.get("out")
        if out is not None and type(out) is not tuple:
            return out
        if out is not None:
            return out[0] if len(out) == 1 else out
        cut = next((t._record for t in tensors if type(t._record) is Cut), None)
        if attached:
            by = f"np.{name}(), which has no derivative" if plain else "no_grad()"
            cut = Cut(by, errors.user_line())
        return _wrapped(result, cut)

    return call


def _is_recorded(arguments: Any) -> bool:
    """Whether there is a gradient to lose."""
    return recording.get() and any(t._requires_grad for t in _tensors(arguments))


def _is_numpys(arguments: Any) -> bool:
    """Whether NumPy itself can compute on the data."""
    return all(isinstance(t._data, np.ndarray) for t in _tensors(arguments))


def _written(options: dict[str, Any]) -> bool:
    """Whether a Tensor that requires grad is to be written to."""
    return any(t._requires_grad for t in _tensors(options.get("out")))


def _refusal(name: str, option: str, options: dict[str, Any]) -> str:
    detach = "If no gradient is wanted, pass tensor.detach(), or write `with gn.no_grad():`."
    if option == "out" or not _is_usual("out", options.get("out")):
        return (
            f"np.{name}(..., out=...): a value that is part of the graph cannot be written into an "
            f"array or a tensor. Leave out `out` (for `a += b`, write a = a + b). {detach}"
        )
    if option == "where" and "." not in name:
        return (
            f"np.{name}(..., where=...) leaves places without a value, so it is not differentiated;"
            f" give them one, in a Tensor: out=np.zeros_like(tensor). {detach}"
        )
    if option:
        return f"np.{name}(..., {option}=...) is not differentiated with this option. {detach}"
    reason = f"{_WRITES} Write gn.index_add." if name == "add.at" else RAISES.get(name, "")
    return (
        f"np.{name} is not differentiated, and its argument requires grad."
        f"{' ' * bool(reason)}{reason} {detach}"
    )


def _tensors(value: Any) -> Iterator[Tensor]:
    """The Tensors in arguments, which may be lists."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, (list, tuple)):
        for part in value:
            yield from _tensors(part)
    elif isinstance(value, dict):
        yield from _tensors(list(value.values()))


def _data(value: Any) -> Any:
    """Arguments with arrays in place of Tensors."""
    if isinstance(value, Tensor):
        return value._data
    if isinstance(value, dict):
        return {key: _data(part) for key, part in value.items()}
    if type(value) in (list, tuple):
        return type(value)(map(_data, value))
    return value


def _wrapped(value: Any, cut: Cut | None) -> Any:
    """A result with Tensors in place of arrays and NumPy's numbers."""
    if isinstance(value, (np.ndarray, np.generic)) and value.dtype.kind in "biufc":
        tensor = Tensor(value)
        tensor._record = cut
        return tensor
    if isinstance(value, (list, tuple)):
        parts = [_wrapped(part, cut) for part in value]
        if hasattr(value, "_fields"):
            return type(value)(*parts)
        return type(value)(parts)
    return value


# --- Adapters: NumPy's arguments, in GradNerve's words --------------------------------------------


def adapter(*names: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Enter a function in the list DIFFERENTIABLE, under NumPy's names for it."""

    def enter(f: Callable[..., Any]) -> Callable[..., Any]:
        for name in names:
            assert name not in DIFFERENTIABLE and name not in PLAIN and name not in RAISES, name
            DIFFERENTIABLE[name] = f
        return f

    return enter


class Declined(Exception):
    """An adapter does not differentiate an option. Without a gradient NumPy computes it."""

    def __init__(self, option: str):
        super().__init__(option)
        self.option = option


def _no_out(out: Any) -> None:
    """`out` by position; by name it does not get here."""
    if out is not None:
        raise Declined("out")


def _in(dtype: Any, x: Any) -> Any:
    return x if dtype is None else ops.astype(as_tensor_or_array(x), dtype)


# --- By element -----------------------------------------------------------------------------------


def _floating(x: Any) -> Any:
    """x, if it is of floating point. Of whole numbers NumPy makes other numbers than we do."""
    if not is_floating(as_tensor_or_array(x)):
        raise Declined("")
    return x


@adapter("fabs")
def _(x):
    return ops.abs(_floating(x))


@adapter("rint")
def _(x):
    return ops.round(_floating(x))


@adapter("reciprocal")
def _(x):
    return ops.reciprocal(_floating(x))


@adapter("divmod")
def _(x1, x2):
    return ops.floor_divide(x1, x2), ops.remainder(x1, x2)


@adapter("modf")
def _(x):
    finite = ops.where(ops.isinf(_floating(x)), 0.0, x)
    return finite - ops.trunc(finite), ops.trunc(x)


@adapter("ldexp")
def _(x1, x2):
    half = as_tensor_or_array(x2) // 2  # in two steps: 2 ** x2 alone may be too large
    dtype = as_tensor_or_array(_floating(x1)).dtype
    return x1 * _in(dtype, 2.0**half) * _in(dtype, 2.0 ** (x2 - half))


@adapter("matvec")
def _(x1, x2):
    return ops.matmul(x1, ops.expand_dims(as_tensor_or_array(x2), -1))[..., 0]


@adapter("vecmat")
def _(x1, x2):
    return ops.matmul(ops.expand_dims(ops.conj(as_tensor_or_array(x1)), -2), x2)[..., 0, :]


@adapter("around", "round")
def _(a, decimals=0, out=None):
    _no_out(out)
    return ops.round(a) if decimals == 0 else ops.round(a * 10.0**decimals) / 10.0**decimals


@adapter("clip")
def _(a, a_min=None, a_max=None, out=None, *, min=None, max=None):
    _no_out(out)
    return ops.clip(a, a_min if min is None else min, a_max if max is None else max)


@adapter("nan_to_num")
def _(x, copy=True, nan=0.0, posinf=None, neginf=None):
    return ops.nan_to_num(x, nan, posinf, neginf)


@adapter("where")
def _(condition, *values):
    if not values:
        return np.nonzero(condition)
    return ops.where(condition, *values)


@adapter("angle")
def _(z, deg=False):
    angle = ops.atan2(ops.imag(z), ops.real(z))
    return angle * (180 / math.pi) if deg else angle


@adapter("astype")
def _(x, dtype, copy=True):
    return ops.astype(x, dtype)


@adapter("choose")
def _(a, choices, mode="raise"):
    index = plain(a)
    if mode != "raise" or not ((index >= 0) & (index < len(choices))).all():
        raise ValueError("np.choose: an index is out of range; bring it into [0, n) yourself")
    return ops.select([index == i for i in range(len(choices))], list(choices))


# --- Shape and place ------------------------------------------------------------------------------


@adapter("reshape")
def _(a, /, shape, order="C", copy=None):
    return _in_order(a, shape, order)


@adapter("ravel")
def _(a, order="C"):
    return _in_order(a, (-1,), order)


def _in_order(a: Any, shape: Any, order: str) -> Any:
    if order == "F":
        # Fortran's order is that of C with all axes reversed.
        shape = (shape,) if isinstance(shape, int) else tuple(shape)
        return _transposed(ops.reshape(_transposed(a), shape[::-1]))
    if order != "C":  # the others depend on how the values lie in memory
        raise Declined("order")
    return ops.reshape(a, shape)


@adapter("transpose")
def _transposed(a, axes=None):
    return ops.permute_dims(a, tuple(range(a.ndim))[::-1] if axes is None else tuple(axes))


@adapter("copy")
def _(a, order="K", subok=False):
    return ops.copy(a)


@adapter("broadcast_arrays")
def _(*args, subok=False):
    return tuple(ops.broadcast_arrays(*args))  # NumPy's is a tuple, the standard's a list


@adapter("meshgrid")
def _(*xi, copy=True, sparse=False, indexing="xy"):
    if not sparse:
        return tuple(ops.meshgrid(*xi, indexing=indexing))
    places = list(range(len(xi)))
    if indexing == "xy":
        places[:2] = places[:2][::-1]
    shapes = [tuple(-1 if j == i else 1 for j in range(len(xi))) for i in places]
    return tuple(ops.reshape(x, shape) for x, shape in zip(xi, shapes, strict=True))


@adapter("take")
def _(a, indices, axis=None, out=None, mode="raise"):
    _no_out(out)
    a, axis = (
        (ops.reshape(as_tensor_or_array(a), (-1,)), 0)
        if axis is None
        else (as_tensor_or_array(a), axis)
    )
    index = np.asarray(_data(indices))
    if mode != "raise":
        n = a.shape[axis]
        index = index % n if mode == "wrap" else np.clip(index, 0, n - 1)
    return ops.take(a, index, axis)


@adapter("squeeze")
def _(a, axis=None):
    return a.squeeze(axis)


@adapter("rollaxis")
def _(a, axis, start=0):
    axis, start = axis % a.ndim, start + a.ndim if start < 0 else start
    return ops.moveaxis(a, axis, start - (axis < start))


@adapter("concatenate")
def _(arrays, /, axis=0, out=None, *, dtype=None):
    _no_out(out)
    return _in(dtype, ops.concat(list(arrays), axis))


@adapter("full_like")
def _(a, fill_value, dtype=None):
    data = plain(a)
    fill = ops.astype(as_tensor_or_array(fill_value), data.dtype if dtype is None else dtype)
    return ops.broadcast_to(fill if isinstance(fill, Tensor) else Tensor(fill), data.shape)


@adapter("lib.stride_tricks.sliding_window_view")
def _(x, window_shape, axis=None):
    return ops.sliding_window_view(x, window_shape, axis)


@adapter("compress")
def _(condition, a, axis=None, out=None):
    _no_out(out)
    return _kept(condition, a, axis)


@adapter("extract")
def _(condition, arr):
    return _kept(ops.reshape(as_tensor_or_array(condition), (-1,)), arr, None)


def _kept(condition: Any, a: Any, axis: Any) -> Any:
    a = ops.reshape(as_tensor_or_array(a), (-1,)) if axis is None else as_tensor_or_array(a)
    (places,) = np.nonzero(_data(condition))
    return a[(*(slice(None),) * ((axis or 0) % a.ndim), places)]


@adapter("vander")
def _(x, N=None, increasing=False):
    powers = np.arange(x.shape[0] if N is None else N)
    return x[:, None] ** (powers if increasing else powers[::-1])


@adapter("ediff1d")
def _(ary, to_end=None, to_begin=None):
    flat = ops.reshape(as_tensor_or_array(ary), (-1,))
    ends = [to_begin, flat[1:] - flat[:-1], to_end]
    ends = [
        _in(flat.dtype, ops.reshape(as_tensor_or_array(e), (-1,))) for e in ends if e is not None
    ]
    return ops.concat(ends)


@adapter("linspace")
def _linspace(start, stop, num=50, endpoint=True, retstep=False, dtype=None, axis=0):
    if num < 0:
        raise ValueError(errors.how_many("np.linspace", num))
    start, stop = (x if np.isscalar(x) else as_tensor_or_array(x) for x in (start, stop))
    step = as_tensor_or_array(stop * 1.0 - start) / max(num - bool(endpoint), 1)
    places = np.arange(num, dtype=step.dtype).reshape(-1, *(1 for _ in step.shape))
    points = start + places * step
    if endpoint and num > 1:  # the last is `stop` itself
        points = ops.where(places == num - 1, stop, points)
    points = _in(dtype, ops.moveaxis(points, 0, axis) if axis else points)
    return (points, step) if retstep else points


@adapter("logspace")
def _(start, stop, num=50, endpoint=True, base=10.0, dtype=None, axis=0):
    base = base if np.ndim(_data(base)) == 0 else ops.expand_dims(as_tensor_or_array(base), axis)
    return _in(dtype, ops.pow(base, _linspace(start, stop, num, endpoint, axis=axis)))


@adapter("geomspace")
def _(start, stop, num=50, endpoint=True, dtype=None, axis=0):
    start, stop = (x if np.isscalar(x) else as_tensor_or_array(x) for x in (start, stop))
    if is_complex(start) or is_complex(stop):
        raise Declined("start")
    ratio = stop * 1.0 / start
    if not (plain(ratio) > 0).all() or not np.isfinite(plain(ratio)).all():
        raise ValueError("np.geomspace: start and stop are numbers of the same sign, without zeros")
    shares = np.linspace(0.0, 1.0, num, endpoint, dtype=ratio.dtype)
    shares = shares.reshape(-1, *(1 for _ in ratio.shape))
    points = ops.where(shares == 1.0, stop, start * ratio**shares)
    return _in(dtype, ops.moveaxis(points, 0, axis) if axis else points)


@adapter("resize")
def _(a, new_shape):
    shape = (new_shape,) if isinstance(new_shape, int) else tuple(new_shape)
    flat = ops.reshape(a, (-1,))
    if not flat.shape[0] or any(n < 0 for n in shape):
        raise Declined("new_shape")
    return ops.reshape(flat[np.arange(math.prod(shape)) % flat.shape[0]], shape)


@adapter("apply_along_axis")
def _(func1d, axis, arr, *args, **kwargs):
    arr = as_tensor_or_array(arr)
    axis, rows = axis % arr.ndim, ops.moveaxis(arr, axis, -1)
    outer = rows.shape[:-1]
    if 0 in outer:
        raise ValueError(f"np.apply_along_axis: shape {arr.shape} has no rows along axis {axis}")
    rows = ops.unstack(ops.reshape(rows, (-1, arr.shape[axis])))
    results = ops.stack([as_tensor_or_array(func1d(row, *args, **kwargs)) for row in rows])
    inner = len(results.shape) - 1
    results = results if isinstance(results, Tensor) else Tensor(results)
    y = ops.reshape(results, (*outer, *results.shape[1:]))
    back = range(axis, axis + inner)
    return ops.moveaxis(y, tuple(range(len(outer), len(outer) + inner)), tuple(back))


@adapter("apply_over_axes")
def _(func, a, axes):
    for axis in (axes,) if isinstance(axes, int) else axes:
        y = func(a, axis % a.ndim)
        a = y if y.ndim == a.ndim else ops.expand_dims(y, axis % a.ndim)
    return a


@adapter("piecewise")
def _(x, condlist, funclist, *args, **kw):
    conditions = np.asarray(_data(condlist), dtype=bool)
    conditions = conditions[None] if conditions.ndim == x.ndim else conditions
    if len(funclist) == len(conditions) + 1:  # the last is for all other places
        conditions = np.concatenate([conditions, ~conditions.any(axis=0, keepdims=True)])
    if len(funclist) != len(conditions):
        raise ValueError(
            f"np.piecewise: {len(conditions)} conditions take as many functions, or one more"
        )
    y = ops.zeros_like(as_tensor_or_array(x))
    for places, f in zip(conditions, funclist, strict=True):
        if places.any():
            y[places] = f(x[places], *args, **kw) if callable(f) else f
    return y


# --- Reductions -----------------------------------------------------------------------------------


@adapter("sum")
def _sum(a, axis=None, dtype=None, out=None, keepdims=False, initial=None, where=None):
    _no_out(out)
    y = ops.sum(_only(where, _in(dtype, a), 0), axis, keepdims)
    return y if initial is None else y + initial


@adapter("prod")
def _prod(a, axis=None, dtype=None, out=None, keepdims=False, initial=None, where=None):
    _no_out(out)
    y = ops.prod(_only(where, _in(dtype, a), 1), axis, keepdims)
    return y if initial is None else y * initial


def _only(where: Any, a: Any, other: Any) -> Any:
    return a if where is None or where is True else ops.where(where, a, other)


@adapter("amax", "max")
def _(a, axis=None, out=None, keepdims=False, initial=None, where=None):
    return _extreme(ops.max, ops.maximum, a, axis, out, keepdims, initial, where)


@adapter("amin", "min")
def _(a, axis=None, out=None, keepdims=False, initial=None, where=None):
    return _extreme(ops.min, ops.minimum, a, axis, out, keepdims, initial, where)


def _extreme(
    f: Any, pair: Any, a: Any, axis: Any, out: Any, keepdims: bool, initial: Any, where: Any
) -> Any:
    _no_out(out)
    if initial is None:
        if where is not None and where is not True:
            raise ValueError("np.max and np.min with `where` need `initial`, the value of nothing")
        return f(a, axis, keepdims)
    # An axis of length 0 has no greatest element, but it has one with `initial` in front of it.
    a = _only(where, a, initial)
    if 0 in a.shape:
        return ops.sum(a, axis, keepdims) + initial
    return pair(f(a, axis, keepdims), initial)


@adapter("mean")
def _mean(a, axis=None, dtype=None, out=None, keepdims=False, *, where=None):
    _no_out(out)
    a = _in(dtype, a)
    if where is None or where is True:
        return ops.mean(a, axis, keepdims)
    return ops.sum(_only(where, a, 0), axis, keepdims) / _count(a, axis, keepdims, where)


def _count(a: Any, axis: Any, keepdims: bool, where: Any) -> Any:
    counted = np.sum(np.broadcast_to(_data(where), a.shape), axis=axis, keepdims=keepdims)
    return counted.astype(ops.real(a).dtype)


@adapter("var")
def _var(
    a, axis=None, dtype=None, out=None, ddof=0, keepdims=False, *,
    where=None, mean=None, correction=None,
):  # fmt: skip
    _no_out(out)
    a = _in(dtype, a)
    ddof = ddof if correction is None else correction
    if mean is None and (where is None or where is True):
        return ops.var(a, axis, ddof, keepdims)
    where = True if where is None else where
    off = a - (_mean(a, axis, keepdims=True, where=where) if mean is None else mean)
    off = ops.where(where, off, 0.0)  # before it is squared: an infinity would make NaN of 0
    squares = ops.square(ops.abs(off)) if is_complex(a) else off * off
    freedom = np.maximum(_count(a, axis, keepdims, where) - ddof, 0)
    return ops.sum(squares, axis, keepdims) / freedom


@adapter("std")
def _(
    a, axis=None, dtype=None, out=None, ddof=0, keepdims=False, *,
    where=None, mean=None, correction=None,
):  # fmt: skip
    _no_out(out)
    if mean is None and (where is None or where is True):
        return ops.std(_in(dtype, a), axis, ddof if correction is None else correction, keepdims)
    variance = _var(
        a, axis, dtype, None, ddof, keepdims, where=where, mean=mean, correction=correction
    )
    flat = plain(variance) == 0  # its gradient is 0 there, as that of np.std
    return ops.where(flat, 0.0, ops.sqrt(ops.where(flat, 1.0, variance)))


# In those below what `where` leaves out is a NaN more.


@adapter("nanvar")
def _(
    a, axis=None, dtype=None, out=None, ddof=0, keepdims=False, *,
    where=None, mean=None, correction=None,
):  # fmt: skip
    _no_out(out)
    if mean is not None:
        raise Declined("mean")
    ddof = ddof if correction is None else correction
    return ops.nanvar(_only(where, _in(dtype, a), math.nan), axis, ddof, keepdims)


@adapter("nanstd")
def _(
    a, axis=None, dtype=None, out=None, ddof=0, keepdims=False, *,
    where=None, mean=None, correction=None,
):  # fmt: skip
    _no_out(out)
    if mean is not None:
        raise Declined("mean")
    ddof = ddof if correction is None else correction
    return ops.nanstd(_only(where, _in(dtype, a), math.nan), axis, ddof, keepdims)


@adapter("nansum")
def _(a, axis=None, dtype=None, out=None, keepdims=False, initial=None, where=None):
    return _sum(_only(~ops.isnan(a), a, 0), axis, dtype, out, keepdims, initial, where)


@adapter("nanprod")
def _(a, axis=None, dtype=None, out=None, keepdims=False, initial=None, where=None):
    return _prod(_only(~ops.isnan(a), a, 1), axis, dtype, out, keepdims, initial, where)


@adapter("nanmean")
def _(a, axis=None, dtype=None, out=None, keepdims=False, *, where=None):
    _no_out(out)
    return ops.nanmean(_only(where, _in(dtype, a), math.nan), axis, keepdims)


@adapter("nanmax")
def _(a, axis=None, out=None, keepdims=False, initial=None, where=None):
    _no_out(out)
    y = ops.nanmax(_only(where, a, math.nan), axis, keepdims)
    return y if initial is None else ops.fmax(y, initial)


@adapter("nanmin")
def _(a, axis=None, out=None, keepdims=False, initial=None, where=None):
    _no_out(out)
    y = ops.nanmin(_only(where, a, math.nan), axis, keepdims)
    return y if initial is None else ops.fmin(y, initial)


@adapter("ptp")
def _(a, axis=None, out=None, keepdims=False):
    _no_out(out)
    return ops.ptp(a, axis, keepdims)


@adapter("average")
def _(a, axis=None, weights=None, returned=False, *, keepdims=False):
    y = ops.average(a, axis, weights, keepdims)
    if not returned:
        return y
    if weights is None:
        total = _count(a, axis, keepdims, True)
    else:
        w = ops.broadcast_to(along_axes(weights, a, axis), a.shape)
        total = ops.sum(w, axis, keepdims)
    return y, ops.broadcast_to(_in(y.dtype, total), y.shape)


@adapter("median")
def _(a, axis=None, out=None, overwrite_input=False, keepdims=False):
    _no_out(out)
    return ops.median(a, axis, keepdims)


@adapter("nanmedian")
def _(a, axis=None, out=None, overwrite_input=False, keepdims=False):
    _no_out(out)
    return ops.nanmedian(a, axis, keepdims)


def _quantiles(ours: Any) -> Any:
    def theirs(a, q, axis=None, out=None, overwrite_input=False, method="linear", keepdims=False):
        _no_out(out)
        return ours(a, q, axis, method, keepdims)

    return theirs


for _f in (ops.quantile, ops.percentile, ops.nanquantile, ops.nanpercentile):
    adapter(_f.__name__)(_quantiles(_f))


@adapter("partition")
def _(a, kth, axis=-1, kind="introselect", order=None):
    a, axis = (ops.reshape(a, (-1,)), 0) if axis is None else (a, axis)
    return ops.take_along_axis(a, np.argpartition(plain(a), kth, axis, kind), axis)


@adapter("bincount")
def _(x, /, weights=None, minlength=0):
    places, weights = plain(x), _double(weights)
    if places.shape != weights.shape:
        raise ValueError(f"np.bincount: {places.shape} places and {weights.shape} weights")
    length = np.bincount(places, minlength=minlength).shape  # raises where a place is negative
    return ops.scatter_add(weights, (places,), length)


def _double(x: Any) -> Any:
    x = as_tensor_or_array(x)
    return ops.astype(x, np.complex128 if is_complex(x) else np.float64)


@adapter("sort")
def _(a, axis=-1, kind=None, order=None, *, stable=None):
    return ops.sort(*((ops.reshape(a, (-1,)), 0) if axis is None else (a, axis)))


@adapter("nancumsum")
def _(a, axis=None, dtype=None, out=None):
    _no_out(out)
    return ops.cumsum(ops.where(ops.isnan(a), 0, a), axis, dtype)


@adapter("nancumprod")
def _(a, axis=None, dtype=None, out=None):
    _no_out(out)
    return ops.cumprod(ops.where(ops.isnan(a), 1, a), axis, dtype)


@adapter("cumulative_sum")
def _(x, /, *, axis=None, dtype=None, out=None, include_initial=False):
    _no_out(out)
    return ops.cumulative_sum(_in(dtype, x), axis, include_initial=include_initial)


@adapter("cumulative_prod")
def _(x, /, *, axis=None, dtype=None, out=None, include_initial=False):
    _no_out(out)
    return ops.cumulative_prod(_in(dtype, x), axis, include_initial=include_initial)


# --- Statistics and signals -----------------------------------------------------------------------


@adapter("cov")
def _cov(
    m, y=None, rowvar=True, bias=False, ddof=None, fweights=None, aweights=None, *, dtype=None
):
    m = as_tensor_or_array(m)
    both = [m] if y is None else [m, as_tensor_or_array(y)]
    if any(v.ndim > 2 for v in both):
        raise ValueError(f"np.cov takes a vector or a matrix, not shape {both[-1].shape}")
    dtype = np.result_type(*(v.dtype for v in both), np.float64) if dtype is None else dtype
    rows = [_in(dtype, v if v.ndim > 1 else ops.reshape(v, (1, -1))) for v in both]
    if not rowvar:
        rows = [
            ops.matrix_transpose(v) if given.ndim > 1 else v
            for given, v in zip(both, rows, strict=True)
        ]
    x = rows[0] if y is None else ops.concat(rows, 0)
    ddof = ddof if ddof is not None else 0 if bias else 1
    given = [
        ops.astype(as_tensor_or_array(w), "float64") for w in (fweights, aweights) if w is not None
    ]
    if given:
        if any((plain(w) < 0).any() for w in given):
            raise ValueError("np.cov: weights are 0 or more")
        if fweights is not None and (plain(given[0]) % 1 != 0).any():
            raise TypeError("np.cov: fweights are how often each was seen, so whole numbers")
        w = functools.reduce(ops.multiply, given)
        total = ops.sum(w)
        lost = ddof if aweights is None else ddof * ops.sum(w * given[-1]) / total
        off = x - ops.sum(x * w, 1, True) / total
        n, weighed = total - lost, off * w
    else:
        n, off = x.shape[1] - ddof, x - ops.mean(x, 1, True)
        weighed = off
    c = ops.matmul(off, ops.matrix_transpose(ops.conj(weighed))) / ops.maximum(n, 0)
    return ops.reshape(c, ()) if x.shape[0] == 1 else c


@adapter("corrcoef")
def _(x, y=None, rowvar=True, *, dtype=None):
    c = _cov(x, y, rowvar, dtype=dtype)
    if c.ndim == 0:
        return c / c
    size = ops.sqrt(ops.real(ops.diagonal(c)))
    return c / size[:, None] / size[None, :]


@adapter("interp")
def _(x, xp, fp, left=None, right=None, period=None):
    x, xp, fp = (_double(v) for v in (x, xp, fp))
    if xp.ndim != 1 or xp.shape != fp.shape or not xp.shape[0]:
        raise ValueError(f"np.interp takes as many xp as fp, not shapes {xp.shape} and {fp.shape}")
    if period is not None:
        if plain(period) == 0:
            raise ValueError("np.interp: a period is not 0")
        left = right = None
        period = abs(period)
        x, xp = x % period, xp % period
        order = np.argsort(plain(xp))
        xp, fp = xp[order], fp[order]
        xp = ops.concat([xp[-1:] - period, xp, xp[:1] + period])
        fp = ops.concat([fp[-1:], fp, fp[:1]])
    at, knots = plain(x), plain(xp)
    low = np.clip(np.searchsorted(knots, at, side="right") - 1, 0, max(len(knots) - 2, 0))
    high = np.minimum(low + 1, len(knots) - 1)
    below, above = at < knots[0], at > knots[-1]
    width = xp[high] - xp[low]
    share = (ops.where(below | above, xp[low], x) - xp[low]) / ops.where(width == 0, 1.0, width)
    y = fp[low] + share * (fp[high] - fp[low])
    y = ops.where(below, fp[0] if left is None else left, y)
    return ops.where(above, fp[-1] if right is None else right, y)


@adapter("unwrap")
def _(p, discont=None, axis=-1, *, period=2 * math.pi):
    if isinstance(period, Tensor):
        raise Declined("period")
    values = plain(p)  # whole turns are added, which do not change with p
    return p + (np.unwrap(values, _data(discont), axis, period=period) - values)


@adapter("gradient")
def _(f, *varargs, axis=None, edge_order=1):
    axes = tuple(range(f.ndim)) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    steps = varargs * len(axes) if len(varargs) == 1 else varargs or (1.0,) * len(axes)
    if len(steps) != len(axes):
        raise TypeError("np.gradient takes one spacing, or one for each axis")
    if edge_order not in (1, 2):
        raise ValueError(f"np.gradient: edge_order is 1 or 2, not {edge_order}")
    pairs = zip(axes, steps, strict=True)
    slopes = tuple(_slope(f, ops.moveaxis(f, a, 0), a, h, edge_order) for a, h in pairs)
    return slopes[0] if len(slopes) == 1 else slopes


def _slope(f: Any, g: Any, axis: int, h: Any, edge_order: int) -> Any:
    """Second-order differences along the first axis of g, which is `axis` of f."""
    h = as_tensor_or_array(h)
    n = g.shape[0]
    if n < edge_order + 1:
        raise ValueError(f"np.gradient needs {edge_order + 1} points along an axis, got {n}")
    shape = (n - 1, *(1 for _ in g.shape[1:]))
    d = ops.reshape(ops.broadcast_to(h, (n - 1,)) if h.ndim == 0 else h[1:] - h[:-1], shape)
    s = (g[1:] - g[:-1]) / d  # slopes of the pieces
    inner = (s[:-1] * d[1:] + s[1:] * d[:-1]) / (d[:-1] + d[1:])
    first, last = s[:1], s[-1:]
    if edge_order == 2:
        first = first + (s[:1] - s[1:2]) * d[:1] / (d[:1] + d[1:2])
        last = last + (s[-1:] - s[-2:-1]) * d[-1:] / (d[-1:] + d[-2:-1])
    slopes = ops.moveaxis(ops.concat([first, inner, last], 0), 0, axis)
    return _in(f.dtype, slopes) if is_floating(f) else slopes


@adapter("convolve")
def _convolve(a, v, mode="full"):
    a, v = ops.atleast_1d(as_tensor_or_array(a), as_tensor_or_array(v))
    if a.ndim != 1 or v.ndim != 1 or not a.shape[0] or not v.shape[0]:
        raise ValueError(f"np.convolve takes two sequences, not shapes {a.shape} and {v.shape}")
    long, short = (a, v) if a.shape[0] >= v.shape[0] else (v, a)
    n, m = long.shape[0], short.shape[0]
    margin = np.zeros(m - 1, long.dtype)
    padded = ops.concat([margin, long, margin], 0)
    places = np.arange(n + m - 1)[:, None] + np.arange(m)[::-1]
    full = ops.matmul(padded[places], short)
    spans = {"full": (0, n + m - 1), "same": ((m - 1) // 2, n), "valid": (m - 1, n - m + 1)}
    if mode not in spans:
        raise ValueError(f"np.convolve: mode is 'full', 'same' or 'valid', not {mode!r}")
    start, count = spans[mode]
    return full[start : start + count]


@adapter("correlate")
def _(a, v, mode="valid"):
    return _convolve(a, ops.flip(ops.conj(as_tensor_or_array(v))), mode)


@adapter("polyval")
def _(p, x):
    p = as_tensor_or_array(p.coeffs if isinstance(p, np.poly1d) else p)  # poly1d counts from x⁰
    x = as_tensor_or_array(x)
    y = ops.zeros_like(x)
    for i in range(len(p)):
        y = y * x + p[i]
    return y


@adapter("polyfit")
def _(x, y, deg, rcond=None, full=False, w=None, cov=False):
    if full or cov:
        raise Declined("full" if full else "cov")
    x, y = as_tensor_or_array(x) * 1.0, as_tensor_or_array(y) * 1.0
    if x.ndim != 1 or not x.shape[0] or y.ndim not in (1, 2) or len(x) != len(y) or deg < 0:
        raise ValueError(
            f"np.polyfit takes x (N,), y (N,) or (N, K), and a degree of 0 or more; got shapes "
            f"{x.shape} and {y.shape}, and degree {deg}"
        )
    rcond = len(x) * np.finfo(x.dtype).eps if rcond is None else rcond
    powers = x[:, None] ** np.arange(deg, -1, -1)
    if w is not None:
        w = ops.expand_dims(as_tensor_or_array(w), -1)
        powers, y = powers * w, y * (w if y.ndim > 1 else w[:, 0])
    scale = ops.sqrt(ops.sum(powers * powers, 0))
    c = linalg.lstsq(powers / scale, y, rcond).solution
    return c / (scale if y.ndim == 1 else scale[:, None])


@adapter("roots")
def _(p):
    p = as_tensor_or_array(p)
    if p.ndim != 1:
        raise ValueError(f"np.roots takes the coefficients of one polynomial, not shape {p.shape}")
    places = np.flatnonzero(plain(p))
    if len(places) < 2:  # c·xⁿ, whose roots are 0 whatever c is
        raise Declined("p")
    p, zeros = p[places[0] : places[-1] + 1], len(p) - 1 - places[-1]
    n = len(p) - 1
    companion = ops.concat([-p[None, 1:] / p[0], np.eye(n - 1, n)], 0)
    return ops.concat([linalg.eigvals(companion), np.zeros(zeros)])


@adapter("poly")
def _(seq_of_zeros):
    zeros = as_tensor_or_array(seq_of_zeros)
    if zeros.ndim > 2:
        raise ValueError(f"np.poly takes roots (N,) or a square matrix, not shape {zeros.shape}")
    zeros = linalg.eigvals(zeros) if zeros.ndim == 2 else ops.atleast_1d(zeros)
    c = np.ones(1)
    for zero in zeros:
        c = ops.concat([c, np.zeros(1)]) - ops.concat([np.zeros(1), zero * c])
    values = plain(zeros)
    paired = is_complex(zeros) and np.all(np.sort(values) == np.sort(values.conj()))
    return ops.real(c) if paired else c


@adapter("polyadd")
def _polyadd(a1, a2):
    a1, a2 = (ops.reshape(as_tensor_or_array(a), (-1,)) for a in (a1, a2))
    n = max(a1.shape[0], a2.shape[0])
    a1, a2 = (ops.concat([np.zeros(n - a.shape[0], a.dtype), a]) for a in (a1, a2))
    return a1 + a2


@adapter("polysub")
def _(a1, a2):
    return _polyadd(a1, ops.negative(as_tensor_or_array(a2)))


@adapter("polymul")
def _(a1, a2):
    return _convolve(*(ops.reshape(as_tensor_or_array(a), (-1,)) for a in (a1, a2)))


@adapter("polyder")
def _(p, m=1):
    for _ in range(m):
        p = p[:-1] * np.arange(len(p) - 1, 0, -1)
    return p


@adapter("polyint")
def _(p, m=1):
    for _ in range(m):
        p = ops.concat([p / np.arange(len(p), 0, -1), np.zeros(1)])
    return p


# --- Products and linear algebra ------------------------------------------------------------------


@adapter("dot")
def _(a, b, out=None):
    _no_out(out)
    return linalg.dot(a, b)


@adapter("outer")
def _(a, b, out=None):
    _no_out(out)
    a, b = (ops.reshape(as_tensor_or_array(x), (-1,)) for x in (a, b))
    return a[:, None] * b


@adapter("cross")
def _(a, b, axisa=-1, axisb=-1, axisc=-1, axis=None):
    if axis is not None:
        axisa = axisb = axisc = axis
    y = linalg.cross(
        ops.moveaxis(as_tensor_or_array(a), axisa, -1),
        ops.moveaxis(as_tensor_or_array(b), axisb, -1),
    )
    return ops.moveaxis(y, -1, axisc)


@adapter("trace")
def _(a, offset=0, axis1=0, axis2=1, dtype=None, out=None):
    _no_out(out)
    return ops.sum(_in(dtype, ops.diagonal(a, offset, axis1, axis2)), -1)


@adapter("linalg.eigh")
def _(a, UPLO="L"):
    return linalg.eigh(_triangle(a, UPLO))


@adapter("linalg.eigvalsh")
def _(a, UPLO="L"):
    return linalg.eigvalsh(_triangle(a, UPLO))


def _triangle(a: Any, UPLO: str) -> Any:
    """NumPy reads the lower triangle, or the upper: of a Hermitian matrix they say the same."""
    return a if UPLO.upper() == "L" else ops.matrix_transpose(ops.conj(a))


@adapter("linalg.qr")
def _(a, mode="reduced"):
    if mode == "raw":
        raise Declined("mode")
    return linalg.qr(a).R if mode == "r" else linalg.qr(a, mode)


@adapter("linalg.svd")
def _(a, full_matrices=True, compute_uv=True, hermitian=False):
    return linalg.svd(a, full_matrices) if compute_uv else linalg.svdvals(a)
