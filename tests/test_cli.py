"""The command line: what it prints, what it leaves, its exit codes, and what bad input gets."""

import gzip
import json
import os
import re
import select
import shutil
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import gradnerve
from gradnerve import cli, io

FILES = {"model.safetensors", "metrics.jsonl", "curves.png", "confusion.png"}
# Beside other tests, several threads for small matrices would mostly wait for each other.
ENV = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "TERM": "xterm-256color", "COLUMNS": "100"}


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """Each test runs in an empty folder of its own."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def idx(array):
    array = np.asarray(array, dtype=np.uint8)
    header = struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
    return header + array.tobytes()


@pytest.fixture
def folder(here):
    """60 and 20 images of 6x7, whose label says which row is white."""
    path = here / "my images"
    path.mkdir()
    for part, count in (("train", 60), ("t10k", 20)):
        labels = np.arange(count) % 6
        images = 255 * (np.arange(6)[:, None] == labels[:, None, None]) * np.ones((1, 1, 7))
        (path / f"{part}-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx(images)))
        (path / f"{part}-labels-idx1-ubyte").write_bytes(idx(labels))
    return path


def names(folder):
    return {path.name for path in Path(folder).iterdir()}


def start(*args, **options):
    command = [sys.executable, "-m", "gradnerve", *args]
    return subprocess.Popen(command, env=ENV, text=True, **options)


# --- Runs that work -------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_first_command(here):
    """`gradnerve train`, as the README has it: above 97 % of new digits are read."""
    process = start("train", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    out, err = process.communicate(timeout=300)
    assert (process.returncode, err) == (0, "")
    found = re.search(r"^Test accuracy (\d+\.\d\d) % \((\d+) of 359 images\)$", out, re.MULTILINE)
    assert float(found[1]) > 97
    assert int(found[2]) / 359 > 0.97
    assert "\x1b" not in out
    assert names("runs") == {"digits-cnn-1"}
    assert names("runs/digits-cnn-1") == FILES


def test_plain_output_is_a_line_per_epoch(capsys):
    assert cli.main(["train", "--model", "mlp", "--epochs", "2"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    first, *epochs, accuracy, where = out.splitlines()
    assert first == "digits: 1,438 images to train with and 359 to test with, 8x8"
    for number, line in enumerate(epochs, start=1):
        assert re.fullmatch(
            rf"epoch {number}/2  loss \d\.\d{{4}}  accuracy +\d+\.\d\d %  "
            r"test accuracy +\d+\.\d\d %  \d+\.\d s",
            line,
        )
    assert len(epochs) == 2
    assert re.fullmatch(r"Test accuracy \d\d\.\d\d % \(\d{3} of 359 images\)", accuracy)
    assert where == "The run is in runs/digits-mlp-1"


def test_runs_do_not_overwrite_each_other(capsys):
    for _ in range(2):
        assert cli.main(["train", "--model=mlp", "--epochs=1"]) == 0
    assert names("runs") == {"digits-mlp-1", "digits-mlp-2"}
    assert "The run is in runs/digits-mlp-2\n" in capsys.readouterr().out


def test_all_options(here, folder, capsys):
    args = ["--model", "cnn", "--epochs", "3", "--batch-size", "7", "--lr", "0.01", "--seed", "4"]
    assert cli.main(["train", str(folder), *args, "--out", "a/b"]) == 0
    about = io.load_metadata("a/b/model.safetensors")
    kept = {k: about[k] for k in ("dataset", "model", "epochs", "batch_size", "lr", "seed")}
    assert kept == {
        "dataset": "my images", "model": "cnn", "epochs": 3, "batch_size": 7, "lr": 0.01, "seed": 4,
    }  # fmt: skip
    assert about["image"] == [1, 6, 7]
    assert names(here) == {"a", "my images"}
    assert capsys.readouterr().out.endswith("The run is in a/b\n")


def test_a_folder_is_called_after_itself(here, folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    assert cli.main(["train", ".", "--epochs", "1"]) == 0
    assert names("runs") == {"my-images-cnn-1"}


@pytest.mark.parametrize("name", ["ü $\\frac$ あ", os.fsdecode(b"\xff$x_$")])
def test_a_folder_with_a_name_that_is_hard_to_show(folder, name):
    try:
        folder.rename(name)
    except OSError:
        pytest.skip("this file system does not have such names")
    args = ("train", name, "--epochs", "1", "--model", "mlp", "--out", name + "/out")
    process = start(*args, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, "")
    assert names(name + "/out") == FILES


def test_a_folder_that_is_called_digits(folder, capsys):
    folder.rename("digits")
    assert cli.main(["train", "./digits", "--epochs", "1"]) == 0
    assert "60 images to train with and 20 to test with, 6x7" in capsys.readouterr().out


def test_fewer_images_than_the_usual_batch(folder):
    for part in ("train", "t10k"):
        (folder / f"{part}-labels-idx1-ubyte").write_bytes(idx([0, 1, 2]))
        (folder / f"{part}-images-idx3-ubyte.gz").write_bytes(
            gzip.compress(idx(np.eye(3)[None] * np.ones((3, 1, 1))))
        )
    assert cli.main(["train", str(folder), "--out", "a"]) == 0
    assert io.load_metadata("a/model.safetensors")["batch_size"] == 3
    assert len(Path("a/metrics.jsonl").read_text().splitlines()) == cli.EPOCHS["folder"]


def test_the_same_seed_gives_the_same_run_in_another_process():
    def outcome(out, seed):
        args = ("train", "--epochs", "2", "--seed", seed, "--out", out)
        with start(*args, stdout=subprocess.DEVNULL) as process:
            assert process.wait(timeout=120) == 0
        lines = (Path(out) / "metrics.jsonl").read_text().splitlines()
        figures = [{**json.loads(line), "seconds": None} for line in lines]
        return (Path(out) / "model.safetensors").read_bytes(), figures

    assert outcome("a", "3") == outcome("b", "3") != outcome("c", "4")


@pytest.mark.parametrize(
    ("model", "sizes"), [("cnn", {"conv1.weight": (16, 1, 3, 3)}), ("mlp", {"fc1.bias": (256,)})]
)
def test_weights_have_the_keys_of_their_layers(folder, model, sizes):
    assert cli.main(["train", str(folder), "--model", model, "--epochs", "1", "--out", "a"]) == 0
    weights = io.load_weights("a/model.safetensors")
    assert all(weights[key].shape == shape for key, shape in sizes.items())
    assert all(key.endswith((".weight", ".bias")) for key in weights)


# --- On a terminal --------------------------------------------------------------------------------


def on_terminal(*args, until=b"", then=lambda process: None, columns=100):
    """Run on a pseudo-terminal; `then` is called once `until` was printed. All output, and code."""
    import fcntl
    import pty
    import termios

    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 30, columns, 0, 0))
    env = {k: v for k, v in ENV.items() if k not in ("COLUMNS", "NO_COLOR", "CI")}
    command = [sys.executable, "-m", "gradnerve", *args]
    with subprocess.Popen(
        command, stdin=theirs, stdout=theirs, stderr=theirs, env=env, start_new_session=True
    ) as process:
        os.close(theirs)
        output, waiting, end = b"", bool(until), time.monotonic() + 120
        while time.monotonic() < end:
            try:
                ready, _, _ = select.select([ours], [], [], 1)
                piece = os.read(ours, 65536) if ready else None
            except OSError:  # how Linux says that the other side is closed
                break
            if piece == b"":
                break
            output += piece or b""
            if waiting and until in output:
                waiting = False
                then(process)
        os.close(ours)
        assert not waiting, output
        return output.decode(), process.wait(timeout=60)


def without_codes(text):
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", text)


def test_a_terminal_shows_a_live_bar():
    output, code = on_terminal("train", "--epochs", "3")
    assert code == 0
    assert "\x1b[?25l" in output, "the cursor is hidden while the bar moves"
    assert "\x1b[?25h" in output, "and shown again"
    live = [line for line in re.split(r"[\r\n]+", without_codes(output)) if "images/s" in line]
    assert len(set(live)) > 3, "it moves"
    assert re.search(
        r"^epoch 3/3 ━.* loss \d\.\d{4}  accuracy +\d+\.\d %  [\d,]+ images/s \d\d:\d\d left *$",
        live[-1],
    )
    kept = without_codes(output).splitlines()
    assert sum(line.startswith("epoch") and "test accuracy" in line for line in kept) == 3
    assert kept[-1] == "The run is in runs/digits-cnn-1"


def test_the_bar_fits_80_columns():
    output, code = on_terminal("train", "--epochs", "10", "--model", "mlp", columns=80)
    assert code == 0
    live = [line for line in re.split(r"[\r\n]+", without_codes(output)) if "images/s" in line]
    assert all(len(line) <= 80 and line.rstrip().endswith("left") for line in live)
    assert "━━━━━" in live[-1], "there is room for the bar itself"


def test_a_dumb_terminal_gets_plain_lines(monkeypatch):
    monkeypatch.setitem(ENV, "TERM", "dumb")
    output, code = on_terminal("train", "--epochs", "1", "--model", "mlp")
    assert code == 0
    assert "\x1b" not in output


# --- Stopping -------------------------------------------------------------------------------------


def interrupt(process):
    process.send_signal(signal.SIGINT)


def test_ctrl_c_keeps_what_was_learned():
    process = start("train", "--epochs", "500", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    lines = [process.stdout.readline() for _ in range(3)]
    assert lines[2].startswith("epoch   2/500")
    interrupt(process)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    found = re.fullmatch(
        r"gradnerve: stopped by Ctrl-C after (\d+) of 500 epochs; what was learned is in "
        r"runs/digits-cnn-1\n",
        err,
    )
    done = int(found[1])
    assert done >= 2
    assert names("runs/digits-cnn-1") == {*FILES, "checkpoint.safetensors"}
    assert len(Path("runs/digits-cnn-1/metrics.jsonl").read_text().splitlines()) == done
    assert io.load_metadata("runs/digits-cnn-1/model.safetensors")["epochs"] == done
    assert "Test accuracy" in out


def test_a_run_that_was_stopped_goes_on(monkeypatch, capsys):
    run = ["train", "--model", "mlp", "--epochs", "2"]
    with monkeypatch.context() as patched:
        patched.setattr(cli, "_say", interrupt_after_an_epoch)
        assert cli.main(run) == 130
    capsys.readouterr()
    assert cli.main([*run, "--resume", "runs/digits-mlp-1", "--out", "x"]) == 2
    assert "--resume or --out, not both" in capsys.readouterr().err
    assert cli.main([*run, "--resume", "runs/digits-mlp-2"]) == 2
    assert "'runs/digits-mlp-2' has no checkpoint to go on from" in capsys.readouterr().err
    assert cli.main([*run, "--resume", "runs/digits-mlp-1"]) == 0
    assert "\nepoch 2/2" in capsys.readouterr().out
    assert names("runs/digits-mlp-1") == FILES


def interrupt_after_an_epoch(text):
    if text.startswith("epoch"):
        raise KeyboardInterrupt


def test_ctrl_c_in_the_first_epoch_keeps_the_weights(monkeypatch, capsys):
    def stop_after(count):
        from gradnerve.optim import Adam

        steps = []
        original = Adam.step

        def step(self):
            steps.append(1)
            if len(steps) > count:
                raise KeyboardInterrupt
            original(self)

        monkeypatch.setattr(Adam, "step", step)

    stop_after(3)
    assert cli.main(["train", "--out", "a"]) == 130
    assert capsys.readouterr().err == (
        "gradnerve: stopped by Ctrl-C after 0 of 30 epochs; what was learned is in a\n"
    )
    assert names("a") == {"model.safetensors"}


def test_ctrl_c_before_training(here, monkeypatch, capsys):
    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("gradnerve.data.load_digits", stop)
    assert cli.main(["train"]) == 130
    assert capsys.readouterr().err == "gradnerve: stopped by Ctrl-C\n"
    assert names(here) == set()


def test_ctrl_c_on_a_terminal_leaves_it_as_it_was():
    output, code = on_terminal("train", "--epochs", "500", until=b"images/s", then=interrupt)
    assert code == 130
    assert output.rindex("\x1b[?25h") > output.rindex("\x1b[?25l"), "the cursor is shown again"
    assert "gradnerve: stopped by Ctrl-C after " in without_codes(output).splitlines()[-1]


def test_whoever_reads_the_output_may_leave():
    process = start("train", "--epochs", "500", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdout.readline()
    process.stdout.close()
    assert process.wait(timeout=60) == 141
    assert process.stderr.read() == ""
    process.stderr.close()


# --- A training that fails ------------------------------------------------------------------------


@pytest.mark.parametrize("model", ["cnn", "mlp"])
def test_a_loss_that_is_not_finite(here, model):
    args = ("train", "--lr", "1e30", "--model", model)
    process = start(*args, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 1
    assert re.fullmatch(
        r"gradnerve: the loss became (NaN|infinite) in epoch 1, batch 2 of 45; first not finite "
        r"was the output of layer '(conv|fc)\d' \((Conv2d|Linear)\)\. A smaller learning rate "
        r"helps: --lr 1e\+29\n",
        err,
    )
    assert names(here) == set(), "there is nothing to keep"


def test_no_space_for_what_comes_out(here, monkeypatch, capsys):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("gradnerve.io.write_with", full)
    assert cli.main(["train", "--model", "mlp", "--epochs", "1", "--out", "a"]) == 1
    assert capsys.readouterr().err == "gradnerve: cannot write to 'a' (No space left on device)\n"
    assert names(here) == set()


# --- Bad input ------------------------------------------------------------------------------------


def refused(capsys, *args):
    """The one line that bad input gets, without the program's name."""
    assert cli.main(["train", *args]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert err.startswith("gradnerve: ")
    assert not Path("runs").exists()
    return err.removeprefix("gradnerve: ").removesuffix("\n")


SEE = " (see gradnerve train --help)"


@pytest.mark.parametrize("value", ["0", "-1", "nan", "inf", "0.0", "1e-400", "much"])
def test_a_bad_learning_rate(capsys, value):
    assert refused(capsys, "--lr", value) == (
        f"--lr must be a number above 0, not '{value}'; 0.002 is a good start{SEE}"
    )


@pytest.mark.parametrize("option", ["--epochs", "--batch-size"])
@pytest.mark.parametrize("value", ["0", "-3", "2.5", "ten", "", "nan"])
def test_a_bad_count(capsys, option, value):
    assert refused(capsys, option, value) == (
        f"{option} must be a whole number of 1 or more, not '{value}'{SEE}"
    )


@pytest.mark.parametrize("value", ["-1", "0.5", "x"])
def test_a_bad_seed(capsys, value):
    assert refused(capsys, "--seed", value) == (
        f"--seed must be a whole number of 0 or more, not '{value}'{SEE}"
    )


def test_an_unknown_model(capsys):
    assert refused(capsys, "--model", "CNNN") == f"--model must be cnn or mlp, not 'CNNN'{SEE}"
    assert refused(capsys, "--model", "cnm") == (
        f"--model must be cnn or mlp, not 'cnm'. Did you mean 'cnn'?{SEE}"
    )


def test_arguments_that_are_none(capsys):
    assert refused(capsys, "--epoch", "3") == (
        f"'--epoch' is no argument. Did you mean '--epochs'?{SEE}"
    )
    assert refused(capsys, "digits", "mnist") == f"'mnist' is no argument{SEE}"
    assert refused(capsys, "--lr") == f"--lr expected one argument{SEE}"


def test_no_command(capsys):
    assert cli.main([]) == 2
    assert capsys.readouterr().err == (
        "gradnerve: the following arguments are required: COMMAND (see gradnerve --help)\n"
    )


@pytest.mark.parametrize("size", ["1439", "99999999999999999999"])
def test_a_batch_larger_than_the_data(capsys, size):
    assert refused(capsys, "--batch-size", size) == (
        f"--batch-size {size} is more than the 1,438 training images; give a smaller one"
    )


def test_a_batch_as_large_as_the_data(folder):
    args = ["--batch-size", "60", "--epochs", "1"]
    assert cli.main(["train", str(folder), *args]) == 0


def test_a_path_that_is_not_there(capsys):
    there = "name one that has the four IDX files of MNIST"
    assert refused(capsys, "no/such") == f"there is no folder 'no/such'; {there}"
    assert refused(capsys, "digit") == (
        f"there is no folder 'digit'; {there}. Did you mean 'digits'?"
    )
    assert refused(capsys, "two\nlines") == f"there is no folder 'two\\nlines'; {there}"


def test_a_path_that_is_a_file(here, capsys):
    (here / "file").touch()
    assert refused(capsys, "file") == (
        "'file' is a file, not a folder; name the folder of the IDX files"
    )


def test_a_path_that_cannot_be_read(folder, capsys, monkeypatch):
    def denied(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("gradnerve.data.datasets.Path.read_bytes", denied)
    assert refused(capsys, "my images") == (
        "cannot read 'my images/train-images-idx3-ubyte.gz': Permission denied"
    )


def test_a_folder_without_the_files(here, capsys):
    (here / "empty").mkdir()
    assert refused(capsys, "empty") == (
        "'empty' has no file train-images-idx3-ubyte or train-images-idx3-ubyte.gz; it needs the "
        "four IDX files of MNIST or Fashion-MNIST, under their published names"
    )


IMAGES, LABELS = "train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte"


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        (LABELS, idx(np.zeros(60))[:-1], "should have 68 bytes, as its header says, but has 67"),
        (LABELS, b"<!DOCTYPE html>", "is not an IDX file of bytes: it begins with 3c21444f"),
        (LABELS, b"", "is not an IDX file of bytes: it begins with nothing, not with 000008"),
        (LABELS, idx(np.zeros((60, 1))), "should have 1 axis, but has 2: is it another of the"),
        (LABELS, idx(np.full(60, 10)), "has label 10 for image 0 (counted from 0), but labels go"),
        (IMAGES, gzip.compress(b"x" * 99)[:-8], "is damaged, or is not gzip (Compressed file"),
        (IMAGES, b"plain", "is damaged, or is not gzip (Not a gzipped file"),
        (IMAGES, gzip.compress(idx(np.zeros((59, 6, 7)))), "has 59 images, but 'my images/train-l"),
        (IMAGES, gzip.compress(idx(np.zeros((60, 0, 7)))), "has no images: its shape is (60, 0"),
        ("t10k-labels-idx1-ubyte", idx(np.full(20, 255)), "has label 255 for image 0"),
    ],
    ids=[
        "truncated", "html", "empty", "axes", "labels out of range", "truncated gzip", "no gzip",
        "counts differ", "no images", "test labels out of range",
    ],
)  # fmt: skip
def test_a_damaged_file(folder, capsys, file, content, message):
    (folder / file).write_bytes(content)
    assert refused(capsys, "my images").startswith(f"'my images/{file}' {message}")


def test_an_empty_data_set(folder, capsys):
    (folder / IMAGES).write_bytes(gzip.compress(idx(np.zeros((0, 6, 7)))))
    (folder / LABELS).write_bytes(idx(np.zeros(0)))
    assert refused(capsys, "my images") == (
        f"'my images/{IMAGES}' has no images: its shape is (0, 6, 7)"
    )


def test_a_folder_that_holds_a_run(capsys):
    assert cli.main(["train", "--model=mlp", "--epochs=1", "--out", "a"]) == 0
    capsys.readouterr()
    before = {path: path.read_bytes() for path in Path("a").iterdir()}
    assert refused(capsys, "--out", "a") == (
        "'a' holds a run already; name another folder, or remove this one"
    )
    assert {path: path.read_bytes() for path in Path("a").iterdir()} == before


@pytest.mark.parametrize(
    ("out", "message"),
    [
        ("file", "'file' is a file; name a folder for what comes out of the run"),
        ("file/a", "cannot write to 'file/a' (Not a directory); name another folder with --out"),
    ],
)
def test_a_folder_that_cannot_be_written(here, capsys, out, message):
    (here / "file").touch()
    assert refused(capsys, "--out", out) == message
    assert names(here) == {"file"}


def test_bad_input_is_found_before_a_folder_is_made(here, capsys):
    for bad in (["none"], ["--lr", "0"], ["--batch-size", "5000"]):
        refused(capsys, *bad, "--out", "a/b")
    assert names(here) == set()


# --- The rest -------------------------------------------------------------------------------------


def test_version(capsys):
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out == f"gradnerve {gradnerve.__version__}\n"


@pytest.mark.parametrize("args", [["--help"], ["train", "--help"]])
def test_help(capsys, args):
    assert cli.main(args) == 0
    out = capsys.readouterr().out
    assert out.startswith("usage: gradnerve ")
    assert "train" in out


def test_help_names_every_default(capsys):
    cli.main(["train", "-h"])
    out = " ".join(capsys.readouterr().out.split())
    for words in ("default: cnn", f"default: {cli.EPOCHS['digits']} for", "default: 0)", "runs/"):
        assert words in out


def test_the_script_is_the_same_program():
    script = shutil.which("gradnerve", path=str(Path(sys.executable).parent))
    command = [script] if script else [sys.executable, "-m", "gradnerve"]
    result = subprocess.run([*command, "--version"], capture_output=True, text=True, check=True)
    assert result.stdout == f"gradnerve {gradnerve.__version__}\n"


def test_models_that_can_be_named_are_those_there_are():
    from gradnerve import train

    assert set(cli.MODELS) == set(train.MODELS)
