"""Moving to another array library or device."""

from __future__ import annotations

from typing import Any

from gradnerve import ops
from gradnerve.backends import as_array, library_name, moved, target
from gradnerve.nn.module import Module
from gradnerve.tensor import Tensor, rebuilt
from gradnerve.transforms import tree as optree


def to(tree: Any, library: Any) -> Any:
    """A tree (dicts, lists, tuples) of Tensors, arrays and Modules in another library, or device.

    `library` is "numpy", "jax", "torch" or "cupy", with a device if need be: "torch:cuda". A leaf
    becomes a new leaf, with its gradient and its name: inside of a function that is being
    differentiated write `x.to(library)`, which gradients flow through. The result of an operator
    stays part of the graph. A Module is moved itself, as by its own `to`. What is there already,
    and what is no array, is returned as it is.

    Raises ValueError for a library or device that there is not, ImportError for one that is not
    installed, TypeError for a dtype that it has not.

    >>> import gradnerve as gn
    >>> w = gn.Tensor([1.0, 2.0], requires_grad=True)
    >>> gn.to({"w": w, "rate": 0.1}, "numpy")["w"] is w
    True
    """
    name, place = target(library)
    known: dict[int, Any] = {}  # a Tensor that is there twice stays one

    def move(leaf: Any) -> Any:
        if isinstance(leaf, Module):
            return leaf.to(library)
        if isinstance(leaf, Tensor):
            if id(leaf) not in known:
                known[id(leaf)] = _tensor(leaf, name, place)
            return known[id(leaf)]
        if hasattr(leaf, "dtype") and hasattr(leaf, "shape"):
            return moved(as_array(leaf), name, place)
        return leaf

    return optree().tree_map(move, tree)


def _tensor(tensor: Tensor, name: str, place: Any) -> Tensor:
    data = tensor._data
    if library_name(data) == name and place in (None, getattr(data, "device", None)):
        return tensor
    if type(tensor._record) is tuple:
        return ops.convert(tensor, name, place)
    grad = None if tensor._grad is None else moved(tensor._grad, name, place)
    new = rebuilt(type(tensor), moved(data, name, place), None, tensor._requires_grad, tensor.name)
    new._grad, new._record = grad, tensor._record
    return new
