"""What layers without parameters share: their `forward` is one function of `F`."""

from __future__ import annotations

from typing import Any

from gradnerve.nn.module import Module
from gradnerve.tensor import Tensor


class Function(Module):
    """A layer that only has options: it shows them all."""

    def extra_repr(self) -> str:
        """Its options."""
        own = vars(self).items()
        return ", ".join(f"{name}={value!r}" for name, value in own if name != "training")


def buffer(array: Any) -> Any:
    """An array as a Tensor, so that it moves with the model and is in its state dict."""
    return array if array is None or isinstance(array, Tensor) else Tensor(array)
