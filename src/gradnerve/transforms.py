"""Transforms: functions that make of a function f its gradient, its Jacobian, its Hessian.

There is one graph and there are no levels. A transform gives f fresh Tensors in place of its
arguments, lets f compute, and walks back from the result until it comes to them. What f uses
besides (a tensor that it closes over) is not on the way. Where the gradient itself may be
differentiated, by an outer transform or by `backward()`, the walk is recorded; else it computes on
plain arrays.

Like in, like out: arrays give arrays, Tensors give Tensors that are part of the graph. (Where f
closes over a tensor that requires grad, what comes out depends on it, and so is a Tensor.)
"""

from __future__ import annotations

import functools
import os
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from operator import index
from typing import Any

import numpy as np

from gradnerve import errors, graph, ops
from gradnerve.backends import (
    array_library,
    as_array,
    constant,
    is_complex,
    is_floating,
    kind_of,
    libraries,
    size,
)
from gradnerve.objects import Substitution, is_module
from gradnerve.tensor import Tensor
from gradnerve.writing import as_it_was, requiring

# --- The transforms -------------------------------------------------------------------------------


def grad(f: Callable[..., Any], argnums: int | Sequence[int] = 0, has_aux: bool = False) -> Any:
    """The gradient of f, as a function: grad : (a → ℝ) → (a → a).

    `argnums` says by which argument, or arguments (then the gradients are a tuple). An argument may
    be a tree: dicts, lists and tuples of arrays, and Modules (whose gradient is a dict by the names
    of the parameters). With `has_aux`, f returns a pair, of which the second part is handed
    through: the result is (gradient, aux).

    A gradient has the shape and dtype of its argument; of a complex one it is PyTorch's, the
    direction of steepest ascent. A constant has gradient 0.

    Raises TypeError where the argument is not floating point, or where f does not return one real
    number.

    >>> import gradnerve as gn
    >>> slope = gn.grad(lambda x: x**3)
    >>> print(slope(2.0), gn.grad(slope)(2.0))
    12.0 12.0
    """

    check_function("grad", f)
    both = value_and_grad(f, argnums, has_aux)

    @functools.wraps(f, updated=())
    def gradient(*args: Any, **options: Any) -> Any:
        value, gradients = both(*args, **options)
        return (gradients, value[1]) if has_aux else gradients

    return gradient


def value_and_grad(
    f: Callable[..., Any], argnums: int | Sequence[int] = 0, has_aux: bool = False
) -> Any:
    """The value of f and its gradient: value_and_grad : (a → ℝ) → (a → (ℝ, a)).

    As `grad`, at the cost of `grad`. With `has_aux` the result is ((value, aux), gradient).

    >>> import numpy as np
    >>> import gradnerve as gn
    >>> value, gradient = gn.value_and_grad(lambda x: (x * x).sum())(np.array([1.0, 2.0]))
    >>> print(value, gradient)
    5.0 [2. 4.]
    """
    check_function("value_and_grad", f)
    positions = _positions(argnums)

    @functools.wraps(f, updated=())
    def both(*args: Any, **options: Any) -> Any:
        chosen = _chosen(args, positions)

        def of_chosen(*primals: Any) -> Any:
            return f(*_put_back(args, positions, primals), **options)

        traced = _Traced(of_chosen, chosen, has_aux)
        _check_scalar(traced.outputs, traced.out)
        seeds = [ops.ones_like(y) for y in traced.arrays]
        gradients = traced.pull_back(seeds)
        value = (traced.result(), traced.aux()) if has_aux else traced.result()
        return value, gradients if isinstance(argnums, (tuple, list)) else gradients[0]

    return both


def vjp(f: Callable[..., Any], *primals: Any, has_aux: bool = False) -> Any:
    """f's value, and its pullback: vjp : (a → b), a → b, (bᵀ → aᵀ).

    The pullback takes a cotangent of the output, an array (or a tree of them) like it, and returns
    a tuple with the cotangent of each primal. It may be called as often as you like.

    Raises TypeError where a primal is not floating point, ValueError where a cotangent has another
    shape or structure than the output.

    >>> import numpy as np
    >>> import gradnerve as gn
    >>> y, pullback = gn.vjp(lambda a, b: a * b, np.array([1.0, 2.0]), np.array([3.0, 4.0]))
    >>> pullback(np.array([1.0, 0.0]))
    (array([3., 0.]), array([1., 0.]))
    """
    check_function("vjp", f)
    traced = _Traced(f, primals, has_aux)

    def pullback(cts: Any) -> Any:
        return traced.pull_back(traced.flat_cotangents(cts))

    if has_aux:
        return traced.result(), pullback, traced.aux()
    return traced.result(), pullback


def jvp(f: Callable[..., Any], primals: Sequence[Any], tangents: Sequence[Any]) -> Any:
    """f's value and its derivative along the tangents: jvp : (a → b), a, a → b, b.

    The pullback is linear in the cotangent; the pullback of the pullback is the JVP, so there is no
    second table of rules. It costs about three times f. (The idea: J. Townsend, "A new trick for
    calculating Jacobian vector products", 2017.)

    Raises ValueError where the tangents do not have the structure and the shapes of the primals.

    >>> import gradnerve as gn
    >>> gn.jvp(gn.sin, (0.0,), (2.0,))
    (array(0.), array(2.))
    """
    check_function("jvp", f)
    _check_tuples("jvp", primals, tangents)
    traced = _Traced(f, tuple(primals))
    return traced.result(), traced.push_forward(tuple(tangents))


def jacobian(f: Callable[..., Any], argnums: int | Sequence[int] = 0) -> Any:
    """All partial derivatives of f's output: jacobian : (a → b) → (a → b × a).

    One forward, then one pullback for each element of the output. The result has the output's shape
    followed by the argument's; where the output is a tree, it is that tree of them. Of a complex
    output it is the complex derivative (f is taken to be holomorphic).

    Raises MemoryError where the result would not fit into this machine's memory, and says how large
    it would be.

    >>> import numpy as np
    >>> import gradnerve as gn
    >>> gn.jacobian(lambda x: x**2)(np.array([1.0, 2.0]))
    array([[2., 0.],
           [0., 4.]])
    """
    check_function("jacobian", f)
    positions = _positions(argnums)

    @functools.wraps(f, updated=())
    def derivative(*args: Any, **options: Any) -> Any:
        def of_chosen(*primals: Any) -> Any:
            return f(*_put_back(args, positions, primals), **options)

        traced = _Traced(of_chosen, _chosen(args, positions))
        parts = [traced.rows(i) for i in range(len(traced.arrays))]
        if not isinstance(argnums, (tuple, list)):
            parts = [of_arguments[0] for of_arguments in parts]
        return tree().tree_unflatten(traced.out_structure, parts)

    return derivative


def hessian(f: Callable[..., Any], argnums: int | Sequence[int] = 0) -> Any:
    """All second derivatives of a function with one number: hessian : (a → ℝ) → (a → a × a).

    The Jacobian of the gradient: one forward, one backward that is recorded, and one pullback
    for each element of the argument.

    >>> import numpy as np
    >>> import gradnerve as gn
    >>> gn.hessian(lambda x: x[0] ** 2 * x[1])(np.array([1.0, 2.0]))
    array([[4., 2.],
           [2., 0.]])
    """
    check_function("hessian", f)
    return jacobian(grad(f, argnums), argnums)


def hvp(f: Callable[..., Any], primals: Sequence[Any], tangents: Sequence[Any]) -> Any:
    """The Hessian times a vector, without the Hessian: hvp : (a → ℝ), a, a → a.

    The pullback of the gradient (the Hessian is its own transpose): twice the cost of `grad`.
    Returns one array (or tree) for a single primal, else a tuple of them.

    >>> import numpy as np
    >>> import gradnerve as gn
    >>> x, v = np.array([1.0, 2.0]), np.array([1.0, 0.0])
    >>> gn.hvp(lambda x: x[0] ** 2 * x[1], (x,), (v,))
    array([4., 2.])
    """
    check_function("hvp", f)
    _check_tuples("hvp", primals, tangents)
    gradient = grad(f, tuple(range(len(primals))))
    traced = _Traced(gradient, tuple(primals))
    products = traced.pull_back(traced.flat_cotangents(tuple(tangents), "tangent", "primal"))
    return products[0] if len(primals) == 1 else products


def stop_gradient(x: Any) -> Any:
    """x as a constant: each Tensor in it is detached. x may be a tree.

    >>> import gradnerve as gn
    >>> print(gn.grad(lambda x: x * gn.stop_gradient(x))(3.0))
    3.0
    """
    return tree().tree_map(lambda leaf: leaf.detach() if isinstance(leaf, Tensor) else leaf, x)


# --- A function that is traced --------------------------------------------------------------------


def paths(
    roots: Iterable[Tensor], variables: Iterable[Tensor], since: int
) -> tuple[set[int], list[Tensor]]:
    """What leads from `variables` to `roots`; and the older tensors that have a part in them.

    Returns the numbers of the tensors on those paths, and the tensors that were made before the
    number `since` and are used on the way (those are where a function closes over something).
    """
    wanted = {variable._number for variable in variables}
    found: dict[int, graph.Record] = {}
    older: dict[int, Tensor] = {}
    stack = [root for root in roots if root._requires_grad]
    while stack:
        tensor = stack.pop()
        number, record = tensor._number, tensor._record
        if number in wanted or number in found:
            continue
        if number > since:
            older[number] = tensor
        elif type(record) is tuple:
            found[number] = record
            stack += requiring(record, number)
        elif record is not None:
            raise errors.GraphFreed(errors.freed(record))
    for number in sorted(found, reverse=True):  # the first made come first
        if any(arg._number in wanted for arg in requiring(found[number], number)):
            wanted.add(number)
    return wanted, list(older.values())


def walk_back(
    roots: Sequence[Tensor], cts: Sequence[Any], stops: Sequence[Tensor], wanted: set[int], *,
    as_tensors: bool,
) -> dict[int, Any]:  # fmt: skip
    """The cotangents that reach `stops`, by their numbers, from those of several results at once.

    `wanted` is what `paths` says.
    """
    if not roots:
        return {}
    values = tuple(root.data for root in roots)
    root = graph.recorded(values, (ops.together.operator, tuple(roots), values))
    wanted = wanted | {root._number}
    with recording(as_tensors):
        walk = graph.flow(root, tuple(cts), as_tensors=as_tensors, stops=stops, wanted=wanted)
        return {tensor._number: ct for tensor, ct in walk}


class _Traced:
    """A function's result, computed on fresh Tensors in place of its primals."""

    def __init__(self, f: Callable[..., Any], primals: tuple[Any, ...], has_aux: bool = False):
        since = next(graph.numbers)  # whatever has a higher number is older
        outer = graph.recording.get()
        leaves, self.structure = tree().tree_flatten(primals, is_leaf=is_module)
        self.inputs = []
        for n, leaf in enumerate(leaves):
            try:
                self.inputs.append(_Input(leaf, outer))
            except TypeError as error:
                path = tree().tree_paths(primals, is_leaf=is_module)[n]
                raise TypeError(errors.at_path(path, error)) from None
        self.variables: list[Any] = [v for i in self.inputs for v in i.variables]
        began = next(graph.numbers)
        with recording(True), _noting_readings() as readings:
            inner = tree().tree_unflatten(self.structure, [i.fresh for i in self.inputs])
            self.out = f(*inner)
        # f may have written to its arguments: what they were is what we differentiate by.
        self.variables = [as_it_was(v, began) for v in self.variables]
        self.given_aux: Any = None
        if has_aux:
            if not isinstance(self.out, tuple) or len(self.out) != 2:
                raise TypeError("with has_aux=True the function returns a pair: (result, aux)")
            self.out, self.given_aux = self.out
        self.outputs, self.out_structure = tree().tree_flatten(self.out)
        self.arrays = [_output_array(y) for y in self.outputs]
        roots = [y for y in self.outputs if isinstance(y, Tensor) and y.requires_grad]
        self.wanted, older = paths(roots, self.variables, since)
        self.check_readings(readings, since)
        # Whether what comes out is part of a graph that others may walk.
        self.attached = outer and (bool(older) or any(i.attached for i in self.inputs))
        self.as_tensors = self.attached or any(i.is_tensor for i in self.inputs)

    def check_readings(self, readings: dict[errors.Place, Tensor], since: int) -> None:
        """Say where f made a number of what depends on its primals: RuntimeError if no more does.

        An outer function's readings are left to its own check.
        """
        outer = graph.readings.get()
        own = {variable._number for variable in self.variables}
        for place, tensor in readings.items():
            wanted, _ = paths([tensor], self.variables, since)
            if wanted == own and tensor._number not in own:
                if outer is not None:
                    outer.setdefault(place, tensor)
            elif not errors.is_only_looked_at(place):
                everything = self.wanted == own
                message = errors.became_a_number(place, tensor, everything)
                if everything:
                    raise RuntimeError(message)
                warnings.warn_explicit(message, UserWarning, place[0].co_filename, place[2])

    def result(self) -> Any:
        """What f returned, like its primals."""
        return self._like_in(self.out)

    def aux(self) -> Any:
        """The second part of what f returned, like its primals."""
        return self._like_in(self.given_aux)

    def _like_in(self, out: Any) -> Any:
        return tree().tree_map(self._leaf_like_in, out)

    def _leaf_like_in(self, leaf: Any) -> Any:
        if not isinstance(leaf, Tensor):
            if self.as_tensors and type(leaf) in libraries:
                return Tensor(leaf)
            return leaf
        if self.attached:
            return leaf
        return Tensor(leaf.data) if self.as_tensors else leaf.data

    def flat_cotangents(self, cts: Any, what: str = "cotangent", of: str = "output") -> list[Any]:
        """The cotangents of f's outputs, checked; `what` and `of` are the user's words for them."""
        leaves, structure = tree().tree_flatten(cts)
        if structure != self.out_structure:
            raise ValueError(errors.other_structure(what, structure, of, self.out_structure))
        return [_checked_like(ct, y, what, of) for ct, y in zip(leaves, self.arrays, strict=True)]

    def pull_back(self, cts: Sequence[Any]) -> tuple[Any, ...]:
        """The cotangent of each primal, as the user sees it, from those of all outputs."""
        found = self.walk([graph.gradient_of(ct) for ct in cts])
        return self.like_primals([graph.gradient_of(ct) for ct in found])

    def walk(self, cts: Sequence[Any], record: bool = False) -> list[Any]:
        """The cotangent of each variable, in the walk's convention. None for an output: no part."""
        record = record or self.attached
        if graph.recording.get():
            record = record or any(isinstance(ct, Tensor) and ct.requires_grad for ct in cts)
        pairs = [
            (y, ct)
            for y, ct in zip(self.outputs, cts, strict=True)
            if isinstance(y, Tensor) and y.requires_grad and y._number in self.wanted
            if ct is not None
        ]
        roots = [y for y, _ in pairs]
        seeds = [_as_value(ct, record) for _, ct in pairs]
        found = walk_back(roots, seeds, self.variables, self.wanted, as_tensors=record)
        return [_found_or_zeros(found, v, record) for v in self.variables]

    def like_primals(self, values: Sequence[Any]) -> tuple[Any, ...]:
        """Values for all variables, in the structure of the primals; arrays where arrays came."""
        rest = iter(values)
        leaves = [i.like(rest, self.attached) for i in self.inputs]
        return tree().tree_unflatten(self.structure, leaves)

    def push_forward(self, tangents: tuple[Any, ...]) -> Any:
        """The derivative of the outputs along tangents of the primals."""
        flat, structure = tree().tree_flatten(tangents)
        if structure != self.structure:
            raise ValueError(errors.other_structure("tangent", structure, "primal", self.structure))
        flat = [
            _checked_like(t, v.data, "tangent", "primal")
            for t, v in zip(flat, self.variables, strict=True)
        ]
        traced = self.attached or any(isinstance(t, Tensor) and t.requires_grad for t in flat)
        traced = traced and graph.recording.get()
        # The pullback, as a function of the cotangents that it is given: linear, so any will do.
        dummies = [Tensor(ops.zeros_like(y), requires_grad=True) for y in self.arrays]
        since = next(graph.numbers)
        with recording(True):
            pulled = self.walk(dummies, record=True)
        pairs = [
            (p, t)
            for p, t in zip(pulled, flat, strict=True)
            if isinstance(p, Tensor) and p.requires_grad
        ]
        roots = [p for p, _ in pairs]
        seeds = [_as_value(t, traced) for _, t in pairs]
        wanted, _ = paths(roots, dummies, since)
        found = walk_back(roots, seeds, dummies, wanted, as_tensors=traced)
        leaves = [_found_or_zeros(found, d, traced) for d in dummies]
        as_tensors = self.as_tensors or traced or any(isinstance(t, Tensor) for t in flat)
        leaves = [_as_value(leaf, as_tensors) for leaf in leaves]
        return tree().tree_unflatten(self.out_structure, leaves)

    def rows(self, i: int) -> tuple[Any, ...]:
        """The Jacobian of output i by each primal."""
        y = self.arrays[i]
        for v in self.variables:
            _check_size(y, v.data)
        # The other outputs have no part in it: a zero for them would make NaN of their infinities.
        others: list[Any] = [None] * len(self.arrays)
        rows: list[Any] = [[] for _ in self.variables]
        if not self.attached and all(type(v.data) is np.ndarray for v in self.variables):
            # Each row goes to its place, so that none is there twice.
            rows = [np.empty((size(y), *v.shape), v.dtype) for v in self.variables]
        for n, element in enumerate(np.ndindex(y.shape)):
            one = np.zeros(y.shape)
            one[element] = 1
            seed = array_library(y).asarray(constant(one, y), dtype=y.dtype)
            found = self.walk([*others[:i], seed, *others[i + 1 :]])
            # Of a complex output this is the derivative itself; of a real one, the gradient.
            for row, ct in zip(rows, found, strict=True):
                row[n : n + 1] = [ct if is_complex(y) else graph.gradient_of(ct)]
        return self.like_primals(
            [_stacked(row, y.shape, v) for row, v in zip(rows, self.variables, strict=True)]
        )


class _Input:
    """One leaf among the primals, and the fresh Tensors that stand for it."""

    def __init__(self, leaf: Any, outer: bool):
        self.module = leaf if is_module(leaf) else None
        self.is_tensor = isinstance(leaf, Tensor)
        if self.module is not None:
            named = list(leaf.named_parameters())
            self.names, given = [name for name, _ in named], [p for _, p in named]
            # A parameter is a value, unless an outer transform put a traced one in its place. That
            # one is known by its record: all that stand in for parameters have one.
            traced = [outer and p._record is not None for p in given]
            self.attached = any(traced)
            values = [p if t else fresh(p, False) for p, t in zip(given, traced, strict=True)]
            self.variables = [fresh(value, True) for value in values]
            new = {id(p): v for p, v in zip(given, self.variables, strict=True)}
            self.fresh = Substitution(new)(leaf)
            return
        if not self.is_tensor:
            leaf = _primal_array(leaf)
        _check_floating(leaf)
        self.attached = outer and self.is_tensor and leaf.requires_grad
        self.fresh = fresh(leaf, self.attached)
        self.variables = [self.fresh]

    def like(self, values: Iterator[Any], attached: bool) -> Any:
        """Values for the variables of this leaf, like the leaf itself."""
        if self.module is not None:
            return {name: _as_value(next(values), attached) for name in self.names}
        return _as_value(next(values), self.is_tensor or attached)


def fresh(value: Any, attached: bool) -> Tensor:
    """A Tensor that nobody else has, at which a walk can stop."""
    if attached:
        with recording(True):
            return ops.identity(value)
    return Tensor(getattr(value, "_data", value), requires_grad=True)


def _primal_array(leaf: Any) -> Any:
    if not isinstance(leaf, (int, float, complex, np.generic)) and not hasattr(leaf, "dtype"):
        raise TypeError(errors.not_differentiable(leaf))
    return as_array(leaf)


def _check_floating(value: Any) -> None:
    if not is_floating(value):
        raise TypeError(errors.not_differentiable(value))


def _output_array(y: Any) -> Any:
    if isinstance(y, Tensor):
        return y.data
    array = as_array(y)
    if not kind_of(array):
        raise TypeError(errors.not_an_output(y))
    return array


def _check_tuples(transform: str, primals: Any, tangents: Any) -> None:
    if not isinstance(primals, (tuple, list)) or not isinstance(tangents, (tuple, list)):
        raise TypeError(errors.not_tuples(transform))


def _check_scalar(outputs: list[Any], out: Any) -> None:
    """`grad` is for functions with one real number."""
    if len(outputs) != 1 or isinstance(out, (tuple, list, dict)):
        raise TypeError(errors.not_one_number(out))
    y = _output_array(outputs[0])
    real = array_library(y).isdtype(y.dtype, ("real floating", "integral"))
    if size(y) != 1 or not real:
        raise TypeError(errors.not_one_number(y))


def _checked_like(value: Any, like: Any, what: str, of: str) -> Any:
    """A cotangent or a tangent in the shape and dtype of the value that it belongs to."""
    if isinstance(value, Tensor):
        if value.shape != like.shape:
            raise ValueError(errors.other_shape(what, value.shape, of, like.shape))
        return value if value.dtype == like.dtype else ops.astype(value, like.dtype)
    array = as_array(value, like)
    if array.shape != like.shape:
        raise ValueError(errors.other_shape(what, array.shape, of, like.shape))
    if is_complex(array) and not is_complex(like):
        raise TypeError(f"a complex {what} for a real {of}")
    return array_library(like).asarray(array, dtype=like.dtype)


def _as_value(value: Any, as_tensor: bool) -> Any:
    """A value as a Tensor, or as an array."""
    if isinstance(value, Tensor):
        return value if as_tensor else value.data
    return Tensor(value) if as_tensor else as_array(value)


def _found_or_zeros(found: dict[int, Any], variable: Tensor, as_tensor: bool) -> Any:
    ct = found.get(variable._number)
    if ct is None:
        ct = array_library(variable.data).zeros_like(variable.data)
    elif ct.dtype != variable.dtype:  # of numbers in another order of bytes than this machine's
        ct = ops.astype(ct, variable.dtype)
    return _as_value(ct, as_tensor)


def _stacked(rows: Any, shape: tuple[int, ...], variable: Tensor) -> Any:
    if isinstance(rows, list):
        rows = ops.stack(rows) if rows else ops.zeros_like(variable.data[None][:0])
    return ops.reshape(rows, shape + variable.shape)


def _check_size(y: Any, x: Any) -> None:
    needed = size(y) * size(x) * x.dtype.itemsize
    try:
        memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):  # not a system that tells
        return
    if needed > memory:
        shape = tuple(y.shape) + tuple(x.shape)
        raise MemoryError(errors.too_large(shape, x.dtype, needed, memory))


def _positions(argnums: int | Sequence[int]) -> tuple[int, ...]:
    positions = argnums if isinstance(argnums, (tuple, list)) else (argnums,)
    try:
        return tuple(index(n) for n in positions)
    except TypeError:
        raise TypeError(errors.bad_argnums(argnums)) from None


def check_function(transform: str, f: Any) -> None:
    """A transform is of a function, not of what a function returned."""
    if not callable(f):
        raise TypeError(errors.not_a_function(transform, f))


def _chosen(args: tuple[Any, ...], positions: tuple[int, ...]) -> tuple[Any, ...]:
    for n in positions:
        if not -len(args) <= n < len(args):
            raise TypeError(errors.no_such_argument(n, len(args)))
    if len({n % len(args) for n in positions}) < len(positions):
        raise ValueError(f"argnums has an argument twice: {positions}")  # the last one would win
    return tuple(args[n] for n in positions)


def _put_back(args: tuple[Any, ...], positions: tuple[int, ...], primals: Any) -> list[Any]:
    all_args = list(args)
    for n, primal in zip(positions, primals, strict=True):
        all_args[n] = primal
    return all_args


@contextmanager
def recording(value: bool) -> Iterator[None]:
    token = graph.recording.set(value)
    try:
        yield
    finally:
        graph.recording.reset(token)


@contextmanager
def _noting_readings() -> Iterator[dict[errors.Place, Tensor]]:
    readings: dict[errors.Place, Tensor] = {}
    token = graph.readings.set(readings)
    try:
        yield readings
    finally:
        graph.readings.reset(token)


def tree() -> Any:
    """The library for trees (dicts, lists and tuples of arrays); loaded when it is used."""
    import optree

    return optree
