"""The Array API standard's `fft` extension, `gn.fft`: Fourier transforms with gradients.

>>> import gradnerve as gn
>>> x = gn.Tensor([1.0, 2.0, 4.0, 0.0], requires_grad=True)
>>> power = gn.abs(gn.fft.rfft(x)) ** 2
>>> power[1].backward()
>>> print(x.grad)
[-6.  4.  6. -4.]
"""

from gradnerve.ops.fft import *
from gradnerve.ops.fft import __all__
