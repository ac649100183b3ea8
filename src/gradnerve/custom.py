"""Functions whose backward is their own: written by the user, or computed again to save memory."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from gradnerve import errors, graph
from gradnerve.backends import as_array
from gradnerve.graph import operator
from gradnerve.ops import together, zeros_like
from gradnerve.ops.random import generator
from gradnerve.tensor import Tensor
from gradnerve.transforms import check_function, fresh, recording, tree

# --- A rule by the user, for a function of several operators --------------------------------------


def custom_vjp(f: Callable[..., Any]) -> Any:
    """Decorate a function whose vector-Jacobian product you write yourself.

    After it, `f.defvjp(fwd, bwd)`: `fwd(*args)` returns f's value and whatever `bwd` will need;
    `bwd(residuals, ct)` returns a tuple with a cotangent for each argument (None: it has none).
    Both are ordinary array code in GradNerve's functions, so a second derivative works as well.
    (The names are JAX's. For a single function on arrays, `gn.operator` is simpler.)

    Raises TypeError where `bwd` returns something else, or no rule has been given.

    >>> import gradnerve as gn
    >>> @gn.custom_vjp
    ... def straight_through(x):
    ...     return gn.round(x)
    >>> straight_through.defvjp(lambda x: (gn.round(x), None), lambda _, ct: (ct,))
    >>> print(gn.grad(lambda x: straight_through(x) ** 2)(2.6))
    6.0
    """
    check_function("custom_vjp", f)
    name = getattr(f, "__name__", type(f).__name__)
    given: list[Callable[..., Any]] = []

    @functools.wraps(f, updated=())
    def call(*args: Any) -> Any:
        if not given:
            raise TypeError(f"{name} has no rule yet: write {name}.defvjp(fwd, bwd)")
        leaves, structure = tree().tree_flatten(args)
        if not any(isinstance(leaf, Tensor) and leaf.requires_grad for leaf in leaves):
            return f(*args)
        rule = _CustomRule(name, given[0], given[1], structure)
        outputs = graph.operators.by_rule(rule, *leaves)
        return tree().tree_unflatten(rule.out_structure, outputs)

    def defvjp(fwd: Callable[..., Any], bwd: Callable[..., Any]) -> None:
        given[:] = fwd, bwd

    call.defvjp = defvjp  # type: ignore[attr-defined]
    return call


class _CustomRule:
    """One call of a function with a rule of the user's: its residuals wait here for backward."""

    def __init__(self, name: str, fwd: Callable, bwd: Callable, structure: Any):
        self.name, self.fwd, self.bwd, self.structure = name, fwd, bwd, structure
        self.residuals: Any = None
        self.out_structure: Any = None

    def computed(self, inputs: Sequence[Any]) -> tuple[Any, Any]:
        """f's value and the residuals, by fwd."""
        pair = self.fwd(*tree().tree_unflatten(self.structure, inputs))
        if not isinstance(pair, tuple) or len(pair) != 2:
            raise TypeError(errors.fwd_gave(self.name, pair))
        return pair

    def forward(self, arrays: Sequence[Any]) -> tuple[Any, ...]:
        """The leaves of f's value; the residuals stay here."""
        out, self.residuals = self.computed(arrays)
        leaves, self.out_structure = tree().tree_flatten(out)
        if any(isinstance(y, Tensor) for y in leaves):
            raise TypeError(errors.closes_over(self.name))
        return tuple(map(as_array, leaves))

    def backward(self, cts: tuple[Any, ...], inputs: Sequence[Any]) -> list[Any]:
        """The cotangents of the inputs, by bwd."""
        residuals = self.residuals
        if any(isinstance(x, Tensor) for x in inputs):
            _, residuals = self.computed(inputs)  # once more: they have to be part of the graph
        ct = tree().tree_unflatten(self.out_structure, [graph.gradient_of(ct) for ct in cts])
        given = self.bwd(residuals, ct)
        count = len(self.structure.children())
        if not isinstance(given, tuple) or len(given) != count:
            raise TypeError(errors.bwd_gave(self.name, count, given))
        leaves, structure = tree().tree_flatten(given, none_is_leaf=True)
        if structure.num_leaves != len(inputs):
            raise TypeError(errors.bwd_gave(self.name, count, given))
        pairs = zip(leaves, inputs, strict=True)
        return [zeros_like(x) if ct is None else graph.gradient_of(_array(ct)) for ct, x in pairs]


@operator
def by_rule(rule, *inputs):
    """A function whose vector-Jacobian product its user has written."""
    return rule.forward(inputs)


@by_rule.rule("inputs", r"\bar x = \operatorname{bwd}(\text{residuals}, \bar y)")
def _(ct, rule, inputs):
    return rule.backward(ct, inputs)


def _array(value: Any) -> Any:
    return value if isinstance(value, Tensor) else as_array(value)


# --- Memory for time ------------------------------------------------------------------------------


def checkpoint(f: Callable[..., Any]) -> Any:
    """f, which keeps nothing for backward but its inputs, and is computed once more then.

    Memory falls from all of f's intermediate values to its inputs and outputs; the time of one
    more forward is the price. Gradients are the same to the bit: random numbers too (dropout) are
    drawn again as they were. f may close over parameters, and take and return trees.
    (T. Chen et al., "Training Deep Nets with Sublinear Memory Cost", 2016.)

    >>> import gradnerve as gn
    >>> x = gn.Tensor(2.0, requires_grad=True)
    >>> gn.checkpoint(lambda x: gn.exp(gn.sin(x)))(x).backward()
    >>> y = gn.Tensor(2.0, requires_grad=True)
    >>> gn.exp(gn.sin(y)).backward()
    >>> bool(x.grad == y.grad)
    True
    """

    check_function("checkpoint", f)

    @functools.wraps(f, updated=())
    def call(*args: Any, **options: Any) -> Any:
        if not graph.recording.get():
            return f(*args, **options)
        segment = _Segment(f, args, options)
        if not segment.inputs:
            return segment.out
        outputs = iter(graph.operators.recomputed(segment, *segment.inputs))
        leaves = [next(outputs) if kept else leaf for leaf, kept in segment.leaves]
        return tree().tree_unflatten(segment.out_structure, leaves)

    return call


class _Segment:
    """A part of a computation that keeps its inputs, and can be computed again."""

    def __init__(self, f: Callable[..., Any], args: tuple[Any, ...], options: dict[str, Any]):
        self.f = f
        given, self.structure = tree().tree_flatten((args, options))
        self.is_input = [isinstance(x, Tensor) and x.requires_grad for x in given]
        own = [x for x, kept in zip(given, self.is_input, strict=True) if kept]
        self.constants = [None if kept else x for x, kept in zip(given, self.is_input, strict=True)]
        self.random = generator().bit_generator.state
        out, roots, _, older = self.trace(own)
        self.out = out
        self.closed_over = sorted(older, key=lambda t: -t._number)
        self.inputs = [*own, *self.closed_over] if roots else []
        leaves, self.out_structure = tree().tree_flatten(out)
        self.leaves = [
            (None, True) if isinstance(y, Tensor) and y.requires_grad else (y, False)
            for y in leaves
        ]
        self.first: tuple[Any, ...] | None = tuple(y.data for y in roots)
        if roots:
            self.out = None  # its graph is what we want to be rid of

    def trace(self, own: Sequence[Any]) -> tuple[Any, list[Tensor], list[Tensor], list[Tensor]]:
        """f on fresh Tensors: its result, the attached parts, those Tensors, what is older."""
        since = next(graph.numbers)
        variables = [fresh(x, isinstance(x, Tensor) and x.requires_grad) for x in own]
        rest = iter(variables)
        pairs = zip(self.constants, self.is_input, strict=True)
        args, options = tree().tree_unflatten(
            self.structure, [next(rest) if kept else x for x, kept in pairs]
        )
        with recording(True):
            out = self.f(*args, **options)
        leaves = tree().tree_leaves(out)
        roots = [y for y in leaves if isinstance(y, Tensor) and y.requires_grad]
        _, older = graph.paths(roots, variables, since)
        return out, roots, variables, older

    def forward(self, inputs: Sequence[Any]) -> tuple[Any, ...]:
        """The outputs; those of the first time are at hand."""
        if self.first is not None:
            first, self.first = self.first, None
            return first
        with _random_state(self.random):
            _, roots, _, _ = self.trace(inputs[: sum(self.is_input)])
        return tuple(y.data for y in roots)

    def backward(self, cts: tuple[Any, ...], inputs: Sequence[Any]) -> list[Any]:
        """Compute again, and walk back."""
        as_tensors = any(isinstance(x, Tensor) for x in inputs)
        with _random_state(self.random):
            _, roots, variables, _ = self.trace(inputs[: sum(self.is_input)])
        stops = [*variables, *self.closed_over]
        wanted, _ = graph.paths(roots, stops, min(v._number for v in stops) + 1)
        values = tuple(y.data for y in roots)
        root = graph.recorded(values, (together.operator, tuple(roots), values))
        wanted.add(root._number)
        found: dict[int, Any] = {}
        with recording(as_tensors):
            for tensor, ct in graph.flow(
                root, cts, as_tensors=as_tensors, stops=stops, wanted=wanted
            ):
                found[tensor._number] = ct
        pairs = zip(stops, inputs, strict=True)
        return [found.get(stop._number, zeros_like(x)) for stop, x in pairs]


@operator
def recomputed(segment, *inputs):
    """A part of a computation that is computed again in backward."""
    return segment.forward(inputs)


@recomputed.rule("inputs", r"\bar x = \text{the pullback of}\;f\;\text{at}\;x")
def _(ct, segment, inputs):
    return segment.backward(ct, inputs)


@contextmanager
def _random_state(state: Any) -> Iterator[None]:
    """Draw random numbers as they were drawn from `state` on; afterwards as if nothing had been."""
    bits = generator().bit_generator
    now = bits.state
    bits.state = state
    try:
        yield
    finally:
        bits.state = now
