"""Many devices, and many machines: where the parts of arrays lie, for JAX.

A step under `gn.jit` is one program, whatever the number of devices. JAX's arrays know how they are
spread over a mesh of devices, and XLA puts the communication into the program that their places ask
for: split the batch and copy the parameters, and the gradients are summed over all devices; split a
weight, and its matrix product is. So there is nothing here but: name the devices (`mesh`), put the
parameters there (`shard`), put the batch there (`shard_batch`), get a result back (`gather`). With
several processes each runs the same program, and `join` is the first thing in it.

This module needs JAX. `gn.distributed` loads it when it is first used.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import socket
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from fnmatch import fnmatchcase
from functools import partial
from math import prod
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import numpy as np

from gradnerve import errors
from gradnerve.backends import as_array, load, moved
from gradnerve.nn.module import Module
from gradnerve.ops.random import generator
from gradnerve.tensor import Tensor
from gradnerve.transforms import tree as optree

__all__ = [
    "ProcessLost",
    "agree",
    "gather",
    "is_first",
    "join",
    "leave",
    "lost",
    "mesh",
    "own_rows",
    "restore",
    "save",
    "shard",
    "shard_batch",
]

Rules = Mapping[str, Any] | Iterable[tuple[str, Any]]


def _jax() -> Any:
    return load("jax").jax


def mesh(**axes: int) -> Any:
    """The devices in a grid whose axes have names: mesh(data=4, model=2) takes eight.

    Without names: all devices, along "data". One size can be -1, for all that are left. What comes
    back is a `jax.sharding.Mesh`. Raises TypeError for a size that is no whole number, ValueError
    where there are not so many devices, where a size of -1 would leave some over, or, with several
    processes, where any is left out: its process would wait for ever.

    >>> mesh(data=1).shape["data"]
    1
    """
    devices = _jax().devices()
    sizes = axes or {"data": len(devices)}
    if not all(type(size) is int for size in sizes.values()):
        raise TypeError(errors.mesh_of_no_numbers(axes))
    if sum(size == -1 for size in sizes.values()) == 1:
        known = prod(size for size in sizes.values() if size != -1)
        rest = len(devices) // known if known > 0 else 0
        if rest * known not in (0, len(devices)):
            raise ValueError(errors.mesh_does_not_divide(axes, len(devices)))
        sizes = {name: rest if size == -1 else size for name, size in sizes.items()}
    needed = prod(sizes.values())
    if min(sizes.values()) < 1 or needed > len(devices):
        raise ValueError(errors.mesh_too_large(axes, len(devices)))
    if needed < len(devices) and _jax().process_count() > 1:
        raise ValueError(errors.mesh_too_small(axes, needed, len(devices)))
    grid = np.asarray(devices[:needed]).reshape(tuple(sizes.values()))
    return _jax().sharding.Mesh(grid, tuple(sizes))


# --- Parameters -----------------------------------------------------------------------------------


def shard(thing: Any, mesh: Any, rules: Rules = ()) -> Any:
    """Put a Module's parameters and buffers on a mesh, in place, and return the Module.

    Each is copied to all devices, unless a rule matches its path: {"*.fc1.weight": ("model", None)}
    cuts the first axis of such a weight into as many parts as the mesh has along "model". A rule's
    value is a mesh axis, or None, for each axis of the parameter; the first rule that matches
    counts. `thing` can also be a dict or list of Modules and Tensors, or an optimiser: its state
    goes where its parameters are, so put those there first.

    Raises ValueError for a rule that matches nothing or does not fit, TypeError for what is no
    rule, no mesh, or holds no Tensors.

    >>> import gradnerve as gn
    >>> model = shard(gn.nn.Linear(4, 2), mesh(data=1), {"weight": (None, "data")})
    >>> tuple(model.weight.data.sharding.spec)
    (None, 'data')
    """
    if _is_optimizer(thing):
        return _shard_optimizer(thing, mesh, rules)
    _check_mesh("shard", mesh)
    rules = list(rules.items() if isinstance(rules, Mapping) else rules)
    for rule in rules:
        if not isinstance(rule, tuple) or len(rule) != 2 or not isinstance(rule[0], str):
            raise TypeError(errors.no_place_rule(rule))
    named = list(_named("", thing))
    if not named:
        raise TypeError(errors.nothing_to_shard(thing))
    names = [name for name, _ in named]
    for pattern, _ in rules:
        if not any(fnmatchcase(name, pattern) for name in names):
            raise ValueError(errors.rule_matches_nothing(pattern, names))
    places = []
    for name, tensor in named:  # first all checks, then all moves
        axes = next((axes for pattern, axes in rules if fnmatchcase(name, pattern)), None)
        places.append(_sharding(name, tensor.shape, mesh, axes))
    for (_, tensor), place in zip(named, places, strict=True):
        tensor._data = _put(tensor._data, place)
        if tensor._grad is not None:
            tensor._grad = _put(tensor._grad, place)
    return thing


def _check_mesh(name: str, mesh: Any) -> None:
    if not isinstance(mesh, _jax().sharding.Mesh):
        raise TypeError(errors.no_mesh(name, mesh))


def _is_optimizer(thing: Any) -> bool:
    return hasattr(thing, "params") and hasattr(thing, "step")


def _named(path: str, thing: Any) -> Iterator[tuple[str, Tensor]]:
    if isinstance(thing, Tensor):
        yield path, thing
    elif isinstance(thing, Module):
        for name, tensor in thing._named_tensors():
            yield f"{path}.{name}".lstrip("."), tensor
    elif isinstance(thing, (dict, list, tuple)):
        for key, value in thing.items() if isinstance(thing, dict) else enumerate(thing):
            yield from _named(f"{path}.{key}".lstrip("."), value)


def _sharding(name: str, shape: tuple[int, ...], mesh: Any, axes: Any) -> Any:
    """Where an array of this shape goes, by the value of a rule."""
    if axes is not None and not isinstance(axes, (str, tuple, list)):
        raise TypeError(errors.no_place_rule((name, axes)))
    axes = (axes,) if axes is None or isinstance(axes, str) else tuple(axes)
    if axes == (None,):
        axes = ()
    if len(axes) > len(shape):
        raise ValueError(errors.rule_too_long(name, shape, axes))
    used: list[str] = []
    for size, axis in zip(shape, axes, strict=False):
        split = () if axis is None else (axis,) if isinstance(axis, str) else axis
        for part in split:
            if part not in mesh.shape:
                raise ValueError(errors.no_such_mesh_axis(name, part, list(mesh.shape)))
            if part in used:
                raise ValueError(errors.mesh_axis_twice(name, part))
            used.append(part)
        count = prod(mesh.shape[part] for part in split)
        if size % count:
            raise ValueError(errors.does_not_divide(name, shape, size, count, axis))
    sharding = _jax().sharding
    return sharding.NamedSharding(mesh, sharding.PartitionSpec(*axes))


def _put(array: Any, place: Any) -> Any:
    """An array where it belongs. With several processes, all have to bring the same."""
    return _jax().device_put(moved(array, "jax"), place)


def _shard_optimizer(optimizer: Any, mesh: Any, rules: Rules) -> Any:
    """Its arrays are in its state, a dict for each parameter."""
    if rules:
        raise TypeError(errors.rules_for_optimizer())
    devices = set(mesh.devices.flat)
    for tensor in optimizer.params:
        at = getattr(tensor._data, "sharding", None)
        if at is None or at.device_set != devices:
            raise ValueError(errors.parameters_not_on_mesh(type(optimizer).__name__))
    for tensor, state in optimizer.state.items():
        for name, array in state.items():
            if hasattr(array, "shape"):
                place = tensor._data.sharding
                if array.shape != tensor.shape:
                    place = _sharding("", array.shape, mesh, None)
                state[name] = _put(array, place)
    return optimizer


# --- Batches and results --------------------------------------------------------------------------


def shard_batch(batch: Any, mesh: Any, axis: str = "data", *, whole: bool = True) -> Any:
    """Cut arrays along their first axis, (N, ...), and put a part on each device along `axis`.

    `batch` is a tree (tuple, dict) of arrays and Tensors. With several processes each gives the
    whole batch, and only the rows of its own devices are read; or, with whole=False, each gives its
    own rows only, as many as the others. Raises ValueError where N does not divide.

    >>> images, labels = shard_batch((np.zeros((6, 8)), np.zeros(6)), mesh(data=1))
    >>> images.shape, tuple(images.sharding.spec)
    ((6, 8), ('data',))
    """
    _check_mesh("shard_batch", mesh)
    if axis not in mesh.shape:
        raise ValueError(errors.no_such_mesh_axis("shard_batch", axis, list(mesh.shape)))
    parts = mesh.shape[axis] if whole else len(_own_parts(mesh, axis))

    def cut(array: Any) -> Any:
        if isinstance(array, Tensor):
            return Tensor(cut(array._data), array.requires_grad, name=array.name)
        array = as_array(array)
        if not array.shape or array.shape[0] % parts:
            raise ValueError(errors.batch_does_not_divide(array.shape, parts, axis))
        sharding = _jax().sharding.NamedSharding(mesh, _jax().sharding.PartitionSpec(axis))
        if not whole:
            return _jax().make_array_from_process_local_data(sharding, np.asarray(array))
        if _jax().process_count() == 1:
            return _put(array, sharding)
        return _jax().make_array_from_callback(array.shape, sharding, lambda key: array[key])

    return optree().tree_map(cut, batch)


def own_rows(count: int, mesh: Any, axis: str = "data") -> np.ndarray:
    """The numbers of those of `count` rows that this process's devices hold: what it has to read.

    Give them to `shard_batch` with whole=False. Raises ValueError where count does not divide.

    >>> own_rows(4, mesh(data=1))
    array([0, 1, 2, 3])
    """
    _check_mesh("own_rows", mesh)
    if axis not in mesh.shape:
        raise ValueError(errors.no_such_mesh_axis("own_rows", axis, list(mesh.shape)))
    parts = mesh.shape[axis]
    if count % parts:
        raise ValueError(errors.batch_does_not_divide((count,), parts, axis))
    return np.arange(count).reshape(parts, -1)[sorted(_own_parts(mesh, axis))].reshape(-1)


def _own_parts(mesh: Any, axis: str) -> set[int]:
    """Which of the parts along an axis are on this process's devices."""
    own, place = _jax().process_index(), mesh.axis_names.index(axis)
    return {
        index[place]
        for index, device in np.ndenumerate(mesh.devices)
        if device.process_index == own
    }


def gather(tree: Any) -> Any:
    """NumPy arrays, whole, of a tree of arrays and Tensors, wherever their parts lie.

    With several processes every one has to call it, and each gets the whole.

    >>> gather({"x": shard_batch(np.arange(4.0), mesh(data=1))})["x"]
    array([0., 1., 2., 3.])
    """

    def whole(array: Any) -> Any:
        array = getattr(array, "_data", array)
        if getattr(array, "is_fully_addressable", True) or array.is_fully_replicated:
            return np.asarray(array)
        from jax.experimental import multihost_utils

        return np.asarray(multihost_utils.process_allgather(array, tiled=True))

    return optree().tree_map(whole, tree)


# --- Checkpoints ----------------------------------------------------------------------------------


def save(folder: str | Path, state: Any, step: int) -> None:
    """Write a checkpoint: Modules and optimisers that lie on a mesh, in a dict or list.

    Every process has to call it, and all need to see the folder. Each writes the parts on its own
    devices, so no process ever has the whole. The checkpoint, numbered `step`, appears when all of
    it is on the disk; the one before is kept as well, and older ones are removed. The random
    numbers' state is part of it.

    Raises ValueError for a step that is not later than the last, or for what is on no mesh yet,
    ImportError where orbax-checkpoint, which does the work, is not installed.

    >>> import gradnerve as gn
    >>> folder = Path(getfixture("tmp_path"))
    >>> model = shard(gn.nn.Linear(4, 2), mesh(data=1))
    >>> save(folder, {"model": model}, step=10)
    >>> restore(folder, {"model": model})
    10
    """
    ocp = _orbax()
    cells = list(_cells("", state))
    arrays = {n: value for n, value, _, place in cells if value is not None and place is not None}
    numbers = {name: value for name, value, *_ in cells if name not in arrays}
    shapes = {name: list(array.shape) for name, array in arrays.items()}
    random = generator().bit_generator.state
    notes = {"shapes": shapes, "numbers": numbers, "random": random}
    with _manager(folder) as manager:
        last = manager.latest_step()
        if last is not None and step <= last:
            raise ValueError(errors.not_a_later_step(step, last, folder))
        args = ocp.args.Composite(
            arrays=ocp.args.StandardSave(arrays), notes=ocp.args.JsonSave(notes)
        )
        manager.save(step, args=args)


def restore(folder: str | Path, state: Any) -> int | None:
    """Take over the last checkpoint of `save`, and return its step; None where there is none.

    `state` is built as that which was saved, and lies where it is to lie: on as many devices and
    processes as there are now, by any rules. A checkpoint that was not completed does not count.
    Every process has to call it. Raises ValueError where names or shapes differ, or for what is on
    no mesh yet, ImportError where orbax-checkpoint is not installed.
    """
    ocp = _orbax()
    with _manager(folder) as manager:
        step = manager.latest_step()
        if step is None:
            return None
        notes = manager.restore(step, args=ocp.args.Composite(notes=ocp.args.JsonRestore())).notes
        saved = {name: tuple(shape) for name, shape in notes["shapes"].items()}
        cells = list(_cells("", state, saved))
        names, known = {name for name, *_ in cells}, saved.keys() | notes["numbers"].keys()
        if names != known:
            raise ValueError(errors.other_checkpoint(folder, sorted(known), sorted(names)))
        wanted = {}
        for name, value, _, place in cells:
            if name in saved and place is not None:
                like = place if value is None else value
                if like.shape != saved[name]:
                    raise ValueError(errors.other_size(folder, name, saved[name], like.shape))
                wanted[name] = _jax().ShapeDtypeStruct(
                    like.shape, like.dtype, sharding=like.sharding
                )
        args = ocp.args.Composite(arrays=ocp.args.StandardRestore(wanted))
        arrays = manager.restore(step, args=args).arrays
    for name, _, put, _ in cells:
        put(arrays[name] if name in arrays else notes["numbers"][name])
    generator().bit_generator.state = notes["random"]
    return int(step)


def _cells(
    path: str, thing: Any, saved: Iterable[str] = ()
) -> Iterator[tuple[str, Any, Callable[[Any], None], Any]]:
    """What a checkpoint has: name, value, how to put another, and an array that lies as it does.

    That is None for a number. What an optimiser has not begun yet, but did have when it was saved,
    has the value None, and is to lie as its parameter does.
    """
    if _is_optimizer(thing):
        for i, group in enumerate(thing.param_groups):
            for name, value in group.items():
                if type(value) in (int, float):
                    where = f"{path}.group.{i}.{name}".lstrip(".")
                    yield where, value, partial(group.__setitem__, name), None
        for i, tensor in enumerate(thing.params):
            where = f"{path}.state.{i}.".lstrip(".")
            data, state = _placed(where, tensor._data), thing.state[tensor]
            begun = dict.fromkeys(n.removeprefix(where) for n in saved if n.startswith(where))
            for name, value in (begun | state).items():
                if getattr(value, "shape", None) == () != tensor.shape:
                    value = np.asarray(value).item()  # a count, which a step has made an array
                place = None if isinstance(value, (int, float)) else data
                if hasattr(value, "shape"):
                    place = _placed(where + name, value)
                yield where + name, value, partial(state.__setitem__, name), place
    elif isinstance(thing, (Module, Tensor)):
        for name, tensor in _named(path, thing):
            array = _placed(name, tensor._data)
            yield name, array, partial(setattr, tensor, "_data"), array
    else:
        for key, value in thing.items() if isinstance(thing, dict) else enumerate(thing):
            yield from _cells(f"{path}.{key}".lstrip("."), value, saved)


def _placed(name: str, array: Any) -> Any:
    if not isinstance(getattr(array, "sharding", None), _jax().sharding.NamedSharding):
        raise ValueError(errors.not_on_a_mesh(name))
    return array


def _orbax() -> Any:
    try:
        import orbax.checkpoint as ocp
    except ImportError as error:
        raise ImportError(errors.not_installed("orbax-checkpoint", "orbax", error)) from None
    return ocp


def _manager(folder: str | Path) -> Any:
    """Orbax's own: it writes beside, waits for all processes, then renames."""
    ocp = _orbax()
    options = ocp.CheckpointManagerOptions(max_to_keep=2)
    return ocp.CheckpointManager(Path(folder).absolute(), options=options)


# --- Several processes ----------------------------------------------------------------------------


class ProcessLost(ConnectionError):
    """Another process could not be reached, or has stopped. The message says which, and why."""


def join(coordinator: str, processes: int, process: int, timeout: int = 60) -> None:
    """Be process number `process` of so many, from 0; to be called before JAX is used.

    All run the same program. Process 0 listens at `coordinator`, "HOST:PORT", and the others find
    it there. Then `mesh()` is over the devices of all. If one dies or hangs the others end within a
    minute, as they do if not all have come after `timeout` seconds: JAX ends them, the last line
    that they print says why, and their exit code is 1.

    Raises ValueError for an address or number that cannot be, RuntimeError where JAX was used
    before, ProcessLost where process 0 is not there after `timeout` seconds, OSError where process
    0 cannot listen.
    """
    host, _, port = coordinator.rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise ValueError(errors.bad_coordinator(coordinator))
    if not 0 <= process < processes:
        raise ValueError(errors.bad_process(process, processes))
    if process == 0:
        _check_free(int(port))
    else:
        _wait_for(host.strip("[]"), int(port), timeout)
    jax = _jax()
    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    end = monotonic() + timeout
    _on_abort(
        lambda: errors.not_all_came(coordinator, process, processes, timeout, end - monotonic())
    )
    try:
        jax.distributed.initialize(
            coordinator, processes, process,
            initialization_timeout=timeout, heartbeat_timeout_seconds=HEARTBEAT,
        )  # fmt: skip
    except RuntimeError as error:
        raise RuntimeError(errors.joined_late(error)) from None
    _on_abort(errors.process_gone)


def _on_abort(reason: Callable[[], str]) -> None:
    """JAX ends a process that has lost another one by abort(), from C++: say why, and exit with 1.

    A handler of Python's own would only run once C++ had returned, which it does not.
    """
    if os.name != "posix":
        return

    def handler(_: int) -> None:
        os.write(2, f"gradnerve: {reason()}\n".encode())
        os._exit(1)

    global _handler
    _handler = ctypes.CFUNCTYPE(None, ctypes.c_int)(handler)
    ctypes.CDLL(None).signal(signal.SIGABRT, _handler)


_handler: Any = None  # nobody else holds it


HEARTBEAT = 20
"""After so many seconds without a sign of life a process is taken for dead."""


def _check_free(port: int) -> None:
    # JAX's own socket would share a port with another program, and both get half of the calls.
    with socket.socket() as probe:
        try:
            probe.bind(("", port))
        except OSError as error:
            raise OSError(error.errno, errors.port_in_use(port, error)) from None


def _wait_for(host: str, port: int, timeout: float) -> None:
    end = monotonic() + timeout
    while True:
        try:
            socket.create_connection((host, port), timeout=min(5, timeout)).close()
            return
        except socket.gaierror:
            raise ProcessLost(errors.no_such_host(host)) from None
        except OSError as error:
            if monotonic() > end:
                raise ProcessLost(errors.no_coordinator(host, port, timeout, error)) from None
        sleep(0.2)


def is_first() -> bool:
    """Whether this process is the one that writes and prints: number 0, or the only one."""
    return _jax().process_index() == 0


def agree(settings: Mapping[str, Any], timeout: int = 60) -> None:
    """Make sure that all processes run with the same settings; every one has to call it.

    Settings are what JSON can say. Raises ValueError, on every process, that names the first one
    that differs, ProcessLost where a process does not come, or came with `leave`.
    """
    jax, state = _jax(), _coordination()
    if not jax.distributed.is_initialized():  # one process agrees with itself
        return
    client, count, number = state.client, state.num_processes, state.process_id
    client.key_value_set(f"gradnerve/{number}", json.dumps({"settings": dict(settings)}))
    first: dict[str, Any] = {}
    for i in range(count):
        try:
            note = json.loads(client.blocking_key_value_get(f"gradnerve/{i}", timeout * 1000))
        except jax.errors.JaxRuntimeError:
            raise ProcessLost(errors.did_not_come(i, timeout)) from None
        if "gone" in note:
            raise ProcessLost(errors.has_left(i, note["gone"]))
        first = first or note["settings"]
        for name, value in first.items():
            for process, other in (i, note["settings"]), (number, settings):
                if other.get(name) != value:
                    raise ValueError(errors.other_settings(name, value, process, other.get(name)))


def _coordination() -> Any:
    """The coordinator's notice board, and this process's number.

    JAX has no public name for it. What it does publish (`multihost_utils`) computes on the devices
    of all, which takes for granted what has to be found out here: that all are there, and agree.
    """
    from jax._src import distributed

    return distributed.global_state


def leave(reason: str) -> None:
    """Tell the others, who are at `agree`, that this process stops, and why."""
    if _jax().distributed.is_initialized():
        state = _coordination()
        with suppress(_jax().errors.JaxRuntimeError):  # that it said something before, or too late
            state.client.key_value_set(
                f"gradnerve/{state.process_id}", json.dumps({"gone": reason})
            )


def lost(error: BaseException) -> str:
    """What to say of an error if it means that another process is gone; "" if it does not."""
    text = str(error)
    signs = ("Gloo", "coordination service", "heartbeat", "NCCL", "UNAVAILABLE")
    if isinstance(error, ProcessLost):
        return text
    together = _jax().distributed.is_initialized()
    return errors.process_gone(text) if together and any(sign in text for sign in signs) else ""
