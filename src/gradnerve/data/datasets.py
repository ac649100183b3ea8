"""Data sets of labelled images: the digits that come with GradNerve, and folders like MNIST's."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path

import numpy as np

from gradnerve.data.loader import TensorDataset

DIGITS = Path(__file__).parent / "digits.npz"


class DatasetError(ValueError):
    """A data file is missing, or not what it should be. The message says which, and what to do."""


def load_digits() -> tuple[TensorDataset, TensorDataset]:
    """Handwritten digits to train with (1,438 images), and others to test with (359).

    Images are float32 (N, 1, 8, 8), from -1 for paper to 1 for ink; labels are int64 (N,), 0 to 9.
    The split is always the same, with each digit's share in both parts; each part is in a random
    order. Source: E. Alpaydin and C. Kaynak, "Optical Recognition of Handwritten Digits", UCI
    Machine Learning Repository, 1998, doi 10.24432/C50P49, CC BY 4.0: its test part, as
    scikit-learn has it.

    >>> train, test = load_digits()
    >>> images, labels = train.arrays
    >>> print(images.shape, images.dtype, labels.shape, labels.dtype)
    (1438, 1, 8, 8) float32 (1438,) int64
    """
    with np.load(DIGITS, allow_pickle=False) as file:
        train, test = (
            _dataset(file[f"{part}_images"], file[f"{part}_labels"], white=16)
            for part in ("train", "test")
        )
    return train, test


def load_idx(folder: str | Path, classes: int = 10) -> tuple[TensorDataset, TensorDataset]:
    """Images to train with, and others to test with, from a folder with MNIST's four files.

    The files are named as MNIST and Fashion-MNIST are published (train-images-idx3-ubyte, or with a
    dot, train-images.idx3-ubyte), plain or with .gz. Images become float32 (N, 1, H, W), from -1
    to 1; labels become int64 (N,), 0 to below `classes`. Raises DatasetError where a file is
    missing, damaged, or does not fit the others.

    >>> load_idx("no-such-folder")
    Traceback (most recent call last):
        ...
    gradnerve.data.datasets.DatasetError: there is no folder 'no-such-folder'; name one that ...
    """
    folder = Path(folder)
    try:
        if not folder.exists():
            raise DatasetError(
                f"there is no folder '{folder}'; name one that has the four IDX files of MNIST"
            )
        if not folder.is_dir():
            raise DatasetError(
                f"'{folder}' is a file, not a folder; name the folder of the IDX files"
            )
        paths = {name: _find(folder, name) for name in NAMES}
    except OSError as error:
        raise DatasetError(f"cannot read the folder '{folder}': {error.strerror}") from None
    train, test = (_load_part(paths, part, classes) for part in ("train", "t10k"))
    shapes = train.arrays[0].shape[1:], test.arrays[0].shape[1:]
    if shapes[0] != shapes[1]:
        sizes = " and ".join(f"{h}x{w}" for _, h, w in shapes)
        raise DatasetError(f"'{folder}': training and test images have different sizes, {sizes}")
    return train, test


def read_idx(path: str | Path) -> np.ndarray:
    """The array in an IDX file of unsigned bytes, plain or (by its name, .gz) gzipped.

    The file is two zero bytes, 0x08 for unsigned bytes, the number of axes, the length of each axis
    as four bytes with the highest first, then the elements. Raises DatasetError where the file
    cannot be read or is anything else. Source: Y. LeCun, C. Cortes and C. Burges, "The MNIST
    database of handwritten digits", section "File formats".

    >>> file = Path(getfixture("tmp_path")) / "labels"
    >>> file.write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 3, 7, 8, 9]))
    11
    >>> read_idx(file)
    array([7, 8, 9], dtype=uint8)
    """
    path = Path(path)
    try:
        content = path.read_bytes()
        if path.suffix == ".gz":
            content = gzip.decompress(content)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DatasetError(
            f"'{path}' is damaged, or is not gzip ({error}); download it again"
        ) from None
    except OSError as error:
        raise DatasetError(f"cannot read '{path}': {error.strerror}") from None
    if len(content) < 4 or content[:3] != b"\0\0\x08":
        raise DatasetError(
            f"'{path}' is not an IDX file of bytes: it begins with "
            f"{content[:4].hex() or 'nothing'}, not with 000008; download it again"
        )
    start = 4 + 4 * content[3]
    if len(content) < start:
        raise DatasetError(f"'{path}' is cut off in its header; download it again")
    shape = tuple(np.frombuffer(content, dtype=">u4", count=content[3], offset=4).tolist())
    size = 1
    for length in shape:
        size *= length  # not np.prod: a damaged header's lengths can overflow
    if len(content) != start + size:
        raise DatasetError(
            f"'{path}' should have {start + size:,} bytes, as its header says, but has "
            f"{len(content):,}{' when unpacked' * (path.suffix == '.gz')}; download it again"
        )
    return np.frombuffer(content, dtype=np.uint8, offset=start).reshape(shape)


# The four files, as published; the variant with a dot is what some archives unpack to.
NAMES = {
    "train-images": "train-images-idx3-ubyte",
    "train-labels": "train-labels-idx1-ubyte",
    "t10k-images": "t10k-images-idx3-ubyte",
    "t10k-labels": "t10k-labels-idx1-ubyte",
}


def _find(folder: Path, name: str) -> Path:
    published = NAMES[name]
    dotted = published.replace("-idx", ".idx")
    for candidate in (published, f"{published}.gz", dotted, f"{dotted}.gz"):
        if (folder / candidate).is_file():
            return folder / candidate
    raise DatasetError(
        f"'{folder}' has no file {published} or {published}.gz; "
        "it needs the four IDX files of MNIST or Fashion-MNIST, under their published names"
    )


def _load_part(paths: dict[str, Path], part: str, classes: int) -> TensorDataset:
    images_path, labels_path = paths[f"{part}-images"], paths[f"{part}-labels"]
    images, labels = read_idx(images_path), read_idx(labels_path)
    for path, array, axes in ((images_path, images, 3), (labels_path, labels, 1)):
        if array.ndim != axes:
            raise DatasetError(
                f"'{path}' should have {axes} {'axis' if axes == 1 else 'axes'}, but has "
                f"{array.ndim}: is it another of the four files?"
            )
    if len(images) != len(labels):
        raise DatasetError(
            f"'{images_path}' has {len(images):,} images, but '{labels_path}' has {len(labels):,} "
            "labels; they do not belong together"
        )
    if images.size == 0:
        raise DatasetError(f"'{images_path}' has no images: its shape is {images.shape}")
    if labels.max() >= classes:
        i = int(np.argmax(labels >= classes))
        raise DatasetError(
            f"'{labels_path}' has label {labels[i]} for image {i} (counted from 0), but labels go "
            f"from 0 to {classes - 1}"
        )
    return _dataset(images, labels, white=255)


def _dataset(images: np.ndarray, labels: np.ndarray, white: int) -> TensorDataset:
    """Bytes (N, H, W) from 0 to `white` -> (N, 1, H, W) from -1 to 1, with their labels."""
    # Around 0 networks learn faster: on the digits this is worth about five epochs.
    scaled = images[:, None] * np.float32(2 / white)
    scaled -= 1
    return TensorDataset(scaled, labels.astype(np.int64))
