"""Layers: the functions of `functional`, holding their parameters and options."""

from gradnerve.nn.layers.activations import *
from gradnerve.nn.layers.containers import *
from gradnerve.nn.layers.convolution import *
from gradnerve.nn.layers.dropout import *
from gradnerve.nn.layers.linear import *
from gradnerve.nn.layers.losses import *
from gradnerve.nn.layers.normalization import *
from gradnerve.nn.layers.pooling import *
from gradnerve.nn.layers.resampling import *
