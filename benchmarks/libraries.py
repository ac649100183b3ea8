"""The libraries that are compared, in the table's order."""

import importlib.util
import os
import shutil
import sys

TITLES = {
    "gradnerve": "GradNerve",
    "jit": "gn.jit",
    "on_torch": "GradNerve on PyTorch",
    "torch": "PyTorch",
    "compiled": "torch.compile",
    "jax": "jax.jit",
    "tinygrad": "tinygrad",
    "autograd": "autograd",
    "mygrad": "MyGrad",
    "unguarded": "MyGrad unguarded",
    "numpy": "NumPy by hand",
}
NEEDS = {"jit": "jax", "on_torch": "torch", "compiled": "torch", "unguarded": "mygrad"}
"""Columns that are no library of their own, and the library that they need."""
COMPILERS = {"compiled": ("g++", "clang++"), "tinygrad": ("clang",)}
"""Columns that need a compiler, one of these programs; it may be missing where CI=true too."""
SLOW = tuple(COMPILERS)
"""Columns that take from seconds to minutes for each first step."""


def installed():
    """The names of those that are here; where CI=true one that is missing ends the run."""
    packages = [name for name in TITLES if name not in NEEDS]
    missing = [name for name in packages if importlib.util.find_spec(name) is None]
    if missing and os.environ.get("CI") == "true":
        sys.exit(f"benchmarks: not installed: {', '.join(missing)}; pip install -e '.[bench]'")
    for name in missing:
        print(f"{TITLES[name]} is not installed: its column is empty (pip install -e '.[bench]').")
    return [name for name in packages if name not in missing]


def with_columns(libraries):
    """The libraries, and the columns for which those that they need are there."""
    columns = [name for name in TITLES if NEEDS.get(name, name) in libraries]
    for name, programs in COMPILERS.items():
        if name in columns and not any(map(shutil.which, programs)):
            print(f"There is no {' or '.join(programs)}: the column of {TITLES[name]} is empty.")
            columns.remove(name)
    return columns


def with_unguarded(versions):
    """The versions, and MyGrad's once more without its guard against arrays that are changed."""
    if "mygrad" not in versions:
        return versions
    import mygrad

    def unguarded(problem):
        return mygrad.mem_guard_off(versions["mygrad"](problem))

    return {**versions, "unguarded": unguarded}
