"""Modules: the tree they make, their state, and their likeness to PyTorch's."""

import math

import numpy as np
import pytest

import gradnerve as gn
from gradnerve import nn


class Block(nn.Module):
    def __init__(self):
        self.fc1 = nn.Linear(4, 3)
        self.scale = nn.Parameter(np.ones(3))

    def forward(self, x):
        return self.fc1(x) * self.scale


class Net(nn.Module):
    def __init__(self):
        self.blocks = [Block(), (nn.Linear(3, 2), nn.ReLU())]
        self.heads = {"a": nn.Linear(2, 1, bias=False), "b": [nn.Dropout(0.5)]}
        self.offset = nn.Parameter(np.zeros(1))
        self.counter = gn.Tensor(np.zeros(2))  # a buffer
        self.size = 3
        self.nothing = None

    def forward(self, x):
        return x


NAMES = [
    "offset", "blocks.0.scale", "blocks.0.fc1.weight", "blocks.0.fc1.bias", "blocks.1.0.weight",
    "blocks.1.0.bias", "heads.a.weight",
]  # fmt: skip


def test_names_of_the_tree():
    model = Net()
    assert [name for name, _ in model.named_parameters()] == NAMES
    assert [name for name, _ in model.named_modules()] == [
        "", "blocks.0", "blocks.0.fc1", "blocks.1.0", "blocks.1.1", "heads.a", "heads.b.0",
    ]  # fmt: skip
    assert len(list(model.children())) == 5
    assert len(list(model.parameters())) == len(NAMES)
    assert list(model.state_dict()) == ["offset", "counter", *NAMES[1:]]


def test_what_is_added_and_removed_later_counts():
    model = Net()
    model.blocks.append(nn.Linear(1, 1))
    del model.heads
    names = [name for name, _ in model.named_parameters()]
    assert "blocks.2.weight" in names
    assert not any(name.startswith("heads") for name in names)


def test_a_plain_tensor_that_requires_grad_is_a_parameter():
    model = Net()
    model.counter.requires_grad = True
    assert "counter" in [name for name, _ in model.named_parameters()]
    model.offset.requires_grad = False
    assert "offset" in [name for name, _ in model.named_parameters()], "frozen, not gone"


def test_shared_parameters_and_modules_count_once():
    model = nn.Module()
    model.first = nn.Linear(2, 2)
    model.second = model.first
    model.third = nn.Linear(2, 2)
    model.third.weight = model.first.weight
    assert [name for name, _ in model.named_parameters()] == [
        "first.weight", "first.bias", "third.bias",
    ]  # fmt: skip
    assert len(list(model.modules())) == 3


def test_a_module_that_holds_itself():
    model = nn.Module()
    model.me = model
    model.w = nn.Parameter(np.ones(1))
    assert [name for name, _ in model.named_parameters()] == ["w"]


def test_deep_trees():
    model = inner = nn.Module()
    for _ in range(3000):
        inner.inner = nn.Module()
        inner = inner.inner
    inner.w = nn.Parameter(np.ones(1))
    ((name, _),) = model.named_parameters()
    assert name == "inner." * 3000 + "w"


def test_parameter_is_a_tensor_that_requires_grad():
    p = nn.Parameter(np.ones(2), name="w")
    assert isinstance(p, gn.Tensor)
    assert p.requires_grad
    assert not nn.Parameter(np.ones(2), requires_grad=False).requires_grad
    assert type(p * 2) is gn.Tensor
    with pytest.raises(TypeError, match="cannot require grad"):
        nn.Parameter([1, 2])


def test_zero_grad_and_freezing():
    model = Block()
    model(gn.Tensor(np.ones((2, 4), np.float32))).sum().backward()
    assert all(p.grad is not None for p in model.parameters())
    model.zero_grad()
    assert all(p.grad is None for p in model.parameters())
    assert model.requires_grad_(False) is model
    assert not model(gn.Tensor(np.ones((2, 4), np.float32))).requires_grad
    model.requires_grad_()
    assert all(p.requires_grad for p in model.parameters())


def test_train_and_eval():
    model = Net()
    drop = model.heads["b"][0]
    assert model.training and drop.training
    assert model.eval() is model
    assert not any(m.training for m in model.modules())
    x = gn.Tensor(np.ones(1000))
    assert drop(x) is x
    assert model.train() is model
    assert (drop(x).data == 0).any()
    model.train(False)
    assert not drop.training


# --- State ----------------------------------------------------------------------------------------


def test_state_dict_is_a_copy():
    model = Block()
    state = model.state_dict()
    assert all(type(a) is np.ndarray for a in state.values())
    state["scale"][...] = 7.0
    assert (model.scale.data == 1.0).all()
    model.load_state_dict(state)
    state["scale"][...] = 8.0
    assert (model.scale.data == 7.0).all(), "loading copies too"


def test_load_keeps_dtype_and_identity():
    model = Block()
    weight = model.fc1.weight
    state = {name: array.astype(np.float64) for name, array in model.state_dict().items()}
    state["fc1.weight"] = gn.Tensor(state["fc1.weight"] + 1)
    model.load_state_dict(state)
    assert model.fc1.weight is weight
    assert weight.dtype == np.float32
    np.testing.assert_allclose(weight.data, state["fc1.weight"].data, rtol=1e-6)


def test_load_of_odd_arrays():
    model = nn.Module()
    model.w, model.s = nn.Parameter(np.zeros((2, 3))), nn.Parameter(np.zeros(()))
    base = np.arange(12.0).reshape(3, 4)
    model.load_state_dict({"w": base.T[:2], "s": np.float64(3.0)})
    assert model.w.data.tolist() == base.T[:2].tolist()
    assert type(model.s.data) is np.ndarray
    model.load_state_dict({"w": [[1, 2, 3], [4, 5, 6]], "s": 2})
    assert model.w.data.tolist() == [[1, 2, 3], [4, 5, 6]]


def test_load_lists_every_wrong_key_and_loads_nothing():
    model = Block()
    state = model.state_dict()
    before = state["scale"].copy()
    wrong = {"scale": state["scale"] + 1, "fc1.wieght": state["fc1.weight"], "extra": np.ones(1)}
    with pytest.raises(KeyError) as caught:
        model.load_state_dict(wrong)
    text = str(caught.value)
    for words in ("missing 'fc1.bias'", "missing 'fc1.weight'. Did you mean 'fc1.wieght'?"):
        assert words in text
    assert "unexpected 'extra'; unexpected 'fc1.wieght'" in text
    np.testing.assert_array_equal(model.scale.data, before)
    wrong = {**state, "scale": np.ones(4), "fc1.bias": np.ones((1, 3)), "fc1.weight": before}
    with pytest.raises(ValueError, match="does not fit this module") as caught:
        model.load_state_dict(wrong)
    for words in ("'scale' is (4,) where the module has (3,)", "'fc1.bias' is (1, 3)", "'fc1.wei"):
        assert words in str(caught.value)
    np.testing.assert_array_equal(model.scale.data, before)


def pair(torch):
    """The same network, here and in PyTorch."""
    ours = nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1, dtype="float64"), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
        nn.Linear(16, 5, dtype="float64"), nn.Dropout(0.5),
        nn.Linear(5, 3, bias=False, dtype="float64"),
    )  # fmt: skip
    t = torch.nn
    theirs = t.Sequential(
        t.Conv2d(1, 4, 3, padding=1), t.ReLU(), t.MaxPool2d(2), t.Flatten(), t.Linear(16, 5),
        t.Dropout(0.5), t.Linear(5, 3, bias=False),
    )  # fmt: skip
    return ours, theirs


def test_pytorchs_state_dict_loads_and_gives_the_same_values(torch):
    ours, theirs = pair(torch)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    ours.load_state_dict(theirs.state_dict())
    x = np.random.default_rng(0).standard_normal((2, 1, 4, 4))
    ours.eval(), theirs.eval()
    y, expected = ours(gn.Tensor(x)), theirs(torch.tensor(x))
    np.testing.assert_allclose(y.data, expected.detach().numpy(), rtol=1e-12)
    y.sum().backward()
    expected.sum().backward()
    for p, q in zip(ours.parameters(), theirs.parameters(), strict=True):
        np.testing.assert_allclose(p.grad, q.grad.numpy(), rtol=1e-11, atol=1e-13)


def test_our_state_dict_loads_into_pytorch(torch):
    ours, theirs = pair(torch)
    theirs.load_state_dict({k: torch.tensor(v) for k, v in ours.state_dict().items()})
    np.testing.assert_array_equal(theirs[0].weight.detach().numpy(), ours[0].weight.data)


def test_tied_modules_have_pytorchs_keys(torch):
    """A module that stands in two places is listed in both, as PyTorch's state dict lists it."""
    ours, theirs = nn.Module(), torch.nn.Module()
    for model, linear in ((ours, nn.Linear(2, 2)), (theirs, torch.nn.Linear(2, 2))):
        model.first = linear
        model.second = linear
    assert sorted(ours.state_dict()) == sorted(theirs.state_dict())
    ours.load_state_dict(theirs.state_dict())


# --- Layers ---------------------------------------------------------------------------------------


def test_sequential_from_a_dict(torch):
    from collections import OrderedDict

    model = nn.Sequential({"first": nn.Linear(2, 3), "act": nn.ReLU(), "last": nn.Linear(3, 1)})
    t = torch.nn
    peer = t.Sequential(
        OrderedDict(first=t.Linear(2, 3), act=t.ReLU(), last=t.Linear(3, 1))
    )  # fmt: skip
    assert list(model.state_dict()) == list(peer.state_dict())
    assert model.first is model[0]
    assert len(model) == 3
    assert list(model) == [model.first, model.act, model.last]
    assert model[-1] is model.last


def test_sequential_that_uses_one_module_twice():
    act = nn.ReLU()
    model = nn.Sequential(nn.Linear(1, 1), act, nn.Linear(1, 1), act)
    assert len(model) == 4
    model[2].bias.data[...] = -1000.0
    assert model(gn.Tensor(np.ones((1, 1), np.float32))).data == 0.0, "the last one is applied"


def test_an_empty_sequential_is_the_identity():
    x = gn.Tensor([1.0])
    assert nn.Sequential()(x) is x
    assert len(nn.Sequential()) == 0


def test_sequential_refuses():
    with pytest.raises(TypeError, match=r"ReLU is a class; write ReLU\(\.\.\.\)"):
        nn.Sequential(nn.ReLU)
    with pytest.raises(TypeError, match="part 0 is list, not a module"):
        nn.Sequential([nn.ReLU()])
    with pytest.raises(TypeError, match="part a is function"):
        nn.Sequential({"a": gn.nn.functional.relu})


@pytest.mark.parametrize("start, end", [(1, -1), (0, -1), (1, 2), (-2, -1), (0, 0), (2, 3)])
def test_flatten(start, end, torch):
    x = np.arange(48.0).reshape(2, 3, 2, 4)
    expected = torch.flatten(torch.tensor(x), start, end).numpy()
    np.testing.assert_array_equal(nn.Flatten(start, end)(gn.Tensor(x)).data, expected)
    assert nn.Flatten()(gn.Tensor(np.zeros((0, 3, 2)))).shape == (0, 6)


def test_losses_as_modules():
    x, target = gn.Tensor(np.array([[1.0, 2.0], [0.0, 1.0]])), np.array([0, 1])
    F = nn.functional
    assert nn.CrossEntropyLoss()(x, target).data == F.cross_entropy(x, target).data
    smooth = nn.CrossEntropyLoss(np.array([1.0, 2.0]), 1, "sum", 0.1)(x, target)
    assert smooth.data == F.cross_entropy(x, target, np.array([1.0, 2.0]), 1, "sum", 0.1).data
    assert nn.MSELoss("sum")(x, x.data + 1).data == 4.0


def test_repr():
    assert repr(nn.Linear(3, 2)) == "Linear(3, 2, bias=True)"
    assert repr(nn.Linear(3, 2, bias=False)) == "Linear(3, 2, bias=False)"
    assert repr(nn.Conv2d(1, 2, 3, stride=2, bias=False)) == (
        "Conv2d(1, 2, kernel_size=(3, 3), stride=2, bias=False)"
    )
    assert repr(nn.MaxPool2d(2)) == "MaxPool2d(kernel_size=2, stride=2, padding=0)"
    assert repr(nn.ReLU()) == "ReLU()"
    assert repr(nn.Dropout(0.3)) == "Dropout(p=0.3)"
    model = nn.Sequential(nn.Linear(1, 2), nn.Sequential({"act": nn.ReLU()}))
    assert repr(model).splitlines() == [
        "Sequential(",
        "  (0): Linear(1, 2, bias=True)",
        "  (1): Sequential(",
        "    (act): ReLU()",
        "  )",
        ")",
    ]


# --- Initial weights ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "make, fan_in",
    [
        (lambda m: m.Linear(300, 200), 300),
        (lambda m: m.Conv2d(8, 64, 5), 8 * 25),
        (lambda m: m.Conv2d(8, 64, (3, 5), groups=4), 2 * 15),
    ],
)
def test_initial_weights_are_distributed_as_pytorchs(make, fan_in, torch):
    gn.manual_seed(0)
    torch.manual_seed(0)
    ours, theirs = make(nn), make(torch.nn)
    bound = 1 / math.sqrt(fan_in)
    for name in ("weight", "bias"):
        a = getattr(ours, name).data.ravel()
        b = getattr(theirs, name).detach().numpy().ravel()
        assert a.dtype == np.float32
        assert a.shape == b.shape
        assert np.abs(a).max() <= bound
        assert np.abs(b).max() <= bound + 1e-7, "PyTorch's, to show that this is its bound"
        assert np.abs(a).max() > bound * (1 - 10 / a.size)
        spread = bound / math.sqrt(3)
        assert abs(a.std() - spread) < 5 * spread / math.sqrt(a.size)
        assert abs(a.mean()) < 5 * spread / math.sqrt(a.size)


def test_layers_take_a_dtype_and_seeds_repeat():
    gn.manual_seed(3)
    first = nn.Linear(2, 2, dtype="float64").weight
    gn.manual_seed(3)
    assert (nn.Linear(2, 2, dtype="float64").weight.data == first.data).all()
    assert first.dtype == np.float64
    assert nn.Conv2d(1, 1, 1, dtype="float64").bias.dtype == np.float64
    assert nn.Linear(0, 2).weight.shape == (2, 0)


def test_conv2d_refuses_groups_that_do_not_divide():
    with pytest.raises(ValueError, match="3 input and 4 output channels do not divide into 2 gr"):
        nn.Conv2d(3, 4, 3, groups=2)
    with pytest.raises(ValueError, match="p is a probability"):
        nn.Dropout(1.5)
