"""Operators: calling them, indexing, and defining one."""

from __future__ import annotations

import ast
import itertools
import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from operator import index
from typing import Any

from numpy.exceptions import AxisError
from numpy.linalg import LinAlgError

from gradnerve.errors.source import _as_written, _function_called, _parsed, nearest

# --- Calling an operator --------------------------------------------------------------------------

# What PyTorch's users write, by the Array API's name.
OTHER_NAMES = {"dim": "axis", "keepdim": "keepdims", "dims": "axis", "unbiased": "correction"}
OTHER_NAMES |= {"ddof": "correction", "axes": "axis", "input": "x", "other": "x2"}


# The same for functions: the names of NumPy and PyTorch that the standard has replaced.
OTHER_FUNCTIONS = {
    "absolute": "abs", "amax": "max", "amin": "min", "arccos": "acos",
    "arccosh": "acosh", "arcsin": "asin", "arcsinh": "asinh", "arctan": "atan", "arctan2": "atan2",
    "arctanh": "atanh", "array": "asarray", "as_tensor": "asarray", "cat": "concat",
    "clone": "copy", "concatenate": "concat", "conjugate": "conj", "from_numpy": "asarray",
    "invert": "bitwise_invert", "left_shift": "bitwise_left_shift", "mod": "remainder",
    "permute": "permute_dims", "power": "pow", "repeat_interleave": "repeat",
    "right_shift": "bitwise_right_shift", "rint": "round", "transpose": "permute_dims",
    "true_divide": "divide", "unbind": "unstack", "unique": "unique_values",
    "unsqueeze": "expand_dims",
}  # fmt: skip


def no_such_name(name: str, known: Iterable[str]) -> str:
    message = f"module 'gradnerve' has no attribute {name!r}."
    if other := OTHER_FUNCTIONS.get(name):
        return message + f" Here it is called gn.{other}, as in the Array API standard."
    if name in ("rand", "randn", "normal", "uniform", "random"):
        return message + " Draw with NumPy: gn.Tensor(np.random.default_rng().normal(size=3))."
    return message + nearest(name, known)


def bad_arguments(
    name: str, names: Sequence[str], args: Sequence[Any], options: dict[str, Any]
) -> str:
    signature = f"{name}({', '.join(names)})"
    if len(args) > len(names):
        return f"{signature} takes at most {len(names)} arguments, but {len(args)} were given"
    for option in options:
        if option in names[: len(args)]:
            return f"{signature} got {option!r} twice: by position and by name"
        if option not in names:
            other = OTHER_NAMES.get(option)
            hint = f" Here it is called {other!r}." if other in names else nearest(option, names)
            return f"{signature} has no argument {option!r}.{hint}"
    return f"{signature} cannot be called like this"


def missing_argument(name: str, names: Sequence[str], missing: str) -> str:
    return f"{name}({', '.join(names)}) needs {missing!r}"


# Operators that the user knows by another name than the registry.
CODE = {"getitem": "x[key]", "setitem": "x[key] = value"}


def explained(error: Exception, name: str, names: Sequence[str], args: Sequence[Any]) -> Exception:
    """The same exception, saying which operator failed, on what, and how it might be mended."""
    if hasattr(error, "explained") or type(error).__module__.startswith("jax"):
        return error  # by an operator inside this one, or by `gn.jit`
    if len(args) > len(names):  # the last takes any number
        *names, last = names
        names = [*names, *(f"{last}[{i}]" for i in range(len(args) - len(names)))]
    given = dict(zip(names, args, strict=False))
    error = _no_array(name, given) or _as_numpy_raises(error, given)
    error = _wrong_axis(error, given) or error
    message = _shapes_or_types(error, name, given)
    if message is None:
        shown = CODE.get(name, name)
        message = str(error) if str(error).startswith(f"{shown} ") else f"{shown}: {error}"
        message += "".join(
            f"\n  {n}: {describe(arg)}" for n, arg in given.items() if _is_array(arg)
        )
    if (function := _function_called()) not in ("", name):
        message = f"{function}: {message}"
    kinds = (AxisError, IndexError, LinAlgError, TypeError, ValueError)
    kind = next((k for k in kinds if isinstance(error, k)), None)
    if kind is None:
        error.add_note(message)
    else:
        error = kind(message)
    error.explained = True  # type: ignore[attr-defined]
    return error


def _no_array(name: str, given: Mapping[str, Any]) -> Exception | None:
    """That an operand is no array, whatever an array library made of it."""
    operands = {n: a for n, a in given.items() if n in ("x", "x1", "x2") or n.endswith("]")}
    if any(isinstance(a, (str, bytes, dict, set, type(None))) for a in operands.values()):
        return TypeError(_types(name, operands))
    return None


def _as_numpy_raises(error: Exception, given: Mapping[str, Any]) -> Exception:
    """What JAX or PyTorch raises, as the kind of exception that NumPy has for it."""
    text = str(error)
    devices = {str(a.device): None for a in given.values() if hasattr(a, "device")}
    if len(devices) > 1 and "device" in text:
        return ValueError(two_devices([*devices]))
    if isinstance(error, NotImplementedError) and "not implemented for" in text:
        return TypeError(f"operand types: {text}")
    # PyTorch's RuntimeErrors and axes; JAX has TypeErrors for shapes.
    jax = any(type(getattr(a, "_data", a)).__module__.startswith("jax") for a in given.values())
    shapes = isinstance(error, TypeError) and "shape" in text and jax
    if type(error) is RuntimeError or text.startswith("Dimension out of range") or shapes:
        return ValueError(text)
    if "does not accept dtype" in text:
        return TypeError(f"operand types: {text}")
    return error


def _wrong_axis(error: Exception, given: Mapping[str, Any]) -> Exception | None:
    """What an array library says of an axis, in our words."""
    if isinstance(error, AxisError):
        return error if error.axis is None else AxisError(no_axis(error.axis, error.ndim))
    axis = given.get("axis", given.get("axes"))
    x = next((arg for arg in given.values() if hasattr(arg, "shape")), None)
    if not isinstance(error, (TypeError, ValueError)) or axis is None or x is None:
        return None
    if isinstance(axis, list):
        return TypeError(f"several axes are a tuple, {tuple(axis)}, not the list {axis}")
    if isinstance(axis, tuple) and isinstance(error, TypeError):
        return TypeError(f"it takes one axis, a whole number, not {axis}")
    return wrong_axes(axis if isinstance(axis, tuple) else (axis,), len(x.shape))


def _shapes_or_types(error: Exception, name: str, given: Mapping[str, Any]) -> str | None:
    """The message where shapes do not fit together, or types do not."""
    if not isinstance(error, (TypeError, ValueError)) or isinstance(error, LinAlgError):
        return None
    shapes = {
        n: tuple(getattr(arg, "shape", ()))
        for n, arg in given.items()
        if hasattr(arg, "shape") or isinstance(arg, (int, float))
    }
    if name == "matmul" and len(shapes) == 2:
        return _matmul(shapes, given)
    by_element = len(given) == 2 or "broadcast" in str(error)
    if by_element and len(shapes) > 1 and (axis := _misfit(shapes.values())) is not None:
        return _broadcast(name, axis, shapes, given)
    if isinstance(error, TypeError) and ("ufunc" in str(error) or "operand type" in str(error)):
        return _types(name, given)
    return None


def _types(name: str, given: Mapping[str, Any]) -> str:
    called = _operands(name, given)
    if len(given) > 2:  # only what is meant to be an array, or is something else than usual
        given = {n: a for n, a in given.items() if a is not None and not isinstance(a, bool)}
    kinds = {n: str(getattr(arg, "dtype", type(arg).__name__)) for n, arg in given.items()}
    message = f"{name} is not defined for " + ", ".join(
        f"{kinds[n]} ({called[n]})" for n, arg in given.items()
    )
    if name.startswith("bitwise_"):
        return message + (
            ". Bits are those of integers and booleans: for conditions write (x > 0) & (y > 0)."
        )
    return message + ": it takes numbers, arrays of numbers, and Tensors."


def no_axis(axis: int, ndim: int | None) -> str:
    if not ndim:
        return f"there is no axis {axis}: the array has no axes, it is a single number"
    axes = "only axis 0 (or -1)" if ndim == 1 else f"axes 0 to {ndim - 1} (or -{ndim} to -1)"
    return f"there is no axis {axis}: the array has {axes}"


def no_order_of_axes(axes: Any, shape: tuple[int, ...]) -> str:
    backwards = tuple(range(len(shape)))[::-1]
    return (
        f"axes {axes} are no order of the axes of shape {tuple(shape)}, in which each is named "
        f"once: {backwards}, for example, reverses them"
    )


def not_whole(function: str, what: str, value: Any) -> str:
    return f"{function}: {what} is a whole number, not {value!r}"


def squeezed(axis: int, shape: tuple[int, ...]) -> str:
    return (
        f"axis {axis} of shape {tuple(shape)} has length {shape[axis]}, and only axes of length 1 "
        f"can be left out. To choose one element along it write x[{':, ' * axis}0]; to combine "
        f"them, x.sum(axis={axis}) or x.mean(axis={axis})."
    )


def no_plane(shape: tuple[int, ...], axis1: Any, axis2: Any) -> str:
    if len(shape) < 2:
        return (
            f"a diagonal is that of a matrix, with two axes or more; got shape {tuple(shape)}. A "
            "matrix with x on its diagonal is gn.diag(x)."
        )
    return f"axis1={axis1} and axis2={axis2} are the same axis of shape {tuple(shape)}"


def not_a_list_of_arrays(name: str, arrays: Any) -> str:
    if hasattr(arrays, "shape"):
        return f"{name} takes a list of arrays, then the axis: write gn.{name}([x, y])"
    return f"{name} takes a list of arrays, not {type(arrays).__name__}: write gn.{name}([x, y])"


def too_many_of(k: Any, axis: int, shape: tuple[int, ...]) -> str:
    return (
        f"k={k} elements are asked for along axis {axis}, which has length {shape[axis]}, in an "
        f"array of shape {tuple(shape)}"
    )


def not_one_axis_sorted(shape: tuple[int, ...]) -> str:
    return (
        f"x1 is the sorted numbers, along one axis, (N,); got shape {tuple(shape)}. What is looked "
        "for, of any shape, comes second."
    )


def wrong_axes(axes: Sequence[Any], ndim: int) -> Exception | None:
    """What is wrong with these axes of an array that has `ndim`, if anything is."""
    for axis in axes:
        try:
            inside = -ndim <= index(axis) < ndim
        except TypeError:
            return TypeError(f"an axis is a whole number, not {axis!r}")
        if not inside:
            return AxisError(no_axis(axis, ndim))
    counted = [index(axis) % ndim for axis in axes]
    for i, axis in enumerate(counted):
        if axis in counted[:i]:
            return ValueError(f"axis {axis} is named twice in {tuple(axes)}")
    return None


def _is_array(arg: Any) -> bool:
    return hasattr(arg, "shape") and hasattr(arg, "dtype")  # a dtype has a shape, too


def describe(arg: Any) -> str:
    """`float32 of shape (3, 4), named 'weight'`."""
    name = getattr(arg, "name", None)
    return f"{arg.dtype} of shape {tuple(arg.shape)}" + (f", named {name!r}" if name else "")


def _named(arg: Any, fallback: str) -> str:
    return getattr(arg, "name", None) or fallback


def _misfit(shapes: Collection[tuple[int, ...]]) -> int | None:
    """The axis, counted from the last, along which shapes do not broadcast; None if they do."""
    lengths = itertools.zip_longest(*(shape[::-1] for shape in shapes), fillvalue=1)
    return next((-1 - i for i, along in enumerate(lengths) if len({*along} - {1}) > 1), None)


def _broadcast(
    name: str, axis: int, shapes: Mapping[str, tuple[int, ...]], given: Mapping[str, Any]
) -> str:
    called = _operands(name, given)
    lengths = [f"{s[axis]} in {called[n]}" for n, s in shapes.items() if len(s) >= -axis]
    message = f"{name}: shapes {_listed([*map(str, shapes.values())])} do not fit: axis {axis} is "
    if len(shapes) > 2:
        return message + f"{_listed(lengths)}; along an axis lengths are equal, or 1."
    message += f"{_listed(lengths)}, and neither is 1."
    (first, a), (second, b) = shapes.items()
    if len(a) == len(b) == 2 and a == b[::-1]:
        return message + f" Did you mean {_behind(called[second], '.mT')}?"
    if len(b) == 1 and b[0] == a[0]:
        return message + f" Did you mean {_behind(called[second], '[:, None]')}?"
    if len(a) == 1 and a[0] == b[0]:
        return message + f" Did you mean {_behind(called[first], '[:, None]')}?"
    return message


def _operands(name: str, given: Mapping[str, Any]) -> dict[str, str]:
    """What to call an operator's arguments: by the user's own name for them, if we know it."""
    known = {"x1": "the first", "x2": "the second"} | {
        n: f"`{code}`" for n, code in _as_written(name, [*given]).items()
    }
    return {n: getattr(arg, "name", None) or known.get(n, n) for n, arg in given.items()}


def _behind(operand: str, what: str) -> str:
    """The code to write: `b[:, None]`, `(x @ w).mT`."""
    if operand in ("the first", "the second"):
        return f"{what} behind {operand}"
    code = operand.strip("`")
    simple = operand == code or isinstance(
        _parsed(code), (ast.Name, ast.Attribute, ast.Subscript, ast.Call)
    )
    return (code if simple else f"({code})") + what


def _listed(parts: Sequence[str]) -> str:
    return ", ".join(parts[:-1]) + f" and {parts[-1]}"


def reshape_size(got: tuple[int, ...], wanted: Sequence[int]) -> str:
    wanted = tuple(wanted)
    message = f"{math.prod(got)} elements, in shape {got}, do not fill shape {wanted}"
    if (unknown := wanted.count(-1)) > 1:
        return message + ": at most one length may be -1, to be found"
    if unknown:
        known = math.prod(n for n in wanted if n != -1)
        return message + f": {known} divides them into no whole number of parts"
    return message + f", which has {math.prod(wanted)}. One length may be -1, to be found."


def broadcast_target(got: tuple[int, ...], wanted: tuple[int, ...]) -> str:
    message = f"shape {got} does not stretch to {wanted}: "
    if len(got) > len(wanted):
        return message + "it has more axes; sum over some, or index them away"
    axis = next(
        -1 - i
        for i, (n, m) in enumerate(zip(got[::-1], wanted[::-1], strict=False))
        if n not in (1, m)
    )
    return message + (
        f"axis {axis} is {got[axis]}, and only an axis of length 1 can become {wanted[axis]}"
    )


def concat_shapes(shapes: Sequence[tuple[int, ...]], axis: int) -> str:
    first = shapes[0]
    n, other = next(
        (n, s)
        for n, s in enumerate(shapes)
        if len(s) != len(first)
        or (
            any(a != b for a, b in zip(s, first, strict=True))
            and any(
                a != b
                for i, (a, b) in enumerate(zip(s, first, strict=True))
                if i != axis % len(first)
            )
        )
    )
    message = f"array 0 has shape {first} and array {n} has {other}: "
    if len(other) != len(first):
        return message + (
            "all need as many axes. A new axis is made by x[None], or x[:, None]; stack joins "
            "along a new one."
        )
    return message + f"they may differ along axis {axis} alone, along which they are joined"


def _matmul(shapes: Mapping[str, tuple[int, ...]], given: Mapping[str, Any]) -> str | None:
    a, b = shapes.values()
    if not a or not b:
        return f"matmul: a single number (shape ()) cannot be a factor of @: got {a} @ {b}. Use *."
    inner = b[-2] if len(b) > 1 else b[-1]
    if a[-1] == inner:
        if _misfit((a[:-2], b[:-2])) is None:
            return None
        return f"matmul: {a} @ {b}: the leading axes {a[:-2]} and {b[:-2]} do not fit together"
    first, second = _operands("matmul", given).values()
    which = "second-last" if len(b) > 1 else "only"
    message = (
        f"matmul: {a} @ {b} do not fit: the last axis of {first} is {a[-1]}, "
        f"the {which} axis of {second} is {inner}."
    )
    if len(b) > 1 and a[-1] == b[-1]:
        message += f" Did you mean {_behind(second, '.mT')}?"
    elif len(a) > 1 and a[-2] == inner:
        message += f" Did you mean {_behind(first, '.mT')}?"
    return message


def two_devices(devices: Sequence[Any]) -> str:
    return (
        f"the arrays are on the devices {' and '.join(map(str, devices))}, and an operator "
        "computes on one. Move one of them, with gn.to(x, 'torch:cuda') for example"
    )


# --- Indexing -------------------------------------------------------------------------------------


def out_of_range(index: int, axis: int, length: int) -> str:
    if length == 0:
        return f"index {index} is out of range for axis {axis}, which is empty"
    return (
        f"index {index} is out of range for axis {axis}, which has length {length}: "
        f"write -{length} to {length - 1}"
    )


def too_many_indices(got: int, shape: tuple[int, ...]) -> str:
    return f"{got} indices for an array of shape {shape}, which has {len(shape)} axes"


def bad_mask(mask: tuple[int, ...], shape: tuple[int, ...], first: int) -> str:
    axes = shape[first : first + len(mask)]
    message = (
        f"a mask of shape {mask} does not fit axes of shape {axes}: a mask has the shape of what "
        "it chooses from"
    )
    if len(mask) == 1 and mask[0] in shape[first:]:
        axis = shape.index(mask[0], first)
        message += f". To choose along axis {axis}, write x[{':, ' * axis}mask]"
    elif 1 in mask and len(mask) == len(shape):
        message += "; gn.broadcast_to(mask, x.shape) repeats it along axes of length 1"
    return message


def bad_index(index: Any) -> str:
    dtype = getattr(index, "dtype", None)
    if dtype is not None:
        return f"an index of dtype {dtype}: indices are integers or booleans; write .astype(int)"
    return f"an index of type {type(index).__name__}: indices are integers, slices, None or arrays"


# --- Defining an operator -------------------------------------------------------------------------


def reserved_name(operator: str, name: str) -> str:
    return (
        f"operator {operator!r} has a parameter {name!r}, but in a rule `ct` is the cotangent, `y` "
        "the output and `needs` which inputs want a share: call it something else, such as x1, x2"
    )


def unknown_rule_input(operator: str, name: str, names: Sequence[str]) -> str:
    return f"a rule for {name!r}, but {operator}({', '.join(names)}) has no such input"


def unknown_rule_value(operator: str, name: str, order: Sequence[str]) -> str:
    return (
        f"a rule of {operator!r} names {name!r}; it can name {', '.join(order)}. "
        "A value from outside would have no derivative of its own."
    )


def name_taken(name: str, module: str) -> str:
    return f"an operator {name!r} exists already, in {module}: choose another name"


def no_rule(operator: str, name: str) -> str:
    return (
        f"{operator} has no derivative by its argument {name!r}, which requires grad. If it is "
        f"meant as a constant, pass {name}.detach()."
    )


def rule_gave(operator: str, share: Any) -> str:
    what = "None (does it `return`?)" if share is None else f"a {type(share).__name__}"
    return f"a rule of {operator!r} returned {what}; it returns the input's cotangent, an array"


def joint_rule_gave(operator: str, count: int, shares: Any) -> str:
    what = f"{len(shares)}" if isinstance(shares, (tuple, list)) else type(shares).__name__
    return f"the joint rule of {operator!r} is to return {count} cotangents, and returned {what}"


def misfit(operator: str, got: tuple[int, ...], expected: tuple[int, ...]) -> str:
    return (
        f"a rule of {operator!r} gave a cotangent of shape {got} for an input of shape {expected}; "
        "a cotangent has the shape of its input (or the broadcast shape, which is summed back)"
    )
