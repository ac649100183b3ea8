"""python -m benchmarks [--quick] [--rounds N] [--only NAME ...] [--write]."""

import argparse
import os
import sys
from pathlib import Path

import numpy as np

from benchmarks import chain, cnn, derivatives, imports, memory, mlp, report, timing
from benchmarks.libraries import installed, with_unguarded

DOCS_NAME = "docs/benchmarks.md"
DOCS = Path(__file__).parent.parent / DOCS_NAME
STEPS = {
    "chain": chain, "mlp": mlp, "cnn": cnn,
    "attention": derivatives.ATTENTION, "cumsum": derivatives.CUMSUM, "sort": derivatives.SORT,
    "embedding": derivatives.EMBEDDING, "solve": derivatives.SOLVE,
    "cholesky": derivatives.CHOLESKY, "hessian": derivatives.HESSIAN,
}  # fmt: skip


def main():
    """Measure, print the tables, and write them into the docs when told to."""
    options = arguments()
    libraries = installed()
    if "torch" in libraries:
        import torch

        torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", os.cpu_count())))
    command = " ".join(["python -m benchmarks", *sys.argv[1:]])
    machine = report.machine(command, libraries, options.rounds)
    print("\n".join(machine), end="\n\n")

    rows = [row for name in options.only for row in measure(name, libraries, options)]
    numbers, ratios = report.tables(rows)
    print(report.plain(numbers), report.plain(ratios), sep="\n\n")
    if options.write:
        parts = [report.markdown(numbers), report.markdown(ratios), "; ".join(machine) + "."]
        report.write(DOCS, "\n\n".join(parts))
        print(f"\nwritten into {DOCS_NAME}")


def arguments():
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    every = [*STEPS, "checkpoint", "memory", "import"]
    parser.add_argument("--rounds", type=int, default=40, help="turns of each library")
    parser.add_argument("--quick", action="store_true", help="two short rounds: does it run?")
    some = {"nargs": "+", "choices": every, "default": every, "metavar": "NAME"}
    parser.add_argument("--only", **some, help=f"some of: {', '.join(every)}")
    parser.add_argument("--write", action="store_true", help=f"put the tables into {DOCS_NAME}")
    options = parser.parse_args()
    if options.write and (options.quick or options.only != every):
        parser.error("--write is for a whole run, without --quick and --only")
    if options.quick:
        options.rounds = 2
    return options


def measure(name, libraries, options):
    """The rows of one workload."""
    print(f"... {name}", file=sys.stderr, flush=True)
    if name == "memory":
        return memory_rows(libraries, batch=64 if options.quick else memory.BATCH)
    if name == "checkpoint":
        return checkpoint_lines(options)
    if name == "import":
        times = imports.in_turns(libraries, rounds=max(1, options.rounds // 4))
        return [report.Row(imports.TITLE, "ms", {n: 1e3 * t for n, t in times.items()})]
    workload = STEPS[name]
    problem = workload.problem()
    steps = {n: make(problem) for n, make in workload.VERSIONS.items() if n in libraries}
    steps = with_unguarded(steps)
    timing.check_agreement(steps)
    brief = {"seconds": 0, "pause": 0} if options.quick else {}
    times = timing.in_turns(steps, options.rounds, **brief)
    return [report.Row(workload.TITLE, "µs", {n: 1e6 * t for n, t in times.items()})]


def checkpoint_lines(options):
    """No row, as there is no other library in it: a line of its own."""
    times, peaks = derivatives.checkpoint_costs(max(2, options.rounds // 2))
    print(
        f"A checkpoint around each 4 of 24 layers: {times['again'] / times['kept']:.2f} times the "
        f"time, {peaks['again'] / peaks['kept']:.2f} times the peak memory.\n"
    )
    return []


def memory_rows(libraries, batch):
    """Peak memory, as the system sees it and as Python does."""
    peaks = {name: memory.peak(name, batch) for name in libraries if name in mlp.VERSIONS}
    resident = {name: np.array([peak[0]]) for name, peak in peaks.items()}
    traced = {name: np.array([peak[1]]) for name, peak in peaks.items() if peak[1] is not None}
    title = memory.TITLE.format(batch)
    return [
        report.Row(f"{title}: resident memory", "MB", resident),
        report.Row(f"{title}: tracemalloc", "MB", traced),
    ]


if __name__ == "__main__":
    main()
