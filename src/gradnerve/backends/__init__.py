"""Array libraries: which one a value belongs to, and the few kernels that the standard lacks.

Operators are written in the vocabulary of the Python Array API standard, which NumPy speaks itself
and `array_api_compat` speaks for the others. What the standard lacks (windows, scatter-add, erf) is
a named kernel, in one file per library.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np

from gradnerve import errors
from gradnerve.backends import numpy as numpy_kernels

libraries: dict[type, Any] = {np.ndarray: np}
"""The namespace of each type of array that has been met."""


def array_library(value: Any, *others: Any) -> Any:
    """The standard's namespace for the first array among the values; NumPy's if there is none.

    >>> array_library(2.0, np.ones(3)).__name__
    'numpy'
    """
    library = libraries.get(type(value))
    if library is not None:
        return library
    for array in (value, *others):
        array = getattr(array, "_data", array)  # of a Tensor: that of its data
        if isinstance(array, (np.ndarray, np.generic)):  # also a memmap, or a NumPy scalar
            return np
        if type(array) not in libraries and hasattr(array, "__array_namespace__"):
            import array_api_compat

            libraries[type(array)] = array_api_compat.array_namespace(array)
        if type(array) in libraries:
            return libraries[type(array)]
    return np


made_arrays = (list, tuple, np.ndarray)
"""What an operator makes an array of: lists, and NumPy's subclasses (np.matrix has products of its
own), which are no arrays of a library."""


def as_array(value: Any) -> Any:
    """An array as it is; lists and numbers as a NumPy array (0-d for a number).

    Raises TypeError for a masked array: what its mask hides would take part.
    """
    if type(value) in libraries:
        return value
    if isinstance(value, np.ndarray) and hasattr(value, "filled"):
        raise TypeError(errors.MASKED)
    return np.asarray(value)


def is_complex(array: Any) -> bool:
    """Whether the elements are complex numbers, or the number is one."""
    try:
        kind = getattr(array.dtype, "kind", None)  # NumPy's own dtypes, which most libraries use
    except AttributeError:
        return isinstance(array, complex)
    if kind is not None:
        return kind == "c"
    return bool(array_library(array).isdtype(array.dtype, "complex floating"))


def is_floating(array: Any) -> bool:
    """Whether the elements are real or complex numbers of floating point."""
    kinds = ("real floating", "complex floating")
    return bool(array_library(array).isdtype(array.dtype, kinds))


def kernels(*values: Any) -> ModuleType:
    """The kernels of the first array's library. A Tensor here is a mistake in a rule."""
    library = array_library(*values)
    if library is not np or any(hasattr(value, "_record") for value in values):
        raise TypeError(f"no kernels for {[type(value).__name__ for value in values]}")
    return numpy_kernels
