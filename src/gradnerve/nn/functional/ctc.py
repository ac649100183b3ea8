"""Connectionist temporal classification: a loss of sequences whose alignment is not known."""

from __future__ import annotations

import math
from typing import Any

from gradnerve import ops
from gradnerve.backends import array_library, device, is_concrete, size
from gradnerve.nn.functional.checks import check_whole, reduced
from gradnerve.ops.shape import as_tensor_or_array, plain

__all__ = ["ctc_loss"]

NEVER = -1e30  # log 0, as a number: what is added to it, and its gradients, stay numbers


def ctc_loss(
    log_probs: Any, targets: Any, input_lengths: Any, target_lengths: Any, blank: int = 0,
    reduction: str = "mean", zero_infinity: bool = False,
) -> Any:  # fmt: skip
    """-log of the probability that (T, N, C) log-probabilities read as the targets: (N,), reduced.

    At each of T times one class is emitted, and then repetitions, and after them blanks, are left
    out. Targets are (N, S) class numbers, or those of all examples in a row; the lengths (N,) say
    how much of inputs and targets counts. Also (T, C), (S,), () and (). "mean" divides each loss by
    its target's length first. A target that the input is too short for has the loss infinity, or 0
    with `zero_infinity`, and the gradient 0. The gradient is that of the formula; PyTorch's adds
    e^log_probs to it, which log_softmax takes away.

    Source: Graves et al., "Connectionist Temporal Classification", 2006, section 4.1. Raises
    ValueError for lengths and classes out of range and shapes that do not fit, TypeError for those
    that are not whole.

    >>> import numpy as np
    >>> log_probs = np.log(np.full((2, 1, 3), 1 / 3))
    >>> loss = ctc_loss(log_probs, np.array([[1]]), [2], [1])  # 1 1, 1 -, - 1: three of nine ways
    >>> print(loss.round(4), np.log(3).round(4))
    1.0986 1.0986
    """
    x = as_tensor_or_array(log_probs)
    single = len(x.shape) == 2
    if single:
        x = ops.expand_dims(x, 1)
    if len(x.shape) != 3 or 0 in x.shape:
        raise ValueError(
            f"ctc_loss: expects log-probabilities (T, N, C) or (T, C), got {tuple(log_probs.shape)}"
        )
    times, n, count = x.shape
    if not 0 <= blank < count:
        raise ValueError(f"ctc_loss: blank is class {blank}, but there are 0 to {count - 1}")
    inputs = _lengths("input_lengths", input_lengths, x, n, times)
    lengths = _lengths("target_lengths", target_lengths, x, n, None)
    labels = _labels(plain(as_tensor_or_array(targets, x)), lengths, n, count, blank, single)

    # Between the labels, before and after them there may be blanks: 2 S + 1 states.
    library = array_library(labels)
    blanks = library.full_like(labels, blank)
    pairs = library.reshape(library.stack([blanks, labels], axis=2), (n, -1))
    states = library.concat([pairs, library.full_like(lengths[:, None], blank)], axis=1)
    before = library.concat([library.full_like(states[:, :2], blank), states[:, :-2]], axis=1)
    skips = (states != blank) & (states != before)  # whether the blank before can be left out
    places = library.arange(n, device=device(states))[:, None]
    emitted = ops.getitem(x, (slice(None), places, states))  # (T, N, 2 S + 1)
    emitted = ops.where(plain(emitted) > NEVER, emitted, NEVER)

    width = states.shape[1]
    zero = ops.zeros_like(plain(emitted)[0])
    first = library.arange(width, device=device(states)) < 2
    # alpha[s]: how likely it is to have emitted all up to state s by now.
    alpha = ops.where(first, emitted[0], NEVER)
    margin = zero[:, :1] + NEVER
    for t in range(1, times):
        wide = ops.concat([margin, margin, alpha], 1)
        ways = [alpha, wide[:, 1:-1], ops.where(skips, wide[:, :-2], NEVER)]
        new = ops.logsumexp(ops.stack(ways), 0) + emitted[t]
        alpha = ops.where((t < inputs)[:, None], new, alpha)
    last = 2 * lengths[:, None]
    in_blank = ops.take_along_axis(alpha, last, 1)
    in_label = ops.take_along_axis(alpha, library.where(last > 0, last - 1, 0), 1)
    in_label = ops.where(last > 0, in_label, NEVER)
    losses = -ops.logsumexp(ops.concat([in_blank, in_label], 1), 1)
    impossible = plain(losses) > -NEVER / 10
    losses = ops.where(impossible, 0.0 if zero_infinity else math.inf, losses)
    if reduction == "mean":
        losses = losses / library.astype(library.where(lengths > 0, lengths, 1), losses.dtype)
    return reduced("ctc_loss", losses[0] if single and reduction == "none" else losses, reduction)


def _lengths(name: str, lengths: Any, x: Any, n: int, most: int | None) -> Any:
    lengths = plain(as_tensor_or_array(lengths, x))
    check_whole(f"ctc_loss: {name}", lengths)
    library = array_library(lengths)
    if tuple(lengths.shape) not in ((n,), (() if n == 1 else (n,))):
        raise ValueError(f"ctc_loss: {name} are ({n},), one for each example; got {lengths.shape}")
    lengths = library.reshape(lengths, (n,))
    if is_concrete(lengths) and (lengths.min() < 0 or (most and lengths.max() > most)):
        raise ValueError(
            f"ctc_loss: {name} are from 0{f' to {most}, the input has no more' if most else ''}; "
            f"got {lengths.min()} to {lengths.max()}"
        )
    return lengths


def _labels(targets: Any, lengths: Any, n: int, count: int, blank: int, single: bool) -> Any:
    """The targets as (N, S), with blanks after the end of each."""
    check_whole("ctc_loss: targets", targets)
    library = array_library(targets)
    if single and len(targets.shape) == 1:
        targets = targets[None, :]
    if len(targets.shape) == 1:  # all in a row
        if not is_concrete(lengths):
            raise RuntimeError(
                "ctc_loss: target_lengths are not known while gn.jit compiles, so targets in a "
                "row cannot be taken apart; give targets (N, S)"
            )
        total = int(lengths.sum())
        if targets.shape[0] != total:
            raise ValueError(f"ctc_loss: {targets.shape[0]} targets, but lengths of {total} in all")
        ends = ops.cumsum(lengths, 0)
        starts = ends - lengths
        longest = max(1, int(lengths.max()))
        places = starts[:, None] + library.arange(longest, device=device(targets))
        places = library.where(places < total, places, 0)
        targets = ops.take(targets, places) if total else library.zeros_like(places)
    if len(targets.shape) != 2 or targets.shape[0] != n:
        raise ValueError(f"ctc_loss: expects targets ({n}, S), got {tuple(targets.shape)}")
    longest = targets.shape[1]
    if is_concrete(lengths) and int(lengths.max()) > longest:
        raise ValueError(
            f"ctc_loss: target_lengths are up to {int(lengths.max())}, the targets have {longest}"
        )
    counted = library.arange(longest, device=device(targets)) < lengths[:, None]
    targets = library.where(counted, targets, blank)
    if size(targets) and is_concrete(targets) and (targets.min() < 0 or targets.max() >= count):
        wrong = int(targets.min() if targets.min() < 0 else targets.max())
        raise ValueError(f"ctc_loss: a target is class {wrong}; there are 0 to {count - 1}")
    return targets
