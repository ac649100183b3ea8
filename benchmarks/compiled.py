"""What `gn.jit` itself costs: per call, and until the first step is done."""

from time import perf_counter

import numpy as np

from benchmarks import lstm, steps, timing

COUNT = 50


def small_loss(f, parameters):
    """Nothing to compute: what is left is the cost of a call."""
    return sum((p * p).sum() for p in parameters)


CALL = steps.Workload(
    f"A call with {COUNT} parameters of 4 numbers",
    lambda: ([np.full(4, 0.5, np.float32) for _ in range(COUNT)], ()),
    {n: v for n, v in steps.versions(small_loss, 1e-3).items() if n in ("jit", "jax")},
)


def first_calls(workload, names=("jit", "jax"), clock=perf_counter, **problem):
    """Seconds of the first step: tracing and compiling, {name: seconds}."""
    times = {}
    for name in names:
        step = workload.VERSIONS[name](workload.problem(**problem))
        start = clock()
        step()
        times[name] = clock() - start
    return times


def call_cost(rounds, clock=perf_counter, **brief):
    """Seconds per call of `gn.jit` beyond those of `jax.jit`, the median of the rounds."""
    made = {name: make(CALL.problem()) for name, make in CALL.VERSIONS.items()}
    timing.check_agreement(made)
    times = timing.in_turns(made, rounds, clock=clock, **brief)
    return np.median(times["jit"] - times["jax"])


def scanned(length, rounds, clock=perf_counter, **brief):
    """An LSTM by `gn.scan` and by `lax.scan`: seconds of the first step, and of the others."""
    first = first_calls(lstm.SCANNED, clock=clock, steps=length)
    made = {n: lstm.SCANNED.VERSIONS[n](lstm.problem(length)) for n in ("jit", "jax")}
    timing.check_agreement(made)
    times = timing.in_turns(made, rounds, clock=clock, **brief)
    return first, {name: np.median(values) for name, values in times.items()}
