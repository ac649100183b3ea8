"""Prints the table in docs/scale.md: what the devices say to each other in a training step.

Read off the program that XLA makes of it, for virtual devices on the CPU. Run it as
`XLA_FLAGS=--xla_force_host_platform_device_count=8 python tools/make_traffic_table.py`.
"""

import re
from collections import Counter

import numpy as np

import gradnerve as gn
from gradnerve.parallel import _step
from gradnerve.train import mlp

BATCH = 128
COLLECTIVES = "all-reduce|all-gather|reduce-scatter|all-to-all|collective-permute"
SIZES = {"pred": 1, "s32": 4, "u32": 4, "f32": 4, "s64": 8, "u64": 8, "f64": 8}
# How much of the result each of n devices sends when they stand in a ring.
ON_THE_WIRE = {
    "all-reduce": lambda n: 2 * (n - 1) / n,
    "all-gather": lambda n: (n - 1) / n,
    "reduce-scatter": lambda n: n - 1,
    "all-to-all": lambda n: (n - 1) / n,
    "collective-permute": lambda n: 1,
}
SPLIT = {"fc1.weight": "model", "fc1.bias": "model", "fc2.weight": (None, "model")}


def program(mesh, rules=()):
    """The compiled step of the MLP on the digits, as text."""
    gn.manual_seed(0)
    model = gn.distributed.shard(mlp((1, 8, 8), 10), mesh, rules)
    optimizer = gn.distributed.shard(gn.optim.Adam(model.parameters()), mesh)
    arrays = np.zeros((BATCH, 1, 8, 8), np.float32), np.zeros(BATCH, np.int64)
    batch = gn.distributed.shard_batch(arrays, mesh)
    return gn.jit(_step).lower(model, optimizer, *batch).compile().as_text()


def traffic(text):
    """Of each kind of collective, how many there are: and bytes of results, and sent by a device.

    An operation on a tuple of arrays is one collective.
    """
    counts, results, sent = Counter(), Counter(), Counter()
    for line in text.splitlines():
        found = re.search(rf"= (.*?) ({COLLECTIVES})(?:-start)?\(", line)
        if not found:
            continue
        shapes, kind = found.groups()
        size = 0
        for dtype, dimensions in re.findall(r"(\w+)\[([\d,]*)\]", shapes):
            size += SIZES[dtype] * int(np.prod([int(n) for n in dimensions.split(",") if n]))
        counts[kind] += 1
        results[kind] += size
        sent[kind] += ON_THE_WIRE[kind](group(line)) * size
    return counts, results, sent


def group(line):
    """How many devices take part: XLA writes {{0,1},{2,3}}, [2,2]<=[4] or mesh['a'=2] {'a'}."""
    if found := re.search(r"replica_groups=\{\{([\d,]*)\}", line):
        return len(found[1].split(","))
    if found := re.search(r"replica_groups=\[\d+,(\d+)\]", line):
        return int(found[1])
    if found := re.search(r"replica_groups=mesh\[(.*?)\] \{(.*?)\}", line):
        sizes = dict(re.findall(r"'(\w+)'=(\d+)", found[1]))
        return int(np.prod([int(sizes[axis]) for axis in re.findall(r"'(\w+)'", found[2])]))
    return 2  # collective-permute: from one to another


def table():
    """The table, in Markdown."""
    lines = [
        "| mesh | collectives in a step | bytes of their results | sent by each device |",
        "|---|---|---|---|",
    ]
    meshes = [({"data": n}, ()) for n in (1, 2, 4, 8)] + [({"data": 4, "model": 2}, SPLIT)]
    for axes, rules in meshes:
        counts, results, sent = traffic(program(gn.distributed.mesh(**axes), rules))
        name = ", ".join(f"{axis}={size}" for axis, size in axes.items())
        kinds = ", ".join(f"{count} {kind}" for kind, count in counts.items()) or "none"
        lines.append(
            f"| {name} | {kinds} | {sum(results.values()):,} | {round(sum(sent.values())):,} |"
        )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(table(), end="")
