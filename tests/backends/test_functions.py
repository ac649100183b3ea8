"""Functions that are made of operators, and networks, on every array library: NumPy's results."""

import numpy as np
import pytest

import gradnerve as gn
import gradnerve.nn.functional as F
from gradnerve import backends, nn, optim
from gradnerve.ops.window import Window

X = np.random.default_rng(3).standard_normal((3, 4))
SQUARE = X[:, :3] @ X[:, :3].T + 3 * np.eye(3)
IMAGE = np.random.default_rng(4).standard_normal((2, 4, 6, 5))
LABELS = np.array([1, 0, 3])
CLASSES = np.array([0.5, 1.0, 2.0, 1.5])

# A function of one array; what else it needs it makes of lists and numbers, or by `like`, which
# brings an array to the library of x.
FUNCTIONS = {
    "arithmetic with lists": lambda x, like: [1.0, 2.0, 3.0, 4.0] * x + 2 - x / 3,
    "a NumPy number": lambda x, like: x * np.float64(2.5) + np.float64(1.0),
    "average": lambda x, like: gn.average(x, axis=1, weights=[1.0, 2.0, 3.0, 4.0]),
    "nanmean": lambda x, like: gn.nanmean(gn.where(x > 1, np.nan, x), axis=0),
    "nanstd": lambda x, like: gn.nanstd(x, axis=0),
    "nanmax": lambda x, like: gn.nanmax(x, axis=0),
    "take": lambda x, like: gn.take(x, [2, 0, 2], axis=0),
    "take, flattened": lambda x, like: gn.take(x, [[2, 0], [-1, 5]]),
    "take_along_axis": lambda x, like: gn.take_along_axis(x, [[1, 0, 2, 1]], 0),
    "put_along_axis": lambda x, like: gn.put_along_axis(x, [[1], [0], [3]], 9.0, 1),
    "gather": lambda x, like: gn.gather(x, 1, [[0, 0], [1, 3]]),
    "scatter": lambda x, like: gn.scatter(x, 1, [[0, 2], [1, 3]], 5.0),
    "scatter add": lambda x, like: gn.scatter(x, 0, [[0, 2, 2, 1]], 5.0, reduce="add"),
    "index_add": lambda x, like: gn.index_add(x, 0, [1, 1], x[:2], alpha=2.0),
    "index with a NumPy array": lambda x, like: x[np.array([2, 0])],
    "index with a mask": lambda x, like: x[x > 0],
    "index backwards": lambda x, like: x[::-1, ::-2],
    "index with a list": lambda x, like: x[[0, 2], 1:],
    "insert": lambda x, like: gn.insert(x, [1, 2], 7.0, axis=1),
    "delete": lambda x, like: gn.delete(x, [0, 2], axis=1),
    "append": lambda x, like: gn.append(x, [1.0, 2.0]),
    "stack with lists": lambda x, like: gn.stack([x[0], [1.0, 2.0, 3.0, 4.0]]),
    "tile": lambda x, like: gn.tile(x, (2, 1)),
    "repeat": lambda x, like: gn.repeat(x, [1, 0, 2], axis=0),
    "rot90": lambda x, like: gn.rot90(x),
    "tril": lambda x, like: gn.tril(x) + gn.triu(x, 1),
    "select": lambda x, like: gn.select([x > 1, x < 0], [x * x, -x], 0.5),
    "meshgrid": lambda x, like: gn.meshgrid(x[0], x[1])[1],
    "block": lambda x, like: gn.block([[x, x], [x, x]]),
    "quantile": lambda x, like: gn.quantile(x, [0.1, 0.6], axis=1),
    "median": lambda x, like: gn.median(x, axis=0),
    "percentile": lambda x, like: gn.percentile(x, 30, method="lower"),
    "topk": lambda x, like: gn.topk(x, 2).values,
    "sort, descending": lambda x, like: gn.sort(x, descending=True),
    "cummax": lambda x, like: gn.cummax(x, 1).values,
    "diff": lambda x, like: gn.diff(x, prepend=0.0),
    "trapezoid": lambda x, like: gn.trapezoid(x, [0.0, 1.0, 3.0, 4.0]),
    "cumulative_sum": lambda x, like: gn.cumulative_sum(x, axis=1, include_initial=True),
    "diag": lambda x, like: gn.diag(x[0], 1),
    "einsum": lambda x, like: gn.einsum("ij,kj,kl->il", x, x, x),
    "tensordot": lambda x, like: gn.tensordot(x, x, axes=((1,), (1,))),
    "kron": lambda x, like: gn.kron(x, [1.0, 2.0]),
    "cross": lambda x, like: gn.linalg.cross(x[:, :3], [1.0, 2.0, 3.0]),
    "matrix_power": lambda x, like: gn.linalg.matrix_power(x[:, :3], 3),
    "matrix_power 0": lambda x, like: gn.linalg.matrix_power(x[:, :3], 0) * x[0, 0],
    "lstsq": lambda x, like: gn.linalg.lstsq(x.T, [1.0, 2.0, 3.0, 4.0]).solution,
    "norms": lambda x, like: gn.linalg.norm(x, ord=1) + gn.linalg.norm(x, ord="nuc"),
    "cond": lambda x, like: gn.linalg.cond(x),
    "fft": lambda x, like: gn.real(gn.fft.fft(x, 6) * 2j),
    "fftshift": lambda x, like: gn.fft.fftshift(x),
    "softplus": lambda x, like: gn.softplus(x),
    "sinc": lambda x, like: gn.sinc(x),
    "flatten": lambda x, like: gn.flatten(x),
    "where with numbers": lambda x, like: gn.where(x > 0, 1.0, 2.0) * x,
    "clip": lambda x, like: x.clip(-0.5, 0.5),
    "round": lambda x, like: x.round(1) + x,
    "full_like": lambda x, like: gn.full_like(x, 2.0) * x,
    "relu": lambda x, like: F.relu(x),
    "gelu": lambda x, like: F.gelu(x) + F.gelu(x, approximate="tanh"),
    "dropout": lambda x, like: F.dropout(x, 0.4),
    "dropout of all": lambda x, like: F.dropout(x, 1.0) + x,
    "layer_norm": lambda x, like: F.layer_norm(x, 4, like(CLASSES), like(CLASSES)),
    "linear": lambda x, like: F.linear(x, like(IMAGE[0, 0, :, :4]), like(CLASSES.repeat(2)[:6])),
    "attention": lambda x, like: F.scaled_dot_product_attention(x, x, x),
    "causal attention": lambda x, like: F.scaled_dot_product_attention(x, x, x, is_causal=True),
    "embedding": lambda x, like: F.embedding(like(LABELS[:2]), x, padding_idx=0),
    "cross_entropy": lambda x, like: F.cross_entropy(x, like(LABELS)),
    "cross_entropy, a list": lambda x, like: F.cross_entropy(x, [0, 1, 2]),
    "cross_entropy, weighted": lambda x, like: F.cross_entropy(
        x, like(LABELS), like(CLASSES), ignore_index=0, label_smoothing=0.1
    ),
    "cross_entropy, soft": lambda x, like: F.cross_entropy(x, like(np.full((3, 4), 0.25))),
    "nll_loss": lambda x, like: F.nll_loss(x, like(LABELS)),
    "mse_loss": lambda x, like: F.mse_loss(x, like(X[::-1].copy())),
    "real and imag": lambda x, like: gn.imag(gn.exp(x * 1j)) + gn.real((x + 2j) ** 2),
    "grad": lambda x, like: gn.grad(lambda z: gn.sum(gn.sin(z) * z))(x),
    "jvp": lambda x, like: gn.jvp(lambda z: z**3, (x,), (x,))[1],
    "hvp": lambda x, like: gn.hvp(lambda z: gn.sum(z**3), (x,), (x,)),
    "jacobian": lambda x, like: gn.jacobian(lambda z: z[0] ** 2)(x),
    "checkpoint": lambda x, like: gn.checkpoint(lambda z: gn.sin(z) * z)(x),
    "pad, edge": lambda x, like: gn.pad(x, 2, mode="edge"),
    "pad, reflect, odd": lambda x, like: gn.pad(x, 2, mode="reflect", reflect_type="odd"),
    "pad, ramp": lambda x, like: gn.pad(x, ((0, 0), (1, 2)), mode="linear_ramp", end_values=3.0),
    "pad, median": lambda x, like: gn.pad(x, ((0, 0), (1, 2)), mode="median"),
    "pad, mean": lambda x, like: gn.pad(x, 1, mode="mean"),
    "pad, constants": lambda x, like: gn.pad(x, 1, constant_values=((1.0, 2.0), (3.0, 4.0))),
    "np.exp": lambda x, like: np.exp(x) + np.sum(x, axis=0),
}

OF_MATRICES = {
    "inv": lambda x, like: gn.linalg.inv(x),
    "solve": lambda x, like: gn.linalg.solve(x, [1.0, 2.0, 3.0]),
    "det": lambda x, like: gn.linalg.det(x),
    "slogdet": lambda x, like: gn.linalg.slogdet(x).logabsdet,
    "eigvalsh": lambda x, like: gn.linalg.eigvalsh(x),
    "cholesky": lambda x, like: gn.linalg.cholesky(x),
    "svdvals": lambda x, like: gn.linalg.svdvals(x),
    "expm": lambda x, like: gn.linalg.expm(x / 5),
    "pinv": lambda x, like: gn.linalg.pinv(x[:, :2]),
    "qr": lambda x, like: gn.linalg.qr(x).R ** 2,
}

OF_IMAGES = {
    "conv2d": lambda x, like: F.conv2d(
        x, like(IMAGE[:, :2, :3, :3]), padding=(1, 2), stride=2, groups=2
    ),
    "conv2d, dilated": lambda x, like: F.conv2d(x, like(IMAGE[:, :, :2, :2]), dilation=2),
    "conv_transpose2d": lambda x, like: F.conv_transpose2d(
        x, like(np.moveaxis(IMAGE, 0, 1)[:, :, :2, :2]), stride=2
    ),
    "max_pool2d": lambda x, like: F.max_pool2d(x, 3, stride=2, padding=1),
    "max_pool2d, ceil": lambda x, like: F.max_pool2d(x, 2, ceil_mode=True, return_indices=True)[0],
    "avg_pool2d": lambda x, like: F.avg_pool2d(x, 2, padding=1, count_include_pad=False),
    "lp_pool2d": lambda x, like: F.lp_pool2d(gn.abs(x), 3, 2),
    "adaptive_avg_pool2d": lambda x, like: F.adaptive_avg_pool2d(x, (4, 2)),
    "adaptive_max_pool2d": lambda x, like: F.adaptive_max_pool2d(x, (4, 2)),
    "interpolate": lambda x, like: F.interpolate(x, scale_factor=1.5, mode="bilinear"),
    "bicubic": lambda x, like: F.interpolate(x, size=(3, 7), mode="bicubic", align_corners=True),
    "nearest": lambda x, like: F.interpolate(x, size=(3, 7), mode="nearest"),
    "unfold": lambda x, like: F.unfold(x, 2, padding=1),
    "fold": lambda x, like: F.fold(F.unfold(x, 2), (6, 5), 2),
    "F.pad": lambda x, like: F.pad(x, (1, 2, 0, 1), mode="reflect"),
    "pixel_shuffle": lambda x, like: F.pixel_shuffle(x, 2),
}

CASES = [
    *((name, f, X) for name, f in FUNCTIONS.items()),
    *((name, f, SQUARE) for name, f in OF_MATRICES.items()),
    *((name, f, IMAGE) for name, f in OF_IMAGES.items()),
]


def evaluated(f, array, library):
    """The value and the gradient, in a library, as NumPy's arrays."""

    def like(constant):
        return backends.moved(constant, library)

    gn.manual_seed(1)
    x = gn.Tensor(like(array), requires_grad=True)
    y = f(x, like)
    assert backends.library_name(y.data) == library
    gn.sum(y * y).backward()
    assert backends.library_name(x.grad) == library
    return y.detach().numpy(), backends.moved(x.grad, "numpy")


@pytest.mark.parametrize(("name", "f", "array"), CASES, ids=[name for name, *_ in CASES])
def test_function(name, f, array, library):
    expected, gradient = evaluated(f, array, "numpy")
    y, found = evaluated(f, array, library)
    np.testing.assert_allclose(y, expected, 1e-9, 1e-10)
    np.testing.assert_allclose(found, gradient, 1e-8, 1e-9)
    assert y.dtype == expected.dtype


def mlp():
    return nn.Sequential(
        nn.Linear(12, 16),
        nn.ReLU(),
        nn.Dropout(0.2),
        nn.Linear(16, 16),
        nn.ReLU(),
        nn.Linear(16, 4),
    )


def cnn():
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 6, 3), nn.ReLU(),
        nn.AvgPool2d(2), nn.Flatten(), nn.Linear(6, 4),
    )  # fmt: skip


def losses(make, shape, optimizer, options, library, steps=6):
    gn.manual_seed(0)
    model = make().to(library)
    rng = np.random.default_rng(0)
    inputs = gn.to(rng.standard_normal(shape).astype(np.float32), library)
    labels = gn.to(rng.integers(0, 4, shape[0]), library)
    rule = optimizer(model.parameters(), **options)
    found = []
    for _ in range(steps):
        loss = F.cross_entropy(model(inputs), labels)
        rule.zero_grad()
        loss.backward()
        rule.step()
        found.append(loss.item())
        assert all(backends.library_name(p.grad) in library for p in model.parameters())
    assert all(backends.library_name(p.data) in library for p in model.parameters())
    return found, model.state_dict()


@pytest.mark.parametrize(
    ("make", "shape", "optimizer", "options"),
    [
        (mlp, (8, 12), optim.SGD, {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.01}),
        (cnn, (4, 1, 8, 8), optim.Adam, {"lr": 0.01}),
    ],
)
def test_training_is_the_same(make, shape, optimizer, options, library):
    expected, weights = losses(make, shape, optimizer, options, "numpy")
    found, others = losses(make, shape, optimizer, options, library)
    assert expected[-1] < expected[0]
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    for name, weight in weights.items():
        np.testing.assert_allclose(others[name], weight, rtol=2e-3, atol=1e-4)
        assert others[name].dtype == weight.dtype == np.float32


@pytest.mark.gpu
@pytest.mark.parametrize(("make", "shape"), [(mlp, (8, 12)), (cnn, (4, 1, 8, 8))])
def test_training_on_a_gpu_is_the_same(make, shape, torch):
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device here")
    expected, _ = losses(make, shape, optim.Adam, {"lr": 0.01}, "numpy")
    found, _ = losses(make, shape, optim.Adam, {"lr": 0.01}, "torch:cuda")
    np.testing.assert_allclose(found, expected, rtol=1e-3)


@pytest.mark.parametrize(
    "window",
    [
        Window((3,), (1,), ((2, 1),), (2,)),
        Window((3, 2), (1, 1), ((0, 2), (1, 0)), (1, 3)),
        Window((2, 1, 3), (1, 1, 1), ((1, 1), (0, 0), (2, 2)), (1, 1, 1)),
        Window((2, 2), (2, 1), ((1, 0), (0, 1)), (1, 1)),
    ],
)
def test_compiled_gradient_of_a_convolution_by_its_input_is_numpys(window):
    jax = pytest.importorskip("jax")
    rng = np.random.default_rng(0)
    shape = (2, 3, 6, 5, 4)[: 2 + len(window.kernel)]
    c = rng.standard_normal((2, 4, *window.counts(shape[2:])))
    weight = rng.standard_normal((4, 3, *window.kernel))
    kernels = backends.load("jax")
    compiled = jax.jit(lambda c, w: kernels.convolve_input(c, w, window, 1, shape))
    expected = backends.load("numpy").convolve_input(c, weight, window, 1, shape)
    np.testing.assert_allclose(compiled(c, weight), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", ["sigmoid", "tanh", "relu", "gelu", "silu", "softplus", "softmax"])
def test_compiled_activations_do_not_call_python(name):
    pytest.importorskip("jax")
    options = {"dim": -1} if name == "softmax" else {}
    x = gn.Tensor(np.ones(3, np.float32)).to("jax")
    compiled = gn.jit(gn.grad(lambda x: getattr(F, name)(x, **options).sum()))
    assert "callback" not in compiled.lower(x).as_text()
