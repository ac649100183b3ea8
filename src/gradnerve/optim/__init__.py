"""Optimisers, by PyTorch's names, defaults and update rules."""

from gradnerve.optim.optimizers import SGD, Adam, Optimizer

__all__ = ["SGD", "Adam", "Optimizer"]
