"""Loops and branches that compile: scan, cond, while_loop.

Where values are known they are Python's own loop and `if`, and what they compute is recorded as
ever. Inside `gn.jit` they are JAX's, each one operation of the compiled code however long it runs;
to the graph each is one operator, whose rule is a loop, or a branch, over the pullback of its body.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from gradnerve import errors, graph, ops
from gradnerve.backends import array_library, as_array, is_concrete, is_floating, load, moved
from gradnerve.graph import operator
from gradnerve.ops.random import keys_of_round, seed_of_loop
from gradnerve.tensor import Tensor
from gradnerve.transforms import fresh, paths, recording, tree, walk_back


def scan(
    f: Callable[..., Any], init: Any, xs: Any = None, length: int | None = None,
    reverse: bool = False,
) -> tuple[Any, Any]:  # fmt: skip
    """A loop that hands something on: scan : (c, x → c, y), c, [x] → c, [y].

    f takes the carry and one x, and returns the next carry, of the same structure, shapes and
    dtypes, and one y. `xs` is a tree of arrays whose first axis is the loop's; without it the loop
    runs `length` times, with x = None. Returns the last carry, and all y stacked along a new first
    axis; with `reverse` the loop begins at the end. Under `gn.jit` the compiled code does not grow
    with the length; its backward computes f once more.

    Raises ValueError where the lengths differ, or f's carry has another shape, dtype or structure.

    >>> import numpy as np
    >>> import gradnerve as gn
    >>> gn.scan(lambda total, x: (total + x, total * x), 0.0, np.array([1.0, 2.0, 3.0]))
    (array(6.), array([0., 2., 9.]))
    """
    length = _length(xs, length)
    if not _is_compiling((init, xs)):
        return _loop(f, init, xs, length, reverse)
    carry, structure = tree().tree_flatten(_in_jax(init))
    x, x_structure = tree().tree_flatten(_in_jax(xs))
    first = [_first(leaf, length) for leaf in x]
    body = _Body(f, (structure, x_structure), [*carry, *first])
    outputs = body.out_structure.children()
    if len(outputs) != 2:
        raise ValueError(errors.scan_pair(body.out))
    _check_carry("scan", structure, carry, outputs[0], body.shapes[: len(carry)])
    options = (len(carry), len(x), length, reverse, seed_of_loop())
    results = _run(scanned, body, options, [*carry, *x])
    return (
        tree().tree_unflatten(structure, results[: len(carry)]),
        tree().tree_unflatten(outputs[1], results[len(carry) :][: outputs[1].num_leaves]),
    )


def cond(
    pred: Any, if_true: Callable[..., Any], if_false: Callable[..., Any], *operands: Any
) -> Any:
    """`if_true(*operands)` where pred holds, else `if_false(*operands)`.

    Both return the same structure, shapes and dtypes. Only one of them is computed.

    Raises ValueError where the branches return different things, or pred is not one value.

    >>> import gradnerve as gn
    >>> x = gn.Tensor(-2.0, requires_grad=True)
    >>> gn.cond(x > 0, lambda x: x, lambda x: x * x, x).backward()
    >>> print(x.grad)
    -4.0
    """
    value = _plain(pred)
    if getattr(value, "shape", ()) != ():
        raise ValueError(errors.one_value("cond", value.shape))
    if not _is_compiling((pred, operands)):
        return if_true(*operands) if value else if_false(*operands)
    leaves, structure = tree().tree_flatten(_in_jax(operands))
    bodies = [_Body(f, structure.children(), leaves) for f in (if_true, if_false)]
    first, second = ((body.out_structure, body.shapes) for body in bodies)
    if first != second:
        raise ValueError(errors.other_branch(*first, *second))
    closed = {id(t): t for body in bodies for t in body.closed}
    for body in bodies:
        body.closed = list(closed.values())
    results = _run(chosen, bodies[0], (bodies[1], value), leaves)
    return tree().tree_unflatten(bodies[0].out_structure, results)


def while_loop(condition: Callable[..., Any], f: Callable[..., Any], init: Any) -> Any:
    """Apply f for as long as the condition holds: while_loop : (a → bool), (a → a), a → a.

    Under `gn.jit` no gradient flows through it, as the number of rounds is not known: use `scan`,
    or compute the gradient of what the loop converges to.

    Raises ValueError where f returns another structure, shape or dtype than it was given.

    >>> import gradnerve as gn
    >>> gn.while_loop(lambda x: x < 100, lambda x: x * 2, 1.0)
    128.0
    """
    if not _is_compiling(init):
        value = init
        while condition(value):
            value = f(value)
            _check_carry("while_loop", *_flat(init), *_flat(value))
        return value
    leaves, structure = tree().tree_flatten(_in_jax(init))
    body = _Body(f, (structure,), leaves)
    _check_carry("while_loop", structure, leaves, body.out_structure, body.shapes)
    test = _Body(condition, (structure,), leaves)
    if graph.recording.get() and any(map(_is_attached, (*leaves, *body.closed))):
        raise RuntimeError(errors.WHILE_GRADIENT)
    arrays = list(map(_plain, leaves))
    results = load("jax").while_loop(lambda a: test.arrays(a)[0], body.arrays, arrays)
    return tree().tree_unflatten(structure, body.like(results))


# --- Where values are known -----------------------------------------------------------------------


def _loop(f: Any, init: Any, xs: Any, length: int, reverse: bool) -> tuple[Any, Any]:
    carry, ys = init, []
    if not length:  # only the structure of what f returns is wanted
        x = tree().tree_map(lambda leaf: _plain(leaf)[:0].sum(0), xs)
        _, y = f(init, x)
        return init, tree().tree_map(lambda leaf: ops.stack([leaf])[:0], y)
    # All at once: a gradient of `leaf[i]` is as large as the leaf, in every round.
    x_structure, leaves = _flat(xs)
    structure, first = _flat(init)
    rounds = [ops.unstack(leaf) if isinstance(leaf, Tensor) else leaf for leaf in leaves]
    for i in reversed(range(length)) if reverse else range(length):
        returned = f(carry, tree().tree_unflatten(x_structure, [leaf[i] for leaf in rounds]))
        if not isinstance(returned, tuple) or len(returned) != 2:
            raise ValueError(errors.scan_pair(returned))
        carry, y = returned
        _check_carry("scan", structure, first, *_flat(carry))
        ys.append(y)
    carry = tree().tree_map(
        lambda leaf: leaf if isinstance(leaf, Tensor) else as_array(leaf), carry
    )
    return carry, tree().tree_map(lambda *leaves: _stack(leaves), *(ys[::-1] if reverse else ys))


def _stack(leaves: Sequence[Any]) -> Any:
    return ops.stack([leaf if isinstance(leaf, Tensor) else as_array(leaf) for leaf in leaves])


def _length(xs: Any, length: int | None) -> int:
    shapes = {tuple(as_array(_plain(leaf)).shape)[:1] for leaf in tree().tree_leaves(xs)}
    lengths = {shape[0] if shape else None for shape in shapes}
    lengths |= set() if length is None else {length}
    if len(lengths) != 1 or None in lengths:
        raise ValueError(errors.scan_lengths(lengths))
    (one,) = lengths
    return int(one)  # type: ignore[arg-type]


def _first(leaf: Any, length: int) -> Any:
    """What a round of a loop over `leaf` is like."""
    array = _plain(leaf)
    library = array_library(array)
    one = array[0] if length else library.zeros(array.shape[1:], dtype=array.dtype)
    return Tensor(one) if isinstance(leaf, Tensor) else one


def _flat(value: Any) -> tuple[Any, list[Any]]:
    leaves, structure = tree().tree_flatten(value)
    return structure, leaves


def _check_carry(
    name: str, structure: Any, leaves: Sequence[Any], other: Any, returned: Sequence[Any]
) -> None:
    """What a round hands on has to be like what it got."""
    if structure != other:
        raise ValueError(errors.other_carry(name, structure, other))
    for before, after in zip(leaves, returned, strict=True):
        a, b = _shape(before), _shape(after)
        if a[0] != b[0] or (a[1] != b[1] and not isinstance(before, (int, float))):
            raise ValueError(
                errors.other_carry(name, *(f"{dtype}{list(s)}" for s, dtype in (a, b)))
            )


def _shape(value: Any) -> Any:
    if isinstance(value, tuple):
        return value
    array = as_array(_plain(value))
    return tuple(array.shape), array.dtype


# --- Inside compiled code -------------------------------------------------------------------------


def _plain(value: Any) -> Any:
    return value._data if isinstance(value, Tensor) else value


def _is_attached(value: Any) -> bool:
    return isinstance(value, Tensor) and value._requires_grad


def _is_compiling(value: Any) -> bool:
    leaves = map(_plain, tree().tree_leaves(value))
    return graph.given.get() is not None or not all(map(is_concrete, leaves))


def _in_jax(value: Any) -> Any:
    """A tree of JAX's arrays, and of Tensors of them."""

    def convert(leaf: Any) -> Any:
        if isinstance(leaf, Tensor):
            return leaf.to("jax")
        return moved(as_array(leaf), "jax")

    return tree().tree_map(convert, value)


def _run(op: Any, body: _Body, options: Any, leaves: list[Any]) -> list[Any]:
    """What an operator makes of a body; recorded, if a gradient may be wanted."""
    if graph.recording.get() and any(map(_is_attached, (*leaves, *body.closed))):
        return body.like(op(body, options, *leaves, *body.closed))
    return body.like(op.operator.forward(body, options, *map(_plain, (*leaves, *body.closed))))


class _Body:
    """A function on trees, as a function on a list of arrays; and its pullback."""

    def __init__(self, f: Callable[..., Any], structures: Sequence[Any], leaves: Sequence[Any]):
        self.f, self.in_structures = f, structures
        self.as_tensors = any(isinstance(leaf, Tensor) for leaf in leaves)
        since = next(graph.numbers)
        outputs, _ = self.trace(leaves, attached=graph.recording.get())
        self.shapes = [_shape(y) for y in outputs]
        self.closed = paths(filter(_is_attached, outputs), (), since)[1]
        self.as_tensors = self.as_tensors or bool(self.closed)

    def like(self, arrays: Sequence[Any]) -> list[Any]:
        """Arrays as Tensors, if Tensors came in."""
        if not self.as_tensors:
            return [_plain(a) for a in arrays]
        return [a if isinstance(a, Tensor) else Tensor(a) for a in arrays]

    def trace(self, leaves: Sequence[Any], attached: bool) -> tuple[list[Any], list[Tensor]]:
        """f's outputs on fresh Tensors, and these (where they are floating and wanted)."""
        variables = []
        given = []
        for leaf in leaves:
            value: Any = leaf
            if attached and is_floating(_plain(leaf)):
                value = fresh(leaf, _is_attached(leaf))
                variables.append(value)
            elif self.as_tensors and not isinstance(leaf, Tensor):
                value = Tensor(leaf)
            given.append(value)
        args = []
        for structure in self.in_structures:
            part, given = given[: structure.num_leaves], given[structure.num_leaves :]
            args.append(tree().tree_unflatten(structure, part))
        with recording(attached):
            self.out = self.f(*args)
        outputs, self.out_structure = tree().tree_flatten(self.out)
        return _in_jax(outputs), variables

    def arrays(self, arrays: Sequence[Any]) -> list[Any]:
        """The outputs, as arrays."""
        return [_plain(y) for y in self.trace(arrays, attached=False)[0]]

    def pull_back(self, leaves: Sequence[Any], cts: Sequence[Any]) -> list[Any]:
        """The cotangents of what is floating among the leaves; then of `closed`."""
        as_tensors = any(map(_is_attached, (*leaves, *cts)))
        outputs, variables = self.trace(leaves, attached=True)
        pairs = [
            (y, ct) for y, ct in zip(outputs, cts, strict=True)
            if ct is not None and _is_attached(y)
        ]  # fmt: skip
        stops = [*variables, *self.closed]
        roots = [y for y, _ in pairs]
        since = max((stop._number for stop in stops), default=0) + 1
        wanted, _ = paths(roots, stops, since)
        found = walk_back(roots, [ct for _, ct in pairs], stops, wanted, as_tensors=as_tensors)
        return [found.get(s._number, array_library(s._data).zeros_like(s._data)) for s in stops]


@operator
def scanned(body, options, *arrays):
    """A loop: the last carry, all y, and the carry before each round."""
    carries, count, length, reverse, seed = options
    carry, xs = list(arrays[:carries]), list(arrays[carries : carries + count])

    def step(carry: Any, inputs: Any) -> Any:
        x, number = inputs
        with keys_of_round(seed, number):
            outputs = body.arrays([*carry, *x])
        after = [a.astype(b.dtype) for a, b in zip(outputs[:carries], carry, strict=True)]
        return after, (outputs[carries:], carry)

    last, (ys, before) = load("jax").scan(step, carry, xs, length, reverse)
    return (*last, *ys, *before)


@scanned.rule("arrays", r"\bar x = \text{a loop over the pullback of}\;f")
def _(ct, y, body, options, arrays):
    carries, count, length, reverse, seed = options
    xs = list(arrays[carries : carries + count])
    outputs = len(body.shapes)
    before = list(y[outputs:])
    is_float = [is_floating(_plain(a)) for a in y[:outputs]]
    wanted = [part for part, real in zip(ct[:outputs], is_float, strict=True) if real]
    # A gradient of the gradient depends on the carries before each round, too.
    of_before = [part for part, real in zip(ct[outputs:], is_float, strict=False) if real]
    first = sum(is_float[:carries])
    closed = [array_library(_plain(t)).zeros_like(_plain(t)) for t in body.closed]

    def back(state: Any, inputs: Any) -> Any:
        of_carry, of_closed = state
        carry, x, of_y, more, number = inputs
        rest = iter([*of_carry, *of_y])
        cts = [next(rest) if real else None for real in is_float]
        with keys_of_round(seed, _plain(number)):
            found = body.pull_back([*carry, *x], cts)
        count = sum(map(is_floating, map(_plain, x)))
        of_x = found[first : first + count]
        total = [a + b for a, b in zip(of_closed, found[first + count :], strict=True)]
        return ([a + b for a, b in zip(found[:first], more, strict=True)], total), of_x

    loops = (before, xs, wanted[first:], of_before, load("jax").namespace.arange(length))
    with recording(any(isinstance(a, Tensor) for a in (*ct, *arrays))):
        (of_carry, of_closed), of_xs = scan(
            back, (wanted[:first], closed), loops, length, not reverse
        )
    rest = iter([*of_carry, *of_xs])
    shares = [next(rest) if is_floating(_plain(a)) else None for a in arrays[: carries + count]]
    return [*shares, *of_closed]


@operator
def chosen(body, options, *arrays):
    """One of two functions, by a condition."""
    other, pred = options
    count = len(arrays) - len(body.closed)
    return tuple(load("jax").cond(pred, body.arrays, other.arrays, list(arrays[:count])))


@chosen.rule("arrays", r"\bar x = \text{the pullback of the branch that was taken}")
def _(ct, y, body, options, arrays):
    other, pred = options
    count = len(arrays) - len(body.closed)
    leaves = list(arrays[:count])
    cts = [c if is_floating(_plain(part)) else None for c, part in zip(ct, y, strict=True)]
    with recording(any(isinstance(a, Tensor) for a in (*ct, *arrays))):
        found = cond(pred, body.pull_back, other.pull_back, leaves, cts)
    rest = iter(found)
    shares = [next(rest) if is_floating(_plain(a)) else None for a in leaves]
    return [*shares, *rest]
