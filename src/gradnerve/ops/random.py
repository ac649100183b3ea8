"""Random numbers: one seeded generator for initial weights, dropout and shuffling."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import numpy as np

from gradnerve.backends import array_library, constant, device, load

__all__ = ["manual_seed"]

if TYPE_CHECKING:
    from numpy.random import Generator  # importing it takes a while; most programs never need it

_generator: Generator | None = None
_own: ContextVar[Generator | None] = ContextVar("own_generator", default=None)
_keys: ContextVar[Keys | None] = ContextVar("keys", default=None)


def manual_seed(seed: int) -> None:
    """Start the random numbers over, so that a run can be repeated to the bit.

    >>> import gradnerve as gn
    >>> gn.manual_seed(0)
    >>> first = generator().random()
    >>> gn.manual_seed(0)
    >>> generator().random() == first
    True
    """
    global _generator
    own = _own.get()
    if own is None:
        _generator = np.random.default_rng(seed)
    else:
        own.bit_generator.state = np.random.default_rng(seed).bit_generator.state


def generator() -> Generator:
    """NumPy's generator that `manual_seed` seeds; unseeded, it differs from run to run."""
    global _generator
    if (own := _own.get()) is not None:
        return own
    if _generator is None:
        _generator = np.random.default_rng()
    return _generator


@contextmanager
def own_generator(state: Any = None) -> Iterator[Any]:
    """Draw from a copy of the generator that no other thread draws from; yields its first state.

    From a given state on, it is as if nothing had been drawn. Without one, the generator goes on
    afterwards from where the copy is then (unless another thread has drawn from it meanwhile).
    """
    if (keys := _keys.get()) is not None:  # what is drawn again has the same count
        after, keys.count = keys.count, keys.count if state is None else state
        try:
            yield keys.count
        finally:
            keys.count = keys.count if state is None else after
        return
    bits = generator().bit_generator
    first = bits.state if state is None else state
    copy: Any = type(bits)()
    copy.state = first
    token = _own.set(np.random.Generator(copy))
    try:
        yield first
    finally:
        _own.reset(token)
        if state is None and bits.state == first:
            bits.state = copy.state


def keep_mask(x: Any, p: float, shape: tuple[int, ...] | None = None) -> Any:
    """For dropout: 0 with probability p, else 1 / (1 - p); an array like x, or of another shape."""
    library = array_library(x)
    if p >= 1:
        shape = x.shape if shape is None else shape
        return library.zeros(shape, dtype=x.dtype, device=device(x))
    kept = drawn_like(x, shape) >= p
    return library.astype(kept, x.dtype) * (1 / (1 - p))


def drawn_like(x: Any, shape: tuple[int, ...] | None = None) -> Any:
    """Numbers from 0 to below 1, float32, in the shape, the library and on the device of x.

    Or of another shape. NumPy's generator draws them, whatever the library: the same seed gives the
    same numbers. In compiled code they are JAX's own.
    """
    shape = x.shape if shape is None else shape
    if (keys := _keys.get()) is not None:
        return keys.uniform(shape)
    return constant(generator().random(shape, dtype=np.float32), x)


class Keys:
    """The random numbers of compiled code: a seed is one of its arguments."""

    def __init__(self, seed: Any):
        self.seed = seed
        self.count = 0

    def uniform(self, shape: tuple[int, ...]) -> Any:
        """Numbers from 0 to below 1, float32; others with each call."""
        self.count += 1
        return load("jax").uniform(self.seed, self.count, shape)


@contextmanager
def keys_from(seed: Any) -> Iterator[Keys]:
    """Draw from a seed, two whole numbers of 32 bits."""
    keys = Keys(seed)
    token = _keys.set(keys)
    try:
        yield keys
    finally:
        _keys.reset(token)


def seed_of_loop() -> Any:
    """A seed for a compiled loop, whose code is traced only once; None outside of compiled code."""
    keys = _keys.get()
    if keys is None:
        return None
    keys.count += 1
    return load("jax").seed_from(keys.seed, keys.count)


@contextmanager
def keys_of_round(seed: Any, number: Any) -> Iterator[None]:
    """The random numbers of one round of a loop: the same whenever it is computed."""
    if seed is None:
        yield
        return
    with keys_from(load("jax").seed_from(seed, number)):
        yield
