"""Batches: their sizes, their order, and what a data set may be."""

import numpy as np
import pytest

import gradnerve as gn
from gradnerve.data import DataLoader, TensorDataset


def numbers(n):
    return TensorDataset(np.arange(n, dtype=np.float32), np.arange(n) * 10)


def order(loader):
    return [int(i) for x, _ in loader for i in x]


@pytest.mark.parametrize(
    ("n", "batch_size", "drop_last", "sizes"),
    [
        (10, 4, False, [4, 4, 2]),
        (10, 4, True, [4, 4]),
        (8, 4, False, [4, 4]),
        (8, 4, True, [4, 4]),
        (3, 4, False, [3]),
        (3, 4, True, []),
        (0, 4, False, []),
        (3, 1, False, [1, 1, 1]),
    ],
)
@pytest.mark.parametrize("shuffle", [False, True])
def test_batch_sizes(n, batch_size, drop_last, sizes, shuffle):
    loader = DataLoader(numbers(n), batch_size, shuffle, drop_last=drop_last)
    assert [len(x) for x, _ in loader] == sizes
    assert len(loader) == len(sizes)


def test_a_batch_is_a_tuple_of_arrays_with_the_datas_types():
    images, labels = np.ones((5, 1, 8, 8), dtype=np.float32), np.arange(5)
    (batch,) = DataLoader(TensorDataset(images, labels), batch_size=5)
    assert isinstance(batch, tuple)
    x, y = batch
    assert x.shape == (5, 1, 8, 8)
    assert (x.dtype, y.dtype) == (np.float32, np.int64)


def test_unshuffled_is_in_order_each_time():
    loader = DataLoader(numbers(7), 3)
    assert order(loader) == order(loader) == list(range(7))


def test_shuffled_has_each_example_once_with_its_own_label():
    loader = DataLoader(numbers(100), 7, shuffle=True, seed=0)
    assert sorted(order(loader)) == list(range(100))
    assert all((x * 10 == y).all() for x, y in loader)


def test_a_seed_repeats_its_epochs_which_differ():
    one = DataLoader(numbers(100), 7, shuffle=True, seed=3)
    two = DataLoader(numbers(100), 7, shuffle=True, seed=3)
    first, second = order(one), order(one)
    assert [order(two), order(two)] == [first, second]
    assert first != second
    assert order(DataLoader(numbers(100), 7, shuffle=True, seed=4)) != first


def test_a_seeded_loader_leaves_other_random_numbers_alone():
    gn.manual_seed(0)
    undisturbed = gn.ops.random.generator().random()
    gn.manual_seed(0)
    order(DataLoader(numbers(10), 2, shuffle=True, seed=1))
    assert gn.ops.random.generator().random() == undisturbed


def test_without_a_seed_manual_seed_decides():
    loader = DataLoader(numbers(100), 7, shuffle=True)
    gn.manual_seed(1)
    first = order(loader)
    assert order(loader) != first
    gn.manual_seed(1)
    assert order(loader) == first


def test_a_batch_can_be_changed_without_changing_the_data():
    data = numbers(4)
    for x, _ in DataLoader(data, 2):
        x += 100
    assert data.arrays[0].max() == 3


def test_a_batch_of_arrays_is_indexed_once():
    class Counting(np.ndarray):
        taken = 0

        def __getitem__(self, i):
            Counting.taken += 1
            return np.asarray(self)[i]

    data = TensorDataset(np.zeros(1))
    data.arrays = (np.zeros(100).view(Counting),)
    list(DataLoader(data, 50))
    assert Counting.taken == 2


def test_any_data_set_with_a_length_and_examples():
    class Squares:
        def __len__(self):
            return 5

        def __getitem__(self, i):
            return np.full((2, 2), i, dtype=np.float32), i * i

    x, y = next(iter(DataLoader(Squares(), 3)))
    assert (x.shape, x.dtype) == ((3, 2, 2), np.float32)
    assert y.tolist() == [0, 1, 4]
    assert y.dtype == np.int64


def test_a_data_set_of_single_values_gives_single_arrays():
    batches = list(DataLoader([1.5, 2.5, 3.5], 2))
    assert [b.tolist() for b in batches] == [[1.5, 2.5], [3.5]]


def test_a_subclass_that_changes_examples_is_asked_for_each():
    class Negative(TensorDataset):
        def __getitem__(self, i):
            assert isinstance(i, int)
            x, y = super().__getitem__(i)
            return -x, y

    ((x, y),) = DataLoader(Negative(np.arange(3.0), np.arange(3)), 3)
    assert x.tolist() == [0, -1, -2]
    assert y.tolist() == [0, 1, 2]


def test_tensors_and_lists_become_arrays():
    data = TensorDataset(gn.Tensor([1.0, 2.0]), [3, 4])
    assert data[1] == (2.0, 4)
    assert len(data) == 2


@pytest.mark.parametrize("size", [0, -1])
def test_batch_size_below_one(size):
    with pytest.raises(ValueError, match=f"DataLoader: batch_size must be 1 or more, not {size}"):
        DataLoader(numbers(3), size)


@pytest.mark.parametrize("size", [2.0, "2", None])
def test_batch_size_that_is_not_whole(size):
    with pytest.raises(TypeError, match="DataLoader: batch_size must be a whole number, not"):
        DataLoader(numbers(3), size)


def test_a_numpy_integer_is_a_batch_size():
    assert len(DataLoader(numbers(4), np.int64(2))) == 2


def test_arrays_of_different_lengths():
    with pytest.raises(ValueError, match=r"arrays have different lengths, 3, 4: each needs one"):
        TensorDataset(np.zeros(3), np.zeros(4))


@pytest.mark.parametrize("arrays", [(), (np.float32(1),), (np.zeros(3), 1.0)])
def test_arrays_that_hold_no_examples(arrays):
    with pytest.raises(ValueError, match="takes one or more arrays of examples"):
        TensorDataset(*arrays)


def test_examples_of_different_shapes():
    with pytest.raises(ValueError, match=r"examples of shapes \(1,\) and \(2,\) do not fit") as e:
        list(DataLoader([np.zeros(1), np.zeros(2)], 2))
    assert "__getitem__ cut or pad" in str(e.value)


def test_tuples_of_different_lengths():
    with pytest.raises(ValueError, match="tuples of different lengths"):
        list(DataLoader([(1, 2), (1, 2, 3)], 2))
