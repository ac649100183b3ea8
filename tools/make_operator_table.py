"""Write docs/operators.md: every operator, its formula, and what NumPy and PyTorch call it.

python tools/make_operator_table.py
"""

import inspect
import itertools
import re
from pathlib import Path

import numpy as np

import gradnerve as gn  # noqa: F401  (fills the registry)
from gradnerve.operators import operators

PAGE = Path(__file__).parent.parent / "docs" / "operators.md"

# Where another library's name differs from ours (None: it has no such function).
NUMPY = {
    "getitem": "x[key]", "identity": None,
    "bitwise_left_shift": "left_shift", "bitwise_right_shift": "right_shift",
    "concat": "concatenate", "sliding_window_view": "lib.stride_tricks.sliding_window_view",
}  # fmt: skip
TORCH = {
    "astype": "Tensor.to", "concat": "cat", "permute_dims": "permute",
    "matrix_transpose": "Tensor.mT", "getitem": "x[key]", "copy": "clone",
    "expand_dims": "unsqueeze", "repeat": "repeat_interleave", "split": "tensor_split",
    "unstack": "unbind", "sliding_window_view": "Tensor.unfold",
    "max": "amax", "min": "amin", "equal": "eq", "not_equal": "ne",
    "less": "lt", "less_equal": "le", "greater": "gt", "greater_equal": "ge", "concatenate": "cat",
    "layer_norm": "nn.functional.layer_norm", "linear": "nn.functional.linear",
    "convolve": "nn.functional.conv2d", "convolve_input": "nn.functional.conv_transpose2d",
    "window_max": "nn.functional.max_pool2d", "window_sum": "nn.functional.avg_pool2d",
    "softmax_cross_entropy": "nn.functional.cross_entropy", "pad": "nn.functional.pad",
    "bitwise_invert": "bitwise_not", "sign": "sgn",
    "recomputed": "utils.checkpoint.checkpoint", "by_rule": "autograd.Function",
}  # fmt: skip
# PyTorch's functions by our names, so that the table is the same where PyTorch is not installed.
TORCH_HAS = frozenset(
    """
    abs acos acosh add all any argmax argmin argsort asin asinh atan atan2 atanh bitwise_and
    bitwise_or bitwise_xor broadcast_to ceil clip copysign cos cosh count_nonzero cross cummax
    cummin cumprod cumsum diagonal digamma divide einsum erf erfc erfinv exp exp2 expm1 fft flip
    floor floor_divide fmax fmin gather hypot i0 imag isfinite isinf isnan kron lerp lgamma log
    log10 log1p log2 log_softmax logaddexp logaddexp2 logcumsumexp logical_and logical_not
    logical_or logical_xor logit logsumexp matmul maximum mean minimum multiply negative
    nextafter ones_like outer polygamma positive prod real reciprocal relu repeat_interleave
    reshape roll round scatter_add searchsorted sigmoid signbit sin sinc sinh softmax sort sqrt
    square squeeze stack std subtract sum tan tanh topk trace tril triu trunc var where xlogy
    zeros_like
    """.split()  # noqa: SIM905
)


def rows():
    """The operators, by the chapter (the module) in which they stand."""
    registered = [op for op in vars(operators).values() if op.__module__.startswith("gradnerve.")]
    by_module = sorted(registered, key=lambda op: op.__module__)
    for module, group in itertools.groupby(by_module, key=lambda op: op.__module__):
        yield module, [op.operator for op in group]


def other_name(names, name, exists):
    """What another library calls it, in code; nothing where it has no such function."""
    found = names.get(name, name if exists(name) else None)
    return f"`{found}`" if found else ""


def formula(op):
    """The rules, each once, as GitHub renders mathematics."""
    # Between plain dollars Markdown would take the backslash from `\,` and `\;`, and in a table a
    # bar ends the cell. GitHub does not allow the macro \operatorname.
    lines = [
        re.sub(r"\\operatorname\{([^{}]*)\}", r"\\mathop{\\mathrm{\1}}", line)
        for line in dict.fromkeys(op.formulas.values())
    ]
    return " ".join(f"$`{line}`$" for line in lines).replace("|", r"\vert ")


def page():
    """The whole page."""
    parts = [
        "# Operators",
        "Written by `python tools/make_operator_table.py` from the registry. In a formula "
        "$`\\bar x`$ is the cotangent of $`x`$, and $`y`$ the output. Every rule is itself made of "
        "operators, so every operator with a formula can be differentiated to any order. The notes "
        "say what happens at kinks, ties and edges.",
    ]
    for module, ops in rows():
        title = module.removeprefix("gradnerve.").removeprefix("ops.")
        text = (inspect.getdoc(inspect.getmodule(ops[0].forward)) or "").split("\n\n")[0]
        parts.append(f"## `{title}`\n\n{' '.join(text.split())}")
        differentiable = [op for op in ops if op.differentiable]
        if differentiable:
            lines = ["| operator | gradient | NumPy | PyTorch | notes |", "|---|---|---|---|---|"]
            for op in differentiable:
                notes = " ".join((inspect.getdoc(op.forward) or "").split())
                lines.append(
                    f"| `{op.name}({', '.join(op.names)})` | {formula(op)} "
                    f"| {other_name(NUMPY, op.name, lambda n: hasattr(np, n))} "
                    f"| {other_name(TORCH, op.name, TORCH_HAS.__contains__)} "
                    f"| {notes.replace('|', chr(92) + '|')} |"
                )
            parts.append("\n".join(lines))
        plain = [f"`{op.name}`" for op in ops if not op.differentiable]
        if plain:
            parts.append(f"Plain values, without a derivative: {', '.join(plain)}.")
    return "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
