"""Many devices: eight of them, virtual ones, in a process of its own; and several processes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from gradnerve import cli

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
    assert len(done.stdout.split()) == 5


def test_options_that_do_not_fit(capsys):
    assert cli.main(["train", "--devices", "all"]) == 2
    assert "--devices needs --backend jax" in capsys.readouterr().err
    assert cli.main(["train", "--backend", "jax", "--devices", "99"]) == 2
    assert "mesh(data=99) needs more devices than there are" in capsys.readouterr().err
    assert cli.main(["train", "--backend", "jaxx"]) == 2
    assert "--backend" in capsys.readouterr().err


@pytest.mark.slow
def test_the_command_line_trains_with_jax(tmp_path, capsys):
    out = tmp_path / "run"
    options = ["--model", "mlp", "--backend", "jax", "--epochs", "2", "--out", str(out)]
    assert cli.main(["train", *options]) == 0
    assert "on 1 cpu device\n" in capsys.readouterr().out
    last = json.loads((out / "metrics.jsonl").read_text().splitlines()[-1])
    assert last["test_accuracy"] > 0.85
