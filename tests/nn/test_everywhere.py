"""Every layer to second order; and on JAX under `gn.jit`, and on PyTorch, as on NumPy."""

import importlib

import numpy as np
import pytest

import gradnerve as gn
import gradnerve.nn.functional as F
from gradnerve import nn


def normal(*shape):
    """Numbers far from each other, and from 0: no kink is near."""
    count = int(np.prod(shape))
    numbers = np.linspace(-2.1, 1.9, count + count % 2)[:count]
    return np.random.default_rng(count).permutation(numbers).reshape(shape)


def uniform(*shape):
    return 0.1 + 0.2 * (normal(*shape) + 2.1)


ROWS, SEQUENCE, IMAGE, VOLUME = (
    normal(3, 4),
    normal(2, 4, 5),
    normal(1, 4, 4, 3),
    normal(1, 4, 2, 3, 2),
)
CLASSES, SIGNS = np.array([1, 3, 0]), np.array([1.0, -1.0, 1.0])
_, PLACES = F.max_pool2d(normal(1, 1, 4, 4), 2, return_indices=True)
AT64 = {"dtype": "float64"}


def logarithms(*shape):
    return F.log_softmax(normal(*shape), -1)


# A layer, and its inputs. Those of one group are compiled as one program.
GROUPS = {
    "activations": {
        **{
            name: (getattr(nn, name)(), ROWS)
            for name in (
                "CELU", "ELU", "GELU", "GLU", "Hardshrink", "Hardsigmoid", "Hardswish", "Hardtanh",
                "LeakyReLU", "LogSigmoid", "Mish", "ReLU", "ReLU6", "SELU", "SiLU", "Sigmoid",
                "Softplus", "Softshrink", "Softsign", "Tanh", "Tanhshrink",
            )
        },
        "Threshold": (nn.Threshold(0.5, 2.0), ROWS),
        "Softmax": (nn.Softmax(0), ROWS),
        "Softmin": (nn.Softmin(1), ROWS),
        "LogSoftmax": (nn.LogSoftmax(1), ROWS),
        "Softmax2d": (nn.Softmax2d(), IMAGE),
        "PReLU": (nn.PReLU(4, **AT64), SEQUENCE),
    },
    "linear": {
        "Linear": (nn.Linear(4, 3, **AT64), ROWS),
        "Bilinear": (nn.Bilinear(4, 2, 3, **AT64), ROWS, normal(3, 2)),
        "Embedding": (nn.Embedding(5, 3, padding_idx=0, **AT64), CLASSES),
        "EmbeddingBag": (nn.EmbeddingBag(5, 3, mode="max", **AT64), CLASSES[:, None]),
        "Identity": (nn.Identity(7), ROWS),
        "Lambda": (nn.Lambda(F.softsign), ROWS),
        "Flatten": (nn.Flatten(), SEQUENCE),
        "Unflatten": (nn.Unflatten(1, (2, -1)), SEQUENCE),
        "Sequential": (nn.Sequential(nn.Linear(4, 2, **AT64), nn.Tanh()), ROWS),
    },
    "convolutions": {
        "Conv1d": (nn.Conv1d(4, 2, 3, **AT64), SEQUENCE),
        "Conv2d": (nn.Conv2d(4, 2, 3, padding=1, **AT64), IMAGE),
        "Conv3d": (nn.Conv3d(4, 2, 2, **AT64), VOLUME),
        "ConvTranspose1d": (nn.ConvTranspose1d(4, 2, 3, 2, **AT64), SEQUENCE),
        "ConvTranspose2d": (nn.ConvTranspose2d(4, 2, 2, **AT64), IMAGE),
        "ConvTranspose3d": (nn.ConvTranspose3d(4, 2, 2, **AT64), VOLUME),
        "Unfold": (nn.Unfold(2), IMAGE),
        "Fold": (nn.Fold((3, 3), 2), normal(1, 4, 4)),
    },
    "pooling": {
        "MaxPool1d": (nn.MaxPool1d(2), SEQUENCE),
        "MaxPool2d": (nn.MaxPool2d(2), IMAGE),
        "MaxPool3d": (nn.MaxPool3d(2), VOLUME),
        "AvgPool1d": (nn.AvgPool1d(2), SEQUENCE),
        "AvgPool2d": (nn.AvgPool2d(2, ceil_mode=True), IMAGE),
        "AvgPool3d": (nn.AvgPool3d(2), VOLUME),
        "LPPool1d": (nn.LPPool1d(2, 2), SEQUENCE),
        "LPPool2d": (nn.LPPool2d(2, 2), IMAGE),
        "LPPool3d": (nn.LPPool3d(2, 2), VOLUME),
        "AdaptiveAvgPool1d": (nn.AdaptiveAvgPool1d(3), SEQUENCE),
        "AdaptiveAvgPool2d": (nn.AdaptiveAvgPool2d((3, 2)), IMAGE),
        "AdaptiveAvgPool3d": (nn.AdaptiveAvgPool3d(1), VOLUME),
        "AdaptiveMaxPool1d": (nn.AdaptiveMaxPool1d(3), SEQUENCE),
        "AdaptiveMaxPool2d": (nn.AdaptiveMaxPool2d((3, 2)), IMAGE),
        "AdaptiveMaxPool3d": (nn.AdaptiveMaxPool3d(1), VOLUME),
        "MaxUnpool1d": (nn.MaxUnpool1d(2), normal(1, 1, 2), np.array([[[1, 2]]])),
        "MaxUnpool2d": (nn.MaxUnpool2d(2), normal(1, 1, 2, 2), PLACES),
        "MaxUnpool3d": (nn.MaxUnpool3d(2), normal(1, 1, 1, 1, 2), np.array([[[[[1, 6]]]]])),
        "FractionalMaxPool2d": (
            nn.FractionalMaxPool2d(2, 2, _random_samples=uniform(1, 4, 2)), IMAGE,
        ),
        "FractionalMaxPool3d": (
            nn.FractionalMaxPool3d(2, 1, _random_samples=uniform(1, 4, 3)), VOLUME,
        ),
    },
    "resampling": {
        "Upsample": (nn.Upsample(scale_factor=1.5, mode="bicubic"), IMAGE),
        "UpsamplingNearest2d": (nn.UpsamplingNearest2d(scale_factor=2), IMAGE),
        "UpsamplingBilinear2d": (nn.UpsamplingBilinear2d(size=5), IMAGE),
        "PixelShuffle": (nn.PixelShuffle(2), IMAGE),
        "PixelUnshuffle": (nn.PixelUnshuffle(2), normal(1, 1, 4, 2)),
        "ChannelShuffle": (nn.ChannelShuffle(2), IMAGE),
        **{
            f"{kind}Pad{n}d": (getattr(nn, f"{kind}Pad{n}d")(1), (SEQUENCE, IMAGE, VOLUME)[n - 1])
            for kind in ("Circular", "Reflection", "Replication", "Zero")
            for n in (1, 2, 3)
        },
        **{
            f"ConstantPad{n}d": (
                getattr(nn, f"ConstantPad{n}d")(1, 3.5), (SEQUENCE, IMAGE, VOLUME)[n - 1],
            )
            for n in (1, 2, 3)
        },
    },
    "normalization": {
        "BatchNorm1d": (nn.BatchNorm1d(4, **AT64), ROWS),
        "BatchNorm2d": (nn.BatchNorm2d(4, momentum=None, **AT64), IMAGE),
        "BatchNorm3d": (nn.BatchNorm3d(4, affine=False, **AT64), VOLUME),
        "InstanceNorm1d": (nn.InstanceNorm1d(4, track_running_stats=True, **AT64), SEQUENCE),
        "InstanceNorm2d": (nn.InstanceNorm2d(4, affine=True, **AT64), IMAGE),
        "InstanceNorm3d": (nn.InstanceNorm3d(4, **AT64), VOLUME),
        "GroupNorm": (nn.GroupNorm(2, 4, **AT64), IMAGE),
        "LayerNorm": (nn.LayerNorm(4, **AT64), ROWS),
        "RMSNorm": (nn.RMSNorm(4, **AT64), ROWS),
        "LocalResponseNorm": (nn.LocalResponseNorm(3, alpha=1.0), IMAGE),
    },
    "losses": {
        "MSELoss": (nn.MSELoss(), ROWS, normal(4, 3).T.copy()),
        "L1Loss": (nn.L1Loss("sum"), ROWS, 1.1 * ROWS[::-1].copy() + 0.03),
        "SmoothL1Loss": (nn.SmoothL1Loss(beta=0.5), ROWS, ROWS[::-1].copy() + 0.03),
        "HuberLoss": (nn.HuberLoss(delta=0.5), ROWS, ROWS[::-1].copy() + 0.03),
        "BCELoss": (nn.BCELoss(uniform(4)), uniform(3, 4), uniform(3, 4)[::-1].copy()),
        "BCEWithLogitsLoss": (nn.BCEWithLogitsLoss(pos_weight=uniform(4)), ROWS, uniform(3, 4)),
        "KLDivLoss": (nn.KLDivLoss("batchmean"), logarithms(3, 4), uniform(3, 4)),
        "GaussianNLLLoss": (nn.GaussianNLLLoss(), ROWS, uniform(3, 4), uniform(3, 1)),
        "PoissonNLLLoss": (nn.PoissonNLLLoss(full=True), ROWS, 3 * uniform(3, 4)),
        "CrossEntropyLoss": (
            nn.CrossEntropyLoss(uniform(4), label_smoothing=0.1), ROWS, CLASSES,
        ),
        "NLLLoss": (nn.NLLLoss(ignore_index=3), logarithms(3, 4), CLASSES),
        "MultiMarginLoss": (nn.MultiMarginLoss(2, 0.7, uniform(4)), ROWS, CLASSES),
        "MultiLabelMarginLoss": (
            nn.MultiLabelMarginLoss(), ROWS,
            np.array([[1, 0, -1, 2], [2, -1, 0, 0], [-1, 0, 0, 0]]),
        ),
        "MultiLabelSoftMarginLoss": (nn.MultiLabelSoftMarginLoss(), ROWS, uniform(3, 4)),
        "CTCLoss": (
            nn.CTCLoss(), logarithms(5, 2, 4), np.array([[1, 1], [3, 2]]), np.array([5, 4]),
            np.array([2, 1]),
        ),
        "SoftMarginLoss": (nn.SoftMarginLoss(), normal(3), SIGNS),
        "HingeEmbeddingLoss": (nn.HingeEmbeddingLoss(), uniform(3), SIGNS),
        "MarginRankingLoss": (nn.MarginRankingLoss(0.3), normal(3), uniform(3), SIGNS),
        "CosineEmbeddingLoss": (nn.CosineEmbeddingLoss(), ROWS, uniform(3, 4), SIGNS),
        "TripletMarginLoss": (nn.TripletMarginLoss(swap=True), ROWS, uniform(3, 4), -ROWS),
        "TripletMarginWithDistanceLoss": (
            nn.TripletMarginWithDistanceLoss(), ROWS, uniform(3, 4), -ROWS,
        ),
        "CosineSimilarity": (nn.CosineSimilarity(), ROWS, uniform(3, 4)),
        "PairwiseDistance": (nn.PairwiseDistance(3.0), ROWS, uniform(3, 4)),
    },
    "functions": {
        name: (nn.Lambda(function), *inputs)
        for name, function, *inputs in (
            ("normalize", lambda x: F.normalize(x, 3.0), ROWS),
            ("pdist", F.pdist, ROWS),
            ("conv2d", lambda x, w: F.conv2d(x, w, stride=2), IMAGE, normal(2, 4, 2, 2)),
            ("weight of a batch norm", lambda x, w, b: F.batch_norm(x, None, None, w, b, True),
             ROWS, uniform(4), normal(4)),
            ("weight of a group norm", lambda x, w, b: F.group_norm(x, 2, w, b),
             SEQUENCE, uniform(4), normal(4)),
            ("bias only", lambda x, b: F.group_norm(x, 2, None, b), SEQUENCE, normal(4)),
            ("weight only", lambda x, w: F.instance_norm(x, weight=w), SEQUENCE, uniform(4)),
            ("rms_norm", lambda x, w: F.rms_norm(x, 4, w), ROWS, uniform(4)),
            ("linear_cross_entropy", lambda x, w, t: F.linear_cross_entropy(x, w, t),
             ROWS, normal(4, 4), CLASSES),
            ("soft cross_entropy", lambda x, t: F.cross_entropy(x, t, label_smoothing=0.2),
             ROWS, uniform(3, 4)),
            ("attention", lambda q, k, v: F.scaled_dot_product_attention(q, k, v, is_causal=True),
             ROWS, normal(3, 4), normal(3, 2)),
            ("grid_sample", lambda x, g: F.grid_sample(x, g, padding_mode="reflection"), IMAGE,
             0.5 * normal(1, 2, 2, 2) + 0.01),
            ("grid_sample, bicubic", lambda x, g: F.grid_sample(x, g, "bicubic"), IMAGE,
             0.5 * normal(1, 2, 1, 2) + 0.01),
            ("affine_grid", lambda a: F.affine_grid(a, (2, 1, 2, 3)), normal(2, 2, 3)),
            ("grouped attention",
             lambda q, k: F.scaled_dot_product_attention(q, k, k, enable_gqa=True),
             normal(4, 2, 3), normal(2, 2, 3)),
        )
    },
}  # fmt: skip
LAYERS = [(group, name) for group, layers in GROUPS.items() for name in layers]

RANDOM = {
    "AlphaDropout", "Dropout", "Dropout1d", "Dropout2d", "Dropout3d", "FeatureAlphaDropout",
    "RReLU",
}  # fmt: skip


def test_no_layer_is_forgotten():
    """Recurrent layers and transformers have tests of their own."""
    chapters = (
        "activations", "convolution", "dropout", "linear", "losses", "normalization", "pooling",
        "resampling",
    )  # fmt: skip
    made = {
        name
        for chapter in chapters
        for name in importlib.import_module(f"gradnerve.nn.layers.{chapter}").__all__
    }
    assert made - RANDOM == {n for g, n in LAYERS if g != "functions"} - {"Sequential"}


@pytest.mark.parametrize(("group", "name"), LAYERS)
def test_second_order(group, name):
    layer, *inputs = GROUPS[group][name]
    weights = list(layer.parameters())
    if any(a.dtype.kind == "f" for a in inputs):
        assert gn.gradcheck(layer, tuple(inputs), order=2)

    if weights:  # the weights' gradient, to first order: transforms copy the module
        gradient = gn.grad(lambda layer: (layer(*inputs) ** 2).sum())(layer)
        for key, parameter in layer.named_parameters():
            direction = normal(*parameter.shape)
            before = parameter.data
            values = []
            for step in (1e-6, -1e-6):
                parameter.data = before + step * direction
                values.append(float((layer(*inputs) ** 2).sum().data))
            parameter.data = before
            slope = (values[0] - values[1]) / 2e-6
            along = (np.asarray(gradient[key].data) * direction).sum()
            np.testing.assert_allclose(along, slope, rtol=1e-5, atol=1e-7)


def run(group, library="numpy", wrap=lambda f: f):
    """Outputs, gradients and state of a group's layers, computed elsewhere."""
    names = list(GROUPS[group])
    layers = nn.ModuleDict({str(i): GROUPS[group][name][0] for i, name in enumerate(names)})
    state = layers.state_dict()
    inputs = [
        [gn.Tensor(a, requires_grad=a.dtype.kind == "f") for a in arrays]
        for _, *arrays in GROUPS[group].values()
    ]

    @wrap
    def step(layers, inputs):
        outputs = [layer(*x) for layer, x in zip(layers.values(), inputs, strict=True)]
        total = 0.0
        for y in outputs:
            total = total + (gn.sin(y) * y).sum()
        total.backward()
        return outputs

    try:
        layers.to(library)
        inputs = gn.to(inputs, library)
        outputs = step(layers, inputs)
        found = {name: y.data for name, y in zip(names, outputs, strict=True)}
        for name, tensors in zip(names, inputs, strict=True):
            found |= {f"{name}, gradient of input {i}": x.grad for i, x in enumerate(tensors)}
        found |= {f"gradient of {key}": p.grad for key, p in layers.named_parameters()}
        found |= layers.state_dict()
        return {key: np.asarray(a) for key, a in found.items() if a is not None}
    finally:
        layers.to("numpy")
        layers.zero_grad()
        layers.load_state_dict(state)


@pytest.mark.parametrize("group", GROUPS)
@pytest.mark.parametrize("where", ["jax", "torch"])
def test_elsewhere(group, where, request):
    request.getfixturevalue(where)
    expected = run(group)
    found = run(group, wrap=gn.jit) if where == "jax" else run(group, "torch")
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-9, atol=1e-11, err_msg=name)


# --- Random layers --------------------------------------------------------------------------------


def shape_for(name, *batch):
    return (*batch, *{"Dropout1d": (5,), "Dropout3d": (2, 2, 2)}.get(name, (3, 3)))


def test_random_layers_under_jit(jax):
    """Others each time, by the seed; nothing random in evaluation."""
    layers = nn.ModuleDict({name: getattr(nn, name)() for name in sorted(RANDOM)})
    inputs = {
        name: np.asarray(np.random.default_rng(0).standard_normal(shape_for(name, 8, 9)))
        for name in layers
    }
    apply = gn.jit(lambda layers, inputs: {n: f(inputs[n]) for n, f in layers.items()})
    gn.manual_seed(1)
    first, second = apply(layers, inputs), apply(layers, inputs)
    gn.manual_seed(1)
    again = apply(layers, inputs)
    layers.eval()
    still = apply(layers, inputs)
    for name, x in inputs.items():
        assert (first[name] != second[name]).any(), name
        np.testing.assert_array_equal(again[name], first[name])
        np.testing.assert_allclose(still[name], F.leaky_relu(x, 11 / 48) if name == "RReLU" else x)


@pytest.mark.parametrize("name", ["Dropout1d", "Dropout2d", "Dropout3d", "FeatureAlphaDropout"])
def test_whole_channels_are_dropped(name):
    y = getattr(nn, name)(0.3)(np.ones(shape_for(name, 50, 40))).reshape(50, 40, -1)
    assert (y == y[:, :, :1]).all()
    assert abs((y[:, :, 0] == y.min()).mean() - 0.3) < 0.05


@pytest.mark.parametrize("p", [0.1, 0.5, 0.8])
def test_alpha_dropout_keeps_mean_and_variance(p):
    x = np.asarray(np.random.default_rng(0).standard_normal(200_000))
    y = F.alpha_dropout(x, p, training=True)
    assert abs(y.mean()) < 0.02
    assert abs(y.std() - 1) < 0.02
    assert (F.alpha_dropout(x, 1.0, training=True) == 0).all()


def test_rrelu_draws_slopes_between_its_bounds():
    x = gn.Tensor(-np.ones(10_000), requires_grad=True)
    y = F.rrelu(x, 0.2, 0.4, training=True)
    assert -0.4 < y.data.min() < -0.39 and -0.21 < y.data.max() < -0.2
    y.sum().backward()
    np.testing.assert_allclose(x.grad, -y.data)


def test_gumbel_softmax():
    gn.manual_seed(0)
    logits = gn.Tensor(np.log(np.tile([0.7, 0.2, 0.1], (20_000, 1))), requires_grad=True)
    hard = F.gumbel_softmax(logits, tau=0.5, hard=True)
    assert (hard.data.sum(1) == 1).all() and set(np.unique(hard.data.round(9))) == {0, 1}
    np.testing.assert_allclose(hard.data.mean(0), [0.7, 0.2, 0.1], atol=0.02)
    hard[:, 0].sum().backward()
    assert np.abs(logits.grad).max() > 0
    assert (F.gumbel_softmax(logits).data > 0).all()
