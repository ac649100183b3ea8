"""Optimisers: step for step as PyTorch's."""

import copy

import numpy as np
import pytest

import gradnerve as gn
from gradnerve import backends, nn, optim


def leaf(value, **options):
    return gn.Tensor(np.array(value, dtype=np.float64), requires_grad=True, **options)


SETTINGS = [
    ("SGD", {"lr": 0.1}),
    ("SGD", {"lr": 0.05, "momentum": 0.9}),
    ("SGD", {"lr": 0.02, "momentum": 0.5, "weight_decay": 0.3}),
    ("SGD", {"lr": 0.05, "momentum": 0.9, "dampening": 0.3, "weight_decay": 0.1}),
    ("SGD", {"lr": 0.02, "momentum": 0.9, "nesterov": True}),
    ("SGD", {"lr": 1e-3, "momentum": 0.5, "maximize": True}),
    ("SGD", {}),
    ("Adam", {}),
    ("Adam", {"lr": 0.01, "betas": (0.5, 0.9), "eps": 1e-3, "weight_decay": 0.1}),
    ("Adam", {"lr": 0.05, "betas": (0.0, 0.0)}),
    ("Adam", {"lr": 0.05, "amsgrad": True, "maximize": True, "weight_decay": 0.1}),
    ("Adam", {"lr": 0.05, "decoupled_weight_decay": True, "weight_decay": 0.1}),
    ("AdamW", {"lr": 0.05}),
    ("AdamW", {"lr": 0.05, "weight_decay": 0.5, "amsgrad": True, "maximize": True}),
    ("Adamax", {}),
    ("Adamax", {"lr": 0.01, "betas": (0.8, 0.9), "weight_decay": 0.1, "maximize": True}),
    ("NAdam", {}),
    ("NAdam", {"lr": 0.05, "weight_decay": 0.1, "momentum_decay": 0.1}),
    ("NAdam", {"weight_decay": 0.1, "decoupled_weight_decay": True, "maximize": True}),
    ("RAdam", {}),
    ("RAdam", {"lr": 0.05, "betas": (0.8, 0.9), "weight_decay": 0.1}),
    ("RAdam", {"weight_decay": 0.1, "decoupled_weight_decay": True, "maximize": True}),
    ("RMSprop", {}),
    ("RMSprop", {"lr": 0.001, "alpha": 0.9, "momentum": 0.5, "weight_decay": 0.1}),
    ("RMSprop", {"lr": 0.005, "centered": True, "maximize": True}),
    ("Adagrad", {}),
    ("Adagrad", {"lr_decay": 0.1, "weight_decay": 0.1, "initial_accumulator_value": 0.5}),
    ("Adagrad", {"maximize": True}),
    ("Adadelta", {}),
    ("Adadelta", {"lr": 0.5, "rho": 0.8, "weight_decay": 0.1, "maximize": True}),
    ("Rprop", {}),
    ("Rprop", {"etas": (0.3, 1.5), "step_sizes": (1e-4, 0.1), "maximize": True}),
    ("Muon", {"lr": 0.02}),
    ("Muon", {"lr": 0.02, "nesterov": False, "adjust_lr_fn": "match_rms_adamw", "momentum": 0.8}),
    ("LBFGS", {"lr": 0.1}),
    ("LBFGS", {"line_search_fn": "strong_wolfe", "max_iter": 4, "history_size": 3}),
]
PYTORCHS = sorted({name for name, _ in SETTINGS})
RNG = np.random.default_rng(0)
X, TARGET = RNG.standard_normal((8, 3)), RNG.standard_normal((8, 2))
START = [RNG.standard_normal(shape) for shape in [(4, 3), (4,), (2, 4), ()]]
MATRICES = [START[0], START[2]]


def loss_of(library, array, params):
    """Of a small network, with or without biases. Its least value is at one point, not along a
    line, on which L-BFGS would enlarge what rounding makes different."""
    weights = [p for p in params if p.ndim == 2]
    biases = [p for p in params if p.ndim != 2] or [0.0, 0.0]
    h = library.tanh(array(X) @ weights[0].T + biases[0])
    penalty = sum((p * p).sum() for p in params)
    return ((h @ weights[1].T + biases[1] - array(TARGET)) ** 2).mean() + 0.05 * penalty


def stepper(optimizer, loss):
    """A step of training."""

    def closure():
        optimizer.zero_grad()
        value = loss()
        value.backward()
        return value

    if "LBFGS" in type(optimizer).__name__:
        return lambda: optimizer.step(closure)

    def step():
        closure()
        optimizer.step()

    return step


@pytest.fixture
def exact_muon(torch, monkeypatch):
    """PyTorch's Muon goes through bfloat16; not here."""
    monkeypatch.setattr(torch.Tensor, "bfloat16", lambda x: x.clone())


@pytest.mark.parametrize("name, settings", SETTINGS, ids=str)
def test_a_hundred_steps_are_pytorchs(name, settings, torch, exact_muon):
    start = MATRICES if name == "Muon" else START
    ours = [leaf(a) for a in start]
    theirs = [torch.tensor(a, requires_grad=True) for a in start]
    step = stepper(getattr(optim, name)(ours, **settings), lambda: loss_of(gn, gn.Tensor, ours))
    their_optimizer = getattr(torch.optim, name)(theirs, **settings)
    their_step = stepper(their_optimizer, lambda: loss_of(torch, torch.tensor, theirs))
    tolerance = 1e-9 if name in ("LBFGS", "Muon") else 1e-10
    for i in range(100):
        step()
        their_step()
        for a, b in zip(ours, theirs, strict=True):
            np.testing.assert_allclose(
                a.data, b.detach().numpy(), tolerance, tolerance, err_msg=f"step {i}"
            )


@pytest.mark.parametrize("name", PYTORCHS)
def test_defaults_are_pytorchs(name, torch):
    ours = getattr(optim, name)([leaf([[1.0]])]).defaults
    theirs = getattr(torch.optim, name)([torch.ones(1, 1, requires_grad=True)]).defaults
    assert ours.items() <= theirs.items()
    flags = {"foreach", "capturable", "differentiable", "fused", "decoupled_weight_decay"}
    assert theirs.keys() - ours.keys() <= flags


@pytest.mark.parametrize("name", PYTORCHS)
def test_a_state_dict_goes_to_pytorch_and_back(name, torch, exact_muon):
    """Three steps there, three here with its state; and the other way round."""
    settings = {"momentum": 0.9} if name == "SGD" else {}
    start = MATRICES if name == "Muon" else START
    ours, theirs = [leaf(a) for a in start], [torch.tensor(a, requires_grad=True) for a in start]

    def made(first):
        optimizer = getattr(optim, name)(ours, **settings)
        peer = getattr(torch.optim, name)(theirs, **settings)
        steps = [
            stepper(optimizer, lambda: loss_of(gn, gn.Tensor, ours)),
            stepper(peer, lambda: loss_of(torch, torch.tensor, theirs)),
        ]
        for _ in range(3):
            steps[first]()
        if first:
            optimizer.load_state_dict(peer.state_dict())
            for p, q in zip(ours, theirs, strict=True):
                p.data = q.detach().numpy().copy()
        else:
            kept = optimizer.state_dict()
            peer.load_state_dict(in_torch(kept, torch))
            for p, q in zip(ours, theirs, strict=True):
                q.data = torch.tensor(p.data)
            assert [s.keys() for s in kept["state"].values()] == [
                s.keys() - {"al"} for s in peer.state_dict()["state"].values()
            ]
        for step in steps * 3:
            step()
        for a, b in zip(ours, theirs, strict=True):
            np.testing.assert_allclose(a.data, b.detach().numpy(), rtol=1e-9, atol=1e-9)

    made(1)
    made(0)


def in_torch(value, torch):
    if isinstance(value, dict):
        return {key: in_torch(part, torch) for key, part in value.items()}
    if isinstance(value, list):
        return [in_torch(part, torch) for part in value]
    return torch.tensor(value) if isinstance(value, np.ndarray) else value


@pytest.mark.parametrize("name", sorted(set(PYTORCHS) - {"LBFGS", "Muon"}))
def test_parameters_without_a_gradient_are_skipped(name, torch):
    settings = {"momentum": 0.9} if name == "SGD" else {}
    a, b = leaf([1.0, 2.0]), leaf([3.0])
    optimizer = getattr(optim, name)([a, b], **settings)
    peer = torch.tensor([3.0], requires_grad=True)
    peer_optimizer = getattr(torch.optim, name)([peer], **settings)
    for step in range(6):
        optimizer.zero_grad()
        peer_optimizer.zero_grad()
        loss = (a * a).sum()
        if step % 2:  # b's first step is its own first, not the optimiser's second
            loss = loss + (b * b).sum()
            (peer * peer).sum().backward()
        loss.backward()
        optimizer.step()
        peer_optimizer.step()
        np.testing.assert_allclose(b.data, peer.detach().numpy(), rtol=1e-12)


ELEMENTWISE = sorted({*PYTORCHS, "Lion"} - {"LBFGS", "Muon"})


@pytest.mark.parametrize("count", [1, 2], ids=["alone", "joined"])
@pytest.mark.parametrize("name", ELEMENTWISE)
def test_dtype_and_identity_are_kept(name, count):
    w, *others = (gn.Tensor(np.ones(3, np.float32), requires_grad=True) for _ in range(count))
    data = w.data
    optimizer = getattr(optim, name)([w, *others], lr=np.float64(0.1))
    for _ in range(3):
        optimizer.zero_grad()
        sum((p * p).sum() for p in [w, *others]).backward()
        grad = w.grad.copy()
        optimizer.step()
        np.testing.assert_array_equal(w.grad, grad, "a step leaves the gradient alone")
    assert w.data is data
    assert w.dtype == np.float32


def test_momentum_does_not_share_memory_with_the_gradient():
    w = leaf([1.0])
    optimizer = optim.SGD([w], lr=0.1, momentum=0.9)
    w.grad = [1.0]
    optimizer.step()
    w.grad[...] = 100.0
    w.grad = [0.0]
    optimizer.step()
    np.testing.assert_allclose(w.data, 1.0 - 0.1 - 0.09)


def test_data_may_be_replaced_between_steps():
    w = leaf([1.0])
    optimizer = optim.SGD([w], lr=0.5)
    w.data = np.array([3.0])
    w.grad = [2.0]
    optimizer.step()
    assert w.data.tolist() == [2.0]


def test_a_closed_over_generator_and_a_model():
    model = nn.Linear(2, 1)
    assert len(optim.SGD(model.parameters(), lr=0.1).params) == 2
    assert len(optim.SGD((p for p in [leaf(1.0)]), lr=0.1).params) == 1
    assert len(optim.SGD({leaf(1.0), leaf(2.0)}, lr=0.1).params) == 2


@pytest.mark.parametrize("name", ["SGD", "Adam"])
def test_training_lowers_the_loss(name):
    gn.manual_seed(0)
    rng = np.random.default_rng(0)
    x = rng.standard_normal((64, 2)).astype(np.float32)
    target = (x[:, 0] * x[:, 1] > 0).astype(int)
    model = nn.Sequential(nn.Linear(2, 32), nn.ReLU(), nn.Linear(32, 2))
    optimizer = getattr(optim, name)(model.parameters(), lr={"SGD": 0.5, "Adam": 0.02}[name])
    losses = []
    for _ in range(200):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(gn.Tensor(x)), target)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.15 < 0.5 < losses[0]


def test_a_freed_result_is_no_parameter():
    h = leaf([1.0]) * 2
    h.backward()
    with pytest.raises(ValueError, match="not a leaf"):
        optim.SGD([h], lr=0.1)


def test_frozen_parameters_may_stand_by():
    w, frozen = leaf([1.0]), gn.Tensor([1.0])
    optimizer = optim.SGD([w, frozen], lr=0.5)
    (w * frozen).backward()
    optimizer.step()
    assert (w.item(), frozen.item()) == (0.5, 1.0)


def test_an_optimizer_of_your_own():
    class Signs(optim.Optimizer):
        def __init__(self, params, lr):
            super().__init__(params, {"lr": lr})

        def update(self, w, g, state, group):
            state["calls"] = state.get("calls", 0) + 1
            w -= group["lr"] * np.sign(g)

    w = leaf([1.0, -1.0])
    optimizer = Signs([w], lr=0.25)
    w.grad = [3.0, -5.0]
    optimizer.step()
    assert w.data.tolist() == [0.75, -0.75]
    assert optimizer.state[w] == {"calls": 1}
    with pytest.raises(NotImplementedError):
        base = optim.Optimizer([w], {"lr": 0.1})
        base.step()


@pytest.mark.parametrize("where", ["numpy", "jax"])
@pytest.mark.parametrize("name", sorted(set(PYTORCHS) - {"LBFGS", "Muon"}))
def test_complex_parameters_are_pytorchs(name, where, torch, jax):
    start = RNG.standard_normal((2, 3)) + 1j * RNG.standard_normal((2, 3))
    settings = {"momentum": 0.9} if name == "SGD" else {}
    w = gn.to(gn.Tensor(start.copy(), requires_grad=True), where)
    peer = torch.tensor(start, requires_grad=True)
    optimizer = getattr(optim, name)([w], lr=0.1, **settings)
    their_optimizer = getattr(torch.optim, name)([peer], lr=0.1, **settings)
    for _ in range(5):
        optimizer.zero_grad()
        (gn.abs(w * w - 1.0) ** 2).sum().backward()
        optimizer.step()
        their_optimizer.zero_grad()
        (abs(peer * peer - 1.0) ** 2).sum().backward()
        their_optimizer.step()
    np.testing.assert_allclose(w.data, peer.detach().numpy(), rtol=1e-9)


def test_lion_is_its_paper():
    """Algorithm 2 of the paper, by hand; PyTorch has none."""
    w, m, g = leaf([1.0, -2.0, 3.0]), np.zeros(3), np.array([0.5, -0.1, 0.0])
    optimizer = optim.Lion([w], lr=0.1, betas=(0.9, 0.5), weight_decay=0.3)
    expected = w.data.copy()
    for sign in (1, -1, -1, 1, 1):
        w.grad = sign * g
        optimizer.step()
        direction = np.sign(0.9 * m + 0.1 * sign * g)
        m = 0.5 * m + 0.5 * sign * g
        expected -= 0.1 * (direction + 0.3 * expected)
        np.testing.assert_allclose(w.data, expected, rtol=1e-14)


def test_muon_makes_all_directions_equally_strong():
    w = leaf(np.zeros((4, 6)))
    w.grad = RNG.standard_normal((4, 6)) * np.array([[100.0], [1.0], [1.0], [0.1]])
    optim.Muon([w], lr=1.0).step()
    strengths = np.linalg.svd(w.data)[1]
    assert strengths.min() > 0.2 and strengths.max() < 1.3


def test_lbfgs_minimizes_rosenbrocks_function():
    w = leaf([-1.5, 2.0])
    optimizer = optim.LBFGS([w], line_search_fn="strong_wolfe", max_iter=100)

    def closure():
        optimizer.zero_grad()
        loss = (1 - w[0]) ** 2 + 100 * (w[1] - w[0] ** 2) ** 2
        loss.backward()
        return loss

    assert optimizer.step(closure).item() == 12.5
    np.testing.assert_allclose(w.data, 1.0, atol=1e-5)


# --- Groups and state -----------------------------------------------------------------------------


def test_groups_have_their_own_options(torch):
    ours, theirs = [leaf(a) for a in START], [torch.tensor(a, requires_grad=True) for a in START]
    optimizers = []
    for library, (a, b, c, d) in ((gn, ours), (torch, theirs)):
        groups = [{"params": [a, b], "lr": 0.1}, {"params": c, "betas": (0.5, 0.9)}]
        optimizer = library.optim.AdamW(groups, lr=0.01)
        optimizer.add_param_group({"params": [d], "weight_decay": 0.0, "lr": 0.3})
        optimizers.append(optimizer)
    optimizer, peer = optimizers
    step = stepper(optimizer, lambda: loss_of(gn, gn.Tensor, ours))
    their_step = stepper(peer, lambda: loss_of(torch, torch.tensor, theirs))
    for i in range(10):
        optimizer.param_groups[1]["lr"] = peer.param_groups[1]["lr"] = 0.01 * i
        step()
        their_step()
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a.data, b.detach().numpy(), rtol=1e-11)
    mine, other = (o.state_dict()["param_groups"] for o in optimizers)
    assert [group["params"] for group in mine] == [group["params"] for group in other]
    assert optimizer.lr == 0.1
    optimizer.lr = np.float64(0.5)
    assert [group["lr"] for group in optimizer.param_groups] == [0.5] * 3
    assert "lr=0.5" in repr(optimizer)


def test_many_small_parameters_are_moved_as_each_alone():
    """Joined, or not: with one that is too large, without a gradient, views, other dtypes."""
    shapes = [(3, 2), (), (0,), (5000,), (2, 2), (7,)]
    rng = np.random.default_rng(3)

    def made():
        data = [np.random.default_rng(i).standard_normal(s) for i, s in enumerate(shapes)]
        data[4] = np.asfortranarray(data[4])
        whole = np.arange(6.0)
        arrays = [*data, np.ones(3, np.float32), whole[:3], whole[2:]]
        return [gn.Tensor(a, requires_grad=True) for a in arrays]

    together, alone = made(), made()
    optimizer = optim.Adam(together, lr=0.1)
    single = [optim.Adam([p], lr=0.1) for p in alone]
    for step in range(6):
        for i, (p, q) in enumerate(zip(together, alone, strict=True)):
            gradient = rng.standard_normal(p.shape)
            p.grad = q.grad = None if (step, i) in {(1, 0), (4, 5)} else gradient
        optimizer.step()
        for one in single:
            one.step()
        if step == 2:
            together[0].data = alone[0].data = np.ones((3, 2))
        if step == 3:  # the state's arrays are the parameters' own, and may be replaced
            state = optimizer.state[together[5]]
            state["exp_avg"][0] = single[5].state[alone[5]]["exp_avg"][0] = 3.0
            state["exp_avg_sq"] = single[5].state[alone[5]]["exp_avg_sq"] = np.ones(7)
            single[5].state[alone[5]]["exp_avg_sq"] = np.ones(7)
    for p, q in zip(together, alone, strict=True):
        np.testing.assert_allclose(p.data, q.data, rtol=1e-6 if p.dtype == "float32" else 1e-12)


def test_a_copied_optimizer_has_its_own_state():
    w, b = leaf([1.0, 2.0]), leaf([3.0])
    optimizer = optim.Adam([w, b], lr=0.1)
    step = stepper(optimizer, lambda: (w * b).sum())
    step()
    before = optimizer.state_dict()
    other = copy.deepcopy(optimizer)
    for p in other.params:
        p.grad = p.data
    other.step()
    after = optimizer.state_dict()
    for i, state in before["state"].items():
        for name, value in state.items():
            np.testing.assert_array_equal(value, after["state"][i][name])
    assert [s["step"] for s in other.state.values()] == [2, 2]


def test_gradients_add_up_over_several_backward_passes():
    whole, parts = leaf([1.0, 2.0]), leaf([1.0, 2.0])
    x = RNG.standard_normal((8, 2))
    ((x @ whole) ** 2).mean().backward()
    for half in (x[:4], x[4:]):
        (((half @ parts) ** 2).mean() / 2).backward()
    for w in (whole, parts):
        optim.SGD([w], lr=0.1).step()
    np.testing.assert_allclose(parts.data, whole.data)


@pytest.mark.parametrize("name", [*ELEMENTWISE, "Muon", "LBFGS"])
def test_on_arrays_of_pytorch(name, torch):
    """Steps on NumPy, then on PyTorch: as if all had been on NumPy. (JAX: see under jit.)"""
    settings = {"momentum": 0.9} if name == "SGD" else {}
    start = MATRICES if name == "Muon" else START
    results = []
    for move in (False, True):
        params = [leaf(a) for a in start]
        optimizer = getattr(optim, name)(params, **settings)
        for i in range(4):
            if move and i == 2:
                for p in params:
                    holder(p).to("torch")
            step = stepper(optimizer, lambda: loss_of(gn, like(params), params))  # noqa: B023
            step()
        results.append([gn.to(p, "numpy").data for p in params])
        kept = optimizer.state_dict()
        optimizer.load_state_dict(kept)
    for a, b in zip(*results, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-12)


def holder(parameter):
    module = nn.Module()
    module.p = parameter
    return module


def like(params):
    library = backends.library_name(params[0].data)
    return lambda array: gn.Tensor(array).to(library)


@pytest.mark.parametrize("name", [*ELEMENTWISE, "Muon"])
def test_under_jit(name, jax):
    """Weights, state, and a rate that changes; the program is compiled twice at most for it."""
    settings = {"momentum": 0.9} if name == "SGD" else {}
    start = MATRICES if name == "Muon" else START

    def step(params, optimizer):
        optimizer.zero_grad()
        loss_of(gn, gn.Tensor, params).backward()
        optimizer.step()

    compiled = gn.jit(step)
    results = []
    for run in (step, compiled):
        params = [leaf(a) for a in start]
        optimizer = getattr(optim, name)(params, lr=0.02, **settings)
        schedule = optim.lr_scheduler.CosineAnnealingLR(optimizer, 8)
        for _ in range(8):
            run(params, optimizer)
            schedule.step()
        results.append((params, optimizer.state_dict()))
    (ours, state), (theirs, other) = results
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a.data, np.asarray(b.data), rtol=1e-9, atol=1e-12)
    for i, slots in state["state"].items():
        for key, value in slots.items():
            np.testing.assert_allclose(other["state"][i][key], value, rtol=1e-9, atol=1e-12)
            assert type(other["state"][i][key]) is type(value), key
    assert len(compiled.programs) <= 2


def test_momenta_that_a_schedule_changes_under_jit(jax):
    def step(params, optimizer):
        optimizer.zero_grad()
        loss_of(gn, gn.Tensor, params).backward()
        optimizer.step()

    compiled = gn.jit(step)
    results = []
    for run in (step, compiled):
        params = [leaf(a) for a in START]
        optimizer = optim.Adam(params)
        schedule = optim.lr_scheduler.OneCycleLR(optimizer, 0.05, total_steps=8)
        for _ in range(8):
            run(params, optimizer)
            schedule.step()
        results.append(params)
    for a, b in zip(*results, strict=True):
        np.testing.assert_allclose(a.data, np.asarray(b.data), rtol=1e-9, atol=1e-12)
    assert len(compiled.programs) == 2


def test_a_schedule_stays_outside_of_compiled_code(jax):
    w = leaf([1.0])
    optimizer = optim.SGD([w], lr=0.1)
    schedule = optim.lr_scheduler.ExponentialLR(optimizer, 0.5)
    with pytest.raises(RuntimeError, match="call it after the compiled step"):
        gn.jit(lambda optimizer, schedule: schedule.step())(optimizer, schedule)
    with pytest.raises(RuntimeError, match="schedule"):
        gn.jit(lambda w: schedule.step())(w)
    assert optimizer.lr == 0.1


# --- Bad input ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "make, kind, words",
    [
        (lambda w: optim.Adam([{"params": [w]}, {"params": [w]}]), ValueError, "1 was given be"),
        (lambda w: optim.Adam([w]).add_param_group({"params": w}), ValueError, "1 was given befo"),
        (lambda w: optim.Adam([w, {"params": [w]}]), TypeError, "a group of parameters is a di"),
        (lambda w: optim.Adam([{"lr": 1}]), TypeError, r"got keys \['lr'\]"),
        (lambda w: optim.Adam([{"params": [w], "lr": -1}]), ValueError, "lr must be a number fr"),
        (lambda w: optim.Adam([w], eps=-1), ValueError, "eps must be a number from 0, got -1"),
        (lambda w: optim.SGD([w], nesterov=True), ValueError, "needs a momentum"),
        (lambda w: optim.Rprop([w], etas=(2, 3)), ValueError, "etas must be"),
        (lambda w: optim.Muon([w]), ValueError, r"shape \(2,\)"),
        (lambda w: optim.Muon([gn.Tensor([[1j]])]), ValueError, "dtype complex128"),
        (lambda w: optim.LBFGS([w]).step(), TypeError, r"step\(closure\)"),
        (lambda w: optim.LBFGS([{"params": w}, {"params": leaf(1.0)}]), ValueError, "one group"),
        (lambda w: optim.LBFGS([w], line_search_fn="x"), ValueError, "strong_wolfe"),
        (lambda w: optim.Adam([w]).load_state_dict({}), TypeError, "param_groups"),
        (lambda w: optim.lr_scheduler.StepLR(w, 1), TypeError, "takes an optimiser"),
    ],
)
def test_bad_input(make, kind, words):
    with pytest.raises(kind, match=words):
        make(leaf([1.0, 2.0]))


def test_a_state_of_another_shape_is_not_loaded():
    def made(*shapes):
        params = [leaf(np.ones(shape)) for shape in shapes]
        optimizer = optim.Adam(params, lr=0.1)
        stepper(optimizer, lambda: sum((p * p).sum() for p in params))()
        return optimizer

    optimizer = made((2,), (3, 2))
    before = optimizer.state_dict()
    with pytest.raises(ValueError, match="groups have \\[1\\] parameters, this one's \\[2\\]"):
        optimizer.load_state_dict(made((2,)).state_dict())
    with pytest.raises(ValueError, match=r"'exp_avg'.*\(2, 3\) where the optimiser has \(3, 2\)"):
        optimizer.load_state_dict(made((2,), (2, 3)).state_dict())
    for i, state in before["state"].items():
        np.testing.assert_array_equal(
            optimizer.state_dict()["state"][i]["exp_avg"], state["exp_avg"]
        )
