"""Schedules, clipping and averaging: as PyTorch's."""

import numpy as np
import pytest

import gradnerve as gn
from gradnerve import nn, optim
from gradnerve.optim import lr_scheduler as ours


def leaf(value):
    return gn.Tensor(np.array(value, dtype=np.float64), requires_grad=True)


def warm_up(library, optimizer):
    first = library.LinearLR(optimizer, start_factor=0.1, total_iters=4)
    second = library.CosineAnnealingLR(optimizer, 10, eta_min=0.01)
    third = library.ExponentialLR(optimizer, 0.9)
    return library.SequentialLR(optimizer, [first, second, third], milestones=[4, 15])


def chained(library, optimizer):
    parts = [library.ConstantLR(optimizer, 0.5, 3), library.StepLR(optimizer, 4)]
    return library.ChainedScheduler([*parts, library.PolynomialLR(optimizer, 30, power=2.0)])


SCHEDULES = {
    "lambda": lambda s, o: s.LambdaLR(o, lambda t: 1 / (1 + t)),
    "lambdas": lambda s, o: s.LambdaLR(o, [lambda t: 0.9**t, lambda t: 1.0]),
    "step": lambda s, o: s.StepLR(o, 3, gamma=0.5),
    "milestones": lambda s, o: s.MultiStepLR(o, [2, 5, 5, 9]),
    "constant": lambda s, o: s.ConstantLR(o),
    "linear": lambda s, o: s.LinearLR(o, 0.2, 0.7, total_iters=6),
    "exponential": lambda s, o: s.ExponentialLR(o, 0.8),
    "polynomial": lambda s, o: s.PolynomialLR(o, 7, power=1.5),
    "cosine": lambda s, o: s.CosineAnnealingLR(o, 6),
    "cosine to": lambda s, o: s.CosineAnnealingLR(o, 5, eta_min=0.02),
    "restarts": lambda s, o: s.CosineAnnealingWarmRestarts(o, 4, eta_min=0.01),
    "longer restarts": lambda s, o: s.CosineAnnealingWarmRestarts(o, 3, T_mult=2),
    "one cycle": lambda s, o: s.OneCycleLR(o, 0.5, total_steps=25),
    "one cycle in three": lambda s, o: s.OneCycleLR(
        o, [0.5, 1.0], epochs=6, steps_per_epoch=5, three_phase=True, anneal_strategy="linear"
    ),
    "warm-up": warm_up,
    "chained": chained,
}


def optimizers(torch, kind="Adam"):
    for library, make in ((gn, leaf), (torch, lambda x: torch.tensor(x, requires_grad=True))):
        groups = [{"params": [make([1.0])]}, {"params": [make([2.0])], "lr": 0.3}]
        yield getattr(library.optim, kind)(groups, lr=0.1)


@pytest.mark.filterwarnings("ignore:Detected call of")
@pytest.mark.parametrize("kind", ["Adam", "SGD"])
@pytest.mark.parametrize("name", SCHEDULES)
def test_rates_are_pytorchs(name, kind, torch):
    optimizer, peer = optimizers(torch, kind)
    schedule = SCHEDULES[name](ours, optimizer)
    their_schedule = SCHEDULES[name](torch.optim.lr_scheduler, peer)
    for step in range(25):
        if step == 7:  # a new one goes on from its state
            state = schedule.state_dict()
            kept = optimizer.state_dict()
            schedule = SCHEDULES[name](ours, optimizer)
            schedule.load_state_dict(state)
            optimizer.load_state_dict(kept)
        for group, other in zip(optimizer.param_groups, peer.param_groups, strict=True):
            assert group["lr"] == pytest.approx(other["lr"], abs=1e-13), step
            for option in ("betas", "momentum"):
                if option in group:
                    np.testing.assert_allclose(group[option], other[option], rtol=1e-13)
        np.testing.assert_allclose(schedule.get_last_lr(), their_schedule.get_last_lr(), atol=1e-13)
        schedule.step()
        their_schedule.step()


@pytest.mark.parametrize(
    "options",
    [
        {"patience": 2},
        {"patience": 1, "cooldown": 2, "factor": 0.5, "min_lr": [0.05, 0.1]},
        {"patience": 0, "mode": "max", "threshold": 0.1},
        {"patience": 1, "threshold_mode": "abs", "threshold": 0.05},
        {"patience": 1, "threshold_mode": "abs", "mode": "max"},
    ],
    ids=str,
)
def test_plateaus_are_pytorchs(options, torch):
    optimizer, peer = optimizers(torch)
    schedule = ours.ReduceLROnPlateau(optimizer, **options)
    their_schedule = torch.optim.lr_scheduler.ReduceLROnPlateau(peer, **options)
    values = np.round(1 + np.random.default_rng(0).standard_normal(30).cumsum() / 10, 2)
    for i, value in enumerate([1.0, 1.0, 1.0, *values]):
        if i == 12:
            state = schedule.state_dict()
            schedule = ours.ReduceLROnPlateau(optimizer, **options)
            schedule.load_state_dict(state)
        schedule.step(gn.Tensor(value))
        their_schedule.step(value)
        assert [g["lr"] for g in optimizer.param_groups] == pytest.approx(
            [g["lr"] for g in peer.param_groups], rel=1e-14
        )
    assert optimizer.lr < 0.1


@pytest.mark.parametrize("name", ["step", "linear", "cosine", "exponential", "polynomial"])
def test_a_run_that_goes_on(name, torch):
    """With `last_epoch`, from an optimiser's state."""
    optimizer, peer = optimizers(torch)
    makers = {
        "step": lambda s, o, **k: s.StepLR(o, 3, **k),
        "linear": lambda s, o, **k: s.LinearLR(o, total_iters=9, **k),
        "cosine": lambda s, o, **k: s.CosineAnnealingLR(o, 9, **k),
        "exponential": lambda s, o, **k: s.ExponentialLR(o, 0.9, **k),
        "polynomial": lambda s, o, **k: s.PolynomialLR(o, 9, **k),
    }
    for library, o in ((ours, optimizer), (torch.optim.lr_scheduler, peer)):
        for group in o.param_groups:
            group["initial_lr"] = 2 * group["lr"]
        schedule = makers[name](library, o, last_epoch=3)
        for _ in range(3):
            o.step()
            schedule.step()
    assert optimizer.lr == pytest.approx(peer.param_groups[0]["lr"], rel=1e-13)


@pytest.mark.parametrize(
    "make, kind, words",
    [
        (lambda o: ours.LinearLR(o, start_factor=0), ValueError, "start_factor must be above 0"),
        (lambda o: ours.ConstantLR(o, factor=2), ValueError, "factor must be above 0, to 1, got 2"),
        (lambda o: ours.LambdaLR(o, [abs]), ValueError, "has 1 values, but the optimiser has 2"),
        (lambda o: ours.StepLR(o, 2, last_epoch=3), KeyError, "load the optimiser's state dict"),
        (lambda o: ours.CosineAnnealingWarmRestarts(o, 0), ValueError, "T_0 must be a whole"),
        (lambda o: ours.OneCycleLR(o, 1.0), ValueError, "total_steps .* must be from 1, got None"),
        (lambda o: ours.ReduceLROnPlateau(o, mode="low"), ValueError, '"min" or "max", got \'low'),
        (lambda o: ours.ChainedScheduler([]), ValueError, "needs at least one schedule"),
        (lambda o: ours.SequentialLR(o, [ours.StepLR(o, 1)], [3]), ValueError, "0 of them"),
        (
            lambda o: ours.ChainedScheduler([ours.ReduceLROnPlateau(o)]),
            TypeError, "number 0 is a ReduceLROnPlateau; it takes schedules whose step",
        ),
        (
            lambda o: ours.SequentialLR(optim.SGD([leaf(1.0)]), [ours.StepLR(o, 1)], []),
            ValueError, "schedule 0 is of another optimiser",
        ),
        (lambda o: ours.OneCycleLR(optim.Adagrad([leaf(1.0)]), 1.0, 5), ValueError, "has none"),
    ],
)  # fmt: skip
def test_bad_input(make, kind, words):
    optimizer = optim.SGD([{"params": leaf(1.0)}, {"params": leaf(2.0)}], lr=1.0)
    with pytest.raises(kind, match=words):
        make(optimizer)


def test_a_cycle_ends(torch):
    optimizer, _ = optimizers(torch)
    schedule = ours.OneCycleLR(optimizer, 1.0, total_steps=3)
    for _ in range(3):
        schedule.step()
    with pytest.raises(ValueError, match="made for 3 steps"):
        schedule.step()


# --- Clipping, and vectors ------------------------------------------------------------------------


@pytest.mark.parametrize("norm_type", [2.0, 1.0, 3.5, float("inf")])
@pytest.mark.parametrize("max_norm", [0.7, 100.0])
def test_clipping_by_norm_is_pytorchs(norm_type, max_norm, torch):
    rng = np.random.default_rng(1)
    params, peers = [], []
    for shape in [(3, 2), (), (4,), (2,)]:
        params.append(leaf(np.zeros(shape)))
        peers.append(torch.zeros(shape, requires_grad=True))
        if shape != (2,):
            params[-1].grad = rng.standard_normal(shape)
            peers[-1].grad = torch.tensor(params[-1].grad)
    total = nn.utils.clip_grad_norm_(iter(params), max_norm, norm_type)
    expected = torch.nn.utils.clip_grad_norm_(peers, max_norm, norm_type)
    np.testing.assert_allclose(total.data, expected.numpy(), rtol=1e-14)
    for p, q in zip(params[:3], peers[:3], strict=True):
        np.testing.assert_allclose(p.grad, q.grad.numpy(), rtol=1e-14)
    assert params[3].grad is None


def test_clipping_under_jit(jax):
    @gn.jit
    def step(w):
        ((w * w).sum()).backward()
        norm = nn.utils.clip_grad_norm_(w, 1.0)
        nn.utils.clip_grad_value_([w], 0.7)
        return norm

    w = leaf([3.0, 4.0])
    assert step(w).item() == 10.0
    np.testing.assert_allclose(w.grad, [0.6, 0.7], rtol=1e-6)


def test_a_norm_that_is_not_finite():
    w = leaf([1.0])
    w.grad = [np.nan]
    assert np.isnan(nn.utils.clip_grad_norm_(w, 1.0).item())
    with pytest.raises(RuntimeError, match="the norm of the gradients is nan"):
        nn.utils.clip_grad_norm_(w, 1.0, error_if_nonfinite=True)
    assert nn.utils.clip_grad_norm_([leaf([1.0])], 1.0).item() == 0.0


def test_parameters_as_a_vector():
    params = [leaf([[1.0, 2.0]]), leaf(3.0)]
    vector = nn.utils.parameters_to_vector(params)
    (vector * vector).sum().backward()
    assert params[0].grad.tolist() == [[2.0, 4.0]]
    nn.utils.vector_to_parameters(vector * 2, params)
    assert [p.data.tolist() for p in params] == [[[2.0, 4.0]], 6.0]
    with pytest.raises(ValueError, match="has 1 elements, the parameters 3"):
        nn.utils.vector_to_parameters([1.0], params)


# --- Averaging ------------------------------------------------------------------------------------


class Net(nn.Module):
    def __init__(self):
        self.layer = nn.Linear(3, 2, dtype="float64")
        self.count = gn.Tensor(np.zeros(2))  # a buffer

    def forward(self, x):
        return self.layer(x) + self.count


@pytest.mark.parametrize("compiled", [False, True])
def test_averages_are_pytorchs(compiled, torch, jax):
    from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

    model, peer = Net(), torch.nn.Linear(3, 2)
    average = optim.ExponentialMovingAverage(model, decay=0.8)
    their_average = AveragedModel(peer, multi_avg_fn=get_ema_multi_avg_fn(0.8))
    update = gn.jit(lambda average, model: average.update(model)) if compiled else (
        lambda average, model: average.update(model)
    )  # fmt: skip
    rng = np.random.default_rng(0)
    for i in range(5):
        weight = rng.standard_normal((2, 3))
        model.layer.weight.data, model.count.data = weight, np.full(2, float(i))
        peer.weight.data, peer.bias.data = torch.tensor(weight), torch.zeros(2)
        update(average, model)
        their_average.update_parameters(peer)
    state = average.state_dict()
    expected = their_average.state_dict()
    np.testing.assert_allclose(
        state["module.layer.weight"], expected["module.weight"].numpy(), rtol=1e-13
    )
    assert state["n_averaged"] == 5 and state["module.count"].tolist() == [4.0, 4.0]
    x = gn.Tensor(np.ones((1, 3))).to("jax" if compiled else "numpy")
    np.testing.assert_allclose(
        average(x).data, np.asarray(average.to("numpy")(np.ones((1, 3))).data)
    )
    assert average.module.layer.weight is not model.layer.weight


def test_bad_averages():
    with pytest.raises(TypeError, match="takes a Module, got list"):
        optim.ExponentialMovingAverage([])
    with pytest.raises(ValueError, match="decay must be a number from 0 to 1, got 2"):
        optim.ExponentialMovingAverage(Net(), decay=2)
