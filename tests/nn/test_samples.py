"""PyTorch's own operator samples, by which its tests are run, through each function of nn.

Value and gradients have to be PyTorch's for every sample, and what PyTorch refuses is refused. The
samples are in PyTorch's wheel, and need `expecttest`.
"""

import inspect
import os
import warnings

import numpy as np
import pytest

import gradnerve as gn
import gradnerve.nn.functional as F
from gradnerve import nn

if os.environ.get("CI") != "true":  # where the tests count neither may be missing
    pytest.importorskip("torch", reason="the samples are PyTorch's")
    pytest.importorskip("expecttest", reason="PyTorch's samples need it (pip install '.[bench]')")


def _databases():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch's own, about what it will change
        from torch.testing._internal.common_methods_invocations import op_db
        from torch.testing._internal.common_modules import module_db
    plain = ("softmax", "log_softmax", "sigmoid", "tanh")
    ops = [op for op in op_db if op.name.startswith("nn.functional.") or op.name in plain]
    return {f"{op.name.split('.')[-1]} {op.variant_test_name}".strip(): op for op in ops}, {
        module.name.removeprefix("nn."): module for module in module_db
    }


OPERATORS, MODULES = _databases()

NOT_OURS = {"multi_head_attention_forward"}  # what `nn.MultiheadAttention` is for

# Random: the numbers are not PyTorch's, so only shapes can be compared. (test_random.py has more.)
RANDOM = {
    "alpha_dropout", "dropout", "dropout2d", "dropout3d", "feature_alpha_dropout",
    "fractional_max_pool2d", "fractional_max_pool3d", "rrelu",
}  # fmt: skip


def is_random(name, sample):
    if name in RANDOM:
        return sample.kwargs.get("_random_samples") is None
    return sample.kwargs.get("dropout_p", 0) > 0


def translated(torch, value, pairs):
    """A sample's argument for us; what requires grad is noted, with its counterpart."""
    if isinstance(value, torch.Tensor):
        if (known := next((ours for ours, there in pairs if there is value), None)) is not None:
            return known
        ours = gn.Tensor(value.detach().numpy().copy(), requires_grad=value.requires_grad)
        if value.requires_grad:
            pairs.append((ours, value))
        return ours
    if isinstance(value, (list, tuple)):
        return tuple(translated(torch, part, pairs) for part in value)
    if isinstance(value, torch.dtype):
        return str(value).removeprefix("torch.")
    return value


def arguments(torch, name, sample, pairs):
    args = [translated(torch, a, pairs) for a in (sample.input, *sample.args)]
    kwargs = {key: translated(torch, value, pairs) for key, value in sample.kwargs.items()}
    if name in ("embedding", "embedding_bag"):  # the samples have the table first
        args[:2] = args[1::-1]
    kwargs.pop("options", None)  # how PyTorch divides its memory
    if kwargs.get("distance_function") is not None:  # PyTorch's module
        kwargs["distance_function"] = F.pairwise_distance
    return args, kwargs


def compare(torch, ours, theirs, pairs, rtol=1e-9, gradients=True):
    """Values, and the gradients of what requires them, along a random cotangent."""
    ours, theirs = (y if isinstance(y, tuple) else (y,) for y in (ours, theirs))
    for a, b in zip(ours, theirs, strict=True):
        assert a.shape == tuple(b.shape)
        np.testing.assert_allclose(a.data, b.detach().numpy(), rtol=1e-10, atol=1e-12)
    if not pairs or not gradients or not theirs[0].requires_grad:
        return
    ct = np.asarray(np.random.default_rng(0).standard_normal(ours[0].shape))
    leaves = [leaf for _, leaf in pairs]
    ct_there = torch.tensor(ct, dtype=theirs[0].dtype)
    found = torch.autograd.grad(theirs[0], leaves, ct_there, allow_unused=True)
    if ours[0].requires_grad:
        ours[0].backward(ct.astype(ours[0].dtype))
    for (leaf, _), want in zip(pairs, found, strict=True):
        got = np.zeros(leaf.shape) if leaf.grad is None else leaf.grad
        want = np.zeros(leaf.shape) if want is None else want.numpy()
        np.testing.assert_allclose(got, want, rtol=rtol, atol=rtol / 100, err_msg="gradient")


@pytest.mark.parametrize("name", OPERATORS)
@pytest.mark.filterwarnings("ignore")
def test_functions_on_pytorchs_samples(name, torch):
    op = OPERATORS[name]
    name, _, variant = name.partition(" ")
    if name in NOT_OURS:
        pytest.skip("not a function of ours")
    dtype = torch.int64 if op.dtypes and torch.float64 not in op.dtypes else torch.float64
    if variant == "complex":
        dtype = torch.complex128
    torch.manual_seed(0)
    requires_grad = op.supports_autograd and dtype.is_floating_point
    samples = op.sample_inputs("cpu", dtype, requires_grad=requires_grad)
    # Of hundreds, which differ in one option each, some: not always the same ones.
    samples = list(samples)
    for sample in samples[:: -(-len(samples) // 60)]:
        pairs = []
        args, kwargs = arguments(torch, name, sample, pairs)
        theirs = op.op(sample.input, *sample.args, **sample.kwargs)
        ours = getattr(F, name)(*args, **kwargs)
        if is_random(name, sample):
            first = ours[0] if isinstance(ours, tuple) else ours
            there = theirs[0] if isinstance(theirs, tuple) else theirs
            assert first.shape == tuple(there.shape)
            continue
        gradients = not (
            name == "ctc_loss"  # PyTorch's takes for granted that a log_softmax comes before
            or (name.startswith("max_unpool") and variant == "")  # places that are named twice
        )
        # PyTorch's factor of 1/6 is of single precision.
        rtol = 1e-6 if name == "hardsigmoid" else 1e-9
        compare(torch, ours, theirs, pairs, rtol, gradients)


REFUSING = [name for name, op in OPERATORS.items() if op.error_inputs_func is not None]


@pytest.mark.parametrize("name", REFUSING)
@pytest.mark.filterwarnings("ignore")
def test_functions_refuse_what_pytorch_refuses(name, torch):
    for refused in OPERATORS[name].error_inputs("cpu"):
        sample = refused.sample_input
        args, kwargs = arguments(torch, name.partition(" ")[0], sample, [])
        with pytest.raises((ValueError, TypeError, IndexError)) as caught:
            getattr(F, name.partition(" ")[0])(*args, **kwargs)
        assert str(caught.value)


# --- Modules --------------------------------------------------------------------------------------

WITH_SAMPLES = [
    name for name in MODULES if hasattr(nn, name) and "Transformer" not in name and
    name not in ("RNN", "GRU", "LSTM", "RNNCell", "GRUCell", "LSTMCell", "MultiheadAttention")
]  # fmt: skip


def rename(kwargs):
    return {k: v for k, v in kwargs.items() if k not in ("device", "size_average", "reduce")}


@pytest.mark.parametrize("name", WITH_SAMPLES)
@pytest.mark.filterwarnings("ignore")
def test_modules_on_pytorchs_samples(name, torch):
    """The same options, weights and inputs give the same outputs, gradients and state."""
    info = MODULES[name]
    random = name in ("FractionalMaxPool2d", "FractionalMaxPool3d")
    for training in (True, False):
        torch.manual_seed(0)
        samples = info.module_inputs_func(
            info, device="cpu", dtype=torch.float64, requires_grad=True, training=training
        )
        samples = list(samples)
        for sample in samples[:: -(-len(samples) // 20)]:
            made, called = sample.constructor_input, sample.forward_input
            pairs = []
            args = [translated(torch, a, []) for a in made.args]
            kwargs = {k: translated(torch, v, []) for k, v in rename(made.kwargs).items()}
            if kwargs.get("distance_function") is not None:
                kwargs["distance_function"] = F.pairwise_distance
            theirs = getattr(torch.nn, name)(*made.args, **made.kwargs).to(torch.float64)
            ours = getattr(nn, name)(*args, **kwargs)
            assert list(ours.state_dict()) == list(theirs.state_dict())
            for key, tensor in ours._named_tensors():
                if tensor.dtype == np.float32:
                    tensor.data = tensor.data.astype(np.float64)
                assert tensor.shape == tuple(theirs.state_dict()[key].shape)
            ours.load_state_dict(theirs.state_dict())
            theirs.train(training), ours.train(training)
            x = [translated(torch, a, pairs) for a in called.args]
            options = {k: translated(torch, v, pairs) for k, v in called.kwargs.items()}
            y, expected = ours(*x, **options), theirs(*called.args, **called.kwargs)
            if random:
                continue
            pairs += [(p, q) for p, q in zip(ours.parameters(), theirs.parameters(), strict=True)]
            gradients = name != "CTCLoss"
            compare(torch, y, expected, pairs, 1e-6 if name == "Hardsigmoid" else 1e-9, gradients)
            for key, value in ours.state_dict().items():
                there = theirs.state_dict()[key].numpy()
                np.testing.assert_allclose(value, there, rtol=1e-10, atol=1e-12, err_msg=key)


REFUSING_MODULES = [
    name
    for name in WITH_SAMPLES
    if MODULES[name].module_error_inputs_func is not None
    and name != "NLLLoss"  # weights of another dtype than the input: PyTorch alone minds
]


@pytest.mark.parametrize("name", REFUSING_MODULES)
@pytest.mark.filterwarnings("ignore")
def test_modules_refuse_what_pytorch_refuses(name, torch):
    info = MODULES[name]
    for training in (True, False):
        for refused in info.module_error_inputs_func(
            info, device="cpu", dtype=torch.float64, requires_grad=False, training=training
        ):
            made = refused.module_error_input.constructor_input
            called = refused.module_error_input.forward_input
            args = [translated(torch, a, []) for a in made.args]
            kwargs = {k: translated(torch, v, []) for k, v in rename(made.kwargs).items()}
            with pytest.raises((ValueError, TypeError, IndexError)) as caught:
                layer = getattr(nn, name)(*args, **kwargs).train(training)
                if called is None:
                    pytest.fail("it is the constructor that should refuse")
                layer(*(translated(torch, a, []) for a in called.args))
            assert str(caught.value)


def test_every_function_with_samples_is_ours():
    ours = {name for name, value in vars(F).items() if inspect.isfunction(value)}
    missing = {name.partition(" ")[0] for name in OPERATORS} - ours
    assert missing <= NOT_OURS
