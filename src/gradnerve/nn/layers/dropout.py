"""Dropout: while training, parts of the input are replaced at random."""

from __future__ import annotations

from typing import Any

from gradnerve.nn import functional as F
from gradnerve.nn.functional.dropout import check_probability
from gradnerve.nn.layers.plain import Function

__all__ = [
    "AlphaDropout", "Dropout", "Dropout1d", "Dropout2d", "Dropout3d", "FeatureAlphaDropout",
]  # fmt: skip


class Dropout(Function):
    """Zero each element with probability p while training; nothing in evaluation.

    See `F.dropout`.
    """

    def __init__(self, p: float = 0.5, inplace: bool = False):
        check_probability(type(self).__name__, p)
        self.p = p

    def forward(self, input: Any) -> Any:
        return F.dropout(input, self.p, self.training)


class Dropout1d(Dropout):
    """Whole channels of (N, C, L). See `F.dropout1d`."""

    def forward(self, input: Any) -> Any:
        return F.dropout1d(input, self.p, self.training)


class Dropout2d(Dropout):
    """Whole channels of (N, C, H, W). See `F.dropout2d`."""

    def forward(self, input: Any) -> Any:
        return F.dropout2d(input, self.p, self.training)


class Dropout3d(Dropout):
    """Whole channels of (N, C, D, H, W). See `F.dropout3d`."""

    def forward(self, input: Any) -> Any:
        return F.dropout3d(input, self.p, self.training)


class AlphaDropout(Dropout):
    """Elements become selu's limit; mean and variance are kept. See `F.alpha_dropout`."""

    def forward(self, input: Any) -> Any:
        return F.alpha_dropout(input, self.p, self.training)


class FeatureAlphaDropout(Dropout):
    """`AlphaDropout` of whole channels. See `F.feature_alpha_dropout`."""

    def forward(self, input: Any) -> Any:
        return F.feature_alpha_dropout(input, self.p, self.training)
