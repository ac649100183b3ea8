"""Compiled code, and many devices."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from gradnerve.errors.operators import describe
from gradnerve.errors.source import _is_inside, at, nearest

# --- gn.jit ---------------------------------------------------------------------------------------


def _called(f: Any) -> str:
    return getattr(f, "__name__", type(f).__name__) + "()"


def jit_of_a_result(where: str, tensor: Any) -> str:
    return (
        f"{where} of a compiled function is the result of `{tensor._record[0].name}`, and "
        "gradients cannot flow from compiled code into the graph outside. Compute it inside the "
        "function, or give it x.detach()."
    )


def jit_unhashable(where: str, value: Any) -> str:
    return (
        f"{where} of a compiled function is a {type(value).__name__}, which is neither a tree of "
        "arrays (a list, tuple, dict, Tensor, Module) nor hashable, so that the compiled code "
        "could not be told from that for another value."
    )


def jit_closure(function: str, name: str, value: Any) -> str:
    return (
        f"{function}() is compiled, and uses {name!r} ({type(value).__name__}) from outside: its "
        f"arrays would be constants of the code, and never change. Give it as an argument: "
        f"{function}({name}, ...)."
    )


def jit_outside(tensor: Any) -> str:
    return (
        f"backward() in a compiled function reaches a tensor that the function was not given "
        f"({describe(tensor)}): its .grad could not be written back. Give it, or the Module that "
        "it is part of, as an argument."
    )


def jit_leak(f: Any, tensor: Any) -> str:
    return (
        f"{_called(f)} is compiled, and has left a tensor ({describe(tensor)}) outside, in a list, "
        "a global, an attribute or a tensor that it was not given. It has no value: the function "
        "runs in Python only once. Return it instead."
    )


def jit_many_shapes(f: Any, name: str, count: int) -> str:
    return (
        f"{_called(f)} is compiled for the {count}th time, as the shape of {name} is another one "
        "again. Each compilation takes far longer than a call: pad to a fixed shape, or drop the "
        "last, smaller batch."
    )


def jit_explained(error: Exception, f: Any) -> str | None:
    """What an error of JAX's means to who wrote f; None for an error that is not JAX's."""
    import jax.errors as of_jax

    cause: Any = None
    link: BaseException | None = error
    while link is not None:  # the first error of JAX's: later ones came of handling it
        cause = link if type(link).__module__.startswith("jax") else cause
        link = link.__cause__ or link.__context__
    kinds = {
        of_jax.TracerBoolConversionError: (
            "decides by a value",
            "For one value or another write gn.where(condition, a, b); for code that is run or "
            "not, or again and again, gn.cond, gn.while_loop, gn.scan.",
        ),
        of_jax.TracerIntegerConversionError: (
            "needs a whole number: for a length, an index, range()",
            "Take lengths from shapes, x.shape[0]; index with a tensor; loop with gn.scan.",
        ),
        of_jax.NonConcreteBooleanIndexError: (
            "makes a result whose shape depends on values",
            "Keep the shape: gn.where(mask, x, 0).",
        ),
        of_jax.TracerArrayConversionError: (
            "makes a NumPy array of a value",
            "Call GradNerve's functions: gn.sin(x). (NumPy's work on Tensors, but not on the plain "
            "arrays in here, which are JAX's.)",
        ),
        of_jax.ConcretizationTypeError: (
            "makes a Python number of a value",
            "Compute with the tensor itself; to look at it, return it.",
        ),
        of_jax.UnexpectedTracerError: (
            "uses a tensor that was left over from another compilation",
            "Return what is needed later.",
        ),
    }
    what, cure = next((v for k, v in kinds.items() if isinstance(cause, k)), ("", ""))
    if not what:
        return None
    if type(error) in (TypeError, ValueError):
        what = "writes a value into an array that the function was not given"
        cure = "Give it as a Tensor among the arguments, or return the value."
    line = _users_line_of(error)
    where = at(line) if line[0] else _called(f)
    return (
        f"{where} {what}. {_called(f)} is compiled by gn.jit: it runs in Python only once, before "
        f"there are values. {cure}"
    )


def _users_line_of(error: Exception) -> tuple[str, int]:
    """The innermost line of a traceback that is neither GradNerve's nor a library's."""
    line = ("", 0)
    traceback = error.__traceback__
    while traceback is not None:
        filename = traceback.tb_frame.f_code.co_filename
        if not (_is_inside(filename) or "site-packages" in filename):
            line = filename, traceback.tb_lineno
        traceback = traceback.tb_next
    return line


def scan_pair(value: Any) -> str:
    return (
        f"scan: f returns a pair (the next carry, what is kept of this round), not "
        f"{_kind_of(value)}; where nothing is kept, (carry, None)"
    )


def scan_lengths(lengths: Iterable[Any]) -> str:
    found = sorted(map(str, lengths))
    if not found:
        return "scan: how often? Give xs, or length="
    if "None" in found:
        return "scan: xs are arrays whose first axis is the loop's; a single number has no axis"
    return f"scan: the first axes of xs, and length, are to agree; they are {', '.join(found)}"


def other_carry(name: str, before: Any, after: Any) -> str:
    return (
        f"{name}: each round gets what the one before returned, so f has to return what is like "
        f"what it got; it got {before}, and returned {after}"
    )


def other_branch(first: Any, shapes: Any, second: Any, others: Any) -> str:
    if first != second:
        return f"cond: the branches return different structures: {first} and {second}"
    pairs = zip(shapes, others, strict=True)
    a, b = next((a, b) for a, b in pairs if a != b)
    return (
        f"cond: the branches return different arrays: {a[1]} of shape {a[0]}, and {b[1]} of shape "
        f"{b[0]}"
    )


def one_value(name: str, shape: tuple[int, ...]) -> str:
    return (
        f"{name}: the condition is one value, not an array of shape {tuple(shape)}: reduce it by "
        "gn.all or gn.any, or choose element by element with gn.where(condition, a, b)"
    )


WHILE_GRADIENT = (
    "while_loop in compiled code has no gradient: how many rounds there are, and so how much would "
    "have to be kept for backward, is not known. Use gn.scan with a fixed number of rounds, or "
    "gn.no_grad() around the loop."
)


def _kind_of(value: Any) -> str:
    if isinstance(value, tuple):
        return f"a tuple of {len(value)}"
    return f"a {type(value).__name__}"


# --- Many devices ---------------------------------------------------------------------------------


def _mesh(axes: Mapping[str, int]) -> str:
    return f"mesh({', '.join(f'{name}={size}' for name, size in axes.items())})"


def mesh_too_large(axes: Mapping[str, int], devices: int) -> str:
    """More devices than there are, or a number that is none."""
    if min(axes.values()) < -1 or 0 in axes.values() or list(axes.values()).count(-1) > 1:
        return f"{_mesh(axes)}: sizes are 1 or more; a single one may be -1, for what is left"
    return (
        f"{_mesh(axes)} needs more devices than there are: JAX sees {devices}. To try it on the "
        "CPU, set XLA_FLAGS=--xla_force_host_platform_device_count=8 in the environment before "
        "Python starts"
    )


def mesh_of_no_numbers(axes: Mapping[str, Any]) -> str:
    """mesh(data=2.0)."""
    given = ", ".join(f"{name}={size!r}" for name, size in axes.items())
    return f"mesh({given}): sizes are whole numbers, as in mesh(data=4, model=2)"


def mesh_does_not_divide(axes: Mapping[str, int], devices: int) -> str:
    """-1 for what is left, and something is left over."""
    return (
        f"{_mesh(axes)}: the {devices} devices do not divide by the other sizes; say how many to "
        "take, without -1"
    )


def no_mesh(name: str, value: Any) -> str:
    """Something else in the place of a mesh."""
    return (
        f"{name} takes a mesh, as gn.distributed.mesh(data=4, model=2) makes one, not "
        f"{type(value).__name__}"
    )


def no_place_rule(rule: Any) -> str:
    """shard() with something else than pairs of a pattern and mesh axes."""
    return (
        'rules are a dict, or pairs, of patterns and mesh axes, as {"*.weight": ("model", None)}, '
        f"or with one axis as a string; not {rule!r}"
    )


def mesh_axis_twice(name: str, axis: str) -> str:
    """A rule that cuts two axes along one of the mesh."""
    return f"the rule for {name!r} has {axis!r} twice: a mesh axis can cut one axis of a parameter"


def mesh_too_small(axes: Mapping[str, int], needed: int, devices: int) -> str:
    """Several processes, and a mesh without the devices of some."""
    return (
        f"{_mesh(axes)} has {needed} of the {devices} devices of all processes; each process has "
        f"to take part: make the sizes' product {devices}, or one of them -1"
    )


def nothing_to_shard(thing: Any) -> str:
    """shard() of what has no Tensors in it."""
    return (
        "shard takes a Module, an optimiser, or a dict or list with Modules or Tensors in it; "
        f"there is no Tensor in this {type(thing).__name__}"
    )


def rule_matches_nothing(pattern: str, names: Sequence[str]) -> str:
    """A rule for a parameter that there is not."""
    shown = ", ".join(names[:8]) + (", ..." if len(names) > 8 else "")
    return f"no parameter matches the rule {pattern!r}; there are {shown}.{nearest(pattern, names)}"


def rule_too_long(name: str, shape: tuple[int, ...], axes: Sequence[Any]) -> str:
    """A rule with more entries than a parameter has axes."""
    return (
        f"the rule for {name!r} says where {len(axes)} axes go, {tuple(axes)}; it has "
        f"{len(shape)}, {shape}"
    )


def no_such_mesh_axis(name: str, axis: str, axes: Sequence[str]) -> str:
    """A mesh axis that the mesh has not."""
    known = ", ".join(map(repr, axes))
    return f"{name}: the mesh has no axis {axis!r}; it has {known}.{nearest(axis, axes)}"


def does_not_divide(name: str, shape: tuple[int, ...], size: int, count: int, axis: Any) -> str:
    """A parameter that cannot be cut evenly."""
    return (
        f"{name!r} is {shape}: its axis of {size} does not divide into {count} parts along "
        f"{axis!r}; change its size, or leave it whole"
    )


def rules_for_optimizer() -> str:
    """shard(optimizer, mesh, rules)."""
    return (
        "an optimiser's state goes where its parameters are, and takes no rules: "
        "shard(model, mesh, rules), then shard(optimizer, mesh)"
    )


def parameters_not_on_mesh(optimiser: str) -> str:
    """shard(optimizer) before shard(model)."""
    return (
        f"the parameters of this {optimiser} are not on the mesh yet: shard(model, mesh) first, "
        "then shard(optimizer, mesh)"
    )


def not_on_a_mesh(name: str) -> str:
    """save() or restore() of what shard() has not placed."""
    return (
        f"{name!r} is on no mesh: a checkpoint of many devices has what lies on a mesh, so "
        "shard(model, mesh) first, then shard(optimizer, mesh)"
    )


def not_a_later_step(step: int, last: int, folder: Any) -> str:
    """save() with a number that is taken, or passed."""
    return (
        f"save(..., step={step}): '{folder}' has a checkpoint of step {last} already; steps go "
        "upwards, so restore it and go on from there, or take another folder"
    )


def other_checkpoint(folder: Any, saved: Sequence[str], names: Sequence[str]) -> str:
    """restore() of another model's checkpoint."""
    missing = [name for name in names if name not in saved]
    extra = [name for name in saved if name not in names]
    parts = [f"there is no {name!r} in it.{nearest(name, extra)}" for name in missing[:3]]
    parts += [f"it has {name!r}, which is not asked for" for name in extra[:3]]
    return f"the checkpoint in '{folder}' is of something else: {'; '.join(parts)}"


def other_size(folder: Any, name: str, saved: tuple[int, ...], shape: tuple[int, ...]) -> str:
    """restore() of a model of another size."""
    return f"the checkpoint in '{folder}' has {name!r} as {saved}, and it is to be {tuple(shape)}"


def batch_does_not_divide(shape: tuple[int, ...], parts: int, axis: str) -> str:
    """A batch that cannot be cut evenly."""
    if not shape:
        return "shard_batch cuts the first axis of an array, and this one has none"
    size = shape[0]
    near = " or ".join(str(n) for n in (size - size % parts, size + parts - size % parts) if n)
    return (
        f"a batch of {size} does not divide into {parts} parts along {axis!r}: take {near}; "
        "DataLoader(..., drop_last=True) leaves a smaller last batch out"
    )


def bad_coordinator(address: str) -> str:
    """An address that is none."""
    return f"the coordinator's address is HOST:PORT, as in 127.0.0.1:5555, not {address!r}"


def bad_process(process: int, processes: int) -> str:
    """A number of a process that there cannot be."""
    if processes < 1:
        return f"there is at least one process, not {processes}"
    return f"{processes} processes have the numbers 0 to {processes - 1}; there is no {process}"


def port_in_use(port: int, error: OSError) -> str:
    """Process 0 cannot listen."""
    return (
        f"process 0 cannot listen at port {port} ({error.strerror}): another program does, or an "
        "earlier run that has not ended; take another port, for all processes"
    )


def no_such_host(host: str) -> str:
    """A name that no machine has."""
    return f"there is no machine {host!r}: check the coordinator's address"


def no_coordinator(host: str, port: int, timeout: float, error: OSError) -> str:
    """Process 0 is not where it should be."""
    return (
        f"no coordinator at {host}:{port} after {timeout:g} s ({error.strerror or error}): is "
        "process 0 running, on that machine, with that port?"
    )


def joined_late(error: RuntimeError) -> str:
    """join() after JAX has computed something, or twice."""
    return (
        "join has to be called once, and before anything that JAX computes: make it the first line "
        f"after the imports ({str(error).splitlines()[0][:200]})"
    )


def not_all_came(at: str, process: int, processes: int, timeout: float, left: float) -> str:
    """Fewer processes than were announced; or two with one number, of which one notices at once."""
    if left > 0:
        return (
            f"another process has number {process} too, or process 0 has stopped: start one of "
            f"each number from 0 to {processes - 1}"
        )
    return (
        f"not all of {processes} processes were at {at} after {timeout:g} s: start the same "
        f"command once, and only once, for each number from 0 to {processes - 1}"
    )


def did_not_come(process: int, timeout: float) -> str:
    """A process that joined, and then did nothing."""
    return f"process {process} has joined, but was not ready after {timeout:g} s; see its messages"


def has_left(process: int, reason: str) -> str:
    """A process that stopped before the start."""
    return f"process {process} has stopped: {reason}"


def other_settings(name: str, value: Any, process: int, other: Any) -> str:
    """Two processes that would not compute the same."""
    return (
        f"the processes do not agree on {name}: process 0 has {value}, process {process} has "
        f"{other}; start all with the same command and the same data"
    )


def process_gone(text: str = "") -> str:
    """Another process cannot be reached any more."""
    return (
        "another process has stopped, hangs, cannot be reached any more, or was started twice, so "
        "this one stops too; see the others' messages. A run goes on from its last whole epoch, "
        f"with --resume{text and f' ({text.splitlines()[0][:200]})'}"
    )
