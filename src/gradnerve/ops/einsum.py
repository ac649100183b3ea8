"""Einstein summation: any product and sum over named axes.

An expression is taken apart until only products of two arrays are left, in which every label is in
two of x1, x2 and the result at least. Such a product is one operator, and its rules are that same
operator: ct takes the place of the array that it is for. What was taken apart before (a label twice
in one operand is its diagonal; a label in one operand only is a sum over it) has rules of its own.
"""

from __future__ import annotations

import functools
import operator as python
import string
from collections.abc import Sequence
from typing import Any

import numpy as np

from gradnerve.backends import kernels
from gradnerve.graph import operator
from gradnerve.ops.diagonal import diagonal
from gradnerve.ops.reduce import sum
from gradnerve.ops.shape import as_tensor_or_array, astype, permute_dims, reshape

__all__ = ["einsum"]

LETTERS = string.ascii_uppercase + string.ascii_lowercase  # in the order of implicit results

Terms = tuple[str, ...]
Shapes = tuple[tuple[int, ...], ...]
Step = tuple[int, int]  # the places of the two operands that are multiplied next


@operator
def _einsum(x1, x2, subscripts):
    """The sum of products of two arrays, as "ij,jk->ik"; each label is in two of the three."""
    return kernels(x1, x2).einsum(x1, x2, subscripts)


@_einsum.rule("x1", r"\bar X_1 = \operatorname{einsum}(\bar Y, X_2)")
def _(ct, x2, subscripts):
    first, second, out = _parts(subscripts)
    return _einsum(ct, x2, f"{out},{second}->{first}")


@_einsum.rule("x2", r"\bar X_2 = \operatorname{einsum}(X_1, \bar Y)")
def _(ct, x1, subscripts):
    first, second, out = _parts(subscripts)
    return _einsum(x1, ct, f"{first},{out}->{second}")


def _parts(subscripts: str) -> list[str]:
    return subscripts.replace("->", ",").split(",")


def einsum(*operands: Any, optimize: Any = True) -> Any:
    """The sum of products that an expression names: einsum("ij,jk->ik", a, b) is a @ b.

    The operands' axes are labelled by letters; those that are not in the result are summed over.
    `...` stands for any axes, which broadcast. Without `->` the result has the labels that occur
    once, in the alphabet's order. Also NumPy's other form: einsum(a, [0, 1], b, [1, 2], [0, 2]).
    Three operands or more are multiplied two at a time, in an order that keeps the work small:
    `optimize` is True, "optimal" or "greedy", False (from left to right), or a path of
    `numpy.einsum_path`.

    Raises ValueError for an expression that is wrong or that does not fit the operands.

    >>> import gradnerve as gn
    >>> a = gn.Tensor([[1.0, 2.0], [3.0, 4.0]])
    >>> gn.einsum("ii->i", a).tolist(), gn.einsum("ij,kj->ik", a, a).tolist()
    ([1.0, 4.0], [[5.0, 11.0], [11.0, 25.0]])
    """
    terms, result, arrays = _read(operands)
    inputs, out, sizes = _plan(tuple(terms), result, tuple(tuple(x.shape) for x in arrays))

    # Axes of length 1 that broadcast are left out: the product broadcasts without them.
    parts = [_prepared(x, labels, sizes) for x, labels in zip(arrays, inputs, strict=True)]
    if len(parts) == 1:
        x, labels = _summed(*parts[0], kept=out)
        return permute_dims(x, tuple(map(labels.index, out))) if labels != out else x
    path: tuple[Step, ...] = ((0, 1),)
    if len(parts) > 2:
        labels_of = tuple(labels for _, labels in parts)
        path = _path(labels_of, out, tuple(sizes.items()), _key(optimize))
    for i, j in path:
        (b, second), (a, first) = parts.pop(j), parts.pop(i)
        others = set(out).union(*(labels for _, labels in parts))
        a, first = _summed(a, first, others | set(second))
        b, second = _summed(b, second, others | set(first))
        if parts:  # in the order in which matrix products give it
            shared = [label for label in first if label in second and label in others]
            rest = [label for label in first + second if label in others and label not in shared]
            labels = "".join(shared + rest)
        else:
            labels = out
        parts.append((_einsum(a, b, f"{first},{second}->{labels}"), labels))
    return parts[0][0]


# --- The expression -------------------------------------------------------------------------------


def _read(operands: Sequence[Any]) -> tuple[list[str], str | None, list[Any]]:
    """The labels of each operand, those of the result (None: implicit), and the operands."""
    if not operands:
        raise ValueError('einsum needs an expression and its operands: einsum("ij,jk->ik", a, b)')
    if isinstance(operands[0], str):
        expression, arrays = operands[0], list(operands[1:])
        before, arrow, after = "".join(expression.split()).partition("->")
        terms, result = before.split(","), after if arrow else None
    else:
        arrays, lists = list(operands[0::2]), list(operands[1::2])
        last = arrays.pop() if len(operands) % 2 and len(operands) > 1 else None
        if len(arrays) != len(lists) or any(not isinstance(x, (list, tuple)) for x in lists):
            raise ValueError(
                "einsum takes an expression first, or each operand with the list of its labels: "
                "einsum(a, [0, 1], b, [1, 2], [0, 2])"
            )
        terms = [_from_list(x) for x in lists]
        result = None if last is None else _from_list(last)
        expression = ",".join(terms) + ("" if result is None else "->" + result)
    if len(terms) != len(arrays):
        raise ValueError(
            f"einsum: {expression!r} has labels for {len(terms)} operands, but {len(arrays)} "
            "were given"
        )
    for what, term in [*((f"operand {i}", t) for i, t in enumerate(terms)), ("the result", result)]:
        letters = (term or "").replace("...", "", 1)
        if wrong := next((c for c in letters if c not in LETTERS), None):
            hint = " An ellipsis is three dots, once." if wrong == "." else ""
            raise ValueError(
                f"einsum: {wrong!r} in {term!r}, the labels of {what} in {expression!r}, is no "
                f"letter.{hint}"
            )
    return terms, result, [as_tensor_or_array(x) for x in arrays]


def _from_list(labels: Any) -> str:
    def letter(label: Any) -> str:
        if label is Ellipsis:
            return "..."
        try:
            return LETTERS[label] if python.index(label) >= 0 else LETTERS[len(LETTERS)]
        except (TypeError, IndexError):
            raise ValueError(
                f"einsum: {label!r} in {labels!r} is no label: those are the numbers from 0 to "
                f"{len(LETTERS) - 1}, and Ellipsis"
            ) from None

    return "".join(map(letter, labels))


@functools.lru_cache(maxsize=1024)
def _plan(
    terms: Terms, result: str | None, shapes: Shapes
) -> tuple[list[str], str, dict[str, int]]:
    """The labels of each operand and of the result, and the length of each label's axes."""
    inputs, out = _labelled(terms, result, shapes)
    return inputs, out, _sizes(terms, inputs, shapes)


def _labelled(terms: Terms, result: str | None, shapes: Shapes) -> tuple[list[str], str]:
    """The labels with letters in place of each ellipsis; and those of the result."""
    used = set("".join(terms)) | set(result or "")
    free = [letter for letter in LETTERS if letter not in used]
    inputs, hidden = [], ""  # hidden: the letters of the longest ellipsis
    for i, (term, shape) in enumerate(zip(terms, shapes, strict=True)):
        named = len(term.replace("...", ""))
        extra = len(shape) - named
        if extra < 0 or (extra and "..." not in term):
            raise ValueError(
                f"einsum: {term!r} labels {named} axes{' and more' * ('...' in term)}, but operand "
                f"{i} has {len(shape)}: its shape is {shape}"
            )
        if extra > len(free):
            raise ValueError(
                f"einsum: with operand {i}, of shape {shape}, there are more axes than letters, "
                f"of which there are {len(LETTERS)}"
            )
        letters = "".join(free[:extra][::-1])  # counted from the last, as broadcasting does
        hidden = max(hidden, letters, key=len)
        inputs.append(term.replace("...", letters))
    if result is None:
        every = "".join(terms).replace(".", "")
        named_once = sorted(c for c in set(every) if every.count(c) == 1)
        return inputs, hidden + "".join(sorted(named_once, key=LETTERS.index))
    if hidden and "..." not in result:
        raise ValueError(
            f"einsum: the operands have axes for `...`, but the result {result!r} has no place for "
            "them: write `...` there, or sum over them first"
        )
    out = result.replace("...", hidden)
    for label in out:
        if not any(label in labels for labels in inputs):
            raise ValueError(
                f"einsum: the result {result!r} has the label {label!r}, which no operand has "
                f"({', '.join(map(repr, terms))})"
            )
        if out.count(label) > 1:
            raise ValueError(f"einsum: the result {result!r} has the label {label!r} twice")
    return inputs, out


def _sizes(terms: Terms, inputs: list[str], shapes: Shapes) -> dict[str, int]:
    """The length of each label's axes, which are equal, or 1."""
    found: dict[str, tuple[int, int]] = {}  # the length, and which operand has it
    for i, (labels, shape) in enumerate(zip(inputs, shapes, strict=True)):
        own: dict[str, int] = {}
        for label, n in zip(labels, shape, strict=True):
            if own.setdefault(label, n) != n:
                raise ValueError(
                    f"einsum: label {label!r} takes a diagonal of operand {i}, whose axes of it "
                    f"are {own[label]} and {n} long: its shape is {shape}"
                )
            known, j = found.get(label, (1, i))
            if 1 not in (n, known) and n != known:
                what = f"label {label!r}" if label in "".join(terms) else "an axis of `...`"
                raise ValueError(
                    f"einsum: {what} is {known} in operand {j} ({terms[j]!r}, of shape "
                    f"{shapes[j]}) and {n} in operand {i} ({terms[i]!r}, of shape {shape})"
                )
            if known == 1:
                found[label] = (n, i)
    return {label: n for label, (n, _) in found.items()}


# --- The arrays -----------------------------------------------------------------------------------


def _prepared(x: Any, labels: str, sizes: dict[str, int]) -> tuple[Any, str]:
    """Each label once, as a diagonal, and without axes of length 1 that broadcast."""
    for label in dict.fromkeys(labels):
        while labels.count(label) > 1:
            i = labels.index(label)
            j = labels.index(label, i + 1)
            x = diagonal(x, 0, i, j)
            labels = labels[:i] + labels[i + 1 : j] + labels[j + 1 :] + label
    kept = [i for i, label in enumerate(labels) if x.shape[i] == sizes[label]]
    if len(kept) < len(labels):
        x = reshape(x, tuple(x.shape[i] for i in kept))
        labels = "".join(labels[i] for i in kept)
    return x, labels


def _summed(x: Any, labels: str, kept: Any) -> tuple[Any, str]:
    """Summed over the labels that nothing else has."""
    alone = tuple(i for i, label in enumerate(labels) if label not in kept)
    if not alone:
        return x, labels
    y = sum(x, alone)
    if y.dtype != x.dtype:  # NumPy sums small whole numbers into large ones, but not in einsum
        y = astype(y, x.dtype)
    return y, "".join(label for label in labels if label in kept)


# --- The order of products ------------------------------------------------------------------------


def _key(optimize: Any) -> Any:
    if isinstance(optimize, (list, tuple)):
        return tuple(tuple(step) if isinstance(step, (list, tuple)) else step for step in optimize)
    return optimize


@functools.lru_cache(maxsize=1024)
def _path(inputs: tuple[str, ...], out: str, sizes: tuple, optimize: Any) -> tuple[Step, ...]:
    """Which two are multiplied next, and so on; a result goes to the end."""
    count = len(inputs)
    if optimize is False:
        return tuple((0, 1) if s == 0 else (0, count - 1 - s) for s in range(count - 1))
    if optimize is True:
        optimize = "optimal" if count < 6 else "greedy"
    lengths = dict(sizes)
    models = [np.broadcast_to(0.0, [lengths[c] for c in labels]) for labels in inputs]
    if isinstance(optimize, tuple):
        optimize = list(optimize)
    expression = f"{','.join(inputs)}->{out}"
    steps, _ = np.einsum_path(expression, *models, optimize=optimize)
    return tuple(_by_two(steps[1:], count))


def _by_two(steps: Sequence[tuple[int, ...]], count: int) -> Any:
    """Steps that multiply more than two at once (of a path without intermediate results) apart."""
    for step in steps:
        places = sorted(step)
        if len(places) == 1:
            raise ValueError(f"einsum: a step of optimize= names one operand only: {step}")
        i, *rest = places
        yield i, rest[0]
        count -= 1
        for already, j in enumerate(rest[1:], 1):
            # The result is at the end; what stood after the operands that are gone moved down.
            yield j - already - 1, count - 1
            count -= 1
