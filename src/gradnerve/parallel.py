"""A training step and a test, compiled by JAX, each batch cut into parts for the devices of a mesh.

The parameters are on every device, the batch is not: XLA sums the gradients over the devices.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from gradnerve import distributed, nn
from gradnerve.backends import array_library
from gradnerve.data import TensorDataset
from gradnerve.graph import no_grad
from gradnerve.jit import jit
from gradnerve.nn import functional as F
from gradnerve.optim import Optimizer
from gradnerve.tensor import Tensor

NO_CLASS = -100
"""The label of an image that fills a batch up: `cross_entropy` leaves it out."""


class Parallel:
    """A model, and its optimiser, on a mesh with an axis "data"."""

    def __init__(self, model: nn.Module, optimizer: Optimizer, mesh: Any):
        self.model, self.optimizer, self.mesh = model, optimizer, mesh
        distributed.shard(model, mesh)
        distributed.shard(optimizer, mesh)
        self._step, self._test = jit(_step), jit(_test)

    def step(self, dataset: TensorDataset, places: np.ndarray, size: int) -> tuple[float, int]:
        """Learn from the images at these places: their mean loss, how many were right before.

        Where the loss is not finite the parameters stay as they are.
        """
        images, labels = self._batch(dataset, places, size)
        loss, right = self._step(self.model, self.optimizer, images, labels)
        return float(loss), int(right)

    def test(
        self, dataset: TensorDataset, places: np.ndarray, size: int
    ) -> tuple[float, np.ndarray]:
        """The sum of their losses, and the confusion matrix."""
        images, labels = self._batch(dataset, places, size)
        total, confusion = self._test(self.model, images, labels)
        return float(total), distributed.gather(confusion)

    def _batch(self, dataset: TensorDataset, places: np.ndarray, size: int) -> Any:
        """Images and labels at these places, of which this process reads its own.

        Every batch has as many: `size`, and what is missing to a multiple of the devices. So one
        program does for all of them, and any size divides.
        """
        size += -size % self.mesh.shape["data"]
        filled = np.concatenate([places, np.full(size - len(places), places[0])])
        own = distributed.own_rows(size, self.mesh)
        images, labels = dataset[filled[own]]
        labels = np.where(own < len(places), labels, NO_CLASS)
        return distributed.shard_batch((images, labels), self.mesh, whole=False)


def _step(model: Any, optimizer: Any, images: Any, labels: Any) -> tuple[Any, Any]:
    logits = model(Tensor(images))
    loss = F.cross_entropy(logits, labels, ignore_index=NO_CLASS)
    loss.backward()
    before = [parameter._data for parameter in optimizer.params]
    optimizer.step()
    optimizer.zero_grad()  # between two steps nothing of them is kept
    library = array_library(loss.data)
    finite = library.isfinite(loss.data)
    for parameter, old in zip(optimizer.params, before, strict=True):
        # What failed is looked for with the parameters that made it fail.
        parameter._data = library.where(finite, parameter._data, old)
    return loss.data, (logits.data.argmax(axis=1) == labels).sum()


def _test(model: Any, images: Any, labels: Any) -> tuple[Any, Any]:
    with no_grad():
        logits = model(Tensor(images))
        total = F.cross_entropy(logits, labels, ignore_index=NO_CLASS, reduction="sum")
    library = array_library(logits.data)
    classes = library.arange(logits.shape[1])
    truth = library.astype(labels[:, None] == classes, library.int64)
    found = library.astype(logits.data.argmax(axis=1)[:, None] == classes, library.int64)
    return total.data, truth.T @ found
