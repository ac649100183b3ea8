"""The mean of a model's weights over its training, which often does better than the last ones."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from gradnerve import errors, graph, writing
from gradnerve.backends import array_library, device
from gradnerve.nn import Module
from gradnerve.optim.optimizer import beside
from gradnerve.tensor import Tensor


class ExponentialMovingAverage(Module):
    """A copy of a model, `module`, with the running mean of its weights: w̄ ← β w̄ + (1-β) w.

    Call `update(model)` after each step of the optimiser; the first update copies the weights. The
    average itself is called like the model. Buffers are copied, not averaged. PyTorch calls it
    AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(decay)); state dicts are the same.

    >>> import gradnerve as gn
    >>> model = gn.nn.Linear(2, 1)
    >>> average = ExponentialMovingAverage(model, decay=0.5)
    >>> for value in (1.0, 3.0):
    ...     model.weight.data = np.full((1, 2), value)
    ...     average.update(model)
    >>> average.module.weight.data
    array([[2., 2.]], dtype=float32)
    """

    def __init__(self, model: Module, decay: float = 0.999):
        if not isinstance(model, Module):
            raise TypeError(errors.no_model("ExponentialMovingAverage", model))
        if not 0 <= decay <= 1:
            complaint = errors.bad_number(
                "ExponentialMovingAverage", "decay", decay, "a number from 0 to 1"
            )
            raise ValueError(complaint)
        self.decay = decay
        self.n_averaged = Tensor(np.array(0))
        self.module = copy.deepcopy(model)
        self.module.zero_grad()

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the model with the mean weights computes."""
        return self.module(*args, **kwargs)

    def update(self, model: Module) -> None:
        """Take the weights of a model into the mean."""
        theirs = dict(model._named_tensors())
        count = self.n_averaged
        written = []
        for name, tensor in self.module._named_tensors():
            old, new = tensor._data, theirs[name]._data
            library = array_library(new)
            if theirs[name]._requires_grad:
                old = beside(new, old)
                first = library.asarray(count._data == 0, device=device(new))
                new = library.where(first, new, self.decay * old + (1 - self.decay) * new)
                new = library.astype(new, old.dtype)
            if tensor._data is old and hasattr(old, "__isub__"):
                old[...] = new
                written.append(old)
            else:
                tensor._data = library.asarray(new, copy=True)
        count._data = count._data + 1
        writing.changed(written, next(graph.numbers))
