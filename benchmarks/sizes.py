"""How the cost of a step grows with depth, batch and width: with the arithmetic, or faster?"""

from time import perf_counter

from benchmarks import chain, mlp, timing

DEPTHS = 10, 100, 1_000, 10_000, 100_000
BATCHES = 32, 128, 512, 2_048
WIDTHS = 128, 256, 512, 1_024, 2_048


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


def by_batch(batches=BATCHES, rounds=5, clock=perf_counter, **brief):
    """Seconds per example of a perceptron's step: {batch: the best}."""
    steps = {b: mlp.VERSIONS["gradnerve"](mlp.problem(batch=b)) for b in batches}
    times = timing.in_turns(steps, rounds, clock=clock, **brief)
    return {b: values.min() / b for b, values in times.items()}


def by_width(widths=WIDTHS, rounds=5, clock=perf_counter, **brief):
    """Seconds per weight of a step of three square layers, batch 128: {width: the best}."""
    problems = {w: mlp.problem((w, w, w, w)) for w in widths}
    steps = {w: mlp.VERSIONS["gradnerve"](problem) for w, problem in problems.items()}
    times = timing.in_turns(steps, rounds, clock=clock, **brief)
    return {w: values.min() / (3 * w * w) for w, values in times.items()}
