"""Networks' functions, by PyTorch's names and signatures: on Tensors, and on plain arrays.

`import gradnerve.nn.functional as F`, as one would with PyTorch. Shapes are PyTorch's: N examples,
C channels, then space. What a chapter's `__all__` names is here too.

Most are a few lines on operators, which have the gradients. An `inplace` is taken, as PyTorch's,
but the result is always a new tensor; PyTorch's deprecated `size_average` and `reduce` are not.
"""

from gradnerve.nn.functional.activations import *
from gradnerve.nn.functional.attention import *
from gradnerve.nn.functional.classification import *
from gradnerve.nn.functional.convolution import *
from gradnerve.nn.functional.ctc import *
from gradnerve.nn.functional.dropout import *
from gradnerve.nn.functional.linear import *
from gradnerve.nn.functional.losses import *
from gradnerve.nn.functional.normalization import *
from gradnerve.nn.functional.pooling import *
from gradnerve.nn.functional.resampling import *
from gradnerve.nn.functional.sampling import *
from gradnerve.nn.functional.similarity import *
