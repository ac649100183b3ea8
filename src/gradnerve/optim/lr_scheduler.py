"""Schedules: how a learning rate changes, by PyTorch's names and formulas.

Call `scheduler.step()` after each epoch, or each batch, whichever the schedule counts. A compiled
training step takes the learning rate as an argument: the schedule's step stays outside of it.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from gradnerve import errors, graph
from gradnerve.optim.optimizer import Optimizer


class LRScheduler:
    """Sets the learning rates of an optimiser's groups; `factor`, or `get_lr`, says how.

    Most schedules multiply the rates that there are, so that two of them can be used together.
    `last_epoch` other than -1 is for a run that goes on: the groups then need an "initial_lr".
    """

    def __init__(self, optimizer: Optimizer, last_epoch: int = -1):
        if not isinstance(optimizer, Optimizer):
            raise TypeError(errors.no_optimizer(type(self).__name__, optimizer))
        self.optimizer = optimizer
        for group in optimizer.param_groups:
            if last_epoch == -1:
                group.setdefault("initial_lr", group["lr"])
            elif "initial_lr" not in group:
                raise KeyError(errors.no_initial_lr(type(self).__name__))
        self.base_lrs = [group["initial_lr"] for group in optimizer.param_groups]
        self.last_epoch = last_epoch
        self._begin()

    def _begin(self) -> None:
        self._is_initial = True
        self.step()
        self._is_initial = False

    def factor(self, t: int) -> float:
        """What the rates of step t-1 are multiplied by for those of step t."""
        raise NotImplementedError

    def get_lr(self) -> list[float]:
        """The rates of step `last_epoch`, a rate for each group."""
        factor = self.factor(self.last_epoch)
        return [group["lr"] * factor for group in self.optimizer.param_groups]

    def get_last_lr(self) -> list[float]:
        """The rates that the schedule has set last."""
        return self._last_lr

    def step(self) -> None:
        """Set the rates of the next step."""
        if graph.given.get() is not None:
            raise RuntimeError(errors.SCHEDULE_IN_JIT)
        self.last_epoch += 1
        self._set(self.get_lr())

    def _set(self, rates: Sequence[float]) -> None:
        for group, rate in zip(self.optimizer.param_groups, rates, strict=True):
            group["lr"] = rate
        self._last_lr = list(rates)

    def _restart(self) -> None:
        """Begin anew, from the rates at the start."""
        self.last_epoch = -1
        self._set(self.base_lrs)
        self._begin()

    def state_dict(self) -> dict[str, Any]:
        """What has to be kept for a run that goes on: all but the optimiser and functions."""
        return {
            name: [part.state_dict() for part in value] if name == "_schedulers" else value
            for name, value in vars(self).items()
            if name not in ("optimizer", "lr_lambdas")
        }

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on where another schedule stood. (The rates are the optimiser's, and in its state.)"""
        state = dict(state_dict)
        for own, part in zip(
            getattr(self, "_schedulers", ()), state.pop("_schedulers", ()), strict=True
        ):
            own.load_state_dict(part)
        state.pop("lr_lambdas", None)
        vars(self).update(state)


class LambdaLR(LRScheduler):
    """lr = initial rate · λ(t), for a function λ, or one for each group."""

    def __init__(
        self, optimizer: Optimizer,
        lr_lambda: Callable[[int], float] | Sequence[Callable[[int], float]], last_epoch: int = -1,
    ):  # fmt: skip
        self.lr_lambdas = for_each_group("lr_lambda", optimizer, lr_lambda)
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        """initial rate · λ(t)."""
        t = self.last_epoch
        return [base * f(t) for base, f in zip(self.base_lrs, self.lr_lambdas, strict=True)]


class StepLR(LRScheduler):
    """lr ← γ lr after every `step_size` steps.

    >>> import gradnerve as gn
    >>> optimizer = gn.optim.SGD([gn.Tensor([1.0], requires_grad=True)], lr=1.0)
    >>> schedule = StepLR(optimizer, step_size=2, gamma=0.5)
    >>> for _ in range(4):
    ...     schedule.step()
    ...     print(optimizer.lr)
    1.0
    0.5
    0.5
    0.25
    """

    def __init__(
        self, optimizer: Optimizer, step_size: int, gamma: float = 0.1, last_epoch: int = -1
    ):
        self.step_size, self.gamma = step_size, gamma
        super().__init__(optimizer, last_epoch)

    def factor(self, t: int) -> float:
        """γ at every multiple of `step_size`."""
        return self.gamma if t and t % self.step_size == 0 else 1.0


class MultiStepLR(LRScheduler):
    """lr ← γ lr at each of the milestones."""

    def __init__(
        self, optimizer: Optimizer, milestones: Iterable[int], gamma: float = 0.1,
        last_epoch: int = -1,
    ):  # fmt: skip
        self.milestones, self.gamma = Counter(milestones), gamma
        super().__init__(optimizer, last_epoch)

    def factor(self, t: int) -> float:
        """γ at a milestone, γ² at one that is named twice."""
        return self.gamma ** self.milestones[t]


class ConstantLR(LRScheduler):
    """The rate times `factor` for the first `total_iters` steps, and the whole rate after them."""

    def __init__(
        self, optimizer: Optimizer, factor: float = 1 / 3, total_iters: int = 5,
        last_epoch: int = -1,
    ):  # fmt: skip
        check("ConstantLR", "factor", factor, 0 < factor <= 1, "above 0, to 1")
        self.start_factor, self.total_iters = factor, total_iters
        super().__init__(optimizer, last_epoch)

    def factor(self, t: int) -> float:
        """The factor at the start, its inverse at the end."""
        if t == 0:
            return self.start_factor
        return 1 / self.start_factor if t == self.total_iters else 1.0


class LinearLR(LRScheduler):
    """The rate times a factor that changes evenly, over `total_iters` steps: a warm-up."""

    def __init__(
        self, optimizer: Optimizer, start_factor: float = 1 / 3, end_factor: float = 1.0,
        total_iters: int = 5, last_epoch: int = -1,
    ):  # fmt: skip
        check("LinearLR", "start_factor", start_factor, 0 < start_factor <= 1, "above 0, to 1")
        check("LinearLR", "end_factor", end_factor, 0 <= end_factor <= 1, "from 0 to 1")
        self.start_factor, self.end_factor = start_factor, end_factor
        self.total_iters = total_iters
        super().__init__(optimizer, last_epoch)

    def factor(self, t: int) -> float:
        """(a + (b-a) t/T) / (a + (b-a) (t-1)/T)."""
        if t == 0:
            return self.start_factor
        if self._is_initial or t > self.total_iters:
            return 1.0
        rise = self.end_factor - self.start_factor
        return 1.0 + rise / (self.total_iters * self.start_factor + (t - 1) * rise)


class ExponentialLR(LRScheduler):
    """lr ← γ lr after every step."""

    def __init__(self, optimizer: Optimizer, gamma: float, last_epoch: int = -1):
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def factor(self, t: int) -> float:
        """γ."""
        return 1.0 if self._is_initial else self.gamma


class PolynomialLR(LRScheduler):
    """lr = initial rate · (1 - t/T)ᵖ, which is 0 from `total_iters` on."""

    def __init__(
        self, optimizer: Optimizer, total_iters: int = 5, power: float = 1.0, last_epoch: int = -1
    ):
        self.total_iters, self.power = total_iters, power
        super().__init__(optimizer, last_epoch)

    def factor(self, t: int) -> float:
        """((1 - t/T) / (1 - (t-1)/T))ᵖ."""
        if self._is_initial or t > self.total_iters:
            return 1.0
        total = self.total_iters
        return ((1.0 - t / total) / (1.0 - (t - 1) / total)) ** self.power


class CosineAnnealingLR(LRScheduler):
    """From the initial rate to `eta_min` along half a cosine, in T_max steps; then up again.

    lr = η + (initial rate - η) (1 + cos(π t/T))/2. Source: Loshchilov and Hutter, "SGDR", 2017.
    """

    def __init__(
        self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0, last_epoch: int = -1
    ):
        self.T_max, self.eta_min = T_max, eta_min
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        """As a change of the rates that there are, so that other schedules may change them too."""
        t, total, end = self.last_epoch, self.T_max, self.eta_min
        rates = [group["lr"] for group in self.optimizer.param_groups]
        if self._is_initial:
            return rates
        if (t - 1 - total) % (2 * total) == 0:  # from η, which no factor leads away from
            rise = (1 - math.cos(math.pi / total)) / 2
            return [lr + (b - end) * rise for lr, b in zip(rates, self.base_lrs, strict=True)]
        now, before = (1 + math.cos(math.pi * step / total) for step in (t, t - 1))
        return [now / before * (lr - end) + end for lr in rates]


class CosineAnnealingWarmRestarts(LRScheduler):
    """Half a cosine from the initial rate to `eta_min`, again and again.

    The first takes T_0 steps, each of the others `T_mult` times as many as the one before. Source:
    Loshchilov and Hutter, "SGDR: Stochastic Gradient Descent with Warm Restarts", 2017.
    """

    def __init__(
        self, optimizer: Optimizer, T_0: int, T_mult: int = 1, eta_min: float = 0.0,
        last_epoch: int = -1,
    ):  # fmt: skip
        name = "CosineAnnealingWarmRestarts"
        check(name, "T_0", T_0, isinstance(T_0, int) and T_0 > 0, "a whole number from 1")
        check(name, "T_mult", T_mult, isinstance(T_mult, int) and T_mult > 0, "such a number too")
        self.T_0, self.T_mult, self.eta_min = T_0, T_mult, eta_min
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        """η + (initial rate - η) (1 + cos(π t/T))/2, where t counts from the last restart."""
        t, length = self.last_epoch, self.T_0
        while t >= length:
            t, length = t - length, length * self.T_mult
        self.T_cur, self.T_i = t, length
        share = (1 + math.cos(math.pi * t / length)) / 2
        return [self.eta_min + (base - self.eta_min) * share for base in self.base_lrs]


class OneCycleLR(LRScheduler):
    """Up to `max_lr`, and down to almost nothing, over a whole run; a step for each batch.

    From max_lr/div_factor to max_lr in the first `pct_start` of the steps, then down to
    1/final_div_factor of the first rate; with `three_phase` back to the first rate in between. The
    momentum (or β₁) goes the other way. Source: Smith and Topin, "Super-Convergence", 2018.
    """

    def __init__(
        self, optimizer: Optimizer, max_lr: float | Sequence[float],
        total_steps: int | None = None, epochs: int | None = None,
        steps_per_epoch: int | None = None, pct_start: float = 0.3, anneal_strategy: str = "cos",
        cycle_momentum: bool = True, base_momentum: float | Sequence[float] = 0.85,
        max_momentum: float | Sequence[float] = 0.95, div_factor: float = 25.0,
        final_div_factor: float = 1e4, three_phase: bool = False, last_epoch: int = -1,
    ):  # fmt: skip
        name = "OneCycleLR"
        if total_steps is None and epochs is not None and steps_per_epoch is not None:
            total_steps = epochs * steps_per_epoch
        whole = isinstance(total_steps, int) and total_steps > 0
        check(name, "total_steps (or epochs · steps_per_epoch)", total_steps, whole, "from 1")
        check(name, "pct_start", pct_start, 0 <= pct_start <= 1, "from 0 to 1")
        strategies = ("cos", "linear")
        check(name, "anneal_strategy", anneal_strategy, anneal_strategy in strategies, strategies)
        self.total_steps: int = total_steps  # type: ignore[assignment]
        self.anneal_strategy, self.cycle_momentum = anneal_strategy, cycle_momentum
        if not isinstance(optimizer, Optimizer):
            raise TypeError(errors.no_optimizer(name, optimizer))
        if cycle_momentum and not {"momentum", "betas"} & optimizer.defaults.keys():
            raise ValueError(errors.no_momentum(type(optimizer).__name__))
        # Each phase: its last step; rates and momenta at its begin and end, by their names.
        end = self.total_steps - 1
        up = (pct_start * self.total_steps - 1, "initial_lr", "max_lr", "max_momentum",
              "base_momentum")  # fmt: skip
        self.phases = [up, (end, "max_lr", "min_lr", "base_momentum", "max_momentum")]
        if three_phase:
            turn = 2 * pct_start * self.total_steps - 2
            self.phases = [
                up,
                (turn, "max_lr", "initial_lr", "base_momentum", "max_momentum"),
                (end, "initial_lr", "min_lr", "max_momentum", "max_momentum"),
            ]
        if last_epoch == -1:
            highest = for_each_group("max_lr", optimizer, max_lr)
            bases = for_each_group("base_momentum", optimizer, base_momentum)
            tops = for_each_group("max_momentum", optimizer, max_momentum)
            for group, rate, low, high in zip(
                optimizer.param_groups, highest, bases, tops, strict=True
            ):
                first = rate / div_factor
                group.update(initial_lr=first, max_lr=rate, min_lr=first / final_div_factor)
                if cycle_momentum:
                    group.update(base_momentum=low, max_momentum=high)
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        """Where the cycle is; sets the momentum too."""
        t = self.last_epoch
        if t > self.total_steps:
            raise ValueError(errors.cycle_over(self.total_steps))
        begin = 0.0
        phases = iter(self.phases)
        end, *names = next(phases)
        while t > end and (phase := next(phases, None)):
            begin, (end, *names) = end, phase
        share = (t - begin) / (end - begin)
        rates = []
        for group in self.optimizer.param_groups:
            lr_from, lr_to, momentum_from, momentum_to = names
            rates.append(self._between(group[lr_from], group[lr_to], share))
            if self.cycle_momentum:
                momentum = self._between(group[momentum_from], group[momentum_to], share)
                if "betas" in group:
                    group["betas"][0] = momentum
                else:
                    group["momentum"] = momentum
        return rates

    def _between(self, start: float, end: float, share: float) -> float:
        if self.anneal_strategy == "linear":
            return start + (end - start) * share
        return end + (start - end) / 2 * (1 + math.cos(math.pi * share))


class SequentialLR(LRScheduler):
    """Schedules one after the other: the next begins at each milestone.

    >>> import gradnerve as gn
    >>> optimizer = gn.optim.SGD([gn.Tensor([1.0], requires_grad=True)], lr=1.0)
    >>> warm_up = LinearLR(optimizer, start_factor=0.5, total_iters=2)
    >>> decay = ExponentialLR(optimizer, gamma=0.9)
    >>> schedule = SequentialLR(optimizer, [warm_up, decay], milestones=[2])
    >>> for _ in range(4):
    ...     print(round(optimizer.lr, 4))
    ...     schedule.step()
    0.5
    0.75
    1.0
    0.9
    """

    def __init__(
        self, optimizer: Optimizer, schedulers: Sequence[LRScheduler], milestones: Sequence[int],
        last_epoch: int = -1,
    ):  # fmt: skip
        check_schedulers("SequentialLR", optimizer, schedulers)
        count = len(schedulers) - 1
        right = len(milestones) == count
        check("SequentialLR", "milestones", milestones, right, f"{count} of them")
        self._schedulers, self._milestones = list(schedulers), list(milestones)
        self.optimizer, self.last_epoch = optimizer, last_epoch + 1
        self._schedulers[bisect_right(self._milestones, 0)]._restart()
        self._last_lr = [group["lr"] for group in optimizer.param_groups]

    def step(self) -> None:
        """A step of the schedule whose turn it is."""
        self.last_epoch += 1
        i = bisect_right(self._milestones, self.last_epoch)
        if i > 0 and self._milestones[i - 1] == self.last_epoch:
            self._schedulers[i]._restart()
        else:
            self._schedulers[i].step()
        self._last_lr = self._schedulers[i].get_last_lr()

    def _restart(self) -> None:
        self.last_epoch = 0
        self._schedulers[bisect_right(self._milestones, 0)]._restart()
        self._last_lr = [group["lr"] for group in self.optimizer.param_groups]


class ChainedScheduler(LRScheduler):
    """Several schedules at once: each changes what the ones before have set."""

    def __init__(self, schedulers: Sequence[LRScheduler], optimizer: Optimizer | None = None):
        first = optimizer or getattr(next(iter(schedulers), None), "optimizer", None)
        check_schedulers("ChainedScheduler", first, schedulers)
        self._schedulers, self.optimizer = list(schedulers), first  # type: ignore[assignment]
        self._last_lr = [group["lr"] for group in self.optimizer.param_groups]

    def step(self) -> None:
        """A step of each."""
        for scheduler in self._schedulers:
            scheduler.step()
        self._last_lr = [group["lr"] for group in self.optimizer.param_groups]

    def _restart(self) -> None:
        for scheduler in self._schedulers:
            scheduler._restart()


class ReduceLROnPlateau(LRScheduler):
    """lr ← factor · lr when a metric has not got better for more than `patience` steps.

    Better is less ("min") or more ("max"), by a share `threshold` of the best so far ("rel") or by
    that much ("abs"). After a reduction, `cooldown` steps are not counted.

    >>> import gradnerve as gn
    >>> optimizer = gn.optim.SGD([gn.Tensor([1.0], requires_grad=True)], lr=1.0)
    >>> schedule = ReduceLROnPlateau(optimizer, patience=1)
    >>> for loss in (3.0, 2.0, 2.0, 2.0):
    ...     schedule.step(loss)
    >>> optimizer.lr
    0.1
    """

    def __init__(
        self, optimizer: Optimizer, mode: str = "min", factor: float = 0.1, patience: int = 10,
        threshold: float = 1e-4, threshold_mode: str = "rel", cooldown: int = 0,
        min_lr: float | Sequence[float] = 0.0, eps: float = 1e-8,
    ):  # fmt: skip
        name = "ReduceLROnPlateau"
        if not isinstance(optimizer, Optimizer):
            raise TypeError(errors.no_optimizer(name, optimizer))
        check(name, "factor", factor, factor < 1, "below 1")
        check(name, "mode", mode, mode in ("min", "max"), '"min" or "max"')
        modes = ("rel", "abs")
        check(name, "threshold_mode", threshold_mode, threshold_mode in modes, '"rel" or "abs"')
        self.optimizer, self.mode, self.factor_ = optimizer, mode, factor
        self.patience, self.cooldown, self.eps = patience, cooldown, eps
        self.threshold, self.threshold_mode = threshold, threshold_mode
        self.min_lrs = for_each_group("min_lr", optimizer, min_lr)
        self.best = math.inf if mode == "min" else -math.inf
        self.cooldown_counter = self.num_bad_epochs = self.last_epoch = 0
        self._last_lr = [group["lr"] for group in optimizer.param_groups]

    def step(self, metrics: Any) -> None:  # type: ignore[override]
        """Take note of a metric, and perhaps reduce the rates."""
        self.last_epoch += 1
        current = float(metrics)
        if self._is_better(current):
            self.best, self.num_bad_epochs = current, 0
        else:
            self.num_bad_epochs += 1
        if self.cooldown_counter > 0:
            self.cooldown_counter -= 1
            self.num_bad_epochs = 0
        if self.num_bad_epochs > self.patience:
            for group, least in zip(self.optimizer.param_groups, self.min_lrs, strict=True):
                new = max(group["lr"] * self.factor_, least)
                if group["lr"] - new > self.eps:
                    group["lr"] = new
            self.cooldown_counter, self.num_bad_epochs = self.cooldown, 0
        self._last_lr = [group["lr"] for group in self.optimizer.param_groups]

    def _is_better(self, value: float) -> bool:
        sign = 1 if self.mode == "min" else -1
        if self.threshold_mode == "rel":
            return sign * value < sign * self.best * (1 - sign * self.threshold)
        return sign * value < sign * self.best - self.threshold


def for_each_group(name: str, optimizer: Optimizer, value: Any) -> list[Any]:
    """One value for each group: the same for all, or those of a list."""
    count = len(getattr(optimizer, "param_groups", ()))
    if not isinstance(value, (list, tuple)):
        return [value] * count
    if len(value) != count:
        raise ValueError(errors.group_values(name, len(value), count))
    return list(value)


def check(schedule: str, name: str, value: Any, holds: bool, wanted: Any) -> None:
    """Raise ValueError unless it holds."""
    if not holds:
        raise ValueError(errors.bad_number(schedule, name, value, wanted))


def check_schedulers(name: str, optimizer: Any, schedulers: Sequence[Any]) -> None:
    """Schedules that can be put together: of one optimiser, and none that wants a metric."""
    if not schedulers:
        raise ValueError(errors.no_schedules(name))
    for i, scheduler in enumerate(schedulers):
        if isinstance(scheduler, ReduceLROnPlateau) or not isinstance(scheduler, LRScheduler):
            raise TypeError(errors.no_such_schedule(name, i, scheduler))
        if scheduler.optimizer is not optimizer:
            raise ValueError(errors.other_optimizer(name, i))
