"""Many devices: eight of them, virtual ones, in a process of its own; and several processes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
QUICK = "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"


def environment(devices=1):
    """JAX sees so many devices; it compiles in a hurry."""
    flags = f"--xla_force_host_platform_device_count={devices} {QUICK}"
    return {**os.environ, "XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu", "OPENBLAS_NUM_THREADS": "1"}


@pytest.fixture(autouse=True)
def _needs_jax(jax):
    """JAX, or a skip."""


@pytest.mark.slow
def test_eight_devices():
    command = [sys.executable, "-W", "error", str(HERE / "eight.py")]
    done = subprocess.run(command, env=environment(8), text=True, capture_output=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.split()) == 3
