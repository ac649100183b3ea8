"""Parametrisations: a weight that is computed from others, each time it is used.

The module's class becomes one in which the weight is a property; what it is computed from is in
`module.parametrizations`, with PyTorch's keys: parametrizations.weight.original.
"""

from __future__ import annotations

from typing import Any

from gradnerve.nn.module import Module, Parameter
from gradnerve.ops.shape import plain


class ParametrizationList(Module):
    """What one weight is computed from, and the modules that do it, named 0, 1 and so on."""

    def __init__(self, parametrization: Module, original: Any):
        self._count = 1
        setattr(self, "0", parametrization)
        inverse = getattr(parametrization, "right_inverse", None)
        values = original if inverse is None else inverse(original)
        self.is_tuple = isinstance(values, (tuple, list))
        names = [f"original{i}" for i in range(len(values))] if self.is_tuple else ["original"]
        for name, value in zip(names, values if self.is_tuple else [values], strict=True):
            setattr(self, name, Parameter(plain(value), original.requires_grad))
        if not self.is_tuple and inverse is None:
            self.original = original  # an optimiser may know it already

    def append(self, parametrization: Module) -> None:
        """Compute the weight by one more module, from what the ones before give."""
        setattr(self, str(self._count), parametrization)
        self._count += 1

    def forward(self) -> Any:
        """The weight."""
        values = [part for name, part in vars(self).items() if name.startswith("original")]
        weight = getattr(self, "0")(*values)
        for i in range(1, self._count):
            weight = getattr(self, str(i))(weight)
        return weight


def register_parametrization(module: Module, tensor_name: str, parametrization: Module) -> Module:
    """Let a module's weight be `parametrization(original)`. Returns the module.

    Where the parametrisation has a `right_inverse`, the original is what that makes of the weight
    as it is: one Tensor, or several. Raises ValueError where the module has no such weight, or the
    parametrisation gives another shape.

    >>> import gradnerve as gn
    >>> class Symmetric(gn.nn.Module):
    ...     def forward(self, w):
    ...         return gn.triu(w) + gn.triu(w, k=1).T
    >>> layer = register_parametrization(gn.nn.Linear(2, 2), "weight", Symmetric())
    >>> bool(layer.weight[0, 1] == layer.weight[1, 0])
    True
    """
    if is_parametrized(module, tensor_name):
        module.parametrizations[tensor_name].append(parametrization)  # type: ignore[attr-defined]
        return module
    original = vars(module).get(tensor_name)
    if not isinstance(original, Parameter):
        raise ValueError(
            f"register_parametrization: {type(module).__name__} has no parameter {tensor_name!r}"
        )
    parts = ParametrizationList(parametrization, original)
    found = tuple(parts().shape)
    if found != tuple(original.shape):
        raise ValueError(
            f"register_parametrization: {type(parametrization).__name__} makes {found} of a "
            f"weight of shape {tuple(original.shape)}; it has to keep the shape"
        )
    delattr(module, tensor_name)
    if not is_parametrized(module):
        _change_class(module)
        module.parametrizations = {}  # type: ignore[attr-defined]
    module.parametrizations[tensor_name] = parts  # type: ignore[attr-defined]
    weight = property(lambda self: self.parametrizations[tensor_name]())
    setattr(type(module), tensor_name, weight)
    return module


def is_parametrized(module: Module, tensor_name: str | None = None) -> bool:
    """Whether a module has parametrised weights, or this one is."""
    parts = getattr(module, "parametrizations", {})
    return bool(parts) and (tensor_name is None or tensor_name in parts)


def remove_parametrizations(
    module: Module, tensor_name: str, leave_parametrized: bool = True
) -> Module:
    """Make a weight a parameter again, of the value that it has, or of the original's.

    Raises ValueError where it is not parametrised, or several tensors are its original.
    """
    if not is_parametrized(module, tensor_name):
        raise ValueError(
            f"remove_parametrizations: {tensor_name!r} of this {type(module).__name__} is not "
            "parametrised"
        )
    parts = module.parametrizations[tensor_name]  # type: ignore[attr-defined]
    if not leave_parametrized and parts.is_tuple:
        raise ValueError(
            "remove_parametrizations: this weight has several originals; keep its value, with "
            "leave_parametrized=True"
        )
    value = parts() if leave_parametrized else parts.original
    delattr(type(module), tensor_name)
    del module.parametrizations[tensor_name]  # type: ignore[attr-defined]
    if not is_parametrized(module):
        module.__class__ = type(module).__mro__[1]
        del module.parametrizations  # type: ignore[attr-defined]
    setattr(module, tensor_name, Parameter(plain(value)))
    return module


def _change_class(module: Module) -> None:
    """Give a module a class of its own, that a property can be put on."""
    kind = type(module)
    module.__class__ = type(
        f"Parametrized{kind.__name__}", (kind,), {"__module__": kind.__module__}
    )
