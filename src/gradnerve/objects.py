"""What objects are made of; and copies of Modules, with other Tensors in them.

A transform hands f a copy of a Module, with fresh Tensors as its parameters. Whatever else holds
the Module, or a part of it, has to be copied as well: bound methods, closures, lists, objects of
any class. Else they would compute with the old parameters, and the gradient be lost.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Iterable
from types import CellType, FunctionType, MemberDescriptorType, MethodType, ModuleType
from typing import Any

import numpy as np

from gradnerve.tensor import Tensor

ATOMS = frozenset((int, float, complex, bool, str, bytes, type(None), np.ndarray))


def attributes(thing: Any) -> dict[str, Any]:
    """The attributes that an object has of its own, in its slots and in its `__dict__`."""
    kind: Any = type(thing)
    slots = {name: getattr(thing, name) for name in _slots(kind) if hasattr(thing, name)}
    return slots | getattr(thing, "__dict__", {})


@functools.lru_cache(maxsize=1024)
def _slots(kind: type) -> tuple[str, ...]:
    """The names in `__slots__`, of the base classes too."""
    members = (pair for base in reversed(kind.__mro__) for pair in vars(base).items())
    return tuple(name for name, member in members if isinstance(member, MemberDescriptorType))


def is_module(value: Any) -> bool:
    """Whether it is a Module, by what it can do."""
    return hasattr(type(value), "named_parameters")


def parts(value: Any) -> Iterable[Any]:
    """What an object holds."""
    if isinstance(value, (list, tuple, set, frozenset)):
        return value
    if isinstance(value, dict):
        return value.values()
    if isinstance(value, MethodType):
        return (value.__self__,)
    if isinstance(value, functools.partial):
        return (value.func, *value.args, *value.keywords.values())
    if isinstance(value, FunctionType):
        options = (value.__kwdefaults__ or {}).values()
        return (*map(inside, value.__closure__ or ()), *(value.__defaults__ or ()), *options)
    if isinstance(value, (Tensor, type, ModuleType)):
        return ()
    return attributes(value).values()


def inside(cell: CellType) -> Any:
    """What a function closes over; None where nothing is in it yet."""
    try:
        return cell.cell_contents
    except ValueError:
        return None


class Substitution:
    """Makes copies of Modules, with `new[id(t)]` in the place of each tensor t.

    Copied is what is a Module, or leads to a Module or to one of those tensors. All else is shared.
    """

    def __init__(self, new: dict[int, Tensor]):
        self.new = new
        self.copies: dict[int, Any] = {}
        self.shared: set[int] = set()  # the ids of what leads to none of them

    def __call__(self, value: Any) -> Any:
        """The copy of an object, or the object itself."""
        if id(value) in self.new:
            return self.new[id(value)]
        if id(value) in self.copies:
            return self.copies[id(value)]
        if not self._is_copied(value):
            return value
        if isinstance(value, (list, dict)):
            made = self.copies[id(value)] = copy.copy(value)
            for key, part in value.items() if isinstance(value, dict) else enumerate(value):
                made[key] = self(part)
            return made
        if isinstance(value, tuple):
            items = [self(part) for part in value]
            return value._make(items) if hasattr(value, "_make") else tuple(items)
        if isinstance(value, (set, frozenset)):
            return type(value)(map(self, value))
        if isinstance(value, MethodType):
            return MethodType(value.__func__, self(value.__self__))
        if isinstance(value, functools.partial):
            args = [self(arg) for arg in value.args]
            options = {name: self(option) for name, option in value.keywords.items()}
            return functools.partial(self(value.func), *args, **options)
        if isinstance(value, FunctionType):
            return self._function(value)
        return self._object(value)

    def _is_copied(self, value: Any) -> bool:
        seen: set[int] = set()
        stack = [value]
        while stack:
            part = stack.pop()
            if id(part) in self.new or is_module(part):
                return True
            if id(part) not in seen and id(part) not in self.shared:
                seen.add(id(part))
                stack += [p for p in parts(part) if type(p) not in ATOMS]
        self.shared |= seen
        return False

    def _function(self, f: FunctionType) -> FunctionType:
        # A cell whose content stays the same is shared: the function may write to it.
        old = f.__closure__ or ()
        new = [CellType() if self._is_copied(inside(cell)) else cell for cell in old]
        made = FunctionType(f.__code__, f.__globals__, f.__name__, None, tuple(new))
        self.copies[id(f)] = made  # it may close over itself
        for before, cell in zip(old, new, strict=True):
            if cell is not before:
                cell.cell_contents = self(before.cell_contents)
        made.__defaults__, made.__kwdefaults__ = self(f.__defaults__), self(f.__kwdefaults__)
        vars(made).update(vars(f))
        return made

    def _object(self, value: Any) -> Any:
        try:
            made = object.__new__(type(value))
        except TypeError:  # of a type that is written in C
            return value
        self.copies[id(value)] = made
        own = getattr(value, "__dict__", {})
        for name, part in attributes(value).items():
            if name in own:
                vars(made)[name] = self(part)
            else:
                object.__setattr__(made, name, self(part))
        return made
