"""The array libraries that the tests here run on."""

import pytest

OTHERS = ("jax", "torch")


@pytest.fixture(params=OTHERS)
def library(request):
    """The name of each library but NumPy; where the tests count (CI=true) none may be missing."""
    request.getfixturevalue(request.param)
    return request.param
