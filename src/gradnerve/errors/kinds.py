"""Kinds of errors that Python has no class for."""

from __future__ import annotations


class NoGradientPath(RuntimeError):
    """`backward()` was called on a tensor from which no path leads to a parameter."""


class GraphFreed(RuntimeError):
    """`backward()` needs a record that an earlier `backward()` has let go of."""


class NonFinite(FloatingPointError):
    """Debug mode found the birthplace of a NaN or an infinity."""


class ChangedInPlace(RuntimeError):
    """A value saved for backward was changed in place."""


class GradcheckError(AssertionError):
    """A gradient differs from its finite difference."""
