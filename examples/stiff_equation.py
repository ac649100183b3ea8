"""A stiff differential equation: SciPy's implicit solver, with the Jacobian by GradNerve.

Robertson's reaction of three substances (H. H. Robertson, 1966).
"""

import numpy as np
from scipy.integrate import solve_ivp

import gradnerve as gn


def rate(y):
    slow = 0.04 * y[0]
    fast = 1e4 * y[1] * y[2]
    fastest = 3e7 * y[1] ** 2
    return gn.stack([fast - slow, slow - fast - fastest, fastest])


jacobian = gn.jacobian(rate)
solution = solve_ivp(
    lambda t, y: rate(y), (0, 1e5), np.array([1.0, 0.0, 0.0]), method="BDF",
    jac=lambda t, y: jacobian(y), rtol=1e-8, atol=1e-12,
)  # fmt: skip
print(f"{solution.nfev} evaluations, {solution.njev} Jacobians")
print(f"After 100,000 s: {solution.y[:, -1].round(6)}, in all {solution.y[:, -1].sum():.6f}")
