"""How far one step of a wide ten-layer perceptron drives memory up, in a process of its own."""

import json
import resource
import subprocess
import sys
import tracemalloc
from pathlib import Path

from benchmarks import mlp

TITLE = "Ten-layer MLP, 512 wide, batch {}"
SIZES = (512,) * 10 + (10,)
BATCH = 2048


def peak(library, batch=BATCH):
    """Megabytes by which a step's peak is above the state before it: (resident, tracemalloc).

    The second is None for PyTorch, whose memory tracemalloc does not see.
    """
    command = [sys.executable, "-m", "benchmarks.memory", library, str(batch)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def measure(library, batch):
    """Both numbers, for this process; a small network's step first loads what there is to load."""
    mlp.VERSIONS[library](mlp.problem((64, 64, 10), 64))()
    step = mlp.VERSIONS[library](mlp.problem(SIZES, batch))
    before = resident_now()
    step()
    resident = highest_resident() - before
    if library == "torch":
        return resident / 1e6, None
    tracemalloc.start()
    step()
    return resident / 1e6, tracemalloc.get_traced_memory()[1] / 1e6


def resident_now():
    """Bytes of memory in use; on Linux the highest mark starts anew from here."""
    status = Path("/proc/self/status")
    if not status.exists():
        return highest_resident()
    Path("/proc/self/clear_refs").write_text("5")
    return _kilobytes(status, "VmRSS:") * 1024


def highest_resident():
    """Bytes: the highest mark of resident memory.

    Linux counts in /proc/self/status what this program used; ru_maxrss begins with what its parent
    used.
    """
    status = Path("/proc/self/status")
    if status.exists():
        return _kilobytes(status, "VmHWM:") * 1024
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _kilobytes(status, key):
    (line,) = [line for line in status.read_text().splitlines() if line.startswith(key)]
    return int(line.split()[1])


if __name__ == "__main__":
    print(json.dumps(measure(sys.argv[1], int(sys.argv[2]))))
