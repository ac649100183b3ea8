"""What GradNerve says when something is wrong: what happened, why, and what to write instead."""

from __future__ import annotations

import ast
import dis
import itertools
import linecache
import math
import os
import sys
from collections.abc import Collection, Iterable, Mapping, Sequence
from operator import index
from pathlib import Path
from types import CodeType, FrameType, ModuleType
from typing import Any

from numpy.exceptions import AxisError
from numpy.linalg import LinAlgError

PACKAGE = str(Path(__file__).parent) + os.sep


class NoGradientPath(RuntimeError):
    """`backward()` was called on a tensor from which no path leads to a parameter."""


class GraphFreed(RuntimeError):
    """`backward()` needs a record that an earlier `backward()` has let go of."""


class NonFinite(FloatingPointError):
    """Debug mode found the birthplace of a NaN or an infinity."""


class ChangedInPlace(RuntimeError):
    """A value saved for backward was changed in place."""


class GradcheckError(AssertionError):
    """A gradient differs from its finite difference."""


# --- Where the user is ----------------------------------------------------------------------------

Place = tuple[CodeType, int, int]
"""An instruction: its code, where in it, and the number of the line."""


def user_line() -> tuple[str, int]:
    """The innermost line outside GradNerve: its file and number."""
    frame = _user_frame()
    return frame.f_code.co_filename, frame.f_lineno


def _user_frame() -> FrameType:
    frame = sys._getframe(2)
    while frame.f_back is not None and _is_inside(frame.f_code.co_filename):
        frame = frame.f_back
    return frame


def _function_called() -> str:
    """The function of the namespace, or the method, that the user called; "" for an operator."""
    frame: FrameType | None = sys._getframe(1)
    found = ""
    while frame is not None and _is_inside(frame.f_code.co_filename):
        name, module = frame.f_code.co_name, frame.f_globals
        if name in module.get("__all__", ()) or module.get("__name__") == "gradnerve.methods":
            found = name
        frame = frame.f_back
    return found


# How operators are written between their operands.
SYMBOLS: dict[str, type[ast.AST]] = {
    "add": ast.Add, "subtract": ast.Sub, "multiply": ast.Mult, "divide": ast.Div,
    "floor_divide": ast.FloorDiv, "remainder": ast.Mod, "pow": ast.Pow, "matmul": ast.MatMult,
    "bitwise_and": ast.BitAnd, "bitwise_or": ast.BitOr, "bitwise_xor": ast.BitXor,
    "bitwise_left_shift": ast.LShift, "bitwise_right_shift": ast.RShift, "less": ast.Lt,
    "less_equal": ast.LtE, "greater": ast.Gt, "greater_equal": ast.GtE,
}  # fmt: skip


def _as_written(operator: str, names: Sequence[str]) -> dict[str, str]:
    """What the user wrote for an operator's arguments, as far as the line shows it.

    For `scores @ w.T` it is {"x1": "scores", "x2": "w.T"}.
    """
    frame = _user_frame()
    node = _parsed(f"({_code(frame)})") or _parsed(_code(frame))  # an expression, or x += y
    parts: dict[str, Any] = {}
    match node:
        case (
            ast.BinOp(left, op, right)
            | ast.AugAssign(left, op, right)
            | ast.Compare(left, [op], [right])
        ):
            if type(op) is SYMBOLS.get(operator):
                parts = dict(zip(names, (left, right), strict=False))
        case ast.Call(func, args, keywords):
            *modules, name = ast.unparse(func).split(".")
            known = {**frame.f_globals, **frame.f_locals}
            a_function = not modules or isinstance(known.get(modules[0]), ModuleType)
            starred = any(isinstance(arg, ast.Starred) for arg in args)
            # Of a method, and of a function that is made of operators, the arguments are others.
            if name == operator and a_function and not starred and not _function_called():
                parts = dict(zip(names, args, strict=False))
                parts |= {keyword.arg: keyword.value for keyword in keywords if keyword.arg}
    written = {name: ast.unparse(part) for name, part in parts.items()}
    return {name: text for name, text in written.items() if len(text) <= 40}


def _parsed(code: str) -> Any:
    try:
        [node] = ast.parse(code).body
    except (SyntaxError, ValueError):
        return None
    return node.value if isinstance(node, ast.Expr) else node


def _code(frame: FrameType) -> str:
    """The expression or statement that a frame has come to; "" where its source is not there."""
    positions = itertools.islice(frame.f_code.co_positions(), frame.f_lasti // 2, None)
    first, last, start, end = next(positions)
    lines = linecache.getlines(frame.f_code.co_filename, frame.f_globals)
    if first is None or last is None or not last <= len(lines):
        return ""
    code = [line.encode() for line in lines[first - 1 : last]]  # columns are of bytes
    code[-1] = code[-1][:end]
    code[0] = code[0][start:]
    return b"".join(code).decode(errors="replace")


def caller_writes_to_an_array() -> bool:
    """Whether the line that asked a Tensor for a number is at `a[...] = tensor`."""
    frame = sys._getframe(2)
    return dis.opname[frame.f_code.co_code[frame.f_lasti]] == "STORE_SUBSCR"


def user_place() -> Place:
    """The innermost instruction outside GradNerve."""
    frame = sys._getframe(1)
    while frame.f_back is not None and _is_inside(frame.f_code.co_filename):
        frame = frame.f_back
    return frame.f_code, frame.f_lasti, frame.f_lineno


def is_only_looked_at(place: Place) -> bool:
    """Whether what a call at this place returns is just compared, or shown: nothing depends on it.

    As in `while float(error) > tolerance:` and `print(float(loss))`.
    """
    code, last, _ = place
    following = (step.opname for step in dis.get_instructions(code) if step.offset > last)
    passing = ("LOAD", "PUSH", "PRECALL", "CALL", "CACHE", "KW_NAMES", "BUILD", "COPY", "NOP")
    use = next((name for name in following if not name.startswith(passing)), "")
    return use.startswith(("COMPARE", "CONTAINS", "FORMAT", "POP_TOP", "POP_JUMP", "TO_BOOL"))


def at(line: tuple[str, int]) -> str:
    """A line for the reader: ``train.py:12 (`loss = f(x)`)``."""
    filename, number = line
    source = linecache.getline(filename, number).strip()
    return f"{Path(filename).name}:{number}" + (f" (`{source}`)" if source else "")


def _is_inside(filename: str) -> bool:
    return filename.startswith(PACKAGE) or filename.endswith(("contextlib.py", "functools.py"))


def nearest(name: str, known: Iterable[str]) -> str:
    """` Did you mean 'weight'?`, or nothing when no known name is near."""
    import difflib  # here, as most programs never need it

    found = difflib.get_close_matches(name, list(known), n=1)
    return f" Did you mean {found[0]!r}?" if found else ""


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


# --- Backward -------------------------------------------------------------------------------------


def no_path(root: Any) -> str:
    message = "backward(): no path leads from this tensor to one with requires_grad=True."
    record = root._record
    if record is not None:
        return message + (
            f" It was cut by {record.by} at {at(record.line)}. Compute what you differentiate "
            "without it."
        )
    return message + (
        " Nothing it was computed from requires grad. Make the parameters with "
        "gn.Tensor(..., requires_grad=True), before they are used; and note that .data, .numpy(), "
        "float() and gn.Tensor(array) lead out of the graph."
    )


def not_a_scalar(shape: tuple[int, ...]) -> str:
    return (
        f"backward() starts from a single number, but this tensor has shape {shape}. Write "
        f".sum().backward() or .mean().backward(); or pass gradient=, an array of shape {shape} "
        "that weighs the elements."
    )


def gradient_shape(got: tuple[int, ...], expected: tuple[int, ...]) -> str:
    return f"backward(gradient=...) has shape {got}, but the tensor has shape {expected}"


def freed(record: Any) -> str:
    return (
        f"backward() came to the result of `{record.operator.name}`, whose values were freed by "
        f"the backward() at {at(record.line)}. Usually a tensor kept from an earlier step (a "
        "hidden state, a running loss) leads back into a graph that is done with: h = h.detach() "
        "before it is used again. Two losses of one graph: add them, then call backward() once. "
        "backward(retain_graph=True) keeps the values, but is rarely right."
    )


def no_gradient_yet(operator: str) -> str:
    return (
        "_backward() passes on this tensor's .grad, which is None: it is the result of "
        f"`{operator}`, and nothing has reached it. Start at the end: loss.grad = "
        "np.ones_like(loss.data), then call _backward() on each tensor, last made first."
    )


# --- Transforms -----------------------------------------------------------------------------------


def not_differentiable(value: Any) -> str:
    if hasattr(value, "dtype"):
        return (
            f"cannot differentiate by an argument of {value.dtype}: small changes, which a "
            "derivative is about, exist only for floating point. Write 3.0, not 3; or leave the "
            "argument out of argnums."
        )
    if isinstance(value, (bool, int)):
        return (
            f"cannot differentiate by {value!r}, which is no floating point number: write 3.0, "
            "not 3; or leave the argument out of argnums"
        )
    return (
        f"cannot differentiate by a {type(value).__name__}: arguments are numbers, arrays, "
        "Tensors, Modules, and dicts, lists and tuples of them. Leave it out of argnums, or "
        "close over it."
    )


def at_path(path: Sequence[Any], error: Exception) -> str:
    """An error about a part of a tree, with the keys that lead to it from the argument."""
    if len(path) < 2:  # the argument itself
        return str(error)
    return "argument" + "".join(f"[{key!r}]" for key in path[1:]) + f": {error}"


def not_an_output(value: Any) -> str:
    return f"the function returned {type(value).__name__}, not arrays or Tensors, or a tree of them"


def not_one_number(out: Any) -> str:
    if hasattr(out, "dtype"):
        what = f"{out.dtype} of shape {tuple(out.shape)}"
        hint = " Take .sum() or .mean(); for all derivatives use gn.jacobian."
        if out.dtype == bool:
            hint = " What is true or false has no derivative; return a number."
        elif out.size == 1:
            hint = " Take what is to be made small, such as gn.abs(z) or gn.real(z)."
    else:
        what = f"a {type(out).__name__}"
        hint = " To hand more through, use has_aux=True; for several outputs use gn.vjp."
    return f"a gradient is of one real number, but the function returned {what}.{hint}"


def other_shape(what: str, got: Any, of: str, expected: Any) -> str:
    return f"a {what} of shape {tuple(got)} for an {of} of shape {tuple(expected)}".replace(
        "an primal", "a primal"
    )


def no_such_argument(n: int, count: int) -> str:
    if count == 0:
        return (
            f"argnums has {n}, but the function was called without an argument by position: "
            "transforms differentiate by those, not by keyword ones"
        )
    numbers = (
        "1 argument by position, number 0"
        if count == 1
        else (f"{count} arguments by position, numbers 0 to {count - 1}")
    )
    return f"argnums has {n}, but the function was called with {numbers}"


def bad_argnums(argnums: Any) -> str:
    return (
        f"argnums says by which arguments, counted from 0: a number or a tuple of numbers, not "
        f"{argnums!r}"
    )


def not_a_function(transform: str, f: Any) -> str:
    message = f"gn.{transform} takes a function, got a {type(f).__name__}."
    if hasattr(f, "backward"):
        return message + (
            f" Of a value that is computed already, use value.backward() and .grad; or write "
            f"gn.{transform}(lambda x: ...)."
        )
    return message + f" Write gn.{transform}(lambda x: ...)."


def not_tuples(transform: str) -> str:
    return (
        f"{transform}: primals and tangents are tuples, with an entry for each argument of the "
        f"function. For one argument write gn.{transform}(f, (x,), (v,))."
    )


def other_structure(what: str, got: Any, of: str, expected: Any) -> str:
    got, expected = (str(s).removeprefix("PyTreeSpec(")[:-1] for s in (got, expected))
    return (
        f"the {what} is built as {got}, but the {of} as {expected} (* stands for an array): "
        "give them the same tuples, lists and dicts"
    )


def too_large(shape: tuple[int, ...], dtype: Any, size: int, memory: int) -> str:
    return (
        f"this Jacobian would be {dtype} of shape {shape}: {size / 2**30:,.1f} GiB, and the "
        f"machine has {memory / 2**30:,.1f} GiB. Use gn.vjp or gn.jvp for its products with "
        "vectors."
    )


def fwd_gave(name: str, pair: Any) -> str:
    return (
        f"{name}: fwd is to return a pair, the value and the residuals, and returned "
        f"{_what_was_returned(pair)}"
    )


def bwd_gave(name: str, count: int, given: Any) -> str:
    return (
        f"{name}: bwd is to return a tuple of {count} cotangents, one for each argument (None for "
        f"one that has none), and returned {_what_was_returned(given)}"
    )


def _what_was_returned(value: Any) -> str:
    if isinstance(value, tuple):
        return f"a tuple of {len(value)}"
    return f"a {type(value).__name__} (a tuple of one is written `(ct,)`)"


def closes_over(name: str) -> str:
    return (
        f"{name} closes over a tensor that requires grad, whose gradient its rule does not give: "
        "hand it over as an argument"
    )


def computed_something_else(f: Any) -> str:
    name = getattr(f, "__name__", type(f).__name__)
    return (
        f"checkpoint: computed again in backward, {name} gives something else than it did before, "
        "so that the gradient would be wrong. Usually a tensor or an array that it uses was "
        f"changed in between, or {name} itself writes to one from outside. Hand over what changes "
        "as an argument, and return what is to be written"
    )


# --- Making and reading a Tensor ------------------------------------------------------------------


def cannot_require_grad(dtype: Any, data: Any) -> str:
    kind = getattr(dtype, "kind", "")
    example = "3.0, not 3"
    if kind in "iu" and data.size and data.ndim == 0:
        example = f"{int(data)}.0, not {int(data)}"
    return (
        f"a tensor of {dtype} cannot require grad: small changes, which a gradient is about, exist "
        f"only for floating point. Write {example}; or pass dtype='float64'."
    )


def not_an_array(data: Any) -> str:
    what = getattr(data, "dtype", None) or type(data).__name__
    return (
        f"cannot make a Tensor of {what}: it takes numbers, (nested) lists of "
        "numbers with equal lengths, or an array of them"
    )


MASKED = (
    "a masked array: gradients know no masks, and what the mask hides would take part. Write "
    "array.filled(value) for an array, and gn.where(array.mask, other, result) for the places."
)


def attached(what: str) -> str:
    return (
        f"{what} would take this tensor out of the graph, and its gradient would be lost in "
        "silence. If that is what you want, write t.detach() first; else use NumPy's or "
        "GradNerve's functions on the tensor itself, and for a list of tensors np.stack([...]) "
        "instead of np.array([...])."
    )


def not_a_shape(function: str, shape: Any) -> str:
    return (
        f"{function}: a shape is a whole number or a tuple of them, such as 3 or (2, 3), not "
        f"{shape!r}"
    )


def shape_in_parts(function: str, parts: Sequence[int]) -> str:
    return f"{function} takes the shape as one tuple: write {function}({tuple(parts)})"


def negative_shape(function: str, shape: Any) -> str:
    return f"{function}: no axis can have a negative length, but the shape is {shape}"


def how_many(function: str, num: Any) -> str:
    return f"{function}: num says how many numbers, 0 or more, not {num!r}"


def no_step(start: Any, stop: Any) -> str:
    return f"arange: with a step of 0 it never comes from {start} to {stop}"


def no_such_device(device: Any, library: str = "NumPy", known: Sequence[str] = ("cpu",)) -> str:
    if library == "NumPy":
        return f"device {device!r}: NumPy's arrays are on the device 'cpu', the only one"
    return f"device {device!r}: {library} has {', '.join(known)} on this machine"


def unknown_library(name: Any, known: Mapping[str, str]) -> str:
    return (
        f"{name!r} is no array library: there are {', '.join(map(repr, known))}, and devices as in "
        "'torch:cuda'"
    )


def not_installed(library: str, extra: str, error: ImportError) -> str:
    return f"{library} is not installed ({error}): pip install 'gradnerve[{extra}]'"


def no_such_dtype(library: str, dtype: Any) -> str:
    return (
        f"{library} has no arrays of {dtype}: convert first, with x.astype('float64') for example"
    )


def two_libraries(
    name: str, first: str, second: str, libraries: Sequence[str], spelled: Sequence[str]
) -> str:
    to, one = (libraries[0], second) if libraries[0] != "numpy" else (libraries[1], first)
    return (
        f"{name}: {first} is an array of {spelled[0]} and {second} one of {spelled[1]}; an "
        f"operator computes in one library. Move one of them: gn.to({one}, {to!r})"
    )


def two_devices(devices: Sequence[Any]) -> str:
    return (
        f"the arrays are on the devices {' and '.join(map(str, devices))}, and an operator "
        "computes on one. Move one of them, with gn.to(x, 'torch:cuda') for example"
    )


def not_moved(optimizer: str, data: Any) -> str:
    return (
        f"{optimizer}.update returned nothing, so the parameter was not moved: arrays of type "
        f"{type(data).__name__} never change. Return the new array: w - lr * g"
    )


def foreign_graph(kind: str) -> str:
    return (
        f"this {kind} is part of PyTorch's own graph (requires_grad=True), which would not see "
        "what GradNerve does with it: give x.detach(), and requires_grad=True to the Tensor"
    )


def no_such_standard(version: Any, known: Sequence[str]) -> str:
    return f"array API version {version!r}: there are {', '.join(known)}"


def ambiguous_truth(shape: tuple[int, ...]) -> str:
    return f"a tensor of shape {shape} is not simply true or false: write .any() or .all()"


COMPLEX_ROOT = (
    "backward() starts from a real number, but this tensor is complex. Take what is to be made "
    "small, such as gn.abs(z) or gn.real(z); or pass gradient=, the weight of each element."
)

ONE_ELEMENT = "{} needs a tensor with exactly one element, but this one has shape {}"


def write_to_leaf(operator: str) -> str:
    return (
        f"{operator} would overwrite a leaf that requires grad while operators are recorded. To "
        "update a parameter: with gn.no_grad(): w -= lr * w.grad; otherwise write w = w - ... for "
        "a new tensor, or w = w.clone() and then into that."
    )


def write_shape(operator: str, got: tuple[int, ...], expected: tuple[int, ...]) -> str:
    return f"{operator} cannot write a result of shape {got} into a tensor of shape {expected}"


def write_shape_of_value(got: Any, expected: tuple[int, ...]) -> str:
    return f"a value of shape {got} does not fit into x[key], which has shape {expected}"


WRITE_TO_RESULT = (
    "{} under no_grad() would overwrite a tensor that is an operator's result, behind the back of "
    "a graph that may need its value. Outside of no_grad() the write is recorded, and gradients "
    "stay right; or write into a copy that is not in the graph: t = t.detach().clone()."
)

WRITTEN_AND_FREED = (
    "backward() came to a value that a tensor had before it was written to (x[key] = ... or x += "
    "...), and whose graph was freed by an earlier backward(). Two losses of one graph: add them, "
    "then call backward() once."
)


def not_a_number_to_write(value: Any) -> str:
    kind = getattr(value, "dtype", type(value).__name__)
    return f"it takes a number, or an array or a list of them, not {kind}"


STOP_REQUIRING = (
    "requires_grad is set on leaves only; this tensor is an operator's result, and requires grad "
    "as what it was computed from does. For its value alone, use t.detach()."
)

COPY_OF_RESULT = (
    "only leaves can be copied deeply or pickled; this tensor is an operator's result, whose graph "
    "would have to go along. Copy t.detach() instead, or t.clone() to stay in the graph."
)


# --- Linear algebra -------------------------------------------------------------------------------

SINGULAR = (
    "{} is singular: it has no inverse, as its rows depend on one another. For the least-squares "
    "answer use gn.linalg.lstsq or gn.linalg.pinv; or add a small multiple of the identity."
)

NOT_DEFINITE = (
    "{} is not positive definite: it has an eigenvalue of 0 or below. A covariance that should be "
    "is helped by a small multiple of the identity: x + 1e-6 * gn.eye(n)."
)

NO_EIGENVALUES = "the eigenvalues of {} were not found: the algorithm did not converge."

NO_SINGULAR_VALUES = "the singular values of {} were not found: the algorithm did not converge."

NOT_FINITE = "an element is NaN or infinite, and so nothing can be computed. Find it with gn.isnan."

MULTI_DOT = "multi_dot: it takes a list of two matrices or more"


def failed_matrix(complaint: str, index: tuple[int, ...]) -> str:
    """Which matrix of a batch it is that a LAPACK function refuses, and why."""
    where = ", ".join(map(str, index))
    return complaint.format(f"the matrix x[{where}]" if index else "the matrix")


def matrix_exponent(n: Any) -> str:
    return (
        f"matrix_power: n has to be an integer, not {n!r}. Of a symmetric matrix any power is "
        "(V * L**n) @ V.mT, with L, V = gn.linalg.eigh(x)."
    )


def not_a_matrix(shape: tuple[int, ...]) -> str:
    return (
        f"it takes matrices, (..., M, N), and shape {tuple(shape)} has fewer than two axes. For a "
        "column write x[:, None], for a row x[None, :]."
    )


def not_square(shape: tuple[int, ...]) -> str:
    return (
        f"it takes square matrices, (..., N, N), but the last two axes of {tuple(shape)} differ. "
        "Where there are more equations than unknowns, or fewer, use gn.linalg.lstsq or pinv."
    )


def solve_shapes(a: tuple[int, ...], b: tuple[int, ...]) -> str:
    message = f"a matrix of shape {tuple(a)} has {a[-2]} rows, which does not fit {tuple(b)}:"
    message += f" the right side is a vector ({a[-2]},) or a matrix (..., {a[-2]}, K)."
    if len(b) > 1 and b[-1] == a[-2]:
        return message + " For a batch of vectors write b[..., None], and [..., 0] of the result."
    return message


def tensor_square(shape: tuple[int, ...], first: int) -> str:
    return (
        f"the first {first} axes of {tuple(shape)} need as many elements together as the others: "
        f"here they have {math.prod(shape[:first])} and {math.prod(shape[first:])}"
    )


def tensordot_axes(axes: Any, a: tuple[int, ...], b: tuple[int, ...]) -> str:
    return (
        f"tensordot: with axes={axes!r} the axes to be summed do not pair up in number and length "
        f"in shapes {tuple(a)} and {tuple(b)}. A number n means the last n of the first with the "
        "first n of the second; or give a pair of tuples, the axes of each."
    )


def vecdot_shapes(a: tuple[int, ...], b: tuple[int, ...], axis: int) -> str:
    return (
        f"along axis {axis} shapes {tuple(a)} and {tuple(b)} have {a[axis]} and {b[axis]} elements,"
        " which do not pair up"
    )


def outer_shapes(a: tuple[int, ...], b: tuple[int, ...]) -> str:
    return (
        f"outer: it takes two vectors, got shapes {tuple(a)} and {tuple(b)}. For batches write "
        "x1[..., :, None] * x2[..., None, :]."
    )


def cross_shapes(a: tuple[int, ...], b: tuple[int, ...], axis: int) -> str:
    return (
        f"cross: it takes vectors of three elements along axis {axis}, got shapes {tuple(a)} and "
        f"{tuple(b)}. In the plane it is x1[..., 0] * x2[..., 1] - x1[..., 1] * x2[..., 0]."
    )


def matrix_norm_ord(ord: Any) -> str:
    return f"matrix_norm: ord is 'fro', 'nuc', 1, -1, 2, -2, inf or -inf, not {ord!r}"


def vector_norm_ord(ord: str) -> str:
    return f"the ord of a vector's norm is a number, such as 1, 2 or inf; {ord!r} is of matrices"


def norm_axis(shape: tuple[int, ...]) -> str:
    return (
        f"norm: say along which axis (vectors) or two different axes (matrices) of an array of "
        f"shape {tuple(shape)} it is taken: axis=-1, or axis=(-2, -1)"
    )


def qr_mode(mode: Any) -> str:
    return f"mode is 'reduced' or 'complete', not {mode!r}"


def rank_deficient(operator: str, shape: tuple[int, ...]) -> str:
    return (
        f"{operator} has no derivative at this matrix of shape {tuple(shape)}: its first "
        f"{sorted(shape[-2:])[0]} columns depend on one another. A small random disturbance of the "
        "matrix makes them independent."
    )


def not_determined(operator: str, instead: str) -> str:
    return (
        f"the result depends on vectors that {operator} only adds to complete a basis. Any basis "
        f"of the rest would do, so they have no gradient: use {instead}."
    )


# --- Networks -------------------------------------------------------------------------------------


class LayerMismatch(ValueError):
    """A layer got an input that it cannot take. It says its own path in the model."""

    def __init__(self, function: str, complaint: str, shape: Sequence[int]):
        super().__init__(complaint)
        self.function, self.shape = function, tuple(shape)
        self.layer: Any = None  # the module, and its path in the model that was called
        self.layer_path = ""

    def __str__(self) -> str:
        name = f"`{self.layer_path}`" if self.layer_path else self.function
        if self.layer is not None:
            name = f"`{self.layer_path}` ({self.layer!r})" if self.layer_path else repr(self.layer)
        return f"{name} {self.args[0]} (input of shape {self.shape})"


def no_forward(kind: type) -> str:
    hint = nearest("forward", [name for name in vars(kind) if name != "forward"])
    return f"{kind.__name__} has no forward(): define def forward(self, x).{hint}"


def not_a_module(container: str, name: str, value: Any) -> str:
    if isinstance(value, type):
        return (
            f"{container}: {value.__name__} is a class; write {value.__name__}(...) to make a "
            "module of it"
        )
    return f"{container}: part {name} is {type(value).__name__}, not a module"


def state_keys(missing: list[str], unexpected: list[str]) -> str:
    near = {key: nearest(key, unexpected) for key in missing}
    lines = [f"missing {key!r}" + (f".{hint}" if hint else "") for key, hint in near.items()]
    lines += [f"unexpected {key!r}" for key in unexpected]
    return "the state dict does not fit this module: " + "; ".join(lines)


def not_a_state(state: Any) -> str:
    message = "load_state_dict takes arrays by their names, as state_dict() gives them, not {}"
    if isinstance(state, (str, Path)):
        return message.format("a path") + (
            f": load it first, load_state_dict(gradnerve.io.load_weights({str(state)!r}))"
        )
    return message.format(type(state).__name__)


def state_shapes(wrong: dict[str, tuple], of: str = "module") -> str:
    lines = [f"{key!r} is {got} where the {of} has {own}" for key, (got, own) in wrong.items()]
    return f"the state dict does not fit this {of}: " + "; ".join(lines)


def grad_shape(got: tuple[int, ...], expected: tuple[int, ...]) -> str:
    return f"this .grad has shape {got}, but its tensor has shape {expected}"


def write_dtype(operator: str, got: Any, expected: Any) -> str:
    return (
        f"{operator} cannot write a result of {got} into a tensor of {expected} without loss: use "
        f"x = x.astype({str(got)!r}) first"
    )


def loss_shapes(name: str, a: tuple[int, ...], b: tuple[int, ...]) -> str:
    message = f"{name}: input {a} and target {b} differ in shape"
    together = broadcast_shape(a, b)
    if together is not None and together not in (a, b):
        message += f", and would broadcast to {together}"
    if a == (*b, 1):
        return message + ". Write target[..., None] or input[..., 0]."
    if b == (*a, 1):
        return message + ". Write target[..., 0] or input[..., None]."
    return message + ". Reshape one of them; a loss compares element with element."


def broadcast_shape(a: tuple[int, ...], b: tuple[int, ...]) -> tuple[int, ...] | None:
    """The shape that two shapes make together; None where they do not fit."""
    if _misfit((a, b)) is not None:
        return None
    longest = max(len(a), len(b))
    a, b = (1,) * (longest - len(a)) + a, (1,) * (longest - len(b)) + b
    return tuple(m if n == 1 else n for n, m in zip(a, b, strict=True))


def target_shape(
    name: str, x: tuple[int, ...], target: tuple[int, ...], expected: tuple[int, ...]
) -> str:
    message = (
        f"{name}: for an input {x} the target is {expected} class numbers, got shape {target}."
    )
    if target == (*expected, 1):
        return message + " Write target[..., 0]."
    if target == x:
        return message + " Class probabilities, in the shape of the input, must be floating point."
    return message


def no_parameters(optimiser: str, module: Any, attributes: Mapping[str, Any]) -> str:
    import difflib  # here, as most programs never need it

    if module is None:
        return f"{optimiser} got no parameters: pass model.parameters(), or a list of Tensors"
    name = type(module).__name__
    parts = [f"{key} ({type(value).__name__})" for key, value in attributes.items()]
    message = f"{optimiser} got no parameters: {name} has no attributes."
    if parts:
        message = (
            f"{optimiser} got no parameters: of {name}'s attributes ({', '.join(parts)}) none is a "
            "Parameter, or a Module that has one."
        )
    methods = [
        m for m in vars(type(module)) if m not in ("__init__", "forward", "__module__", "__doc__")
    ]
    if "__init__" not in vars(type(module)) and (
        near := difflib.get_close_matches("__init__", methods, 1)
    ):
        message += f" Did you mean __init__ where {name} defines {near[0]}?"
    else:
        message += (
            " Make its weights with nn.Parameter(array) or layers such as nn.Linear, in __init__."
        )
    return message


def not_parameters(optimiser: str, given: Any) -> str:
    if hasattr(given, "parameters"):
        return (
            f"{optimiser} takes parameters, not a module: pass "
            f"{type(given).__name__.lower()}.parameters()"
        )
    if hasattr(given, "backward"):
        return f"{optimiser} takes a list of Tensors: pass [tensor]"
    return f"{optimiser} takes Tensors that require grad, got {type(given).__name__}"


def not_a_leaf(optimiser: str, position: int) -> str:
    return (
        f"{optimiser}: parameter {position} is an operator's result, not a leaf: it is computed "
        "anew in each step, so changing it changes nothing. Pass what it is computed from."
    )


def twice(optimiser: str, position: int) -> str:
    return (
        f"{optimiser}: parameter {position} was given before; it would be updated twice in each "
        "step"
    )


def bad_number(optimiser: str, name: str, value: Any, wanted: str) -> str:
    return f"{optimiser}: {name} must be {wanted}, got {value!r}"


def no_group(optimiser: str, given: Any) -> str:
    got = f"keys {sorted(map(str, given))}" if hasattr(given, "keys") else type(given).__name__
    return (
        f'{optimiser}: a group of parameters is a dict, {{"params": [...], "lr": 0.1}}, with the '
        f"parameters and the options that it has of its own; got {got}"
    )


def not_an_optimizers_state(optimiser: str, given: Any) -> str:
    return (
        f"{optimiser}.load_state_dict takes what an optimiser's state_dict() returns, with "
        f'"state" and "param_groups"; got {type(given).__name__}'
    )


def state_groups(optimiser: str, got: list[int], own: list[int]) -> str:
    return (
        f"the state dict is of another {optimiser}: its groups have {got} parameters, this one's "
        f"{own}. Make the optimiser with the same parameters, in the same groups, then load."
    )


NESTEROV = "SGD: Nesterov's step needs a momentum, and no dampening: SGD(..., momentum=0.9)"

ONE_GROUP = "LBFGS takes all parameters as one vector: there is only one group of them"

NO_CLOSURE = (
    "LBFGS evaluates the loss several times in a step: optimizer.step(closure), where closure() "
    "forgets the gradients, computes the loss, calls backward() and returns the loss"
)


def no_matrix(shape: tuple[int, ...], dtype: Any) -> str:
    return (
        f"Muon moves real matrices, but a parameter has shape {shape} and dtype {dtype}: give "
        "biases, embeddings and such to another optimiser, AdamW for example"
    )


def no_optimizer(schedule: str, given: Any) -> str:
    return f"{schedule} takes an optimiser of gn.optim first, got {type(given).__name__}"


def no_initial_lr(schedule: str) -> str:
    return (
        f"{schedule}: with last_epoch= a run goes on, but the optimiser's groups have no "
        "'initial_lr': load the optimiser's state dict first, or leave last_epoch at -1"
    )


SCHEDULE_IN_JIT = (
    "a schedule's step() has no place in compiled code: call it after the compiled step. The "
    "learning rate is an argument of that, so a new one compiles nothing anew."
)


def no_momentum(optimiser: str) -> str:
    return f"OneCycleLR changes the momentum, but {optimiser} has none: pass cycle_momentum=False"


def cycle_over(steps: int) -> str:
    return f"OneCycleLR has come to its end: it was made for {steps} steps"


def group_values(name: str, got: int, groups: int) -> str:
    return f"{name} has {got} values, but the optimiser has {groups} groups of parameters"


def no_schedules(name: str) -> str:
    return f"{name} needs at least one schedule"


def no_such_schedule(name: str, position: int, given: Any) -> str:
    return (
        f"{name}: number {position} is a {type(given).__name__}; it takes schedules whose step() "
        "wants no metric"
    )


def other_optimizer(name: str, position: int) -> str:
    return f"{name}: schedule {position} is of another optimiser"


def no_model(name: str, given: Any) -> str:
    return f"{name} takes a Module, got {type(given).__name__}"


def norm_not_finite(norm: float) -> str:
    return (
        f"clip_grad_norm_: the norm of the gradients is {norm}, and cannot be brought to another; "
        "gn.debug_mode() tells where it came from"
    )


def vector_size(got: int, own: int) -> str:
    return f"vector_to_parameters: the vector has {got} elements, the parameters {own}"


# --- Checks ---------------------------------------------------------------------------------------


def wrong_gradient(
    i: int, name: str | None, shape: tuple, element: tuple | None, got: float, expected: float,
    blame: str, kink: tuple[float, float] | None,
) -> str:  # fmt: skip
    who = f"input {i}" + (f" ({name!r})" if name else "") + f" of shape {shape}"
    where = "along a random direction" if element is None else f"at element {element}"
    message = (
        f"the gradient by {who} is wrong {where}: the rules give {got:.8g}, "
        f"finite differences {expected:.8g}."
    )
    if blame:
        message += f" The operator most likely to blame is {blame}."
    if kink is not None:
        return message + (
            f" But to the left and to the right the differences are {kink[0]:.4g} and "
            f"{kink[1]:.4g}: the function has a kink or a jump here, where a gradient is a choice "
            "(check beside it), or bends within eps."
        )
    if blame:
        return message
    return (
        message
        + " Each operator's own rule agrees with its finite difference: is the function smooth?"
    )


def changes_by_itself(f: Any) -> str:
    name = getattr(f, "__name__", "the function")
    return (
        f"gradcheck: {name} gives something else when it is called again with the same inputs, so "
        "there is no difference to compare with. Draw its random numbers before, and hand them in."
    )


def born(
    operator: str, names: Sequence[str], args: Sequence[Any], kind: tuple, line: tuple[str, int]
) -> str:
    message = f"{operator} made {kind[0]} at element {kind[1]}, {at(line)}, of finite operands:"
    for name, arg in zip(names, args, strict=False):
        if _is_array(arg):
            message += f"\n  {name}: {describe(arg)}, {_range(arg)}"
        elif isinstance(arg, (int, float)):
            message += f"\n  {name}: {arg}"
    return message


def came_in(operator: str, name: str, arg: Any, kind: tuple, line: tuple[str, int]) -> str:
    what = describe(arg) if _is_array(arg) else repr(arg)
    return (
        f"{operator} was given a {kind[0]}, {at(line)}: {name} ({what}) has it at element "
        f"{kind[1]}. No operator made it: it came in with the data or with a parameter."
    )


def born_backward(operator: str, kind: tuple, parent: Any, line: tuple[str, int] | None) -> str:
    where = f" at {at(line)}" if line else ""
    return (
        f"backward through `{operator}`{where} made {kind[0]} at element {kind[1]} of the gradient "
        f"of its input ({describe(parent)}, {_range(parent)}). Where the derivative is infinite "
        "(sqrt at 0, log at 0, x / 0), keep away from that point: gn.sqrt(x + 1e-12)."
    )


def changed_in_place(
    operator: str, name: str, value: Any, saved: tuple[str, int], changed: tuple[str, int]
) -> str:
    by = f"changed in place at {at(changed)}" if changed[0] else "changed in place since"
    label = f" ({value.name!r})" if getattr(value, "name", None) else ""
    return (
        f"backward needs {name}{label} of `{operator}`, which was saved at {at(saved)}, but it was "
        f"{by}: the gradient would be wrong. Change it after backward(), or write a new array (x = "
        "x + 1)."
    )


def became_a_number(place: Place, tensor: Any, everything: bool) -> str:
    label = f" ({tensor.name!r})" if getattr(tensor, "name", None) else ""
    lost = (
        "nothing that the function returns depends on its arguments in any other way, so its "
        "gradient would be 0"
        if everything
        else "what is computed from that number is a constant to the gradient"
    )
    return (
        f"{at((place[0].co_filename, place[2]))} makes a Python number of a traced tensor{label}: "
        f"{lost}. Compute with the tensor: x * 2, not float(x) * 2; gn.sin(x), not math.sin(x). "
        "Where a constant is meant, say so: float(gn.stop_gradient(x))."
    )


def changed_since(operator: str, name: str, value: Any, line: tuple[str, int]) -> str:
    label = f" ({value.name!r})" if getattr(value, "name", None) else ""
    return (
        f"backward needs {name}{label} of `{operator}`, but {at(line)} has changed it in place "
        "since: the gradient would be wrong. Change it after backward(), or make a new array: "
        "b = b * 2, not b *= 2."
    )


def outer_broadcast(
    operator: str, a: tuple[int, ...], b: tuple[int, ...], line: tuple[str, int]
) -> str:
    n = max(a)
    return (
        f"{operator} broadcasts {a} and {b} to ({n}, {n}), {at(line)}: every element of one with "
        "every element of the other. If they belong together element by element, reshape one: y[:, "
        "None]."
    )


def _range(arg: Any) -> str:
    data = getattr(arg, "_data", arg)
    return f"from {data.min():.4g} to {data.max():.4g}" if data.size else "empty"


# --- gn.jit ---------------------------------------------------------------------------------------


def _called(f: Any) -> str:
    return getattr(f, "__name__", type(f).__name__) + "()"


def jit_of_a_result(where: str, tensor: Any) -> str:
    return (
        f"{where} of a compiled function is the result of `{tensor._record[0].name}`, and "
        "gradients cannot flow from compiled code into the graph outside. Compute it inside the "
        "function, or give it x.detach()."
    )


def jit_unhashable(where: str, value: Any) -> str:
    return (
        f"{where} of a compiled function is a {type(value).__name__}, which is neither a tree of "
        "arrays (a list, tuple, dict, Tensor, Module) nor hashable, so that the compiled code "
        "could not be told from that for another value."
    )


def jit_closure(function: str, name: str, value: Any) -> str:
    return (
        f"{function}() is compiled, and uses {name!r} ({type(value).__name__}) from outside: its "
        f"arrays would be constants of the code, and never change. Give it as an argument: "
        f"{function}({name}, ...)."
    )


def jit_outside(tensor: Any) -> str:
    return (
        f"backward() in a compiled function reaches a tensor that the function was not given "
        f"({describe(tensor)}): its .grad could not be written back. Give it, or the Module that "
        "it is part of, as an argument."
    )


def jit_leak(f: Any, tensor: Any) -> str:
    return (
        f"{_called(f)} is compiled, and has left a tensor ({describe(tensor)}) outside, in a list, "
        "a global, an attribute or a tensor that it was not given. It has no value: the function "
        "runs in Python only once. Return it instead."
    )


def jit_many_shapes(f: Any, name: str, count: int) -> str:
    return (
        f"{_called(f)} is compiled for the {count}th time, as the shape of {name} is another one "
        "again. Each compilation takes far longer than a call: pad to a fixed shape, or drop the "
        "last, smaller batch."
    )


def jit_explained(error: Exception, f: Any) -> str | None:
    """What an error of JAX's means to who wrote f; None for an error that is not JAX's."""
    import jax.errors as of_jax

    cause: Any = None
    link: BaseException | None = error
    while link is not None:  # the first error of JAX's: later ones came of handling it
        cause = link if type(link).__module__.startswith("jax") else cause
        link = link.__cause__ or link.__context__
    kinds = {
        of_jax.TracerBoolConversionError: (
            "decides by a value",
            "For one value or another write gn.where(condition, a, b); for code that is run or "
            "not, or again and again, gn.cond, gn.while_loop, gn.scan.",
        ),
        of_jax.TracerIntegerConversionError: (
            "needs a whole number: for a length, an index, range()",
            "Take lengths from shapes, x.shape[0]; index with a tensor; loop with gn.scan.",
        ),
        of_jax.NonConcreteBooleanIndexError: (
            "makes a result whose shape depends on values",
            "Keep the shape: gn.where(mask, x, 0).",
        ),
        of_jax.TracerArrayConversionError: (
            "makes a NumPy array of a value",
            "Call GradNerve's functions: gn.sin(x). (NumPy's work on Tensors, but not on the plain "
            "arrays in here, which are JAX's.)",
        ),
        of_jax.ConcretizationTypeError: (
            "makes a Python number of a value",
            "Compute with the tensor itself; to look at it, return it.",
        ),
        of_jax.UnexpectedTracerError: (
            "uses a tensor that was left over from another compilation",
            "Return what is needed later.",
        ),
    }
    what, cure = next((v for k, v in kinds.items() if isinstance(cause, k)), ("", ""))
    if not what:
        return None
    if type(error) in (TypeError, ValueError):
        what = "writes a value into an array that the function was not given"
        cure = "Give it as a Tensor among the arguments, or return the value."
    line = _users_line_of(error)
    where = at(line) if line[0] else _called(f)
    return (
        f"{where} {what}. {_called(f)} is compiled by gn.jit: it runs in Python only once, before "
        f"there are values. {cure}"
    )


def _users_line_of(error: Exception) -> tuple[str, int]:
    """The innermost line of a traceback that is neither GradNerve's nor a library's."""
    line = ("", 0)
    traceback = error.__traceback__
    while traceback is not None:
        filename = traceback.tb_frame.f_code.co_filename
        if not (_is_inside(filename) or "site-packages" in filename):
            line = filename, traceback.tb_lineno
        traceback = traceback.tb_next
    return line


def scan_pair(value: Any) -> str:
    return (
        f"scan: f returns a pair (the next carry, what is kept of this round), not "
        f"{_kind_of(value)}; where nothing is kept, (carry, None)"
    )


def scan_lengths(lengths: Iterable[Any]) -> str:
    found = sorted(map(str, lengths))
    if not found:
        return "scan: how often? Give xs, or length="
    if "None" in found:
        return "scan: xs are arrays whose first axis is the loop's; a single number has no axis"
    return f"scan: the first axes of xs, and length, are to agree; they are {', '.join(found)}"


def other_carry(name: str, before: Any, after: Any) -> str:
    return (
        f"{name}: each round gets what the one before returned, so f has to return what is like "
        f"what it got; it got {before}, and returned {after}"
    )


def other_branch(first: Any, shapes: Any, second: Any, others: Any) -> str:
    if first != second:
        return f"cond: the branches return different structures: {first} and {second}"
    pairs = zip(shapes, others, strict=True)
    a, b = next((a, b) for a, b in pairs if a != b)
    return (
        f"cond: the branches return different arrays: {a[1]} of shape {a[0]}, and {b[1]} of shape "
        f"{b[0]}"
    )


def one_value(name: str, shape: tuple[int, ...]) -> str:
    return (
        f"{name}: the condition is one value, not an array of shape {tuple(shape)}: reduce it by "
        "gn.all or gn.any, or choose element by element with gn.where(condition, a, b)"
    )


WHILE_GRADIENT = (
    "while_loop in compiled code has no gradient: how many rounds there are, and so how much would "
    "have to be kept for backward, is not known. Use gn.scan with a fixed number of rounds, or "
    "gn.no_grad() around the loop."
)


def _kind_of(value: Any) -> str:
    if isinstance(value, tuple):
        return f"a tuple of {len(value)}"
    return f"a {type(value).__name__}"


# --- Many devices ---------------------------------------------------------------------------------


def _mesh(axes: Mapping[str, int]) -> str:
    return f"mesh({', '.join(f'{name}={size}' for name, size in axes.items())})"


def mesh_too_large(axes: Mapping[str, int], devices: int) -> str:
    """More devices than there are, or a number that is none."""
    if min(axes.values()) < -1 or 0 in axes.values() or list(axes.values()).count(-1) > 1:
        return f"{_mesh(axes)}: sizes are 1 or more; a single one may be -1, for what is left"
    return (
        f"{_mesh(axes)} needs more devices than there are: JAX sees {devices}. To try it on the "
        "CPU, set XLA_FLAGS=--xla_force_host_platform_device_count=8 in the environment before "
        "Python starts"
    )


def mesh_of_no_numbers(axes: Mapping[str, Any]) -> str:
    """mesh(data=2.0)."""
    given = ", ".join(f"{name}={size!r}" for name, size in axes.items())
    return f"mesh({given}): sizes are whole numbers, as in mesh(data=4, model=2)"


def mesh_does_not_divide(axes: Mapping[str, int], devices: int) -> str:
    """-1 for what is left, and something is left over."""
    return (
        f"{_mesh(axes)}: the {devices} devices do not divide by the other sizes; say how many to "
        "take, without -1"
    )


def no_mesh(name: str, value: Any) -> str:
    """Something else in the place of a mesh."""
    return (
        f"{name} takes a mesh, as gn.distributed.mesh(data=4, model=2) makes one, not "
        f"{type(value).__name__}"
    )


def no_place_rule(rule: Any) -> str:
    """shard() with something else than pairs of a pattern and mesh axes."""
    return (
        'rules are a dict, or pairs, of patterns and mesh axes, as {"*.weight": ("model", None)}, '
        f"or with one axis as a string; not {rule!r}"
    )


def mesh_axis_twice(name: str, axis: str) -> str:
    """A rule that cuts two axes along one of the mesh."""
    return f"the rule for {name!r} has {axis!r} twice: a mesh axis can cut one axis of a parameter"


def mesh_too_small(axes: Mapping[str, int], needed: int, devices: int) -> str:
    """Several processes, and a mesh without the devices of some."""
    return (
        f"{_mesh(axes)} has {needed} of the {devices} devices of all processes; each process has "
        f"to take part: make the sizes' product {devices}, or one of them -1"
    )


def nothing_to_shard(thing: Any) -> str:
    """shard() of what has no Tensors in it."""
    return (
        "shard takes a Module, an optimiser, or a dict or list with Modules or Tensors in it; "
        f"there is no Tensor in this {type(thing).__name__}"
    )


def rule_matches_nothing(pattern: str, names: Sequence[str]) -> str:
    """A rule for a parameter that there is not."""
    shown = ", ".join(names[:8]) + (", ..." if len(names) > 8 else "")
    return f"no parameter matches the rule {pattern!r}; there are {shown}.{nearest(pattern, names)}"


def rule_too_long(name: str, shape: tuple[int, ...], axes: Sequence[Any]) -> str:
    """A rule with more entries than a parameter has axes."""
    return (
        f"the rule for {name!r} says where {len(axes)} axes go, {tuple(axes)}; it has "
        f"{len(shape)}, {shape}"
    )


def no_such_mesh_axis(name: str, axis: str, axes: Sequence[str]) -> str:
    """A mesh axis that the mesh has not."""
    known = ", ".join(map(repr, axes))
    return f"{name}: the mesh has no axis {axis!r}; it has {known}.{nearest(axis, axes)}"


def does_not_divide(name: str, shape: tuple[int, ...], size: int, count: int, axis: Any) -> str:
    """A parameter that cannot be cut evenly."""
    return (
        f"{name!r} is {shape}: its axis of {size} does not divide into {count} parts along "
        f"{axis!r}; change its size, or leave it whole"
    )


def rules_for_optimizer() -> str:
    """shard(optimizer, mesh, rules)."""
    return (
        "an optimiser's state goes where its parameters are, and takes no rules: "
        "shard(model, mesh, rules), then shard(optimizer, mesh)"
    )


def parameters_not_on_mesh(optimiser: str) -> str:
    """shard(optimizer) before shard(model)."""
    return (
        f"the parameters of this {optimiser} are not on the mesh yet: shard(model, mesh) first, "
        "then shard(optimizer, mesh)"
    )


def not_on_a_mesh(name: str) -> str:
    """save() or restore() of what shard() has not placed."""
    return (
        f"{name!r} is on no mesh: a checkpoint of many devices has what lies on a mesh, so "
        "shard(model, mesh) first, then shard(optimizer, mesh)"
    )


def not_a_later_step(step: int, last: int, folder: Any) -> str:
    """save() with a number that is taken, or passed."""
    return (
        f"save(..., step={step}): '{folder}' has a checkpoint of step {last} already; steps go "
        "upwards, so restore it and go on from there, or take another folder"
    )


def other_checkpoint(folder: Any, saved: Sequence[str], names: Sequence[str]) -> str:
    """restore() of another model's checkpoint."""
    missing = [name for name in names if name not in saved]
    extra = [name for name in saved if name not in names]
    parts = [f"there is no {name!r} in it.{nearest(name, extra)}" for name in missing[:3]]
    parts += [f"it has {name!r}, which is not asked for" for name in extra[:3]]
    return f"the checkpoint in '{folder}' is of something else: {'; '.join(parts)}"


def other_size(folder: Any, name: str, saved: tuple[int, ...], shape: tuple[int, ...]) -> str:
    """restore() of a model of another size."""
    return f"the checkpoint in '{folder}' has {name!r} as {saved}, and it is to be {tuple(shape)}"


def batch_does_not_divide(shape: tuple[int, ...], parts: int, axis: str) -> str:
    """A batch that cannot be cut evenly."""
    if not shape:
        return "shard_batch cuts the first axis of an array, and this one has none"
    size = shape[0]
    near = " or ".join(str(n) for n in (size - size % parts, size + parts - size % parts) if n)
    return (
        f"a batch of {size} does not divide into {parts} parts along {axis!r}: take {near}; "
        "DataLoader(..., drop_last=True) leaves a smaller last batch out"
    )


def bad_coordinator(address: str) -> str:
    """An address that is none."""
    return f"the coordinator's address is HOST:PORT, as in 127.0.0.1:5555, not {address!r}"


def bad_process(process: int, processes: int) -> str:
    """A number of a process that there cannot be."""
    if processes < 1:
        return f"there is at least one process, not {processes}"
    return f"{processes} processes have the numbers 0 to {processes - 1}; there is no {process}"


def port_in_use(port: int, error: OSError) -> str:
    """Process 0 cannot listen."""
    return (
        f"process 0 cannot listen at port {port} ({error.strerror}): another program does, or an "
        "earlier run that has not ended; take another port, for all processes"
    )


def no_such_host(host: str) -> str:
    """A name that no machine has."""
    return f"there is no machine {host!r}: check the coordinator's address"


def no_coordinator(host: str, port: int, timeout: float, error: OSError) -> str:
    """Process 0 is not where it should be."""
    return (
        f"no coordinator at {host}:{port} after {timeout:g} s ({error.strerror or error}): is "
        "process 0 running, on that machine, with that port?"
    )


def joined_late(error: RuntimeError) -> str:
    """join() after JAX has computed something, or twice."""
    return (
        "join has to be called once, and before anything that JAX computes: make it the first line "
        f"after the imports ({str(error).splitlines()[0][:200]})"
    )


def not_all_came(at: str, process: int, processes: int, timeout: float, left: float) -> str:
    """Fewer processes than were announced; or two with one number, of which one notices at once."""
    if left > 0:
        return (
            f"another process has number {process} too, or process 0 has stopped: start one of "
            f"each number from 0 to {processes - 1}"
        )
    return (
        f"not all of {processes} processes were at {at} after {timeout:g} s: start the same "
        f"command once, and only once, for each number from 0 to {processes - 1}"
    )


def did_not_come(process: int, timeout: float) -> str:
    """A process that joined, and then did nothing."""
    return f"process {process} has joined, but was not ready after {timeout:g} s; see its messages"


def has_left(process: int, reason: str) -> str:
    """A process that stopped before the start."""
    return f"process {process} has stopped: {reason}"


def other_settings(name: str, value: Any, process: int, other: Any) -> str:
    """Two processes that would not compute the same."""
    return (
        f"the processes do not agree on {name}: process 0 has {value}, process {process} has "
        f"{other}; start all with the same command and the same data"
    )


def process_gone(text: str = "") -> str:
    """Another process cannot be reached any more."""
    return (
        "another process has stopped, hangs, cannot be reached any more, or was started twice, so "
        "this one stops too; see the others' messages. A run goes on from its last whole epoch, "
        f"with --resume{text and f' ({text.splitlines()[0][:200]})'}"
    )
