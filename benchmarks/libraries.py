"""The libraries that are compared, in the table's order."""

import importlib.util
import os
import sys

TITLES = {
    "gradnerve": "GradNerve",
    "jit": "gn.jit",
    "on_torch": "GradNerve on PyTorch",
    "torch": "PyTorch",
    "jax": "jax.jit",
    "autograd": "autograd",
    "mygrad": "MyGrad",
    "unguarded": "MyGrad unguarded",
    "numpy": "NumPy by hand",
}
NEEDS = {"jit": "jax", "on_torch": "torch", "unguarded": "mygrad"}
"""Columns that are no library of their own, and the library that they need."""


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
    return [name for name in TITLES if NEEDS.get(name, name) in libraries]


def with_unguarded(versions):
    """The versions, and MyGrad's again without its guard against arrays that are changed."""
    if "mygrad" not in versions:
        return versions
    import mygrad

    def unguarded(problem):
        return mygrad.mem_guard_off(versions["mygrad"](problem))

    return {**versions, "unguarded": unguarded}
