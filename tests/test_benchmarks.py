"""The benchmarks run, and all libraries compute the same; nothing is said of time."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PEERS = ("torch", "autograd", "mygrad", "jax")
MISSING = [name for name in PEERS if importlib.util.find_spec(name) is None]


def run(*options, **env):
    """`python -m benchmarks` in the repository's root, on one thread.

    Threads that wait for each other take very long on a machine that is busy with other tests.
    """
    one_thread = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, "-m", "benchmarks", *options],
        cwd=ROOT, capture_output=True, text=True, encoding="utf-8",
        env={**os.environ, "PYTHONIOENCODING": "utf-8", **one_thread, **env},
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.skipif(
    bool(MISSING) and os.environ.get("CI") != "true",
    reason=f"not installed: {', '.join(MISSING)} (pip install -e '.[bench]')",
)
def test_quick_run_measures_every_row_in_every_library():
    result = run("--quick")
    assert result.returncode == 0, result.stderr
    _machine, notes, numbers, ratios = result.stdout.strip().split("\n\n")
    for note in ("times the time", "more than one of jax.jit", "until the first step", "chain"):
        assert note in notes
    for title in (
        "GradNerve",
        "gn.jit",
        "GradNerve on PyTorch",
        "PyTorch",
        "autograd",
        "MyGrad",
        "MyGrad unguarded",
        "jax.jit",
        "NumPy by hand",
    ):
        assert title in numbers.splitlines()[0]
    small = ("Attention", "cumsum", "sort", "Embedding", "solve", "cholesky")
    # The medians in each row, and the ratios: neither gn.jit nor the other arrays are divided by.
    rows = [("MLP 2-16", 9, 7), ("Chain", 9, 7), ("MLP 784", 9, 7), ("LeNet", 9, 7)]
    rows += [("LSTM", 5, 3), ("GPT", 5, 3), ("Hessian", 5, 4), ("import", 6, 5)]
    for row, cells, divided in rows + [(name, 2, 1) for name in small]:
        (line,) = [line for line in numbers.splitlines() if line.startswith(row)]
        _title, _unit, rest = line.partition("µs" if row != "import" else "ms")
        assert rest.count("(") in (cells, 0), line  # the quartiles beside each median
        (line,) = [line for line in ratios.splitlines() if line.startswith(row)]
        assert len([word for word in line.split() if is_ratio(word)]) == divided, line
    assert len([line for line in numbers.splitlines() if line.startswith("Ten-layer")]) == 2


def is_ratio(word):
    """Whether it looks like 0.71."""
    whole, point, rest = word.partition(".")
    return point == "." and whole.isdigit() and rest.isdigit()


@pytest.mark.parametrize("ci", ["", "true"])
def test_a_library_that_is_missing_gives_a_line_and_in_ci_an_error(ci, tmp_path):
    (tmp_path / "sitecustomize.py").write_text(
        "import importlib.util as util\n"
        "find = util.find_spec\n"
        "util.find_spec = lambda name, *rest: None if name == 'mygrad' else find(name, *rest)\n"
    )
    path = os.pathsep.join(p for p in (str(tmp_path), os.environ.get("PYTHONPATH")) if p)
    result = run("--quick", "--only", "chain", PYTHONPATH=path, CI=ci)
    if ci:
        assert result.returncode == 1
        assert "benchmarks: not installed: " in result.stderr
        assert "mygrad" in result.stderr
    else:
        assert result.returncode == 0, result.stderr
        assert "MyGrad is not installed: its column is empty" in result.stdout


def test_writing_needs_a_whole_run():
    result = run("--quick", "--write")
    assert result.returncode == 2
    assert "--write is for a whole run" in result.stderr
