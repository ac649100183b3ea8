"""The likelihood of a Gaussian process, in plain NumPy: Rasmussen and Williams, algorithm 2.1."""

import numpy as np


def kernel(x1, x2, length, variance):
    """Squared exponential: (N,), (M,) -> (N, M)."""
    squared = np.subtract.outer(x1, x2) ** 2
    return variance * np.exp(-0.5 * squared / length**2)


def log_marginal_likelihood(x, y, length, variance, noise):
    """log p(y | x, hyperparameters)."""
    n = len(x)
    covariance = kernel(x, x, length, variance) + noise**2 * np.eye(n)
    factor = np.linalg.cholesky(covariance)
    alpha = np.linalg.solve(factor.T, np.linalg.solve(factor, y))
    return -0.5 * np.dot(y, alpha) - np.sum(np.log(np.diag(factor))) - 0.5 * n * np.log(2 * np.pi)


def log_marginal_likelihood_by_determinant(x, y, length, variance, noise):
    """The same, without a factorisation."""
    covariance = kernel(x, x, length, variance) + noise**2 * np.identity(len(x))
    sign, logdet = np.linalg.slogdet(2 * np.pi * covariance)
    return -0.5 * (y @ np.linalg.inv(covariance) @ y + logdet)


def predict(x, y, at, length, variance, noise):
    """The posterior mean and standard deviation at other places."""
    covariance = kernel(x, x, length, variance) + noise**2 * np.eye(len(x))
    cross = kernel(at, x, length, variance)
    mean = cross @ np.linalg.solve(covariance, y)
    explained = np.einsum("ij,ji->i", cross, np.linalg.solve(covariance, cross.T))
    return mean, np.sqrt(np.maximum(variance - explained, 0.0))


if __name__ == "__main__":
    x = np.linspace(0, 5, 12)
    y = np.sin(x) + 0.1 * np.cos(17 * x)
    for length in (0.3, 1.0, 3.0):
        print(f"length {length}: log likelihood {log_marginal_likelihood(x, y, length, 1.0, 0.1):.3f}")
