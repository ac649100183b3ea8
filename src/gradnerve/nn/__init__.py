"""Neural networks, by PyTorch's names."""

from gradnerve.nn import functional as functional
from gradnerve.nn import init as init
from gradnerve.nn.attention import *
from gradnerve.nn.layers import *
from gradnerve.nn.module import Module as Module
from gradnerve.nn.module import Parameter as Parameter
from gradnerve.nn.recurrent import *
from gradnerve.nn.summary import *

# isort: split
from gradnerve.nn import utils as utils
