"""Optimizer: parameters in groups, the state of each, and one step for all of them.

What a step does to a parameter is said by a subclass's `update`, on plain arrays. Where that is
faster, the arrays are not those of single parameters: see `_Joined`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar
from weakref import WeakKeyDictionary

import numpy as np

from gradnerve import errors, graph, writing
from gradnerve.backends import (
    array_library,
    as_array,
    device,
    is_complex,
    library_name,
    moved,
)
from gradnerve.objects import attributes
from gradnerve.tensor import Tensor

SMALL = 4096
"""NumPy parameters of up to so many elements are joined: a call costs more than its numbers."""

PAIRS = ("betas", "etas", "step_sizes")
"""Options that are two numbers."""

Group = dict[str, Any]
State = dict[str, Any]
Ranges = Mapping[str, tuple[float, float]]


class Optimizer:
    """Holds parameters, and moves them by their gradients; `update` says how.

    `params` are Tensors, or dicts, each a group with options of its own: {"params": [...], "lr":
    0.1}. Options that a group does not name are those of `defaults`. The groups are in
    `param_groups`, where each option may be changed between steps.

    Raises ValueError for no parameters, for one given twice, for one that is no leaf, and for an
    option out of its range.
    """

    ranges: ClassVar[Ranges] = {"lr": (0, math.inf)}
    """For each option that is a number, or a pair of them: from what, and to below what."""

    elementwise = False
    """Whether `update` treats each element by itself, so that arrays may be joined to one."""

    def __init__(self, params: Iterable[Any], defaults: Mapping[str, Any]):
        self.defaults = dict(defaults)
        self.param_groups: list[Group] = []
        self._states: list[list[State]] = []  # for each group, for each of its parameters
        if isinstance(params, (Tensor, Mapping)) or not isinstance(params, Iterable):
            raise TypeError(errors.not_parameters(self._name, params))
        given = list(params)
        if not given:
            module = getattr(params, "module", None)
            raise ValueError(errors.no_parameters(self._name, module, attributes(module)))
        if not any(isinstance(part, Mapping) for part in given):
            given = [{"params": given}]
        for group in given:
            self.add_param_group(group)

    def add_param_group(self, param_group: Mapping[str, Any]) -> None:
        """Take in more parameters, with options of their own: {"params": [...], "lr": 0.1}."""
        if not isinstance(param_group, Mapping) or "params" not in param_group:
            raise TypeError(errors.no_group(self._name, param_group))
        given = param_group["params"]
        if hasattr(given, "parameters") or not isinstance(given, Iterable):
            raise TypeError(errors.not_parameters(self._name, given))
        params = [given] if isinstance(given, Tensor) else list(given)
        group = {**self.defaults, **param_group, "params": params}
        for name, value in group.items():
            if isinstance(value, tuple):
                group[name] = list(value)  # so that `gn.jit` can take its numbers as arguments
            elif isinstance(value, np.generic):
                group[name] = value.item()
        self._check_parameters(params)
        self.check(group)
        self.param_groups.append(group)
        self._states.append([self._start(p, group) for p in params])

    @property
    def _name(self) -> str:
        return type(self).__name__

    def _check_parameters(self, params: list[Any]) -> None:
        seen = {id(p) for p in self.params}
        for i, parameter in enumerate(params, start=len(seen)):
            if not isinstance(parameter, Tensor):
                raise TypeError(errors.not_parameters(self._name, parameter))
            if parameter.requires_grad and parameter._record is not None:
                raise ValueError(errors.not_a_leaf(self._name, i))
            if id(parameter) in seen:
                raise ValueError(errors.twice(self._name, i))
            seen.add(id(parameter))

    def check(self, group: Group) -> None:
        """Raise ValueError or TypeError for an option that is out of its range."""
        for option, (low, high) in self.ranges.items():
            value = group[option]
            wanted = f"a number from {low}" + (f" to below {high}" if high < math.inf else "")
            numbers = {option: value}
            if option in PAIRS:
                if not isinstance(value, (tuple, list)) or len(value) != 2:
                    complaint = errors.bad_number(self._name, option, value, "a pair of numbers")
                    raise ValueError(complaint)
                numbers = {f"{option}[{i}]": number for i, number in enumerate(value)}
            for name, number in numbers.items():
                complaint = errors.bad_number(self._name, name, number, wanted)
                try:
                    if not low <= number < high:
                        raise ValueError(complaint)
                except TypeError:
                    raise TypeError(complaint) from None

    # --- What it holds ----------------------------------------------------------------------------

    @property
    def params(self) -> list[Tensor]:
        """All parameters, of all groups."""
        return [p for group in self.param_groups for p in group["params"]]

    @property
    def state(self) -> dict[Tensor, State]:
        """What is remembered of each parameter: {"step": 3, "exp_avg": array, ...}."""
        self._find_states()
        return {
            p: state
            for group, states in zip(self.param_groups, self._states, strict=True)
            for p, state in zip(group["params"], states, strict=True)
        }

    def _find_states(self) -> None:
        """A parameter may have been appended to a group."""
        for group, states in zip(self.param_groups, self._states, strict=True):
            states += [{} for _ in range(len(group["params"]) - len(states))]

    @property
    def lr(self) -> float:
        """The learning rate of the first group. Setting it sets that of all groups."""
        return self.param_groups[0]["lr"]

    @lr.setter
    def lr(self, value: float) -> None:
        for group in self.param_groups:
            group["lr"] = value.item() if isinstance(value, np.generic) else value

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients of all parameters, or, without `set_to_none`, make them 0."""
        for parameter in self.params:
            if set_to_none or parameter._grad is None:
                parameter._grad = None
            else:
                parameter._grad = array_library(parameter._grad).zeros_like(parameter._grad)

    def __repr__(self) -> str:
        groups = [
            ", ".join(f"{k}={v!r}" for k, v in group.items() if k != "params")
            + f" ({len(group['params'])} parameters)"
            for group in self.param_groups
        ]
        return f"{self._name}({'; '.join(groups)})"

    # --- A step -----------------------------------------------------------------------------------

    def start(self, w: Any, group: Group) -> State:
        """What is remembered of a parameter before its first step: arrays like w, and numbers."""
        return {}

    def update(self, w: Any, g: Any, state: State, group: Group) -> Any:
        """Move w by its gradient g, in place where it can be, and return it.

        The state is kept up to date in the same way. (JAX's arrays never change: there `w -= x`
        gives w another array, and what is in the state has to be put into it anew.)
        """
        raise NotImplementedError

    def joins(self, group: Group) -> bool:
        """Whether small parameters are joined."""
        return self.elementwise

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Move each parameter that has a gradient.

        `closure`, if given, is called first: it computes the loss and its gradients, and what it
        returns is returned.
        """
        loss = closure() if closure is not None else None
        plan = _plans.get(self)
        if plan is None or not plan.fits(self):
            plan = _Plan(self)
        if plan.step(self):
            _plans[self] = plan
        else:
            _plans.pop(self, None)
        return loss

    def _start(self, parameter: Tensor, group: Group) -> State:
        return self._fresh(parameter._data, group) if parameter._requires_grad else {}

    def _fresh(self, data: Any, group: Group) -> State:
        if not is_complex(data):
            return self.start(data, group)
        return {k: _whole(v, data) for k, v in self.start(_parts(data), group).items()}

    def _numbers(self, group: Group) -> dict[str, type]:
        """What in a state is a number, and of which type."""
        start = self.start(np.zeros(()), group)
        return {name: type(v) for name, v in start.items() if type(v) in (int, float)}

    def _ready(self, parameter: Tensor, state: State, group: Group) -> None:
        """Bring the state of a parameter that is about to move to the array library of its data."""
        data = parameter._data
        if not state:
            state.update(self._fresh(data, group))
        for name, value in state.items():
            if hasattr(value, "shape") and type(value) is not type(data):
                number = self._numbers(group).get(name)
                state[name] = number(value) if number else beside(data, value)

    # --- Keeping it -------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """A copy of the state and the options, as PyTorch's: {"state": {0: ...}, "param_groups"}.

        Parameters are numbered, arrays are NumPy's.
        """
        self._find_states()
        state, groups, count = {}, [], 0
        for group, states in zip(self.param_groups, self._states, strict=True):
            numbers = self._numbers(group)
            for i, own in enumerate(states, start=count):
                if own:
                    state[i] = {k: _copied(v, numbers.get(k)) for k, v in own.items()}
            places = list(range(count, count + len(states)))
            options = {k: _copied(v) for k, v in group.items() if k != "params"}
            groups.append({**options, "params": places})
            count += len(states)
        return {"state": state, "param_groups": groups}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over a state dict, also one of PyTorch's.

        Raises ValueError where it has other groups, or arrays of other shapes; the message lists
        all of them. Nothing is loaded then.
        """
        try:
            groups, state = state_dict["param_groups"], state_dict["state"]
            counts = [len(group["params"]) for group in groups]
        except (TypeError, KeyError, IndexError):
            raise TypeError(errors.not_an_optimizers_state(self._name, state_dict)) from None
        own = [len(group["params"]) for group in self.param_groups]
        if counts != own:
            raise ValueError(errors.state_groups(self._name, counts, own))
        loaded: list[list[State]] = []
        wrong = {}
        for group, theirs in zip(self.param_groups, groups, strict=True):
            numbers = self._numbers(group)
            loaded.append([])
            for p, key in zip(group["params"], theirs["params"], strict=True):
                new = {}
                for name, value in state.get(key, {}).items():
                    new[name] = self._taken_over(value, numbers.get(name), p)
                    shape = getattr(new[name], "shape", ())
                    if shape not in ((), self._shape_of_state(p)):
                        wrong[f"state[{key}][{name!r}]"] = tuple(shape), self._shape_of_state(p)
                loaded[-1].append(new)
        if wrong:
            raise ValueError(errors.state_shapes(wrong, "optimiser"))
        for group, theirs in zip(self.param_groups, groups, strict=True):
            options = {k: _taken(v) for k, v in theirs.items() if k != "params"}
            group.update(options)
        self._states = loaded
        _plans.pop(self, None)

    def _shape_of_state(self, parameter: Tensor) -> tuple[int, ...]:
        return tuple(parameter.shape)

    def _taken_over(self, value: Any, number: type | None, parameter: Tensor) -> Any:
        """A value of a state dict, beside the parameter and in its dtype."""
        if number is not None and value is not None:
            return number(value)
        if not hasattr(value, "shape"):
            return value
        data = parameter._data
        array = np.array(moved(as_array(getattr(value, "_data", value)), "numpy"))
        new = moved(array, library_name(data), device(data))
        return array_library(data).astype(new, data.dtype)


def beside(data: Any, state: Any) -> Any:
    """An optimiser's state, in the library that a parameter was moved to meanwhile."""
    if type(state) is type(data):
        return state
    return moved(state, library_name(data), device(data))


def _update_complex(optimizer: Optimizer, w: Any, g: Any, state: State, group: Group) -> Any:
    """Real and imaginary parts are numbers of their own, as in PyTorch."""
    own = {k: _parts(v) if hasattr(v, "shape") else v for k, v in state.items()}
    new = optimizer.update(_parts(w), _parts(g), own, group)
    state.update({k: _whole(v, w) for k, v in own.items()})
    new = _whole(new, w)
    if not hasattr(w, "__isub__"):
        return new
    w[...] = new
    return w


def _parts(x: Any) -> Any:
    library = array_library(x)
    return library.stack([library.real(x), library.imag(x)])


def _whole(parts: Any, like: Any) -> Any:
    if getattr(parts, "shape", None) != (2, *like.shape):
        return parts
    return array_library(like).astype(parts[0] + 1j * parts[1], like.dtype)


def _copied(value: Any, number: type | None = None) -> Any:
    if number is not None and value is not None:
        return number(value)
    if isinstance(value, (list, tuple)):
        return type(value)(map(_copied, value))
    return np.array(moved(value, "numpy")) if hasattr(value, "shape") else value


def _taken(value: Any) -> Any:
    """An option of a state dict: a tuple's numbers in a list, a tensor's as a number."""
    if isinstance(value, (list, tuple)):
        return list(map(_taken, value))
    return value.item() if hasattr(value, "item") else value


# --- One step for many parameters -----------------------------------------------------------------


class _Plan:
    """Which parameters move in a step, and which of them together.

    It holds for as long as the same parameters have gradients, and their arrays stay. It is kept
    outside of the optimiser: who copies an optimiser, or compiles a step, wants its state alone.
    """

    def __init__(self, optimizer: Optimizer):
        optimizer._find_states()
        self.counts = [len(group["params"]) for group in optimizer.param_groups]
        self.known: list[tuple[Tensor, Any, bool]] = []
        self.alone: list[tuple[Tensor, State, Group, bool]] = []  # the last: complex
        self.joined: list[_Joined] = []
        for group, states in zip(optimizer.param_groups, optimizer._states, strict=True):
            alike: dict[Any, list[tuple[Tensor, State]]] = {}
            for p, state in zip(group["params"], states, strict=True):
                self.known.append((p, p._data, p._grad is not None))
                if p._grad is None:
                    continue
                optimizer._ready(p, state, group)
                if optimizer.joins(group) and (kind := _kind(p, state)):
                    alike.setdefault(kind, []).append((p, state))
                else:
                    self.alone.append((p, state, group, is_complex(p._data)))
            for pairs in alike.values():
                if len(pairs) > 1 and not _share_memory([p._data for p, _ in pairs]):
                    self.joined.append(_Joined(pairs, group))
                else:
                    self.alone += [(p, state, group, False) for p, state in pairs]

    def fits(self, optimizer: Optimizer) -> bool:
        """Whether it is as it was when the plan was made."""
        if [len(group["params"]) for group in optimizer.param_groups] != self.counts:
            return False
        for p, data, has_grad in self.known:
            if p._data is not data or (p._grad is not None) is not has_grad:
                return False
        return all(part.fits() for part in self.joined)

    def step(self, optimizer: Optimizer) -> bool:
        """Move the parameters. Returns whether the plan holds for another step."""
        stays = True
        written = []
        for part in self.joined:
            part.step(optimizer)
            written += part.data
        update = optimizer.update
        for p, state, group, by_parts in self.alone:
            data = p._data
            if by_parts:
                new = _update_complex(optimizer, data, p._grad, state, group)
            else:
                new = update(data, p._grad, state, group)
            if not data.shape:  # NumPy has scalars where others have arrays
                scalars = {k: v for k, v in state.items() if isinstance(v, np.generic)}
                state.update({k: np.asarray(v) for k, v in scalars.items()})
            if new is None and not hasattr(data, "__isub__"):
                raise TypeError(errors.not_moved(type(optimizer).__name__, data))
            if new is None or new is data:
                written.append(data)
            else:
                p._data, stays = new, False
        writing.changed(written, next(graph.numbers))
        return stays


_plans: WeakKeyDictionary[Optimizer, _Plan] = WeakKeyDictionary()


class _Joined:
    """Small parameters of one kind, NumPy's, that are updated as one flat array.

    For that they are copied together, with their gradients, and the result back: three calls, and
    one for each parameter, where each line of `update` would be a call for each of them. Their
    arrays stay their own, as users may share them. Of the flat state theirs are views.
    """

    def __init__(self, pairs: list[tuple[Tensor, State]], group: Group):
        self.params = [p for p, _ in pairs]
        self.states = [state for _, state in pairs]
        self.group = group
        self.data = [p._data for p in self.params]
        self.flat = np.concatenate(self.data, axis=None)
        self.grad = np.empty_like(self.flat)
        self.views = self._cut(self.flat)
        self.state: State = {}
        self.shared: dict[str, list[np.ndarray]] = {}  # the views of the arrays in the state
        for name, value in list(self.states[0].items()):
            if isinstance(value, np.ndarray):
                value = np.concatenate([state[name] for state in self.states], axis=None)
            self._share(name, value)

    def _cut(self, flat: np.ndarray) -> list[np.ndarray]:
        ends = np.cumsum([data.size for data in self.data])
        parts = np.split(flat, ends[:-1])
        return [part.reshape(data.shape) for part, data in zip(parts, self.data, strict=True)]

    def _share(self, name: str, value: Any) -> None:
        """Put a number, or the parts of an array, into the state of each parameter."""
        self.state[name] = value
        parts = [value] * len(self.states)
        if isinstance(value, np.ndarray):
            parts = self.shared[name] = self._cut(value)
        for state, part in zip(self.states, parts, strict=True):
            state[name] = part

    def fits(self) -> bool:
        """Whether the arrays in the states are still these."""
        for name, views in self.shared.items():
            for state, view in zip(self.states, views, strict=True):
                if state.get(name) is not view:
                    return False
        return True

    def step(self, optimizer: Optimizer) -> None:
        np.concatenate([p._grad for p in self.params], axis=None, out=self.grad)
        np.concatenate(self.data, axis=None, out=self.flat)
        before = dict(self.state)
        new = optimizer.update(self.flat, self.grad, self.state, self.group)
        if new is not None and new is not self.flat:
            self.flat[...] = new
        for data, view in zip(self.data, self.views, strict=True):
            data[...] = view
        for name, value in self.state.items():
            if value is not before.get(name):
                self._share(name, value)


def _kind(parameter: Tensor, state: State) -> Any:
    """What parameters must have in common to be joined; None for one that cannot be."""
    data, grad = parameter._data, parameter._grad
    if not type(data) is type(grad) is np.ndarray or data.size > SMALL or is_complex(data):
        return None
    kind: list[Any] = [data.dtype, grad.dtype]
    for name, value in state.items():
        if isinstance(value, np.ndarray) and value.shape == data.shape:
            kind.append((name, value.dtype))
        elif type(value) in (int, float, type(None)):
            kind.append((name, value))
        else:
            return None
    return tuple(kind)


def _share_memory(arrays: list[np.ndarray]) -> bool:
    """Whether some may be views of one array: their updates have to come one after the other."""
    return len({id(writing.owner(array)) for array in arrays}) < len(arrays)
