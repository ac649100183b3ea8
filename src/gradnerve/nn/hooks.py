"""Hooks: functions that are called when a module is, or when a gradient passes through it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gradnerve.graph import operator
from gradnerve.tensor import Tensor


class Hooks:
    """The hooks of a module, in the order in which they are called."""

    def __init__(self) -> None:
        self.before: list[tuple[Callable[..., Any], bool]] = []  # hook, whether with keywords
        self.after: list[tuple[Callable[..., Any], bool]] = []
        self.backward: list[tuple[Callable[..., Any], bool]] = []

    def call(self, module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """The module's forward, with the hooks around it."""
        for hook, with_kwargs in list(self.before):
            changed = hook(module, args, kwargs) if with_kwargs else hook(module, args)
            if changed is not None and with_kwargs:
                args, kwargs = changed
            elif changed is not None:
                args = changed if isinstance(changed, tuple) else (changed,)
        given = args
        if self.backward:
            watch = _Watch(module, [hook for hook, _ in self.backward], len(args))
            given = watch.entered(args)
        out = module.forward(*given, **kwargs)
        if self.backward:
            out = watch.left(out)
        for hook, with_kwargs in list(self.after):
            changed = hook(module, args, kwargs, out) if with_kwargs else hook(module, args, out)
            out = out if changed is None else changed
        return out


class RemovableHandle:
    """What registering a hook returns: `remove()`, or leaving `with`, takes it out again."""

    def __init__(self, hooks: list[Any], entry: tuple[Any, bool]):
        self.hooks, self.entry = hooks, entry

    def remove(self) -> None:
        """Take the hook out; for the second time, do nothing."""
        self.hooks[:] = [entry for entry in self.hooks if entry is not self.entry]

    def __enter__(self) -> RemovableHandle:
        return self

    def __exit__(self, *_: object) -> None:
        self.remove()


def register(
    hooks: list[Any], hook: Callable[..., Any], prepend: bool, with_kwargs: bool = False
) -> RemovableHandle:
    """Add a hook, at the front or at the end."""
    entry = (hook, with_kwargs)
    hooks.insert(0 if prepend else len(hooks), entry)
    return RemovableHandle(hooks, entry)


# --- When a gradient passes through ---------------------------------------------------------------


@operator
def watched(watch, *arrays):
    """The arrays as they are; backward shows their cotangents to `watch`, which may change them."""
    return arrays


@watched.rule("arrays", r"\bar x = \bar y,\;\text{or what the hook makes of it}")
def _(ct, watch):
    return watch(ct)


class _Watch:
    """One call of a module: its hooks hear of the outputs' cotangents once the inputs' are there.

    Where no input wants a gradient they hear at once.
    """

    def __init__(self, module: Any, hooks: list[Callable[..., Any]], count: int):
        self.module, self.hooks, self.count = module, hooks, count
        self.places: list[int] = []  # which arguments have a gradient
        self.of_outputs: tuple[Any, ...] = ()

    def entered(self, args: tuple[Any, ...]) -> tuple[Any, ...]:
        """The module's arguments, watched."""
        self.places = [i for i, a in enumerate(args) if isinstance(a, Tensor) and a._requires_grad]
        if not self.places:
            return args
        new = dict(
            zip(self.places, watched(self._at_inputs, *(args[i] for i in self.places)), strict=True)
        )
        return tuple(new.get(i, arg) for i, arg in enumerate(args))

    def left(self, out: Any) -> Any:
        """The module's result, watched: a Tensor, or a tuple or list of them."""
        parts = list(out) if isinstance(out, (tuple, list)) else [out]
        places = [i for i, a in enumerate(parts) if isinstance(a, Tensor) and a._requires_grad]
        if not places:
            return out
        self.outputs, self.known = len(parts), places
        for i, new in zip(
            places, watched(self._at_outputs, *(parts[i] for i in places)), strict=True
        ):
            parts[i] = new
        return type(out)(parts) if isinstance(out, (tuple, list)) else parts[0]

    def _at_outputs(self, cts: tuple[Any, ...]) -> tuple[Any, ...]:
        of_outputs: list[Any] = [None] * self.outputs
        for i, ct in zip(self.known, cts, strict=True):
            of_outputs[i] = ct
        self.of_outputs = tuple(of_outputs)
        if not self.places:
            self._tell((None,) * self.count)
        return cts

    def _at_inputs(self, cts: tuple[Any, ...]) -> tuple[Any, ...]:
        of_inputs: list[Any] = [None] * self.count
        for i, ct in zip(self.places, cts, strict=True):
            of_inputs[i] = ct
        told = self._tell(tuple(of_inputs))
        return tuple(told[i] for i in self.places)

    def _tell(self, of_inputs: tuple[Any, ...]) -> tuple[Any, ...]:
        for hook in self.hooks:
            changed = hook(self.module, of_inputs, self.of_outputs)
            if changed is not None:
                of_inputs = changed if isinstance(changed, tuple) else (changed,)
        return of_inputs
