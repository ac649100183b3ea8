"""Muon: momentum, with all directions of a weight matrix made equally strong."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, ClassVar

from gradnerve import errors
from gradnerve.backends import array_library, is_complex
from gradnerve.optim.optimizer import Group, Optimizer, Ranges, State
from gradnerve.optim.optimizers import BELOW_ONE, POSITIVE, decayed, mean, zeros

ADJUSTMENTS = (None, "original", "match_rms_adamw")


class Muon(Optimizer):
    """For weight matrices: the nearest orthogonal matrix to the momentum is the step.

    m ← μ m + (1-μ) g; O is near to U Vᵀ, where U S Vᵀ is the momentum; w ← (1 - lr λ) w - lr a O.
    a makes up for the shape (A, B): √max(1, A/B), or 0.2 √max(A, B) for "match_rms_adamw", with
    which AdamW's rates do. Biases and embeddings want another optimiser. O is computed in w's
    dtype; PyTorch does it in bfloat16, so its steps differ by a percent.

    Raises ValueError for a parameter that is no matrix. Source: Jordan et al., "Muon: An optimizer
    for hidden layers in neural networks", 2024.
    """

    ranges: ClassVar[Ranges] = {
        "lr": POSITIVE,
        "momentum": BELOW_ONE,
        "weight_decay": POSITIVE,
        "eps": POSITIVE,
    }

    def __init__(
        self, params: Iterable[Any], lr: float = 1e-3, weight_decay: float = 0.1,
        momentum: float = 0.95, nesterov: bool = True,
        ns_coefficients: tuple[float, float, float] = (3.4445, -4.7750, 2.0315),
        eps: float = 1e-7, ns_steps: int = 5, adjust_lr_fn: str | None = None,
    ):  # fmt: skip
        super().__init__(params, {
            "lr": lr, "weight_decay": weight_decay, "momentum": momentum, "nesterov": nesterov,
            "ns_coefficients": ns_coefficients, "eps": eps, "ns_steps": ns_steps,
            "adjust_lr_fn": adjust_lr_fn,
        })  # fmt: skip

    def check(self, group: Group) -> None:
        """Also: all parameters are matrices."""
        super().check(group)
        for parameter in group["params"]:
            if parameter.ndim != 2 or is_complex(parameter._data):
                raise ValueError(errors.no_matrix(parameter.shape, parameter.dtype))
        if group["adjust_lr_fn"] not in ADJUSTMENTS:
            given = group["adjust_lr_fn"]
            raise ValueError(
                errors.bad_number("Muon", "adjust_lr_fn", given, f"one of {ADJUSTMENTS}")
            )

    def start(self, w: Any, group: Group) -> State:
        """m = 0."""
        return zeros(w, "momentum_buffer")

    def update(self, w: Any, g: Any, state: State, group: Group) -> Any:
        """w ← (1 - lr λ) w - lr a O."""
        mu = group["momentum"]
        m = state["momentum_buffer"] = mean(state["momentum_buffer"], g, mu)
        step = (1 - mu) * g + mu * m if group["nesterov"] else m
        step = orthogonalized(step, group["ns_coefficients"], group["ns_steps"], group["eps"])
        rows, columns = w.shape
        scale = math.sqrt(max(1, rows / columns))
        if group["adjust_lr_fn"] == "match_rms_adamw":
            scale = 0.2 * math.sqrt(max(rows, columns))
        w = decayed(w, group)
        w -= group["lr"] * scale * step
        return w


def orthogonalized(x: Any, coefficients: Any, steps: int, eps: float) -> Any:
    """About U Vᵀ for x = U S Vᵀ, (A, B) -> (A, B): the singular values come to lie near 1.

    X ← a X + (b A + c A²) X with A = X Xᵀ is an odd polynomial of each singular value, here one
    that pulls them quickly to between 0.7 and 1.2 (Newton-Schulz).
    """
    a, b, c = coefficients
    tall = x.shape[0] > x.shape[1]
    x = x.T if tall else x
    library = array_library(x)
    x = x / library.clip(library.sqrt(library.sum(x * x)), eps, math.inf)
    for _ in range(steps):
        gram = x @ x.T
        x = a * x + (b * gram + c * (gram @ gram)) @ x
    return x.T if tall else x
