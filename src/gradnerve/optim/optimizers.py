"""The optimisers whose step looks at each element by itself: a formula each, on plain arrays.

Arrays are written in place where they can be (`m *= β`), and put into the state anew, as JAX's
cannot be. Defaults, names and results are PyTorch's.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, ClassVar

from gradnerve import errors
from gradnerve.backends import array_library
from gradnerve.optim.optimizer import Group, Optimizer, Ranges, State

POSITIVE = (0, math.inf)
BELOW_ONE = (0, 1)


def descent(w: Any, g: Any, group: Group) -> Any:
    """Where to go against: the gradient, of -f where f is to be maximized, plus λ w.

    λ w is the gradient of λ/2 ‖w‖²: weight decay as a penalty.
    """
    if group["maximize"]:
        g = -g
    if group["weight_decay"]:
        g = g + group["weight_decay"] * w
    return g


def decayed(w: Any, group: Group) -> Any:
    """w after weight decay by itself, as AdamW has it: (1 - lr λ) w, in place where it can be."""
    if group["weight_decay"]:
        w *= 1 - group["lr"] * group["weight_decay"]
    return w


def mean(old: Any, new: Any, beta: float) -> Any:
    """A running mean: β old + (1-β) new, in place where it can be."""
    old *= beta
    old += (1 - beta) * new
    return old


def zeros(w: Any, *names: str) -> State:
    """A state of arrays like w."""
    return {name: array_library(w).zeros_like(w) for name in names}


class SGD(Optimizer):
    """Stochastic gradient descent, with momentum: v ← μ v + (1-τ) g; w ← w - lr v.

    τ is `dampening`; v begins with the first gradient. With `nesterov` the step is g + μ v.
    `weight_decay` adds λ w to the gradient, `maximize` climbs. Source: Sutskever et al., "On the
    importance of initialization and momentum in deep learning", 2013, in PyTorch's form.

    >>> import gradnerve as gn
    >>> w = gn.Tensor([1.0], requires_grad=True)
    >>> optimizer = SGD([w], lr=0.1)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> w.data
    array([0.8])
    """

    ranges: ClassVar[Ranges] = {"lr": POSITIVE, "momentum": POSITIVE, "weight_decay": POSITIVE}
    elementwise = True

    def __init__(
        self, params: Iterable[Any], lr: float = 1e-3, momentum: float = 0.0,
        dampening: float = 0.0, weight_decay: float = 0.0, nesterov: bool = False, *,
        maximize: bool = False,
    ):  # fmt: skip
        super().__init__(params, {
            "lr": lr, "momentum": momentum, "dampening": dampening, "weight_decay": weight_decay,
            "nesterov": nesterov, "maximize": maximize,
        })  # fmt: skip

    def check(self, group: Group) -> None:
        """Also: Nesterov's step needs a momentum, undampened."""
        super().check(group)
        if group["nesterov"] and (group["momentum"] <= 0 or group["dampening"] != 0):
            raise ValueError(errors.NESTEROV)

    def joins(self, group: Group) -> bool:
        """With momentum: two lines are not worth it."""
        return bool(group["momentum"])

    def start(self, w: Any, group: Group) -> State:
        """v = 0, from which the first step makes the gradient, unless it is dampened."""
        if not group["momentum"]:
            return {}
        return {"momentum_buffer": None} if group["dampening"] else zeros(w, "momentum_buffer")

    def update(self, w: Any, g: Any, state: State, group: Group) -> Any:
        """w ← w - lr v."""
        if group["maximize"] or group["weight_decay"]:
            g = descent(w, g, group)
        if momentum := group["momentum"]:
            v = state.get("momentum_buffer")
            if v is None:
                v = array_library(g).asarray(g, copy=True)
            else:
                v *= momentum
                v += (1 - group["dampening"]) * g if group["dampening"] else g
            state["momentum_buffer"] = v
            g = g + momentum * v if group["nesterov"] else v
        w -= group["lr"] * g
        return w


class Adam(Optimizer):
    """Steps of even size: the gradient's running mean over the root of its running square.

    m ← β₁ m + (1-β₁) g; v ← β₂ v + (1-β₂) g²; w ← w - lr m̂ / (√v̂ + ε), where m̂ = m/(1-β₁ᵗ) and
    v̂ = v/(1-β₂ᵗ) make up for the start at 0. With `amsgrad` the greatest v so far takes the place
    of v. Source: Kingma and Ba, "Adam", 2015, Algorithm 1, with PyTorch's defaults; Reddi et al.,
    "On the Convergence of Adam and Beyond", 2018.

    >>> import gradnerve as gn
    >>> w = gn.Tensor([1.0], requires_grad=True)
    >>> optimizer = Adam([w], lr=0.1)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> w.data.round(6)
    array([0.9])
    """

    ranges: ClassVar[Ranges] = {
        "lr": POSITIVE,
        "betas": BELOW_ONE,
        "eps": POSITIVE,
        "weight_decay": POSITIVE,
    }
    elementwise = True

    def __init__(
        self, params: Iterable[Any], lr: float = 1e-3, betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8, weight_decay: float = 0.0, amsgrad: bool = False, *,
        maximize: bool = False, decoupled_weight_decay: bool = False,
    ):  # fmt: skip
        super().__init__(params, {
            "lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay,
            "amsgrad": amsgrad, "maximize": maximize,
            "decoupled_weight_decay": decoupled_weight_decay,
        })  # fmt: skip

    def start(self, w: Any, group: Group) -> State:
        """m = v = 0."""
        greatest = ("max_exp_avg_sq",) if group["amsgrad"] else ()
        return {"step": 0, **zeros(w, "exp_avg", "exp_avg_sq", *greatest)}

    def update(self, w: Any, g: Any, state: State, group: Group) -> Any:
        """w ← w - lr m̂ / (√v̂ + ε)."""
        (beta1, beta2), library = group["betas"], array_library(w)
        w, g = _decay(w, g, group)
        t = state["step"] = state["step"] + 1
        m = state["exp_avg"] = mean(state["exp_avg"], g, beta1)
        v = state["exp_avg_sq"] = mean(state["exp_avg_sq"], g * g, beta2)
        if group["amsgrad"]:
            v = state["max_exp_avg_sq"] = library.maximum(state["max_exp_avg_sq"], v)
        # m̂ / (√v̂ + ε) = c/(1-β₁ᵗ) · m / (√v + cε) with c = √(1-β₂ᵗ): two passes fewer
        c = (1 - beta2**t) ** 0.5
        root = library.sqrt(v)
        root += c * group["eps"]
        step = m / root
        step *= group["lr"] * c / (1 - beta1**t)
        w -= step
        return w


def _decay(w: Any, g: Any, group: Group) -> tuple[Any, Any]:
    """w after weight decay, where that is apart from the gradient; and where to go against."""
    if group["decoupled_weight_decay"]:
        return decayed(w, group), -g if group["maximize"] else g
    return w, descent(w, g, group)


class AdamW(Adam):
    """Adam, with weight decay apart from the gradient: w ← (1 - lr λ) w, then Adam's step.

    Source: Loshchilov and Hutter, "Decoupled Weight Decay Regularization", 2019.
    """

    def __init__(
        self, params: Iterable[Any], lr: float = 1e-3, betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8, weight_decay: float = 1e-2, amsgrad: bool = False, *,
        maximize: bool = False,
    ):  # fmt: skip
        super().__init__(
            params, lr, betas, eps, weight_decay, amsgrad, maximize=maximize,
            decoupled_weight_decay=True,
        )  # fmt: skip


class Adamax(Optimizer):
    """Adam with the greatest recent gradient for a scale: u ← max(β₂ u, |g| + ε).

    w ← w - lr/(1-β₁ᵗ) m / u. Source: Kingma and Ba, "Adam", 2015, Algorithm 2.
    """

    ranges: ClassVar[Ranges] = Adam.ranges
    elementwise = True

    def __init__(
        self, params: Iterable[Any], lr: float = 2e-3, betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8, weight_decay: float = 0.0, *, maximize: bool = False,
    ):  # fmt: skip
        super().__init__(params, {
            "lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay,
            "maximize": maximize,
        })  # fmt: skip

    def start(self, w: Any, group: Group) -> State:
        """m = u = 0."""
        return {"step": 0, **zeros(w, "exp_avg", "exp_inf")}

    def update(self, w: Any, g: Any, state: State, group: Group) -> Any:
        """w ← w - lr/(1-β₁ᵗ) m / u."""
        (beta1, beta2), library = group["betas"], array_library(w)
        g = descent(w, g, group)
        t = state["step"] = state["step"] + 1
        m = state["exp_avg"] = mean(state["exp_avg"], g, beta1)
        u = library.maximum(state["exp_inf"] * beta2, library.abs(g) + group["eps"])
        state["exp_inf"] = u
        w -= group["lr"] / (1 - beta1**t) * (m / u)
        return w


class NAdam(Optimizer):
    """Adam with Nesterov's momentum, which looks a step ahead.

    μₜ = β₁ (1 - ½ 0.96^(t ψ)), where ψ is `momentum_decay`, and
    w ← w - lr ((1-μₜ)/(1-Πμ) g + μₜ₊₁/(1-Πμ μₜ₊₁) m) / (√v̂ + ε).
    Source: Dozat, "Incorporating Nesterov Momentum into Adam", 2016.
    """

    ranges: ClassVar[Ranges] = {**Adam.ranges, "momentum_decay": POSITIVE}
    elementwise = True

    def __init__(
        self, params: Iterable[Any], lr: float = 2e-3, betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8, weight_decay: float = 0.0, momentum_decay: float = 4e-3,
        decoupled_weight_decay: bool = False, *, maximize: bool = False,
    ):  # fmt: skip
        super().__init__(params, {
            "lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay,
            "momentum_decay": momentum_decay, "decoupled_weight_decay": decoupled_weight_decay,
            "maximize": maximize,
        })  # fmt: skip

    def start(self, w: Any, group: Group) -> State:
        """m = v = 0, and the product of no μ."""
        return {"step": 0, "mu_product": 1.0, **zeros(w, "exp_avg", "exp_avg_sq")}

    def update(self, w: Any, g: Any, state: State, group: Group) -> Any:
        """w ← w - lr (what g has now, and what m will have) / (√v̂ + ε)."""
        (beta1, beta2), psi, lr = group["betas"], group["momentum_decay"], group["lr"]
        w, g = _decay(w, g, group)
        t = state["step"] = state["step"] + 1
        mu, ahead = (beta1 * (1 - 0.5 * 0.96 ** (step * psi)) for step in (t, t + 1))
        product = state["mu_product"] = state["mu_product"] * mu
        m = state["exp_avg"] = mean(state["exp_avg"], g, beta1)
        v = state["exp_avg_sq"] = mean(state["exp_avg_sq"], g * g, beta2)
        root = array_library(w).sqrt(v / (1 - beta2**t))
        root += group["eps"]
        step = (lr * (1 - mu) / (1 - product)) * g
        step += (lr * ahead / (1 - product * ahead)) * m
        w -= step / root
        return w


class RAdam(Optimizer):
    """Adam that waits with its scale until that is known well enough.

    With ρ∞ = 2/(1-β₂) - 1 and ρₜ = ρ∞ - 2t β₂ᵗ/(1-β₂ᵗ): w ← w - lr m̂ while ρₜ ≤ 5, and then
    w ← w - lr r m̂ √(1-β₂ᵗ) / (√v + ε), with r² = (ρₜ-4)(ρₜ-2)ρ∞ / ((ρ∞-4)(ρ∞-2)ρₜ).
    Source: Liu et al., "On the Variance of the Adaptive Learning Rate and Beyond", 2020.
    """

    ranges: ClassVar[Ranges] = Adam.ranges
    elementwise = True

    def __init__(
        self, params: Iterable[Any], lr: float = 1e-3, betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8, weight_decay: float = 0.0, decoupled_weight_decay: bool = False, *,
        maximize: bool = False,
    ):  # fmt: skip
        super().__init__(params, {
            "lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay,
            "decoupled_weight_decay": decoupled_weight_decay, "maximize": maximize,
        })  # fmt: skip

    def start(self, w: Any, group: Group) -> State:
        """m = v = 0."""
        return {"step": 0, **zeros(w, "exp_avg", "exp_avg_sq")}

    def update(self, w: Any, g: Any, state: State, group: Group) -> Any:
        """w ← w - lr m̂, rectified once ρₜ is more than 5."""
        (beta1, beta2), library = group["betas"], array_library(w)
        w, g = _decay(w, g, group)
        t = state["step"] = state["step"] + 1
        m = state["exp_avg"] = mean(state["exp_avg"], g, beta1)
        v = state["exp_avg_sq"] = mean(state["exp_avg_sq"], g * g, beta2)
        step = group["lr"] / (1 - beta1**t) * m
        limit = 2 / (1 - beta2) - 1
        length = limit - 2 * t * beta2**t / (1 - beta2**t)
        known = length > 5
        if known is False:
            w -= step
            return w
        ratio = (length - 4) * (length - 2) * limit / ((limit - 4) * (limit - 2) * length)
        if known is not True:  # in compiled code, where t has no value
            ratio = library.where(known, ratio, 1.0)
        scaled = (ratio * (1 - beta2**t)) ** 0.5 * step / (library.sqrt(v) + group["eps"])
        w -= scaled if known is True else library.where(known, scaled, step)
        return w


class RMSprop(Optimizer):
    """The gradient over the root of its running square: v ← α v + (1-α) g²; w ← w - lr g/(√v + ε).

    With `centered` the square's mean is that of the gradient's deviation from its own mean; with
    `momentum` the steps are summed: b ← μ b + g/(√v + ε). Source: Tieleman and Hinton, Lecture 6.5
    of "Neural Networks for Machine Learning", 2012.
    """

    ranges: ClassVar[Ranges] = {
        "lr": POSITIVE, "alpha": POSITIVE, "eps": POSITIVE, "weight_decay": POSITIVE,
        "momentum": POSITIVE,
    }  # fmt: skip
    elementwise = True

    def __init__(
        self, params: Iterable[Any], lr: float = 1e-2, alpha: float = 0.99, eps: float = 1e-8,
        weight_decay: float = 0.0, momentum: float = 0.0, centered: bool = False, *,
        maximize: bool = False,
    ):  # fmt: skip
        super().__init__(params, {
            "lr": lr, "alpha": alpha, "eps": eps, "weight_decay": weight_decay,
            "momentum": momentum, "centered": centered, "maximize": maximize,
        })  # fmt: skip

    def start(self, w: Any, group: Group) -> State:
        """All means are 0."""
        names = ["square_avg"]
        names += ["momentum_buffer"] if group["momentum"] else []
        names += ["grad_avg"] if group["centered"] else []
        return {"step": 0, **zeros(w, *names)}

    def update(self, w: Any, g: Any, state: State, group: Group) -> Any:
        """w ← w - lr g / (√v + ε)."""
        alpha = group["alpha"]
        g = descent(w, g, group)
        state["step"] = state["step"] + 1
        v = state["square_avg"] = mean(state["square_avg"], g * g, alpha)
        if group["centered"]:
            center = state["grad_avg"] = mean(state["grad_avg"], g, alpha)
            v = v - center * center
        root = array_library(w).sqrt(v)
        root += group["eps"]
        step = g / root
        if group["momentum"]:
            total = state["momentum_buffer"]
            total *= group["momentum"]
            total += step
            step = state["momentum_buffer"] = total
        w -= group["lr"] * step
        return w


class Adagrad(Optimizer):
    """The gradient over the root of all its squares: G ← G + g²; w ← w - lr/(1+(t-1)η) g/(√G + ε).

    η is `lr_decay`. Source: Duchi et al., "Adaptive Subgradient Methods for Online Learning and
    Stochastic Optimization", 2011.
    """

    ranges: ClassVar[Ranges] = {
        "lr": POSITIVE, "lr_decay": POSITIVE, "weight_decay": POSITIVE,
        "initial_accumulator_value": POSITIVE, "eps": POSITIVE,
    }  # fmt: skip
    elementwise = True

    def __init__(
        self, params: Iterable[Any], lr: float = 1e-2, lr_decay: float = 0.0,
        weight_decay: float = 0.0, initial_accumulator_value: float = 0.0, eps: float = 1e-10, *,
        maximize: bool = False,
    ):  # fmt: skip
        super().__init__(params, {
            "lr": lr, "lr_decay": lr_decay, "weight_decay": weight_decay,
            "initial_accumulator_value": initial_accumulator_value, "eps": eps,
            "maximize": maximize,
        })  # fmt: skip

    def start(self, w: Any, group: Group) -> State:
        """G is `initial_accumulator_value`."""
        first = group["initial_accumulator_value"]
        return {"step": 0, "sum": array_library(w).full_like(w, first)}

    def update(self, w: Any, g: Any, state: State, group: Group) -> Any:
        """w ← w - lr/(1+(t-1)η) g / (√G + ε)."""
        g = descent(w, g, group)
        t = state["step"] = state["step"] + 1
        total = state["sum"]
        total += g * g
        state["sum"] = total
        root = array_library(w).sqrt(total)
        root += group["eps"]
        w -= group["lr"] / (1 + (t - 1) * group["lr_decay"]) * (g / root)
        return w


class Adadelta(Optimizer):
    """Steps in the parameter's own units: Δ = √(u + ε)/√(v + ε) g; w ← w - lr Δ.

    v is the running mean of g², u that of Δ², both by ρ. Source: Zeiler, "ADADELTA", 2012.
    """

    ranges: ClassVar[Ranges] = {
        "lr": POSITIVE,
        "rho": BELOW_ONE,
        "eps": POSITIVE,
        "weight_decay": POSITIVE,
    }
    elementwise = True

    def __init__(
        self, params: Iterable[Any], lr: float = 1.0, rho: float = 0.9, eps: float = 1e-6,
        weight_decay: float = 0.0, *, maximize: bool = False,
    ):  # fmt: skip
        super().__init__(params, {
            "lr": lr, "rho": rho, "eps": eps, "weight_decay": weight_decay, "maximize": maximize,
        })  # fmt: skip

    def start(self, w: Any, group: Group) -> State:
        """u = v = 0."""
        return {"step": 0, **zeros(w, "square_avg", "acc_delta")}

    def update(self, w: Any, g: Any, state: State, group: Group) -> Any:
        """w ← w - lr √(u + ε)/√(v + ε) g."""
        rho, eps = group["rho"], group["eps"]
        g = descent(w, g, group)
        state["step"] = state["step"] + 1
        v = state["square_avg"] = mean(state["square_avg"], g * g, rho)
        delta = array_library(w).sqrt((state["acc_delta"] + eps) / (v + eps))
        delta *= g
        state["acc_delta"] = mean(state["acc_delta"], delta * delta, rho)
        w -= group["lr"] * delta
        return w


class Rprop(Optimizer):
    """Steps by the gradient's sign alone, for whole batches.

    A step grows by η⁺ where the sign stayed, and shrinks by η⁻ where it changed; there the
    parameter stays where it is for once. Source: Riedmiller and Braun, "A Direct Adaptive Method
    for Faster Backpropagation Learning: the RPROP Algorithm", 1993.
    """

    ranges: ClassVar[Ranges] = {"lr": POSITIVE, "etas": POSITIVE, "step_sizes": POSITIVE}
    elementwise = True

    def __init__(
        self, params: Iterable[Any], lr: float = 1e-2, etas: tuple[float, float] = (0.5, 1.2),
        step_sizes: tuple[float, float] = (1e-6, 50), *, maximize: bool = False,
    ):  # fmt: skip
        super().__init__(params, {
            "lr": lr, "etas": etas, "step_sizes": step_sizes, "maximize": maximize,
        })  # fmt: skip

    def check(self, group: Group) -> None:
        """Also: η⁻ is below 1, η⁺ above."""
        super().check(group)
        shrink, grow = group["etas"]
        if not 0 < shrink < 1 < grow:
            wanted = "a number from 0 to 1, and one above 1"
            raise ValueError(errors.bad_number("Rprop", "etas", group["etas"], wanted))

    def start(self, w: Any, group: Group) -> State:
        """No gradient yet, and steps of lr."""
        sizes = array_library(w).full_like(w, group["lr"])
        return {"step": 0, **zeros(w, "prev"), "step_size": sizes}

    def update(self, w: Any, g: Any, state: State, group: Group) -> Any:
        """w ← w - (step size) sign(g)."""
        (shrink, grow), (low, high), library = group["etas"], group["step_sizes"], array_library(w)
        g = -g if group["maximize"] else g
        state["step"] = state["step"] + 1
        same = g * state["prev"]
        factor = library.where(same > 0, grow, library.where(same < 0, shrink, 1.0))
        size = library.clip(state["step_size"] * library.astype(factor, w.dtype), low, high)
        g = library.where(same < 0, library.zeros_like(g), g)
        state["step_size"], state["prev"] = size, g
        w -= size * library.sign(g)
        return w


class Lion(Optimizer):
    """Steps by the sign of a mean: w ← (1 - lr λ) w - lr sign(β₁ m + (1-β₁) g), m by β₂ after that.

    Every step is as long as lr says: choose lr a third to a tenth of AdamW's, and λ as much larger.
    (PyTorch has no Lion.) Source: Chen et al., "Symbolic Discovery of Optimization Algorithms",
    2023, Algorithm 2.

    >>> import gradnerve as gn
    >>> w = gn.Tensor([1.0], requires_grad=True)
    >>> optimizer = Lion([w], lr=0.25)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> w.data
    array([0.75])
    """

    ranges: ClassVar[Ranges] = {"lr": POSITIVE, "betas": BELOW_ONE, "weight_decay": POSITIVE}
    elementwise = True

    def __init__(
        self, params: Iterable[Any], lr: float = 1e-4, betas: tuple[float, float] = (0.9, 0.99),
        weight_decay: float = 0.0, *, maximize: bool = False,
    ):  # fmt: skip
        super().__init__(params, {
            "lr": lr, "betas": betas, "weight_decay": weight_decay, "maximize": maximize,
        })  # fmt: skip

    def start(self, w: Any, group: Group) -> State:
        """m = 0."""
        return zeros(w, "exp_avg")

    def update(self, w: Any, g: Any, state: State, group: Group) -> Any:
        """w ← w - lr sign(β₁ m + (1-β₁) g)."""
        beta1, beta2 = group["betas"]
        w, g = decayed(w, group), -g if group["maximize"] else g
        m = state["exp_avg"]
        w -= group["lr"] * array_library(w).sign(beta1 * m + (1 - beta1) * g)
        state["exp_avg"] = mean(m, g, beta2)
        return w
