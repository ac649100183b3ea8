"""The embedded digits, and folders of IDX files: good ones, and every kind of bad one."""

import gzip
import hashlib
import re
import struct
from pathlib import Path

import numpy as np
import pytest

from gradnerve import data
from gradnerve.data import DatasetError, load_digits, load_idx, read_idx

IMAGES = np.arange(6 * 4 * 5, dtype=np.uint8).reshape(6, 4, 5)
LABELS = np.array([0, 9, 1, 3, 3, 7], dtype=np.uint8)


def idx(array):
    header = struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
    return header + array.astype(np.uint8).tobytes()


FILES = {
    "train-images-idx3-ubyte": idx(IMAGES),
    "train-labels-idx1-ubyte": idx(LABELS),
    "t10k-images-idx3-ubyte": idx(IMAGES[:2]),
    "t10k-labels-idx1-ubyte": idx(LABELS[:2]),
}


@pytest.fixture
def folder(tmp_path):
    for name, content in FILES.items():
        (tmp_path / name).write_bytes(content)
    return tmp_path


def refused(folder):
    """The message, which is one line."""
    with pytest.raises(DatasetError) as error:
        load_idx(folder)
    assert "\n" not in str(error.value)
    return str(error.value)


# --- The digits -----------------------------------------------------------------------------------


def test_digits_are_scikit_learns_in_another_order():
    images, labels = (
        np.concatenate(both) for both in zip(*(part.arrays for part in load_digits()), strict=True)
    )
    pixels = np.rint((images.reshape(-1, 64) + 1) * 8)
    rows = np.column_stack([pixels, labels]).astype(np.uint8)
    content = b"".join(sorted(row.tobytes() for row in rows))
    # That of the same rows made from sklearn.datasets.load_digits() (scikit-learn 1.x).
    expected = "f67d6a29d0e1f70e7f0cd9dcf25816b694881f4b8f27f5cc1db59551f0499fb8"
    assert hashlib.sha256(content).hexdigest() == expected


def test_digits_split():
    (images, labels), (test_images, test_labels) = (part.arrays for part in load_digits())
    assert (images.shape, test_images.shape) == ((1438, 1, 8, 8), (359, 1, 8, 8))
    assert (images.dtype, labels.dtype) == (np.float32, np.int64)
    assert (images.min(), images.max()) == (-1, 1)
    both = np.bincount(labels) + np.bincount(test_labels)
    assert np.allclose(np.bincount(test_labels) / both, 0.2, atol=0.005)
    train = {image.tobytes() for image in images}
    assert not any(image.tobytes() in train for image in test_images)


def test_every_digit_is_near_the_front_of_both_parts():
    for part in load_digits():
        assert set(part.arrays[1][:60]) == set(range(10))


def test_digits_are_there_with_their_licence():
    folder = Path(data.__file__).parent
    assert (folder / "digits.npz").stat().st_size < 60_000
    text = (folder / "DIGITS-LICENCE.txt").read_text()
    for words in ("Alpaydin", "Kaynak", "10.24432/C50P49", "CC BY 4.0", "1,797", "359"):
        assert words in text


# --- Folders that are as they should be -----------------------------------------------------------


def test_a_folder(folder):
    train, test = load_idx(folder)
    images, labels = train.arrays
    assert (images.shape, images.dtype) == ((6, 1, 4, 5), np.float32)
    assert np.allclose(images[:, 0], IMAGES / 127.5 - 1)
    assert labels.dtype == np.int64
    assert labels.tolist() == LABELS.tolist()
    assert len(test) == 2


@pytest.mark.parametrize("dotted", [False, True])
@pytest.mark.parametrize("gzipped", [False, True])
def test_the_names_that_are_in_use(tmp_path, dotted, gzipped):
    for name, content in FILES.items():
        name = name.replace("-idx", ".idx") if dotted else name
        path = tmp_path / (name + ".gz" * gzipped)
        path.write_bytes(gzip.compress(content) if gzipped else content)
    train, test = load_idx(str(tmp_path))
    assert (len(train), len(test)) == (6, 2)


def test_black_is_minus_one_and_white_is_one(folder):
    (folder / "train-images-idx3-ubyte").write_bytes(idx(np.array([[[0, 255]]] * 6)))
    (folder / "t10k-images-idx3-ubyte").write_bytes(idx(np.array([[[0, 255]]] * 2)))
    assert load_idx(folder)[0].arrays[0][0].tolist() == [[[-1.0, 1.0]]]


def test_more_classes_when_asked_for(folder):
    (folder / "train-labels-idx1-ubyte").write_bytes(idx(LABELS + 40))
    assert load_idx(folder, classes=50)[0].arrays[1].max() == 49


def test_read_idx_of_any_number_of_axes(tmp_path):
    for shape in [(), (3,), (2, 3), (0, 4), (2, 1, 2, 3)]:
        array = np.ones(shape, dtype=np.uint8)
        (tmp_path / "file").write_bytes(idx(array))
        assert read_idx(tmp_path / "file").shape == shape


# --- And those that are not -----------------------------------------------------------------------


def test_no_folder(tmp_path):
    assert refused(tmp_path / "none") == (
        f"there is no folder '{tmp_path / 'none'}'; name one that has the four IDX files of MNIST"
    )


def test_a_file_for_a_folder(folder):
    path = folder / "t10k-labels-idx1-ubyte"
    assert refused(path) == f"'{path}' is a file, not a folder; name the folder of the IDX files"


def test_a_folder_that_cannot_be_read(folder, monkeypatch):
    """As the superuser, who may run this, nothing is unreadable: so we say it is."""

    def denied(*_, **__):
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr("gradnerve.data.datasets.Path.is_file", denied)
        assert refused(folder) == f"cannot read the folder '{folder}': Permission denied"
    with monkeypatch.context() as patch:
        patch.setattr("gradnerve.data.datasets.Path.read_bytes", denied)
        path = folder / "train-images-idx3-ubyte"
        assert refused(folder) == f"cannot read '{path}': Permission denied"


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_named(folder, name):
    (folder / name).unlink()
    assert refused(folder) == (
        f"'{folder}' has no file {name} or {name}.gz; it needs the four IDX files of MNIST or "
        "Fashion-MNIST, under their published names"
    )


@pytest.mark.parametrize("name", FILES)
def test_a_truncated_file(folder, name):
    whole = FILES[name]
    (folder / name).write_bytes(whole[:-1])
    assert refused(folder) == (
        f"'{folder / name}' should have {len(whole):,} bytes, as its header says, but has "
        f"{len(whole) - 1:,}; download it again"
    )


@pytest.mark.parametrize("length", [4, 7, 15])
def test_a_file_that_ends_in_its_header(folder, length):
    name = "train-images-idx3-ubyte"
    (folder / name).write_bytes(FILES[name][:length])
    assert refused(folder) == f"'{folder / name}' is cut off in its header; download it again"


def test_a_file_that_goes_on(folder):
    name = "train-labels-idx1-ubyte"
    (folder / name).write_bytes(FILES[name] + b"x")
    assert "should have 14 bytes, as its header says, but has 15;" in refused(folder)


def test_lengths_that_no_memory_holds(folder):
    """2**32 - 1 images of as many rows and columns: refused without an attempt to make them."""
    name = "train-images-idx3-ubyte"
    (folder / name).write_bytes(b"\0\0\x08\x03" + b"\xff" * 12)
    assert "should have 79,228,162,458,924,105,385,300,197,391 bytes" in refused(folder)


@pytest.mark.parametrize(
    ("content", "found"),
    [(b"", "nothing"), (b"<html>", "3c68746d"), (b"\0\0\x0d\x03" + b"\0" * 12, "00000d03")],
)
def test_a_bad_magic_number(folder, content, found):
    path = folder / "t10k-images-idx3-ubyte"
    path.write_bytes(content)
    assert refused(folder) == (
        f"'{path}' is not an IDX file of bytes: it begins with {found}, not with 000008; "
        "download it again"
    )


@pytest.mark.parametrize(
    "content",
    [
        b"not gzip",
        gzip.compress(b"x" * 1000)[:-9],
        gzip.compress(FILES["train-images-idx3-ubyte"])[:20] + b"\xff" * 40,
        gzip.compress(b"x" * 1000)[:-8] + b"12345678",
    ],
    ids=["no gzip", "cut off", "damaged", "wrong checksum"],
)
def test_bad_gzip(folder, content):
    (folder / "train-images-idx3-ubyte").unlink()
    path = folder / "train-images-idx3-ubyte.gz"
    path.write_bytes(content)
    message = refused(folder)
    assert message.startswith(f"'{path}' is damaged, or is not gzip (")
    assert message.endswith("); download it again")


def test_a_truncated_file_inside_good_gzip(folder):
    (folder / "train-images-idx3-ubyte").unlink()
    path = folder / "train-images-idx3-ubyte.gz"
    path.write_bytes(gzip.compress(FILES["train-images-idx3-ubyte"][:-5]))
    assert "should have 136 bytes, as its header says, but has 131 when unpacked" in refused(folder)


def test_labels_where_images_should_be(folder):
    path = folder / "train-images-idx3-ubyte"
    path.write_bytes(idx(LABELS))
    assert refused(folder) == (
        f"'{path}' should have 3 axes, but has 1: is it another of the four files?"
    )


def test_images_where_labels_should_be(folder):
    path = folder / "t10k-labels-idx1-ubyte"
    path.write_bytes(idx(IMAGES))
    assert refused(folder) == (
        f"'{path}' should have 1 axis, but has 3: is it another of the four files?"
    )


def test_different_counts(folder):
    labels = folder / "train-labels-idx1-ubyte"
    labels.write_bytes(idx(LABELS[:-1]))
    assert refused(folder) == (
        f"'{folder / 'train-images-idx3-ubyte'}' has 6 images, but '{labels}' has 5 labels; "
        "they do not belong together"
    )


@pytest.mark.parametrize("name", ["train-labels-idx1-ubyte", "t10k-labels-idx1-ubyte"])
@pytest.mark.parametrize("label", [10, 255])
def test_labels_out_of_range(folder, name, label):
    labels = np.frombuffer(FILES[name], dtype=np.uint8, offset=8).copy()
    labels[1] = label
    (folder / name).write_bytes(idx(labels))
    assert refused(folder) == (
        f"'{folder / name}' has label {label} for image 1 (counted from 0), but labels go from "
        "0 to 9"
    )


@pytest.mark.parametrize("shape", [(0, 28, 28), (6, 0, 28)])
def test_no_images(folder, shape):
    path = folder / "train-images-idx3-ubyte"
    path.write_bytes(idx(np.zeros(shape)))
    (folder / "train-labels-idx1-ubyte").write_bytes(idx(np.zeros(shape[0])))
    assert refused(folder) == f"'{path}' has no images: its shape is {shape}"


def test_images_of_two_sizes(folder):
    (folder / "t10k-images-idx3-ubyte").write_bytes(idx(IMAGES[:2, :3]))
    assert refused(folder) == (
        f"'{folder}': training and test images have different sizes, 4x5 and 3x5"
    )


def test_the_suffix_gz_says_that_a_file_is_gzipped(tmp_path):
    (tmp_path / "a").write_bytes(gzip.compress(idx(LABELS)))
    with pytest.raises(DatasetError, match=re.escape("it begins with 1f8b08")):
        read_idx(tmp_path / "a")
