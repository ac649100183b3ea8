"""Module: a part of a network. Its attributes are its parameters and its smaller parts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

import numpy as np

from gradnerve import errors
from gradnerve.backends import array_library, as_array, constant, moved, target
from gradnerve.nn.hooks import Hooks, RemovableHandle, register
from gradnerve.objects import attributes
from gradnerve.ops import identity
from gradnerve.tensor import Tensor

Self = TypeVar("Self", bound="Module")


class Parameter(Tensor):
    """A Tensor that a module learns: it requires grad, and `parameters()` finds it.

    >>> Parameter(np.zeros(2)).requires_grad
    True
    """

    __slots__ = ()

    def __init__(self, data: Any, requires_grad: bool = True, *, name: str | None = None):
        super().__init__(data, requires_grad, name=name)


class Module:
    """A part of a network: parameters and smaller modules as attributes, and a `forward`.

    Modules may stand in lists, tuples and dicts too. Nothing has to be registered.

    >>> import gradnerve as gn
    >>> from gradnerve import nn
    >>> class Net(nn.Module):
    ...     def __init__(self):
    ...         self.layers = [nn.Linear(4, 8), nn.Linear(8, 2)]
    ...
    ...     def forward(self, x):
    ...         return self.layers[1](nn.functional.relu(self.layers[0](x)))
    >>> [name for name, _ in Net().named_parameters()]
    ['layers.0.weight', 'layers.0.bias', 'layers.1.weight', 'layers.1.bias']
    """

    training = True
    _hooks: Hooks | None = None

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the module computes; each module says it for itself."""
        raise NotImplementedError(errors.no_forward(type(self)))

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        try:
            if self._hooks is not None:
                return self._hooks.call(self, args, kwargs)
            return self.forward(*args, **kwargs)
        except Exception as error:
            _locate(error, self)
            raise

    # --- The tree ---------------------------------------------------------------------------------

    def named_modules(
        self, prefix: str = "", remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Module]]:
        """This module and all in it, each once, with its path: "" for this one, "encoder.fc1".

        Without `remove_duplicate` a module that is used twice comes under each of its paths.
        """
        seen: set[int] = set()
        stack: list[tuple[str, Module, tuple[int, ...]]] = [(prefix, self, ())]
        while stack:
            path, module, above = stack.pop()
            if id(module) in (seen if remove_duplicate else above):
                continue
            seen.add(id(module))
            yield path, module
            inner = [(_join(path, name), part) for name, part in _parts(module)]
            below = (*above, id(module))
            stack += [(p, part, below) for p, part in reversed(inner) if isinstance(part, Module)]

    def modules(self) -> Iterator[Module]:
        """This module and all in it."""
        return (module for _, module in self.named_modules())

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """The modules directly in this one, with their names."""
        return ((name, value) for name, value in _parts(self) if isinstance(value, Module))

    def children(self) -> Iterator[Module]:
        """The modules directly in this one."""
        return (value for _, value in self.named_children())

    def apply(self: Self, fn: Callable[[Module], Any]) -> Self:
        """Call a function on all modules in this one, from the inside out, and on this one.

        >>> from gradnerve import nn
        >>> def start(module):
        ...     if isinstance(module, nn.Linear):
        ...         nn.init.zeros_(module.bias)
        >>> nn.Sequential(nn.Linear(2, 2)).apply(start)[0].bias.data
        array([0., 0.], dtype=float32)
        """
        for module in reversed(list(self.modules())):
            fn(module)
        return self

    def _named_tensors(self) -> Iterator[tuple[str, Tensor]]:
        for path, module in self.named_modules(remove_duplicate=False):
            for name, value in _parts(module):
                if isinstance(value, Tensor):
                    yield _join(path, name), value

    def named_parameters(self) -> Iterator[tuple[str, Tensor]]:
        """Each parameter once, with its path, as "encoder.fc1.weight"."""
        seen: set[int] = set()
        for name, tensor in self._named_tensors():
            learned = isinstance(tensor, Parameter) or tensor.requires_grad
            if learned and id(tensor) not in seen:
                seen.add(id(tensor))
                yield name, tensor

    def parameters(self) -> Parameters:
        """Each parameter once: what an optimiser takes."""
        return Parameters(self)

    def named_buffers(self) -> Iterator[tuple[str, Tensor]]:
        """Each Tensor that is no parameter once, with its path: running means and the like."""
        learned = {id(parameter) for parameter in self.parameters()}
        for name, tensor in self._named_tensors():
            if id(tensor) not in learned:
                learned.add(id(tensor))
                yield name, tensor

    def buffers(self) -> Iterator[Tensor]:
        """Each Tensor that is no parameter once."""
        return (tensor for _, tensor in self.named_buffers())

    # What PyTorch needs to be told: here it is the same as an assignment.

    def register_buffer(self, name: str, tensor: Any) -> None:
        """Set an attribute to a buffer: a Tensor, an array for which one is made, or None."""
        is_tensor = tensor is None or isinstance(tensor, Tensor)
        setattr(self, name, tensor if is_tensor else Tensor(tensor))

    def register_parameter(self, name: str, param: Parameter | None) -> None:
        """Set an attribute to a parameter, or None."""
        setattr(self, name, param)

    def add_module(self, name: str, module: Module | None) -> None:
        """Set an attribute to a module, or None."""
        setattr(self, name, module)

    def zero_grad(self) -> None:
        """Forget the gradients of all parameters."""
        for parameter in self.parameters():
            parameter.zero_grad()

    def requires_grad_(self: Self, requires_grad: bool = True) -> Self:
        """Freeze (False) or unfreeze all parameters."""
        for parameter in list(self.parameters()):
            parameter.requires_grad = requires_grad
        return self

    def train(self: Self, mode: bool = True) -> Self:
        """Switch to training: dropout drops."""
        for module in self.modules():
            module.training = mode
        return self

    def eval(self: Self) -> Self:
        """Switch to evaluation: dropout does nothing."""
        return self.train(False)

    def to(self: Self, library: Any) -> Self:
        """Move all parameters, buffers and gradients to an array library or a device, in place.

        "jax", "torch", "torch:cuda", "cupy", "numpy". The parameters are the same objects as
        before, so an optimiser still knows them. Raises what `Tensor.to` raises; nothing is moved
        then.
        """
        name, place = target(library)
        tensors = [tensor for _, tensor in self._named_tensors()]
        data = [moved(t._data, name, place) for t in tensors]
        grads = [None if t._grad is None else moved(t._grad, name, place) for t in tensors]
        for tensor, array, grad in zip(tensors, data, grads, strict=True):
            tensor._data, tensor._grad = array, grad
        return self

    # --- Hooks ------------------------------------------------------------------------------------

    def _with_hooks(self) -> Hooks:
        if self._hooks is None:
            self._hooks = Hooks()
        return self._hooks

    def register_forward_pre_hook(
        self, hook: Callable[..., Any], *, prepend: bool = False, with_kwargs: bool = False
    ) -> RemovableHandle:
        """Call hook(module, args) before each forward; what it returns takes the place of args.

        With `with_kwargs`: hook(module, args, kwargs), which returns None or both of them.
        """
        return register(self._with_hooks().before, hook, prepend, with_kwargs)

    def register_forward_hook(
        self, hook: Callable[..., Any], *, prepend: bool = False, with_kwargs: bool = False
    ) -> RemovableHandle:
        """Call hook(module, args, output) after each forward; what it returns is the new output.

        With `with_kwargs`: hook(module, args, kwargs, output).

        >>> from gradnerve import nn
        >>> layer = nn.Linear(3, 2)
        >>> with layer.register_forward_hook(lambda m, args, y: print(y.shape)):
        ...     _ = layer(np.ones((5, 3), np.float32))
        (5, 2)
        """
        return register(self._with_hooks().after, hook, prepend, with_kwargs)

    def register_full_backward_hook(
        self, hook: Callable[..., Any], prepend: bool = False
    ) -> RemovableHandle:
        """Call hook(module, grad_input, grad_output) when backward has passed through.

        Both are tuples of gradients, None for an argument (of those without a keyword) that has
        none; if the hook returns something, it takes the place of grad_input.
        """
        return register(self._with_hooks().backward, hook, prepend)

    # --- Weights as plain arrays ------------------------------------------------------------------

    def state_dict(self) -> dict[str, np.ndarray]:
        """A copy of every parameter and buffer, by its path: PyTorch's keys."""
        return {n: np.array(moved(tensor._data, "numpy")) for n, tensor in self._named_tensors()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over the arrays of a state dict, in this module's dtypes.

        Raises KeyError where keys are missing or unexpected, ValueError where shapes differ; the
        message lists all of them. Nothing is loaded then.
        """
        if not isinstance(state, Mapping):
            raise TypeError(errors.not_a_state(state))
        own = dict(self._named_tensors())
        given = {key: as_array(getattr(value, "_data", value)) for key, value in state.items()}
        arrays = {key: np.asarray(moved(array, "numpy")) for key, array in given.items()}
        missing, unexpected = own.keys() - arrays.keys(), arrays.keys() - own.keys()
        if missing or unexpected:
            raise KeyError(errors.state_keys(sorted(missing), sorted(unexpected)))
        shapes = {key: (arrays[key].shape, own[key].shape) for key in own}
        if wrong := {key: pair for key, pair in shapes.items() if pair[0] != pair[1]}:
            raise ValueError(errors.state_shapes(wrong))
        for key, tensor in own.items():
            old = tensor._data
            new = constant(np.array(arrays[key]), old)
            tensor.data = array_library(old).astype(new, tensor.dtype)

    # --- How it looks -----------------------------------------------------------------------------

    def extra_repr(self) -> str:
        """What a module shows of itself between its brackets."""
        return ""

    def __repr__(self) -> str:
        lines = [
            f"({name}): {value!r}".replace("\n", "\n  ")
            for name, value in _parts(self)
            if isinstance(value, Module)
        ]
        body = "\n  " + "\n  ".join(lines) + "\n" if lines else ""
        return f"{type(self).__name__}({self.extra_repr()}{body})"


class Parameters(Iterator[Tensor]):
    """An iterator over a module's parameters that remembers the module, for messages."""

    def __init__(self, module: Module):
        self.module = module
        self._each = iter([parameter for _, parameter in module.named_parameters()])

    def __next__(self) -> Tensor:
        return next(self._each)


def _parts(module: Module) -> Iterator[tuple[str, Any]]:
    """The attributes of a module, tensors first, with what lists, tuples and dicts hold."""
    found = [part for name, value in attributes(module).items() for part in _unfold(name, value)]
    yield from (part for part in found if isinstance(part[1], Tensor))
    yield from (part for part in found if isinstance(part[1], Module))


def _unfold(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Module) or (isinstance(value, Tensor) and not _is_intermediate(value)):
        yield name, value
    elif isinstance(value, (list, tuple)):
        for i, item in enumerate(value):
            yield from _unfold(f"{name}.{i}", item)
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _unfold(f"{name}.{key}", item)


def _is_intermediate(tensor: Tensor) -> bool:
    """Whether a tensor was computed in a graph and then kept on a module, as in `self.h = h`.

    That is neither a parameter nor a buffer. (A transform's stand-in for a parameter is one.)
    """
    record = tensor._record
    stands_in = type(record) is tuple and record[0] is identity.operator
    return tensor.requires_grad and record is not None and not stands_in


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _locate(error: Exception, module: Module) -> None:
    """Tell an error that comes out of a module which layer it comes from, by its path."""
    layer: Any = getattr(error, "layer", None)
    if layer is None:
        error.layer = layer = module  # type: ignore[attr-defined]
    path = next((path for path, inner in module.named_modules() if inner is layer), "")
    error.layer_path = path  # type: ignore[attr-defined]
    if not isinstance(error, errors.LayerMismatch):
        where = (
            f"in layer {path!r} ({type(layer).__name__})" if path else f"in {type(layer).__name__}"
        )
        notes = getattr(error, "__notes__", [])
        if notes and notes[-1].startswith("in "):
            notes.pop()
        error.add_note(where)
