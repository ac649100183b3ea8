"""The engine: Tensors, backward, and transforms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gradnerve.errors.source import at

# --- Making and reading a Tensor ------------------------------------------------------------------


def cannot_require_grad(dtype: Any, data: Any) -> str:
    kind = getattr(dtype, "kind", "")
    example = "3.0, not 3"
    if kind in "iu" and data.size and data.ndim == 0:
        example = f"{int(data)}.0, not {int(data)}"
    return (
        f"a tensor of {dtype} cannot require grad: small changes, which a gradient is about, exist "
        f"only for floating point. Write {example}; or pass dtype='float64'."
    )


def not_an_array(data: Any) -> str:
    what = getattr(data, "dtype", None) or type(data).__name__
    return (
        f"cannot make a Tensor of {what}: it takes numbers, (nested) lists of "
        "numbers with equal lengths, or an array of them"
    )


MASKED = (
    "a masked array: gradients know no masks, and what the mask hides would take part. Write "
    "array.filled(value) for an array, and gn.where(array.mask, other, result) for the places."
)


def attached(what: str) -> str:
    return (
        f"{what} would take this tensor out of the graph, and its gradient would be lost in "
        "silence. If that is what you want, write t.detach() first; else use NumPy's or "
        "GradNerve's functions on the tensor itself, and for a list of tensors np.stack([...]) "
        "instead of np.array([...])."
    )


def not_a_shape(function: str, shape: Any) -> str:
    return (
        f"{function}: a shape is a whole number or a tuple of them, such as 3 or (2, 3), not "
        f"{shape!r}"
    )


def shape_in_parts(function: str, parts: Sequence[int]) -> str:
    return f"{function} takes the shape as one tuple: write {function}({tuple(parts)})"


def negative_shape(function: str, shape: Any) -> str:
    return f"{function}: no axis can have a negative length, but the shape is {shape}"


def how_many(function: str, num: Any) -> str:
    return f"{function}: num says how many numbers, 0 or more, not {num!r}"


def no_step(start: Any, stop: Any) -> str:
    return f"arange: with a step of 0 it never comes from {start} to {stop}"


def no_such_device(device: Any, library: str = "NumPy", known: Sequence[str] = ("cpu",)) -> str:
    if library == "NumPy":
        return f"device {device!r}: NumPy's arrays are on the device 'cpu', the only one"
    return f"device {device!r}: {library} has {', '.join(known)} on this machine"


def unknown_library(name: Any, known: Mapping[str, str]) -> str:
    return (
        f"{name!r} is no array library: there are {', '.join(map(repr, known))}, and devices as in "
        "'torch:cuda'"
    )


def not_installed(library: str, extra: str, error: ImportError) -> str:
    return f"{library} is not installed ({error}): pip install 'gradnerve[{extra}]'"


def no_such_dtype(library: str, dtype: Any) -> str:
    return (
        f"{library} has no arrays of {dtype}: convert first, with x.astype('float64') for example"
    )


def two_libraries(
    name: str, first: str, second: str, libraries: Sequence[str], spelled: Sequence[str]
) -> str:
    to, one = (libraries[0], second) if libraries[0] != "numpy" else (libraries[1], first)
    return (
        f"{name}: {first} is an array of {spelled[0]} and {second} one of {spelled[1]}; an "
        f"operator computes in one library. Move one of them: gn.to({one}, {to!r})"
    )


def foreign_graph(kind: str) -> str:
    return (
        f"this {kind} is part of PyTorch's own graph (requires_grad=True), which would not see "
        "what GradNerve does with it: give x.detach(), and requires_grad=True to the Tensor"
    )


def no_such_standard(version: Any, known: Sequence[str]) -> str:
    return f"array API version {version!r}: there are {', '.join(known)}"


def ambiguous_truth(shape: tuple[int, ...]) -> str:
    return f"a tensor of shape {shape} is not simply true or false: write .any() or .all()"


COMPLEX_ROOT = (
    "backward() starts from a real number, but this tensor is complex. Take what is to be made "
    "small, such as gn.abs(z) or gn.real(z); or pass gradient=, the weight of each element."
)

ONE_ELEMENT = "{} needs a tensor with exactly one element, but this one has shape {}"


def write_to_leaf(operator: str) -> str:
    return (
        f"{operator} would overwrite a leaf that requires grad while operators are recorded. To "
        "update a parameter: with gn.no_grad(): w -= lr * w.grad; otherwise write w = w - ... for "
        "a new tensor, or w = w.clone() and then into that."
    )


def write_shape(operator: str, got: tuple[int, ...], expected: tuple[int, ...]) -> str:
    return f"{operator} cannot write a result of shape {got} into a tensor of shape {expected}"


def write_shape_of_value(got: Any, expected: tuple[int, ...]) -> str:
    return f"a value of shape {got} does not fit into x[key], which has shape {expected}"


WRITE_TO_RESULT = (
    "{} under no_grad() would overwrite a tensor that is an operator's result, behind the back of "
    "a graph that may need its value. Outside of no_grad() the write is recorded, and gradients "
    "stay right; or write into a copy that is not in the graph: t = t.detach().clone()."
)

WRITTEN_AND_FREED = (
    "backward() came to a value that a tensor had before it was written to (x[key] = ... or x += "
    "...), and whose graph was freed by an earlier backward(). Two losses of one graph: add them, "
    "then call backward() once."
)


def not_a_number_to_write(value: Any) -> str:
    kind = getattr(value, "dtype", type(value).__name__)
    return f"it takes a number, or an array or a list of them, not {kind}"


STOP_REQUIRING = (
    "requires_grad is set on leaves only; this tensor is an operator's result, and requires grad "
    "as what it was computed from does. For its value alone, use t.detach()."
)

COPY_OF_RESULT = (
    "only leaves can be copied deeply or pickled; this tensor is an operator's result, whose graph "
    "would have to go along. Copy t.detach() instead, or t.clone() to stay in the graph."
)

# --- Backward -------------------------------------------------------------------------------------


def no_path(root: Any) -> str:
    message = "backward(): no path leads from this tensor to one with requires_grad=True."
    record = root._record
    if record is not None:
        return message + (
            f" It was cut by {record.by} at {at(record.line)}. Compute what you differentiate "
            "without it."
        )
    return message + (
        " Nothing it was computed from requires grad. Make the parameters with "
        "gn.Tensor(..., requires_grad=True), before they are used; and note that .data, .numpy(), "
        "float() and gn.Tensor(array) lead out of the graph."
    )


def not_a_scalar(shape: tuple[int, ...]) -> str:
    return (
        f"backward() starts from a single number, but this tensor has shape {shape}. Write "
        f".sum().backward() or .mean().backward(); or pass gradient=, an array of shape {shape} "
        "that weighs the elements."
    )


def gradient_shape(got: tuple[int, ...], expected: tuple[int, ...]) -> str:
    return f"backward(gradient=...) has shape {got}, but the tensor has shape {expected}"


def freed(record: Any) -> str:
    return (
        f"backward() came to the result of `{record.operator.name}`, whose values were freed by "
        f"the backward() at {at(record.line)}. Usually a tensor kept from an earlier step (a "
        "hidden state, a running loss) leads back into a graph that is done with: h = h.detach() "
        "before it is used again. Two losses of one graph: add them, then call backward() once. "
        "backward(retain_graph=True) keeps the values, but is rarely right."
    )


def no_gradient_yet(operator: str) -> str:
    return (
        "_backward() passes on this tensor's .grad, which is None: it is the result of "
        f"`{operator}`, and nothing has reached it. Start at the end: loss.grad = "
        "np.ones_like(loss.data), then call _backward() on each tensor, last made first."
    )


# --- Transforms -----------------------------------------------------------------------------------


def not_differentiable(value: Any) -> str:
    if hasattr(value, "dtype"):
        return (
            f"cannot differentiate by an argument of {value.dtype}: small changes, which a "
            "derivative is about, exist only for floating point. Write 3.0, not 3; or leave the "
            "argument out of argnums."
        )
    if isinstance(value, (bool, int)):
        return (
            f"cannot differentiate by {value!r}, which is no floating point number: write 3.0, "
            "not 3; or leave the argument out of argnums"
        )
    return (
        f"cannot differentiate by a {type(value).__name__}: arguments are numbers, arrays, "
        "Tensors, Modules, and dicts, lists and tuples of them. Leave it out of argnums, or "
        "close over it."
    )


def at_path(path: Sequence[Any], error: Exception) -> str:
    """An error about a part of a tree, with the keys that lead to it from the argument."""
    if len(path) < 2:  # the argument itself
        return str(error)
    return "argument" + "".join(f"[{key!r}]" for key in path[1:]) + f": {error}"


def not_an_output(value: Any) -> str:
    return f"the function returned {type(value).__name__}, not arrays or Tensors, or a tree of them"


def not_one_number(out: Any) -> str:
    if hasattr(out, "dtype"):
        what = f"{out.dtype} of shape {tuple(out.shape)}"
        hint = " Take .sum() or .mean(); for all derivatives use gn.jacobian."
        if out.dtype == bool:
            hint = " What is true or false has no derivative; return a number."
        elif out.size == 1:
            hint = " Take what is to be made small, such as gn.abs(z) or gn.real(z)."
    else:
        what = f"a {type(out).__name__}"
        hint = " To hand more through, use has_aux=True; for several outputs use gn.vjp."
    return f"a gradient is of one real number, but the function returned {what}.{hint}"


def other_shape(what: str, got: Any, of: str, expected: Any) -> str:
    return f"a {what} of shape {tuple(got)} for an {of} of shape {tuple(expected)}".replace(
        "an primal", "a primal"
    )


def no_such_argument(n: int, count: int) -> str:
    if count == 0:
        return (
            f"argnums has {n}, but the function was called without an argument by position: "
            "transforms differentiate by those, not by keyword ones"
        )
    numbers = (
        "1 argument by position, number 0"
        if count == 1
        else (f"{count} arguments by position, numbers 0 to {count - 1}")
    )
    return f"argnums has {n}, but the function was called with {numbers}"


def bad_argnums(argnums: Any) -> str:
    return (
        f"argnums says by which arguments, counted from 0: a number or a tuple of numbers, not "
        f"{argnums!r}"
    )


def not_a_function(transform: str, f: Any) -> str:
    message = f"gn.{transform} takes a function, got a {type(f).__name__}."
    if hasattr(f, "backward"):
        return message + (
            f" Of a value that is computed already, use value.backward() and .grad; or write "
            f"gn.{transform}(lambda x: ...)."
        )
    return message + f" Write gn.{transform}(lambda x: ...)."


def not_tuples(transform: str) -> str:
    return (
        f"{transform}: primals and tangents are tuples, with an entry for each argument of the "
        f"function. For one argument write gn.{transform}(f, (x,), (v,))."
    )


def other_structure(what: str, got: Any, of: str, expected: Any) -> str:
    got, expected = (str(s).removeprefix("PyTreeSpec(")[:-1] for s in (got, expected))
    return (
        f"the {what} is built as {got}, but the {of} as {expected} (* stands for an array): "
        "give them the same tuples, lists and dicts"
    )


def too_large(shape: tuple[int, ...], dtype: Any, size: int, memory: int) -> str:
    return (
        f"this Jacobian would be {dtype} of shape {shape}: {size / 2**30:,.1f} GiB, and the "
        f"machine has {memory / 2**30:,.1f} GiB. Use gn.vjp or gn.jvp for its products with "
        "vectors."
    )


def fwd_gave(name: str, pair: Any) -> str:
    return (
        f"{name}: fwd is to return a pair, the value and the residuals, and returned "
        f"{_what_was_returned(pair)}"
    )


def bwd_gave(name: str, count: int, given: Any) -> str:
    return (
        f"{name}: bwd is to return a tuple of {count} cotangents, one for each argument (None for "
        f"one that has none), and returned {_what_was_returned(given)}"
    )


def _what_was_returned(value: Any) -> str:
    if isinstance(value, tuple):
        return f"a tuple of {len(value)}"
    return f"a {type(value).__name__} (a tuple of one is written `(ct,)`)"


def closes_over(name: str) -> str:
    return (
        f"{name} closes over a tensor that requires grad, whose gradient its rule does not give: "
        "hand it over as an argument"
    )


def computed_something_else(f: Any) -> str:
    name = getattr(f, "__name__", type(f).__name__)
    return (
        f"checkpoint: computed again in backward, {name} gives something else than it did before, "
        "so that the gradient would be wrong. Usually a tensor or an array that it uses was "
        f"changed in between, or {name} itself writes to one from outside. Hand over what changes "
        "as an argument, and return what is to be written"
    )
