"""Every operator, on Tensors and on plain arrays: `ops.exp(x)`, `ops.mean(x, axis=0)`.

The files follow the Array API standard's own chapters; `network.py` has the fused operators of
neural networks. What a file's `__all__` names, `gn` offers too.
`gradnerve.operators.operators` is the registry of all operators.
"""

import sys

from gradnerve import methods, operators
from gradnerve.ops.creation import *
from gradnerve.ops.diagonal import *
from gradnerve.ops.dtypes import *
from gradnerve.ops.einsum import *
from gradnerve.ops.elementwise import *
from gradnerve.ops.fft import fftn, ifftn, irfftn, rfftn  # the rest: gradnerve.fft
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
from gradnerve.tensor import Tensor

# isort: split
# Operators that only other operators' rules need, and those that `nn` is made of.
from gradnerve.graph import together
from gradnerve.ops.creation import convert
from gradnerve.ops.diagonal import overlap_add, put_diagonal
from gradnerve.ops.elementwise import identity
from gradnerve.ops.index import getitem, last_written, setitem
from gradnerve.ops.linalg import cofactor
from gradnerve.ops.network import (
    binary_cross_entropy,
    gelu_gate,
    rescale,
    softmax_error,
)
from gradnerve.ops.pad import extend, fold_margins
from gradnerve.ops.recurrent import gru_cell, lstm, lstm_cell
from gradnerve.ops.shape import as_tensor_or_array, sum_runs
from gradnerve.ops.window import (
    Taps,
    Window,
    convolve,
    convolve_input,
    convolve_weight,
    resample,
    window_argmax,
    window_gather,
    window_max,
    window_pick,
    window_put,
    window_spread,
    window_sum,
    window_values,
)

# These methods of Tensor hand their arguments on to an operator and do nothing else. Without that
# step between they are quicker, and their errors know what PyTorch calls an argument.
for _method, _operator in {
    "__add__": add,
    "__sub__": subtract,
    "__mul__": multiply,
    "__truediv__": divide,
    "__pow__": pow,
    "__matmul__": matmul,
    "__neg__": negative,
    "sum": sum,
    "mean": mean,
    "max": max,
    "min": min,
    "prod": prod,
    "var": var,
    "std": std,
}.items():
    setattr(Tensor, _method, _operator)

operators.array_of = as_tensor_or_array
methods.library = sys.modules[__name__]
