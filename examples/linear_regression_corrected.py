import gradnerve.tensor as gn
import numpy as np

X = np.array([[1, 2], [2, 3], [3, 4]], dtype=np.float64)
# One target per row, like the predictions: (3, 1). With (3,) the difference below would be (3, 3),
# each prediction against each target, and the loss another one.
y = np.array([[6], [8], [10]], dtype=np.float64)

class LinearRegression:
    def __init__(self, n_features):
        self.weights = gn.Tensor(np.zeros((n_features, 1), dtype=np.float64), requires_grad=True)
        self.bias = gn.Tensor(np.zeros(1, dtype=np.float64), requires_grad=True)

    def forward(self, X):
        return X @ self.weights + self.bias

model = LinearRegression(n_features=2)

def mse_loss(y_pred, y_true):
    return ((y_pred - y_true) ** 2).mean()

learning_rate = 0.01
num_epochs = 100
for epoch in range(num_epochs):
    X_tensor = gn.Tensor(X, requires_grad=False)
    y_pred = model.forward(X_tensor)
    y_true = gn.Tensor(y, requires_grad=False)
    loss = mse_loss(y_pred, y_true)
    loss.backward()
    model.weights.data -= learning_rate * model.weights.grad
    model.bias.data -= learning_rate * model.bias.grad
    model.weights.grad = np.zeros_like(model.weights.data)
    model.bias.grad = np.zeros_like(model.bias.data)
    if (epoch + 1) % 10 == 0:
        print(f'Epoch [{epoch+1}/{num_epochs}], Loss: {loss.data:.4f}')
print(f'Learned weights: {model.weights.data}')
print(f'Learned bias: {model.bias.data}')
