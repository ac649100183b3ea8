"""The workloads, by the names that the command line has for them."""

from benchmarks import chain, cnn, derivatives, gpt, lstm, mlp, resnet

NETWORKS = {
    "tiny": mlp.TINY, "chain": chain, "mlp": mlp, "cnn": cnn, "resnet": resnet, "lstm": lstm,
    "gpt": gpt,
}  # fmt: skip
DEEP = {"deep": mlp.DEEP}
"""Only its memory is measured."""
PARTS = {
    "attention": derivatives.ATTENTION, "cumsum": derivatives.CUMSUM, "sort": derivatives.SORT,
    "embedding": derivatives.EMBEDDING, "solve": derivatives.SOLVE,
    "cholesky": derivatives.CHOLESKY, "hessian": derivatives.HESSIAN,
}  # fmt: skip
STEPS = {**NETWORKS, **DEEP, **PARTS}
