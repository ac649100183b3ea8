"""How much memory a training step takes at most, each library in a process of its own."""

import ctypes
import gc
import json
import resource
import subprocess
import sys
from pathlib import Path


def peak(name, library, quick=False):
    """Megabytes from before there is a network to the most that one of its later steps takes."""
    command = [sys.executable, "-m", "benchmarks.memory", name, library, *["quick"] * quick]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def measure(workload, library, quick=False):
    """The same for this process.

    A small network first loads what there is to load. Then the state, what a library keeps between
    steps, and compiled code count; what a compiler needed and gave back does not.
    """
    make = workload.VERSIONS[library]
    small = workload.problem(**workload.QUICK)
    make(small)()
    problem = small if quick else workload.problem()
    before = resident_now()
    step = make(problem)
    step()
    step()
    resident_now()  # the highest mark starts anew
    step()
    return max(0, highest_resident() - before) / 1e6


def resident_now():
    """Bytes of memory in use, without what is free; on Linux the highest mark starts from here."""
    gc.collect()
    status = Path("/proc/self/status")
    if not status.exists():
        return highest_resident()
    if hasattr(libc := ctypes.CDLL(None), "malloc_trim"):
        libc.malloc_trim(0)
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
    from benchmarks.workloads import STEPS

    name, library, *quick = sys.argv[1:]
    print(json.dumps(measure(STEPS[name], library, bool(quick))))
