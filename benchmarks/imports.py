"""How long `import` takes, in fresh processes."""

import subprocess
import sys

import numpy as np

TITLE = "import"
CODE = "from time import perf_counter as now; t = now(); import {}; print(now() - t)"


def in_turns(libraries, rounds):
    """Seconds of each library's import in each round: {name: array (rounds,)}."""
    for name in libraries:
        seconds(name)  # from the disk, and to bytecode
    times = {name: [] for name in libraries}
    for _ in range(rounds):
        for name in libraries:
            times[name].append(seconds(name))
    return {name: np.array(values) for name, values in times.items()}


def seconds(library):
    """Seconds that the import takes inside a new interpreter."""
    command = [sys.executable, "-c", CODE.format(library)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
