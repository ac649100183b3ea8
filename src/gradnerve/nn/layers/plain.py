"""Layers without parameters, of which `forward` is one function of `F`."""

from __future__ import annotations

from gradnerve.nn.module import Module


class Function(Module):
    """A layer that only has options: it shows them all."""

    def extra_repr(self) -> str:
        """Its options."""
        own = vars(self).items()
        return ", ".join(f"{name}={value!r}" for name, value in own if name != "training")
