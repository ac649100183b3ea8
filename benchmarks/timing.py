"""Time versions of one step beside each other: in turns, so that a slow moment is slow for all."""

from time import perf_counter, sleep

import numpy as np


def check_agreement(steps):
    """Every version computes the same, to 1e-4; else AssertionError.

    What a step returns is compared, three times: where it trains, the second and the third loss say
    that the gradients of all parameters were the same, and the last has to be lower.
    """
    first = last = None
    for _ in range(3):
        found = {name: parts(step()) for name, step in steps.items()}
        mine, *_ = found.values()
        for name, other in found.items():
            for a, b in zip(other, mine, strict=True):
                slack = 1e-4 * np.abs(b).max()
                np.testing.assert_allclose(a, b, rtol=1e-4, atol=slack, err_msg=name)
        first, last = first or mine, mine
    assert len(last) > 1 or last[0] < first[0], "nothing is learned, so nothing was compared"


def parts(result):
    """A loss alone, or a loss and a gradient, as a tuple."""
    return result if isinstance(result, tuple) else (result,)


PAUSE = 0.05  # seconds: OpenBLAS's threads wait for more work, busily, for half of that


def in_turns(steps, rounds, seconds=0.02, pause=PAUSE, clock=perf_counter):
    """Seconds per step of each version in each round: {name: array (rounds,)}.

    In a round each version has its turn: a pause, until the threads of the one before have gone to
    sleep; one step to find its caches and threads again; then as many as fit into `seconds`, one at
    least, of which the mean counts. Every second round goes backwards. The clock can be the
    processor time of this process, which others on the machine do not change much.
    """
    counts = {name: steps_in(step, seconds) for name, step in steps.items()}
    times = {name: [] for name in steps}
    for i in range(rounds):
        for name in list(steps)[:: 1 if i % 2 == 0 else -1]:
            times[name].append(turn(steps[name], counts[name], clock, pause))
    return {name: np.array(values) for name, values in times.items()}


def turn(step, count, clock=perf_counter, pause=PAUSE):
    """Seconds per step, after a pause and a step that does not count."""
    sleep(pause)
    step()
    start = clock()
    for _ in range(count):
        step()
    return (clock() - start) / count


def steps_in(step, seconds):
    """How many steps fit into that time."""
    step()
    start = perf_counter()
    step()
    return max(1, int(seconds / (perf_counter() - start)))
