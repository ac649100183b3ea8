"""Array libraries: which one a value belongs to, and the few kernels that the standard lacks.

Operators are written in the vocabulary of the Python Array API standard, which NumPy and JAX speak
themselves and `array_api_compat` speaks for the others. What the standard lacks (windows,
scatter-add, erf) is a named kernel, in one file per library. Such a file is also the library's
namespace: names that it has not are those of the library.

Another library than NumPy is loaded when the first of its arrays is met, or asked for by name.
"""

from __future__ import annotations

import importlib
import math
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import Any

import numpy as np

from gradnerve import errors
from gradnerve.backends import numpy as numpy_kernels

libraries: dict[type, Any] = {np.ndarray: numpy_kernels}
"""The namespace of each type of array that has been met."""

made_arrays = (list, tuple, np.ndarray)
"""What an operator makes an array of: lists, and NumPy's subclasses (np.matrix has products of its
own), which are no arrays of a library."""

foreign: dict[type, Any] = {}
"""Those of other libraries than NumPy. While there are none, libraries cannot be mixed."""

NAMES = {"numpy": "NumPy", "jax": "JAX", "torch": "PyTorch", "cupy": "CuPy"}
ARRAYS = {"jax": "Array", "torch": "Tensor", "cupy": "ndarray"}

HOME = frozenset((np.ndarray, bool, int, float, complex, str, tuple, type(None)))
"""Types of arguments that are never another library's."""

INDICES = ("key", "counts", "shift", "pad_width")
"""Parameters that say where, not what: NumPy's arrays are welcome there, with any library's."""


# --- Which library --------------------------------------------------------------------------------


def array_library(value: Any, *others: Any) -> Any:
    """The standard's namespace for the first array among the values; NumPy's if there is none.

    >>> array_library(2.0, np.ones(3)).__name__
    'gradnerve.backends.numpy'
    """
    library = libraries.get(type(value))
    if library is not None:
        return library
    for array in (value, *others):
        array = getattr(array, "_data", array)  # of a Tensor: that of its data
        library = _library_of(array)
        if library is not None:
            return library
    return numpy_kernels


def _library_of(array: Any) -> Any:
    """The namespace of an array; None for what is no array."""
    kind = type(array)
    if kind in libraries:
        return libraries[kind]
    if isinstance(array, (np.ndarray, np.generic)):  # also a memmap, or a NumPy scalar
        return numpy_kernels
    for name, array_type in ARRAYS.items():
        module = sys.modules.get(name)  # there is no array of a library that was not imported
        if module is not None and isinstance(array, getattr(module, array_type, ())):
            libraries[kind] = foreign[kind] = load(name)
            return libraries[kind]
    if isinstance(array, type) or hasattr(array, "_record"):  # a dtype, or a Tensor
        return None
    if hasattr(array, "__array_namespace__"):
        import array_api_compat

        libraries[kind] = foreign[kind] = array_api_compat.array_namespace(array)
    return libraries.get(kind)


def load(name: str) -> Any:
    """The kernels of a library, by its name. ImportError where it is not installed."""
    if name == "numpy":
        return numpy_kernels
    try:
        return importlib.import_module(f"gradnerve.backends.{name}")
    except ImportError as error:
        raise ImportError(errors.not_installed(NAMES[name], name, error)) from None


def library_name(array: Any) -> str:
    """The name of an array's library, as `load` takes it."""
    return array_library(array).__name__.rpartition(".")[2]


def spelled(name: str) -> str:
    """A library's name as people write it: "PyTorch" for "torch"."""
    return NAMES.get(name, name)


def kernels(*values: Any) -> ModuleType:
    """The kernels of the first array's library. A Tensor here is a mistake in a rule."""
    if len(values) == 1 and type(values[0]) in libraries:  # most often
        return libraries[type(values[0])]
    library = array_library(*values)
    if not library.__name__.startswith(__name__) or any(hasattr(v, "_record") for v in values):
        raise TypeError(f"no kernels for {[type(value).__name__ for value in values]}")
    return library


def in_one_library(name: str, names: Sequence[str], values: Sequence[Any]) -> Sequence[Any]:
    """The arguments of an operator, NumPy's scalars among another library's arrays as numbers.

    Raises TypeError where arrays of two libraries meet.
    """
    if HOME.issuperset(map(type, values)):
        return values
    first, place = None, 0
    scalars = False
    for i, value in enumerate(values):
        if isinstance(value, np.generic):
            scalars = True
        elif hasattr(value, "shape") and names[min(i, len(names) - 1)] not in INDICES:
            library = _library_of(value)
            if getattr(value, "requires_grad", False):  # of PyTorch's own autograd
                raise RuntimeError(errors.foreign_graph(type(value).__name__))
            if first is None:
                first, place = library, i
            elif library is not first and library is not None:
                if not all(map(is_concrete, values)):
                    return [_as_constant(value) for value in values]
                a, b = (_argument(names, j, len(values)) for j in (place, i))
                two = library_name(values[place]), library_name(value)
                raise TypeError(errors.two_libraries(name, a, b, two, tuple(map(spelled, two))))
    if scalars and first is not None and first is not numpy_kernels:
        return [v.item() if isinstance(v, np.generic) else v for v in values]
    return values


def _argument(names: Sequence[str], i: int, count: int) -> str:
    """The name of the i-th of so many arguments: "x1", or "arrays[1]"."""
    last = len(names) - 1
    return names[i] if count <= len(names) or i < last else f"{names[last]}[{i - last}]"


def _as_constant(value: Any) -> Any:
    """NumPy's array beside those of compiled code: it becomes part of the code."""
    return moved(value, "jax") if isinstance(value, np.ndarray) else value


# --- Values ---------------------------------------------------------------------------------------


def as_array(value: Any, like: Any = None) -> Any:
    """An array as it is; lists and numbers as an array of the library of `like`, or NumPy's.

    Raises TypeError for a masked array: what its mask hides would take part.
    """
    if type(value) in libraries or _library_of(value) not in (numpy_kernels, None):
        return value
    if isinstance(value, np.ndarray) and hasattr(value, "filled"):
        raise TypeError(errors.MASKED)
    array = np.asarray(value)
    return array if array is value else constant(array, like)


def constant(array: np.ndarray, like: Any) -> Any:
    """NumPy's array (of places, say) in the library, and on the device, of another array."""
    library = array_library(like)
    return array if library is numpy_kernels else library.asarray(array, device=device(like))


def device(array: Any) -> Any:
    """Where an array is, for a creation function that is to make another beside it."""
    array = getattr(array, "_data", array)
    library = array_library(array)
    return library.device_of(array) if hasattr(library, "device_of") else array.device


def size(array: Any) -> int:
    """The number of elements (`size` is a method of PyTorch's arrays)."""
    return math.prod(array.shape)


def is_concrete(array: Any) -> bool:
    """Whether an array's numbers are known. Inside of jax.jit only its shape and dtype are."""
    library = array_library(array)
    return (
        library is numpy_kernels
        or not hasattr(library, "is_concrete")
        or library.is_concrete(array)
    )


def is_complex(array: Any) -> bool:
    """Whether the elements are complex numbers, or the number is one."""
    return kind_of(array) == "c" if hasattr(array, "dtype") else isinstance(array, complex)


def is_floating(array: Any) -> bool:
    """Whether the elements are real or complex numbers of floating point."""
    return kind_of(array) in ("f", "c")


def is_whole(array: Any) -> bool:
    """Whether the elements are integers."""
    return kind_of(array) in ("i", "u")


KINDS = {
    "b": "bool", "u": "unsigned integer", "i": "signed integer", "f": "real floating",
    "c": "complex floating",
}  # fmt: skip


def kind_of(array: Any) -> str:
    """NumPy's letter for the kind of an array's elements, one of "buifc"; "" for other kinds."""
    kind = getattr(array.dtype, "kind", None)  # NumPy's own dtypes, which most libraries use
    if kind is None or kind == "V":  # JAX's bfloat16 is of no kind of NumPy's
        isdtype = array_library(array).isdtype
        return next((k for k, name in KINDS.items() if isdtype(array.dtype, name)), "")
    return kind if kind in KINDS else ""


# --- From one library to another ------------------------------------------------------------------


def target(to: Any) -> tuple[str, Any]:
    """The library and the device of "torch:cuda", of "jax" (None: its usual one), or of a device.

    Raises ValueError for names that there are not, ImportError for what is not installed.
    """
    if not isinstance(to, str):
        name = type(to).__module__.partition(".")[0].replace("jaxlib", "jax")
        if name not in ARRAYS:
            raise ValueError(errors.unknown_library(to, NAMES))
        return name, to
    name, _, place = to.partition(":")
    if name not in NAMES:
        raise ValueError(errors.unknown_library(to, NAMES))
    return name, load(name).device_named(place) if place else None


def moved(array: Any, name: str, place: Any = None) -> Any:
    """An array in another library, and on a device if one is named. It may share the memory.

    Raises TypeError for a dtype that the library has not.
    """
    backend, library = load(name), array_library(array)
    if library is not backend and library is not numpy_kernels and name != "numpy":
        try:
            return backend.placed(backend.from_dlpack(array), place)
        except (BufferError, RuntimeError, TypeError, ValueError):  # not on the same device
            array = kernels(array).to_numpy(array)
    elif library is not numpy_kernels and name == "numpy":
        return library.to_numpy(array)
    return backend.placed(array, place)
