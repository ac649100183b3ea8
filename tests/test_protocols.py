"""Plain NumPy on Tensors: the values are NumPy's, the gradients are right, nothing is dropped."""

import inspect
import math
import re
import runpy
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import scipy.special

import gradnerve as gn
from gradnerve import protocols
from gradnerve.backends import array_library
from gradnerve.protocols import DIFFERENTIABLE, PLAIN, RAISES

# What stands in the expressions below: in one run arrays, in the other Tensors on them.
rng = np.random.default_rng(7)
ARRAYS = {
    "a": rng.standard_normal((2, 3)),
    "b": rng.standard_normal((2, 3)),
    "p": rng.uniform(0.5, 2.0, (2, 3)),  # positive
    "u": rng.uniform(-0.9, 0.9, (2, 3)),  # within (-1, 1)
    "v": rng.standard_normal(3),
    "w": rng.standard_normal(3),
    "x": np.cumsum(rng.uniform(0.5, 2.0, 5)),  # increasing
    "y": rng.standard_normal(5),
    "m": rng.standard_normal((3, 3)) + 3 * np.eye(3),  # invertible
    "n": rng.standard_normal((2, 3, 3)) + 3 * np.eye(3),
    "t": rng.standard_normal((2, 3, 4)),
    "c": rng.standard_normal((2, 3)) + 1j * rng.standard_normal((2, 3)),
    "z": rng.standard_normal(3) + 1j * rng.standard_normal(3),
    "s": np.asarray(0.7),
    "gaps": np.array([[1.0, np.nan, 3.0], [0.5, -2.0, np.nan]]),
}
CONSTANTS = {
    "np": np,
    "special": scipy.special,
    "mask": np.array([[True, False, True], [False, True, True]]),
    "index": np.array([2, 0, 2]),
    "list": list,
}

DIFFERENTIATED = """
np.absolute(a)  np.abs(c)  np.add(a, b)  np.add(a, v)  np.add(2.0, a)  np.arccos(u)  np.acos(u)
np.arccosh(p + 1)  np.arcsin(u)  np.arcsinh(a)  np.arctan(a)  np.arctan2(a, b)  np.arctanh(u)
np.ceil(a)  np.conjugate(c)  np.conj(c)  np.cos(a)  np.cosh(a)  np.divide(a, p)  np.exp(a)
np.exp(c)  np.expm1(a)  np.fabs(a)  np.floor(a)  np.fix(a)  np.floor_divide(a, p)  np.hypot(a, b)
np.imag(c)  np.log(p)  np.log10(p)  np.log1p(p)  np.log2(p)  np.logaddexp(a, b)  np.matmul(a, m)
np.matmul(v, w)  np.maximum(a, b)  np.minimum(a, b)  np.multiply(a, v)  np.negative(a)
np.positive(a)  np.power(p, b)  np.power(a, 2)  np.pow(p, b)  np.real(c)  np.reciprocal(p)
np.remainder(a, p)  np.mod(a, p)  np.rint(a)  np.sign(a)  np.sin(a)  np.sinh(a)  np.sqrt(p)
np.square(a)  np.subtract(a, b)  np.tan(u)  np.tanh(a)  np.trunc(a)  np.cbrt(p)
np.copysign(p, b)  np.exp2(a)  np.sinc(a)  np.deg2rad(a)  np.radians(a)  np.rad2deg(a)
np.degrees(a)  np.heaviside(a, 0.5)  np.vecdot(a, b)  np.vecdot(c, a)  np.float_power(p, b)
np.logaddexp2(a, b)  np.fmax(a, b)  np.fmin(a, b)  np.fmax(np.nan, a)  np.fmod(a, p)
np.divmod(a, p)  np.modf(a)  np.ldexp(a, index)  np.matvec(n, v)  np.vecmat(v, n)
np.around(a)  np.round(a, 1)  np.angle(c)  np.angle(c, deg=True)  np.astype(a, np.complex128)
np.clip(a, -0.5, 0.5)  np.clip(a, a_min=None, a_max=0.5)  np.clip(a, min=0.0)  np.clip(a, -p, p)
np.nan_to_num(gaps)  np.nan_to_num(gaps, nan=2.0)
np.add.reduce(a)  np.add.reduce(a, axis=1, keepdims=True)  np.add.reduce(a, None)
np.multiply.reduce(a)  np.maximum.reduce(a, axis=1)  np.minimum.reduce(a)  np.add.accumulate(a)
np.multiply.accumulate(a, axis=1)  np.add.outer(v, w)  np.multiply.outer(a, v)
np.subtract.outer([1.0, 2.0], v)
special.erf(a)  special.erfc(a)  special.erfinv(u)  special.expit(a)  special.gammaln(p)
special.psi(p)  special.logit(p / 3)  special.xlogy(a, p)  special.xlog1py(a, p)  special.entr(p)
special.erfcx(a)  special.erfcinv(p)  special.ndtr(a)  special.ndtri(p / 3)  special.log_ndtr(a)
special.gamma(p)  special.betaln(p, v * v)  special.i0e(a)  special.i1(a)  special.i1e(a)
special.iv(1, p)  special.ive(2, p)  np.i0(a)
np.subtract.reduce(a)  np.hypot.reduce(t, axis=1)  np.logaddexp.reduce(a, axis=-1, keepdims=True)
np.divide.accumulate(p, axis=1)  np.maximum.accumulate(y)  np.subtract.reduceat(y, [0, 3, 1])
np.add.reduceat(t, [0, 2], axis=2)

np.array([[1.0, 2.0, 3.0]]) * a  np.float64(2) * a  np.ones((4, 2)) @ a  np.ones(3) - v
np.float32(2) ** a  np.ones(3) / p  np.arange(3) + v  2.0 ** np.float64(3) + s

np.append(a, v)  np.append(a, b, axis=0)  np.append(a, b, axis=1)  np.array_split(y, 2)
np.array_split(a, [1, 2], axis=1)  np.atleast_1d(s)  np.atleast_1d(s, v)  np.atleast_2d(v)
np.atleast_3d(a)  np.block([[a, b], [b, a]])  np.broadcast_arrays(a, v)
np.broadcast_to(v, (2, 3))  np.broadcast_to(s, (2,))  np.column_stack([v, w])
np.column_stack((np.ones(3), v))  np.copy(a)  np.delete(y, 1)  np.delete(a, [0, 2], axis=1)
np.diag(v)  np.diag(m)  np.diag(v, k=1)  np.diagflat(v)  np.diagonal(m)
np.diagonal(t, 1, 1, 2)  np.dsplit(t, 2)  np.dstack([a, b])  np.expand_dims(a, 1)
np.expand_dims(a, (0, 2))  np.flip(a)  np.flip(m=a, axis=0)  np.fliplr(a)  np.flipud(a)
np.hsplit(a, 3)  np.hstack([v, w])  np.hstack([a, b])  np.insert(y, 2, s)
np.matrix_transpose(t)  np.meshgrid(v, y)  np.meshgrid(v, y, indexing="ij")
np.meshgrid(v, y, sparse=True)  np.moveaxis(t, 0, -1)  np.pad(a, 1)  np.pad(a, ((1, 0), (0, 2)))
np.pad(a, 1, mode="edge")  np.pad(a, 1, mode="reflect")  np.pad(a, 1, constant_values=3.0)
np.repeat(a, 2)  np.repeat(a, 2, axis=1)  np.repeat(v, [1, 0, 2])  np.roll(a, 1)
np.roll(a, 1, axis=1)  np.rot90(a)  np.rot90(a, 2)  np.select([a > 0, b > 0], [a, b])
np.select([mask], [a], 2.0)  np.split(a, 3, axis=1)  np.stack([v, w])  np.stack([v, w], axis=1)
np.swapaxes(t, 0, 2)  np.take(a, index)  np.take(a, index, axis=1)
np.take(a, [4, -1], mode="wrap")  np.take(a, 1)
np.take_along_axis(a, np.array([[0], [2]]), axis=1)  np.take_along_axis(a, np.argsort(a), 1)
np.tile(a, 2)  np.tile(v, (2, 2))  np.tril(m)  np.triu(m, 1)  np.unstack(a)  np.vsplit(a, 2)
np.vstack([v, w])  np.vstack([a, v])  np.where(mask, a, b)  np.where(a > 0, a, 0)
np.where(mask, 0.0, v)
np.choose(np.array([[0, 1, 0], [1, 1, 0]]), [a, b])  np.reshape(a, (3, 2))  np.reshape(a, -1)
np.reshape(a, (3, 2), order="F")  np.ravel(a)  np.ravel(a, order="F")  np.transpose(a)
np.transpose(t, (1, 0, 2))  np.permute_dims(t, (2, 0, 1))  np.squeeze(a[None])
np.squeeze(a[None], axis=0)  np.rollaxis(t, 2)  np.rollaxis(t, 0, 3)  np.rollaxis(t, 1, 2)
np.concatenate([a, b])  np.concatenate((a, b), axis=1)  np.concatenate([a, v[None]], 0)
np.concatenate([a, b], axis=None)  np.concat([a, b])  np.full_like(a, s)  np.full_like(a, v)
np.compress([True, False, True], a, axis=1)  np.compress([True, False, True], a)
np.extract(mask, a)  np.vander(v)  np.vander(v, 2, increasing=True)  np.ediff1d(y)
np.ediff1d(a, to_begin=s)  np.linspace(s, 2.0, 5)  np.linspace(v, w, 3, axis=1)
np.linspace(0.0, s, 4, endpoint=False)  np.linspace(s, 2.0, 3, retstep=True)
np.logspace(v, 1.0, 3)  np.logspace(0.0, s, 3, endpoint=False, base=2)
np.logspace(0.0, 1.0, 3, base=p, axis=-1)  np.geomspace(p, 2.0, 4)  np.geomspace(-1.0, -s, 3)
np.geomspace(p, v * v, 3, endpoint=False, axis=1)  np.resize(a, (2, 4))  np.resize(a, 2)
np.apply_along_axis(np.cumsum, 0, t)  np.apply_along_axis(np.diag, 1, t)
np.apply_along_axis(np.quantile, -1, a, 0.3)  np.apply_over_axes(np.sum, t, [0, 2])
np.apply_over_axes(np.cumsum, t, -1)  np.piecewise(a, [a > 0.5, a < 0], [np.exp, np.sin])
np.piecewise(a, [a > 0], [lambda x, k: x * k, s], 3.0)
np.lib.stride_tricks.sliding_window_view(y, 2)

np.sum(a)  np.sum(a, axis=0)  np.sum(a, (0, 1))  np.sum(t, axis=(0, 2), keepdims=True)
np.sum(a, axis=-1, initial=2.0)  np.sum(a, where=mask)  np.sum(gaps, where=~np.isnan(gaps))
np.prod(a)  np.prod(a, axis=1, keepdims=True)  np.prod(a, axis=0, where=mask)
np.prod(a, initial=2.0)  np.amax(a)  np.max(a, axis=1)  np.max(a, initial=0.2)
np.max(a, 1, where=mask, initial=-9.0)  np.max(a[:, :0], axis=1, initial=3.0)  np.amin(a)
np.min(a, axis=(0, 1), keepdims=True)  np.mean(a)  np.mean(a, axis=0)
np.mean(a, axis=1, keepdims=True)  np.mean(a, axis=1, where=mask)  np.mean(c)  np.var(a)
np.var(a, axis=1, ddof=1)  np.var(a, correction=1)  np.var(c)  np.var(a, 1, where=mask)
np.var(c, where=mask)  np.var(a, 1, mean=np.mean(a, 1, keepdims=True))  np.std(a)
np.std(a, axis=0, ddof=1, keepdims=True)  np.std(a, 1, where=mask)  np.nanvar(gaps)
np.std(gaps, where=~np.isnan(gaps))  np.nanvar(a, where=mask)  np.nanstd(a, 1, where=mask)
np.nansum(gaps, 1, initial=2.0, where=mask)  np.nanprod(gaps, where=mask)
np.nanmean(gaps, where=mask)  np.nanmax(gaps, initial=0.7)  np.nanmin(a, 1, where=mask, initial=9.0)
np.nanmedian(gaps)  np.nanmedian(gaps, axis=0)  np.nanquantile(gaps, [0.2, 0.5], axis=1)
np.nanpercentile(gaps, 30, keepdims=True)  np.average(t, (2, 0), t[:, 0].T + 5)
np.average(t, axis=(1,), weights=v + 5, returned=True)
np.nanvar(gaps, axis=1, ddof=0)  np.nanstd(gaps, axis=1)  np.nanprod(gaps, axis=1)
np.nansum(gaps)  np.nansum(gaps, axis=0)  np.nanmean(gaps, axis=1, keepdims=True)
np.nanmax(gaps, axis=1)  np.nanmin(gaps)  np.ptp(a)  np.ptp(a, axis=1)  np.average(a)
np.average(a, axis=1)  np.average(a, axis=1, weights=p[0])  np.average(a, weights=p)
np.average(a, 1, p[0], returned=True)  np.median(a)  np.median(a, axis=1)
np.median(t, axis=2, keepdims=True)  np.quantile(y, 0.3)  np.quantile(a, [0.1, 0.5], axis=1)
np.quantile(y, 0.3, method="lower")  np.percentile(y, 30)  np.percentile(a, [10, 50], axis=1)
np.cumsum(a)  np.cumsum(a, axis=1)  np.cumprod(a)  np.cumprod(a, axis=0)  np.nancumsum(gaps)
np.nancumprod(gaps, axis=1)  np.cumulative_sum(y)  np.cumulative_sum(a, axis=0)
np.cumulative_sum(y, include_initial=True)  np.cumulative_prod(a, axis=1)  np.sort(y)
np.partition(t, 2, axis=2)  np.partition(a, 2, None)  np.bincount([2, 0, 2], v, 5)
np.interp(s, x, y)  np.interp(p, x, y)  np.interp(p * 5, x, y, left=s)
np.interp(a * 9, x, y, -1, s)
np.interp(a * 9, x, y, period=3.0)  np.interp(p, [s], y[:1])  np.interp(p, x, x * 1j)
np.unwrap(y * 4)  np.unwrap(t * 5, axis=1)  np.unwrap(y * 4, period=3.0)
np.sort(a, axis=0)  np.sort(a, axis=None)  np.sort(a, kind="stable")  np.diff(y)
np.diff(a, axis=0)  np.diff(y, 2)  np.diff(y, prepend=0.0)  np.diff(y, append=s)
np.trapezoid(y)  np.trapezoid(y, x)  np.trapezoid(a, dx=0.5, axis=0)  np.cov(a)  np.cov(y, x)
np.cov(a[:1], rowvar=False, bias=True)
np.cov(a.T, v, rowvar=False)
np.cov(a, fweights=[1, 2, 3])  np.cov(a, aweights=p[0])  np.cov(c, aweights=[1.0, 2.0, 0.5])
np.cov(a, v, fweights=[1, 2, 3], aweights=p[0], ddof=0)
np.cov(a, rowvar=False)  np.cov(a, bias=True)  np.cov(y)  np.cov(c)  np.corrcoef(a)
np.corrcoef(y, x)  np.gradient(y)  np.gradient(y, x)  np.gradient(y, 0.5, edge_order=2)
np.gradient(y, x, edge_order=2)  np.gradient(t[:, :, :3])  np.gradient(a, axis=1)
np.convolve(y, v)  np.convolve(v, y, "same")  np.convolve(y, v, mode="valid")
np.convolve(y, [1.0, 2.0], mode="same")  np.correlate(y, v)  np.correlate(y, v, mode="full")
np.correlate(z, v, "same")  np.correlate(v, y, "full")  np.correlate(v, y)  np.polyval(v, y)
np.polyval([1.0, 2.0], y)  np.polyval(np.poly1d([1.0, 2.0, 3.0]), y)  np.polyval(v, [1.0, 2.0])
np.polyfit(x, y, 2)  np.polyfit(x, y, 1, w=p[0, 0] + x)  np.polyfit(x, np.stack([y, x], 1), 1)
np.roots(y)  np.roots(np.concatenate([[0.0], v, [0.0, 0.0]]))  np.poly(v)  np.poly(m)
np.poly(np.stack([z[0], np.conj(z[0])]))
np.polyadd(v, y)  np.polysub(v, y)  np.polymul(v, y)  np.polyder(y)  np.polyder(y, 2)
np.polyint(v)

np.dot(a, m)  np.dot(v, w)  np.dot(a, v)  np.dot(s, a)  np.dot(n, n)  np.dot(v, n)
np.inner(v, w)  np.inner(a, b)  np.inner(n, v)  np.inner(s, v)  np.vdot(a, b)  np.vdot(c, c)
np.outer(v, w)  np.outer(a, v)  np.cross(a, b)  np.cross(v, w)  np.cross(a.T, b.T, axis=0)
np.einsum("ij,jk->ik", a, m)  np.einsum("ij,ij", a, b)  np.einsum("ii->i", m)
np.einsum("ij,kj,k->i", a, b, np.ones(2), optimize=True)  np.kron(a, m)  np.kron(v, w)
np.tensordot(a, m, axes=1)  np.tensordot(a, b)  np.tensordot(t, a, axes=((0, 1), (0, 1)))
np.trace(m)  np.trace(n, 1, 1, 2)  np.trace(a, offset=-1)
np.linalg.cholesky(m @ m.T)  np.linalg.cross(a, b)  np.linalg.det(m)  np.linalg.det(n)
np.linalg.diagonal(n)  np.linalg.eigh(m @ m.T)[0]  np.linalg.eigvalsh(m + m.T)
np.linalg.eigvalsh(m + m.T, UPLO="U")  np.linalg.eigvals(m @ m.T)
np.linalg.eig(m @ m.T).eigenvalues  np.linalg.inv(m)  np.linalg.inv(n)  np.linalg.matmul(a, m)
np.linalg.matrix_power(m, 3)  np.linalg.matrix_power(m, -2)  np.linalg.matrix_norm(n)
np.linalg.matrix_transpose(n)  np.linalg.multi_dot([a, m, m, v])  np.linalg.outer(v, w)
np.linalg.pinv(a)  np.linalg.qr(m, mode="r")
np.linalg.qr(m)  np.linalg.qr(m)[1]  np.linalg.slogdet(m)[1]
np.linalg.slogdet(m).logabsdet  np.linalg.solve(m, v)  np.linalg.solve(n, n)
np.linalg.svdvals(m)  np.linalg.svd(m, compute_uv=False)  np.linalg.svd(a, full_matrices=False)[1]
np.linalg.tensordot(a, m, axes=1)  np.linalg.trace(n)  np.linalg.vecdot(a, b)
np.linalg.vector_norm(a, axis=1)  np.linalg.norm(a)  np.linalg.norm(v, 1)
np.linalg.norm(a, axis=1)  np.linalg.norm(t)  np.linalg.norm(m, 2)  np.linalg.norm(m, "nuc")
np.linalg.norm(t, axis=(0, 2), keepdims=True)  np.linalg.norm(v, np.inf)
np.linalg.norm(a, ord=3, axis=0, keepdims=True)  np.linalg.norm(a, 1)  np.linalg.norm(c)
np.linalg.cond(m)  np.linalg.tensorinv(m, 1)  np.linalg.tensorsolve(m, v)
np.linalg.lstsq(n[0][:, :2], v)[0]

np.fft.fft(a)  np.fft.fft(a, n=4, axis=0, norm="ortho")  np.fft.ifft(c)  np.fft.rfft(y)
np.fft.irfft(z)  np.fft.irfft(z, 5)  np.fft.hfft(z)  np.fft.ihfft(y)  np.fft.fft2(a)
np.fft.ifft2(c)  np.fft.rfft2(a)  np.fft.irfft2(c)  np.fft.fftn(t)  np.fft.ifftn(c)
np.fft.rfftn(t, axes=(0, 1))  np.fft.irfftn(c, s=(2, 3), axes=(0, 1))  np.fft.fftshift(a)
np.fft.ifftshift(a, axes=1)
"""

VALUES = """
np.equal(a, b)  np.not_equal(a, b)  np.less(a, 0)  np.less_equal(a, b)  np.greater(a, b)
np.greater_equal(a, b)  np.isfinite(gaps)  np.isinf(a)  np.isnan(gaps)  np.logical_and(a, b)
np.logical_not(a)  np.logical_or(a, b)  np.logical_xor(a, b)  np.bitwise_and(a > 0, mask)
np.bitwise_or(a > 0, mask)  np.bitwise_xor(mask, a > 0)  np.invert(a > 0)  np.signbit(a)
np.ones((2, 3)) < a  np.float64(0.1) >= a  np.all(a > 0, axis=1)  np.any(a > 0)
np.allclose(a, a)  np.array_equal(a, b)  np.array_equiv(a, a)  np.isclose(a, b, atol=0.1)
np.isin(a, b)  np.isneginf(a)  np.isposinf(a)  np.isreal(c)  np.isrealobj(c)  np.iscomplex(c)
np.iscomplexobj(c)  np.argmax(a)  np.argmax(a, axis=1)  np.argmin(a)  np.argpartition(y, 2)
np.argsort(a, axis=0)  np.argwhere(a > 0)  np.lexsort((v, w))  np.nanargmax(gaps)
np.nanargmin(gaps, axis=1)  np.nonzero(a > 0)  np.flatnonzero(a)  np.count_nonzero(a)
np.searchsorted(x, y)  np.digitize(y, x)  np.shape(a)  np.ndim(a)  np.size(a)
np.result_type(a, np.float32)  np.common_type(a, c)  np.min_scalar_type(s)
np.shares_memory(a, b)  np.may_share_memory(a, b)  np.zeros_like(a)
np.ones_like(a, dtype=np.float32)  np.array2string(a)  np.array_repr(a)  np.array_str(a)
np.einsum_path("ij,jk", a, m)  np.diag_indices_from(m)  np.tril_indices_from(m)
np.triu_indices_from(m)  np.linalg.matrix_rank(m)  np.where(a > 0)  np.logical_and.reduce(a > 0)
np.logical_or.reduce(a > 0, axis=1)  np.maximum.outer(a > 0, mask)  np.less.outer(v, w)
np.less(a, 0, where=mask, out=np.zeros((2, 3), bool))  np.empty_like(a).shape
"""
# Of integers and texts: no Tensor of them can require grad.
INTEGERS = {"isnat", "gcd", "lcm", "left_shift", "right_shift", "bitwise_count", "packbits"}
INTEGERS |= {"unpackbits", "ravel_multi_index", "unravel_index", "ix_", "is_busday", "can_cast"}
INTEGERS |= {"busday_count", "busday_offset", "datetime_as_string"}


def expressions(text):
    return [e for line in text.splitlines() for e in re.split(r"  +", line.strip()) if e]


def evaluated(expression, values):
    return eval(expression, dict(CONSTANTS), dict(values))


def used(expression):
    names = compile(expression, "", "eval").co_names
    return {name: ARRAYS[name] for name in ARRAYS if name in names}


def parts(value):
    """The arrays, numbers and texts in a result, which may be a list or tuple of them."""
    if isinstance(value, (list, tuple)):
        return [part for item in value for part in parts(item)]
    return [value]


def functions_named(text):
    """The functions of NumPy's that are called in expressions, by the names of the lists."""
    found = set()
    for path in re.findall(r"(?:np|special)(?:\.\w+)+(?=\()", text):
        module, *names = path.split(".")
        f = CONSTANTS[module]
        for name in names:
            if isinstance(f, np.ufunc):
                break  # its method
            f = getattr(f, name)
        found.add(f.__name__ if isinstance(f, np.ufunc) else protocols._name(f))
    return found


# --- The three lists ------------------------------------------------------------------------------


def test_each_function_has_an_expression_here():
    assert DIFFERENTIABLE.keys() <= functions_named(DIFFERENTIATED)
    assert PLAIN.keys() - INTEGERS <= functions_named(VALUES)


def test_no_function_is_on_two_lists():
    assert not DIFFERENTIABLE.keys() & PLAIN.keys()
    assert not DIFFERENTIABLE.keys() & RAISES.keys()
    assert not PLAIN.keys() & RAISES.keys()


def test_each_function_of_numpy_is_on_a_list():
    missing = []
    for module in (np, np.linalg, np.fft):
        for name in dir(module):
            f = getattr(module, name)
            if isinstance(f, np.ufunc):
                name = f.__name__
            elif hasattr(f, "_implementation"):  # it asks its arguments for __array_function__
                name = protocols._name(f)
            else:
                continue
            if name not in DIFFERENTIABLE and name not in PLAIN and name not in RAISES:
                missing.append(name)
    assert not missing, "put them on a list in protocols.py"


OURS = [(name, ours) for name, ours in (DIFFERENTIABLE | PLAIN).items() if isinstance(ours, str)]


def test_there_is_a_function_behind_each_name():
    missing = []
    for _, ours in OURS:
        try:
            protocols.find(ours)
        except (AttributeError, ImportError):
            missing.append(ours)
    for path in re.findall(r"\b(ops|linalg)\.(\w+)", inspect.getsource(protocols)):
        if path[1] in ("X",) or hasattr(getattr(protocols, path[0]), path[1]):
            continue
        missing.append(".".join(path))
    assert not missing


@pytest.mark.parametrize(("name", "ours"), OURS)
def test_the_arguments_are_in_the_same_order(name, ours):
    """Where a name of ours stands for NumPy's function, the arguments mean the same by place."""
    module, _, last = name.rpartition(".")
    function = getattr(getattr(np, module) if module else np, last, None)
    theirs = protocols._parameters(function) if function is not None else ()
    if isinstance(function, np.ufunc) or not theirs:
        return
    # What an array is called does not matter; nor do options at the end that ours lacks.
    arrays = {
        "a",
        "x",
        "m",
        "v",
        "ary",
        "array",
        "arr",
        "arrays",
        "tup",
        "arys",
        "args",
        "A",
        "val",
    }
    arrays |= {"operands", "b", "x1", "x2"}
    same = {"reps": "repetitions", "condlist": "conditions", "choicelist": "choices"}
    same |= {"obj": "index", "rcond": "rtol"}
    mine = protocols._parameters(protocols.find(ours))
    for their, our in zip(theirs, mine, strict=False):
        if their in arrays and our in arrays | {"x"}:
            continue
        if their in ("subok", "out", "hermitian", "like", "dtype", "**") and their != our:
            break
        assert same.get(their, their) == our, f"np.{name}{theirs} is not {ours}{mine}"


# --- Differentiated -------------------------------------------------------------------------------


@pytest.mark.parametrize("expression", expressions(DIFFERENTIATED))
def test_value_is_numpys(expression):
    arrays = used(expression)
    expected = evaluated(expression, arrays)
    got = evaluated(expression, {k: gn.Tensor(v, requires_grad=True) for k, v in arrays.items()})
    assert len(parts(got)) == len(parts(expected))
    assert any(part.requires_grad for part in parts(got)), "the result is not part of the graph"
    for ours, theirs in zip(parts(got), parts(expected), strict=True):
        assert type(ours) is gn.Tensor
        assert type(ours.data) is np.ndarray
        assert ours.shape == np.shape(theirs)
        # (NumPy's eigenvalues are real if they happen to be; the standard's are always complex.)
        if not re.search(r"linalg\.eig(vals)?\(|np\.roots", expression):
            assert ours.dtype == np.asarray(theirs).dtype
        np.testing.assert_allclose(ours.data, theirs, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("expression", expressions(DIFFERENTIATED))
def test_gradient(expression):
    arrays = used(expression)

    def f(*tensors):
        out = parts(evaluated(expression, dict(zip(arrays, tensors, strict=True))))
        return tuple(part if part.dtype.kind in "fc" else part * 1.0 for part in out)

    if "gaps" in arrays:  # the difference of two NaN is none: put the numbers in place only
        gaps = arrays["gaps"]
        hole = np.isnan(gaps)
        arrays["gaps"] = np.where(hole, 0.0, gaps)
        whole = f

        def f(*tensors):
            place = list(arrays).index("gaps")
            filled = gn.where(hole, np.nan, tensors[place])
            return whole(*tensors[:place], filled, *tensors[place + 1 :])

    assert gn.gradcheck(f, tuple(arrays.values()), order=2)


@pytest.mark.parametrize("expression", expressions(DIFFERENTIATED))
def test_without_gradient_it_is_a_tensor_too(expression):
    tensors = {k: gn.Tensor(v) for k, v in used(expression).items()}
    got = evaluated(expression, tensors)
    for ours, theirs in zip(
        parts(got), parts(evaluated(expression, used(expression))), strict=True
    ):
        assert type(ours) is gn.Tensor
        assert not ours.requires_grad
        np.testing.assert_allclose(ours.data, theirs, rtol=1e-12, atol=1e-13)


# --- Plain values ---------------------------------------------------------------------------------


@pytest.mark.parametrize("expression", expressions(VALUES))
def test_plain_value(expression):
    arrays = used(expression)
    expected = evaluated(expression, arrays)
    got = evaluated(expression, {k: gn.Tensor(v, requires_grad=True) for k, v in arrays.items()})
    assert len(parts(got)) == len(parts(expected))
    for ours, theirs in zip(parts(got), parts(expected), strict=True):
        if isinstance(theirs, (np.ndarray, np.generic)) and "out=" not in expression:
            assert type(ours) is gn.Tensor
            assert not ours.requires_grad
            assert ours.dtype == theirs.dtype
            np.testing.assert_array_equal(ours.data, theirs)
        elif isinstance(theirs, np.ndarray):
            assert type(ours) is np.ndarray
            np.testing.assert_array_equal(ours, theirs)
        else:
            assert type(ours) is type(theirs)
            assert ours == theirs


@pytest.mark.parametrize(
    "call",
    [
        lambda i: np.gcd(i, 4), lambda i: np.lcm(i, 4), lambda i: np.left_shift(i, 1),
        lambda i: i >> np.array(1), lambda i: np.ravel_multi_index((i, i), (9, 9)),
        lambda i: np.unravel_index(i, (3, 3)), lambda i: np.ix_(i, i),
        lambda i: np.bitwise_count(i), lambda i: np.can_cast(i, np.float64),
        lambda i: np.packbits(i > 2), lambda i: np.floor_divide(i, 2), lambda i: np.isnan(i),
    ],
)  # fmt: skip
def test_of_integers(call):
    i = np.array([1, 2, 6])
    for ours, theirs in zip(parts(call(gn.Tensor(i))), parts(call(i)), strict=True):
        np.testing.assert_array_equal(getattr(ours, "data", ours), theirs)


def test_a_plain_value_says_where_the_graph_was_cut():
    x = gn.Tensor([1.0, 2.0], requires_grad=True)
    with pytest.raises(gn.errors.NoGradientPath, match=r"cut by np\.count_nonzero\(\), which has"):
        np.count_nonzero(x, axis=0).backward()
    with gn.no_grad():
        y = np.unique(x)
    with pytest.raises(gn.errors.NoGradientPath, match=r"cut by no_grad\(\)"):
        y.backward(np.ones(2))
    with pytest.raises(gn.errors.NoGradientPath, match=r"cut by detach\(\)"):
        np.unique(x.detach()).backward(np.ones(2))


def test_an_index_from_numpy_indexes():
    x = gn.Tensor([1.0, 5.0, 3.0], requires_grad=True)
    (x[np.argmax(x)] + x[np.nonzero(x > 2)].sum()).backward()
    assert x.grad.tolist() == [0.0, 2.0, 1.0]


# --- What raises ----------------------------------------------------------------------------------

RAISING = {
    "copyto": lambda t: np.copyto(np.zeros(3), t),
    "fill_diagonal": lambda t: np.fill_diagonal(t[:, None] * np.eye(3), 1.0),
    "put": lambda t: np.put(np.zeros(3), [0, 1, 2], t),
    "place": lambda t: np.place(t, t > 0, [1.0]),
    "putmask": lambda t: np.putmask(np.zeros(3), [True, True, False], t),
    "put_along_axis": lambda t: np.put_along_axis(t, np.array([0]), 1.0, 0),
    "save": lambda t: np.save("x", t),
    "savetxt": lambda t: np.savetxt("x", t),
    "savez": lambda t: np.savez("x", t),
    "savez_compressed": lambda t: np.savez_compressed("x", x=t),
    "histogram": np.histogram,
    "histogram2d": lambda t: np.histogram2d(t, t),
    "histogramdd": lambda t: np.histogramdd([t, t]),
    "histogram_bin_edges": np.histogram_bin_edges,
    "unique": lambda t: np.unique(t, return_counts=True),
    "unique_all": np.unique_all,
    "unique_counts": np.unique_counts,
    "unique_inverse": np.unique_inverse,
    "unique_values": np.unique_values,
    "union1d": lambda t: np.union1d(t, t),
    "intersect1d": lambda t: np.intersect1d(t, t),
    "setdiff1d": lambda t: np.setdiff1d(t, [1.0]),
    "setxor1d": lambda t: np.setxor1d(t, [1.0]),
    "nextafter": lambda t: np.nextafter(t, 9.0),
    "spacing": np.spacing,
    "frexp": np.frexp,
    "sort_complex": np.sort_complex,
    "polydiv": lambda t: np.polydiv(t, t),
    "trim_zeros": np.trim_zeros,
    "real_if_close": np.real_if_close,
}


def test_each_function_that_raises_is_called_here():
    assert RAISING.keys() == RAISES.keys()


@pytest.mark.parametrize("name", RAISING)
def test_raises_with_a_gradient_and_runs_without(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    values = np.array([1.0, 2.0, 4.0])
    sentence = rf"^np\.{name} is not differentiated.*requires grad\..*\.detach\(\)"
    with pytest.raises(TypeError, match=sentence) as raised:
        RAISING[name](gn.Tensor(values, requires_grad=True))
    assert RAISES[name] in str(raised.value)
    expected = parts(RAISING[name](np.copy(values)))
    with gn.no_grad():
        under = parts(RAISING[name](gn.Tensor(np.copy(values), requires_grad=True)))
    for found in (parts(RAISING[name](gn.Tensor(np.copy(values)))), under):
        for ours, theirs in zip(found, expected, strict=True):
            assert type(ours) is gn.Tensor or not isinstance(theirs, (np.ndarray, np.generic))
            np.testing.assert_array_equal(getattr(ours, "data", ours), theirs)


def test_what_is_on_no_list_raises_with_a_gradient():
    f = np.frompyfunc(lambda x: x + 1, 1, 1)
    with pytest.raises(TypeError, match="is not differentiated, and its argument requires grad"):
        f(gn.Tensor([1.0], requires_grad=True))
    assert f(gn.Tensor([1.0])).tolist() == [2.0]
    with pytest.raises(TypeError, match=r"np\.add\.at is not differentiated.*Write gn\.index_add"):
        np.add.at(np.zeros(2), [0, 0], gn.Tensor([1.0, 2.0], requires_grad=True))
    array = np.zeros(2)
    np.add.at(array, [0, 0], gn.Tensor([1.0, 2.0]))
    assert array.tolist() == [3.0, 0.0]


def test_options_without_a_gradient_are_numpys():
    x = gn.Tensor([1.0, 2.0, 3.0])
    assert np.exp(x, dtype=np.float32).dtype == np.float32
    out = np.zeros(3)
    assert np.add(x, 1, out=out) is out
    assert out.tolist() == [2.0, 3.0, 4.0]
    assert np.add(x, 1, out=out, where=[True, False, True]) is out
    assert np.multiply(x, 2, out=x) is x
    assert x.data.tolist() == [2.0, 4.0, 6.0]
    out += x
    assert type(out) is np.ndarray
    out[:] = x
    out[0] = x[2]
    assert out.tolist() == [6.0, 4.0, 6.0]
    assert np.sum(x, out=np.zeros(())) == 12.0
    assert np.sum(x, 0, None, np.zeros(())).item() == 12.0
    assert np.reshape(x, (3, 1), order="A").shape == (3, 1)
    weights = [1.0, 2.0, 1.0]
    np.testing.assert_array_equal(np.cov(x, aweights=weights), np.cov(x.data, aweights=weights))


@pytest.mark.parametrize(
    "call",
    [
        lambda x: np.exp(x, out=np.zeros(2)),
        lambda x: np.divmod(x, 2.0, out=(gn.zeros(2), gn.zeros(2))),
        lambda x: np.sum(x, out=np.zeros(())),
        lambda x: np.concatenate([x, x], out=np.zeros(4)),
        lambda x: np.less(np.ones(2), 0, out=x),
    ],
)
def test_out_is_refused_in_our_words(call):
    with pytest.raises(TypeError, match=r"np\.\w+\(\.\.\., out=\.\.\.\): a value.*Leave out `out`"):
        call(gn.Tensor([1.0, 2.0], requires_grad=True))


def test_out_may_be_a_tensor():
    x = gn.Tensor([1.0, 2.0], requires_grad=True)
    out = gn.Tensor(np.zeros(2))
    assert np.exp(x, out=out) is out
    out.sum().backward()
    np.testing.assert_allclose(x.grad, np.exp(x.data))
    with pytest.raises(RuntimeError, match="would overwrite a leaf that requires grad"):
        np.exp(np.ones(2), out=x)


def test_where_with_a_tensor_as_out_keeps_infinities_out():
    a = gn.Tensor([[1.0, 2.0, 3.0]], requires_grad=True)
    b = gn.Tensor([[2.0], [0.0]], requires_grad=True)
    there = b.data != 0
    y = np.divide(a, b, out=np.zeros((2, 3)) * a, where=there)
    np.testing.assert_array_equal(y.data, [[0.5, 1.0, 1.5], [0.0, 0.0, 0.0]])
    y.sum().backward()
    np.testing.assert_array_equal(a.grad, [[0.5, 0.5, 0.5]])
    np.testing.assert_array_equal(b.grad, [[-1.5], [0.0]])
    y = np.multiply(3, a, out=np.ones_like(a), where=[True, False, True])
    assert y.data.tolist() == [[3.0, 1.0, 9.0]]
    with pytest.raises(TypeError, match=r"dtype=\.\.\.\) is not|out=\.\.\.\): a value"):
        np.multiply(3, a, out=np.ones_like(a), dtype=np.float32)


def test_in_place_operators_of_arrays():
    x, array = gn.Tensor([1.0, 2.0], requires_grad=True), np.ones(2)
    with pytest.raises(TypeError, match=r"for `a \+= b`, write a = a \+ b"):
        array += x
    with pytest.raises(TypeError, match="Leave out `out`"):
        np.sum(x, 0, None, np.ones(()))
    assert array.tolist() == [1.0, 1.0]


def test_other_options_are_refused_in_our_words():
    x = gn.Tensor([1.0, 2.0], requires_grad=True)
    with pytest.raises(TypeError, match=r"np\.exp\(.*where=.*out=np\.zeros_like\(tensor"):
        np.exp(x, where=[True, False])
    with pytest.raises(TypeError, match=r"np\.exp\(\.\.\., dtype=\.\.\.\) is not differentiated"):
        np.exp(x, dtype=np.float32)
    with pytest.raises(TypeError, match=r"np\.reshape\(\.\.\., order=\.\.\.\) is not"):
        np.reshape(x, (2, 1), order="A")
    with pytest.raises(TypeError, match=r"np\.polyfit\(\.\.\., full=\.\.\.\) is not"):
        np.polyfit([0.0, 1.0], x, 1, full=True)
    with pytest.raises(TypeError, match=r"np\.unwrap\(\.\.\., period=\.\.\.\) is not"):
        np.unwrap(x, period=x[0])
    with pytest.raises(TypeError, match=r"np\.hypot\.reduce\(\.\.\., axis=\.\.\.\) is not"):
        np.hypot.reduce(x, axis=None)
    for call in (
        lambda: np.linalg.qr(x[None], mode="raw"), lambda: np.nanvar(x, mean=0.0),
        lambda: np.nanstd(x, mean=0.0), lambda: np.polyfit([0.0, 1.0], x, 1, cov=True),
        lambda: np.hypot.reduce(x[:0]), lambda: np.resize(x, -1),
        lambda: np.geomspace(x * 1j, 2.0), lambda: np.roots(x[:1]), lambda: np.resize(x[:0], 2),
    ):  # fmt: skip
        with pytest.raises(TypeError, match=r"is not differentiated with this option"):
            call()
    with pytest.raises(ValueError, match="need `initial`"):
        np.max(x, where=[True, False])
    with pytest.raises(TypeError, match="unexpected keyword"):
        np.sum(x, nonsense=1)


def test_bad_arguments_are_refused_in_our_words():
    x = gn.Tensor([1.0, 2.0], requires_grad=True)
    with pytest.raises(ValueError, match=r"np\.choose: an index is out of range; bring it into"):
        np.choose(np.array([0, 2]), [x, x])
    with pytest.raises(TypeError, match=r"np\.gradient takes one spacing, or one for each axis"):
        np.gradient(x, 1.0, 2.0)
    with pytest.raises(ValueError, match=r"np\.gradient needs 3 points along an axis, got 2"):
        np.gradient(x, edge_order=2)
    with pytest.raises(ValueError, match=r"np\.gradient: edge_order is 1 or 2, not 3"):
        np.gradient(x, edge_order=3)
    with pytest.raises(ValueError, match=r"np\.convolve: mode is 'full', 'same' or 'valid'"):
        np.convolve(x, x, "middle")
    with pytest.raises(ValueError, match=r"np\.interp takes as many xp as fp, not shapes \(3,\)"):
        np.interp(0.5, [0.0, 1.0, 2.0], x)
    with pytest.raises(ValueError, match=r"np\.cov: weights are 0 or more"):
        np.cov(x, aweights=[1.0, -1.0])
    with pytest.raises(ValueError, match=r"np\.geomspace: .* of the same sign, without zeros"):
        np.geomspace(-1.0, x)
    with pytest.raises(ValueError, match=r"np\.roots takes the coefficients of one polynomial"):
        np.roots(x[None])
    for call, words in (
        (lambda: np.poly(x[None, None]), r"np\.poly takes roots \(N,\) or a square matrix"),
        (lambda: np.cov(x[None, None]), r"np\.cov takes a vector or a matrix, not shape \(1, 1, 2"),
        (lambda: np.polyfit([0.0, 1.0, 2.0], x, 1), r"np\.polyfit takes x \(N,\).*\(3,\) and \(2,"),
        (lambda: np.polyfit([0.0, 1.0], x, -1), r"np\.polyfit .* degree -1"),
        (lambda: np.bincount([1], weights=x), r"np\.bincount: \(1,\) places and \(2,\) weights"),
        (lambda: np.bincount([-1, 0], weights=x), "no negative"),
        (lambda: np.interp(0.5, [0.0, 1.0], x, period=0), r"np\.interp: a period is not 0"),
    ):
        with pytest.raises(ValueError, match=words):
            call()
    with pytest.raises(TypeError, match=r"np\.cov: fweights are how often .* whole numbers"):
        np.cov(x, fweights=[1, 0.5])
    with pytest.raises(IndexError, match="reduceat: indices are one list of places from 0 to 1"):
        np.add.reduceat(x, [0, 2])
    with pytest.raises(np.exceptions.AxisError):
        np.subtract.reduce(x, axis=1)
    with pytest.raises(ValueError, match=r"np\.piecewise: 1 conditions take as many functions"):
        np.piecewise(x, [x > 0], [np.sin, np.cos, np.tan])
    with pytest.raises(ValueError, match=r"np\.apply_along_axis: shape \(0, 2\) has no rows"):
        np.apply_along_axis(np.sum, 1, x[None][:0])
    with pytest.raises(ValueError, match=r"np\.convolve takes two sequences, not shapes \(2, 1\)"):
        np.convolve(x[:, None], x)


def test_sparse_grids_by_rows_and_a_correlation_of_one_variable():
    x = gn.Tensor([1.0, 2.0, 4.0], requires_grad=True)
    y = gn.Tensor([3.0, 5.0], requires_grad=True)
    grids = np.meshgrid(x, y, sparse=True, indexing="ij")
    arrays = np.meshgrid(x.data, y.data, sparse=True, indexing="ij")
    for got, expected in zip(grids, arrays, strict=True):
        np.testing.assert_array_equal(got.data, expected)
    (grids[0] * grids[1]).sum().backward()
    assert x.grad.tolist() == [8.0, 8.0, 8.0]
    assert np.corrcoef(x).data == np.corrcoef(x.data) == 1.0


@pytest.mark.parametrize(
    "call",
    [
        lambda i, f: np.rint(i), lambda i, f: np.fabs(i), lambda i, f: np.reciprocal(i),
        lambda i, f: np.modf(i), lambda i, f: np.polyval(i, 2), lambda i, f: np.convolve(i, i),
        lambda i, f: np.round(i, -1), lambda i, f: np.polymul(i, [1, 2]),
        lambda i, f: np.quantile(f, [0.1, 0.5], method="hazen"), lambda i, f: np.tril(i),
        lambda i, f: np.linalg.qr(f[None], mode="raw"), lambda i, f: np.linalg.eigvals(np.diag(f)),
    ],
)  # fmt: skip
def test_without_a_gradient_it_is_numpys_to_the_dtype(call):
    i, f = np.array([3, 1, -20]), np.array([1.5, 0.5, 2.0], np.float32)
    for ours, theirs in zip(
        parts(call(gn.Tensor(i), gn.Tensor(f))), parts(call(i, f)), strict=True
    ):
        assert (type(ours), ours.dtype, ours.shape) == (gn.Tensor, theirs.dtype, theirs.shape)
        np.testing.assert_array_equal(ours.data, theirs)


@pytest.mark.parametrize(
    "call",
    [
        lambda f: np.convolve(f, f), lambda f: np.gradient(f), lambda f: np.gradient(f, 2.0),
        lambda f: np.cov(f), lambda f: np.corrcoef(f, f[::-1]), lambda f: np.ldexp(f, 3),
        lambda f: np.mean(f, where=f > 0.7), lambda f: np.std(f, where=f > 0.7),
        lambda f: np.linspace(f, 2.0, 3), lambda f: np.logspace(0.0, f, 3),
        lambda f: np.ediff1d(f, to_end=0), lambda f: np.polyadd(f, f[:2]),
        lambda f: np.average(f, returned=True), lambda f: np.interp(f, [0, 1], [1, 2]),
        lambda f: np.unwrap(f), lambda f: np.nanmedian(f), lambda f: np.bincount([0, 0, 1], f),
    ],
)  # fmt: skip
def test_dtype_of_a_result_that_is_part_of_the_graph(call):
    f = np.array([1.5, 0.5, 2.0], np.float32)
    ours = parts(call(gn.Tensor(f, requires_grad=True)))
    for got, expected in zip(ours, parts(call(f)), strict=True):
        assert got.dtype == expected.dtype
        np.testing.assert_allclose(got.data, expected, rtol=1e-6)


@pytest.mark.parametrize("left_out", [np.nan, np.inf])
def test_what_where_leaves_out_has_no_part_in_the_gradient(left_out):
    x, there = np.array([1.0, 3.0, left_out]), np.array([True, True, False])
    for f, expected in ((np.var, [-1.0, 1.0, 0.0]), (np.std, [-0.5, 0.5, 0.0])):
        found = gn.grad(lambda x, f=f: f(x, where=there))(x)
        np.testing.assert_allclose(found, expected)


def test_splitting_and_scaling_of_extreme_numbers():
    x = np.array([np.inf, -np.inf, 2.5])
    t = gn.Tensor(x, requires_grad=True)
    for ours, theirs in zip(np.modf(t), np.modf(x), strict=True):
        np.testing.assert_array_equal(ours.data, theirs)
    np.modf(t)[0].sum().backward()
    assert t.grad.tolist() == [0.0, 0.0, 1.0]
    for n in (1500, -1500):  # 2 ** n alone is infinite, or 0
        y = np.ldexp(gn.Tensor(math.ldexp(0.75, -n // 2), requires_grad=True), n)
        assert y.data == math.ldexp(0.75, n - n // 2 - n % 2)


def test_rows_whose_results_are_no_part_of_the_graph():
    x = gn.Tensor([[1.0, 2.0]], requires_grad=True)
    y = np.apply_along_axis(lambda row: 3.0, 1, x)
    assert (type(y), y.data.tolist()) == (gn.Tensor, [3.0])


def test_usual_options_are_no_options():
    x = gn.Tensor([1.0, 2.0], requires_grad=True)
    y = np.exp(x, out=None, where=True, dtype=None, casting="same_kind", subok=True)
    assert y.requires_grad
    assert np.sum(x, initial=np._NoValue, where=np._NoValue).requires_grad
    assert np.concatenate([x, x], axis=0, out=None, dtype=None).requires_grad


@pytest.mark.parametrize(
    "take",
    [
        lambda x: np.asarray(x),
        lambda x: np.array([x, x]),
        lambda x: np.array([x[0], x[1]]),
        lambda x: np.array([[x[0], 1.0], [2.0, x[1]]]),
        lambda x: np.sum([x, x]),
        lambda x: np.full(2, x[0]),
        lambda x: np.ones(2).dot(x),
        lambda x: np.zeros(2).__setitem__(slice(None), x),
        lambda x: np.zeros(2).__setitem__(slice(0, 1), x[0]),
        lambda x: np.zeros(2).__setitem__(slice(0, 1), [x[0]]),
        lambda x: np.vectorize(lambda v: v + 1)(x),
        lambda x: np.random.default_rng(0).normal(x),
    ],
)
def test_what_makes_an_array_of_it_raises(take):
    with pytest.raises((RuntimeError, TypeError)):
        take(gn.Tensor([1.0, 2.0], requires_grad=True))


@pytest.mark.parametrize(
    "take",
    [
        lambda x, masked: masked * x,
        lambda x, masked: masked.__iadd__(x),
        lambda x, masked: np.ma.exp(x),
        lambda x, masked: np.ma.where(masked > 0, x, 0.0),
        lambda x, masked: np.ma.array(x),
    ],
)
def test_a_masked_array_drops_no_gradient(take):
    masked = np.ma.array([1.0, 2.0], mask=[False, True])
    with pytest.raises(RuntimeError, match="array of it would take this tensor out of the graph"):
        take(gn.Tensor([1.0, 2.0], requires_grad=True), masked)
    take(gn.Tensor([1.0, 2.0]), masked)  # no gradient, no harm
    assert not hasattr(gn.Tensor([1.0]), "_mask")


@pytest.mark.parametrize(
    "call",
    [
        lambda masked: gn.Tensor([1.0, 2.0], requires_grad=True) * masked,
        lambda masked: np.add(masked, gn.Tensor([1.0, 2.0], requires_grad=True)),
        lambda masked: gn.exp(masked),
        lambda masked: gn.Tensor(masked),
        lambda masked: gn.grad(gn.sum)(masked),
    ],
)
def test_what_a_mask_hides_does_not_take_part(call):
    with pytest.raises(TypeError, match=r"a masked array: .*array\.filled\(value\)"):
        call(np.ma.array([1.0, 2.0], mask=[False, True]))


@pytest.mark.filterwarnings("ignore:the matrix subclass")
def test_a_matrix_is_an_array():
    matrix = np.matrix([[1.0, 2.0, 3.0]])
    x = gn.Tensor([1.0, 2.0, 3.0], requires_grad=True)
    for y in (matrix * x, x * matrix):  # by element; np.matrix itself would take the dot product
        assert y.data.tolist() == [[1.0, 4.0, 9.0]]
    (x * matrix).sum().backward()
    assert x.grad.tolist() == [1.0, 2.0, 3.0]
    assert (matrix @ x).data.tolist() == [14.0]
    assert type(gn.sum(matrix, axis=0)) is np.ndarray
    assert gn.grad(lambda x: gn.sum(x * x))(matrix).tolist() == [[2.0, 4.0, 6.0]]


def test_writing_a_single_number_into_an_array_raises():
    x, array = gn.Tensor([1.0, 2.0], requires_grad=True), np.zeros(2)
    with pytest.raises(ValueError, match="setting an array element") as raised:
        array[0] = x[0]
    assert "Writing it into a NumPy array would take this tensor out" in str(raised.value.__cause__)
    with pytest.raises(ValueError, match="Error setting single item"):
        array.flat[0] = x.sum()
    assert array.tolist() == [0.0, 0.0]
    assert float(x[1]) == 2.0, "asked for by name"
    array[0] = float(x[1])
    array[1] = x[1].detach()
    assert array.tolist() == [2.0, 2.0]


# --- Others with a protocol -----------------------------------------------------------------------


class Other:
    """A class that knows Tensors, as a library built on top may have."""

    def __array_ufunc__(self, ufunc, method, *inputs, **options):
        return "other's"

    def __array_function__(self, function, types, args, options):
        return "other's"


def test_another_class_may_have_the_call():
    x = gn.Tensor([1.0], requires_grad=True)
    assert np.concatenate([x, Other()]) == "other's"
    assert np.nextafter(x, Other()) == "other's"
    assert np.power(Other(), x) == "other's"


def test_parameters_and_arrays_of_subclasses():
    p = gn.nn.Parameter(np.ones(2))
    assert np.sum(np.ones(2).view(np.recarray) * np.exp(p)).requires_grad
    assert type(np.exp(p)) is gn.Tensor


def test_higher_derivatives():
    assert gn.gradcheck(lambda x: np.sum(np.exp(x) * np.sin(x)), np.array([0.3, 1.0]), order=3)


def test_array_library_is_numpys_still():
    assert array_library(np.ones(2)).exp is np.exp


# --- Scripts that know nothing of GradNerve -------------------------------------------------------


def script(name):
    path = Path(__file__).parent.parent / "examples" / f"{name}.py"
    assert "gradnerve" not in path.read_text(encoding="utf-8")
    return SimpleNamespace(**runpy.run_path(str(path)))


def same_value(f, inputs):
    """Of arrays and of Tensors."""
    for ours, theirs in zip(
        parts(f(*map(gn.Tensor, inputs))), parts(f(*map(np.asarray, inputs))), strict=True
    ):
        np.testing.assert_allclose(ours.data, theirs, rtol=1e-10)


@pytest.mark.parametrize(
    "name", ["log_marginal_likelihood", "log_marginal_likelihood_by_determinant", "predict"]
)
def test_a_gaussian_process(name):
    f = getattr(script("numpy_gaussian_process"), name)
    x = np.linspace(0.0, 3.0, 5)
    given = (x, np.sin(x), *([x + 0.3] if name == "predict" else []), 0.8, 1.3, 0.2)
    same_value(f, given)
    assert gn.gradcheck(f, given, order=2)


def test_the_two_likelihoods_have_one_gradient():
    gp = script("numpy_gaussian_process")
    gradients = []
    for f in (gp.log_marginal_likelihood, gp.log_marginal_likelihood_by_determinant):
        length = gn.Tensor(0.8, requires_grad=True)
        f(np.linspace(0, 3, 5), np.ones(5), length, 1.0, 0.3).backward()
        gradients.append(length.grad)
    np.testing.assert_allclose(*gradients, rtol=1e-9)


def test_a_kalman_filter():
    kalman = script("numpy_kalman_filter")
    seen = np.array([[0.1], [0.4], [1.2], [1.3]])

    def f(observations, step, acceleration, error):
        model = kalman.constant_velocity(step, acceleration, error)
        return kalman.kalman_filter(observations, *model)

    given = (seen, 0.9, 0.2, 0.3)
    same_value(f, given)
    assert gn.gradcheck(f, given, order=2)


def test_a_planet_by_runge_kutta():
    orbit = script("numpy_runge_kutta")
    same_value(lambda s, m: orbit.integrate(s, m, 0.1, 5), (orbit.start(), orbit.MASSES))
    masses = np.array([1.0, 0.3, 0.1])
    state = orbit.start() + np.array([[[0.0, 0.3]], [[0.1, 0.0]]]) * np.arange(1, 4)[:, None]
    assert gn.gradcheck(lambda s, m: orbit.integrate(s, m, 0.2, 2), (state, masses), order=2)
    assert gn.gradcheck(orbit.energy, (state, masses), order=2)


def test_a_lens():
    spot = script("numpy_ray_optics").spot
    given = (np.array([10.0, -9.0]), 0.8, 1.5, 9.0, np.array([-1.0, -0.4, 0.3, 0.9]))
    same_value(spot, given)
    assert gn.gradcheck(spot, given, order=2)
