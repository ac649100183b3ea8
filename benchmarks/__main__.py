"""python -m benchmarks [--quick] [--rounds N] [--only NAME ...] [--processor-time] [--write]."""

import argparse
import os
import sys
from pathlib import Path
from time import perf_counter, process_time

import numpy as np

from benchmarks import (
    chain,
    cnn,
    compiled,
    derivatives,
    gpt,
    imports,
    lstm,
    memory,
    mlp,
    report,
    resnet,
    timing,
)  # fmt: skip
from benchmarks.libraries import installed, with_columns, with_unguarded

DOCS_NAME = "docs/benchmarks.md"
DOCS = Path(__file__).parent.parent / DOCS_NAME
STEPS = {
    "tiny": mlp.TINY, "chain": chain, "mlp": mlp, "cnn": cnn, "resnet": resnet, "lstm": lstm, "gpt": gpt,
    "attention": derivatives.ATTENTION, "cumsum": derivatives.CUMSUM, "sort": derivatives.SORT,
    "embedding": derivatives.EMBEDDING, "solve": derivatives.SOLVE,
    "cholesky": derivatives.CHOLESKY, "hessian": derivatives.HESSIAN,
}  # fmt: skip


def main():
    """Measure, print the tables, and write them into the docs when told to."""
    options = arguments()
    if options.processor_time:
        on_one_thread()
    libraries = installed()
    if "torch" in libraries:
        import torch

        torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", os.cpu_count())))
    command = " ".join(["python -m benchmarks", *sys.argv[1:]])
    machine = report.machine(command, libraries, options.rounds)
    print("\n".join(machine), end="\n\n")

    rows, notes = [], []
    for name in options.only:
        found, said = measure(name, libraries, options)
        rows += found
        notes += said
    numbers, ratios = report.tables(rows)
    print(*notes, sep="\n", end="\n\n")
    print(report.plain(numbers), report.plain(ratios), sep="\n\n")
    if options.write:
        lines = "\n".join(f"- {note}" for note in notes)
        parts = [report.markdown(numbers), report.markdown(ratios), lines, "; ".join(machine) + "."]
        report.write(DOCS, "\n\n".join(parts))
        print(f"\nwritten into {DOCS_NAME}")


def on_one_thread():
    """One thread for everybody: processor time would count those that wait busily."""
    import threadpoolctl

    threadpoolctl.threadpool_limits(1)
    os.environ["OMP_NUM_THREADS"] = "1"
    os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false"


def arguments():
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    every = [*STEPS, "compiled", "depth", "checkpoint", "memory", "import"]
    parser.add_argument("--rounds", type=int, default=40, help="turns of each library")
    parser.add_argument("--quick", action="store_true", help="two short rounds: does it run?")
    parser.add_argument(
        "--processor-time", action="store_true",
        help="time of one processor, one thread each: for a machine that others use too",
    )  # fmt: skip
    some = {"nargs": "+", "choices": every, "default": every, "metavar": "NAME"}
    parser.add_argument("--only", **some, help=f"some of: {', '.join(every)}")
    parser.add_argument("--write", action="store_true", help=f"put the tables into {DOCS_NAME}")
    options = parser.parse_args()
    if options.write and (options.quick or options.only != every):
        parser.error("--write is for a whole run, without --quick and --only")
    if options.quick:
        options.rounds = 2
    options.clock = process_time if options.processor_time else perf_counter
    options.brief = {"seconds": 0, "pause": 0} if options.quick else {}
    return options


def measure(name, libraries, options):
    """The rows of one workload, and lines for what has no other library in it."""
    print(f"... {name}", file=sys.stderr, flush=True)
    if name == "memory":
        return memory_rows(libraries, batch=64 if options.quick else memory.BATCH), []
    if name == "compiled":
        return [], compiled_lines(options) if "jax" in libraries else []
    if name == "depth":
        return [], depth_lines(options)
    if name == "checkpoint":
        return [], checkpoint_lines(options)
    if name == "import":
        times = imports.in_turns(libraries, rounds=max(1, options.rounds // 4))
        return [report.Row(imports.TITLE, "ms", {n: 1e3 * t for n, t in times.items()})], []
    workload = STEPS[name]
    problem = workload.problem(**(workload.QUICK if options.quick else {}))
    columns = with_columns(libraries)
    versions = with_unguarded({n: v for n, v in workload.VERSIONS.items() if n in columns})
    steps = {n: make(problem) for n, make in versions.items()}
    timing.check_agreement(steps)
    times = timing.in_turns(steps, options.rounds, clock=options.clock, **options.brief)
    return [report.Row(workload.TITLE, "µs", {n: 1e6 * t for n, t in times.items()})], []


def compiled_lines(options):
    """What `gn.jit` costs beside `jax.jit`: each call, and the first."""
    cost = compiled.call_cost(options.rounds, options.clock, **options.brief)
    lines = [
        f"A call of gn.jit with {compiled.COUNT} small parameters takes {1e6 * cost:.0f} µs more "
        "than one of jax.jit."
    ]
    for workload in (mlp,) if options.quick else (mlp, lstm, gpt):
        first = compiled.first_calls(workload, options.clock)
        lines.append(
            f"{workload.TITLE}, until the first step is done: gn.jit {first['jit']:.1f} s, "
            f"jax.jit {first['jax']:.1f} s."
        )
    return lines


def depth_lines(options):
    """Microseconds for each operator of a chain, by its length."""
    depths = compiled.DEPTHS[:3] if options.quick else compiled.DEPTHS
    found = compiled.by_depth(depths, clock=options.clock)
    spelled = ", ".join(f"{1e6 * cost:.1f} in one of {depth:,}" for depth, cost in found.items())
    return [f"Microseconds for each operator of a chain, forward and backward: {spelled}."]


def checkpoint_lines(options):
    """What a checkpoint costs, and what it saves."""
    times, peaks = derivatives.checkpoint_costs(max(2, options.rounds // 2))
    return [
        f"A checkpoint around each 4 of 24 layers: {times['again'] / times['kept']:.2f} times the "
        f"time, {peaks['again'] / peaks['kept']:.2f} times the peak memory."
    ]


def memory_rows(libraries, batch):
    """Peak memory, as the system sees it and as Python does."""
    peaks = {
        name: memory.peak(name, batch)
        for name in libraries
        if name in mlp.VERSIONS and name != "jax"
    }
    resident = {name: np.array([peak[0]]) for name, peak in peaks.items()}
    traced = {name: np.array([peak[1]]) for name, peak in peaks.items() if peak[1] is not None}
    title = memory.TITLE.format(batch)
    return [
        report.Row(f"{title}: resident memory", "MB", resident),
        report.Row(f"{title}: tracemalloc", "MB", traced),
    ]


if __name__ == "__main__":
    main()
