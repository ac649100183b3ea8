"""The public examples run as written, and print what they should."""

import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parent.parent / "examples"


def run(name):
    done = subprocess.run(
        [sys.executable, EXAMPLES / name], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{name} failed:\n{done.stderr}"
    assert done.stderr == "", f"{name} wrote to stderr:\n{done.stderr}"
    return done.stdout.splitlines()


def test_first_gradient():
    assert run("first_gradient.py") == ["[3.]", "[2.]"]


def test_add_one():
    assert run("add_one.py") == ["[2. 3. 4.]"]


def test_linear_regression_with_the_beginners_mistake():
    lines = run("linear_regression.py")
    # The loss of the (3, 3) difference: it cannot fall below the spread of the targets, 8/3.
    assert lines[0] == "Epoch [10/100], Loss: 7.6204"
    assert lines[9] == "Epoch [100/100], Loss: 5.6958"
    assert lines[10].startswith("Learned weights: [[0.216")


def test_linear_regression_corrected():
    lines = run("linear_regression_corrected.py")
    losses = [float(line.split()[-1]) for line in lines[:10]]
    assert losses == sorted(losses, reverse=True), "the loss should fall from epoch to epoch"
    assert losses[-1] < 0.5, "and get near 0, as the three points lie on a plane"


def test_the_pair_differs_in_the_data_alone():
    wrong = (EXAMPLES / "linear_regression.py").read_text().splitlines()
    right = (EXAMPLES / "linear_regression_corrected.py").read_text().splitlines()
    different = [line for line in right if line not in wrong and not line.startswith("#")]
    assert different == ["y = np.array([[6], [8], [10]], dtype=np.float64)"]


def test_minimize_with_scipy():
    for line in run("minimize_with_scipy.py"):
        assert line.endswith("minimum at [1. 1. 1. 1. 1. 1. 1. 1. 1. 1.]")


def test_stiff_equation():
    evaluations, after = run("stiff_equation.py")
    assert int(evaluations.split()[2]) > 0, "the solver asked for the Jacobian"
    assert after == "After 100,000 s: [0.017866 0.       0.982134], in all 1.000000"


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.name)
def test_every_example_runs(path):
    assert run(path.name), f"{path.name} prints nothing"
