"""What several test files need."""

import os
import sys
import threading

import numpy as np
import pytest

import gradnerve as gn

# JAX compiles every function for every shape, and runs it once: it need not be quick.
os.environ.setdefault(
    "XLA_FLAGS", "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"
)


@pytest.fixture(autouse=True)
def _seeded():
    """Random numbers are the same in each test, whichever ran before it."""
    gn.manual_seed(0)


@pytest.fixture(scope="session")
def torch():
    """PyTorch, the reference; where the tests count (CI=true) it has to be there."""
    try:
        import torch
    except ImportError:
        if os.environ.get("CI") == "true":
            pytest.fail("CI compares with PyTorch, and runs on it: install the extra `bench`")
        pytest.skip("PyTorch, the reference, is not installed (pip install '.[bench]')")
    torch.set_default_dtype(torch.float64)
    torch.set_num_threads(1)  # the arrays are small
    return torch


@pytest.fixture
def jax():
    """JAX in double precision, the second reference, as PyTorch is the first."""
    try:
        import jax
    except ImportError:
        if os.environ.get("CI") == "true":
            pytest.fail("CI compares with JAX, and runs on it: install the extra `bench`")
        pytest.skip("JAX, a reference, is not installed (pip install '.[bench]')")
    # GradNerve does so too, for good, once it meets an array of JAX.
    jax.config.update("jax_enable_x64", True)
    return jax


@pytest.fixture(params=["jax", "torch"])
def library(request):
    """The name of each array library but NumPy that can be tested here."""
    request.getfixturevalue(request.param)
    return request.param


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def in_threads():
    """Runs a function in several threads at once, which take turns very often."""

    def run(work, count, interval):
        threads = [threading.Thread(target=work) for _ in range(count)]
        before = sys.getswitchinterval()
        sys.setswitchinterval(interval)
        try:
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        finally:
            sys.setswitchinterval(before)

    return run
