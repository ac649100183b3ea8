"""Functions whose backward is their own: written by the user, or computed again to save memory."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from gradnerve import errors, graph
from gradnerve.backends import as_array, is_concrete, moved
from gradnerve.graph import operator
from gradnerve.ops import identity, zeros_like
from gradnerve.ops.random import own_generator
from gradnerve.ops.shape import as_tensor_or_array
from gradnerve.tensor import Tensor
from gradnerve.transforms import check_function, fresh, paths, recording, tree, walk_back

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
        return [
            zeros_like(x) if ct is None else graph.gradient_of(as_tensor_or_array(ct))
            for ct, x in pairs
        ]


@operator
def by_rule(rule, *inputs):
    """A function whose vector-Jacobian product its user has written."""
    return rule.forward(inputs)


@by_rule.rule("inputs", r"\bar x = \operatorname{bwd}(\text{residuals}, \bar y)")
def _(ct, rule, inputs):
    return rule.backward(ct, inputs)


# --- Memory for time ------------------------------------------------------------------------------


def checkpoint(f: Callable[..., Any]) -> Any:
    """f, which keeps nothing for backward but its inputs, and is computed once more then.

    Memory falls from all of f's intermediate values to its inputs and outputs; the time of one
    more forward is the price. Gradients are the same to the bit: random numbers too (dropout) are
    drawn again as they were. f may close over parameters, and take and return trees. It has to be a
    function: a tensor that it closes over must not be written to before backward, nor by f itself.
    RuntimeError is raised then, where f gives something else when it is computed again.
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
        since = next(graph.numbers)
        with own_generator() as self.random:
            out, roots, variables = self.trace(own)
        _, older = paths(roots, variables, since)
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

    def trace(self, own: Sequence[Any]) -> tuple[Any, list[Tensor], list[Tensor]]:
        """f on fresh Tensors: its result, the attached parts of it, and those Tensors."""
        variables = [fresh(x, isinstance(x, Tensor) and x.requires_grad) for x in own]
        with recording(True):  # f may write to its arguments: those are not the variables
            rest = iter([identity(variable) for variable in variables])
        pairs = zip(self.constants, self.is_input, strict=True)
        args, options = tree().tree_unflatten(
            self.structure, [next(rest) if kept else x for x, kept in pairs]
        )
        with recording(True):
            out = self.f(*args, **options)
        leaves = tree().tree_leaves(out)
        roots = [y for y in leaves if isinstance(y, Tensor) and y.requires_grad]
        return out, roots, variables

    def forward(self, inputs: Sequence[Any]) -> tuple[Any, ...]:
        """The outputs; those of the first time are at hand."""
        if self.first is not None:
            first, self.first = self.first, None
            return first
        with own_generator(self.random):
            _, roots, _ = self.trace(inputs[: sum(self.is_input)])
        return tuple(y.data for y in roots)

    def backward(
        self, cts: tuple[Any, ...], outputs: tuple[Any, ...], inputs: Sequence[Any]
    ) -> list[Any]:
        """Compute again, and walk back. RuntimeError where f gives something else than it did."""
        as_tensors = any(isinstance(x, Tensor) for x in inputs)
        with own_generator(self.random):
            _, roots, variables = self.trace(inputs[: sum(self.is_input)])
        self.check_again(roots, outputs)
        stops = [*variables, *self.closed_over]
        wanted, _ = paths(roots, stops, min(v._number for v in stops) + 1)
        found = walk_back(roots, cts, stops, wanted, as_tensors=as_tensors)
        pairs = zip(stops, inputs, strict=True)
        return [found.get(stop._number, zeros_like(x)) for stop, x in pairs]

    def check_again(self, roots: Sequence[Tensor], outputs: tuple[Any, ...]) -> None:
        """That f has computed what it did the first time, or its gradient is that of another f.

        What f closes over may have been written to since, or f itself may write to it.
        """
        before = [y._data if isinstance(y, Tensor) else y for y in outputs]
        if len(roots) != len(before) or not all(
            _is_nearly(y._data, was) for y, was in zip(roots, before, strict=True)
        ):
            raise RuntimeError(errors.computed_something_else(self.f))


def _is_nearly(y: Any, was: Any) -> bool:
    """Whether arrays agree but for rounding (which may depend on where in memory they lie)."""
    if y.shape != was.shape or y.dtype != was.dtype:
        return False
    if not (is_concrete(y) and is_concrete(was)):
        return True  # inside of jax.jit nobody knows
    y, was = moved(y, "numpy"), moved(was, "numpy")
    if np.array_equal(y, was, equal_nan=True):
        return True
    finite = np.isfinite(was)
    scale = np.max(np.abs(was), initial=0.0, where=finite)
    tolerance = np.sqrt(np.finfo(was.dtype).eps) * scale
    return np.allclose(y, was, rtol=0.0, atol=float(tolerance), equal_nan=True)


@operator
def recomputed(segment, *inputs):
    """A part of a computation that is computed again in backward."""
    return segment.forward(inputs)


@recomputed.rule("inputs", r"\bar x = \text{the pullback of}\;f\;\text{at}\;x")
def _(ct, y, segment, inputs):
    return segment.backward(ct, y, inputs)
