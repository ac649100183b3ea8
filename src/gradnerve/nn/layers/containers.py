"""Modules of modules: in a row, in a list, in a dict."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeVar

from gradnerve import errors
from gradnerve.nn.module import Module

__all__ = ["ModuleDict", "ModuleList", "Sequential"]

Self = TypeVar("Self", bound="_Row")


class _Row(Module):
    """Modules in an order. They are attributes named 0, 1, ..., or by names of their own."""

    def _named(self) -> dict[str, Module]:
        return {name: part for name, part in vars(self).items() if isinstance(part, Module)}

    def _fill(self, named: Mapping[str, Any]) -> None:
        """Have these modules, and no others."""
        for name, module in named.items():
            if not isinstance(module, Module):
                raise TypeError(errors.not_a_module(type(self).__name__, name, module))
        for name in self._named():
            delattr(self, name)
        for name, module in named.items():
            setattr(self, name, module)

    def _number(self, modules: Iterable[Any]) -> None:
        self._fill({str(i): module for i, module in enumerate(modules)})

    def _change(self, change: Callable[[list[tuple[str, Any]]], Any]) -> None:
        """Change the list of names and modules; numbers stay in order, names stay names."""
        pairs = list(self._named().items())
        change(pairs)
        if all(name.isdecimal() for name, _ in pairs):
            self._number(module for _, module in pairs)
        else:
            self._fill(dict(pairs))

    def __iter__(self) -> Iterator[Module]:
        return iter(self._named().values())

    def __len__(self) -> int:
        return len(self._named())

    def __getitem__(self, i: Any) -> Any:
        if isinstance(i, slice):
            kind: Any = type(self)
            return kind(dict(list(self._named().items())[i]))
        return list(self)[i]

    def __setitem__(self, i: int, module: Any) -> None:
        self._fill({**self._named(), list(self._named())[i]: module})

    def __delitem__(self, i: int | slice) -> None:
        self._change(lambda pairs: pairs.__delitem__(i))

    def append(self: Self, module: Module) -> Self:
        """Add a module at the end; returns this one."""
        return self.extend([module])

    def extend(self: Self, modules: Iterable[Module]) -> Self:
        """Add modules at the end; returns this one."""
        start = len(self)
        self._change(lambda pairs: pairs.extend((str(start + i), m) for i, m in enumerate(modules)))
        return self

    def insert(self, i: int, module: Module) -> None:
        """Put a module before the i-th."""
        self._change(lambda pairs: pairs.insert(i, (str(len(pairs)), module)))

    def pop(self, i: int = -1) -> Module:
        """Take the i-th module out."""
        module = self[i]
        del self[i]
        return module


class Sequential(_Row):
    """Modules one after the other; they are called 0, 1, ..., or by the keys of a dict.

    >>> from gradnerve.nn import Linear, ReLU
    >>> model = Sequential(Linear(4, 8), ReLU(), Linear(8, 2))
    >>> [name for name, _ in model.named_parameters()]
    ['0.weight', '0.bias', '2.weight', '2.bias']
    """

    def __init__(self, *modules: Module | Mapping[str, Module]):
        if len(modules) == 1 and isinstance(modules[0], Mapping):
            self._fill(modules[0])
        else:
            self._number(modules)

    def forward(self, input: Any) -> Any:
        """The input through each module in turn."""
        for module in self:
            input = module(input)
        return input


class ModuleList(_Row):
    """A list of modules. (A plain list as an attribute does as well.)

    >>> from gradnerve.nn import Linear
    >>> layers = ModuleList([Linear(2, 2) for _ in range(3)])
    >>> layers.append(Linear(2, 1))[-1]
    Linear(2, 1, bias=True)
    """

    def __init__(self, modules: Iterable[Module] | Mapping[str, Module] = ()):
        self._number(modules.values() if isinstance(modules, Mapping) else modules)

    def __add__(self, modules: Iterable[Module]) -> ModuleList:
        return ModuleList([*self, *modules])

    def __iadd__(self: Self, modules: Iterable[Module]) -> Self:
        return self.extend(modules)


class ModuleDict(Module):
    """A dict of modules. (A plain dict as an attribute does as well.)

    >>> from gradnerve.nn import ReLU, Tanh
    >>> acts = ModuleDict({"relu": ReLU(), "tanh": Tanh()})
    >>> acts["tanh"], list(acts)
    (Tanh(), ['relu', 'tanh'])

    Raises TypeError for what is no module, KeyError for a name that is a method's.
    """

    def __init__(self, modules: Mapping[str, Module] | Iterable[tuple[str, Module]] = ()):
        self.update(modules)

    def _named(self) -> dict[str, Module]:
        return {name: part for name, part in vars(self).items() if isinstance(part, Module)}

    def update(self, modules: Mapping[str, Module] | Iterable[tuple[str, Module]]) -> None:
        """Add modules, or put them in the place of those of the same names."""
        for name, module in dict(modules).items():
            self[name] = module

    def __getitem__(self, name: str) -> Module:
        return self._named()[name]

    def __setitem__(self, name: str, module: Any) -> None:
        if not isinstance(module, Module):
            raise TypeError(errors.not_a_module("ModuleDict", name, module))
        if hasattr(type(self), name) or "." in name:
            raise KeyError(f"ModuleDict: {name!r} is a method's name, or has a dot; take another")
        setattr(self, name, module)

    def __delitem__(self, name: str) -> None:
        del self._named()[name]  # KeyError where there is none
        delattr(self, name)

    def __contains__(self, name: object) -> bool:
        return name in self._named()

    def __iter__(self) -> Iterator[str]:
        return iter(self._named())

    def __len__(self) -> int:
        return len(self._named())

    def keys(self) -> Iterable[str]:
        """The names."""
        return self._named().keys()

    def values(self) -> Iterable[Module]:
        """The modules."""
        return self._named().values()

    def items(self) -> Iterable[tuple[str, Module]]:
        """The names with their modules."""
        return self._named().items()

    def pop(self, name: str) -> Module:
        """Take a module out."""
        module = self[name]
        del self[name]
        return module

    def clear(self) -> None:
        """Take all out."""
        for name in self._named():
            delattr(self, name)
