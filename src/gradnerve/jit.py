"""jit: a function, or a whole training step, compiled by JAX.

Compiled code knows no Python objects: it takes arrays and returns arrays. So `jit` finds all arrays
in what the function is given (Tensors, Modules, optimisers, trees of them), and puts JAX's tracers
in their places while the function runs once. What it has changed then (weights, gradients, an
optimiser's slots) becomes a further result of the compiled code, which each call writes back.
"""

from __future__ import annotations

import dis
import functools
import gc
import threading
import warnings
from collections.abc import Callable, Iterator, MutableMapping, Sequence
from contextlib import contextmanager
from types import FunctionType, MethodType, ModuleType
from typing import Any
from weakref import ref

import numpy as np

from gradnerve import errors, graph, writing
from gradnerve.backends import load, moved
from gradnerve.graph import Cut
from gradnerve.objects import attributes, inside
from gradnerve.ops.random import generator, keys_from
from gradnerve.tensor import Tensor
from gradnerve.transforms import tree

MANY = 5
"""With so many compilations that differ in shapes, `jit` warns."""

CODE = (type(None), bool, str, bytes, complex, FunctionType, ModuleType, type)
"""Values that become part of the compiled code."""

Path = tuple[Any, ...]


def jit(f: Callable[..., Any]) -> Any:
    """The function f, compiled by JAX: jit : (a → b) → (a → b).

    f is written in the ordinary way; it may call `backward()` and an optimiser's `step()`. It is
    given trees of Tensors, arrays, numbers, Modules and optimisers, and whatever it changes in the
    Tensors, Modules and optimisers is changed after the call. Their arrays are JAX's from then on,
    and stay on the device between calls. Other values (strings, booleans, None, functions) become
    part of the code: a new value compiles anew, as a new shape does. Random numbers differ from
    call to call, and follow `manual_seed`.

    f runs in Python only while it is compiled, and does not see values then: `if loss > 1:` and
    `float(loss)` raise an error that says what to write instead. Inside another jit, a transform or
    `debug_mode` f is just called. Arrays that a call replaces are donated: their memory is used
    again, so whoever else holds such an array holds it no longer.

    Raises RuntimeError for what cannot be compiled, TypeError for an argument that is no part of a
    tree and not hashable, ImportError where JAX is not installed.

    >>> import numpy as np
    >>> import gradnerve as gn
    >>> @gn.jit
    ... def step(w, x):
    ...     loss = ((w * x) ** 2).sum()
    ...     loss.backward()
    ...     return loss
    >>> w = gn.Tensor([1.0, 2.0], requires_grad=True)
    >>> print(step(w, np.ones(2)).item(), w.grad)
    5.0 [2. 4.]
    """
    if not callable(f):
        raise TypeError(errors.not_a_function("jit", f))
    return Jit(f)


class Jit:
    """A function that is compiled when it is called."""

    def __init__(self, f: Callable[..., Any]):
        functools.update_wrapper(self, f, updated=())
        self.f = f
        self.programs: dict[Any, _Program] = {}
        self.latest: tuple[_Given, _Program] | None = None
        self.lock = threading.RLock()  # what f is given is lent to the trace, and written to
        # Numbers in objects are code, until they change; then they are arguments. (An optimiser's
        # learning rate and step count; but not a layer's stride, on which Python code depends.)
        self.variable: set[Path] = set()
        self.constant: set[Path] = set()

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self if instance is None else functools.partial(self, instance)

    def __call__(self, *args: Any, **options: Any) -> Any:
        if graph.given.get() is not None or graph.readings.get() is not None or graph.watch:
            return self.f(*args, **options)
        with self.lock:
            given, program = self._find(args, options)
            try:
                return program(given)
            except load("jax").OtherShapes:  # of a weight, say: this is not that program
                self.latest = None
                given, program = self._find(args, options)
                return program(given)

    def lower(self, *args: Any, **options: Any) -> Lowered:
        """The program for these arguments, before XLA compiles it: print it to read it."""
        with self.lock:
            given, program = self._find(args, options)
            return Lowered(program.lowered(given))

    def cost(self, *args: Any, **options: Any) -> dict[str, float]:
        """What a call costs by XLA's count: {"flops": operations, "bytes": read and written}.

        >>> import numpy as np
        >>> import gradnerve as gn
        >>> gn.jit(lambda a: a @ a).cost(np.ones((10, 10)))["flops"]
        2000.0
        """
        found = self.lower(*args, **options).compile().cost_analysis()
        return {"flops": found.get("flops", 0.0), "bytes": found.get("bytes accessed", 0.0)}

    def _find(self, args: tuple[Any, ...], options: dict[str, Any]) -> tuple[_Given, _Program]:
        """The program for these arguments: most often that of the call before."""
        leaves, structure = tree().tree_flatten((args, options), is_leaf=_is_object)
        if self.latest is not None and self.latest[0].is_like(leaves, structure):
            return self.latest
        given = _Given(leaves, structure, self.variable)
        if given.key not in self.programs:
            self._note_changed_numbers(given)
            self._warn_of_many_shapes(given)
            given = self._compile(leaves, structure)
        self.latest = given, self.programs[given.key]
        return self.latest

    def _compile(self, leaves: list[Any], structure: Any) -> _Given:
        _check_closure(self.f)
        while True:
            given = _Given(leaves, structure, self.variable)
            if given.key in self.programs:
                return given
            program = _Program(self.f, given)
            if program.needs_value:
                if given.numbers <= self.constant:
                    raise RuntimeError(program.needs_value)
                self.constant |= given.numbers  # Python code depends on one of them
                self.variable -= given.numbers
                continue
            counted = program.counted - self.variable - self.constant
            if not counted:
                self.programs[given.key] = program
                return given
            self.variable |= counted  # f counts something: its count is an argument, and a result

    def _note_changed_numbers(self, given: _Given) -> None:
        """Numbers in objects that are not what they were when something was compiled."""
        for _, marks, _ in self.programs:
            if len(marks) == len(given.marks):
                changed = [(a, b) for a, b in zip(marks, given.marks, strict=True) if a != b]
                if all(a[:2] == b[:2] and a[1] in (int, float) for a, b in changed):
                    self.variable |= {a[0] for a, _ in changed} - self.constant

    def _warn_of_many_shapes(self, given: _Given) -> None:
        same = [shapes for s, marks, shapes in self.programs if (s, marks) == given.key[:2]]
        if len(same) % MANY == MANY - 1:
            last = same[-1]
            name = next(
                p for p, a, b in zip(given.names, last, given.shapes, strict=True) if a != b
            )
            message = errors.jit_many_shapes(self, name, len(same) + 1)
            warnings.warn(message, UserWarning, stacklevel=4)


class Lowered:
    """A program as XLA gets it."""

    def __init__(self, lowered: Any):
        self.lowered = lowered

    def as_text(self) -> str:
        """The program, in the language StableHLO."""
        return self.lowered.as_text()

    def compile(self) -> Any:
        """JAX's own object for the compiled program."""
        return self.lowered.compile()

    __repr__ = __str__ = as_text


# --- What a function is given ---------------------------------------------------------------------


class _Given:
    """What a call is given: its arrays, and all that the compiled code takes for granted.

    The order of the arrays: the data of all Tensors, the gradients of those that have one, the
    arrays and numbers in objects (`cells`); then those among the arguments (`inputs`).
    """

    def __init__(self, leaves: list[Any], structure: Any, variable: set[Path]):
        self.leaves, self.structure, self.variable = leaves, structure, variable
        self.types = list(map(type, leaves))
        self.recording = graph.recording.get()
        self.tensors: list[Tensor] = []
        self.names: list[str] = []  # of the tensors, then of cells and inputs, for messages
        self.containers: list[Any] = []  # the attributes of objects, and their lists, dicts
        self.paths: list[Path] = []  # of the containers
        self.fixed: list[tuple[Any, Any, Any]] = []  # container, key, what has to be there
        self.cells: list[tuple[Any, Any]] = []  # container, key
        self.cell_paths: list[Path] = []
        self.numbers: set[Path] = set()  # of the cells that are numbers
        self.marks: list[Any] = []  # path, kind, value of all that was met
        self.seen: dict[int, int] = {}  # by id: which tensor, or container, it is
        self.own: list[tuple[int, int]] = []  # the arguments that are Tensors: leaf, tensor
        self.inputs: list[int] = []  # the arguments that are arrays or numbers
        self.others: list[int] = []  # all other arguments

        for i, leaf in enumerate(leaves):
            if isinstance(leaf, Tensor):
                self._tensor((i,), leaf)
                self.own.append((i, self.seen[id(leaf)]))
            elif _is_array(leaf) or type(leaf) in (int, float, complex):
                self.inputs.append(i)
                self.marks.append(((i,), "input", type(leaf)))
            else:
                self.others.append(i)
                self._value((i,), leaf)
        self.lengths = list(map(len, self.containers))
        in_objects = set(range(len(self.tensors))).difference(t for _, t in self.own)
        self.in_objects = {id(self.tensors[t]) for t in in_objects}
        self._move(in_objects)
        self.flags = self._flags()
        self.has_grad = [i for i, t in enumerate(self.tensors) if t._grad is not None]
        self.names += [f"{self.names[i]}.grad" for i in self.has_grad]
        self.names += [_spelled(path) for path in (*self.cell_paths, *((i,) for i in self.inputs))]
        self.input_shapes = self._input_shapes(leaves)
        self.shapes = tuple(_shape(a) for a in (*self.state(), *(leaves[i] for i in self.inputs)))
        self.key = (
            (structure, self.recording, tuple(self.flags), tuple(self.own)),
            tuple(self.marks),
            self.shapes,
        )

    # --- Going through objects

    def _tensor(self, path: Path, tensor: Tensor) -> None:
        if id(tensor) in self.seen:
            self.marks.append((path, "same", self.seen[id(tensor)]))
            return
        if type(tensor._record) is tuple:
            raise RuntimeError(errors.jit_of_a_result(_spelled(path), tensor))
        self.seen[id(tensor)] = len(self.tensors)
        self.tensors.append(tensor)
        self.names.append(_spelled(path))
        self.marks.append((path, type(tensor), None))

    def _value(self, path: Path, value: Any, container: Any = None, key: Any = None) -> None:
        """A value in an object, at a key of a container; or an argument, or in a tuple."""
        is_number = type(value) in (int, float)
        is_cell = path in self.variable if is_number else _is_array(value)
        if container is not None and is_cell and not isinstance(value, np.generic):
            self.cells.append((container, key))
            self.cell_paths.append(path)
            self.marks.append((path, "cell", None))
            if is_number:
                self.numbers.add(path)
            return
        if container is not None:
            self.fixed.append((container, key, value))
        if isinstance(value, Tensor):
            self._tensor(path, value)
        elif is_number or isinstance(value, (*CODE, np.generic)):
            self.marks.append((path, type(value), value))
        elif id(value) in self.seen:
            self.marks.append((path, "same", self.seen[id(value)]))
        elif isinstance(value, (tuple, MethodType, functools.partial)):
            held = _held(value)
            self.marks.append((path, type(value), len(held)))
            for i, part in enumerate(held):
                self._value((*path, i), part)
        elif isinstance(value, (dict, list)) or _is_object(value):
            inside = value if isinstance(value, (dict, list)) else _attributes(value)
            self.seen[id(value)] = len(self.containers)
            self.containers.append(inside)
            self.paths.append(path)
            self.marks.append((path, type(value), len(inside)))
            for inner, part in _items(inside):
                self._value((*path, inner), part, inside, inner)
        else:
            try:
                hash(value)
            except TypeError:
                raise TypeError(errors.jit_unhashable(_spelled(path), value)) from None
            self.marks.append((path, type(value), value))

    def _move(self, in_objects: set[int]) -> None:
        """The arrays in objects are JAX's from now on: they stay on its device between calls."""
        for i in in_objects:
            tensor = self.tensors[i]
            tensor._data = moved(tensor._data, "jax")
            if tensor._grad is not None:
                tensor._grad = moved(tensor._grad, "jax")
        for container, key in self.cells:
            if isinstance(container[key], np.ndarray):
                container[key] = moved(container[key], "jax")

    # --- One call after the other

    def is_like(self, leaves: list[Any], structure: Any) -> bool:
        """Whether the arguments of another call fit the same program; this is about them then."""
        if structure != self.structure or list(map(type, leaves)) != self.types:
            return False
        if graph.recording.get() != self.recording:
            return False
        for i in self.others:
            if leaves[i] is not self.leaves[i] and (
                _is_object(leaves[i]) or leaves[i] != self.leaves[i]
            ):
                return False
        if list(map(len, self.containers)) != self.lengths:
            return False
        try:
            for container, key, value in self.fixed:
                if container[key] is not value:
                    return False
        except (KeyError, IndexError):
            return False
        new: dict[int, Tensor] = {}
        for i, place in self.own:
            tensor = new.setdefault(place, leaves[i])
            other = id(tensor) in self.in_objects or type(tensor._record) is tuple
            if tensor is not leaves[i] or other:
                return False
        if len(set(map(id, new.values()))) != len(new):
            return False
        if self._input_shapes(leaves) != self.input_shapes:
            return False
        before, self.tensors = self.tensors, list(self.tensors)
        for place, tensor in new.items():
            self.tensors[place] = tensor
        if self._flags() != self.flags:
            self.tensors = before
            return False
        self.leaves = leaves
        return True

    def _flags(self) -> list[tuple[bool, bool]]:
        return [(t._grad is None, t._requires_grad) for t in self.tensors]

    def _input_shapes(self, leaves: list[Any]) -> list[Any]:
        arrays = [leaves[i]._data for i, _ in self.own] + [leaves[i] for i in self.inputs]
        return [_shape(a) for a in arrays]

    def state(self) -> list[Any]:
        """The arrays of Tensors and objects."""
        state = [t._data for t in self.tensors]
        state += [self.tensors[i]._grad for i in self.has_grad]
        state += [container[key] for container, key in self.cells]
        return state

    @contextmanager
    def lent(self, state: Sequence[Any]) -> Iterator[None]:
        """Other arrays in place of the state; afterwards all is as it was."""
        tensors = [_fields(t) for t in self.tensors]
        contents = [list(_items(container)) for container in self.containers]
        rest = iter(state)
        try:
            for tensor in self.tensors:
                tensor._data = next(rest)
            for i in self.has_grad:
                self.tensors[i]._grad = next(rest)
            for container, key in self.cells:
                container[key] = next(rest)
            yield
        finally:
            for tensor, fields in zip(self.tensors, tensors, strict=True):
                _put_back(tensor, fields)
            for container, items in zip(self.containers, contents, strict=True):
                container.clear()
                if isinstance(container, list):
                    container.extend(value for _, value in items)
                else:
                    container.update(items)


def _fields(tensor: Tensor) -> dict[str, Any]:
    names = ("_data", "_grad", "_number", "_record", "_requires_grad", "_written")
    return {name: getattr(tensor, name) for name in names if hasattr(tensor, name)}


def _put_back(tensor: Tensor, fields: dict[str, Any]) -> None:
    if hasattr(tensor, "_written") and "_written" not in fields:
        del tensor._written
        writing.written.discard(ref(tensor))
    for name, value in fields.items():
        setattr(tensor, name, value)


class _Attributes(MutableMapping[str, Any]):
    """The attributes of an object that has slots, as `vars(object)` is those of others."""

    def __init__(self, owner: Any):
        self.owner = owner

    def __getitem__(self, name: str) -> Any:
        return getattr(self.owner, name)

    def __setitem__(self, name: str, value: Any) -> None:
        setattr(self.owner, name, value)

    def __delitem__(self, name: str) -> None:
        delattr(self.owner, name)

    def __iter__(self) -> Iterator[str]:
        return iter(attributes(self.owner))

    def __len__(self) -> int:
        return len(attributes(self.owner))


def _attributes(value: Any) -> Any:
    kind: Any = type(value)
    return _Attributes(value) if _has_slots(kind) else vars(value)


@functools.lru_cache(maxsize=1024)
def _has_slots(kind: Any) -> bool:
    return any(vars(base).get("__slots__") for base in kind.__mro__)


def _held(value: Any) -> tuple[Any, ...]:
    """What a tuple, a bound method or a `partial` holds."""
    if isinstance(value, MethodType):
        return value.__func__, value.__self__
    if isinstance(value, functools.partial):
        return value.func, value.args, value.keywords
    return value


def _items(container: Any) -> list[tuple[Any, Any]]:
    return list(enumerate(container) if isinstance(container, list) else container.items())


NO_OBJECTS = (*CODE, tuple, list, dict, Jit)


def _is_object(value: Any) -> bool:
    """What is no tree to JAX, and is looked into: Modules, optimisers and the like."""
    if isinstance(value, NO_OBJECTS):
        return False
    kind: Any = type(value)
    return hasattr(value, "__dict__") or _has_slots(kind)


def _is_array(value: Any) -> bool:
    return isinstance(value, (np.ndarray, np.generic)) or load("jax").is_array(value)


def _shape(array: Any) -> Any:
    if type(array) in (int, float, complex):
        return (), np.dtype(type(array)), True
    return array.shape, array.dtype, getattr(array, "weak_type", False)


def _spelled(path: Path) -> str:
    """A place in the arguments, for messages: "argument 0.layers.1.weight"."""
    return ".".join(["argument " + str(path[0]), *map(str, path[1:])])


# --- What is compiled -----------------------------------------------------------------------------


class _Program:
    """A function compiled for one kind of arguments, and what is to be done with its results."""

    def __init__(self, f: Callable[..., Any], given: _Given):
        self.f = f
        self.needs_value = ""  # what to say if f cannot be compiled
        self.counted: set[Path] = set()  # numbers in objects that f has changed
        self.new_data: list[tuple[int, int]] = []  # tensor, result
        self.new_grads: list[tuple[int, int | None]] = []
        self.new_flags: list[tuple[int, bool]] = []
        self.new_items: list[tuple[int, Any, Any]] = []  # container, key, value as a `_Tree`
        self.gone: list[tuple[int, Any]] = []
        self.replaces: dict[int, int] = {}  # a place in the state, by which result
        self.like: dict[int, int] = {}  # a result, and the array on whose devices it is to lie
        self.draws = False
        self.results: list[Any] = []
        self.line = errors.user_line()

        jax = load("jax")
        self.no_seed = moved(np.zeros(2, np.uint32), "jax")
        arrays = [*given.state(), *(given.leaves[i] for i in given.inputs)]
        trace = functools.partial(self._trace, given)
        stale = _without_value()
        try:
            closed = jax.traced(trace, arrays, np.zeros(2, np.uint32))
        except Exception as error:
            self.needs_value = errors.jit_explained(error, f) or ""
            if not self.needs_value:
                raise
            return
        self.results = []
        _check_leaks(f, stale)
        count = len(given.state())
        results = closed.out_avals
        replaced = {
            place
            for place, result in self.replaces.items()
            if _shape(arrays[place])[:2] == (results[result].shape, results[result].dtype)
        }
        self.donated = sorted(replaced)
        self.kept = [i for i in range(count) if i not in replaced]
        order = [*self.donated, *self.kept, *range(count, len(arrays))]
        like = {
            result: place
            for result, place in self.like.items()
            if _shape(arrays[place])[0] == results[result].shape
        }
        self.run = jax.compiled(closed, order, len(self.donated), like)

    def arguments(self, given: _Given) -> tuple[list[Any], list[Any], Any]:
        """The arrays for the compiled code: those that it may overwrite, all others, and a seed."""
        state = given.state()
        donated = [state[i] for i in self.donated]
        kept = [state[i] for i in self.kept]
        kept += [given.leaves[i] for i in given.inputs]
        ids = set(map(id, donated))
        if len(ids) < len(donated) or not ids.isdisjoint(map(id, kept)):
            donated = [load("jax").copied(array) for array in donated]  # one array in two places
        seed = self.no_seed
        if self.draws:
            seed = generator().integers(0, 2**32, 2, dtype=np.uint32)
        return donated, kept, seed

    def lowered(self, given: _Given) -> Any:
        return self.run.lower(*self.arguments(given))

    def __call__(self, given: _Given) -> Any:
        results = self.run(*self.arguments(given))
        tensors, containers = given.tensors, given.containers
        for place, result in self.new_data:
            tensors[place]._data = results[result]
        for place, gradient in self.new_grads:
            tensors[place]._grad = None if gradient is None else results[gradient]
        for place, flag in self.new_flags:
            tensors[place].requires_grad = flag
        for place, key in self.gone:
            del containers[place][key]
        for place, key, value in self.new_items:
            container = containers[place]
            if isinstance(container, list) and key == len(container):
                container.append(value.filled(results, tensors, given.leaves))
            else:
                container[key] = value.filled(results, tensors, given.leaves)
        return self.out.filled(results, tensors, given.leaves)

    # --- While f is traced

    def _trace(self, given: _Given, arrays: list[Any], seed: Any) -> list[Any]:
        count = len(arrays) - len(given.inputs)
        leaves = list(given.leaves)
        for i, array in zip(given.inputs, arrays[count:], strict=True):
            leaves[i] = array
        with given.lent(arrays[:count]), _tracing(given), keys_from(seed) as keys:
            before = [dict(_items(container)) for container in given.containers]
            flags = [t._requires_grad for t in given.tensors]
            args, options = tree().tree_unflatten(given.structure, leaves)
            out = self.f(*args, **options)
            self._compare_tensors(given, arrays, flags)
            for place, items in enumerate(before):
                self._compare_container(given, place, items)
            self.out = _Tree(out, self, given)
            self.draws = keys.count > 0
        return self.results

    def result(self, array: Any) -> int:
        """The place of an array among the results."""
        self.results.append(array)
        return len(self.results) - 1

    def _compare_tensors(self, given: _Given, arrays: list[Any], flags: list[bool]) -> None:
        grads = dict(zip(given.has_grad, arrays[len(given.tensors) :], strict=False))
        for i, tensor in enumerate(given.tensors):
            # What replaces an array keeps its place, on however many devices it lies.
            if tensor._data is not arrays[i]:
                self.replaces[i] = self.result(tensor._data)
                self.like[self.replaces[i]] = i
                self.new_data.append((i, self.replaces[i]))
            gradient = tensor._grad
            if gradient is not grads.get(i):
                place = None if gradient is None else self.result(gradient)
                self.new_grads.append((i, place))
                if place is not None:
                    self.like[place] = i
                if place is not None and i in grads:
                    self.replaces[len(given.tensors) + given.has_grad.index(i)] = place
            if tensor._requires_grad != flags[i] and tensor._record is None:
                self.new_flags.append((i, tensor._requires_grad))

    def _compare_container(self, given: _Given, place: int, before: dict[Any, Any]) -> None:
        now = dict(_items(given.containers[place]))
        first = len(given.tensors) + len(given.has_grad)
        cells = {(id(c), key): i for i, (c, key) in enumerate(given.cells, first)}
        for key, value in now.items():
            if key in before and value is before[key]:
                continue
            path = (*given.paths[place], key)
            if type(value) in (int, float) and type(before.get(key)) in (int, float):
                if value != before[key]:
                    self.counted.add(path)
                continue
            new = _Tree(value, self, given)
            self.new_items.append((place, key, new))
            cell = cells.get((id(given.containers[place]), key))
            if cell is not None and new.leaves and new.leaves[0][0] == "array":
                self.replaces[cell] = new.leaves[0][1]
                self.like[self.replaces[cell]] = cell
        self.gone += [(place, key) for key in reversed(before) if key not in now]


class _Tree:
    """A tree with the results of a program in it."""

    def __init__(self, value: Any, program: _Program, given: _Given):
        leaves, self.structure = tree().tree_flatten(value, is_leaf=_is_object)
        self.leaves: list[tuple[str, Any]] = []
        places = {id(t): i for i, t in enumerate(given.tensors)}
        objects = {id(given.leaves[i]): i for i in given.others}
        for leaf in leaves:
            if id(leaf) in places:
                self.leaves.append(("tensor", places[id(leaf)]))
            elif isinstance(leaf, Tensor):
                cut = Cut("gn.jit", program.line) if leaf._requires_grad else leaf._record
                self.leaves.append(("result", (program.result(leaf._data), cut, leaf.name)))
            elif _is_array(leaf):
                self.leaves.append(("array", program.result(leaf)))
            elif id(leaf) in objects:
                self.leaves.append(("argument", objects[id(leaf)]))
            else:
                self.leaves.append(("value", leaf))

    def filled(self, results: Sequence[Any], tensors: list[Tensor], arguments: list[Any]) -> Any:
        """The tree with the results of a call."""
        leaves = []
        for kind, what in self.leaves:
            if kind == "result":
                place, cut, name = what
                leaf = graph.new(Tensor)
                leaf._data, leaf._grad, leaf.name = results[place], None, name
                leaf._requires_grad, leaf._record = False, cut if type(cut) is Cut else None
            elif kind == "array":
                leaf = results[what]
            elif kind == "tensor":
                leaf = tensors[what]
            else:
                leaf = arguments[what] if kind == "argument" else what
            leaves.append(leaf)
        return tree().tree_unflatten(self.structure, leaves)


@contextmanager
def _tracing(given: _Given) -> Iterator[None]:
    owned = frozenset(map(id, given.tensors))
    token = graph.given.set((next(graph.numbers), owned))
    try:
        yield
    finally:
        graph.given.reset(token)


def _check_closure(f: Any) -> None:
    """What f uses from outside would be a constant of the compiled code: no parameter may be."""
    function = getattr(f, "__func__", f)
    if not isinstance(function, FunctionType):
        return
    code = function.__code__
    names = {step.argval for step in dis.get_instructions(code) if step.opname == "LOAD_GLOBAL"}
    used = {name: function.__globals__[name] for name in names if name in function.__globals__}
    used |= zip(code.co_freevars, map(inside, function.__closure__ or ()), strict=True)
    for name, value in used.items():
        if isinstance(value, Jit):
            continue
        if isinstance(value, Tensor):
            learned = value._requires_grad
        elif hasattr(value, "named_parameters"):
            learned = any(True for _ in value.named_parameters())
        else:
            learned = hasattr(value, "zero_grad") and hasattr(value, "step")  # an optimiser
            learned = learned or hasattr(value, "get_last_lr")  # a schedule, which holds one
        if learned and not isinstance(value, type):
            raise RuntimeError(errors.jit_closure(function.__name__, name, value))


def _without_value() -> list[Tensor]:
    """All Tensors that have tracers in them."""
    is_concrete = load("jax").is_concrete
    return [
        thing for thing in gc.get_objects()
        if issubclass(type(thing), Tensor) and hasattr(thing, "_data")  # isinstance asks odd things
        and type(thing._data) is not tuple and not is_concrete(thing._data)
    ]  # fmt: skip


def _check_leaks(f: Any, stale: list[Tensor]) -> None:
    """A Tensor that outlives the trace has no value: say so now, not when it is used."""
    known = set(map(id, stale))
    if any(id(tensor) not in known for tensor in _without_value()):
        gc.collect()  # perhaps it is garbage
        leaked = [tensor for tensor in _without_value() if id(tensor) not in known]
        if leaked:
            raise RuntimeError(errors.jit_leak(f, leaked[0]))
