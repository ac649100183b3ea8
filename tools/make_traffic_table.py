"""Writes the tables in docs/scale.md: what the devices say to each other in a training step.

Read off the program that XLA makes of it, for virtual devices on the CPU. Run it as
`XLA_FLAGS=--xla_force_host_platform_device_count=256 python tools/make_traffic_table.py`.

Of the GPTs there are shapes only, no arrays. Their layers are alike, so the programs of one and of
two layers say what each further one adds.
"""

import re
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np

import gradnerve as gn
from gradnerve import backends
from gradnerve.nn import functional as F
from gradnerve.parallel import _step
from gradnerve.train import mlp

PAGE = Path(__file__).parent.parent / "docs/scale.md"
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


# --- GPTs -----------------------------------------------------------------------------------------


class Size(NamedTuple):
    """A GPT: so many layers, so wide, texts of `length` tokens, `batch` of them for each part."""

    layers: int
    width: int
    heads: int
    tokens: int
    length: int
    batch: int

    def count(self):
        """How many parameters."""
        return sum(int(np.prod(shape)) for shape in shapes(self).values())


SIZES_OF_GPT = {
    "10 M": Size(3, 512, 8, 256, 256, 32),
    "1 B": Size(16, 2048, 16, 51_200, 2048, 4),
    "70 B": Size(86, 8192, 64, 51_200, 2048, 4),
}
# The rule of each weight, as gn.distributed.shard takes it: copied; cut along "model", so that the
# two products of attention, and those of the perceptron, meet in one sum (Megatron-LM, arXiv
# 1909.08053); or cut along "data", as the batch is, and put together where it is used (ZeRO, stage
# 3, arXiv 1910.02054).
COPIED: dict = {}
BY_MODEL = {
    "*.query": ("model", None), "*.key": ("model", None), "*.value": ("model", None),
    "*.out": (None, "model"), "*.up": ("model", None), "*.down": (None, "model"),
    "embedding": ("model", None), "head": ("model", None),
}  # fmt: skip
BY_DATA = dict.fromkeys(BY_MODEL, ("data", None))


def shapes(size):
    """The weights of a GPT, by name."""
    n, weights = size.width, {"embedding": (size.tokens, size.width)}
    for i in range(size.layers):
        weights |= {f"{i}.{name}": (n, n) for name in ("query", "key", "value", "out")}
        weights |= {f"{i}.up": (4 * n, n), f"{i}.down": (n, 4 * n)}
        weights |= {f"{i}.norm1": (n,), f"{i}.norm2": (n,)}
    return weights | {"norm": (n,), "head": (size.tokens, n)}


def loss(weights, tokens, target, size):
    """Cross-entropy of each next token (positions and biases left out)."""
    n, length = tokens.shape
    mask = np.triu(np.full((length, length), -np.inf, np.float32), 1)

    def norm(x, name):
        return F.layer_norm(x, (size.width,), weights[name])

    def heads(x):
        parts = x.reshape(n, length, size.heads, size.width // size.heads)
        return gn.permute_dims(parts, (0, 2, 1, 3))

    x = F.embedding(tokens, weights["embedding"])
    for i in range(size.layers):
        y = norm(x, f"{i}.norm1")
        query, key, value = (heads(y @ weights[f"{i}.{k}"].mT) for k in ("query", "key", "value"))
        scores = query @ key.mT * (size.width // size.heads) ** -0.5 + mask
        mixed = gn.permute_dims(gn.softmax(scores, -1) @ value, (0, 2, 1, 3))
        x = x + mixed.reshape(n, length, size.width) @ weights[f"{i}.out"].mT
        y = norm(x, f"{i}.norm2") @ weights[f"{i}.up"].mT
        x = x + F.gelu(y, approximate="tanh") @ weights[f"{i}.down"].mT
    logits = norm(x, "norm") @ weights["head"].mT
    return F.cross_entropy(logits.reshape(n * length, size.tokens), target.reshape(n * length))


def shape_only(shape, dtype, mesh, axes, learned=False):
    """A Tensor that has no array: its place on the mesh is all that a program is made of."""
    sharding = gn.distributed._sharding("", shape, mesh, axes)
    tensor = gn.Tensor(np.zeros(0, np.float32), requires_grad=learned)
    tensor._data = jax.ShapeDtypeStruct(shape, dtype, sharding=sharding)
    return tensor


def program_of_gpt(size, mesh, rules):
    """The compiled step of a GPT, as text: SGD, as what an optimiser adds crosses no network."""
    backends.libraries[jax.ShapeDtypeStruct] = backends.load("jax")
    weights = {}
    for name, shape in shapes(size).items():
        rule = next((axes for key, axes in rules.items() if name.endswith(key.strip("*"))), None)
        weights[name] = shape_only(shape, np.float32, mesh, rule, learned=True)
    batch = (size.batch * mesh.shape["data"], size.length)
    tokens, target = (shape_only(batch, np.int64, mesh, "data") for _ in range(2))

    def step(optimizer, weights, tokens, target):
        value = loss(weights, tokens, target, size)
        value.backward()
        optimizer.step()
        optimizer.zero_grad()
        return value

    optimizer = gn.optim.SGD(weights.values(), 0.1)
    return gn.jit(step).lower(optimizer, weights, tokens, target).compile().as_text()


def traffic_of_gpt(size, mesh, rules):
    """As `traffic`, of all layers: that of the first, and so often what a second one adds."""
    one, two = (traffic(program_of_gpt(size._replace(layers=n), mesh, rules)) for n in (1, 2))
    totals = []
    for first, both in zip(one, two, strict=True):
        kinds = {*first, *both}
        more = size.layers - 1
        totals.append({k: first[k] + more * (both[k] - first[k]) for k in kinds})
    return totals


def layouts(devices):
    """Ways to lay a GPT on so many devices, of which a machine has eight: name, mesh, rules."""
    model = min(devices, 8)
    yield "copied", {"data": devices, "model": 1}, COPIED
    yield "cut by model", {"data": devices // model, "model": model}, BY_MODEL
    yield "cut by data", {"data": devices, "model": 1}, BY_DATA


# --- How long a step takes ------------------------------------------------------------------------

COUNTS = tuple(2**i for i in range(9))
FLOPS = 400e12  # of a device: an H100's 989e12 in bfloat16, of which large models get 40 %
LINKS = {  # bytes a second that a device can send
    "1 Gb/s": 1e9 / 8, "10 Gb/s": 10e9 / 8, "100 Gb/s": 100e9 / 8, "400 Gb/s": 400e9 / 8,
    "NVLink, 450 GB/s": 450e9,
}  # fmt: skip


def seconds_of_work(size, axes):
    """6 operations per parameter and token (Kaplan et al., arXiv 2001.08361), on all devices."""
    tokens = size.batch * size.length * axes["data"]
    return 6 * size.count() * tokens / (FLOPS * axes["data"] * axes["model"])


def spelled(number):
    """1234567 as 1.23 M."""
    for unit, name in ((1e12, " T"), (1e9, " G"), (1e6, " M"), (1e3, " k")):
        if number >= unit:
            return f"{number / unit:.3g}{name}"
    return f"{number:.3g}" if number else "0"


def two_digits(number):
    """0.0123 as 0.012, 1234 as 1,200."""
    rounded = float(f"{number:.2g}")
    return f"{rounded:,.0f}" if rounded >= 10 else f"{rounded:.2g}"


def tables_of_gpts(sizes=SIZES_OF_GPT, counts=COUNTS, shown=64):
    """What each device sends, by their number; of `shown` devices what that is, and the seconds."""
    sent_table = [
        f"| GPT | weights | {' | '.join(map(str, counts))} |", "|---|---|" + "---|" * len(counts)
    ]  # fmt: skip
    kinds_table = [
        "| GPT | weights | mesh | all-reduce | all-gather | others |", "|---|---|---|---|---|---|"
    ]  # fmt: skip
    time_table = [
        f"| GPT | weights | work | {' | '.join(LINKS)} |", "|---|---|---|" + "---|" * len(LINKS)
    ]  # fmt: skip
    for name, size in sizes.items():
        for i, layout in enumerate(("copied", "cut by model", "cut by data")):
            row = []
            for devices in counts:
                _, axes, rules = list(layouts(devices))[i]
                found = traffic_of_gpt(size, gn.distributed.mesh(**axes), rules)
                _, results, sent = found
                total = sum(sent.values())
                row.append(spelled(total))
                if devices != shown:
                    continue
                main = [results.get(kind, 0) for kind in ("all-reduce", "all-gather")]
                cells = " | ".join(map(spelled, (*main, sum(results.values()) - sum(main))))
                mesh = f"data={axes['data']}, model={axes['model']}"
                kinds_table.append(f"| {name} | {layout} | {mesh} | {cells} |")
                work = seconds_of_work(size, axes)
                times = (two_digits(work + total / speed) for speed in LINKS.values())
                time_table.append(
                    f"| {name} | {layout} | {two_digits(work)} | {' | '.join(times)} |"
                )
            sent_table.append(f"| {name} | {layout} | {' | '.join(row)} |")
    return ["\n".join(lines) + "\n" for lines in (sent_table, kinds_table, time_table)]


def put(page, name, text):
    """The page with this text between the two marks of that name."""
    begin, end = f"<!-- {name}: tools/make_traffic_table.py -->\n", f"<!-- end of {name} -->\n"
    before, rest = page.split(begin)
    return f"{before}{begin}\n{text}\n{end}{rest.split(end)[1]}"


if __name__ == "__main__":
    page = put(PAGE.read_text(encoding="utf-8"), "mlp", table())
    for name, text in zip(("sent", "kinds", "seconds"), tables_of_gpts(), strict=True):
        page = put(page, name, text)
    PAGE.write_text(page, encoding="utf-8")
