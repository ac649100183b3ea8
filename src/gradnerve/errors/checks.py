"""Checks: gradcheck's and debug mode's findings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gradnerve.errors.operators import _is_array, describe
from gradnerve.errors.source import Place, at


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
