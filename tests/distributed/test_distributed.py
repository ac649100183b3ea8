"""Many devices: eight of them, virtual ones, in a process of its own; and several processes."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from gradnerve import cli, distributed, io

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
    assert len(done.stdout.split()) == 8


def test_options_that_do_not_fit(capsys):
    assert cli.main(["train", "--devices", "all"]) == 2
    assert "--devices needs --backend jax" in capsys.readouterr().err
    assert cli.main(["train", "--backend", "jax", "--devices", "99"]) == 2
    assert "mesh(data=99) needs more devices than there are" in capsys.readouterr().err
    assert cli.main(["train", "--backend", "jaxx"]) == 2
    assert "--backend" in capsys.readouterr().err


TRAIN = ["train", "--model", "mlp", "--backend", "jax", "--epochs", "2"]


def figures(folder):
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    return [{k: v for k, v in json.loads(line).items() if k != "seconds"} for line in lines]


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """The folder of a run on one device."""
    out = tmp_path_factory.mktemp("alone") / "run"
    assert cli.main([*TRAIN, "--out", str(out)]) == 0
    return out


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def start(port, process, *options, devices=1, processes=2, command=TRAIN):
    together = ["--coordinator", f"127.0.0.1:{port}", "--num-processes", str(processes)]
    return subprocess.Popen(
        [sys.executable, "-m", "gradnerve", *command, *together, "--process-id", str(process),
         *options],
        env=environment(devices), text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def ends(processes, within=120):
    """Their exit codes, and what they print."""
    found = []
    for process in processes:
        try:
            out, err = process.communicate(timeout=within)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            raise
        told = [line for line in err.splitlines() if not line.startswith("[Gloo]")]
        found.append((process.returncode, out, "\n".join(told)))
    return found


@pytest.mark.slow
def test_one_device(alone):
    assert figures(alone)[-1]["test_accuracy"] > 0.85


@pytest.mark.slow
@pytest.mark.parametrize(("processes", "devices"), [(2, 2), (4, 1)])
def test_several_processes_learn_what_one_does(alone, tmp_path, processes, devices):
    port, out = free_port(), tmp_path / "run"
    options = {"devices": devices, "processes": processes}
    (code, said, err), *others = ends(
        [start(port, i, "--out", str(out), **options) for i in range(processes)]
    )
    assert code == 0
    assert [other[:2] for other in others] == [(0, "")] * (processes - 1)
    for text in err, *(other[2] for other in others):
        assert "gradnerve" not in text  # Gloo writes there how it connects, lines mixed up
    assert said.startswith("digits: 1,438 images to train with and 359 to test with, 8x8, on 4 cpu")
    assert "Gloo" not in said
    assert len(figures(out)) == 2
    for mine, theirs in zip(figures(out), figures(alone), strict=True):
        assert mine == pytest.approx(theirs, rel=2e-5)
    weights, others = (io.load_weights(path / "model.safetensors") for path in (out, alone))
    for name, weight in weights.items():
        np.testing.assert_allclose(weight, others[name], rtol=1e-3, atol=1e-4)


@pytest.mark.slow
def test_the_docs_two_processes(tmp_path):
    """Typed in as docs/scale.md has it, but for the port."""
    page = (HERE.parent.parent / "docs/scale.md").read_text(encoding="utf-8")
    script = re.search(r"^```sh\n(cat > two.py.*?)^```", page, re.MULTILINE | re.DOTALL)[1]
    assert "5555" in script
    env = {**environment(), "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    script = script.replace("5555", str(free_port()))
    done = subprocess.run(
        ["bash", "-c", script], cwd=tmp_path, env=env, text=True, capture_output=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    # Gloo's lines of both processes, which may be mixed up, come before it.
    assert done.stdout.splitlines()[-1] == re.search(r"```text\n(0.1\d*)", page)[1]


@pytest.mark.slow
def test_others_go_on_where_four_were_stopped(alone, tmp_path, capsys):
    """One of four is killed; two go on, and then, from the same checkpoint, one."""
    port, out, again = free_port(), tmp_path / "run", tmp_path / "again"
    four = [start(port, i, "--out", str(out), processes=4) for i in range(4)]
    wait_for_an_epoch(four[0])
    four[2].kill()
    for i, (code, _, err) in enumerate(ends(four, within=60)):
        assert code == (-signal.SIGKILL if i == 2 else 1)
        assert i == 2 or re.match(LOST, err.splitlines()[-1])
    assert len(figures(out)) == 1
    (out / ".checkpoint-0.safetensors").write_bytes(b"half a")  # as if it was writing one
    shutil.copytree(out, again)
    port = free_port()
    two = ends([start(port, i, "--resume", str(out)) for i in range(2)])
    assert [code for code, *_ in two] == [0, 0]
    assert cli.main([*TRAIN, "--resume", str(again)]) == 0
    assert "epoch 2/2" in capsys.readouterr().out
    for found in figures(out), figures(again):
        for mine, theirs in zip(found, figures(alone), strict=True):
            assert mine == pytest.approx(theirs, rel=2e-5)


def wait_for_an_epoch(process):
    """Until it trains, and prints the first line of it."""
    for line in process.stdout:
        if line.startswith("epoch"):
            return
    pytest.fail(f"it ended early: {process.stderr.read()}")


def saves(folder, steps, processes):
    """What so many processes print that go on up to this step: where from, and the losses."""
    port = free_port()
    command = [sys.executable, "-W", "error", str(HERE / "saving.py"), str(port), str(processes)]
    found = ends(
        [
            subprocess.Popen(
                [*command, str(i), str(folder), str(steps)], env=environment(), text=True,
                stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            ) for i in range(processes)
        ]
    )  # fmt: skip
    assert [code for code, *_ in found] == [0] * processes, found[0][2]
    lines = [line.split() for line in found[0][2].splitlines()]
    return {name: [float(x) for n, x in lines if n == name] for name in ("from", "loss")}


@pytest.mark.slow
def test_a_state_in_parts_is_saved_in_parts(tmp_path):
    """By two processes, restored by four and by one; dropout and momentum go on where they were."""
    pytest.importorskip("orbax.checkpoint")
    whole = saves(tmp_path / "whole", 6, 1)["loss"]
    parts = tmp_path / "parts"
    losses = saves(parts, 2, 2)["loss"]
    shutil.copytree(parts / "2", parts / "3.orbax-checkpoint-tmp")  # as if one was being written
    (parts / "3.orbax-checkpoint-tmp/notes/metadata").unlink()
    for steps, processes in ((4, 4), (6, 1)):
        found = saves(parts, steps, processes)
        assert found["from"] == [steps - 2]
        losses += found["loss"]
    assert losses == pytest.approx(whole, rel=2e-5)
    assert {path.name for path in parts.iterdir()} >= {"4", "6"}


# --- What goes wrong ------------------------------------------------------------------------------

LOST = "gradnerve: another process has stopped, hangs, .* A run goes on .*, with --resume"


@pytest.mark.slow
def test_a_process_that_is_gone_stops_the_other(tmp_path):
    """Killed, be it the one that connects them or not, or hanging; all at a time, as one waits."""
    cases = [(1, signal.SIGKILL), (0, signal.SIGKILL), (1, signal.SIGSTOP)]
    runs = [tmp_path / str(i) for i in range(len(cases))]
    pairs = []
    try:
        for out in runs:
            port = free_port()
            options = ["--epochs", "2000", "--out", str(out)]
            pairs.append([start(port, i, *options) for i in range(2)])
        for pair in pairs:
            wait_for_an_epoch(pair[0])
        for pair, (gone, sign) in zip(pairs, cases, strict=True):
            pair[gone].send_signal(sign)
        left = [pair[1 - gone] for pair, (gone, _) in zip(pairs, cases, strict=True)]
        found = ends(left, within=60)
    finally:
        for process in (p for pair in pairs for p in pair):
            process.kill()
            process.communicate()
    for (code, _, err), out in zip(found, runs, strict=True):
        assert code == 1
        assert re.match(LOST, err.splitlines()[-1])
        assert figures(out)


@pytest.mark.slow
def test_processes_that_were_started_differently(tmp_path):
    (tmp_path / "b").mkdir()
    (tmp_path / "b/metrics.jsonl").touch()
    ports, a, b = [free_port() for _ in range(3)], str(tmp_path / "a"), str(tmp_path / "b")
    lr = [start(ports[0], i, "--lr", f"0.0{i + 1}", "--out", a) for i in range(2)]
    count = [start(ports[1], i, "--out", a, processes=2 + i) for i in range(2)]
    full = [start(ports[2], i, "--out", b) for i in range(2)]
    for code, _, err in ends(lr):
        assert code == 2
        assert "do not agree on --lr: process 0 has 0.01, process 1 has 0.02; start all" in err
    for code, _, err in ends(count):
        assert code == 2
        assert "do not agree on --num-processes: process 0 has 2, process 1 has 3" in err
    (code, _, err), (other_code, _, other_err) = ends(full)
    assert (code, other_code) == (2, 1)
    assert "holds a run already" in err
    assert "process 0 has stopped: " in other_err
    assert "holds a run already" in other_err


JOIN = """
import sys
import time
from gradnerve import distributed
port, processes, process, timeout = map(int, sys.argv[1:])
distributed.join(f"127.0.0.1:{port}", processes, process, timeout=timeout)
print("joined", flush=True)
time.sleep(60)
"""


def joins(port, processes, process, timeout):
    arguments = map(str, (port, processes, process, timeout))
    return subprocess.Popen(
        [sys.executable, "-c", JOIN, *arguments], env=environment(), text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


@pytest.mark.slow
def test_processes_that_are_missing_or_there_twice():
    few, early, late = (free_port() for _ in range(3))
    one_of_three = [joins(few, 3, i, timeout=6) for i in range(1)]
    twice_early = [joins(early, 3, i, timeout=6) for i in (0, 1, 1)]
    twice_late = [joins(late, 2, i, timeout=30) for i in (0, 1)]
    for process in twice_late:
        assert process.stdout.readline() == "joined\n"
    third = joins(late, 2, 1, timeout=3)
    late_ones = ends([*twice_late, third])
    ((code, _, err),) = ends(one_of_three)
    says = (
        "gradnerve: not all of 3 processes were at 127.0.0.1:{} after 6 s: start the same command "
        "once, and only once, for each number from 0 to 2"
    )
    assert (code, err.splitlines()[-1]) == (1, says.format(few))
    (_, _, first), *two = ends(twice_early)
    assert first.splitlines()[-1] == says.format(early)
    two = sorted(err.splitlines()[-1] for _, _, err in two)
    assert two[0].startswith("gradnerve: another process has number 1 too")
    assert two[1] == says.format(early)
    assert [code for code, *_ in late_ones] == [1, 1, 1]
    last = [err.splitlines()[-1] for *_, err in late_ones]
    assert "or was started twice" in last[0]
    assert "or was started twice" in last[1]
    assert "not all of 2 processes" in last[2]


@pytest.mark.slow
def test_another_program_at_the_coordinators_address():
    """It takes the call, and does not answer."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        ((code, _, err),) = ends([joins(port, 2, 1, timeout=3)])
    assert code == 1
    assert f"not all of 2 processes were at 127.0.0.1:{port} after 3 s" in err.splitlines()[-1]


def test_join_comes_first(jax):
    jax.devices()
    with pytest.raises(RuntimeError, match=r"join has to be called once, and before anything"):
        distributed.join(f"127.0.0.1:{free_port()}", 1, 0)


def test_an_address_that_does_not_do(capsys):
    def says(address, process="0"):
        options = ["--coordinator", address, "--num-processes", "2", "--process-id", process]
        assert cli.main([*TRAIN, *options]) == 2
        return capsys.readouterr().err

    assert "is HOST:PORT, as in 127.0.0.1:5555, not 'here'" in says("here")
    assert "numbers 0 to 1; there is no 2" in says("127.0.0.1:5555", "2")
    assert "there is no machine 'no.such.invalid'" in says("no.such.invalid:5555", "1")
    with socket.socket() as busy:
        busy.bind(("", 0))
        busy.listen()
        assert "another program does" in says(f"127.0.0.1:{busy.getsockname()[1]}")
    with pytest.raises(
        distributed.ProcessLost, match=r"no coordinator at 127.0.0.1:\d+ after 0.5 s"
    ):
        distributed.join(f"127.0.0.1:{free_port()}", 2, 1, timeout=0.5)
    assert cli.main([*TRAIN, "--coordinator", "127.0.0.1:5555"]) == 2
    assert "go together, with --backend jax" in capsys.readouterr().err
