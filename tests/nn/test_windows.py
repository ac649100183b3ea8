"""Convolution, pooling, resizing and the like in float64, against PyTorch's."""

import random

import numpy as np
import pytest
from test_functional import compare, grid, normal

import gradnerve as gn
import gradnerve.nn.functional as F

# --- Convolution ----------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(2, 4, 9), (4, 9)], ids=str)
@pytest.mark.parametrize(
    "options", grid(stride=[1, 2, (3,)], padding=[0, 1, (2,)], dilation=[1, 2], groups=[1, 2])
)
def test_conv1d(shape, options, torch):
    weight = normal(6, 4 // options["groups"], 3)
    compare(torch, "conv1d", normal(*shape), weight, normal(6), **options)


@pytest.mark.parametrize("shape", [(2, 4, 6, 5), (4, 6, 5)], ids=str)
@pytest.mark.parametrize(
    "options",
    grid(stride=[1, 2, (1, 2)], padding=[0, 1, (2, 1)], dilation=[1, (2, 1)], groups=[1, 2, 4]),
)
def test_conv2d(shape, options, torch):
    weight = normal(4, 4 // options["groups"], 2, 3)
    compare(torch, "conv2d", normal(*shape), weight, normal(4), **options)


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")
@pytest.mark.parametrize("kernel", [(1, 1), (3, 3), (2, 4), (5, 2)])
@pytest.mark.parametrize("dilation", [1, 2, (1, 3)])
@pytest.mark.parametrize("padding", ["same", "valid"])
def test_conv2d_padding_by_name(kernel, dilation, padding, torch):
    x, weight = normal(1, 2, 16, 15), normal(3, 2, *kernel)
    compare(torch, "conv2d", x, weight, padding=padding, dilation=dilation)


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")
@pytest.mark.parametrize("kernel", [1, 2, 3, 4])
def test_conv1d_padding_same(kernel, torch):
    y = compare(torch, "conv1d", normal(2, 3, 8), normal(3, 1, kernel), padding="same", groups=3)
    assert y.shape == (2, 3, 8)


def test_conv_of_an_empty_batch(torch):
    compare(torch, "conv2d", normal(0, 2, 4, 4), normal(3, 2, 2, 2), normal(3))


def test_conv_at_second_order():
    x, weight, bias = normal(1, 2, 4), normal(2, 2, 2), normal(2)
    options = {"stride": 2, "padding": 1}
    assert gn.gradcheck(lambda *a: F.conv1d(*a, **options) ** 2, (x, weight, bias), order=2)


@pytest.mark.parametrize(
    "f, words",
    [
        (lambda x, w: F.conv2d(x, w, stride=0), "stride cannot be 0"),
        (lambda x, w: F.conv2d(x, w, padding=-1), "padding cannot be -1"),
        (lambda x, w: F.conv2d(x, w, padding="full"), "padding is a number, 'same' or 'valid'"),
        (lambda x, w: F.conv2d(x, w, padding="same", stride=2), "needs a stride of 1"),
        (lambda x, w: F.conv2d(x, w, stride=(1, 2, 3)), "stride is a whole number, or 2 of them"),
        (lambda x, w: F.conv2d(x, w, stride=1.5), "stride is a whole number"),
        (lambda x, w: F.conv2d(x, w, groups=2), "expects 4 channels, got 2"),
        (lambda x, w: F.conv2d(x, w[0]), "expects a weight of 4 axes"),
        (lambda x, w: F.conv2d(x, w[:, :1], groups=2), "3 filters do not divide into 2 groups"),
        (lambda x, w: F.conv2d(x[0, 0], w), r"expects an input \(N, C, H, W\), got 2 axes"),
        (lambda x, w: F.conv2d(x[..., :1], w), "larger than the input"),
    ],
)
def test_conv_refuses(f, words):
    with pytest.raises(ValueError, match=words):
        f(gn.Tensor(normal(1, 2, 4, 4)), normal(3, 2, 2, 2))


# --- Pooling --------------------------------------------------------------------------------------

POOL2D = grid(
    kernel_size=[2, (3, 2)], stride=[None, 1, (2, 3)], padding=[0, 1], ceil_mode=[False, True]
)


@pytest.mark.parametrize("dilation", [1, 2, (1, 2)])
@pytest.mark.parametrize("options", POOL2D)
def test_max_pool2d(options, dilation, torch):
    compare(torch, "max_pool2d", normal(2, 3, 7, 6), dilation=dilation, **options)


@pytest.mark.parametrize("divisor_override", [None, 1, 5, -2])
@pytest.mark.parametrize("count_include_pad", [True, False])
@pytest.mark.parametrize("options", POOL2D)
def test_avg_pool2d(options, count_include_pad, divisor_override, torch):
    compare(
        torch, "avg_pool2d", normal(2, 3, 7, 6), count_include_pad=count_include_pad,
        divisor_override=divisor_override, **options,
    )  # fmt: skip


POOL1D = grid(
    kernel_size=[2, (3,), 4], stride=[None, 1, 3], padding=[0, 1, 2], ceil_mode=[False, True]
)


@pytest.mark.parametrize("size", [5, 8, 9])
@pytest.mark.parametrize("options", POOL1D)
def test_pool1d(options, size, torch):
    kernel = options["kernel_size"]
    if options["padding"] * 2 > (kernel if isinstance(kernel, int) else kernel[0]):
        with pytest.raises(ValueError, match="more than half the kernel"):
            F.max_pool1d(normal(1, 2, size), **options)
        return
    compare(torch, "max_pool1d", normal(2, 3, size), **options)
    compare(torch, "avg_pool1d", normal(2, 3, size), **options)
    compare(torch, "avg_pool1d", normal(2, 3, size), count_include_pad=False, **options)


@pytest.mark.parametrize("name", ["max_pool2d", "avg_pool2d"])
def test_pool2d_of_one_example(name, torch):
    compare(torch, name, normal(3, 5, 5), 2)


@pytest.mark.parametrize("name", ["max_pool1d", "avg_pool1d"])
def test_pool1d_of_one_example(name, torch):
    compare(torch, name, normal(3, 5), 2)


def test_max_pool_ties(torch):
    compare(torch, "max_pool2d", np.zeros((1, 2, 5, 5)), 3, stride=1, padding=1)
    compare(torch, "max_pool2d", np.round(normal(2, 2, 8, 8)), 3, stride=2, ceil_mode=True)


def test_pool_refuses():
    x = gn.Tensor(normal(1, 1, 4, 4))
    with pytest.raises(ValueError, match="divisor_override is 0"):
        F.avg_pool2d(x, 2, divisor_override=0)
    with pytest.raises(ValueError, match="kernel_size cannot be 0"):
        F.max_pool2d(x, 0)
    with pytest.raises(ValueError, match="larger than the input"):
        F.max_pool2d(x, 5)


# --- Any configuration ----------------------------------------------------------------------------


class Choices(random.Random):
    """Random calls of the functions of windows, in one, two or three dimensions."""

    def each(self, ndim, low, high):
        """A number, or one for each axis."""
        if self.random() < 0.5:
            return self.randint(low, high)
        return tuple(self.randint(low, high) for _ in range(ndim))

    def sizes(self, ndim):
        return tuple(self.randint(1, (9, 8, 5)[ndim - 1]) for _ in range(ndim))

    def batch(self):
        return self.choice([(), (1,), (2,), (3,)])

    def conv(self, ndim):
        groups = self.randint(1, 3)
        channels, filters = groups * self.randint(1, 2), groups * self.randint(1, 2)
        kernel = tuple(self.randint(1, 3) for _ in range(ndim))
        options = {
            "stride": self.each(ndim, 1, 3), "padding": self.each(ndim, 0, 2),
            "dilation": self.each(ndim, 1, 2), "groups": groups,
        }  # fmt: skip
        if self.random() < 0.2:
            options |= {"padding": "same", "stride": 1}
        x = normal(*self.batch(), channels, *self.sizes(ndim))
        arrays = [x, normal(filters, channels // groups, *kernel)]
        return arrays + [normal(filters)] * self.randint(0, 1), options

    def conv_transpose(self, ndim):
        groups = self.randint(1, 3)
        channels, filters = groups * self.randint(1, 2), self.randint(1, 2)
        kernel = tuple(self.randint(1, 3) for _ in range(ndim))
        options = {
            "stride": self.each(ndim, 1, 3), "padding": self.each(ndim, 0, 2),
            "output_padding": self.each(ndim, 0, 2), "groups": groups,
            "dilation": self.each(ndim, 1, 4),
        }  # fmt: skip
        x = normal(*self.batch(), channels, *self.sizes(ndim))
        arrays = [x, normal(channels, filters, *kernel)]
        return arrays + [normal(filters * groups)] * self.randint(0, 1), options

    def pool(self, ndim):
        return {
            "kernel_size": self.each(ndim, 1, 4), "padding": self.each(ndim, 0, 1),
            "stride": self.choice([None, self.each(ndim, 1, 3)]),
            "ceil_mode": self.random() < 0.5,
        }  # fmt: skip

    def max_pool(self, ndim):
        x = normal(*self.batch(), 2, *self.sizes(ndim))
        x = np.round(x) if self.random() < 0.5 else x  # with ties
        options = {"dilation": self.each(ndim, 1, 2), "return_indices": self.random() < 0.5}
        return [x], self.pool(ndim) | options

    def avg_pool(self, ndim):
        options = self.pool(ndim) | {"count_include_pad": self.random() < 0.5}
        if ndim > 1:
            options["divisor_override"] = self.choice([None, 3, -2])
        return [normal(*self.batch(), 2, *self.sizes(ndim))], options

    def lp_pool(self, ndim):
        x = np.abs(normal(*self.batch(), 2, *self.sizes(ndim))) + 0.1
        options = self.pool(ndim) | {"norm_type": self.choice([1, 2, 3.5])}
        del options["padding"]
        if ndim == 1 and not isinstance(options["kernel_size"], int):
            options["kernel_size"] = options["kernel_size"][0]  # PyTorch fails on a tuple
        return [x], options

    def adaptive_avg_pool(self, ndim):
        size = self.each(ndim, 1, 5)
        if ndim > 1 and self.random() < 0.2:
            size = (None, *(self.randint(1, 4) for _ in range(ndim - 1)))
        return [normal(*self.batch(), 2, *self.sizes(ndim))], {"output_size": size}

    def adaptive_max_pool(self, ndim):
        arrays, options = self.adaptive_avg_pool(ndim)
        return [np.round(arrays[0])], options | {"return_indices": self.random() < 0.5}

    def interpolate(self, ndim):
        linear = {1: ["linear"], 2: ["bilinear", "bicubic"], 3: ["trilinear"]}[ndim]
        options = {"mode": self.choice([*linear, "nearest", "nearest-exact", "area"])}
        if options["mode"] in linear:
            options["align_corners"] = self.choice([None, True, False])
        if self.random() < 0.4:
            options["size"] = self.each(ndim, 1, 9)
        elif self.random() < 0.5:
            options["scale_factor"] = tuple(self.choice([1, 1.5, 2, 3]) for _ in range(ndim))
        else:  # here PyTorch's "nearest" and "bicubic" are not the same on all their paths
            options["scale_factor"] = self.uniform(1, 3)
            options["recompute_scale_factor"] = True
            if "linear" in options["mode"]:
                options["recompute_scale_factor"] = self.choice([None, True, False])
        return [normal(self.randint(1, 3), 2, *self.sizes(ndim))], options

    def pad(self, ndim):
        mode = self.choice(["constant", "reflect", "replicate", "circular"])
        axes = self.randint(1, ndim + 2) if mode == "constant" else ndim
        low = -1 if mode == "constant" else 0
        options = {"pad": [self.randint(low, 2) for _ in range(2 * axes)], "mode": mode}
        if mode == "constant":
            options["value"] = self.choice([None, 0.0, 1.5])
        return [normal(*(self.batch() or (2,)), 2, *self.sizes(ndim))], options


EVERYWHERE = [
    "conv{}d", "conv_transpose{}d", "max_pool{}d", "avg_pool{}d", "lp_pool{}d",
    "adaptive_avg_pool{}d", "adaptive_max_pool{}d", "interpolate", "pad",
]  # fmt: skip


def random_calls(name, ndim, count, seed=0):
    choices = Choices(f"{seed} {name} {ndim}")
    for _ in range(count):
        yield getattr(choices, name.removesuffix("{}d"))(ndim)


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")
@pytest.mark.parametrize("ndim", [1, 2, 3])
@pytest.mark.parametrize("name", EVERYWHERE)
def test_any_configuration(name, ndim, torch):
    """Both take it, and agree, or both refuse it."""
    taken = 0
    for arrays, options in random_calls(name, ndim, 150):
        call = name.format(ndim)
        try:
            expected = getattr(torch.nn.functional, call)(*map(torch.tensor, arrays), **options)
        except (RuntimeError, ValueError) as error:
            if "smaller than kernel size" not in str(error):  # where PyTorch forgets the padding
                with pytest.raises(ValueError, match=rf"^{call}:? "):
                    getattr(F, call)(*arrays, **options)
            continue
        values = expected[0] if isinstance(expected, tuple) else expected
        if bool(values.isinf().any()):
            continue  # a window of nothing but padding: which place is its maximum means nothing
        if isinstance(expected, tuple):
            y, places = getattr(F, call)(*map(gn.Tensor, arrays), **options)
            assert type(places) is gn.Tensor
            assert places.dtype == np.int64
            np.testing.assert_array_equal(places.data, expected[1].numpy())
            np.testing.assert_array_equal(y.data, expected[0].numpy())
            assert type(getattr(F, call)(*arrays, **options)[1]) is np.ndarray
            options = options | {"return_indices": False}
        compare(torch, call, *arrays, **options)
        taken += 1
    assert taken >= 30


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")
@pytest.mark.parametrize("ndim", [1, 2, 3])
@pytest.mark.parametrize("name", EVERYWHERE)
def test_second_order(name, ndim):
    checked = 0
    for arrays, options in random_calls(name, ndim, 300, seed=1):
        if checked == 4:
            break
        if "max_pool" in name:
            numbers = np.random.default_rng(3).permutation(arrays[0].size) * 0.7
            arrays = [numbers.reshape(arrays[0].shape)]
            options = options | {"return_indices": False}
        arrays = [a[:1] if i == 0 and a.ndim == ndim + 2 else a for i, a in enumerate(arrays)]
        function = getattr(F, name.format(ndim))
        try:
            y = function(*arrays, **options)
        except ValueError:
            continue
        if y.size > 80 or arrays[0].size > 80 or not np.isfinite(y).all():
            continue
        squared = lambda *a, f=function, o=options: f(*a, **o) ** 2
        assert gn.gradcheck(squared, tuple(arrays), order=2)
        checked += 1
    assert checked == 4, "too few of the calls are small enough"


@pytest.mark.parametrize("batch", [(), (2,), (0,)])
@pytest.mark.parametrize(
    "options",
    grid(kernel_size=[2, (1, 3)], dilation=[1, 2], padding=[0, (1, 2)], stride=[1, (2, 3)]),
)
def test_unfold_and_fold(options, batch, torch):
    x = normal(*batch, 2, 6, 7)
    if batch == (0,):  # PyTorch takes no empty batch here
        y = F.unfold(x, **options)
        assert F.fold(y, (6, 7), **options).shape == x.shape
        return
    y = compare(torch, "unfold", x, **options)
    compare(torch, "fold", normal(*y.shape), output_size=(6, 7), **options)
    u = normal(*y.shape)
    np.testing.assert_allclose(
        np.sum(u * y.data), np.sum(F.fold(u, (6, 7), **options) * x), err_msg="not the adjoint"
    )


def test_unfold_and_fold_at_second_order():
    options = {"kernel_size": (2, 1), "padding": 1, "stride": 2}
    x = normal(1, 2, 3, 3)
    assert gn.gradcheck(lambda x: F.unfold(x, **options) ** 2, (x,), order=2)
    y = F.unfold(x, **options)
    assert gn.gradcheck(lambda y: F.fold(y, 3, **options) ** 2, (y,), order=2)


@pytest.mark.parametrize("outer", [(), (2,), (2, 3)])
@pytest.mark.parametrize("r", [1, 2, 3])
def test_pixel_shuffle(r, outer, torch):
    y = compare(torch, "pixel_shuffle", normal(*outer, 2 * r * r, 2, 3), r)
    compare(torch, "pixel_unshuffle", normal(*y.shape), r)
    x = normal(1, r * r, 2, 1)
    assert gn.gradcheck(lambda x: F.pixel_shuffle(x, r) ** 2, (x,), order=2)
    np.testing.assert_array_equal(F.pixel_unshuffle(F.pixel_shuffle(x, r), r), x)


# --- Edges ----------------------------------------------------------------------------------------


def test_conv_transpose_is_the_adjoint():
    """<y, conv(x)> == <conv_transpose(y), x>, whatever the sizes are."""
    options = {"stride": 3, "padding": 1, "dilation": 2}
    x, weight = normal(2, 4, 11, 10), normal(6, 2, 2, 3)
    y = F.conv2d(x, weight, groups=2, **options)
    u = normal(*y.shape)
    back = F.conv_transpose2d(u, weight, groups=2, output_padding=(1, 1), **options)
    assert back.shape == x.shape
    np.testing.assert_allclose(np.sum(u * y), np.sum(back * x))


def test_conv_of_complex_numbers(torch):
    x, weight = (normal(*s) + 1j * normal(*s) for s in ((2, 2, 5), (3, 2, 2)))
    a, w = gn.Tensor(x, requires_grad=True), gn.Tensor(weight, requires_grad=True)
    b, v = torch.tensor(x, requires_grad=True), torch.tensor(weight, requires_grad=True)
    y, expected = F.conv1d(a, w, stride=2), torch.nn.functional.conv1d(b, v, stride=2)
    np.testing.assert_allclose(y.data, expected.detach().numpy())
    ct = normal(*y.shape) + 1j * normal(*y.shape)
    y.backward(ct)
    expected.backward(torch.tensor(ct))
    np.testing.assert_allclose(a.grad, b.grad.numpy())
    np.testing.assert_allclose(w.grad, v.grad.numpy())


def test_float32_stays_float32():
    x = np.ones((1, 4, 6, 6), dtype=np.float32)
    for f in (
        lambda x: F.avg_pool2d(x, 3, padding=1, ceil_mode=True, count_include_pad=False),
        lambda x: F.adaptive_avg_pool2d(x, 4),
        lambda x: F.adaptive_max_pool2d(x, 5),
        lambda x: F.lp_pool2d(x, 2, 2),
        lambda x: F.interpolate(x, scale_factor=1.5, mode="bicubic"),
        lambda x: F.pad(x, (1, 2), value=2.0),
        lambda x: F.pad(x, (1, 2), mode="reflect"),
        lambda x: F.pixel_shuffle(x, 2),
        lambda x: F.fold(F.unfold(x, 2), 6, 2),
    ):
        t = gn.Tensor(x, requires_grad=True)
        y = f(t)
        assert y.dtype == f(x).dtype == np.float32
        y.sum().backward()
        assert t.grad.dtype == np.float32


def test_an_infinity_stays_where_it_is():
    """A product with a matrix of weights would make 0 · ∞ of it, everywhere along the axis."""
    x = np.zeros((1, 1, 8))
    x[0, 0, 6] = np.inf
    assert np.isfinite(F.interpolate(x, size=16, mode="linear")[0, 0, :10]).all()
    assert np.isfinite(F.adaptive_avg_pool1d(x, 3)[0, 0, :2]).all()


def test_lp_pool_of_zeros_has_gradient_0():
    x = gn.Tensor(np.zeros((1, 1, 4)), requires_grad=True)
    F.lp_pool1d(x, 2, 2).sum().backward()
    np.testing.assert_array_equal(x.grad, np.zeros((1, 1, 4)))


def test_whole_numbers_are_padded_and_picked():
    x = np.arange(6).reshape(1, 1, 6)
    assert F.pad(x, (2, 1), mode="circular").tolist() == [[[4, 5, 0, 1, 2, 3, 4, 5, 0]]]
    assert F.pad(x, (1, -4), value=7).tolist() == [[[7, 0, 1]]]
    assert F.interpolate(x, size=3).tolist() == [[[0, 2, 4]]]
    assert F.pad(x, (0, 0)) is x


def test_numpy_integers_are_whole_numbers():
    two = np.int64(2)
    assert F.max_pool2d(normal(1, 1, 4, 4), two).shape == (1, 1, 2, 2)
    assert F.interpolate(normal(1, 1, 4), size=two).shape == (1, 1, 2)


REFUSED = [
    (lambda x: F.conv3d(x, normal(1, 2, 1, 1, 1)),
     r"^conv3d expects 2 channels, got 1 \(input of shape \(1, 1, 2, 4, 4\)\)"),
    (lambda x: F.conv3d(x[0, 0], normal(1, 2, 1, 1, 1)),
     r"^conv3d expects an input \(N, C, D, H, W\), got 2 axes \(input of shape \(4, 4\)\)"),
    (lambda x: F.conv2d(x, normal(2, 2, 2, 2), normal(3)),
     r"^conv2d expects a bias of shape \(2,\), got \(3,\)"),
    (lambda x: F.conv2d(x, normal(2, 2, 2, 2), groups=0), r"^conv2d expects 0 channels, got 2"),
    (lambda x: F.conv2d(x, normal(2, 2, 5, 5)),
     r"^conv2d has a window of \(5, 5\) .*larger than the input, \(4, 4\).*shape \(1, 2, 4"),
    (lambda x: F.conv_transpose2d(x, normal(3, 1, 2, 2)),
     r"^conv_transpose2d expects 3 channels, got 2 \(input of shape \(1, 2, 4, 4\)\)"),
    (lambda x: F.conv_transpose2d(x, normal(2, 1, 2)),
     r"^conv_transpose2d expects a weight of 4 axes, got \(2, 1, 2\)"),
    (lambda x: F.conv_transpose2d(x, normal(2, 1, 2, 2), groups=3),
     r"^conv_transpose2d: 2 channels do not divide into 3 groups"),
    (lambda x: F.conv_transpose2d(x, normal(2, 1, 2, 2), normal(2)),
     r"^conv_transpose2d expects a bias of shape \(1,\), got \(2,\)"),
    (lambda x: F.conv_transpose2d(x, normal(2, 1, 2, 2), output_padding=1),
     r"^conv_transpose2d: an output_padding of 1 must be smaller than the stride, 1, or the dil"),
    (lambda x: F.conv_transpose2d(x, normal(2, 1, 1, 1), padding=2),
     r"^conv_transpose2d has a padding of 2 that leaves nothing of the output"),
    (lambda x: F.max_pool2d(x, 2, padding="same"),
     r"^max_pool2d: padding is a whole number, or 2 of them; got 'same'"),
    (lambda x: F.max_pool2d(x, 2, padding=2), r"^max_pool2d: a padding of 2 is more than half the"),
    (lambda x: F.adaptive_avg_pool2d(x, 0), r"^adaptive_avg_pool2d: output_size cannot be 0"),
    (lambda x: F.adaptive_max_pool2d(x, (1, 2, 3)),
     r"^adaptive_max_pool2d: output_size is a whole number, or 2 of them; got \(1, 2, 3\)"),
    (lambda x: F.adaptive_avg_pool2d(x[..., :0], 1), r"^adaptive_avg_pool2d has nothing to pool"),
    (lambda x: F.unfold(x, 5), r"^unfold has a window of \(5, 5\)"),
    (lambda x: F.fold(normal(1, 5, 9), 4, 2),
     r"^fold expects columns of a multiple of 4, for a kernel \(2, 2\), got 5"),
    (lambda x: F.fold(normal(1, 4, 8), 4, 2),
     r"^fold expects 9 columns, the 3×3 windows of an output of \(4, 4\), got 8"),
    (lambda x: F.fold(x, 4, 2), r"^fold expects an input \(N, C·kh·kw, windows\), got 4 axes"),
    (lambda x: F.interpolate(x), r"^interpolate: give a size or a scale_factor, and not both"),
    (lambda x: F.interpolate(x, 2, 2.0), r"^interpolate: give a size or a scale_factor, and not"),
    (lambda x: F.interpolate(x, 2, mode="cubic"), r"^interpolate: mode is one of .*'cubic'"),
    (lambda x: F.interpolate(x, 2, mode="linear"),
     r"^interpolate with mode 'linear' expects an input \(N, C, L\), got 4 axes"),
    (lambda x: F.interpolate(x[0, 0], 2),
     r"^interpolate with mode 'nearest' expects an input \(N, C, L\) or \(N, C, H, W\) or"),
    (lambda x: F.interpolate(x, 2, align_corners=True),
     r"^interpolate: align_corners is for the modes that interpolate, not 'nearest'"),
    (lambda x: F.interpolate(x, 2, recompute_scale_factor=True),
     r"^interpolate: recompute_scale_factor needs a scale_factor"),
    (lambda x: F.interpolate(x, scale_factor=0.1), r"^interpolate: size cannot be 0"),
    (lambda x: F.interpolate(x, scale_factor=-1.0),
     r"^interpolate: scale_factor is a positive number, or 2 of them; got -1.0"),
    (lambda x: F.interpolate(x[..., :0], 2), r"^interpolate has nothing to interpolate between"),
    (lambda x: F.pad(x, (1, 2, 3)), r"^pad: expects a pair for each of the last axes of \(1, 2, 4"),
    (lambda x: F.pad(x, (1, 1), mode="edge"), r"^pad: mode is 'constant', 'reflect', .*not 'edge'"),
    (lambda x: F.pad(x, (0, 4), mode="reflect"),
     r"^pad: a margin of \(0, 4\) does not fit axis 3, of length 4, .*in mode 'reflect'"),
    (lambda x: F.pad(x, (5, 0), mode="circular"), r"^pad: a margin of \(5, 0\) does not fit"),
    (lambda x: F.pad(x, (-3, -2)), r"^pad: a margin of \(-3, -2\) does not fit axis 3"),
    (lambda x: F.pixel_shuffle(x, 2),
     r"^pixel_shuffle expects a multiple of 4 channels, got 2 \(input of shape"),
    (lambda x: F.pixel_shuffle(x, 0), r"^pixel_shuffle: upscale_factor cannot be 0"),
    (lambda x: F.pixel_shuffle(x[0, 0], 1), r"^pixel_shuffle expects an input \(..., C, H, W\)"),
    (lambda x: F.pixel_unshuffle(x, 3),
     r"^pixel_unshuffle expects a height and a width that are multiples of 3, got 4 and 4"),
]  # fmt: skip


@pytest.mark.parametrize(("f", "words"), REFUSED)
def test_refuses(f, words):
    with pytest.raises(ValueError, match=words):
        f(gn.Tensor(normal(1, 2, 4, 4)))


def test_antialias_is_not_there():
    with pytest.raises(NotImplementedError, match="there is no antialias here"):
        F.interpolate(normal(1, 1, 4, 4), 2, mode="bilinear", antialias=True)
