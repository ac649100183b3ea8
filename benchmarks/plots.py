"""The pictures of docs/benchmarks.md: every library's time over PyTorch's, and cost by size."""

import numpy as np

from benchmarks.libraries import TITLES

OURS = {"gradnerve": "#c0392b", "jit": "#e67e22", "on_torch": "#8e44ad"}
MARKS = {
    "compiled": "s", "jax": "D", "tinygrad": "P", "autograd": "^", "mygrad": "v", "unguarded": "<",
    "numpy": "|",
}  # fmt: skip
LABELS = {
    "depth": ("operators in a chain", "µs per operator", 1e6),
    "batch": ("examples in a batch", "µs per example", 1e6),
    "width": ("width of three layers", "ns per weight", 1e9),
}


def ratios(rows, path):
    """One line for each network, a mark for each library: its time ÷ PyTorch's, in each round."""
    plt = pyplot()
    rows = [row for row in rows if "torch" in row.values][::-1]
    figure, axes = plt.subplots(figsize=(9, 0.55 * len(rows) + 1.6), layout="constrained")
    names = [n for n in TITLES if n != "torch" and any(n in row.values for row in rows)]
    for name in names:
        have = [(i, row) for i, row in enumerate(rows) if name in row.values]
        found = [np.median(row.values[name] / row.values["torch"]) for _, row in have]
        height = 0.12 if name in OURS else -0.16  # one does not hide the other
        axes.plot(
            found, [i + height for i, _ in have], MARKS.get(name, "o"), label=TITLES[name],
            color=OURS.get(name, "#7f8c8d"), markersize=9 if name in OURS else 7,
            markeredgewidth=2 if name == "numpy" else 1, zorder=3 if name in OURS else 2,
            fillstyle="full" if name in OURS else "none",
        )  # fmt: skip
    axes.axvline(1, color="black", linewidth=1)
    axes.set(xscale="log", xlabel="time ÷ PyTorch's (eager); to the left is faster")
    axes.set_yticks(range(len(rows)), [row.title for row in rows])
    axes.set_ylim(-0.6, len(rows) - 0.4)
    ticks = [a * b for b in (0.01, 0.1, 1, 10, 100) for a in (1, 2, 5)]
    low, high = axes.get_xlim()
    axes.set_xticks([t for t in ticks if low <= t <= high])
    axes.set_xticks([], minor=True)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.grid(axis="x", color="#eeeeee")
    for i in range(1, len(rows)):
        axes.axhline(i - 0.5, color="#dddddd", linewidth=0.8)
    figure.legend(loc="outside lower center", ncols=5, frameon=False)
    save(figure, path)


def curves(found, path):
    """Cost against depth, batch and width: flat where it is linear."""
    plt = pyplot()
    figure, panels = plt.subplots(1, len(found), figsize=(9, 2.6), layout="constrained")
    for axes, (name, costs) in zip(panels, found.items(), strict=True):
        where, what, scale = LABELS[name]
        axes.plot(list(costs), [scale * c for c in costs.values()], "o-", color=OURS["gradnerve"])
        axes.set(xscale="log", xlabel=where, ylabel=what)
        axes.set_ylim(0, 1.1 * scale * max(costs.values()))
        axes.minorticks_off()
        axes.set_xticks(list(costs), [f"{size:,}" for size in costs], rotation=30)
    save(figure, path)


def pyplot():
    """matplotlib without a window; the same numbers give the same file."""
    import matplotlib

    matplotlib.use("Agg")
    matplotlib.rcParams.update(
        {"svg.hashsalt": "benchmarks", "svg.fonttype": "none", "font.size": 9}
    )
    from matplotlib import pyplot

    return pyplot


def save(figure, path):
    """Write a picture, SVG by its name."""
    path.parent.mkdir(exist_ok=True)
    figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)
