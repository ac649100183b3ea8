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
from gradnerve.control import cond, scan, while_loop
from gradnerve.custom import checkpoint, custom_vjp
from gradnerve.debug import debug_mode
from gradnerve.graph import no_grad, operator
from gradnerve.jit import jit
from gradnerve.moving import to
from gradnerve.ops.creation import *
from gradnerve.ops.diagonal import *
from gradnerve.ops.dtypes import *
from gradnerve.ops.dtypes import __array_api_version__, __array_namespace_info__
from gradnerve.ops.einsum import *
from gradnerve.ops.elementwise import *
from gradnerve.ops.fft import fftn, ifftn, irfftn, rfftn
from gradnerve.ops.index import *
from gradnerve.ops.linalg import *
from gradnerve.ops.network import *
from gradnerve.ops.pad import *
from gradnerve.ops.random import *
from gradnerve.ops.reduce import *
from gradnerve.ops.scan import *
from gradnerve.ops.shape import *
from gradnerve.ops.sort import *
from gradnerve.ops.special import *
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


def __getattr__(name: str) -> object:
    """`distributed`, on first use; the names of other libraries: what they are called here."""
    if name == "distributed":
        import importlib

        return importlib.import_module("gradnerve.distributed")
    raise AttributeError(errors.no_such_name(name, __dir__()), name=name)


def __dir__() -> list[str]:
    """What is there for the user; not the modules that it is made of."""
    modules = ("data", "fft", "linalg", "nn", "ops", "optim")
    names = {n for n, v in globals().items() if not isinstance(v, type(ops)) or n in modules}
    return sorted(names | {"distributed"})
