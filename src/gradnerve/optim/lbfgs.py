"""L-BFGS: Newton's method, with a Hessian guessed from the last gradients."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar

from gradnerve import errors, graph, writing
from gradnerve.backends import array_library
from gradnerve.optim.optimizer import Group, Optimizer, Ranges, beside
from gradnerve.optim.optimizers import POSITIVE
from gradnerve.tensor import Tensor

Point = tuple[float, float, Any, float]
"""On a line: how far along it, the function there, its gradient, its slope along the line."""


class LBFGS(Optimizer):
    """Minimizes a function of all parameters: up to `max_iter` iterations in each step.

    `step(closure)` calls the closure, which computes the loss and its gradients, as often as it
    needs, up to `max_eval` times. With `line_search_fn="strong_wolfe"` each iteration looks for a
    point that is much better than the last; without, it goes lr. For smooth functions of a few
    thousand parameters that are computed in full, not from batches. Under `gn.jit` compile the
    closure's own function, not the step.

    Source: Liu and Nocedal, "On the limited memory BFGS method for large scale optimization", 1989;
    Nocedal and Wright, "Numerical Optimization", 2006, algorithms 3.5, 3.6 and 7.4.

    >>> import gradnerve as gn
    >>> w = gn.Tensor([3.0, -2.0], requires_grad=True)
    >>> optimizer = LBFGS([w], line_search_fn="strong_wolfe")
    >>> def closure():
    ...     optimizer.zero_grad()
    ...     loss = ((w - 1) ** 4).sum()
    ...     loss.backward()
    ...     return loss
    >>> for _ in range(3):
    ...     loss = optimizer.step(closure)
    >>> bool(loss.item() < 1e-8)
    True
    """

    ranges: ClassVar[Ranges] = {
        "lr": POSITIVE,
        "tolerance_grad": POSITIVE,
        "tolerance_change": POSITIVE,
    }

    def __init__(
        self, params: Iterable[Any], lr: float = 1.0, max_iter: int = 20,
        max_eval: int | None = None, tolerance_grad: float = 1e-7, tolerance_change: float = 1e-9,
        history_size: int = 100, line_search_fn: str | None = None,
    ):  # fmt: skip
        if line_search_fn not in (None, "strong_wolfe"):
            wanted = 'None or "strong_wolfe"'
            raise ValueError(errors.bad_number("LBFGS", "line_search_fn", line_search_fn, wanted))
        super().__init__(params, {
            "lr": lr, "max_iter": max_iter,
            "max_eval": max_iter * 5 // 4 if max_eval is None else max_eval,
            "tolerance_grad": tolerance_grad, "tolerance_change": tolerance_change,
            "history_size": history_size, "line_search_fn": line_search_fn,
        })  # fmt: skip

    def add_param_group(self, param_group: Mapping[str, Any]) -> None:
        """Only one group, as all parameters are one vector."""
        if self.param_groups:
            raise ValueError(errors.ONE_GROUP)
        super().add_param_group(param_group)

    # The state is that of all parameters together, kept with the first one, as in PyTorch.

    def _numbers(self, group: Group) -> dict[str, type]:
        return {"func_evals": int, "n_iter": int, "t": float, "H_diag": float, "prev_loss": float}

    def _shape_of_state(self, parameter: Tensor) -> tuple[int, ...]:
        return (sum(p.size for p in self.params),)

    def _taken_over(self, value: Any, number: type | None, parameter: Tensor) -> Any:
        if isinstance(value, (list, tuple)):
            return [self._taken_over(part, None, parameter) for part in value]
        if getattr(value, "shape", None) == ():
            return float(value)
        return super()._taken_over(value, number, parameter)

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Some iterations; returns the loss before the first of them."""
        if closure is None:
            raise TypeError(errors.NO_CLOSURE)
        group, state = self.param_groups[0], self._states[0][0]
        small, lr = group["tolerance_change"], group["lr"]

        def evaluate() -> tuple[float, Any]:
            state["func_evals"] = state.get("func_evals", 0) + 1
            return float(closure()), self._gradient()

        def at(t: float) -> Point:
            """The function at x + t d."""
            self._move_to(x + t * d)
            f, g = evaluate()
            return t, f, g, dot(g, d)

        first = closure()
        state["func_evals"] = state.get("func_evals", 0) + 1
        loss, g, evaluations = float(first), self._gradient(), 1
        library = array_library(g)
        if float(library.max(library.abs(g))) <= group["tolerance_grad"]:
            return first
        x = library.concat([library.reshape(p._data, (-1,)) for p in self.params])

        for iteration in range(1, group["max_iter"] + 1):
            state["n_iter"] = state.get("n_iter", 0) + 1
            d = self._direction(g, state, group["history_size"])
            state.update(d=d, prev_flat_grad=g, prev_loss=loss)
            t = lr
            if state["n_iter"] == 1:
                t *= min(1.0, 1.0 / float(library.sum(library.abs(g))))
            state["t"] = t
            slope = dot(g, d)
            if slope > -small:
                break
            before = loss
            last = iteration == group["max_iter"]
            if group["line_search_fn"] is not None:
                count = state["func_evals"]
                most = group["max_eval"] - evaluations
                t, loss, g, _ = strong_wolfe(at, t, d, (0.0, loss, g, slope), small, most)
                state["t"] = t
                evaluations += state["func_evals"] - count
                x = x + t * d
                self._move_to(x)
            else:
                x = x + t * d
                self._move_to(x)
                if not last:  # where there is noise, the point is another one in the next step
                    loss, g = evaluate()
                    evaluations += 1
            if (
                last
                or evaluations >= group["max_eval"]
                or float(library.max(library.abs(g))) <= group["tolerance_grad"]
                or float(library.max(library.abs(t * d))) <= small
                or abs(loss - before) < small
            ):
                break
        return first

    def _direction(self, g: Any, state: dict[str, Any], size: int) -> Any:
        """- H g, where H is the guess of the inverse Hessian (algorithm 7.4)."""
        if state["n_iter"] == 1:
            state.update(old_dirs=[], old_stps=[], ro=[], H_diag=1.0)
            return -g
        for name in ("old_dirs", "old_stps"):
            state[name] = [beside(g, array) for array in state[name]]
        ys, ss, rhos = state["old_dirs"], state["old_stps"], state["ro"]
        y, s = g - beside(g, state["prev_flat_grad"]), beside(g, state["d"]) * state["t"]
        curvature = dot(y, s)
        if curvature > 1e-10:
            if len(ys) == size:
                for remembered in (ys, ss, rhos):
                    remembered.pop(0)
            ys.append(y)
            ss.append(s)
            rhos.append(1.0 / curvature)
            state["H_diag"] = curvature / dot(y, y)
        q = -g
        parts = []
        for y, s, rho in zip(reversed(ys), reversed(ss), reversed(rhos), strict=True):
            parts.append(rho * dot(s, q))
            q = q - parts[-1] * y
        r = q * state["H_diag"]
        for y, s, rho, part in zip(ys, ss, rhos, reversed(parts), strict=True):
            r = r + (part - rho * dot(y, r)) * s
        return r

    def _gradient(self) -> Any:
        """The gradients of all parameters as one vector; 0 where there is none."""
        library = array_library(self.params[0]._data)
        grads = (library.zeros_like(p._data) if p._grad is None else p._grad for p in self.params)
        return library.concat([library.reshape(g, (-1,)) for g in grads])

    def _move_to(self, x: Any) -> None:
        """Give the parameters the elements of a vector."""
        library, start, written = array_library(x), 0, []
        for p in self.params:
            part = library.reshape(x[start : start + p.size], p.shape)
            start += p.size
            if hasattr(p._data, "__isub__"):
                p._data[...] = part
                written.append(p._data)
            else:
                p._data = part
        writing.changed(written, next(graph.numbers))


def dot(a: Any, b: Any) -> float:
    """aᵀ b, as a number."""
    return float(a @ b)


def strong_wolfe(
    at: Callable[[float], Point], t: float, d: Any, start: Point, small: float, most: int,
    c1: float = 1e-4, c2: float = 0.9,
) -> Point:  # fmt: skip
    """A point on the line that is low enough, and flat enough (Nocedal and Wright, 3.5 and 3.6).

    f(t) ≤ f(0) + c₁ t f'(0) and |f'(t)| ≤ -c₂ f'(0), after at most `most` tries beyond the first.
    """
    _, f0, _, slope0 = start
    library = array_library(d)
    greatest = float(library.max(library.abs(d)))

    # First go outwards, until such a point, or two points with one between them, are found.
    last, new = start, at(t)
    tries = 0
    bracket = [start, new]
    while tries < most:
        t, f, _, slope = new
        bracket = [last, new]
        if f > f0 + c1 * t * slope0 or (tries > 1 and f >= last[1]):
            break
        if abs(slope) <= -c2 * slope0:
            return new
        if slope >= 0:
            break
        low, high = t + 0.01 * (t - last[0]), t * 10
        last, new = new, at(cubic_minimum(last, new, low, high))
        tries += 1
    else:
        bracket = [start, new]

    # Then close in on it: `best` is the lowest point so far, `other` bounds where it can be.
    best, other = bracket if bracket[0][1] <= bracket[1][1] else bracket[::-1]
    stuck = False
    while tries < most and abs(other[0] - best[0]) * greatest >= small:
        left, right = sorted((best, other), key=lambda point: point[0])
        t = cubic_minimum(bracket[0], bracket[1], left[0], right[0])
        # Twice near one end would be no progress: then go inside by a tenth.
        margin = 0.1 * (right[0] - left[0])
        if min(right[0] - t, t - left[0]) < margin:
            if stuck or t >= right[0] or t <= left[0]:
                nearer_right = abs(t - right[0]) < abs(t - left[0])
                t = right[0] - margin if nearer_right else left[0] + margin
                stuck = False
            else:
                stuck = True
        else:
            stuck = False
        new = at(t)
        tries += 1
        _, f, _, slope = new
        if f > f0 + c1 * t * slope0 or f >= best[1]:
            other = new
            if new[1] < best[1]:
                best, other = other, best
        else:
            done = abs(slope) <= -c2 * slope0
            if not done and slope * (other[0] - best[0]) >= 0:
                other = best
            best = new
            if done:
                break
        bracket = [best, other]
    return best


def cubic_minimum(a: Point, b: Point, low: float, high: float) -> float:
    """Where the cubic through two points, with their slopes, is least: between low and high."""
    (x1, f1, _, g1), (x2, f2, _, g2) = sorted((a, b), key=lambda point: point[0])
    d1 = g1 + g2 - 3 * (f1 - f2) / (x1 - x2)
    square = d1**2 - g1 * g2
    if not square >= 0:
        return (low + high) / 2
    d2 = square**0.5
    return min(max(x2 - (x2 - x1) * ((g2 + d2 - d1) / (g2 - g1 + 2 * d2)), low), high)
