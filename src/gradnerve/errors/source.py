"""Where the user is: the line that called us, and what stands in it."""

from __future__ import annotations

import ast
import dis
import itertools
import linecache
import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import CodeType, FrameType, ModuleType
from typing import Any

PACKAGE = str(Path(__file__).parents[1]) + os.sep

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
