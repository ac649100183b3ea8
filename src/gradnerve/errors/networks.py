"""Networks, optimisers, files and data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gradnerve.errors.operators import _misfit
from gradnerve.errors.source import nearest


class LayerMismatch(ValueError):
    """A layer got an input that it cannot take. It says its own path in the model."""

    def __init__(self, function: str, complaint: str, shape: Sequence[int]):
        super().__init__(complaint)
        self.function, self.shape = function, tuple(shape)
        self.layer: Any = None  # the module, and its path in the model that was called
        self.layer_path = ""

    def __str__(self) -> str:
        name = f"`{self.layer_path}`" if self.layer_path else self.function
        if self.layer is not None:
            name = f"`{self.layer_path}` ({self.layer!r})" if self.layer_path else repr(self.layer)
        return f"{name} {self.args[0]} (input of shape {self.shape})"


def no_forward(kind: type) -> str:
    hint = nearest("forward", [name for name in vars(kind) if name != "forward"])
    return f"{kind.__name__} has no forward(): define def forward(self, x).{hint}"


def not_a_module(container: str, name: str, value: Any) -> str:
    if isinstance(value, type):
        return (
            f"{container}: {value.__name__} is a class; write {value.__name__}(...) to make a "
            "module of it"
        )
    return f"{container}: part {name} is {type(value).__name__}, not a module"


def state_keys(missing: list[str], unexpected: list[str]) -> str:
    near = {key: nearest(key, unexpected) for key in missing}
    lines = [f"missing {key!r}" + (f".{hint}" if hint else "") for key, hint in near.items()]
    lines += [f"unexpected {key!r}" for key in unexpected]
    return "the state dict does not fit this module: " + "; ".join(lines)


def not_a_state(state: Any) -> str:
    message = "load_state_dict takes arrays by their names, as state_dict() gives them, not {}"
    if isinstance(state, (str, Path)):
        return message.format("a path") + (
            f": load it first, load_state_dict(gradnerve.io.load_weights({str(state)!r}))"
        )
    return message.format(type(state).__name__)


def state_shapes(wrong: dict[str, tuple], of: str = "module") -> str:
    lines = [f"{key!r} is {got} where the {of} has {own}" for key, (got, own) in wrong.items()]
    return f"the state dict does not fit this {of}: " + "; ".join(lines)


def grad_shape(got: tuple[int, ...], expected: tuple[int, ...]) -> str:
    return f"this .grad has shape {got}, but its tensor has shape {expected}"


def write_dtype(operator: str, got: Any, expected: Any) -> str:
    return (
        f"{operator} cannot write a result of {got} into a tensor of {expected} without loss: use "
        f"x = x.astype({str(got)!r}) first"
    )


def loss_shapes(name: str, a: tuple[int, ...], b: tuple[int, ...]) -> str:
    message = f"{name}: input {a} and target {b} differ in shape"
    together = broadcast_shape(a, b)
    if together is not None and together not in (a, b):
        message += f", and would broadcast to {together}"
    if a == (*b, 1):
        return message + ". Write target[..., None] or input[..., 0]."
    if b == (*a, 1):
        return message + ". Write target[..., 0] or input[..., None]."
    return message + ". Reshape one of them; a loss compares element with element."


def broadcast_shape(a: tuple[int, ...], b: tuple[int, ...]) -> tuple[int, ...] | None:
    """The shape that two shapes make together; None where they do not fit."""
    if _misfit((a, b)) is not None:
        return None
    longest = max(len(a), len(b))
    a, b = (1,) * (longest - len(a)) + a, (1,) * (longest - len(b)) + b
    return tuple(m if n == 1 else n for n, m in zip(a, b, strict=True))


def target_shape(
    name: str, x: tuple[int, ...], target: tuple[int, ...], expected: tuple[int, ...]
) -> str:
    message = (
        f"{name}: for an input {x} the target is {expected} class numbers, got shape {target}."
    )
    if target == (*expected, 1):
        return message + " Write target[..., 0]."
    if target == x:
        return message + " Class probabilities, in the shape of the input, must be floating point."
    return message


def no_parameters(optimiser: str, module: Any, attributes: Mapping[str, Any]) -> str:
    import difflib  # here, as most programs never need it

    if module is None:
        return f"{optimiser} got no parameters: pass model.parameters(), or a list of Tensors"
    name = type(module).__name__
    parts = [f"{key} ({type(value).__name__})" for key, value in attributes.items()]
    message = f"{optimiser} got no parameters: {name} has no attributes."
    if parts:
        message = (
            f"{optimiser} got no parameters: of {name}'s attributes ({', '.join(parts)}) none is a "
            "Parameter, or a Module that has one."
        )
    methods = [
        m for m in vars(type(module)) if m not in ("__init__", "forward", "__module__", "__doc__")
    ]
    if "__init__" not in vars(type(module)) and (
        near := difflib.get_close_matches("__init__", methods, 1)
    ):
        message += f" Did you mean __init__ where {name} defines {near[0]}?"
    else:
        message += (
            " Make its weights with nn.Parameter(array) or layers such as nn.Linear, in __init__."
        )
    return message


def not_parameters(optimiser: str, given: Any) -> str:
    if hasattr(given, "parameters"):
        return (
            f"{optimiser} takes parameters, not a module: pass "
            f"{type(given).__name__.lower()}.parameters()"
        )
    if hasattr(given, "backward"):
        return f"{optimiser} takes a list of Tensors: pass [tensor]"
    return f"{optimiser} takes Tensors that require grad, got {type(given).__name__}"


def not_a_leaf(optimiser: str, position: int) -> str:
    return (
        f"{optimiser}: parameter {position} is an operator's result, not a leaf: it is computed "
        "anew in each step, so changing it changes nothing. Pass what it is computed from."
    )


def twice(optimiser: str, position: int) -> str:
    return (
        f"{optimiser}: parameter {position} was given before; it would be updated twice in each "
        "step"
    )


def bad_number(optimiser: str, name: str, value: Any, wanted: str) -> str:
    return f"{optimiser}: {name} must be {wanted}, got {value!r}"


def no_group(optimiser: str, given: Any) -> str:
    got = f"keys {sorted(map(str, given))}" if hasattr(given, "keys") else type(given).__name__
    return (
        f'{optimiser}: a group of parameters is a dict, {{"params": [...], "lr": 0.1}}, with the '
        f"parameters and the options that it has of its own; got {got}"
    )


def not_an_optimizers_state(optimiser: str, given: Any) -> str:
    return (
        f"{optimiser}.load_state_dict takes what an optimiser's state_dict() returns, with "
        f'"state" and "param_groups"; got {type(given).__name__}'
    )


def state_groups(optimiser: str, got: list[int], own: list[int]) -> str:
    return (
        f"the state dict is of another {optimiser}: its groups have {got} parameters, this one's "
        f"{own}. Make the optimiser with the same parameters, in the same groups, then load."
    )


NESTEROV = "SGD: Nesterov's step needs a momentum, and no dampening: SGD(..., momentum=0.9)"

ONE_GROUP = "LBFGS takes all parameters as one vector: there is only one group of them"

NO_CLOSURE = (
    "LBFGS evaluates the loss several times in a step: optimizer.step(closure), where closure() "
    "forgets the gradients, computes the loss, calls backward() and returns the loss"
)


def no_matrix(shape: tuple[int, ...], dtype: Any) -> str:
    return (
        f"Muon moves real matrices, but a parameter has shape {shape} and dtype {dtype}: give "
        "biases, embeddings and such to another optimiser, AdamW for example"
    )


def no_optimizer(schedule: str, given: Any) -> str:
    return f"{schedule} takes an optimiser of gn.optim first, got {type(given).__name__}"


def no_initial_lr(schedule: str) -> str:
    return (
        f"{schedule}: with last_epoch= a run goes on, but the optimiser's groups have no "
        "'initial_lr': load the optimiser's state dict first, or leave last_epoch at -1"
    )


SCHEDULE_IN_JIT = (
    "a schedule's step() has no place in compiled code: call it after the compiled step. The "
    "learning rate is an argument of that, so a new one compiles nothing anew."
)


def no_momentum(optimiser: str) -> str:
    return f"OneCycleLR changes the momentum, but {optimiser} has none: pass cycle_momentum=False"


def cycle_over(steps: int) -> str:
    return f"OneCycleLR has come to its end: it was made for {steps} steps"


def group_values(name: str, got: int, groups: int) -> str:
    return f"{name} has {got} values, but the optimiser has {groups} groups of parameters"


def no_schedules(name: str) -> str:
    return f"{name} needs at least one schedule"


def no_such_schedule(name: str, position: int, given: Any) -> str:
    return (
        f"{name}: number {position} is a {type(given).__name__}; it takes schedules whose step() "
        "wants no metric"
    )


def other_optimizer(name: str, position: int) -> str:
    return f"{name}: schedule {position} is of another optimiser"


def no_model(name: str, given: Any) -> str:
    return f"{name} takes a Module, got {type(given).__name__}"


def norm_not_finite(norm: float) -> str:
    return (
        f"clip_grad_norm_: the norm of the gradients is {norm}, and cannot be brought to another; "
        "gn.debug_mode() tells where it came from"
    )


def vector_size(got: int, own: int) -> str:
    return f"vector_to_parameters: the vector has {got} elements, the parameters {own}"


def not_moved(optimizer: str, data: Any) -> str:
    return (
        f"{optimizer}.update returned nothing, so the parameter was not moved: arrays of type "
        f"{type(data).__name__} never change. Return the new array: w - lr * g"
    )
