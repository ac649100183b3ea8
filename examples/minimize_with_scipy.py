"""SciPy's optimisers take a gradient as it is: arrays in, arrays out."""

import numpy as np
from scipy.optimize import minimize

import gradnerve as gn


def rosenbrock(x):
    return (100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum()


start = np.zeros(10)
found = minimize(gn.value_and_grad(rosenbrock), start, jac=True, method="BFGS")
print(f"BFGS: {found.nit} iterations, minimum at {found.x.round(4)}")

newton = minimize(
    gn.value_and_grad(rosenbrock), start, jac=True, hess=gn.hessian(rosenbrock), method="trust-exact"
)
print(f"Newton, with the Hessian: {newton.nit} iterations, minimum at {newton.x.round(4)}")
