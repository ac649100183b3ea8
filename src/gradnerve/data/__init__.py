"""Data: what is learned from, and how it is handed out in batches."""

from gradnerve.data.datasets import DatasetError, load_digits, load_idx, read_idx
from gradnerve.data.loader import DataLoader, Dataset, TensorDataset

__all__ = [
    "DataLoader",
    "Dataset",
    "DatasetError",
    "TensorDataset",
    "load_digits",
    "load_idx",
    "read_idx",
]
