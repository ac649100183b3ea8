"""How long `import` takes, in fresh processes."""

import os
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
    # As after an installation: with bytecode, whatever this shell says of writing it.
    env = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=env)
    return float(done.stdout)
