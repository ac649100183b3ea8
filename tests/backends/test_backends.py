"""The array libraries: how one is found, and NumPy's kernels."""

import array_api_strict
import numpy as np
import pytest

import gradnerve as gn
from gradnerve import backends
from gradnerve.backends import array_library, as_array, kernels, libraries
from gradnerve.ops import Window


class Memmap(np.ndarray):
    """A kind of NumPy array, such as np.memmap."""


@pytest.mark.parametrize(
    "value", [np.ones(2), np.float64(1.0), np.ones(2).view(Memmap), 1.0, [1.0], None]
)
def test_numpy_and_what_is_no_array_is_numpys(value):
    assert array_library(value) is backends.numpy_kernels
    assert array_library(2.0, value) is backends.numpy_kernels
    assert kernels(value) is backends.numpy_kernels
    of_numpy = {kind for kind in libraries if issubclass(kind, (np.ndarray, np.generic))}
    assert of_numpy == {np.ndarray}, "NumPy's scalars are no arrays, nor are its subclasses"


def test_the_first_array_says_which():
    assert array_library(2.0, None, np.ones(1)) is backends.numpy_kernels


def test_numpy_scalars_do_not_change_what_comes_later():
    """Once, an operator on a NumPy scalar made all later 0-d results NumPy scalars too."""
    gn.exp(np.float64(1.0))
    gn.sum(np.float32(1.0))
    x = gn.Tensor([1.0, 2.0], requires_grad=True)
    y = x @ x
    assert type(y.data) is np.ndarray
    y.backward()
    assert type(y.grad) is np.ndarray


def test_a_subclass_is_used_like_an_array():
    x = np.arange(6.0).reshape(1, 1, 6).view(Memmap)
    assert gn.exp(x[0, 0, :1])[0] == 1.0
    assert gn.nn.functional.max_pool1d(x, 2).tolist() == [[[1, 3, 5]]]
    assert type(gn.Tensor(x).data) is np.ndarray


def test_as_array():
    x = np.ones(2)
    assert as_array(x) is x
    for value in (2, 2.5, True, np.float32(1), [1.0, 2.0], ((1,), (2,))):
        assert type(as_array(value)) is np.ndarray


def test_a_kernel_handed_a_tensor_says_so():
    with pytest.raises(TypeError, match=r"no kernels for \['Tensor'\]"):
        kernels(gn.Tensor(1.0))
    with pytest.raises(TypeError, match="no kernels"):
        kernels(np.ones(1), gn.Tensor(1.0))


@pytest.mark.parametrize("size", [1, 2000, 10**9])
def test_a_convolution_is_the_same_in_blocks_of_any_size(size, monkeypatch):
    kernel = backends.numpy_kernels
    window = Window((3, 2), (2, 1), ((1, 0), (1, 1)), (1, 2))
    rng = np.random.default_rng(0)
    x, weight = rng.standard_normal((3, 4, 9, 5)), rng.standard_normal((6, 2, 3, 2))
    y = kernel.convolve(x, weight, window, 2)
    to_x = kernel.convolve_input(y, weight, window, 2, x.shape)
    to_weight = kernel.convolve_weight(y, x, window, 2)
    monkeypatch.setattr(kernel, "BLOCK", size)
    blocks = [range(4)[rows] for rows, _ in kernel.blocks(window, (4, 5), 900)]
    assert [row for block in blocks for row in block] == [0, 1, 2, 3], "each window once"
    assert len(blocks) == {1: 4, 2000: 2, 10**9: 1}[size]
    np.testing.assert_allclose(kernel.convolve(x, weight, window, 2), y)
    np.testing.assert_allclose(kernel.convolve_input(y, weight, window, 2, x.shape), to_x)
    np.testing.assert_allclose(kernel.convolve_weight(y, x, window, 2), to_weight)


def test_an_unknown_array_library_has_no_kernels():
    with pytest.raises(TypeError, match=r"no kernels for \['Array'\]"):
        kernels(array_api_strict.ones(2))
