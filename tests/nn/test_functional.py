"""Every function of nn.functional, in float64, against PyTorch's: values and gradients."""

import inspect
import itertools

import numpy as np
import pytest

import gradnerve as gn
import gradnerve.nn.functional as F

rng = np.random.default_rng(1)


def normal(*shape):
    return np.asarray(rng.standard_normal(shape))


def compare(torch, name, *arrays, differentiate=True, **options):
    """F.name and torch.nn.functional.name on the same arrays: the value, and each gradient."""
    ours, theirs = [], []
    for a in arrays:
        is_float = isinstance(a, np.ndarray) and a.dtype.kind == "f" and differentiate
        ours.append(gn.Tensor(a, requires_grad=is_float) if isinstance(a, np.ndarray) else a)
        t = torch.tensor(a, requires_grad=is_float) if isinstance(a, np.ndarray) else a
        theirs.append(t)
    plain = {k: torch.tensor(v) if isinstance(v, np.ndarray) else v for k, v in options.items()}
    y = getattr(F, name)(*ours, **options)
    expected = getattr(torch.nn.functional, name)(*theirs, **plain)
    assert type(y) is gn.Tensor
    assert y.shape == tuple(expected.shape)
    np.testing.assert_allclose(y.data, expected.detach().numpy(), rtol=1e-11, atol=1e-12)
    on_arrays = getattr(F, name)(*arrays, **options)
    assert not isinstance(on_arrays, gn.Tensor), "plain arrays in, a plain array out"
    np.testing.assert_allclose(on_arrays, y.data, rtol=1e-14)
    leaves = [(a, t) for a, t in zip(ours, theirs, strict=True) if getattr(t, "grad_fn", 0) is None]
    leaves = [(a, t) for a, t in leaves if t.requires_grad]
    if leaves:
        ct = np.random.default_rng(2).standard_normal(y.shape)
        y.backward(ct)
        found = torch.autograd.grad(expected, [t for _, t in leaves], torch.tensor(ct))
        for (a, _), want in zip(leaves, found, strict=True):
            np.testing.assert_allclose(a.grad, want.numpy(), rtol=1e-10, atol=1e-11)
    return y


def grid(**choices):
    """Every combination of choices, as pytest's parameters."""
    combinations = [
        dict(zip(choices, values, strict=True)) for values in itertools.product(*choices.values())
    ]
    return [
        pytest.param(c, id=",".join(f"{name}={value}" for name, value in c.items()))
        for c in combinations
    ]


# --- Signatures -----------------------------------------------------------------------------------

FUNCTIONS = [
    name
    for name, f in vars(F).items()
    if inspect.isfunction(f) and f.__module__.startswith(F.__name__) and not name.startswith("_")
]


# Those that PyTorch has written in C++, and so cannot be inspected.
CONV, POOL = "input weight bias=None stride=1 padding=0", "input kernel_size stride=None padding=0"
BUILT_IN = {
    "linear": "input weight bias=None",
    "bilinear": "input1 input2 weight bias=None",
    "scaled_dot_product_attention": (
        "query key value attn_mask=None dropout_p=0.0 is_causal=False scale=None enable_gqa=False"
    ),
    "gelu": "input approximate='none'",
    "hardshrink": "input lambd=0.5",
    "softshrink": "input lambd=0.5",
    "logsigmoid": "input",
    "prelu": "input weight",
    "softplus": "input beta=1 threshold=20",
    "one_hot": "tensor num_classes=-1",
    "pixel_shuffle": "input upscale_factor",
    "pixel_unshuffle": "input downscale_factor",
    "channel_shuffle": "input groups",
    "cosine_similarity": "x1 x2 dim=1 eps=1e-8",
    "pairwise_distance": "x1 x2 p=2 eps=1e-6 keepdim=False",
    "pdist": "input p=2",
    # PyTorch guesses a missing dim here, which is deprecated.
    "softmax": "input dim dtype=None",
    "softmin": "input dim dtype=None",
    "log_softmax": "input dim dtype=None",
}
for n in (1, 2, 3):
    BUILT_IN |= {
        f"conv{n}d": f"{CONV} dilation=1 groups=1",
        f"conv_transpose{n}d": f"{CONV} output_padding=0 groups=1 dilation=1",
        f"max_pool{n}d": f"{POOL} dilation=1 ceil_mode=False return_indices=False",
        f"avg_pool{n}d": f"{POOL} ceil_mode=False count_include_pad=True"
        + (" divisor_override=None" if n > 1 else ""),
        f"adaptive_avg_pool{n}d": "input output_size",
        f"adaptive_max_pool{n}d": "input output_size return_indices=False",
    }
FRACTIONAL = "input kernel_size output_size=None output_ratio=None return_indices=False"
BUILT_IN |= dict.fromkeys(
    ("fractional_max_pool2d", "fractional_max_pool3d"), f"{FRACTIONAL} _random_samples=None"
)
LEFT_OUT = ("size_average", "reduce", "_stacklevel", "out", "options")
"""Deprecated, or about how PyTorch computes."""


@pytest.mark.parametrize("name", FUNCTIONS)
def test_signature_is_pytorchs(name, torch):
    """The same names in the same order with the same defaults."""
    if name in BUILT_IN:
        pairs = [word.partition("=")[::2] for word in BUILT_IN[name].split()]
        theirs = [
            (n, eval(default) if default else inspect.Parameter.empty) for n, default in pairs
        ]
    else:
        parameters = inspect.signature(getattr(torch.nn.functional, name)).parameters.values()
        theirs = [(p.name, p.default) for p in parameters if p.name not in LEFT_OUT]
    parameters = inspect.signature(getattr(F, name)).parameters.values()
    assert [(p.name, p.default) for p in parameters] == theirs


# --- Layers ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(3,), (5, 3), (2, 5, 3), (0, 3)])
@pytest.mark.parametrize("bias", [True, False])
def test_linear(shape, bias, torch):
    compare(torch, "linear", normal(*shape), normal(4, 3), *([normal(4)] if bias else []))


# --- Embedding ------------------------------------------------------------------------------------


@pytest.mark.parametrize("padding_idx", [None, 0, 2, -1])
@pytest.mark.parametrize("index", [np.array([[0, 2, 2], [3, 0, 2]]), np.array(2), np.zeros(0, int)])
def test_embedding(index, padding_idx, torch):
    compare(torch, "embedding", index, normal(4, 3), padding_idx=padding_idx)


def test_embedding_refuses():
    table = gn.Tensor(normal(4, 3))
    for index in (4, -1):
        with pytest.raises(IndexError, match=f"index {index} is not in a table of 4 rows"):
            F.embedding(np.array([0, index]), table)
    with pytest.raises(TypeError, match="are integers, not float64"):
        F.embedding(np.array([0.0]), table)


# --- Normalisation --------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(4,), (3, 4), (3,), 4, [4]], ids=str)
@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("eps", [1e-5, 0.1])
def test_layer_norm(shape, affine, eps, torch):
    axes = (shape,) if isinstance(shape, int) else tuple(shape)
    x = normal(2, 3, 4) if axes[-1] == 4 else normal(2, 3)
    parameters = [normal(*axes), normal(*axes)] if affine else []
    peers = list(axes)
    ours = gn.Tensor(x, requires_grad=True)
    weights = [gn.Tensor(p, requires_grad=True) for p in parameters]
    theirs = [torch.tensor(a, requires_grad=True) for a in (x, *parameters)]
    y = F.layer_norm(ours, shape, *weights, eps=eps)
    expected = torch.nn.functional.layer_norm(theirs[0], peers, *theirs[1:], eps=eps)
    np.testing.assert_allclose(y.data, expected.detach().numpy(), rtol=1e-11, atol=1e-12)
    ct = normal(*y.shape)
    y.backward(ct)
    expected.backward(torch.tensor(ct))
    for a, t in zip((ours, *weights), theirs, strict=True):
        np.testing.assert_allclose(a.grad, t.grad.numpy(), rtol=1e-10, atol=1e-11)


def test_layer_norm_refuses():
    with pytest.raises(ValueError, match=r"layer_norm expects last axes \(3,\)"):
        F.layer_norm(normal(2, 4), 3)
    with pytest.raises(ValueError, match="expects last axes"):
        F.layer_norm(normal(4), (2, 4))


# --- Attention ------------------------------------------------------------------------------------

MASKS = {
    "none": None,
    "boolean": np.array([[True, False, True, True, False], [True] * 5, [False] * 4 + [True]]),
    "numbers": normal(3, 5),
    "of each batch": normal(2, 1, 3, 5),
}


@pytest.mark.parametrize("scale", [None, 0.3, 0.0, 2])
@pytest.mark.parametrize("mask", MASKS)
def test_attention(mask, scale, torch):
    query, key, value = normal(2, 2, 3, 4), normal(2, 2, 5, 4), normal(2, 2, 5, 6)
    compare(
        torch, "scaled_dot_product_attention", query, key, value, attn_mask=MASKS[mask], scale=scale
    )  # fmt: skip


@pytest.mark.parametrize("lengths", [(4, 4), (3, 5), (5, 3), (1, 1)])
def test_causal_attention(lengths, torch):
    rows, columns = lengths
    arrays = normal(2, rows, 4), normal(2, columns, 4), normal(2, columns, 3)
    compare(torch, "scaled_dot_product_attention", *arrays, is_causal=True)


def test_attention_broadcasts_and_runs_on_matrices(torch):
    compare(
        torch, "scaled_dot_product_attention", normal(3, 4), normal(5, 4), normal(5, 2)
    )  # fmt: skip


def test_a_row_that_may_attend_to_nothing(torch):
    """PyTorch gives zeros; what matters is that no NaN gets into the weights."""
    mask = np.array([[True, True], [False, False]])
    arrays = normal(2, 4), normal(2, 4), normal(2, 3)
    compare(torch, "scaled_dot_product_attention", *arrays, attn_mask=mask)


def test_attention_refuses():
    q, k, v = normal(3, 4), normal(5, 4), normal(5, 2)
    with pytest.raises(ValueError, match="must agree in their last axis"):
        F.scaled_dot_product_attention(q[:, :3], k, v)
    with pytest.raises(ValueError, match="in the one before"):
        F.scaled_dot_product_attention(q, k, v[:3])
    with pytest.raises(ValueError, match="attn_mask or is_causal, not both"):
        F.scaled_dot_product_attention(q, k, v, attn_mask=np.ones((3, 5), bool), is_causal=True)


def test_attention_drops_weights():
    gn.manual_seed(0)
    q = k = v = gn.Tensor(np.ones((1, 8, 4)))
    y = F.scaled_dot_product_attention(q, k, v, dropout_p=0.5)
    assert len(np.unique(y.data)) > 1


# --- Dropout --------------------------------------------------------------------------------------


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_dropout_drops_a_share_p_and_keeps_the_mean(p):
    x = gn.Tensor(np.ones(100_000), requires_grad=True)
    y = F.dropout(x, p)
    dropped = (y.data == 0).mean()
    assert abs(dropped - p) < 5 * np.sqrt(p * (1 - p) / 100_000)
    np.testing.assert_allclose(y.data[y.data != 0], 1 / (1 - p), rtol=1e-12)
    y.sum().backward()
    np.testing.assert_array_equal(x.grad, y.data)


def test_dropout_at_0_and_1_and_in_evaluation():
    x = gn.Tensor(normal(3, 4), requires_grad=True)
    assert F.dropout(x, 0.0) is x
    assert F.dropout(x, 0.5, training=False) is x
    y = F.dropout(x, 1.0)
    assert not y.data.any()
    y.sum().backward()
    assert not x.grad.any()
    for p in (-0.1, 1.1, float("nan")):
        with pytest.raises(ValueError, match="p is a probability"):
            F.dropout(x, p)


def test_dropout_keeps_float32_and_differs_each_time():
    x = gn.Tensor(np.ones(1000, np.float32))
    assert F.dropout(x).dtype == np.float32
    assert (F.dropout(x).data != F.dropout(x).data).any()
    assert isinstance(F.dropout(np.ones(3)), np.ndarray)


# --- Activations ----------------------------------------------------------------------------------

VALUES = np.concatenate([normal(20) * 3, [0.0, -0.0, 30.0, -30.0]])


@pytest.mark.parametrize("name", ["relu", "sigmoid", "tanh", "gelu"])
def test_activations(name, torch):
    compare(torch, name, VALUES)
    compare(torch, name, np.array(0.7))
    compare(torch, name, np.zeros((0, 3)))


def test_gelu_by_tanh(torch):
    compare(torch, "gelu", VALUES, approximate="tanh")
    with pytest.raises(ValueError, match="approximate is 'none' or 'tanh', not 'no'"):
        F.gelu(VALUES, "no")


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
@pytest.mark.parametrize("shape, dim", [((4,), 0), ((3, 4), 0), ((3, 4), -1), ((2, 3, 4), 1)])
def test_softmax(name, shape, dim, torch):
    compare(torch, name, normal(*shape) * 5, dim=dim)


def test_softmax_in_another_dtype():
    x = gn.Tensor(np.array([1.0, 2.0], np.float32), requires_grad=True)
    y = F.softmax(x, 0, dtype="float64")
    y[0].backward()
    assert (y.dtype, x.grad.dtype) == (np.float64, np.float32)


# --- Losses ---------------------------------------------------------------------------------------

CLASSES = {
    "(N, C)": ((6, 4), (6,)),
    "(C,)": ((4,), ()),
    "(N, C, L)": ((2, 4, 3), (2, 3)),
    "(N, C, H, W)": ((2, 4, 2, 2), (2, 2, 2)),
}


@pytest.mark.parametrize("label_smoothing", [0.0, 0.3])
@pytest.mark.parametrize("ignore_index", [-100, 1, 99])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("shapes", CLASSES)
def test_cross_entropy(shapes, reduction, weighted, ignore_index, label_smoothing, torch):
    logits, target = (CLASSES[shapes][0], np.array(rng.integers(0, 4, CLASSES[shapes][1])))
    if ignore_index == 99 and target.ndim:
        target[..., 0] = 99
    if shapes == "(C,)" and ignore_index == 1:
        target[...] = 2  # an ignored only target has no mean
    weight = {"weight": np.array([0.5, 1.0, 2.0, 0.1])} if weighted else {}
    compare(
        torch, "cross_entropy", normal(*logits), target, reduction=reduction,
        ignore_index=ignore_index, label_smoothing=label_smoothing, **weight,
    )  # fmt: skip


@pytest.mark.parametrize("label_smoothing", [0.0, 0.3])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("shapes", CLASSES)
def test_cross_entropy_of_probabilities(shapes, reduction, weighted, label_smoothing, torch):
    shape = CLASSES[shapes][0]
    target = np.abs(normal(*shape))
    weight = {"weight": np.array([0.5, 1.0, 2.0, 0.1])} if weighted else {}
    compare(
        torch, "cross_entropy", normal(*shape), target, reduction=reduction,
        label_smoothing=label_smoothing, **weight,
    )  # fmt: skip


@pytest.mark.parametrize("ignore_index", [-100, 1, 99])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("shapes", CLASSES)
def test_nll_loss(shapes, reduction, weighted, ignore_index, torch):
    shape, target = CLASSES[shapes][0], np.array(rng.integers(0, 4, CLASSES[shapes][1]))
    if ignore_index == 99 and target.ndim:
        target[..., 0] = 99
    if shapes == "(C,)" and ignore_index == 1:
        target[...] = 2
    weight = {"weight": np.array([0.5, 1.0, 2.0, 0.1])} if weighted else {}
    compare(
        torch, "nll_loss", normal(*shape), target, reduction=reduction, ignore_index=ignore_index,
        **weight,
    )  # fmt: skip


def test_cross_entropy_takes_target_tensors_and_small_integers():
    x = normal(3, 4)
    expected = F.cross_entropy(x, np.array([0, 3, 1]))
    for target in (np.array([0, 3, 1], np.uint8), np.array([0, 3, 1], np.int32)):
        assert F.cross_entropy(x, target) == expected
        assert F.cross_entropy(gn.Tensor(x), gn.Tensor(target)).item() == expected


def test_cross_entropy_of_all_ignored(torch):
    x, target = normal(2, 3), np.array([-100, -100])
    with pytest.warns(RuntimeWarning):
        assert np.isnan(F.cross_entropy(gn.Tensor(x), target).data), "as PyTorch: 0 / 0"
    assert F.cross_entropy(gn.Tensor(x), target, reduction="sum").data == 0


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("shape", [(3,), (2, 3), ()])
def test_mse_loss(shape, reduction, torch):
    compare(torch, "mse_loss", normal(*shape), normal(*shape), reduction=reduction)


# --- Grids ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("align_corners", [True, False])
@pytest.mark.parametrize("size", [(2, 1, 3, 4), (2, 1, 2, 3, 2)])
def test_affine_grid(size, align_corners, torch):
    ndim = len(size) - 2
    theta = normal(2, ndim, ndim + 1)
    compare(torch, "affine_grid", theta, size, align_corners=align_corners)
