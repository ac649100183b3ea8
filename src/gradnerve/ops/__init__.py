"""Every operator, on Tensors and on plain arrays: `ops.exp(x)`, `ops.mean(x, axis=0)`.

The files follow the Array API standard's own chapters; `network.py` has the fused operators of
neural networks. `gradnerve.operators.operators` is the registry of them all.
"""

from gradnerve.graph import together
from gradnerve.ops import random
from gradnerve.ops.elementwise import (
    abs,
    acos,
    acosh,
    add,
    asin,
    asinh,
    atan,
    atan2,
    atanh,
    bitwise_and,
    bitwise_invert,
    bitwise_or,
    bitwise_xor,
    ceil,
    clip,
    conj,
    cos,
    cosh,
    divide,
    equal,
    erf,
    exp,
    expm1,
    floor,
    floor_divide,
    greater,
    greater_equal,
    hypot,
    identity,
    imag,
    isfinite,
    isinf,
    isnan,
    less,
    less_equal,
    log,
    log1p,
    log2,
    log10,
    logaddexp,
    logical_and,
    logical_not,
    logical_or,
    logical_xor,
    maximum,
    minimum,
    multiply,
    negative,
    not_equal,
    ones_like,
    positive,
    pow,
    real,
    reciprocal,
    relu,
    remainder,
    round,
    sigmoid,
    sign,
    sin,
    sinh,
    sqrt,
    square,
    subtract,
    tan,
    tanh,
    trunc,
    where,
    zeros_like,
)
from gradnerve.ops.index import getitem, scatter_add
from gradnerve.ops.linalg import matmul
from gradnerve.ops.network import (
    layer_norm,
    linear,
    log_softmax,
    softmax,
    softmax_cross_entropy,
)
from gradnerve.ops.random import manual_seed
from gradnerve.ops.reduce import (
    all,
    any,
    argmax,
    argmin,
    logsumexp,
    max,
    mean,
    min,
    prod,
    std,
    sum,
    var,
)
from gradnerve.ops.shape import (
    astype,
    broadcast_to,
    concat,
    copy,
    expand_dims,
    flip,
    matrix_transpose,
    pad,
    permute_dims,
    reshape,
    roll,
    squeeze,
    stack,
)
from gradnerve.ops.window import (
    Window,
    convolve,
    convolve_input,
    convolve_weight,
    window_argmax,
    window_max,
    window_pick,
    window_put,
    window_spread,
    window_sum,
)
from gradnerve.tensor import Tensor

# isort: split
from gradnerve.ops.index import (
    gather,
    index_add,
    last_written,
    put_along_axis,
    scatter,
    setitem,
    take,
    take_along_axis,
)
from gradnerve.ops.reduce import (
    average,
    count_nonzero,
    nanmax,
    nanmean,
    nanmin,
    nanstd,
    nansum,
    nanvar,
    ptp,
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
