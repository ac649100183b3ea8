"""Time versions of one step beside each other: in turns, so that a slow moment is slow for all."""

from time import perf_counter, sleep

import numpy as np


def check_agreement(steps):
    """Every version computes the same loss and the same gradient, to 1e-4; else AssertionError."""
    loss, gradient = steps["gradnerve"]()
    for name, step in steps.items():
        other_loss, other = step()
        np.testing.assert_allclose(other_loss, loss, rtol=1e-4, err_msg=f"the loss of {name}")
        slack = 1e-4 * np.abs(gradient).max()
        message = f"the gradient of {name}"
        np.testing.assert_allclose(other, gradient, rtol=1e-4, atol=slack, err_msg=message)


PAUSE = 0.05  # seconds: OpenBLAS's threads wait for more work, busily, for half of that


def in_turns(steps, rounds, seconds=0.02, pause=PAUSE):
    """Seconds per step of each version in each round: {name: array (rounds,)}.

    In a round each version has its turn: a pause, until the threads of the one before have gone to
    sleep; one step to find its caches and threads again; then as many as fit into `seconds`, one at
    least, of which the mean counts. Every second round goes backwards.
    """
    counts = {name: steps_in(step, seconds) for name, step in steps.items()}
    times = {name: [] for name in steps}
    for i in range(rounds):
        for name in list(steps)[:: 1 if i % 2 == 0 else -1]:
            step = steps[name]
            sleep(pause)
            step()
            start = perf_counter()
            for _ in range(counts[name]):
                step()
            times[name].append((perf_counter() - start) / counts[name])
    return {name: np.array(values) for name, values in times.items()}


def steps_in(step, seconds):
    """How many steps fit into that time."""
    step()
    start = perf_counter()
    step()
    return max(1, int(seconds / (perf_counter() - start)))
