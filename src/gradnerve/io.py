"""Files: weights as safetensors, and writing that leaves a whole file or none."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from secrets import token_hex
from typing import Any

import numpy as np

from gradnerve.backends import as_array, moved

DTYPES = (
    "bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64",
    "float16", "float32", "float64",
)  # fmt: skip


def save_weights(
    path: str | Path, state: Mapping[str, Any], metadata: Mapping[str, Any] | None = None
) -> None:
    """Write arrays by name, as of `model.state_dict()`, to a safetensors file.

    `metadata` is whatever JSON can say about them; it is stored as JSON text under the key
    "gradnerve". Equal contents give equal bytes. The file appears whole, or not at all. Raises
    TypeError for an array of a type that safetensors cannot store, OSError where the file cannot be
    written. Source: the safetensors format, https://huggingface.co/docs/safetensors.

    >>> file = Path(getfixture("tmp_path")) / "model.safetensors"
    >>> save_weights(file, {"fc.weight": np.eye(2)}, {"classes": 2})
    >>> load_weights(file)
    {'fc.weight': array([[1., 0.],
           [0., 1.]])}
    >>> load_metadata(file)
    {'classes': 2}
    """
    from safetensors.numpy import save

    # safetensors stores an array's memory as it lies, whatever the order of its axes in there.
    arrays = {
        name: np.asarray(moved(as_array(getattr(value, "_data", value)), "numpy"), order="C")
        for name, value in state.items()
    }
    for name, array in arrays.items():
        if array.dtype.name not in DTYPES:
            raise TypeError(
                f"safetensors cannot store '{name}', an array of {array.dtype}; it stores "
                f"{', '.join(DTYPES)}"
            )
    # One key only: safetensors writes several in an order that differs from run to run.
    text = {"gradnerve": json.dumps(dict(metadata), sort_keys=True)} if metadata else None
    write(path, save(arrays, text))


def load_weights(path: str | Path) -> dict[str, np.ndarray]:
    """The arrays in a safetensors file, by name: what `model.load_state_dict()` takes.

    Raises OSError where the file cannot be read, ValueError where it is no safetensors file.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    content = Path(path).read_bytes()
    try:
        return load(content)
    except SafetensorError as error:
        raise ValueError(f"'{path}' is not a whole safetensors file: {error}") from None


def load_metadata(path: str | Path) -> dict[str, Any]:
    """What `save_weights` was told about the arrays: {} where that was nothing.

    Raises OSError where the file cannot be read, ValueError where it is no safetensors file.
    """
    from safetensors import SafetensorError, safe_open

    Path(path).open("rb").close()  # for Python's own words where it is missing
    try:
        with safe_open(path, framework="numpy") as file:
            found = file.metadata() or {}
    except SafetensorError as error:
        raise ValueError(f"'{path}' is not a whole safetensors file: {error}") from None
    return json.loads(found.get("gradnerve", "{}"))


def write(path: str | Path, content: str | bytes) -> None:
    """Write a file whole: text as UTF-8, or bytes. Raises OSError; then nothing has changed.

    >>> file = Path(getfixture("tmp_path")) / "note.txt"
    >>> write(file, "done")
    >>> file.read_text()
    'done'
    """
    data = content.encode() if isinstance(content, str) else content
    write_with(path, lambda temporary: temporary.write_bytes(data))


def write_with(path: str | Path, writer: Callable[[Path], Any]) -> None:
    """Let `writer` write a file under a temporary name beside `path`, then give it its name.

    Whoever looks at `path` sees the old file or the new one, and never a part. If the writer
    raises, the temporary file is gone and `path` is as it was.
    """
    path = Path(path)
    # It keeps the suffix, by which a writer may tell the format.
    temporary = path.with_name(f".{path.stem}-{token_hex(4)}{path.suffix}")
    try:
        writer(temporary)
        _to_disk(temporary)  # else a name could outlive a power cut, and its content not
        temporary.replace(path)
        if os.name == "posix":  # the name itself is in the folder; others cannot open those
            _to_disk(path.parent)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _to_disk(path: Path) -> None:
    file = os.open(path, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)
