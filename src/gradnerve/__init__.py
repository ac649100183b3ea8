"""GradNerve: the deep-learning engine that you can read.

>>> import gradnerve as gn
>>> x = gn.Tensor([1.0, 2.0, 3.0], requires_grad=True)
>>> (x**2).sum().backward()
>>> print(x.grad)
[2. 4. 6.]
"""

from gradnerve.tensor import Tensor  # isort: skip (the operators stand on it)
from gradnerve import data, nn, ops, optim
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
