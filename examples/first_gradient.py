import gradnerve.tensor as gn
import numpy as np
x = gn.Tensor([2.0], requires_grad=True)
y = gn.Tensor([3.0], requires_grad=True)
z = x * y
z.backward()
print(x.grad)        # [3.]
print(y.grad)        # [2.]
