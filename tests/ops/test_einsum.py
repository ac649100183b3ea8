"""Expressions of einsum: values by NumPy, gradients by finite differences and by PyTorch."""

import string

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gradnerve as gn

rng = np.random.default_rng(3)


def arrays(*shapes):
    return [np.asarray(rng.standard_normal(shape)) for shape in shapes]


EXPRESSIONS = [  # and the operands' shapes
    # One operand
    ("ij->ji", (2, 3)), ("ij", (2, 3)), ("ba", (2, 3)), ("ij->", (2, 3)), ("ij->j", (2, 3)),
    ("ii", (3, 3)), ("ii->i", (3, 3)), ("iij->ji", (2, 2, 3)), ("iii->i", (2, 2, 2)),
    ("iijj->ij", (2, 2, 3, 3)), ("iijj", (2, 2, 3, 3)), ("...->...", (2, 3)), ("->", ()),
    ("...ii->...i", (2, 3, 3)), ("i...->...", (2, 3)), ("i...i->i...", (2, 3, 2)), ("i->", (0,)),
    ("Ba", (2, 3)), ("aB", (2, 3)),  # implicit results are in the order B, a
    # Two
    ("ij,jk", (2, 3), (3, 2)), ("ij , jk -> ik", (2, 3), (3, 4)), ("ij,jk->ki", (2, 3), (3, 4)),
    ("IJ,JK->IK", (2, 3), (3, 4)), ("iI,Ij->ij", (2, 3), (3, 2)), ("i,i", (3,), (3,)),
    ("i,j", (3,), (2,)), ("i,j->ji", (3,), (2,)), ("i,j->", (3,), (2,)), ("ij,k->k", (2, 3), (2,)),
    ("ii,i->i", (2, 2), (2,)), ("ii,jj->ij", (2, 2), (3, 3)), ("ij,kk->ij", (2, 2), (3, 3)),
    ("ij,ij->", (2, 3), (2, 3)), ("i,->i", (3,), ()), ("ij,ji->", (2, 3), (3, 2)),
    ("bhqd,bhkd->bhqk", (2, 1, 3, 2), (2, 1, 2, 2)), ("bqd,bkd->bqk", (1, 3, 2), (1, 2, 2)),
    ("...ij,...jk->...ik", (2, 1, 2, 3), (4, 3, 2)), ("...i,...i", (2, 3), (3,)),
    ("...,...", (2, 3), (3,)), ("i...,i...->...", (2, 3), (2, 3)), ("...i,ij", (2, 3), (3, 2)),
    ("ij,jk->ik", (1, 3), (3, 1)),
    # Lengths 1 that broadcast, by NumPy's leave
    ("ij,ij->ij", (1, 3), (2, 3)), ("ij,ij->", (2, 1), (2, 3)), ("ij,jk->ik", (2, 1), (3, 2)),
    ("ij,ij", (1, 1), (2, 3)), ("i,i->", (1,), (0,)),
    # More
    ("ij,jk,kl->il", (2, 3), (3, 2), (2, 4)), ("i,i,i->i", (2,), (2,), (2,)),
    ("i,j,k->ijk", (2,), (1,), (2,)), ("ij,jk,ki->", (2, 3), (3, 2), (2, 2)),
    ("ab,bc,cd,de->ae", (2, 2), (2, 3), (3, 2), (2, 2)), ("i,i,j->j", (2,), (2,), (3,)),
    ("...i,ij,...j->...", (2, 3), (3, 2), (2,)), ("ii,i,ij->j", (2, 2), (2,), (2, 3)),
    ("ij,ij,ij->ij", (1, 3), (2, 1), (2, 3)), (",,->", (), (), ()), ("ij,k,->k", (2, 2), (3,), ()),
    ("a,ab,abc,abcd->d", (2,), (2, 2), (2, 2, 2), (2, 2, 2, 2)),
    ("a,b,c,d,e,f->fa", (1,), (2,), (1,), (2,), (1,), (2,)),
]  # fmt: skip


@pytest.mark.parametrize(("expression", "shapes"), [(e, s) for e, *s in EXPRESSIONS])
def test_value_and_gradients(expression, shapes):
    xs = arrays(*shapes)
    expected = np.einsum(expression, *xs)
    y = gn.einsum(expression, *xs)
    assert type(y) in (np.ndarray, np.float64)
    assert np.shape(y) == np.shape(expected)
    np.testing.assert_allclose(y, expected, rtol=1e-12, atol=1e-13)
    assert gn.gradcheck(lambda *a: gn.einsum(expression, *a), tuple(xs), order=2)


@pytest.mark.parametrize(("expression", "shapes"), [(e, s) for e, *s in EXPRESSIONS])
def test_gradients_by_pytorch(expression, shapes, torch):
    xs = arrays(*shapes)
    leaves = [gn.Tensor(x, requires_grad=True) for x in xs]
    y = gn.einsum(expression, *leaves)
    ct = rng.standard_normal(y.shape)
    y.backward(ct)
    peers = [torch.tensor(x, requires_grad=True) for x in xs]
    try:
        torch.einsum(expression.replace(" ", ""), *peers).backward(torch.tensor(ct))
    except (RuntimeError, IndexError) as error:
        pytest.skip(f"PyTorch does not take it: {error}")
    for leaf, peer in zip(leaves, peers, strict=True):
        np.testing.assert_allclose(leaf.grad, peer.grad.numpy(), rtol=1e-11, atol=1e-12)


@st.composite
def expressions(draw):
    """Operands of 0 to 3 labels out of four, repeated or not, and a result of some of them."""
    labels = st.text("abcD", max_size=3)
    terms = draw(st.lists(labels, min_size=1, max_size=4))
    sizes = dict(
        zip("abcD", draw(st.lists(st.integers(1, 3), min_size=4, max_size=4)), strict=True)
    )
    used = sorted(set("".join(terms)))
    out = "".join(draw(st.permutations(used))[: draw(st.integers(0, len(used)))])
    explicit = draw(st.booleans())
    return ",".join(terms) + f"->{out}" * explicit, [tuple(sizes[c] for c in t) for t in terms]


@settings(max_examples=150, deadline=None, derandomize=True)
@given(case=expressions(), seed=st.integers(0, 100), optimize=st.sampled_from([True, False]))
def test_any_expression(case, seed, optimize):
    """The value is NumPy's; and <ct, J v> = <Jᵀ ct, v>, where J v is a sum of products itself."""
    expression, shapes = case
    numbers = np.random.default_rng(seed)
    xs = [np.asarray(numbers.standard_normal(shape)) for shape in shapes]
    vs = [np.asarray(numbers.standard_normal(shape)) for shape in shapes]
    leaves = [gn.Tensor(x, requires_grad=True) for x in xs]
    y = gn.einsum(expression, *leaves, optimize=optimize)
    expected = np.einsum(expression, *xs)
    np.testing.assert_allclose(y.data, expected, rtol=1e-10, atol=1e-10)
    ct = np.asarray(numbers.standard_normal(expected.shape))
    y.backward(ct)
    forwards = sum(
        np.einsum(expression, *xs[:i], vs[i], *xs[i + 1 :]) for i in range(len(xs))
    )  # fmt: skip
    backwards = sum((leaf.grad * v).sum() for leaf, v in zip(leaves, vs, strict=True))
    np.testing.assert_allclose(backwards, (ct * forwards).sum(), rtol=1e-8, atol=1e-8)


# --- Other forms, types, paths --------------------------------------------------------------------


def test_operands_with_lists_of_labels():
    a, b = arrays((2, 3, 4), (4, 3))
    for operands in (
        (a, [0, 1, 2], b, [2, 1], [0, 1]), (a, [0, 1, 2], b, [2, 1]), (a, [7, 0, 51], [51, 7]),
        (a, [..., 2], b, [2, 1], [..., 1]), (a, [2, Ellipsis], [Ellipsis, 2]), (a, [30, 3, 1]),
    ):  # fmt: skip
        np.testing.assert_allclose(gn.einsum(*operands), np.einsum(*operands), rtol=1e-13)
    x = gn.Tensor(a, requires_grad=True)
    gn.einsum(x, [0, 1, 2], b, [2, 1], [0]).sum().backward()
    np.testing.assert_allclose(x.grad, np.broadcast_to(b.T, (2, 3, 4)))


def test_lists_and_numbers_and_tensors_as_operands():
    assert gn.einsum("i,i", [1.0, 2.0], [3.0, 4.0]) == 11
    y = gn.einsum("i,->i", gn.Tensor([1.0, 2.0], requires_grad=True), 3)
    assert isinstance(y, gn.Tensor)
    assert y.tolist() == [3.0, 6.0]


@pytest.mark.parametrize("dtype", ["bool", "int8", "uint16", "int64", "float32", "complex64"])
def test_dtypes_are_numpys(dtype):
    a, b = (np.asarray(rng.integers(0, 3, shape)).astype(dtype) for shape in ((3, 3), (3, 2)))
    for expression, *operands in (
        ("ij,jk->ik", a, b), ("ii", a), ("ij->", a), ("ij,jk", a, b), ("i,j->ij", a[0], a[1]),
        ("ij,ij->i", a, a), ("ij,jk,kl", a, b, b.T), ("ij,k->k", a, b[0]),
    ):  # fmt: skip
        expected = np.einsum(expression, *operands)
        y = gn.einsum(expression, *operands)
        assert y.dtype == expected.dtype, expression
        np.testing.assert_allclose(y, expected, rtol=1e-5)


def test_gradients_have_the_dtypes_of_their_operands():
    a = gn.Tensor(np.ones((2, 3), np.float32), requires_grad=True)
    b = gn.Tensor(np.ones(3), requires_grad=True)
    gn.einsum("ij,j->i", a, b).sum().backward()
    assert (a.grad.dtype, b.grad.dtype) == (np.float32, np.float64)


def test_complex_gradients_are_pytorchs(torch):
    a, b = (rng.standard_normal((2, 2)) + 1j * rng.standard_normal((2, 2)) for _ in range(2))
    c = rng.standard_normal((2, 2))
    leaves = [gn.Tensor(x, requires_grad=True) for x in (a, b, c)]
    gn.sum(gn.abs(gn.einsum("ij,jk,ki->i", *leaves)) ** 2).backward()
    peers = [torch.tensor(x, requires_grad=True) for x in (a, b, c)]
    y = torch.einsum("ij,jk,ki->i", peers[0], peers[1], peers[2].to(torch.complex128))
    y.abs().square().sum().backward()
    for leaf, peer in zip(leaves, peers, strict=True):
        np.testing.assert_allclose(leaf.grad, peer.grad.numpy(), rtol=1e-11)


def test_every_path_gives_the_same():
    xs = arrays((2, 3), (3, 4), (4, 2), (2, 5), (5,))
    expression = "ab,bc,cd,de,e->a"
    expected = np.einsum(expression, *xs)
    paths = [True, False, "optimal", "greedy", ["einsum_path", (0, 1), (0, 1), (0, 1), (0, 1)]]
    paths += [["einsum_path", (1, 2, 4), (0, 1), (0, 1)], ["einsum_path", (0, 1, 2, 3, 4)]]
    paths += [["einsum_path", (0, 2, 3, 4), (0, 1)], np.einsum_path(expression, *xs)[0]]
    for path in paths:
        y = gn.einsum(expression, *xs, optimize=path)
        np.testing.assert_allclose(y, expected, rtol=1e-12, err_msg=str(path))


def test_three_operands_are_multiplied_in_the_cheap_order():
    """From left to right, the first product alone would have 10¹⁰ elements."""
    a, b, c = np.ones(100_000), np.ones(100_000), np.ones(100_000)
    x = gn.Tensor(b, requires_grad=True)
    gn.einsum("i,j,i->j", a, x, c).sum().backward()
    assert x.grad[0] == 100_000


def test_the_same_tensor_twice():
    x = gn.Tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    gn.einsum("ij,ij->", x, x).backward()
    np.testing.assert_array_equal(x.grad, 2 * x.data)


def test_many_axes_use_up_the_letters():
    x = rng.standard_normal((1,) * 19 + (2,))
    letters = string.ascii_letters[:32]
    y = rng.standard_normal((1,) * 31 + (2,))
    result = gn.einsum(f"...,{letters}->...", x, y)
    np.testing.assert_allclose(result, x * y.sum())
    with pytest.raises(ValueError, match="more axes than letters"):
        gn.einsum(f"...,{string.ascii_letters[:40]}->...", x, rng.standard_normal((1,) * 40))


# --- Errors ---------------------------------------------------------------------------------------

MISTAKES = {
    "no operands": ((), "einsum needs an expression and its operands"),
    "one operand too few": (("ij,jk", (2, 2)), "'ij,jk' has labels for 2 operands, but 1 were"),
    "too many": (("ij", (2, 2), (2,)), "labels for 1 operands, but 2 were given"),
    "too few axes": (
        ("ij,jk->ik", (2, 3), (3,)), r"'jk' labels 2 axes, but operand 1 has 1: its shape is \(3,\)"
    ),
    "too many axes": (("i->i", (2, 3)), r"'i' labels 1 axes, but operand 0 has 2: its shape is"),
    "too few for an ellipsis": (("...ij", (2,)), "labels 2 axes and more, but operand 0 has 1"),
    "lengths": (
        ("ij,jk->ik", (2, 3), (4, 5)),
        r"label 'j' is 3 in operand 0 \('ij', of shape \(2, 3\)\) and 4 in operand 1 \('jk', of",
    ),
    "ellipses": (
        ("...i,...i", (2, 3), (4, 3)), r"an axis of `...` is 2 in operand 0 \('...i', .* and 4 in"
    ),
    "a diagonal": (
        ("ii->i", (2, 3)), r"label 'i' takes a diagonal of operand 0, whose axes of it are 2 and 3"
    ),
    "a diagonal of 1": (("ii->i", (1, 3)), "are 1 and 3 long"),
    "unknown": (("ij->ik", (2, 3)), r"the result 'ik' has the label 'k', which no operand has"),
    "twice": (("i->ii", (2,)), "the result 'ii' has the label 'i' twice"),
    "no letter": (("i1->i", (2, 3)), "'1' in 'i1', the labels of operand 0 in 'i1->i', is no lett"),
    "two dots": (("..i->i", (2,)), r"'\.' in '..i', .* An ellipsis is three dots, once"),
    "two ellipses": (("...i...->i", (2,)), "An ellipsis is three dots, once"),
    "two arrows": (("i->i->i", (2,)), "'-' in 'i->i', the labels of the result"),
    "no place": (("...i->i", (2, 3)), "the result 'i' has no place for them"),
}  # fmt: skip


@pytest.mark.parametrize("case", MISTAKES)
@pytest.mark.parametrize("kind", [np.asarray, lambda x: gn.Tensor(x, requires_grad=True)])
def test_mistakes_are_named(case, kind):
    operands, message = MISTAKES[case]
    values = [x if isinstance(x, str) else kind(np.ones(x)) for x in operands]
    with pytest.raises(ValueError, match=message):
        gn.einsum(*values)


def test_mistakes_in_lists_of_labels():
    x = np.ones((2, 2))
    with pytest.raises(ValueError, match="operand with the list of its labels"):
        gn.einsum(x, x)
    for label in (52, -1, "i", 0.5):
        with pytest.raises(ValueError, match="is no label: those are the numbers from 0 to 51"):
            gn.einsum(x, [0, label])
    with pytest.raises(ValueError, match=r"'C'.* which no operand has"):
        gn.einsum(x, [0, 1], [2])


def test_a_path_that_names_one_operand():
    x = np.ones(2)
    with pytest.raises(ValueError, match="names one operand only"):
        gn.einsum("i,i,i->", x, x, x, optimize=["einsum_path", (0,), (0, 1), (0, 1)])
