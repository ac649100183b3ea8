"""Helpers of networks, by PyTorch's names."""

from gradnerve.nn.utils import rnn as rnn
