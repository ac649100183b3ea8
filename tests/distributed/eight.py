"""Run by test_distributed.py in a process of its own, in which JAX sees eight devices."""

import re
import sys
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np

import gradnerve as gn
from gradnerve import nn, optim
from gradnerve.nn import functional as F
from gradnerve.train import TrainingFailed, fit, mlp

D = gn.distributed
RULES = {"fc1.weight": ("model", None), "fc1.bias": "model", "fc2.weight": (None, "model")}


class Net(nn.Module):
    def __init__(self):
        self.fc1, self.fc2, self.drop = nn.Linear(12, 16), nn.Linear(16, 4), nn.Dropout(0.2)

    def forward(self, x):
        return self.fc2(self.drop(F.relu(self.fc1(x))))


def step(model, optimizer, x, y):
    loss = F.cross_entropy(model(x), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss


def curve(axes=None, rules=(), make=optim.Adam, steps=8):
    """The losses of a few steps, and the weights; on a mesh, or else on one device."""
    gn.manual_seed(1)
    rng = np.random.default_rng(2)
    model = Net().to("jax")
    optimizer = make(model.parameters(), lr=0.05)
    compiled, losses, places = gn.jit(step), [], []
    mesh = axes and D.mesh(**axes)
    if mesh:
        assert D.shard(model, mesh, rules) is model
        assert D.shard(optimizer, mesh) is optimizer
        places.append({name: p.data.sharding for name, p in model.named_parameters()})
    for _ in range(steps):
        x = rng.normal(size=(24, 12)).astype(np.float32)
        y = x[:, :4].argmax(axis=1)
        if mesh:
            x, y = D.shard_batch((x, y), mesh)
        losses.append(compiled(model, optimizer, x, y).item())
        where = {name: p.data.sharding for name, p in model.named_parameters()}
        places.append(where)
        for name, p in model.named_parameters():
            same = p.grad.sharding.is_equivalent_to(where[name], p.grad.ndim)
            assert same or not mesh, name
    if mesh:
        for later in places[1:]:  # a step moves nothing
            for name, first in places[0].items():
                assert later[name].is_equivalent_to(first, 1 + ("weight" in name)), name
        specs = {name: tuple(s.spec) for name, s in places[-1].items()}
        for name, axes in dict(rules).items():
            axes = (axes,) if isinstance(axes, str) else axes
            assert specs[name][: len(axes)] == tuple(axes)[: len(specs[name])], (name, specs)
        for p, state in optimizer.state.items():
            for slot in state.values():
                if getattr(slot, "shape", None) == p.shape:
                    assert slot.sharding.is_equivalent_to(p.data.sharding, slot.ndim)
    return losses, D.gather(dict(model.named_parameters()))


def test_the_curve_is_that_of_one_device():
    meshes = [
        ({"data": 8}, ()),
        ({"data": 4, "model": 2}, {"fc1.weight": ("model", None)}),
        ({"data": -1, "model": 4}, list(RULES.items())),
    ]
    for make, cases in ((optim.Adam, meshes), (momentum, meshes[1:2])):
        losses, weights = curve(make=make)
        assert losses[-1] < losses[0]
        for axes, rules in cases:
            found, others = curve(axes, rules, make)
            np.testing.assert_allclose(found, losses, rtol=2e-5)
            for name, weight in weights.items():
                np.testing.assert_allclose(others[name], weight, rtol=1e-3, atol=1e-4)


def momentum(parameters, lr):
    return optim.SGD(parameters, lr, momentum=0.9)


def test_a_checkpoint_has_the_whole_state():
    """Under the same names before the first step, so that a new run can take it over."""
    for make in (optim.Adam, partial(optim.SGD, momentum=0.9, dampening=0.1)):
        model = D.shard(Net(), D.mesh(data=-1))
        optimizer = D.shard(make(model.parameters(), lr=0.1), D.mesh(data=-1))
        names = [name for name, *_ in D._cells("", {"o": optimizer})]
        x = D.shard_batch(np.ones((8, 12), np.float32), D.mesh(data=-1))
        gn.jit(step)(model, optimizer, x, np.zeros(8, int))
        cells = list(D._cells("", {"o": optimizer}))
        assert [name for name, *_ in cells] == names
        for name, value, put, place in cells:
            assert (place is None) == isinstance(value, (int, float)), name
            put(7 if name.endswith("step") else value)
        assert optimizer.state[optimizer.params[0]].get("step", 7) == 7


def test_each_device_holds_its_part():
    mesh = D.mesh(data=4, model=2)
    model = D.shard(Net(), mesh, RULES)
    assert {s.data.shape for s in model.fc1.weight.data.addressable_shards} == {(8, 12)}
    assert {s.data.shape for s in model.fc2.bias.data.addressable_shards} == {(4,)}
    x = D.shard_batch({"x": gn.Tensor(np.ones((8, 12)))}, mesh)["x"]
    assert {s.data.shape for s in x.data.addressable_shards} == {(2, 12)}
    assert D.gather(x).shape == (8, 12)
    assert dict(D.mesh().shape) == {"data": 8}
    again = D.shard([model, {"w": gn.Tensor([1.0, 2.0])}], mesh, {"1.w": "model"})
    assert tuple(again[1]["w"].data.sharding.spec) == ("model",)
    own = D.shard_batch(np.arange(8.0), mesh, whole=False)  # one process: its part is the whole
    np.testing.assert_array_equal(D.gather(own), np.arange(8.0))


def test_weights_of_one_shape_can_lie_differently():
    """Nothing but gradients and partial sums crosses the network: no weight is put together."""
    rules = {"0.weight": ("model", None), "2.weight": (None, "model")}
    mesh = D.mesh(data=2, model=4)
    model = nn.Sequential(nn.Linear(16, 16, bias=False), nn.ReLU(), nn.Linear(16, 16, bias=False))
    D.shard(model, mesh, rules)
    optimizer = D.shard(optim.SGD(model.parameters(), lr=0.1), mesh)
    batch = D.shard_batch((np.ones((4, 16), np.float32), np.ones((4, 16), np.float32)), mesh)

    @gn.jit
    def step(model, optimizer, x, y):
        loss = F.mse_loss(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    text = step.lower(model, optimizer, *batch).compile().as_text()
    kinds = set(re.findall("all-gather|all-to-all|collective-permute|all-reduce", text))
    assert kinds == {"all-reduce"}
    step(model, optimizer, *batch)
    specs = [tuple(p.data.sharding.spec) for p in model.parameters()]
    assert specs == [("model", None), (None, "model")]


def test_the_tables_of_traffic():
    """With copied weights, what is summed is their gradients; two layers tell of a third."""
    sys.path.append(str(Path(__file__).parents[2] / "tools"))
    import make_traffic_table as tool

    size = tool.Size(layers=3, width=32, heads=4, tokens=64, length=16, batch=2)
    of = {}
    for name, axes, rules in list(tool.layouts(8))[:2]:
        mesh = D.mesh(**axes)
        whole = tool.traffic(tool.program_of_gpt(size, mesh, rules))
        of[name] = tool.traffic_of_gpt(size, mesh, rules)
        assert of[name][1] == {k: whole[1].get(k, 0) for k in of[name][1]}
    tokens = 8 * 2 * 16  # of each token the right logit is looked up; and two numbers are summed
    _, results, sent = of["copied"]
    assert results["all-reduce"] == 4 * size.count() + 4 * tokens + 8
    assert round(sent["all-reduce"]) == round(2 * 7 / 8 * results["all-reduce"])
    texts = tool.tables_of_gpts({"small": size}, counts=(1,), shown=1)
    assert [text.count("\n") for text in texts] == [5, 5, 5]
    assert "| small | copied | 0 |\n" in texts[0]
    marks = "<!-- x: tools/make_traffic_table.py -->\n", "<!-- end of x -->\n"
    page = tool.put(f"before\n{marks[0]}old\n{marks[1]}after\n", "x", "new\n")
    assert page == f"before\n{marks[0]}\nnew\n\n{marks[1]}after\n"


@contextmanager
def raises(kind, words):
    try:
        yield
    except kind as error:
        assert re.search(words, str(error)), error
    else:
        raise AssertionError(f"nothing raised, not {words!r}")


def test_mistakes():
    mesh = D.mesh(data=4, model=2)
    model = Net()
    with raises(ValueError, r"mesh\(data=16\) needs more devices .* JAX sees 8"):
        D.mesh(data=16)
    with raises(ValueError, "one may be -1"):
        D.mesh(data=-1, model=-1)
    with raises(ValueError, r"mesh\(data=3, model=-1\): the 8 devices do not divide"):
        D.mesh(data=3, model=-1)
    for size in (2.0, "2", None):
        with raises(TypeError, r"sizes are whole numbers"):
            D.mesh(data=size)
    with raises(ValueError, "'weight' has 'model' twice"):
        D.shard(nn.Linear(4, 4), mesh, {"weight": ("model", "model")})
    for rules in (["weight"], "weight", {"weight": 3}, [("weight", "model", None)]):
        with raises(TypeError, r"rules are a dict, or pairs, of patterns and mesh axes"):
            D.shard(nn.Linear(4, 4), mesh, rules)
    for call in (D.shard, D.shard_batch, lambda x, mesh: D.own_rows(8, mesh)):
        with raises(TypeError, r"takes a mesh, as gn.distributed.mesh.* makes one, not dict"):
            call(nn.Linear(4, 4), {"data": 2})
    with raises(ValueError, "own_rows: the mesh has no axis 'dta'"):
        D.own_rows(8, mesh, "dta")
    with raises(ValueError, "'weight' is on no mesh"):
        next(D._cells("", nn.Linear(4, 4)))
    D.agree({"one": "process"})
    with raises(ValueError, r"no parameter matches the rule 'fc1.wieght'.*fc1.weight"):
        D.shard(model, mesh, {"fc1.wieght": "model"})
    with raises(ValueError, r"fc1.weight: the mesh has no axis 'modle'.*model"):
        D.shard(model, mesh, {"fc1.weight": "modle"})
    with raises(ValueError, r"'fc2.bias' says where 2 axes go"):
        D.shard(model, mesh, {"fc2.bias": ("model", None)})
    with raises(ValueError, r"axis of 5 does not divide into 2 parts along 'model'"):
        D.shard(nn.Linear(5, 5), mesh, {"weight": "model"})
    assert isinstance(model.fc1.weight.data, np.ndarray)  # nothing was moved
    with raises(TypeError, "there is no Tensor in this ReLU"):
        D.shard(nn.ReLU(), mesh)
    optimizer = optim.Adam(model.parameters())
    with raises(ValueError, r"shard\(model, mesh\) first"):
        D.shard(optimizer, mesh)
    with raises(TypeError, "takes no rules"):
        D.shard(optimizer, mesh, {"*": "model"})
    with raises(ValueError, "a batch of 30 does not divide into 4 parts .* take 28 or 32"):
        D.shard_batch(np.ones((30, 2)), mesh)
    with raises(ValueError, "shard_batch: the mesh has no axis 'dta'"):
        D.shard_batch(np.ones((32, 2)), mesh, "dta")
    with raises(ValueError, "has none"):
        D.shard_batch(np.ones(()), mesh)


def few_images():
    """50 to train with and 14 to test with: neither divides over 8 or 3 devices."""
    train, test = gn.data.load_digits()
    cut = gn.data.TensorDataset
    return cut(*(a[:50] for a in train.arrays)), cut(*(a[:14] for a in test.arrays))


def epochs_on(devices, lr=1e-2):
    gn.manual_seed(3)
    model = mlp((1, 8, 8), 10)
    mesh = D.mesh(data=devices)
    optimizer = optim.Adam(model.parameters(), lr=lr)
    done = list(fit(model, optimizer, *few_images(), epochs=2, batch_size=20, mesh=mesh))
    return done, model.state_dict()


def test_training_does_not_depend_on_the_devices():
    """Dropout and the smaller last batch included; what fills a batch up does not count."""
    done, weights = epochs_on(1)
    assert done[1].train_loss < done[0].train_loss
    for devices in (3, 8):
        others, other_weights = epochs_on(devices)
        for epoch, other in zip(done, others, strict=True):
            for name in ("train_loss", "train_accuracy", "test_loss", "test_accuracy"):
                np.testing.assert_allclose(getattr(other, name), getattr(epoch, name), rtol=2e-5)
            np.testing.assert_array_equal(other.confusion, epoch.confusion)
            assert other.confusion.sum() == 14
        for name, weight in weights.items():
            np.testing.assert_allclose(other_weights[name], weight, rtol=1e-3, atol=1e-4)


def test_a_loss_that_is_not_finite_names_the_layer():
    with raises(TrainingFailed, r"became (NaN|infinite) in epoch 1, batch 2 of 3; .*'fc\d'"):
        epochs_on(8, lr=1e30)


if __name__ == "__main__":
    for name, test in list(globals().items()):
        if name.startswith("test_"):
            test()
            print(name)
