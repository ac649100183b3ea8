"""Single operators forward and backward, a Hessian, and what a checkpoint costs."""

import numpy as np

from benchmarks.steps import Workload


def of_one_input(title, problem, gradnerve, torch):
    """sum(f(x, *rest) * weights) and its gradient by x; each function has its library's words."""

    def make(inputs, library, tensor, f):
        x, *rest = inputs
        t = tensor(x)

        def step():
            t.grad = None
            y = f(library, t, *rest)
            loss = (y * y).sum()
            loss.backward()
            return loss.item(), np.asarray(t.grad)

        return step

    def in_gradnerve(inputs):
        import gradnerve as gn

        return make(inputs, gn, lambda x: gn.Tensor(x, requires_grad=True), gradnerve)

    def in_torch(inputs):
        import torch as t

        x, *rest = inputs
        rest = [t.tensor(r) for r in rest]
        return make((x, *rest), t, lambda x: t.tensor(x, requires_grad=True), torch)

    return Workload(title, problem, {"gradnerve": in_gradnerve, "torch": in_torch})


def normal(*shape):
    return np.random.default_rng(0).standard_normal(shape, dtype=np.float32)


def positive_definite(count, size):
    a = normal(count, size, size)
    return a @ a.swapaxes(1, 2) + size * np.eye(size, dtype=np.float32)


def attention(library, x, key, value):
    scores = library.einsum("bhqd,bhkd->bhqk", x, key)
    weights = library.softmax(scores * 0.125, -1)
    return library.einsum("bhqk,bhkd->bhqd", weights, value)


ATTENTION = of_one_input(
    "Attention by einsum, 8×4×64×32",
    lambda: tuple(normal(8, 4, 64, 32) for _ in range(3)),
    attention, attention,
)  # fmt: skip
CUMSUM = of_one_input(
    "cumsum of 64×1000",
    lambda: (normal(64, 1000),),
    lambda gn, x: gn.cumsum(x, axis=1),
    lambda t, x: t.cumsum(x, 1),
)
SORT = of_one_input(
    "sort of 64×1000",
    lambda: (normal(64, 1000),),
    lambda gn, x: gn.sort(x, axis=1),
    lambda t, x: t.sort(x, 1).values,
)
EMBEDDING = of_one_input(
    "Embedding 65×128, 1,024 rows",
    lambda: (normal(65, 128), np.random.default_rng(1).integers(0, 65, 1024)),
    lambda gn, x, rows: x[rows],
    lambda t, x, rows: x[rows],
)
SOLVE = of_one_input(
    "solve, 64 of 16×16",
    lambda: (positive_definite(64, 16), normal(64, 16, 4)),
    lambda gn, x, b: gn.linalg.solve(x, b),
    lambda t, x, b: t.linalg.solve(x, b),
)
CHOLESKY = of_one_input(
    "cholesky, 64 of 16×16",
    lambda: (positive_definite(64, 16),),
    lambda gn, x: gn.linalg.cholesky(x),
    lambda t, x: t.linalg.cholesky(x),
)


# --- The Hessian of Rosenbrock's function of 50 variables -----------------------------------------


def rosenbrock(x):
    return (100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2).sum()


def hessian_in_gradnerve(x):
    import gradnerve as gn

    hessian = gn.hessian(rosenbrock)
    return lambda: (rosenbrock(x), hessian(x))


def hessian_in_jit(x):
    import gradnerve as gn

    hessian = gn.jit(gn.hessian(rosenbrock))
    x = gn.Tensor(x).to("jax").data
    return lambda: (rosenbrock(x), np.asarray(hessian(x)))


def hessian_in_autograd(x):
    import autograd

    hessian = autograd.hessian(rosenbrock)
    return lambda: (rosenbrock(x), hessian(x))


def hessian_in_torch(x):
    import torch

    t = torch.tensor(x)
    return lambda: (rosenbrock(x), torch.autograd.functional.hessian(rosenbrock, t).numpy())


def hessian_in_jax(x):
    import jax

    jax.config.update("jax_enable_x64", True)
    hessian = jax.jit(jax.hessian(rosenbrock))
    x = jax.numpy.asarray(x)
    return lambda: (rosenbrock(x), np.asarray(hessian(x)))


HESSIAN = Workload(
    "Hessian of Rosenbrock's function, 50 variables",
    lambda: np.random.default_rng(0).uniform(-1, 1, 50),
    {
        "gradnerve": hessian_in_gradnerve,
        "jit": hessian_in_jit,
        "torch": hessian_in_torch,
        "autograd": hessian_in_autograd,
        "jax": hessian_in_jax,
    },
)

# --- A checkpoint: time for memory ----------------------------------------------------------------

LAYERS, PARTS = 24, 6


def deep_problem():
    return normal(512, 256), [normal(256, 256) / np.float32(16) for _ in range(LAYERS)]


def deep_step(problem, wrap):
    """A network of 24 layers in six parts, each of them wrapped: loss and the first gradient."""
    import gradnerve as gn

    x, arrays = problem
    weights = [gn.Tensor(w, requires_grad=True) for w in arrays]
    size = LAYERS // PARTS
    groups = [weights[i : i + size] for i in range(0, LAYERS, size)]

    def part(h, *group):
        for weight in group:
            h = gn.tanh(h @ weight)
        return h

    part = wrap(part)

    def step():
        for weight in weights:
            weight.grad = None
        h = x
        for group in groups:
            h = part(h, *group)
        loss = (h * h).mean()
        loss.backward()
        return loss.item(), weights[0].grad

    return step


def checkpoint_costs(rounds):
    """Seconds and peak bytes of a step without and with checkpoints."""
    import tracemalloc
    from time import perf_counter

    import gradnerve as gn

    problem = deep_problem()
    steps = {"kept": deep_step(problem, lambda f: f), "again": deep_step(problem, gn.checkpoint)}
    times = {name: [] for name in steps}
    peaks = {}
    for name, step in steps.items():
        step()
        tracemalloc.start()
        step()
        peaks[name] = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    np.testing.assert_allclose(steps["kept"]()[1], steps["again"]()[1], rtol=1e-4, atol=1e-7)
    for _ in range(rounds):
        for name, step in steps.items():
            start = perf_counter()
            step()
            times[name].append(perf_counter() - start)
    return {name: np.median(t) for name, t in times.items()}, peaks
