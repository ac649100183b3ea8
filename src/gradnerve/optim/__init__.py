"""Optimisers and schedules, by PyTorch's names, defaults and update rules."""

from gradnerve.optim import lr_scheduler as lr_scheduler
from gradnerve.optim.averaging import ExponentialMovingAverage
from gradnerve.optim.lbfgs import LBFGS
from gradnerve.optim.muon import Muon
from gradnerve.optim.optimizer import Optimizer
from gradnerve.optim.optimizers import (
    SGD,
    Adadelta,
    Adagrad,
    Adam,
    Adamax,
    AdamW,
    Lion,
    NAdam,
    RAdam,
    RMSprop,
    Rprop,
)

__all__ = [
    "LBFGS",
    "SGD",
    "Adadelta",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "ExponentialMovingAverage",
    "Lion",
    "Muon",
    "NAdam",
    "Optimizer",
    "RAdam",
    "RMSprop",
    "Rprop",
    "lr_scheduler",
]
