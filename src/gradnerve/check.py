"""gradcheck: are the gradients right? Compare them with finite differences."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from gradnerve import errors, graph
from gradnerve.operators import operators
from gradnerve.tensor import Tensor

# Up to so many elements of an input are checked one by one; more, along random directions.
ELEMENTS = 64
DIRECTIONS = 4


def gradcheck(
    f: Callable[..., Any], inputs: Any, *, order: int = 1, eps: float = 1e-6,
    rtol: float = 1e-5, atol: float = 1e-6, seed: int = 0,
) -> bool:  # fmt: skip
    """Compare the gradients of f with central differences, in float64; True if they agree.

    `inputs` is an array, a Tensor, or a tuple or list of them; those of floating point are checked.
    f returns a Tensor or several, each weighed with random numbers (of `seed`). An input of at most
    64 elements is checked element by element, a larger one along random directions. With `order=2`
    the gradients of the gradients are checked too.

    Raises GradcheckError, an AssertionError, for a gradient that differs by more than
    atol + rtol · |gradient| or is not a number: it names the input, the element, both numbers, the
    operator most likely to blame, and a kink, where there is one. Raises RuntimeError for a
    function that gives something else when it is called again.

    >>> import gradnerve as gn
    >>> gradcheck(gn.tanh, [0.5, -1.0])
    True
    """
    if not callable(f):
        raise TypeError(errors.not_a_function("gradcheck", f))
    if not isinstance(order, int) or order < 1 or not eps > 0:
        raise ValueError(
            f"gradcheck: order is 1 or more, and eps above 0; got order={order!r}, eps={eps!r}"
        )
    given = inputs if isinstance(inputs, tuple) or _is_several(inputs) else (inputs,)
    values = [_double(i, value) for i, value in enumerate(given)]
    names = [getattr(value, "name", None) for value in given]
    if not any(value.dtype.kind in "fc" for value in values):
        raise TypeError("gradcheck: no input is floating point, so there is nothing to check")
    token = graph.recording.set(True)  # also under no_grad()
    try:
        _check(f, values, names, order, eps, rtol, atol, np.random.default_rng(seed))
    finally:
        graph.recording.reset(token)
    return True


def _check(
    f: Callable[..., Any], values: list[np.ndarray], names: list[Any], order: int, eps: float,
    rtol: float, atol: float, rng: Any,
) -> None:  # fmt: skip
    checked = [i for i, value in enumerate(values) if value.dtype.kind in "fc"]
    middle = _outputs(f, values)
    weights = [_weights(y, rng) for y in middle]

    def total(*tensors: Any) -> Any:
        pairs = zip(_as_tuple(f(*tensors)), weights, strict=True)
        return sum(operators.real(out * w).sum() for out, w in pairs)

    again = _outputs(f, values)
    if not all(np.allclose(y, z, 1e-9, 1e-12, True) for y, z in zip(middle, again, strict=True)):
        raise RuntimeError(errors.changes_by_itself(f))
    leaves = _leaves(values, checked)
    result = total(*leaves)
    gradients = _gradients(result, [leaves[i] for i in checked], as_tensors=False)
    for i, gradient in zip(checked, gradients, strict=True):
        for direction, element in _directions(values[i], rng):
            left, right = _differences(f, middle, weights, values, i, direction, eps)
            expected = (left + right) / 2
            got = float(np.sum(gradient * direction).real)
            if not abs(got - expected) <= atol + rtol * max(abs(got), abs(expected)):
                blame = _blame(result, rng, eps, rtol, atol)
                # Of a smooth function they differ by about eps times its second derivative.
                apart = abs(left - right) > 0.01 * max(abs(left), abs(right))
                raise errors.GradcheckError(
                    errors.wrong_gradient(
                        i, names[i], values[i].shape, element, got, expected, blame,
                        (left, right) if apart else None,
                    )
                )  # fmt: skip
    if order > 1:

        def gradient_of(*tensors: Any) -> tuple[Any, ...]:
            if not any(t.requires_grad for t in tensors):  # at the ends of a finite difference
                tensors = tuple(_leaves([t.data for t in tensors], checked))
            parents = [tensors[i] for i in checked]
            return tuple(_gradients(total(*tensors), parents, as_tensors=True))

        # With other weights: Σ w (∂²f) w would be blind to what is wrong in opposite ways.
        _check(gradient_of, values, names, order - 1, eps, rtol, atol, rng)


def _is_several(inputs: Any) -> bool:
    """Whether this is a list of inputs, rather than one input: a list of numbers."""
    return isinstance(inputs, list) and not all(isinstance(v, (int, float, list)) for v in inputs)


def _double(i: int, value: Any) -> np.ndarray:
    array = np.asarray(value.data if isinstance(value, Tensor) else value)
    if array.dtype.kind not in "biufc":
        raise TypeError(
            f"gradcheck: input {i} is {type(value).__name__}; inputs are arrays, Tensors and "
            "numbers: for others write a function of those, lambda w: f({'w': w})"
        )
    double = {"f": np.float64, "c": np.complex128}.get(array.dtype.kind)
    return array if double is None else array.astype(double)


def _leaves(values: Sequence[np.ndarray], checked: Sequence[int]) -> list[Tensor]:
    return [Tensor(np.array(v), requires_grad=i in checked) for i, v in enumerate(values)]


def _as_tuple(outputs: Any) -> tuple:
    return tuple(outputs) if isinstance(outputs, (tuple, list)) else (outputs,)


def _outputs(f: Callable[..., Any], values: Sequence[np.ndarray]) -> list[np.ndarray]:
    """The arrays that f returns. TypeError where there is something else among them."""
    outputs = _as_tuple(f(*_leaves(values, ())))
    for output in outputs:
        if not isinstance(output, Tensor):
            raise TypeError(
                f"gradcheck: the function returned {type(output).__name__}, not a Tensor; did it "
                "leave the graph by .data, .numpy() or float()?"
            )
    return [output.data for output in outputs]


def _gradients(result: Any, parents: Sequence[Tensor], as_tensors: bool) -> list[Any]:
    """The cotangent of each parent; zeros for those that the result does not depend on."""
    found: dict[int, Any] = {}
    if isinstance(result, Tensor) and result.requires_grad:
        one = np.ones(result.shape)  # of real numbers
        seed = Tensor(one) if as_tensors else one
        for tensor, ct in graph.flow(result, seed, as_tensors=as_tensors):
            found[id(tensor)] = ct
    zeros = (np.zeros_like(parent.data) for parent in parents)
    gradients = [found.get(id(p), zero) for p, zero in zip(parents, zeros, strict=True)]
    if as_tensors:  # where a gradient is constant it is a plain array; f's outputs are Tensors
        return [g if isinstance(g, Tensor) else Tensor(g) for g in gradients]
    return gradients


def _directions(value: np.ndarray, rng: Any) -> Iterator[tuple[np.ndarray, tuple | None]]:
    if value.size <= ELEMENTS:
        for element in np.ndindex(value.shape):
            for unit in (1.0, 1j) if value.dtype.kind == "c" else (1.0,):
                direction = np.zeros_like(value)
                direction[element] = unit
                yield direction, element
    else:
        for _ in range(DIRECTIONS):
            yield _weights(value, rng) / math.sqrt(value.size), None


def _differences(
    f: Callable[..., Any], middle: Sequence[np.ndarray], weights: Sequence[np.ndarray],
    values: Sequence[np.ndarray], i: int, direction: np.ndarray, eps: float,
) -> tuple[float, float]:  # fmt: skip
    """(f(x) - f(x - ε d)) / ε and (f(x + ε d) - f(x)) / ε, weighed; with ε scaled to the size of x.

    Each output's difference is taken before the sum: in a sum, large ones would swallow small ones.
    """
    step = eps * max(1.0, float(np.max(np.abs(values[i] * (direction != 0)), initial=0.0)))
    found = []
    for sign in (-1, 1):
        moved = [v + sign * step * direction if j == i else v for j, v in enumerate(values)]
        pairs = zip(_outputs(f, moved), middle, weights, strict=True)
        change = sum(float(np.sum((y * 1.0 - y0) * w).real) for y, y0, w in pairs)
        found.append(sign * change / step)
    return found[0], found[1]


def _blame(result: Any, rng: Any, eps: float, rtol: float, atol: float) -> str:
    """The operator of the graph whose own rule is furthest from its own finite difference."""
    worst, words = 0.0, ""
    for y in _results(result):
        op, args, values = y._record
        if op is operators.output.operator:  # it hands out what its parent has computed
            continue
        weights = _weights(y._data, rng)
        tensors = [
            Tensor(value, arg.requires_grad) if isinstance(arg, Tensor) else arg
            for arg, value in zip(args, values, strict=True)
        ]
        again = graph.recorded(y._data, (op, tuple(tensors), values))
        shares = {id(tensor): ct for tensor, ct in graph.flow(again, weights)}
        for i, tensor in enumerate(tensors):
            if not isinstance(tensor, Tensor) or not tensor.requires_grad:
                continue
            direction = _weights(tensor.data, rng)

            def end(sign: int, i: int = i, d: Any = direction, values: Any = values) -> float:
                moved = [v + sign * eps * d if j == i else v for j, v in enumerate(values)]
                return _weighed(op.forward(*moved), weights)  # noqa: B023

            expected = (end(1) - end(-1)) / (2 * eps)
            got = float(np.sum(shares[id(tensor)] * direction).real)
            error = abs(got - expected) / (atol + rtol * max(abs(got), abs(expected)))
            if not error <= max(worst, 1.0):
                worst = error if error == error else math.inf
                name = op.name_of(i)
                words = f"`{op.name}`, by its input {name!r}"
    return words


def _weights(y: Any, rng: Any) -> Any:
    """Random numbers for the elements of a result, or of several; zeros for whole numbers."""
    if type(y) is tuple:
        return tuple(_weights(part, rng) for part in y)
    if y.dtype.kind == "c":
        return rng.standard_normal(y.shape) + 1j * rng.standard_normal(y.shape)
    return rng.standard_normal(y.shape) * (y.dtype.kind == "f")


def _weighed(y: Any, weights: Any) -> float:
    pairs = zip(y, weights, strict=True) if type(y) is tuple else [(y, weights)]
    return float(sum(np.sum(part * w).real for part, w in pairs))


def _results(result: Any) -> Iterator[Tensor]:
    """Every operator's result that led to this one, and this one."""
    seen: set[int] = set()
    stack = [result]
    while stack:
        tensor = stack.pop()
        if id(tensor) in seen or type(tensor._record) is not tuple:
            continue
        seen.add(id(tensor))
        yield tensor
        stack.extend(arg for arg in tensor._record[1] if isinstance(arg, Tensor))
