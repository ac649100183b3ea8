"""What a network consists of, layer by layer, for a given input."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

from gradnerve.graph import no_grad
from gradnerve.nn.attention import MultiheadAttention
from gradnerve.nn.layers import Bilinear, Linear
from gradnerve.nn.layers.convolution import _Conv
from gradnerve.nn.module import Module
from gradnerve.nn.recurrent import _Cell, _Recurrent
from gradnerve.nn.utils.rnn import PackedSequence

__all__ = ["Summary", "summary"]


class LayerSummary(NamedTuple):
    """A call of a layer."""

    path: str
    kind: str
    output: str  # its shapes
    parameters: int  # its own, not those of the layers in it; 0 where they were counted before
    multiply_adds: int


@dataclass(frozen=True, repr=False)
class Summary:
    """What `summary` found. Printed, it is a table."""

    layers: list[LayerSummary]
    parameters: int
    trainable: int
    multiply_adds: int

    def __str__(self) -> str:
        rows = [("layer", "output", "parameters", "multiply-adds")]
        rows += [
            (
                f"{layer.path} ({layer.kind})" if layer.path else layer.kind,
                layer.output, f"{layer.parameters:,}", f"{layer.multiply_adds:,}",
            )
            for layer in self.layers
        ]  # fmt: skip
        rows.append(("total", "", f"{self.parameters:,}", f"{self.multiply_adds:,}"))
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = [
            f"{a:<{widths[0]}}  {b:<{widths[1]}}  {c:>{widths[2]}}  {d:>{widths[3]}}".rstrip()
            for a, b, c, d in rows
        ]
        rule = "-" * max(map(len, lines))
        frozen = self.parameters - self.trainable
        if frozen:
            lines.append(f"of these parameters {frozen:,} are frozen")
        return "\n".join([lines[0], rule, *lines[1 : len(rows) - 1], rule, *lines[len(rows) - 1 :]])

    def __repr__(self) -> str:
        return str(self)


def summary(model: Module, *inputs: Any, **options: Any) -> Summary:
    """Each layer's output shape, parameters and multiply-adds, when the model gets these inputs.

    The model runs once, in evaluation. Multiply-adds are those of the layers with weights (linear,
    convolutional, recurrent, attention); what a forward computes by itself is not counted. A layer
    that is called twice is there twice, its parameters once.

    >>> import numpy as np
    >>> from gradnerve import nn
    >>> model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
    >>> print(summary(model, np.ones((16, 4), np.float32)))
    layer       output   parameters  multiply-adds
    ----------------------------------------------
    0 (Linear)  (16, 8)          40            512
    1 (ReLU)    (16, 8)           0              0
    2 (Linear)  (16, 2)          18            256
    ----------------------------------------------
    total                        58            768
    """
    paths = {id(module): path for path, module in model.named_modules()}
    modules = list(model.modules())
    training = [module.training for module in modules]
    layers: list[LayerSummary] = []
    counted: set[int] = set()
    handles = []

    def note(module: Module, args: tuple[Any, ...], output: Any) -> None:
        if any(module.children()) and not _counts(module):
            own = [p for n, p in module.named_parameters() if "." not in n]
        else:
            own = list(module.parameters())
        if not own and any(module.children()):
            return  # it only holds others
        new = [p for p in own if id(p) not in counted]
        counted.update(map(id, new))
        layers.append(
            LayerSummary(
                paths[id(module)], type(module).__name__, _shapes(output),
                sum(p.size for p in new), _multiply_adds(module, args, output),
            )
        )  # fmt: skip

    inside = {id(part) for m in modules if _counts(m) for part in m.modules() if part is not m}
    try:
        for module in modules:
            if id(module) not in inside:
                handles.append(module.register_forward_hook(note))
        model.eval()
        with no_grad():
            model(*inputs, **options)
    finally:
        for handle in handles:
            handle.remove()
        for module, mode in zip(modules, training, strict=True):
            module.training = mode
    parameters = list(model.parameters())
    return Summary(
        layers,
        sum(p.size for p in parameters),
        sum(p.size for p in parameters if p.requires_grad),
        sum(layer.multiply_adds for layer in layers),
    )


def _counts(module: Module) -> bool:
    """Whether the layers in it are counted with it."""
    return isinstance(module, MultiheadAttention)


def _shapes(value: Any) -> str:
    if isinstance(value, (tuple, list)):
        return ", ".join(filter(None, map(_shapes, value)))
    return str(tuple(value.shape)) if hasattr(value, "shape") else ""


def _multiply_adds(module: Module, args: tuple[Any, ...], output: Any) -> int:
    if isinstance(module, (Linear, Bilinear)):
        return math.prod(output.shape[:-1]) * module.weight.size
    if isinstance(module, _Conv):  # each weight once for each place
        places = args[0] if module.transposed else output
        batch = places.shape[0] if len(places.shape) == module.ndim + 2 else 1
        return batch * math.prod(places.shape[-module.ndim :]) * module.weight.size
    if isinstance(module, (_Recurrent, _Cell)):
        weights = [p for name, p in module.named_parameters() if name.startswith("weight")]
        x = args[0].data if isinstance(args[0], PackedSequence) else args[0]
        return math.prod(x.shape[:-1]) * sum(p.size for p in weights)
    if isinstance(module, MultiheadAttention):
        q, k, v = (math.prod(x.shape[:-1]) for x in args[:3])
        size = module.embed_dim
        columns = args[1].shape[-2 if module.batch_first else 0]
        return size * (q * size + k * module.kdim + v * module.vdim + q * size + 2 * q * columns)
    return 0
