"""The Array API standard's `linalg` extension, and what NumPy and PyTorch have beyond it.

>>> import gradnerve as gn
>>> a = gn.Tensor([[2.0, 0.0], [0.0, 4.0]], requires_grad=True)
>>> gn.linalg.slogdet(a).logabsdet.backward()
>>> print(a.grad)
[[0.5  0.  ]
 [0.   0.25]]
"""

from numpy.linalg import LinAlgError

from gradnerve.ops.linalg import (
    EighResult,
    EigResult,
    LstsqResult,
    QRResult,
    SlogdetResult,
    SVDResult,
    cholesky,
    cond,
    cross,
    det,
    dot,
    eig,
    eigh,
    eigvals,
    eigvalsh,
    expm,
    inner,
    inv,
    kron,
    lstsq,
    matmul,
    matrix_norm,
    matrix_power,
    matrix_rank,
    multi_dot,
    norm,
    outer,
    pinv,
    qr,
    slogdet,
    solve,
    svd,
    svdvals,
    tensordot,
    tensorinv,
    tensorsolve,
    trace,
    vdot,
    vecdot,
    vector_norm,
)
from gradnerve.ops.linalg import matrix_diagonal as diagonal
from gradnerve.ops.shape import matrix_transpose

__all__ = [  # noqa: RUF022 (as the standard has them, then the others)
    "cholesky", "cross", "det", "diagonal", "eigh", "eigvalsh", "inv", "matmul", "matrix_norm",
    "matrix_power", "matrix_rank", "matrix_transpose", "outer", "pinv", "qr", "slogdet", "solve",
    "svd", "svdvals", "tensordot", "trace", "vecdot", "vector_norm",
    "EigResult", "EighResult", "LinAlgError", "LstsqResult", "QRResult", "SVDResult",
    "SlogdetResult", "cond", "dot", "eig", "eigvals", "expm", "inner", "kron", "lstsq", "multi_dot",
    "norm", "tensorinv", "tensorsolve", "vdot",
]  # fmt: skip
