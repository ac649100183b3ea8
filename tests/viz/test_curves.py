"""The pictures of a run: that they show the numbers they were given."""

import subprocess
import sys

import numpy as np
import pytest

from gradnerve import viz

EPOCHS = [
    {
        "epoch": i,
        "train_loss": 1 / i,
        "test_loss": 1.1 / i,
        "train_accuracy": 1 - 0.5 / i,
        "test_accuracy": 1 - 0.6 / i,
        "seconds": 1.0,
    }
    for i in range(1, 6)
]


def test_curves_show_the_figures():
    loss, accuracy = viz.learning_curves(EPOCHS, "digits, cnn").axes
    drawn = {line.get_label(): line for axes in (loss, accuracy) for line in axes.lines}
    assert set(drawn) == {"train 0.2", "test 0.22", "train 90.00", "test 88.00"}
    for label, key, scale in [
        ("train 0.2", "train_loss", 1),
        ("test 0.22", "test_loss", 1),
        ("train 90.00", "train_accuracy", 100),
        ("test 88.00", "test_accuracy", 100),
    ]:
        assert list(drawn[label].get_xdata()) == [1, 2, 3, 4, 5]
        assert np.allclose(drawn[label].get_ydata(), [scale * e[key] for e in EPOCHS])
    assert loss.get_ylim()[0] == 0
    assert loss.get_xlabel() == accuracy.get_xlabel() == "epoch"
    assert loss.figure.get_suptitle() == "digits, cnn"


@pytest.mark.parametrize("count", [1, 2, 5])
def test_epochs_are_whole_numbers(count, tmp_path):
    figure = viz.learning_curves(EPOCHS[:count])
    figure.savefig(tmp_path / "a.png")
    for axes in figure.axes:
        low, high = axes.get_xlim()
        ticks = [t for t in axes.get_xticks() if low <= t <= high]
        assert ticks
        assert all(t == round(t) for t in ticks)
        assert all(bool(line.get_marker() == "o") == (count == 1) for line in axes.lines)


def texts(figure):
    return {tuple(t.get_position()): t.get_text() for t in figure.axes[0].texts}


def test_confusion_shows_the_counts():
    counts = np.array([[9, 1, 0], [0, 10, 0], [2, 0, 8]])
    figure = viz.confusion_matrix(counts, "digits, cnn")
    (axes,) = figure.axes
    shown = {(j, i): str(counts[i, j]) for i in range(3) for j in range(3) if counts[i, j]}
    assert texts(figure) == shown, "x is the predicted class, y the true one; zeros stay empty"
    assert axes.get_title() == "digits, cnn\n27 of 30 right: 90.00 %"
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("predicted", "true")
    assert list(axes.get_xticks()) == list(axes.get_yticks()) == [0, 1, 2]
    assert axes.get_ylim() == (2.5, -0.5), "class 0 is at the top"


def test_a_mistake_is_seen_and_a_zero_is_lightest():
    (image,) = viz.confusion_matrix([[1000, 1], [0, 1001]]).axes[0].images
    shades = image.to_rgba(image.get_array())[..., :3].sum(axis=-1)
    assert shades[0, 0] < shades[0, 1] < shades[1, 0], "darker is more"


def test_classes_without_images():
    (axes,) = viz.confusion_matrix(np.zeros((2, 2), dtype=int)).axes
    assert axes.get_title() == "0 of 0 right: 0.00 %"
    assert np.isfinite(axes.images[0].get_array()).all()


def test_many_classes_have_no_numbers():
    assert texts(viz.confusion_matrix(np.ones((30, 30), dtype=int))) == {}


@pytest.mark.parametrize("shape", [(2, 3), (4,)])
def test_counts_that_are_not_square(shape):
    with pytest.raises(ValueError, match="a confusion matrix is square, but the counts have shape"):
        viz.confusion_matrix(np.ones(shape))


def test_no_window_is_opened_and_pyplot_is_left_alone(tmp_path):
    code = (
        "import sys; from gradnerve import viz; viz.confusion_matrix([[1]]).savefig(sys.argv[1])\n"
        "assert 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "a.png")], check=True)
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
