"""GradNerve: the deep-learning engine that you can read.

>>> import gradnerve as gn
>>> x = gn.Tensor([1.0, 2.0, 3.0], requires_grad=True)
>>> (x**2).sum().backward()
>>> print(x.grad)
[2. 4. 6.]
"""

from gradnerve.tensor import Tensor  # isort: skip (the operators stand on it)
from gradnerve import data, errors, nn, ops, optim
from gradnerve.check import gradcheck
from gradnerve.custom import checkpoint, custom_vjp
from gradnerve.debug import debug_mode
from gradnerve.graph import no_grad, operator
from gradnerve.ops import *
from gradnerve.ops.dtypes import __array_api_version__, __array_namespace_info__
from gradnerve.transforms import (
    grad,
    hessian,
    hvp,
    jacobian,
    jvp,
    stop_gradient,
    value_and_grad,
    vjp,
)

import gradnerve.fft as fft  # isort: skip (after `ops`, which has a file of this name too)

import gradnerve.linalg as linalg  # isort: skip (after ops, which has a module of that name)

from gradnerve import protocols  # isort: skip (NumPy's own functions on Tensors)

__version__ = "0.3.0.dev0"

_Module = type(ops)
_MODULES = ("data", "fft", "linalg", "nn", "ops", "optim")
# Operators that only other operators' rules need: they are in `gn.ops`, and not offered.
_INTERNAL = frozenset(
    """
    Taps Window cofactor convert convolve convolve_input convolve_weight extend fold_margins getitem
    identity last_written overlap_add put_diagonal resample setitem sum_runs together window_argmax
    window_gather window_max window_pick window_put window_spread window_sum window_values
    _INTERNAL _MODULES _Module
    """.split()  # noqa: SIM905
)


def __getattr__(name: str) -> object:
    """Names that other libraries have: the error says what they are called here."""
    raise AttributeError(errors.no_such_name(name, __dir__()), name=name)


def __dir__() -> list[str]:
    """What is there for the user; not the modules and the operators that it is made of."""
    return sorted(
        name
        for name, value in globals().items()
        if name not in _INTERNAL and (not isinstance(value, _Module) or name in _MODULES)
    )
