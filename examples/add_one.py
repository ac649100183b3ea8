import gradnerve.tensor as gn
x = gn.Tensor([1.0, 2.0, 3.0]); y = x + 1; print(y.data)
