"""Writing: what a tensor was before `x[key] = value` or `x += y`.

A tensor that is written to takes the place in the graph of the write's result: it gets that
result's record and number. What it was before goes to a hidden tensor, an argument of the write.
Other tensors' records still hold the tensor itself. Those that were computed before the write have
a higher number than it has now, and so a walk knows that they mean what it was before.

A write outside of the graph goes into the array itself. Where an operator has used that array
before, backward would compute with values that are no longer there: `check_unchanged` raises.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any
from weakref import ref

from gradnerve import errors
from gradnerve.backends import libraries

if TYPE_CHECKING:
    from gradnerve.graph import Record
    from gradnerve.operators import Operator
    from gradnerve.tensor import Tensor
else:
    Tensor = None  # tensor.py stands above this file, and puts its class here

written: set[ref[Tensor]] = set()
"""The tensors that were written to as part of a graph (`become`), as long as they live."""

changes: dict[int, tuple[int, tuple[str, int], Any]] = {}
"""Arrays that were written to themselves, by id: when, where, and a link that ends the entry."""

latest = 1
"""When an array was last written to; no tensor has this number."""


def become(tensor: Tensor, op: Callable[..., Any], *args: Any) -> Tensor:
    """Make a tensor the result of `op(what it was before, *args)`; return what it was before."""
    before = object.__new__(Tensor)
    before._data, before._grad, before.name = tensor._data, tensor._grad, tensor.name
    before._requires_grad, before._record = tensor._requires_grad, tensor._record
    if tensor._requires_grad:
        before._number = tensor._number
    result = op(before, *(before if arg is tensor else arg for arg in args))
    _lead_to(before, tensor, args)

    if not hasattr(tensor, "_written"):
        tensor._written = []
        written.add(ref(tensor, written.discard))
    number = before._number if before._requires_grad else 1  # of none that is in the graph
    tensor._written.append((number, ref(before)))
    tensor._data, tensor._grad = result._data, None
    tensor._requires_grad, tensor._record = True, result._record
    tensor._number = result._number
    return before


def _lead_to(before: Tensor, tensor: Tensor, values: Sequence[Any]) -> None:
    """What is written may have been computed from the tensor: it shall lead to what that was.

    Otherwise the tensor would lead back to itself, and would not be freed when nobody holds it. A
    value that was computed before an earlier write is not looked at: this is not about gradients.
    """
    stack = list(values)
    seen = set()
    while stack:
        node = stack.pop()
        if not isinstance(node, Tensor) or type(node._record) is not tuple:
            continue
        number = node._number
        if number in seen or (before._requires_grad and number > before._number):
            continue
        seen.add(number)
        op, args, arrays = node._record
        if any(arg is tensor for arg in args):
            node._record = op, tuple(before if arg is tensor else arg for arg in args), arrays
        stack.extend(node._record[1])


def changed(arrays: Iterable[Any], number: int) -> None:
    """Note that arrays have just been written to; `number` is that of a tensor made now."""
    global latest
    latest = number
    line = errors.user_line()
    for array in arrays:
        whole = owner(array)
        known = changes.get(id(whole))
        link = known[2] if known and known[2]() is whole else ref(whole, _forgetting(id(whole)))
        changes[id(whole)] = number, line, link


def _forgetting(key: int) -> Callable[[Any], Any]:
    return lambda _: changes.pop(key, None)


def check_unchanged(tensor: Tensor, record: Record, seen: list[Any]) -> None:
    """Raise ChangedInPlace where a rule would see what was written after the tensor was made."""
    op, args, _ = record
    for place in (1, *range(3, len(seen))):
        array = getattr(seen[place], "_data", seen[place])
        number, line, _ = changes.get(id(owner(array)), (1, ("", 0), None))
        if number < tensor._number and looks_at(op, args, seen, place):
            i = place - 3
            name, arg = ("its result", tensor) if place == 1 else (op.name_of(i), args[i])
            raise errors.ChangedInPlace(errors.changed_since(op.name, name, arg, line))


def looks_at(op: Operator, args: tuple[Any, ...], seen: list[Any], place: int) -> bool:
    """Whether backward needs a value, of those that rules see, and not just its shape and dtype."""
    seen = [*seen[:place], Outline(seen[place]), *seen[place + 1 :]]
    try:
        rules = op.rules if op.joint is None else op.rules + op.joint_rules(args, seen)
        for position, rule, first, second in rules:
            if getattr(args[position], "_requires_grad", False):
                _ = rule(seen[first]) if second is None else rule(seen[first], seen[second])
    except Exception:  # the rule wanted what the outline does not have
        return True
    return False


class Outline:
    """What can be known of an array without its values."""

    __array_ufunc__ = None

    def __init__(self, array: Any):
        self.shape, self.dtype, self.ndim = array.shape, array.dtype, array.ndim

    def __array__(self, *_: Any, **__: Any) -> Any:
        raise TypeError("an outline has no values")

    def __eq__(self, other: object) -> Any:
        raise TypeError("an outline has no values")


def owner(array: Any) -> Any:
    """The array whose memory this one is, or views."""
    while type(base := getattr(array, "base", getattr(array, "_base", None))) in libraries:
        array = base
    return array


def as_it_was(tensor: Tensor, number: int) -> Tensor | None:
    """What a tensor was when the one of this number was computed from it.

    None if it did not require grad then, and is gone.
    """
    if not tensor._requires_grad or tensor._number > number:
        return tensor
    for then, link in reversed(getattr(tensor, "_written", ())):
        if then > number:
            before = link()
            if before is None and then <= 0:
                raise errors.GraphFreed(errors.WRITTEN_AND_FREED)
            return before
    return tensor  # a leaf that requires grad only since then


def requiring(record: Record, number: int) -> list[Tensor]:
    """What requires grad among the arguments of a record, as they were for the tensor's number."""
    then = (as_it_was(arg, number) for arg in record[1] if isinstance(arg, Tensor))
    return [arg for arg in then if arg is not None and arg._requires_grad]


def as_they_were(args: Sequence[Any], values: Sequence[Any], number: int) -> Sequence[Any]:
    """The arguments of a record, as they were when the tensor of this number was computed."""
    for i, arg in enumerate(args):
        if isinstance(arg, Tensor) and arg._requires_grad and arg._number < number:
            before = as_it_was(arg, number)
            args = (*args[:i], values[i] if before is None else before, *args[i + 1 :])
    return args
