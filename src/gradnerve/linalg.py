"""The Array API standard's `linalg` extension, and what NumPy and PyTorch have beyond it.

>>> import gradnerve as gn
>>> a = gn.Tensor([[2.0, 0.0], [0.0, 4.0]], requires_grad=True)
>>> gn.linalg.slogdet(a).logabsdet.backward()
>>> print(a.grad)
[[0.5  0.  ]
 [0.   0.25]]
"""

from numpy.linalg import LinAlgError

from gradnerve.ops import linalg as _chapter
from gradnerve.ops.linalg import *
from gradnerve.ops.linalg import (
    EighResult,
    EigResult,
    LstsqResult,
    QRResult,
    SlogdetResult,
    SVDResult,
    cond,
)
from gradnerve.ops.linalg import matrix_diagonal as diagonal
from gradnerve.ops.shape import matrix_transpose

__all__ = [
    "EigResult",
    "EighResult",
    "LinAlgError",
    "LstsqResult",
    "QRResult",
    "SVDResult",
    "SlogdetResult",
    "cond",
    "diagonal",
    "matrix_transpose",
]  # fmt: skip
__all__ += _chapter.__all__
