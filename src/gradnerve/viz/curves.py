"""How training went: learning curves, and which classes are taken for which."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, FAINT = "#333333", "#dddddd"
TRAIN, TEST = "#8a8a8a", "#0b6bb8"


def learning_curves(epochs: Sequence[Mapping[str, Any]], title: str = "") -> Figure:
    """Loss and accuracy by epoch, in training and in the test, as a matplotlib figure.

    Each epoch has `epoch`, `train_loss`, `test_loss`, `train_accuracy` and `test_accuracy` (0 to
    1), as a line of metrics.jsonl has. `.savefig(path)` writes the picture.

    >>> row = {"train_loss": 1.0, "test_loss": 0.5, "train_accuracy": 0.8, "test_accuracy": 0.9}
    >>> figure = learning_curves([{"epoch": 1, **row}, {"epoch": 2, **row}])
    >>> [axes.get_title(loc="left") for axes in figure.axes]
    ['Loss', 'Accuracy, %']
    """
    from matplotlib.figure import Figure  # not pyplot: no window, and nothing global is changed

    figure = Figure(figsize=(9, 3.8), dpi=150, layout="constrained")
    figure.suptitle(title, color=INK, parse_math=False)  # a name may have a $ in it
    left, right = figure.subplots(1, 2)
    _curves(left, epochs, "loss", "Loss", 1)
    _curves(right, epochs, "accuracy", "Accuracy, %", 100)
    left.set_ylim(bottom=0)
    return figure


def _curves(
    axes: Axes, epochs: Sequence[Mapping[str, Any]], what: str, title: str, scale: float
) -> None:
    from matplotlib.ticker import MaxNLocator

    x = [epoch["epoch"] for epoch in epochs]
    marker = "o" if len(x) == 1 else None
    for part, color in (("train", TRAIN), ("test", TEST)):
        y = [scale * epoch[f"{part}_{what}"] for epoch in epochs]
        label = f"{part} {y[-1]:.2f}" if scale == 100 else f"{part} {y[-1]:.3g}"
        axes.plot(x, y, color=color, marker=marker, linewidth=2, label=label)
    axes.set_title(title, loc="left", color=INK)
    axes.set_xlabel("epoch", color=INK)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10], min_n_ticks=1))
    axes.legend(frameon=False, labelcolor="linecolor")
    _quiet(axes)
    axes.grid(axis="y", color=FAINT, linewidth=0.6)


def confusion_matrix(counts: Any, title: str = "") -> Figure:
    """Which class was taken for which: counts (C, C), true class by predicted, as a figure.

    A cell's shade is its share of the images of its row's class; the number is the count. Raises
    ValueError where the counts are not square.

    >>> figure = confusion_matrix([[9, 1], [0, 10]])
    >>> figure.axes[0].get_xlabel(), figure.axes[0].get_ylabel()
    ('predicted', 'true')
    """
    from matplotlib.figure import Figure

    counts = np.asarray(counts)
    if counts.ndim != 2 or counts.shape[0] != counts.shape[1]:
        raise ValueError(f"a confusion matrix is square, but the counts have shape {counts.shape}")
    classes = len(counts)
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    right, total = int(np.trace(counts)), int(counts.sum())

    figure = Figure(figsize=(6.2, 6.4), dpi=150, layout="constrained")
    axes = figure.subplots()
    # The colour follows the root of the share: one mistake in forty is to be seen.
    axes.imshow(np.sqrt(share), cmap="Blues", vmin=0, vmax=1.1)
    if classes <= 20:
        axes.set_xticks(range(classes))
        axes.set_yticks(range(classes))
        for i, j in np.argwhere(counts):
            color = "white" if share[i, j] > 0.4 else INK
            axes.text(j, i, str(counts[i, j]), ha="center", va="center", color=color, fontsize=9)
    head = f"{title}\n" if title else ""
    percent = 100 * right / max(total, 1)
    axes.set_title(
        f"{head}{right:,} of {total:,} right: {percent:.2f} %", color=INK, parse_math=False
    )
    axes.set_xlabel("predicted", color=INK)
    axes.set_ylabel("true", color=INK)
    _quiet(axes)
    # Thin white lines part the cells.
    axes.set_xticks(np.arange(classes + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(classes + 1) - 0.5, minor=True)
    axes.grid(which="minor", color="white", linewidth=1)
    axes.tick_params(which="both", length=0)
    return figure


def _quiet(axes: Axes) -> None:
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0, colors=INK)
