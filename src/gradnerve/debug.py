"""Debug mode: slow checks that find what beginners get wrong."""

from __future__ import annotations

import sys
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from weakref import ref

import numpy as np

from gradnerve import errors, graph
from gradnerve.backends import as_array, is_concrete, moved
from gradnerve.operators import Operator
from gradnerve.tensor import Tensor
from gradnerve.writing import looks_at

Line = tuple[str, int]


@contextmanager
def debug_mode() -> Iterator[None]:
    """Check every value and every cotangent that is computed inside, and say where a mistake began.

    Raises NonFinite where a NaN or an infinity is born, forward or backward, with the operator, its
    operands and the line; ChangedInPlace where a value that backward needs was changed in place,
    with the operator that saved it and the line that changed it. Warns where (n, 1) and (n,) are
    broadcast to (n, n).

    >>> import gradnerve as gn
    >>> x = gn.Tensor([1.0, 0.0], requires_grad=True)
    >>> with gn.debug_mode(), np.errstate(all="ignore"):
    ...     gn.log(x)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    gradnerve.errors.NonFinite: log made -inf at element (1,), ...
    """
    traced_from = sys._getframe(2)  # past contextlib, the frame with the `with`
    own_trace = sys.gettrace() is None  # leave the line to a debugger that is at work
    with _watching() as checks:
        if own_trace:
            _set_trace(checks.trace, traced_from)
        try:
            yield
        finally:
            if own_trace:
                _set_trace(None, traced_from)


@contextmanager
def _watching() -> Iterator[Checks]:
    outer, graph.watch = graph.watch, Checks()
    try:
        yield graph.watch
    finally:
        graph.watch = outer


def _set_trace(trace: Any, frame: Any) -> None:
    """Have Python call `trace` for each line: of new calls, and of those that are running."""
    sys.settrace(trace)
    while frame is not None:
        frame.f_trace = trace
        frame = frame.f_back


def first_non_finite(model: Any, *inputs: Any) -> str | None:
    """The first layer whose output on these inputs is not finite, as "'conv1' (Conv2d)"; or None.

    >>> from gradnerve import nn
    >>> model = nn.Sequential(nn.Linear(2, 2), nn.ReLU())
    >>> model[0].weight.data[...] = np.inf
    >>> first_non_finite(model, np.ones((1, 2), dtype=np.float32))
    "'0' (Linear)"
    """
    with graph.no_grad(), np.errstate(all="ignore"), _watching():
        try:
            model(*(x if isinstance(x, Tensor) else Tensor(x) for x in inputs))
        except errors.NonFinite as error:
            layer: Any = getattr(error, "layer", None)
            return (
                f"{getattr(error, 'layer_path', '')!r} ({type(layer).__name__})" if layer else None
            )
    return None


@dataclass
class Note:
    """What debug mode knows of a recorded tensor."""

    tensor: ref[Tensor]
    line: Line
    prints: list[int]  # of the values that its operator saved
    changed: dict[int, Line] = field(default_factory=dict)


class Checks:
    """What `graph.watch` is in debug mode. `graph` calls `computed`, `used` and `passed_back`."""

    def __init__(self) -> None:
        self.notes: dict[int, Note] = {}
        self.last_line: Line = ("", 0)

    def computed(self, tensor: Tensor, op: Operator, args: tuple[Any, ...]) -> None:
        """An operator has made a tensor."""
        line = errors.user_line()
        _check_born(tensor._data, op, args, line)
        if type(tensor._data) is not tuple:
            _check_broadcast(tensor, op, args, line)
        if type(tensor._record) is tuple:
            number = tensor._number
            link = ref(tensor, lambda _: self.notes.pop(number, None))
            self.notes[number] = Note(link, line, _fingerprints(tensor, tensor._record))

    def moved(self, target: Tensor) -> None:
        """A tensor's record is now that of another: the one that was written to, or was before."""
        note = self.notes.get(target._number) if target._requires_grad else None
        if note is not None:
            number = target._number
            note.tensor = ref(target, lambda _: self.notes.pop(number, None))

    def used(self, tensor: Tensor, record: graph.Record, seen: list[Any]) -> None:
        """Backward is about to use what was saved for a tensor: what its rules will see."""
        note = self.notes.get(tensor._number)
        if note is None:
            return
        op, args, _ = record
        _find_changes(note, tensor, record, ("", 0))
        for place, changed_at in note.changed.items():
            is_result = place == len(args)
            if not looks_at(op, args, seen, 1 if is_result else 3 + place):
                continue
            name, value = ("its result", tensor) if is_result else (op.name_of(place), args[place])
            raise errors.ChangedInPlace(
                errors.changed_in_place(op.name, name, value, note.line, changed_at)
            )

    def passed_back(self, tensor: Tensor, op: Operator, parent: Tensor, ct: Any) -> None:
        """A rule has given a parent its share of the cotangent."""
        kind = _not_finite(ct)
        if kind is not None:
            note = self.notes.get(tensor._number)
            line = note.line if note else None
            raise errors.NonFinite(errors.born_backward(op.name, kind, parent, line))

    def trace(self, frame: Any, event: str, arg: Any) -> Any:
        """Called by Python for each line: whatever has changed, the line before has changed it."""
        filename = frame.f_code.co_filename
        if filename.startswith((errors.PACKAGE, "<")) or "site-packages" in filename:
            return None
        if event in ("line", "return"):
            for note in list(self.notes.values()):
                tensor = note.tensor()
                if tensor is not None and type(tensor._record) is tuple:
                    _find_changes(note, tensor, tensor._record, self.last_line)
            self.last_line = (filename, frame.f_lineno)
        return self.trace


def _find_changes(note: Note, tensor: Tensor, record: graph.Record, line: Line) -> None:
    now = _fingerprints(tensor, record)
    for place, (before, after) in enumerate(zip(note.prints, now, strict=True)):
        if before != after:
            note.changed.setdefault(place, line)


def _fingerprints(tensor: Tensor, record: graph.Record) -> list[int]:
    """A checksum of each argument, and of the result, that a rule of the operator names."""
    op, _, values = record
    named = [name in op.named for name in op.names[: len(values)]]
    named += [named[-1]] * (len(values) - len(named))
    saved = [*zip(values, named, strict=True), (tensor._data, "y" in op.named)]
    return [
        zlib.crc32(np.ascontiguousarray(value).view(np.uint8).data)
        if is_named and _is_array(value)
        else 0
        for value, is_named in saved
    ]


def _is_array(value: Any) -> bool:
    return isinstance(value, np.ndarray) and value.size > 0


def _not_finite(value: Any) -> tuple[str, tuple[int, ...]] | None:
    """ "NaN", "inf" or "-inf", and the first element that is it; None where all is finite."""
    data = getattr(value, "_data", value)
    if type(data) is dict:  # cotangents of several outputs
        data = tuple(data.values())
    if type(data) is tuple:  # several outputs
        return next((kind for kind in map(_not_finite, data) if kind is not None), None)
    if not is_concrete(data := as_array(data)):
        return None
    array = np.asarray(moved(data, "numpy"))
    if array.dtype.kind not in "fc" or np.isfinite(array).all():
        return None
    bad = np.isnan(array) if np.isnan(array).any() else ~np.isfinite(array)
    element = tuple(int(i) for i in np.argwhere(bad)[0])
    return ("NaN" if np.isnan(array[element]) else str(array[element])), element


def _check_born(result: Any, op: Operator, args: tuple[Any, ...], line: Line) -> None:
    kind = _not_finite(result)
    if kind is None:
        return
    for name, arg in zip((*op.names, *(op.names[-1:] * len(args))), args, strict=False):
        if isinstance(arg, (Tensor, np.ndarray, float)):
            inherited = _not_finite(arg)
            if inherited is None:
                continue
            # An infinity that was put in on purpose (a mask) may pass. A NaN may not, nor may an
            # infinity in a parameter, nor one that becomes a NaN.
            is_parameter = isinstance(arg, Tensor) and arg._requires_grad and arg._record is None
            if inherited[0] == "NaN" or is_parameter:
                raise errors.NonFinite(errors.came_in(op.name, name, arg, inherited, line))
            if kind[0] != "NaN":
                return
    raise errors.NonFinite(errors.born(op.name, op.names, args, kind, line))


def _check_broadcast(tensor: Tensor, op: Operator, args: tuple, line: Line) -> None:
    if len(args) != 2:
        return
    a, b = (tuple(getattr(arg, "shape", ())) for arg in args)
    column, row = (a, b) if len(a) == 2 else (b, a)
    outer = len(column) == 2 and column[1] == 1 and row == column[:1] and row[0] > 1
    if outer and tensor.shape == (row[0], row[0]):
        warnings.warn_explicit(errors.outer_broadcast(op.name, a, b, line), UserWarning, *line)
