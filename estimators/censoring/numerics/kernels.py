"""Kernels and the local weights made of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

Array = NDArray[np.float64]
Codes = NDArray[np.intp]
Form = Literal["radial", "product"]


def _gaussian(squared: Array) -> Array:
    squared *= -0.5
    return np.exp(squared, out=squared)


def _epanechnikov(squared: Array) -> Array:
    np.subtract(1.0, squared, out=squared)
    return np.maximum(squared, 0.0, out=squared)


def _uniform(squared: Array) -> Array:
    return (squared <= 1.0).astype(float)


def _triangular(squared: Array) -> Array:
    np.sqrt(squared, out=squared)
    return _epanechnikov(squared)


def _biweight(squared: Array) -> Array:
    squared = _epanechnikov(squared)
    return np.square(squared, out=squared)


def _tricube(squared: Array) -> Array:
    np.power(squared, 1.5, out=squared)
    return _epanechnikov(squared) ** 3


# Functions of the squared distance, without their constants, which cancel; they overwrite it.
KERNELS: dict[str, Callable[[Array], Array]] = {
    "gaussian": _gaussian,
    "epanechnikov": _epanechnikov,
    "uniform": _uniform,
    "triangular": _triangular,
    "biweight": _biweight,
    "tricube": _tricube,
}


class Points(NamedTuple):
    """Numbers on a common scale and codes of categories.

    Attributes
    ----------
    numbers : ndarray of shape (n, d)
    codes : ndarray of int of shape (n, c)
    """

    numbers: Array
    codes: Codes

    def take(self, rows: slice | Codes) -> Points:
        """Return some of the points."""
        return Points(self.numbers[rows], self.codes[rows])


def kernel_weights(
    points: Points,
    rows: Points,
    bandwidth: float | Array,
    kernel: str,
    form: Form,
    mismatch: float,
) -> Array:
    r"""Return :math:`b_j(x)` for points x and rows j.

    Radial: :math:`K(\|(x - x_j) / h\|)`; product: :math:`\prod_l K((x_l - x_{jl}) / h_l)`; both
    times ``mismatch`` for every category that differs.

    Parameters
    ----------
    points, rows : Points
        q points and n rows.
    bandwidth : float or ndarray of shape (d,)
    kernel : str
        A key of `KERNELS`.
    form : {"radial", "product"}
    mismatch : float
        0 for exact matching.

    Returns
    -------
    ndarray of shape (q, n)
    """
    at, of = points.numbers / bandwidth, rows.numbers / bandwidth
    shape = (len(at), len(of))
    function = KERNELS[kernel]
    if at.shape[1] == 0:
        weights = np.ones(shape)
    elif form == "radial" or kernel == "gaussian":
        # A product of Gaussians is radial.
        weights = function(cdist(at, of, "sqeuclidean"))
    else:
        weights = np.ones(shape)
        for a, b in zip(at.T, of.T, strict=True):
            weights *= function(np.square(a[:, None] - b[None, :]))
    for a, b in zip(points.codes.T, rows.codes.T, strict=True):
        weights[a[:, None] != b[None, :]] *= mismatch
    return weights
