"""The benchmarks run, and all libraries compute the same; nothing is said of time."""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from benchmarks import plots, report

ROOT = Path(__file__).parent.parent
TITLES = (
    "GradNerve", "gn.jit", "GradNerve on PyTorch", "PyTorch", "torch.compile", "jax.jit",
    "tinygrad", "autograd", "MyGrad", "MyGrad unguarded", "NumPy by hand",
)  # fmt: skip
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
    for note in (
        "times the time", "more than one of jax.jit", "until the first step", "one loop of 3 steps",
        "Depth: ", "Batch: ", "Width: ",
    ):  # fmt: skip
        assert note in notes
    for title in TITLES:
        assert title in numbers.splitlines()[0]
    small = ("Attention", "cumsum", "sort", "Embedding", "solve", "cholesky")
    # The medians in each row, and the ratios: neither gn.jit nor the other arrays are divided by.
    tinygrad = importlib.util.find_spec("tinygrad") is not None
    slow = any(map(shutil.which, ("g++", "clang++"))) + (tinygrad and bool(shutil.which("clang")))
    rows = [("MLP 2-16", 9 + slow, 7 + slow), ("Chain", 9, 7), ("MLP 784", 9, 7), ("LeNet", 9, 7)]
    rows += [("ResNet", 5, 3), ("LSTM", 5, 3), ("GPT", 5, 3), ("Hessian", 5, 4)]
    rows += [("import", 6 + tinygrad, 5 + tinygrad)]
    for row, cells, divided in rows + [(name, 2, 1) for name in small]:
        line = line_of(numbers, row)
        _title, _unit, rest = line.partition("µs" if row != "import" else "ms")
        assert rest.count("(") in (cells, 0), line  # the quartiles beside each median
        line = line_of(ratios, row)
        assert len([word for word in line.split() if is_ratio(word)]) == divided, line
    memory = [line for line in numbers.splitlines() if ": memory, MB" in line]
    assert [line.split()[0] for line in memory] == ["MLP", "Ten-layer"]
    for line in memory:
        assert len(line.partition("MB")[2].split()) == 8


def line_of(table, title):
    """The line of a workload's time."""
    lines = [line for line in table.splitlines() if line.startswith(title)]
    (line,) = [line for line in lines if "memory" not in line]
    return line


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


@pytest.mark.slow
@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="not a git repository")
def test_two_commits_are_compared_and_nothing_stays_behind():
    before = git("worktree", "list")
    result = run("--quick", "--only", "chain", "cumsum", "--against", "HEAD")
    assert result.returncode == 0, result.stderr
    head, *lines = result.stdout.strip().splitlines()
    assert head.split() == ["HEAD", "here", "here", "÷", "it", "quartiles"]
    assert [line.partition(":")[2].split()[0] for line in lines[:2]] == ["Chain", "cumsum"]
    for line in lines:
        assert re.search(r"\(.+–.+\) .* \d+\.\d{3} +\d+\.\d{3}–\d+\.\d{3}$", line), line
    assert git("worktree", "list") == before


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="not a git repository")
def test_an_unknown_commit_is_an_error():
    result = run("--against", "no-such-revision")
    assert result.returncode == 1
    assert "benchmarks: fatal: invalid reference: no-such-revision" in result.stderr


def git(*arguments):
    return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True).stdout


def test_pictures_have_every_network_and_library(tmp_path):
    names = ("gradnerve", "jit", "torch", "numpy")
    rows = [
        report.Row(title, "µs", {n: np.array([i + 1.0]) for i, n in enumerate(names)})
        for title in ("one network", "another")
    ]
    plots.ratios(rows, tmp_path / "ratios.svg")
    plots.curves({"depth": {10: 1e-6, 100: 2e-6}, "batch": {3: 1e-6}}, tmp_path / "sizes.svg")
    drawn = (tmp_path / "ratios.svg").read_text()
    for text in ("one network", "another", "GradNerve", "gn.jit", "NumPy by hand"):
        assert f">{text}<" in drawn
    assert ">MyGrad<" not in drawn  # it measured nothing
    assert ">examples in a batch<" in (tmp_path / "sizes.svg").read_text()
