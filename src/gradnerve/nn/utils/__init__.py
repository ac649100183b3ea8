"""What one does with the parameters and gradients of a network: PyTorch's `nn.utils`."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from gradnerve import errors, ops
from gradnerve.backends import array_library, is_concrete
from gradnerve.nn.utils import parametrizations as parametrizations
from gradnerve.nn.utils import parametrize as parametrize
from gradnerve.nn.utils import rnn as rnn
from gradnerve.tensor import Tensor


def clip_grad_norm_(
    parameters: Any, max_norm: float, norm_type: float = 2.0, error_if_nonfinite: bool = False
) -> Tensor:
    """Scale the gradients so that the norm of all of them together is at most `max_norm`.

    Returns the norm that it was. Call it between `backward()` and the optimiser's step. Raises
    RuntimeError for a norm that is NaN or infinite, if asked to.

    >>> import gradnerve as gn
    >>> w = gn.Tensor([3.0, 4.0], requires_grad=True)
    >>> (w * w).sum().backward()
    >>> print(clip_grad_norm_([w], max_norm=5.0).item(), w.grad.round(4))
    10.0 [3. 4.]
    """
    tensors = [p for p in _tensors("clip_grad_norm_", parameters) if p._grad is not None]
    if not tensors:
        return Tensor(0.0)
    library = array_library(tensors[0]._grad)
    norms = library.stack([_norm(p._grad, norm_type) for p in tensors])
    total = _norm(norms, norm_type)
    if error_if_nonfinite and not math.isfinite(float(total)):
        raise RuntimeError(errors.norm_not_finite(float(total)))
    scale = max_norm / (total + 1e-6)
    if not is_concrete(total) or not scale >= 1:  # (nor for NaN)
        scale = library.where(scale < 1, scale, library.ones_like(scale))
        for p in tensors:
            p._grad = p._grad * library.astype(scale, p._grad.dtype)
    return Tensor(total)


def _norm(x: Any, p: float) -> Any:
    library = array_library(x)
    x = library.abs(x)
    if p == math.inf:
        return library.max(x)
    if p == 2:
        return library.sqrt(library.sum(x * x))
    return library.sum(x**p) ** (1 / p)


def clip_grad_value_(parameters: Any, clip_value: float) -> None:
    """Bring each element of the gradients to between -clip_value and clip_value.

    >>> import gradnerve as gn
    >>> w = gn.Tensor([3.0, 0.25], requires_grad=True)
    >>> (w * w).sum().backward()
    >>> clip_grad_value_(w, 1.0)
    >>> w.grad
    array([1. , 0.5])
    """
    for p in _tensors("clip_grad_value_", parameters):
        if p._grad is not None:
            p._grad = array_library(p._grad).clip(p._grad, -clip_value, clip_value)


def parameters_to_vector(parameters: Iterable[Tensor]) -> Tensor:
    """All parameters as one vector; differentiable."""
    return ops.concat([ops.reshape(p, (-1,)) for p in parameters])


def vector_to_parameters(vec: Any, parameters: Iterable[Tensor]) -> None:
    """Give parameters the elements of a vector, in order."""
    data, start = getattr(vec, "_data", vec), 0
    tensors = list(parameters)
    if len(data) != sum(p.size for p in tensors):
        raise ValueError(errors.vector_size(len(data), sum(p.size for p in tensors)))
    for p in tensors:
        library = array_library(data)
        part = library.reshape(data[start : start + p.size], p.shape)
        p.data = library.astype(part, p.dtype, copy=True)
        start += p.size


def _tensors(name: str, parameters: Any) -> list[Tensor]:
    tensors = [parameters] if isinstance(parameters, Tensor) else list(parameters)
    for tensor in tensors:
        if not isinstance(tensor, Tensor):
            raise TypeError(errors.not_parameters(name, tensor))
    return tensors
