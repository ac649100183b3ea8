"""What the messages say, to the letter: each row of the design's table of mistakes."""

import re
from pathlib import Path

import numpy as np
import pytest

import gradnerve as gn
from gradnerve import errors, nn

F = nn.functional


def ones(*shape, name=None):
    return gn.Tensor(np.ones(shape), requires_grad=True, name=name)


def says(kind, f):
    """The whole text of the error that f raises."""
    with pytest.raises(kind) as caught:
        f()
    return str(caught.value)


# --- Shapes that do not fit -----------------------------------------------------------------------

SHAPES = [
    (
        lambda: ones(2, 3) + ones(4),
        "add: shapes (2, 3) and (4,) do not fit: axis -1 is 3 in `ones(2, 3)` and 4 in "
        "`ones(4)`, and neither is 1.",
    ),
    (
        lambda: ones(2, 3, name="scores") * ones(2, 4, name="weights"),
        "multiply: shapes (2, 3) and (2, 4) do not fit: axis -1 is 3 in scores and 4 in weights, "
        "and neither is 1.",
    ),
    (
        lambda: gn.maximum(ones(2, 3), np.ones((5, 3))),
        "maximum: shapes (2, 3) and (5, 3) do not fit: axis -2 is 2 in `ones(2, 3)` and 5 in "
        "`np.ones((5, 3))`, and neither is 1.",
    ),
    (
        lambda: ones(2, 3) - ones(3, 2),
        "subtract: shapes (2, 3) and (3, 2) do not fit: axis -1 is 3 in `ones(2, 3)` and 2 in "
        "`ones(3, 2)`, and neither is 1. Did you mean ones(3, 2).mT?",
    ),
    (
        lambda: ones(4, 3) / ones(4),
        "divide: shapes (4, 3) and (4,) do not fit: axis -1 is 3 in `ones(4, 3)` and 4 in "
        "`ones(4)`, and neither is 1. Did you mean ones(4)[:, None]?",
    ),
    (
        lambda: (-ones(4)) ** ones(4, 3),
        "pow: shapes (4,) and (4, 3) do not fit: axis -1 is 4 in `-ones(4)` and 3 in `ones(4, 3)`, "
        "and neither is 1. Did you mean (-ones(4))[:, None]?",
    ),
    (
        lambda: ones(2, 3) @ ones(4, 5),
        "matmul: (2, 3) @ (4, 5) do not fit: the last axis of `ones(2, 3)` is 3, the "
        "second-last axis of `ones(4, 5)` is 4.",
    ),
    (
        lambda: ones(2, 3) @ ones(2, 3, name="W"),
        "matmul: (2, 3) @ (2, 3) do not fit: the last axis of `ones(2, 3)` is 3, the "
        "second-last axis of W is 2. Did you mean W.mT?",
    ),
    (
        lambda: ones(2, 3) @ ones(2, 4),
        "matmul: (2, 3) @ (2, 4) do not fit: the last axis of `ones(2, 3)` is 3, the "
        "second-last axis of `ones(2, 4)` is 2. Did you mean ones(2, 3).mT?",
    ),
    (
        lambda: ones(2, 3) @ ones(2),
        "matmul: (2, 3) @ (2,) do not fit: the last axis of `ones(2, 3)` is 3, the only axis of "
        "`ones(2)` is 2. Did you mean ones(2, 3).mT?",
    ),
    (
        lambda: ones(2, 2, 3) @ ones(3, 3, 4),
        "matmul: (2, 2, 3) @ (3, 3, 4): the leading axes (2,) and (3,) do not fit together",
    ),
    (
        lambda: ones(2, 3) @ gn.Tensor(2.0),
        "matmul: a single number (shape ()) cannot be a factor of @: got (2, 3) @ (). Use *.",
    ),
    (
        lambda: gn.reshape(ones(2, 3, name="h"), (4,)),
        "reshape: 6 elements, in shape (2, 3), do not fill shape (4,), which has 4. One length "
        "may be -1, to be found.\n"
        "  x: float64 of shape (2, 3), named 'h'",
    ),
    (
        lambda: gn.concat([]),
        "concat: there is nothing to join; give it one array or more",
    ),
]


@pytest.mark.parametrize("f, text", SHAPES, ids=[text[:30] for _, text in SHAPES])
def test_shapes(f, text):
    assert says(ValueError, f) == text


def test_operands_are_called_as_the_user_wrote_them():
    x, b, é = ones(4, 3), ones(4), ones(4, 5)

    def in_place():
        y = x * 1
        y += b  # the statement, not an expression

    def over_two_lines():
        return (x -
                é)  # fmt: skip

    written = [
        (in_place, "3 in `y` and 4 in `b`, and neither is 1. Did you mean b[:, None]?"),
        (over_two_lines, "3 in `x` and 5 in `é`, and neither is 1."),
        (
            lambda: ("é", x * (b + 1)),
            "3 in `x` and 4 in `b + 1`, and neither is 1. Did you mean (b",
        ),
        (lambda: np.add(x, b), "3 in `x` and 4 in `b`"),
        (lambda: x > b, "3 in `x` and 4 in `b`"),
        (lambda: b < x, "4 in `b` and 3 in `x`"),
        (lambda: gn.where(x > 0, x2=x, x1=b), "is 3 in `x > 0`, 4 in `b` and 3 in `x`; along an a"),
        (lambda: x.clip(b), "3 in x and 4 in min, and"),  # a method: its own names
        (
            lambda: gn.add(*(x, b)),
            "3 in the first and 4 in the second, and neither is 1. Did you m",
        ),
        (lambda: sum([b], x), "Did you mean [:, None] behind the second?"),
        (lambda: eval("x + b", {"x": x, "b": b}), "3 in the first and 4 in the second"),
        (
            lambda: gn.add(x, gn.reshape(gn.reshape(gn.reshape(b, (2, 2)), (4, 1)), (4,))),
            "4 in the",
        ),
    ]
    for f, text in written:
        assert text in says(ValueError, f)


def test_the_function_that_was_called_is_named():
    assert says(ValueError, lambda: gn.hstack([ones(2, 3), ones(3)])).startswith(
        "hstack: concat: array 0 has shape (2, 3) and array 1 has (3,): all need as many axes."
    )
    assert says(ValueError, lambda: gn.nanmax(ones(0))).startswith(
        "nanmax: max: the array is empty"
    )
    assert says(ValueError, lambda: np.max(ones(0))).startswith("max: the array is empty")


def test_the_hints_help():
    a, b = ones(2, 3), ones(3, 2)
    assert (a - b.mT).shape == (2, 3)
    assert (ones(4, 3) / ones(4)[:, None]).shape == (4, 3)
    assert (ones(2, 3) @ ones(2, 3).mT).shape == (2, 2)


def test_a_python_number_is_no_factor_of_a_matrix_product():
    assert says(ValueError, lambda: ones(2, 3) @ 2.0).startswith("matmul: a single number")


def test_plain_arrays_get_the_same_words():
    assert says(ValueError, lambda: gn.add(np.ones(2), np.ones(3))).startswith("add: shapes (2,)")


def test_an_operator_inside_an_operator_is_explained_once():
    @gn.operator
    def twice_matmul(x1, x2):
        return gn.matmul(gn.matmul(x1, x2), x2)

    text = says(ValueError, lambda: twice_matmul(ones(2, 3), ones(2, 2)))
    assert text.startswith("matmul: (2, 3) @ (2, 2) do not fit") and "twice" not in text


# --- Layers ---------------------------------------------------------------------------------------


class Encoder(nn.Module):
    def __init__(self):
        self.fc1 = nn.Linear(256, 10)
        self.convs = [nn.Conv2d(3, 4, 3)]
        self.pool = nn.MaxPool2d(4)

    def forward(self, x):
        return self.pool(self.convs[0](x)) if x.ndim > 2 else self.fc1(x)


class Net(nn.Module):
    def __init__(self):
        self.encoder = Encoder()

    def forward(self, x):
        return self.encoder(x)


def test_a_layer_says_its_path():
    assert says(ValueError, lambda: Net()(ones(2, 7))) == (
        "`encoder.fc1` (Linear(256, 10, bias=True)) expects a last axis of 256, got 7 "
        "(input of shape (2, 7))"
    )
    assert says(ValueError, lambda: Net()(ones(2, 1, 8, 8))) == (
        "`encoder.convs.0` (Conv2d(3, 4, kernel_size=(3, 3))) expects 3 channels, got 1 "
        "(input of shape (2, 1, 8, 8))"
    )
    assert says(ValueError, lambda: Net()(ones(2, 3, 5, 5))) == (
        "`encoder.pool` (MaxPool2d(kernel_size=4, stride=4, padding=0)) has a window of (4, 4), "
        "with dilation (1, 1), that is larger than the input, (3, 3) with its padding "
        "(input of shape (2, 4, 3, 3))"
    )
    assert says(ValueError, lambda: nn.Linear(3, 2)(ones(7))) == (
        "Linear(3, 2, bias=True) expects a last axis of 3, got 7 (input of shape (7,))"
    )
    assert says(ValueError, lambda: F.linear(ones(2, 7), ones(2, 3))) == (
        "linear expects a last axis of 3, got 7 (input of shape (2, 7))"
    )
    assert says(ValueError, lambda: nn.Linear(3, 2)(gn.Tensor(1.0))) == (
        "Linear(3, 2, bias=True) expects a last axis of 3, got a single number (input of shape ())"
    )


def test_any_other_error_in_a_layer_says_its_path_too():
    net = Net()
    net.encoder.pool.padding = 3
    with pytest.raises(ValueError, match="more than half the kernel") as caught:
        net(ones(2, 3, 8, 8))
    assert caught.value.__notes__ == ["in layer 'encoder.pool' (MaxPool2d)"]


def test_a_module_without_forward():
    class Misspelt(nn.Module):
        def forwrad(self, x):
            return x

    text = says(NotImplementedError, lambda: Misspelt()(1.0))
    assert text == (
        "Misspelt has no forward(): define def forward(self, x). Did you mean 'forwrad'?"
    )


# --- Backward -------------------------------------------------------------------------------------


def test_backward_twice():
    x = ones(2)
    loss = (x * x).sum()
    loss.backward()
    text = says(errors.GraphFreed, lambda: loss.backward())
    here = Path(__file__).name
    assert re.fullmatch(
        r"backward\(\) came to the result of `sum`, whose values were freed by the backward\(\) at "
        + re.escape(here)
        + r":\d+ \(`loss\.backward\(\)`\)\. Usually a tensor kept from an earlier step \(a hidden "
        r"state, a running loss\) leads back into a graph that is done with: h = h\.detach\(\) "
        r"before it is used again\. Two losses of one graph: add them, then call backward\(\) "
        r"once\. backward\(retain_graph=True\) keeps the values, but is rarely right\.",
        text,
    ), text


def test_backward_through_a_hidden_state_of_an_earlier_step():
    w, h = ones(1), gn.Tensor([1.0])
    h = h * w
    h.sum().backward()
    h = h * w
    assert "result of `multiply`" in says(RuntimeError, lambda: h.sum().backward())


NO_PATH = "backward(): no path leads from this tensor to one with requires_grad=True."


def test_no_path_by_detach():
    h = (ones(2) * 2).detach()
    text = says(errors.NoGradientPath, lambda: (h * 3).sum().backward())
    assert text.startswith(NO_PATH + " It was cut by detach() at test_errors.py:")
    assert "(`h = (ones(2) * 2).detach()`). Compute what you differentiate without it." in text


def test_no_path_by_no_grad():
    x = ones(2)
    with gn.no_grad():
        h = x * 2
    text = says(errors.NoGradientPath, lambda: (h * 3).sum().backward())
    assert text.startswith(NO_PATH + " It was cut by no_grad() at test_errors.py:")
    assert "(`h = x * 2`)" in text


def test_no_path_by_a_comparison():
    x = ones(2)
    text = says(errors.NoGradientPath, lambda: (x > 0).sum().backward())
    assert text.startswith(NO_PATH + " It was cut by greater(), which has no derivative at test_")
    assert "argmax()" in says(errors.NoGradientPath, lambda: gn.argmax(x).backward())


def test_no_path_is_the_first_cut():
    """What is cut twice, or computed on, keeps the first place."""
    first = (ones(2) * 2).detach()
    again = (first * 2).detach()
    assert "(`first = (ones(2) * 2).detach()`)" in says(RuntimeError, lambda: again.backward())


def test_no_path_without_a_cut():
    text = says(errors.NoGradientPath, lambda: (gn.Tensor(1.0) * 2).backward())
    assert text == (
        NO_PATH + " Nothing it was computed from requires grad. Make the parameters with "
        "gn.Tensor(..., requires_grad=True), before they are used; and note that .data, .numpy(), "
        "float() and gn.Tensor(array) lead out of the graph."
    )
    assert "requires_grad=True" in text
    assert "loss.requires_grad" not in text, "never: set it on the loss"


def test_many_elements():
    assert says(RuntimeError, lambda: (ones(2) * 2).backward()) == (
        "backward() starts from a single number, but this tensor has shape (2,). Write "
        ".sum().backward() or .mean().backward(); or pass gradient=, an array of shape (2,) that "
        "weighs the elements."
    )


# --- Losses ---------------------------------------------------------------------------------------


def test_a_column_against_a_row_in_a_loss():
    assert says(ValueError, lambda: F.mse_loss(ones(3, 1), np.ones(3))) == (
        "mse_loss: input (3, 1) and target (3,) differ in shape, and would broadcast to (3, 3). "
        "Write target[..., None] or input[..., 0]."
    )
    assert says(ValueError, lambda: nn.MSELoss()(ones(3), np.ones((3, 1)))) == (
        "mse_loss: input (3,) and target (3, 1) differ in shape, and would broadcast to (3, 3). "
        "Write target[..., 0] or input[..., None]."
    )
    assert says(ValueError, lambda: F.mse_loss(ones(3), np.ones(4))) == (
        "mse_loss: input (3,) and target (4,) differ in shape. Reshape one of them; a loss "
        "compares element with element."
    )


def test_what_is_said_of_broadcasting_is_true():
    a, b = (4, 2, 1), (4, 2)
    text = says(ValueError, lambda: F.mse_loss(ones(*a), np.ones(b)))
    assert "Write target[..., None] or input[..., 0]" in text
    assert "(4, 2, 4, 2)" not in text, "(4, 2, 1) and (4, 2) do not broadcast"


def test_class_numbers():
    x = ones(3, 4)
    assert says(ValueError, lambda: F.cross_entropy(x, np.ones((3, 1), int))) == (
        "cross_entropy: for an input (3, 4) the target is (3,) class numbers, got shape (3, 1). "
        "Write target[..., 0]."
    )
    assert says(ValueError, lambda: F.cross_entropy(x, np.ones((3, 4), int))) == (
        "cross_entropy: for an input (3, 4) the target is (3,) class numbers, got shape (3, 4). "
        "Class probabilities, in the shape of the input, must be floating point."
    )
    assert says(ValueError, lambda: F.cross_entropy(x, np.array([0, 4, 1]))) == (
        "cross_entropy: a target is class 4, but the input has 4 classes, 0 to 3"
    )
    assert "class -1" in says(ValueError, lambda: F.nll_loss(x, np.array([0, -1, 1])))
    assert says(TypeError, lambda: F.cross_entropy(x, np.ones(3))) == (
        "cross_entropy: class numbers and indices are integers, not float64"
    )
    assert says(ValueError, lambda: F.mse_loss(x, x, reduction="avg")) == (
        "mse_loss: reduction is 'mean', 'sum' or 'none', not 'avg'"
    )


# --- Numbers --------------------------------------------------------------------------------------


def test_integers_that_require_grad():
    assert says(TypeError, lambda: gn.Tensor(3, requires_grad=True)) == (
        "a tensor of int64 cannot require grad: small changes, which a gradient is about, exist "
        "only for floating point. Write 3.0, not 3; or pass dtype='float64'."
    )


# --- Optimisers -----------------------------------------------------------------------------------


def test_an_optimiser_without_parameters():
    class Plain(nn.Module):
        def __init__(self):
            self.w, self.act = np.ones(3), nn.ReLU()

    class Misspelt(nn.Module):
        def __int__(self):
            self.fc = nn.Linear(2, 2)

    class Empty(nn.Module):
        pass

    assert says(ValueError, lambda: gn.optim.SGD([], lr=1)) == (
        "SGD got no parameters: pass model.parameters(), or a list of Tensors"
    )
    assert says(ValueError, lambda: gn.optim.Adam(Plain().parameters())) == (
        "Adam got no parameters: of Plain's attributes (w (ndarray), act (ReLU)) none is a "
        "Parameter, or a Module that has one. Make its weights with nn.Parameter(array) or layers "
        "such as nn.Linear, in __init__."
    )
    assert says(ValueError, lambda: gn.optim.SGD(Misspelt().parameters())) == (
        "SGD got no parameters: Misspelt has no attributes. Did you mean __init__ where Misspelt "
        "defines __int__?"
    )
    assert says(ValueError, lambda: gn.optim.SGD(Empty().parameters())) == (
        "SGD got no parameters: Empty has no attributes. Make its weights with nn.Parameter(array) "
        "or layers such as nn.Linear, in __init__."
    )


def test_an_optimiser_of_something_else():
    w = ones(2)
    assert says(TypeError, lambda: gn.optim.SGD(nn.Linear(2, 2))) == (
        "SGD takes parameters, not a module: pass linear.parameters()"
    )
    assert says(TypeError, lambda: gn.optim.SGD(w)) == (
        "SGD takes a list of Tensors: pass [tensor]"
    )
    assert says(TypeError, lambda: gn.optim.SGD([np.ones(2)])) == (
        "SGD takes Tensors that require grad, got ndarray"
    )
    assert "operator's result, not a leaf" in says(ValueError, lambda: gn.optim.SGD([w * 2]))
    assert "parameter 1 was given before" in says(ValueError, lambda: gn.optim.SGD([w, w]))
    for lr in (-1.0, float("nan"), float("inf")):
        assert says(ValueError, lambda lr=lr: gn.optim.SGD([w], lr=lr)) == (
            f"SGD: lr must be a number from 0, got {lr}"
        )
    assert says(ValueError, lambda: gn.optim.Adam([w], betas=(0.9, 1.0))) == (
        "Adam: betas[1] must be a number from 0 to below 1, got 1.0"
    )


# --- Arguments ------------------------------------------------------------------------------------

ARGUMENTS = [
    (
        lambda: gn.sum(ones(2), dim=0),
        "sum(x, axis, keepdims, dtype) has no argument 'dim'. Here it is called 'axis'.",
    ),
    (
        lambda: gn.mean(ones(2), keepdim=True),
        "mean(x, axis, keepdims) has no argument 'keepdim'. Here it is called 'keepdims'.",
    ),
    (
        lambda: gn.var(ones(2), ddof=1),
        "var(x, axis, correction, keepdims) has no argument 'ddof'. Here it is called "
        "'correction'.",
    ),
    (
        lambda: gn.sum(ones(2), axs=0),
        "sum(x, axis, keepdims, dtype) has no argument 'axs'. Did you mean 'axis'?",
    ),
    (lambda: gn.exp(ones(2), what=0), "exp() got an unexpected keyword argument 'what'"),
    (lambda: gn.add(ones(2), x1=1), "add() got multiple values for argument 'x1'"),
    (lambda: gn.add(ones(2)), "add() missing 1 required positional argument: 'x2'"),
    (
        lambda: gn.sum(ones(2), x=1),
        "sum(x, axis, keepdims, dtype) got 'x' twice: by position and by name",
    ),
    (lambda: gn.sum(), "sum(x, axis, keepdims, dtype) needs 'x'"),
]


@pytest.mark.parametrize("f, text", ARGUMENTS, ids=[text[:50] for _, text in ARGUMENTS])
def test_arguments(f, text):
    assert says(TypeError, f) == text


@pytest.mark.parametrize("method", ["sum", "mean", "max", "std"])
def test_methods_know_pytorchs_names_too(method):
    text = says(TypeError, lambda: getattr(ones(2), method)(keepdim=True))
    assert "keepdims" in text


def test_an_axis_out_of_range():
    text = says(np.exceptions.AxisError, lambda: gn.mean(ones(2, 3, name="h"), axis=5))
    assert text == (
        "mean: there is no axis 5: the array has axes 0 to 1 (or -2 to -1)\n"
        "  x: float64 of shape (2, 3), named 'h'"
    )


# --- Saved in a state dict ------------------------------------------------------------------------


def test_a_state_dict_of_another_network():
    model = nn.Linear(2, 2)
    assert "missing 'weight'. Did you mean 'weigth'?; unexpected 'weigth'" in says(
        KeyError, lambda: model.load_state_dict({"weigth": np.ones((2, 2)), "bias": np.ones(2)})
    )
    assert "missing 'bias'; missing 'weight'" in says(KeyError, lambda: model.load_state_dict({}))
    assert (
        says(ValueError, lambda: model.load_state_dict({"weight": np.ones(3), "bias": np.ones(2)}))
        == "the state dict does not fit this module: 'weight' is (3,) where the module has (2, 2)"
    )


# --- Names, functions, trees ----------------------------------------------------------------------

X = np.array([1.0, 2.0])
MISUSES = [
    (lambda: gn.concatenate([X]), AttributeError, "it is called gn.concat"),
    (lambda: gn.sigmiod(X), AttributeError, "Did you mean 'sigmoid'?"),
    (lambda: gn.grad(gn.Tensor(2.0)), TypeError, "gn.grad takes a function, got a Tensor. Of a"),
    (lambda: gn.hessian(3.0), TypeError, "gn.hessian takes a function, got a float. Write"),
    (lambda: gn.checkpoint(3.0), TypeError, "gn.checkpoint takes a function, got a float"),
    (lambda: gn.custom_vjp(3.0), TypeError, "gn.custom_vjp takes a function, got a float"),
    (lambda: gn.grad(sum, argnums=None), TypeError, "counted from 0: a number or a tuple"),
    (lambda: gn.grad(sum, argnums=1.0), TypeError, "a tuple of numbers, not 1.0"),
    (lambda: gn.grad(gn.sum, argnums=1)(X), TypeError, "with 1 argument by position, number 0"),
    (lambda: gn.grad(gn.sum)(x=X), TypeError, "not by keyword ones"),
    (lambda: gn.grad(lambda x: x > 0)(1.0), TypeError, "true or false has no derivative"),
    (
        lambda: gn.grad(lambda p: p["a"])({"a": 1.0, "b": [X, 3]}),
        TypeError,
        "argument['b'][1]: cannot differentiate by an argument of int64",
    ),
    (lambda: gn.hvp(gn.sum, X, X), TypeError, "For one argument write gn.hvp(f, (x,), (v,))."),
    (
        lambda: gn.hvp(gn.sum, (X,), (np.ones(3),)),
        ValueError,
        "a tangent of shape (3,) for a primal of shape (2,)",
    ),
    (lambda: gn.linalg.matrix_power(ones(2, 2), 0.5), TypeError, "n has to be an integer, not 0.5"),
    (
        lambda: ones(2, 3).reshape(4, 2),
        ValueError,
        "6 elements, in shape (2, 3), do not fill shape",
    ),
    (lambda: ones(2, 3).reshape(4, -1), ValueError, "4 divides them into no whole number of parts"),
    (lambda: ones(2, 3).reshape(-1, -1), ValueError, "at most one length may be -1"),
    (
        lambda: gn.broadcast_to(ones(2, 3), (3, 3)),
        ValueError,
        "shape (2, 3) does not stretch to (3, 3): axis -2 is 2, and only an axis of length 1",
    ),
    (lambda: gn.broadcast_to(ones(2, 3), (3,)), ValueError, "it has more axes"),
    (
        lambda: np.concatenate([ones(2, 3), ones(3)]),
        ValueError,
        "array 0 has shape (2, 3) and array 1 has (3,): all need as many axes",
    ),
    (
        lambda: gn.concat([ones(2, 3), ones(2, 3), ones(2, 4)]),
        ValueError,
        "array 2 has (2, 4): they may differ along axis 0 alone",
    ),
    (
        lambda: ones(2) & True,
        TypeError,
        "is not defined for float64 (`ones(2)`), bool (`True`). Bits are",
    ),
    (lambda: gn.sin("a"), TypeError, "sin is not defined for str (`'a'`): it takes numbers"),
    (lambda: np.array([ones(2), ones(2)]), RuntimeError, "np.stack([...]) instead of np.array"),
]

MATRIX = ones(2, 3)
MISUSES += [  # axes
    (lambda: gn.mean(MATRIX, axis=(0, -2)), ValueError, "mean: axis 0 is named twice in (0, -2)"),
    (lambda: gn.sum(MATRIX, axis=[0, 1]), TypeError, "several axes are a tuple, (0, 1), not the l"),
    (lambda: gn.sum(MATRIX, axis="rows"), TypeError, "sum: an axis is a whole number, not 'rows'"),
    (
        lambda: gn.argmax(MATRIX, axis=(0, 1)),
        TypeError,
        "argmax: it takes one axis, a whole number",
    ),
    (lambda: gn.permute_dims(MATRIX, (0, 0)), ValueError, "axis 0 is named twice in (0, 0)"),
    (
        lambda: gn.permute_dims(MATRIX, (0,)),
        ValueError,
        "permute_dims: axes (0,) are no order of the axes of shape (2, 3), in which each is named "
        "once: (1, 0), for example, reverses them",
    ),
    (
        lambda: MATRIX.transpose(0, 2),
        IndexError,
        "transpose: permute_dims: there is no axis 2: the",
    ),
    (
        lambda: MATRIX.squeeze(1),
        ValueError,
        "squeeze: axis 1 of shape (2, 3) has length 3, and only axes of length 1 can be left out. "
        "To choose one element along it write x[:, 0]; to combine them, x.sum(axis=1) or x.mean(",
    ),
    (
        lambda: gn.diagonal(MATRIX, axis1=5),
        IndexError,
        "diagonal: there is no axis 5: the array has",
    ),
    (
        lambda: gn.diagonal(MATRIX, axis1=-1),
        ValueError,
        "axis1=-1 and axis2=1 are the same axis of",
    ),
    (
        lambda: gn.diagonal(X),
        ValueError,
        "two axes or more; got shape (2,). A matrix with x on its",
    ),
    (lambda: gn.diag_embed(X, axis1=0, axis2=-2), ValueError, "diag_embed: axis 0 is named twice"),
    (
        lambda: gn.rot90(MATRIX, axes=(0,)),
        ValueError,
        "rot90: axes are the two of a plane, not (0,)",
    ),
    (lambda: gn.concat([MATRIX] * 2, axis=2), IndexError, "concat: there is no axis 2"),
    (lambda: nn.Flatten()(gn.Tensor(1.0)), IndexError, "there is no axis 1: the array has no axes"),
]
MISUSES += [  # shapes and sizes
    (lambda: gn.arange(0, 1, 0), ZeroDivisionError, "with a step of 0 it never comes from 0 to 1"),
    (lambda: gn.zeros((2, -1)), ValueError, "zeros: no axis can have a negative length, but the s"),
    (lambda: gn.zeros(2.5), TypeError, "zeros: a shape is a whole number or a tuple of them, such"),
    (lambda: gn.ones(2, 3), TypeError, "ones takes the shape as one tuple: write ones((2, 3))"),
    (lambda: gn.full("a", 1.0), TypeError, "full: a shape is a whole number or a tuple of them"),
    (lambda: gn.eye(-1), ValueError, "eye: no axis can have a negative length"),
    (
        lambda: gn.linspace(0, 1, -1),
        ValueError,
        "linspace: num says how many numbers, 0 or more, n",
    ),
    (lambda: gn.linspace(0, 1, 2.5), TypeError, "linspace: num says how many numbers, 0 or more, "),
    (lambda: np.linspace(ones(1), 1, -1), ValueError, "np.linspace: num says how many numbers"),
    (
        lambda: gn.topk(MATRIX, 5),
        ValueError,
        "topk: k=5 elements are asked for along axis -1, whic",
    ),
    (lambda: gn.topk(MATRIX, "a"), TypeError, "topk: k is a whole number, not 'a'"),
    (
        lambda: gn.topk(MATRIX, 1, axis=3),
        IndexError,
        "topk: there is no axis 3: the array has axes",
    ),
    (
        lambda: gn.tile(MATRIX, 1.5),
        TypeError,
        "tile: a number of repetitions is a whole number, no",
    ),
    (lambda: gn.chunk(MATRIX, 1.5), TypeError, "chunk: chunks is a whole number, not 1.5"),
    (
        lambda: gn.inner(MATRIX, X),
        ValueError,
        "inner: along axis -1 shapes (2, 3) and (2,) have 3 ",
    ),
    (
        lambda: gn.searchsorted(MATRIX, X),
        ValueError,
        "x1 is the sorted numbers, along one axis, (N",
    ),
    (
        lambda: gn.tensordot(X, X, axes=(0,)),
        ValueError,
        "or give a pair of tuples, the axes of eac",
    ),
    (
        lambda: gn.stack([]),
        ValueError,
        "stack: there is nothing to join; give it one array or more",
    ),
    (
        lambda: gn.concat(5),
        TypeError,
        "concat takes a list of arrays, not int: write gn.concat([x,",
    ),
    (
        lambda: gn.concat(X, X),
        TypeError,
        "concat takes a list of arrays, then the axis: write gn.c",
    ),
    (lambda: nn.Linear(-1, 2), ValueError, "Linear: sizes are 0 or more, not -1, 2"),
]
MISUSES += [  # indices
    (lambda: MATRIX[5], IndexError, "x[key]: index 5 is out of range for axis 0, which has length"),
    (
        lambda: MATRIX[..., ...],
        IndexError,
        "an index has `...` once at most: it stands for all axe",
    ),
    (lambda: np.take(MATRIX, [5], axis=1), IndexError, "take: index 5 is out of range for axis 1"),
    (
        lambda: gn.take_along_axis(MATRIX, [0], axis=1),
        IndexError,
        "they have as many axes, and all but axis 1 have to be equal, or 1",
    ),
    (
        lambda: (MATRIX * 1).__setitem__(np.array([True, False, True]), 1.0),
        IndexError,
        "x[key] = value: a mask of shape (3,) does not fit axes of shape (2,): a mask has the ",
    ),
    (
        lambda: (MATRIX * 1).__setitem__(0, None),
        TypeError,
        "x[key] = value: it takes a number, or ",
    ),
    (
        lambda: gn.Tensor([1, 2]).__setitem__(0, 1.5),
        TypeError,
        "x[key] = value cannot write a result of float64 into a tensor of int64 without loss",
    ),
]
MISUSES += [  # types
    (
        lambda: MATRIX + None,
        TypeError,
        "add is not defined for float64 (`MATRIX`), NoneType (`None",
    ),
    (
        lambda: gn.matmul(MATRIX, None),
        TypeError,
        "matmul is not defined for float64 (`MATRIX`), No",
    ),
    (lambda: gn.linalg.inv("a"), TypeError, "inv is not defined for str (`'a'`): it takes numbers"),
    (
        lambda: gn.concat([MATRIX, "a"]),
        TypeError,
        "concat is not defined for float64 (arrays[0]), ",
    ),
    (
        lambda: gn.var(X, correction="a"),
        TypeError,
        "var is not defined for float64 (`X`), str (`'a",
    ),
    (lambda: gn.fft.fft("a"), TypeError, "cannot make a Tensor of str: it takes numbers, (nested)"),
    (lambda: gn.full((2,), "a"), TypeError, "cannot make a Tensor of <U1: it takes numbers"),
    (lambda: gn.exp([1.0, [2.0]]), ValueError, "(nested) lists of numbers with equal lengths"),
    (lambda: nn.Linear(3, 2)(None), TypeError, "cannot make a Tensor of NoneType"),
    (lambda: gn.linalg.norm(X, ord="fro"), ValueError, "'fro' is of matrices"),
    (lambda: gn.gradcheck(5, 1.0), TypeError, "gn.gradcheck takes a function, got a int"),
    (
        lambda: gn.random.normal(3),
        AttributeError,
        "Draw with NumPy: gn.Tensor(np.random.default_rn",
    ),
    (
        lambda: gn.optim.SGD([ones(1)], lr="a"),
        TypeError,
        "SGD: lr must be a number from 0, got 'a'",
    ),
    (
        lambda: gn.optim.Adam([ones(1)], betas=0.9),
        ValueError,
        "Adam: betas must be a pair of numbe",
    ),
    (
        lambda: nn.Linear(2, 2).load_state_dict("model.npz"),
        TypeError,
        "not a path: load it first, load_state_dict(gradnerve.io.load_weights('model.npz'))",
    ),
]


@pytest.mark.parametrize(("f", "kind", "text"), MISUSES)
def test_misuses(f, kind, text):
    assert text in says(kind, f)


def test_names_of_other_libraries_lead_to_names_of_ours():
    for name, ours in errors.OTHER_FUNCTIONS.items():
        assert ours in dir(gn), ours
        assert name not in dir(gn), name


def test_what_is_offered_is_for_users():
    offered = dir(gn)
    assert {"Tensor", "grad", "linalg", "fft", "nn", "sum", "float64", "pi"} <= {*offered}
    # Modules that gradnerve is made of, and operators that are only another's adjoint.
    assert not {"sys", "shape", "index", "graph", "together", "Window", "identity"} & {*offered}
    assert all(hasattr(gn, name) for name in offered)
