"""What `gn.jit` itself costs: per call, and to compile; and backward's cost against depth."""

from time import perf_counter

import numpy as np

from benchmarks import chain, steps, timing

COUNT = 50
DEPTHS = 10, 100, 1_000, 10_000, 100_000


def small_loss(f, parameters):
    """Nothing to compute: what is left is the cost of a call."""
    return sum((p * p).sum() for p in parameters)


CALL = steps.Workload(
    f"A call with {COUNT} parameters of 4 numbers",
    lambda: ([np.full(4, 0.5, np.float32) for _ in range(COUNT)], ()),
    {n: v for n, v in steps.versions(small_loss, 1e-3).items() if n in ("jit", "jax")},
)


def first_calls(workload, clock=perf_counter):
    """Seconds of the first step: tracing and compiling, {name: seconds}."""
    times = {}
    for name in ("jit", "jax"):
        step = workload.VERSIONS[name](workload.problem())
        start = clock()
        step()
        times[name] = clock() - start
    return times


def by_depth(depths=DEPTHS, rounds=3, clock=perf_counter):
    """Seconds per operator, forward and backward, of chains of so many: {depth: the best}."""
    import gradnerve as gn

    x, a, b = (gn.Tensor(p, requires_grad=True) for p in chain.problem()[0])

    def step(depth):
        start = clock()
        y = x
        for _ in range(depth // 2):
            y = y * a + b
        y.sum().backward()
        x.grad = a.grad = b.grad = None
        return (clock() - start) / depth

    return {depth: min(step(depth) for _ in range(rounds)) for depth in depths}


def call_cost(rounds, clock=perf_counter, **brief):
    """Seconds per call of `gn.jit` beyond those of `jax.jit`, the median of the rounds."""
    made = {name: make(CALL.problem()) for name, make in CALL.VERSIONS.items()}
    timing.check_agreement(made)
    times = timing.in_turns(made, rounds, clock=clock, **brief)
    return np.median(times["jit"] - times["jax"])
