"""Weights by norm and direction, and weights of spectral norm 1: PyTorch's parametrisations."""

from __future__ import annotations

from typing import Any

import numpy as np

from gradnerve import ops
from gradnerve.backends import array_library, constant
from gradnerve.graph import no_grad
from gradnerve.nn.functional.checks import update
from gradnerve.nn.module import Module
from gradnerve.nn.utils.parametrize import register_parametrization
from gradnerve.ops.random import generator
from gradnerve.ops.shape import plain
from gradnerve.tensor import Tensor


def weight_norm(module: Module, name: str = "weight", dim: int | None = 0) -> Module:
    """A weight as g v/‖v‖: its norm and its direction are learned apart. Returns the module.

    A norm for each index along `dim`; one for the whole weight with None. Source: Salimans and
    Kingma, "Weight Normalization", 2016.

    >>> import gradnerve as gn
    >>> layer = weight_norm(gn.nn.Linear(3, 2))
    >>> sorted(layer.state_dict())
    ['bias', 'parametrizations.weight.original0', 'parametrizations.weight.original1']
    """
    return register_parametrization(module, name, WeightNorm(dim))


class WeightNorm(Module):
    """g v/‖v‖."""

    def __init__(self, dim: int | None = 0):
        self.dim = dim

    def _norm(self, v: Any) -> Any:
        if self.dim is None:
            return ops.sqrt(ops.sum(v * v))
        axes = tuple(i for i in range(len(v.shape)) if i != self.dim % len(v.shape))
        return ops.sqrt(ops.sum(v * v, axis=axes, keepdims=True))

    def forward(self, g: Any, v: Any) -> Any:
        """The weight."""
        return v * (g / self._norm(v))

    def right_inverse(self, weight: Any) -> tuple[Any, Any]:
        """Norm and direction of a weight."""
        return self._norm(plain(weight)), plain(weight)


def spectral_norm(
    module: Module, name: str = "weight", n_power_iterations: int = 1, eps: float = 1e-12,
    dim: int | None = None,
) -> Module:  # fmt: skip
    """A weight divided by its greatest singular value, about. Returns the module.

    As a matrix it has the axis `dim` (0, or 1 for transposed convolutions) for rows. The singular
    value is followed by `n_power_iterations` of the power method whenever the weight is used while
    training. Source: Miyato et al., "Spectral Normalization for Generative Adversarial Networks",
    2018. Raises ValueError for fewer than one iteration.
    """
    if n_power_iterations < 1:
        raise ValueError(
            f"spectral_norm: n_power_iterations is 1 or more, not {n_power_iterations}"
        )
    if dim is None:
        dim = 1 if getattr(module, "transposed", False) else 0
    weight = getattr(module, name)
    return register_parametrization(
        module, name, SpectralNorm(weight, n_power_iterations, eps, dim)
    )


class SpectralNorm(Module):
    """W/σ(W), where σ = uᵀ W v, and u and v are followed from use to use."""

    _u: Tensor
    _v: Tensor

    def __init__(self, weight: Any, n_power_iterations: int = 1, eps: float = 1e-12, dim: int = 0):
        self.n_power_iterations, self.eps, self.dim = n_power_iterations, eps, dim
        if len(weight.shape) > 1:
            matrix = self._matrix(plain(weight))
            for name, size in zip(("_u", "_v"), matrix.shape, strict=True):
                vector = generator().standard_normal(size)
                vector /= max(float(np.linalg.norm(vector)), eps)
                vector = constant(vector, matrix)
                setattr(self, name, Tensor(array_library(matrix).astype(vector, matrix.dtype)))
            self._iterate(matrix, 15)

    def _matrix(self, weight: Any) -> Any:
        axes = (self.dim, *(i for i in range(len(weight.shape)) if i != self.dim))
        rows = weight.shape[self.dim]
        return ops.reshape(ops.permute_dims(weight, axes), (rows, -1))

    def _iterate(self, matrix: Any, count: int) -> None:
        u, v = self._u._data, self._v._data
        for _ in range(count):
            u = self._unit(matrix @ v)
            v = self._unit(u @ matrix)
        update("spectral_norm", self._u, u)
        update("spectral_norm", self._v, v)

    def _unit(self, x: Any) -> Any:
        norm = ops.sqrt(ops.sum(x * x))
        return x / ops.clip(norm, self.eps)

    def forward(self, weight: Any) -> Any:
        """The weight, with a greatest singular value of about 1."""
        if len(weight.shape) == 1:
            return self._unit(weight)
        matrix = self._matrix(weight)
        if self.training:
            with no_grad():
                self._iterate(plain(matrix), self.n_power_iterations)
        # The vectors as they are now: the next use may come before backward.
        u, v = (array_library(x._data).asarray(x._data, copy=True) for x in (self._u, self._v))
        return weight / (u @ (matrix @ v))

    def right_inverse(self, weight: Any) -> Any:
        """A weight as it is, whatever its norm."""
        return plain(weight)
