"""Optimisers: how a gradient becomes a step."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from gradnerve import errors, graph, writing
from gradnerve.backends import array_library, device, library_name, moved
from gradnerve.objects import attributes
from gradnerve.tensor import Tensor


class Optimizer:
    """Holds parameters, and moves them by their gradients; `update` says how.

    Raises ValueError for no parameters, for one given twice and for one that is no leaf.
    """

    def __init__(self, params: Iterable[Tensor], lr: float):
        name = type(self).__name__
        if isinstance(params, Tensor) or not isinstance(params, Iterable):
            raise TypeError(errors.not_parameters(name, params))
        self.params = list(params)
        if not self.params:
            module = getattr(params, "module", None)
            raise ValueError(errors.no_parameters(name, module, attributes(module)))
        seen: set[int] = set()
        for i, parameter in enumerate(self.params):
            if not isinstance(parameter, Tensor):
                raise TypeError(errors.not_parameters(name, parameter))
            if parameter.requires_grad and parameter._record is not None:
                raise ValueError(errors.not_a_leaf(name, i))
            if id(parameter) in seen:
                raise ValueError(errors.twice(name, i))
            seen.add(id(parameter))
        self._check("lr", lr, 0, math.inf)
        self.lr = lr

    def _check(self, name: str, value: float, low: float, high: float) -> None:
        wanted = f"a number from {low}" + (f" to below {high}" if high < math.inf else "")
        complaint = errors.bad_number(type(self).__name__, name, value, wanted)
        try:
            if not low <= value < high:
                raise ValueError(complaint)
        except TypeError:
            raise TypeError(complaint) from None

    def zero_grad(self) -> None:
        """Forget the gradients of all parameters."""
        for parameter in self.params:
            parameter.zero_grad()

    def step(self) -> None:
        """Move each parameter that has a gradient."""
        moving = [i for i, parameter in enumerate(self.params) if parameter._grad is not None]
        in_place = []
        for i in moving:
            data = self.params[i]._data
            new = self.update(i, data, self.params[i]._grad)
            if new is None and not hasattr(data, "__isub__"):
                raise TypeError(errors.not_moved(type(self).__name__, data))
            if new is None or new is data:
                in_place.append(data)
            else:
                self.params[i]._data = new
        writing.changed(in_place, next(graph.numbers))

    def update(self, i: int, data: Any, grad: Any) -> Any:
        """Move the i-th parameter's data, and return it.

        In place where it can be (then nothing need be returned): JAX's arrays never change.
        """
        raise NotImplementedError


class SGD(Optimizer):
    """Stochastic gradient descent, with momentum: v ← μ v + g; w ← w - lr v.

    `weight_decay` adds λ w to the gradient. Source: Sutskever et al., "On the importance of
    initialization and momentum in deep learning", 2013, in PyTorch's form.

    >>> import gradnerve as gn
    >>> w = gn.Tensor([1.0], requires_grad=True)
    >>> optimizer = SGD([w], lr=0.1)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> w.data
    array([0.8])
    """

    def __init__(
        self, params: Iterable[Tensor], lr: float = 1e-3, momentum: float = 0.0,
        weight_decay: float = 0.0,
    ):  # fmt: skip
        super().__init__(params, lr)
        self._check("momentum", momentum, 0, math.inf)
        self._check("weight_decay", weight_decay, 0, math.inf)
        self.momentum, self.weight_decay = momentum, weight_decay
        self.velocity: list[Any] = [None] * len(self.params)

    def update(self, i: int, data: Any, grad: Any) -> Any:
        """w ← w - lr v."""
        if self.weight_decay:
            grad = grad + self.weight_decay * data
        if self.momentum:
            if self.velocity[i] is None:
                self.velocity[i] = array_library(grad).asarray(grad, copy=True)
            else:
                velocity = beside(data, self.velocity[i])
                velocity *= self.momentum
                velocity += grad
                self.velocity[i] = velocity
            grad = self.velocity[i]
        data -= self.lr * grad
        return data


class Adam(Optimizer):
    """Steps of even size: the gradient's running mean over the root of its running square.

    m ← β₁ m + (1-β₁) g; v ← β₂ v + (1-β₂) g²; w ← w - lr m̂ / (√v̂ + ε), where m̂ and v̂ make up
    for the start at 0. Source: Kingma and Ba, "Adam", 2015, Algorithm 1, with PyTorch's defaults.

    >>> import gradnerve as gn
    >>> w = gn.Tensor([1.0], requires_grad=True)
    >>> optimizer = Adam([w], lr=0.1)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> w.data.round(6)
    array([0.9])
    """

    def __init__(
        self, params: Iterable[Tensor], lr: float = 1e-3, betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8, weight_decay: float = 0.0,
    ):  # fmt: skip
        super().__init__(params, lr)
        if not isinstance(betas, (tuple, list)) or len(betas) != 2:
            raise ValueError(errors.bad_number("Adam", "betas", betas, "a pair of numbers"))
        self._check("betas[0]", betas[0], 0, 1)
        self._check("betas[1]", betas[1], 0, 1)
        self._check("eps", eps, 0, math.inf)
        self._check("weight_decay", weight_decay, 0, math.inf)
        self.betas, self.eps, self.weight_decay = betas, eps, weight_decay
        self.mean = [array_library(p._data).zeros_like(p._data) for p in self.params]
        self.square = [array_library(p._data).zeros_like(p._data) for p in self.params]
        self.steps = [0] * len(self.params)

    def update(self, i: int, data: Any, grad: Any) -> Any:
        """w ← w - lr m̂ / (√v̂ + ε)."""
        if self.weight_decay:
            grad = grad + self.weight_decay * data
        beta1, beta2 = self.betas
        mean, square = beside(data, self.mean[i]), beside(data, self.square[i])
        self.steps[i] += 1
        mean *= beta1
        mean += (1 - beta1) * grad
        square *= beta2
        square += (1 - beta2) * grad * grad
        self.mean[i], self.square[i] = mean, square
        root = array_library(square).sqrt(square)
        root /= (1 - beta2 ** self.steps[i]) ** 0.5
        root += self.eps
        step = mean / root
        step *= self.lr / (1 - beta1 ** self.steps[i])
        data -= step
        return data


def beside(data: Any, state: Any) -> Any:
    """An optimiser's state, in the library that a parameter was moved to meanwhile."""
    if type(state) is type(data):
        return state
    return moved(state, library_name(data), device(data))
