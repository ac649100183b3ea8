"""python -m benchmarks [--quick] [--rounds N] [--only NAME ...] [--processor-time] [--write].

With --against REVISION: this state of the sources beside that one.
"""

import argparse
import importlib.util
import os
import sys
from pathlib import Path
from time import perf_counter, process_time

import numpy as np

from benchmarks import (
    against,
    compiled,
    derivatives,
    gpt,
    imports,
    lstm,
    memory,
    mlp,
    plots,
    report,
    sizes,
    timing,
)
from benchmarks.libraries import SLOW, TITLES, installed, with_columns, with_unguarded
from benchmarks.workloads import DEEP, NETWORKS, PARTS, STEPS

DOCS_NAME = "docs/benchmarks.md"
DOCS = Path(__file__).parent.parent / DOCS_NAME
TIMED = {**NETWORKS, **PARTS}
OTHERS = ["compiled", "scan", "sizes", "checkpoint", "memory", "import"]


def main():
    """Measure, print the tables, and write them into the docs when told to."""
    options = arguments()
    if options.processor_time:
        on_one_thread()
    if options.against:
        compare(options)
        return
    libraries = installed()
    options.columns = with_columns(libraries)
    if "torch" in libraries:
        import torch

        torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", os.cpu_count())))
    command = " ".join(["python -m benchmarks", *sys.argv[1:]])
    machine = report.machine(command, libraries, options.rounds)
    print("\n".join(machine), end="\n\n")

    rows, notes = [], []
    options.curves = {}
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
        titles = [workload.TITLE for workload in NETWORKS.values()]
        plots.ratios([r for r in rows if r.title in titles], DOCS.parent / "images/ratios.svg")
        plots.curves(options.curves, DOCS.parent / "images/sizes.svg")
        print(f"\nwritten into {DOCS_NAME} and docs/images")


def compare(options):
    """The table of `--against`: medians with quartiles, and ours over that of the revision."""
    table = [["", options.against, "here", "here ÷ it", "quartiles"]]
    columns = ["gradnerve", "jit"] if importlib.util.find_spec("jax") else ["gradnerve"]
    for column in columns:
        names = [n for n in options.only if column in STEPS[n].VERSIONS]
        for title, before, after in against.rows(names, options.against, column, options):
            row = report.Row(title, "µs", {"before": 1e6 * before, "after": 1e6 * after})
            low, middle, high = np.percentile(after / before, (25, 50, 75))
            cells = [row.median("before"), row.median("after"), f"{middle:.3f}"]
            table.append([f"{TITLES[column]}: {title}, µs", *cells, f"{low:.3f}–{high:.3f}"])
    print(report.plain(table))


def on_one_thread():
    """One thread for everybody: processor time would count those that wait busily."""
    import threadpoolctl

    threadpoolctl.threadpool_limits(1)
    if hasattr(os, "sched_setaffinity"):  # XLA has as many threads as there are processors for it
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"
    os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false"


def arguments():
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    every = [*TIMED, *OTHERS]
    parser.add_argument("--rounds", type=int, default=40, help="turns of each library")
    parser.add_argument("--quick", action="store_true", help="two short rounds: does it run?")
    parser.add_argument(
        "--processor-time", action="store_true",
        help="time of one processor, one thread each: for a machine that others use too",
    )  # fmt: skip
    some = {"nargs": "+", "choices": every, "default": every, "metavar": "NAME"}
    parser.add_argument("--only", **some, help=f"some of: {', '.join(every)}")
    parser.add_argument("--write", action="store_true", help=f"put the tables into {DOCS_NAME}")
    parser.add_argument(
        "--against", metavar="REVISION",
        help="compare with the sources of a commit, on the networks or those of --only",
    )  # fmt: skip
    options = parser.parse_args()
    if options.against:
        whole, options.only = options.only == every, [n for n in options.only if n in TIMED]
        options.only = list(NETWORKS) if whole else options.only
        if options.write or not options.only:
            parser.error("--against is for workloads that are timed, without --write")
    if options.write and (options.quick or options.only != every):
        parser.error("--write is for a whole run, without --quick and --only")
    if options.quick:
        options.rounds = 2
    options.clock = process_time if options.processor_time else perf_counter
    options.brief = {"seconds": 0, "pause": 0} if options.quick else {}
    options.child = {
        "quick": options.quick, "clock": options.clock.__name__,
        "seconds": options.brief.get("seconds", 0.05),
    }  # fmt: skip
    return options


def measure(name, libraries, options):
    """The rows of one workload, and lines for what has no other library in it."""
    print(f"... {name}", file=sys.stderr, flush=True)
    if name == "memory":
        return memory_rows(options), []
    if name == "compiled":
        return [], compiled_lines(options) if "jax" in libraries else []
    if name == "scan":
        return [], scan_lines(options) if "jax" in libraries else []
    if name == "sizes":
        return [], size_lines(options)
    if name == "checkpoint":
        return [], checkpoint_lines(options)
    if name == "import":
        times = imports.in_turns(libraries, rounds=max(1, options.rounds // 4))
        return [report.Row(imports.TITLE, "ms", {n: 1e3 * t for n, t in times.items()})], []
    workload = STEPS[name]
    problem = workload.problem(**(workload.QUICK if options.quick else {}))
    columns = [n for n in options.columns if not (options.quick and n in SLOW and name != "tiny")]
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
    names = ["jit", "jax", *(n for n in SLOW if n in options.columns and not options.quick)]
    for workload in (mlp,) if options.quick else (mlp, lstm, gpt):
        first = compiled.first_calls(workload, names)
        spelled = ", ".join(f"{TITLES[name]} {seconds:.1f} s" for name, seconds in first.items())
        lines.append(f"{workload.TITLE}, until the first step is done: {spelled}.")
    return lines


def scan_lines(options):
    """Loops that are compiled as loops."""
    lines = []
    for length in (3,) if options.quick else (32, 512):
        rounds = max(2, options.rounds // 4)
        first, later = compiled.scanned(length, rounds, options.clock, **options.brief)
        spelled = "; ".join(
            f"{loop} {first[name]:.1f} s until the first step is done, then {1e3 * later[name]:.1f}"
            " ms a step"
            for name, loop in (("jit", "gn.scan under gn.jit"), ("jax", "lax.scan"))
        )
        lines.append(f"The LSTM as one loop of {length} steps: {spelled}.")
    return lines


def size_lines(options):
    """What an operator, an example, a weight costs, by how many there are."""
    short = slice(0, 3 if options.quick else None)
    clock = options.clock
    curves = {
        "depth": sizes.by_depth(sizes.DEPTHS[short], clock=clock),
        "batch": sizes.by_batch(sizes.BATCHES[short], clock=clock, **options.brief),
        "width": sizes.by_width(sizes.WIDTHS[short], clock=clock, **options.brief),
    }
    options.curves = curves

    def spelled(name, scale):
        return ", ".join(f"{scale * cost:.2f} at {size:,}" for size, cost in curves[name].items())

    return [
        f"Depth: µs for each operator of a chain, forward and backward: {spelled('depth', 1e6)}.",
        f"Batch: µs for each example of the MLP's step: {spelled('batch', 1e6)}.",
        "Width: ns for each weight of a step of three square layers, batch 128: "
        f"{spelled('width', 1e9)}.",
    ]


def checkpoint_lines(options):
    """What a checkpoint costs, and what it saves."""
    times, peaks = derivatives.checkpoint_costs(max(2, options.rounds // 2))
    return [
        f"A checkpoint around each 4 of 24 layers: {times['again'] / times['kept']:.2f} times the "
        f"time, {peaks['again'] / peaks['kept']:.2f} times the peak memory."
    ]


def memory_rows(options):
    """Peak memory of a step of each network in each library."""
    names = ["tiny"] if options.quick else [n for n in NETWORKS if n not in ("tiny", "chain")]
    rows = []
    for name in [*names, *DEEP]:
        columns = [n for n in options.columns if n in STEPS[name].VERSIONS]
        columns = [n for n in columns if not (options.quick and n in SLOW)]
        peaks = {n: np.array([memory.peak(name, n, options.quick)]) for n in columns}
        rows.append(report.Row(f"{STEPS[name].TITLE}: memory", "MB", peaks))
    return rows


if __name__ == "__main__":
    main()
