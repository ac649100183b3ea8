"""Bad input is refused in one sentence; extreme input gives PyTorch's numbers."""

import numpy as np
import pytest

import gradnerve as gn
import gradnerve.nn.functional as F
from gradnerve import nn

rng = np.random.default_rng(0)


def normal(*shape):
    return np.asarray(rng.standard_normal(shape))


# --- Targets --------------------------------------------------------------------------------------

OF_ONE_SHAPE = [
    "mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss", "binary_cross_entropy",
    "binary_cross_entropy_with_logits", "poisson_nll_loss", "soft_margin_loss",
    "hinge_embedding_loss", "multilabel_soft_margin_loss",
]  # fmt: skip


@pytest.mark.parametrize("name", OF_ONE_SHAPE)
def test_a_column_against_a_row(name):
    """(N, 1) and (N,) would broadcast to (N, N), and the loss would be wrong."""
    x = np.full((4, 1), 0.5)
    with pytest.raises(ValueError, match=r"Write target\[..., None\] or input\[..., 0\]"):
        getattr(F, name)(x, x[:, 0])
    with pytest.raises(ValueError, match=r"would broadcast to \(4, 4\)"):
        getattr(F, name)(x[:, 0], x)


def test_a_column_against_a_row_in_margin_ranking():
    with pytest.raises(ValueError, match=r"margin_ranking_loss: .*would broadcast to \(4, 4\)"):
        F.margin_ranking_loss(np.ones(4), np.ones(4), np.ones((4, 1)))


CLASS_LOSSES = ["cross_entropy", "nll_loss", "multi_margin_loss"]


@pytest.mark.parametrize("name", CLASS_LOSSES)
def test_class_numbers(name):
    loss, x = getattr(F, name), normal(3, 4)
    with pytest.raises(TypeError, match=f"{name}: class numbers and indices are integers, not flo"):
        loss(x, np.array([0.0, 1.0, 2.0]))
    for wrong in (4, -1):
        with pytest.raises(ValueError, match=f"a target is class {wrong}, but the input has 4 cl"):
            loss(x, np.array([0, wrong, 2]))
    with pytest.raises(ValueError, match=r"the target is \(3,\) class numbers, got shape \(3, 1\)"):
        loss(x, np.array([[0], [1], [2]]))
    with pytest.raises(ValueError, match=r"expects a weight of shape \(4,\)"):
        loss(x, np.array([0, 1, 2]), weight=np.ones(3))
    with pytest.raises(ValueError, match=f"{name}: reduction is 'mean', 'sum' or 'none', not 'av"):
        loss(x, np.array([0, 1, 2]), reduction="average")


def test_options_of_cross_entropy():
    x = normal(2, 3)
    with pytest.raises(ValueError, match="label_smoothing is from 0 to 1, not 1"):
        F.cross_entropy(x, np.array([0, 1]), label_smoothing=1.5)
    with pytest.raises(ValueError, match="ignore_index is for class numbers"):
        F.cross_entropy(x, np.ones((2, 3)) / 3, ignore_index=1)
    with pytest.raises(ValueError, match="got a single number"):
        F.cross_entropy(np.array(1.0), np.array(0))


def test_probabilities_are_from_0_to_1():
    with pytest.raises(
        ValueError, match=r"others from -0\.5 to 2\.0; for logits write binary_cross_"
    ):
        F.binary_cross_entropy(np.array([-0.5, 2.0]), np.array([1.0, 0.0]))


def test_variances_are_not_negative():
    with pytest.raises(ValueError, match="a variance is 0 or more, and there is -1"):
        F.gaussian_nll_loss(np.ones(2), np.ones(2), np.array([1.0, -1.0]))
    with pytest.raises(ValueError, match=r"var of shape \(2,\) is neither"):
        F.gaussian_nll_loss(np.ones((3, 4)), np.ones((3, 4)), np.ones(2))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: F.smooth_l1_loss(1.0, 1.0, beta=-1), "beta is 0 or more, not -1"),
        (lambda: F.huber_loss(1.0, 1.0, delta=0), "delta is above 0, not 0"),
        (lambda: F.multi_margin_loss(normal(2, 3), np.zeros(2, int), p=3), "p is 1 or 2, not 3"),
        (lambda: F.triplet_margin_loss(normal(2, 3), normal(3), normal(2, 3)), "as many axes"),
        (lambda: F.triplet_margin_loss(*[normal(2, 3)] * 3, margin=0), "margin is above 0"),
        (lambda: F.one_hot(np.array([0, 5]), 3), "class 5 is not among 0 to 2"),
        (lambda: F.one_hot(np.array([-1])), "class -1 is not among"),
        (lambda: F.one_hot(np.zeros(0, int)), "give it"),
        (lambda: F.pdist(normal(3)), r"expects an input \(N, D\)"),
        (lambda: F.celu(1.0, 0.0), "alpha is 0"),
        (lambda: F.softshrink(1.0, -1.0), "lambd is 0 or more, not -1.0"),
        (lambda: F.hardtanh(1.0, 2.0, 1.0), "min_val, 2.0, is above max_val, 1.0"),
        (lambda: F.rrelu(1.0, 0.5, 0.2), "lower is at most upper"),
        (lambda: F.glu(normal(3)), "expects an even length of axis -1, got 3"),
        (lambda: F.prelu(normal(2, 3), normal(2)), r"a weight of shape \(2,\) for 3 channels"),
        (lambda: F.bilinear(normal(2, 3), normal(2, 2), normal(1, 3, 4)), "4 of its second input"),
        (lambda: F.bilinear(normal(2, 3), normal(3, 4), normal(1, 3, 4)), "the same first axes"),
        (lambda: F.group_norm(normal(2, 5), 2), "5 channels, which do not divide into 2 groups"),
        (lambda: F.batch_norm(normal(2, 5), None, None), "without training it needs running_mean"),
        (lambda: F.batch_norm(normal(2, 5), normal(4), None, training=True), "for 4 channels, got"),
        (lambda: F.batch_norm(normal(2, 5), None, None, training=True, eps=0), "eps is above 0"),
        (lambda: F.layer_norm(normal(2, 5), 5, normal(4)), r"expects a weight of shape \(5,\)"),
        (lambda: F.rms_norm(normal(2, 5), 4), r"rms_norm expects last axes \(4,\)"),
        (lambda: F.local_response_norm(normal(2, 5), 2), r"expects an input \(N, C, L, ...\)"),
        (lambda: F.local_response_norm(normal(2, 5, 3), 0), "size is 1 or more, not 0"),
        (lambda: F.dropout1d(normal(3)), "expects an input of 2 or 3 axes, got 1"),
        (lambda: F.alpha_dropout(normal(3), 2.0), "p is a probability, between 0 and 1, not 2.0"),
        (lambda: F.channel_shuffle(normal(1, 5, 2), 2), "channels for 2 groups"),
        (lambda: F.max_unpool1d(normal(1, 1, 2), np.array([[[0, 9]]]), 2), "from 0 to 3"),
        (lambda: F.max_unpool1d(normal(1, 1, 2), np.array([[[0, 1]]]), 2, output_size=(9,)),
         r"comes from \(4,\)"),
        (lambda: F.fractional_max_pool2d(normal(1, 1, 4, 4), 3, 4), "4 windows of 3, too many"),
        (lambda: F.fractional_max_pool2d(normal(1, 1, 4, 4), 3), "give an output_size or an outp"),
        (lambda: F.embedding(np.array([0]), normal(3, 2), 3), "padding_idx 3 is not in a table"),
        (lambda: F.embedding_bag(np.array([0]), normal(3, 2)), r"give indices \(B, L\), or"),
        (lambda: F.embedding_bag(np.array([0]), normal(3, 2), np.array([1])), "begins at 0, not"),
        (lambda: F.embedding_bag(np.array([[0]]), normal(3, 2), mode="or"), "'mean' or 'max', not"),
        (lambda: F.scaled_dot_product_attention(normal(3, 4, 2), *[normal(2, 4, 2)] * 2,
                                                enable_gqa=True), "do not divide those of"),
        (lambda: F.scaled_dot_product_attention(*[normal(2)] * 3), "of two axes too"),
        (lambda: F.grid_sample(normal(1, 1, 2, 2), normal(1, 2, 2, 3)), r"a grid \(1, H, W"),
        (lambda: F.grid_sample(normal(1, 1, 2, 2), normal(1, 2, 2, 2), "area"), "mode is 'bil"),
        (lambda: F.affine_grid(normal(1, 2, 2), (1, 1, 2, 2)), r"expects maps \(N, 2, 3\)"),
    ],
)  # fmt: skip
def test_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_a_batch_of_one():
    """Its variance is 0: batch norm would give the bias, whatever the input."""
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    with pytest.raises(ValueError, match="over one value only") as caught:
        model(np.ones((1, 3), np.float32))
    assert "`1` (BatchNorm1d(4, eps=1e-05" in str(caught.value), "it says its path"
    assert "call eval()" in str(caught.value)
    assert (model[1].running_mean.data == 0).all() and model[1].num_batches_tracked.data == 0
    assert model.eval()(np.ones((1, 3), np.float32)).shape == (1, 4)
    for norm, shape in ((nn.InstanceNorm1d(4), (2, 4, 1)), (nn.GroupNorm(4, 4), (1, 4))):
        with pytest.raises(ValueError, match="over one value only"):
            norm(np.ones(shape))


@pytest.mark.parametrize(
    ("layer", "shape", "message"),
    [
        (nn.BatchNorm1d(3), (2, 4), r"`inner` \(BatchNorm1d\(3.* expects 3 channels, got 4"),
        (nn.BatchNorm2d(3), (2, 3), r"expects an input \(N, C, H, W\), got 2 axes"),
        (nn.InstanceNorm2d(3), (2, 4, 5, 5), "expects 3 channels, got 4"),
        (nn.InstanceNorm1d(3), (3,), "got 1 axes"),
        (nn.GroupNorm(2, 4), (2, 6), "has parameters for 4 channels, got 6"),
        (nn.LayerNorm(4), (2, 6), r"expects last axes \(4,\)"),
        (nn.RMSNorm(4), (2, 6), r"expects last axes \(4,\)"),
        (nn.PReLU(4), (2, 6), "for 6 channels"),
        (nn.Unflatten(1, (2, 4)), (2, 6), r"cannot make \(2, 4\) of an axis of 6"),
        (nn.ReflectionPad2d(1), (2, 6), "got 2 axes"),
        (nn.Softmax2d(), (2, 6), "got 2 axes"),
        (nn.PixelShuffle(2), (2, 3, 4, 4), "expects a multiple of 4 channels, got 3"),
        (nn.Dropout3d(), (2, 6), "expects an input of 4 or 5 axes, got 2"),
    ],
)
def test_layers_say_their_path(layer, shape, message):
    model = nn.Module()
    model.inner = layer
    model.forward = lambda x: model.inner(x)
    with pytest.raises(ValueError, match=message) as caught:
        model(gn.Tensor(np.ones(shape, np.float32)))
    assert str(caught.value).startswith("`inner`")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: nn.Embedding(3, 2, padding_idx=5), "padding_idx 5 is not in a table of 3 rows"),
        (lambda: nn.Embedding(3, 2, _weight=np.ones((2, 2))), "is not"),
        (lambda: nn.Embedding.from_pretrained(np.ones(3)), "has two axes"),
        (lambda: nn.Bilinear(0, 2, 1), "sizes are 1 or more"),
        (lambda: nn.GroupNorm(2, 5), "5 channels do not divide into 2 groups"),
        (lambda: nn.Hardtanh(1.0, 1.0), "is not below"),
        (lambda: nn.ZeroPad2d((1, 2)), "padding is a number, or 4 of them"),
        (lambda: nn.FractionalMaxPool2d(2), "give an output_size or an output_ratio"),
        (lambda: nn.AlphaDropout(-1.0), "AlphaDropout: p is a probability"),
    ],
)
def test_layers_refuse_to_be_made(make, message):
    with pytest.raises(ValueError, match=message):
        make()


# --- Extreme values, as in PyTorch ----------------------------------------------------------------


def same(torch, name, *arrays, rtol=1e-11, **options):
    """Value and gradients of F.name are PyTorch's; NaN and infinity where PyTorch has them."""
    ours = [gn.Tensor(a, requires_grad=a.dtype.kind == "f") for a in arrays]
    theirs = [torch.tensor(a, requires_grad=a.dtype.kind == "f") for a in arrays]
    y = getattr(F, name)(*ours, **options)
    expected = getattr(torch.nn.functional, name)(*theirs, **options)
    np.testing.assert_allclose(y.data, expected.detach().numpy(), rtol=1e-12)
    y.sum().backward()
    expected.sum().backward()
    np.testing.assert_allclose(ours[0].grad, theirs[0].grad.numpy(), rtol=rtol, atol=1e-15)


EXTREME = np.array([-1e300, -1000.0, -40.0, -20.0, -1e-300, 0.0, 1e-20, 20.0, 40.0, 1000.0, 1e300])
ACTIVATIONS = [
    "celu", "elu", "hardshrink", "hardsigmoid", "hardswish", "hardtanh", "leaky_relu", "logsigmoid",
    "mish", "relu", "relu6", "selu", "sigmoid", "silu", "softplus", "softshrink", "tanh",
    "tanhshrink",
]  # fmt: skip


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations_of_extreme_numbers(name, torch):
    if name == "hardsigmoid":  # PyTorch's gradient has a factor 1/6 of single precision
        x = torch.tensor(EXTREME)
        np.testing.assert_allclose(F.hardsigmoid(EXTREME), torch.nn.functional.hardsigmoid(x))
        return
    same(torch, name, EXTREME)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations_at_kinks_and_of_nan(name, torch):
    x = np.array([-3.0, -1.0, -0.5, -0.0, 0.0, 0.5, 1.0, 3.0, 6.0, np.nan])
    y = getattr(F, name)(gn.Tensor(x, requires_grad=True))
    t = torch.tensor(x, requires_grad=True)
    expected = getattr(torch.nn.functional, name)(t)
    np.testing.assert_allclose(y.data, expected.detach().numpy(), rtol=1e-12)
    leaf = gn.Tensor(x[:-1], requires_grad=True)
    getattr(F, name)(leaf).sum().backward()
    expected.sum().backward()
    np.testing.assert_allclose(leaf.grad, t.grad.numpy()[:-1], rtol=1e-6)


def test_softplus_beyond_its_threshold(torch):
    same(torch, "softplus", np.array([9.99, 10.01, 30.0]), beta=2.0)
    same(torch, "softplus", np.array([4.0, 6.0]), threshold=5.0)


def test_binary_cross_entropy_of_certainty(torch):
    p, t = np.array([0.0, 0.0, 1.0, 1.0, 1e-20, 0.5]), np.array([0.0, 1.0, 0.0, 1.0, 1.0, 0.0])
    same(torch, "binary_cross_entropy", p, t, reduction="none", rtol=1e-8)
    x = np.array([-1000.0, 1000.0, -1000.0, 1000.0, 0.0, 50.0])
    same(torch, "binary_cross_entropy_with_logits", x, t, reduction="none")


def test_kl_div_of_targets_of_0(torch):
    x, t = np.log([0.5, 0.25, 0.25]), np.array([0.0, 1.0, 0.0])
    ours, theirs = gn.Tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
    y = F.kl_div(ours, t, reduction="sum")
    expected = torch.nn.functional.kl_div(theirs, torch.tensor(t), reduction="sum")
    np.testing.assert_allclose(y.data, expected.detach().numpy())
    y.backward(), expected.backward()
    np.testing.assert_allclose(ours.grad, theirs.grad.numpy())


@pytest.mark.parametrize("options", [{}, {"weight": [1.0, 2.0, 3.0]}, {"ignore_index": 1}])
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_cross_entropy_of_impossible_classes(options, reduction, torch):
    """Logits of -∞: masked classes."""
    x = np.array([[-np.inf, 2.0, 1.0], [0.0, -np.inf, 3.0], [-np.inf, 1000.0, 0.0]])
    target = np.array([2, 0, 1])
    weight = options.get("weight")
    there = options | ({"weight": torch.tensor(weight)} if weight else {})
    here = options | ({"weight": np.array(weight)} if weight else {})
    ours, theirs = gn.Tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
    y = F.cross_entropy(ours, target, reduction=reduction, **here)
    expected = torch.nn.functional.cross_entropy(
        theirs, torch.tensor(target), reduction=reduction, **there
    )
    np.testing.assert_allclose(y.data, expected.detach().numpy())
    y.sum().backward(), expected.sum().backward()
    np.testing.assert_allclose(ours.grad, theirs.grad.numpy(), atol=1e-15)


def test_an_ignored_target_of_an_impossible_class_does_not_count(torch):
    x, target = np.array([[-np.inf, 2.0], [0.0, 1.0]]), np.array([-100, 1])
    for reduction in ("mean", "sum", "none"):
        same(torch, "cross_entropy", x, target, reduction=reduction)


def test_all_masked_rows_of_attention(torch):
    """With numbers of -∞, too, PyTorch gives 0, and the gradient 0."""
    query, key, value = normal(2, 4), normal(2, 4), normal(2, 3)
    mask = np.array([[0.0, 1.0], [-np.inf, -np.inf]])
    ours = [gn.Tensor(a, requires_grad=True) for a in (query, key, value)]
    theirs = [torch.tensor(a, requires_grad=True) for a in (query, key, value)]
    y = F.scaled_dot_product_attention(*ours, attn_mask=mask)
    expected = torch.nn.functional.scaled_dot_product_attention(
        *theirs, attn_mask=torch.tensor(mask)
    )
    assert (y.data[1] == 0).all()
    np.testing.assert_allclose(y.data, expected.detach().numpy(), rtol=1e-12)
    y.sum().backward(), expected.sum().backward()
    for a, t in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a.grad, t.grad.numpy(), rtol=1e-11, atol=1e-15)


# --- CTC ------------------------------------------------------------------------------------------


def ctc(torch, logits, targets, inputs, lengths, **options):
    """Ours and PyTorch's loss and gradient, through log_softmax."""
    ours, theirs = gn.Tensor(logits, requires_grad=True), torch.tensor(logits, requires_grad=True)
    y = F.ctc_loss(F.log_softmax(ours, -1), targets, inputs, lengths, **options)
    t = torch.nn.functional.log_softmax(theirs, -1)
    arguments = [torch.tensor(a) for a in (targets, inputs, lengths)]
    expected = torch.nn.functional.ctc_loss(t, *arguments, **options)
    np.testing.assert_allclose(y.data, expected.detach().numpy(), rtol=1e-11)
    y.sum().backward(), expected.sum().backward()
    return ours.grad, theirs.grad.numpy()


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("blank", [0, 2])
def test_ctc_gradient(reduction, blank, torch):
    targets = np.array([[1, 1, 3], [3, 4, 1], [1, 3, 4]])
    lengths = np.array([3, 1, 0])
    found, expected = ctc(
        torch, normal(7, 3, 5), targets, np.array([7, 4, 5]), lengths, blank=blank,
        reduction=reduction,
    )  # fmt: skip
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)
    row = np.array([1, 1, 3, 3])
    found, expected = ctc(
        torch, normal(7, 3, 5), row, np.array([7, 4, 5]), lengths, blank=blank, reduction=reduction
    )
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)
    found, expected = ctc(
        torch, normal(7, 5), row, np.array(7), np.array(4), blank=blank, reduction=reduction
    )
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)


def test_ctc_of_targets_that_do_not_fit(torch):
    """1 1 needs three times: infinity; or 0, with the gradient 0."""
    targets, inputs, lengths = np.array([[1, 1], [1, 2]]), np.array([2, 4]), np.array([2, 2])
    logits = normal(4, 2, 3)
    losses = F.ctc_loss(F.log_softmax(logits, -1), targets, inputs, lengths, reduction="none")
    assert np.isinf(losses[0]) and np.isfinite(losses[1])
    found, expected = ctc(torch, logits, targets, inputs, lengths, zero_infinity=True)
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)
    x = gn.Tensor(logits, requires_grad=True)
    F.ctc_loss(F.log_softmax(x, -1), targets, inputs, lengths, reduction="sum").backward()
    assert (x.grad[:, 0] == 0).all() and np.isfinite(x.grad).all(), "PyTorch: NaN"


def test_ctc_of_impossible_classes(torch):
    logits = normal(5, 1, 3)
    logits[2, 0, 1] = -np.inf
    found, expected = ctc(torch, logits, np.array([[1, 2]]), np.array([5]), np.array([2]))
    assert np.isfinite(found).all() and found[2, 0, 1] == 0, "PyTorch: NaN, in that row"
    np.testing.assert_allclose(np.delete(found, 2, 0), np.delete(expected, 2, 0), rtol=1e-9)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"blank": 7}, "blank is class 7, but there are 0 to 2"),
        ({"input_lengths": [5, 9]}, "input_lengths are from 0 to 5"),
        ({"target_lengths": [1, 3]}, "target_lengths are up to 3, the targets have 2"),
        ({"target_lengths": [1]}, r"target_lengths are \(2,\), one for each example"),
        ({"targets": np.array([[1, 1], [3, 1]])}, "a target is class 3; there are 0 to 2"),
        ({"targets": np.array([1, 1, 1])}, "3 targets, but lengths of 4 in all"),
        ({"log_probs": normal(5)}, r"expects log-probabilities \(T, N, C\)"),
    ],
)
def test_ctc_refuses(options, message):
    arguments = {
        "log_probs": F.log_softmax(normal(5, 2, 3), -1), "targets": np.array([[1, 2], [2, 1]]),
        "input_lengths": [5, 5], "target_lengths": [2, 2],
    }  # fmt: skip
    assert np.isfinite(F.ctc_loss(**arguments))
    with pytest.raises(ValueError, match=message):
        F.ctc_loss(**arguments | options)


# --- Batch norm's running statistics --------------------------------------------------------------


def eager(f):
    return f


@pytest.mark.parametrize(
    ("momentum", "wrap"), [(0.1, eager), (None, eager), (1.0, eager), (None, gn.jit)]
)
def test_running_statistics_over_many_steps(momentum, wrap, torch):
    if wrap is gn.jit:
        pytest.importorskip("jax")
    ours = nn.BatchNorm1d(3, momentum=momentum, dtype="float64")
    theirs = torch.nn.BatchNorm1d(3, momentum=momentum)
    apply = wrap(lambda layer, x: layer(x))
    batches = [normal(5, 3) * 3 + 1 for _ in range(4)]
    buffer = ours.running_mean
    for x in batches:
        y, expected = apply(ours, gn.Tensor(x)), theirs(torch.tensor(x))
        np.testing.assert_allclose(np.asarray(y.data), expected.detach().numpy(), rtol=1e-10)
    assert ours.running_mean is buffer
    for key, value in theirs.state_dict().items():
        np.testing.assert_allclose(ours.state_dict()[key], value.numpy(), rtol=1e-12, err_msg=key)
    assert ours.state_dict()["num_batches_tracked"].dtype == np.int64
    ours.eval(), theirs.eval()
    y, expected = apply(ours, gn.Tensor(batches[0])), theirs(torch.tensor(batches[0]))
    np.testing.assert_allclose(np.asarray(y.data), expected.detach().numpy(), rtol=1e-10)
    assert ours.num_batches_tracked.item() == 4


def test_running_statistics_are_outside_of_the_graph():
    layer = nn.BatchNorm1d(2, dtype="float64")
    assert len(list(layer.parameters())) == 2
    x = gn.Tensor(normal(4, 2), requires_grad=True)
    first = layer(x)
    layer(x * 2)  # moves the statistics once more; the first result does not mind
    layer.eval()
    evaluated = layer(x)
    layer.train()(x)
    (first.sum() + evaluated.sum()).backward()
    assert not layer.running_mean.requires_grad and x.grad is not None


def test_statistics_as_plain_arrays(jax):
    mean, var, x = np.zeros(2), np.ones(2), normal(4, 2)
    F.batch_norm(x, mean, var, training=True, momentum=1.0)
    np.testing.assert_allclose(mean, x.mean(0))
    np.testing.assert_allclose(var, x.var(0, ddof=1))
    with pytest.raises(TypeError, match="an array of JAX's never changes; give"):
        F.batch_norm(*map(jax.numpy.asarray, (x, mean, var)), training=True)


def test_single_precision_stays(torch):
    layer = nn.BatchNorm2d(2, momentum=None)
    y = layer(normal(3, 2, 4, 4).astype(np.float32))
    assert y.dtype == layer.running_var.dtype == np.float32


def test_far_from_0(torch):
    """The mean is taken away before anything is multiplied, so few digits are lost."""
    x = (1e4 + normal(8, 3)).astype(np.float32)
    exact = (x - x.astype(np.float64).mean(0)) / x.astype(np.float64).std(0)
    np.testing.assert_allclose(F.batch_norm(x, None, None, training=True), exact, atol=2e-3)


# --- Tables ---------------------------------------------------------------------------------------


def test_rows_that_are_too_long_are_shortened(torch):
    table = normal(5, 3) * 2
    ours, theirs = gn.Tensor(table.copy(), requires_grad=True), torch.tensor(table.copy())
    index = np.array([[0, 3], [3, 1]])
    y = F.embedding(index, ours, max_norm=1.0)
    expected = torch.nn.functional.embedding(torch.tensor(index), theirs, max_norm=1.0)
    np.testing.assert_allclose(y.data, expected.numpy(), rtol=1e-6)
    np.testing.assert_allclose(ours.data, theirs.numpy(), rtol=1e-6)
    np.testing.assert_array_equal(ours.data[[2, 4]], table[[2, 4]])
    y.sum().backward()
    np.testing.assert_array_equal(ours.grad[:, 0], [1, 1, 0, 2, 0])


def test_pretrained_tables():
    layer = nn.Embedding.from_pretrained(np.eye(3), padding_idx=1)
    assert not layer.weight.requires_grad
    assert nn.Embedding.from_pretrained(np.eye(3), freeze=False).weight.requires_grad
    assert (nn.Embedding(4, 2, padding_idx=-1).weight.data[3] == 0).all()


# --- Containers -----------------------------------------------------------------------------------


def test_module_list(torch):
    layers = nn.ModuleList([nn.Linear(1, 1), nn.ReLU()])
    theirs = torch.nn.ModuleList([torch.nn.Linear(1, 1), torch.nn.ReLU()])
    for model, t in ((layers, nn), (theirs, torch.nn)):
        model.append(t.Linear(1, 2)).extend([t.Tanh(), t.Linear(2, 1)])
        model.insert(1, t.Linear(1, 1))
        del model[2]
        model[-1] = t.Linear(2, 3)
        model += [t.Sigmoid()]
        assert type(model.pop(3)).__name__ == "Tanh"
    assert list(layers.state_dict()) == list(theirs.state_dict())
    assert [type(m).__name__ for m in layers] == [type(m).__name__ for m in theirs]
    assert type(layers[1:3]) is nn.ModuleList and len(layers[1:3]) == 2
    assert len(layers + nn.ModuleList([nn.ReLU()])) == len(layers) + 1
    with pytest.raises(TypeError, match="ModuleList: part 1 is str, not a module"):
        nn.ModuleList([nn.ReLU(), "relu"])
    with pytest.raises(NotImplementedError):
        layers(1.0)


def test_module_dict(torch):
    layers = nn.ModuleDict({"a": nn.Linear(1, 1)})
    layers["b"] = nn.ReLU()
    layers.update([("c", nn.Tanh())])
    assert "b" in layers and list(layers.keys()) == ["a", "b", "c"] and len(layers) == 3
    assert list(layers.state_dict()) == ["a.weight", "a.bias"]
    assert layers.pop("b") is not None and "b" not in layers
    assert [name for name, _ in layers.items()] == ["a", "c"] == list(layers)
    assert len(list(layers.values())) == 2
    del layers["a"]
    with pytest.raises(KeyError):
        layers["a"]
    with pytest.raises(KeyError, match="is a method's name"):
        layers["keys"] = nn.ReLU()
    with pytest.raises(TypeError, match="ModuleDict: part x is int, not a module"):
        layers["x"] = 3
    layers.clear()
    assert not len(layers)


def test_parts_of_a_sequential():
    model = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 1))
    head = model[:2]
    assert type(head) is nn.Sequential and head[0] is model[0]
    assert model[1:](head[0](np.ones((1, 2), np.float32))).shape == (1, 1)
    model.append(nn.ReLU())
    assert len(model) == 4 and model[-1](gn.Tensor([-1.0])).data == 0
    named = nn.Sequential({"first": nn.Tanh(), "last": nn.ReLU()})
    del named[0]
    assert [name for name, _ in named.named_modules()] == ["", "last"]


def test_repr_of_options():
    assert repr(nn.ELU(0.5)) == "ELU(alpha=0.5)"
    assert repr(nn.GELU("tanh")) == "GELU(approximate='tanh')"
    assert repr(nn.BatchNorm2d(3)).startswith("BatchNorm2d(3, eps=1e-05, momentum=0.1, affine=True")
    assert repr(nn.Embedding(3, 2, padding_idx=0)) == "Embedding(3, 2, padding_idx=0)"
    assert repr(nn.Lambda(abs)) == "Lambda(abs)"
    assert repr(nn.Dropout2d(0.2).eval()) == "Dropout2d(p=0.2)"


def test_weights_of_losses_are_in_the_state_dict(torch):
    ours, theirs = nn.CrossEntropyLoss(np.ones(3)), torch.nn.CrossEntropyLoss(torch.ones(3))
    assert list(ours.state_dict()) == list(theirs.state_dict()) == ["weight"]
    assert not list(ours.parameters())
