"""Make src/gradnerve/data/digits.npz from scikit-learn's copy of the UCI handwritten digits.

    python tools/make_digits.py src/gradnerve/data/digits.npz

Needs scikit-learn, which GradNerve itself does not. The result is the same to the byte each time.
"""

import sys
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits


def main(path: str) -> None:
    found = load_digits()
    images, labels = found.images.astype(np.uint8), found.target.astype(np.uint8)
    assert (images == found.images).all() and images.max() == 16

    # One digit in five of each class is for testing; then both parts are put in a random order, so
    # that a batch or a subset taken from the front has all classes.
    rng = np.random.default_rng(0)
    test = np.concatenate(
        [
            rng.permutation(np.flatnonzero(labels == c))[: round(sum(labels == c) / 5)]
            for c in range(10)
        ]
    )
    train = rng.permutation(np.setdiff1d(np.arange(len(labels)), test))
    test = rng.permutation(test)
    np.savez_compressed(
        Path(path),
        train_images=images[train],
        train_labels=labels[train],
        test_images=images[test],
        test_labels=labels[test],
    )


if __name__ == "__main__":
    main(sys.argv[1])
