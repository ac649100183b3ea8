"""Weights go to a file and come back the same; a file is whole, or is not there."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

import gradnerve as gn
from gradnerve import io, nn

STATE = {
    "conv.weight": np.arange(24, dtype=np.float32).reshape(2, 3, 4),
    "double": np.array([1.0, -np.inf, np.nan]),
    "half": np.ones(3, dtype=np.float16),
    "whole": np.array([[1, 2]], dtype=np.int64),
    "empty": np.zeros((0, 3), dtype=np.float32),
    "single": np.array(7.0),
}


def same(a, b):
    return a.keys() == b.keys() and all(
        (a[k].dtype, a[k].shape, a[k].tobytes()) == (b[k].dtype, b[k].shape, b[k].tobytes())
        for k in a
    )


def test_weights_come_back(tmp_path):
    io.save_weights(tmp_path / "w.safetensors", STATE)
    assert same(io.load_weights(tmp_path / "w.safetensors"), STATE)


@pytest.mark.parametrize(
    "array",
    [
        np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        np.arange(6.0).reshape(2, 3).T,
        np.arange(12.0)[::-2],
        np.broadcast_to(np.arange(3.0), (4, 3)),
    ],
    ids=["fortran", "transposed", "every other, backwards", "broadcast"],
)
def test_weights_that_lie_otherwise_in_memory(tmp_path, array):
    """safetensors alone would store a Fortran-ordered array with its elements mixed up."""
    io.save_weights(tmp_path / "w.safetensors", {"a": array})
    assert np.array_equal(io.load_weights(tmp_path / "w.safetensors")["a"], array)


def test_tensors_are_saved_by_their_values(tmp_path):
    io.save_weights(tmp_path / "w", {"a": gn.Tensor([1.0, 2.0], requires_grad=True)})
    assert io.load_weights(tmp_path / "w")["a"].tolist() == [1.0, 2.0]


def test_a_models_weights_come_back_into_another(tmp_path):
    one, two = nn.Linear(3, 2), nn.Linear(3, 2)
    x = np.ones((1, 3), dtype=np.float32)
    assert not np.array_equal(one(x).data, two(x).data)
    io.save_weights(tmp_path / "w", one.state_dict())
    two.load_state_dict(io.load_weights(tmp_path / "w"))
    assert np.array_equal(one(x).data, two(x).data)


def test_other_programs_read_the_file(tmp_path):
    from safetensors.numpy import load_file

    io.save_weights(tmp_path / "w.safetensors", STATE, {"classes": 10})
    assert same(load_file(tmp_path / "w.safetensors"), STATE)


def test_metadata_comes_back(tmp_path):
    about = {"model": "cnn", "classes": 10, "image": [1, 8, 8], "lr": 0.1, "words": "à 'b' \"c\""}
    io.save_weights(tmp_path / "w", STATE, about)
    assert io.load_metadata(tmp_path / "w") == about
    io.save_weights(tmp_path / "w", STATE)
    assert io.load_metadata(tmp_path / "w") == {}


def test_metadata_of_others(tmp_path):
    from safetensors.numpy import save_file

    save_file(STATE, tmp_path / "w", {"format": "pt"})
    assert io.load_metadata(tmp_path / "w") == {}


def test_equal_contents_are_equal_bytes_in_any_process(tmp_path):
    code = (
        "import sys; from gradnerve import io\n"
        "import numpy as np\n"
        "io.save_weights(sys.argv[1], {'b': np.ones(2), 'a': np.zeros(3)},"
        " {k: 1 for k in sys.argv[2]})"
    )
    for i, keys in enumerate(["qwertyuiop", "poiuytrewq", "qwertyuiop"]):
        subprocess.run([sys.executable, "-c", code, str(tmp_path / str(i)), keys], check=True)
    first, *others = [(tmp_path / str(i)).read_bytes() for i in range(3)]
    assert others == [first, first]


@pytest.mark.parametrize("array", [np.ones(2, dtype=np.complex128), np.array(["a"])])
def test_what_safetensors_cannot_store(tmp_path, array):
    with pytest.raises(TypeError, match=f"cannot store 'x', an array of {array.dtype}"):
        io.save_weights(tmp_path / "w", {"ok": np.ones(1), "x": array})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("load", [io.load_weights, io.load_metadata])
def test_loading_what_is_not_there(tmp_path, load):
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "none")


@pytest.mark.parametrize("load", [io.load_weights, io.load_metadata])
@pytest.mark.parametrize("damage", ["cut", "empty", "text"])
def test_loading_what_is_no_safetensors_file(tmp_path, load, damage):
    path = tmp_path / "w"
    io.save_weights(path, STATE)
    whole = path.read_bytes()
    path.write_bytes({"cut": whole[:-1], "empty": b"", "text": b"hello, world\n" * 3}[damage])
    with pytest.raises(ValueError, match=f"^'{path}' is not a whole safetensors file: "):
        load(path)


# --- Whole files ----------------------------------------------------------------------------------


def test_write_makes_and_replaces(tmp_path):
    path = tmp_path / "a.txt"
    io.write(path, "one\n")
    io.write(path, "zwölf\n")
    assert path.read_bytes() == "zwölf\n".encode()
    io.write(str(path), b"\x00\xff")
    assert path.read_bytes() == b"\x00\xff"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
def test_a_writer_that_fails_changes_nothing(tmp_path, error):
    path = tmp_path / "a.png"
    io.write(path, "before")

    def writer(temporary):
        temporary.write_text("half")
        raise error

    with pytest.raises(error):
        io.write_with(path, writer)
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


def test_nobody_sees_a_part(tmp_path):
    path = tmp_path / "a.png"

    def writer(temporary):
        temporary.write_text("half")
        assert temporary.parent == path.parent, "a rename is whole within a file system only"
        assert temporary.suffix == ".png", "matplotlib goes by the suffix"
        assert not path.exists()
        temporary.write_text("whole")

    io.write_with(path, writer)
    assert path.read_text() == "whole"


def test_what_has_a_name_is_on_the_disk(tmp_path, monkeypatch):
    """First the content, under the other name; then the folder, which has the name."""
    path, seen = tmp_path / "a.txt", []

    def fsync(file):
        seen.append((os.path.samestat(os.fstat(file), tmp_path.stat()), path.exists()))

    monkeypatch.setattr(os, "fsync", fsync)
    io.write(path, "one")
    assert seen == [(False, False), (True, True)]


def test_a_new_file_has_the_usual_permissions(tmp_path):
    (tmp_path / "usual").touch()
    io.write(tmp_path / "ours", "")
    assert (tmp_path / "ours").stat().st_mode == (tmp_path / "usual").stat().st_mode


def test_writing_into_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError):
        io.write(tmp_path / "none" / "a", "x")


def test_nothing_heavy_is_loaded_before_it_is_used():
    code = (
        "import gradnerve, gradnerve.io, gradnerve.viz, gradnerve.train, gradnerve.cli, sys, json\n"
        "print(json.dumps(sorted(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    loaded = set(json.loads(result.stdout))
    assert not loaded & {"rich", "matplotlib", "safetensors"}, "these load on first use"
