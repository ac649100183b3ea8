"""The libraries that are compared, in the table's order."""

import importlib.util
import os
import sys

TITLES = {
    "gradnerve": "GradNerve",
    "torch": "PyTorch",
    "autograd": "autograd",
    "mygrad": "MyGrad",
    "unguarded": "MyGrad unguarded",
    "jax": "JAX",
    "numpy": "NumPy by hand",
}


def installed():
    """The names of those that are here; where CI=true one that is missing ends the run."""
    packages = [name for name in TITLES if name != "unguarded"]
    missing = [name for name in packages if importlib.util.find_spec(name) is None]
    if missing and os.environ.get("CI") == "true":
        sys.exit(f"benchmarks: not installed: {', '.join(missing)}; pip install -e '.[bench]'")
    for name in missing:
        print(f"{TITLES[name]} is not installed: its column is empty (pip install -e '.[bench]').")
    return [name for name in packages if name not in missing]


def with_unguarded(steps):
    """The steps, and MyGrad's a second time without its guard against arrays that are changed."""
    if "mygrad" not in steps:
        return steps
    import mygrad

    return {**steps, "unguarded": mygrad.mem_guard_off(steps["mygrad"])}
