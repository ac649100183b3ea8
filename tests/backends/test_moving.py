"""From one array library to another, what stays as it was, and what is refused."""

import copy
import pickle
import subprocess
import sys

import numpy as np
import pytest

import gradnerve as gn
from gradnerve import backends, nn, optim

A = np.arange(6.0).reshape(2, 3)


def tensor(library, requires_grad=True, dtype="float64", name="w"):
    array = backends.moved(A.astype(dtype), library)
    return gn.Tensor(array, requires_grad=requires_grad, name=name)


# --- Loading --------------------------------------------------------------------------------------


def test_other_libraries_are_loaded_on_first_use():
    code = (
        "import sys, gradnerve as gn\n"
        "known = {m.partition('.')[0] for m in sys.modules}\n"
        "assert not known & {'jax', 'torch', 'cupy', 'array_api_compat'}, known\n"
        "x = gn.Tensor([1.0, 2.0], requires_grad=True)\n"
        "(x * x).sum().backward()\n"
        "known = {m.partition('.')[0] for m in sys.modules}\n"
        "assert not known & {'jax', 'torch', 'cupy', 'array_api_compat'}, known\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_float64_stays_float64_in_jax_and_nothing_is_widened(jax):
    code = (
        "import numpy as np, gradnerve as gn\n"
        "x = gn.to(gn.Tensor([1.0], requires_grad=True), 'jax')\n"
        "assert x.dtype == np.float64, x.dtype\n"
        "y = gn.to(gn.Tensor([1.0], requires_grad=True, dtype='float32'), 'jax')\n"
        "z = gn.exp(y * 2.0 + 1) ** 0.5 / 3\n"
        "z.sum().backward()\n"
        "assert z.dtype == y.grad.dtype == np.float32, (z.dtype, y.grad.dtype)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_missing_library_names_its_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", None)  # as if it were not installed
    with pytest.raises(ImportError, match=r"CuPy is not installed .*pip install 'gradnerve\[cupy"):
        gn.to(gn.Tensor(A), "cupy")


def test_unknown_libraries_and_devices(jax, torch):
    x = gn.Tensor(A)
    with pytest.raises(
        ValueError, match="'tensorflow' is no array library: there are 'numpy', 'ja"
    ):
        gn.to(x, "tensorflow")
    with pytest.raises(ValueError, match="3 is no array library"):
        x.to(3)
    with pytest.raises(ValueError, match="device 'gpu': NumPy's arrays are on the device 'cpu'"):
        x.to("numpy:gpu")
    with pytest.raises(ValueError, match="device 'nonsense': PyTorch has 'cpu'"):
        gn.to(x, "torch:nonsense")
    with pytest.raises(ValueError, match="device 'cpu:9': JAX has 'cpu:0'"):
        nn.Linear(2, 1).to("jax:cpu:9")


def test_dtypes_that_a_library_lacks(library):
    name = backends.spelled(library)
    with pytest.raises(TypeError, match=f"{name} has no arrays of float128: convert first"):
        gn.to(gn.Tensor(A.astype(np.longdouble)), library)
    model = nn.Linear(2, 1)
    model.weight.data = model.weight.data.astype(np.longdouble)
    with pytest.raises(TypeError, match=f"{name} has no arrays of float128"):
        model.to(library)
    assert type(model.bias.data) is np.ndarray, "nothing is moved if not all can be"


# --- to -------------------------------------------------------------------------------------------


def test_a_tensor_keeps_the_library_of_its_data(library):
    array = backends.moved(A, library)
    x = gn.Tensor(array, requires_grad=True)
    assert x.data is array
    assert (x.shape, x.ndim, x.size, x.itemsize, x.nbytes) == ((2, 3), 2, 6, 8, 48)
    assert backends.library_name(gn.Tensor(x.detach()).data) == library
    assert x.tolist() == A.tolist()
    assert x[1, 2].item() == x.item(1, 2) == float(x[1, 2]) == 5.0
    assert repr(x.detach()).startswith("Tensor([[0., 1., 2.],\n        [3., 4., 5.]], dtype=")
    assert 4.0 in x
    assert [row.tolist() for row in x] == A.tolist()
    assert gn.finfo(x.dtype).bits == 64
    assert gn.isdtype(x.dtype, "real floating")
    with pytest.raises(RuntimeError, match=r"numpy\(\) would take this tensor out of the graph"):
        x.numpy()
    np.testing.assert_array_equal(x.detach().numpy(), A)
    np.testing.assert_array_equal(np.asarray(x.detach()), A)


def test_a_leaf_stays_a_leaf(library):
    w = gn.Tensor(A, requires_grad=True, name="w")
    (w * w).sum().backward()
    p = nn.Parameter(A)
    moved = gn.to(
        {"w": w, "again": [w], "p": p, "rate": 0.5, "plain": gn.Tensor(A), "a": A}, library
    )
    v = moved["w"]
    assert moved["again"][0] is v
    assert moved["rate"] == 0.5
    assert type(moved["p"]) is nn.Parameter
    assert not moved["plain"].requires_grad
    assert backends.library_name(moved["a"]) == backends.library_name(v.data) == library
    assert v.requires_grad
    assert v.name == "w"
    assert type(w.data) is np.ndarray, "what was moved is as it was"
    np.testing.assert_array_equal(backends.moved(v.grad, "numpy"), w.grad)
    assert gn.to(v, library) is v
    (v * 3.0).sum().backward()
    assert backends.library_name(v.grad) == library
    back = gn.to(v, "numpy")
    np.testing.assert_array_equal(back.grad, 2 * A + 3)


def test_what_is_computed_stays_in_the_graph(library):
    x = gn.Tensor(A, requires_grad=True)
    y = gn.to(x * 2.0, library)
    assert backends.library_name(y.data) == library
    (y * y).sum().backward()
    np.testing.assert_array_equal(x.grad, 8 * A)
    assert type(x.grad) is np.ndarray


def test_the_method_is_an_operator_on_leaves_too(library):
    """Inside of a function that is differentiated no gradient is lost."""

    def f(x):
        return gn.sum(x.to(library) ** 3)

    np.testing.assert_allclose(gn.grad(f)(A), 3 * A**2)
    second = gn.grad(lambda x: gn.sum(gn.grad(f)(x) * x))(gn.Tensor(A))
    np.testing.assert_allclose(np.asarray(second), 9 * A**2)
    x = gn.Tensor(A)
    assert x.to("numpy") is x
    y = x.to(library)
    assert y.to(library) is y
    assert y.to_device(y.device) is y
    assert backends.library_name(y.to_device("cpu").data) == library


def test_a_module_is_moved_in_place_and_its_optimiser_goes_on(library):
    models = []
    for where in ("numpy", library):
        gn.manual_seed(0)
        model = nn.Linear(3, 2)
        rules = [optim.Adam([model.weight], lr=0.1), optim.SGD([model.bias], lr=0.1, momentum=0.9)]
        for step in range(4):
            if step == 2:  # with state and gradients
                parameters = list(model.parameters())
                assert model.to(where) is model
                assert list(model.parameters()) == parameters or all(
                    a is b for a, b in zip(model.parameters(), parameters, strict=True)
                )
                assert backends.library_name(model.weight.grad) == where
            x = gn.Tensor(backends.moved(A.astype(np.float32), where if step >= 2 else "numpy"))
            model.zero_grad()
            (model(x) ** 2).sum().backward()
            for rule in rules:
                rule.step()
        models.append(model)
    first, second = (model.state_dict() for model in models)
    for name in first:
        assert type(second[name]) is np.ndarray
        np.testing.assert_allclose(first[name], second[name], rtol=1e-5)
    models[1].load_state_dict(first)
    assert backends.library_name(models[1].weight.data) == library
    assert models[1].weight.dtype == backends.moved(np.ones(1, np.float32), library).dtype


def test_an_optimiser_that_moves_nothing(jax):
    class Signs(optim.Optimizer):
        def update(self, w, g, state, group):
            w -= group["lr"] * g

    w = tensor("jax")
    w.grad = A
    with pytest.raises(TypeError, match=r"Signs.update returned nothing.*Return the new array"):
        Signs([w], {"lr": 0.1}).step()


def test_what_shares_memory(torch, jax):
    a = np.ones(3)
    shared = backends.moved(a, "torch")
    a[0] = 5.0
    assert shared[0] == 5.0, "NumPy and PyTorch share"
    assert np.shares_memory(backends.moved(shared, "numpy"), a)
    fixed = backends.moved(a, "jax")
    a[1] = 7.0
    assert fixed[1] == 1.0, "JAX's arrays never change"
    from_torch = backends.moved(shared, "jax")
    shared[2] = 9.0
    assert from_torch[2] == 1.0
    writable = backends.moved(fixed, "torch")
    writable[0] = 0.0
    assert fixed[0] == 5.0
    assert not backends.moved(fixed, "numpy").flags.writeable


def test_views_and_byte_orders(library):
    for view in (A[::-1, ::2], A.T, A.astype(">f8"), np.broadcast_to(A[0], (2, 3))):
        moved = backends.moved(np.asarray(view), library)
        np.testing.assert_array_equal(backends.moved(moved, "numpy"), view)


def test_creation_on_a_device(library):
    for made in (
        gn.zeros(2, device=library), gn.ones((2, 2), device=library), gn.eye(2, device=library),
        gn.full(2, 3.0, device=library), gn.arange(3, device=library), gn.empty(2, device=library),
        gn.linspace(0, 1, 3, device=library), gn.asarray([1.0], device=library),
        gn.asarray(gn.Tensor(A), device=library), gn.zeros_like(gn.Tensor(A), device=library),
    ):  # fmt: skip
        assert backends.library_name(made.data) == library
    x = tensor(library, requires_grad=False)
    assert backends.library_name(gn.zeros(3, device=x.device).data) == library


def test_copies(library):
    x = tensor(library)
    for y in (copy.deepcopy(x), pickle.loads(pickle.dumps(x))):
        assert backends.library_name(y.data) == library
        assert y.requires_grad
        np.testing.assert_array_equal(y.detach().numpy(), A)
    with_dlpack = gn.from_dlpack(x.detach())
    np.testing.assert_array_equal(with_dlpack.numpy(), A)


# --- Mixing ---------------------------------------------------------------------------------------


def test_two_libraries_in_one_operator(library):
    x, n = tensor(library), gn.Tensor(A)
    spelled = backends.spelled(library)
    with pytest.raises(
        TypeError, match=f"^add: x1 is an array of {spelled} and x2 one of NumPy; an"
    ):
        x + n
    with pytest.raises(TypeError, match=rf"Move one of them: gn.to\(x1, {library!r}\)"):
        n * x
    with pytest.raises(TypeError, match="an array of NumPy"):
        A * x
    with pytest.raises(
        TypeError, match=r"concat: arrays\[0\] is an array of NumPy and arrays\[1\]"
    ):
        gn.concat([n, x])
    with pytest.raises(TypeError, match="where: condition is an array of NumPy"):
        gn.where(A > 0, x, 0.0)
    with pytest.raises(TypeError, match="of NumPy"):
        gn.matmul(x.data, A.T)


def test_jax_and_pytorch_do_not_mix(jax, torch):
    with pytest.raises(TypeError, match="x1 is an array of JAX and x2 one of PyTorch"):
        tensor("jax") - tensor("torch")


def test_numbers_and_lists_are_of_any_library(library):
    x = tensor(library, dtype="float32")
    for y in (
        x + 1,
        2.0 * x,
        x / np.float64(3.0),
        np.float32(2.0) - x,
        gn.add(x, [1.0, 2.0, 3.0]),
        2**x,
    ):
        assert backends.library_name(y.data) == library
    assert (x * np.float64(2.0)).dtype == (x * 2.0).dtype == x.dtype


def test_pytorchs_own_graph_is_refused(torch):
    theirs = torch.ones(3, requires_grad=True)
    message = r"part of PyTorch's own graph \(requires_grad=True\).*give x.detach\(\)"
    with pytest.raises(RuntimeError, match=message):
        gn.Tensor(theirs)
    with pytest.raises(RuntimeError, match=f"this Parameter is {message}"):
        gn.Tensor(torch.nn.Parameter(torch.ones(2)))
    with pytest.raises(RuntimeError, match=message):
        tensor("torch") * theirs
    x = gn.Tensor(theirs.detach(), requires_grad=True)
    (x * 2.0).sum().backward()
    assert theirs.grad is None


def test_arrays_on_two_devices(torch):
    x, y = gn.Tensor(torch.ones(2, device="meta")), gn.Tensor(torch.ones(2))
    with pytest.raises(
        ValueError, match="add: the arrays are on the devices meta and cpu, and an op"
    ):
        x + y


# --- The same errors as with NumPy ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("f", "kind", "message"),
    [
        (lambda x: x + x[:, :2], ValueError, r"add: shapes \(2, 3\) and \(2, 2\) do not fit: axis"),
        (lambda x: x @ x, ValueError, r"matmul: \(2, 3\) @ \(2, 3\) do not fit.*w.mT"),
        (lambda x: x[5], IndexError, r"index 5 is out of range for axis 0, which has length 2"),
        (
            lambda x: x[:, [0, 7]],
            IndexError,
            r"index 7 is out of range for axis 1, which has lengt",
        ),
        (lambda x: x[0, 0, 0], IndexError, r"3 indices for an array of shape \(2, 3\)"),
        (lambda x: gn.take(x, [9]), IndexError, r"take: index 9 is out of range"),
        (lambda x: x.reshape(4, 2), ValueError, r"reshape: 6 elements, in shape \(2, 3\), do not"),
        (lambda x: x.sum(axis=5), ValueError, r"sum: there is no axis 5"),
        (lambda x: gn.concat([x, x[:, :2]]), ValueError, r"concat: array 0 has shape \(2, 3\)"),
        (
            lambda x: gn.broadcast_to(x, (4, 3)),
            ValueError,
            r"broadcast_to: shape \(2, 3\) does not",
        ),
        (lambda x: gn.squeeze(x, 0), ValueError, r"squeeze: axis 0 of shape \(2, 3\)"),
        (lambda x: x.detach() & 1, TypeError, r"bitwise_and is not defined for"),
        (
            lambda x: x.backward(),
            RuntimeError,
            r"a single number, but this tensor has shape \(2, 3",
        ),
        (lambda x: gn.linalg.inv(x), ValueError, r"inv: .*square"),
    ],
)
def test_errors(f, kind, message, library):
    with pytest.raises(kind, match=message):
        f(tensor(library))


def test_a_singular_matrix(torch, jax):
    zero = np.zeros((2, 2))
    with pytest.raises(np.linalg.LinAlgError, match="inv: the matrix is singular"):
        gn.linalg.inv(gn.Tensor(backends.moved(zero, "torch")))
    with pytest.raises(
        np.linalg.LinAlgError, match="cholesky: the matrix is not positive definite"
    ):
        gn.linalg.cholesky(gn.Tensor(backends.moved(zero, "torch")))
    # Of JAX there is no error: what cannot be computed is NaN or infinite.
    assert not np.isfinite(gn.linalg.inv(gn.Tensor(backends.moved(zero, "jax"))).numpy()).all()


# --- Writing --------------------------------------------------------------------------------------


def test_writing(library):
    expected = A.copy()
    expected[0] = 9.0
    expected[:, 1] += 1.0
    expected[[1, 1], 0] = [3.0, 4.0]
    expected[::-1, 2] = [7.0, 8.0]
    expected[expected > 8] = 0.5
    x = tensor(library, requires_grad=False)
    held = x
    x[0] = 9.0
    x[:, 1] += 1.0
    x[[1, 1], 0] = [3.0, 4.0]
    x[::-1, 2] = [7.0, 8.0]
    x[x > 8] = 0.5
    x *= 2.0
    assert x is held
    np.testing.assert_array_equal(x.numpy(), 2 * expected)
    with pytest.raises(ValueError, match=r"a value of shape \(2,\) does not fit into x\[key\]"):
        x[0] = [1.0, 2.0]
    with pytest.raises(TypeError, match="cannot write a result of complex128"):
        x[0] = 1j
    with pytest.raises(IndexError, match="index 5 is out of range"):
        x[5] = 1.0


def test_writing_in_the_graph(library):
    leaves = []
    for where in ("numpy", library):
        x = tensor(where)
        y = x * 1.0
        y[0, 1:] = x[1, 1:] * 2.0
        y[[0, 0]] = x[[1, 0]] * 3.0  # the last one stays
        y += x
        (y * y).sum().backward()
        leaves.append(backends.moved(x.grad, "numpy"))
    np.testing.assert_allclose(leaves[1], leaves[0])


def test_a_change_before_backward_is_found(torch):
    x = tensor("torch")
    w = tensor("torch", requires_grad=False)
    y = (x * w).sum()
    w[0] = 7.0
    with pytest.raises(gn.errors.ChangedInPlace):
        y.backward()


def test_gradients_accumulate_and_share_nothing(library):
    x = tensor(library)
    for times in (1, 2):
        (x * 2.0 + x).sum().backward()
        np.testing.assert_array_equal(backends.moved(x.grad, "numpy"), np.full((2, 3), 3.0 * times))
    y = x * 1.0
    y.sum().backward()
    if library == "torch":
        x.grad[0, 0] = 100.0
        assert y.grad[0, 0] == 1.0


def test_unique_and_nonzero(library):
    x = gn.Tensor(backends.moved(np.array([3, 1, 3, 0]), library))
    assert gn.nonzero(x)[0].tolist() == [0, 1, 2]
    assert gn.unique_values(x).tolist() == [0, 1, 3]
    found = gn.unique_all(x)
    assert [part.tolist() for part in found] == [[0, 1, 3], [3, 1, 0], [2, 1, 2, 0], [1, 1, 2]]
    assert backends.library_name(found.values.data) == library
