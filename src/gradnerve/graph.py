"""The graph: how an operator is recorded, and how cotangents flow back.

An operator is a function on arrays, with a rule for each input it can be differentiated by. Called
on arrays it just computes. Called on Tensors it computes on their data, and the Tensor it returns
keeps a record: the operator, its arguments, and the values it saw. Those records are the graph;
`flow` walks them from a result back to the leaves.

The cotangent of a value x, called `ct` in code and x̄ in formulas, says how much the final result
changes per unit of change in x. It has the shape and the dtype of x. Of a complex x it is such that
the result changes by Re(Σ ct · dx): with this convention the rule of a complex function is that of
the real one. The gradient that the user gets is its conjugate, as with PyTorch.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from heapq import heappop, heappush
from sys import getrefcount
from threading import RLock
from typing import TYPE_CHECKING, Any
from weakref import ref

from gradnerve import errors, writing
from gradnerve.backends import (
    array_library,
    as_array,
    foreign,
    in_one_library,
    is_complex,
    is_floating,
    libraries,
    made_arrays,
    size,
)
from gradnerve.operators import Operator, operators, register
from gradnerve.writing import as_they_were, check_unchanged, written

if TYPE_CHECKING:
    from gradnerve.tensor import Tensor
else:
    Tensor = None  # tensor.py stands above this file, and puts its class here

Array = Any  # an array of any supported library
Record = tuple[Operator, tuple[Any, ...], Sequence[Any]]  # its arguments, and the arrays in them
scalars = frozenset((bool, int, float))  # numbers that a forward takes as they are

recording: ContextVar[bool] = ContextVar("recording", default=True)
"""Whether operators are recorded: a setting of the thread, or of the asyncio task."""

readings: ContextVar[dict[Any, Any] | None] = ContextVar("readings", default=None)
"""While a transform traces a function: what was read as a Python number there, and where."""

given: ContextVar[tuple[int, frozenset[int]] | None] = ContextVar("given", default=None)
"""While a function is being compiled: since when, and the ids of the Tensors it was given."""

numbers = itertools.count(0, -1)
"""Tensors are numbered downwards as they are made: each has a lower number than its parents."""

new = object.__new__  # makes a Tensor without asking its __init__

accumulating = RLock()
"""Threads may add to the `.grad` of one tensor: one after the other, or a sum would be lost."""

watch: Any = None
"""Debug mode's checks of every value and cotangent (`debug.py`); usually there are none."""


# --- Forward: an operator is called, and recorded -------------------------------------------------


def operator(forward: Callable[..., Any]) -> Any:
    """Make a differentiable operator of a function on arrays.

    The operator is called like the function, on arrays (and returns arrays) or on Tensors (and
    returns Tensors). Give it a rule for each input that it can be differentiated by, with
    `@name.rule(input, formula)`; see `Operator.rule`.

    Raises TypeError for a name that another module's operator has.

    >>> import gradnerve as gn
    >>> @gn.operator
    ... def cube(x):
    ...     return x * x * x
    >>> @cube.rule("x", r"\\bar x = 3 x^2\\,\\bar y")
    ... def _(ct, x):
    ...     return ct * 3 * x * x
    >>> x = gn.Tensor(2.0, requires_grad=True)
    >>> cube(x).backward()
    >>> print(x.grad)
    12.0
    """
    op = Operator(forward)
    arity = op.arity

    @functools.wraps(forward)
    def call(*args: Any, **options: Any) -> Any:
        if len(args) != arity or options:
            args = op.complete(args, options)

        values = []  # the arguments, with arrays in place of Tensors
        traced = needs_grad = False
        for arg in args:
            if isinstance(arg, Tensor):
                traced = True
                if arg._requires_grad:
                    needs_grad = True
                values.append(arg._data)
            elif type(arg) in libraries:
                values.append(arg)
            elif isinstance(arg, made_arrays) and op.takes_array(len(values)):
                return call(*op.without_lists(args))
            else:
                values.append(arg)

        if foreign:
            values = list(in_one_library(op.name, op.names, values))
        try:
            result = forward(*values)
        except Exception as error:
            raise errors.explained(error, op.name, op.names, args) from None
        if not traced:
            return result

        if needs_grad and op.differentiable and recording.get():
            if op.constant:
                _check_constant(op, args)
            tensor = recorded(result, (op, args, values))
        else:
            tensor = _unrecorded(result, op, args)
        if watch is not None:
            watch.computed(tensor, op, args)
        return tensor if type(result) is not tuple else _outputs_of(tensor)

    call = _shortcut(op, call)
    call.operator = op  # type: ignore[attr-defined]
    call.rule = op.rule  # type: ignore[attr-defined]
    register(op, call)
    return call


def _shortcut(op: Operator, call: Callable[..., Any]) -> Any:
    """For operators `f(x)` and `f(x1, x2)`: the shortest way to what `call` gives.

    They are most of all calls, and on small arrays `call` takes longer than the arithmetic. Written
    out here is the ordinary case, where something requires grad; all else is left to `call`.
    """
    forward = op.forward

    def unary(x: Any) -> Any:
        if isinstance(x, Tensor):
            if not (x._requires_grad and op.ordinary and recording.get()) or watch is not None:
                return call(x)
            value = x._data
        elif type(x) in libraries:  # as in a rule: ct * cos(x)
            value = x
        else:
            return call(x)
        try:
            result = forward(value)
        except Exception as error:
            raise errors.explained(error, op.name, op.names, (x,)) from None
        if value is x:
            return result
        tensor = recorded(result, (op, (x,), (value,)))
        return tensor if type(result) is not tuple else _outputs_of(tensor)

    def binary(x1: Any, x2: Any) -> Any:
        needs_grad = False
        if isinstance(x1, Tensor):
            needs_grad = x1._requires_grad
            value1 = x1._data
        elif type(x1) in libraries or type(x1) in scalars:
            value1 = x1
        else:
            return call(x1, x2)
        if isinstance(x2, Tensor):
            needs_grad = needs_grad or x2._requires_grad
            value2 = x2._data
        elif type(x2) in libraries or type(x2) in scalars:
            value2 = x2
        else:
            return call(x1, x2)
        if not (needs_grad and op.ordinary and recording.get()) or watch is not None:
            return call(x1, x2)
        if foreign and (type(value1) is not type(value2) or value1 is x1 or value2 is x2):
            value1, value2 = in_one_library(op.name, op.names, (value1, value2))
        try:
            result = forward(value1, value2)
        except Exception as error:
            raise errors.explained(error, op.name, op.names, (x1, x2)) from None
        tensor = recorded(result, (op, (x1, x2), (value1, value2)))
        return tensor if type(result) is not tuple else _outputs_of(tensor)

    shortest: Any = {("x",): unary, ("x1", "x2"): binary}.get(op.names)
    return call if shortest is None or op.variadic else functools.wraps(forward)(shortest)


def _check_constant(op: Operator, args: tuple[Any, ...]) -> None:
    """An argument without a rule must not require grad: its gradient would be lost in silence."""
    for position in op.constant:
        if isinstance(args[position], Tensor) and args[position]._requires_grad:
            raise NotImplementedError(errors.no_rule(op.name, op.names[position]))


def recorded(result: Any, record: Record) -> Tensor:
    """The Tensor of an operator's result that is part of the graph."""
    tensor = new(Tensor)
    tensor._data = result if type(result) in libraries else _arrays(result)
    tensor._grad = tensor.name = None
    tensor._requires_grad = True
    tensor._record = record
    tensor._number = next(numbers)
    return tensor


def _unrecorded(result: Any, op: Operator, args: tuple[Any, ...]) -> Tensor:
    """The Tensor of an operator's result that is no part of the graph."""
    tensor = new(Tensor)
    tensor._data = result if type(result) in libraries else _arrays(result)
    tensor._grad = tensor.name = None
    tensor._requires_grad = False
    tensor._record = _cut(op, args)
    return tensor


def _arrays(result: Any) -> Any:
    return tuple(map(as_array, result)) if type(result) is tuple else as_array(result)


# An operator with several outputs makes one hidden Tensor, whose data is the tuple of them, and
# hands out `output(hidden, 0)`, `output(hidden, 1)`, ... The hidden one's cotangent is a dict, by
# place, of what has arrived; its rules see a tuple of arrays, with zeros where nothing has.


def _outputs_of(hidden: Tensor) -> tuple[Tensor, ...]:
    return tuple(
        operators.output(hidden, i)
        if is_floating(array)
        else Tensor(array)  # an index, say: a plain value
        for i, array in enumerate(hidden._data)
    )


@operator
def output(outputs, index):
    """One of an operator's several outputs."""
    return outputs[index]


@output.rule("outputs", r"\bar y_i = \bar y")
def _(ct, index):
    return {index: ct}


def made_by(record: Record) -> Operator:
    """The operator that a result is of; for one of several outputs, the one that has them all."""
    op, args, _ = record
    behind = args[0]._record if op is output.operator else None
    return behind[0] if type(behind) is tuple else op


@operator
def together(*arrays):
    """Several arrays as the outputs of one operator: where a walk begins at all of them."""
    return arrays


@together.rule("arrays", r"\bar x_i = \bar y_i")
def _(ct):
    return ct


# --- Backward: cotangents flow back ---------------------------------------------------------------


def backward(root: Tensor, gradient: Any = None, retain_graph: bool = False) -> None:
    """Add to `.grad`, for every tensor that led to `root` and that somebody still holds."""
    if not root._requires_grad:
        raise errors.NoGradientPath(errors.no_path(root))
    since, own = given.get() or (0, None)
    for tensor, ct in flow(root, _seed(root, gradient), free=not retain_graph):
        if own is not None and tensor._number > since and id(tensor) not in own:
            raise RuntimeError(errors.jit_outside(tensor))
        ct = gradient_of(ct)
        with accumulating:
            if tensor._grad is None and tensor._record is None and ct.dtype == tensor._data.dtype:
                tensor._grad = ct  # a leaf's cotangent shares memory with nothing
            else:
                add_to_grad(tensor, ct)


def gradient_of(ct: Any) -> Any:
    """The gradient for a cotangent, and back: its conjugate, if it is complex."""
    if not is_complex(ct):
        return ct
    conjugate = operators.conj(ct)
    return conjugate if isinstance(conjugate, Tensor) else as_array(conjugate)


def flow(
    root: Tensor, ct: Any, *, free: bool = False, as_tensors: bool = False,
    stops: Iterable[Tensor] = (), wanted: set[int] | None = None,
) -> Iterator[tuple[Tensor, Any]]:  # fmt: skip
    """Walk back from `root`; yield each tensor that somebody can see, with its whole cotangent.

    The latest made is visited first (it has the lowest number), so each tensor comes after all that
    was computed from it, and its cotangent is complete by then. Cotangents belong to this walk, not
    to the tensors. `free` lets go of each record as soon as it has been used. `as_tensors` hands
    Tensors to the rules, not arrays: the walk is itself recorded, and can be differentiated. At the
    tensors in `stops` the walk ends; they come last. `wanted` are the numbers of all that it may
    visit, if that is not everything.
    """
    # By its number: a tensor, its cotangent so far, and whether that is a sum which was made here
    # and can be added to in place.
    reached: dict[int, list] = {stop._number: [stop, None, False] for stop in stops}
    queue = []  # of the numbers to visit: a stop is never among them
    if root._number in reached:
        reached[root._number][1] = ct
    else:
        reached[root._number] = [root, ct, False]
        queue.append(root._number)
    line = errors.user_line() if free else ("", 0)
    checks = watch
    latest = writing.latest

    while queue:
        number = heappop(queue)
        tensor, ct, _ = reached.pop(number)
        record = tensor._record
        if type(record) is not tuple:
            if record is not None:
                raise errors.GraphFreed(errors.freed(record))
            # Nobody else needs a leaf's cotangent: most often it is a fresh array, else we copy it.
            fresh = type(ct) is type(tensor._data) and getattr(ct, "base", ct) is None
            if not as_tensors and not (fresh and getrefcount(ct) == ALONE):
                ct = operators.copy(ct)
            yield tensor, ct
            continue
        # An intermediate that only this walk holds is nobody's business: it has no .grad, and
        # vanishes with its record at the end of this round.
        if getrefcount(tensor) > ALONE:
            if type(tensor._data) is not tuple:
                yield tensor, ct
            if free:
                links = [ref(parent) for parent in parents(record)]
                tensor._record = Freed(record[0], links, line)

        # Now the operator's step: each parent gets its share of the cotangent, as the rules say.
        op, args, values = record
        y: Any = tensor._data
        if type(y) is tuple:
            y, ct = _filled(tensor, ct, as_tensors)
        elif as_tensors:
            y = tensor
        if written:
            args = as_they_were(args, values, tensor._number)
        seen = [ct, y, None, *(args if as_tensors else values)]  # what a rule can name
        if number > latest:
            check_unchanged(tensor, record, seen)
        if checks is not None:
            checks.used(tensor, record, seen)
        rules = op.rules if op.joint is None else op.rules + op.joint_rules(args, seen)
        for position, rule, first, second in rules:
            parent = args[position]
            if not isinstance(parent, Tensor) or not parent._requires_grad:
                continue
            number = parent._number
            if wanted is not None and number not in wanted:
                continue
            share = rule(seen[first]) if second is None else rule(seen[first], seen[second])
            data = parent._data
            try:
                fits = share.shape == data.shape and share.dtype is data.dtype
            except AttributeError:  # a dict for several outputs, or a rule gave a plain number
                fits = type(share) is dict and type(data) is tuple
            if not fits:
                share = _fit(share, data, op)
            if checks is not None:
                checks.passed_back(tensor, op, parent, share)

            known = reached.get(number)
            if known is None:
                reached[number] = [parent, share, False]
                heappush(queue, number)
            elif known[2]:
                known[1] += share
            elif known[1] is None:
                known[1] = share
            elif type(share) is dict:
                _add_to_outputs(known[1], share)
            else:
                known[1] = known[1] + share
                known[2] = not as_tensors
        # These names hold the parents: to the next round it would look as if somebody else did.
        parent = known = record = args = values = seen = None  # type: ignore[assignment]

    for stop, total, summed in reached.values():
        if total is not None:
            yield stop, total if summed or as_tensors else operators.copy(total)


def parents(record: Record) -> Iterator[Tensor]:
    """The tensors that a result was computed from."""
    for arg in record[1]:
        if isinstance(arg, Tensor):
            # The hidden tensor of several outputs is nobody's parent: look behind it.
            if type(arg._data) is tuple and type(arg._record) is tuple:
                yield from parents(arg._record)
            else:
                yield arg


def _filled(tensor: Tensor, cts: Any, as_tensors: bool) -> tuple[tuple, tuple]:
    """An operator's several outputs and their cotangents, with zeros where nothing has arrived."""
    outputs = _outputs_of(tensor) if as_tensors else tensor._data
    if type(cts) is tuple:  # the walk begins here
        return outputs, cts
    pairs = enumerate(outputs)
    return outputs, tuple(cts[i] if i in cts else operators.zeros_like(y) for i, y in pairs)


def _add_to_outputs(total: dict[int, Any], share: dict[int, Any]) -> None:
    """Add to the cotangents of several outputs, of which some may be missing."""
    for i, ct in share.items():
        total[i] = total[i] + ct if i in total else ct


def _fit(share: Any, data: Any, op: Operator) -> Any:
    """A cotangent has the shape and dtype of its value: undo broadcasting and promotion."""
    if share is None or isinstance(share, (tuple, list)):
        raise TypeError(errors.rule_gave(op.name, share))
    if not hasattr(share, "shape"):
        share = as_array(share)
    if share.shape != data.shape:
        extra = len(share.shape) - len(data.shape)
        if extra > 0 and share.shape[extra:] == data.shape:  # most often: summed over a batch
            stretched = tuple(range(extra))
        else:
            stretched = _stretched(share.shape, data.shape, op)
        share = operators.sum(share, stretched, False, None)
        if share.shape != data.shape:
            share = operators.reshape(share, data.shape)
    if share.dtype != data.dtype:
        if is_complex(share) and not is_complex(data):
            share = operators.real(share)  # a real value can only move along the real axis
        share = operators.astype(share, data.dtype)
    return share


def _stretched(wide: tuple[int, ...], shape: tuple[int, ...], op: Operator) -> tuple[int, ...]:
    """The axes along which broadcasting has stretched a value of this shape, or made new ones."""
    extra = len(wide) - len(shape)
    padded = (1,) * extra + shape
    axes = tuple(i for i, (n, m) in enumerate(zip(wide, padded, strict=False)) if n != m)
    if extra < 0 or any(padded[i] != 1 for i in axes):
        raise ValueError(errors.misfit(op.name, wide, shape))
    return axes


def add_to_grad(tensor: Tensor, ct: Any) -> None:
    """Accumulate into `.grad`, which shares memory with nothing else."""
    data = tensor._data
    if tensor._grad is None:
        tensor._grad = array_library(data).asarray(ct, dtype=data.dtype, copy=True)
    else:
        tensor._grad = array_library(data).asarray(tensor._grad + ct, dtype=data.dtype)


def _seed(root: Tensor, gradient: Any) -> Array:
    """The cotangent that backward starts from: 1 for a single number, else what the user gave."""
    data = root._data
    library = array_library(data)
    if gradient is None:
        if size(data) != 1:
            raise RuntimeError(errors.not_a_scalar(tuple(data.shape)))
        if is_complex(data):
            raise RuntimeError(errors.COMPLEX_ROOT)
        return library.ones_like(data)
    gradient = gradient._data if isinstance(gradient, Tensor) else gradient
    seed = library.asarray(as_array(gradient, data), dtype=data.dtype)
    if seed.shape != data.shape:
        raise ValueError(errors.gradient_shape(tuple(seed.shape), tuple(data.shape)))
    return gradient_of(seed)


# --- What stands in place of a record -------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Freed:
    """For the record of a Tensor whose backward is done: what it was, and where that was."""

    operator: Operator
    parents: list[ref[Tensor]]
    line: tuple[str, int]


@dataclass(frozen=True, slots=True)
class Cut:
    """For the record of a Tensor that was taken out of the graph: by what, and where."""

    by: str
    line: tuple[str, int]


def _cut(op: Operator, args: tuple[Any, ...]) -> Cut | None:
    """Why a result is not part of the graph, if one of its arguments is, or had been cut."""
    for arg in args:
        if isinstance(arg, Tensor):
            if type(arg._record) is Cut:
                return arg._record
            if arg._requires_grad:
                by = "no_grad()" if op.differentiable else f"{op.name}(), which has no derivative"
                return Cut(by, errors.user_line())
    return None


@contextmanager
def no_grad() -> Iterator[None]:
    """Record nothing inside: `with no_grad():`, or `@no_grad()` on a function.

    >>> import gradnerve as gn
    >>> x = gn.Tensor(2.0, requires_grad=True)
    >>> with gn.no_grad():
    ...     y = x * x
    >>> y.requires_grad
    False
    """
    token = recording.set(False)
    try:
        yield
    finally:
        recording.reset(token)


def _references_to_a_local() -> int:
    thing = object()
    return getrefcount(thing)


# What `getrefcount` says of an object that one local variable holds, and nobody else.
ALONE = _references_to_a_local()
